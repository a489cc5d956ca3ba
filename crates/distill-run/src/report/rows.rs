//! The rows of a data set as columns, joined with a model's logits.

use std::collections::HashMap;
use std::mem;

use distill_core::{LabelMap, StopSignal};
use distill_data::error::Place;
use distill_data::logits::LogitsRow;
use distill_data::source::{RawLabel, Source, Summary, resolve};
use distill_report::error::{IdList, OtherRows, RowDifference};
use distill_report::{AnsweredRow, Predictions, ReportError, TaggedRow};
use distill_task::answers::Answer;
use distill_task::{Label, Positions, Span, TaskId};

use super::named::Entry;
use crate::error::{Result, RunError};

/// A data set: where its rows are, and the columns that slices are cut by.
pub struct TestSet {
    /// What the report calls it.
    pub name: String,
    /// Its rows.
    pub source: Source,
    /// What one pass over them found.
    pub summary: Summary,
    /// Name and values of each further column, in row order.
    pub columns: Vec<(String, Vec<String>)>,
}

/// Reads a column of any name as text: numbers, truth values, dates and the like in their usual form, nothing as an
/// empty text.
///
/// # Errors
/// [`distill_data::DataError`] where the column is not there, with those that are, or cannot be read.
pub fn column(source: &Source, name: &str, stop: &StopSignal) -> Result<Vec<String>> {
    must_have_one_value(source, name)?;
    let columns = source.columns();
    let (is_text, is_pair) = (name == columns.text_name(), name == columns.text_pair_name());
    // A column has one role: the texts themselves are read as what they are.
    let source = if is_text || is_pair { source.clone() } else { source.with_column(name) };
    let mut values = Vec::new();
    for row in source.rows()? {
        if values.len() % 4096 == 0 {
            stop.check()?;
        }
        let row = row?;
        values.push(match row.label {
            _ if is_text => row.text,
            _ if is_pair => row.text_pair.unwrap_or_default(),
            Some(Label::Class(RawLabel::Name(name))) => name,
            Some(Label::Tags(_)) => return Err(several_values(name, "a value for each word")),
            _ => String::new(),
        });
    }
    Ok(values)
}

/// Refuses a column that is known to have several values in a row.
fn must_have_one_value(source: &Source, name: &str) -> Result<()> {
    let columns = source.columns();
    let lists: &[(&str, &str)] = match source.problem_type().positions() {
        Positions::Word => {
            &[(columns.text_name(), "the words of a row"), (columns.label_name(), "a tag for each word")]
        }
        Positions::Span => &[(columns.label_name(), "the answers of a row")],
        Positions::Row | Positions::Masked => &[],
    };
    match lists.iter().find(|(list, _)| *list == name) {
        Some((_, what)) => Err(several_values(name, what)),
        None => Ok(()),
    }
}

fn several_values(name: &str, what: &str) -> RunError {
    RunError::usage(format!(
        "slices by {name:?}: this column has {what}, and a slice takes one value of each row; \"label\" cuts rows by their \
         labels, \"length\" by their length"
    ))
}

/// One row of a model, to be put into columns.
pub struct ColumnsRow<'a> {
    /// Its id.
    pub id: String,
    /// Its text, where it has one.
    pub text: Option<String>,
    /// Its label.
    pub label: Option<Label<i32>>,
    /// Its words, where it has some.
    pub tokens: Option<Vec<String>>,
    /// The words that have logits; empty where the logits are those of the row.
    pub positions: &'a [i32],
    /// Its logits.
    pub logits: &'a [f32],
}

/// Rows of one model as columns.
#[derive(Default)]
pub struct Columns {
    /// `[N]`
    pub ids: Vec<String>,
    /// `[N]`, or empty where rows have no texts.
    pub texts: Vec<String>,
    /// `[N]`
    pub labels: Vec<Option<Label<i32>>>,
    /// `[N, C]`; where words have tags, those of all words of each row.
    pub logits: Vec<f32>,
    /// Of questions the text, the answer and its probability, `[N]`; empty for other rows.
    answers: Vec<(String, Option<Span>, f64)>,
    /// Words and the positions of those that have logits, `[N]`.
    words: Vec<(Vec<String>, Vec<i32>)>,
    /// One after each row's last logit, `[N]`.
    ends: Vec<usize>,
}

