//! Tensors in safetensors files: one file, or several with an index. Nothing is ever unpickled.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::read::bounded;
use distill_core::{StopSignal, hash, open};
pub use distill_hub::files::WEIGHTS_FILE;
use distill_hub::files::{self, INDEX_FILE, PICKLED_FILE};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::error::ModelError;

/// A line for each tensor.
const MAX_INDEX_BYTES: u64 = 16 << 20;
/// Some hundred bytes for each tensor: room for more than any model has.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The files that hold the weights of a model directory, in the order of their names.
///
/// # Errors
/// [`ModelError::NotAModel`] where there are none, with the line that converts a pickled file.
pub fn weight_files(directory: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = directory.join(WEIGHTS_FILE);
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = directory.join(INDEX_FILE);
    if index.exists() {
        return Ok(indexed_files(&index)?.iter().map(|name| directory.join(name)).collect());
    }
    Err(ModelError::NotAModel { directory: directory.to_owned(), file: WEIGHTS_FILE, hint: hint(directory) })
}

/// What to do about a directory whose weights are in a form that is not read.
fn hint(directory: &Path) -> String {
    if directory.join(PICKLED_FILE).exists() {
        return format!(
            "; {PICKLED_FILE} is never unpickled, convert it once: python3 -c \"from transformers import \
             AutoModelForSequenceClassification as M; M.from_pretrained('{0}').save_pretrained('{0}')\"",
            directory.display()
        );
    }
    adapter_hint(directory)
}

/// What to do about a directory that holds a PEFT adapter, not a model; empty for any other.
pub(crate) fn adapter_hint(directory: &Path) -> String {
    let is_adapter = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
        .iter()
        .any(|name| directory.join(name).exists());
    if !is_adapter {
        return String::new();
    }
    format!(
        "; it contains a PEFT adapter; merge it into its model once: python3 -c \"from peft import \
         AutoPeftModelForSequenceClassification as M; M.from_pretrained('{0}', \
         num_labels=N).merge_and_unload().save_pretrained('{0}-merged')\", and copy the tokenizer's files",
        directory.display()
    )
}

/// The names of the files that an index names, sorted.
///
/// # Errors
/// [`ModelError::Malformed`] where it is none, or names a file outside its directory.
fn indexed_files(index: &Path) -> Result<Vec<String>, ModelError> {
    let bytes = bounded(index, MAX_INDEX_BYTES)?;
    files::indexed(&bytes).map_err(|message| ModelError::Malformed { path: index.to_owned(), message })
}

/// Reads every tensor of safetensors files onto the CPU, floating-point ones as f32.
///
/// # Errors
/// [`ModelError::Malformed`] for a damaged file, a tensor named twice, or a number format that no
/// weight has.
pub fn read(files: &[PathBuf]) -> Result<BTreeMap<String, Tensor>, ModelError> {
    read_each(files, |_, _, _| Ok(()))
}

/// Reads files one after another, and shows `each` with its bytes and its tensors.
fn read_each(
    files: &[PathBuf],
    mut each: impl FnMut(&Path, &[u8], &[(String, Tensor)]) -> Result<(), ModelError>,
) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let _span = trace_span!(target: "timeline", "load").entered();
    let mut tensors = BTreeMap::new();
    for path in files {
        let malformed = |message: String| ModelError::Malformed { path: path.clone(), message };
        let mut bytes = Vec::new();
        open::to_read(path)
            .and_then(|mut file| {
                bytes.reserve_exact(file.metadata().map_or(0, |data| data.len() as usize));
                file.read_to_end(&mut bytes)
            })
            .map_err(FileError::of("read", path))?;
        check_header(&bytes).map_err(malformed)?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|error| malformed(format!("not a complete safetensors file: {error}")))?;
        let mut own = Vec::new();
        for (name, view) in file.tensors() {
            let tensor = from_view(&view).map_err(|why| malformed(format!("{name}: {why}")))?;
            own.push((name, tensor));
        }
        each(path, &bytes, &own)?;
        for (name, tensor) in own {
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(malformed(format!("{name} occurs twice")));
            }
        }
    }
    Ok(unwrapped(tensors).0)
}

