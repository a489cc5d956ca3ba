//! Losses, optimizers and a ten-step AdamW run, equal to PyTorch's (`tests/golden`, made by `scripts/goldens`).

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_model::{Inputs, Mode, ModelDirectory, weights};
use distill_student::loss::bce::{LabelWeights, multi_label_loss};
use distill_student::loss::{Objective, UNLABELLED};
use distill_student::schedule::Schedule;
use distill_student::settings::ScheduleChoice;
use distill_student::{ModelFacts, TrainPlan, TrainSettings};
use distill_task::TaskId;
use distill_torch::{Dropout, Optimizer, OptimizerKind};
use serde_json::Value;
use tch::{Device, Tensor};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

fn matrix(value: &Value) -> Tensor {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    let width = rows[0].len() as i64;
    Tensor::from_slice(&rows.concat()).view([-1, width])
}

fn settings(case: &Value) -> TrainSettings {
    let number = |name: &str| case[name].as_f64().unwrap();
    TrainSettings {
        temperature: number("temperature"),
        hard_weight: number("hard_weight"),
        soft_weight: number("soft_weight"),
        ..TrainSettings::default()
    }
}

/// The plan for a model of `num_labels`, of which nothing else matters to a loss.
fn plan(settings: &TrainSettings, problem_type: TaskId, num_labels: i64) -> TrainPlan {
    let num_labels = num_labels as usize;
    settings.resolve(&ModelFacts { problem_type, num_labels, num_layers: 1, device: Device::Cpu }).unwrap()
}

/// Loss and gradient of a case; nothing else than its settings decides which loss it is.
fn assert_loss(case: &Value, settings: &TrainSettings) {
    let name = case["name"].as_str().unwrap();
    let student = matrix(&case["student_logits"]).set_requires_grad(true);
    let teacher = matrix(&case["teacher_logits"]);
    let labels: Vec<i64> =
        case["labels"].as_array().unwrap().iter().map(|label| label.as_i64().unwrap_or(UNLABELLED)).collect();
    let labels = Tensor::from_slice(&labels);
    let plan = plan(settings, TaskId::SINGLE_LABEL, student.size()[1]);
    let objective = Objective::of(&plan, 0, &[], Device::Cpu);
    let loss = objective.loss(&student, &labels, Some(&teacher), settings.temperature).unwrap();
    let expected = case["loss"].as_f64().unwrap();
    assert!((loss.double_value(&[]) - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}: {loss:?}");
    loss.backward();
    let difference = (student.grad() - matrix(&case["grad_student_logits"])).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{name}: gradient differs by {difference}");
}

#[test]
fn losses_and_their_gradients_equal_pytorch() {
    for case in json("losses.json")["cases"].as_array().unwrap() {
        assert_loss(case, &settings(case));
    }
}

#[test]
fn every_comparison_with_a_teacher_equals_its_transcription_in_pytorch() {
    let golden = json("soft_losses.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let settings: TrainSettings = serde_json::from_value(case["settings"].clone()).unwrap();
        assert_loss(case, &settings);
    }
}

/// Several classes a row: `targets`, `[B, C]`, NaN in a row without labels.
fn assert_multi_label(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let student = matrix(&case["student_logits"]).set_requires_grad(true);
    let width = student.size()[1];
    let targets: Vec<Tensor> =
        case["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                if row.is_null() { Tensor::from_slice(&[f64::NAN]).expand([width], false) } else { vector(row) }
            })
            .collect();
    let targets = Tensor::stack(&targets, 0);
    let smoothing = case["label_smoothing"].as_f64().unwrap();
    let loss = if let Some(counts) = case["counts"].as_object() {
        let settings: TrainSettings = serde_json::from_value(serde_json::json!({
            "class_weights": "balanced", "label_smoothing": smoothing, "soft_weight": 0.0, "hard_weight": 1.0,
        }))
        .unwrap();
        let labelled = counts["labelled"].as_u64().unwrap();
        let of_label: Vec<u64> = serde_json::from_value(counts["label_counts"].clone()).unwrap();
        let plan = plan(&settings, TaskId::MULTI_LABEL, width);
        let objective = Objective::of(&plan, labelled, &of_label, Device::Cpu);
        objective.loss(&student, &targets, None, 1.0).unwrap()
    } else {
        let [whole, positive] = ["class_weights", "positive_weights"].map(|name| case.get(name).map(vector));
        let weights = LabelWeights { whole: whole.as_ref(), positive: positive.as_ref() };
        multi_label_loss(&student, &targets, weights, smoothing).unwrap()
    };
    let expected = case["loss"].as_f64().unwrap();
    assert!((loss.double_value(&[]) - expected).abs() < 1e-5 * expected.max(1.0), "{name}: {loss:?}");
    loss.backward();
    let difference = (student.grad() - matrix(&case["grad_student_logits"])).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{name}: gradient differs by {difference}");
}

