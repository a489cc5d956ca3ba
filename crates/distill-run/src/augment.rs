//! `distill augment`: rows → the same rows and copies of them for a teacher to label.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use distill_core::atomic::{AtomicFile, FileError};
use distill_core::hash::TEXT_HASH_LEN;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::augment::{AugmentSettings, Neighbours};
use distill_data::source::{Columns, Label, RawLabel, Row, Source};
use distill_model::ModelDirectory;
use distill_task::Positions;
use serde_json::{Map, Value, json};

use crate::error::{Result, RunError, Status};
use crate::masked::{self, Line, MaskedWords};
use crate::outdir::OutDir;
use crate::outdir::names::ROWS_FILE;
use crate::session::{Session, dtype_name};
use crate::settings::{Settings, Validation};
use crate::stage::{self, Finished, Prepared, Stage};
use crate::{inputs, length, neighbours};

/// A row's text, as stores hash it.
type TextHash = [u8; TEXT_HASH_LEN];

/// Rows that a mixture finds its other half among.
const BLOCK_ROWS: usize = 4096;

/// The stage with its settings.
pub struct AugmentStage<'a> {
    /// All settings; `[data]` and `[augment]` are read.
    pub settings: &'a Settings,
}

/// A model with its tokenizer.
type Model = (ModelDirectory, TextTokenizer);

/// What the stage reads, opened once.
struct Opened {
    source: Source,
    /// Whose word vectors say which words are alike.
    model: Option<Model>,
    /// Further rows, without labels.
    further: Option<Source>,
    masked: Option<Model>,
}

