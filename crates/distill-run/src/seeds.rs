//! `distill run --seeds`: a pipeline with several seeds, and one report over all of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::check::{self, Request};
use crate::connect;
use crate::error::{Context, Result, RunError, Status};
use crate::pipeline::{self, Extent, Pipeline, RunOptions, Step};
use crate::report::ReportStage;
use crate::session::Session;
use crate::settings::Settings;
use crate::trial;

/// How the pipelines of all seeds went.
pub struct SeedsReport {
    /// That of the report, where there is one.
    pub status: Status,
    /// What `--json` prints: the stages of each seed that was run, why others failed, and the report.
    pub stages: Map<String, Value>,
    /// Where a seed failed: how many did, and what the first one met.
    pub failed: Option<RunError>,
}

/// Checks the pipeline, runs the stages of each seed in `OUT/seed-N`, and one report in `OUT/report` in which a name's seeds
/// are summarised. A seed that fails does not keep the others from being run.
///
/// # Errors
/// What would stop every seed, with the seed and the stage's name.
pub fn run(
    seeds: &[u64],
    mut session: Session,
    settings: &Settings,
    out: &Path,
    options: RunOptions,
) -> Result<SeedsReport> {
    check::before_run(settings, Request::of_run(out, seeds, options.overwrite), &session)?;
    let _lock = pipeline::lock(out, options)?;
    let own_seed = session.seed;
    let (mut planned, mut all) = (false, Map::new());
    let (mut done, mut failed) = (Vec::new(), None);
    for seed in seeds {
        session.seed = *seed;
        session.messages.status(&format!("══ seed {seed}"));
        let directory = out.join(format!("seed-{seed}"));
        let pipeline = Pipeline { options, session: &session, out: &directory, extent: Extent::Models };
        let connected = connect::connected(settings.clone(), &directory);
        match trial::answer(pipeline.run(&connected).with_context(|| format!("seed {seed}")))? {
            Ok(went) => {
                planned |= went.planned;
                all.insert(format!("seed-{seed}"), Value::Object(went.stages));
                done.push(*seed);
            }
            Err(why) if why.is_usage() => return Err(why.into_failure("no seed can be run")),
            Err(why) => {
                all.insert(format!("seed-{seed}"), json!({"failed": why.reason}));
                failed.get_or_insert(why);
            }
        }
    }
    if done.is_empty()
        && let Some(first) = failed
    {
        return Err(first.into_failure("every seed failed; the first error"));
    }
    session.seed = own_seed;
    let mut status = Status::Done;
    if settings.data.test.is_some() {
        let report = ReportStage {
            settings,
            models: connect::report_models_of_seeds(settings, &done, out),
            predictions: Vec::new(),
            writes_card: true,
        };
        let steps = [Step { name: "report", stage: &report, needs: &["seeds"] }];
        let pipeline = Pipeline { options, session: &session, out, extent: Extent::Whole };
        let before = if planned { vec!["seeds"] } else { Vec::new() };
        let went = pipeline.run_steps(&steps, before)?;
        status = went.status;
        all.extend(went.stages);
    } else if !options.dry_run {
        session.messages.status(pipeline::NO_REPORT);
        session.messages.result(&validation(&all))?;
    }
    let failed = failed.map(|first| {
        first.into_failure(&format!(
            "{} of {} seeds failed; the first error",
            seeds.len() - done.len(),
            seeds.len()
        ))
    });
    Ok(SeedsReport { status, stages: all, failed })
}

/// The validation figures of each stage that has any, by seed, with their mean and spread.
fn validation(all: &Map<String, Value>) -> String {
    let mut found: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for stages in all.values().filter_map(Value::as_object) {
        for (stage, entry) in stages {
            let figures = entry["results"]["validation"].as_object().into_iter().flatten();
            for (metric, value) in figures.filter_map(|(metric, value)| Some((metric, value.as_f64()?))) {
                found.entry((stage, metric)).or_default().push(value);
            }
        }
    }
    let mut text =
        "on each seed's validation part: figures by seed, mean ± sample standard deviation".to_owned();
    for ((stage, metric), values) in found {
        let [by_seed, mean] = trial::shown(Some(&values));
        let spread = trial::deviation(&values).map_or(String::new(), |spread| format!(" ± {spread:.4}"));
        text += &format!("\n  {stage:<8}  {metric:<9}  {by_seed}   {mean}{spread}");
    }
    text
}
