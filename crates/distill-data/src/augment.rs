//! More rows for a teacher to label: words left out, exchanged, replaced by like ones, and halves of two rows
//! put together.
//!
//! A copy depends on the seed, the row's id and the number of the copy alone; its partner in a mixture also on
//! the other rows of its block, and stands in its id, so that a mixture with a validation row is not trained on. Copies carry no
//! label: what they mean is for the teacher to say.
//!
//! Sources: replacement, after Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, algorithm 1, with the nearest
//! neighbours among a model's own word vectors, and in [`drafts`] with a masked language model; deletion and swap, Wei & Zou 2019, arXiv:1901.11196; halves of
//! two rows, after Yoon et al. 2021, arXiv:2106.08062, with places chosen at random; all three for distillation
//! as Tang et al. 2019, arXiv:1903.12136, section 3.3.

pub mod drafts;
mod draws;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use drafts::{Draft, MaskedTokens, Masker};
use draws::Draws;

use crate::cache::id_hash;
use crate::source::Row;

/// Stands between a row's id and the number of a copy.
const MARK: &str = "#aug";
/// Stands between that number and [`id_hash`] of a mixture's partner (its original's, of a copy), in hexadecimal digits.
const MIX: &str = "#mix";
/// Draws of a copy that comes out as its row did, before it is left out.
const DRAWS: usize = 4;

/// Copies of a row at most: more than a few hundred teach nothing new.
pub const MOST_COPIES: u32 = 1000;

/// How copies of rows are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Copies of each row, at most [`MOST_COPIES`]; 0: none.
    pub copies: u32,
    /// Probability with which a word is left out.
    pub delete: f64,
    /// Exchanges of two words, as a share of the words.
    pub swap: f64,
    /// Probability with which a copy's second half is that of another row.
    pub mix: f64,
    /// Probability with which a word is replaced by one of its nearest neighbours, or by the masked model.
    pub replace: f64,
    /// How many neighbours of a word, or of the masked model's likeliest words, are chosen from.
    pub neighbours: usize,
    /// Hugging Face directory of a masked language model that says what may stand in a word's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_model: Option<PathBuf>,
    /// Further rows, whose labels are not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<PathBuf>,
}

/// Like words of words; empty where nothing is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours(pub BTreeMap<String, Vec<String>>);

impl Neighbours {
    /// Those of a word as it is written, else in small letters.
    fn of(&self, word: &str) -> Option<&Vec<String>> {
        let found = self.0.get(word).or_else(|| self.0.get(&word.to_lowercase()));
        found.filter(|like| !like.is_empty())
    }
}

/// A word of a text without the punctuation around it: what stands before it, the word, what stands behind it.
pub fn bare(word: &str) -> (&str, &str, &str) {
    let start = word.find(char::is_alphanumeric).unwrap_or(word.len());
    let end = word
        .rfind(char::is_alphanumeric)
        .map_or(start, |last| last + word[last..].chars().next().map_or(0, char::len_utf8));
    (&word[..start], &word[start..end], &word[end..])
}

impl Default for AugmentSettings {
    fn default() -> Self {
        AugmentSettings {
            copies: 0,
            delete: 0.1,
            swap: 0.1,
            mix: 0.0,
            replace: 0.0,
            neighbours: 15,
            masked_model: None,
            unlabelled: None,
        }
    }
}

impl AugmentSettings {
    /// Whether the result has more rows than it is made of.
    pub fn adds_rows(&self) -> bool {
        self.copies > 0 || self.unlabelled.is_some()
    }

