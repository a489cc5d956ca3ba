//! Several teachers: one soft target a row, made of theirs, for training or kept as a store of their own.

mod store;

use distill_data::logits::{LogitsRow, Store};
use distill_data::source::{Row, Source};
use distill_task::logits::{sigmoid, softmax};
use distill_task::{Activation, Positions, Setting, TaskId};
use serde::{Deserialize, Serialize};

use crate::data::{CacheBuilder, Part, in_chunks, reading};
use crate::error::TrainError;
use crate::soft_targets::{SoftTarget, TargetIndex, join_key};

/// What is averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// `Σ wᵢ zᵢ`: a label that one teacher finds very unlikely stays so.
    #[default]
    Logits,
    /// `ln Σ wᵢ softmax(zᵢ)`: the probabilities at temperature 1 are averaged, and a label that one teacher
    /// finds likely stays so.
    Probabilities,
}

/// How the logits of several teachers become one's.
#[derive(Clone, Debug)]
pub struct TeacherEnsemble {
    /// Their sum is 1.
    weights: Vec<f64>,
    average: Average,
    problem_type: TaskId,
}

/// The stores of several teachers over the same rows.
#[derive(Debug)]
pub struct Teachers {
    stores: Vec<Store>,
    mixture: TeacherEnsemble,
}

impl Teachers {
    /// Teachers with the same label map. Without `weights`, all have the same weight.
    ///
    /// # Errors
    /// [`TrainError::Labels`] where two maps differ; [`TrainError::Setting`] where there is not a weight
    /// above 0 for each store.
    pub fn new(stores: Vec<Store>, weights: &[f64], average: Average) -> Result<Self, TrainError> {
        let problem_type = stores.first().map(|store| store.fingerprint().problem_type).unwrap_or_default();
        let mixture = TeacherEnsemble::new(weights, stores.len(), average, problem_type)?;
        if let Some((first, others)) = stores.split_first() {
            let name = |store: &Store| store.directory().display().to_string();
            for other in others {
                let (own, theirs) = (&first.fingerprint().label_map, &other.fingerprint().label_map);
                own.must_equal(&name(first), theirs, &name(other))?;
                let (own, theirs) = (first.fingerprint().problem_type, other.fingerprint().problem_type);
                if own != theirs {
                    let (first, other) = (name(first), name(other));
                    return Err(TrainError::Rows(format!(
                        "problem_type of {first} is {own}, that of {other} is \
                                                         {theirs}"
                    )));
                }
            }
        }
        Ok(Teachers { stores, mixture })
    }
}

impl TeacherEnsemble {
    /// Of this many teachers, also of one. Without `weights`, all have the same weight.
    ///
    /// # Errors
    /// [`TrainError::Setting`] where there is not a weight above 0 for each, or nothing to average.
    pub fn new(
        weights: &[f64],
        teachers: usize,
        average: Average,
        problem_type: TaskId,
    ) -> Result<Self, TrainError> {
        let weights = shares(weights, teachers)?;
        if average == Average::Probabilities
            && let Some(expected) = problem_type.refuses(Setting::AverageProbabilities)
        {
            let value = "probabilities".to_owned();
            return Err(TrainError::Setting { field: "average", value, expected: expected.into() });
        }
        Ok(TeacherEnsemble { weights, average, problem_type })
    }

    /// Distinguishes two ways of combining the same stores.
    fn key(&self) -> String {
        format!("{:?} {:?}", self.average, self.weights)
    }

    /// One soft target of each teacher's, in the order of the weights.
    pub fn combine(&self, logits: &[&[f32]]) -> Vec<f32> {
        let labels = logits.first().map_or(0, |first| first.len());
        let mut sums = vec![0f64; labels];
        for (weight, logits) in self.weights.iter().zip(logits) {
            let terms: Vec<f64> = match self.average {
                Average::Logits => logits.iter().map(|logit| f64::from(*logit)).collect(),
                Average::Probabilities if self.problem_type.activation() == Activation::Sigmoid => {
                    logits.iter().map(|logit| sigmoid(*logit)).collect()
                }
                Average::Probabilities => softmax(logits),
            };
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
        }
        let narrow = |sum: &f64| match self.average {
            Average::Logits => *sum as f32,
            Average::Probabilities if self.problem_type.activation() == Activation::Sigmoid => {
                let yes = sum.clamp(1e-300, 1.0 - f64::EPSILON);
                (yes / (1.0 - yes)).ln() as f32
            }
            // Far below what any softmax in f32 tells from 0.
            Average::Probabilities => sum.max(1e-300).ln() as f32,
        };
        sums.iter().map(narrow).collect()
    }

