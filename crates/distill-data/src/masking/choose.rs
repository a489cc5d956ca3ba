//! Which places are predicted: lists of places that share their fate.

use super::draws::Draws;

/// Most words of a span, and the chance that it ends with each word.
const LONGEST_SPAN: i32 = 10;
const SPAN_END: f64 = 0.2;

/// `wanted` of the places, each equally likely and by itself.
pub(super) fn tokens(places: &[u32], wanted: usize, draws: &mut Draws) -> Vec<Vec<u32>> {
    let mut places = places.to_vec();
    for at in 0..wanted {
        let other = at + draws.below(places.len() - at);
        places.swap(at, other);
    }
    places.truncate(wanted);
    places.sort_unstable();
    places.into_iter().map(|place| vec![place]).collect()
}

/// Whole words in a random order as long as they fit into `wanted` places, at least one. Each of their tokens has a fate of
/// its own.
///
/// Source: `do_whole_word_mask` in `create_pretraining_data.py` of BERT.
pub(super) fn words(words: &[Vec<u32>], wanted: usize, draws: &mut Draws) -> Vec<Vec<u32>> {
    let mut order: Vec<usize> = (0..words.len()).collect();
    for at in 0..order.len() {
        let other = at + draws.below(order.len() - at);
        order.swap(at, other);
    }
    let mut places: Vec<u32> = Vec::with_capacity(wanted);
    for word in order.iter().map(|at| &words[*at]) {
        if places.len() + word.len() <= wanted {
            places.extend(word);
        }
        if places.len() == wanted {
            break;
        }
    }
    // Every word is longer than what may be masked: one of them all the same.
    if let (true, Some(first)) = (places.is_empty(), order.first()) {
        places.clone_from(&words[*first]);
    }
    places.sort_unstable();
    places.into_iter().map(|place| vec![place]).collect()
}

/// Spans of neighbouring words until `wanted` places are taken; the last one is cut there. The length of a span in words is
/// geometric with p = 0.2, at most 10; it begins at a word, each equally likely as it has tokens. A span has one fate.
///
/// Source: Joshi et al. 2020, arXiv:1907.10529, section 3.1, and `PairWithSpanMaskingScheme` of its code.
pub(super) fn spans(words: &[Vec<u32>], wanted: usize, draws: &mut Draws) -> Vec<Vec<u32>> {
    let word_of: Vec<usize> =
        words.iter().enumerate().flat_map(|(number, word)| word.iter().map(move |_| number)).collect();
    let mut is_taken = vec![false; words.len()];
    let (mut spans, mut taken) = (Vec::new(), 0);
    while taken < wanted {
        let length = span_length(draws);
        let first = word_of[draws.below(word_of.len())];
        if is_taken[first] {
            continue;
        }
        let mut span: Vec<u32> = Vec::new();
        for number in first..words.len().min(first + length) {
            // A span ends where another one begins, and where there is something between two words.
            let follows = span.last().is_none_or(|last| words[number].first() == Some(&(last + 1)));
            if is_taken[number] || !follows || taken >= wanted {
                break;
            }
            is_taken[number] = true;
            let before = span.len();
            span.extend(words[number].iter().take(wanted - taken));
            taken += span.len() - before;
        }
        spans.push(span);
    }
    spans
}

/// From 1 to [`LONGEST_SPAN`]: `P(ℓ) ∝ p·(1 − p)^(ℓ − 1)`.
pub(super) fn span_length(draws: &mut Draws) -> usize {
    let share = draws.share();
    let goes_on = 1.0 - SPAN_END;
    let all = 1.0 - goes_on.powi(LONGEST_SPAN);
    let mut length = 1;
    while length < LONGEST_SPAN && share * all >= 1.0 - goes_on.powi(length) {
        length += 1;
    }
    length.unsigned_abs() as usize
}
