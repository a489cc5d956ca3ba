//! Several classes a row, and numbers: intervals against rows drawn one by one, and what every document says.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::{self, card, html, markdown, terminal};
use distill_report::metrics::{Metric, multi_label, regression};
use distill_report::{DataSet, Predictions, Report, ReportError, ReportSettings, Role, build};
use distill_task::{Label, TaskId};

const ROWS: usize = 400;
const LABELS: usize = 4;

/// Numbers that look drawn and are the same everywhere (splitmix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn ids() -> Vec<String> {
    (0..ROWS).map(|row| row.to_string()).collect()
}

fn several(name: &str, role: Role, strength: f64) -> (Predictions, Vec<f32>, Vec<bool>) {
    let (mut labels, mut noise) = (Noise(1), Noise(strength.to_bits()));
    let targets: Vec<bool> =
        (0..ROWS * LABELS).map(|cell| labels.share() < 0.15 + 0.15 * (cell % LABELS) as f64).collect();
    let signed = |target: &bool| if *target { strength } else { -strength };
    let logits: Vec<f32> = targets.iter().map(|target| (signed(target) + noise.normal()) as f32).collect();
    let classes = |row: &[bool]| (0..LABELS as i32).filter(|class| row[*class as usize]).collect();
    let labels = targets.chunks_exact(LABELS).map(|row| Some(Label::Classes(classes(row)))).collect();
    let map = LabelMap::new(["joy", "anger", "fear", "<b>"]).unwrap();
    let kind = TaskId::MULTI_LABEL;
    let model = Predictions::labelled(name, role, kind, ids(), map, labels, logits.clone()).unwrap();
    (model, logits, targets)
}

fn numbers(name: &str, role: Role, error: f64) -> (Predictions, Vec<f64>, Vec<f64>) {
    let (mut labels, mut noise) = (Noise(2), Noise(error.to_bits()));
    let targets: Vec<f64> = (0..ROWS).map(|_| (4.0 * labels.normal()).round() / 4.0).collect();
    let values: Vec<f32> =
        targets.iter().map(|target| (0.8 * target + error * noise.normal()) as f32).collect();
    let labels = targets.iter().map(|target| Some(Label::Value(*target))).collect();
    let (map, kind) = (LabelMap::numbered(1).unwrap(), TaskId::REGRESSION);
    let model = Predictions::labelled(name, role, kind, ids(), map, labels, values.clone()).unwrap();
    (model, values.into_iter().map(f64::from).collect(), targets)
}

fn report(models: Vec<Predictions>, gates: &[&str]) -> Report {
    let settings = ReportSettings {
        resamples: 3000,
        gates: gates.iter().map(|gate| (*gate).to_owned()).collect(),
        ..ReportSettings::default()
    };
    let set = DataSet { name: "test".to_owned(), predictions: models };
    build(vec![set], &settings, &StopSignal::default()).unwrap()
}

/// The width of 95 % of what `of` gives for rows drawn one by one.
fn plain_width(of: impl Fn(&[usize]) -> f64) -> f64 {
    const RESAMPLES: usize = 800;
    let mut noise = Noise(3);
    let mut drawn: Vec<f64> =
        (0..RESAMPLES).map(|_| of(&(0..ROWS).map(|_| noise.below(ROWS)).collect::<Vec<_>>())).collect();
    drawn.sort_by(f64::total_cmp);
    drawn[RESAMPLES * 39 / 40] - drawn[RESAMPLES / 40]
}

#[track_caller]
fn as_wide(report: &Report, metric: Metric, plain: f64) {
    let [low, high] = report.data[0].models[1].metrics[&metric].interval.unwrap();
    let ratio = (high - low) / plain;
    assert!((ratio - 1.0).abs() < 0.13, "{}: {ratio}", metric.name());
}

