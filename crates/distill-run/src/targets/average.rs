//! `distill targets average`: one store of several teachers'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_data::logits::Store;
use distill_student::teachers::{Average, Teachers};
use serde_json::json;

use super::merge::finished;
use crate::error::Result;
use crate::session::Session;
use crate::stage::{self, Prepared, Stage};

/// A run like others: it holds the lock of its directory, and does nothing where it is done. One that was stopped
/// begins again.
pub struct AverageStage<'a> {
    teachers: Teachers,
    hashes: BTreeMap<String, String>,
    average: Average,
    weights: &'a [f64],
    stores: &'a [PathBuf],
}

impl<'a> AverageStage<'a> {
    /// The average of several stores over the same rows; without weights, a plain mean.
    ///
    /// # Errors
    /// Where they are not of the same rows and labels, or a store cannot be read.
    pub fn of(
        directories: &'a [PathBuf],
        weights: &'a [f64],
        average: Average,
        stop: &StopSignal,
    ) -> Result<Self> {
        let open = |directory: &PathBuf| Ok(Store::open(directory)?.stopped_by(stop));
        let stores: Vec<Store> = directories.iter().map(open).collect::<Result<_>>()?;
        let hashes = stores.iter().enumerate().flat_map(|(number, store)| {
            let file = move |(index, hash)| (format!("store {number} file {index}"), hash);
            store.manifest().shards.iter().map(|shard| shard.file.blake3.clone()).enumerate().map(file)
        });
        let hashes = hashes.collect();
        let teachers = Teachers::new(stores, weights, average)?;
        Ok(AverageStage { teachers, hashes, average, weights, stores: directories })
    }
}

impl Stage for AverageStage<'_> {
    fn command(&self) -> &'static str {
        "targets average"
    }

    fn prepare(&self, _session: &Session) -> Result<Prepared<'_>> {
        let settings = json!({"average": self.average, "weights": self.weights});
        Ok(Prepared::new(settings, self.hashes.clone(), |session, out, record| {
            record.write(out.path())?;
            out.remove_manifest()?;
            let manifest = self.teachers.write(out.path(), &session.stop, &*session.progress)?;
            Ok(finished(&manifest, out.target()))
        }))
    }

    fn reads(&self) -> Vec<PathBuf> {
        self.stores.to_vec()
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        stage::unusable_store(out)
    }
}
