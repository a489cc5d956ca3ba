//! Damaged files through the real binary: an exit code of bad input, one line of error, no defect told.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::mutate::{Random, mutant};
use crate::seeds;

/// Mutants in all.
const MUTANTS: u64 = 300;

/// A file that is damaged, and the command that reads it.
struct Case {
    file: &'static str,
    seed: fn() -> Vec<u8>,
    command: &'static str,
}

const CASES: &[Case] = &[
    Case {
        file: "rows.parquet",
        seed: seeds::own_rows,
        command: "predict --model tiny --data rows.parquet --out p.csv",
    },
    Case {
        file: "rows.jsonl",
        seed: seeds::jsonl,
        command: "predict --model tiny --data rows.jsonl --out p.jsonl",
    },
    Case {
        file: "rows.csv",
        seed: || seeds::separated(','),
        command: "predict --model tiny --data rows.csv --out p.parquet",
    },
    Case {
        file: "tiny/config.json",
        seed: || seeds::golden("config.json"),
        command: "predict --model tiny --data good.jsonl --out p.csv",
    },
    Case {
        file: "tiny/tokenizer.json",
        seed: || seeds::golden("tokenizer.json"),
        command: "predict --model tiny --data good.jsonl --out p.csv",
    },
    Case {
        file: "tiny/model.safetensors",
        seed: || seeds::golden("model.safetensors"),
        command: "teacher --model tiny --data good.jsonl --out targets",
    },
    Case {
        file: "logits.parquet",
        seed: || seeds::parquets().pop().unwrap(),
        command: "report --predictions a=logits.parquet --out report --set report.resamples=100",
    },
    Case {
        file: "logits.jsonl",
        seed: seeds::logits_jsonl,
        command: "report --predictions a=logits.jsonl --out report --set report.resamples=100",
    },
    Case {
        file: "settings.toml",
        seed: pipeline,
        command: "predict --config settings.toml --model tiny --data good.jsonl --out p.csv --dry-run",
    },
    Case { file: "pipeline.toml", seed: pipeline, command: "run pipeline.toml --dry-run" },
    Case {
        file: "store/manifest.json",
        seed: || std::fs::read(store().path().join("manifest.json")).unwrap(),
        command: "student --targets store --init tiny --epochs 1 --set data.validation=0.4 --out student",
    },
    Case {
        file: "store/train-00000-of-00002.parquet",
        seed: || std::fs::read(store().path().join("train-00000-of-00002.parquet")).unwrap(),
        command: "student --targets store --init tiny --epochs 1 --set data.validation=0.4 --out student",
    },
];

/// Settings that fit the files of [`prepare`].
fn pipeline() -> Vec<u8> {
    let mut text = seeds::SETTINGS.to_owned();
    for (there, here) in [
        ("\"a.jsonl\"", "\"good.jsonl\""),
        ("\"b.jsonl\"", "\"good.jsonl\""),
        ("\"m\"", "\"tiny\""),
        ("columns = { id = \"i\", text = \"t\" }", "columns = { id = \"id\", text = \"text\" }"),
        ("[0, 2, 4]", "[0, 2]"),
        ("max_length = 32", "max_length = 16"),
    ] {
        assert!(text.contains(there), "{there}");
        text = text.replace(there, here);
    }
    text.into()
}

fn store() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    crate::readers::store(directory.path());
    directory
}

/// `MUTANTS` of one case in a folder of its own.
fn torture(case: &Case) {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let seed = (case.seed)();
    // What is refused in any case, or before the file is opened, would say nothing of its mutants.
    std::fs::write(directory.path().join(case.file), &seed).unwrap();
    let (code, stderr) = run(directory.path(), case);
    assert!(code == Some(0) && !stderr.contains("error:"), "undamaged: {code:?} of {}\n{stderr}", case.command);
    for number in 0..MUTANTS / CASES.len() as u64 {
        let bytes = mutant(&mut Random::of(case.file, number), &seed, &[]);
        std::fs::write(directory.path().join(case.file), bytes).unwrap();
        told(number, case, run(directory.path(), case));
    }
}

#[test]
fn mutants_of_rows_through_the_program() {
    CASES[..3].iter().for_each(torture);
}

#[test]
fn mutants_of_models_through_the_program() {
    CASES[3..6].iter().for_each(torture);
}

#[test]
fn mutants_of_tables_and_settings_through_the_program() {
    CASES[6..10].iter().for_each(torture);
}

#[test]
fn mutants_of_stores_through_the_program() {
    CASES[10..].iter().for_each(torture);
}

/// A copy of the golden model, good rows and a good store.
fn prepare(directory: &Path) {
    std::fs::create_dir(directory.join("tiny")).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::write(directory.join("tiny").join(file), seeds::golden(file)).unwrap();
    }
    std::fs::write(directory.join("good.jsonl"), seeds::jsonl()).unwrap();
    std::fs::create_dir(directory.join("store")).unwrap();
    crate::readers::store(&directory.join("store"));
}

/// Runs the command of a case; its exit code, none where it took too long, and what it said.
fn run(directory: &Path, case: &Case) -> (Option<i32>, String) {
    for made in
        ["targets", "report", "student", "p.csv", "p.jsonl", "p.parquet"].map(|made| directory.join(made))
    {
        match made.is_dir() {
            true => std::fs::remove_dir_all(&made).unwrap(),
            false => std::fs::remove_file(&made).unwrap_or_default(),
        }
    }
    let stderr = std::fs::File::create(directory.join("stderr")).unwrap();
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -d 2097152; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_distill")])
        .args(case.command.split(' '))
        .current_dir(directory)
        .env_remove("RUST_BACKTRACE")
        .env_remove("DISTILL_CORPORA")
        .env("HOME", directory)
        .env("DISTILL_CACHE", directory.join("cache"))
        .env("DISTILL_THREADS", "1")
        .env("DISTILL_DEVICE", "cpu")
        .env("DISTILL_DATA_MAX_LENGTH", "16")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        // Starting libtorch takes a while on a busy machine.
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let stderr = std::fs::read_to_string(directory.join("stderr")).unwrap();
    (status.and_then(|status| status.code()), stderr)
}

/// A mutant is read, or refused in one line; nothing else may happen.
fn told(number: u64, case: &Case, (code, stderr): (Option<i32>, String)) {
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error:")).collect();
    let told = match code {
        Some(0) => errors.is_empty(),
        Some(2 | 65) => errors.len() == 1 && stderr.lines().last() == Some(errors[0]),
        Some(70) => errors.len() == 1 && errors[0].contains("not finite"),
        _ => false,
    };
    let defect = stderr.contains("panicked") || stderr.lines().any(|line| line.starts_with("internal"));
    assert!(told && !defect, "mutant {number}: {code:?} of {}\n{stderr}", case.command);
}
