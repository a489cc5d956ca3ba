//! Safe wrappers of the C functions of `native/transfer.cpp`.

use std::ffi::c_int;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{checked, returned};
use crate::error::TorchError;

unsafe extern "C" {
    fn distill_queue_to_device(here: *const C_tensor, device: c_int, out: *mut *mut C_tensor) -> c_int;
    fn distill_queue_to_host(
        there: *const C_tensor,
        out: *mut *mut C_tensor,
        copied: *mut *mut CopyEvent,
    ) -> c_int;
    fn distill_wait_for(copied: *const CopyEvent) -> c_int;
    fn distill_forget_event(copied: *mut CopyEvent);
}

/// libtorch's `c10::Event`.
#[repr(C)]
struct CopyEvent {
    _opaque: [u8; 0],
}

/// Queues a copy of `here` to a CUDA device and returns without waiting.
pub(crate) fn queue_to_device(here: &Tensor, device: usize) -> Result<Tensor, TorchError> {
    let device = c_int::try_from(device).unwrap_or(c_int::MAX);
    // SAFETY: a live tensor, only read; libtorch keeps the page-locked one that it is copied from.
    returned("copy to the device", |out| unsafe { distill_queue_to_device(here.as_ptr(), device, out) })
}

/// A tensor on its way to page-locked memory of the host.
pub(crate) struct Queued {
    here: Tensor,
    copied: *mut CopyEvent,
}

impl Queued {
    /// Queues the copy of a tensor on a CUDA device.
    pub fn of(there: &Tensor) -> Result<Self, TorchError> {
        let mut copied = std::ptr::null_mut();
        // SAFETY: a live tensor, only read; on success the shim stores an event that this value owns.
        let here = returned("copy to the host", |out| unsafe {
            distill_queue_to_host(there.as_ptr(), out, &mut copied)
        })?;
        Ok(Queued { here, copied })
    }

    /// The tensor, once it has arrived.
    pub fn wait(&self) -> Result<&Tensor, TorchError> {
        // SAFETY: the event of this value, alive until it is dropped.
        checked("copy to the host", unsafe { distill_wait_for(self.copied) })?;
        Ok(&self.here)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // SAFETY: the event belongs to this value, and nothing uses it afterwards.
        unsafe { distill_forget_event(self.copied) };
    }
}
