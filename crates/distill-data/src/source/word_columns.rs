//! Rows of words from files with a word a line and its tags in columns, as the CoNLL shared tasks have them: a blank line
//! ends a sentence, `-DOCSTART-` a document.
//!
//! Source: the data of CoNLL-2000, -2002 and -2003. No standard says which column is what, so what is taken for what is
//! said: the first column has the words, the last one the tags, unless they are named by their numbers from 1.

use std::path::Path;
use std::sync::Arc;

use distill_core::text::counted;

use super::columns::{Columns, Role};
use super::found::Ask;
use super::labels::RawLabel;
use super::lines::Lines;
use super::note::Note;
use super::row::RawRow;
use super::sentence::Sentence;
use super::watch::SharedHasher;
use crate::error::{DataError, Place};

/// The first column of the line that begins a document.
const DOCUMENT: &str = "-DOCSTART-";
/// More columns than any file of words has.
const MAX_COLUMNS: usize = 1 << 10;
/// Some old programs end lines this way: the whole file would be one line, and its words columns of it.
const BARE_RETURN: &str =
    "a carriage return without a line feed; lines must end with a line feed (LF or CR LF)";

/// Streams the sentences of a file of columns.
pub(super) struct WordColumns {
    lines: Lines,
    layout: Option<Layout>,
    ask: Ask,
    file: Arc<Path>,
    pub(super) notes: Vec<Note>,
    is_first: bool,
}

/// How the lines of a file are read: as its first line of words has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Whether tabs separate columns; else white space does.
    tabs: bool,
    columns: usize,
    word: usize,
    tag: Option<usize>,
    /// Whether the user said which column has the words.
    is_told: bool,
}

impl WordColumns {
    pub(super) fn open(
        path: &Arc<Path>,
        columns: &Columns,
        ask: Ask,
        hasher: Option<SharedHasher>,
    ) -> Result<Self, DataError> {
        let layout = Layout::of(path, columns)?;
        let lines = Lines::open_hashed(path, hasher)?;
        let notes = layout.iter().map(|layout| layout.note(path)).collect();
        Ok(WordColumns { lines, layout, ask, file: Arc::clone(path), notes, is_first: true })
    }

    /// The next sentence.
    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        let mut sentence = Sentence::default();
        while let Some(line) = self.lines.next_any_line()? {
            let Some(layout) = self.layout.filter(|_| !line.trim_ascii().is_empty()) else {
                if sentence.is_empty() { continue } else { break }
            };
            if has_bare_return(line) {
                return Err(DataError::record(&self.lines.place(), BARE_RETURN));
            }
            let fields = layout.split(line);
            if fields.first() == Some(&DOCUMENT) {
                if sentence.is_empty() { continue } else { break }
            }
            if fields.len() != layout.columns {
                if line.starts_with('#') && sentence.is_empty() {
                    continue;
                }
                let (found, ends) = (counted(fields.len(), "column"), layout.tab_at_the_end(line));
                let what = format!("{found}{ends}, the first line with a word has {}", layout.columns);
                return Err(DataError::record(&self.lines.place(), what));
            }
            let (word, tag) = (fields[layout.word].to_owned(), layout.tag.map(|tag| fields[tag].to_owned()));
            let place = self.lines.place();
            let tag = tag.map(|tag| tag_of(&tag, self.ask)).transpose();
            let tag = tag.map_err(|what| column_error(&place, layout.tag, what))?;
            sentence.push(&place, word, tag).map_err(|what| column_error(&place, Some(layout.word), what))?;
        }
        let Some(row) = sentence.into_row(self.layout.is_some_and(|layout| layout.tag.is_some())) else {
            return Ok(None);
        };
        if std::mem::take(&mut self.is_first) {
            self.check_numbers(&row)?;
        }
        Ok(Some(row))
    }

    /// Refuses a file whose first column numbers the words: it would be read as words.
    fn check_numbers(&self, row: &RawRow) -> Result<(), DataError> {
        let words = row.tokens.as_deref().unwrap_or_default();
        let numbered = words.iter().zip(1..).all(|(word, number)| word.parse() == Ok::<usize, _>(number));
        if self.layout.is_some_and(|layout| layout.is_told) || words.len() < 2 || !numbered {
            return Ok(());
        }
        let what = "its column 1 can be read as words or as the numbers of the words; name the column of the words, such as \
                    tokens = \"2\" under [data.columns] (\"1\" where these are the words)";
        Err(DataError::Unsupported { file: self.file.to_path_buf(), what: what.to_owned() })
    }
}

