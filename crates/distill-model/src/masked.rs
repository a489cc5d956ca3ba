//! Masked language models: an encoder, and above it what may stand where a token is masked.
//!
//! `logits = LayerNorm(act(x·Wᵀ + b))·Dᵀ + c`, where `D` is the table of word vectors unless there is a decoder of its
//! own. The product with `D` is the dearest part, so it is made of masked places alone and of the tokens asked about.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1; names as in `transformers`' `BertForMaskedLM`,
//! `RobertaForMaskedLM`, `DistilBertForMaskedLM` and `MPNetForMaskedLM`.
//!
//! Legend: `T` tokens in the batch, `M` masked ones, `H` hidden, `V` tokens of the vocabulary, `W` those asked about.

use std::collections::BTreeMap;
use std::path::PathBuf;

use distill_torch::{TorchError, copied_to, guard};
use tch::{Device, Kind, Tensor};

use crate::architecture::Encoder;
use crate::backbones;
use crate::config::{Activation, ModelConfig};
use crate::directory::ModelDirectory;
use crate::error::ModelError;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::{Builder, Fresh, Init, Parameters, Scope, canonical_names};
use crate::parts::{LayerNorm, Linear, activate, as_kind_of};
use crate::pass::{Pass, Tokens};
use crate::weights;

/// Logits that are held at a time, `M·W`: 128 MB in f32.
const MAX_LOGITS: i64 = 1 << 25;

/// What the head of a masked language model is called, and what it stands on.
pub(crate) struct MaskedLayout {
    /// The `model_type`s that have it.
    pub model_types: &'static [&'static str],
    /// The dense layer, the norm behind it, the layer that gives logits.
    pub dense: &'static str,
    pub norm: &'static str,
    pub decoder: &'static str,
    /// The decoder's bias, where it does not stand below the decoder.
    pub bias: &'static str,
    /// Behind the dense layer; none: the config's.
    pub activation: Option<Activation>,
    /// The encoder below it.
    pub encoder: fn(&Scope<'_>, &ModelConfig) -> Box<dyn Encoder>,
}

impl MaskedLayout {
    /// The layout of a directory's architecture.
    fn of(directory: &ModelDirectory) -> Result<&'static Self, ModelError> {
        let config = directory.config();
        let model_type = config.architecture.model_type;
        backbones::masked(model_type).ok_or_else(|| {
            let known = backbones::MASKED.iter().flat_map(|layout| layout.model_types);
            config.fields().unsupported(
                "model_type",
                format!("{model_type} with the head of a masked language model"),
                &known.copied().collect::<Vec<_>>().join(", "),
            )
        })
    }

    /// Names that every checkpoint with this head has.
    fn names(&self) -> [String; 4] {
        let both = |layer: &str| [format!("{layer}.weight"), format!("{layer}.bias")];
        let ([dense, dense_bias], [norm, norm_bias]) = (both(self.dense), both(self.norm));
        [dense, dense_bias, norm, norm_bias]
    }

    fn is_head(&self, name: &str) -> bool {
        let below = |layer| name.strip_prefix(layer).is_some_and(|rest: &str| rest.starts_with('.'));
        name == self.bias || [self.dense, self.norm, self.decoder].into_iter().any(below)
    }

    /// Refuses weights in which the head is not.
    fn check<'a>(
        &self,
        mut names: impl Iterator<Item = &'a String>,
        directory: &ModelDirectory,
    ) -> Result<(), ModelError> {
        let wanted = self.names();
        if names.any(|name| *name == wanted[0]) {
            return Ok(());
        }
        let looked_for = format!("{}, {} or {}.bias", wanted.join(", "), self.bias, self.decoder);
        Err(ModelError::NoMaskedHead { directory: directory.path().to_owned(), looked_for })
    }

    /// The weights of encoder and head alone, the decoder's bias below the decoder.
    fn select(&self, given: BTreeMap<String, Tensor>, config: &ModelConfig) -> BTreeMap<String, Tensor> {
        let architecture = config.architecture;
        let (head, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            given.into_iter().partition(|(name, _)| self.is_head(name));
        let mut selected = canonical_names(rest, architecture);
        selected.retain(|name, _| !architecture.is_head(name));
        selected.extend(head.into_iter().map(|(name, tensor)| (architecture.canonical(&name, false), tensor)));
        let below = format!("{}.bias", self.decoder);
        // Where both are there, transformers computes with the one below the decoder.
        if self.bias != below
            && let Some(bias) = selected.remove(self.bias)
        {
            selected.entry(below).or_insert(bias);
        }
        selected
    }
}

/// Whether a directory can be read as a masked language model, by its config and the names of its weights.
///
/// # Errors
/// [`ModelError::Unsupported`] for an architecture without such a head here; [`ModelError::NoMaskedHead`] where
/// the weights have none.
pub fn check(directory: &ModelDirectory) -> Result<(), ModelError> {
    let layout = MaskedLayout::of(directory)?;
    let mut names = Vec::new();
    for name in weights::names(&weight_files(directory)?)? {
        names.push(directory.config().architecture.canonical(&name, false));
    }
    layout.check(names.iter(), directory)
}

/// The files of the weights; what converts pickled ones must keep the head.
fn weight_files(directory: &ModelDirectory) -> Result<Vec<PathBuf>, ModelError> {
    weights::weight_files(directory.path()).map_err(|error| match error {
        ModelError::NotAModel { directory, file, hint } => {
            let hint = hint.replace("ForSequenceClassification", "ForMaskedLM");
            ModelError::NotAModel { directory, file, hint }
        }
        other => other,
    })
}

