//! Every architecture against `transformers`: logits, loss and every gradient of a tiny random model
//! (`scripts/goldens/encoders.py`), and what is written is what was read.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;

use distill_core::LabelMap;
use distill_model::backbones;
use distill_model::inspect::Parts;
use distill_model::student::Shape;
use distill_model::{Inputs, Mode, Model, ModelDirectory, Recorder, TaskId, directory, student};
use distill_torch::Dropout;
use support::{golden, largest_difference, packed, tensors};
use tch::{Device, Kind, Reduction, Tensor};

mod support;

/// Folder, its `model_type`, parameters.
const GOLDENS: &[(&str, &str, u64)] = &[
    ("roberta-tiny", "roberta", 12_851),
    ("xlm-roberta-tiny", "xlm-roberta", 12_851),
    ("camembert-tiny", "camembert", 12_851),
    ("distilbert-tiny", "distilbert", 12_827),
    ("mpnet-tiny", "mpnet", 12_923),
    ("electra-tiny", "electra", 12_203),
    ("electra-wide-tiny", "electra", 8_395),
    ("albert-tiny", "albert", 7_723),
    ("albert-groups-tiny", "albert", 21_163),
    ("deberta-v3-tiny", "deberta-v2", 11_579),
    ("deberta-v2-tiny", "deberta-v2", 15_171),
    ("modernbert-tiny", "modernbert", 17_331),
    ("modernbert-cls-tiny", "modernbert", 10_235),
    ("nomic-bert-tiny", "nomic_bert", 12_795),
];
const TOLERANCE: f64 = 1e-5;

fn open(name: &str) -> ModelDirectory {
    ModelDirectory::open(&golden(name)).unwrap()
}

fn layers(chosen: &[usize]) -> Shape<'_> {
    Shape { layers: Some(chosen), ..Shape::default() }
}

fn loss(model: &Model, logits: &Tensor, labels: &Tensor) -> Tensor {
    if model.config().problem_type == TaskId::MULTI_LABEL {
        return logits.binary_cross_entropy_with_logits::<Tensor>(labels, None, None, Reduction::Mean);
    }
    logits.cross_entropy_for_logits(labels)
}

/// A pass that is recorded gives the same logits; its layers differ from one another, and only those asked for are
/// kept.
#[test]
fn every_architecture_hands_out_its_layers_without_changing_its_logits() {
    for (name, ..) in GOLDENS.iter().chain(&[("bert-tiny", "bert", 0)]) {
        let (inputs, _) = packed(&tensors(&golden(name).join("golden.safetensors")));
        let model = open(name).load_classifier(Device::Cpu).unwrap();
        let _no_gradients = tch::no_grad_guard();
        let layers = model.config().num_hidden_layers;
        let all = (0..layers).collect();
        let recorder = Recorder::new(&all, &all);
        let logits = model.forward_recorded(&inputs, Mode::Evaluate, &recorder).unwrap();
        let plain = model.forward(&inputs, Mode::Evaluate).unwrap();
        assert!(largest_difference(&logits, &plain) < TOLERANCE, "{name}");
        let record = recorder.into_record();
        assert_eq!((record.hidden.len(), record.attention.len()), (layers, layers), "{name}");
        let (tokens, width) = (inputs.packing.tokens(), model.config().hidden_size);
        for (layer, states) in &record.hidden {
            assert_eq!(states.size(), [tokens, width], "{name}, layer {layer}");
            let before = layer.checked_sub(1).map(|before| &record.hidden[&before]);
            assert!(
                before.is_none_or(|before| largest_difference(before, states) > 1e-3),
                "{name}, layer {layer}"
            );
        }
        let heads = model.config().num_attention_heads;
        for (layer, attention) in &record.attention {
            for part in [&attention.query, &attention.key, &attention.value] {
                assert_eq!(part.size(), [tokens, heads, width / heads], "{name}, layer {layer}");
            }
        }
        let few = Recorder::new(&[layers - 1].into(), &[].into());
        drop(model.forward_recorded(&inputs, Mode::Evaluate, &few).unwrap());
        let few = few.into_record();
        assert_eq!((few.hidden.len(), few.attention.len()), (1, 0), "{name}");
        assert_eq!(few.hidden[&(layers - 1)], record.hidden[&(layers - 1)], "{name}");
    }
}

