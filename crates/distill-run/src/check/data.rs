//! The rows of a pipeline: files, columns, labels and the label map that comes of them.

use std::path::Path;

use distill_data::choose_validation;
use distill_data::source::{Source, Summary};
use distill_task::TaskId;

use super::Checker;
use super::found::RowsFound;
use super::models::Model;
use crate::error::{Result, RunError};
use crate::settings::{Settings, Validation};
use crate::{connect, finetune, inputs};

impl Checker<'_> {
    /// Training and validation rows, and the label map.
    pub(super) fn training_rows(&mut self, settings: &Settings, teacher: Option<&Model>) -> Result<()> {
        let finetunes = settings.finetune.model.is_some();
        let needed = finetunes || self.is_taught(settings) || connect::rows_to_join(settings).is_some();
        let train = match (&settings.data.train, needed) {
            (Some(path), true) => self.scan(settings, "data.train", path, None)?,
            (None, true) => {
                self.found
                    .problems
                    .add("[data]", RunError::usage("data.train is missing; set it to the training rows"));
                None
            }
            (_, false) => None,
        };
        if let Some((source, summary)) = &train {
            self.find_labels(source, summary, teacher.filter(|_| finetunes))?;
            self.must_be_labelled(settings, source, summary);
        }
        self.validation(settings, train.as_ref().map(|(_, summary)| summary))?;
        if let Some(path) = settings.augment.unlabelled.as_ref().filter(|_| settings.augment.adds_rows()) {
            self.scan(
                settings,
                "augment.unlabelled",
                path,
                Some(settings.data.problem_type.unwrap_or_default()),
            )?;
        }
        self.masked_model(settings)
    }

    /// The label map of a teacher to be fine-tuned, or a check that an existing teacher has the rows' labels.
    fn find_labels(&mut self, source: &Source, summary: &Summary, to_finetune: Option<&Model>) -> Result<()> {
        if let Some(model) = to_finetune {
            let labels = finetune::label_map(summary, source.clone(), &model.directory)
                .and_then(|(labels, source)| finetune::several_classes(summary, &source).map(|()| labels));
            self.labels = self.found.problems.take("data.train", labels)?;
        } else if let Some(labels) = &self.labels {
            let checked = inputs::check_fit(source, summary, labels);
            self.found.problems.take("data.train", checked)?;
        }
        Ok(())
    }

    /// A student without a teacher needs labels.
    fn must_be_labelled(&mut self, settings: &Settings, source: &Source, summary: &Summary) {
        let student = &settings.student;
        let who = if student.train.soft_weight == 0.0 {
            "[student] with soft_weight = 0"
        } else if student.start.no_teacher_baseline {
            "the student without a teacher (no_teacher_baseline)"
        } else {
            return;
        };
        if summary.rows > 0 && summary.unlabelled == summary.rows {
            let (name, column) = (source.path().display(), source.columns().label_name());
            let what =
                format!("{name}: no row has a label in column {column:?}, but {who} is trained only on labels");
            self.found.problems.add("data.train", RunError::data(what));
        }
    }

    fn validation(&mut self, settings: &Settings, train: Option<&Summary>) -> Result<()> {
        match &settings.data.validation {
            Validation::File(path) => {
                let Some((source, summary)) = self.scan(settings, "data.validation", path, None)? else {
                    return Ok(());
                };
                if let Some(labels) = &self.labels {
                    let checked = inputs::check_fit(&source, &summary, labels);
                    self.found.problems.take("data.validation", checked)?;
                }
                if settings.finetune.model.is_some() && summary.unlabelled == summary.rows {
                    let what = format!("{}: no row has a label, so epochs cannot be compared", path.display());
                    self.found.problems.add("data.validation", RunError::data(what));
                }
            }
            Validation::Share(share) => {
                let Some(summary) = train.filter(|_| *share > 0.0 && *share < 1.0) else { return Ok(()) };
                let labelled = summary.rows - summary.unlabelled;
                // Only labelled rows are set aside, where there are any.
                let candidates = if labelled > 0 { labelled } else { summary.rows };
                let ids = (0..candidates).map(u64::to_le_bytes);
                let chosen = choose_validation(ids, *share, self.session.seed);
                self.found.problems.take("data.validation", chosen)?;
            }
        }
        Ok(())
    }

    /// Reads every row of a file once; their labels are those of `kind`, else of what is known of the pipeline's. Of a
    /// pipeline whose labels are not known yet, the file is looked for and not read.
    pub(super) fn scan(
        &mut self,
        settings: &Settings,
        place: &str,
        path: &Path,
        kind: Option<TaskId>,
    ) -> Result<Option<(Source, Summary)>> {
        if let Some(known) = self.rows.get(path) {
            return Ok(known.clone());
        }
        let known = kind.or(self.problem_type).or(settings.data.problem_type);
        let source = inputs::source(path, &settings.data, known.unwrap_or_default());
        let Some(source) = self.found.problems.take(place, source)? else {
            self.rows.insert(path.to_owned(), None);
            return Ok(None);
        };
        if known.is_none() {
            return Ok(None);
        }
        let summary = Summary::scan(&source, &self.session.stop);
        let scanned = self.found.problems.take(place, summary)?.map(|summary| (source, summary));
        if let Some((source, summary)) = &scanned {
            self.found.rows.push(RowsFound::of(place, source, summary));
        }
        self.rows.insert(path.to_owned(), scanned.clone());
        Ok(scanned)
    }
}