impl AugmentStage<'_> {
    /// What words are like is for the teacher's own vectors to say. Next to a masked model there need be none.
    fn model(&self) -> Result<Option<(ModelDirectory, TextTokenizer)>> {
        let AugmentSettings { replace, masked_model, .. } = &self.settings.augment;
        if *replace == 0.0 || (masked_model.is_some() && self.settings.teacher.model.is_none()) {
            return Ok(None);
        }
        let path = inputs::required(self.settings.teacher.model.as_ref(), "--model", "teacher.model")?;
        let model = inputs::classifier(inputs::model(path)?)?;
        let tokenizer = inputs::tokenizer(
            model.path(),
            self.settings.data.max_length.unwrap_or(length::DEFAULT.min(length::positions(model.config()))),
            model.config(),
        )?;
        Ok(Some((model, tokenizer)))
    }

    fn open(&self) -> Result<Opened> {
        let (data, augment) = (&self.settings.data, &self.settings.augment);
        Ok(Opened {
            source: self.source_at(inputs::required(data.train.as_ref(), "--data", "data.train")?)?,
            model: self.model()?,
            further: augment.unlabelled.as_deref().map(|path| self.source_at(path)).transpose()?,
            masked: augment
                .masked_model
                .as_deref()
                .map(|path| masked::open(path, data.max_length))
                .transpose()?,
        })
    }

    /// The settings that the rows depend on.
    fn recorded(&self, session: &Session) -> Value {
        let augment = &self.settings.augment;
        let data = &self.settings.data;
        let mut settings = json!({"data": {"columns": data.columns}, "augment": augment, "seed": session.seed});
        if let Some(label_type) = data.label_type {
            settings["data"]["label_type"] = json!(label_type);
        }
        if let Some(delimiter) = data.delimiter {
            settings["data"]["delimiter"] = json!(delimiter);
        }
        if augment.masked_model.is_some() {
            // How much of a text the model sees, and in which dtype it computes.
            settings["data"]["max_length"] = data.max_length.unwrap_or(length::DEFAULT).into();
            settings["dtype"] = dtype_name(session.kind).into();
        }
        settings
    }

    /// Writes the rows, each with its copies behind it, and the further ones.
    fn write(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let Opened { source, model, further, masked } = opened;
        let source = source.holding(inputs::recorded(record, "data"));
        let summary = inputs::scan(&source, session)?;
        let source = source.clone().read_by(summary.portable(&source)?);
        let total = summary.rows;
        let augment = &self.settings.augment;
        let further =
            further.map(|further| further.holding(inputs::recorded(record, "unlabelled")).without_labels());
        if let Some(further) = &further {
            inputs::scan(further, session)?; // before the copies, which may take long
        }
        let like = match model {
            None => Neighbours::default(),
            Some((model, tokenizer)) => {
                neighbours::of_source(&source, &model, &tokenizer, augment.neighbours, session)?
            }
        };
        let masked = masked.map(|opened| MaskedWords::load(opened, self.settings, session)).transpose()?;
        record.write(out.path())?;
        let path = out.path().join(ROWS_FILE);
        let mut writer = Writer {
            file: AtomicFile::create(&path)?,
            columns: source.columns(),
            vector: summary.vector_length(source.reading()),
            rows: 0,
            copies: 0,
            others: 0,
            known: further.is_some().then(HashSet::new),
        };
        match &masked {
            None => write_all(&source, &mut writer, session, |rows, writer| {
                rows.iter().try_for_each(|row| {
                    writer.original(row)?;
                    augment.copies_of_one(row, rows, &like, session.seed).try_for_each(|copy| {
                        session.stop.check()?;
                        Ok(writer.copy(&copy)?)
                    })
                })
            })?,
            Some(masked) => {
                session.progress.begin("augment", total, "rows");
                let written = write_all(&source, &mut writer, session, |rows, writer| {
                    masked.write_copies(augment, rows, &like, session, &mut |line| {
                        match line {
                            Line::Original(row) => writer.original(row),
                            Line::Copy(copy) => writer.copy(copy),
                        }?;
                        session.progress.update(writer.rows, "");
                        Ok(())
                    })
                });
                session.progress.end();
                written?;
            }
        }
        if let Some(further) = &further {
            self.know_validation(writer.known.get_or_insert_default(), session)?;
            let left_out = write_unlabelled(further, &mut writer, session)?;
            if left_out > 0 {
                tracing::info!(
                    "{left_out} additional rows have the text of a training or validation row and were dropped"
                );
            }
        }
        let Writer { rows, copies, others, .. } = writer;
        writer.file.commit()?;
        Ok(Finished {
            status: Status::Done,
            results: [("rows", json!(rows)), ("copies", json!(copies)), ("unlabelled", json!(others))]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            text: format!(
                "{rows} rows, {copies} copies and {others} additional rows without labels\nrows: {}",
                out.target().join(ROWS_FILE).display()
            ),
        })
    }

    /// Adds the texts of a validation file: as a further row, that of a validation row would be trained on.
    fn know_validation(&self, known: &mut HashSet<TextHash>, session: &Session) -> Result<()> {
        let Validation::File(path) = &self.settings.data.validation else { return Ok(()) };
        for (number, row) in self.source_at(path)?.without_labels().rows()?.enumerate() {
            if number % BLOCK_ROWS == 0 {
                session.stop.check()?;
            }
            known.insert(hash_of(&row?));
        }
        Ok(())
    }

    fn source_at(&self, path: &Path) -> Result<Source> {
        let task = self.settings.data.problem_type.unwrap_or_default();
        let source = inputs::source(path, &self.settings.data, task)?;
        let found = source.suggested_task()?.filter(|_| self.settings.data.task.is_none()).unwrap_or(task);
        match [task, found].into_iter().find(|task| task.positions() != Positions::Row) {
            Some(task) => Err(RunError::usage(format!(
                "{}: its rows are for {task}; augment copies rows of one text or two only",
                path.display()
            ))),
            None => Ok(source),
        }
    }
}

/// Checks settings by themselves.
///
/// # Errors
/// Wrong usage, with the setting.
pub fn check(augment: &AugmentSettings) -> Result<()> {
    if !augment.adds_rows() {
        return Err(RunError::usage(
            "augment.copies is 0; expected at least 1 (--copies), or additional rows (--unlabelled)",
        ));
    }
    if let Some((name, value, expected)) = augment.problem() {
        return Err(RunError::usage(format!("augment.{name} is {value}, expected {expected}")));
    }
    if augment.masked_model.is_some() && augment.replace == 0.0 {
        return Err(RunError::usage(
            "augment.masked_model is set, but augment.replace is 0, so no word would be replaced; set the share of \
             words to replace (--replace 0.4)",
        ));
    }
    Ok(())
}

