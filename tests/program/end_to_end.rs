//! The stages one after another: what they print, what they leave on disk.

use serde_json::Value;

use crate::files;
use crate::harness::{Run, Work, lines};

const MODEL_FILES: [&str; 5] = [
    "model/config.json",
    "model/model.safetensors",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "run.json",
];

/// Files of a run directory that trained a model.
fn assert_run_directory(work: &Work, name: &str) {
    let tree = work.tree(name);
    for file in MODEL_FILES.into_iter().chain(["metrics.jsonl"]) {
        assert!(tree.iter().any(|found| found == file), "{file} is not in {tree:?}");
    }
    let known = |file: &&String| {
        file.starts_with("model/")
            || file.starts_with("checkpoints/")
            || ["run.json", "metrics.jsonl"].contains(&file.as_str())
    };
    assert!(tree.iter().all(|file| known(&file)), "{tree:?}");
    assert!(!tree.iter().any(|file| file.contains(".tmp")), "{tree:?}");
}

fn assert_record(record: &Value, command: &str, inputs: &[&str]) {
    assert_eq!(record["command"], command);
    assert_eq!(record["format_version"], 1);
    // The fields of a store's fingerprint stand among the inputs as they are, the rest are hashes.
    let hashes =
        || record["inputs"].as_object().unwrap().iter().filter(|(name, _)| !name.starts_with("fingerprint."));
    assert_eq!(hashes().map(|(name, _)| name).collect::<Vec<_>>(), inputs);
    for (name, hash) in hashes() {
        let hash = hash.as_str().unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {hash}");
    }
    assert_eq!(record["device"]["device"], "cpu");
    assert_eq!(record["device"]["threads"], "1");
    assert!(record["versions"]["libtorch"].as_str().unwrap().starts_with("2."));
    assert_eq!(record["versions"]["distill"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_stages_one_after_another() {
    let work = Work::with_rows();
    let finetuned = work.run("finetune --model tiny --data rows.jsonl --epochs 2 --batch-size 8 --out ft");
    let finetuned = finetuned.succeeds().says("loss = 1 · CE(student_logits, labels)");
    assert!(finetuned.stdout.contains("model: ft/model (32709 parameters"), "{}", finetuned.shown());
    assert_run_directory(&work, "ft");
    let record = work.json("ft/run.json");
    assert_record(&record, "finetune", &["data", "model", "tokenizer"]);
    assert_eq!(record["settings"]["finetune"]["epochs"], 2);
    assert_eq!(record["settings"]["seed"], 42);
    assert_eq!(record["results"]["train_rows"], 36);
    assert_eq!(record["results"]["validation_rows"], 4);
    assert_eq!(record["results"]["global_step"], 10);

    work.run("teacher --model ft/model --data rows.jsonl --out targets").succeeds();
    assert_eq!(work.tree("targets"), ["manifest.json", "run.json", "train-00000-of-00001.parquet"]);
    assert_record(&work.json("targets/run.json"), "teacher", &["data", "labels", "model", "tokenizer"]);
    let manifest = work.json("targets/manifest.json");
    assert_eq!(manifest["rows"], 40);
    assert_eq!(manifest["fingerprint"]["label_map"]["3"], "delta");
    assert_eq!(manifest["fingerprint"]["teacher_weights"], record["results"]["weights"]);

    let arguments =
        "student --targets targets --init ft/model --layers 0,2 --epochs 1 --temperature 4 --out st";
    let student = work.run(arguments).succeeds();
    let formula = "loss = 0.5 · CE(student_logits, labels) + 0.5 · 16 · KL(softmax(teacher_logits/4) ‖ softmax(student_logits/4))";
    assert_eq!(student.stderr.matches(formula).count(), 1, "{}", student.shown());
    assert_run_directory(&work, "st");
    assert_record(&work.json("st/run.json"), "student", &["init", "init_config", "targets", "tokenizer"]);
    let config = work.json("st/model/config.json");
    assert_eq!(config["num_hidden_layers"], 2);
    assert_eq!(config["id2label"]["4"], "epsilon");
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    let students_tokenizer = work.bytes("st/model/tokenizer.json");
    assert!(students_tokenizer == work.bytes("tiny/tokenizer.json"), "the tokenizer goes with the student");

    let report = work.run_with(
        "report --model teacher=ft/model --model student=st/model --data test.jsonl --out report",
        &["--gate", "accuracy >= 0"],
        &[],
    );
    let report = report.succeeds();
    for part in ["teacher", "student", "macro F1", "pass", "accuracy >= 0", "report/report.json"] {
        assert!(report.stdout.contains(part), "{part:?}\n{}", report.shown());
    }
    let tree = work.tree("report");
    assert!(["report.json", "report.md", "run.json"].iter().all(|file| tree.iter().any(|found| found == file)));
    assert!(tree.iter().all(|file| file.starts_with("report.") || file == "run.json"), "{tree:?}");
    assert!(work.read("report/report.md").contains("| teacher"), "{}", work.read("report/report.md"));
}

#[test]
fn metrics_are_one_object_a_line() {
    let work = Work::with_rows();
    let arguments =
        "finetune --model tiny --data rows.jsonl --epochs 2 --batch-size 4 --set finetune.log_every=3 --out ft";
    work.run(arguments).succeeds();
    let metrics = work.json_lines("ft/metrics.jsonl");
    let of = |event: &str| metrics.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let steps: Vec<u64> = of("train").iter().map(|line| line["global_step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [3, 6, 9, 12, 15, 18]);
    for line in of("train") {
        for field in ["loss", "grad_norm", "learning_rate", "rows_per_second", "epoch"] {
            assert!(line[field].as_f64().is_some_and(f64::is_finite), "{field} in {line}");
        }
    }
    assert_eq!(of("validation").len(), 2);
    assert!(of("validation").iter().any(|line| line["best"] == true));
}

#[test]
fn results_are_on_stdout_and_messages_on_stderr() {
    let work = Work::with_rows();
    let quiet = work.run("teacher --model tiny --data rows.jsonl --out a --quiet").succeeds();
    assert_eq!(quiet.stderr, "", "--quiet leaves only warnings and errors");
    assert!(quiet.stdout.contains("40 rows") && quiet.stdout.contains("soft targets: a"), "{}", quiet.shown());
    let json = work.run("teacher --model tiny --data rows.jsonl --out b --json").succeeds();
    assert_eq!(json.json()["rows"], 40);
    let logged = work.run("teacher --model tiny --data rows.jsonl --out c --log-format json").succeeds();
    assert!(!lines(&logged.stderr).is_empty(), "every line of stderr is a JSON object");
    let trained = work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out d --json").succeeds();
    assert_eq!(trained.json()["train_rows"], 36);
    assert!(trained.json()["validation"]["loss"].is_f64());
}

#[test]
fn predictions_in_every_format() {
    let work = Work::with_rows();
    let predict =
        |out: &str| work.run(&format!("predict --model tiny --data test.jsonl --out {out}")).succeeds();
    for out in ["p.parquet", "p.jsonl", "p.csv"] {
        assert!(predict(out).stdout.contains(&format!("predictions: {out}")));
    }
    let objects = work.json_lines("p.jsonl");
    assert_eq!(objects.len(), 20);
    assert_eq!((&objects[3]["id"], &objects[3]["label_name"]), (&"t3".into(), &"delta".into()));
    let csv = work.read("p.csv");
    assert_eq!(csv.lines().next(), Some("row,id,label,prediction,probability"));
    let records = files::records(&work, "p.parquet");
    for (row, object) in objects.iter().enumerate() {
        let logits: Vec<f64> = object["logits"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let best = (0..5).max_by(|left, right| logits[*left].total_cmp(&logits[*right])).unwrap();
        assert_eq!(object["prediction"], best);
        assert_eq!(object["prediction_name"], files::LABELS[best]);
        let line = csv.lines().nth(row + 1).unwrap();
        assert!(
            line.starts_with(&format!("{row},t{row},{},{},0.", files::LABELS[row % 5], files::LABELS[best])),
            "{line}"
        );
        let in_parquet = &records[row];
        assert_eq!(in_parquet["id"], object["id"]);
        let theirs: Vec<f64> =
            in_parquet["logits"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!(
            theirs.iter().zip(&logits).all(|(left, right)| (left - right).abs() < 1e-6),
            "{in_parquet} {object}"
        );
    }
}

#[test]
fn a_report_on_predictions_is_the_report_on_models() {
    let work = Work::with_targets();
    work.run("student --targets targets --init tiny --layers 1 --epochs 1 --out st").succeeds();
    work.run("predict --model tiny --data test.jsonl --out teacher.parquet").succeeds();
    work.run("predict --model st/model --data test.jsonl --out student.parquet").succeeds();
    work.run("report --model teacher=tiny --model student=st/model --data test.jsonl --out a").succeeds();
    work.run("report --predictions teacher.parquet --predictions student.parquet --out b").succeeds();
    let metrics = |name: &str| {
        let report = work.json(&format!("{name}/report.json")).to_string();
        let start = report.find("\"macro_f1\"").unwrap_or_else(|| panic!("{report}"));
        report[start..start + 40].to_owned()
    };
    assert_eq!(metrics("a"), metrics("b"));
    work.run("predict --model st/model --data test.jsonl --out student.jsonl").succeeds();
    work.run("report --predictions teacher.parquet --predictions student.jsonl --out c").succeeds();
    assert_eq!(metrics("a"), metrics("c"), "a table of text has the other's label names");
}

#[test]
fn a_failing_gate_is_exit_1_and_the_report_is_written() {
    let work = Work::with_rows();
    let report = |out: &str| -> Run {
        work.run_with(
            &format!("report --model tiny --data test.jsonl --out {out}"),
            &["--gate", "accuracy >= 0.999"],
            &[],
        )
    };
    let failed = report("report").exits(1);
    assert!(failed.stdout.starts_with("FAILED"), "{}", failed.shown());
    assert!(work.path("report/report.json").exists() && work.path("report/report.md").exists());
    assert_eq!(work.json("report/run.json")["results"]["gates_passed"], false);
    let misspelt =
        work.run_with("report --model tiny --data test.jsonl --out b", &["--gate", "acuracy >= 0.9"], &[]);
    misspelt.fails(2, &["acuracy", "accuracy"]);
    assert!(!work.path("b").exists());
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let work = Work::with_rows();
    let planned = work.run("finetune --model tiny --data rows.jsonl --epochs 7 --out ft --dry-run").succeeds();
    assert_eq!(planned.json()["settings"]["finetune"]["epochs"], 7);
    assert!(!work.path("ft").exists() && !work.path("cache").exists());
    work.run("predict --model tiny --data rows.jsonl --out p.csv --dry-run").succeeds();
    assert!(!work.path("p.csv").exists());
}

#[test]
fn overwrite_replaces_results_and_keeps_other_files() {
    let work = Work::with_targets();
    work.write("targets/notes.txt", "mine");
    work.run("teacher --model tiny --data test.jsonl --out targets")
        .fails(73, &["targets contains another run", "input data changed", "--overwrite"]);
    assert_eq!(work.json("targets/manifest.json")["rows"], 40);
    work.run("teacher --model tiny --data test.jsonl --out targets --overwrite").succeeds();
    assert_eq!(work.json("targets/manifest.json")["rows"], 20);
    assert_eq!(work.read("targets/notes.txt"), "mine");
    work.run("predict --model tiny --data test.jsonl --out p.csv").succeeds();
    work.run("predict --model tiny --data test.jsonl --out p.csv").fails(73, &["p.csv exists", "--overwrite"]);
    work.run("predict --model tiny --data test.jsonl --out p.csv --overwrite").succeeds();
}

#[test]
fn a_bare_config_is_a_student_with_new_weights_and_training_stops_early() {
    let work = Work::with_targets();
    let arguments = "student --targets targets --init tiny/config.json --epochs 30 --early-stopping-patience 1 \
                     --learning-rate 1e-9 --set student.best_metric=loss --out st";
    work.run(arguments).succeeds().says("fresh weights: all");
    let record = work.json("st/run.json");
    assert_eq!(record["inputs"]["init"], "config.json only");
    assert_eq!(record["results"]["stopped_early"], true);
    assert!(record["results"]["epochs"].as_u64().unwrap() < 30);
}

#[test]
fn a_student_of_another_architecture_with_the_teachers_tokenizer() {
    let work = Work::with_targets();
    std::fs::create_dir(work.path("other")).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/distilbert-tiny/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    config["vocab_size"] = work.json("tiny/config.json")["vocab_size"].clone();
    work.write("other/config.json", config.to_string());
    let arguments = "student --targets targets --init other/config.json --tokenizer tiny --epochs 1 --out st";
    work.run(arguments).succeeds().says("fresh weights: all");
    assert_eq!(work.json("st/model/config.json")["architectures"][0], "DistilBertForSequenceClassification");
    work.run("predict --model st/model --data test.jsonl --out p.jsonl").succeeds();
    assert_eq!(work.json_lines("p.jsonl").len(), work.json_lines("test.jsonl").len());
}

#[test]
fn a_student_may_start_as_the_teacher_of_its_store() {
    let work = Work::with_targets();
    let weights = |init: &str, out: &str| {
        work.run(&format!("student --targets targets --init {init} --layers 0 --epochs 1 --out {out}"))
            .succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    assert!(weights("teacher", "a") == weights("tiny", "b"));
    let copy = |from: &str, to: &str| {
        std::fs::create_dir(work.path(to)).unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            work.write(&format!("{to}/{name}"), work.bytes(&format!("{from}/{name}")));
        }
    };
    copy("tiny", "mine");
    work.run("teacher --model mine --data rows.jsonl --out others").succeeds();
    work.write("mine/model.safetensors", work.bytes("a/model/model.safetensors"));
    work.write("mine/config.json", work.bytes("a/model/config.json"));
    work.run("student --targets others --init teacher --epochs 1 --out c")
        .fails(2, &["mine", "no longer has the weights"]);
    let mut record = work.json("targets/run.json");
    record["settings"]["teacher"]["model"] = Value::Null;
    work.write("targets/run.json", record.to_string());
    work.run("student --targets targets --init teacher --epochs 1 --out d")
        .fails(2, &["does not record the path of its teacher"]);
}
