//! Gates in front of training: whether the teacher has anything to teach, on rows that it was not made of.

use distill_data::cache::Example;
use distill_model::Model;
use distill_student::TrainPlan;
use distill_student::data::Part;
use distill_student::evaluate::Evaluation;
use distill_student::majority_baseline::TeacherQuality;
use distill_student::selection::Metric;
use distill_teacher::ForwardPass;

use super::teacher_logits::TeacherLogits;
use crate::error::{Result, RunError};
use crate::session::Session;

/// A student before its training, and what its teacher says of the validation rows.
pub struct TeacherGate<'a> {
    /// How it is to be trained.
    pub plan: &'a TrainPlan,
    /// The student.
    pub model: &'a Model,
    /// The validation part.
    pub validation: &'a Part,
    /// The teacher's logits of that part.
    pub logits: TeacherLogits,
    /// Whether a teacher that has nothing to teach stops the run.
    pub required: Required,
}

/// What happens where a teacher has nothing to teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// A warning: `require_teacher = false`, and by default of `distill student`.
    No,
    /// The run stops if there are rows enough to judge by: by default of `distill run`.
    WhereJudged,
    /// The run stops, also where the teacher cannot be judged: `require_teacher = true`.
    Yes,
}

/// Labelled validation rows below which a teacher that was not asked for is not judged: of 50 rows, 2 points are one row.
const ROWS_TO_JUDGE: usize = 50;

impl TeacherGate<'_> {
    /// A teacher that only knows which label is frequent has nothing to teach, and neither has one that is no better than its
    /// student begins. The student is asked only where the teacher is required.
    ///
    /// # Errors
    /// If the teacher is required: a failed gate, or wrong usage if it cannot be judged; whatever stops the pass.
    pub fn check(&self, session: &Session) -> Result<()> {
        let config = self.model.config();
        let rows = self.validation.rows.len();
        let quality = self.logits.as_ref().map_err(Clone::clone).and_then(|logits| {
            TeacherQuality::of(self.validation, logits, &config.labels, config.problem_type)
                .map(|quality| (quality, logits))
                .ok_or_else(|| format!("none of the {rows} validation rows has a label"))
        });
        let (quality, logits) = match quality {
            Ok(found) => found,
            Err(why) => return self.cannot_be_judged(&why),
        };
        let judges = match self.required {
            Required::No => false,
            Required::WhereJudged => quality.rows >= ROWS_TO_JUDGE,
            Required::Yes => true,
        };
        self.check_teacher(quality, judges)?;
        if judges { self.check_student(logits, quality.rows, session) } else { Ok(()) }
    }

    /// The setting and, if it has its default, how to train anyway.
    fn setting(&self) -> &'static str {
        match self.required {
            Required::WhereJudged => {
                "student.require_teacher, on by default in distill run (set it to false to train anyway)"
            }
            Required::No | Required::Yes => "student.require_teacher",
        }
    }

    fn cannot_be_judged(&self, why: &str) -> Result<()> {
        let what = format!("the teacher cannot be judged on the validation rows: {why}");
        if self.required == Required::Yes {
            return Err(RunError::usage(format!("student.require_teacher: {what}")));
        }
        tracing::warn!("{what}");
        Ok(())
    }

    fn check_teacher(&self, quality: TeacherQuality, judges: bool) -> Result<()> {
        let TeacherQuality { rows, metric, teacher, constant } = quality;
        tracing::info!(rows, metric, teacher, constant, "teacher on the labelled validation rows");
        if quality.beats_the_constant() {
            return Ok(());
        }
        let what = match metric {
            "accuracy" => format!(
                "the teacher predicts {:.1} % of the {rows} labelled validation rows correctly, always predicting \
                 the most frequent label {:.1} %: the teacher has nothing to teach",
                100.0 * teacher,
                100.0 * constant
            ),
            _ => format!(
                "the teacher's {metric} on the {rows} labelled validation rows is {teacher:.4}, that of the best \
                 constant answer {constant:.4}: the teacher has nothing to teach"
            ),
        };
        if judges {
            return Err(RunError::gate(format!("{}: {what}", self.setting())));
        }
        tracing::warn!("{what}; student.require_teacher = true would stop this run");
        Ok(())
    }

    fn check_student(&self, teachers: &[f32], rows: usize, session: &Session) -> Result<()> {
        let model = self.model;
        let fresh = model.made_fresh().len();
        if fresh > 0 {
            // Its answers are chance until it is trained.
            tracing::debug!(
                fresh,
                "the student has newly initialized weights, so it is not compared with its teacher"
            );
            return Ok(());
        }
        let config = model.config();
        let default = Metric::default_for(config.problem_type);
        let metric = self.plan.selection.unwrap_or(default).of_labels(config.problem_type);
        let examples: Vec<Example<'_>> = self.validation.iter().collect();
        let batch_tokens = self.plan.evaluation_tokens;
        let students = ForwardPass { model, batch_tokens, stop: &session.stop }.logits(&examples, |_| ())?;
        let figure = |logits: &[f32]| {
            Evaluation::without_loss(&examples, logits, &config.labels, config.problem_type).figure(metric)
        };
        let (Some(teacher), Some(student)) = (figure(teachers), figure(&students)) else {
            return self.cannot_be_judged(&format!("they have no {}", metric.words()));
        };
        let is_better = if metric.higher_is_better() { teacher > student } else { teacher < student };
        if is_better {
            return Ok(());
        }
        if self.required == Required::WhereJudged && teacher == student {
            // A copy of the teacher: who trains one without having asked for a teacher may mean to.
            tracing::warn!(
                "the student is as good as its teacher on the {rows} validation rows before any training"
            );
            return Ok(());
        }
        Err(RunError::gate(format!(
            "{setting}: on the {rows} labelled validation rows the teacher's {name} is {teacher:.4}, and the \
             student's is {student:.4} before any training: the teacher has nothing to teach",
            setting = self.setting(),
            name = metric.words()
        )))
    }
}
