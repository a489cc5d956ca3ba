//! One student of many, as sweeps and ablations train them: an ordinary run that resumes, its figure on the
//! validation part, and what several seeds say together.

use std::path::Path;

use distill_core::Category;
use distill_report::stats::student_t;
use distill_student::selection::Metric;
use distill_student::settings::BestMetric;
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::execute;
use crate::lease::{self, Lease};
use crate::plan::Replace;
use crate::session::Session;
use crate::student::StudentStage;

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

    /// Whether it was said of the settings, which are the same for all seeds.
    pub fn is_usage(&self) -> bool {
        self.category == Category::Usage
    }

    /// A failure that ends the whole command, with a context.
    pub fn into_failure(self, means: &str) -> RunError {
        RunError::of(self.category, format!("{means}: {}", self.reason))
    }
}

/// Trains a student unless its result is up to date.
///
/// # Errors
/// As [`answer`] passes on.
pub fn student(session: &Session, stage: &StudentStage<'_>, directory: &Path) -> Result<Outcome> {
    session.stop.check()?;
    answer(run(session, stage, directory))
}

/// Tells what is an answer about a trial from what ends them all: settings that are refused, rows that teach nothing, a
/// loss that is not finite, a teacher with nothing to teach and memory that does not suffice are in the table, and the
/// other trials go on.
///
/// # Errors
/// A stop, and what a full disk or a directory that is not ours would do to the others, too.
pub fn answer<T>(result: Result<T>) -> Result<Result<T, Failed>> {
    let error = match result {
        Ok(done) => return Ok(Ok(done)),
        Err(error) => error,
    };
    let category = error.category();
    if matches!(category, Category::Stopped | Category::Io | Category::CannotCreate) {
        return Err(error);
    }
    let reason = error.chain();
    tracing::warn!("{reason}");
    Ok(Err(Failed::of(category, reason)))
}

/// The metric for comparing students, from the first one's figures: `asked` if it is set, else agreement with the
/// teacher where `auto` was asked for and the validation part has no labels.
///
/// # Errors
/// Wrong usage if the figures do not have the metric that was asked for: trials could not be compared.
pub fn comparable(asked: BestMetric, resolved: Metric, figures: &Value) -> Result<Metric> {
    let has = |metric: Metric| figures["validation"][metric.name()].is_number();
    match (has(resolved), asked) {
        (true, _) => Ok(resolved),
        (false, BestMetric::Auto) if has(Metric::Agreement) => Ok(Metric::Agreement),
        _ => Err(RunError::usage(format!(
            "students cannot be compared by {}: the validation rows have no labels for it",
            resolved.words()
        ))),
    }
}

fn run(session: &Session, stage: &StudentStage<'_>, directory: &Path) -> Result<Value> {
    let (planned, out) = match lease::take(stage, session, directory, Replace::Stale)? {
        Lease::UpToDate(done) => return Ok(serde_json::to_value(&done.results)?),
        Lease::Run { planned, out, .. } => (planned, out),
    };
    Ok(serde_json::to_value(&execute::run_into(stage, session, out, *planned)?.results)?)
}

/// The validation figure of each seed, where all have one.
pub fn figures(outcomes: &[(u64, Outcome)], metric: Metric) -> Option<Vec<f64>> {
    let name = metric.name();
    let figure = |(_, outcome): &(u64, Outcome)| outcome.as_ref().ok()?["validation"][name].as_f64();
    outcomes.iter().map(figure).collect()
}

/// Why the first seed that failed did.
pub fn failure(outcomes: &[(u64, Outcome)]) -> Option<&Failed> {
    outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err())
}

/// The first duplicate seed.
pub fn repeated(seeds: &[u64]) -> Option<u64> {
    let mut known = std::collections::HashSet::new();
    seeds.iter().find(|seed| !known.insert(**seed)).copied()
}

/// The runs of a student as JSON: one per seed, with its results or the reason why there are none.
pub fn as_json(outcomes: &[(u64, Outcome)]) -> Vec<Value> {
    let run = |(seed, outcome): &(u64, Outcome)| match outcome {
        Ok(results) => json!({"seed": seed, "results": results}),
        Err(Failed { reason, .. }) => json!({"seed": seed, "results": null, "failed": reason}),
    };
    outcomes.iter().map(run).collect()
}

/// The figures and their mean, or a mark if there are none.
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
pub fn one_must_be_trained<'a>(outcomes: impl Iterator<Item = &'a (u64, Outcome)> + Clone) -> Result<()> {
    if outcomes.clone().any(|(_, outcome)| outcome.is_ok()) {
        return Ok(());
    }
    match outcomes.into_iter().find_map(|(_, outcome)| outcome.as_ref().err()) {
        None => Ok(()),
        Some(failed) => Err(failed.clone().into_failure("no student could be trained; the first error")),
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
    let quantile = student_t::quantile(values.len() - 1, 0.95)?;
    Some(quantile * deviation(values)? / (values.len() as f64).sqrt())
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
    fn only_what_would_meet_every_trial_ends_them_all() {
        for category in [Category::Usage, Category::Data, Category::Internal, Category::Gate] {
            let answered = answer::<()>(Err(RunError::of(category, "so"))).unwrap();
            assert_eq!(answered.unwrap_err().reason, "so");
        }
        for category in [Category::Stopped, Category::Io, Category::CannotCreate] {
            assert!(answer::<()>(Err(RunError::of(category, "so"))).is_err());
        }
    }

    #[test]
    fn without_labels_students_are_compared_by_agreement_or_not_at_all() {
        use BestMetric::Auto;
        use Metric::{Accuracy, Agreement, Loss};
        let labelled = json!({"validation": {"accuracy": 0.5, "agreement": 0.6, "loss": 1.0}});
        let unlabelled = json!({"validation": {"accuracy": null, "agreement": 0.6, "loss": 1.0}});
        assert_eq!(comparable(Auto, Accuracy, &labelled).unwrap(), Accuracy);
        assert_eq!(comparable(Auto, Accuracy, &unlabelled).unwrap(), Agreement);
        assert_eq!(comparable(Loss.into(), Loss, &unlabelled).unwrap(), Loss);
        let error = comparable(Accuracy.into(), Accuracy, &unlabelled).unwrap_err();
        assert_eq!(error.category(), Category::Usage);
    }

    #[test]
    fn a_figure_needs_every_seed_and_what_failed_says_why() {
        let failed = Failed::of(Category::Usage, "dkd needs three classes");
        let trained = |accuracy: f64| Ok(json!({"validation": {"accuracy": accuracy}}));
        let whole = [(1, trained(0.5)), (2, trained(0.7))];
        let part = [(1, trained(0.5)), (2, Err(failed.clone()))];
        assert_eq!(figures(&whole, Metric::Accuracy), Some(vec![0.5, 0.7]));
        assert_eq!(figures(&part, Metric::Accuracy), None);
        assert_eq!(as_json(&part)[1], json!({"seed": 2, "results": null, "failed": "dkd needs three classes"}));
        assert_eq!(shown(Some(&[0.5, 0.7])), ["0.5000 0.7000", "0.6000"]);
        one_must_be_trained(part.iter()).unwrap();
        let none = one_must_be_trained(part[1..].iter()).unwrap_err();
        assert_eq!(none.category(), Category::Usage);
        assert!(none.to_string().contains("three classes"));
    }
}
