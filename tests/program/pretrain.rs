//! `distill pretrain`: masked language modelling on texts.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::files;
use crate::harness::Work;
use crate::resume::{assert_same_run, killed_often};

/// A masked language model with its tokenizer.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bert-masked");
const PRETRAIN: &str =
    "pretrain --model masked --data texts.jsonl --learning-rate 3e-3 --batch-size 4 --max-length 16";

/// A folder with `masked`, 60 texts with labels, and 20 others.
fn work() -> Work {
    let work = Work::new();
    std::os::unix::fs::symlink(Path::new(GOLDEN).canonicalize().unwrap(), work.path("masked")).unwrap();
    work.write("texts.jsonl", files::jsonl(&files::rows(60, "r")));
    work.write("held-out.jsonl", files::jsonl(&files::rows(20, "t")));
    work
}

/// The lines of one kind in `metrics.jsonl`.
fn lines(work: &Work, out: &str, event: &str) -> Vec<Value> {
    let lines = work.json_lines(&format!("{out}/metrics.jsonl"));
    lines.into_iter().filter(|line| line["event"] == event).collect()
}

/// Names of the tensors in a safetensors file.
fn tensors(work: &Work, name: &str) -> BTreeSet<String> {
    let bytes = work.bytes(name);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
}

#[test]
fn it_learns_to_fill_masks_and_the_best_epoch_is_that_of_the_lowest_loss() {
    let work = work();
    let command = format!("{PRETRAIN} --epochs 8 --validation 20% --set pretrain.log_every=5 --out out");
    let run = work.run(&command).succeeds();
    assert!(
        run.stdout.contains("perplexity") && run.stderr.contains("CE(logits at masked places"),
        "{}",
        run.shown()
    );
    let near = |line: &Value| {
        let [loss, perplexity] = ["loss", "perplexity"].map(|name| line[name].as_f64().unwrap());
        (perplexity / loss.exp() - 1.0).abs() < 1e-9
    };
    let train = lines(&work, "out", "train");
    assert!(train.len() > 5 && train.iter().all(near), "{train:?}");
    let validation = lines(&work, "out", "validation");
    assert!(validation.len() == 8 && validation.iter().all(near));
    let losses: Vec<f64> = validation.iter().map(|line| line["loss"].as_f64().unwrap()).collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(lowest < losses[0] - 0.1, "{losses:?}");
    assert!(validation.iter().all(|line| (0.0..=1.0).contains(&line["token_accuracy"].as_f64().unwrap())));
    let record = work.json("out/run.json");
    assert_eq!(record["command"], "pretrain");
    assert_eq!(record["results"]["validation"]["loss"], lowest);
    assert_eq!(losses[record["results"]["best_epoch"].as_u64().unwrap() as usize - 1], lowest);
    assert_eq!(work.json("out/model/config.json")["architectures"][0], "BertForMaskedLM");
    assert!(work.read("out/model/README.md").contains("pipeline_tag: fill-mask"));
    work.run(&command).succeeds().says("up to date");
    let planned = work.run(&format!("{command} --dry-run")).succeeds().json();
    assert_eq!(planned["settings"]["pretrain"]["mask_probability"], 0.15);
    let changed = work.run(&format!("{command} --masking whole_word")).exits(73);
    assert!(changed.stderr.contains("pretrain.masking changed"), "{}", changed.shown());
    work.run("finetune --model out/model --data texts.jsonl --epochs 1 --out teacher").succeeds();
}

#[test]
fn a_run_that_is_killed_or_stopped_ends_with_the_same_bytes() {
    let work = work();
    for (masking, whole, other) in [("token", "whole", "killed"), ("span", "whole-spans", "limited")] {
        let command = format!("{PRETRAIN} --epochs 40 --validation held-out.jsonl --masking {masking}");
        work.run(&format!("{command} --out {whole}")).succeeds();
        if masking == "token" {
            assert!(
                killed_often(&work, &format!("{command} --checkpoint-every 7"), other) > 0,
                "it was too fast"
            );
        } else {
            let mut stops = 0;
            let limited = |stops: u32| {
                let time = 3 + stops.min(6);
                work.run(&format!("{command} --checkpoint-every 0 --max-time 0.{time}s --out {other}"))
            };
            while limited(stops).code == Some(75) {
                stops += 1;
                assert!(stops < 60, "it never ends");
            }
            assert!(stops > 0, "it was too fast to be stopped");
        }
        assert_same_run(&work, whole, other);
    }
}