impl Columns {
    /// Adds a row.
    pub fn push(&mut self, row: ColumnsRow<'_>) {
        let ColumnsRow { id, text, label, tokens, positions, logits } = row;
        self.ids.push(id);
        self.texts.extend(text);
        self.labels.push(label);
        self.logits.extend_from_slice(logits);
        self.ends.push(self.logits.len());
        self.words.push((tokens.unwrap_or_default(), positions.to_vec()));
    }

    /// Adds a row that a model was run over.
    pub fn push_row(&mut self, row: &LogitsRow) {
        self.push(ColumnsRow {
            id: row.id.clone(),
            text: row.text.clone(),
            label: row.label.clone(),
            tokens: row.tokens.clone(),
            positions: &row.positions,
            logits: &row.logits,
        });
    }

    /// Adds a question that a model was run over; what remains of its logits is the answer.
    pub fn push_answer(&mut self, row: &LogitsRow, answer: &Answer) {
        let character = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = answer.span.map(|(start, end)| Span { start: character(start), end: character(end) });
        self.answers.push((row.text_pair.clone().unwrap_or_default(), span, answer.score));
        self.push(ColumnsRow {
            id: row.id.clone(),
            text: row.text.clone(),
            label: row.label.clone(),
            tokens: None,
            positions: &[],
            logits: &[],
        });
    }

    /// The logits of a row.
    fn logits_of(&self, row: usize) -> &[f32] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.logits[start..self.ends[row]]
    }

    /// Logits of one prediction, `C`, of all rows; 0 where there are none.
    pub fn width(&self) -> usize {
        let predictions: usize = self.words.iter().map(|(_, positions)| positions.len()).sum();
        let predictions = if predictions == 0 { self.ids.len() } else { predictions };
        self.logits.len() / predictions.max(1)
    }

    /// The rows as the report takes them, with the data set's further columns.
    ///
    /// # Errors
    /// [`ReportError`] for rows that no report can be made of.
    pub fn predictions(
        self,
        entry: &Entry,
        labels: LabelMap,
        problem_type: TaskId,
        columns: &[(String, Vec<String>)],
    ) -> Result<Predictions, ReportError> {
        let mut predictions = match problem_type.positions() {
            Positions::Word => Predictions::tagged(entry.name.clone(), entry.role, labels, self.tagged())?,
            Positions::Span => Predictions::answered(entry.name.clone(), entry.role, self.answered())?,
            Positions::Row | Positions::Masked => self.labelled(entry, labels, problem_type)?,
        };
        for (name, values) in columns {
            predictions = predictions.with_column(name.clone(), values.clone())?;
        }
        Ok(match &entry.seeds_of {
            Some(model) => predictions.as_seed_of(model),
            None => predictions,
        })
    }
}

impl Columns {
    fn labelled(
        self,
        entry: &Entry,
        labels: LabelMap,
        problem_type: TaskId,
    ) -> Result<Predictions, ReportError> {
        let Columns { ids, texts, labels: own, logits, .. } = self;
        let has_texts = texts.len() == ids.len();
        let predictions =
            Predictions::labelled(entry.name.clone(), entry.role, problem_type, ids, labels, own, logits)?;
        if has_texts { predictions.with_texts(texts) } else { Ok(predictions) }
    }

    /// Each question with its answer.
    fn answered(self) -> Vec<AnsweredRow> {
        let Columns { ids, texts, labels, answers, .. } = self;
        let rows = ids.into_iter().zip(texts).zip(labels).zip(answers);
        rows.map(|(((id, question), label), (context, prediction, score))| {
            let answers = match label {
                Some(Label::Spans(spans)) => Some(spans),
                _ => None,
            };
            AnsweredRow { id, question, context, answers, prediction, score }
        })
        .collect()
    }

    /// Each row with its words.
    fn tagged(mut self) -> Vec<TaggedRow> {
        let (ids, labels, words) =
            (mem::take(&mut self.ids), mem::take(&mut self.labels), mem::take(&mut self.words));
        let rows = ids.into_iter().zip(labels).zip(words).enumerate();
        rows.map(|(at, ((id, label), (words, positions)))| {
            let tags = match label {
                Some(Label::Tags(tags)) => Some(tags),
                _ => None,
            };
            let positions = positions.into_iter().map(|word| usize::try_from(word).unwrap_or(usize::MAX));
            let logits = self.logits_of(at).to_vec();
            TaggedRow { id, words, tags, positions: positions.collect(), logits }
        })
        .collect()
    }
}

/// The rows of a data set by id: what `--data` says about rows whose logits come from a file.
pub struct Labelled {
    name: String,
    ids: Vec<String>,
    rows: HashMap<String, LabelledRow>,
    label_column: String,
}

