//! What is learned at the positions of a piece of a row: tags and soft targets of words, starts and ends of answers.

use distill_data::cache::NO_TAG;
use distill_data::source::Label;
use distill_data::tokens::answer_positions;
use distill_teacher::pieces::Piece;

use crate::soft_targets::SoftTarget;

/// The positions of a piece at which something is learned, and what.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Supervised {
    /// Places in the piece's tokens, rising; none for a prediction of the row itself. `[N]`
    pub positions: Vec<u32>,
    /// A class for each position or [`NO_TAG`], of answers [`STARTS`] and [`ENDS`]; empty where the row has no label. `[N]`
    pub tags: Vec<i32>,
    /// `[N, C]`; empty without a teacher.
    pub logits: Vec<f32>,
    /// Number of the word at the first position.
    pub first_word: u32,
}

/// In `tags`: an answer begins at this position.
pub(crate) const STARTS: i32 = 1;
/// In `tags`: an answer ends at this position. Where it does both, the sum.
pub(crate) const ENDS: i32 = 2;

/// Of all windows of a row with a question: every position, with the first right answer where the window has all of it, else
/// "no answer", and the soft targets. None where these are of other windows.
///
/// Source: `run_qa.py` of `transformers`, for which the first answer is the label too.
pub(crate) fn of_answers(
    windows: &[Piece],
    label: Option<&Label<i32>>,
    target: &SoftTarget<'_>,
) -> Option<Vec<Supervised>> {
    let answers = match label {
        Some(Label::Spans(spans)) => Some(spans.first().copied()),
        _ => None,
    };
    let has_teacher = !target.logits.is_empty();
    if has_teacher && !windows.iter().flat_map(|window| &window.keys).eq(target.positions.iter()) {
        return None;
    }
    let mut rest = &target.logits[..];
    let mut next_logits = |positions: usize| {
        let (own, others) = rest.split_at_checked(if has_teacher { 2 * positions } else { 0 })?;
        rest = others;
        Some(own.to_vec())
    };
    windows
        .iter()
        .map(|window| {
            let tags = answers.map(|answer| {
                let (start, end) =
                    answer.and_then(|answer| answer_positions(&window.offsets, answer)).unwrap_or_default();
                let mark = |place: &u32| STARTS * i32::from(*place == start) + ENDS * i32::from(*place == end);
                window.positions.iter().map(mark).collect()
            });
            Some(Supervised {
                positions: window.positions.clone(),
                tags: tags.unwrap_or_default(),
                logits: next_logits(window.positions.len())?,
                first_word: 0,
            })
        })
        .collect()
}

/// Whether a row has an answer that is whole in none of its windows: it is learned as "no answer".
pub(crate) fn is_lost(windows: &[Piece], label: Option<&Label<i32>>) -> bool {
    let Some(Label::Spans(spans)) = label else { return false };
    let is_whole = |window: &Piece, answer| answer_positions(&window.offsets, answer).is_some();
    spans.first().is_some_and(|answer| !windows.iter().any(|window| is_whole(window, *answer)))
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
    for (word, place) in piece.keys.iter().zip(&piece.positions) {
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
        Piece { tokens, positions: vec![1, 2, 4], keys: vec![3, 4, 5], offsets: Vec::new() }
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

    /// `[CLS] who ? [SEP] Zoë ran [SEP]`, and a window without the first word.
    fn windows() -> Vec<Piece> {
        let piece = |positions: &[u32], keys: &[i32], offsets: &[Option<(usize, usize)>]| Piece {
            tokens: distill_data::Tokens {
                input_ids: vec![2, 7, 8, 3, 9, 10, 3],
                token_type_ids: vec![0; 7],
                truncated: false,
            },
            positions: positions.to_vec(),
            keys: keys.to_vec(),
            offsets: offsets.to_vec(),
        };
        let none = None;
        vec![
            piece(&[0, 4, 5], &[-1, 0, 4], &[none, none, none, none, Some((0, 3)), Some((4, 7)), none]),
            piece(&[0, 4], &[-1, 4], &[none, none, none, none, Some((4, 7)), none]),
        ]
    }

    #[test]
    fn an_answer_is_learned_where_all_of_it_is_and_is_no_answer_elsewhere() {
        let answer = |start, end| Some(Label::Spans(vec![distill_task::Span { start, end }]));
        let tags = |label: Option<Label<i32>>| {
            let found = of_answers(&windows(), label.as_ref(), &SoftTarget::default()).unwrap();
            found.into_iter().map(|window| window.tags).collect::<Vec<_>>()
        };
        assert_eq!(tags(answer(0, 7)), [vec![0, STARTS, ENDS], vec![STARTS + ENDS, 0]]);
        assert_eq!(tags(answer(4, 7)), [vec![0, 0, STARTS + ENDS], vec![0, STARTS + ENDS]]);
        assert_eq!(tags(Some(Label::Spans(vec![]))), [vec![3, 0, 0], vec![3, 0]]);
        assert_eq!(tags(None), [Vec::<i32>::new(), Vec::new()]);
    }

    #[test]
    fn an_answer_that_no_window_has_whole_is_lost() {
        let lost = |spans: Vec<distill_task::Span>| is_lost(&windows(), Some(&Label::Spans(spans)));
        let span = |start, end| distill_task::Span { start, end };
        assert!(!lost(vec![span(0, 7)]) && !lost(vec![]) && lost(vec![span(0, 8)]));
        assert!(!is_lost(&windows(), None));
    }

    #[test]
    fn soft_targets_of_answers_are_those_of_the_same_windows_or_none() {
        let logits: Vec<f32> = (0u8..10).map(f32::from).collect();
        let target = |positions: &'static [i32]| SoftTarget {
            positions: Cow::Borrowed(positions),
            logits: logits.clone().into(),
        };
        let found = of_answers(&windows(), None, &target(&[-1, 0, 4, -1, 4])).unwrap();
        assert_eq!((&found[0].logits[..], &found[1].logits[..]), (&logits[..6], &logits[6..]));
        assert_eq!(of_answers(&windows(), None, &target(&[-1, 0, 4, -1, 5])), None);
    }
}
