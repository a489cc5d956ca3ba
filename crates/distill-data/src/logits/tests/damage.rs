//! What was changed, cut or lost is noticed and named.

use super::*;

#[test]
fn every_changed_bit_of_a_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = store(directory.path(), 0, &[4], (0, 1));
    let path = directory.path().join(&manifest.shards[0].file.name);
    let whole = std::fs::read(&path).unwrap();
    let store = Store::open(directory.path()).unwrap();
    for byte in 0..whole.len() {
        let mut changed = whole.clone();
        changed[byte] ^= 1 << (byte % 8);
        overwrite(&path, &changed);
        let damage = store.verify(&StopSignal::default(), &Silent).unwrap();
        assert_eq!(damage.len(), 1, "byte {byte}");
        assert_eq!(damage[0].file, path);
        assert!(store.rows().next().unwrap().is_err(), "byte {byte}: no row of a damaged file comes out");
        // Opening and reading may or may not notice; they must not panic.
        drop(read(&path));
    }
}

#[test]
fn every_truncation_is_an_error_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = store(directory.path(), 0, &[9], (0, 1));
    let path = directory.path().join(&manifest.shards[0].file.name);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        overwrite(&path, &whole[..length]);
        assert!(read(&path).is_err(), "length {length}");
        assert!(Store::open(directory.path()).is_err(), "length {length}");
    }
}

#[test]
fn a_damaged_manifest_or_a_missing_shard_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = store(directory.path(), 0, &[5, 5], (0, 2));
    let json = std::fs::read_to_string(directory.path().join(MANIFEST_FILE)).unwrap();
    let open = || Store::open(directory.path()).unwrap_err().to_string();
    for (from, to, expected) in [
        ("\"rows\": 10", "\"rows\": 11", "have another total"),
        ("train-00000", "../train-00000", "is not a file name"),
        (
            "\"format_version\": 1,\n  \"fingerprint\"",
            "\"format_version\": 9,\n  \"fingerprint\"",
            "format version 9",
        ),
        ("\"first_row\": 5", "\"first_row\": 4", "overlap"),
        ("\"max_length\": 32", "\"max_length\": 64", "max_length is 64 in the first and 32 in the second"),
        ("{", "[", "manifest.json is damaged: "),
    ] {
        assert!(json.contains(from), "{from}");
        overwrite(&directory.path().join(MANIFEST_FILE), json.replacen(from, to, 1).as_bytes());
        let error = open();
        assert!(error.contains(expected), "expected {expected:?}, found {error:?}");
    }
    overwrite(&directory.path().join(MANIFEST_FILE), json.as_bytes());
    std::fs::remove_file(directory.path().join(&manifest.shards[1].file.name)).unwrap();
    let error = open();
    assert!(error.contains("train-00001-of-00002.parquet is damaged") && error.contains("missing"), "{error}");
}

/// Whole files whose hashes are right, with rows that no student takes.
#[test]
fn what_a_reader_refuses_does_not_pass_verification() {
    type Change = fn(&mut LogitsRow);
    let changes: [(&str, Change); 6] = [
        ("label", |row| row.label = Some(Label::Class(3))),
        ("label", |row| row.label = Some(Label::Class(-1))),
        ("logits", |row| row.logits.truncate(2)),
        ("row", |row| row.row += 1),
        ("text_hash", |row| row.text_hash[0] ^= 1),
        ("text", |row| row.text = None),
    ];
    for (number, (column, change)) in changes.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(shard_name(0, 1));
        let mut writer = LogitsWriter::create(&path, &fingerprint(), WriterOptions::default()).unwrap();
        let mut rows = rows(0..5);
        // Of another number of logits all rows are: the table would refuse a mixture.
        let changed = if column == "logits" { 0..5 } else { 3..4 };
        rows[changed].iter_mut().for_each(change);
        rows.into_iter().for_each(|row| writer.write_unchecked(row));
        let shards = vec![Shard { file: writer.finish().unwrap(), first_row: 0 }];
        Manifest::new(fingerprint(), shards, None).write(directory.path()).unwrap();
        let store = Store::open(directory.path()).unwrap();
        let damage = store.verify(&StopSignal::default(), &Silent).unwrap();
        assert_eq!(damage.len(), 1, "change {number} passes");
        assert!(damage[0].what.contains(&format!("column {column:?}")), "{damage:?}");
        let read: Result<Vec<LogitsRow>, DataError> = store.rows().collect();
        // What the texts are is for verification alone.
        assert_eq!(read.is_err(), !column.starts_with("text"), "change {number}");
    }
}

#[test]
fn rows_that_are_in_no_file_and_files_that_are_in_no_manifest_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut manifest = store(directory.path(), 0, &[5, 5, 5], (0, 3));
    let lost = manifest.shards.remove(1);
    manifest.rows -= 5;
    manifest.write(directory.path()).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let damage = store.verify(&StopSignal::default(), &Silent).unwrap();
    assert_eq!(damage.len(), 1);
    assert!(damage[0].what.ends_with("manifest.json is damaged: no file contains rows 5 to 9"), "{damage:?}");
    assert_eq!(store.strangers().unwrap(), [directory.path().join(&lost.file.name)]);
}
