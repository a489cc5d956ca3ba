//! `distill student`: soft-target store → student.

mod judged;
mod stores;
mod worth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_core::LabelMap;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{Fingerprint, Store};
use distill_data::source::{Source, Summary};
use distill_model::ModelDirectory;
use distill_model::student::Shape;
use distill_student::data::{CacheBuilder, Part};
use distill_student::intermediate_losses::IntermediateLosses;
use distill_student::selection::Metric;
use distill_student::settings::BestMetric;
use distill_student::teachers::{TeacherEnsemble, Teachers};
use distill_student::trainer::check_soft_targets;
use distill_student::{ModelFacts, TrainSettings};
use distill_torch::rng;
use serde_json::{Value, json};

use self::judged::Told;
pub use self::stores::{TEACHER, columns_of, open_store, teacher_of};
use self::stores::{check_max_length, problem_type, targets_hash, targets_name, warn_of_another};
use self::worth::{Required, Worth};
use crate::error::Failure;
use crate::outdir::OutDir;
use crate::session::{Session, dtype_name};
use crate::settings::{DataSettings, Settings, Targets, Validation};
use crate::stage::{self, Finished, Stage};
use crate::{inputs, length, training};

/// The stage with its settings.
pub struct StudentStage<'a> {
    settings: &'a Settings,
    train: TrainSettings,
    init: Option<PathBuf>,
    rows: Option<PathBuf>,
    /// Whether rows without labels are dropped: copies and additional rows, which only a teacher labels.
    labelled_only: bool,
    /// Whether it is a stage of a pipeline, whose teacher is required unless the settings say otherwise.
    in_pipeline: bool,
}

impl<'a> StudentStage<'a> {
    /// A student by `[student]`. `rows` are those of a store without texts.
    pub fn new(settings: &'a Settings, rows: Option<PathBuf>) -> Self {
        let student = &settings.student;
        let (train, init) = (student.train.clone(), student.start.init.clone());
        StudentStage { settings, train, init, rows, labelled_only: false, in_pipeline: false }
    }

    /// The same student without a teacher.
    pub fn without_teacher(settings: &'a Settings, rows: Option<PathBuf>) -> Self {
        let init = settings.student.start.baseline_init.clone();
        let same = Self::new(settings, rows);
        let train = same.train.without_teacher();
        StudentStage { train, init: init.or(same.init), labelled_only: true, ..same }
    }

    /// The same student, trained only on labelled rows.
    #[must_use]
    pub fn with_labelled_rows_alone(self) -> Self {
        StudentStage { labelled_only: true, ..self }
    }

    /// The same student as a stage of a pipeline.
    #[must_use]
    pub fn in_pipeline(self) -> Self {
        StudentStage { in_pipeline: true, ..self }
    }

    fn required(&self) -> Required {
        match self.settings.student.start.require_teacher {
            Some(true) => Required::Yes,
            Some(false) => Required::No,
            None if self.in_pipeline => Required::WhereJudged,
            None => Required::No,
        }
    }

    /// What students of these soft targets are compared by, where this was asked for.
    ///
    /// # Errors
    /// A metric that their kind of label does not have, or stores that cannot be read.
    pub fn compared_by(&self, metric: BestMetric) -> anyhow::Result<Metric> {
        let problem_type = problem_type(&self.stores()?);
        TrainSettings { best_metric: metric, ..TrainSettings::default() }.for_problem(problem_type)?;
        Ok(metric.resolve(problem_type))
    }

    /// Every teacher's store; the first gives the rows.
    fn stores(&self) -> anyhow::Result<Vec<Store>> {
        let directories = self.settings.student.start.targets.as_ref().map_or(&[][..], Targets::directories);
        inputs::required(directories.first(), "--targets", "student.targets")?;
        directories.iter().map(|directory| open_store(directory)).collect()
    }

