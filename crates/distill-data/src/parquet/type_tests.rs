//! Every type of a Parquet column in every role: read by what it means, or refused by name before a row is read.

use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_task::{Span, TaskId};
use serde_json::{Value as Json, json};

use super::tests::{column, file, texts};
use super::*;
use crate::source::{Columns, Label, RawLabel, Row, Source, Summary};
use ::parquet::basic::Encoding;
use ::parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
};
use ::parquet::file::properties::WriterProperties;

fn golden(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/rows")).join(name)
}

fn read(path: &Path, columns: &Columns, kind: TaskId) -> Result<Vec<Row>, String> {
    let source = Source::open(path, columns).map_err(|error| error.to_string())?.labelled(kind);
    let rows = source.rows().map_err(|error| error.to_string())?;
    rows.map(|row| row.map_err(|error| error.to_string())).collect()
}

/// The values of a column in one role.
fn in_role(path: &Path, name: &str, role: &str) -> Result<Vec<Json>, String> {
    let named = Some(name.to_owned());
    let text = Some("a_text".to_owned());
    let (columns, kind) = match role {
        "text" => (Columns { text: named, ..Columns::default() }, TaskId::SINGLE_LABEL),
        "id" => (Columns { id: named, text, ..Columns::default() }, TaskId::SINGLE_LABEL),
        "class" => (Columns { label: named, text, ..Columns::default() }, TaskId::SINGLE_LABEL),
        _ => (Columns { label: named, text, ..Columns::default() }, TaskId::REGRESSION),
    };
    let value = |row: Row| match role {
        "text" => json!(row.text),
        "id" => json!(row.id),
        _ => json!(row.label),
    };
    Ok(read(path, &columns, kind)?.into_iter().map(value).collect())
}

#[test]
fn every_type_in_every_role_is_what_pyarrow_says_or_refused_by_name() {
    for name in ["types", "decimals", "decimals-as-integers", "int96"] {
        let path = golden(&format!("{name}.parquet"));
        let expected: Json =
            serde_json::from_slice(&std::fs::read(golden(&format!("{name}.json"))).unwrap()).unwrap();
        for (column, roles) in expected.as_object().unwrap() {
            for (role, values) in roles.as_object().unwrap() {
                match (in_role(&path, column, role), values.as_array()) {
                    (Ok(found), Some(values)) => assert_eq!(&found, values, "{name} {column} {role}"),
                    (Err(error), None) => {
                        assert!(error.contains(&format!("{column:?}")), "{name} {role}: {error}");
                    }
                    (found, _) => panic!("{name} {column} {role}: {found:?}, expected {values}"),
                }
            }
        }
    }
}

