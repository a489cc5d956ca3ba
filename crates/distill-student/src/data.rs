//! What a run trains on: rows as tokens, labels and soft targets, cut into a training and a
//! validation part.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use distill_core::hash::{parts_hash, text_hash};
use distill_core::{LabelMap, StopSignal};
use distill_data::augment::Origin;
use distill_data::cache::{CacheWriter, Example, TokenCache, id_hash};
use distill_data::logits::{LogitsRow, Store};
use distill_data::source::{Row, Source, resolve};
use distill_data::{DataError, TextTokenizer, Tokens};
use distill_task::TaskId;
use tracing::trace_span;

use crate::error::TrainError;
use crate::labels;

/// Rows that are tokenized at a time.
const CHUNK_ROWS: usize = 2048;

/// Some rows of a token cache.
#[derive(Clone, Debug)]
pub struct Part {
    /// The cache.
    pub cache: Arc<TokenCache>,
    /// Numbers of this part's rows in the cache.
    pub rows: Vec<u32>,
}

impl Part {
    /// All rows of a cache.
    pub fn whole(cache: TokenCache) -> Self {
        let rows = (0..cache.len() as u32).collect();
        Part { cache: Arc::new(cache), rows }
    }

    /// The examples in the order of `rows`.
    pub fn iter(&self) -> impl Iterator<Item = Example<'_>> {
        self.rows.iter().map(|row| self.cache.get(*row as usize))
    }

    /// How many rows carry a label.
    pub fn labelled(&self) -> usize {
        self.iter().filter(Example::is_labelled).count()
    }

    /// The rows that carry a label.
    #[must_use]
    pub fn labelled_part(&self) -> Self {
        let rows = self.rows.iter().copied();
        let rows = rows.filter(|row| self.cache.get(*row as usize).is_labelled()).collect();
        Part { cache: Arc::clone(&self.cache), rows }
    }

    /// How many rows carry each of `num_labels` labels, `[C]`.
    pub fn label_counts(&self, num_labels: usize) -> Vec<u64> {
        let mut counts = vec![0; num_labels];
        for example in self.iter() {
            let class = example.label.and_then(|label| usize::try_from(label).ok());
            if let Some(count) = class.and_then(|label| counts.get_mut(label)) {
                *count += 1;
            }
            // Multi-label; a regression value has no class.
            if example.targets.len() == num_labels {
                counts
                    .iter_mut()
                    .zip(example.targets)
                    .for_each(|(count, target)| *count += u64::from(*target == 1.0));
            }
        }
        counts
    }

    /// How many tokens a training pass reads, and how many of them are `token`.
    pub fn count_token(&self, token: u32) -> (u64, u64) {
        self.iter().fold((0, 0), |(all, found), example| {
            let own = example.input_ids.iter().filter(|id| **id == token).count();
            (all + example.input_ids.len() as u64, found + own as u64)
        })
    }
}

/// The two parts of a run.
#[derive(Clone, Debug)]
pub struct TrainingData {
    /// Rows that are trained on.
    pub train: Part,
    /// Rows that choose the best checkpoint.
    pub validation: Part,
}

/// How rows become a token cache.
pub struct CacheBuilder<'a> {
    /// The student's tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// The label map that labels are resolved by.
    pub labels: &'a LabelMap,
    /// What a row's label is.
    pub problem_type: TaskId,
    /// The directory of caches; none: in memory.
    pub directory: Option<&'a Path>,
    /// Asked between chunks.
    pub stop: &'a StopSignal,
}

