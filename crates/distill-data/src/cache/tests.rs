//! What goes in comes out; damage is found; whoever comes second waits.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use distill_core::{StopReason, StopSignal};

use super::writer::CHUNK_ROWS;
use super::{
    CacheError, CacheWriter, Cleaned, Cleaning, Example, Holds, NO_TAG, TokenCache, clean, id_hash, info,
};

const KEY: &str = "0123abcd";
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// A row as `rows` makes it, owned.
#[derive(Debug, Default, Clone, PartialEq)]
struct Row {
    input_ids: Vec<u32>,
    token_type_ids: Option<Vec<u8>>,
    label: Option<i32>,
    logits: Vec<f32>,
    positions: Vec<u32>,
    tags: Vec<i32>,
}

fn rows(count: usize) -> Vec<Row> {
    (0..count)
        .map(|row| {
            let length = 1 + row * 7 % 23;
            let input_ids: Vec<u32> = (0..length).map(|at| (row * 31 + at * at) as u32).collect();
            let typed = row % 3 == 1 && length > 1;
            Row {
                token_type_ids: typed
                    .then(|| (0..length).map(|at| u8::from(at > length / 2 || at == 1)).collect()),
                input_ids,
                label: (row % 4 != 2).then_some(row as i32 % 6 - 1),
                logits: (0..row % 2 * 6).map(|class| row as f32 * 0.1 - class as f32).collect(),
                positions: if row % 3 == 2 && length > 4 { vec![0, 2, length as u32 - 1] } else { vec![] },
                tags: if row % 6 == 2 && length > 4 { vec![row as i32, NO_TAG, 0] } else { vec![] },
            }
        })
        .collect()
}

fn push_all(rows: &[Row]) -> impl FnOnce(&mut CacheWriter) -> Result<(), CacheError> {
    move |writer| {
        for (index, row) in rows.iter().enumerate() {
            writer.push(Example {
                input_ids: &row.input_ids,
                token_type_ids: row.token_type_ids.as_deref(),
                label: row.label,
                targets: &row.logits,
                logits: &row.logits,
                positions: &row.positions,
                tags: &row.tags,
                first_word: index as u32 * 3,
                id_hash: id_hash(&index.to_string()),
                partner_hash: (index % 5 == 3).then_some(index as u64 * 7),
                row: index as u64,
            })?;
        }
        Ok(())
    }
}

fn read_all(cache: &TokenCache) -> Vec<Row> {
    (0..cache.len())
        .map(|index| {
            let example = cache.get(index);
            assert_eq!((example.row, example.id_hash), (index as u64, id_hash(&index.to_string())));
            assert_eq!(example.first_word, index as u32 * 3);
            assert_eq!(example.partner_hash, (index % 5 == 3).then_some(index as u64 * 7));
            Row {
                input_ids: example.input_ids.to_vec(),
                token_type_ids: example.token_type_ids.map(<[u8]>::to_vec),
                label: example.label,
                logits: example.logits.to_vec(),
                positions: example.positions.to_vec(),
                tags: example.tags.to_vec(),
            }
        })
        .collect()
}

/// Opens the cache; `true` where it had to be built.
fn open(directory: &Path, key: &str, rows: &[Row]) -> (TokenCache, bool) {
    let mut built = false;
    let cache = TokenCache::open_or_build(directory, key, "rows", &StopSignal::default(), |writer| {
        built = true;
        push_all(rows)(writer)
    });
    (cache.unwrap(), built)
}

fn arrow(directory: &Path) -> PathBuf {
    directory.join(format!("{KEY}.tokens.arrow"))
}

#[test]
fn rows_come_back_as_they_were_pushed_from_disk_and_from_memory() {
    for count in [0, 1, 100, CHUNK_ROWS, 2 * CHUNK_ROWS + 17] {
        let rows = rows(count);
        let directory = tempfile::tempdir().unwrap();
        let (first, built) = open(directory.path(), KEY, &rows);
        assert!(built);
        let (second, built) = open(directory.path(), KEY, &[]);
        assert!(!built);
        let memory = TokenCache::in_memory(push_all(&rows)).unwrap();
        for cache in [&first, &second, &memory] {
            assert_eq!((cache.len(), cache.is_empty()), (count, count == 0));
            assert!(read_all(cache) == rows);
            let lengths: Vec<u32> = rows.iter().map(|row| row.input_ids.len() as u32).collect();
            assert_eq!(cache.lengths(), lengths);
        }
    }
}

#[test]
fn type_ids_that_are_all_zero_are_not_stored() {
    let zeros = [Row { input_ids: vec![1, 2], token_type_ids: Some(vec![0, 0]), ..Row::default() }];
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(open(directory.path(), KEY, &zeros).0.get(0).token_type_ids, None);
    assert_eq!(TokenCache::in_memory(push_all(&zeros)).unwrap().get(0).token_type_ids, None);
}

