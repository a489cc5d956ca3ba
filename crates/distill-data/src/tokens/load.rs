//! From a Hugging Face directory to a [`TextTokenizer`].

use std::io::{ErrorKind, Read};
use std::path::Path;

use distill_core::StopSignal;
use distill_core::atomic::FileError;
use distill_core::hash::bytes_hash;
use serde_json::{Map, Value, json};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::{PostProcessor, Tokenizer, TruncationDirection};

use super::encode::{Splitting, margin};
use super::{TextTokenizer, TokenError, limits};
use crate::quiet::{one_line, quietly};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const VOCAB: &str = "vocab.txt";

/// The largest published tokenizers have 35 MB; a larger file would only fill the memory.
const MAX_BYTES: u64 = 64 << 20;

pub(super) fn load(directory: &Path, max_length: usize) -> Result<TextTokenizer, TokenError> {
    let mut files = Vec::new();
    for name in [TOKENIZER, CONFIG, SPECIAL, VOCAB] {
        if let Some(bytes) = read(&directory.join(name))? {
            files.push((name, bytes));
        }
    }
    let config = Config::parse(&directory.join(CONFIG), file(&files, CONFIG))?;
    let (path, source) = match (file(&files, TOKENIZER), file(&files, VOCAB)) {
        (Some(bytes), _) => (directory.join(TOKENIZER), bytes.to_vec()),
        (None, Some(bytes)) => (directory.join(VOCAB), bytes.to_vec()),
        (None, None) => return Err(TokenError::Missing { directory: directory.to_owned() }),
    };
    if file(&files, TOKENIZER).is_none() {
        files.insert(0, (TOKENIZER, from_vocab(&path, &source, &config)?));
    }
    let mut tokenizer = from_json(&path, file(&files, TOKENIZER).unwrap_or_default())?;
    let growth = limits::check(&tokenizer).map_err(|reason| invalid(&path, reason))?;
    let changes = config.apply(&mut tokenizer);
    finish(tokenizer, growth, max_length, config.direction, hash(source, &changes), files)
}

fn finish(
    mut tokenizer: Tokenizer,
    growth: usize,
    max_length: usize,
    direction: TruncationDirection,
    hash: String,
    files: Vec<(&'static str, Vec<u8>)>,
) -> Result<TextTokenizer, TokenError> {
    tokenizer.with_padding(None);
    // Truncation is ours: the crate's underflows below the special tokens and keeps every overflowing part.
    // Setting `None` cannot fail.
    tokenizer
        .with_truncation(None)
        .map_err(|error| TokenError::Encode { index: 0, reason: error.to_string() })?;
    let special = |pair| tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair));
    let (special_single, special_pair) = (special(false), special(true));
    if max_length < special_single.max(1) {
        return Err(TokenError::MaxLength { max_length, special: special_single, pair: false });
    }
    let vocabulary = tokenizer.get_vocab(true);
    Ok(TextTokenizer {
        max_length,
        direction,
        splitting: Splitting::of(&tokenizer),
        growth,
        margin: margin(&tokenizer),
        special_single,
        special_pair,
        vocab_size: vocabulary.len(),
        max_token_id: vocabulary.values().copied().max().unwrap_or(0),
        hash,
        files,
        tokenizer,
        stop: StopSignal::default(),
    })
}

fn hash(mut source: Vec<u8>, changes: &str) -> String {
    source.extend_from_slice(changes.as_bytes());
    bytes_hash(&source)
}

