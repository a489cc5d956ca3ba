//! What is read of a model directory beyond the usual, what is written into one, and the length that it carries.

use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::files::{self, copy_model, with_json, with_weights};
use crate::harness::{Run, Work, binary};

/// Runs the binary without a length from the tests' environment.
fn run(work: &Work, arguments: &str) -> Run {
    let mut command = work.command(binary());
    command.env_remove("DISTILL_DATA_MAX_LENGTH").args(arguments.split_whitespace());
    Run::of(format!("distill {arguments}"), command.output().unwrap())
}

fn assert_same_predictions(work: &Work, model: &str, other: &str) {
    for model in [model, other] {
        let out = format!("{model}.jsonl").replace('/', "-");
        work.run(&format!("predict --model {model} --data test.jsonl --out {out} --overwrite")).succeeds();
    }
    let read = |model: &str| work.read(&format!("{model}.jsonl").replace('/', "-"));
    assert_eq!(read(model), read(other), "{model} and {other}");
}

/// transformers takes number format, length, class and inputs from the configs, so they must say what was computed.
#[test]
fn written_configs_say_what_was_computed() {
    let work = Work::with_rows();
    with_json(&work, "half", "config.json", |config| {
        config.as_object_mut().unwrap().remove("dtype");
        config["torch_dtype"] = json!("float16");
    });
    let mut tokenizer = work.json("half/tokenizer_config.json");
    tokenizer["tokenizer_class"] = json!("BertTokenizer");
    tokenizer["do_lower_case"] = json!(false);
    tokenizer["model_max_length"] = json!(512);
    tokenizer["padding_side"] = json!("left");
    tokenizer["truncation_side"] = json!("left");
    work.write("half/tokenizer_config.json", tokenizer.to_string());
    work.write("half/special_tokens_map.json", r#"{"mask_token": "[MASK]"}"#);
    for dtype in ["f32", "bf16"] {
        let arguments = "finetune --model half --data rows.jsonl --epochs 1 --max-length 16";
        run(&work, &format!("{arguments} --dtype {dtype} --out {dtype}")).succeeds();
        let config = work.json(&format!("{dtype}/model/config.json"));
        assert_eq!((&config["dtype"], &config["torch_dtype"]), (&json!("float32"), &Value::Null));
    }
    let written = work.json("f32/model/tokenizer_config.json");
    for (key, value) in [
        ("tokenizer_class", json!("PreTrainedTokenizerFast")),
        ("model_max_length", json!(16)),
        ("model_input_names", json!(["input_ids", "token_type_ids", "attention_mask"])),
        ("padding_side", json!("right")),
        ("truncation_side", json!("left")),
        ("pad_token", json!("[PAD]")),
        ("do_lower_case", Value::Null),
    ] {
        assert_eq!(written[key], value, "{key}");
    }
    assert_eq!(work.json("f32/model/tokenizer.json")["normalizer"]["lowercase"], false);
    assert!(!work.path("f32/model/special_tokens_map.json").exists());
    // The fine-tuned model reads rows as the one that it came of.
    work.run("finetune --model f32/model --data rows.jsonl --epochs 1 --out again").succeeds();
    assert_eq!(work.bytes("f32/model/tokenizer.json"), work.bytes("again/model/tokenizer.json"));
    let hash = |record: &str| work.json(record)["inputs"]["tokenizer"].clone();
    assert_eq!(hash("f32/run.json"), hash("again/run.json"));
}

#[test]
fn max_length_is_given_once_and_later_commands_take_it_from_the_model_and_the_store() {
    let work = Work::with_rows();
    run(&work, "finetune --model tiny --data rows.jsonl --epochs 1 --max-length 6 --out ft").succeeds();
    run(&work, "teacher --model ft/model --data rows.jsonl --out targets")
        .succeeds()
        .says("max_length is 6, from ft/model");
    assert_eq!(work.json("targets/manifest.json")["fingerprint"]["max_length"], 6);
    run(&work, "student --targets targets --init tiny --layers 0 --epochs 1 --out st")
        .succeeds()
        .says("max_length is 6, the same as for the teacher of targets");
    assert_eq!(work.json("st/run.json")["settings"]["data"]["max_length"], 6);
    assert_eq!(work.json("st/model/tokenizer_config.json")["model_max_length"], 6);
    let predict = "predict --model st/model --data test.jsonl";
    run(&work, &format!("{predict} --out own.jsonl")).succeeds().says("max_length is 6, from st/model");
    let asked = run(&work, &format!("{predict} --max-length 20 --out asked.jsonl")).succeeds();
    asked.says("max_length is 20, as given; st/model has 6");
    assert_ne!(work.read("own.jsonl"), work.read("asked.jsonl"), "the length decides");
    run(&work, &format!("{predict} --max-length 6 --out same.jsonl")).succeeds();
    assert_eq!(work.read("own.jsonl"), work.read("same.jsonl"));

    let report =
        "report --model teacher=tiny --model student=st/model --data test.jsonl --no-timing --out report";
    run(&work, report).succeeds().says("max_length is 6, from st/model").says("max_length is 80, from tiny");
    let lengths = &work.json("report/run.json")["settings"]["data"]["max_length"];
    assert_eq!(*lengths, json!({"student": 6, "teacher": 80}));
    assert!(run(&work, report).succeeds().stderr.contains("up to date"));
    // A model of 80 positions is fine-tuned at 80, not at the default of 128.
    run(&work, "finetune --model tiny --data rows.jsonl --epochs 1 --out all").succeeds();
    assert_eq!(work.json("all/run.json")["settings"]["data"]["max_length"], 80);
}

#[test]
fn a_head_that_the_config_does_not_name_is_found_and_reported() {
    let work = Work::with_rows();
    for (name, architectures) in [("without", Value::Null), ("bare", json!(["BertModel"]))] {
        with_json(&work, name, "config.json", |config| config["architectures"] = architectures);
        let run = work.run(&format!("predict --model {name} --data test.jsonl --out {name}.csv")).succeeds();
        run.says(
            "config.json does not name a classifier, but the weights have a classification head with 5 outputs",
        );
        assert_same_predictions(&work, name, "tiny");
        let inspected = work.run(&format!("inspect --json {name}")).succeeds().json();
        assert_eq!(inspected["classifier"], true);
    }
    with_json(&work, "numbered", "config.json", |config| {
        let config = config.as_object_mut().unwrap();
        for key in ["architectures", "id2label", "label2id"] {
            config.remove(key);
        }
    });
    let inspected = work.run("inspect --json numbered").succeeds().json();
    assert_eq!(inspected["labels"]["4"], "LABEL_4");
    // A class that is another's is believed, and an encoder's weights make no classifier.
    with_json(&work, "tokens", "config.json", |config| {
        config["architectures"] = json!(["BertForTokenClassification"])
    });
    work.run("predict --model tokens --data test.jsonl --out t.csv")
        .fails(65, &["no column \"tokens\"", "\"text\""]);
}

#[test]
fn prefixes_of_training_loops_are_removed_and_reported() {
    let work = Work::with_rows();
    for (name, prefix) in [("compiled", "_orig_mod."), ("both", "_orig_mod.module.")] {
        with_weights(&work, name, |tensors| {
            *tensors = tensors.drain().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        });
        let run = work.run(&format!("predict --model {name} --data test.jsonl --out {name}.csv")).succeeds();
        run.says(&format!("the prefix {prefix} is removed from all weight names"));
        assert_same_predictions(&work, name, "tiny");
    }
    with_weights(&work, "some", |tensors| {
        tensors.insert("module.extra".to_owned(), (Dtype::F32, vec![2], vec![0; 8]));
    });
    work.run("predict --model some --data test.jsonl --out s.csv").fails(65, &["extra module.extra"]);
}

#[test]
fn files_of_other_tools_are_refused_with_advice() {
    let work = Work::with_rows();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 438007925\n";
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        let name = file.replace('.', "-");
        copy_model(&work, &name);
        work.write(&format!("{name}/{file}"), pointer);
        let run = work.run(&format!("predict --model {name} --data test.jsonl --out p.csv"));
        run.fails(65, &[file, "git-lfs pointer", "git lfs pull"]);
    }
    std::fs::create_dir(work.path("adapter")).unwrap();
    work.write("adapter/adapter_config.json", "{}");
    work.write("adapter/adapter_model.safetensors", "");
    let adapter = "predict --model adapter --data test.jsonl --out p.csv";
    work.run(adapter).fails(2, &["PEFT adapter", "merge_and_unload"]);
    copy_model(&work, "pieces");
    for file in ["tokenizer.json", "vocab.txt"] {
        std::fs::remove_file(work.path("pieces").join(file)).unwrap();
    }
    work.write("pieces/sentencepiece.bpe.model", "");
    let pieces = "predict --model pieces --data test.jsonl --out p.csv";
    work.run(pieces).fails(2, &["pieces has no tokenizer", "sentencepiece.bpe.model", "save_pretrained"]);
    with_json(&work, "other", "tokenizer_config.json", |config| {
        config["tokenizer_class"] = json!("GPT2TokenizerFast");
    });
    let other = "predict --model other --data test.jsonl --out p.csv";
    work.run(other).fails(65, &["other/tokenizer_config.json", "GPT2TokenizerFast", "is not supported"]);
    assert!(!work.path("p.csv").exists());
}

#[test]
fn a_student_reads_the_columns_that_its_teacher_read() {
    let work = Work::with_rows();
    let cells = |row: &files::Row| format!("{},{},{}\n", row.id, row.text, row.label.as_deref().unwrap());
    let rows: String = files::rows(40, "r").iter().map(cells).collect();
    work.write("named.csv", format!("key,question,topic\n{rows}"));
    let columns = "--id-column key --text-column question --label-column topic";
    work.run(&format!("teacher --model tiny --data named.csv {columns} --no-text --out targets")).succeeds();
    let student = "student --targets targets --data named.csv --init tiny --layers 0 --epochs 1";
    work.run(&format!("{student} --out own")).succeeds().says("columns as read by the teacher of targets");
    work.run(&format!("{student} {columns} --out named")).succeeds();
    assert_eq!(work.bytes("own/model/model.safetensors"), work.bytes("named/model/model.safetensors"));
    work.run(&format!("{student} --text-column other --out c")).fails(65, &["other"]);
}
