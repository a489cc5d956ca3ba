//! Where a model's parameters lie: what `distill inspect` tells, and what a smaller student would weigh.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::architecture::{Architecture, Place};
use crate::model::Model;

/// Numbers of parameters by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Word, position and token type tables with their norm.
    pub embeddings: u64,
    /// Each layer's; empty where layers share their weights.
    pub layers: Vec<u64>,
    /// What lies between embeddings, layers and head: projections, norms, shared layers, relative positions.
    pub rest: u64,
    /// Pooler and classifier.
    pub head: u64,
}

impl Parts {
    /// The parts of a model.
    pub fn of(model: &Model) -> Self {
        Self::count(model.config().architecture, model.parameters())
    }

    fn count(architecture: &Architecture, parameters: &[(String, Tensor)]) -> Self {
        let tables = format!("{}.embeddings.", architecture.prefix);
        let mut parts = Parts { embeddings: 0, layers: Vec::new(), rest: 0, head: 0 };
        let mut layers: BTreeMap<usize, u64> = BTreeMap::new();
        for (name, tensor) in parameters {
            let count = tensor.numel() as u64;
            if architecture.is_head(name) {
                parts.head += count;
            } else if name.starts_with(&tables) {
                parts.embeddings += count;
            } else if let Some(Place::Numbered(layer)) = architecture.layer_of(name) {
                *layers.entry(layer).or_default() += count;
            } else {
                parts.rest += count;
            }
        }
        parts.layers = layers.into_values().collect();
        parts
    }

    /// All parameters.
    pub fn total(&self) -> u64 {
        self.with_layers(self.layers.len())
    }

    /// All parameters of a student that keeps this many layers, from the first on.
    pub fn with_layers(&self, count: usize) -> u64 {
        self.embeddings + self.rest + self.head + self.layers.iter().take(count).sum::<u64>()
    }
}
