//! The contrast of sequences, equal to PyTorch's (`tests/golden/contrast.json`, made by `scripts/goldens/contrast.py`).

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use distill_student::loss::contrast::contrast_loss;
use serde_json::Value;
use tch::Tensor;

fn matrix(value: &Value) -> Tensor {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    let width = rows[0].len() as i64;
    Tensor::from_slice(&rows.concat()).view([-1, width])
}

#[test]
fn loss_and_gradients_are_pytorchs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/contrast.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let vectors = ["first", "second"].map(|name| matrix(&case[name]).set_requires_grad(true));
        let loss = contrast_loss(&vectors[0], &vectors[1]).unwrap();
        loss.backward();
        assert!((loss.double_value(&[]) - case["loss"].as_f64().unwrap()).abs() < 1e-9);
        for (vectors, name) in vectors.iter().zip(["first_gradient", "second_gradient"]) {
            let difference = (vectors.grad() - matrix(&case[name])).abs().max().double_value(&[]);
            assert!(difference < 1e-9, "{name}: {difference}");
        }
    }
}
