//! A model directory as `transformers` reads and writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::atomic::{self, FileError};
use distill_core::vocabulary::NewVocabulary;
use distill_core::{Category, LabelMap, StopSignal, hash};
pub use distill_hub::files::CONFIG_FILE;
use distill_hub::{HubName, verify};
use distill_task::TaskId;
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::architecture::HeadKind;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::heads::masked::unused_bias;
use crate::model::Model;
use crate::narrow::narrowed;
use crate::parameters::{Fresh, canonical_names, renamed};
use crate::vocabulary::replaced;
use crate::weights::{self, WEIGHTS_FILE};

/// A directory with `config.json` and, usually, weights and a tokenizer.
#[derive(Clone, Debug)]
pub struct ModelDirectory {
    path: PathBuf,
    config: ModelConfig,
    /// Opened by its `config.json`: the architecture is meant, not the weights that may be next to it.
    config_alone: bool,
    /// How the directory was read, where it could be read in another way.
    notes: Vec<String>,
    stop: StopSignal,
    /// What the hash of the weights must be when they are read.
    expected: Option<String>,
    /// The vocabulary that replaces the files' own, and the config as the files have it.
    vocabulary: Option<Arc<(NewVocabulary, ModelConfig)>>,
    /// The width that word vectors are made, and the config that they have before.
    narrow: Option<Arc<(i64, ModelConfig)>>,
}

