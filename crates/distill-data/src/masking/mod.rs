//! Which tokens of a sequence are masked, and what stands in their places.
//!
//! What is drawn depends on the seed, the epoch and the number of the sequence alone: not on batches, on how many passes a
//! step has, or on where a run was stopped. `draws` has the random numbers, `choose` which places are taken.
//!
//! Of `n` ordinary tokens `k = max(1, round(p·n))` are predicted, so that every sequence has a loss. Of these 80 % become
//! the mask, 10 % a random ordinary token, and 10 % stay.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1, and `create_pretraining_data.py` of BERT, which also takes a
//! fixed share of each sequence; new masks in each epoch as Liu et al. 2019, arXiv:1907.11692, section 4.1.

mod choose;
mod draws;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tokens::MaskVocabulary;
use draws::Draws;

/// What is masked together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskingKind {
    /// Each token by itself.
    #[default]
    Token,
    /// All tokens of a word.
    WholeWord,
    /// Neighbouring words.
    Span,
}

impl MaskingKind {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            MaskingKind::Token => "token",
            MaskingKind::WholeWord => "whole_word",
            MaskingKind::Span => "span",
        }
    }
}

/// When a sequence is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// In this epoch of training, from 0.
    Epoch(u64),
    /// For validation: the same in every epoch.
    Validation,
}

/// How sequences are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    /// What is masked together.
    pub kind: MaskingKind,
    /// Share of the ordinary tokens that are predicted, above 0 and below 1.
    pub probability: f64,
    /// The vocabulary.
    pub vocabulary: Arc<MaskVocabulary>,
    /// The run's seed.
    pub seed: u64,
}

/// A sequence under a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// What the model reads, `[T]`.
    pub input_ids: Vec<u32>,
    /// Places that are predicted, rising; empty where the sequence has no ordinary token. `[M]`
    pub positions: Vec<u32>,
    /// The tokens that were there, `[M]`.
    pub labels: Vec<i32>,
}

impl Masking {
    /// Masks the sequence of this number.
    pub fn mask(&self, input_ids: &[u32], sequence: u64, turn: Turn) -> Masked {
        let epoch = match turn {
            Turn::Epoch(epoch) => epoch,
            Turn::Validation => u64::MAX,
        };
        let mut draws = Draws::new(self.seed, epoch, sequence);
        let ordinary = |(_, token): &(u32, &u32)| self.vocabulary.is_ordinary(**token);
        let places: Vec<u32> = (0u32..).zip(input_ids).filter(ordinary).map(|(place, _)| place).collect();
        let wanted = ((self.probability * places.len() as f64).round() as usize).max(1).min(places.len());
        let chosen = match self.kind {
            MaskingKind::Token => choose::tokens(&places, wanted, &mut draws),
            MaskingKind::WholeWord => choose::words(&self.words(input_ids, &places), wanted, &mut draws),
            MaskingKind::Span => choose::spans(&self.words(input_ids, &places), wanted, &mut draws),
        };
        let mut masked = Masked { input_ids: input_ids.to_vec(), positions: Vec::new(), labels: Vec::new() };
        for together in chosen {
            self.replace(&together, &mut masked.input_ids, &mut draws);
            masked.positions.extend(together);
        }
        masked.positions.sort_unstable();
        masked.labels = masked.positions.iter().map(|place| input_ids[*place as usize].cast_signed()).collect();
        masked
    }

    /// Replaces the tokens at places that share their fate: all become the mask, or random tokens, or stay.
    fn replace(&self, together: &[u32], input_ids: &mut [u32], draws: &mut Draws) {
        let fate = draws.below(10);
        for place in together {
            let token = &mut input_ids[*place as usize];
            match fate {
                0..8 => *token = self.vocabulary.mask(),
                8 => {
                    let ordinary = self.vocabulary.ordinary();
                    *token = ordinary[draws.below(ordinary.len())];
                }
                _ => {}
            }
        }
    }

    /// The ordinary places by word. A word ends where the next one begins, and at special tokens.
    fn words(&self, input_ids: &[u32], places: &[u32]) -> Vec<Vec<u32>> {
        let mut words: Vec<Vec<u32>> = Vec::new();
        for place in places {
            let begins = self.vocabulary.begins_word(input_ids[*place as usize]);
            match words.last_mut() {
                Some(word) if !begins && word.last() == Some(&(place.wrapping_sub(1))) => word.push(*place),
                _ => words.push(vec![*place]),
            }
        }
        words
    }
}

#[cfg(test)]
mod tests;
