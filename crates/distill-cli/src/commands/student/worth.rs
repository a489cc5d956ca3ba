//! Gates in front of training: whether the teacher has anything to teach.

use anyhow::bail;
use distill_core::ProblemType;
use distill_model::SequenceClassifier;
use distill_student::evaluate::{Scoring, evaluate, evaluation_tokens};
use distill_student::loss::Objective;
use distill_student::quality::TeacherQuality;
use distill_student::{TrainSettings, TrainingData};

use crate::exit::Failure;
use crate::session::Session;

/// A teacher that knows no more than which label is frequent teaches nothing.
///
/// # Errors
/// A failed gate where that is `required` not to be.
pub fn check_teacher(quality: Option<TeacherQuality>, required: bool) -> anyhow::Result<()> {
    let Some(quality) = quality else { return Ok(()) };
    let TeacherQuality { rows, metric, teacher, constant } = quality;
    tracing::info!(rows, metric, teacher, constant, "teacher on the labelled rows of its store");
    if quality.beats_the_constant() {
        return Ok(());
    }
    let what = match metric {
        "accuracy" => format!(
            "the teacher predicts {:.1} % of the {rows} labelled rows right, and always answering the most frequent \
             label {:.1} %: it has nothing to teach",
            100.0 * teacher,
            100.0 * constant
        ),
        _ => format!(
            "the teacher's {metric} on the {rows} labelled rows is {teacher:.4}, and that of always answering the same \
             {constant:.4}: it has nothing to teach"
        ),
    };
    if required {
        bail!(Failure::gate(format!("student.require_teacher: {what}")));
    }
    tracing::warn!("{what}; student.require_teacher = true stops such a run");
    Ok(())
}

/// A teacher that is no better on the validation part than its student begins has nothing
/// to add.
///
/// # Errors
/// A failed gate, and whatever stops the pass.
pub fn check_student(
    train: &TrainSettings,
    model: &SequenceClassifier,
    parts: &TrainingData,
    session: &Session,
) -> anyhow::Result<()> {
    let validation = &parts.validation;
    let config = model.config();
    let Some(teacher) = TeacherQuality::of(validation, &config.labels, config.problem_type) else {
        return Ok(());
    };
    if config.problem_type != ProblemType::SingleLabel
        || validation.iter().any(|example| example.logits.is_empty())
    {
        return Ok(());
    }
    let objective = Objective::new(train, &[], model.device());
    let scoring = Scoring { objective: &objective, temperature: train.temperature };
    let found = evaluate(model, validation, &scoring, evaluation_tokens(train, model), &session.stop)?;
    match found.accuracy {
        Some(students) if students >= teacher.teacher => bail!(Failure::gate(format!(
            "student.require_teacher: the teacher predicts {:.1} % of the {} labelled validation rows right, and the \
             student {:.1} % before any training: it has nothing to teach",
            100.0 * teacher.teacher,
            teacher.rows,
            100.0 * students
        ))),
        _ => Ok(()),
    }
}
