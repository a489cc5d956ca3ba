//! Every setting with its default. `docs/settings.md` lists the same for people.

use std::path::PathBuf;

use distill_data::augment::AugmentSettings;
use distill_data::source::{Columns, LabelType};
use distill_data::tokens::train::TokenizerSettings;
use distill_report::ReportSettings;
use distill_student::TrainSettings;
use distill_student::teachers::Average;
use distill_task::TaskId;
use serde::{Deserialize, Serialize};

use super::delimiter::Delimiter;
use super::pretrain::PretrainSettings;
use super::task::{self, TaskName};
use super::test_sets::TestSets;

/// A complete settings file. Each stage reads its own table and the shared ones.
///
/// ```
/// use distill_run::settings::Settings;
///
/// let settings: Settings = toml::from_str("[student]\nlayers = [0, 2]\ntemperature = 4.0")?;
/// assert_eq!(settings.student.start.layers, Some(vec![0, 2]));
/// assert_eq!(settings.student.train.temperature, 4.0);
/// assert_eq!(settings.runtime, Settings::default().runtime, "what is not said has its default");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory of all stages of `distill run`; by default `runs/` and the pipeline file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// Where and how to compute.
    pub runtime: RuntimeSettings,
    /// Rows.
    #[serde(deserialize_with = "task::settled")]
    pub data: DataSettings,
    /// `distill pretrain`.
    pub pretrain: PretrainSettings,
    /// `distill augment`.
    pub augment: AugmentSettings,
    /// `distill finetune`.
    pub finetune: FinetuneSettings,
    /// `distill teacher`, and the batches of `predict` and `report`.
    pub teacher: TeacherSettings,
    /// `distill student`.
    pub student: StudentSettings,
    /// `distill report`.
    pub report: ReportSettings,
    /// `distill tokenizer train`.
    pub tokenizer: TokenizerSettings,
}

/// Where and how to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeSettings {
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// `f32`, `bf16`, or `auto`: bf16 where the device is good at it. Weights that are trained stay in f32.
    pub dtype: String,
    /// Threads of one operator and of tokenization; by default the cores this process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Decides shuffling, dropout, fresh weights and the validation part.
    pub seed: u64,
    /// Lock no directory: nothing then keeps two runs out of one.
    pub no_lock: bool,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        RuntimeSettings {
            device: "auto".to_owned(),
            dtype: "f32".to_owned(),
            threads: None,
            seed: 42,
            no_lock: false,
        }
    }
}

/// Rows, and how they are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Training rows; `--data` of `finetune`, `teacher`, `student` and `predict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Validation rows: a share of the training rows, or a file.
    pub validation: Validation,
    /// Cut a share of every class off, where rows have one class.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stratify: bool,
    /// Held-out rows, one file or a table of names and files; `--data` of `report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSets>,
    /// Tokens of a row at most, special ones included; by default what the model or the store says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Names the tasks that `problem_type` may be, where it names more than one; else that says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// What is predicted; by default what the model or the data say, else one class a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_type: Option<TaskId>,
    /// Whether labels are names or ids, or lists of 0 and 1, where they could be either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_type: Option<LabelType>,
    /// File of label names: what the labels of the data are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_map: Option<PathBuf>,
    /// What separates the fields of CSV and TSV; by default what the ending and the header say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// Names of the columns.
    pub columns: Columns,
    /// Keep tokenized rows in the user's cache for the next run.
    pub cache: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        DataSettings {
            train: None,
            validation: Validation::Share(0.1),
            stratify: false,
            test: None,
            max_length: None,
            task: None,
            problem_type: None,
            label_type: None,
            label_map: None,
            delimiter: None,
            columns: Columns::default(),
            cache: true,
        }
    }
}

/// Where validation rows come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "GivenValidation")]
pub enum Validation {
    /// A seeded part of the training rows.
    Share(f64),
    /// A separate file.
    File(PathBuf),
}

/// As it may be written: a share also as `"10%"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenValidation {
    Share(f64),
    Text(String),
}

impl From<GivenValidation> for Validation {
    fn from(given: GivenValidation) -> Self {
        let percent = |text: &str| text.strip_suffix('%')?.trim_end().parse::<f64>().ok();
        match given {
            GivenValidation::Share(share) => Validation::Share(share),
            GivenValidation::Text(text) => match percent(&text) {
                Some(percent) => Validation::Share(percent / 100.0),
                None => Validation::File(text.into()),
            },
        }
    }
}

/// `distill finetune`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct FinetuneSettings {
    /// Hugging Face directory to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Directory of another tokenizer, whose vocabulary replaces that of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// How to train.
    #[serde(flatten)]
    pub train: TrainSettings,
}

impl Default for FinetuneSettings {
    fn default() -> Self {
        FinetuneSettings { model: None, tokenizer: None, train: TrainSettings::default().without_teacher() }
    }
}

