//! From a source of rows to a sink of logits: tokenize a block, compute it, pass it on, in row order.

use std::cell::Cell;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use distill_core::{LabelMap, Progress, StopSignal};
use distill_data::logits::LogitsRow;
use distill_data::source::{Row, resolve};
use distill_data::{DataError, TextTokenizer};
use distill_model::Model;
use distill_task::Positions;
use tracing::trace_span;

use crate::block::Block;
use crate::error::RunnerError;
use crate::forward::{ForwardPass, first_not_finite};

/// Rows that are tokenized, sorted by length and computed together. Batches never cross a block's
/// border, so a row's logits depend on its block alone, not on where a run was stopped or split.
pub const BLOCK_ROWS: usize = 4096;

/// The column's name in messages, regardless of its name in the source.
const LABEL: &str = "label";

/// A model over rows.
pub struct Runner<'a> {
    /// The model.
    pub model: &'a Model,
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
    /// Unknown tokens.
    pub unknown: u64,
    /// Words, where rows have them.
    pub words: u64,
    /// Words that the tokenizer makes no tokens of, so that nothing is predicted for them.
    pub words_without_tokens: u64,
    /// Rows whose text is empty.
    pub empty: u64,
    /// Rows whose logits are those of an equal text before them in their block.
    pub repeated: u64,
    /// Seconds of tokenizing and computing, without start-up.
    pub seconds: f64,
}

impl RunStats {
    /// Rows a second, tokenization included.
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
        rows: impl Iterator<Item = Result<Row, DataError>> + Send,
        total: u64,
        mut sink: impl FnMut(&[LogitsRow]) -> Result<(), RunnerError> + Send,
    ) -> Result<RunStats, RunnerError> {
        self.progress.begin(what, total, "rows");
        let result = thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Vec<LogitsRow>>(2);
            let writer = named(scope, "writer", move || {
                receiver.into_iter().try_for_each(|block| {
                    let _span = trace_span!(target: "timeline", "write").entered();
                    sink(&block)
                })
            })?;
            let ahead = self.model.device().is_cuda();
            let computed =
                self.blocks(rows, ahead, |block| sender.send(block).map_err(|_| RunnerError::Thread("writer")));
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
        let budget = Cell::new(self.batch_tokens);
        silent.compute(self.block(rows)?, &budget, &mut RunStats::default()).map(drop)
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
        let budget = Cell::new(self.batch_tokens);
        silent.compute(self.block(rows)?, &budget, &mut RunStats::default())?;
        Ok(start.elapsed())
    }

    fn blocks(
        &self,
        rows: impl Iterator<Item = Result<Row, DataError>> + Send,
        ahead: bool,
        mut hand_on: impl FnMut(Vec<LogitsRow>) -> Result<(), RunnerError>,
    ) -> Result<RunStats, RunnerError> {
        let mut stats = RunStats::default();
        let start = Instant::now();
        let budget = Cell::new(self.batch_tokens);
        let mut compute = |block: Block| hand_on(self.compute(block, &budget, &mut stats)?);
        if ahead {
            self.read_ahead(rows, compute)?;
        } else {
            // On the CPU a second thread would only take cores from the model.
            read_blocks(rows, self.tokenizer, self.positions(), self.stop, &mut compute)?;
        }
        stats.seconds = start.elapsed().as_secs_f64();
        Ok(stats)
    }

    /// Reads and tokenizes on a separate thread, one block ahead of the device.
    fn read_ahead(
        &self,
        rows: impl Iterator<Item = Result<Row, DataError>> + Send,
        compute: impl FnMut(Block) -> Result<(), RunnerError>,
    ) -> Result<(), RunnerError> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Block>(1);
            let (tokenizer, positions, stop) = (self.tokenizer, self.positions(), self.stop);
            let reader = named(scope, "reader", move || {
                read_blocks(rows, tokenizer, positions, stop, &mut |block| {
                    sender.send(block).map_err(|_| RunnerError::Thread("model"))
                })
            })?;
            let computed = receiver.into_iter().try_for_each(compute);
            let read = reader.join().map_err(|_| RunnerError::Thread("reader"))?;
            // A reader that lost its listener says less than what the model said before.
            computed.and(read)
        })
    }

    /// What the model predicts for.
    fn positions(&self) -> Positions {
        self.model.config().problem_type.positions()
    }

    fn block(&self, rows: Vec<Row>) -> Result<Block, RunnerError> {
        Block::new(rows, self.tokenizer, self.positions())
    }

    fn compute(
        &self,
        block: Block,
        budget: &Cell<u64>,
        stats: &mut RunStats,
    ) -> Result<Vec<LogitsRow>, RunnerError> {
        self.count(&block, stats);
        let rows_done = block.rows_done();
        let forward = ForwardPass { model: self.model, batch_tokens: self.batch_tokens, stop: self.stop };
        let mut done = stats.rows;
        let logits = forward.logits_within(budget, &block.examples(), |pieces| {
            done += pieces.iter().map(|piece| rows_done[*piece as usize]).sum::<u64>();
            self.progress.update(done, "");
        })?;
        stats.rows += block.rows.len() as u64;
        let outputs = usize::try_from(self.model.config().outputs()).unwrap_or(0);
        let mut end = 0;
        let of_text: Vec<&[f32]> = block
            .predictions()
            .map(|predictions| {
                let start = end;
                end += predictions * outputs;
                &logits[start..end]
            })
            .collect();
        if let Some((text, logits)) = first_unfit(&of_text, outputs) {
            let row = block.text_of_row.iter().position(|own| *own == text).unwrap_or(0);
            let (row, logits) = (&block.rows[row], logits.to_vec());
            return Err(RunnerError::NotFinite { row: row.row, id: row.id.clone(), logits });
        }
        let labels = &self.model.config().labels;
        let positions: Vec<Vec<i32>> = (0..block.texts())
            .map(|text| block.pieces(text).iter().flat_map(|piece| piece.keys.iter().copied()).collect())
            .collect();
        let rows = block.rows.into_iter().zip(&block.text_of_row);
        rows.map(|(row, text)| logits_row(row, positions[*text].clone(), of_text[*text], labels)).collect()
    }

    /// Adds what a block's rows are.
    fn count(&self, block: &Block, stats: &mut RunStats) {
        let unknown = self.tokenizer.unknown_token();
        let is_unknown = |id: &&u32| Some(**id) == unknown;
        let has_words = self.model.config().problem_type.positions() == Positions::Word;
        for (row, text) in block.rows.iter().zip(&block.text_of_row) {
            let pieces = block.pieces(*text);
            for piece in pieces {
                stats.unknown += piece.tokens.input_ids.iter().filter(is_unknown).count() as u64;
                stats.tokens += piece.tokens.input_ids.len() as u64;
            }
            stats.truncated += u64::from(pieces.iter().any(|piece| piece.tokens.truncated));
            if let Some(words) = row.tokens.as_ref().filter(|_| has_words) {
                // Each word is predicted from one window.
                let predicted: usize = pieces.iter().map(|piece| piece.keys.len()).sum();
                stats.words += words.len() as u64;
                stats.words_without_tokens += words.len().saturating_sub(predicted) as u64;
            }
            stats.empty += u64::from(row.text.is_empty());
        }
        stats.repeated += (block.rows.len() - block.texts()) as u64;
    }
}

