//! What a report leaves behind: JSON by its schema, JUnit, GitHub, HTML, the model card, changes.

use serde_json::json;

use crate::harness::Work;
use crate::report::{PREDICTIONS, gated, table, tables};
use crate::validate::{assert_schema, xml};

const SCHEMA: &str = include_str!("../../docs/report.schema.json");

#[test]
fn the_json_matches_its_schema() {
    let work = tables();
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let run =
        gated(&work, "out", "accuracy >= 0.9 with confidence", &["--json", "--undecided", "pass"]).succeeds();
    assert_schema(&run.json(), &schema);
    assert_eq!(run.json(), work.json("out/report.json"), "--json prints the whole report");
    let again = gated(&work, "out", "accuracy >= 0.9 with confidence", &["--json", "--undecided", "pass"]);
    assert_eq!(again.succeeds().says("up to date").json(), run.json());
    let rows = Work::with_rows();
    rows.run("report --model teacher=tiny --model student=tiny --data test.jsonl --out out").succeeds();
    assert_schema(&rows.json("out/report.json"), &schema);
    let mut wrong = run.json();
    wrong["data"][0]["models"][0]["role"] = json!("tutor");
    assert!(std::panic::catch_unwind(|| assert_schema(&wrong, &schema)).is_err(), "the check can fail");
}

#[test]
fn gates_are_cases_of_junit() {
    let work = tables();
    let flags = ["--gate", "f1[LABEL_0] < 0.99 with confidence", "--undecided", "pass", "--junit", "gates.xml"];
    let more = [&flags[..], &["--gate", "macro_f1 >= 0.95"]].concat();
    gated(&work, "out", "accuracy >= 0.9 with confidence", &more).exits(1).says("gates.xml");
    let suites = xml(&work.read("gates.xml"));
    assert_eq!((suites.name.as_str(), suites.attribute("tests")), ("testsuites", "3"));
    assert_eq!((suites.attribute("failures"), suites.attribute("skipped")), ("1", "1"));
    let cases = &suites.children[0].children;
    let inside: Vec<&str> = cases.iter().map(|case| case.children[0].name.as_str()).collect();
    assert_eq!(inside, ["skipped", "system-out", "failure"]);
    assert_eq!(cases[1].attribute("name"), "f1[LABEL_0] < 0.99 with confidence");
    assert!(cases[1].children[0].text.starts_with("student: f1[LABEL_0] is "), "{:?}", cases[1]);
    assert!(cases[2].children[0].attribute("message").starts_with("student: macro_f1 is 0.8990"));
    assert_eq!(cases[0].attribute("classname"), "test.student");
    // Also of a report that is up to date, and never into a folder that is not there.
    let again = |junit: &'static str| {
        let flags = ["--gate", "f1[LABEL_0] < 0.99 with confidence", "--undecided", "pass", "--junit", junit];
        let more = [&flags[..], &["--gate", "macro_f1 >= 0.95"]].concat();
        gated(&work, "out", "accuracy >= 0.9 with confidence", &more)
    };
    again("second.xml").exits(1).says("up to date");
    assert_eq!(work.read("second.xml"), work.read("gates.xml"));
    again("none/gates.xml").fails(73, &["none", "--junit"]);
}

#[test]
fn a_github_job_gets_a_summary_and_annotations() {
    let work = tables();
    let summary = work.path("summary.md").to_string_lossy().into_owned();
    let environment = [("GITHUB_STEP_SUMMARY", summary.as_str()), ("GITHUB_ACTIONS", "true")];
    let arguments = format!("report {PREDICTIONS} --quiet --out out");
    let run = work.run_with(&arguments, &["--gate", "macro_f1 >= 0.95"], &environment).exits(1);
    let annotation = "::error title=Quality gate failed::macro_f1 >= 0.95 (test): student: macro_f1 is 0.8990";
    assert!(run.stderr.contains(annotation), "{}", run.shown());
    let text = work.read("summary.md");
    assert!(
        text.starts_with("# Distillation report: out, 20")
            && text.contains(" UTC\n\n**Failed.**")
            && text.contains("| macro\\_f1"),
        "{text}"
    );
    // GitHub takes 1 MiB of a step's summary; what others wrote counts, and stays.
    let others = "x".repeat((1 << 20) - 3000);
    work.write("summary.md", &others);
    work.run_with(&arguments, &["--gate", "macro_f1 >= 0.95"], &environment).exits(1);
    let text = work.read("summary.md");
    assert!(text.starts_with(&others) && text.len() <= 1 << 20 && text.len() > others.len() + 300);
    let quiet = work.run_with(&arguments, &["--gate", "macro_f1 >= 0.95"], &[]).exits(1);
    assert!(!quiet.stderr.contains("::error"), "{}", quiet.shown());
}

