//! `distill report`: models or logits tables → metrics, comparison, gates.
//!
//! Read in this order: [`named`] (which model plays which part), [`rows`] (data sets as columns),
//! [`before`] (what does not go together), `measure` with `timing` (models that are run) or `tables` (logits from
//! files), `about` (what it is about), `publish` (JUnit, GitHub, model card).

mod about;
pub mod before;
mod measure;
pub mod named;
mod publish;
pub mod rows;
mod tables;
mod timing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::hash::file_hash_until;
use distill_core::record::RunRecord;
use distill_report::documents::{self, terminal};
use distill_report::gates::baseline::{self, Baselines};
use distill_report::gates::{Gate, Planned};
use distill_report::{signs, training};
use distill_task::TaskId;
use serde_json::{Value, json};

pub use named::Named;

use crate::error::{Result, RunError, Status};
use crate::outdir::OutDir;
use crate::outfile::{self, Kind};
use crate::report::measure::OpenModel;
use crate::report::named::{Entry, entries};
use crate::report::rows::TestSet;
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::stage::{self, Finished, Prepared, Stage};
use crate::{inference, inputs};

/// The stage with its settings.
pub struct ReportStage<'a> {
    /// All settings; `[data]` and `[report]` are read.
    pub settings: &'a Settings,
    /// Classifiers to run.
    pub models: Vec<Named>,
    /// Logits tables to read.
    pub predictions: Vec<Named>,
    /// Whether the students' model cards are filled.
    pub writes_card: bool,
}

/// What the stage reads, opened once.
struct Opened {
    /// The models that are run.
    models: Vec<OpenModel>,
    /// The tables that are read, by data set.
    tables: Vec<(String, Vec<Entry>)>,
    /// What the logits of all of them mean.
    problem_type: TaskId,
    /// The earlier reports that gates compare with, by path.
    baselines: Baselines,
}

