//! Rows as columns in memory: what is written as one record batch, and the whole of a cache without a file.

use super::CacheError;

/// As the tag of a word: it is not supervised. `transformers` and PyTorch use the same number.
pub const NO_TAG: i32 = -100;

/// One cached row, or one window of a row of words. The windows of a row follow one another.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Example<'a> {
    /// Ids in the vocabulary, special tokens included.
    pub input_ids: &'a [u32],
    /// Of the length of `input_ids`; `None` where all are zero.
    pub token_type_ids: Option<&'a [u8]>,
    /// Index in the label map; `None` where the row is unlabelled.
    pub label: Option<i32>,
    /// What a row is labelled with that has several classes, or a number: 1 or 0 for each label, `[C]`, or the
    /// number, `[1]`. Empty with one class, and where the row is unlabelled.
    pub targets: &'a [f32],
    /// The teacher's logits, untempered, `[N, C]` row-major, `N` one for each position, or 1 without positions; empty
    /// without a teacher.
    pub logits: &'a [f32],
    /// Places in `input_ids` for which there is a prediction each, rising. Empty: there is one for the whole row.
    pub positions: &'a [u32],
    /// Index in the label map for each position, or [`NO_TAG`]; empty where nothing is labelled.
    pub tags: &'a [i32],
    /// Number in the row of the word at the first position.
    pub first_word: u32,
    /// [`super::id_hash`] of the row's id; of an augmented row, of the row that it was made of.
    pub id_hash: u64,
    /// The same of the row whose half an augmented row ends with; `None` with all others.
    pub partner_hash: Option<u64>,
    /// Position in the source, from 0.
    pub row: u64,
}

impl Example<'_> {
    /// Whether the row has a label of any kind.
    pub fn is_labelled(&self) -> bool {
        self.label.is_some() || !self.targets.is_empty() || self.tags.iter().any(|tag| *tag != NO_TAG)
    }

    /// How many predictions there are for it: `N`.
    pub fn predictions(&self) -> usize {
        self.positions.len().max(1)
    }
}

/// Columns with one entry a row; lists lie behind one another, with the offset of each end.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub input_ids: Lists<u32>,
    /// An empty list stands for a row whose type ids are all zero.
    pub token_type_ids: Lists<u8>,
    pub labels: Vec<Option<i32>>,
    pub targets: Lists<f32>,
    pub logits: Lists<f32>,
    pub positions: Lists<u32>,
    pub tags: Lists<i32>,
    pub first_words: Vec<u32>,
    pub id_hashes: Vec<u64>,
    pub partner_hashes: Vec<Option<u64>>,
    pub rows: Vec<u64>,
}

/// A list column.
#[derive(Debug)]
pub(super) struct Lists<T> {
    pub values: Vec<T>,
    ends: Vec<usize>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Lists { values: Vec::new(), ends: Vec::new() }
    }
}

impl<T: Copy> Lists<T> {
    fn push(&mut self, list: &[T]) {
        self.values.extend_from_slice(list);
        self.ends.push(self.values.len());
    }

    fn get(&self, index: usize) -> &[T] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.values[start..self.ends[index]]
    }

    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let length = end - start;
            start = *end;
            length
        })
    }

    fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
    }
}

impl Rows {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn push(&mut self, example: &Example<'_>) -> Result<(), CacheError> {
        if let Some(problem) = problem_of(example) {
            return Err(CacheError::Row { row: example.row, problem });
        }
        let types = example.token_type_ids.filter(|types| types.iter().any(|id| *id != 0));
        self.input_ids.push(example.input_ids);
        self.token_type_ids.push(types.unwrap_or_default());
        self.labels.push(example.label);
        self.targets.push(example.targets);
        self.logits.push(example.logits);
        self.positions.push(example.positions);
        self.tags.push(example.tags);
        self.first_words.push(example.first_word);
        self.id_hashes.push(example.id_hash);
        self.partner_hashes.push(example.partner_hash);
        self.rows.push(example.row);
        Ok(())
    }

    pub fn get(&self, index: usize) -> Example<'_> {
        let types = self.token_type_ids.get(index);
        Example {
            input_ids: self.input_ids.get(index),
            token_type_ids: (!types.is_empty()).then_some(types),
            label: self.labels[index],
            targets: self.targets.get(index),
            logits: self.logits.get(index),
            positions: self.positions.get(index),
            tags: self.tags.get(index),
            first_word: self.first_words[index],
            id_hash: self.id_hashes[index],
            partner_hash: self.partner_hashes[index],
            row: self.rows[index],
        }
    }

    pub fn lengths(&self) -> Vec<u32> {
        self.input_ids.lengths().map(|length| length as u32).collect()
    }

    pub fn clear(&mut self) {
        self.input_ids.clear();
        self.token_type_ids.clear();
        self.logits.clear();
        self.positions.clear();
        self.tags.clear();
        self.first_words.clear();
        self.labels.clear();
        self.targets.clear();
        self.id_hashes.clear();
        self.partner_hashes.clear();
        self.rows.clear();
    }
}

/// What keeps a row from being cached.
fn problem_of(example: &Example<'_>) -> Option<String> {
    let Example { input_ids, token_type_ids, positions, tags, logits, .. } = example;
    let tokens = input_ids.len();
    if input_ids.is_empty() {
        return Some("no tokens".to_owned());
    }
    if let Some(types) = token_type_ids.filter(|types| types.len() != tokens) {
        return Some(format!("{tokens} input_ids and {} token_type_ids", types.len()));
    }
    let rising = positions.windows(2).all(|pair| pair[0] < pair[1]);
    if !rising || positions.last().is_some_and(|last| *last as usize >= tokens) {
        return Some(format!("positions that do not rise inside its {tokens} input_ids"));
    }
    if !tags.is_empty() && tags.len() != positions.len() {
        return Some(format!("{} positions and {} tags", positions.len(), tags.len()));
    }
    if !logits.len().is_multiple_of(example.predictions()) {
        return Some(format!("{} positions and {} logits", positions.len(), logits.len()));
    }
    None
}