#[test]
fn what_is_masked_depends_on_no_batch_and_on_no_pass() {
    let work = work();
    let losses = |more: &str, out: &str| -> Vec<f64> {
        let command = format!("{PRETRAIN} --epochs 2 --validation held-out.jsonl --set pretrain.log_every=1");
        work.run(&format!("{command} {more} --out {out}")).succeeds();
        work.json_lines(&format!("{out}/metrics.jsonl"))
            .iter()
            .map(|line| line["loss"].as_f64().unwrap())
            .collect()
    };
    let (whole, passes) = (losses("", "whole"), losses("--batch-tokens 20", "passes"));
    assert_eq!(whole.len(), passes.len());
    for (left, right) in whole.iter().zip(&passes) {
        assert!((left - right).abs() < 1e-3, "{whole:?}\n{passes:?}");
    }
    let other = losses("--seed 7", "other");
    assert!((whole[0] - other[0]).abs() > 1e-3, "another seed has other masks");
}

#[test]
fn every_format_gives_the_same_model_and_labels_are_passed_over() {
    let work = work();
    let rows = files::rows(60, "r");
    work.write("texts.csv", files::separated(&rows, ","));
    work.write("texts.tsv", files::separated(&rows, "\t"));
    work.write("texts.parquet", files::parquet(&rows));
    work.write("texts.txt", rows.iter().map(|row| format!("{}\n", row.text)).collect::<String>());
    let model = |ending: &str| {
        let command = PRETRAIN.replace("texts.jsonl", &format!("texts.{ending}"));
        work.run(&format!("{command} --epochs 1 --validation held-out.jsonl --out {ending}")).succeeds();
        work.bytes(&format!("{ending}/model/model.safetensors"))
    };
    let expected = model("jsonl");
    let by_line = "no blank line separates documents, so each line is read as a document";
    let txt = PRETRAIN.replace("texts.jsonl", "texts.txt");
    work.run(&format!("{txt} --epochs 1 --validation 10% --out lines")).succeeds().says(by_line);
    let blocks = work.read("texts.txt").lines().map(|line| format!("{line}\n\n")).collect::<String>();
    work.write("blocks.txt", blocks);
    let blocks = PRETRAIN.replace("texts.jsonl", "blocks.txt");
    work.run(&format!("{blocks} --epochs 1 --validation 10% --out blocks"))
        .succeeds()
        .says("blank lines separate");
    assert!(work.bytes("lines/model/model.safetensors") == work.bytes("blocks/model/model.safetensors"));
    for ending in ["csv", "tsv", "parquet", "txt"] {
        assert!(model(ending) == expected, "{ending}");
    }
}

#[test]
fn heads_and_whole_models_are_fresh_where_nothing_is_given() {
    let work = work();
    let pretrain = |model: &str, more: &str, out: &str| {
        let command = PRETRAIN.replace("--model masked", &format!("--model {model}"));
        work.run(&format!("{command} --epochs 1 {more} --out {out}"))
    };
    pretrain("tiny", "", "encoder").succeeds().says("fresh weights: cls.predictions.transform.dense.weight");
    let config = work.read("masked/config.json");
    std::fs::create_dir(work.path("bare")).unwrap();
    work.write("bare/config.json", &config);
    pretrain("bare/config.json", "", "bad").fails(2, &["bare has no tokenizer"]);
    pretrain("bare", "--tokenizer masked", "bad").fails(2, &["bare", "safetensors"]);
    pretrain("bare/config.json", "--tokenizer masked", "fresh").succeeds().says("fresh weights: all");
    assert_eq!(tensors(&work, "fresh/model/model.safetensors"), tensors(&work, "masked/model.safetensors"));
    // With a decoder of its own, transformers has a second bias that it would miss.
    let mut untied: Value = serde_json::from_str(&config).unwrap();
    untied["tie_word_embeddings"] = false.into();
    work.write("bare/config.json", untied.to_string());
    pretrain("bare/config.json", "--tokenizer masked", "untied").succeeds();
    let names = tensors(&work, "untied/model/model.safetensors");
    for name in ["decoder.weight", "decoder.bias", "bias"] {
        assert!(names.contains(&format!("cls.predictions.{name}")), "{names:?}");
    }
    pretrain("untied/model", "", "again").succeeds();
    assert!(!work.path("bad").exists());
}

