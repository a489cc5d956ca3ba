//! `distill report` from the shell: gates and their exit codes, data sets, slices, seeds, costs.

use serde_json::{Value, json};

use crate::files;
use crate::harness::{Run, Work};

/// A table of 400 rows and two labels; every `wrong`th row is predicted wrongly.
pub fn table(wrong: usize) -> String {
    table_of(0..400, wrong)
}

/// As [`table`], of other rows.
pub fn table_of(rows: std::ops::Range<usize>, wrong: usize) -> String {
    let row = |row: usize| {
        let label = row % 2;
        let hot = if row.is_multiple_of(wrong) { 1 - label } else { label };
        let logits: Vec<f64> = (0..2).map(|at| if at == hot { 2.0 } else { -1.0 }).collect();
        let text = format!("row {row} {}", "word ".repeat(row % 7));
        json!({"id": format!("r{row}"), "label": label, "logits": logits, "text": text}).to_string() + "\n"
    };
    rows.map(row).collect()
}

/// A folder with a teacher (accuracy 0.95), a student (0.90) and a baseline (0.80).
pub fn tables() -> Work {
    let work = Work::new();
    for (name, wrong) in [("teacher", 20), ("student", 10), ("baseline", 5)] {
        work.write(&format!("{name}.jsonl"), table(wrong));
    }
    work
}

pub const PREDICTIONS: &str =
    "--predictions teacher.jsonl --predictions student.jsonl --predictions baseline.jsonl";

/// A report on the tables with one gate.
pub fn gated(work: &Work, out: &str, gate: &str, more: &[&str]) -> Run {
    let more = [&["--gate", gate], more].concat();
    work.run_with(&format!("report {PREDICTIONS} --set report.resamples=1000 --out {out}"), &more, &[])
}

