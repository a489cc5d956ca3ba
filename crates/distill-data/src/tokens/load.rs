//! From a Hugging Face directory to a [`TextTokenizer`].

use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_core::hash::bytes_hash;
use serde_json::{Map, Value, json};
use tokenizers::{PostProcessor, PostProcessorWrapper, Tokenizer};

use super::class::Class;
use super::encode::{Splitting, margin};
use super::files::{ADDED, CONFIG, Files, MERGES, Source, invalid};
use super::options::Options;
use super::save::Saved;
use super::special::{SpecialTokens, TokenFiles};
use super::steps::{Steps, settings_of};
use super::{TextTokenizer, TokenError, limits, pipeline};
use crate::quiet::{one_line, quietly};

pub(super) fn load(directory: &Path, max_length: usize) -> Result<TextTokenizer, TokenError> {
    let files = Files::read(directory)?;
    let path = files.path.clone();
    let (source, bytes) = parsed(&files)?;
    let own = |key: &str| source[key].as_array().map_or(&[][..], Vec::as_slice);
    let in_config = |error: String| invalid(&directory.join(CONFIG), error);
    let direction = source["truncation"]["direction"].as_str();
    let reader = match files.source {
        Source::Json(_) => None,
        Source::Lines(_) => Some(Class::Bert),
        Source::Merges(..) => Some(Class::Roberta),
    };
    let options = Options::read(&files.config, &files.model, direction, reader).map_err(in_config)?;
    let names = TokenFiles {
        config: &files.config,
        special: &files.special,
        added: &files.added,
        own: own("added_tokens"),
    };
    let special = SpecialTokens::read(&names, options.class).map_err(in_config)?;
    check_added(&names, &special, directory, &path)?;
    let (mut tokenizer, bytes) =
        effective(source, bytes, &options, &special).map_err(|reason| invalid(&path, reason))?;
    let growth = limits::check(&tokenizer).map_err(|reason| invalid(&path, reason))?;
    tokenizer.set_encode_special_tokens(options.split_special);
    let saved = Saved::new(bytes, &tokenizer, &files.config, &options, &special);
    finish(tokenizer, growth, max_length, &options, saved, path)
}

/// Checks the tokens that the files add, before the library builds anything of them. The error names the file.
fn check_added(
    files: &TokenFiles<'_>,
    special: &SpecialTokens,
    directory: &Path,
    tokenizer: &Path,
) -> Result<(), TokenError> {
    let own = files.own.iter().filter_map(|token| token["content"].as_str());
    limits::check_tokens(own).map_err(|reason| invalid(tokenizer, reason))?;
    let added = files.added.keys().map(String::as_str);
    limits::check_tokens(added).map_err(|reason| invalid(&directory.join(ADDED), reason))?;
    limits::check_tokens(special.contents()).map_err(|reason| invalid(&directory.join(CONFIG), reason))
}

fn finish(
    tokenizer: Tokenizer,
    growth: usize,
    max_length: usize,
    options: &Options<'_>,
    saved: Saved,
    path: PathBuf,
) -> Result<TextTokenizer, TokenError> {
    let special = |pair| tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair));
    let (special_single, special_pair) = (special(false), special(true));
    if max_length < special_single.max(1) {
        return Err(TokenError::MaxLength { max_length, special: special_single, pair: false });
    }
    let vocabulary = tokenizer.get_vocab(true);
    Ok(TextTokenizer {
        max_length,
        direction: options.direction,
        untyped: options.untyped,
        splitting: Splitting::of(&tokenizer),
        growth,
        margin: margin(&tokenizer),
        special_single,
        special_pair,
        vocab_size: vocabulary.len(),
        max_token_id: vocabulary.values().copied().max().unwrap_or(0),
        hash: bytes_hash(&[saved.tokenizer(), options.changes().as_bytes()].concat()),
        class: options.class,
        changes: options.changes(),
        path,
        saved,
        tokenizer,
        stop: StopSignal::default(),
    })
}

/// The vocabulary's file as the JSON of a `tokenizer.json`, and its bytes where it is one.
fn parsed(files: &Files) -> Result<(Value, Option<&[u8]>), TokenError> {
    let refuse = |reason: String| invalid(&files.path, reason);
    match &files.source {
        Source::Json(bytes) => {
            // The crate's readers contain assertions about fields that they have not checked.
            limits::check_json(bytes).map_err(refuse)?;
            let value: Value = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
            Ok((value, Some(bytes)))
        }
        Source::Lines(bytes) => Ok((json!({ "model": word_pieces(bytes).map_err(refuse)? }), None)),
        Source::Merges(words, merges) => {
            let vocabulary = vocabulary(words).map_err(refuse)?;
            let merges = pairs(merges, &vocabulary)
                .map_err(|reason| invalid(&files.path.with_file_name(MERGES), reason))?;
            Ok((json!({ "model": { "type": "BPE", "vocab": vocabulary, "merges": merges } }), None))
        }
    }
}

