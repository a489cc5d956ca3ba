//! Scaled dot-product attention inside each row of a packed batch.
//!
//! `softmax(q·kᵀ/√d)·v`, Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1.
//!
//! On a GPU in bf16 or f16: variable-length flash attention (Dao 2023, arXiv:2307.08691) on the packed tokens as they
//! are. On the CPU in f32: the kernel in `native/attention_kernel_impl.h`, also on packed tokens. Both take a window.
//! Elsewhere, and where something is added to the scores: SDPA over padded views of rows of like length.
//!
//! Legend: `T` tokens, `B` rows, `h` heads, `d` size of a head, `R` rows and `S` longest row of a group.

use tch::{Device, Kind, Tensor};

use crate::dropout::Dropout;
use crate::error::or_panic;
use crate::ffi::{self, DroppedWeights};
use crate::flash;
use crate::packed::{Group, Packing};

/// The masks of a training pass with their probability; none outside training.
pub type Dropped<'a> = Option<(&'a Dropout, f64)>;

/// Attention of every token over its own row.
///
/// # Shapes
/// - `query`, `key`, `value`: `[T, h, d]`
/// - returns `[T, h·d]`
///
/// `dropout` drops attention weights at the given probability in training.
pub fn attend(query: &Tensor, key: &Tensor, value: &Tensor, packing: &Packing, dropout: Dropped<'_>) -> Tensor {
    attend_biased(query, key, value, packing, dropout, None)
}

/// What is added to the scores of a group: of its queries `[R, h, Sq, d]` and keys `[R, h, S, d]`, a tensor that
/// broadcasts to `[R, h, Sq, S]`, or nothing. `Sq` is `S`, or 1 where only each row's first token asks.
/// An infinite value would leave padded queries nothing to attend to: −1e30 hides a place as well.
pub type ScoreBias<'a> = Option<&'a dyn Fn(&Tensor, &Tensor) -> Tensor>;

/// As [`attend`] where a token sees those of its row that are at most `reach` away. `hidden` is the same as a bias, for
/// where no kernel on packed tokens can do it.
pub fn attend_within(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    reach: i64,
    hidden: &dyn Fn(&Tensor, &Tensor) -> Tensor,
) -> Tensor {
    unpadded([query, key, value], packing, false, Some(reach), dropout)
        .unwrap_or_else(|| attend_biased(query, key, value, packing, dropout, Some(hidden)))
}

/// As [`attend`], with a bias on the scores, which no kernel on packed tokens takes.
pub fn attend_biased(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    bias: ScoreBias<'_>,
) -> Tensor {
    if bias.is_none()
        && let Some(context) = unpadded([query, key, value], packing, false, None, dropout)
    {
        return context; // [T, h·d]
    }
    let outputs: Vec<Tensor> = packing
        .groups()
        .iter()
        .map(|group| {
            let [q, k, v] = [query, key, value].map(|tokens| padded(tokens, group)); // [R, h, S, d]
            let context = scaled_dot_product(&q, &k, &v, group, dropout, bias); // [R, h, S, d]
            let flat = context.transpose(1, 2).reshape([group.rows * group.longest, -1]); // [R·S, h·d]
            match &group.padding {
                Some(padding) => flat.index_select(0, &padding.scatter),
                None => flat,
            }
        })
        .collect();
    joined(outputs)
}

/// Attention of one query a row over its row: all that a `[CLS]` head needs of the last layer.
///
/// # Shapes
/// - `query`: `[B, h, d]`; `key`, `value`: `[T, h, d]`
/// - returns `[B, h·d]`
pub fn attend_from_one(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
) -> Tensor {
    attend_from_one_biased(query, key, value, packing, dropout, None)
}

/// As [`attend_from_one`], and as [`attend_within`].
pub fn attend_from_one_within(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    reach: i64,
    hidden: &dyn Fn(&Tensor, &Tensor) -> Tensor,
) -> Tensor {
    unpadded([query, key, value], packing, true, Some(reach), dropout)
        .unwrap_or_else(|| attend_from_one_biased(query, key, value, packing, dropout, Some(hidden)))
}

/// As [`attend_from_one`], with a bias on the scores.
pub fn attend_from_one_biased(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    bias: ScoreBias<'_>,
) -> Tensor {
    if bias.is_none()
        && let Some(context) = unpadded([query, key, value], packing, true, None, dropout)
    {
        return context; // [B, h·d]
    }
    let outputs: Vec<Tensor> = packing
        .groups()
        .iter()
        .map(|group| {
            let q = query.narrow(0, group.first_row, group.rows).unsqueeze(2); // [R, h, 1, d]
            let [k, v] = [key, value].map(|tokens| padded(tokens, group)); // [R, h, S, d]
            scaled_dot_product(&q, &k, &v, group, dropout, bias).reshape([group.rows, -1]) // [R, h·d]
        })
        .collect();
    joined(outputs)
}

