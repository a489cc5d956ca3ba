//! A tag for each word: from rows of words over a teacher and a student to a report.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::files;
use crate::harness::Work;
use crate::validate::assert_schema;

/// Words are tagged by what they are: `who` is a person, `city` begins a place, in which `river` right after it is.
fn tags(words: &[&str]) -> Vec<&'static str> {
    let tag = |at: usize| match words[at] {
        "who" => "B-PER",
        "city" => "B-LOC",
        "river" if at > 0 && words[at - 1] == "city" => "I-LOC",
        _ => "O",
    };
    (0..words.len()).map(tag).collect()
}

/// Sentences of the golden model's words, some of them with a place of two words.
fn sentences(count: usize, prefix: &str) -> Vec<(String, Vec<String>)> {
    let sentence = |(number, row): (usize, files::Row)| {
        let mut words: Vec<String> = row.text.split(' ').map(str::to_owned).collect();
        if number % 3 == 0 {
            words.extend(["city", "river", "the", "who"].map(str::to_owned));
        }
        (row.id, words)
    };
    files::rows(count, prefix).into_iter().enumerate().map(sentence).collect()
}

fn jsonl(rows: &[(String, Vec<String>)]) -> String {
    let line = |(id, words): &(String, Vec<String>)| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        format!("{}\n", json!({"id": id, "tokens": words, "tags": tags(&words)}))
    };
    rows.iter().map(line).collect()
}

fn conll(rows: &[(String, Vec<String>)]) -> String {
    let sentence = |(_, words): &(String, Vec<String>)| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lines = words.iter().zip(tags(&words)).map(|(word, tag)| format!("{word} {tag}\n"));
        format!("{}\n", lines.collect::<String>())
    };
    rows.iter().map(sentence).collect()
}

fn work() -> Work {
    let work = Work::new();
    work.write("rows.jsonl", jsonl(&sentences(60, "r")));
    work.write("validation.jsonl", jsonl(&sentences(20, "v")));
    work.write("test.jsonl", jsonl(&sentences(40, "t")));
    work
}

const TRAIN: &str = "--validation validation.jsonl --epochs 12 --batch-size 8 --learning-rate 3e-3";

/// Entities of BIO tags, where `I-` continues an entity of its type and begins one otherwise.
fn entities(tags: &Value) -> BTreeSet<(usize, usize, String)> {
    let tags: Vec<&str> = tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap_or("O")).collect();
    let mut found = BTreeSet::new();
    let mut open: Option<(usize, String)> = None;
    for (at, tag) in tags.iter().chain(["O"].iter()).enumerate() {
        let kind = tag.get(2..).unwrap_or_default();
        let continues = tag.starts_with("I-") && open.as_ref().is_some_and(|(_, known)| known == kind);
        if !continues {
            if let Some((start, kind)) = open.take() {
                found.insert((start, at, kind));
            }
            if *tag != "O" {
                open = Some((at, kind.to_owned()));
            }
        }
    }
    found
}

/// Entity F1 of lines of `predict`, by hand.
fn entity_f1(rows: &[Value]) -> f64 {
    let (mut hits, mut sum) = (0, 0);
    for row in rows {
        let (gold, predicted) = (entities(&row["label_names"]), entities(&row["tags"]));
        hits += gold.intersection(&predicted).count();
        sum += gold.len() + predicted.len();
    }
    2.0 * hits as f64 / sum as f64
}

