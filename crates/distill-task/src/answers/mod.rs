//! Answers that are a span of a text: SQuAD's figures, and the best span of a model's logits.
//!
//! Read in this order: [`mod@normalise`] (what differs and still counts as the same), [`figures`] (exact match and F1),
//! [`span`] (from start and end logits of several windows to one answer).

pub mod figures;
pub mod normalise;
pub mod span;

pub use figures::{AnswerFigures, AnswerTally, Rules, Score, score};
pub use normalise::normalise;
pub use span::{Answer, Candidate, SpanSettings, Window, best_answer};
