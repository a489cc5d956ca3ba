//! Names in an output directory that have a meaning: results, what a run keeps while it works, what a kill leaves.

use distill_core::record::RUN_FILE;
use distill_student::checkpoint::CHECKPOINTS;
use distill_student::metrics::METRICS_FILE;

/// The rows that `augment` writes.
pub const ROWS_FILE: &str = "rows.jsonl";
/// The finished files of a store without a manifest.
pub const PROGRESS_FILE: &str = "shards.json";
/// The directory of a trained model.
pub const MODEL: &str = "model";
/// Where the result of a run is made that replaces another one's.
pub const STAGE: &str = ".distill-new.tmp";
/// Where a replaced result is moved before it is removed.
pub const REPLACED: &str = ".distill-old.tmp";
/// What is to be moved, written before anything is.
pub const JOURNAL: &str = ".distill-swap.tmp";

/// Files and directories that stages write. Only what a run recorded as its own is ever removed.
pub const OWN_NAMES: &[&str] = &[
    RUN_FILE,
    METRICS_FILE,
    MODEL,
    CHECKPOINTS,
    "manifest.json",
    ROWS_FILE,
    PROGRESS_FILE,
    "report.json",
    "report.md",
    "report.html",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// Whether a stage writes files of this name, or tools that read a store would take one for a part of it.
pub fn is_own(name: &str) -> bool {
    OWN_NAMES.contains(&name) || is_shard(name)
}

/// What is read as a file of a soft-target store.
pub fn is_shard(name: &str) -> bool {
    name.starts_with("train-") && name.ends_with(".parquet")
}

/// What a killed run was writing: `.NAME.RANDOM.tmp` of a file, `.NAME.tmp` of a directory; or removing:
/// `.NAME.old.tmp`.
pub fn is_half_written(name: &str) -> bool {
    let Some(name) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")) else { return false };
    let is_own = |name: &str| is_own(name) || name == JOURNAL;
    is_own(name) || name.rsplit_once('.').is_some_and(|(name, _)| is_own(name))
}

/// Where results are moved from and to.
pub fn is_of_swap(name: &str) -> bool {
    [STAGE, REPLACED, JOURNAL].contains(&name)
}
