//! The hash and size that a hub announces for a file before it sends the file.

use serde_json::Value;

use crate::hash::ContentHash;

/// Hash and size, as far as they were announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The hash that the content must have.
    pub(crate) hash: Option<ContentHash>,
    /// The number of bytes that it must have.
    pub(crate) size: Option<u64>,
}

impl Announced {
    /// Reads an entry of `siblings` in the hub's description of a repository with `blobs=true`.
    ///
    /// # Errors
    /// The part that has the wrong form.
    pub(crate) fn of_entry(entry: &Value) -> Result<Self, String> {
        // For a file in Git LFS, `blobId` is the hash of its pointer; the content has another hash.
        let lfs = entry.get("lfs").filter(|lfs| !lfs.is_null());
        let (hash, of) = match lfs {
            Some(lfs) => (lfs.get("sha256").or_else(|| lfs.get("oid")), lfs),
            None => (entry.get("blobId"), entry),
        };
        let hash = hash.filter(|hash| !hash.is_null()).map(|hash| {
            hash.as_str()
                .and_then(ContentHash::parse)
                .ok_or_else(|| format!("{} is not a hash", excerpt(&hash.to_string())))
        });
        Ok(Announced {
            hash: hash.transpose()?,
            size: of.get("size").or_else(|| entry.get("size")).and_then(Value::as_u64),
        })
    }

    /// Reads the headers of the hub's own answer or redirect for a file.
    ///
    /// # Errors
    /// What has the wrong form.
    pub(crate) fn of_headers<'a>(
        header: impl Fn(&str) -> Option<&'a str>,
        is_content: bool,
    ) -> Result<Self, String> {
        let linked = header("x-linked-etag").map(|tag| {
            ContentHash::parse(bare(tag)).ok_or_else(|| format!("X-Linked-ETag {} is not a hash", excerpt(tag)))
        });
        // A server may send an `ETag` of any form: only one with the form of a hash is used.
        let own = || header("etag").filter(|_| is_content).and_then(|tag| ContentHash::parse(bare(tag)));
        let size = header("x-linked-size")
            .map(|size| size.parse().map_err(|_| format!("X-Linked-Size {} is not a size", excerpt(size))));
        Ok(Announced { hash: linked.transpose()?.or_else(own), size: size.transpose()? })
    }

    /// Adds what another answer announced.
    ///
    /// # Errors
    /// Both values, if they contradict each other.
    pub(crate) fn add(&mut self, other: Announced) -> Result<(), String> {
        match (&self.size, other.size) {
            (Some(size), Some(other)) if *size != other => {
                return Err(format!("two sizes were announced, {size} and {other} bytes"));
            }
            (None, other) => self.size = other,
            _ => {}
        }
        match (&self.hash, other.hash) {
            (None, other) => self.hash = other,
            (Some(ContentHash::Git(_)), Some(sha256 @ ContentHash::Sha256(_))) => self.hash = Some(sha256),
            (Some(hash), Some(other)) if hash.kind() == other.kind() && *hash != other => {
                return Err(format!("two hashes were announced, {} and {}", hash.digits(), other.digits()));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A tag without the quotes and the mark of a weak one.
fn bare(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/").trim_matches('"')
}

/// The beginning of a text from outside, quoted.
pub(crate) fn excerpt(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const LFS: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    fn headers(given: &[(&str, &'static str)], is_content: bool) -> Result<Announced, String> {
        Announced::of_headers(
            |name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| *value),
            is_content,
        )
    }

    fn announced(hash: &str, size: u64) -> Announced {
        Announced { hash: ContentHash::parse(hash), size: Some(size) }
    }

    #[test]
    fn an_entry_of_git_lfs_has_the_hash_of_its_content() {
        let of = |entry: Value| Announced::of_entry(&entry);
        assert_eq!(of(json!({"blobId": GIT, "size": 6})).unwrap(), announced(GIT, 6));
        let lfs = json!({"blobId": GIT, "size": 6, "lfs": {"sha256": LFS, "size": 6, "pointerSize": 130}});
        assert_eq!(of(lfs).unwrap(), announced(LFS, 6));
        assert_eq!(of(json!({"rfilename": "x"})).unwrap(), Announced::default());
        assert!(of(json!({"blobId": "../../x"})).unwrap_err().contains("is not a hash"));
        assert!(of(json!({"lfs": {"sha256": 7}})).unwrap_err().contains("is not a hash"));
    }

    #[test]
    fn headers_are_hashes_or_nothing() {
        let linked = headers(
            &[
                ("x-linked-etag", "\"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\""),
                ("x-linked-size", "6"),
                ("etag", "\"cdn\""),
            ],
            false,
        );
        assert_eq!(linked.unwrap(), announced(LFS, 6));
        let own = [("etag", "W/\"ce013625030ba8dba906f756967f9e9ca394464a\"")];
        assert_eq!(headers(&own, true).unwrap().hash, ContentHash::parse(GIT));
        assert_eq!(headers(&own, false).unwrap().hash, None, "of a redirect it is the redirect's own");
        assert_eq!(headers(&[("etag", "\"../../../x\"")], true).unwrap(), Announced::default());
        assert!(headers(&[("x-linked-etag", "../../../x")], true).is_err());
        for size in ["-1", "1e3", "99999999999999999999999", ""] {
            let size: &'static str = size;
            assert!(headers(&[("x-linked-size", size)], true).is_err(), "{size}");
        }
    }

    #[test]
    fn announcements_that_differ_are_refused() {
        let mut known = announced(GIT, 6);
        assert!(known.add(announced(GIT, 7)).unwrap_err().contains("two sizes"));
        assert!(known.add(announced(&"a".repeat(40), 6)).unwrap_err().contains("two hashes"));
        known.add(announced(LFS, 6)).unwrap();
        assert_eq!(known, announced(LFS, 6), "the stronger one counts");
        known.add(Announced::default()).unwrap();
        assert_eq!(known, announced(LFS, 6));
    }
}
