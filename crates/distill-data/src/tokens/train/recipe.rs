//! What stands around each kind of vocabulary: special tokens, and what is done to a text before and after it.
//!
//! Source: `BertTokenizer`, `RobertaTokenizer` and `XLMRobertaTokenizer` of `transformers` 5.23. XLM-R's normalization is that of
//! its SentencePiece model; here it is NFKC after SentencePiece's rules for control characters and spaces (`nmt_nfkc`).

use serde_json::{Map, Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::VocabularyKind;
use crate::tokens::pipeline::{metaspace, template};

/// Special tokens of every kind.
pub(super) const SPECIAL_TOKENS: usize = 5;

/// The special tokens of a kind in the order of their ids, each with its names in `tokenizer_config.json`.
pub(super) fn special_tokens(
    kind: VocabularyKind,
) -> [(&'static str, &'static [&'static str]); SPECIAL_TOKENS] {
    match kind {
        VocabularyKind::WordPiece => [
            ("[PAD]", &["pad_token"]),
            ("[UNK]", &["unk_token"]),
            ("[CLS]", &["cls_token"]),
            ("[SEP]", &["sep_token"]),
            ("[MASK]", &["mask_token"]),
        ],
        VocabularyKind::Bpe | VocabularyKind::Unigram => [
            ("<s>", &["bos_token", "cls_token"]),
            ("<pad>", &["pad_token"]),
            ("</s>", &["eos_token", "sep_token"]),
            ("<unk>", &["unk_token"]),
            ("<mask>", &["mask_token"]),
        ],
    }
}

/// The id of the token for what the vocabulary does not hold.
pub(super) fn unknown(kind: VocabularyKind) -> usize {
    match kind {
        VocabularyKind::WordPiece => 1,
        VocabularyKind::Bpe | VocabularyKind::Unigram => 3,
    }
}

/// The 256 characters that stand for bytes, in their order.
pub(super) fn byte_alphabet() -> Vec<char> {
    let mut characters: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    characters.sort_unstable();
    characters
}

/// Normalizer and pre-tokenizer.
pub(super) fn steps(kind: VocabularyKind, lowercase: bool) -> (Value, Value) {
    let small = lowercase.then(|| json!({ "type": "Lowercase" }));
    match kind {
        VocabularyKind::WordPiece => (
            json!({
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": lowercase,
            }),
            json!({ "type": "BertPreTokenizer" }),
        ),
        VocabularyKind::Bpe => (small.unwrap_or(Value::Null), byte_level(false)),
        VocabularyKind::Unigram => {
            let first = [json!({ "type": "Nmt" }), json!({ "type": "NFKC" })];
            let normalizers: Vec<Value> = first.into_iter().chain(small).collect();
            let parts = [json!({ "type": "WhitespaceSplit" }), metaspace("always")];
            (
                json!({ "type": "Sequence", "normalizers": normalizers }),
                json!({ "type": "Sequence", "pretokenizers": parts }),
            )
        }
    }
}

fn byte_level(prefix_space: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": true })
}

/// `tokenizer.json` around the `model`, in which the special tokens have the first ids.
pub(super) fn tokenizer(kind: VocabularyKind, lowercase: bool, model: Value) -> Value {
    let (normalizer, pre_tokenizer) = steps(kind, lowercase);
    let special = special_tokens(kind).map(|(token, _)| token);
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, token)| {
            // RoBERTa's and XLM-R's mask takes the space before it, as a word has it.
            let lstrip = *token == "<mask>";
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": lstrip, "rstrip": false,
                "normalized": false, "special": true,
            })
        })
        .collect();
    let (post_processor, decoder) = match kind {
        VocabularyKind::WordPiece => {
            let (cls, sep) = (special[2], special[3]);
            let around = template(&[(cls, 2), (sep, 3)], &[cls, "A", sep], &[cls, "A", sep, "B", sep], 1);
            (around, json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }))
        }
        VocabularyKind::Bpe => {
            let (first, last) = (special[0], special[2]);
            let around = json!({
                "type": "RobertaProcessing", "sep": [last, 2], "cls": [first, 0], "trim_offsets": true,
                "add_prefix_space": false,
            });
            (around, byte_level(true))
        }
        VocabularyKind::Unigram => {
            let (first, last) = (special[0], special[2]);
            let pair = [first, "A", last, last, "B", last];
            (template(&[(first, 0), (last, 2)], &[first, "A", last], &pair, 0), metaspace("always"))
        }
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
        "decoder": decoder, "model": model,
    })
}

/// The special tokens by their names: `special_tokens_map.json`.
pub(super) fn special_tokens_map(kind: VocabularyKind) -> Map<String, Value> {
    let named = special_tokens(kind).into_iter();
    let named =
        named.flat_map(|(token, names)| names.iter().map(move |name| ((*name).to_owned(), token.into())));
    let mut map: Map<String, Value> = named.collect();
    map.sort_keys();
    map
}

/// `tokenizer_config.json`, by which `transformers` takes `tokenizer.json` as it is.
pub(super) fn config(kind: VocabularyKind) -> Map<String, Value> {
    let mut config = special_tokens_map(kind);
    let names: &[&str] = match kind {
        VocabularyKind::WordPiece => &["input_ids", "token_type_ids", "attention_mask"],
        VocabularyKind::Bpe | VocabularyKind::Unigram => &["input_ids", "attention_mask"],
    };
    config.insert("clean_up_tokenization_spaces".to_owned(), false.into());
    config.insert("model_input_names".to_owned(), json!(names));
    config.insert("padding_side".to_owned(), "right".into());
    config.insert("truncation_side".to_owned(), "right".into());
    config.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
    config.sort_keys();
    config
}
