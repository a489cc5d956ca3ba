//! Words for `distill augment` from a masked language model.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::path::Path;

use distill_data::augment::{AugmentSettings, Draft, MaskedTokens, Masker, Neighbours};
use distill_data::cache::{Example, id_hash};
use distill_data::source::Row;
use distill_data::tokens::WholeWords;
use distill_data::{DataError, TextTokenizer, TokenError};
use distill_model::masked::{self, Candidates};
use distill_model::{MaskedLanguageModel, ModelDirectory};
use distill_teacher::forward::default_batch_tokens;
use distill_teacher::masked::{MaskedPass, MaskedRow};

use crate::error::{Context, Result, RunError};
use crate::session::Session;
use crate::settings::Settings;
use crate::{inputs, length};

/// Rows whose copies wait for the model together.
const BLOCK_ROWS: usize = 256;
/// Bytes of text in those copies: with their words and tokens they take some ten times as much memory.
const BLOCK_BYTES: usize = 16 << 20;

/// Opens the directory of a masked language model with its tokenizer, which cuts rows where `max_length` or the model's
/// positions end.
///
/// # Errors
/// If it is not a masked language model, or model and tokenizer do not belong together.
pub fn open(path: &Path, max_length: Option<usize>) -> Result<(ModelDirectory, TextTokenizer)> {
    let directory = inputs::model(path)?;
    masked::check(&directory)?;
    let positions = usize::try_from(directory.config().max_length()).unwrap_or(0);
    let tokenizer = inputs::tokenizer(
        directory.path(),
        max_length.unwrap_or(length::DEFAULT).min(positions),
        directory.config(),
    )?;
    Ok((directory, tokenizer))
}

/// A masked language model that chooses words.
pub struct MaskedWords {
    model: MaskedLanguageModel,
    tokenizer: TextTokenizer,
    words: WholeWords,
    candidates: Vec<Candidates>,
    batch_tokens: Cell<u64>,
}

