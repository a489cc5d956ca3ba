//! The validation part that is cut off the rows: by share, or by share of every class.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use distill_data::cache::Example;
use distill_data::{DataError, choose_validation};

use crate::data::{Part, TrainingData};
use crate::error::TrainError;

impl Part {
    /// Cuts off a validation part, chosen by `seed` and the rows' ids alone, among the labelled rows where there are
    /// any: rows without labels say little of an epoch, and with them or without, the same labelled rows are set aside.
    ///
    /// # Errors
    /// [`TrainError::Data`] where the share leaves one of the parts empty.
    pub fn split(self, fraction: f64, seed: u64) -> Result<TrainingData, TrainError> {
        self.split_by(fraction, seed, |_| None)
    }

    /// As [`Part::split`], class by class: the same share of every class, at least one row of each that has two or more.
    ///
    /// # Errors
    /// As [`Part::split`], and where no class has two rows.
    pub fn split_stratified(self, fraction: f64, seed: u64) -> Result<TrainingData, TrainError> {
        self.split_by(fraction, seed, |example| example.label)
    }

    fn split_by(
        self,
        fraction: f64,
        seed: u64,
        group_of: impl Fn(&Example<'_>) -> Option<i32>,
    ) -> Result<TrainingData, TrainError> {
        // An augmented row has the hash of the row it was made of, and stands behind it: it is trained on where
        // that row is, and left out where that row is for validation, or the one whose half it ends with.
        let mut originals = HashSet::new();
        let some_labelled = self.iter().any(|example| example.is_labelled());
        let mut groups: BTreeMap<Option<i32>, Vec<u64>> = BTreeMap::new();
        let mut is_candidate = Vec::with_capacity(self.rows.len());
        let mut before: Option<(u64, u64)> = None;
        for example in self.iter() {
            // The windows of a row of words follow one another and go where the first one goes.
            let own = (example.row, example.id_hash);
            let continues = !example.positions.is_empty() && before.replace(own) == Some(own);
            if let (true, Some(first)) = (continues, is_candidate.last().copied()) {
                is_candidate.push(first);
                continue;
            }
            let candidate = originals.insert(example.id_hash) && (example.is_labelled() || !some_labelled);
            is_candidate.push(candidate);
            if candidate {
                groups.entry(group_of(&example)).or_default().push(example.id_hash);
            }
        }
        let hashes: Vec<u64> = self.iter().map(|example| example.id_hash).collect();
        let held_out = choose(&groups, fraction, seed)?;
        let mut data = TrainingData {
            train: Part { cache: Arc::clone(&self.cache), rows: Vec::new() },
            validation: Part { cache: Arc::clone(&self.cache), rows: Vec::new() },
        };
        let ends_held_out = |row: u32| {
            self.cache.get(row as usize).partner_hash.is_some_and(|partner| held_out.contains(&partner))
        };
        for ((row, hash), candidate) in self.rows.iter().zip(&hashes).zip(&is_candidate) {
            match (held_out.contains(hash), candidate) {
                (false, _) if ends_held_out(*row) => (),
                (false, _) => data.train.rows.push(*row),
                (true, true) => data.validation.rows.push(*row),
                (true, false) => (),
            }
        }
        Ok(data)
    }
}

/// The hashes that are set aside, a share of each group; where there are several, a group of one row stays whole.
fn choose(
    groups: &BTreeMap<Option<i32>, Vec<u64>>,
    fraction: f64,
    seed: u64,
) -> Result<HashSet<u64>, TrainError> {
    let mut held_out = HashSet::new();
    for hashes in groups.values().filter(|hashes| groups.len() == 1 || hashes.len() > 1) {
        let chosen = choose_validation(hashes.iter().map(|hash| hash.to_le_bytes()), fraction, seed)?;
        held_out.extend(hashes.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(hash, _)| *hash));
    }
    if held_out.is_empty() {
        let what = "no class has two rows, so none can be set aside for validation".to_owned();
        return Err(DataError::Split { what }.into());
    }
    Ok(held_out)
}

#[cfg(test)]
mod tests {
    use distill_data::CacheError;
    use distill_data::cache::TokenCache;

    use super::*;

    /// Rows with these labels, none for an unlabelled one; their ids are their places.
    fn part(labels: &[Option<i32>]) -> Part {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            labels.iter().zip(0..).try_for_each(|(label, row)| {
                writer.push(Example {
                    input_ids: &[1, 7, 7],
                    token_type_ids: None,
                    label: *label,
                    targets: &[],
                    logits: &[],
                    id_hash: row * 7919,
                    partner_hash: None,
                    row,
                    ..Example::default()
                })
            })
        });
        Part::whole(cache.unwrap())
    }

    #[test]
    fn every_class_of_two_rows_has_its_share_set_aside() {
        let labels: Vec<Option<i32>> = (0..135)
            .map(|row| [Some(0), Some(1), Some(2), None][[100, 120, 121].partition_point(|end| *end <= row)])
            .collect();
        let data = part(&labels).split_stratified(0.1, 42).unwrap();
        assert_eq!(data.validation.label_counts(3), [10, 2, 0], "one row of class 2 alone: it is trained on");
        assert_eq!(data.train.label_counts(3), [90, 18, 1]);
        assert_eq!(data.train.rows.len() + data.validation.rows.len(), 135, "unlabelled rows are trained on");
        let again = part(&labels).split_stratified(0.1, 42).unwrap();
        assert_eq!(again.validation.rows, data.validation.rows);
        assert_ne!(part(&labels).split_stratified(0.1, 43).unwrap().validation.rows, data.validation.rows);
    }

    #[test]
    fn where_no_class_has_two_rows_nothing_can_be_set_aside() {
        let error = part(&[Some(0), Some(1), Some(2)]).split_stratified(0.5, 42).unwrap_err();
        assert!(error.to_string().contains("no class has two rows"), "{error}");
        assert!(part(&[Some(0), Some(1), Some(2)]).split(0.5, 42).is_ok());
    }

    #[test]
    fn tokens_are_counted_over_all_rows_of_a_part() {
        assert_eq!(part(&[None, None]).count_token(7), (6, 4));
        assert_eq!(part(&[None]).count_token(9), (3, 0));
    }
}
