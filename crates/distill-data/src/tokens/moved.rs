//! One tokenizer in the place of another: what the old one's embeddings say about the new one's tokens.
//!
//! A special token begins as the one of its role, a token that both vocabularies have as that one. Any other begins as what the
//! old tokenizer makes of its text. Source: the means of sub-words of Gee et al. 2022 (EMNLP, "Fast vocabulary transfer for
//! language model compression").

use std::collections::BTreeMap;

use distill_core::vocabulary::{NewVocabulary, Origin};
use tokenizers::{ModelWrapper, Tokenizer};

use super::special::NAMES;
use super::{TextTokenizer, TokenError};
use crate::quiet::quietly;

/// How a vocabulary writes the beginning of a word.
pub(super) enum Form {
    /// WordPiece: what continues a word has this in front.
    Continued(String),
    /// Bytes as characters; a space in front is a byte.
    Bytes(BTreeMap<char, u8>),
    /// `▁` stands for a space in front.
    Pieces,
    /// Nothing says it.
    Plain,
}

/// A token as text.
pub(super) struct Surface {
    begins_word: bool,
    pub text: String,
}

/// Roles that stand in for one another where a tokenizer has only one of them.
const ALIKE: [(&str, &str); 4] = [
    ("bos_token", "cls_token"),
    ("cls_token", "bos_token"),
    ("eos_token", "sep_token"),
    ("sep_token", "eos_token"),
];
/// What the tokens of the roles are usually called.
const USUAL: [(&str, [&str; 2]); 7] = [
    ("bos_token", ["[CLS]", "<s>"]),
    ("eos_token", ["[SEP]", "</s>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("pad_token", ["[PAD]", "<pad>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];
/// Roles that every encoder's rows need.
const NEEDED: [&str; 3] = ["pad_token", "cls_token", "sep_token"];
/// What stands for a space in pieces.
const SPACE: char = '▁';

impl TextTokenizer {
    /// This tokenizer in the place of `old`: where the embedding of each of its tokens begins.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] where it lacks a special token that rows need.
    pub fn in_place_of(&self, old: &TextTokenizer) -> Result<NewVocabulary, TokenError> {
        let mut new = self.fresh_vocabulary()?;
        let theirs: BTreeMap<&str, u32> =
            NAMES.into_iter().filter_map(|name| Some((name, old.role(name)?))).collect();
        // One token may have several roles; the first that the old tokenizer has decides.
        let mut by_role: BTreeMap<u32, u32> = BTreeMap::new();
        for name in NAMES {
            if let (Some(own), Some(their)) = (self.role(name), theirs.get(name)) {
                by_role.entry(own).or_insert(*their);
            }
        }
        let (from, to) = (Form::of(&self.tokenizer), Form::of(&old.tokenizer));
        let unknown = old.unknown_token();
        for (token, id) in self.tokenizer.get_vocab(true) {
            new.origins[id as usize] = match by_role.get(&id) {
                Some(role) => Origin::Copied(*role),
                None => origin(&token, &from, &old.tokenizer, &to, unknown),
            };
        }
        Ok(new)
    }

    /// This tokenizer's vocabulary for a model without weights.
    ///
    /// # Errors
    /// As [`TextTokenizer::in_place_of`].
    pub fn fresh_vocabulary(&self) -> Result<NewVocabulary, TokenError> {
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| self.role(name).is_none()).collect();
        if missing.is_empty() {
            let origins = vec![Origin::Average; self.max_token_id as usize + 1];
            return Ok(NewVocabulary { origins, special: self.role_ids() });
        }
        Err(self.invalid(format!(
            "it has no {}; tokenizer_config.json must name special tokens that the vocabulary has",
            missing.join(", ")
        )))
    }

    /// The ids of the special tokens by their names in a model's config.
    pub(super) fn role_ids(&self) -> BTreeMap<String, u32> {
        NAMES.into_iter().filter_map(|name| Some((format!("{name}_id"), self.role(name)?))).collect()
    }

    /// The token of a role, or of one that is alike: as the files name it, else by its usual names.
    fn role(&self, name: &str) -> Option<u32> {
        let id = |name: &str| self.tokenizer.token_to_id(self.saved.special(name)?);
        let alike = ALIKE.into_iter().find(|(one, _)| *one == name).map(|(_, other)| other);
        let usual = USUAL.into_iter().find(|(known, _)| *known == name).map(|(_, tokens)| tokens);
        let usual = || usual?.into_iter().find_map(|token| self.tokenizer.token_to_id(token));
        id(name).or_else(|| id(alike?)).or_else(usual)
    }
}

/// Where the embedding of a token begins that has no role.
fn origin(token: &str, from: &Form, old: &Tokenizer, to: &Form, unknown: Option<u32>) -> Origin {
    let Some(surface) = from.surface(token) else {
        // A part of a character, which only a vocabulary of bytes may have too.
        let same = matches!(to, Form::Bytes(_)).then(|| old.token_to_id(token)).flatten();
        return same.map_or(Origin::Average, Origin::Copied);
    };
    if let Some(same) = to.written(&surface).and_then(|token| old.token_to_id(&token)) {
        return if Some(same) == unknown { Origin::Average } else { Origin::Copied(same) };
    }
    let text = if surface.begins_word { format!(" {}", surface.text) } else { surface.text };
    // A tokenizer file from outside can ask for what the crate asserts against.
    let encoded = quietly(|| old.encode_fast(text.as_str(), false));
    let tokens = encoded.ok().and_then(Result::ok).map(|encoding| encoding.get_ids().to_vec());
    let mut tokens = tokens.unwrap_or_default();
    tokens.retain(|token| Some(*token) != unknown);
    if tokens.is_empty() { Origin::Average } else { Origin::Mean(tokens) }
}

impl Form {
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let has = |part: &str| {
            let before = serde_json::to_string(&tokenizer.get_pre_tokenizer()).unwrap_or_default();
            before.contains(&format!("\"type\":\"{part}\""))
        };
        match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Form::Continued(model.continuing_subword_prefix.clone()),
            _ if has("ByteLevel") => Form::Bytes(bytes_of_characters()),
            ModelWrapper::Unigram(_) => Form::Pieces,
            _ if has("Metaspace") => Form::Pieces,
            _ => Form::Plain,
        }
    }

    /// What a token says; none where it is no text.
    pub fn surface(&self, token: &str) -> Option<Surface> {
        Some(match self {
            Form::Continued(prefix) => {
                match token.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty()) {
                    Some(rest) => Surface { begins_word: false, text: rest.to_owned() },
                    None => Surface { begins_word: true, text: token.to_owned() },
                }
            }
            Form::Bytes(bytes) => {
                let bytes: Option<Vec<u8>> = token.chars().map(|c| bytes.get(&c).copied()).collect();
                let text = String::from_utf8(bytes?).ok()?;
                let rest = text.strip_prefix(' ').map(str::to_owned);
                Surface { begins_word: rest.is_some(), text: rest.unwrap_or(text) }
            }
            Form::Pieces => {
                let rest = token.strip_prefix(SPACE);
                Surface { begins_word: rest.is_some(), text: rest.unwrap_or(token).replace(SPACE, " ") }
            }
            Form::Plain => Surface { begins_word: true, text: token.to_owned() },
        })
    }

    /// Whether a token is a byte.
    pub fn is_byte(&self, token: &str) -> bool {
        let mut characters = token.chars();
        let (first, second) = (characters.next(), characters.next());
        matches!((self, first, second), (Form::Bytes(bytes), Some(only), None) if bytes.contains_key(&only))
    }

    /// A text as a token of this vocabulary.
    fn written(&self, surface: &Surface) -> Option<String> {
        let Surface { begins_word, text } = surface;
        Some(match self {
            Form::Continued(prefix) if !begins_word => format!("{prefix}{text}"),
            Form::Continued(_) | Form::Plain => text.clone(),
            Form::Bytes(bytes) => {
                let characters: BTreeMap<u8, char> = bytes.iter().map(|(c, byte)| (*byte, *c)).collect();
                let text = if *begins_word { format!(" {text}") } else { text.clone() };
                text.bytes().map(|byte| characters.get(&byte).copied()).collect::<Option<String>>()?
            }
            Form::Pieces => {
                let text = text.replace(' ', "▁");
                if *begins_word { format!("{SPACE}{text}") } else { text }
            }
        })
    }
}

