//! Whether a teacher has anything to teach: what it is judged by, and what is said where it cannot be.

use std::collections::HashSet;

use distill_data::cache::id_hash;
use distill_data::choose_validation;
use serde_json::{Value, json};

use crate::files::{Row, jsonl, rows};
use crate::harness::{Run, Work};

const REQUIRED: &str = "--set student.require_teacher=true";
const LABELS: [&str; 3] = ["alpha", "beta", "gamma"];
const TEXTS: [&str; 3] = ["what city", "who first", "where the river"];

/// Rows whose texts say their label, so that a teacher learns it.
fn told(count: usize) -> Vec<Row> {
    let mut told = rows(count, "r");
    for (place, row) in told.iter_mut().enumerate() {
        (row.label, row.text) = (Some(LABELS[place % 3].to_owned()), TEXTS[place % 3].to_owned());
    }
    told
}

/// The same rows, each with the label of another text.
fn untrue(mut rows: Vec<Row>, which: impl Fn(&Row) -> bool) -> Vec<Row> {
    for row in rows.iter_mut().filter(|row| which(row)) {
        let text = TEXTS.iter().position(|text| row.text == *text).unwrap();
        row.label = Some(LABELS[(text + 1) % 3].to_owned());
    }
    rows
}

/// With `ft`, a teacher that knows what `told.jsonl` says, and `good`, its soft targets of those rows.
fn with_teacher() -> Work {
    let work = Work::new();
    work.write("told.jsonl", jsonl(&told(40)));
    work.run(
        "finetune --model tiny --data told.jsonl --epochs 12 --batch-size 8 --learning-rate 3e-3 --out ft",
    )
    .succeeds();
    work.run("teacher --model ft/model --data told.jsonl --out good").succeeds();
    work
}

/// A student that begins as a narrow part of its teacher, and knows less.
fn student(work: &Work, more: &str) -> Run {
    work.run(&format!("student --init ft/model --layers 2 --hidden-size 16 --epochs 1 {more}"))
}

#[test]
fn a_teacher_that_knows_nothing_is_a_warning_or_a_failed_gate() {
    let work = Work::with_targets();
    let mut same = rows(40, "r");
    same.iter_mut().for_each(|row| row.label = Some("alpha".to_owned()));
    work.write("same.jsonl", jsonl(&same));
    work.run("teacher --model tiny --data same.jsonl --out same").succeeds();
    let start = "student --targets same --init tiny --layers 0 --epochs 1";
    work.run(&format!("{start} --out warned")).succeeds().says("the teacher has nothing to teach");
    work.run(&format!("{start} {REQUIRED} --out st"))
        .fails(1, &["student.require_teacher", "always predicting the most frequent label 100.0 %"]);
    assert!(!work.path("st").exists());
    work.run(&format!("{start} --hard-weight 1 --soft-weight 0 {REQUIRED} --out alone")).succeeds();
}

