//! A model with another vocabulary than its own, or with a part of it.

use std::path::Path;

use distill_core::vocabulary::NewVocabulary;
use distill_data::source::Texts;
use distill_data::source::texts::TextRow;
use distill_data::tokens::TokenCounts;
use distill_data::{DataError, TextTokenizer, TokenError};
use distill_model::{Model, ModelDirectory};
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::session::Session;
use crate::settings::DataSettings;
use crate::settings::schema::StudentStart;
use crate::{inputs, length, once};

/// Texts whose tokens are counted together.
const BLOCK_TEXTS: usize = 4096;
/// The input and the result in `run.json`.
pub const VOCABULARY_FROM: &str = "vocabulary_from";

/// A model that is read with the vocabulary of a tokenizer.
pub struct Moved {
    /// The model.
    pub directory: ModelDirectory,
    /// Hash of the tokenizer that it had before, where its embeddings are moved from that to the new one.
    pub before: Option<String>,
    /// How its embeddings begin, for `run.json`; none where they are as they were.
    pub report: Option<Value>,
}

/// The model with the vocabulary of the tokenizer in a directory. Embeddings of tokens that both tokenizers have are copied;
/// others begin as what the model's own tokenizer makes of the token's text. The choice is said.
///
/// # Errors
/// A tokenizer that cannot be read or lacks special tokens; a vocabulary that the architecture does not allow.
pub fn moved(directory: ModelDirectory, tokenizer: &Path) -> Result<Moved> {
    let new = TextTokenizer::load(tokenizer, length::DEFAULT)?;
    if directory.is_config_alone() {
        return sized(directory, &new);
    }
    let (path, shown) = (directory.path().display().to_string(), tokenizer.display());
    let old = match TextTokenizer::load(directory.path(), length::DEFAULT) {
        Ok(old) => old,
        Err(TokenError::Missing { .. }) => {
            once::say(format!("{path} has no tokenizer: its embeddings are taken for those of {shown}"));
            return Ok(Moved { directory, before: None, report: None });
        }
        Err(error) => return Err(error.into()),
    };
    let vocabulary = new.in_place_of(&old)?;
    let size = usize::try_from(directory.config().vocab_size).unwrap_or(0);
    if old.hash() == new.hash() || vocabulary.is_identity(size) {
        return Ok(Moved { directory, before: None, report: None });
    }
    let counts = vocabulary.counts();
    once::say(format!(
        "vocabulary: {size} tokens are replaced by the {} of {shown}: the embeddings of {} are copied, {} are the mean of the \
         tokens that the old tokenizer makes of theirs, {} the mean of all",
        vocabulary.origins.len(),
        counts.copied,
        counts.mean,
        counts.average
    ));
    let report = report(size, &vocabulary);
    let directory = directory.with_vocabulary(&vocabulary)?;
    Ok(Moved { directory, before: Some(old.hash().to_owned()), report: Some(report) })
}

/// An architecture without weights, with as many embeddings as the tokenizer has tokens.
fn sized(directory: ModelDirectory, tokenizer: &TextTokenizer) -> Result<Moved> {
    let vocabulary = tokenizer.fresh_vocabulary()?;
    let (size, tokens) = (directory.config().vocab_size, vocabulary.origins.len());
    if usize::try_from(size) != Ok(tokens) {
        once::say(format!("vocabulary: {tokens} tokens, as the tokenizer has; the config has {size}"));
    }
    let directory = directory.with_vocabulary(&vocabulary)?;
    Ok(Moved { directory, before: None, report: None })
}

/// How embeddings begin, as `run.json` has it.
fn report(before: usize, vocabulary: &NewVocabulary) -> Value {
    let counts = vocabulary.counts();
    json!({
        "tokens_before": before,
        "tokens": vocabulary.origins.len(),
        "copied": counts.copied,
        "mean": counts.mean,
        "average": counts.average,
    })
}

