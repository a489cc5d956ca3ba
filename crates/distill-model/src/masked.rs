//! Masked language models for passes without gradients: reading one, and what may stand at masked places.
//!
//! The product with the decoder is the dearest part, so it is made of masked places alone and of the tokens asked
//! about. [`crate::heads::masked`] has the head, which can also be trained as any other.
//!
//! Legend: `T` tokens in the batch, `M` masked ones, `H` hidden.

use std::path::PathBuf;

use distill_torch::{TorchError, copied_to};
use tch::{Device, Kind, Tensor};

use crate::architecture::{HeadKind, MaskedLayers};
use crate::backbones;
use crate::config::ModelConfig;
use crate::directory::ModelDirectory;
use crate::error::ModelError;
use crate::heads;
pub use crate::heads::masked::Candidates;
use crate::heads::masked::MaskedHead;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::model::Model;
use crate::pass::Tokens;
use crate::weights;

/// Whether a directory can be read as a masked language model, by its config and the names of its weights.
///
/// # Errors
/// [`ModelError::Unsupported`] for an architecture without such a head here; [`ModelError::NoMaskedHead`] where
/// the weights have none.
pub fn check(directory: &ModelDirectory) -> Result<(), ModelError> {
    let layers = layers(directory)?;
    let architecture = directory.config().architecture;
    let dense = format!("{}.weight", layers.layers[0]);
    let names = weights::names(&weight_files(directory)?)?;
    // Other heads may have the dense layer too.
    let biases = [layers.bias.to_owned(), format!("{}.bias", layers.decoder())];
    let has = |wanted: &String| names.iter().any(|name| architecture.canonical(name, false) == *wanted);
    if has(&dense) && biases.iter().any(has) {
        return Ok(());
    }
    let [dense, norm, decoder] = layers.layers;
    let wanted = [dense, norm].map(|layer| format!("{layer}.weight, {layer}.bias")).join(", ");
    let looked_for = format!("{wanted}, {} or {decoder}.bias", layers.bias);
    Err(ModelError::NoMaskedHead { directory: directory.path().to_owned(), looked_for })
}

/// Whether the architecture of a directory can have such a head, whatever its weights have.
///
/// # Errors
/// [`ModelError::Unsupported`] naming those that can.
pub fn check_architecture(directory: &ModelDirectory) -> Result<(), ModelError> {
    heads::masked::check(layers(directory)?, directory.config())
}

/// Names of the head's layers in a directory's architecture.
fn layers(directory: &ModelDirectory) -> Result<&'static MaskedLayers, ModelError> {
    let config = directory.config();
    let model_type = config.architecture.model_type;
    config.architecture.heads.masked.as_ref().ok_or_else(|| {
        config.fields().unsupported(
            "model_type",
            format!("{model_type} with the head of a masked language model"),
            &backbones::with_head(HeadKind::Masked),
        )
    })
}

/// The files of the weights; what converts pickled ones must keep the head.
fn weight_files(directory: &ModelDirectory) -> Result<Vec<PathBuf>, ModelError> {
    weights::weight_files(directory.path()).map_err(|error| match error {
        ModelError::NotAModel { directory, file, hint } => {
            let hint = hint.replace("ForSequenceClassification", "ForMaskedLM");
            ModelError::NotAModel { directory, file, hint }
        }
        other => other,
    })
}

/// A masked language model for passes over packed batches, without gradients.
#[derive(Debug)]
pub struct MaskedLanguageModel(Model);

impl MaskedLanguageModel {
    /// Reads the weights of a directory and prepares them for inference in `kind`.
    ///
    /// # Errors
    /// As [`check`], and [`ModelError::Weights`] for any tensor missing, extra or misshapen.
    pub fn load(directory: &ModelDirectory, device: Device, kind: Kind) -> Result<Self, ModelError> {
        check(directory)?;
        let model = directory.load_with(HeadKind::Masked, device)?;
        model.convert(kind)?;
        model.pack_for_inference()?;
        Ok(MaskedLanguageModel(model))
    }

    /// What the model was built from.
    pub fn config(&self) -> &ModelConfig {
        self.0.config()
    }

    /// Device that the parameters are on.
    pub fn device(&self) -> Device {
        self.0.device()
    }

    /// Number of parameters; a decoder that is the table of word vectors counts once.
    pub fn num_parameters(&self) -> u64 {
        self.0.num_parameters()
    }

    fn head(&self) -> Result<&MaskedHead, TorchError> {
        let missing =
            || tch::TchError::Shape("the model has no head of a masked language model".to_owned()).into();
        self.0.head().as_masked().ok_or_else(missing)
    }

    /// The decoder's part for these tokens.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as for a token beyond the vocabulary.
    pub fn candidates(&self, tokens: &[u32]) -> Result<Candidates, TorchError> {
        self.head()?.candidates(tokens)
    }

    /// What the decoder reads of these places of a batch, int64 `[M]` into its `T` tokens: `[M, H]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch, such as no memory left.
    pub fn states(&self, inputs: &Inputs, places: &[i64]) -> Result<Tensor, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let places = copied_to(places, self.device())?;
        let states = self.0.states(inputs, Tokens::Positions(&places), Mode::Evaluate)?;
        self.head()?.transform(&states)
    }
}
