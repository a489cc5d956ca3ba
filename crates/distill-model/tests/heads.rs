//! Heads for tokens, answers and masked tokens against `transformers` (`scripts/goldens/heads.py`): logits, gradients, and
//! the names of classes and weights on disk.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use distill_core::LabelMap;
use distill_model::student::{Shape, initialize};
use distill_model::{
    HeadKind, Inputs, Mode, Model, ModelConfig, ModelDirectory, Recorder, TaskId, directory, weights,
};
use distill_torch::Dropout;
use support::{golden, largest_difference, packed, tensors};
use tch::{Device, Kind, Tensor};

mod support;

const TOLERANCE: f64 = 1e-5;

/// A model of `heads.json`.
struct Case {
    /// Name of the written folder: the tiny model's, and the kind of head.
    name: String,
    tiny: String,
    kind: &'static str,
    class: String,
    /// Names of the head's weights on disk.
    head: BTreeSet<String>,
    /// Names in the tiny model's file that this model does not have on disk.
    without: BTreeSet<String>,
}

impl Case {
    fn head_kind(&self) -> HeadKind {
        if self.kind == "token" { HeadKind::Token } else { HeadKind::Span }
    }

    fn golden(&self) -> BTreeMap<String, Tensor> {
        tensors(&golden(&self.tiny).join("heads.safetensors"))
    }

    /// The backbone's weights from the tiny model, and the head's from the golden file.
    fn weights(&self) -> BTreeMap<String, Tensor> {
        let mut all = tensors(&golden(&self.tiny).join("model.safetensors"));
        let of_head = |name: &str| name.strip_prefix(&format!("{}.", self.kind)).map(str::to_owned);
        for (name, tensor) in self.golden() {
            if let Some(name) = of_head(&name).filter(|name| self.head.contains(name)) {
                all.insert(name, tensor);
            }
        }
        all
    }

    /// A directory as `transformers` would have saved it, with the pooler and the other head left in the file.
    fn directory(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let weights: Vec<(String, Tensor)> = self.weights().into_iter().collect();
        weights::write(&folder.path().join("model.safetensors"), &weights).unwrap();
        write_config(folder.path(), &self.tiny, &self.class);
        folder
    }

    fn expected_names(&self) -> BTreeSet<String> {
        let tiny = tensors(&golden(&self.tiny).join("model.safetensors"));
        tiny.into_keys().filter(|name| !self.without.contains(name)).chain(self.head.clone()).collect()
    }
}

fn write_config(folder: &Path, tiny: &str, class: &str) {
    let text = std::fs::read(golden(tiny).join("config.json")).unwrap();
    let mut config: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap();
    config.insert("architectures".to_owned(), serde_json::json!([class]));
    config.remove("problem_type");
    distill_core::atomic::write(&folder.join("config.json"), &serde_json::to_vec(&config).unwrap()).unwrap();
}

fn cases() -> Vec<Case> {
    let text = std::fs::read(golden("heads.json")).unwrap();
    let all: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let names =
        |value: &serde_json::Value| -> BTreeSet<String> { serde_json::from_value(value.clone()).unwrap() };
    let heads = all["heads"].as_object().unwrap();
    heads
        .iter()
        .map(|(name, case)| {
            let (tiny, kind) = name.rsplit_once('-').unwrap();
            Case {
                name: name.clone(),
                tiny: tiny.to_owned(),
                kind: if kind == "token" { "token" } else { "span" },
                class: case["class"].as_str().unwrap().to_owned(),
                head: names(&case["head"]),
                without: names(&case["without"]),
            }
        })
        .collect()
}

fn task(head: HeadKind) -> TaskId {
    match head {
        HeadKind::Token => TaskId::TOKEN_CLASSIFICATION,
        HeadKind::Span => TaskId::QUESTION_ANSWERING,
        _ => TaskId::SINGLE_LABEL,
    }
}

fn load(folder: &Path) -> Model {
    ModelDirectory::open(folder).unwrap().load_classifier(Device::Cpu).unwrap()
}

/// The golden batch packed, and for each of its tokens the row of the golden logits that is its own.
fn batch(tiny: &str) -> (Inputs, Tensor) {
    let golden = tensors(&golden(tiny).join("golden.safetensors"));
    let (inputs, order) = packed(&golden);
    let lengths =
        Vec::<i64>::try_from(golden["attention_mask"].sum_dim_intlist(1i64, false, Kind::Int64)).unwrap();
    let start = |row: usize| lengths[..row].iter().sum::<i64>();
    let rows = Vec::<i64>::try_from(order).unwrap().into_iter().map(|row| row as usize);
    let places: Vec<i64> = rows.flat_map(|row| start(row)..start(row) + lengths[row]).collect();
    (inputs, Tensor::from_slice(&places))
}

fn some_places(inputs: &Inputs) -> Vec<i64> {
    (0..inputs.packing.tokens()).filter(|place| place % 3 == 1).rev().collect()
}

