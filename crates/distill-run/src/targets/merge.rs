//! `distill targets merge`: one store of several shards'.

use std::path::{Path, PathBuf};

use distill_data::logits::{Manifest, Merge};
use serde_json::json;

use super::{files, stores};
use crate::error::{Result, Status};
use crate::session::Session;
use crate::stage::{self, Finished, Prepared, Stage};
use distill_report::documents::format::bytes;

/// Merging is a run like others: it holds the lock of its directory, resumes after a stop, and
/// does nothing where it is done.
pub struct MergeStage {
    merge: Merge,
    stores: Vec<PathBuf>,
}

impl MergeStage {
    /// The stores in some directories, as one.
    ///
    /// # Errors
    /// Where they are not all of the rows, each once, or not of one teacher.
    pub fn of(directories: &[PathBuf]) -> Result<Self> {
        let stores = stores(directories)?;
        Ok(MergeStage { merge: Merge::plan(&stores)?, stores })
    }
}

impl Stage for MergeStage {
    fn command(&self) -> &'static str {
        "targets merge"
    }

    fn prepare(&self, _session: &Session) -> Result<Prepared<'_>> {
        let named = |(index, hash): (usize, &str)| (format!("file {index}"), hash.to_owned());
        let inputs = self.merge.hashes().enumerate().map(named).collect();
        Ok(Prepared::new(json!({}), inputs, |session, out, record| {
            record.write(out.path())?;
            out.remove_manifest()?;
            let manifest = self.merge.write(out.path(), &session.stop, &*session.progress)?;
            Ok(finished(&manifest, out.target()))
        }))
    }

    fn reads(&self) -> Vec<PathBuf> {
        self.stores.clone()
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        stage::unusable_store(out)
    }
}

/// What is said of a store that was written.
pub fn finished(manifest: &Manifest, out: &Path) -> Finished {
    let size = manifest.shards.iter().map(|shard| shard.file.bytes).sum::<u64>();
    let count = manifest.shards.len();
    let (rows, out) = (manifest.rows, out.display());
    let text = format!("{rows} rows in {}, {}\nsoft targets: {out}", files(count), bytes(size));
    let results = [("rows", json!(rows)), ("files", json!(count)), ("bytes", json!(size))];
    let results = results.map(|(name, value)| (name.to_owned(), value)).into();
    Finished { status: Status::Done, text, results }
}
