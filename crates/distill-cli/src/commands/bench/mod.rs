//! `distill bench`: how fast the passes are on this machine, and where their time goes.
//!
//! Read in this order: [`workload`] (which rows), [`lengths`] (how long made-up ones are), [`passes`] (one round of
//! each pass), [`steps`] (what training takes on a GPU), [`ceiling`] (what the
//! machine's matrix product can do), [`table`] (how it is shown).

mod ceiling;
mod lengths;
mod passes;
mod steps;
mod table;
mod workload;

use std::collections::BTreeMap;

use anyhow::bail;
use distill_core::LabelMap;
use distill_model::ModelConfig;

use crate::args::{Bench, Pass};
use crate::exit::{RunError, Status};
use crate::output::printer;
use crate::output::timeline::Phase;
use crate::session::{self, Session, dtype_name};
use crate::settings::flags::Flags;
use distill_run::{inputs, length};
use workload::Workload;

/// One round of one pass.
#[derive(Clone, Debug)]
pub struct Round {
    /// Rows computed or trained on.
    rows: u64,
    /// Their tokens, padding not counted.
    tokens: u64,
    /// Floating-point operations of the whole model's matrix products on these tokens.
    flops: f64,
    /// What rows a second are counted by: the teacher's whole pass, the student's steps.
    seconds: f64,
    /// Wall time of the whole pass.
    pass_seconds: f64,
    /// Time in each phase.
    phases: BTreeMap<&'static str, Phase>,
}

/// All rounds of one pass.
#[derive(Clone, Debug)]
pub struct Measured {
    pass: &'static str,
    dtype: &'static str,
    rounds: Vec<Round>,
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &Bench) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start_with_timeline(&args.common, &settings.runtime)?;
    let path = inputs::required(settings.teacher.model.as_ref(), "--model", "teacher.model")?;
    let directory = inputs::model(path)?;
    let max_length =
        settings.data.max_length.unwrap_or(length::DEFAULT.min(length::positions(directory.config())));
    let tokenizer_directory = args.tokenizer.as_deref().unwrap_or(directory.path());
    let tokenizer = inputs::tokenizer(tokenizer_directory, max_length, directory.config())?;
    let workload = Workload::new(args, &settings, &tokenizer, session.seed)?;
    if args.common.dry_run {
        printer::result(&format!("{} rows, {} tokens", workload.rows.len(), workload.tokens()))?;
        return Ok(Status::Done);
    }
    let labels = match directory.config().has_classifier() {
        true => directory.config().labels.clone(),
        false => LabelMap::numbered(2)?,
    };
    let bench = passes::Passes {
        session: &session,
        settings: &settings,
        tokenizer: &tokenizer,
        directory: &directory,
        labels: &labels,
        workload: &workload,
    };
    let mut timed = Vec::new();
    for pass in &args.pass {
        timed.push(match pass {
            Pass::Teacher => bench.teacher()?,
            Pass::Student => bench.student()?,
        });
    }
    let mut products = Vec::new();
    for round in 0..args.rounds {
        session.stop.check()?;
        products.push(ceiling::flops_per_second(&session, directory.config())?);
        for pass in &mut timed {
            pass.round()?;
        }
        tracing::info!(round = round + 1, of = args.rounds, "bench");
    }
    let measured: Vec<Measured> = timed.into_iter().map(passes::Timed::into_measured).collect();
    if measured.iter().any(|measured| measured.rounds.is_empty()) {
        bail!(RunError::usage("nothing was timed"));
    }
    let summary = table::Summary::new(&session, &workload, products, &measured);
    if args.common.json { printer::json(&summary.json()?) } else { printer::result(&summary.text()) }?;
    Ok(Status::Done)
}

/// Floating-point operations of a forward pass over rows of these lengths: the matrix products of every layer
/// on real tokens, as a model that skips nothing does them. DeBERTa's scores of positions are not counted.
fn forward_flops(config: &ModelConfig, lengths: &[u64]) -> f64 {
    let (hidden, intermediate) = (config.hidden_size as f64, config.intermediate_size as f64);
    let tokens = lengths.iter().sum::<u64>() as f64;
    let squares: f64 = lengths.iter().map(|length| (*length as f64).powi(2)).sum();
    let feed_forward = 2.0 * f64::from(config.architecture.feed_forward_products) * hidden * intermediate;
    let layer = tokens * (8.0 * hidden * hidden + feed_forward) + 4.0 * hidden * squares;
    layer * config.num_hidden_layers as f64
}

/// Name and format of a pass.
fn named(pass: &'static str, session: &Session) -> Measured {
    Measured { pass, dtype: dtype_name(session.kind), rounds: Vec::new() }
}
