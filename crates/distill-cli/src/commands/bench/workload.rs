//! The rows that are timed: a user's, or made up with a given distribution of lengths.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use distill_data::error::{At, Place};
use distill_data::source::Row;
use distill_data::{DataError, TextTokenizer, Tokens};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::lengths::Lengths;
use crate::args::Bench;
use crate::exit::RunError;
use crate::settings::Settings;
use distill_run::inputs;

/// Made-up rows, where nothing else is asked for.
const ROWS: usize = 2000;

/// Words that are one token in most vocabularies.
const WORDS: &str = "a about after all also an and any are as at back be because but by can come could day do even \
    film first for from get give go good have he her him his how i if in into it its just know like look make me \
    movie more my new no not now of on one only or other our out over people say see she so some story take than \
    that the their them then there these they think this time to two up us use want was way we well were what when \
    which who will with work world would year you your";

/// Rows with the tokens of each.
pub struct Workload {
    /// The rows, without labels.
    pub rows: Vec<Row>,
    /// Their tokens.
    pub encoded: Vec<Tokens>,
}

impl Workload {
    /// Reads or makes the rows and tokenizes them.
    ///
    /// # Errors
    /// For rows that cannot be read, lengths that make no sense, and a tokenizer that knows none of the words.
    pub fn new(
        args: &Bench,
        settings: &Settings,
        tokenizer: &TextTokenizer,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let rows = match &settings.data.train {
            Some(path) => read(path, args.count, settings)?,
            None => make(&args.lengths, args.count.unwrap_or(ROWS), tokenizer, seed)?,
        };
        if rows.is_empty() {
            bail!(RunError::data("--data has no rows"));
        }
        let texts: Vec<_> = rows.iter().map(|row| (row.text.as_str(), row.text_pair.as_deref())).collect();
        let encoded = tokenizer.encode_batch(&texts)?;
        Ok(Workload { rows, encoded })
    }

    /// Length of each row.
    pub fn lengths(&self) -> Vec<u64> {
        self.encoded.iter().map(|tokens| tokens.input_ids.len() as u64).collect()
    }

    /// Tokens of all rows.
    pub fn tokens(&self) -> u64 {
        self.lengths().iter().sum()
    }
}

fn read(path: &Path, count: Option<usize>, settings: &Settings) -> anyhow::Result<Vec<Row>> {
    let source = inputs::source(path, &settings.data, settings.data.problem_type.unwrap_or_default())?;
    let rows = source.without_labels().rows()?.take(count.unwrap_or(usize::MAX));
    Ok(rows.collect::<Result<Vec<Row>, DataError>>()?)
}

fn make(lengths: &str, count: usize, tokenizer: &TextTokenizer, seed: u64) -> anyhow::Result<Vec<Row>> {
    let special = tokenizer.special_tokens(false);
    let Some(distribution) = Lengths::parse(lengths) else {
        bail!(RunError::usage(format!(
            "--lengths {lengths}: expected a number, a range such as 8..64, a median and a maximum such as \
             lognormal:20..256, or lengths with shares such as 16:0.7,128:0.3"
        )));
    };
    let (shortest, longest) = distribution.bounds();
    if shortest <= special || longest > tokenizer.max_length() {
        bail!(RunError::usage(format!(
            "--lengths {lengths}: expected from {} to --max-length {} tokens",
            special + 1,
            tokenizer.max_length()
        )));
    }
    let words = single_tokens(tokenizer, special)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let file: Arc<Path> = Arc::from(Path::new("made up"));
    let row = |row: usize| {
        let tokens = distribution.draw(&mut random, special + 1);
        let text: Vec<&str> =
            (special..tokens).map(|_| words[(random.next_u64() % words.len() as u64) as usize]).collect();
        Row {
            row: row as u64,
            id: row.to_string(),
            text: text.join(" "),
            text_pair: None,
            tokens: None,
            label: None,
            place: Place { file: Arc::clone(&file), at: At::Row(row as u64) },
        }
    };
    Ok((0..count).map(row).collect())
}

fn single_tokens(tokenizer: &TextTokenizer, special: usize) -> anyhow::Result<Vec<&'static str>> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let texts: Vec<_> = words.iter().map(|word| (*word, None)).collect();
    let encoded = tokenizer.encode_batch(&texts)?;
    let known = words.into_iter().zip(&encoded).filter(|(_, tokens)| tokens.input_ids.len() == special + 1);
    let known: Vec<&str> = known.map(|(word, _)| word).collect();
    if known.is_empty() {
        bail!(RunError::usage(
            "the tokenizer knows none of the words that rows are generated from; give --data"
        ));
    }
    Ok(known)
}
