//! Progress of a long pass. The libraries report it; the binary shows it.

/// Receives the progress of one pass at a time.
pub trait Progress: Sync {
    /// A pass begins: what it does, how many units it has, what a unit is (`rows`, `steps`).
    fn begin(&self, what: &str, total: u64, unit: &'static str);
    /// `done` units of the current pass were finished by an earlier process and do not count towards the speed.
    fn resume(&self, _done: u64) {}
    /// `done` units of the pass are finished in total; `note` is a short state such as a loss.
    fn update(&self, done: u64, note: &str);
    /// The pass is over.
    fn end(&self);
}

/// Progress that is not shown.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: u64, _unit: &'static str) {}
    fn update(&self, _done: u64, _note: &str) {}
    fn end(&self) {}
}
