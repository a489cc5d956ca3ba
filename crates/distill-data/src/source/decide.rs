//! Which reading of labels a label map and the data leave, and what to say of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use distill_core::{LabelError, LabelMap};

use super::Source;
use super::found::LabelType;
use super::label_names::LabelNames;
use super::labels::RawLabel;
use super::note::Note;
use super::reading::{Ids, Reading};
use super::summary::Summary;
use super::tally::MAX_LABELS;
use crate::error::{DataError, name_list};

/// How labels of the data are read for a label map.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// How.
    pub reading: Reading,
    /// What to say of it.
    pub notes: Vec<Note>,
}

/// Names that stand for the ids of the data, and who says so.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) names: Arc<[String]>,
    /// Whether a file of names does, and not the data themselves.
    asked: bool,
}

impl Summary {
    /// How the labels are read for the label map of a model.
    ///
    /// # Errors
    /// [`DataError::Label`] and [`DataError::Value`] where they can be read in two ways, or where the data's own
    /// label names are not those of the map.
    pub fn fit(&self, source: &Source, map: &LabelMap) -> Result<Fitted, DataError> {
        let mut fit = self.begin(source);
        if !self.problem_type.label_shape().has_classes() {
            return Ok(fit);
        }
        self.lists(source, Some(map.num_labels()), &mut fit)?;
        match names_of(source)? {
            Some(names) => self.by_names(&names, map, &mut fit)?,
            None if source.label_type() == Some(LabelType::Id) => {}
            None => self.numbers(map, &mut fit),
        }
        self.tags_for(map, &mut fit)?;
        Ok(fit)
    }

    /// The label map that the data call for, and how they are read for it: the names that a file gives or that a
    /// Parquet file carries, else the label names in order, else `LABEL_0` to the largest id. Numbers that are no
    /// ids from 0 on are names.
    ///
    /// # Errors
    /// As [`Summary::fit`]; [`DataError::Label`] without any label, for an id beyond the names, or a name that is
    /// not among them.
    pub fn own_map(&self, source: &Source) -> Result<(LabelMap, Fitted), DataError> {
        let failed = |source: LabelError| DataError::Labels { file: self.path.clone(), source };
        let mut fit = self.begin(source);
        if !self.problem_type.label_shape().has_classes() {
            let outputs = self.problem_type.fixed_labels().unwrap_or(1);
            return Ok((LabelMap::numbered(outputs).map_err(failed)?, fit));
        }
        let names = names_of(source)?;
        if let Some((map, fit)) = self.own_tags(names.clone(), fit.clone())? {
            self.all_known(&map, &fit.reading)?;
            return Ok((map, fit));
        }
        self.lists(source, names.as_ref().map(|names| names.names.len()), &mut fit)?;
        if let Some(names) = names {
            let map = LabelMap::new(names.names.iter().cloned()).map_err(failed)?;
            self.by_names(&names, &map, &mut fit)?;
            self.all_known(&map, &fit.reading)?;
            return Ok((map, fit));
        }
        if fit.reading.multi_hot {
            return Ok((LabelMap::numbered(self.tally.lists.ones.len()).map_err(failed)?, fit));
        }
        let counts = self.counts(&fit.reading);
        let Some(first) = counts.keys().next() else {
            return Err(failed(LabelError::Unlabelled));
        };
        let ids = !matches!(first, RawLabel::Name(_));
        if ids && source.label_type() != Some(LabelType::Id) {
            self.sparse(&counts, &mut fit);
        }
        let map = match counts.keys().next_back() {
            Some(RawLabel::Id(last)) if fit.reading.ids != Ids::AsNames => {
                if *last >= MAX_LABELS {
                    return Err(
                        self.unfit(format!("{last} is not a label id; label ids are 0 to {}", MAX_LABELS - 1))
                    );
                }
                LabelMap::numbered(usize::try_from(*last).unwrap_or_default() + 1)
            }
            _ => LabelMap::new(in_order(counts.keys().map(RawLabel::to_name).collect())),
        };
        Ok((map.map_err(failed)?, fit))
    }

    /// How labels are read for other rows to be written of them: ids that the data name become their names, and
    /// what a file of names says is left to whoever reads those rows.
    ///
    /// # Errors
    /// As [`Summary::fit`].
    pub fn portable(&self, source: &Source) -> Result<Reading, DataError> {
        let mut fit = self.begin(source);
        fit.reading.translation = None;
        if self.problem_type.label_shape().has_classes() {
            let names = names_of(source)?;
            self.lists(source, names.as_ref().map(|names| names.names.len()), &mut fit)?;
            // A place in a vector stays a place.
            if let Some(names) = names.filter(|names| !names.asked && !fit.reading.multi_hot) {
                fit.reading.ids = Ids::Named(names.names);
            }
        }
        Ok(fit.reading)
    }

