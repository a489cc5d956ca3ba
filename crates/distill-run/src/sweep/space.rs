//! `SWEEP.toml`: the settings that vary, and the trials.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use distill_student::settings::BestMetric;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::changes::{Changes, shown};
use super::range::Range;
use crate::error::{Result, RunError};
use crate::trial;

/// How trials are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every combination.
    Grid,
    /// `trials` drawn combinations.
    Random,
    /// `trials` drawn combinations with few epochs; the best continue with more.
    Halving,
    /// The unchanged pipeline, and one change at a time.
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
    /// `halving`: one in this many trials continues to the next round, with this many times the epochs.
    pub eta: u32,
    /// Seed of the draws.
    pub draw_seed: u64,
}

impl Default for SweepSettings {
    fn default() -> Self {
        SweepSettings {
            pipeline: PathBuf::new(),
            method: Method::Grid,
            trials: 16,
            seeds: vec![42],
            metric: BestMetric::Auto,
            rungs: 3,
            eta: 3,
            draw_seed: 0,
        }
    }
}

/// A whole file.
///
/// ```
/// use std::path::Path;
///
/// use distill_run::sweep::{SweepFile, shown};
///
/// let text = "[sweep]\npipeline = \"trec.toml\"\n[space]\n\"student.temperature\" = [1.0, 4.0]";
/// let trials = SweepFile::parse(text, Path::new("sweep.toml"))?.trials()?;
/// assert_eq!(shown(&trials[1]), "student.temperature=4.0");
/// # Ok::<(), distill_run::error::RunError>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// How to search.
    pub sweep: SweepSettings,
    /// Where: values of each setting.
    pub space: Table,
}

/// Trials of one sweep at most: each is a training run, and the table of them is written again after each.
const MOST_TRIALS: usize = 10_000;

/// Settings that may vary: those of a student, and those of earlier stages. The rows must
/// not: trials are compared on the same ones.
const MAY_VARY: [&str; 6] = ["student.", "pretrain.", "finetune.", "augment.", "teacher.", "data.max_length"];

