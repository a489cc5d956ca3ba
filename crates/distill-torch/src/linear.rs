//! Linear layers on the CPU.
//!
//! For inference: the weight is packed once in oneDNN's layout, and the operation after the product (an activation, a
//! residual) is fused while the result is still in the processor's cache. In training: the faster library's product.

use tch::{Device, Kind, Tensor};

use crate::error::{TorchError, or_panic};
use crate::ffi;

/// Number of rows above which oneDNN's f32 product is faster, although it compiles a kernel for each number of rows.
const MANY_ROWS: i64 = 512;

/// Whether MKL's product, which needs no kernel for each number of rows, is as fast as oneDNN's: in a batch's last layer
/// only the first token of each row is a query, and their number differs in almost every batch.
pub fn is_few(x: &Tensor) -> bool {
    x.kind() == Kind::Float && x.size().first().is_some_and(|rows| *rows < MANY_ROWS)
}

/// `x·Wᵀ + b`, `[.., out]`, like [`Tensor::linear`], with gradients. f32 on the CPU uses oneDNN if that is
/// faster: libtorch uses MKL, which does not use AVX-512 on processors of other vendors than Intel.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let fits =
        x.dim() == 2 && [x, weight].iter().all(|of| of.device() == Device::Cpu && of.kind() == Kind::Float);
    if fits && !is_few(x) && ffi::prefers_onednn_products() {
        return or_panic(ffi::onednn_trained_linear(x, weight, bias));
    }
    x.linear(weight, bias)
}

/// Rows of a batch that the layout is optimized for; other numbers work, a little slower.
const TYPICAL_TOKENS: i64 = 2048;

/// The operation after the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FusedActivation {
    /// Nothing.
    None,
    /// `x·Φ(x)`, exact.
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
    /// `max(x, 0)`
    Relu,
}

