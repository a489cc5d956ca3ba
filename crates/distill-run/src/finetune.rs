//! `distill finetune`: labelled rows → a teacher.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::LabelMap;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::source::{Fitted, Source, Summary};
use distill_model::ModelDirectory;
use distill_report::signs;
use distill_student::metrics::METRICS_FILE;
use distill_student::{ModelFacts, TrainSettings};
use distill_task::{LabelShape, TaskId};
use distill_torch::rng;
use serde_json::{Value, json};

use crate::error::{Context, Result, RunError};
use crate::outdir::OutDir;
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::settings::schema::FinetuneSettings;
use crate::stage::{self, Finished, Prepared, Stage};
use crate::vocabulary::{self, Moved};
use crate::{inputs, length, training};

/// The stage with its settings.
pub struct FinetuneStage<'a> {
    /// All settings; `[data]` and `[finetune]` are read.
    pub settings: &'a Settings,
    /// How a student is to be trained on what this teacher says: what does not fit its labels ends the pipeline before
    /// the teacher is trained.
    pub student_after: Option<&'a TrainSettings>,
}

/// What the stage reads, opened and resolved once.
struct Opened {
    directory: ModelDirectory,
    /// How its embeddings were moved to another vocabulary, where they were.
    moved: Option<Value>,
    /// Hash of the tokenizer that it had before.
    before: Option<String>,
    tokenizer: TextTokenizer,
    source: Source,
    problem_type: TaskId,
    train: TrainSettings,
}

impl FinetuneStage<'_> {
    fn open(&self) -> Result<Opened> {
        let (data, finetune) = (&self.settings.data, &self.settings.finetune);
        let directory = inputs::model(inputs::required(finetune.model.as_ref(), "--model", "finetune.model")?)?;
        let Moved { directory, before, report: moved } = match &finetune.tokenizer {
            Some(tokenizer) => vocabulary::moved(directory, tokenizer)?,
            None => Moved { directory, before: None, report: None },
        };
        let config = directory.config();
        let path = inputs::required(data.train.as_ref(), "--data", "data.train")?;
        let problem_type = inputs::task_to_train(config, Some(path), data)?;
        let max_length = length::to_train(data.max_length, problem_type, directory.path(), config)?;
        let train = finetune.train.for_problem(problem_type)?;
        let tokenizer = finetune.tokenizer.as_deref().unwrap_or(directory.path());
        let tokenizer = inputs::tokenizer_for(problem_type, tokenizer, max_length, config)?;
        let source = inputs::source(path, data, problem_type)?;
        Ok(Opened { directory, moved, before, tokenizer, source, problem_type, train })
    }

    fn train(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let data = &self.settings.data;
        let Opened { directory, moved, tokenizer, source, problem_type, train: settings, .. } = opened;
        let data_hash = inputs::recorded(record, "data");
        let directory = directory.holding(inputs::recorded(record, "model"));
        let source = source.holding(data_hash);
        let summary = inputs::scan(&source, session)?;
        let (labels, source) = label_map(&summary, source, &directory)?;
        several_classes(&summary, &source)?;
        if let Some(student) = self.student_after {
            training::fits(student, problem_type, labels.num_labels())
                .context("[student], which learns from this teacher")?;
        }
        let caches = training::caches(data)?;
        let builder = training::builder(&tokenizer, &labels, problem_type, caches.as_deref(), session);
        let part = builder.from_source(&source, data_hash)?;
        let mut parts = training::with_validation(part, data, &builder, session, record)?;
        let labelled = parts.train.labelled_part();
        if (1..parts.train.rows.len()).contains(&labelled.rows.len()) {
            // Of windows without a tag others of their row may have one.
            let rows = parts.train.num_data_rows();
            let skipped = rows - labelled.num_data_rows();
            if skipped > 0 {
                tracing::info!("{skipped} of {rows} training rows have no label and are skipped");
            }
            parts.train = labelled;
        }
        rng::manual_seed(session.seed);
        let model = directory.load_for_training(&labels, problem_type, session.device)?;
        let plan = &settings.resolve(&ModelFacts::of(&model))?;
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
        warn_of_an_early_end(out.path(), &finished);
        finished.results.extend(moved.map(|moved| ("vocabulary".to_owned(), moved)));
        Ok(finished)
    }
}

