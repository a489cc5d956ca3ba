//! Rows of a batch concatenated without padding, and the views of them that attention needs.
//!
//! Legend: `T` tokens in the batch, `B` rows, `S` longest row of a group.

use std::cell::OnceCell;

use tch::{Device, Kind, Tensor};

use crate::error::{TorchError, or_panic};
use crate::ffi::Sequences;
use crate::transfer::{copied_to, copied_together};

/// Padding that a group may hold: a share of its tokens, or a few tokens that cost less than a call.
const GROUP_PADDING_SHARE: f64 = 0.025;
const GROUP_PADDING_TOKENS: i64 = 24;

/// Where each row of a packed batch begins and ends, with rows of similar length in groups.
#[derive(Debug)]
pub struct Packing {
    lengths: Vec<i64>,
    /// Each row's first token, and `T` last.
    starts: Vec<i64>,
    first_tokens: Tensor,
    /// int32 `[B+1]`, for variable-length kernels; none on the CPU, which has no such kernels.
    cu_seqlens: Option<Tensor>,
    /// Whether attention uses padded views even if another kernel could run.
    padded: bool,
    /// Created on first use: many passes do not need it.
    groups: OnceCell<Vec<Group>>,
}

/// Consecutive rows that one attention call takes together.
#[derive(Debug)]
pub(crate) struct Group {
    pub rows: i64,
    pub first_row: i64,
    pub tokens: i64,
    pub first_token: i64,
    /// `S`, the group's longest row.
    pub longest: i64,
    /// None if all rows have the same length: then the packed tokens are the padded view.
    pub padding: Option<Padding>,
}

/// How to go from packed tokens to a padded view and back.
#[derive(Debug)]
pub(crate) struct Padding {
    /// int64 `[rows·S]`: the packed token (counted in the group) shown at each padded place.
    pub gather: Tensor,
    /// int64 `[tokens]`: the padded place of each packed token.
    pub scatter: Tensor,
    /// float `[rows, 1, 1, S]`: 0 for a token, −∞ for padding.
    pub mask: Tensor,
}

impl Packing {
    /// The packing of rows whose borders are `cu_seqlens` (`[B+1]`, from 0 to `T`).
    /// Rows should be ordered by length, so that neighbours can share a call.
    ///
    /// # Errors
    /// [`TorchError`] if borders do not increase from 0.
    pub fn new(cu_seqlens: &[i32], device: Device) -> Result<Self, TorchError> {
        Self::with_numbers([], cu_seqlens, device).map(|(packing, [])| packing)
    }

    /// As [`Packing::new`], and the batch's numbers, which go to the device in the same copy.
    ///
    /// # Errors
    /// As [`Packing::new`]; [`TorchError`] if the device has no memory for them.
    pub fn with_numbers<const N: usize>(
        numbers: [&[i64]; N],
        cu_seqlens: &[i32],
        device: Device,
    ) -> Result<(Self, [Tensor; N]), TorchError> {
        let lengths: Vec<i64> =
            cu_seqlens.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])).collect();
        if cu_seqlens.first() != Some(&0) || lengths.is_empty() || lengths.iter().any(|length| *length <= 0) {
            return Err(TorchError::new(
                "packing",
                &format!("cu_seqlens must increase from 0: {cu_seqlens:?}"),
            ));
        }
        let starts: Vec<i64> = cu_seqlens.iter().map(|start| i64::from(*start)).collect();
        let lists: Vec<&[i64]> = std::iter::once(starts.as_slice()).chain(numbers).collect();
        let mut tensors = copied_together(&lists, device)?;
        let numbers = <[Tensor; N]>::try_from(tensors.split_off(1))
            .map_err(|_| TorchError::new("packing", "the numbers of tensors and lists differ"))?;
        let starts_there = tensors.swap_remove(0); // [B + 1]
        let packing = Packing {
            first_tokens: starts_there.f_narrow(0, 0, lengths.len() as i64)?,
            cu_seqlens: device.is_cuda().then(|| starts_there.f_to_kind(Kind::Int)).transpose()?,
            lengths,
            starts,
            padded: false,
            groups: OnceCell::new(),
        };
        Ok((packing, numbers))
    }

    /// The same rows, whose attention is computed through padded views by libtorch's operators: the reference that
    /// tests compare the kernels for packed tokens with.
    #[doc(hidden)]
    #[must_use]
    pub fn by_padding(self) -> Self {
        Packing { padded: true, ..self }
    }

    /// Number of rows, `B`.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.lengths.len()).unwrap_or(i64::MAX)
    }

    /// Number of tokens, `T`.
    pub fn tokens(&self) -> i64 {
        self.lengths.iter().sum()
    }

    /// int64 `[B]`: each row's first token, `[CLS]`.
    pub fn first_tokens(&self) -> &Tensor {
        &self.first_tokens
    }

    /// Length of each row, in tokens.
    pub fn lengths(&self) -> &[i64] {
        &self.lengths
    }

    /// The rows in the form of variable-length kernels, if one can run.
    pub(crate) fn sequences(&self) -> Option<Sequences<'_>> {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        self.cu_seqlens.as_ref().filter(|_| !self.padded).map(|cu_seqlens| Sequences { cu_seqlens, longest })
    }

    /// Each row's first token, and `T` last, for a kernel on packed tokens on the CPU; none if padding is requested.
    pub(crate) fn starts(&self) -> Option<&[i64]> {
        (!self.padded).then_some(&self.starts)
    }

    /// Rows of similar length, for operations on padded views.
    pub(crate) fn groups(&self) -> &[Group] {
        self.groups.get_or_init(|| {
            let device = self.first_tokens.device();
            group_borders(&self.lengths)
                .windows(2)
                .map(|pair| Group::new(&self.lengths[pair[0]..pair[1]], pair[0], self.starts[pair[0]], device))
                .collect()
        })
    }
}

