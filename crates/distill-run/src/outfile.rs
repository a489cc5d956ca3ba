//! Single files that a command writes where the user says: predictions, traces, JUnit files, tables of sweeps. One that
//! is there already is replaced only where `distill` wrote it, and never where the command reads it.

use crate::error::{Result, RunError};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::hash::bytes_hash;
use distill_core::read::bounded;
use distill_core::record::{RUN_FILE, RunRecord};
use distill_data::logits::{LogitsTable, Manifest};
use serde_json::Value;

const STAMP: &str = "<!-- Written by distill, which replaces this file unless it was changed. ";
const STAMP_END: &str = " -->\n";
/// A table or a JUnit file is far below it.
const MAX_BYTES: u64 = 64 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Predictions as a logits table.
    Parquet,
    /// Predictions, an object a line.
    Jsonl,
    /// Predictions, a line a row.
    Csv,
    /// Gates.
    Junit,
    /// Where time went.
    Trace,
    /// `sweep.json`, `ablation.json`.
    TableJson,
    /// The same for people.
    TableMarkdown,
    /// The same as a drawing.
    TableSvg,
}

/// Refuses a path that the command reads, and a file that may not be replaced.
///
/// # Errors
/// [`RunError`] naming the file and why.
pub fn check(path: &Path, kind: Kind, reads: &[PathBuf]) -> Result<()> {
    refuse_read(path, reads)?;
    let refuse = |why: &str| Err(RunError::cannot_create(format!("{} {why}", path.display())));
    if !path.is_file() {
        return Ok(());
    }
    if let Some(run) = run_of(path) {
        return refuse(&format!("belongs to the run in {}; choose another name", run.display()));
    }
    match is_ours(path, kind)? {
        Found::Ours => Ok(()),
        Found::Changed => {
            refuse("was changed after distill wrote it, and would be replaced; move it, or choose another name")
        }
        Found::Users => {
            refuse("exists and was not written by distill, so it is not replaced; choose another name")
        }
    }
}

/// Writes a text as a file of this kind, after [`check`]. What commands left of it that were killed is removed.
///
/// # Errors
/// As [`check`]; [`FileError`] naming the file.
pub fn write(path: &Path, content: &str, kind: Kind) -> Result<()> {
    check(path, kind, &[])?;
    atomic::remove_left_overs(path);
    let stamped = match kind {
        Kind::Junit | Kind::TableMarkdown | Kind::TableSvg => stamped(content),
        _ => content.to_owned(),
    };
    Ok(atomic::write(path, stamped.as_bytes())?)
}

fn refuse_read(path: &Path, reads: &[PathBuf]) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(parent), Some(name)) = (parent.canonicalize(), path.file_name()) else { return Ok(()) };
    let real = path.canonicalize().unwrap_or_else(|_| parent.join(name));
    for read in reads {
        let Ok(real_read) = read.canonicalize() else { continue };
        let is_part =
            real_read == parent && (real.is_file() || path.extension().is_some_and(|end| end == "parquet"));
        if real_read == real || is_part {
            return Err(RunError::cannot_create(format!(
                "this command reads {1} and would write to {0}; choose another name",
                path.display(),
                read.display()
            )));
        }
    }
    Ok(())
}

/// The directory of the run or the store that a file is a part of.
fn run_of(path: &Path) -> Option<&Path> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name()?.to_string_lossy();
    let in_record = name == RUN_FILE
        || RunRecord::read(parent).is_ok_and(|record| record.files.contains_key(name.as_ref()));
    let in_store = || {
        name == "manifest.json"
            || Manifest::read(parent)
                .is_ok_and(|manifest| manifest.shards.iter().any(|shard| shard.file.name == name))
    };
    (in_record || in_store()).then_some(parent)
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Ours,
    Changed,
    Users,
}

fn is_ours(path: &Path, kind: Kind) -> Result<Found> {
    let begins = head(path)?;
    let first = begins.lines().next().unwrap_or_default();
    let is = |ours: bool| if ours { Found::Ours } else { Found::Users };
    if begins.is_empty() && kind != Kind::Parquet {
        return Ok(Found::Ours); // nothing is lost
    }
    Ok(match kind {
        Kind::Parquet => is(LogitsTable::open(path).is_ok_and(|table| table.fingerprint().is_some())),
        Kind::Csv => is(first.starts_with("row,id,label,prediction")),
        Kind::Jsonl => is(is_prediction(first)),
        Kind::Trace => is(begins.starts_with("{\"traceEvents\":[]}")
            || begins.starts_with("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,")),
        Kind::TableJson => {
            let table: Option<Value> = serde_json::from_slice(&bounded(path, MAX_BYTES)?).ok();
            is(table.is_some_and(|table| table["metric"].is_string() && has_lines(&table)))
        }
        Kind::Junit | Kind::TableMarkdown | Kind::TableSvg => {
            let text = String::from_utf8(bounded(path, MAX_BYTES)?).unwrap_or_default();
            match stamp_agrees(&text) {
                Some(true) => Found::Ours,
                Some(false) => Found::Changed,
                None => is(is_older(&text, kind)),
            }
        }
    })
}

