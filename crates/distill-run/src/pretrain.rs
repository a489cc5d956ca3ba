//! `distill pretrain`: texts → a masked language model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::hash::bytes_hash;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::masking::Masking;
use distill_data::source::DocumentSource;
use distill_model::student::{self, Shape};
use distill_model::{Model, ModelDirectory, masked};
use distill_student::data::Part;
use distill_student::plan::check_masking;
use distill_student::sequences::{SequenceBuilder, places, split_documents};
use distill_student::{ModelFacts, TrainSettings, TrainingData};
use distill_task::TaskId;
use distill_torch::rng;
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::outdir::OutDir;
use crate::session::{Session, dtype_name, stop_signal};
use crate::settings::pretrain::{PretrainSettings, PretrainTexts};
use crate::settings::{DataSettings, Settings, Validation};
use crate::stage::{self, Finished, Prepared, Stage};
use crate::vocabulary::{self, Moved};
use crate::{inputs, length, training};

/// What is learned.
const TASK: TaskId = TaskId::MASKED_LANGUAGE_MODELING;

/// The stage with its settings.
pub struct PretrainStage<'a> {
    /// All settings; `[pretrain]` and, for how rows are read, `[data]`.
    pub settings: &'a Settings,
}

/// What the stage reads, opened and resolved once.
struct Opened {
    model: Moved,
    tokenizer: TextTokenizer,
    texts: DocumentSource,
    validation: Option<DocumentSource>,
    masking: Masking,
    train: TrainSettings,
}

/// Whether a share can be cut off for validation.
///
/// # Errors
/// Wrong usage, with the share.
pub fn check_validation(texts: &PretrainTexts) -> Result<()> {
    match &texts.validation {
        Validation::Share(share) if !(*share > 0.0 && *share < 1.0) => Err(RunError::usage(format!(
            "pretrain.validation is {share}; expected a file or a share between 0 and 1, such as 0.1 or 10%"
        ))),
        _ => Ok(()),
    }
}

/// The directory of the model that is started from, with a head that can be trained so, and its tokenizer.
///
/// # Errors
/// Where one of them cannot be read, they do not belong together, or nothing can be masked.
pub fn model(settings: &Settings, seed: u64) -> Result<(Moved, TextTokenizer, Masking)> {
    let texts = &settings.pretrain.texts;
    let directory = inputs::model(inputs::required(texts.model.as_ref(), "--model", "pretrain.model")?)?;
    masked::check_architecture(&directory)?;
    let moved = match &texts.tokenizer {
        Some(tokenizer) => vocabulary::moved(directory, tokenizer)?,
        None => Moved { directory, before: None, report: None },
    };
    let config = moved.directory.config();
    let path = texts.tokenizer.as_deref().unwrap_or(moved.directory.path());
    let max_length = length::to_train(settings.data.max_length, TASK, path, config)?;
    let tokenizer = inputs::tokenizer(path, max_length, config)?;
    let masking = Masking {
        kind: texts.masking,
        probability: texts.mask_probability,
        vocabulary: Arc::new(tokenizer.mask_vocabulary()?),
        seed,
    };
    check_masking(&masking)?;
    Ok((moved, tokenizer, masking))
}

/// Opens texts, whose labels are passed over.
///
/// # Errors
/// [`distill_data::DataError`] for a missing file or an unknown format.
pub fn texts(path: &Path, data: &DataSettings) -> Result<DocumentSource> {
    let delimiter = data.delimiter.map(|delimiter| delimiter.0);
    Ok(DocumentSource::open(path, &data.columns, delimiter, stop_signal())?)
}

impl PretrainStage<'_> {
    fn open(&self, session: &Session) -> Result<Opened> {
        let PretrainSettings { texts, train } = &self.settings.pretrain;
        let train = train.for_problem(TASK)?;
        train.check_contrast(texts.objectives.simcse)?;
        let (model, tokenizer, masking) = model(self.settings, session.seed)?;
        let data = &self.settings.data;
        let read = self::texts(inputs::required(self.texts(), "--data", "pretrain.data")?, data)?;
        let validation = match &texts.validation {
            Validation::File(path) => Some(self::texts(path, data)?),
            Validation::Share(_) => None,
        };
        Ok(Opened { model, tokenizer, texts: read, validation, masking, train })
    }

    /// The texts: its own, or those of the training rows.
    fn texts(&self) -> Option<&PathBuf> {
        self.settings.pretrain.texts.data.as_ref().or(self.settings.data.train.as_ref())
    }

    fn train(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let Opened {
            model: Moved { directory, report, .. },
            tokenizer,
            texts,
            validation,
            masking,
            train: settings,
        } = opened;
        let caches = training::caches(&self.settings.data)?;
        let builder = SequenceBuilder {
            tokenizer: &tokenizer,
            vocabulary: &masking.vocabulary,
            packing: self.settings.pretrain.texts.packing,
            directory: caches.as_deref(),
            stop: &session.stop,
        };
        let part = |texts: DocumentSource, input: &str| -> Result<Part> {
            let hash = inputs::recorded(record, input);
            let mut texts = texts.holding(hash);
            inputs::scan_texts(&mut texts)?;
            Ok(builder.build(&texts, hash)?)
        };
        let train = part(texts, "data")?;
        let parts = match (validation, &self.settings.pretrain.texts.validation) {
            (Some(validation), _) => TrainingData { train, validation: part(validation, "validation")? },
            (None, Validation::Share(share)) => split_documents(train, *share, session.seed)?,
            (None, Validation::File(_)) => return Err(RunError::usage("pretrain.validation is not open")),
        };
        rng::manual_seed(session.seed);
        let model = load(&directory.holding(inputs::recorded(record, "model")), session)?;
        say_places(&parts, &masking);
        let contrast = self.settings.pretrain.texts.objectives.simcse;
        let plan = &settings.resolve_masked(&ModelFacts::of(&model), masking, contrast)?;
        let mut finished = training::Job {
            session,
            plan,
            settings: &settings,
            data: &parts,
            model: &model,
            teacher: None,
            tokenizer: &tokenizer,
            out,
            record,
        }
        .run()?;
        finished.results.extend(report.map(|report| ("vocabulary".to_owned(), report)));
        Ok(finished)
    }
}