struct LabelledRow {
    at: usize,
    text: String,
    tokens: Option<Vec<String>>,
    text_hash: [u8; 16],
    label: Option<(Label<RawLabel>, Place)>,
}

impl Labelled {
    /// Reads a data set, whose ids were checked to be unique, by labels that are read for a label map.
    ///
    /// # Errors
    /// [`distill_data::DataError`] with file, row and field.
    pub fn read(set: &TestSet, source: &Source, stop: &StopSignal) -> Result<Self> {
        let mut ids = Vec::new();
        let mut rows = HashMap::new();
        for row in source.rows()? {
            if ids.len() % 4096 == 0 {
                stop.check()?;
            }
            let row = row?;
            ids.push(row.id.clone());
            let text_hash = row.text_hash();
            let label = row.label.map(|label| (label, row.place));
            rows.insert(
                row.id,
                LabelledRow { at: ids.len() - 1, text: row.text, tokens: row.tokens, text_hash, label },
            );
        }
        let label_column = source.columns().label_name().to_owned();
        Ok(Labelled { name: set.name.clone(), ids, rows, label_column })
    }

    /// Whether any label is a name, which only a label map can turn into the place of a logit.
    pub fn has_label_names(&self) -> bool {
        let is_name = |class: &RawLabel| matches!(class, RawLabel::Name(_));
        self.rows.values().any(|row| row.label.as_ref().is_some_and(|(label, _)| label.classes().any(is_name)))
    }

    /// Labels and texts for the rows of `columns`, in the order of the data set. `hashes` are those of the
    /// texts that the logits were computed from, where they are known.
    ///
    /// # Errors
    /// [`ReportError::DuplicateId`], [`ReportError::Rows`] where an id is missing or extra, [`ReportError::RowDiffers`] where the same row
    /// has another label or text, and [`distill_data::DataError`] for a label that the map does not have.
    pub fn join(
        &self,
        model: &str,
        columns: Columns,
        hashes: &[Option<[u8; 16]>],
        map: &LabelMap,
    ) -> Result<Columns> {
        let mut place_of: Vec<Option<usize>> = vec![None; self.ids.len()];
        let mut extra = IdList::default();
        for (place, id) in columns.ids.iter().enumerate() {
            match self.rows.get(id) {
                None => extra.push(id),
                Some(row) => {
                    if let Some(first) = place_of[row.at].replace(place) {
                        let (model, id) = (model.to_owned(), id.clone());
                        let (first, second) = (first + 1, place + 1);
                        return Err(ReportError::DuplicateId { model, id, first, second }.into());
                    }
                }
            }
        }
        let mut missing = IdList::default();
        self.ids
            .iter()
            .zip(&place_of)
            .filter(|(_, place)| place.is_none())
            .for_each(|(id, _)| missing.push(id));
        if missing.count + extra.count > 0 {
            let (first, other) = (self.name.clone(), model.to_owned());
            return Err(ReportError::Rows(Box::new(OtherRows { first, other, missing, extra })).into());
        }
        let mut joined = Columns::default();
        for (id, place) in self.ids.iter().zip(place_of) {
            let (Some(row), Some(place)) = (self.rows.get(id), place) else { continue };
            if hashes.get(place).copied().flatten().is_some_and(|hash| hash != row.text_hash) {
                return Err(self.differs(id, "text", "one text".to_owned(), model, "another".to_owned()));
            }
            let label = row.label.as_ref();
            let label = label.map(|(label, at)| resolve(label, map, at, &self.label_column)).transpose()?;
            if let Some(own) = &columns.labels[place]
                && Some(own) != label.as_ref()
            {
                let theirs = label.as_ref().map_or("missing".to_owned(), |label| label.shown(map));
                return Err(self.differs(id, "label", theirs, model, own.shown(map)));
            }
            joined.push(ColumnsRow {
                id: id.clone(),
                text: Some(row.text.clone()),
                label,
                tokens: row.tokens.clone(),
                positions: &columns.words[place].1,
                logits: columns.logits_of(place),
            });
        }
        Ok(joined)
    }

    fn differs(&self, id: &str, what: &'static str, left: String, model: &str, right: String) -> RunError {
        let (id, first, other) = (id.to_owned(), self.name.clone(), model.to_owned());
        ReportError::RowDiffers(Box::new(RowDifference { id, what, first, left, other, right })).into()
    }
}
