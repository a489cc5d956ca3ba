//! Texts as sequences for masked language modelling: tokenized once without truncation, packed, and kept in the token cache
//! without masks, which are drawn again in every epoch.

use std::path::Path;

use distill_core::StopSignal;
use distill_core::hash::parts_hash;
use distill_data::cache::{CacheWriter, Example, TokenCache, id_hash};
use distill_data::masking::Masking;
use distill_data::packing::{Origin, Packer, Packing, Sequence};
use distill_data::source::{Document, DocumentSource};
use distill_data::tokens::{Frame, MaskVocabulary};
use distill_data::{DataError, TextTokenizer, TokenError, choose_validation};
use distill_task::TaskId;
use tracing::trace_span;

use crate::data::{Part, TrainingData, reading};
use crate::error::TrainError;

/// Documents that are tokenized at a time, and bytes of text in them.
const BLOCK_DOCUMENTS: usize = 2048;
const BLOCK_BYTES: usize = 16 << 20;

/// Part of a cache's key: a number more where the same texts become other sequences.
const RULE: &str = "1";

/// How texts become a cache of sequences.
pub struct SequenceBuilder<'a> {
    /// The tokenizer, whose `max_length` is that of a sequence.
    pub tokenizer: &'a TextTokenizer,
    /// Its vocabulary.
    pub vocabulary: &'a MaskVocabulary,
    /// Whether short documents share sequences.
    pub packing: Packing,
    /// The directory of caches; none: in memory.
    pub directory: Option<&'a Path>,
    /// Asked between chunks.
    pub stop: &'a StopSignal,
}

impl SequenceBuilder<'_> {
    /// The sequences of documents. Those without an ordinary token are left out, because nothing in them can be masked.
    /// `hash` is that of the texts: where others are read, nothing is kept.
    ///
    /// # Errors
    /// [`TrainError`] for a document that cannot be read or tokenized; [`TrainError::Rows`] where no sequence is left.
    pub fn build(&self, texts: &DocumentSource, hash: &str) -> Result<Part, TrainError> {
        let _span = trace_span!(target: "timeline", "cache").entered();
        let frame = self.tokenizer.frame()?;
        let max_length = self.tokenizer.max_length().to_string();
        let how = texts.rows().map_or_else(|| texts.plain_reading().to_owned(), reading);
        let key = parts_hash([
            ("source", hash),
            ("reading", &how),
            ("tokenizer", self.tokenizer.hash()),
            ("max_length", &max_length),
            ("task", TaskId::MASKED_LANGUAGE_MODELING.name()),
            ("packing", self.packing.name()),
            ("packing_rule", RULE),
        ]);
        let texts = &texts.clone().holding(hash);
        let build = |writer: &mut CacheWriter| self.write(texts, &frame, writer);
        let path = texts.path().display();
        let cache = match self.directory {
            Some(directory) => {
                let about = format!("{path}, texts packed to sequences of {max_length} tokens");
                TokenCache::open_or_build(directory, &key, &about, self.stop, build)?
            }
            None => TokenCache::in_memory(build)?,
        };
        if u32::try_from(cache.len()).is_err() {
            return Err(TrainError::Rows(format!("{} sequences are more than one run supports", cache.len())));
        }
        if cache.is_empty() {
            return Err(TrainError::Rows(format!(
                "{path}: there is nothing to learn from: every text is empty, or unknown to the vocabulary"
            )));
        }
        Ok(Part::whole(cache))
    }

    fn write(&self, texts: &DocumentSource, frame: &Frame, writer: &mut CacheWriter) -> Result<(), TrainError> {
        let mut packer = Packer::new(frame, self.tokenizer.max_length(), self.packing)?;
        let mut left_out = 0u64;
        let mut write = |sequences: Vec<Sequence>, writer: &mut CacheWriter| -> Result<(), TrainError> {
            for Sequence { input_ids, origin } in sequences {
                if !input_ids.iter().any(|token| self.vocabulary.is_ordinary(*token)) {
                    left_out += 1;
                    continue;
                }
                let Origin { row, id_hash } = origin;
                writer.push(Example { input_ids: &input_ids, row, id_hash, ..Example::default() })?;
            }
            Ok(())
        };
        let mut documents = texts.documents()?;
        loop {
            self.stop.check()?;
            let block = block(&mut documents)?;
            if block.is_empty() {
                break;
            }
            for (document, tokens) in block.iter().zip(self.encode(&block, frame)?) {
                let origin = Origin { row: document.row, id_hash: id_hash(&document.id) };
                write(packer.push(origin, &tokens), writer)?;
            }
        }
        write(packer.close().into_iter().collect(), writer)?;
        if left_out > 0 {
            tracing::warn!("{left_out} sequences have no token that the vocabulary knows, and are left out");
        }
        Ok(())
    }

    /// The tokens of each document: those of its lines, and behind a separator those of its second text.
    fn encode(&self, block: &[Document], frame: &Frame) -> Result<Vec<Vec<u32>>, TrainError> {
        let _span = trace_span!(target: "timeline", "tokenize").entered();
        let texts: Vec<&str> = block.iter().flat_map(texts_of).collect();
        let encoded = self.tokenizer.encode_whole_batch(&texts).map_err(|error| refused(error, block))?;
        let mut encoded = encoded.into_iter();
        let documents = block.iter().map(|document| {
            let mut tokens: Vec<u32> = encoded.by_ref().take(document.lines.len()).flatten().collect();
            if document.pair.is_some() {
                let pair = encoded.next().unwrap_or_default();
                let both = !tokens.is_empty() && !pair.is_empty();
                tokens.extend(frame.between.filter(|_| both));
                tokens.extend(pair);
            }
            tokens
        });
        Ok(documents.collect())
    }
}

