//! Vocabularies: `distill tokenizer train` with its files and refusals, and models that are given another vocabulary.

use crate::harness::Work;

const FILES: [&str; 3] = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"];

/// Rows with texts, also as plain text.
fn corpus() -> Work {
    let work = Work::with_rows();
    let texts: Vec<String> =
        work.json_lines("rows.jsonl").iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    work.write("corpus.txt", texts.join("\n\n"));
    work
}

#[test]
fn every_kind_is_trained_into_an_owned_directory_with_the_same_bytes_each_time() {
    let work = corpus();
    for (kind, size) in [("wordpiece", 60), ("unigram", 60), ("bpe", 280)] {
        let train =
            |out: &str| format!("tokenizer train --data corpus.txt --kind {kind} --size {size} --out {out}");
        let run = work.run(&format!("{} --json", train(&format!("first-{kind}")))).succeeds();
        assert_eq!(run.json()["texts"], 40);
        work.run(&train(&format!("second-{kind}"))).succeeds();
        assert_eq!(
            work.tree(&format!("first-{kind}")),
            ["run.json"].iter().chain(&FILES).copied().collect::<Vec<_>>()
        );
        for file in FILES {
            let read = |out: &str| work.bytes(&format!("{out}-{kind}/{file}"));
            assert!(read("first") == read("second"), "{kind} {file}");
        }
        work.run(&train(&format!("first-{kind}"))).succeeds().says("is up to date");
        let other = format!("{} --min-frequency 3", train(&format!("first-{kind}")));
        work.run(&other).fails(73, &["setting tokenizer.min_frequency changed: 2 → 3"]);
        let replaced = work.run(&format!("{other} --overwrite --json")).succeeds().json();
        assert!(replaced["vocabulary"].as_u64() <= run.json()["vocabulary"].as_u64());
        work.write(&format!("first-{kind}/tokenizer.json"), "{}");
        work.run(&format!("{} --overwrite", train(&format!("first-{kind}")))).fails(73, &["was changed after"]);
    }
}

#[test]
fn the_same_texts_from_rows_and_from_plain_text_give_the_same_vocabulary() {
    let work = corpus();
    let train =
        |data: &str, out: &str| format!("tokenizer train --data {data} --kind wordpiece --size 70 --out {out}");
    work.run(&train("corpus.txt", "plain")).succeeds();
    work.run(&train("rows.jsonl", "rows")).succeeds();
    assert!(work.bytes("plain/tokenizer.json") == work.bytes("rows/tokenizer.json"));
    work.write("words.conll", "Ada B-PER\nlearns O\n\nShe O\nreads O\n");
    work.run(&train("words.conll", "words").replace("70", "30")).succeeds();
    work.run(&format!("{} --no-lowercase", train("words.conll", "cased").replace("70", "30"))).succeeds();
    assert!(work.bytes("words/tokenizer.json") != work.bytes("cased/tokenizer.json"));
}

#[test]
fn what_cannot_be_trained_is_refused_and_leaves_nothing() {
    let work = corpus();
    work.write("empty.txt", "\n\n");
    work.write("blank.jsonl", "{\"text\": \" \"}\n");
    work.write("binary.txt", b"a\n\x00b\n");
    work.write("endless.txt", "x".repeat((1 << 20) + 1));
    for (data, options, code, parts) in [
        ("corpus.txt", "--size 60", 2, &["--kind is missing", "tokenizer.kind"][..]),
        ("corpus.txt", "--kind wordpieces", 2, &["kind", "wordpieces", "`unigram`"]),
        (
            "corpus.txt",
            "--kind wordpiece --size 20",
            2,
            &["tokenizer.size is 20", "at least", "special tokens"],
        ),
        ("corpus.txt", "--kind unigram --size 6", 2, &["tokenizer.size is 6", "at least", "special tokens"]),
        ("corpus.txt", "--kind bpe --size 260", 2, &["at least 261 tokens", "256 bytes"]),
        (
            "corpus.txt",
            "--kind bpe --limit-alphabet 9",
            2,
            &["tokenizer.limit_alphabet has no meaning for bpe"],
        ),
        ("empty.txt", "--kind bpe", 65, &["empty.txt has no rows"]),
        ("blank.jsonl", "--kind wordpiece", 65, &["no words to train a tokenizer on"]),
        ("binary.txt", "--kind bpe", 65, &["binary.txt: line 2: a NUL byte"]),
        ("endless.txt", "--kind bpe", 65, &["endless.txt: line 1: the line is longer than 1 MiB"]),
        ("missing.txt", "--kind bpe", 2, &["missing.txt"]),
    ] {
        work.run(&format!("tokenizer train --data {data} {options} --out out")).fails(code, parts);
        assert!(!work.path("out").exists(), "{data} {options}");
    }
    work.run("tokenizer train --data corpus.txt --kind bpe --lowercase --no-lowercase --out out").exits(2);
}

