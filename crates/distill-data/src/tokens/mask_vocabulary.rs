//! What masking has to know of a vocabulary: the mask, the special tokens, and which tokens begin a word.

use std::collections::BTreeSet;

use tokenizers::ModelWrapper;

use super::special::NAMES;
use super::{TextTokenizer, TokenError};

/// In front of a token that begins a word behind a space: of byte-level vocabularies, and of SentencePiece's.
const SPACES: [char; 2] = ['Ġ', '▁'];

/// The tokens of a vocabulary as masking sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskVocabulary {
    mask: u32,
    /// For each id whether it is a special token, or none at all.
    is_special: Vec<bool>,
    /// For each id whether it begins a word; none where the vocabulary does not say it.
    begins_word: Option<Vec<bool>>,
    /// All tokens but the special ones, rising.
    ordinary: Vec<u32>,
}

impl MaskVocabulary {
    /// The token that stands for a masked one.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// Whether a token is an ordinary one of the vocabulary: special tokens, also the unknown one, are never masked.
    pub fn is_ordinary(&self, token: u32) -> bool {
        self.is_special.get(token as usize).is_some_and(|special| !special)
    }

    /// Whether the vocabulary says which tokens begin a word.
    pub fn knows_words(&self) -> bool {
        self.begins_word.is_some()
    }

    /// Whether a token begins a word; each does where the vocabulary does not say it.
    pub fn begins_word(&self, token: u32) -> bool {
        self.begins_word.as_ref().is_none_or(|begins| begins.get(token as usize).copied().unwrap_or(true))
    }

    /// The tokens that may stand in the place of a masked one, rising: all but the special ones.
    pub fn ordinary(&self) -> &[u32] {
        &self.ordinary
    }
}

impl TextTokenizer {
    /// Its vocabulary as masking sees it.
    ///
    /// A token of a WordPiece vocabulary continues a word where it has the prefix for that, `##` (BERT's whole word
    /// masking); in byte-level and SentencePiece vocabularies where it has no mark of a space (`is_beginning_of_word` of
    /// fairseq's RoBERTa).
    ///
    /// # Errors
    /// [`TokenError::NoMask`] without a mask token; [`TokenError::Invalid`] without any ordinary token.
    pub fn mask_vocabulary(&self) -> Result<MaskVocabulary, TokenError> {
        let mask = self.mask_token().ok_or(TokenError::NoMask)?;
        let vocabulary = self.tokenizer.get_vocab(true);
        let special = self.special_ids();
        let size = self.max_token_id as usize + 1;
        let mut is_special = vec![true; size];
        let mut ordinary: Vec<u32> = vocabulary.values().copied().filter(|id| !special.contains(id)).collect();
        ordinary.sort_unstable();
        ordinary.dedup();
        ordinary.iter().for_each(|id| is_special[*id as usize] = false);
        if ordinary.is_empty() {
            let reason = "its vocabulary has special tokens alone".to_owned();
            return Err(TokenError::Invalid { path: self.path.clone(), reason });
        }
        let begins_word = self.word_mark(vocabulary.keys()).map(|mark| {
            let mut flags = vec![true; size];
            vocabulary.iter().for_each(|(token, id)| flags[*id as usize] = mark.begins(token));
            flags
        });
        Ok(MaskVocabulary { mask, is_special, begins_word, ordinary })
    }

    /// The ids of all special tokens: those that the files name, and those that are marked so.
    fn special_ids(&self) -> BTreeSet<u32> {
        let named = NAMES.iter().filter_map(|name| self.saved.special(name));
        let named = named.filter_map(|token| self.tokenizer.token_to_id(token));
        let added = self.tokenizer.get_added_tokens_decoder().into_iter();
        let marked = added.filter(|(_, token)| token.special).map(|(id, _)| id);
        named.chain(marked).chain(self.mask_token()).chain(self.unknown_token()).collect()
    }

    /// How tokens say that they begin a word; none where they do not.
    fn word_mark<'a>(&self, mut tokens: impl Iterator<Item = &'a String>) -> Option<WordMark> {
        match self.tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => {
                let prefix = model.continuing_subword_prefix.clone();
                (!prefix.is_empty()).then_some(WordMark::Continues(prefix))
            }
            ModelWrapper::WordLevel(_) => Some(WordMark::Each),
            ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => {
                tokens.any(|token| token.starts_with(SPACES)).then_some(WordMark::Space)
            }
        }
    }
}

/// What tells tokens that begin a word from others.
enum WordMark {
    /// Each of them does.
    Each,
    /// Those without this prefix do.
    Continues(String),
    /// Those with the mark of a space do.
    Space,
}

impl WordMark {
    fn begins(&self, token: &str) -> bool {
        match self {
            WordMark::Each => true,
            WordMark::Continues(prefix) => !token.starts_with(prefix),
            WordMark::Space => token.starts_with(SPACES),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(name: &str) -> TextTokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        TextTokenizer::load(&folder, 16).unwrap()
    }

    #[test]
    fn special_tokens_and_unknown_ones_are_no_ordinary_tokens() {
        for (name, special) in
            [("tiny-bert", "[UNK] [CLS] [SEP] [PAD] [MASK]"), ("tiny-byte-level", "<s> </s> <mask>")]
        {
            let tokenizer = load(name);
            let vocabulary = tokenizer.mask_vocabulary().unwrap();
            for token in special.split(' ') {
                let id = tokenizer.tokenizer.token_to_id(token).unwrap();
                assert!(!vocabulary.is_ordinary(id) && !vocabulary.ordinary().contains(&id), "{name} {token}");
            }
            assert!(!vocabulary.is_ordinary(tokenizer.max_token_id() + 1));
            assert!(vocabulary.ordinary().iter().all(|id| vocabulary.is_ordinary(*id)));
        }
    }

    #[test]
    fn words_begin_where_the_vocabulary_says_it() {
        let begins = |name: &str, token: &str| {
            let tokenizer = load(name);
            let id = tokenizer.tokenizer.token_to_id(token).unwrap();
            tokenizer.mask_vocabulary().unwrap().begins_word(id)
        };
        assert!(begins("tiny-bert", "the") && begins("tiny-byte-level", "Ġthe"));
        assert!(!begins("tiny-byte-level", "what"));
        let bert = load("tiny-bert");
        let continues = bert.tokenizer.get_vocab(true).into_iter().find(|(token, _)| token.starts_with("##"));
        let (_, id) = continues.unwrap();
        let vocabulary = bert.mask_vocabulary().unwrap();
        assert!(vocabulary.knows_words() && !vocabulary.begins_word(id));
    }
}
