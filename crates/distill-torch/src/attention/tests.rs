//! Compares the kernels with the formula and with padded views.

use super::*;

/// The formula, for one row and one head at a time.
pub(super) fn reference(query: &Tensor, key: &Tensor, value: &Tensor, lengths: &[i64]) -> Tensor {
    let size = query.size()[2] as f64;
    let mut start = 0;
    let mut rows = Vec::new();
    for &length in lengths {
        let part = |t: &Tensor| t.narrow(0, start, length).transpose(0, 1); // [h, len, d]
        let scores = part(query).matmul(&part(key).transpose(1, 2)) / size.sqrt();
        rows.push(scores.softmax(-1, Kind::Float).matmul(&part(value)).transpose(0, 1).reshape([length, -1]));
        start += length;
    }
    Tensor::cat(&rows, 0)
}

pub(super) fn packing(lengths: &[i64]) -> Packing {
    let mut cu_seqlens = vec![0i32];
    lengths.iter().for_each(|length| cu_seqlens.push(cu_seqlens.last().unwrap() + *length as i32));
    Packing::new(&cu_seqlens, Device::Cpu).unwrap()
}

pub(super) fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu)).set_requires_grad(true)
}

fn difference(left: &Tensor, right: &Tensor) -> f64 {
    f64::try_from((left - right).abs().max()).unwrap()
}

/// Lengths around the borders of a block of queries and of a register, and head sizes that do not fill one.
#[test]
fn rows_see_themselves_alone_forward_and_backward() {
    crate::rng::manual_seed(1);
    let lengths = [150i64, 97, 64, 63, 49, 48, 31, 17, 16, 9, 2, 1, 1];
    let packing = packing(&lengths);
    for (heads, size) in [(4, 8), (3, 20), (2, 32), (1, 64), (2, 96)] {
        let shape = [packing.tokens(), heads, size];
        let (q, k, v) = (random(&shape), random(&shape), random(&shape));
        let weights = Tensor::randn([packing.tokens(), heads * size], (Kind::Float, Device::Cpu));
        let mut gradients = Vec::new();
        let mut outputs = Vec::new();
        for output in [attend(&q, &k, &v, &packing, None, Scores::Plain), reference(&q, &k, &v, &lengths)] {
            let loss = [(&output * &weights).sum(Kind::Float)];
            gradients.push(Tensor::run_backward(&loss, &[&q, &k, &v], false, false));
            outputs.push(output);
        }
        assert!(difference(&outputs[0], &outputs[1]) < 1e-5, "{heads} heads of {size}");
        for (own, expected) in gradients[0].iter().zip(&gradients[1]) {
            assert!(difference(own, expected) < 1e-5, "{heads} heads of {size}");
        }
        let firsts = q.index_select(0, packing.first_tokens());
        let first_weights = weights.index_select(0, packing.first_tokens());
        let from_one = attend_from_one(&firsts, &k, &v, &packing, None, Scores::Plain);
        let expected = outputs[1].index_select(0, packing.first_tokens());
        assert!(difference(&from_one, &expected) < 1e-5, "{heads} heads of {size}");
        let own = [(&from_one * &first_weights).sum(Kind::Float)];
        let own = Tensor::run_backward(&own, &[&q, &k, &v], false, false);
        let theirs = [(reference(&q, &k, &v, &lengths).index_select(0, packing.first_tokens())
            * &first_weights)
            .sum(Kind::Float)];
        let theirs = Tensor::run_backward(&theirs, &[&q, &k, &v], false, false);
        for (own, expected) in own.iter().zip(&theirs) {
            assert!(difference(own, expected) < 1e-5, "{heads} heads of {size}, first tokens");
        }
    }
}

