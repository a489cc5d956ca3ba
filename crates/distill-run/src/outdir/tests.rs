//! The content of a directory, its owner, and how a new result replaces an old one.

use super::*;
use distill_core::record::FileMark;

fn put(path: &Path, names: &[&str]) {
    names.iter().for_each(|name| atomic::write(&path.join(name), b"x").unwrap());
}

/// The record of a finished student that wrote `model/config.json` and `metrics.jsonl`.
fn record() -> RunRecord {
    let json = serde_json::json!({"format_version": 1, "command": "student", "settings": {}, "versions": {},
        "device": {}, "inputs": {"data": "abc"}, "results": {"rows": 1}});
    serde_json::from_value(json).unwrap()
}

/// A finished run in `out`, each of whose files holds `content`.
fn finished(out: &Path, content: &str) -> RunRecord {
    fs::create_dir_all(out.join("model")).unwrap();
    for name in ["model/config.json", "model/model.safetensors", "metrics.jsonl"] {
        atomic::write(&out.join(name), content.as_bytes()).unwrap();
    }
    let mut record = record();
    record.files = owned::marks(out).unwrap();
    record.write(out).unwrap();
    record
}

fn names(path: &Path) -> Vec<String> {
    owned::listed(path).unwrap()
}

#[test]
fn a_run_that_wrote_nothing_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("runs/a");
    drop(OutDir::lock(&out).unwrap());
    assert!(!root.path().join("runs").exists());
    let mut held = OutDir::lock(&out).unwrap();
    held.start_over(false).unwrap();
    drop(held);
    assert!(!root.path().join("runs").exists(), "an empty stage is nothing");
    fs::create_dir_all(&out).unwrap();
    drop(OutDir::lock(&out).unwrap());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "a directory that was there stays");
    put(&out, &["run.json"]);
    drop(OutDir::lock(&out).unwrap());
    assert!(out.join("run.json").exists());
}

#[test]
fn what_no_run_recorded_is_refused_by_name_and_stays() {
    for mine in ["metrics.jsonl", "train-mine.parquet", "report.md", "run.json"] {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &[mine, "mine.txt"]);
        let text = OutDir::refuse_foreign(root.path()).unwrap_err().to_string();
        assert!(text.contains("not empty") && text.contains("--overwrite"), "{text}");
        let mut held = OutDir::lock(root.path()).unwrap();
        for in_place in [true, false] {
            let text = held.start_over(in_place).unwrap_err().to_string();
            assert!(text.contains(mine) && text.contains("was not written by distill"), "{text}");
        }
        assert!(OutDir::lock(root.path()).unwrap_err().to_string().contains("in use"));
        drop(held);
        assert!(names(root.path()).contains(&mine.to_owned()));
    }
    // In the directory of a run, too.
    for mine in ["train-mine.parquet", "report.md", "model/notes.txt", "model/README.md"] {
        let root = tempfile::tempdir().unwrap();
        finished(root.path(), "old");
        put(root.path(), &[mine]);
        let text = OutDir::lock(root.path()).unwrap().start_over(true).unwrap_err().to_string();
        assert!(text.contains(mine) && text.contains("was not written by distill"), "{text}");
    }
}

#[test]
fn a_file_of_a_run_that_was_changed_since_is_refused_by_name() {
    for changed in ["model/config.json", "metrics.jsonl"] {
        let root = tempfile::tempdir().unwrap();
        finished(root.path(), "old");
        put(root.path(), &[changed]);
        let text = OutDir::lock(root.path()).unwrap().start_over(true).unwrap_err().to_string();
        assert!(text.contains(changed) && text.contains("was changed after distill wrote it"), "{text}");
        assert_eq!(fs::read(root.path().join(changed)).unwrap(), b"x");
    }
}

#[test]
fn an_old_result_stays_until_the_new_one_is_whole() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path();
    finished(out, "old");
    put(out, &["mine.txt", ".mine.tmp", ".run.json.a1B2c3.tmp"]);
    let mut held = OutDir::lock(out).unwrap();
    held.start_over(true).unwrap();
    assert_eq!(held.path(), out.join(STAGE));
    finished(held.path(), "new");
    assert_eq!(fs::read(out.join("model/config.json")).unwrap(), b"old");
    held.swap_in().unwrap();
    assert_eq!(fs::read(out.join("model/config.json")).unwrap(), b"new");
    assert_eq!(names(out), [".lock", ".mine.tmp", "metrics.jsonl", "mine.txt", "model", "run.json"]);
}

