//! Copies of which a masked language model is to choose some words.
//!
//! A word that is to be replaced is masked where it is one token of the model's vocabulary; another gives way to a like one
//! at once, if it has any. Which of the model's likeliest words is used there, by its rank, is drawn before the model
//! is asked, so that a copy depends on no batch.
//!
//! Algorithm 1 of TinyBERT masks one word at a time, a pass each. Here as many of a copy's words are masked together as
//! the models saw masked in their training, 15 % of the tokens, so that a long text takes no more passes than a short one;
//! all others stand there as they were.
//!
//! Sources: Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, algorithm 1; Devlin et al. 2019, arXiv:1810.04805,
//! section 3.1, for the share.

use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::draws::Draws;
use super::{AugmentSettings, DRAWS, Neighbours, bare, copy_id, written_as};
use crate::source::Row;
use crate::tokens::{Located, TextTokenizer, TokenError, Tokens, WholeWords};

/// Percent of a row's tokens that are masked together.
const MASKED_PERCENT: usize = 15;

/// What says which words can be masked.
#[derive(Clone, Copy)]
pub struct Masker<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// Its words.
    pub words: &'a WholeWords,
}

/// A copy that waits for its masked words.
#[derive(Clone, Debug)]
pub struct Draft {
    row: Row,
    /// The words of both texts, where any gives way; else empty.
    words: [Vec<String>; 2],
    tokens: Tokens,
    masked: Vec<Masked>,
}

/// A masked word.
#[derive(Clone, Debug)]
struct Masked {
    /// Which of the texts, and which of its words.
    word: (usize, usize),
    /// Its place among the row's tokens, and its token there.
    place: u32,
    token: u32,
    /// Rank of the word that replaces it among the model's likeliest others.
    pick: usize,
}

/// The tokens of a draft with some of its masked words masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedTokens {
    /// Ids, special tokens included.
    pub input_ids: Vec<u32>,
    /// Of each word that is masked here, its place among the ids and its list in [`WholeWords::lists`].
    pub places: Vec<(u32, usize)>,
    /// Which of the draft's words they are.
    pub numbers: Vec<usize>,
}

impl AugmentSettings {
    /// The copies of `rows` with these numbers, without the words that a masked language model is to choose; those of a
    /// row follow each other. `block` are the rows to mix with, `rows` among them.
    ///
    /// # Errors
    /// [`TokenError::Encode`] with the row's index in `rows`; [`TokenError::Stopped`].
    pub fn drafts_of(
        &self,
        rows: &[Row],
        block: &[Row],
        like: &Neighbours,
        masker: Masker<'_>,
        numbers: RangeInclusive<u32>,
        seed: u64,
    ) -> Result<Vec<Vec<Draft>>, TokenError> {
        let of = |(index, row): (usize, &Row)| {
            let draft = |number| self.draft((index, row), block, like, masker, (number, seed)).transpose();
            numbers.clone().filter_map(draft).collect()
        };
        rows.par_iter().enumerate().map(of).collect()
    }

    fn draft(
        &self,
        (index, row): (usize, &Row),
        block: &[Row],
        like: &Neighbours,
        masker: Masker<'_>,
        (number, seed): (u32, u64),
    ) -> Result<Option<Draft>, TokenError> {
        let mut draws = Draws::new(seed, &row.id, number);
        for _ in 0..DRAWS {
            let (text, partner) = self.mixed(row, block, &mut draws);
            let text = self.noised(&text, &mut draws);
            let text_pair = row.text_pair.as_deref().map(|text| self.noised(text, &mut draws));
            let located = masker.tokenizer.locate(index, &text, text_pair.as_deref())?;
            let id = copy_id(&row.id, number, partner);
            let noised = Row { id, text, text_pair, label: None, ..row.clone() };
            let draft = self.replaced_draft(noised, located, like, masker.words, &mut draws);
            if !draft.masked.is_empty() || draft.differs_from(row) {
                return Ok(Some(draft));
            }
        }
        Ok(None)
    }

