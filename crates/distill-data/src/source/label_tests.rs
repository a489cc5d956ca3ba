//! Labels that can be read in two ways: the right one, which is said, or none.

use std::io::Write;

use distill_core::{LabelMap, StopSignal};
use distill_task::{Label, TaskId};

use super::*;

const SEVERAL: TaskId = TaskId::MULTI_LABEL;
const ONE: TaskId = TaskId::SINGLE_LABEL;

/// A file of rows, read once.
struct Read {
    _directory: tempfile::TempDir,
    source: Source,
    summary: Summary,
}

type Classes = Vec<Option<Label<i32>>>;

impl Read {
    fn asked(
        name: &str,
        text: &str,
        kind: TaskId,
        label_type: Option<LabelType>,
        names: Option<LabelNames>,
    ) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        let source =
            Source::open(&path, &Columns::default()).unwrap().labelled(kind).with_labels(label_type, names);
        let summary = Summary::scan(&source, &StopSignal::default()).map_err(|error| error.to_string())?;
        Ok(Read { _directory: directory, source, summary })
    }

    fn of(name: &str, text: &str, kind: TaskId) -> Self {
        Read::asked(name, text, kind, None, None).unwrap()
    }

    /// Ids in a model's map.
    fn for_map(&self, names: &[&str]) -> Result<Classes, String> {
        let map = LabelMap::new(names.iter().copied()).unwrap();
        let fitted = self.summary.fit(&self.source, &map).map_err(|error| error.to_string())?;
        self.resolved(&map, fitted)
    }

    /// The map of the data, and ids in it.
    fn own(&self) -> Result<(Vec<String>, Classes), String> {
        let (map, fitted) = self.summary.own_map(&self.source).map_err(|error| error.to_string())?;
        Ok((map.names().to_vec(), self.resolved(&map, fitted)?))
    }

    fn resolved(&self, map: &LabelMap, fitted: Fitted) -> Result<Classes, String> {
        let counted: u64 = self.summary.counts(&fitted.reading).values().sum();
        let source = self.source.clone().read_by(fitted.reading);
        let rows = source.rows().unwrap().map(|row| {
            let row = row.map_err(|error| error.to_string())?;
            let label = row.label.map(|label| resolve(&label, map, &row.place, "label")).transpose();
            label.map_err(|error| error.to_string())
        });
        let rows: Classes = rows.collect::<Result<_, _>>()?;
        let found: usize = rows.iter().flatten().map(|label| label.classes().count()).sum();
        assert_eq!(counted, found as u64, "what is counted is what is read");
        Ok(rows)
    }

    fn notes(&self) -> String {
        self.summary.notes.iter().map(|note| format!("{note}\n")).collect()
    }
}

fn csv(labels: &[&str]) -> String {
    labels.iter().fold("text,label\n".to_owned(), |text, label| format!("{text}x,\"{label}\"\n"))
}

fn jsonl(labels: &[&str]) -> String {
    labels.iter().map(|label| format!("{{\"text\": \"x\", \"label\": {label}}}\n")).collect()
}

fn ids(ids: &[i32]) -> Classes {
    ids.iter().map(|id| Some(Label::Class(*id))).collect()
}

fn lists(lists: &[&[i32]]) -> Classes {
    lists.iter().map(|list| Some(Label::Classes(list.to_vec()))).collect()
}

#[test]
fn names_in_digits_win_in_every_format() {
    let stars = ["1", "2", "3", "4", "5"];
    for (name, text) in
        [("a.csv", csv(&["1", "5"])), ("a.jsonl", jsonl(&["1", "5"])), ("a.jsonl", jsonl(&["\"1\"", "\"5\""]))]
    {
        let read = Read::of(name, &text, ONE);
        assert_eq!(read.for_map(&stars).unwrap(), ids(&[0, 4]), "{text}");
    }
    let read = Read::of("a.csv", &csv(&["0", "4"]), ONE);
    assert!(read.for_map(&stars).unwrap_err().contains("unknown label \"0\""));
    let read = Read::asked("a.csv", &csv(&["0", "4"]), ONE, Some(LabelType::Id), None).unwrap();
    assert_eq!(read.for_map(&stars).unwrap(), ids(&[0, 4]));
    // Names that are their ids, and names of which some are numbers.
    assert_eq!(Read::of("a.csv", &csv(&["0", "1"]), ONE).for_map(&["0", "1"]).unwrap(), ids(&[0, 1]));
    let read = Read::of("a.csv", &csv(&["0", "1"]), ONE);
    assert_eq!(read.for_map(&["1", "none"]).unwrap(), ids(&[0, 1]));
    let map = LabelMap::new(["1", "none"]).unwrap();
    assert!(read.summary.fit(&read.source, &map).unwrap().notes[0].is_warning);
    assert_eq!(
        Read::of("a.jsonl", &jsonl(&["[1]", "[2, 1]"]), SEVERAL).for_map(&stars).unwrap(),
        lists(&[&[0], &[0, 1]])
    );
}