#[test]
fn intervals_of_several_classes_are_as_wide_as_when_rows_are_drawn_one_by_one() {
    let ((teacher, ..), (student, logits, targets)) =
        (several("t", Role::Teacher, 1.6), several("s", Role::Student, 0.9));
    let report = report(vec![teacher, student], &[]);
    let figures = |rows: &[usize]| {
        let cells = || rows.iter().flat_map(|row| row * LABELS..(row + 1) * LABELS);
        let logits: Vec<f32> = cells().map(|cell| logits[cell]).collect();
        let targets: Vec<bool> = cells().map(|cell| targets[cell]).collect();
        multi_label::figures(&logits, &targets, LABELS).unwrap()
    };
    as_wide(&report, Metric::MicroF1, plain_width(|rows| figures(rows).micro.f1));
    as_wide(&report, Metric::MacroPrecision, plain_width(|rows| figures(rows).macro_average.precision));
    as_wide(&report, Metric::WeightedF1, plain_width(|rows| figures(rows).weighted.f1));
    as_wide(&report, Metric::SamplesF1, plain_width(|rows| figures(rows).samples.f1));
    as_wide(&report, Metric::SubsetAccuracy, plain_width(|rows| figures(rows).subset_accuracy));
    as_wide(&report, Metric::LogLoss, plain_width(|rows| figures(rows).log_loss));
    as_wide(&report, Metric::RocAuc, plain_width(|rows| figures(rows).roc_auc.unwrap()));
    as_wide(&report, Metric::AveragePrecision, plain_width(|rows| figures(rows).average_precision.unwrap()));
    let difference = report.data[0].comparisons[0].differences[&Metric::MicroF1];
    assert!(difference.is_shown && difference.value > 0.0, "{difference:?}");
}

#[test]
fn intervals_of_numbers_are_as_wide_as_when_rows_are_drawn_one_by_one() {
    let ((teacher, ..), (student, values, targets)) =
        (numbers("t", Role::Teacher, 0.3), numbers("s", Role::Student, 0.9));
    let report = report(vec![teacher, student], &[]);
    let figures = |rows: &[usize]| {
        let of = |column: &[f64]| rows.iter().map(|row| column[*row]).collect::<Vec<_>>();
        regression::figures(&of(&values), &of(&targets)).unwrap()
    };
    as_wide(&report, Metric::Rmse, plain_width(|rows| figures(rows).rmse));
    as_wide(&report, Metric::Mae, plain_width(|rows| figures(rows).mae));
    as_wide(&report, Metric::R2, plain_width(|rows| figures(rows).r2));
    as_wide(&report, Metric::Pearson, plain_width(|rows| figures(rows).pearson.unwrap()));
    as_wide(&report, Metric::Spearman, plain_width(|rows| figures(rows).spearman.unwrap()));
}

#[test]
fn gates_and_documents_know_both_kinds() {
    let gates = ["micro_f1 >= 0.5", "kept.micro_f1 >= 0.5 with confidence", "f1[joy] >= 0.1", "kl <= 100"];
    let several = report(vec![several("t", Role::Teacher, 1.6).0, several("s", Role::Student, 0.9).0], &gates);
    let numbers_gates = ["r2 >= 0.1", "drop.rmse <= 5", "teacher_mse <= 9", "spearman >= 0.999"];
    let numbers =
        report(vec![numbers("t", Role::Teacher, 0.3).0, numbers("s", Role::Student, 0.9).0], &numbers_gates);
    assert_eq!(several.gates.iter().filter(|gate| gate.passed).count(), 4, "{:?}", several.gates);
    assert_eq!(numbers.gates.iter().filter(|gate| gate.passed).count(), 3, "{:?}", numbers.gates);
    assert!(several.verdict.text.starts_with("s keeps ") && several.verdict.text.contains("micro F1 of t"));
    assert!(numbers.verdict.text.contains("R2 of t"), "{}", numbers.verdict.text);
    for (report, first, slice) in [(&several, "micro F1", "subset accuracy"), (&numbers, "R2", "MAE")] {
        let page = html::render(report);
        assert!(page.contains(&format!("<h3>Weakest slices: {slice}</h3>")), "{first}");
        assert!(!page.contains("NaN") && !page.contains("<b>\"") && !page.contains("Confusion matrix"));
        assert!(markdown::render(report).contains(&format!("Weakest slices: {slice}")));
        assert!(terminal::render(report, &[], Default::default()).contains(first));
        let info = card::CardInfo { model: "s".to_owned(), ..Default::default() };
        assert!(card::render(report, &info).unwrap().contains(&format!("name: \"{first}\"")));
        let json = documents::json(report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), *report);
    }
    assert!(
        html::render(&several).contains("F1 of every class") && html::render(&several).contains("&lt;b&gt;")
    );
    assert!(html::render(&numbers).contains("Labels and values of s"));
}

