//! Opening what the user named, with the checks that every stage makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use distill_core::LabelMap;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::source::{
    DocumentSource, DocumentsSummary, Fitted, LabelNames, Note, Source, Summary, Texts, resolve,
};
use distill_data::tokens::WordsFor;
use distill_model::{ModelConfig, ModelDirectory};
use distill_task::{Positions, TaskId};
use distill_teacher::RunStats;
use serde_json::Value;
use tracing::trace_span;

use crate::error::{Result, RunError};
use crate::session::Session;
use crate::session::stop_signal;
use crate::settings::{DataSettings, Settings, Validation};
use crate::{once, timeline};

/// A setting that a command cannot do without.
///
/// # Errors
/// Wrong usage, naming the flag and the setting.
pub fn required<'a>(value: Option<&'a PathBuf>, flag: &str, key: &str) -> Result<&'a Path> {
    match value {
        Some(path) => Ok(path),
        None => Err(RunError::usage(format!("{flag} is missing (or set {key} in a --config file)"))),
    }
}

/// Opens rows with the configured columns, whose labels are what `problem_type` says.
///
/// # Errors
/// [`distill_data::DataError`] for a missing file or an unknown format.
pub fn source(path: &Path, data: &DataSettings, problem_type: TaskId) -> Result<Source> {
    let names = data.label_map.as_deref().map(LabelNames::read).transpose()?;
    Ok(Source::open(path, &data.columns)?
        .labelled(problem_type)
        .with_labels(data.label_type, names)
        .delimited_by(data.delimiter.map(|delimiter| delimiter.0))
        .stopped_by(stop_signal()))
}

/// Opens texts with the configured columns: rows of any task, or plain text.
///
/// # Errors
/// [`distill_data::DataError`] for a missing file or an unknown format.
pub fn texts(path: &Path, data: &DataSettings) -> Result<Texts> {
    let delimiter = data.delimiter.map(|delimiter| delimiter.0);
    Ok(Texts::open(path, &data.columns, data.problem_type, delimiter, stop_signal())?)
}

/// Says how rows were read, each sentence once in a process: stages and models read the same files again.
pub fn say(notes: &[Note]) {
    static SAID: Mutex<BTreeSet<Note>> = Mutex::new(BTreeSet::new());
    for note in notes {
        if !SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(note.clone()) {
            continue;
        }
        match note.is_warning {
            true => tracing::warn!("{note}"),
            false => tracing::info!("{note}"),
        }
    }
}

/// What a model's logits mean, which `[data] problem_type` must not contradict.
///
/// # Errors
/// Wrong usage, with both.
pub fn problem_type(config: &ModelConfig, data: &DataSettings) -> Result<TaskId> {
    must_be_asked_for(data, config.problem_type, "the model's").map(|()| config.problem_type)
}

/// Refuses `[data] task` and `problem_type` that contradict what logits mean; `whose` says what has these logits.
///
/// # Errors
/// Wrong usage, with both.
pub fn must_be_asked_for(data: &DataSettings, own: TaskId, whose: &str) -> Result<()> {
    let (setting, asked) = match (data.problem_type, &data.task) {
        // Only a row with one prediction has several kinds of labels, which `task` alone cannot tell apart.
        (Some(asked), _) if asked != own && asked.positions() == Positions::Row => {
            ("problem_type", asked.name().to_owned())
        }
        (Some(asked), _) if asked != own => ("task", asked.name().to_owned()),
        (None, Some(asked)) if !asked.includes(own) => ("task", asked.as_str().to_owned()),
        _ => return Ok(()),
    };
    Err(RunError::usage(format!("data.{setting} is {asked}, but {whose} is {own}")))
}

/// What a model is to be trained for: what the settings name, else what its head predicts, else what the format or the
/// columns of the rows say, else one class per row.
///
/// # Errors
/// Wrong usage where head and rows are of different tasks and the settings name none; rows that cannot be opened.
pub fn task_to_train(config: &ModelConfig, rows: Option<&Path>, data: &DataSettings) -> Result<TaskId> {
    if let Some(asked) = data.problem_type {
        return Ok(asked);
    }
    let allowed = |task: &TaskId| data.task.as_ref().is_none_or(|asked| asked.includes(*task));
    let own = config.has_classifier().then_some(config.problem_type).filter(allowed);
    let suggested = match rows {
        Some(path) => source(path, data, TaskId::default())?.suggested_task()?.filter(allowed),
        None => None,
    };
    match (own, suggested, rows) {
        (Some(own), Some(suggested), Some(path)) if own.positions() != suggested.positions() => {
            Err(RunError::usage(format!(
                "{} has rows for {suggested}, but the model has a head for {own}; give --task {suggested} to train a new \
                 head, or name the columns of the text and the label",
                path.display()
            )))
        }
        (None, Some(suggested), Some(path)) => {
            once::say(format!("{}: the task is {suggested}, as its columns say", path.display()));
            Ok(suggested)
        }
        _ => Ok(own.unwrap_or_default()),
    }
}