#[test]
fn leading_zeros_make_names() {
    let read = Read::of("a.csv", &csv(&["01", "1", "007", "7"]), ONE);
    assert_eq!(read.own().unwrap(), (["01", "1", "007", "7"].map(str::to_owned).to_vec(), ids(&[0, 1, 2, 3])));
    assert!(read.notes().contains("some, such as \"01\", have leading zeros: all are read as names"));
    let read = Read::asked("a.csv", &csv(&["01", "0"]), ONE, Some(LabelType::Id), None).unwrap();
    assert_eq!(read.own().unwrap(), (["LABEL_0", "LABEL_1"].map(str::to_owned).to_vec(), ids(&[1, 0])));
}

#[test]
fn numbers_with_gaps_are_names_unless_ids_are_asked_for() {
    for text in [
        csv(&["20", "10", "35010"]),
        csv(&["10.0", "20", "35010"]).replace("x,\"10.0\"\nx,\"20\"", "x,20\nx,10.0"),
    ] {
        let (names, classes) = Read::of("a.csv", &text, ONE).own().unwrap();
        assert_eq!((names, classes), (["10", "20", "35010"].map(str::to_owned).to_vec(), ids(&[1, 0, 2])));
    }
    let (names, _) = Read::of("a.csv", &csv(&["1", "2", "10"]), ONE).own().unwrap();
    assert_eq!(names, ["1", "2", "10"], "in the order of their values");
    let (names, _) = Read::of("a.csv", &csv(&["0", "1", "3"]), ONE).own().unwrap();
    assert_eq!(names.len(), 4, "a class that happens not to occur");
    let asked = |labels: &[&str]| {
        Read::asked("a.csv", &csv(labels), ONE, Some(LabelType::Id), None)
            .unwrap()
            .own()
            .map(|(names, _)| names.len())
    };
    assert_eq!(asked(&["10", "20"]).unwrap(), 21);
    assert!(asked(&["1", "999999999"]).unwrap_err().contains("999999999 is not a label id"));
}

#[test]
fn vectors_of_0_and_1_are_read_as_such_or_both_forms_are_named() {
    let floats = jsonl(&["[1.0, 0.0, 0.0]", "[0.0, 1.0, 1.0]", "[0.0, 0.0, 0.0]"]);
    let expected = lists(&[&[0], &[1, 2], &[]]);
    assert_eq!(Read::of("a.jsonl", &floats, SEVERAL).for_map(&["a", "b", "c"]).unwrap(), expected);
    assert_eq!(Read::of("a.jsonl", &floats, SEVERAL).own().unwrap().1, expected);
    let cells = csv(&["[1, 0]", "[0, 1]", "[1, 1]", "[0, 0]"]);
    let expected = lists(&[&[0], &[1], &[0, 1], &[]]);
    assert_eq!(Read::of("a.csv", &cells, SEVERAL).own().unwrap().1, expected, "ids would repeat");
    let ints = jsonl(&["[1, 0]", "[0, 1]"]);
    assert_eq!(Read::of("a.jsonl", &ints, SEVERAL).for_map(&["a", "b"]).unwrap(), lists(&[&[0], &[1]]));
    let error = Read::of("a.jsonl", &ints, SEVERAL).own().unwrap_err();
    assert!(error.contains("--label-type multi_hot or --label-type id"), "{error}");
    assert_eq!(
        Read::of("a.jsonl", &ints, SEVERAL).for_map(&["a", "b", "c"]).unwrap(),
        lists(&[&[0, 1], &[0, 1]])
    );
    let error = Read::of("a.jsonl", &floats, SEVERAL).for_map(&["a", "b"]).unwrap_err();
    assert!(error.contains("every list has 3 values of 0 or 1, but there are 2 labels"), "{error}");
    let asked = |kind| Read::asked("a.jsonl", &ints, SEVERAL, Some(kind), None).unwrap();
    assert_eq!(asked(LabelType::MultiHot).own().unwrap().1, lists(&[&[0], &[1]]));
    assert_eq!(asked(LabelType::Id).own().unwrap().1, lists(&[&[0, 1], &[0, 1]]));
    let uneven =
        Read::asked("a.jsonl", &jsonl(&["[1]", "[0, 1]"]), SEVERAL, Some(LabelType::MultiHot), None).unwrap();
    assert!(uneven.own().unwrap_err().contains("needs lists of 0 and 1 of the same length"));
    let error = Read::of("a.jsonl", &jsonl(&["[2, 2]", "[1]"]), SEVERAL).own().unwrap_err();
    assert!(error.contains("line 1: column \"label\": label 2 occurs twice"), "{error}");
}