/// Queries, keys and values that are slices of one tensor, as from a stacked projection.
#[test]
fn heads_may_lie_apart() {
    crate::rng::manual_seed(2);
    let packing = packing(&[7, 5, 3]);
    let stacked = Tensor::randn([15, 3 * 64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let parts =
        |of: &Tensor| -> Vec<Tensor> { of.chunk(3, -1).iter().map(|part| part.reshape([15, 4, 16])).collect() };
    let views: Vec<Tensor> = stacked.chunk(3, -1).iter().map(|part| part.view([15, 4, 16])).collect();
    let copies = parts(&stacked.contiguous());
    let gradient = |of: &[Tensor]| {
        let out = attend(&of[0], &of[1], &of[2], &packing, None, Scores::Plain);
        Tensor::run_backward(&[out.square().sum(Kind::Float)], &[&stacked], false, false).remove(0)
    };
    assert_eq!(gradient(&views), gradient(&copies));
}

/// With one-hot values the output contains the attention weights, and shows which of them were dropped.
#[test]
fn dropped_weights_are_the_same_forward_and_backward() {
    crate::rng::manual_seed(3);
    let length = 64;
    let packing = packing(&[length]);
    let shape = [length, 2, length];
    let (q, k, v) = (random(&shape), random(&shape), random(&shape));
    let probability = 0.25;
    let identity = Tensor::eye(length, (Kind::Float, Device::Cpu)).unsqueeze(1).expand(shape, false);
    let shown = attend(&q, &k, &identity, &packing, Some((&Dropout::at(5, 9), probability)), Scores::Plain);
    let weights = |q: &Tensor, k: &Tensor| {
        let [q, k] = [q, k].map(|part| part.transpose(0, 1)); // [h, S, d]
        (q.matmul(&k.transpose(1, 2)) / (length as f64).sqrt()).softmax(-1, Kind::Float) // [h, S, S]
    };
    let mask = (shown.view(shape).transpose(0, 1) / weights(&q, &k)).detach(); // 0, or 1 / (1 − p)
    let dropped = f64::try_from(mask.lt(0.5).to_kind(Kind::Float).mean(Kind::Float)).unwrap();
    assert!((dropped - probability).abs() < 0.02, "{dropped}");
    let kept = mask.masked_select(&mask.gt(0.5));
    assert!(difference(&kept, &kept.full_like(1.0 / (1.0 - probability))) < 1e-3);

    let direction = Tensor::randn([length, 2 * length], (Kind::Float, Device::Cpu));
    let own = attend(&q, &k, &v, &packing, Some((&Dropout::at(5, 9), probability)), Scores::Plain);
    let plain = (weights(&q, &k) * &mask.gt(0.5).to_kind(Kind::Float) / (1.0 - probability))
        .matmul(&v.transpose(0, 1))
        .transpose(0, 1)
        .reshape([length, 2 * length]);
    assert!(difference(&own, &plain) < 1e-5);
    let gradients =
        |of: &Tensor| Tensor::run_backward(&[(of * &direction).sum(Kind::Float)], &[&q, &k, &v], false, false);
    for (own, expected) in gradients(&own).iter().zip(&gradients(&plain)) {
        assert!(difference(own, expected) < 1e-5);
    }
    let next = Dropout::at(5, 9);
    let first = attend(&q, &k, &v, &packing, Some((&next, probability)), Scores::Plain);
    assert_ne!(first, attend(&q, &k, &v, &packing, Some((&next, probability)), Scores::Plain));
}

/// The kernel is compiled for several instruction sets; these tests and those of `nan_propagation` must hold with each.
#[test]
fn other_instruction_sets_compute_the_same() {
    if std::env::var_os("ATEN_CPU_CAPABILITY").is_some() {
        return;
    }
    for set in ["default", "avx2"] {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["attention::", "--test-threads=1"])
            .env("ATEN_CPU_CAPABILITY", set)
            .env_remove("DISTILL_REQUIRE")
            .output()
            .unwrap();
        assert!(run.status.success(), "{set}: {}", String::from_utf8_lossy(&run.stdout));
    }
}

/// A bias that masks everything but the token itself returns its value; where padding masks that too, nothing is NaN.
#[test]
fn a_bias_hides_places_forward_and_backward_without_nan() {
    let packing = Packing::new(&[0, 5, 9, 10], Device::Cpu).unwrap();
    let make = || Tensor::randn([10, 2, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let (q, k, v) = (make(), make(), make());
    let diagonal = |query: &Tensor, key: &Tensor| {
        let (queries, keys) = (query.size()[2], key.size()[2]);
        let seen = Tensor::eye(keys, (Kind::Float, Device::Cpu)).narrow(0, 0, queries);
        (seen - 1.0) * 1e30
    };
    let output = attend(&q, &k, &v, &packing, None, Scores::Biased(&diagonal));
    assert_eq!(output, v.reshape([10, 8]));
    let firsts = q.index_select(0, packing.first_tokens());
    let from_one = attend_from_one(&firsts, &k, &v, &packing, None, Scores::Biased(&diagonal));
    assert_eq!(from_one, v.reshape([10, 8]).index_select(0, packing.first_tokens()));
    let gradients = Tensor::run_backward(&[output.sum(Kind::Float)], &[&q, &k, &v], false, false);
    assert!(gradients.iter().all(|gradient| gradient.isfinite().all().int64_value(&[]) == 1));
    assert_eq!(gradients[2], Tensor::ones([10, 2, 4], (Kind::Float, Device::Cpu)));
}

/// The kernel with a window against the padded reference that masks the rest, for all block sizes.
#[test]
fn a_window_is_the_same_as_hiding_what_is_outside_of_it() {
    crate::rng::manual_seed(4);
    let lengths = [200, 97, 96, 49, 48, 17, 16, 5, 1];
    let tokens: i64 = lengths.iter().sum();
    let padded = packing(&lengths).by_padding();
    let packing = packing(&lengths);
    let shape = [tokens, 2, 20];
    let (q, k, v) = (random(&shape), random(&shape), random(&shape));
    let weights = Tensor::randn([tokens, 40], (Kind::Float, Device::Cpu));
    for reach in [1, 15, 16, 33, 64, 300] {
        let hidden = |query: &Tensor, key: &Tensor| {
            let places = |count: i64| Tensor::arange(count, (Kind::Float, Device::Cpu));
            let apart = places(query.size()[2]).unsqueeze(1) - places(key.size()[2]); // [Sq, S]
            apart.abs().gt(reach as f64).to_kind(Kind::Float) * -1e30
        };
        let near = Scores::Within { reach, hidden: &hidden };
        let all = |packing: &Packing| {
            let out = attend(&q, &k, &v, packing, None, near); // [T, h·d]
            let gradients =
                Tensor::run_backward(&[(&out * &weights).sum(Kind::Float)], &[&q, &k, &v], false, false);
            (out, gradients)
        };
        let ((own, own_gradients), (theirs, their_gradients)) = (all(&packing), all(&padded));
        assert!(difference(&own, &theirs) < 1e-5, "reach {reach}");
        for (own, expected) in own_gradients.iter().zip(&their_gradients) {
            assert!(difference(own, expected) < 1e-5, "gradient, reach {reach}");
        }
        let first = |packing: &Packing| {
            let firsts = q.index_select(0, packing.first_tokens());
            attend_from_one(&firsts, &k, &v, packing, None, near) // [B, h·d]
        };
        assert!(difference(&first(&packing), &first(&padded)) < 1e-5, "first tokens, reach {reach}");
    }
}
