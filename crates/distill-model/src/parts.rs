//! The parts that encoders are put together from. Last dimension first in every comment: `[.., in]`.

use std::cell::OnceCell;

use distill_torch::{PackedLinear, linear};
use tch::{Kind, Tensor};

use crate::config::Activation;
use crate::parameters::{Init, Scope};

/// `y = x·Wᵀ + b`, `W`: `[out, in]`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
    /// Filled by [`Linear::pack`]; then the weight may no longer change.
    packed: OnceCell<PackedLinear>,
}

impl Linear {
    pub fn new(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Self {
        Linear {
            weight: scope.parameter("weight", &[outputs, inputs], Init::Normal),
            bias: scope.parameter("bias", &[outputs], Init::Zeros),
            packed: OnceCell::new(),
        }
    }

    /// Lays the weight out for the CPU's fused kernels, where they take it.
    pub fn pack(&self) {
        if let Some(packed) = PackedLinear::new(&self.weight, Some(&self.bias)) {
            self.packed.get_or_init(|| packed);
        }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.fused(x, linear::Activation::None).unwrap_or_else(|| self.plain(x)) // [.., out]
    }

    /// `activation(x·Wᵀ + b)`
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Tensor {
        let fused = match activation {
            Activation::Gelu => self.fused(x, linear::Activation::Gelu),
            Activation::GeluTanh => self.fused(x, linear::Activation::GeluTanh),
            Activation::Relu => self.fused(x, linear::Activation::Relu),
            Activation::Silu => None,
        };
        fused.unwrap_or_else(|| activate(&self.plain(x), activation)) // [.., out]
    }

    /// `x·Wᵀ + b + residual`
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Tensor {
        let fused = self.packed.get().and_then(|packed| packed.forward_add(x, residual).ok());
        fused.unwrap_or_else(|| self.plain(x) + residual) // [.., out]
    }

    fn fused(&self, x: &Tensor, activation: linear::Activation) -> Option<Tensor> {
        self.packed.get().and_then(|packed| packed.forward(x, activation).ok())
    }

    fn plain(&self, x: &Tensor) -> Tensor {
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
