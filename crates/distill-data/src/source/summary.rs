//! One pass over all rows: counts, and what only shows when all of them have been seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use distill_core::hash::text_hash;
use distill_core::{LabelError, LabelMap, ProblemType, StopSignal};

use super::Source;
use super::ids::{IdHash, Ids};
use super::labels::RawLabel;
use super::row::Row;
use crate::error::{DataError, Place, name_list};

/// More classes than any classifier has: a larger id means that the column holds something else.
const MAX_LABELS: i64 = 1 << 20;

/// What one pass over a source found. All ids differ and labels are of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The source.
    pub path: PathBuf,
    /// Number of rows.
    pub rows: u64,
    /// Rows without a label.
    pub unlabelled: u64,
    /// Rows whose text, and second text if any, is empty.
    pub empty_texts: u64,
    /// True where any row has a second text.
    pub has_pair: bool,
    /// Bytes of the longest text, both texts of a pair together.
    pub longest_text_bytes: u64,
    /// What a row's label is.
    pub problem_type: ProblemType,
    /// How often each class occurs; empty where labels are numbers.
    pub label_counts: BTreeMap<RawLabel, u64>,
}

impl Summary {
    /// Reads every row once. Memory does not grow with their number; of more than half a million, 16 bytes a row go to a
    /// temporary file to compare ids.
    ///
    /// # Errors
    /// Those of the rows; [`DataError::DuplicateId`] with both places; [`DataError::Value`] where names
    /// and ids are mixed as labels; [`DataError::Stopped`].
    pub fn scan(source: &Source, stop: &StopSignal) -> Result<Self, DataError> {
        let mut summary = Summary {
            path: source.path().to_owned(),
            rows: 0,
            unlabelled: 0,
            empty_texts: 0,
            has_pair: false,
            longest_text_bytes: 0,
            problem_type: source.problem_type(),
            label_counts: BTreeMap::new(),
        };
        let mut ids = Ids::default();
        for row in source.rows()? {
            let row = row?;
            stop.check()?;
            if !ids.add(&row.id) {
                return Err(duplicate(source, row));
            }
            summary.count(&row, source.columns().label_name())?;
        }
        let repeated = ids.repeated(stop)?;
        if repeated.is_empty() { Ok(summary) } else { Err(far_apart(source, &repeated)) }
    }

    fn count(&mut self, row: &Row, column: &str) -> Result<(), DataError> {
        let length = row.text.len() + row.text_pair.as_ref().map_or(0, String::len);
        self.rows += 1;
        self.empty_texts += u64::from(length == 0);
        self.has_pair |= row.text_pair.is_some();
        self.longest_text_bytes = self.longest_text_bytes.max(length as u64);
        let Some(label) = &row.label else {
            self.unlabelled += 1;
            return Ok(());
        };
        label.classes().iter().try_for_each(|class| self.count_class(class, row, column))
    }

    fn count_class(&mut self, label: &RawLabel, row: &Row, column: &str) -> Result<(), DataError> {
        if let RawLabel::Id(id) = label
            && !(0..MAX_LABELS).contains(id)
        {
            return Err(DataError::value(
                &row.place,
                column,
                format!("{id} is no label id; they are 0 to {}", MAX_LABELS - 1),
            ));
        }
        let other_kind = self.label_counts.keys().next().filter(|first| is_name(first) != is_name(label));
        if let Some(first) = other_kind {
            let what = format!("{label} among labels such as {first}: names and ids cannot be mixed");
            return Err(DataError::value(&row.place, column, what));
        }
        if self.label_counts.len() as i64 >= MAX_LABELS && !self.label_counts.contains_key(label) {
            return Err(DataError::value(&row.place, column, "too many different labels for classes"));
        }
        *self.label_counts.entry(label.clone()).or_default() += 1;
        Ok(())
    }

    /// The label map that these labels call for: `class_names` where the data carries them, else names
    /// sorted, else `LABEL_0` to the largest id; for numbers `LABEL_0` alone.
    ///
    /// # Errors
    /// [`DataError::Labels`] without any label, for an id below zero or beyond `class_names`, or a name
    /// that is not among them.
    pub fn label_map(&self, class_names: Option<&[String]>) -> Result<LabelMap, DataError> {
        let failed = |source: LabelError| DataError::Labels { file: self.path.clone(), source };
        let unfit = |what: String| DataError::Label { file: self.path.clone(), what };
        if self.problem_type == ProblemType::Regression {
            return LabelMap::numbered(1).map_err(failed);
        }
        let map = match (class_names, self.label_counts.last_key_value()) {
            (Some(names), _) => LabelMap::new(names),
            (None, None) => Err(LabelError::Unlabelled),
            (None, Some((RawLabel::Name(_), _))) => {
                LabelMap::new(self.label_counts.keys().map(RawLabel::to_name))
            }
            (None, Some((RawLabel::Id(last), _))) => {
                LabelMap::numbered((*last).clamp(0, MAX_LABELS) as usize + 1)
            }
        };
        let map = map.map_err(failed)?;
        for label in self.label_counts.keys() {
            match label {
                RawLabel::Id(id) if !(0..map.num_labels() as i64).contains(id) || *id >= MAX_LABELS => {
                    return Err(unfit(format!("label {id} is outside 0..{}", map.num_labels())));
                }
                RawLabel::Name(name) if map.id(name).is_none() => {
                    return Err(unfit(format!("label {name:?} is none of {}", name_list(map.names()))));
                }
                _ => {}
            }
        }
        Ok(map)
    }
}

fn is_name(label: &RawLabel) -> bool {
    matches!(label, RawLabel::Name(_))
}

/// Reads the source again to say where the first of these ids stands for the second time.
fn far_apart(source: &Source, repeated: &BTreeSet<IdHash>) -> DataError {
    let mut known = HashSet::new();
    let rows = source.rows().map(|mut rows| {
        rows.find(|row| match row {
            Ok(row) => {
                let hash = text_hash(&row.id, None);
                repeated.contains(&hash) && !known.insert(hash)
            }
            Err(_) => true,
        })
    });
    match rows {
        Ok(Some(Ok(second))) => duplicate(source, second),
        Ok(Some(Err(error))) | Err(error) => error,
        Ok(None) => {
            let what = "an id stood in two rows when it was read first, and no longer does".to_owned();
            DataError::Changed { file: source.path().to_owned(), what }
        }
    }
}

/// Reads the source again to say where the id stood first.
fn duplicate(source: &Source, second: Row) -> DataError {
    let first = source.rows().ok().and_then(|mut rows| rows.find_map(|row| first_of(row, &second.id)));
    if let Err(reason) = source.stop().check() {
        return reason.into();
    }
    match first {
        Some(first) => DataError::DuplicateId { id: second.id, first, second: second.place },
        None => DataError::value(&second.place, source.columns().id_name(), "the id stands twice"),
    }
}

fn first_of(row: Result<Row, DataError>, id: &str) -> Option<Place> {
    row.ok().filter(|row| row.id == id).map(|row| row.place)
}
