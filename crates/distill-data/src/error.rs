//! What can be wrong with data, and where: file, line or row, and field.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::atomic::FileError;
use distill_core::hash::HashError;
use distill_core::{Category, LabelError, StopReason};
use thiserror::Error;

/// A position inside a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A line of a text file: the one that an editor shows under this number.
    Line(u64),
    /// A row of a Parquet file.
    Row(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Line(line) => write!(f, "line {line}"),
            At::Row(row) => write!(f, "row {row} (from 1)"),
        }
    }
}

/// Where in which file a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line or row.
    pub at: At,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.at)
    }
}

/// Data that cannot be used as it is.
#[derive(Debug, Error)]
pub enum DataError {
    /// The operating system refused a file operation.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A label map that cannot be used.
    #[error("{}: {source}", file.display())]
    Labels {
        /// The file that the labels come from.
        file: PathBuf,
        /// What is wrong with them.
        source: LabelError,
    },
    /// The name's ending says nothing about the format.
    #[error("{}: {what}", file.display())]
    Format {
        /// The file or directory.
        file: PathBuf,
        /// What was expected.
        what: String,
    },
    /// A file without a single row.
    #[error("{} has no rows", file.display())]
    NoRows {
        /// The file or directory.
        file: PathBuf,
    },
    /// A column that must be there is not.
    #[error("{}: no column {column:?} (for {role}); there are {known}{}", file.display(), did_you_mean(nearest))]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column's name as the settings have it.
        column: String,
        /// What it is for: `text`, `label`, …
        role: &'static str,
        /// The columns that there are.
        known: String,
        /// The one whose name is most alike.
        nearest: Option<String>,
    },
    /// A column of a kind that cannot serve.
    #[error("{}: column {column:?} holds {found}, expected {expected}", file.display())]
    ColumnType {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What would do.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// One field of one row.
    #[error("{place}: column {column:?}: {what}")]
    Value {
        /// The row.
        place: Place,
        /// The field.
        column: String,
        /// What is wrong with it.
        what: String,
    },
    /// A line or record that cannot be read at all.
    #[error("{place}: {what}")]
    Record {
        /// The row.
        place: Place,
        /// What is wrong with it.
        what: String,
    },
    /// Two rows of one id.
    #[error("id {id:?} is not unique: it is in {first} and in {second}")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first.
        first: Place,
        /// Where it stands again.
        second: Place,
    },
    /// A file that is not what it was when it was hashed.
    #[error("{} changed while it was in use: {what}; run the command again to use the new content", file.display())]
    Changed {
        /// The file, or the directory of its shards.
        file: PathBuf,
        /// What changed.
        what: String,
    },
    /// A binary file whose content contradicts itself or its format.
    #[error("{} is damaged: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// A file in a form that its format allows and this program does not read.
    #[error("{}: {what}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The form, and what to do.
        what: String,
    },
    /// Two fingerprints that must be the same are not.
    #[error(
        "{left_name} and {right_name} do not belong together: {field} is {left} in the first and {right} in the \
             second"
    )]
    Fingerprint {
        /// Whose fingerprint the first is.
        left_name: String,
        /// Whose fingerprint the second is.
        right_name: String,
        /// The field that differs.
        field: &'static str,
        /// The first value.
        left: String,
        /// The second value.
        right: String,
    },
    /// Logits that must not be written or used.
    #[error("{}: row with id {id:?}: {what}", file.display())]
    Logits {
        /// The file that they were for.
        file: PathBuf,
        /// The row's id.
        id: String,
        /// What is wrong with them.
        what: String,
    },
    /// A store whose parts do not make a whole.
    #[error("{}: {what}", directory.display())]
    Store {
        /// The store's directory.
        directory: PathBuf,
        /// What is missing, twice or different.
        what: String,
    },
    /// A label that the label map has no place for.
    #[error("{}: {what}", file.display())]
    Label {
        /// The source.
        file: PathBuf,
        /// The label, and what was expected.
        what: String,
    },
    /// An output directory that holds something already.
    #[error("{} is not empty", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// A validation part that cannot be cut.
    #[error("cannot choose a validation part: {what}")]
    Split {
        /// Why not.
        what: String,
    },
}

impl From<HashError> for DataError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::File(error) => error.into(),
            HashError::Stopped(reason) => reason.into(),
        }
    }
}

impl DataError {
    /// The kind of failure, which decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            DataError::File(error) => error.category(),
            DataError::Stopped(reason) => reason.category(),
            DataError::Format { .. } => Category::Usage,
            DataError::NotEmpty { .. } => Category::CannotCreate,
            _ => Category::Data,
        }
    }

    /// A missing column, with the nearest of those that there are.
    pub(crate) fn missing_column(
        file: &Path,
        column: &str,
        role: &'static str,
        known: &[impl AsRef<str>],
    ) -> Self {
        DataError::MissingColumn {
            file: file.to_owned(),
            column: column.to_owned(),
            role,
            known: name_list(known),
            nearest: nearest(column, known),
        }
    }

    pub(crate) fn value(place: &Place, column: &str, what: impl Into<String>) -> Self {
        DataError::Value { place: place.clone(), column: column.to_owned(), what: what.into() }
    }

    pub(crate) fn record(place: &Place, what: impl Into<String>) -> Self {
        DataError::Record { place: place.clone(), what: what.into() }
    }

    pub(crate) fn damaged(file: &Path, what: impl Into<String>) -> Self {
        DataError::Damaged { file: file.to_owned(), what: what.into() }
    }
}

/// The known name most like `name`, where one is like it at all.
pub(crate) fn nearest(name: &str, known: &[impl AsRef<str>]) -> Option<String> {
    let wanted = name.to_lowercase();
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.as_ref().to_lowercase()), known.as_ref()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, known)| known.to_owned())
}

/// Quoted names for a message of one line; a long list is cut.
pub(crate) fn name_list(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 24;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{:?}", name.as_ref())).collect();
    match names.len() {
        0 => "none".to_owned(),
        all if all > SHOWN => format!("{} and {} more", shown.join(", "), all - SHOWN),
        _ => shown.join(", "),
    }
}

/// `; did you mean "text"?`, or nothing.
pub(crate) fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_names_the_ones_there_are_and_the_nearest() {
        let error = DataError::missing_column(Path::new("a.csv"), "text", "text", &["id", "Texts"]);
        assert_eq!(
            error.to_string(),
            r#"a.csv: no column "text" (for text); there are "id", "Texts"; did you mean "Texts"?"#
        );
        assert_eq!(error.category(), Category::Data);
        assert_eq!(nearest("text", &["zzz"]), None);
    }

    #[test]
    fn long_name_lists_are_cut() {
        let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert!(name_list(&names).ends_with("\"23\" and 6 more"));
    }
}
