//! What a tokenizer file must not ask for: small files can make a tokenizer that never ends or fills the memory.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer;
use tokenizers::models::ModelWrapper;

/// Deeper nesting than any tokenizer has: the library walks its parts by recursion.
const MAX_DEPTH: usize = 64;
/// WordPiece looks at every part of a word of this many characters; published models have 100 or 200.
const MAX_WORD_CHARS: usize = 1_000;
/// Added tokens of published models: some ten to a thousand, in Gemma 3 6,415.
const MAX_ADDED: usize = 16_384;
/// Bytes of one.
const MAX_ADDED_BYTES: usize = 1_024;
/// Bytes of all: the library builds an automaton of them, at 4 MB in a second and 320 MB of memory.
const MAX_ADDED_ALL: usize = 4 << 20;
/// How many times longer replacements may make a text.
const MAX_GROWTH: usize = 4_096;
/// Bytes of a text after replacements that are tokenized at once; each takes some twenty bytes of memory.
pub(super) const MAX_TEXT_BYTES: usize = 32 << 20;

/// Checks a file's nesting, before it is parsed; the error is in words.
pub(super) fn check_json(bytes: &[u8]) -> Result<(), String> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
        }
    }
    Ok(())
}

/// Checks a file's added tokens, before the library builds an automaton of them; the error is in words.
pub(super) fn check_added(bytes: &[u8]) -> Result<(), String> {
    let Added { added_tokens } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_tokens(added_tokens.iter().flatten().map(|token| token.content.as_str()))
}

/// Checks tokens that are to be added; the error is in words.
pub(super) fn check_tokens<'a>(contents: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let (mut count, mut bytes) = (0, 0);
    for content in contents {
        count += 1;
        bytes += content.len();
        if content.len() > MAX_ADDED_BYTES {
            let length = content.len();
            return Err(format!("an added token has {length} bytes, at most {MAX_ADDED_BYTES} are supported"));
        }
    }
    if count > MAX_ADDED {
        return Err(format!("it adds {count} tokens, at most {MAX_ADDED} are supported"));
    }
    if bytes > MAX_ADDED_ALL {
        return Err(format!(
            "the tokens that it adds have {bytes} bytes, at most {MAX_ADDED_ALL} are supported"
        ));
    }
    Ok(())
}

/// As much of a file as says what is added to the vocabulary.
#[derive(Deserialize)]
struct Added {
    #[serde(default)]
    added_tokens: Option<Vec<Token>>,
}

#[derive(Deserialize)]
struct Token {
    content: String,
}

/// Checks what was read; returns how many times longer its replacements can make a text.
pub(super) fn check(tokenizer: &Tokenizer) -> Result<usize, String> {
    if let ModelWrapper::WordPiece(model) = tokenizer.get_model()
        && model.max_input_chars_per_word > MAX_WORD_CHARS
    {
        let found = model.max_input_chars_per_word;
        return Err(format!(
            "model.max_input_chars_per_word is {found}, at most {MAX_WORD_CHARS} is supported"
        ));
    }
    let normalizer = tokenizer.get_normalizer().map(serde_json::to_value).transpose();
    let growth = normalizer.map_err(|error| error.to_string())?.map_or(1, |normalizer| growth(&normalizer));
    if growth > MAX_GROWTH {
        return Err(format!(
            "its replacements can make a text {growth} times longer, more than {MAX_GROWTH} times"
        ));
    }
    Ok(growth)
}

/// The most that a normalizer's replacements can do to a text one after another.
fn growth(normalizer: &Value) -> usize {
    if let Some(parts) = normalizer["normalizers"].as_array() {
        return parts.iter().map(growth).fold(1, usize::saturating_mul);
    }
    let Some(content) = normalizer["content"].as_str().filter(|_| normalizer["type"] == "Replace") else {
        return 1;
    };
    match normalizer["pattern"]["String"].as_str() {
        Some(pattern) if !pattern.is_empty() => content.len().div_ceil(pattern.len()).max(1),
        // A regular expression may match between any two characters.
        _ => content.len() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_texts_do_not_count() {
        assert_eq!(check_json(br#"{"a": "[[[[\"[[[[", "b": [{}]}"#), Ok(()));
        assert!(check_json(&[b'['; 65]).is_err());
        assert_eq!(check_json(&[b'['; 64]), Ok(()));
    }

    #[test]
    fn added_tokens_are_bounded_in_number_and_length() {
        let file = |count: usize, length: usize| {
            let token = |number: usize| serde_json::json!({"id": number, "content": "a".repeat(length)});
            let all: Vec<Value> = (0..count).map(token).collect();
            serde_json::to_vec(&serde_json::json!({"model": {}, "added_tokens": all})).unwrap()
        };
        check_added(b"{}").unwrap();
        check_added(&file(MAX_ADDED, 3)).unwrap();
        check_added(&file(3, MAX_ADDED_BYTES)).unwrap();
        assert!(check_added(&file(MAX_ADDED + 1, 3)).unwrap_err().contains("adds 16385 tokens"));
        assert!(check_added(&file(4_097, MAX_ADDED_BYTES)).unwrap_err().contains("4195328 bytes"));
        assert!(check_added(&file(1, 42_000)).unwrap_err().contains("42000 bytes"));
    }

    #[test]
    fn replacements_multiply() {
        let replace = |pattern: Value, content: &str| serde_json::json!({"type": "Replace", "pattern": pattern, "content": content});
        let space = replace(serde_json::json!({"String": " "}), "▁");
        assert_eq!(growth(&space), 3);
        let spaces = replace(serde_json::json!({"Regex": " {2,}"}), " ");
        let both = serde_json::json!({"type": "Sequence", "normalizers": [space, {"type": "NFC"}, spaces]});
        assert_eq!(growth(&both), 6);
    }
}