    /// How to train for what the stores' logits mean.
    fn train(&self, stores: &[Store]) -> anyhow::Result<TrainSettings> {
        let problem_type = problem_type(stores);
        if let Some(asked) = self.settings.data.problem_type.filter(|asked| *asked != problem_type) {
            let message = format!("data.problem_type is {asked}, but the soft targets are of {problem_type}");
            return Err(Failure::usage(message).into());
        }
        Ok(self.train.for_problem(problem_type)?)
    }

    /// Rows with their soft targets.
    fn part(
        &self,
        builder: &CacheBuilder<'_>,
        stores: Vec<Store>,
        rows: Option<Source>,
        record: &RunRecord,
    ) -> anyhow::Result<Part> {
        let data_hash = inputs::recorded(record, "data").to_owned();
        let hash = targets_hash(record);
        let Some((store, others)) = stores.split_first() else {
            bail!(Failure::usage("--targets is missing (or set student.targets in a --config file)"));
        };
        if !others.is_empty() {
            let start = &self.settings.student.start;
            let teachers = Teachers::new(stores, &start.teacher_weights, start.average)?;
            let rows = rows.as_ref().map(|source| (source, data_hash.as_str()));
            return Ok(builder.from_teachers(&teachers, &hash, rows)?);
        }
        Ok(match &rows {
            None => builder.from_store(store, &hash)?,
            Some(source) => builder.from_join(source, &data_hash, store, &hash)?,
        })
    }

    /// Rows of a store without texts must be those that its logits were computed of.
    fn rows_hash(&self, rows: &Path, store: &Store) -> anyhow::Result<String> {
        let data = self.data(std::slice::from_ref(store))?;
        let hash = inputs::source(rows, &data, store.fingerprint().problem_type)?.hash()?;
        let theirs = Fingerprint { dataset: hash.clone(), ..store.fingerprint().clone() };
        let name = store.directory().display().to_string();
        store.fingerprint().must_equal(&name, &theirs, &rows.display().to_string())?;
        Ok(hash)
    }

    fn init(&self) -> anyhow::Result<ModelDirectory> {
        let path = inputs::required(self.init.as_ref(), "--init", "student.init")?;
        match self.stores()?.first() {
            Some(store) if path == Path::new(TEACHER) && !path.exists() => teacher_of(store),
            _ => inputs::model(path),
        }
    }

    /// The teacher that runs next to the student, if a loss on intermediate layers needs it.
    fn teacher(&self) -> anyhow::Result<Option<ModelDirectory>> {
        if !self.train.has_intermediate_losses() {
            return Ok(None);
        }
        let path = self.settings.student.start.teacher_model.as_ref();
        inputs::model(inputs::required(path, "--teacher-model", "student.teacher_model")?).map(Some)
    }

    /// What is named as the teacher, if any: it may be that of the stores.
    fn named_teacher(&self) -> anyhow::Result<Option<ModelDirectory>> {
        let path = self.settings.student.start.teacher_model.as_ref();
        path.map(|path| inputs::model(path)).transpose().context("--teacher-model")
    }

    /// How the stores' logits become one's, as `teacher_weights` and `average` say: they are checked for one store too.
    fn mixture(&self, stores: &[Store]) -> anyhow::Result<TeacherEnsemble> {
        let start = &self.settings.student.start;
        Ok(TeacherEnsemble::new(&start.teacher_weights, stores.len(), start.average, problem_type(stores))?)
    }

    /// What the teachers say of the validation part, which they are judged by.
    fn told(&self, stores: &[Store], validation: &Part, session: &Session) -> anyhow::Result<Told> {
        let data = &self.data(stores)?;
        let Validation::File(path) = &data.validation else {
            return Ok(judged::by_the_store(validation));
        };
        let source = inputs::source(path, data, problem_type(stores))?;
        let source = match stores.first() {
            None => source,
            Some(store) => {
                let summary = Summary::scan(&source, &session.stop)?;
                inputs::fit(&source, &summary, &store.fingerprint().label_map)?
            }
        };
        let (named, mixture, caches) = (self.named_teacher()?, self.mixture(stores)?, training::caches(data)?);
        let (named, mixture, caches) = (named.as_ref(), &mixture, caches.as_deref());
        judged::ModelsBehind { stores, named, mixture, caches, session }.say(&source)
    }

