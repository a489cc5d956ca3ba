//! `tests/fuzz` is a workspace of its own, which no other test builds: its manifest and `Cargo.lock` must not fall behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &str) -> Table {
    text(path).parse().unwrap()
}

/// The packages of a lock file: version and dependencies by name.
fn packages(lock: &str) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut packages: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for package in read(lock)["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        let dependencies = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let names = dependencies.map(|name| name.as_str().unwrap().split(' ').next().unwrap().to_owned());
        packages.entry(text("name")).or_default().insert(text("version"), names.collect());
    }
    packages
}

/// The names of what a crate depends on outside its tests.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let tables = |of: &Table| {
        ["dependencies", "build-dependencies"].map(|kind| of.get(kind).and_then(Value::as_table).cloned())
    };
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let all = tables(manifest).into_iter().chain(targets.flat_map(|target| tables(target.as_table().unwrap())));
    let name = |(key, value): (String, Value)| {
        value.get("package").map_or(key, |package| package.as_str().unwrap().to_owned())
    };
    all.flatten().flatten().map(name).collect()
}

#[test]
fn the_lock_file_of_the_fuzz_targets_is_up_to_date() {
    let (ours, theirs) = (packages("Cargo.lock"), packages("tests/fuzz/Cargo.lock"));
    let mut crates = 0;
    for (name, versions) in theirs.iter().filter(|(name, _)| ours.contains_key(*name)) {
        for (version, locked) in versions {
            assert!(ours[name].contains_key(version), "{name} {version} is not the workspace's");
            if name.starts_with("distill-") {
                let named = dependencies(&read(&format!("crates/{name}/Cargo.toml")));
                assert_eq!(*locked, named, "{name}: run `cargo update --workspace` in tests/fuzz");
                crates += 1;
            }
        }
    }
    assert!(crates >= 6, "{crates}");
    let targets = read("tests/fuzz/Cargo.toml");
    assert_eq!(theirs["distill-fuzz"]["0.0.0"], dependencies(&targets));
}

/// The fuzz targets compile the files of these tests, with the dependencies of their own manifest.
#[test]
fn the_fuzz_targets_name_every_crate_that_the_readers_use() {
    let named = dependencies(&read("tests/fuzz/Cargo.toml"));
    let shared = ["exit", "kinds", "readers", "seeds", "settings", "written"]
        .map(|name| format!("tests/mutants/{name}.rs"));
    let settings = text("tests/mutants/settings.rs");
    let included =
        settings.lines().filter_map(|line| line.strip_prefix("#[path = \"../../")?.strip_suffix("\"]"));
    let mut files: Vec<String> = included.map(str::to_owned).collect();
    assert!(files.len() >= 3, "{files:?}");
    files.extend(shared);
    for file in files {
        let code = text(&file);
        // Examples in documentation are not compiled there.
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for word in code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')) {
            let is_crate = word.starts_with("distill_") && word != "distill_fuzz";
            assert!(!is_crate || named.contains(&word.replace('_', "-")), "{file}: {word}");
        }
    }
}