impl Stage for AugmentStage<'_> {
    fn command(&self) -> &'static str {
        "augment"
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        check(&self.settings.augment)?;
        let opened = self.open()?;
        let mut hashes = BTreeMap::from([("data".to_owned(), opened.source.hash()?)]);
        if let Some((model, tokenizer)) = &opened.model {
            hashes.insert("model".to_owned(), model.weights_hash()?);
            hashes.insert("tokenizer".to_owned(), tokenizer.hash().to_owned());
        }
        if let Some(further) = &opened.further {
            hashes.insert("unlabelled".to_owned(), further.hash()?);
            inputs::add_validation(&mut hashes, self.settings)?;
        }
        if let Some((model, tokenizer)) = &opened.masked {
            hashes.insert("masked_model".to_owned(), model.weights_hash()?);
            hashes.insert("masked_tokenizer".to_owned(), tokenizer.hash().to_owned());
        }
        let settings = self.recorded(session);
        Ok(Prepared::new(settings, hashes, |session, out, record| self.write(opened, session, out, record)))
    }

    fn reads(&self) -> Vec<PathBuf> {
        let (data, augment) = (&self.settings.data, &self.settings.augment);
        let model = self.settings.teacher.model.as_ref().filter(|_| augment.replace > 0.0);
        let validation = inputs::validation_file(data).filter(|_| augment.unlabelled.is_some());
        let named = [
            data.train.as_ref(),
            model,
            validation,
            augment.unlabelled.as_ref(),
            augment.masked_model.as_ref(),
        ];
        named.into_iter().flatten().cloned().collect()
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        Ok(stage::first_missing(out, &[ROWS_FILE]))
    }
}

/// Writes the rows of a source, each followed by its copies. `write` does it for a block of rows.
fn write_all(
    source: &Source,
    writer: &mut Writer<'_>,
    session: &Session,
    write: impl Fn(&[Row], &mut Writer<'_>) -> Result<()>,
) -> Result<()> {
    let mut rows = source.rows()?;
    loop {
        session.stop.check()?;
        let block = rows.by_ref().take(BLOCK_ROWS).collect::<Result<Vec<Row>, _>>()?;
        if block.is_empty() {
            return Ok(());
        }
        write(&block, writer)?;
    }
}

/// Writes the rows of another source without their labels, with ids that the first source does not have, and counts those
/// that are dropped because their text is known.
fn write_unlabelled(source: &Source, writer: &mut Writer<'_>, session: &Session) -> Result<u64> {
    let mut left_out = 0;
    for (number, row) in source.rows()?.enumerate() {
        if number % BLOCK_ROWS == 0 {
            session.stop.check()?;
        }
        let row = row?;
        if writer.known.as_ref().is_some_and(|known| known.contains(&hash_of(&row))) {
            left_out += 1;
            continue;
        }
        writer.line(&Row { id: format!("unlabelled-{}", row.id), label: None, ..row })?;
        writer.others += 1;
    }
    Ok(left_out)
}

fn hash_of(row: &Row) -> TextHash {
    row.text_hash()
}

/// Writes rows under the columns that they were read by.
struct Writer<'a> {
    file: AtomicFile,
    columns: &'a Columns,
    /// How many values of 0 and 1 a row's label has, where it is such a list.
    vector: Option<usize>,
    rows: u64,
    copies: u64,
    others: u64,
    /// Texts that additional rows must not have; none without additional rows.
    known: Option<HashSet<TextHash>>,
}

impl Writer<'_> {
    fn original(&mut self, row: &Row) -> Result<(), FileError> {
        self.line(row)?;
        if let Some(known) = &mut self.known {
            known.insert(hash_of(row));
        }
        self.rows += 1;
        Ok(())
    }

    fn copy(&mut self, copy: &Row) -> Result<(), FileError> {
        self.line(copy)?;
        self.copies += 1;
        Ok(())
    }

    /// A label in the form in which it is read again: lists of 0 and 1 are written as floating-point numbers, to be unambiguous.
    fn label(&self, label: Option<&Label<RawLabel>>) -> Value {
        match (self.vector, label) {
            (Some(length), Some(Label::Classes(classes))) => {
                let bit = |place: usize| f64::from(classes.contains(&RawLabel::Id(place.cast_signed() as i64)));
                (0..length).map(bit).collect()
            }
            (_, label) => json!(label),
        }
    }

    fn line(&mut self, row: &Row) -> Result<(), FileError> {
        let mut object = Map::new();
        object.insert(self.columns.id_name().to_owned(), row.id.clone().into());
        object.insert(self.columns.text_name().to_owned(), row.text.clone().into());
        if let Some(pair) = &row.text_pair {
            object.insert(self.columns.text_pair_name().to_owned(), pair.clone().into());
        }
        object.insert(self.columns.label_name().to_owned(), self.label(row.label.as_ref()));
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|error| FileError::new("write", self.file.path(), error))
    }
}