    /// Hidden states are compared token by token, so both must read the same tokens.
    fn check_tokens(&self, teacher: &ModelDirectory, students: &TextTokenizer) -> anyhow::Result<()> {
        let theirs = inputs::tokenizer(teacher.path(), students.max_length(), teacher.config())?;
        must_read_alike(teacher.path(), theirs.hash(), students.hash())
    }

    /// `[data]`, with the columns that the teacher read where none are named.
    fn data(&self, stores: &[Store]) -> anyhow::Result<DataSettings> {
        let data = self.settings.data.clone();
        let reads_rows = self.rows.is_some() || matches!(data.validation, Validation::File(_));
        let Some(store) = stores.first().filter(|_| reads_rows) else { return Ok(data) };
        Ok(DataSettings { columns: columns_of(store, &data.columns)?, ..data })
    }

    fn max_length(&self, stores: &[Store], init: &ModelDirectory) -> usize {
        length::of_student(self.settings.data.max_length, stores, init.config())
    }

    fn tokenizer_directory<'b>(&'b self, init: &'b ModelDirectory) -> &'b Path {
        self.settings.student.start.tokenizer.as_deref().unwrap_or(init.path())
    }
}

/// Refuses a teacher that reads other tokens than its student, by the hashes of their tokenizers.
///
/// # Errors
/// Wrong usage, with the teacher.
pub fn must_read_alike(teacher: &Path, theirs: &str, students: &str) -> anyhow::Result<()> {
    if theirs != students {
        bail!(Failure::usage(format!(
            "losses on intermediate layers compare states token by token, but the tokenizer of {} is not the \
             student's: remove hidden_weight, attention_weight and relation_weight, or use the same tokenizer for \
             both",
            teacher.display()
        )));
    }
    Ok(())
}

