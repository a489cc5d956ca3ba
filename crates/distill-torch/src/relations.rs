//! Scores between the tokens of a row, as in attention. Fused kernels do not return them.
//!
//! Legend: `T` tokens, `B` rows, `h` heads, `d` size of a head, `R` rows and `S` longest row of a group.

use tch::{Device, Tensor};

use crate::attention::padded;
use crate::error::or_panic;
use crate::packed::{Group, Packing};
use crate::transfer::copied_to;

/// The score of a missing or masked key. Not infinite, so that the difference of two is 0 and a padded query has finite
/// scores.
pub const MASKED_SCORE: f64 = -1e30;

/// Scores between the tokens of rows of similar length.
#[derive(Debug)]
pub struct Scores {
    /// `[R, h, S, S]`: queries, then keys; [`MASKED_SCORE`] for padding.
    pub values: Tensor,
    /// `[R, 1, S]`: one over the row's length for each of its queries, 0 for padding.
    pub query_shares: Tensor,
}

/// `left·rightᵀ/√d + bias` inside each row.
///
/// # Shapes
/// - `left`, `right`: `[T, h, d]`
/// - `bias`: `[1, h or 1, S, S]` for the longest row of the batch
/// - returns `[R, h, S, S]` for each group of rows, in the packing's order
pub fn scores(left: &Tensor, right: &Tensor, packing: &Packing, bias: Option<&Tensor>) -> Vec<Scores> {
    packing.groups().iter().map(|group| group_scores(left, right, packing, group, bias)).collect()
}

fn group_scores(
    left: &Tensor,
    right: &Tensor,
    packing: &Packing,
    group: &Group,
    bias: Option<&Tensor>,
) -> Scores {
    let [left_rows, right_rows] = [left, right].map(|tokens| padded(tokens, group)); // [R, h, S, d]
    let scale = (left.size()[2] as f64).sqrt().recip();
    let mut values = (left_rows * scale).matmul(&right_rows.transpose(-2, -1)); // [R, h, S, S]
    if let Some(bias) = bias {
        values += bias.narrow(2, 0, group.longest).narrow(3, 0, group.longest);
    }
    if let Some(padding) = &group.padding {
        values = values.masked_fill(&padding.mask.lt(0.0), MASKED_SCORE);
    }
    Scores { values, query_shares: query_shares(packing, group, left.device()) }
}

fn query_shares(packing: &Packing, group: &Group, device: Device) -> Tensor {
    let rows = group.first_row as usize..(group.first_row + group.rows) as usize;
    let shares: Vec<f32> = packing.lengths()[rows]
        .iter()
        .flat_map(|length| {
            let share = 1.0 / *length as f32;
            (0..group.longest).map(move |place| if place < *length { share } else { 0.0 })
        })
        .collect();
    or_panic(copied_to(&shares, device)).view([group.rows, 1, group.longest])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{Scores, attend};
    use tch::Kind;

    #[test]
    fn softmax_of_scores_is_attention_and_shares_of_a_row_are_one() {
        let lengths = [9i64, 7, 3, 1];
        let cu_seqlens = [0i32, 9, 16, 19, 20];
        let packing = Packing::new(&cu_seqlens, Device::Cpu).unwrap();
        let make = || Tensor::randn([20, 2, 4], (Kind::Float, Device::Cpu));
        let (query, key, value) = (make(), make(), make());
        let bias = Tensor::randn([1, 2, 9, 9], (Kind::Float, Device::Cpu));
        let mut outputs = Vec::new();
        for (group, found) in packing.groups().iter().zip(scores(&query, &key, &packing, Some(&bias))) {
            assert_eq!(found.query_shares.sum(Kind::Float).double_value(&[]).round(), group.rows as f64);
            let context = found.values.softmax(-1, Kind::Float).matmul(&padded(&value, group)); // [R, h, S, d]
            for row in 0..group.rows {
                let length = lengths[(group.first_row + row) as usize];
                outputs.push(context.get(row).transpose(0, 1).narrow(0, 0, length).reshape([length, -1]));
            }
        }
        let add = |query: &Tensor, key: &Tensor| bias.narrow(2, 0, query.size()[2]).narrow(3, 0, key.size()[2]);
        let expected = attend(&query, &key, &value, &packing, None, Scores::Biased(&add));
        assert!((Tensor::cat(&outputs, 0) - expected).abs().max().double_value(&[]) < 1e-5);
    }
}
