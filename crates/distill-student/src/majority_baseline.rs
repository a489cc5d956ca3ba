//! Whether a teacher has anything to teach: its soft targets compared with the best constant answer.

use distill_core::LabelMap;
use distill_data::cache::Example;
use distill_task::{Quality, TaskId};
use serde::Serialize;

use crate::data::Part;
use crate::labels;

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
        let examples: Vec<Example<'_>> = part.iter().collect();
        let rows = labels::scored(&examples, logits, labels.num_labels(), problem_type);
        let Quality { rows, metric, teacher, constant } = problem_type.quality(&rows, labels)?;
        Some(TeacherQuality { rows, metric, teacher, constant })
    }

    /// Whether the teacher is better than the constant answer.
    pub fn beats_the_constant(&self) -> bool {
        self.teacher > self.constant
    }
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
