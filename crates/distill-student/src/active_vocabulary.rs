//! Training on the part of the vocabulary that occurs.
//!
//! A row of the word embeddings whose token never occurs has no gradient, so its moments stay 0 and
//! AdamW does one thing to it: `w ← w · (1 − learning_rate · weight_decay)`. Those factors are multiplied
//! up and applied when the rows are next read. The rest of a step (gradient, norm, moments, update)
//! then runs over the rows that occur: the same weights up to rounding, for a fraction of the memory
//! traffic. In a 3-layer MiniLM, 70% of all parameters are word embeddings.

use std::sync::Arc;

use distill_torch::{TorchError, guard};
use tch::Tensor;

use crate::data::Part;

/// Above this share of occurring tokens the whole table is trained.
const WORTH_IT_BELOW: f64 = 0.8;

/// The word embeddings of a model, narrowed to the tokens that occur.
#[derive(Debug)]
pub struct ActiveVocabulary {
    /// The parameter `word_embeddings.weight`: `[V, H]` while wide, `[U, H]` while narrow.
    parameter: Tensor,
    /// The initial table, `[V, H]`.
    table: Tensor,
    /// The occurring tokens in rising order, int64 `[U]`.
    occurring: Tensor,
    numbering: Numbering,
    /// Product of the decay factors of all steps.
    decay: f64,
}

impl ActiveVocabulary {
    /// The occurring tokens of `part` for a model whose word embeddings are `parameter`, `[V, H]`;
    /// none where nearly all occur.
    pub fn of(part: &Part, parameter: &Tensor) -> Option<Self> {
        let size = usize::try_from(parameter.size()[0]).ok()?;
        let mut occurs = vec![false; size];
        for example in part.iter() {
            for id in example.input_ids {
                // An id beyond the vocabulary is reported when its batch is packed.
                if let Some(flag) = occurs.get_mut(*id as usize) {
                    *flag = true;
                }
            }
        }
        let ids: Vec<i64> = (0..size as i64).filter(|id| occurs[*id as usize]).collect();
        let share = ids.len() as f64 / size as f64;
        if share >= WORTH_IT_BELOW {
            return None;
        }
        let mut places = vec![-1; size];
        ids.iter().enumerate().for_each(|(place, id)| places[*id as usize] = place as i64);
        Some(ActiveVocabulary {
            parameter: parameter.shallow_clone(),
            table: parameter.detach().copy(),
            occurring: Tensor::from_slice(&ids).to_device(parameter.device()),
            numbering: Numbering(places.into()),
            decay: 1.0,
        })
    }

    /// Leaves the occurring rows in the parameter, `[U, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn shrink(&self) -> Result<(), TorchError> {
        guard("narrowing the vocabulary", || {
            let rows = self.table.index_select(0, &self.occurring); // [U, H]
            self.parameter.shallow_clone().set_data(&rows);
        })
    }

    /// Puts the complete, up-to-date table into the parameter, `[V, H]`, permanently.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn expand(&self) -> Result<(), TorchError> {
        self.fill(self.decay)
    }

    /// Puts the table into the parameter, with the rows that do not occur scaled by `decay`.
    fn fill(&self, decay: f64) -> Result<(), TorchError> {
        guard("widening the vocabulary", || {
            let mut table = &self.table * decay; // [V, H]
            drop(table.index_copy_(0, &self.occurring, &self.parameter.detach()));
            self.parameter.shallow_clone().set_data(&table);
        })
    }

    /// Runs `body` with the whole table in the parameter, and narrows it again to the same bits: how
    /// often this happens, or where a run was stopped, leaves no trace in the weights.
    ///
    /// # Errors
    /// Those of `body`, and [`TorchError`] from libtorch.
    pub fn while_expanded<T, E: From<TorchError>>(&self, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.while_expanded_at(self.decay, body)
    }

    /// As [`ActiveVocabulary::while_expanded`], with the rows that do not occur scaled by `decay`.
    ///
    /// # Errors
    /// As [`ActiveVocabulary::while_expanded`].
    pub fn while_expanded_at<T, E: From<TorchError>>(
        &self,
        decay: f64,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let rows = self.parameter.detach(); // [U, H]
        self.fill(decay)?;
        let result = body();
        guard("narrowing the vocabulary", || self.parameter.shallow_clone().set_data(&rows))?;
        result
    }

    /// What the rows that do not occur have decayed by.
    pub fn decay(&self) -> f64 {
        self.decay
    }

    /// Puts [`ActiveVocabulary::decay`] back.
    pub fn set_decay(&mut self, decay: f64) {
        self.decay = decay;
    }

    /// How tokens are numbered while the parameter is narrow.
    pub fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// Records the effect of a step on the rows that do not occur.
    pub fn note_step(&mut self, learning_rate: f64, weight_decay: f64) {
        self.decay *= 1.0 - learning_rate * weight_decay;
    }
}

