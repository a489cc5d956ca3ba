//! One model that gives each word a tag. Rows are resampled whole, with all of their words.

use std::collections::BTreeMap;

use distill_task::logits::argmax;
use distill_task::tags::{Counts, EntityFigures, Mistakes, Mode, Shares, TagSet, Tally};

use super::{Constant, Judged, RowMeans, model_report};
use crate::build::tagged_rows;
use crate::metrics::{ClassFigures, Metric, against};
use crate::predictions::Predictions;
use crate::report::EntityErrors;

/// Classes up to which each has an interval of its own.
const CLASS_INTERVALS: usize = 100;

/// Rows of words, each with a tag.
pub(crate) struct Tagged;

impl RowMeans for Tagged {
    fn judge(&self, model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
        judge(model, rows, teacher)
    }

    fn shared(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
        shared(model, rows)
    }

    fn constant(&self, model: &Predictions, rows: &[usize], means: &[f64]) -> Constant {
        constant(model, rows, means)
    }

    fn by_label(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<String>> {
        rows.iter().map(|row| tagged_rows::kinds(model, *row)).collect()
    }

    fn shown(&self, model: &Predictions, _teacher: &Predictions, row: usize) -> (String, String) {
        tagged_rows::differing(model, row)
    }

    fn predicted(&self, model: &Predictions, row: usize) -> Vec<i32> {
        model.predicted_tags(row).iter().map(|tag| tag.map_or(-1, |tag| tag as i32)).collect()
    }

    fn confidence(&self, model: &Predictions, row: usize) -> Option<f64> {
        // The mean over the words.
        Some(model.tag_confidence(row))
    }
}

/// Figures, and what their draws need.
fn judge(model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
    let Some(words) = &model.words else { return nothing(model) };
    let set = &words.set;
    let mut whole = Row::of_no_words(set);
    let layout = Layout { has_entities: set.scheme().has_entities(), classes: whole.classes.len() };
    let (mut own, mut right) = (layout.columns(), Vec::with_capacity(rows.len()));
    // One row at a time: with many tags and many rows, the counts of all rows would not fit in memory.
    for row in rows.iter().map(|row| Row::new(model, set, *row)) {
        whole.add(&row);
        layout.push(&row, &mut own);
        right.push(row.is_right);
    }
    let mut values = metrics(set, &whole);
    let share = right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64;
    values.insert(Metric::SubsetAccuracy, share);
    let of_all_rows = teacher.map(|teacher| against_teacher(teacher, model)).unwrap_or_default();
    for (metric, column) in &of_all_rows {
        values.insert(*metric, column.iter().sum::<f64>() / column.len() as f64);
    }
    let mut report = model_report(model, &values, classes(set, &whole.classes));
    report.entity_errors = set.scheme().has_entities().then(|| EntityErrors::from(whole.mistakes));
    Judged {
        report,
        right,
        errors: Vec::new(),
        own,
        from_means: Box::new(move |_, own| layout.metrics(own)),
        influences: Vec::new(),
        of_all_rows,
        values,
    }
}

fn nothing(model: &Predictions) -> Judged {
    let values = BTreeMap::new();
    Judged {
        report: model_report(model, &values, Vec::new()),
        right: Vec::new(),
        errors: Vec::new(),
        own: Vec::new(),
        from_means: Box::new(|_, _| (Vec::new(), Vec::new())),
        influences: Vec::new(),
        of_all_rows: Vec::new(),
        values,
    }
}

/// What is counted in a row, or in all rows.
struct Row {
    /// By entity type; of plain tags by tag, words instead of entities.
    classes: Vec<Counts>,
    /// Entities of all types in strict mode.
    strict: Counts,
    words: u64,
    correct_words: u64,
    mistakes: Mistakes,
    is_right: bool,
}

impl Row {
    fn of_no_words(set: &TagSet) -> Row {
        let classes = if set.scheme().has_entities() { set.types().len() } else { set.len() };
        Row {
            classes: vec![Counts::default(); classes],
            strict: Counts::default(),
            words: 0,
            correct_words: 0,
            mistakes: Mistakes::default(),
            is_right: true,
        }
    }

    fn new(model: &Predictions, set: &TagSet, row: usize) -> Row {
        let (gold, predicted) = (model.gold_tags(row), model.predicted_tags(row));
        let tally = |mode| {
            let mut figures = EntityFigures::new(set, mode);
            figures.push(&gold, &predicted);
            figures.tally()
        };
        let Tally { types, words, correct_words } = tally(Mode::Default);
        let mut new = Row { words, correct_words, ..Row::of_no_words(set) };
        if set.scheme().has_entities() {
            new.classes = types;
            new.strict = tally(Mode::Strict).micro();
            new.mistakes = Mistakes::of_tags(set, &gold, &predicted);
            let Mistakes { correct, .. } = new.mistakes;
            new.is_right = correct == new.mistakes.gold() && correct == new.mistakes.predicted();
            return new;
        }
        for (gold, predicted) in gold.iter().zip(&predicted) {
            let (Some(gold), Some(predicted)) = (*gold, *predicted) else { continue };
            new.classes[gold].gold += 1;
            new.classes[predicted].predicted += 1;
            new.classes[gold].correct += u64::from(gold == predicted);
        }
        new.is_right = words == correct_words;
        new
    }

