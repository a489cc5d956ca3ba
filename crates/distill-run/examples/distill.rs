//! Distills a classifier into a student of some of its layers.
//!
//!     cargo run --example distill -- runs/teacher/model train.jsonl runs/distilled
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;

use distill_data::logits::ShardSpec;
use distill_run::error::{Result, RunError};
use distill_run::execute;
use distill_run::session::Session;
use distill_run::settings::{Settings, Targets};
use distill_run::student::StudentStage;
use distill_run::teacher::TeacherStage;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [teacher, rows, out] = args.as_slice() else {
        return Err(RunError::usage("usage: distill TEACHER ROWS OUT"));
    };
    println!("{}", distill(Path::new(teacher), Path::new(rows), Path::new(out))?);
    Ok(())
}

/// Writes the teacher's soft targets to `OUT/targets`, and trains `OUT/student/model` on them.
pub fn distill(teacher: &Path, rows: &Path, out: &Path) -> Result<String> {
    let mut settings = Settings::default();
    settings.teacher.model = Some(teacher.to_owned());
    settings.data.train = Some(rows.to_owned());
    settings.data.cache = false;
    settings.student.start.targets = Some(Targets::One(out.join("targets")));
    settings.student.start.init = Some(teacher.to_owned());
    settings.student.start.layers = Some(vec![0, 2]);
    settings.student.train.epochs = 2;
    settings.student.train.temperature = 4.0;
    let session = Session::new(&settings.runtime)?;

    let soft_targets = TeacherStage { settings: &settings, shard: ShardSpec::WHOLE };
    execute::run_alone(&soft_targets, &session, &out.join("targets"), false)?;
    let student = StudentStage::new(&settings, None);
    Ok(execute::run_alone(&student, &session, &out.join("student"), false)?.text)
}
