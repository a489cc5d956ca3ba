//! Scaled dot-product attention inside each row of a packed batch.
//!
//! `softmax(q·kᵀ/√d)·v`, Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1.
//!
//! On a GPU in bf16 or f16: variable-length flash attention (Dao 2023, arXiv:2307.08691) on the packed tokens.
//! On the CPU in f32, and in bf16 on processors with bf16 instructions: the kernels in `native/`, also on packed tokens.
//! All of these support a window (flash attention only if every token is a query).
//! Otherwise, and with an additive bias on the scores: SDPA over padded views of rows of similar length.
//!
//! Legend: `T` tokens, `B` rows, `h` heads, `d` size of a head, `R` rows and `S` longest row of a group.

use tch::{Device, Kind, Tensor};

use crate::dropout::Dropout;
use crate::error::or_panic;
use crate::ffi::{self, DroppedWeights};
use crate::flash;
use crate::packed::{Group, Packing};

/// The masks of a training pass with their probability; none in inference.
pub type Dropped<'a> = Option<(&'a Dropout, f64)>;

/// Computes the bias on the scores of a group from its queries `[R, h, Sq, d]` and keys `[R, h, S, d]`: a tensor that
/// broadcasts to `[R, h, Sq, S]`. `Sq` is `S`, or 1 if only each row's first token is a query.
/// Use −1e30 to mask a position: with an infinite value, padded queries would have nothing to attend to.
pub type ScoreBias<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Tensor;

/// What happens to `q·kᵀ/√d` before the softmax.
#[derive(Clone, Copy)]
pub enum Scores<'a> {
    /// Nothing.
    Plain,
    /// A bias is added, which the kernels on packed tokens do not support.
    Biased(ScoreBias<'a>),
    /// A token attends to tokens of its row at most `reach` away. `hidden` is the same as a bias, for cases that no kernel
    /// on packed tokens supports.
    Within {
        /// In tokens, to each side.
        reach: i64,
        /// Adds a large negative number at all other positions.
        hidden: ScoreBias<'a>,
    },
}

impl<'a> Scores<'a> {
    fn bias(self) -> Option<ScoreBias<'a>> {
        match self {
            Scores::Plain => None,
            Scores::Biased(bias) | Scores::Within { hidden: bias, .. } => Some(bias),
        }
    }
}

/// Attention of every token over its own row.
///
/// # Shapes
/// - `query`, `key`, `value`: `[T, h, d]`
/// - returns `[T, h·d]`
///
/// `dropout` drops attention weights at the given probability in training.
pub fn attend(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    packing: &Packing,
    dropout: Dropped<'_>,
    scores: Scores<'_>,
) -> Tensor {
    if let Some(context) = unpadded([query, key, value], packing, false, scores, dropout) {
        return context; // [T, h·d]
    }
    let outputs: Vec<Tensor> = packing
        .groups()
        .iter()
        .map(|group| {
            let [q, k, v] = [query, key, value].map(|tokens| padded(tokens, group)); // [R, h, S, d]
            let context = scaled_dot_product(&q, &k, &v, group, dropout, scores.bias()); // [R, h, S, d]
            let flat = context.transpose(1, 2).reshape([group.rows * group.longest, -1]); // [R·S, h·d]
            match &group.padding {
                Some(padding) => flat.index_select(0, &padding.scatter),
                None => flat,
            }
        })
        .collect();
    joined(outputs)
}

/// Attention of one query per row over its row: all that a `[CLS]` head needs from the last layer.
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
    scores: Scores<'_>,
) -> Tensor {
    if let Some(context) = unpadded([query, key, value], packing, true, scores, dropout) {
        return context; // [B, h·d]
    }
    let outputs: Vec<Tensor> = packing
        .groups()
        .iter()
        .map(|group| {
            let q = query.narrow(0, group.first_row, group.rows).unsqueeze(2); // [R, h, 1, d]
            let [k, v] = [key, value].map(|tokens| padded(tokens, group)); // [R, h, S, d]
            scaled_dot_product(&q, &k, &v, group, dropout, scores.bias()).reshape([group.rows, -1]) // [R, h·d]
        })
        .collect();
    joined(outputs)
}

/// Attention on the packed tokens, `[N, h·d]`: flash attention on a GPU, our kernels on a CPU; none otherwise. If a kernel
/// fails on a batch that it should support, there is no fallback that uses more memory.
fn unpadded(
    qkv: [&Tensor; 3],
    packing: &Packing,
    only_first: bool,
    scores: Scores<'_>,
    dropout: Dropped<'_>,
) -> Option<Tensor> {
    let reach = match scores {
        Scores::Plain => None,
        Scores::Within { reach, .. } => Some(reach),
        Scores::Biased(_) => return None,
    };
    if let Some(context) = or_panic(flash::attend(qkv, packing, only_first, reach, probability(dropout))) {
        return Some(context);
    }
    let (kind, size) = (qkv[0].kind(), qkv[0].size()[2]);
    let fits = ffi::attention_takes(kind, size)
        && qkv.iter().all(|part| part.device() == Device::Cpu && part.kind() == kind);
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
    bias: Option<ScoreBias<'_>>,
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
mod bf16;
#[cfg(test)]
mod nan_propagation;

#[cfg(test)]
mod tests;
