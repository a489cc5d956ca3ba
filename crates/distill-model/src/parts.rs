//! The parts that backbones are put together from. Last dimension first in every comment: `[.., in]`.

pub mod attention;
pub mod embeddings;
pub mod feed_forward;
pub mod layer;
pub mod positions;

use std::cell::OnceCell;

use distill_torch::linear::{FusedActivation, PackedLinear, is_few, linear};
use distill_torch::or_panic;
use tch::{Kind, Tensor};

use crate::config::Activation;
use crate::mode::Mode;
use crate::parameters::{Init, Scope};

/// `y = x·Wᵀ + b`, `W`: `[out, in]`; some architectures have no `b`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    /// Filled by [`Linear::pack`]; then the weight may no longer change.
    packed: OnceCell<PackedLinear>,
    /// The two parts of [`Linear::forward_apart`] in that layout, where they have been asked for.
    packed_apart: OnceCell<Option<[PackedLinear; 2]>>,
}

impl Linear {
    pub fn new(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Self {
        Self::stacked(scope, inputs, 1, outputs, true)
    }

    pub fn without_bias(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Self {
        Self::stacked(scope, inputs, 1, outputs, false)
    }

    /// `parts` layers of `outputs` each whose weights lie under one name, one below the other.
    pub fn stacked(scope: &Scope<'_>, inputs: i64, parts: i64, outputs: i64, bias: bool) -> Self {
        Linear {
            weight: scope.stacked("weight", parts, &[outputs, inputs], Init::Normal),
            bias: bias.then(|| scope.stacked("bias", parts, &[outputs], Init::Zeros)),
            packed: OnceCell::new(),
            packed_apart: OnceCell::new(),
        }
    }

    /// Lays the weight out for the CPU's fused kernels, where they take it.
    pub fn pack(&self) {
        if self.packed.get().is_none()
            && let Some(packed) = or_panic(PackedLinear::new(&self.weight, self.bias.as_ref()))
        {
            self.packed.get_or_init(|| packed);
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.fused(x, FusedActivation::None).unwrap_or_else(|| self.plain(x)) // [.., out]
    }

    /// `activation(x·Wᵀ + b)`
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Tensor {
        let fused = match activation {
            Activation::Gelu => self.fused(x, FusedActivation::Gelu),
            Activation::GeluTanh => self.fused(x, FusedActivation::GeluTanh),
            Activation::Relu => self.fused(x, FusedActivation::Relu),
            Activation::Silu | Activation::Tanh => None,
        };
        fused.unwrap_or_else(|| activate(&self.plain(x), activation)) // [.., out]
    }

    /// `x·Wᵀ + b + residual`
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Tensor {
        let fused = self.packed_for(x).map(|packed| or_panic(packed.forward_add(x, residual)));
        fused.unwrap_or_else(|| self.plain(x) + residual) // [.., out]
    }

    /// `dropout(x·Wᵀ + b) + residual`
    pub fn forward_residual(&self, x: &Tensor, mode: Mode<'_>, probability: f64, residual: &Tensor) -> Tensor {
        match mode {
            Mode::Train(_) => mode.dropout(self.forward(x), probability) + residual,
            Mode::Evaluate => self.forward_add(x, residual),
        }
    }

    /// The first `outputs` of what [`Linear::forward`] makes of `first`, and the others of what it makes of `others`.
    pub fn forward_apart(&self, outputs: i64, first: &Tensor, others: &Tensor) -> [Tensor; 2] {
        let weights = apart(&as_kind_of(&self.weight, first), outputs);
        let biases = self.bias.as_ref().map(|bias| apart(&as_kind_of(bias, first), outputs));
        let packed = self.packed_apart(outputs);
        let product = |part: usize, x: &Tensor| match packed.filter(|_| !is_few(x)) {
            Some(both) => or_panic(both[part].forward(x, FusedActivation::None)),
            None => linear(x, &weights[part], biases.as_ref().map(|both| &both[part])),
        };
        [product(0, first), product(1, others)]
    }

    /// The two parts in the layout of [`Linear::pack`], which they get when they are first asked for: of a whole encoder
    /// those are the last layer's.
    fn packed_apart(&self, outputs: i64) -> Option<&[PackedLinear; 2]> {
        self.packed.get()?;
        let both = self.packed_apart.get_or_init(|| {
            let weights = apart(&self.weight, outputs);
            let biases = self.bias.as_ref().map(|bias| apart(bias, outputs));
            let bias = |part: usize| biases.as_ref().map(|both| &both[part]);
            let pack = |part: usize| or_panic(PackedLinear::new(&weights[part], bias(part)));
            Some([pack(0)?, pack(1)?])
        });
        both.as_ref()
    }

    /// By the packed weight, where there is one. What oneDNN says against a product ends the pass like any operator's
    /// failure: the plain product would need more memory and show another speed without a word.
    fn fused(&self, x: &Tensor, activation: FusedActivation) -> Option<Tensor> {
        self.packed_for(x).map(|packed| or_panic(packed.forward(x, activation)))
    }

    /// The packed weight, where `x` has so many rows that oneDNN's kernel for just that number is worth making.
    fn packed_for(&self, x: &Tensor) -> Option<&PackedLinear> {
        self.packed.get().filter(|_| !is_few(x))
    }

    fn plain(&self, x: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| as_kind_of(bias, x));
        linear(x, &as_kind_of(&self.weight, x), bias.as_ref()) // [.., out]
    }
}

/// `y = (x − mean) / √(var + eps) · w + b` over the last dimension; some architectures have no `b`.
///
/// Source: Ba et al. 2016, arXiv:1607.06450.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    size: i64,
    eps: f64,
}

impl LayerNorm {
    pub fn new(scope: &Scope<'_>, size: i64, eps: f64) -> Self {
        Self::with_bias(scope, size, eps, true)
    }

