//! What a student reads, opened once, and what of that goes into its record.

use std::collections::BTreeMap;
use std::path::Path;

use distill_data::TextTokenizer;
use distill_data::logits::{Fingerprint, Store};
use distill_data::source::Texts;
use distill_model::ModelDirectory;
use distill_student::TrainSettings;
use distill_student::teachers::TeacherEnsemble;
use serde_json::{Value, json};

use super::StudentStage;
use super::stores::{TEACHER, columns_of, open_store, problem_type, targets_name, teacher_of};
use crate::error::Result;
use crate::session::{Session, dtype_name};
use crate::settings::{DataSettings, Targets, Validation};
use crate::vocabulary::{self, Moved, VOCABULARY_FROM};
use crate::{inputs, length, training};

/// What the stage reads, opened and resolved once.
pub struct Opened {
    /// Every teacher's store; the first gives the rows.
    pub stores: Vec<Store>,
    /// How their logits become one's.
    pub mixture: TeacherEnsemble,
    /// How to train for what the stores' logits mean.
    pub train: TrainSettings,
    /// `[data]`, with the columns that the teacher read where none are named.
    pub data: DataSettings,
    /// What the student starts as.
    pub init: ModelDirectory,
    /// The student's.
    pub tokenizer: TextTokenizer,
    /// The teacher that runs next to the student, where a loss looks inside both.
    pub layer_teacher: Option<ModelDirectory>,
    /// How the embeddings of `init` were moved to another vocabulary, where they were.
    pub moved: Option<Value>,
    /// Hash of the tokenizer that `init` had before.
    pub before: Option<String>,
    /// The texts by which the vocabulary is made smaller.
    pub vocabulary_from: Option<Texts>,
}

