//! How files are opened: modes by the umask, never through a symbolic link, locked without `flock` too; FIFOs are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::faults::{self, Fault, Pass, run, start, start_failing, wait};
use crate::harness::{Run, Work, binary};

const LIMIT: Duration = Duration::from_secs(120);

/// As [`Work::run`], after a line of shell.
fn after_shell(work: &Work, shell: &str, arguments: &str) -> Run {
    let mut command = work.command("sh");
    command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\""), binary()]);
    let output = command.args(arguments.split_whitespace()).output().unwrap();
    Run::of(format!("{shell}; distill {arguments}"), output)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_directories_follow_the_umask() {
    for (umask, file, directory) in [("077", 0o600, 0o700), ("002", 0o664, 0o775)] {
        let work = Work::with_rows();
        let arguments = "finetune --model tiny --data rows.jsonl --epochs 1 --out out/deep --trace trace.json";
        after_shell(&work, &format!("umask {umask}"), arguments).succeeds();
        assert_eq!(mode(&work.path("trace.json")), file);
        for root in ["out", "cache"] {
            for name in work.tree(root) {
                let expected = if name.ends_with('/') { directory } else { file };
                assert_eq!(
                    mode(&work.path(&format!("{root}/{name}"))),
                    expected,
                    "{root}/{name} under {umask}"
                );
            }
        }
        assert_eq!(mode(&work.path("out/deep/.lock")), file);
    }
}

#[test]
fn a_replaced_file_keeps_its_mode() {
    let work = Work::with_rows();
    let arguments = "predict --model tiny --data rows.jsonl --out p.csv";
    after_shell(&work, "umask 022", arguments).succeeds();
    for kept in [0o600, 0o640] {
        fs::set_permissions(work.path("p.csv"), Permissions::from_mode(kept)).unwrap();
        after_shell(&work, "umask 022", &format!("{arguments} --overwrite")).succeeds();
        assert_eq!(mode(&work.path("p.csv")), kept);
    }
}