/// The characters that stand for bytes. Source: `bytes_to_unicode` of GPT-2.
fn bytes_of_characters() -> BTreeMap<char, u8> {
    let shows = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 256u32..;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let code = if shows(byte) { u32::from(byte) } else { others.next()? };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(name: &str) -> TextTokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        TextTokenizer::load(&folder, 64).unwrap()
    }

    #[test]
    fn bytes_are_written_as_the_library_writes_them() {
        let known: std::collections::BTreeSet<char> = bytes_of_characters().into_keys().collect();
        let theirs = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        assert_eq!(known, theirs.into_iter().collect());
        assert_eq!((bytes_of_characters()[&'Ġ'], bytes_of_characters()[&'Ċ']), (b' ', b'\n'));
    }

    #[test]
    fn a_tokenizer_in_its_own_place_copies_every_embedding() {
        for name in ["trained/wordpiece", "trained/unigram", "trained/bpe", "tiny-bert", "tiny-byte-level"] {
            let tokenizer = load(name);
            let moved = tokenizer.in_place_of(&tokenizer).unwrap();
            assert!(moved.is_identity(tokenizer.vocab_size()), "{name}: {:?}", moved.counts());
        }
    }

    /// Of any kind in the place of any other: special tokens by role, words that both have by word, others by their parts.
    #[test]
    fn tokens_begin_as_what_the_old_tokenizer_makes_of_them() {
        let all = ["trained/wordpiece", "trained/unigram", "trained/bpe"].map(load);
        for new in &all {
            for old in &all {
                let moved = new.in_place_of(old).unwrap();
                assert_eq!(moved.origins.len(), new.vocab_size());
                for (name, id) in &moved.special {
                    let name = name.trim_end_matches("_id");
                    assert_eq!(moved.origins[*id as usize], Origin::Copied(old.role(name).unwrap()), "{name}");
                }
                let text = |id: u32| old.tokenizer.decode(&[id], true).unwrap().trim().replace("##", "");
                let mut parts = 0;
                for (token, id) in new.tokenizer.get_vocab(false) {
                    let said =
                        new.tokenizer.decode(&[id], true).unwrap().trim().replace("##", "").to_lowercase();
                    match &moved.origins[id as usize] {
                        Origin::Copied(from) => {
                            assert_eq!(text(*from).to_lowercase(), said, "{token}");
                        }
                        Origin::Mean(from) => {
                            parts += 1;
                            let joined: String = from.iter().map(|id| text(*id)).collect();
                            // A part that is unknown to the old tokenizer is not among them.
                            let whole = joined.chars().count() <= said.chars().count() + 2;
                            assert!(whole || joined.contains('\u{fffd}'), "{token}: {joined} for {said}");
                        }
                        Origin::Average => {}
                    }
                }
                assert!(std::ptr::eq(new, old) || parts > 0);
                let counts = moved.counts();
                assert!(counts.copied > new.vocab_size() / 4, "{counts:?}");
            }
        }
    }

    #[test]
    fn a_vocabulary_without_special_tokens_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let json = serde_json::json!({"version": "1.0", "added_tokens": [], "model": {"type": "WordPiece",
            "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "a": 1}}, "pre_tokenizer": {"type": "BertPreTokenizer"}});
        distill_core::atomic::write(&folder.path().join("tokenizer.json"), json.to_string().as_bytes())
            .unwrap();
        let tokenizer = TextTokenizer::load(folder.path(), 8).unwrap();
        let error = tokenizer.in_place_of(&load("tiny-bert")).unwrap_err().to_string();
        assert!(error.contains("it has no pad_token, cls_token, sep_token"), "{error}");
    }
}
