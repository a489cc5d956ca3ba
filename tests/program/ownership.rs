//! Files of a user are neither deleted nor replaced: other files in an output directory, inputs, earlier results, notes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::faults;
use crate::files;
use crate::harness::{Run, TINY, Work};

/// The content of every file outside the caches, by name.
fn contents(work: &Work) -> BTreeMap<String, Vec<u8>> {
    let is_ours =
        |name: &String| !name.starts_with("cache") && !name.ends_with('/') && !name.starts_with("tiny");
    work.tree(".").into_iter().filter(is_ours).map(|name| (name.clone(), work.bytes(&name))).collect()
}

/// Runs a command that must be refused with `parts` in the error, and must change no file.
#[track_caller]
fn is_refused(work: &Work, command: &str, parts: &[&str]) -> Run {
    let before = contents(work);
    let run = work.run(command).fails(73, parts);
    let after = contents(work);
    assert!(before.keys().eq(after.keys()), "{:?} became {:?}", before.keys(), after.keys());
    assert!(before == after, "a file was changed by {command}");
    run
}

/// A copy of the golden model, so that a defect does not delete the model itself.
fn copy_model(work: &Work, to: &str) {
    std::fs::create_dir_all(work.path(to)).unwrap();
    for entry in std::fs::read_dir(TINY).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, work.path(to).join(from.file_name().unwrap())).unwrap();
    }
}

const FINETUNE: &str = "finetune --model tiny --data rows.jsonl --epochs 1 --batch-size 8 --out ft";

#[test]
fn overwrite_never_removes_inputs() {
    let work = Work::with_targets();
    copy_model(&work, "model");
    std::fs::create_dir(work.path("checkpoints")).unwrap();
    work.write("checkpoints/mine.txt", "mine");
    is_refused(
        &work,
        "finetune --model model --data rows.jsonl --out . --overwrite",
        &["this run reads model"],
    );
    is_refused(
        &work,
        "finetune --model tiny --data rows.jsonl --out . --overwrite",
        &["this run reads rows.jsonl"],
    );
    work.run(FINETUNE).succeeds();
    is_refused(
        &work,
        "finetune --model ft/model --data rows.jsonl --out ft --overwrite",
        &["this run reads ft/model", "ft"],
    );
    is_refused(
        &work,
        "finetune --model ft/model --data rows.jsonl --out new/../ft --overwrite",
        &["this run reads ft/model"],
    );
    is_refused(
        &work,
        "student --targets targets --init ft/model --out ft --overwrite",
        &["this run reads ft/model"],
    );
    work.run("teacher --model ft/model --data rows.jsonl --out b").succeeds();
    for command in ["targets average targets b", "targets merge targets"] {
        is_refused(&work, &format!("{command} --out targets --overwrite"), &["this run reads targets"]);
    }
    std::fs::create_dir(work.path("u")).unwrap();
    std::fs::copy(work.path("rows.jsonl"), work.path("u/rows.jsonl")).unwrap();
    is_refused(
        &work,
        "augment --data u/rows.jsonl --copies 1 --out u --overwrite",
        &["this run reads u/rows.jsonl"],
    );
    is_refused(
        &work,
        "teacher --model tiny --data targets --out targets --overwrite",
        &["this run reads targets"],
    );
    is_refused(
        &work,
        "report --model ft/model --data test.jsonl --out ft/model --overwrite",
        &["this run reads ft/model"],
    );
}

#[test]
fn overwrite_refuses_files_that_no_run_wrote() {
    let work = Work::with_targets();
    for name in ["proj/train-mine.parquet", "proj/report.md", "proj/model/weights.bin", "proj/mine.txt"] {
        std::fs::create_dir_all(work.path(name).parent().unwrap()).unwrap();
        work.write(name, "mine");
        let command = "teacher --model tiny --data rows.jsonl --out proj --overwrite";
        if name != "proj/mine.txt" {
            let entry = if name.starts_with("proj/model") { "proj/model" } else { name };
            is_refused(&work, command, &[entry, "was not written by distill"]);
            if entry == name {
                std::fs::remove_file(work.path(name)).unwrap();
            } else {
                std::fs::remove_dir_all(work.path(entry)).unwrap();
            }
        } else {
            work.run(command).succeeds();
            assert_eq!(work.read(name), "mine", "a file that the run would not write stays");
        }
    }
    // Nor in the directory of an earlier run, nor a file of that run that was changed since.
    let command = "teacher --model tiny --data test.jsonl --out targets --overwrite";
    work.write("targets/train-mine.parquet", "mine");
    is_refused(&work, command, &["targets/train-mine.parquet was not written by distill"]);
    std::fs::remove_file(work.path("targets/train-mine.parquet")).unwrap();
    let manifest = work.read("targets/manifest.json");
    work.write("targets/manifest.json", format!("{manifest}\n"));
    is_refused(&work, command, &["targets/manifest.json was changed after distill wrote it"]);
    work.write("targets/manifest.json", manifest);
    work.run(command).succeeds();
    assert_eq!(work.json("targets/manifest.json")["rows"], 20);
}