    fn add(&mut self, other: &Row) {
        self.classes.iter_mut().zip(&other.classes).for_each(|(sum, counts)| *sum += *counts);
        self.strict += other.strict;
        self.words += other.words;
        self.correct_words += other.correct_words;
        self.mistakes += other.mistakes;
    }
}

/// The metrics that follow from the counts of all rows.
fn metrics(set: &TagSet, whole: &Row) -> BTreeMap<Metric, f64> {
    let tally = Tally { types: whole.classes.clone(), words: whole.words, correct_words: whole.correct_words };
    let mut metrics = BTreeMap::new();
    metrics.extend(tally.token_accuracy().map(|value| (Metric::TokenAccuracy, value)));
    for (shares, names) in [(tally.macro_average(), MACRO), (tally.weighted_average(), WEIGHTED)] {
        metrics.extend(shares.into_iter().flat_map(|shares| named(names, shares)));
    }
    if set.scheme().has_entities() {
        metrics.extend(named(ENTITIES, tally.micro().shares()));
        metrics.extend(named(STRICT, whole.strict.shares()));
    }
    metrics
}

const ENTITIES: [Metric; 3] = [Metric::EntityPrecision, Metric::EntityRecall, Metric::EntityF1];
const STRICT: [Metric; 3] = [Metric::StrictEntityPrecision, Metric::StrictEntityRecall, Metric::StrictEntityF1];
const MACRO: [Metric; 3] = [Metric::MacroPrecision, Metric::MacroRecall, Metric::MacroF1];
const WEIGHTED: [Metric; 3] = [Metric::WeightedPrecision, Metric::WeightedRecall, Metric::WeightedF1];

fn named(names: [Metric; 3], shares: Shares) -> [(Metric, f64); 3] {
    let [precision, recall, f1] = names;
    [(precision, shares.precision), (recall, shares.recall), (f1, shares.f1)]
}

/// Where the means over rows are that metrics are drawn from.
#[derive(Clone, Copy)]
struct Layout {
    has_entities: bool,
    classes: usize,
}

impl Layout {
    /// No rows yet: words and right words; whole rows; counts of all classes; in strict mode; then of each class, where
    /// there are not too many.
    fn columns(self) -> Vec<Vec<f64>> {
        vec![Vec::new(); 9 + 3 * self.drawn_classes()]
    }

    /// Adds a row to the columns.
    fn push(self, row: &Row, columns: &mut [Vec<f64>]) {
        let mut all = Counts::default();
        row.classes.iter().for_each(|counts| all += *counts);
        let plain = [row.words, row.correct_words, u64::from(row.is_right)];
        let counts = [all, row.strict].into_iter().chain(row.classes[..self.drawn_classes()].iter().copied());
        let counts = counts.flat_map(|Counts { correct, predicted, gold }| [correct, predicted, gold]);
        let values = plain.into_iter().chain(counts);
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value as f64));
    }

    fn drawn_classes(self) -> usize {
        if self.classes <= CLASS_INTERVALS { self.classes } else { 0 }
    }

    /// Metrics and the F1 of every class.
    fn metrics(self, own: &[f64]) -> (Vec<(Metric, f64)>, Vec<f64>) {
        let [words, correct_words, right] = [own[0], own[1], own[2]];
        let mut metrics =
            vec![(Metric::SubsetAccuracy, right), (Metric::TokenAccuracy, ratio(correct_words, words))];
        if self.has_entities {
            metrics.extend(named(ENTITIES, shares(&own[3..6])));
            metrics.extend(named(STRICT, shares(&own[6..9])));
        }
        let of_class = own[9..].chunks_exact(3);
        let class_f1 = of_class.clone().map(|counts| shares(counts).f1).collect();
        let occurring: Vec<&[f64]> = of_class.filter(|counts| counts[1] + counts[2] > NOTHING).collect();
        if !occurring.is_empty() {
            metrics.extend(named(MACRO, average(&occurring, |_| 1.0)));
            metrics.extend(named(WEIGHTED, average(&occurring, |counts| counts[2])));
        }
        (metrics, class_f1)
    }
}