    /// How often each class occurs, as it is read; empty where labels are numbers.
    pub fn counts(&self, reading: &Reading) -> BTreeMap<RawLabel, u64> {
        let of_places = self.tally.lists.ones.iter().zip(0..).filter(|(count, _)| **count > 0);
        let counted: Vec<(RawLabel, u64)> = match reading.multi_hot {
            true => of_places.map(|(count, place)| (RawLabel::Id(place), *count)).collect(),
            false => self.label_counts.iter().map(|(class, count)| (class.clone(), *count)).collect(),
        };
        let mut counts = BTreeMap::new();
        for (class, count) in counted {
            let is_place = reading.multi_hot && !matches!(reading.ids, Ids::Named(_));
            let class = if is_place { class } else { reading.class(class.clone()).unwrap_or(class) };
            *counts.entry(class).or_default() += count;
        }
        counts
    }

    /// How many values of 0 and 1 each list has, where lists are read so.
    pub fn vector_length(&self, reading: &Reading) -> Option<usize> {
        reading.multi_hot.then_some(self.tally.lists.ones.len())
    }

    /// Whether every label of the data, read so, is one of the map's.
    pub fn is_known(&self, map: &LabelMap, reading: &Reading) -> bool {
        self.possible(reading).iter().all(|class| class.id_in(map).is_some())
    }

    fn begin(&self, source: &Source) -> Fitted {
        let mut reading = self.reading.clone();
        if let Some(LabelNames::Translated(names)) = source.label_names() {
            reading.translation = Some(Arc::clone(names));
        }
        Fitted { reading, notes: Vec::new() }
    }

    pub(super) fn unfit(&self, what: String) -> DataError {
        DataError::Label { file: self.path.clone(), what }
    }

    fn all_known(&self, map: &LabelMap, reading: &Reading) -> Result<(), DataError> {
        let classes = self.possible(reading);
        match classes.iter().find(|class| class.id_in(map).is_none()) {
            None => Ok(()),
            Some(RawLabel::Id(id)) => Err(self.unfit(format!("label {id} is outside 0..{}", map.num_labels()))),
            Some(RawLabel::Name(name)) => {
                Err(self.unfit(format!("label {name:?} is not one of {}", name_list(map.names()))))
            }
        }
    }

    /// Whether lists are classes or vectors of 0 and 1.
    fn lists(&self, source: &Source, num_labels: Option<usize>, fit: &mut Fitted) -> Result<(), DataError> {
        let lists = &self.tally.lists;
        let asked = source.label_type();
        if lists.rows == 0 {
            return Ok(());
        }
        let file = self.path.display();
        let column = source.columns().label_name();
        let as_classes = || match &lists.repeated {
            Some((place, class)) => Err(DataError::value(place, column, format!("label {class} occurs twice"))),
            None => Ok(()),
        };
        let Some(length) = lists.vectors() else {
            return match asked {
                Some(LabelType::MultiHot) => Err(self.unfit(format!(
                    "column {column:?}: --label-type multi_hot needs lists of 0 and 1 of the same length"
                ))),
                _ => as_classes(),
            };
        };
        let as_long = num_labels.is_none_or(|labels| labels == length);
        let is_vector = match asked {
            Some(LabelType::MultiHot) => true,
            Some(LabelType::Id | LabelType::Name) => false,
            None => lists.floats || lists.repeated.is_some() || num_labels == Some(length),
        };
        if is_vector && !as_long {
            return Err(self.unfit(format!(
                "column {column:?}: every list has {length} values of 0 or 1, but there are {} labels: neither a \
                 value for each label (multi-hot) nor a list of different ids",
                num_labels.unwrap_or_default()
            )));
        }
        if is_vector {
            fit.reading.multi_hot = true;
            let text = format!("{file}: each list is read as a 0 or 1 for each of {length} labels (multi-hot)");
            fit.notes.push(Note::said(text));
            return Ok(());
        }
        if asked.is_none() && num_labels.is_none() && length > 1 {
            return Err(self.unfit(format!(
                "column {column:?}: its lists can be read as a 0 or 1 for each of {length} labels or as label ids; \
                 choose with --label-type multi_hot or --label-type id"
            )));
        }
        as_classes()
    }

