//! A smaller model from a larger one: the teacher's chosen layers with everything around them, or the first heads
//! and columns of it all.
//!
//! Source: Sanh et al. 2019, arXiv:1910.01108, section 3 (every second layer); Sajjad et al. 2020,
//! arXiv:2004.03844 (other choices).

use std::collections::BTreeMap;

use distill_core::LabelMap;
use distill_task::TaskId;
use tch::{Device, Tensor};

use crate::architecture::Architecture;
use crate::config::ModelConfig;
use crate::directory::ModelDirectory;
use crate::error::ModelError;
use crate::model::Model;
use crate::parameters::{Fresh, canonical_names};

/// What a student is to be smaller in than the directory that it starts from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape<'a> {
    /// Layers to keep, in the student's order; all by default.
    pub layers: Option<&'a [usize]>,
    /// Width of the hidden states; heads keep their size, so there are fewer of them.
    pub hidden_size: Option<i64>,
}

/// Builds a student from a directory.
///
/// With weights: those, or as much of them as `shape` leaves, together with embeddings and, where the directory is a model
/// for the task and `labels`, the head; else with a fresh head. Its logits mean what `problem_type` says. With a
/// `config.json` alone: that architecture with fresh weights.
///
/// # Errors
/// [`ModelError::Layers`] or [`ModelError::HiddenSize`] for what is not there; [`ModelError::Weights`] where names
/// or shapes do not fit.
pub fn initialize(
    from: &ModelDirectory,
    shape: Shape<'_>,
    labels: &LabelMap,
    problem_type: TaskId,
    device: Device,
) -> Result<Model, ModelError> {
    let config = config(from.config(), shape, labels, problem_type)?;
    let head = config.head;
    if !from.has_weights() {
        return Model::build(config, BTreeMap::new(), Fresh::Everything, device, from.path());
    }
    let mut given = canonical_names(from.read_weights()?, &config);
    let keeps_head = from.keeps_head(head, labels);
    if !keeps_head {
        given = from.without_output(given, head);
    }
    let fresh = if keeps_head { Fresh::Nothing } else { Fresh::Head };
    let given = keep_layers(given, config.architecture, &shape.chosen(from.config()));
    let build = match shape.hidden_size {
        None => Model::build,
        Some(_) => Model::build_truncated,
    };
    build(config, given, fresh, device, from.path())
}

/// The config of a student of this shape, which needs no weights.
///
/// # Errors
/// [`ModelError::Layers`] or [`ModelError::HiddenSize`] for what is not there; [`ModelError::Unsupported`] where the
/// architecture cannot do without the other layers.
pub fn config(
    from: &ModelConfig,
    shape: Shape<'_>,
    labels: &LabelMap,
    problem_type: TaskId,
) -> Result<ModelConfig, ModelError> {
    let chosen = shape.chosen(from);
    check_layers(&chosen, from.num_hidden_layers)?;
    let config = from.with_layers(&chosen)?.with_labels(labels.clone()).with_problem_type(problem_type);
    match shape.hidden_size {
        Some(hidden_size) => config.with_hidden_size(hidden_size),
        None => Ok(config),
    }
}

impl Shape<'_> {
    /// The layers that are kept of a model.
    fn chosen(&self, from: &ModelConfig) -> Vec<usize> {
        self.layers.map_or_else(|| (0..from.num_hidden_layers).collect(), <[usize]>::to_vec)
    }
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
fn keep_layers(
    given: BTreeMap<String, Tensor>,
    architecture: &Architecture,
    chosen: &[usize],
) -> BTreeMap<String, Tensor> {
    let layers = architecture.layers;
    if layers.is_empty() {
        return given;
    }
    given
        .into_iter()
        .filter_map(|(name, tensor)| {
            let Some(rest) = name.strip_prefix(layers) else { return Some((name, tensor)) };
            let (number, part) = rest.split_once('.')?;
            let old: usize = number.parse().ok()?;
            let new = chosen.iter().position(|layer| *layer == old)?;
            Some((format!("{layers}{new}.{part}"), tensor))
        })
        .collect()
}
