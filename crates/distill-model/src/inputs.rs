//! A packed batch on a device.

use distill_torch::{Packing, TorchError, copied_to};
use tch::{Device, Kind, Tensor};

/// Tokens of a batch, row after row without padding.
#[derive(Debug)]
pub struct Inputs {
    /// int64 `[T]`.
    pub input_ids: Tensor,
    /// int64 `[T]`.
    pub token_type_ids: Tensor,
    /// int64 `[T]`, counted from 0 in each row.
    pub position_ids: Tensor,
    /// Where rows begin and end.
    pub packing: Packing,
    /// Places of the tokens that a head on tokens predicts for, int64 `[N]` into `T`; none: of all.
    pub positions: Option<Tensor>,
    /// What hidden states are computed in; none: in the kind of the weights.
    pub compute: Option<Kind>,
}

impl Inputs {
    /// Copies a batch to `device`. `cu_seqlens` is `[B+1]`; the other three have `T` elements.
    ///
    /// # Errors
    /// [`TorchError`] where the lengths do not agree.
    pub fn new(
        input_ids: &[i64],
        token_type_ids: &[i64],
        position_ids: &[i64],
        cu_seqlens: &[i32],
        device: Device,
    ) -> Result<Self, TorchError> {
        let numbers = [input_ids, token_type_ids, position_ids];
        let tokens = cu_seqlens.last().map_or(0, |tokens| usize::try_from(*tokens).unwrap_or(usize::MAX));
        for ids in numbers {
            if ids.len() != tokens {
                let message = format!("{} ids for {tokens} tokens", ids.len());
                return Err(tch::TchError::Shape(message).into());
            }
        }
        let (packing, [input_ids, token_type_ids, position_ids]) =
            Packing::with_numbers(numbers, cu_seqlens, device)?;
        Ok(Inputs { input_ids, token_type_ids, position_ids, packing, positions: None, compute: None })
    }

    /// The same batch, of whose tokens those at these places are predicted for: numbers below `T`.
    ///
    /// # Errors
    /// [`TorchError`] for a place that is not in the batch, or where the copy fails.
    pub fn at(self, positions: &[i64]) -> Result<Self, TorchError> {
        let tokens = self.packing.tokens();
        if let Some(outside) = positions.iter().find(|place| !(0..tokens).contains(*place)) {
            return Err(
                tch::TchError::Shape(format!("position {outside} in a batch of {tokens} tokens")).into()
            );
        }
        let positions = Some(copied_to(positions, self.input_ids.device())?);
        Ok(Inputs { positions, ..self })
    }

    /// The same batch with hidden states in `compute`: weights of another kind are converted where they are used, and
    /// stay as they are for the optimizer.
    ///
    /// Source: Micikevicius et al. 2018, arXiv:1710.03740, section 3.1; bf16 needs no loss scale.
    #[must_use]
    pub fn computed_in(self, compute: Option<Kind>) -> Self {
        Inputs { compute, ..self }
    }
}
