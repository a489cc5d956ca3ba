//! The settings in `run.json` as typed values: what of them decides a result, and what changed between two runs.
//!
//! Where a file lies decides nothing, because what is in it is among the inputs; nor does how often a run saves itself. Which
//! fields that are is said by type, for each command. What an earlier version did not record has its default.

use std::collections::BTreeMap;

use distill_core::record::RunRecord;
use distill_data::augment::AugmentSettings;
use distill_data::tokens::train::TokenizerSettings;
use distill_report::ReportSettings;
use distill_student::TrainSettings;
use distill_student::teachers::Average;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::settings::DataSettings;
use crate::settings::pretrain::{PretrainSettings, PretrainTexts};
use crate::settings::schema::{FinetuneSettings, StudentSettings, StudentStart, TeacherSettings};

/// What changed from the settings of one record to those of another of the same command; none where a result is the same.
pub fn change(done: &RunRecord, planned: &RunRecord) -> Option<String> {
    if done.settings == planned.settings {
        return None;
    }
    let of = |record: &RunRecord| Recorded::read(&record.command, &record.settings);
    match (of(done), of(planned)) {
        (Ok(old), Ok(new)) => old.change(&new),
        (Err(why), _) | (_, Err(why)) => Some(format!("cannot be compared: {why}")),
    }
}

/// What decides the result of each command.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Recorded {
    Pretrain(Training<PretrainSettings>),
    Finetune(Training<FinetuneSettings>),
    Student(Training<StudentSettings>),
    Augment(Augmentation),
    Teacher(TeacherPass),
    Report(Box<Reporting>),
    Average(Averaging),
    Merge(Merging),
    Tokenizer(TokenizerTraining),
}

/// `[data]` as a stage records it: with the length that rows are cut to, and with the label names themselves.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
struct Data {
    #[serde(flatten)]
    settings: DataSettings,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<MaxLength>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_map: Option<Value>,
}

