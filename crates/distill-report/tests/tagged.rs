//! A tag for each word: figures against seqeval, intervals against sentences drawn one by one, and what every
//! document says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::{self, card, html, markdown, terminal};
use distill_report::metrics::Metric;
use distill_report::{DataSet, Predictions, Report, ReportError, ReportSettings, Role, TaggedRow, build};
use distill_task::tags::{EntityFigures, Mode, TagSet};
use serde_json::Value;

/// seqeval's figures of tables of tags.
const GOLDEN: &str = include_str!("../../distill-task/tests/golden/entities.json");

const TAGS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
const ROWS: usize = 400;

/// Numbers that look drawn and are the same everywhere (splitmix64).
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn report(models: Vec<Predictions>, resamples: usize, gates: &[&str]) -> Result<Report, ReportError> {
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let settings = ReportSettings { resamples, gates, ..ReportSettings::default() };
    let set = DataSet { name: "test".to_owned(), predictions: models };
    build(vec![set], &settings, &StopSignal::default())
}

/// A row whose logits say `predicted`.
fn row(id: usize, width: usize, gold: &[usize], predicted: &[usize]) -> TaggedRow {
    let logits = predicted.iter().flat_map(|tag| (0..width).map(|at| if at == *tag { 2.0 } else { 0.0 }));
    TaggedRow {
        id: format!("r{id}"),
        words: (0..gold.len()).map(|word| format!("w{word}")).collect(),
        tags: Some(gold.iter().map(|tag| Some(*tag as i32)).collect()),
        positions: (0..predicted.len()).collect(),
        logits: logits.collect(),
    }
}

#[test]
fn the_figures_of_a_report_are_seqevals() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let mut compared = 0;
    for case in golden["figures"].as_array().unwrap() {
        let rows = |side: &str| -> Vec<Vec<String>> {
            let rows = case[side].as_array().unwrap().iter();
            rows.map(|row| row.as_str().unwrap().split(' ').map(str::to_owned).collect()).collect()
        };
        let (gold, predicted) = (rows("gold"), rows("predicted"));
        let names: BTreeSet<&String> = gold.iter().chain(&predicted).flatten().collect();
        // Which scheme it is must follow from the names, and a report is about at least two of them.
        let names: Vec<&String> = names.into_iter().collect();
        let is_read = TagSet::new(&names).is_ok_and(|set| set.scheme().name() == case["scheme"]);
        if !is_read {
            continue;
        }
        let id = |tag: &String| names.iter().position(|name| *name == tag).unwrap();
        let rows = gold.iter().zip(&predicted).enumerate().map(|(at, (gold, predicted))| {
            let ids = |tags: &[String]| tags.iter().map(id).collect::<Vec<usize>>();
            row(at, names.len(), &ids(gold), &ids(predicted))
        });
        let map = LabelMap::new(names.iter().map(|name| name.as_str())).unwrap();
        let model = Predictions::tagged("m", Role::Student, map, rows.collect()).unwrap();
        let report = report(vec![model], 0, &[]).unwrap();
        compare(&report, case);
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} tables were compared");
}

