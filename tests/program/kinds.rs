//! Several classes a row, and numbers: from rows over a teacher and a student to a report.

use serde_json::{Value, json};

use crate::files;
use crate::harness::{Work, lines};
use crate::validate::assert_schema;

const MULTI: &str = "multi_label_classification";
const REGRESSION: &str = "regression";

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap()
}

/// A row's classes are the words of its text that are a class; `None` for a row without label.
fn classes(row: &files::Row) -> Option<Vec<&'static str>> {
    let known = ["city", "river", "who"];
    let number: usize = row.id[1..].parse().unwrap();
    (number % 11 != 10).then(|| known.into_iter().filter(|name| row.text.contains(name)).collect())
}

/// A row's number is how many words it has, and a half.
fn number(row: &files::Row) -> Option<f64> {
    let index: usize = row.id[1..].parse().unwrap();
    (index % 11 != 10).then(|| row.text.split(' ').count() as f64 - 0.5)
}

fn jsonl(rows: &[files::Row], label: impl Fn(&files::Row) -> Value) -> String {
    rows.iter()
        .map(|row| format!("{}\n", json!({"id": row.id, "text": row.text, "label": label(row)})))
        .collect()
}

/// Training rows that are all labelled, and test rows of which some are not.
fn rows(work: &Work, label: impl Fn(&files::Row) -> Value) {
    let all = files::rows(60, "r");
    let labelled: Vec<files::Row> = all.into_iter().filter(|row| !label(row).is_null()).collect();
    work.write("rows.jsonl", jsonl(&labelled, &label));
    work.write("test.jsonl", jsonl(&files::rows(40, "t"), &label));
}

/// A folder whose rows have several classes each.
pub fn several_classes() -> Work {
    let work = Work::new();
    rows(&work, |row| json!(classes(row)));
    work
}

/// Micro F1 of JSON lines of `predict`, by hand.
fn micro_f1(rows: &[Value]) -> f64 {
    let (mut hits, mut sum) = (0, 0);
    for row in rows.iter().filter(|row| !row["label"].is_null()) {
        let (label, predicted) = (row["label"].as_array().unwrap(), row["prediction"].as_array().unwrap());
        hits += predicted.iter().filter(|class| label.contains(class)).count();
        sum += label.len() + predicted.len();
    }
    2.0 * hits as f64 / sum as f64
}

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[test]
fn multi_label_from_rows_to_a_report() {
    let work = several_classes();
    let train = "--epochs 12 --batch-size 8 --learning-rate 3e-3";
    let finetune = format!("finetune --model tiny --data rows.jsonl --problem-type {MULTI} {train} --out ft");
    let finetuned = work.run(&finetune).succeeds().says("loss = 1 · BCE(student_logits, labels)");
    assert!(finetuned.stdout.contains("micro F1"), "{}", finetuned.shown());
    let config = work.json("ft/model/config.json");
    assert_eq!((&config["problem_type"], &config["id2label"]["0"]), (&json!(MULTI), &json!("city")));
    let record = work.json("ft/run.json");
    assert_eq!(record["settings"]["finetune"]["best_metric"], "micro_f1");
    assert!(record["results"]["validation"]["micro_f1"].is_f64(), "{record}");

    work.run("teacher --model ft/model --data rows.jsonl --out targets").succeeds();
    assert_eq!(work.json("targets/manifest.json")["fingerprint"]["problem_type"], MULTI);
    let stored = files::records(&work, "targets/train-00000-of-00001.parquet");
    let given = lines(&work.read("rows.jsonl"));
    let ids = |names: &Value| -> Value {
        let place = |name: &Value| ["city", "river", "who"].iter().position(|known| name == known);
        names.as_array().unwrap().iter().map(|name| json!(place(name).unwrap())).collect()
    };
    assert!(stored.iter().zip(&given).all(|(stored, given)| stored["label"] == ids(&given["label"])));
    let info = work.run("targets info targets --json").succeeds().json();
    assert!(info["label_agreement"].as_f64().unwrap() > 0.5, "{info}");

    let student = format!("student --targets targets --init ft/model --layers 0,2 {train} --out st");
    let student = work.run(&student).succeeds();
    assert!(student.stderr.contains("0.5 · BCE(student_logits, labels)"), "{}", student.shown());
    assert!(student.stderr.contains("KL(sigmoid(teacher_logits/2) ‖ sigmoid(student_logits/2))"));
    assert_eq!(work.json("st/run.json")["settings"]["student"]["loss"], "bce");

    let report = "report --model teacher=ft/model --model student=st/model --data test.jsonl --no-timing --card \
                  --gate micro_f1>=0.01 --gate kept.micro_f1>=0.01 --gate f1[city]>=0 --junit junit.xml --out report";
    let printed = work.run(report).succeeds();
    assert!(printed.stdout.contains("of the micro F1 of teacher"), "{}", printed.shown());
    let report = work.json("report/report.json");
    assert_schema(&report, &schema());
    let models = &report["data"][0]["models"];
    for (model, directory) in [(&models[0], "ft"), (&models[1], "st")] {
        let out = format!("{directory}.jsonl");
        work.run(&format!("predict --model {directory}/model --data test.jsonl --out {out}")).succeeds();
        near(&model["metrics"]["micro_f1"]["value"], micro_f1(&work.json_lines(&out)));
        let interval = &model["metrics"]["macro_f1"]["interval"];
        assert!(interval[0].as_f64().unwrap() < interval[1].as_f64().unwrap(), "{interval}");
        for name in ["subset_accuracy", "hamming_loss", "samples_f1", "weighted_f1", "roc_auc", "log_loss"] {
            assert!(model["metrics"][name]["interval"][1].is_f64(), "{name}");
        }
        assert_eq!(model["classes"].as_array().unwrap().len(), 3);
    }
    assert_eq!((&report["data"][0]["rows"], &report["data"][0]["labelled"]), (&json!(40), &json!(37)));
    assert!(models[1]["metrics"]["agreement"]["value"].is_f64() && models[1]["confusion"].is_null());
    assert!(report["data"][0]["comparisons"][0]["differences"]["micro_f1"]["interval"][0].is_f64());
    for document in ["report/report.md", "report/report.html", "st/model/README.md"] {
        assert!(work.read(document).contains("river"), "{document}");
    }
    let row = &work.json_lines("st.jsonl")[0];
    assert_eq!(row["probabilities"].as_array().unwrap().len(), 3);
    work.run("predict --model st/model --data test.jsonl --out st.csv").succeeds();
    assert!(work.read("st.csv").starts_with("row,id,label,prediction,probabilities\n0,t0,"));
}