/// A token a line, without the white space at its end; a repeated line has its last number.
fn word_pieces(bytes: &[u8]) -> Result<Value, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    let vocabulary: Map<String, Value> =
        text.lines().enumerate().map(|(id, token)| (token.trim_end().to_owned(), id.into())).collect();
    Ok(json!({ "type": "WordPiece", "vocab": vocabulary }))
}

/// The JSON object of a `vocab.json`.
fn vocabulary(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    limits::check_json(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| one_line(&error.to_string()))
}

/// The lines of a `merges.txt`: two tokens each. The library refuses the same lines, but names neither file nor line.
fn pairs<'a>(bytes: &'a [u8], vocabulary: &Map<String, Value>) -> Result<Vec<&'a str>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version"));
    let checked = lines.map(|(index, line)| {
        let number = index + 1;
        let tokens: Vec<&str> = line.split(' ').collect();
        let [first, second] = tokens.as_slice() else {
            return Err(format!("line {number} is not two tokens with a space between them"));
        };
        let merged = format!("{first}{second}");
        match [*first, *second, &merged].into_iter().find(|token| !vocabulary.contains_key(*token)) {
            Some(missing) => Err(format!("line {number}: vocab.json has no token {missing:?}")),
            None => Ok(line),
        }
    });
    checked.collect()
}

/// The tokenizer that `transformers` makes of the files, and its `tokenizer.json`: the very bytes of the one that was
/// read, where that says it all.
fn effective(
    mut source: Value,
    bytes: Option<&[u8]>,
    options: &Options<'_>,
    special: &SpecialTokens,
) -> Result<(Tokenizer, Vec<u8>), String> {
    let model = source["model"].take();
    let before = Steps::of_file(&source, &model);
    let (mut tokenizer, settings) = match bytes.filter(|_| options.class.vocabulary().is_none()) {
        Some(bytes) => (read(bytes)?, settings_of(&model)),
        None => {
            let whole = pipeline::around(model, charsmap(&source["normalizer"]), options, special)?;
            (
                read(&serde_json::to_vec(&whole).map_err(|error| error.to_string())?)?,
                settings_of(&whole["model"]),
            )
        }
    };
    quietly(|| special.add_to(&mut tokenizer))?;
    if options.class.vocabulary().is_some() {
        // ALBERT's class sets its own first, and then that of the file over it.
        let kept = Some(source["post_processor"].take()).filter(|_| options.class == Class::Albert);
        let around = match kept.filter(|kept| !kept.is_null()) {
            Some(kept) => kept,
            None => pipeline::post_processor(options, special, |token| tokenizer.token_to_id(token))?,
        };
        let around: PostProcessorWrapper = serde_json::from_value(around).map_err(|error| error.to_string())?;
        tokenizer.with_post_processor(Some(around));
    }
    let cuts = !source["truncation"].is_null() || !source["padding"].is_null();
    // Padding is for batches that are not packed. Truncation is ours: the crate's underflows below the special tokens
    // and keeps every overflowing part. Setting `None` cannot fail.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    let is_same = before.is_some_and(|before| Steps::of(&tokenizer, settings).is_some_and(|now| now == before));
    if let Some(bytes) = bytes.filter(|_| is_same && !cuts) {
        return Ok((tokenizer, bytes.to_vec()));
    }
    let written = tokenizer.to_string(false).map_err(|error| error.to_string())?.into_bytes();
    Ok((read(&written)?, written))
}

pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, String> {
    limits::check_added(bytes)?;
    quietly(|| Tokenizer::from_bytes(bytes))
        .map_err(|panic| format!("its parts contradict each other: {panic}"))?
        .map_err(|error| one_line(&error.to_string()))
}

/// SentencePiece's own normalization, which some classes take over from `tokenizer.json`.
fn charsmap(normalizer: &Value) -> Option<Value> {
    let one = |normalizer: &Value| {
        (normalizer["type"] == "Precompiled").then(|| normalizer["precompiled_charsmap"].clone())
    };
    match normalizer["normalizers"].as_array() {
        Some(normalizers) => normalizers.iter().find_map(one),
        None => one(normalizer),
    }
}
