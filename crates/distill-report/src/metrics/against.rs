//! A model compared with its teacher, on the same rows.

use crate::predictions::Predictions;

/// Share of rows where both predict the same label, labelled or not.
pub fn agreement(teacher: &[usize], model: &[usize]) -> f64 {
    let same = teacher.iter().zip(model).filter(|(left, right)| left == right).count();
    same as f64 / teacher.len() as f64
}

/// `KL(softmax(z_t) ‖ softmax(z_s)) = Σ p_t (log p_t − log p_s)` at temperature 1, mean over all rows, in nats.
///
/// # Shapes
/// - both `[N, C]`, rows in the same order
pub fn kl(teacher: &Predictions, model: &Predictions) -> f64 {
    row_kls(teacher, model).iter().sum::<f64>() / teacher.rows() as f64
}

/// The divergence of each row, `[N]`.
pub fn row_kls(teacher: &Predictions, model: &Predictions) -> Vec<f64> {
    (0..teacher.rows()).map(|row| row_kl(teacher.row(row), model.row(row))).collect()
}

/// Of the logits of one position, `[C]` each.
pub(crate) fn row_kl(teacher: &[f32], model: &[f32]) -> f64 {
    let (log_t, log_s) = (log_sum_exp(teacher), log_sum_exp(model));
    teacher
        .iter()
        .zip(model)
        .map(|(t, s)| {
            let log_p = f64::from(*t) - log_t;
            log_p.exp() * (log_p - (f64::from(*s) - log_s))
        })
        .sum()
}

/// `log Σ exp(z)`, without overflow.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = f64::from(largest);
    largest + logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum::<f64>().ln()
}

/// Share of the teacher's figure that a model keeps; none where the teacher's is 0.
pub fn kept(model: f64, teacher: f64) -> Option<f64> {
    (teacher != 0.0).then(|| model / teacher)
}

/// Share of the way from the student without a teacher to the teacher: 0 at the baseline, 1 at the
/// teacher; none where the two are equal and there is no gap to close.
pub fn gap_closed(model: f64, baseline: f64, teacher: f64) -> Option<f64> {
    (teacher != baseline).then(|| (model - baseline) / (teacher - baseline))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Role;
    use crate::predictions::tests::make;

    #[test]
    fn kl_is_the_real_one_in_nats() {
        // softmax gives (.5, .25, .25) against (.25, .25, .5): KL = .5 ln 2 − .25 ln 2
        let ln2 = std::f32::consts::LN_2;
        let teacher = make("t", Role::Teacher, &[0, 1], &[[ln2, 0.0, 0.0], [0.0; 3]]).unwrap();
        let student = make("s", Role::Student, &[0, 1], &[[0.0, 0.0, ln2], [0.0; 3]]).unwrap();
        assert!((kl(&teacher, &student) - 0.125 * std::f64::consts::LN_2).abs() < 1e-8);
        assert_eq!(kl(&teacher, &teacher), 0.0);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let teacher = make("t", Role::Teacher, &[0, 1], &[[3e38, 0.0, 0.0], [0.0; 3]]).unwrap();
        let student = make("s", Role::Student, &[0, 1], &[[3e38, 0.0, 0.0], [0.0; 3]]).unwrap();
        assert_eq!(kl(&teacher, &student), 0.0);
    }

    #[test]
    fn the_gap_is_measured_from_the_baseline() {
        assert_eq!(gap_closed(0.75, 0.5, 1.0), Some(0.5));
        assert_eq!(gap_closed(0.75, 0.5, 0.5), None);
        assert_eq!(kept(0.5, 0.0), None);
    }
}
