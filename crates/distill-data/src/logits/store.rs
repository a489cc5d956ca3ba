//! A soft-target store: shards of logits in the order of the source, and a manifest.

use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::{LabelMap, StopSignal, open};
use distill_task::TaskId;

use super::fingerprint::{FINGERPRINT_KEY, Fingerprint};
use super::manifest::{Manifest, Shard};
use super::row::{LogitsRow, TableRow};
use super::table::{LogitsTable, TableRows};
use super::writer::check_shape;
use crate::error::DataError;
use crate::parquet::ParquetFile;
use crate::source::{RawLabel, resolve};
use crate::stamp::{Stamp, hash_open};

/// An open store whose files are there, of the stated size, and of one fingerprint.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    manifest: Manifest,
    manifest_hash: String,
    stop: StopSignal,
}

impl Store {
    /// Opens a store: reads the manifest and each shard's footer, no rows.
    ///
    /// # Errors
    /// [`DataError::File`] without a manifest; [`DataError::Damaged`] for a file that is missing, of
    /// another size, or of another number of rows; [`DataError::Fingerprint`].
    pub fn open(directory: &Path) -> Result<Self, DataError> {
        let store = Self::open_unchecked(directory)?;
        for shard in &store.manifest.shards {
            store.check_shard(shard)?;
        }
        Ok(store)
    }

    /// Opens a store by its manifest alone, for [`Store::verify`] to say what is wrong with its files.
    ///
    /// # Errors
    /// [`DataError::File`] without a manifest; [`DataError::Damaged`] where the manifest cannot be read.
    pub fn open_unchecked(directory: &Path) -> Result<Self, DataError> {
        let (manifest, manifest_hash) = Manifest::read_hashed(directory)?;
        Ok(Store { directory: directory.to_owned(), manifest, manifest_hash, stop: StopSignal::default() })
    }

    /// The same store, whose rows end with [`DataError::Stopped`] once a stop is asked for.
    pub fn stopped_by(self, stop: &StopSignal) -> Self {
        Store { stop: stop.clone(), ..self }
    }

    /// The store's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the logits belong to.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.manifest.fingerprint
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// blake3 of the manifest's bytes as they were read: with the hashes in it, that of all logits.
    pub fn manifest_hash(&self) -> &str {
        &self.manifest_hash
    }

    /// Rows of all shards.
    pub fn num_rows(&self) -> u64 {
        self.manifest.rows
    }

    /// A stream over all rows in the order of the source; memory does not grow with their number. Each file
    /// is hashed and compared with the manifest before its first row. It ends after the first error.
    pub fn rows(&self) -> StoreRows {
        StoreRows {
            directory: self.directory.clone(),
            shards: self.manifest.shards.clone().into_iter(),
            labels: self.fingerprint().label_map.clone(),
            problem_type: self.fingerprint().problem_type,
            current: None,
            failed: false,
            stop: self.stop.clone(),
        }
    }

    pub(super) fn path(&self, shard: &Shard) -> PathBuf {
        self.directory.join(&shard.file.name)
    }

    /// Size, footer, fingerprint and number of rows of a shard.
    pub(super) fn check_shard(&self, shard: &Shard) -> Result<(), DataError> {
        let path = self.path(shard);
        let metadata = std::fs::metadata(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                DataError::damaged(&path, "the manifest names it, but it is missing")
            }
            _ => FileError::new("read", &path, source).into(),
        })?;
        if metadata.len() != shard.file.bytes {
            let what = format!("{} bytes, the manifest says {}", metadata.len(), shard.file.bytes);
            return Err(DataError::damaged(&path, what));
        }
        let file = ParquetFile::open(&path)?;
        let json = file.key_value(FINGERPRINT_KEY);
        let json = json.ok_or_else(|| DataError::damaged(&path, "it has no fingerprint"))?;
        let fingerprint = Fingerprint::from_json(json, &path)?;
        let manifest = format!("the manifest of {}", self.directory.display());
        self.fingerprint().must_equal(&manifest, &fingerprint, &shard.file.name)?;
        if file.num_rows() != shard.file.rows {
            let what = format!("{} rows, the manifest says {}", file.num_rows(), shard.file.rows);
            return Err(DataError::damaged(&path, what));
        }
        Ok(())
    }
}