#[test]
fn tags_from_rows_of_words_to_a_report() {
    let work = work();
    let finetuned = work
        .run(&format!("finetune --model tiny --data rows.jsonl --task token_classification {TRAIN} --out ft"));
    let finetuned = finetuned.succeeds().says("loss = 1 · CE(student_logits, labels)");
    assert!(finetuned.stdout.contains("entity F1"), "{}", finetuned.shown());
    let config = work.json("ft/model/config.json");
    assert_eq!(config["architectures"], json!(["BertForTokenClassification"]));
    assert_eq!(config["id2label"]["0"], "O");
    assert!(work.read("ft/model/README.md").contains("pipeline_tag: token-classification"));

    work.run("teacher --model ft/model --data rows.jsonl --out targets").succeeds();
    work.run("targets verify targets").succeeds();
    let manifest = work.json("targets/manifest.json");
    assert_eq!(manifest["fingerprint"]["format_version"], 2);
    let student = format!("student --targets targets --init ft/model --layers 0,2 {TRAIN} --out st");
    work.run(&student).succeeds();
    assert_eq!(work.json("st/run.json")["settings"]["student"]["best_metric"], "entity_f1");

    let report = "report --model teacher=ft/model --model student=st/model --data test.jsonl --no-timing --card \
                  --gate entity_f1>=0.5 --gate kept.entity_f1>=0.5 --gate entity_f1[LOC]>=0 --gate token_accuracy>=0.5 \
                  --junit junit.xml --out report";
    let printed = work.run(report).succeeds();
    assert!(printed.stdout.contains("of the entity F1 of teacher"), "{}", printed.shown());
    let report = work.json("report/report.json");
    let schema: Value = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    assert_schema(&report, &schema);
    for (number, directory) in ["ft", "st"].into_iter().enumerate() {
        let out = format!("{directory}.jsonl");
        work.run(&format!("predict --model {directory}/model --data test.jsonl --out {out}")).succeeds();
        let found = report["data"][0]["models"][number]["metrics"]["entity_f1"]["value"].as_f64().unwrap();
        let expected = entity_f1(&work.json_lines(&out));
        assert!((found - expected).abs() < 1e-9 && expected > 0.5, "{found}, not {expected}");
    }
    let row = &work.json_lines("st.jsonl")[0];
    assert_eq!(row["tags"].as_array().unwrap().len(), row["tokens"].as_array().unwrap().len());
    for document in ["report/report.md", "report/report.html"] {
        assert!(work.read(document).contains("LOC"), "{document}");
    }
}

/// Both files hold the same sentences in the same order.
#[test]
fn columns_of_conll_train_the_same_model_as_lists() {
    let work = work();
    work.write("rows.conll", conll(&sentences(60, "r")));
    let train =
        "--task token_classification --validation validation.jsonl --epochs 1 --batch-size 8 --threads 1";
    for ending in ["jsonl", "conll"] {
        let command = format!("finetune --model tiny --data rows.{ending} {train} --out {ending}");
        work.run(&command).succeeds();
    }
    assert_eq!(work.bytes("jsonl/model/model.safetensors"), work.bytes("conll/model/model.safetensors"));
}

#[test]
fn a_pipeline_of_tags_runs_and_is_up_to_date_afterwards() {
    let work = work();
    work.write(
        "p.toml",
        "out = \"out\"\n[data]\ntask = \"token_classification\"\ntrain = \"rows.jsonl\"\n\
         validation = \"validation.jsonl\"\ntest = \"test.jsonl\"\n[finetune]\nmodel = \"tiny\"\nepochs = 4\n\
         batch_size = 8\nlearning_rate = 3e-3\n[student]\nlayers = [0, 2]\nepochs = 4\nbatch_size = 8\n\
         learning_rate = 3e-3\nno_teacher_baseline = true\n[report]\ntiming = false\n\
         gates = [\"entity_f1 >= 0\"]\n",
    );
    work.run("check p.toml").succeeds();
    work.run("run p.toml").succeeds();
    assert!(
        work.json("out/report/report.json")["data"][0]["models"][2]["metrics"]["entity_f1"]["value"].is_f64()
    );
    work.run("run p.toml").succeeds().says("up to date");
}

#[test]
fn rows_and_models_of_different_tasks_are_refused_before_anything_is_computed() {
    let work = work();
    let words = "--model tiny --data rows.jsonl --out ft";
    work.run(&format!("finetune {words} --problem-type regression --task token_classification"))
        .fails_usage(&["data.task is token_classification", "data.problem_type is regression"]);
    work.run(&format!("finetune {words} --task ner")).fails_usage(&["expected one of", "token_classification"]);
    // The golden model has a head for rows, and `tokens` is a column for words.
    work.run(&format!("finetune {words}")).fails_usage(&[
        "rows.jsonl",
        "token_classification",
        "single_label_classification",
    ]);
    work.run(&format!("finetune {words} --task sequence_classification")).fails(65, &["rows.jsonl", "text"]);
    work.run("augment --data rows.jsonl --copies 1 --out more")
        .fails_usage(&["token_classification", "augment"]);
    assert!(!work.path("ft").exists() && !work.path("more").exists());
}

