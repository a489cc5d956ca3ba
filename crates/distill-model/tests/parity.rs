//! The same numbers as `transformers`: logits, loss and every gradient, from committed goldens,
//! and MiniLM-L6's logits on real questions (`scripts/fetch model all-MiniLM-L6-v2`).

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::LabelMap;
use distill_model::parameters::Fresh;
use distill_model::student::Shape;
use distill_model::{Mode, Model, ModelDirectory, directory};
use distill_task::TaskId;
use distill_torch::Dropout;
use support::{golden, largest_difference, packed, repository, tensors};
use tch::{Device, Kind, Reduction, Tensor};

mod support;

fn layers(chosen: &[usize]) -> Shape<'_> {
    Shape { layers: Some(chosen), ..Shape::default() }
}

fn tiny() -> Model {
    ModelDirectory::open(&golden("bert-tiny")).unwrap().load_classifier(Device::Cpu).unwrap()
}

#[test]
fn tiny_bert_has_transformers_logits_and_gradients() {
    let golden = tensors(&golden("bert-tiny/golden.safetensors"));
    let (inputs, order) = packed(&golden);
    let expected = golden["logits"].index_select(0, &order);
    let labels = golden["labels"].index_select(0, &order);
    let teacher = golden["teacher_logits"].index_select(0, &order);
    type Loss<'a> = Box<dyn Fn(&Tensor) -> Tensor + 'a>;
    let losses: [(&str, Loss<'_>); 2] = [
        ("grad_ce.", Box::new(|logits| logits.cross_entropy_for_logits(&labels))),
        (
            "grad_loss.",
            Box::new(|logits| {
                let student = (logits / 2.0).log_softmax(-1, Kind::Float);
                let target = (&teacher / 2.0).log_softmax(-1, Kind::Float);
                let soft =
                    student.f_kl_div(&target, Reduction::Sum, true).unwrap() / (logits.size()[0] as f64) * 4.0;
                logits.cross_entropy_for_logits(&labels) * 0.5 + soft * 0.5
            }),
        ),
    ];
    for (prefix, loss) in losses {
        let model = tiny();
        let logits = model.forward(&inputs, Mode::Train(&Dropout::new(0))).unwrap();
        assert!(largest_difference(&logits, &expected) < 1e-5);
        loss(&logits).backward();
        for (name, parameter) in model.parameters() {
            let difference = largest_difference(&parameter.grad(), &golden[&format!("{prefix}{name}")]);
            assert!(difference < 1e-5, "{prefix}{name}: {difference}");
        }
    }
}

#[test]
fn weight_names_are_exactly_transformers() {
    let model = tiny();
    let mut names: Vec<String> = model.parameters().iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    let mut expected: Vec<String> = vec![
        "bert.embeddings.LayerNorm.bias".into(),
        "bert.embeddings.LayerNorm.weight".into(),
        "bert.embeddings.position_embeddings.weight".into(),
        "bert.embeddings.token_type_embeddings.weight".into(),
        "bert.embeddings.word_embeddings.weight".into(),
        "bert.pooler.dense.bias".into(),
        "bert.pooler.dense.weight".into(),
        "classifier.bias".into(),
        "classifier.weight".into(),
    ];
    let parts = [
        "attention.output.LayerNorm",
        "attention.output.dense",
        "attention.self.key",
        "attention.self.query",
        "attention.self.value",
        "intermediate.dense",
        "output.LayerNorm",
        "output.dense",
    ];
    for layer in 0..3 {
        for part in parts {
            for leaf in ["bias", "weight"] {
                expected.push(format!("bert.encoder.layer.{layer}.{part}.{leaf}"));
            }
        }
    }
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn an_encoder_without_head_or_prefix_loads_with_the_same_weights() {
    let directory = ModelDirectory::open(&golden("bert-tiny-encoder")).unwrap();
    assert!(!directory.config().has_classifier());
    let labels = LabelMap::new(["a", "b", "c"]).unwrap();
    let model = directory.load_for_training(&labels, TaskId::SINGLE_LABEL, Device::Cpu).unwrap();
    assert_eq!(model.made_fresh(), ["classifier.weight", "classifier.bias"]);
    let whole: BTreeMap<String, Tensor> = tiny().snapshot().into_iter().collect();
    for (name, tensor) in model.parameters().iter().filter(|(name, _)| !name.starts_with("classifier")) {
        assert_eq!(*tensor, whole[name], "{name}");
    }
    assert!(directory.load_classifier(Device::Cpu).unwrap_err().to_string().contains("classifier.weight"));
}

#[test]
fn a_saved_model_is_read_back_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let model = tiny();
    let first = directory::save(&model, directory.path()).unwrap();
    let again = ModelDirectory::open(directory.path()).unwrap().load_classifier(Device::Cpu).unwrap();
    for ((name, left), (_, right)) in model.parameters().iter().zip(again.parameters()) {
        assert_eq!(left, right, "{name}");
    }
    assert_eq!(directory::save(&again, directory.path()).unwrap(), first);
}

#[test]
fn weights_that_do_not_fit_are_told_apart() {
    let given = || tensors(&golden("bert-tiny/model.safetensors"));
    let config = ModelDirectory::open(&golden("bert-tiny")).unwrap().config().clone();
    let build = |weights| Model::build(config.clone(), weights, Fresh::Nothing, Device::Cpu, Path::new("m"));
    let problem = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut weights = given();
        change(&mut weights);
        build(weights).unwrap_err().to_string()
    };
    let query = "bert.encoder.layer.1.attention.self.query.weight";
    let missing = problem(&|weights| drop(weights.remove(query)));
    assert!(missing.contains(&format!("{query} [32, 32] is missing")), "{missing}");
    let extra = problem(&|weights| drop(weights.insert("bert.encoder.layer.9.x".into(), Tensor::from(1f32))));
    assert!(extra.contains("extra bert.encoder.layer.9.x"), "{extra}");
    let misshapen = problem(&|weights| drop(weights.insert(query.into(), weights[query].narrow(0, 0, 31))));
    assert!(misshapen.contains(&format!("{query} is [31, 32] Float, expected [32, 32] Float")), "{misshapen}");
    let kind = problem(&|weights| drop(weights.insert(query.into(), weights[query].to_kind(Kind::Int64))));
    assert!(kind.contains("Int64"), "{kind}");
}

