//! Precision, recall and F1 of entities, and the share of right tags, kept by row so that rows can be resampled.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::entities::{Entity, Mode};
use super::set::TagSet;

/// What was predicted and what is so: entities, or the rows of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Predicted, and so; of entities with the right words and the right type.
    pub correct: u64,
    /// Predicted.
    pub predicted: u64,
    /// In the labels.
    pub gold: u64,
}

/// Shares that follow from counts; 0 where nothing is to be counted, as in seqeval and scikit-learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Share of what was predicted that is right.
    pub precision: f64,
    /// Share of what the labels have that was predicted.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl Counts {
    /// The shares.
    pub fn shares(&self) -> Shares {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Shares {
            precision: ratio(self.correct, self.predicted),
            recall: ratio(self.correct, self.gold),
            f1: ratio(2 * self.correct, self.predicted + self.gold),
        }
    }

    /// True where the type occurs neither in the labels nor in the predictions.
    pub fn is_empty(&self) -> bool {
        self.predicted + self.gold == 0
    }

    fn times(self, weight: u64) -> Counts {
        Counts { correct: weight * self.correct, predicted: weight * self.predicted, gold: weight * self.gold }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.correct += other.correct;
        self.predicted += other.predicted;
        self.gold += other.gold;
    }
}

/// Counts over some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By entity type, in the order of [`TagSet::types`].
    pub types: Vec<Counts>,
    /// Words that have a label and a prediction.
    pub words: u64,
    /// Those with the right tag.
    pub correct_words: u64,
}

impl Tally {
    /// Entities of all types: their shares are seqeval's `micro` average.
    pub fn micro(&self) -> Counts {
        let mut all = Counts::default();
        self.types.iter().for_each(|counts| all += *counts);
        all
    }

    /// Mean shares of the types that occur, seqeval's `macro` average; none where no type does.
    pub fn macro_average(&self) -> Option<Shares> {
        self.average(|_| 1.0)
    }

    /// Mean shares by each type's entities in the labels, seqeval's `weighted` average; none where there are none.
    pub fn weighted_average(&self) -> Option<Shares> {
        self.average(|counts| counts.gold as f64)
    }

    /// Share of the words whose tag is right; none without words.
    pub fn token_accuracy(&self) -> Option<f64> {
        (self.words > 0).then(|| self.correct_words as f64 / self.words as f64)
    }

    fn average(&self, weight: impl Fn(&Counts) -> f64) -> Option<Shares> {
        let mut sum = Shares::default();
        let mut total = 0.0;
        for counts in self.types.iter().filter(|counts| !counts.is_empty()) {
            let (shares, weight) = (counts.shares(), weight(counts));
            sum.precision += weight * shares.precision;
            sum.recall += weight * shares.recall;
            sum.f1 += weight * shares.f1;
            total += weight;
        }
        let Shares { precision, recall, f1 } = sum;
        (total > 0.0).then(|| Shares { precision: precision / total, recall: recall / total, f1: f1 / total })
    }
}

/// The counts of every row of a data set.
#[derive(Clone, Debug)]
pub struct EntityFigures<'a> {
    set: &'a TagSet,
    mode: Mode,
    /// Type and counts of the types that occur, row after row.
    entries: Vec<(usize, Counts)>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// One after its last entry.
    end: usize,
    words: u64,
    correct_words: u64,
}

impl<'a> EntityFigures<'a> {
    /// Figures of no rows yet.
    pub fn new(set: &'a TagSet, mode: Mode) -> Self {
        EntityFigures { set, mode, entries: Vec::new(), rows: Vec::new() }
    }

    /// Adds a row. Words without a label or without a prediction are passed over, as if their neighbours were next to
    /// each other: so do `transformers`' examples with words that have no label.
    ///
    /// # Shapes
    /// - `gold`, `predicted`: `[W]`, ids of tags
    pub fn push(&mut self, gold: &[Option<usize>], predicted: &[Option<usize>]) {
        let (gold, predicted) = known(gold, predicted);
        let found = self.set.entities(&predicted, self.mode);
        let sought = self.set.entities(&gold, self.mode);
        let mut row: Vec<(usize, Counts)> = Vec::new();
        found.iter().for_each(|entity| count(&mut row, entity).predicted += 1);
        sought.iter().for_each(|entity| count(&mut row, entity).gold += 1);
        let right = found.iter().filter(|entity| sought.binary_search(entity).is_ok());
        right.for_each(|entity| count(&mut row, entity).correct += 1);
        self.entries.extend(row);
        let correct_words = gold.iter().zip(&predicted).filter(|(gold, predicted)| gold == predicted).count();
        self.rows.push(Row {
            end: self.entries.len(),
            words: gold.len() as u64,
            correct_words: correct_words as u64,
        });
    }

    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The sums over all rows.
    pub fn tally(&self) -> Tally {
        self.weighted(|_| 1)
    }

