//! Predictions of a tag for each word: rows of different lengths.
//!
//! `W` words of a row, `P` of them with logits, `C` tags.

use distill_core::LabelMap;
use distill_core::text::counted;
use distill_task::logits::{argmax, softmax};
use distill_task::tags::TagSet;
use distill_task::{Label, TaskId};

use super::{Predictions, Role};
use crate::error::ReportError;

/// One row of a model that gives each word a tag.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaggedRow {
    /// The row's id.
    pub id: String,
    /// Its words, `[W]`.
    pub words: Vec<String>,
    /// Its tags, `[W]`, as ids of the label map; none for a word without one. None where the row has no tags.
    pub tags: Option<Vec<Option<i32>>>,
    /// The words that have logits, `[P]`, ascending. A word that the tokenizer makes nothing of has none.
    pub positions: Vec<usize>,
    /// Logits, `[P, C]` row-major, untempered, columns in the order of the label map.
    pub logits: Vec<f32>,
}

/// What rows of words have beyond other rows.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The tags of the label map.
    pub set: TagSet,
    /// `[N]`, each `[W]`.
    pub words: Vec<Vec<String>>,
    /// `[N]`, each `[P]`.
    pub positions: Vec<Vec<usize>>,
    /// One after each row's last logit, `[N]`.
    pub ends: Vec<usize>,
}

impl Words {
    /// Where a row's logits are.
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[row]
    }

    /// The rows in another order.
    pub fn reordered(&self, order: &[usize]) -> Words {
        let mut end = 0;
        let ends = order.iter().map(|row| {
            end += self.range(*row).len();
            end
        });
        Words {
            set: self.set.clone(),
            words: order.iter().map(|row| self.words[*row].clone()).collect(),
            positions: order.iter().map(|row| self.positions[*row].clone()).collect(),
            ends: ends.collect(),
        }
    }
}

impl Predictions {
    /// Checks and takes over the rows of a model that gives each word a tag. Their texts are the words with one space
    /// between them.
    ///
    /// # Errors
    /// As [`Predictions::new`], and [`ReportError::Row`] where tags or logits do not fit the words,
    /// [`ReportError::Scheme`] where the names of the tags are in no scheme or in two.
    pub fn tagged(
        name: impl Into<String>,
        role: Role,
        label_map: LabelMap,
        rows: Vec<TaggedRow>,
    ) -> Result<Self, ReportError> {
        let name = name.into();
        let set = TagSet::new(label_map.names())
            .map_err(|problem| ReportError::Scheme { model: name.clone(), problem })?;
        let count = rows.len();
        let mut words = Words {
            set,
            words: Vec::with_capacity(count),
            positions: Vec::with_capacity(count),
            ends: Vec::with_capacity(count),
        };
        let (mut ids, mut labels, mut logits) = (Vec::new(), Vec::new(), Vec::new());
        for (at, row) in rows.into_iter().enumerate() {
            check(&name, at + 1, &row, label_map.num_labels())?;
            ids.push(row.id);
            labels.push(row.tags.map(Label::Tags));
            logits.extend(row.logits);
            words.words.push(row.words);
            words.positions.push(row.positions);
            words.ends.push(logits.len());
        }
        let texts = words.words.iter().map(|words| words.join(" ")).collect();
        let empty = Self::empty(name, role, TaskId::TOKEN_CLASSIFICATION, ids, label_map);
        Predictions { labels, logits, words: Some(words), ..empty }.checked()?.with_texts(texts)
    }

