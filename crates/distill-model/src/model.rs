//! A model: a backbone and the head on it.
//!
//! Legend: `T` tokens in the batch, `B` rows, `N` positions that are predicted for (`B` where rows are), `H` hidden, `C`
//! outputs, `V` vocabulary, `E` width of the word vectors.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use distill_torch::{TorchError, guard};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::architecture::HeadKind;
use crate::backbone::Backbone;
use crate::backbones;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::heads::Head;
use crate::heads::masked::{MaskedHead, settle};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::{Builder, Fresh, Parameters, Scope, canonical_names};
use crate::parts;
use crate::pass::Tokens;
use crate::recorder::Recorder;

/// A backbone and its head over packed batches.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    backbone: Box<dyn Backbone>,
    head: Box<dyn Head>,
    parameters: Parameters,
    /// What passes compute in; none: in the kind of the weights.
    compute: Cell<Option<Kind>>,
}

impl Model {
    /// Puts a model together from weights by name, with the head that the config says; `origin` is named in errors.
    ///
    /// # Errors
    /// [`ModelError::Weights`] listing every tensor that is missing, extra or misshapen; [`ModelError::Unsupported`] for
    /// a head that the architecture does not have.
    pub fn build(
        config: ModelConfig,
        weights: BTreeMap<String, Tensor>,
        fresh: Fresh,
        device: Device,
        origin: &Path,
    ) -> Result<Self, ModelError> {
        let (config, given) = settled(config, weights);
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
        let (config, given) = settled(config, weights);
        Self::assemble(&config, Builder::new(&config, given, fresh, device).truncating(), origin)
    }

    fn assemble(config: &ModelConfig, builder: Builder, origin: &Path) -> Result<Self, ModelError> {
        let _span = trace_span!(target: "timeline", "load").entered();
        let (backbone, head) = guard("building the model", || parts_of(&builder.root(), config))??;
        let parameters =
            builder.finish().map_err(|problems| ModelError::Weights { path: origin.to_owned(), problems })?;
        Ok(Model { config: config.clone(), backbone, head, parameters, compute: Cell::new(None) })
    }

    /// Logits, `[N, C]`, of the batch's rows in their order, or of the positions that the inputs name; untempered, no
    /// softmax.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn forward(&self, inputs: &Inputs, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        self.classify(&self.features(inputs, mode)?, mode)
    }

    /// What the backbone hands to the head, a vector for each row or position: `[N, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn features(&self, inputs: &Inputs, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        self.states(inputs, self.head.wanted(inputs), mode)
    }

    /// The backbone's states for these tokens, whatever the head reads: `[N, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn states(&self, inputs: &Inputs, tokens: Tokens<'_>, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        guard("forward pass", || self.backbone.states(inputs, tokens, mode, None))
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
        let states = || self.backbone.states(inputs, self.head.wanted(inputs), mode, Some(recorder));
        self.classify(&guard("forward pass", states)?, mode)
    }

    /// Logits from features, `[N, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn classify(&self, features: &Tensor, mode: Mode<'_>) -> Result<Tensor, TorchError> {
        guard("forward pass", || self.head.logits(features, mode))
    }

    /// Makes a second copy of the linear layers' weights, as the CPU's fused kernels read them; a model that is trained
    /// afterwards would not be what it computes with.
    ///
    /// # Errors
    /// [`TorchError`] from oneDNN, not where it takes no weights of this kind: then the plain layers are used.
    pub fn pack_for_inference(&self) -> Result<(), TorchError> {
        guard("packing the model", || {
            self.backbone.pack();
            self.head.pack();
        })
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

    /// What turns tokens into states.
    pub fn backbone(&self) -> &dyn Backbone {
        self.backbone.as_ref()
    }

    /// What turns states into logits.
    pub fn head(&self) -> &dyn Head {
        self.head.as_ref()
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
        self.backbone.word_embeddings()
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
                return Err(tch::TchError::Shape(format!("{name} is missing or has the wrong shape")).into());
            };
            tch::no_grad(|| own.shallow_clone().f_copy_(tensor))?;
        }
        Ok(())
    }
}

/// Weights under the names that the parameters have.
fn settled(config: ModelConfig, weights: BTreeMap<String, Tensor>) -> (ModelConfig, BTreeMap<String, Tensor>) {
    let given = canonical_names(weights, &config);
    if config.head == HeadKind::Masked { settle(config, given) } else { (config, given) }
}

/// A backbone and its head.
type Built = (Box<dyn Backbone>, Box<dyn Head>);

/// Backbone and head, which take their parameters in this order.
fn parts_of(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    let (architecture, kind) = (config.architecture, config.head);
    let unsupported = || {
        let supported = format!("{}, for …{}", backbones::with_head(kind), kind.suffix());
        config.fields().unsupported("model_type", architecture.model_type, &supported)
    };
    let recipe = backbones::recipe(architecture.model_type).ok_or_else(unsupported)?;
    if architecture.head_layers(kind).is_empty() {
        return Err(unsupported());
    }
    let backbone = (recipe.backbone)(root, config)?;
    let head: Box<dyn Head> = match (kind, &architecture.heads.masked) {
        (HeadKind::Sequence, _) => (recipe.sequence)(root, config)?,
        (HeadKind::Token, _) => (recipe.token)(root, config)?,
        (HeadKind::Span, _) => (recipe.span)(root, config)?,
        (HeadKind::Masked, Some(layers)) => {
            Box::new(MaskedHead::new(root, layers, config, backbone.word_embeddings())?)
        }
        (HeadKind::Masked, None) => return Err(unsupported()),
    };
    Ok((backbone, head))
}
