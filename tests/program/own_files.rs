//! How files are opened: with the modes that the user's umask asks for, never through a link, locked where the file
//! system has no locks, and refused where they are no files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::faults::{self, Fault, Pass, run, start, start_failing, wait};
use crate::harness::{Run, Work, binary};

const LIMIT: Duration = Duration::from_secs(120);

/// As [`Work::run`], behind a line of shell.
fn behind(work: &Work, shell: &str, arguments: &str) -> Run {
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
        behind(&work, &format!("umask {umask}"), arguments).succeeds();
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
fn a_file_that_is_replaced_keeps_its_mode() {
    let work = Work::with_rows();
    let arguments = "predict --model tiny --data rows.jsonl --out p.csv";
    behind(&work, "umask 022", arguments).succeeds();
    for kept in [0o600, 0o640] {
        fs::set_permissions(work.path("p.csv"), Permissions::from_mode(kept)).unwrap();
        behind(&work, "umask 022", &format!("{arguments} --overwrite")).succeeds();
        assert_eq!(mode(&work.path("p.csv")), kept);
    }
}

/// A file system without flock: two runs still keep out of each other's way, and one that was killed is no obstacle.
#[test]
fn without_flock_a_directory_still_belongs_to_one_run() {
    let pass = Pass::training(40);
    let held = |error| Fault { kind: "flock", at: 1, action: error, sticky: true };
    let mut first = start_failing(&pass.work, &pass.command_line(), "flock", "ENOSYS");
    let claim = pass.work.path("out/.lock.claim");
    let start = Instant::now();
    while fs::read_to_string(&claim).unwrap_or_default().is_empty() {
        assert!(
            start.elapsed() < LIMIT && first.try_wait().unwrap().is_none(),
            "it never claims its directory"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    // Held where it is, so that it cannot end before the others have looked.
    faults::signal(&first, "STOP");
    // On the same file system, and on one mounted with locks.
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

/// Whoever can write into a directory plants links under the names that will be written there.
#[test]
fn no_planted_link_is_written_through() {
    let work = Work::with_rows();
    let victim = |name: &str| work.path(name);
    work.write("victim", "precious");
    fs::create_dir(work.path("victims")).unwrap();
    work.write("victims/kept", "precious");
    let train = "finetune --model tiny --data rows.jsonl --epochs 1";

    fs::create_dir(work.path("a")).unwrap();
    symlink(victim("victim"), work.path("a/.lock")).unwrap();
    work.run(&format!("{train} --out a")).fails(73, &["a/.lock", "symbolic link"]);

    // The names of directories that are being filled.
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

    // Files that the user names are replaced, not what they lead to.
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

/// Reading a FIFO waits for a writer, in a system call that no signal of ours ends.
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

/// Training reads its rows from a mapped file; the system answers a page that is gone with a signal.
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
