//! A sequence classifier: an encoder and the head that stands on it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use distill_torch::{TorchError, guard};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::architecture::Encoder;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::{Builder, Fresh, Parameters, canonical_names};
use crate::parts;
use crate::parts::head::Head;
use crate::recorder::Recorder;

/// Text classifier over packed batches.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    encoder: Box<dyn Encoder>,
    head: Head,
    parameters: Parameters,
    /// What passes compute in; none: in the kind of the weights.
    compute: Cell<Option<Kind>>,
}

impl Model {
    /// Puts a model together from weights by name; `origin` is named in errors.
    ///
    /// # Errors
    /// [`ModelError::Weights`] listing every tensor that is missing, extra or misshapen.
    pub fn build(
        config: ModelConfig,
        weights: BTreeMap<String, Tensor>,
        fresh: Fresh,
        device: Device,
        origin: &Path,
    ) -> Result<Self, ModelError> {
        let given = canonical_names(weights, config.architecture);
        Self::assemble(&config, Builder::new(&config, given, fresh, device), origin)
    }

    /// As [`Model::build`]; larger weights give their first rows and columns.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub(crate) fn build_truncated(
        config: ModelConfig,
        weights: BTreeMap<String, Tensor>,
        fresh: Fresh,
        device: Device,
        origin: &Path,
    ) -> Result<Self, ModelError> {
        let given = canonical_names(weights, config.architecture);
        Self::assemble(&config, Builder::new(&config, given, fresh, device).truncating(), origin)
    }

    fn assemble(config: &ModelConfig, builder: Builder, origin: &Path) -> Result<Self, ModelError> {
        let _span = trace_span!(target: "timeline", "load").entered();
        let build = config.architecture.build;
        let (encoder, head) = guard("building the model", || build(&builder.root(), config))??;
        let parameters =
            builder.finish().map_err(|problems| ModelError::Weights { path: origin.to_owned(), problems })?;
        Ok(Model { config: config.clone(), encoder, head, parameters, compute: Cell::new(None) })
    }

    /// Logits of each row, `[B, C]`, in the batch's order; untempered, no softmax.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn forward(&self, inputs: &Inputs, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        self.classify(&self.features(inputs, mode)?, mode)
    }

    /// What the encoder hands to the head, a vector a row: `[B, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn features(&self, inputs: &Inputs, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        guard("forward pass", || self.head.pool(self.encoder.as_ref(), inputs, mode, None))
    }

    /// As [`Model::forward`], and `recorder` keeps what happens inside.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn forward_recorded(
        &self,
        inputs: &Inputs,
        mode: Mode<'_>,
        recorder: &Recorder,
    ) -> Result<Tensor, TorchError> {
        let pool = || self.head.pool(self.encoder.as_ref(), inputs, mode, Some(recorder));
        self.classify(&guard("forward pass", pool)?, mode)
    }

    /// Logits from features, `[B, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn classify(&self, features: &Tensor, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        guard("forward pass", || self.head.classify(features, mode))
    }

    /// Lays the encoder's weights out once more, as the CPU's fused kernels read them; a model that is trained
    /// afterwards would not be what it computes with. Takes as much memory again as the linear layers.
    ///
    /// # Errors
    /// [`TorchError`] from oneDNN, not where it takes no weights of this kind: then the plain layers are used.
    pub fn pack_for_inference(&self) -> Result<(), TorchError> {
        guard("packing the model", || self.encoder.pack())
    }

    /// Converts every parameter in place; it can no longer be trained then.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn convert(&self, kind: Kind) -> Result<(), TorchError> {
        self.parameters.convert(kind)
    }

    /// Has hidden states computed in `kind` from now on, weights as they are: how a model is trained in bf16.
    pub fn compute_in(&self, kind: Kind) {
        self.compute.set(Some(kind));
    }

    /// What [`Model::compute_in`] said, for [`Inputs::computed_in`].
    pub fn compute_kind(&self) -> Option<Kind> {
        self.compute.get()
    }

    /// What the model was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Every parameter by its Hugging Face name, in the order of the architecture.
    pub fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters.named
    }

    /// Names of the parameters that no file gave.
    pub fn made_fresh(&self) -> &[String] {
        &self.parameters.made_fresh
    }

    /// The table of word vectors, `[V, E]`.
    pub fn word_embeddings(&self) -> &Tensor {
        self.encoder.word_embeddings()
    }

    /// Number of parameters.
    pub fn num_parameters(&self) -> u64 {
        parts::elements(&self.parameters.named)
    }

    /// Bytes of the parameters as they are stored.
    pub fn num_bytes(&self) -> u64 {
        parts::bytes(&self.parameters.named)
    }

    /// Device that the parameters are on.
    pub fn device(&self) -> Device {
        self.parameters.named.first().map_or(Device::Cpu, |(_, tensor)| tensor.device())
    }

    /// A copy of all parameters, for keeping the best checkpoint.
    pub fn snapshot(&self) -> Vec<(String, Tensor)> {
        self.parameters.named.iter().map(|(name, tensor)| (name.clone(), tensor.detach().copy())).collect()
    }

    /// Puts parameters from [`Model::snapshot`] back.
    ///
    /// # Errors
    /// [`TorchError`] naming a tensor that is missing or misshapen.
    pub fn restore(&self, snapshot: &[(String, Tensor)]) -> Result<(), TorchError> {
        for (name, own) in &self.parameters.named {
            let found = snapshot.iter().find(|(known, tensor)| known == name && tensor.size() == own.size());
            let Some((_, tensor)) = found else {
                return Err(tch::TchError::Shape(format!("{name} is missing or misshapen")).into());
            };
            tch::no_grad(|| own.shallow_clone().f_copy_(tensor))?;
        }
        Ok(())
    }
}