fn compare(report: &Report, case: &Value) {
    let what = format!("{}, {}", case["scheme"], case["name"]);
    let model = &report.data[0].models[0];
    let near = |metric: Metric, expected: &Value| match (model.value(metric), expected.as_f64()) {
        (None, None) => {}
        (found, expected) => {
            let (found, expected) = (found.unwrap(), expected.unwrap());
            assert!((found - expected).abs() < 1e-9, "{what}: {} is {found}, not {expected}", metric.name());
        }
    };
    let [default, strict] = ["default", "strict"].map(|mode| &case[mode]);
    for (at, [plain, strictly, of_types]) in [
        [Metric::EntityPrecision, Metric::StrictEntityPrecision, Metric::MacroPrecision],
        [Metric::EntityRecall, Metric::StrictEntityRecall, Metric::MacroRecall],
        [Metric::EntityF1, Metric::StrictEntityF1, Metric::MacroF1],
    ]
    .into_iter()
    .enumerate()
    {
        near(plain, &default["micro"][at]);
        near(strictly, &strict["micro"][at]);
        near(of_types, &default["macro"][at]);
    }
    near(Metric::TokenAccuracy, &case["token_accuracy"]);
    for class in &model.classes {
        let expected = &default["types"][&class.label];
        let shares = [class.precision, class.recall, class.f1];
        for (found, expected) in shares.iter().zip(expected.as_array().into_iter().flatten()) {
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-9, "{what}: {}", class.label);
        }
        assert_eq!(class.support, expected[3].as_u64().unwrap_or(0), "{what}: {}", class.label);
    }
    let errors = model.entity_errors.unwrap();
    let gold: u64 = model.classes.iter().map(|class| class.support).sum();
    let found = errors.correct + errors.wrong_type + errors.wrong_boundary + errors.wrong_both;
    assert_eq!(found + errors.missed, gold, "{what}: every entity of the labels is of one kind");
}

/// Sentences of 1 to 12 words, of which one tag in `noise` is drawn anew.
fn sentences(noise: usize, seed: u64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let (mut labels, mut errors) = (Noise(5), Noise(seed));
    let sentence = |labels: &mut Noise| -> Vec<usize> {
        let mut tags = Vec::new();
        let words = 1 + labels.below(12);
        while tags.len() < words {
            let kind = 2 * labels.below(2);
            match labels.below(4) {
                0 => tags.push(1 + kind),
                1 => tags.extend([1 + kind, 2 + kind]),
                _ => tags.push(0),
            }
        }
        tags.truncate(words);
        tags
    };
    let rows = (0..ROWS).map(|_| {
        let gold = sentence(&mut labels);
        let noisy = |tag: &usize| if errors.below(noise) == 0 { errors.below(TAGS.len()) } else { *tag };
        let predicted = gold.iter().map(noisy).collect();
        (gold, predicted)
    });
    rows.collect()
}

fn model(name: &str, role: Role, noise: usize, seed: u64) -> Predictions {
    let rows = sentences(noise, seed);
    let rows = rows.iter().enumerate().map(|(at, (gold, own))| row(at, TAGS.len(), gold, own)).collect();
    Predictions::tagged(name, role, LabelMap::new(TAGS).unwrap(), rows).unwrap()
}

fn three() -> Vec<Predictions> {
    vec![
        model("teacher", Role::Teacher, 30, 1),
        model("student", Role::Student, 8, 2),
        model("no teacher", Role::Baseline, 4, 3),
    ]
}

#[test]
fn intervals_are_as_wide_as_when_sentences_are_drawn_one_by_one() {
    let report = report(three(), 3000, &[]).unwrap();
    let set = TagSet::new(&TAGS).unwrap();
    let some = |tags: &[usize]| tags.iter().copied().map(Some).collect::<Vec<_>>();
    let mut figures = EntityFigures::new(&set, Mode::Default);
    sentences(8, 2).iter().for_each(|(gold, predicted)| figures.push(&some(gold), &some(predicted)));
    let mut noise = Noise(9);
    let draws: Vec<Vec<u64>> = (0..800)
        .map(|_| {
            let mut drawn = vec![0; ROWS];
            (0..ROWS).for_each(|_| drawn[noise.below(ROWS)] += 1);
            drawn
        })
        .collect();
    let model = &report.data[0].models[1];
    let as_wide = |what: &str, interval: Option<[f64; 2]>, of: &dyn Fn(&[u64]) -> f64| {
        let mut drawn: Vec<f64> = draws.iter().map(|drawn| of(drawn)).collect();
        drawn.sort_by(f64::total_cmp);
        let [low, high] = interval.unwrap();
        let ratio = (high - low) / (drawn[800 * 39 / 40] - drawn[800 / 40]);
        assert!((ratio - 1.0).abs() < 0.13, "{what}: {ratio}");
    };
    let interval = |metric: Metric| model.metrics[&metric].interval;
    as_wide("F1", interval(Metric::EntityF1), &|rows| figures.resampled(rows).micro().shares().f1);
    as_wide("recall", interval(Metric::EntityRecall), &|rows| figures.resampled(rows).micro().shares().recall);
    as_wide("macro F1", interval(Metric::MacroF1), &|rows| figures.resampled(rows).macro_average().unwrap().f1);
    as_wide("tokens", interval(Metric::TokenAccuracy), &|rows| {
        figures.resampled(rows).token_accuracy().unwrap()
    });
    as_wide("LOC", model.classes[0].f1_interval, &|rows| figures.resampled(rows).types[0].shares().f1);
}

