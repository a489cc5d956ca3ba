//! The scheme that the tags of a source are in, and how they are read for a label map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use distill_core::{LabelError, LabelMap};
use distill_task::LabelShape;
use distill_task::tags::recognise::of_set;
use distill_task::tags::set::to_bio;
use distill_task::tags::{Recogniser, Scheme, SchemeError};

use super::Source;
use super::decide::{Fitted, Names, in_order, names_of};
use super::label_names::LabelNames;
use super::labels::RawLabel;
use super::note::Note;
use super::reading::Ids;
use super::row::Row;
use super::summary::Summary;
use crate::error::{DataError, name_list};

/// The tag outside of entities.
const OUTSIDE: &str = "O";

/// Looks at the tags of all rows.
pub(super) struct TagWatch {
    recogniser: Recogniser,
    names: Option<Arc<[String]>>,
    translation: Option<Arc<BTreeMap<String, String>>>,
    /// Whether there is any tag, and every tag has a name.
    any: bool,
    nameless: bool,
}

impl TagWatch {
    /// For the tags of a source; none where its rows have no tags.
    pub(super) fn of(source: &Source) -> Result<Option<Self>, DataError> {
        if source.problem_type().label_shape() != LabelShape::Tags {
            return Ok(None);
        }
        let translation = match source.label_names() {
            Some(LabelNames::Translated(names)) => Some(Arc::clone(names)),
            _ => None,
        };
        let names = names_of(source)?.map(|names| names.names);
        Ok(Some(TagWatch {
            recogniser: Recogniser::default(),
            names,
            translation,
            any: false,
            nameless: false,
        }))
    }

    /// Looks at the tags of a row.
    pub(super) fn push(&mut self, row: &Row, tags: &[Option<RawLabel>]) {
        let TagWatch { recogniser, names, translation, any, nameless } = self;
        let name = |tag: &'_ RawLabel| -> Option<String> {
            let name = match tag {
                RawLabel::Name(name) => name,
                RawLabel::Id(id) => names.as_ref()?.get(usize::try_from(*id).ok()?)?,
            };
            let translated = translation.as_ref().and_then(|names| names.get(name));
            Some(translated.unwrap_or(name).clone())
        };
        let found: Vec<Option<String>> = tags.iter().map(|tag| tag.as_ref().and_then(name)).collect();
        *any = true;
        *nameless |= tags.iter().zip(&found).any(|(tag, name)| tag.is_some() && name.is_none());
        if !*nameless {
            recogniser.push(row.row as usize + 1, found.iter().map(Option::as_deref));
        }
    }

    /// The scheme of all tags; none where there is no tag, or tags are ids without names.
    ///
    /// # Errors
    /// [`DataError::Value`] at the row that is at fault, else [`DataError::Label`].
    pub(super) fn finish(self, source: &Source) -> Result<Option<Scheme>, DataError> {
        if !self.any || self.nameless {
            return Ok(None);
        }
        self.recogniser.finish().map(Some).map_err(|error| {
            let column = source.columns().label_name();
            let what = error.to_string();
            match row_of(&error).and_then(|row| place_of(source, row)) {
                Some(place) => DataError::value(&place, column, what),
                None => DataError::Label {
                    file: source.path().to_owned(),
                    what: format!("column {column:?}: {what}"),
                },
            }
        })
    }
}

/// The row that an error is about, from 1.
fn row_of(error: &SchemeError) -> Option<usize> {
    match error {
        SchemeError::BioOrIob1 { inside, .. } => Some(inside.row),
        SchemeError::Broken { place, .. } => Some(place.row),
        _ => None,
    }
}

/// Reads the source again for the place of a row.
fn place_of(source: &Source, row: usize) -> Option<crate::error::Place> {
    let mut rows = source.clone().without_labels().rows().ok()?;
    rows.nth(row.checked_sub(1)?)?.ok().map(|row| row.place)
}

impl Summary {
    /// How tags are read for the tags of a model: as they are, or as BIO where the model has that.
    pub(super) fn tags_for(&self, map: &LabelMap, fit: &mut Fitted) -> Result<(), DataError> {
        let Some(scheme) = self.scheme.filter(|scheme| scheme.has_entities()) else { return Ok(()) };
        let wanted = of_set(map.names().iter().map(String::as_str))
            .map_err(|error| self.unfit(format!("the model's labels ({}): {error}", name_list(map.names()))))?;
        // Without any entity, data go with every scheme that has them.
        let is_empty = self.label_counts.keys().all(|tag| tag.to_name() == OUTSIDE);
        match wanted {
            _ if wanted == scheme || is_empty || !wanted.has_entities() => {}
            Scheme::Bio => self.become_bio(scheme, fit),
            _ => {
                return Err(self.unfit(format!(
                    "its tags are in {scheme}, the model's in {wanted} ({}); tags are converted to BIO only",
                    name_list(map.names())
                )));
            }
        }
        Ok(())
    }

