//! The tags of one model or data set, read once.

use super::recognise::{SchemeError, of_set};
use super::scheme::{Part, Scheme};

/// What one tag says: its part, and the number of its entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) part: Part,
    /// Index into [`TagSet::types`]; 0 outside of entities.
    pub(crate) kind: usize,
}

/// The tags that classes stand for, in the order of their ids, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSet {
    scheme: Scheme,
    names: Vec<String>,
    tags: Vec<Tag>,
    types: Vec<String>,
}

impl TagSet {
    /// The tags of classes, in the scheme that their names are in.
    ///
    /// # Errors
    /// As [`of_set`].
    pub fn new<S: AsRef<str>>(names: &[S]) -> Result<Self, SchemeError> {
        Self::in_scheme(names, of_set(names.iter().map(AsRef::as_ref))?)
    }

    /// The tags of classes in a scheme that is known.
    ///
    /// # Errors
    /// [`SchemeError::Unknown`] for a tag that the scheme does not have.
    pub fn in_scheme<S: AsRef<str>>(names: &[S], scheme: Scheme) -> Result<Self, SchemeError> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let read: Vec<(Part, &str)> = names.iter().map(|name| scheme.read(name)).collect::<Result<_, _>>()?;
        let mut types: Vec<String> = read
            .iter()
            .filter(|(part, _)| *part != Part::Outside)
            .map(|(_, kind)| (*kind).to_owned())
            .collect();
        types.sort_unstable();
        types.dedup();
        let number = |kind: &str| types.iter().position(|known| known == kind).unwrap_or(0);
        let tags = read.iter().map(|(part, kind)| Tag { part: *part, kind: number(kind) }).collect();
        Ok(TagSet { scheme, tags, types, names })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Number of tags, `C`.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True without tags, which no set is that was read from names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The tag of an id.
    ///
    /// # Panics
    /// Where the id is not below [`TagSet::len`].
    pub fn name(&self, id: usize) -> &str {
        &self.names[id]
    }

    /// Entity types, sorted; none of plain tags.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The id of `O`; none of plain tags, or where every word is in an entity.
    pub fn outside(&self) -> Option<usize> {
        if !self.scheme.has_entities() {
            return None;
        }
        self.tags.iter().position(|tag| tag.part == Part::Outside)
    }

    pub(crate) fn tag(&self, id: usize) -> Tag {
        self.tags[id]
    }
}

/// One row's tags as BIO. Entities are read as [`Mode::Default`](super::Mode) reads them, so that `I-` after nothing
/// begins an entity; plain tags stay as they are. A word without a tag stays without; `I-` after it stays `I-`, since
/// the entity may have begun before.
///
/// # Errors
/// [`SchemeError::Unknown`] for a tag that the scheme does not have.
pub fn to_bio(scheme: Scheme, tags: &[Option<&str>]) -> Result<Vec<Option<String>>, SchemeError> {
    let mut before: Option<(Part, &str)> = Some((Part::Outside, ""));
    let mut converted = Vec::with_capacity(tags.len());
    for tag in tags {
        let Some(tag) = *tag else {
            converted.push(None);
            before = None;
            continue;
        };
        let (part, kind) = scheme.read(tag)?;
        converted.push(Some(match part {
            _ if scheme == Scheme::Plain => tag.to_owned(),
            Part::Outside => "O".to_owned(),
            _ if begins(before, part, kind) => format!("B-{kind}"),
            _ => format!("I-{kind}"),
        }));
        before = Some((part, kind));
    }
    Ok(converted)
}

/// True where a word begins an entity, by the word before it; none for a word without a tag.
fn begins(before: Option<(Part, &str)>, part: Part, kind: &str) -> bool {
    match (part, before) {
        (Part::Begin | Part::Single, _) => true,
        (_, None) => false,
        (_, Some((before, before_kind))) => super::entities::starts(before, part, before_kind == kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bio(scheme: Scheme, tags: &str) -> String {
        let tags: Vec<Option<&str>> = tags.split(' ').map(|tag| (tag != "?").then_some(tag)).collect();
        let converted = to_bio(scheme, &tags).unwrap();
        converted.into_iter().map(|tag| tag.unwrap_or("?".into())).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_scheme_becomes_bio() {
        assert_eq!(bio(Scheme::Bio, "B-X I-X O B-Y B-Y"), "B-X I-X O B-Y B-Y");
        assert_eq!(bio(Scheme::Iob1, "I-X I-X B-X I-Y O I-Y"), "B-X I-X B-X B-Y O B-Y");
        assert_eq!(bio(Scheme::Io, "I-X I-X I-Y O I-Y"), "B-X I-X B-Y O B-Y");
        assert_eq!(bio(Scheme::Iobes, "S-X S-X B-X I-X E-X O B-Y E-Y"), "B-X B-X B-X I-X I-X O B-Y I-Y");
        assert_eq!(bio(Scheme::Bilou, "U-X U-X B-X I-X L-X O"), "B-X B-X B-X I-X I-X O");
        assert_eq!(bio(Scheme::Bmes, "B M E S S"), "B-_ I-_ I-_ B-_ B-_");
        assert_eq!(bio(Scheme::Plain, "NOUN O VERB"), "NOUN O VERB");
        assert_eq!(bio(Scheme::Iobes, "? E-X ? O"), "? I-X ? O");
    }

    #[test]
    fn a_tag_of_another_scheme_is_named() {
        let error = to_bio(Scheme::Bio, &[Some("O"), Some("S-PER")]).unwrap_err().to_string();
        assert_eq!(error, r#"BIO (IOB2) has no tag "S-PER""#);
    }

    #[test]
    fn a_set_knows_its_types_and_its_outside() {
        let set = TagSet::new(&["B-PER", "I-PER", "O", "B-LOC"]).unwrap();
        assert_eq!((set.types(), set.outside()), (["LOC".to_owned(), "PER".to_owned()].as_slice(), Some(2)));
        let plain = TagSet::new(&["NOUN", "VERB"]).unwrap();
        assert_eq!((plain.types().len(), plain.outside()), (0, None));
    }
}
