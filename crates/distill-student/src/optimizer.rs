//! The optimizer that the settings ask for.

use distill_model::Model;
use distill_torch::{Optimizer, OptimizerKind};
use tch::Tensor;

use crate::param_groups::ParamGroups;
use crate::plan::OptimizerPlan;
use crate::settings::OptimizerChoice;

/// An optimizer over the parameters that move at any time of the run, each with its factor.
/// `extra` moves all the time, at the learning rate itself.
pub fn build(
    plan: &OptimizerPlan,
    groups: &ParamGroups,
    model: &Model,
    extra: Vec<(String, Tensor)>,
) -> Optimizer {
    let own: Vec<String> = extra.iter().map(|(name, _)| name.clone()).collect();
    let parameters = model
        .parameters()
        .iter()
        .filter(|(name, _)| groups.ever(name))
        .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .chain(extra);
    let decay = plan.weight_decay;
    let mut optimizer = match plan.kind {
        OptimizerChoice::Adamw => Optimizer::adamw(decay, parameters),
        OptimizerChoice::Adam => Optimizer::plain(OptimizerKind::Adam, decay, parameters),
        OptimizerChoice::Sgd => {
            Optimizer::plain(OptimizerKind::Sgd { momentum: plan.momentum }, decay, parameters)
        }
        OptimizerChoice::Lion => Optimizer::plain(OptimizerKind::Lion, decay, parameters),
        OptimizerChoice::Lamb => Optimizer::plain(OptimizerKind::Lamb, decay, parameters),
    };
    let factor = |name: &str| if own.iter().any(|own| own == name) { 1.0 } else { groups.factor(name) };
    optimizer.scale_learning_rates(factor);
    optimizer
}

/// Whether all that a step does to a word embedding without a gradient is to scale it, so that those that do
/// not occur need not be there.
pub fn only_scales_what_has_no_gradient(plan: &OptimizerPlan) -> bool {
    match plan.kind {
        OptimizerChoice::Adamw | OptimizerChoice::Lion => true,
        OptimizerChoice::Adam | OptimizerChoice::Sgd => plan.weight_decay == 0.0,
        // The length of a step depends on the whole table.
        OptimizerChoice::Lamb => false,
    }
}

/// What [`only_scales_what_has_no_gradient`] scales by: the decoupled decay.
pub fn decoupled_decay(plan: &OptimizerPlan) -> f64 {
    match plan.kind {
        OptimizerChoice::Adamw | OptimizerChoice::Lion => plan.weight_decay,
        _ => 0.0,
    }
}
