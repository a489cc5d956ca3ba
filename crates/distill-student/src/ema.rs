//! A running mean of the weights, which is validated and kept instead of them.
//!
//! `mean ← d · mean + (1 − d) · weights` after each step, with `d = min(ema_decay, (1 + n) / (10 + n))` after
//! `n` steps, so that the first steps do not weigh on a short run.
//!
//! Source: Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4); Tarvainen & Valpola 2017, arXiv:1703.01780.

use distill_torch::optimizer::move_means;
use distill_torch::{TorchError, guard};
use tch::Tensor;

/// The mean of every parameter.
#[derive(Debug)]
pub struct WeightMean {
    decay: f64,
    parameters: Vec<(String, Tensor)>,
    means: Vec<Tensor>,
    /// Mean of the factor by which word embeddings that do not occur have decayed.
    vocabulary: f64,
}

impl WeightMean {
    /// A mean that begins as the parameters are; none where `decay` is 0.
    pub fn of(decay: f64, parameters: &[(String, Tensor)]) -> Option<Self> {
        if decay <= 0.0 {
            return None;
        }
        let parameters: Vec<(String, Tensor)> =
            parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let means = parameters.iter().map(|(_, tensor)| tensor.detach().copy()).collect();
        Some(WeightMean { decay, parameters, means, vocabulary: 1.0 })
    }

    /// Moves the mean on after `global_step` steps; `vocabulary` is the factor of the word embeddings that
    /// do not occur.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn update(&mut self, global_step: u64, vocabulary: f64) -> Result<(), TorchError> {
        let steps = global_step as f64;
        let share = 1.0 - self.decay.min((1.0 + steps) / (10.0 + steps));
        self.vocabulary += share * (vocabulary - self.vocabulary);
        // A parameter that does not change equals its mean, to the bit.
        let moving = self.means.iter().zip(&self.parameters).filter(|(_, (_, own))| own.requires_grad());
        let (means, weights): (Vec<Tensor>, Vec<Tensor>) =
            moving.map(|(mean, (_, own))| (mean.shallow_clone(), own.shallow_clone())).unzip();
        move_means(&means, &weights, share)
    }

    /// Puts the mean into the parameters while `body` runs with the mean of `vocabulary`, and the weights back.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn while_in_place<T, E: From<TorchError>>(
        &self,
        body: impl FnOnce(f64) -> Result<T, E>,
    ) -> Result<T, E> {
        let weights: Vec<Tensor> = self.parameters.iter().map(|(_, parameter)| parameter.detach()).collect();
        self.put(&self.means)?;
        let result = body(self.vocabulary);
        self.put(&weights)?;
        result
    }

    fn put(&self, tensors: &[Tensor]) -> Result<(), TorchError> {
        guard("mean of weights", || {
            for ((_, parameter), tensor) in self.parameters.iter().zip(tensors) {
                parameter.shallow_clone().set_data(tensor);
            }
        })
    }

    /// The means by name, for a checkpoint.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.parameters.iter().zip(&self.means).map(|((name, _), mean)| (name.clone(), mean.copy())).collect()
    }

    /// The mean factor of the word embeddings that do not occur.
    pub fn vocabulary(&self) -> f64 {
        self.vocabulary
    }

    /// Puts [`WeightMean::state`] and [`WeightMean::vocabulary`] back.
    ///
    /// # Errors
    /// [`TorchError`] naming a tensor that is missing or misshapen.
    pub fn load_state(
        &mut self,
        vocabulary: f64,
        mut find: impl FnMut(&str) -> Option<Tensor>,
    ) -> Result<(), TorchError> {
        self.vocabulary = vocabulary;
        for ((name, _), mean) in self.parameters.iter().zip(&mut self.means) {
            let found = find(name).filter(|tensor| tensor.size() == mean.size());
            let found = found.ok_or_else(|| {
                TorchError::from(tch::TchError::Shape(format!(
                    "the mean of {name} is missing or has the wrong shape"
                )))
            })?;
            *mean = found.to_device(mean.device());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_weights_and_frozen_ones_keep_their_bits() {
        let moving = Tensor::from_slice(&[1f32]).set_requires_grad(true);
        let frozen = Tensor::from_slice(&[0.1f32]);
        let named = [("a".to_owned(), moving.shallow_clone()), ("b".to_owned(), frozen.shallow_clone())];
        assert!(WeightMean::of(0.0, &named).is_none());
        let mut mean = WeightMean::of(0.9, &named).unwrap();
        let (mut expected, mut vocabulary) = (1.0, 1.0);
        for step in 1..=3u32 {
            drop(tch::no_grad(|| moving.shallow_clone().fill_(f64::from(step) * 2.0)));
            mean.update(u64::from(step), 0.5).unwrap();
            let decay = 0.9f64.min(f64::from(1 + step) / f64::from(10 + step));
            expected = decay * expected + (1.0 - decay) * f64::from(step) * 2.0;
            vocabulary = decay * vocabulary + (1.0 - decay) * 0.5;
        }
        let seen = mean.while_in_place::<_, TorchError>(|v| Ok((moving.double_value(&[0]), frozen.copy(), v)));
        let (seen, still, factor) = seen.unwrap();
        assert!((seen - expected).abs() < 1e-6 && (factor - vocabulary).abs() < 1e-12);
        assert_eq!(still, frozen);
        assert_eq!(moving.double_value(&[0]), 6.0, "the weights are back");
        let mut resumed = WeightMean::of(0.9, &named).unwrap();
        let state = mean.state();
        resumed
            .load_state(mean.vocabulary(), |name| {
                state.iter().find(|(known, _)| known == name).map(|(_, t)| t.shallow_clone())
            })
            .unwrap();
        assert_eq!(resumed.means, mean.means);
        assert!(resumed.load_state(1.0, |_| None).is_err());
    }
}
