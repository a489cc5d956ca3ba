//! One model: the hub's description of its repository, and the files that distill reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_core::read::bounded;
use serde_json::Value;

use crate::announced::{Announced, excerpt};
use crate::cache::Repository;
use crate::client::{Client, Patience, Trouble, again};
use crate::error::HubError;
use crate::fetch::Fetch;
use crate::files::{INDEX_FILE, indexed, is_part_name, wanted};
use crate::hash::is_commit;
use crate::name::HubName;

/// Size limit of the hub's description of a repository: some 200 bytes for each of its files.
const MOST_INFO_BYTES: usize = 64 << 20;
/// As its reader accepts.
const MOST_INDEX_BYTES: u64 = 16 << 20;

/// A repository at one commit.
pub(crate) struct About {
    pub(crate) commit: String,
    pub(crate) files: BTreeMap<String, Value>,
}

/// Downloads the files of a classifier or encoder, and returns the snapshot's directory. Files that the cache has, and
/// the part of an interrupted download, are not downloaded again.
///
/// # Errors
/// [`HubError`] if the hub cannot be reached, has no such model, or has no weights that can be read.
pub(crate) fn download(name: &HubName, cache: &Path, stop: &StopSignal) -> Result<PathBuf, HubError> {
    let client = Client::new(stop).map_err(|problem| name.unknown(problem))?;
    let shown = name.shown();
    fetch_all(name, cache, &client).map_err(|trouble| match trouble {
        Trouble::Stopped(reason) => reason.into(),
        Trouble::File(error) => error.into(),
        // The hub does not distinguish private from missing models.
        Trouble::Absent(status) => name.unknown(format!(
            "the hub has no such model or revision, or the token may not read it (HTTP status {status}); \
             `hf auth login` or HF_TOKEN gives a token"
        )),
        Trouble::Again { problem, .. } | Trouble::Failed(problem) => {
            HubError::Unreachable { name: shown, problem }
        }
        Trouble::Refused(problem) => HubError::Refused { name: shown, problem },
        Trouble::Lacking(problem) => name.unknown(problem),
    })
}

fn fetch_all(name: &HubName, cache: &Path, client: &Client) -> Result<PathBuf, Trouble> {
    let about = ask(name, client)?;
    let files = wanted(|file| about.files.contains_key(file)).map_err(Trouble::Lacking)?;
    let repository = Repository::open(cache, &name.folder(), &about.commit)?;
    let fetch = Fetch { client, repository: &repository, name: &name.name, commit: &about.commit };
    for file in files {
        fetch.file(file, about.announced(file)?)?;
        if file == INDEX_FILE {
            for part in parts(&repository)? {
                fetch.file(&part, about.announced(&part)?)?;
            }
        }
    }
    repository.set_reference(&name.revision)?;
    Ok(repository.snapshot())
}

/// The files that the fetched index names.
fn parts(repository: &Repository) -> Result<Vec<String>, Trouble> {
    let index = bounded(&repository.snapshot().join(INDEX_FILE), MOST_INDEX_BYTES)?;
    let refused = |problem: String| Trouble::Refused(format!("{INDEX_FILE}: {problem}"));
    let parts = indexed(&index).map_err(refused)?;
    match parts.iter().find(|part| !is_part_name(part)) {
        Some(bad) => Err(refused(format!("{} is not the name of a weights file", excerpt(bad)))),
        None => Ok(parts),
    }
}

/// Asks which commit a revision points to, and which files it has.
fn ask(name: &HubName, client: &Client) -> Result<About, Trouble> {
    let revision = name.revision.replace('/', "%2F");
    let url = client.at(&format!("/api/models/{}/revision/{revision}?blobs=true", name.name));
    let mut patience = Patience::default();
    let bytes = loop {
        match small(client, &url) {
            Ok(bytes) => break bytes,
            Err(trouble) => patience.after(trouble, false, client).map_err(|trouble| match trouble {
                Trouble::Again { problem, .. } | Trouble::Failed(problem) => {
                    Trouble::Failed(format!("the hub cannot be reached: {problem}"))
                }
                other => other,
            })?,
        }
    };
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Trouble::Failed(format!("{} answers with something that is not JSON: {error}", url.shown()))
    })?;
    let about = About::read(&json).map_err(Trouble::Refused)?;
    if name.revision.len() == about.commit.len() && is_commit(&name.revision) && name.revision != about.commit {
        let problem = format!("commit {} was requested, but the answer is for {}", name.revision, about.commit);
        return Err(Trouble::Refused(problem));
    }
    Ok(about)
}

/// A complete answer that fits into memory.
fn small(client: &Client, url: &crate::url::Url) -> Result<Vec<u8>, Trouble> {
    let mut answer = client.get(url, 0, |_| Ok(()))?;
    let (size, mut bytes) = (answer.number("content-length"), Vec::new());
    while let Some(part) = answer.next()? {
        bytes.extend(part);
        if bytes.len() > MOST_INFO_BYTES {
            return Err(Trouble::Failed(format!(
                "{} answers with more than {MOST_INFO_BYTES} bytes",
                url.shown()
            )));
        }
    }
    match size {
        Some(size) if size > bytes.len() as u64 => {
            Err(again(format!("{}: the answer is incomplete", url.shown())))
        }
        _ => Ok(bytes),
    }
}

impl About {
    pub(crate) fn read(json: &Value) -> Result<Self, String> {
        let commit = json.get("sha").and_then(Value::as_str).unwrap_or_default();
        if !is_commit(commit) {
            return Err(format!("{} is not a commit", excerpt(commit)));
        }
        let siblings = json.get("siblings").and_then(Value::as_array).ok_or("it lists no files")?;
        let named = |entry: &Value| Some((entry.get("rfilename")?.as_str()?.to_owned(), entry.clone()));
        Ok(About { commit: commit.to_owned(), files: siblings.iter().filter_map(named).collect() })
    }

    /// What was announced for a file, which must be in the repository.
    pub(crate) fn announced(&self, file: &str) -> Result<Announced, Trouble> {
        let entry = self.files.get(file).ok_or_else(|| {
            Trouble::Refused(format!("{file} is needed, and the repository lists no such file"))
        })?;
        Announced::of_entry(entry).map_err(|problem| Trouble::Refused(format!("{file}: {problem}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_commit_must_be_digits_and_a_file_must_be_listed() {
        let about =
            About::read(&json!({"sha": "0123abc", "siblings": [{"rfilename": "config.json"}, {}, 7]})).unwrap();
        assert!(about.announced("config.json").is_ok());
        assert!(matches!(about.announced("model.safetensors"), Err(Trouble::Refused(_))));
        for bad in [json!({}), json!({"sha": "../../x", "siblings": []}), json!({"sha": "0123abc"}), json!([])]
        {
            assert!(About::read(&bad).is_err(), "{bad}");
        }
    }
}
