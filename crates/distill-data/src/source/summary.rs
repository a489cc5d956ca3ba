//! One pass over all rows: counts, and what only shows when all of them have been seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use distill_core::StopSignal;
use distill_core::hash::text_hash;
use distill_task::TaskId;
use distill_task::tags::Scheme;

use super::Source;
use super::found::Found;
use super::ids::{IdHash, Ids};
use super::labels::RawLabel;
use super::note::Note;
use super::reading::{self, Reading};
use super::row::Row;
use super::tags::TagWatch;
use super::tally::Tally;
use crate::error::{DataError, Place};

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
    pub problem_type: TaskId,
    /// How often each class occurs, as far as this is known without a label map: a number may still turn out to be
    /// a name. Of tags, how many words have each. Empty where labels are numbers.
    pub label_counts: BTreeMap<RawLabel, u64>,
    /// What is to be said of how the source was read.
    pub notes: Vec<Note>,
    pub(super) reading: Reading,
    pub(super) tally: Tally,
    /// The scheme of tags.
    pub(super) scheme: Option<Scheme>,
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
            notes: Vec::new(),
            reading: Reading::default(),
            tally: Tally::default(),
            scheme: None,
        };
        let mut tags = TagWatch::of(source)?;
        let mut ids = Ids::default();
        let mut rows = source.rows()?;
        while let Some((row, found)) = rows.next_found()? {
            stop.check()?;
            if !ids.add(&row.id) {
                return Err(duplicate(source, row));
            }
            summary.count(&row, found.as_ref(), source)?;
            if let (Some(watch), Some(Found::Tags(tags))) = (&mut tags, &found) {
                watch.push(&row, tags);
            }
        }
        let repeated = ids.repeated(stop)?;
        if !repeated.is_empty() {
            return Err(far_apart(source, &repeated));
        }
        summary.notes = rows.into_notes();
        summary.scheme = tags.map_or(Ok(None), |tags| tags.finish(source))?;
        summary.look_back(source)?;
        Ok(summary)
    }

    /// The scheme that the tags of words are in; none where there are none, or where they are ids without names.
    pub fn tag_scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    fn count(&mut self, row: &Row, found: Option<&Found>, source: &Source) -> Result<(), DataError> {
        let length = row.text.len() + row.text_pair.as_ref().map_or(0, String::len);
        self.rows += 1;
        self.empty_texts += u64::from(length == 0);
        self.has_pair |= row.text_pair.is_some();
        self.longest_text_bytes = self.longest_text_bytes.max(length as u64);
        match found {
            None => self.unlabelled += 1,
            Some(found) => {
                let added = self.tally.add(found, source.ask(), &row.place);
                added.map_err(|what| DataError::value(&row.place, source.columns().label_name(), what))?;
            }
        }
        Ok(())
    }

    /// What only shows when all labels have been seen.
    fn look_back(&mut self, source: &Source) -> Result<(), DataError> {
        let file = self.path.display().to_string();
        let column = source.columns().label_name();
        if let Some(place) = &self.tally.minus_one {
            if self.tally.counts.len() > 1 || self.tally.lists.rows > 0 {
                let what = "-1 is not a label id; for a row without a label, leave it empty or null (a file in \
                            which all labels are -1 is unlabelled; --label-type name reads -1 as a name)";
                return Err(DataError::value(place, column, what));
            }
            self.reading.minus_one = true;
            self.tally.counts.clear();
            self.unlabelled = self.rows;
            self.notes.push(Note::said(format!("{file}: all labels are -1: its rows are unlabelled")));
        }
        if self.tally.are_codes() {
            self.reading.ids = reading::Ids::AsNames;
            let code = self.tally.digits.as_deref().unwrap_or_default();
            self.notes.push(Note::said(format!(
                "{file}: some labels are numbers and some, such as {code:?}, have leading zeros: all are read as \
                 names (--label-type id reads ids)"
            )));
        }
        for (label, count) in &self.tally.counts {
            let label = self.reading.class(label.clone()).unwrap_or_else(|_| label.clone());
            *self.label_counts.entry(label).or_default() += count;
        }
        self.notes.extend(self.variants());
        Ok(())
    }

    /// Names that differ in the case of their letters, or in spaces inside, alone.
    fn variants(&self) -> Option<Note> {
        let mut alike: BTreeMap<String, Vec<(&str, u64)>> = BTreeMap::new();
        for (label, count) in &self.label_counts {
            if let RawLabel::Name(name) = label {
                let plain = name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                alike.entry(plain).or_default().push((name, *count));
            }
        }
        let groups: Vec<String> = alike
            .values()
            .filter(|names| names.len() > 1)
            .take(5)
            .map(|names| {
                let shown = names.iter().map(|(name, count)| format!("{name:?} ({count} rows)"));
                shown.collect::<Vec<_>>().join(" and ")
            })
            .collect();
        (!groups.is_empty()).then(|| {
            Note::warning(format!(
                "{}: labels that differ only in case or spaces are different classes: {}",
                self.path.display(),
                groups.join("; ")
            ))
        })
    }
}

/// Reads the source again to say where the first of these ids stands for the second time.
fn far_apart(source: &Source, repeated: &BTreeSet<IdHash>) -> DataError {
    let mut known = HashSet::new();
    // Labels are not what is looked for: how they are read is not decided yet.
    let rows = source.clone().without_labels().rows().map(|mut rows| {
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
            let what = "an id was in two rows when the file was first read, but no longer is".to_owned();
            DataError::Changed { file: source.path().to_owned(), what }
        }
    }
}

/// Reads the source again to say where the id stood first.
fn duplicate(source: &Source, second: Row) -> DataError {
    let first = source
        .clone()
        .without_labels()
        .rows()
        .ok()
        .and_then(|mut rows| rows.find_map(|row| first_of(row, &second.id)));
    if let Err(reason) = source.stop().check() {
        return reason.into();
    }
    match first {
        Some(first) => DataError::DuplicateId { id: second.id, first, second: second.place },
        None => DataError::value(&second.place, source.columns().id_name(), "the id is not unique"),
    }
}

fn first_of(row: Result<Row, DataError>, id: &str) -> Option<Place> {
    row.ok().filter(|row| row.id == id).map(|row| row.place)
}
