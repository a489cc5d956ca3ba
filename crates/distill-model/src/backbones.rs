//! The architectures, one short file each: what it is called, how its config is read, and which backbone and heads it has.
//!
//! To add one, write its file and a line in `ALL`; `docs/adding-an-encoder.md` says how.

mod albert;
mod bert;
mod deberta_v2;
mod distilbert;
mod electra;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod roberta;

use crate::architecture::{Architecture, HeadKind};
use crate::recipe::Recipe;

/// Every architecture that can be built.
static ALL: &[&Recipe] = &[
    &bert::BERT,
    &roberta::ROBERTA,
    &roberta::XLM_ROBERTA,
    &roberta::CAMEMBERT,
    &distilbert::DISTILBERT,
    &mpnet::MPNET,
    &electra::ELECTRA,
    &albert::ALBERT,
    &deberta_v2::DEBERTA_V2,
    &modernbert::MODERNBERT,
    &nomic_bert::NOMIC_BERT,
];

/// Every architecture.
pub fn all() -> impl Iterator<Item = &'static Architecture> {
    ALL.iter().map(|recipe| &recipe.architecture)
}

/// The architecture of a `model_type`.
pub fn named(model_type: &str) -> Option<&'static Architecture> {
    all().find(|architecture| architecture.model_type == model_type)
}

/// The functions of a `model_type`.
pub(crate) fn recipe(model_type: &str) -> Option<&'static Recipe> {
    ALL.iter().copied().find(|recipe| recipe.architecture.model_type == model_type)
}

/// Every known `model_type`, for messages.
pub fn known() -> String {
    listed(all())
}

/// Every `model_type` that has this head, for messages.
pub(crate) fn with_head(head: HeadKind) -> String {
    listed(all().filter(|architecture| !architecture.head_layers(head).is_empty()))
}

fn listed(architectures: impl Iterator<Item = &'static Architecture>) -> String {
    architectures.map(|architecture| architecture.model_type).collect::<Vec<_>>().join(", ")
}
