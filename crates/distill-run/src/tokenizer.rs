//! `distill tokenizer train`: texts → a tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::source::Texts;
use distill_data::tokens::train::{TokenizerTrainer, TrainedTokenizer};
use serde_json::{Value, json};

use crate::error::{Result, Status};
use crate::inputs;
use crate::length;
use crate::outdir::OutDir;
use crate::session::Session;
use crate::settings::Settings;
use crate::stage::{self, Finished, Prepared, Stage};

/// Texts whose words are counted together.
const BLOCK_TEXTS: usize = 4096;
/// Bytes of them.
const BLOCK_BYTES: usize = 16 << 20;

/// The stage with its settings.
pub struct TokenizerStage<'a> {
    /// All settings; `[data]` and `[tokenizer]` are read.
    pub settings: &'a Settings,
}

impl TokenizerStage<'_> {
    fn open(&self) -> Result<Texts> {
        let data = &self.settings.data;
        inputs::texts(inputs::required(data.train.as_ref(), "--data", "data.train")?, data)
    }

    /// The settings that the tokenizer depends on.
    fn recorded(&self) -> Value {
        let data = &self.settings.data;
        let mut settings = json!({"data": {"columns": data.columns}, "tokenizer": self.settings.tokenizer});
        if let Some(task) = data.problem_type {
            settings["data"]["problem_type"] = json!(task);
        }
        if let Some(delimiter) = data.delimiter {
            settings["data"]["delimiter"] = json!(delimiter);
        }
        settings["tokenizer"]["lowercase"] = self.settings.tokenizer.lowercases().into();
        settings
    }

    fn train(&self, texts: Texts, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let settings = &self.settings.tokenizer;
        let mut trainer = TokenizerTrainer::new(settings)?;
        let texts = texts.holding(inputs::recorded(record, "data"));
        let counted = count(&texts, &mut trainer, session)?;
        tracing::info!(texts = counted, "read {}", texts.path().display());
        let trained = trainer.train()?;
        if trained.tokens() < settings.size {
            tracing::warn!(
                "the texts give a vocabulary of {} tokens only, instead of {}: there is nothing left to merge or to keep",
                trained.tokens(),
                settings.size
            );
        }
        record.write(out.path())?;
        trained.save_to(out.path())?;
        // What is written can be read, and this is the hash that runs which use it will record.
        let tokenizer = TextTokenizer::load(out.path(), length::DEFAULT)?;
        let results = [
            ("texts", json!(counted)),
            ("vocabulary", json!(trained.tokens())),
            ("alphabet", json!(trained.alphabet())),
            ("tokenizer", json!(tokenizer.hash())),
        ];
        Ok(Finished {
            status: Status::Done,
            results: results.map(|(name, value)| (name.to_owned(), value)).into(),
            text: format!(
                "vocabulary of {} tokens, {} of them one character or byte, from {counted} texts\ntokenizer: {}",
                trained.tokens(),
                trained.alphabet(),
                out.target().display()
            ),
        })
    }
}

/// Counts the words of all texts; returns how many texts there are.
fn count(texts: &Texts, trainer: &mut TokenizerTrainer, session: &Session) -> Result<u64> {
    let (mut block, mut bytes, mut counted) = (Vec::new(), 0, 0);
    for row in texts.rows()? {
        let row = row?;
        counted += 1;
        for text in [Some(row.text), row.text_pair].into_iter().flatten() {
            bytes += text.len();
            block.push(text);
        }
        if block.len() >= BLOCK_TEXTS || bytes >= BLOCK_BYTES {
            session.stop.check()?;
            trainer.count(&block)?;
            block.clear();
            bytes = 0;
        }
    }
    trainer.count(&block)?;
    session.stop.check()?;
    Ok(counted)
}

impl Stage for TokenizerStage<'_> {
    fn command(&self) -> &'static str {
        "tokenizer train"
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        self.settings.tokenizer.check()?;
        session.stop.check()?;
        let texts = self.open()?;
        let hashes = BTreeMap::from([("data".to_owned(), texts.hash()?)]);
        Ok(Prepared::new(self.recorded(), hashes, |session, out, record| {
            self.train(texts, session, out, record)
        }))
    }

    fn reads(&self) -> Vec<PathBuf> {
        self.settings.data.train.iter().cloned().collect()
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        Ok(stage::first_missing(out, &TrainedTokenizer::FILES))
    }
}