#[test]
fn gates_decide_the_exit_code() {
    let work = tables();
    for (at, (gate, code, word)) in [
        ("accuracy >= 0.9", 0, "pass"),
        ("macro_f1 >= 0.95", 1, "FAIL"),
        ("kept.accuracy >= 94%", 0, "pass"),
        ("kept.accuracy >= 0.99", 1, "FAIL"),
        ("drop.macro_f1 <= 0.06 vs teacher", 0, "pass"),
        ("drop.macro_f1 <= 0.01 vs teacher", 1, "FAIL"),
        ("gap_closed.accuracy >= 0.5", 0, "pass"),
        ("gap_closed.accuracy > 0.7", 1, "FAIL"),
        ("baseline: drop.accuracy <= 0.05 vs student", 1, "FAIL"),
        ("ece <= 0.06", 0, "pass"),
        ("ece <= 0.01", 1, "FAIL"),
        ("f1[LABEL_1] >= 0.85", 0, "pass"),
        ("recall[LABEL_0] >= 0.9", 1, "FAIL"),
        ("agreement >= 0.94", 0, "pass"),
        ("accuracy >= 0.8 with confidence", 0, "pass"),
        ("accuracy >= 0.95 with confidence", 1, "FAIL"),
        ("accuracy >= 0.9 with confidence", 1, "open"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = gated(&work, &format!("out{at}"), gate, &[]).exits(code);
        let line = format!("  {word}  {gate}\n");
        assert!(run.stdout.contains(&line), "{}", run.shown());
        let verdict = if code == 0 { "PASSED  student keeps 94.7 %" } else { "FAILED  student keeps 94.7 %" };
        assert!(run.stdout.starts_with(verdict), "{}", run.shown());
        let outcome = &work.json(&format!("out{at}/report.json"))["verdict"]["outcome"];
        assert_eq!(*outcome, if code == 0 { "passed" } else { "failed" });
    }
}

#[test]
fn an_undecided_gate_counts_as_configured() {
    let work = tables();
    let gate = "accuracy >= 0.9 with confidence";
    for (out, how, code) in [("a", "fail", 1), ("b", "pass", 0)] {
        let run = gated(&work, out, gate, &["--undecided", how]).exits(code);
        assert!(run.stdout.contains("  open  "), "{}", run.shown());
        let outcome = &work.json(&format!("{out}/report.json"))["gates"][0];
        assert_eq!((&outcome["state"], &outcome["passed"]), (&"undecided".into(), &json!(code == 0)));
    }
    gated(&work, "c", gate, &["--undecided", "maybe"]).fails_usage(&["maybe", "fail", "pass"]);
}

#[test]
fn a_regression_gate_compares_with_an_earlier_report() {
    let work = tables();
    gated(&work, "old", "accuracy >= 0.5", &[]).exits(0);
    let gate = "regression vs old/report.json";
    gated(&work, "same", gate, &[]).exits(0);
    gated(&work, "same", gate, &[]).exits(0).says("up to date");
    work.write("student.jsonl", table(8));
    let worse = gated(&work, "worse", gate, &[]).exits(1);
    assert!(worse.stdout.contains("student: regression is 0.02"), "{}", worse.shown());
    gated(&work, "within", "regression.accuracy <= 0.03 vs old/report.json", &[]).exits(0);
    // Another earlier report is another question, also where it lies in the same place.
    gated(&work, "old", "accuracy >= 0.5", &["--overwrite"]).exits(0);
    gated(&work, "same", gate, &[]).fails(73, &["same contains another run", "input"]);
    work.write("teacher.jsonl", table_of(0..300, 20));
    work.write("student.jsonl", table_of(0..300, 10));
    work.write("baseline.jsonl", table_of(0..300, 5));
    gated(&work, "other", gate, &[]).fails(2, &["measured on other rows"]);
    let mut old = work.json("old/report.json");
    old["schema_version"] = json!(99);
    work.write("old.json", old.to_string());
    gated(&work, "other", "regression vs old.json", &[]).fails(65, &["old.json", "schema version 99"]);
    work.write("old.json", "{\"schema\": 1}");
    gated(&work, "other", "regression vs old.json", &[]).fails(65, &["old.json", "not a report"]);
    gated(&work, "other", "regression vs none.json", &[]).fails(2, &["none.json"]);
    assert!(!work.path("other").exists());
}

#[test]
fn an_impossible_gate_is_found_before_any_work() {
    let work = tables();
    for (gate, parts) in [
        ("macro_f >= 0.9", &["did you mean macro_f1"] as &[&str]),
        ("kept.acuracy >= 0.9", &["did you mean kept.accuracy"]),
        ("accuracy >= high", &["\"high\" is not a number"]),
        ("tutor: accuracy >= 0.9", &["no model \"tutor\"", "teacher, student, baseline"]),
        ("accuracy >= 0.9 on train", &["no data set \"train\"", "there is test"]),
        ("f1[NO] >= 0.9", &["no label \"NO\"", "LABEL_0, LABEL_1"]),
        ("latency.p95 <= 20ms", &["cost was not measured"]),
    ] {
        gated(&work, "out", gate, &[]).fails(2, parts);
        assert!(!work.path("out").exists(), "{gate}");
    }
}

/// Two data sets and a column that slices are cut by, next to [`Work::with_rows`].
fn with_sets() -> Work {
    let work = Work::with_rows();
    for (name, count) in [("a", 20), ("b", 30)] {
        let rows = files::rows(count, name);
        let objects = rows.iter().enumerate().map(|(at, row)| {
            let source = ["web", "phone"][at % 2];
            json!({"id": row.id, "text": row.text, "label": row.label, "source": source, "year": 2000 + at % 3})
        });
        work.write(&format!("{name}.jsonl"), objects.map(|row| format!("{row}\n")).collect::<String>());
    }
    work
}

#[test]
fn several_data_sets_are_reported_side_by_side() {
    let work = with_sets();
    let flags = "--data in-domain=a.jsonl --data b.jsonl --no-timing";
    let run = work.run_with(
        &format!("report --model teacher=tiny --model student=tiny {flags} --out out"),
        &["--gate", "kept.accuracy >= 1 on in-domain", "--gate", "agreement >= 1"],
        &[],
    );
    let run = run.succeeds();
    for part in ["in-domain (20 rows)", "b (30 rows)", "accuracy on all data sets", "[b]"] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.shown());
    }
    let report = work.json("out/report.json");
    let names: Vec<&Value> = report["data"].as_array().unwrap().iter().map(|set| &set["name"]).collect();
    assert_eq!(names, ["in-domain", "b"], "in the order given");
    assert_eq!(report["gates"].as_array().unwrap().len(), 3, "a gate without `on` is about every data set");
    for document in ["out/report.md", "out/report.html"] {
        assert!(work.read(document).contains("All data sets"), "{document}");
    }
    work.run("report --model tiny --data x=a.jsonl --data x=b.jsonl --out o")
        .fails(2, &["the name \"x\"", "NAME="]);
    work.run("report --model tiny --data a.jsonl --data none.jsonl --out o").fails(2, &["none.jsonl"]);
}

