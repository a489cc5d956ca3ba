//! Safe wrappers of the C functions of `native/shim.cpp`.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use crate::error::TorchError;

pub(crate) mod transfer;

unsafe extern "C" {
    fn distill_last_error() -> *const c_char;
    fn distill_show_config(out: *mut c_char, capacity: usize) -> c_int;
    fn distill_parallel_info(out: *mut c_char, capacity: usize) -> c_int;
    fn distill_seed_generator(device: c_int, seed: u64) -> c_int;
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
    fn distill_lerp(
        means: *const *const C_tensor,
        values: *const *const C_tensor,
        count: usize,
        share: f64,
    ) -> c_int;
    fn distill_drop_gradients(params: *const *const C_tensor, count: usize) -> c_int;
    fn distill_onednn_available(bf16: c_int, out: *mut c_int) -> c_int;
    fn distill_onednn_pack(weight: *const C_tensor, tokens: i64, out: *mut *mut C_tensor) -> c_int;
    fn distill_onednn_linear(
        x: *const C_tensor,
        packed: *const C_tensor,
        bias: *const C_tensor,
        activation: *const c_char,
        algorithm: *const c_char,
        out: *mut *mut C_tensor,
    ) -> c_int;
    fn distill_onednn_linear_add(
        x: *const C_tensor,
        other: *const C_tensor,
        packed: *const C_tensor,
        bias: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> c_int;
    fn distill_prefers_onednn_products() -> c_int;
    fn distill_onednn_trained_linear(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> c_int;
    fn distill_attention(
        query: *const C_tensor,
        key: *const C_tensor,
        value: *const C_tensor,
        starts: *const i64,
        rows: usize,
        one_query: c_int,
        reach: i64,
        probability: f64,
        seed: u64,
        position: u64,
        out: *mut *mut C_tensor,
    ) -> c_int;
    fn distill_dropout_mask(mask: *mut f32, count: i64, seed: u64, start: u64, threshold: u16, scale: f32);
    fn distill_attention_takes_bf16(size: i64) -> c_int;
    fn distill_flash_attention(
        query: *const C_tensor,
        key: *const C_tensor,
        value: *const C_tensor,
        cu_seqlens_q: *const C_tensor,
        cu_seqlens_k: *const C_tensor,
        longest_q: i64,
        longest_k: i64,
        reach: i64,
        dropout: f64,
        out: *mut *mut C_tensor,
    ) -> c_int;
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

/// Seeds the generator of a single device.
pub(crate) fn seed_generator(device: Device, seed: u64) -> Result<(), TorchError> {
    let number = match device {
        Device::Cpu => -1,
        Device::Cuda(number) => c_int::try_from(number).unwrap_or(c_int::MAX),
        _ => return Err(TorchError::new("seeding", "neither the CPU nor a CUDA device")),
    };
    // SAFETY: no pointers cross.
    checked("seeding", unsafe { distill_seed_generator(number, seed) })
}

/// The tensors of one fused AdamW call; all lists have the same length.
pub(crate) struct AdamWTensors<'a> {
    pub params: &'a [Tensor],
    pub grads: &'a [Tensor],
    pub exp_avgs: &'a [Tensor],
    pub exp_avg_sqs: &'a [Tensor],
    pub steps: &'a [Tensor],
}

/// One AdamW step in place over all tensors; increments their step counts.
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

/// Moves each mean towards its value by a share of the distance, in place.
pub(crate) fn lerp(means: &[Tensor], values: &[Tensor], share: f64) -> Result<(), TorchError> {
    if means.len() != values.len() {
        return Err(TorchError::new("mean of weights", "lists of different lengths"));
    }
    let [to, from] = [means, values].map(pointers);
    // SAFETY: two arrays of `len` live tensors; the shim keeps none of them.
    checked("mean of weights", unsafe { distill_lerp(to.as_ptr(), from.as_ptr(), to.len(), share) })
}

/// Drops gradients, so that the next backward pass stores instead of adding to zeros.
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

/// A new tensor from a shim function with an output parameter.
fn returned(
    operation: &'static str,
    call: impl FnOnce(*mut *mut C_tensor) -> c_int,
) -> Result<Tensor, TorchError> {
    let mut out = std::ptr::null_mut();
    checked(operation, call(&mut out))?;
    // SAFETY: after success the shim has stored a new tensor that the caller owns.
    Ok(unsafe { Tensor::from_ptr(out) })
}

fn pointer_or_null(tensor: Option<&Tensor>) -> *const C_tensor {
    tensor.map_or(std::ptr::null(), Tensor::as_ptr)
}

/// Whether oneDNN's fused linear operators exist and support `kind` on this processor.
pub(crate) fn onednn_available(kind: Kind) -> Result<bool, TorchError> {
    let bf16 = match kind {
        Kind::Float => false,
        Kind::BFloat16 => true,
        _ => return Ok(false),
    };
    let mut found = 0;
    // SAFETY: the shim writes one int.
    checked("oneDNN", unsafe { distill_onednn_available(c_int::from(bf16), &mut found) })?;
    Ok(found != 0)
}

/// A weight `[out, in]` in oneDNN's layout for about `tokens` rows.
pub(crate) fn onednn_pack(weight: &Tensor, tokens: i64) -> Result<Tensor, TorchError> {
    // SAFETY: a live tensor, only read.
    returned("packing a weight", |out| unsafe { distill_onednn_pack(weight.as_ptr(), tokens, out) })
}

/// `x · Wᵀ + b` followed by an activation, with oneDNN's names.
pub(crate) fn onednn_linear(
    x: &Tensor,
    packed: &Tensor,
    bias: Option<&Tensor>,
    activation: &CStr,
    algorithm: &CStr,
) -> Result<Tensor, TorchError> {
    // SAFETY: live tensors, the bias or null, and NUL-terminated names; nothing is kept.
    returned("linear", |out| unsafe {
        distill_onednn_linear(
            x.as_ptr(),
            packed.as_ptr(),
            pointer_or_null(bias),
            activation.as_ptr(),
            algorithm.as_ptr(),
            out,
        )
    })
}

/// `x · Wᵀ + b + other`.
pub(crate) fn onednn_linear_add(
    x: &Tensor,
    other: &Tensor,
    packed: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor, TorchError> {
    // SAFETY: live tensors, the bias or null; nothing is kept.
    returned("linear", |out| unsafe {
        distill_onednn_linear_add(x.as_ptr(), other.as_ptr(), packed.as_ptr(), pointer_or_null(bias), out)
    })
}

/// Whether oneDNN's products of f32 are faster than those of libtorch's other library on this processor.
pub(crate) fn prefers_onednn_products() -> bool {
    // SAFETY: a number comes out.
    (unsafe { distill_prefers_onednn_products() }) != 0
}

/// `x · Wᵀ + b` of f32 `[T, in]` and `[out, in]` on the CPU by oneDNN, forward and backward.
pub(crate) fn onednn_trained_linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor, TorchError> {
    // SAFETY: live tensors, the bias or null, whose shapes the shim checks; libtorch keeps what autograd needs.
    returned("linear", |out| unsafe {
        distill_onednn_trained_linear(x.as_ptr(), weight.as_ptr(), pointer_or_null(bias), out)
    })
}

/// How a batch's attention weights are dropped: with a probability, and numbers that depend only on seed and position.
#[derive(Clone, Copy, Default)]
pub(crate) struct DroppedWeights {
    pub probability: f64,
    pub seed: u64,
    pub position: u64,
}

/// Whether [`attention`] supports heads of this size and kind on this processor.
pub(crate) fn attention_takes(kind: Kind, size: i64) -> bool {
    match kind {
        Kind::Float => true,
        // SAFETY: a number goes in and a number comes out.
        Kind::BFloat16 => (unsafe { distill_attention_takes_bf16(size) }) != 0,
        _ => false,
    }
}

/// Attention inside each row on the CPU: `query` `[N, h, d]`, `key` and `value` `[T, h, d]`; returns `[N, h·d]`.
/// `starts` are the rows' first tokens and `T`; `N` is `T`, or the number of rows if only first tokens are queries. With
/// `reach`, a token attends to tokens of its row at most that far away.
pub(crate) fn attention(
    [query, key, value]: [&Tensor; 3],
    starts: &[i64],
    only_first: bool,
    reach: Option<i64>,
    dropped: DroppedWeights,
) -> Result<Tensor, TorchError> {
    let rows = starts.len().saturating_sub(1);
    if rows == 0 {
        return Err(TorchError::new("attention", "no rows"));
    }
    // SAFETY: three live tensors, whose shapes the shim checks against the `rows + 1` numbers at `starts`, which it
    // copies; libtorch keeps what autograd needs.
    returned("attention", |out| unsafe {
        distill_attention(
            query.as_ptr(),
            key.as_ptr(),
            value.as_ptr(),
            starts.as_ptr(),
            rows,
            c_int::from(only_first),
            reach.unwrap_or(-1),
            dropped.probability,
            dropped.seed,
            dropped.position,
            out,
        )
    })
}

/// `count` numbers for [`crate::Dropout`], on libtorch's threads: 0, or `scale` where the position's bits reach `threshold`.
pub(crate) fn dropout_mask(count: i64, seed: u64, start: u64, threshold: u16, scale: f32) -> Tensor {
    let mask = Tensor::empty([count], (Kind::Float, Device::Cpu));
    // SAFETY: a dense tensor of `count` f32 on the CPU, made here: nothing else reads or writes it meanwhile.
    unsafe { distill_dropout_mask(mask.data_ptr().cast(), count, seed, start, threshold, scale) };
    mask
}

/// One side of variable-length attention.
pub(crate) struct Sequences<'a> {
    /// int32 `[B+1]`, on the device.
    pub cu_seqlens: &'a Tensor,
    /// Tokens of the longest row.
    pub longest: i64,
}

/// Variable-length flash attention over `[T, heads, d]`; returns `[T_q, heads, d]`. With `reach`, a token attends to tokens
/// of its row at most that far away; queries and keys must then be of the same rows, as the kernel counts from their ends.
pub(crate) fn flash_attention(
    [query, key, value]: [&Tensor; 3],
    queries: &Sequences<'_>,
    keys: &Sequences<'_>,
    reach: Option<i64>,
    dropout: f64,
) -> Result<Tensor, TorchError> {
    // SAFETY: five live tensors; wrong shapes and formats are C++ exceptions; libtorch keeps what autograd needs.
    returned("flash attention", |out| unsafe {
        distill_flash_attention(
            query.as_ptr(),
            key.as_ptr(),
            value.as_ptr(),
            queries.cu_seqlens.as_ptr(),
            keys.cu_seqlens.as_ptr(),
            queries.longest,
            keys.longest,
            reach.unwrap_or(-1),
            dropout,
            out,
        )
    })
}
