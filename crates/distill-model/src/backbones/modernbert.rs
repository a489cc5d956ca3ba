//! ModernBERT: norms before each part, rotary positions, attention to all tokens in some layers and to near ones in
//! the others, a gated feed-forward part, few biases.
//!
//! Local layers see a window, which attention's kernels on packed tokens take as it is and the others as a mask.
//!
//! Source: Warner et al. 2024, arXiv:2412.13663, section 2.1; names as in `transformers`'
//! `ModernBertForSequenceClassification`.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `H` hidden.

use serde_json::{Map, Value, json};
use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers, MaskedKeys, MaskedLayers};
use crate::backbone::Backbone;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::{Fields, shown};
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token::{TokenHead, Transform};
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::attention::StackedAttention;
use crate::parts::embeddings::Embeddings;
use crate::parts::feed_forward::{FeedForward, Inner};
use crate::parts::positions::{Rotary, Window, longest};
use crate::parts::{Embedding, LayerNorm, Linear};
use crate::pass::{Pass, Queries, Tokens};
use crate::recipe::Recipe;

pub(super) static MODERNBERT: Recipe = Recipe {
    architecture: Architecture {
        model_type: "modernbert",
        name: "ModernBert",
        prefix: "model",
        layers: "model.layers.",
        behind_layers: &["model.final_norm."],
        heads: HeadLayers { sequence: HEAD, token: HEAD, span: HEAD, masked: Some(MASKED) },
        unused: &["decoder."],
        keys: BERT_KEYS,
        plain_scores: true,
        feed_forward_products: 3,
    },
    read,
    backbone,
    sequence,
    token,
    span,
    keep_layers,
};

const HEAD: &[&str] = &["head.dense", "head.norm", "classifier"];

/// What other architectures do not have.
struct Details {
    norm_bias: bool,
    attention_bias: bool,
    mlp_bias: bool,
    mlp_dropout: f64,
    classifier_bias: bool,
    classifier_activation: Activation,
    pooling: Tokens<'static>,
    /// How far a token of a local layer sees to either side.
    reach: i64,
    /// Of each layer, whether it is local.
    local: Vec<bool>,
    /// Base of the angles in layers that see all, and in local ones.
    theta: [f64; 2],
}

impl Details {
    fn read(fields: &Fields<'_>, layers: usize) -> Result<Self, ModelError> {
        let pooling = match fields.text("classifier_pooling", "cls")?.as_str() {
            "cls" => Tokens::First,
            "mean" => Tokens::Mean,
            other => return Err(fields.unsupported("classifier_pooling", other, "cls, mean")),
        };
        Ok(Details {
            norm_bias: fields.flag("norm_bias", false)?,
            attention_bias: fields.flag("attention_bias", false)?,
            mlp_bias: fields.flag("mlp_bias", false)?,
            mlp_dropout: fields.probability("mlp_dropout", 0.0)?,
            classifier_bias: fields.flag("classifier_bias", false)?,
            classifier_activation: fields.activation("classifier_activation", "gelu")?,
            pooling,
            reach: fields.size_or("local_attention", 128)? / 2,
            local: local_layers(fields, layers)?,
            theta: [
                theta(fields, "full_attention", "global_rope_theta", 160_000.0)?,
                theta(fields, "sliding_attention", "local_rope_theta", 10_000.0)?,
            ],
        })
    }
}

/// By `layer_types`, or every `global_attn_every_n_layers`th from the first on sees all.
fn local_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, ModelError> {
    let Some(types) = fields.get("layer_types") else {
        let every = usize::try_from(fields.size_or("global_attn_every_n_layers", 3)?).unwrap_or(1);
        return Ok((0..layers).map(|index| index % every != 0).collect());
    };
    let known: Option<Vec<bool>> = types.as_array().and_then(|types| {
        types
            .iter()
            .map(|name| match name.as_str()? {
                "full_attention" => Some(false),
                "sliding_attention" => Some(true),
                _ => None,
            })
            .collect()
    });
    known.filter(|known| known.len() == layers).ok_or_else(|| {
        fields.unsupported("layer_types", shown(types), "full_attention or sliding_attention for each layer")
    })
}

