//! `distill ablate`: what each component of a pipeline's student is worth.
//!
//! [`meant`] spells the pipeline's settings out, [`components`] says what there is to take away, [`table`] what came of
//! it. For each seed the pipeline runs up to its soft targets in `OUT/seed-N`, once more with the rows alone where copies
//! are a component; each student is an ordinary run in `OUT/seed-N/trials`, which resumes and is not run again where its
//! result is there.

mod components;
mod meant;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_data::augment::AugmentSettings;
use distill_student::settings::BestMetric;

use crate::args::{Ablate, Run};
use crate::commands::check::{Checker, Request};
use crate::commands::run::{self, Extent};
use crate::commands::student::StudentStage;
use crate::commands::trial::{self, Outcome};
use crate::exit::{Failure, Status};
use crate::output::printer::{self, talk};
use crate::session::Session;
use crate::settings::Settings;
use crate::settings::flags::Flags;
use components::Component;
use meant::{meant, name_teacher};
use table::{Line, Table};

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it, with what was taken away.
pub fn command(args: &Ablate) -> anyhow::Result<Status> {
    if args.common.config.is_some() || args.common.seed.is_some() {
        bail!(Failure::usage("--config and --seed are not for ablations: give the pipeline file, and --seeds"));
    }
    run::check_seeds(&args.seeds)?;
    let name = args.pipeline.file_stem().unwrap_or_default().to_string_lossy();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{name}-ablation")));
    let run = Run {
        pipeline: args.pipeline.clone(),
        out: None,
        seeds: Vec::new(),
        overwrite: false,
        common: args.common.clone(),
    };
    let mut settings = run.resolve()?;
    name_teacher(&mut settings.student.start)?;
    let meant = meant(&settings)?;
    let components = Component::of(&meant);
    let session = Session::start(&args.common, &settings.runtime)?;
    let request = Request::of_students(&out, &args.seeds, components.len() + 1);
    Checker::new(request, &session).base(&settings)?;
    if args.common.dry_run {
        let names: Vec<String> =
            components.iter().map(|component| format!("without {}", component.name(&meant))).collect();
        printer::result(&names.join("\n"))?;
        return Ok(Status::Done);
    }
    let _lock = run::lock(&out, &run)?;
    Table::check(&out)?;
    let ablation = Ablation { run: &run, settings: &settings, meant: &meant, session, out: &out };
    let table = ablation.all(&components, &args.seeds)?;
    trial::one_must_be_trained(table.lines.iter().flat_map(|line| &line.results))?;
    if args.common.json { printer::json(&table.json()?) } else { printer::result(&table.text(&out)) }?;
    Ok(Status::Done)
}

struct Ablation<'a> {
    run: &'a Run,
    settings: &'a Settings,
    meant: &'a Settings,
    session: Session,
    out: &'a Path,
}

impl Ablation<'_> {
    /// Trains all students, seed by seed. The table is written after each seed.
    fn all(mut self, components: &[Component], seeds: &[u64]) -> anyhow::Result<Table> {
        let students = || std::iter::once(None).chain(components.iter().copied().map(Some));
        let line = |component: Option<Component>| Line {
            without: component.map(|component| component.name(self.meant)),
            results: Vec::with_capacity(seeds.len()),
        };
        let mut table: Option<Table> = None;
        for seed in seeds {
            self.session.seed = *seed;
            let mut lines: Vec<Line> =
                table.take().map_or_else(|| students().map(line).collect(), |table| table.lines);
            let of_seed = self.out.join(format!("seed-{seed}"));
            run::up_to(Extent::Targets, self.settings, &of_seed, self.run, &self.session)?;
            if components.contains(&Component::Augmentation) {
                let (settings, out) = (self.rows_alone(&of_seed), alone(&of_seed));
                run::up_to(Extent::Targets, &settings, &out, self.run, &self.session)?;
            }
            let connected = run::connected(self.settings.clone(), &of_seed);
            let mut metric = StudentStage::new(&connected, None).compared_by(BestMetric::Auto)?;
            for (component, line) in students().zip(&mut lines) {
                let what = line
                    .without
                    .as_ref()
                    .map_or("the pipeline as it is".to_owned(), |name| format!("without {name}"));
                talk(&format!("── {what} (seed {seed})"));
                let result = self.student(component, &of_seed).with_context(|| what)?;
                match (&result, component) {
                    // Nothing can be told from what the others do without it.
                    (Err(failed), None) => {
                        bail!(failed.clone().into_failure("the pipeline as it is cannot be trained"))
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
        table.ok_or_else(|| Failure::usage("--seeds is empty").into())
    }

    /// The pipeline without copies, from the teacher that the one with copies has.
    fn rows_alone(&self, of_seed: &Path) -> Settings {
        let alone = Settings { augment: AugmentSettings::default(), ..self.settings.clone() };
        run::with_teacher_of(alone, of_seed)
    }

    fn student(&self, component: Option<Component>, of_seed: &Path) -> anyhow::Result<Outcome> {
        let mut settings = if component == Some(Component::Augmentation) {
            run::connected(self.rows_alone(of_seed), &alone(of_seed))
        } else {
            let connected = run::connected(self.settings.clone(), of_seed);
            run::with_copies(&connected, of_seed)
        };
        let name = component.map_or("as-it-is".to_owned(), Component::directory);
        if let Some(component) = component {
            component.take_away(&mut settings, &of_seed.join("scratch").join(&name))?;
        }
        let stage = StudentStage::new(&settings, run::rows_beside(&settings));
        // Without soft targets, rows without labels teach nothing: copies, further rows, and unlabelled ones.
        let stage =
            if component == Some(Component::SoftTargets) { stage.with_labelled_rows_alone() } else { stage };
        trial::student(&self.session, &stage, &of_seed.join("trials").join(&name))
    }
}

fn alone(of_seed: &Path) -> PathBuf {
    of_seed.join("rows-alone")
}
