//! The lock for file systems without locks: a file that only one process can create.
//!
//! `.lock.claim` contains the holder, and a thread touches it every [`BEAT`]. A process that finds the claim of a dead
//! holder takes it over while it holds `.lock.takeover`, so that two processes cannot take over the same claim.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::claim::{BEAT, Claim, STALE};
use crate::atomic::FileError;
use crate::open;

/// The claim's name inside a directory.
const CLAIM_FILE: &str = ".lock.claim";
/// The file that a process creates exclusively while it takes over a claim.
const TAKEOVER_FILE: &str = ".lock.takeover";
/// A takeover needs milliseconds; a process that takes this long was killed.
const TAKEOVER_LASTS: Duration = Duration::from_secs(600);

/// Called when this process has lost a directory.
static ON_LOSS: OnceLock<fn(&Path)> = OnceLock::new();

/// Sets what happens when a claim is lost while it is held: another machine considered a sleeping process dead, or the
/// file was removed. Only the first call has an effect.
pub fn on_loss(end: fn(&Path)) {
    ON_LOSS.get_or_init(|| end);
}

/// A claim that this process holds until the value is dropped.
#[derive(Debug)]
pub(super) struct Exclusive {
    path: PathBuf,
    line: String,
    /// Dropping it ends the thread.
    alive: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

/// The result of an attempt to take a claim.
#[derive(Debug)]
pub(super) enum Try {
    Mine(Exclusive),
    /// Another process has it; its name, for people.
    Held(String),
}

impl Exclusive {
    /// Takes the directory's claim, also from a dead holder.
    pub fn try_take(directory: &Path) -> Result<Try, FileError> {
        let path = directory.join(CLAIM_FILE);
        if let Some(mine) = Self::make(&path)? {
            return Ok(Try::Mine(mine));
        }
        // Without this, two processes could remove each other's claims.
        let takeover = directory.join(TAKEOVER_FILE);
        let Some(now) = begin_takeover(&takeover)? else {
            return Ok(Try::Held(read(&path)?.map_or_else(String::new, |(_, holder)| holder)));
        };
        let taken = Self::take_over(&path, now);
        let ended = removed(&takeover);
        let taken = taken?;
        ended?;
        Ok(taken)
    }

    fn take_over(path: &Path, now: SystemTime) -> Result<Try, FileError> {
        if let Some(holder) = holder(path, now)? {
            return Ok(Try::Held(holder));
        }
        removed(path)?;
        Ok(Self::make(path)?.map_or_else(|| Try::Held(String::new()), Try::Mine))
    }

    /// Creates the claim, if there is none.
    fn make(path: &Path) -> Result<Option<Self>, FileError> {
        let mut file = match open::new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            file => file.map_err(FileError::of("create", path))?,
        };
        let line = Claim::own().to_line();
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(FileError::of("write", path))?;
        let (alive, ended) = channel();
        let (theirs, text) = (path.to_owned(), line.clone());
        let beat = move || {
            let mut last = Instant::now();
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                match touch(&mut file, &theirs, &text) {
                    Ok(true) => last = Instant::now(),
                    // A file system that does not answer for a while is not a loss.
                    Err(_) if last.elapsed() < STALE / 2 => {}
                    Ok(false) | Err(_) => return lost(&theirs),
                }
            }
        };
        let heart = std::thread::Builder::new().name("lock".to_owned()).spawn(beat);
        let heart = heart.map_err(FileError::of("lock", path))?;
        Ok(Some(Exclusive { path: path.to_owned(), line, alive: Some(alive), heart: Some(heart) }))
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(heart) = self.heart.take() {
            // The thread has no result, even if it panicked.
            drop(heart.join());
        }
        // A claim that was taken over belongs to another process. A claim that is not removed becomes stale.
        if text(&self.path).is_ok_and(|found| found.as_deref() == Some(self.line.as_str())) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// The holder of a directory's claim, if any. Does not write.
pub(super) fn look(directory: &Path) -> Result<Option<String>, FileError> {
    holder(&directory.join(CLAIM_FILE), SystemTime::now())
}

fn holder(path: &Path, now: SystemTime) -> Result<Option<String>, FileError> {
    let Some((claim, holder)) = read(path)? else { return Ok(None) };
    let data = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        data => data.map_err(FileError::of("read", path))?,
    };
    let silent = || data.modified().ok().and_then(|touched| now.duration_since(touched).ok());
    let is_alive = match &claim {
        Some(claim) => claim.is_alive(&data, now),
        // A partial line: it is being written, or its writer was killed.
        None => silent().is_none_or(|silent| silent < STALE),
    };
    Ok(is_alive.then_some(holder))
}

/// A claim file's content, and its holder for people; none if there is no file.
fn read(path: &Path) -> Result<Option<(Option<Claim>, String)>, FileError> {
    let text = text(path).map_err(FileError::of("read", path))?;
    Ok(text.map(|text| {
        let claim = Claim::parse(&text);
        let holder = claim.as_ref().map_or_else(String::new, Claim::holder);
        (claim, holder)
    }))
}

