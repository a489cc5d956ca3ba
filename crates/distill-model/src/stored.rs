//! What a model directory's weights are by their headers alone: whether each file is whole, and how many numbers a model
//! of some of the layers has. Nothing of the weights is read.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::architecture::{HeadKind, Place};
use crate::config::ModelConfig;
use crate::directory::ModelDirectory;
use crate::error::ModelError;
use crate::weights::{header, weight_files};

/// Numbers of each tensor, by its name in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    tensors: BTreeMap<String, u64>,
}

impl Stored {
    /// Reads the headers of a directory's weights.
    ///
    /// # Errors
    /// [`ModelError::NotAModel`] where there are no weights; [`ModelError::Malformed`] for a file without a header, or
    /// that ends before its last tensor.
    pub fn read(directory: &ModelDirectory) -> Result<Self, ModelError> {
        let mut stored = Stored::default();
        for path in weight_files(directory.path())? {
            stored.add(&path)?;
        }
        Ok(stored)
    }

    fn add(&mut self, path: &Path) -> Result<(), ModelError> {
        let malformed = |what: String| ModelError::Malformed {
            path: path.to_owned(),
            message: format!("not a complete safetensors file: {what}"),
        };
        let header = header(path)?;
        let tensors: Map<String, Value> =
            serde_json::from_slice(&header).map_err(|error| malformed(error.to_string()))?;
        let mut end = 0;
        for (name, tensor) in tensors.iter().filter(|(name, _)| *name != "__metadata__") {
            let sizes = tensor["shape"].as_array().into_iter().flatten().filter_map(Value::as_u64);
            let last = tensor["data_offsets"][1].as_u64();
            end = end.max(last.ok_or_else(|| malformed(format!("{name} has no data_offsets")))?);
            self.tensors.insert(name.clone(), sizes.fold(1, u64::saturating_mul));
        }
        let expected = end.saturating_add(8 + header.len() as u64);
        let found = std::fs::metadata(path).map_or(expected, |file| file.len());
        if found < expected {
            return Err(malformed(format!("it has {found} bytes, its header asks for {expected}")));
        }
        Ok(())
    }

    /// Parameters of a model with so many of the layers, without what an architecture has no use for.
    pub fn parameters(&self, config: &ModelConfig, layers: usize) -> u64 {
        let architecture = config.architecture;
        let bare = self.tensors.keys().any(|name| name.starts_with("embeddings."));
        let (mut rest, mut of_layers) = (0u64, 0u64);
        let used = |name: &str| !architecture.is_unused(config.head, name);
        for (name, numbers) in self.tensors.iter().filter(|(name, _)| used(name)) {
            let name = architecture.canonical(name, bare);
            match architecture.layer_of(&name) {
                _ if !used(&name) => {}
                Some(Place::Numbered(_)) => of_layers += numbers,
                _ => rest += numbers,
            }
        }
        rest + of_layers * layers as u64 / config.num_hidden_layers.max(1) as u64
    }
}

/// About how many parameters a config asks for, where there are no weights to count.
pub fn estimate(config: &ModelConfig) -> u64 {
    let size = |size: i64| u64::try_from(size).unwrap_or(0);
    let (hidden, inner) = (size(config.hidden_size), size(config.intermediate_size));
    let tables = size(config.vocab_size) + size(config.max_position_embeddings) + size(config.type_vocab_size);
    let products = u64::from(config.architecture.feed_forward_products);
    let layer = 4 * hidden * hidden + products * hidden * inner + 9 * hidden + inner;
    let head = match config.head {
        HeadKind::Masked => hidden * hidden,
        HeadKind::Sequence => hidden * hidden + size(config.outputs()) * (hidden + 1),
        HeadKind::Token | HeadKind::Span => size(config.outputs()) * (hidden + 1),
    };
    tables * hidden + layer * config.num_hidden_layers as u64 + head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> ModelDirectory {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert-tiny");
        ModelDirectory::open(&path).unwrap()
    }

    #[test]
    fn parameters_are_counted_without_loading_them() {
        let directory = tiny();
        let loaded = directory.load_classifier(tch::Device::Cpu).unwrap();
        let stored = Stored::read(&directory).unwrap();
        assert_eq!(stored.parameters(directory.config(), 3), loaded.num_parameters());
        assert!(stored.parameters(directory.config(), 1) < stored.parameters(directory.config(), 2));
        let (about, exact) = (estimate(directory.config()) as f64, loaded.num_parameters() as f64);
        assert!((about / exact - 1.0).abs() < 0.1, "{about} for {exact}");
    }

    #[test]
    fn a_file_that_was_cut_off_is_found_by_its_header() {
        let (directory, copy) = (tiny(), tempfile::tempdir().unwrap());
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
        }
        let cut = ModelDirectory::open(copy.path()).unwrap();
        Stored::read(&cut).unwrap();
        let bytes = std::fs::read(copy.path().join("model.safetensors")).unwrap();
        distill_core::atomic::write(&copy.path().join("model.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
        let error = Stored::read(&cut).unwrap_err().to_string();
        assert!(error.contains("model.safetensors") && error.contains("not a complete"), "{error}");
    }
}