    /// The label map that tags call for: names that a file gives in their order, else `O` and then the others by their
    /// letters. Entities become BIO, and every type has `B-` and `I-`.
    pub(super) fn own_tags(
        &self,
        names: Option<Names>,
        mut fit: Fitted,
    ) -> Result<Option<(LabelMap, Fitted)>, DataError> {
        let failed = |source: LabelError| DataError::Labels { file: self.path.clone(), source };
        let Some(scheme) = self.scheme.filter(|scheme| scheme.has_entities()) else { return Ok(None) };
        if names.is_some() && scheme == Scheme::Bio {
            return Ok(None);
        }
        if scheme != Scheme::Bio {
            self.become_bio(scheme, &mut fit);
        }
        let known: Vec<String> = match &names {
            Some(names) => names.names.to_vec(),
            None => self.counts(&fit.reading).keys().map(RawLabel::to_name).collect(),
        };
        if let Some(names) = names {
            fit.reading.ids = Ids::Named(names.names);
        }
        let all =
            bio_of(scheme, known.iter().map(String::as_str)).map_err(|error| self.unfit(error.to_string()))?;
        let unseen: Vec<&String> = all.iter().filter(|name| !known.contains(name)).collect();
        if scheme == Scheme::Bio && !unseen.is_empty() {
            fit.notes.push(Note::said(format!(
                "{}: no word has {}; the label map has these tags anyway",
                self.path.display(),
                name_list(&unseen)
            )));
        }
        Ok(Some((LabelMap::new(all).map_err(failed)?, fit)))
    }

    fn become_bio(&self, scheme: Scheme, fit: &mut Fitted) {
        fit.reading.to_bio = Some(scheme);
        let file = self.path.display();
        fit.notes.push(Note::said(format!("{file}: its tags are in {scheme} and are converted to BIO")));
    }

    /// The tags of the data, as they can be after they were read.
    pub(super) fn possible(&self, reading: &super::Reading) -> Vec<RawLabel> {
        let counts = self.counts(reading);
        let Some(scheme) = reading.to_bio else { return counts.into_keys().collect() };
        let names: Vec<String> = counts.keys().map(RawLabel::to_name).collect();
        match bio_of(scheme, names.iter().map(String::as_str)) {
            Ok(names) => names.into_iter().map(RawLabel::Name).collect(),
            Err(_) => counts.into_keys().collect(),
        }
    }
}

/// All tags of BIO for the types of some tags, `O` first.
fn bio_of<'a>(scheme: Scheme, tags: impl Iterator<Item = &'a str>) -> Result<Vec<String>, SchemeError> {
    let mut types = BTreeSet::new();
    for tag in tags {
        for name in to_bio(scheme, &[Some(tag)])?.into_iter().flatten() {
            types.extend(name.split_once('-').map(|(_, kind)| kind.to_owned()));
        }
    }
    let of = |letter: &'static str| types.iter().map(move |kind| format!("{letter}-{kind}")).collect();
    let (begin, inside): (Vec<String>, Vec<String>) = (of("B"), of("I"));
    Ok(std::iter::once(OUTSIDE.to_owned()).chain(in_order(begin)).chain(in_order(inside)).collect())
}

#[cfg(test)]
mod tests {
    use distill_core::StopSignal;
    use distill_task::{Label, TaskId};

    use super::super::word_tests::file;
    use super::super::{Columns, LabelType};
    use super::*;

