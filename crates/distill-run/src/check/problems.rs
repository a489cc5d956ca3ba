//! All problems, so that they are reported together.

use distill_core::Category;
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::messages::Messages;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    /// The setting or the table that it is about.
    place: String,
    /// What is wrong, and what to do about it.
    what: String,
    category: Category,
}

impl Problem {
    fn line(&self) -> String {
        // Many errors begin with the setting that they are about.
        if self.place.is_empty() || self.what.starts_with(&self.place) {
            self.what.clone()
        } else {
            format!("{}: {}", self.place, self.what)
        }
    }
}

/// What was found to be wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Problems {
    all: Vec<Problem>,
}

/// Which kind decides the exit code where there are several.
const ORDER: [Category; 4] = [Category::Usage, Category::Data, Category::CannotCreate, Category::Io];

impl Problems {
    /// Notes what went wrong, and gives what did not.
    ///
    /// # Errors
    /// A stop, and a defect of the program: they say nothing of a pipeline.
    pub fn take<T>(&mut self, place: &str, result: Result<T, impl Into<RunError>>) -> Result<Option<T>> {
        let error = match result {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error.into(),
        };
        let category = error.category();
        if matches!(category, Category::Stopped | Category::Internal) {
            return Err(error);
        }
        let problem = Problem { place: place.to_owned(), what: error.chain(), category };
        if !self.all.iter().any(|known| known.what == problem.what) {
            self.all.push(problem);
        }
        Ok(None)
    }

    /// Notes a problem that the check itself found.
    pub fn add(&mut self, place: &str, failure: RunError) {
        // Of failures that say what they are, none is passed on.
        if let Err(error) = self.take::<()>(place, Err(failure)) {
            tracing::debug!("{error:#}");
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// For `--json`.
    pub fn json(&self) -> Vec<Value> {
        let one = |problem: &Problem| json!({"where": problem.place, "what": problem.what, "exit_code": problem.category.exit_code()});
        self.all.iter().map(one).collect()
    }

    /// Only the first one.
    ///
    /// # Errors
    /// What was found first.
    pub fn first(self) -> Result<()> {
        match self.all.first() {
            None => Ok(()),
            Some(first) => Err(RunError::of(first.category, first.line())),
        }
    }

    /// Says all of them, and makes one error of them.
    ///
    /// # Errors
    /// The problem whose kind decides the exit code: settings, then data, directories of results, disk space.
    pub fn into_result(self, messages: &dyn Messages) -> Result<()> {
        let category = ORDER.into_iter().find(|kind| self.all.iter().any(|problem| problem.category == *kind));
        match self.all.as_slice() {
            [] => Ok(()),
            [only] => Err(RunError::of(only.category, only.line())),
            several => {
                for problem in several {
                    messages.problem(&format!("- {}", problem.line()));
                }
                let what = format!("{} problems, listed above; nothing was computed", several.len());
                Err(RunError::of(category.unwrap_or(Category::Usage), what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use distill_core::StopReason;

    use super::*;
    use crate::messages::Silent;

    #[test]
    fn settings_decide_the_exit_code_before_data_and_a_stop_is_not_a_problem() {
        let mut problems = Problems::default();
        problems.add("data.test", RunError::data("a.csv: no column \"text\""));
        problems.add("data.test", RunError::data("a.csv: no column \"text\""));
        assert_eq!(problems.len(), 1, "the same is said once");
        problems.add("student.layers", RunError::usage("layers [9] are not there"));
        let stopped = problems.take::<()>("data.test", Err(StopReason::TimeLimit)).unwrap_err();
        assert_eq!(stopped.category(), Category::Stopped);
        let lines: Vec<String> = problems.all.iter().map(Problem::line).collect();
        assert_eq!(lines[0], "data.test: a.csv: no column \"text\"");
        assert_eq!(problems.json()[1]["exit_code"], 2);
        let error = problems.into_result(&Silent).unwrap_err();
        assert_eq!(error.category(), Category::Usage);
        assert!(error.to_string().starts_with("2 problems"));
        Problems::default().into_result(&Silent).unwrap();
    }
}
