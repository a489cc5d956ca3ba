//! Times for people.

use std::time::Duration;

/// Seconds below a minute with a decimal, minutes above.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        total @ 60..3600 => format!("{} min {:02} s", total / 60, total % 60),
        total => format!("{} h {:02} min", total / 3600, total / 60 % 60),
    }
}
