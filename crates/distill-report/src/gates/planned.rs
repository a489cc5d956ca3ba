//! Whether gates fit a report, as far as that is known before any model runs.

use distill_task::TaskId;
use distill_task::tags::TagSet;

use super::baseline::Baselines;
use super::evaluate::{CONSTANT, missing, unknown};
use super::quantity::{CostFigure, Quantity};
use super::{Gate, GateError};
use crate::kinds;
use crate::metrics::Metric;
use crate::predictions::Role;

/// A model of a report that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedModel {
    /// Its name; of several seeds, with a number.
    pub name: String,
    /// The name that all of its seeds were given under.
    pub seeds_of: Option<String>,
    /// The part that it plays.
    pub role: Role,
}

/// A report that is still to be made.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Its models.
    pub models: Vec<PlannedModel>,
    /// Names of its data sets.
    pub data: Vec<String>,
    /// What a row's label is, where that is known.
    pub problem_type: Option<TaskId>,
    /// Names of the labels, where they are known.
    pub labels: Option<Vec<String>>,
    /// Whether models are run, so that they have a cost.
    pub runs_models: bool,
    /// Whether their speed is measured.
    pub timing: bool,
    /// Bootstrap resamples.
    pub resamples: usize,
}

impl Planned {
    /// Checks one gate.
    ///
    /// # Errors
    /// [`GateError::Unknown`] for a name that the report will not have; [`GateError::Missing`] where nothing will be
    /// measured that the gate could judge.
    pub fn check(&self, gate: &Gate, baselines: &Baselines) -> Result<(), GateError> {
        self.check_data(gate)?;
        self.check_subject(gate)?;
        self.check_kind(gate)?;
        self.check_quantity(gate)?;
        self.check_confidence(gate)?;
        match &gate.quantity {
            Quantity::Regression(_) => self.check_baseline(gate, baselines),
            _ => Ok(()),
        }
    }

    fn check_data(&self, gate: &Gate) -> Result<(), GateError> {
        match &gate.data {
            Some(name) if !self.data.contains(name) => Err(unknown(gate, "data set", name, self.data.iter())),
            _ => Ok(()),
        }
    }

    /// The model that it is about, and the one that it compares with.
    fn check_subject(&self, gate: &Gate) -> Result<(), GateError> {
        match &gate.model {
            Some(name) if !self.has_model(name) => return Err(self.unknown_model(gate, name)),
            Some(_) => (),
            None if self.models.len() == 1 || self.has_role(Role::Student) => (),
            None => {
                let problem =
                    "no model is the student; name the model that it is about, as in `NAME:accuracy >= 0.9`";
                return Err(missing(gate, problem));
            }
        }
        match &gate.against {
            Some(name) if name == CONSTANT && matches!(gate.quantity, Quantity::Gain(_)) => Ok(()),
            Some(name) if gate.quantity.compares() && !self.models.iter().any(|model| model.name == *name) => {
                Err(self.unknown_model(gate, name))
            }
            _ => Ok(()),
        }
    }

    fn check_kind(&self, gate: &Gate) -> Result<(), GateError> {
        let Some(problem_type) = self.problem_type else { return Ok(()) };
        let num_labels = self.labels.as_ref().map_or(usize::MAX, Vec::len);
        let metric = gate.quantity.metric();
        if let Some(metric) = metric.filter(|metric| !metric.is_measured(problem_type, num_labels)) {
            let enough_labels_missing = metric.is_measured(problem_type, usize::MAX);
            let of = if enough_labels_missing { format!(" of {num_labels} labels") } else { String::new() };
            let problem = format!("{} is not measured for {problem_type}{of}", metric.name());
            return Err(missing(gate, &problem));
        }
        let tags = self.tags(problem_type);
        let is_of_entities = match &gate.quantity {
            Quantity::Class(figure, _) => figure.is_of_entities(),
            quantity => quantity.metric().is_some_and(Metric::is_of_entities),
        };
        if is_of_entities && tags.as_ref().is_some_and(|tags| !tags.scheme().has_entities()) {
            return Err(missing(gate, "the tags of these rows are no entities"));
        }
        let Quantity::Class(_, label) = &gate.quantity else { return Ok(()) };
        if is_of_entities && !Metric::EntityF1.is_measured(problem_type, usize::MAX) {
            return Err(missing(gate, &format!("{problem_type} has no entities")));
        }
        if !problem_type.label_shape().has_classes() {
            return Err(missing(gate, &format!("{problem_type} has no classes")));
        }
        match tags.filter(|tags| tags.scheme().has_entities()) {
            Some(tags) if !tags.types().contains(label) => {
                Err(unknown(gate, "entity type", label, tags.types().iter()))
            }
            Some(_) => Ok(()),
            None => match &self.labels {
                Some(known) if !known.contains(label) => Err(unknown(gate, "label", label, known.iter())),
                _ => Ok(()),
            },
        }
    }