/// Reads and checks all rows and counts them, before any work is done on them.
///
/// # Errors
/// [`distill_data::DataError`] with file, row and field.
pub fn scan(source: &Source, session: &Session) -> Result<Summary> {
    let scanning = trace_span!(target: timeline::TARGET, "scan").entered();
    let summary = Summary::scan(source, &session.stop)?;
    drop(scanning);
    say(&summary.notes);
    let (rows, unlabelled, empty_texts) = (summary.rows, summary.unlabelled, summary.empty_texts);
    tracing::info!(rows, unlabelled, empty_texts, "read {}", source.path().display());
    if empty_texts > 0 {
        tracing::warn!("{empty_texts} of {rows} rows have an empty text");
    }
    Ok(summary)
}

/// Reads and checks all documents and counts them, before any work is done on them.
///
/// # Errors
/// [`distill_data::DataError`] with file and place; bad data where all documents are empty.
pub fn scan_texts(texts: &mut DocumentSource) -> Result<DocumentsSummary> {
    let scanning = trace_span!(target: timeline::TARGET, "scan").entered();
    let summary = texts.scan()?;
    drop(scanning);
    say(&summary.notes);
    let DocumentsSummary { documents, empty, longest_bytes, .. } = summary;
    let path = texts.path().display();
    tracing::info!(documents, empty, longest_bytes, "read {path}");
    if documents == empty {
        return Err(RunError::data(format!("{path}: none of its {documents} documents has any text")));
    }
    if empty > 0 {
        tracing::warn!("{empty} of {documents} documents are empty and are left out");
    }
    Ok(summary)
}

/// Rows that were all read once, whose labels are now read for a label map.
pub struct Scanned {
    /// The rows.
    pub source: Source,
    /// What one pass over them found.
    pub summary: Summary,
}

/// As [`scan`], for rows whose labels must all be the model's: the first that is not is told with its row
/// before anything is computed.
///
/// # Errors
/// [`distill_data::DataError`] with file, row and field.
pub fn scan_labels(source: &Source, labels: &LabelMap, session: &Session) -> Result<Scanned> {
    let summary = scan(source, session)?;
    let source = fit(source, &summary, labels)?;
    check_labels(&source, &summary, labels)?;
    Ok(Scanned { source, summary })
}

/// The same rows with their labels read as a label map needs them, and says how.
///
/// # Errors
/// [`distill_data::DataError`] where labels can be read in two ways, or have other names than the map's.
pub fn fit(source: &Source, summary: &Summary, labels: &LabelMap) -> Result<Source> {
    let Fitted { reading, notes } = summary.fit(source, labels)?;
    say(&notes);
    Ok(source.clone().read_by(reading))
}

/// [`fit`] and [`check_labels`], for rows that are not read again.
///
/// # Errors
/// Those of both.
pub fn check_fit(source: &Source, summary: &Summary, labels: &LabelMap) -> Result<()> {
    check_labels(&fit(source, summary, labels)?, summary, labels)
}

/// Refuses the first row of a scanned source whose label is not the model's.
///
/// # Errors
/// [`distill_data::DataError`] with file, row and field.
pub fn check_labels(source: &Source, summary: &Summary, labels: &LabelMap) -> Result<()> {
    if !summary.is_known(labels, source.reading()) {
        for row in source.rows()? {
            let row = row?;
            if let Some(label) = &row.label {
                resolve(label, labels, &row.place, source.columns().label_name())?;
            }
        }
    }
    Ok(())
}

/// Loads the tokenizer of a model directory and checks that it fits the model.
///
/// # Errors
/// [`RunError`] where texts may be longer than the model has positions, or where the tokenizer has
/// ids that the model does not.
pub fn tokenizer(directory: &Path, max_length: usize, config: &ModelConfig) -> Result<TextTokenizer> {
    let _span = trace_span!(target: timeline::TARGET, "load").entered();
    if i64::try_from(max_length).unwrap_or(i64::MAX) > config.max_length() {
        return Err(RunError::usage(format!(
            "max_length is {max_length}, but the model has only {} positions",
            config.max_length()
        )));
    }
    let tokenizer = TextTokenizer::load(directory, max_length)?.stopped_by(stop_signal());
    if i64::from(tokenizer.max_token_id()) >= config.vocab_size {
        return Err(RunError::data(format!(
            "{}: the tokenizer has token ids up to {}, but the model's vocabulary ends at {}: they do not belong \
             together",
            directory.display(),
            tokenizer.max_token_id(),
            config.vocab_size - 1
        )));
    }
    Ok(tokenizer)
}

