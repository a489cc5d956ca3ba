//! How the process manages memory. To be called in the first line of `main`.
#![allow(unsafe_code)]

/// Keeps fewer of oneDNN's prepared kernels and gives freed memory to the next tensor instead of the system.
pub fn configure() {
    bound_kernel_caches();
    keep_freed_memory();
}

/// oneDNN compiles a kernel for each number of tokens, and libtorch has a second cache for them. With the default limits of
/// 1,024, kernels took 120 MB in a pass over short rows with hundreds of batch sizes. Few are used at a time, and others are
/// compiled again.
/// `ONEDNN_PRIMITIVE_CACHE_CAPACITY` and `LRU_CACHE_CAPACITY` in the environment win. Each is read once.
fn bound_kernel_caches() {
    for name in ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: nothing else reads or writes the environment meanwhile: this process still has one thread.
            unsafe { std::env::set_var(name, "64") };
        }
    }
}

/// A training step frees hundreds of megabytes that the next one asks for again. By default glibc maps each large
/// tensor again, and the kernel clears its pages: a seventh of a step over long rows.
/// `MALLOC_MMAP_MAX_` and `MALLOC_TRIM_THRESHOLD_` in the environment win.
fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (name, option, value) in [
        ("MALLOC_MMAP_MAX_", libc::M_MMAP_MAX, 0),
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
    ] {
        if std::env::var_os(name).is_none() {
            // SAFETY: no pointers cross; a value that glibc refuses changes nothing.
            unsafe { libc::mallopt(option, value) };
        }
    }
}
