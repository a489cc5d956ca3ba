//! One student of many, as sweeps and ablations train them: an ordinary run that resumes, its figure on the
//! validation part, and what several seeds say together.

use std::path::Path;

use distill_core::Category;
use distill_student::TrainError;
use distill_student::settings::BestMetric;
use serde_json::{Value, json};

use crate::commands::claim::{self, Claim, Replace};
use crate::commands::stage;
use crate::commands::student::StudentStage;
use crate::exit::{self, Failure};
use crate::session::Session;

/// The figures of a run, or why it has none.
pub type Outcome = Result<Value, Failed>;

/// Why a student could not be trained.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What was said.
    pub reason: String,
    category: Category,
}

impl Failed {
    /// For this reason, which is a failure of this kind.
    pub fn of(category: Category, reason: impl Into<String>) -> Self {
        Failed { reason: reason.into(), category }
    }
}

/// Trains a student unless its result is there. Settings that are refused, rows that teach it nothing and a
/// loss that is not finite are an answer about it, and the others go on.
///
/// # Errors
/// Whatever else stopped it.
pub fn student(session: &Session, stage: &StudentStage<'_>, directory: &Path) -> anyhow::Result<Outcome> {
    session.stop.check()?;
    match run(session, stage, directory) {
        Ok(figures) => Ok(Ok(figures)),
        Err(error) => {
            let category = exit::category(&error);
            let of_its_own =
                matches!(error.downcast_ref(), Some(TrainError::NotFinite { .. } | TrainError::Rows(_)));
            if !of_its_own && category != Category::Usage {
                return Err(error);
            }
            let reason = exit::chain(&error);
            tracing::warn!("{reason}");
            Ok(Err(Failed::of(category, reason)))
        }
    }
}

fn run(session: &Session, stage: &StudentStage<'_>, directory: &Path) -> anyhow::Result<Value> {
    let (planned, out) = match claim::claim(stage, session, directory, Replace::Stale)? {
        Claim::UpToDate(done) => return Ok(serde_json::to_value(&done.results)?),
        Claim::Run { planned, out, .. } => (planned, out),
    };
    Ok(serde_json::to_value(&stage::run_into(stage, session, out, *planned)?.results)?)
}

/// The validation figure of each seed, where all have one.
pub fn figures(outcomes: &[(u64, Outcome)], metric: BestMetric) -> Option<Vec<f64>> {
    let name = metric.name();
    let figure = |(_, outcome): &(u64, Outcome)| outcome.as_ref().ok()?["validation"][name].as_f64();
    outcomes.iter().map(figure).collect()
}

/// Why the first seed that failed did.
pub fn failure(outcomes: &[(u64, Outcome)]) -> Option<&Failed> {
    outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err())
}

/// The first seed that stands twice.
pub fn repeated(seeds: &[u64]) -> Option<u64> {
    (1..seeds.len()).find(|at| seeds[..*at].contains(&seeds[*at])).map(|at| seeds[at])
}

/// The runs of a student as JSON: a seed each, with its results or why there are none.
pub fn as_json(outcomes: &[(u64, Outcome)]) -> Vec<Value> {
    let run = |(seed, outcome): &(u64, Outcome)| match outcome {
        Ok(results) => json!({"seed": seed, "results": results}),
        Err(Failed { reason, .. }) => json!({"seed": seed, "results": null, "failed": reason}),
    };
    outcomes.iter().map(run).collect()
}

/// The figures in a row and their mean, or that there are none.
pub fn shown(figures: Option<&[f64]>) -> [String; 2] {
    match figures {
        None => ["failed".to_owned(), "-".to_owned()],
        Some(figures) => {
            let all: Vec<String> = figures.iter().map(|figure| format!("{figure:.4}")).collect();
            [all.join(" "), format!("{:.4}", mean(figures))]
        }
    }
}

/// Fails where none of the students could be trained, with what the first one met.
///
/// # Errors
/// The kind of failure that the first one was.
pub fn one_must_be_trained<'a>(
    outcomes: impl Iterator<Item = &'a (u64, Outcome)> + Clone,
) -> anyhow::Result<()> {
    if outcomes.clone().any(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    match outcomes.into_iter().find_map(|(_, outcome)| outcome.as_ref().err()) {
        None => Ok(()),
        Some(Failed { reason, category }) => {
            Err(Failure::of(*category, format!("no student could be trained; the first one: {reason}")).into())
        }
    }
}

/// Mean over seeds of `values − base`, and half its 95% interval where there are several.
pub fn paired(base: &[f64], values: &[f64]) -> (f64, Option<f64>) {
    let differences: Vec<f64> = base.iter().zip(values).map(|(base, value)| value - base).collect();
    (mean(&differences), half_width(&differences))
}

/// A difference with its interval.
pub fn with_interval((middle, half): (f64, Option<f64>)) -> String {
    match half {
        Some(half) => format!("{middle:+.4} [{:+.4}, {:+.4}]", middle - half, middle + half),
        None => format!("{middle:+.4}"),
    }
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The sample standard deviation; none for a single value.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
    let middle = mean(values);
    Some((values.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / freedom as f64).sqrt())
}

/// Half the width of a 95% interval of the mean by Student's t; none for a single value.
fn half_width(values: &[f64]) -> Option<f64> {
    /// 97.5% quantiles for 1, 2, … degrees of freedom.
    const T: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    let deviation = deviation(values)?;
    // Beyond the table its last, which is wider than the truth.
    let quantile = T[(values.len() - 1).min(T.len()) - 1];
    Some(quantile * deviation / (values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_paired_by_seed_and_has_its_interval() {
        // Differences 0.01, 0.02, 0.03: mean 0.02, sd 0.01, t(2) = 4.303.
        let found = with_interval(paired(&[0.9, 0.8, 0.7], &[0.91, 0.82, 0.73]));
        assert_eq!(found, "+0.0200 [-0.0048, +0.0448]");
        assert_eq!(with_interval(paired(&[0.9], &[0.8])), "-0.1000");
        assert_eq!(deviation(&[1.0]), None);
        assert_eq!(deviation(&[1.0, 3.0]), Some(2.0_f64.sqrt()));
    }

    #[test]
    fn a_figure_needs_every_seed_and_what_failed_says_why() {
        let failed = Failed::of(Category::Usage, "dkd needs three classes");
        let trained = |accuracy: f64| Ok(json!({"validation": {"accuracy": accuracy}}));
        let whole = [(1, trained(0.5)), (2, trained(0.7))];
        let part = [(1, trained(0.5)), (2, Err(failed.clone()))];
        assert_eq!(figures(&whole, BestMetric::Accuracy), Some(vec![0.5, 0.7]));
        assert_eq!(figures(&part, BestMetric::Accuracy), None);
        assert_eq!(as_json(&part)[1], json!({"seed": 2, "results": null, "failed": "dkd needs three classes"}));
        assert_eq!(shown(Some(&[0.5, 0.7])), ["0.5000 0.7000", "0.6000"]);
        one_must_be_trained(part.iter()).unwrap();
        let none = one_must_be_trained(part[1..].iter()).unwrap_err();
        assert_eq!(exit::category(&none), Category::Usage);
        assert!(none.to_string().contains("three classes"));
    }
}