#[test]
fn what_cannot_be_learned_from_is_refused_before_anything_is_computed() {
    let work = work();
    let bad = |more: &str| work.run(&format!("{PRETRAIN} --epochs 1 {more} --out bad"));
    bad("--masking words").fails(2, &["masking", "whole_word"]);
    bad("--mask-probability 1.5").fails(2, &["mask_probability is 1.5", "below 1"]);
    bad("--set pretrain.objectives={magic=1.0}").fails(2, &["magic", "simcse"]);
    bad("--set pretrain.objectives.simcse=-1").fails(2, &["objectives.simcse is -1"]);
    bad("--set pretrain.objectives.simcse=1 --batch-tokens 64").fails(2, &["batch_tokens", "cannot be split"]);
    bad("--set pretrain.objectives.simcse=1").fails(2, &["objectives.simcse", "no dropout"]);
    bad("--set pretrain.label_smoothing=0.1").fails(2, &["label_smoothing", "masked tokens"]);
    bad("--set pretrain.soft_weight=0.5").fails(2, &["pretraining has no teacher"]);
    bad("--validation 1.5").fails(2, &["pretrain.validation is 1.5"]);
    work.run(&format!("{} --epochs 1 --out bad", PRETRAIN.replace("--max-length 16", "--max-length 2")))
        .fails(2, &["max_length is 2", "special tokens"]);
    bad("--validation nowhere.jsonl").fails(2, &["nowhere.jsonl"]);
    work.write("texts.jsonl", "{\"text\": \"\"}\n{\"text\": \"\"}\n");
    bad("").fails(65, &["texts.jsonl", "none of its 2 documents has any text"]);
    work.write("texts.jsonl", "{\"text\": \"what\"}\n{\"text\": \"\"}\n");
    bad("").says("1 of 2 documents are empty").fails(65, &["of one document", "validation file"]);
    work.write("texts.jsonl", "{\"text\": \"\u{6f22}\u{5b57}\"}\n{\"text\": \"\u{4e2d}\u{6587}\"}\n");
    bad("--validation held-out.jsonl").fails(65, &["unknown to the vocabulary"]);
    let plain = |bytes: &[u8]| {
        work.write("texts.txt", bytes);
        work.run(&format!("{} --epochs 1 --out bad", PRETRAIN.replace("texts.jsonl", "texts.txt")))
    };
    plain(b"the river\n\nwhat\0city\n").fails(65, &["texts.txt: line 3", "NUL byte", "binary"]);
    plain(b"the river\n\xff\xfe\n").fails(65, &["texts.txt: line 2", "UTF-8"]);
    plain(&vec![b'x'; (1 << 20) + 1]).fails(65, &["texts.txt: line 1", "longer than 1 MiB"]);
    plain(b"\n  \n\n").fails(65, &["texts.txt has no rows"]);
    // A vocabulary without a mask.
    std::fs::create_dir(work.path("no-mask")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(work.path(&format!("masked/{name}")), work.path(&format!("no-mask/{name}"))).unwrap();
    }
    let tokenizer = work.read("masked/tokenizer.json").replace("[MASK]", "[NONE]");
    work.write("no-mask/tokenizer.json", tokenizer);
    let run = work.run(&PRETRAIN.replace("--model masked", "--model no-mask --out bad"));
    run.fails(65, &["no mask token"]);
    assert!(!work.path("bad").exists());
}

/// Two more passes with dropout in each step: a stopped run draws the same dropout again.
#[test]
fn sequences_are_told_apart_next_to_masked_tokens() {
    let work = work();
    std::fs::create_dir(work.path("dropout")).unwrap();
    for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(work.path(&format!("masked/{name}")), work.path(&format!("dropout/{name}"))).unwrap();
    }
    let config =
        work.read("masked/config.json").replace("\"hidden_dropout_prob\": 0.0", "\"hidden_dropout_prob\": 0.1");
    work.write("dropout/config.json", config);
    let pretrain = PRETRAIN.replace("--model masked", "--model dropout");
    let command = format!("{pretrain} --epochs 30 --packing apart --set pretrain.objectives.simcse=0.5");
    let run = work.run(&format!("{command} --set pretrain.log_every=1 --out whole")).succeeds();
    assert!(run.stderr.contains("0.5 · CE(cos(first tokens"), "{}", run.shown());
    let train = lines(&work, "whole", "train");
    assert!(train.iter().all(|line| line["perplexity"].is_null()), "{train:?}");
    assert!(lines(&work, "whole", "validation").iter().all(|line| line["perplexity"].is_number()));
    work.run(&format!(
        "{command} --set pretrain.log_every=1 --checkpoint-every 0 --max-time 0.4s --out limited"
    ))
    .fails(75, &["stopped by the time limit"]);
    work.run(&format!("{command} --set pretrain.log_every=1 --out limited")).succeeds();
    assert_same_run(&work, "whole", "limited");
}

#[test]
fn other_tasks_are_not_learned_by_pretraining_and_it_is_none_of_theirs() {
    let work = work();
    work.run("finetune --model tiny --data texts.jsonl --task masked_language_modeling --out bad")
        .fails(2, &["distill pretrain"]);
    work.run("teacher --model masked --data texts.jsonl --out bad").fails(65, &["no classification head"]);
}

const PIPELINE: &str = "[data]\ntrain = \"texts.jsonl\"\nmax_length = 16\n\
                        [pretrain]\nmodel = \"masked\"\ndata = \"more.txt\"\nepochs = 1\n\
                        [finetune]\nepochs = 1\n[student]\nlayers = [0]\nepochs = 1\n";