/// [`tokenizer`], for the rows of a task. Words are tokenized one by one: a byte-level vocabulary then needs a space in front
/// of each, unless the model was trained without.
///
/// # Errors
/// Those of [`tokenizer`]; a tokenizer that cannot be changed so.
pub fn tokenizer_for(
    task: TaskId,
    directory: &Path,
    max_length: usize,
    config: &ModelConfig,
) -> Result<TextTokenizer> {
    let tokenizer = tokenizer(directory, max_length, config)?;
    if task.positions() != Positions::Word {
        return Ok(tokenizer);
    }
    let is_trained = config.has_classifier() && config.problem_type.positions() == Positions::Word;
    let (tokenizer, is_changed) =
        tokenizer.for_words(if is_trained { WordsFor::TrainedHead } else { WordsFor::FreshHead })?;
    if is_changed {
        once::say(format!(
            "{}: the tokenizer puts a space in front of each word (add_prefix_space)",
            directory.display()
        ));
    }
    Ok(tokenizer)
}

/// The hash of an input in a run's record: what is read later must have the same hash.
pub fn recorded<'a>(record: &'a RunRecord, name: &str) -> &'a str {
    record.inputs.get(name).map_or("", String::as_str)
}

/// Warns about rows that were cut.
pub fn warn_truncated(truncated: u64, rows: u64, max_length: usize) {
    if truncated > 0 {
        tracing::warn!("{truncated} of {rows} rows are longer than {max_length} tokens and were truncated");
    }
}

/// Warns of words that nothing is predicted for.
pub fn warn_without_tokens(stats: &RunStats) {
    if stats.words_without_tokens > 0 {
        tracing::warn!(
            "the tokenizer makes no tokens of {} of {} words: nothing is predicted for them, and they count in no figure",
            stats.words_without_tokens,
            stats.words
        );
    }
}

/// Warns where the vocabulary does not hold a large part of the texts: a wrong tokenizer, language or encoding.
pub fn warn_unknown(unknown: u64, tokens: u64) {
    const SHARE: f64 = 0.05;
    let share = unknown as f64 / tokens.max(1) as f64;
    if share > SHARE {
        tracing::warn!(
            "{:.1} % of the tokens are unknown to the vocabulary ({unknown} of {tokens}), and the model cannot tell \
             them apart; check the model's language and the text column",
            100.0 * share
        );
    }
}

/// Opens a model directory.
///
/// # Errors
/// [`distill_model::ModelError`] where it is none, or a regression of several values.
pub fn model(path: &Path) -> Result<ModelDirectory> {
    let directory = ModelDirectory::open_until(path, stop_signal())?;
    directory.config().must_have_one_value()?;
    directory.notes().iter().cloned().for_each(once::say);
    Ok(directory)
}

/// Refuses a directory whose weights carry no classification head.
///
/// # Errors
/// [`RunError`] saying what to do instead.
pub fn classifier(directory: ModelDirectory) -> Result<ModelDirectory> {
    if directory.config().has_classifier() {
        return Ok(directory);
    }
    Err(RunError::data(format!(
        "{}: the model has no classification head; fine-tune it first with `distill finetune`",
        directory.path().display()
    )))
}

/// `[data]` as far as a stage depends on it, with the length that rows are cut to.
///
/// # Errors
/// A file of label names that cannot be read.
pub fn data_settings(settings: &Settings, max_length: Option<usize>) -> Result<Value> {
    let data = DataSettings { max_length, ..settings.data.clone() };
    let mut data = serde_json::to_value(&data)?;
    if let Some(data) = data.as_object_mut() {
        // Held-out rows and the cache change no result of training.
        data.retain(|key, _| !["test", "cache"].contains(&key.as_str()));
        if let Some(path) = &settings.data.label_map {
            // Its content matters, not its path.
            data.insert("label_map".to_owned(), LabelNames::read(path)?.to_json());
        }
        if let Validation::File(_) = settings.data.validation {
            // Its hash is among the inputs.
            data.insert("validation".to_owned(), "a file".into());
        }
    }
    Ok(data)
}

/// The file of the validation part, where there is one.
pub fn validation_file(data: &DataSettings) -> Option<&PathBuf> {
    match &data.validation {
        Validation::File(path) => Some(path),
        Validation::Share(_) => None,
    }
}

/// Adds the hash of a validation file.
///
/// # Errors
/// Where it cannot be read.
pub fn add_validation(hashes: &mut BTreeMap<String, String>, settings: &Settings) -> Result<()> {
    if let Validation::File(path) = &settings.data.validation {
        hashes.insert("validation".to_owned(), source(path, &settings.data, TaskId::default())?.hash()?);
    }
    Ok(())
}