/// A trained tokenizer in `tokenizer`.
fn with_tokenizer(kind: &str, size: u32) -> Work {
    let work = corpus();
    work.run(&format!("tokenizer train --data corpus.txt --kind {kind} --size {size} --out tokenizer"))
        .succeeds();
    work
}

const FINETUNE: &str = "finetune --model tiny --data rows.jsonl --epochs 1 --no-cache";

#[test]
fn a_model_is_fine_tuned_with_another_vocabulary() {
    for (kind, size) in [("wordpiece", 60), ("bpe", 280)] {
        let work = with_tokenizer(kind, size);
        let run = work.run(&format!("{FINETUNE} --tokenizer tokenizer --out teacher --json")).succeeds();
        let tokens = work.json("tokenizer/run.json")["results"]["vocabulary"].as_u64().unwrap();
        let moved = &run.says("the embeddings of").json()["vocabulary"];
        let counts: Vec<u64> = ["copied", "mean", "average"].map(|how| moved[how].as_u64().unwrap()).to_vec();
        assert_eq!((counts.iter().sum::<u64>(), moved["tokens"].as_u64()), (tokens, Some(tokens)), "{kind}");
        assert!(counts[0] >= 5, "special tokens are copied: {moved}");
        let config = work.json("teacher/model/config.json");
        assert_eq!(config["vocab_size"], tokens);
        assert_eq!(config["pad_token_id"], u64::from(kind == "bpe"));
        let vocab = |path: &str| work.json(path)["model"]["vocab"].clone();
        assert_eq!(vocab("teacher/model/tokenizer.json"), vocab("tokenizer/tokenizer.json"));
        work.run("predict --model teacher/model --data test.jsonl --out predictions.parquet").succeeds();
        // Stages after it read the model with its new vocabulary.
        work.run("teacher --model teacher/model --data rows.jsonl --out targets").succeeds();
        work.run("student --targets targets --init teacher/model --layers 0 --epochs 1 --out student")
            .succeeds();
        assert_eq!(work.json("student/model/config.json")["vocab_size"], tokens);
    }
}

#[test]
fn another_tokenizer_is_another_run_and_the_models_own_changes_nothing() {
    let work = with_tokenizer("wordpiece", 60);
    work.run(&format!("{FINETUNE} --tokenizer tokenizer --out teacher")).succeeds();
    work.run(&format!("{FINETUNE} --tokenizer tokenizer --out teacher")).succeeds().says("is up to date");
    work.run("tokenizer train --data corpus.txt --kind wordpiece --size 50 --out tokenizer --overwrite")
        .succeeds();
    work.run(&format!("{FINETUNE} --tokenizer tokenizer --out teacher"))
        .fails(73, &["input tokenizer changed"]);
    work.run(&format!("{FINETUNE} --out plain")).succeeds();
    work.run(&format!("{FINETUNE} --tokenizer tiny --out own")).succeeds();
    assert!(work.bytes("plain/model/model.safetensors") == work.bytes("own/model/model.safetensors"));
    assert!(work.json("own/run.json")["results"].get("vocabulary").is_none());
}

#[test]
fn a_student_is_given_another_vocabulary_than_its_teacher() {
    let work = with_tokenizer("unigram", 60);
    work.run("teacher --model tiny --data rows.jsonl --out targets").succeeds();
    let student = "student --targets targets --init tiny --tokenizer tokenizer --epochs 1 --out student";
    work.run(student).succeeds().says("the embeddings of");
    let tokens = &work.json("tokenizer/run.json")["results"]["vocabulary"];
    assert_eq!(&work.json("student/model/config.json")["vocab_size"], tokens);
    work.run(&format!("{student} --overwrite --set student.hidden_weight=1 --teacher-model tiny"))
        .fails(2, &["compare states token by token"]);
}

