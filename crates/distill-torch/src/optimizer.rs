//! Optimizers other than AdamW, and the common interface of all of them.

use tch::{Kind, Tensor};

use crate::adamw::{AdamW, AdamWConfig, decays};
use crate::error::{TorchError, guard};
use crate::ffi;

/// A rule for one step of one tensor. `g` is the gradient, `w` the weights, `η` the learning rate, `λ` the
/// weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// `g ← g + λw`, then Adam's moments: `w ← w − η · m̂ / (√v̂ + ε)`.
    ///
    /// Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; `torch.optim.Adam`.
    Adam,
    /// `g ← g + λw`, `m ← μm + g` (the first time `g`), `w ← w − η · m`.
    ///
    /// Source: Sutskever et al. 2013, PMLR 28(3); `torch.optim.SGD`.
    Sgd {
        /// `μ`
        momentum: f64,
    },
    /// `w ← w − ηλw − η · sign(β₁m + (1 − β₁)g)`, then `m ← β₂m + (1 − β₂)g`, with β = (0.9, 0.99).
    ///
    /// Source: Chen et al. 2023, arXiv:2302.06675, program 1.
    Lion,
    /// Adam's `r = m̂ / (√v̂ + ε) + λw`, scaled for each tensor to the norm of its weights:
    /// `w ← w − η · ‖w‖/‖r‖ · r`, and `w ← w − η · r` if one of the norms is 0.
    ///
    /// Source: You et al. 2020, arXiv:1904.00962, algorithm 2, with `φ(z) = z` and ε = 1e-6.
    Lamb,
}

/// An optimizer that can be stopped and resumed.
pub enum Optimizer {
    /// In one kernel of libtorch.
    AdamW(AdamW),
    /// Any other, tensor by tensor.
    Plain(PlainOptimizer),
}

impl Optimizer {
    /// AdamW with PyTorch's moments.
    pub fn adamw(weight_decay: f64, parameters: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        Optimizer::AdamW(AdamW::new(AdamWConfig { weight_decay, ..AdamWConfig::default() }, parameters))
    }

    /// Another rule.
    pub fn plain(
        rule: OptimizerKind,
        weight_decay: f64,
        parameters: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Self {
        Optimizer::Plain(PlainOptimizer::new(rule, weight_decay, parameters))
    }

    /// Sets a factor on the learning rate for each parameter.
    pub fn scale_learning_rates(&mut self, factor: impl Fn(&str) -> f64) {
        match self {
            Optimizer::AdamW(own) => own.scale_learning_rates(factor),
            Optimizer::Plain(own) => own.slots.iter_mut().for_each(|slot| slot.factor = factor(&slot.name)),
        }
    }

    /// Clips the gradients to a joint norm, updates every parameter that has one, and drops the gradients.
    /// Returns the norm before clipping, `[]`, on the device: nothing is read back.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, also if no parameter has a gradient.
    pub fn step(&mut self, learning_rate: f64, max_grad_norm: f64) -> Result<Tensor, TorchError> {
        match self {
            Optimizer::AdamW(own) => own.step(learning_rate, max_grad_norm),
            Optimizer::Plain(own) => own.step(learning_rate, max_grad_norm),
        }
    }

    /// Everything that the next step depends on besides the parameters, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        match self {
            Optimizer::AdamW(own) => own.state(),
            Optimizer::Plain(own) => own.state(),
        }
    }

    /// Restores a state from [`Optimizer::state`], which must have the same names and shapes.
    ///
    /// # Errors
    /// [`TorchError`] naming the tensor that is missing or has the wrong shape.
    pub fn load_state(&mut self, find: impl FnMut(&str) -> Option<Tensor>) -> Result<(), TorchError> {
        put_back(self.state(), find)
    }
}

/// Moves each of `means` towards its value, in place: `mean + share · (value − mean)`.
///
/// # Errors
/// [`TorchError`] from libtorch, such as shapes that differ.
pub fn move_means(means: &[Tensor], values: &[Tensor], share: f64) -> Result<(), TorchError> {
    if means.is_empty() { Ok(()) } else { ffi::lerp(means, values, share) }
}

/// Copies the state that `find` knows into the tensors of an optimizer's own.
pub(crate) fn put_back(
    own: Vec<(String, Tensor)>,
    mut find: impl FnMut(&str) -> Option<Tensor>,
) -> Result<(), TorchError> {
    for (name, mut own) in own {
        let found =
            find(&name).ok_or_else(|| TorchError::new("optimizer state", &format!("{name} is missing")))?;
        if found.size() != own.size() || found.kind() != own.kind() {
            let message = format!("{name} is {:?} {:?}, expected {:?}", found.kind(), found.size(), own.size());
            return Err(TorchError::new("optimizer state", &message));
        }
        tch::no_grad(|| own.f_copy_(&found))?;
    }
    Ok(())
}