impl ModelDirectory {
    /// Reads the config of a directory, or of a `config.json` given by name. A path that does not exist may be the
    /// name of a model on the Hugging Face hub, [`HubName`].
    ///
    /// # Errors
    /// [`ModelError`] where there is none, or it is not one that can be built.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::open_until(path, &StopSignal::default())
    }

    /// As [`ModelDirectory::open`]. Fetching, checking what lies in the hub's cache, and later hashing end with
    /// [`ModelError::Stopped`] once a stop is asked for.
    ///
    /// # Errors
    /// As [`ModelDirectory::open`].
    pub fn open_until(path: &Path, stop: &StopSignal) -> Result<Self, ModelError> {
        let hub = if path.exists() { None } else { HubName::of(path) };
        let located = hub.map(|name| name.locate(stop)).transpose()?;
        let path = located.as_deref().unwrap_or(path);
        let config_alone = path.is_file();
        let directory = if config_alone { path.parent().unwrap_or(Path::new(".")) } else { path };
        let config_path = if config_alone { path.to_owned() } else { path.join(CONFIG_FILE) };
        if !config_path.exists() {
            let absent = "; the directory does not exist".to_owned();
            let hint = if path.exists() { weights::adapter_hint(path) } else { absent };
            return Err(ModelError::NotAModel { directory: path.to_owned(), file: CONFIG_FILE, hint });
        }
        verify::directory(directory, stop)?;
        let directory = ModelDirectory {
            path: directory.to_owned(),
            config: ModelConfig::read(&config_path)?,
            config_alone,
            notes: Vec::new(),
            stop: stop.clone(),
            expected: None,
            vocabulary: None,
            narrow: None,
        };
        if config_alone { Ok(directory) } else { directory.reading_weights_names() }
    }

    /// The same directory, with what the names of its weights say and the config does not. Weights that are missing or
    /// damaged are refused where they are read.
    ///
    /// # Errors
    /// Where the system refuses to read them.
    fn reading_weights_names(mut self) -> Result<Self, ModelError> {
        let (shapes, wrapper) =
            match weights::weight_files(&self.path).and_then(|files| weights::shapes(&files)) {
                Ok(found) => found,
                // Weights that cannot be read for now may hold a head.
                Err(error) if error.category() == Category::Io => return Err(error),
                Err(_) => return Ok(self),
            };
        let path = self.path.display();
        if !wrapper.is_empty() {
            self.notes.push(format!("{path}: the prefix {wrapper} is removed from all weight names"));
        }
        let shapes = renamed(shapes, self.config.architecture);
        if let Some(config) = self.config.with_head_among(&shapes) {
            let config = config?;
            self.notes.push(format!(
                "{path}: config.json does not name a classifier, but the weights have a classification head with {} \
                 outputs: read as {}",
                config.outputs(),
                config.architecture.class(config.head)
            ));
            self.config = config;
        }
        Ok(self)
    }

    /// How the directory was read, where it could be read in another way: sentences for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same directory, whose weights are refused with [`ModelError::Changed`] unless this is the
    /// [`ModelDirectory::weights_hash`] of what was read.
    pub fn holding(self, hash: &str) -> Self {
        ModelDirectory { expected: Some(hash.to_owned()), ..self }
    }

    /// The same directory with another vocabulary: its config is one of that, and its weights are read so. A second one
    /// replaces the first one.
    ///
    /// # Errors
    /// [`ModelError`] where the config could not be one with that vocabulary.
    pub fn with_vocabulary(self, vocabulary: &NewVocabulary) -> Result<Self, ModelError> {
        let config = self.config.with_vocabulary(vocabulary)?;
        let (vocabulary, own) = match &self.vocabulary {
            Some(first) => (vocabulary.after(&first.0), first.1.clone()),
            None => (vocabulary.clone(), self.config.clone()),
        };
        Ok(ModelDirectory { config, vocabulary: Some(Arc::new((vocabulary, own))), ..self })
    }

    /// The same directory with narrower word vectors: they are approximated where the weights are read.
    ///
    /// # Errors
    /// [`ModelError::EmbeddingSize`] where the architecture's are as wide as its hidden states, or `size` is not less than
    /// theirs.
    pub fn with_embedding_size(self, size: i64) -> Result<Self, ModelError> {
        let config = self.config.with_embedding_size(size)?;
        let own = self.narrow.as_ref().map_or_else(|| self.config.clone(), |narrow| narrow.1.clone());
        Ok(ModelDirectory { config, narrow: Some(Arc::new((size, own))), ..self })
    }

    /// Reads the weights.
    pub(crate) fn read_weights(&self) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let files = weights::weight_files(&self.path)?;
        let given = weights::read_model(&files, &self.path, self.expected.as_deref())?;
        let given = match self.vocabulary.as_deref() {
            None => given,
            Some((vocabulary, own)) => replaced(given, own, &self.config, vocabulary)?,
        };
        match self.narrow.as_deref() {
            None => Ok(given),
            Some((size, own)) => Ok(narrowed(given, own, *size)?),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its config.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Whether there are weights next to the config, and not the config alone was named.
    pub fn has_weights(&self) -> bool {
        !self.config_alone && weights::weight_files(&self.path).is_ok()
    }

    /// Whether a `config.json` was named, whose architecture is meant without any weights.
    pub fn is_config_alone(&self) -> bool {
        self.config_alone
    }

    /// Hash of the weights.
    ///
    /// # Errors
    /// [`ModelError`] where there are none or they cannot be read.
    pub fn weights_hash(&self) -> Result<String, ModelError> {
        weights::weights_hash(&self.path, &self.stop)
    }

    /// Loads the model that the config names, whose weights are all there; a classifier of rows where it names none.
    ///
    /// # Errors
    /// [`ModelError::Weights`] for any tensor missing, extra or misshapen, the head's too.
    pub fn load_classifier(&self, device: Device) -> Result<Model, ModelError> {
        self.build(self.config.clone(), Fresh::Nothing, device)
    }

    /// As [`ModelDirectory::load_classifier`], with this head.
    ///
    /// # Errors
    /// As [`ModelDirectory::load_classifier`].
    pub fn load_with(&self, head: HeadKind, device: Device) -> Result<Model, ModelError> {
        self.build(self.config.with_head(head), Fresh::Nothing, device)
    }

    /// Loads a model for passes without training: its weights in another number format, and prepared for it.
    ///
    /// # Errors
    /// As [`ModelDirectory::load_classifier`].
    pub fn load_classifier_as(&self, device: Device, kind: Kind) -> Result<Model, ModelError> {
        let model = self.load_classifier(device)?;
        model.convert(kind)?;
        model.pack_for_inference()?;
        Ok(model)
    }

    /// Loads a backbone and puts a fresh head for a task and its labels on it, unless the directory has that head for exactly
    /// these labels. Its logits mean what `problem_type` says.
    ///
    /// # Errors
    /// [`ModelError::Weights`] for any tensor of the backbone missing, extra or misshapen; [`ModelError::Unsupported`] where
    /// the architecture has no such head.
    pub fn load_for_training(
        &self,
        labels: &LabelMap,
        problem_type: TaskId,
        device: Device,
    ) -> Result<Model, ModelError> {
        let config = self.config.with_problem_type(problem_type);
        let head = config.head;
        if self.keeps_head(head, labels) {
            return self.build(config, Fresh::Nothing, device);
        }
        let given = canonical_names(self.read_weights()?, &config);
        Model::build(
            config.with_labels(labels.clone()).with_problem_type(problem_type),
            self.without_output(given, head),
            Fresh::Head,
            device,
            &self.path,
        )
    }

    /// Whether the directory's own head is one for these labels, so that no fresh one is needed.
    pub(crate) fn keeps_head(&self, head: HeadKind, labels: &LabelMap) -> bool {
        let has_labels = matches!(head, HeadKind::Sequence | HeadKind::Token);
        self.config.named_head() == Some(head) && (!has_labels || self.config.labels == *labels)
    }

    /// Weights without what gives logits: where the directory has a head of this kind, its last layer, else all that is
    /// named like a classifier. A masked language model's head fits every checkpoint of the vocabulary, and stays.
    pub(crate) fn without_output(
        &self,
        mut given: BTreeMap<String, Tensor>,
        head: HeadKind,
    ) -> BTreeMap<String, Tensor> {
        let own = format!("{}.", self.config.architecture.output(head));
        match (head, self.config.named_head()) {
            (HeadKind::Masked, _) => {}
            (_, Some(named)) if named == head => given.retain(|name, _| !name.starts_with(&own)),
            _ => given.retain(|name, _| !name.starts_with("classifier.") && !name.starts_with(&own)),
        }
        given
    }

    /// Builds the architecture of `config` with this directory's weights.
    pub(crate) fn build(&self, config: ModelConfig, fresh: Fresh, device: Device) -> Result<Model, ModelError> {
        let given = self.read_weights()?;
        Model::build(config, given, fresh, device, &self.path)
    }
}

