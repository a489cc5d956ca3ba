//! Bars on a terminal, a plain line every few seconds elsewhere.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use distill_core::{Progress, text};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::args::{Common, LogFormat};
use crate::output::printer::{is_watched, talk};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(5);

/// All bars of the process, so that log lines can be written above them.
static BARS: std::sync::LazyLock<MultiProgress> = std::sync::LazyLock::new(MultiProgress::new);

/// Draws the progress of one pass at a time.
pub struct Display {
    kind: Kind,
    pass: Mutex<Option<Pass>>,
}

enum Kind {
    Bar,
    Lines,
    Json,
    Nothing,
}

struct Pass {
    what: String,
    unit: &'static str,
    total: u64,
    done: u64,
    note: String,
    start: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    /// What suits the flags and the stream.
    pub fn new(common: &Common) -> Self {
        let kind = match (common.quiet, common.log_format, is_watched()) {
            (true, _, _) => Kind::Nothing,
            (_, LogFormat::Json, _) => Kind::Json,
            (_, _, true) => Kind::Bar,
            _ => Kind::Lines,
        };
        Display { kind, pass: Mutex::new(None) }
    }

    fn with_pass(&self, act: impl FnOnce(&mut Pass)) {
        if let Ok(mut pass) = self.pass.lock()
            && let Some(pass) = pass.as_mut()
        {
            act(pass);
        }
    }

    fn line(&self, pass: &Pass, ended: bool) {
        let rate = pass.rate();
        if let Kind::Json = self.kind {
            tracing::info!(
                pass = pass.what,
                done = pass.done,
                total = pass.total,
                unit = pass.unit,
                rate,
                ended,
                note = pass.note,
                "progress"
            );
            return;
        }
        let note = if pass.note.is_empty() { String::new() } else { format!(", {}", pass.note) };
        let time = if ended {
            format!("in {}", seconds(pass.start.elapsed()))
        } else {
            format!("{} left", seconds(pass.left()))
        };
        talk(&format!(
            "{}: {}/{} {}, {rate:.0} {}/s, {time}{note}",
            pass.what, pass.done, pass.total, pass.unit, pass.unit
        ));
    }
}

impl Pass {
    fn rate(&self) -> f64 {
        self.done as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    fn left(&self) -> Duration {
        let left = self.total.saturating_sub(self.done) as f64 / self.rate().max(1e-9);
        Duration::from_secs_f64(left.min(1e9))
    }
}

impl Progress for Display {
    fn begin(&self, what: &str, total: u64, unit: &'static str) {
        let bar = matches!(self.kind, Kind::Bar).then(|| {
            let bar = BARS.add(ProgressBar::new(total));
            let template = format!(
                "{{prefix}} [{{bar:32}}] {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}"
            );
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(text::visible(what));
            bar
        });
        let now = Instant::now();
        let pass = Pass {
            what: what.to_owned(),
            unit,
            total,
            done: 0,
            note: String::new(),
            start: now,
            shown: now,
            bar,
        };
        if let Ok(mut current) = self.pass.lock() {
            *current = Some(pass);
        }
    }

    fn update(&self, done: u64, note: &str) {
        self.with_pass(|pass| {
            pass.done = done;
            if pass.note != note {
                note.clone_into(&mut pass.note);
            }
            match (&self.kind, &pass.bar) {
                (_, Some(bar)) => {
                    bar.set_position(done);
                    bar.set_message(text::visible(&pass.note));
                }
                (Kind::Lines | Kind::Json, None) if pass.shown.elapsed() >= EVERY => {
                    self.line(pass, false);
                    pass.shown = Instant::now();
                }
                _ => {}
            }
        });
    }

    fn end(&self) {
        self.with_pass(|pass| {
            if let Some(bar) = &pass.bar {
                bar.finish_and_clear();
            }
            if !matches!(self.kind, Kind::Nothing) {
                self.line(pass, true);
            }
        });
        if let Ok(mut current) = self.pass.lock() {
            *current = None;
        }
    }
}

/// Seconds below a minute with a decimal, minutes above.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        total @ 60..3600 => format!("{} min {:02} s", total / 60, total % 60),
        total => format!("{} h {:02} min", total / 3600, total / 60 % 60),
    }
}

/// A writer for log lines that leaves the bars whole. What a line holds from outside is shown, never obeyed.
pub fn above_bars(is_json: bool) -> impl Write {
    AboveBars { is_json }
}

struct AboveBars {
    is_json: bool,
}

impl Write for AboveBars {
    /// Takes one event, which the log's layer writes at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let line = event.strip_suffix('\n').unwrap_or(&event);
        let shown = match self.is_json {
            true => text::json(line),
            // No message of ours has several lines: a name in it has.
            false if is_watched() => text::coloured(&line.replace('\n', "\\n")),
            false => text::lines(&line.replace('\n', "\\n")),
        };
        BARS.suspend(|| io::stderr().lock().write_all(format!("{shown}\n").as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
