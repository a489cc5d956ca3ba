//! A tokenizer with a part of its vocabulary: what some texts need, and what no tokenizer can do without.
//!
//! Texts that need no other tokens are cut as before: the longest token of a part (WordPiece), the likeliest pieces among fewer
//! (Unigram) and the first merge among fewer (BPE) are those of the whole, as long as they are in the part.
//!
//! Source: trimming by corpus as Abdaoui et al. 2020, arXiv:2010.05609, do it with multilingual BERT.

use std::collections::{BTreeMap, BTreeSet};

use distill_core::hash::bytes_hash;
use distill_core::vocabulary::{NewVocabulary, Origin};
use rayon::prelude::*;
use serde_json::Value;
use tokenizers::InputSequence;

use super::encode::Offsets;
use super::keep::{Keep, Model};
use super::moved::Form;
use super::{TextTokenizer, TokenError, load};
use crate::quiet::quietly;
use crate::source::texts::TextRow;

/// How often each token occurs in texts.
#[derive(Clone, Debug)]
pub struct TokenCounts {
    counts: Vec<u64>,
}

/// A tokenizer with a part of its vocabulary.
pub struct Trimmed {
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    /// In the place of the one that it is a part of.
    pub vocabulary: NewVocabulary,
    /// Tokens of the texts that it no longer has, with their occurrences.
    pub dropped: u64,
}

impl TokenCounts {
    /// Occurrences of all tokens.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Tokens that occur.
    pub fn distinct(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }
}

impl TextTokenizer {
    /// Counts of no text.
    pub fn no_counts(&self) -> TokenCounts {
        TokenCounts { counts: vec![0; self.max_token_id as usize + 1] }
    }

    /// Adds the tokens of texts, each to its end, on all cores.
    ///
    /// # Errors
    /// [`TokenError::Encode`] with the row's index in `rows`; [`TokenError::Stopped`].
    pub fn count_tokens(&self, rows: &[TextRow], counts: &mut TokenCounts) -> Result<(), TokenError> {
        let parts = rows.par_iter().enumerate().with_min_len(8).map(|(index, row)| {
            self.stop.check()?;
            let ids = quietly(|| self.ids_of(row))
                .map_err(|panic| format!("the tokenizer's parts contradict each other: {panic}"));
            ids.and_then(|ids| ids).map_err(|reason| TokenError::Encode { index, reason })
        });
        for id in parts.collect::<Result<Vec<Vec<u32>>, TokenError>>()?.into_iter().flatten() {
            counts.counts[id as usize] += 1;
        }
        Ok(())
    }

    /// The ids of a row's texts without those that stand around them.
    fn ids_of(&self, row: &TextRow) -> Result<Vec<u32>, String> {
        if let Some(words) = &row.words {
            let words = InputSequence::from(words.as_slice());
            let encoding = self.tokenizer.encode_fast(words, false).map_err(|error| error.to_string())?;
            return Ok(encoding.get_ids().to_vec());
        }
        let mut ids = self.raw(&row.text, Offsets::None)?.get_ids().to_vec();
        if let Some(pair) = &row.text_pair {
            ids.extend(self.raw(pair, Offsets::None)?.get_ids());
        }
        Ok(ids)
    }

