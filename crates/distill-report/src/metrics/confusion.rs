//! Counts of label against prediction, from which most figures follow.

/// How often each label was predicted as each: `counts[label * C + predicted]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    num_labels: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// Counts pairs of label and prediction, each below `num_labels`.
    pub fn of_pairs(pairs: impl IntoIterator<Item = (usize, usize)>, num_labels: usize) -> Self {
        let mut counts = vec![0; num_labels * num_labels];
        pairs.into_iter().for_each(|(target, predicted)| counts[target * num_labels + predicted] += 1);
        Confusion { num_labels, counts }
    }

    /// One list a label, in it a count a prediction: `[C, C]`.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks_exact(self.num_labels).map(<[u64]>::to_vec).collect()
    }

    /// What the metrics need of it.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::new(self.num_labels);
        for (at, count) in self.counts.iter().enumerate() {
            tally.add(at / self.num_labels, at % self.num_labels, *count);
        }
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
}
