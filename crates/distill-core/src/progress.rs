//! How a long pass tells how far it is. The libraries report; the binary draws.

/// Receives the progress of one pass at a time.
pub trait Progress: Sync {
    /// A pass begins: what it does, how many units it has, what a unit is (`rows`, `steps`).
    fn begin(&self, what: &str, total: u64, unit: &'static str);
    /// `done` units of the pass that just began were finished by an earlier process: they took none of this one's time.
    fn resume(&self, _done: u64) {}
    /// `done` units of the pass are finished in all; `note` is a short state such as a loss.
    fn update(&self, done: u64, note: &str);
    /// The pass is over.
    fn end(&self);
}

/// Progress that nobody watches.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: u64, _unit: &'static str) {}
    fn update(&self, _done: u64, _note: &str) {}
    fn end(&self) {}
}
