//! Sequences under masks: those of a step, and the validation part, which has the same masks after every epoch.
//!
//! Legend: `N` masked places, `V` tokens of the vocabulary.

use std::collections::BTreeMap;

use distill_core::StopSignal;
use distill_data::cache::{Example, TokenCache};
use distill_data::masking::{Masked, Masking, Turn};
use distill_model::Model;
use distill_task::Figures;
use distill_teacher::{ForwardPass, RunnerError};
use distill_torch::{TorchError, guard, moved_to};
use tch::{Kind, Reduction, Tensor};

use crate::data::Part;
use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::loss::UNLABELLED;

/// What stands in the places of sequences, by their numbers in the token cache.
#[derive(Debug, Default)]
pub(crate) struct Masks(BTreeMap<u32, Masked>);

impl Masks {
    /// The masks of these sequences.
    pub fn of(rows: &[u32], cache: &TokenCache, masking: &Masking, turn: Turn) -> Self {
        let mask = |row: &u32| (*row, masking.mask(cache.get(*row as usize).input_ids, u64::from(*row), turn));
        Masks(rows.iter().map(mask).collect())
    }

    /// A sequence without its mask, with the positions that are predicted under it.
    pub fn beneath<'a>(&'a self, row: u32, example: Example<'a>) -> Example<'a> {
        Example { input_ids: example.input_ids, ..self.over(row, example) }
    }

    /// A sequence under its mask; an example without one as it is.
    pub fn over<'a>(&'a self, row: u32, example: Example<'a>) -> Example<'a> {
        match self.0.get(&row) {
            None => example,
            Some(Masked { input_ids, positions, labels }) => {
                Example { input_ids, positions, tags: labels, ..example }
            }
        }
    }
}

/// Mean cross-entropy over the masked places of a part, its `exp`, and the share of places whose token is the likeliest one.
///
/// # Errors
/// [`TrainError`] from the pass.
pub(crate) fn evaluate(
    model: &Model,
    part: &Part,
    masking: &Masking,
    batch_tokens: u64,
    stop: &StopSignal,
) -> Result<Evaluation, TrainError> {
    let masks = Masks::of(&part.rows, &part.cache, masking, Turn::Validation);
    let examples: Vec<Example<'_>> =
        part.rows.iter().map(|row| masks.over(*row, part.cache.get(*row as usize))).collect();
    let batches = ForwardPass { model, batch_tokens, stop }.measured(&examples, |logits, members| {
        let labels: Vec<i64> = members
            .iter()
            .flat_map(|member| examples[*member as usize].tags)
            .map(|token| i64::from(*token))
            .collect();
        Ok::<_, RunnerError>(sums(logits, &Tensor::f_from_slice(&labels).map_err(TorchError::from)?)?)
    })?;
    let places: usize = examples.iter().map(|example| example.tags.len()).sum();
    let [loss, right] = batches.iter().fold([0.0; 2], |[loss, right], sums| {
        [loss + sums.double_value(&[0]), right + sums.double_value(&[1])]
    });
    let loss = loss / places as f64;
    let figures = Figures {
        token_accuracy: Some(right / places as f64).filter(|share| share.is_finite()),
        perplexity: Some(loss.exp()).filter(|perplexity| perplexity.is_finite()),
        ..Figures::default()
    };
    Ok(Evaluation { loss, figures })
}

/// Sum of the cross-entropies of logits, `[N, V]`, and how many are largest at their label, int64 `[N]`: double `[2]`.
fn sums(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TorchError> {
    let labels = moved_to(labels, logits.device())?;
    guard("validation loss", || {
        let losses = logits.cross_entropy_loss(&labels, None::<&Tensor>, Reduction::None, UNLABELLED, 0.0); // [N]
        let right = logits.argmax(-1, false).eq_tensor(&labels); // [N]
        Tensor::stack(&[losses.sum(Kind::Double), right.sum(Kind::Double)], 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_places() {
        let logits = Tensor::from_slice2(&[[0f32, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]);
        let found = sums(&logits, &Tensor::from_slice(&[1i64, 0, 0])).unwrap();
        let expected = 3f64.ln() + (1.0 + 2.0 * (-9f64).exp()).ln() + (9f64.exp() + 2.0).ln();
        assert!((found.double_value(&[0]) - expected).abs() < 1e-4, "{found:?}");
        assert_eq!(found.double_value(&[1]), 1.0);
    }
}
