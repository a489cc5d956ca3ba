//! `distill sweep`: trials are ordinary runs that are not run twice, and the best is chosen on validation.

use crate::harness::Work;

const PIPELINE: &str = "[data]\ntrain = \"rows.jsonl\"\nvalidation = 0.25\nmax_length = 32\n\
[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 4\nbatch_size = 16\n";

fn sweep(work: &Work, sweep: &str, space: &str) {
    work.write("p.toml", PIPELINE);
    work.write("s.toml", format!("[sweep]\npipeline = \"p.toml\"\n{sweep}\n[space]\n{space}\n"));
}

#[test]
fn a_grid_runs_every_trial_once_and_names_the_best() {
    let work = Work::with_rows();
    sweep(
        &work,
        "seeds = [1, 2]",
        "\"student.learning_rate\" = [1e-3, 1e-9]\n\"student.loss\" = [\"kl\", \"mse\"]",
    );
    let first = work.run("sweep s.toml --out sw").succeeds();
    assert!(first.stdout.contains("best: trial"), "{}", first.shown());
    let table = work.json("sw/sweep.json");
    let trials = table["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 4);
    let means: Vec<f64> = trials.iter().map(|trial| trial["mean"].as_f64().unwrap()).collect();
    assert!(means.is_sorted_by(|left, right| left >= right), "{means:?}");
    assert_eq!(table["best"], trials[0]["trial"]);
    let written = work.bytes("sw/seed-2/trials/004/run.json");
    assert!(work.path("sw/sweep.svg").exists());
    let again = work.run("sweep s.toml --out sw").succeeds();
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(work.bytes("sw/seed-2/trials/004/run.json"), written, "a finished trial is not run again");
}

#[test]
fn halving_and_one_change_at_a_time() {
    let work = Work::with_rows();
    let space = "\"student.temperature\" = { low = 1.0, high = 8.0, log = true }";
    sweep(&work, "method = \"halving\"\ntrials = 4\nrungs = 2\neta = 2", space);
    work.run("sweep s.toml --out sw").succeeds();
    let table = work.json("sw/sweep.json");
    let epochs: Vec<u64> =
        table["trials"].as_array().unwrap().iter().map(|trial| trial["epochs"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [2, 2, 2, 2, 4, 4]);
    sweep(&work, "method = \"one_at_a_time\"\nseeds = [1, 2]", "\"student.soft_weight\" = [0.0]");
    work.run("sweep s.toml --out ablation").succeeds();
    let text = work.read("ablation/sweep.md");
    assert!(text.contains("| effect |") && text.contains("the pipeline as it is"), "{text}");
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let work = Work::with_rows();
    for (space, part) in [
        ("\"data.max_length\" = [8]", "only settings of [student]"),
        ("\"student.epoch\" = [8]", "did you mean \"epochs\"?"),
        ("\"student.temperature\" = [1.0, -1.0]", "temperature is -1"),
    ] {
        sweep(&work, "", space);
        work.run("sweep s.toml --out sw").fails(2, &[part]);
        assert!(!work.path("sw").exists());
    }
    work.run("sweep none.toml").fails(2, &["none.toml"]);
}

#[test]
fn a_sweep_that_is_stopped_goes_on_and_finds_the_same() {
    let work = Work::with_rows();
    sweep(&work, "seeds = [1]", "\"student.learning_rate\" = [1e-3, 1e-4]\n\"student.epochs\" = [60]");
    work.run("sweep s.toml --out whole").succeeds();
    let mut stops = 0;
    loop {
        let run = work.run(&format!("sweep s.toml --out stopped --max-time 0.{}s", 4 + stops.min(5)));
        if run.code == Some(0) {
            break;
        }
        assert_eq!(run.code, Some(75), "{}", run.shown());
        stops += 1;
        assert!(stops < 40, "it never ends");
    }
    assert!(stops > 0, "it was too fast to be stopped");
    let found = |out: &str| {
        let mut table = work.json(&format!("{out}/sweep.json"));
        for trial in table["trials"].as_array_mut().unwrap() {
            for run in trial["runs"].as_array_mut().unwrap() {
                // What depends on time and place.
                let results = run["results"].as_object_mut().unwrap();
                results.remove("seconds");
                results.remove("text");
            }
        }
        table
    };
    assert_eq!(found("whole"), found("stopped"));
}
