//! Labels and columns that users really have: read rightly and said, or refused before anything is computed.

use serde_json::{Value, json};

use crate::files::{self, LABELS};
use crate::harness::{Run, Work};

const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/rows");

fn csv(header: &str, labels: &[&str]) -> String {
    let lines = labels.iter().enumerate().map(|(row, label)| format!("what is river {row},{label}\n"));
    format!("{header}\n{}", lines.collect::<String>())
}

fn jsonl(labels: &[Value]) -> String {
    let line = |label: &Value| format!("{}\n", json!({"text": "what is the river", "label": label}));
    labels.iter().map(line).collect()
}

/// The labels of rows as a prediction has them.
fn predicted(work: &Work, model: &str, data: &str, more: &str) -> (Vec<Value>, Run) {
    let run =
        work.run(&format!("predict --model {model} --data {data} --out p.jsonl --overwrite {more}")).succeeds();
    (work.json_lines("p.jsonl").iter().map(|row| row["label_name"].clone()).collect(), run)
}

/// A copy of the golden model with other label names.
fn named(work: &Work, model: &str, names: &[&str]) {
    let ids = names.iter().enumerate().map(|(id, name)| (id.to_string(), json!(name)));
    let ids: Value = ids.collect();
    files::with_json(work, model, "config.json", |config| {
        config["id2label"] = ids;
        config.as_object_mut().unwrap().remove("label2id");
    });
}

#[test]
fn stars_are_read_by_name_in_every_format() {
    let work = Work::new();
    named(&work, "stars", &["1", "2", "3", "4", "5"]);
    work.write("a.csv", csv("text,label", &["1", "5", "3"]));
    work.write("b.jsonl", jsonl(&[json!("1"), json!("5"), json!("3")]));
    work.write("c.jsonl", jsonl(&[json!(1), json!(5), json!(3)]));
    for data in ["a.csv", "b.jsonl", "c.jsonl"] {
        let (labels, run) = predicted(&work, "stars", data, "");
        assert_eq!(labels, ["1", "5", "3"], "{data}");
        assert_eq!(
            run.stderr.matches("numbers by name").count(),
            usize::from(data != "b.jsonl"),
            "{}",
            run.shown()
        );
    }
    let (labels, _) = predicted(&work, "stars", "a.csv", "--label-type name");
    assert_eq!(labels, ["1", "5", "3"]);
    work.write("d.csv", csv("text,label", &["0", "4"]));
    work.run("teacher --model stars --data d.csv --out t").fails(65, &["d.csv: line 2", "unknown label \"0\""]);
    let (labels, _) = predicted(&work, "stars", "d.csv", "--label-type id");
    assert_eq!(labels, ["1", "5"]);
}