    /// The labels as tags, where words have them and their names are known.
    fn tags(&self, problem_type: TaskId) -> Option<TagSet> {
        kinds::of(problem_type).tags(self.labels.as_ref()?)
    }

    /// Whether there is what the quantity is made of.
    fn check_quantity(&self, gate: &Gate) -> Result<(), GateError> {
        let own = gate.quantity.metric().is_some_and(|metric| metric.needs_teacher());
        let by_teacher = match &gate.quantity {
            Quantity::Kept(_) | Quantity::Drop(_) => gate.against.is_none(),
            Quantity::GapClosed(_) | Quantity::Cost(CostFigure::SpeedUp) => true,
            _ => own,
        };
        if by_teacher && !self.has_role(Role::Teacher) {
            return Err(missing(gate, "there is no teacher to compare with"));
        }
        let by_baseline = match &gate.quantity {
            Quantity::GapClosed(_) => true,
            Quantity::Gain(_) => gate.against.is_none(),
            _ => false,
        };
        if by_baseline && !self.has_role(Role::Baseline) {
            return Err(missing(
                gate,
                "it needs a student trained without a teacher (the baseline): no_teacher_baseline = true, or a model \
                 called baseline",
            ));
        }
        match &gate.quantity {
            Quantity::Cost(_) if !self.runs_models => Err(missing(gate, "the model's cost was not measured")),
            Quantity::Cost(CostFigure::Parameters | CostFigure::Bytes) => Ok(()),
            Quantity::Cost(CostFigure::RowsPerSecond | CostFigure::SpeedUp) if !self.timing => {
                Err(missing(gate, "the model's speed was not measured: timing is off"))
            }
            Quantity::Cost(_) if !self.timing => {
                Err(missing(gate, "the model's latency was not measured: timing is off"))
            }
            _ => Ok(()),
        }
    }

    fn check_confidence(&self, gate: &Gate) -> Result<(), GateError> {
        if !gate.is_confident || (gate.quantity.has_interval() && self.resamples > 0) {
            return Ok(());
        }
        Err(missing(
            gate,
            "there is no interval to be confident with: sizes have none, and `resamples` must not be 0",
        ))
    }

    /// Whether the earlier report has the data sets and the model.
    fn check_baseline(&self, gate: &Gate, baselines: &Baselines) -> Result<(), GateError> {
        let path = gate.against.as_deref().unwrap_or_default();
        let Some(report) = baselines.get(path) else { return Ok(()) };
        for name in self.data.iter().filter(|name| gate.data.as_ref().is_none_or(|data| data == *name)) {
            let set = report.data.iter().find(|set| set.name == *name);
            let set = set.ok_or_else(|| missing(gate, &format!("{path} has no data set {name:?}")))?;
            let subject = gate.model.as_deref().unwrap_or("student");
            if set.model(subject).is_none() && set.with_role(Role::Student).is_none() {
                let problem = format!("{path} has neither a model {subject:?} nor a student");
                return Err(missing(gate, &problem));
            }
        }
        Ok(())
    }

    fn has_model(&self, name: &str) -> bool {
        self.models.iter().any(|model| model.name == name || model.seeds_of.as_deref() == Some(name))
    }

    fn has_role(&self, role: Role) -> bool {
        self.models.iter().any(|model| model.role == role)
    }

    fn unknown_model(&self, gate: &Gate, name: &str) -> GateError {
        unknown(gate, "model", name, self.models.iter().map(|model| &model.name))
    }
}

impl Quantity {
    /// The metric that it is made of, if it is of one.
    pub fn metric(&self) -> Option<Metric> {
        match self {
            Quantity::Metric(metric)
            | Quantity::Kept(metric)
            | Quantity::Drop(metric)
            | Quantity::GapClosed(metric)
            | Quantity::Gain(metric) => Some(*metric),
            Quantity::Regression(metric) => *metric,
            Quantity::Class(..) | Quantity::Cost(_) => None,
        }
    }

