//! What pretrain, finetune and student share: data parts, the loop, the saved model.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_core::text::markdown;
use distill_core::{LabelMap, atomic};
use distill_data::TextTokenizer;
use distill_data::cache::cache_dir;
use distill_model::{Model, directory};
use distill_report::documents::card_notes;
use distill_report::documents::text::visible;
use distill_student::checkpoint::{CHECKPOINTS, Checkpoints};
use distill_student::data::{CacheBuilder, Part};
use distill_student::{Outcome, TrainPlan, TrainSettings, Trainer, TrainingData};
use distill_task::{LabelShape, Positions, Setting, TaskId};
use serde_json::{Value, json};

use crate::error::{Context, Result, RunError, Status};
use crate::figures::seconds;
use crate::outdir::OutDir;
use crate::session::{Session, dtype_name};
use crate::settings::{DataSettings, Settings, Validation};
use crate::stage::Finished;
use crate::{connect, inputs};
use distill_report::documents::format::bytes;

/// What a finished run cannot be without.
pub const RESULT: &[&str] = &["model/config.json", "model/model.safetensors", "model/tokenizer.json"];

/// The directory of token caches, or none if they are switched off.
///
/// # Errors
/// Where the user has no cache directory.
pub fn caches(data: &DataSettings) -> Result<Option<PathBuf>> {
    Ok(if data.cache { Some(cache_dir()?) } else { None })
}

/// Splits off the validation part, or reads it from a separate file.
///
/// # Errors
/// Where the part would be empty, or its file cannot be read.
pub fn with_validation(
    part: Part,
    data: &DataSettings,
    builder: &CacheBuilder<'_>,
    session: &Session,
    record: &RunRecord,
) -> Result<TrainingData> {
    match &data.validation {
        Validation::Share(share) if data.stratify => {
            check_stratify(data, builder.problem_type)?;
            Ok(part.split_stratified(*share, session.seed)?)
        }
        Validation::Share(share) => Ok(part.split(*share, session.seed)?),
        Validation::File(path) => {
            let hash = inputs::recorded(record, "validation");
            let source = inputs::source(path, data, builder.problem_type)?.holding(hash);
            let source = inputs::scan_labels(&source, builder.labels, session)?.source;
            let validation = builder.from_source(&source, hash)?;
            Ok(TrainingData { train: part, validation })
        }
    }
}

/// Checks `[student]`, and `[finetune]` where the pipeline trains its teacher, as far as they say it by themselves.
///
/// # Errors
/// Naming the table and the setting.
pub fn check_numbers(settings: &Settings) -> Result<()> {
    settings.student.train.check().context("[student]")?;
    if connect::pretrains(settings) {
        settings.pretrain.train.check().context("[pretrain]")?;
    }
    if connect::finetunes(settings) {
        settings.finetune.train.check().context("[finetune]")?;
    }
    Ok(())
}

/// Checks that a student can be trained so for these labels.
///
/// # Errors
/// Naming the setting that has no meaning for them.
pub fn fits(student: &TrainSettings, problem_type: TaskId, num_labels: usize) -> Result<()> {
    Ok(student.for_problem(problem_type)?.check_labels(problem_type.competing(num_labels))?)
}

/// Refuses `data.stratify` where there is nothing that it could mean.
fn check_stratify(data: &DataSettings, problem_type: TaskId) -> Result<()> {
    let why = match (&data.validation, problem_type.refuses(Setting::Stratify)) {
        _ if !data.stratify => return Ok(()),
        (Validation::File(path), _) => format!("the validation rows are all of {}", path.display()),
        (_, None) => return Ok(()),
        (_, Some(rows)) => {
            format!("it needs {rows}, but these are of {problem_type}")
        }
    };
    Err(RunError::usage(format!("data.stratify is true, but {why}")))
}