/// A teacher that knows its training rows by heart is right on most of a store, and on no row that was set aside.
#[test]
fn a_teacher_is_judged_by_the_rows_that_were_set_aside() {
    let work = with_teacher();
    let all = told(40);
    let ids: Vec<[u8; 8]> = all.iter().map(|row| id_hash(&row.id).to_le_bytes()).collect();
    let chosen = choose_validation(ids.iter(), 0.25, 42).unwrap();
    let aside: HashSet<String> =
        all.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(row, _)| row.id.clone()).collect();
    assert_eq!(aside.len(), 10);
    work.write("heart.jsonl", jsonl(&untrue(all, |row| aside.contains(&row.id))));
    work.run("teacher --model ft/model --data heart.jsonl --out heart").succeeds();
    let start = "--targets heart --validation 0.25";
    let what = "the teacher predicts 0.0 % of the 10 labelled validation rows correctly";
    student(&work, &format!("{start} {REQUIRED} --out st")).fails(1, &["student.require_teacher", what]);
    student(&work, &format!("{start} --out warned")).succeeds().says(what);
    student(&work, &format!("--targets good --validation 0.25 {REQUIRED} --out good-st")).succeeds();
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_validation_file_is_read_by_the_teacher_itself() {
    let work = with_teacher();
    work.write("right.jsonl", jsonl(&told(12)));
    work.write("wrong.jsonl", jsonl(&untrue(told(12), |_| true)));
    let what = "the teacher predicts 0.0 % of the 12 labelled validation rows correctly";
    student(&work, &format!("--targets good --validation wrong.jsonl {REQUIRED} --out st")).fails(1, &[what]);
    student(&work, "--targets good --validation wrong.jsonl --out warned").succeeds().says(what);
    student(&work, &format!("--targets good --validation right.jsonl {REQUIRED} --out passed")).succeeds();
    // Several teachers are asked one by one, and their logits averaged.
    work.run("teacher --model tiny --data told.jsonl --out second").succeeds();
    let both = "--targets good --targets second --set student.teacher_weights=[1000,1]";
    student(&work, &format!("{both} --validation wrong.jsonl {REQUIRED} --out st")).fails(1, &[what]);
    // A student that begins as its teacher has nothing to learn from it.
    work.run(&format!(
        "student --targets good --init ft/model --epochs 1 --validation right.jsonl {REQUIRED} --out st"
    ))
    .fails(1, &["accuracy is 1.0000", "before any training: the teacher has nothing to teach"]);

    // Where the teacher went, nobody knows, unless it is named.
    std::fs::rename(work.path("ft"), work.path("moved")).unwrap();
    let start = "student --targets good --init moved/model --layers 2 --hidden-size 16 --epochs 1 \
                 --validation right.jsonl";
    let what = "the teacher cannot be judged on the validation rows";
    work.run(&format!("{start} {REQUIRED} --out lost"))
        .fails(2, &["student.require_teacher", what, "ft/model"]);
    assert!(!work.path("lost").exists());
    work.run(&format!("{start} --out unjudged")).succeeds().says(what);
    work.run(&format!("{start} --teacher-model moved/model {REQUIRED} --out named")).succeeds();
    // To be asked does not change what the student learns.
    let model = |out: &str| work.bytes(&format!("{out}/model/model.safetensors"));
    assert!(model("passed") == model("unjudged") && model("passed") == model("named"));
}

#[test]
fn rows_without_labels_cannot_judge_a_teacher() {
    let work = with_teacher();
    let mut bare = told(40);
    bare.iter_mut().for_each(|row| row.label = None);
    work.write("bare.jsonl", jsonl(&bare));
    work.run("teacher --model ft/model --data bare.jsonl --out bare").succeeds();
    let why = "the teacher cannot be judged on the validation rows: none of the 4 validation rows has a label";
    student(&work, &format!("--targets bare {REQUIRED} --out st"))
        .fails(2, &[&format!("student.require_teacher: {why}")]);
    student(&work, "--targets bare --out warned").succeeds().says(why);
}

#[test]
fn a_student_that_starts_as_good_as_its_teacher_fails_the_gate() {
    let work = with_teacher();
    let start = format!("student --targets good --init ft/model --epochs 1 {REQUIRED}");
    work.run(&format!("{start} --out st")).fails(1, &["before any training: the teacher has nothing to teach"]);
    work.run(&format!("{start} --set student.best_metric=loss --out st"))
        .fails(1, &["the teacher's accuracy is"]);
    work.run(&format!("{start} --layers 2 --hidden-size 16 --out cut")).succeeds();
    // Fresh weights answer by chance: they are not asked.
    let config = work.read("ft/model/config.json");
    work.write("fresh.json", config);
    work.run(&format!(
        "student --targets good --init fresh.json --tokenizer ft/model --epochs 1 {REQUIRED} --out fresh"
    ))
    .succeeds();
}

/// The labels of several classes a row, and numbers: words that a text has, or whether it asks for a person.
fn of_kind(kind: &str, row: &Row) -> Value {
    match kind {
        "regression" => json!(if row.text.contains("who") { 2.0 } else { -1.0 }),
        _ => json!(["city", "river"].into_iter().filter(|word| row.text.contains(word)).collect::<Vec<_>>()),
    }
}

