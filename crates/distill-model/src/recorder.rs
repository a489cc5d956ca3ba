//! What happens inside an encoder, for losses that compare two of them layer by layer.
//!
//! A pass without a recorder keeps nothing and computes the last layer for the tokens that the head reads
//! alone; one with a recorder computes it for all.
//!
//! Legend: `T` tokens in the batch, `S` longest row, `H` hidden, `h` heads, `d` size of a head.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tch::{Kind, Tensor};

/// What a layer's attention computes with.
#[derive(Debug)]
pub struct Attention {
    /// `[T, h, d]`, rotated by its position where the architecture has rotary positions.
    pub query: Tensor,
    /// `[T, h, d]`, rotated like the queries.
    pub key: Tensor,
    /// `[T, h, d]`
    pub value: Tensor,
    /// What is added to `q·kᵀ/√d`, for the longest row of the batch: `[1, h or 1, S, S]`.
    pub bias: Option<Tensor>,
}

/// What one pass left: layers from 0.
#[derive(Debug, Default)]
pub struct Record {
    /// States after a layer, `[T, H]`.
    pub hidden: BTreeMap<usize, Tensor>,
    /// Attention inside a layer.
    pub attention: BTreeMap<usize, Attention>,
}

/// Keeps what the wanted layers of one pass compute.
#[derive(Debug, Default)]
pub struct Recorder {
    hidden: BTreeSet<usize>,
    attention: BTreeSet<usize>,
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    layers: usize,
    attentions: usize,
    record: Record,
}

impl Recorder {
    /// For the states after some layers, and the attention inside some.
    pub fn new(hidden: &BTreeSet<usize>, attention: &BTreeSet<usize>) -> Self {
        Recorder { hidden: hidden.clone(), attention: attention.clone(), seen: RefCell::default() }
    }

    /// What was kept, in f32 whatever the pass computed in: losses would lose digits in bf16.
    pub fn into_record(self) -> Record {
        let whole = |x: &Tensor| x.to_kind(Kind::Float);
        let Record { hidden, attention } = self.seen.into_inner().record;
        let attention = attention.iter().map(|(layer, Attention { query, key, value, bias })| {
            let [query, key, value] = [query, key, value].map(whole);
            (*layer, Attention { query, key, value, bias: bias.as_ref().map(whole) })
        });
        Record {
            hidden: hidden.iter().map(|(layer, x)| (*layer, whole(x))).collect(),
            attention: attention.collect(),
        }
    }

    /// Told of each layer's states in turn.
    pub(crate) fn layer(&self, states: &Tensor) {
        let seen = &mut *self.seen.borrow_mut();
        if self.hidden.contains(&seen.layers) {
            seen.record.hidden.insert(seen.layers, states.shallow_clone());
        }
        seen.layers += 1;
    }

    /// Told of each layer's queries, keys, values and bias in turn.
    pub(crate) fn attention(&self, qkv: &[Tensor; 3], bias: Option<&Tensor>) {
        let seen = &mut *self.seen.borrow_mut();
        if self.attention.contains(&seen.attentions) {
            let [query, key, value] = qkv.each_ref().map(Tensor::shallow_clone);
            let bias = bias.map(Tensor::shallow_clone);
            seen.record.attention.insert(seen.attentions, Attention { query, key, value, bias });
        }
        seen.attentions += 1;
    }
}
