//! Inputs that change during a run: its outputs have the hash of the content that was read, or there are none. At each
//! opening of the file in turn, `tests/faults/shim.c` replaces the file or its content.

use std::fs;

use crate::faults::{Fault, run_below};
use crate::files;
use crate::harness::Work;

/// Two contents of one file of rows, with the same ids and lengths; the ending is the format.
struct Two {
    work: Work,
    name: String,
    contents: [Vec<u8>; 2],
}

impl Two {
    fn new(ending: &str) -> Self {
        let work = Work::new();
        fs::create_dir(work.path("data")).unwrap();
        let rows = files::rows(40, "r");
        let first: Vec<u8> = match ending {
            "csv" => files::separated(&rows, ",").into(),
            "parquet" => files::parquet(&rows),
            _ => files::jsonl(&rows).into(),
        };
        // The same labels, other words.
        let mut others = rows;
        others.iter_mut().for_each(|row| row.text = row.text.chars().rev().collect());
        let second: Vec<u8> = match ending {
            "csv" => files::separated(&others, ",").into(),
            "parquet" => files::parquet(&others),
            _ => files::jsonl(&others).into(),
        };
        assert_ne!(first, second);
        Two { work, name: format!("data/rows.{ending}"), contents: [first, second] }
    }

    /// Writes content 0 or 1 to the file, and the other one next to it.
    fn put(&self, which: usize) {
        self.work.write(&self.name, &self.contents[which]);
        self.work.write("instead", &self.contents[1 - which]);
    }

    fn forget(&self, names: &[&str]) {
        for name in names.iter().map(|name| self.work.path(name)).filter(|path| path.exists()) {
            fs::remove_dir_all(name).unwrap();
        }
    }

    /// Runs `command` once for each opening of the file and each way to change it. `is_right` checks what a run that
    /// succeeded left. Returns how many runs detected the change.
    fn changed_at_each_opening(&self, command: &str, is_right: impl Fn(&Self)) -> usize {
        self.put(0);
        let (run, seen) = run_below(&self.work, "data", &format!("{command} --out whole"), None);
        run.succeeds();
        assert!(seen.count("read_open") >= 2);
        let mut noticed = 0;
        for at in 1..=seen.count("read_open") {
            for action in ["swap", "rewrite"] {
                self.forget(&["out", "cache"]);
                self.put(0);
                let fault = Fault { kind: "read_open", at, action, sticky: false };
                let (run, seen) = run_below(&self.work, "data", &format!("{command} --out out"), Some(fault));
                assert!(seen.path.is_some());
                if run.code == Some(0) {
                    run.succeeds();
                    is_right(self);
                } else {
                    // "in use": the content read is not the content hashed. "read": it is, but the file has changed since.
                    let run = run.fails(65, &["data/rows"]);
                    let said = ["in use:", "read,"].map(|when| format!("changed while it was {when}"));
                    assert!(said.iter().any(|said| run.stderr.contains(said)), "{}", run.shown());
                    assert!(!self.work.path("out").exists());
                    noticed += 1;
                }
                self.cache_is_right();
            }
        }
        noticed
    }

    /// Training with the cache gives the same model as training without it, for both contents.
    fn cache_is_right(&self) {
        for which in [0, 1] {
            self.put(which);
            let train = format!("finetune --model tiny --data {} --epochs 1", self.name);
            let plain = format!("plain-{which}");
            if !self.work.path(&plain).exists() {
                self.work.run(&format!("{train} --no-cache --out {plain}")).succeeds();
            }
            self.forget(&["cached"]);
            self.work.run(&format!("{train} --out cached")).succeeds();
            let [plain, cached] =
                [plain.as_str(), "cached"].map(|out| format!("{out}/model/model.safetensors"));
            assert!(
                self.work.bytes(&plain) == self.work.bytes(&cached),
                "the cache has rows of the other content"
            );
        }
    }

