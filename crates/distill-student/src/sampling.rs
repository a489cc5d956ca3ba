//! Which rows an epoch has: every row once, or every class as often.
//!
//! A balanced epoch has as many rows as the training part. Unlabelled rows stand in it once; of the places of
//! the labelled rows every class has the same share, whatever its size: a small class repeats, a large one is
//! shown in turns over the epochs. The draw depends on the seed and the epoch alone.

use std::collections::BTreeMap;

use distill_data::batches::TrainingOrder;

use crate::data::Part;
use crate::settings::Sampling;

/// The batches of each epoch.
#[derive(Debug)]
pub struct Sampler {
    order: TrainingOrder,
    /// Rows by label where classes are to be shown as often; none: as they are.
    classes: Option<BTreeMap<Option<i32>, Vec<u32>>>,
}

impl Sampler {
    /// A sampler over the rows of a part.
    pub fn new(sampling: Sampling, part: &Part, batch_rows: usize, seed: u64) -> Self {
        let order = TrainingOrder { rows: part.rows.clone(), batch_rows, seed };
        let classes = (sampling == Sampling::Balanced).then(|| {
            let mut classes: BTreeMap<Option<i32>, Vec<u32>> = BTreeMap::new();
            for (row, example) in part.rows.iter().zip(part.iter()) {
                classes.entry(example.label).or_default().push(*row);
            }
            classes
        });
        Sampler { order, classes }
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.order.batches_per_epoch()
    }

    /// The batches of epoch `epoch`, from 0.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<u32>> {
        match &self.classes {
            None => self.order.epoch(epoch),
            Some(classes) => {
                let rows = self.balanced(classes, epoch);
                TrainingOrder { rows, ..self.order.clone() }.epoch(epoch)
            }
        }
    }

    fn balanced(&self, classes: &BTreeMap<Option<i32>, Vec<u32>>, epoch: u64) -> Vec<u32> {
        let mut chosen: Vec<u32> = classes.get(&None).cloned().unwrap_or_default();
        let labelled = self.order.rows.len() - chosen.len();
        let of_labels = || classes.iter().filter_map(|(label, rows)| Some((label.as_ref()?, rows)));
        let count = of_labels().count().max(1);
        for (place, (label, rows)) in of_labels().enumerate() {
            let share = labelled / count + usize::from(place < labelled % count);
            chosen.extend(self.draw(*label, rows, share, epoch));
        }
        chosen
    }

    /// The next `share` rows of a class: its rows in one shuffled pass after another, over all epochs.
    fn draw(&self, label: i32, rows: &[u32], share: usize, epoch: u64) -> Vec<u32> {
        // Another stream than the order of an epoch, and one for each class.
        let seed = self.order.seed ^ (0x5341_4d50_4c45_0000 | u64::from(label.cast_unsigned()));
        let passes = TrainingOrder { rows: rows.to_vec(), batch_rows: rows.len(), seed };
        let first = epoch * share as u64;
        let size = rows.len() as u64;
        let (mut pass, mut skip) = (first / size, (first % size) as usize);
        let mut drawn = Vec::with_capacity(share);
        while drawn.len() < share {
            let shuffled = passes.epoch(pass).concat();
            drawn.extend(shuffled.into_iter().skip(skip).take(share - drawn.len()));
            (pass, skip) = (pass + 1, 0);
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_data::CacheError;
    use distill_data::cache::{Example, TokenCache};

    /// 12 rows of label 0, 3 of label 1, 2 without.
    fn part() -> Part {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            for row in 0..17u64 {
                let label = [Some(0), Some(1), None][usize::from(row >= 12) + usize::from(row >= 15)];
                writer.push(Example {
                    input_ids: &[1],
                    token_type_ids: None,
                    label,
                    targets: &[],
                    logits: &[],
                    id_hash: row,
                    partner_hash: None,
                    row,
                    ..Example::default()
                })?;
            }
            Ok(())
        });
        Part::whole(cache.unwrap())
    }

    #[test]
    fn a_uniform_epoch_is_the_training_order() {
        let sampler = Sampler::new(Sampling::Uniform, &part(), 4, 7);
        let order = TrainingOrder { rows: (0..17).collect(), batch_rows: 4, seed: 7 };
        assert_eq!(sampler.epoch(3), order.epoch(3));
        assert_eq!(sampler.batches_per_epoch(), 5);
    }

    #[test]
    fn a_balanced_epoch_shows_every_class_as_often_and_every_row_in_turn() {
        let sampler = Sampler::new(Sampling::Balanced, &part(), 4, 7);
        let mut seen = [0u32; 17];
        for epoch in 0..3 {
            let rows = sampler.epoch(epoch).concat();
            assert_eq!(rows.len(), 17);
            assert_eq!(sampler.epoch(epoch).len(), sampler.batches_per_epoch());
            let of = |from: u32, to: u32| rows.iter().filter(|row| (from..to).contains(*row)).count();
            assert_eq!((of(0, 12), of(12, 15), of(15, 17)), (8, 7, 2), "epoch {epoch}");
            rows.iter().for_each(|row| seen[*row as usize] += 1);
            assert_eq!(sampler.epoch(epoch), sampler.epoch(epoch), "the draw repeats");
        }
        // 3 epochs of 8 places for 12 rows, of 7 for 3, of 1 for each unlabelled one.
        assert!(seen[..12].iter().all(|count| *count == 2), "{seen:?}");
        assert!(seen[12..15].iter().all(|count| *count == 7), "{seen:?}");
        assert!(seen[15..].iter().all(|count| *count == 3), "{seen:?}");
        assert_ne!(sampler.epoch(0), Sampler::new(Sampling::Balanced, &part(), 4, 8).epoch(0));
    }
}
