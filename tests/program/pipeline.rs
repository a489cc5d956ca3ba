//! `distill run`: every stage once, then only what is out of date.

use crate::harness::Work;

const PIPELINE: &str = r#"
out = "runs/p"
[data]
train = "rows.jsonl"
test = "test.jsonl"
[finetune]
model = "tiny"
epochs = 1
[student]
layers = [0, 2]
epochs = 1
no_teacher_baseline = true
[report]
gates = ["accuracy >= 0.999"]
"#;

const STAGES: [&str; 5] = ["teacher", "targets", "student", "baseline", "report"];

fn work() -> Work {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE);
    work
}

#[test]
fn all_stages_then_nothing_then_only_what_changed() {
    let work = work();
    let planned = work.run("run p.toml --dry-run").succeeds();
    assert!(
        planned.stdout.starts_with("teacher: would run, because there is no result yet\n"),
        "{}",
        planned.shown()
    );
    assert!(planned.stdout.contains("report: would run, because teacher runs first"), "{}", planned.shown());
    assert!(!work.path("runs").exists());

    let first = work.run("run p.toml").exits(1);
    assert!(
        first.stderr.contains("── stage 2 of 5 ── targets: teacher → runs/p/targets ("),
        "{}",
        first.shown()
    );
    for stage in STAGES {
        assert!(first.stderr.contains(&format!("── {stage}: done in")), "{stage}\n{}", first.shown());
        assert_eq!(work.json(&format!("runs/p/{stage}/run.json"))["format_version"], 1);
    }
    let settings = &work.json("runs/p/baseline/run.json")["settings"]["student"];
    assert_eq!((settings["soft_weight"].as_f64(), settings["hard_weight"].as_f64()), (Some(0.0), Some(1.0)));
    let verdict = |stdout: &str| stdout[stdout.find("FAILED").unwrap()..].to_owned();

    let weights = work.bytes("runs/p/student/model/model.safetensors");
    let second = work.run("run p.toml").exits(1);
    for stage in STAGES {
        assert!(second.stderr.contains(&format!("── {stage}: up to date")), "{stage}\n{}", second.shown());
    }
    assert_eq!(verdict(&second.stdout), verdict(&first.stdout), "the report is shown again");
    assert!(second.stdout.starts_with("FAILED"), "{}", second.shown());
    assert!(weights == work.bytes("runs/p/student/model/model.safetensors"));

    let planned = work.run("run p.toml --set student.epochs=2 --dry-run").succeeds();
    let expected = "teacher: up to date\ntargets: up to date\nstudent: would run, because setting student.epochs changed: 1 → 2\n";
    assert!(planned.stdout.starts_with(expected), "{}", planned.shown());
    let planned = work.run("run p.toml --set student.soft_weight=0.7 --dry-run").succeeds();
    assert!(
        planned.stdout.contains("baseline: up to date\nreport: would run, because student"),
        "{}",
        planned.shown()
    );
    let third = work.run("run p.toml --set student.epochs=2").exits(1).says("── targets: up to date");
    assert!(
        third.stderr.contains("── student: student → runs/p/student (setting student.epochs changed: 1 → 2)"),
        "{}",
        third.shown()
    );
    assert_eq!(work.json("runs/p/student/run.json")["results"]["epochs"], 2);

    let gates =
        work.run_with("run p.toml --set student.epochs=2 --set", &["report.gates=[\"accuracy >= 0\"]"], &[]);
    gates
        .succeeds()
        .says("── baseline: up to date")
        .says("── report: report → runs/p/report (setting report.gates changed");
}

