//! Files that nobody damages by accident: small ones that claim or decompress into far too much.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use flate2::write::GzEncoder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::child::{Job, Tally};
use crate::kinds::KINDS;
use crate::mutate::Random;
use crate::seeds;

/// A file, the kind that reads it, and a word of the error that it must give; empty where it may be read.
struct Hostile {
    name: &'static str,
    kind: &'static str,
    make: fn() -> Vec<u8>,
    error: &'static str,
}

const fn hostile(
    name: &'static str,
    kind: &'static str,
    make: fn() -> Vec<u8>,
    error: &'static str,
) -> Hostile {
    Hostile { name, kind, make, error }
}

const FILES: &[Hostile] = &[
    hostile("a gzip page of 4 GiB", "parquet", gzip_bomb, "decompresses"),
    hostile("one long text in 2,000 rows by a dictionary", "parquet", dictionary_bomb, "more than"),
    hostile("one long text in 2,000 rows by its prefixes", "parquet", prefix_bomb, "more than"),
    hostile("a row of 36 million logits", "parquet", list_bomb, "36000000 values"),
    hostile("8 million row groups", "parquet", row_groups, "row groups"),
    hostile("8 million schema elements", "parquet", schema_elements, "columns"),
    hostile(
        "brackets without end",
        "jsonl",
        || b"{\"text\": ".iter().chain(&[b'['; 1 << 20]).copied().collect(),
        "EOF",
    ),
    hostile("a text that is a list of 10 million lists", "jsonl", || in_object("text", "[0],"), "not a string"),
    hostile(
        "a label that is a list of 10 million lists",
        "jsonl",
        || in_object("text\": \"t\", \"label", "[0],"),
        "neither",
    ),
    hostile("an unknown column of 10 million lists", "jsonl", || in_object("text\": \"t\", \"x", "[0],"), ""),
    hostile("logits that are 10 million lists", "logits.jsonl", || in_object("logits", "[0],"), "logits"),
    hostile(
        "logits that are 10 million objects",
        "logits.jsonl",
        || in_object("logits", "{\"a\":0},"),
        "logits",
    ),
    hostile("ids that are 10 million lists", "logits.jsonl", || in_object("id", "[0],"), "id"),
    hostile("a header of 50 million columns", "csv", || vec![b','; 50 << 20], "header"),
    hostile("a record of 50 million fields", "csv", record_of_commas, "fields"),
    hostile(
        "a quote that is never closed",
        "csv",
        || b"text\n\"".iter().chain(&[b'a'; 80 << 20]).copied().collect(),
        "64 MiB",
    ),
    hostile(
        "a key of 100,000 parts",
        "settings.toml",
        || ("a".to_owned() + &".a".repeat(100_000) + " = 1\n").into_bytes(),
        "a.toml",
    ),
    hostile(
        "a table of 100,000 parts",
        "settings.toml",
        || ("[a".to_owned() + &".a".repeat(100_000) + "]\n").into_bytes(),
        "a.toml",
    ),
    hostile(
        "arrays in 100,000 arrays",
        "settings.toml",
        || ("seed = ".to_owned() + &"[".repeat(100_000)).into_bytes(),
        "a.toml",
    ),
    hostile(
        "tables in 100,000 tables",
        "settings.toml",
        || ("seed = ".to_owned() + &"{a=".repeat(100_000)).into_bytes(),
        "a.toml",
    ),
    hostile("settings of 32 MiB", "settings.toml", || vec![b'\n'; 32 << 20], "1 MiB"),
    hostile("normalizers in 60 normalizers", "tokenizer.json", nested_normalizers, ""),
    hostile("replacements that double a text 60 times", "tokenizer.json", doubling, "tokenizer.json"),
    hostile("a pattern that tries everything", "tokenizer.json", backtracking, ""),
    hostile("words of any length in pieces", "tokenizer.json", any_word, "max_input_chars_per_word"),
    hostile(
        "vectors of 16 million numbers",
        "config.json",
        || config("\"hidden_size\": 16777216, \"num_attention_heads\": 1"),
        "weights do not fit",
    ),
    hostile("16 million words", "config.json", || config("\"vocab_size\": 16777216"), "weights do not fit"),
    hostile(
        "16 million layers",
        "config.json",
        || config("\"num_hidden_layers\": 16777216"),
        "num_hidden_layers",
    ),
    hostile(
        "16 million labels",
        "config.json",
        || config("\"id2label\": null, \"num_labels\": 16777216"),
        "num_labels",
    ),
    hostile("labels that all have wrong ids", "config.json", wrong_ids, "label ids"),
    hostile("brackets without end in a config", "config.json", || vec![b'['; 1 << 20], "recursion"),
    hostile("a header of 2^62 bytes", "safetensors", || header(1 << 62, b"{}"), "safetensors"),
    hostile(
        "a tensor of no numbers by 2^63",
        "safetensors",
        || {
            let json = br#"{"bert.pooler.dense.bias":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}"#;
            header(json.len() as u64, json)
        },
        "weights do not fit",
    ),
    hostile("tensors of a million names", "safetensors", million_tensors, "header"),
    hostile("a step of 10 million lists", "metrics.jsonl", || in_object("loss", "[0],"), "line 1"),
    hostile(
        "settings of brackets without end",
        "run.json",
        || b"{\"settings\": ".iter().chain(&[b'['; 1 << 20]).copied().collect(),
        "recursion",
    ),
];