#[test]
fn regression_from_rows_to_a_report() {
    let work = Work::new();
    rows(&work, |row| json!(number(row)));
    let train = "--epochs 12 --batch-size 8 --learning-rate 3e-3";
    let finetune =
        format!("finetune --model tiny --data rows.jsonl --problem-type {REGRESSION} {train} --out ft");
    let finetuned = work.run(&finetune).succeeds().says("loss = 1 · MSE(student_logits, labels)");
    assert!(finetuned.stdout.contains("validation MSE"), "{}", finetuned.shown());
    let config = work.json("ft/model/config.json");
    assert_eq!(
        (&config["problem_type"], config["id2label"].as_object().unwrap().len()),
        (&json!(REGRESSION), 1)
    );

    work.run("teacher --model ft/model --data rows.jsonl --out targets").succeeds();
    let student = format!("student --targets targets --init ft/model --layers 0,2 {train} --out st");
    let student = work.run(&student).succeeds();
    assert!(student.stderr.contains("(student_logits − teacher_logits)²"), "{}", student.shown());
    assert_eq!(work.json("st/run.json")["settings"]["student"]["best_metric"], "mse");

    let report = "report --model teacher=ft/model --model student=st/model --data test.jsonl --no-timing --card \
                  --gate rmse<=100 --gate drop.mae<=100 --out report";
    work.run(report).succeeds();
    let report = work.json("report/report.json");
    assert_schema(&report, &schema());
    let models = &report["data"][0]["models"];
    for (model, directory) in [(&models[0], "ft"), (&models[1], "st")] {
        let out = format!("{directory}.jsonl");
        work.run(&format!("predict --model {directory}/model --data test.jsonl --out {out}")).succeeds();
        let rows = work.json_lines(&out);
        let errors = rows.iter().filter_map(|row| Some(row["label"].as_f64()? - row["prediction"].as_f64()?));
        let errors: Vec<f64> = errors.collect();
        assert_eq!(errors.len(), 37);
        let mse = errors.iter().map(|error| error * error).sum::<f64>() / 37.0;
        let found = model["metrics"]["mse"]["value"].as_f64().unwrap();
        assert!((found / mse - 1.0).abs() < 1e-6, "{found}, not {mse}");
        for name in ["rmse", "mae", "r2", "pearson", "spearman"] {
            let interval = &model["metrics"][name]["interval"];
            assert!(interval[0].as_f64().unwrap() < interval[1].as_f64().unwrap(), "{name}: {interval}");
        }
        assert_eq!(model["scatter"].as_array().unwrap().len(), 37);
    }
    assert!(models[1]["metrics"]["teacher_mse"]["value"].is_f64());
    assert!(work.read("report/report.html").contains("Labels and values of student"));
    assert!(work.read("st/model/README.md").contains("A model that gives a text a number."));
}

