//! Tags of words from rows to trained models, on made-up data that can be learned completely: who begins an entity and who
//! continues one is said by the word alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::{LabelMap, Silent, StopSignal};
use distill_data::TextTokenizer;
use distill_data::logits::LogitsRow;
use distill_data::source::{Label, RawLabel, Row};
use distill_data::{At, Place};
use distill_model::student::{Shape, initialize};
use distill_model::{Model, ModelDirectory};
use distill_task::TaskId;
use distill_teacher::Runner;
use tch::{Device, Tensor};

use crate::data::{CacheBuilder, Part};
use crate::evaluate::Evaluation;
use crate::settings::{OptimizerChoice, ScheduleChoice};
use crate::soft_targets::SoftTarget;
use crate::{ModelFacts, Outcome, TrainSettings, Trainer, TrainingData};

const TAGS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
/// Words with these tags, some of several sub-words; `O` twice, so that it is the most frequent tag.
const WORDS: [(&str, i64); 14] = [
    ("the", 0),
    ("is", 0),
    ("when", 0),
    ("did", 0),
    ("rivers", 0),
    ("?", 0),
    ("name", 1),
    ("cab", 1),
    ("first", 2),
    ("who", 2),
    ("city", 3),
    ("many", 3),
    ("state", 4),
    ("longer", 4),
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn tokenizer(max_length: usize) -> TextTokenizer {
    TextTokenizer::load(&golden("bert-tiny"), max_length).unwrap()
}

fn labels() -> LabelMap {
    LabelMap::new(TAGS).unwrap()
}

/// The next number of a small generator, below `below`.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % below
}

/// Rows of `lengths` words; every `gap`th word has no tag, if there is a gap.
fn rows(count: u64, lengths: std::ops::Range<usize>, gap: Option<usize>) -> Vec<Row> {
    let mut state = 7;
    let row = |row: u64| {
        let length = lengths.start + draw(&mut state, lengths.len());
        let drawn: Vec<(&str, i64)> = (0..length).map(|_| WORDS[draw(&mut state, WORDS.len())]).collect();
        let tags = drawn.iter().enumerate().map(|(at, (_, tag))| {
            let left_out = gap.is_some_and(|gap| (at + row as usize).is_multiple_of(gap));
            (!left_out).then_some(RawLabel::Id(*tag))
        });
        let words: Vec<String> = drawn.iter().map(|(word, _)| (*word).to_owned()).collect();
        Row {
            row,
            id: row.to_string(),
            text: words.join(" "),
            text_pair: None,
            label: Some(Label::Tags(tags.collect())),
            tokens: Some(words),
            place: Place { file: Path::new("rows").into(), at: At::Row(row) },
        }
    };
    (0..count).map(row).collect()
}

/// Rows as a part, with what a teacher says of them where there is one.
fn part(rows: &[Row], targets: Option<&[LogitsRow]>, max_length: usize) -> Part {
    let (tokenizer, labels, stop) = (tokenizer(max_length), labels(), StopSignal::new(None));
    let builder = CacheBuilder {
        tokenizer: &tokenizer,
        labels: &labels,
        problem_type: TaskId::TOKEN_CLASSIFICATION,
        directory: None,
        stop: &stop,
    };
    let built = builder.open(&[], "rows of words", |filling| match targets {
        Some(targets) => builder.push_targets(targets, filling),
        None => builder.push_rows(rows, |_| Ok(SoftTarget::default()), filling),
    });
    built.unwrap()
}

/// So many layers with weights by the seed alone, and a head for tags.
fn fresh(layers: usize) -> Model {
    // Of this test's own thread. The products are tiny: further threads would only be waited for.
    tch::set_num_threads(1);
    tch::manual_seed(5);
    let directory = ModelDirectory::open(&golden("bert-tiny/config.json")).unwrap();
    let chosen: Vec<usize> = (0..layers).collect();
    let shape = Shape { layers: Some(&chosen), ..Shape::default() };
    initialize(&directory, shape, &labels(), TaskId::TOKEN_CLASSIFICATION, Device::Cpu).unwrap()
}

fn settings() -> TrainSettings {
    TrainSettings {
        epochs: 4,
        batch_size: 8,
        learning_rate: 5e-3,
        warmup_ratio: 0.1,
        checkpoint_minutes: 0.0,
        ..TrainSettings::default()
    }
}

