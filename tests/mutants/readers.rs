//! What the program does with each kind of file from outside, down to the last byte that it would use.

use std::path::{Path, PathBuf};

use distill_core::record::{FileMark, RunRecord};
use distill_core::{Category, Silent, StopSignal};
use distill_data::TextTokenizer;
use distill_data::cache::{CacheError, Example, FeatureFiles, FeatureShape, TokenCache, info};
use distill_data::logits::{FileEntry, LogitsTable, LogitsWriter, Manifest, Shard, Store, WriterOptions};
use distill_data::parquet::{ColumnBatches, ParquetFile};
use distill_data::source::plain_text::PlainText;
use distill_data::source::{Columns, Source, Summary, resolve};
use distill_data::tokens::WordsFor;
use distill_model::ModelDirectory;
use distill_student::checkpoint::{Checkpoints, State};
use distill_task::{Label, TaskId};
use distill_teacher::runner::Runner;
use tch::{Device, Tensor};

use crate::seeds;
use crate::settings::layers::Layers;

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
pub fn beside_tokenizer(directory: &Path, name: &str, bytes: &[u8]) -> Outcome {
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

/// A store of two shards in `directory`; returns its manifest.
pub fn store(directory: &Path) -> Manifest {
    let shard = |name: &str, first: usize| {
        let mut writer =
            LogitsWriter::create(&directory.join(name), &seeds::fingerprint(), WriterOptions::default())
                .unwrap();
        writer.write(&seeds::logits_rows(first, 6)).unwrap();
        let file: FileEntry = writer.finish().unwrap();
        Shard { file, first_row: first as u64 }
    };
    let shards = vec![shard("train-00000-of-00002.parquet", 0), shard("train-00001-of-00002.parquet", 6)];
    let manifest = Manifest::new(seeds::fingerprint(), shards, Some(12));
    manifest.write(directory).unwrap();
    manifest
}

pub fn manifests() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path());
    vec![std::fs::read(directory.path().join("manifest.json")).unwrap()]
}

pub fn manifest(directory: &Path, bytes: &[u8]) -> Outcome {
    if !directory.join("manifest.json").exists() {
        store(directory);
    }
    write(&directory.join("manifest.json"), bytes);
    let store = Store::open(directory)?;
    store.verify(&StopSignal::default(), &distill_core::Silent)?;
    let read: u64 = store.rows().map(|row| row.map(|_| 1)).sum::<Result<u64, _>>()?;
    assert_eq!(read, store.num_rows());
    Ok(())
}

pub fn run_records() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let record = RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: "student".to_owned(),
        settings: serde_json::json!({"data": {"train": "a.jsonl", "max_length": 32}, "seed": 3}),
        versions: [("distill".to_owned(), "0.1.0".to_owned())].into(),
        device: Default::default(),
        inputs: [("data".to_owned(), "a".repeat(64))].into(),
        results: [("rows".to_owned(), serde_json::json!(1))].into(),
        files: [("metrics.jsonl".to_owned(), FileMark { bytes: 9, blake3: "b".repeat(64) })].into(),
    };
    record.write(directory.path()).unwrap();
    vec![std::fs::read(directory.path().join("run.json")).unwrap()]
}

pub fn run_record(directory: &Path, bytes: &[u8]) -> Outcome {
    write(&directory.join("run.json"), bytes);
    Ok(RunRecord::read(directory).map(drop)?)
}

pub fn metrics() -> Vec<Vec<u8>> {
    let line = |step: usize| {
        format!(
            "{{\"event\":\"train\",\"global_step\":{step},\"epoch\":0.5,\"loss\":1.25,\"grad_norm\":3.5e-1}}\n"
        )
    };
    vec![(0..20).map(line).collect::<String>().into_bytes()]
}

pub fn read_metrics(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("metrics.jsonl");
    write(&path, bytes);
    Ok(distill_report::training::read("student", &path).map(drop)?)
}

fn state(step: u64) -> State {
    let counters = State { epoch: 1, batch: 2, loss_sum: 0.1 + 0.2, metrics_bytes: 100, ..State::default() };
    State { global_step: step, ..counters }
}

fn tensors(step: u64) -> [(String, Tensor); 2] {
    [
        ("model.w".to_owned(), Tensor::from_slice(&[step as f32, 2.0, 3.0])),
        ("optimizer.step".to_owned(), Tensor::from_slice(&[step as i64])),
    ]
}

