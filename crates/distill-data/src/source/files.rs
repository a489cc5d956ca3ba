//! Which files a path stands for: one, the Parquet shards of a directory, or those of a pattern.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::atomic::FileError;

use super::Format;
use crate::error::DataError;

/// Words that begin the names of a split's files, as `datasets` and the hub write them; the same split in each line.
const SPLITS: [&[&str]; 3] =
    [&["train", "training"], &["test", "testing"], &["validation", "valid", "val", "dev"]];

/// The files of a path, and how they are read.
///
/// # Errors
/// [`DataError::File`] where nothing is there, [`DataError::Format`] for another ending, a directory without
/// shards, or one that holds several splits.
pub(super) fn find(path: &Path) -> Result<(Vec<Arc<Path>>, Format), DataError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let files = shards(path, |_| true)?;
            if files.is_empty() {
                return Err(format(path, without_shards(path)));
            }
            one_split(path, &files)?;
            Ok((files, Format::Parquet))
        }
        Ok(_) => Ok((vec![Arc::from(path)], format_of(path)?)),
        Err(error) => match pattern(path) {
            Some((directory, pattern)) => matching(path, directory, &pattern),
            None => Err(FileError::new("open", path, error).into()),
        },
    }
}

fn format(file: &Path, what: impl Into<String>) -> DataError {
    DataError::Format { file: file.to_owned(), what: what.into() }
}

fn format_of(path: &Path) -> Result<Format, DataError> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "parquet" => Ok(Format::Parquet),
        "jsonl" | "ndjson" => Ok(Format::Json),
        "csv" => Ok(Format::Separated(b',')),
        "tsv" => Ok(Format::Separated(b'\t')),
        "conll" | "bio" | "iob" => Ok(Format::Words { certain: true }),
        "txt" => Ok(Format::Words { certain: false }),
        "conllu" | "conllup" => Ok(Format::Conllu),
        "json" => Ok(Format::Squad),
        "arrow" => Err(format(
            path,
            "Arrow files are not read; in Python, datasets.Dataset.from_file(PATH).to_parquet(\"rows.parquet\") \
             makes Parquet of it",
        )),
        _ => Err(format(path, "its name must end in .parquet, .jsonl, .ndjson, .csv, .tsv, .conll or .conllu")),
    }
}

/// The directory and the pattern of `DIR/train-*.parquet`; none where there is no `*` in the name.
fn pattern(path: &Path) -> Option<(&Path, String)> {
    let name = path.file_name()?.to_str().filter(|name| name.contains('*'))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Some((directory.unwrap_or(Path::new(".")), name.to_owned()))
}

fn matching(path: &Path, directory: &Path, pattern: &str) -> Result<(Vec<Arc<Path>>, Format), DataError> {
    let files = shards(directory, |name| matches(pattern, name))?;
    match files.is_empty() {
        true => Err(format(path, format!("no *.parquet in {} matches", directory.display()))),
        false => Ok((files, Format::Parquet)),
    }
}

/// Whether a name is what a pattern says, where `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// `*.parquet` of a directory by name; hidden files are somebody's unfinished business.
fn shards(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Arc<Path>>, DataError> {
    let entries = std::fs::read_dir(directory).map_err(FileError::of("read", directory))?;
    let mut files: Vec<Arc<Path>> = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::of("read", directory))?.path();
        let shown = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            !name.starts_with('.') && wanted(&name)
        });
        if shown && path.extension().is_some_and(|ending| ending == "parquet") && path.is_file() {
            files.push(path.into());
        }
    }
    files.sort();
    Ok(files)
}

