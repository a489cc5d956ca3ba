//! The same rows in the same order for every model, joined by id and never by position.

use std::collections::HashMap;

use distill_task::Label;

use crate::error::{IdList, OtherRows, ReportError, RowDifference};
use crate::predictions::Predictions;

/// Brings all models into the row order of the first.
///
/// # Errors
/// [`ReportError::Labels`] where a label map differs, [`ReportError::Rows`] where an id is
/// missing or extra, [`ReportError::RowDiffers`] where the same id has another label or text,
/// [`ReportError::DuplicateName`] where two models share a name.
pub fn align(mut models: Vec<Predictions>) -> Result<Vec<Predictions>, ReportError> {
    let Some((first, others)) = models.split_first_mut() else {
        return Err(ReportError::NoModels);
    };
    for other in others.iter_mut() {
        if first.problem_type != other.problem_type {
            let (own, theirs) = (first.problem_type, other.problem_type);
            let (first, other) = (first.name.clone(), other.name.clone());
            return Err(ReportError::ProblemTypes { first, own, other, theirs });
        }
        first.label_map.must_equal(&first.name, &other.label_map, &other.name)?;
        if first.ids != other.ids {
            reorder(first, other)?;
        }
        must_agree(first, other)?;
    }
    for (at, model) in models.iter().enumerate() {
        if models[..at].iter().any(|earlier| earlier.name == model.name) {
            return Err(ReportError::DuplicateName { what: "models", name: model.name.clone() });
        }
    }
    Ok(models)
}

fn reorder(first: &Predictions, other: &mut Predictions) -> Result<(), ReportError> {
    let row_of: HashMap<&str, usize> =
        other.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let mut missing = IdList::default();
    let mut order = Vec::with_capacity(first.rows());
    for id in &first.ids {
        match row_of.get(id.as_str()) {
            Some(row) => order.push(*row),
            None => missing.push(id),
        }
    }
    // Ids are unique on both sides, so rows are extra exactly when not all of them were matched.
    if missing.count > 0 || order.len() < other.rows() {
        let extra = ids_besides(first, other);
        let (first, other) = (first.name.clone(), other.name.clone());
        return Err(ReportError::Rows(Box::new(OtherRows { first, other, missing, extra })));
    }
    other.logits = order.iter().flat_map(|row| other.row(*row)).copied().collect();
    other.answers = other.answers.as_ref().map(|answers| answers.reordered(&order));
    other.words = other.words.as_ref().map(|words| words.reordered(&order));
    other.labels = order.iter().map(|row| other.labels[*row].clone()).collect();
    let reordered = |values: &[String]| order.iter().map(|row| values[*row].clone()).collect();
    other.texts = other.texts.as_deref().map(reordered);
    other.columns.iter_mut().for_each(|(_, values)| *values = reordered(values));
    other.ids.clone_from(&first.ids);
    Ok(())
}

fn ids_besides(first: &Predictions, other: &Predictions) -> IdList {
    let known: std::collections::HashSet<&str> = first.ids.iter().map(String::as_str).collect();
    let mut extra = IdList::default();
    other.ids.iter().filter(|id| !known.contains(id.as_str())).for_each(|id| extra.push(id));
    extra
}

fn must_agree(first: &Predictions, other: &Predictions) -> Result<(), ReportError> {
    let differs = |row: usize, what, left, right| {
        let (id, first, other) = (first.ids[row].clone(), first.name.clone(), other.name.clone());
        ReportError::RowDiffers(Box::new(RowDifference { id, what, first, left, other, right }))
    };
    let name = |label: &Option<Label<i32>>| match label {
        Some(label) => label.shown(&first.label_map),
        None => "missing".to_owned(),
    };
    if let Some(row) = (0..first.rows()).find(|row| first.labels[*row] != other.labels[*row]) {
        return Err(differs(row, "label", name(&first.labels[row]), name(&other.labels[row])));
    }
    if let (Some(left), Some(right)) = (&first.texts, &other.texts)
        && let Some(row) = (0..first.rows()).find(|row| left[*row] != right[*row])
    {
        return Err(differs(row, "text", excerpt(&left[row]), excerpt(&right[row])));
    }
    Ok(())
}

fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{more}")
}

#[cfg(test)]
mod tests {
    use distill_core::LabelMap;

    use super::*;
    use crate::predictions::Role;

    fn table(name: &str, ids: &[&str], labels: &[i32], hot: &[usize]) -> Predictions {
        let logits =
            hot.iter().flat_map(|hot| (0..2).map(move |at| if at == *hot { 1.0 } else { 0.0 })).collect();
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let labels = labels.iter().map(|label| Some(*label)).collect();
        Predictions::new(name, Role::Other, ids, LabelMap::new(["no", "yes"]).unwrap(), labels, logits).unwrap()
    }

    #[test]
    fn rows_are_joined_by_id() {
        let first = table("t", &["x", "y", "z"], &[0, 1, 0], &[0, 1, 0]);
        let other = table("s", &["z", "x", "y"], &[0, 0, 1], &[1, 0, 0]);
        let texts = ["tz", "tx", "ty"].map(String::from).to_vec();
        let aligned = align(vec![first, other.with_texts(texts).unwrap()]).unwrap();
        assert_eq!(aligned[1].predicted(), [0, 0, 1]);
        assert_eq!(aligned[1].texts.as_deref().unwrap(), ["tx", "ty", "tz"]);
    }

    #[test]
    fn other_rows_labels_and_maps_are_errors_that_say_which() {
        let first = table("t", &["x", "y", "z"], &[0, 1, 0], &[0, 1, 0]);
        let other = table("s", &["x", "y", "w"], &[0, 1, 0], &[0, 1, 0]);
        let text = align(vec![first.clone(), other]).unwrap_err().to_string();
        assert_eq!(text, r#"t and s are not about the same rows: s lacks 1 ("z") and has besides 1 ("w")"#);
        let relabelled = table("s", &["x", "y", "z"], &[0, 1, 1], &[0, 1, 0]);
        let text = align(vec![first.clone(), relabelled]).unwrap_err().to_string();
        assert_eq!(text, r#"row id "z": the label is "no" in t and "yes" in s"#);
        let longer = table("s", &["x", "y", "z", "w"], &[0, 1, 0, 0], &[0, 1, 0, 0]);
        let text = align(vec![first.clone(), longer]).unwrap_err().to_string();
        assert!(text.ends_with(r#"s has besides 1 ("w")"#), "{text}");
        let mut swapped = table("s", &["x", "y", "z"], &[0, 1, 0], &[0, 1, 0]);
        swapped.label_map = LabelMap::new(["yes", "no"]).unwrap();
        assert!(matches!(align(vec![first.clone(), swapped]), Err(ReportError::Labels(_))));
        assert!(matches!(align(vec![first.clone(), first]), Err(ReportError::DuplicateName { .. })));
    }
}