    /// The content whose hash is in a run's record.
    fn recorded(&self, out: &str) -> usize {
        let hash = self.work.json(&format!("{out}/run.json"))["inputs"]["data"].clone();
        let of = |content: &Vec<u8>| hash == distill_core::hash::bytes_hash(content);
        self.contents.iter().position(of).unwrap()
    }
}

fn training(ending: &str) {
    let two = Two::new(ending);
    let command = format!("finetune --model tiny --data {} --epochs 1", two.name);
    let noticed = two.changed_at_each_opening(&command, |two| {
        let [out, plain] = ["out".to_owned(), format!("plain-{}", two.recorded("out"))];
        two.put(two.recorded("out"));
        if !two.work.path(&plain).exists() {
            let train = format!("finetune --model tiny --data {} --epochs 1", two.name);
            two.work.run(&format!("{train} --no-cache --out {plain}")).succeeds();
        }
        let [plain, out] = [plain, out].map(|out| format!("{out}/model/model.safetensors"));
        assert!(two.work.bytes(&plain) == two.work.bytes(&out));
    });
    assert!(noticed >= 2, "{noticed}");
}

#[test]
fn training_detects_changed_jsonl() {
    training("jsonl");
}

#[test]
fn training_detects_changed_csv() {
    training("csv");
}

#[test]
fn training_detects_changed_parquet() {
    training("parquet");
}

#[test]
fn a_store_only_accepts_the_rows_with_its_recorded_hash() {
    let two = Two::new("jsonl");
    let command = format!("teacher --model tiny --data {}", two.name);
    let stores: Vec<Vec<u8>> = [0, 1]
        .map(|which| {
            two.put(which);
            two.work.run(&format!("{command} --out store-{which}")).succeeds();
            two.work.bytes(&format!("store-{which}/train-00000-of-00001.parquet"))
        })
        .into();
    let noticed = two.changed_at_each_opening(&command, |two| {
        let manifest = two.work.json("out/manifest.json");
        let of =
            |content: &Vec<u8>| manifest["fingerprint"]["dataset"] == distill_core::hash::bytes_hash(content);
        let which = two.contents.iter().position(of).unwrap();
        assert!(two.work.bytes("out/train-00000-of-00001.parquet") == stores[which]);
    });
    assert!(noticed >= 2, "{noticed}");
}

/// The weights are hashed before the rows are read, and loaded after.
#[test]
fn a_model_that_changes_during_a_run_is_detected() {
    let work = Work::with_rows();
    files::copy_model(&work, "own");
    let weights = work.bytes("own/model.safetensors");
    let mut others = weights.clone();
    let last = others.len() - 8;
    others[last] ^= 1;
    let command = "teacher --model own --data rows.jsonl";
    let (run, seen) = run_below(&work, "own", &format!("{command} --out whole"), None);
    run.succeeds();
    let mut noticed = 0;
    for at in 1..=seen.count("read_open") {
        if work.path("out").exists() {
            fs::remove_dir_all(work.path("out")).unwrap();
        }
        work.write("own/model.safetensors", &weights);
        work.write("instead", &others);
        let fault = Fault { kind: "read_open", at, action: "rewrite", sticky: false };
        let (run, seen) = run_below(&work, "own", &format!("{command} --out out"), Some(fault));
        if !seen.path.is_some_and(|path| path.ends_with("model.safetensors")) {
            // Another file of the model: weights are not its content.
            fs::remove_dir_all(work.path("own")).unwrap();
            files::copy_model(&work, "own");
            continue;
        }
        if run.code == Some(0) {
            let manifest = work.json("out/manifest.json");
            let hash = distill_core::hash::bytes_hash(&work.bytes("own/model.safetensors"));
            assert_eq!(manifest["fingerprint"]["teacher_weights"], hash);
        } else {
            run.fails(65, &["own", "changed while it was in use"]);
            assert!(!work.path("out").exists());
            noticed += 1;
        }
    }
    assert!(noticed >= 1);
}
