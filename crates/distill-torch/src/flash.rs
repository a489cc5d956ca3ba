//! Variable-length flash attention, on GPUs for 16-bit formats.
//!
//! Source: Dao 2023, arXiv:2307.08691.
//!
//! Legend: `T` tokens, `N` queries, `h` heads, `d` size of a head.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::error::TorchError;
use crate::ffi::{self, Sequences};
use crate::packed::Packing;

/// Attention of `[N, h, d]` over `[T, h, d]`, as `[N, h·d]`; none if there is no kernel for it. That is checked first:
/// otherwise an exception would be thrown for each layer of each batch, and it could hide an out-of-memory error.
///
/// # Errors
/// [`TorchError`] of the kernel.
pub(crate) fn attend(
    [query, key, value]: [&Tensor; 3],
    packing: &Packing,
    only_first: bool,
    reach: Option<i64>,
    dropout: f64,
) -> Result<Option<Tensor>, TorchError> {
    let Some(keys) = packing.sequences() else { return Ok(None) };
    // The kernel would treat the only query of a row as its last token.
    if only_first && reach.is_some() {
        return Ok(None);
    }
    let derived = ffi::gradients_enabled() && [query, key, value].iter().any(|part| part.requires_grad());
    if !takes(query.kind(), query.size()[2], derived) || !is_there(query.device())? {
        return Ok(None);
    }
    let context = if only_first {
        let one_each = Tensor::f_arange(packing.rows() + 1, (Kind::Int, query.device()))?;
        let queries = Sequences { cu_seqlens: &one_each, longest: 1 };
        ffi::flash_attention([query, key, value], &queries, &keys, None, dropout)?
    } else {
        ffi::flash_attention([query, key, value], &keys, &keys, reach, dropout)?
    };
    Ok(Some(context.f_flatten(1, 2)?))
}

/// What libtorch's kernel supports. Its backward pass supports the largest heads on some GPUs only.
fn takes(kind: Kind, size: i64, derived: bool) -> bool {
    let most = if derived { 192 } else { 256 };
    matches!(kind, Kind::BFloat16 | Kind::Half) && size % 8 == 0 && size <= most
}

/// Whether a device has the kernel. The first call tries it on one token.
///
/// # Errors
/// [`TorchError::OutOfMemory`] if the test had no memory, which does not answer the question.
pub(crate) fn is_there(device: Device) -> Result<bool, TorchError> {
    static FOUND: Mutex<BTreeMap<usize, bool>> = Mutex::new(BTreeMap::new());
    let Device::Cuda(number) = device else { return Ok(false) };
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = found.get(&number) {
        return Ok(*known);
    }
    let answer = match tried(device) {
        Err(error @ TorchError::OutOfMemory { .. }) => return Err(error),
        other => other.is_ok(),
    };
    found.insert(number, answer);
    Ok(answer)
}

fn tried(device: Device) -> Result<(), TorchError> {
    let token = Tensor::f_zeros([1, 1, 64], (Kind::BFloat16, device))?;
    let border = Tensor::f_arange(2, (Kind::Int, device))?;
    let rows = Sequences { cu_seqlens: &border, longest: 1 };
    ffi::flash_attention([&token, &token, &token], &rows, &rows, None, 0.0).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_heads_that_the_kernel_refuses_never_reach_it() {
        assert!(takes(Kind::BFloat16, 64, true) && takes(Kind::Half, 192, true));
        assert!(takes(Kind::BFloat16, 256, false) && !takes(Kind::BFloat16, 256, true));
        assert!(!takes(Kind::Float, 64, false) && !takes(Kind::BFloat16, 36, false));
        assert!(!takes(Kind::BFloat16, 264, false));
        assert!(!is_there(Device::Cpu).unwrap());
    }
}
