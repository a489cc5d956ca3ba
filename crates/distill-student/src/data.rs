//! What a run trains on: rows as tokens, labels and soft targets, cut into a training and a
//! validation part.

use std::path::Path;
use std::sync::Arc;

use distill_core::hash::parts_hash;
use distill_core::{LabelMap, StopSignal};
use distill_data::augment::Origin;
use distill_data::cache::{CacheWriter, Example, NO_TAG, TokenCache, id_hash};
use distill_data::logits::{LogitsRow, Store};
use distill_data::source::{Row, Source, resolve};
use distill_data::{DataError, TextTokenizer, TokenError};
use distill_task::{Positions, TaskId};
use distill_teacher::pieces::{OVERLAP, Piece, RowText, encode};
use tracing::trace_span;

use crate::error::TrainError;
use crate::labels;
use crate::prepared::{Filling, Prepared};
use crate::soft_targets::{SoftTarget, TargetIndex};
use crate::supervision::{self, Supervised};

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

    /// How many rows of the data these are. A long row of words has several windows, which follow one another.
    pub fn num_data_rows(&self) -> usize {
        let mut before = None;
        let begins = |example: &Example<'_>| {
            let own = (example.row, example.id_hash);
            before.replace(own) != Some(own) || example.positions.is_empty()
        };
        self.iter().filter(begins).count()
    }

    /// How many rows carry a label.
    pub fn labelled(&self) -> usize {
        self.iter().filter(Example::is_labelled).count()
    }

    /// How many predictions have a label to be compared with: rows, or words.
    pub fn labelled_predictions(&self) -> usize {
        let labelled = |example: Example<'_>| match example.tags {
            [] => usize::from(example.is_labelled()),
            tags => tags.iter().filter(|tag| **tag != NO_TAG).count(),
        };
        self.iter().map(labelled).sum()
    }

    /// The rows that carry a label.
    #[must_use]
    pub fn labelled_part(&self) -> Self {
        let rows = self.rows.iter().copied();
        let rows = rows.filter(|row| self.cache.get(*row as usize).is_labelled()).collect();
        Part { cache: Arc::clone(&self.cache), rows }
    }

    /// How many rows, or words, carry each of `num_labels` labels, `[C]`.
    pub fn label_counts(&self, num_labels: usize) -> Vec<u64> {
        let mut counts = vec![0; num_labels];
        for example in self.iter() {
            let class = example.label.and_then(|label| usize::try_from(label).ok());
            if let Some(count) = class.and_then(|label| counts.get_mut(label)) {
                *count += 1;
            }
            let classes = example.tags.iter().filter_map(|tag| usize::try_from(*tag).ok());
            for class in classes {
                if let Some(count) = counts.get_mut(class) {
                    *count += 1;
                }
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
        self.open(&[("source", data_hash), ("reading", &reading)], &about, |filling| {
            in_chunks(source.clone().holding(data_hash).rows()?, |rows| {
                self.stop.check()?;
                self.push_rows(rows, |_| Ok(SoftTarget::default()), filling)
            })
        })
    }

    /// The rows of a soft-target store that carries its texts.
    ///
    /// # Errors
    /// [`TrainError`] where the store is damaged or has no texts.
    pub fn from_store(&self, store: &Store, store_hash: &str) -> Result<Part, TrainError> {
        let about = format!("soft targets {}", store.directory().display());
        self.open(&[("targets", store_hash)], &about, |filling| {
            in_chunks(store.rows(), |rows: &[LogitsRow]| {
                self.stop.check()?;
                self.push_targets(rows, filling)
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
        self.open(&inputs, &about, |filling| {
            let targets = self.index(store)?;
            in_chunks(source.clone().holding(data_hash).rows()?, |rows| {
                self.stop.check()?;
                self.push_rows(rows, |row| targets.of(row), filling)
            })
        })
    }

    pub(crate) fn open(
        &self,
        inputs: &[(&str, &str)],
        about: &str,
        build: impl FnOnce(&mut Filling<'_>) -> Result<(), TrainError>,
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
        let overlap = OVERLAP.to_string();
        let has_windows = self.problem_type.positions() != Positions::Row;
        let windows = has_windows.then_some(("window_overlap", overlap.as_str()));
        let key = parts_hash(inputs.iter().copied().chain(own).chain(windows));
        let mut lost = 0;
        let build = |writer: &mut CacheWriter| -> Result<(), TrainError> {
            let mut filling = Filling { writer, lost: 0 };
            build(&mut filling)?;
            lost = filling.lost;
            warn_of_words_without_target(filling.writer.left_out());
            Ok(())
        };
        let cache = match self.directory {
            Some(directory) => {
                let about = format!("{about}, rows of at most {max_length} tokens");
                TokenCache::open_or_build(directory, &key, &about, self.stop, build)?
            }
            None => TokenCache::in_memory(build)?,
        };
        if lost > 0 {
            tracing::warn!(
                "{about}: {lost} answers are whole in no window of {max_length} tokens, and \"no answer\" is learned for these \
                 rows; increase max_length if they are long, or remove white space around them"
            );
        }
        if u32::try_from(cache.len()).is_err() {
            return Err(TrainError::Rows(format!("{} rows are more than one run supports", cache.len())));
        }
        Ok(Part::whole(cache))
    }

    /// The pieces of each row: one for a text, else its windows.
    fn encode(&self, rows: &[Prepared<'_>]) -> Result<Vec<Vec<Piece>>, TrainError> {
        let _span = trace_span!(target: "timeline", "tokenize").entered();
        let positions = self.problem_type.positions();
        if let Some(row) = rows.iter().find(|row| positions == Positions::Word && row.tokens.is_none()) {
            return Err(row.no_words());
        }
        let texts =
            rows.iter().map(|row| RowText { text: row.text, text_pair: row.text_pair, words: row.tokens });
        encode(self.tokenizer, positions, &texts.collect::<Vec<_>>()).map_err(|error| match error {
            TokenError::Encode { index, reason } if index < rows.len() => rows[index].unfit(&reason),
            other => other.into(),
        })
    }

    /// What is learned from each piece of a row.
    fn supervised(&self, row: &Prepared<'_>, pieces: &[Piece]) -> Result<Vec<Supervised>, TrainError> {
        let label = row.label.as_ref();
        if self.problem_type.positions() == Positions::Span {
            return supervision::of_answers(pieces, label, &row.target).ok_or_else(|| row.other_windows());
        }
        let of_piece = |piece: &Piece| match piece.positions.is_empty() {
            true => Supervised { logits: row.target.logits.to_vec(), ..Supervised::default() },
            false => supervision::of_words(piece, label, &row.target),
        };
        Ok(pieces.iter().map(of_piece).collect())
    }

    fn push(&self, rows: &[Prepared<'_>], filling: &mut Filling<'_>) -> Result<(), TrainError> {
        for (row, pieces) in rows.iter().zip(self.encode(rows)?) {
            let (label, targets) = labels::cached(row.label.as_ref(), self.labels.num_labels());
            let origin = Origin::of(row.id);
            filling.lost += usize::from(supervision::is_lost(&pieces, row.label.as_ref()));
            for (piece, own) in pieces.iter().zip(self.supervised(row, &pieces)?) {
                let words = !piece.positions.is_empty();
                if words && !row.target.logits.is_empty() {
                    filling.writer.leave_out((piece.positions.len() - own.positions.len()) as u64);
                }
                if words && own.positions.is_empty() {
                    continue;
                }
                filling.writer.push(Example {
                    input_ids: &piece.tokens.input_ids,
                    token_type_ids: Some(&piece.tokens.token_type_ids),
                    label,
                    targets: &targets,
                    logits: &own.logits,
                    positions: &own.positions,
                    tags: &own.tags,
                    first_word: own.first_word,
                    id_hash: id_hash(origin.id),
                    partner_hash: origin.partner_hash,
                    row: row.row,
                })?;
            }
        }
        Ok(())
    }

    pub(crate) fn push_rows<'t>(
        &self,
        rows: &[Row],
        target: impl Fn(&Row) -> Result<SoftTarget<'t>, TrainError>,
        filling: &mut Filling<'_>,
    ) -> Result<(), TrainError> {
        let prepared = rows.iter().map(|row| {
            let label = row.label.as_ref();
            Ok(Prepared {
                row: row.row,
                place: Some(&row.place),
                id: &row.id,
                text: &row.text,
                text_pair: row.text_pair.as_deref(),
                tokens: row.tokens.as_deref(),
                label: label.map(|label| resolve(label, self.labels, &row.place, "label")).transpose()?,
                target: target(row)?,
            })
        });
        self.push(&prepared.collect::<Result<Vec<_>, TrainError>>()?, filling)
    }

    pub(crate) fn push_targets(&self, rows: &[LogitsRow], filling: &mut Filling<'_>) -> Result<(), TrainError> {
        let prepared = rows.iter().map(|row| {
            let text = row.text.as_deref().ok_or_else(|| {
                TrainError::Rows(
                    "the soft-target store was written without texts; give the rows with --data".to_owned(),
                )
            })?;
            Ok(Prepared {
                row: row.row.cast_unsigned(),
                place: None,
                id: &row.id,
                text,
                text_pair: row.text_pair.as_deref(),
                tokens: row.tokens.as_deref(),
                label: row.label.clone(),
                target: row.into(),
            })
        });
        self.push(&prepared.collect::<Result<Vec<_>, TrainError>>()?, filling)
    }

    pub(crate) fn index(&self, store: &Store) -> Result<TargetIndex, TrainError> {
        TargetIndex::read(store, self.stop)
    }
}

/// A teacher whose tokenizer makes no tokens of a word says nothing of it.
fn warn_of_words_without_target(words: u64) {
    if words > 0 {
        tracing::warn!(
            "{words} words have no soft target and are left out, also where they have a tag: the teacher's tokenizer makes no \
             tokens of them"
        );
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
