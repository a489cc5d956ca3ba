//! Runs models over data sets: their logits and their cost.

use std::path::Path;

use distill_core::atomic::FileError;
use distill_data::TextTokenizer;
use distill_model::{Model, ModelDirectory, weights};
use distill_report::report::Timing;
use distill_report::{Cost, DataSet, Predictions, ReportError};
use distill_task::Positions;
use distill_teacher::answers::best_answers;

use super::named::Entry;
use super::rows::{Columns, TestSet};
use super::timing::{self, Timed};
use crate::error::Result;
use crate::session::Session;
use crate::settings::Settings;
use crate::{inference, inputs, length, predict_answers};

/// A model of the report with its tokenizer, which says how many tokens of a row it reads.
pub struct OpenModel {
    /// What it is in the report.
    pub entry: Entry,
    /// Its directory.
    pub directory: ModelDirectory,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
}

impl OpenModel {
    /// Opens a classifier.
    ///
    /// # Errors
    /// Where it is none, or its tokenizer does not fit.
    pub fn open(entry: Entry, settings: &Settings) -> Result<Self> {
        let directory = inputs::classifier(inputs::model(&entry.path)?)?;
        let config = directory.config();
        let max_length = length::of_model(settings.data.max_length, directory.path(), config)?;
        let tokenizer = inputs::tokenizer_for(config.problem_type, directory.path(), max_length, config)?;
        Ok(OpenModel { entry, directory, tokenizer })
    }

    fn load(self, session: &Session) -> Result<Loaded> {
        let model = self.directory.load_classifier_as(session.device, session.kind)?;
        let OpenModel { entry, directory, tokenizer } = self;
        Ok(Loaded { entry, directory, tokenizer, model })
    }
}

/// A model in memory. All of a report are, so that they can take turns while they are timed.
struct Loaded {
    entry: Entry,
    directory: ModelDirectory,
    tokenizer: TextTokenizer,
    model: Model,
}

/// Loads the models and runs them over every data set.
///
/// # Errors
/// Whatever stopped it.
pub fn run(
    models: Vec<OpenModel>,
    sets: &[TestSet],
    settings: &Settings,
    session: &Session,
) -> Result<(Vec<DataSet>, Option<Timing>)> {
    let models: Vec<Loaded> = models.into_iter().map(|model| model.load(session)).collect::<Result<_>>()?;
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
        models.iter().zip(&speeds).map(|(model, speed)| cost(model, speed)).collect::<Result<_>>()?;
    for set in &mut data {
        let priced = set.predictions.drain(..).zip(&costs).zip(&speeds);
        let priced =
            priced.map(|((model, cost), speed)| model.with_cost(*cost)?.with_rounds(speed.rounds.clone()));
        set.predictions = priced.collect::<Result<_, ReportError>>()?;
    }
    Ok((data, timing))
}

/// One model over one data set, and how many rows a second it took, for a first guess.
fn predict(
    loaded: &Loaded,
    set: &TestSet,
    settings: &Settings,
    session: &Session,
) -> Result<(Predictions, f64)> {
    let labels = &loaded.directory.config().labels;
    let problem_type = loaded.directory.config().problem_type;
    let source = inputs::fit(&set.source, &set.summary, labels)?;
    inputs::check_labels(&source, &set.summary, labels)?;
    let runner = inference::runner(&loaded.model, &loaded.tokenizer, settings, session);
    runner.warm_up(source.rows()?)?;
    let mut columns = Columns::default();
    let tokenizer = &loaded.tokenizer;
    let stats = runner.run(&loaded.entry.name, source.rows()?, set.summary.rows, |rows| {
        if problem_type.positions() == Positions::Span {
            let answers = best_answers(tokenizer, rows, &predict_answers::settings())?;
            rows.iter().zip(&answers).for_each(|(row, answer)| columns.push_answer(row, answer));
        } else {
            rows.iter().for_each(|row| columns.push_row(row));
        }
        Ok(())
    })?;
    inputs::warn_truncated(stats.truncated, stats.rows, loaded.tokenizer.max_length());
    inputs::warn_unknown(stats.unknown, stats.tokens);
    inputs::warn_without_tokens(&stats);
    Ok((
        columns.predictions(&loaded.entry, labels.clone(), problem_type, &set.columns)?,
        stats.rows_per_second(),
    ))
}

fn cost(loaded: &Loaded, speed: &Timed) -> Result<Cost> {
    Ok(Cost {
        parameters: loaded.model.num_parameters(),
        bytes: weight_bytes(loaded.directory.path())?,
        rows_per_second: speed.rows_per_second,
        latency: speed.latency,
    })
}

fn weight_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for path in weights::weight_files(directory)? {
        bytes += std::fs::metadata(&path).map_err(FileError::of("read", &path))?.len();
    }
    Ok(bytes)
}
