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

    /// A table of counts, row-major, labels down and predictions across: `[C, C]`.
    pub fn from_counts(counts: Vec<u64>, num_labels: usize) -> Self {
        debug_assert_eq!(counts.len(), num_labels * num_labels);
        Confusion { num_labels, counts }
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> usize {
        self.num_labels
    }

    /// Rows with this label and this prediction.
    pub fn at(&self, label: usize, predicted: usize) -> u64 {
        self.counts[label * self.num_labels + predicted]
    }

    /// The counts, `[C, C]` row-major.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All counted rows.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows on the diagonal.
    pub fn correct(&self) -> u64 {
        (0..self.num_labels).map(|label| self.at(label, label)).sum()
    }

    /// Rows with this label.
    pub fn support(&self, label: usize) -> u64 {
        self.counts[label * self.num_labels..(label + 1) * self.num_labels].iter().sum()
    }

    /// Rows with this prediction.
    pub fn predicted(&self, label: usize) -> u64 {
        (0..self.num_labels).map(|row| self.at(row, label)).sum()
    }

    /// One list a label, for files.
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks_exact(self.num_labels).map(<[u64]>::to_vec).collect()
    }
}
