//! The stores that a student learns from: opened, named, and what they record about their teacher.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{Fingerprint, MANIFEST_FILE, Store, find_stores};
use distill_data::source::Columns;
use distill_model::ModelDirectory;
use distill_task::{Positions, TaskId};

use crate::error::{Context, Result, RunError};
use crate::inputs;
use crate::once;
use crate::session::stop_signal;

/// As `--init`: the model that computed the soft targets.
pub const TEACHER: &str = "teacher";

/// Opens a store of all rows.
///
/// # Errors
/// For the shards of a pass that were not merged, and for a store that cannot be read.
pub fn open_store(path: &Path) -> Result<Store> {
    if let Ok(found) = find_stores(path)
        && found.stores.len() + found.missing.len() > 1
    {
        return Err(RunError::usage(format!(
            "{} contains the shards of a teacher pass; merge them with `distill targets merge`",
            path.display()
        )));
    }
    let inner = path.join("targets");
    if !path.join(MANIFEST_FILE).exists() && inner.join(MANIFEST_FILE).exists() {
        return Err(RunError::usage(format!(
            "{} is not a soft-target store; did you mean {}?",
            path.display(),
            inner.display()
        )));
    }
    Ok(Store::open(path)?.stopped_by(stop_signal()))
}

/// What the logits of stores of one label map mean.
pub fn problem_type(stores: &[Store]) -> TaskId {
    stores.first().map(|store| store.fingerprint().problem_type).unwrap_or_default()
}

/// `targets`, `targets 2`, …
pub fn targets_name(number: usize) -> String {
    if number == 0 { "targets".to_owned() } else { format!("targets {}", number + 1) }
}

/// One hash for all stores, in their order.
pub fn targets_hash(record: &RunRecord) -> String {
    let hash = |number: usize| record.inputs.get(&targets_name(number));
    let hashes: Vec<&str> = (0..).map_while(hash).map(String::as_str).collect();
    hashes.join(" ")
}

/// The model that a store's logits come from, as `--init`.
///
/// # Errors
/// As `model_behind`.
pub fn teacher_of(store: &Store) -> Result<ModelDirectory> {
    model_behind(store, None).with_context(|| format!("--init {TEACHER}"))
}

/// The model that a store's logits come from: `named`, where that has its weights, else what its directory's record
/// says.
///
/// # Errors
/// Wrong usage if the record does not say, or the path now has other weights.
pub fn model_behind(store: &Store, named: Option<&ModelDirectory>) -> Result<ModelDirectory> {
    let weights = &store.fingerprint().teacher_weights;
    if let Some(named) = named
        && named.weights_hash()? == *weights
    {
        return Ok(named.clone());
    }
    let directory = store.directory();
    let record = match RunRecord::read(directory) {
        Err(error) if error.source.kind() == ErrorKind::NotFound => None,
        read => Some(read?),
    };
    let path = record.as_ref().and_then(|record| record.settings["teacher"]["model"].as_str());
    let Some(path) = path else {
        return Err(RunError::usage(format!(
            "{} does not record the path of its teacher; give the directory",
            directory.display()
        )));
    };
    let model = inputs::model(Path::new(path))?;
    if model.weights_hash()? != *weights {
        return Err(RunError::usage(format!(
            "{path} no longer has the weights that the logits in {} come from",
            directory.display()
        )));
    }
    Ok(model)
}

/// The columns that a store's rows were read from, for those that `asked` does not name. A store that does not say, such
/// as a merged one, changes nothing.
///
/// # Errors
/// For a `run.json` that cannot be read.
pub fn columns_of(store: &Store, asked: &Columns) -> Result<Columns> {
    let record = match RunRecord::read(store.directory()) {
        Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(asked.clone()),
        read => read?,
    };
    let own = serde_json::from_value(record.settings["data"]["columns"].clone()).unwrap_or_default();
    let columns = asked.clone().or(&own);
    if columns != *asked {
        once::say(format!("columns as read by the teacher of {}", store.directory().display()));
    }
    Ok(columns)
}

/// Where the model lay that a store's logits come from, as far as its record says.
pub fn path_behind(store: &Path) -> Option<PathBuf> {
    let record = RunRecord::read(store).ok()?;
    record.settings["teacher"]["model"].as_str().map(PathBuf::from)
}

/// Soft targets of one teacher and the states of another are two teachers, which should be on purpose.
pub fn warn_of_another(named: &ModelDirectory, stores: &[Store]) {
    // Without weights it is refused where they are needed.
    let Ok(weights) = named.weights_hash() else { return };
    if stores.iter().all(|store| store.fingerprint().teacher_weights != weights) {
        let of: Vec<String> = stores.iter().map(|store| store.directory().display().to_string()).collect();
        tracing::warn!(
            "the weights of the teacher model {} are not those that the soft targets in {} come from",
            named.path().display(),
            of.join(", ")
        );
    }
}

/// Logits of answers are of the teacher's windows, which the student must make too.
///
/// # Errors
/// Wrong usage where it would make others.
fn check_windows(store: &Store, tokenizer: &TextTokenizer) -> Result<()> {
    let Fingerprint { max_length: theirs, tokenizer: teachers, .. } = store.fingerprint();
    let (own, store) = (tokenizer.max_length(), store.directory().display());
    if *theirs as usize != own {
        return Err(RunError::usage(format!(
            "max_length is {own}, but soft targets of answers are logits of windows, and those of {store} have {theirs} \
             tokens; omit max_length, or compute soft targets with --max-length {own}"
        )));
    }
    if teachers != tokenizer.hash() {
        return Err(RunError::usage(format!(
            "soft targets of answers are logits of tokens, and the tokenizer of {store} is not the student's; use the same \
             tokenizer for both"
        )));
    }
    Ok(())
}

/// A student may read less of a text than its teacher did, but it should be on purpose.
///
/// # Errors
/// Wrong usage where it would read more, or other windows than its teacher.
pub fn check_max_length(store: &Store, tokenizer: &TextTokenizer) -> Result<()> {
    if store.fingerprint().problem_type.positions() == Positions::Span {
        return check_windows(store, tokenizer);
    }
    let (max_length, teachers) = (tokenizer.max_length(), store.fingerprint().max_length as usize);
    if max_length > teachers {
        return Err(RunError::usage(format!(
            "max_length is {max_length}, but the teacher read only {teachers} tokens of each row"
        )));
    }
    // A long row of words is cut into windows: nothing of it is left out.
    let is_cut = store.fingerprint().problem_type.positions() == Positions::Row;
    if is_cut && max_length < teachers {
        tracing::warn!("the teacher read up to {teachers} tokens of each row, the student reads {max_length}");
    }
    Ok(())
}