/// The child's side: reads what the parent has made.
pub fn read(job: &Job, directory: &Path) -> Tally {
    let file = FILES.iter().find(|file| file.name == job.what).unwrap();
    let kind = KINDS.iter().find(|kind| kind.name == file.kind).unwrap();
    let bytes = std::fs::read(job.directory.join("made")).unwrap();
    let mut tally = Tally::default();
    job.at(0);
    let start = Instant::now();
    let outcome = (kind.read)(directory, &bytes);
    tally.count(0, outcome, start.elapsed());
    tally
}

#[test]
#[allow(clippy::print_stderr)]
fn files_made_to_harm_are_refused() {
    let mut wrong = Vec::new();
    for file in FILES {
        let directory = tempfile::tempdir().unwrap();
        let bytes = (file.make)();
        std::fs::write(directory.path().join("made"), &bytes).unwrap();
        let job = Job::new(file.name, 0, 1, directory.path());
        let tally = match std::panic::catch_unwind(|| job.run()) {
            Ok(tally) => tally,
            Err(_) => {
                wrong.push(file.name.to_owned());
                continue;
            }
        };
        let error = tally.errors.first().cloned().unwrap_or_default();
        eprintln!(
            "{:>6} ms {:>5} MiB {:>9} bytes {}: {error}",
            tally.slowest_ms,
            tally.peak_kib >> 10,
            bytes.len(),
            file.name
        );
        if !error.contains(file.error) {
            wrong.push(format!("{}: {error:?} does not say {:?}", file.name, file.error));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn parquet<T: DataType>(
    schema: &str,
    builder: WriterPropertiesBuilder,
    batches: usize,
    values: &[T::T],
    levels: Option<(&[i16], &[i16])>,
) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(builder.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    for _ in 0..batches {
        let (definition, repetition) = levels.unzip();
        column.typed::<T>().write_batch(values, definition, repetition).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

const TEXT: &str = "message m { required binary text (UTF8); }";

/// A page whose header is honest about a page of 5 MB, and whose content is 64 members of 64 MiB of zeros.
fn gzip_bomb() -> Vec<u8> {
    let mut random = Random::new(1);
    let noise: Vec<u8> = (0..5_000_000).map(|_| b'0' + (random.next() % 64) as u8).collect();
    let builder = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::GZIP(Default::default()));
    let mut file = parquet::<ByteArrayType>(TEXT, builder, 1, &[ByteArray::from(noise)], None);
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = encoder.finish().unwrap().repeat(48);
    let start = file.windows(3).position(|bytes| bytes == [0x1f, 0x8b, 0x08]).unwrap();
    assert!(file.len() - start > bomb.len() + 1000, "{} {}", file.len(), bomb.len());
    file[start..start + bomb.len()].copy_from_slice(&bomb);
    file
}

fn dictionary_bomb() -> Vec<u8> {
    let builder = WriterProperties::builder()
        .set_dictionary_page_size_limit(64 << 20)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()));
    let values = vec![ByteArray::from(vec![b'a'; 1 << 20]); 1000];
    parquet::<ByteArrayType>(TEXT, builder, 2, &values, None)
}

fn prefix_bomb() -> Vec<u8> {
    let builder = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(256 << 20)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let values = vec![ByteArray::from(vec![b'a'; 1 << 20]); 1000];
    parquet::<ByteArrayType>(TEXT, builder, 2, &values, None)
}

/// One row whose list has 36 million null elements: no values, and levels that are one run.
fn list_bomb() -> Vec<u8> {
    let schema =
        "message m { optional group logits (LIST) { repeated group list { optional float element; } } }";
    let count = 36_000_000;
    let mut repetition = vec![1; count];
    repetition[0] = 0;
    parquet::<FloatType>(schema, WriterProperties::builder(), 1, &[], Some((&vec![2; count], &repetition)))
}

/// A file that is a footer alone.
fn footer(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_le_bytes();
    [b"PAR1", bytes, &length, b"PAR1"].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Version, a schema of its root alone, no rows, and row groups without columns.
fn row_groups() -> Vec<u8> {
    let count = 8_000_000;
    let mut bytes = vec![0x15, 0x02, 0x19, 0x1c, 0x48, 0x01, b'm', 0x15, 0x00, 0x00, 0x16, 0x00, 0x19, 0xfc];
    bytes.extend(varint(count));
    for _ in 0..count {
        bytes.extend([0x19, 0x0c, 0x16, 0x00, 0x16, 0x00, 0x00]);
    }
    bytes.push(0);
    footer(&bytes)
}

/// A root with 8 million groups that are empty.
fn schema_elements() -> Vec<u8> {
    let count = 8_000_000;
    let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
    bytes.extend(varint(count + 1));
    bytes.extend([0x48, 0x01, b'm', 0x15]);
    bytes.extend(varint(count * 2));
    bytes.push(0);
    for _ in 0..count {
        bytes.extend([0x48, 0x01, b'c', 0x15, 0x00, 0x00]);
    }
    bytes.extend([0x16, 0x00, 0x19, 0x0c, 0x00]);
    footer(&bytes)
}

/// `{"KEY": [ITEM,ITEM,…0]}` of 50 MB.
fn in_object(key: &str, item: &str) -> Vec<u8> {
    format!("{{\"{key}\": [{}0]}}\n", item.repeat(50_000_000 / item.len())).into_bytes()
}

fn record_of_commas() -> Vec<u8> {
    b"id,text,label\n".iter().chain(&[b','; 50 << 20]).copied().collect()
}

/// The golden tokenizer with one part replaced.
fn tokenizer(key: &str, value: &str) -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(&seeds::golden("tokenizer.json")).unwrap();
    json[key] = serde_json::from_str(value).unwrap();
    json.to_string().into_bytes()
}

fn nested_normalizers() -> Vec<u8> {
    let open = r#"{"type": "Sequence", "normalizers": ["#.repeat(60);
    tokenizer("normalizer", &format!("{open}{{\"type\": \"NFC\"}}{}", "]}".repeat(60)))
}

fn doubling() -> Vec<u8> {
    let one = r#"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#;
    tokenizer("normalizer", &format!(r#"{{"type": "Sequence", "normalizers": [{}]}}"#, vec![one; 60].join(",")))
}

fn backtracking() -> Vec<u8> {
    let pattern =
        r#"{"type": "Split", "pattern": {"Regex": "(w+w+)+x"}, "behavior": "Isolated", "invert": false}"#;
    tokenizer("pre_tokenizer", pattern)
}

fn any_word() -> Vec<u8> {
    let mut json: serde_json::Value = serde_json::from_slice(&seeds::golden("tokenizer.json")).unwrap();
    json["model"]["max_input_chars_per_word"] = u64::MAX.into();
    json.to_string().into_bytes()
}

/// The golden config with fields changed; the last of a name counts.
fn config(fields: &str) -> Vec<u8> {
    let text = String::from_utf8(seeds::golden("config.json")).unwrap();
    let end = text.rfind('}').unwrap();
    format!("{}, {fields}}}", text[..end].trim_end()).into_bytes()
}

fn wrong_ids() -> Vec<u8> {
    let names: Vec<String> = (0..200_000).map(|id| format!("\"{}\": \"l{id}\"", id * 2)).collect();
    config(&format!("\"id2label\": {{{}}}", names.join(",")))
}

fn header(length: u64, json: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], json].concat()
}

fn million_tensors() -> Vec<u8> {
    let tensors: Vec<String> = (0..1_000_000)
        .map(|number| format!("\"t{number}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect();
    let json = format!("{{{}}}", tensors.join(","));
    header(json.len() as u64, json.as_bytes())
}