#[test]
fn lists_that_python_wrote_into_cells_are_lists() {
    let text = csv(&["['anger', 'fear']", "['joy']", "[]", "fear|joy"]);
    let (names, classes) = Read::of("a.csv", &text, SEVERAL).own().unwrap();
    assert_eq!(
        (names, classes),
        (["anger", "fear", "joy"].map(str::to_owned).to_vec(), lists(&[&[0, 1], &[2], &[], &[1, 2]]))
    );
    let error = Read::asked("a.csv", &text, ONE, None, None).err().unwrap();
    assert!(
        error.contains("line 2: column \"label\": \"['anger', 'fear']\" looks like a list of labels"),
        "{error}"
    );
}

#[test]
fn minus_one_in_every_row_is_no_label() {
    let read = Read::of("a.jsonl", &jsonl(&["-1", "-1", "null"]), ONE);
    assert_eq!((read.summary.unlabelled, read.for_map(&["a"]).unwrap()), (3, vec![None, None, None]));
    assert!(read.notes().contains("all labels are -1: its rows are unlabelled"));
    assert!(read.own().unwrap_err().contains("no row has a label"));
    let error = Read::asked("a.csv", &csv(&["1", "-1"]), ONE, None, None).err().unwrap();
    assert!(
        error.contains("line 3: column \"label\": -1 is not a label id; for a row without a label"),
        "{error}"
    );
    assert_eq!(
        Read::of("a.csv", &csv(&["-1"]), TaskId::REGRESSION).for_map(&["x"]).unwrap(),
        [Some(Label::Value(-1.0))]
    );
}

#[test]
fn spaces_at_the_ends_are_no_part_of_a_name_and_variants_are_counted() {
    let read = Read::of("a.csv", &csv(&["yes", "Yes", " yes", "no"]), ONE);
    assert_eq!(read.own().unwrap().0, ["Yes", "no", "yes"]);
    assert!(
        read.notes().contains("different classes: \"Yes\" (1 rows) and \"yes\" (2 rows)"),
        "{}",
        read.notes()
    );
    assert_eq!(Read::of("a.jsonl", &jsonl(&["\" yes\""]), ONE).for_map(&[" yes "]).unwrap(), ids(&[0]));
}

#[test]
fn a_file_of_names_gives_ids_their_names_and_names_their_ids() {
    let names = || Some(LabelNames::Ordered(["pos", "neg"].map(str::to_owned).into()));
    let read = |text: &str| Read::asked("a.jsonl", text, ONE, None, names()).unwrap();
    let named = jsonl(&["\"neg\"", "\"pos\""]);
    assert_eq!(read(&named).for_map(&["LABEL_0", "LABEL_1"]).unwrap(), ids(&[1, 0]));
    assert_eq!(read(&jsonl(&["0", "1"])).for_map(&["neg", "pos"]).unwrap(), ids(&[1, 0]));
    assert_eq!(read(&jsonl(&["0", "1"])).own().unwrap().0, ["pos", "neg"]);
    let error = read(&jsonl(&["0", "1"])).for_map(&["NEGATIVE", "POSITIVE"]).unwrap_err();
    assert!(
        error.contains("\"pos\" is not one of the model's") && error.contains("--label-map FILE"),
        "{error}"
    );
    let error = read(&named).for_map(&["LABEL_0", "LABEL_1", "LABEL_2"]).unwrap_err();
    assert!(error.contains("has 2 labels"), "{error}");
    let error = Read::of("a.jsonl", &named, ONE).for_map(&["LABEL_0", "LABEL_1"]).unwrap_err();
    assert!(error.contains("give it with --label-map FILE"), "{error}");
    let translated =
        [("0", "NEGATIVE"), ("bad", "NEGATIVE")].map(|(from, to)| (from.to_owned(), to.to_owned()));
    let translated = LabelNames::Translated(std::sync::Arc::new(translated.into()));
    for text in [jsonl(&["0"]), jsonl(&["\"bad\""]), jsonl(&["\"NEGATIVE\""])] {
        let read = Read::asked("a.jsonl", &text, ONE, None, Some(translated.clone())).unwrap();
        assert_eq!(read.for_map(&["POSITIVE", "NEGATIVE"]).unwrap(), ids(&[1]), "{text}");
    }
}

