//! DeBERTa-v2 and v3: attention in which content and relative position have projections of their own.
//!
//! The scores' bias depends on queries and keys, which keeps it from flash attention: it runs on the scaled
//! dot-product kernels that take a mask.
//!
//! Source: He et al. 2021, arXiv:2006.03654, section 3.1, and He et al. 2023, arXiv:2111.09543; buckets and names as in
//! `transformers`' `DebertaV2ForSequenceClassification`.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `R` rows of a group, `Sq` queries, `S` longest row, `P`
//! relative positions on one side, `H` hidden, `h` heads, `d` size of a head.

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::architecture::{Architecture, BERT_KEYS, Built, Encoder, any_layers};
use crate::classifier::Mode;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::attention::{Pass, SelfAttention, Tokens, by_head};
use crate::parts::embeddings::{Embeddings, Tables};
use crate::parts::head::Head;
use crate::parts::layer::{LayerNames, PostNorm};
use crate::parts::positions::{distance_places, distances, longest};
use crate::parts::{Embedding, LayerNorm, Linear};

pub(super) static DEBERTA_V2: Architecture = Architecture {
    model_type: "deberta-v2",
    class: "DebertaV2ForSequenceClassification",
    prefix: "deberta",
    layers: "deberta.encoder.layer.",
    head: &["pooler.", "classifier."],
    unused: &["cls.", "lm_predictions.", "mask_predictions."],
    keys: BERT_KEYS,
    read,
    build,
    keep_layers: any_layers,
};

const NAMES: LayerNames = LayerNames {
    query_key_value: ["attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    outer: "output.dense",
    output_norm: "output.LayerNorm",
};

/// What other architectures do not have.
#[derive(Clone, Copy, Debug)]
struct Details {
    embedding_size: i64,
    /// Whether a table of absolute positions is added to the words.
    absolute: bool,
    /// Whether relative positions take part in attention.
    relative: bool,
    /// Content to position, position to content.
    c2p: bool,
    p2c: bool,
    /// Positions are projected by the content's own layers.
    shared: bool,
    /// The table of relative positions is normed.
    normed: bool,
    /// Relative positions on one side, `P`.
    span: i64,
    /// Distances that far positions are counted up to by their logarithm; none where each has a place of its own.
    max_distance: Option<i64>,
    pooler_dropout: f64,
    pooler_activation: Activation,
}

impl Details {
    fn read(fields: &Fields<'_>, config: &ModelConfig) -> Result<Self, ModelError> {
        fields.must_equal("conv_kernel_size", &json!(0))?;
        fields.must_equal("pooler_hidden_size", &json!(config.hidden_size))?;
        fields.must_equal("attention_head_size", &json!(config.hidden_size / config.num_attention_heads))?;
        // −1 stands for the model's own length, and for no buckets.
        let positive = |name| fields.size_from(name, -1, -1).map(|size| (size > 0).then_some(size));
        let reach = positive("max_relative_positions")?.unwrap_or(config.max_position_embeddings);
        let buckets = positive("position_buckets")?;
        let types = attention_types(fields)?;
        let normed = match fields.text("norm_rel_ebd", "none")?.to_lowercase().trim() {
            "none" => false,
            "layer_norm" => true,
            other => return Err(fields.unsupported("norm_rel_ebd", other, "none, layer_norm")),
        };
        Ok(Details {
            embedding_size: fields.size_or("embedding_size", config.hidden_size)?,
            absolute: fields.flag("position_biased_input", true)?,
            relative: fields.flag("relative_attention", false)?,
            c2p: types.iter().any(|name| name == "c2p"),
            p2c: types.iter().any(|name| name == "p2c"),
            shared: fields.flag("share_att_key", false)?,
            normed,
            span: buckets.unwrap_or(reach),
            max_distance: buckets.map(|_| reach),
            pooler_dropout: fields.probability("pooler_dropout", 0.0)?,
            pooler_activation: fields.activation("pooler_hidden_act", "gelu")?,
        })
    }

    /// Scores are sums of one to three products, and scaled down by as many.
    fn terms(&self) -> f64 {
        1.0 + f64::from(u8::from(self.c2p)) + f64::from(u8::from(self.p2c))
    }
}

/// `pos_att_type`, a list or a text with bars.
fn attention_types(fields: &Fields<'_>) -> Result<Vec<String>, ModelError> {
    let types: Vec<String> = match fields.get("pos_att_type") {
        None => Vec::new(),
        Some(Value::String(text)) => {
            text.to_lowercase().split('|').map(|name| name.trim().to_owned()).collect()
        }
        Some(list) => serde_json::from_value(list.clone())
            .map_err(|error| fields.malformed(format!("pos_att_type: {error}")))?,
    };
    match types.iter().find(|name| !["c2p", "p2c"].contains(&name.as_str())) {
        Some(other) => Err(fields.unsupported("pos_att_type", other, "c2p, p2c")),
        None => Ok(types),
    }
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.sizes()?;
    let config = ModelConfig {
        type_vocab_size: fields.size_from("type_vocab_size", 0, 0)?,
        layer_norm_eps: fields.number("layer_norm_eps", 1e-7)?,
        classifier_dropout: fields.probability("cls_dropout", config.hidden_dropout)?,
        ..config
    };
    Details::read(fields, &config)?;
    Ok(config)
}

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    let details = Details::read(&config.fields(), config)?;
    let scope = root.sub("deberta");
    let encoder = scope.sub("encoder");
    let (hidden, layers) = (config.hidden_size, encoder.sub("layer"));
    let width = details.embedding_size;
    let tables =
        Tables { width, positions: details.absolute, projection: (width != hidden).then_some("embed_proj") };
    let encoder = DebertaEncoder {
        embeddings: Embeddings::new(&scope.sub("embeddings"), config, tables),
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), config, details))
            .collect(),
        relative: details
            .relative
            .then(|| Embedding::new(&encoder.sub("rel_embeddings"), 2 * details.span, hidden)),
        relative_norm: details
            .normed
            .then(|| LayerNorm::new(&encoder.sub("LayerNorm"), hidden, config.layer_norm_eps)),
        details,
    };
    let head = Head {
        activation: details.pooler_activation,
        dropout: [details.pooler_dropout, config.classifier_dropout],
        ..Head::new(root, config, "pooler.dense", "classifier")
    };
    Ok((Box::new(encoder), head))
}

