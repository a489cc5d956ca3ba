//! Log lines for people: the time of day, what happened, and its figures with four digits.

use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use distill_report::documents::text::visible;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::figures::{clock, four_digits};

/// `19:38:05Z warning: rows validation=12`
pub struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut words = Words::default();
        event.record(&mut words);
        let (name, colour) = level(*event.metadata().level());
        let name = match (name, out.has_ansi_escapes()) {
            ("", _) => String::new(),
            (name, true) => format!("\u{1b}[{colour}m{name}\u{1b}[0m: "),
            (name, false) => format!("{name}: "),
        };
        let Words { message, fields } = words;
        let line = format!("{} {name}{message}{fields}", clock(SystemTime::now()));
        writeln!(out, "{line}")
    }
}

/// What a level is called, and its colour; ordinary lines have neither.
fn level(level: Level) -> (&'static str, u8) {
    match level {
        Level::ERROR => ("error", 31),
        Level::WARN => ("warning", 33),
        Level::INFO => ("", 0),
        Level::DEBUG => ("debug", 34),
        Level::TRACE => ("trace", 35),
    }
}

/// An event's message and its fields as ` name=value`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    /// Names and texts from outside may hold escape sequences and line breaks: they are written out.
    fn add(&mut self, field: &Field, value: impl fmt::Display) {
        let value = visible(&value.to_string());
        let written = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
        // Writing to a string does not fail.
        debug_assert!(written.is_ok());
    }
}

impl Visit for Words {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, four_digits(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_time_of_day_four_digits_and_no_escape_sequence_from_outside() {
        let written = Written::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || to.clone())
            .event_format(TextLines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::info!(epoch = 2, loss = 0.123_456, accuracy = None::<f64>, best = true, "validation");
            tracing::warn!("read {}", "a\u{1b}[31m\nb");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        let expected = ["validation epoch=2 loss=0.1235 best=true", "warning: read a\\u{1b}[31m\\nb"];
        assert_eq!(lines, expected);
        assert_eq!(text.find('Z'), Some("19:38:05".len()));
    }
}