/// Writes config and weights into `directory`, which must exist. Returns the weights' hash.
/// The tokenizer's files are the tokenizer's to write.
///
/// # Errors
/// [`ModelError`] naming the file.
pub fn save(model: &Model, directory: &Path) -> Result<String, ModelError> {
    let _span = trace_span!(target: "timeline", "save").entered();
    let config_path = directory.join(CONFIG_FILE);
    let mut config = model.config().to_json();
    config["dtype"] = dtype(model).into();
    let mut json = serde_json::to_vec_pretty(&config)
        .map_err(|error| ModelError::Malformed { path: config_path.clone(), message: error.to_string() })?;
    json.push(b'\n');
    atomic::write(&config_path, &json)?;
    let weights_path = directory.join(WEIGHTS_FILE);
    let mut tensors: Vec<(String, Tensor)> =
        model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    tensors.extend(unused_bias(model.config(), model.parameters()));
    weights::write(&weights_path, &tensors)?;
    hash::file_hash(&weights_path).map_err(|error| FileError::new("read", &weights_path, error).into())
}

/// The number format of the weights as `transformers` names it, which is what it loads them in.
fn dtype(model: &Model) -> &'static str {
    match model.parameters().first().map(|(_, tensor)| tensor.kind()) {
        Some(Kind::BFloat16) => "bfloat16",
        Some(Kind::Half) => "float16",
        _ => "float32",
    }
}