fn text(path: &Path) -> io::Result<Option<String>> {
    const LONGEST: u64 = 4096;
    let mut text = String::new();
    match open::to_read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?.take(LONGEST).read_to_string(&mut text)?,
    };
    Ok(Some(text))
}

/// Creates the takeover file and returns the file system's time; none if another process has it.
fn begin_takeover(path: &Path) -> Result<Option<SystemTime>, FileError> {
    match open::new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let touched = std::fs::symlink_metadata(path).and_then(|data| data.modified());
            let age = touched.ok().and_then(|touched| SystemTime::now().duration_since(touched).ok());
            if age.is_some_and(|age| age > TAKEOVER_LASTS) {
                removed(path)?;
            }
            Ok(None)
        }
        file => {
            let data = file.and_then(|file| file.metadata()).map_err(FileError::of("create", path))?;
            Ok(Some(data.modified().unwrap_or_else(|_| SystemTime::now())))
        }
    }
}

/// Gives a sign of life: writes the same line again, which sets the file's time by the file system's clock.
/// False if the file of that name no longer belongs to this process.
fn touch(file: &mut File, path: &Path, line: &str) -> io::Result<bool> {
    if text(path)?.as_deref() != Some(line) {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    Ok(true)
}

/// Does what [`on_loss`] was given, for the directory of a lock file.
pub(super) fn lost(path: &Path) {
    if let Some(end) = ON_LOSS.get() {
        end(path.parent().unwrap_or(path));
    }
}

fn removed(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::new("remove", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(directory: &Path) -> Exclusive {
        match Exclusive::try_take(directory).unwrap() {
            Try::Mine(mine) => mine,
            Try::Held(holder) => panic!("held by {holder}"),
        }
    }

    fn is_held(directory: &Path) -> bool {
        matches!(Exclusive::try_take(directory).unwrap(), Try::Held(_))
    }

    fn put(path: &Path, line: &str, age: Duration) {
        crate::atomic::write(path, line.as_bytes()).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_claim_belongs_to_one_process_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let first = mine(directory.path());
        assert!(is_held(directory.path()));
        let holder = look(directory.path()).unwrap().unwrap();
        assert!(holder.contains(&format!("pid {}", std::process::id())), "{holder}");
        drop(first);
        assert_eq!(look(directory.path()).unwrap(), None);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        mine(directory.path());
    }

    #[test]
    fn a_claim_is_taken_over_only_from_a_dead_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(CLAIM_FILE);
        let line = Claim::own().to_line();
        let elsewhere = line.replace("boot ", "boot another-");
        let dead = line.replace(" start ", " start 1");
        for (line, age, held) in [
            (elsewhere.as_str(), STALE / 2, true),
            (elsewhere.as_str(), STALE * 2, false),
            (line.as_str(), STALE * 2, true),
            (dead.as_str(), Duration::ZERO, false),
            ("host a pi", Duration::ZERO, true),
            ("", STALE * 2, false),
        ] {
            put(&path, line, age);
            assert_eq!(look(directory.path()).unwrap().is_some(), held, "{line:?} {age:?}");
            assert_eq!(is_held(directory.path()), held, "{line:?} {age:?}");
        }
    }

    #[test]
    fn only_one_of_many_simultaneous_takeovers_succeeds() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            put(
                &directory.path().join(CLAIM_FILE),
                &Claim::own().to_line().replace(" start ", " start 1"),
                STALE,
            );
            let all: Vec<Try> = std::thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| Exclusive::try_take(directory.path()).unwrap())).collect();
                tries.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|one| matches!(one, Try::Mine(_))).count(), 1);
        }
    }

    #[test]
    fn a_beat_sets_the_time_and_notices_a_loss() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(CLAIM_FILE);
        let line = Claim::own().to_line();
        put(&path, &line, STALE);
        let mut file = File::options().write(true).open(&path).unwrap();
        assert!(touch(&mut file, &path, &line).unwrap());
        let age = SystemTime::now().duration_since(path.metadata().unwrap().modified().unwrap());
        assert!(age.is_ok_and(|age| age < STALE / 2));
        put(&path, &Claim::own().to_line(), Duration::ZERO);
        assert!(!touch(&mut file, &path, &line).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!touch(&mut file, &path, &line).unwrap());
    }

    #[test]
    fn a_takeover_that_was_killed_does_not_last() {
        let directory = tempfile::tempdir().unwrap();
        let dead = Claim::own().to_line().replace(" start ", " start 1");
        put(&directory.path().join(CLAIM_FILE), &dead, STALE);
        put(&directory.path().join(TAKEOVER_FILE), "", TAKEOVER_LASTS / 2);
        assert!(is_held(directory.path()));
        put(&directory.path().join(TAKEOVER_FILE), "", TAKEOVER_LASTS * 2);
        assert!(is_held(directory.path()), "it is removed, and the next try is the first of all");
        mine(directory.path());
    }
}
