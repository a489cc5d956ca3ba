//! From the logits of a row's words to its tags and the spans of text that they mark.

use distill_core::Category;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::entities::Mode;
use super::set::TagSet;
use crate::logits::{argmax, softmax};

/// What the logits of one row say.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The tag of each word, `[W]`; none for a word that the model saw nothing of.
    pub tags: Vec<Option<usize>>,
    /// The entities in their order; none of plain tags.
    pub entities: Vec<EntitySpan>,
}

/// An entity as a span of the row's text, which is its words with one space between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntitySpan {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its first word, from 0.
    pub start_word: usize,
    /// One after its last word.
    pub end_word: usize,
    /// Where it begins in the text, in characters (Unicode scalar values, as Python counts them).
    pub start: usize,
    /// Where it ends: one after its last character.
    pub end: usize,
    /// The text itself.
    pub text: String,
    /// The mean over its words of the probability (softmax) of the predicted tag.
    pub score: f64,
}

/// Logits that do not fit their row.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Not one row of logits for each position.
    #[error("{logits} logits for {positions} words and {tags} tags")]
    Logits {
        /// How many there are.
        logits: usize,
        /// Words that have logits.
        positions: usize,
        /// Tags, `C`.
        tags: usize,
    },
    /// Positions that are not words of the row in their order.
    #[error(
        "position {position} of a row of {words} words does not exist or does not follow the one before it"
    )]
    Position {
        /// The position at fault.
        position: usize,
        /// Words of the row.
        words: usize,
    },
}

impl DecodeError {
    /// Always bad input data.
    pub fn category(&self) -> Category {
        Category::Data
    }
}

/// Decodes one row: the largest logit is a word's tag, and entities are read as [`Mode::Default`] reads tags.
/// Words without logits are passed over, as if their neighbours were next to each other.
///
/// # Shapes
/// - `words`: `[W]`
/// - `positions`: `[P]`, the words that have logits, ascending
/// - `logits`: `[P, C]` row-major
///
/// # Errors
/// [`DecodeError`] where these do not go together.
pub fn decode<S: AsRef<str>>(
    set: &TagSet,
    words: &[S],
    positions: &[usize],
    logits: &[f32],
) -> Result<Decoded, DecodeError> {
    check(set, words.len(), positions, logits.len())?;
    let rows: Vec<&[f32]> = logits.chunks_exact(set.len().max(1)).collect();
    let ids: Vec<usize> = rows.iter().map(|row| argmax(row)).collect();
    let mut tags = vec![None; words.len()];
    positions.iter().zip(&ids).for_each(|(word, id)| tags[*word] = Some(*id));
    let starts = starts_of(words);
    let entities = set.entities(&ids, Mode::Default).into_iter().map(|entity| {
        let (start_word, last) = (positions[entity.start], positions[entity.end - 1]);
        let scores = (entity.start..entity.end).map(|at| softmax(rows[at])[ids[at]]);
        EntitySpan {
            kind: set.types()[entity.kind].clone(),
            start_word,
            end_word: last + 1,
            start: starts[start_word],
            end: starts[last] + words[last].as_ref().chars().count(),
            text: words[start_word..=last].iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "),
            score: scores.sum::<f64>() / (entity.end - entity.start) as f64,
        }
    });
    Ok(Decoded { entities: entities.collect(), tags })
}

fn check(set: &TagSet, words: usize, positions: &[usize], logits: usize) -> Result<(), DecodeError> {
    if positions.len().checked_mul(set.len()) != Some(logits) {
        return Err(DecodeError::Logits { logits, positions: positions.len(), tags: set.len() });
    }
    let mut free = 0;
    for position in positions {
        if *position < free || *position >= words {
            return Err(DecodeError::Position { position: *position, words });
        }
        free = position + 1;
    }
    Ok(())
}

/// Where each word begins in the text, in characters.
fn starts_of<S: AsRef<str>>(words: &[S]) -> Vec<usize> {
    let mut at = 0;
    let mut starts = Vec::with_capacity(words.len());
    for word in words {
        starts.push(at);
        at += word.as_ref().chars().count() + 1;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `B-PER`, `I-PER`, `O`: logits whose softmax has these probabilities.
    fn logits(rows: &[[f32; 3]]) -> Vec<f32> {
        rows.iter().flatten().map(|probability| probability.ln()).collect()
    }

    #[test]
    fn entities_have_offsets_in_characters_and_the_mean_probability_of_their_tags() {
        let set = TagSet::new(&["B-PER", "I-PER", "O"]).unwrap();
        let words = ["Élise", "Müller", "in", "Köln"];
        let logits = logits(&[[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.5, 0.4]]);
        let decoded = decode(&set, &words, &[0, 1, 2, 3], &logits).unwrap();
        assert_eq!(decoded.tags, [Some(0), Some(1), Some(2), Some(1)]);
        let [person, city] = decoded.entities.as_slice() else { panic!("{:?}", decoded.entities) };
        let text: Vec<char> = words.join(" ").chars().collect();
        for span in [person, city] {
            assert_eq!(text[span.start..span.end].iter().collect::<String>(), span.text);
        }
        assert_eq!((person.text.as_str(), person.start_word, person.end_word), ("Élise Müller", 0, 2));
        assert!((person.score - 0.7).abs() < 1e-6, "{}", person.score);
        // An I- that nothing begins is an entity too.
        assert_eq!((city.text.as_str(), city.start, city.end), ("Köln", 16, 20));
        let json = serde_json::to_value(person).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["type", "start_word", "end_word", "start", "end", "text", "score"]);
    }

    #[test]
    fn a_word_that_the_model_saw_nothing_of_has_no_tag_and_splits_no_entity() {
        let set = TagSet::new(&["B-PER", "I-PER", "O"]).unwrap();
        let words = ["Ann", "\u{200b}", "Lee", "ran"];
        let logits = logits(&[[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]);
        let decoded = decode(&set, &words, &[0, 2, 3], &logits).unwrap();
        assert_eq!(decoded.tags, [Some(0), None, Some(1), Some(2)]);
        assert_eq!(decoded.entities.len(), 1);
        assert_eq!(decoded.entities[0].text, "Ann \u{200b} Lee");
    }

    #[test]
    fn plain_tags_have_no_entities() {
        let set = TagSet::new(&["NOUN", "VERB"]).unwrap();
        let decoded = decode(&set, &["dogs", "bark"], &[0, 1], &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!((decoded.tags, decoded.entities.len()), (vec![Some(0), Some(1)], 0));
    }

    #[test]
    fn logits_of_another_row_are_refused() {
        let set = TagSet::new(&["NOUN", "VERB"]).unwrap();
        assert!(matches!(decode(&set, &["a"], &[0], &[0.0; 3]), Err(DecodeError::Logits { .. })));
        for positions in [[0, 0], [1, 0], [0, 2]] {
            let error = decode(&set, &["a", "b"], &positions, &[0.0; 4]).unwrap_err();
            assert!(matches!(error, DecodeError::Position { .. }), "{error}");
        }
    }
}
