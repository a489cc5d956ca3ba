//! `distill tokenizer train`: its files, what it refuses, and when its result is out of date.

use crate::harness::Work;

const FILES: [&str; 3] = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"];

/// Rows with texts, also as plain text.
fn corpus() -> Work {
    let work = Work::with_rows();
    let texts: Vec<String> =
        work.json_lines("rows.jsonl").iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    work.write("corpus.txt", texts.join("\n\n"));
    work
}

#[test]
fn every_kind_is_trained_into_an_owned_directory_with_the_same_bytes_each_time() {
    let work = corpus();
    for (kind, size) in [("wordpiece", 60), ("unigram", 60), ("bpe", 280)] {
        let train =
            |out: &str| format!("tokenizer train --data corpus.txt --kind {kind} --size {size} --out {out}");
        let run = work.run(&format!("{} --json", train(&format!("first-{kind}")))).succeeds();
        assert_eq!(run.json()["texts"], 40);
        work.run(&train(&format!("second-{kind}"))).succeeds();
        assert_eq!(
            work.tree(&format!("first-{kind}")),
            ["run.json"].iter().chain(&FILES).copied().collect::<Vec<_>>()
        );
        for file in FILES {
            let read = |out: &str| work.bytes(&format!("{out}-{kind}/{file}"));
            assert!(read("first") == read("second"), "{kind} {file}");
        }
        work.run(&train(&format!("first-{kind}"))).succeeds().says("is up to date");
        let other = format!("{} --min-frequency 3", train(&format!("first-{kind}")));
        work.run(&other).fails(73, &["setting tokenizer.min_frequency changed: 2 → 3"]);
        let replaced = work.run(&format!("{other} --overwrite --json")).succeeds().json();
        assert!(replaced["vocabulary"].as_u64() <= run.json()["vocabulary"].as_u64());
        work.write(&format!("first-{kind}/tokenizer.json"), "{}");
        work.run(&format!("{} --overwrite", train(&format!("first-{kind}")))).fails(73, &["was changed after"]);
    }
}

#[test]
fn the_same_texts_from_rows_and_from_plain_text_give_the_same_vocabulary() {
    let work = corpus();
    let train =
        |data: &str, out: &str| format!("tokenizer train --data {data} --kind wordpiece --size 70 --out {out}");
    work.run(&train("corpus.txt", "plain")).succeeds();
    work.run(&train("rows.jsonl", "rows")).succeeds();
    assert!(work.bytes("plain/tokenizer.json") == work.bytes("rows/tokenizer.json"));
    work.write("words.conll", "Ada B-PER\nlearns O\n\nShe O\nreads O\n");
    work.run(&train("words.conll", "words").replace("70", "30")).succeeds();
    work.run(&format!("{} --no-lowercase", train("words.conll", "cased").replace("70", "30"))).succeeds();
    assert!(work.bytes("words/tokenizer.json") != work.bytes("cased/tokenizer.json"));
}

#[test]
fn what_cannot_be_trained_is_refused_and_leaves_nothing() {
    let work = corpus();
    work.write("empty.txt", "\n\n");
    work.write("blank.jsonl", "{\"text\": \" \"}\n");
    work.write("binary.txt", b"a\n\x00b\n");
    work.write("endless.txt", "x".repeat((1 << 20) + 1));
    for (data, options, code, parts) in [
        ("corpus.txt", "--size 60", 2, &["--kind is missing", "tokenizer.kind"][..]),
        ("corpus.txt", "--kind wordpieces", 2, &["kind", "wordpieces", "`unigram`"]),
        (
            "corpus.txt",
            "--kind wordpiece --size 20",
            2,
            &["tokenizer.size is 20", "at least", "special tokens"],
        ),
        ("corpus.txt", "--kind unigram --size 6", 2, &["tokenizer.size is 6", "at least", "special tokens"]),
        ("corpus.txt", "--kind bpe --size 260", 2, &["at least 261 tokens", "256 bytes"]),
        (
            "corpus.txt",
            "--kind bpe --limit-alphabet 9",
            2,
            &["tokenizer.limit_alphabet has no meaning for bpe"],
        ),
        ("empty.txt", "--kind bpe", 65, &["empty.txt has no rows"]),
        ("blank.jsonl", "--kind wordpiece", 65, &["no words to train a tokenizer on"]),
        ("binary.txt", "--kind bpe", 65, &["binary.txt: line 2: a NUL byte"]),
        ("endless.txt", "--kind bpe", 65, &["endless.txt: line 1: the line is longer than 1 MiB"]),
        ("missing.txt", "--kind bpe", 2, &["missing.txt"]),
    ] {
        work.run(&format!("tokenizer train --data {data} {options} --out out")).fails(code, parts);
        assert!(!work.path("out").exists(), "{data} {options}");
    }
    work.run("tokenizer train --data corpus.txt --kind bpe --lowercase --no-lowercase --out out").exits(2);
}