/// `distill teacher`, and the batches of `predict` and `report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherSettings {
    /// The classifier; in a pipeline the result of `[finetune]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Keep the texts in the store.
    pub text: bool,
    /// Store logits as float16.
    pub float16: bool,
    /// Rows of a Parquet file of the store, a multiple of 4096; a stopped run loses the file it is at.
    pub shard_rows: u64,
    /// Tokens of a batch at most; by default what suits the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<u64>,
}

impl Default for TeacherSettings {
    fn default() -> Self {
        TeacherSettings { model: None, text: true, float16: false, shard_rows: 16_384, batch_tokens: None }
    }
}

/// `distill student`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct StudentSettings {
    /// The student's own keys.
    #[serde(flatten)]
    pub start: StudentStart,
    /// How to train.
    #[serde(flatten)]
    pub train: TrainSettings,
}

/// Where soft targets come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// One store.
    One(PathBuf),
    /// A store for each of several teachers.
    Several(Vec<PathBuf>),
}

impl Targets {
    /// The stores' directories.
    pub fn directories(&self) -> &[PathBuf] {
        match self {
            Targets::One(directory) => std::slice::from_ref(directory),
            Targets::Several(directories) => directories,
        }
    }
}

/// Keys of `[student]` that `[finetune]` does not have.
pub(super) const STUDENT_KEYS: &[&str] = &[
    "targets",
    "teacher_weights",
    "average",
    "require_teacher",
    "teacher_model",
    "init",
    "layers",
    "hidden_size",
    "tokenizer",
    "vocabulary_from",
    "vocabulary_size",
    "embedding_size",
    "no_teacher_baseline",
    "baseline_init",
];

/// What the student starts as and learns from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudentStart {
    /// Soft-target store, or one for each teacher; in a pipeline the result of `[teacher]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
    /// A weight for each store; equal by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teacher_weights: Vec<f64>,
    /// What is averaged over several stores.
    pub average: Average,
    /// Stop if the teacher is no better on the validation rows than always predicting the most frequent label, or
    /// than the student before its training. By default `distill run` does where there are rows enough to judge by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_teacher: Option<bool>,
    /// The teacher that runs next to the student for losses on intermediate layers; in a pipeline the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_model: Option<PathBuf>,
    /// Hugging Face directory, or a `config.json`; in a pipeline the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Layers of `init` to keep, in the student's order; by default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<usize>>,
    /// Width of the hidden states; by default that of `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<i64>,
    /// Directory of the student's tokenizer; by default that of `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// Texts by which the vocabulary is made smaller: what they do not need is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary_from: Option<PathBuf>,
    /// Tokens of the smaller vocabulary; by default as many as the texts need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary_size: Option<usize>,
    /// Width of the word vectors, where the architecture widens them; by default that of `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<i64>,
    /// In a pipeline: also train the same student with `soft_weight = 0`, `hard_weight = 1`.
    pub no_teacher_baseline: bool,
    /// In a pipeline: what the student without a teacher starts as; by default what the student does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_init: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_in_the_documentation() {
        let documented = include_str!("../../../../docs/settings.md");
        let mut all = toml::Table::try_from(Settings::default()).unwrap();
        for key in STUDENT_KEYS {
            all["student"].as_table_mut().unwrap().insert((*key).to_owned(), true.into());
        }
        for key in ["task", "problem_type", "max_length", "stratify", "label_type", "label_map", "delimiter"] {
            all["data"].as_table_mut().unwrap().insert(key.to_owned(), true.into());
        }
        for key in ["masked_model", "unlabelled"] {
            all["augment"].as_table_mut().unwrap().insert(key.to_owned(), true.into());
        }
        for key in ["kind", "lowercase", "limit_alphabet"] {
            all["tokenizer"].as_table_mut().unwrap().insert(key.to_owned(), true.into());
        }
        for key in ["model", "tokenizer", "data"] {
            all["pretrain"].as_table_mut().unwrap().insert(key.to_owned(), true.into());
        }
        for key in ["labels", "junit"] {
            all["report"].as_table_mut().unwrap().insert(key.to_owned(), true.into());
        }
        for (table, settings) in &all {
            assert!(documented.contains(&format!("## `[{table}]`")), "{table}");
            for key in settings.as_table().unwrap().keys() {
                assert!(documented.contains(&format!("| `{key}` |")), "{table}.{key}");
            }
        }
    }

    #[test]
    fn a_stage_table_takes_its_own_keys_and_those_of_training() {
        let settings: Settings =
            toml::from_str("[student]\nlayers = [0, 2]\nepochs = 6\n[finetune]\nmodel = \"m\"\nepochs = 4\n")
                .unwrap();
        assert_eq!(settings.student.start.layers, Some(vec![0, 2]));
        assert_eq!((settings.student.train.epochs, settings.finetune.train.epochs), (6, 4));
        assert_eq!(settings.finetune.train.soft_weight, 0.0);
        let error = toml::from_str::<Settings>("[finetune]\nsoft_weight = 0.5\n").unwrap_err();
        assert!(error.to_string().contains("no teacher"), "{error}");
    }
}
