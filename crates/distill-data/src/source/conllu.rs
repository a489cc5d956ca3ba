//! Rows of words from CoNLL-U: ten columns between tabs, a word a line, a blank line after each sentence.
//!
//! Source: <https://universaldependencies.org/format.html> (CoNLL-U, version 2) and
//! <https://universaldependencies.org/ext-format.html> (CoNLL-U Plus, `# global.columns`). Words are the syntactic words:
//! lines with whole numbers. A range (`3-4`) only says how two words are written together, an empty node (`8.1`) is no word
//! of the text; both are passed over.

use std::path::Path;
use std::sync::Arc;

use super::columns::{Columns, Role};
use super::found::Ask;
use super::lines::Lines;
use super::note::Note;
use super::row::RawRow;
use super::sentence::Sentence;
use super::watch::SharedHasher;
use super::word_columns::tag_of;
use crate::error::{DataError, Place};

/// The columns of CoNLL-U.
const COLUMNS: [&str; 10] = ["ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"];
/// What stands in a column without a value.
const NONE: &str = "_";
/// How a file names its columns.
const GLOBAL: &str = "global.columns";

/// Streams the sentences of a CoNLL-U file.
pub(super) struct ConlluRows {
    lines: Lines,
    layout: Layout,
    columns: Columns,
    ask: Ask,
    pub(super) notes: Vec<Note>,
}

/// Where what stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    names: Vec<String>,
    id: usize,
    word: usize,
    tag: Option<usize>,
}

impl ConlluRows {
    pub(super) fn open(
        path: &Arc<Path>,
        columns: &Columns,
        ask: Ask,
        hasher: Option<SharedHasher>,
    ) -> Result<Self, DataError> {
        let layout = Layout::of(path, columns)?;
        let mut notes = Vec::new();
        if let (None, Some(tag)) = (columns.named(Role::Label), layout.tag) {
            let name = &layout.names[tag];
            notes.push(Note::said(format!("{}: column {name} is read as the tags", path.display())));
        }
        let (lines, columns) = (Lines::open_hashed(path, hasher)?, columns.clone());
        Ok(ConlluRows { lines, layout, columns, ask, notes })
    }

    /// The next sentence.
    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        let mut sentence = Sentence::default();
        let mut id = None;
        // Whether there was any line but comments: then there must be a word.
        let mut begun = false;
        while let Some(line) = self.lines.next_any_line()? {
            if line.trim_ascii().is_empty() {
                if begun { break } else { continue }
            }
            if let Some(comment) = line.strip_prefix('#').filter(|_| !begun) {
                id = self
                    .columns
                    .named(Role::Id)
                    .and_then(|name| value_of(comment, name))
                    .map(str::to_owned)
                    .or(id);
                continue;
            }
            begun = true;
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let place = self.lines.place();
            self.take(&mut sentence, &fields, &place)?;
        }
        if begun && sentence.is_empty() {
            return Err(DataError::record(&self.lines.place(), "a sentence without words"));
        }
        let Some(mut row) = sentence.into_row(self.layout.tag.is_some()) else { return Ok(None) };
        if let (Some(name), None) = (self.columns.named(Role::Id), &id) {
            let what = format!("the sentence has no comment \"# {name} = …\"");
            return Err(DataError::value(&row.place, name, what));
        }
        row.id = id;
        Ok(Some(row))
    }

    fn take(&self, sentence: &mut Sentence, fields: &[String], place: &Place) -> Result<(), DataError> {
        let Layout { names, id, word, tag } = &self.layout;
        if fields.len() != names.len() {
            let what = format!(
                "{} columns between tabs, expected {} ({})",
                fields.len(),
                names.len(),
                names.join(", ")
            );
            return Err(DataError::record(place, what));
        }
        let error = |column: usize, what: String| DataError::value(place, &names[column], what);
        let next = sentence.len() + 1;
        match number_of(&fields[*id]) {
            Some(Number::Word(number)) if number == next => {}
            Some(Number::Range(first, last)) if first == next && last >= first => return Ok(()),
            Some(Number::Empty(before)) if before + 1 == next => return Ok(()),
            Some(_) => return Err(error(*id, format!("{:?} where word {next} should follow", fields[*id]))),
            None => {
                return Err(error(
                    *id,
                    format!("{:?} is no number of a word, range or empty node", fields[*id]),
                ));
            }
        }
        let tag_name = tag.map(|tag| fields[tag].as_str()).map(|tag| if tag == NONE { "" } else { tag });
        let found = tag_name.map(|name| tag_of(name, self.ask)).transpose();
        let found = found.map_err(|what| error(tag.unwrap_or_default(), what))?;
        sentence.push(place, fields[*word].clone(), found).map_err(|what| error(*word, what))
    }
}

impl Layout {
    fn of(path: &Arc<Path>, columns: &Columns) -> Result<Self, DataError> {
        let names = names_of(path)?;
        let place = |role: Role, name: &str| -> Result<usize, DataError> {
            let found = names.iter().position(|known| known.eq_ignore_ascii_case(name.trim()));
            found.ok_or_else(|| DataError::missing_column(path, name, columns.word(role), &names))
        };
        let tag = match (columns.label_is_off(), columns.named(Role::Label)) {
            (true, _) => None,
            (false, Some(name)) => Some(place(Role::Label, name)?),
            (false, None) => place(Role::Label, "UPOS").ok(),
        };
        let word = place(Role::Text, columns.named(Role::Text).unwrap_or("FORM"))?;
        let id = place(Role::Text, "ID")?;
        Ok(Layout { id, word, tag, names })
    }
}

