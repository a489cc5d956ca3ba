//! Which scheme tags are in: from the tags that occur, and from how they follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use distill_core::Category;
use thiserror::Error;

use super::scheme::{Part, Scheme, split};

/// Where a tag was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The row, as it was given to [`Recogniser::push`].
    pub row: usize,
    /// The word in its row, from 0.
    pub word: usize,
    /// The tag.
    pub tag: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, word {} ({})", self.row, self.word + 1, self.tag)
    }
}

/// Tags that are in no scheme, or that can be read in two ways.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemeError {
    /// There is no tag.
    #[error("no word has a tag")]
    NoTags,
    /// Tags of a scheme, and tags of none.
    #[error(
        "{entity:?} reads as part of an entity (BIO, IOBES or BILOU) and {plain:?} as a plain tag: all tags must be \
         one or the other"
    )]
    Mixed {
        /// A tag of a scheme.
        entity: String,
        /// A tag of none.
        plain: String,
    },
    /// `O`, and tags without a letter before them.
    #[error(
        "the tags O and {plain:?} can be read as the IO scheme without its prefix (words next to each other with \
         {plain:?} are one entity) or as plain tags, one of which is called O: write I-{plain} for the first reading, \
         another name than O for the second"
    )]
    NoPrefix {
        /// A tag other than `O`.
        plain: String,
    },
    /// Almost a scheme.
    #[error("the tags look like entities in another spelling: {tag:?} must be written {meant:?}")]
    Spelling {
        /// A tag as it is written.
        tag: String,
        /// How distill reads it.
        meant: String,
    },
    /// Letters that no scheme has together.
    #[error(
        "the tags begin with {letters}, which no scheme has together: BIO has B and I, IO has I, IOBES has B, I, E and S, \
         BILOU has B, I, L and U, BMES has B, M, E and S, and all have O"
    )]
    Letters {
        /// The letters that were found.
        letters: String,
    },
    /// A type that would be read in two ways.
    #[error("the entity type in the tag {tag:?} begins or ends with a hyphen, or is empty")]
    Type {
        /// The tag.
        tag: String,
    },
    /// Two tags with one meaning.
    #[error("the tags {first:?} and {second:?} mean the same")]
    Same {
        /// A tag.
        first: String,
        /// The other one.
        second: String,
    },
    /// Neither BIO nor IOB1 throughout.
    #[error(
        "at {inside} an entity begins with I-, as in IOB1 but not in BIO; at {begin} an entity begins with B- although \
         none of its type ends before it, as in BIO but not in IOB1"
    )]
    BioOrIob1 {
        /// An `I-` that begins an entity.
        inside: Box<Place>,
        /// A `B-` that IOB1 would write `I-`.
        begin: Box<Place>,
    },
    /// An entity without its end or its beginning, in a scheme that marks both.
    #[error("at {place} the {scheme} tags do not follow each other: {what}")]
    Broken {
        /// The word at fault.
        place: Box<Place>,
        /// The scheme of the other tags.
        scheme: Scheme,
        /// What is missing.
        what: &'static str,
    },
    /// A tag that a scheme does not have.
    #[error("{scheme} has no tag {tag:?}")]
    Unknown {
        /// The tag.
        tag: String,
        /// The scheme.
        scheme: Scheme,
    },
}

impl SchemeError {
    /// Always bad input data.
    pub fn category(&self) -> Category {
        Category::Data
    }
}

