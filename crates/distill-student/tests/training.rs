//! The loop: a batch that is cut gives the gradients of the whole one, and a run that was stopped ends as one
//! that was not, with and without losses inside the network.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use distill_core::{Progress, Silent, StopReason, StopSignal};
use distill_data::CacheError;
use distill_data::cache::{Example, TokenCache};
use distill_model::student::{Shape, initialize};
use distill_model::{Model, ModelDirectory};
use distill_student::data::Part;
use distill_student::intermediate_losses::IntermediateLosses;
use distill_student::settings::{OptimizerChoice, ScheduleChoice};
use distill_student::{ModelFacts, TrainError, TrainSettings, Trainer, TrainingData};
use distill_task::TaskId;
use tch::{Device, Kind, Tensor};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// Rows of 3 to 40 tokens with labels, some without, and soft targets.
fn data(rows: u64) -> TrainingData {
    let cache = TokenCache::in_memory(|writer| {
        (0..rows).try_for_each(|row| {
            let ids: Vec<u32> =
                (0..3 + row * 7 % 38).map(|place| ((row * 31 + place * 17) % 99) as u32).collect();
            let logits: Vec<f32> = (0..5).map(|label| ((row + label) * 37 % 11) as f32 / 3.0).collect();
            writer.push(Example {
                input_ids: &ids,
                token_type_ids: None,
                label: (row % 3 > 0).then_some((row % 5) as i32),
                targets: &[],
                logits: &logits,
                id_hash: row,
                partner_hash: None,
                row,
                ..Example::default()
            })?;
            Ok::<(), CacheError>(())
        })
    })
    .unwrap();
    let train = Part::whole(cache);
    TrainingData { validation: Part { rows: vec![0, 1, 2], ..train.clone() }, train }
}

fn teacher() -> Model {
    ModelDirectory::open(&golden("bert-tiny")).unwrap().load_classifier_as(Device::Cpu, Kind::Float).unwrap()
}

/// Two of the teacher's layers, at its width or half of it.
fn student(hidden_size: Option<i64>) -> Model {
    let directory = ModelDirectory::open(&golden("bert-tiny")).unwrap();
    let labels = directory.config().labels.clone();
    initialize(
        &directory,
        Shape { layers: Some(&[0, 2]), hidden_size },
        &labels,
        TaskId::SINGLE_LABEL,
        Device::Cpu,
    )
    .unwrap()
}

fn one_step() -> TrainSettings {
    TrainSettings {
        epochs: 1,
        batch_size: 24,
        optimizer: OptimizerChoice::Sgd,
        schedule: ScheduleChoice::Constant,
        warmup_ratio: 0.0,
        learning_rate: 0.1,
        weight_decay: 0.0,
        max_grad_norm: 1e9,
        checkpoint_minutes: 0.0,
        ..TrainSettings::default()
    }
}

fn inside(settings: TrainSettings) -> TrainSettings {
    TrainSettings { hidden_weight: 1.0, relation_weight: 0.5, relation_heads: 2, ..settings }
}

struct Case<'a> {
    settings: &'a TrainSettings,
    hidden_size: Option<i64>,
    stop: &'a StopSignal,
    progress: &'a dyn Progress,
}

impl Case<'_> {
    fn run(&self, data: &TrainingData, out: &Path) -> Result<BTreeMap<String, Tensor>, Box<TrainError>> {
        let (model, teacher) = (student(self.hidden_size), teacher());
        let plan = self.settings.resolve(&ModelFacts::of(&model))?;
        Trainer {
            model: &model,
            teacher: Some(&teacher),
            plan: &plan,
            data,
            seed: 3,
            stop: self.stop,
            progress: self.progress,
        }
        .run(out)
        .map_err(Box::new)?;
        Ok(model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.detach().copy())).collect())
    }
}

fn run(settings: &TrainSettings, hidden_size: Option<i64>, data: &TrainingData) -> BTreeMap<String, Tensor> {
    let out = tempfile::tempdir().unwrap();
    Case { settings, hidden_size, stop: &StopSignal::new(None), progress: &Silent }
        .run(data, out.path())
        .unwrap()
}

fn largest_difference(left: &BTreeMap<String, Tensor>, right: &BTreeMap<String, Tensor>) -> f64 {
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    left.iter().map(|(name, tensor)| (tensor - &right[name]).abs().max().double_value(&[])).fold(0.0, f64::max)
}