/// Whether a line, which has lost its end, contains another one.
fn has_bare_return(line: &str) -> bool {
    line.contains('\r')
}

/// Whether the last column has the tags, and the first word none, or there is a tab too many, is not known.
fn tab_at_the_end(path: &Path, columns: usize) -> DataError {
    let before = columns - 1;
    let what = format!(
        "its first line with a word ends with a tab: the tags can be in column {columns}, which is empty there, or in column \
         {before} (no tags, where that has the words); name the column of the tags, such as tags = \"{before}\" under \
         [data.columns] (tags = \"none\": no tags), or remove the tab"
    );
    DataError::Unsupported { file: path.to_path_buf(), what }
}

fn column_error(place: &Place, column: Option<usize>, what: String) -> DataError {
    DataError::value(place, &column.map_or(0, |column| column + 1).to_string(), what)
}

/// A tag; none where it is empty.
pub(super) fn tag_of(tag: &str, ask: Ask) -> Result<Option<RawLabel>, String> {
    RawLabel::from_name(tag, ask.label_type)
}

impl Layout {
    /// That of a file; none where it has no line with a word.
    fn of(path: &Arc<Path>, columns: &Columns) -> Result<Option<Self>, DataError> {
        let Some(line) = first_line(path)? else { return Ok(None) };
        if has_bare_return(&line) {
            let what = format!("contains {BARE_RETURN}");
            return Err(DataError::Unsupported { file: path.to_path_buf(), what });
        }
        let tabs = line.contains('\t');
        let count = split(&line, tabs).len();
        if count > MAX_COLUMNS {
            let what = format!("more than {MAX_COLUMNS} columns, so it is not a file of words");
            return Err(DataError::Unsupported { file: path.to_path_buf(), what });
        }
        let known: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
        let place = |role: Role| -> Result<Option<usize>, DataError> {
            let Some(name) = columns.named(role) else { return Ok(None) };
            match known.iter().position(|known| known == name.trim()) {
                Some(place) => Ok(Some(place)),
                None => Err(DataError::missing_column(path, name, columns.word(role), &known)),
            }
        };
        let told = place(Role::Text)?;
        let word = told.unwrap_or(0);
        let told_tag = if columns.label_is_off() { None } else { place(Role::Label)? };
        if tabs && told_tag.is_none() && !columns.label_is_off() && line.ends_with('\t') {
            return Err(tab_at_the_end(path, count));
        }
        let tag = match columns.label_is_off() {
            true => None,
            false => told_tag.or_else(|| (0..count).rev().find(|column| *column != word)),
        };
        if tag == Some(word) {
            let what = format!("column {} is to have the words and the tags", word + 1);
            return Err(DataError::Unsupported { file: path.to_path_buf(), what });
        }
        Ok(Some(Layout { tabs, columns: count, word, tag, is_told: told.is_some() }))
    }

    /// What to say of a line whose last column is empty.
    fn tab_at_the_end(self, line: &str) -> &'static str {
        if self.tabs && line.ends_with('\t') {
            " (the last one, after the tab at its end, is empty)"
        } else {
            ""
        }
    }

    fn split(self, line: &str) -> Vec<&str> {
        split(line, self.tabs)
    }

    fn note(self, path: &Path) -> Note {
        let tags = match self.tag {
            Some(tag) => format!("column {} as the tags", tag + 1),
            None => "no column as tags".to_owned(),
        };
        Note::said(format!(
            "{}: of {} columns, column {} is read as the words and {tags}",
            path.display(),
            self.columns,
            self.word + 1
        ))
    }
}

/// The first line with a word that is no comment for certain; a comment where there is nothing else.
fn first_line(path: &Arc<Path>) -> Result<Option<String>, DataError> {
    let mut lines = Lines::open(path)?;
    let mut comment = None;
    while let Some(line) = lines.next_line()? {
        match line.starts_with('#') {
            true => comment = comment.or_else(|| Some(line.to_owned())),
            false if line.split_ascii_whitespace().next() == Some(DOCUMENT) => {}
            false => return Ok(Some(line.to_owned())),
        }
    }
    Ok(comment)
}