    /// Ids that names stand for.
    fn by_names(&self, names: &Names, map: &LabelMap, fit: &mut Fitted) -> Result<(), DataError> {
        let own = &*names.names;
        if own == map.names() {
            return Ok(());
        }
        let file = self.path.display();
        let who = if names.asked { "the file of label names" } else { "the data" };
        if map.is_numbered() {
            if own.len() != map.num_labels() {
                return Err(self.unfit(format!(
                    "{who} has {} labels ({}), but the model has {}, without names",
                    own.len(),
                    name_list(own),
                    map.num_labels()
                )));
            }
            fit.reading.ids = Ids::Positions(Arc::clone(&names.names));
            fit.notes.push(Note::said(format!(
                "{file}: the model's labels have no names; the names of {who} are used in their order: {}",
                name_list(own)
            )));
            return Ok(());
        }
        let before = self.counts(&fit.reading);
        let named = Reading { ids: Ids::Named(Arc::clone(&names.names)), ..fit.reading.clone() };
        let has_ids = before.keys().any(|class| matches!(class, RawLabel::Id(_)));
        if !has_ids && !fit.reading.multi_hot {
            return Ok(());
        }
        if let Some(missing) = own.iter().find(|name| map.id(name).is_none())
            && !self.is_known(map, &named)
        {
            return Err(self.unfit(format!(
                "{who} has the labels {}, the model has {}; {missing:?} is not one of the model's. Translate with \
                 --label-map FILE ({{\"{missing}\": \"…\"}}), or use the ids unchanged with --label-type id",
                name_list(own),
                name_list(map.names())
            )));
        }
        fit.reading = named;
        fit.notes.push(Note::said(format!(
            "{file}: label ids are read by their names in {who} ({}), because the model has these names in another \
             order",
            name_list(own)
        )));
        Ok(())
    }

    /// Numbers where the map has names in digits: names win.
    fn numbers(&self, map: &LabelMap, fit: &mut Fitted) {
        if fit.reading.ids != Ids::AsTheyAre || fit.reading.multi_hot {
            return;
        }
        let counts = self.counts(&fit.reading);
        let ids: Vec<i64> = counts
            .keys()
            .filter_map(|class| if let RawLabel::Id(id) = class { Some(*id) } else { None })
            .collect();
        let as_name = |id: i64| map.id(&id.to_string());
        let as_id = |id: i64| usize::try_from(id).ok().filter(|id| *id < map.num_labels());
        let in_digits = |name: &String| name.parse::<i64>().is_ok_and(|number| number.to_string() == *name);
        if !map.names().iter().any(in_digits)
            || ids.iter().all(|id| as_name(*id).is_some() && as_name(*id) == as_id(*id))
        {
            return;
        }
        let file = self.path.display();
        let all_named = ids.iter().all(|id| as_name(*id).is_some());
        if all_named || map.names().iter().all(in_digits) {
            fit.reading.ids = Ids::AsNames;
            fit.notes.push(Note::said(format!(
                "{file}: the model's labels are numbers by name ({}): labels are read as these names, not as ids \
                 (--label-type id reads ids)",
                name_list(map.names())
            )));
        } else if ids.iter().all(|id| as_id(*id).is_some()) {
            fit.notes.push(Note::warning(format!(
                "{file}: labels are read as ids 0 to {}, though the model has labels with numbers for names ({}); \
                 --label-type name reads names",
                map.num_labels() - 1,
                name_list(map.names())
            )));
        }
    }

    /// Numbers with gaps: codes are names.
    fn sparse(&self, counts: &BTreeMap<RawLabel, u64>, fit: &mut Fitted) {
        let (Some(RawLabel::Id(first)), Some(RawLabel::Id(last))) =
            (counts.keys().next(), counts.keys().next_back())
        else {
            return;
        };
        let (different, outputs) = (counts.len() as i64, last.saturating_add(1));
        if different == outputs {
            return;
        }
        let file = self.path.display();
        if *first > 0 || different < outputs - different {
            fit.reading.ids = Ids::AsNames;
            fit.notes.push(Note::said(format!(
                "{file}: labels are {different} different numbers from {first} to {last}: read as names \
                 (--label-type id makes a head of {outputs} outputs)"
            )));
        } else {
            fit.notes.push(Note::warning(format!(
                "{file}: labels are read as ids 0 to {last}, of which only {different} occur (--label-type name reads \
                 them as names)"
            )));
        }
    }
}

/// The names of the data's ids: those of a file that the user gives, else those that the data carry.
pub(super) fn names_of(source: &Source) -> Result<Option<Names>, DataError> {
    if let Some(LabelNames::Ordered(names)) = source.label_names() {
        return Ok(Some(Names { names: Arc::clone(names), asked: true }));
    }
    if let Some(LabelType::Id | LabelType::Name) = source.label_type() {
        return Ok(None);
    }
    Ok(source.class_names()?.map(|names| Names { names: names.into(), asked: false }))
}

/// Names in order: numbers by their value, others by their letters.
pub(super) fn in_order(mut names: Vec<String>) -> Vec<String> {
    let value = |name: &String| name.parse::<i64>().ok();
    if names.iter().all(|name| value(name).is_some()) {
        names.sort_by_key(|name| (value(name), name.clone()));
    } else {
        names.sort();
    }
    names
}
