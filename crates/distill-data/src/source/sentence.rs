//! A row of words, as readers gather it.

use distill_core::text::counted;

use super::found::Found;
use super::labels::RawLabel;
use super::lines::MAX_LINE;
use super::row::RawRow;
use crate::error::Place;

/// More words than any sentence or document that a model reads: beyond it a file is taken for damaged.
pub(super) const MAX_WORDS: usize = 1 << 16;

/// Words and tags of one row.
#[derive(Debug, Default)]
pub(super) struct Sentence {
    place: Option<Place>,
    words: Vec<String>,
    tags: Vec<Option<RawLabel>>,
    bytes: usize,
}

impl Sentence {
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Takes a word and its tag. The place of the first is that of the row.
    ///
    /// # Errors
    /// What is wrong with the word.
    pub(super) fn push(
        &mut self,
        place: &Place,
        word: String,
        tag: Option<Option<RawLabel>>,
    ) -> Result<(), String> {
        if word.is_empty() {
            return Err("an empty word".to_owned());
        }
        self.bytes += word.len() + 1;
        check_size(self.words.len() + 1, self.bytes)?;
        self.place.get_or_insert_with(|| place.clone());
        self.words.push(word);
        self.tags.push(tag.flatten());
        Ok(())
    }

    /// The row; none without words. `tagged`: its words can have tags.
    pub(super) fn into_row(self, tagged: bool) -> Option<RawRow> {
        let label = tagged.then_some(self.tags).and_then(of_tags);
        let (id, text_pair) = (None, None);
        Some(RawRow {
            id,
            text: joined(&self.words),
            text_pair,
            tokens: Some(self.words),
            label,
            place: self.place?,
        })
        .filter(|row| row.tokens.as_ref().is_some_and(|words| !words.is_empty()))
    }
}

/// Tags as a label; none where no word has one.
pub(super) fn of_tags(tags: Vec<Option<RawLabel>>) -> Option<Found> {
    tags.iter().any(Option::is_some).then_some(Found::Tags(tags))
}

/// A class as a tag: -100 stands for none, as in `transformers` and `datasets`.
pub(super) fn of_tag(class: Option<RawLabel>) -> Option<RawLabel> {
    class.filter(|class| *class != RawLabel::Id(-100))
}

/// The text of a list of words, and the words.
///
/// # Errors
/// Where there is no word, or there are more than any row has.
pub(super) fn words_of_row(words: Vec<String>) -> Result<(String, Vec<String>), String> {
    if words.is_empty() {
        return Err("a row without words".to_owned());
    }
    check_size(words.len(), words.iter().map(|word| word.len() + 1).sum())?;
    Ok((joined(&words), words))
}

/// Refuses a list of tags that is not as long as that of the words.
pub(super) fn a_tag_a_word(label: Option<Found>, words: Option<&[String]>) -> Result<Option<Found>, String> {
    match (&label, words) {
        (Some(Found::Tags(tags)), Some(words)) if tags.len() != words.len() => {
            Err(format!("{} for {}", counted(tags.len(), "tag"), counted(words.len(), "word")))
        }
        _ => Ok(label),
    }
}

/// The text of words, which people are shown and character offsets count in.
pub(super) fn joined(words: &[String]) -> String {
    words.join(" ")
}

/// Words and bytes of a row.
///
/// # Errors
/// Where there are more than any row has.
pub(super) fn check_size(words: usize, bytes: usize) -> Result<(), String> {
    if words > MAX_WORDS {
        return Err(format!("the row has more than {MAX_WORDS} words; a blank line ends a sentence"));
    }
    if bytes > MAX_LINE {
        return Err("the words of the row have more than 64 MiB".to_owned());
    }
    Ok(())
}
