//! Where time goes: the spans of all threads, as totals for `distill bench` and as a file that Chrome's and
//! Perfetto's trace viewers draw.
//!
//! The libraries mark their phases with `tracing` spans of the target [`TARGET`]; where nobody asked for a
//! timeline, such a span costs a load and a branch. On a GPU a span ends when its work is queued, not when it is
//! done.

use std::collections::BTreeMap;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use distill_core::atomic::{AtomicFile, FileError};
use serde_json::json;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use distill_run::outfile::{self, Kind};
pub use distill_run::timeline::TARGET;

/// A phase that others are part of and that is one all the same: a forward pass in it is no time of training.
const WHOLE: &str = "validate";

/// One span that has ended.
struct Event {
    name: &'static str,
    /// What its time counts for: its name, or that of a [`WHOLE`] around it.
    phase: &'static str,
    thread: u64,
    begin: Duration,
    length: Duration,
    /// What of it is in no span inside it.
    own: Duration,
}

/// What the layer keeps of a span that is open.
struct Open {
    began: Instant,
    inside: Duration,
}

/// Time in the spans of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// Less what spans inside them took: over the phases of a thread this is no more than the time that went by.
    pub own: Duration,
    /// All of it.
    pub whole: Duration,
    /// Whether other threads than the asking one had some of it, so that phases overlap.
    pub elsewhere: bool,
}

/// All that have ended: the file shows them from the first, a sum begins where the last one ended.
#[derive(Default)]
struct Events {
    all: Vec<Event>,
    summed: usize,
}

/// The spans of this process.
struct Timeline {
    start: Instant,
    events: Mutex<Events>,
    threads: Mutex<BTreeMap<u64, String>>,
    file: Option<PathBuf>,
}

static TIMELINE: OnceLock<Timeline> = OnceLock::new();

/// Starts the timeline, to be written to `file` by [`finish`].
///
/// # Errors
/// [`FileError`] where that file could not be written, [`crate::exit::RunError`] where another file has its name: better
/// now than after hours of work.
pub fn start(file: Option<PathBuf>) -> anyhow::Result<Recorder> {
    if let Some(path) = &file {
        outfile::check(path, Kind::Trace, &[])?;
        try_out(path)?;
    }
    TIMELINE.get_or_init(|| Timeline {
        start: Instant::now(),
        events: Mutex::default(),
        threads: Mutex::default(),
        file,
    });
    Ok(Recorder)
}

/// Makes and removes what a file begins as, in its directory.
fn try_out(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Err(FileError::new("create", path, ErrorKind::IsADirectory.into()));
    }
    AtomicFile::create(path).map(drop)
}

/// Time spent in each phase since the last call, by its name.
pub fn take_totals() -> BTreeMap<&'static str, Phase> {
    let mut totals: BTreeMap<&'static str, Phase> = BTreeMap::new();
    if let Some(timeline) = TIMELINE.get() {
        let asking = this_thread(timeline);
        let mut events = timeline.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events.all[events.summed..] {
            totals.entry(event.name).or_default().whole += event.length;
            let phase = totals.entry(event.phase).or_default();
            phase.own += event.own;
            phase.elsewhere |= event.thread != asking;
        }
        events.summed = events.all.len();
    }
    totals
}

/// Writes the file of `--trace`, where there is one.
///
/// # Errors
/// [`FileError`] naming it.
pub fn finish() -> anyhow::Result<()> {
    match TIMELINE.get() {
        Some(Timeline { file: Some(path), .. }) => {
            outfile::check(path, Kind::Trace, &[])?;
            distill_core::atomic::remove_left_overs(path);
            Ok(write(path)?)
        }
        _ => Ok(()),
    }
}

/// The format is described in "Trace Event Format" of the Chromium project: complete events (`X`), microseconds.
fn write(path: &Path) -> Result<(), FileError> {
    let Some(timeline) = TIMELINE.get() else { return Ok(()) };
    let events = timeline.events.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = timeline.threads.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = BufWriter::new(AtomicFile::create(path)?);
    let names = threads.iter().map(|(thread, name)| {
        json!({"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}})
    });
    let spans = events.all.iter().map(|event| {
        let (begin, length) = (event.begin.as_secs_f64() * 1e6, event.length.as_secs_f64() * 1e6);
        json!({"name": event.name, "ph": "X", "pid": 1, "tid": event.thread, "ts": begin, "dur": length})
    });
    let mut separator = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
    for line in names.chain(spans) {
        write!(out, "{separator}{line}").map_err(FileError::of("write", path))?;
        separator = ",\n";
    }
    let end = if separator == ",\n" { "\n]}\n" } else { "{\"traceEvents\":[]}\n" };
    out.write_all(end.as_bytes()).map_err(FileError::of("write", path))?;
    let file = out.into_inner().map_err(|error| FileError::new("write", path, error.into_error()))?;
    file.commit()
}

/// The subscriber's layer that notes spans.
pub struct Recorder;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Open { began: Instant::now(), inside: Duration::ZERO });
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let (Some(timeline), Some(span)) = (TIMELINE.get(), context.span(&id)) else { return };
        let Some(Open { began, inside }) = span.extensions_mut().remove::<Open>() else { return };
        let length = began.elapsed();
        if let Some(outer) = span.parent()
            && let Some(outer) = outer.extensions_mut().get_mut::<Open>()
        {
            outer.inside += length;
        }
        let is_part = span.scope().skip(1).any(|outer| outer.name() == WHOLE);
        let event = Event {
            name: span.name(),
            phase: if is_part { WHOLE } else { span.name() },
            thread: this_thread(timeline),
            begin: began - timeline.start,
            length,
            own: length.saturating_sub(inside),
        };
        timeline.events.lock().unwrap_or_else(PoisonError::into_inner).all.push(event);
    }
}

/// A small number for this thread; its name is noted at its first span.
fn this_thread(timeline: &Timeline) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static OWN: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| {
        let mut threads = timeline.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.entry(*own).or_insert_with(|| std::thread::current().name().unwrap_or("worker").to_owned());
        *own
    })
}