fn train(model: &Model, teacher: Option<&Model>, settings: &TrainSettings, data: &TrainingData) -> Outcome {
    let plan = settings.resolve(&ModelFacts::of(model)).unwrap();
    let (out, stop) = (tempfile::tempdir().unwrap(), StopSignal::new(None));
    Trainer { model, teacher, plan: &plan, data, seed: 3, stop: &stop, progress: &Silent }
        .run(out.path())
        .unwrap()
}

/// What a model says of rows.
fn logits_of(model: &Model, rows: &[Row], max_length: usize) -> Vec<LogitsRow> {
    let (tokenizer, stop) = (tokenizer(max_length), StopSignal::new(None));
    let runner = Runner { model, tokenizer: &tokenizer, batch_tokens: 512, stop: &stop, progress: &Silent };
    let mut found = Vec::new();
    let total = rows.len() as u64;
    let stats = runner.run("teacher", rows.iter().cloned().map(Ok), total, |rows| {
        found.extend_from_slice(rows);
        Ok(())
    });
    assert_eq!(stats.unwrap().rows, total);
    found
}

fn entity_f1(evaluation: &Evaluation) -> f64 {
    evaluation.figures.entity_f1.unwrap()
}

/// The quality floor: a small student learns what can be learned, and a teacher does not keep it from that.
#[test]
fn a_small_student_learns_the_entities_and_no_less_with_a_teacher() {
    let (train_rows, held_out) = (rows(140, 4..12, Some(3)), rows(200, 4..12, None).split_off(140));
    let validation = part(&held_out, None, 32);
    let hard = TrainingData { train: part(&train_rows, None, 32), validation: validation.clone() };
    let labels_alone = settings().without_teacher();
    let teacher = fresh(2);
    let taught = train(&teacher, None, &labels_alone, &hard);
    assert!(entity_f1(&taught.best) > 0.95, "the teacher: {taught:?}");
    let alone = train(&fresh(1), None, &labels_alone, &hard);
    assert!(entity_f1(&alone.best) > 0.95, "without a teacher: {alone:?}");

    let said = logits_of(&teacher, &train_rows, 32);
    let soft = TrainingData { train: part(&train_rows, Some(&said), 32), validation };
    assert_eq!(soft.train.iter().map(|row| row.positions.len()).sum::<usize>(), words(&train_rows));
    let distilled = train(&fresh(1), None, &settings(), &soft);
    assert!(entity_f1(&distilled.best) > 0.95, "with a teacher: {distilled:?}");
    assert!(entity_f1(&distilled.best) >= entity_f1(&alone.best) - 0.01, "{distilled:?} {alone:?}");
    assert!(distilled.best.figures.token_accuracy.unwrap() > 0.95, "{distilled:?}");
}

/// A word that the teacher's tokenizer makes nothing of has no soft target: it is left out and counted.
#[test]
fn words_without_a_soft_target_are_left_out_and_counted() {
    let rows = rows(6, 3..6, None);
    let mut said = logits_of(&fresh(2), &rows, 32);
    let width = labels().num_labels();
    for row in &mut said[..2] {
        row.positions.remove(1);
        row.logits.drain(width..2 * width);
    }
    let (tokenizer, labels, stop) = (tokenizer(32), labels(), StopSignal::new(None));
    let (problem_type, directory) = (TaskId::TOKEN_CLASSIFICATION, None);
    let builder = CacheBuilder { tokenizer: &tokenizer, labels: &labels, problem_type, directory, stop: &stop };
    let mut left_out = 0;
    let part = builder.open(&[], "rows of words", |filling| {
        builder.push_targets(&said, filling)?;
        left_out = filling.writer.left_out();
        Ok(())
    });
    assert_eq!(left_out, 2);
    let learned: usize = part.unwrap().iter().map(|row| row.positions.len()).sum();
    assert_eq!(learned, words(&rows) - 2);
}

fn words(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.tokens.as_ref().unwrap().len()).sum()
}