#[test]
fn every_format_holds_several_classes_and_errors_name_the_row() {
    let work = Work::new();
    rows(&work, |row| json!(classes(row)));
    let all: Vec<files::Row> = files::rows(60, "r").into_iter().filter(|row| classes(row).is_some()).collect();
    let cell = |row: &files::Row| match classes(row).unwrap().as_slice() {
        [] => "|".to_owned(),
        names => names.join("|"),
    };
    let csv: String = all.iter().map(|row| format!("{},{},{}\n", row.id, row.text, cell(row))).collect();
    work.write("rows.csv", format!("id,text,label\n{csv}"));
    let finetune = |data: &str, out: &str| {
        work.run(&format!("finetune --model tiny --data {data} --problem-type {MULTI} --epochs 1 --out {out}"))
    };
    finetune("rows.jsonl", "a").succeeds();
    finetune("rows.csv", "b").succeeds();
    assert_eq!(work.bytes("a/model/model.safetensors"), work.bytes("b/model/model.safetensors"));

    work.write(
        "bad.jsonl",
        "{\"text\": \"a\", \"label\": [\"city\"]}\n{\"text\": \"b\", \"label\": [\"who\", \"who\"]}\n",
    );
    finetune("bad.jsonl", "c").fails(65, &["bad.jsonl: line 2: column \"label\"", "\"who\" occurs twice"]);
    work.write(
        "bad.jsonl",
        "{\"text\": \"a\", \"label\": [\"city\"]}\n{\"text\": \"b\", \"label\": [\"citty\"]}\n",
    );
    let teacher = "teacher --model a/model --data bad.jsonl --out c";
    work.run(teacher).fails(65, &["bad.jsonl: line 2", "unknown label \"citty\"", "did you mean \"city\"?"]);
    work.write("bad.csv", "text,label\na,1.5\nb,much\n");
    work.run(&format!("finetune --model tiny --data bad.csv --problem-type {REGRESSION} --out c"))
        .fails(65, &["bad.csv: line 3: column \"label\": \"much\" is not a number"]);

    work.run("teacher --model a/model --data rows.jsonl --out targets").succeeds();
    let student = "student --targets targets --init a/model --epochs 1 --out c";
    work.run(&format!("{student} --loss kl")).fails(2, &["loss is kl", "one label takes from another"]);
    work.run(&format!("{student} --set student.best_metric=accuracy"))
        .fails(2, &["\"micro_f1\", \"macro_f1\""]);
    work.run(&format!("{student} --problem-type {REGRESSION}")).fails(
        2,
        &["data.problem_type is regression", "that of the soft targets is multi_label_classification"],
    );
    work.run(&format!("teacher --model tiny --data rows.csv --problem-type {MULTI} --out c"))
        .fails(2, &["the model's is single_label_classification"]);
    work.run("report --model a=a/model --model b=tiny --data rows.jsonl --out c")
        .fails(65, &["a report covers only one"]);
    assert!(!work.path("c/model").exists() && !work.path("c/report.json").exists());
}

#[test]
fn a_report_reads_multi_label_and_regression_tables_of_other_programs() {
    let work = Work::new();
    let table = |shift: f64| -> String {
        let row = |row: usize| {
            let label: Vec<usize> = (0..3).filter(|class| (row + class).is_multiple_of(class + 2)).collect();
            let probability =
                |class: usize| (0.51 + shift * ((row * 7 + class * 3) % 11) as f64 / 11.0).min(1.0);
            let all: Vec<f64> = (0..3)
                .map(|class| if label.contains(&class) { probability(class) } else { 1.0 - probability(class) })
                .collect();
            format!("{}\n", json!({"id": row, "label": label, "probabilities": all}))
        };
        (0..50).map(row).collect()
    };
    work.write("teacher.jsonl", table(0.4));
    work.write("student.jsonl", table(-0.05));
    let tables = "--predictions teacher=teacher.jsonl --predictions student=student.jsonl";
    let report = format!("report {tables} --problem-type {MULTI} --labels x,y,z --out report");
    work.run(&report).succeeds();
    let report = work.json("report/report.json");
    assert_schema(&report, &schema());
    near(&report["data"][0]["models"][0]["metrics"]["subset_accuracy"]["value"], 1.0);
    assert_eq!(report["data"][0]["problem_type"], MULTI);
    assert_eq!(report["data"][0]["labels"], json!(["x", "y", "z"]));
    work.run(&format!("report {tables} --labels x,y,z --out other")).fails(65, &["line 1", "label"]);

    let values = |shift: f64| -> String {
        (0..50).map(|row| format!("{}\n", json!({"id": row, "label": row as f64 / 7.0, "logits": [row as f64 / 7.0 + shift * (row % 3) as f64]}))).collect()
    };
    work.write("t.jsonl", values(0.0));
    work.write("s.jsonl", values(0.3));
    let tables = "--predictions teacher=t.jsonl --predictions student=s.jsonl";
    let gate = "--gate r2>=0.999";
    work.run(&format!("report {tables} --problem-type {REGRESSION} {gate} --out numbers")).exits(1);
    let report = work.json("numbers/report.json");
    assert_schema(&report, &schema());
    let errors = &report["data"][0]["errors"][0];
    assert!(errors["lost"].as_u64().unwrap() == 33 || errors["lost"].as_u64().unwrap() == 34, "{errors}");
    assert!(errors["lost_rows"][0]["confidence"].is_null());
    assert!(report["data"][0]["comparisons"][0]["mcnemar"].is_null());
}
