//! What the machine can do at all: one large matrix product, of the shape of a feed-forward part.

use std::time::Instant;

use distill_model::ModelConfig;
use distill_torch::guard;
use tch::{Cuda, Device, Kind, Tensor};

use crate::session::Session;

/// Products that are timed together.
const REPEATS: u32 = 30;
/// The best of so many counts: the first ones warm up.
const TRIES: u32 = 4;

/// Floating-point operations a second of `[tokens, H]` by `[H, I]`, in the session's format.
///
/// # Errors
/// [`distill_torch::TorchError`] from libtorch.
pub fn flops_per_second(session: &Session, config: &ModelConfig) -> anyhow::Result<f64> {
    let (rows, inner, columns) = match session.device.is_cuda() {
        true => (8192, 8192, 8192),
        false => (2048, config.hidden_size, config.intermediate_size),
    };
    let best = guard("matrix product", || {
        let options = (Kind::Float, session.device);
        let x = Tensor::randn([rows, inner], options).to_kind(session.kind);
        let w = Tensor::randn([inner, columns], options).to_kind(session.kind);
        let _no_gradients = tch::no_grad_guard();
        (0..TRIES).map(|_| seconds(&x, &w, session.device)).fold(f64::INFINITY, f64::min)
    })?;
    let flops = 2.0 * (rows * inner * columns) as f64 * f64::from(REPEATS);
    Ok(flops / best)
}

fn seconds(x: &Tensor, w: &Tensor, device: Device) -> f64 {
    wait_for(device);
    let start = Instant::now();
    for _ in 0..REPEATS {
        drop(x.matmul(w));
    }
    wait_for(device);
    start.elapsed().as_secs_f64()
}

/// Until a GPU has nothing left to do.
pub fn wait_for(device: Device) {
    if let Device::Cuda(number) = device {
        Cuda::synchronize(number as i64);
    }
}
