//! How tags write entities: the letter before the hyphen, and what it says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of an entity whose tags name none (`B`, `I`, `O`), as seqeval calls it.
pub const UNNAMED: &str = "_";

/// A way to write entities as one tag per word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// BIO, also called IOB2: `B-` begins every entity, `I-` continues it.
    Bio,
    /// IOB1: `I-` in every entity, `B-` only where an entity follows one of its own type without a word between.
    Iob1,
    /// `I-` in every entity. Entities of one type without a word between are one.
    Io,
    /// IOBES, also called BIOES: `B-`, `I-`, `E-` for the last word, `S-` for an entity of one word.
    Iobes,
    /// BILOU: IOBES with `L-` for the last word and `U-` for an entity of one word.
    Bilou,
    /// BMES: IOBES with `M-` for the words between the first and the last.
    Bmes,
    /// No entities: every tag is about its word alone, such as a part of speech.
    Plain,
}

/// What a tag says about its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In no entity.
    Outside,
    /// The first word of an entity.
    Begin,
    /// Any word of an entity (IO, IOB1), or neither its first nor, in IOBES, its last.
    Inside,
    /// The last word.
    End,
    /// The only word.
    Single,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Scheme; 7] =
        [Scheme::Bio, Scheme::Iob1, Scheme::Io, Scheme::Iobes, Scheme::Bilou, Scheme::Bmes, Scheme::Plain];

    /// The name, as files and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Bio => "bio",
            Scheme::Iob1 => "iob1",
            Scheme::Io => "io",
            Scheme::Iobes => "iobes",
            Scheme::Bilou => "bilou",
            Scheme::Bmes => "bmes",
            Scheme::Plain => "plain",
        }
    }

    /// The scheme of a name, or of another name that it has: `iob2`, `bioes`, `none`.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "iob2" => Some(Scheme::Bio),
            "bioes" => Some(Scheme::Iobes),
            "none" => Some(Scheme::Plain),
            name => Scheme::ALL.into_iter().find(|scheme| scheme.name() == name),
        }
    }

    /// True where tags write entities: all but [`Scheme::Plain`].
    pub fn has_entities(self) -> bool {
        self != Scheme::Plain
    }

    /// True where an entity's last word has a letter of its own.
    pub(crate) fn closes_entities(self) -> bool {
        matches!(self, Scheme::Iobes | Scheme::Bilou | Scheme::Bmes)
    }

    /// What a letter says in this scheme; none where the scheme does not have the letter.
    pub(crate) fn part(self, letter: char) -> Option<Part> {
        match (self, letter) {
            (Scheme::Plain, _) => None,
            (_, 'O') => Some(Part::Outside),
            (Scheme::Io, 'B') => None,
            (_, 'B') => Some(Part::Begin),
            (Scheme::Bmes, 'I') => None,
            (_, 'I') | (Scheme::Bmes, 'M') => Some(Part::Inside),
            (Scheme::Iobes | Scheme::Bmes, 'E') | (Scheme::Bilou, 'L') => Some(Part::End),
            (Scheme::Iobes | Scheme::Bmes, 'S') | (Scheme::Bilou, 'U') => Some(Part::Single),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Bio => "BIO (IOB2)",
            Scheme::Iob1 => "IOB1",
            Scheme::Io => "IO",
            Scheme::Iobes => "IOBES (BIOES)",
            Scheme::Bilou => "BILOU",
            Scheme::Bmes => "BMES",
            Scheme::Plain => "plain tags without entities",
        })
    }
}

/// The letter and the entity type of a tag: `B-PER` is `B` and `PER`, `O` is `O` and nothing, `I` is `I` and
/// [`UNNAMED`]. None for a tag that no scheme has.
pub(crate) fn split(tag: &str) -> Option<(char, &str)> {
    let letter = tag.chars().next().filter(|letter| "OBIMELSU".contains(*letter))?;
    match (letter, &tag[1..]) {
        ('O', "") => Some((letter, "")),
        ('O', _) => None,
        (_, "") => Some((letter, UNNAMED)),
        (_, rest) => rest.strip_prefix('-').filter(|kind| !kind.is_empty()).map(|kind| (letter, kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_split_at_its_first_hyphen() {
        assert_eq!(split("B-PER"), Some(('B', "PER")));
        assert_eq!(split("I-time-of-day"), Some(('I', "time-of-day")));
        assert_eq!([split("O"), split("B")], [Some(('O', "")), Some(('B', "_"))]);
        for plain in ["", "NOUN", "B-", "O-PER", "b-PER", "B_PER", "Ä-PER", "BPER"] {
            assert_eq!(split(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_scheme_has_its_letters_and_no_others() {
        let letters =
            |scheme: Scheme| "OBIMELSU".chars().filter(|l| scheme.part(*l).is_some()).collect::<String>();
        let found: Vec<String> = Scheme::ALL.into_iter().map(letters).collect();
        assert_eq!(found, ["OBI", "OBI", "OI", "OBIES", "OBILU", "OBMES", ""]);
    }

    #[test]
    fn every_name_is_read_back() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::named(scheme.name()), Some(scheme));
            assert_eq!(serde_json::to_value(scheme).unwrap(), scheme.name());
        }
        assert_eq!(Scheme::named("IOB2"), Some(Scheme::Bio));
        assert_eq!(Scheme::named("BIOES"), Some(Scheme::Iobes));
        assert_eq!(Scheme::named("boo"), None);
    }
}
