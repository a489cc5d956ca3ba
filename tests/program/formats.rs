//! The same rows in every format; pairs, labels as names and ids, rows without labels, stores without texts.

use serde_json::Value;

use crate::files::{self, LABELS, Row};
use crate::harness::Work;

/// Predictions with the rows' file names left out.
fn predicted(work: &Work, data: &str, more: &str) -> Vec<Value> {
    let out = format!("{}.predicted.jsonl", data.replace('/', "-"));
    work.run(&format!("predict --model tiny --data {data} --out {out} --overwrite {more}")).succeeds();
    work.json_lines(&out)
}

/// Rows with everything that a format could get wrong, and pairs.
fn awkward() -> Vec<Row> {
    let mut rows = files::rows(9, "r");
    rows[1].text = "who, what \"where\"".to_owned();
    rows[2].text = "first line\nsecond line".to_owned();
    rows[3].text = "tab\there ü 漢字 🙂".to_owned();
    rows[4].label = None;
    for (index, row) in rows.iter_mut().enumerate() {
        row.text_pair = Some(format!("is the river {index} long?"));
    }
    rows
}

#[test]
fn the_same_rows_in_every_format_give_the_same_logits() {
    let work = Work::new();
    for (rows, kind) in [(awkward(), "pairs"), (files::rows(9, "r"), "single")] {
        work.write(&format!("{kind}.jsonl"), files::jsonl(&rows));
        work.write(&format!("{kind}.csv"), files::separated(&rows, ","));
        work.write(&format!("{kind}.tsv"), files::separated(&rows, "\t"));
        work.write(&format!("{kind}.parquet"), files::parquet(&rows));
        std::fs::create_dir(work.path(kind)).unwrap();
        work.write(&format!("{kind}/0.parquet"), files::parquet(&rows[..5]));
        work.write(&format!("{kind}/1.parquet"), files::parquet(&rows[5..]));
        let expected = predicted(&work, &format!("{kind}.jsonl"), "");
        assert_eq!(expected.len(), 9);
        for data in [format!("{kind}.csv"), format!("{kind}.tsv"), format!("{kind}.parquet"), kind.to_owned()] {
            assert_eq!(predicted(&work, &data, ""), expected, "{data}");
        }
    }
    let alone = work.read("single.jsonl.predicted.jsonl");
    assert!(alone != work.read("pairs.jsonl.predicted.jsonl"), "the second text of a pair is read");
}

#[test]
fn other_column_names_give_the_same_rows_and_the_cache_distinguishes_them() {
    let work = Work::new();
    let rows = files::rows(20, "r");
    let mut csv = "key,question,topic,other\n".to_owned();
    for (index, row) in rows.iter().enumerate() {
        csv += &format!("{},{},{},river {index}\n", row.id, row.text, row.label.as_deref().unwrap_or_default());
    }
    work.write("named.csv", csv);
    work.write("rows.jsonl", files::jsonl(&rows));
    let columns = "--id-column key --text-column question --label-column topic";
    assert_eq!(predicted(&work, "named.csv", columns), predicted(&work, "rows.jsonl", ""));
    let loss = |out: &str, arguments: &str| {
        work.run(&format!("finetune --model tiny --epochs 1 --out {out} {arguments}")).succeeds();
        work.json(&format!("{out}/run.json"))["results"]["validation"]["loss"].to_string()
    };
    let expected = loss("a", "--data rows.jsonl");
    assert_eq!(loss("b", &format!("--data named.csv {columns}")), expected);
    let other = "--data named.csv --id-column key --text-column other --label-column topic";
    let uncached = loss("c", &format!("{other} --no-cache"));
    assert_ne!(uncached, expected);
    assert_eq!(loss("d", other), uncached, "the same file by another column is another cache");
}