#[test]
fn a_vocabulary_without_special_tokens_is_refused_before_any_training() {
    let work = with_tokenizer("wordpiece", 60);
    let mut tokenizer = work.json("tokenizer/tokenizer.json");
    tokenizer["added_tokens"] = serde_json::json!([]);
    tokenizer["post_processor"] = serde_json::Value::Null;
    let mut vocab = tokenizer["model"]["vocab"].as_object().unwrap().clone();
    let tokens: Vec<String> =
        vocab.keys().filter(|token| !["[PAD]", "[SEP]"].contains(&token.as_str())).cloned().collect();
    vocab = tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    tokenizer["model"]["vocab"] = vocab.into();
    std::fs::create_dir(work.path("bad")).unwrap();
    work.write("bad/tokenizer.json", tokenizer.to_string());
    for command in [FINETUNE, "student --targets targets --init tiny"] {
        if command.starts_with("student") {
            work.run("teacher --model tiny --data rows.jsonl --out targets").succeeds();
        }
        work.run(&format!("{command} --tokenizer bad --out out"))
            .fails(65, &["it has no pad_token", "sep_token"]);
        assert!(!work.path("out").exists());
    }
    work.run(&format!("{FINETUNE} --tokenizer nowhere --out out")).fails(2, &["nowhere has no tokenizer"]);
}

#[test]
fn a_pipeline_is_checked_and_run_with_another_vocabulary() {
    let work = with_tokenizer("wordpiece", 60);
    let pipeline = |tokenizer: &str| {
        format!(
            "[data]\ntrain = \"rows.jsonl\"\ntest = \"test.jsonl\"\n[finetune]\nmodel = \"tiny\"\ntokenizer = \"{tokenizer}\"\n\
             epochs = 1\n[student]\nlayers = [0, 2]\nepochs = 1\nhidden_weight = 1.0\n[report]\nresamples = 0\ntiming = false\n"
        )
    };
    work.write("p.toml", pipeline("tokenizer"));
    work.run("check p.toml").succeeds();
    work.run("run p.toml --set out=runs").succeeds();
    let vocab = |path: &str| work.json(path)["model"]["vocab"].clone();
    assert_eq!(vocab("runs/student/model/tokenizer.json"), vocab("tokenizer/tokenizer.json"));
    work.write("p.toml", pipeline("nowhere"));
    work.run("check p.toml").exits(2).says("finetune.tokenizer");
}

#[test]
fn an_encoder_is_pretrained_with_another_vocabulary_from_weights_or_afresh() {
    let work = with_tokenizer("bpe", 280);
    let tokens = work.json("tokenizer/run.json")["results"]["vocabulary"].clone();
    let pretrain = "pretrain --tokenizer tokenizer --data corpus.txt --epochs 1 --no-cache";
    work.run(&format!("{pretrain} --model tiny --out moved")).succeeds().says("the embeddings of");
    assert_eq!(work.json("moved/run.json")["results"]["vocabulary"]["tokens"], tokens);
    work.run(&format!("{pretrain} --model tiny/config.json --out fresh")).succeeds().says("the config has 99");
    for out in ["moved", "fresh"] {
        let config = work.json(&format!("{out}/model/config.json"));
        assert_eq!((&config["vocab_size"], &config["pad_token_id"]), (&tokens, &serde_json::json!(1)), "{out}");
    }
    work.run("finetune --model moved/model --data rows.jsonl --epochs 1 --no-cache --out teacher").succeeds();
}

const STUDENT: &str = "student --targets targets --init tiny --layers 0,2 --epochs 1 --no-cache";

