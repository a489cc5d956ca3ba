//! A pipeline's settings spelled out, before anything is taken away from them.

use std::path::Path;

use distill_task::TaskId;

use crate::error::Result;
use crate::inputs;
use crate::settings::Settings;
use crate::settings::schema::StudentStart;
use crate::student::{TEACHER, open_store, teacher_of};

/// Puts the teacher in the place of the word for it, so that it can be taken away: the pipeline's own is what students
/// start from anyway, that of other stores has a path.
///
/// # Errors
/// Where the store does not say where its teacher is.
pub fn name_teacher(start: &mut StudentStart) -> Result<()> {
    let word = Path::new(TEACHER);
    if start.init.as_deref() != Some(word) || word.exists() {
        return Ok(());
    }
    start.init = match start.targets.as_ref().and_then(|targets| targets.directories().first()) {
        Some(store) => Some(teacher_of(&open_store(store)?)?.path().to_owned()),
        None => None,
    };
    Ok(())
}

/// The settings with what is `auto` spelled out for their kind of label: only then a component that equals its default
/// is told from one that is used.
///
/// # Errors
/// Settings that have no meaning for these labels; a model or store that cannot be read.
pub fn resolve(settings: &Settings) -> Result<Settings> {
    let kind = match (settings.data.problem_type, &settings.teacher.model, &settings.student.start.targets) {
        (Some(asked), ..) => asked,
        (None, _, Some(targets)) => match targets.directories().first() {
            Some(store) => open_store(store)?.fingerprint().problem_type,
            None => TaskId::default(),
        },
        (None, Some(model), None) if settings.finetune.model.is_none() => {
            inputs::model(model)?.config().problem_type
        }
        _ => TaskId::default(),
    };
    let mut resolved = settings.clone();
    resolved.data.problem_type = Some(kind);
    resolved.student.train = settings.student.train.for_problem(kind)?;
    Ok(resolved)
}
