//! One prediction for each row: pooling, a dense layer with activation and norm, the classifier.
//!
//! Legend: `B` rows, `H` hidden, `C` labels.

use tch::Tensor;

use crate::architecture::HeadKind;
use crate::config::{Activation, ModelConfig};
use crate::heads::Head;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::{LayerNorm, Linear, activate};
use crate::pass::Tokens;

/// `…ForSequenceClassification` as `transformers` builds it for an architecture.
#[derive(Debug)]
pub(crate) struct SequenceHead {
    /// What a row's vector is made from: the first token, or the mean of all.
    pub pooling: Tokens<'static>,
    pub dense: Linear,
    pub activation: Activation,
    pub norm: Option<LayerNorm>,
    pub classifier: Linear,
    /// Before the dense layer, and before the classifier.
    pub dropout: [f64; 2],
}

impl SequenceHead {
    /// Dense layer and classifier on the first token, with dropout before the classifier.
    pub fn new(root: &Scope<'_>, config: &ModelConfig) -> Self {
        let layers = config.architecture.head_layers(HeadKind::Sequence);
        let hidden = config.hidden_size;
        SequenceHead {
            pooling: Tokens::First,
            dense: Linear::new(&root.sub(layers[0]), hidden, hidden),
            activation: Activation::Tanh,
            norm: None,
            classifier: Linear::new(
                &root.sub(config.architecture.output(HeadKind::Sequence)),
                hidden,
                config.num_labels(),
            ),
            dropout: [0.0, config.classifier_dropout],
        }
    }
}

impl Head for SequenceHead {
    fn wanted<'a>(&self, _: &'a Inputs) -> Tokens<'a> {
        self.pooling
    }

    fn logits(&self, states: &Tensor, mode: Mode<'_>) -> Tensor {
        let [before_dense, before_classifier] = self.dropout;
        let dense = self.dense.forward(&mode.dropout(states.shallow_clone(), before_dense)); // [B, H]
        let mut features = activate(&dense, self.activation);
        if let Some(norm) = &self.norm {
            features = norm.forward(&features);
        }
        self.classifier.forward(&mode.dropout(features, before_classifier)) // [B, C]
    }
}