/// Row numbers at which groups begin, and the number of rows last.
fn group_borders(lengths: &[i64]) -> Vec<usize> {
    let mut borders = vec![0];
    let (mut longest, mut tokens, mut rows) = (0, 0, 0);
    for (row, &length) in lengths.iter().enumerate() {
        let padding = longest.max(length) * (rows + 1) - (tokens + length);
        let allowed =
            padding <= GROUP_PADDING_TOKENS || padding as f64 <= GROUP_PADDING_SHARE * (tokens + length) as f64;
        if rows > 0 && !allowed {
            borders.push(row);
            (longest, tokens, rows) = (0, 0, 0);
        }
        longest = longest.max(length);
        tokens += length;
        rows += 1;
    }
    borders.push(lengths.len());
    borders
}

impl Group {
    fn new(lengths: &[i64], first_row: usize, first_token: i64, device: Device) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let uneven = lengths.iter().any(|length| *length != longest);
        Group {
            rows: lengths.len() as i64,
            first_row: first_row as i64,
            tokens: lengths.iter().sum(),
            first_token,
            longest,
            padding: uneven.then(|| Padding::new(lengths, longest, device)),
        }
    }
}

impl Padding {
    fn new(lengths: &[i64], longest: i64, device: Device) -> Self {
        let places = lengths.len() * longest as usize;
        let (mut gather, mut mask) = (Vec::with_capacity(places), Vec::with_capacity(places));
        let mut scatter = Vec::new();
        let mut start = 0;
        for (row, &length) in lengths.iter().enumerate() {
            for place in 0..longest {
                // A padded place shows the row's last token; the mask keeps it from being seen.
                gather.push(start + place.min(length - 1));
                mask.push(if place < length { 0f32 } else { f32::NEG_INFINITY });
                if place < length {
                    scatter.push(row as i64 * longest + place);
                }
            }
            start += length;
        }
        let shape = [lengths.len() as i64, 1, 1, longest];
        Padding {
            gather: or_panic(copied_to(&gather, device)),
            scatter: or_panic(copied_to(&scatter, device)),
            mask: or_panic(copied_to(&mask, device)).view(shape),
        }
    }

    /// The mask in the dtype of the scores.
    pub fn mask_as(&self, kind: Kind) -> Tensor {
        self.mask.to_kind(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_every_row_once_and_hold_little_padding() {
        let lengths: Vec<i64> = (1..=300).rev().collect();
        let mut cu_seqlens = vec![0i32];
        for length in &lengths {
            cu_seqlens.push(cu_seqlens.last().unwrap() + i32::try_from(*length).unwrap());
        }
        let packing = Packing::new(&cu_seqlens, Device::Cpu).unwrap();
        let (mut next, mut places) = ((0, 0), 0);
        for group in packing.groups() {
            assert_eq!((group.first_row, group.first_token), next);
            next = (group.first_row + group.rows, group.first_token + group.tokens);
            places += group.longest * group.rows;
        }
        assert_eq!(next, (packing.rows(), packing.tokens()));
        let padding = places - packing.tokens();
        assert!(padding * 100 < 3 * packing.tokens(), "{padding} of {} tokens", packing.tokens());
    }

    #[test]
    fn borders_that_do_not_increase_are_refused() {
        for bad in [vec![], vec![0], vec![1, 2], vec![0, 3, 3], vec![0, 3, 2]] {
            assert!(Packing::new(&bad, Device::Cpu).is_err(), "{bad:?}");
        }
    }
}
