//! The weights and the config of a model whose vocabulary is replaced by another one.
//!
//! Legend: `V` old vocabulary, `W` new vocabulary, `E` width of the word vectors.

use std::collections::BTreeMap;

use distill_core::vocabulary::{NewVocabulary, Origin};
use distill_torch::{TorchError, guard};
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::architecture::Architecture;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::parameters::renamed;

/// Special tokens that a config may name.
const SPECIAL: [&str; 7] = [
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "cls_token_id",
    "sep_token_id",
    "mask_token_id",
    "unk_token_id",
];
/// Ends of the names of the table of word vectors.
const WORDS: [&str; 2] = ["embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight"];
/// End of the name of the table of positions.
const POSITIONS: &str = "embeddings.position_embeddings.weight";

impl ModelConfig {
    /// The same architecture with another vocabulary.
    ///
    /// # Errors
    /// [`ModelError`] where the config could not be one with that vocabulary.
    pub fn with_vocabulary(&self, vocabulary: &NewVocabulary) -> Result<Self, ModelError> {
        let mut raw = self.raw.clone();
        raw.insert("vocab_size".to_owned(), vocabulary.origins.len().into());
        for name in SPECIAL {
            match vocabulary.special.get(name) {
                // `transformers` fills in the rest by its own defaults, which are ids of another vocabulary.
                Some(id) if raw.contains_key(name) || name == "pad_token_id" => {
                    raw.insert(name.to_owned(), (*id).into());
                }
                None if raw.get(name).is_some_and(Value::is_number) => {
                    raw.insert(name.to_owned(), Value::Null);
                }
                _ => {}
            }
        }
        if let (true, Some(padding)) = (self.first_position > 0, vocabulary.special.get("pad_token_id")) {
            // Positions are counted from behind the padding token's id.
            let positions = self.max_length() + i64::from(*padding) + 1;
            raw.insert("max_position_embeddings".to_owned(), positions.into());
        }
        let config = Self::from_json(raw, &self.path)?;
        if let (Some(uncounted), Some(padding)) =
            (config.uncounted_token(), vocabulary.special.get("pad_token_id"))
            && uncounted != *padding
        {
            let found = format!("{padding} in the new vocabulary");
            return Err(self.fields().unsupported("pad_token_id", found, &uncounted.to_string()));
        }
        let (labels, problem_type) = (self.labels.clone(), self.problem_type);
        Ok(ModelConfig { labels, problem_type, head: self.head, ..config })
    }
}

/// The weights of a model with another vocabulary: tables of word vectors, and of a head that predicts words. Tables that are
/// not of the old vocabulary's size stay as they are, for whoever takes them to say.
///
/// # Errors
/// [`TorchError`] from libtorch, such as for a token beyond the table.
pub(crate) fn replaced(
    given: BTreeMap<String, Tensor>,
    old: &ModelConfig,
    new: &ModelConfig,
    vocabulary: &NewVocabulary,
) -> Result<BTreeMap<String, Tensor>, TorchError> {
    let mut given = renamed(given, old.architecture);
    for (name, tensor) in &mut given {
        if is_of_words(old.architecture, name) && tensor.size().first() == Some(&old.vocab_size) {
            *tensor = table(tensor, vocabulary)?;
        } else if name.ends_with(POSITIONS) && old.first_position != new.first_position {
            *tensor = positions(tensor, old, new)?;
        }
    }
    Ok(given)
}

/// Whether a parameter has a row for each word.
fn is_of_words(architecture: &Architecture, name: &str) -> bool {
    let of_head = architecture.heads.masked.as_ref().is_some_and(|masked| {
        let decoder = masked.decoder();
        name == masked.bias
            || name.strip_prefix(decoder).is_some_and(|rest| [".weight", ".bias"].contains(&rest))
    });
    of_head || WORDS.iter().any(|end| name.ends_with(end))
}

/// `[V, E]` or `[V]` to `[W, E]` or `[W]`.
fn table(old: &Tensor, vocabulary: &NewVocabulary) -> Result<Tensor, TorchError> {
    let _no_gradients = tch::no_grad_guard();
    let average = old.size()[0];
    let (mut tokens, mut starts) = (Vec::new(), Vec::with_capacity(vocabulary.origins.len()));
    for origin in &vocabulary.origins {
        starts.push(tokens.len() as i64);
        match origin {
            Origin::Copied(token) => tokens.push(i64::from(*token)),
            Origin::Mean(several) => tokens.extend(several.iter().map(|token| i64::from(*token))),
            Origin::Average => tokens.push(average),
        }
    }
    if tokens.iter().any(|token| *token > average) {
        return Err(tch::TchError::Shape("a token is beyond the table of word vectors".to_owned()).into());
    }
    guard("replacing the vocabulary", || {
        let rows = old.to_kind(Kind::Float).reshape([average, -1]); // [V, E]
        let rows = Tensor::cat(&[&rows, &rows.mean_dim([0i64].as_slice(), true, Kind::Float)], 0); // [V + 1, E]
        let (tokens, starts) = (Tensor::from_slice(&tokens), Tensor::from_slice(&starts));
        const MEAN: i64 = 1;
        let weights = None::<Tensor>;
        let (means, ..) = Tensor::embedding_bag(&rows, &tokens, &starts, false, MEAN, false, weights, false); // [W, E]
        let mut shape = old.size();
        shape[0] = vocabulary.origins.len() as i64;
        means.reshape(shape).to_kind(old.kind())
    })
}

/// A table of positions that starts behind another padding token.
fn positions(old: &Tensor, from: &ModelConfig, to: &ModelConfig) -> Result<Tensor, TorchError> {
    guard("replacing the vocabulary", || {
        let counted = old.slice(0, from.first_position, None, 1); // [max_length, E]
        let unused = Tensor::zeros([to.first_position, old.size()[1]], (old.kind(), old.device()));
        Tensor::cat(&[unused, counted], 0)
    })
}
