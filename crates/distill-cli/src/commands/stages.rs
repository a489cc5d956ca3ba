//! `distill pretrain`, `finetune`, `augment`, `teacher`, `student`, `report`, `tokenizer train` and `predict`: one stage each.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use distill_run::augment::AugmentStage;
use distill_run::figures::seconds;
use distill_run::finetune::FinetuneStage;
use distill_run::predict::Prediction;
use distill_run::pretrain::PretrainStage;
use distill_run::report::{Named, ReportStage};
use distill_run::stage::Stage;
use distill_run::student::StudentStage;
use distill_run::teacher::{TeacherStage, refuse_store};
use distill_run::tokenizer::TokenizerStage;
use distill_run::{execute, inference, shard};

use super::compare;
use crate::args::{
    Augment, Common, Finetune, Predict, Pretrain, Report, Student, Teacher, Tokenizer, TokenizerAction,
};
use crate::exit::{RunError, Status};
use crate::output::printer;
use crate::session::{self, Session};
use crate::settings::flags::Flags;
use crate::settings::test_sets;

/// Runs `distill pretrain`.
///
/// # Errors
/// Whatever stopped it.
pub fn pretrain(args: &Pretrain) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = PretrainStage { settings: &settings };
    run(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// Runs `distill finetune`.
///
/// # Errors
/// Whatever stopped it.
pub fn finetune(args: &Finetune) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = FinetuneStage { settings: &settings, student_after: None };
    run(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// Runs `distill augment`.
///
/// # Errors
/// Whatever stopped it.
pub fn augment(args: &Augment) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = AugmentStage { settings: &settings };
    run(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// Runs `distill teacher`.
///
/// # Errors
/// Whatever stopped it.
pub fn teacher(args: &Teacher) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let shard = shard::choose(args.shard)?;
    let stage = TeacherStage { settings: &settings, shard };
    if !shard.is_whole() {
        refuse_store(&args.out)?;
    }
    run(&stage, &session, &args.common, &shard.directory(&args.out), args.overwrite)
}

/// Runs `distill student`.
///
/// # Errors
/// Whatever stopped it.
pub fn student(args: &Student) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = StudentStage::new(&settings, args.data.clone());
    run(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// Runs `distill report`.
///
/// # Errors
/// Whatever stopped it.
pub fn report(args: &Report) -> anyhow::Result<Status> {
    if !args.compare.is_empty() {
        return compare::compare(&args.compare, &args.common);
    }
    let Some(out) = &args.out else { bail!(RunError::usage("--out is missing")) };
    let names: Vec<String> = args.data.iter().map(|flag| test_sets::named(flag).0).collect();
    if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        bail!(RunError::usage(format!("two data sets have the name {:?}; name them with NAME=SRC", names[at])));
    }
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = ReportStage {
        settings: &settings,
        models: args.model.iter().map(|text| Named::parse(text)).collect(),
        predictions: args.predictions.iter().map(|text| Named::parse_predictions(text)).collect(),
        writes_card: args.card,
    };
    run(&stage, &session, &args.common, out, args.overwrite)
}

/// Runs `distill tokenizer`.
///
/// # Errors
/// Whatever stopped it.
pub fn tokenizer(args: &Tokenizer) -> anyhow::Result<Status> {
    let TokenizerAction::Train(args) = &args.action;
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let stage = TokenizerStage { settings: &settings };
    run(&stage, &session, &args.common, &args.out, args.overwrite)
}

/// Runs `distill predict`.
///
/// # Errors
/// Whatever stopped it.
pub fn predict(args: &Predict) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let prediction = Prediction::prepare(&settings, &session, &args.out, args.overwrite)?;
    if args.common.dry_run {
        printer::json(&serde_json::to_string_pretty(prediction.record())?)?;
        return Ok(Status::Done);
    }
    let stats = prediction.run()?;
    if args.common.json {
        printer::json(&serde_json::to_string_pretty(&inference::results(&stats))?)?;
    } else {
        let time = seconds(Duration::from_secs_f64(stats.seconds));
        let rate = stats.rows_per_second();
        printer::result(&format!(
            "{} rows in {time} ({rate:.0} rows/s)\npredictions: {}",
            stats.rows,
            args.out.display()
        ))?;
    }
    Ok(Status::Done)
}

/// Runs one stage for its subcommand and prints the result.
///
/// # Errors
/// Whatever stopped it; [`RunError`] where the directory holds another run.
pub fn run(
    stage: &dyn Stage,
    session: &Session,
    common: &Common,
    out: &Path,
    overwrite: bool,
) -> anyhow::Result<Status> {
    if common.dry_run {
        let planned = execute::dry_run(stage, session, out, overwrite)?;
        printer::json(&serde_json::to_string_pretty(&planned)?)?;
        return Ok(Status::Done);
    }
    let finished = execute::run_alone(stage, session, out, overwrite)?;
    if common.json {
        printer::json(&stage.json(out, &finished)?)?;
    } else {
        printer::styled(&finished.text)?;
    }
    stage.publish(session, out)?;
    Ok(finished.status)
}