    /// The first setting that makes no sense: its name, its value, and what is expected.
    pub fn problem(&self) -> Option<(&'static str, f64, &'static str)> {
        let shares =
            [("delete", self.delete), ("swap", self.swap), ("mix", self.mix), ("replace", self.replace)];
        let outside = shares.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value));
        if let Some((name, value)) = outside {
            return Some((name, value, "from 0 to 1"));
        }
        if self.copies > MOST_COPIES {
            return Some(("copies", f64::from(self.copies), "at most 1000"));
        }
        let nothing = self.copies > 0 && shares.iter().all(|(_, value)| *value == 0.0);
        if nothing {
            return Some(("delete, swap, mix and replace", 0.0, "above 0, at least one of them"));
        }
        (self.neighbours == 0).then_some(("neighbours", 0.0, "at least 1"))
    }

    /// The copies of rows of one block, without label, each row's behind one another.
    pub fn copies_of(&self, rows: &[Row], like: &Neighbours, seed: u64) -> Vec<Vec<Row>> {
        rows.iter().map(|row| self.copies_of_one(row, rows, like, seed).collect()).collect()
    }

    /// The copies of a row of `rows`, made one by one: all copies of a long row need not fit into memory.
    pub fn copies_of_one(
        &self,
        row: &Row,
        rows: &[Row],
        like: &Neighbours,
        seed: u64,
    ) -> impl Iterator<Item = Row> {
        (1..=self.copies).filter_map(move |number| self.copy(row, rows, like, number, seed))
    }

    fn copy(&self, row: &Row, block: &[Row], like: &Neighbours, number: u32, seed: u64) -> Option<Row> {
        let mut draws = Draws::new(seed, &row.id, number);
        for _ in 0..DRAWS {
            let (text, partner) = self.mixed(row, block, &mut draws);
            let mut noised = |text: &str| self.replaced(&self.noised(text, &mut draws), like, &mut draws);
            let text = noised(&text);
            let text_pair = row.text_pair.as_deref().map(noised);
            if text != row.text || text_pair != row.text_pair {
                let id = copy_id(&row.id, number, partner);
                return Some(Row { id, text, text_pair, label: None, ..row.clone() });
            }
        }
        None
    }

    /// A row's text, or its first half before the second of another's, with which one that is. `block` are rows in the
    /// order of their source, `row` among them.
    fn mixed<'a>(&self, row: &Row, block: &'a [Row], draws: &mut Draws) -> (String, Option<&'a str>) {
        if draws.chance(self.mix) && block.len() > 1 {
            let own = block.partition_point(|other| other.row < row.row);
            let drawn = draws.below(block.len() - 1);
            let partner = &block[drawn + usize::from(drawn >= own)];
            return (halves(&row.text, &partner.text), Some(&partner.id));
        }
        (row.text.clone(), None)
    }

    /// Words with like ones in their place; what stands around a word stays.
    fn replaced(&self, text: &str, like: &Neighbours, draws: &mut Draws) -> String {
        if self.replace == 0.0 {
            return text.to_owned();
        }
        let mut changed = false;
        let words = text.split_whitespace().map(|word| {
            let (before, core, behind) = bare(word);
            match like.of(core).filter(|_| draws.chance(self.replace)) {
                None => word.to_owned(),
                Some(like) => {
                    changed = true;
                    format!("{before}{}{behind}", written_as(&like[draws.below(like.len())], core))
                }
            }
        });
        let words: Vec<String> = words.collect();
        if changed { words.join(" ") } else { text.to_owned() }
    }

    fn noised(&self, text: &str, draws: &mut Draws) -> String {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.len() < 2 {
            return text.to_owned();
        }
        let exchanges = (self.swap * words.len() as f64).round() as usize;
        for _ in 0..exchanges {
            let (one, two) = (draws.below(words.len()), draws.below(words.len()));
            words.swap(one, two);
        }
        let spared = draws.below(words.len());
        let kept: Vec<&str> = words
            .iter()
            .enumerate()
            .filter(|(place, _)| !draws.chance(self.delete) || *place == spared)
            .map(|(_, word)| *word)
            .collect();
        if exchanges == 0 && kept.len() == words.len() { text.to_owned() } else { kept.join(" ") }
    }
}