/// One parameter with the state of its rule.
struct Slot {
    name: String,
    param: Tensor,
    /// Factor on the learning rate.
    factor: f64,
    /// First moment or momentum, and the second moment if the rule has one.
    moments: Vec<Tensor>,
    /// Updates so far, float `[]`.
    step: Tensor,
}

/// A rule over named parameters. Biases and norms do not decay.
pub struct PlainOptimizer {
    rule: OptimizerKind,
    weight_decay: f64,
    slots: Vec<Slot>,
}

const BETAS: (f64, f64) = (0.9, 0.999);
const LION_BETAS: (f64, f64) = (0.9, 0.99);

impl PlainOptimizer {
    fn new(
        rule: OptimizerKind,
        weight_decay: f64,
        parameters: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Self {
        let moments = if matches!(rule, OptimizerKind::Adam | OptimizerKind::Lamb) { 2 } else { 1 };
        let slots = parameters
            .into_iter()
            .map(|(name, param)| Slot {
                name,
                factor: 1.0,
                moments: (0..moments).map(|_| param.zeros_like().detach()).collect(),
                step: Tensor::zeros([], (Kind::Float, param.device())),
                param,
            })
            .collect();
        PlainOptimizer { rule, weight_decay, slots }
    }

    fn step(&mut self, learning_rate: f64, max_grad_norm: f64) -> Result<Tensor, TorchError> {
        let gradients: Vec<Tensor> = self.slots.iter().map(|slot| slot.param.grad()).collect();
        let clipped: Vec<Tensor> =
            gradients.iter().filter(|gradient| gradient.defined()).map(Tensor::shallow_clone).collect();
        let norm = ffi::clip_grad_norm(&clipped, max_grad_norm)?;
        let (rule, weight_decay) = (self.rule, self.weight_decay);
        guard("optimizer step", || {
            tch::no_grad(|| {
                for (slot, gradient) in self.slots.iter_mut().zip(&gradients).filter(|(_, g)| g.defined()) {
                    let decay = if decays(&slot.name) { weight_decay } else { 0.0 };
                    let rate = learning_rate * slot.factor;
                    slot.update(rule, gradient, rate, decay);
                }
            });
        })?;
        let params: Vec<Tensor> = self.slots.iter().map(|slot| slot.param.shallow_clone()).collect();
        ffi::drop_gradients(&params)?;
        Ok(norm)
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = Vec::new();
        for slot in &self.slots {
            for (name, moment) in ["moment", "second_moment"].iter().zip(&slot.moments) {
                state.push((format!("{name}.{}", slot.name), moment.shallow_clone()));
            }
            state.push((format!("step.{}", slot.name), slot.step.shallow_clone()));
        }
        state
    }
}

impl Slot {
    fn update(&mut self, rule: OptimizerKind, gradient: &Tensor, rate: f64, decay: f64) {
        drop(self.step.g_add_scalar_(1.0));
        match rule {
            OptimizerKind::Adam => {
                let direction = self.adam_direction(&coupled(gradient, &self.param, decay), 1e-8);
                drop(self.param.g_sub_(&(direction * rate)));
            }
            OptimizerKind::Sgd { momentum } => {
                let own = &mut self.moments[0];
                let next = &*own * momentum + coupled(gradient, &self.param, decay);
                own.copy_(&next);
                drop(self.param.g_sub_(&(next * rate)));
            }
            OptimizerKind::Lion => {
                let own = &mut self.moments[0];
                let direction = (&*own * LION_BETAS.0 + gradient * (1.0 - LION_BETAS.0)).sign();
                drop(self.param.g_mul_scalar_(1.0 - rate * decay));
                drop(self.param.g_sub_(&(direction * rate)));
                let next = &*own * LION_BETAS.1 + gradient * (1.0 - LION_BETAS.1);
                own.copy_(&next);
            }
            OptimizerKind::Lamb => {
                let direction = self.adam_direction(gradient, 1e-6) + &self.param * decay;
                let (weights, length) = (self.param.norm(), direction.norm());
                let usable = weights.gt(0.0).logical_and(&length.gt(0.0));
                let trust = (&weights / length.clamp_min(1e-30)).where_self(&usable, &weights.ones_like());
                drop(self.param.g_sub_(&(direction * (trust * rate))));
            }
        }
    }