    /// The same of a row, or of those of its words that all teachers have logits for; of answers, where all have the same
    /// windows, else none.
    fn combine_targets(&self, targets: &[SoftTarget<'_>]) -> Option<SoftTarget<'static>> {
        let Some(first) = targets.first() else { return Some(SoftTarget::default()) };
        if self.problem_type.positions() == Positions::Span {
            let same = targets.iter().all(|target| target.positions == first.positions);
            let logits: Vec<&[f32]> = targets.iter().map(|target| &target.logits[..]).collect();
            let positions = first.positions.to_vec().into();
            return same.then(|| SoftTarget { positions, logits: self.combine(&logits).into() });
        }
        if first.positions.is_empty() {
            let logits: Vec<&[f32]> = targets.iter().map(|target| &target.logits[..]).collect();
            return Some(SoftTarget { positions: Vec::new().into(), logits: self.combine(&logits).into() });
        }
        let (mut positions, mut combined) = (Vec::new(), Vec::new());
        for word in first.positions.iter() {
            let logits: Option<Vec<&[f32]>> = targets.iter().map(|target| target.of_word(*word)).collect();
            if let Some(logits) = logits {
                positions.push(*word);
                combined.extend(self.combine(&logits));
            }
        }
        Some(SoftTarget { positions: positions.into(), logits: combined.into() })
    }
}

fn other_windows(row: u64, id: &str) -> TrainError {
    TrainError::Rows(format!(
        "row {row} (id {id:?}): the teachers read its text in different windows; soft targets of answers can be combined \
         only of teachers with the same tokenizer and the same max_length"
    ))
}

/// Weights that sum to 1.
fn shares(weights: &[f64], teachers: usize) -> Result<Vec<f64>, TrainError> {
    let equal = vec![1.0; teachers];
    let weights = if weights.is_empty() { &equal[..] } else { weights };
    let usable = weights.iter().all(|weight| weight.is_finite() && *weight > 0.0);
    if weights.len() != teachers || !usable {
        return Err(TrainError::Setting {
            field: "teacher_weights",
            value: format!("{weights:?} for {teachers} {}", if teachers == 1 { "store" } else { "stores" }),
            expected: "a number above 0 for each store".into(),
        });
    }
    let sum: f64 = weights.iter().sum();
    Ok(weights.iter().map(|weight| weight / sum).collect())
}

impl CacheBuilder<'_> {
    /// The rows of the first store, or of `rows` where it has no texts, with the soft targets of all. The
    /// stores are joined by id and text hash.
    ///
    /// # Errors
    /// [`TrainError::Rows`] naming the first row that a store does not have.
    pub fn from_teachers(
        &self,
        teachers: &Teachers,
        stores_hash: &str,
        rows: Option<(&Source, &str)>,
    ) -> Result<Part, TrainError> {
        let key = teachers.mixture.key();
        let own = [("targets", stores_hash), ("average", key.as_str())];
        let about = format!("soft targets of {} teachers", teachers.stores.len());
        match rows {
            Some((source, data_hash)) => {
                let reading = reading(source);
                let inputs = [&[("source", data_hash), ("reading", reading.as_str())], &own[..]].concat();
                self.open(&inputs, &about, |filling| {
                    let indices = self.indices(&teachers.stores)?;
                    in_chunks(source.clone().holding(data_hash).rows()?, |rows| {
                        self.stop.check()?;
                        self.push_rows(rows, |row| combined(teachers, &indices, row), filling)
                    })
                })
            }
            None => self.open(&own, &about, |filling| {
                let Some((first, others)) = teachers.stores.split_first() else { return Ok(()) };
                let indices = self.indices(others)?;
                in_chunks(first.rows(), |rows: &[LogitsRow]| {
                    self.stop.check()?;
                    let rows = rows.iter().map(|row| with_all(teachers, &indices, row));
                    self.push_targets(&rows.collect::<Result<Vec<_>, TrainError>>()?, filling)
                })
            }),
        }
    }

    fn indices(&self, stores: &[Store]) -> Result<Vec<TargetIndex>, TrainError> {
        stores.iter().map(|store| self.index(store)).collect()
    }
}

/// What all stores say of a row of a source.
fn combined(
    teachers: &Teachers,
    indices: &[TargetIndex],
    row: &Row,
) -> Result<SoftTarget<'static>, TrainError> {
    let found = indices.iter().map(|index| index.of(row)).collect::<Result<Vec<_>, TrainError>>()?;
    teachers.mixture.combine_targets(&found).ok_or_else(|| other_windows(row.row, &row.id))
}

