//! Narrower word vectors: a factorisation of the embeddings, where an architecture widens them by a linear layer.
//!
//! Legend: `V` vocabulary, `E` width of the word vectors, `F` the narrower width, `H` hidden.
//!
//! Tables are projected onto the directions in which they vary most, and the layer that widens them takes the projection back:
//! the best approximation of that width (Eckart and Young 1936). Where a LayerNorm is between the two (ALBERT, ELECTRA), the vectors
//! are first freed of their means, which it takes away, and put among those of width `F` whose elements sum to 0: the
//! narrow norm then does to them what the wide one did. At full width nothing changes but rounding.

use std::collections::BTreeMap;

use distill_torch::{TorchError, guard};
use tch::{Device, Kind, Tensor};

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::parameters::renamed;

/// The key in `config.json`.
const KEY: &str = "embedding_size";
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Where an architecture widens its word vectors.
#[derive(Clone, Copy)]
struct Widening {
    layer: &'static str,
    has_bias: bool,
    /// Whether the norm comes before it.
    behind_norm: bool,
}

fn widening(config: &ModelConfig) -> Option<Widening> {
    Some(match config.architecture.model_type {
        "albert" => {
            Widening { layer: "albert.encoder.embedding_hidden_mapping_in", has_bias: true, behind_norm: true }
        }
        "electra" => Widening { layer: "electra.embeddings_project", has_bias: true, behind_norm: true },
        "deberta-v2" => {
            Widening { layer: "deberta.embeddings.embed_proj", has_bias: false, behind_norm: false }
        }
        _ => return None,
    })
}

impl ModelConfig {
    /// Width of the word vectors, `E`.
    pub fn embedding_size(&self) -> i64 {
        let default =
            if ["albert", "electra"].contains(&self.architecture.model_type) { 128 } else { self.hidden_size };
        let own = self.raw.get(KEY).and_then(serde_json::Value::as_i64);
        if widening(self).is_some() { own.unwrap_or(default) } else { self.hidden_size }
    }

    /// The same architecture with narrower word vectors.
    ///
    /// # Errors
    /// [`ModelError::EmbeddingSize`] where the architecture's are as wide as its hidden states, or `size` is not less.
    pub fn with_embedding_size(&self, size: i64) -> Result<Self, ModelError> {
        let own = self.embedding_size();
        let refused = |why: String| Err(ModelError::EmbeddingSize { chosen: size, why });
        if widening(self).is_none() {
            let name = self.architecture.model_type;
            return refused(format!(
                "the word vectors of {name} are as wide as its hidden states; only albert, electra and deberta-v2 widen theirs"
            ));
        }
        if !(2..own).contains(&size) {
            return refused(format!("the model's word vectors have {own}; expected 2 to {}", own - 1));
        }
        let mut raw = self.raw.clone();
        raw.insert(KEY.to_owned(), size.into());
        let config = Self::from_json(raw, &self.path)?;
        let (labels, problem_type) = (self.labels.clone(), self.problem_type);
        Ok(ModelConfig { labels, problem_type, head: self.head, ..config })
    }
}

