//! `SWEEP.toml`: what is varied, and the trials that come of it.

use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_student::settings::BestMetric;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::exit::Failure;

/// How trials are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every combination.
    Grid,
    /// `trials` drawn combinations.
    Random,
    /// `trials` drawn combinations with few epochs; the best go on to more.
    Halving,
    /// The pipeline as it is, and one change at a time.
    OneAtATime,
}

/// `[sweep]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SweepSettings {
    /// The pipeline file that trials change.
    pub pipeline: PathBuf,
    /// How trials are chosen.
    pub method: Method,
    /// Drawn combinations.
    pub trials: usize,
    /// Every trial runs with each of these.
    pub seeds: Vec<u64>,
    /// What trials are compared by on the validation part.
    pub metric: BestMetric,
    /// Rounds of `halving`.
    pub rungs: u32,
    /// `halving`: one of so many trials goes on to the next round, with so many times the epochs.
    pub eta: u32,
    /// Decides what is drawn.
    pub draw_seed: u64,
}

impl Default for SweepSettings {
    fn default() -> Self {
        SweepSettings {
            pipeline: PathBuf::new(),
            method: Method::Grid,
            trials: 16,
            seeds: vec![42],
            metric: BestMetric::Accuracy,
            rungs: 3,
            eta: 3,
            draw_seed: 0,
        }
    }
}

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// How to search.
    pub sweep: SweepSettings,
    /// Where: values of each setting.
    pub space: Table,
}

/// Settings that a trial changes, in the order of their names.
pub type Changes = Vec<(String, Value)>;

/// A range that numbers are drawn from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    low: f64,
    high: f64,
    #[serde(default)]
    log: bool,
}

impl SweepFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Wrong usage, with the file and the key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(FileError::of("read", path))?;
        let wrong = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
        let file: SweepFile = toml::from_str(&text).map_err(|error| wrong(error.message().trim()))?;
        file.check().map_err(|what| wrong(&what))?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let SweepSettings { pipeline, method, trials, seeds, rungs, eta, .. } = &self.sweep;
        let refuse = |fits: bool, what: &str| if fits { Ok(()) } else { Err(what.to_owned()) };
        refuse(!pipeline.as_os_str().is_empty(), "[sweep] pipeline is missing")?;
        refuse(!seeds.is_empty(), "[sweep] seeds is empty")?;
        refuse(*trials >= 1, "[sweep] trials is 0, expected at least 1")?;
        refuse((1..=10).contains(rungs), "[sweep] rungs is out of range, expected 1 to 10")?;
        refuse(*eta >= 2, "[sweep] eta is below 2")?;
        refuse(!self.space.is_empty(), "[space] is empty")?;
        for (key, value) in &self.space {
            refuse(
                key.starts_with("student."),
                &format!(
                    "[space] {key:?}: only settings of [student] can vary, such as \"student.learning_rate\""
                ),
            )?;
            let drawn = matches!(method, Method::Random | Method::Halving);
            match value {
                Value::Array(values) => {
                    refuse(!values.is_empty(), &format!("[space] {key:?} has no values"))?;
                }
                Value::Table(_) if drawn => {
                    let Range { low, high, log } =
                        range(value).map_err(|what| format!("[space] {key:?}: {what}"))?;
                    let fits = low < high && low.is_finite() && high.is_finite() && (!log || low > 0.0);
                    refuse(fits, &format!("[space] {key:?}: expected low < high, and low above 0 with log"))?;
                }
                Value::Table(_) => {
                    return Err(format!("[space] {key:?}: a range needs method \"random\" or \"halving\""));
                }
                _ => return Err(format!("[space] {key:?}: expected a list of values, or a range")),
            }
        }
        Ok(())
    }

    /// The trials, each with what it changes.
    ///
    /// # Errors
    /// Wrong usage for a range that cannot be read, which [`SweepFile::read`] has ruled out.
    pub fn trials(&self) -> anyhow::Result<Vec<Changes>> {
        match self.sweep.method {
            Method::Grid => Ok(self.grid()),
            Method::OneAtATime => {
                let one = self.lists().flat_map(|(key, values)| {
                    values.iter().map(move |value| vec![(key.clone(), value.clone())])
                });
                Ok(std::iter::once(Vec::new()).chain(one).collect())
            }
            Method::Random | Method::Halving => {
                let mut draws = ChaCha8Rng::seed_from_u64(self.sweep.draw_seed);
                (0..self.sweep.trials).map(|_| self.drawn(&mut draws)).collect()
            }
        }
    }

    fn lists(&self) -> impl Iterator<Item = (&String, &Vec<Value>)> {
        self.space.iter().filter_map(|(key, value)| Some((key, value.as_array()?)))
    }

    fn grid(&self) -> Vec<Changes> {
        let mut trials: Vec<Changes> = vec![Vec::new()];
        for (key, values) in self.lists() {
            let with = |trial: &Changes, value: &Value| {
                trial.iter().cloned().chain([(key.clone(), value.clone())]).collect()
            };
            trials =
                trials.iter().flat_map(|trial| values.iter().map(move |value| with(trial, value))).collect();
        }
        trials
    }

    fn drawn(&self, draws: &mut ChaCha8Rng) -> anyhow::Result<Changes> {
        let mut share = || f64::from(draws.next_u32()) / (f64::from(u32::MAX) + 1.0);
        self.space
            .iter()
            .map(|(key, value)| {
                let drawn = match value {
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        clippy::cast_precision_loss
                    )]
                    Value::Array(values) => values[(share() * values.len() as f64) as usize].clone(),
                    other => Value::Float(within(&range(other).map_err(Failure::usage)?, share())),
                };
                Ok((key.clone(), drawn))
            })
            .collect()
    }
}

