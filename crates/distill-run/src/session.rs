//! The environment of stages: device, threads, seed, stop signal, and receivers of progress and messages.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use distill_core::cpus::Cpus;
use distill_core::lock::{host_name, is_never_locked, never_lock};
use distill_core::{Progress, Silent, StopSignal};
use distill_torch::DeviceChoice;
use distill_torch::device::{device_name, has_nvidia_driver, load_cuda};
use distill_torch::info::{LibtorchInfo, instruction_sets, is_good_at_bf16, set_threads};
use tch::{Device, Kind};

use crate::error::{Result, RunError};
use crate::messages::{self, Messages};
use crate::settings::RuntimeSettings;

/// Threads beyond any machine's: an operator that cannot start them ends the process.
const MOST_THREADS: usize = 1024;

static STOP: LazyLock<StopSignal> = LazyLock::new(StopSignal::default);

/// The process's stop signal, shared by all sessions: raising it stops the current work in an orderly way.
pub fn stop_signal() -> &'static StopSignal {
    &STOP
}

/// What stages run in. Stages that run one after the other share it.
///
/// ```
/// use distill_run::session::Session;
/// use distill_run::settings::RuntimeSettings;
///
/// let cpu = RuntimeSettings { device: "cpu".to_owned(), threads: Some(1), ..RuntimeSettings::default() };
/// let session = Session::new(&cpu)?;
/// assert_eq!((session.seed, session.threads), (42, 1));
/// assert!(session.versions().contains_key("libtorch"));
/// # Ok::<(), distill_run::error::RunError>(())
/// ```
pub struct Session {
    /// Where to compute.
    pub device: Device,
    /// What passes compute in; weights that are trained stay in f32.
    pub kind: Kind,
    /// The run's seed.
    pub seed: u64,
    /// Threads of one operator and of tokenization.
    pub threads: usize,
    /// [`stop_signal`].
    pub stop: StopSignal,
    /// Receives the progress of long passes; ignored by default.
    pub progress: Arc<dyn Progress + Send + Sync>,
    /// Receives messages; ignored by default.
    pub messages: Arc<dyn Messages>,
    libtorch: LibtorchInfo,
}

impl Session {
    /// Checks libtorch, takes the device, and sets the threads of this process.
    ///
    /// # Errors
    /// For a device or dtype that cannot be had, and a libtorch of another release.
    pub fn new(settings: &RuntimeSettings) -> Result<Self> {
        if settings.no_lock {
            go_without_locks();
        }
        let choice: DeviceChoice = settings.device.parse()?;
        let device = choice.resolve()?;
        if choice == DeviceChoice::Auto && device == Device::Cpu && has_nvidia_driver() {
            let why = load_cuda().err().unwrap_or("no CUDA device can be used");
            tracing::warn!(
                "there is an NVIDIA driver, but this run uses the CPU: {why}; `distill doctor` shows more"
            );
        }
        let kind = match settings.dtype.as_str() {
            "f32" => Kind::Float,
            "bf16" => Kind::BFloat16,
            "auto" if is_good_at_bf16(device) => Kind::BFloat16,
            "auto" => Kind::Float,
            other => {
                return Err(RunError::usage(format!("unknown dtype {other:?}; expected f32, bf16 or auto")));
            }
        };
        let threads = threads(settings.threads)?;
        set_threads(threads);
        if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
            tracing::debug!("the thread pool was already started: {error}");
        }
        let libtorch = LibtorchInfo::read()?;
        if !libtorch.is_expected() {
            return Err(RunError::usage(format!(
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
            stop: stop_signal().clone(),
            progress: Arc::new(Silent),
            messages: Arc::new(messages::Silent),
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
fn threads(asked: Option<usize>) -> Result<usize> {
    let cpus = Cpus::of_this_process();
    let usable = cpus.usable();
    match asked {
        None => Ok(usable),
        Some(threads @ 1..=MOST_THREADS) => {
            if threads > usable {
                tracing::warn!(
                    "threads is {threads}, but this process may use only {usable} CPUs ({}); this is slower, \
                     because the threads wait for each other",
                    cpus.describe()
                );
            }
            Ok(threads)
        }
        Some(threads) => Err(RunError::usage(format!("threads is {threads}; expected 1 to {MOST_THREADS}"))),
    }
}

/// Locks no directory in this process from here on.
pub fn go_without_locks() {
    if !is_never_locked() {
        never_lock();
        tracing::warn!(
            "--no-lock: directories are not locked; if two runs write to the same one, results are mixed \
                        or lost"
        );
    }
}

/// `f32` or `bf16`.
pub fn dtype_name(kind: Kind) -> &'static str {
    if kind == Kind::BFloat16 { "bf16" } else { "f32" }
}
