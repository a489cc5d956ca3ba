//! The frozen encoder's pass over all rows of a token cache, in blocks that do not depend on how the rows are split
//! or where a run was stopped: a row's features have the same bits in every run.
//!
//! Finished blocks are kept next to the token cache every few seconds and at a stop. The next run, of another seed or
//! another head, computes the blocks that are not there, if any.

use std::ops::Range;
use std::time::{Duration, Instant};

use distill_core::hash::{Hasher, parts_hash};
use distill_core::{Progress, StopSignal};
use distill_data::batches::order_by_length;
use distill_data::cache::{FeatureFiles, FeatureShape};
use distill_data::{CacheError, TokenCache};
use distill_model::{Mode, Model};
use distill_teacher::forward::{packed, packed_inputs};
use distill_torch::info::{LibtorchInfo, instruction_sets};
use distill_torch::{ReadBack, TorchError};
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;

/// Tokens of a block, in batches: what a stop loses at most.
const BLOCK_BATCHES: u64 = 4;
/// How long finished blocks wait for others that are written with them, and how many numbers.
const WRITE_EVERY: Duration = Duration::from_secs(10);
const WRITE_VALUES: usize = 1 << 24;

/// Features of all rows of a cache, `[N, H]`, on the model's device.
pub(super) fn features(
    model: &Model,
    cache: &TokenCache,
    batch_tokens: u64,
    stop: &StopSignal,
    progress: &dyn Progress,
) -> Result<Tensor, TrainError> {
    let width = usize::try_from(model.config().hidden_size).unwrap_or(0);
    let mut pass = Pass {
        model,
        cache,
        batch_tokens,
        stop,
        width,
        values: vec![0.0; cache.len() * width],
        is_done: vec![false; cache.len()],
        files: files(model, cache, FeatureShape { rows: cache.len(), width }, batch_tokens, stop)?,
        unwritten: 0..0,
        written: Instant::now(),
    };
    let found = pass.read()?;
    tracing::info!(rows = cache.len(), reused = found, "features of the frozen encoder");
    if found < cache.len() {
        // What is frozen can be laid out once, as in the teacher's pass.
        if model.compute_kind().is_none_or(|kind| kind == Kind::Float) {
            model.pack_for_inference()?;
        }
        progress.begin("encode", cache.len() as u64, "rows");
        progress.resume(found as u64);
        let computed = pass.compute(progress);
        // Also what was finished before a stop.
        pass.write()?;
        computed?;
        progress.end();
    }
    let features = Tensor::from_slice(&pass.values).f_view([cache.len() as i64, width as i64]);
    Ok(features.map_err(TorchError::from)?.to_device(model.device()))
}

/// The directory for them; none for rows without a cache.
fn files(
    model: &Model,
    cache: &TokenCache,
    shape: FeatureShape,
    batch_tokens: u64,
    stop: &StopSignal,
) -> Result<Option<FeatureFiles>, TrainError> {
    let Some(directory) = cache.directory() else { return Ok(None) };
    let key = key(model, cache, batch_tokens)?;
    let about = format!(
        "{} rows by a frozen {} of {} layers",
        shape.rows,
        model.config().architecture.model_type,
        model.config().num_hidden_layers
    );
    kept(FeatureFiles::open(directory, &key, &about, shape, stop))
}

/// Without files a run computes what it needs: a disk that cannot store them causes a warning.
fn kept<T>(result: Result<T, CacheError>) -> Result<Option<T>, TrainError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(CacheError::Stopped(reason)) => Err(reason.into()),
        Err(CacheError::File(error)) => {
            tracing::warn!("features are not kept for the next run: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Everything that decides a bit of the features: what reads the rows, the rows, and what computes.
fn key(model: &Model, cache: &TokenCache, batch_tokens: u64) -> Result<String, TrainError> {
    let mut weights = Hasher::default();
    let encoder = model.parameters().iter().filter(|(name, _)| !model.config().architecture.is_head(name));
    for (name, tensor) in encoder {
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel()).map_err(TorchError::from)?;
        weights.update(format!("{name} {:?} {:?}\n", tensor.kind(), tensor.size()).as_bytes()).update(&bytes);
    }
    let libtorch = LibtorchInfo::read()?;
    let device = if model.device().is_cuda() { "cuda" } else { "cpu" };
    Ok(parts_hash([
        ("weights", weights.finish().as_str()),
        ("config", &model.config().to_json().to_string()),
        ("tokens", &cache.tokens_hash()),
        ("batch_tokens", &batch_tokens.to_string()),
        ("compute", &format!("{:?}, packed", model.compute_kind())),
        ("device", device),
        ("threads", &libtorch.threads.to_string()),
        ("kernels", &format!("{} {}", libtorch.cpu_capability, instruction_sets().join(" "))),
        ("versions", &format!("{} {}", libtorch.version, env!("CARGO_PKG_VERSION"))),
    ]))
}

struct Pass<'a> {
    model: &'a Model,
    cache: &'a TokenCache,
    batch_tokens: u64,
    stop: &'a StopSignal,
    width: usize,
    /// `[N, H]`, row-major.
    values: Vec<f32>,
    is_done: Vec<bool>,
    files: Option<FeatureFiles>,
    /// Rows that are done and in no file.
    unwritten: Range<usize>,
    written: Instant,
}