/// The stream of a store's rows.
pub struct StoreRows {
    directory: PathBuf,
    shards: std::vec::IntoIter<Shard>,
    labels: LabelMap,
    problem_type: TaskId,
    current: Option<Current>,
    failed: bool,
    stop: StopSignal,
}

struct Current {
    shard: Shard,
    file: ParquetFile,
    /// What the file was before it was hashed.
    opened: Stamp,
    rows: TableRows,
    read: u64,
}

impl Iterator for StoreRows {
    type Item = Result<LogitsRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = matches!(row, Some(Err(_)) | None);
        row
    }
}

impl StoreRows {
    fn next_row(&mut self) -> Result<Option<LogitsRow>, DataError> {
        self.stop.check()?;
        loop {
            if let Some(current) = &mut self.current
                && current.read < current.shard.file.rows
            {
                let row = current.rows.next().transpose()?;
                let row = row.ok_or_else(|| current.damaged(&self.directory, "it is truncated"))?;
                let expected = current.shard.first_row + current.read;
                current.read += 1;
                return strict(row, expected, &self.labels, self.problem_type).map(Some);
            }
            if let Some(read) = self.current.take() {
                read.must_be_as_opened(&self.directory)?;
            }
            let Some(shard) = self.shards.next() else { return Ok(None) };
            let path = self.directory.join(&shard.file.name);
            let (file, opened) = checked(&path, &shard, &self.stop)?;
            let rows = LogitsTable::of_parquet(file.clone())?.rows()?;
            self.current = Some(Current { shard, file, opened, rows, read: 0 });
        }
    }
}

impl Current {
    fn damaged(&self, directory: &Path, what: &str) -> DataError {
        DataError::damaged(&directory.join(&self.shard.file.name), what)
    }

    /// Its rows were read after it was hashed.
    fn must_be_as_opened(&self, directory: &Path) -> Result<(), DataError> {
        match self.opened.difference(&self.file.stamp()?) {
            Some(what) => Err(DataError::Changed { file: directory.join(&self.shard.file.name), what }),
            None => Ok(()),
        }
    }
}

/// A shard whose content has the manifest's hash, open: what was hashed is what is read, whatever has its name later.
pub(super) fn checked(
    path: &Path,
    shard: &Shard,
    stop: &StopSignal,
) -> Result<(ParquetFile, Stamp), DataError> {
    let file = open::to_read(path).map_err(FileError::of("open", path))?;
    let opened = Stamp::of(&file.metadata().map_err(FileError::of("read", path))?);
    let hash = hash_open(&file, path, stop)?;
    if hash != shard.file.blake3 {
        let what = format!("its blake3 is {hash}, the manifest says {}", shard.file.blake3);
        return Err(DataError::damaged(path, what));
    }
    Ok((ParquetFile::of(file, path)?, opened))
}

/// A row of a store has everything, and stands where the manifest says.
pub(super) fn strict(
    row: TableRow,
    expected: u64,
    labels: &LabelMap,
    problem_type: TaskId,
) -> Result<LogitsRow, DataError> {
    let outputs = problem_type.outputs(labels);
    let error = |column: &str, what: String| Err(DataError::value(&row.place, column, what));
    if row.row.unsigned_abs() != expected {
        return error("row", format!("{}, expected {expected}", row.row));
    }
    let Some(text_hash) = row.text_hash else { return error("text_hash", "missing".to_owned()) };
    let is_id = |class: &RawLabel| matches!(class, RawLabel::Id(_));
    let label = match &row.label {
        None => None,
        Some(label) if label.classes().all(is_id) => Some(resolve(label, labels, &row.place, "label")?),
        Some(_) => return error("label", "a name, expected an id".to_owned()),
    };
    if label.as_ref().is_some_and(|label| label.shape() != problem_type.label_shape()) {
        return error("label", format!("not a label for {problem_type}"));
    }
    let place = row.place;
    let row = LogitsRow {
        row: row.row,
        id: row.id,
        text_hash,
        text: row.text,
        text_pair: row.text_pair,
        tokens: row.tokens,
        label,
        positions: row.positions.unwrap_or_default(),
        logits: row.logits,
    };
    match check_shape(&row, problem_type, outputs) {
        Ok(()) => Ok(row),
        Err(what) => Err(DataError::value(&place, "logits", what)),
    }
}
