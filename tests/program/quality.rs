//! A floor under what is learned: rows that one word decides are learned by teacher and student, and a teacher does no
//! harm. Whatever breaks a loss, a gradient, a schedule or a join shows here as a number.

use crate::files::{Row, jsonl};
use crate::harness::Work;

const LABELS: [(&str, &str); 3] = [("city", "alpha"), ("river", "beta"), ("year", "gamma")];
const FILLERS: [&str; 9] = ["what", "who", "where", "first", "name", "many", "long", "state", "the"];

/// Texts of four to eight words, one of which says the label.
fn separable(count: usize, prefix: &str, mut drawn: u64) -> Vec<Row> {
    let mut below = |bound: usize| {
        drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (drawn >> 33) as usize % bound
    };
    let mut row = |number: usize| {
        let (word, label) = LABELS[number % LABELS.len()];
        let mut words: Vec<&str> = (0..3 + number % 5).map(|_| FILLERS[below(FILLERS.len())]).collect();
        words.insert(below(words.len() + 1), word);
        Row {
            id: format!("{prefix}{number}"),
            text: words.join(" "),
            text_pair: None,
            label: Some(label.to_owned()),
        }
    };
    (0..count).map(&mut row).collect()
}

const PIPELINE: &str = "out = \"r\"\n[data]\ntrain = \"rows.jsonl\"\ntest = \"test.jsonl\"\nvalidation = 0.2\n\
    [finetune]\nmodel = \"tiny\"\nepochs = 8\nbatch_size = 16\nlearning_rate = 3e-3\n\
    [student]\nlayers = [0]\nepochs = 8\nbatch_size = 16\nlearning_rate = 3e-3\nno_teacher_baseline = true\n\
    [report]\ntiming = false\nresamples = 0\n";

#[test]
fn a_student_learns_and_is_no_worse_with_a_teacher_than_without() {
    let work = Work::new();
    work.write("rows.jsonl", jsonl(&separable(240, "r", 1)));
    work.write("test.jsonl", jsonl(&separable(150, "t", 2)));
    work.write("p.toml", PIPELINE);
    let accuracies = |more: &str| {
        work.run(&format!("run p.toml {more}")).succeeds();
        let report = work.json("r/report/report.json");
        ["teacher", "student", "baseline"].map(|name| {
            let models = report["data"][0]["models"].as_array().unwrap();
            let model = models.iter().find(|model| model["name"] == name).unwrap();
            model["metrics"]["accuracy"]["value"].as_f64().unwrap()
        })
    };
    // With labels and soft targets, and with soft targets alone.
    for more in ["", "--set student.hard_weight=0.0 --set student.soft_weight=1.0"] {
        let [teacher, student, baseline] = accuracies(more);
        assert!(teacher > 0.95 && student > 0.95 && baseline > 0.95, "{more}: {teacher} {student} {baseline}");
        assert!(student >= baseline - 0.02, "{more}: {student} with a teacher, {baseline} without");
    }
}
