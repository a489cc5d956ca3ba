//! Unigram: of very many pieces of words, those are kept without which the texts would be less likely.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};

use super::words::{Counted, alphabet};
use super::{TokenizerSettings, TrainingError, Vocabulary, VocabularyKind, recipe};
use crate::quiet::quietly;

/// What the trainer adds to the score of each next character that it has no score for.
const PENALTY: f64 = 0.0001;

/// A vocabulary of pieces with the logarithms of their probabilities.
pub(super) fn unigram(settings: &TokenizerSettings, words: Vec<Counted>) -> Result<Vocabulary, TrainingError> {
    let kept = alphabet(&words, settings.limit_alphabet);
    settings.must_hold(VocabularyKind::Unigram, kept.len())?;
    let words = if settings.limit_alphabet.is_some() { without_others(words, &kept) } else { words };
    let sentences = words.into_iter().map(|(word, count)| (word, u32::try_from(count).unwrap_or(u32::MAX)));
    let pieces = train(sentences.collect(), settings.size - recipe::SPECIAL_TOKENS)?;
    let special = recipe::special_tokens(VocabularyKind::Unigram).map(|(token, _)| token);
    let pieces = in_order(pieces).into_iter().filter(|(piece, _)| !special.contains(&piece.as_str()));
    let vocab: Vec<Value> =
        special.iter().map(|token| json!([token, 0.0])).chain(pieces.map(|piece| json!(piece))).collect();
    let tokens = vocab.len();
    let unknown = recipe::unknown(VocabularyKind::Unigram);
    let model = json!({ "type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": false });
    Ok(Vocabulary { model, tokens, alphabet: kept.len() })
}

/// Words cut at the characters that the vocabulary does not have.
fn without_others(words: Vec<Counted>, kept: &[char]) -> Vec<Counted> {
    let kept: BTreeSet<char> = kept.iter().copied().collect();
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    for (word, count) in words {
        for part in word.split(|c| !kept.contains(&c)).filter(|part| !part.is_empty()) {
            *parts.entry(part.to_owned()).or_default() += count;
        }
    }
    parts.into_iter().collect()
}

/// Pieces with their scores. On one thread: sums of floating-point numbers depend on how they are divided among threads.
fn train(sentences: Vec<(String, u32)>, size: usize) -> Result<Vec<(String, f64)>, TrainingError> {
    let library = |error: &dyn ToString| TrainingError::Library(error.to_string());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| library(&error))?;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .build()
        .map_err(|error| library(&error))?;
    let mut model = Unigram::default();
    let trained = pool.install(|| quietly(|| trainer.do_train(sentences, &mut model)));
    trained.map_err(|panic| library(&panic))?.map_err(|error| library(&error))?;
    Ok(model.iter().cloned().collect())
}

/// The likeliest first, equally likely ones in their own order. Characters that the trainer had no score for got one in the
/// order of a hash map: they share out the same scores in the order of the characters.
fn in_order(mut pieces: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let lowest = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let is_character = |piece: &str| piece.chars().nth(1).is_none();
    let mut given = BTreeSet::new();
    let mut added = 0.0;
    for _ in 0..pieces.iter().filter(|(piece, _)| is_character(piece)).count() {
        given.insert((lowest + added).to_bits());
        added += PENALTY;
    }
    let is_given = |(piece, score): &(String, f64)| given.contains(&score.to_bits()) && is_character(piece);
    let mut scores: Vec<f64> = pieces.iter().filter(|piece| is_given(piece)).map(|(_, score)| *score).collect();
    scores.sort_by(f64::total_cmp);
    pieces.sort_by(|left, right| left.0.cmp(&right.0));
    let places: Vec<usize> = (0..pieces.len()).filter(|place| is_given(&pieces[*place])).collect();
    for (place, score) in places.into_iter().zip(scores) {
        pieces[place].1 = score;
    }
    pieces.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_without_a_score_get_theirs_in_their_order() {
        let lowest = -9.5;
        let piece = |piece: &str, score: f64| (piece.to_owned(), score);
        let second = lowest + PENALTY;
        let one = vec![piece("ab", -1.0), piece("z", lowest), piece("q", second), piece("cd", second)];
        let other = vec![piece("cd", second), piece("q", lowest), piece("z", second), piece("ab", -1.0)];
        let expected = vec![piece("ab", -1.0), piece("cd", second), piece("z", second), piece("q", lowest)];
        assert_eq!(in_order(one), expected);
        assert_eq!(in_order(other), expected);
    }

    #[test]
    fn words_are_cut_at_characters_that_are_left_out() {
        let words = vec![("aüb".to_owned(), 2), ("b".to_owned(), 1), ("ü".to_owned(), 4)];
        assert_eq!(without_others(words, &['a', 'b']), [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    }
}