#[test]
fn every_head_has_transformers_logits() {
    let mut largest = 0f64;
    for case in cases() {
        let folder = case.directory();
        let model = load(folder.path());
        assert_eq!(model.config().head, case.head_kind(), "{}", case.name);
        let (inputs, rows) = batch(&case.tiny);
        let expected = case.golden()[&format!("{}.logits", case.kind)].index_select(0, &rows);
        let _no_gradients = tch::no_grad_guard();
        let all = model.forward(&inputs, Mode::Evaluate).unwrap();
        let mut worst = largest_difference(&all, &expected);
        // With weights laid out for inference, and inside of a recorded pass.
        let fast = ModelDirectory::open(folder.path()).unwrap();
        let fast = fast.load_classifier_as(Device::Cpu, Kind::Float).unwrap();
        worst = worst.max(largest_difference(&fast.forward(&inputs, Mode::Evaluate).unwrap(), &expected));
        let recorder = Recorder::new(&[0].into(), &[].into());
        let places = some_places(&inputs);
        let inputs = inputs.at(&places).unwrap();
        let expected = expected.index_select(0, &Tensor::from_slice(&places));
        let recorded = model.forward_recorded(&inputs, Mode::Evaluate, &recorder).unwrap();
        worst = worst.max(largest_difference(&recorded, &expected));
        assert_eq!(recorder.into_record().hidden[&0].size()[0], inputs.packing.tokens(), "{}", case.name);
        worst = worst.max(largest_difference(&model.forward(&inputs, Mode::Evaluate).unwrap(), &expected));
        assert!(worst < TOLERANCE, "{}: {worst:e}", case.name);
        largest = largest.max(worst);
    }
    println!("logits within {largest:.1e}");
}