#[test]
fn every_architecture_has_transformers_logits_loss_and_gradients() {
    let mut wrong = Vec::new();
    for (name, model_type, parameters) in GOLDENS {
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let (inputs, order) = packed(&golden);
        let model = open(name).load_classifier(Device::Cpu).unwrap();
        assert_eq!(model.config().architecture.model_type, *model_type);
        assert_eq!(model.num_parameters(), *parameters, "{name}");
        // Without dropout a training pass gives the logits too; evaluation must not differ from it.
        let logits = model.forward(&inputs, Mode::Train(&Dropout::new(0))).unwrap();
        let evaluated = tch::no_grad(|| model.forward(&inputs, Mode::Evaluate)).unwrap();
        let expected = golden["logits"].index_select(0, &order);
        let mut worst = largest_difference(&logits, &expected).max(largest_difference(&evaluated, &expected));
        // The same with weights laid out for inference, as the runner has them.
        let packed_model = open(name).load_classifier_as(Device::Cpu, Kind::Float).unwrap();
        let fused = tch::no_grad(|| packed_model.forward(&inputs, Mode::Evaluate)).unwrap();
        worst = worst.max(largest_difference(&fused, &expected));
        let loss = loss(&model, &logits, &golden["labels"].index_select(0, &order));
        worst = worst.max(largest_difference(&loss, &golden["loss"]));
        loss.backward();
        let mut worst_gradient = 0f64;
        for (parameter, tensor) in model.parameters() {
            let difference = largest_difference(&tensor.grad(), &golden[&format!("grad.{parameter}")]);
            if difference >= TOLERANCE {
                wrong.push(format!("{name}: gradient of {parameter} differs by {difference:e}"));
            }
            worst_gradient = worst_gradient.max(difference);
        }
        let gradients = golden.keys().filter(|key| key.starts_with("grad.")).count();
        assert_eq!(model.parameters().len(), gradients, "{name}");
        println!("{name}: logits and loss within {worst:.1e}, gradients within {worst_gradient:.1e}");
        if worst >= TOLERANCE {
            wrong.push(format!("{name}: logits or loss differ by {worst:e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A directory that `transformers` loads (`scripts/goldens/encoders.py --check`) has its names, shapes and bytes.
#[test]
fn what_is_written_is_what_was_read() {
    let root = std::env::var_os("DISTILL_WRITTEN_MODELS").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    for (name, ..) in GOLDENS {
        let model = open(name).load_classifier(Device::Cpu).unwrap();
        let folder = root.as_deref().unwrap_or(temporary.path()).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        directory::save(&model, &folder).unwrap();
        let [read, written] =
            [golden(name), folder.clone()].map(|folder| tensors(&folder.join("model.safetensors")));
        assert!(read.keys().eq(written.keys()), "{name}");
        for (parameter, tensor) in &read {
            assert_eq!(*tensor, written[parameter], "{name}: {parameter}");
        }
        let [read, written] = [golden(name), folder].map(|folder| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
        });
        for (key, value) in read.as_object().unwrap() {
            assert!(key == "problem_type" || written[key] == *value, "{name}: {key}");
        }
    }
}

/// A pretrained encoder has no head, and often neither the classifier's prefix.
#[test]
fn an_encoder_without_head_and_prefix_gets_a_fresh_head() {
    let labels = LabelMap::new(["x", "y"]).unwrap();
    for (name, ..) in GOLDENS {
        let source = open(name);
        let architecture = source.config().architecture;
        let prefix = format!("{}.", architecture.prefix);
        let mut bare: Vec<(String, Tensor)> = tensors(&golden(name).join("model.safetensors"))
            .into_iter()
            .filter(|(parameter, _)| !architecture.is_head(parameter))
            .map(|(parameter, tensor)| (parameter.strip_prefix(&prefix).unwrap().to_owned(), tensor))
            .collect();
        // A buffer that older checkpoints carry, MiniLM's too.
        bare.push(("embeddings.position_ids".to_owned(), Tensor::arange(70, (Kind::Int64, Device::Cpu))));
        let folder = tempfile::tempdir().unwrap();
        distill_model::weights::write(&folder.path().join("model.safetensors"), &bare).unwrap();
        let mut config = std::fs::read_to_string(golden(name).join("config.json")).unwrap();
        config = config.replace("ForSequenceClassification", "Model");
        distill_core::atomic::write(&folder.path().join("config.json"), config.as_bytes()).unwrap();
        let model = ModelDirectory::open(folder.path())
            .unwrap()
            .load_for_training(&labels, TaskId::SINGLE_LABEL, Device::Cpu)
            .unwrap();
        assert!(!model.made_fresh().is_empty(), "{name}");
        assert!(model.made_fresh().iter().all(|parameter| architecture.is_head(parameter)), "{name}");
        assert_eq!(model.config().num_labels(), 2);
        let whole: BTreeMap<String, Tensor> = tensors(&golden(name).join("model.safetensors"));
        for (parameter, tensor) in model.parameters().iter().filter(|(name, _)| !architecture.is_head(name)) {
            assert_eq!(*tensor, whole[parameter], "{name}: {parameter}");
        }
    }
}

#[test]
fn a_students_layers_are_the_teachers_where_the_architecture_allows_it() {
    for (name, ..) in GOLDENS {
        let teacher = open(name);
        let count = teacher.config().num_hidden_layers;
        let labels = teacher.config().labels.clone();
        let student = student::initialize(&teacher, layers(&[0]), &labels, TaskId::SINGLE_LABEL, Device::Cpu);
        if *name == "albert-groups-tiny" {
            assert!(student.unwrap_err().to_string().contains("num_hidden_groups = 2"), "{name}");
            continue;
        }
        let student = student.unwrap();
        assert_eq!((student.config().num_hidden_layers, student.made_fresh().len()), (1, 0), "{name}");
        let folder = tempfile::tempdir().unwrap();
        directory::save(&student, folder.path()).unwrap();
        let again = ModelDirectory::open(folder.path()).unwrap().load_classifier(Device::Cpu).unwrap();
        assert_eq!(again.num_parameters(), student.num_parameters(), "{name}");
        let last =
            student::initialize(&teacher, layers(&[count - 1]), &labels, TaskId::SINGLE_LABEL, Device::Cpu);
        match *name {
            "modernbert-tiny" | "modernbert-cls-tiny" => {
                assert!(last.unwrap_err().to_string().contains("begin with the first"), "{name}");
            }
            _ => assert!(last.unwrap().made_fresh().is_empty(), "{name}"),
        }
    }
}

/// One of three heads: of every tensor the first rows and columns, and of stacked ones those of each part.
#[test]
fn a_narrower_student_has_the_teachers_first_columns() {
    for (name, ..) in GOLDENS {
        let teacher = open(name);
        let labels = teacher.config().labels.clone();
        let narrow = |hidden_size| {
            let shape = Shape { hidden_size: Some(hidden_size), ..Shape::default() };
            student::initialize(&teacher, shape, &labels, TaskId::SINGLE_LABEL, Device::Cpu)
        };
        for wrong in [0, 7, 20, 32] {
            assert!(narrow(wrong).unwrap_err().to_string().contains("multiple of 8"), "{name}");
        }
        let student = narrow(8).unwrap();
        assert!(student.made_fresh().is_empty(), "{name}");
        let whole: BTreeMap<String, Tensor> = tensors(&golden(name).join("model.safetensors"));
        for (parameter, tensor) in student.parameters() {
            let parts =
                [("Wqkv", 3), ("Wi", 2)].iter().find(|(part, _)| parameter.contains(part)).map_or(1, |p| p.1);
            let (own, all) = (tensor.chunk(parts, 0), whole[parameter].chunk(parts, 0));
            for (own, all) in own.iter().zip(&all) {
                let expected = own
                    .size()
                    .iter()
                    .enumerate()
                    .fold(all.shallow_clone(), |all, (axis, size)| all.narrow(axis as i64, 0, *size));
                assert_eq!(*own, expected, "{name}: {parameter}");
            }
        }
        let (inputs, _) = packed(&tensors(&golden(name).join("golden.safetensors")));
        let logits = tch::no_grad(|| student.forward(&inputs, Mode::Evaluate)).unwrap();
        assert_eq!(logits.isfinite().all().int64_value(&[]), 1, "{name}");
        let folder = tempfile::tempdir().unwrap();
        directory::save(&student, folder.path()).unwrap();
        ModelDirectory::open(folder.path()).unwrap().load_classifier(Device::Cpu).unwrap();
    }
}

/// The kernel for packed tokens compared with padded views, in the same process: the goldens would not show a difference that
/// both have from them.
#[test]
fn packed_attention_gives_the_logits_and_gradients_of_padded_attention() {
    let mut largest = 0f64;
    for (name, ..) in GOLDENS.iter().chain(&[("bert-tiny", "bert", 0)]) {
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let pass = |padded: bool| {
            let model = open(name).load_classifier(Device::Cpu).unwrap();
            let (inputs, order) = packed(&golden);
            let packing = if padded { inputs.packing.by_padding() } else { inputs.packing };
            let logits = model.forward(&Inputs { packing, ..inputs }, Mode::Evaluate).unwrap();
            loss(&model, &logits, &golden["labels"].index_select(0, &order)).backward();
            let gradients: Vec<(String, Tensor)> =
                model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.grad())).collect();
            (logits, gradients)
        };
        let ((logits, gradients), (padded_logits, padded_gradients)) = (pass(false), pass(true));
        let mut differences = vec![("logits", largest_difference(&logits, &padded_logits))];
        for ((parameter, own), (_, padded)) in gradients.iter().zip(&padded_gradients) {
            assert_eq!(own.defined(), padded.defined(), "{name}: {parameter}");
            if own.defined() {
                differences.push((parameter, largest_difference(own, padded)));
            }
        }
        for (what, difference) in differences {
            assert!(difference < TOLERANCE, "{name}: {what} differs by {difference:.1e}");
            largest = largest.max(difference);
        }
    }
    println!("packed compared with padded: within {largest:.1e}");
    assert!(largest > 0.0, "padding was not used");
}

/// In bf16 every kernel must accept its inputs, and the logits must be near those of f32.
#[test]
fn every_architecture_runs_in_bf16() {
    for (name, ..) in GOLDENS {
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let (inputs, order) = packed(&golden);
        let model = open(name).load_classifier_as(Device::Cpu, Kind::BFloat16).unwrap();
        let logits = tch::no_grad(|| model.forward(&inputs, Mode::Evaluate)).unwrap();
        let difference =
            largest_difference(&logits.to_kind(Kind::Float), &golden["logits"].index_select(0, &order));
        println!("{name}: bf16 within {difference:.1e}");
        assert!(difference < 0.15, "{name}: {difference}");
    }
}

/// Weights in f32, hidden states in bf16: every gradient arrives in f32 and points where that of f32 does.
#[test]
fn every_architecture_trains_in_bf16_on_weights_in_f32() {
    for (name, ..) in GOLDENS {
        let golden = tensors(&golden(name).join("golden.safetensors"));
        let gradients = |compute: Kind| {
            let model = open(name).load_classifier(Device::Cpu).unwrap();
            model.compute_in(compute);
            let (inputs, _) = packed(&golden);
            let inputs = inputs.computed_in(model.compute_kind());
            let logits = model.forward(&inputs, Mode::Evaluate).unwrap();
            assert_eq!(logits.kind(), compute, "{name}");
            (logits.to_kind(Kind::Float).square()).sum(Kind::Float).backward();
            let all: Vec<Tensor> =
                model.parameters().iter().map(|(_, tensor)| tensor.grad().flatten(0, -1)).collect();
            assert!(all.iter().all(|gradient| gradient.kind() == Kind::Float), "{name}");
            Tensor::cat(&all, 0)
        };
        let (whole, half) = (gradients(Kind::Float), gradients(Kind::BFloat16));
        let cosine = f64::try_from(Tensor::cosine_similarity(&whole, &half, 0, 1e-12)).unwrap();
        println!("{name}: cosine of the gradients {cosine:.5}");
        assert!(cosine > 0.99, "{name}: {cosine}");
    }
}

#[test]
fn dropout_is_drawn_in_every_architecture() {
    for (name, ..) in GOLDENS {
        let mut raw: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(golden(name).join("config.json")).unwrap()).unwrap();
        for (key, value) in raw.iter_mut().filter(|(key, _)| key.contains("drop")) {
            assert!(value.is_null() || *value == 0.0 || *value == 0.1, "{name}: {key}");
            *value = 0.3.into();
        }
        let config = distill_model::ModelConfig::from_json(raw, &golden(name)).unwrap();
        let weights = tensors(&golden(name).join("model.safetensors"));
        let fresh = distill_model::parameters::Fresh::Nothing;
        let model = Model::build(config, weights, fresh, Device::Cpu, &golden(name)).unwrap();
        let (inputs, _) = packed(&tensors(&golden(name).join("golden.safetensors")));
        let pass = |seed| model.forward(&inputs, Mode::Train(&Dropout::new(seed))).unwrap();
        assert_eq!(pass(1), pass(1), "{name}");
        assert!(largest_difference(&pass(1), &pass(2)) > 1e-3, "{name}");
        let loss = pass(3).sum(Kind::Float);
        loss.backward();
        let finite = |tensor: &Tensor| tensor.grad().isfinite().all().int64_value(&[]) == 1;
        assert!(model.parameters().iter().all(|(_, tensor)| finite(tensor)), "{name}");
    }
}

#[test]
fn every_known_architecture_has_a_golden() {
    for architecture in backbones::all() {
        let model_type = architecture.model_type;
        assert!(
            model_type == "bert" || GOLDENS.iter().any(|(_, known, _)| *known == model_type),
            "{model_type}"
        );
    }
}

#[test]
fn parts_add_up_and_say_what_a_student_weighs() {
    for (name, _, parameters) in GOLDENS {
        let teacher = open(name);
        let parts = Parts::of(&teacher.load_classifier(Device::Cpu).unwrap());
        assert_eq!(parts.total(), *parameters, "{name}");
        assert!(parts.embeddings > 0 && parts.head > 0, "{name}: {parts:?}");
        if name.starts_with("albert") {
            assert!(parts.layers.is_empty(), "{name}");
            continue;
        }
        assert_eq!(parts.layers.len(), teacher.config().num_hidden_layers, "{name}");
        let labels = teacher.config().labels.clone();
        let student =
            student::initialize(&teacher, layers(&[0]), &labels, TaskId::SINGLE_LABEL, Device::Cpu).unwrap();
        assert_eq!(student.num_parameters(), parts.with_layers(1), "{name}");
    }
}