    /// The sums over rows of which each counts as often as it was drawn.
    ///
    /// # Shapes
    /// - `drawn`: `[N]`; rows that it is too short for do not count
    pub fn resampled(&self, drawn: &[u64]) -> Tally {
        self.weighted(|row| drawn.get(row).copied().unwrap_or(0))
    }

    fn weighted(&self, weight: impl Fn(usize) -> u64) -> Tally {
        let mut tally = Tally { types: vec![Counts::default(); self.set.types().len()], ..Tally::default() };
        let mut begin = 0;
        for (at, row) in self.rows.iter().enumerate() {
            let weight = weight(at);
            if weight > 0 {
                tally.words += weight * row.words;
                tally.correct_words += weight * row.correct_words;
                for (kind, counts) in &self.entries[begin..row.end] {
                    tally.types[*kind] += counts.times(weight);
                }
            }
            begin = row.end;
        }
        tally
    }
}

/// The words that have both, in turn.
pub(crate) fn known(gold: &[Option<usize>], predicted: &[Option<usize>]) -> (Vec<usize>, Vec<usize>) {
    gold.iter().zip(predicted).filter_map(|(gold, predicted)| Some(((*gold)?, (*predicted)?))).unzip()
}

fn count<'r>(row: &'r mut Vec<(usize, Counts)>, entity: &Entity) -> &'r mut Counts {
    let at = row.iter().position(|(kind, _)| *kind == entity.kind).unwrap_or_else(|| {
        row.push((entity.kind, Counts::default()));
        row.len() - 1
    });
    &mut row[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> TagSet {
        TagSet::new(&["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]).unwrap()
    }

    fn some(ids: &[usize]) -> Vec<Option<usize>> {
        ids.iter().copied().map(Some).collect()
    }

    #[test]
    fn a_row_drawn_twice_counts_as_two_rows() {
        let set = set();
        let rows = [([1, 2, 0, 3], [1, 2, 3, 0]), ([1, 1, 0, 0], [1, 2, 0, 3]), ([0, 0, 3, 4], [0, 0, 3, 4])];
        let mut once = EntityFigures::new(&set, Mode::Default);
        let mut written_out = EntityFigures::new(&set, Mode::Default);
        for ((gold, predicted), times) in rows.iter().zip([2, 0, 3]) {
            once.push(&some(gold), &some(predicted));
            (0..times).for_each(|_| written_out.push(&some(gold), &some(predicted)));
        }
        assert_eq!(once.resampled(&[2, 0, 3]), written_out.tally());
        assert_eq!((once.rows(), once.resampled(&[]).words), (3, 0));
    }

    #[test]
    fn words_without_a_label_or_a_prediction_are_passed_over() {
        let set = set();
        let mut figures = EntityFigures::new(&set, Mode::Strict);
        figures.push(&[Some(1), None, Some(2), Some(0)], &[Some(1), Some(0), Some(2), None]);
        let tally = figures.tally();
        assert_eq!((tally.words, tally.correct_words), (2, 2));
        assert_eq!(tally.micro(), Counts { correct: 1, predicted: 1, gold: 1 });
    }

    #[test]
    fn nothing_to_find_is_nothing_and_no_nan() {
        let set = set();
        let mut figures = EntityFigures::new(&set, Mode::Default);
        assert_eq!(figures.tally().token_accuracy(), None);
        figures.push(&some(&[0, 0]), &some(&[0, 0]));
        let tally = figures.tally();
        assert_eq!(tally.micro().shares(), Shares::default());
        assert_eq!((tally.macro_average(), tally.weighted_average()), (None, None));
        assert_eq!(tally.token_accuracy(), Some(1.0));
    }
}
