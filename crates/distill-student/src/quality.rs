//! Whether a teacher has anything to teach: its soft targets beside the best answer that is always the same.

use distill_core::{LabelMap, ProblemType};
use distill_teacher::forward::argmax;
use serde::Serialize;

use crate::data::Part;
use crate::labels::{self, Hits};

/// How good a part's soft targets are where it has labels too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TeacherQuality {
    /// Labelled rows.
    pub rows: usize,
    /// What is measured: `accuracy`, of several classes a row `micro F1`, of numbers `R²`.
    pub metric: &'static str,
    /// The teacher's figure.
    pub teacher: f64,
    /// What always giving the best one answer would get: the most frequent label, labels, or the mean.
    pub constant: f64,
}

impl TeacherQuality {
    /// Of a part whose rows have soft targets; none without labelled rows.
    pub fn of(part: &Part, labels: &LabelMap, problem_type: ProblemType) -> Option<Self> {
        match problem_type {
            ProblemType::SingleLabel => one_class(part, labels.num_labels()),
            ProblemType::MultiLabel => several_classes(part, labels.num_labels()),
            ProblemType::Regression => number(part),
        }
    }

    /// Whether the teacher knows more than what is frequent.
    pub fn beats_the_constant(&self) -> bool {
        self.teacher > self.constant
    }
}

#[allow(clippy::cast_precision_loss)]
fn one_class(part: &Part, num_labels: usize) -> Option<TeacherQuality> {
    let counts = part.label_counts(num_labels);
    let rows: u64 = counts.iter().sum();
    let right = part.iter().filter(|example| {
        let predicted = argmax(example.logits) as i32;
        !example.logits.is_empty() && example.label == Some(predicted)
    });
    let constant = counts.iter().max().copied().unwrap_or(0) as f64 / rows as f64;
    let teacher = right.count() as f64 / rows as f64;
    (rows > 0).then_some(TeacherQuality { rows: rows as usize, metric: "accuracy", teacher, constant })
}

#[allow(clippy::cast_precision_loss)]
fn several_classes(part: &Part, num_labels: usize) -> Option<TeacherQuality> {
    let examples: Vec<_> = part.iter().collect();
    let (teacher, _) = labels::f1(examples.iter().map(|example| (example.targets, example.logits)))?;
    let mut counts = part.label_counts(num_labels);
    counts.sort_unstable_by(|left, right| right.cmp(left));
    let (rows, actual) = (part.labelled(), counts.iter().sum::<u64>() as f64);
    let mut hits = 0.0;
    let mut constant = 0.0f64;
    for (answered, count) in counts.iter().enumerate() {
        hits += *count as f64;
        constant = constant.max(Hits::new(hits, actual, (rows * (answered + 1)) as f64).f1());
    }
    Some(TeacherQuality { rows, metric: "micro F1", teacher, constant })
}

#[allow(clippy::cast_precision_loss)]
fn number(part: &Part) -> Option<TeacherQuality> {
    let pairs: Vec<(f64, f64)> = part
        .iter()
        .filter_map(|example| Some((f64::from(*example.targets.first()?), f64::from(*example.logits.first()?))))
        .collect();
    let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len() as f64;
    let spread: f64 = pairs.iter().map(|pair| (pair.0 - mean).powi(2)).sum();
    let error: f64 = pairs.iter().map(|pair| (pair.0 - pair.1).powi(2)).sum();
    let teacher = if spread > 0.0 { 1.0 - error / spread } else { 0.0 };
    (!pairs.is_empty()).then_some(TeacherQuality { rows: pairs.len(), metric: "R²", teacher, constant: 0.0 })
}

#[cfg(test)]
mod tests {
    use distill_data::CacheError;
    use distill_data::cache::{Example, TokenCache};

    use super::*;

    fn part(rows: &[(&[f32], &[f32])]) -> Part {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            rows.iter().zip(0..).try_for_each(|((targets, logits), row)| {
                let (input_ids, token_type_ids, label) = (&[1][..], None, None);
                writer.push(Example {
                    input_ids,
                    token_type_ids,
                    label,
                    targets,
                    logits,
                    id_hash: row,
                    partner_hash: None,
                    row,
                })
            })
        });
        Part::whole(cache.unwrap())
    }

    #[test]
    fn a_teacher_of_several_labels_is_held_against_the_most_frequent_ones() {
        let rows: [(&[f32], &[f32]); 4] = [
            (&[1.0, 0.0], &[1.0, -1.0]),
            (&[1.0, 1.0], &[1.0, 1.0]),
            (&[1.0, 0.0], &[1.0, -1.0]),
            (&[], &[0.0, 0.0]),
        ];
        let labels = LabelMap::numbered(2).unwrap();
        let quality = TeacherQuality::of(&part(&rows), &labels, ProblemType::MultiLabel).unwrap();
        // Always the first label: 3 hits, 4 are so, 3 predicted: 6/7.
        assert!((quality.constant - 6.0 / 7.0).abs() < 1e-12 && quality.teacher == 1.0 && quality.rows == 3);
        assert!(quality.beats_the_constant());
    }

    #[test]
    fn a_teacher_of_numbers_is_held_against_their_mean() {
        let labels = LabelMap::numbered(1).unwrap();
        let good = part(&[(&[1.0], &[1.5]), (&[3.0], &[2.5]), (&[], &[9.0])]);
        let quality = TeacherQuality::of(&good, &labels, ProblemType::Regression).unwrap();
        assert!((quality.teacher - 0.75).abs() < 1e-12 && quality.rows == 2);
        let mean = part(&[(&[1.0], &[2.0]), (&[3.0], &[2.0])]);
        assert!(!TeacherQuality::of(&mean, &labels, ProblemType::Regression).unwrap().beats_the_constant());
    }
}