/// The names of a file's columns: the standard's, unless its first line says others.
fn names_of(path: &Arc<Path>) -> Result<Vec<String>, DataError> {
    let mut lines = Lines::open(path)?;
    let first = lines.next_line()?.and_then(|line| line.strip_prefix('#'));
    let own = first.and_then(|comment| value_of(comment, GLOBAL));
    Ok(match own {
        Some(names) => names.split_ascii_whitespace().map(str::to_owned).collect(),
        None => COLUMNS.map(str::to_owned).to_vec(),
    })
}

/// The value of a comment `# name = value`, without its `#`.
fn value_of<'a>(comment: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = comment.split_once('=')?;
    (key.trim() == name).then(|| value.trim())
}

/// The first column of a line.
enum Number {
    Word(usize),
    Range(usize, usize),
    /// An empty node behind this word.
    Empty(usize),
}

fn number_of(field: &str) -> Option<Number> {
    let number =
        |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((first, last)) = field.split_once('-') {
        return Some(Number::Range(number(first)?, number(last)?));
    }
    if let Some((word, node)) = field.split_once('.') {
        number(node).filter(|node| *node > 0)?;
        return Some(Number::Empty(number(word)?));
    }
    number(field).map(Number::Word)
}

#[cfg(test)]
mod tests {
    use super::super::word_tests::rows;
    use super::*;

    fn line(id: &str, form: &str, upos: &str) -> String {
        format!("{id}\t{form}\tlemma\t{upos}\tX\t_\t0\troot\t_\tSpaceAfter=No\n")
    }

    /// The standard's own examples: `vámonos al mar`, and `Sue likes coffee and Bill [likes] tea`.
    #[test]
    fn ranges_and_empty_nodes_are_no_words() {
        let text = [
            "# sent_id = 1\n# text = vámonos al mar\n".to_owned(),
            line("1-2", "vámonos", "_"),
            line("1", "vamos", "VERB"),
            line("2", "nos", "PRON"),
            line("3-4", "al", "_"),
            line("3", "a", "ADP"),
            line("4", "el", "DET"),
            line("5", "mar", "_"),
            "\n# sent_id = x y\n".to_owned(),
            line("0.1", "E", "VERB"),
            line("1", "Bill", "PROPN"),
            line("1.1", "likes", "VERB"),
            line("1.2", "likes", "VERB"),
            line("2", "New York", "PROPN"),
            "\n".to_owned(),
        ]
        .concat();
        let found = rows("a.conllu", &text, &Columns::default()).unwrap();
        assert_eq!(found[0].1, "vamos|nos|a|el|mar");
        assert_eq!((found[0].2.as_str(), found[0].3.as_str()), ("VERB|PRON|ADP|DET|-", "line 4"));
        assert_eq!((found[1].1.as_str(), found[1].2.as_str()), ("Bill|New York", "PROPN|PROPN"));
        let columns = Columns { label: Some("deprel".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.conllu", &text, &columns).unwrap()[1].2, "root|root");
        let columns = Columns { text: Some("LEMMA".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.conllu", &text, &columns).unwrap()[1].1, "lemma|lemma");
        let named = "# global.columns = ID FORM NER\n1\ta\tB-PER\n2\tb\t_\n\n# text = a\n1\tc\tO\n";
        let columns = Columns { label: Some("NER".to_owned()), ..Columns::default() };
        let found = rows("a.conllu", named, &columns).unwrap();
        assert_eq!((found[0].2.as_str(), found[1].2.as_str()), ("B-PER|-", "O"));
    }

    #[test]
    fn what_the_standard_does_not_allow_is_named_with_its_line() {
        let ok = line("1", "a", "X");
        for (text, expected) in [
            (format!("{ok}{}", line("3", "b", "X")), "line 2: column \"ID\": \"3\" where word 2 should follow"),
            (format!("{ok}{}", line("1", "b", "X")), "where word 2 should follow"),
            (line("2-3", "b", "X"), "where word 1 should follow"),
            (line("2.1", "b", "X"), "where word 1 should follow"),
            (line("x", "b", "X"), "is no number of a word, range or empty node"),
            (line("+1", "b", "X"), "is no number of a word"),
            ("1\ta\n".to_owned(), "line 1: 2 columns between tabs, expected 10"),
            ("1 a b c d e f g h i\n".to_owned(), "line 1: 1 columns between tabs"),
            (line("1", "", "X"), "line 1: column \"FORM\": an empty word"),
            (format!("{ok}# late\n"), "line 2: 1 columns"),
            (line("1-2", "b", "X"), "a sentence without words"),
            ("# only\n".to_owned(), "has no rows"),
        ] {
            let error = rows("a.conllu", &text, &Columns::default()).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let columns = Columns { label: Some("NER".to_owned()), ..Columns::default() };
        let error = rows("a.conllu", &ok, &columns).unwrap_err();
        assert!(error.contains("no column \"NER\" (for tags); there are \"ID\", \"FORM\""), "{error}");
        let columns = Columns { id: Some("sent_id".to_owned()), ..Columns::default() };
        assert!(rows("a.conllu", &ok, &columns).unwrap_err().contains("no comment \"# sent_id = …\""));
    }
}
