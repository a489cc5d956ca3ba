//! What the program does with each kind of file from outside, down to the last byte that it would use; `written` has the
//! files that it wrote itself.

use std::path::Path;

use distill_core::{Category, Silent, StopSignal};
use distill_data::TextTokenizer;
use distill_data::logits::LogitsTable;
use distill_data::parquet::{ColumnBatches, ParquetFile};
use distill_data::source::plain_text::PlainText;
use distill_data::source::{Columns, Source, Summary, resolve};
use distill_data::tokens::WordsFor;
use distill_model::ModelDirectory;
use distill_task::{Label, TaskId};
use distill_teacher::runner::Runner;
use tch::{Device, Tensor};

use crate::seeds;
use crate::settings::layers::Layers;

#[path = "written.rs"]
mod written;

pub use written::*;

/// An error as the user would see it.
#[derive(Debug)]
pub struct Refusal {
    pub category: Category,
    pub text: String,
}

pub type Outcome = Result<(), Refusal>;

macro_rules! refusals {
    ($($kind:ty),+) => {
        $(impl From<$kind> for Refusal {
            fn from(error: $kind) -> Self {
                Refusal { category: error.category(), text: error.to_string() }
            }
        })+
    };
}

refusals!(
    distill_data::DataError,
    distill_data::TokenError,
    distill_data::CacheError,
    distill_data::batches::BatchError,
    distill_model::ModelError,
    distill_teacher::RunnerError,
    distill_student::TrainError,
    distill_report::ReportError,
    distill_core::atomic::FileError
);

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// Every column by itself, the file as rows with each column as the text, and as a table of logits.
pub fn parquet(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("a.parquet");
    write(&path, bytes);
    let file = ParquetFile::open(&path)?;
    let mut outcome = Ok(());
    for name in file.column_names() {
        // A column of a kind that cannot be read is no fault of the file.
        let Ok(mut batches) = ColumnBatches::new(&file, &[name]) else { continue };
        let values = loop {
            match batches.next_batch() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        let rows = rows_of(&path, name);
        outcome = outcome.and(values).and(if name == "text" { rows } else { Ok(()) });
    }
    outcome.and(if file.column_names().contains(&"logits") { table(&path) } else { Ok(()) })
}

/// The rows of a Parquet file with one of its columns as the text.
fn rows_of(path: &Path, text: &str) -> Outcome {
    let columns = Columns { text: Some(text.to_owned()), ..Default::default() };
    let source = Source::open(path, &columns)?;
    let _names = source.class_names()?;
    // Labels as lists and as numbers too; what comes of one class a row is what counts.
    for kind in
        [TaskId::MULTI_LABEL, TaskId::REGRESSION, TaskId::TOKEN_CLASSIFICATION, TaskId::QUESTION_ANSWERING]
    {
        drop(source.clone().labelled(kind).rows().and_then(|mut rows| rows.try_for_each(|row| row.map(drop))));
    }
    Ok(source.rows()?.try_for_each(|row| row.map(drop))?)
}

fn table(path: &Path) -> Outcome {
    for kind in [TaskId::MULTI_LABEL, TaskId::TOKEN_CLASSIFICATION, TaskId::QUESTION_ANSWERING] {
        let several = LogitsTable::open(path)?.labelled(kind);
        drop(several.rows().and_then(|mut rows| rows.try_for_each(|row| row.map(drop))));
    }
    Ok(LogitsTable::open(path)?.rows()?.try_for_each(|row| row.map(drop))?)
}

pub fn rows(directory: &Path, bytes: &[u8], ending: &str) -> Outcome {
    let path = directory.join("a").with_extension(ending);
    write(&path, bytes);
    let source = Source::open(&path, &Columns::default())?;
    for kind in [TaskId::MULTI_LABEL, TaskId::REGRESSION] {
        let source = source.clone().labelled(kind);
        drop(Summary::scan(&source, &StopSignal::default()).and_then(|summary| summary.own_map(&source)));
    }
    let summary = Summary::scan(&source, &StopSignal::default())?;
    if summary.unlabelled < summary.rows {
        let (map, fitted) = summary.own_map(&source)?;
        summary.fit(&source, &map)?;
        source.read_by(fitted.reading).rows()?.try_for_each(|row| row.map(drop))?;
    }
    Ok(())
}

/// Questions with the answers in their texts.
pub fn questions(directory: &Path, bytes: &[u8], ending: &str) -> Outcome {
    let path = directory.join("a").with_extension(ending);
    write(&path, bytes);
    let source = Source::open(&path, &Columns::default())?.labelled(TaskId::QUESTION_ANSWERING);
    Summary::scan(&source, &StopSignal::default())?;
    for row in source.rows()? {
        let row = row?;
        let characters = row.text_pair.as_ref().map_or(0, |context| context.chars().count());
        if let Some(Label::Spans(spans)) = row.label {
            assert!(spans.iter().all(|span| span.start < span.end && span.end as usize <= characters));
        }
    }
    Ok(())
}

/// Rows of words.
pub fn words(directory: &Path, bytes: &[u8], ending: &str) -> Outcome {
    let path = directory.join("a").with_extension(ending);
    write(&path, bytes);
    let source = Source::open(&path, &Columns::default())?.labelled(TaskId::TOKEN_CLASSIFICATION);
    let summary = Summary::scan(&source, &StopSignal::default())?;
    if summary.unlabelled < summary.rows {
        let (map, fitted) = summary.own_map(&source)?;
        summary.fit(&source, &map)?;
        for row in source.read_by(fitted.reading).rows()? {
            let row = row?;
            assert!(row.tokens.is_some_and(|words| !words.is_empty()));
            row.label.map(|label| resolve(&label, &map, &row.place, "tags")).transpose()?;
        }
    }
    Ok(())
}

/// Plain text: documents are its lines, in their order, with the numbers that the lines say.
pub fn plain_text(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("a.txt");
    write(&path, bytes);
    let open = || PlainText::open(&path, &StopSignal::default());
    let lines = open()?.collect::<Result<Vec<_>, _>>()?;
    let documents = open()?.documents().collect::<Result<Vec<_>, _>>()?;
    for (number, document) in documents.iter().enumerate() {
        assert!(!document.is_empty() && document.iter().all(|line| line.document == number as u64));
    }
    assert_eq!(documents.concat(), lines);
    Ok(())
}

pub fn logits_jsonl(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("a.jsonl");
    write(&path, bytes);
    table(&path)
}

/// The golden model's weights in a part that an index names, with another index.
pub fn indexed(directory: &Path, bytes: &[u8]) -> Outcome {
    const PART: &str = "model-00001-of-00001.safetensors";
    for (file, to) in [("config.json", "config.json"), ("model.safetensors", PART)] {
        write(&directory.join(to), &seeds::golden(file));
    }
    write(&directory.join("model.safetensors.index.json"), bytes);
    ModelDirectory::open(directory)?.load_classifier(Device::Cpu)?;
    Ok(())
}

/// An index of the golden model's weights.
pub fn index() -> Vec<u8> {
    let names: Vec<String> = Tensor::read_safetensors(seeds::tiny("model.safetensors"))
        .unwrap()
        .into_iter()
        .map(|(name, _)| format!("{name:?}: \"model-00001-of-00001.safetensors\""))
        .collect();
    format!("{{\"metadata\": {{\"total_size\": 1}}, \"weight_map\": {{{}}}}}", names.join(", ")).into_bytes()
}

/// The golden model with one file replaced.
pub fn model(directory: &Path, name: &str, bytes: &[u8]) -> Outcome {
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        if !directory.join(file).exists() {
            write(&directory.join(file), &seeds::golden(file));
        }
    }
    write(&directory.join(name), bytes);
    let model = ModelDirectory::open(directory)?;
    let tokenizer = TextTokenizer::load(directory, 16)?;
    if i64::from(tokenizer.max_token_id()) >= model.config().vocab_size {
        return Ok(());
    }
    let classifier = model.load_classifier(Device::Cpu)?;
    let rows = directory.join("rows.jsonl");
    write(&rows, &seeds::jsonl());
    let rows = Source::open(&rows, &Columns::default())?.rows()?;
    let stop = StopSignal::default();
    let runner =
        Runner { model: &classifier, tokenizer: &tokenizer, batch_tokens: 64, stop: &stop, progress: &Silent };
    runner.run("rows", rows, 20, |_| Ok(()))?;
    Ok(())
}