#[test]
fn a_batch_in_parts_moves_the_weights_as_the_whole_batch_does() {
    let data = data(24);
    let attention = TrainSettings { attention_weight: 1.0, ..inside(one_step()) };
    let before: BTreeMap<String, Tensor> = student(None).parameters().iter().cloned_pairs().collect();
    for (settings, hidden_size) in [(one_step(), None), (attention, None), (inside(one_step()), Some(16))] {
        let whole = run(&settings, hidden_size, &data);
        let parts = run(&TrainSettings { batch_tokens: 64, ..settings.clone() }, hidden_size, &data);
        let difference = largest_difference(&whole, &parts);
        assert!(difference < 1e-6, "{settings:?}: {difference}");
        if hidden_size.is_none() {
            assert!(largest_difference(&whole, &before) > 1e-3, "the step moved something");
        }
    }
}

trait ClonedPairs {
    fn cloned_pairs(self) -> impl Iterator<Item = (String, Tensor)>;
}

impl<'a, I: Iterator<Item = &'a (String, Tensor)>> ClonedPairs for I {
    fn cloned_pairs(self) -> impl Iterator<Item = (String, Tensor)> {
        self.map(|(name, tensor)| (name.clone(), tensor.detach().copy()))
    }
}

/// Stops a run once it has done so many steps.
struct StopAt<'a>(&'a StopSignal, AtomicU64);

impl Progress for StopAt<'_> {
    fn begin(&self, _what: &str, _total: u64, _unit: &'static str) {}

    fn update(&self, done: u64, _note: &str) {
        if done == self.1.load(Ordering::Relaxed) {
            self.0.raise(StopReason::Interrupt);
        }
    }

    fn end(&self) {}
}

#[test]
fn a_stopped_run_with_a_projection_ends_with_the_same_bits() {
    let data = data(40);
    let settings =
        inside(TrainSettings { epochs: 2, batch_size: 8, optimizer: OptimizerChoice::Adamw, ..one_step() });
    let settings = TrainSettings { learning_rate: 1e-3, batch_tokens: 100, ..settings };
    let whole = run(&settings, Some(16), &data);
    let out = tempfile::tempdir().unwrap();
    for step in [3, 7] {
        let stop = StopSignal::new(None);
        let progress = StopAt(&stop, AtomicU64::new(step));
        let case = Case { settings: &settings, hidden_size: Some(16), stop: &stop, progress: &progress };
        let stopped = case.run(&data, out.path()).unwrap_err();
        assert!(matches!(*stopped, TrainError::Stopped(_)), "{stopped}");
    }
    let (stop, hidden_size) = (StopSignal::new(None), Some(16));
    let resumed = Case { settings: &settings, hidden_size, stop: &stop, progress: &Silent }
        .run(&data, out.path())
        .unwrap();
    assert_eq!(largest_difference(&whole, &resumed), 0.0);
    assert!(!resumed.keys().any(|name| name.contains("projection")));
    // The same loss without the terms is another run.
    let alone = TrainSettings { hidden_weight: 0.0, relation_weight: 0.0, ..settings };
    assert!(largest_difference(&whole, &run(&alone, Some(16), &data)) > 1e-4);
}

#[test]
fn terms_that_cannot_be_had_say_why() {
    let teacher = teacher();
    let refused = |settings: TrainSettings, hidden_size, teacher| {
        let student = student(hidden_size);
        let plan = settings.resolve(&ModelFacts::of(&student)).unwrap();
        IntermediateLosses::new(&plan.loss.intermediate, &student, teacher, 1).unwrap_err().to_string()
    };
    let base = one_step();
    let attention = TrainSettings { attention_weight: 1.0, ..base.clone() };
    assert!(refused(attention.clone(), None, None).contains("student.teacher_model"));
    assert!(
        refused(attention.clone(), Some(16), Some(&teacher)).contains("the student has 2 and the teacher 4")
    );
    let uneven = TrainSettings { relation_weight: 1.0, relation_heads: 3, ..base.clone() };
    assert!(refused(uneven, None, Some(&teacher)).contains("relation_heads is 3"));
    let deberta =
        ModelDirectory::open(&golden("deberta-v3-tiny")).unwrap().load_classifier(Device::Cpu).unwrap();
    assert!(
        refused(attention, None, Some(&deberta)).contains("attention_weight cannot be used with deberta-v2")
    );
    let student = student(None);
    let plan = base.resolve(&ModelFacts::of(&student)).unwrap();
    assert!(IntermediateLosses::new(&plan.loss.intermediate, &student, None, 1).unwrap().is_none());
}
