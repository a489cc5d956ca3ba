//! Scores between the tokens of a row, of the student compared with the teacher's.
//!
//! Each value is a mean over heads and over the queries of a row, and then over rows. A place that one of the
//! two models cannot see counts for neither.
//!
//! Legend: `R` rows and `S` longest row of a group, `h` heads, `B` rows of the batch.

use distill_torch::relations::{MASKED_SCORE, Scores};
use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::same_shape;

/// `Σ_keys (a_s − a_t)² / length` of scores before the softmax.
///
/// # Shapes
/// - `student`, `teacher`: groups of `[R, h, S, S]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, equation 7.
pub fn score_mse(student: &[Scores], teacher: &[Scores]) -> Result<Tensor, TorchError> {
    by_group(student, teacher, |student, teacher, seen, shares| {
        let distance = (student - teacher).masked_fill(&seen.logical_not(), 0.0);
        let by_query = distance.square().sum_dim_intlist(-1, false, Kind::Float); // [R, h, S]
        by_query * shares // one over the row's length, for the keys
    })
}

/// `KL(softmax(a_t) ‖ softmax(a_s))` over the keys, in nats: of attention maps, and of the relations of queries
/// to keys and of values to values.
///
/// # Shapes
/// As [`score_mse`].
///
/// # Errors
/// As [`score_mse`].
///
/// Source: Wang et al. 2020 (MiniLM), arXiv:2002.10957, equations 6 and 7; with heads of any number, Wang et
/// al. 2021 (MiniLMv2), arXiv:2012.15828, section 3.1.
pub fn map_kl(student: &[Scores], teacher: &[Scores]) -> Result<Tensor, TorchError> {
    by_group(student, teacher, |student, teacher, seen, _| {
        let log_q = student.log_softmax(-1, Kind::Float); // [R, h, S, S]
        let log_p = teacher.log_softmax(-1, Kind::Float);
        let terms = (log_p.exp() * (log_p - log_q)).masked_fill(&seen.logical_not(), 0.0);
        terms.sum_dim_intlist(-1, false, Kind::Float) // [R, h, S]
    })
}

/// Mean over heads, queries and rows of what `by_query` makes of scores, the places that both see, and one over
/// each query's row's length, `[R, 1, S]`.
fn by_group(
    student: &[Scores],
    teacher: &[Scores],
    by_query: impl Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Tensor,
) -> Result<Tensor, TorchError> {
    let (mut sum, mut rows) = (Vec::with_capacity(student.len()), 0);
    for (student, teacher) in student.iter().zip(teacher) {
        same_shape(("the student's scores", &student.values), ("the teacher's", &teacher.values))?;
        rows += student.values.size()[0];
        sum.push(guard("loss of attention", || {
            let (own, theirs) = (&student.values, teacher.values.detach());
            let seen = own.gt(MASKED_SCORE / 2.0).logical_and(&theirs.gt(MASKED_SCORE / 2.0)); // [R, h, S, S]
            let shares = &student.query_shares; // [R, 1, S]
            let values = by_query(own, &theirs, &seen, shares) * shares; // [R, h, S]
            values.sum(Kind::Float) / own.size()[1] as f64
        })?);
    }
    let total = sum.into_iter().reduce(|sum, group| sum + group);
    let total =
        total.ok_or_else(|| TorchError::from(tch::TchError::Shape("a batch without rows".to_owned())))?;
    Ok(total / rows as f64)
}