/// A row of the first store with what the others say of it too.
fn with_all(teachers: &Teachers, others: &[TargetIndex], row: &LogitsRow) -> Result<LogitsRow, TrainError> {
    let key = join_key(&row.id, &row.text_hash);
    let mut targets = vec![SoftTarget::from(row)];
    for (index, store) in others.iter().zip(&teachers.stores[1..]) {
        targets.push(index.find(&key).ok_or_else(|| {
            TrainError::Rows(format!(
                "row {} (id {:?}) of {} is not in {} with this id and text",
                row.row,
                row.id,
                teachers.stores[0].directory().display(),
                store.directory().display()
            ))
        })?);
    }
    let combined = teachers.mixture.combine_targets(&targets);
    let SoftTarget { positions, logits } =
        combined.ok_or_else(|| other_windows(row.row.cast_unsigned(), &row.id))?;
    Ok(LogitsRow { positions: positions.into_owned(), logits: logits.into_owned(), ..row.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teachers(weights: &[f64], average: Average) -> TeacherEnsemble {
        TeacherEnsemble::new(weights, 2, average, TaskId::SINGLE_LABEL).unwrap()
    }

    #[test]
    fn logits_and_probabilities_are_averaged_by_weight() {
        let (one, two): ([f32; 2], [f32; 2]) = ([1.0, 3.0], [5.0, -1.0]);
        let of = |weights: &[f64], average| teachers(weights, average).combine(&[&one, &two]);
        assert_eq!(of(&[], Average::Logits), [3.0, 1.0]);
        assert_eq!(of(&[3.0, 1.0], Average::Logits), [2.0, 2.0]);
        let probabilities = softmax(&of(&[3.0, 1.0], Average::Probabilities));
        for (label, found) in probabilities.into_iter().enumerate() {
            let expected = 0.75 * softmax(&one)[label] + 0.25 * softmax(&two)[label];
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn of_several_labels_a_row_the_sigmoids_are_averaged() {
        let several = TeacherEnsemble {
            problem_type: TaskId::MULTI_LABEL,
            ..teachers(&[3.0, 1.0], Average::Probabilities)
        };
        let found = several.combine(&[&[2.0, -1000.0], &[-1.0, 1000.0]]);
        for (found, expected) in found.iter().zip([0.75 * sigmoid(2.0) + 0.25 * sigmoid(-1.0), 0.25]) {
            assert!((sigmoid(*found) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn probabilities_too_small_for_f32_stay_finite() {
        let far = teachers(&[], Average::Probabilities).combine(&[&[0.0, -2000.0], &[0.0, -3000.0]]);
        assert!(far.iter().all(|logit| logit.is_finite()), "{far:?}");
    }

    #[test]
    fn of_words_those_are_averaged_that_all_teachers_have() {
        let target = |positions: &'static [i32], logits: &'static [f32]| SoftTarget {
            positions: positions.into(),
            logits: logits.into(),
        };
        let targets =
            [target(&[0, 1, 3], &[1.0, 2.0, 9.0, 9.0, 3.0, 4.0]), target(&[0, 3], &[3.0, 0.0, 5.0, 8.0])];
        let found = teachers(&[], Average::Logits).combine_targets(&targets).unwrap();
        assert_eq!(found, target(&[0, 3], &[2.0, 1.0, 4.0, 6.0]));
        // Probabilities are averaged word by word.
        let found = teachers(&[], Average::Probabilities).combine_targets(&targets).unwrap();
        assert_eq!(found.positions[..], [0, 3]);
        assert!(found.logits.chunks(2).all(|word| (softmax(word)[0] - f64::from(word[0]).exp()).abs() < 1e-6));
    }

    #[test]
    fn logits_of_answers_are_averaged_only_over_the_same_windows() {
        let answers =
            TeacherEnsemble { problem_type: TaskId::QUESTION_ANSWERING, ..teachers(&[], Average::Logits) };
        let target = |positions: &'static [i32], logits: &'static [f32]| SoftTarget {
            positions: positions.into(),
            logits: logits.into(),
        };
        let one = target(&[-1, 0, -1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let two = target(&[-1, 0, -1], &[3.0, 2.0, 1.0, 0.0, 1.0, 0.0]);
        let other = target(&[-1, 4, -1], &[0.0; 6]);
        let found = answers.combine_targets(&[one.clone(), two]).unwrap();
        assert_eq!(found, target(&[-1, 0, -1], &[2.0, 2.0, 2.0, 2.0, 3.0, 3.0]));
        assert_eq!(answers.combine_targets(&[one, other]), None);
        let error =
            TeacherEnsemble::new(&[], 2, Average::Probabilities, TaskId::QUESTION_ANSWERING).unwrap_err();
        assert!(error.to_string().contains("different numbers of positions"), "{error}");
    }

    #[test]
    fn a_weight_for_each_store_is_asked_for() {
        for bad in [&[1.0][..], &[1.0, 0.0], &[1.0, f64::NAN]] {
            assert!(shares(bad, 2).unwrap_err().to_string().contains("for 2 stores"));
        }
        for bad in [&[1.0, 1.0][..], &[-1.0], &[f64::INFINITY]] {
            assert!(shares(bad, 1).unwrap_err().to_string().contains("for 1 store, "));
        }
    }
}
