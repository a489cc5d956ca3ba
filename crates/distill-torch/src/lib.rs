//! Everything about libtorch that needs care, and its `unsafe` code.
//!
//! Read in this order: [`error`] (failures inside libtorch as errors), [`device`]
//! (finding CUDA at run time), [`waiting`] (how long threads spin), [`info`] (what libtorch and the processor support), [`rng`],
//! [`transfer`] (copies to a device and back), [`packed`] (rows concatenated without padding) and [`attention`] on them,
//! [`relations`] (attention scores), [`linear`] (fused layers for
//! inference on the CPU), [`dropout`], [`adamw`], [`optimizer`] (the others).

pub mod adamw;
pub mod attention;
pub mod device;
pub mod dropout;
pub mod error;
mod ffi;
mod flash;
pub mod info;
pub mod linear;
pub mod memory;
pub mod optimizer;
pub mod packed;
pub mod relations;
#[cfg(test)]
mod required;
pub mod rng;
pub mod transfer;
pub mod waiting;

pub use adamw::{AdamW, AdamWConfig};
pub use device::{DeviceChoice, DeviceError};
pub use dropout::Dropout;
pub use error::{TorchError, guard, or_panic};
pub use linear::PackedLinear;
pub use optimizer::{Optimizer, OptimizerKind};
pub use packed::Packing;
pub use transfer::{ReadBack, copied_to, moved_to};
