//! How the labels of a source are read, once all of them have been seen: from what stands in a row to a name or an id
//! of the label map.

use std::collections::BTreeMap;
use std::sync::Arc;

use distill_task::Label;
use distill_task::tags::Scheme;
use distill_task::tags::set::to_bio;

use super::found::{Found, Several};
use super::labels::RawLabel;

/// How the labels of one source are read for one label map. By default numbers are ids, all else is a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// A list has a 0 or 1 for each class.
    pub(super) multi_hot: bool,
    /// -1 stands where a row has no label.
    pub(super) minus_one: bool,
    pub(super) ids: Ids,
    /// Names of the data, and those of the label map that they stand for.
    pub(super) translation: Option<Arc<BTreeMap<String, String>>>,
    /// The scheme of the data's tags, where they become BIO.
    pub(super) to_bio: Option<Scheme>,
}

/// What a number stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Ids {
    /// An id of the label map.
    #[default]
    AsTheyAre,
    /// A name in digits.
    AsNames,
    /// The name at this place of a list.
    Named(Arc<[String]>),
    /// An id of the label map; a name is the id of its place in a list.
    Positions(Arc<[String]>),
}

impl Reading {
    /// Lists with a 0 or 1 for each class.
    pub(crate) fn vectors() -> Self {
        Reading { multi_hot: true, ..Reading::default() }
    }

    /// The label of one row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn apply(&self, found: Found) -> Result<Option<Label<RawLabel>>, String> {
        match found {
            Found::Number(value) => Ok(Some(Label::Value(value))),
            Found::One(RawLabel::Id(-1)) if self.minus_one => Ok(None),
            Found::One(class) => self.class(class).map(|class| Some(Label::Class(class))),
            Found::Several(several) if self.multi_hot => self.vector(&several).map(Some),
            Found::Several(several) => self.list(several).map(Some),
            Found::Spans(spans) => Ok(Some(Label::Spans(spans))),
            Found::Answers(_) => Err("answers without a text".to_owned()),
            Found::Tags(tags) => self.tags(tags).map(|tags| Some(Label::Tags(tags))),
        }
    }

    fn list(&self, several: Several) -> Result<Label<RawLabel>, String> {
        if let Some(class) = several.repeated() {
            return Err(format!("label {class} occurs twice"));
        }
        several.classes.into_iter().map(|class| self.class(class)).collect::<Result<_, _>>().map(Label::Classes)
    }

    /// Tags as they are, or as BIO.
    fn tags(&self, tags: Vec<Option<RawLabel>>) -> Result<Vec<Option<RawLabel>>, String> {
        let tags = tags.into_iter().map(|tag| tag.map(|tag| self.class(tag)).transpose());
        let tags: Vec<Option<RawLabel>> = tags.collect::<Result<_, _>>()?;
        let Some(scheme) = self.to_bio else { return Ok(tags) };
        let names: Vec<Option<String>> = tags.iter().map(|tag| tag.as_ref().map(RawLabel::to_name)).collect();
        let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
        let converted = to_bio(scheme, &names).map_err(|error| error.to_string())?;
        Ok(converted.into_iter().map(|tag| tag.map(RawLabel::Name)).collect())
    }

    /// A place in a vector is an id, whatever numbers are otherwise.
    fn vector(&self, several: &Several) -> Result<Label<RawLabel>, String> {
        let places = several.classes.iter().zip(0..).filter(|(bit, _)| **bit == RawLabel::Id(1));
        let classes = places.map(|(_, place)| match &self.ids {
            Ids::Named(_) => self.class(RawLabel::Id(place)),
            _ => Ok(RawLabel::Id(place)),
        });
        classes.collect::<Result<_, _>>().map(Label::Classes)
    }

    /// One class. What is translated is the label as it stands in the data, or the name that its number stands for.
    pub(super) fn class(&self, class: RawLabel) -> Result<RawLabel, String> {
        let translated = |name: &str| Some(RawLabel::Name(self.translation.as_ref()?.get(name)?.clone()));
        if let Some(name) = translated(&class.to_name()) {
            return Ok(name);
        }
        let class = self.named(class)?;
        Ok(match &class {
            RawLabel::Name(name) => translated(name).unwrap_or(class),
            RawLabel::Id(_) => class,
        })
    }

    fn named(&self, class: RawLabel) -> Result<RawLabel, String> {
        match (&self.ids, class) {
            (Ids::AsNames, RawLabel::Id(id)) => Ok(RawLabel::Name(id.to_string())),
            (Ids::Named(names), RawLabel::Id(id)) => {
                match usize::try_from(id).ok().and_then(|id| names.get(id)) {
                    Some(name) => Ok(RawLabel::Name(name.clone())),
                    None => Err(format!("{id} is outside 0..{}, the label names of the data", names.len())),
                }
            }
            (Ids::Positions(names), RawLabel::Name(name)) => {
                match names.iter().zip(0..).find(|(known, _)| **known == name) {
                    Some((_, place)) => Ok(RawLabel::Id(place)),
                    None => Ok(RawLabel::Name(name)),
                }
            }
            (_, class) => Ok(class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: i64) -> RawLabel {
        RawLabel::Id(id)
    }

    fn several(classes: &[i64]) -> Found {
        Found::Several(Several { classes: classes.iter().map(|class| id(*class)).collect(), floats: false })
    }

    #[test]
    fn a_vector_has_ids_by_place_and_a_list_has_each_class_once() {
        let vectors = Reading { multi_hot: true, ids: Ids::AsNames, ..Reading::default() };
        assert_eq!(vectors.apply(several(&[1, 0, 1])), Ok(Some(Label::Classes(vec![id(0), id(2)]))));
        assert_eq!(vectors.apply(several(&[0, 0])), Ok(Some(Label::Classes(vec![]))));
        let lists = Reading::default();
        assert_eq!(lists.apply(several(&[2, 0])), Ok(Some(Label::Classes(vec![id(2), id(0)]))));
        assert!(lists.apply(several(&[1, 1])).unwrap_err().contains("occurs twice"));
    }

    #[test]
    fn numbers_are_ids_names_or_places_among_names() {
        let names: Arc<[String]> = ["neg", "pos"].map(str::to_owned).into();
        let one = |ids, class| Reading { ids, ..Reading::default() }.apply(Found::One(class));
        let name = |name: &str| RawLabel::Name(name.to_owned());
        assert_eq!(one(Ids::AsNames, id(5)), Ok(Some(Label::Class(name("5")))));
        assert_eq!(one(Ids::Named(Arc::clone(&names)), id(1)), Ok(Some(Label::Class(name("pos")))));
        assert!(one(Ids::Named(Arc::clone(&names)), id(2)).unwrap_err().contains("outside 0..2"));
        assert_eq!(one(Ids::Positions(names), name("pos")), Ok(Some(Label::Class(id(1)))));
        let unlabelled = Reading { minus_one: true, ..Reading::default() };
        assert_eq!(unlabelled.apply(Found::One(id(-1))), Ok(None));
    }
}