/// A record of version 0.1 has no list of files.
#[test]
fn results_of_earlier_versions_are_recognised_by_content_and_replaced() {
    let work = Work::with_targets();
    work.run(FINETUNE).succeeds();
    work.run("augment --data rows.jsonl --copies 1 --out more").succeeds();
    work.run("report --model tiny --data test.jsonl --no-timing --out rep").succeeds();
    for out in ["ft", "targets", "more", "rep"] {
        let mut record = work.json(&format!("{out}/run.json"));
        assert!(record.as_object_mut().unwrap().remove("files").is_some());
        work.write(&format!("{out}/run.json"), record.to_string());
    }
    work.write("ft/model/mine.txt", "mine");
    let finetune = FINETUNE.replace("--epochs 1", "--epochs 2") + " --overwrite";
    is_refused(&work, &finetune, &["ft/model/mine.txt was not written by distill"]);
    std::fs::remove_file(work.path("ft/model/mine.txt")).unwrap();
    work.run(&finetune).succeeds();
    work.run("teacher --model tiny --data test.jsonl --out targets --overwrite").succeeds();
    work.run("augment --data rows.jsonl --copies 2 --out more --overwrite").succeeds();
    work.run("report --model tiny --data rows.jsonl --no-timing --out rep --overwrite").succeeds();
    assert_eq!(work.json("rep/run.json")["files"].as_object().unwrap().len(), 3);
    assert!(work.read("more/rows.jsonl").lines().count() > 80);
}

const PIPELINE: &str = "out = \"runs\"\n[data]\ntrain = \"rows.jsonl\"\ntest = \"test.jsonl\"\nmax_length = 32\n\
                        [finetune]\nmodel = \"tiny\"\nepochs = 1\n[student]\nlayers = [0]\nepochs = 1\n[report]\ntiming = false\n";

#[test]
fn a_pipeline_does_not_fine_tune_its_own_result() {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE);
    work.run("run p.toml").succeeds();
    work.write("p.toml", PIPELINE.replace("\"tiny\"", "\"runs/teacher/model\""));
    let parts = ["stage teacher", "this run reads runs/teacher/model", "first copy the input elsewhere"];
    for more in ["", " --overwrite", " --dry-run"] {
        is_refused(&work, &format!("run p.toml{more}"), &parts);
    }
}

#[test]
fn bad_rows_do_not_replace_an_existing_teacher() {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE);
    work.run("run p.toml").succeeds();
    work.run(FINETUNE).succeeds();
    let good = work.read("rows.jsonl");
    work.write("rows.jsonl", format!("{good}{{\"text\": 3}}\n"));
    let before = contents(&work);
    work.run("run p.toml").fails(65, &["rows.jsonl"]);
    work.run(&format!("{FINETUNE} --overwrite")).fails(65, &["rows.jsonl"]);
    work.run("teacher --model tiny --data rows.jsonl --out runs/targets --overwrite")
        .fails(65, &["rows.jsonl"]);
    assert!(before == contents(&work));
    work.write("rows.jsonl", files::jsonl(&files::rows(32, "n")));
    work.run("run p.toml").succeeds();
    assert_eq!(work.json("runs/targets/manifest.json")["rows"], 32);
    assert!(!work.tree("runs").iter().any(|name| name.contains(".tmp")), "{:?}", work.tree("runs"));
}

#[test]
fn single_files_replace_neither_inputs_nor_foreign_files() {
    let work = Work::with_targets();
    std::fs::copy(work.path("rows.jsonl"), work.path("mine.jsonl")).unwrap();
    work.write("mine.csv", "id,text\n1,a\n");
    let predict = "predict --model tiny --data rows.jsonl --overwrite --out";
    is_refused(&work, &format!("{predict} rows.jsonl"), &["would write to rows.jsonl"]);
    for mine in ["mine.jsonl", "mine.csv"] {
        is_refused(&work, &format!("{predict} {mine}"), &[mine, "was not written by distill"]);
    }
    let part = "targets/train-00000-of-00001.parquet";
    is_refused(&work, &format!("{predict} {part}"), &["belongs to the run in targets"]);
    for out in ["p.parquet", "p.jsonl", "p.csv"] {
        work.run(&format!("{predict} {out}")).succeeds();
        work.run(&format!("{predict} {out}")).succeeds();
    }
    let report = "report --model tiny --data test.jsonl --no-timing --out rep --junit";
    for mine in ["test.jsonl", "mine.csv"] {
        is_refused(&work, &format!("{report} {mine}"), &[mine]);
    }
    work.run(&format!("{report} gates.xml")).succeeds();
    work.run(&format!("{report} gates.xml")).succeeds();
    work.write("gates.xml", work.read("gates.xml") + "<!-- mine -->\n");
    is_refused(&work, &format!("{report} gates.xml"), &["gates.xml was changed after distill wrote it"]);
    is_refused(&work, &format!("{FINETUNE} --trace rows.jsonl"), &["rows.jsonl", "was not written by distill"]);
    for _ in 0..2 {
        work.run("predict --model tiny --data rows.jsonl --out t.csv --overwrite --trace t.json").succeeds();
    }
}