/// A masked language model for passes over packed batches, without gradients.
#[derive(Debug)]
pub struct MaskedLanguageModel {
    config: ModelConfig,
    encoder: Box<dyn Encoder>,
    dense: Linear,
    activation: Activation,
    norm: LayerNorm,
    /// `[V, H]`
    decoder: Tensor,
    /// `[V]`
    bias: Tensor,
    parameters: Parameters,
}

impl MaskedLanguageModel {
    /// Reads the weights of a directory and lays them out for inference in `kind`.
    ///
    /// # Errors
    /// As [`check`], and [`ModelError::Weights`] for any tensor missing, extra or misshapen.
    pub fn load(directory: &ModelDirectory, device: Device, kind: Kind) -> Result<Self, ModelError> {
        let layout = MaskedLayout::of(directory)?;
        let config = directory.config();
        weight_files(directory)?;
        let given = directory.read_weights()?;
        let given = layout.select(given, config);
        layout.check(given.keys(), directory)?;
        let own_decoder = given.contains_key(&format!("{}.weight", layout.decoder))
            || !config.fields().flag("tie_word_embeddings", true)?;
        let builder = Builder::new(config, given, Fresh::Nothing, device);
        let model =
            guard("building the model", || Self::assemble(layout, config, &builder.root(), own_decoder))?;
        let parameters = builder
            .finish()
            .map_err(|problems| ModelError::Weights { path: directory.path().to_owned(), problems })?;
        parameters.convert(kind)?;
        let model = MaskedLanguageModel { parameters, ..model };
        guard("packing the model", || {
            model.encoder.pack();
            model.dense.pack();
        })?;
        Ok(model)
    }

    fn assemble(layout: &MaskedLayout, config: &ModelConfig, root: &Scope<'_>, own_decoder: bool) -> Self {
        let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
        let encoder = (layout.encoder)(root, config);
        let decoder = root.sub(layout.decoder);
        MaskedLanguageModel {
            dense: Linear::new(&root.sub(layout.dense), hidden, hidden),
            activation: layout.activation.unwrap_or(config.activation),
            norm: LayerNorm::new(&root.sub(layout.norm), hidden, config.layer_norm_eps),
            decoder: match own_decoder {
                true => decoder.parameter("weight", &[vocabulary, hidden], Init::Normal),
                false => encoder.word_embeddings().shallow_clone(),
            },
            bias: decoder.parameter("bias", &[vocabulary], Init::Zeros),
            encoder,
            config: config.clone(),
            parameters: Parameters::default(),
        }
    }

    /// What the model was built from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Device that the parameters are on.
    pub fn device(&self) -> Device {
        self.decoder.device()
    }

    /// Number of parameters; a decoder that is the table of word vectors counts once.
    pub fn num_parameters(&self) -> u64 {
        crate::parts::elements(&self.parameters.named)
    }

    /// The decoder's part for these tokens.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as for a token beyond the vocabulary.
    pub fn candidates(&self, tokens: &[u32]) -> Result<Candidates, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
        let ids = Tensor::from_slice(&ids).to_device(self.device());
        let (weight, bias) = (self.decoder.f_index_select(0, &ids)?, self.bias.f_index_select(0, &ids)?);
        Ok(Candidates { weight, bias })
    }

    /// What the decoder reads of these places of a batch, int64 `[M]` into its `T` tokens: `[M, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn states(&self, inputs: &Inputs, places: &[i64]) -> Result<Tensor, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let places = copied_to(places, self.device())?;
        guard("forward pass", || {
            let pass = Pass::new(inputs, Mode::Evaluate, None);
            let states = self.encoder.states(inputs, Tokens::All, pass).index_select(0, &places); // [M, H]
            self.norm.forward(&activate(&self.dense.forward(&states), self.activation))
        })
    }
}

/// Tokens that may stand at a masked place.
#[derive(Debug)]
pub struct Candidates {
    /// `[W, H]`
    weight: Tensor,
    /// `[W]`
    bias: Tensor,
}

impl Candidates {
    /// Logits of these tokens, f32 `[M, W]`, from [`MaskedLanguageModel::states`], `[M, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn logits(&self, states: &Tensor) -> Result<Tensor, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        guard("forward pass", || {
            let bias = as_kind_of(&self.bias, states);
            states.linear(&as_kind_of(&self.weight, states), Some(&bias)).to_kind(Kind::Float)
        })
    }

    /// The `count` likeliest of these tokens at each place, or all where there are fewer: logits, f32 `[M, count]`, the
    /// largest first, and which of the tokens they are of, int64 `[M, count]`.
    ///
    /// # Errors
    /// As [`Candidates::logits`].
    pub fn likeliest(&self, states: &Tensor, count: usize) -> Result<(Tensor, Tensor), TorchError> {
        let tokens = self.bias.size().first().copied().unwrap_or(0);
        let count = i64::try_from(count).unwrap_or(i64::MAX).min(tokens);
        let (mut logits, mut which) = (Vec::new(), Vec::new());
        for part in states.f_split((MAX_LOGITS / tokens.max(1)).max(1), 0)? {
            let all = self.logits(&part)?;
            let (largest, places) = guard("likeliest tokens", || all.topk(count, -1, true, true))?;
            logits.push(largest);
            which.push(places);
        }
        Ok((Tensor::f_cat(&logits, 0)?, Tensor::f_cat(&which, 0)?))
    }
}