/// A row of the result.
pub enum Line<'a> {
    /// As it was read.
    Original(&'a Row),
    /// A copy of the last original.
    Copy(&'a Row),
}

/// Some words of one draft, as they are asked for together.
struct Question {
    /// The draft: its row, and its number among the row's.
    draft: (usize, usize),
    tokens: MaskedTokens,
}

impl MaskedWords {
    /// Loads what [`open`] opened.
    ///
    /// # Errors
    /// For weights that do not fit, and a tokenizer without a mask.
    pub fn load(
        (directory, tokenizer): (ModelDirectory, TextTokenizer),
        settings: &Settings,
        session: &Session,
    ) -> Result<Self> {
        let words = tokenizer.whole_words().with_context(|| directory.path().display().to_string())?;
        let model = MaskedLanguageModel::load(&directory, session.device, session.kind)?;
        let candidates = words.lists().iter().map(|list| model.candidates(list)).collect::<Result<_, _>>()?;
        let batch_tokens =
            settings.teacher.batch_tokens.unwrap_or_else(|| default_batch_tokens(session.device));
        tracing::info!(words = words.lists().iter().map(Vec::len).sum::<usize>(), "words of the masked model");
        Ok(MaskedWords { model, tokenizer, words, candidates, batch_tokens: Cell::new(batch_tokens) })
    }

    /// Makes the copies of `rows` and gives each row, followed by its copies, to `put`.
    ///
    /// # Errors
    /// For a text that cannot be tokenized, a failure of libtorch, or a stop; those of `put`.
    pub fn write_copies(
        &self,
        augment: &AugmentSettings,
        rows: &[Row],
        like: &Neighbours,
        session: &Session,
        put: &mut dyn FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        let masker = Masker { tokenizer: &self.tokenizer, words: &self.words };
        for (block, numbers) in blocks(rows, augment.copies) {
            let is_first = *numbers.start() == 1;
            let drafts = augment.drafts_of(block, rows, like, masker, numbers, session.seed);
            let mut drafts = drafts.map_err(|error| in_file(error, block))?;
            self.answer(&mut drafts, augment.neighbours, session)?;
            for (row, drafts) in block.iter().zip(drafts) {
                if is_first {
                    put(Line::Original(row))?;
                }
                drafts
                    .into_iter()
                    .filter_map(|draft| draft.finished(row))
                    .try_for_each(|copy| put(Line::Copy(&copy)))?;
            }
        }
        Ok(())
    }

    /// Puts words where drafts wait for them.
    fn answer(&self, drafts: &mut [Vec<Draft>], neighbours: usize, session: &Session) -> Result<()> {
        let mut questions = Vec::new();
        for (row, drafts) in drafts.iter().enumerate() {
            for (number, draft) in drafts.iter().enumerate() {
                let of_draft = draft.questions(&self.words).into_iter();
                questions.extend(of_draft.map(|tokens| Question { draft: (row, number), tokens }));
            }
        }
        let rows: Vec<MaskedRow<'_>> = questions
            .iter()
            .map(|question| masked_row(question, &drafts[question.draft.0][question.draft.1]))
            .collect();
        let pass = MaskedPass {
            model: &self.model,
            candidates: &self.candidates,
            batch_tokens: &self.batch_tokens,
            stop: &session.stop,
        };
        let likeliest = pass.likeliest(&rows, self.words.to_ask_for(neighbours))?;
        for (Question { draft: (row, number), tokens }, likeliest) in questions.iter().zip(likeliest) {
            for (word, likeliest) in tokens.numbers.iter().zip(likeliest) {
                drafts[*row][*number].answer(*word, &likeliest, &self.words);
            }
        }
        Ok(())
    }
}

/// Blocks of rows, each with the numbers of the copies to make together: few enough rows that all their copies fit into
/// [`BLOCK_BYTES`]; a row whose copies do not fit is alone, once for each part of them.
fn blocks(mut rows: &[Row], copies: u32) -> Vec<(&[Row], RangeInclusive<u32>)> {
    let mut blocks = Vec::new();
    while !rows.is_empty() {
        let mut bytes = 0usize;
        let fitting = rows.iter().take(BLOCK_ROWS).take_while(|row| {
            bytes = bytes.saturating_add(text_bytes(row).saturating_mul(copies as usize));
            bytes <= BLOCK_BYTES
        });
        let (block, others) = rows.split_at(fitting.count().max(1));
        let together = match block {
            [row] => {
                u32::try_from(BLOCK_BYTES / text_bytes(row).max(1)).unwrap_or(copies).clamp(1, copies.max(1))
            }
            _ => copies.max(1),
        };
        let starts = (1..=copies.max(1)).step_by(together as usize);
        blocks.extend(starts.map(|first| (block, first..=copies.min(first + together - 1))));
        rows = others;
    }
    blocks
}

fn text_bytes(row: &Row) -> usize {
    row.text.len() + row.text_pair.as_ref().map_or(0, String::len)
}

/// A question as the model takes it.
fn masked_row<'a>(question: &'a Question, draft: &'a Draft) -> MaskedRow<'a> {
    let row = draft.row();
    MaskedRow {
        example: Example {
            input_ids: &question.tokens.input_ids,
            token_type_ids: Some(draft.token_type_ids()),
            label: None,
            targets: &[],
            logits: &[],
            id_hash: id_hash(&row.id),
            partner_hash: None,
            row: row.row,
            ..Example::default()
        },
        id: &row.id,
        places: &question.tokens.places,
    }
}

/// The error with the place of the row that it is about.
fn in_file(error: TokenError, rows: &[Row]) -> RunError {
    match error {
        TokenError::Encode { index, reason } if index < rows.len() => {
            let what = format!("a copy cannot be tokenized: {reason}");
            DataError::Record { place: rows[index].place.clone(), what }.into()
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use distill_data::source::{Columns, Source};

    use super::*;

    fn rows(lengths: &[usize]) -> Vec<Row> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        let line = |length: &usize| format!("{{\"text\": \"{}\"}}\n", "a".repeat(*length));
        distill_core::atomic::write(&path, lengths.iter().map(line).collect::<String>().as_bytes()).unwrap();
        let source = Source::open(&path, &Columns::default()).unwrap();
        source.rows().unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Whatever the lengths, each copy of each row is made once, in order, and no block holds too much text.
    #[test]
    fn copies_are_made_in_blocks_that_fit_into_memory() {
        for (lengths, copies) in [
            (vec![100; 1000], 2),
            (vec![100_000; 10], 1000),
            (vec![10, BLOCK_BYTES + 5, 10, 10], 3),
            (vec![BLOCK_BYTES / 3; 4], 1000),
            (vec![0; 300], 1000),
            (vec![100; 3], 0),
        ] {
            let rows = rows(&lengths);
            let mut made: Vec<(u64, u32)> = Vec::new();
            let mut seen = 0;
            for (block, numbers) in blocks(&rows, copies) {
                assert!(block.len() == 1 || *numbers.start() == 1);
                assert!(block.len() <= BLOCK_ROWS);
                let of_row = numbers.clone().count();
                let bytes = block.iter().map(|row| row.text.len() * of_row).sum::<usize>();
                assert!(bytes <= BLOCK_BYTES || (block.len() == 1 && of_row == 1), "{bytes}");
                seen += if *numbers.start() == 1 { block.len() } else { 0 };
                made.extend(block.iter().flat_map(|row| numbers.clone().map(|number| (row.row, number))));
            }
            assert_eq!(seen, rows.len(), "each row itself is written once");
            let all = (0..lengths.len() as u64).flat_map(|row| (1..=copies).map(move |number| (row, number)));
            assert!(made == all.collect::<Vec<_>>(), "{copies} copies of {} rows", lengths.len());
        }
    }
}
