//! Which flag is which setting.

use std::path::Path;

use toml::Value;

use crate::args::{
    Augment, Bench, Common, Finetune, Pipeline, Predict, Pretrain, Report, Rows, Student, Teacher,
    TrainTokenizer, Training, duration,
};
use crate::settings::{Layers, Settings, TestSets};

/// A subcommand whose flags are settings.
pub trait Flags {
    /// The flags that every subcommand takes.
    fn common(&self) -> &Common;
    /// Lays the flags over file and environment.
    fn lay(&self, layers: &mut Layers);
    /// The file that settings come from.
    fn file(&self) -> Option<&Path> {
        self.common().config.as_deref()
    }

    /// Defaults, file, environment, command line.
    ///
    /// # Errors
    /// For a file that cannot be read and for settings that are unknown or mistyped.
    fn resolve(&self) -> anyhow::Result<Settings> {
        self.layers()?.resolve()
    }

    /// As [`Flags::resolve`], before the settings are read, so that more can be laid over them.
    ///
    /// # Errors
    /// As [`Flags::resolve`].
    fn layers(&self) -> anyhow::Result<Layers> {
        let mut layers = Layers::new(self.file())?;
        for assignment in &self.common().set {
            layers.set(assignment)?;
        }
        lay_common(self.common(), &mut layers);
        self.lay(&mut layers);
        Ok(layers)
    }
}

fn lay_common(common: &Common, layers: &mut Layers) {
    layers.flag("runtime.device", common.device.clone());
    layers.flag("runtime.dtype", common.dtype.clone());
    layers.flag("runtime.seed", common.seed.map(integer));
    layers.flag("runtime.threads", common.threads.map(integer));
    layers.flag("runtime.no_lock", common.no_lock.then_some(true));
}

fn lay_rows(rows: &Rows, layers: &mut Layers) {
    layers.flag("data.columns.id", rows.id_column.clone());
    layers.flag("data.columns.text", rows.text_column.clone());
    layers.flag("data.columns.text_pair", rows.text_pair_column.clone());
    layers.flag("data.columns.label", rows.label_column.clone());
    layers.flag("data.task", rows.task.clone());
    layers.flag("data.problem_type", rows.problem_type.clone());
    layers.flag("data.label_type", rows.label_type.clone());
    layers.flag("data.label_map", rows.label_map.as_deref().map(path));
    layers.flag("data.delimiter", rows.delimiter.clone());
    layers.flag("data.max_length", rows.max_length.map(integer));
}

fn lay_training(table: &str, training: &Training, layers: &mut Layers) {
    let key = |name: &str| format!("{table}.{name}");
    layers.flag(&key("epochs"), training.epochs.map(integer));
    layers.flag(&key("batch_size"), training.batch_size.map(integer));
    layers.flag(&key("batch_tokens"), training.batch_tokens.map(integer));
    layers.flag(&key("learning_rate"), training.learning_rate);
    layers.flag(&key("schedule"), training.schedule.clone());
    layers.flag(&key("optimizer"), training.optimizer.clone());
    layers.flag(&key("freeze"), training.freeze.clone());
    layers.flag(&key("warmup_ratio"), training.warmup_ratio);
    layers.flag(&key("weight_decay"), training.weight_decay);
    layers.flag(&key("early_stopping_patience"), training.early_stopping_patience.map(integer));
    let validation = training.validation.as_ref().map(|text| match text.parse::<f64>() {
        Ok(share) => Value::Float(share),
        Err(_) => Value::String(text.clone()),
    });
    // Texts have a validation part of their own.
    let of_texts = table == "pretrain";
    layers.flag(if of_texts { "pretrain.validation" } else { "data.validation" }, validation);
    if let Some(every) = &training.checkpoint_every {
        match every.parse::<i64>() {
            Ok(steps) => {
                layers.flag(&key("checkpoint_steps"), Some(steps));
                layers.flag(&key("checkpoint_minutes"), Some(0.0));
            }
            // What is neither is refused by the setting's type, with the flag's text in the message.
            Err(_) => match duration(every) {
                Ok(time) => layers.flag(&key("checkpoint_minutes"), Some(time.as_secs_f64() / 60.0)),
                Err(_) => layers.flag(&key("checkpoint_minutes"), Some(every.clone())),
            },
        }
    }
    layers.flag(&key("keep_last"), training.keep_last.map(integer));
    layers.flag("data.cache", training.no_cache.then_some(false));
}

impl Flags for Pretrain {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("pretrain.model", self.model.as_deref().map(path));
        layers.flag("pretrain.tokenizer", self.tokenizer.as_deref().map(path));
        layers.flag("pretrain.data", self.data.as_deref().map(path));
        layers.flag("pretrain.masking", self.masking.clone());
        layers.flag("pretrain.mask_probability", self.mask_probability);
        layers.flag("pretrain.packing", self.packing.clone());
        layers.flag("data.columns.id", self.texts.id_column.clone());
        layers.flag("data.columns.text", self.texts.text_column.clone());
        layers.flag("data.columns.text_pair", self.texts.text_pair_column.clone());
        layers.flag("data.delimiter", self.texts.delimiter.clone());
        layers.flag("data.max_length", self.texts.max_length.map(integer));
        lay_training("pretrain", &self.training, layers);
    }
}