/// Any tokenizer over texts and pairs, within and beyond its maximum length.
pub fn tokenizer(directory: &Path, bytes: &[u8]) -> Outcome {
    write(&directory.join("tokenizer.json"), bytes);
    encode(directory)
}

pub fn vocabulary(directory: &Path, bytes: &[u8]) -> Outcome {
    write(&directory.join("vocab.txt"), bytes);
    encode(directory)
}

/// The golden vocabulary with another file that says something of its tokens.
pub fn tokenizer_addition(directory: &Path, name: &str, bytes: &[u8]) -> Outcome {
    write(&directory.join("tokenizer.json"), &seeds::golden("tokenizer.json"));
    write(&directory.join(name), bytes);
    encode(directory)
}

/// A vocabulary in two files, one of them replaced.
pub fn pieces(directory: &Path, name: &str, bytes: &[u8]) -> Outcome {
    write(&directory.join("vocab.json"), seeds::VOCABULARY.as_bytes());
    write(&directory.join("merges.txt"), seeds::MERGES.as_bytes());
    write(&directory.join(name), bytes);
    encode(directory)
}

pub fn encode(directory: &Path) -> Outcome {
    let tokenizer = TextTokenizer::load(directory, 16)?;
    let long = "what aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 ▁née  \u{1f600}[MASK]<s> 中文 ".repeat(40);
    let word = "w".repeat(5_000);
    let texts = ["", "what who", "\u{0}\u{feff}\u{301}", long.as_str(), word.as_str()];
    let rows: Vec<(&str, Option<&str>)> =
        texts.iter().flat_map(|text| [(*text, None), (*text, Some("who")), ("who", Some(*text))]).collect();
    for tokens in tokenizer.encode_batch(&rows)? {
        assert!(tokens.input_ids.len() <= 16 && tokens.input_ids.len() == tokens.token_type_ids.len());
    }
    encode_words(tokenizer, &texts)
}

/// The same texts as words of one row.
fn encode_words(tokenizer: TextTokenizer, texts: &[&str]) -> Outcome {
    let words: Vec<String> = texts.iter().map(|word| (*word).to_owned()).collect();
    let (tokenizer, _) = tokenizer.for_words(WordsFor::FreshHead)?;
    if tokenizer.special_tokens(false) >= 16 {
        return Ok(());
    }
    let windows = tokenizer.encode_words_batch(&[words.as_slice()], 4)?.remove(0);
    assert_eq!(windows.iter().map(|window| window.words.len()).sum::<usize>(), words.len());
    for window in &windows {
        let length = window.tokens.input_ids.len();
        assert!(length <= 16 && window.predicted().all(|(_, place)| (place as usize) < length));
    }
    Ok(())
}

pub fn settings(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("a.toml");
    write(&path, bytes);
    let refuse = |error: anyhow::Error| Refusal { category: Category::Usage, text: error.to_string() };
    Layers::new(Some(&path)).and_then(|layers| layers.resolve()).map(drop).map_err(refuse)
}