#[test]
fn two_reports_are_compared() {
    let work = tables();
    gated(&work, "old", "accuracy >= 0.88", &[]).exits(0);
    work.write("student.jsonl", table(4));
    gated(&work, "new", "accuracy >= 0.88", &[]).exits(1);
    let run = work.run("report --compare old new").succeeds();
    let line = run.stdout.lines().find(|line| line.contains("student") && line.contains(" accuracy ")).unwrap();
    for part in ["0.9000", "0.7500", "-0.1500", "WORSE"] {
        assert!(line.contains(part), "{part}\n{}", run.shown());
    }
    assert!(run.stdout.contains("was passed, is FAILED"), "{}", run.shown());
    let json = work.run("report --compare old/report.json new/report.json --json").succeeds().json();
    let changes = json["figures"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["metric"] == "accuracy" && change["direction"] == "worse"));
    let same = work.run("report --compare old old").succeeds();
    assert!(same.stdout.contains("every figure that both reports have is the same"), "{}", same.shown());
    work.run("report --compare old none.json").fails(2, &["none.json"]);
    work.run("report --compare old student.jsonl").fails(65, &["student.jsonl", "not a report"]);
    work.run("report --compare old").fails_usage(&["--compare"]);
    work.run("report --compare old new --out out").fails_usage(&["--compare", "--out"]);
}

#[test]
fn a_trained_student_gets_its_curves_and_its_card() {
    let work = Work::with_rows();
    let train =
        "finetune --model tiny --data rows.jsonl --epochs 2 --batch-size 4 --set finetune.log_every=2 --out ft";
    work.run(train).succeeds();
    let trained = work.read("ft/model/README.md");
    let arguments = "report --model teacher=tiny --model student=ft/model --data test.jsonl --no-timing --card";
    work.run(&format!("{arguments} --out out")).succeeds();
    let page = work.read("out/report.html");
    for chart in ["<h2>Training</h2>", "train loss", "validation loss", "train learning rate"] {
        assert!(page.contains(chart), "{chart}");
    }
    let card = work.read("ft/model/README.md");
    let made = &trained[trained.find("Made by `distill finetune`").unwrap()..trained.rfind("<!--").unwrap()];
    for part in ["model-index:", "- type: accuracy", "## Results", "## Training", made.trim_end()] {
        assert!(card.contains(part), "{part}\n{card}");
    }
    work.run(&format!("{arguments} --out out --overwrite")).succeeds();
    assert_eq!(work.read("ft/model/README.md"), card, "the card repeats");
    let golden = work.read("tiny/config.json");
    work.write("ft/model/README.md", "# Mine\n");
    work.run(&format!("{arguments} --out out --overwrite")).succeeds().says("was not written by distill");
    assert_eq!(work.read("ft/model/README.md"), "# Mine\n");
    assert!(!work.path("tiny/README.md").exists() && golden == work.read("tiny/config.json"));
}

#[test]
fn a_pipeline_fills_the_card_of_its_student() {
    let work = Work::with_rows();
    work.write(
        "p.toml",
        "[data]\ntrain = \"rows.jsonl\"\ntest = {in = \"test.jsonl\", again = \"test.jsonl\"}\n[teacher]\nmodel = \"tiny\"\n\
         [student]\nlayers = [0]\nepochs = 1\n[report]\njunit = \"gates.xml\"\ngates = [\"accuracy >= 0\"]\n",
    );
    work.run("run p.toml").succeeds();
    let card = work.read("runs/p/student/model/README.md");
    assert!(card.contains("model-index:") && card.contains("Made by `distill student`"), "{card}");
    assert!(card.contains("name: \"in\"") && card.contains("name: \"again\""), "{card}");
    assert_eq!(xml(&work.read("gates.xml")).attribute("tests"), "2");
    let again = work.run("run p.toml").succeeds().says("── report: up to date");
    assert!(again.stdout.contains("accuracy on all data sets"), "{}", again.shown());
}
