//! What the teacher says of the validation rows, which it is judged by.

use std::path::Path;

use distill_data::logits::Store;
use distill_data::source::Source;
use distill_model::ModelDirectory;
use distill_student::data::Part;
use distill_student::teachers::TeacherEnsemble;
use distill_teacher::ForwardPass;
use distill_teacher::forward::default_batch_tokens;

use super::stores::model_behind;
use crate::error::{Result, RunError};
use crate::session::Session;
use crate::{inputs, training};

/// Logits of a part's rows, row-major `[N, C]`, or why they cannot be had.
pub type TeacherLogits = Result<Vec<f32>, String>;

/// Rows that were cut off the store's bring their soft targets along.
pub fn from_store(validation: &Part) -> TeacherLogits {
    Ok(validation.iter().flat_map(|example| example.logits.iter().copied()).collect())
}

/// The teachers of stores, used for rows that the stores do not have.
pub struct StoreTeachers<'a> {
    /// The stores.
    pub stores: &'a [Store],
    /// A model that may be one of theirs.
    pub named: Option<&'a ModelDirectory>,
    /// How their logits become one's.
    pub mixture: &'a TeacherEnsemble,
    /// The directory of token caches.
    pub caches: Option<&'a Path>,
    /// What runs it.
    pub session: &'a Session,
}

impl StoreTeachers<'_> {
    /// What they say of a file's rows. Whatever fails is a reason why they cannot be asked: a run can do without.
    ///
    /// # Errors
    /// A stop.
    pub fn of(&self, rows: &Source) -> Result<TeacherLogits> {
        let logits: Result<Vec<Vec<f32>>> = self.stores.iter().map(|store| self.ask(store, rows)).collect();
        self.session.stop.check()?;
        Ok(match logits {
            Ok(logits) => Ok(self.mixed(logits)),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// The logits of one store's teacher, computed as those in the store were.
    fn ask(&self, store: &Store, rows: &Source) -> Result<Vec<f32>> {
        let print = store.fingerprint();
        let directory = model_behind(store, self.named)?;
        let (path, config) = (directory.path().display(), directory.config());
        let tokenizer =
            inputs::tokenizer_for(print.problem_type, directory.path(), print.max_length as usize, config)?;
        if tokenizer.hash() != print.tokenizer || config.labels != print.label_map {
            let store = store.directory().display();
            return Err(RunError::usage(format!(
                "{path} has a different tokenizer or different labels than the teacher of \
                                          {store}"
            )));
        }
        tracing::info!("running the teacher at {path} on the validation file");
        let session = self.session;
        let builder = training::builder(&tokenizer, &print.label_map, print.problem_type, self.caches, session);
        let part = builder.from_source(rows, &rows.hash()?)?;
        let model = &directory
            .clone()
            .holding(&print.teacher_weights)
            .load_classifier_as(session.device, session.kind)?;
        let batch_tokens = default_batch_tokens(session.device);
        let examples: Vec<_> = part.iter().collect();
        Ok(ForwardPass { model, batch_tokens, stop: &session.stop }.logits(&examples, |_| ())?)
    }

    fn mixed(&self, mut each: Vec<Vec<f32>>) -> Vec<f32> {
        // What one teacher says is its store's to the bit.
        if each.len() == 1 {
            return each.remove(0);
        }
        let num_labels = self.stores.first().map_or(1, |store| store.fingerprint().label_map.num_labels());
        let rows = each.first().map_or(0, |logits| logits.len() / num_labels);
        let of_row = |row: usize| {
            let of_row = each.iter().map(|logits| &logits[row * num_labels..(row + 1) * num_labels]);
            self.mixture.combine(&of_row.collect::<Vec<_>>())
        };
        (0..rows).flat_map(of_row).collect()
    }
}