impl Flags for Finetune {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("finetune.model", self.model.as_deref().map(path));
        layers.flag("finetune.tokenizer", self.tokenizer.as_deref().map(path));
        layers.flag("data.train", self.data.as_deref().map(path));
        lay_rows(&self.rows, layers);
        lay_training("finetune", &self.training, layers);
    }
}

impl Flags for Augment {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("data.train", self.data.as_deref().map(path));
        layers.flag("augment.copies", self.copies.map(integer));
        layers.flag("augment.delete", self.delete);
        layers.flag("augment.swap", self.swap);
        layers.flag("augment.mix", self.mix);
        layers.flag("augment.replace", self.replace);
        layers.flag("augment.masked_model", self.masked_model.as_deref().map(path));
        layers.flag("augment.unlabelled", self.unlabelled.as_deref().map(path));
        layers.flag("teacher.model", self.model.as_deref().map(path));
        lay_rows(&self.rows, layers);
    }
}

impl Flags for Teacher {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("teacher.model", self.model.as_deref().map(path));
        layers.flag("data.train", self.data.as_deref().map(path));
        layers.flag("teacher.text", self.no_text.then_some(false));
        layers.flag("teacher.float16", self.float16.then_some(true));
        layers.flag("teacher.shard_rows", self.shard_rows.map(integer));
        layers.flag("teacher.batch_tokens", self.batch_tokens.map(integer));
        lay_rows(&self.rows, layers);
    }
}

impl Flags for Student {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        let mut targets: Vec<String> = self.targets.iter().map(|targets| path(targets)).collect();
        let several = (targets.len() > 1).then(|| targets.iter().cloned().map(Value::String).collect());
        let targets = several.map(Value::Array).or_else(|| targets.pop().map(Value::String));
        layers.flag("student.targets", targets);
        layers.flag("student.init", self.init.as_deref().map(path));
        layers.flag("student.teacher_model", self.teacher_model.as_deref().map(path));
        layers.flag("student.tokenizer", self.tokenizer.as_deref().map(path));
        layers.flag("student.vocabulary_from", self.vocabulary_from.as_deref().map(path));
        layers.flag("student.vocabulary_size", self.vocabulary_size.map(integer));
        layers.flag("student.embedding_size", self.embedding_size);
        let chosen = self.layers.as_ref().map(|chosen| chosen.iter().copied().map(integer).collect::<Vec<_>>());
        layers.flag("student.layers", chosen);
        layers.flag("student.hidden_size", self.hidden_size);
        layers.flag("student.temperature", self.temperature);
        layers.flag("student.loss", self.loss.clone());
        layers.flag("student.hard_weight", self.hard_weight);
        layers.flag("student.soft_weight", self.soft_weight);
        layers.flag("data.train", self.data.as_deref().map(path));
        lay_rows(&self.rows, layers);
        lay_training("student", &self.training, layers);
    }
}

impl Flags for Report {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("data.test", TestSets::from_flags(&self.data).map(|sets| sets.to_value()));
        layers.flag("report.gates", list(&self.gate));
        layers.flag("report.undecided", self.undecided.clone());
        layers.flag("report.slices", list(&self.slice));
        layers.flag("report.labels", list(&self.labels));
        layers.flag("report.timing", self.no_timing.then_some(false));
        layers.flag("report.junit", self.junit.as_deref().map(path));
        lay_rows(&self.rows, layers);
    }
}

impl Flags for TrainTokenizer {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("data.train", self.data.as_deref().map(path));
        layers.flag("tokenizer.kind", self.kind.clone());
        layers.flag("tokenizer.size", self.size.map(integer));
        layers.flag("tokenizer.min_frequency", self.min_frequency.map(integer));
        layers.flag("tokenizer.limit_alphabet", self.limit_alphabet.map(integer));
        layers
            .flag("tokenizer.lowercase", self.lowercase.then_some(true).or(self.no_lowercase.then_some(false)));
        lay_rows(&self.rows, layers);
    }
}

impl Flags for Predict {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("teacher.model", self.model.as_deref().map(path));
        layers.flag("data.train", self.data.as_deref().map(path));
        layers.flag("teacher.batch_tokens", self.batch_tokens.map(integer));
        lay_rows(&self.rows, layers);
    }
}

impl Flags for Bench {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("teacher.model", self.model.as_deref().map(path));
        layers.flag("data.train", self.data.as_deref().map(path));
        layers.flag("teacher.batch_tokens", self.batch_tokens.map(integer));
        layers.flag("student.batch_tokens", self.batch_tokens.map(integer));
        layers.flag("student.batch_size", self.batch_size.map(integer));
        let chosen = self.layers.as_ref().map(|chosen| chosen.iter().copied().map(integer).collect::<Vec<_>>());
        layers.flag("student.layers", chosen);
        lay_rows(&self.rows, layers);
    }
}

impl Flags for Pipeline {
    fn common(&self) -> &Common {
        &self.common
    }

    fn lay(&self, layers: &mut Layers) {
        layers.flag("out", self.out.as_deref().map(path));
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.file)
    }
}

fn list(names: &[String]) -> Option<Vec<Value>> {
    (!names.is_empty()).then(|| names.iter().cloned().map(Value::String).collect())
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn integer(value: impl TryInto<i64>) -> Value {
    Value::Integer(value.try_into().unwrap_or(i64::MAX))
}
