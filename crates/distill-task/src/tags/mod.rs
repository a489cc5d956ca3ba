//! One tag per word: schemes, entities and their figures.
//!
//! Read in this order: [`scheme`] (how tags write entities), [`recognise`] (which scheme tags are in), [`set`] (the
//! tags of a model, and BIO from another scheme), [`entities`] (entities from tags, as seqeval finds them),
//! [`mod@decode`] (from logits to tags and spans of text), [`figures`] (precision, recall, F1), [`mistakes`] (what kind
//! of error an entity is).

pub mod decode;
pub mod entities;
pub mod figures;
pub mod mistakes;
pub mod recognise;
pub mod scheme;
pub mod set;

pub use decode::{DecodeError, Decoded, EntitySpan, decode};
pub use entities::{Entity, Mode};
pub use figures::{Counts, EntityFigures, Shares, Tally};
pub use mistakes::Mistakes;
pub use recognise::{Place, Recogniser, SchemeError};
pub use scheme::Scheme;
pub use set::TagSet;
