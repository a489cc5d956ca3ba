//! `distill bench` and `--trace`.

use serde_json::json;

use crate::harness::Work;

/// Figures that a dashboard reads must be there for both passes, and add up.
#[test]
fn bench_times_both_passes_on_given_and_generated_rows() {
    let work = Work::with_rows();
    let run = work.run("bench --model tiny --data rows.jsonl --rounds 2 --layers 0,2 --batch-size 8 --json");
    let figures = run.succeeds().json();
    assert_eq!(figures["rows"], 40);
    let passes = figures["passes"].as_array().unwrap();
    assert_eq!(
        passes.iter().map(|pass| pass["pass"].as_str().unwrap()).collect::<Vec<_>>(),
        ["teacher", "student"]
    );
    for pass in passes {
        assert_eq!(pass["rounds"].as_array().unwrap().len(), 2);
        assert!(
            pass["rows_per_second"].as_f64().unwrap() > 0.0 && pass["share_of_ceiling"].as_f64().unwrap() > 0.0
        );
        let seconds = |name: &str| pass["phases"][name].as_f64().unwrap_or_else(|| panic!("{name}: {pass}"));
        let inside = ["pack", "forward"].map(seconds).iter().sum::<f64>();
        let rounds = pass["rounds"].as_array().unwrap().iter();
        assert!(inside < rounds.map(|round| round["seconds"].as_f64().unwrap()).fold(0.0, f64::max), "{pass}");
        let shares = pass["shares"].as_object().unwrap();
        let io: &[&str] = match pass["pass"].as_str().unwrap() {
            "teacher" => &["read", "tokenize", "write", "save"],
            _ => &["read", "tokenize", "cache", "load", "backward", "optimizer", "validate", "save"],
        };
        assert!(io.iter().all(|name| shares[*name].as_f64().unwrap() > 0.0), "{pass}");
        let elsewhere = pass["on_other_threads"].as_array().unwrap();
        let of_one_thread = shares.iter().filter(|(name, _)| !elsewhere.contains(&json!(name)));
        let sum = of_one_thread.map(|(_, share)| share.as_f64().unwrap()).sum::<f64>();
        assert!((sum - 1.0).abs() < 1e-6, "{pass}");
    }
    assert_eq!(figures["ceiling_rounds"].as_array().unwrap().len(), 2);
    let table = work.run("bench --model tiny --lengths 5..9 --rows 20 --rounds 1 --pass teacher").succeeds();
    assert!(table.stdout.contains("20 rows") && table.stdout.contains("forward"), "{}", table.shown());
    for lengths in ["lognormal:6..30", "5:3,20:1"] {
        let made = work.run(&format!("bench --model tiny --lengths {lengths} --rows 50 --dry-run")).succeeds();
        assert!(made.stdout.starts_with("50 rows, "), "{}", made.shown());
    }
    work.run("bench --model tiny --lengths lognormal:2..30").fails(2, &["expected from 3"]);
    work.run("bench --model tiny --lengths 5:1,900:1").fails(2, &["--max-length 32"]);
    work.run("bench --model tiny --lengths long").fails(2, &["--lengths long", "lognormal:20..256"]);
    work.run("bench --model tiny --lengths 9..5").fails(2, &["--lengths 9..5"]);
    work.run("bench --model tiny --lengths 5..900").fails(2, &["--max-length 32"]);
    work.run("bench").fails(2, &["--model is missing"]);
}

/// A trace that a viewer refuses is none; it must be there of a run that failed, too.
#[test]
fn a_trace_holds_the_phases_of_every_thread() {
    let work = Work::with_rows();
    work.run("teacher --model tiny --data rows.jsonl --out targets --trace trace.json").succeeds();
    let trace = work.json("trace.json");
    let events = trace["traceEvents"].as_array().unwrap();
    for name in ["read", "tokenize", "pack", "forward", "write"] {
        let event = events.iter().find(|event| event["name"] == name).unwrap_or_else(|| panic!("{name}"));
        assert!(event["ph"] == "X" && event["dur"].as_f64().unwrap() >= 0.0, "{event}");
    }
    let threads: Vec<_> =
        events.iter().filter(|event| event["ph"] == "M").map(|event| &event["args"]["name"]).collect();
    assert_eq!(threads, ["main", "writer"]);
    work.run("teacher --model tiny --data rows.jsonl --out stopped --max-time 0s --trace stopped.json")
        .exits(75);
    assert!(work.json("stopped.json")["traceEvents"].is_array());
}

/// From files to the model: what is not training is seen as well.
#[test]
fn the_trace_of_fine_tuning_shows_time_outside_of_steps() {
    let work = Work::with_rows();
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft --trace trace.json").succeeds();
    let trace = work.json("trace.json");
    let events = trace["traceEvents"].as_array().unwrap();
    for name in ["hash", "scan", "load", "read", "tokenize", "cache", "step", "validate", "save"] {
        assert!(events.iter().any(|event| event["name"] == name), "{name}");
    }
}

/// Each round's sums must leave the spans to the file.
#[test]
fn the_trace_of_a_bench_holds_every_round() {
    let work = Work::new();
    work.run("bench --model tiny --lengths 5..9 --rows 20 --rounds 2 --layers 0,2 --trace step.json")
        .succeeds();
    let trace = work.json("step.json");
    let events = trace["traceEvents"].as_array().unwrap();
    let count = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert!(count("write") == 2 && count("step") >= 2 && count("backward") >= 2, "{trace}");
}

/// Hours of work are not lost to a misspelt path.
#[test]
fn a_trace_that_cannot_be_written_is_refused_before_any_work() {
    let work = Work::with_targets();
    std::fs::create_dir(work.path("folder")).unwrap();
    for (trace, arguments) in [
        ("none/trace.json", "finetune --model tiny --data rows.jsonl --out out"),
        ("rows.jsonl/trace.json", "predict --model tiny --data rows.jsonl --out p.csv"),
        ("/proc/trace.json", "targets verify targets"),
        ("folder", "bench --model tiny"),
    ] {
        work.run(&format!("{arguments} --trace {trace}")).fails(73, &["cannot create", trace]);
    }
    assert!(!work.path("out").exists() && !work.path("p.csv").exists());
}

/// Seen by the number of passes: of one token at most, each row goes alone, in steps and in validation.
#[test]
fn batch_tokens_hold_in_training_validation_and_bench() {
    let work = Work::with_rows();
    let passes = |arguments: &str| {
        work.run(&format!("{arguments} --batch-tokens 1 --trace trace.json")).succeeds();
        let trace = work.json("trace.json");
        let spans = |name: &str| -> Vec<(f64, f64)> {
            let events = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["name"] == name);
            events.map(|event| (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap())).collect()
        };
        let (begin, length) = *spans("validate").last().unwrap();
        let forward = spans("forward");
        let inside = forward.iter().filter(|(at, _)| *at >= begin && *at <= begin + length).count();
        (spans("backward").len(), inside)
    };
    let finetune = "finetune --model tiny --data rows.jsonl --validation 0.2 --epochs 1 --out ft";
    assert_eq!(passes(finetune), (32, 8));
    work.run("teacher --model tiny --data rows.jsonl --out targets").succeeds();
    let student = "student --init tiny --targets targets --validation 0.2 --epochs 1 --out st";
    assert_eq!(passes(student), (32, 8));
    // Warmed up on as many rows as two steps have.
    let bench = "bench --model tiny --data rows.jsonl --pass student --rounds 1 --batch-size 4";
    assert_eq!(passes(bench), (40 + 8, 1));
}
