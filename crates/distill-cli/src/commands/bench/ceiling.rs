//! What the machine can do at all: one large matrix product, of the shape of a feed-forward part, by the fastest way there is.

use std::time::Instant;

use distill_model::ModelConfig;
use distill_torch::linear::{FusedActivation, PackedLinear};
use distill_torch::{guard, or_panic};
use tch::{Cuda, Device, Kind, Tensor};

use crate::session::Session;

/// Products that are timed together.
const REPEATS: u32 = 30;
/// The best of this many runs: the first ones warm up.
const TRIES: u32 = 4;

/// Floating-point operations a second of `[tokens, H]` by `[H, I]`, in the session's format: by libtorch's product or by that
/// on a weight laid out for it, whichever is faster here.
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
        let [x, weight] =
            [[rows, inner], [columns, inner]].map(|shape| Tensor::randn(shape, options).to_kind(session.kind));
        let _no_gradients = tch::no_grad_guard();
        let packed = or_panic(PackedLinear::new(&weight, None));
        let mut products: Vec<Box<dyn Fn()>> = vec![Box::new(|| drop(x.linear(&weight, None::<&Tensor>)))];
        if let Some(packed) = &packed {
            products.push(Box::new(|| drop(or_panic(packed.forward(&x, FusedActivation::None)))));
        }
        let tries = (0..TRIES).flat_map(|_| &products);
        tries.map(|product| seconds(product, session.device)).fold(f64::INFINITY, f64::min)
    })?;
    let flops = 2.0 * (rows * inner * columns) as f64 * f64::from(REPEATS);
    Ok(flops / best)
}

fn seconds(product: &dyn Fn(), device: Device) -> f64 {
    wait_for(device);
    let start = Instant::now();
    for _ in 0..REPEATS {
        product();
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