#[test]
fn the_comparisons_work_for_multi_label_and_regression() {
    for (kind, figure) in [("multi_label_classification", "micro F1"), ("regression", "MSE")] {
        let work = Work::new();
        let line =
            |row: &Row| format!("{}\n", json!({"id": row.id, "text": row.text, "label": of_kind(kind, row)}));
        work.write("told.jsonl", told(40).iter().map(line).collect::<String>());
        let train = "--epochs 20 --batch-size 8 --learning-rate 3e-3";
        work.run(&format!("finetune --model tiny --data told.jsonl --problem-type {kind} {train} --out ft"))
            .succeeds();
        work.run("teacher --model ft/model --data told.jsonl --out good").succeeds();
        let start = format!("student --targets good --init ft/model --epochs 1 {REQUIRED}");
        work.run(&format!("{start} --validation 0.25 --out st")).fails(
            1,
            &[&format!("the teacher's {figure} is"), "before any training: the teacher has nothing to teach"],
        );
        work.run(&format!("{start} --validation told.jsonl --out st")).fails(
            1,
            &[&format!("the teacher's {figure} is"), "before any training: the teacher has nothing to teach"],
        );
        student(&work, &format!("--targets good --validation 0.25 {REQUIRED} --out cut")).succeeds();
    }
}

/// `distill run` requires a teacher by itself where there are rows enough to judge it by.
#[test]
fn a_pipeline_stops_at_a_teacher_with_nothing_to_teach_unless_switched_off() {
    let work = with_teacher();
    work.write("many.jsonl", jsonl(&untrue(told(60), |_| true)));
    work.write("few.jsonl", jsonl(&untrue(told(12), |_| true)));
    let pipeline = |validation: &str, more: &str| {
        format!(
            "[data]\ntrain = \"told.jsonl\"\nvalidation = \"{validation}\"\n[teacher]\nmodel = \"ft/model\"\n\
             [student]\nlayers = [0]\nepochs = 1\n{more}"
        )
    };
    work.write("p.toml", pipeline("many.jsonl", ""));
    let by_default = "on by default in distill run (set it to false to train anyway)";
    let stopped = work.run("run p.toml --out r").exits(1);
    stopped.says("stage student").says(by_default).says("0.0 % of the 60 labelled");
    assert!(!work.path("r/student/model").exists());
    work.write("p.toml", pipeline("many.jsonl", "require_teacher = false\n"));
    work.run("run p.toml --out r").succeeds().says("the teacher has nothing to teach");
    // Of few rows the comparison is decided by chance.
    work.write("p.toml", pipeline("few.jsonl", ""));
    work.run("run p.toml --out few").succeeds().says("0.0 % of the 12 labelled");
}

#[test]
fn classes_are_counted_and_stratified_and_an_undertrained_teacher_is_reported() {
    let work = Work::new();
    work.write("told.jsonl", jsonl(&told(60)));
    let start = "finetune --model tiny --data told.jsonl --batch-size 8 --learning-rate 3e-3";
    let macro_f1 = "--set finetune.best_metric=macro_f1 --set data.stratify=true --validation 0.2";
    let run = work.run(&format!("{start} --epochs 12 {macro_f1} --out whole")).succeeds();
    let run = run.says("alpha 16, beta 16, gamma 16");
    assert!(run.stdout.contains("macro F1 1.0000"), "{}", run.shown());
    assert_eq!(work.json("whole/run.json")["results"]["validation"]["macro_f1"], 1.0);
    work.run(&format!("{start} --epochs 2 --out early"))
        .succeeds()
        .says("was still improving when its training ended");
    let file = format!("{start} --set data.stratify=true --validation told.jsonl --out x");
    work.run(&file).fails(2, &["data.stratify is true, but the validation rows are all of told.jsonl"]);
    let numbers = format!("{start} --set data.stratify=true --problem-type regression --out x");
    work.run(&numbers).fails(2, &["data.stratify", "regression"]);
}

#[test]
fn texts_with_unknown_tokens_cause_a_warning() {
    let work = Work::new();
    let mut foreign = told(40);
    foreign.iter_mut().for_each(|row| row.text = "\u{6f22}\u{5b57} \u{4eee}\u{540d}".to_owned());
    work.write("foreign.jsonl", jsonl(&foreign));
    let what = "of the tokens are unknown to the vocabulary";
    work.run("finetune --model tiny --data foreign.jsonl --epochs 1 --out ft").succeeds().says(what);
    work.run("teacher --model ft/model --data foreign.jsonl --out st").succeeds().says(what);
    work.run("student --targets st --init ft/model --epochs 1 --out s").succeeds().says(what);
    work.run("predict --model ft/model --data foreign.jsonl --out p.csv").succeeds().says(what);
    work.run("report --model ft/model --data foreign.jsonl --no-timing --out report").succeeds().says(what);
}
