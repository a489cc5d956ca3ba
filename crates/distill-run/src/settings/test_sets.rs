//! Held-out rows: one file, or several with names.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// `test = "a.jsonl"`, or `test = {in-domain = "a.jsonl", cross-domain = "b.csv"}`; in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestSets {
    /// One file, called after its name.
    One(PathBuf),
    /// Names and files.
    Named(Vec<(String, PathBuf)>),
}

impl TestSets {
    /// From `--data [NAME=]SRC`, given as often as there are data sets; none where it was not given.
    /// Of several without a name, each is called after its file.
    pub fn from_flags(flags: &[String]) -> Option<Self> {
        match flags {
            [] => None,
            [only] => Some(match split_name(only) {
                (Some(name), path) => TestSets::Named(vec![(name.to_owned(), path.into())]),
                (None, path) => TestSets::One(path.into()),
            }),
            several => Some(TestSets::Named(several.iter().map(|flag| named(flag)).collect())),
        }
    }

    /// Names and files, in the order given.
    pub fn named(&self) -> Vec<(String, PathBuf)> {
        match self {
            TestSets::One(path) => vec![(stem(path), path.clone())],
            TestSets::Named(sets) => sets.clone(),
        }
    }

    /// As the setting `data.test`.
    pub fn to_value(&self) -> Value {
        let text = |path: &Path| Value::String(path.to_string_lossy().into_owned());
        match self {
            TestSets::One(path) => text(path),
            TestSets::Named(sets) => {
                Value::Table(sets.iter().map(|(name, path)| (name.clone(), text(path))).collect::<Table>())
            }
        }
    }
}

/// Name and source of `--data [NAME=]SRC`.
pub fn named(flag: &str) -> (String, PathBuf) {
    let (name, path) = split_name(flag);
    (name.map_or_else(|| stem(Path::new(path)), str::to_owned), path.into())
}

/// `NAME=PATH`; an `=` after a slash belongs to the path.
pub fn split_name(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => (Some(name), path),
        _ => (None, text),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "test".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

impl Serialize for TestSets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TestSets::One(path) => path.serialize(serializer),
            TestSets::Named(sets) => {
                let mut map = serializer.serialize_map(Some(sets.len()))?;
                sets.iter().try_for_each(|(name, path)| map.serialize_entry(name, path))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for TestSets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestSetsVisitor)
    }
}

struct TestSetsVisitor;

impl<'de> Visitor<'de> for TestSetsVisitor {
    type Value = TestSets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file, or a table of names and files")
    }

    fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<TestSets, E> {
        Ok(TestSets::One(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TestSets, A::Error> {
        let mut sets = Vec::new();
        while let Some(entry) = map.next_entry::<String, PathBuf>()? {
            sets.push(entry);
        }
        match sets.is_empty() {
            true => Err(serde::de::Error::custom("an empty table, expected at least one name and file")),
            false => Ok(TestSets::Named(sets)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_or_several_in_the_order_given() {
        let of = |flags: &[&str]| {
            TestSets::from_flags(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["a/b.jsonl"]).unwrap().named(), [("b".to_owned(), PathBuf::from("a/b.jsonl"))]);
        assert_eq!(of(&["lr/x=1/b.jsonl"]).unwrap().named()[0].0, "b");
        let several = of(&["z=a.jsonl", "b.csv"]).unwrap();
        assert_eq!(several.named(), [("z".into(), "a.jsonl".into()), ("b".into(), "b.csv".into())]);
        let table: Table = toml::from_str("test = {z = \"a.jsonl\", b = \"b.csv\"}").unwrap();
        assert_eq!(table["test"].clone().try_into::<TestSets>().unwrap(), several);
        assert_eq!(several.to_value().try_into::<TestSets>().unwrap(), several);
        assert!(Value::Table(Table::new()).try_into::<TestSets>().is_err());
    }
}
