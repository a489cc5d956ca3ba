//! Exact match and F1 of answers, kept by row so that rows can be resampled.

use std::collections::HashMap;

use super::normalise::normalise;

/// Which official evaluation is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// SQuAD 1.1: every question has an answer. Answers without a word in common have an F1 of 0, also where nothing
    /// is left of either after normalisation.
    V1,
    /// SQuAD 2.0: questions may have no answer. An answer that nothing is left of after normalisation is none; where
    /// either side is none, the F1 is 1 if both are.
    V2,
}

/// How good one answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// 1 where the answer is one of those in the data after normalisation, else 0.
    pub exact_match: f64,
    /// Harmonic mean of the shares of words in common; the best over the answers in the data.
    pub f1: f64,
}

/// The score of one prediction. The empty text predicts that there is no answer; no answers in the data say so.
///
/// Sources: the official evaluation scripts of SQuAD 1.1 (`evaluate-v1.1.py`) and 2.0 (`evaluate-v2.0.py`). A question
/// without answers, which 1.1 does not know, is scored as in 2.0.
pub fn score<S: AsRef<str>>(prediction: &str, answers: &[S], rules: Rules) -> Score {
    let predicted = normalise(prediction);
    let mut gold: Vec<String> = answers.iter().map(|answer| normalise(answer.as_ref())).collect();
    if rules == Rules::V2 {
        gold.retain(|answer| !answer.is_empty());
    }
    let rules = if gold.is_empty() { Rules::V2 } else { rules };
    if gold.is_empty() {
        gold.push(String::new());
    }
    let mut best = Score::default();
    for answer in &gold {
        best.exact_match = f64::max(best.exact_match, if predicted == *answer { 1.0 } else { 0.0 });
        best.f1 = f64::max(best.f1, f1(&predicted, answer, rules));
    }
    best
}

/// Of normalised texts.
fn f1(predicted: &str, gold: &str, rules: Rules) -> f64 {
    let words = |text: &str| if text.is_empty() { 0 } else { text.split(' ').count() };
    let (predicted_words, gold_words) = (words(predicted), words(gold));
    if rules == Rules::V2 && (predicted_words == 0 || gold_words == 0) {
        return if predicted_words == gold_words { 1.0 } else { 0.0 };
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    gold.split(' ').filter(|word| !word.is_empty()).for_each(|word| *left.entry(word).or_default() += 1);
    let mut common = 0.0;
    for word in predicted.split(' ') {
        if let Some(left) = left.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            common += 1.0;
        }
    }
    if common == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (common / predicted_words as f64, common / gold_words as f64);
    2.0 * precision * recall / (precision + recall)
}

/// Mean scores over some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnswerTally {
    /// Rows.
    pub rows: u64,
    /// Over all rows; 0 without rows.
    pub all: Score,
    /// Over the rows that have an answer; none without such rows.
    pub answerable: Option<Score>,
    /// Over the rows that have none; none without such rows.
    pub unanswerable: Option<Score>,
}

/// The scores of every row of a data set.
#[derive(Clone, Debug)]
pub struct AnswerFigures {
    rules: Rules,
    rows: Vec<(Score, bool)>,
}

impl AnswerFigures {
    /// Figures of no rows yet.
    pub fn new(rules: Rules) -> Self {
        AnswerFigures { rules, rows: Vec::new() }
    }

    /// Adds a row, as [`score`] judges it.
    pub fn push<S: AsRef<str>>(&mut self, prediction: &str, answers: &[S]) {
        self.rows.push((score(prediction, answers, self.rules), !answers.is_empty()));
    }

    /// Every row's score, `[N]`.
    pub fn scores(&self) -> impl Iterator<Item = Score> {
        self.rows.iter().map(|(score, _)| *score)
    }

    /// The means over all rows.
    pub fn tally(&self) -> AnswerTally {
        self.weighted(|_| 1)
    }

    /// The means over rows of which each counts as often as it was drawn.
    ///
    /// # Shapes
    /// - `drawn`: `[N]`; rows that it is too short for do not count
    pub fn resampled(&self, drawn: &[u64]) -> AnswerTally {
        self.weighted(|row| drawn.get(row).copied().unwrap_or(0))
    }

    fn weighted(&self, weight: impl Fn(usize) -> u64) -> AnswerTally {
        let mut sums = [(0, Score::default()); 2];
        for (at, (score, answerable)) in self.rows.iter().enumerate() {
            let (rows, sum) = &mut sums[usize::from(*answerable)];
            let weight = weight(at);
            *rows += weight;
            sum.exact_match += weight as f64 * score.exact_match;
            sum.f1 += weight as f64 * score.f1;
        }
        let mean = |rows: u64, sum: Score| {
            let rows_f64 = rows as f64;
            (rows > 0).then(|| Score { exact_match: sum.exact_match / rows_f64, f1: sum.f1 / rows_f64 })
        };
        let [(without, unanswerable), (with, answerable)] = sums;
        let all = Score {
            exact_match: unanswerable.exact_match + answerable.exact_match,
            f1: unanswerable.f1 + answerable.f1,
        };
        AnswerTally {
            rows: without + with,
            all: mean(without + with, all).unwrap_or_default(),
            answerable: mean(with, answerable),
            unanswerable: mean(without, unanswerable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_official_scripts_differ_where_nothing_is_left_of_an_answer() {
        let nothing_left = |rules| score("the", &["a"], rules);
        assert_eq!(nothing_left(Rules::V1), Score { exact_match: 1.0, f1: 0.0 });
        assert_eq!(nothing_left(Rules::V2), Score { exact_match: 1.0, f1: 1.0 });
        let none: [&str; 0] = [];
        assert_eq!(score("", &none, Rules::V2), Score { exact_match: 1.0, f1: 1.0 });
        assert_eq!(score("Paris", &none, Rules::V2), Score::default());
    }

    #[test]
    fn a_row_drawn_twice_counts_as_two_rows() {
        let rows: [(&str, &[&str]); 3] = [("in Paris", &["Paris", "the city"]), ("", &[]), ("Rome", &["Oslo"])];
        let (mut once, mut written_out) = (AnswerFigures::new(Rules::V2), AnswerFigures::new(Rules::V2));
        for ((prediction, answers), times) in rows.iter().zip([2, 1, 0]) {
            once.push(prediction, answers);
            (0..times).for_each(|_| written_out.push(prediction, answers));
        }
        assert_eq!(once.resampled(&[2, 1, 0]), written_out.tally());
        assert_eq!(once.tally().unanswerable, Some(Score { exact_match: 1.0, f1: 1.0 }));
        assert_eq!(once.resampled(&[0; 3]), AnswerTally::default());
    }
}