impl SweepFile {
    /// Reads and checks the text of a file.
    ///
    /// # Errors
    /// Wrong usage, with the file and the key.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let wrong = |what: &str| RunError::usage(format!("{}: {what}", path.display()));
        let file: SweepFile = toml::from_str(text).map_err(|error| wrong(error.message().trim()))?;
        file.check().map_err(|what| wrong(&what))?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let SweepSettings { pipeline, method, trials, seeds, rungs, eta, .. } = &self.sweep;
        let refuse = |fits: bool, what: &str| if fits { Ok(()) } else { Err(what.to_owned()) };
        refuse(!pipeline.as_os_str().is_empty(), "[sweep] pipeline is missing")?;
        refuse(!seeds.is_empty(), "[sweep] seeds is empty")?;
        if let Some(seed) = trial::repeated(seeds) {
            return Err(format!("[sweep] seeds contains {seed} more than once"));
        }
        refuse(
            (1..=MOST_TRIALS).contains(trials),
            &format!("[sweep] trials is {trials}, expected 1 to {MOST_TRIALS}"),
        )?;
        refuse(
            seeds.len() <= MOST_TRIALS,
            &format!("[sweep] seeds has {} numbers; the limit is {MOST_TRIALS}", seeds.len()),
        )?;
        refuse((1..=10).contains(rungs), "[sweep] rungs is out of range, expected 1 to 10")?;
        refuse(*eta >= 2, "[sweep] eta is below 2")?;
        refuse(!self.space.is_empty(), "[space] is empty")?;
        for (key, value) in &self.space {
            refuse(
                MAY_VARY.iter().any(|part| key.starts_with(part)),
                &format!(
                    "[space] {key:?}: only settings of [student], [pretrain], [finetune], [augment] and [teacher], \
                     and data.max_length can vary, such as \"student.learning_rate\""
                ),
            )?;
            refuse(
                *method != Method::Halving || key != "student.epochs",
                "[space] \"student.epochs\": method \"halving\" sets the epochs of each round itself",
            )?;
            let drawn = matches!(method, Method::Random | Method::Halving);
            match value {
                Value::Array(values) => {
                    refuse(!values.is_empty(), &format!("[space] {key:?} has no values"))?;
                }
                Value::Table(_) if drawn => {
                    Range::read(value).map_err(|what| format!("[space] {key:?}: {what}"))?;
                }
                Value::Table(_) => {
                    return Err(format!("[space] {key:?}: a range needs method \"random\" or \"halving\""));
                }
                _ => return Err(format!("[space] {key:?}: expected a list of values, or a range")),
            }
        }
        self.check_count()
    }

    /// Counts the trials without making one.
    fn check_count(&self) -> Result<(), String> {
        let mut sizes = self.lists().map(|(_, values)| values.len() as u128);
        let (what, count, instead) = match self.sweep.method {
            // A product that does not fit is too many all the more.
            Method::Grid => {
                let count = sizes.try_fold(1u128, u128::checked_mul);
                ("the grid has", count, "fewer values, or use method \"random\" with this number of trials")
            }
            Method::OneAtATime => {
                ("one at a time, the values make", Some(sizes.sum::<u128>() + 1), "fewer values")
            }
            Method::Random | Method::Halving => return Ok(()),
        };
        match count {
            Some(count) if count <= MOST_TRIALS as u128 => Ok(()),
            count => {
                let count = count.map_or("more than 10^38".to_owned(), |count| count.to_string());
                Err(format!("[space] {what} {count} trials, but the limit is {MOST_TRIALS}: give {instead}"))
            }
        }
    }

    /// The trials, each with its changes.
    ///
    /// # Errors
    /// Wrong usage for a range that cannot be read, which [`SweepFile::parse`] has ruled out.
    pub fn trials(&self) -> Result<Vec<Changes>> {
        match self.sweep.method {
            Method::Grid => Ok(self.grid().collect()),
            Method::OneAtATime => {
                let one = self.lists().flat_map(|(key, values)| {
                    values.iter().map(move |value| vec![(key.clone(), value.clone())])
                });
                Ok(std::iter::once(Vec::new()).chain(one).collect())
            }
            Method::Random | Method::Halving => self.drawn(),
        }
    }

    fn lists(&self) -> impl Iterator<Item = (&String, &Vec<Value>)> {
        self.space.iter().filter_map(|(key, value)| Some((key, value.as_array()?)))
    }

    /// Every combination, one after another: the last list's values change with each.
    fn grid(&self) -> impl Iterator<Item = Changes> {
        let lists: Vec<(&String, &Vec<Value>)> = self.lists().collect();
        let count = lists.iter().map(|(_, values)| values.len()).fold(1, usize::saturating_mul);
        (0..count).map(move |number| {
            let mut rest = number;
            let mut trial: Changes = Vec::with_capacity(lists.len());
            for (key, values) in lists.iter().rev() {
                trial.push(((*key).clone(), values[rest % values.len()].clone()));
                rest /= values.len();
            }
            trial.reverse();
            trial
        })
    }

    /// `trials` different ones, or as many as the space has.
    fn drawn(&self) -> Result<Vec<Changes>> {
        /// Draws for each trial, after which the space is taken to have no more.
        const PATIENCE: usize = 200;
        let mut draws = ChaCha8Rng::seed_from_u64(self.sweep.draw_seed);
        let (mut trials, mut known) = (Vec::new(), HashSet::new());
        for _ in 0..self.sweep.trials.saturating_mul(PATIENCE) {
            if trials.len() == self.sweep.trials {
                break;
            }
            let trial = self.draw(&mut draws)?;
            if known.insert(shown(&trial)) {
                trials.push(trial);
            }
        }
        Ok(trials)
    }

    fn draw(&self, draws: &mut ChaCha8Rng) -> Result<Changes> {
        let mut share = || f64::from(draws.next_u32()) / (f64::from(u32::MAX) + 1.0);
        self.space
            .iter()
            .map(|(key, value)| {
                let drawn = match value {
                    Value::Array(values) => values[(share() * values.len() as f64) as usize].clone(),
                    other => Range::read(other).map_err(RunError::usage)?.at(share()),
                };
                Ok((key.clone(), drawn))
            })
            .collect()
    }
}

