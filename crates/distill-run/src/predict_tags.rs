//! Rows of words with their tags and entities, as lines of JSONL or CSV.

use distill_data::logits::LogitsRow;
use distill_task::Label;
use distill_task::logits::{argmax, softmax};
use distill_task::tags::{DecodeError, TagSet, decode};
use serde_json::{Value, json};

/// What stands in a CSV cell for a word without a tag.
const NO_TAG: &str = "?";

/// Of one row the cells of a CSV line and the fields of a JSON object. In a cell, tags have a space between them. The
/// probability is the mean over the words of that of the predicted tag.
///
/// # Errors
/// [`DecodeError`] where the logits do not fit the words.
pub fn of_row(set: &TagSet, row: &LogitsRow) -> Result<(Vec<String>, Value), DecodeError> {
    let words = row.tokens.as_deref().unwrap_or_default();
    let positions: Vec<usize> =
        row.positions.iter().map(|word| usize::try_from(*word).unwrap_or(usize::MAX)).collect();
    let decoded = decode(set, words, &positions, &row.logits)?;
    let tags: Vec<Option<&str>> = decoded.tags.iter().map(|tag| tag.map(|tag| set.name(tag))).collect();
    let labels: Option<Vec<Option<&str>>> = match &row.label {
        Some(Label::Tags(tags)) => Some(tags.iter().map(|tag| name(set, *tag)).collect()),
        _ => None,
    };
    let shares: Vec<f64> =
        row.logits.chunks_exact(set.len().max(1)).map(|logits| softmax(logits)[argmax(logits)]).collect();
    let probability = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let cell =
        |tags: &[Option<&str>]| tags.iter().map(|tag| tag.unwrap_or(NO_TAG)).collect::<Vec<_>>().join(" ");
    let cells = vec![labels.as_deref().map(cell).unwrap_or_default(), cell(&tags), format!("{probability:.6}")];
    let object = json!({
        "label_names": labels, "tokens": words, "tags": tags, "entities": decoded.entities, "positions": row.positions,
    });
    Ok((cells, object))
}

fn name(set: &TagSet, tag: Option<i32>) -> Option<&str> {
    tag.and_then(|tag| usize::try_from(tag).ok()).filter(|tag| *tag < set.len()).map(|tag| set.name(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_tag_for_each_word_and_the_entities_with_their_place_in_the_text() {
        let set = TagSet::new(&["O", "B-PER", "I-PER"]).unwrap();
        let row = LogitsRow {
            tokens: Some(["Zoë", "Lee", "\u{200b}", "ran"].map(str::to_owned).to_vec()),
            label: Some(Label::Tags(vec![Some(1), Some(2), None, Some(0)])),
            positions: vec![0, 1, 3],
            logits: vec![0.0, 2.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0],
            ..LogitsRow::default()
        };
        let (cells, object) = of_row(&set, &row).unwrap();
        assert_eq!(cells[..2], ["B-PER I-PER ? O", "B-PER I-PER ? O"]);
        assert_eq!(object["tags"], json!(["B-PER", "I-PER", null, "O"]));
        assert_eq!(object["label_names"], object["tags"]);
        let entity = &object["entities"][0];
        assert_eq!(
            [
                &entity["type"],
                &entity["text"],
                &entity["start_word"],
                &entity["end_word"],
                &entity["start"],
                &entity["end"]
            ],
            [&json!("PER"), &json!("Zoë Lee"), &json!(0), &json!(2), &json!(0), &json!(7)]
        );
        assert!((entity["score"].as_f64().unwrap() - cells[2].parse::<f64>().unwrap()).abs() < 1e-6);
        let other = LogitsRow { positions: vec![0, 1], ..row };
        assert!(of_row(&set, &other).is_err());
    }
}
