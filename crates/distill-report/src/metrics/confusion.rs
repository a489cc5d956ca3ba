//! Counts of label against prediction, from which most figures follow.

use std::collections::BTreeMap;

/// How often each label was predicted as each. Only pairs that occur are kept: of 10,000 labels a table of all
/// pairs would take 800 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    num_labels: usize,
    cells: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    /// Counts pairs of label and prediction, each below `num_labels`.
    pub fn of_pairs(pairs: impl IntoIterator<Item = (usize, usize)>, num_labels: usize) -> Self {
        let mut cells = BTreeMap::new();
        pairs.into_iter().for_each(|pair| *cells.entry(pair).or_default() += 1);
        Confusion { num_labels, cells }
    }

    /// Label, prediction and rows of every pair that occurs, by label, then by prediction.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        self.cells.iter().map(|((label, predicted), rows)| (*label, *predicted, *rows))
    }

    /// Rows of one pair.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        self.cells.get(&(label, predicted)).copied().unwrap_or(0)
    }

    /// One list a label, in it a count a prediction: `[C, C]`.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        let mut rows = vec![vec![0; self.num_labels]; self.num_labels];
        self.cells().for_each(|(label, predicted, count)| rows[label][predicted] = count);
        rows
    }

    /// What the metrics need of it.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::new(self.num_labels);
        self.cells().for_each(|(label, predicted, count)| tally.add(label, predicted, count));
        tally
    }
}

/// Counts a class: all that accuracy, precision, recall, F1, MCC and kappa depend on. Each `[C]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Rows of the class predicted as it.
    pub hits: Vec<u64>,
    /// Rows of the class.
    pub supports: Vec<u64>,
    /// Rows predicted as the class.
    pub predictions: Vec<u64>,
    /// All rows.
    pub total: u64,
}

impl Tally {
    /// No row yet.
    pub fn new(num_labels: usize) -> Self {
        let none = vec![0; num_labels];
        Tally { hits: none.clone(), supports: none.clone(), predictions: none, total: 0 }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        for counts in [&mut self.hits, &mut self.supports, &mut self.predictions] {
            counts.fill(0);
        }
        self.total = 0;
    }

    /// Adds `count` rows of one label and one prediction.
    pub fn add(&mut self, label: usize, predicted: usize, count: u64) {
        self.supports[label] += count;
        self.predictions[predicted] += count;
        self.total += count;
        if label == predicted {
            self.hits[label] += count;
        }
    }

    /// Rows predicted right.
    pub fn correct(&self) -> u64 {
        self.hits.iter().sum()
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> usize {
        self.hits.len()
    }

    /// The label with the most rows, the lowest id among equals.
    pub fn most_frequent(&self) -> usize {
        let most = self.supports.iter().max();
        self.supports.iter().position(|support| Some(support) == most).unwrap_or(0)
    }

    /// The same rows, all of them predicted as one label.
    #[must_use]
    pub fn always(&self, label: usize) -> Self {
        let mut tally = Tally::new(self.num_labels());
        self.supports.iter().enumerate().for_each(|(of, rows)| tally.add(of, label, *rows));
        tally
    }
}
