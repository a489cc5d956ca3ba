//! How large the terms of a loss are at the first step, so that weights are chosen with open eyes.

use crate::loss::Term;

/// A term that is this many times smaller than another has almost no effect.
const FAR_APART: f64 = 100.0;

/// The terms of one step.
#[derive(Debug, Default)]
pub struct TermMagnitudes(Vec<Magnitude>);

#[derive(Debug)]
struct Magnitude {
    name: &'static str,
    weight: f64,
    value: f64,
}

impl TermMagnitudes {
    /// Adds the terms of a part of the step's rows.
    pub fn add(&mut self, terms: &[Term], share: f64) {
        for term in terms {
            let value = term.value.double_value(&[]) * share;
            match self.0.iter_mut().find(|term_magnitude| term_magnitude.name == term.name) {
                Some(term_magnitude) => term_magnitude.value += value,
                None => self.0.push(Magnitude { name: term.name, weight: term.weight, value }),
            }
        }
    }

    /// Says them, where there is more than one, and warns where they are far apart.
    pub fn log(&self) {
        if self.0.len() < 2 {
            return;
        }
        tracing::info!("terms at the first step: {}", self.shown());
        if let Some(warning) = self.warning() {
            tracing::warn!("{warning}");
        }
    }

    fn shown(&self) -> String {
        let one = |term_magnitude: &Magnitude| {
            format!(
                "{} {} · {:.4} = {:.4}",
                term_magnitude.name,
                term_magnitude.weight,
                term_magnitude.value,
                term_magnitude.counted()
            )
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// A term of 0 is no matter of weights: the student begins as its teacher there.
    fn warning(&self) -> Option<String> {
        let counted = self
            .0
            .iter()
            .filter(|term_magnitude| term_magnitude.counted() > 1e-9 && term_magnitude.counted().is_finite());
        let large = counted.clone().max_by(|left, right| left.counted().total_cmp(&right.counted()))?;
        let small = counted.min_by(|left, right| left.counted().total_cmp(&right.counted()))?;
        let times = large.counted() / small.counted();
        (times >= FAR_APART).then(|| {
            format!(
                "the term {} is {times:.0} times as large as {}, which has almost no effect; adjust their weights",
                large.name, small.name
            )
        })
    }
}

impl Magnitude {
    fn counted(&self) -> f64 {
        (self.weight * self.value).abs()
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    #[test]
    fn parts_add_up_and_terms_far_apart_are_named() {
        let term = |name, weight, value: f64| Term { name, weight, value: Tensor::from(value) };
        let mut magnitudes = TermMagnitudes::default();
        magnitudes.add(&[term("labels", 0.5, 2.0), term("relations", 0.01, 1.0)], 0.25);
        magnitudes.add(&[term("labels", 0.5, 4.0), term("relations", 0.01, 1.0)], 0.75);
        assert_eq!(magnitudes.shown(), "labels 0.5 · 3.5000 = 1.7500, relations 0.01 · 1.0000 = 0.0100");
        assert!(magnitudes.warning().unwrap().starts_with("the term labels is 175 times"));
        let mut near = TermMagnitudes::default();
        near.add(&[term("labels", 0.5, 2.0), term("relations", 1.0, 0.0), term("attention", 1.0, 0.02)], 1.0);
        assert_eq!(near.warning(), None);
    }
}
