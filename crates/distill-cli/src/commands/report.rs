//! `distill report`: models or logits tables → metrics, comparison, gates.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::bail;
use distill_core::LabelMap;
use distill_core::atomic::FileError;
use distill_core::hash::file_hash_until;
use distill_core::record::RunRecord;
use distill_data::logits::LogitsTable;
use distill_data::source::{Source, resolve_label};
use distill_model::{ModelDirectory, weights};
use distill_report::documents::{self, terminal};
use distill_report::gates::Gate;
use distill_report::{Cost, DataSet, Predictions, ReportError, Role};
use serde_json::{Value, json};

use crate::args;
use crate::commands::outdir::OutDir;
use crate::commands::stage::{self, Finished, Stage};
use crate::commands::{finetune, inputs, teacher};
use crate::exit::{Failure, Status};
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::settings::flags::Flags;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &args::Report) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    let stage = ReportStage {
        settings: &settings,
        models: args.model.iter().map(|text| Named::parse(text)).collect(),
        predictions: args.predictions.iter().map(|text| Named::parse(text)).collect(),
    };
    stage::run_alone(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// A path with the name that the report gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The path.
    pub path: PathBuf,
}

impl Named {
    /// `NAME=PATH`, or a path whose last useful part is the name.
    fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') => {
                Named { name: name.to_owned(), path: PathBuf::from(path) }
            }
            _ => {
                let path = PathBuf::from(text);
                let part = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let own = part(&path);
                // `runs/student/model` is called after its run.
                let name = if own == "model" { path.parent().map(part).unwrap_or(own) } else { own };
                Named { name: if name.is_empty() { text.to_owned() } else { name }, path }
            }
        }
    }
}

/// Roles by name where names say them, else by order: teacher, student, others.
fn roles(names: &[&str]) -> Vec<Role> {
    let said = |name: &str| match name {
        "teacher" => Some(Role::Teacher),
        "student" => Some(Role::Student),
        "baseline" => Some(Role::Baseline),
        _ => None,
    };
    if names.iter().any(|name| said(name).is_some()) {
        return names.iter().map(|name| said(name).unwrap_or(Role::Other)).collect();
    }
    let by_order = |index| match (index, names.len()) {
        (0, 1) | (1, _) => Role::Student,
        (0, _) => Role::Teacher,
        _ => Role::Other,
    };
    (0..names.len()).map(by_order).collect()
}

/// The stage with its settings.
pub struct ReportStage<'a> {
    /// All settings; `[data]` and `[report]` are read.
    pub settings: &'a Settings,
    /// Classifiers to run.
    pub models: Vec<Named>,
    /// Logits tables to read.
    pub predictions: Vec<Named>,
}

impl ReportStage<'_> {
    fn source(&self) -> anyhow::Result<Source> {
        let path = inputs::required(self.settings.data.test.as_ref(), "--data", "data.test")?;
        inputs::source(path, &self.settings.data)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.models.is_empty() == self.predictions.is_empty() {
            bail!(Failure::usage("give either --model or --predictions, each as often as needed"));
        }
        // A misspelt gate is found before any model runs.
        for gate in &self.settings.report.gates {
            Gate::parse(gate).map_err(ReportError::from)?;
        }
        Ok(())
    }

    fn data_name(&self) -> String {
        let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.settings.data.test.as_ref().and_then(stem).unwrap_or_else(|| "test".to_owned())
    }
}

impl Stage for ReportStage<'_> {
    fn command(&self) -> &'static str {
        "report"
    }

    fn settings(&self, session: &Session) -> anyhow::Result<Value> {
        self.check()?;
        let mut data = finetune::data_settings(self.settings)?;
        if let Some(data) = data.as_object_mut() {
            data.retain(|key, _| !["train", "validation"].contains(&key.as_str()));
        }
        let names = |list: &[Named]| list.iter().map(|named| named.name.clone()).collect::<Vec<_>>();
        Ok(json!({
            "data": data,
            "report": self.settings.report,
            "model_names": names(&self.models),
            "prediction_names": names(&self.predictions),
            "dtype": dtype_name(session.kind),
        }))
    }

    fn inputs(&self, session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        let mut hashes = BTreeMap::new();
        for named in &self.models {
            let model = teacher::classifier(inputs::model(&named.path)?)?;
            let tokenizer = inputs::tokenizer(model.path(), self.settings.data.max_length, model.config())?;
            hashes.insert(format!("model {}", named.name), model.weights_hash()?);
            hashes.insert(format!("labels {}", named.name), teacher::labels_hash(model.config()));
            hashes.insert(format!("tokenizer {}", named.name), tokenizer.hash().to_owned());
        }
        for named in &self.predictions {
            let hash = file_hash_until(&named.path, &session.stop)?;
            hashes.insert(format!("predictions {}", named.name), hash);
        }
        if !self.models.is_empty() {
            hashes.insert("data".to_owned(), self.source()?.hash()?);
        }
        Ok(hashes)
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        let named = if self.models.is_empty() { &self.predictions } else { &self.models };
        let roles = roles(&named.iter().map(|named| named.name.as_str()).collect::<Vec<_>>());
        let shared = self.shared_labels()?;
        let mut predictions = Vec::with_capacity(named.len());
        for (named, role) in named.iter().zip(roles) {
            predictions.push(if self.models.is_empty() {
                read_predictions(named, role, shared.as_ref())?
            } else {
                self.predict(named, role, session)?
            });
        }
        let data = vec![DataSet { name: self.data_name(), predictions }];
        let report = distill_report::build(data, &self.settings.report)?;
        // From here on the directory holds a run that the same command goes on with.
        record.write(out.path())?;
        let files = documents::write(&report, out.path())?;
        let status = if report.gates_passed() { Status::Done } else { Status::GateFailed };
        let text = terminal::render(&report, &files, style());
        let results = BTreeMap::from([
            ("verdict".to_owned(), json!(report.verdict.text)),
            ("gates_passed".to_owned(), json!(report.gates_passed())),
            ("text".to_owned(), json!(text)),
        ]);
        Ok(Finished { status, results, text })
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        Ok(stage::first_missing(out, &["report.json", "report.md", "report.html"]))
    }
}

