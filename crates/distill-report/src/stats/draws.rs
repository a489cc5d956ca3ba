//! Bootstrap values of every metric of every model on one data set.
//!
//! All models are resampled together, so that two of them can be compared row for row. What
//! follows from counts is drawn from the joint counts of label and every model's prediction;
//! everything else from the rows' influence on it.

use std::collections::BTreeMap;

use distill_core::StopSignal;
use rayon::prelude::*;

use super::means::draw_means;
use super::multinomial::CountSampler;
use super::{STREAM, stream};
use crate::metrics::classification::{self, class_shares};
use crate::metrics::{Metric, Scored, Tally, influence};
use crate::predictions::{Predictions, Role};

/// Label maps up to this width get an interval a class.
const CLASS_LABELS: usize = 100;

/// Drawn values, one a resample, at the same place from the same resample.
#[derive(Clone, Debug)]
pub struct Draws {
    /// By model, in the order given: the values of every metric, `[resamples]`.
    pub metrics: Vec<BTreeMap<Metric, Vec<f64>>>,
    /// By model: the F1 of every class, `[C][resamples]`; empty for wide label maps.
    pub class_f1: Vec<Vec<Vec<f64>>>,
    /// Of the best answer that is always the same: the values of its metrics, `[resamples]`.
    pub constant: BTreeMap<Metric, Vec<f64>>,
}

/// Draws every metric of models that were aligned; `values` are the metrics on the rows themselves.
/// Once `stop` was raised, what is returned is worth nothing.
pub fn draw(
    models: &[Predictions],
    scored: &[Scored],
    values: &[BTreeMap<Metric, f64>],
    seed: u64,
    resamples: usize,
    stop: &StopSignal,
) -> Draws {
    let mut draws = draw_counts(models, scored, seed, resamples, stop);
    let teacher = models.iter().find(|model| model.role == Role::Teacher);
    let mut owners = Vec::new();
    let mut columns = Vec::new();
    for (at, (model, scored)) in models.iter().zip(scored).enumerate() {
        let teacher = teacher.filter(|teacher| teacher.name != model.name);
        for (metric, column) in influence::influences(model, scored, teacher) {
            owners.push((at, metric));
            columns.push(column);
        }
    }
    for ((at, metric), drawn) in owners.into_iter().zip(draw_means(&columns, seed, resamples)) {
        if let Some(value) = values[at].get(&metric) {
            let drawn = drawn.into_iter().map(|moved| within_range(metric, value + moved)).collect();
            draws.metrics[at].insert(metric, drawn);
        }
    }
    draws
}

/// First-order draws may step over the end of a metric's range.
fn within_range(metric: Metric, value: f64) -> f64 {
    let highest =
        if matches!(metric, Metric::LogLoss | Metric::Kl | Metric::Brier) { f64::INFINITY } else { 1.0 };
    value.clamp(0.0, highest)
}

/// The label and the prediction of every model on a row: rows of the same pattern are one cell.
struct Patterns {
    /// The label of each cell.
    labels: Vec<usize>,
    /// By model: the prediction of each cell.
    predictions: Vec<Vec<usize>>,
    counts: Vec<u64>,
}

impl Patterns {
    fn new(scored: &[Scored]) -> Self {
        let mut cells: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
        let mut pattern = Vec::with_capacity(scored.len() + 1);
        for at in 0..scored.first().map_or(0, Scored::len) {
            pattern.clear();
            pattern.push(scored[0].targets()[at]);
            pattern.extend(scored.iter().map(|model| model.predicted()[at]));
            match cells.get_mut(&pattern) {
                Some(count) => *count += 1,
                None => drop(cells.insert(pattern.clone(), 1)),
            }
        }
        let column = |at: usize| cells.keys().map(|pattern| pattern[at]).collect();
        Patterns {
            labels: column(0),
            predictions: (0..scored.len()).map(|model| column(model + 1)).collect(),
            counts: cells.values().copied().collect(),
        }
    }

    fn tally(&self, model: usize, counts: &[u64], tally: &mut Tally) {
        tally.clear();
        for ((label, predicted), count) in self.labels.iter().zip(&self.predictions[model]).zip(counts) {
            if *count > 0 {
                tally.add(*label, *predicted, *count);
            }
        }
    }
}

fn draw_counts(
    models: &[Predictions],
    scored: &[Scored],
    seed: u64,
    resamples: usize,
    stop: &StopSignal,
) -> Draws {
    let patterns = Patterns::new(scored);
    let sampler = CountSampler::new(&patterns.counts);
    let num_labels = models.first().map_or(0, Predictions::num_labels);
    let classes = if num_labels <= CLASS_LABELS { num_labels } else { 0 };
    let most_frequent = scored.first().map_or(0, |scored| scored.confusion().tally().most_frequent());
    let parts: Vec<Vec<Drawn>> = (0..resamples.div_ceil(STREAM))
        .into_par_iter()
        .map(|part| {
            let mut rng = stream(seed, 0, part);
            let (mut counts, mut tally) = (Vec::new(), Tally::new(num_labels));
            let mut drawn = Vec::new();
            if stop.reason().is_some() {
                return drawn;
            }
            for _ in part * STREAM..resamples.min((part + 1) * STREAM) {
                sampler.draw(&mut rng, &mut counts);
                for model in 0..models.len() {
                    patterns.tally(model, &counts, &mut tally);
                    drawn.push(Drawn::new(&tally, classes));
                }
                // The last model's tally has the rows of every label, whatever was predicted.
                drawn.push(Drawn::new(&tally.always(most_frequent), 0));
            }
            drawn
        })
        .collect();
    let mut draws = gather(parts.into_iter().flatten(), models.len() + 1, classes);
    draws.class_f1.pop();
    draws.constant = draws.metrics.pop().unwrap_or_default();
    draws
}

