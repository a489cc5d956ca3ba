//! What libtorch and the processor support.

use tch::Device;

use crate::error::TorchError;
use crate::ffi;
use crate::flash;

/// The release whose operators `tch` 0.24 is generated from.
pub const EXPECTED_LIBTORCH: &str = "2.11";

/// The libtorch that is loaded, as it describes itself.
#[derive(Clone, Debug)]
pub struct LibtorchInfo {
    /// Such as `2.11.0`.
    pub version: String,
    /// Such as `AVX512`: the widest kernels it uses on this processor.
    pub cpu_capability: String,
    /// The whole of `at::show_config()`.
    pub config: String,
    /// Intra-op threads.
    pub threads: i32,
}

impl LibtorchInfo {
    /// Asks libtorch.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn read() -> Result<Self, TorchError> {
        let config = ffi::show_config()?;
        let parallel = ffi::parallel_info()?;
        let field = |text: &str, name: &str| {
            text.split_once(name)
                .map(|(_, rest)| rest.split([',', '\n']).next().unwrap_or_default().trim().to_owned())
        };
        let threads =
            field(&parallel, "at::get_num_threads() :").and_then(|text| text.parse().ok()).unwrap_or(1);
        Ok(LibtorchInfo {
            version: field(&config, "TORCH_VERSION=").unwrap_or_else(|| "unknown".to_owned()),
            cpu_capability: field(&config, "CPU capability usage:").unwrap_or_else(|| "unknown".to_owned()),
            config,
            threads,
        })
    }

    /// Whether this is a release that this program was built for.
    pub fn is_expected(&self) -> bool {
        self.version.starts_with(&format!("{EXPECTED_LIBTORCH}."))
    }
}

/// Sets the threads of one operator and of the operators that run at once.
///
/// Both of libtorch's pools default to the number of cores; distill runs one operator at a time.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// The instruction sets of this processor that matter for the choice of kernels.
pub fn instruction_sets() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags: Vec<&str> = text
            .lines()
            .find(|line| line.starts_with("flags"))
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8"]
            .into_iter()
            .filter(|name| flags.contains(name))
            .collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}

/// Whether bf16 is faster than f32 on a device: on a GPU with bf16 flash attention (since Ampere), and on a CPU with
/// bf16 instructions.
pub fn is_good_at_bf16(device: Device) -> bool {
    match device {
        Device::Cpu => instruction_sets().iter().any(|set| ["avx512_bf16", "amx_bf16"].contains(set)),
        _ => flash::is_there(device).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_libtorch_is_the_one_built_for() {
        let info = LibtorchInfo::read().unwrap();
        assert!(info.is_expected(), "{}", info.version);
        assert!(info.threads >= 1);
        assert_ne!(info.cpu_capability, "unknown", "{}", info.config);
    }
}