impl Stage for StudentStage<'_> {
    fn command(&self) -> &'static str {
        "student"
    }

    fn settings(&self, session: &Session) -> anyhow::Result<Value> {
        self.train.check()?;
        training::check_validation(&self.settings.data)?;
        let stores = self.stores()?;
        self.mixture(&stores)?;
        let mut student = serde_json::to_value(self.train(&stores)?)?;
        if let (Some(student), Value::Object(start)) =
            (student.as_object_mut(), serde_json::to_value(&self.settings.student.start)?)
        {
            student.extend(start.into_iter().filter(|(key, _)| key != "no_teacher_baseline"));
            // What is stopped leaves no result, so that one of the default is that of `false`.
            student.entry("require_teacher").or_insert(Value::Bool(false));
        }
        let max_length = self.max_length(&stores, &self.init()?);
        let (data, dtype) = (inputs::data_settings(self.settings, Some(max_length))?, dtype_name(session.kind));
        Ok(json!({"data": data, "student": student, "seed": session.seed, "dtype": dtype}))
    }

    fn inputs(&self, _session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        let stores = self.stores()?;
        let init = self.init()?;
        let max_length = self.max_length(&stores, &init);
        let tokenizer = inputs::tokenizer(self.tokenizer_directory(&init), max_length, init.config())?;
        let init_hash = if init.has_weights() { init.weights_hash()? } else { "config.json only".to_owned() };
        let mut hashes = BTreeMap::from([
            ("init".to_owned(), init_hash),
            (
                "init_config".to_owned(),
                distill_core::hash::bytes_hash(init.config().to_json().to_string().as_bytes()),
            ),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
        ]);
        if let Some(teacher) = self.teacher()? {
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
            hashes.insert("data".to_owned(), self.rows_hash(rows, store)?);
        }
        inputs::add_validation(&mut hashes, self.settings)?;
        Ok(hashes)
    }

    fn reads(&self) -> Vec<PathBuf> {
        let (data, start) = (&self.settings.data, &self.settings.student.start);
        let stores = start.targets.as_ref().map_or(&[][..], Targets::directories);
        // Of `--init teacher`, and of teachers that are asked for a validation file.
        let behind = stores.iter().filter_map(|store| stores::path_behind(store));
        let init = self.init.as_ref().filter(|init| init.as_path() != Path::new(TEACHER) || init.exists());
        let named = [
            init,
            start.tokenizer.as_ref(),
            start.teacher_model.as_ref(),
            self.rows.as_ref(),
            inputs::validation_file(data),
        ];
        named.into_iter().flatten().chain(stores).cloned().chain(behind).collect()
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        let stores = self.stores()?;
        let data = &self.data(&stores)?;
        let labels =
            stores.first().map(|store| store.fingerprint().label_map.clone()).unwrap_or(LabelMap::numbered(1)?);
        let problem_type = problem_type(&stores);
        let train = self.train(&stores)?;
        for (number, store) in stores.iter().enumerate() {
            inputs::must_be_recorded(record, &targets_name(number), store.manifest_hash(), store.directory())?;
        }
        let init = self.init()?.holding(inputs::recorded(record, "init"));
        let max_length = self.max_length(&stores, &init);
        let tokenizer = inputs::tokenizer(self.tokenizer_directory(&init), max_length, init.config())?;
        inputs::must_be_recorded(record, "tokenizer", tokenizer.hash(), self.tokenizer_directory(&init))?;
        stores.iter().try_for_each(|store| check_max_length(store, max_length))?;
        let beside = self.teacher()?.map(|teacher| teacher.holding(inputs::recorded(record, "teacher_model")));
        if let Some(beside) = &beside {
            self.check_tokens(beside, &tokenizer)?;
        }
        if let Some(named) = self.named_teacher()?.filter(|_| train.has_teacher()) {
            warn_of_another(&named, &stores);
        }
        if init.has_weights() && init.config().has_classifier() && init.config().labels != labels {
            let theirs = &init.config().labels;
            tracing::warn!(
                "--init has {theirs}, the teacher {labels}: the student's classification head is newly initialized"
            );
        }
        rng::manual_seed(session.seed);
        let start = &self.settings.student.start;
        let shape = Shape { layers: start.layers.as_deref(), hidden_size: start.hidden_size };
        let model = distill_model::student::initialize(&init, shape, &labels, problem_type, session.device)?;
        let beside =
            beside.map(|beside| beside.load_classifier_as(session.device, session.kind)).transpose()?;
        // Before rows are tokenized, which may take long.
        let plan = train.resolve(&ModelFacts::of(&model))?;
        drop(IntermediateLosses::new(&plan.loss.intermediate, &model, beside.as_ref(), session.seed)?);

        let caches = training::caches(data)?;
        let builder = training::builder(&tokenizer, &labels, problem_type, caches.as_deref(), session);
        let scanned = |rows: &PathBuf| -> anyhow::Result<Source> {
            let source = inputs::source(rows, data, problem_type)?.holding(inputs::recorded(record, "data"));
            Ok(inputs::scan_labels(&source, &labels, session)?.source)
        };
        let rows = self.rows.as_ref().map(scanned).transpose()?;
        let part = self.part(&builder, stores.clone(), rows, record)?;
        check_soft_targets(&part, labels.num_labels())?;
        let mut parts = training::with_validation(part, data, &builder, session, record)?;
        if self.labelled_only {
            parts.train = parts.train.labelled_part();
        }
        if train.has_teacher() {
            let told = self.told(&stores, &parts.validation, session)?;
            let (plan, model, validation, required) = (&plan, &model, &parts.validation, self.required());
            Worth { plan, model, validation, told, required }.check(session)?;
        }
        training::Job {
            session,
            plan: &plan,
            settings: &train,
            data: &parts,
            model: &model,
            teacher: beside.as_ref(),
            tokenizer: &tokenizer,
            out,
            record,
        }
        .run()
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        Ok(stage::first_missing(out, training::RESULT))
    }

    fn clean_up(&self, out: &OutDir) -> anyhow::Result<()> {
        training::remove_checkpoints(out)
    }

    fn has_left_overs(&self, out: &Path) -> bool {
        training::has_checkpoints(out)
    }
}
