//! The architectures, one short file each: how its config is read and how it puts the parts together.
//!
//! To add one, write its file and a line in [`ALL`]; `docs/adding-an-encoder.md` says how.

mod albert;
mod bert;
mod deberta_v2;
mod distilbert;
mod electra;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod roberta;

use crate::architecture::Architecture;
use crate::masked::MaskedLayout;

/// Every architecture that can be built.
pub static ALL: &[&Architecture] = &[
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

/// The heads of masked language models that can be built.
pub(crate) static MASKED: &[&MaskedLayout] =
    &[&bert::MASKED, &roberta::MASKED, &distilbert::MASKED, &mpnet::MASKED];

/// The masked language model's head of a `model_type`.
pub(crate) fn masked(model_type: &str) -> Option<&'static MaskedLayout> {
    MASKED.iter().copied().find(|layout| layout.model_types.contains(&model_type))
}

/// The architecture of a `model_type`.
pub fn named(model_type: &str) -> Option<&'static Architecture> {
    ALL.iter().copied().find(|architecture| architecture.model_type == model_type)
}

/// Every known `model_type`, for messages.
pub fn known() -> String {
    ALL.iter().map(|architecture| architecture.model_type).collect::<Vec<_>>().join(", ")
}
