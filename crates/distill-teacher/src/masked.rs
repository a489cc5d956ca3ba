//! Rows with masked tokens to what may stand there: batches of like length under a token budget, as in
//! [`crate::forward`].

use std::cell::Cell;

use distill_core::StopSignal;
use distill_data::cache::Example;
use distill_model::MaskedLanguageModel;
use distill_model::masked::Candidates;
use distill_torch::{ReadBack, TorchError, copied_to};
use tracing::trace_span;

use crate::error::RunnerError;
use crate::forward::{in_batches, inputs_on, packed};

/// A row some of whose tokens are masked.
pub struct MaskedRow<'a> {
    /// Its tokens, masks among them.
    pub example: Example<'a>,
    /// The row's id, for messages.
    pub id: &'a str,
    /// Place of each mask among its tokens, and the list of [`MaskedPass::candidates`] that it is asked of.
    pub places: &'a [(u32, usize)],
}

/// For each place of a row the likeliest candidates, as places in their list, the likeliest first.
pub type Likeliest = Vec<Vec<u32>>;

/// A masked language model applied to rows.
pub struct MaskedPass<'a> {
    /// The model.
    pub model: &'a MaskedLanguageModel,
    /// The candidates at each mask.
    pub candidates: &'a [Candidates],
    /// Most tokens of a batch; halved for good where the device's memory does not suffice.
    pub batch_tokens: &'a Cell<u64>,
    /// Asked before every batch.
    pub stop: &'a StopSignal,
}

impl MaskedPass<'_> {
    /// The `count` likeliest candidates at each place of each row, in the order given.
    ///
    /// # Errors
    /// [`RunnerError`] for a token that the model does not know, logits that are not finite, a failure of libtorch,
    /// or a stop.
    pub fn likeliest(&self, rows: &[MaskedRow<'_>], count: usize) -> Result<Vec<Likeliest>, RunnerError> {
        let lengths: Vec<u32> = rows.iter().map(|row| row.example.input_ids.len() as u32).collect();
        let mut found: Vec<Likeliest> = rows.iter().map(|row| vec![Vec::new(); row.places.len()]).collect();
        in_batches(
            &lengths,
            self.batch_tokens,
            |batch| {
                self.stop.check()?;
                self.launch(rows, batch, count)
            },
            |computed| computed.iter().try_for_each(|computed| computed.read_into(rows, &mut found)),
        )?;
        Ok(found)
    }

    /// Starts a batch of `rows`: what comes of it for each list of candidates.
    fn launch(
        &self,
        rows: &[MaskedRow<'_>],
        batch: &[u32],
        count: usize,
    ) -> Result<Vec<Computed>, RunnerError> {
        let members: Vec<Example<'_>> = batch.iter().map(|row| rows[*row as usize].example).collect();
        let packed = packed(self.model.config(), &members)?;
        let inputs = inputs_on(&packed, self.model.device())?;
        let mut asked: Vec<Asked> = Vec::new();
        for (row, start) in packed.rows.iter().zip(&packed.cu_seqlens) {
            let row = batch[*row as usize];
            for (number, (place, list)) in rows[row as usize].places.iter().enumerate() {
                asked.push(Asked { row, number, token: i64::from(*start) + i64::from(*place), list: *list });
            }
        }
        let _span = trace_span!(target: "timeline", "forward").entered();
        let tokens: Vec<i64> = asked.iter().map(|asked| asked.token).collect();
        let states = self.model.states(&inputs, &tokens)?; // [M, H]
        let mut computed = Vec::new();
        for (list, candidates) in self.candidates.iter().enumerate() {
            let of_list = |(place, asked): (usize, &Asked)| (asked.list == list).then_some(place as i64);
            let places: Vec<i64> = asked.iter().enumerate().filter_map(of_list).collect();
            if places.is_empty() {
                continue;
            }
            let own = copied_to(&places, states.device())?;
            let own = states.f_index_select(0, &own).map_err(TorchError::from)?;
            let (logits, which) = candidates.likeliest(&own, count)?;
            let asked = places.iter().map(|place| asked[*place as usize]).collect();
            computed.push(Computed { asked, logits: ReadBack::of(&logits)?, which: ReadBack::of(&which)? });
        }
        Ok(computed)
    }
}

/// A masked token of a batch.
#[derive(Clone, Copy)]
struct Asked {
    row: u32,
    /// Which of the row's places it is.
    number: usize,
    /// Its place among the tokens of the batch.
    token: i64,
    list: usize,
}

/// What the device has, or is at work on, for the tokens `asked`.
struct Computed {
    asked: Vec<Asked>,
    /// `[M, count]`
    logits: ReadBack,
    /// int64 `[M, count]`
    which: ReadBack,
}

impl Computed {
    /// Waits for the numbers and puts them where they belong.
    fn read_into(&self, rows: &[MaskedRow<'_>], found: &mut [Likeliest]) -> Result<(), RunnerError> {
        let logits = Vec::<Vec<f32>>::try_from(self.logits.wait()?).map_err(TorchError::from)?;
        let which = Vec::<Vec<i64>>::try_from(self.which.wait()?).map_err(TorchError::from)?;
        for (asked, (logits, which)) in self.asked.iter().zip(logits.into_iter().zip(which)) {
            let row = asked.row as usize;
            if !logits.iter().all(|logit| logit.is_finite()) {
                let (row, id) = (rows[row].example.row, rows[row].id.to_owned());
                return Err(RunnerError::NotFinite { row, id, logits });
            }
            found[row][asked.number] =
                which.into_iter().filter_map(|candidate| u32::try_from(candidate).ok()).collect();
        }
        Ok(())
    }
}