/// Weights of a model with narrower word vectors. `own` is the config that the weights have, but for their vocabulary.
///
/// # Errors
/// [`TorchError`] from libtorch.
pub(crate) fn narrowed(
    given: BTreeMap<String, Tensor>,
    own: &ModelConfig,
    size: i64,
) -> Result<BTreeMap<String, Tensor>, TorchError> {
    let mut given = renamed(given, own.architecture);
    let Some(widening) = widening(own) else { return Ok(given) };
    let place = format!("{}.embeddings", own.architecture.prefix);
    let tables: Vec<String> = ["word", "position", "token_type"]
        .map(|table| format!("{place}.{table}_embeddings.weight"))
        .into_iter()
        .filter(|name| given.contains_key(name))
        .collect();
    let _no_gradients = tch::no_grad_guard();
    let layer = |part: &str| format!("{}.{part}", widening.layer);
    guard("narrowing the word vectors", || {
        let centred = |table: &Tensor| {
            let table = table.to_kind(Kind::Double);
            if widening.behind_norm {
                &table - table.mean_dim([-1i64].as_slice(), true, Kind::Double)
            } else {
                table
            }
        };
        let wide: Vec<Tensor> = tables.iter().map(|name| centred(&given[name])).collect(); // [.., E]
        let (basis, kept) = basis(&wide, size, widening.behind_norm); // [E, F]
        for (name, table) in tables.iter().zip(&wide) {
            given.insert(name.clone(), table.matmul(&basis).to_kind(Kind::Float)); // [.., F]
        }
        let width = own.embedding_size();
        let mut weight = match given.get(&layer("weight")) {
            Some(weight) => weight.to_kind(Kind::Double).copy(), // [H, E]
            None => Tensor::eye(width, DOUBLE),
        };
        if widening.behind_norm {
            let norm = |part: &str| format!("{place}.LayerNorm.{part}");
            if let (Some(scale), Some(shift)) = (given.get(&norm("weight")), given.get(&norm("bias"))) {
                let shift = weight.matmul(&shift.to_kind(Kind::Double)); // [H]
                let bias = given.get(&layer("bias")).map(|bias| bias.to_kind(Kind::Double));
                let bias = bias.map_or(shift.shallow_clone(), |bias| bias + shift);
                weight *= scale.to_kind(Kind::Double).unsqueeze(0);
                given.insert(layer("bias"), bias.to_kind(Kind::Float));
            }
            given.insert(norm("weight"), Tensor::ones([size], (Kind::Float, Device::Cpu)));
            given.insert(norm("bias"), Tensor::zeros([size], (Kind::Float, Device::Cpu)));
            weight *= (width as f64 / size as f64).sqrt() * kept.sqrt();
        }
        if !widening.has_bias {
            given.remove(&layer("bias"));
        }
        given.insert(layer("weight"), weight.matmul(&basis).to_kind(Kind::Float)); // [H, F]
    })?;
    Ok(given)
}

/// The directions in which tables vary most, `[E, F]`, and their share of the squares. `summing_to_0`: vectors of width `F` in
/// them have elements that sum to 0, which takes one direction.
fn basis(tables: &[Tensor], size: i64, summing_to_0: bool) -> (Tensor, f64) {
    let moments = tables.iter().map(|table| table.tr().matmul(table) / table.size()[0]);
    let moments = moments.reduce(|left, right| left + right).unwrap_or_else(|| Tensor::zeros([1, 1], DOUBLE));
    let (values, vectors) = moments.linalg_eigh("L"); // rising
    let count = if summing_to_0 { size - 1 } else { size };
    let last = values.size()[0] - count;
    let all = values.sum(Kind::Double).double_value(&[]).max(f64::MIN_POSITIVE);
    let kept = values.narrow(0, last, count).sum(Kind::Double).double_value(&[]) / all;
    let directions = vectors.narrow(1, last, count); // [E, count]
    if !summing_to_0 {
        return (directions, kept);
    }
    (directions.matmul(&helmert(count)), kept) // [E, F]
}

/// Orthonormal rows that sum to 0, `[count, count + 1]`.
fn helmert(count: i64) -> Tensor {
    let mut rows = Vec::new();
    for row in 1..=count {
        let scale = ((row * (row + 1)) as f64).sqrt();
        rows.extend((0..=count).map(|column| match column {
            column if column < row => 1.0 / scale,
            column if column == row => -(row as f64) / scale,
            _ => 0.0,
        }));
    }
    Tensor::from_slice(&rows).reshape([count, count + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_orthonormal_and_sum_to_0() {
        let rows = helmert(5);
        let difference = (rows.matmul(&rows.tr()) - Tensor::eye(5, DOUBLE)).abs().max().double_value(&[]);
        assert!(difference < 1e-12, "{difference}");
        assert!(rows.sum_dim_intlist([1i64].as_slice(), false, None).abs().max().double_value(&[]) < 1e-12);
    }
}
