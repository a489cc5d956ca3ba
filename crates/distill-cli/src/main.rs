//! `distill`: arguments → settings → one call.
//!
//! Read in this order: [`args`] (what the user typed), [`settings`] (file, environment and flags put together),
//! [`commands`] (one call of `distill-run` each), [`session`] (device and threads), [`signals`], [`output`]
//! (stdout is data, stderr is talk), [`exit`] (errors to exit codes).

mod args;
mod commands;
mod exit;
mod output;
mod session;
mod settings;
mod signals;

use std::process::ExitCode;

/// Called by the loader before any library is initialised.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[allow(unsafe_code)]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_LIBRARIES: distill_torch::waiting::Hook = distill_torch::waiting::before_libraries;

fn main() -> ExitCode {
    distill_torch::memory::configure();
    distill_torch::device::configure();
    exit::run(|| {
        signals::watch()?;
        let status = commands::dispatch(args::parse());
        // Also of a run that failed or was stopped.
        let traced = output::timeline::finish();
        let status = status?;
        traced?;
        Ok(status)
    })
}
