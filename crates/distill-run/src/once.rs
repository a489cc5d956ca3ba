//! Sentences that are said once in a process, however often a command comes by.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says how something was read or chosen, the first time.
pub fn say(sentence: String) {
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(sentence.clone()) {
        tracing::info!("{sentence}");
    }
}
