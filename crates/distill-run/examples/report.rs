//! Compares a student with its teacher on held-out rows, and checks a gate.
//!
//!     cargo run --example report -- runs/teacher/model runs/student/model test.jsonl runs/report
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;
use std::process::ExitCode;

use distill_run::error::{Result, RunError, Status};
use distill_run::execute;
use distill_run::report::{Named, ReportStage};
use distill_run::session::Session;
use distill_run::settings::{Settings, TestSets};
use distill_run::stage::Finished;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [teacher, student, rows, out] = args.as_slice() else {
        return Err(RunError::usage("usage: report TEACHER STUDENT ROWS OUT"));
    };
    let finished = report(Path::new(teacher), Path::new(student), Path::new(rows), Path::new(out))?;
    println!("{}", finished.text);
    Ok(match finished.status {
        Status::Done => ExitCode::SUCCESS,
        Status::GateFailed => ExitCode::FAILURE,
    })
}

/// Writes `report.json`, `report.md` and `report.html` to `out`.
pub fn report(teacher: &Path, student: &Path, rows: &Path, out: &Path) -> Result<Finished> {
    let mut settings = Settings::default();
    settings.data.test = Some(TestSets::One(rows.to_owned()));
    settings.report.gates = vec!["kept.accuracy >= 0.97".to_owned()];
    settings.report.timing = false;
    let session = Session::new(&settings.runtime)?;
    let models = vec![Named::new("teacher", teacher.to_owned()), Named::new("student", student.to_owned())];
    let stage = ReportStage { settings: &settings, models, predictions: Vec::new(), writes_card: false };
    execute::run_alone(&stage, &session, out, false)
}
