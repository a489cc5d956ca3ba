//! Answers that are a part of a text: from questions over a teacher and a student to a report.

use serde_json::{Value, json};

use crate::files;
use crate::harness::Work;
use crate::validate::assert_schema;

/// The answer to every question, where the text has it.
const ANSWER: &str = "city river";

/// Questions with a text of the golden model's words. Every third has no answer; in some the text is longer than a window.
fn questions(count: usize, prefix: &str) -> Vec<(String, String)> {
    let question = |(number, row): (usize, files::Row)| {
        let mut words: Vec<&str> = row.text.split(' ').filter(|word| *word != "city").collect();
        let all = words.clone();
        if number % 5 == 4 {
            words.extend(all.iter().cycle().take(30));
        }
        if number % 3 != 0 {
            words.insert(words.len() - number % 3, ANSWER);
        }
        (row.id, words.join(" "))
    };
    files::rows(count, prefix).into_iter().enumerate().map(question).collect()
}

fn answers(text: &str) -> Value {
    match text.find(ANSWER) {
        Some(start) => json!({"text": [ANSWER], "answer_start": [start]}),
        None => json!({"text": [], "answer_start": []}),
    }
}

fn jsonl(rows: &[(String, String)]) -> String {
    let line = |(id, text): &(String, String)| {
        let row = json!({"id": id, "question": "what is the film", "context": text, "answers": answers(text)});
        format!("{row}\n")
    };
    rows.iter().map(line).collect()
}

/// As SQuAD 2.0 has them.
fn squad(rows: &[(String, String)]) -> String {
    let paragraph = |(id, text): &(String, String)| {
        let found: Vec<Value> =
            text.find(ANSWER).map(|start| json!({"text": ANSWER, "answer_start": start})).into_iter().collect();
        let is_impossible = found.is_empty();
        json!({"context": text, "qas": [
            {"id": id, "question": "what is the film", "answers": found, "is_impossible": is_impossible},
        ]})
    };
    let paragraphs: Vec<Value> = rows.iter().map(paragraph).collect();
    json!({"version": "v2.0", "data": [{"title": "films", "paragraphs": paragraphs}]}).to_string()
}

fn work() -> Work {
    let work = Work::new();
    work.write("rows.jsonl", jsonl(&questions(60, "r")));
    work.write("rows.json", squad(&questions(60, "r")));
    work.write("validation.jsonl", jsonl(&questions(20, "v")));
    work.write("test.jsonl", jsonl(&questions(40, "t")));
    work
}

const TRAIN: &str =
    "--validation validation.jsonl --max-length 24 --epochs 16 --batch-size 8 --learning-rate 3e-3";

/// Exact match of lines of `predict`, by hand: here texts have no articles and no punctuation that count.
fn exact_match(rows: &[Value]) -> f64 {
    let is_right = |row: &&Value| {
        let right = row["answers"].as_array().unwrap();
        let prediction = &row["prediction"];
        if right.is_empty() { *prediction == "" } else { right.contains(prediction) }
    };
    rows.iter().filter(is_right).count() as f64 / rows.len() as f64
}