#[derive(Debug)]
struct DebertaEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// `[2·P, H]`
    relative: Option<Embedding>,
    relative_norm: Option<LayerNorm>,
    details: Details,
}

/// Relative positions of one pass.
struct Relative {
    /// Vectors of the positions, `[2·P, H]`.
    vectors: Tensor,
    /// Which of them stands for `query − key`: int64 `[S, S]`.
    places: Tensor,
}

impl DebertaEncoder {
    fn relative(&self, longest: i64) -> Option<Relative> {
        let table = self.relative.as_ref()?.weight();
        let by_distance = buckets(longest, &self.details, table.device()); // [2·S − 1]
        let places = distance_places(longest, table.device()).transpose(0, 1).flatten(0, 1); // [S·S]
        Some(Relative {
            vectors: self.relative_norm.as_ref().map_or(table.shallow_clone(), |norm| norm.forward(table)),
            places: by_distance.index_select(0, &places).view([longest, longest]),
        })
    }
}

impl Encoder for DebertaEncoder {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn states(&self, inputs: &Inputs, tokens: Tokens, mode: Mode<'_>) -> Tensor {
        let mut hidden = self.embeddings.forward(inputs, mode); // [T, H]
        let pass = Pass::new(inputs, mode);
        let relative = self.relative(longest(&inputs.packing));
        for (index, layer) in self.layers.iter().enumerate() {
            let wanted = if index + 1 == self.layers.len() { tokens } else { Tokens::All };
            hidden = layer.forward(&hidden, wanted, &pass, relative.as_ref());
        }
        hidden // [N, H]
    }
}

/// The place in the table for each distance `query − key`: near ones exact, far ones by their logarithm.
/// int64 `[2·S − 1]`.
fn buckets(longest: i64, details: &Details, device: Device) -> Tensor {
    let span = details.span;
    let distance = distances(longest, device); // [2·S − 1]
    let position = match details.max_distance {
        None => distance,
        Some(max_distance) => {
            let middle = span / 2;
            let size = distance.abs();
            let size = size.where_self(&size.ge(middle), &Tensor::from(middle - 1).to_device(device));
            #[allow(clippy::cast_precision_loss)]
            let (middle_f, ratio) = (middle as f64, (max_distance - 1) as f64 / middle as f64);
            // In f32 and in this order, as transformers: a border between buckets depends on the last bit.
            let scale = Tensor::from(ratio).to_kind(Kind::Float).to_device(device).log();
            let far =
                ((size.to_kind(Kind::Float) / middle_f).log() / scale * (middle_f - 1.0)).ceil() + middle_f;
            let near = size.le(middle);
            distance.where_self(&near, &(far * distance.sign()).to_kind(Kind::Int64))
        }
    };
    (position + span).clamp(0, 2 * span - 1)
}

