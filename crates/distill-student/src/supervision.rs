//! What is learned at the positions of a piece of a row: tags and soft targets of words.

use distill_data::cache::NO_TAG;
use distill_data::source::Label;
use distill_teacher::words::Piece;

use crate::soft_targets::SoftTarget;

/// The positions of a piece at which something is learned, and what.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Supervised {
    /// Places in the piece's tokens, rising; none for a prediction of the row itself. `[N]`
    pub positions: Vec<u32>,
    /// A class for each position or [`NO_TAG`]; empty where the row has no tags. `[N]`
    pub tags: Vec<i32>,
    /// `[N, C]`; empty without a teacher.
    pub logits: Vec<f32>,
    /// Number of the word at the first position.
    pub first_word: u32,
}

/// Of a window of words: those that have a soft target where there is a teacher, else those that have a tag; all where the
/// row has neither.
pub(crate) fn of_words(piece: &Piece, label: Option<&Label<i32>>, target: &SoftTarget<'_>) -> Supervised {
    let tags = match label {
        Some(Label::Tags(tags)) if tags.iter().any(Option::is_some) => tags.as_slice(),
        _ => &[],
    };
    let has_teacher = !target.logits.is_empty();
    let mut supervised = Supervised::default();
    for (word, place) in piece.words.iter().zip(&piece.positions) {
        let tag = usize::try_from(*word).ok().and_then(|word| tags.get(word).copied().flatten());
        let logits = target.of_word(*word);
        let is_learned = if has_teacher { logits.is_some() } else { tag.is_some() || tags.is_empty() };
        if !is_learned {
            continue;
        }
        if supervised.positions.is_empty() {
            supervised.first_word = word.cast_unsigned();
        }
        supervised.positions.push(*place);
        supervised.logits.extend_from_slice(logits.unwrap_or_default());
        if !tags.is_empty() {
            supervised.tags.push(tag.unwrap_or(NO_TAG));
        }
    }
    supervised
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// Words 3 to 5 of a row, at places 1, 2 and 4.
    fn piece() -> Piece {
        let tokens = distill_data::Tokens {
            input_ids: vec![2, 7, 8, 9, 10, 3],
            token_type_ids: vec![0; 6],
            truncated: false,
        };
        Piece { tokens, positions: vec![1, 2, 4], words: vec![3, 4, 5] }
    }

    fn tags(tags: [Option<i32>; 6]) -> Label<i32> {
        Label::Tags(tags.to_vec())
    }

    #[test]
    fn words_without_a_tag_are_left_out_where_nobody_else_says_anything_of_them() {
        let label = tags([Some(9), None, None, None, Some(1), Some(0)]);
        let found = of_words(&piece(), Some(&label), &SoftTarget::default());
        let expected =
            Supervised { positions: vec![2, 4], tags: vec![1, 0], first_word: 4, ..Supervised::default() };
        assert_eq!(found, expected);
        let unlabelled = of_words(&piece(), None, &SoftTarget::default());
        assert_eq!((unlabelled.positions, unlabelled.tags), (vec![1, 2, 4], vec![]));
        let only_nulls = of_words(&piece(), Some(&tags([None; 6])), &SoftTarget::default());
        assert_eq!((only_nulls.positions.len(), only_nulls.tags), (3, vec![]));
    }

    #[test]
    fn a_teacher_supervises_every_word_that_it_has_logits_for() {
        let target = SoftTarget {
            positions: Cow::Borrowed(&[0, 3, 5]),
            logits: Cow::Borrowed(&[0.5, 0.6, 1.0, 2.0, 3.0, 4.0]),
        };
        let label = tags([Some(9), None, None, None, Some(1), Some(0)]);
        let found = of_words(&piece(), Some(&label), &target);
        assert_eq!((found.positions, found.tags), (vec![1, 4], vec![NO_TAG, 0]));
        assert_eq!((found.logits, found.first_word), (vec![1.0, 2.0, 3.0, 4.0], 3));
    }
}
