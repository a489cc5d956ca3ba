//! The loss of a run as it is computed, for people.

use super::{IntermediateTerms, LabelLoss, LabelTerm, LossPlan, SoftTerm};
use crate::loss::soft::Symbols;
use crate::settings::{AttentionLoss, ClassWeightRule, ClassWeights, HiddenLoss, TemperatureSchedule};

impl LossPlan {
    /// The loss as it is computed, for people.
    pub fn formula(&self) -> String {
        let terms = [(self.labels.weight, self.labels.formula()), (self.soft.weight, self.soft.formula())];
        let terms: Vec<String> = terms
            .into_iter()
            .chain(self.intermediate.formulas())
            .filter(|(weight, _)| *weight > 0.0)
            .map(|(weight, term)| format!("{weight} · {term}"))
            .collect();
        format!("loss = {}", terms.join(" + "))
    }
}

impl IntermediateTerms {
    fn formulas(&self) -> [(f64, String); 3] {
        let (layers, top) = (String::from(self.layer_map.clone()), String::from(self.relation_map.clone()));
        let hidden = match self.hidden_loss {
            HiddenLoss::Mse => "mean of (student_states − teacher_states)²",
            HiddenLoss::Cosine => "(1 − cos(student_states, teacher_states))",
        };
        let attention = match self.attention_loss {
            AttentionLoss::Mse => "mean of (student_scores − teacher_scores)²",
            AttentionLoss::Kl => "KL(teacher_attention ‖ student_attention)",
        };
        [
            (self.hidden_weight, format!("{hidden} [layers {layers}]")),
            (self.attention_weight, format!("{attention} [layers {layers}]")),
            (self.relation_weight, format!("KL of query-key and value-value relations [layers {top}]")),
        ]
    }
}

impl LabelTerm {
    fn formula(&self) -> String {
        let name = match self.loss {
            LabelLoss::CrossEntropy => "CE",
            LabelLoss::BinaryOfClass | LabelLoss::Binary => "BCE",
            LabelLoss::SquaredError => "MSE",
        };
        let mut notes = Vec::new();
        if self.smoothing > 0.0 {
            notes.push(format!("smoothed by {}", self.smoothing));
        }
        match &self.class_weights {
            ClassWeights::Rule(ClassWeightRule::None) => (),
            ClassWeights::Rule(ClassWeightRule::Balanced) => notes.push("classes balanced".to_owned()),
            ClassWeights::Given(weights) => notes.push(format!("class weights {weights:?}")),
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
        format!("{name}(student_logits, labels){notes}")
    }
}

impl SoftTerm {
    fn formula(&self) -> String {
        let (start, end) = (self.temperature.start, self.temperature.end);
        let fixed = self.temperature.schedule == TemperatureSchedule::Fixed;
        let (t, squared) = if fixed {
            (start.to_string(), (start * start).to_string())
        } else {
            ("T".to_owned(), "T²".to_owned())
        };
        let z = |name: &str| match self.standardize {
            true => format!("standardized({name}_logits)"),
            false => format!("{name}_logits"),
        };
        let term = self.loss.formula(&Symbols { teacher: z("teacher"), student: z("student"), t, squared });
        if fixed || !self.loss.has_temperature() {
            return term;
        }
        let linear = self.temperature.schedule == TemperatureSchedule::Linear;
        format!("{term}, T = {start} → {end} ({})", if linear { "linear" } else { "cosine" })
    }
}

#[cfg(test)]
mod tests {
    use distill_task::TaskId;

    use super::*;
    use crate::settings::{LossChoice, TrainSettings};

    fn formula(settings: &TrainSettings, problem_type: TaskId) -> String {
        settings.loss_plan(problem_type).formula()
    }

    #[test]
    fn the_formula_shows_only_what_is_computed() {
        let base = TrainSettings { hard_weight: 0.1, soft_weight: 0.9, ..TrainSettings::default() };
        assert_eq!(
            formula(&base, TaskId::SINGLE_LABEL),
            "loss = 0.1 · CE(student_logits, labels) + 0.9 · 4 · KL(softmax(teacher_logits/2) ‖ softmax(student_logits/2))"
        );
        assert_eq!(
            formula(&base.without_teacher(), TaskId::SINGLE_LABEL),
            "loss = 1 · CE(student_logits, labels)"
        );
    }

    #[test]
    fn the_formula_names_the_method_with_its_numbers() {
        let base = TrainSettings { hard_weight: 0.0, soft_weight: 1.0, ..TrainSettings::default() };
        let shown = |loss| formula(&TrainSettings { loss, ..base.clone() }, TaskId::SINGLE_LABEL);
        assert!(shown(LossChoice::Mse).ends_with("(student_logits − teacher_logits)²"));
        assert!(shown(LossChoice::Dkd).contains("(1 · TCKD + 8 · NCKD)"));
        let warm = TrainSettings {
            temperature: 4.0,
            temperature_schedule: TemperatureSchedule::Cosine,
            standardize_logits: true,
            ..base.clone()
        };
        assert_eq!(
            formula(&warm, TaskId::SINGLE_LABEL),
            "loss = 1 · T² · KL(softmax(standardized(teacher_logits)/T) ‖ softmax(standardized(student_logits)/T)), \
             T = 4 → 1 (cosine)"
        );
        assert!(formula(&base, TaskId::MULTI_LABEL).contains("Σ labels KL(sigmoid(teacher_logits/2)"));
        let number = formula(&base.without_teacher(), TaskId::REGRESSION);
        assert_eq!(number, "loss = 1 · MSE(student_logits, labels)");
        let inside = TrainSettings { hidden_weight: 10.0, relation_weight: 0.5, ..base.without_teacher() };
        assert_eq!(
            formula(&inside, TaskId::SINGLE_LABEL),
            "loss = 1 · CE(student_logits, labels) + 10 · mean of (student_states − teacher_states)² [layers uniform] \
             + 0.5 · KL of query-key and value-value relations [layers top]"
        );
        assert_eq!(
            formula(&inside.without_teacher(), TaskId::SINGLE_LABEL),
            "loss = 1 · CE(student_logits, labels)"
        );
        let smooth = TrainSettings { label_smoothing: 0.1, ..base.without_teacher() };
        assert_eq!(
            formula(&smooth, TaskId::SINGLE_LABEL),
            "loss = 1 · CE(student_logits, labels) [smoothed by 0.1]"
        );
    }
}
