//! The parts that encoders are put together from. Last dimension first in every comment: `[.., in]`.

use tch::{Kind, Tensor};

use crate::config::Activation;
use crate::parameters::{Init, Scope};

/// `y = x·Wᵀ + b`, `W`: `[out, in]`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub fn new(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Self {
        Linear {
            weight: scope.parameter("weight", &[outputs, inputs], Init::Normal),
            bias: scope.parameter("bias", &[outputs], Init::Zeros),
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias)) // [.., out]
    }
}

/// `y = (x − mean) / √(var + eps) · w + b` over the last dimension.
///
/// Source: Ba et al. 2016, arXiv:1607.06450.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    size: i64,
    eps: f64,
}

impl LayerNorm {
    pub fn new(scope: &Scope<'_>, size: i64, eps: f64) -> Self {
        LayerNorm {
            weight: scope.parameter("weight", &[size], Init::Ones),
            bias: scope.parameter("bias", &[size], Init::Zeros),
            size,
            eps,
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm([self.size], Some(&self.weight), Some(&self.bias), self.eps, false)
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

pub(crate) fn activate(x: &Tensor, activation: Activation) -> Tensor {
    match activation {
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
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
