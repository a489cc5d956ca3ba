//! Rows as columns in memory: what is written as one record batch, and the whole of a cache without a file.

use super::CacheError;

/// One cached row.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// The teacher's logits, untempered, `[C]`; empty without a teacher.
    pub logits: &'a [f32],
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
        self.label.is_some() || !self.targets.is_empty()
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
        let types = example.token_type_ids.filter(|types| types.iter().any(|id| *id != 0));
        let problem = match types {
            _ if example.input_ids.is_empty() => "no tokens".to_owned(),
            Some(types) if types.len() != example.input_ids.len() => {
                format!("{} input_ids and {} token_type_ids", example.input_ids.len(), types.len())
            }
            _ => {
                self.input_ids.push(example.input_ids);
                self.token_type_ids.push(types.unwrap_or_default());
                self.labels.push(example.label);
                self.targets.push(example.targets);
                self.logits.push(example.logits);
                self.id_hashes.push(example.id_hash);
                self.partner_hashes.push(example.partner_hash);
                self.rows.push(example.row);
                return Ok(());
            }
        };
        Err(CacheError::Row { row: example.row, problem })
    }

    pub fn get(&self, index: usize) -> Example<'_> {
        let types = self.token_type_ids.get(index);
        Example {
            input_ids: self.input_ids.get(index),
            token_type_ids: (!types.is_empty()).then_some(types),
            label: self.labels[index],
            targets: self.targets.get(index),
            logits: self.logits.get(index),
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
        self.labels.clear();
        self.targets.clear();
        self.id_hashes.clear();
        self.partner_hashes.clear();
        self.rows.clear();
    }
}
