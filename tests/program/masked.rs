//! `distill augment --masked-model`: words that a masked language model finds likely, by its golden rankings.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::Work;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bert-masked");
const NEIGHBOURS: usize = 3;
const AUGMENT: &str = "augment --data texts.jsonl --copies 12 --delete 0 --swap 0 --replace 0.5 \
                       --masked-model masked --set augment.neighbours=3";

/// A folder with a copy of the golden model, and its texts as rows.
fn work() -> (Work, Vec<Value>) {
    let work = Work::new();
    copy(Path::new(GOLDEN), &work.path("masked"));
    let golden = work.json("masked/golden.json");
    let texts = golden["texts"].as_array().unwrap().clone();
    let rows: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| format!("{{\"id\": \"{id}\", \"text\": {}}}\n", text["text"]))
        .collect();
    work.write("texts.jsonl", rows.concat());
    (work, texts)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn bare(word: &str) -> String {
    word.trim_matches(|letter: char| !letter.is_alphabetic()).to_lowercase()
}

/// Word by word what stands in a copy of text `id`: its place, and the word there before and now.
fn changes(lines: &[Value], id: usize, text: &str) -> Vec<(usize, String, String)> {
    let own = lines.iter().filter(|row| row["id"].as_str().unwrap().starts_with(&format!("{id}#aug")));
    let mut changes = Vec::new();
    for row in own {
        assert!(row["label"].is_null() && row["text"] != text, "{row}");
        let words: Vec<&str> = row["text"].as_str().unwrap().split(' ').collect();
        assert_eq!(words.len(), text.split(' ').count(), "{row}");
        for (place, (before, now)) in text.split(' ').zip(words).enumerate() {
            if before != now {
                assert_eq!(before.ends_with(['?', ',', ')']), now.ends_with(['?', ',', ')']), "{row}");
                assert_eq!(
                    before.starts_with(char::is_uppercase),
                    now.starts_with(char::is_uppercase),
                    "{row}"
                );
                changes.push((place, bare(before), bare(now)));
            }
        }
    }
    changes
}

