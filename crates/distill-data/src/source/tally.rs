//! What the labels of all rows have in common: which of the ways to read them are open.

use std::collections::BTreeMap;

use super::found::{Ask, Found, Several};
use super::labels::RawLabel;
use crate::error::Place;

/// More classes than any classifier has: the column holds something else.
pub(super) const MAX_LABELS: i64 = 1 << 20;
/// The longest vector whose places are counted.
const MAX_PLACES: usize = 1 << 16;

/// Labels of a source, counted as they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Rows with each class; of lists, each class once a row.
    pub counts: BTreeMap<RawLabel, u64>,
    pub lists: Lists,
    /// The first row with -1.
    pub minus_one: Option<Place>,
    /// A name in digits, such as `01`.
    pub digits: Option<String>,
    has_ids: bool,
    /// A name that is no number.
    word: Option<String>,
}

/// What lists have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lists {
    pub rows: u64,
    /// Values of every list; none where they differ.
    pub length: Option<usize>,
    /// Whether all values are 0 or 1.
    pub bits: bool,
    /// Whether any value is a floating-point number.
    pub floats: bool,
    /// The first list in which a value repeats, and the value.
    pub repeated: Option<(Place, RawLabel)>,
    /// Rows that have a 1 at each place.
    pub ones: Vec<u64>,
}

impl Lists {
    /// Whether they may be vectors of 0 and 1.
    pub fn vectors(&self) -> Option<usize> {
        self.length.filter(|length| self.bits && *length > 0)
    }

    fn add(&mut self, several: &Several, place: &Place) {
        let length = several.classes.len();
        let is_first = self.rows == 0;
        self.rows += 1;
        self.bits = (is_first || self.bits) && several.is_bits();
        self.length = if is_first { Some(length) } else { self.length.filter(|known| *known == length) };
        self.length = self.length.filter(|length| *length <= MAX_PLACES);
        self.floats |= several.floats;
        if self.repeated.is_none() {
            self.repeated = several.repeated().map(|class| (place.clone(), class.clone()));
        }
        match self.vectors() {
            None => self.ones.clear(),
            Some(length) => {
                self.ones.resize(length, 0);
                for (ones, bit) in self.ones.iter_mut().zip(&several.classes) {
                    *ones += u64::from(*bit == RawLabel::Id(1));
                }
            }
        }
    }
}

impl Tally {
    /// Counts the label of one row.
    ///
    /// # Errors
    /// What cannot be a label together with those before it.
    pub fn add(&mut self, found: &Found, ask: Ask, place: &Place) -> Result<(), String> {
        match found {
            Found::Number(_) | Found::Answers(_) | Found::Spans(_) => Ok(()),
            Found::One(class) => self.class(class, ask, place),
            Found::Tags(tags) => tags.iter().flatten().try_for_each(|class| self.class(class, ask, place)),
            Found::Several(several) => {
                self.lists.add(several, place);
                let mut classes = several.classes.clone();
                classes.sort();
                classes.dedup();
                classes.iter().try_for_each(|class| self.class(class, ask, place))
            }
        }
    }

    fn class(&mut self, class: &RawLabel, ask: Ask, place: &Place) -> Result<(), String> {
        match class {
            RawLabel::Id(-1) => self.minus_one = self.minus_one.take().or_else(|| Some(place.clone())),
            RawLabel::Id(id) if *id < 0 => return Err(format!("{id} is not a label id; label ids start at 0")),
            RawLabel::Id(_) => self.has_ids = true,
            RawLabel::Name(name) if in_digits(name) && ask.label_type.is_none() => {
                self.digits.get_or_insert_with(|| name.clone());
            }
            RawLabel::Name(name) => {
                self.word.get_or_insert_with(|| name.clone());
            }
        }
        if let (true, Some(word)) = (self.has_ids, &self.word) {
            let first = match class {
                RawLabel::Id(_) => format!("{word:?}"),
                RawLabel::Name(_) => self.counts.keys().next().map(RawLabel::to_string).unwrap_or_default(),
            };
            return Err(format!(
                "{class} among labels such as {first}: names and ids cannot be mixed (--label-type name reads all of \
                 them as names)"
            ));
        }
        if self.counts.len() as i64 >= MAX_LABELS && !self.counts.contains_key(class) {
            return Err("too many different labels for classes".to_owned());
        }
        *self.counts.entry(class.clone()).or_default() += 1;
        Ok(())
    }

    /// Whether numbers stand among names in digits, such as one that begins with zeros: codes, which are names.
    pub fn are_codes(&self) -> bool {
        self.has_ids && self.digits.is_some()
    }
}

/// A whole number in digits, however it is written.
pub(super) fn in_digits(name: &str) -> bool {
    let digits = name.strip_prefix(['-', '+']).unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
