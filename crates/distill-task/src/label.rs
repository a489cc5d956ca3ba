//! What a row is labelled with.

use distill_core::LabelMap;
use serde::{Deserialize, Serialize};

/// The label of a row, of classes `C`: as the data have them, or their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label<C> {
    /// One class.
    Class(C),
    /// Any number of classes, each once.
    Classes(Vec<C>),
    /// A finite number.
    Value(f64),
    /// One class for each word; none where a word is not supervised.
    Tags(Vec<Option<C>>),
    /// Parts of a text that answer a question. Empty: the text has no answer.
    Spans(Vec<Span>),
}

/// A part of a text, or of a row's positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Its first character or position.
    pub start: u32,
    /// The one after its last.
    pub end: u32,
}

/// Which variant of [`Label`] the rows of a task have. It decides the columns of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelShape {
    /// [`Label::Class`]
    Class,
    /// [`Label::Classes`]
    Classes,
    /// [`Label::Value`]
    Value,
    /// [`Label::Tags`]
    Tags,
    /// [`Label::Spans`]
    Spans,
}

/// What a column of labels holds in a file; null where a row has no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LabelColumn {
    /// The id of a class.
    Integer,
    /// A list of ids, or of the start and end of each span in turn.
    Integers,
    /// A list of ids, of which each may be null.
    NullableIntegers,
    /// A number.
    Number,
}

impl LabelColumn {
    /// Whether a row has a list.
    pub fn is_list(self) -> bool {
        matches!(self, LabelColumn::Integers | LabelColumn::NullableIntegers)
    }
}

impl<C: PartialEq> Label<C> {
    /// Of a row's label and what is predicted for it: positions that are right, and positions that have a label.
    pub fn hits(&self, predicted: &Self) -> [u64; 2] {
        match (self, predicted) {
            (Label::Tags(tags), Label::Tags(predicted)) => {
                let labelled = tags.iter().zip(predicted).filter(|(tag, _)| tag.is_some());
                let right = labelled.clone().filter(|(tag, predicted)| tag == predicted).count();
                [right as u64, labelled.count() as u64]
            }
            _ => [u64::from(self == predicted), 1],
        }
    }
}

impl Label<i32> {
    /// It with the names of its classes, for messages.
    pub fn shown(&self, map: &LabelMap) -> String {
        let name = |class: &i32| {
            let name = usize::try_from(*class).ok().and_then(|class| map.name(class));
            name.map_or("missing".to_owned(), |name| format!("{name:?}"))
        };
        let list = |names: Vec<String>| format!("[{}]", names.join(", "));
        match self {
            Label::Class(class) => name(class),
            Label::Classes(classes) => list(classes.iter().map(name).collect()),
            Label::Value(value) => value.to_string(),
            Label::Tags(tags) => {
                list(tags.iter().map(|tag| tag.as_ref().map_or("none".to_owned(), name)).collect())
            }
            Label::Spans(spans) => {
                list(spans.iter().map(|span| format!("{} to {}", span.start, span.end)).collect())
            }
        }
    }

    /// The integers of a list in a file, as [`LabelShape::column`] says; empty for a number.
    pub fn integers(&self) -> Vec<Option<i32>> {
        match self {
            Label::Tags(tags) => tags.clone(),
            Label::Spans(spans) => {
                let ends = spans.iter().flat_map(|span| [span.start, span.end]);
                ends.map(|end| i32::try_from(end).ok()).collect()
            }
            label => label.classes().map(|class| Some(*class)).collect(),
        }
    }
}

impl<C> Label<C> {
    /// All classes in it, in order. A number and spans have none.
    pub fn classes(&self) -> impl Iterator<Item = &C> {
        let (list, tags): (&[C], &[Option<C>]) = match self {
            Label::Class(class) => (std::slice::from_ref(class), &[]),
            Label::Classes(classes) => (classes, &[]),
            Label::Tags(tags) => (&[], tags),
            Label::Value(_) | Label::Spans(_) => (&[], &[]),
        };
        list.iter().chain(tags.iter().flatten())
    }