/// `scripts/goldens/heads.py --check` reads the directories that this writes.
#[test]
fn what_is_written_has_transformers_names() {
    let root = std::env::var_os("DISTILL_WRITTEN_MODELS").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    for case in cases() {
        let model = load(case.directory().path());
        let folder = root.as_deref().unwrap_or(temporary.path()).join(&case.name);
        std::fs::create_dir_all(&folder).unwrap();
        directory::save(&model, &folder).unwrap();
        let written = tensors(&folder.join("model.safetensors"));
        assert_eq!(written.keys().cloned().collect::<BTreeSet<_>>(), case.expected_names(), "{}", case.name);
        let given = case.weights();
        assert!(written.iter().all(|(name, tensor)| *tensor == given[name]), "{}", case.name);
        let text = std::fs::read(folder.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(config["architectures"], serde_json::json!([case.class]));
        assert!(config.get("problem_type").is_none(), "{}", case.name);
        assert_eq!(config.get("id2label").is_some(), case.kind == "token", "{}", case.name);
        assert_eq!(load(&folder).config().outputs(), model.config().outputs(), "{}", case.name);
    }
}

#[test]
fn gradients_of_supervised_tokens_are_transformers() {
    let case = cases().into_iter().find(|case| case.name == "modernbert-cls-tiny-token").unwrap();
    let golden = case.golden();
    let model = load(case.directory().path());
    let (inputs, rows) = batch(&case.tiny);
    let labels = golden["token.labels"].index_select(0, &rows); // [T]
    let places: Vec<i64> = Vec::<i64>::try_from(&labels)
        .unwrap()
        .iter()
        .zip(0..)
        .filter_map(|(label, place)| (*label >= 0).then_some(place))
        .collect();
    let inputs = inputs.at(&places).unwrap();
    let logits = model.forward(&inputs, Mode::Train(&Dropout::new(0))).unwrap(); // [N, C]
    let loss = logits.cross_entropy_for_logits(&labels.index_select(0, &Tensor::from_slice(&places)));
    assert!(largest_difference(&loss, &golden["token.loss"]) < TOLERANCE);
    loss.backward();
    for (name, tensor) in model.parameters() {
        let difference = largest_difference(&tensor.grad(), &golden[&format!("token.grad.{name}")]);
        assert!(difference < TOLERANCE, "{name}: {difference:e}");
    }
}

/// A decoder that is the table of word vectors gives it both gradients.
#[test]
fn a_masked_language_model_is_trained_as_transformers_trains_it() {
    let name = "roberta-masked";
    let golden_batch = tensors(&golden(name).join("golden.safetensors"));
    let golden_steps = tensors(&golden(name).join("training.safetensors"));
    let model = ModelDirectory::open(&golden(name)).unwrap().load_with(HeadKind::Masked, Device::Cpu).unwrap();
    let (inputs, rows) = batch(name);
    let masked: Vec<i64> = golden_batch["masked"]
        .masked_select(&golden_batch["attention_mask"].to_kind(Kind::Bool))
        .try_into()
        .unwrap();
    // The number of each masked token among those of the padded batch.
    let number = |row: i64| masked[..row as usize].iter().sum::<i64>();
    let rows = Vec::<i64>::try_from(&rows).unwrap();
    let (places, numbers): (Vec<i64>, Vec<i64>) = rows
        .iter()
        .zip(0i64..)
        .filter(|(row, _)| masked[**row as usize] == 1)
        .map(|(row, place)| (place, number(*row)))
        .unzip();
    let labels = golden_steps["labels"].index_select(0, &Tensor::from_slice(&numbers));
    let logits = model.forward(&inputs.at(&places).unwrap(), Mode::Train(&Dropout::new(0))).unwrap();
    assert_eq!(logits.size(), [places.len() as i64, model.config().vocab_size]);
    let loss = logits.cross_entropy_for_logits(&labels);
    assert!(largest_difference(&loss, &golden_steps["loss"]) < TOLERANCE);
    loss.backward();
    let folder = tempfile::tempdir().unwrap();
    directory::save(&model, folder.path()).unwrap();
    let [read, written] =
        [golden(name), folder.path().to_owned()].map(|path| tensors(&path.join("model.safetensors")));
    assert!(read.keys().eq(written.keys()), "{:?} {:?}", read.keys(), written.keys());
    for (name, tensor) in model.parameters() {
        let difference = largest_difference(&tensor.grad(), &golden_steps[&format!("grad.{name}")]);
        assert!(difference < TOLERANCE, "{name}: {difference:e}");
    }
}

/// Any head goes on any backbone of its architecture; what the other head had is neither taken nor in the way.
#[test]
fn a_model_with_one_head_gets_a_fresh_one_for_another_task() {
    let labels = LabelMap::new(["O", "B-X", "I-X"]).unwrap();
    for case in cases() {
        let kept = case.directory();
        let sources = [(golden(&case.tiny), case.head_kind()), (kept.path().to_owned(), HeadKind::Sequence)];
        for (source, head) in sources {
            let directory = ModelDirectory::open(&source).unwrap();
            let task = task(head);
            let fresh = directory.load_for_training(&labels, task, Device::Cpu).unwrap();
            let architecture = fresh.config().architecture;
            let output = format!("{}.weight", architecture.output(head));
            assert!(fresh.made_fresh().contains(&output), "{}: {:?}", case.name, fresh.made_fresh());
            let own = |name: &String| architecture.is_of_head(head, name);
            assert!(fresh.made_fresh().iter().all(own), "{}", case.name);
            let before = tensors(&source.join("model.safetensors"));
            for (name, tensor) in fresh.parameters().iter().filter(|(name, _)| !own(name)) {
                assert_eq!(*tensor, before[name], "{}: {name}", case.name);
            }
            assert_eq!(fresh.config().to_json()["architectures"][0], architecture.class(head));
            if case.tiny.contains("groups") {
                continue;
            }
            let shape = Shape { layers: Some(&[0]), ..Shape::default() };
            let student = initialize(&directory, shape, &labels, task, Device::Cpu).unwrap();
            assert_eq!((student.config().head, student.config().num_hidden_layers), (head, 1), "{}", case.name);
        }
        // The same labels and the same head: nothing is fresh.
        let directory = ModelDirectory::open(kept.path()).unwrap();
        let own = directory.config().labels.clone();
        let same = directory.load_for_training(&own, task(case.head_kind()), Device::Cpu);
        assert!(same.unwrap().made_fresh().is_empty(), "{}", case.name);
    }
}

#[test]
fn a_head_among_the_weights_of_a_backbone_is_read_and_said() {
    let case = cases().into_iter().find(|case| case.name == "roberta-tiny-token").unwrap();
    let folder = case.directory();
    let mut weights = case.weights();
    weights.retain(|name, _| !case.without.contains(name));
    let weights: Vec<(String, Tensor)> = weights.into_iter().collect();
    weights::write(&folder.path().join("model.safetensors"), &weights).unwrap();
    write_config(folder.path(), &case.tiny, "RobertaModel");
    let directory = ModelDirectory::open(folder.path()).unwrap();
    assert_eq!(directory.config().named_head(), Some(HeadKind::Token));
    assert!(directory.notes()[0].contains("read as RobertaForTokenClassification"), "{:?}", directory.notes());
    directory.load_classifier(Device::Cpu).unwrap();
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let nomic = ModelDirectory::open(&golden("nomic-bert-tiny")).unwrap();
    let error = nomic.load_with(HeadKind::Span, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("nomic_bert is not supported") && error.contains("QuestionAnswering"), "{error}");
    let (inputs, _) = batch("bert-tiny");
    let tokens = inputs.packing.tokens();
    for place in [-1, tokens] {
        let (inputs, _) = batch("bert-tiny");
        assert!(inputs.at(&[0, place]).unwrap_err().to_string().contains(&format!("position {place}")));
    }
    let raw = std::fs::read(golden("bert-tiny/config.json")).unwrap();
    let mut raw: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&raw).unwrap();
    raw.insert("architectures".to_owned(), serde_json::json!(["BertForTokenClassification"]));
    raw.remove("id2label");
    raw.insert("num_labels".to_owned(), 1.into());
    let config = ModelConfig::from_json(raw, Path::new("x")).unwrap();
    assert_eq!(config.problem_type, TaskId::TOKEN_CLASSIFICATION, "one class of tokens is no regression");
}
