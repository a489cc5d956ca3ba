//! How the stages of a pipeline are connected: which results each of them reads, and where they are.

use std::path::{Path, PathBuf};

use crate::error::{Result, RunError};
use crate::outdir::names::ROWS_FILE;
use crate::report::Named;
use crate::settings::{Settings, Targets};
use crate::trial;

/// Refuses duplicate seeds.
///
/// # Errors
/// Wrong usage, with the seed.
pub fn check_seeds(seeds: &[u64]) -> Result<()> {
    match trial::repeated(seeds) {
        Some(seed) => Err(RunError::usage(format!("--seeds contains {seed} more than once"))),
        None => Ok(()),
    }
}

/// `out`, else `runs/` and the pipeline file's name.
pub fn out_directory(settings: &Settings, pipeline: &Path) -> PathBuf {
    let name = pipeline.file_stem().unwrap_or_default();
    settings.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
}

/// Directory of a pipeline's stage `pretrain`.
pub const PRETRAINED: &str = "pretrained";

/// Whether a pipeline has a stage `pretrain`.
pub fn pretrains(settings: &Settings) -> bool {
    settings.pretrain.texts.model.is_some()
}

/// Whether a pipeline fine-tunes a teacher: what it pretrains is there to be fine-tuned.
pub fn finetunes(settings: &Settings) -> bool {
    settings.finetune.model.is_some() || (pretrains(settings) && settings.teacher.model.is_none())
}

/// What fine-tuning starts from after `pretrain`.
pub fn pretrained_model(out: &Path) -> PathBuf {
    out.join(PRETRAINED).join("model")
}

/// Each stage's inputs are the results of the stages before, unless the file names others.
pub fn connected(mut settings: Settings, out: &Path) -> Settings {
    let finetuned = out.join("teacher/model");
    if finetunes(&settings) {
        settings.finetune.model.get_or_insert_with(|| pretrained_model(out));
    }
    if settings.finetune.model.is_some() {
        settings.teacher.model.get_or_insert_with(|| finetuned.clone());
    }
    let teacher = settings.teacher.model.clone().unwrap_or(finetuned);
    if settings.student.train.has_intermediate_losses() {
        settings.student.start.teacher_model.get_or_insert_with(|| teacher.clone());
    }
    settings.student.start.init.get_or_insert(teacher);
    settings.student.start.targets.get_or_insert_with(|| Targets::One(out.join("targets")));
    settings
}

/// The same settings with the teacher of the pipeline in `out`, which is not fine-tuned again.
pub fn with_teacher_of(mut settings: Settings, out: &Path) -> Settings {
    settings.teacher = connected(settings.clone(), out).teacher;
    settings.finetune.model = None;
    settings.pretrain.texts.model = None;
    settings
}

/// The settings of the stages after `augmented`, which read its result.
pub fn with_copies(settings: &Settings, out: &Path) -> Settings {
    let mut settings = settings.clone();
    if settings.augment.adds_rows() {
        settings.data.train = Some(out.join("augmented").join(ROWS_FILE));
    }
    settings
}

/// The rows that a student reads in addition to a store without texts; none for a store with texts.
pub fn rows_to_join(settings: &Settings) -> Option<PathBuf> {
    settings.data.train.clone().filter(|_| !settings.teacher.text)
}

/// The models that a pipeline's report compares.
pub fn report_models(settings: &Settings, out: &Path) -> Vec<Named> {
    let mut models = vec![Named::new("teacher", settings.teacher.model.clone().unwrap_or_default())];
    models.push(Named::new("student", out.join("student/model")));
    if settings.student.start.no_teacher_baseline {
        models.push(Named::new("baseline", out.join("baseline/model")));
    }
    models
}

/// Every seed's models. A report has one teacher: the first seed's; if each seed has its own, the others
/// are listed next to it.
pub fn report_models_of_seeds(settings: &Settings, seeds: &[u64], out: &Path) -> Vec<Named> {
    let of = |name: &str, part: &str| -> Vec<Named> {
        let path = |seed: &u64| out.join(format!("seed-{seed}")).join(part).join("model");
        seeds.iter().map(|seed| Named::new(name, path(seed))).collect()
    };
    let mut models = Vec::new();
    match &settings.teacher.model {
        Some(model) => models.push(Named::new("teacher", model.clone())),
        None => {
            let mut teachers = of("other teachers", "teacher");
            if let Some(first) = teachers.first_mut() {
                *first = Named::new("teacher", first.path.clone());
            }
            models.extend(teachers);
        }
    }
    models.extend(of("student", "student"));
    if settings.student.start.no_teacher_baseline {
        models.extend(of("baseline", "baseline"));
    }
    models
}
