//! Models by their name on the Hugging Face hub: from the hub's cache on this machine, or downloaded into it.
//!
//! Read in this order: [`name`] (names, and where their files are), [`files`] (which files are read),
//! `announced` (the announced hash and size of a file), `url` and `client` (requests: which hosts get the token, redirects, timeouts),
//! `cache` (the layout of `huggingface_hub`'s cache, and how it is written), `fetch` (one file), `download` (one
//! model), [`verify`] (files in the cache match their hashes), [`environment`] (the variables that apply).
//!
//! The hub's answers are not trusted: a name becomes part of a path only when it has the form of a hash, a commit or
//! a known file, the announced size is a limit, and a file gets its name only when its hash is the announced one.

mod announced;
mod cache;
mod client;
mod download;
pub mod environment;
mod error;
mod fetch;
pub mod files;
mod hash;
#[cfg(test)]
mod mutants;
#[cfg(test)]
#[allow(dead_code)] // `tests/mutants` uses all of it.
#[path = "../../../tests/mutants/mutate.rs"]
mod mutate;
pub mod name;
mod url;
pub mod verify;

pub use environment::stay_offline;
pub use error::HubError;
pub use name::HubName;
