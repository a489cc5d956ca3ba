//! The seed of the random numbers that libtorch draws (dropout, fresh weights).

/// Seeds the generators of all devices.
pub fn manual_seed(seed: u64) {
    tch::manual_seed(seed.cast_signed());
}