/// Refuses a share of rows that leaves one of the parts empty.
///
/// # Errors
/// Wrong usage, with the share.
pub fn check_validation(data: &DataSettings) -> Result<()> {
    check_stratify(data, data.problem_type.unwrap_or_default())?;
    match &data.validation {
        Validation::Share(share) if !(*share > 0.0 && *share < 1.0) => Err(RunError::usage(format!(
            "validation is {share}; expected a file or a share between 0 and 1, such as 0.1 or 10%"
        ))),
        _ => Ok(()),
    }
}

/// Trains and saves: the end of both stages.
pub struct Job<'a> {
    /// What runs it.
    pub session: &'a Session,
    /// How to train.
    pub plan: &'a TrainPlan,
    /// What of it was given, for the log.
    pub settings: &'a TrainSettings,
    /// What to train on.
    pub data: &'a TrainingData,
    /// What to train.
    pub model: &'a Model,
    /// The teacher that runs next to it, for losses on intermediate layers.
    pub teacher: Option<&'a Model>,
    /// Saved next to the weights.
    pub tokenizer: &'a TextTokenizer,
    /// Where to.
    pub out: &'a OutDir,
    /// What is being run.
    pub record: &'a RunRecord,
}

impl Job<'_> {
    /// Logs what will be done, trains, and writes `OUT/model`.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub fn run(&self) -> Result<Finished> {
        self.model.compute_in(self.session.kind);
        let trainer = Trainer {
            model: self.model,
            teacher: self.teacher,
            plan: self.plan,
            data: self.data,
            seed: self.session.seed,
            stop: &self.session.stop,
            progress: &*self.session.progress,
        };
        // A refused run leaves no files.
        trainer.check()?;
        self.announce();
        self.record.write(self.out.path())?;
        // Until the model is written, a stop has something to save first.
        let _unsaved = self.session.stop.unsaved_work();
        let outcome = trainer.run(self.out.path())?;
        let mut weights_hash = String::new();
        let directory = self.out.fill_directory("model", self.record, |path| {
            weights_hash = directory::save(self.model, path)?;
            self.write_card(&outcome, path)?;
            Ok(self.tokenizer.save_to(path, self.model.config().type_vocab_size > 1)?)
        })?;
        Ok(Finished {
            status: Status::Done,
            text: self.text(&outcome, &directory),
            results: self.results(&outcome, weights_hash),
        })
    }

    fn announce(&self) {
        tracing::info!("{}", self.plan.formula());
        tracing::info!("settings: {}", changed_settings(self.settings));
        tracing::info!(
            parameters = self.model.num_parameters(),
            layers = self.model.config().num_hidden_layers,
            compute = dtype_name(self.session.kind),
            outputs = self.model.config().outputs(),
            "model"
        );
        let fresh = self.model.made_fresh();
        if fresh.len() == self.model.parameters().len() {
            tracing::info!("fresh weights: all");
        } else if !fresh.is_empty() {
            tracing::info!("fresh weights: {}", fresh.join(", "));
        }
        let (train, validation) = (self.data.train.num_data_rows(), self.data.validation.num_data_rows());
        match self.plan.masking {
            Some(_) => tracing::info!(train, validation, "sequences"),
            None => tracing::info!(train, validation, "rows"),
        }
        self.announce_classes();
        if let Some(token) = self.tokenizer.unknown_token() {
            let (tokens, unknown) = self.data.train.count_token(token);
            inputs::warn_unknown(unknown, tokens);
        }
    }

    /// How many rows each class has, before anything is learned from them.
    fn announce_classes(&self) {
        let config = self.model.config();
        let is_masked = config.problem_type.positions() == Positions::Masked;
        if is_masked || !config.problem_type.label_shape().has_classes() {
            return;
        }
        let counts = |part: &Part| part.label_counts(config.labels.num_labels());
        let (train, validation) = (counts(&self.data.train), counts(&self.data.validation));
        if train.iter().sum::<u64>() > 0 {
            let what = match config.problem_type.label_shape() {
                LabelShape::Tags => "words per tag",
                _ => "rows per class",
            };
            tracing::info!("labelled training {what}: {}", class_counts(config.labels.names(), &train));
        }
        let missing = |other: &[u64], counts: &[u64]| {
            counts.iter().zip(other).filter(|(count, other)| **count == 0 && **other > 0).count()
        };
        let (untrained, unseen) = (missing(&validation, &train), missing(&train, &validation));
        if untrained > 0 {
            tracing::warn!(
                "{untrained} classes have validation rows but no training rows and cannot be learned"
            );
        }
        if unseen > 0 && validation.iter().sum::<u64>() > 0 {
            let advice = match config.problem_type.refuses(Setting::Stratify) {
                None => "; data.stratify = true sets aside rows of every class",
                Some(_) => "",
            };
            tracing::info!("{unseen} classes have training rows but no validation rows{advice}");
        }
    }

    /// Writes the model's `README.md`. What a user wrote around that of the model before stays.
    fn write_card(&self, outcome: &Outcome, directory: &Path) -> Result<()> {
        let card = self.card(outcome);
        let old = fs::read_to_string(self.out.target().join("model/README.md")).ok();
        let card =
            old.and_then(|old| card_notes::update(&old, &card)).unwrap_or_else(|| card_notes::mark(&card));
        Ok(atomic::write(&directory.join("README.md"), card.as_bytes())?)
    }

    /// The model's `README.md`: what it is and how it was made, without paths of this machine.
    fn card(&self, outcome: &Outcome) -> String {
        let config = self.model.config();
        let labels: Vec<String> = config.labels.names().iter().map(|name| markdown(name)).collect();
        let figures = outcome.best.words().unwrap_or_else(|| "no figures without labels".to_owned());
        let title = match config.problem_type.label_shape() {
            _ if self.plan.masking.is_some() => "Masked language model",
            LabelShape::Value => "Text regression",
            LabelShape::Class | LabelShape::Classes => "Text classifier",
            LabelShape::Tags => "Token classifier",
            LabelShape::Spans => "Question answering",
        };
        let labels = match config.problem_type.label_shape() {
            LabelShape::Spans => String::new(),
            _ if self.plan.masking.is_some() => String::new(),
            _ => format!(" Labels: {}.", labels.join(", ")),
        };
        format!(
            "---\nlibrary_name: transformers\npipeline_tag: {tag}\n---\n\n\
             # {title}\n\n\
             {layers} layers, hidden size {hidden}, {parameters} parameters.{labels}\n\n\
             Made by `distill {command}` (distill {version}) with\n\n    {formula}\n\n\
             over {rows} {unit}, at most {max_length} tokens each, seed {seed}. The weights are those of epoch \
             {best_epoch}, the best of {epochs} on {validation} validation {unit}: {figures}, loss {loss:.4}.\n",
            tag = config.problem_type.pipeline_tag(),
            layers = config.num_hidden_layers,
            hidden = config.hidden_size,
            parameters = self.model.num_parameters(),
            unit = if self.plan.masking.is_some() { "sequences" } else { "rows" },
            command = self.record.command,
            version = env!("CARGO_PKG_VERSION"),
            formula = self.plan.formula(),
            rows = self.data.train.num_data_rows(),
            max_length = self.tokenizer.max_length(),
            seed = self.session.seed,
            best_epoch = outcome.best_epoch,
            epochs = outcome.epochs,
            validation = self.data.validation.num_data_rows(),
            loss = outcome.best.loss,
        )
    }

    fn text(&self, outcome: &Outcome, directory: &std::path::Path) -> String {
        let figures = outcome.best.words().map_or(String::new(), |words| format!("validation {words}, "));
        let early = if outcome.stopped_early { " (stopped early)" } else { "" };
        format!(
            "{figures}loss {:.4} at epoch {} of {}{early}; {} steps in {}\nmodel: {} ({} parameters, {})",
            outcome.best.loss,
            outcome.best_epoch,
            outcome.epochs,
            outcome.global_step,
            seconds(std::time::Duration::from_secs_f64(outcome.seconds)),
            directory.display(),
            self.model.num_parameters(),
            bytes(self.model.num_bytes()),
        )
    }

    fn results(&self, outcome: &Outcome, weights_hash: String) -> BTreeMap<String, Value> {
        [
            ("train_rows", json!(self.data.train.num_data_rows())),
            ("validation_rows", json!(self.data.validation.num_data_rows())),
            ("global_step", json!(outcome.global_step)),
            ("epochs", json!(outcome.epochs)),
            ("stopped_early", json!(outcome.stopped_early)),
            ("best_epoch", json!(outcome.best_epoch)),
            ("validation", json!(outcome.best)),
            ("seconds", json!(outcome.seconds)),
            ("parameters", json!(self.model.num_parameters())),
            ("weights", json!(weights_hash)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// `HUM 120, ENTY 90`, the most frequent first; of many classes the ends.
fn class_counts(names: &[String], counts: &[u64]) -> String {
    /// Classes that are shown from either end.
    const MOST: usize = 12;
    const FEWEST: usize = 6;
    let mut classes: Vec<(&String, &u64)> = names.iter().zip(counts).collect();
    classes.sort_by(|left, right| right.1.cmp(left.1));
    let shown = |part: &[(&String, &u64)]| {
        part.iter().map(|(name, rows)| format!("{} {rows}", visible(name))).collect::<Vec<_>>().join(", ")
    };
    if classes.len() <= MOST + FEWEST {
        return shown(&classes);
    }
    let last = classes.len() - FEWEST;
    format!("{}, … ({} more) …, {}", shown(&classes[..MOST]), last - MOST, shown(&classes[last..]))
}

/// The settings that differ from the defaults, in one line; `run.json` has them all.
fn changed_settings(settings: &TrainSettings) -> String {
    let as_json = |settings: &TrainSettings| serde_json::to_value(settings).unwrap_or_default();
    let (settings, defaults) = (as_json(settings), as_json(&TrainSettings::default()));
    let fields = settings.as_object().into_iter().flatten();
    let changed = fields.filter(|(name, value)| defaults.get(name) != Some(value));
    let changed: Vec<String> = changed.map(|(name, value)| format!("{name}={value}")).collect();
    match changed.is_empty() {
        true => "all at their defaults, see run.json".to_owned(),
        false => format!("{}; all others at their defaults, see run.json", changed.join(" ")),
    }
}

/// Removes the checkpoints of a finished run.
///
/// # Errors
/// Where they cannot be removed.
pub fn remove_checkpoints(out: &OutDir) -> Result<()> {
    Ok(Checkpoints::new(out.path(), 1).clear()?)
}

/// Whether a run's directory has any.
pub fn has_checkpoints(out: &Path) -> bool {
    out.join(CHECKPOINTS).exists()
}

/// The cache builder of a stage.
pub fn builder<'a>(
    tokenizer: &'a TextTokenizer,
    labels: &'a LabelMap,
    problem_type: TaskId,
    directory: Option<&'a std::path::Path>,
    session: &'a Session,
) -> CacheBuilder<'a> {
    CacheBuilder { tokenizer, labels, problem_type, directory, stop: &session.stop }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_many_classes_show_the_most_and_least_frequent() {
        let names: Vec<String> = (0..30).map(|class| format!("c{class}")).collect();
        let counts: Vec<u64> = (0..30).collect();
        let text = class_counts(&names, &counts);
        assert!(text.starts_with("c29 29, c28 28") && text.ends_with("c1 1, c0 0"), "{text}");
        assert!(text.contains("(12 more)"), "{text}");
        assert_eq!(class_counts(&names[..2], &[3, 5]), "c1 5, c0 3");
    }

    #[test]
    fn only_settings_that_differ_from_the_defaults_are_shown() {
        let defaults = TrainSettings::default();
        assert_eq!(changed_settings(&defaults), "all at their defaults, see run.json");
        let changed = TrainSettings { epochs: defaults.epochs + 1, temperature: 4.5, ..defaults };
        let shown = changed_settings(&changed);
        assert!(
            shown.contains(&format!("epochs={}", changed.epochs)) && shown.contains("temperature=4.5"),
            "{shown}"
        );
        assert!(!shown.contains("batch_size"), "{shown}");
    }
}