/// One model's values in one resample.
struct Drawn {
    metrics: Vec<(Metric, f64)>,
    class_f1: Vec<f64>,
}

impl Drawn {
    fn new(tally: &Tally, classes: usize) -> Self {
        let class_f1 =
            if classes == 0 { Vec::new() } else { class_shares(tally).iter().map(|class| class.f1).collect() };
        Drawn { metrics: classification::metrics(tally), class_f1 }
    }
}

/// From resample by resample, models in turn, to a list of values a model and metric.
fn gather(drawn: impl Iterator<Item = Drawn>, models: usize, classes: usize) -> Draws {
    let mut draws = Draws {
        metrics: vec![BTreeMap::new(); models],
        class_f1: vec![vec![Vec::new(); classes]; models],
        constant: BTreeMap::new(),
    };
    for (at, drawn) in drawn.enumerate() {
        let (resample, model) = (at / models, at % models);
        for (metric, value) in drawn.metrics {
            let values: &mut Vec<f64> = draws.metrics[model].entry(metric).or_default();
            // A metric that was undefined in earlier resamples keeps its place with NaN.
            values.resize(resample, f64::NAN);
            values.push(value);
        }
        draws.class_f1[model].iter_mut().zip(drawn.class_f1).for_each(|(values, value)| values.push(value));
    }
    for metrics in &mut draws.metrics {
        let longest = metrics.values().map(Vec::len).max().unwrap_or(0);
        metrics.values_mut().for_each(|values| values.resize(longest, f64::NAN));
    }
    draws
}

#[cfg(test)]
mod tests {
    use distill_core::LabelMap;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::metrics;
    use crate::stats::multinomial::below;

    const ROWS: usize = 600;
    const LABELS: usize = 4;

    fn noisy(name: &str, role: Role, strength: f32, rng: &mut ChaCha8Rng) -> Predictions {
        let labels: Vec<Option<i32>> =
            (0..ROWS).map(|row| (row % 29 != 0).then_some((row * row % 7 % LABELS) as i32)).collect();
        let mut logits: Vec<f32> = (0..ROWS * LABELS).map(|_| StandardNormal.sample(rng)).collect();
        for (row, label) in labels.iter().enumerate() {
            logits[row * LABELS + label.unwrap_or(0) as usize] += strength;
        }
        let ids = (0..ROWS).map(|row| row.to_string()).collect();
        Predictions::new(name, role, ids, LabelMap::numbered(LABELS).unwrap(), labels, logits).unwrap()
    }

    fn spread(values: &[f64]) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    /// Every metric of every model, as `build` measures them.
    fn measure(models: &[Predictions], scored: &[Scored]) -> Vec<BTreeMap<Metric, f64>> {
        let mut values: Vec<BTreeMap<Metric, f64>> =
            scored.iter().map(|scored| metrics::all(scored).into_iter().collect()).collect();
        values[1].insert(
            Metric::Agreement,
            metrics::against::agreement(&models[0].predicted(), &models[1].predicted()),
        );
        values[1].insert(Metric::Kl, metrics::against::kl(&models[0], &models[1]));
        values
    }

    #[test]
    fn every_metric_spreads_as_it_does_when_rows_are_drawn_one_by_one() {
        const RESAMPLES: usize = 800;
        let mut rng = stream(11, 9, 0);
        let models = [noisy("t", Role::Teacher, 2.5, &mut rng), noisy("s", Role::Student, 1.5, &mut rng)];
        let scored: Vec<Scored> = models.iter().map(Scored::new).collect();
        let values = measure(&models, &scored);
        let draws = draw(&models, &scored, &values, 1, 4000, &StopSignal::default());
        let mut plain: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
        let mut differences = Vec::new();
        for _ in 0..RESAMPLES {
            let rows: Vec<usize> = (0..ROWS).map(|_| below(&mut rng, ROWS)).collect();
            let drawn = metrics::all(&Scored::of_rows(&models[1], rows.iter().copied()));
            let teacher = metrics::all(&Scored::of_rows(&models[0], rows));
            differences.push(teacher[4].1 - drawn[4].1);
            drawn.into_iter().for_each(|(metric, value)| plain.entry(metric).or_default().push(value));
        }
        for (metric, plain) in &plain {
            let ratio = spread(&draws.metrics[1][metric]) / spread(plain);
            // Rows change bins with a refitted temperature, and the largest error jumps between bins.
            let allowed = match metric {
                Metric::Mce => 0.5,
                Metric::EceScaled => 0.25,
                _ => 0.12,
            };
            assert!((ratio - 1.0).abs() < allowed, "{}: {ratio}", metric.name());
        }
        let of = |model: usize| &draws.metrics[model][&Metric::MacroF1];
        let paired: Vec<f64> = of(0).iter().zip(of(1)).map(|(left, right)| left - right).collect();
        let ratio = spread(&paired) / spread(&differences);
        assert!((ratio - 1.0).abs() < 0.12, "paired macro F1: {ratio}");
    }

    #[test]
    fn the_same_seed_gives_the_same_draws_at_any_number_of_threads() {
        let mut rng = stream(5, 9, 0);
        let models = [noisy("t", Role::Teacher, 2.5, &mut rng), noisy("s", Role::Student, 1.5, &mut rng)];
        let scored: Vec<Scored> = models.iter().map(Scored::new).collect();
        let values = measure(&models, &scored);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| draw(&models, &scored, &values, 1, 200, &StopSignal::default())).metrics
        };
        assert_eq!(on(1), on(3));
        assert_ne!(draw(&models, &scored, &values, 2, 200, &StopSignal::default()).metrics, on(1));
    }
}