    /// Whether it has an interval where rows are resampled.
    pub fn has_interval(&self) -> bool {
        !matches!(self, Quantity::Cost(CostFigure::Parameters | CostFigure::Bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, role: Role) -> PlannedModel {
        PlannedModel { name: name.to_owned(), seeds_of: None, role }
    }

    fn planned() -> Planned {
        let seed =
            |name: &str| PlannedModel { seeds_of: Some("student".to_owned()), ..model(name, Role::Student) };
        Planned {
            models: vec![model("teacher", Role::Teacher), seed("student 1"), seed("student 2")],
            data: vec!["test".to_owned()],
            problem_type: Some(TaskId::SINGLE_LABEL),
            labels: Some(["ham", "spam"].map(str::to_owned).to_vec()),
            runs_models: true,
            timing: true,
            resamples: 1000,
        }
    }

    fn refused(planned: &Planned, gate: &str) -> String {
        planned.check(&Gate::parse(gate).unwrap(), &Baselines::new()).unwrap_err().to_string()
    }

    #[test]
    fn what_a_report_will_not_have_is_named_with_what_it_has() {
        let planned = planned();
        for (gate, part) in [
            ("studnet: accuracy >= 0.9", r#"no model "studnet"; there is teacher, student 1, student 2"#),
            ("accuracy >= 0.9 on dev", r#"no data set "dev"; there is test"#),
            ("drop.accuracy <= 1% vs other", r#"no model "other""#),
            ("f1[spm] >= 0.9", r#"no label "spm"; there is ham, spam"#),
            ("rmse <= 1", "rmse is not measured for single_label_classification"),
            ("top_3 >= 0.9", "top_3 is not measured for single_label_classification of 2 labels"),
            ("gap_closed.accuracy >= 50%", "no_teacher_baseline"),
            ("gain.accuracy >= 0", "no_teacher_baseline"),
            ("parameters <= 20M with confidence", "no interval"),
        ] {
            let text = refused(&planned, gate);
            assert!(text.contains(part), "{gate}: {text}");
        }
        let untimed = Planned { timing: false, ..planned.clone() };
        assert!(refused(&untimed, "speed_up >= 2").contains("timing is off"));
        let alone = Planned { models: vec![model("m", Role::Student)], ..planned.clone() };
        assert!(refused(&alone, "agreement >= 0.9").contains("no teacher"));
        assert!(refused(&alone, "kept.accuracy >= 0.9").contains("no teacher"));
        let numbers = Planned { problem_type: Some(TaskId::REGRESSION), labels: None, ..planned };
        assert!(refused(&numbers, "accuracy >= 0.9").contains("not measured for regression"));
        assert!(refused(&numbers, "f1[spam] >= 0.9").contains("no classes"));
    }

    #[test]
    fn entities_have_types_and_plain_tags_have_none() {
        let tags = |names: &[&str]| Planned {
            problem_type: Some(TaskId::TOKEN_CLASSIFICATION),
            labels: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..planned()
        };
        let entities = tags(&["O", "B-PER", "I-PER"]);
        for gate in
            ["entity_f1[PER] >= 0.9", "f1[PER] >= 0.9", "kept.entity_f1 >= 98.5%", "token_accuracy >= 0.9"]
        {
            entities.check(&Gate::parse(gate).unwrap(), &Baselines::new()).unwrap();
        }
        assert!(
            refused(&entities, "entity_f1[B-PER] >= 0.9").contains(r#"no entity type "B-PER"; there is PER"#)
        );
        assert!(refused(&entities, "accuracy >= 0.9").contains("not measured for token_classification"));
        let plain = tags(&["NOUN", "VERB"]);
        plain.check(&Gate::parse("f1[NOUN] >= 0.9").unwrap(), &Baselines::new()).unwrap();
        assert!(refused(&plain, "entity_f1 >= 0.9").contains("are no entities"));
        assert!(refused(&plain, "entity_recall[NOUN] >= 0.9").contains("are no entities"));
        assert!(refused(&planned(), "entity_f1[spam] >= 0.9").contains("has no entities"));
    }

    #[test]
    fn gates_that_fit_are_let_through() {
        let planned = planned();
        for gate in [
            "kept.accuracy >= 97%",
            "student: macro_f1 >= 0.9 with confidence on test",
            "student 2: f1[spam] >= 0.9 with confidence",
            "drop.accuracy <= 1% vs student 1",
            "speed_up >= 2x",
            "kl <= 1",
            "regression <= 1% vs old.json",
            "gain.accuracy >= 0 with confidence vs constant",
            "gain.accuracy >= 0 vs student 1",
            "latency.p95 <= 20ms with confidence",
        ] {
            planned.check(&Gate::parse(gate).unwrap(), &Baselines::new()).unwrap();
        }
    }
}
