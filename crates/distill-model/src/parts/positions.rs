//! Positions that come in with attention: rotation, windows, relative distances.
//!
//! Legend: `T` tokens in the batch, `S` longest row, `h` heads, `d` size of a head.

use std::cell::OnceCell;

use distill_torch::Packing;
use distill_torch::relations::MASKED_SCORE;
use tch::{Device, Kind, Tensor};

/// Rotary positions: dimensions at distance `d/2` rotate together by an angle that grows with the position.
///
/// Source: Su et al. 2021, arXiv:2104.09864, section 3.4, in the half-split form of GPT-NeoX.
#[derive(Debug)]
pub(crate) struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Angles of tokens at `position_ids`, int64 `[T]`, for heads of size `size`.
    pub fn new(position_ids: &Tensor, size: i64, theta: f64) -> Self {
        // In f32 and in this order, as transformers: at position 8,000 an angle shows the last bits.
        let options = (Kind::Float, position_ids.device());
        let exponents = Tensor::arange_start_step(0, size, 2, options) / size; // [d/2]
        let frequencies = Tensor::pow_scalar(theta, &exponents).reciprocal(); // [d/2]
        let angles = position_ids.to_kind(Kind::Float).unsqueeze(1) * frequencies; // [T, d/2]
        let angles = Tensor::cat(&[&angles, &angles], 1).unsqueeze(1); // [T, 1, d]
        Rotary { cos: angles.cos(), sin: angles.sin() }
    }

    /// `x` `[T, h, d]` rotated by its tokens' positions.
    pub fn apply_rotary(&self, x: &Tensor) -> Tensor {
        let wide = x.to_kind(Kind::Float);
        let halves = wide.chunk(2, -1); // 2 of [T, h, d/2]
        let across = Tensor::cat(&[halves[1].neg(), halves[0].shallow_clone()], -1); // [T, h, d]
        (&wide * &self.cos + across * &self.sin).to_kind(x.kind())
    }
}

/// The longest row of a batch, `S`.
pub(crate) fn longest(packing: &Packing) -> i64 {
    packing.lengths().iter().copied().max().unwrap_or(1)
}

/// The distances that occur in rows of `longest` tokens, from `−(S−1)` to `S−1`: int64 `[2·S − 1]`.
pub(crate) fn distances(longest: i64, device: Device) -> Tensor {
    Tensor::arange_start(1 - longest, longest, (Kind::Int64, device))
}

/// For each query and key the place of `key − query` among [`distances`]: int64 `[S, S]`.
pub(crate) fn distance_places(longest: i64, device: Device) -> Tensor {
    let places = Tensor::arange(longest, (Kind::Int64, device)); // [S]
    places.unsqueeze(0) - places.unsqueeze(1) + (longest - 1) // [S, S]
}

/// How far a token sees of its row.
#[derive(Debug)]
pub(crate) struct Window {
    /// In tokens, to each side.
    pub reach: i64,
    longest: i64,
    kind: Kind,
    device: Device,
    hidden: OnceCell<Tensor>,
}

impl Window {
    /// For a batch whose scores are of this kind.
    pub fn new(reach: i64, packing: &Packing, kind: Kind, device: Device) -> Self {
        Window { reach, longest: longest(packing), kind, device, hidden: OnceCell::new() }
    }

    /// A bias that hides keys further than `reach` from their query, `[1, 1, S, S]`, made when it is first asked for:
    /// most kernels need none.
    pub fn hidden(&self) -> &Tensor {
        self.hidden.get_or_init(|| {
            let longest = self.longest;
            let far = (distance_places(longest, self.device) - (longest - 1)).abs().gt(self.reach); // [S, S]
            (far.to_kind(self.kind) * MASKED_SCORE).view([1, 1, longest, longest])
        })
    }
}
