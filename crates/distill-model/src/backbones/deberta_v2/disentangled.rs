//! Disentangled attention: a score is the sum of content to content, content to position and position to content.
//!
//! Source: He et al. 2021, arXiv:2006.03654, section 3.1; buckets as in `transformers`' `DebertaV2Model`.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `R` rows of a group, `Sq` queries, `S` longest row, `P`
//! relative positions on one side, `H` hidden, `h` heads, `d` size of a head.

use distill_torch::attention::Scores;
use tch::{Device, Kind, Tensor};

use super::{Details, NAMES};
use crate::config::ModelConfig;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::Linear;
use crate::parts::attention::{SelfAttention, by_head};
use crate::parts::layer::PostNorm;
use crate::parts::positions::{distance_places, distances};
use crate::pass::{Pass, Queries};

/// Relative positions of one pass.
pub(super) struct Relative {
    /// Vectors of the positions, `[2·P, H]`.
    vectors: Tensor,
    /// Which of them stands for `query − key`: int64 `[S, S]`.
    places: Tensor,
}

impl Relative {
    /// With a table's vectors, `[2·P, H]`.
    pub fn new(vectors: Tensor, details: &Details, longest: i64) -> Self {
        let device = vectors.device();
        let by_distance = buckets(longest, details, device); // [2·S − 1]
        let places = distance_places(longest, device).transpose(0, 1).flatten(0, 1); // [S·S]
        Relative { vectors, places: by_distance.index_select(0, &places).view([longest, longest]) }
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
            let size = size.where_scalarother(&size.ge(middle), middle - 1);
            let (middle_f, ratio) = (middle as f64, (max_distance - 1) as f64 / middle as f64);
            // In f32 and in this order, as transformers: a border between buckets depends on the last bit.
            // Made on the device: a copy of it would wait for what the device is at work on.
            let scale = Tensor::from(ratio).to_kind(Kind::Float).log().double_value(&[]);
            let scale = Tensor::full([0i64; 0], scale, (Kind::Float, device));
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
pub(super) struct Layer {
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
    pub fn new(scope: &Scope<'_>, config: &ModelConfig, details: Details) -> Self {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let dropout = config.attention_dropout;
        let content = SelfAttention::new(scope, NAMES.query_key_value, hidden, heads, dropout);
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

    pub fn forward(
        &self,
        x: &Tensor,
        queries: Queries,
        pass: &Pass<'_>,
        relative: Option<&Relative>,
    ) -> Tensor {
        let qkv = self.content.query_key_value(x, queries, pass);
        pass.note_attention(&qkv, None);
        let [query, key, value] = qkv;
        // Every product below is divided by √(d · terms); the kernel divides by √d.
        let less = self.details.terms().sqrt().recip();
        let qkv = [query * less, key, value];
        let gathered = match relative.map(|relative| self.positions(relative, pass.mode)) {
            None => pass.attend_scored(qkv, queries, self.dropout, Scores::Plain),
            Some(positions) => {
                let bias = |query: &Tensor, key: &Tensor| positions.bias(query, key, less);
                pass.attend_scored(qkv, queries, self.dropout, Scores::Biased(&bias))
            }
        }; // [N, H]
        self.rest.forward(&queries.of(x, pass.packing), &gathered, pass.mode) // [N, H]
    }

    /// Lays the weights out for inference.
    pub fn pack(&self) {
        self.content.pack();
        self.position_key.iter().chain(&self.position_query).for_each(Linear::pack);
        self.rest.pack();
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
