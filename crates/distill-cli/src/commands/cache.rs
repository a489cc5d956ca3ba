//! `distill cache`: lists and removes cached tokens and features.

use std::time::SystemTime;

use distill_data::cache::{self, CacheEntry, Cleaning, Holds, cache_dir};
use serde_json::{Value, json};

use crate::args::{Cache, CacheAction, Clean};
use crate::exit::Status;
use crate::output::printer::{self, bytes};
use crate::output::progress::seconds;
use crate::session;

/// Runs the subcommand.
///
/// # Errors
/// Where the directory cannot be read, or a file in it not be removed.
pub fn command(args: &Cache) -> anyhow::Result<Status> {
    session::begin(&args.common)?;
    let text = match &args.action {
        CacheAction::Info => info(args.common.json)?,
        CacheAction::Clean(asked) => clean(asked, args.common.dry_run, args.common.json)?,
    };
    if args.common.json { printer::json(&text) } else { printer::result(&text) }?;
    Ok(Status::Done)
}

fn info(as_json: bool) -> anyhow::Result<String> {
    let directory = cache_dir()?;
    let entries = cache::info(&directory)?;
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    if as_json {
        let caches: Vec<Value> = entries.iter().map(entry_json).collect();
        let document = json!({"directory": directory.display().to_string(), "bytes": total, "caches": caches});
        return Ok(serde_json::to_string_pretty(&document)?);
    }
    let mut lines = vec![format!("{}: {}, {}", directory.display(), caches(entries.len()), bytes(total))];
    lines.extend(entries.iter().map(entry_text));
    Ok(lines.join("\n"))
}

fn entry_json(entry: &CacheEntry) -> Value {
    let mut document = json!({
        "key": entry.key,
        "about": entry.about,
        "rows": entry.rows,
        "bytes": entry.bytes,
        "unused_seconds": age(entry).map(|age| age.as_secs()),
    });
    let more = match entry.holds {
        Holds::Tokens { tokens } => [("holds", json!("tokens")), ("tokens", json!(tokens))].to_vec(),
        Holds::Features { of_rows, width } => {
            [("holds", json!("features")), ("of_rows", json!(of_rows)), ("width", json!(width))].to_vec()
        }
    };
    more.into_iter().for_each(|(name, value)| document[name] = value);
    document
}

fn entry_text(entry: &CacheEntry) -> String {
    let age = age(entry).map_or(String::new(), |age| format!(", used {} ago", seconds(age)));
    let about = if entry.about.is_empty() { "of an earlier version" } else { &entry.about };
    let what = match entry.holds {
        Holds::Tokens { tokens } => format!("{} rows, {tokens} tokens", entry.rows),
        Holds::Features { of_rows, width } if of_rows == entry.rows => {
            format!("features of {of_rows} rows, {width} numbers each")
        }
        Holds::Features { of_rows, width } => {
            format!("features of {} of {of_rows} rows, {width} numbers each", entry.rows)
        }
    };
    format!("  {:.12}  {:>10}  {what}{age}\n                {about}", entry.key, bytes(entry.bytes))
}

fn age(entry: &CacheEntry) -> Option<std::time::Duration> {
    SystemTime::now().duration_since(entry.used?).ok()
}

fn caches(count: usize) -> String {
    if count == 1 { "1 cache".to_owned() } else { format!("{count} caches") }
}

fn clean(asked: &Clean, dry_run: bool, as_json: bool) -> anyhow::Result<String> {
    let directory = cache_dir()?;
    let before = |age| SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let unused_since = asked.older_than.map(before);
    let cleaned = cache::clean(&directory, Cleaning { unused_since, dry_run })?;
    if as_json {
        let document = json!({
            "directory": directory.display().to_string(),
            "dry_run": dry_run,
            "removed": cleaned.removed,
            "bytes": cleaned.bytes,
            "in_use": cleaned.busy,
            "recent": cleaned.recent,
        });
        return Ok(serde_json::to_string_pretty(&document)?);
    }
    let mut text = format!(
        "{}: {}{} removed, {}",
        directory.display(),
        if dry_run { "would have " } else { "" },
        caches(cleaned.removed),
        bytes(cleaned.bytes)
    );
    for (count, why) in [(cleaned.busy, "in use"), (cleaned.recent, "used lately")] {
        if count > 0 {
            text += &format!("; {count} left, {why}");
        }
    }
    Ok(text)
}