impl ReportStage<'_> {
    fn sets(&self) -> Vec<(String, PathBuf)> {
        self.settings.data.test.as_ref().map(|sets| sets.named()).unwrap_or_default()
    }

    fn set_names(&self) -> Vec<String> {
        self.sets().into_iter().map(|(name, _)| name).collect()
    }

    /// The models that are run.
    fn entries(&self) -> Result<Vec<Entry>> {
        entries(&self.models.iter().collect::<Vec<_>>())
    }

    /// The tables that are read, by data set.
    fn tables(&self) -> Result<Vec<(String, Vec<Entry>)>> {
        tables::by_set(&self.predictions, &self.set_names())
    }

    /// Opens all models and tables once. A misspelt gate, and one that this report could not decide, are found here, before
    /// any model runs.
    fn open(&self) -> Result<Opened> {
        self.check()?;
        let open = |entry: Entry| OpenModel::open(entry, self.settings);
        let models: Vec<OpenModel> = self.entries()?.into_iter().map(open).collect::<Result<_>>()?;
        let tables = if self.predictions.is_empty() { Vec::new() } else { self.tables()? };
        let problem_type = self.problem_type(&models, &tables)?;
        let gates = before::gates(&self.settings.report)?;
        let baselines = baseline::read_all(&gates)?;
        let opened = Opened { models, tables, problem_type, baselines };
        if !gates.is_empty() {
            before::check_gates(&gates, &self.planned(&opened)?, &opened.baselines)?;
        }
        Ok(opened)
    }

    /// The data sets that the report will have, each with its models.
    fn planned(&self, opened: &Opened) -> Result<Vec<(String, Planned)>> {
        let settings = &self.settings.report;
        let runs_models = !opened.models.is_empty();
        let (sets, labels) = if runs_models {
            let entries: Vec<Entry> = opened.models.iter().map(|model| model.entry.clone()).collect();
            let map = before::Common::of(&opened.models, opened.problem_type)?.labels;
            let sets = self.set_names().into_iter().map(|set| (set, entries.clone())).collect();
            (sets, map.map(|map| map.names().to_vec()))
        } else {
            (opened.tables.clone(), (!settings.labels.is_empty()).then(|| settings.labels.clone()))
        };
        let data: Vec<String> = sets.iter().map(|(set, _)| set.clone()).collect();
        let planned = |entries: &[Entry]| Planned {
            models: before::planned_models(entries),
            data: data.clone(),
            problem_type: Some(opened.problem_type),
            labels: labels.clone(),
            runs_models,
            timing: settings.timing,
            resamples: settings.resamples,
        };
        Ok(sets.iter().map(|(set, entries)| (set.clone(), planned(entries))).collect())
    }

    fn check(&self) -> Result<()> {
        if self.models.is_empty() == self.predictions.is_empty() {
            return Err(RunError::usage("give either --model or --predictions (repeatable)"));
        }
        if !self.models.is_empty() && self.settings.data.test.is_none() {
            return Err(RunError::usage("--data is missing (or set data.test in a --config file)"));
        }
        self.settings.report.check()?;
        let column = self.settings.report.slice_columns().next();
        if let (true, Some(column)) = (self.sets().is_empty(), column) {
            return Err(RunError::usage(format!(
                "slices by {column:?} need rows with this column: give --data"
            )));
        }
        if let Some(junit) = &self.settings.report.junit {
            check_junit(junit)?;
            outfile::check(junit, Kind::Junit, &self.reads())?;
        }
        Ok(())
    }

    /// What the logits of all models mean.
    fn problem_type(&self, models: &[OpenModel], tables: &[(String, Vec<Entry>)]) -> Result<TaskId> {
        let data = &self.settings.data;
        if models.is_empty() {
            return tables::problem_type(tables, data.problem_type);
        }
        let mut found: Option<(&str, TaskId)> = None;
        for model in models {
            let (name, own) = (&model.entry.name, inputs::problem_type(model.directory.config(), data)?);
            match &found {
                Some((first, other)) if *other != own => {
                    let message = format!(
                        "problem_type of {first} is {other}, but that of {name} is {own}; a \
                                           report covers only one"
                    );
                    return Err(RunError::data(message));
                }
                _ => found = Some((name, own)),
            }
        }
        Ok(found.map(|(_, problem_type)| problem_type).unwrap_or_default())
    }

    /// The data sets with the columns that slices are cut by.
    fn test_sets(&self, kind: TaskId, session: &Session, record: &RunRecord) -> Result<Vec<TestSet>> {
        let mut sets = Vec::new();
        for (name, path) in self.sets() {
            let source = inputs::source(&path, &self.settings.data, kind)?;
            let source = source.holding(inputs::recorded(record, &format!("data {name}")));
            // Every row is checked before any model runs.
            let summary = inputs::scan(&source, session)?;
            let columns = self
                .settings
                .report
                .slice_columns()
                .map(|column| Ok((column.to_owned(), rows::column(&source, column, &session.stop)?)));
            let columns = columns.collect::<Result<_>>()?;
            sets.push(TestSet { name, source, summary, columns });
        }
        Ok(sets)
    }

    /// The settings that the report depends on.
    fn recorded(&self, opened: &Opened, session: &Session) -> Result<Value> {
        let mut data = inputs::data_settings(self.settings, self.settings.data.max_length)?;
        if let Some(data) = data.as_object_mut() {
            data.retain(|key, _| !["train", "validation"].contains(&key.as_str()));
            if self.settings.data.max_length.is_none() && !opened.models.is_empty() {
                let length = |model: &OpenModel| (model.entry.name.clone(), model.tokenizer.max_length());
                let lengths: BTreeMap<String, usize> = opened.models.iter().map(length).collect();
                data.insert("max_length".to_owned(), json!(lengths));
            }
        }
        let names = |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        let predictions: Vec<(&String, Vec<String>)> =
            opened.tables.iter().map(|(set, entries)| (set, names(entries))).collect();
        Ok(json!({
            "data": data,
            "data_names": self.set_names(),
            "report": self.settings.report,
            "model_names": opened.models.iter().map(|model| &model.entry.name).collect::<Vec<_>>(),
            "prediction_names": predictions,
            "dtype": dtype_name(session.kind),
        }))
    }

    /// Hashes of all that it reads.
    fn hashes(&self, opened: &Opened, session: &Session) -> Result<BTreeMap<String, String>> {
        let mut hashes = BTreeMap::new();
        let hash = |path: &Path| file_hash_until(path, &session.stop);
        for OpenModel { entry: Entry { name, .. }, directory, tokenizer } in &opened.models {
            hashes.insert(format!("model {name}"), directory.weights_hash()?);
            hashes.insert(format!("labels {name}"), inference::labels_hash(directory.config()));
            hashes.insert(format!("tokenizer {name}"), tokenizer.hash().to_owned());
        }
        for (set, entries) in &opened.tables {
            for Entry { name, path, .. } in entries {
                hashes.insert(format!("predictions {name} on {set}"), hash(path)?);
            }
        }
        for (name, path) in self.sets() {
            let source = inputs::source(&path, &self.settings.data, TaskId::default())?;
            hashes.insert(format!("data {name}"), source.hash()?);
        }
        for path in opened.baselines.keys() {
            hashes.insert(format!("baseline {path}"), hash(Path::new(path))?);
        }
        Ok(hashes)
    }

    /// Runs the models or reads the tables, and writes the documents.
    fn run(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let kind = opened.problem_type;
        let sets = self.test_sets(kind, session, record)?;
        let mut about = self.about(&opened, out.target(), record);
        let training = opened.models.iter().filter_map(|model| curves(&model.entry)).collect();
        let (data, timing) = match opened.models.is_empty() {
            true => {
                let labels = &self.settings.report.labels;
                (tables::read(opened.tables, &sets, labels, kind, &session.stop)?, None)
            }
            false => {
                let common = before::Common::of(&opened.models, kind)?;
                sets.iter().try_for_each(|set| common.check_rows(set))?;
                measure::run(opened.models, &sets, self.settings, session)?
            }
        };
        let mut report = distill_report::build(data, &self.settings.report, &session.stop)?;
        report.timing = timing;
        report.training = training;
        for (model, info) in report.data.iter().flat_map(|set| &set.models).zip(&mut about.models) {
            info.parameters = model.cost.map(|cost| cost.parameters);
        }
        report.about = Some(about);
        let signs = signs::findings(&report);
        report.findings.extend(signs);
        session.stop.check()?;
        // From here on the same command resumes the run in this directory.
        record.write(out.path())?;
        let files = documents::write(&report, out.path())?;
        let files: Vec<PathBuf> =
            files.iter().filter_map(|file| file.file_name()).map(|name| out.target().join(name)).collect();
        let status = if report.gates_passed() { Status::Done } else { Status::GateFailed };
        let results = BTreeMap::from([
            ("verdict".to_owned(), json!(report.verdict.text)),
            ("gates_passed".to_owned(), json!(report.gates_passed())),
            ("gates".to_owned(), json!(report.gates)),
            ("findings".to_owned(), json!(report.findings)),
        ]);
        Ok(Finished { status, results, text: terminal::render(&report, &files, session.messages.style()) })
    }
}