impl Pass<'_> {
    /// Reads the kept features; returns their number of rows.
    fn read(&mut self) -> Result<usize, TrainError> {
        let Some(files) = &self.files else { return Ok(0) };
        let (values, is_done, width) = (&mut self.values, &mut self.is_done, self.width);
        let read = files.read(self.stop, |first, found| {
            values[first * width..][..found.len()].copy_from_slice(found);
            is_done[first..][..found.len() / width].fill(true);
        });
        if kept(read)?.is_none() {
            self.files = None;
        }
        Ok(self.is_done.iter().filter(|done| **done).count())
    }

    fn compute(&mut self, progress: &dyn Progress) -> Result<(), TrainError> {
        let lengths = self.cache.lengths();
        let mut done = self.is_done.iter().filter(|done| **done).count();
        for block in blocks(&lengths, BLOCK_BATCHES.saturating_mul(self.batch_tokens)) {
            if self.is_done[block.clone()].iter().all(|done| *done) {
                continue;
            }
            self.stop.check()?;
            self.encode(block.clone(), &lengths)?;
            if self.unwritten.end != block.start {
                self.write()?;
                self.unwritten.start = block.start;
            }
            self.unwritten.end = block.end;
            done += block.len();
            progress.update(done as u64, "");
            if self.written.elapsed() >= WRITE_EVERY || self.unwritten.len() * self.width >= WRITE_VALUES {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Rows of a block, longest first, and to their places.
    fn encode(&mut self, block: Range<usize>, lengths: &[u32]) -> Result<(), TrainError> {
        let _no_gradients = tch::no_grad_guard();
        // Read one batch late: a GPU is at the next one meanwhile.
        let mut on_device: Option<(Vec<usize>, ReadBack)> = None;
        for batch in order_by_length(&lengths[block.clone()], self.batch_tokens) {
            self.stop.check()?;
            let rows: Vec<usize> = batch.iter().map(|place| block.start + *place as usize).collect();
            let members: Vec<_> = rows.iter().map(|row| self.cache.get(*row)).collect();
            let packed = packed(self.model.config(), &members)?;
            let inputs = packed_inputs(&packed, self.model)?;
            let computed = self.model.features(&inputs, Mode::Evaluate)?.to_kind(Kind::Float).contiguous(); // [B, H]
            let places = packed.rows.iter().map(|place| rows[*place as usize]).collect();
            if let Some(before) = on_device.replace((places, ReadBack::of(&computed)?)) {
                self.keep(&before)?;
            }
        }
        on_device.map_or(Ok(()), |last| self.keep(&last))?;
        self.is_done[block].fill(true);
        Ok(())
    }

    /// A batch's features, `[B, H]`, to the places of their rows.
    fn keep(&mut self, (rows, computed): &(Vec<usize>, ReadBack)) -> Result<(), TrainError> {
        let mut found = vec![0f32; rows.len() * self.width];
        computed.wait()?.f_copy_data(&mut found, rows.len() * self.width).map_err(TorchError::from)?;
        for (row, found) in rows.iter().zip(found.chunks_exact(self.width)) {
            self.values[row * self.width..][..self.width].copy_from_slice(found);
        }
        Ok(())
    }

    /// Writes what is not in a file.
    fn write(&mut self) -> Result<(), TrainError> {
        let rows = self.unwritten.clone();
        self.written = Instant::now();
        self.unwritten.start = rows.end;
        if let Some(files) = &self.files
            && !rows.is_empty()
        {
            let values = &self.values[rows.start * self.width..rows.end * self.width];
            if kept(files.write(rows.start, values))?.is_none() {
                self.files = None;
            }
        }
        Ok(())
    }
}

/// Splits consecutive rows into blocks of at most this many tokens; a longer row is a block by itself.
fn blocks(lengths: &[u32], most_tokens: u64) -> Vec<Range<usize>> {
    let (mut blocks, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (row, length) in lengths.iter().enumerate() {
        if row > start && tokens + u64::from(*length) > most_tokens {
            blocks.push(start..row);
            (start, tokens) = (row, 0);
        }
        tokens += u64::from(*length);
    }
    if start < lengths.len() {
        blocks.push(start..lengths.len());
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_row_once_and_no_more_tokens_than_asked_for() {
        assert!(blocks(&[], 8).is_empty());
        assert_eq!(blocks(&[3, 5, 1, 9, 9, 2, 2, 2], 8), [0..2, 2..3, 3..4, 4..5, 5..8]);
    }
}
