//! `distill doctor`: what this machine supports and what is missing.

use std::path::Path;

use anyhow::bail;
use distill_core::cpus::Cpus;
use distill_data::cache::cache_dir;
use distill_torch::DeviceChoice;
use distill_torch::device::{device_name, has_nvidia_driver, load_cuda};
use distill_torch::info::{EXPECTED_LIBTORCH, LibtorchInfo, instruction_sets};
use distill_torch::waiting;
use serde_json::json;

use crate::args::Doctor;
use crate::exit::{RunError, Status};
use crate::output::printer;
use crate::session;

/// One line of the answer.
struct Finding {
    what: &'static str,
    found: String,
    /// What to do about it, where something is missing.
    missing: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Finding { what, found: found.into(), missing: None }
    }

    fn bad(what: &'static str, found: impl Into<String>, missing: impl Into<String>) -> Self {
        Finding { what, found: found.into(), missing: Some(missing.into()) }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Where something is missing that every run needs.
pub fn command(args: &Doctor) -> anyhow::Result<Status> {
    session::begin(&args.common)?;
    let asked = args.common.device.as_deref().unwrap_or("auto").parse::<DeviceChoice>()?;
    // First: libtorch's description of itself looks for CUDA, and keeps the answer.
    let cuda = cuda(asked);
    let libtorch = LibtorchInfo::read()?;
    let cpus = Cpus::of_this_process();
    let findings = [
        Finding::good("distill", env!("CARGO_PKG_VERSION")),
        version(&libtorch),
        Finding::good("libtorch file", loaded_from("libtorch_cpu.so")),
        Finding::good("cores", cpus.describe()),
        Finding::good("threads", cpus.usable().to_string()),
        Finding::good("waiting threads", waiting::description()),
        Finding::good("kernels", libtorch.cpu_capability.clone()),
        Finding::good("instruction sets", instruction_sets().join(" ")),
        memory(),
        cuda,
        device(asked),
        cache(),
    ];
    let missing = findings.iter().filter(|finding| finding.missing.is_some()).count();
    if args.common.json {
        let entries: serde_json::Map<String, serde_json::Value> = findings
            .iter()
            .map(|finding| {
                (finding.what.to_owned(), json!({"found": finding.found, "missing": finding.missing}))
            })
            .collect();
        printer::json(&serde_json::to_string_pretty(&entries)?)?;
    } else {
        for finding in &findings {
            let mark = if finding.missing.is_some() { "!" } else { " " };
            printer::result(&format!("{mark} {:<17} {}", finding.what, finding.found))?;
            if let Some(missing) = &finding.missing {
                printer::result(&format!("  {:<17} → {missing}", ""))?;
            }
        }
    }
    if missing > 0 {
        bail!(RunError::usage(format!("{missing} of {} checks found something missing", findings.len())));
    }
    Ok(Status::Done)
}

fn version(libtorch: &LibtorchInfo) -> Finding {
    if libtorch.is_expected() {
        Finding::good("libtorch", libtorch.version.clone())
    } else {
        let missing = format!("this program was built for {EXPECTED_LIBTORCH}; check LD_LIBRARY_PATH");
        Finding::bad("libtorch", libtorch.version.clone(), missing)
    }
}

/// The file that a loaded library came from.
fn loaded_from(library: &str) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| Path::new(path).file_name().is_some_and(|name| name.to_string_lossy() == library));
    path.unwrap_or("unknown").to_owned()
}

fn memory() -> Finding {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |field: &str| -> Option<u64> {
        info.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
    };
    match (kib("MemTotal:"), kib("MemAvailable:")) {
        (Some(total), Some(free)) => Finding::good(
            "memory",
            format!("{}, {} free", printer::bytes(total * 1024), printer::bytes(free * 1024)),
        ),
        _ => Finding::good("memory", "unknown"),
    }
}

/// Without a GPU nothing is missing, unless CUDA was asked for.
fn cuda(asked: DeviceChoice) -> Finding {
    let wanted = matches!(asked, DeviceChoice::Cuda(_)) || has_nvidia_driver();
    if !wanted {
        return Finding::good("CUDA", "no NVIDIA driver on this machine");
    }
    match load_cuda() {
        Err(why) => Finding::bad(
            "CUDA",
            format!("cannot be loaded: {why}"),
            "run scripts/setup --cuda, or set LIBTORCH",
        ),
        Ok(()) if tch::Cuda::is_available() => {
            Finding::good("CUDA", format!("loaded, {} devices", tch::Cuda::device_count()))
        }
        Ok(()) => Finding::bad("CUDA", "loaded, but no device can be used", "check the NVIDIA driver"),
    }
}

fn device(asked: DeviceChoice) -> Finding {
    match asked.resolve() {
        Ok(device) => Finding::good("device", format!("{asked} is {}", device_name(device))),
        Err(error) => Finding::bad("device", asked.to_string(), error.to_string()),
    }
}

fn cache() -> Finding {
    match cache_dir() {
        Ok(path) => Finding::good("token cache", path.display().to_string()),
        Err(error) => Finding::bad("token cache", "no directory for it", error.to_string()),
    }
}
