//! Rows that augmentation makes: who labels them, and what of the validation part they may hold.

use std::collections::BTreeSet;

use distill_core::hash::digest;

use crate::files::{jsonl, rows};
use crate::harness::Work;

/// The rows of a validation part, as docs/formats.md says.
fn held_out(ids: &[String], share: f64, seed: u64) -> BTreeSet<String> {
    let rank = |id: &String| {
        let of_id = &digest(id.as_bytes())[..8];
        digest(&[&seed.to_le_bytes()[..], of_id].concat())[..8].to_vec()
    };
    let mut ranked: Vec<&String> = ids.iter().collect();
    ranked.sort_by_key(|id| rank(id));
    ranked.into_iter().take((ids.len() as f64 * share) as usize).cloned().collect()
}

#[test]
fn mixed_copies_contain_no_half_of_a_validation_row() {
    let work = Work::new();
    let mut few = rows(30, "r");
    for (number, row) in few.iter_mut().enumerate() {
        row.text = ["what", "who", "city", "name"].map(|word| format!("{word}{number}")).join(" ");
    }
    work.write("rows.jsonl", jsonl(&few));
    work.run("augment --data rows.jsonl --copies 3 --mix 1 --delete 0 --swap 0 --out mixed").succeeds();
    work.run("teacher --model tiny --data mixed/rows.jsonl --out targets").succeeds();
    let ids: Vec<String> = few.iter().map(|row| row.id.clone()).collect();
    let held_out = held_out(&ids, 0.5, 5);
    // By their words: whose first half a text has, and whose second.
    let owner = |word: Option<&str>| format!("r{}", word.unwrap().trim_start_matches(char::is_alphabetic));
    let (mut trained, mut mixtures) = (0, 0);
    for line in work.json_lines("mixed/rows.jsonl") {
        let words = || line["text"].as_str().unwrap().split(' ');
        let (first, second) = (owner(words().next()), owner(words().next_back()));
        mixtures += usize::from(first != second);
        trained += usize::from(!held_out.contains(&first) && !held_out.contains(&second));
    }
    assert_eq!(mixtures, 90, "a row is never mixed with itself");
    let student = "student --init tiny --epochs 1 --seed 5 --validation 0.5";
    work.run(&format!("{student} --targets targets --out st")).succeeds();
    let results = &work.json("st/run.json")["results"];
    assert_eq!((&results["train_rows"], &results["validation_rows"]), (&trained.into(), &15.into()));
    // The same where the rows are joined with a store that has no texts.
    work.run("teacher --model tiny --data mixed/rows.jsonl --no-text --out bare").succeeds();
    work.run(&format!("{student} --targets bare --data mixed/rows.jsonl --out joined")).succeeds();
    assert_eq!(work.json("joined/run.json")["results"]["train_rows"], trained);
}

#[test]
fn copies_are_labelled_by_the_teacher_and_stay_out_of_the_validation_part() {
    let work = Work::with_rows();
    work.run("augment --data rows.jsonl --copies 2 --out augmented").succeeds();
    let lines = work.json_lines("augmented/rows.jsonl");
    let copies: Vec<_> = lines.iter().filter(|row| row["id"].as_str().unwrap().contains("#aug")).collect();
    assert!(copies.len() > 60 && lines.len() == 40 + copies.len(), "{}", copies.len());
    assert!(copies.iter().all(|row| row["label"].is_null()));
    work.run("augment --data rows.jsonl --copies 2 --out again").succeeds();
    assert_eq!(work.bytes("augmented/rows.jsonl"), work.bytes("again/rows.jsonl"));
    work.run("teacher --model tiny --data augmented/rows.jsonl --out targets").succeeds();
    work.run(
        "student --targets targets --init tiny --epochs 2 --batch-size 8 --layers 0 --validation 0.25 --out st",
    )
    .succeeds();
    let results = work.json("st/run.json")["results"].clone();
    assert_eq!(results["validation_rows"], 10);
    let train = results["train_rows"].as_u64().unwrap();
    assert!(train > 30 && train < lines.len() as u64 - 10, "copies of validation rows are left out: {train}");
    work.run("augment --data rows.jsonl --out none").fails(2, &["augment.copies is 0"]);
    work.run("augment --data rows.jsonl --copies 1 --delete 2 --out none").fails(2, &["augment.delete is 2"]);
}

/// A limit on time holds for many copies of many rows, and for many copies of one long row.
#[test]
fn the_time_limit_and_the_number_of_copies_are_bounded() {
    let work = Work::new();
    work.write("many.jsonl", jsonl(&rows(20_000, "m")));
    let text = "what city river name ".repeat(100_000);
    work.write("long.jsonl", format!("{}\n", serde_json::json!({"id": "long", "text": text})));
    for data in ["many.jsonl", "long.jsonl"] {
        let began = std::time::Instant::now();
        let stopped = work.run(&format!("augment --data {data} --copies 1000 --max-time 1s --out stopped"));
        stopped.fails(75, &["time limit"]);
        // Not ended from outside, which happens after 15 seconds: it stopped by itself.
        assert!(began.elapsed() < std::time::Duration::from_secs(12), "{data}: {:?}", began.elapsed());
        assert!(!work.path("stopped/rows.jsonl").exists());
    }
    work.run("augment --data many.jsonl --copies 4000000000 --out none")
        .fails(2, &["augment.copies is 4000000000, expected at most 1000"]);
}

