//! `distill targets`: verify, merge, average and describe soft-target stores.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::text::visible;
use distill_data::DataError;
use distill_data::logits::info::Info;
use distill_data::logits::{Damage, MANIFEST_FILE, Store, find_stores, stores_in};
use distill_run::targets::{AverageStage, MergeStage, files};
use serde_json::{Value, json};

use super::stages;
use crate::args::{self, Targets, TargetsAction};
use crate::exit::{RunError, Status};
use crate::output::printer::{self, bytes};
use crate::output::progress::Display;
use crate::session::{self, Session};
use crate::settings::RuntimeSettings;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it; [`RunError`] where a store is damaged.
pub fn command(args: &Targets) -> anyhow::Result<Status> {
    match &args.action {
        TargetsAction::Verify(verify) => verify_all(args, &verify.directories),
        TargetsAction::Merge(asked) => merge(&args.common, asked),
        TargetsAction::Average(asked) => average(&args.common, asked),
        TargetsAction::Info(info) => describe(args, &info.directory),
    }
}

fn merge(common: &args::Common, asked: &args::Merge) -> anyhow::Result<Status> {
    let session = session(common)?;
    stages::run(&MergeStage::of(&asked.directories)?, &session, common, &asked.out, asked.overwrite)
}

fn average(common: &args::Common, asked: &args::AverageStores) -> anyhow::Result<Status> {
    let session = session(common)?;
    let stage = AverageStage::of(&asked.directories, &asked.weights, asked.average.into(), &session.stop)?;
    stages::run(&stage, &session, common, &asked.out, asked.overwrite)
}

/// What was checked, and what is wrong.
#[derive(Default)]
struct Verified {
    files: usize,
    rows: u64,
    bytes: u64,
    damaged: Vec<Damage>,
}

fn verify_all(args: &Targets, directories: &[PathBuf]) -> anyhow::Result<Status> {
    let stop = session::begin(&args.common)?;
    let progress = Display::new(&args.common);
    let mut all = Verified::default();
    let mut stores = Vec::new();
    for directory in directories {
        let found = find_stores(directory)?;
        all.files += found.missing.len();
        all.damaged.extend(found.missing);
        stores.extend(found.stores);
    }
    for directory in stores {
        let store = match Store::open_unchecked(&directory) {
            Ok(store) => store,
            Err(error @ DataError::Damaged { .. }) => {
                let file = directory.join(MANIFEST_FILE);
                all.files += 1;
                all.damaged.push(Damage { file, what: error.to_string() });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        all.damaged.extend(store.verify(&stop, &progress)?);
        let shards = &store.manifest().shards;
        all.files += shards.len();
        all.rows += store.num_rows();
        all.bytes += shards.iter().map(|shard| shard.file.bytes).sum::<u64>();
        for stranger in store.strangers()? {
            tracing::warn!("{} is in the store's directory but is not part of the store", stranger.display());
        }
    }
    show_verified(args, directories, &all)?;
    if all.damaged.is_empty() {
        return Ok(Status::Done);
    }
    let mut files: Vec<&Path> = all.damaged.iter().map(|damage| damage.file.as_path()).collect();
    files.dedup();
    bail!(RunError::data(format!("{} of {} files are damaged or missing", files.len(), all.files)))
}

fn show_verified(args: &Targets, directories: &[PathBuf], all: &Verified) -> anyhow::Result<()> {
    let names: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
    if args.common.json {
        let damaged: Vec<Value> = all
            .damaged
            .iter()
            .map(|damage| json!({"file": damage.file.display().to_string(), "what": damage.what}))
            .collect();
        let document = json!({
            "directories": names, "files": all.files, "rows": all.rows, "bytes": all.bytes, "damaged": damaged,
        });
        printer::json(&serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    for damage in &all.damaged {
        printer::result(&visible(&damage.what))?;
    }
    if all.damaged.is_empty() {
        printer::result(&format!(
            "{}: {}, {} rows, {}: unchanged since they were written",
            names.join(", "),
            files(all.files),
            all.rows,
            bytes(all.bytes)
        ))?;
    }
    Ok(())
}

/// Nothing is computed on a device: whatever device and threads the environment names stay out of it.
fn session(common: &args::Common) -> anyhow::Result<Session> {
    let runtime = RuntimeSettings { device: "cpu".to_owned(), ..RuntimeSettings::default() };
    session::start(common, &runtime)
}

fn describe(args: &Targets, directory: &Path) -> anyhow::Result<Status> {
    let stop = session::begin(&args.common)?;
    let found = stores_in(directory)?;
    let [store] = found.as_slice() else {
        bail!(RunError::usage(format!(
            "{} contains {} shards; give one of them, or merge them with `distill targets merge`",
            directory.display(),
            found.len()
        )));
    };
    let store = Store::open(store)?;
    let info = store.info(&stop)?;
    let source_rows = store.manifest().source_rows;
    if args.common.json {
        let mut document = serde_json::to_value(&info)?;
        document["directory"] = directory.display().to_string().into();
        document["source_rows"] = json!(source_rows);
        printer::json(&serde_json::to_string_pretty(&document)?)?;
    } else {
        printer::result(&text(directory, &info, source_rows)?)?;
    }
    Ok(Status::Done)
}

fn text(directory: &Path, info: &Info, source_rows: Option<u64>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let part = source_rows.filter(|rows| *rows != info.rows).map(|rows| format!(" of {rows} in the source"));
    writeln!(text, "{}", visible(&directory.display().to_string()))?;
    writeln!(text, "  rows         {}{}", info.rows, part.unwrap_or_default())?;
    writeln!(text, "  size         {} in {}", bytes(info.bytes), files(info.shards))?;
    writeln!(text, "  labelled     {}, {} without a label", info.labelled, info.unlabelled)?;
    if let Some(agreement) = info.label_agreement {
        writeln!(
            text,
            "  agreement    {agreement:.4} of the labelled rows have the largest logit at their label"
        )?;
    }
    if let Some(entropy) = info.mean_entropy {
        let most = (info.label_counts.len() as f64).ln();
        writeln!(text, "  entropy      {entropy:.4} nats a row, at most {most:.4}")?;
    }
    // Numbers and answers in a text have no labels to count.
    if !info.label_counts.is_empty() {
        writeln!(text, "labels")?;
    }
    let names: Vec<String> = info.fingerprint.label_map.names().iter().map(|name| visible(name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(40);
    for (id, (name, count)) in names.iter().zip(&info.label_counts).enumerate() {
        writeln!(text, "  {id:>4} {name:<width$} {count:>10}")?;
    }
    writeln!(text, "fingerprint")?;
    let print = &info.fingerprint;
    for (field, value) in [
        ("teacher_weights", print.teacher_weights.as_str()),
        ("tokenizer", &print.tokenizer),
        ("dataset", &print.dataset),
        ("problem_type", print.problem_type.name()),
        ("max_length", &print.max_length.to_string()),
        ("dtype", &print.dtype),
        ("format_version", &print.format_version.to_string()),
    ] {
        writeln!(text, "  {field:<16} {}", visible(value))?;
    }
    Ok(text)
}