/// Whether a line has the keys of a prediction: of a row, of the words of a row, or of an answer in a text.
fn is_prediction(line: &str) -> bool {
    let has = |key: &&str| line.contains(&format!("\"{key}\":"));
    let kinds: [&[&str]; 3] = [
        &["prediction", "logits"],
        &["tokens", "tags", "logits"],
        &["question", "answers", "prediction", "start", "end", "score"],
    ];
    line.starts_with('{')
        && ["row", "id", "label"].iter().all(has)
        && kinds.iter().any(|keys| keys.iter().all(has))
}

fn has_lines(table: &Value) -> bool {
    ["trials", "students"].iter().any(|key| table[*key].is_array())
}

/// A file of an earlier version, which put no stamp into it.
fn is_older(text: &str, kind: Kind) -> bool {
    match kind {
        Kind::Junit => text.contains("<testsuites name=\"distill report\" "),
        Kind::TableMarkdown => {
            text.starts_with("| trial | epochs | changes | validation ")
                || text.starts_with("| without | validation ")
        }
        Kind::TableSvg => [
            "720 300\" font-family=\"sans-serif\" font-size=\"11\">",
            "font-family=\"sans-serif\" font-size=\"12\">\n<line",
        ]
        .iter()
        .any(|part| text.starts_with("<svg xmlns=") && text.contains(part)),
        _ => false,
    }
}

/// The first bytes of a file, as far as they are text.
fn head(path: &Path) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(FileError::of("open", path))?;
    file.take(1 << 20).read_to_end(&mut bytes).map_err(FileError::of("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text with a comment that has its hash, after an XML declaration or at the start.
fn stamped(text: &str) -> String {
    let at = if text.starts_with("<?xml") { text.find('\n').map_or(0, |end| end + 1) } else { 0 };
    let (head, rest) = text.split_at(at);
    format!("{head}{STAMP}{}{STAMP_END}{rest}", bytes_hash(text.as_bytes()))
}

/// Whether a text is what its stamp says; none without one.
fn stamp_agrees(text: &str) -> Option<bool> {
    let (head, rest) = text.split_once(STAMP)?;
    let (hash, rest) = rest.split_once(STAMP_END)?;
    Some(hash == bytes_hash(format!("{head}{rest}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_file_is_replaced_until_it_is_changed() {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("sweep.md");
        for content in ["| a |\n", "| b |\n", "<?xml version=\"1.0\"?>\n<a/>\n"] {
            write(&path, content, Kind::TableMarkdown).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("<?xml version=\"1.0\"?>\n<!-- Written by distill")
        );
        let changed = std::fs::read_to_string(&path).unwrap() + "my note\n";
        atomic::write(&path, changed.as_bytes()).unwrap();
        let refused = write(&path, "| c |\n", Kind::TableMarkdown).unwrap_err().to_string();
        assert!(refused.contains("sweep.md was changed after distill wrote it"), "{refused}");
        atomic::write(&path, b"| my | table |\n").unwrap();
        let refused = write(&path, "| c |\n", Kind::TableMarkdown).unwrap_err().to_string();
        assert!(refused.contains("was not written by distill"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"| my | table |\n");
    }

    #[test]
    fn lines_of_every_kind_of_prediction_are_known_again() {
        for line in [
            r#"{"row":0,"id":"a","label":1,"prediction":0,"logits":[0.5,-1.0]}"#,
            r#"{"row":0,"id":"a","label":[0],"tokens":["x"],"tags":["O"],"logits":[0.5,-1.0]}"#,
            r#"{"row":0,"id":"a","label":null,"question":"x","answers":null,"prediction":"","start":null,"end":null,"score":1.0}"#,
        ] {
            assert!(is_prediction(line), "{line}");
        }
        for line in [
            r#"{"id":"a","question":"x","context":"y","answers":{"text":["y"],"answer_start":[0]}}"#,
            r#"{"id":"a","tokens":["x"],"tags":["O"]}"#,
            r#"{"row":0,"id":"a","label":1,"text":"x"}"#,
        ] {
            assert!(!is_prediction(line), "{line}");
        }
    }

    #[test]
    fn a_path_that_is_read_is_not_written() {
        let work = tempfile::tempdir().unwrap();
        let at = |name: &str| work.path().join(name);
        std::fs::create_dir_all(at("shards")).unwrap();
        atomic::write(&at("rows.csv"), b"row,id,label,prediction,probability\n").unwrap();
        let refused = |path: &str, read: &str| check(&at(path), Kind::Csv, &[at(read)]).is_err();
        assert!(refused("rows.csv", "rows.csv") && refused("shards/../rows.csv", "rows.csv"));
        assert!(refused("shards/new.parquet", "shards"), "it would be a part of the data from then on");
        assert!(!refused("rows.csv", "shards") && !refused("new.csv", "rows.csv"));
    }
}