impl CacheBuilder<'_> {
    /// Labelled rows without soft targets. `data_hash` is the source's: where other rows are read, nothing is kept.
    ///
    /// # Errors
    /// [`TrainError`] for a row that cannot be read or a label that is not known.
    pub fn from_source(&self, source: &Source, data_hash: &str) -> Result<Part, TrainError> {
        let reading = reading(source);
        let about = source.path().display().to_string();
        self.open(&[("source", data_hash), ("reading", &reading)], &about, |writer| {
            in_chunks(source.clone().holding(data_hash).rows()?, |rows| {
                self.stop.check()?;
                self.push_rows(rows, |_| Ok(Vec::new()), writer)
            })
        })
    }

    /// The rows of a soft-target store that carries its texts.
    ///
    /// # Errors
    /// [`TrainError`] where the store is damaged or has no texts.
    pub fn from_store(&self, store: &Store, store_hash: &str) -> Result<Part, TrainError> {
        let about = format!("soft targets {}", store.directory().display());
        self.open(&[("targets", store_hash)], &about, |writer| {
            in_chunks(store.rows(), |rows: &[LogitsRow]| {
                self.stop.check()?;
                self.push_targets(rows, writer)
            })
        })
    }

    /// Rows of a source with the soft targets of a store, joined by id and text hash.
    ///
    /// # Errors
    /// [`TrainError::Rows`] naming the first row without a soft target.
    pub fn from_join(
        &self,
        source: &Source,
        data_hash: &str,
        store: &Store,
        store_hash: &str,
    ) -> Result<Part, TrainError> {
        let reading = reading(source);
        let about = format!("{} with soft targets {}", source.path().display(), store.directory().display());
        let inputs = [("source", data_hash), ("reading", &reading), ("targets", store_hash)];
        self.open(&inputs, &about, |writer| {
            let targets = self.index(store)?;
            in_chunks(source.clone().holding(data_hash).rows()?, |rows| {
                self.stop.check()?;
                self.push_rows(rows, |row| targets.of(row), writer)
            })
        })
    }

    pub(crate) fn open(
        &self,
        inputs: &[(&str, &str)],
        about: &str,
        build: impl FnOnce(&mut CacheWriter) -> Result<(), TrainError>,
    ) -> Result<Part, TrainError> {
        let _span = trace_span!(target: "timeline", "cache").entered();
        let max_length = self.tokenizer.max_length().to_string();
        let labels = self.labels.names().join("\u{1f}");
        let own = [
            ("tokenizer", self.tokenizer.hash()),
            ("max_length", &max_length),
            ("labels", &labels),
            ("problem_type", self.problem_type.name()),
        ];
        let key = parts_hash(inputs.iter().copied().chain(own));
        let cache = match self.directory {
            Some(directory) => {
                let about = format!("{about}, rows of at most {max_length} tokens");
                TokenCache::open_or_build(directory, &key, &about, self.stop, build)?
            }
            None => TokenCache::in_memory(build)?,
        };
        if u32::try_from(cache.len()).is_err() {
            return Err(TrainError::Rows(format!("{} rows are more than one run supports", cache.len())));
        }
        Ok(Part::whole(cache))
    }

    fn encode(&self, texts: &[(&str, Option<&str>)]) -> Result<Vec<Tokens>, TrainError> {
        let _span = trace_span!(target: "timeline", "tokenize").entered();
        Ok(self.tokenizer.encode_batch(texts)?)
    }

    pub(crate) fn push_rows(
        &self,
        rows: &[Row],
        target: impl Fn(&Row) -> Result<Vec<f32>, TrainError>,
        writer: &mut CacheWriter,
    ) -> Result<(), TrainError> {
        let texts: Vec<(&str, Option<&str>)> =
            rows.iter().map(|row| (row.text.as_str(), row.text_pair.as_deref())).collect();
        for (row, tokens) in rows.iter().zip(self.encode(&texts)?) {
            let label =
                row.label.as_ref().map(|label| resolve(label, self.labels, &row.place, "label")).transpose()?;
            let (label, targets) = labels::cached(label.as_ref(), self.labels.num_labels());
            let origin = Origin::of(&row.id);
            writer.push(Example {
                input_ids: &tokens.input_ids,
                token_type_ids: Some(&tokens.token_type_ids),
                label,
                targets: &targets,
                logits: &target(row)?,
                id_hash: id_hash(origin.id),
                partner_hash: origin.partner_hash,
                row: row.row,
                ..Example::default()
            })?;
        }
        Ok(())
    }

    pub(crate) fn push_targets(&self, rows: &[LogitsRow], writer: &mut CacheWriter) -> Result<(), TrainError> {
        let texts = rows.iter().map(|row| {
            let text = row.text.as_deref().ok_or_else(|| {
                TrainError::Rows(
                    "the soft-target store was written without texts; give the rows with --data".to_owned(),
                )
            })?;
            Ok((text, row.text_pair.as_deref()))
        });
        let texts = texts.collect::<Result<Vec<_>, TrainError>>()?;
        for (row, tokens) in rows.iter().zip(self.encode(&texts)?) {
            let (label, targets) = labels::cached(row.label.as_ref(), self.labels.num_labels());
            let origin = Origin::of(&row.id);
            writer.push(Example {
                input_ids: &tokens.input_ids,
                token_type_ids: Some(&tokens.token_type_ids),
                label,
                targets: &targets,
                logits: &row.logits,
                id_hash: id_hash(origin.id),
                partner_hash: origin.partner_hash,
                row: row.row.cast_unsigned(),
                ..Example::default()
            })?;
        }
        Ok(())
    }

    pub(crate) fn index(&self, store: &Store) -> Result<TargetIndex, TrainError> {
        TargetIndex::read(store, self.stop)
    }
}