    fn source(name: &str, text: &str) -> (tempfile::TempDir, Source) {
        let (directory, path) = file(name, text.as_bytes());
        let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::TOKEN_CLASSIFICATION);
        (directory, source)
    }

    /// The tags of all rows as they are read for a map; without one, for the one that they call for, and its names.
    fn read(name: &str, text: &str, map: Option<&[&str]>) -> Result<(Vec<String>, String), String> {
        let (_directory, source) = source(name, text);
        let text = |error: DataError| error.to_string();
        let summary = Summary::scan(&source, &StopSignal::default()).map_err(text)?;
        let (map, fitted) = match map {
            Some(names) => {
                let map = LabelMap::new(names.iter().copied()).unwrap();
                let fitted = summary.fit(&source, &map).map_err(text)?;
                (map, fitted)
            }
            None => summary.own_map(&source).map_err(text)?,
        };
        assert!(summary.is_known(&map, &fitted.reading));
        let mut all = Vec::new();
        for row in source.read_by(fitted.reading).rows().map_err(text)? {
            let row = row.map_err(text)?;
            let Some(label) = &row.label else { continue };
            let Label::Tags(tags) = super::super::resolve(label, &map, &row.place, "tags").map_err(text)?
            else {
                panic!("{label:?}")
            };
            all.extend(
                tags.iter().map(|tag| tag.map_or("-", |tag| &map.names()[tag as usize])).map(str::to_owned),
            );
        }
        Ok((map.names().to_vec(), all.join(" ")))
    }

    #[test]
    fn a_fresh_head_gets_bio_with_o_first() {
        let bio = ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"].map(str::to_owned).to_vec();
        let found = read("a.conll", "a B-PER\nb I-PER\nc O\nd B-LOC\n", None).unwrap();
        assert_eq!(found, (bio.clone(), "B-PER I-PER O B-LOC".to_owned()));
        let found = read("a.conll", "a B-PER\nb E-PER\nc O\nd S-LOC\n", None).unwrap();
        assert_eq!(found, (bio.clone(), "B-PER I-PER O B-LOC".to_owned()));
        let found = read("a.conll", "a I-PER\nb I-PER\nc O\nd I-LOC\ne B-LOC\n", None).unwrap();
        assert_eq!(found, (bio, "B-PER I-PER O B-LOC B-LOC".to_owned()));
        let found = read("a.conll", "a VERB\nb NOUN\nc X\n", None).unwrap();
        assert_eq!(found, (["NOUN", "VERB", "X"].map(str::to_owned).to_vec(), "VERB NOUN X".to_owned()));
    }

    #[test]
    fn ids_of_tags_are_ids_where_nothing_names_them() {
        let rows = "{\"tokens\": [\"a\", \"b\", \"c\"], \"tags\": [0, 2, -100]}\n{\"tokens\": [\"a\"], \"tags\": [1]}\n";
        let found = read("a.jsonl", rows, None).unwrap();
        assert_eq!(found.0, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert_eq!(found.1, "LABEL_0 LABEL_2 - LABEL_1");
        let found = read("a.jsonl", rows, Some(&["O", "B-PER", "I-PER"])).unwrap();
        assert_eq!(found.1, "O I-PER - B-PER");
        // Names that a file gives in another scheme.
        let (_directory, source) = source("a.jsonl", rows);
        let names = LabelNames::Ordered(["O", "S-PER", "S-LOC"].map(str::to_owned).into());
        let source = source.with_labels(None, Some(names));
        let summary = Summary::scan(&source, &StopSignal::default()).unwrap();
        assert_eq!((summary.tag_scheme(), summary.unlabelled), (Some(Scheme::Iobes), 0));
        let (map, fitted) = summary.own_map(&source).unwrap();
        assert_eq!(map.names(), ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]);
        let row = source.read_by(fitted.reading).rows().unwrap().next().unwrap().unwrap();
        let name = |name: &str| Some(RawLabel::Name(name.to_owned()));
        assert_eq!(row.label, Some(Label::Tags(vec![name("O"), name("B-LOC"), None])));
    }

    #[test]
    fn a_model_gets_its_own_scheme_or_a_refusal() {
        let bio: &[&str] = &["B-PER", "I-PER", "O"];
        assert_eq!(read("a.conll", "a B-PER\nb E-PER\nc O\n", Some(bio)).unwrap().1, "B-PER I-PER O");
        let iobes: &[&str] = &["B-PER", "I-PER", "E-PER", "S-PER", "O"];
        assert_eq!(read("a.conll", "a B-PER\nb E-PER\nc O\n", Some(iobes)).unwrap().1, "B-PER E-PER O");
        assert_eq!(read("a.conll", "a O\n", Some(iobes)).unwrap().1, "O");
        let error = read("a.conll", "a B-PER\nb I-PER\nc O\n", Some(iobes)).unwrap_err();
        assert!(error.contains("its tags are in BIO (IOB2), the model's in IOBES (BIOES)"), "{error}");
    }

    #[test]
    fn tags_of_no_scheme_are_refused_with_their_place() {
        for (text, expected) in [
            ("a B-PER\nb NOUN\n", "column \"tags\": \"B-PER\" reads as part of an entity"),
            ("x O\n\na O\nb I-PER\n\nc O\nd B-PER\n", "line 3: column \"tags\": at row 2, word 2 (I-PER)"),
            ("a S-PER\nb B-PER\n\nc E-PER\nd O\n", "tags do not follow each other"),
        ] {
            let (_directory, source) = source("a.conll", text);
            let error = Summary::scan(&source, &StopSignal::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn counts_are_those_of_words() {
        let (_directory, source) = source("a.conll", "a O\nb O\nc B-X\n\nd O\n");
        let summary = Summary::scan(&source, &StopSignal::default()).unwrap();
        let name = |name: &str| RawLabel::Name(name.to_owned());
        assert_eq!(summary.label_counts, [(name("O"), 3), (name("B-X"), 1)].into());
        assert_eq!((summary.rows, summary.unlabelled, summary.tag_scheme()), (2, 0, Some(Scheme::Bio)));
        let source = source.with_labels(Some(LabelType::Name), None);
        assert_eq!(Summary::scan(&source, &StopSignal::default()).unwrap().rows, 2);
    }
}
