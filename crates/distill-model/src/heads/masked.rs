//! What may stand in the place of a token: a dense layer with activation and norm, then the vocabulary.
//!
//! `logits = LayerNorm(act(x·Wᵀ + b))·Dᵀ + c`, where `D` is the table of word vectors unless there is a decoder of its
//! own.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1; names as in `transformers`' `BertForMaskedLM`,
//! `RobertaForMaskedLM`, `DistilBertForMaskedLM`, `MPNetForMaskedLM`, `AlbertForMaskedLM`, `ElectraForMaskedLM`, `DebertaV2ForMaskedLM` and
//! `ModernBertForMaskedLM`.
//!
//! Legend: `M` masked tokens, `H` hidden, `E` width of the word vectors, `V` tokens of the vocabulary, `W` those asked about.

use std::collections::BTreeMap;

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use crate::architecture::{HeadKind, MaskedLayers};
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::heads::{Head, named_or_all};
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::{Init, Scope};
use crate::parts::{LayerNorm, Linear, activate, as_kind_of};
use crate::pass::Tokens;

/// Logits that are held at a time, `M·W`: 128 MB in f32.
const MAX_LOGITS: i64 = 1 << 25;

/// The config's key for a decoder that is the table of word vectors.
const TIED: &str = "tie_word_embeddings";

/// `…ForMaskedLM` as `transformers` builds it for an architecture.
#[derive(Debug)]
pub struct MaskedHead {
    dense: Linear,
    activation: Activation,
    norm: LayerNorm,
    /// `[V, E]`
    decoder: Tensor,
    /// `[V]`
    bias: Tensor,
}

/// Whether the decoder is the table of word vectors.
fn is_tied(config: &ModelConfig) -> bool {
    config.raw.get(TIED).and_then(serde_json::Value::as_bool).unwrap_or(true)
}

/// Name of the bias of the logits among the parameters: where it is next to a tied decoder, as `transformers` stores it.
fn bias_name(layers: &MaskedLayers, tied: bool) -> String {
    if tied { layers.bias.to_owned() } else { format!("{}.bias", layers.decoder()) }
}

/// Gives the bias of the logits its one name, and says in the config whether the decoder is the table of word vectors,
/// which the weights show where they hold another one.
pub(crate) fn settle(
    config: ModelConfig,
    mut given: BTreeMap<String, Tensor>,
) -> (ModelConfig, BTreeMap<String, Tensor>) {
    let Some(layers) = &config.architecture.heads.masked else { return (config, given) };
    let decoder = format!("{}.weight", layers.decoder());
    let tied = is_tied(&config) && is_a_copy(given.get(&decoder), &given);
    if tied {
        given.remove(&decoder);
    }
    let below = format!("{}.bias", layers.decoder());
    // Where both are there, transformers computes with the one below the decoder.
    let bias = given.remove(&below).or_else(|| given.remove(layers.bias));
    given.remove(layers.bias);
    given.extend(bias.map(|bias| (bias_name(layers, tied), bias)));
    let mut config = config;
    if !tied {
        config.raw.insert(TIED.to_owned(), false.into());
    }
    (config, given)
}

/// What `transformers` has next to a decoder of its own and adds nowhere: a second bias, which it would otherwise report as
/// missing. A copy of the one that is used, so that programs that tie both compute the same.
pub(crate) fn unused_bias(config: &ModelConfig, parameters: &[(String, Tensor)]) -> Option<(String, Tensor)> {
    let layers = config.architecture.heads.masked.as_ref().filter(|_| config.head == HeadKind::Masked)?;
    let used = bias_name(layers, is_tied(config));
    let (_, bias) = parameters.iter().find(|(name, _)| *name == used && used != layers.bias)?;
    Some((layers.bias.to_owned(), bias.detach()))
}

