//! `distill targets merge`: one store of several shards'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_data::logits::{Manifest, Merge};
use serde_json::{Value, json};

use super::{files, stores};
use crate::args;
use crate::commands::outdir::OutDir;
use crate::commands::stage::{self, Finished, Stage};
use crate::exit::Status;
use crate::output::printer::bytes;
use crate::session::Session;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(common: &args::Common, asked: &args::Merge) -> anyhow::Result<Status> {
    let session = super::session(common)?;
    let stores = stores(&asked.directories)?;
    let stage = MergeStage { merge: Merge::plan(&stores)?, stores };
    stage::run_alone(&stage, &session, common, &asked.out, asked.overwrite)
}

/// Merging is a run like others: it holds the lock of its directory, goes on where it was stopped, and
/// does nothing where it is done.
struct MergeStage {
    merge: Merge,
    stores: Vec<PathBuf>,
}

impl Stage for MergeStage {
    fn command(&self) -> &'static str {
        "targets merge"
    }

    fn settings(&self, _session: &Session) -> anyhow::Result<Value> {
        Ok(json!({}))
    }

    fn inputs(&self, _session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        let named = |(index, hash): (usize, &str)| (format!("file {index}"), hash.to_owned());
        Ok(self.merge.hashes().enumerate().map(named).collect())
    }

    fn reads(&self) -> Vec<PathBuf> {
        self.stores.clone()
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        record.write(out.path())?;
        out.forget_manifest()?;
        let manifest = self.merge.write(out.path(), &session.stop, &session.progress)?;
        Ok(finished(&manifest, out.target()))
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
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