/// A process is killed after each rename of the swap in turn: the next one finds the new result.
#[test]
fn a_swap_that_was_cut_off_anywhere_is_finished_by_the_next_run() {
    let parts = ["metrics.jsonl", "model", "run.json"];
    for moved_away in 0..=2 {
        for placed in 0..=if moved_away == 2 { 3 } else { 0 } {
            let root = tempfile::tempdir().unwrap();
            let out = root.path();
            finished(out, "old");
            fs::create_dir(out.join(STAGE)).unwrap();
            finished(&out.join(STAGE), "new");
            let journal = serde_json::json!({"remove": ["metrics.jsonl", "model"], "place": parts});
            atomic::write(&out.join(names::JOURNAL), journal.to_string().as_bytes()).unwrap();
            fs::create_dir(out.join(names::REPLACED)).unwrap();
            for name in &parts[..moved_away] {
                atomic::rename_directory(&out.join(name), &out.join(names::REPLACED).join(name)).unwrap();
            }
            for name in &parts[..placed] {
                atomic::rename_directory(&out.join(STAGE).join(name), &out.join(name)).unwrap();
            }
            drop(OutDir::lock(out).unwrap());
            assert_eq!(names(out), [".lock", "metrics.jsonl", "model", "run.json"], "{moved_away} {placed}");
            for name in ["metrics.jsonl", "model/config.json", "model/model.safetensors"] {
                assert_eq!(fs::read(out.join(name)).unwrap(), b"new", "{moved_away} {placed} {name}");
            }
        }
    }
}

#[test]
fn files_of_earlier_versions_are_recognised_by_their_content() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path();
    let mut old = finished(out, "old");
    let weights = FileMark::of(&out.join("model/model.safetensors")).unwrap().blake3;
    old.files.clear();
    old.results.insert("weights".to_owned(), weights.into());
    old.write(out).unwrap();
    let own = |record: &RunRecord| owned::entries(out, Some(record)).map_err(|error| error.to_string());
    assert_eq!(own(&old).unwrap(), ["metrics.jsonl", "model"]);
    put(out, &["model/mine.bin"]);
    assert!(own(&old).unwrap_err().contains("model/mine.bin was not written"));
    fs::remove_file(out.join("model/mine.bin")).unwrap();
    put(out, &["model/model.safetensors"]);
    assert!(own(&old).unwrap_err().contains("model was not written"), "other weights are another's");
}

#[test]
fn partly_written_files_of_a_killed_run_are_not_content() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), &[".run.json.a1B2c3.tmp", ".train-00000-of-00001.parquet.a1B2c3.tmp"]);
    fs::create_dir(root.path().join(".model.tmp")).unwrap();
    fs::create_dir(root.path().join(STAGE)).unwrap();
    assert!(matches!(OutDir::look(root.path()).unwrap(), Found::Empty));
    put(root.path(), &[".other.a1B2c3.tmp"]);
    assert!(matches!(OutDir::look(root.path()).unwrap(), Found::Foreign(_)));
}

#[test]
fn a_filled_directory_appears_whole_or_not_at_all_and_replaces_one_of_the_same_run() {
    let root = tempfile::tempdir().unwrap();
    let out = OutDir::lock(root.path()).unwrap();
    let begun = RunRecord { results: BTreeMap::new(), ..record() };
    begun.write(root.path()).unwrap();
    assert!(out.fill_directory("model", &begun, |_| Err(RunError::data("no"))).is_err());
    assert!(!root.path().join("model").exists() && !root.path().join(".model.tmp").exists());
    for name in ["a", "b"] {
        let fill = |path: &Path| Ok(atomic::write(&path.join(name), b"1")?);
        let made = out.fill_directory("model", &begun, fill).unwrap();
        assert_eq!(names(&made), [name]);
    }
    put(root.path(), &["model/mine.txt"]);
    let text = out.fill_directory("model", &begun, |_| Ok(())).unwrap_err().to_string();
    assert!(text.contains("model/mine.txt") && root.path().join("model/mine.txt").exists(), "{text}");
}

/// A kill while the journal is written, and another one right after the swap that followed.
#[test]
fn a_half_written_journal_is_removed_from_a_finished_result() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path();
    finished(out, "new");
    let half_written = format!(".{}.a1B2c3.tmp", names::JOURNAL);
    put(out, &[&half_written, ".mine.tmp"]);
    assert!(swap::has_left_overs(out));
    drop(OutDir::lock(out).unwrap());
    assert_eq!(names(out), [".lock", ".mine.tmp", "metrics.jsonl", "model", "run.json"]);
    assert!(!swap::has_left_overs(out));
}

#[test]
fn a_result_whose_move_was_cut_off_is_not_foreign() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), &["report.html"]);
    assert!(OutDir::refuse_foreign(root.path()).is_err());
    put(root.path(), &[names::JOURNAL]);
    OutDir::refuse_foreign(root.path()).unwrap();
}