#[test]
fn labels_are_names_or_ids() {
    let work = Work::with_rows();
    let mut rows = files::rows(40, "r");
    for (index, row) in rows.iter_mut().enumerate() {
        row.label = Some((index % LABELS.len()).to_string());
    }
    let ids = files::jsonl(&rows).replace("\"label\":\"", "\"label\":").replace("\"}", "}");
    assert!(ids.contains("\"label\":4}"), "{ids}");
    work.write("ids.jsonl", ids);
    work.write("ids.csv", files::separated(&rows, ","));
    let expected = predicted(&work, "rows.jsonl", "");
    assert_eq!(expected[3]["label_name"], "delta");
    assert_eq!(predicted(&work, "ids.jsonl", ""), expected);
    assert_eq!(predicted(&work, "ids.csv", ""), expected);
    let weights = |data: &str, out: &str| {
        work.run(&format!("finetune --model tiny --data {data} --epochs 1 --out {out}")).succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    assert!(weights("rows.jsonl", "a") == weights("ids.jsonl", "b"));
}

#[test]
fn labels_that_the_model_does_not_have_get_a_new_head() {
    let work = Work::new();
    let mut rows = files::rows(20, "r");
    for (index, row) in rows.iter_mut().enumerate() {
        row.label = Some(["yes", "no"][index % 2].to_owned());
    }
    work.write("rows.jsonl", files::jsonl(&rows));
    let run = work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    run.says("fresh weights: classifier.weight, classifier.bias");
    let config = work.json("ft/model/config.json");
    assert_eq!((&config["id2label"]["0"], &config["id2label"]["1"]), (&"no".into(), &"yes".into()));
    assert_eq!(config["label2id"]["yes"], 1);
}

#[test]
fn unlabelled_rows_are_null_in_the_store_and_learned_from_by_the_soft_loss() {
    let work = Work::new();
    let mut rows = files::rows(30, "r");
    rows.iter_mut().skip(1).step_by(2).for_each(|row| row.label = None);
    work.write("rows.jsonl", files::jsonl(&rows));
    work.run("teacher --model tiny --data rows.jsonl --out targets").succeeds().says("unlabelled=15");
    let records = files::records(&work, "targets/train-00000-of-00001.parquet");
    assert_eq!(records.len(), 30);
    for (index, record) in records.iter().enumerate() {
        let expected = if index % 2 == 0 { Value::from(index % 5) } else { Value::Null };
        assert_eq!((&record["label"], &record["row"]), (&expected, &index.into()), "{record}");
        assert_eq!(record["logits"].as_array().unwrap().len(), 5);
    }
    work.run("student --targets targets --init tiny --layers 1 --epochs 1 --out st").succeeds();
    assert_eq!(work.json("st/run.json")["results"]["train_rows"], 29, "one labelled row is set aside");
    let hard = "--hard-weight 1 --soft-weight 0";
    let run =
        work.run(&format!("student --targets targets --init tiny --layers 1 --epochs 1 {hard} --out hard"));
    run.fails(65, &["have no label"]);
    let run = work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    run.says("15 of 29 training rows have no label and are skipped");
}

#[test]
fn a_store_without_texts_needs_the_rows_and_then_gives_the_same_student() {
    let work = Work::with_targets();
    work.run("teacher --model tiny --data rows.jsonl --no-text --out bare").succeeds();
    let records = files::records(&work, "bare/train-00000-of-00001.parquet");
    assert!(records[0].get("text").is_none(), "{}", records[0]);
    let arguments = "student --init tiny --layers 0,2 --epochs 1";
    work.run(&format!("{arguments} --targets bare --out st")).fails(65, &["without texts", "--data"]);
    work.run(&format!("{arguments} --targets bare --data rows.jsonl --out joined")).succeeds();
    work.run(&format!("{arguments} --targets targets --out whole")).succeeds();
    let weights = |name: &str| work.bytes(&format!("{name}/model/model.safetensors"));
    assert!(weights("joined") == weights("whole"));
    let reversed: Vec<String> = work.read("rows.jsonl").lines().rev().map(|line| format!("{line}\n")).collect();
    work.write("reversed.jsonl", reversed.concat());
    for data in ["reversed.jsonl", "test.jsonl"] {
        let [ours, theirs] =
            ["rows.jsonl", data].map(|name| distill_core::hash::bytes_hash(work.read(name).as_bytes()));
        let foreign = work.run(&format!("{arguments} --targets bare --data {data} --out foreign"));
        let said = format!("dataset is {ours} in the first and {theirs} in the second");
        foreign.fails(65, &["bare", data, "do not belong together", &said]);
    }
}

#[test]
fn shards_and_float16_are_read_back() {
    let work = Work::new();
    work.write("rows.jsonl", files::jsonl(&files::rows(2 * 4096 + 8, "r")));
    work.run("teacher --model tiny --data rows.jsonl --shard-rows 4096 --float16 --out targets").succeeds();
    let shards =
        ["train-00000-of-00003.parquet", "train-00001-of-00003.parquet", "train-00002-of-00003.parquet"];
    assert_eq!(work.tree("targets"), [&["manifest.json", "run.json"][..], &shards].concat());
    work.run("student --targets targets --init tiny --layers 0 --epochs 1 --batch-size 1024 --out st")
        .succeeds();
    assert_eq!(work.json("st/run.json")["results"]["train_rows"], 7380);
    work.run("teacher --model tiny --data rows.jsonl --shard-rows 100 --out x")
        .fails(2, &["shard_rows is 100, expected a multiple of 4096"]);
}

#[test]
fn validation_rows_may_be_a_file() {
    let work = Work::with_rows();
    work.run("finetune --model tiny --data rows.jsonl --validation test.jsonl --epochs 1 --out ft").succeeds();
    let record = work.json("ft/run.json");
    assert_eq!(record["results"]["train_rows"], 40);
    assert_eq!(record["results"]["validation_rows"], 20);
    assert_eq!(record["inputs"]["validation"].as_str().map(str::len), Some(64));
}

/// Large batches are filled up to a round number of tokens: what fills them must touch no row.
#[test]
fn a_row_has_the_same_logits_in_a_batch_of_any_size() {
    let work = Work::new();
    work.write("many.jsonl", files::jsonl(&files::rows(900, "m")));
    let logits = |tokens: &str| -> Vec<f64> {
        predicted(&work, "many.jsonl", tokens)
            .iter()
            .flat_map(|row| row["logits"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()))
            .collect()
    };
    let (alone, small) = (logits("--batch-tokens 1"), logits("--batch-tokens 100"));
    for large in ["--batch-tokens 2048", "--batch-tokens 100000"] {
        let large = logits(large);
        assert_eq!(large.len(), alone.len());
        for other in [&alone, &small] {
            let apart = large.iter().zip(other).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-5, "{apart}");
        }
    }
}
