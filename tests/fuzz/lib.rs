//! What the fuzz targets share: the kinds, readers and good files of `tests/mutants`.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "../mutants/exit.rs"]
mod exit;
#[path = "../mutants/kinds.rs"]
mod kinds;
#[path = "../mutants/readers.rs"]
mod readers;
#[path = "../mutants/seeds.rs"]
mod seeds;
#[path = "../mutants/settings.rs"]
mod settings;

use distill_core::Category;

/// Reads `bytes` as a file of this kind. A panic, an abort or an error that is distill's own fault is a finding.
///
/// # Panics
/// Where there is a finding.
pub fn read(kind: &str, bytes: &[u8]) {
    let kind = kinds::KINDS.iter().find(|known| known.name == kind).expect("the kind is known");
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    if let Err(refusal) = (kind.read)(directory.path(), bytes) {
        let fine = matches!(refusal.category, Category::Data | Category::Usage);
        assert!(fine || refusal.text.contains("not finite"), "{refusal:?}");
    }
}

/// The good files of every kind, to begin with.
pub fn good_files() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    kinds::KINDS.iter().map(|kind| (kind.name, (kind.seeds)())).collect()
}
