//! Kills, full disks, signals and races: whatever happens to a run, the same command ends with the same bytes.
//! `scripts/torture` does the same for longer.

use std::time::{Duration, Instant};

use crate::faults::{Dice, Fault, Pass, run, signal, start, wait, wait_until_watching};
use crate::harness::Work;

const LIMIT: Duration = Duration::from_secs(60);

/// Kills runs of a pass until 20 have been killed: half of them at any time, half inside a call that changes
/// files. A run that ends by itself is compared, and the next one begins anew.
fn killed_twenty_times(pass: &Pass, dice: &mut Dice) {
    let mut kills = 0;
    while kills < 20 {
        let ended = if dice.below(2) == 0 {
            let mut child = start(&pass.work, &pass.command_line());
            std::thread::sleep(Duration::from_millis(dice.below(pass.time.as_millis() as u64 + 100)));
            child.kill().unwrap();
            child.wait().unwrap().code()
        } else {
            let kind = ["write", "fsync", "rename", "change"][dice.below(4) as usize];
            let action = ["before", "middle", "after"][dice.below(3) as usize];
            let at = 1 + dice.below(pass.seen.count(kind));
            run(&pass.work, &pass.command_line(), Some(Fault { kind, at, action, sticky: false })).0.code
        };
        match ended {
            None => kills += 1,
            Some(code) => {
                assert_eq!(code, 0);
                pass.assert_same();
                pass.forget();
            }
        }
        pass.assert_nothing_damaged_is_visible();
    }
    pass.work.run(&pass.command_line()).succeeds();
    pass.assert_same();
}

#[test]
fn a_teacher_pass_killed_at_twenty_points_loses_nothing() {
    killed_twenty_times(&Pass::teacher(4096 + 100), &mut Dice(0x9E37_79B9_7F4A_7C15));
}

#[test]
fn training_killed_at_twenty_points_loses_nothing() {
    killed_twenty_times(&Pass::training(4), &mut Dice(0xD1B5_4A32_D192_ED03));
}

/// A kill inside the write of a logged step leaves half a line: where lines are added is the one place in which
/// something unfinished has its own name.
#[test]
fn a_metrics_line_truncated_by_a_kill_is_removed_by_the_next_run() {
    let pass = Pass::training(2);
    let mut cut = 0;
    for at in 1..=pass.seen.count("write") {
        let fault = Fault { kind: "write", at, action: "middle", sticky: false };
        let (_, seen) = run(&pass.work, &pass.command_line(), Some(fault));
        if seen.path.is_some_and(|path| path.ends_with("metrics.jsonl")) {
            assert!(!pass.work.read("out/metrics.jsonl").ends_with('\n'));
            pass.assert_nothing_damaged_is_visible();
            pass.work.run(&pass.command_line()).succeeds();
            pass.assert_same();
            cut += 1;
        }
        pass.forget();
    }
    assert!(cut >= 7, "{cut} lines were cut");
}

/// Fails every call of a kind, one a run. What is visible afterwards is whole, the exit code and the message are
/// right, and the same command then ends as if nothing had been.
fn every_fault(pass: &Pass, kind: &'static str, step: usize) {
    for at in (1..=pass.seen.count(kind)).step_by(step) {
        let action = ["ENOSPC", "EIO", "EACCES"][(at as usize / step) % 3];
        let fault = Fault { kind, at, action, sticky: at % 2 == 0 && action == "ENOSPC" };
        let (run, seen) = run(&pass.work, &pass.command_line(), Some(fault));
        assert!(seen.path.is_some(), "{}", run.shown());
        match run.code {
            // Of no consequence: a cache that cannot be read is built again, a file that is not removed stays.
            Some(0) => {}
            Some(code) => {
                assert!(code == 74 || (code == 73 && action == "EACCES"), "{}", run.shown());
                let named = seen.names().iter().any(|name| run.stderr.contains(name));
                assert!(named, "{:?} is not named\n{}", seen.path, run.shown());
                run.fails(code, &["cannot "]);
            }
            None => panic!("{}", run.shown()),
        }
        pass.assert_nothing_damaged_is_visible();
        pass.work.run(&pass.command_line()).succeeds();
        pass.assert_same();
        pass.forget();
    }
}

#[test]
fn every_change_of_files_may_fail_in_a_teacher_pass() {
    every_fault(&Pass::teacher(40), "change", 1);
}

#[test]
fn every_change_of_files_may_fail_in_training() {
    every_fault(&Pass::training(1), "change", 1);
}