#[test]
fn a_settings_file_may_name_several_data_sets_and_slices() {
    let work = with_sets();
    work.write(
        "s.toml",
        "[data]\ntest = {z = \"a.jsonl\", y = \"b.jsonl\"}\n[report]\nslices = [\"year\"]\nslice_min_rows = 5\n\
         timing = false\n",
    );
    work.run("report --config s.toml --model tiny --out out").succeeds();
    let report = work.json("out/report.json");
    assert_eq!((&report["data"][0]["name"], &report["data"][1]["name"]), (&"z".into(), &"y".into()));
    let slices = report["data"][1]["slices"].as_array().unwrap();
    let mut values: Vec<&str> = slices.iter().map(|slice| slice["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, ["2000", "2001", "2002"]);
    assert!(slices.iter().all(|slice| slice["by"] == "year" && slice["rows"] == 10));
    work.write("s.toml", "[data.test]\n");
    work.run("report --config s.toml --model tiny --out o").fails(2, &["data", "test", "at least one"]);
}

#[test]
fn slices_by_any_column_are_sorted_weakest_first() {
    let work = with_sets();
    let arguments = "report --model tiny --data b.jsonl --no-timing --set report.slice_min_rows=5 --out out";
    let run = work.run_with(arguments, &["--slice", "source", "--slice", "label"], &[]).succeeds();
    assert!(run.stdout.contains("files"));
    let report = work.json("out/report.json");
    let slices = report["data"][0]["slices"].as_array().unwrap();
    // By the good end of the interval, so that few rows come first only where they are weak beyond chance.
    let weakness = |slice: &Value| slice["accuracies"][0]["interval"][1].as_f64().unwrap();
    assert!(slices.windows(2).all(|pair| weakness(&pair[0]) <= weakness(&pair[1])), "weakest first");
    let by = |name: &str| slices.iter().filter(|slice| slice["by"] == name).count();
    assert_eq!((by("source"), by("label"), by("length")), (2, 5, 0));
    work.run("report --model tiny --data b.jsonl --slice sorce --out o")
        .fails(65, &["b.jsonl", "sorce", "did you mean \"source\"?"]);
    let twice = work.run("report --model tiny --data b.jsonl --slice year --slice year --out o");
    twice.fails(2, &["slices", "\"year\" twice"]);
    assert!(!work.path("o").exists());
}

#[test]
fn a_name_given_again_is_another_seed() {
    let work = tables();
    work.write("second.jsonl", table(8));
    let flags = "--predictions teacher=teacher.jsonl --predictions student=student.jsonl --predictions student=second.jsonl";
    let run =
        work.run_with(&format!("report {flags} --out out"), &["--gate", "student: accuracy >= 0.88"], &[]);
    let run = run.exits(1);
    assert!(run.stdout.contains("0.8875 +- 0.0177 (0.7287 to 1.0463)"), "{}", run.shown());
    let report = work.json("out/report.json");
    let names: Vec<&Value> = report["gates"].as_array().unwrap().iter().map(|gate| &gate["model"]).collect();
    assert_eq!(names, ["student 1", "student 2"], "a gate on the model is about each seed");
    let spread = &report["data"][0]["seeds"][0]["metrics"]["accuracy"];
    assert!((spread["mean"].as_f64().unwrap() - 0.8875).abs() < 1e-12, "{spread}");
    let twice = "report --predictions teacher=teacher.jsonl --predictions teacher=second.jsonl --out o";
    work.run(twice).fails(2, &["one teacher"]);
}

#[test]
fn costs_are_measured_and_can_be_gated() {
    let work = Work::with_rows();
    let arguments = "report --model teacher=tiny --model student=tiny --data test.jsonl --out";
    let run = work.run_with(
        &format!("{arguments} a"),
        &["--gate", "latency.p95 <= 20s", "--gate", "parameters <= 40k", "--gate", "speed_up >= 0.01x"],
        &[],
    );
    let run = run.succeeds();
    for part in ["p50 ms", "p99 ms", "rows/s", "speed-up", "32.7k"] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.shown());
    }
    work.run_with(&format!("{arguments} b"), &["--gate", "latency.p95 <= 0.001us"], &[]).exits(1);
    let report = work.json("a/report.json");
    let cost = &report["data"][0]["models"][1]["cost"];
    let latency = |name: &str| cost["latency"][name].as_f64().unwrap();
    assert!(0.0 < latency("p50_ms") && latency("p50_ms") <= latency("p95_ms"), "{cost}");
    assert!(latency("p95_ms") <= latency("p99_ms") && cost["rows_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&report["timing"]["threads"], &report["timing"]["single_rows"]), (&1.into(), &200.into()));
    assert!(work.read("a/report.html").contains("Accuracy against cost"));
    assert_eq!(report["data"][0]["models"][1]["rounds"].as_array().unwrap().len(), 5);
    // What the report is about: two of them can be told apart.
    let about = &report["about"];
    assert_eq!((&about["run"], &about["models"][0]["path"]), (&"a".into(), &"tiny".into()));
    assert!(about["date"].as_str().is_some_and(|date| date.len() == 16), "{about}");
    let student = &about["models"][1];
    assert_eq!(student["parameters"], 32709);
    assert!(student["max_length"].as_u64().is_some_and(|tokens| tokens > 0), "{student}");
    assert_eq!(student["hash"].as_str().map(str::len), Some(64));
    assert_eq!(about["data"][0]["path"], "test.jsonl");
    for document in ["a/report.md", "a/report.html"] {
        assert!(work.read(document).contains("What this report is about"), "{document}");
    }

    let files = || ["report.json", "report.md", "report.html"].map(|file| work.bytes(&format!("c/{file}")));
    work.run(&format!("{arguments} c --no-timing")).succeeds();
    let first = files();
    work.run(&format!("{arguments} c --no-timing --overwrite")).succeeds();
    assert!(first == files(), "a report without times repeats");
    assert!(!work.read("c/report.json").contains("rows_per_second"));
    let about = &work.json("c/report.json")["about"];
    assert!(about["date"].is_null() && about["models"][0]["hash"].is_string(), "{about}");
    assert_eq!(work.json("c/report.json")["data"][0]["models"][1]["cost"]["parameters"], 32709);
    let untimed = format!("{arguments} e --no-timing");
    work.run_with(&untimed, &["--gate", "latency.p95 <= 20ms"], &[]).fails(2, &["latency was not measured"]);
}

#[test]
fn a_report_that_is_stopped_leaves_nothing_and_starts_from_the_beginning() {
    let work = tables();
    for arguments in [
        format!("report {PREDICTIONS} --out out"),
        "report --model tiny --data teacher.jsonl --out out".to_owned(),
    ] {
        let run = work.run(&format!("{arguments} --max-time 0s"));
        run.fails(75, &["stopped by the time limit"]);
        assert!(!work.path("out/report.json").exists());
    }
    work.run(&format!("report {PREDICTIONS} --out out")).succeeds();
}
