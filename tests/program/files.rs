//! Rows in every format, and copies of the golden model with something changed.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::types::Type;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

use crate::harness::Work;

/// The golden model's labels.
pub const LABELS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

const WORDS: [&str; 12] =
    ["what", "who", "where", "city", "river", "year", "first", "name", "many", "long", "state", "the"];

/// A row with everything.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub text: String,
    pub text_pair: Option<String>,
    pub label: Option<String>,
}

/// Rows of three to nine words, with labels in turn.
pub fn rows(count: usize, prefix: &str) -> Vec<Row> {
    let text = |row: usize| {
        let words = (0..3 + row % 7).map(|word| WORDS[(row * 5 + word * (1 + row % 4)) % WORDS.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    let row = |row: usize| Row {
        id: format!("{prefix}{row}"),
        text: text(row),
        text_pair: None,
        label: Some(LABELS[row % LABELS.len()].to_owned()),
    };
    (0..count).map(row).collect()
}

/// The columns that any of the rows fills, and each row's cells.
fn columns(rows: &[Row]) -> (Vec<&'static str>, Vec<Vec<Option<String>>>) {
    let has_pair = rows.iter().any(|row| row.text_pair.is_some());
    let mut names = vec!["id", "text", "label"];
    names.extend(has_pair.then_some("text_pair"));
    let cells = rows.iter().map(|row| {
        let mut cells = vec![Some(row.id.clone()), Some(row.text.clone()), row.label.clone()];
        cells.extend(has_pair.then(|| row.text_pair.clone()));
        cells
    });
    (names, cells.collect())
}

/// One object a line.
pub fn jsonl(rows: &[Row]) -> String {
    let (names, cells) = columns(rows);
    let object = |cells: &Vec<Option<String>>| {
        Value::Object(names.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), json!(cell))).collect())
    };
    cells.iter().map(|cells| format!("{}\n", object(cells))).collect()
}

/// A header and quoted fields.
pub fn separated(rows: &[Row], separator: &str) -> String {
    let (names, cells) = columns(rows);
    let quoted =
        |cell: &Option<String>| format!("\"{}\"", cell.as_deref().unwrap_or_default().replace('"', "\"\""));
    let line =
        |cells: &Vec<Option<String>>| cells.iter().map(quoted).collect::<Vec<_>>().join(separator) + "\n";
    format!("{}\n{}", names.join(separator), cells.iter().map(line).collect::<String>())
}

/// String columns, nulls where a row has nothing.
pub fn parquet(rows: &[Row]) -> Vec<u8> {
    let (names, cells) = columns(rows);
    let field = |name: &&str| {
        let builder =
            Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(Repetition::OPTIONAL);
        let builder =
            builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8);
        Arc::new(builder.build().unwrap())
    };
    let schema =
        Type::group_type_builder("schema").with_fields(names.iter().map(field).collect()).build().unwrap();
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(&mut bytes, Arc::new(schema), properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for column in 0..names.len() {
        let values: Vec<ByteArray> =
            cells.iter().filter_map(|cells| cells[column].as_deref().map(ByteArray::from)).collect();
        let levels: Vec<i16> = cells.iter().map(|cells| i16::from(cells[column].is_some())).collect();
        let mut writer = group.next_column().unwrap().unwrap();
        writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
    bytes
}

/// The rows of a Parquet file, as JSON, as the `parquet` crate reads them by itself.
pub fn records(work: &Work, name: &str) -> Vec<Value> {
    let reader = SerializedFileReader::new(std::fs::File::open(work.path(name)).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect())
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Str(text) => json!(text),
        Field::Int(number) => json!(number),
        Field::Long(number) => json!(number),
        Field::Float(number) => json!(number),
        Field::Bytes(bytes) => json!(bytes.data()),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}

/// A tensor as it lies in a file: number format, shape, bytes.
pub type RawTensor = (Dtype, Vec<usize>, Vec<u8>);

/// Copies the golden model to `name`.
#[allow(clippy::disallowed_methods)]
pub fn copy_model(work: &Work, name: &str) {
    std::fs::create_dir(work.path(name)).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        std::fs::copy(work.path("tiny").join(file), work.path(name).join(file)).unwrap();
    }
}

/// A copy of the golden model with a changed JSON file.
pub fn with_json(work: &Work, name: &str, file: &str, change: impl FnOnce(&mut Value)) {
    copy_model(work, name);
    let mut json = work.json(&format!("{name}/{file}"));
    change(&mut json);
    work.write(&format!("{name}/{file}"), json.to_string());
}

/// A copy of the golden model with changed weights.
pub fn with_weights(work: &Work, name: &str, change: impl FnOnce(&mut HashMap<String, RawTensor>)) {
    copy_model(work, name);
    let file = format!("{name}/model.safetensors");
    let bytes = work.bytes(&file);
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let raw = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors = whole.tensors().into_iter().map(|(name, view)| (name, raw(view))).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    work.write(&file, safetensors::serialize(views, Some(metadata)).unwrap());
}
