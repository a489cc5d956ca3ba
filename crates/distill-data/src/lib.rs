//! Data on its way to a model: tokens, the token cache and batches.
//!
//! Read in this order: [`tokens`] (texts to ids), [`cache`] (ids that are computed once),
//! [`batches`] (which rows are computed together, and how they are packed).

pub mod batches;
pub mod cache;
pub mod tokens;