#[test]
fn several_classes_a_row_have_pytorchs_binary_cross_entropy_with_its_weights() {
    let golden = json("multi_label_losses.json");
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    cases.iter().for_each(assert_multi_label);
}

fn vector(value: &Value) -> Tensor {
    Tensor::from_slice(&serde_json::from_value::<Vec<f64>>(value.clone()).unwrap())
}

#[test]
fn optimizers_follow_pytorchs_course_and_that_of_their_papers() {
    let golden = json("optimizers.json");
    let number = |name: &str| golden[name].as_f64().unwrap();
    let momentum = number("momentum");
    for (name, rule) in [
        ("adam", OptimizerKind::Adam),
        ("sgd", OptimizerKind::Sgd { momentum }),
        ("lion", OptimizerKind::Lion),
        ("lamb", OptimizerKind::Lamb),
    ] {
        let weights: Vec<(String, Tensor)> = golden["start"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, start)| (name.clone(), vector(start).set_requires_grad(true)))
            .collect();
        let named = weights.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        let mut optimizer = Optimizer::plain(rule, number("weight_decay"), named);
        for (step, point) in golden["courses"][name].as_array().unwrap().iter().enumerate() {
            for (name, weight) in &weights {
                let distance = weight - vector(&golden["goal"][name]);
                let loss = distance.square() * vector(&golden["curvature"][name]) / 2.0;
                loss.sum(tch::Kind::Double).backward();
            }
            drop(optimizer.step(number("learning_rate"), 1e9).unwrap());
            for (tensor, weight) in &weights {
                let difference = (weight - vector(&point[tensor])).abs().max().double_value(&[]);
                assert!(difference < 1e-6, "{name}, step {step}, {tensor}: differs by {difference}");
            }
        }
    }
}

/// All rows of the golden batch, in their order, packed.
fn batch(tensors: &BTreeMap<String, Tensor>) -> Inputs {
    let rows = |name: &str| Vec::<Vec<i64>>::try_from(&tensors[name]).unwrap();
    let (ids, types, mask) = (rows("input_ids"), rows("token_type_ids"), rows("attention_mask"));
    let (mut input_ids, mut token_type_ids, mut position_ids, mut cu_seqlens) =
        (vec![], vec![], vec![], vec![0i32]);
    for row in 0..ids.len() {
        let length = mask[row].iter().sum::<i64>() as usize;
        input_ids.extend(&ids[row][..length]);
        token_type_ids.extend(&types[row][..length]);
        position_ids.extend(0..length as i64);
        cu_seqlens.push(input_ids.len() as i32);
    }
    Inputs::new(&input_ids, &token_type_ids, &position_ids, &cu_seqlens, Device::Cpu).unwrap()
}

#[test]
fn ten_adamw_steps_follow_pytorchs_curve() {
    let expected = json("bert-tiny/golden.json");
    let tensors = weights::read(&[golden("bert-tiny/golden.safetensors")]).unwrap();
    let model = ModelDirectory::open(&golden("bert-tiny")).unwrap().load_classifier(Device::Cpu).unwrap();
    let mut optimizer = Optimizer::adamw(
        0.01,
        model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())),
    );
    let schedule = Schedule::new(ScheduleChoice::Linear, 1e-3, 0.2, 10);
    let settings = settings(&expected);
    let plan = plan(&settings, TaskId::SINGLE_LABEL, 5);
    let objective = Objective::of(&plan, 0, &[], Device::Cpu);
    let inputs = batch(&tensors);
    for (step, point) in expected["curve"].as_array().unwrap().iter().enumerate() {
        let logits = model.forward(&inputs, Mode::Train(&Dropout::new(0))).unwrap();
        let teacher = Some(&tensors["teacher_logits"]);
        let loss = objective.loss(&logits, &tensors["labels"], teacher, settings.temperature).unwrap();
        let learning_rate = schedule.learning_rate(step as u64);
        assert!((learning_rate - point["learning_rate"].as_f64().unwrap()).abs() < 1e-12);
        let difference = (loss.double_value(&[]) - point["loss"].as_f64().unwrap()).abs();
        assert!(difference < 1e-5, "step {step}: the loss differs by {difference}");
        loss.backward();
        let norm = optimizer.step(learning_rate, 1.0).unwrap().double_value(&[]);
        let golden_norm = point["grad_norm"].as_f64().unwrap();
        assert!((norm - golden_norm).abs() < 1e-5 * golden_norm.max(1.0), "step {step}: norm {norm}");
    }
    for (name, sums) in expected["final_weights"].as_object().unwrap() {
        let (_, tensor) = model.parameters().iter().find(|(known, _)| known == name).unwrap();
        let sum = tensor.abs().sum(tch::Kind::Double).double_value(&[]);
        let golden_sum = sums["abs_sum"].as_f64().unwrap();
        assert!((sum - golden_sum).abs() < 1e-5 * golden_sum.max(1.0), "{name}: {sum} and {golden_sum}");
    }
}
