//! The tokenizers that `transformers`' classes build around a vocabulary, as `tokenizer.json` says them.
//!
//! Source: the `tokenization_*.py` of the classes in `transformers` 5.23. Legend: `single` and `pair` are templates of
//! what stands around one text and two.

use serde_json::{Value, json};

use super::class::{Class, Vocabulary};
use super::options::Options;
use super::special::SpecialTokens;

/// A `tokenizer.json` without added tokens and post-processor, around `model`, of which the vocabulary is kept.
///
/// # Errors
/// In words, where the vocabulary is not of the class's kind, or an option has no value that is built here.
pub(super) fn around(
    mut model: Value,
    charsmap: Option<Value>,
    options: &Options<'_>,
    special: &SpecialTokens,
) -> Result<Value, String> {
    let class = options.class;
    let Some(kind) = class.vocabulary() else { return Err("the class does not build a tokenizer".to_owned()) };
    let found = model["type"].as_str().unwrap_or(kind.name());
    if found != kind.name() {
        return Err(format!("its vocabulary is for {found}, but {} builds {}", class.name(), kind.name()));
    }
    let vocab = model["vocab"].take();
    let unknown = special.get("unk_token").unwrap_or_default();
    let model = match kind {
        Vocabulary::WordPiece => json!({
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        }),
        Vocabulary::Bpe => json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": model["merges"].take(),
        }),
        Vocabulary::Unigram => json!({
            "type": "Unigram", "unk_id": unknown_id(&vocab, unknown, options), "vocab": vocab, "byte_fallback": false,
        }),
    };
    let (normalizer, pre_tokenizer) = text_steps(options, charsmap)?;
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": decoder(kind), "model": model,
    }))
}

fn unknown_id(vocab: &Value, unknown: &str, options: &Options<'_>) -> u64 {
    let pieces = vocab.as_array().map_or(&[][..], Vec::as_slice);
    let place = |matches: &dyn Fn(&Value) -> bool| pieces.iter().position(matches).map(|place| place as u64);
    match options.class {
        Class::Albert => 1,
        Class::XlmRoberta => 3,
        Class::Camembert => place(&|piece| piece[0] == unknown).unwrap_or(0),
        _ => place(&|piece| piece[0] == unknown && piece[1].as_f64() == Some(0.0))
            .or_else(|| options.id("unk_id"))
            .unwrap_or(1),
    }
}

/// What is done to a text: normalizer and pre-tokenizer.
fn text_steps(options: &Options<'_>, charsmap: Option<Value>) -> Result<(Value, Value), String> {
    let sequence = |normalizers: Vec<Value>| json!({ "type": "Sequence", "normalizers": normalizers });
    let replace = |pattern: Value, by: &str| json!({ "type": "Replace", "pattern": pattern, "content": by });
    let precompiled = charsmap.map(|map| json!({ "type": "Precompiled", "precompiled_charsmap": map }));
    let words = |prefix: &str| {
        let metaspace = metaspace(prefix);
        json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace] })
    };
    let prefixed = options.flag("add_prefix_space", true);
    let prefix = |otherwise| prefixed.clone().map(|prefixed| if prefixed { "always" } else { otherwise });
    Ok(match options.class {
        Class::Backend => (Value::Null, Value::Null),
        Class::Bert | Class::DistilBert | Class::MpNet => (
            json!({
                "type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": options.flag("tokenize_chinese_chars", true)?,
                "strip_accents": options.strip_accents()?, "lowercase": options.flag("do_lower_case", true)?,
            }),
            json!({ "type": "BertPreTokenizer" }),
        ),
        Class::Roberta => {
            let space = options.flag("add_prefix_space", false)?;
            (
                Value::Null,
                json!({ "type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": true }),
            )
        }
        Class::Camembert | Class::XlmRoberta => (precompiled.unwrap_or_default(), words(prefix("never")?)),
        Class::Albert => {
            let quotes = ["``", "''"].map(|quotes| replace(json!({ "String": quotes }), "\""));
            let mut steps = quotes.to_vec();
            if !options.flag("keep_accents", false)? {
                steps.extend([json!({ "type": "NFKD" }), json!({ "type": "StripAccents" })]);
            }
            if options.flag("do_lower_case", true)? {
                steps.push(json!({ "type": "Lowercase" }));
            }
            steps.extend(precompiled);
            (sequence(steps), words(prefix("never")?))
        }
        Class::DebertaV2 => {
            let lower = options.flag("do_lower_case", false)?.then(|| json!({ "type": "Lowercase" }));
            let spaces = replace(json!({ "Regex": "\\s{2,}|[\\n\\r\\t]" }), " ");
            let strip = json!({ "type": "Strip", "strip_left": false, "strip_right": true });
            let normalizers = lower.into_iter().chain([spaces, json!({ "type": "NFC" }), strip]).collect();
            let marks = options
                .flag("split_by_punct", false)?
                .then(|| json!({ "type": "Punctuation", "behavior": "Isolated" }));
            let parts: Vec<Value> = marks.into_iter().chain([metaspace(prefix("first")?)]).collect();
            (sequence(normalizers), json!({ "type": "Sequence", "pretokenizers": parts }))
        }
    })
}