    /// Its shape.
    pub fn shape(&self) -> LabelShape {
        match self {
            Label::Class(_) => LabelShape::Class,
            Label::Classes(_) => LabelShape::Classes,
            Label::Value(_) => LabelShape::Value,
            Label::Tags(_) => LabelShape::Tags,
            Label::Spans(_) => LabelShape::Spans,
        }
    }

    /// The same label of other classes.
    ///
    /// # Errors
    /// The first error of `class`.
    pub fn try_map<D, E>(&self, mut class: impl FnMut(&C) -> Result<D, E>) -> Result<Label<D>, E> {
        Ok(match self {
            Label::Class(one) => Label::Class(class(one)?),
            Label::Classes(classes) => Label::Classes(classes.iter().map(class).collect::<Result<_, E>>()?),
            Label::Value(value) => Label::Value(*value),
            Label::Tags(tags) => {
                let tags = tags.iter().map(|tag| tag.as_ref().map(&mut class).transpose());
                Label::Tags(tags.collect::<Result<_, E>>()?)
            }
            Label::Spans(spans) => Label::Spans(spans.clone()),
        })
    }
}

impl LabelShape {
    /// Whether a label consists of classes, which have counts and weights.
    pub fn has_classes(self) -> bool {
        matches!(self, LabelShape::Class | LabelShape::Classes | LabelShape::Tags)
    }

    /// What a column of such labels holds in a file.
    pub fn column(self) -> LabelColumn {
        match self {
            LabelShape::Class => LabelColumn::Integer,
            LabelShape::Classes | LabelShape::Spans => LabelColumn::Integers,
            LabelShape::Tags => LabelColumn::NullableIntegers,
            LabelShape::Value => LabelColumn::Number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_every_shape() {
        let classes = |label: Label<i32>| label.classes().copied().collect::<Vec<_>>();
        assert_eq!(classes(Label::Class(3)), [3]);
        assert_eq!(classes(Label::Classes(vec![2, 0])), [2, 0]);
        assert_eq!(classes(Label::Tags(vec![Some(1), None, Some(0)])), [1, 0]);
        assert!(classes(Label::Value(1.0)).is_empty());
    }

    #[test]
    fn messages_show_the_names_of_classes() {
        let map = LabelMap::new(["O", "B-PER"]).unwrap();
        assert_eq!(Label::Class(1).shown(&map), "\"B-PER\"");
        assert_eq!(Label::Tags(vec![Some(0), None]).shown(&map), "[\"O\", none]");
        assert_eq!(Label::Class(7).shown(&map), "missing");
        assert_eq!(Label::Spans(vec![Span { start: 2, end: 5 }]).shown(&map), "[2 to 5]");
    }

    #[test]
    fn a_row_counts_by_its_labelled_positions() {
        let tags = Label::Tags(vec![Some(1), None, Some(0)]);
        assert_eq!(tags.hits(&Label::Tags(vec![Some(1), Some(5), Some(2)])), [1, 2]);
        assert_eq!(Label::Class(1).hits(&Label::Class(1)), [1, 1]);
        assert_eq!(Label::Classes(vec![0, 2]).hits(&Label::Classes(vec![0])), [0, 1]);
    }

    #[test]
    fn a_label_keeps_its_shape_when_its_classes_change() {
        let named = |id: &i32| if *id < 3 { Ok(id.to_string()) } else { Err(*id) };
        let tags = Label::Tags(vec![Some(1), None]);
        assert_eq!(tags.try_map(named), Ok(Label::Tags(vec![Some("1".to_owned()), None])));
        assert_eq!(tags.try_map(named).unwrap().shape(), LabelShape::Tags);
        assert_eq!(Label::Classes(vec![1, 7]).try_map(named), Err(7));
        assert_eq!(Label::Value(0.5).try_map(named), Ok(Label::Value(0.5)));
    }

    #[test]
    fn json_has_a_class_a_list_or_a_number() {
        for (label, json) in [
            (Label::Class(2), "2"),
            (Label::Classes(vec![2, 0]), "[2,0]"),
            (Label::Value(0.5), "0.5"),
            (Label::Tags(vec![Some(1), None]), "[1,null]"),
        ] {
            assert_eq!(serde_json::to_string(&label).unwrap(), json);
            assert_eq!(serde_json::from_str::<Label<i32>>(json).unwrap(), label);
        }
    }
}
