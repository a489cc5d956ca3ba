//! From hidden states to logits: pooling, a dense layer with activation and norm, the classifier.
//!
//! Legend: `T` tokens in the batch, `B` rows, `H` hidden, `C` labels.

use distill_torch::{Packing, copied_to, or_panic};
use tch::{Kind, Tensor};

use crate::architecture::Encoder;
use crate::config::{Activation, ModelConfig};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::{LayerNorm, Linear, activate};
use crate::pass::{Pass, Tokens};
use crate::recorder::Recorder;

/// What a row's vector is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The state of the first token, `[CLS]`.
    First,
    /// The mean of all tokens' states.
    Mean,
}

/// A classification head as `transformers` builds it for an architecture.
#[derive(Debug)]
pub(crate) struct Head {
    pub pooling: Pooling,
    pub dense: Linear,
    pub activation: Activation,
    pub norm: Option<LayerNorm>,
    pub classifier: Linear,
    /// Before the dense layer, and before the classifier.
    pub dropout: [f64; 2],
}

impl Head {
    /// Dense layer and classifier under two names, on the first token, with dropout before the classifier.
    pub fn new(root: &Scope<'_>, config: &ModelConfig, dense: &str, classifier: &str) -> Self {
        Head {
            pooling: Pooling::First,
            dense: Linear::new(&root.sub(dense), config.hidden_size, config.hidden_size),
            activation: Activation::Tanh,
            norm: None,
            classifier: Linear::new(&root.sub(classifier), config.hidden_size, config.num_labels()),
            dropout: [0.0, config.classifier_dropout],
        }
    }

    /// A vector of each row, `[B, H]`: nothing above it depends on the tokens.
    pub fn pool(
        &self,
        encoder: &dyn Encoder,
        inputs: &Inputs,
        mode: Mode<'_>,
        recorder: Option<&Recorder>,
    ) -> Tensor {
        let pass = Pass::new(inputs, mode, recorder);
        match (self.pooling, recorder) {
            (Pooling::First, None) => encoder.states(inputs, Tokens::First, pass),
            (Pooling::First, Some(_)) => {
                Tokens::First.of(&encoder.states(inputs, Tokens::All, pass), &inputs.packing)
            }
            (Pooling::Mean, _) => mean_by_row(&encoder.states(inputs, Tokens::All, pass), &inputs.packing),
        }
    }

    /// Logits of each row, `[B, C]`, from [`Head::pool`]'s vectors.
    pub fn classify(&self, pooled: &Tensor, mode: Mode<'_>) -> Tensor {
        let [before_dense, before_classifier] = self.dropout;
        let dense = self.dense.forward(&mode.dropout(pooled.shallow_clone(), before_dense)); // [B, H]
        let mut features = activate(&dense, self.activation);
        if let Some(norm) = &self.norm {
            features = norm.forward(&features);
        }
        self.classifier.forward(&mode.dropout(features, before_classifier)) // [B, C]
    }
}

/// The mean over each row's tokens: `[T, H]` to `[B, H]`.
fn mean_by_row(hidden: &Tensor, packing: &Packing) -> Tensor {
    let lengths = or_panic(copied_to(packing.lengths(), hidden.device()));
    // Computed in f32: the kernel has no bf16 on every device, and a mean of many tokens would lose digits.
    let sums = hidden.to_kind(Kind::Float); // [T, H]
    // Unchecked: the lengths are the packing's, and to look whether they add up would wait for the device.
    let means = Tensor::segment_reduce::<Tensor, f64>(&sums, "mean", Some(lengths), None, None, 0, true, 0.0);
    means.to_kind(hidden.kind()) // [B, H]
}