/// A file system without `flock`: a second run is refused, and a killed run does not block the next one.
#[test]
fn without_flock_a_directory_still_belongs_to_one_run() {
    let pass = Pass::training(40);
    let held = |error| Fault { kind: "flock", at: 1, action: error, sticky: true };
    let mut first = start_failing(&pass.work, &pass.command_line(), "flock", "ENOSYS");
    let claim = wait_for_claim(&pass.work, &mut first);
    // Suspended, so that it cannot end before the others have tried.
    faults::signal(&first, "STOP");
    // Without `flock`, and on a machine that mounts the same directory with it.
    let pid = format!("pid {}", first.id());
    let (second, _) = run(&pass.work, &pass.command_line(), Some(held("ENOTSUP")));
    second.fails(73, &["in use by", &pid]);
    pass.work.run(&pass.command_line()).fails(73, &["in use by", &pid]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(claim.exists());
    let (third, seen) = run(&pass.work, &pass.command_line(), Some(held("ENOLCK")));
    third.succeeds();
    assert!(seen.count("flock") > 0);
    pass.assert_same();
}

/// A run without `flock` checks its claim every 15 seconds.
#[test]
fn a_run_whose_claim_is_removed_or_replaced_ends_with_an_error() {
    let others = "host elsewhere pid 1 start 1 boot another pidns pid:[1] nonce 1\n";
    let started: Vec<(Pass, Child, PathBuf, &str)> = ["", others]
        .map(|instead| {
            let pass = Pass::training(1);
            let endless = format!("{} --epochs 1000000", pass.command_line().replace("--epochs 1 ", ""));
            let mut child = start_failing(&pass.work, &endless, "flock", "ENOSYS");
            let claim = wait_for_claim(&pass.work, &mut child);
            let begun = Instant::now();
            while !pass.work.path("out/checkpoints").exists() {
                assert!(begun.elapsed() < LIMIT && child.try_wait().unwrap().is_none());
                std::thread::sleep(Duration::from_millis(5));
            }
            (pass, child, claim, instead)
        })
        .into();
    for (pass, _, claim, instead) in &started {
        fs::remove_file(claim).unwrap();
        if !instead.is_empty() {
            pass.work.write("out/.lock.claim", instead);
        }
    }
    for (pass, mut child, claim, instead) in started {
        let code = wait(&mut child, LIMIT);
        let stderr = pass.work.read("stderr");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(
            code == Some(74) && last.starts_with("error: the lock of out was taken over or removed"),
            "{code:?}: {stderr}"
        );
        assert_eq!(fs::read_to_string(&claim).unwrap_or_default(), instead, "another run's claim stays");
        let held = Fault { kind: "flock", at: 1, action: "ENOSYS", sticky: true };
        if !instead.is_empty() {
            let (kept_out, _) = run(&pass.work, &pass.command_line(), Some(held));
            kept_out.fails(73, &["in use by host elsewhere pid 1"]);
            fs::remove_file(&claim).unwrap();
        }
        // It left what a killed run leaves.
        pass.work.run(&format!("{} --overwrite", pass.command_line())).succeeds();
        pass.assert_same();
    }
}

/// With `flock`, a run looks for its lock file every second.
#[test]
fn a_lock_file_that_is_removed_during_a_run_is_made_again_and_a_replaced_one_ends_the_run() {
    let work = Work::with_rows();
    let command = "finetune --model tiny --data rows.jsonl --epochs 1000000 --out out";
    let begin = || {
        let mut child = work.command(binary());
        child.args(command.split(' ')).stdout(Stdio::null());
        let mut child = child.stderr(fs::File::create(work.path("stderr")).unwrap()).spawn().unwrap();
        // It has taken the directory, and trains.
        let holder = format!(" pid {}\n", child.id());
        until(&mut child, || {
            fs::read_to_string(work.path("out/.lock")).is_ok_and(|text| text.ends_with(&holder))
                && fs::metadata(work.path("out/metrics.jsonl")).is_ok_and(|data| data.len() > 0)
        });
        child
    };
    let lock = work.path("out/.lock");
    let mut child = begin();
    fs::remove_file(&lock).unwrap();
    until(&mut child, || fs::read_to_string(&lock).is_ok_and(|text| !text.is_empty()));
    work.run(command).fails(73, &["in use by", &format!("pid {}", child.id())]);
    faults::signal(&child, "TERM");
    assert_eq!(wait(&mut child, LIMIT), Some(75), "{}", work.read("stderr"));

    let mut child = begin();
    work.write("other", "host elsewhere pid 1\n");
    #[allow(clippy::disallowed_methods)]
    fs::rename(work.path("other"), &lock).unwrap();
    let code = wait(&mut child, LIMIT);
    let stderr = work.read("stderr");
    assert!(
        code == Some(74) && stderr.contains("the lock of out was taken over or removed"),
        "{code:?}: {stderr}"
    );
}

/// Waits until a condition holds, while a run continues.
fn until(child: &mut Child, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < LIMIT && child.try_wait().unwrap().is_none(),
            "the run ended, or takes too long"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a run that cannot lock has claimed `out` by a file, and returns the file.
fn wait_for_claim(work: &Work, child: &mut Child) -> PathBuf {
    let claim = work.path("out/.lock.claim");
    let start = Instant::now();
    while fs::read_to_string(&claim).unwrap_or_default().is_empty() {
        assert!(
            start.elapsed() < LIMIT && child.try_wait().unwrap().is_none(),
            "it never claims its directory: {}",
            work.read("stderr")
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    claim
}

#[test]
fn with_no_lock_nothing_is_locked_and_a_warning_says_so() {
    let pass = Pass::training(1);
    fs::create_dir(pass.work.path("out")).unwrap();
    let held = distill_core::lock::DirectoryLock::acquire(&pass.work.path("out")).unwrap();
    pass.work.run(&pass.command_line()).fails(73, &["in use by"]);
    pass.work.run(&format!("{} --no-lock", pass.command_line())).succeeds().says("--no-lock");
    pass.assert_same();
    drop(held);
    let set = pass.work.run_with(&pass.command_line(), &[], &[("DISTILL_NO_LOCK", "true")]);
    set.succeeds().says("--no-lock");
}

/// Somebody who can write to a directory can create links under the names that a run will write.
#[test]
fn no_file_is_written_through_a_symbolic_link() {
    let work = Work::with_rows();
    let victim = |name: &str| work.path(name);
    work.write("victim", "precious");
    fs::create_dir(work.path("victims")).unwrap();
    work.write("victims/kept", "precious");
    let train = "finetune --model tiny --data rows.jsonl --epochs 1";

    fs::create_dir(work.path("a")).unwrap();
    symlink(victim("victim"), work.path("a/.lock")).unwrap();
    work.run(&format!("{train} --out a")).fails(73, &["a/.lock", "symbolic link"]);

    // The temporary name of a directory.
    fs::create_dir_all(work.path("b")).unwrap();
    symlink(victim("victims"), work.path("b/.model.tmp")).unwrap();
    work.run(&format!("{train} --out b")).succeeds();
    assert!(!work.path("b/.model.tmp").exists());

    // Locks of the caches.
    let lock = work.tree("cache").into_iter().find(|name| name.ends_with(".tokens.lock")).unwrap();
    let lock = work.path(&format!("cache/{lock}"));
    fs::remove_file(&lock).unwrap();
    symlink(victim("victim"), &lock).unwrap();
    work.run(&format!("{train} --out c")).fails(74, &["tokens.lock", "symbolic link"]);
    fs::remove_file(&lock).unwrap();
    let frozen = format!("{train} --freeze encoder");
    work.run(&format!("{frozen} --out d")).succeeds();
    let lock = work.tree("cache").into_iter().find(|name| name.ends_with(".features.lock")).unwrap();
    let lock = work.path(&format!("cache/{lock}"));
    fs::remove_file(&lock).unwrap();
    symlink(victim("victim"), &lock).unwrap();
    let run = work.run(&format!("{frozen} --seed 7 --out e"));
    assert!(run.stderr.contains("symbolic link"), "{}", run.shown());

    // A link that the user names as output is replaced, not the file that it points to.
    for name in ["p.csv", "trace.json"] {
        symlink(victim("victim"), work.path(name)).unwrap();
    }
    work.run("predict --model tiny --data rows.jsonl --out p.csv --overwrite --trace trace.json");
    assert_eq!(work.read("victim"), "precious");
    assert_eq!(work.tree("victims"), ["kept"]);
}

#[test]
fn metrics_are_not_written_through_a_link() {
    let pass = Pass::training(60);
    let mut first = start(&pass.work, &pass.command_line());
    let begun = Instant::now();
    while !pass.work.path("out/checkpoints").exists() {
        assert!(begun.elapsed() < LIMIT && first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let course = pass.work.path("out/metrics.jsonl");
    let before = pass.work.bytes("out/metrics.jsonl");
    pass.work.write("victim", &before);
    fs::remove_file(&course).unwrap();
    symlink(pass.work.path("victim"), &course).unwrap();
    pass.work.run(&pass.command_line()).fails(73, &["metrics.jsonl", "symbolic link"]);
    assert_eq!(pass.work.bytes("victim"), before);
    fs::remove_file(&course).unwrap();
    pass.work.write("out/metrics.jsonl", &before);
    pass.work.run(&pass.command_line()).succeeds();
    pass.assert_same();
}

/// Opening a FIFO waits for a writer, in a system call that no signal handler ends.
#[test]
fn rows_that_are_not_a_regular_file_are_refused() {
    let work = Work::new();
    for name in ["rows.jsonl", "rows.csv", "rows.parquet"] {
        let made = Command::new("mkfifo").arg(work.path(name)).status().unwrap();
        assert!(made.success());
        for arguments in ["teacher --model tiny --out out --data", "predict --model tiny --out p.csv --data"] {
            let mut child = work.command(binary());
            child.args(arguments.split_whitespace()).arg(name).stdout(Stdio::null());
            let mut child = child.stderr(fs::File::create(work.path("stderr")).unwrap()).spawn().unwrap();
            let code = wait(&mut child, LIMIT);
            let stderr = work.read("stderr");
            assert!(
                code == Some(65) && stderr.contains(name) && stderr.contains("a FIFO"),
                "{code:?}: {stderr}"
            );
        }
    }
}

/// Training reads its rows from a mapped file. Access to a page that was truncated raises SIGBUS.
#[test]
fn a_cache_that_is_truncated_while_it_is_read_ends_the_run_with_a_message() {
    let work = Work::with_rows();
    let mut command = work.command(binary());
    command.args("finetune --model tiny --data rows.jsonl --epochs 100000 --out out".split(' '));
    command.stdout(Stdio::null()).stderr(fs::File::create(work.path("stderr")).unwrap());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while fs::metadata(work.path("out/metrics.jsonl")).map_or(0, |data| data.len()) == 0 {
        assert!(begun.elapsed() < LIMIT && child.try_wait().unwrap().is_none(), "{}", work.read("stderr"));
        std::thread::sleep(Duration::from_millis(2));
    }
    let arrow = work.tree("cache").into_iter().find(|name| name.ends_with(".tokens.arrow")).unwrap();
    fs::File::options().write(true).open(work.path(&format!("cache/{arrow}"))).unwrap().set_len(0).unwrap();
    let code = wait(&mut child, LIMIT);
    let stderr = work.read("stderr");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(code == Some(74) && last.contains(&arrow) && last.contains("cut off"), "{code:?}: {stderr}");
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out again").succeeds();
}
