//! A source of rows to a sink of logits: tokenize a block, compute it, hand it on, in row order.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use distill_core::hash::text_hash;
use distill_core::{LabelMap, Progress, StopSignal};
use distill_data::cache::{Example, id_hash};
use distill_data::logits::LogitsRow;
use distill_data::source::{Row, resolve_label};
use distill_data::{DataError, TextTokenizer, Tokens};
use distill_model::SequenceClassifier;

use crate::error::RunnerError;
use crate::forward::{ForwardPass, first_not_finite};

/// Rows that are tokenized, sorted by length and computed together. Batches never cross a block's
/// border, so a row's logits depend on its block alone, not on where a run was stopped or split.
pub const BLOCK_ROWS: usize = 4096;

/// What messages call the column, whatever its name is in the source.
const LABEL: &str = "label";

/// A model over rows.
pub struct Runner<'a> {
    /// The model.
    pub model: &'a SequenceClassifier,
    /// Its tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// Most tokens of a batch.
    pub batch_tokens: u64,
    /// Asked before every batch.
    pub stop: &'a StopSignal,
    /// Told how far the pass is.
    pub progress: &'a dyn Progress,
}

/// What a pass saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunStats {
    /// Rows computed.
    pub rows: u64,
    /// Tokens computed.
    pub tokens: u64,
    /// Rows whose text was cut at `max_length`.
    pub truncated: u64,
    /// Rows whose text is empty.
    pub empty: u64,
    /// Seconds of tokenizing and computing, without start-up.
    pub seconds: f64,
}

impl RunStats {
    /// Rows a second, tokenization included.
    #[allow(clippy::cast_precision_loss)]
    pub fn rows_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.rows as f64 / self.seconds } else { 0.0 }
    }
}

impl Runner<'_> {
    /// Computes every row and gives them to `sink` block by block, in input order. The sink runs
    /// on a thread of its own, so that compressing and writing never holds the model up.
    ///
    /// `what` and `total` are shown as progress; labels are resolved by the model's label map.
    ///
    /// # Errors
    /// [`RunnerError`] from the source, the model or the sink.
    pub fn run(
        &self,
        what: &str,
        rows: impl Iterator<Item = Result<Row, DataError>>,
        total: u64,
        mut sink: impl FnMut(&[LogitsRow]) -> Result<(), RunnerError> + Send,
    ) -> Result<RunStats, RunnerError> {
        self.progress.begin(what, total, "rows");
        let result = thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Vec<LogitsRow>>(2);
            let writer = scope.spawn(move || receiver.into_iter().try_for_each(|block| sink(&block)));
            let computed =
                self.blocks(rows, |block| sender.send(block).map_err(|_| RunnerError::Thread("writer")));
            drop(sender);
            // The writer's own error says more than the closed channel that it leaves behind.
            writer.join().map_err(|_| RunnerError::Thread("writer"))??;
            computed
        });
        self.progress.end();
        result
    }

    /// Computes the first few rows and forgets them, so that a timed pass does not pay for what
    /// libtorch prepares once.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn warm_up(&self, rows: impl Iterator<Item = Result<Row, DataError>>) -> Result<(), RunnerError> {
        const WARM_UP_ROWS: usize = 128;
        let rows = rows.take(WARM_UP_ROWS).collect::<Result<Vec<Row>, DataError>>()?;
        let silent = Runner { progress: &distill_core::Silent, ..*self };
        silent.block(rows, &mut RunStats::default()).map(drop)
    }

    /// How long rows take from text to logits, as one block whose logits are then forgotten.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn time(&self, rows: &[Row]) -> Result<Duration, RunnerError> {
        self.stop.check()?;
        let rows = rows.to_vec();
        let silent = Runner { progress: &distill_core::Silent, ..*self };
        let start = Instant::now();
        silent.block(rows, &mut RunStats::default())?;
        Ok(start.elapsed())
    }

    fn blocks(
        &self,
        mut rows: impl Iterator<Item = Result<Row, DataError>>,
        mut hand_on: impl FnMut(Vec<LogitsRow>) -> Result<(), RunnerError>,
    ) -> Result<RunStats, RunnerError> {
        let mut stats = RunStats::default();
        let start = Instant::now();
        loop {
            self.stop.check()?;
            let block = rows.by_ref().take(BLOCK_ROWS).collect::<Result<Vec<Row>, DataError>>()?;
            if block.is_empty() {
                stats.seconds = start.elapsed().as_secs_f64();
                return Ok(stats);
            }
            let done = self.block(block, &mut stats)?;
            hand_on(done)?;
        }
    }

    fn block(&self, block: Vec<Row>, stats: &mut RunStats) -> Result<Vec<LogitsRow>, RunnerError> {
        let texts: Vec<(&str, Option<&str>)> =
            block.iter().map(|row| (row.text.as_str(), row.text_pair.as_deref())).collect();
        let tokens = self.tokenizer.encode_batch(&texts)?;
        stats.truncated += tokens.iter().filter(|tokens| tokens.truncated).count() as u64;
        stats.empty += block.iter().filter(|row| row.text.is_empty()).count() as u64;
        stats.tokens += tokens.iter().map(|tokens| tokens.input_ids.len() as u64).sum::<u64>();
        let examples: Vec<Example<'_>> =
            block.iter().zip(&tokens).map(|(row, tokens)| example(row, tokens)).collect();
        let forward = ForwardPass { model: self.model, batch_tokens: self.batch_tokens, stop: self.stop };
        let before = stats.rows;
        let logits = forward.logits(&examples, |done| self.progress.update(before + done, ""))?;
        stats.rows += block.len() as u64;
        let labels = &self.model.config().labels;
        if let Some(bad) = first_not_finite(&logits, labels.num_labels()) {
            let logits = logits[bad * labels.num_labels()..(bad + 1) * labels.num_labels()].to_vec();
            return Err(RunnerError::NotFinite { row: block[bad].row, id: block[bad].id.clone(), logits });
        }
        block
            .into_iter()
            .zip(logits.chunks_exact(labels.num_labels()))
            .map(|(row, logits)| logits_row(row, logits, labels))
            .collect()
    }
}

/// Tokens of a row as an example without label and soft targets.
fn example<'a>(row: &Row, tokens: &'a Tokens) -> Example<'a> {
    Example {
        input_ids: &tokens.input_ids,
        token_type_ids: Some(&tokens.token_type_ids),
        label: None,
        logits: &[],
        id_hash: id_hash(&row.id),
        row: row.row,
    }
}

fn logits_row(row: Row, logits: &[f32], labels: &LabelMap) -> Result<LogitsRow, RunnerError> {
    let label = row.label.as_ref().map(|label| resolve_label(label, labels, &row.place, LABEL)).transpose()?;
    Ok(LogitsRow {
        row: row.row.cast_signed(),
        text_hash: text_hash(&row.text, row.text_pair.as_deref()),
        id: row.id,
        text: Some(row.text),
        text_pair: row.text_pair,
        label,
        logits: logits.to_vec(),
    })
}
