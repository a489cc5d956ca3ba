//! Fine-tunes a classifier on labelled rows: what becomes a teacher.
//!
//!     cargo run --example finetune -- models/all-MiniLM-L6-v2 train.jsonl runs/teacher
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;

use distill_run::error::{Result, RunError};
use distill_run::execute;
use distill_run::finetune::FinetuneStage;
use distill_run::session::Session;
use distill_run::settings::Settings;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, out] = args.as_slice() else {
        return Err(RunError::usage("usage: finetune MODEL ROWS OUT"));
    };
    println!("{}", finetune(Path::new(model), Path::new(rows), Path::new(out))?);
    Ok(())
}

/// Trains `OUT/model`. The same call again does nothing, and resumes a run that was stopped.
pub fn finetune(model: &Path, rows: &Path, out: &Path) -> Result<String> {
    let mut settings = Settings::default();
    settings.finetune.model = Some(model.to_owned());
    settings.finetune.train.epochs = 2;
    settings.data.train = Some(rows.to_owned());
    settings.data.cache = false;
    let session = Session::new(&settings.runtime)?;
    let stage = FinetuneStage { settings: &settings, student_after: None };
    let finished = execute::run_alone(&stage, &session, out, false)?;
    Ok(finished.text)
}