#[test]
fn a_pipeline_pretrains_first_and_only_when_something_changed() {
    let work = work();
    let lines =
        |prefix: &str| files::rows(40, prefix).iter().map(|row| format!("{}\n", row.text)).collect::<String>();
    work.write("more.txt", lines("m"));
    work.write("p.toml", PIPELINE);
    let found = work.run("check p.toml --json").succeeds().json();
    assert_eq!(found["problems"], serde_json::json!([]));
    let planned = |more: &str| work.run(&format!("run p.toml --dry-run {more}")).succeeds().stdout;
    assert!(planned("").starts_with("pretrained: would run"), "{}", planned(""));
    let run = work.run("run p.toml").succeeds();
    assert!(run.stderr.contains("stage 1 of 4") && run.stdout.contains("perplexity"), "{}", run.shown());
    assert_eq!(work.json("runs/p/pretrained/run.json")["command"], "pretrain");
    assert_eq!(
        work.json("runs/p/teacher/run.json")["settings"]["finetune"]["model"],
        "runs/p/pretrained/model"
    );
    assert!(
        planned("").starts_with("pretrained: up to date\nteacher: up to date\ntargets: up to date"),
        "{}",
        planned("")
    );
    let masks = planned("--set pretrain.masking=span");
    assert!(masks.starts_with("pretrained: would run, because setting pretrain.masking changed"), "{masks}");
    assert!(masks.contains("teacher: would run, because pretrained runs first"), "{masks}");
    // Other labels are none of its inputs.
    let rows = work.read("texts.jsonl").replacen("\"alpha\"", "\"beta\"", 1);
    work.write("texts.jsonl", rows);
    let relabelled = planned("");
    assert!(relabelled.starts_with("pretrained: up to date\nteacher: would run"), "{relabelled}");
    work.write("more.txt", lines("m").replacen("what", "who", 1));
    assert!(planned("").starts_with("pretrained: would run, because input data changed"), "{}", planned(""));
}

#[test]
fn a_pipeline_starts_from_a_config_and_says_what_does_not_fit() {
    let work = work();
    work.write("more.txt", "the river is long\n\nwhat is the name of the first city\n\nwho was in the city\n");
    std::fs::create_dir(work.path("bare")).unwrap();
    std::fs::copy(work.path("masked/config.json"), work.path("bare/config.json")).unwrap();
    let fresh = PIPELINE.replace(
        "model = \"masked\"",
        "model = \"bare/config.json\"\ntokenizer = \"masked\"\npacking = \"apart\"",
    );
    work.write("fresh.toml", &fresh);
    work.run("check fresh.toml").succeeds();
    work.run("run fresh.toml").succeeds().says("fresh weights: all");
    let refused = |name: &str, text: String, parts: &[&str]| {
        work.write(name, text);
        work.run(&format!("run {name}")).fails(2, parts);
    };
    refused(
        "other.toml",
        PIPELINE.replace("[finetune]", "[finetune]\nmodel = \"tiny\""),
        &["finetune.model is tiny", "nothing uses"],
    );
    refused(
        "taught.toml",
        PIPELINE.replace("[finetune]\nepochs = 1", "[teacher]\nmodel = \"tiny\""),
        &["teacher.model is tiny", "nothing uses"],
    );
    refused(
        "share.toml",
        PIPELINE.replace("data = \"more.txt\"", "mask_probability = 2.0"),
        &["mask_probability is 2"],
    );
    assert!(!work.path("runs/other").exists());
}

#[test]
fn a_sweep_may_vary_what_is_pretrained() {
    let work = work();
    work.write("p.toml", PIPELINE.replace("data = \"more.txt\"\n", ""));
    let sweep = |space: &str| {
        work.write("s.toml", format!("[sweep]\npipeline = \"p.toml\"\nseeds = [1]\n[space]\n{space}\n"));
        work.run("sweep s.toml --out sw")
    };
    sweep("\"pretrain.mask_probability\" = [0.15, 0.4]\n\"finetune.epochs\" = [1, 2]")
        .succeeds()
        .says("── trial 4");
    let shares: BTreeSet<String> = work
        .tree("sw")
        .into_iter()
        .filter(|name| name.ends_with("pretrained/run.json"))
        .map(|name| work.json(&format!("sw/{name}"))["settings"]["pretrain"]["mask_probability"].to_string())
        .collect();
    assert_eq!(shares.into_iter().collect::<Vec<_>>(), ["0.15", "0.4"]);
    work.write(
        "p.toml",
        PIPELINE
            .replace("[pretrain]\nmodel = \"masked\"", "[pretrain]")
            .replace("[finetune]", "[teacher]\nmodel = \"tiny\"\n[finetune]"),
    );
    sweep("\"pretrain.epochs\" = [1, 2]").fails(2, &["does not pretrain a model"]);
}