/// Opens the texts that a student's vocabulary is made smaller by, where it is to be.
///
/// # Errors
/// Wrong usage for a size without texts; a file that cannot be opened.
pub fn texts(start: &StudentStart, data: &DataSettings) -> Result<Option<Texts>> {
    match (&start.vocabulary_from, start.vocabulary_size) {
        (None, Some(size)) => Err(RunError::usage(format!(
            "student.vocabulary_size is {size}, but student.vocabulary_from is missing: texts say which tokens are kept"
        ))),
        (None, None) => Ok(None),
        (Some(path), _) => inputs::texts(path, data).map(Some),
    }
}

/// A part of a vocabulary, and what was left out.
pub struct Smaller {
    /// In the place of the whole.
    pub vocabulary: NewVocabulary,
    before: usize,
    /// Tokens of the texts, and how many of these are cut into smaller ones.
    tokens: u64,
    dropped: u64,
}

/// The part of a tokenizer's vocabulary that texts need, of `size` tokens where that is given.
///
/// # Errors
/// Texts that cannot be read or are all empty; a size without room for what has to be kept; a vocabulary of another kind.
pub fn smaller(
    tokenizer: TextTokenizer,
    texts: &Texts,
    size: Option<usize>,
    session: &Session,
) -> Result<(TextTokenizer, Smaller)> {
    let counts = count(&tokenizer, texts, session)?;
    if counts.total() == 0 {
        let path = texts.path().display();
        return Err(RunError::data(format!("{path} has no text that a vocabulary could be chosen by")));
    }
    let before = tokenizer.max_token_id() as usize + 1;
    let trimmed = tokenizer.trimmed(&counts, size)?;
    let smaller =
        Smaller { vocabulary: trimmed.vocabulary, before, tokens: counts.total(), dropped: trimmed.dropped };
    Ok((trimmed.tokenizer, smaller))
}

/// How often each token occurs in all texts.
fn count(tokenizer: &TextTokenizer, texts: &Texts, session: &Session) -> Result<TokenCounts> {
    let mut counts = tokenizer.no_counts();
    let mut rows = texts.rows()?;
    loop {
        session.stop.check()?;
        let block = rows.by_ref().take(BLOCK_TEXTS).collect::<Result<Vec<TextRow>, _>>()?;
        if block.is_empty() {
            return Ok(counts);
        }
        tokenizer.count_tokens(&block, &mut counts).map_err(|error| in_file(error, &block))?;
    }
}

/// The error with the place of the row that it is about.
fn in_file(error: TokenError, rows: &[TextRow]) -> RunError {
    match error {
        TokenError::Encode { index, reason } if index < rows.len() => {
            let what = format!("the text cannot be tokenized: {reason}");
            DataError::Record { place: rows[index].place.clone(), what }.into()
        }
        other => other.into(),
    }
}

impl Smaller {
    /// Parameters of the same model with the whole vocabulary.
    fn parameters_before(&self, model: &Model) -> u64 {
        let width = model.word_embeddings().size().get(1).map_or(0, |width| u64::try_from(*width).unwrap_or(0));
        let left_out = self.before.saturating_sub(self.vocabulary.origins.len()) as u64;
        model.num_parameters() + left_out * width
    }

    /// Says what was left out.
    pub fn say(&self, model: &Model) {
        let (before, now) = (self.parameters_before(model), model.num_parameters());
        tracing::info!(
            "vocabulary: {} of {} tokens are kept, and {now} of {before} parameters ({:.1} %)",
            self.vocabulary.origins.len(),
            self.before,
            100.0 * now as f64 / before.max(1) as f64
        );
        if self.dropped > 0 {
            tracing::info!(
                "{:.2} % of the tokens of the texts are no longer in the vocabulary and are cut into smaller ones",
                100.0 * self.dropped as f64 / self.tokens as f64
            );
        }
    }

    /// The same for `run.json`.
    pub fn report(&self, model: &Model) -> Value {
        json!({
            "tokens_before": self.before,
            "tokens": self.vocabulary.origins.len(),
            "parameters_before": self.parameters_before(model),
            "parameters": model.num_parameters(),
            "share_cut": self.dropped as f64 / self.tokens.max(1) as f64,
        })
    }
}
