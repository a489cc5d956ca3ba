//! Layouts of other programs, and files that somebody damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use distill_task::TaskId;

use super::*;
use crate::logits::LogitsTable;
use crate::source::{Columns, Label, RawLabel, Source};

pub(super) type Group<'a> = SerializedRowGroupWriter<'a, std::fs::File>;

pub(super) fn file(
    schema: &str,
    properties: WriterProperties,
    fill: impl Fn(&mut Group<'_>),
) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let sink = std::fs::File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    fill(&mut group);
    group.close().unwrap();
    writer.close().unwrap();
    (directory, path)
}

pub(super) fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: &[i16], repetition: &[i16]) {
    let mut column = group.next_column().unwrap().unwrap();
    let levels = (!levels.is_empty()).then_some(levels);
    let repetition = (!repetition.is_empty()).then_some(repetition);
    column.typed::<T>().write_batch(values, levels, repetition).unwrap();
    column.close().unwrap();
}

pub(super) fn texts(values: &[&str]) -> Vec<ByteArray> {
    values.iter().map(|text| ByteArray::from(text.as_bytes().to_vec())).collect()
}

fn list(schema: &str, values: &[f32], levels: &[i16], repetition: &[i16]) -> Vec<Option<Vec<f32>>> {
    let (_directory, path) =
        file(schema, Default::default(), |group| column::<FloatType>(group, values, levels, repetition));
    let file = ParquetFile::open(&path).unwrap();
    let batch = ColumnBatches::new(&file, &["logits"]).unwrap().next_batch().unwrap().unwrap();
    match &batch[0] {
        Column::List(lists) => lists.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_of_every_layout_are_read() {
    let schema =
        "message m { optional group logits (LIST) { repeated group list { optional float element; } } }";
    let lists = list(schema, &[1.0, 2.0, 3.0], &[3, 3, 0, 1, 3], &[0, 1, 0, 0, 0]);
    assert_eq!(lists, [Some(vec![1.0, 2.0]), None, Some(vec![]), Some(vec![3.0])]);
    // a null element is not a number
    assert!(list(schema, &[1.0], &[3, 2], &[0, 1])[0].as_ref().unwrap()[1].is_nan());
    let schema = "message m { optional group logits (LIST) { repeated float array; } }";
    let lists = list(schema, &[1.0, 2.0], &[2, 2, 1, 0], &[0, 1, 0, 0]);
    assert_eq!(lists, [Some(vec![1.0, 2.0]), Some(vec![]), None]);
    let lists = list("message m { repeated float logits; }", &[1.0, 2.0], &[1, 0, 1], &[0, 0, 0]);
    assert_eq!(lists, [Some(vec![1.0]), Some(vec![]), Some(vec![2.0])]);
}

#[test]
fn lists_of_names_and_ids_are_labels_where_a_row_has_several() {
    let names = "message m { required binary text (UTF8); optional group label (LIST) { repeated group list { optional binary element (UTF8); } } }";
    let (_directory, path) = file(names, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a", "b", "c", "d"]), &[], &[]);
        column::<ByteArrayType>(group, &texts(&["x", "y", "x"]), &[3, 3, 1, 0, 3], &[0, 1, 0, 0, 0]);
    });
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::MULTI_LABEL);
    let labels: Vec<_> = source.rows().unwrap().map(|row| row.unwrap().label).collect();
    let name = |name: &str| RawLabel::Name(name.to_owned());
    let list = |names: &[&str]| Some(Label::Classes(names.iter().map(|text| name(text)).collect()));
    assert_eq!(labels, [list(&["x", "y"]), list(&[]), None, list(&["x"])]);

    let ids = "message m { required binary text (UTF8); required group label (LIST) { repeated group list { optional int64 element; } } }";
    let (_directory, path) = file(ids, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a", "b"]), &[], &[]);
        column::<Int64Type>(group, &[2, 0], &[2, 2, 1], &[0, 1, 0]);
    });
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::MULTI_LABEL);
    let mut rows = source.rows().unwrap();
    let first = rows.next().unwrap().unwrap().label;
    assert_eq!(first, Some(Label::Classes(vec![RawLabel::Id(2), RawLabel::Id(0)])));
    let error = rows.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("row 2 (from 1): column \"label\": an empty name among the labels"), "{error}");
}

#[test]
fn labels_and_ids_of_every_physical_type_are_read() {
    let schema = "message m { required int32 id; required binary text (UTF8); optional double label; }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<Int32Type>(group, &[7, 8], &[], &[]);
        column::<ByteArrayType>(group, &texts(&["a", "b"]), &[], &[]);
        column::<DoubleType>(group, &[2.0], &[1, 0], &[]);
    });
    let rows = Source::open(&path, &Columns::default()).unwrap().rows().unwrap();
    let rows: Vec<_> = rows.map(|row| row.unwrap()).collect();
    assert_eq!((rows[0].id.as_str(), rows[1].id.as_str()), ("7", "8"));
    assert_eq!((rows[0].label.clone(), rows[1].label.clone()), (Some(Label::Class(RawLabel::Id(2))), None));

    let schema = "message m { required binary text; required boolean label; required int64 x; }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &[ByteArray::from(vec![b'a', 0xff])], &[], &[]);
        column::<BoolType>(group, &[true], &[], &[]);
        column::<Int64Type>(group, &[1], &[], &[]);
    });
    let error = Source::open(&path, &Columns::default()).unwrap().rows().unwrap().next().unwrap();
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with("a.parquet: row 1 (from 1): column \"text\": not UTF-8 at byte 2"), "{error}");
    let columns = Columns { text: Some("x".into()), ..Default::default() };
    let error = Source::open(&path, &columns).unwrap().rows().err().unwrap().to_string();
    assert!(error.ends_with("column \"x\" holds INTEGER values, expected strings (for text)"), "{error}");
}