fn texts_of(document: &Document) -> impl Iterator<Item = &str> {
    document.lines.iter().map(String::as_str).chain(document.pair.as_deref())
}

/// The next documents, as many as are tokenized at a time.
fn block(
    documents: &mut impl Iterator<Item = Result<Document, DataError>>,
) -> Result<Vec<Document>, TrainError> {
    let _reading = trace_span!(target: "timeline", "read").entered();
    let (mut block, mut bytes) = (Vec::new(), 0);
    while block.len() < BLOCK_DOCUMENTS && bytes < BLOCK_BYTES {
        let Some(document) = documents.next() else { break };
        let document = document?;
        bytes += texts_of(&document).map(str::len).sum::<usize>();
        block.push(document);
    }
    Ok(block)
}

/// The error of a text with the place of its document.
fn refused(error: TokenError, block: &[Document]) -> TrainError {
    let TokenError::Encode { index, reason } = error else { return error.into() };
    let mut of_text =
        block.iter().flat_map(|document| std::iter::repeat_n(document, texts_of(document).count()));
    match of_text.nth(index) {
        Some(document) => {
            let (place, column) = (document.place.clone(), "text".to_owned());
            DataError::Value { place, column, what: reason }.into()
        }
        None => TokenError::Encode { index, reason }.into(),
    }
}

/// Cuts a validation part off, chosen by `seed` and the documents' ids alone. All sequences of a long document, and all short
/// documents of a sequence, are on the same side.
///
/// # Errors
/// [`TrainError::Data`] where the share leaves one of the parts empty; [`TrainError::Rows`] for a single document.
pub fn split_documents(part: Part, fraction: f64, seed: u64) -> Result<TrainingData, TrainError> {
    let mut groups: Vec<(u64, Vec<u32>)> = Vec::new();
    let mut before = None;
    for (row, example) in part.rows.iter().zip(part.iter()) {
        let own = (example.row, example.id_hash);
        match groups.last_mut() {
            Some((_, rows)) if before == Some(own) => rows.push(*row),
            _ => groups.push((example.id_hash, vec![*row])),
        }
        before = Some(own);
    }
    if let [(_, rows)] = groups.as_slice() {
        return Err(TrainError::Rows(format!(
            "all {} sequences are of one document, or of documents that share one sequence, so that no validation part can \
             be cut off; give a validation file, or keep short documents apart (packing = \"apart\")",
            rows.len()
        )));
    }
    let chosen = choose_validation(groups.iter().map(|(hash, _)| hash.to_le_bytes()), fraction, seed)?;
    let side = |validation: bool| {
        let own = groups.iter().zip(&chosen).filter(|(_, chosen)| **chosen == validation);
        let rows = own.flat_map(|((_, rows), _)| rows.iter().copied()).collect();
        Part { cache: part.cache.clone(), rows }
    };
    Ok(TrainingData { train: side(false), validation: side(true) })
}

/// Masked places of one epoch over a part, for people: about the share that is asked for.
pub fn places(part: &Part, masking: &Masking) -> u64 {
    let ordinary = |example: Example<'_>| {
        example.input_ids.iter().filter(|token| masking.vocabulary.is_ordinary(**token)).count() as u64
    };
    (part.iter().map(ordinary).sum::<u64>() as f64 * masking.probability).round() as u64
}

#[cfg(test)]
mod tests {
    use distill_data::CacheError;

    use super::*;

    /// A sequence for each of these documents, in turn.
    fn part(documents: &[u64]) -> Part {
        let cache = TokenCache::in_memory::<CacheError>(|writer| {
            documents.iter().try_for_each(|row| {
                writer.push(Example {
                    input_ids: &[1, 2, 3],
                    id_hash: row * 7919,
                    row: *row,
                    ..Example::default()
                })
            })
        });
        Part::whole(cache.unwrap())
    }

    #[test]
    fn a_document_is_on_one_side_and_a_single_one_cannot_be_cut() {
        let documents: Vec<u64> =
            (0..40).flat_map(|document| vec![document; 1 + document as usize % 4]).collect();
        let of = |seed| split_documents(part(&documents), 0.25, seed).unwrap();
        let rows = |part: &Part| -> Vec<u64> { part.iter().map(|example| example.row).collect() };
        let data = of(1);
        let (train, validation) = (rows(&data.train), rows(&data.validation));
        assert_eq!(train.len() + validation.len(), documents.len());
        assert!(!validation.is_empty() && validation.iter().all(|document| !train.contains(document)));
        assert_eq!(rows(&of(1).validation), validation);
        assert_ne!(rows(&of(2).validation), validation);
        let error = split_documents(part(&[3, 3, 3]), 0.5, 1).unwrap_err().to_string();
        assert!(error.contains("all 3 sequences") && error.contains("validation file"), "{error}");
    }
}
