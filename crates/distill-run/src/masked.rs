//! Words for `distill augment` from a masked language model.

use std::cell::Cell;
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

    /// The copies of consecutive rows, as from [`AugmentSettings::copies_of`]; `done` rows came
    /// before.
    ///
    /// # Errors
    /// For a text that cannot be tokenized, a failure of libtorch, or a stop.
    pub fn copies_of(
        &self,
        augment: &AugmentSettings,
        rows: &[Row],
        like: &Neighbours,
        session: &Session,
        done: u64,
    ) -> Result<Vec<Vec<Row>>> {
        let masker = Masker { tokenizer: &self.tokenizer, words: &self.words };
        let mut copies = Vec::with_capacity(rows.len());
        for block in rows.chunks(BLOCK_ROWS) {
            let drafts = augment.drafts_of(block, rows, like, masker, session.seed);
            let mut drafts = drafts.map_err(|error| in_file(error, block))?;
            self.answer(&mut drafts, augment.neighbours, session)?;
            copies.extend(block.iter().zip(drafts).map(|(row, drafts)| {
                drafts.into_iter().filter_map(|draft| draft.finished(row)).collect::<Vec<_>>()
            }));
            session.progress.update(done + copies.len() as u64, "");
        }
        Ok(copies)
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