/// Attention on the packed tokens, `[N, h·d]`: flash on a GPU, the CPU's own kernel in f32; none elsewhere. What a
/// kernel says against a batch that it should take is no reason to take more memory for it.
fn unpadded(
    qkv: [&Tensor; 3],
    packing: &Packing,
    only_first: bool,
    reach: Option<i64>,
    dropout: Dropped<'_>,
) -> Option<Tensor> {
    if let Some(context) = or_panic(flash::attend(qkv, packing, only_first, reach, probability(dropout))) {
        return Some(context);
    }
    let fits = qkv.iter().all(|part| part.device() == Device::Cpu && part.kind() == Kind::Float);
    if !fits {
        return None;
    }
    let starts = packing.starts()?;
    let dropped = match dropout {
        Some((dropout, probability)) if probability > 0.0 => {
            let heads = qkv[0].size()[..2].iter().product::<i64>(); // one draw for each query of each head
            let (seed, position) = dropout.draw(heads.unsigned_abs());
            DroppedWeights { probability, seed, position }
        }
        _ => DroppedWeights::default(),
    };
    Some(or_panic(ffi::attention(qkv, starts, only_first, reach, dropped)))
}

fn probability(dropout: Dropped<'_>) -> f64 {
    dropout.map_or(0.0, |(_, probability)| probability)
}

/// A group's tokens as `[R, h, S, d]`.
pub(crate) fn padded(tokens: &Tensor, group: &Group) -> Tensor {
    let own = tokens.narrow(0, group.first_token, group.tokens); // [T_g, h, d]
    let (heads, size) = (tokens.size()[1], tokens.size()[2]);
    let places = match &group.padding {
        Some(padding) => own.index_select(0, &padding.gather),
        None => own,
    };
    places.view([group.rows, group.longest, heads, size]).transpose(1, 2)
}

fn scaled_dot_product(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    group: &Group,
    dropout: Dropped<'_>,
    bias: ScoreBias<'_>,
) -> Tensor {
    let padding = group.padding.as_ref().map(|padding| padding.mask_as(query.kind())); // [R, 1, 1, S]
    let mask = match (bias.map(|bias| bias(query, key)), padding) {
        (Some(bias), Some(padding)) => Some(bias + padding), // [R, h, Sq, S]
        (bias, padding) => bias.or(padding),
    };
    let dropout = dropout.filter(|(_, probability)| *probability > 0.0);
    // The CPU's fused kernels have no dropout, and in bf16 two products and a softmax are 1.4 to 2.4 times as fast.
    let in_parts = dropout.is_some() || (query.device() == Device::Cpu && query.kind() == Kind::BFloat16);
    if in_parts {
        let scale = (query.size()[3] as f64).sqrt().recip();
        let scores = (query * scale).matmul(&key.transpose(-2, -1)); // [R, h, S, S]
        let scores = match mask {
            Some(mask) => scores + mask,
            None => scores,
        };
        let weights = scores.softmax(-1, Kind::Float).to_kind(query.kind());
        let weights = match dropout {
            Some((dropout, probability)) => dropout.apply(&weights, probability),
            None => weights,
        };
        return weights.matmul(value); // [R, h, S, d]
    }
    Tensor::scaled_dot_product_attention(query, key, value, mask.as_ref(), 0.0, false, None::<f64>, false)
}

fn joined(mut outputs: Vec<Tensor>) -> Tensor {
    match outputs.pop() {
        Some(only) if outputs.is_empty() => only,
        Some(last) => {
            outputs.push(last);
            Tensor::cat(&outputs, 0)
        }
        None => Tensor::new(),
    }
}