#[test]
fn class_labels_are_mapped_by_name_in_every_command() {
    let work = Work::new();
    let expected: Vec<&str> = (0..20).map(|row| LABELS[row % 5]).collect();
    for order in ["same", "reversed"] {
        let data = format!("{ROWS}/class-labels-{order}.parquet");
        assert_eq!(predicted(&work, "tiny", &data, "").0, expected, "predict {order}");
        work.run(&format!("teacher --model tiny --data {data} --out {order}")).succeeds();
        let stored = files::records(&work, &format!("{order}/train-00000-of-00001.parquet"));
        assert!(stored.iter().enumerate().all(|(row, stored)| stored["label"] == row % 5), "teacher {order}");
        work.run(&format!("report --model tiny --data {data} --no-timing --out report-{order}")).succeeds();
        work.run(&format!("augment --data {data} --copies 1 --out augmented-{order}")).succeeds();
        let rows = work.json_lines(&format!("augmented-{order}/rows.jsonl"));
        let own: Vec<&Value> = rows.iter().map(|row| &row["label"]).filter(|label| !label.is_null()).collect();
        assert_eq!(own, expected.iter().map(|name| json!(name)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        work.run(&format!("finetune --model tiny --data {data} --epochs 1 --out ft-{order}")).succeeds();
        assert_eq!(work.json(&format!("ft-{order}/model/config.json"))["id2label"]["0"], "alpha");
    }
    let metrics = |order: &str| {
        work.json(&format!("report-{order}/report.json"))["data"][0]["models"][0]["metrics"].clone()
    };
    assert_eq!(metrics("same"), metrics("reversed"));
    let weights = |order: &str| work.bytes(&format!("ft-{order}/model/model.safetensors"));
    assert!(weights("same") == weights("reversed"), "the same rows train the same model");
    let other = format!("--model tiny --data {ROWS}/class-labels-other.parquet");
    let what = [
        "has the labels \"ALPHA\"",
        "\"ALPHA\" is not one of the model's",
        "--label-map FILE",
        "--label-type id",
    ];
    work.run(&format!("teacher {other} --out t")).fails(65, &what);
    work.run(&format!("report {other} --out r")).fails(65, &what);
    assert!(!work.path("t").exists());
    work.run(&format!("teacher {other} --label-type id --out ids")).succeeds();
    let names: Value = LABELS.iter().map(|name| (name.to_uppercase(), json!(name))).collect();
    work.write("map.json", names.to_string());
    work.write("names.txt", LABELS.join("\n"));
    for file in ["map.json", "names.txt"] {
        let data = format!("{ROWS}/class-labels-other.parquet");
        assert_eq!(predicted(&work, "tiny", &data, &format!("--label-map {file}")).0, expected, "{file}");
    }
}

#[test]
fn a_teacher_without_label_names_takes_them_from_a_file() {
    let work = Work::with_rows();
    named(&work, "nameless", &["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"]);
    let how = ["rows.jsonl: line 1", "unknown label \"alpha\"", "give it with --label-map FILE"];
    work.run("teacher --model nameless --data rows.jsonl --out t").fails(65, &how);
    work.write("names.txt", LABELS.join("\n"));
    work.run("teacher --model nameless --data rows.jsonl --label-map names.txt --out t").succeeds();
    let stored = files::records(&work, "t/train-00000-of-00001.parquet");
    assert!(stored.iter().enumerate().all(|(row, stored)| stored["label"] == row % 5));
    let record = work.json("t/run.json");
    assert_eq!(record["settings"]["data"]["label_map"], json!(LABELS), "what the file says, not where it lies");
    work.run("teacher --model nameless --data rows.jsonl --label-map none.txt --out u").fails(2, &["none.txt"]);
}

#[test]
fn files_without_labels_can_be_declared() {
    let work = Work::new();
    work.write("minus.jsonl", jsonl(&[json!(-1), json!(-1)]));
    let (labels, run) = predicted(&work, "tiny", "minus.jsonl", "");
    assert_eq!(labels, [Value::Null, Value::Null]);
    run.says("all labels are -1: its rows are unlabelled");
    work.write("wrong.csv", csv("text,label", &["zeta", "eta"]));
    let (labels, _) = predicted(&work, "tiny", "wrong.csv", "--label-column none");
    assert_eq!(labels, [Value::Null, Value::Null]);
}

/// pandas writes a list into a CSV cell as Python prints it.
#[test]
fn a_python_list_in_a_csv_cell_is_the_classes_of_its_row() {
    let work = Work::new();
    let cells = ["\"['anger', 'fear']\"", "\"['joy']\"", "\"[]\"", "\"['fear']\""];
    let cells: Vec<&str> = (0..16).map(|row| cells[row % 4]).collect();
    work.write("pandas.csv", csv("text,label", &cells));
    let train = "finetune --model tiny --data pandas.csv --epochs 1 --out ft";
    work.run(train)
        .fails(65, &["pandas.csv: line 2", "looks like a list of labels", "multi_label_classification"]);
    assert!(!work.path("ft/model").exists());
    work.run(&format!("{train} --problem-type multi_label_classification")).succeeds();
    let names = &work.json("ft/model/config.json")["id2label"];
    assert_eq!(names, &json!({"0": "anger", "1": "fear", "2": "joy"}));
    work.run("predict --model ft/model --data pandas.csv --out p.jsonl").succeeds();
    let read: Vec<Value> = work.json_lines("p.jsonl").iter().map(|row| row["label_names"].clone()).collect();
    let expected = [json!(["anger", "fear"]), json!(["joy"]), json!([]), json!(["fear"])];
    assert!(read.iter().enumerate().all(|(row, labels)| *labels == expected[row % 4]), "{read:?}");
}

/// Two classes that a person takes for one: spaces are trimmed, and a difference of case is said with its counts.
#[test]
fn labels_that_differ_in_case_are_counted_and_spaces_are_trimmed() {
    let work = Work::new();
    let cells = ["\"yes\"", "\"Yes\"", "\" yes\"", "\"no\""];
    let cells: Vec<&str> = (0..16).map(|row| cells[row % 4]).collect();
    work.write("variants.csv", csv("text,label", &cells));
    let run = work.run("finetune --model tiny --data variants.csv --epochs 1 --out ft").succeeds();
    run.says("\"Yes\" (4 rows) and \"yes\" (8 rows)");
    let names = &work.json("ft/model/config.json")["id2label"];
    assert_eq!(names, &json!({"0": "Yes", "1": "no", "2": "yes"}));
    let (read, _) = predicted(&work, "ft/model", "variants.csv", "");
    assert_eq!(read[..4], ["yes", "Yes", "yes", "no"]);
}

#[test]
fn near_misses_of_column_names_and_separators_are_recognised() {
    let work = Work::new();
    work.write("space.csv", csv("text, label", &["alpha", "beta"]));
    work.write("capital.csv", csv("text,Label", &["alpha", "beta"]));
    work.write("semicolon.csv", csv("text,label", &["alpha", "beta"]).replace(',', ";"));
    let said = ["column \" label\" is used", "column \"Label\" is used", "the separator ';', not ','"];
    for (data, said) in ["space.csv", "capital.csv", "semicolon.csv"].into_iter().zip(said) {
        let (labels, run) = predicted(&work, "tiny", data, "");
        assert_eq!(labels, ["alpha", "beta"], "{data}");
        assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.shown());
    }
    predicted(&work, "tiny", "semicolon.csv", "--delimiter ;");
    // What is read is hashed, from the first byte once, and compared with the hash of the file.
    work.run("teacher --model tiny --data semicolon.csv --out t").succeeds();
    let asked = work.run("predict --model tiny --data space.csv --out q.jsonl --delimiter ;");
    asked.fails(65, &["space.csv: no column \"text\""]);
    work.run("predict --model tiny --data space.csv --out q.jsonl --delimiter ;;")
        .fails(2, &["expected one character"]);
    work.write("labels.csv", csv("text,labels", &["alpha", "beta"]));
    predicted(&work, "tiny", "labels.csv", "").1.says("give --label-column \"labels\"");
}

#[test]
fn fine_tuning_refuses_one_class_and_reads_sparse_codes_as_names() {
    let work = Work::new();
    let one: Vec<&str> = vec!["pos"; 16];
    work.write("one.csv", csv("text,label", &one));
    let refused = work.run("finetune --model tiny --data one.csv --epochs 1 --out out");
    refused.fails(65, &["one.csv: all 16 labelled rows have the label \"pos\"", "at least two classes"]);
    let sparse: Vec<&str> = (0..16).map(|row| ["10", "20", "35010"][row % 3]).collect();
    work.write("sparse.csv", csv("text,label", &sparse));
    let run = work.run("finetune --model tiny --data sparse.csv --epochs 1 --out ft").succeeds();
    run.says("3 different numbers from 10 to 35010: read as names");
    let names = &work.json("ft/model/config.json")["id2label"];
    assert_eq!(names, &json!({"0": "10", "1": "20", "2": "35010"}));
    assert_eq!(
        predicted(&work, "ft/model", "sparse.csv", "").0,
        sparse,
        "later commands read them as names too"
    );
}

#[test]
fn multi_hot_labels_from_rows_through_copies_to_soft_targets() {
    let work = Work::new();
    let vectors: Vec<Value> =
        (0..16).map(|row| json!([f64::from(row % 2), f64::from(row / 2 % 2), 1.0])).collect();
    work.write("rows.jsonl", jsonl(&vectors));
    let kind = "--problem-type multi_label_classification";
    work.run(&format!("finetune --model tiny --data rows.jsonl {kind} --epochs 1 --out ft")).succeeds();
    let expected: Vec<Value> =
        vectors.iter().map(|bits| (0..3).filter(|at| bits[at] == 1.0).map(|at| json!(at)).collect()).collect();
    let labels = |data: &str, more: &str, out: &str| {
        work.run(&format!("teacher --model ft/model --data {data} {more} --out {out}")).succeeds();
        let stored = files::records(&work, &format!("{out}/train-00000-of-00001.parquet"));
        stored.into_iter().map(|row| row["label"].clone()).filter(|label| !label.is_null()).collect::<Vec<_>>()
    };
    assert_eq!(labels("rows.jsonl", "", "t"), expected);
    for (asked, out) in [("", "a"), ("--label-type multi_hot", "b")] {
        work.run(&format!("augment --data rows.jsonl {kind} --copies 1 {asked} --out {out}")).succeeds();
        assert_eq!(labels(&format!("{out}/rows.jsonl"), asked, &format!("t{out}")), expected, "{asked}");
    }
}