/// The fields of a line. Other white space than spaces and tabs may be part of a word.
fn split(line: &str, tabs: bool) -> Vec<&str> {
    match tabs {
        true => line.split('\t').map(|field| field.trim_matches(' ')).collect(),
        false => line.split([' ', '\t']).filter(|field| !field.is_empty()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::word_tests::{file, rows};
    use super::*;

    const TEXT: &str =
        "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\n\n# SYM I-NP O\n1 CD I-NP O\n";

    #[test]
    fn a_blank_line_ends_a_sentence_and_documents_are_no_words() {
        let found = rows("a.conll", TEXT, &Columns::default()).unwrap();
        assert_eq!(
            found,
            [("EU rejects", "EU|rejects", "B-ORG|O", 3), ("# 1", "#|1", "O|O", 7)].map(
                |(text, words, tags, line)| {
                    (text.to_owned(), words.to_owned(), tags.to_owned(), format!("line {line}"))
                }
            )
        );
        let columns = Columns { label: Some("2".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.bio", TEXT, &columns).unwrap()[0].2, "NNP|VBZ");
        let columns = Columns { text: Some("4".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.bio", TEXT, &columns).unwrap()[0].1, "B-ORG|O");
        // Without the blank line at the end, and with what Windows writes.
        let found = rows("a.conll", "\u{feff}a O\r\nb O\r\n\r\nc O", &Columns::default()).unwrap();
        assert_eq!(found.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), ["a|b", "c"]);
    }

    #[test]
    fn tabs_keep_spaces_in_words_and_a_single_column_has_no_tags() {
        let found = rows("a.conll", "New York\tB-LOC\n\u{a0}\tO\n", &Columns::default()).unwrap();
        assert_eq!((found[0].1.as_str(), found[0].2.as_str()), ("New York|\u{a0}", "B-LOC|O"));
        let found = rows("a.conll", "a\nb\n\nc\n", &Columns::default()).unwrap();
        assert_eq!((found.len(), found[0].2.as_str()), (2, "none"));
        let columns = Columns { label: Some("none".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.conll", "a O\n", &columns).unwrap()[0].2, "none");
        let found = rows("a.conll", "# id 7 x\na O\n\n# b c\nc O\n", &Columns::default()).unwrap();
        assert_eq!(found.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), ["a", "c"], "comments");
        let found = rows("a.conll", "a\tO\nb\t\n", &Columns::default()).unwrap();
        assert_eq!(found[0].2, "O|-", "an empty tag is none");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("a O\nb\n", "line 2: 1 column, the first line with a word has 2"),
            ("a O\n# b c\n", "line 2: 3 columns"),
            ("a\tO\nb O\n", "line 2: 1 column,"),
            (
                "a\tO\nb\tO\t\n",
                "line 2: 3 columns (the last one, after the tab at its end, is empty), the first",
            ),
            (
                "a\tO\t\nb\tO\t\n",
                "ends with a tab: the tags can be in column 3, which is empty there, or in column 2",
            ),
            ("a\t\nb\tO\n", "or in column 1 (no tags"),
            ("a\tO\n\tO\n", "line 2: column \"1\": an empty word"),
            ("1\ta\tO\n2\tb\tO\n", "can be read as words or as the numbers of the words"),
            ("a O\rb O\r\rc O\r", "a carriage return without a line feed"),
            ("a O\nb O\rc O\n", "line 2: a carriage return without a line feed"),
            ("\n\n", "has no rows"),
            ("-DOCSTART- O\n", "has no rows"),
        ] {
            let error = rows("a.conll", text, &Columns::default()).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let columns = Columns { label: Some("2".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.conll", "a\tO\t\nb\tO\t\n", &columns).unwrap()[0].2, "O|O");
        let columns = Columns { label: Some("3".to_owned()), ..Columns::default() };
        let error = rows("a.conll", "a O\n", &columns).unwrap_err();
        assert!(error.contains("no column \"3\" (for tags); there are \"1\", \"2\""), "{error}");
        let columns = Columns { label: Some("1".to_owned()), ..Columns::default() };
        assert!(rows("a.conll", "a O\n", &columns).unwrap_err().contains("the words and the tags"));
        let columns = Columns { text: Some("1".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.conll", "1 O\n2 O\n", &columns).unwrap()[0].1, "1|2");
    }

    #[test]
    fn a_sentence_has_a_limit() {
        let (_directory, path) =
            file("a.conll", "a O\n".repeat(super::super::sentence::MAX_WORDS + 1).as_bytes());
        let mut reader =
            WordColumns::open(&Arc::from(path), &Columns::default(), Ask::default(), None).unwrap();
        assert!(reader.next_row().unwrap_err().to_string().contains("more than 65536 words"));
    }
}