#[test]
fn words_are_replaced_by_the_likeliest_words_of_the_masked_model() {
    let (work, texts) = work();
    work.run(&format!("{AUGMENT} --out augmented")).succeeds();
    work.run(&format!("{AUGMENT} --out again")).succeeds();
    work.run(&format!("{AUGMENT} --set teacher.batch_tokens=1 --out alone")).succeeds();
    assert_eq!(work.bytes("augmented/rows.jsonl"), work.bytes("again/rows.jsonl"));
    assert_eq!(
        work.bytes("augmented/rows.jsonl"),
        work.bytes("alone/rows.jsonl"),
        "a copy depends on no batch"
    );
    work.run(&format!("{AUGMENT} --seed 7 --out other")).succeeds();
    assert!(work.bytes("augmented/rows.jsonl") != work.bytes("other/rows.jsonl"));
    let lines = work.json_lines("augmented/rows.jsonl");
    let mut drawn = BTreeSet::new();
    for (id, golden) in texts.iter().enumerate() {
        let changes = changes(&lines, id, golden["text"].as_str().unwrap());
        assert!(changes.len() > 4, "{id}: {changes:?}");
        for (place, before, now) in changes {
            // A word of several tokens has no place here and stays as it is.
            let likeliest = golden["likeliest"][place.to_string()].as_array().unwrap();
            let rank = likeliest.iter().position(|word| *word == now.as_str());
            let rank = rank.unwrap_or_else(|| panic!("{now} for {before} is no other word of the vocabulary"));
            // The golden ranks are of words that are masked alone.
            if golden["masked_together"] == 1 {
                assert!(rank < NEIGHBOURS, "{now} for {before} in text {id} is of rank {rank}");
                drawn.insert(rank);
            }
        }
    }
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn second_texts_are_replaced_too_and_words_of_several_tokens_by_embeddings() {
    let (work, _) = work();
    work.write(
        "texts.jsonl",
        "{\"id\": \"0\", \"text\": \"how many cities\", \"text_pair\": \"who was the first\"}\n",
    );
    work.run(&format!("{AUGMENT} --out masked-alone")).succeeds();
    let texts = |out: &str, field: &str| -> Vec<String> {
        let lines = work.json_lines(&format!("{out}/rows.jsonl"));
        lines.iter().skip(1).map(|row| row[field].as_str().unwrap().to_owned()).collect()
    };
    assert!(texts("masked-alone", "text").iter().all(|text| text.ends_with(" cities")));
    assert!(texts("masked-alone", "text").iter().any(|text| text != "how many cities"));
    assert!(texts("masked-alone", "text_pair").iter().any(|text| text != "who was the first"));
    // A teacher whose vocabulary has the word.
    copy(Path::new(crate::harness::TINY), &work.path("knows"));
    work.write("knows/tokenizer.json", work.read("tiny/tokenizer.json").replace("\"river\"", "\"cities\""));
    work.run(&format!("{AUGMENT} --model knows --out both")).succeeds();
    let replaced = texts("both", "text").into_iter().filter(|text| !text.ends_with(" cities")).count();
    assert!((2..11).contains(&replaced), "about half of them: {replaced}");
}

#[test]
fn what_cannot_be_a_masked_model_is_refused_before_anything_is_written() {
    let (work, _) = work();
    let with = |more: &str| work.run(&format!("augment --data texts.jsonl --copies 1 {more} --out bad"));
    with("--masked-model masked")
        .fails(2, &["augment.masked_model is set", "augment.replace is 0", "--replace 0.4"]);
    with("--replace 0.5 --masked-model tiny").fails(
        65,
        &[
            "tiny has no masked language model head",
            "cls.predictions.transform.dense.weight",
            "uses word embeddings",
        ],
    );
    with("--replace 0.5 --masked-model ./nowhere").fails(2, &["nowhere"]);
    let config =
        work.read("masked/config.json").replace("\"model_type\": \"bert\"", "\"model_type\": \"electra\"");
    work.write("masked/config.json", config);
    with("--replace 0.5 --masked-model masked")
        .fails(65, &["no masked language model head", "generator_predictions.dense.weight"]);
    assert!(!work.path("bad").exists());
}

#[test]
fn a_pipeline_notices_another_masked_model() {
    let (work, _) = work();
    work.write("rows.jsonl", crate::files::jsonl(&crate::files::rows(20, "r")));
    work.write(
        "p.toml",
        "[data]\ntrain = \"rows.jsonl\"\n[teacher]\nmodel = \"tiny\"\n\
         [augment]\ncopies = 1\nreplace = 0.5\nmasked_model = \"masked\"\n[student]\nlayers = [0]\nepochs = 1\n",
    );
    work.run("run p.toml").succeeds();
    let record = work.json("runs/p/augmented/run.json");
    assert_eq!(record["settings"]["augment"]["masked_model"], "masked");
    assert!(record["inputs"]["masked_model"].is_string() && record["inputs"]["masked_tokenizer"].is_string());
    let planned = |more: &str| work.run(&format!("run p.toml --dry-run {more}")).succeeds().stdout;
    assert!(planned("").starts_with("augmented: up to date\ntargets: up to date\n"), "{}", planned(""));
    let shorter = planned("--set data.max_length=16");
    assert!(shorter.starts_with("augmented: would run, because setting data.max_length changed"), "{shorter}");
    let mut weights = work.bytes("masked/model.safetensors");
    *weights.last_mut().unwrap() ^= 1;
    work.write("masked/model.safetensors", weights);
    let changed = planned("");
    assert!(changed.starts_with("augmented: would run, because "), "{changed}");
    assert!(changed.lines().next().unwrap().contains("masked_model"), "{changed}");
}