#[test]
fn a_sweep_replaces_only_its_own_tables() {
    let work = Work::with_rows();
    work.write(
        "p.toml",
        "[data]\ntrain = \"rows.jsonl\"\n[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 1\n",
    );
    work.write("s.toml", "[sweep]\npipeline = \"p.toml\"\n[space]\n\"student.temperature\" = [1.0, 2.0]\n");
    std::fs::create_dir(work.path("sw")).unwrap();
    work.write("sw/sweep.md", "my notes\n");
    is_refused(&work, "sweep s.toml --out sw", &["sw/sweep.md", "was not written by distill"]);
    std::fs::remove_file(work.path("sw/sweep.md")).unwrap();
    for _ in 0..2 {
        work.run("sweep s.toml --out sw").succeeds();
    }
    work.write("sw/sweep.md", work.read("sw/sweep.md") + "my notes\n");
    is_refused(&work, "sweep s.toml --out sw", &["sw/sweep.md was changed after distill wrote it"]);
}

#[test]
fn notes_in_a_model_card_stay_in_later_runs() {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE);
    work.run("run p.toml").succeeds();
    let card = "runs/student/model/README.md";
    let noted = work.read(card).replacen("---\n", "---\nlicense: mit\n", 1) + "\n## Notes\n\nFor mail alone.\n";
    work.write(card, &noted);
    work.run("run p.toml").succeeds().says("report: up to date");
    assert_eq!(work.read(card), noted, "nothing was run");
    work.write("p.toml", PIPELINE.replace("layers = [0]\nepochs = 1", "layers = [0]\nepochs = 2"));
    work.run("run p.toml").succeeds();
    let again = work.read(card);
    assert!(
        again.contains("---\nlicense: mit\n") && again.ends_with("\n## Notes\n\nFor mail alone.\n"),
        "{again}"
    );
    assert!(again.contains("the best of 2 on") && again.contains("model-index:"), "{again}");
    // A change between the marks is not lost either: the run says that it stays, and refuses to replace the model.
    let changed = again.replace("## Results", "## My results");
    work.write(card, &changed);
    work.run("run p.toml").succeeds().says("was changed between the marks that distill sets");
    assert_eq!(work.read(card), changed);
    work.write("p.toml", PIPELINE.replace("layers = [0]\nepochs = 1", "layers = [0]\nepochs = 3"));
    work.run("run p.toml").exits(73).says("runs/student/model/README.md was changed after distill wrote it");
    assert_eq!(work.read(card), changed);
}

#[test]
fn a_pipeline_locks_its_directory_for_the_whole_run() {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE.replace("epochs = 1", "epochs = 1000000"));
    work.write("s.toml", "[sweep]\npipeline = \"p.toml\"\n[space]\n\"student.temperature\" = [1.0, 2.0]\n");
    let mut running = faults::start(&work, "run p.toml --seed 1");
    faults::wait_until_watching(&running);
    let began = Instant::now();
    while !work.path("runs/teacher/metrics.jsonl").exists() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = format!(" pid {};", running.id());
    for command in ["run p.toml --seed 2", "run p.toml --seeds 1,2", "sweep s.toml --out runs"] {
        work.run(command).fails(73, &["is in use by host ", &pid]);
    }
    faults::signal(&running, "TERM");
    assert_eq!(faults::wait(&mut running, Duration::from_secs(60)), Some(75));
}

#[test]
fn an_input_that_changes_during_a_run_ends_the_run() {
    let work = Work::with_rows();
    let command = "finetune --model tiny --data rows.jsonl --epochs 60 --batch-size 4 --out ft";
    let good = work.read("rows.jsonl");
    let run = |change: &dyn Fn()| {
        let running = crate::harness::spawn(&work, command);
        let began = Instant::now();
        while !std::fs::metadata(work.path("ft/metrics.jsonl")).is_ok_and(|course| course.len() > 0) {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(5));
        }
        change();
        Run::of(command.to_owned(), running.wait_with_output().unwrap())
    };
    run(&|| work.write("rows.jsonl", files::jsonl(&files::rows(40, "x"))))
        .fails(65, &["rows.jsonl changed while it was read", "run the command again"]);
    assert!(!work.path("ft/run.json").exists() && !work.path("ft/model").exists(), "{:?}", work.tree("ft"));
    work.write("rows.jsonl", &good);
    run(&|| work.write("rows.jsonl", &good)).succeeds(); // the same content
}