/// Rows of another file go to the teacher without their labels, and leave the validation part as it is without them.
#[test]
fn additional_rows_get_only_soft_targets_and_are_all_trained_on() {
    let work = Work::with_rows();
    let mut more = String::new();
    for row in work.json_lines("rows.jsonl") {
        let text = format!("{} once more", row["text"].as_str().unwrap());
        let row = serde_json::json!({"id": row["id"], "text": text, "label": row["label"]});
        more.push_str(&format!("{row}\n"));
    }
    work.write("more.jsonl", &more);
    work.run("augment --data rows.jsonl --unlabelled more.jsonl --out both").succeeds();
    let lines = work.json_lines("both/rows.jsonl");
    assert_eq!(lines.len(), 80);
    assert!(lines[..40].iter().all(|row| !row["label"].is_null()));
    assert!(
        lines[40..]
            .iter()
            .all(|row| { row["label"].is_null() && row["id"].as_str().unwrap().starts_with("unlabelled-") })
    );
    work.write(
        "p.toml",
        "[data]\ntrain = \"rows.jsonl\"\nvalidation = 0.25\n[finetune]\nmodel = \"tiny\"\nepochs = 1\n\
         [augment]\nunlabelled = \"more.jsonl\"\n[student]\nlayers = [0]\nepochs = 1\nno_teacher_baseline = true\n",
    );
    work.run("run p.toml").succeeds();
    assert_eq!(work.json("runs/p/baseline/run.json")["results"]["train_rows"], 30, "labels alone teach it");
    let results = work.json("runs/p/student/run.json")["results"].clone();
    assert_eq!((results["train_rows"].as_u64(), results["validation_rows"].as_u64()), (Some(70), Some(10)));
    more.push_str("{\"id\": \"new\", \"text\": \"one more row\", \"label\": null}\n");
    work.write("more.jsonl", &more);
    let planned = work.run("run p.toml --dry-run").succeeds().stdout;
    assert!(planned.contains("augmented: would run, because "), "{planned}");
}

/// A further row with the text of a validation row would be trained on, with the teacher's answer to it.
#[test]
fn additional_rows_with_a_known_text_are_dropped() {
    let work = Work::with_rows();
    let again = &work.json_lines("rows.jsonl")[3]["text"];
    let lines = [again, &work.json_lines("test.jsonl")[0]["text"], &serde_json::json!("a text of its own")];
    let more: String = lines.iter().map(|text| format!("{}\n", serde_json::json!({"text": text}))).collect();
    work.write("more.jsonl", more);
    let known: std::collections::HashSet<String> =
        work.json_lines("rows.jsonl").iter().map(|row| row["text"].to_string()).collect();
    let expected = |files: &std::collections::HashSet<String>| {
        lines.iter().filter(|text| !files.contains(&text.to_string())).count()
    };
    let run = work
        .run("augment --data rows.jsonl --unlabelled more.jsonl --out both")
        .succeeds()
        .says("were dropped");
    assert_eq!(work.json("both/run.json")["results"]["unlabelled"], expected(&known), "{}", run.shown());
    work.run("augment --data rows.jsonl --unlabelled more.jsonl --set data.validation=test.jsonl --out all")
        .succeeds();
    let all = known
        .into_iter()
        .chain(work.json_lines("test.jsonl").iter().map(|row| row["text"].to_string()))
        .collect();
    assert_eq!(work.json("all/run.json")["results"]["unlabelled"], expected(&all));
}

#[test]
fn words_are_replaced_by_neighbours_in_the_teachers_embeddings() {
    let work = Work::with_rows();
    let replace = "augment --data rows.jsonl --copies 2 --delete 0 --swap 0 --replace 0.5";
    work.run(&format!("{replace} --out none")).fails(2, &["--model is missing"]);
    work.run(&format!("{replace} --model tiny --out augmented")).succeeds();
    work.run(&format!("{replace} --model tiny --out again")).succeeds();
    assert_eq!(work.bytes("augmented/rows.jsonl"), work.bytes("again/rows.jsonl"));
    let lines = work.json_lines("augmented/rows.jsonl");
    assert!(lines.len() > 60, "{}", lines.len());
    let text = |row: &serde_json::Value| row["text"].as_str().unwrap().to_owned();
    let words = |row: &serde_json::Value| text(row).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut original = &lines[0];
    for row in &lines {
        if row["label"].is_null() {
            let (before, after) = (words(original), words(row));
            assert_eq!(before.len(), after.len(), "{row}");
            assert!(before != after, "{row}");
        } else {
            original = row;
        }
    }
    work.run(&format!("{replace} --model tiny --set augment.neighbours=0 --out bad"))
        .fails(2, &["augment.neighbours is 0"]);
}
