//! Tests that need what not every machine has: they are skipped with a counted message, and fail if they are required.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Whether a test that needs `what` can run here. If not, a message is written to stderr past the test runner's capture.
///
/// # Panics
/// If it cannot run but `DISTILL_REQUIRE`, a comma-separated list such as `bf16,onednn`, names it.
#[track_caller]
pub fn can_run(what: &str, is_there: bool) -> bool {
    if is_there {
        return true;
    }
    let asked = std::env::var("DISTILL_REQUIRE").unwrap_or_default();
    let required = asked.split(',').any(|name| name.trim() == what);
    assert!(!required, "DISTILL_REQUIRE names {what}, which this machine does not have");
    let place = std::panic::Location::caller();
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let said = writeln!(
        std::io::stderr(),
        "skipped, {count} so far: a test at {}:{} needs {what}",
        place.file(),
        place.line()
    );
    assert!(said.is_ok());
    false
}

#[test]
fn a_test_that_cannot_run_is_skipped() {
    assert!(can_run("anything", true));
    assert!(!can_run("a-machine-that-there-is-none-of", false));
}