/// As [`read`], of a model: no tensor may hold NaN or infinity, and what is read must be what was hashed, where that
/// is known.
///
/// # Errors
/// As [`read`]; [`ModelError::Changed`].
pub fn read_model(
    files: &[PathBuf],
    directory: &Path,
    expected: Option<&str>,
) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let mut hashes = Vec::new();
    let tensors = read_each(files, |path, bytes, tensors| {
        if expected.is_some() {
            hashes.push(hash::bytes_hash(bytes));
        }
        let unfit = tensors.iter().find(|(_, tensor)| !is_finite(tensor));
        match unfit {
            Some((name, _)) => Err(ModelError::Malformed {
                path: path.to_owned(),
                message: format!("tensor {name} contains NaN or infinity"),
            }),
            None => Ok(()),
        }
    })?;
    match expected {
        Some(expected) if combined(&hashes) != expected => {
            let path = directory.to_owned();
            Err(ModelError::Changed { path, what: "the weights no longer have the recorded hash".to_owned() })
        }
        _ => Ok(tensors),
    }
}

/// One pass where all is well: a sum is finite only if all of its parts are.
fn is_finite(tensor: &Tensor) -> bool {
    if !tensor.is_floating_point() {
        return true;
    }
    let sum = tensor.f_sum(Kind::Double).and_then(|sum| sum.f_double_value(&[]));
    sum.is_ok_and(f64::is_finite)
}

/// Names of all tensors as [`read`] gives them, by the files' headers alone.
///
/// # Errors
/// [`ModelError::Malformed`] for a file without a header that can be read.
pub fn names(files: &[PathBuf]) -> Result<BTreeSet<String>, ModelError> {
    Ok(shapes(files)?.0.into_keys().collect())
}

/// Shapes of all tensors by name, as [`read`] gives them, and the prefix that it takes off every name.
///
/// # Errors
/// As [`names`].
pub(crate) fn shapes(files: &[PathBuf]) -> Result<(BTreeMap<String, Vec<i64>>, String), ModelError> {
    let mut shapes = BTreeMap::new();
    for path in files {
        let header = header(path)?;
        let json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|error| ModelError::Malformed {
                path: path.clone(),
                message: format!("not a complete safetensors file: {error}"),
            })?;
        let tensors = json.into_iter().filter(|(name, _)| name != "__metadata__");
        shapes.extend(tensors.map(|(name, tensor)| {
            let shape = tensor["shape"].as_array().map_or(&[][..], Vec::as_slice);
            (name, shape.iter().map(|size| size.as_i64().unwrap_or(0)).collect())
        }));
    }
    Ok(unwrapped(shapes))
}

/// What training loops wrap a model in, and what that puts before the names of its tensors.
const WRAPPERS: [&str; 2] = ["_orig_mod.", "module."];

/// Takes off what `torch.compile` and `DistributedDataParallel` put before every name, and tells it. Where some names
/// lack it, it may mean anything, and stays.
fn unwrapped<T>(mut tensors: BTreeMap<String, T>) -> (BTreeMap<String, T>, String) {
    let mut taken = String::new();
    loop {
        let all = |prefix: &&&str| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(**prefix));
        let Some(prefix) = WRAPPERS.iter().find(all) else { return (tensors, taken) };
        taken.push_str(prefix);
        tensors = tensors.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect();
    }
}

/// The bytes of a file's header, behind their number.
pub(crate) fn header(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut file = open::to_read(path).map_err(FileError::of("read", path))?;
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(FileError::of("read", path))?;
    check_header(&start).map_err(|message| ModelError::Malformed { path: path.to_owned(), message })?;
    let length = start.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(FileError::of("read", path))?;
    Ok(header)
}