/// Refuses files of several splits: they are not one set of rows.
fn one_split(directory: &Path, files: &[Arc<Path>]) -> Result<(), DataError> {
    let of = |file: &Arc<Path>| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let word = name.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned();
        SPLITS.iter().position(|words| words.contains(&word.as_str()))
    };
    let name = |file: &Arc<Path>| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let first = files.iter().find(|file| of(file).is_some());
    let other = first
        .and_then(|first| files.iter().find(|file| of(file).is_some_and(|split| Some(split) != of(first))));
    let (Some(first), Some(other)) = (first, other) else { return Ok(()) };
    let (first, other) = (name(first), name(other));
    let begin = |name: &str| name.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(name.len());
    let start = &other[..begin(&other)];
    Err(format(
        directory,
        format!(
            "it contains files of several splits, {first} and {other}; select one with a quoted pattern, such as '{}'",
            directory.join(format!("{start}*.parquet")).display()
        ),
    ))
}

/// What to say of a directory without shards.
fn without_shards(directory: &Path) -> String {
    let holds = |name: &str| directory.join(name).is_file();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if holds("dataset_dict.json") {
        return "it was written by save_to_disk of datasets and holds several splits as Arrow files, which are not \
                read; in Python, datasets.load_from_disk(PATH)[\"train\"].to_parquet(\"train.parquet\") writes one"
            .to_owned();
    }
    if holds("state.json") && holds("dataset_info.json") {
        return "it was written by save_to_disk of datasets as Arrow files, which are not read; in Python, \
                datasets.load_from_disk(PATH).to_parquet(\"rows.parquet\") writes what is"
            .to_owned();
    }
    let inner: Vec<PathBuf> = std::fs::read_dir(directory)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    let deeper =
        inner.iter().find(|path| path.is_dir() && shards(path, |_| true).is_ok_and(|found| !found.is_empty()));
    match deeper {
        Some(deeper) => format!(
            "a directory is read as Parquet shards, and there is no *.parquet in it; did you mean {:?} in it?",
            name(deeper)
        ),
        None => "a directory is read as Parquet shards, and there is no *.parquet in it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::File::create(directory.path().join(name)).unwrap();
        }
        directory
    }

    fn names(path: &Path) -> Result<Vec<String>, String> {
        let (files, _) = find(path).map_err(|error| error.to_string())?;
        Ok(files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_directory_of_several_splits_is_refused_with_how_to_name_one() {
        let there = directory(&["train-00000-of-00001.parquet", "test-00000-of-00001.parquet", ".x.parquet"]);
        let error = names(there.path()).unwrap_err();
        assert!(error.contains("test-00000-of-00001.parquet and train-00000-of-00001.parquet"), "{error}");
        assert!(error.ends_with("/train*.parquet'"), "{error}");
        assert_eq!(names(&there.path().join("train*.parquet")).unwrap(), ["train-00000-of-00001.parquet"]);
        assert_eq!(names(&there.path().join("t*-0*.parquet")).unwrap().len(), 2);
        assert!(names(&there.path().join("dev*.parquet")).unwrap_err().contains("no *.parquet in"));
    }

    #[test]
    fn shards_of_one_split_or_of_none_are_one_set_of_rows() {
        for files in [["train-0.parquet", "train-1.parquet"], ["part-0.parquet", "testimony.parquet"]] {
            assert_eq!(names(directory(&files).path()).unwrap(), files);
        }
        let both = directory(&["train.parquet", "validation.parquet"]);
        assert!(names(both.path()).unwrap_err().contains("train.parquet and validation.parquet"));
    }

    #[test]
    fn a_folder_of_save_to_disk_says_what_makes_parquet_of_it() {
        let set = directory(&["state.json", "dataset_info.json", "data-00000-of-00001.arrow"]);
        assert!(names(set.path()).unwrap_err().contains("load_from_disk(PATH).to_parquet("));
        assert!(
            names(&set.path().join("data-00000-of-00001.arrow")).unwrap_err().contains("Arrow files are not")
        );
        let several = directory(&["dataset_dict.json"]);
        assert!(names(several.path()).unwrap_err().contains("load_from_disk(PATH)[\"train\"]"));
        let above = directory(&[]);
        std::fs::create_dir(above.path().join("data")).unwrap();
        std::fs::File::create(above.path().join("data/a.parquet")).unwrap();
        assert!(names(above.path()).unwrap_err().contains("did you mean \"data\" in it?"));
    }
}
