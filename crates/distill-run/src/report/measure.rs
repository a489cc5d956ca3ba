//! Runs models over data sets: their logits and their cost.

use std::path::Path;

use distill_core::atomic::FileError;
use distill_data::TextTokenizer;
use distill_model::{Model, ModelDirectory, weights};
use distill_report::report::Timing;
use distill_report::{Cost, DataSet, Predictions, ReportError};

use super::named::Entry;
use super::rows::{Columns, TestSet};
use super::timing::{self, Timed};
use crate::session::Session;
use crate::settings::Settings;
use crate::{inference, inputs, length};

/// A model in memory. All of a report are, so that they can take turns while they are timed.
pub struct Loaded {
    entry: Entry,
    directory: ModelDirectory,
    tokenizer: TextTokenizer,
    model: Model,
}

/// The length that a model's rows are cut to.
///
/// # Errors
/// For a `tokenizer_config.json` that cannot be read.
pub fn max_length(directory: &ModelDirectory, settings: &Settings) -> anyhow::Result<usize> {
    length::of_model(settings.data.max_length, directory.path(), directory.config())
}

/// Loads the models and runs them over every data set.
///
/// # Errors
/// Whatever stopped it.
pub fn run(
    entries: Vec<Entry>,
    sets: &[TestSet],
    settings: &Settings,
    session: &Session,
) -> anyhow::Result<(Vec<DataSet>, Option<Timing>)> {
    let models: Vec<Loaded> =
        entries.into_iter().map(|entry| load(entry, settings, session)).collect::<anyhow::Result<_>>()?;
    let mut data = Vec::with_capacity(sets.len());
    let mut slowest = f64::INFINITY;
    for set in sets {
        let mut predictions = Vec::with_capacity(models.len());
        for model in &models {
            let (predicted, rate) = predict(model, set, settings, session)?;
            slowest = slowest.min(rate);
            predictions.push(predicted);
        }
        data.push(DataSet { name: set.name.clone(), predictions });
    }
    let (speeds, timing): (Vec<Timed>, _) = match sets.first().filter(|_| settings.report.timing) {
        None => (models.iter().map(|_| Timed::default()).collect(), None),
        Some(set) => {
            let runners =
                models.iter().map(|one| inference::runner(&one.model, &one.tokenizer, settings, session));
            let (speeds, timing) = timing::time(&runners.collect::<Vec<_>>(), set, slowest, session)?;
            (speeds, Some(timing))
        }
    };
    let costs: Vec<Cost> =
        models.iter().zip(&speeds).map(|(model, speed)| cost(model, speed)).collect::<anyhow::Result<_>>()?;
    for set in &mut data {
        let priced = set.predictions.drain(..).zip(&costs).zip(&speeds);
        let priced =
            priced.map(|((model, cost), speed)| model.with_cost(*cost)?.with_rounds(speed.rounds.clone()));
        set.predictions = priced.collect::<Result<_, ReportError>>()?;
    }
    Ok((data, timing))
}

fn load(entry: Entry, settings: &Settings, session: &Session) -> anyhow::Result<Loaded> {
    let directory = inputs::model(&entry.path)?;
    let tokenizer = inputs::tokenizer(directory.path(), max_length(&directory, settings)?, directory.config())?;
    let model = directory.load_classifier_as(session.device, session.kind)?;
    Ok(Loaded { entry, directory, tokenizer, model })
}

/// One model over one data set, and how many rows a second it took, for a first guess.
fn predict(
    loaded: &Loaded,
    set: &TestSet,
    settings: &Settings,
    session: &Session,
) -> anyhow::Result<(Predictions, f64)> {
    let labels = &loaded.directory.config().labels;
    let problem_type = loaded.directory.config().problem_type;
    let source = inputs::fit(&set.source, &set.summary, labels)?;
    inputs::check_labels(&source, &set.summary, labels)?;
    let runner = inference::runner(&loaded.model, &loaded.tokenizer, settings, session);
    runner.warm_up(source.rows()?)?;
    let mut columns = Columns::default();
    let stats = runner.run(&loaded.entry.name, source.rows()?, set.summary.rows, |rows| {
        rows.iter().for_each(|row| columns.push_row(row));
        Ok(())
    })?;
    inputs::warn_truncated(stats.truncated, stats.rows, loaded.tokenizer.max_length());
    inputs::warn_unknown(stats.unknown, stats.tokens);
    Ok((
        columns.predictions(&loaded.entry, labels.clone(), problem_type, &set.columns)?,
        stats.rows_per_second(),
    ))
}

fn cost(loaded: &Loaded, speed: &Timed) -> anyhow::Result<Cost> {
    Ok(Cost {
        parameters: loaded.model.num_parameters(),
        bytes: weight_bytes(loaded.directory.path())?,
        rows_per_second: speed.rows_per_second,
        latency: speed.latency,
    })
}

fn weight_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for path in weights::weight_files(directory)? {
        bytes += std::fs::metadata(&path).map_err(FileError::of("read", &path))?.len();
    }
    Ok(bytes)
}