/// For each token its place among the occurring ones; −1 where it does not occur. `[V]`
#[derive(Clone, Debug)]
pub struct Numbering(Arc<[i64]>);

impl Numbering {
    /// Turns tokens into their places among the occurring ones.
    pub fn renumber(&self, input_ids: &mut [i64]) {
        for id in input_ids {
            *id = usize::try_from(*id).map_or(-1, |id| self.0[id]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_data::CacheError;
    use distill_data::cache::{Example, TokenCache};
    use distill_torch::{AdamW, AdamWConfig};
    use tch::{Device, Kind};

    fn part(rows: &[&[u32]]) -> Part {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            for (row, input_ids) in rows.iter().enumerate() {
                let row = row as u64;
                writer.push(Example {
                    input_ids,
                    token_type_ids: None,
                    label: None,
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

    /// Three AdamW steps on sums of squared embeddings; the norm is far from being clipped.
    fn train(narrowed: bool) -> Tensor {
        distill_torch::rng::manual_seed(1);
        let table = Tensor::randn([50, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let ids = [3u32, 7, 7, 20];
        let mut vocabulary = narrowed.then(|| ActiveVocabulary::of(&part(&[&ids]), &table).unwrap());
        if let Some(vocabulary) = &vocabulary {
            vocabulary.shrink().unwrap();
            assert_eq!(table.size(), [3, 4]);
        }
        let config = AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() };
        let mut optimizer = AdamW::new(config, [("word_embeddings.weight".to_owned(), table.shallow_clone())]);
        for _ in 0..3 {
            let mut batch: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
            if let Some(vocabulary) = &vocabulary {
                vocabulary.numbering().renumber(&mut batch);
            }
            let rows = Tensor::embedding(&table, &Tensor::from_slice(&batch), -1, false, false);
            (&rows * &rows).sum(Kind::Float).backward();
            drop(optimizer.step(0.05, 1e9).unwrap());
            if let Some(vocabulary) = &mut vocabulary {
                vocabulary.note_step(0.05, 0.1);
            }
        }
        if let Some(vocabulary) = &vocabulary {
            let seen = vocabulary.while_expanded::<_, TorchError>(|| Ok(table.size())).unwrap();
            assert_eq!((seen, table.size()), (vec![50, 4], vec![3, 4]));
            vocabulary.expand().unwrap();
        }
        table.detach()
    }

    #[test]
    fn training_the_occurring_rows_gives_the_weights_of_training_all() {
        let (all, narrowed) = (train(false), train(true));
        assert_eq!(all.size(), narrowed.size());
        assert!((all - narrowed).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn a_vocabulary_that_occurs_almost_completely_is_not_narrowed() {
        let table = Tensor::zeros([4, 2], (Kind::Float, Device::Cpu));
        assert!(ActiveVocabulary::of(&part(&[&[0, 1, 2, 3]]), &table).is_none());
        assert!(ActiveVocabulary::of(&part(&[&[0, 1]]), &table).is_some());
    }
}
