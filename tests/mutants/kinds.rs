//! The kinds of files from outside: good ones to begin with, what is written into them, and what reads them.

use std::path::Path;

use crate::readers::{
    Outcome, cache, cached, checkpoint, features, kept_features, logits_jsonl, manifest, manifests, metrics,
    model, parquet, read_metrics, resume, rows, run_record, run_records, settings, tokenizer, vocabulary,
    words,
};
use crate::seeds;

/// A kind of file.
pub struct Kind {
    pub name: &'static str,
    /// How many of 10,000 mutants are of this kind.
    pub share: u64,
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is written into mutants besides noise.
    pub dictionary: &'static [&'static str],
    /// Reads `bytes` as the program would, in an otherwise empty directory that one process keeps.
    pub read: fn(&Path, &[u8]) -> Outcome,
}

const JSON: &[&str] = &[
    "{", "}", "[", "]", "\"", ",", ":", "null", "\\u0000", "\\ud800", "{\"a\":", "[[[[[[[[", "\n", "\u{feff}",
    "1e400", "-", "\u{0}",
];
const CONFIG: &[&str] = &[
    "\"num_labels\": 16777216,",
    "\"hidden_size\": 1,",
    "\"num_hidden_layers\": 16777216,",
    "\"id2label\": {\"0\": 1},",
    "\"vocab_size\": 16777216,",
    "\"hidden_act\": \"relu\",",
    "\"is_decoder\": true,",
    "\"layer_norm_eps\": 1e-320,",
    "{",
    "}",
    "null",
    "\"",
];
const TOKENIZER: &[&str] = &[
    "\"type\": \"Sequence\",",
    "\"type\": \"BPE\",",
    "\"type\": \"Unigram\",",
    "\"id\": 4294967295,",
    "{",
    "}",
    "[",
    "]",
    "null",
    "\"max_input_chars_per_word\": 18446744073709551615,",
    "\"Regex\": \"(a*)*$\",",
    "\"content\": \"\",",
    "\"",
    "\"unk_id\": 99,",
    "{\"type\": \"Digits\"},",
];
const SEPARATED: &[&str] = &["\"", "\"\"", ",", "\t", "\r\n", "\n", "\r", "\u{0}", "\u{feff}", "text", "id"];
const COLUMNS: &[&str] = &[
    "\t",
    " ",
    "\n",
    "\n\n",
    "\r\n",
    "#",
    "-DOCSTART-",
    "O",
    "B-PER",
    "E-PER",
    "_",
    "1-2",
    "2.1",
    "\u{feff}",
    "\u{0}",
    "# global.columns = ID FORM UPOS\n",
];
const TOML: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "=",
    "\"\"\"",
    "'''",
    ".",
    "{",
    "}",
    "\n[data]\n",
    "\nseed = -1\n",
    "1979-05-27",
    "inf",
    "nan",
    "#",
    "\\u",
    "a.b.c.d.e = 1\n",
];

/// Every kind, in the order in which they are run.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "parquet",
        share: 2750,
        seeds: seeds::parquets,
        dictionary: &["PAR1", "logits", "text"],
        read: parquet,
    },
    Kind {
        name: "jsonl",
        share: 700,
        seeds: || vec![seeds::jsonl()],
        dictionary: JSON,
        read: |d, b| rows(d, b, "jsonl"),
    },
    Kind {
        name: "csv",
        share: 700,
        seeds: || vec![seeds::separated(',')],
        dictionary: SEPARATED,
        read: |d, b| rows(d, b, "csv"),
    },
    Kind {
        name: "tsv",
        share: 200,
        seeds: || vec![seeds::separated('\t')],
        dictionary: SEPARATED,
        read: |d, b| rows(d, b, "tsv"),
    },
    Kind {
        name: "words.jsonl",
        share: 150,
        seeds: || vec![seeds::words_jsonl()],
        dictionary: JSON,
        read: |d, b| words(d, b, "jsonl"),
    },
    Kind {
        name: "conll",
        share: 150,
        seeds: seeds::word_columns,
        dictionary: COLUMNS,
        read: |d, b| words(d, b, "conll"),
    },
    Kind {
        name: "conllu",
        share: 150,
        seeds: || vec![seeds::conllu()],
        dictionary: COLUMNS,
        read: |d, b| words(d, b, "conllu"),
    },
    Kind {
        name: "logits.jsonl",
        share: 600,
        seeds: || vec![seeds::logits_jsonl()],
        dictionary: JSON,
        read: logits_jsonl,
    },
    Kind {
        name: "tokenizer.json",
        share: 1000,
        seeds: seeds::tokenizers,
        dictionary: TOKENIZER,
        read: tokenizer,
    },
    Kind {
        name: "tokenizer_config.json",
        share: 100,
        seeds: || vec![seeds::golden("tokenizer_config.json")],
        dictionary: JSON,
        read: |d, b| model(d, "tokenizer_config.json", b),
    },
    Kind {
        name: "vocab.txt",
        share: 100,
        seeds: || vec![seeds::golden("vocab.txt")],
        dictionary: JSON,
        read: vocabulary,
    },
    Kind {
        name: "config.json",
        share: 800,
        seeds: || vec![seeds::golden("config.json")],
        dictionary: CONFIG,
        read: |d, b| model(d, "config.json", b),
    },
    Kind {
        name: "safetensors",
        share: 700,
        seeds: || vec![seeds::golden("model.safetensors")],
        dictionary: &[
            "\"shape\":[0,9223372036854775808],",
            "F64",
            "BF16",
            "[",
            "]",
            "{",
            "}",
            "\"data_offsets\":[0,0]",
        ],
        read: |d, b| model(d, "model.safetensors", b),
    },
    Kind {
        name: "settings.toml",
        share: 700,
        seeds: || vec![seeds::SETTINGS.into()],
        dictionary: TOML,
        read: settings,
    },
    Kind { name: "manifest.json", share: 300, seeds: manifests, dictionary: JSON, read: manifest },
    Kind { name: "run.json", share: 200, seeds: run_records, dictionary: JSON, read: run_record },
    Kind { name: "metrics.jsonl", share: 200, seeds: metrics, dictionary: JSON, read: read_metrics },
    Kind {
        name: "state.json",
        share: 200,
        seeds: || vec![checkpoint("state.json")],
        dictionary: JSON,
        read: |d, b| resume(d, "state.json", b),
    },
    Kind {
        name: "checkpoint",
        share: 100,
        seeds: || vec![checkpoint("tensors.safetensors")],
        dictionary: JSON,
        read: |d, b| resume(d, "tensors.safetensors", b),
    },
    Kind {
        name: "tokens.arrow",
        share: 60,
        seeds: || vec![cache("arrow")],
        dictionary: &["ARROW1"],
        read: |d, b| cached(d, "arrow", b),
    },
    Kind {
        name: "tokens.json",
        share: 60,
        seeds: || vec![cache("json")],
        dictionary: JSON,
        read: |d, b| cached(d, "json", b),
    },
    Kind { name: "features", share: 80, seeds: || vec![features()], dictionary: JSON, read: kept_features },
];