    /// The part of the vocabulary that texts with these counts need, with the alphabet, the special and the added tokens; of
    /// `size` tokens, where that is given: the most frequent ones, and where there is room the first others.
    ///
    /// # Errors
    /// [`TokenError::TooSmall`] for a size without room for what has to be kept; [`TokenError::Invalid`] for a vocabulary of
    /// another kind, or whose parts contradict each other.
    pub fn trimmed(mut self, counts: &TokenCounts, size: Option<usize>) -> Result<Trimmed, TokenError> {
        let refuse =
            |path: &std::path::Path, reason: String| TokenError::Invalid { path: path.to_owned(), reason };
        let path = self.path.clone();
        let mut json: Value =
            serde_json::from_slice(self.saved.tokenizer()).map_err(|error| refuse(&path, error.to_string()))?;
        let model = Model::read(&json).map_err(|reason| refuse(&path, reason))?;
        let roles: BTreeSet<u32> = self.role_ids().into_values().chain(self.unknown_token()).collect();
        let form = Form::of(&self.tokenizer);
        let keep = Keep { model: &model, form, counts: &counts.counts, roles };
        let required = keep.required();
        if let Some(size) = size.filter(|size| required.len() > *size) {
            return Err(TokenError::TooSmall { size, needed: required.len() });
        }
        let kept = keep.chosen(required, size);
        let order = model.order(&kept);
        let ids: BTreeMap<u32, u32> = order.iter().zip(0..).map(|(old, new)| (*old, new)).collect();
        model.write(&mut json, &ids).map_err(|reason| refuse(&path, reason))?;
        let bytes = serde_json::to_vec(&json).map_err(|error| refuse(&path, error.to_string()))?;
        let splits = self.tokenizer.get_encode_special_tokens();
        let mut tokenizer = load::read(&bytes).map_err(|reason| refuse(&path, reason))?;
        tokenizer.set_encode_special_tokens(splits);
        for (old, new) in &ids {
            let token = self.tokenizer.id_to_token(*old).unwrap_or_default();
            if tokenizer.token_to_id(&token) != Some(*new) {
                return Err(refuse(&path, format!("token {token:?} cannot get another id")));
            }
        }
        self.tokenizer = tokenizer;
        self.vocab_size = order.len();
        self.max_token_id = u32::try_from(order.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.saved.replace_tokenizer(bytes);
        self.hash = bytes_hash(&[self.saved.tokenizer(), self.changes.as_bytes()].concat());
        let dropped = (0..).zip(&counts.counts).filter(|(id, _)| !ids.contains_key(id)).map(|(_, count)| count);
        let dropped = dropped.sum();
        let vocabulary = NewVocabulary {
            origins: order.into_iter().map(Origin::Copied).collect(),
            special: self.role_ids(),
        };
        Ok(Trimmed { tokenizer: self, vocabulary, dropped })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ALL: [&str; 6] =
        ["trained/wordpiece", "trained/unigram", "trained/bpe", "tiny-bert", "tiny-byte-level", "tiny-unigram"];

    fn load(name: &str) -> TextTokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        TextTokenizer::load(&folder, 64).unwrap()
    }

    fn row(text: &str) -> TextRow {
        let place = crate::Place { file: Path::new("a").into(), at: crate::At::Line(1) };
        TextRow { text: text.to_owned(), text_pair: None, words: None, place }
    }

    fn corpus() -> Vec<TextRow> {
        let text = include_str!("../../testdata/trained/corpus.txt");
        text.lines().filter(|line| !line.is_empty()).take(6).map(row).collect()
    }

    fn counted(tokenizer: &TextTokenizer, rows: &[TextRow]) -> TokenCounts {
        let mut counts = tokenizer.no_counts();
        tokenizer.count_tokens(rows, &mut counts).unwrap();
        counts
    }

    /// The tokens of a text, not their ids.
    fn tokens(tokenizer: &TextTokenizer, text: &str, pair: Option<&str>) -> Vec<String> {
        let ids = tokenizer.encode_batch(&[(text, pair)]).unwrap().remove(0).input_ids;
        ids.into_iter().map(|id| tokenizer.tokenizer.id_to_token(id).unwrap()).collect()
    }

    #[test]
    fn texts_that_need_no_other_tokens_are_cut_as_before() {
        for name in ALL {
            let (whole, rows) = (load(name), corpus());
            let counts = counted(&whole, &rows);
            let Trimmed { tokenizer, vocabulary, dropped } = load(name).trimmed(&counts, None).unwrap();
            assert!(tokenizer.vocab_size() < whole.vocab_size(), "{name}: {}", tokenizer.vocab_size());
            assert_eq!((vocabulary.origins.len(), dropped), (tokenizer.vocab_size(), 0), "{name}");
            for row in &rows {
                for pair in [None, Some(rows[0].text.as_str())] {
                    let before = whole.encode_batch(&[(&row.text, pair)]).unwrap().remove(0);
                    let after = tokenizer.encode_batch(&[(&row.text, pair)]).unwrap().remove(0);
                    let origin = |id: &u32| vocabulary.origins[*id as usize].clone();
                    let expected: Vec<Origin> = before.input_ids.iter().copied().map(Origin::Copied).collect();
                    assert_eq!(after.input_ids.iter().map(origin).collect::<Vec<_>>(), expected, "{name}");
                    assert_eq!(after.token_type_ids, before.token_type_ids, "{name}");
                }
            }
            for (old, new) in whole.role_ids().values().zip(tokenizer.role_ids().values()) {
                assert_eq!(vocabulary.origins[*new as usize], Origin::Copied(*old), "{name}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again_as_the_same_tokenizer() {
        for name in ALL {
            let whole = load(name);
            let counts = counted(&whole, &corpus());
            let trimmed = whole.trimmed(&counts, None).unwrap().tokenizer;
            let folder = tempfile::tempdir().unwrap();
            trimmed.save_to(folder.path(), true).unwrap();
            let read = TextTokenizer::load(folder.path(), 64).unwrap();
            assert_eq!((read.hash(), read.vocab_size()), (trimmed.hash(), trimmed.vocab_size()), "{name}");
            for text in ["the teacher", "Größe [MASK] <mask> 漢", ""] {
                assert_eq!(tokens(&read, text, None), tokens(&trimmed, text, None), "{name}");
            }
        }
    }

    #[test]
    fn a_size_keeps_the_most_frequent_tokens_and_their_parts_or_fills_up_with_others() {
        for name in ["trained/wordpiece", "trained/unigram", "trained/bpe"] {
            let whole = load(name);
            let counts = counted(&whole, &corpus());
            let needed = load(name).trimmed(&counts, None).unwrap().tokenizer.vocab_size();
            let fewer = load(name).trimmed(&counts, Some(needed - 20)).unwrap();
            assert!(fewer.tokenizer.vocab_size() <= needed - 20 && fewer.dropped > 0, "{name}");
            // Cut into smaller tokens, and not unknown.
            let unknown = fewer.tokenizer.unknown_token();
            for row in corpus() {
                let ids = &fewer.tokenizer.encode_batch(&[(&row.text, None)]).unwrap()[0].input_ids;
                assert!(unknown.is_none_or(|unknown| !ids.contains(&unknown)), "{name}: {}", row.text);
            }
            let more = load(name).trimmed(&counts, Some(needed + 10)).unwrap();
            assert_eq!((more.tokenizer.vocab_size(), more.dropped), (needed + 10, 0), "{name}");
            let all = load(name).trimmed(&counts, Some(1 << 20)).unwrap();
            assert_eq!(all.tokenizer.vocab_size(), whole.vocab_size(), "{name}");
            let Err(error) = load(name).trimmed(&counts, Some(30)) else { panic!("{name}") };
            assert!(error.to_string().contains("vocabulary_size is 30, but"), "{error}");
        }
    }

    #[test]
    fn words_are_counted_as_words() {
        let whole = load("tiny-bert");
        let words = vec!["what".to_owned(), "is".to_owned()];
        let of_words = TextRow { words: Some(words), ..row("what is") };
        assert_eq!(counted(&whole, &[of_words]).counts, counted(&whole, &[row("what is")]).counts);
        assert_eq!(counted(&whole, &[row("what is what")]).total(), 3);
        assert_eq!(counted(&whole, &[row("what is what")]).distinct(), 2);
    }
}
