//! `distill check`, and what `run`, `sweep` and `ablate` find before anything is computed.

use crate::harness::{Run, Work};

const PIPELINE: &str = "out = \"r\"\n[data]\ntrain = \"rows.jsonl\"\ntest = \"test.jsonl\"\n[finetune]\nmodel = \"tiny\"\n\
                        epochs = 1\n[student]\nlayers = [0, 2]\nepochs = 1\n";

fn work() -> Work {
    let work = Work::with_rows();
    work.write("p.toml", PIPELINE);
    work.write("unknown.jsonl", "{\"text\":\"a\",\"label\":\"alpha\"}\n{\"text\":\"b\",\"label\":\"alpa\"}\n");
    work.write("unlabelled.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
    work.write("one.jsonl", "{\"text\":\"a\",\"label\":\"beta\"}\n{\"text\":\"b\",\"label\":\"beta\"}\n");
    work
}

/// Nothing was made but what the test made.
#[track_caller]
fn nothing_was_computed(work: &Work, run: &Run) {
    for name in ["r", "runs", "cache"] {
        assert!(!work.path(name).exists(), "{name}\n{}", run.shown());
    }
    assert!(!run.stderr.contains("──"), "no stage began\n{}", run.shown());
}

/// What is set next to the pipeline, the exit code, and what is said.
type Case = (&'static str, i32, &'static [&'static str]);

const CASES: [Case; 34] = [
    ("data.test=none.jsonl", 2, &["none.jsonl", "No such file"]),
    ("data.test=p.toml", 2, &["p.toml", ".parquet, .jsonl"]),
    (
        "data.test=unknown.jsonl",
        65,
        &["unknown.jsonl: line 2", "unknown label \"alpa\"", "did you mean \"alpha\"?"],
    ),
    (
        "data.test=unlabelled.jsonl",
        65,
        &["unlabelled.jsonl", "none of the 2 rows has a label in column \"label\""],
    ),
    ("data.test=one.jsonl", 65, &["one.jsonl", "every label is \"beta\""]),
    ("data.validation=none.jsonl", 2, &["none.jsonl"]),
    ("data.validation=unknown.jsonl", 65, &["unknown.jsonl: line 2", "unknown label \"alpa\""]),
    ("data.validation=1.5", 2, &["validation is 1.5"]),
    ("data.columns.text=txt", 65, &["rows.jsonl", "no column \"txt\"", "did you mean \"text\"?"]),
    ("data.columns.label=lable", 65, &["rows.jsonl", "no column \"lable\"", "did you mean \"label\"?"]),
    ("data.max_length=81", 2, &["max_length is 81, but the model has only 80 positions"]),
    ("student.layers=[0,9]", 2, &["layers [0, 9] cannot be selected from a model with 3 layers (0 to 2"]),
    ("student.hidden_size=7", 2, &["hidden_size is 7"]),
    ("student.train_last_layers=3", 2, &["train_last_layers is 3, but the model has 2 layers"]),
    ("student.init=nowhere/model", 2, &["student.init", "nowhere/model"]),
    ("student.tokenizer=nowhere/model", 2, &["student.tokenizer", "nowhere/model has no tokenizer"]),
    ("student.init=small", 65, &["small", "they do not belong together"]),
    ("student.class_weights=[1.0]", 2, &["1 numbers for 5 labels"]),
    ("student.keep_last=1000000000000", 74, &[" needed, but only ", " free (", "student alone", "keep_last"]),
    ("teacher.shard_rows=5", 2, &["shard_rows is 5, expected a multiple of 4096"]),
    ("report.gates=['accuracy = 0.9']", 2, &["accuracy = 0.9", "none of >="]),
    ("report.gates=['acuracy >= 0.9']", 2, &["no metric \"acuracy\"", "did you mean"]),
    ("report.gates=['rmse <= 1']", 2, &["rmse is not measured for single_label_classification"]),
    ("report.gates=['studnet: accuracy >= 0.9']", 2, &["no model \"studnet\"; there is teacher, student"]),
    ("report.gates=['f1[alpa] >= 0.9']", 2, &["no label \"alpa\"", "alpha"]),
    ("report.gates=['accuracy >= 0.9 on dev']", 2, &["no data set \"dev\"; there is test"]),
    ("report.gates=['kept.accuracy >= 97']", 2, &["97 decides nothing", "97%"]),
    ("report.gates=['gap_closed.accuracy >= 50%']", 2, &["no_teacher_baseline = true"]),
    ("report.gates=['regression vs none.json']", 2, &["none.json", "No such file"]),
    ("report.slices=['source']", 65, &["test.jsonl", "no column \"source\""]),
    ("report.confidence=95", 2, &["confidence is 95"]),
    ("report.junit=none/gates.xml", 73, &["the directory none does not exist"]),
    ("report.junit=test.jsonl", 2, &["test.jsonl is an input of the pipeline"]),
    ("out=p.toml/r", 73, &["p.toml is a file"]),
];

#[test]
fn each_kind_of_mistake_is_found_before_the_first_stage() {
    let work = work();
    crate::files::with_json(&work, "small", "config.json", |config| config["vocab_size"] = 10.into());
    for (set, code, parts) in CASES {
        let run = work.run_with("run p.toml --set", &[set], &[]).exits(code);
        for part in parts {
            assert!(run.stderr.contains(part), "{set}: {part}\n{}", run.shown());
        }
        nothing_was_computed(&work, &run);
    }
}

#[test]
fn check_run_and_dry_run_list_all_mistakes_together() {
    let work = work();
    let settings = [
        "data.test=unknown.jsonl",
        "student.layers=[0,9]",
        "report.gates=['kept.accuracy >= 97','rmse <= 1']",
        "report.slices=['source']",
        "report.junit=none/gates.xml",
    ];
    let more: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
    let parts = [
        "\"alpa\"",
        "layers [0, 9]",
        "97 decides nothing",
        "rmse",
        "\"source\"",
        "the directory none does not exist",
    ];
    for command in ["check p.toml", "run p.toml", "run p.toml --dry-run", "run p.toml --seeds 1,2"] {
        let run = work.run_with(command, &more, &[]).exits(2);
        for part in parts {
            assert!(run.stderr.contains(part), "{part}\n{}", run.shown());
        }
        assert!(
            run.stderr.ends_with("error: 6 problems, listed above; nothing was computed\n"),
            "{}",
            run.shown()
        );
        assert_eq!(run.stdout.contains("6 problems"), command.starts_with("check"), "{}", run.shown());
        nothing_was_computed(&work, &run);
    }
    let found = work.run_with("check p.toml --json", &more, &[]).exits(2).json();
    let problems = found["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 6, "{found}");
    assert!(problems.iter().any(|problem| problem["where"] == "report.slices" && problem["exit_code"] == 65));
}

#[test]
fn check_says_what_it_found_and_writes_nothing() {
    let work = work();
    let run = work.run("check p.toml --set student.no_teacher_baseline=true").succeeds();
    for part in [
        "rows.jsonl: 40 rows",
        "test.jsonl: 20 rows",
        "5 labels (0=alpha",
        "3 layers, hidden size 32",
        "no problems found",
        " free",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.shown());
    }
    nothing_was_computed(&work, &run);
    let found = work.run("check p.toml --json").succeeds().json();
    assert_eq!((&found["rows"][0]["rows"], &found["students"][0]["layers"]), (&40.into(), &2.into()));
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(0));
    // A pipeline that was run is checked as well, and its own results are in nobody's way.
    work.run("run p.toml").succeeds();
    work.run("check p.toml").succeeds();
    work.write("r/targets/run.json", "mine");
    work.run("check p.toml").exits(73).says("r/targets is not empty");
}

#[test]
fn check_lists_downloads_and_downloads_nothing() {
    let work = work();
    let online = [("HF_HUB_OFFLINE", "0"), ("HF_ENDPOINT", "http://127.0.0.1:9")];
    let run = work.run_with("check p.toml --set finetune.model=org/model", &[], &online).succeeds();
    assert!(run.stdout.contains("org/model would be downloaded from the Hugging Face hub"), "{}", run.shown());
    let run = work.run("check p.toml --set finetune.model=org/model");
    nothing_was_computed(&work, &run.exits(2).says("this run is offline"));
}

#[test]
fn stores_of_other_teachers_must_fit_each_other_and_the_student() {
    let work = Work::with_targets();
    work.run("teacher --model tiny --data rows.jsonl --no-text --out bare").succeeds();
    work.write("two.jsonl", "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\",\"label\":\"y\"}\n".repeat(10));
    work.run("finetune --model tiny --data two.jsonl --epochs 1 --out ft").succeeds();
    work.run("teacher --model ft/model --data two.jsonl --out two").succeeds();
    let cache = work.path("cache");
    std::fs::remove_dir_all(&cache).unwrap();
    let pipeline = |targets: &str, data: &str, more: &str| {
        let data = format!("out = \"r\"\n[data]\n{data}");
        work.write("q.toml", format!("{data}\n[student]\ninit = \"tiny\"\ntargets = {targets}\n{more}\n"));
        work.run("run q.toml")
    };
    let refused = |run: Run, code, parts: &[&str]| nothing_was_computed(&work, &run.fails(code, parts));
    refused(pipeline("[\"targets\", \"two\"]", "", ""), 65, &["label maps differ", "targets", "two"]);
    refused(pipeline("[\"targets\", \"none\"]", "", ""), 2, &["none"]);
    refused(pipeline("\"bare\"", "", ""), 2, &["bare was written without texts", "teacher.text = false"]);
    refused(pipeline("\"targets\"", "", "teacher_weights = [1.0, 2.0]"), 2, &["teacher_weights"]);
    refused(
        pipeline("\"targets\"", "test = \"test.jsonl\"", ""),
        2,
        &["teacher.model is missing", "data.test"],
    );
    let teacher = "[teacher]\nmodel = \"ft/model\"";
    refused(
        pipeline("\"targets\"", "test = \"test.jsonl\"", teacher),
        65,
        &["label maps differ", "teacher.model"],
    );
}

#[test]
fn a_sweep_and_an_ablation_check_their_pipeline_and_every_trial() {
    let work = work();
    let sweep = |space: &str, more: &[&str]| {
        work.write("s.toml", format!("[sweep]\npipeline = \"p.toml\"\n[space]\n{space}\n"));
        work.run_with("sweep s.toml --out r", more, &[])
    };
    for run in [
        sweep("\"student.epochs\" = [1]", &["--set", "student.layers=[9]"]).fails(2, &["layers [9]"]),
        sweep("\"student.layers\" = [[0], [0, 9]]", &[]).fails(2, &["student.layers=[0, 9]", "layers [0, 9]"]),
        sweep("\"student.epochs\" = [1]", &["--set", "data.train=none.jsonl"]).fails(2, &["none.jsonl"]),
        work.run("ablate p.toml --out r --set student.layers=[9]").fails(2, &["layers [9]"]),
    ] {
        nothing_was_computed(&work, &run);
    }
}

/// The weights cannot be read: what is wrong between models and rows is said before they are looked at.
#[test]
fn a_report_compares_labels_and_gates_before_any_model_is_loaded() {
    let work = work();
    for name in ["a", "b"] {
        crate::files::with_json(&work, name, "config.json", |config| {
            if name == "b" {
                config["id2label"]["0"] = "other".into();
            }
        });
        let weights = format!("{name}/model.safetensors");
        let linked = work.path(&weights);
        std::fs::remove_file(&linked).unwrap();
        work.write(&weights, "no weights");
    }
    let report = |models: &str, data: &str, more: &[&str]| {
        let command = format!("report {models} --data {data} --out r");
        work.run_with(&command, more, &[])
    };
    for run in [
        report("--model x=a --model y=b", "test.jsonl", &[])
            .fails(65, &["label maps differ", "x has", "y has"]),
        report("--model a", "unknown.jsonl", &[]).fails(65, &["unknown.jsonl: line 2", "\"alpa\""]),
        report("--model a", "unlabelled.jsonl", &[]).fails(65, &["unlabelled.jsonl", "label"]),
        report("--model x=a", "test.jsonl", &["--gate", "y: accuracy >= 0.9"]).fails(2, &["no model \"y\""]),
        report("--model x=a", "test.jsonl", &["--gate", "r2 >= 0.9"]).fails(2, &["r2 is not measured"]),
    ] {
        nothing_was_computed(&work, &run);
    }
}
