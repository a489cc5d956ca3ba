//! Scaled dot-product attention inside each row of a packed batch.
//!
//! `softmax(q·kᵀ/√d)·v`, Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1.
//!
//! On a GPU in bf16 or f16: variable-length flash attention (Dao 2023, arXiv:2307.08691) on the packed tokens as they
//! are. Elsewhere: SDPA over padded views of rows of like length.
//!
//! Legend: `T` tokens, `B` rows, `h` heads, `d` size of a head, `R` rows and `S` longest row of a group.

use tch::{Device, Kind, Tensor};

use crate::dropout::Dropout;
use crate::ffi::{self, Sequences};
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

/// As [`attend`], with a bias on the scores. Flash kernels take none; on the CPU the fused kernel does where the
/// bias carries no gradient.
pub fn attend_biased(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    bias: ScoreBias<'_>,
) -> Tensor {
    if bias.is_none()
        && let Some(keys) = flash_sequences(query, packing)
        && let Ok(context) = ffi::flash_attention([query, key, value], &keys, &keys, probability(dropout))
    {
        return context.flatten(1, 2); // [T, h·d]
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
        && let Some(keys) = flash_sequences(query, packing)
    {
        let one_each = Tensor::arange(packing.rows() + 1, (Kind::Int, query.device()));
        let queries = Sequences { cu_seqlens: &one_each, longest: 1 };
        if let Ok(context) = ffi::flash_attention([query, key, value], &queries, &keys, probability(dropout)) {
            return context.flatten(1, 2); // [B, h·d]
        }
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

/// Whether a device runs variable-length flash attention in bf16, tried on one token.
pub fn has_flash(device: Device) -> bool {
    let token = Tensor::zeros([1, 1, 64], (Kind::BFloat16, device));
    let Ok(packing) = Packing::new(&[0, 1], device) else { return false };
    flash_sequences(&token, &packing)
        .is_some_and(|keys| ffi::flash_attention([&token, &token, &token], &keys, &keys, 0.0).is_ok())
}

/// Rows for variable-length flash attention, which a GPU has in 16-bit formats. What it refuses (an old GPU, an odd
/// head size) goes the padded way.
fn flash_sequences<'a>(query: &Tensor, packing: &'a Packing) -> Option<Sequences<'a>> {
    let halves = matches!(query.kind(), Kind::BFloat16 | Kind::Half);
    if halves { packing.sequences() } else { None }
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
    match dropout {
        Some((dropout, probability)) if probability > 0.0 => {
            // The fused kernels of the CPU have no dropout; this is what libtorch falls back to.
            let scale = (query.size()[3] as f64).sqrt().recip();
            let scores = (query * scale).matmul(&key.transpose(-2, -1)); // [R, h, S, S]
            let scores = match mask {
                Some(mask) => scores + mask,
                None => scores,
            };
            let weights = scores.softmax(-1, Kind::Float).to_kind(query.kind());
            dropout.apply(&weights, probability).matmul(value) // [R, h, S, d]
        }
        _ => Tensor::scaled_dot_product_attention(
            query,
            key,
            value,
            mask.as_ref(),
            0.0,
            false,
            None::<f64>,
            false,
        ),
    }
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
mod tests {
    use super::*;

    /// The formula itself, one row and one head at a time.
    fn reference(query: &Tensor, key: &Tensor, value: &Tensor, lengths: &[i64]) -> Tensor {
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

    #[test]
    fn rows_see_themselves_alone_forward_and_backward() {
        crate::rng::manual_seed(1);
        let lengths = [64i64, 63, 31, 17, 16, 9, 2, 1, 1];
        let mut cu_seqlens = vec![0i32];
        lengths.iter().for_each(|length| cu_seqlens.push(cu_seqlens.last().unwrap() + *length as i32));
        let packing = Packing::new(&cu_seqlens, Device::Cpu).unwrap();
        let make =
            || Tensor::randn([packing.tokens(), 4, 8], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let (q, k, v) = (make(), make(), make());
        let weights = Tensor::randn([packing.tokens(), 32], (Kind::Float, Device::Cpu));
        let mut gradients = Vec::new();
        let mut outputs = Vec::new();
        for output in [attend(&q, &k, &v, &packing, None), reference(&q, &k, &v, &lengths)] {
            let grads =
                Tensor::run_backward(&[(&output * &weights).sum(Kind::Float)], &[&q, &k, &v], false, false);
            outputs.push(output);
            gradients.push(grads);
        }
        assert!(f64::try_from((&outputs[0] - &outputs[1]).abs().max()).unwrap() < 1e-5);
        for (own, expected) in gradients[0].iter().zip(&gradients[1]) {
            assert!(f64::try_from((own - expected).abs().max()).unwrap() < 1e-5);
        }
        let firsts = q.index_select(0, packing.first_tokens());
        let from_one = attend_from_one(&firsts, &k, &v, &packing, None);
        let expected = outputs[1].index_select(0, packing.first_tokens());
        assert!(f64::try_from((from_one - expected).abs().max()).unwrap() < 1e-5);
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
}
