//! Everything between files and the model's input, without libtorch.
//!
//! Read in this order: [`error`] (what can be wrong with data, and where), [`parquet`] (columns of
//! Parquet files, safe against damaged ones), [`source`] (labelled or unlabelled rows from Parquet,
//! JSONL, CSV, TSV), [`augment`] (more of them), [`split`] (the validation part), [`logits`] (the soft-target store and tables of
//! logits), [`tokens`] (texts to ids), [`packing`] and [`masking`] (documents to masked sequences), [`cache`] (ids that are computed once), [`batches`] (which rows
//! are computed together, and how they are packed).

pub mod augment;
pub mod batches;
pub mod cache;
pub mod error;
pub mod logits;
pub mod masking;
pub mod packing;
pub mod parquet;
mod quiet;
pub mod source;
pub mod split;
mod stamp;
pub mod tokens;

pub use cache::{CacheError, TokenCache};
pub use error::{At, DataError, Place};
pub use split::choose_validation;
pub use tokens::{AnswerWindow, TextTokenizer, TokenError, Tokens, WordWindow};