    /// Words masked or with like ones in their place.
    fn replaced_draft(
        &self,
        row: Row,
        located: Located,
        like: &Neighbours,
        known: &WholeWords,
        draws: &mut Draws,
    ) -> Draft {
        let Located { tokens, single } = located;
        let mut draft = Draft { row, words: [vec![], vec![]], tokens, masked: Vec::new() };
        for (text, single) in single.iter().enumerate() {
            let mut words: Vec<String> = draft.text(text).split_whitespace().map(str::to_owned).collect();
            let mut changed = false;
            for (number, word) in words.iter_mut().enumerate() {
                let token = single.get(number).copied().flatten().and_then(|place| {
                    let token = *draft.tokens.input_ids.get(place as usize)?;
                    known
                        .others(token)
                        .filter(|(_, others)| *others > 0)
                        .map(|(_, others)| (place, token, others))
                });
                let like = like.of(bare(word).1);
                if (token.is_none() && like.is_none()) || !draws.chance(self.replace) {
                    continue;
                }
                changed = true;
                if let Some((place, token, others)) = token {
                    let pick = draws.below(self.neighbours.min(others));
                    draft.masked.push(Masked { word: (text, number), place, token, pick });
                } else if let Some(like) = like {
                    *word = in_place_of(word, &like[draws.below(like.len())]);
                }
            }
            if changed {
                draft.words[text] = words;
            }
        }
        draft
    }
}

/// Another word with what stands around `word`.
fn in_place_of(word: &str, another: &str) -> String {
    let (before, core, behind) = bare(word);
    format!("{before}{}{behind}", written_as(another, core))
}

impl Draft {
    fn text(&self, which: usize) -> &str {
        [Some(self.row.text.as_str()), self.row.text_pair.as_deref()][which].unwrap_or_default()
    }

    fn differs_from(&self, row: &Row) -> bool {
        self.words.iter().any(|words| !words.is_empty())
            || (&self.row.text, &self.row.text_pair) != (&row.text, &row.text_pair)
    }

    /// Token types of [`MaskedTokens::input_ids`].
    pub fn token_type_ids(&self) -> &[u8] {
        &self.tokens.token_type_ids
    }

    /// The copy's row as far as it is known, for messages.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// What the model is to be asked: each masked word in one of these.
    pub fn questions(&self, known: &WholeWords) -> Vec<MaskedTokens> {
        let together = (self.tokens.input_ids.len() * MASKED_PERCENT / 100).max(1);
        let passes = self.masked.len().div_ceil(together);
        let question = |pass: usize| {
            let mut question =
                MaskedTokens { input_ids: self.tokens.input_ids.clone(), places: vec![], numbers: vec![] };
            // Every so many words, so that those masked together stand far from one another.
            for (number, masked) in self.masked.iter().enumerate().skip(pass).step_by(passes) {
                let Some((list, _)) = known.others(masked.token) else { continue };
                question.input_ids[masked.place as usize] = known.mask();
                question.places.push((masked.place, list));
                question.numbers.push(number);
            }
            question
        };
        (0..passes).map(question).collect()
    }

    /// Puts a word in the place of the masked word `number`: by `likeliest`, places in its list, the likeliest first,
    /// [`WholeWords::to_ask_for`] of them.
    pub fn answer(&mut self, number: usize, likeliest: &[u32], known: &WholeWords) {
        let Some(Masked { word: (text, place), token, pick, .. }) = self.masked.get(number) else { return };
        if let Some(another) = known.another(*token, likeliest, *pick)
            && let Some(word) = self.words[*text].get_mut(*place)
        {
            *word = in_place_of(word, another);
        }
    }