/// A weight and its bias, packed. It is a copy: training the original does not change it.
#[derive(Debug)]
pub struct PackedLinear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl PackedLinear {
    /// Packs `weight` `[out, in]` and `bias` `[out]`; none if oneDNN does not support them: on another
    /// device, or in a format that this processor does not support.
    ///
    /// # Errors
    /// [`TorchError`] if oneDNN supports such a weight but fails, for example without memory.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Option<Self>, TorchError> {
        if weight.device() != Device::Cpu || !ffi::onednn_available(weight.kind())? {
            return Ok(None);
        }
        let weight = ffi::onednn_pack(&weight.detach(), TYPICAL_TOKENS)?;
        Ok(Some(PackedLinear { weight, bias: bias.map(Tensor::detach) }))
    }

    /// `activation(x·Wᵀ + b)`, `[.., out]`.
    ///
    /// # Errors
    /// [`TorchError`] for shapes that do not fit.
    pub fn forward(&self, x: &Tensor, activation: FusedActivation) -> Result<Tensor, TorchError> {
        let (name, algorithm) = match activation {
            FusedActivation::None => (c"none", c""),
            FusedActivation::Gelu => (c"gelu", c"none"),
            FusedActivation::GeluTanh => (c"gelu", c"tanh"),
            FusedActivation::Relu => (c"relu", c""),
        };
        ffi::onednn_linear(x, &self.weight, self.bias.as_ref(), name, algorithm)
    }

    /// `x·Wᵀ + b + residual`, `[.., out]`.
    ///
    /// # Errors
    /// [`TorchError`] for shapes that do not fit.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor, TorchError> {
        ffi::onednn_linear_add(x, residual, &self.weight, self.bias.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::required::can_run;
    use tch::Kind;

    fn difference(left: &Tensor, right: &Tensor) -> f64 {
        (left - right).abs().max().double_value(&[])
    }

    /// The fused product must equal the plain product followed by the plain activation, for any number of rows.
    #[test]
    fn a_packed_layer_gives_what_the_plain_one_gives() {
        crate::rng::manual_seed(3);
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let (weight, bias) = (random(&[24, 16]) * 0.3, random(&[24]));
        let Some(packed) = PackedLinear::new(&weight, Some(&bias)).unwrap() else {
            can_run("onednn", false);
            return;
        };
        for rows in [1, 5, 300] {
            let (x, residual) = (random(&[rows, 16]), random(&[rows, 24]));
            let plain = x.linear(&weight, Some(&bias));
            let cases = [
                (packed.forward(&x, FusedActivation::None).unwrap(), plain.shallow_clone()),
                (packed.forward(&x, FusedActivation::Gelu).unwrap(), plain.gelu("none")),
                (packed.forward(&x, FusedActivation::GeluTanh).unwrap(), plain.gelu("tanh")),
                (packed.forward(&x, FusedActivation::Relu).unwrap(), plain.relu()),
                (packed.forward_add(&x, &residual).unwrap(), &plain + &residual),
            ];
            for (number, (fused, expected)) in cases.iter().enumerate() {
                assert!(difference(fused, expected) < 1e-5, "case {number}, {rows} rows");
            }
        }
        assert!(packed.forward(&random(&[2, 7]), FusedActivation::None).is_err());
    }

    /// For either library: output and gradients of all three, for numbers of rows on both sides of the threshold.
    #[test]
    fn a_layer_in_training_gives_what_libtorchs_own_gives() {
        crate::rng::manual_seed(5);
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        for (rows, inputs, outputs) in [(3, 16, 24), (MANY_ROWS, 32, 7), (1000, 64, 96)] {
            for has_bias in [true, false] {
                let [x, weight, bias] = [&[rows, inputs][..], &[outputs, inputs], &[outputs]]
                    .map(|shape| random(shape).set_requires_grad(true));
                let bias = has_bias.then_some(&bias);
                let shown = random(&[rows, outputs]);
                let of = |out: Tensor| {
                    let loss = [(&out * &shown).mean(Kind::Float)];
                    let inputs: Vec<&Tensor> = [&x, &weight].into_iter().chain(bias).collect();
                    (out, Tensor::run_backward(&loss, &inputs, false, false))
                };
                let (own, own_gradients) = of(linear(&x, &weight, bias));
                let (expected, gradients) = of(x.linear(&weight, bias));
                assert!(difference(&own, &expected) < 1e-4, "{rows} rows");
                for (own, expected) in own_gradients.iter().zip(&gradients) {
                    assert!(difference(own, expected) < 1e-6, "{rows} rows");
                }
                assert_eq!(own_gradients.len(), 2 + usize::from(has_bias));
            }
        }
        let no_gradient = tch::no_grad(|| linear(&random(&[600, 8]), &random(&[4, 8]), None));
        assert!(!no_gradient.requires_grad() && no_gradient.size() == [600, 4]);
    }

    /// A libtorch without the symbol would be slower without a message.
    #[test]
    fn onednn_multiplies_on_processors_with_avx512_that_are_not_intels() {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let is_other = info.lines().any(|line| line.starts_with("vendor_id") && !line.contains("GenuineIntel"));
        let has_avx512 = crate::info::LibtorchInfo::read().unwrap().cpu_capability == "AVX512";
        assert_eq!(ffi::prefers_onednn_products(), is_other && has_avx512);
    }

    /// In bf16 as well, up to its precision: products of 16 numbers of about 1, kept to 8 bits.
    #[test]
    fn a_packed_layer_in_bf16_gives_what_the_plain_one_gives() {
        crate::rng::manual_seed(4);
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        let (weight, bias) = (random(&[24, 16]) * 0.3, random(&[24]));
        let Some(packed) = PackedLinear::new(&weight, Some(&bias)).unwrap() else {
            can_run("onednn-bf16", false);
            return;
        };
        let (x, residual) = (random(&[300, 16]), random(&[300, 24]));
        let wide = |of: &Tensor| of.to_kind(Kind::Float);
        let plain = wide(&x).linear(&wide(&weight), Some(&wide(&bias)));
        let gelu = packed.forward(&x, FusedActivation::Gelu).unwrap();
        assert_eq!(gelu.kind(), Kind::BFloat16);
        assert!(difference(&wide(&gelu), &plain.gelu("none")) < 0.05);
        let added = packed.forward_add(&x, &residual).unwrap();
        assert!(difference(&wide(&added), &(&plain + wide(&residual))) < 0.1);
    }
}