#[test]
fn a_row_whose_columns_do_not_fit_is_refused_by_its_number() {
    let refused = |example: Example<'_>| {
        TokenCache::in_memory(|writer| writer.push(Example { row: 41, ..example })).unwrap_err().to_string()
    };
    let push = |input_ids: &[u32], token_type_ids: Option<&[u8]>| {
        refused(Example { input_ids, token_type_ids, ..Example::default() })
    };
    let at = |positions: &[u32], tags: &[i32], logits: &[f32]| {
        refused(Example { input_ids: &[7, 8, 9], positions, tags, logits, ..Example::default() })
    };
    assert!(at(&[0, 3], &[], &[]).contains("positions that do not rise inside its 3 input_ids"));
    assert!(at(&[1, 1], &[], &[]).contains("do not rise"));
    assert!(at(&[0, 1], &[4], &[]).contains("2 positions and 1 tags"));
    assert!(at(&[0, 1], &[], &[0.5; 3]).contains("2 positions and 3 logits"));
    assert!(at(&[], &[4], &[]).contains("0 positions and 1 tags"));
    assert!(push(&[], None).contains("row 41"));
    assert!(push(&[1, 2], Some(&[1])).contains("2 input_ids and 1 token_type_ids"));
}

/// Nothing reaches arrow2 that distill has not written: any other byte means a new cache.
#[test]
fn every_flipped_bit_and_every_truncation_is_found_and_built_again() {
    let rows = rows(5);
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), KEY, &rows);
    let path = arrow(directory.path());
    let whole = std::fs::read(&path).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..whole.len() * 8)
        .step_by(251)
        .map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        })
        .collect();
    damaged.extend((0..whole.len()).step_by(293).map(|length| whole[..length].to_vec()));
    damaged.push([&whole[..], b"\0"].concat());
    for bytes in damaged {
        distill_core::atomic::write(&path, &bytes).unwrap();
        let (cache, built) = open(directory.path(), KEY, &rows);
        assert!(built);
        assert!(read_all(&cache) == rows);
        assert_eq!(std::fs::read(&path).unwrap(), whole, "the same rows give the same bytes");
    }
}

#[test]
fn a_missing_damaged_or_foreign_sidecar_means_a_new_cache() {
    let rows = rows(50);
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), KEY, &rows);
    let sidecar = directory.path().join(format!("{KEY}.tokens.json"));
    let text = std::fs::read_to_string(&sidecar).unwrap();
    for changed in [
        String::new(),
        "{".to_owned(),
        text.replace(KEY, "another"),
        text.replace("\"format\": 4", "\"format\": 999"),
        text.replace("\"rows\": 50", "\"rows\": 51"),
    ] {
        assert_ne!(changed, text);
        distill_core::atomic::write(&sidecar, changed.as_bytes()).unwrap();
        assert!(open(directory.path(), KEY, &rows).1, "{changed}");
    }
    std::fs::remove_file(&sidecar).unwrap();
    assert!(open(directory.path(), KEY, &rows).1);
    std::fs::remove_file(arrow(directory.path())).unwrap();
    assert!(open(directory.path(), KEY, &rows).1);
    assert!(!open(directory.path(), KEY, &rows).1);
    assert!(open(directory.path(), "another-key", &rows).1);
}

#[test]
fn a_failed_build_leaves_nothing_that_opens_and_the_next_one_builds() {
    let directory = tempfile::tempdir().unwrap();
    let failed = TokenCache::open_or_build(directory.path(), KEY, "rows", &StopSignal::default(), |writer| {
        push_all(&rows(CHUNK_ROWS + 1))(writer)?;
        Err(CacheError::NoPlace)
    });
    assert!(matches!(failed, Err(CacheError::NoPlace)));
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [format!("{KEY}.tokens.lock").as_str()]);
    assert!(open(directory.path(), KEY, &rows(3)).1);
}

#[test]
fn of_many_that_ask_at_once_one_builds_and_all_read_the_same() {
    let rows = rows(3000);
    let directory = tempfile::tempdir().unwrap();
    let builds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let cache = TokenCache::open_or_build(
                    directory.path(),
                    KEY,
                    "rows",
                    &StopSignal::default(),
                    |writer| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        push_all(&rows)(writer)
                    },
                );
                assert!(read_all(&cache.unwrap()) == rows);
            });
        }
    });
    assert_eq!(builds.load(Ordering::SeqCst), 1);
}

/// The body of another process in the next test; by itself it has nothing to do.
#[test]
fn another_process() {
    let Some(directory) = std::env::var_os("DISTILL_TEST_CACHE_DIRECTORY").map(PathBuf::from) else { return };
    let rows = rows(3000);
    let (cache, built) = open(&directory, KEY, &rows);
    assert!(read_all(&cache) == rows);
    if built {
        let mark = directory.join(format!("built-by-{}", std::process::id()));
        distill_core::atomic::write(&mark, b"").unwrap();
    }
}

