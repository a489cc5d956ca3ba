//! Label maps of thousands of labels: the report stays small enough to be written, read and looked at.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::{self, html, markdown};
use distill_report::gates::baseline;
use distill_report::report::Report;
use distill_report::{DataSet, Predictions, ReportSettings, Role, build};

const ROWS: usize = 40;

/// A model that has every row right but those that `wrong` divides.
fn model(name: &str, role: Role, labels: usize, wrong: usize) -> Predictions {
    let ids = (0..ROWS).map(|row| row.to_string()).collect();
    let label = |row: usize| (row * 97) % labels;
    let targets = (0..ROWS).map(|row| Some(label(row) as i32)).collect();
    let mut logits = vec![0.0; ROWS * labels];
    for row in 0..ROWS {
        let predicted = if row % wrong == 0 { (label(row) + 1) % labels } else { label(row) };
        logits[row * labels + predicted] = 4.0;
    }
    Predictions::new(name, role, ids, LabelMap::numbered(labels).unwrap(), targets, logits).unwrap()
}

/// A teacher, a student and a baseline, with several seeds as `distill run --seeds` has them.
fn report(labels: usize, seeds: usize) -> Report {
    let mut predictions = vec![model("teacher", Role::Teacher, labels, 20)];
    let of_role = |name: &str, role, wrong, seed: usize| match seeds {
        1 => model(name, role, labels, wrong),
        _ => model(&format!("{name} {seed}"), role, labels, wrong).as_seed_of(name),
    };
    for seed in 1..=seeds {
        predictions.push(of_role("student", Role::Student, 7, seed));
        predictions.push(of_role("baseline", Role::Baseline, 3, seed));
    }
    predictions.extend((1..seeds).map(|seed| of_role("other teachers", Role::Other, 20, seed)));
    let settings = ReportSettings { resamples: 100, ..ReportSettings::default() };
    build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default()).unwrap()
}

/// With a count for every pair of 10,000 labels, this takes gigabytes and is refused when it is read back.
#[test]
fn ten_thousand_labels_make_a_report_that_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let report = report(10_000, 5);
    documents::write(&report, directory.path()).unwrap();
    assert_eq!(baseline::read(&directory.path().join("report.json")).unwrap(), report);
    for (file, most) in [("report.json", 40_000_000), ("report.html", 5_000_000), ("report.md", 1_000_000)] {
        let bytes = std::fs::metadata(directory.path().join(file)).unwrap().len();
        assert!(bytes < most, "{file} has {bytes} bytes");
    }
    let student = &report.data[0].models[1];
    assert!(student.confusion.is_empty());
    assert_eq!(student.confusions().iter().map(|(_, _, rows)| rows).sum::<u64>(), ROWS as u64);
    let wrong = student.confusions().iter().filter(|(label, predicted, _)| label != predicted).count();
    assert_eq!(wrong, ROWS.div_ceil(7));
    assert_eq!(report.data[0].errors[0].grown_confusions.len(), wrong - 1, "row 0 is the teacher's too");
    assert!(markdown::render(&report).contains("The 9500 classes with fewer rows are in report.json."));
}

/// Reports of earlier versions have a count for every pair, whatever the number of labels.
#[test]
fn an_earlier_report_with_all_counts_is_still_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut earlier = report(150, 1);
    for model in &mut earlier.data[0].models {
        let mut counts = vec![vec![0; 150]; 150];
        model.confusions().into_iter().for_each(|(label, predicted, rows)| counts[label][predicted] = rows);
        model.confusion_pairs.clear();
        model.confusion = counts;
    }
    documents::write(&earlier, directory.path()).unwrap();
    let found = baseline::read(&directory.path().join("report.json")).unwrap();
    assert_eq!(found, earlier);
    let now = report(150, 1);
    assert_eq!(found.data[0].models[1].confusions(), now.data[0].models[1].confusions());
    assert_eq!(markdown::render(&found), markdown::render(&now));
    assert!(html::render(&found).contains("Classes: student"));
}