/// The first text with NaN or infinity among its logits, `[N, C]`, and the prediction that has it.
fn first_unfit<'a>(texts: &[&'a [f32]], outputs: usize) -> Option<(usize, &'a [f32])> {
    texts.iter().enumerate().find_map(|(text, logits)| {
        let bad = first_not_finite(logits, outputs)?;
        Some((text, &logits[bad * outputs..(bad + 1) * outputs]))
    })
}

fn read_blocks(
    mut rows: impl Iterator<Item = Result<Row, DataError>>,
    tokenizer: &TextTokenizer,
    positions: Positions,
    stop: &StopSignal,
    hand_on: &mut impl FnMut(Block) -> Result<(), RunnerError>,
) -> Result<(), RunnerError> {
    loop {
        stop.check()?;
        let reading = trace_span!(target: "timeline", "read").entered();
        let block = rows.by_ref().take(BLOCK_ROWS).collect::<Result<Vec<Row>, DataError>>()?;
        drop(reading);
        if block.is_empty() {
            return Ok(());
        }
        hand_on(Block::new(block, tokenizer, positions)?)?;
    }
}

/// A thread whose name a debugger and a trace show.
///
/// # Errors
/// [`RunnerError::Spawn`] where the operating system gives none.
pub fn named<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>, RunnerError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, body)
        .map_err(|source| RunnerError::Spawn { name, source })
}

fn logits_row(
    row: Row,
    positions: Vec<i32>,
    logits: &[f32],
    labels: &LabelMap,
) -> Result<LogitsRow, RunnerError> {
    let label = row.label.as_ref().map(|label| resolve(label, labels, &row.place, LABEL)).transpose()?;
    Ok(LogitsRow {
        row: row.row.cast_signed(),
        text_hash: row.text_hash(),
        id: row.id,
        text: Some(row.text),
        text_pair: row.text_pair,
        tokens: row.tokens,
        label,
        positions,
        logits: logits.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use distill_data::source::{Columns, Source};
    use distill_model::ModelDirectory;
    use tch::Device;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bert-tiny");

    /// What a GPU's pass does on another thread must be what the CPU's does on its own; and a repeated text
    /// must get the very logits of its first row.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn reading_ahead_and_repeated_texts_change_no_logit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        let lines: String = (0..60).map(|row| format!("{{\"text\": \"the film is {}\"}}\n", row % 7)).collect();
        std::fs::write(&path, lines).unwrap();
        let source = Source::open(&path, &Columns::default()).unwrap();
        let model = ModelDirectory::open(Path::new(TINY)).unwrap().load_classifier(Device::Cpu).unwrap();
        let tokenizer = TextTokenizer::load(Path::new(TINY), 32).unwrap();
        let stop = StopSignal::new(None);
        let runner = Runner {
            model: &model,
            tokenizer: &tokenizer,
            batch_tokens: 64,
            stop: &stop,
            progress: &distill_core::Silent,
        };
        let passes = [false, true].map(|ahead| {
            let mut all = Vec::new();
            let stats = runner.blocks(source.rows().unwrap(), ahead, |rows| {
                all.extend(rows);
                Ok(())
            });
            (all, stats.unwrap())
        });
        assert_eq!(passes[0].0, passes[1].0);
        let (rows, stats) = &passes[0];
        assert_eq!((stats.rows, stats.repeated), (60, 53));
        assert!(rows.iter().zip(0..).all(|(row, number)| row.row == number));
        assert!(rows.iter().skip(7).zip(rows).all(|(row, before)| row.logits == before.logits));
        assert_ne!(rows[0].logits, rows[1].logits);
    }
}
