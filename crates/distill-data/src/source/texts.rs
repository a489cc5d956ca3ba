//! Texts without labels, from rows of any kind or from plain text: what a vocabulary is made of.

use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_task::{Positions, TaskId};

use super::plain_text::PlainText;
use super::{Columns, Source};
use crate::error::{DataError, Place};

/// The texts of one row or line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRow {
    /// The text, or the words of a row of words with spaces between them.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The words of a row of words.
    pub words: Option<Vec<String>>,
    /// File, and line or row.
    pub place: Place,
}

/// A file or directory that texts are read from as often as needed.
#[derive(Clone, Debug)]
pub struct Texts {
    from: From,
    stop: StopSignal,
}

#[derive(Clone, Debug)]
enum From {
    Rows(Box<Source>),
    Plain { path: PathBuf, expected: Option<String> },
}

/// Texts in the order of their source. The stream ends after the first error.
pub type TextRows = Box<dyn Iterator<Item = Result<TextRow, DataError>>>;

impl Texts {
    /// Opens rows as [`Source::open`] does, of the task that their columns speak of, or of `task`. A `.txt` file is plain
    /// text, unless `task` has words.
    ///
    /// # Errors
    /// Those of [`Source::open`] and [`Source::suggested_task`].
    pub fn open(
        path: &Path,
        columns: &Columns,
        task: Option<TaskId>,
        delimiter: Option<u8>,
        stop: &StopSignal,
    ) -> Result<Self, DataError> {
        let stop = stop.clone();
        if PlainText::is(path) && path.is_file() && task.is_none_or(|task| task.positions() != Positions::Word)
        {
            return Ok(Texts { from: From::Plain { path: path.to_owned(), expected: None }, stop });
        }
        let source = Source::open(path, columns)?.delimited_by(delimiter).stopped_by(&stop);
        let task = task.map_or_else(|| source.suggested_task(), |task| Ok(Some(task)))?;
        let source = source.labelled(task.unwrap_or_default()).without_labels();
        Ok(Texts { from: From::Rows(Box::new(source)), stop })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        match &self.from {
            From::Rows(source) => source.path(),
            From::Plain { path, .. } => path,
        }
    }

    /// blake3 of the content, as [`Source::hash`].
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Stopped`].
    pub fn hash(&self) -> Result<String, DataError> {
        match &self.from {
            From::Rows(source) => source.hash(),
            From::Plain { path, .. } => PlainText::hash_of(path, &self.stop),
        }
    }

    /// The same texts, which end with [`DataError::Changed`] unless what was read has this hash.
    pub fn holding(self, hash: &str) -> Self {
        let from = match self.from {
            From::Rows(source) => From::Rows(Box::new(source.holding(hash))),
            From::Plain { path, .. } => From::Plain { path, expected: Some(hash.to_owned()) },
        };
        Texts { from, ..self }
    }

    /// A stream over all texts.
    ///
    /// # Errors
    /// Those of opening the first file; all others come out of the stream.
    pub fn rows(&self) -> Result<TextRows, DataError> {
        Ok(match &self.from {
            From::Rows(source) => Box::new(source.rows()?.map(|row| {
                let row = row?;
                let (text, text_pair) = (row.text, row.text_pair);
                Ok(TextRow { text, text_pair, words: row.tokens, place: row.place })
            })),
            From::Plain { path, expected } => {
                let lines = PlainText::open(path, &self.stop)?;
                let lines = match expected {
                    Some(hash) => lines.holding(hash),
                    None => lines,
                };
                Box::new(lines.map(|line| {
                    let line = line?;
                    Ok(TextRow { text: line.text, text_pair: None, words: None, place: line.place })
                }))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::word_tests::file;
    use super::*;

    type Found = Vec<(String, Option<String>, Option<Vec<String>>)>;

    fn texts(name: &str, bytes: &str, task: Option<TaskId>) -> Result<Found, String> {
        let (_directory, path) = file(name, bytes.as_bytes());
        let open = || {
            let texts = Texts::open(&path, &Columns::default(), task, None, &StopSignal::default())?;
            let hash = texts.hash()?;
            let rows = texts.holding(&hash).rows()?;
            rows.map(|row| row.map(|row| (row.text, row.text_pair, row.words))).collect::<Result<_, _>>()
        };
        open().map_err(|error: DataError| error.to_string())
    }

    #[test]
    fn every_kind_of_rows_gives_its_texts_whatever_its_labels_are() {
        let one = |text: &str| vec![(text.to_owned(), None, None)];
        let pair = |left: &str, right: &str| vec![(left.to_owned(), Some(right.to_owned()), None)];
        let words = vec![("a b".to_owned(), None, Some(vec!["a".to_owned(), "b".to_owned()]))];
        assert_eq!(texts("a.txt", "a b\n", None).unwrap(), one("a b"));
        assert_eq!(texts("a.csv", "text,label\na b,x\n", None).unwrap(), one("a b"));
        assert_eq!(texts("a.tsv", "text\ttext_pair\na\tb\n", None).unwrap(), pair("a", "b"));
        assert_eq!(texts("a.jsonl", r#"{"text": "a b", "label": [1, "x"]}"#, None).unwrap(), one("a b"));
        assert_eq!(texts("a.jsonl", r#"{"tokens": ["a", "b"], "tags": ["O", "O"]}"#, None).unwrap(), words);
        assert_eq!(texts("a.conll", "a O\nb O\n", None).unwrap(), words);
        assert_eq!(texts("a.txt", "a O\nb O\n", Some(TaskId::TOKEN_CLASSIFICATION)).unwrap(), words);
        let squad = r#"{"data": [{"paragraphs": [{"context": "b", "qas": [{"id": "1", "question": "a"}]}]}]}"#;
        assert_eq!(texts("a.json", squad, None).unwrap(), pair("a", "b"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(texts("a.txt", "\n", None).unwrap_err().contains("has no rows"));
        assert!(texts("a.xyz", "a", None).unwrap_err().contains("must end in"));
        assert!(texts("a.csv", "words\na\n", None).unwrap_err().contains("no column \"text\""));
    }
}