#[cfg(test)]
mod not_finite;

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula itself, one row and one head at a time.
    pub(super) fn reference(query: &Tensor, key: &Tensor, value: &Tensor, lengths: &[i64]) -> Tensor {
        let size = query.size()[2] as f64;
        let mut start = 0;
        let mut rows = Vec::new();
        for &length in lengths {
            let part = |t: &Tensor| t.narrow(0, start, length).transpose(0, 1); // [h, len, d]
            let scores = part(query).matmul(&part(key).transpose(1, 2)) / size.sqrt();
            rows.push(
                scores.softmax(-1, Kind::Float).matmul(&part(value)).transpose(0, 1).reshape([length, -1]),
            );
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

    /// Lengths around the borders of a block of queries and of a register, and head sizes that fill none.
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
            for output in [attend(&q, &k, &v, &packing, None), reference(&q, &k, &v, &lengths)] {
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
            let from_one = attend_from_one(&firsts, &k, &v, &packing, None);
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

    /// Queries, keys and values that are slices of one tensor, as a stacked projection gives them.
    #[test]
    fn heads_may_lie_apart() {
        crate::rng::manual_seed(2);
        let packing = packing(&[7, 5, 3]);
        let stacked = Tensor::randn([15, 3 * 64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let parts = |of: &Tensor| -> Vec<Tensor> {
            of.chunk(3, -1).iter().map(|part| part.reshape([15, 4, 16])).collect()
        };
        let views: Vec<Tensor> = stacked.chunk(3, -1).iter().map(|part| part.view([15, 4, 16])).collect();
        let copies = parts(&stacked.contiguous());
        let gradient = |of: &[Tensor]| {
            let out = attend(&of[0], &of[1], &of[2], &packing, None);
            Tensor::run_backward(&[out.square().sum(Kind::Float)], &[&stacked], false, false).remove(0)
        };
        assert_eq!(gradient(&views), gradient(&copies));
    }

    /// With values that pick single keys the output shows the weights, and so which of them were dropped.
    #[test]
    fn dropped_weights_are_the_same_forward_and_backward() {
        crate::rng::manual_seed(3);
        let length = 64;
        let packing = packing(&[length]);
        let shape = [length, 2, length];
        let (q, k, v) = (random(&shape), random(&shape), random(&shape));
        let probability = 0.25;
        let identity = Tensor::eye(length, (Kind::Float, Device::Cpu)).unsqueeze(1).expand(shape, false);
        let shown = attend(&q, &k, &identity, &packing, Some((&Dropout::at(5, 9), probability)));
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
        let own = attend(&q, &k, &v, &packing, Some((&Dropout::at(5, 9), probability)));
        let plain = (weights(&q, &k) * &mask.gt(0.5).to_kind(Kind::Float) / (1.0 - probability))
            .matmul(&v.transpose(0, 1))
            .transpose(0, 1)
            .reshape([length, 2 * length]);
        assert!(difference(&own, &plain) < 1e-5);
        let gradients = |of: &Tensor| {
            Tensor::run_backward(&[(of * &direction).sum(Kind::Float)], &[&q, &k, &v], false, false)
        };
        for (own, expected) in gradients(&own).iter().zip(&gradients(&plain)) {
            assert!(difference(own, expected) < 1e-5);
        }
        let next = Dropout::at(5, 9);
        let first = attend(&q, &k, &v, &packing, Some((&next, probability)));
        assert_ne!(first, attend(&q, &k, &v, &packing, Some((&next, probability))));
    }

    /// The kernel is compiled for several instruction sets; these tests and those of `not_finite` must hold with each.
    #[test]
    fn other_instruction_sets_compute_the_same() {
        if std::env::var_os("ATEN_CPU_CAPABILITY").is_some() {
            return;
        }
        for set in ["default", "avx2"] {
            let run = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["attention::", "--test-threads=1"])
                .env("ATEN_CPU_CAPABILITY", set)
                .output()
                .unwrap();
            assert!(run.status.success(), "{set}: {}", String::from_utf8_lossy(&run.stdout));
        }
    }

    /// A bias that hides all but each token itself leaves the values; where padding hides that too, nothing is NaN.
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
        let output = attend_biased(&q, &k, &v, &packing, None, Some(&diagonal));
        assert_eq!(output, v.reshape([10, 8]));
        let firsts = q.index_select(0, packing.first_tokens());
        let from_one = attend_from_one_biased(&firsts, &k, &v, &packing, None, Some(&diagonal));
        assert_eq!(from_one, v.reshape([10, 8]).index_select(0, packing.first_tokens()));
        let gradients = Tensor::run_backward(&[output.sum(Kind::Float)], &[&q, &k, &v], false, false);
        assert!(gradients.iter().all(|gradient| gradient.isfinite().all().int64_value(&[]) == 1));
        assert_eq!(gradients[2], Tensor::ones([10, 2, 4], (Kind::Float, Device::Cpu)));
    }

    /// The kernel that sees a window only against the padded reference that hides the rest, in all sizes of blocks.
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
            let all = |packing: &Packing| {
                let out = attend_within(&q, &k, &v, packing, None, reach, &hidden); // [T, h·d]
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
                attend_from_one_within(&firsts, &k, &v, packing, None, reach, &hidden) // [B, h·d]
            };
            assert!(difference(&first(&packing), &first(&padded)) < 1e-5, "first tokens, reach {reach}");
        }
    }
}
