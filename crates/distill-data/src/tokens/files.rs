//! The files of a directory that have to do with its tokenizer.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::open;
use serde_json::{Map, Value};

use super::TokenError;

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";
const MODEL: &str = "config.json";
const VOCAB: &str = "vocab.txt";
pub(super) const MERGES: &str = "merges.txt";
const BPE: [&str; 2] = ["vocab.json", MERGES];
/// What SentencePiece's models are called.
const PIECES: [&str; 4] = ["sentencepiece.bpe.model", "spiece.model", "spm.model", "tokenizer.model"];

/// The largest published tokenizers have 35 MB; a larger file would only fill the memory.
const MAX_BYTES: u64 = 64 << 20;

/// What stands in place of a file in a clone made without git-lfs.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// Where the vocabulary is.
pub(super) enum Source {
    /// `tokenizer.json`
    Json(Vec<u8>),
    /// `vocab.txt` of BERT: a token a line.
    Lines(Vec<u8>),
    /// `vocab.json` and `merges.txt` of RoBERTa.
    Merges(Vec<u8>, Vec<u8>),
}

/// The files as they are.
pub(super) struct Files {
    /// `tokenizer_config.json`; empty where there is none.
    pub config: Map<String, Value>,
    /// `special_tokens_map.json`, likewise.
    pub special: Map<String, Value>,
    /// `added_tokens.json`, likewise.
    pub added: Map<String, Value>,
    /// The model's `config.json`, likewise.
    pub model: Map<String, Value>,
    /// Where the vocabulary is.
    pub source: Source,
    /// The file that it is in, for messages.
    pub path: PathBuf,
}

impl Files {
    /// # Errors
    /// [`TokenError::Missing`] with what to do, where there is no vocabulary; [`TokenError::Invalid`] for a file that is
    /// none.
    pub fn read(directory: &Path) -> Result<Self, TokenError> {
        let (source, path) = source(directory)?;
        Ok(Files {
            config: object(&directory.join(CONFIG))?,
            special: object(&directory.join(SPECIAL))?,
            added: object(&directory.join(ADDED))?,
            // A broken one is the model's to refuse.
            model: object(&directory.join(MODEL)).unwrap_or_default(),
            source,
            path,
        })
    }
}

/// `tokenizer_config.json` alone.
pub(super) fn config(directory: &Path) -> Result<Map<String, Value>, TokenError> {
    object(&directory.join(CONFIG))
}

fn source(directory: &Path) -> Result<(Source, PathBuf), TokenError> {
    let path = directory.join(TOKENIZER);
    if let Some(bytes) = read(&path)? {
        return Ok((Source::Json(bytes), path));
    }
    let path = directory.join(VOCAB);
    if let Some(bytes) = read(&path)? {
        return Ok((Source::Lines(bytes), path));
    }
    let [vocabulary, merges] = BPE.map(|name| directory.join(name));
    if let (Some(words), Some(merges)) = (read(&vocabulary)?, read(&merges)?) {
        return Ok((Source::Merges(words, merges), vocabulary));
    }
    Err(TokenError::Missing { directory: directory.to_owned(), hint: hint(directory) })
}

/// What to do about a tokenizer in a form that is not read here.
fn hint(directory: &Path) -> String {
    match PIECES.into_iter().find(|name| directory.join(name).exists()) {
        Some(name) => format!(
            "; {name} is in SentencePiece's format; convert it once: python3 -c \"from transformers import \
             AutoTokenizer as T; T.from_pretrained('{0}').save_pretrained('{0}')\"",
            directory.display()
        ),
        None => String::new(),
    }
}

/// A JSON object; empty where there is no such file.
fn object(path: &Path) -> Result<Map<String, Value>, TokenError> {
    let Some(bytes) = read(path)? else { return Ok(Map::new()) };
    match serde_json::from_slice(&bytes).map_err(|error| invalid(path, error))? {
        Value::Object(object) => Ok(object),
        _ => Err(invalid(path, "it is not a JSON object")),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, TokenError> {
    let file = match open::to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new("read", path, error).into()),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(FileError::of("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(path, format!("it is larger than {MAX_BYTES} bytes")));
    }
    if bytes.starts_with(LFS_POINTER) {
        return Err(invalid(
            path,
            "it is a git-lfs pointer, not the file; fetch the files with `git lfs pull`",
        ));
    }
    Ok(Some(bytes))
}

pub(super) fn invalid(path: &Path, reason: impl ToString) -> TokenError {
    TokenError::Invalid { path: path.to_owned(), reason: reason.to_string() }
}