/// Looks at tags row by row, and says in the end which scheme they are in.
#[derive(Clone, Debug, Default)]
pub struct Recogniser {
    seen: BTreeSet<String>,
    /// The first `I-` that begins an entity: not BIO.
    inside_begins: Option<Place>,
    /// The first `B-` that follows no entity of its type: not IOB1.
    plain_begin: Option<Place>,
    /// The first tag that does not go with the one before it where ends are marked.
    broken: Option<(Place, &'static str)>,
}

impl Recogniser {
    /// Looks at one row's tags, none for a word that has no tag. `row` is the number that errors name.
    pub fn push<'a>(&mut self, row: usize, tags: impl IntoIterator<Item = Option<&'a str>>) {
        let mut before = Before::Outside;
        let mut word = 0;
        for tag in tags {
            if let Some(tag) = tag {
                if !self.seen.contains(tag) {
                    self.seen.insert(tag.to_owned());
                }
                before = self.step(before, tag, &|| Place { row, word, tag: tag.to_owned() });
            } else {
                before = Before::Unknown;
            }
            word += 1;
        }
        if let Before::Open { .. } = before {
            let place = || Place { row, word, tag: "the end of the row".to_owned() };
            self.broken.get_or_insert_with(|| (place(), UNCLOSED));
        }
    }

    /// The scheme of all tags that were seen.
    ///
    /// # Errors
    /// Any [`SchemeError`].
    pub fn finish(self) -> Result<Scheme, SchemeError> {
        let scheme = of_set(self.seen.iter().map(String::as_str))?;
        match (scheme, self.inside_begins, self.plain_begin, self.broken) {
            (Scheme::Bio, Some(_), None, _) => Ok(Scheme::Iob1),
            (Scheme::Bio, Some(inside), Some(begin), _) => {
                Err(SchemeError::BioOrIob1 { inside: Box::new(inside), begin: Box::new(begin) })
            }
            (scheme, _, _, Some((place, what))) if scheme.closes_entities() => {
                Err(SchemeError::Broken { place: Box::new(place), scheme, what })
            }
            (scheme, ..) => Ok(scheme),
        }
    }

    fn step<'a>(&mut self, before: Before<'a>, tag: &'a str, place: &dyn Fn() -> Place) -> Before<'a> {
        let Some((letter, kind)) = split(tag) else { return Before::Outside };
        let continues =
            matches!(before, Before::Open { kind: open } | Before::Ended { kind: open } if open == kind);
        let is_open = matches!(before, Before::Open { kind: open } if open == kind);
        let unknown = matches!(before, Before::Unknown);
        match letter {
            'I' if !continues && !unknown => drop(self.inside_begins.get_or_insert_with(place)),
            'B' if !continues && !unknown => drop(self.plain_begin.get_or_insert_with(place)),
            _ => {}
        }
        match letter {
            'I' | 'M' | 'E' | 'L' if !is_open && !unknown => {
                self.broken.get_or_insert_with(|| (place(), "no B- begins this entity"));
            }
            'O' | 'B' | 'S' | 'U' if matches!(before, Before::Open { .. }) => {
                self.broken.get_or_insert_with(|| (place(), UNCLOSED));
            }
            _ => {}
        }
        match letter {
            'B' | 'I' | 'M' => Before::Open { kind },
            'O' => Before::Outside,
            _ => Before::Ended { kind },
        }
    }
}

const UNCLOSED: &str = "the entity before it does not end";

/// What the word before says about the next one.
#[derive(Clone, Copy)]
enum Before<'a> {
    /// It is in no entity.
    Outside,
    /// It has no tag.
    Unknown,
    /// It is in an entity of this type, after `B-` or `I-`.
    Open { kind: &'a str },
    /// It ends an entity of this type.
    Ended { kind: &'a str },
}

/// The scheme of a set of tags, such as the names of a model's classes. `B-` and `I-` alone are read as BIO: IOB1
/// has the same tags, and only how they follow each other tells the two apart ([`Recogniser`]).
///
/// # Errors
/// Any [`SchemeError`] but those with a [`Place`].
pub fn of_set<'a>(tags: impl IntoIterator<Item = &'a str>) -> Result<Scheme, SchemeError> {
    let tags: BTreeSet<&str> = tags.into_iter().collect();
    let Some(first) = tags.first() else { return Err(SchemeError::NoTags) };
    let entity: BTreeMap<(char, &str), &str> = check_types(&tags)?;
    let plain = tags.iter().find(|tag| split(tag).is_none());
    match (entity.keys().find(|(letter, _)| *letter != 'O'), plain) {
        (None, Some(_)) => respelled(&tags)?,
        (Some(found), Some(plain)) => {
            return Err(SchemeError::Mixed { entity: entity[found].to_owned(), plain: (*plain).to_owned() });
        }
        (_, None) => {}
    }
    match plain {
        Some(plain) if tags.contains("O") => Err(SchemeError::NoPrefix { plain: (*plain).to_owned() }),
        Some(_) => Ok(Scheme::Plain),
        None if tags.len() == 1 && *first == "O" => Ok(Scheme::Bio),
        None => of_letters(&entity.keys().map(|(letter, _)| *letter).collect()),
    }
}