#[test]
fn models_are_compared_and_gates_are_about_entities() {
    let gates = [
        "entity_f1 >= 0.5 with confidence",
        "kept.entity_f1 >= 98.5%",
        "entity_f1[PER] >= 0.5 with confidence",
        "gap_closed.entity_f1 >= 0",
        "gain.entity_f1 >= 0 vs constant",
        "token_accuracy <= 0.1",
    ];
    let report = report(three(), 500, &gates).unwrap();
    let passed: Vec<bool> = report.gates.iter().map(|gate| gate.passed).collect();
    assert_eq!(passed, [true, false, true, true, true, false], "{:?}", report.gates);
    let set = &report.data[0];
    let student = set.model("student").unwrap();
    let [own, teacher] =
        ["student", "teacher"].map(|name| set.model(name).unwrap().value(Metric::EntityF1).unwrap());
    let against = student.against_teacher.as_ref().unwrap();
    assert!((against.kept[&Metric::EntityF1].value - own / teacher).abs() < 1e-12);
    assert!(
        against.kept[&Metric::EntityF1].interval.is_some()
            && against.gap_closed.contains_key(&Metric::EntityF1)
    );
    assert!(set.comparisons[0].differences[&Metric::EntityF1].is_shown);
    assert!(set.comparisons[0].mcnemar.is_some());
    let constant = set.constant.as_ref().unwrap();
    assert_eq!(
        (constant.labels.as_slice(), constant.metrics[&Metric::EntityF1].value),
        (["O".to_owned()].as_slice(), 0.0)
    );
    let agreement = student.value(Metric::Agreement).unwrap();
    let same: usize = sentences(30, 1)
        .iter()
        .zip(sentences(8, 2))
        .map(|((_, left), (_, right))| left.iter().zip(right).filter(|(left, right)| **left == *right).count())
        .sum();
    let words: usize = sentences(8, 2).iter().map(|(gold, _)| gold.len()).sum();
    assert!((agreement - same as f64 / words as f64).abs() < 1e-12, "{agreement}");
    let unknown = self::report(three(), 0, &["entity_f1[ORG] >= 0.5"]).unwrap_err().to_string();
    assert!(unknown.contains("no entity type \"ORG\"; there is LOC, PER"), "{unknown}");
}

#[test]
fn lost_sentences_are_shown_with_their_words_and_the_entities_that_differ() {
    let words = ["Ann", "Lee", "saw", "Oslo"];
    let tagged = |name: &str, role: Role, own: &[usize]| {
        let first = TaggedRow { words: words.map(str::to_owned).to_vec(), ..row(0, 5, &[1, 2, 0, 3], own) };
        let rows = vec![first, row(1, 5, &[0, 0], &[0, 0])];
        Predictions::tagged(name, role, LabelMap::new(TAGS).unwrap(), rows).unwrap()
    };
    let models =
        vec![tagged("teacher", Role::Teacher, &[1, 2, 0, 3]), tagged("student", Role::Student, &[1, 0, 0, 3])];
    let report = report(models, 0, &[]).unwrap();
    let errors = &report.data[0].errors[0];
    assert_eq!((errors.lost, errors.won), (1, 0));
    let lost = &errors.lost_rows[0];
    assert_eq!(lost.text.as_deref(), Some("Ann Lee saw Oslo"));
    assert_eq!((lost.label.as_str(), lost.predicted.as_str()), ("PER Ann Lee", "PER Ann"));
    let kinds = report.data[0].models[1].entity_errors.unwrap();
    assert_eq!((kinds.correct, kinds.wrong_boundary, kinds.missed), (1, 1, 0));
}

