//! The good files that are damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::LabelMap;
use distill_core::hash::text_hash;
use distill_data::logits::{Fingerprint, LogitsRow, LogitsWriter, WriterOptions};
use distill_task::{Label, TaskId};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// The golden model, three layers and five labels.
pub fn tiny(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert-tiny").join(file)
}

pub fn golden(file: &str) -> Vec<u8> {
    std::fs::read(tiny(file)).unwrap()
}

/// Texts with repeated words, so that dictionaries and prefixes have something to do.
pub fn text(row: usize) -> String {
    const WORDS: [&str; 6] = ["what", "who", "city", "river", "née", "the"];
    (0..2 + row % 5).map(|word| WORDS[(row * 5 + word) % 6]).collect::<Vec<_>>().join(" ")
}

/// The same rows from several writers: plain and dictionary, both page versions, every codec, lists of three
/// layouts, and distill's own.
pub fn parquets() -> Vec<Vec<u8>> {
    let builder = WriterProperties::builder;
    let plain = builder().set_dictionary_enabled(false);
    let delta = builder()
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_encoding("id".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .set_column_encoding("label".into(), Encoding::DELTA_BINARY_PACKED);
    let mut files = vec![flat(builder()), flat(plain), flat(delta), nested(builder())];
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
    ] {
        files.push(flat(builder().set_compression(codec)));
        files.push(nested(builder().set_compression(codec).set_writer_version(WriterVersion::PARQUET_2_0)));
    }
    files.push(own(WriterOptions::default()));
    files.push(own(WriterOptions { float16: true, row_group_rows: 7, ..Default::default() }));
    files.push(own_lists());
    files.push(own_words());
    files
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn file(schema: &str, builder: WriterPropertiesBuilder, fill: impl Fn(&mut Group<'_>)) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(builder.set_created_by("seed".to_owned()).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        fill(&mut group);
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: &[i16], repetition: &[i16]) {
    let mut column = group.next_column().unwrap().unwrap();
    let levels = (!levels.is_empty()).then_some(levels);
    let repetition = (!repetition.is_empty()).then_some(repetition);
    column.typed::<T>().write_batch(values, levels, repetition).unwrap();
    column.close().unwrap();
}

fn flat(builder: WriterPropertiesBuilder) -> Vec<u8> {
    let schema = "message m { required binary id (UTF8); optional binary text (UTF8); optional int64 label; }";
    file(schema, builder, |group| {
        let bytes = |text: String| ByteArray::from(text.into_bytes());
        let ids: Vec<ByteArray> = (0..30).map(|row| bytes(format!("row-{row}"))).collect();
        let texts: Vec<ByteArray> = (0..30).map(|row| bytes(text(row))).collect();
        column::<ByteArrayType>(group, &ids, &[], &[]);
        column::<ByteArrayType>(group, &texts, &[1; 30], &[]);
        let levels: Vec<i16> = (0..30).map(|row| i16::from(row % 3 > 0)).collect();
        column::<Int64Type>(group, &(0..20).map(|row| row % 4).collect::<Vec<_>>(), &levels, &[]);
    })
}

fn nested(builder: WriterPropertiesBuilder) -> Vec<u8> {
    let schema = "message m {
        optional group logits (LIST) { repeated group list { optional float element; } }
        optional group doubles (LIST) { repeated double array; }
        required group text { optional binary a; repeated int32 b; }
        optional int32 label; }";
    file(schema, builder, |group| {
        let repetition: Vec<i16> = (0..60).map(|at| at % 2).collect();
        let numbers: Vec<f32> = (0..60).map(|at| at as f32 / 7.0).collect();
        column::<FloatType>(group, &numbers, &[3; 60], &repetition);
        column::<DoubleType>(
            group,
            &numbers.iter().map(|n| f64::from(*n)).collect::<Vec<_>>(),
            &[2; 60],
            &repetition,
        );
        let texts: Vec<ByteArray> = (0..30).map(|row| ByteArray::from(text(row).into_bytes())).collect();
        column::<ByteArrayType>(group, &texts, &[1; 30], &[]);
        column::<Int32Type>(group, &[7; 60], &[1; 60], &repetition);
        column::<Int32Type>(group, &[1; 30], &[1; 30], &[]);
    })
}

/// Three shards' worth of rows with the five labels of the golden model.
pub fn logits_rows(first: usize, count: usize) -> Vec<LogitsRow> {
    (first..first + count)
        .map(|row| LogitsRow {
            row: row as i64,
            id: format!("row-{row}"),
            text_hash: text_hash(&text(row), None),
            text: Some(text(row)),
            text_pair: None,
            label: (row % 3 > 0).then_some(Label::Class((row % 5) as i32)),
            logits: (0..5).map(|class| (row * 7 + class * 3) as f32 / 11.0 - 2.0).collect(),
            ..LogitsRow::default()
        })
        .collect()
}

pub fn fingerprint() -> Fingerprint {
    Fingerprint {
        format_version: Fingerprint::FORMAT_VERSION,
        teacher_weights: "1".repeat(64),
        tokenizer: "2".repeat(64),
        label_map: LabelMap::new(["alpha", "beta", "gamma", "delta", "epsilon"]).unwrap(),
        problem_type: TaskId::SINGLE_LABEL,
        max_length: 32,
        dtype: "f32".to_owned(),
        dataset: "3".repeat(64),
    }
}

/// Rows of different ids, with their texts, as distill writes them.
pub fn own_rows() -> Vec<u8> {
    own(WriterOptions::default())
}

fn own(options: WriterOptions) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.parquet");
    let mut writer = LogitsWriter::create(&path, &fingerprint(), options).unwrap();
    writer.write(&logits_rows(0, 20)).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// A table whose rows have lists of classes.
fn own_lists() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.parquet");
    let fingerprint = Fingerprint { problem_type: TaskId::MULTI_LABEL, ..fingerprint() };
    let mut writer = LogitsWriter::create(&path, &fingerprint, WriterOptions::default()).unwrap();
    let lists = logits_rows(0, 20).into_iter().map(|row| {
        let label =
            row.label.as_ref().map(|label| Label::Classes((0..*label.classes().next().unwrap()).collect()));
        LogitsRow { label, ..row }
    });
    writer.write(&lists.collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// A table whose rows have words, each with logits.
fn own_words() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.parquet");
    let task = TaskId::TOKEN_CLASSIFICATION;
    let format_version = Fingerprint::version_of(task);
    let fingerprint = Fingerprint { problem_type: task, format_version, ..fingerprint() };
    let mut writer = LogitsWriter::create(&path, &fingerprint, WriterOptions::default()).unwrap();
    let rows = logits_rows(0, 20).into_iter().map(|row| {
        let words: Vec<String> = row.text.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect();
        let label =
            row.label.map(|_| Label::Tags((0..words.len() as i32).map(|word| Some(word % 5)).collect()));
        let positions: Vec<i32> = (0..words.len() as i32).filter(|word| word % 3 != 1).collect();
        let logits = (0..positions.len() * 5).map(|at| at as f32 / 7.0).collect();
        LogitsRow { tokens: Some(words), label, positions, logits, ..row }
    });
    writer.write(&rows.collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// Words of a row with a tag each.
fn tagged(row: usize) -> Vec<(String, &'static str)> {
    const TAGS: [&str; 4] = ["B-PER", "I-PER", "O", "B-LOC"];
    (0..2 + row % 4).map(|word| (text(row + word).replace(' ', "\u{a0}"), TAGS[word % 4])).collect()
}

pub fn words_jsonl() -> Vec<u8> {
    let line = |row: usize| {
        let (words, tags): (Vec<String>, Vec<&str>) = tagged(row).into_iter().unzip();
        format!("{{\"id\": \"r{row}\", \"tokens\": {words:?}, \"tags\": {tags:?}, \"x\": [1, {{}}]}}\n")
    };
    (0..20).map(line).collect::<String>().into_bytes()
}

/// Columns between spaces and between tabs.
pub fn word_columns() -> Vec<Vec<u8>> {
    let file = |separator: &str| {
        let line = |(word, tag): (String, &str)| format!("{word}{separator}NN{separator}{tag}\n");
        let sentence = |row: usize| tagged(row).into_iter().map(line).collect::<String>() + "\n";
        format!(
            "-DOCSTART-{separator}-X-{separator}O\n\n# a comment\n{}",
            (0..15).map(sentence).collect::<String>()
        )
    };
    vec![file(" ").into_bytes(), file("\t").into_bytes()]
}

pub fn plain_text() -> Vec<u8> {
    "One line.\nAnother one, of é and 三.\n\nA second document.\r\n\n \nA third".into()
}

pub fn conllu() -> Vec<u8> {
    let sentence = |row: usize| {
        let line = |(number, (word, _)): (usize, (String, &str))| {
            format!("{number}\t{word}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n")
        };
        let lines: String = (1..).zip(tagged(row)).map(line).collect();
        format!("# sent_id = {row}\n0.1\tx{0}\n1-2\tab{0}\n{lines}\n", "\t_".repeat(8))
    };
    (0..15).map(sentence).collect::<String>().into_bytes()
}

/// A question with a text, and an answer of its second word.
fn question(row: usize) -> (String, String, String) {
    let context = text(row);
    let answer = context.split(' ').nth(1).unwrap_or_default().to_owned();
    let start = context.split(' ').next().unwrap_or_default().chars().count() + 1;
    (text(row + 3), context, format!("{{\"text\": [{answer:?}], \"answer_start\": [{start}]}}"))
}

pub fn answers_jsonl() -> Vec<u8> {
    let line = |row: usize| {
        let (question, context, answers) = question(row);
        format!("{{\"question\": {question:?}, \"context\": {context:?}, \"answers\": {answers}}}\n")
    };
    (0..20).map(line).collect::<String>().into_bytes()
}

pub fn squad() -> Vec<u8> {
    let paragraph = |row: usize| {
        let (question, context, answers) = question(row);
        let answers = answers.replace(['[', ']'], "");
        format!(
            "{{\"context\": {context:?}, \"qas\": [{{\"id\": \"q{row}\", \"question\": {question:?}, \"answers\": \
             [{answers}]}}, {{\"id\": \"n{row}\", \"question\": \"\", \"answers\": [], \"is_impossible\": true}}]}}"
        )
    };
    let paragraphs: Vec<String> = (0..10).map(paragraph).collect();
    format!("{{\"version\": \"2\", \"data\": [{{\"paragraphs\": [{}]}}]}}", paragraphs.join(", ")).into_bytes()
}

pub fn jsonl() -> Vec<u8> {
    let line = |row: usize| {
        let label = ["\"alpha\"", "null", "\"beta\""][row % 3];
        format!(
            "{{\"id\": \"r{row}\", \"text\": \"{}\\u00e9\\ud83d\\ude00\", \"label\": {label}, \"x\": [1, {{}}]}}\n",
            text(row)
        )
    };
    (0..20).map(line).collect::<String>().into_bytes()
}

pub fn separated(separator: char) -> Vec<u8> {
    let line = |row: usize| {
        format!("\"r{row}\"{separator}\"{}, \"\"so\"\"\n{row}\"{separator}{}\r\n", text(row), row % 3)
    };
    let header = format!("id{separator}text{separator}label\r\n");
    (header + &(0..20).map(line).collect::<String>()).into_bytes()
}

pub fn logits_jsonl() -> Vec<u8> {
    let line = |row: usize| {
        let hash = "0123456789abcdef".repeat(2);
        format!(
            "{{\"row\": {row}, \"id\": \"r{row}\", \"label\": {}, \"text_hash\": \"{hash}\", \"logits\": [0.5, -1.25e1, {row}]}}\n",
            row % 3
        )
    };
    (0..20).map(line).collect::<String>().into_bytes()
}

/// Tokenizers of every model kind that the library knows, after the golden one.
pub fn tokenizers() -> Vec<Vec<u8>> {
    let outer = |normalizer: &str, pre_tokenizer: &str, processor: &str, model: &str| {
        format!(
            r#"{{"version": "1.0", "truncation": {{"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 2}},
            "padding": {{"strategy": {{"Fixed": 9}}, "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 0, "pad_type_id": 0, "pad_token": "<p>"}},
            "added_tokens": [{{"id": 0, "content": "<p>", "single_word": false, "lstrip": true, "rstrip": true, "normalized": true, "special": true}},
            {{"id": 1, "content": "<s>", "single_word": true, "lstrip": false, "rstrip": false, "normalized": false, "special": true}}],
            "normalizer": {normalizer}, "pre_tokenizer": {pre_tokenizer}, "post_processor": {processor}, "decoder": null, "model": {model}}}"#
        )
        .into_bytes()
    };
    let bpe = r#"{"type": "BPE", "dropout": null, "unk_token": "<p>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": true, "byte_fallback": false, "vocab": {"<p>": 0, "<s>": 1, "w": 2, "h": 3, "a": 4, "t": 5, "wh": 6, "at": 7, "what": 8},
        "merges": ["w h", "a t", "wh at"]}"#;
    let unigram = r#"{"type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<p>", 0.0], ["<s>", -1.5], ["▁", -2.0], ["what", -3.25], ["▁who", -3.5], ["e", -9.0]]}"#;
    let word_level =
        r#"{"type": "WordLevel", "vocab": {"<p>": 0, "<s>": 1, "what": 2, "who": 3}, "unk_token": "<p>"}"#;
    let byte_level =
        r#"{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}"#;
    let sequence = r#"{"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Lowercase"}, {"type": "Prepend", "prepend": "▁"}, {"type": "Strip", "strip_left": true, "strip_right": true}]}"#;
    let splits = r#"{"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+|[0-9]{1,3}"}, "behavior": "Isolated", "invert": false},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}, {"type": "Digits", "individual_digits": true},
        {"type": "Punctuation", "behavior": "Contiguous"}]}"#;
    let template = r#"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}"#;
    let roberta = r#"{"type": "RobertaProcessing", "sep": ["<s>", 1], "cls": ["<p>", 0], "trim_offsets": true, "add_prefix_space": false}"#;
    vec![
        golden("tokenizer.json"),
        outer("null", byte_level, roberta, bpe),
        outer(sequence, splits, template, unigram),
        outer(r#"{"type": "NFD"}"#, r#"{"type": "Whitespace"}"#, template, word_level),
    ]
}

/// Tokens beyond the vocabulary, with their ids.
pub const ADDED_TOKENS: &str = "{\"[NEW]\": 98, \"née\": 99, \" two words \": 100, \"<b>\": 101}\n";

/// Special tokens by their names, as text and as objects.
pub const SPECIAL_TOKENS: &str = r#"{"cls_token": "[CLS]", "mask_token": {"content": "[MASK]", "lstrip": true, "rstrip": false, "normalized": false,
    "single_word": false}, "sep_token": "[SEP]", "additional_special_tokens": ["<one>", {"content": "<two>", "lstrip": false}]}"#;

/// A vocabulary in pieces, and how they are put together.
pub const VOCABULARY: &str = r#"{"<s>": 0, "</s>": 1, "<unk>": 2, "<pad>": 3, "<mask>": 4, "w": 5, "h": 6, "a": 7, "t": 8, "wh": 9, "at": 10, "what": 11}"#;
pub const MERGES: &str = "#version: 0.2\nw h\na t\nwh at\n";

/// A settings file with every table.
pub const SETTINGS: &str = r#"out = "runs/x"
[runtime]
device = "cpu"
threads = 2
seed = 7
[data]
train = "a.jsonl"
validation = 0.1
test = "b.jsonl"
max_length = 32
columns = { id = "i", text = "t" }
[finetune]
model = "m"
epochs = 4
learning_rate = 1e-4
[teacher]
batch_tokens = 512
float16 = true
[student]
layers = [0, 2, 4]
temperature = 2.0
hard_weight = 0.1
soft_weight = 0.9
no_teacher_baseline = true
[report]
gates = ["kept.accuracy >= 0.97", "accuracy > 0.5"]
confidence = 0.95
"#;
