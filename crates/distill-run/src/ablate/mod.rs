//! `distill ablate`: what each component of a pipeline's student is worth.
//!
//! `resolve` spells out the pipeline's settings, `components` lists what can be removed, `table` shows the result of
//! it. For each seed the pipeline runs up to its soft targets in `OUT/seed-N`, once more with the rows alone where copies
//! are a component; each student is an ordinary run in `OUT/seed-N/trials`, which resumes and is not run again where its
//! result is there.

mod components;
mod resolve;
mod table;

use std::path::{Path, PathBuf};

use distill_data::augment::AugmentSettings;
use distill_student::settings::BestMetric;

use crate::check::{Checker, Request};
use crate::connect;
use crate::error::{Context, Result, RunError};
use crate::pipeline::{self, Extent, RunOptions};
use crate::session::Session;
use crate::settings::Settings;
use crate::student::StudentStage;
use crate::trial::{self, Outcome};
use components::Component;
use resolve::{name_teacher, resolve};
use table::Line;
pub use table::Table;

/// A pipeline with the components of its student that can be taken away.
pub struct Ablation {
    settings: Settings,
    resolved: Settings,
    components: Vec<Component>,
}

impl Ablation {
    /// The components that a pipeline uses.
    ///
    /// # Errors
    /// Settings that have no meaning for these labels; a model or store that cannot be read.
    pub fn of(mut settings: Settings) -> Result<Self> {
        name_teacher(&mut settings.student.start)?;
        let resolved = resolve(&settings)?;
        let components = Component::of(&resolved);
        Ok(Ablation { settings, resolved, components })
    }

    /// What is taken away, one at a time, in words.
    pub fn names(&self) -> Vec<String> {
        self.components.iter().map(|component| component.name(&self.resolved)).collect()
    }

    /// Checks the pipeline, whose students are to be in `out`, with each of these seeds.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn check(&self, out: &Path, seeds: &[u64], session: &Session) -> Result<()> {
        let request = Request::of_students(out, seeds, self.components.len() + 1);
        Checker::new(request, session).base(&self.settings)
    }

    /// Trains all students with each seed. Finished ones are not trained again.
    ///
    /// # Errors
    /// Whatever stopped it, with the component that was removed; if none could be trained, the first failure.
    pub fn run(&self, out: &Path, seeds: &[u64], session: Session) -> Result<Table> {
        let _lock = pipeline::lock(out, RunOptions::default())?;
        Table::check(out)?;
        let students = Students { settings: &self.settings, resolved: &self.resolved, session, out };
        let table = students.all(&self.components, seeds)?;
        trial::one_must_be_trained(table.lines.iter().flat_map(|line| &line.results))?;
        Ok(table)
    }
}

/// All students of an ablation.
struct Students<'a> {
    settings: &'a Settings,
    resolved: &'a Settings,
    session: Session,
    out: &'a Path,
}

impl Students<'_> {
    /// Trains all students, seed by seed. The table is written after each seed.
    fn all(mut self, components: &[Component], seeds: &[u64]) -> Result<Table> {
        let students = || std::iter::once(None).chain(components.iter().copied().map(Some));
        let line = |component: Option<Component>| Line {
            without: component.map(|component| component.name(self.resolved)),
            results: Vec::with_capacity(seeds.len()),
        };
        let mut table: Option<Table> = None;
        for seed in seeds {
            self.session.seed = *seed;
            let mut lines: Vec<Line> =
                table.take().map_or_else(|| students().map(line).collect(), |table| table.lines);
            let of_seed = self.out.join(format!("seed-{seed}"));
            pipeline::up_to(Extent::Targets, self.settings, &of_seed, RunOptions::default(), &self.session)?;
            if components.contains(&Component::Augmentation) {
                let (settings, out) = (self.rows_alone(&of_seed), alone(&of_seed));
                pipeline::up_to(Extent::Targets, &settings, &out, RunOptions::default(), &self.session)?;
            }
            let connected = connect::connected(self.settings.clone(), &of_seed);
            let mut metric = StudentStage::new(&connected, None).compared_by(BestMetric::Auto)?;
            for (component, line) in students().zip(&mut lines) {
                let what = line
                    .without
                    .as_ref()
                    .map_or("the unchanged pipeline".to_owned(), |name| format!("without {name}"));
                self.session.messages.status(&format!("── {what} (seed {seed})"));
                let result = self.student(component, &of_seed).with_context(|| what)?;
                match (&result, component) {
                    // Without it, the others cannot be compared.
                    (Err(failed), None) => {
                        return Err(failed.clone().into_failure("the unchanged pipeline cannot be trained"));
                    }
                    (Ok(figures), None) => {
                        metric = trial::comparable(BestMetric::Auto, metric, figures)?;
                    }
                    _ => (),
                }
                line.results.push((*seed, result));
            }
            table.insert(Table { metric, lines }).write(self.out)?;
        }
        table.ok_or_else(|| RunError::usage("--seeds is empty"))
    }

    /// The pipeline without copies, from the teacher that the one with copies has.
    fn rows_alone(&self, of_seed: &Path) -> Settings {
        let alone = Settings { augment: AugmentSettings::default(), ..self.settings.clone() };
        connect::with_teacher_of(alone, of_seed)
    }

    fn student(&self, component: Option<Component>, of_seed: &Path) -> Result<Outcome> {
        let mut settings = if component == Some(Component::Augmentation) {
            connect::connected(self.rows_alone(of_seed), &alone(of_seed))
        } else {
            let connected = connect::connected(self.settings.clone(), of_seed);
            connect::with_copies(&connected, of_seed)
        };
        let name = component.map_or("as-it-is".to_owned(), Component::directory);
        if let Some(component) = component {
            component.disable(&mut settings, &of_seed.join("scratch").join(&name))?;
        }
        let stage = StudentStage::new(&settings, connect::rows_to_join(&settings));
        // Without soft targets, rows without labels teach nothing: copies, further rows, and unlabelled ones.
        let stage =
            if component == Some(Component::SoftTargets) { stage.with_labelled_rows_alone() } else { stage };
        trial::student(&self.session, &stage, &of_seed.join("trials").join(&name))
    }
}

fn alone(of_seed: &Path) -> PathBuf {
    of_seed.join("rows-alone")
}
