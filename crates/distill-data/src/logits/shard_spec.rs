//! One source over several machines: which rows are whose, and where each leaves its store.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use distill_core::atomic::FileError;

use super::manifest::MANIFEST_FILE;
use super::verify::Damage;
use crate::error::DataError;

/// More than any scheduler starts, and what five digits of a name hold.
const MOST: u32 = 99_999;

/// The part of a source that one of several passes computes: number `index`, from 0, of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSpec {
    index: u32,
    count: u32,
}

impl ShardSpec {
    /// All of a source.
    pub const WHOLE: ShardSpec = ShardSpec { index: 0, count: 1 };

    /// Number `index`, from 0, of `count`.
    ///
    /// # Errors
    /// What is wrong with the numbers, in words.
    pub fn new(index: u64, count: u64) -> Result<Self, String> {
        match (u32::try_from(index), u32::try_from(count)) {
            (_, Ok(0)) => Err("the number of shards is 0, expected at least 1".to_owned()),
            (Ok(index), Ok(count @ 1..=MOST)) if index < count => Ok(ShardSpec { index, count }),
            (_, Ok(1..=MOST)) => {
                Err(format!("shard {index} of {count} does not exist: shards are numbered 0 to {}", count - 1))
            }
            _ => Err(format!("{count} shards are more than {MOST}")),
        }
    }

    /// Its number, from 0.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many shards there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether it is the whole source.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Its rows of a source of `total` rows: a run of whole blocks of `block` rows, so that no row's
    /// batch depends on how many shards there are. Together the shards are all rows, each once;
    /// where there are fewer blocks than shards, some are empty.
    pub fn rows(self, total: u64, block: u64) -> Range<u64> {
        let blocks = u128::from(total.div_ceil(block));
        let border = |index: u32| -> u64 {
            let before = blocks * u128::from(index) / u128::from(self.count);
            u64::try_from(before * u128::from(block)).unwrap_or(u64::MAX).min(total)
        };
        border(self.index)..border(self.index + 1)
    }

    /// Where this shard's store lies: `OUT/shard-00003-of-00008`, or `OUT` itself for the whole.
    pub fn directory(self, out: &Path) -> PathBuf {
        match self.is_whole() {
            true => out.to_owned(),
            false => out.join(format!("shard-{:05}-of-{:05}", self.index, self.count)),
        }
    }

    /// The shard that a directory's name speaks of.
    fn of_name(name: &str) -> Option<Self> {
        let (index, count) = name.strip_prefix("shard-")?.split_once("-of-")?;
        let number = |text: &str| text.parse().ok().filter(|_| text.len() == 5);
        ShardSpec::new(number(index)?, number(count)?).ok()
    }
}

impl fmt::Display for ShardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for ShardSpec {
    type Err = String;

    /// `3/8`
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, count) = numbers.ok_or("expected I/N, such as 0/8 for the first of eight")?;
        ShardSpec::new(index, count)
    }
}

/// What a directory holds: itself a store, or those of the shards of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The finished stores, in the order of their shards.
    pub stores: Vec<PathBuf>,
    /// What is not there, or not finished.
    pub missing: Vec<Damage>,
}

/// Looks for the stores of a directory: itself, or those of all shards in it.
///
/// # Errors
/// [`DataError::Store`] where the shards of two passes lie side by side; [`DataError::File`] where
/// there is no such directory.
pub fn find_stores(directory: &Path) -> Result<Found, DataError> {
    let mut shards = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(FileError::of("open", directory))? {
        let entry = entry.map_err(FileError::of("read", directory))?;
        shards.extend(entry.file_name().to_str().and_then(ShardSpec::of_name));
    }
    let mut found = Found::default();
    let Some(count) = shards.first().map(|shard: &ShardSpec| shard.count) else {
        found.take(directory.to_owned());
        return Ok(found);
    };
    if directory.join(MANIFEST_FILE).exists() {
        found.take(directory.to_owned());
        return Ok(found);
    }
    if let Some(other) = shards.iter().find(|shard| shard.count != count) {
        let (few, many) = (count.min(other.count), count.max(other.count));
        let what =
            format!("it contains shards of {few} and shards of {many}; give the directories individually");
        return Err(DataError::Store { directory: directory.to_owned(), what });
    }
    (0..count).for_each(|index| found.take(ShardSpec { index, count }.directory(directory)));
    Ok(found)
}

impl Found {
    fn take(&mut self, store: PathBuf) {
        let manifest = store.join(MANIFEST_FILE);
        if manifest.exists() {
            self.stores.push(store);
            return;
        }
        let why = if store.exists() { "it is not a finished store" } else { "it is missing" };
        let what = format!("{}: {why}: there is no {MANIFEST_FILE}", store.display());
        self.missing.push(Damage { file: manifest, what });
    }
}

/// The stores that a directory stands for, all of which are needed.
///
/// # Errors
/// As [`find_stores`]; [`DataError::Store`] where one is missing or not finished.
pub fn stores_in(directory: &Path) -> Result<Vec<PathBuf>, DataError> {
    let found = find_stores(directory)?;
    let Some(first) = found.missing.first() else { return Ok(found.stores) };
    let store = first.file.parent().unwrap_or(directory).to_owned();
    let what = first.what.strip_prefix(&format!("{}: ", store.display())).unwrap_or(&first.what);
    let more = match found.missing.len() {
        1 => String::new(),
        all => format!(" ({all} of {} shards are like this)", all + found.stores.len()),
    };
    Err(DataError::Store { what: format!("{what}{more}"), directory: store })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_runs_of_whole_blocks_and_all_rows_once() {
        for total in [0, 1, 9, 10, 11, 95, 1000] {
            for count in [1, 2, 3, 4, 8, 64, 200] {
                let mut next = 0;
                for index in 0..count {
                    let rows = ShardSpec::new(index, count).unwrap().rows(total, 10);
                    assert_eq!(rows.start, next, "{index}/{count} of {total}");
                    assert!(rows.start.is_multiple_of(10) || rows.is_empty());
                    next = rows.end;
                }
                assert_eq!(next, total);
            }
        }
        let sizes: Vec<u64> = (0..4)
            .map(|index| ShardSpec::new(index, 4).unwrap().rows(95, 10))
            .map(|rows| rows.end - rows.start)
            .collect();
        assert_eq!(sizes, [20, 30, 20, 25], "as even as blocks allow");
    }

    #[test]
    fn what_is_no_portion_is_refused_in_words() {
        for (text, expected) in [
            ("3", "expected I/N"),
            ("a/8", "expected I/N"),
            ("-1/8", "expected I/N"),
            ("0/0", "at least 1"),
            ("8/8", "0 to 7"),
            ("0/100000", "more than 99999"),
        ] {
            let error = text.parse::<ShardSpec>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let third = "3/8".parse::<ShardSpec>().unwrap();
        assert_eq!((third.to_string().as_str(), third.is_whole()), ("3/8", false));
        assert_eq!(third.directory(Path::new("out")), Path::new("out/shard-00003-of-00008"));
        assert_eq!(ShardSpec::of_name("shard-00003-of-00008"), Some(third));
        for name in ["shard-3-of-8", "shard-00008-of-00008", "shard-+0003-of-00008x", "mine"] {
            assert_eq!(ShardSpec::of_name(name), None, "{name}");
        }
    }
}
