//! `distill targets average`: one store of several teachers'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_data::logits::Store;
use distill_student::teachers::{Average, Teachers};
use serde_json::{Value, json};

use super::merge::finished;
use crate::args;
use crate::commands::outdir::OutDir;
use crate::commands::stage::{self, Finished, Stage};
use crate::exit::Status;
use crate::session::Session;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(common: &args::Common, asked: &args::AverageStores) -> anyhow::Result<Status> {
    let session = super::session(common)?;
    let open = |directory: &std::path::PathBuf| Ok(Store::open(directory)?.stopped_by(&session.stop));
    let stores: Vec<Store> = asked.directories.iter().map(open).collect::<anyhow::Result<_>>()?;
    let hashes = stores.iter().enumerate().flat_map(|(number, store)| {
        let file = move |(index, hash)| (format!("store {number} file {index}"), hash);
        store.manifest().shards.iter().map(|shard| shard.file.blake3.clone()).enumerate().map(file)
    });
    let (hashes, average) = (hashes.collect(), asked.average.into());
    let teachers = Teachers::new(stores, &asked.weights, average)?;
    let stage = AverageStage { teachers, hashes, average, weights: &asked.weights, stores: &asked.directories };
    stage::run_alone(&stage, &session, common, &asked.out, asked.overwrite)
}

/// A run like others: it holds the lock of its directory, and does nothing where it is done. One that was stopped
/// begins again.
struct AverageStage<'a> {
    teachers: Teachers,
    hashes: BTreeMap<String, String>,
    average: Average,
    weights: &'a [f64],
    stores: &'a [PathBuf],
}

impl Stage for AverageStage<'_> {
    fn command(&self) -> &'static str {
        "targets average"
    }

    fn settings(&self, _session: &Session) -> anyhow::Result<Value> {
        Ok(json!({"average": self.average, "weights": self.weights}))
    }

    fn inputs(&self, _session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(self.hashes.clone())
    }

    fn reads(&self) -> Vec<PathBuf> {
        self.stores.to_vec()
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        record.write(out.path())?;
        out.forget_manifest()?;
        Ok(finished(&self.teachers.write(out.path(), &session.stop, &session.progress)?, out.target()))
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        stage::unusable_store(out)
    }
}
