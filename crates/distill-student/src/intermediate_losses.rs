//! Losses on intermediate layers: the teacher runs next to the student, and their layers are compared.
//!
//! The terms are [`crate::loss::hidden`] and [`crate::loss::relation`], each a mean over the pairs of its
//! [`crate::layer_map`]. Where the widths differ, one learned projection, which TinyBERT's `W_h` is too, widens
//! all of the student's states; it moves with the student, lies in checkpoints, and is no part of the model
//! that is written.
//!
//! Legend: `T` tokens in the batch, `H` hidden, `h` heads, `d` size of a head.

use std::collections::BTreeSet;

use distill_model::recorder::{Attention, Record};
use distill_model::{Inputs, Mode, Model, ModelConfig, Recorder};
use distill_torch::relations::{Scores, scores};
use distill_torch::{Packing, TorchError, guard};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tch::Tensor;

use crate::error::TrainError;
use crate::layer_map::LayerMap;
use crate::loss::Term;
use crate::loss::hidden::{hidden_cosine, hidden_mse};
use crate::loss::relation::{map_kl, score_mse};
use crate::plan::IntermediateTerms;
use crate::settings::{AttentionLoss, HiddenLoss};

/// Name of the projection in checkpoints and optimizer.
pub const PROJECTION: &str = "projection.weight";

/// Layers that are compared, the student's first.
type Pairs = Vec<(usize, usize)>;

/// The terms of a run that has any.
#[derive(Debug)]
pub struct IntermediateLosses<'a> {
    plan: &'a IntermediateTerms,
    teacher: &'a Model,
    hidden: Pairs,
    attention: Pairs,
    relation: Pairs,
    relation_heads: i64,
    /// `[H_t, H_s]`
    projection: Option<Tensor>,
}

/// Whether the terms of a plan can be computed between a student and a teacher with these configs.
///
/// # Errors
/// [`TrainError::Intermediate`] with the reason.
pub fn check(plan: &IntermediateTerms, own: &ModelConfig, theirs: &ModelConfig) -> Result<(), TrainError> {
    let both = [own, theirs];
    pairs(plan.hidden_weight, &plan.layer_map, "layer_map", both)?;
    if !pairs(plan.attention_weight, &plan.layer_map, "layer_map", both)?.is_empty() {
        if let Some(other) = both.iter().find(|config| !config.architecture.plain_scores) {
            return Err(TrainError::Intermediate(format!(
                "attention_weight cannot be used with {}: its scores are sums of content and relative \
                 position that are never formed as one q·kᵀ; hidden_weight and relation_weight work for it",
                other.architecture.model_type
            )));
        }
        if own.num_attention_heads != theirs.num_attention_heads {
            return Err(TrainError::Intermediate(format!(
                "attention_weight compares head with head, but the student has {} and the teacher {}; \
                 relation_weight splits both into relation_heads",
                own.num_attention_heads, theirs.num_attention_heads
            )));
        }
    }
    let heads = plan.relation_heads.unwrap_or(theirs.num_attention_heads);
    let uneven = both.iter().any(|config| config.hidden_size % heads != 0);
    if !pairs(plan.relation_weight, &plan.relation_map, "relation_map", both)?.is_empty() && uneven {
        return Err(TrainError::Intermediate(format!(
            "relation_heads is {heads}, which does not divide the widths {} of the student and {} of the teacher",
            own.hidden_size, theirs.hidden_size
        )));
    }
    Ok(())
}

/// The layers that a term compares.
fn pairs(
    weight: f64,
    map: &LayerMap,
    name: &str,
    [own, theirs]: [&ModelConfig; 2],
) -> Result<Pairs, TrainError> {
    if weight == 0.0 {
        return Ok(Vec::new());
    }
    let pairs = map.pairs(own.num_hidden_layers, theirs.num_hidden_layers);
    pairs.map_err(|why| TrainError::Intermediate(format!("{name}: {why}")))
}

impl<'a> IntermediateLosses<'a> {
    /// The terms of a plan, or none.
    ///
    /// # Errors
    /// [`TrainError::Intermediate`] where a term cannot be had between these two models, with the reason.
    pub fn new(
        plan: &'a IntermediateTerms,
        student: &Model,
        teacher: Option<&'a Model>,
        seed: u64,
    ) -> Result<Option<Self>, TrainError> {
        if !plan.any() {
            return Ok(None);
        }
        let teacher = teacher.ok_or_else(|| {
            let what = "losses on intermediate layers need student.teacher_model";
            TrainError::Intermediate(what.to_owned())
        })?;
        let (own, theirs) = (student.config(), teacher.config());
        check(plan, own, theirs)?;
        let pairs = |weight, map, name| pairs(weight, map, name, [own, theirs]);
        Ok(Some(IntermediateLosses {
            plan,
            teacher,
            hidden: pairs(plan.hidden_weight, &plan.layer_map, "layer_map")?,
            attention: pairs(plan.attention_weight, &plan.layer_map, "layer_map")?,
            relation: pairs(plan.relation_weight, &plan.relation_map, "relation_map")?,
            relation_heads: plan.relation_heads.unwrap_or(theirs.num_attention_heads),
            projection: (plan.hidden_weight > 0.0 && own.hidden_size != theirs.hidden_size)
                .then(|| projection(theirs.hidden_size, own.hidden_size, seed).to_device(student.device()))
                .map(|weight| weight.set_requires_grad(true)),
        }))
    }