fn theta(fields: &Fields<'_>, kind: &str, older: &str, default: f64) -> Result<f64, ModelError> {
    let default = fields.number(older, default)?;
    fields.rotary_theta(fields.get("rope_parameters").and_then(|all| all.get(kind)), default)
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.sizes()?;
    Details::read(fields, config.num_hidden_layers)?;
    Ok(ModelConfig {
        type_vocab_size: 0,
        layer_norm_eps: fields.number("norm_eps", 1e-5)?,
        activation: fields.activation("hidden_activation", "gelu")?,
        hidden_dropout: fields.probability("embedding_dropout", 0.0)?,
        attention_dropout: fields.probability("attention_dropout", 0.0)?,
        classifier_dropout: fields.probability("classifier_dropout", 0.0)?,
        ..config
    })
}

/// The first layer alone has no norm before its attention, so it can only stay the first.
fn keep_layers(raw: &mut Map<String, Value>, fields: &Fields<'_>, chosen: &[usize]) -> Result<(), ModelError> {
    if chosen.iter().skip(1).any(|layer| *layer == 0) || chosen.first() != Some(&0) {
        return Err(fields.unsupported("model_type", "modernbert", "layers that begin with the first, 0"));
    }
    let layers = fields.sizes()?.num_hidden_layers;
    let local = local_layers(fields, layers)?;
    let name = |layer: &usize| if local[*layer] { "sliding_attention" } else { "full_attention" };
    raw.insert("layer_types".to_owned(), json!(chosen.iter().map(name).collect::<Vec<_>>()));
    Ok(())
}

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let details = details(config)?;
    let scope = root.sub("model");
    let norm = |scope: &Scope<'_>| {
        LayerNorm::with_bias(scope, config.hidden_size, config.layer_norm_eps, details.norm_bias)
    };
    let table = scope.sub("embeddings");
    let embeddings = Embeddings {
        word: Embedding::new(&table.sub("tok_embeddings"), config.vocab_size, config.hidden_size),
        position: None,
        first_position: 0,
        token_type: None,
        projection: None,
        norm: norm(&table.sub("norm")),
        dropout: config.hidden_dropout,
    };
    let layers = scope.sub("layers");
    Ok(Box::new(ModernBertBackbone {
        embeddings,
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), config, &details, index))
            .collect(),
        final_norm: norm(&scope.sub("final_norm")),
        reach: details.reach,
        theta: details.theta,
        head_size: config.hidden_size / config.num_attention_heads,
    }))
}

const MASKED: MaskedLayers = MaskedLayers {
    layers: ["head.dense", "head.norm", "decoder"],
    bias: "decoder.bias",
    always_gelu: false,
    keys: Some(MaskedKeys {
        dense_bias: "classifier_bias",
        norm_bias: "norm_bias",
        activation: "classifier_activation",
        decoder_bias: "decoder_bias",
    }),
};

/// The dense layer and the norm before the classifier, which every head has.
fn transform(root: &Scope<'_>, config: &ModelConfig, details: &Details) -> Transform {
    let hidden = config.hidden_size;
    Transform {
        dense: Linear::stacked(&root.sub("head.dense"), hidden, 1, hidden, details.classifier_bias),
        activation: details.classifier_activation,
        norm: LayerNorm::with_bias(&root.sub("head.norm"), hidden, config.layer_norm_eps, details.norm_bias),
    }
}

fn details(config: &ModelConfig) -> Result<Details, ModelError> {
    Details::read(&config.fields(), config.num_hidden_layers)
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    let details = details(config)?;
    let Transform { dense, activation, norm } = transform(root, config, &details);
    Ok(Box::new(SequenceHead {
        pooling: details.pooling,
        dense,
        activation,
        norm: Some(norm),
        classifier: Linear::new(&root.sub("classifier"), config.hidden_size, config.num_labels()),
        dropout: [0.0, config.classifier_dropout],
    }))
}