/// The disk is full from some call on: the last checkpoint stays, and what is said is what to do.
#[test]
fn a_disk_that_fills_up_leaves_the_last_checkpoint() {
    let pass = Pass::training(3);
    let (mut kept, mut begun) = (0, 0);
    for at in (1..=pass.seen.count("write")).step_by(5) {
        let fault = Fault { kind: "write", at, action: "ENOSPC", sticky: true };
        let (full, _) = run(&pass.work, &pass.command_line(), Some(fault));
        // Before the stage begins, as where its directory is taken, there is nothing to say but that.
        let full = full.fails(74, &["No space left"]);
        let out = if pass.work.path("out/checkpoints").exists() {
            pass.work.tree("out/checkpoints")
        } else {
            Vec::new()
        };
        let whole =
            out.iter().filter(|name| name.ends_with("/manifest.json") && !name.starts_with('.')).count();
        if whole > 0 {
            full.says(
                "the disk is full: free some space and run the same command again, which resumes from the last",
            );
            kept += 1;
        } else {
            begun += 1;
        }
        pass.assert_nothing_damaged_is_visible();
        let again = pass.work.run(&pass.command_line()).succeeds();
        assert_eq!(again.stderr.contains("from a checkpoint"), whole > 0, "{}", again.shown());
        pass.assert_same();
        pass.forget();
    }
    assert!(kept >= 3 && begun >= 1, "{kept} with a checkpoint, {begun} without");
}

#[test]
fn reading_may_fail_at_any_file() {
    every_fault(&Pass::teacher(40), "read_open", 1);
    every_fault(&Pass::training(1), "read_open", 3);
}

/// Signals at any time from the program's first line on: 75 soon, and the same command resumes.
fn stopped_often(pass: &Pass, signals: usize, dice: &mut Dice) {
    let mut stops = 0;
    while stops < signals {
        let mut child = start(&pass.work, &pass.command_line());
        wait_until_watching(&child);
        std::thread::sleep(Duration::from_millis(dice.below(pass.time.as_millis() as u64)));
        if child.try_wait().unwrap().is_none() {
            signal(&child, ["TERM", "USR1", "INT"][stops % 3]);
        }
        match wait(&mut child, Duration::from_secs(20)) {
            Some(75) => stops += 1,
            other => {
                assert_eq!(other, Some(0));
                pass.assert_same();
                pass.forget();
            }
        }
    }
    pass.work.run(&pass.command_line()).succeeds();
    pass.assert_same();
}

#[test]
fn signals_at_any_time_stop_a_run_that_can_be_resumed() {
    stopped_often(&Pass::training(8), 9, &mut Dice(0x2545_F491_4F6C_DD1D));
    stopped_often(&Pass::teacher(4096 + 100), 6, &mut Dice(0x1234_5678_9ABC_DEF1));
}

/// The tokenizer takes one row in one call, and here it needs all of the text.
#[test]
fn a_huge_row_does_not_prevent_a_stop() {
    let work = Work::new();
    crate::files::with_json(&work, "left", "tokenizer_config.json", |config| {
        config["truncation_side"] = "left".into();
    });
    // Just below what a text may have.
    let text = "what river ".repeat(2_900_000);
    work.write("huge.jsonl", format!("{{\"text\": \"{text}\"}}\n"));
    let begin = || {
        let child = start(&work, "teacher --model left --data huge.jsonl --out out");
        wait_until_watching(&child);
        std::thread::sleep(Duration::from_secs(3));
        signal(&child, "USR1");
        (child, Instant::now())
    };
    let (mut child, _) = begin();
    assert_eq!(wait(&mut child, Duration::from_secs(20)), Some(75));
    assert!(!work.path("out/manifest.json").exists());
    let (mut child, asked) = begin();
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().unwrap().is_none(), "the row is too short to be in the way");
    signal(&child, "TERM");
    assert_eq!(wait(&mut child, LIMIT), Some(75));
    assert!(asked.elapsed() < Duration::from_secs(2), "a second signal ends the run immediately");
}

#[test]
fn of_two_simultaneous_runs_one_works_and_the_other_is_refused() {
    let work = Work::with_rows();
    for round in 0..10 {
        let command = format!("finetune --model tiny --data rows.jsonl --epochs 1000000 --out race-{round}");
        let begin = || {
            let mut command_line = work.command(crate::harness::binary());
            command_line.args(command.split_whitespace());
            command_line.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
            command_line.spawn().unwrap()
        };
        let mut both = [begin(), begin()];
        both.iter().for_each(wait_until_watching);
        let began = Instant::now();
        let loser = loop {
            if let Some(at) = both.iter_mut().position(|child| child.try_wait().unwrap().is_some()) {
                break at;
            }
            assert!(began.elapsed() < Duration::from_secs(2), "both work");
            std::thread::sleep(Duration::from_millis(5));
        };
        let winner = both[1 - loser].id();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut both[loser].stderr.take().unwrap(), &mut said).unwrap();
        let text = format!("race-{round} is in use by host ");
        assert!(said.contains(&text) && said.contains(&format!(" pid {winner};")), "{said}");
        assert_eq!(both[loser].wait().unwrap().code(), Some(73));
        let winner = &mut both[1 - loser];
        assert!(winner.try_wait().unwrap().is_none(), "the winner works");
        signal(winner, "TERM");
        assert_eq!(wait(winner, LIMIT), Some(75));
    }
}