#[test]
fn null_texts_and_nested_texts_are_refused() {
    let schema = "message m { optional binary text (UTF8); }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a"]), &[1, 0], &[]);
    });
    let rows: Vec<_> = Source::open(&path, &Columns::default()).unwrap().rows().unwrap().collect();
    assert_eq!(rows.len(), 2);
    let error = rows[1].as_ref().unwrap_err().to_string();
    assert!(error.ends_with("row 2 (from 1): column \"text\": null"), "{error}");

    let schema = "message m { required group text { required binary a; required binary b; } }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a"]), &[], &[]);
        column::<ByteArrayType>(group, &texts(&["b"]), &[], &[]);
    });
    let error = Source::open(&path, &Columns::default()).unwrap().rows().err().unwrap().to_string();
    assert!(error.contains("column \"text\" holds nested values"), "{error}");
}

#[test]
fn delta_encodings_of_other_writers_are_read() {
    for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::PLAIN] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_dictionary_enabled(false)
                .set_data_page_row_count_limit(700)
                .set_write_batch_size(100)
                .set_encoding(encoding)
                .build();
            let written: Vec<String> = (0..3000).map(|n| "ab".repeat(n % 300)).collect();
            let values: Vec<&str> = written.iter().map(String::as_str).collect();
            let levels = vec![1; 3000];
            let schema = "message m { optional binary text (UTF8); }";
            let (_directory, path) =
                file(schema, properties, |group| column::<ByteArrayType>(group, &texts(&values), &levels, &[]));
            let rows = Source::open(&path, &Columns::default()).unwrap().rows().unwrap();
            let found: Vec<String> = rows.map(|row| row.unwrap().text).collect();
            assert_eq!(found, written, "{encoding} {version:?}");
        }
    }
}

#[test]
fn class_names_come_from_the_metadata_of_datasets() {
    let metadata = r#"{"info": {"features": {"text": {"dtype": "string"},
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}"#;
    let pairs = vec![KeyValue::new("huggingface".to_owned(), metadata.to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(pairs)).build();
    let (_directory, path) = file("message m { required binary text; }", properties, |group| {
        column::<ByteArrayType>(group, &texts(&["a"]), &[], &[]);
    });
    let source = Source::open(&path, &Columns::default()).unwrap();
    assert_eq!(source.class_names().unwrap().unwrap(), ["neg", "pos"]);
}

/// Reads every column of a file that can be read at all, and the file as rows and as logits.
fn read_everything(path: &Path) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    let mut count = |fine: bool| if fine { good += 1 } else { bad += 1 };
    let Ok(file) = ParquetFile::open(path) else { return (0, 1) };
    for name in file.column_names() {
        let fine = ColumnBatches::new(&file, &[name]).and_then(|mut batches| {
            while batches.next_batch()?.is_some() {}
            Ok(())
        });
        count(fine.is_ok());
        let columns = Columns { text: Some(name.to_owned()), ..Default::default() };
        let rows = Source::open(path, &columns).and_then(|source| source.rows());
        count(rows.and_then(|rows| rows.collect::<Result<Vec<_>, _>>()).is_ok());
    }
    let rows = LogitsTable::open(path).and_then(|table| table.rows());
    count(rows.and_then(|rows| rows.collect::<Result<Vec<_>, _>>()).is_ok());
    (good, bad)
}

#[test]
fn mutants_of_a_good_file_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let properties = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0).build();
    let schema = "message m { optional binary text (UTF8); optional int32 label;
        optional group logits (LIST) { repeated group list { optional float element; } } }";
    let (_source, path) = file(schema, properties, |group| {
        let values: Vec<String> = (0..60).map(|n| format!("text {}", n % 7)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        column::<ByteArrayType>(group, &texts(&values), &[1; 60], &[]);
        column::<Int32Type>(group, &[1; 60], &[1; 60], &[]);
        let repetition: Vec<i16> = (0..120).map(|n| n % 2).collect();
        column::<FloatType>(group, &[0.5; 120], &[3; 120], &repetition);
    });
    let whole = std::fs::read(&path).unwrap();
    let copy = directory.path().join("copy.parquet");
    let mut seed = 1u64;
    for _ in 0..400 {
        let mut changed = whole.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (seed >> 33) as usize % changed.len();
            changed[at] = (seed >> 24) as u8;
        }
        overwrite(&copy, &changed);
        read_everything(&copy);
    }
}

#[allow(clippy::disallowed_methods)]
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_read_that_the_system_refuses_is_no_damage() {
    use std::io;
    let read = |error| guarded::<()>(Path::new("a.parquet"), || Err(ParquetError::from(error))).unwrap_err();
    let refused = read(io::Error::from_raw_os_error(5));
    assert!(refused.to_string().starts_with("cannot read a.parquet: "), "{refused}");
    assert_eq!(refused.category(), distill_core::Category::Io);
    let early = read(io::Error::from(io::ErrorKind::UnexpectedEof));
    assert_eq!(early.category(), distill_core::Category::Data);
}