impl Stage for FinetuneStage<'_> {
    fn command(&self) -> &'static str {
        "finetune"
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        self.settings.finetune.train.check()?;
        training::check_validation(&self.settings.data)?;
        let opened = self.open()?;
        let settings = json!({
            "data": inputs::data_settings(self.settings, Some(opened.tokenizer.max_length()))?,
            "finetune": FinetuneSettings { train: opened.train.clone(), ..self.settings.finetune.clone() },
            "seed": session.seed,
            "dtype": dtype_name(session.kind),
        });
        let mut hashes = BTreeMap::from([
            ("model".to_owned(), opened.directory.weights_hash()?),
            ("tokenizer".to_owned(), opened.tokenizer.hash().to_owned()),
            ("data".to_owned(), opened.source.hash()?),
        ]);
        hashes.extend(opened.before.clone().map(|hash| ("model_tokenizer".to_owned(), hash)));
        inputs::add_validation(&mut hashes, self.settings)?;
        Ok(Prepared::new(settings, hashes, |session, out, record| self.train(opened, session, out, record)))
    }

    fn reads(&self) -> Vec<PathBuf> {
        let (data, finetune) = (&self.settings.data, &self.settings.finetune);
        let tokenizer = finetune.tokenizer.as_ref();
        let named = [finetune.model.as_ref(), tokenizer, data.train.as_ref(), inputs::validation_file(data)];
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

/// Warns if the teacher could have been trained further: a student cannot learn what its teacher does not know.
fn warn_of_an_early_end(out: &Path, finished: &Finished) {
    let curves = distill_report::training::read("the teacher", &out.join(METRICS_FILE));
    if let Some(sign) = curves.ok().as_ref().and_then(signs::still_improving) {
        tracing::warn!("{sign}: {}", signs::TRAIN_LONGER);
    }
    let missed = finished.results.get("validation").and_then(|figures| figures["never_predicted"].as_u64());
    if let Some(missed) = missed.filter(|missed| *missed > 0) {
        tracing::warn!(
            "{missed} classes with validation rows are never predicted: a student cannot learn them from this \
             teacher; train it longer; for rare classes, use best_metric = \"macro_f1\", class_weights or sampling"
        );
    }
}

/// The model's own label map where the data's labels are all in it, else one made from the data; and the rows with
/// their labels read for it.
///
/// # Errors
/// [`distill_data::DataError`] without any label, or for one that is no class.
pub fn label_map(summary: &Summary, source: Source, directory: &ModelDirectory) -> Result<(LabelMap, Source)> {
    let own = &directory.config().labels;
    let config = directory.config();
    // A head of another task has nothing that fits.
    let has_classifier =
        config.has_classifier() && config.problem_type.positions() == summary.problem_type.positions();
    if !summary.problem_type.label_shape().has_classes() {
        // Outputs that stand for no class have no names of their own.
        let is_own = has_classifier && own.num_labels() == summary.problem_type.fixed_labels().unwrap_or(1);
        return Ok((if is_own { own.clone() } else { summary.own_map(&source)?.0 }, source));
    }
    // A head with other labels is not an error: a new one is initialized.
    if has_classifier
        && let Ok(Fitted { reading, notes }) = summary.fit(&source, own)
        && summary.is_known(own, &reading)
        && !source.class_names()?.is_some_and(|names| own.is_numbered() && names != own.names())
    {
        inputs::say(&notes);
        return Ok((own.clone(), source.read_by(reading)));
    }
    let (map, Fitted { reading, notes }) = summary.own_map(&source)?;
    inputs::say(&notes);
    if has_classifier {
        tracing::info!("the model has {own}, the data {map}: the classification head is newly initialized");
    }
    Ok((map, source.read_by(reading)))
}

/// Refuses rows of one class, or words of one tag: a model trained on them would always predict it.
///
/// # Errors
/// Bad data, with the class.
pub fn several_classes(summary: &Summary, source: &Source) -> Result<()> {
    let counts = summary.counts(source.reading());
    match (summary.problem_type.label_shape(), counts.len(), counts.first_key_value()) {
        // Of a single row no validation part can be cut, which is said there.
        (LabelShape::Class, 1, Some((only, rows))) if *rows > 1 => Err(RunError::data(format!(
            "{}: all {rows} labelled rows have the label {only}, but a classifier needs at least two classes",
            source.path().display()
        ))),
        (LabelShape::Tags, 1, Some((only, words))) => Err(RunError::data(format!(
            "{}: all {words} labelled words have the tag {only}, but a classifier of words needs at least two tags",
            source.path().display()
        ))),
        _ => Ok(()),
    }
}
