//! Logits from any program, and the rows that they are about.

use serde_json::{Value, json};

use crate::harness::Work;
use crate::report::{table, table_of, tables};

/// The same table with something else in each object.
fn changed(table: &str, change: impl Fn(&mut Value)) -> String {
    let object = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        change(&mut object);
        format!("{object}\n")
    };
    table.lines().map(object).collect()
}

fn accuracy(work: &Work, out: &str, model: usize) -> f64 {
    let figure = &work.json(&format!("{out}/report.json"))["data"][0]["models"][model]["metrics"]["accuracy"];
    figure["value"].as_f64().unwrap()
}

#[test]
fn labels_and_texts_may_come_from_the_data() {
    let work = Work::new();
    let bare = changed(&table(10), |row| {
        let row = row.as_object_mut().unwrap();
        row.remove("label");
        row.remove("text");
    });
    // In another order than the rows.
    work.write("student.jsonl", bare.lines().rev().map(|line| format!("{line}\n")).collect::<String>());
    work.write("teacher.jsonl", changed(&table(20), |row| row["label"] = Value::Null));
    work.write(
        "data.jsonl",
        changed(&table(20), |row| {
            let label = row["label"] == 1;
            row["label"] = json!(if label { "yes" } else { "no" });
            row["source"] = json!(if label { 3 } else { 4 });
        }),
    );
    let flags = "--predictions teacher.jsonl --predictions student.jsonl --data data.jsonl";
    work.run(&format!("report {flags} --labels no,yes --slice source --slice length --out out")).succeeds();
    assert!((accuracy(&work, "out", 1) - 0.9).abs() < 1e-12);
    let report = work.json("out/report.json");
    assert_eq!(report["data"][0]["name"], "data");
    assert_eq!(report["data"][0]["labels"], json!(["no", "yes"]));
    assert!(report["data"][0]["slices"].as_array().unwrap().iter().any(|slice| slice["by"] == "source"));
    assert!(report["data"][0]["errors"][0]["lost_rows"][0]["text"].as_str().unwrap().starts_with("row "));
    work.run(&format!("report {flags} --out o")).fails(65, &["--labels", "unknown label"]);
    work.run(&format!("report {flags} --labels no,yes,maybe --out o")).fails(65, &["2 logits", "3 labels"]);
    assert!(!work.path("o").exists());
}

#[test]
fn predictions_for_other_rows_are_refused_before_anything_is_written() {
    let work = tables();
    let refused = |name: &str, content: String, parts: &[&str]| {
        work.write(&format!("{name}.jsonl"), content);
        let flags = format!("--predictions teacher.jsonl --predictions student={name}.jsonl");
        work.run(&format!("report {flags} --out out")).fails(65, parts);
        work.run(&format!("report {flags} --data teacher.jsonl --out out")).fails(65, parts);
        assert!(!work.path("out").exists());
    };
    refused("fewer", table_of(0..399, 10), &["student lacks 1 (\"r399\")"]);
    refused("more", table_of(0..402, 10), &["student has besides 2 (\"r400\", \"r401\")"]);
    refused("other", table_of(1..401, 10), &["lacks 1 (\"r0\") and has besides 1 (\"r400\")"]);
    let twice = table(10) + table(10).lines().next().unwrap() + "\n";
    refused("twice", twice, &["rows 1 and 401 have the same id \"r0\""]);
    let relabelled = changed(&table(10), |row| {
        if row["id"] == "r7" {
            row["label"] = json!(0);
        }
    });
    refused("relabelled", relabelled, &["row id \"r7\": the label is \"LABEL_1\"", "\"LABEL_0\" in student"]);
    refused("nan", table(10).replacen("2.0", "1e39", 1), &["nan.jsonl", "line 1", "logit 1 is inf", "\"r0\""]);
    let one = |row: &mut Value| row["label"] = json!(1);
    work.write("one.jsonl", changed(&table(10), one));
    work.run("report --predictions one.jsonl --out out").fails(65, &["at least two classes"]);
    work.write("empty.jsonl", "");
    work.run("report --predictions empty.jsonl --out out").fails(65, &["no rows"]);
    let three = |row: &mut Value| row["logits"] = json!([1, 2, 3]);
    work.write("three.jsonl", changed(&table(10), three));
    work.run("report --predictions teacher.jsonl --predictions three.jsonl --out out").fails(65, &["label"]);
    work.run("report --predictions teacher.jsonl --slice source --out out").fails(2, &["source", "--data"]);
    work.run("report --predictions teacher.jsonl --model tiny --out out")
        .fails_usage(&["--predictions", "--model"]);
    assert!(!work.path("out").exists());
}

#[test]
fn predictions_may_be_probabilities_and_csv() {
    let work = tables();
    let softmax = changed(&table(10), |row| {
        let logits: Vec<f64> = row["logits"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        row["probabilities"] = logits.iter().map(|logit| logit.exp() / sum).collect();
        row.as_object_mut().unwrap().remove("logits");
    });
    work.write("p.jsonl", softmax);
    let csv = |row: Value| format!("{},{},\"{}\"\n", row["id"].as_str().unwrap(), row["label"], row["logits"]);
    let rows = table(10).lines().map(|line| csv(serde_json::from_str(line).unwrap())).collect::<String>();
    work.write("c.csv", format!("id,label,logits\n{rows}"));
    work.run("report --predictions a=student.jsonl --predictions b=p.jsonl --predictions c=c.csv --out out")
        .succeeds();
    let report = work.json("out/report.json");
    let metrics = |model: usize| &report["data"][0]["models"][model]["metrics"];
    for metric in ["accuracy", "macro_f1", "log_loss", "ece", "roc_auc"] {
        let value = |model: usize| metrics(model)[metric]["value"].as_f64().unwrap();
        assert!((value(0) - value(1)).abs() < 1e-6, "{metric}: {} {}", value(0), value(1));
        assert_eq!(value(0), value(2), "{metric}");
    }
}

#[test]
fn predictions_say_which_data_set_they_are_about() {
    let work = tables();
    for (name, wrong) in [("ct", 8), ("cs", 4)] {
        work.write(&format!("{name}.jsonl"), table_of(500..700, wrong));
    }
    let flags = "--predictions teacher@in=teacher.jsonl --predictions student@in=student.jsonl \
                 --predictions teacher@cross=ct.jsonl --predictions student@cross=cs.jsonl";
    let gates = ["--gate", "accuracy >= 0.85 on in", "--gate", "student: drop.accuracy <= 0.2 on cross"];
    work.run_with(&format!("report {flags} --out out"), &gates, &[]).succeeds();
    let report = work.json("out/report.json");
    assert_eq!((&report["data"][0]["name"], &report["data"][1]["name"]), (&"in".into(), &"cross".into()));
    assert_eq!(report["data"][1]["rows"], 200);
    work.run(&format!("report {flags} --predictions baseline.jsonl --out o"))
        .fails(2, &["baseline.jsonl", "give its data set", "in, cross"]);
    work.run(&format!("report {flags} --data in=teacher.jsonl --out o"))
        .fails(2, &["\"cross\"", "--data has in"]);
}