/// Losses of layers work on words as they do on rows, and a step in several passes is the same step.
#[test]
fn a_batch_in_parts_moves_the_weights_as_the_whole_batch_does() {
    let rows = rows(24, 1..14, Some(4));
    let teacher = fresh(2);
    let said = logits_of(&teacher, &rows, 32);
    let train_part = part(&rows, Some(&said), 32);
    let data = TrainingData { validation: train_part.clone(), train: train_part };
    let one_step = TrainSettings {
        epochs: 1,
        batch_size: 24,
        optimizer: OptimizerChoice::Sgd,
        schedule: ScheduleChoice::Constant,
        warmup_ratio: 0.0,
        learning_rate: 0.1,
        weight_decay: 0.0,
        max_grad_norm: 1e9,
        ..settings()
    };
    let layers = TrainSettings {
        hidden_weight: 1.0,
        attention_weight: 1.0,
        relation_weight: 0.5,
        relation_heads: 2,
        ..one_step.clone()
    };
    let weights = |settings: &TrainSettings| -> BTreeMap<String, Tensor> {
        let student = fresh(2);
        train(&student, Some(&teacher), settings, &data);
        student.snapshot().into_iter().collect()
    };
    let before: BTreeMap<String, Tensor> = fresh(2).snapshot().into_iter().collect();
    let differ = |left: &BTreeMap<String, Tensor>, right: &BTreeMap<String, Tensor>| {
        left.iter().map(|(name, own)| (own - &right[name]).abs().max().double_value(&[])).fold(0.0, f64::max)
    };
    for settings in [one_step, layers] {
        let whole = weights(&settings);
        let parts = weights(&TrainSettings { batch_tokens: 40, ..settings.clone() });
        assert!(differ(&whole, &parts) < 1e-6, "{}", differ(&whole, &parts));
        assert!(differ(&whole, &before) > 1e-3, "the step moved something");
    }
}

/// A row that is longer than a window has the logits of all its words, each from one window; its windows are one row again
/// in the figures, and go to the same side of a split.
#[test]
fn a_long_row_is_one_row_again_behind_the_windows() {
    let rows = rows(20, 20..30, None);
    let teacher = fresh(2);
    let said = logits_of(&teacher, &rows, 16);
    for (row, said) in rows.iter().zip(&said) {
        let count = row.tokens.as_ref().unwrap().len();
        assert_eq!(said.positions, (0..count as i32).collect::<Vec<_>>());
        assert_eq!(said.logits.len(), count * TAGS.len());
        assert_eq!((said.tokens.as_ref(), said.text_hash), (row.tokens.as_ref(), row.text_hash()));
    }
    let windows = part(&rows, Some(&said), 16);
    assert!(windows.rows.len() >= 2 * rows.len(), "{} windows", windows.rows.len());
    let examples: Vec<_> = windows.iter().collect();
    let logits: Vec<f32> = said.iter().flat_map(|row| row.logits.iter().copied()).collect();
    let pieces = Evaluation::without_loss(&examples, &logits, &labels(), TaskId::TOKEN_CLASSIFICATION);
    let whole = part(&rows, Some(&said), 80);
    assert_eq!(whole.rows.len(), rows.len());
    let examples: Vec<_> = whole.iter().collect();
    let whole = Evaluation::without_loss(&examples, &logits, &labels(), TaskId::TOKEN_CLASSIFICATION);
    assert_eq!(pieces, whole);
    assert_eq!(whole.figures.agreement, Some(1.0));

    let data = windows.split(0.25, 1).unwrap();
    let numbers =
        |part: &Part| part.iter().map(|window| window.row).collect::<std::collections::BTreeSet<u64>>();
    assert!(numbers(&data.train).is_disjoint(&numbers(&data.validation)));
    let predictions = |part: &Part| part.iter().map(|window| window.predictions()).sum::<usize>();
    assert_eq!(predictions(&data.train) + predictions(&data.validation), words(&rows));
}

/// Tags that write no entities choose the epoch by the share of right tags.
#[test]
fn plain_tags_have_an_accuracy_and_no_entities() {
    let rows = rows(6, 3..5, None);
    let part = part(&rows, None, 32);
    let examples: Vec<_> = part.iter().collect();
    let logits: Vec<f32> = examples
        .iter()
        .flat_map(|example| example.tags.iter().flat_map(|tag| (0..5).map(|class| f32::from(class == *tag))))
        .collect();
    let of = |names: [&str; 5]| {
        let labels = LabelMap::new(names).unwrap();
        Evaluation::without_loss(&examples, &logits, &labels, TaskId::TOKEN_CLASSIFICATION)
    };
    let plain = of(["NOUN", "VERB", "DET", "ADJ", "X"]);
    assert_eq!((plain.figures.entity_f1, plain.figures.token_accuracy), (None, Some(1.0)));
    assert_eq!(plain.figure(crate::selection::Metric::EntityF1), Some(1.0));
    assert_eq!(of(TAGS).figures.entity_f1, Some(1.0));
    // What class weights are made of: words, not rows.
    assert_eq!(part.labelled_predictions(), words(&rows));
    assert_eq!(part.label_counts(5).iter().sum::<u64>(), words(&rows) as u64);
}
