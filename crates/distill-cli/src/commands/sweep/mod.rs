//! `distill sweep`: many students over one pipeline, compared on the validation part alone.
//!
//! [`space`] is the file and the trials that come of it, [`table`] what is written about them. For each seed the
//! pipeline runs up to its soft targets in `OUT/seed-N`; each trial is an ordinary student run in
//! `OUT/seed-N/trials/NNN`, which resumes and is not run again where its result is there.

mod space;
pub mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_student::TrainError;
use serde_json::Value;

use crate::args::{Run, Sweep};
use crate::commands::claim::{self, Claim, Replace};
use crate::commands::run;
use crate::commands::stage;
use crate::commands::student::StudentStage;
use crate::exit::{Failure, Status};
use crate::output::printer::{self, talk};
use crate::session::Session;
use crate::settings::flags::Flags;
use crate::settings::{Layers, Settings};
use space::{Changes, Method, SweepFile, rounds, shown};
use table::{Row, Table};

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it, with the trial's changes.
pub fn command(args: &Sweep) -> anyhow::Result<Status> {
    if args.common.config.is_some() || args.common.seed.is_some() {
        bail!(Failure::usage(
            "--config and --seed are not for sweeps: SWEEP.toml names the pipeline and the seeds"
        ));
    }
    let file = SweepFile::read(&args.file)?;
    let trials = file.trials()?;
    let base = settings(args, &file, &[])?;
    // Every trial's settings are read before any of them runs.
    for trial in &trials {
        settings(args, &file, trial)?.student.train.check().with_context(|| shown(trial))?;
    }
    let name = args.file.file_stem().unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(name));
    if args.common.dry_run {
        let lines: Vec<String> = trials.iter().map(shown).collect();
        printer::result(&lines.join("\n"))?;
        return Ok(Status::Done);
    }
    let session = Session::start(&args.common, &base.runtime)?;
    let mut searcher = Searcher { args, file: &file, session, out: &out };
    let table = searcher.search(&trials, base.student.train.epochs)?;
    table.write(&out)?;
    printer::result(&if args.common.json { table.json()? } else { table.text(&out) })?;
    Ok(Status::Done)
}

/// The pipeline's settings with a trial's changes, which come after the command line's.
fn settings(args: &Sweep, file: &SweepFile, changes: &[(String, toml::Value)]) -> anyhow::Result<Settings> {
    let run = pipeline(args, file, None);
    let mut layers = run.layers()?;
    for (key, value) in changes {
        layers.flag(key, Some(value.clone()));
    }
    Layers::resolve(&layers).with_context(|| format!("[space] {}", shown(&changes.to_vec())))
}

/// The arguments of `distill run` for a sweep's pipeline.
fn pipeline(args: &Sweep, file: &SweepFile, out: Option<PathBuf>) -> Run {
    let pipeline = file.sweep.pipeline.clone();
    Run { pipeline, out, seeds: Vec::new(), overwrite: false, common: args.common.clone() }
}

struct Searcher<'a> {
    args: &'a Sweep,
    file: &'a SweepFile,
    session: Session,
    out: &'a Path,
}

impl Searcher<'_> {
    fn search(&mut self, trials: &[Changes], epochs: u32) -> anyhow::Result<Table> {
        let sweep = &self.file.sweep;
        for seed in sweep.seeds.clone() {
            self.session.seed = seed;
            run::up_to_targets(&pipeline(self.args, self.file, Some(self.of_seed(seed))), &self.session)?;
        }
        let mut table = Table { sweep: sweep.clone(), rows: Vec::new() };
        let rounds = match sweep.method {
            Method::Halving => rounds(sweep, epochs, trials.len()),
            _ => vec![(epochs, trials.len())],
        };
        let mut chosen: Vec<usize> = (0..trials.len()).collect();
        for (round, (epochs, count)) in rounds.into_iter().enumerate() {
            chosen.truncate(count);
            let mut rows = Vec::new();
            for trial in &chosen {
                let halving = (sweep.method == Method::Halving).then_some(epochs);
                rows.push(self.trial(*trial, &trials[*trial], round, halving)?);
            }
            rows.sort_by(|left, right| right.rank(sweep.metric).total_cmp(&left.rank(sweep.metric)));
            chosen = rows.iter().map(|row| row.trial).collect();
            table.rows.extend(rows);
        }
        Ok(table)
    }

    fn of_seed(&self, seed: u64) -> PathBuf {
        self.out.join(format!("seed-{seed}"))
    }

    /// One trial with every seed.
    fn trial(
        &mut self,
        trial: usize,
        changes: &Changes,
        round: usize,
        epochs: Option<u32>,
    ) -> anyhow::Result<Row> {
        let mut row = Row { trial, round, epochs, changes: changes.clone(), results: Vec::new() };
        for seed in self.file.sweep.seeds.clone() {
            self.session.seed = seed;
            let name = epochs
                .map_or(format!("{:03}", trial + 1), |epochs| format!("{:03}-epochs-{epochs}", trial + 1));
            let directory = self.of_seed(seed).join("trials").join(name);
            let of_seed = self.of_seed(seed);
            let settings = run::connected(settings(self.args, self.file, changes)?, &of_seed);
            let mut settings = run::with_copies(&settings, &of_seed);
            if let Some(epochs) = epochs {
                settings.student.train.epochs = epochs;
            }
            talk(&format!("── trial {} (seed {seed}): {}", trial + 1, shown(changes)));
            let result = student(&self.session, &settings, &directory).with_context(|| shown(changes))?;
            row.results.push((seed, result));
        }
        Ok(row)
    }
}

/// The figures of a student by connected settings, or none where its loss was not finite. It is not run again
/// where its result is there.
///
/// # Errors
/// Whatever else stopped it.
pub fn student(session: &Session, settings: &Settings, directory: &Path) -> anyhow::Result<Option<Value>> {
    let rows = if settings.teacher.text { None } else { settings.data.train.clone() };
    let stage = StudentStage::new(settings, rows);
    session.stop.check()?;
    let (planned, out) = match claim::claim(&stage, session, directory, Replace::Stale)? {
        Claim::UpToDate(done) => return Ok(Some(serde_json::to_value(&done.results)?)),
        Claim::Run { planned, out, .. } => (planned, out),
    };
    match stage::run_into(&stage, session, out, *planned) {
        Ok(finished) => Ok(Some(serde_json::to_value(&finished.results)?)),
        Err(error) if matches!(error.downcast_ref(), Some(TrainError::NotFinite { .. })) => {
            tracing::warn!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
