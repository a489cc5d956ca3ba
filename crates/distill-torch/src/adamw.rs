//! AdamW with accessible state, so that a run can be stopped and resumed.
//!
//! `tch`'s optimizer is opaque: its state cannot be saved, and it cannot leave gradients undefined.

use tch::{Kind, Tensor};

use crate::error::TorchError;
use crate::ffi::{self, AdamWTensors};
use crate::optimizer::put_back;

/// Settings that do not change during a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay rates of the two moments.
    pub betas: (f64, f64),
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay of the parameters that decay.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        AdamWConfig { betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.01 }
    }
}

/// Which parameters decay: all but biases and norms, in every architecture; as in `transformers`.
pub fn decays(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !(name.contains("bias") || name.contains("norm"))
}

/// One parameter with its moments.
struct Slot {
    name: String,
    param: Tensor,
    /// Factor on the learning rate.
    factor: f64,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    /// Number of updates as a float tensor, `[]`, as libtorch's fused kernel wants it.
    step: Tensor,
}

/// AdamW over named parameters.
///
/// Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
pub struct AdamW {
    config: AdamWConfig,
    slots: Vec<Slot>,
}

impl AdamW {
    /// An optimizer with zero moments for parameters in the order given.
    pub fn new(config: AdamWConfig, parameters: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let slots = parameters
            .into_iter()
            .map(|(name, param)| Slot {
                name,
                factor: 1.0,
                exp_avg: param.zeros_like().detach(),
                exp_avg_sq: param.zeros_like().detach(),
                step: Tensor::zeros([], (Kind::Float, param.device())),
                param,
            })
            .collect();
        AdamW { config, slots }
    }

    /// Clips the gradients to a joint norm, updates every parameter that has one, and drops the gradients.
    /// Returns the norm before clipping, `[]`, on the device: nothing is read back.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, also if no parameter has a gradient.
    pub fn step(&mut self, learning_rate: f64, max_grad_norm: f64) -> Result<Tensor, TorchError> {
        let gradients: Vec<Tensor> = self.slots.iter().map(|slot| slot.param.grad()).collect();
        let clipped: Vec<Tensor> =
            gradients.iter().filter(|gradient| gradient.defined()).map(Tensor::shallow_clone).collect();
        let norm = ffi::clip_grad_norm(&clipped, max_grad_norm)?;
        for decay in [true, false] {
            for factor in self.factors() {
                self.update(&gradients, (decay, factor), learning_rate * factor)?;
            }
        }
        let params: Vec<Tensor> = self.slots.iter().map(|slot| slot.param.shallow_clone()).collect();
        ffi::drop_gradients(&params)?;
        Ok(norm)
    }

    /// Sets a factor on the learning rate for each parameter.
    pub fn scale_learning_rates(&mut self, factor: impl Fn(&str) -> f64) {
        self.slots.iter_mut().for_each(|slot| slot.factor = factor(&slot.name));
    }

    /// The distinct factors: one call of the kernel takes one learning rate.
    fn factors(&self) -> Vec<f64> {
        let mut factors: Vec<f64> = self.slots.iter().map(|slot| slot.factor).collect();
        factors.sort_by(f64::total_cmp);
        factors.dedup();
        factors
    }

    /// Updates the parameters of one group: with or without decay, and with one factor.
    fn update(
        &self,
        gradients: &[Tensor],
        (decay, factor): (bool, f64),
        learning_rate: f64,
    ) -> Result<(), TorchError> {
        let group: Vec<(&Slot, &Tensor)> = self
            .slots
            .iter()
            .zip(gradients)
            .filter(|(slot, gradient)| {
                gradient.defined() && decays(&slot.name) == decay && slot.factor.total_cmp(&factor).is_eq()
            })
            .collect();
        if group.is_empty() {
            return Ok(());
        }
        let column = |tensor: fn(&Slot) -> &Tensor| -> Vec<Tensor> {
            group.iter().map(|(slot, _)| tensor(slot).shallow_clone()).collect()
        };
        let grads: Vec<Tensor> = group.iter().map(|(_, gradient)| gradient.shallow_clone()).collect();
        ffi::fused_adamw(
            &AdamWTensors {
                params: &column(|slot| &slot.param),
                grads: &grads,
                exp_avgs: &column(|slot| &slot.exp_avg),
                exp_avg_sqs: &column(|slot| &slot.exp_avg_sq),
                steps: &column(|slot| &slot.step),
            },
            learning_rate,
            self.config.betas,
            if decay { self.config.weight_decay } else { 0.0 },
            self.config.eps,
        )
    }