#[test]
fn every_document_names_entities_and_their_errors() {
    let report = report(three(), 200, &["kept.entity_f1 >= 0.5"]).unwrap();
    let written = documents::json(&report).unwrap();
    let read: Report = serde_json::from_str(&written).unwrap();
    assert_eq!(read, report);
    let documents = [
        markdown::render(&report),
        html::render(&report),
        terminal::render(&report, &[], terminal::TerminalStyle::default()),
    ];
    for document in &documents {
        assert!(document.contains("entity F1") && document.contains("always"), "{document}");
    }
    for part in ["Entities by kind of error", "wrong boundary", "| entities |", "LOC", "entity F1, strict"] {
        assert!(documents[0].contains(part), "{part} is missing in {}", documents[0]);
    }
    assert!(documents[1].contains("Entities by kind of error") && documents[1].contains("entity F1 kept"));
    let info = card::CardInfo { model: "student".to_owned(), ..card::CardInfo::default() };
    let card = card::render(&report, &info).unwrap();
    assert!(card.contains("type: entity_f1") && card.contains("gives each word one of 5 tags"), "{card}");
}

#[test]
fn plain_tags_are_judged_by_words() {
    let plain = |name: &str, role: Role, noise: usize, seed: u64| {
        let rows = sentences(noise, seed);
        let rows = rows.iter().enumerate().map(|(at, (gold, own))| row(at, TAGS.len(), gold, own)).collect();
        let map = LabelMap::new(["NOUN", "VERB", "ADJ", "X", "PUNCT"]).unwrap();
        Predictions::tagged(name, role, map, rows).unwrap()
    };
    let models = vec![plain("teacher", Role::Teacher, 30, 1), plain("student", Role::Student, 8, 2)];
    let report = report(models, 300, &["kept.token_accuracy >= 0.5", "f1[NOUN] >= 0.5"]).unwrap();
    assert!(report.gates_passed());
    let (set, student) = (&report.data[0], &report.data[0].models[1]);
    assert_eq!(set.headlines(), [Metric::TokenAccuracy, Metric::MacroF1]);
    assert!(student.value(Metric::EntityF1).is_none() && student.entity_errors.is_none());
    let words: usize = sentences(8, 2).iter().map(|(gold, _)| gold.len()).sum();
    assert_eq!(student.classes.iter().map(|class| class.support).sum::<u64>(), words as u64);
    assert_eq!(set.constant.as_ref().unwrap().labels, ["NOUN"]);
    assert!(report.verdict.text.contains("token accuracy"), "{}", report.verdict.text);
    let markdown = markdown::render(&report);
    assert!(markdown.contains("| words |") && !markdown.contains("Entities by kind"), "{markdown}");
}

#[test]
fn tables_in_another_order_are_joined_by_id() {
    let rows = |order: &[usize]| {
        let all = sentences(8, 2);
        order.iter().map(|at| row(*at, TAGS.len(), &all[*at].0, &all[*at].1)).collect::<Vec<_>>()
    };
    let tagged =
        |name: &str, role, rows| Predictions::tagged(name, role, LabelMap::new(TAGS).unwrap(), rows).unwrap();
    let models = vec![
        tagged("teacher", Role::Teacher, rows(&[0, 1, 2, 3, 4])),
        tagged("student", Role::Student, rows(&[3, 0, 4, 2, 1])),
    ];
    let report = report(models, 0, &[]).unwrap();
    let [teacher, student] = [0, 1].map(|at| report.data[0].models[at].value(Metric::EntityF1));
    assert_eq!(teacher, student);
    assert_eq!(report.data[0].models[1].value(Metric::Agreement), Some(1.0));
    assert_eq!(report.data[0].models[1].value(Metric::Kl), Some(0.0));
}