    /// `m̂ / (√v̂ + ε)`; updates both moments.
    fn adam_direction(&mut self, gradient: &Tensor, eps: f64) -> Tensor {
        let first = &self.moments[0] * BETAS.0 + gradient * (1.0 - BETAS.0);
        let second = &self.moments[1] * BETAS.1 + gradient.square() * (1.0 - BETAS.1);
        self.moments[0].copy_(&first);
        self.moments[1].copy_(&second);
        // Powers of the step on the device: nothing is read back.
        let unbiased = |beta: f64| self.step.to_kind(Kind::Double).multiply_scalar(beta.ln()).exp().neg() + 1.0;
        let first = (first / unbiased(BETAS.0)).to_kind(gradient.kind());
        let second = (second / unbiased(BETAS.1)).to_kind(gradient.kind());
        first / (second.sqrt() + eps)
    }
}

/// `g + λw`.
fn coupled(gradient: &Tensor, param: &Tensor, decay: f64) -> Tensor {
    if decay == 0.0 { gradient.shallow_clone() } else { gradient + param * decay }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn run(optimizer: &mut Optimizer, weight: &Tensor, steps: usize) {
        for _ in 0..steps {
            (weight * weight).sum(Kind::Float).backward();
            drop(optimizer.step(0.05, 1e9).unwrap());
        }
    }

    fn leaf(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    const RULES: [OptimizerKind; 4] =
        [OptimizerKind::Adam, OptimizerKind::Sgd { momentum: 0.9 }, OptimizerKind::Lion, OptimizerKind::Lamb];

    #[test]
    fn a_restored_state_continues_bit_for_bit() {
        for rule in RULES {
            let weight = leaf(&[1., -2., 0.5]);
            let make =
                |weight: &Tensor| Optimizer::plain(rule, 0.01, [("w".to_owned(), weight.shallow_clone())]);
            let mut whole = make(&weight);
            run(&mut whole, &weight, 2);
            let saved: Vec<(String, Tensor)> = whole.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
            let copy = weight.detach().copy().set_requires_grad(true);
            run(&mut whole, &weight, 3);
            let mut resumed = make(&copy);
            resumed
                .load_state(|name| {
                    saved.iter().find(|(known, _)| known == name).map(|(_, t)| t.shallow_clone())
                })
                .unwrap();
            run(&mut resumed, &copy, 3);
            assert_eq!(weight, copy, "{rule:?}");
            assert!(resumed.load_state(|_| None).unwrap_err().to_string().contains("moment.w is missing"));
        }
    }

    #[test]
    fn means_move_together_as_each_would_separately() {
        let random = |size| Tensor::randn([size], (Kind::Float, Device::Cpu));
        let values = [random(7).set_requires_grad(true), random(64)];
        let means = [random(7), random(64)];
        let alone: Vec<Tensor> = means.iter().map(Tensor::copy).collect();
        move_means(&means, &values, 0.3).unwrap();
        for ((own, value), mean) in alone.iter().zip(&values).zip(&means) {
            assert_eq!(own.shallow_clone().lerp_(&value.detach(), 0.3), *mean);
        }
        move_means(&[], &[], 0.3).unwrap();
    }

    #[test]
    fn factors_scale_steps_and_a_frozen_parameter_keeps_its_bits() {
        for rule in RULES.map(Some).into_iter().chain([None]) {
            let (moving, slow, frozen) = (leaf(&[1., -2.]), leaf(&[1., -2.]), leaf(&[0.1, 0.3]));
            let named = [("a.weight", &moving), ("b.weight", &slow), ("c.weight", &frozen)]
                .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
            let mut optimizer = match rule {
                Some(rule) => Optimizer::plain(rule, 0.5, named),
                None => Optimizer::adamw(0.5, named),
            };
            optimizer.scale_learning_rates(|name| if name == "b.weight" { 0.5 } else { 1.0 });
            drop(frozen.set_requires_grad(false));
            let before = frozen.copy();
            (&moving * &moving + &slow * &slow + &frozen * &frozen).sum(Kind::Float).backward();
            drop(optimizer.step(0.05, 1e9).unwrap());
            assert_eq!(frozen, before);
            let moved = |tensor: &Tensor| (tensor.double_value(&[0]) - 1.0).abs();
            assert!((moved(&slow) * 2.0 - moved(&moving)).abs() < 1e-6, "{rule:?}");
            assert!(moved(&moving) > 0.01, "{rule:?}");
        }
    }

    #[test]
    fn lamb_takes_a_plain_step_from_weights_that_are_all_zero() {
        let weight = leaf(&[0., 0.]);
        let mut optimizer =
            Optimizer::plain(OptimizerKind::Lamb, 0.0, [("w".to_owned(), weight.shallow_clone())]);
        (&weight * Tensor::from_slice(&[1f32, -3.])).sum(Kind::Float).backward();
        drop(optimizer.step(0.1, 1e9).unwrap());
        // m̂ / √v̂ is the sign of the gradient in the first step.
        assert!(
            (weight.double_value(&[0]) + 0.1).abs() < 1e-5 && (weight.double_value(&[1]) - 0.1).abs() < 1e-5
        );
    }
}