/// Each of a header's tensors takes some hundred times its bytes in time and memory.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    // Read as a length it would be a strange one.
    if bytes.starts_with(b"version ") {
        return Err("it is a git-lfs pointer, not the file; fetch the files with `git lfs pull`".to_owned());
    }
    match bytes.first_chunk().map(|length| u64::from_le_bytes(*length)) {
        Some(length) if length > MAX_HEADER_BYTES => {
            Err(format!("not a complete safetensors file: its header claims {length} bytes"))
        }
        _ => Ok(()),
    }
}

fn from_view(view: &TensorView<'_>) -> Result<Tensor, String> {
    let kind = kind_of(view.dtype())
        .ok_or_else(|| format!("dtype {:?} is not supported for weights", view.dtype()))?;
    let shape: Vec<i64> = view.shape().iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|error| error.to_string())?;
    Ok(if matches!(kind, Kind::Half | Kind::BFloat16 | Kind::Double) {
        tensor.to_kind(Kind::Float)
    } else {
        tensor
    })
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::U8 => Kind::Uint8,
        _ => return None,
    })
}

/// Writes tensors as one safetensors file with the metadata that `transformers` asks for.
/// The same tensors give the same bytes.
///
/// # Errors
/// [`ModelError`] naming the file.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let malformed = |message: String| ModelError::Malformed { path: path.to_owned(), message };
    let mut parts = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dense = tensor.detach().to_device(Device::Cpu).contiguous();
        let dtype = match dense.kind() {
            Kind::Float => Dtype::F32,
            Kind::Half => Dtype::F16,
            Kind::BFloat16 => Dtype::BF16,
            Kind::Int64 => Dtype::I64,
            Kind::Uint8 => Dtype::U8,
            other => return Err(malformed(format!("{name}: {other:?} cannot be written"))),
        };
        let mut bytes = vec![0u8; dense.numel() * dense.kind().elt_size_in_bytes()];
        dense
            .f_copy_data_u8(&mut bytes, dense.numel())
            .map_err(|error| malformed(format!("{name}: {error}")))?;
        let shape: Vec<usize> = dense.size().iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
        parts.push((name.clone(), dtype, shape, bytes));
    }
    let views: Result<Vec<(String, TensorView<'_>)>, _> = parts
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
        })
        .collect();
    let views = views.map_err(|error| malformed(error.to_string()))?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| malformed(error.to_string()))?;
    atomic::write(path, &bytes)?;
    Ok(())
}

/// One hash for all weights of a directory: over the names and hashes of its files.
///
/// # Errors
/// [`ModelError`] naming the file that cannot be read; [`ModelError::Stopped`].
pub fn weights_hash(directory: &Path, stop: &StopSignal) -> Result<String, ModelError> {
    let mut hashes = Vec::new();
    for path in weight_files(directory)? {
        hashes.push(hash::file_hash_until(&path, stop)?);
    }
    Ok(combined(&hashes))
}

/// One hash for the hashes of several files.
fn combined(hashes: &[String]) -> String {
    match hashes {
        [only] => only.clone(),
        several => hash::parts_hash(several.iter().map(|one| ("file", one.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(names: &[&str]) -> (Vec<String>, String) {
        let (tensors, taken) = unwrapped(names.iter().map(|name| ((*name).to_owned(), ())).collect());
        (tensors.into_keys().collect(), taken)
    }

    #[test]
    fn a_wrapper_is_taken_off_only_where_every_name_has_it() {
        let both = taken(&["_orig_mod.module.a.weight", "_orig_mod.module.b"]);
        assert_eq!(both, (vec!["a.weight".to_owned(), "b".to_owned()], "_orig_mod.module.".to_owned()));
        let some = ["_orig_mod.a", "b"];
        assert_eq!(taken(&some), (some.map(str::to_owned).to_vec(), String::new()));
        assert_eq!(taken(&[]), (vec![], String::new()));
    }
}