fn token(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    let transform = transform(root, config, &details(config)?);
    let head = TokenHead::new(root, config, config.classifier_dropout);
    Ok(Box::new(TokenHead { transform: Some(transform), ..head }))
}

fn span(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    let transform = transform(root, config, &details(config)?);
    let head = span::head(root, config, config.classifier_dropout);
    Ok(Box::new(TokenHead { transform: Some(transform), ..head }))
}

#[derive(Debug)]
struct ModernBertBackbone {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    reach: i64,
    theta: [f64; 2],
    head_size: i64,
}

impl Backbone for ModernBertBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        for layer in &self.layers {
            layer.attention.query_key_value.pack();
            layer.attention_output.pack();
            layer.feed_forward.pack();
        }
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let mut hidden = self.embeddings.forward(inputs, pass.mode); // [T, H]
        let (kind, device) = (hidden.kind(), hidden.device());
        let [all, near] = self.theta.map(|theta| Pass {
            rotary: Some(Rotary::new(&inputs.position_ids, self.head_size, theta)),
            ..pass.plain()
        });
        let is_cut = longest(&inputs.packing) > self.reach + 1;
        let near =
            Pass { window: is_cut.then(|| Window::new(self.reach, &inputs.packing, kind, device)), ..near };
        for (index, layer) in self.layers.iter().enumerate() {
            let wanted = if index + 1 == self.layers.len() { queries } else { Queries::All };
            hidden = layer.forward(&hidden, wanted, if layer.local { &near } else { &all });
            pass.note_layer(&hidden);
        }
        self.final_norm.forward(&hidden) // [N, H]
    }
}

/// Attention and feed-forward, each with a norm before it and a residual around both.
#[derive(Debug)]
struct Layer {
    local: bool,
    /// The first layer has none: the embeddings are normed already.
    attention_norm: Option<LayerNorm>,
    attention: StackedAttention,
    attention_output: Linear,
    norm: LayerNorm,
    feed_forward: FeedForward,
    dropout: f64,
}

impl Layer {
    fn new(scope: &Scope<'_>, config: &ModelConfig, details: &Details, index: usize) -> Self {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let norm =
            |name| LayerNorm::with_bias(&scope.sub(name), hidden, config.layer_norm_eps, details.norm_bias);
        let linear = |name, inputs, parts, outputs, bias| {
            Linear::stacked(&scope.sub(name), inputs, parts, outputs, bias)
        };
        Layer {
            local: details.local[index],
            attention_norm: (index > 0).then(|| norm("attn_norm")),
            attention: StackedAttention {
                query_key_value: linear("attn.Wqkv", hidden, 3, hidden, details.attention_bias),
                heads: config.num_attention_heads,
                dropout: config.attention_dropout,
            },
            attention_output: linear("attn.Wo", hidden, 1, hidden, details.attention_bias),
            norm: norm("mlp_norm"),
            feed_forward: FeedForward {
                inner: Inner::GatedStacked(linear("mlp.Wi", hidden, 2, intermediate, details.mlp_bias)),
                outer: linear("mlp.Wo", intermediate, 1, hidden, details.mlp_bias),
                activation: config.activation,
                dropout: details.mlp_dropout,
            },
            dropout: config.attention_dropout,
        }
    }

    fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor {
        let normed = self.attention_norm.as_ref().map_or(x.shallow_clone(), |norm| norm.forward(x)); // [T, H]
        let gathered = self.attention.forward(&normed, queries, pass); // [N, H]
        let x = queries.of(x, pass.packing); // [N, H]
        let attended = self.attention_output.forward_residual(&gathered, pass.mode, self.dropout, &x); // [N, H]
        self.feed_forward.forward(&self.norm.forward(&attended), pass.mode, 0.0, &attended) // [N, H]
    }
}
