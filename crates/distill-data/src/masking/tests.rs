use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::TextTokenizer;

/// The vocabulary of a tiny BERT: `[CLS]` 5, `[SEP]` 6, `[MASK]` 7.
fn masking(kind: MaskingKind, probability: f64) -> Masking {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tiny-bert");
    let vocabulary = TextTokenizer::load(&folder, 16).unwrap().mask_vocabulary().unwrap();
    Masking { kind, probability, vocabulary: Arc::new(vocabulary), seed: 42 }
}

/// 100 tokens, of which every third continues the one before it, with a separator in the middle.
fn sequence(masking: &Masking) -> Vec<u32> {
    let of = |begins: bool| -> Vec<u32> {
        let vocabulary = &masking.vocabulary;
        vocabulary.ordinary().iter().copied().filter(|token| vocabulary.begins_word(*token) == begins).collect()
    };
    let (begin, go_on) = (of(true), of(false));
    let token = |at: usize| match (at, at % 3) {
        (0, _) => 5,
        (50 | 99, _) => 6,
        (_, 2) => go_on[at % go_on.len()],
        _ => begin[at % begin.len()],
    };
    (0..100).map(token).collect()
}

#[test]
fn a_share_of_the_ordinary_tokens_is_predicted_and_no_special_one() {
    for (kind, probability) in
        [(MaskingKind::Token, 0.15), (MaskingKind::WholeWord, 0.15), (MaskingKind::Span, 0.4)]
    {
        let masking = masking(kind, probability);
        let ids = sequence(&masking);
        let wanted = (probability * 97.0).round() as usize;
        for number in 0..200 {
            let masked = masking.mask(&ids, number, Turn::Epoch(0));
            let places = masked.positions.len();
            assert!(
                if kind == MaskingKind::WholeWord { places <= wanted } else { places == wanted },
                "{kind:?}"
            );
            assert!(places > 0 && masked.positions.windows(2).all(|pair| pair[0] < pair[1]));
            for (place, label) in masked.positions.iter().zip(&masked.labels) {
                assert!(![0, 50, 99].contains(place));
                assert_eq!(ids[*place as usize], *label as u32);
            }
            let changed = (0u32..).zip(ids.iter().zip(&masked.input_ids)).filter(|(_, (old, new))| old != new);
            assert!(changed.into_iter().all(|(place, _)| masked.positions.contains(&place)));
        }
    }
}

#[test]
fn of_ten_predicted_tokens_eight_are_masked_one_is_random_and_one_stays() {
    for kind in [MaskingKind::Token, MaskingKind::Span] {
        let masking = masking(kind, 0.15);
        let ids = sequence(&masking);
        let (mut masks, mut kept, mut all) = (0.0, 0.0, 0.0);
        for number in 0..2000 {
            let masked = masking.mask(&ids, number, Turn::Epoch(3));
            for place in &masked.positions {
                let (old, new) = (ids[*place as usize], masked.input_ids[*place as usize]);
                all += 1.0;
                masks += f64::from(u8::from(new == masking.vocabulary.mask()));
                kept += f64::from(u8::from(new == old));
            }
        }
        let near = |share: f64, expected: f64| (share - expected).abs() < 0.02;
        assert!(near(masks / all, 0.8) && near(kept / all, 0.1), "{kind:?}: {} {}", masks / all, kept / all);
    }
}

#[test]
fn masks_depend_on_seed_epoch_and_sequence_alone() {
    let masking = masking(MaskingKind::Token, 0.15);
    let ids = sequence(&masking);
    let masked = |seed, number, turn| Masking { seed, ..masking.clone() }.mask(&ids, number, turn).positions;
    let first = masked(42, 7, Turn::Epoch(1));
    assert_eq!(masked(42, 7, Turn::Epoch(1)), first);
    let others = [
        masked(43, 7, Turn::Epoch(1)),
        masked(42, 8, Turn::Epoch(1)),
        masked(42, 7, Turn::Epoch(2)),
        masked(42, 7, Turn::Validation),
        masked(42, 1, Turn::Epoch(7)),
    ];
    let different: BTreeSet<_> = others.into_iter().chain([first]).collect();
    assert_eq!(different.len(), 6);
}

/// A checkpoint of today must be resumable by a later build: these numbers never change.
#[test]
fn the_draws_are_pinned() {
    let masking = masking(MaskingKind::Token, 0.15);
    let masked = masking.mask(&sequence(&masking), 3, Turn::Epoch(1));
    assert_eq!(masked.positions, PINNED);
}

#[test]
fn words_are_masked_whole_and_spans_are_words_in_a_row() {
    let masking_words = masking(MaskingKind::WholeWord, 0.2);
    let ids = sequence(&masking_words);
    let vocabulary = &masking_words.vocabulary;
    let continues = |place: u32| {
        !vocabulary.begins_word(ids[place as usize]) && vocabulary.is_ordinary(ids[place as usize - 1])
    };
    for number in 0..100 {
        let chosen: BTreeSet<u32> =
            masking_words.mask(&ids, number, Turn::Epoch(0)).positions.into_iter().collect();
        for place in 1..99u32 {
            if continues(place) {
                assert_eq!(chosen.contains(&place), chosen.contains(&(place - 1)), "{place}");
            }
        }
    }
    let spans = masking(MaskingKind::Span, 0.3);
    let (mut runs, mut places) = (0, 0);
    for number in 0..200 {
        let chosen = spans.mask(&ids, number, Turn::Epoch(0)).positions;
        places += chosen.len();
        runs += 1 + chosen.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    }
    let mean = places as f64 / f64::from(runs as u32);
    // Words have 1.5 tokens here and spans 3.8 words; neighbouring spans touch, and the last one is cut.
    assert!((3.5..8.5).contains(&mean), "{mean}");
}

#[test]
fn span_lengths_are_geometric_and_at_most_ten() {
    let mut draws = draws::Draws::new(1, 2, 3);
    let lengths: Vec<usize> = (0..20_000).map(|_| choose::span_length(&mut draws)).collect();
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    // The mean that the paper gives for p = 0.2 and at most 10 words.
    assert!((mean - 3.8).abs() < 0.1, "{mean}");
    assert!(lengths.iter().all(|length| (1..=10).contains(length)) && lengths.contains(&10));
}

#[test]
fn a_sequence_of_special_tokens_has_nothing_to_predict_and_a_short_one_something() {
    for kind in [MaskingKind::Token, MaskingKind::WholeWord, MaskingKind::Span] {
        let masking = masking(kind, 0.15);
        assert!(masking.mask(&[5, 6], 0, Turn::Validation).positions.is_empty());
        let ordinary = masking.vocabulary.ordinary()[3];
        let masked = masking.mask(&[5, ordinary, 6], 0, Turn::Validation);
        assert_eq!((masked.positions, masked.labels), (vec![1], vec![ordinary as i32]));
    }
}

/// Places of sequence 3 in epoch 1 with seed 42, as `scripts/lib/masking.py` draws them too.
const PINNED: [u32; 15] = [3, 9, 14, 27, 31, 43, 56, 65, 69, 74, 76, 81, 96, 97, 98];
