//! How an architecture is put together: the functions that go with its names.

use serde_json::{Map, Value};

use crate::architecture::Architecture;
use crate::backbone::Backbone;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::parameters::Scope;

/// Puts a backbone or a head together from a config's values and a scope's parameters.
pub(crate) type Build<T> = fn(&Scope<'_>, &ModelConfig) -> Result<Box<T>, ModelError>;

/// Changes a config's keys for the layers that are kept.
pub(crate) type KeepLayers = fn(&mut Map<String, Value>, &Fields<'_>, &[usize]) -> Result<(), ModelError>;

/// One architecture: its names, its backbone, and the heads that go on it.
pub(crate) struct Recipe {
    /// Names.
    pub architecture: Architecture,
    /// Reads and checks the config, and all that the builders read of it.
    pub read: fn(&Fields<'_>) -> Result<ModelConfig, ModelError>,
    /// Builds the backbone.
    pub backbone: Build<dyn Backbone>,
    /// Builds the head of rows.
    pub sequence: Build<dyn Head>,
    /// Builds the head of tokens.
    pub token: Build<dyn Head>,
    /// Builds the head of answers.
    pub span: Build<dyn Head>,
    /// Changes in the config, beyond the number of layers, that go with keeping these layers alone.
    pub keep_layers: KeepLayers,
}

/// Any layers may be kept, and nothing else changes.
pub(crate) fn any_layers(_: &mut Map<String, Value>, _: &Fields<'_>, _: &[usize]) -> Result<(), ModelError> {
    Ok(())
}