#[test]
fn foreign_files_are_ignored_and_kept() {
    let pass = Pass::training(3);
    let fault = Fault { kind: "rename", at: pass.seen.count("rename") / 2, action: "after", sticky: false };
    assert_eq!(run(&pass.work, &pass.command_line(), Some(fault)).0.code, None);
    let foreign = ["out/checkpoints/mine", "out/checkpoints/.step-x.tmp", "out/.mine.tmp", "out/notes"];
    for name in foreign {
        std::fs::create_dir(pass.work.path(name)).unwrap();
    }
    std::fs::create_dir(pass.work.path("out/checkpoints/.step-999999.tmp")).unwrap();
    std::fs::create_dir(pass.work.path("out/checkpoints/step-999998")).unwrap();
    pass.work.run(&pass.command_line()).succeeds().says("step-999998 is passed over");
    assert!(pass.work.bytes("out/model/model.safetensors") == pass.work.bytes("whole/model/model.safetensors"));
    for name in foreign {
        assert!(pass.work.path(name).exists(), "{name}");
    }
    assert!(!pass.work.path("out/checkpoints/.step-999999.tmp").exists());

    // A pipeline makes again what it made, and nothing else.
    pass.work.write(
        "p.toml",
        "out = \"runs\"\n[data]\ntrain = \"rows.jsonl\"\nmax_length = 32\n[teacher]\nmodel = \"tiny\"\n[student]\nepochs = 1\n",
    );
    std::fs::create_dir_all(pass.work.path("runs/targets/model")).unwrap();
    pass.work.write("runs/targets/model/mine.txt", "mine");
    pass.work.run("run p.toml").fails(73, &["runs/targets is not empty", "--overwrite"]);
    assert_eq!(pass.work.read("runs/targets/model/mine.txt"), "mine");
}

#[test]
fn a_file_that_changed_while_the_pass_was_stopped_is_recomputed() {
    let pass = Pass::teacher(4096 + 100);
    let fault = Fault { kind: "write", at: pass.seen.count("write"), action: "before", sticky: false };
    assert_eq!(run(&pass.work, &pass.command_line(), Some(fault)).0.code, None);
    std::fs::remove_file(pass.work.path("out/manifest.json")).unwrap();
    let progress = serde_json::to_string(&pass.work.json("whole/manifest.json")["shards"]).unwrap();
    pass.work.write("out/shards.json", progress);
    let file = "out/train-00000-of-00002.parquet";
    let mut bytes = pass.work.bytes(file);
    bytes[100] ^= 1;
    pass.work.write(file, bytes);
    let again = pass.work.run(&pass.command_line()).succeeds();
    again.says("train-00000-of-00002.parquet is not the file that was written; it is recomputed");
    pass.assert_same();
}

#[test]
fn two_runs_share_a_token_cache_and_a_damaged_one_is_rebuilt() {
    let work = Work::with_rows();
    let command = |out: &str| format!("finetune --model tiny --data rows.jsonl --epochs 2 --out {out}");
    let mut both = ["a", "b"].map(|out| start(&work, &command(out)));
    for child in &mut both {
        assert_eq!(wait(child, LIMIT), Some(0));
    }
    let caches = || work.tree("cache").into_iter().filter(|name| name.ends_with(".arrow")).collect::<Vec<_>>();
    let [arrow] = caches().try_into().unwrap();
    let whole = work.bytes(&format!("cache/{arrow}"));
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    work.write(&format!("cache/{arrow}"), damaged);
    work.run(&command("c")).succeeds().says("the token cache is built again: its blake3 is");
    assert!(work.bytes(&format!("cache/{arrow}")) == whole);
    work.run(&format!("{} --no-cache", command("d"))).succeeds();
    let weights = ["a", "b", "c", "d"].map(|out| work.bytes(&format!("{out}/model/model.safetensors")));
    assert!(weights.iter().all(|other| *other == weights[0]));
    assert_eq!(caches().len(), 1);
}
