//! A model with another vocabulary than its own.

use std::path::Path;

use distill_core::vocabulary::NewVocabulary;
use distill_data::{TextTokenizer, TokenError};
use distill_model::ModelDirectory;
use serde_json::{Value, json};

use crate::error::Result;
use crate::length;
use crate::once;

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