#[test]
fn names_and_ids_in_one_file_are_refused_with_how_to_say_which() {
    let error = Read::asked("a.csv", &csv(&["1", "yes"]), ONE, None, None).err().unwrap();
    assert!(error.contains("line 3") && error.contains("cannot be mixed (--label-type name"), "{error}");
    let read = Read::asked("a.csv", &csv(&["1", "yes"]), ONE, Some(LabelType::Name), None).unwrap();
    assert_eq!(read.own().unwrap().0, ["1", "yes"]);
}

fn notes(name: &str, text: &str, columns: &Columns) -> Result<(String, u64), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    let source = Source::open(&path, columns).unwrap();
    let summary = Summary::scan(&source, &StopSignal::default()).map_err(|error| error.to_string())?;
    Ok((summary.notes.iter().map(ToString::to_string).collect(), summary.unlabelled))
}

#[test]
fn columns_are_found_whatever_their_case_and_spaces_and_near_misses_are_told() {
    let default = Columns::default();
    for (name, text, said) in [
        ("a.csv", "text, label\nx,1\n", "column \" label\" is used as the label"),
        ("a.csv", "Text,Label\nx,1\n", "column \"Label\" is used as the label"),
        ("a.jsonl", "{\"text\": \"x\", \"LABEL\": 1}\n", "column \"LABEL\" is used as the label"),
    ] {
        let (notes, unlabelled) = notes(name, text, &default).unwrap();
        assert!(notes.contains(said) && unlabelled == 0, "{text}: {notes}");
    }
    for (name, text, near) in [
        ("a.csv", "text,labels\nx,1\n", "labels"),
        ("a.jsonl", "{\"text\": \"x\", \"lable\": 1}\n", "lable"),
        ("a.tsv", "text\tsentiment\nx\t1\n", "sentiment"),
    ] {
        let (said, unlabelled) = notes(name, text, &default).unwrap();
        assert!(said.contains(&format!("give --label-column {near:?}")) && unlabelled == 1, "{said}");
        let off = Columns { label: Some("none".into()), ..Columns::default() };
        assert_eq!(notes(name, text, &off).unwrap(), (String::new(), 1));
    }
    let off = Columns { label: Some("none".into()), ..Columns::default() };
    assert_eq!(notes("a.csv", "text,label\nx,1\n", &off).unwrap(), (String::new(), 1));
    let two = notes("a.csv", "text,Label,LABEL\nx,1,2\n", &default).unwrap();
    assert!(two.0.contains("no column \"label\"") && two.1 == 1, "{two:?}");
    let later = "{\"text\": \"x\", \"Label\": 1}\n{\"text\": \"x\", \"label\": 0}\n";
    let error = notes("a.jsonl", later, &default).unwrap_err();
    assert!(error.contains("line 2: column \"label\": rows before it have \"Label\" in its place"), "{error}");
}

#[test]
fn another_separator_than_the_ending_says_is_found_by_the_header() {
    for (name, text) in [("a.csv", "id;text;label\n0;a, b;1\n"), ("a.csv", "id\ttext\tlabel\n0\ta, b\t1\n")] {
        let (said, unlabelled) = notes(name, text, &Columns::default()).unwrap();
        assert!(said.contains("read with the separator") && unlabelled == 0, "{said}");
    }
    let error = notes("a.csv", "id;texts\n0;a\n", &Columns::default()).unwrap_err();
    assert!(error.contains("no column \"text\""), "{error}");
    let (directory, path) = {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        std::fs::File::create(&path).unwrap().write_all(b"text|label\na,b|1\n").unwrap();
        (directory, path)
    };
    let source = Source::open(&path, &Columns::default()).unwrap();
    let rows: Vec<Row> = source.delimited_by(Some(b'|')).rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0].text, "a,b");
    let source = Source::open(&path, &Columns::default()).unwrap().delimited_by(Some(b';'));
    assert!(source.rows().is_err(), "what is asked for is not guessed at");
    drop(directory);
}

#[test]
fn a_column_of_any_type_is_text_where_rows_are_cut_by_it() {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/rows/types.parquet"));
    let columns = Columns { text: Some("a_text".into()), ..Columns::default() };
    let source = Source::open(golden, &columns).unwrap();
    let first = |name: &str| {
        let row = source.with_column(name).rows().unwrap().nth(2).unwrap().unwrap();
        row.label.unwrap().classes().next().unwrap().to_string()
    };
    assert_eq!(first("uint64"), "\"18446744073709551615\"");
    assert_eq!(first("float64"), "\"-1.0\"");
    assert_eq!(first("date32"), "\"0001-01-01\"");
    assert_eq!(first("bool"), "\"true\"");
}