pub(super) fn metaspace(prefix: &str) -> Value {
    json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": prefix, "split": true })
}

/// How ids become text again, which `augment` asks for.
fn decoder(kind: Vocabulary) -> Value {
    match kind {
        Vocabulary::WordPiece => json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        Vocabulary::Bpe => {
            json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true })
        }
        Vocabulary::Unigram => metaspace("always"),
    }
}

/// What the class puts around texts; `id` gives a token's id.
///
/// # Errors
/// In words, where a special token is missing.
pub(super) fn post_processor(
    options: &Options<'_>,
    special: &SpecialTokens,
    id: impl Fn(&str) -> Option<u32>,
) -> Result<Value, String> {
    let token = |name: &str| special.get(name).ok_or_else(|| format!("{name} is null"));
    let id = |token: &str| id(token).ok_or_else(|| format!("the vocabulary has no token {token:?}"));
    let (cls, sep) = (token("cls_token")?, token("sep_token")?);
    if options.class.vocabulary() == Some(Vocabulary::WordPiece) {
        id(token("unk_token")?)?;
    }
    match options.class {
        Class::Roberta | Class::MpNet => {
            let space = options.class == Class::Roberta && options.flag("add_prefix_space", false)?;
            let trim = options.class == Class::MpNet || options.flag("trim_offsets", true)?;
            Ok(json!({
                "type": "RobertaProcessing", "sep": [sep, id(sep)?], "cls": [cls, id(cls)?],
                "trim_offsets": trim, "add_prefix_space": space,
            }))
        }
        Class::Camembert | Class::XlmRoberta => {
            let (bos, eos) = (token("bos_token")?, token("eos_token")?);
            let (first, last) = ((bos, id(bos)?), (eos, id(eos)?));
            Ok(template(&[first, last], &[bos, "A", eos], &[bos, "A", eos, eos, "B", eos], 0))
        }
        // Written with these names whatever the tokens are called.
        Class::Albert => {
            let (first, last) = (("[CLS]", id(cls)?), ("[SEP]", id(sep)?));
            let (cls, sep) = (first.0, last.0);
            Ok(template(&[first, last], &[cls, "A", sep], &[cls, "A", sep, "B", sep], 1))
        }
        _ => {
            let (first, last) = ((cls, id(cls)?), (sep, id(sep)?));
            Ok(template(&[first, last], &[cls, "A", sep], &[cls, "A", sep, "B", sep], 1))
        }
    }
}

/// A template of special tokens around `A` and `B`; from `B` on tokens are of type `second`.
pub(super) fn template(special: &[(&str, u32)], single: &[&str], pair: &[&str], second: u8) -> Value {
    let pieces = |parts: &[&str]| {
        let from = parts.iter().position(|part| *part == "B").unwrap_or(parts.len());
        let piece = |(place, part): (usize, &&str)| {
            let kind = if special.iter().any(|(token, _)| token == part) { "SpecialToken" } else { "Sequence" };
            json!({ kind: { "id": part, "type_id": if place < from { 0 } else { second } } })
        };
        parts.iter().enumerate().map(piece).collect::<Vec<_>>()
    };
    let tokens: serde_json::Map<String, Value> = special
        .iter()
        .map(|(token, id)| ((*token).to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] })))
        .collect();
    json!({ "type": "TemplateProcessing", "single": pieces(single), "pair": pieces(pair), "special_tokens": tokens })
}
