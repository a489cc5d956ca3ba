//! WordPiece and BPE: the most frequent neighbours become one token, again and again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tokenizers::Trainer as _;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::words::{Counted, alphabet};
use super::{TokenizerSettings, TrainingError, Vocabulary, VocabularyKind, recipe};
use crate::quiet::quietly;

/// What WordPiece puts before a token that continues a word.
const CONTINUING: &str = "##";

/// A vocabulary whose words are cut into their longest tokens.
pub(super) fn word_pieces(
    settings: &TokenizerSettings,
    words: Vec<Counted>,
) -> Result<Vocabulary, TrainingError> {
    let kept = alphabet(&words, settings.limit_alphabet);
    let known: BTreeSet<char> = kept.iter().copied().collect();
    // A word with another character becomes the unknown token as a whole.
    let words: Vec<Counted> =
        words.into_iter().filter(|(word, _)| word.chars().all(|c| known.contains(&c))).collect();
    let within: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
    let continuing: Vec<String> = within.into_iter().map(|c| format!("{CONTINUING}{c}")).collect();
    let characters: Vec<String> = kept.iter().map(char::to_string).collect();
    settings.must_hold(VocabularyKind::WordPiece, characters.len() + continuing.len())?;
    // The trainer numbers these as it meets them in a hash map, unless they are given to it.
    let trained = train(settings, words, &continuing, &kept, Some(CONTINUING))?;
    let alphabet = characters.len() + continuing.len();
    let tokens = in_order(VocabularyKind::WordPiece, characters.into_iter().chain(continuing), trained.tokens);
    let special = recipe::special_tokens(VocabularyKind::WordPiece);
    let unknown = special[recipe::unknown(VocabularyKind::WordPiece)].0;
    let (count, vocab) = (tokens.len(), numbered(tokens));
    let model = json!({
        "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": CONTINUING,
        "max_input_chars_per_word": 100, "vocab": vocab,
    });
    Ok(Vocabulary { model, tokens: count, alphabet })
}

/// A vocabulary of merged bytes.
pub(super) fn byte_pairs(
    settings: &TokenizerSettings,
    words: Vec<Counted>,
) -> Result<Vocabulary, TrainingError> {
    let bytes = recipe::byte_alphabet();
    settings.must_hold(VocabularyKind::Bpe, bytes.len())?;
    let trained = train(settings, words, &[], &bytes, None)?;
    let tokens = in_order(VocabularyKind::Bpe, bytes.iter().map(char::to_string), trained.tokens);
    let special = recipe::special_tokens(VocabularyKind::Bpe).map(|(token, _)| token);
    let is_special = |token: &str| special.contains(&token);
    let merges: Vec<Value> = trained
        .merges
        .into_iter()
        .filter(|(left, right)| {
            !is_special(left) && !is_special(right) && !is_special(&format!("{left}{right}"))
        })
        .map(|(left, right)| json!([left, right]))
        .collect();
    let (count, vocab) = (tokens.len(), numbered(tokens));
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
        "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab, "merges": merges,
    });
    Ok(Vocabulary { model, tokens: count, alphabet: bytes.len() })
}

/// The special tokens, the alphabet, and the others in the order in which they were made. A token that was made and is
/// called like a special one would be that one, and is left out.
fn in_order(kind: VocabularyKind, alphabet: impl Iterator<Item = String>, made: Vec<String>) -> Vec<String> {
    let special = recipe::special_tokens(kind).map(|(token, _)| token.to_owned());
    let mut seen = BTreeSet::new();
    special.into_iter().chain(alphabet).chain(made).filter(|token| seen.insert(token.clone())).collect()
}

fn numbered(tokens: Vec<String>) -> Map<String, Value> {
    tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect()
}

/// What the trainer made, in its order.
struct Trained {
    tokens: Vec<String>,
    merges: Vec<(String, String)>,
}

/// Trains on words. `first` are tokens that get the first ids, `characters` those that words consist of.
fn train(
    settings: &TokenizerSettings,
    words: Vec<Counted>,
    first: &[String],
    characters: &[char],
    continuing: Option<&str>,
) -> Result<Trained, TrainingError> {
    let library = |error: String| TrainingError::Library(error);
    let words: Map<String, Value> = words.into_iter().map(|(word, count)| (word, count.into())).collect();
    let first: Vec<Value> = first
        .iter()
        .map(|token| {
            json!({ "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": true })
        })
        .collect();
    // Its field of words has no other way in.
    let trainer: BpeTrainer = serde_json::from_value(json!({
        "min_frequency": settings.min_frequency,
        "vocab_size": settings.size - recipe::SPECIAL_TOKENS,
        "show_progress": false,
        "special_tokens": first,
        "limit_alphabet": null,
        "initial_alphabet": characters,
        "continuing_subword_prefix": continuing,
        "end_of_word_suffix": null,
        "max_token_length": null,
        "words": words,
    }))
    .map_err(|error| library(error.to_string()))?;
    let mut model = BPE::default();
    quietly(|| trainer.train(&mut model)).map_err(library)?.map_err(|error| library(error.to_string()))?;
    let by_id: BTreeMap<u32, String> = model.get_vocab().into_iter().map(|(token, id)| (id, token)).collect();
    let written = serde_json::to_value(&model).map_err(|error| library(error.to_string()))?;
    let merges: Vec<(String, String)> =
        serde_json::from_value(written["merges"].clone()).map_err(|error| library(error.to_string()))?;
    Ok(Trained { tokens: by_id.into_values().collect(), merges })
}
