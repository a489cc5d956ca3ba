//! Bars on a terminal, plain lines at growing intervals elsewhere.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use distill_core::{Progress, text};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::args::{Common, LogFormat};
pub use crate::output::figures::seconds;
use crate::output::figures::{clock, grouped, memory, rate};
use crate::output::printer::{bytes, folded, is_watched, status};

/// All bars of the process, so that log lines can be written above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// When this process began to show progress.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

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
    /// Units that an earlier process finished: they say nothing about this one's speed.
    before: u64,
    note: String,
    start: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    /// What suits the flags and the stream.
    pub fn new(common: &Common) -> Self {
        LazyLock::force(&BEGAN);
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
        if let Kind::Json = self.kind {
            tracing::info!(
                pass = pass.what,
                done = pass.done,
                total = pass.total,
                unit = pass.unit,
                rate = pass.rate(),
                memory = memory(),
                ended,
                note = pass.note,
                "progress"
            );
            return;
        }
        status(&format!("{} {}", clock(SystemTime::now()), pass.line(ended)));
    }
}

/// Time between two lines. It grows with the time since the program began, so that eight hours of work print at most
/// 200 lines, whatever their number of passes.
fn interval(since_the_beginning: Duration) -> Duration {
    (since_the_beginning / 25).max(Duration::from_secs(10))
}

impl Pass {
    fn rate(&self) -> f64 {
        self.done.saturating_sub(self.before) as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }

    fn left(&self) -> Duration {
        let left = self.total.saturating_sub(self.done) as f64 / self.rate().max(1e-9);
        Duration::from_secs_f64(left.min(1e9))
    }

    /// `train: 1,200/4,560 steps, 2.31 steps/s, 24 min 05 s left`, and the note.
    fn line(&self, ended: bool) -> String {
        let time = match ended {
            true => format!("in {}", seconds(self.start.elapsed())),
            false => format!("{} left", seconds(self.left())),
        };
        let (done, total, unit) = (grouped(self.done), grouped(self.total), self.unit);
        let state = self.state();
        format!("{}: {done}/{total} {unit}, {} {unit}/s, {time}, {state}", self.what, rate(self.rate()))
    }

    /// The note, and the memory that the process holds.
    fn state(&self) -> String {
        let memory = memory().map(bytes).unwrap_or_default();
        match (self.note.is_empty(), memory.is_empty()) {
            (true, _) => memory,
            (_, true) => self.note.clone(),
            _ => format!("{}, {memory}", self.note),
        }
    }
}

/// A line with the bar and one with what the pass says of itself, each cut to the terminal's width.
fn bar(what: &str, total: u64, unit: &'static str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(total));
    let template =
        format!("{{prefix}} [{{wide_bar}}] {{human_pos}}/{{human_len}} {unit}, {{eta}} left\n  {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(text::visible(what));
    bar
}

impl Progress for Display {
    fn begin(&self, what: &str, total: u64, unit: &'static str) {
        let bar = matches!(self.kind, Kind::Bar).then(|| bar(what, total, unit));
        let now = Instant::now();
        let pass = Pass {
            what: what.to_owned(),
            unit,
            total,
            done: 0,
            before: 0,
            note: String::new(),
            start: now,
            shown: now,
            bar,
        };
        if let Ok(mut current) = self.pass.lock() {
            *current = Some(pass);
        }
    }

    fn resume(&self, done: u64) {
        self.with_pass(|pass| {
            (pass.done, pass.before) = (done, done);
            if let Some(bar) = &pass.bar {
                bar.set_position(done);
                bar.reset_eta();
            }
        });
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
                    // A note has its own rate, and there is no space for two.
                    bar.set_message(match pass.note.is_empty() {
                        true => {
                            format!("{} {}/s, {}", rate(pass.rate()), pass.unit, text::visible(&pass.state()))
                        }
                        false => text::visible(&pass.state()),
                    });
                }
                (Kind::Lines | Kind::Json, None) if pass.shown.elapsed() >= interval(BEGAN.elapsed()) => {
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

/// A writer for log lines that leaves the bars whole. What a line holds from outside is shown, never obeyed. A closed
/// stderr is not worth failing for.
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
            false if is_watched() => folded(&text::coloured(&line.replace('\n', "\\n"))),
            false => text::lines(&line.replace('\n', "\\n")),
        };
        // What cannot be written would be complained of on the same stream.
        BARS.suspend(|| io::stderr().lock().write_all(format!("{shown}\n").as_bytes())).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(done: u64, before: u64, seconds: u64) -> Pass {
        let start = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        Pass {
            what: "train".to_owned(),
            unit: "steps",
            total: 2_000,
            done,
            before,
            note: "loss 0.1234".to_owned(),
            start,
            shown: start,
            bar: None,
        }
    }

    #[test]
    fn what_an_earlier_process_did_counts_neither_in_the_rate_nor_in_the_time_left() {
        let resumed = pass(1_050, 1_000, 100);
        assert!((resumed.rate() - 0.5).abs() < 0.01, "{}", resumed.rate());
        let line = resumed.line(false);
        assert!(line.starts_with("train: 1,050/2,000 steps, 0.50 steps/s, 31 min "), "{line}");
        assert!(line.contains(" left, loss 0.1234, "), "{line}");
        assert!(
            pass(2_000, 0, 100).line(true).starts_with("train: 2,000/2,000 steps, 20 steps/s, in 1 min 40 s, ")
        );
    }

    #[test]
    fn eight_hours_print_at_most_200_lines_and_the_first_come_soon() {
        let (mut now, mut lines) = (Duration::ZERO, 0);
        while now < Duration::from_secs(8 * 3600) {
            now += interval(now);
            lines += 1;
        }
        assert!((100..=160).contains(&lines), "{lines} lines: the rest is for other messages");
        assert_eq!(interval(Duration::ZERO), Duration::from_secs(10));
    }
}
