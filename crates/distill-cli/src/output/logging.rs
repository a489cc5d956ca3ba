//! Log lines on stderr, as text or as JSON, and the timeline where one is asked for.

use std::path::PathBuf;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::{Common, LogFormat};
use crate::output::text_lines::TextLines;
use crate::output::{printer, timeline};

/// Starts logging. `DISTILL_LOG` takes a filter such as `debug` or `distill_data=trace`.
///
/// # Errors
/// [`distill_core::atomic::FileError`] where `--trace` names a file that could not be written.
pub fn start(common: &Common) -> anyhow::Result<()> {
    start_with(common, common.trace.as_ref().map(|file| Some(file.clone())))
}

/// Starts logging, and a timeline also where no file is asked for.
///
/// # Errors
/// As [`start`].
pub fn start_with_timeline(common: &Common) -> anyhow::Result<()> {
    start_with(common, Some(common.trace.clone()))
}

fn start_with(common: &Common, timeline: Option<Option<PathBuf>>) -> anyhow::Result<()> {
    let timeline = timeline
        .map(timeline::start)
        .transpose()?
        .map(|recorder| recorder.with_filter(Targets::new().with_target(timeline::TARGET, LevelFilter::TRACE)));
    match tracing_subscriber::registry().with(lines(common)).with(timeline).try_init() {
        Ok(()) => printer::choose_tone(common.quiet, common.log_format == LogFormat::Json),
        Err(error) => printer::complain(&format!("logging could not be started: {error}")),
    }
    Ok(())
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(common: &Common) -> impl Layer<S> {
    let default = if common.quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("DISTILL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let is_json = common.log_format == LogFormat::Json;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || crate::output::progress::above_bars(is_json))
        .with_target(false)
        .with_ansi(printer::is_watched() && std::env::var_os("NO_COLOR").is_none());
    match common.log_format {
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => layer.event_format(TextLines).with_filter(filter).boxed(),
    }
}
