//! Log lines on stderr, as text or as JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::Uptime;

use crate::args::{Common, LogFormat};
use crate::output::printer;

/// Starts logging. `DISTILL_LOG` takes a filter such as `debug` or `distill_data=trace`.
pub fn start(common: &Common) {
    let default = if common.quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("DISTILL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::output::progress::above_bars)
        .with_target(false)
        .with_ansi(printer::is_watched() && std::env::var_os("NO_COLOR").is_none());
    let started = match common.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_timer(Uptime::default()).with_level(true).compact().try_init(),
    };
    match started {
        Ok(()) => printer::choose_tone(common.quiet, common.log_format == LogFormat::Json),
        Err(error) => printer::complain(&format!("logging could not be started: {error}")),
    }
}
