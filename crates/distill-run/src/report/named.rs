//! Which model plays which part: names from flags, several seeds under one name.

use std::path::{Path, PathBuf};

use distill_report::Role;

use crate::error::{Result, RunError};
use crate::settings::test_sets::split_name;

/// A path with the name that the report gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Whether the user gave it, or it is the path's.
    is_given: bool,
    /// The data set that predictions are about, where it was said.
    pub data: Option<String>,
    /// The path.
    pub path: PathBuf,
}

impl Named {
    /// A path under a given name.
    pub fn new(name: &str, path: PathBuf) -> Self {
        Named { name: name.to_owned(), is_given: true, data: None, path }
    }

    /// `NAME=PATH`, or a path whose last useful part is the name.
    pub fn parse(text: &str) -> Self {
        if let (Some(name), path) = split_name(text) {
            return Named::new(name, path.into());
        }
        let path = PathBuf::from(text);
        let part = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let own = part(&path);
        // `runs/student/model` is called after its run.
        let name = if own == "model" { path.parent().map(part).unwrap_or(own) } else { own };
        Named { name: if name.is_empty() { text.to_owned() } else { name }, is_given: false, data: None, path }
    }

    /// As [`Named::parse`], where `NAME@DATA=FILE` says which data set the file is about.
    pub fn parse_predictions(text: &str) -> Self {
        let mut named = Named::parse(text);
        if named.is_given
            && let Some((name, data)) = named.name.clone().split_once('@')
        {
            (named.name, named.data) = (name.to_owned(), Some(data.to_owned()));
        }
        named
    }
}

/// A model as shown in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; of several seeds, with a number.
    pub name: String,
    /// The name that all of its seeds were given under.
    pub seeds_of: Option<String>,
    /// The part it plays.
    pub role: Role,
    /// Its directory or file.
    pub path: PathBuf,
}

/// The models of one data set, in the order given; those that share a given name are seeds of one model.
///
/// # Errors
/// Wrong usage for two models that would get the same name from their paths, and for several teachers.
pub fn entries(named: &[&Named]) -> Result<Vec<Entry>> {
    let mut names: Vec<&str> = Vec::new();
    for named in named {
        if !names.contains(&named.name.as_str()) {
            names.push(&named.name);
        }
    }
    let roles = roles(&names);
    let mut entries = Vec::with_capacity(named.len());
    for (at, one) in named.iter().enumerate() {
        let alike = |other: &&&Named| other.name == one.name;
        let seeds = named.iter().filter(alike).count();
        let seed = named[..at].iter().filter(alike).count() + 1;
        let role = names.iter().position(|name| *name == one.name).map_or(Role::Other, |at| roles[at]);
        if seeds > 1 && !named.iter().filter(alike).all(|other| other.is_given) {
            return Err(RunError::usage(format!(
                "two models would have the name {:?}, from their paths; name them: NAME={}",
                one.name,
                one.path.display()
            )));
        }
        if seeds > 1 && role == Role::Teacher {
            return Err(RunError::usage(format!(
                "{:?} is given {seeds} times, but a report has only one teacher",
                one.name
            )));
        }
        let (name, seeds_of) = match seeds {
            1 => (one.name.clone(), None),
            _ => (format!("{} {seed}", one.name), Some(one.name.clone())),
        };
        entries.push(Entry { name, seeds_of, role, path: one.path.clone() });
    }
    Ok(entries)
}

/// Roles by name where names say them, else by order: teacher, student, others.
fn roles(names: &[&str]) -> Vec<Role> {
    let said = |name: &str| match name {
        "teacher" => Some(Role::Teacher),
        "student" => Some(Role::Student),
        "baseline" => Some(Role::Baseline),
        _ => None,
    };
    if names.iter().any(|name| said(name).is_some()) {
        return names.iter().map(|name| said(name).unwrap_or(Role::Other)).collect();
    }
    let by_order = |index| match (index, names.len()) {
        (0, 1) | (1, _) => Role::Student,
        (0, _) => Role::Teacher,
        _ => Role::Other,
    };
    (0..names.len()).map(by_order).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_flag_or_the_run() {
        let named = |text: &str| Named::parse(text).name;
        assert_eq!(named("big=runs/a/model"), "big");
        assert_eq!(named("runs/student/model"), "student");
        assert_eq!(named("models/all-MiniLM-L6-v2"), "all-MiniLM-L6-v2");
        assert_eq!(named("out/predictions.parquet"), "predictions");
        let on = Named::parse_predictions("student@cross domain=a.jsonl");
        assert_eq!((on.name.as_str(), on.data.as_deref()), ("student", Some("cross domain")));
        assert_eq!(Named::parse_predictions("a@b.jsonl").data, None);
    }

    #[test]
    fn roles_come_from_names_or_from_the_order() {
        use Role::{Baseline, Other, Student, Teacher};
        assert_eq!(roles(&["student", "x", "teacher", "baseline"]), [Student, Other, Teacher, Baseline]);
        assert_eq!(roles(&["a", "b", "c"]), [Teacher, Student, Other]);
        assert_eq!(roles(&["a"]), [Student]);
    }

    #[test]
    fn a_name_given_again_is_another_seed() {
        let of = |texts: &[&str]| {
            let named: Vec<Named> = texts.iter().map(|text| Named::parse(text)).collect();
            entries(&named.iter().collect::<Vec<_>>())
        };
        let found = of(&["teacher=t", "student=a", "student=b"]).unwrap();
        let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["teacher", "student 1", "student 2"]);
        assert_eq!(found[2].seeds_of.as_deref(), Some("student"));
        assert_eq!((found[0].seeds_of.as_deref(), found[1].role), (None, Role::Student));
        assert!(of(&["x/a/model", "y/a/model"]).unwrap_err().to_string().contains("NAME="));
        assert!(of(&["teacher=a", "teacher=b"]).unwrap_err().to_string().contains("one teacher"));
    }
}