#[test]
fn kinds_do_not_mix_and_labels_are_of_their_kind() {
    let models = vec![several("t", Role::Teacher, 1.6).0, numbers("s", Role::Student, 0.9).0];
    let set = DataSet { name: "test".to_owned(), predictions: models };
    let error = build(vec![set], &ReportSettings::default(), &StopSignal::default()).unwrap_err();
    assert!(matches!(error, ReportError::ProblemTypes { .. }), "{error}");
    let labelled = |kind, label| {
        let map = LabelMap::numbered(1).unwrap();
        Predictions::labelled("m", Role::Other, kind, vec!["r".to_owned()], map, vec![Some(label)], vec![0.5])
    };
    let nan = labelled(TaskId::REGRESSION, Label::Value(f64::NAN)).unwrap_err().to_string();
    assert_eq!(nan, r#"m: row 1 (id "r"): its label is none of regression"#);
    assert!(labelled(TaskId::MULTI_LABEL, Label::Value(1.0)).is_err());
    let outside = labelled(TaskId::MULTI_LABEL, Label::Classes(vec![1])).unwrap_err();
    assert!(matches!(outside, ReportError::LabelRange { label: 1, .. }), "{outside}");
}

/// What is refused before anything is measured is what would not have been measured, and nothing else.
#[test]
fn the_metrics_that_are_known_before_are_those_that_are_measured() {
    let single = |name: &str, role, strength: f32, labels: usize| {
        let (mut noise, classes) = (Noise(7 + u64::from(strength.to_bits())), labels as i32);
        let own: Vec<Option<i32>> = (0..ROWS as i32).map(|row| Some(row % classes)).collect();
        let logits = own.iter().flatten().flat_map(|own| {
            let right = *own as usize;
            (0..labels).map(move |label| if label == right { strength } else { 0.0 }).collect::<Vec<_>>()
        });
        let logits = logits.map(|logit| logit + noise.normal() as f32).collect();
        let map = LabelMap::numbered(labels).unwrap();
        Predictions::new(name, role, ids(), map, own, logits).unwrap()
    };
    let of_single = |labels| {
        (
            TaskId::SINGLE_LABEL,
            labels,
            [single("t", Role::Teacher, 2.0, labels), single("s", Role::Student, 1.0, labels)],
        )
    };
    let cases = [
        of_single(2),
        of_single(3),
        of_single(5),
        of_single(6),
        (TaskId::MULTI_LABEL, LABELS, [several("t", Role::Teacher, 1.6).0, several("s", Role::Student, 0.9).0]),
        (TaskId::REGRESSION, 1, [numbers("t", Role::Teacher, 0.2).0, numbers("s", Role::Student, 0.5).0]),
    ];
    for (problem_type, labels, models) in cases {
        let report = report(models.to_vec(), &[]);
        let measured = &report.data[0].models[1].metrics;
        for metric in Metric::all() {
            let name = metric.name();
            let known = metric.is_measured(problem_type, labels);
            assert_eq!(measured.contains_key(&metric), known, "{name} of {problem_type}, {labels} labels");
            let [least, largest] = metric.range();
            if let Some(figure) = measured.get(&metric) {
                assert!((least..=largest).contains(&figure.value), "{name} is {}", figure.value);
            }
        }
    }
}
