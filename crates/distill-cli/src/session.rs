//! What a command runs in: device, threads, seed, time limit, progress.

use std::collections::BTreeMap;

use anyhow::bail;
use distill_core::StopSignal;
use distill_core::cpus::Cpus;
use distill_core::lock::{host_name, is_never_locked, never_lock};
use distill_torch::DeviceChoice;
use distill_torch::device::{device_name, has_nvidia_driver, load_cuda};
use distill_torch::info::{LibtorchInfo, instruction_sets, is_good_at_bf16, set_threads};
use tch::{Device, Kind};

use crate::args::Common;
use crate::exit::Failure;
use crate::output::logging;
use crate::output::progress::Display;
use crate::settings::RuntimeSettings;
use crate::signals::stop_signal;

/// Threads beyond any machine's: an operator that cannot start them ends the process.
const MOST_THREADS: usize = 1024;

/// Set once a command; its stages share it.
pub struct Session {
    /// Where to compute.
    pub device: Device,
    /// What passes compute in; weights that are trained stay in f32.
    pub kind: Kind,
    /// The run's seed.
    pub seed: u64,
    /// Threads of one operator and of tokenization.
    pub threads: usize,
    /// Raised by signals.
    pub stop: StopSignal,
    /// Bars or lines.
    pub progress: Display,
    libtorch: LibtorchInfo,
}

impl Session {
    /// Starts logging, the time limit and what `--offline` asks for, checks libtorch and takes the device.
    ///
    /// # Errors
    /// For a device or dtype that cannot be had, a libtorch of another release, and a `--trace` that cannot be written.
    pub fn start(common: &Common, settings: &RuntimeSettings) -> anyhow::Result<Self> {
        Self::after(begin(common)?, settings, common)
    }

    /// As [`Session::start`], with a timeline of where time goes.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start_with_timeline(common: &Common, settings: &RuntimeSettings) -> anyhow::Result<Self> {
        logging::start_with_timeline(common)?;
        Self::after(stop_by(common), settings, common)
    }

    fn after(stop: StopSignal, settings: &RuntimeSettings, common: &Common) -> anyhow::Result<Self> {
        if settings.no_lock {
            go_without_locks();
        }
        let choice: DeviceChoice = settings.device.parse()?;
        let device = choice.resolve()?;
        if choice == DeviceChoice::Auto && device == Device::Cpu && has_nvidia_driver() {
            let why = load_cuda().err().unwrap_or("no CUDA device answers");
            tracing::warn!(
                "there is an NVIDIA driver, but this run uses the CPU: {why}; `distill doctor` says more"
            );
        }
        let kind = match settings.dtype.as_str() {
            "f32" => Kind::Float,
            "bf16" => Kind::BFloat16,
            "auto" if is_good_at_bf16(device) => Kind::BFloat16,
            "auto" => Kind::Float,
            other => bail!(Failure::usage(format!("dtype {other:?} is not known; known: f32, bf16, auto"))),
        };
        let threads = threads(settings.threads)?;
        set_threads(threads);
        if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
            tracing::debug!("the thread pool was started before: {error}");
        }
        let libtorch = LibtorchInfo::read()?;
        if !libtorch.is_expected() {
            bail!(Failure::usage(format!(
                "libtorch {} was loaded, but this program was built for {}; check LD_LIBRARY_PATH",
                libtorch.version,
                distill_torch::info::EXPECTED_LIBTORCH
            )));
        }
        Ok(Session {
            device,
            kind,
            seed: settings.seed,
            threads,
            stop,
            progress: Display::new(common),
            libtorch,
        })
    }

    /// Versions that can change a result.
    pub fn versions(&self) -> BTreeMap<String, String> {
        [("distill", env!("CARGO_PKG_VERSION")), ("libtorch", &self.libtorch.version)]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into()
    }

    /// Where this runs.
    pub fn device_record(&self) -> BTreeMap<String, String> {
        [
            ("device", device_name(self.device)),
            ("dtype", dtype_name(self.kind).to_owned()),
            ("threads", self.threads.to_string()),
            ("cpu_capability", self.libtorch.cpu_capability.clone()),
            ("instruction_sets", instruction_sets().join(" ")),
            ("host", host_name()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// Threads to compute with: those asked for, else one for each CPU that this process may use. More than that are used
/// all the same, because sums depend on their number and a run may have to give the bytes of another machine's.
fn threads(asked: Option<usize>) -> anyhow::Result<usize> {
    let cpus = Cpus::of_this_process();
    let usable = cpus.usable();
    match asked {
        None => Ok(usable),
        Some(threads @ 1..=MOST_THREADS) => {
            if threads > usable {
                tracing::warn!(
                    "threads is {threads}, but this process may use only {usable} CPUs ({}): threads that wait for each \
                     other make it slower",
                    cpus.describe()
                );
            }
            Ok(threads)
        }
        Some(threads) => {
            bail!(Failure::usage(format!(
                "threads is {threads}, expected at least 1 and at most {MOST_THREADS}"
            )))
        }
    }
}

/// Starts logging and the time limit: all that a command needs which computes nothing.
///
/// # Errors
/// [`distill_core::atomic::FileError`] where `--trace` names a file that could not be written.
pub fn begin(common: &Common) -> anyhow::Result<StopSignal> {
    logging::start(common)?;
    Ok(stop_by(common))
}

fn stop_by(common: &Common) -> StopSignal {
    if common.offline {
        distill_hub::stay_offline();
    }
    if common.no_lock {
        go_without_locks();
    }
    let stop = stop_signal().clone();
    if let Some(limit) = common.max_time {
        stop.set_deadline(std::time::Instant::now() + limit);
    }
    stop
}

fn go_without_locks() {
    if !is_never_locked() {
        never_lock();
        tracing::warn!("--no-lock: no directory is locked; of two runs into one, results mix or are lost");
    }
}

/// `f32` or `bf16`.
pub fn dtype_name(kind: Kind) -> &'static str {
    if kind == Kind::BFloat16 { "bf16" } else { "f32" }
}