    pub fn with_bias(scope: &Scope<'_>, size: i64, eps: f64, bias: bool) -> Self {
        LayerNorm {
            weight: scope.parameter("weight", &[size], Init::Ones),
            bias: bias.then(|| scope.parameter("bias", &[size], Init::Zeros)),
            size,
            eps,
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| as_kind_of(bias, x));
        x.layer_norm([self.size], Some(&as_kind_of(&self.weight, x)), bias.as_ref(), self.eps, false)
    }
}

/// A table of vectors, `[rows, H]`.
#[derive(Debug)]
pub(crate) struct Embedding {
    weight: Tensor,
}

impl Embedding {
    pub fn new(scope: &Scope<'_>, rows: i64, width: i64) -> Self {
        Embedding { weight: scope.parameter("weight", &[rows, width], Init::Normal) }
    }

    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    pub fn forward(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.weight, ids, -1, false, false) // [T, H]
    }
}

/// The first `rows` of a weight or a bias, and the others; their gradients come together in one tensor.
fn apart(whole: &Tensor, rows: i64) -> Vec<Tensor> {
    whole.split_with_sizes([rows, whole.size()[0] - rows], 0)
}

/// A parameter in the kind of what it meets: hidden states in bf16 meet weights kept in f32.
pub(crate) fn as_kind_of(parameter: &Tensor, x: &Tensor) -> Tensor {
    if parameter.kind() == x.kind() { parameter.shallow_clone() } else { parameter.to_kind(x.kind()) }
}

pub(crate) fn activate(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
        Activation::Tanh => x.tanh(),
    }
}

/// Number of elements of all tensors.
pub(crate) fn elements(tensors: &[(String, Tensor)]) -> u64 {
    tensors.iter().map(|(_, tensor)| tensor.numel() as u64).sum()
}

/// Bytes of all tensors as they are stored.
pub(crate) fn bytes(tensors: &[(String, Tensor)]) -> u64 {
    tensors.iter().map(|(_, tensor)| (tensor.numel() * Kind::elt_size_in_bytes(tensor.kind())) as u64).sum()
}