/// Refuses a file for the gates that could not be written.
///
/// # Errors
/// Output that cannot be made, with the path.
pub fn check_junit(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(RunError::cannot_create(format!(
            "--junit: the directory {} does not exist",
            parent.display()
        )));
    }
    if path.is_dir() {
        return Err(RunError::cannot_create(format!(
            "--junit: {} is a directory; expected a file",
            path.display()
        )));
    }
    if let Err(error) = tempfile::tempfile_in(parent) {
        let what = format!("--junit: cannot write to {}: {error}", parent.display());
        return Err(RunError::cannot_create(what));
    }
    Ok(())
}

impl Stage for ReportStage<'_> {
    fn command(&self) -> &'static str {
        "report"
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        Ok(stage::first_missing(out, &["report.json", "report.md", "report.html"]))
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        let opened = self.open()?;
        let (settings, inputs) = (self.recorded(&opened, session)?, self.hashes(&opened, session)?);
        Ok(Prepared::new(settings, inputs, |session, out, record| self.run(opened, session, out, record)))
    }

    fn reads(&self) -> Vec<PathBuf> {
        let named = self.models.iter().chain(&self.predictions).map(|named| named.path.clone());
        let sets = self.sets().into_iter().map(|(_, path)| path);
        // What cannot be parsed is refused by the check of settings.
        let gates = self.settings.report.gates.iter().filter_map(|gate| Gate::parse(gate).ok()?.against);
        named.chain(sets).chain(gates.map(PathBuf::from)).collect()
    }

    fn publish(&self, session: &Session, out: &Path) -> Result<()> {
        let messages = &*session.messages;
        let report = baseline::read(&out.join("report.json"))?;
        if let Some(path) = &self.settings.report.junit {
            publish::write_junit(&report, path, messages)?;
        }
        publish::tell_github(&report, messages)?;
        if self.writes_card {
            publish::write_cards(&report, &self.entries()?)?;
        }
        Ok(())
    }

    /// The whole report: `report.json`.
    fn json(&self, out: &Path, _finished: &Finished) -> Result<String> {
        let path = out.join("report.json");
        Ok(std::fs::read_to_string(&path).map_err(FileError::of("read", &path))?)
    }
}

/// The training curves, if the model is still in its run's directory.
fn curves(entry: &Entry) -> Option<distill_report::report::TrainingCurves> {
    let path = entry.path.file_name().filter(|name| *name == "model").and(entry.path.parent())?;
    let path = path.join("metrics.jsonl");
    if !path.is_file() {
        return None;
    }
    match training::read(&entry.name, &path) {
        Ok(curves) => Some(curves),
        Err(error) => {
            tracing::warn!("no training curves of {}: {error}", entry.name);
            None
        }
    }
}
