//! The C functions of `native/transfer.cpp`, made safe.

use std::ffi::c_int;

use tch::Tensor;
use torch_sys::C_tensor;

use super::returned;
use crate::error::TorchError;

unsafe extern "C" {
    fn distill_queue_to_device(here: *const C_tensor, device: c_int, out: *mut *mut C_tensor) -> c_int;
}

/// A copy of `here` on a CUDA device, queued: the host goes on.
pub(crate) fn queue_to_device(here: &Tensor, device: usize) -> Result<Tensor, TorchError> {
    let device = c_int::try_from(device).unwrap_or(c_int::MAX);
    // SAFETY: a live tensor, only read; libtorch keeps the page-locked one that it is copied from.
    returned("copy to the device", |out| unsafe { distill_queue_to_device(here.as_ptr(), device, out) })
}