    /// The tag that each word of a row is labelled with, `[W]`; none where it has none.
    pub(crate) fn gold_tags(&self, row: usize) -> Vec<Option<usize>> {
        match &self.labels[row] {
            Some(Label::Tags(tags)) => {
                tags.iter().map(|tag| tag.and_then(|tag| usize::try_from(tag).ok())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The tag that is predicted for each word of a row, `[W]`; none for a word without logits.
    pub(crate) fn predicted_tags(&self, row: usize) -> Vec<Option<usize>> {
        let Some(words) = &self.words else { return Vec::new() };
        let mut tags = vec![None; words.words[row].len()];
        for (position, logits) in self.positions(row) {
            tags[position] = Some(argmax(logits));
        }
        tags
    }

    /// The words of a row that have logits, each with its own, `[C]`.
    pub(crate) fn positions(&self, row: usize) -> impl Iterator<Item = (usize, &[f32])> {
        let positions = self.words.as_ref().map_or(&[][..], |words| &words.positions[row]);
        positions.iter().copied().zip(self.row(row).chunks_exact(self.num_labels()))
    }

    /// The mean over a row's words of the probability of the predicted tag.
    pub(crate) fn tag_confidence(&self, row: usize) -> f64 {
        let shares: Vec<f64> = self.positions(row).map(|(_, logits)| softmax(logits)[argmax(logits)]).collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }
}

fn check(model: &str, at: usize, row: &TaggedRow, num_labels: usize) -> Result<(), ReportError> {
    let refuse = |problem: String| {
        Err(ReportError::Row { model: model.to_owned(), row: at, id: row.id.clone(), problem })
    };
    let words = row.words.len();
    if let Some(tags) = row.tags.as_ref().filter(|tags| tags.len() != words) {
        return refuse(format!("{} for {}", counted(tags.len(), "tag"), counted(words, "word")));
    }
    if row.positions.len().checked_mul(num_labels) != Some(row.logits.len()) {
        let (logits, positions) = (row.logits.len(), row.positions.len());
        let (logits, words) = (counted(logits, "logit"), counted(positions, "word"));
        return refuse(format!("{logits} for {words} and {}", counted(num_labels, "tag")));
    }
    let mut free = 0;
    for position in &row.positions {
        if *position < free || *position >= words {
            return refuse(format!(
                "the logits are said to be of word {position}, which does not exist or does not follow the one before it \
                 ({words} words, counted from 0)"
            ));
        }
        free = position + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, words: usize, tags: &[i32], positions: &[usize]) -> TaggedRow {
        TaggedRow {
            id: id.to_owned(),
            words: (0..words).map(|word| format!("w{word}")).collect(),
            tags: Some(tags.iter().map(|tag| Some(*tag)).collect()),
            positions: positions.to_vec(),
            logits: positions.iter().flat_map(|word| [*word as f32, 1.5, 0.0]).collect(),
        }
    }

    fn tagged(names: [&str; 3], rows: Vec<TaggedRow>) -> Result<Predictions, ReportError> {
        Predictions::tagged("m", Role::Student, LabelMap::new(names).unwrap(), rows)
    }

    #[test]
    fn every_row_has_its_own_words_and_logits() {
        let rows = vec![row("a", 3, &[0, 1, 2], &[0, 2]), row("b", 0, &[], &[]), row("c", 2, &[2, 2], &[0, 1])];
        let model = tagged(["O", "B-X", "I-X"], rows).unwrap();
        assert_eq!(model.predicted_tags(0), [Some(1), None, Some(0)]);
        assert_eq!(model.predicted_tags(1), []);
        assert_eq!(model.predicted_tags(2), [Some(1), Some(1)]);
        assert_eq!(model.gold_tags(2), [Some(2), Some(2)]);
        assert_eq!(model.texts.unwrap(), ["w0 w1 w2", "", "w0 w1"]);
        let words = model.words.unwrap().reordered(&[2, 0, 1]);
        assert_eq!(
            (words.ends.as_slice(), words.range(0), words.range(2)),
            ([6, 12, 12].as_slice(), 0..6, 12..12)
        );
    }

    #[test]
    fn what_does_not_fit_the_words_is_refused_with_its_row() {
        let names = ["O", "B-X", "I-X"];
        let refused = |row: TaggedRow| tagged(names, vec![row]).unwrap_err().to_string();
        assert_eq!(refused(row("a", 2, &[0], &[0, 1])), r#"m: row 1 (id "a"): 1 tag for 2 words"#);
        assert!(refused(row("a", 2, &[0, 0], &[1, 0])).contains("of word 0, which does not exist or"));
        assert!(refused(row("a", 2, &[0, 0], &[2])).contains("of word 2"));
        assert!(refused(row("a", 2, &[0, 9], &[0])).contains("label 9 is not one of 0 to 2"));
        let short = TaggedRow { logits: vec![0.0; 2], ..row("a", 1, &[0], &[0]) };
        assert!(refused(short).contains("2 logits for 1 word and 3 tags"));
        let nan = TaggedRow { logits: vec![0.0, f32::NAN, 0.0], ..row("a", 1, &[0], &[0]) };
        assert_eq!(refused(nan), r#"m: row 1 (id "a"): the logit of "B-X" is NaN"#);
        let unlabelled = TaggedRow { tags: None, ..row("a", 1, &[0], &[0]) };
        assert!(refused(unlabelled).contains("none of the 1 rows has a label"));
        let mixed = tagged(["O", "PER", "LOC"], vec![row("a", 1, &[0], &[0])]).unwrap_err().to_string();
        assert!(mixed.starts_with("m: the tags O and"), "{mixed}");
    }
}