#[test]
fn changed_rows_repeat_every_stage_and_a_moved_file_none() {
    let work = work();
    let only = |rows: &str| {
        format!(
            "run p.toml --set student.no_teacher_baseline=false --set report.gates=[] --set data.train={rows}"
        )
    };
    work.run(&only("rows.jsonl")).succeeds();
    work.write("moved.jsonl", work.read("rows.jsonl"));
    let moved = work.run(&only("moved.jsonl")).succeeds();
    assert!(!moved.stderr.contains("done in"), "{}", moved.shown());
    work.write(
        "moved.jsonl",
        work.read("rows.jsonl").lines().skip(1).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let changed = work.run(&only("moved.jsonl")).succeeds();
    assert!(
        changed.stderr.contains("── teacher: finetune → runs/p/teacher (input data changed: "),
        "{}",
        changed.shown()
    );
    assert_eq!(work.json("runs/p/targets/manifest.json")["rows"], 39);
}

#[test]
fn json_is_one_document_on_stdout() {
    let work = work();
    let first = work.run("run p.toml --json").exits(1).json();
    assert_eq!(first["targets"]["results"]["rows"], 40);
    assert_eq!(first["report"]["results"]["gates_passed"], false);
    let planned = work.run("run p.toml --json --dry-run --seed 7").succeeds().json();
    assert!(planned["teacher"]["why"].as_str().unwrap().contains("setting seed changed: 42 → 7"), "{planned}");
    let second = work.run("run p.toml --json").exits(1).json();
    assert_eq!(second["student"]["ran"], false);
    assert_eq!(second["student"]["results"], first["student"]["results"]);
}

#[test]
fn a_stage_that_fails_is_named_and_earlier_results_are_kept() {
    let work = work();
    let failed = work.run("run p.toml --set student.learning_rate=1e30 --set student.log_every=1");
    failed.exits(70).says("error: stage student: the loss is NaN");
    assert!(work.path("runs/p/targets/manifest.json").exists());
    assert!(!work.path("runs/p/student/model").exists());
    work.run("run p.toml").exits(1).says("── targets: up to date");
}

#[test]
fn without_a_test_file_there_is_no_report_and_a_message_says_so() {
    let work = work();
    work.write(
        "q.toml",
        "[data]\ntrain = \"rows.jsonl\"\n[teacher]\nmodel = \"tiny\"\ntext = false\n[student]\nepochs = 1\n",
    );
    work.run("run q.toml").succeeds().says("no report: data.test is not set");
    assert!(work.path("runs/q/student/model/model.safetensors").exists());
    assert!(!work.path("runs/q/teacher").exists());
    assert_eq!(work.json("runs/q/student/run.json")["inputs"]["data"].as_str().map(str::len), Some(64));
}

#[test]
fn a_student_of_another_store_needs_no_teacher_pass() {
    let work = Work::with_targets();
    work.write(
        "q.toml",
        "[data]\ntrain = \"rows.jsonl\"\n[student]\ninit = \"tiny\"\ntargets = \"targets\"\nepochs = 1\n",
    );
    work.run("run q.toml").succeeds();
    assert!(work.path("runs/q/student/model/model.safetensors").exists());
    assert!(!work.path("runs/q/targets").exists());
}

#[test]
fn a_stage_whose_result_is_missing_is_repeated() {
    let work = work();
    let run = "run p.toml --set student.no_teacher_baseline=false --set report.gates=[]";
    work.run(run).succeeds();
    let weights = work.bytes("runs/p/teacher/model/model.safetensors");
    std::fs::remove_dir_all(work.path("runs/p/teacher/model")).unwrap();
    std::fs::remove_file(work.path("runs/p/report/report.html")).unwrap();
    let planned = work.run(&format!("{run} --dry-run")).succeeds().stdout;
    assert!(planned.starts_with("teacher: would run, because model/config.json is missing\n"), "{planned}");
    let again = work.run(run).succeeds();
    assert!(
        again.stderr.contains("── teacher: finetune → runs/p/teacher (model/config.json is missing)"),
        "{}",
        again.shown()
    );
    assert!(again.stderr.contains("── targets: up to date"), "the same teacher again\n{}", again.shown());
    assert!(
        again.stderr.contains("── report: report → runs/p/report (report.html is missing)"),
        "{}",
        again.shown()
    );
    assert!(weights == work.bytes("runs/p/teacher/model/model.safetensors"));
    std::fs::remove_file(work.path("runs/p/targets/train-00000-of-00001.parquet")).unwrap();
    let again = work.run(run).succeeds();
    assert!(
        again.stderr.contains("── targets: teacher → runs/p/targets (runs/p/targets/train-00000"),
        "{}",
        again.shown()
    );
    let alone = work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    std::fs::remove_file(work.path("ft/model/model.safetensors")).unwrap();
    let again = work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    again.says("ft: model/model.safetensors is missing; repeating it");
    assert!(work.path("ft/model/model.safetensors").exists(), "{}", alone.shown());
}