/// One length, or of a report one for each model.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum MaxLength {
    One(usize),
    OfModels(BTreeMap<String, usize>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training<S> {
    #[serde(default)]
    data: Data,
    #[serde(default, alias = "pretrain", alias = "finetune", alias = "student")]
    train: S,
    seed: Option<u64>,
    dtype: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Augmentation {
    #[serde(default)]
    data: Data,
    #[serde(default)]
    augment: AugmentSettings,
    seed: Option<u64>,
    dtype: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TeacherPass {
    #[serde(default)]
    data: Data,
    #[serde(default)]
    teacher: TeacherSettings,
    dtype: Option<String>,
    shard: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reporting {
    #[serde(default)]
    data: Data,
    #[serde(default)]
    data_names: Vec<String>,
    #[serde(default)]
    report: ReportSettings,
    #[serde(default)]
    model_names: Vec<String>,
    #[serde(default)]
    prediction_names: Vec<(String, Vec<String>)>,
    dtype: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Averaging {
    average: Average,
    weights: Vec<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Merging {}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizerTraining {
    #[serde(default)]
    data: Data,
    #[serde(default)]
    tokenizer: TokenizerSettings,
}

impl TryFrom<Map<String, Value>> for Data {
    type Error = serde_json::Error;

    fn try_from(mut recorded: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let max_length = recorded.remove("max_length").map(serde_json::from_value).transpose()?;
        let label_map = recorded.remove("label_map");
        let settings = serde_json::from_value(Value::Object(recorded))?;
        Ok(Data { settings, max_length, label_map })
    }
}

impl Recorded {
    /// The settings of a command without those that decide nothing.
    fn read(command: &str, settings: &Value) -> Result<Self, serde_json::Error> {
        let settings = settings.clone();
        Ok(match command {
            "finetune" => {
                let read: Training<FinetuneSettings> = serde_json::from_value(settings)?;
                let train =
                    FinetuneSettings { model: None, tokenizer: None, train: without_saving(read.train.train) };
                Recorded::Finetune(Training { data: read.data.without_paths(), train, ..read })
            }
            "pretrain" => {
                let read: Training<PretrainSettings> = serde_json::from_value(settings)?;
                let PretrainSettings { texts, train } = read.train;
                let texts = PretrainTexts { model: None, tokenizer: None, data: None, ..texts };
                let train = PretrainSettings { texts, train: without_saving(train) };
                Recorded::Pretrain(Training { data: read.data.without_paths(), train, ..read })
            }
            "student" => {
                let read: Training<StudentSettings> = serde_json::from_value(settings)?;
                let StudentSettings { start, train } = read.train;
                let train = StudentSettings { start: start_without_paths(start), train: without_saving(train) };
                Recorded::Student(Training { data: read.data.without_paths(), train, ..read })
            }
            "augment" => {
                let read: Augmentation = serde_json::from_value(settings)?;
                let augment = AugmentSettings { masked_model: None, unlabelled: None, ..read.augment };
                Recorded::Augment(Augmentation { data: read.data.without_paths(), augment, ..read })
            }
            "teacher" => {
                let read: TeacherPass = serde_json::from_value(settings)?;
                let teacher = TeacherSettings { model: None, ..read.teacher };
                Recorded::Teacher(TeacherPass { data: read.data.without_paths(), teacher, ..read })
            }
            "report" => {
                let read: Reporting = serde_json::from_value(settings)?;
                let report = ReportSettings { junit: None, ..read.report };
                Recorded::Report(Box::new(Reporting { data: read.data.without_paths(), report, ..read }))
            }
            "targets average" => Recorded::Average(serde_json::from_value(settings)?),
            "targets merge" => Recorded::Merge(serde_json::from_value(settings)?),
            "tokenizer train" => Recorded::Tokenizer(serde_json::from_value(settings)?),
            other => return Err(serde::de::Error::custom(format!("{other:?} is no command that is known"))),
        })
    }

    /// The first setting that differs, with both values.
    fn change(&self, new: &Self) -> Option<String> {
        if self == new {
            return None;
        }
        let named = |recorded: &Self| {
            let mut value = serde_json::to_value(recorded).unwrap_or_default();
            let name = match recorded {
                Recorded::Pretrain(_) => "pretrain",
                Recorded::Finetune(_) => "finetune",
                Recorded::Student(_) => "student",
                _ => return value,
            };
            if let Some(train) = value.as_object_mut().and_then(|value| value.remove("train")) {
                value[name] = train;
            }
            value
        };
        first_difference("", &named(self), &named(new)).or_else(|| Some("changed".to_owned()))
    }
}

impl Data {
    fn without_paths(self) -> Self {
        // Held-out rows and the cache change no result, and are not recorded.
        Data { settings: DataSettings { train: None, test: None, cache: true, ..self.settings }, ..self }
    }
}

/// Settings of a training without how often it saves itself.
fn without_saving(train: TrainSettings) -> TrainSettings {
    let TrainSettings { checkpoint_steps, checkpoint_minutes, keep_last, .. } = TrainSettings::default();
    TrainSettings { checkpoint_steps, checkpoint_minutes, keep_last, ..train }
}

/// What a student starts as and learns from, without where that lies. The student without a teacher is a run of its own.
fn start_without_paths(start: StudentStart) -> StudentStart {
    StudentStart {
        targets: None,
        teacher_model: None,
        init: None,
        tokenizer: None,
        vocabulary_from: None,
        require_teacher: Some(start.require_teacher.unwrap_or(false)),
        no_teacher_baseline: false,
        baseline_init: None,
        ..start
    }
}

fn first_difference(prefix: &str, old: &Value, new: &Value) -> Option<String> {
    if old == new {
        return None;
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        return names.into_iter().find_map(|name| {
            let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            first_difference(&path, &of(old), &of(new))
        });
    }
    Some(format!("{prefix} changed: {old} → {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(command: &str, settings: Value) -> RunRecord {
        let json = json!({"format_version": 1, "command": command, "settings": settings, "versions": {}, "device": {},
            "inputs": {"data": "abc"}, "results": {"rows": 1}});
        serde_json::from_value(json).unwrap()
    }

    fn changed(command: &str, old: Value, new: Value) -> Option<String> {
        change(&record(command, old), &record(command, new))
    }

    #[test]
    fn a_name_is_left_out_where_it_is_a_path_and_nowhere_else() {
        let student = |key: &str, value: Value| json!({"student": {key: value}, "seed": 1});
        assert_eq!(changed("student", student("init", json!("a")), student("init", json!("b"))), None);
        assert_eq!(changed("student", student("keep_last", json!(1)), student("keep_last", json!(2))), None);
        let layers = changed("student", student("layers", json!([0])), student("layers", json!([1])));
        assert_eq!(layers.unwrap(), "student.layers changed: [0] → [1]");
        // A column that is called as a path setting is, and a model in a report that is.
        let columns = |name: &str| json!({"data": {"columns": {"text": name}}, "teacher": {}});
        assert!(
            changed("teacher", columns("model"), columns("init")).unwrap().starts_with("data.columns.text")
        );
        let lengths = |length: usize| json!({"data": {"max_length": {"init": length}}, "report": {}});
        let found = changed("report", lengths(8), lengths(16)).unwrap();
        assert_eq!(found, "data.max_length.init changed: 8 → 16");
    }

    #[test]
    fn what_an_earlier_version_did_not_record_has_its_default_and_what_is_unknown_is_a_change() {
        let train = |more: Value| {
            let mut settings = json!({"finetune": {"epochs": 3}, "data": {"validation": "a file"}, "seed": 42});
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            settings
        };
        let whole = json!({"finetune": {"epochs": 3, "ema_decay": 0.0}});
        assert_eq!(changed("finetune", train(json!({})), train(whole)), None);
        let removed = changed("finetune", train(json!({"momentum": 1})), train(json!({}))).unwrap();
        assert!(removed.contains("momentum"), "{removed}");
    }

    #[test]
    fn every_command_has_its_type() {
        let of = |command: &str, settings: Value| Recorded::read(command, &settings).map(drop);
        of("augment", json!({"data": {"columns": {}}, "augment": {"copies": 2}, "seed": 1})).unwrap();
        of("teacher", json!({"data": {}, "teacher": {"model": "m"}, "dtype": "f32", "shard": "0/2"})).unwrap();
        of("targets merge", json!({})).unwrap();
        of("tokenizer train", json!({"data": {"columns": {}}, "tokenizer": {"kind": "bpe", "size": 300}}))
            .unwrap();
        of("targets average", json!({"average": "logits", "weights": [1.0, 2.0]})).unwrap();
        let report = json!({"data": {"label_map": ["a", "b"]}, "data_names": ["test"], "report": {"junit": "x"},
            "model_names": ["a"], "prediction_names": [["test", ["a"]]], "dtype": "f32"});
        of("report", report).unwrap();
        assert!(of("dance", json!({})).is_err());
    }
}