fn save_checkpoints(directory: &Path) {
    let checkpoints = Checkpoints::new(directory, 2);
    for step in [5, 10] {
        checkpoints.save(&state(step), &tensors(step)).unwrap();
    }
}

pub fn checkpoint(file: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    save_checkpoints(directory.path());
    std::fs::read(directory.path().join("checkpoints/step-000010").join(file)).unwrap()
}

/// A damaged checkpoint is never gone on from: the one before it is.
pub fn resume(directory: &Path, file: &str, bytes: &[u8]) -> Outcome {
    let newest = directory.join("checkpoints/step-000010");
    if !newest.exists() {
        save_checkpoints(directory);
    }
    write(&newest.join(file), bytes);
    let found = Checkpoints::new(directory, 2).newest()?.expect("the checkpoint before is whole");
    let step = found.state.global_step;
    assert_eq!(found.state, state(step), "a damaged checkpoint was used");
    assert_eq!(found.tensors["model.w"], tensors(step)[0].1);
    match step {
        10 => Ok(()),
        _ => Err(Refusal { category: Category::Data, text: "passed over".to_owned() }),
    }
}

/// The cache, and whether it had to be built.
fn build_cache(directory: &Path) -> (TokenCache, bool) {
    let mut built = false;
    let cache = TokenCache::open_or_build(directory, "key", "rows", &StopSignal::default(), |writer| {
        built = true;
        for row in 0..50u32 {
            let input_ids: Vec<u32> = (0..=row % 7).collect();
            writer.push(Example {
                input_ids: &input_ids,
                token_type_ids: None,
                label: Some(row as i32),
                targets: &[],
                logits: &[row as f32, 0.5],
                id_hash: u64::from(row),
                partner_hash: None,
                row: u64::from(row),
                ..Example::default()
            })?;
        }
        Ok::<_, CacheError>(())
    });
    (cache.unwrap(), built)
}

/// Features of fifty rows, and where those from the twentieth on are kept.
fn feature_files(directory: &Path) -> (FeatureFiles, PathBuf) {
    let (key, shape) = ("a".repeat(64), FeatureShape { rows: 50, width: 2 });
    let path = directory.join(format!("{key}.features.000000020.safetensors"));
    (FeatureFiles::open(directory, &key, "rows", shape, &StopSignal::default()).unwrap(), path)
}

pub fn features() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (files, path) = feature_files(directory.path());
    let values: Vec<f32> = (0..60u8).map(f32::from).collect();
    files.write(20, &values).unwrap();
    drop(files);
    let whole = std::fs::read(path).unwrap();
    assert!(kept_features(directory.path(), &whole).is_ok(), "undamaged ones are read");
    whole
}

/// Damaged features are computed again: what is read is always right.
pub fn kept_features(directory: &Path, bytes: &[u8]) -> Outcome {
    let (files, path) = feature_files(directory);
    write(&path, bytes);
    info(directory)?;
    let mut read = false;
    files.read(&StopSignal::default(), |first, values| {
        let expected: Vec<f32> = (0..60u8).map(f32::from).collect();
        assert_eq!((first, values), (20, expected.as_slice()));
        read = true;
    })?;
    match read {
        true => Ok(()),
        false => Err(Refusal { category: Category::Data, text: "computed again".to_owned() }),
    }
}

pub fn cache(ending: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    build_cache(directory.path());
    std::fs::read(directory.path().join(format!("key.tokens.{ending}"))).unwrap()
}

/// A damaged cache is built again: the rows are always the right ones.
pub fn cached(directory: &Path, ending: &str, bytes: &[u8]) -> Outcome {
    build_cache(directory);
    write(&directory.join(format!("key.tokens.{ending}")), bytes);
    let (cache, built) = build_cache(directory);
    assert_eq!(cache.len(), 50);
    for row in 0..50 {
        let example = cache.get(row);
        let expected = (row as u64, Some(row as i32), &[row as f32, 0.5][..], row % 7 + 1);
        assert_eq!((example.row, example.label, example.logits, example.input_ids.len()), expected);
    }
    match built {
        false => Ok(()),
        true => Err(Refusal { category: Category::Data, text: "built again".to_owned() }),
    }
}
