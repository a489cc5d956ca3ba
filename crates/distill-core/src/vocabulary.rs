//! What becomes of a table of embeddings where its vocabulary is replaced by another one.

use std::collections::BTreeMap;

/// Where the embedding of one token of the new vocabulary begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As that of this token of the old vocabulary.
    Copied(u32),
    /// As the mean of those of these tokens of the old vocabulary.
    Mean(Vec<u32>),
    /// As the mean of all embeddings of the old vocabulary.
    Average,
}

/// A vocabulary that takes the place of another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVocabulary {
    /// One for each id, in their order.
    pub origins: Vec<Origin>,
    /// Ids of the special tokens by their names in a model's config, such as `pad_token_id`.
    pub special: BTreeMap<String, u32>,
}

/// How many embeddings begin in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginCounts {
    /// [`Origin::Copied`]
    pub copied: usize,
    /// [`Origin::Mean`]
    pub mean: usize,
    /// [`Origin::Average`]
    pub average: usize,
}

impl NewVocabulary {
    /// How many embeddings begin in which way.
    pub fn counts(&self) -> OriginCounts {
        let mut counts = OriginCounts::default();
        for origin in &self.origins {
            match origin {
                Origin::Copied(_) => counts.copied += 1,
                Origin::Mean(_) => counts.mean += 1,
                Origin::Average => counts.average += 1,
            }
        }
        counts
    }

    /// Whether every id keeps its embedding: then nothing is replaced.
    pub fn is_identity(&self, old_size: usize) -> bool {
        let same =
            |(id, origin): (usize, &Origin)| *origin == Origin::Copied(u32::try_from(id).unwrap_or(u32::MAX));
        self.origins.len() == old_size && self.origins.iter().enumerate().all(same)
    }

    /// This vocabulary in the place of the one that `first` put in its place. Means of means are means of all their
    /// tokens.
    #[must_use]
    pub fn after(&self, first: &NewVocabulary) -> Self {
        let before = |token: &u32| first.origins.get(*token as usize).unwrap_or(&Origin::Average);
        let origins = self.origins.iter().map(|origin| match origin {
            Origin::Copied(token) => before(token).clone(),
            Origin::Average => Origin::Average,
            Origin::Mean(tokens) => {
                let mut all = Vec::new();
                for token in tokens {
                    match before(token) {
                        Origin::Copied(old) => all.push(*old),
                        Origin::Mean(old) => all.extend(old),
                        Origin::Average => {}
                    }
                }
                if all.is_empty() { Origin::Average } else { Origin::Mean(all) }
            }
        });
        NewVocabulary { origins: origins.collect(), special: self.special.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_replacement_after_another_is_one_replacement() {
        let of = |origins: Vec<Origin>| NewVocabulary { origins, ..NewVocabulary::default() };
        let first = of(vec![Origin::Copied(7), Origin::Mean(vec![1, 2]), Origin::Average]);
        let second =
            of(vec![Origin::Copied(1), Origin::Mean(vec![0, 1]), Origin::Mean(vec![2]), Origin::Copied(0)]);
        let both = second.after(&first);
        let expected =
            vec![Origin::Mean(vec![1, 2]), Origin::Mean(vec![7, 1, 2]), Origin::Average, Origin::Copied(7)];
        assert_eq!(both.origins, expected);
        assert_eq!(both.counts(), OriginCounts { copied: 1, mean: 2, average: 1 });
        assert!(of(vec![Origin::Copied(0), Origin::Copied(1)]).is_identity(2));
        assert!(!of(vec![Origin::Copied(0)]).is_identity(2) && !of(vec![Origin::Copied(1)]).is_identity(1));
    }
}