#[test]
fn a_student_takes_the_chosen_layers_and_everything_around_them() {
    let teacher = ModelDirectory::open(&golden("bert-tiny")).unwrap();
    let labels = teacher.config().labels.clone();
    let student = distill_model::student::initialize(
        &teacher,
        layers(&[2, 0]),
        &labels,
        TaskId::SINGLE_LABEL,
        Device::Cpu,
    )
    .unwrap();
    assert_eq!(student.config().num_hidden_layers, 2);
    assert!(student.made_fresh().is_empty());
    let whole: BTreeMap<String, Tensor> = tiny().snapshot().into_iter().collect();
    for (name, tensor) in student.parameters() {
        let source = if name.contains("layer.0.") {
            name.replace("layer.0.", "layer.2.")
        } else {
            name.replace("layer.1.", "layer.0.")
        };
        assert_eq!(*tensor, whole[&source], "{name} from {source}");
    }
    for wrong in [vec![3], vec![0, 0], vec![]] {
        let error = distill_model::student::initialize(
            &teacher,
            layers(&wrong),
            &labels,
            TaskId::SINGLE_LABEL,
            Device::Cpu,
        )
        .unwrap_err();
        assert!(error.to_string().contains("3 layers"), "{error}");
    }
    let other = LabelMap::new(["x", "y"]).unwrap();
    let fresh_head = distill_model::student::initialize(
        &teacher,
        Shape::default(),
        &other,
        TaskId::SINGLE_LABEL,
        Device::Cpu,
    )
    .unwrap();
    assert_eq!(fresh_head.made_fresh(), ["classifier.weight", "classifier.bias"]);
}

#[test]
fn minilm_has_transformers_logits_on_real_questions() {
    let path = repository().join("models/all-MiniLM-L6-v2");
    assert!(path.exists(), "run scripts/fetch model all-MiniLM-L6-v2 first");
    let golden = tensors(&golden("minilm-trec/golden.safetensors"));
    let directory = ModelDirectory::open(&path).unwrap();
    let mut given = tensors(&path.join("model.safetensors"));
    for name in ["classifier.weight", "classifier.bias"] {
        given.insert(name.to_owned(), golden[name].shallow_clone());
    }
    let config = directory.config().with_labels(LabelMap::numbered(6).unwrap());
    let model = Model::build(config, given, Fresh::Nothing, Device::Cpu, &path).unwrap();
    let (inputs, order) = packed(&golden);
    let logits = tch::no_grad(|| model.forward(&inputs, Mode::Evaluate)).unwrap();
    let difference = largest_difference(&logits, &golden["logits"].index_select(0, &order));
    println!("largest difference over 200 questions: {difference:e}");
    assert!(difference < 1e-5, "{difference:e}");
}