/// How the bytes of a source become rows: by its ending and its columns. The same file read by another
/// column holds other texts.
pub(crate) fn reading(source: &Source) -> String {
    let ending = source.path().extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let columns = source.columns();
    let names = [columns.id_name(), columns.text_name(), columns.text_pair_name(), columns.label_name()];
    // The number changes where the same bytes are read as other rows.
    let asked = (source.label_type(), source.label_names(), source.delimiter(), source.reading());
    format!("2\u{1f}{ending}\u{1f}{}\u{1f}{asked:?}", names.join("\u{1f}"))
}

/// Soft targets by id and text hash. Memory: the logits and 24 bytes a row.
#[derive(Debug)]
pub(crate) struct TargetIndex {
    num_labels: usize,
    rows: HashMap<[u8; 16], usize>,
    logits: Vec<f32>,
}

impl TargetIndex {
    /// Reads all of a store.
    pub fn read(store: &Store, stop: &StopSignal) -> Result<Self, TrainError> {
        let num_labels = store.fingerprint().label_map.num_labels();
        let mut index = TargetIndex { num_labels, rows: HashMap::new(), logits: Vec::new() };
        in_chunks(store.rows(), |rows: &[LogitsRow]| {
            stop.check()?;
            for row in rows {
                index.rows.insert(join_key(&row.id, &row.text_hash), index.logits.len() / num_labels);
                index.logits.extend_from_slice(&row.logits);
            }
            Ok(())
        })?;
        Ok(index)
    }

    pub fn of(&self, row: &Row) -> Result<Vec<f32>, TrainError> {
        let key = join_key(&row.id, &text_hash(&row.text, row.text_pair.as_deref()));
        let found = self.find(&key).ok_or_else(|| {
            TrainError::Rows(format!(
                "row {} (id {:?}): the soft-target store has no row with this id and text",
                row.row, row.id
            ))
        })?;
        Ok(found.to_vec())
    }

    /// The soft target of a [`join_key`].
    pub fn find(&self, key: &[u8; 16]) -> Option<&[f32]> {
        let at = self.rows.get(key)?;
        Some(&self.logits[at * self.num_labels..(at + 1) * self.num_labels])
    }
}

pub(crate) fn join_key(id: &str, text_hash: &[u8; 16]) -> [u8; 16] {
    let mut hasher_input = Vec::with_capacity(id.len() + text_hash.len());
    hasher_input.extend_from_slice(text_hash);
    hasher_input.extend_from_slice(id.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&distill_core::hash::digest(&hasher_input)[..16]);
    key
}

/// Hands a stream on in chunks, so that each can be tokenized on all cores.
pub(crate) fn in_chunks<T>(
    mut rows: impl Iterator<Item = Result<T, DataError>>,
    mut each: impl FnMut(&[T]) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    loop {
        let reading = trace_span!(target: "timeline", "read").entered();
        let chunk = rows.by_ref().take(CHUNK_ROWS).collect::<Result<Vec<T>, DataError>>()?;
        drop(reading);
        if chunk.is_empty() {
            return Ok(());
        }
        each(&chunk)?;
    }
}
