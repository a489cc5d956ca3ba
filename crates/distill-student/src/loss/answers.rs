//! Answers that are a part of a text: each window's positions are the classes of two rows, one for where the answer begins and
//! one for where it ends.
//!
//! The loss of labels is the mean of both cross-entropies, as in `…ForQuestionAnswering` of `transformers`; a comparison with a
//! teacher is one of two distributions over the same positions (Sanh et al. 2019, arXiv:1910.01108, for SQuAD).
//!
//! Legend: `W` windows, `N` positions of all of them, `L` positions of the longest.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

/// A logit that no softmax tells from minus infinity, and that no difference makes NaN.
const NEVER: f64 = -1e9;

/// Columns of [`labels`] before the places.
const ENDS: i64 = 2;

/// Of windows with so many positions, in which the answer begins and ends at these, int64 `[W, 2 + L]`: both ends, and where
/// the window's positions are among those of all windows, -1 where it has fewer than `L`.
pub(crate) fn labels(windows: &[(usize, i64, i64)]) -> Tensor {
    let longest = windows.iter().map(|(positions, ..)| *positions).max().unwrap_or(0);
    let mut values: Vec<i64> = Vec::with_capacity(windows.len() * (longest + 2));
    let mut next = 0i64;
    for (positions, start, end) in windows {
        values.extend([*start, *end]);
        let own = *positions as i64;
        values.extend((0..longest as i64).map(|at| if at < own { next + at } else { -1 }));
        next += own;
    }
    Tensor::from_slice(&values).view([windows.len() as i64, longest as i64 + ENDS])
}

/// Where answers begin and end, int64 `[2 W]`: the classes of the rows of [`distributions`].
pub(crate) fn ends(labels: &Tensor) -> Tensor {
    labels.narrow(1, 0, ENDS).contiguous().view([-1])
}

/// Logits of positions, `[N, 2]`, as rows of distributions over each window's positions, `[2 W, L]`.
///
/// # Errors
/// [`TorchError`] for logits of other windows.
pub(crate) fn distributions(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TorchError> {
    guard("logits of answers", || {
        let [windows, width] = [labels.size()[0], labels.size()[1] - ENDS];
        let places = labels.narrow(1, ENDS, width); // [W, L]
        let is_there = places.ge(0).unsqueeze(-1); // [W, L, 1]
        let found = logits.index_select(0, &places.clamp_min(0).reshape([-1])); // [W L, 2]
        let found = found.view([windows, width, ENDS]);
        let never = Tensor::full([1], NEVER, (Kind::Float, logits.device()));
        found.where_self(&is_there, &never).transpose(1, 2).reshape([ENDS * windows, width])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::UNLABELLED;
    use crate::loss::hard::hard_label_loss;
    use crate::loss::soft::{Comparison, Dkd, JensenShannon, Kl, LogitLoss, ReverseKl};
    use crate::loss::tests::value;

    /// Two windows, of three positions and of two.
    const WINDOWS: [(usize, i64, i64); 2] = [(3, 1, 2), (2, 0, 0)];

    fn logits() -> Tensor {
        Tensor::from_slice2(&[[0f32, 1.], [2., -1.], [0.5, 3.], [1., 0.], [-2., 0.25]])
    }

    #[test]
    fn the_loss_is_the_mean_of_both_ends_as_in_transformers() {
        let labels = labels(&WINDOWS);
        let rows = distributions(&logits(), &labels).unwrap();
        assert_eq!(rows.size(), [4, 3]);
        let found = value(&hard_label_loss(&rows, &ends(&labels), None, 0.0).unwrap());
        let entropy = |logits: &[f64], at: usize| logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[at];
        let starts = (entropy(&[0.0, 2.0, 0.5], 1) + entropy(&[1.0, -2.0], 0)) / 2.0;
        let ends = (entropy(&[1.0, -1.0, 3.0], 2) + entropy(&[0.0, 0.25], 0)) / 2.0;
        assert!((found - (starts + ends) / 2.0).abs() < 1e-6, "{found}");
    }

    /// A position that a window does not have changes neither a loss nor a gradient.
    #[test]
    fn windows_of_different_lengths_have_the_losses_that_they_have_alone() {
        let teacher = Tensor::from_slice2(&[[1f32, 0.], [0., 2.], [-3., 0.5], [0., 0.], [1., 1.]]);
        let losses: [&dyn LogitLoss; 4] = [&Kl, &ReverseKl, &JensenShannon, &Dkd { alpha: 1.0, beta: 2.0 }];
        for loss in losses {
            let of = |rows: std::ops::Range<usize>, windows: &[(usize, i64, i64)]| {
                let (first, count) = (rows.start as i64, rows.len() as i64);
                let student = logits().narrow(0, first, count).set_requires_grad(true);
                let labels = labels(windows);
                let [own, theirs] =
                    [&student, &teacher.narrow(0, first, count)].map(|z| distributions(z, &labels).unwrap());
                let labels = ends(&labels);
                let found = loss
                    .value(Comparison { student: &own, teacher: &theirs, labels: &labels, temperature: 2.0 })
                    .unwrap();
                found.backward();
                (value(&found), student.grad())
            };
            let (both, gradients) = of(0..5, &WINDOWS);
            let (long, of_long) = of(0..3, &WINDOWS[..1]);
            let (short, of_short) = of(3..5, &WINDOWS[1..]);
            assert!((both - (long + short) / 2.0).abs() < 1e-6, "{}: {both}", loss.name());
            let apart = Tensor::cat(&[of_long, of_short], 0) / 2.0;
            assert!((gradients - apart).abs().max().double_value(&[]) < 1e-6, "{}", loss.name());
        }
    }

    #[test]
    fn windows_without_a_label_have_no_loss() {
        let labels = labels(&[(3, UNLABELLED, UNLABELLED), (2, 0, 1)]);
        assert_eq!(Vec::<i64>::try_from(ends(&labels)).unwrap(), [UNLABELLED, UNLABELLED, 0, 1]);
        let rows = distributions(&logits(), &labels).unwrap();
        let found = value(&hard_label_loss(&rows, &ends(&labels), None, 0.0).unwrap());
        let alone = distributions(&logits().narrow(0, 3, 2), &super::labels(&[(2, 0, 1)])).unwrap();
        let labels = super::labels(&[(2, 0, 1)]);
        let alone = value(&hard_label_loss(&alone, &ends(&labels), None, 0.0).unwrap());
        assert!((found - alone / 2.0).abs() < 1e-6);
    }
}
