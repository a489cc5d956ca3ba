//! `distill predict`: a classifier over rows, labels and logits to one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::atomic;
use distill_core::record::RunRecord;
use distill_data::logits::{LogitsWriter, WriterOptions};

use crate::args::Predict;
use crate::commands::inputs::Scanned;
use crate::commands::outfile::{self, Kind};
use crate::commands::predict_files::{Format, TextWriter};
use crate::commands::{inference, inputs, length};
use crate::exit::{Failure, Status};
use crate::output::printer;
use crate::output::progress::seconds;
use crate::session::Session;
use crate::settings::DataSettings;
use crate::settings::flags::Flags;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &Predict) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    let format = Format::of(&args.out)?;
    let reads: Vec<PathBuf> =
        [&settings.teacher.model, &settings.data.train].into_iter().flatten().cloned().collect();
    check_out(&args.out, format, args.overwrite, &reads)?;
    let directory = inputs::classifier(inputs::model(inputs::required(
        settings.teacher.model.as_ref(),
        "--model",
        "teacher.model",
    )?)?)?;
    let source = inputs::source(
        inputs::required(settings.data.train.as_ref(), "--data", "data.train")?,
        &settings.data,
        inputs::problem_type(directory.config(), &settings.data)?,
    )?;
    let max_length = length::of_model(settings.data.max_length, directory.path(), directory.config())?;
    let tokenizer = inputs::tokenizer(directory.path(), max_length, directory.config())?;
    let record = RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: "predict".to_owned(),
        settings: serde_json::to_value(DataSettings { max_length: Some(max_length), ..settings.data.clone() })?,
        versions: session.versions(),
        device: session.device_record(),
        inputs: BTreeMap::from([
            ("model".to_owned(), directory.weights_hash()?),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), source.hash()?),
        ]),
        results: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    if args.common.dry_run {
        printer::json(&serde_json::to_string_pretty(&record)?)?;
        return Ok(Status::Done);
    }
    atomic::remove_left_overs(&args.out);
    // What is read from here on must be what was hashed above.
    let source = source.holding(inputs::recorded(&record, "data"));
    let directory = directory.holding(inputs::recorded(&record, "model"));
    let labels = directory.config().labels.clone();
    let Scanned { source, summary } = inputs::scan_labels(&source, &labels, &session)?;
    let rows = summary.rows;
    let model = directory.load_classifier_as(session.device, session.kind)?;
    let runner = inference::runner(&model, &tokenizer, &settings, &session);
    let stats = match format {
        Format::Parquet => {
            let fingerprint = inference::fingerprint(&record, directory.config(), max_length, &session)?;
            let mut writer = LogitsWriter::create(&args.out, &fingerprint, WriterOptions::default())?;
            let stats = runner.run("predict", source.rows()?, rows, |rows| Ok(writer.write(rows)?))?;
            writer.finish()?;
            stats
        }
        Format::Jsonl | Format::Csv => {
            let mut writer = TextWriter::create(&args.out, format, &labels, directory.config().problem_type)?;
            let stats = runner.run("predict", source.rows()?, rows, |rows| Ok(writer.write(rows)?))?;
            writer.finish()?;
            stats
        }
    };
    inputs::warn_truncated(stats.truncated, stats.rows, max_length);
    if args.common.json {
        printer::json(&serde_json::to_string_pretty(&inference::results(&stats))?)?;
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

/// Refuses a place where the file cannot be made, or holds one already, before any work is done for it.
fn check_out(out: &Path, format: Format, overwrite: bool, reads: &[PathBuf]) -> anyhow::Result<()> {
    let refuse = |what: &str| bail!(Failure::cannot_create(format!("{} {what}", out.display())));
    if out.is_dir() {
        return refuse("is a directory, expected the name of a file");
    }
    if out.exists() && !overwrite {
        return refuse("exists; give --overwrite to replace it");
    }
    let kind = match format {
        Format::Parquet => Kind::Parquet,
        Format::Jsonl => Kind::Jsonl,
        Format::Csv => Kind::Csv,
    };
    outfile::check(out, kind, reads)?;
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            refuse("cannot be created: its directory does not exist")
        }
        _ => Ok(()),
    }
}
