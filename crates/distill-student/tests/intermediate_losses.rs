//! Losses inside the network equal their transcription in PyTorch (`tests/golden/inside.json`, made by
//! `scripts/goldens/inside.py`): values and gradients.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use distill_student::loss::hidden::{hidden_cosine, hidden_mse};
use distill_student::loss::relation::{map_kl, score_mse};
use distill_torch::Packing;
use distill_torch::relations::{Scores, scores};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/inside.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// `[T, width]` as f32: what training computes in.
fn tokens(value: &Value, width: i64) -> Tensor {
    Tensor::from_slice(&numbers(value)).to_kind(Kind::Float).view([-1, width])
}

struct Case {
    packing: Packing,
    heads: i64,
    relation_heads: i64,
    /// hidden, query, key, value of each model.
    student: Vec<Tensor>,
    teacher: Vec<Tensor>,
    projection: Tensor,
}

const PARTS: [&str; 4] = ["hidden", "query", "key", "value"];

impl Case {
    fn read(golden: &Value) -> Self {
        let size = |name: &str| golden[name].as_i64().unwrap();
        let mut borders = vec![0i32];
        for length in golden["lengths"].as_array().unwrap() {
            borders.push(borders.last().unwrap() + length.as_i64().unwrap() as i32);
        }
        let of = |model: &str, width: i64| {
            PARTS.map(|part| tokens(&golden[model][part], width).set_requires_grad(model == "student")).into()
        };
        let (own, theirs) = (size("student_width"), size("teacher_width"));
        Case {
            packing: Packing::new(&borders, Device::Cpu).unwrap(),
            heads: size("heads"),
            relation_heads: size("relation_heads"),
            student: of("student", own),
            teacher: of("teacher", theirs),
            projection: tokens(&golden["projection"], own).set_requires_grad(true),
        }
    }

    fn scores(&self, model: &[Tensor], left: usize, right: usize, heads: i64) -> Vec<Scores> {
        let split = |x: &Tensor| x.view([x.size()[0], heads, -1]);
        scores(&split(&model[left]), &split(&model[right]), &self.packing, None)
    }

    fn loss(&self, name: &str) -> Tensor {
        let (student, teacher, packing) = (&self.student, &self.teacher, &self.packing);
        let projected = || student[0].linear(&self.projection, None::<&Tensor>);
        let both = |left, right, heads| {
            (self.scores(student, left, right, heads), self.scores(teacher, left, right, heads))
        };
        match name {
            "hidden_mse" => hidden_mse(&projected(), &teacher[0], packing).unwrap(),
            "hidden_cosine" => hidden_cosine(&projected(), &teacher[0], packing).unwrap(),
            "attention_mse" => {
                let (own, theirs) = both(1, 2, self.heads);
                score_mse(&own, &theirs).unwrap()
            }
            "attention_kl" => {
                let (own, theirs) = both(1, 2, self.heads);
                map_kl(&own, &theirs).unwrap()
            }
            "relations" => {
                let (own_qk, their_qk) = both(1, 2, self.relation_heads);
                let (own_vv, their_vv) = both(3, 3, self.relation_heads);
                map_kl(&own_qk, &their_qk).unwrap() + map_kl(&own_vv, &their_vv).unwrap()
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn terms_and_their_gradients_equal_their_transcription_in_pytorch() {
    let golden = golden();
    let losses = golden["losses"].as_object().unwrap();
    assert_eq!(losses.len(), 5);
    for (name, expected) in losses {
        let case = Case::read(&golden);
        let loss = case.loss(name);
        let value = expected["value"].as_f64().unwrap();
        assert!(
            (loss.double_value(&[]) - value).abs() < 1e-5 * value.abs().max(1.0),
            "{name}: {loss:?} {value}"
        );
        loss.backward();
        let parts = PARTS.iter().zip(&case.student).chain([(&"projection", &case.projection)]);
        let mut compared = 0;
        for (part, tensor) in parts {
            let Some(gradient) = expected["grad"].get(part) else {
                assert!(!tensor.grad().defined(), "{name}: {part} has a gradient");
                continue;
            };
            let gradient = tokens(gradient, tensor.size()[1]);
            let difference = (tensor.grad() - gradient).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{name}: the gradient of {part} differs by {difference}");
            compared += 1;
        }
        assert!(compared > 0, "{name}");
    }
}

#[test]
fn a_student_that_is_its_teacher_has_no_loss() {
    let golden = golden();
    let mut case = Case::read(&golden);
    case.student = case.teacher.iter().map(|tensor| tensor.copy().set_requires_grad(true)).collect();
    let width = case.teacher[0].size()[1];
    case.projection = Tensor::eye(width, (Kind::Float, Device::Cpu));
    for name in golden["losses"].as_object().unwrap().keys() {
        assert!(case.loss(name).double_value(&[]).abs() < 1e-6, "{name}");
    }
}
