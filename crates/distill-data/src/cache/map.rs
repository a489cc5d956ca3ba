//! The one place that maps a file and hands it to arrow2.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow2::array::{Array, ListArray, PrimitiveArray};
use arrow2::io::ipc::read::read_file_metadata;
use arrow2::mmap::mmap_unchecked;
use arrow2::types::NativeType;
use memmap2::Mmap;

use super::mapped::{self, Listed};
use super::rows::Example;
use super::sidecar::Sidecar;
use super::writer::schema;

/// The record batches of a mapped cache file. Pages are read by the system as rows are asked for.
#[derive(Debug)]
pub(super) struct MappedRows {
    chunks: Vec<MappedChunk>,
    rows: usize,
    _listed: Listed,
}

#[derive(Debug)]
struct MappedChunk {
    first: usize,
    input_ids: Column<u32>,
    token_type_ids: Column<u8>,
    labels: PrimitiveArray<i32>,
    targets: Column<f32>,
    logits: Column<f32>,
    positions: Column<u32>,
    tags: Column<i32>,
    first_words: PrimitiveArray<u32>,
    id_hashes: PrimitiveArray<u64>,
    partner_hashes: PrimitiveArray<u64>,
    rows: PrimitiveArray<u64>,
}

/// A list column with its values at hand.
#[derive(Debug)]
struct Column<T: NativeType> {
    lists: ListArray<i32>,
    values: PrimitiveArray<T>,
}

impl MappedRows {
    /// Maps `file`, whose bytes the caller has just compared with the hash in `sidecar`.
    pub fn map(file: &File, path: &Path, sidecar: &Sidecar) -> Result<Self, String> {
        // SAFETY: distill wrote this file and nothing writes to it in place: a new cache replaces it by
        // rename, which leaves this inode alone. It is open read-only, and its length and hash were compared. Where
        // somebody cuts it off all the same, reading it ends the process (SIGBUS), which says so by `mapped`.
        let map = unsafe { Mmap::map(file) }.map_err(|error| format!("it cannot be mapped: {error}"))?;
        let listed = mapped::list(&map, path);
        let map = Arc::new(map);
        let damaged = |error: arrow2::error::Error| format!("arrow2 refuses it: {error}");
        let metadata = read_file_metadata(&mut Cursor::new(&map[..])).map_err(damaged)?;
        if metadata.schema.fields != schema().fields {
            return Err("it has other columns".to_owned());
        }
        let mut chunks = Vec::with_capacity(metadata.blocks.len());
        let mut first = 0;
        for index in 0..metadata.blocks.len() {
            // SAFETY: the bytes are those `writer` made from checked arrays (the hash agrees), so offsets
            // increase and lie within their values; `map` lives as long as the arrays, which hold the Arc.
            let chunk = unsafe { mmap_unchecked(&metadata, &Default::default(), map.clone(), index) };
            let chunk =
                MappedChunk::of(first, chunk.map_err(damaged)?.arrays()).ok_or("it has other columns")?;
            first += chunk.rows.len();
            chunks.push(chunk);
        }
        if first as u64 != sidecar.rows {
            return Err(format!("it has {first} rows, the sidecar says {}", sidecar.rows));
        }
        Ok(MappedRows { chunks, rows: first, _listed: listed })
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn get(&self, index: usize) -> Example<'_> {
        let chunk = &self.chunks[self.chunks.partition_point(|chunk| chunk.first <= index).saturating_sub(1)];
        let at = index - chunk.first;
        Example {
            input_ids: chunk.input_ids.get(at),
            token_type_ids: chunk.token_type_ids.lists.is_valid(at).then(|| chunk.token_type_ids.get(at)),
            label: chunk.labels.get(at),
            targets: chunk.targets.get(at),
            logits: chunk.logits.get(at),
            positions: chunk.positions.get(at),
            tags: chunk.tags.get(at),
            first_word: chunk.first_words.values()[at],
            id_hash: chunk.id_hashes.values()[at],
            partner_hash: chunk.partner_hashes.get(at),
            row: chunk.rows.values()[at],
        }
    }

    pub fn lengths(&self) -> Vec<u32> {
        let chunks = self.chunks.iter();
        chunks.flat_map(|chunk| chunk.input_ids.lists.offsets().lengths()).map(|length| length as u32).collect()
    }
}

impl MappedChunk {
    fn of(first: usize, columns: &[Box<dyn Array>]) -> Option<Self> {
        let [
            input_ids,
            token_type_ids,
            labels,
            targets,
            logits,
            positions,
            tags,
            first_words,
            id_hashes,
            partner_hashes,
            rows,
        ] = columns
        else {
            return None;
        };
        Some(MappedChunk {
            first,
            input_ids: Column::of(input_ids.as_ref())?,
            token_type_ids: Column::of(token_type_ids.as_ref())?,
            labels: labels.as_any().downcast_ref::<PrimitiveArray<i32>>()?.clone(),
            targets: Column::of(targets.as_ref())?,
            logits: Column::of(logits.as_ref())?,
            positions: Column::of(positions.as_ref())?,
            tags: Column::of(tags.as_ref())?,
            first_words: first_words.as_any().downcast_ref::<PrimitiveArray<u32>>()?.clone(),
            id_hashes: id_hashes.as_any().downcast_ref::<PrimitiveArray<u64>>()?.clone(),
            partner_hashes: partner_hashes.as_any().downcast_ref::<PrimitiveArray<u64>>()?.clone(),
            rows: rows.as_any().downcast_ref::<PrimitiveArray<u64>>()?.clone(),
        })
    }
}

impl<T: NativeType> Column<T> {
    fn of(array: &dyn Array) -> Option<Self> {
        let lists = array.as_any().downcast_ref::<ListArray<i32>>()?.clone();
        let values = lists.values().as_any().downcast_ref::<PrimitiveArray<T>>()?.clone();
        Some(Column { lists, values })
    }

    fn get(&self, index: usize) -> &[T] {
        let (start, end) = self.lists.offsets().start_end(index);
        &self.values.values()[start..end]
    }
}