/// A word with a capital where `like` has one.
fn written_as(word: &str, like: &str) -> String {
    let mut letters = word.chars();
    match (like.chars().next().is_some_and(char::is_uppercase), letters.next()) {
        (true, Some(first)) => first.to_uppercase().chain(letters).collect(),
        _ => word.to_owned(),
    }
}

/// The first half of one text's words and the second half of another's.
fn halves(first: &str, second: &str) -> String {
    let (first, second): (Vec<&str>, Vec<&str>) =
        (first.split_whitespace().collect(), second.split_whitespace().collect());
    [&first[..first.len().div_ceil(2)], &second[second.len() / 2..]].concat().join(" ")
}

fn copy_id(id: &str, number: u32, partner: Option<&str>) -> String {
    let partner =
        partner.map_or(String::new(), |partner| format!("{MIX}{:016x}", id_hash(Origin::of(partner).id)));
    format!("{id}{MARK}{number}{partner}")
}

/// What the id of a row says of where its texts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The id of the row that it was made of; a row that is no copy is its own.
    pub id: &'a str,
    /// [`id_hash`] of the row whose half it ends with, of a mixture.
    pub partner_hash: Option<u64>,
}

impl<'a> Origin<'a> {
    /// Reads an id.
    pub fn of(id: &'a str) -> Self {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let mixture = id.rsplit_once(MIX).and_then(|(copy, hash)| {
            let hexadecimal = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            hexadecimal.then(|| u64::from_str_radix(hash, 16).ok().map(|hash| (copy, hash))).flatten()
        });
        let (copy, partner_hash) = mixture.map_or((id, None), |(copy, hash)| (copy, Some(hash)));
        match copy.rsplit_once(MARK) {
            Some((original, number)) if digits(number) => Origin { id: original, partner_hash },
            _ => Origin { id, partner_hash: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::error::{At, Place};
    use crate::source::{Label, RawLabel};

    fn row(number: u64, id: &str, text: &str) -> Row {
        Row {
            row: number,
            id: id.to_owned(),
            text: text.to_owned(),
            text_pair: None,
            tokens: None,
            label: Some(Label::Class(RawLabel::Id(1))),
            place: Place { file: Path::new("rows.jsonl").into(), at: At::Line(1) },
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            row(0, "a", "one two three four five six"),
            row(1, "b", "seven eight nine ten"),
            row(2, "c", "word"),
        ]
    }

    #[test]
    fn copies_have_no_label_keep_their_rows_words_and_repeat() {
        let settings = AugmentSettings { copies: 3, delete: 0.3, swap: 0.2, ..AugmentSettings::default() };
        let none = Neighbours::default();
        let copies = settings.copies_of(&rows(), &none, 7);
        assert_eq!(copies, settings.copies_of(&rows(), &none, 7));
        assert_ne!(copies, settings.copies_of(&rows(), &none, 8));
        assert!(copies[2].is_empty(), "a word alone has no copy: {:?}", copies[2]);
        for (row, copies) in rows().iter().zip(&copies[..2]) {
            assert!(!copies.is_empty());
            for copy in copies {
                assert!(copy.label.is_none() && copy.text != row.text && !copy.text.is_empty());
                assert!(copy.text.split(' ').all(|word| row.text.contains(word)), "{}", copy.text);
                assert_eq!(Origin::of(&copy.id), Origin { id: &row.id, partner_hash: None });
            }
        }
        // A row's copies do not depend on the other rows of its block.
        assert_eq!(settings.copies_of(&rows()[..1], &none, 7)[0], copies[0]);
    }

    #[test]
    fn a_mixture_has_the_first_half_of_its_row() {
        assert_eq!(halves("one two three", "four five six"), "one two five six");
        let settings =
            AugmentSettings { copies: 1, delete: 0.0, swap: 0.0, mix: 1.0, ..AugmentSettings::default() };
        let copies = settings.copies_of(&rows(), &Neighbours::default(), 1);
        assert!(copies[0].iter().all(|copy| copy.text.starts_with("one two three")));
    }

    #[test]
    fn a_mixture_names_its_partner_which_is_any_row_but_its_own() {
        let settings =
            AugmentSettings { copies: 200, delete: 0.0, swap: 0.0, mix: 1.0, ..AugmentSettings::default() };
        let rows = rows();
        let copies = settings.copies_of(&rows, &Neighbours::default(), 1);
        for (row, copies) in rows.iter().zip(&copies) {
            let others: Vec<_> = rows.iter().filter(|other| other.id != row.id).collect();
            let mut seen = vec![0; others.len()];
            for copy in copies {
                let Origin { id, partner_hash } = Origin::of(&copy.id);
                let partner = others.iter().position(|other| Some(id_hash(&other.id)) == partner_hash).unwrap();
                assert_eq!((id, &copy.text), (row.id.as_str(), &halves(&row.text, &others[partner].text)));
                seen[partner] += 1;
            }
            assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        }
        // A row alone has nobody to be mixed with.
        assert!(settings.copies_of(&rows[..1], &Neighbours::default(), 1)[0].is_empty());
    }

    #[test]
    fn words_give_way_to_like_ones_and_keep_what_stands_around_them() {
        let like = [("two", vec!["second", "both"]), ("four", vec!["fourth"])];
        let like = like.map(|(word, like)| (word.to_owned(), like.into_iter().map(str::to_owned).collect()));
        let like = Neighbours(like.into());
        let settings =
            AugmentSettings { copies: 4, delete: 0.0, swap: 0.0, replace: 1.0, ..AugmentSettings::default() };
        let copies = settings.copies_of(&[row(0, "a", "(Two), three four?")], &like, 1);
        let mut texts: Vec<&str> = copies[0].iter().map(|copy| copy.text.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts, ["(Both), three fourth?", "(Second), three fourth?"]);
        assert!(settings.copies_of(&[row(0, "a", "nothing known")], &like, 1)[0].is_empty());
        assert_eq!(
            (bare("«été»,"), bare("..."), bare("x")),
            (("«", "été", "»,"), ("...", "", ""), ("", "x", ""))
        );
    }

    #[test]
    fn ids_lead_back_to_their_row() {
        for (id, original, partner_hash) in [
            ("a#aug12", "a", None),
            ("a#aug1#mix000000000000001f", "a", Some(31)),
            ("a#aug", "a#aug", None),
            ("a#augx", "a#augx", None),
            ("#aug1", "", None),
            ("7", "7", None),
            ("a#mix000000000000001f", "a#mix000000000000001f", None),
            ("a#aug1#mix1f", "a#aug1#mix1f", None),
            ("a#aug1#mix+00000000000001f", "a#aug1#mix+00000000000001f", None),
        ] {
            assert_eq!(Origin::of(id), Origin { id: original, partner_hash });
        }
        let of_copies = Origin { id: "a#aug1", partner_hash: Some(id_hash("b")) };
        assert_eq!(Origin::of(&copy_id("a#aug1", 2, Some("b#aug3"))), of_copies);
    }

    #[test]
    fn settings_that_make_no_copies_are_named() {
        let base = AugmentSettings { copies: 1, ..AugmentSettings::default() };
        assert_eq!(base.problem(), None);
        assert_eq!(AugmentSettings { delete: 1.5, ..base.clone() }.problem().unwrap().0, "delete");
        assert!(AugmentSettings { delete: 0.0, swap: 0.0, ..base.clone() }.problem().is_some());
        assert_eq!(AugmentSettings { delete: 0.0, replace: 0.1, ..base.clone() }.problem(), None);
        assert_eq!(AugmentSettings { neighbours: 0, ..base }.problem().unwrap().0, "neighbours");
    }
}