#[test]
fn answers_from_questions_to_a_report() {
    let work = work();
    let finetuned = work
        .run(&format!("finetune --model tiny --task question_answering --data rows.json {TRAIN} --out ft"))
        .succeeds();
    assert!(finetuned.stdout.contains("validation exact match"), "{}", finetuned.shown());
    let config = work.json("ft/model/config.json");
    assert_eq!(config["architectures"], json!(["BertForQuestionAnswering"]));
    let card = work.read("ft/model/README.md");
    assert!(card.contains("pipeline_tag: question-answering") && !card.contains("LABEL_0"), "{card}");

    work.run("teacher --model ft/model --max-length 24 --data rows.jsonl --out targets").succeeds();
    work.run("targets verify targets").succeeds();
    let info = work.run("targets info targets").succeeds();
    assert!(
        info.stdout.contains("question_answering") && !info.stdout.contains("labels\n"),
        "{}",
        info.shown()
    );
    let fingerprint = &work.json("targets/manifest.json")["fingerprint"];
    assert_eq!(
        (&fingerprint["format_version"], &fingerprint["task"]),
        (&json!(2), &json!("question_answering"))
    );
    let student = format!("student --targets targets --init ft/model --layers 0,2 {TRAIN} --out st");
    work.run(&student).succeeds().says("soft targets 0.5");
    assert_eq!(work.json("st/run.json")["settings"]["student"]["best_metric"], "f1");

    let report = "report --model teacher=ft/model --model student=st/model --data test.jsonl --max-length 24 --no-timing --card \
                  --gate exact_match>=0.5 --gate kept.f1>=0.5 --gate f1>=0.5 --junit junit.xml --out report";
    let printed = work.run(report).succeeds();
    assert!(printed.stdout.contains("of the answer F1 of teacher"), "{}", printed.shown());
    // `transformers` 5 has no pipeline for this task.
    let card = work.read("st/model/README.md");
    assert!(card.contains("AutoModelForQuestionAnswering") && !card.contains("pipeline("), "{card}");
    let report = work.json("report/report.json");
    let schema: Value = serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    assert_schema(&report, &schema);
    for (number, directory) in ["ft", "st"].into_iter().enumerate() {
        let out = format!("{directory}.jsonl");
        work.run(&format!("predict --model {directory}/model --max-length 24 --data test.jsonl --out {out}"))
            .succeeds();
        work.run(&format!(
            "predict --model {directory}/model --max-length 24 --data test.jsonl --out {out} --overwrite"
        ))
        .succeeds();
        let rows = work.json_lines(&out);
        let found = report["data"][0]["models"][number]["metrics"]["exact_match"]["value"].as_f64().unwrap();
        let expected = exact_match(&rows);
        assert!((found - expected).abs() < 1e-9 && expected > 0.5, "{found}, not {expected}");
        for row in rows.iter().filter(|row| row["prediction"] != "") {
            let context = questions(40, "t").into_iter().find(|(id, _)| row["id"] == **id).unwrap().1;
            let [start, end] = ["start", "end"].map(|end| row[end].as_u64().unwrap() as usize);
            assert_eq!(row["prediction"], context[start..end], "{row}");
            assert!((0.0..=1.0).contains(&row["score"].as_f64().unwrap()), "{row}");
        }
        // Answers behind the first window are found too.
        let far = |row: &&Value| row["start"].as_u64().is_some_and(|start| start > 120);
        assert!(rows.iter().any(|row| far(&row)), "{directory}");
    }
}

#[test]
fn a_file_of_squad_trains_the_same_model_as_lines() {
    let work = work();
    let train = "--validation validation.jsonl --max-length 24 --epochs 2 --batch-size 8 --threads 1";
    for ending in ["jsonl", "json"] {
        work.run(&format!(
            "finetune --model tiny --task question_answering --data rows.{ending} {train} --out {ending}"
        ))
        .succeeds();
    }
    assert_eq!(work.bytes("jsonl/model/model.safetensors"), work.bytes("json/model/model.safetensors"));
}

#[test]
fn a_pipeline_of_questions_runs_and_is_up_to_date_afterwards() {
    let work = work();
    work.write(
        "p.toml",
        "out = \"out\"\n[data]\ntask = \"question_answering\"\ntrain = \"rows.jsonl\"\nvalidation = \"validation.jsonl\"\ntest = \"test.jsonl\"\n\
         max_length = 24\n[finetune]\nmodel = \"tiny\"\nepochs = 12\nbatch_size = 8\nlearning_rate = 3e-3\n\
         [student]\nlayers = [0, 2]\nepochs = 4\nbatch_size = 8\nlearning_rate = 3e-3\nhidden_weight = 1.0\n\
         no_teacher_baseline = true\n[report]\ntiming = false\ngates = [\"f1 >= 0\", \"kept.exact_match >= 0\"]\n",
    );
    work.run("check p.toml").succeeds();
    work.run("run p.toml").succeeds();
    let report = work.json("out/report/report.json");
    assert!(report["data"][0]["models"][2]["metrics"]["f1"]["value"].is_f64());
    work.run("run p.toml").succeeds().says("up to date");
}

#[test]
fn soft_targets_of_other_windows_are_refused_with_the_row() {
    let work = work();
    let train = "--validation validation.jsonl --epochs 1 --batch-size 8";
    work.run(&format!(
        "finetune --model tiny --task question_answering --data rows.jsonl --max-length 24 {train} --out ft"
    ))
    .succeeds();
    work.run("teacher --model ft/model --max-length 24 --data rows.jsonl --out targets").succeeds();
    let student = "student --targets targets --init ft/model --layers 0,2 --max-length 20";
    work.run(&format!("{student} {train} --out st"))
        .fails(2, &["max_length is 20", "those of targets have 24 tokens", "--max-length 20"]);
    work.run("report --predictions targets/train-00000-of-00001.parquet --labels a,b --task question_answering --out r")
        .fails(2, &["cannot be read from files"]);
}