#[test]
fn of_many_processes_one_builds() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::tests::another_process"])
            .env("DISTILL_TEST_CACHE_DIRECTORY", directory.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| start()).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let names = std::fs::read_dir(directory.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.starts_with("built-by-")).count(), 1);
}

#[test]
fn what_killed_runs_left_goes_when_the_cache_is_built_and_foreign_files_stay() {
    let directory = tempfile::tempdir().unwrap();
    let [key, other] = ["a", "b"].map(|digit| digit.repeat(64));
    let [left, others] = [&key, &other].map(|key| format!(".{key}.tokens.arrow.a1b2c3.tmp"));
    for name in [left.as_str(), &others, "mine.tmp"] {
        distill_core::atomic::write(&directory.path().join(name), b"half").unwrap();
    }
    assert!(open(directory.path(), &key, &rows(3)).1);
    assert!(!directory.path().join(left).exists());
    assert!(directory.path().join(others).exists());
    assert!(directory.path().join("mine.tmp").exists());
}

#[test]
fn a_process_that_waits_for_another_ones_cache_heeds_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path(), KEY, &rows(3));
    let building = std::fs::File::open(directory.path().join(format!("{KEY}.tokens.lock"))).unwrap();
    building.lock().unwrap();
    let stop = StopSignal::default();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            TokenCache::open_or_build(directory.path(), KEY, "rows", &stop, push_all(&[])).unwrap_err()
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        stop.raise(StopReason::Terminate);
        assert!(matches!(waiting.join().unwrap(), CacheError::Stopped(StopReason::Terminate)));
    });
}

#[test]
fn info_lists_whole_caches_and_clean_removes_unused_caches_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let clean = |cleaning: Cleaning| clean(directory.path(), cleaning).unwrap();
    assert_eq!(info(&directory.path().join("absent")).unwrap(), []);
    let rows = rows(20);
    let [one, two] = ["1", "2"].map(|digit| digit.repeat(64));
    let (cache, _) = open(directory.path(), &one, &rows);
    open(directory.path(), &two, &rows[..2]);
    let file = |name: &str| directory.path().join(name);
    let killed = format!(".{two}.tokens.arrow.a1b2.tmp");
    for name in ["notes.json", "x.arrow", "notes.tokens.json", &killed] {
        distill_core::atomic::write(&file(name), b"mine").unwrap();
    }
    let entries = info(directory.path()).unwrap();
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.rows, entry.holds, entry.about.as_str()))
        .collect();
    let tokens = [&rows[..], &rows[..2]].map(|rows| rows.iter().map(|row| row.input_ids.len() as u64).sum());
    let tokens = tokens.map(|tokens| Holds::Tokens { tokens });
    assert_eq!(found, [(one.as_str(), 20, tokens[0], "rows"), (&two, 2, tokens[1], "rows")]);
    assert!(entries.iter().all(|entry| entry.bytes > 0 && entry.used.is_some()));

    let recent = clean(Cleaning { unused_since: entries[0].used.map(|at| at - HOUR), dry_run: false });
    assert_eq!((recent.removed, recent.busy, recent.recent), (0, 1, 1));
    assert!(!file(&killed).exists(), "what a killed run left is of no use to anybody");
    let planned = clean(Cleaning { unused_since: None, dry_run: true });
    assert_eq!((planned.removed, planned.busy, info(directory.path()).unwrap().len()), (1, 1, 2));
    let Cleaned { removed, bytes, busy, recent } = clean(Cleaning::default());
    assert_eq!((removed, busy, recent), (1, 1, 0), "the first is in use");
    assert!(bytes >= entries[1].bytes && bytes == planned.bytes);
    drop(cache);
    let lock = std::fs::File::open(file(&format!("{one}.tokens.lock"))).unwrap();
    lock.lock_shared().unwrap();
    assert_eq!(clean(Cleaning::default()).busy, 1, "somebody is opening it");
    lock.unlock().unwrap();
    let later = entries[0].used.map(|at| at + HOUR);
    assert_eq!(clean(Cleaning { unused_since: later, dry_run: false }).removed, 1);
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["notes.json", "notes.tokens.json", "x.arrow"]);
}

#[test]
fn a_key_that_is_no_file_name_is_refused() {
    for key in ["", "../x", "a/b", "a.b", &"a".repeat(129)] {
        let stop = StopSignal::default();
        let build = |_: &mut CacheWriter| Ok::<_, CacheError>(());
        let refused = TokenCache::open_or_build(Path::new("/nonexistent"), key, "rows", &stop, build);
        assert!(matches!(refused, Err(CacheError::Key(_))), "{key}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let directory = file.path().join("cache");
    let error =
        TokenCache::open_or_build(&directory, KEY, "rows", &StopSignal::default(), push_all(&[])).unwrap_err();
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    assert_eq!(error.category(), distill_core::Category::Io);
}