fn of_letters(letters: &BTreeSet<char>) -> Result<Scheme, SchemeError> {
    let all_in = |scheme: &Scheme| letters.iter().all(|letter| scheme.part(*letter).is_some());
    // Where ends are marked, an entity of several words needs its beginning and its end.
    let has = |any: &[char]| any.iter().any(|letter| letters.contains(letter));
    let (begins, ends) = (has(&['B']), has(&['E', 'L']));
    let whole = !has(&['E', 'L', 'S', 'U', 'M']) || begins == ends && (begins || !has(&['I', 'M']));
    let order = [Scheme::Io, Scheme::Bio, Scheme::Iobes, Scheme::Bilou, Scheme::Bmes];
    order.into_iter().find(|scheme| whole && all_in(scheme)).ok_or_else(|| {
        let letters: Vec<String> = letters.iter().map(char::to_string).collect();
        SchemeError::Letters { letters: letters.join(", ") }
    })
}

/// Letter and type of every tag that has one, with the tag.
fn check_types<'a>(tags: &BTreeSet<&'a str>) -> Result<BTreeMap<(char, &'a str), &'a str>, SchemeError> {
    let mut known = BTreeMap::new();
    for tag in tags {
        let Some((letter, kind)) = split(tag) else { continue };
        if kind.starts_with('-') || kind.ends_with('-') {
            return Err(SchemeError::Type { tag: (*tag).to_owned() });
        }
        if let Some(first) = known.insert((letter, kind), *tag) {
            return Err(SchemeError::Same { first: first.to_owned(), second: (*tag).to_owned() });
        }
    }
    Ok(known)
}

/// Refuses tags that are all of the form `b-per`, `B_PER` or `PER-B`.
fn respelled(tags: &BTreeSet<&str>) -> Result<(), SchemeError> {
    let mut first = None;
    for tag in tags.iter().filter(|tag| !tag.eq_ignore_ascii_case("o")) {
        let Some(meant) = meant(tag) else { return Ok(()) };
        first.get_or_insert(SchemeError::Spelling { tag: (*tag).to_owned(), meant });
    }
    first.map_or(Ok(()), Err)
}

fn meant(tag: &str) -> Option<String> {
    let is_letter = |part: &str| part.len() == 1 && "bimeslu".contains(&part.to_lowercase());
    let (left, right) = tag.split_once(['-', '_'])?;
    if is_letter(left) && !right.is_empty() {
        return Some(format!("{}-{right}", left.to_uppercase()));
    }
    let (left, right) = tag.rsplit_once(['-', '_'])?;
    (is_letter(right) && !left.is_empty()).then(|| format!("{}-{left}", right.to_uppercase()))
}

impl Scheme {
    /// What a tag says in this scheme, and its entity type.
    ///
    /// # Errors
    /// [`SchemeError::Unknown`] where the scheme has no such tag.
    pub(crate) fn read(self, tag: &str) -> Result<(Part, &str), SchemeError> {
        let unknown = || SchemeError::Unknown { tag: tag.to_owned(), scheme: self };
        if self == Scheme::Plain {
            return Ok((Part::Outside, ""));
        }
        let (letter, kind) = split(tag).ok_or_else(unknown)?;
        Ok((self.part(letter).ok_or_else(unknown)?, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tags: &str) -> Result<Scheme, SchemeError> {
        of_set(tags.split(' '))
    }

    fn rows(rows: &[&str]) -> Result<Scheme, SchemeError> {
        let mut recogniser = Recogniser::default();
        for (row, tags) in rows.iter().enumerate() {
            recogniser.push(row + 1, tags.split(' ').map(|tag| (tag != "-").then_some(tag)));
        }
        recogniser.finish()
    }

    #[test]
    fn a_set_of_tags_says_its_scheme() {
        let cases = [
            ("O", Scheme::Bio),
            ("O B-PER", Scheme::Bio),
            ("O B-PER I-PER", Scheme::Bio),
            ("B I", Scheme::Bio),
            ("O I-PER I-LOC", Scheme::Io),
            ("O B-PER I-PER E-PER S-PER", Scheme::Iobes),
            ("O B-PER E-PER", Scheme::Iobes),
            ("O S-PER", Scheme::Iobes),
            ("O B-PER I-PER L-PER", Scheme::Bilou),
            ("O U-PER", Scheme::Bilou),
            ("B M E S", Scheme::Bmes),
            ("NOUN VERB ADP", Scheme::Plain),
            ("NN-TL FW-IN , --", Scheme::Plain),
        ];
        for (tags, scheme) in cases {
            assert_eq!(set(tags), Ok(scheme), "{tags}");
        }
    }

    #[test]
    fn a_set_in_no_scheme_or_in_two_is_refused_with_what_it_looks_like() {
        let says = |tags: &str, text: &str| {
            let error = set(tags).unwrap_err().to_string();
            assert!(error.contains(text), "{tags}: {error}");
        };
        says("O B-PER NOUN", r#""B-PER" reads as part of an entity"#);
        says("O PER LOC", "IO scheme without its prefix");
        says("O PER LOC", "or as plain tags");
        says("O b-per i-per", r#""b-per" must be written "B-per""#);
        says("O B_PER I_PER", r#""B_PER" must be written "B-PER""#);
        says("O PER-B PER-I", r#""PER-B" must be written "B-PER""#);
        says("O B-PER I-PER S-PER", "B, I, O, S, which no scheme has together");
        says("O I-PER E-PER", "E, I, O, which no scheme has together");
        says("O B-PER E-PER L-PER", "no scheme has together");
        says("O B--PER", "begins or ends with a hyphen");
        says("O B-PER-", "begins or ends with a hyphen");
        says("B B-_", "mean the same");
        assert_eq!(of_set([]), Err(SchemeError::NoTags));
    }

    #[test]
    fn rows_tell_bio_from_iob1() {
        assert_eq!(rows(&["B-PER I-PER O", "O B-LOC B-LOC"]), Ok(Scheme::Bio));
        assert_eq!(rows(&["I-PER I-PER O", "O I-LOC B-LOC"]), Ok(Scheme::Iob1));
        assert_eq!(rows(&["I-PER I-LOC B-LOC I-LOC"]), Ok(Scheme::Iob1));
        assert_eq!(rows(&["I-PER I-PER O"]), Ok(Scheme::Io));
        // After a word without a tag nothing can be said.
        assert_eq!(rows(&["B-PER O - I-PER"]), Ok(Scheme::Bio));
        let both = rows(&["B-PER O", "O I-LOC"]).unwrap_err().to_string();
        assert!(both.contains("row 2, word 2 (I-LOC)") && both.contains("row 1, word 1 (B-PER)"), "{both}");
    }

    #[test]
    fn entities_must_end_where_ends_are_marked() {
        assert_eq!(rows(&["S-PER B-LOC I-LOC E-LOC", "- E-LOC"]), Ok(Scheme::Iobes));
        for (tags, said) in [
            ("S-PER B-LOC E-LOC B-LOC", "word 5 (the end of the row)"),
            ("B-PER O E-PER", "word 2 (O)"),
            (
                "B-PER E-PER E-PER",
                "word 3 (E-PER) the IOBES (BIOES) tags do not follow each other: no B- begins",
            ),
            ("B-PER E-LOC S-PER", "word 2 (E-LOC)"),
        ] {
            let error = rows(&[tags]).unwrap_err().to_string();
            assert!(error.contains(said), "{tags}: {error}");
        }
    }
}
