//! The random numbers that libtorch draws (dropout, fresh weights), saved and put back.

use tch::Tensor;

use crate::error::TorchError;
use crate::ffi;

/// Seeds the generators of all devices.
pub fn manual_seed(seed: u64) {
    tch::manual_seed(seed.cast_signed());
}

/// State of the CPU generator, uint8 `[N]`.
///
/// # Errors
/// [`TorchError`] from libtorch.
pub fn cpu_state() -> Result<Tensor, TorchError> {
    ffi::cpu_rng_state()
}

/// Puts a state from [`cpu_state`] back.
///
/// # Errors
/// [`TorchError`] where it is not such a state.
pub fn set_cpu_state(state: &Tensor) -> Result<(), TorchError> {
    ffi::set_cpu_rng_state(state)
}

/// Asks libtorch for kernels that give the same bits every time, where it has them.
///
/// # Errors
/// [`TorchError`] from libtorch.
pub fn set_deterministic(on: bool) -> Result<(), TorchError> {
    ffi::set_deterministic(on)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_restored_state_draws_the_same_numbers() {
        manual_seed(7);
        let state = cpu_state().unwrap();
        let first = Tensor::rand([16], (Kind::Float, Device::Cpu));
        set_cpu_state(&state).unwrap();
        assert_eq!(first, Tensor::rand([16], (Kind::Float, Device::Cpu)));
        assert!(set_cpu_state(&Tensor::zeros([3], (Kind::Uint8, Device::Cpu))).is_err());
    }
}