    /// Everything that the next step depends on besides the parameters, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = Vec::with_capacity(self.slots.len() * 3);
        for slot in &self.slots {
            state.push((format!("exp_avg.{}", slot.name), slot.exp_avg.shallow_clone()));
            state.push((format!("exp_avg_sq.{}", slot.name), slot.exp_avg_sq.shallow_clone()));
            state.push((format!("step.{}", slot.name), slot.step.shallow_clone()));
        }
        state
    }

    /// Restores a state from [`AdamW::state`], which must have the same names and shapes.
    ///
    /// # Errors
    /// [`TorchError`] naming the tensor that is missing or has the wrong shape.
    pub fn load_state(&mut self, find: impl FnMut(&str) -> Option<Tensor>) -> Result<(), TorchError> {
        put_back(self.state(), find)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn quadratic_step(optimizer: &mut AdamW, weight: &Tensor) -> f64 {
        let loss = (weight * weight).sum(Kind::Float);
        loss.backward();
        optimizer.step(0.1, 1e9).unwrap().double_value(&[])
    }

    /// ```python
    /// w = torch.nn.Parameter(torch.tensor([1., -2.])); o = torch.optim.AdamW([w], lr=.1, weight_decay=.01)
    /// for _ in range(2): o.zero_grad(); (w*w).sum().backward(); o.step()
    /// ```
    #[test]
    fn two_steps_equal_pytorch() {
        let weight = Tensor::from_slice(&[1f32, -2.]).set_requires_grad(true);
        let mut optimizer = AdamW::new(AdamWConfig::default(), [("w".to_owned(), weight.shallow_clone())]);
        assert!((quadratic_step(&mut optimizer, &weight) - 20f64.sqrt()).abs() < 1e-6);
        quadratic_step(&mut optimizer, &weight);
        // By hand: step 1 is w·(1 − 1e-3) ∓ 0.1; step 2 with both moments corrected.
        let expected = |w0: f64| {
            let (mut w, mut m, mut v) = (w0, 0.0, 0.0);
            for t in 1..=2 {
                let g = 2.0 * w;
                w *= 1.0 - 0.1 * 0.01;
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                w -= 0.1 * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
            }
            w
        };
        for (index, start) in [(0, 1.0), (1, -2.0)] {
            assert!((weight.double_value(&[index]) - expected(start)).abs() < 1e-6);
        }
    }

    #[test]
    fn biases_and_norms_do_not_decay_and_clipping_bounds_the_joint_norm() {
        assert!(decays("bert.encoder.layer.0.output.dense.weight"));
        assert!(!decays("bert.encoder.layer.0.output.LayerNorm.weight"));
        assert!(!decays("classifier.bias"));
        assert!(!decays("model.layers.1.attn_norm.weight"));
        assert!(!decays("nomic_bert.layers.0.post_attention_layernorm.weight"));
        assert!(!decays("mpnet.encoder.relative_attention_bias.weight"));
        let a = Tensor::from_slice(&[3f32]).set_requires_grad(true);
        let b = Tensor::from_slice(&[4f32]).set_requires_grad(true);
        (&a * 3.0 + &b * 4.0).sum(Kind::Float).backward();
        let (ga, gb) = (a.grad(), b.grad());
        let norm = ffi::clip_grad_norm(&[ga.shallow_clone(), gb.shallow_clone()], 1.0).unwrap();
        assert!((norm.double_value(&[]) - 5.0).abs() < 1e-6);
        assert!((ga.double_value(&[0]) - 0.6).abs() < 1e-5 && (gb.double_value(&[0]) - 0.8).abs() < 1e-5);
    }

    #[test]
    fn a_restored_state_continues_bit_for_bit() {
        let make = |values: &[f32]| Tensor::from_slice(values).set_requires_grad(true);
        let weight = make(&[1., -2., 0.5]);
        let mut optimizer = AdamW::new(AdamWConfig::default(), [("w".to_owned(), weight.shallow_clone())]);
        quadratic_step(&mut optimizer, &weight);
        let saved: Vec<(String, Tensor)> = optimizer.state().into_iter().map(|(n, t)| (n, t.copy())).collect();
        let copy = weight.detach().copy().set_requires_grad(true);
        quadratic_step(&mut optimizer, &weight);
        let mut resumed = AdamW::new(AdamWConfig::default(), [("w".to_owned(), copy.shallow_clone())]);
        resumed
            .load_state(|name| saved.iter().find(|(known, _)| known == name).map(|(_, t)| t.shallow_clone()))
            .unwrap();
        quadratic_step(&mut resumed, &copy);
        assert_eq!(weight, copy);
        assert!(resumed.load_state(|_| None).unwrap_err().to_string().contains("exp_avg.w is missing"));
        assert_eq!(weight.device(), Device::Cpu);
    }
}
