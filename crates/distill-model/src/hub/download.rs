//! Fetching a model from the Hugging Face hub into the hub's cache.

use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};

use super::{HubName, home, set};
use crate::directory::CONFIG_FILE;
use crate::error::ModelError;
use crate::weights::{INDEX_FILE, PICKLED_FILE, WEIGHTS_FILE, indexed_files};

/// Beside weights and config, as far as a repository has them.
const TOKENIZER_FILES: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];
const RETRIES: usize = 3;

/// Fetches what a classifier or encoder is read from, and returns the snapshot's directory. Files that the cache has
/// already, and the beginning of one that was broken off, are not fetched again.
///
/// # Errors
/// [`ModelError::Hub`] where the hub cannot be reached, has no such model, or has no weights that can be read.
pub(super) fn download(name: &HubName, cache: &Path) -> Result<PathBuf, ModelError> {
    let failed = |error: ApiError| match status(&error) {
        // The hub does not tell private models from ones that are not there.
        Some(status @ (401 | 403 | 404)) => name.failed(
            format!(
                "the hub has no such model or revision, or the token may not read it (HTTP status {status}); \
                 `hf auth login` or HF_TOKEN gives a token"
            ),
            true,
        ),
        _ => name.failed(format!("the hub cannot be asked: {error}"), false),
    };
    let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let mut builder = ApiBuilder::from_cache(hf_hub::Cache::new(cache.to_owned()))
        .with_retries(RETRIES)
        .with_user_agent("distill", env!("CARGO_PKG_VERSION"));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    if let Some(token) = token() {
        builder = builder.with_token(Some(token));
    }
    let repo = Repo::with_revision(name.name.clone(), RepoType::Model, name.revision.clone());
    let known = hf_hub::Cache::new(cache.to_owned()).repo(repo.clone());
    let repository = builder.build().map_err(failed)?.repo(repo);
    let names: Vec<String> =
        repository.info().map_err(failed)?.siblings.into_iter().map(|file| file.rfilename).collect();
    let files = wanted(&names).map_err(|problem| name.failed(problem, true))?;
    let fetch = |file: &str| match known.get(file) {
        Some(there) => Ok(there),
        None => repository.download_with_progress(file, Lines(false)).map_err(failed),
    };
    let mut last = PathBuf::new();
    for file in &files {
        last = fetch(file)?;
        if file == INDEX_FILE {
            // What is wrong with a damaged one is told when the directory is read.
            let parts = indexed_files(&last).unwrap_or_default();
            parts.iter().try_for_each(|part| fetch(part).map(drop))?;
        }
    }
    Ok(last.parent().unwrap_or(cache).to_owned())
}

/// The files to fetch, of those that a repository has. The config comes last: a snapshot with a config is whole.
fn wanted(names: &[String]) -> Result<Vec<String>, String> {
    let has = |name: &str| names.iter().any(|known| known == name);
    let weights = match (has(WEIGHTS_FILE), has(INDEX_FILE)) {
        (true, _) => WEIGHTS_FILE,
        (false, true) => INDEX_FILE,
        _ if has(PICKLED_FILE) => {
            return Err(format!(
                "it has no {WEIGHTS_FILE}, and {PICKLED_FILE} is never unpickled; revision refs/pr/… often holds a conversion"
            ));
        }
        _ => return Err(format!("it has no {WEIGHTS_FILE}")),
    };
    if !has(CONFIG_FILE) {
        return Err(format!("it has no {CONFIG_FILE}"));
    }
    let tokenizer = TOKENIZER_FILES.into_iter().filter(|name| has(name));
    Ok(tokenizer.chain([weights, CONFIG_FILE]).map(str::to_owned).collect())
}

/// A line when a file begins.
struct Lines(bool);

impl Progress for Lines {
    fn init(&mut self, size: usize, filename: &str) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::info!(bytes = size, "fetching {filename}");
        }
    }

    fn update(&mut self, _: usize) {}

    fn finish(&mut self) {}
}

/// `HF_TOKEN`, the file that `HF_TOKEN_PATH` names, or the one that `hf auth login` writes.
fn token() -> Option<String> {
    let variable = |name: &str| std::env::var_os(name);
    let file = set(variable, "HF_TOKEN_PATH").or_else(|| Some(home(variable)?.join("token")));
    let from_file = || std::fs::read_to_string(file?).ok();
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.trim().is_empty()).or_else(from_file)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// The HTTP status of the hub's answer, where it gave one.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        ApiError::TooManyRetries(last) => status(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_is_fetched_and_the_config_last() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = names(&[
            "README.md",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
        ]);
        assert_eq!(wanted(&all).unwrap(), ["tokenizer.json", "model.safetensors", "config.json"]);
        let parts = names(&["config.json", "model-00001-of-00002.safetensors", INDEX_FILE, "vocab.txt"]);
        assert_eq!(wanted(&parts).unwrap(), ["vocab.txt", INDEX_FILE, "config.json"]);
        assert!(wanted(&names(&["config.json", "pytorch_model.bin"])).unwrap_err().contains("never unpickled"));
        assert!(wanted(&names(&["model.safetensors"])).unwrap_err().contains("config.json"));
    }
}
