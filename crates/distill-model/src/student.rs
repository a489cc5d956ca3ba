//! A smaller model from a larger one: the teacher's chosen layers with everything around them.
//!
//! Source: Sanh et al. 2019, arXiv:1910.01108, section 3 (every second layer); Sajjad et al. 2020,
//! arXiv:2004.03844 (other choices).

use std::collections::BTreeMap;

use distill_core::LabelMap;
use tch::{Device, Tensor};

use crate::classifier::SequenceClassifier;
use crate::directory::ModelDirectory;
use crate::error::ModelError;
use crate::parameters::{Fresh, canonical_names};
use crate::weights;

/// Builds a student from a directory.
///
/// With weights: those, or with `layers` the named layers of them in that order, together with
/// embeddings, pooler and, where the directory is a classifier for `labels`, the head. With a
/// `config.json` alone: that architecture with fresh weights.
///
/// # Errors
/// [`ModelError::Layers`] for layers that are not there; [`ModelError::Weights`] where names or
/// shapes do not fit.
pub fn initialize(
    from: &ModelDirectory,
    layers: Option<&[usize]>,
    labels: &LabelMap,
    device: Device,
) -> Result<SequenceClassifier, ModelError> {
    let available = from.config().num_hidden_layers;
    let chosen: Vec<usize> = match layers {
        Some(layers) => layers.to_vec(),
        None => (0..available).collect(),
    };
    check_layers(&chosen, available)?;
    let config = from.config().with_layers(chosen.len()).with_labels(labels.clone());
    if !from.has_weights() {
        return SequenceClassifier::build(config, BTreeMap::new(), Fresh::Everything, device, from.path());
    }
    let mut given = canonical_names(weights::read(&weights::weight_files(from.path())?)?, "bert");
    let keeps_head = from.config().has_classifier() && from.config().labels == *labels;
    if !keeps_head {
        given.retain(|name, _| !name.starts_with("classifier."));
    }
    let fresh = if keeps_head { Fresh::Nothing } else { Fresh::Head };
    SequenceClassifier::build(config, keep_layers(given, &chosen), fresh, device, from.path())
}

fn check_layers(chosen: &[usize], available: usize) -> Result<(), ModelError> {
    let mut once = chosen.to_vec();
    once.sort_unstable();
    once.dedup();
    if chosen.is_empty() || once.len() != chosen.len() || chosen.iter().any(|layer| *layer >= available) {
        return Err(ModelError::Layers { chosen: chosen.to_vec(), available });
    }
    Ok(())
}

/// Keeps the chosen layers under their new numbers, and everything that is not a layer.
fn keep_layers(given: BTreeMap<String, Tensor>, chosen: &[usize]) -> BTreeMap<String, Tensor> {
    const LAYERS: &str = "bert.encoder.layer.";
    given
        .into_iter()
        .filter_map(|(name, tensor)| {
            let Some(rest) = name.strip_prefix(LAYERS) else { return Some((name, tensor)) };
            let (number, part) = rest.split_once('.')?;
            let old: usize = number.parse().ok()?;
            let new = chosen.iter().position(|layer| *layer == old)?;
            Some((format!("{LAYERS}{new}.{part}"), tensor))
        })
        .collect()
}
