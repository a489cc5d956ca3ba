//! How many tokens of a row are read, where the user does not say: what the model or the store says.

use std::path::Path;

use distill_data::TextTokenizer;
use distill_data::logits::Store;
use distill_model::ModelConfig;
use distill_task::{Positions, TaskId};

use crate::error::Result;
use crate::once;

/// Default tokens per row.
pub const DEFAULT: usize = 128;

/// Default tokens of a question with a window of its text, as in `transformers`' scripts for SQuAD.
const OF_ANSWERS: usize = 384;

/// The default of a task.
fn default_of(task: TaskId) -> usize {
    match task.positions() {
        Positions::Row | Positions::Word | Positions::Masked => DEFAULT,
        Positions::Span => OF_ANSWERS,
    }
}

/// The length of a classifier over rows: the one that was asked for, else the one that its directory says it was
/// trained with. The choice is said.
///
/// # Errors
/// [`distill_data::TokenError`] for a `tokenizer_config.json` that cannot be read.
pub fn of_model(asked: Option<usize>, directory: &Path, config: &ModelConfig) -> Result<usize> {
    let name = directory.display();
    let own = TextTokenizer::model_max_length(directory)?.map(|own| own.min(positions(config)));
    Ok(match (asked, own) {
        (Some(asked), Some(own)) if asked != own => {
            once::say(format!("max_length is {asked}, as given; {name} has {own}"));
            asked
        }
        (Some(asked), _) => asked,
        (None, Some(own)) => {
            once::say(format!("max_length is {own}, from {name}"));
            own
        }
        (None, None) => {
            let length = default_of(config.problem_type).min(positions(config));
            once::say(format!("max_length is {length}, the default; {name} has none"));
            length
        }
    })
}

/// The length of a model that is to be fine-tuned: the one that was asked for, else the default, or the model's own
/// where that is less.
///
/// # Errors
/// As [`of_model`].
pub fn to_train(asked: Option<usize>, task: TaskId, directory: &Path, config: &ModelConfig) -> Result<usize> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let own = TextTokenizer::model_max_length(directory)?.unwrap_or(usize::MAX).min(positions(config));
    let length = default_of(task).min(own);
    once::say(match own {
        usize::MAX => format!("max_length is {length}, the default"),
        own => format!("max_length is {length}, the default; the model's limit is {own}"),
    });
    Ok(length)
}

/// The length of a student: the one that was asked for, else what all of its teachers read, as far as the student has
/// positions.
pub fn of_student(asked: Option<usize>, stores: &[Store], config: &ModelConfig) -> usize {
    if let Some(asked) = asked {
        return asked;
    }
    let read = stores.iter().map(|store| (store.fingerprint().max_length as usize, store));
    let Some((read, store)) = read.min_by_key(|(length, _)| *length) else {
        return DEFAULT.min(positions(config));
    };
    let (length, store) = (read.min(positions(config)), store.directory().display());
    once::say(match length < read {
        true => format!("max_length is {length}, the student's limit; the teacher of {store} read {read}"),
        false => format!("max_length is {length}, the same as for the teacher of {store}"),
    });
    length
}

/// The most tokens that a model takes.
pub fn positions(config: &ModelConfig) -> usize {
    usize::try_from(config.max_length()).unwrap_or(usize::MAX)
}