fn range(value: &Value) -> Result<Range, String> {
    value.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Three digits: what a person would have written.
fn within(range: &Range, share: f64) -> f64 {
    let Range { low, high, log } = range;
    let value = if *log { low * (high / low).powf(share) } else { low + (high - low) * share };
    format!("{value:.2e}").parse().unwrap_or(value).clamp(*low, *high)
}

/// The epochs of each round of `halving`, and how many trials it has.
pub fn rounds(sweep: &SweepSettings, epochs: u32, trials: usize) -> Vec<(u32, usize)> {
    let mut rounds = Vec::new();
    let mut left = trials;
    for rung in 0..sweep.rungs {
        let part = sweep.eta.saturating_pow(sweep.rungs - 1 - rung);
        rounds.push(((epochs / part).max(1), left));
        left = left.div_ceil(sweep.eta as usize);
    }
    rounds
}

/// Changes in words: `student.temperature=2.0`.
pub fn shown(changes: &Changes) -> String {
    if changes.is_empty() {
        return "the pipeline as it is".to_owned();
    }
    let one = |(key, value): &(String, Value)| format!("{key}={value}");
    changes.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SweepFile {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let file = file(
            "[sweep]\npipeline = \"p.toml\"\n[space]\n\"student.epochs\" = [1, 2]\n\"student.loss\" = [\"kl\", \"mse\", \"js\"]\n",
        );
        file.check().unwrap();
        let trials = file.trials().unwrap();
        assert_eq!(trials.len(), 6);
        assert_eq!(shown(&trials[0]), "student.epochs=1 student.loss=\"kl\"");
        assert_eq!(shown(&trials[5]), "student.epochs=2 student.loss=\"js\"");
        let one =
            SweepFile { sweep: SweepSettings { method: Method::OneAtATime, ..file.sweep }, space: file.space };
        assert_eq!(one.trials().unwrap().len(), 6);
        assert_eq!(shown(&one.trials().unwrap()[0]), "the pipeline as it is");
    }

    #[test]
    fn drawn_trials_lie_in_their_ranges_and_repeat() {
        let text = "[sweep]\npipeline = \"p.toml\"\nmethod = \"random\"\ntrials = 50\n[space]\n\
                    \"student.learning_rate\" = { low = 1e-5, high = 1e-3, log = true }\n\"student.epochs\" = [1, 2]\n";
        let file = file(text);
        file.check().unwrap();
        let trials = file.trials().unwrap();
        assert_eq!(trials, file.trials().unwrap());
        let rates: Vec<f64> = trials.iter().flatten().filter_map(|(_, value)| value.as_float()).collect();
        assert!(rates.len() == 50 && rates.iter().all(|rate| (1e-5..=1e-3).contains(rate)));
        let small = rates.iter().filter(|rate| **rate < 1e-4).count();
        assert!((15..=35).contains(&small), "half of a logarithmic range lies below its middle: {small}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[sweep]\n[space]\n\"student.epochs\" = [1]\n", "pipeline is missing"),
            ("[sweep]\npipeline = \"p\"\n[space]\n\"data.max_length\" = [1]\n", "only settings of [student]"),
            ("[sweep]\npipeline = \"p\"\n[space]\n\"student.epochs\" = 1\n", "expected a list"),
            (
                "[sweep]\npipeline = \"p\"\n[space]\n\"student.epochs\" = { low = 1, high = 2 }\n",
                "needs method",
            ),
            ("[sweep]\npipeline = \"p\"\n[space]\n", "[space] is empty"),
        ] {
            let found = file(text).check().unwrap_err();
            assert!(found.contains(part), "{found}");
        }
    }

    #[test]
    fn halving_spends_more_epochs_on_fewer_trials() {
        let sweep = SweepSettings::default();
        assert_eq!(rounds(&sweep, 9, 9), [(1, 9), (3, 3), (9, 1)]);
        assert_eq!(rounds(&sweep, 2, 4), [(1, 4), (1, 2), (2, 1)]);
    }
}