/// The epochs of each round of `halving`, and how many trials it has. A round with the epochs of the one before
/// would find nothing new and is dropped.
pub fn rounds(sweep: &SweepSettings, epochs: u32, trials: usize) -> Vec<(u32, usize)> {
    let mut rounds: Vec<(u32, usize)> = Vec::new();
    let mut left = trials;
    for rung in 0..sweep.rungs {
        let part = sweep.eta.saturating_pow(sweep.rungs - 1 - rung);
        let here = (epochs / part).max(1);
        if rounds.last().is_none_or(|(before, _)| *before != here) {
            rounds.push((here, left));
            left = left.div_ceil(sweep.eta as usize);
        }
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::super::changes::{name_of, of_teacher, upstream};
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
        assert_eq!(shown(&one.trials().unwrap()[0]), "the unchanged pipeline");
    }

    #[test]
    fn drawn_trials_are_in_their_ranges_and_reproducible() {
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
    fn trials_are_unique_and_a_small_space_ends() {
        let text = "[sweep]\npipeline = \"p.toml\"\nmethod = \"random\"\ntrials = 50\n[space]\n\
                    \"student.temperature\" = [1.0, 2.0]\n\"student.train_last_layers\" = { low = 1, high = 3 }\n";
        let file = file(text);
        file.check().unwrap();
        let mut trials: Vec<String> = file.trials().unwrap().iter().map(|trial| shown(trial)).collect();
        trials.sort();
        let all = [1, 2, 3].map(|layers| {
            [1.0, 2.0].map(|t: f64| format!("student.temperature={t:.1} student.train_last_layers={layers}"))
        });
        let mut all = all.concat();
        all.sort();
        assert_eq!(trials, all);
    }

    #[test]
    fn settings_that_change_the_soft_targets_are_recognised() {
        let changes: Changes =
            vec![("augment.copies".to_owned(), 2.into()), ("student.epochs".to_owned(), 3.into())];
        assert_eq!(upstream(&changes), changes[..1]);
        assert!(of_teacher(&changes).is_empty(), "copies have the teacher that the rows alone have");
        assert_ne!(name_of(&changes), name_of(&upstream(&changes)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[sweep]\n[space]\n\"student.epochs\" = [1]\n", "pipeline is missing"),
            ("[sweep]\npipeline = \"p\"\n[space]\n\"data.train\" = [\"a\"]\n", "can vary"),
            (
                "[sweep]\npipeline = \"p\"\nseeds = [1, 2, 1]\n[space]\n\"student.epochs\" = [1]\n",
                "seeds contains 1 more than once",
            ),
            (
                "[sweep]\npipeline = \"p\"\nmethod = \"halving\"\n[space]\n\"student.epochs\" = [1]\n",
                "sets the epochs",
            ),
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

    /// Counting is not enumerating: a file of a kilobyte can ask for more trials than there is memory.
    #[test]
    fn more_trials_than_can_be_run_are_refused_before_one_is_made() {
        let values = |count: usize| (0..count).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
        let space = |lists: usize, count: usize| {
            (0..lists).map(|at| format!("\"student.s{at}\" = [{}]\n", values(count))).collect::<String>()
        };
        let text = |sweep: &str, space: &str| format!("[sweep]\npipeline = \"p\"\n{sweep}[space]\n{space}");
        let thousands = text("", &space(12, 10));
        let found = file(&thousands).check().unwrap_err();
        assert!(
            found.contains("1000000000000 trials, but the limit is 10000") && found.contains("random"),
            "{found}"
        );
        let found = file(&text("", &space(200, 10))).check().unwrap_err();
        assert!(found.contains("more than 10^38 trials"), "{found}");
        let found = file(&text("method = \"one_at_a_time\"\n", &space(2, 6000))).check().unwrap_err();
        assert!(found.contains("12001 trials"), "{found}");
        let found =
            file(&text("method = \"random\"\ntrials = 4000000000\n", &space(2, 9))).check().unwrap_err();
        assert!(found.contains("trials is 4000000000, expected 1 to 10000"), "{found}");
        let whole = file(&text("", &space(4, 10)));
        whole.check().unwrap();
        let all: HashSet<String> = whole.trials().unwrap().iter().map(|trial| shown(trial)).collect();
        assert_eq!(all.len(), 10_000);
    }

    #[test]
    fn halving_spends_more_epochs_on_fewer_trials() {
        let sweep = SweepSettings::default();
        assert_eq!(rounds(&sweep, 9, 9), [(1, 9), (3, 3), (9, 1)]);
        // A second round of one epoch would choose by the same figures again.
        assert_eq!(rounds(&sweep, 4, 9), [(1, 9), (4, 3)]);
        assert_eq!(rounds(&sweep, 1, 4), [(1, 4)]);
    }
}
