//! The C functions of `native/shim.cpp`, made safe.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::TorchError;

unsafe extern "C" {
    fn distill_last_error() -> *const c_char;
    fn distill_show_config(out: *mut c_char, capacity: usize) -> c_int;
    fn distill_parallel_info(out: *mut c_char, capacity: usize) -> c_int;
    fn distill_cpu_rng_state(out: *mut *mut C_tensor) -> c_int;
    fn distill_set_cpu_rng_state(state: *const C_tensor) -> c_int;
    fn distill_set_deterministic(on: c_int) -> c_int;
    fn distill_fused_adamw(
        params: *const *const C_tensor,
        grads: *const *const C_tensor,
        exp_avgs: *const *const C_tensor,
        exp_avg_sqs: *const *const C_tensor,
        steps: *const *const C_tensor,
        count: usize,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
    ) -> c_int;
    fn distill_clip_grad_norm(
        grads: *const *const C_tensor,
        count: usize,
        max_norm: f64,
        norm: *mut *mut C_tensor,
    ) -> c_int;
    fn distill_drop_gradients(params: *const *const C_tensor, count: usize) -> c_int;
}

fn checked(operation: &'static str, status: c_int) -> Result<(), TorchError> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the shim returns a NUL-terminated string that lives until this thread's next failure.
    let message = unsafe { CStr::from_ptr(distill_last_error()) }.to_string_lossy().into_owned();
    Err(TorchError::new(operation, &message))
}

fn pointers(tensors: &[Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(Tensor::as_ptr).collect()
}

fn text(
    operation: &'static str,
    fill: unsafe extern "C" fn(*mut c_char, usize) -> c_int,
) -> Result<String, TorchError> {
    let mut buffer = vec![0u8; 1 << 16];
    // SAFETY: the shim writes at most `capacity` bytes, NUL included, into the buffer it is given.
    checked(operation, unsafe { fill(buffer.as_mut_ptr().cast(), buffer.len()) })?;
    Ok(CStr::from_bytes_until_nul(&buffer).unwrap_or_default().to_string_lossy().into_owned())
}

/// `at::show_config()`: libtorch's version and how it was built.
pub(crate) fn show_config() -> Result<String, TorchError> {
    text("show_config", distill_show_config)
}

/// `at::get_parallel_info()`: threads of each runtime.
pub(crate) fn parallel_info() -> Result<String, TorchError> {
    text("parallel_info", distill_parallel_info)
}

/// State of the CPU generator: uint8 `[5056]` in this release.
pub(crate) fn cpu_rng_state() -> Result<Tensor, TorchError> {
    let mut state = std::ptr::null_mut();
    // SAFETY: on success the shim stores a new tensor that the caller owns, which `from_ptr` takes over.
    unsafe {
        checked("rng state", distill_cpu_rng_state(&mut state))?;
        Ok(Tensor::from_ptr(state))
    }
}

/// Sets the CPU generator to a state from [`cpu_rng_state`].
pub(crate) fn set_cpu_rng_state(state: &Tensor) -> Result<(), TorchError> {
    // SAFETY: the pointer is a live tensor, only read; a wrong size or type is a C++ exception.
    checked("set rng state", unsafe { distill_set_cpu_rng_state(state.as_ptr()) })
}

/// `torch.use_deterministic_algorithms(on, warn_only=True)`.
pub(crate) fn set_deterministic(on: bool) -> Result<(), TorchError> {
    // SAFETY: no pointers cross.
    checked("deterministic", unsafe { distill_set_deterministic(c_int::from(on)) })
}

/// The tensors of one fused AdamW call; all lists have the same length.
pub(crate) struct AdamWTensors<'a> {
    pub params: &'a [Tensor],
    pub grads: &'a [Tensor],
    pub exp_avgs: &'a [Tensor],
    pub exp_avg_sqs: &'a [Tensor],
    pub steps: &'a [Tensor],
}

/// One AdamW step in place over all tensors.
pub(crate) fn fused_adamw(
    tensors: &AdamWTensors<'_>,
    lr: f64,
    betas: (f64, f64),
    weight_decay: f64,
    eps: f64,
) -> Result<(), TorchError> {
    let count = tensors.params.len();
    let lists = [tensors.params, tensors.grads, tensors.exp_avgs, tensors.exp_avg_sqs, tensors.steps];
    if lists.iter().any(|list| list.len() != count) {
        return Err(TorchError::new("adamw", "lists of different lengths"));
    }
    let [params, grads, exp_avgs, exp_avg_sqs, steps] = lists.map(pointers);
    // SAFETY: five arrays of `count` live tensors; the shim keeps none of them.
    checked("adamw", unsafe {
        distill_fused_adamw(
            params.as_ptr(),
            grads.as_ptr(),
            exp_avgs.as_ptr(),
            exp_avg_sqs.as_ptr(),
            steps.as_ptr(),
            count,
            lr,
            betas.0,
            betas.1,
            weight_decay,
            eps,
        )
    })
}

/// Scales gradients in place to a joint norm of at most `max_norm`; returns the norm before, `[]`.
pub(crate) fn clip_grad_norm(grads: &[Tensor], max_norm: f64) -> Result<Tensor, TorchError> {
    let list = pointers(grads);
    let mut norm = std::ptr::null_mut();
    // SAFETY: an array of `len` live tensors; on success the new tensor is owned by the caller.
    unsafe {
        checked("clip_grad_norm", distill_clip_grad_norm(list.as_ptr(), list.len(), max_norm, &mut norm))?;
        Ok(Tensor::from_ptr(norm))
    }
}

/// Forgets gradients, so that the next backward pass stores instead of adding to zeros.
pub(crate) fn drop_gradients(params: &[Tensor]) -> Result<(), TorchError> {
    let list = pointers(params);
    // SAFETY: an array of `len` live tensors; the shim only resets their gradient handle.
    checked("drop_gradients", unsafe { distill_drop_gradients(list.as_ptr(), list.len()) })
}

/// Turns recording of gradients on or off for this thread; returns what it was.
pub(crate) fn set_gradients_enabled(on: bool) -> bool {
    // SAFETY: sets a thread-local flag of libtorch.
    unsafe { torch_sys::at_grad_set_enabled(c_int::from(on)) != 0 }
}

/// Whether this thread records gradients.
pub(crate) fn gradients_enabled() -> bool {
    let enabled = set_gradients_enabled(true);
    set_gradients_enabled(enabled);
    enabled
}
