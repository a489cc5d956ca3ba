//! Entities from a row's tags, as seqeval 1.2.2 finds them.

use super::scheme::{Part, Scheme};
use super::set::{Tag, TagSet};

/// How tags that do not follow their scheme are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As `conlleval` and seqeval by default: an entity also begins with `I-` or `E-`, and ends wherever another
    /// begins.
    Default,
    /// As seqeval with `mode="strict"` and the scheme: an entity counts only where all its tags are the scheme's.
    Strict,
}

/// An entity: words of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// The first word.
    pub start: usize,
    /// One after the last word.
    pub end: usize,
    /// Its type, an index into [`TagSet::types`].
    pub kind: usize,
}

impl TagSet {
    /// The entities of one row's tags, in their order; none of plain tags.
    ///
    /// # Panics
    /// Where an id is not below [`TagSet::len`].
    pub fn entities(&self, ids: &[usize], mode: Mode) -> Vec<Entity> {
        match (self.scheme(), mode) {
            (Scheme::Plain, _) => Vec::new(),
            (_, Mode::Default) => self.lenient(ids),
            (Scheme::Iob1 | Scheme::Io, Mode::Strict) => self.strict(ids, &IOB1),
            (Scheme::Bio, Mode::Strict) => self.strict(ids, &IOB2),
            (Scheme::Iobes | Scheme::Bilou | Scheme::Bmes, Mode::Strict) => self.strict(ids, &IOBES),
        }
    }

    /// Source: `seqeval.metrics.sequence_labeling.get_entities`. It knows B, I, E, S and O; `L-` and `U-` of BILOU and
    /// `M-` of BMES are read as the letters that mean the same.
    fn lenient(&self, ids: &[usize]) -> Vec<Entity> {
        let mut found = Vec::new();
        let mut before = OUTSIDE;
        let mut start = 0;
        for word in 0..=ids.len() {
            let tag = ids.get(word).map_or(OUTSIDE, |id| self.tag(*id));
            let same = before.kind == tag.kind;
            if ends(before.part, tag.part, same) {
                found.push(Entity { start, end: word, kind: before.kind });
            }
            if starts(before.part, tag.part, same) {
                start = word;
            }
            before = tag;
        }
        found
    }

    /// Source: `seqeval.scheme.Tokens.entities`, also where it finds less than a scheme says: in IOB1 an entity that
    /// `B-` of another type follows is not counted.
    fn strict(&self, ids: &[usize], patterns: &Patterns) -> Vec<Entity> {
        let tag = |word: usize| ids.get(word).map_or(OUTSIDE, |id| self.tag(*id));
        let mut found = Vec::new();
        let (mut word, mut before) = (0, OUTSIDE);
        while word < ids.len() {
            let first = tag(word);
            if !matches(patterns.start, before, first) {
                word += 1;
                before = first;
                continue;
            }
            let mut end = word + 1;
            while matches(patterns.inside, tag(end - 1), tag(end)) {
                end += 1;
            }
            if matches(patterns.end, tag(end - 1), tag(end)) {
                found.push(Entity { start: word, end, kind: first.kind });
            }
            word = end;
            before = tag(end - 1);
        }
        found
    }
}

const OUTSIDE: Tag = Tag { part: Part::Outside, kind: 0 };

/// True where an entity begins with a word, leniently. Source: seqeval's `start_of_chunk`.
pub(crate) fn starts(before: Part, part: Part, same_kind: bool) -> bool {
    match part {
        Part::Outside => false,
        Part::Begin | Part::Single => true,
        Part::Inside | Part::End => matches!(before, Part::Outside | Part::End | Part::Single) || !same_kind,
    }
}

/// True where an entity ends before a word, leniently. Source: seqeval's `end_of_chunk`.
fn ends(before: Part, part: Part, same_kind: bool) -> bool {
    match before {
        Part::Outside => false,
        Part::End | Part::Single => true,
        Part::Begin | Part::Inside => matches!(part, Part::Begin | Part::Single | Part::Outside) || !same_kind,
    }
}

/// Whether two words in turn must have one type.
#[derive(Clone, Copy)]
enum Kinds {
    Any,
    Same,
    Differ,
}

type Pattern = (&'static [Part], &'static [Part], Kinds);

/// Which words in turn begin, continue and end an entity: seqeval's `start_patterns`, `inside_patterns` and
/// `end_patterns` of a scheme.
struct Patterns {
    start: &'static [Pattern],
    inside: &'static [Pattern],
    end: &'static [Pattern],
}

const ANY: &[Part] = &[Part::Outside, Part::Begin, Part::Inside, Part::End, Part::Single];
const O: &[Part] = &[Part::Outside];
const B: &[Part] = &[Part::Begin];
const I: &[Part] = &[Part::Inside];

const CONTINUED: &[Pattern] = &[(B, I, Kinds::Same), (I, I, Kinds::Same)];

const IOB1: Patterns = Patterns {
    start: &[
        (O, I, Kinds::Any),
        (I, I, Kinds::Differ),
        (B, I, Kinds::Any),
        (I, B, Kinds::Same),
        (B, B, Kinds::Same),
    ],
    inside: CONTINUED,
    end: &[
        (I, I, Kinds::Differ),
        (I, O, Kinds::Any),
        (I, B, Kinds::Any),
        (B, O, Kinds::Any),
        (B, I, Kinds::Differ),
        (B, B, Kinds::Same),
    ],
};

const IOB2: Patterns = Patterns {
    start: &[(ANY, B, Kinds::Any)],
    inside: CONTINUED,
    end: &[
        (I, O, Kinds::Any),
        (I, I, Kinds::Differ),
        (I, B, Kinds::Any),
        (B, O, Kinds::Any),
        (B, I, Kinds::Differ),
        (B, B, Kinds::Any),
    ],
};

/// The same for BILOU and BMES, whose letters mean the same.
const IOBES: Patterns = Patterns {
    start: &[(ANY, &[Part::Begin, Part::Single], Kinds::Any)],
    inside: &[(&[Part::Begin, Part::Inside], &[Part::Inside, Part::End], Kinds::Same)],
    end: &[(&[Part::End, Part::Single], ANY, Kinds::Any)],
};

fn matches(patterns: &[Pattern], before: Tag, tag: Tag) -> bool {
    patterns.iter().any(|(left, right, kinds)| {
        let kinds_match = match kinds {
            Kinds::Any => true,
            Kinds::Same => before.kind == tag.kind,
            Kinds::Differ => before.kind != tag.kind,
        };
        left.contains(&before.part) && right.contains(&tag.part) && kinds_match
    })
}
