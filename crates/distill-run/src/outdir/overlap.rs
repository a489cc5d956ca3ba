//! A run never writes where it reads.

use std::path::{Component, Path, PathBuf};

use distill_core::record::RunRecord;

use super::names::{self, is_own};
use crate::error::{Result, RunError};

/// Refuses an output directory that is one of the paths that the run reads, that lies in a model or a store of them, or
/// whose results are among them.
///
/// # Errors
/// [`RunError`] naming both.
pub fn check(reads: &[PathBuf], out: &Path) -> Result<()> {
    let Some(real_out) = real(out) else { return Ok(()) };
    for read in reads {
        let Ok(real_read) = read.canonicalize() else { continue };
        let is_whole = || ["config.json", "manifest.json"].iter().any(|name| real_read.join(name).is_file());
        if real_out == real_read || (real_out.starts_with(&real_read) && is_whole()) {
            return Err(RunError::cannot_create(format!(
                "this run reads {} and would write into {}; choose another directory",
                read.display(),
                out.display()
            )));
        }
        let Ok(below) = real_read.strip_prefix(&real_out) else { continue };
        let first = below.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        if is_own(&first) || names::is_of_swap(&first) || is_listed(&real_out, below) {
            return Err(RunError::cannot_create(format!(
                "this run reads {} and would write to that path in {}; choose another directory, or first copy the \
                 input elsewhere",
                read.display(),
                out.display()
            )));
        }
    }
    Ok(())
}

/// A path whose last parts may not exist.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let existing = path.ancestors().find(|part| part.exists())?;
    let rest = path.strip_prefix(existing).ok()?;
    let mut real = existing.canonicalize().ok()?;
    for part in rest.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        // Behind a `..` there may be links again.
        real = real.canonicalize().unwrap_or(real);
    }
    Some(real)
}

fn is_listed(out: &Path, below: &Path) -> bool {
    let name = below.to_string_lossy();
    RunRecord::read(out).is_ok_and(|record| record.files.contains_key(name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_core::atomic;

    #[test]
    fn inputs_are_not_overwritten_for_any_form_of_path() {
        let work = tempfile::tempdir().unwrap();
        let at = |name: &str| work.path().join(name);
        for directory in ["ft/model", "data", "a"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        for file in
            ["ft/model/config.json", "data/rows.jsonl", "data/mine.csv", "data/x.parquet", "a/manifest.json"]
        {
            atomic::write(&at(file), b"x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("ft"), at("link")).unwrap();
        let refused = |read: &str, out: &str| check(&[at(read)], &at(out)).is_err();
        assert!(refused("ft/model", "ft"), "an earlier result of its own");
        assert!(refused("ft/model", "ft/../ft/."));
        assert!(refused("ft/model", "new/../ft") && refused("ft/model", "new/deep/../../link"));
        assert!(!refused("ft/model", "new/../st"));
        assert!(refused("link/model", "ft") && refused("ft/model", "link"));
        assert!(refused("a", "a") && refused("a", "a/below") && refused("ft/model", "ft/model/run"));
        assert!(refused("data/rows.jsonl", "data"), "rows.jsonl is what augment writes");
        assert!(refused("data", "data"), "shards in a directory of data");
        assert!(
            !refused("data/mine.csv", "data") && !refused("data", "data/run") && !refused("ft/model", "st")
        );
        assert!(!refused("ORG/NAME", "ORG"), "a model on the hub");
    }
}
