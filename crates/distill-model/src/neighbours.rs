//! Words that lie near one another among a model's word vectors.
//!
//! Source: Mikolov et al. 2013, arXiv:1301.3781, section 4 (nearest by cosine).
//!
//! Legend: `V` words to choose from, `W` words asked about, `E` width of the vectors.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

/// Words that are compared with all others at a time.
const CHUNK: usize = 256;

/// Of each of the tokens `asked`, the `count` nearest of the tokens `among` by cosine, itself left out; the
/// nearest first.
///
/// # Shapes
/// - `embeddings`: `[.., E]`
/// - returns places in `among`, `[W, count]`, or fewer where `among` has fewer
///
/// # Errors
/// [`TorchError`] from libtorch, such as for a token beyond the table.
pub fn nearest(
    embeddings: &Tensor,
    asked: &[u32],
    among: &[u32],
    count: usize,
) -> Result<Vec<Vec<usize>>, TorchError> {
    let _no_gradients = tch::no_grad_guard();
    let table = unit_vectors(embeddings, among)?; // [V, E]
    // One more than asked for: a word is its own nearest.
    let wanted = (count + 1).min(among.len()) as i64;
    let mut found = Vec::with_capacity(asked.len());
    for chunk in asked.chunks(CHUNK) {
        let own = unit_vectors(embeddings, chunk)?; // [w, E]
        let places = guard("nearest words", || {
            own.matmul(&table.tr()).topk(wanted, -1, true, true).1.to_kind(Kind::Int64) // [w, wanted]
        })?;
        let places = Vec::<Vec<i64>>::try_from(&places)?;
        for (token, places) in chunk.iter().zip(places) {
            let places = places.into_iter().filter_map(|place| usize::try_from(place).ok());
            found.push(places.filter(|place| among[*place] != *token).take(count).collect());
        }
    }
    Ok(found)
}

fn unit_vectors(embeddings: &Tensor, tokens: &[u32]) -> Result<Tensor, TorchError> {
    let ids: Vec<i64> = tokens.iter().map(|token| i64::from(*token)).collect();
    let vectors = embeddings.f_index_select(0, &Tensor::from_slice(&ids).to_device(embeddings.device()))?;
    guard("nearest words", || {
        let vectors = vectors.to_kind(Kind::Float);
        let lengths = vectors.norm_scalaropt_dim(2.0, [-1i64], true).clamp_min(1e-12);
        vectors / lengths
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_those_of_the_smallest_angle() {
        let table = Tensor::from_slice2(&[[1f32, 0.], [10., 1.], [0., 1.], [-1., 0.], [1., 1.]]);
        assert_eq!(nearest(&table, &[0, 2], &[0, 1, 2, 4], 2).unwrap(), [vec![1, 3], vec![3, 1]]);
        assert_eq!(nearest(&table, &[3], &[0, 3], 5).unwrap(), [vec![0]]);
        assert!(nearest(&table, &[9], &[0], 1).is_err());
    }
}
