//! `distill student`: soft-target store → student.

mod opened;
mod stores;
mod teacher_gate;
mod teacher_logits;

use std::path::{Path, PathBuf};

use distill_core::LabelMap;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::Store;
use distill_data::source::{Source, Summary};
use distill_model::ModelDirectory;
use distill_model::student::Shape;
use distill_student::data::{CacheBuilder, Part};
use distill_student::intermediate_losses::IntermediateLosses;
use distill_student::selection::Metric;
use distill_student::settings::BestMetric;
use distill_student::teachers::Teachers;
use distill_student::trainer::check_soft_targets;
use distill_student::{ModelFacts, TrainSettings};
use distill_torch::rng;

use self::opened::Opened;
pub use self::stores::{TEACHER, columns_of, open_store, teacher_of};
use self::stores::{check_max_length, problem_type, targets_hash, warn_of_another};
use self::teacher_gate::{Required, TeacherGate};
use self::teacher_logits::TeacherLogits;
use crate::error::{Context, Result, RunError};
use crate::outdir::OutDir;
use crate::session::Session;
use crate::settings::{Settings, Targets, Validation};
use crate::stage::{self, Finished, Prepared, Stage};
use crate::vocabulary::{self, Smaller, VOCABULARY_FROM};
use crate::{inputs, training};

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
    pub fn compared_by(&self, metric: BestMetric) -> Result<Metric> {
        let problem_type = problem_type(&self.stores()?);
        TrainSettings { best_metric: metric, ..TrainSettings::default() }.for_problem(problem_type)?;
        Ok(metric.resolve(problem_type))
    }

    /// Rows with their soft targets.
    fn part(
        &self,
        builder: &CacheBuilder<'_>,
        stores: &[Store],
        rows: Option<Source>,
        record: &RunRecord,
    ) -> Result<Part> {
        let data_hash = inputs::recorded(record, "data").to_owned();
        let hash = targets_hash(record);
        let Some((store, others)) = stores.split_first() else {
            return Err(RunError::usage("--targets is missing (or set student.targets in a --config file)"));
        };
        if !others.is_empty() {
            let start = &self.settings.student.start;
            let teachers = Teachers::new(stores.to_vec(), &start.teacher_weights, start.average)?;
            let rows = rows.as_ref().map(|source| (source, data_hash.as_str()));
            return Ok(builder.from_teachers(&teachers, &hash, rows)?);
        }
        Ok(match &rows {
            None => builder.from_store(store, &hash)?,
            Some(source) => builder.from_join(source, &data_hash, store, &hash)?,
        })
    }

    /// What is named as the teacher, if any: it may be that of the stores.
    fn named_teacher(&self) -> Result<Option<ModelDirectory>> {
        let path = self.settings.student.start.teacher_model.as_ref();
        path.map(|path| inputs::model(path)).transpose().context("--teacher-model")
    }

    /// What the teachers say of the validation part, which they are judged by.
    fn teacher_logits(&self, opened: &Opened, validation: &Part, session: &Session) -> Result<TeacherLogits> {
        let Opened { stores, mixture, data, .. } = opened;
        let Validation::File(path) = &data.validation else {
            return Ok(teacher_logits::from_store(validation));
        };
        let source = inputs::source(path, data, problem_type(stores))?;
        let source = match stores.first() {
            None => source,
            Some(store) => {
                let summary = Summary::scan(&source, &session.stop)?;
                inputs::fit(&source, &summary, &store.fingerprint().label_map)?
            }
        };
        let (named, caches) = (self.named_teacher()?, training::caches(data)?);
        let (named, caches) = (named.as_ref(), caches.as_deref());
        teacher_logits::StoreTeachers { stores, named, mixture, caches, session }.of(&source)
    }

    /// Hidden states are compared token by token, so both must read the same tokens.
    fn check_tokens(&self, teacher: &ModelDirectory, students: &TextTokenizer) -> Result<()> {
        let config = teacher.config();
        let theirs = inputs::tokenizer_for(config.problem_type, teacher.path(), students.max_length(), config)?;
        must_read_alike(teacher.path(), theirs.hash(), students.hash())
    }

    /// Makes the student and trains it.
    fn run(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        if let Some(layer_teacher) = &opened.layer_teacher {
            self.check_tokens(layer_teacher, &opened.tokenizer)?;
        }
        let (opened, smaller) = self.with_smaller_vocabulary(opened, session, record)?;
        let Opened { stores, train, data, tokenizer, .. } = &opened;
        let labels =
            stores.first().map(|store| store.fingerprint().label_map.clone()).unwrap_or(LabelMap::numbered(1)?);
        let problem_type = problem_type(stores);
        let init = opened.init.clone().holding(inputs::recorded(record, "init"));
        stores.iter().try_for_each(|store| check_max_length(store, tokenizer))?;
        let layer_teacher = opened.layer_teacher.clone();
        let layer_teacher =
            layer_teacher.map(|teacher| teacher.holding(inputs::recorded(record, "teacher_model")));
        if let Some(named) = self.named_teacher()?.filter(|_| train.has_teacher()) {
            warn_of_another(&named, stores);
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
        let layer_teacher = layer_teacher
            .map(|layer_teacher| layer_teacher.load_classifier_as(session.device, session.kind))
            .transpose()?;
        if let Some(smaller) = &smaller {
            smaller.say(&model);
        }
        // Before rows are tokenized, which may take long.
        let plan = train.resolve(&ModelFacts::of(&model))?;
        drop(IntermediateLosses::new(&plan.loss.intermediate, &model, layer_teacher.as_ref(), session.seed)?);

        let caches = training::caches(data)?;
        let builder = training::builder(tokenizer, &labels, problem_type, caches.as_deref(), session);
        let scanned = |rows: &PathBuf| -> Result<Source> {
            let source = inputs::source(rows, data, problem_type)?.holding(inputs::recorded(record, "data"));
            Ok(inputs::scan_labels(&source, &labels, session)?.source)
        };
        let rows = self.rows.as_ref().map(scanned).transpose()?;
        let part = self.part(&builder, stores, rows, record)?;
        check_soft_targets(&part, labels.num_labels())?;
        let mut parts = training::with_validation(part, data, &builder, session, record)?;
        if self.labelled_only {
            parts.train = parts.train.labelled_part();
        }
        if train.has_teacher() {
            let logits = self.teacher_logits(&opened, &parts.validation, session)?;
            let (plan, model, validation, required) = (&plan, &model, &parts.validation, self.required());
            TeacherGate { plan, model, validation, logits, required }.check(session)?;
        }
        let mut finished = training::Job {
            session,
            plan: &plan,
            settings: train,
            data: &parts,
            model: &model,
            teacher: layer_teacher.as_ref(),
            tokenizer,
            out,
            record,
        }
        .run()?;
        finished.results.extend(opened.moved.map(|moved| ("vocabulary".to_owned(), moved)));
        finished.results.extend(smaller.map(|smaller| (VOCABULARY_FROM.to_owned(), smaller.report(&model))));
        Ok(finished)
    }

    /// The same student, and the teacher next to it, with the part of the vocabulary that some texts need.
    fn with_smaller_vocabulary(
        &self,
        opened: Opened,
        session: &Session,
        record: &RunRecord,
    ) -> Result<(Opened, Option<Smaller>)> {
        let Some(texts) = opened.vocabulary_from.clone() else { return Ok((opened, None)) };
        let texts = texts.holding(inputs::recorded(record, VOCABULARY_FROM));
        let size = self.settings.student.start.vocabulary_size;
        let (tokenizer, smaller) = vocabulary::smaller(opened.tokenizer, &texts, size, session)?;
        let init = opened.init.with_vocabulary(&smaller.vocabulary)?;
        let layer_teacher = opened
            .layer_teacher
            .map(|layer_teacher| layer_teacher.with_vocabulary(&smaller.vocabulary))
            .transpose()?;
        Ok((Opened { init, tokenizer, layer_teacher, ..opened }, Some(smaller)))
    }
}

/// Refuses a teacher that reads other tokens than its student, by the hashes of their tokenizers.
///
/// # Errors
/// Wrong usage, with the teacher.
pub fn must_read_alike(teacher: &Path, theirs: &str, students: &str) -> Result<()> {
    if theirs != students {
        return Err(RunError::usage(format!(
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

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        let opened = self.open()?;
        let (settings, inputs) = (self.recorded(&opened, session)?, self.hashes(&opened)?);
        Ok(Prepared::new(settings, inputs, |session, out, record| self.run(opened, session, out, record)))
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
            start.vocabulary_from.as_ref(),
            start.teacher_model.as_ref(),
            self.rows.as_ref(),
            inputs::validation_file(data),
        ];
        named.into_iter().flatten().chain(stores).cloned().chain(behind).collect()
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
