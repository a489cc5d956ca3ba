//! The hashes that the hub names files by: SHA-256 for files in Git LFS, git's own for all others.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use distill_core::StopSignal;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The hash of a file's content, as lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContentHash {
    /// SHA-256 of the content, 64 digits.
    Sha256(String),
    /// SHA-1 of git's header and the content, 40 digits.
    Git(String),
}

/// Why a file was not hashed to its end.
pub(crate) enum Unhashed {
    /// It cannot be read.
    File(io::Error),
    /// A stop was requested.
    Stopped(distill_core::StopReason),
}

impl ContentHash {
    /// Parses a text with the form of a hash. Nothing else may become the name of a file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.len() {
            64 if is_hexadecimal(text) => Some(ContentHash::Sha256(text.to_owned())),
            40 if is_hexadecimal(text) => Some(ContentHash::Git(text.to_owned())),
            _ => None,
        }
    }

    /// Its digits, which are the blob's name in the cache.
    pub(crate) fn digits(&self) -> &str {
        match self {
            ContentHash::Sha256(digits) | ContentHash::Git(digits) => digits,
        }
    }

    /// Its name in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            ContentHash::Sha256(_) => "SHA-256",
            ContentHash::Git(_) => "git SHA-1",
        }
    }

    /// The hash of the same kind of a whole file.
    ///
    /// # Errors
    /// [`Unhashed`].
    pub(crate) fn of_same_kind(&self, file: &mut File, stop: &StopSignal) -> Result<Self, Unhashed> {
        let digits = match self {
            ContentHash::Sha256(_) => digits(Context::new(&SHA256), file, stop),
            ContentHash::Git(_) => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                let length = file.metadata().map_err(Unhashed::File)?.len();
                context.update(format!("blob {length}\0").as_bytes());
                digits(context, file, stop)
            }
        }?;
        Ok(match self {
            ContentHash::Sha256(_) => ContentHash::Sha256(digits),
            ContentHash::Git(_) => ContentHash::Git(digits),
        })
    }
}

/// SHA-256 of a file's whole content.
///
/// # Errors
/// [`Unhashed`].
pub(crate) fn sha256(file: &mut File, stop: &StopSignal) -> Result<ContentHash, Unhashed> {
    digits(Context::new(&SHA256), file, stop).map(ContentHash::Sha256)
}

fn digits(mut context: Context, file: &mut File, stop: &StopSignal) -> Result<String, Unhashed> {
    file.seek(SeekFrom::Start(0)).map_err(Unhashed::File)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        stop.check().map_err(Unhashed::Stopped)?;
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => context.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unhashed::File(error)),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a text is a commit: hexadecimal digits, at least as many as git's short form.
pub(crate) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn hashes_are_those_of_sha256sum_and_git_hash_object() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello\n").unwrap();
        let stop = StopSignal::default();
        let known = [
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ];
        for known in known {
            let hash = ContentHash::parse(known).unwrap();
            assert!(hash.of_same_kind(&mut file, &stop).is_ok_and(|found| found == hash), "{known}");
        }
        stop.raise(distill_core::StopReason::Terminate);
        assert!(matches!(sha256(&mut file, &stop), Err(Unhashed::Stopped(_))));
    }

    #[test]
    fn only_digits_are_a_hash_or_a_commit() {
        for bad in [
            "",
            "../../../../../../../../../../../../etc/x/",
            &"G".repeat(40),
            &"A".repeat(64),
            &"a".repeat(41),
        ] {
            assert_eq!(ContentHash::parse(bad), None, "{bad}");
        }
        assert!(is_commit("0123abc") && is_commit(&"a".repeat(40)));
        for bad in ["", "abc", "../../abc", "main", "0123ABC", &"a".repeat(65)] {
            assert!(!is_commit(bad), "{bad}");
        }
    }
}
