//! The loss of a run as it is computed, for people.

use distill_core::ProblemType;

use super::{
    AttentionLoss, ClassWeightRule, ClassWeights, HiddenLoss, SoftLoss, TemperatureSchedule, TrainSettings,
};

impl TrainSettings {
    /// The loss of this run as it is computed, for people.
    pub fn formula(&self, problem_type: ProblemType) -> String {
        let terms = [(self.hard_weight, self.hard_term(problem_type)), (self.soft_weight, self.soft_term())];
        let terms: Vec<String> = terms
            .into_iter()
            .chain(self.inside_terms())
            .filter(|(weight, _)| *weight > 0.0)
            .map(|(weight, term)| format!("{weight} · {term}"))
            .collect();
        format!("loss = {}", terms.join(" + "))
    }

    fn inside_terms(&self) -> [(f64, String); 3] {
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

    fn hard_term(&self, problem_type: ProblemType) -> String {
        let name = match problem_type {
            ProblemType::SingleLabel if self.loss != SoftLoss::Bce => "CE",
            ProblemType::SingleLabel | ProblemType::MultiLabel => "BCE",
            ProblemType::Regression => "MSE",
        };
        let mut notes = Vec::new();
        if self.label_smoothing > 0.0 {
            notes.push(format!("smoothed by {}", self.label_smoothing));
        }
        match &self.class_weights {
            ClassWeights::Rule(ClassWeightRule::None) => (),
            ClassWeights::Rule(ClassWeightRule::Balanced) => notes.push("classes balanced".to_owned()),
            ClassWeights::Given(weights) => notes.push(format!("class weights {weights:?}")),
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
        format!("{name}(student_logits, labels){notes}")
    }

    fn soft_term(&self) -> String {
        let fixed = self.temperature_schedule == TemperatureSchedule::Fixed;
        let (t, squared) = if fixed {
            (self.temperature.to_string(), (self.temperature * self.temperature).to_string())
        } else {
            ("T".to_owned(), "T²".to_owned())
        };
        let z = |name: &str| match self.standardize_logits {
            true => format!("standardized({name}_logits)"),
            false => format!("{name}_logits"),
        };
        let (teacher, student) = (z("teacher"), z("student"));
        let [p, q] = [&teacher, &student].map(|z| format!("softmax({z}/{t})"));
        let term = match self.loss {
            SoftLoss::Auto | SoftLoss::Kl => format!("{squared} · KL({p} ‖ {q})"),
            SoftLoss::ReverseKl => format!("{squared} · KL({q} ‖ {p})"),
            SoftLoss::Js => format!("{squared} · JS({p}, {q})"),
            SoftLoss::Mse => format!("mean over labels of ({student} − {teacher})²"),
            SoftLoss::Dkd => {
                format!("{squared} · ({} · TCKD + {} · NCKD)({p} ‖ {q})", self.dkd_alpha, self.dkd_beta)
            }
            SoftLoss::Dist => format!(
                "{squared} · ({} · (1 − corr by row) + {} · (1 − corr by label))({p}, {q})",
                self.dist_beta, self.dist_gamma
            ),
            SoftLoss::Bce => {
                format!("{squared} · Σ labels KL(sigmoid({teacher}/{t}) ‖ sigmoid({student}/{t}))")
            }
        };
        if fixed || !self.loss.has_temperature() {
            return term;
        }
        let course = if self.temperature_schedule == TemperatureSchedule::Linear { "linear" } else { "cosine" };
        format!("{term}, T = {} → {} ({course})", self.temperature, self.temperature_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_shows_only_what_is_computed() {
        let base = TrainSettings { hard_weight: 0.1, soft_weight: 0.9, ..TrainSettings::default() };
        assert_eq!(
            base.formula(ProblemType::SingleLabel),
            "loss = 0.1 · CE(student_logits, labels) + 0.9 · 4 · KL(softmax(teacher_logits/2) ‖ softmax(student_logits/2))"
        );
        assert_eq!(
            base.without_teacher().formula(ProblemType::SingleLabel),
            "loss = 1 · CE(student_logits, labels)"
        );
    }

    #[test]
    fn the_formula_names_the_method_with_its_numbers() {
        let base = TrainSettings { hard_weight: 0.0, soft_weight: 1.0, ..TrainSettings::default() };
        let shown = |loss| TrainSettings { loss, ..base.clone() }.formula(ProblemType::SingleLabel);
        assert!(shown(SoftLoss::Mse).ends_with("(student_logits − teacher_logits)²"));
        assert!(shown(SoftLoss::Dkd).contains("(1 · TCKD + 8 · NCKD)"));
        let warm = TrainSettings {
            temperature: 4.0,
            temperature_schedule: TemperatureSchedule::Cosine,
            standardize_logits: true,
            ..base.clone()
        };
        assert_eq!(
            warm.formula(ProblemType::SingleLabel),
            "loss = 1 · T² · KL(softmax(standardized(teacher_logits)/T) ‖ softmax(standardized(student_logits)/T)), \
             T = 4 → 1 (cosine)"
        );
        let several = base.for_problem(ProblemType::MultiLabel).unwrap();
        assert!(several.formula(ProblemType::MultiLabel).contains("Σ labels KL(sigmoid(teacher_logits/2)"));
        let number = base.without_teacher().formula(ProblemType::Regression);
        assert_eq!(number, "loss = 1 · MSE(student_logits, labels)");
        let inside = TrainSettings { hidden_weight: 10.0, relation_weight: 0.5, ..base.without_teacher() };
        assert_eq!(
            inside.formula(ProblemType::SingleLabel),
            "loss = 1 · CE(student_logits, labels) + 10 · mean of (student_states − teacher_states)² [layers uniform] \
             + 0.5 · KL of query-key and value-value relations [layers top]"
        );
        assert_eq!(
            inside.without_teacher().formula(ProblemType::SingleLabel),
            "loss = 1 · CE(student_logits, labels)"
        );
        let smooth = TrainSettings { label_smoothing: 0.1, ..base.without_teacher() };
        assert_eq!(
            smooth.formula(ProblemType::SingleLabel),
            "loss = 1 · CE(student_logits, labels) [smoothed by 0.1]"
        );
    }
}
