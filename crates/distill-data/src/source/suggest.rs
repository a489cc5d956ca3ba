//! Which task the columns of a source speak of.

use std::path::Path;
use std::sync::Arc;

use distill_task::TaskId;

use super::json_value::keys;
use super::lines::Lines;
use super::{Format, Source};
use crate::error::DataError;
use crate::parquet::ParquetFile;

/// The task of a source, where its format or its columns leave no other.
pub(super) fn task(source: &Source) -> Result<Option<TaskId>, DataError> {
    let Some(first) = source.files().first() else { return Ok(None) };
    match source.format() {
        Format::Words { certain: true } | Format::Conllu => Ok(Some(TaskId::TOKEN_CLASSIFICATION)),
        Format::Squad => Ok(Some(TaskId::QUESTION_ANSWERING)),
        Format::Words { certain: false } | Format::Separated(_) => Ok(None),
        Format::Json => Ok(of_columns(&keys_of(first)?)),
        Format::Parquet => {
            let file = ParquetFile::open(first)?;
            let names: Vec<String> = file.column_names().into_iter().map(str::to_owned).collect();
            Ok(of_columns(&names))
        }
    }
}

fn keys_of(file: &Arc<Path>) -> Result<Vec<String>, DataError> {
    Ok(Lines::open(file)?.next_line()?.map(keys).unwrap_or_default())
}

/// By default names: a source with a text may have other columns for other programs.
fn of_columns(names: &[String]) -> Option<TaskId> {
    let has = |name: &str| names.iter().any(|known| known == name);
    match (has("text"), has("tokens"), has("question") && has("context")) {
        (false, true, false) => Some(TaskId::TOKEN_CLASSIFICATION),
        (false, false, true) => Some(TaskId::QUESTION_ANSWERING),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_text_speak_of_their_task() {
        let task =
            |names: &[&str]| of_columns(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(task(&["id", "tokens", "ner_tags"]), Some(TaskId::TOKEN_CLASSIFICATION));
        assert_eq!(task(&["question", "context", "answers"]), Some(TaskId::QUESTION_ANSWERING));
        assert_eq!(task(&["text", "tokens", "label"]), None);
        assert_eq!(task(&["question", "label"]), None);
    }
}
