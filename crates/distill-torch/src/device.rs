//! Which device a run uses, and how CUDA is found at run time.
//!
//! The binary links only `libtorch_cpu`, so that it starts on machines without a GPU. CUDA is
//! loaded on demand, before libtorch is first asked about it: libtorch looks up its CUDA hooks
//! once and keeps the answer.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use tch::Device;
use thiserror::Error;

/// The value of `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number; an error if it cannot be used.
    Cuda(usize),
}

/// A device that cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The text is not a device.
    #[error("unknown device {0:?}; known: auto, cpu, cuda, cuda:N")]
    Unknown(String),
    /// libtorch's CUDA part cannot be loaded.
    #[error(
        "--device cuda: libtorch's CUDA libraries cannot be loaded: {0}; run scripts/setup --cuda, or set LIBTORCH to a libtorch with CUDA"
    )]
    NotLoaded(String),
    /// The libraries were loaded, but there is no such GPU.
    #[error("--device cuda:{asked}: this machine has {found} usable CUDA devices")]
    NoSuchGpu {
        /// The number asked for.
        asked: usize,
        /// How many there are.
        found: i64,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(DeviceChoice::Cuda)
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceChoice {
    /// The device to run on.
    ///
    /// # Errors
    /// [`DeviceError`] if CUDA was requested and cannot be used.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto if !has_nvidia_driver() => Ok(Device::Cpu),
            DeviceChoice::Auto => match load_cuda() {
                Ok(()) if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
                _ => Ok(Device::Cpu),
            },
            DeviceChoice::Cuda(number) => {
                load_cuda().map_err(|why| DeviceError::NotLoaded(why.to_owned()))?;
                let found = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
                if i64::try_from(number).is_ok_and(|number| number < found) {
                    Ok(Device::Cuda(number))
                } else {
                    Err(DeviceError::NoSuchGpu { asked: number, found })
                }
            }
        }
    }
}

/// Gives cuDNN the lowest priority for attention: it may plan for a second on each new shape, and on GPUs of compute
/// capability 9 and 10 libtorch prefers it. A priority set through libtorch's functions is overwritten by the first
/// attention call, unless this environment variable is set.
/// To be called in the first lines of `main`. `TORCH_CUDNN_SDPA_DEPRIORITIZED` in the environment wins.
#[allow(unsafe_code)]
pub fn configure() {
    const NAME: &str = "TORCH_CUDNN_SDPA_DEPRIORITIZED";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: nothing else reads or writes the environment meanwhile: this process still has one thread.
        unsafe { std::env::set_var(NAME, "1") };
    }
}

/// `cpu` or `cuda:N`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        Device::Cpu => "cpu".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Whether there is an NVIDIA driver: without one, half a gigabyte of libraries need not be loaded.
pub fn has_nvidia_driver() -> bool {
    ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/proc/driver/nvidia/version"]
        .iter()
        .any(|path| Path::new(path).exists())
}

/// Loads libtorch's CUDA part once per process; later calls return the first result.
///
/// # Errors
/// The dynamic loader's message.
#[allow(unsafe_code)]
pub fn load_cuda() -> Result<(), &'static str> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    let result = LOADED.get_or_init(|| {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: loading runs the library's constructors, which only register kernels; it belongs
        // to the libtorch that this binary is linked with, and it is never unloaded.
        unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) }
            .map(std::mem::forget)
            .map_err(|error| loader_message(&error))
    });
    result.as_ref().copied().map_err(String::as_str)
}

fn loader_message(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { desc } => format!("{desc:?}").trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_printed_alike() {
        for name in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for name in ["gpu", "cuda:", "cuda:x", "CPU"] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }

    #[test]
    fn cuda_by_name_never_becomes_the_cpu() {
        match DeviceChoice::Cuda(0).resolve() {
            Ok(device) => assert_eq!(device, Device::Cuda(0)),
            Err(error) => assert!(error.to_string().contains("--device cuda"), "{error}"),
        }
    }
}