impl ReportStage<'_> {
    /// The label map of the first table that has one. Tables of text have none, so it is theirs too.
    fn shared_labels(&self) -> anyhow::Result<Option<LabelMap>> {
        for named in &self.predictions {
            if let Some(fingerprint) = LogitsTable::open(&named.path)?.fingerprint() {
                return Ok(Some(fingerprint.label_map.clone()));
            }
        }
        Ok(None)
    }

    /// Runs one model over the held-out rows.
    fn predict(&self, named: &Named, role: Role, session: &Session) -> anyhow::Result<Predictions> {
        let source = self.source()?;
        let directory = inputs::model(&named.path)?;
        let rows = inputs::scan_labels(&source, &directory.config().labels, session)?.rows;
        let max_length = self.settings.data.max_length;
        let tokenizer = inputs::tokenizer(directory.path(), max_length, directory.config())?;
        let model = directory.load_classifier_as(session.device, session.kind)?;
        let runner = teacher::runner(&model, &tokenizer, self.settings, session);
        // The first batches of a process are slower; they are not what a user of the model sees.
        runner.warm_up(source.rows()?)?;
        let collected = Mutex::new(Columns::default());
        let stats = runner.run(&named.name, source.rows()?, rows, |rows| {
            if let Ok(mut columns) = collected.lock() {
                rows.iter()
                    .for_each(|row| columns.push(row.id.clone(), row.text.clone(), row.label, &row.logits));
            }
            Ok(())
        })?;
        inputs::warn_truncated(stats.truncated, stats.rows, max_length);
        let cost = Cost {
            parameters: model.num_parameters(),
            bytes: weight_bytes(&directory)?,
            rows_per_second: stats.rows_per_second(),
            latency: None,
        };
        let columns = collected.into_inner().unwrap_or_default();
        Ok(columns.predictions(&named.name, role, directory.config().labels.clone())?.with_cost(cost)?)
    }
}

/// Rows of one model as columns.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    texts: Vec<String>,
    labels: Vec<Option<i32>>,
    logits: Vec<f32>,
}

impl Columns {
    fn push(&mut self, id: String, text: Option<String>, label: Option<i32>, logits: &[f32]) {
        self.ids.push(id);
        self.texts.extend(text);
        self.labels.push(label);
        self.logits.extend_from_slice(logits);
    }

    fn predictions(self, name: &str, role: Role, labels: LabelMap) -> anyhow::Result<Predictions> {
        let Columns { ids, texts, labels: own, logits } = self;
        let has_texts = texts.len() == ids.len();
        let predictions = Predictions::new(name, role, ids, labels, own, logits)?;
        Ok(if has_texts { predictions.with_texts(texts)? } else { predictions })
    }
}

/// Reads a logits table, whoever wrote it. A table without label names has those of another table, else
/// numbered ones.
fn read_predictions(named: &Named, role: Role, shared: Option<&LabelMap>) -> anyhow::Result<Predictions> {
    let table = LogitsTable::open(&named.path)?;
    let mut map = table.fingerprint().map(|fingerprint| fingerprint.label_map.clone()).or(shared.cloned());
    let mut columns = Columns::default();
    for row in table.rows()? {
        let row = row?;
        let map = match &map {
            Some(map) => map,
            None => map.insert(LabelMap::numbered(row.logits.len())?),
        };
        let label =
            row.label.as_ref().map(|label| resolve_label(label, map, &row.place, "label")).transpose()?;
        columns.push(row.id, row.text, label, &row.logits);
    }
    match map {
        Some(map) => columns.predictions(&named.name, role, map),
        None => bail!(Failure::data(format!("{}: has no rows", named.path.display()))),
    }
}

fn weight_bytes(directory: &ModelDirectory) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for path in weights::weight_files(directory.path())? {
        bytes += std::fs::metadata(&path).map_err(FileError::of("read", &path))?.len();
    }
    Ok(bytes)
}

fn style() -> terminal::TerminalStyle {
    let watched = std::io::stdout().is_terminal();
    terminal::TerminalStyle {
        unicode: watched,
        color: watched && std::env::var_os("NO_COLOR").is_none(),
        width: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_flag_or_the_run() {
        let named = |text: &str| Named::parse(text).name;
        assert_eq!(named("big=runs/a/model"), "big");
        assert_eq!(named("runs/student/model"), "student");
        assert_eq!(named("models/all-MiniLM-L6-v2"), "all-MiniLM-L6-v2");
        assert_eq!(named("out/predictions.parquet"), "predictions");
    }

    #[test]
    fn roles_come_from_names_or_from_the_order() {
        use Role::{Baseline, Other, Student, Teacher};
        assert_eq!(roles(&["student", "x", "teacher", "baseline"]), [Student, Other, Teacher, Baseline]);
        assert_eq!(roles(&["a", "b", "c"]), [Teacher, Student, Other]);
        assert_eq!(roles(&["a"]), [Student]);
    }
}
