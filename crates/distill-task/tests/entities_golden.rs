//! Entities and their figures are seqeval's, in default and strict mode (`scripts/goldens/entities.py`).

#![allow(clippy::unwrap_used, clippy::panic)]

use distill_task::tags::{Entity, EntityFigures, Mode, Scheme, Shares, TagSet, Tally};
use serde_json::Value;

const GOLDEN: &str = include_str!("golden/entities.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

/// Ids of tags that one string holds.
fn ids(tags: &str, set: &TagSet) -> Vec<usize> {
    tags.split(' ').map(|tag| (0..set.len()).find(|id| set.name(*id) == tag).unwrap()).collect()
}

fn set_of<'a>(rows: impl IntoIterator<Item = &'a str>, scheme: Scheme) -> TagSet {
    let mut names: Vec<&str> = rows.into_iter().flat_map(|row| row.split(' ')).collect();
    names.sort_unstable();
    names.dedup();
    TagSet::in_scheme(&names, scheme).unwrap()
}

fn shown(entities: &[Entity], set: &TagSet) -> String {
    let shown: Vec<String> =
        entities.iter().map(|one| format!("{}-{}-{}", one.start, one.end, set.types()[one.kind])).collect();
    shown.join(" ")
}

#[test]
fn every_short_sequence_has_the_entities_of_seqeval() {
    let golden = golden();
    let mut sequences = 0;
    for scheme in ["bio", "iob1", "iobes", "bilou"] {
        let rows = golden[scheme].as_array().unwrap();
        let texts = rows.iter().map(|row| row[0].as_str().unwrap());
        let set = set_of(texts, Scheme::named(scheme).unwrap());
        for row in rows {
            let ids = ids(row[0].as_str().unwrap(), &set);
            assert_eq!(
                shown(&set.entities(&ids, Mode::Default), &set),
                row[1],
                "{scheme}, default: {}",
                row[0]
            );
            assert_eq!(shown(&set.entities(&ids, Mode::Strict), &set), row[2], "{scheme}, strict: {}", row[0]);
            sequences += 1;
        }
    }
    assert!(sequences > 3000, "only {sequences} sequences were compared");
}

fn near(found: Option<f64>, expected: &Value, what: &str) {
    match (found, expected.as_f64()) {
        (None, None) => {}
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() < 1e-12, "{what}: {found}, not {expected}")
        }
        _ => panic!("{what}: {found:?}, not {expected}"),
    }
}

fn compare_shares(found: Option<Shares>, expected: &Value, what: &str) {
    near(found.map(|shares| shares.precision), &expected[0], &format!("{what} precision"));
    near(found.map(|shares| shares.recall), &expected[1], &format!("{what} recall"));
    near(found.map(|shares| shares.f1), &expected[2], &format!("{what} F1"));
}

fn compare(tally: &Tally, set: &TagSet, expected: &Value, what: &str) {
    compare_shares(Some(tally.micro().shares()), &expected["micro"], &format!("{what}, micro"));
    compare_shares(tally.macro_average(), &expected["macro"], &format!("{what}, macro"));
    // Where no label has an entity, seqeval gives 0 for an average that weighs by labels.
    let weighted = tally.weighted_average().or(Some(Shares::default()));
    compare_shares(weighted, &expected["weighted"], &format!("{what}, weighted"));
    let types = expected["types"].as_object().unwrap();
    for (kind, counts) in set.types().iter().zip(&tally.types) {
        assert_eq!(counts.is_empty(), !types.contains_key(kind), "{what}: {kind}");
        if let Some(expected) = types.get(kind) {
            compare_shares(Some(counts.shares()), expected, &format!("{what}, {kind}"));
            assert_eq!(counts.gold, expected[3].as_u64().unwrap(), "{what}: {kind}");
        }
    }
}

#[test]
fn every_figure_is_seqevals() {
    let golden = golden();
    let cases = golden["figures"].as_array().unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let name = format!("{}, {}", case["scheme"], case["name"]);
        let rows = |side: &str| -> Vec<&str> {
            case[side].as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect()
        };
        let (gold, predicted) = (rows("gold"), rows("predicted"));
        let scheme = Scheme::named(case["scheme"].as_str().unwrap()).unwrap();
        let set = set_of(gold.iter().chain(&predicted).copied(), scheme);
        for (mode, side) in [(Mode::Default, "default"), (Mode::Strict, "strict")] {
            let mut figures = EntityFigures::new(&set, mode);
            for (gold, predicted) in gold.iter().zip(&predicted) {
                let some = |tags: &str| ids(tags, &set).into_iter().map(Some).collect::<Vec<_>>();
                figures.push(&some(gold), &some(predicted));
            }
            let tally = figures.tally();
            compare(&tally, &set, &case[side], &format!("{name}, {side}"));
            near(tally.token_accuracy(), &case["token_accuracy"], &format!("{name}: token accuracy"));
        }
    }
}