/// The model with its head, which is fresh where the directory has none; all of it where there is only a config.
fn load(directory: &ModelDirectory, session: &Session) -> Result<Model> {
    let labels = &directory.config().labels;
    Ok(match directory.is_config_alone() {
        true => student::initialize(directory, Shape::default(), labels, TASK, session.device)?,
        false => directory.load_for_training(labels, TASK, session.device)?,
    })
}

/// Says how much an epoch is, in tokens.
fn say_places(parts: &TrainingData, masking: &Masking) {
    let tokens = |part: &Part| part.iter().map(|one| one.input_ids.len() as u64).sum::<u64>();
    let (train, validation) = (tokens(&parts.train), tokens(&parts.validation));
    let predicted = places(&parts.train, masking);
    tracing::info!(
        "{train} training tokens, about {predicted} of them predicted in an epoch; {validation} validation tokens"
    );
}

impl Stage for PretrainStage<'_> {
    fn command(&self) -> &'static str {
        "pretrain"
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        self.settings.pretrain.train.check()?;
        check_validation(&self.settings.pretrain.texts)?;
        let opened = self.open(session)?;
        let settings = self.recorded(&opened, session)?;
        let Opened { model: Moved { directory, before, .. }, tokenizer, texts, validation, .. } = &opened;
        let mut hashes = BTreeMap::from([
            ("model".to_owned(), weights_of(directory)?),
            ("model_config".to_owned(), bytes_hash(directory.config().to_json().to_string().as_bytes())),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), texts.hash()?),
        ]);
        hashes.extend(before.clone().map(|hash| ("model_tokenizer".to_owned(), hash)));
        if let Some(validation) = validation {
            hashes.insert("validation".to_owned(), validation.hash()?);
        }
        Ok(Prepared::new(settings, hashes, |session, out, record| self.train(opened, session, out, record)))
    }

    fn reads(&self) -> Vec<PathBuf> {
        let texts = &self.settings.pretrain.texts;
        let validation = match &texts.validation {
            Validation::File(path) => Some(path),
            Validation::Share(_) => None,
        };
        let named = [texts.model.as_ref(), texts.tokenizer.as_ref(), self.texts(), validation];
        named.into_iter().flatten().cloned().collect()
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        Ok(stage::first_missing(out, training::RESULT))
    }

    fn clean_up(&self, out: &OutDir) -> Result<()> {
        training::remove_checkpoints(out)
    }

    fn has_left_overs(&self, out: &Path) -> bool {
        training::has_checkpoints(out)
    }
}

impl PretrainStage<'_> {
    /// The settings that its result depends on: of `[data]` how texts are read, and no labels.
    fn recorded(&self, opened: &Opened, session: &Session) -> Result<Value> {
        let data = &self.settings.data;
        let mut columns = data.columns.clone();
        columns.label = None;
        let delimiter = serde_json::to_value(data.delimiter)?;
        let mut texts = self.settings.pretrain.texts.clone();
        if matches!(texts.validation, Validation::File(_)) {
            // Its hash is among the inputs.
            texts.validation = Validation::File(PathBuf::from("a file"));
        }
        let pretrain = PretrainSettings { texts, train: opened.train.clone() };
        Ok(json!({
            "data": {"columns": columns, "delimiter": delimiter, "max_length": opened.tokenizer.max_length()},
            "pretrain": pretrain,
            "seed": session.seed,
            "dtype": dtype_name(session.kind),
        }))
    }
}

/// Hash of the weights that training starts from; a name where all are fresh.
fn weights_of(directory: &ModelDirectory) -> Result<String> {
    if directory.is_config_alone() { Ok("config.json only".to_owned()) } else { Ok(directory.weights_hash()?) }
}
