//! Whether all ids differ, in memory that does not grow with the rows.
//!
//! The hashes of the latest rows are in memory, where a repeated id is noticed at its row. When there are
//! [`IN_MEMORY`], they are sorted and go to a temporary file; at the end the sorted runs are merged, and two equal
//! hashes lie next to one another. Where there is no room for the file, the runs stay in memory and that is said.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use distill_core::StopSignal;
use distill_core::hash::{TEXT_HASH_LEN, text_hash};

use crate::error::DataError;

/// A hash of 16 bytes, of which no two ids have the same.
pub(super) type IdHash = [u8; TEXT_HASH_LEN];

/// Hashes that are looked up at once.
const IN_MEMORY: usize = 1 << 19;
/// Bytes of all runs together that are read ahead while they are merged.
const READ_AHEAD: usize = 8 << 20;
/// Repeated ids that are looked for again to say where they stand; of more, these are told.
const TOLD: usize = 1024;

/// The ids so far.
pub(super) struct Ids {
    latest: HashSet<IdHash>,
    limit: usize,
    spilled: Option<File>,
    /// Hashes of each run in the file, in their order there.
    runs: Vec<u64>,
    kept: Vec<Vec<IdHash>>,
}

impl Default for Ids {
    fn default() -> Self {
        Self::with_limit(IN_MEMORY)
    }
}

impl Ids {
    pub fn with_limit(limit: usize) -> Self {
        Ids { latest: HashSet::new(), limit, spilled: None, runs: Vec::new(), kept: Vec::new() }
    }

    /// Adds an id; false where it is known to stand further up.
    pub fn add(&mut self, id: &str) -> bool {
        if !self.latest.insert(text_hash(id, None)) {
            return false;
        }
        if self.latest.len() >= self.limit {
            let mut run: Vec<IdHash> = self.latest.drain().collect();
            run.sort_unstable();
            if let Err(error) = self.spill(&run) {
                if self.kept.is_empty() {
                    let place = std::env::temp_dir();
                    tracing::warn!(
                        "ids are compared in memory, 16 bytes a row, as {} takes no temporary file: {error}",
                        place.display()
                    );
                }
                self.kept.push(run);
            }
        }
        true
    }

    fn spill(&mut self, run: &[IdHash]) -> io::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            // It has no name, and is gone with the process.
            None => self.spilled.insert(tempfile::tempfile()?),
        };
        let start = self.runs.iter().sum::<u64>() * TEXT_HASH_LEN as u64;
        file.seek(SeekFrom::Start(start))?;
        file.write_all(run.as_flattened())?;
        self.runs.push(run.len() as u64);
        Ok(())
    }

    /// Some of the ids that stand in two rows which are far apart; all of them where they are few.
    ///
    /// # Errors
    /// [`DataError::File`] where the temporary file cannot be read; [`DataError::Stopped`].
    pub fn repeated(self, stop: &StopSignal) -> Result<BTreeSet<IdHash>, DataError> {
        let mut repeated = BTreeSet::new();
        if self.runs.is_empty() && self.kept.is_empty() {
            return Ok(repeated);
        }
        let failed = |error| distill_core::atomic::FileError::new("read", &std::env::temp_dir(), error);
        let mut runs = self.open_runs().map_err(failed)?;
        let mut heap = std::collections::BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next().transpose().map_err(failed)?.map(|hash| std::cmp::Reverse((hash, number))));
        }
        let (mut before, mut looked) = (None, 0u32);
        while let Some(std::cmp::Reverse((hash, number))) = heap.pop() {
            if before.replace(hash) == Some(hash) {
                repeated.insert(hash);
                if repeated.len() == TOLD {
                    break;
                }
            }
            let next = runs[number].next().transpose().map_err(failed)?;
            heap.extend(next.map(|hash| std::cmp::Reverse((hash, number))));
            looked = looked.wrapping_add(1);
            if looked.is_multiple_of(1 << 16) {
                stop.check()?;
            }
        }
        Ok(repeated)
    }

    fn open_runs(self) -> io::Result<Vec<Run>> {
        let mut latest: Vec<IdHash> = self.latest.into_iter().collect();
        latest.sort_unstable();
        let mut runs = vec![Run::Memory(latest.into_iter())];
        runs.extend(self.kept.into_iter().map(|run| Run::Memory(run.into_iter())));
        let ahead = (READ_AHEAD / self.runs.len().max(1)).clamp(4 * TEXT_HASH_LEN, 1 << 16);
        let mut start = 0;
        for length in &self.runs {
            let Some(file) = &self.spilled else { break };
            let part = Part { file: file.try_clone()?, at: start, left: length * TEXT_HASH_LEN as u64 };
            start += part.left;
            runs.push(Run::File(BufReader::with_capacity(ahead, part)));
        }
        Ok(runs)
    }
}

/// Sorted hashes, one after another.
enum Run {
    Memory(std::vec::IntoIter<IdHash>),
    File(BufReader<Part>),
}

impl Iterator for Run {
    type Item = io::Result<IdHash>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = match self {
            Run::Memory(hashes) => return hashes.next().map(Ok),
            Run::File(reader) => reader,
        };
        if reader.buffer().is_empty() && reader.get_ref().left == 0 {
            return None;
        }
        let mut hash = IdHash::default();
        Some(reader.read_exact(&mut hash).map(|()| hash))
    }
}

/// A part of the temporary file; all parts share its position, so each goes to its own before it reads.
struct Part {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.seek(SeekFrom::Start(self.at))?;
        let read = self.file.read(&mut buffer[..most])?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is repeated among these ids, by the row that shows it or at the end.
    fn found(limit: usize, ids: &[u32]) -> Option<bool> {
        let mut all = Ids::with_limit(limit);
        for id in ids {
            if !all.add(&id.to_string()) {
                return Some(true);
            }
        }
        let repeated = all.repeated(&StopSignal::default()).unwrap();
        let is_known = |hash| ids.iter().any(|id| text_hash(&id.to_string(), None) == hash);
        assert!(repeated.iter().all(|hash| is_known(*hash)));
        (!repeated.is_empty()).then_some(false)
    }

    #[test]
    fn a_repeated_id_is_found_wherever_it_stands() {
        let all: Vec<u32> = (0..300).collect();
        for limit in [1, 2, 7, 100, 299, 300, 301, 1000] {
            assert_eq!(found(limit, &all), None, "{limit}");
            for (first, second) in [(0, 299), (0, 1), (150, 151), (98, 101), (200, 299), (0, 150)] {
                let mut ids = all.clone();
                ids[second] = ids[first];
                assert!(found(limit, &ids).is_some(), "{first} and {second} with {limit}");
            }
        }
        assert_eq!(found(100, &[7; 2]), Some(true), "close by it is noticed at its row");
    }

    #[test]
    fn runs_that_cannot_be_written_are_compared_all_the_same() {
        let mut all = Ids::with_limit(10);
        all.spilled = Some(File::open("/proc/self/status").unwrap());
        (0..95).for_each(|id: u32| assert!(all.add(&id.to_string())));
        assert_eq!(all.kept.len(), 9);
        assert!(all.add("3"));
        let repeated = all.repeated(&StopSignal::default()).unwrap();
        assert_eq!(repeated.into_iter().collect::<Vec<_>>(), [text_hash("3", None)]);
    }
}
