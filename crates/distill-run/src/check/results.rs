//! What a pipeline writes: its report with gates and slices, and the directories of its stages.

use std::path::{Path, PathBuf};

use distill_report::ReportError;
use distill_report::gates::{Gate, Planned, baseline};

use super::Checker;
use crate::connect;
use crate::error::{Result, RunError};
use crate::outdir::OutDir;
use crate::report::before::{Common, check_gate, planned_models};
use crate::report::check_junit;
use crate::report::named::{Entry, Named, entries};
use crate::report::rows::{TestSet, column};
use crate::settings::{Settings, TestSets, Validation};

const GATES: &str = "[report] gates";

impl Checker<'_> {
    /// Held-out rows, slices, gates and where they are written.
    pub(super) fn report(&mut self, settings: &Settings) -> Result<()> {
        let Some(test) = &settings.data.test else {
            if !settings.report.gates.is_empty() {
                let what =
                    "report.gates is set, but data.test is missing: gates need a report on held-out rows";
                self.found.problems.add(GATES, RunError::usage(what));
            }
            return Ok(());
        };
        let sets = test.named();
        for (name, path) in &sets {
            self.held_out(settings, name, path)?;
        }
        self.must_have_teacher(settings)?;
        let named: Vec<Named> = match self.request.seeds {
            [] => connect::report_models(settings, self.request.out),
            several => {
                // If the teacher is fine-tuned, each seed has its own.
                let mut unconnected = settings.clone();
                if settings.finetune.model.is_some() {
                    unconnected.teacher.model.take_if(|model| *model == self.request.out.join("teacher/model"));
                }
                connect::report_models_of_seeds(&unconnected, several, self.request.out)
            }
        };
        let models = entries(&named.iter().collect::<Vec<_>>());
        if let Some(models) = self.found.problems.take("[report]", models)? {
            self.gates(settings, &models, sets.iter().map(|(name, _)| name.clone()).collect())?;
        }
        if let Some(path) = &settings.report.junit {
            let junit = check_junit(path).and_then(|()| must_not_replace(path, settings));
            self.found.problems.take("report.junit", junit)?;
        }
        Ok(())
    }

    /// Rows of a data set, whose labels are the models' and which have the columns that slices are cut by.
    fn held_out(&mut self, settings: &Settings, name: &str, path: &Path) -> Result<()> {
        let place = match &settings.data.test {
            Some(TestSets::Named(_)) => format!("data.test {name}"),
            _ => "data.test".to_owned(),
        };
        let Some((source, summary)) = self.scan(settings, &place, path, None)? else { return Ok(()) };
        for name in settings.report.slice_columns() {
            let read = column(&source, name, &self.session.stop);
            self.found.problems.take("report.slices", read)?;
        }
        let common = Common { labels: self.labels.clone(), problem_type: source.problem_type() };
        let set = TestSet { name: name.to_owned(), source, summary, columns: Vec::new() };
        self.found.problems.take(&place, common.check_rows(&set))?;
        Ok(())
    }

    /// A report compares with the teacher, whose labels are the student's.
    fn must_have_teacher(&mut self, settings: &Settings) -> Result<()> {
        let Some(path) = &settings.teacher.model else {
            if !self.is_taught(settings) {
                let what = "teacher.model is missing: the report on data.test compares the student with it; set it \
                            to the model that student.targets come from, or remove data.test";
                self.found.problems.add("[teacher]", RunError::usage(what));
            }
            return Ok(());
        };
        let Some(teacher) = self.known("teacher.model", path, settings)? else { return Ok(()) };
        if let Some(labels) = &self.labels {
            let equal = labels.must_equal("the student", &teacher.config.labels, "teacher.model");
            self.found.problems.take("teacher.model", equal)?;
        }
        Ok(())
    }

    fn gates(&mut self, settings: &Settings, models: &[Entry], data: Vec<String>) -> Result<()> {
        let planned = Planned {
            models: planned_models(models),
            data: data.clone(),
            problem_type: self.problem_type,
            labels: self.labels.as_ref().map(|labels| labels.names().to_vec()),
            runs_models: true,
            timing: settings.report.timing,
            resamples: settings.report.resamples,
        };
        let sets: Vec<(String, Planned)> = data.into_iter().map(|name| (name, planned.clone())).collect();
        for text in &settings.report.gates {
            let gate = Gate::parse(text).map_err(ReportError::from);
            let Some(gate) = self.found.problems.take(GATES, gate)? else { continue };
            self.found.gates += 1;
            let earlier = baseline::read_all(std::slice::from_ref(&gate));
            if let Some(earlier) = self.found.problems.take(GATES, earlier)? {
                self.found.problems.take(GATES, check_gate(&gate, &sets, &earlier))?;
            }
        }
        Ok(())
    }

    /// Directories that hold something else, are in use, or cannot be made.
    pub(super) fn places(&mut self, settings: &Settings) -> Result<()> {
        let writable = must_be_writable(self.request.out);
        if self.found.problems.take("out", writable)?.is_none() {
            return Ok(());
        }
        for directory in self.directories(settings) {
            if !self.request.overwrite {
                self.found.problems.take("out", OutDir::refuse_foreign(&directory))?;
            }
        }
        Ok(())
    }

    /// Where the stages write, of every seed.
    pub(super) fn directories(&self, settings: &Settings) -> Vec<PathBuf> {
        let own = [
            (connect::PRETRAINED, connect::pretrains(settings)),
            ("teacher", settings.finetune.model.is_some()),
            ("augmented", settings.augment.adds_rows()),
            ("targets", self.is_taught(settings)),
            ("student", true),
            ("baseline", settings.student.start.no_teacher_baseline),
        ];
        let names: Vec<&str> = own.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect();
        let out = self.request.out;
        let roots = match self.request.seeds {
            [] => vec![out.to_owned()],
            several => several.iter().map(|seed| out.join(format!("seed-{seed}"))).collect(),
        };
        let stages = roots.iter().flat_map(|root| names.iter().map(|name| root.join(name)));
        let report = (self.request.report && settings.data.test.is_some()).then(|| out.join("report"));
        stages.chain(report).collect()
    }
}

/// Refuses to write over what the pipeline reads.
fn must_not_replace(path: &Path, settings: &Settings) -> Result<()> {
    let mut inputs: Vec<PathBuf> = settings.data.train.iter().cloned().collect();
    inputs.extend(settings.data.test.iter().flat_map(|test| test.named()).map(|(_, path)| path));
    inputs.extend(settings.augment.unlabelled.clone());
    if let Validation::File(path) = &settings.data.validation {
        inputs.push(path.clone());
    }
    let Ok(own) = path.canonicalize() else { return Ok(()) };
    match inputs.iter().find(|input| input.canonicalize().is_ok_and(|input| input == own)) {
        Some(input) => Err(RunError::usage(format!(
            "{} is an input of the pipeline, and the JUnit file would replace it",
            input.display()
        ))),
        None => Ok(()),
    }
}

/// Whether files can be created in a directory, or in the nearest existing one above it. Leaves no files.
fn must_be_writable(path: &Path) -> Result<()> {
    let above = nearest(path);
    if !above.is_dir() {
        return Err(RunError::cannot_create(format!("{} is a file; expected a directory", above.display())));
    }
    match tempfile::tempfile_in(&above) {
        Ok(_) => Ok(()),
        Err(error) => Err(RunError::cannot_create(format!("cannot write to {}: {error}", above.display()))),
    }
}

/// The path itself, or the existing part of it.
pub(super) fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|path| !path.as_os_str().is_empty() && path.exists());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}