fn file<'a>(files: &'a [(&'static str, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes.as_slice())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, TokenError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::new("read", path, error).into()),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(FileError::of("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(path, format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

fn invalid(path: &Path, reason: impl ToString) -> TokenError {
    TokenError::Invalid { path: path.to_owned(), reason: reason.to_string() }
}

fn from_json(path: &Path, bytes: &[u8]) -> Result<Tokenizer, TokenError> {
    // The crate's readers contain assertions about fields that they have not checked.
    limits::check_json(bytes).map_err(|reason| invalid(path, reason))?;
    quietly(|| Tokenizer::from_bytes(bytes))
        .map_err(|panic| invalid(path, format!("its parts contradict each other: {panic}")))?
        .map_err(|error| invalid(path, one_line(&error.to_string())))
}

/// What `transformers` builds from a `vocab.txt`: `BertConverter` of `convert_slow_tokenizer.py`.
fn from_vocab(path: &Path, bytes: &[u8], config: &Config) -> Result<Vec<u8>, TokenError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| invalid(path, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    // A line that stands twice has its last number, as in a Python dict.
    let vocabulary: Map<String, Value> =
        text.lines().enumerate().map(|(id, token)| (token.to_owned(), Value::from(id))).collect();
    let [unk, cls, sep, ..] = &config.special;
    for token in [unk, cls, sep] {
        if !vocabulary.contains_key(token) {
            return Err(invalid(path, format!("it has no line {token:?}")));
        }
    }
    let mut added: Vec<Value> = config
        .special
        .iter()
        .filter_map(|token| vocabulary.get(token).map(|id| (id, token)))
        .map(|(id, token)| {
            json!({ "id": id, "content": token, "special": true, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false })
        })
        .collect();
    added.sort_by_key(|token| token["id"].as_u64());
    let special = |name: &str, segment: u8| json!({ "SpecialToken": { "id": name, "type_id": segment } });
    let sequence = |name: &str, segment: u8| json!({ "Sequence": { "id": name, "type_id": segment } });
    let used = |name: &str| json!({ "id": name, "ids": [vocabulary[name]], "tokens": [name] });
    let single = json!([special(cls, 0), sequence("A", 0), special(sep, 0)]);
    let pair = json!([special(cls, 0), sequence("A", 0), special(sep, 0), sequence("B", 1), special(sep, 1)]);
    let specials = json!({ cls: used(cls), sep: used(sep) });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "TemplateProcessing", "single": single, "pair": pair,
                            "special_tokens": specials },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocabulary },
    });
    serde_json::to_vec(&tokenizer).map_err(|error| invalid(path, error))
}

/// The keys of `tokenizer_config.json` that change ids. Absent keys change nothing.
struct Config {
    lowercase: Option<bool>,
    strip_accents: Option<Option<bool>>,
    chinese: Option<bool>,
    direction: TruncationDirection,
    /// unk, cls, sep, pad, mask.
    special: [String; 5],
}

impl Config {
    fn parse(path: &Path, bytes: Option<&[u8]>) -> Result<Self, TokenError> {
        let value: Value = match bytes {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| invalid(path, error))?,
            None => Value::Null,
        };
        if !(value.is_object() || value.is_null()) {
            return Err(invalid(path, "it is not a JSON object"));
        }
        // A class without BERT's own settings takes the normalizer as tokenizer.json has it.
        let plain = value["tokenizer_class"].as_str() == Some("PreTrainedTokenizerFast");
        let setting = |key: &str| value.get(key).filter(|_| !plain);
        let special = |key: &str, default: &str| {
            let given = value[key].as_str().or_else(|| value[key]["content"].as_str());
            given.unwrap_or(default).to_owned()
        };
        Ok(Config {
            lowercase: setting("do_lower_case").and_then(Value::as_bool),
            strip_accents: setting("strip_accents").map(Value::as_bool),
            chinese: setting("tokenize_chinese_chars").and_then(Value::as_bool),
            direction: match value["truncation_side"].as_str() {
                Some("left") => TruncationDirection::Left,
                _ => TruncationDirection::Right,
            },
            special: [
                special("unk_token", "[UNK]"),
                special("cls_token", "[CLS]"),
                special("sep_token", "[SEP]"),
                special("pad_token", "[PAD]"),
                special("mask_token", "[MASK]"),
            ],
        })
    }

    /// Changes a BERT normalizer as `BertTokenizerFast` does, and says in words what has been changed.
    fn apply(&self, tokenizer: &mut Tokenizer) -> String {
        let mut changes = String::new();
        if self.direction == TruncationDirection::Left {
            changes.push_str("truncation_side=left;");
        }
        if let Some(NormalizerWrapper::BertNormalizer(old)) = tokenizer.get_normalizer().cloned() {
            let mut new = old;
            new.lowercase = self.lowercase.unwrap_or(old.lowercase);
            new.strip_accents = self.strip_accents.unwrap_or(old.strip_accents);
            new.handle_chinese_chars = self.chinese.unwrap_or(old.handle_chinese_chars);
            if (new.lowercase, new.strip_accents, new.handle_chinese_chars)
                != (old.lowercase, old.strip_accents, old.handle_chinese_chars)
            {
                changes.push_str(&format!("{new:?};"));
                tokenizer.with_normalizer(Some(new));
            }
        }
        changes
    }
}