/// Disentangled attention and what stands behind it.
#[derive(Debug)]
struct Layer {
    content: SelfAttention,
    /// Projections of positions to keys and to queries, where they are not the content's.
    position_key: Option<Linear>,
    position_query: Option<Linear>,
    rest: PostNorm,
    heads: i64,
    dropout: f64,
    details: Details,
}

impl Layer {
    fn new(scope: &Scope<'_>, config: &ModelConfig, details: Details) -> Self {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let dropout = config.attention_dropout;
        let content = SelfAttention::new(scope, NAMES.query_key_value, hidden, heads, true, dropout);
        let own = |name, there: bool| {
            (there && details.relative && !details.shared)
                .then(|| Linear::new(&scope.sub(name), hidden, hidden))
        };
        Layer {
            content,
            position_key: own("attention.self.pos_key_proj", details.c2p),
            position_query: own("attention.self.pos_query_proj", details.p2c),
            rest: PostNorm::new(scope, &NAMES, config),
            heads,
            dropout,
            details,
        }
    }

    fn forward(&self, x: &Tensor, tokens: Tokens, pass: &Pass<'_>, relative: Option<&Relative>) -> Tensor {
        let [query, key, value] = self.content.query_key_value(x, tokens, pass);
        // Every product below is divided by √(d · terms); the kernel divides by √d.
        let less = self.details.terms().sqrt().recip();
        let qkv = [query * less, key, value];
        let gathered = match relative.map(|relative| self.positions(relative, pass.mode)) {
            None => pass.attend_biased(qkv, tokens, self.dropout, None),
            Some(positions) => {
                let bias = |query: &Tensor, key: &Tensor| positions.bias(query, key, less);
                pass.attend_biased(qkv, tokens, self.dropout, Some(&bias))
            }
        }; // [N, H]
        self.rest.forward(&tokens.of(x, pass.packing), &gathered, pass.mode) // [N, H]
    }

    /// The positions as this layer sees them.
    fn positions(&self, relative: &Relative, mode: Mode<'_>) -> Positions {
        let vectors = mode.dropout(relative.vectors.shallow_clone(), self.rest.dropout[0]); // [2·P, H]
        let project = |wanted: bool, own: Option<&Linear>, shared: &Linear| {
            wanted.then(|| {
                let projected = own.unwrap_or(shared).forward(&vectors); // [2·P, H]
                by_head(&projected, self.heads).permute([1, 2, 0]) // [h, d, 2·P]
            })
        };
        Positions {
            keys: project(self.details.c2p, self.position_key.as_ref(), &self.content.key),
            queries: project(self.details.p2c, self.position_query.as_ref(), &self.content.query),
            places: relative.places.shallow_clone(),
        }
    }
}

/// Projected positions, `[h, d, 2·P]`, and which of them stands between a query and a key.
struct Positions {
    keys: Option<Tensor>,
    queries: Option<Tensor>,
    places: Tensor,
}

impl Positions {
    /// `(q·posₖᵀ + k·pos_qᵀ)/√d` for `query` `[R, h, Sq, d]`, which is scaled by `less` already, and `key`
    /// `[R, h, S, d]`: `[R, h, Sq, S]`.
    fn bias(&self, query: &Tensor, key: &Tensor, less: f64) -> Tensor {
        let (asked, seen) = (query.size()[2], key.size()[2]);
        #[allow(clippy::cast_precision_loss)]
        let scale = (query.size()[3] as f64).sqrt().recip();
        let mut shape = query.size();
        shape[3] = seen;
        let places = self.places.narrow(0, 0, asked).narrow(1, 0, seen); // [Sq, S]
        let content_to_position = self.keys.as_ref().map(|positions| {
            let scores = query.matmul(positions) * scale; // [R, h, Sq, 2·P]
            scores.gather(-1, &places.expand(&shape, false), false) // [R, h, Sq, S]
        });
        let position_to_content = self.queries.as_ref().map(|positions| {
            let scores = (key * less).matmul(positions) * scale; // [R, h, S, 2·P]
            let mut across = shape.clone();
            across.swap(2, 3);
            scores.gather(-1, &places.transpose(0, 1).expand(&across, false), false).transpose(2, 3)
        });
        match (content_to_position, position_to_content) {
            (Some(left), Some(right)) => left + right,
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => Tensor::zeros([1, 1, 1, 1], (query.kind(), query.device())),
        }
    }
}
