//! One store of several shards.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn merged(parts: &[(i64, &[i64], (usize, usize))]) -> (TempDir, PathBuf, Result<Manifest, DataError>) {
    let directory = tempfile::tempdir().unwrap();
    let mut directories = Vec::new();
    for (index, (first, lengths, names)) in parts.iter().enumerate() {
        directories.push(directory.path().join(index.to_string()));
        store(&directories[index], *first, lengths, *names);
    }
    let out = directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let manifest =
        Merge::plan(&directories).and_then(|merge| merge.write(&out, &StopSignal::default(), &Silent));
    (directory, out, manifest)
}

#[test]
fn merging_in_any_order_gives_the_rows_of_the_source() {
    let (_directory, out, manifest) = merged(&[(10, &[5, 6], (1, 3)), (0, &[10], (0, 3))]);
    assert_eq!(manifest.unwrap().rows, 21);
    let store = Store::open(&out).unwrap();
    let found: Vec<LogitsRow> = store.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(found, rows(0..21));
    assert_eq!(store.verify(&StopSignal::default(), &Silent).unwrap(), []);
    assert_eq!(store.manifest().shards[1].file.name, "train-00001-of-00003.parquet");
}

#[test]
fn merging_refuses_missing_and_repeated_rows() {
    let message = |parts: &[(i64, &[i64], (usize, usize))]| {
        let (_directory, out, result) = merged(parts);
        assert!(!out.join(MANIFEST_FILE).exists());
        result.unwrap_err().to_string()
    };
    assert!(message(&[(0, &[5], (0, 2)), (6, &[5], (1, 2))]).contains("rows 5 to 5 are in no shard"));
    assert!(message(&[(0, &[5], (0, 2)), (4, &[5], (1, 2))]).contains("row 4 of"));
    assert!(message(&[(0, &[5], (0, 2)), (0, &[5], (0, 2))]).contains("row 0 of"));
    assert!(message(&[(3, &[5], (1, 2))]).contains("rows 0 to 2 are in no shard"));
    assert!(message(&[(0, &[5], (0, 2))]).contains("their names say 2"));
}

#[test]
fn merging_keeps_the_files_that_an_earlier_attempt_finished_and_no_damaged_ones() {
    let directory = tempfile::tempdir().unwrap();
    let part = directory.path().join("part");
    let whole = store(&part, 0, &[3, 4], (0, 2));
    let out = directory.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let names = [shard_name(0, 2), shard_name(1, 2)];
    overwrite(&out.join(&names[0]), &std::fs::read(part.join(&names[0])).unwrap());
    overwrite(&out.join(&names[1]), b"PAR1 half PAR1");
    let before = std::fs::metadata(out.join(&names[0])).unwrap().modified().unwrap();
    let merge = Merge::plan(&[part]).unwrap();
    let merged = merge.write(&out, &StopSignal::default(), &Silent).unwrap();
    assert_eq!(merged, whole);
    assert_eq!(std::fs::metadata(out.join(&names[0])).unwrap().modified().unwrap(), before);
    assert_eq!(Store::open(&out).unwrap().verify(&StopSignal::default(), &Silent).unwrap(), []);
}

#[test]
fn a_directory_stands_for_its_shards_when_all_are_finished() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let shard = |index, count| ShardSpec::new(index, count).unwrap().directory(out);
    assert!(stores_in(&out.join("absent")).unwrap_err().to_string().contains("absent"));
    let message = || stores_in(out).unwrap_err().to_string();
    assert!(message().contains("it is not a finished store: there is no manifest.json"), "{}", message());
    store(&shard(2, 3), 8, &[4], (0, 1));
    std::fs::create_dir(shard(0, 3)).unwrap();
    assert!(message().contains("shard-00000-of-00003: it is not a finished store"), "{}", message());
    assert!(message().contains("(2 of 3 shards are like this)"), "{}", message());
    store(&shard(0, 3), 0, &[4], (0, 1));
    let found = find_stores(out).unwrap();
    assert_eq!(found.stores, [shard(0, 3), shard(2, 3)]);
    assert!(found.missing[0].what.ends_with("shard-00001-of-00003: it is missing: there is no manifest.json"));
    store(&shard(1, 3), 4, &[4], (0, 1));
    assert_eq!(stores_in(out).unwrap(), [shard(0, 3), shard(1, 3), shard(2, 3)]);
    std::fs::create_dir(shard(0, 2)).unwrap();
    assert!(message().contains("shards of 2 and shards of 3"), "{}", message());
    assert_eq!(stores_in(&shard(1, 3)).unwrap(), [shard(1, 3)]);
}

#[test]
fn merging_into_a_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let part = directory.path().join("part");
    store(&part, 0, &[3], (0, 1));
    let merge = Merge::plan(std::slice::from_ref(&part)).unwrap();
    let error = merge.write(&part, &StopSignal::default(), &Silent).unwrap_err();
    assert_eq!(error.category(), distill_core::Category::CannotCreate);
}
