//! What kind of error an entity is: the wrong type, the wrong boundary, missed or made up.

use std::cmp::Reverse;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::entities::{Entity, Mode};
use super::figures::known;
use super::set::TagSet;

/// Entities by what came of them.
///
/// Entities of the labels: `correct + wrong_type + wrong_boundary + wrong_both + missed`. Entities found:
/// `correct + wrong_type + wrong_boundary + wrong_both + spurious`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistakes {
    /// Right words, right type.
    pub correct: u64,
    /// Right words, wrong type.
    pub wrong_type: u64,
    /// Right type, and some of the words.
    pub wrong_boundary: u64,
    /// Wrong type, and some of the words.
    pub wrong_both: u64,
    /// In the labels only.
    pub missed: u64,
    /// In the predictions only.
    pub spurious: u64,
}

impl Mistakes {
    /// Sorts the entities of one row's tags, read as [`Mode::Default`] reads them. Words without a label or without a
    /// prediction are passed over, as in [`EntityFigures::push`](super::EntityFigures::push).
    ///
    /// # Shapes
    /// - `gold`, `predicted`: `[W]`, ids of tags
    pub fn of_tags(set: &TagSet, gold: &[Option<usize>], predicted: &[Option<usize>]) -> Mistakes {
        let (gold, predicted) = known(gold, predicted);
        Self::of_row(&set.entities(&gold, Mode::Default), &set.entities(&predicted, Mode::Default))
    }

    /// Sorts one row's entities. An entity is paired with at most one of the other side: first with the one of the
    /// same words, then with the one of its type with which it has most words in common, then with any other one.
    /// Of equally good pairs the one further to the left is taken.
    ///
    /// `gold` and `predicted` must each be in order and not overlap, as [`TagSet::entities`]
    /// returns them.
    pub fn of_row(gold: &[Entity], predicted: &[Entity]) -> Mistakes {
        let mut pairs: Vec<(Pair, Reverse<usize>, usize, usize)> = Vec::new();
        for (left, sought) in gold.iter().enumerate() {
            let after = predicted.partition_point(|found| found.end <= sought.start);
            let overlapping = predicted[after..].iter().take_while(|found| found.start < sought.end);
            for (right, found) in overlapping.enumerate() {
                let common = sought.end.min(found.end) - sought.start.max(found.start);
                pairs.push((Pair::of(sought, found), Reverse(common), left, after + right));
            }
        }
        pairs.sort_unstable();
        let mut mistakes = Mistakes::default();
        let (mut paired_gold, mut paired) = (vec![false; gold.len()], vec![false; predicted.len()]);
        for (pair, _, left, right) in pairs {
            if !paired_gold[left] && !paired[right] {
                (paired_gold[left], paired[right]) = (true, true);
                *mistakes.count(pair) += 1;
            }
        }
        mistakes.missed = unpaired(&paired_gold);
        mistakes.spurious = unpaired(&paired);
        mistakes
    }

    /// Entities of the labels.
    pub fn gold(&self) -> u64 {
        self.correct + self.wrong_type + self.wrong_boundary + self.wrong_both + self.missed
    }

    /// Entities found.
    pub fn predicted(&self) -> u64 {
        self.correct + self.wrong_type + self.wrong_boundary + self.wrong_both + self.spurious
    }

    fn count(&mut self, pair: Pair) -> &mut u64 {
        match pair {
            Pair::Correct => &mut self.correct,
            Pair::WrongType => &mut self.wrong_type,
            Pair::WrongBoundary => &mut self.wrong_boundary,
            Pair::WrongBoth => &mut self.wrong_both,
        }
    }
}

impl AddAssign for Mistakes {
    fn add_assign(&mut self, other: Mistakes) {
        self.correct += other.correct;
        self.wrong_type += other.wrong_type;
        self.wrong_boundary += other.wrong_boundary;
        self.wrong_both += other.wrong_both;
        self.missed += other.missed;
        self.spurious += other.spurious;
    }
}

/// What two entities that overlap are to each other, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pair {
    Correct,
    WrongType,
    WrongBoundary,
    WrongBoth,
}

impl Pair {
    fn of(gold: &Entity, predicted: &Entity) -> Pair {
        let same_words = (gold.start, gold.end) == (predicted.start, predicted.end);
        match (same_words, gold.kind == predicted.kind) {
            (true, true) => Pair::Correct,
            (true, false) => Pair::WrongType,
            (false, true) => Pair::WrongBoundary,
            (false, false) => Pair::WrongBoth,
        }
    }
}

fn unpaired(paired: &[bool]) -> u64 {
    paired.iter().filter(|paired| !**paired).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities(spans: &[(usize, usize, usize)]) -> Vec<Entity> {
        spans.iter().map(|(start, end, kind)| Entity { start: *start, end: *end, kind: *kind }).collect()
    }

    #[test]
    fn every_entity_is_of_one_kind() {
        let gold = entities(&[(0, 2, 0), (3, 4, 1), (5, 8, 0), (9, 10, 1), (12, 14, 0)]);
        let predicted = entities(&[(0, 2, 0), (3, 4, 0), (6, 8, 0), (12, 13, 1), (15, 16, 1)]);
        let mistakes = Mistakes::of_row(&gold, &predicted);
        let one_each =
            Mistakes { correct: 1, wrong_type: 1, wrong_boundary: 1, wrong_both: 1, missed: 1, spurious: 1 };
        assert_eq!(mistakes, one_each);
        assert_eq!((mistakes.gold(), mistakes.predicted()), (5, 5));
    }

    #[test]
    fn an_entity_is_paired_once_with_the_best() {
        // One entity was cut in two: the larger part of it has the wrong boundary, the other one is too much.
        let cut = Mistakes::of_row(&entities(&[(0, 5, 0)]), &entities(&[(0, 2, 0), (2, 5, 0)]));
        assert_eq!(cut, Mistakes { wrong_boundary: 1, spurious: 1, ..Mistakes::default() });
        // Its own type comes before more words in common.
        let kinds = Mistakes::of_row(&entities(&[(0, 5, 0)]), &entities(&[(0, 4, 1), (4, 5, 0)]));
        assert_eq!(kinds, Mistakes { wrong_boundary: 1, spurious: 1, ..Mistakes::default() });
        // Two entities were joined.
        let joined = Mistakes::of_row(&entities(&[(0, 2, 0), (2, 5, 1)]), &entities(&[(0, 5, 1)]));
        assert_eq!(joined, Mistakes { wrong_boundary: 1, missed: 1, ..Mistakes::default() });
    }
}
