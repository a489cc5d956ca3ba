//! Whether a teacher has anything to teach: its soft targets compared with the best constant answer.

use distill_core::LabelMap;
use distill_data::cache::Example;
use distill_task::logits::argmax;
use distill_task::{LabelShape, TaskId};
use serde::Serialize;

use crate::data::Part;
use crate::labels::{self, Hits};

/// How good a teacher is on rows that have labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TeacherQuality {
    /// Labelled rows.
    pub rows: usize,
    /// What is measured: `accuracy`, of several classes a row `micro F1`, of numbers `R²`, of words `token accuracy`.
    pub metric: &'static str,
    /// The teacher's figure.
    pub teacher: f64,
    /// What always giving the best one answer would get: the most frequent label, labels, or the mean.
    pub constant: f64,
}

impl TeacherQuality {
    /// Of the teacher's logits of a part's rows, row-major `[N, C]`; none without labelled rows.
    pub fn of(part: &Part, logits: &[f32], labels: &LabelMap, problem_type: TaskId) -> Option<Self> {
        let num_labels = labels.num_labels();
        if problem_type.label_shape() == LabelShape::Tags {
            return tagged(part, logits, num_labels);
        }
        let rows: Vec<_> = part.iter().zip(logits.chunks_exact(num_labels)).collect();
        match problem_type.label_shape() {
            LabelShape::Class => one_class(&rows, &part.label_counts(num_labels)),
            LabelShape::Classes => several_classes(&rows, part.label_counts(num_labels)),
            LabelShape::Value => number(&rows),
            LabelShape::Tags | LabelShape::Spans => None,
        }
    }

    /// Whether the teacher is better than the constant answer.
    pub fn beats_the_constant(&self) -> bool {
        self.teacher > self.constant
    }
}

/// An example and what the teacher says of it.
type Judged<'a> = (Example<'a>, &'a [f32]);

fn one_class(judged: &[Judged<'_>], counts: &[u64]) -> Option<TeacherQuality> {
    let rows: u64 = counts.iter().sum();
    let right = judged.iter().filter(|(example, logits)| example.label == Some(argmax(logits) as i32));
    let constant = counts.iter().max().copied().unwrap_or(0) as f64 / rows as f64;
    let teacher = right.count() as f64 / rows as f64;
    (rows > 0).then_some(TeacherQuality { rows: rows as usize, metric: "accuracy", teacher, constant })
}

/// Of the tags of words.
fn tagged(part: &Part, logits: &[f32], num_labels: usize) -> Option<TeacherQuality> {
    let counts = part.label_counts(num_labels);
    let words: u64 = counts.iter().sum();
    let gold: Vec<Option<i32>> = part
        .iter()
        .flat_map(|example| {
            (0..example.predictions()).map(|at| example.tags.get(at).copied()).collect::<Vec<_>>()
        })
        .collect();
    let predicted = logits.chunks_exact(num_labels).map(|logits| Some(argmax(logits) as i32));
    let right = gold.into_iter().zip(predicted).filter(|(gold, predicted)| gold == predicted).count();
    let constant = counts.iter().max().copied().unwrap_or(0) as f64 / words as f64;
    (words > 0).then_some(TeacherQuality {
        rows: part.labelled(),
        metric: "token accuracy",
        teacher: right as f64 / words as f64,
        constant,
    })
}

fn several_classes(judged: &[Judged<'_>], mut counts: Vec<u64>) -> Option<TeacherQuality> {
    let (teacher, _) = labels::f1(judged.iter().map(|(example, logits)| (example.targets, *logits)))?;
    counts.sort_unstable_by(|left, right| right.cmp(left));
    let rows = judged.iter().filter(|(example, _)| example.is_labelled()).count();
    let actual = counts.iter().sum::<u64>() as f64;
    let mut hits = 0.0;
    let mut constant = 0.0f64;
    for (answered, count) in counts.iter().enumerate() {
        hits += *count as f64;
        constant = constant.max(Hits::new(hits, actual, (rows * (answered + 1)) as f64).f1());
    }
    Some(TeacherQuality { rows, metric: "micro F1", teacher, constant })
}

fn number(judged: &[Judged<'_>]) -> Option<TeacherQuality> {
    let pairs: Vec<(f64, f64)> = judged
        .iter()
        .filter_map(|(example, logits)| {
            Some((f64::from(*example.targets.first()?), f64::from(*logits.first()?)))
        })
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
    use distill_data::cache::TokenCache;

    use super::*;

    /// The quality of a teacher that says the second half of each pair of rows with the first halves as targets.
    fn quality(rows: &[(&[f32], &[f32])], problem_type: TaskId) -> Option<TeacherQuality> {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            rows.iter().zip(0..).try_for_each(|((targets, _), row)| {
                let (input_ids, token_type_ids, label) = (&[1][..], None, None);
                // A validation file has no soft targets.
                let logits = &[][..];
                writer.push(Example {
                    input_ids,
                    token_type_ids,
                    label,
                    targets,
                    logits,
                    id_hash: row,
                    partner_hash: None,
                    row,
                    ..Example::default()
                })
            })
        });
        let logits: Vec<f32> = rows.iter().flat_map(|(_, logits)| logits.iter().copied()).collect();
        let labels = LabelMap::numbered(rows[0].1.len()).unwrap();
        TeacherQuality::of(&Part::whole(cache.unwrap()), &logits, &labels, problem_type)
    }

    #[test]
    fn a_teacher_of_several_labels_is_held_against_the_most_frequent_ones() {
        let rows: [(&[f32], &[f32]); 4] = [
            (&[1.0, 0.0], &[1.0, -1.0]),
            (&[1.0, 1.0], &[1.0, 1.0]),
            (&[1.0, 0.0], &[1.0, -1.0]),
            (&[], &[0.0, 0.0]),
        ];
        let found = quality(&rows, TaskId::MULTI_LABEL).unwrap();
        // Always the first label: 3 hits, 4 are so, 3 predicted: 6/7.
        assert!((found.constant - 6.0 / 7.0).abs() < 1e-12 && found.teacher == 1.0 && found.rows == 3);
        assert!(found.beats_the_constant());
        assert_eq!(quality(&rows[3..], TaskId::MULTI_LABEL), None, "no row has a label");
    }

    #[test]
    fn a_teacher_of_numbers_is_held_against_their_mean() {
        let of = |rows: &[(&[f32], &[f32])]| quality(rows, TaskId::REGRESSION).unwrap();
        let good = of(&[(&[1.0], &[1.5]), (&[3.0], &[2.5]), (&[], &[9.0])]);
        assert!((good.teacher - 0.75).abs() < 1e-12 && good.rows == 2);
        assert!(!of(&[(&[1.0], &[2.0]), (&[3.0], &[2.0])]).beats_the_constant());
    }
}