#[test]
fn a_type_that_cannot_be_read_is_named_with_its_column_and_role() {
    let day = ByteArray::from(vec![0; 12]);
    let cases = [
        ("binary x (BSON)", "text", r#"column "x" holds BSON values, expected strings (for text)"#),
        ("fixed_len_byte_array(12) x (INTERVAL)", "id", r#"holds INTERVAL values, expected strings or whole"#),
        ("binary x (DECIMAL(40,2))", "class", r#"holds DECIMAL(40,2) values, expected one name or id per row"#),
    ];
    for (schema, role, problem) in cases {
        let schema = format!("message m {{ required binary a_text (UTF8); required {schema}; }}");
        let (_directory, path) = file(&schema, Default::default(), |group| {
            column::<ByteArrayType>(group, &texts(&["a"]), &[], &[]);
            match schema.contains("fixed") {
                true => {
                    column::<FixedLenByteArrayType>(group, &[FixedLenByteArray::from(day.clone())], &[], &[]);
                }
                false => column::<ByteArrayType>(group, std::slice::from_ref(&day), &[], &[]),
            }
        });
        let error = in_role(&path, "x", role).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    let error = in_role(&golden("types.parquet"), "date32", "number").unwrap_err();
    assert!(error.ends_with(r#"column "date32" holds DATE values, expected numbers (for label)"#), "{error}");
    let error = in_role(&golden("types.parquet"), "uint64", "text").unwrap_err();
    assert!(error.contains("unsigned INTEGER values, expected strings (for text)"), "{error}");
}

#[test]
fn decimals_in_bytes_of_any_length_and_enums_are_read() {
    let schema = "message m { required binary a_text (ENUM); required binary amount (DECIMAL(38,1)); }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["A", "B"]), &[], &[]);
        let values = [vec![0x0f], vec![0xff, 0xff, 0xf6]].map(ByteArray::from);
        column::<ByteArrayType>(group, &values, &[], &[]);
    });
    assert_eq!(in_role(&path, "amount", "number").unwrap(), [json!(1.5), json!(-1.0)]);
    assert_eq!(in_role(&path, "a_text", "text").unwrap(), [json!("A"), json!("B")]);
    let error = in_role(&path, "amount", "class").unwrap_err();
    assert!(error.ends_with(r#"column "amount": 1.5 is neither a name nor a whole number"#), "{error}");
}

#[test]
fn lists_are_read_by_the_type_of_their_elements() {
    let schema = "message m { required binary text (UTF8); optional group label (LIST) { repeated group list {
        optional fixed_len_byte_array(2) element (DECIMAL(3,1)); } } }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a"]), &[], &[]);
        let values = [20, 10].map(|tenths| FixedLenByteArray::from(ByteArray::from(vec![0, tenths])));
        column::<FixedLenByteArrayType>(group, &values, &[3, 3], &[0, 1]);
    });
    let rows = read(&path, &Columns::default(), TaskId::MULTI_LABEL).unwrap();
    assert_eq!(rows[0].label, Some(Label::Classes(vec![RawLabel::Id(2), RawLabel::Id(1)])));
    let error = read(&path, &Columns::default(), TaskId::SINGLE_LABEL).unwrap_err();
    assert!(error.contains("holds lists of DECIMAL(3,1) values, expected one name or id per row"), "{error}");
}

#[test]
fn brotli_is_not_supported_which_is_no_damage() {
    let error = Source::open(&golden("brotli.parquet"), &Columns::default()).unwrap().rows().err().unwrap();
    let text = error.to_string();
    assert!(text.contains("compressed with Brotli, which is not supported; write it with zstd"), "{text}");
    assert!(!text.contains("damaged") && error.category() == distill_core::Category::Data);
}

/// What pandas writes of any 1,024 different texts above 33 kB: one dictionary page of more than 32 MiB.
#[test]
fn a_dictionary_may_be_as_large_as_a_data_page() {
    let properties = WriterProperties::builder()
        .set_dictionary_page_size_limit(64 << 20)
        .set_compression(::parquet::basic::Compression::SNAPPY)
        .build();
    let values: Vec<ByteArray> =
        (0..1024).map(|n| ByteArray::from(format!("{n}{}", "x".repeat(36_000)).into_bytes())).collect();
    let (_directory, path) = file("message m { required binary text (UTF8); }", properties, |group| {
        column::<ByteArrayType>(group, &values, &[], &[]);
    });
    let footer = ParquetFile::open(&path).unwrap();
    let encodings: Vec<Encoding> = footer.metadata.row_group(0).column(0).encodings().collect();
    assert!(encodings.contains(&Encoding::RLE_DICTIONARY), "{encodings:?}");
    let summary = Summary::scan(&Source::open(&path, &Columns::default()).unwrap(), &StopSignal::default());
    assert_eq!(summary.unwrap().rows, 1024);
}

#[test]
fn a_dictionary_of_single_bytes_is_read() {
    let schema =
        "message m { required binary text (UTF8); required fixed_len_byte_array(1) label (DECIMAL(2,0)); }";
    let (_directory, path) = file(schema, Default::default(), |group| {
        column::<ByteArrayType>(group, &texts(&["a", "b", "c"]), &[], &[]);
        let values = [1, 2, 3].map(|id| FixedLenByteArray::from(ByteArray::from(vec![id])));
        column::<FixedLenByteArrayType>(group, &values, &[], &[]);
    });
    let found = read(&path, &Columns::default(), TaskId::SINGLE_LABEL).unwrap();
    let found: Vec<_> = found.into_iter().map(|row| row.label.unwrap()).collect();
    assert_eq!(found, [1, 2, 3].map(|id| Label::Class(RawLabel::Id(id))));
}

/// SQuAD as `datasets` writes it: a struct of two lists.
#[test]
fn answers_are_lists_inside_a_group() {
    let list = |name: &str, element: &str| {
        format!("optional group {name} (LIST) {{ repeated group list {{ optional {element}; }} }}")
    };
    let schema = format!(
        "message m {{ required binary question (UTF8); required binary context (UTF8); optional group answers {{ {} {} }} }}",
        list("text", "binary element (UTF8)"),
        list("answer_start", "int32 element")
    );
    let write = |starts: &[i32]| {
        file(&schema, Default::default(), |group| {
            column::<ByteArrayType>(group, &texts(&["q", "q", "q"]), &[], &[]);
            column::<ByteArrayType>(group, &texts(&["a bc", "é", "x"]), &[], &[]);
            // Two answers, none, and no word of answers.
            column::<ByteArrayType>(group, &texts(&["bc", "a"]), &[4, 4, 2, 0], &[0, 1, 0, 0]);
            let levels: Vec<i16> = starts.iter().map(|_| 4).chain([2, 0]).collect();
            let repetition: Vec<i16> = (0..starts.len()).map(|at| i16::from(at > 0)).chain([0, 0]).collect();
            column::<Int32Type>(group, starts, &levels, &repetition);
        })
    };
    let (_directory, path) = write(&[2, 0]);
    let rows = read(&path, &Columns::default(), TaskId::QUESTION_ANSWERING).unwrap();
    let labels: Vec<_> = rows.into_iter().map(|row| row.label).collect();
    let span = |start, end| Span { start, end };
    assert_eq!(labels, [Some(Label::Spans(vec![span(2, 4), span(0, 1)])), Some(Label::Spans(vec![])), None]);
    let (_directory, path) = write(&[2, 1]);
    let error = read(&path, &Columns::default(), TaskId::QUESTION_ANSWERING).unwrap_err();
    assert!(
        error.contains("row 1 (from 1): column \"answers\": the answer \"a\" is not at character 1"),
        "{error}"
    );
    let (_directory, path) = write(&[2]);
    let error = read(&path, &Columns::default(), TaskId::QUESTION_ANSWERING).unwrap_err();
    assert!(error.contains("2 texts and 1 answer_starts"), "{error}");
    let columns =
        Columns { label: Some("question".to_owned()), text: Some("context".to_owned()), ..Columns::default() };
    let error = read(&path, &columns, TaskId::QUESTION_ANSWERING).unwrap_err();
    assert!(error.contains("expected a struct of the lists text (strings) and answer_start"), "{error}");
}

/// The same as a list of structs, under the names that different writers give to the groups of a list.
#[test]
fn answers_are_a_list_of_groups() {
    let question = "required binary question (UTF8); required binary context (UTF8);";
    for (list, element) in [("list", "element"), ("bag", "array_element")] {
        let schema = format!(
            "message m {{ {question} optional group answers (LIST) {{ repeated group {list} {{ optional group {element} {{ \
             optional binary text (UTF8); required int32 answer_start; optional double score; }} }} }} }}"
        );
        let write = |texts_of_rows: &[&str], levels: &[i16]| {
            file(&schema, Default::default(), |group| {
                column::<ByteArrayType>(group, &texts(&["q", "q", "q"]), &[], &[]);
                column::<ByteArrayType>(group, &texts(&["a bc", "é", "x"]), &[], &[]);
                // Two answers, none, and no word of answers.
                column::<ByteArrayType>(group, &texts(texts_of_rows), levels, &[0, 1, 0, 0]);
                column::<Int32Type>(group, &[2, 0], &[3, 3, 1, 0], &[0, 1, 0, 0]);
                column::<DoubleType>(group, &[0.5, 0.5], &[4, 4, 1, 0], &[0, 1, 0, 0]);
            })
        };
        let (_directory, path) = write(&["bc", "a"], &[4, 4, 1, 0]);
        let rows = read(&path, &Columns::default(), TaskId::QUESTION_ANSWERING).unwrap();
        let labels: Vec<_> = rows.into_iter().map(|row| row.label).collect();
        let span = |start, end| Span { start, end };
        assert_eq!(
            labels,
            [Some(Label::Spans(vec![span(2, 4), span(0, 1)])), Some(Label::Spans(vec![])), None]
        );
        let (_directory, path) = write(&["bc"], &[4, 3, 1, 0]);
        let error = read(&path, &Columns::default(), TaskId::QUESTION_ANSWERING).unwrap_err();
        assert!(error.contains("row 1 (from 1): column \"answers\": the text of an answer is null"), "{error}");
    }
}
