//! Opening a cache, or building it once however many processes ask for it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use distill_core::StopSignal;
use distill_core::atomic::FileError;
use distill_core::lock::is_never_locked;

use super::listing::{Kind, remove_half_written};
use super::locks::{lock_file, mark_used, wait_for};
use super::map::MappedRows;
use super::sidecar::{Paths, Refusal, Sidecar};
use super::{CACHE_FORMAT, CacheError, CacheWriter, Store, TokenCache};

impl TokenCache {
    /// Opens the cache of `key` in `directory`, or runs `build` and keeps what it pushes.
    ///
    /// The file's length and blake3 are compared on every opening, before it is mapped. A cache that is
    /// damaged, of another version or another key is built again, with a warning that says why. Processes
    /// that ask for the same key at once wait for the one that builds; if its `build` fails, the next builds.
    ///
    /// `key` names everything the rows depend on (data, tokenizer, maximum length, label map, …), as
    /// `distill_core::hash::parts_hash` gives it: 1 to 128 letters, digits, `-` or `_`. `about` says the same
    /// to people, in the list of [`super::info`].
    ///
    /// The Arrow file stays locked for others that only read while the value lives, so that
    /// [`super::clean`] knows what is in use.
    ///
    /// # Errors
    /// [`CacheError`] where the directory cannot be used, or a stop is asked for while it waits; those of
    /// `build`.
    pub fn open_or_build<E: From<CacheError>>(
        directory: &Path,
        key: &str,
        about: &str,
        stop: &StopSignal,
        build: impl FnOnce(&mut CacheWriter) -> Result<(), E>,
    ) -> Result<Self, E> {
        let paths = Paths::of(directory, key)?;
        std::fs::create_dir_all(directory)
            .map_err(FileError::of("create", directory))
            .map_err(CacheError::from)?;
        let lock = lock_file(&paths.lock)?;
        let shared = wait_for(&paths.lock, stop, || lock.try_lock_shared())?;
        mark_used(&lock);
        if let Ok(cache) = open(&paths, key, stop)? {
            return Ok(cache);
        }
        // Not an upgrade, which two holders of a shared lock would wait for for ever.
        if shared {
            lock.unlock().map_err(FileError::of("unlock", &paths.lock)).map_err(CacheError::from)?;
        }
        let alone = wait_for(&paths.lock, stop, || lock.try_lock())?;
        match open(&paths, key, stop)? {
            Ok(cache) => return Ok(cache),
            Err(Refusal::Absent) => {}
            Err(why) => {
                tracing::warn!(cache = %paths.arrow.display(), "the token cache is built again: {why}");
            }
        }
        if alone {
            remove_half_written(directory, key, Kind::Tokens)?;
        }
        let mut writer = CacheWriter::create(&paths.arrow)?;
        build(&mut writer)?;
        writer.finish(key, about)?.write(&paths.sidecar)?;
        open(&paths, key, stop)?.map_err(|refusal| match refusal {
            Refusal::Absent => CacheError::Arrow("it was removed while it was built".to_owned()).into(),
            Refusal::System(error) => CacheError::from(error).into(),
            Refusal::Bad(why) => CacheError::Arrow(format!("the new file was refused: {why}")).into(),
        })
    }
}

fn open(paths: &Paths, key: &str, stop: &StopSignal) -> Result<Result<TokenCache, Refusal>, CacheError> {
    if !paths.sidecar.exists() {
        return Ok(Err(Refusal::Absent));
    }
    let rows = open_checked(paths, key, stop);
    // A check that was cut short says nothing about the file.
    stop.check()?;
    let directory = paths.arrow.parent().map(Path::to_path_buf);
    Ok(rows.map(|(rows, file)| TokenCache { store: Store::Mapped(rows), directory, _in_use: Some(file) }))
}

fn open_checked(paths: &Paths, key: &str, stop: &StopSignal) -> Result<(MappedRows, File), Refusal> {
    let sidecar = Sidecar::read(&paths.sidecar)?;
    if sidecar.format != CACHE_FORMAT {
        return Err(format!("it has format {}, this version writes {CACHE_FORMAT}", sidecar.format).into());
    }
    if sidecar.key != key {
        return Err(format!("its sidecar has the key {}", sidecar.key).into());
    }
    let refused = |error| Refusal::System(FileError::new("read", &paths.arrow, error));
    let mut file = distill_core::open::to_read(&paths.arrow).map_err(refused)?;
    // On a file system without locks nobody can know that it is in use; it stays readable when removed.
    if !is_never_locked()
        && let Err(error) = file.lock_shared()
    {
        tracing::debug!("{}: {error}", paths.arrow.display());
    }
    let length = file.metadata().map_err(refused)?.len();
    if length != sidecar.bytes {
        return Err(format!("it has {length} bytes, the sidecar says {}", sidecar.bytes).into());
    }
    let found = hash(&mut file, stop).map_err(refused)?;
    if found != sidecar.blake3 {
        return Err(format!("its blake3 is {found}, the sidecar says {}", sidecar.blake3).into());
    }
    Ok((MappedRows::map(&file, &paths.arrow, &sidecar)?, file))
}

/// blake3 of an open file, or of a part of it once a stop is asked for. The same open file is mapped afterwards,
/// so what was checked is what is read.
fn hash(file: &mut File, stop: &StopSignal) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    while stop.check().is_ok() {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        };
    }
    Ok(hasher.finalize().to_hex().to_string())
}
