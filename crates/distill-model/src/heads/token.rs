//! One prediction for each wanted token: dropout and a classifier, in some architectures after a dense layer.
//!
//! Legend: `N` wanted tokens, `H` hidden, `C` outputs.

use tch::Tensor;

use crate::architecture::HeadKind;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::heads::{Head, named_or_all};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::{LayerNorm, Linear};
use crate::pass::Tokens;

/// `…ForTokenClassification` as `transformers` builds it for an architecture. [`super::span`] has the same layers with
/// two outputs.
#[derive(Debug)]
pub(crate) struct TokenHead {
    /// Before the classifier, where there is one.
    pub transform: Option<Transform>,
    pub dropout: f64,
    pub classifier: Linear,
}

/// `norm(act(x·Wᵀ + b))`
#[derive(Debug)]
pub(crate) struct Transform {
    pub dense: Linear,
    pub activation: Activation,
    pub norm: LayerNorm,
}

impl Transform {
    /// `[N, H]` to `[N, H]`.
    pub fn forward(&self, states: &Tensor) -> Tensor {
        self.norm.forward(&self.dense.forward_activated(states, self.activation))
    }
}

impl TokenHead {
    /// Dropout and one layer under the architecture's name, with an output for each label.
    pub fn new(root: &Scope<'_>, config: &ModelConfig, dropout: f64) -> Self {
        let classifier = root.sub(config.architecture.output(HeadKind::Token));
        TokenHead {
            transform: None,
            dropout,
            classifier: Linear::new(&classifier, config.hidden_size, config.num_labels()),
        }
    }
}

/// With the config's dropout before the classifier.
pub(crate) fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(TokenHead::new(root, config, config.classifier_dropout)))
}

/// With the layers' own dropout before the classifier.
pub(crate) fn with_hidden_dropout(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(TokenHead::new(root, config, config.hidden_dropout)))
}

impl Head for TokenHead {
    fn wanted<'a>(&self, inputs: &'a Inputs) -> Tokens<'a> {
        named_or_all(inputs)
    }

    fn logits(&self, states: &Tensor, mode: Mode<'_>) -> Tensor {
        let states = match &self.transform {
            Some(transform) => transform.forward(states), // [N, H]
            None => states.shallow_clone(),
        };
        self.classifier.forward(&mode.dropout(states, self.dropout)) // [N, C]
    }

    fn pack(&self) {
        self.transform.iter().for_each(|transform| transform.dense.pack());
    }
}
