//! From the logits of a row's windows to the part of its text that answers the question.

use distill_data::TextTokenizer;
use distill_data::logits::LogitsRow;
use distill_task::Positions;
use distill_task::answers::{Answer, SpanSettings, Window, best_answer};

use crate::error::RunnerError;
use crate::pieces::{Piece, RowText, encode};

/// A position without a token of the text: no answer ends there.
const NEVER: f32 = f32::NEG_INFINITY;

/// The best answer to each row, from the logits of all its windows.
///
/// Windows are made anew: logits have only the place where each token begins.
///
/// # Errors
/// [`RunnerError::Windows`] for a row whose logits are not those of its windows; that of tokenizing.
pub fn best_answers(
    tokenizer: &TextTokenizer,
    rows: &[LogitsRow],
    settings: &SpanSettings,
) -> Result<Vec<Answer>, RunnerError> {
    let texts: Vec<RowText<'_>> = rows
        .iter()
        .map(|row| RowText {
            text: row.text.as_deref().unwrap_or_default(),
            text_pair: row.text_pair.as_deref(),
            words: None,
        })
        .collect();
    let pieces = encode(tokenizer, Positions::Span, &texts)?;
    rows.iter().zip(&pieces).map(|(row, windows)| answer_of(row, windows, settings)).collect()
}

fn answer_of(row: &LogitsRow, windows: &[Piece], settings: &SpanSettings) -> Result<Answer, RunnerError> {
    let keys = windows.iter().flat_map(|window| &window.keys);
    if !keys.eq(&row.positions) || row.logits.len() != 2 * row.positions.len() {
        return Err(RunnerError::Windows { row: row.row.cast_unsigned(), id: row.id.clone() });
    }
    let mut rest = row.logits.as_slice();
    let scores: Vec<[Vec<f32>; 2]> = windows
        .iter()
        .map(|window| {
            let (own, others) = rest.split_at(2 * window.positions.len());
            rest = others;
            // The question's tokens have no logits.
            let mut ends = [vec![NEVER; window.offsets.len()], vec![NEVER; window.offsets.len()]];
            for (place, logits) in window.positions.iter().zip(own.chunks_exact(2)) {
                ends[0][*place as usize] = logits[0];
                ends[1][*place as usize] = logits[1];
            }
            ends
        })
        .collect();
    let windows: Vec<Window<'_>> = windows
        .iter()
        .zip(&scores)
        .map(|(window, [start, end])| Window { start, end, offsets: &window.offsets })
        .collect();
    Ok(best_answer(&windows, settings))
}