    /// The copy, unless it has become what `row` is.
    pub fn finished(mut self, row: &Row) -> Option<Row> {
        let [text, text_pair] = self.words;
        if !text.is_empty() {
            self.row.text = text.join(" ");
        }
        if !text_pair.is_empty() {
            self.row.text_pair = Some(text_pair.join(" "));
        }
        let same = (&self.row.text, &self.row.text_pair) == (&row.text, &row.text_pair);
        (!same).then_some(self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    use crate::augment::Origin;
    use crate::cache::id_hash;
    use crate::error::{At, Place};

    fn row(number: u64, id: &str, text: &str, text_pair: Option<&str>) -> Row {
        Row {
            row: number,
            id: id.to_owned(),
            text: text.to_owned(),
            text_pair: text_pair.map(str::to_owned),
            tokens: None,
            label: None,
            place: Place { file: Path::new("rows.jsonl").into(), at: At::Line(1) },
        }
    }

    fn tokenizer() -> TextTokenizer {
        TextTokenizer::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tiny-bert"), 64).unwrap()
    }

    fn settings(copies: u32) -> AugmentSettings {
        AugmentSettings { copies, delete: 0.0, swap: 0.0, replace: 1.0, neighbours: 3, ..Default::default() }
    }

    /// Copies as a model would have them that thinks the first words of the vocabulary the likeliest.
    fn copies(settings: &AugmentSettings, rows: &[Row], like: &Neighbours) -> Vec<Vec<Row>> {
        let (tokenizer, words) = (tokenizer(), tokenizer().whole_words().unwrap());
        let masker = Masker { tokenizer: &tokenizer, words: &words };
        let numbers = 1..=settings.copies;
        let drafts = settings.drafts_of(rows, rows, like, masker, numbers, 7).unwrap();
        let likeliest: Vec<u32> = (0..words.to_ask_for(settings.neighbours) as u32).collect();
        let finish = |row: &Row, mut draft: Draft| {
            for question in draft.questions(&words) {
                assert_eq!(
                    question.input_ids.iter().filter(|id| **id == words.mask()).count(),
                    question.places.len()
                );
                question.numbers.iter().for_each(|number| draft.answer(*number, &likeliest, &words));
            }
            draft.finished(row)
        };
        let of = |(row, drafts): (&Row, Vec<Draft>)| {
            drafts.into_iter().filter_map(|draft| finish(row, draft)).collect()
        };
        rows.iter().zip(drafts).map(of).collect()
    }

    /// The vocabulary's words begin with what, is, the, capital.
    #[test]
    fn words_of_one_token_are_masked_and_others_give_way_to_like_ones() {
        let like = Neighbours([("denver".to_owned(), vec!["london".to_owned()])].into());
        let rows = [row(0, "a", "(What) is in Denver?", Some("unknown, the")), row(1, "b", "unknown", None)];
        let copies = copies(&settings(20), &rows, &like);
        assert!(copies[1].is_empty(), "nothing of it can be replaced: {:?}", copies[1]);
        assert_eq!(copies[0].len(), 20);
        let mut seen: [BTreeSet<String>; 4] = Default::default();
        for copy in &copies[0] {
            let words: Vec<&str> = copy.text.split(' ').collect();
            assert_eq!(words[3], "London?");
            let pair = copy.text_pair.as_deref().unwrap().strip_prefix("unknown, ").unwrap();
            for (seen, word) in seen.iter_mut().zip([words[0], words[1], words[2], pair]) {
                seen.insert(word.to_owned());
            }
        }
        // The likeliest three that are not the word itself.
        let expected = [
            ["(Capital)", "(Is)", "(The)"],
            ["capital", "the", "what"],
            ["is", "the", "what"],
            ["capital", "is", "what"],
        ];
        assert_eq!(seen.map(|words| words.into_iter().collect::<Vec<_>>()), expected);
    }

    #[test]
    fn as_many_words_are_masked_together_as_the_models_know_and_each_once() {
        let (tokenizer, words) = (tokenizer(), tokenizer().whole_words().unwrap());
        let masker = Masker { tokenizer: &tokenizer, words: &words };
        let rows = [row(0, "a", "what is the capital", None), row(1, "b", &"how far is it ".repeat(9), None)];
        let drafts = settings(1).drafts_of(&rows, &rows, &Neighbours::default(), masker, 1..=1, 7).unwrap();
        for (drafts, (words_masked, together)) in drafts.iter().zip([(4usize, 1), (36, 5)]) {
            let questions = drafts[0].questions(&words);
            assert!(questions.iter().all(|question| (1..=together).contains(&question.numbers.len())));
            assert_eq!(questions.len(), words_masked.div_ceil(together));
            let mut numbers: Vec<usize> =
                questions.iter().flat_map(|question| question.numbers.clone()).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..words_masked).collect::<Vec<_>>());
            for question in &questions {
                assert_eq!(question.input_ids.len(), drafts[0].token_type_ids().len());
            }
        }
        let mixed = AugmentSettings { mix: 1.0, ..settings(1) };
        let drafts = mixed.drafts_of(&rows, &rows, &Neighbours::default(), masker, 1..=1, 7).unwrap();
        for (drafts, (own, partner)) in drafts.iter().zip([("a", "b"), ("b", "a")]) {
            let origin = Origin { id: own, partner_hash: Some(id_hash(partner)) };
            assert_eq!(Origin::of(&drafts[0].row().id), origin);
        }
        // Nor does a copy depend on the other rows of its block.
        let alone = copies(&settings(1), &rows[1..], &Neighbours::default());
        assert_eq!(alone[0], copies(&settings(1), &rows, &Neighbours::default())[1]);
    }
}