#[test]
fn what_is_no_question_with_an_answer_is_refused_before_anything_is_computed() {
    let work = work();
    let run = |rows: &str, more: &str| {
        work.run(&format!(
            "finetune --model tiny --task question_answering --data {rows} --epochs 1 {more} --out ft"
        ))
    };
    work.write(
        "wrong.jsonl",
        "{\"question\": \"who\", \"context\": \"the film\", \"answers\": {\"text\": [\"film\"], \"answer_start\": [0]}}\n",
    );
    run("wrong.jsonl", "").fails(65, &["wrong.jsonl: line 1", "the answer \"film\""]);
    work.write(
        "no-context.jsonl",
        "{\"question\": \"who\", \"answers\": {\"text\": [], \"answer_start\": []}}\n",
    );
    run("no-context.jsonl", "").fails(65, &["context"]);
    run("rows.jsonl", "--max-length 6")
        .fails(65, &["rows.jsonl: line 1", "its question has", "a larger max_length is needed"]);
    run("rows.jsonl", "--set finetune.loss=mse").fails(2, &["windows have different numbers of positions"]);
    run("rows.jsonl", "--set finetune.class_weights=balanced").fails(2, &["which have no classes"]);
}

#[test]
fn a_question_without_room_for_its_text_is_named_with_its_place_in_the_file() {
    let work = work();
    work.run(
        "finetune --model tiny --task question_answering --data rows.jsonl --max-length 24 --epochs 1 --out ft",
    )
    .succeeds();
    // The texts of the first rows are the same, and are tokenized once.
    let line = |id: usize, question: &str| {
        let answers = json!({"text": [], "answer_start": []});
        format!("{}\n", json!({"id": id, "question": question, "context": "the film", "answers": answers}))
    };
    let long = "what ".repeat(40);
    work.write("long.jsonl", [line(0, "what"), line(1, "what"), line(2, &long)].concat());
    let refused = ["long.jsonl: line 3", "its question has 40 tokens", "a larger max_length is needed"];
    let of_model = "--model ft/model --max-length 24 --data long.jsonl";
    work.run(&format!("predict {of_model} --out p.jsonl")).fails(65, &refused);
    work.run(&format!("report {of_model} --out report")).fails(65, &refused);
    work.run(&format!("teacher {of_model} --out long")).fails(65, &refused);
    work.run("teacher --model ft/model --max-length 24 --data rows.jsonl --out targets").succeeds();
    let student = "student --targets targets --init ft/model --max-length 24 --epochs 1";
    work.run(&format!("{student} --validation long.jsonl --out st")).fails(65, &refused);
    work.run(&format!("{student} --task sequence_classification --out st"))
        .fails(2, &["data.task is sequence_classification", "that of the soft targets is question_answering"]);
}

#[test]
fn slices_are_cut_by_columns_that_the_file_has() {
    let work = work();
    work.run(
        "finetune --model tiny --task question_answering --data rows.jsonl --max-length 24 --epochs 1 --out ft",
    )
    .succeeds();
    let report = "report --model ft/model --max-length 24 --no-timing";
    let two = jsonl(&questions(60, "r")).replacen("what is the film", "where is it", 20);
    work.write("two.jsonl", two);
    work.run(&format!("{report} --data two.jsonl --slice question --out r")).succeeds();
    let slices = &work.json("r/report.json")["data"][0]["slices"];
    let is_expected =
        |slice: &Value| slice["by"] == "question" && slice["value"] == "where is it" && slice["rows"] == 20;
    assert!(slices.as_array().unwrap().iter().any(is_expected), "{slices}");
    // A file in SQuAD's form has no further columns for its questions.
    work.run(&format!("{report} --data rows.json --slice title --out r2"))
        .fails(65, &["rows.json", "there is no column \"title\" in SQuAD's form"]);
    work.run(&format!("{report} --data rows.json --text-column context --text-pair-column question --out r3"))
        .fails(65, &["there is no column \"context\"", "SQuAD's form"]);
}

#[test]
fn an_answer_that_is_whole_in_no_window_is_said() {
    let work = work();
    let long = ["city"; 40].join(" ");
    let row = json!({"id": "long", "question": "what", "context": format!("the {long} is"),
        "answers": {"text": [long], "answer_start": [4]}});
    work.write("long.jsonl", format!("{}{row}\n", jsonl(&questions(8, "s"))));
    let finetune = "finetune --model tiny --task question_answering --max-length 24 --epochs 1";
    work.run(&format!("{finetune} --data long.jsonl --validation validation.jsonl --out ft"))
        .succeeds()
        .says("long.jsonl: 1 answers are whole in no window of 24 tokens");
    let other = work.run(&format!("{finetune} --data rows.jsonl --validation validation.jsonl --out ft2"));
    assert!(!other.succeeds().stderr.contains("whole in no window"));
}
