//! Runs a classifier over rows and writes labels and logits to one file.
//!
//!     cargo run --example predict -- runs/student/model rows.csv predictions.jsonl
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;

use distill_run::error::{Result, RunError};
use distill_run::predict::Prediction;
use distill_run::session::Session;
use distill_run::settings::Settings;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, file] = args.as_slice() else {
        return Err(RunError::usage("usage: predict MODEL ROWS FILE"));
    };
    println!("{} rows", predict(Path::new(model), Path::new(rows), Path::new(file))?);
    Ok(())
}

/// Writes `file`, whose ending says the format: `.parquet`, `.jsonl` or `.csv`. Gives the number of rows.
pub fn predict(model: &Path, rows: &Path, file: &Path) -> Result<u64> {
    let mut settings = Settings::default();
    settings.teacher.model = Some(model.to_owned());
    settings.data.train = Some(rows.to_owned());
    let session = Session::new(&settings.runtime)?;
    // Opens and hashes all that is read: what is wrong is found here, before any work.
    let prediction = Prediction::prepare(&settings, &session, file, true)?;
    Ok(prediction.run()?.rows)
}