impl StudentStage<'_> {
    /// Opens all that the student starts from and learns from, once.
    pub(super) fn open(&self) -> Result<Opened> {
        self.train.check()?;
        training::check_validation(&self.settings.data)?;
        let stores = self.stores()?;
        let mixture = self.mixture(&stores)?;
        let train = self.train(&stores)?;
        let data = self.data(&stores)?;
        let init = self.init(&stores)?;
        let max_length = self.max_length(&stores, &init);
        let Moved { directory: init, before, report: moved } = match &self.settings.student.start.tokenizer {
            Some(tokenizer) if init.has_weights() => vocabulary::moved(init, tokenizer)?,
            _ => Moved { directory: init, before: None, report: None },
        };
        let init = match self.settings.student.start.embedding_size {
            Some(size) => init.with_embedding_size(size)?,
            None => init,
        };
        let directory = self.tokenizer_directory(&init);
        let tokenizer = inputs::tokenizer_for(problem_type(&stores), directory, max_length, init.config())?;
        let layer_teacher = self.teacher()?;
        let vocabulary_from = vocabulary::texts(&self.settings.student.start, &data)?;
        Ok(Opened {
            stores,
            mixture,
            train,
            data,
            init,
            tokenizer,
            layer_teacher,
            moved,
            before,
            vocabulary_from,
        })
    }

    /// Every teacher's store; the first gives the rows.
    pub(super) fn stores(&self) -> Result<Vec<Store>> {
        let directories = self.settings.student.start.targets.as_ref().map_or(&[][..], Targets::directories);
        inputs::required(directories.first(), "--targets", "student.targets")?;
        directories.iter().map(|directory| open_store(directory)).collect()
    }

    /// How to train for what the stores' logits mean.
    fn train(&self, stores: &[Store]) -> Result<TrainSettings> {
        let problem_type = problem_type(stores);
        inputs::must_be_asked_for(&self.settings.data, problem_type, "that of the soft targets")?;
        Ok(self.train.for_problem(problem_type)?)
    }

    /// `[data]`, with the columns that the teacher read where none are named.
    fn data(&self, stores: &[Store]) -> Result<DataSettings> {
        let data = self.settings.data.clone();
        let reads_rows = self.rows.is_some() || matches!(data.validation, Validation::File(_));
        let Some(store) = stores.first().filter(|_| reads_rows) else { return Ok(data) };
        Ok(DataSettings { columns: columns_of(store, &data.columns)?, ..data })
    }

    /// What the student starts as; `teacher` is that of the first store.
    fn init(&self, stores: &[Store]) -> Result<ModelDirectory> {
        let path = inputs::required(self.init.as_ref(), "--init", "student.init")?;
        match stores.first() {
            Some(store) if path == Path::new(TEACHER) && !path.exists() => teacher_of(store),
            _ => inputs::model(path),
        }
    }

    /// The teacher that runs next to the student, if a loss on intermediate layers needs it.
    fn teacher(&self) -> Result<Option<ModelDirectory>> {
        if !self.train.has_intermediate_losses() {
            return Ok(None);
        }
        let path = self.settings.student.start.teacher_model.as_ref();
        inputs::model(inputs::required(path, "--teacher-model", "student.teacher_model")?).map(Some)
    }

    /// How the stores' logits become one's, as `teacher_weights` and `average` say: they are checked for one store too.
    fn mixture(&self, stores: &[Store]) -> Result<TeacherEnsemble> {
        let start = &self.settings.student.start;
        Ok(TeacherEnsemble::new(&start.teacher_weights, stores.len(), start.average, problem_type(stores))?)
    }

    fn max_length(&self, stores: &[Store], init: &ModelDirectory) -> usize {
        length::of_student(self.settings.data.max_length, stores, init.config())
    }

    fn tokenizer_directory<'b>(&'b self, init: &'b ModelDirectory) -> &'b Path {
        self.settings.student.start.tokenizer.as_deref().unwrap_or(init.path())
    }

    /// The settings that the student depends on.
    pub(super) fn recorded(&self, opened: &Opened, session: &Session) -> Result<Value> {
        let mut student = serde_json::to_value(&opened.train)?;
        if let (Some(student), Value::Object(start)) =
            (student.as_object_mut(), serde_json::to_value(&self.settings.student.start)?)
        {
            student.extend(start.into_iter().filter(|(key, _)| key != "no_teacher_baseline"));
            // What is stopped leaves no result, so that one of the default is that of `false`.
            student.entry("require_teacher").or_insert(Value::Bool(false));
        }
        let data = inputs::data_settings(self.settings, Some(opened.tokenizer.max_length()))?;
        let dtype = dtype_name(session.kind);
        Ok(json!({"data": data, "student": student, "seed": session.seed, "dtype": dtype}))
    }

    /// Hashes of all that it reads.
    pub(super) fn hashes(&self, opened: &Opened) -> Result<BTreeMap<String, String>> {
        let Opened { stores, data, init, tokenizer, layer_teacher, before, vocabulary_from, .. } = opened;
        let init_hash = if init.has_weights() { init.weights_hash()? } else { "config.json only".to_owned() };
        let mut hashes = BTreeMap::from([
            ("init".to_owned(), init_hash),
            (
                "init_config".to_owned(),
                distill_core::hash::bytes_hash(init.config().to_json().to_string().as_bytes()),
            ),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
        ]);
        if let Some(texts) = vocabulary_from {
            hashes.insert(VOCABULARY_FROM.to_owned(), texts.hash()?);
        }
        hashes.extend(before.clone().map(|hash| ("init_tokenizer".to_owned(), hash)));
        if let Some(teacher) = layer_teacher {
            hashes.insert("teacher_model".to_owned(), teacher.weights_hash()?);
        }
        for (number, store) in stores.iter().enumerate() {
            // The manifest holds the hash of every shard.
            hashes.insert(targets_name(number), store.manifest_hash().to_owned());
        }
        // One by one, so that resuming with another store says what differs.
        for (number, store) in stores.iter().enumerate() {
            let name = targets_name(number).replacen("targets", "fingerprint", 1);
            hashes
                .extend(store.fingerprint().fields().map(|(field, value)| (format!("{name}.{field}"), value)));
        }
        if let Some(rows) = &self.rows {
            let Some(store) = stores.first() else { return Ok(hashes) };
            hashes.insert("data".to_owned(), self.rows_hash(rows, store, data)?);
        }
        inputs::add_validation(&mut hashes, self.settings)?;
        Ok(hashes)
    }

    /// Rows of a store without texts must be those that its logits were computed of.
    fn rows_hash(&self, rows: &Path, store: &Store, data: &DataSettings) -> Result<String> {
        let hash = inputs::source(rows, data, store.fingerprint().problem_type)?.hash()?;
        let theirs = Fingerprint { dataset: hash.clone(), ..store.fingerprint().clone() };
        let name = store.directory().display().to_string();
        store.fingerprint().must_equal(&name, &theirs, &rows.display().to_string())?;
        Ok(hash)
    }
}