    /// The teacher that runs next to the student.
    pub fn teacher(&self) -> &'a Model {
        self.teacher
    }

    /// What moves with the student, by name.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.projection.iter().map(|weight| (PROJECTION.to_owned(), weight.shallow_clone())).collect()
    }

    /// For the student's pass.
    pub fn recorder(&self) -> Recorder {
        self.recorder_of(|pair| pair.0)
    }

    fn recorder_of(&self, layer: fn(&(usize, usize)) -> usize) -> Recorder {
        let hidden: BTreeSet<usize> = self.hidden.iter().map(layer).collect();
        let attention = self.attention.iter().chain(&self.relation).map(layer).collect();
        Recorder::new(&hidden, &attention)
    }

    /// What the teacher makes of a batch.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn teach(&self, inputs: &Inputs) -> Result<Record, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let recorder = self.recorder_of(|pair| pair.1);
        drop(self.teacher.forward_recorded(inputs, Mode::Evaluate, &recorder)?);
        Ok(recorder.into_record())
    }

    /// The terms of a batch, each `[]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn terms(
        &self,
        student: &Record,
        teacher: &Record,
        packing: &Packing,
    ) -> Result<Vec<Term>, TorchError> {
        let plan = self.plan;
        let mut terms = Vec::new();
        if !self.hidden.is_empty() {
            let value = mean(&self.hidden, |own, theirs| {
                self.hidden_loss(found(student.hidden.get(&own))?, found(teacher.hidden.get(&theirs))?, packing)
            })?;
            terms.push(Term { name: "hidden states", weight: plan.hidden_weight, value });
        }
        let attention = |record: &Record, layer: usize| -> Result<Vec<Scores>, TorchError> {
            let Attention { query, key, bias, .. } = found(record.attention.get(&layer))?;
            guard("attention scores", || scores(query, key, packing, bias.as_ref()))
        };
        if !self.attention.is_empty() {
            let value = mean(&self.attention, |own, theirs| {
                let (own, theirs) = (attention(student, own)?, attention(teacher, theirs)?);
                match plan.attention_loss {
                    AttentionLoss::Mse => score_mse(&own, &theirs),
                    AttentionLoss::Kl => map_kl(&own, &theirs),
                }
            })?;
            terms.push(Term { name: "attention", weight: plan.attention_weight, value });
        }
        if !self.relation.is_empty() {
            let value = mean(&self.relation, |own, theirs| {
                let own = found(student.attention.get(&own))?;
                let theirs = found(teacher.attention.get(&theirs))?;
                self.relation_loss(own, theirs, packing)
            })?;
            terms.push(Term { name: "relations", weight: plan.relation_weight, value });
        }
        Ok(terms)
    }

    fn hidden_loss(&self, student: &Tensor, teacher: &Tensor, packing: &Packing) -> Result<Tensor, TorchError> {
        let projected = match &self.projection {
            Some(weight) => guard("projection", || student.linear(weight, None::<&Tensor>))?, // [T, H_t]
            None => student.shallow_clone(),
        };
        match self.plan.hidden_loss {
            HiddenLoss::Mse => hidden_mse(&projected, teacher, packing),
            HiddenLoss::Cosine => hidden_cosine(&projected, teacher, packing),
        }
    }

    /// Queries to keys and values to values, each split into `relation_heads`.
    fn relation_loss(
        &self,
        student: &Attention,
        teacher: &Attention,
        packing: &Packing,
    ) -> Result<Tensor, TorchError> {
        let relation = |left: &Tensor, right: &Tensor| {
            let [left, right] = [left, right].map(|x| {
                let (tokens, width) = (x.size()[0], x.size()[1] * x.size()[2]);
                x.reshape([tokens, self.relation_heads, width / self.relation_heads])
            });
            scores(&left, &right, packing, None)
        };
        let of = |attention: &Attention| {
            guard("relations", || {
                [relation(&attention.query, &attention.key), relation(&attention.value, &attention.value)]
            })
        };
        let ([own_qk, own_vv], [their_qk, their_vv]) = (of(student)?, of(teacher)?);
        Ok(map_kl(&own_qk, &their_qk)? + map_kl(&own_vv, &their_vv)?)
    }
}

/// The mean of a loss over pairs of layers.
fn mean(
    pairs: &[(usize, usize)],
    loss: impl Fn(usize, usize) -> Result<Tensor, TorchError>,
) -> Result<Tensor, TorchError> {
    let values = pairs.iter().map(|(own, theirs)| loss(*own, *theirs)).collect::<Result<Vec<Tensor>, _>>()?;
    guard("mean over layers", || Tensor::stack(&values, 0).mean(tch::Kind::Float))
}

fn found<T>(recorded: Option<&T>) -> Result<&T, TorchError> {
    recorded.ok_or_else(|| tch::TchError::Shape("a layer was not recorded".to_owned()).into())
}

/// `[rows, columns]`, uniform with a variance of one over `columns`, by the seed alone.
fn projection(rows: i64, columns: i64, seed: u64) -> Tensor {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let bound = (3.0 / columns as f64).sqrt();
    let values: Vec<f32> = (0..rows * columns)
        .map(|_| {
            let share = f64::from(draws.next_u32()) / f64::from(u32::MAX);
            (bound * (2.0 * share - 1.0)) as f32
        })
        .collect();
    Tensor::from_slice(&values).view([rows, columns])
}
