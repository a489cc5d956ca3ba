//! What one row's tags are shown as: the entities, or the plain tags, by which two sides differ.

use std::collections::BTreeSet;

use distill_task::tags::{Entity, Mode, TagSet};

use crate::predictions::Predictions;

/// Entities, or words, that are named of each side.
const SHOWN: usize = 5;

/// Of a row of words its labels and what a model predicts: what only the labels have, and what only the model has.
/// `PER Ann Lee; LOC Oslo`, or `NOUN bark` of plain tags.
pub(super) fn differing(model: &Predictions, row: usize) -> (String, String) {
    let Some(words) = &model.words else { return Default::default() };
    let (gold, predicted) = (model.gold_tags(row), model.predicted_tags(row));
    let both = || (0..gold.len()).filter(|word| gold[*word].is_some() && predicted[*word].is_some());
    let places: Vec<usize> = both().collect();
    let ids = |tags: &[Option<usize>]| places.iter().filter_map(|word| tags[*word]).collect::<Vec<_>>();
    let (gold, predicted) = (ids(&gold), ids(&predicted));
    let (sought, found) = (parts(&words.set, &gold), parts(&words.set, &predicted));
    let shown = |ids: &[usize], own: &[Entity], other: &[Entity]| {
        let only: Vec<&Entity> = own.iter().filter(|part| !other.contains(part)).collect();
        let named = only.iter().take(SHOWN).map(|part| {
            let kind = match words.set.scheme().has_entities() {
                true => words.set.types()[part.kind].as_str(),
                false => words.set.name(ids[part.start]),
            };
            let text: Vec<&str> =
                places[part.start..part.end].iter().map(|word| words.words[row][*word].as_str()).collect();
            format!("{kind} {}", text.join(" "))
        });
        let more = (only.len() > SHOWN).then(|| format!("{} more", only.len() - SHOWN));
        let named: Vec<String> = named.chain(more).collect();
        if named.is_empty() { "none".to_owned() } else { named.join("; ") }
    };
    (shown(&gold, &sought, &found), shown(&predicted, &found, &sought))
}

/// Entities; of plain tags each word with its tag.
fn parts(set: &TagSet, ids: &[usize]) -> Vec<Entity> {
    if set.scheme().has_entities() {
        return set.entities(ids, Mode::Default);
    }
    ids.iter().enumerate().map(|(word, tag)| Entity { start: word, end: word + 1, kind: *tag }).collect()
}

/// What a row is cut by as its label: the types of its entities, or its plain tags, each once.
pub(super) fn kinds(model: &Predictions, row: usize) -> Vec<String> {
    let Some(words) = &model.words else { return Vec::new() };
    let ids: Vec<usize> = model.gold_tags(row).into_iter().flatten().collect();
    let set = &words.set;
    if !set.scheme().has_entities() {
        let names: BTreeSet<&str> = ids.iter().map(|id| set.name(*id)).collect();
        return names.into_iter().map(str::to_owned).collect();
    }
    let types: BTreeSet<usize> = set.entities(&ids, Mode::Default).iter().map(|entity| entity.kind).collect();
    if types.is_empty() {
        return vec!["no entity".to_owned()];
    }
    types.into_iter().map(|kind| set.types()[kind].clone()).collect()
}
