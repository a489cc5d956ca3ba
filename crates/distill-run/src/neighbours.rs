//! Like words for `distill augment`, from the teacher's own word vectors.

use std::collections::{BTreeMap, BTreeSet};

use distill_data::TextTokenizer;
use distill_data::augment::{Neighbours, bare};
use distill_data::source::Source;
use distill_model::{ModelDirectory, neighbours};
use tch::Device;

use crate::error::Result;
use crate::session::Session;

/// The `count` nearest words of every word of a source that is a single token.
///
/// # Errors
/// For rows or weights that cannot be read, or a stop.
pub fn of_source(
    source: &Source,
    model: &ModelDirectory,
    tokenizer: &TextTokenizer,
    count: usize,
    session: &Session,
) -> Result<Neighbours> {
    let known = tokenizer.words();
    let asked = words_of(source, &known, session)?;
    let (words, tokens): (Vec<&String>, Vec<u32>) = known.iter().map(|(word, token)| (word, *token)).unzip();
    let asked_tokens: Vec<u32> = asked.values().copied().collect();
    let classifier = model.load_classifier(Device::Cpu)?;
    let found = neighbours::nearest(classifier.word_embeddings(), &asked_tokens, &tokens, count)?;
    tracing::info!(words = asked.len(), vocabulary = words.len(), "words with neighbours");
    let like = |places: Vec<usize>| places.into_iter().map(|place| words[place].clone()).collect();
    Ok(Neighbours(asked.into_keys().zip(found.into_iter().map(like)).collect()))
}

/// The words of a source that are known, with their tokens.
fn words_of(
    source: &Source,
    known: &BTreeMap<String, u32>,
    session: &Session,
) -> Result<BTreeMap<String, u32>> {
    let mut seen = BTreeSet::new();
    for row in source.rows()? {
        session.stop.check()?;
        let row = row?;
        for text in std::iter::once(&row.text).chain(&row.text_pair) {
            seen.extend(text.split_whitespace().map(|word| bare(word).1).filter_map(|word| {
                let small = word.to_lowercase();
                [word, &small].into_iter().find(|word| known.contains_key(*word)).map(str::to_owned)
            }));
        }
    }
    Ok(seen.into_iter().filter_map(|word| known.get(&word).copied().map(|token| (word, token))).collect())
}