#[test]
fn tags_that_do_not_fit_their_words_or_their_model_are_named_with_their_row() {
    let work = work();
    let line = |tokens: &[&str], tags: &[&str]| format!("{}\n", json!({"tokens": tokens, "tags": tags}));
    let good = line(&["who", "the"], &["B-PER", "O"]);
    let finetune = "finetune --model tiny --task token_classification --data bad.jsonl --out ft";
    work.write("bad.jsonl", format!("{good}{}", line(&["who", "the"], &["B-PER"])));
    work.run(finetune).fails(65, &["bad.jsonl", "line 2", "2", "1"]);
    work.write("bad.jsonl", format!("{good}{}", line(&[], &[])));
    work.run(finetune).fails(65, &["bad.jsonl", "line 2"]);
    work.write("bad.jsonl", format!("{good}{}", line(&["who"], &["X-PER"])));
    work.run(finetune).fails(65, &["bad.jsonl", "X-PER"]);
    work.run("finetune --model tiny --task token_classification --data rows.jsonl --epochs 1 --out ft")
        .succeeds();
    work.write("other.jsonl", line(&["who"], &["B-ORG"]));
    work.run("teacher --model ft/model --data other.jsonl --out targets").fails(65, &["other.jsonl", "B-ORG"]);
    assert!(!work.path("targets").exists());
}

#[test]
fn words_of_a_single_tag_and_lines_that_end_in_carriage_returns_train_nothing() {
    let work = work();
    let finetune = "finetune --model tiny --task token_classification --epochs 1 --out ft --data";
    for tag in ["O", "NOUN"] {
        work.write("one.conll", format!("the {tag}\nwho {tag}\n\n").repeat(8));
        let says = format!("all 16 labelled words have the tag {tag:?}");
        work.run(&format!("{finetune} one.conll")).fails(65, &["one.conll", &says, "at least two tags"]);
    }
    // As one line, the file is a single word in very many columns.
    work.write("old.conll", conll(&sentences(8, "r")).replace('\n', "\r"));
    work.run(&format!("{finetune} old.conll")).fails(65, &["old.conll", "carriage return"]);
    assert!(!work.path("ft/model").exists());
}

/// Long rows are trained on in windows, but rows are what a reader of the log and of the model card knows.
#[test]
fn rows_that_are_cut_into_windows_are_counted_as_rows() {
    let work = work();
    let trained = work.run(
        "finetune --model tiny --task token_classification --data rows.jsonl --validation validation.jsonl --epochs 1 \
         --max-length 6 --out ft",
    );
    trained.succeeds().says("rows train=60 validation=20").says("labelled training words per tag: O ");
    let card = work.read("ft/model/README.md");
    assert!(card.contains("over 60 rows,") && card.contains("on 20 validation rows"), "{card}");
}

/// Words that the tokenizer makes nothing of, and rows without a tag, are no secret; of windows nothing is cut.
#[test]
fn what_is_left_out_is_said_with_its_number() {
    let work = work();
    let long = ["the"; 12];
    let more = [
        json!({"id": "untagged", "tokens": long, "tags": null}),
        // A soft hyphen, which the tokenizer removes.
        json!({"id": "empty", "tokens": ["who", "\u{ad}", "the"], "tags": ["B-PER", "O", "O"]}),
    ];
    let rows: String = more.iter().map(|row| format!("{row}\n")).collect();
    work.write("rows.jsonl", jsonl(&sentences(60, "r")) + &rows);
    let train = "--validation validation.jsonl --epochs 1 --batch-size 8";
    let finetune = "finetune --model tiny --task token_classification --data rows.jsonl --max-length 6";
    work.run(&format!("{finetune} {train} --out ft"))
        .succeeds()
        .says("1 of 62 training rows have no label and are skipped");
    let dropped = "the tokenizer makes no tokens of 1 of ";
    work.run("teacher --model ft/model --data rows.jsonl --max-length 6 --out targets")
        .succeeds()
        .says(dropped);
    work.run("predict --model ft/model --data rows.jsonl --out p.jsonl").succeeds().says(dropped);
    let student =
        format!("student --targets targets --init ft/model --layers 0 --max-length 5 {train} --out st");
    let student = work.run(&student).succeeds();
    assert!(!student.shown().contains("the student reads"), "{}", student.shown());
    let report = "report --model ft/model --data rows.jsonl --no-timing --out";
    work.run(&format!("{report} report")).succeeds().says(dropped);
    for (column, what) in [("tokens", "the words of a row"), ("tags", "a tag for each word")] {
        work.run(&format!("{report} sliced --slice {column}")).fails_usage(&[
            &format!("slices by {column:?}"),
            what,
            "one value of each row",
        ]);
    }
}
