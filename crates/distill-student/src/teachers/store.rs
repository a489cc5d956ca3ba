//! One soft-target store of several teachers': their average, kept.

use std::path::Path;

use distill_core::hash::bytes_hash;
use distill_core::{Progress, StopSignal};
use distill_data::DataError;
use distill_data::logits::{
    Fingerprint, LogitsRow, LogitsWriter, MANIFEST_FILE, Manifest, Shard, WriterOptions, shard_name,
};

use super::{Teachers, with_all};
use crate::error::TrainError;
use crate::soft_targets::TargetIndex;

/// Rows that are averaged at a time.
const CHUNK: usize = 4096;

impl Teachers {
    /// What the average belongs to: the first store's rows and labels, and a teacher that is all of them.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let first = self.stores.first()?.fingerprint();
        let of = |field: fn(&Fingerprint) -> &str| {
            self.stores.iter().map(|store| field(store.fingerprint())).collect::<Vec<_>>()
        };
        let weights = of(|print| &print.teacher_weights).join(" ");
        let tokenizers = of(|print| &print.tokenizer);
        let same_tokenizer = tokenizers.iter().all(|tokenizer| *tokenizer == tokenizers[0]);
        let is_f32 = of(|print| &print.dtype).iter().all(|dtype| *dtype == first.dtype);
        Some(Fingerprint {
            teacher_weights: bytes_hash(format!("{} {weights}", self.mixture.key()).as_bytes()),
            tokenizer: if same_tokenizer {
                first.tokenizer.clone()
            } else {
                bytes_hash(tokenizers.join(" ").as_bytes())
            },
            // Sums of both are as exact as the coarser one.
            dtype: if is_f32 { first.dtype.clone() } else { "bf16".to_owned() },
            ..first.clone()
        })
    }

    /// Writes the average as a store into `out`, which must exist, in files with the rows of the first store's; the
    /// manifest last. Memory: the logits of all stores but the first.
    ///
    /// # Errors
    /// [`TrainError::Rows`] naming the first row that a store does not have; [`DataError::NotEmpty`] where `out` is a
    /// store already; those of reading and writing stores.
    pub fn write(
        &self,
        out: &Path,
        stop: &StopSignal,
        progress: &dyn Progress,
    ) -> Result<Manifest, TrainError> {
        if out.join(MANIFEST_FILE).exists() {
            return Err(DataError::NotEmpty { directory: out.to_owned() }.into());
        }
        let (Some((first, others)), Some(fingerprint)) = (self.stores.split_first(), self.fingerprint()) else {
            return Err(TrainError::Rows("there is no store to average".to_owned()));
        };
        let indices: Vec<TargetIndex> =
            others.iter().map(|store| TargetIndex::read(store, stop)).collect::<Result<_, _>>()?;
        progress.begin("average", first.num_rows(), "rows");
        let mut rows = first.rows().peekable();
        // Rows keep their texts where the first store has them.
        let with_text = matches!(rows.peek(), Some(Ok(row)) if row.text.is_some());
        let options = WriterOptions { with_text, ..WriterOptions::default() };
        let (mut shards, mut done) = (Vec::new(), 0);
        let parts = &first.manifest().shards;
        for (index, part) in parts.iter().enumerate() {
            let path = out.join(shard_name(index, parts.len()));
            let mut writer = LogitsWriter::create(&path, &fingerprint, options)?;
            let mut left = usize::try_from(part.file.rows).unwrap_or(usize::MAX);
            while left > 0 {
                stop.check()?;
                let chunk: Vec<LogitsRow> =
                    rows.by_ref().take(left.min(CHUNK)).collect::<Result<_, DataError>>()?;
                if chunk.is_empty() {
                    break;
                }
                let averaged: Vec<LogitsRow> =
                    chunk.iter().map(|row| with_all(self, &indices, row)).collect::<Result<_, TrainError>>()?;
                writer.write(&averaged)?;
                left -= chunk.len();
                done += chunk.len() as u64;
                progress.update(done, "");
            }
            shards.push(Shard { file: writer.finish()?, first_row: part.first_row });
        }
        progress.end();
        let manifest = Manifest::new(fingerprint, shards, first.manifest().source_rows);
        manifest.write(out)?;
        Ok(manifest)
    }
}
