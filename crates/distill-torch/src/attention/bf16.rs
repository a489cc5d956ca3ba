//! Compares the bf16 kernel with the f32 kernel on the same rounded numbers. On a processor without bf16 instructions
//! there is only the padded path, and these tests are skipped.

use super::tests::{packing, random};
use super::*;
use crate::required::can_run;

/// Lengths around the borders of a block of queries, of a register and of a pair.
const LENGTHS: [i64; 14] = [150, 97, 96, 64, 63, 49, 48, 31, 17, 16, 9, 2, 1, 1];

fn takes(size: i64) -> bool {
    ffi::attention_takes(Kind::BFloat16, size)
}

/// Numbers that bf16 can represent, in f32.
fn rounded(shape: &[i64]) -> Tensor {
    random(shape).detach().to_kind(Kind::BFloat16).to_kind(Kind::Float)
}

fn narrow(x: &Tensor) -> Tensor {
    x.to_kind(Kind::BFloat16).set_requires_grad(true)
}

/// The norm of a difference relative to the norm of the expected values.
fn share(found: &Tensor, expected: &Tensor) -> f64 {
    let expected = expected.to_kind(Kind::Float);
    let length = |x: Tensor| x.norm().double_value(&[]);
    length(found.to_kind(Kind::Float) - &expected) / length(expected)
}

/// Output and gradients of both kernels for `attention` on the same numbers must agree to 8-bit precision.
fn compare(what: &str, [q, k, v]: [&Tensor; 3], attention: &dyn Fn(&Tensor, &Tensor, &Tensor) -> Tensor) {
    let run = |[q, k, v]: [Tensor; 3]| {
        let out = attention(&q, &k, &v);
        let places = Tensor::arange(out.numel() as i64, (Kind::Float, Device::Cpu)).view_as(&out);
        let weights = places.sin().to_kind(Kind::BFloat16).to_kind(out.kind());
        let gradients = Tensor::run_backward(&[(&out * weights).sum(Kind::Float)], &[&q, &k, &v], false, false);
        (out, gradients)
    };
    let (own, own_gradients) = run([q, k, v].map(narrow));
    let (expected, gradients) = run([q, k, v].map(|x| x.copy().set_requires_grad(true)));
    assert_eq!(own.kind(), Kind::BFloat16);
    assert!(share(&own, &expected) < 0.005, "{what}: {}", share(&own, &expected));
    for (number, (own, expected)) in own_gradients.iter().zip(&gradients).enumerate() {
        assert_eq!(own.kind(), Kind::BFloat16);
        assert!(share(own, expected) < 0.01, "{what}, gradient {number}: {}", share(own, expected));
    }
}

#[test]
fn bf16_gives_what_f32_gives_forward_and_backward() {
    crate::rng::manual_seed(6);
    let packing = packing(&LENGTHS);
    for (heads, size) in [(4, 8), (3, 20), (2, 32), (1, 64), (2, 96), (2, 2)] {
        if !can_run("bf16", takes(size)) {
            return;
        }
        let shape = [packing.tokens(), heads, size];
        let (q, k, v) = (rounded(&shape), rounded(&shape), rounded(&shape));
        compare(&format!("{heads} heads of {size}"), [&q, &k, &v], &|q, k, v| {
            attend(q, k, v, &packing, None, Scores::Plain)
        });
        compare(&format!("{heads} heads of {size}, first tokens"), [&q, &k, &v], &|q, k, v| {
            let firsts = q.index_select(0, packing.first_tokens());
            attend_from_one(&firsts, k, v, &packing, None, Scores::Plain)
        });
        // The same random numbers decide what is dropped in both kernels.
        compare(&format!("{heads} heads of {size}, dropped"), [&q, &k, &v], &|q, k, v| {
            attend(q, k, v, &packing, Some((&Dropout::at(5, 9), 0.25)), Scores::Plain)
        });
    }
}

/// Slices of one tensor, as from a stacked projection.
#[test]
fn bf16_takes_heads_that_lie_apart() {
    if !can_run("bf16", takes(32)) {
        return;
    }
    crate::rng::manual_seed(7);
    let packing = packing(&[33, 20, 7]);
    let parts = rounded(&[60, 3 * 64]).chunk(3, -1);
    let [q, k, v] = [&parts[0], &parts[1], &parts[2]].map(|part| part.view([60, 2, 32]));
    compare("slices", [&q, &k, &v], &|q, k, v| attend(q, k, v, &packing, None, Scores::Plain));
    let stacked = Tensor::cat(&[&q, &k, &v], 2).to_kind(Kind::BFloat16); // [T, h, 3·d]
    let part = |at: i64| stacked.narrow(2, at * 32, 32);
    let apart = attend(&part(0), &part(1), &part(2), &packing, None, Scores::Plain);
    let [q, k, v] = [q, k, v].map(|x| x.to_kind(Kind::BFloat16));
    assert_eq!(apart, attend(&q, &k, &v, &packing, None, Scores::Plain));
}

#[test]
fn bf16_sees_a_window_as_f32_does() {
    if !can_run("bf16", takes(20)) {
        return;
    }
    crate::rng::manual_seed(8);
    let packing = packing(&LENGTHS);
    let shape = [packing.tokens(), 2, 20];
    let (q, k, v) = (rounded(&shape), rounded(&shape), rounded(&shape));
    let hidden = |_: &Tensor, _: &Tensor| -> Tensor { panic!("both kernels take a window") };
    for reach in [1, 2, 15, 16, 33, 64, 300] {
        let near = Scores::Within { reach, hidden: &hidden };
        compare(&format!("reach {reach}"), [&q, &k, &v], &|q, k, v| attend(q, k, v, &packing, None, near));
        compare(&format!("reach {reach}, dropped"), [&q, &k, &v], &|q, k, v| {
            attend(q, k, v, &packing, Some((&Dropout::at(5, 9), 0.25)), near)
        });
    }
}

/// As in f32: a NaN or infinity affects only its own head in its own row, and is not lost.
#[test]
fn bf16_loses_no_number_that_is_none() {
    if !can_run("bf16", takes(20)) {
        return;
    }
    crate::rng::manual_seed(9);
    let packing = packing(&LENGTHS);
    let shape = [packing.tokens(), 3, 20];
    let sound = [rounded(&shape), rounded(&shape), rounded(&shape)];
    for (part, value) in
        (0..3).flat_map(|part| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| (part, value)))
    {
        let broken = [0, 1, 2].map(|at| sound[at].copy());
        for token in [0, 149, 200, 246] {
            drop(broken[part].get(token).get(1).narrow(0, 7, 1).fill_(value));
        }
        let lost = |kind: Kind| {
            let [q, k, v] = [0, 1, 2].map(|at| broken[at].to_kind(kind));
            attend(&q, &k, &v, &packing, None, Scores::Plain).to_kind(Kind::Float).isfinite()
        };
        assert_eq!(lost(Kind::BFloat16), lost(Kind::Float), "{value} in part {part}");
    }
}