/// The logits of a model, by row.
fn logits(work: &Work, model: &str) -> Vec<Vec<f64>> {
    work.run(&format!("predict --model {model} --data rows.jsonl --out {model}.jsonl")).succeeds();
    let numbers = |row: &serde_json::Value| {
        row["logits"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
    };
    work.json_lines(&format!("{model}.jsonl")).iter().map(numbers).collect()
}

/// Tokens that no text has have no influence on training: the student is the same one with fewer embeddings.
#[test]
fn a_student_with_a_smaller_vocabulary_is_the_same_student() {
    let work = Work::with_targets();
    work.run(&format!("{STUDENT} --out whole")).succeeds();
    let run = work.run(&format!("{STUDENT} --vocabulary-from rows.jsonl --out small --json")).succeeds();
    let smaller = run.says("tokens are kept").json()["vocabulary_from"].clone();
    let number = |key: &str| smaller[key].as_u64().unwrap();
    let whole = work.json("whole/run.json")["results"]["parameters"].as_u64();
    assert_eq!((whole, number("tokens_before")), (Some(number("parameters_before")), 99));
    assert!(number("tokens") < 99 && smaller["share_cut"] == 0.0, "{smaller}");
    assert_eq!(work.json("small/run.json")["results"]["parameters"], smaller["parameters"]);
    assert_eq!(work.json("small/model/config.json")["vocab_size"], smaller["tokens"]);
    let (whole, small) = (logits(&work, "whole/model"), logits(&work, "small/model"));
    for (whole, small) in whole.iter().flatten().zip(small.iter().flatten()) {
        assert!((whole - small).abs() < 1e-5, "{whole} {small}");
    }
    // From the store's texts, and next to its teacher.
    let beside = "--teacher-model tiny --set student.hidden_weight=1";
    work.run(&format!("{STUDENT} --vocabulary-from targets --out store {beside}")).succeeds();
    assert!(work.bytes("store/model/tokenizer.json") == work.bytes("small/model/tokenizer.json"));
    let inspected = work.run("inspect small/model --json").succeeds().json();
    assert_eq!(inspected["vocabulary"], smaller["tokens"]);
    assert_eq!(inspected["parameters"]["total"], smaller["parameters"]);
}

#[test]
fn the_size_of_a_smaller_vocabulary_is_given_and_other_texts_are_another_run() {
    let work = Work::with_targets();
    work.write("few.txt", "what is the\n");
    let student = format!("{STUDENT} --vocabulary-from few.txt --out student");
    work.run(&format!("{student} --vocabulary-size 70")).succeeds();
    assert_eq!(work.json("student/model/config.json")["vocab_size"], 70);
    work.run(&format!("{student} --vocabulary-size 70")).succeeds().says("is up to date");
    work.run(&student).fails(73, &["setting student.vocabulary_size changed: 70"]);
    work.write("few.txt", "what is the of\n");
    work.run(&format!("{student} --vocabulary-size 70")).fails(73, &["input vocabulary_from changed"]);
}

#[test]
fn a_vocabulary_that_cannot_be_made_smaller_is_refused_and_leaves_nothing() {
    let work = Work::with_targets();
    work.write("blank.txt", "\n");
    work.write("blank.jsonl", "{\"text\": \"\"}\n");
    for (options, code, parts) in [
        ("--vocabulary-size 70", 2, &["student.vocabulary_from is missing"][..]),
        ("--vocabulary-from rows.jsonl --vocabulary-size 7", 2, &["vocabulary_size is 7, but", "need"]),
        ("--vocabulary-from blank.txt", 65, &["blank.txt has no rows"]),
        ("--vocabulary-from blank.jsonl", 65, &["blank.jsonl has no text"]),
        ("--vocabulary-from nowhere.jsonl", 2, &["nowhere.jsonl"]),
        (
            "--embedding-size 8",
            2,
            &["embedding_size is 8, but the word vectors of bert are as wide as its hidden states"],
        ),
    ] {
        work.run(&format!("{STUDENT} {options} --out out")).fails(code, parts);
        assert!(!work.path("out").exists(), "{options}");
    }
}

#[test]
fn a_student_has_narrower_word_vectors() {
    let work = Work::with_targets();
    let student =
        "student --targets targets --init albert --tokenizer tiny --epochs 1 --no-cache --out student";
    std::fs::create_dir(work.path("albert")).unwrap();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/albert-tiny");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(golden.join("config.json")).unwrap()).unwrap();
    config["vocab_size"] = 99.into();
    work.write("albert/config.json", config.to_string());
    let own = config["embedding_size"].as_u64().unwrap();
    let narrow = work.run(&format!("{student} --embedding-size 6 --json")).succeeds().json();
    assert_eq!(work.json("student/model/config.json")["embedding_size"], 6);
    let wide = work.run(&format!("{student} --overwrite --json")).succeeds().json();
    let parameters = |run: &serde_json::Value| run["parameters"].as_u64().unwrap();
    assert!(parameters(&wide) - parameters(&narrow) > 99 * (own - 6), "{own}");
    work.run(&format!("{student} --embedding-size {own}")).fails(2, &["embedding_size", "expected 2 to"]);
}
