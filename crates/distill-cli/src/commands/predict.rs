//! `distill predict`: a classifier over rows, labels and logits to one file.

use std::collections::BTreeMap;

use anyhow::bail;
use distill_core::record::RunRecord;
use distill_data::logits::{LogitsWriter, WriterOptions};

use crate::args::Predict;
use crate::commands::predict_files::{Format, TextWriter};
use crate::commands::{inputs, teacher};
use crate::exit::{Failure, Status};
use crate::output::printer;
use crate::output::progress::seconds;
use crate::session::Session;
use crate::settings::flags::Flags;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &Predict) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    let format = Format::of(&args.out)?;
    if args.out.exists() && !args.overwrite {
        bail!(Failure::cannot_create(format!("{} exists; give --overwrite to replace it", args.out.display())));
    }
    let parent = args.out.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        bail!(Failure::cannot_create(format!("{}: the directory does not exist", parent.display())));
    }
    let directory = teacher::classifier(inputs::model(inputs::required(
        settings.teacher.model.as_ref(),
        "--model",
        "teacher.model",
    )?)?)?;
    let source = inputs::source(
        inputs::required(settings.data.train.as_ref(), "--data", "data.train")?,
        &settings.data,
    )?;
    let max_length = settings.data.max_length;
    let tokenizer = inputs::tokenizer(directory.path(), max_length, directory.config())?;
    let record = RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: "predict".to_owned(),
        settings: serde_json::to_value(&settings.data)?,
        versions: session.versions(),
        device: session.device_record(),
        inputs: BTreeMap::from([
            ("model".to_owned(), directory.weights_hash()?),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), source.hash()?),
        ]),
        results: BTreeMap::new(),
    };
    if args.common.dry_run {
        printer::result(&serde_json::to_string_pretty(&record)?)?;
        return Ok(Status::Done);
    }
    let rows = inputs::scan(&source, &session)?.rows;
    let labels = directory.config().labels.clone();
    let model = directory.load_classifier_as(session.device, session.kind)?;
    let runner = teacher::runner(&model, &tokenizer, &settings, &session);
    let stats = match format {
        Format::Parquet => {
            let fingerprint = teacher::fingerprint(&record, directory.config(), max_length, &session);
            let mut writer = LogitsWriter::create(&args.out, &fingerprint, WriterOptions::default())?;
            let stats = runner.run("predict", source.rows()?, rows, |rows| Ok(writer.write(rows)?))?;
            writer.finish()?;
            stats
        }
        Format::Jsonl | Format::Csv => {
            let mut writer = TextWriter::create(&args.out, format, &labels)?;
            let stats = runner.run("predict", source.rows()?, rows, |rows| Ok(writer.write(rows)?))?;
            writer.finish()?;
            stats
        }
    };
    inputs::warn_truncated(stats.truncated, stats.rows, max_length);
    if args.common.json {
        printer::result(&serde_json::to_string_pretty(&teacher::results(&stats))?)?;
    } else {
        let time = seconds(std::time::Duration::from_secs_f64(stats.seconds));
        let rate = stats.rows_per_second();
        printer::result(&format!(
            "{} rows in {time} ({rate:.0} rows/s)\npredictions: {}",
            stats.rows,
            args.out.display()
        ))?;
    }
    Ok(Status::Done)
}