/// Mean shares of classes, each of correct, predicted and gold.
fn average(classes: &[&[f64]], weight: fn(&[f64]) -> f64) -> Shares {
    let total: f64 = classes.iter().map(|counts| weight(counts)).sum();
    let mean = |of: fn(Shares) -> f64| {
        ratio(classes.iter().map(|counts| weight(counts) * of(shares(counts))).sum(), total)
    };
    Shares {
        precision: mean(|shares| shares.precision),
        recall: mean(|shares| shares.recall),
        f1: mean(|shares| shares.f1),
    }
}

/// Below it a mean of counts is 0 but for rounding.
const NOTHING: f64 = 1e-9;

fn ratio(part: f64, whole: f64) -> f64 {
    if whole <= NOTHING { 0.0 } else { part / whole }
}

/// Of correct, predicted and gold.
fn shares(counts: &[f64]) -> Shares {
    let [correct, predicted, gold] = [counts[0], counts[1], counts[2]];
    Shares {
        precision: ratio(correct, predicted),
        recall: ratio(correct, gold),
        f1: ratio(2.0 * correct, predicted + gold),
    }
}

/// Words that are labelled, and those with the tag that is always given: `[2][n]`.
fn shared(model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
    let tag = constant_tag(model, rows);
    let gold: Vec<Vec<Option<usize>>> = rows.iter().map(|row| model.gold_tags(*row)).collect();
    let count = |is_counted: &dyn Fn(usize) -> bool| {
        gold.iter().map(|tags| tags.iter().flatten().filter(|tag| is_counted(**tag)).count() as f64).collect()
    };
    vec![count(&|_| true), count(&|own| own == tag)]
}

/// `O`, so that nothing is found; where there is none, the most frequent tag.
fn constant_tag(model: &Predictions, rows: &[usize]) -> usize {
    if let Some(outside) = model.words.as_ref().and_then(|words| words.set.outside()) {
        return outside;
    }
    let mut counts = vec![0_u64; model.num_labels()];
    rows.iter().flat_map(|row| model.gold_tags(*row)).flatten().for_each(|tag| counts[tag] += 1);
    let best = (0..counts.len()).rev().max_by_key(|tag| counts[*tag]);
    best.unwrap_or(0)
}

/// Always giving one tag.
fn constant(model: &Predictions, rows: &[usize], means: &[f64]) -> Constant {
    let tag = model.label_map.name(constant_tag(model, rows)).unwrap_or_default().to_owned();
    let has_entities = model.words.as_ref().is_some_and(|words| words.set.outside().is_some());
    Constant::new(vec![tag], None, means, move |means| {
        let mut metrics = vec![(Metric::TokenAccuracy, ratio(means[1], means[0]))];
        // No entity is found.
        metrics.extend(has_entities.then_some(ENTITIES).into_iter().flatten().map(|metric| (metric, 0.0)));
        metrics
    })
}

/// Agreement and divergence over the words that both models have logits for. Each is a mean over words: a column has
/// by row what its words move it by, around the value itself.
fn against_teacher(teacher: &Predictions, model: &Predictions) -> Vec<(Metric, Vec<f64>)> {
    let mut words = Vec::with_capacity(model.rows());
    let (mut same, mut divergence) = (Vec::new(), Vec::new());
    for row in 0..model.rows() {
        let theirs: BTreeMap<usize, &[f32]> = teacher.positions(row).collect();
        let pairs: Vec<(&[f32], &[f32])> =
            model.positions(row).filter_map(|(word, own)| Some((*theirs.get(&word)?, own))).collect();
        words.push(pairs.len() as f64);
        same.push(pairs.iter().filter(|(left, right)| argmax(left) == argmax(right)).count() as f64);
        divergence.push(pairs.iter().map(|(left, right)| against::row_kl(left, right)).sum());
    }
    vec![(Metric::Agreement, over_words(&same, &words)), (Metric::Kl, over_words(&divergence, &words))]
}

fn over_words(sums: &[f64], words: &[f64]) -> Vec<f64> {
    let all: f64 = words.iter().sum();
    if all == 0.0 {
        return vec![0.0; sums.len()];
    }
    let (value, mean_words) = (sums.iter().sum::<f64>() / all, all / words.len() as f64);
    sums.iter().zip(words).map(|(sum, words)| value + (sum - value * words) / mean_words).collect()
}

/// By entity type, or by plain tag.
fn classes(set: &TagSet, counts: &[Counts]) -> Vec<ClassFigures> {
    let name = |class: usize| if set.scheme().has_entities() { &set.types()[class] } else { set.name(class) };
    let figures = |(class, counts): (usize, &Counts)| {
        let Shares { precision, recall, f1 } = counts.shares();
        ClassFigures {
            label: name(class).to_owned(),
            precision,
            recall,
            f1,
            support: counts.gold,
            predicted: counts.predicted,
            f1_interval: None,
        }
    };
    counts.iter().enumerate().map(figures).collect()
}
