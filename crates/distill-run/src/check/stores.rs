//! Soft targets that exist before the pipeline runs: those of other teachers.

use std::path::Path;

use distill_data::DataError;
use distill_data::logits::{LogitsTable, Store};
use distill_student::teachers::TeacherEnsemble;

use super::Checker;
use crate::error::{Result, RunError};
use crate::settings::Settings;
use crate::{connect, inputs, student};

const PLACE: &str = "student.targets";

impl Checker<'_> {
    /// Opens the stores that the student learns from, but for the pipeline's own.
    pub(super) fn open_stores(&mut self, settings: &Settings) -> Result<()> {
        let Some(targets) = &settings.student.start.targets else { return Ok(()) };
        let (own, directories) = (self.own_targets(), targets.directories());
        if directories.is_empty() {
            self.found.problems.add(PLACE, RunError::usage("student.targets is an empty list"));
        }
        self.stores.clear();
        for directory in directories.iter().filter(|directory| **directory != own) {
            let opened = self.found.problems.take(PLACE, student::open_store(directory))?;
            self.stores.extend(opened);
        }
        if !self.is_taught(settings)
            && let Some(first) = self.stores.first()
        {
            self.labels = Some(first.fingerprint().label_map.clone());
            self.problem_type = Some(first.fingerprint().problem_type);
            self.must_be_of_their_kind(settings);
        }
        if let Some(problem_type) = self.problem_type {
            let start = &settings.student.start;
            let mixture =
                TeacherEnsemble::new(&start.teacher_weights, directories.len(), start.average, problem_type);
            self.found.problems.take("[student]", mixture)?;
        }
        for store in self.stores.clone() {
            self.fits_student(settings, &store)?;
        }
        Ok(())
    }

    fn must_be_of_their_kind(&mut self, settings: &Settings) {
        let Some(own) = self.problem_type else { return };
        if let Err(error) = inputs::must_be_asked_for(&settings.data, own, "that of the soft targets") {
            self.found.problems.add("[data]", error);
        }
    }

    /// A student reads no more of a text than its teacher did, and needs texts.
    fn fits_student(&mut self, settings: &Settings, store: &Store) -> Result<()> {
        let (teachers, own) = (store.fingerprint().max_length as usize, settings.data.max_length.unwrap_or(0));
        let name = store.directory().display();
        if own > teachers {
            let what = format!(
                "max_length is {own}, but the teacher of {name} read only {teachers} tokens of each row"
            );
            self.found.problems.add("data.max_length", RunError::usage(what));
        }
        if connect::rows_to_join(settings).is_none() {
            let has_texts = self.found.problems.take(PLACE, has_texts(store))?;
            if has_texts == Some(false) {
                let what = format!(
                    "{name} was written without texts: set teacher.text = false, and data.train to the rows that \
                     the teacher read"
                );
                self.found.problems.add(PLACE, RunError::usage(what));
            }
        }
        Ok(())
    }

    /// Settings whose rows are read by the columns that the teacher of a store read, where none are named.
    pub(super) fn with_columns_of_store(&mut self, settings: &Settings) -> Result<Settings> {
        let mut settings = settings.clone();
        if let Some(store) = self.stores.first().filter(|_| !self.is_taught(&settings)) {
            let columns = student::columns_of(store, &settings.data.columns);
            settings.data.columns = self.found.problems.take(PLACE, columns)?.unwrap_or(settings.data.columns);
        }
        Ok(settings)
    }

    /// All teachers have the same labels.
    pub(super) fn must_share_labels(&mut self, settings: &Settings) -> Result<()> {
        let Some((labels, problem_type)) = self.labels() else { return Ok(()) };
        let first = match self.stores.first() {
            Some(store) if !self.is_taught(settings) => store.directory().display().to_string(),
            _ => "the teacher".to_owned(),
        };
        for store in &self.stores {
            let (name, print) = (store.directory().display().to_string(), store.fingerprint());
            let equal = labels.must_equal(&first, &print.label_map, &name);
            self.found.problems.take(PLACE, equal)?;
            if print.problem_type != problem_type {
                let what =
                    format!("problem_type of {first} is {problem_type}, of {name} {}", print.problem_type);
                self.found.problems.add(PLACE, RunError::data(what));
            }
        }
        Ok(())
    }
}

/// Whether a store carries the texts of its rows: all of them do or none, so the first one says it.
fn has_texts(store: &Store) -> Result<bool, DataError> {
    let Some(shard) = store.manifest().shards.first() else { return Ok(true) };
    let path = store.directory().join(Path::new(&shard.file.name));
    match LogitsTable::open(&path)?.rows()?.next() {
        None => Ok(true),
        Some(row) => Ok(row?.text.is_some()),
    }
}