/// Whether a decoder is missing, or has the numbers of the table of word vectors.
fn is_a_copy(decoder: Option<&Tensor>, given: &BTreeMap<String, Tensor>) -> bool {
    let is_table = |name: &str| {
        ["embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let table = given.iter().find(|(name, _)| is_table(name));
    match (decoder, table) {
        (Some(decoder), Some((_, table))) => decoder.size() == table.size() && decoder == table,
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// Refuses a config with settings of the head that are not built in.
pub(crate) fn check(layers: &MaskedLayers, config: &ModelConfig) -> Result<(), ModelError> {
    Details::read(layers, config).map(drop)
}

/// What a config says of the layers before the decoder.
struct Details {
    dense_bias: bool,
    norm_bias: bool,
    activation: Activation,
}

impl Details {
    fn read(layers: &MaskedLayers, config: &ModelConfig) -> Result<Self, ModelError> {
        let fields = config.fields();
        let activation = if layers.always_gelu { Activation::Gelu } else { config.activation };
        // DeBERTa's other head, which has other layers.
        if !fields.flag("legacy", true)? {
            return Err(fields.unsupported("legacy", "false", "true"));
        }
        let Some(keys) = &layers.keys else {
            return Ok(Details { dense_bias: true, norm_bias: true, activation });
        };
        if !fields.flag(keys.decoder_bias, true)? {
            return Err(fields.unsupported(keys.decoder_bias, "false", "true"));
        }
        Ok(Details {
            dense_bias: fields.flag(keys.dense_bias, false)?,
            norm_bias: fields.flag(keys.norm_bias, false)?,
            activation: fields.activation(keys.activation, "gelu")?,
        })
    }
}

impl MaskedHead {
    /// With layers of these names, on a backbone with this table of word vectors, `[V, E]`.
    pub(crate) fn new(
        root: &Scope<'_>,
        layers: &MaskedLayers,
        config: &ModelConfig,
        table: &Tensor,
    ) -> Result<Self, ModelError> {
        let [dense, norm, decoder] = layers.layers.map(|name| root.sub(name));
        let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
        let width = table.size().last().copied().unwrap_or(hidden);
        let tied = is_tied(config);
        let details = Details::read(layers, config)?;
        Ok(MaskedHead {
            dense: Linear::stacked(&dense, hidden, 1, width, details.dense_bias),
            activation: details.activation,
            norm: LayerNorm::with_bias(&norm, width, config.layer_norm_eps, details.norm_bias),
            decoder: match tied {
                true => table.shallow_clone(),
                false => decoder.parameter("weight", &[vocabulary, width], Init::Normal),
            },
            bias: root.parameter(&bias_name(layers, tied), &[vocabulary], Init::Zeros),
        })
    }

    /// What the decoder reads: `[M, H]` to `[M, E]`.
    fn transformed(&self, states: &Tensor) -> Tensor {
        self.norm.forward(&activate(&self.dense.forward(states), self.activation))
    }

    /// What the decoder reads of a backbone's states, `[M, H]`, for [`Candidates`]: `[M, E]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn transform(&self, states: &Tensor) -> Result<Tensor, TorchError> {
        guard("forward pass", || self.transformed(states))
    }

    /// The decoder's part for these tokens, without gradients.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as for a token beyond the vocabulary.
    pub fn candidates(&self, tokens: &[u32]) -> Result<Candidates, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
        let ids = Tensor::from_slice(&ids).to_device(self.decoder.device());
        let (weight, bias) = (self.decoder.f_index_select(0, &ids)?, self.bias.f_index_select(0, &ids)?);
        Ok(Candidates { weight, bias })
    }
}

impl Head for MaskedHead {
    fn wanted<'a>(&self, inputs: &'a Inputs) -> Tokens<'a> {
        named_or_all(inputs)
    }

    fn logits(&self, states: &Tensor, _: Mode<'_>) -> Tensor {
        let transformed = self.transformed(states); // [M, E]
        let bias = as_kind_of(&self.bias, &transformed);
        transformed.linear(&as_kind_of(&self.decoder, &transformed), Some(&bias)) // [M, V]
    }

    fn pack(&self) {
        self.dense.pack();
    }

    fn as_masked(&self) -> Option<&MaskedHead> {
        Some(self)
    }
}

/// Tokens that may stand at a masked place.
#[derive(Debug)]
pub struct Candidates {
    /// `[W, E]`
    weight: Tensor,
    /// `[W]`
    bias: Tensor,
}

impl Candidates {
    /// Logits of these tokens, f32 `[M, W]`, from [`MaskedHead::transform`], `[M, E]`.
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
