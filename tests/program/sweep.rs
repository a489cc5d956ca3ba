//! `distill sweep`: trials are ordinary runs that are not run twice, and the best is chosen on validation.

use crate::harness::Work;

const PIPELINE: &str = "[data]\ntrain = \"rows.jsonl\"\nvalidation = 0.25\nmax_length = 32\n\
[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 4\nbatch_size = 16\n";

fn sweep(work: &Work, sweep: &str, space: &str) {
    work.write("p.toml", PIPELINE);
    work.write("s.toml", format!("[sweep]\npipeline = \"p.toml\"\n{sweep}\n[space]\n{space}\n"));
}

/// Where the runs of the trial of a number are, in each seed's directory.
fn directory(table: &serde_json::Value, trial: u64) -> String {
    let trials = table["trials"].as_array().unwrap();
    let found = trials.iter().find(|row| row["trial"] == trial).unwrap();
    found["directory"].as_str().unwrap().to_owned()
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
    let record = format!("sw/seed-2/{}/run.json", directory(&table, 4));
    let written = work.bytes(&record);
    assert!(work.path("sw/sweep.svg").exists());
    let again = work.run("sweep s.toml --out sw").succeeds();
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(work.bytes(&record), written, "a finished trial is not run again");
    // One value more, and not behind the others: every trial has another number, and none is run again.
    sweep(
        &work,
        "seeds = [1, 2]",
        "\"student.learning_rate\" = [1e-4, 1e-3, 1e-9]\n\"student.loss\" = [\"kl\", \"mse\"]",
    );
    work.run("sweep s.toml --out sw").succeeds();
    assert_eq!(work.json("sw/sweep.json")["trials"].as_array().unwrap().len(), 6);
    assert_eq!(work.bytes(&record), written);
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
    assert!(text.contains("| effect |") && text.contains("the unchanged pipeline"), "{text}");
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let work = Work::with_rows();
    for (space, part) in [
        ("\"data.train\" = [\"other.jsonl\"]", "can vary"),
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
fn a_stopped_sweep_resumes_with_the_same_result() {
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

#[test]
fn earlier_stages_may_vary_too() {
    let work = Work::with_rows();
    sweep(&work, "seeds = [1, 2]", "\"data.max_length\" = [8, 32]\n\"student.epochs\" = [1]");
    work.run("sweep s.toml --out sw").succeeds();
    let table = work.json("sw/sweep.json");
    let of = |trial: u64| {
        work.json(&format!("sw/seed-2/{}/run.json", directory(&table, trial)))["settings"]["data"]["max_length"]
            .clone()
    };
    assert_eq!((of(1), of(2)), (8.into(), 32.into()));
    // Each length has soft targets of its own, computed once a seed.
    assert_eq!(pipelines(&work, "sw/seed-1", "targets/manifest.json"), 2);
    assert!(!work.path("sw/seed-1/targets").exists());
}

/// In how many of a seed's pipelines this file is.
fn pipelines(work: &Work, seed: &str, file: &str) -> usize {
    let names = work.tree(seed);
    let mut found: Vec<&str> = names
        .iter()
        .filter(|name| name.starts_with("pipeline-"))
        .filter_map(|name| name.split('/').next())
        .collect();
    found.dedup();
    found.iter().filter(|name| work.path(&format!("{seed}/{name}/{file}")).exists()).count()
}

#[test]
fn copies_are_labelled_by_the_teacher_of_each_seed() {
    let work = Work::with_rows();
    sweep(&work, "seeds = [1]", "\"augment.copies\" = [1, 2]\n\"student.epochs\" = [1]");
    let with_teacher = PIPELINE.replace("[teacher]\n", "[finetune]\nepochs = 1\n");
    work.write("p.toml", with_teacher);
    work.run("sweep s.toml --out sw").succeeds();
    assert!(work.path("sw/seed-1/teacher/model/config.json").exists());
    assert_eq!(pipelines(&work, "sw/seed-1", "targets/manifest.json"), 2);
    assert_eq!(pipelines(&work, "sw/seed-1", "teacher/run.json"), 0);
}

#[test]
fn a_change_that_the_pipeline_does_not_read_is_refused() {
    let work = Work::with_targets();
    sweep(&work, "", "\"finetune.epochs\" = [1, 2]");
    work.run("sweep s.toml --out sw").fails(2, &["finetune.epochs", "does not fine-tune a teacher"]);
    sweep(&work, "", "\"augment.copies\" = [1, 2]");
    work.write("p.toml", format!("{PIPELINE}targets = \"targets\"\ninit = \"tiny\"\n"));
    work.run("sweep s.toml --out sw").fails(2, &["augment.copies", "student.targets"]);
}

#[test]
fn a_failing_trial_does_not_end_the_others() {
    let work = Work::with_rows();
    // A text has no 9,999 tokens that the model could tell apart, which is known before; what begins as its teacher has
    // nothing to learn, which is not.
    sweep(&work, "seeds = [1]", "\"data.max_length\" = [32, 9999]\n\"student.epochs\" = [1]");
    work.run("sweep s.toml --out long").fails(2, &["data.max_length=9999", "80 positions"]);
    assert!(!work.path("long").exists());
    sweep(&work, "seeds = [1]", "\"student.layers\" = [[0, 1, 2], [0]]\n\"student.require_teacher\" = [true]");
    let run = work.run("sweep s.toml --out same");
    assert!([Some(0), Some(1)].contains(&run.code), "{}", run.shown());
    assert!(
        run.stdout.contains("Trial 1 failed") || run.stderr.contains("no student could be trained"),
        "{}",
        run.shown()
    );
}

#[test]
fn a_trial_that_diverges_is_in_the_table_and_the_sweep_can_be_repeated() {
    let work = Work::with_rows();
    sweep(&work, "seeds = [1]", "\"student.learning_rate\" = [1e-3, 1e30]\n\"student.log_every\" = [1]");
    for _ in 0..2 {
        let run = work.run("sweep s.toml --out sw").succeeds();
        assert!(
            run.stdout.contains("Trial 2 failed") && run.stdout.contains("the loss is NaN"),
            "{}",
            run.shown()
        );
    }
}

#[test]
fn without_labels_students_are_compared_by_agreement_with_the_teacher() {
    let work = Work::new();
    let mut rows = crate::files::rows(40, "r");
    rows.iter_mut().for_each(|row| row.label = None);
    work.write("rows.jsonl", crate::files::jsonl(&rows));
    sweep(&work, "seeds = [1]", "\"student.learning_rate\" = [1e-3, 1e-9]");
    work.run("sweep s.toml --out sw").succeeds();
    let table = work.json("sw/sweep.json");
    assert_eq!(table["metric"], "agreement");
    assert!(table["best"].is_number() && table["trials"][0]["mean"].is_number());
    let ablation = work.run("ablate p.toml --seeds 1 --out ab").succeeds();
    assert!(ablation.stdout.contains("agreement with it minus agreement without"), "{}", ablation.shown());
    sweep(&work, "seeds = [1]\nmetric = \"accuracy\"", "\"student.learning_rate\" = [1e-3]");
    work.run("sweep s.toml --out none").fails(2, &["cannot be compared by accuracy", "no labels"]);
}

#[test]
fn a_trial_that_is_refused_is_in_the_table_and_the_others_run() {
    let work = Work::with_rows();
    // Of two layers the last two may be trained, of one layer not.
    let space =
        "\"student.layers\" = [[0], [0, 2]]\n\"student.train_last_layers\" = [1, 2]\n\"student.epochs\" = [1]";
    sweep(&work, "seeds = [1]", space);
    let run = work.run("sweep s.toml --out sw").succeeds();
    assert!(run.stdout.contains("Trial 2 failed: ") && run.stdout.contains("best: trial "), "{}", run.shown());
    let table = work.json("sw/sweep.json");
    assert_eq!((table["whole"].as_bool(), table["trials"].as_array().unwrap().len()), (Some(true), 4));
    assert_eq!(table["trials"][3]["trial"], 2);
    assert!(table["trials"][3]["runs"][0]["failed"].as_str().unwrap().contains("train_last_layers is 2"));
    // What is wrong by itself is a mistake. The model has three layers: 0 to 2.
    sweep(&work, "seeds = [1]", "\"student.layers\" = [[0], [0, 7], [2]]\n\"student.epochs\" = [1]");
    work.run("sweep s.toml --out none").fails(2, &["student.layers=[0, 7]", "model with 3 layers"]);
    assert!(!work.path("none").exists());
}

#[test]
fn students_are_compared_by_a_metric_of_their_problem_type() {
    let work = crate::kinds::several_classes();
    work.write(
        "p.toml",
        "[data]\ntrain = \"rows.jsonl\"\nvalidation = 0.25\nmax_length = 32\nproblem_type = \"multi_label_classification\"\n\
         [finetune]\nmodel = \"tiny\"\nepochs = 1\n[student]\nlayers = [0]\nepochs = 1\n",
    );
    let space = "[space]\n\"student.learning_rate\" = [1e-3, 1e-4]\n";
    work.write("s.toml", format!("[sweep]\npipeline = \"p.toml\"\nseeds = [1]\n{space}"));
    work.run("sweep s.toml --out sw").succeeds().says("── trial 2");
    let table = work.json("sw/sweep.json");
    assert_eq!(table["metric"], "micro_f1");
    assert!(table["trials"][0]["mean"].is_number() && table["best"].is_number());
    work.write(
        "s.toml",
        format!("[sweep]\npipeline = \"p.toml\"\nmetric = \"accuracy\"\nseeds = [1]\n{space}"),
    );
    work.run("sweep s.toml --out sw2").fails(2, &["[sweep] metric", "micro_f1"]);
    assert!(!work.path("sw2/seed-1/trials").exists());
    let ablation = work.run("ablate p.toml --seeds 1 --out ab").succeeds();
    assert!(
        ablation.stdout.contains("micro_f1 with it minus micro_f1 without, one seed"),
        "{}",
        ablation.shown()
    );
    let lines = work.json("ab/ablation.json")["students"].as_array().unwrap().clone();
    assert!(lines.iter().all(|line| line["micro_f1"][0].is_number()), "{lines:?}");
}

/// Which settings go together is what a grid does not know: the pairs that do not are answers, and the others are trained.
#[test]
fn a_combination_that_is_refused_is_in_the_table_next_to_the_others() {
    let work = Work::with_rows();
    let space =
        "\"student.loss\" = [\"kl\", \"mse\"]\n\"student.temperature_schedule\" = [\"fixed\", \"linear\"]";
    sweep(&work, "seeds = [1]", space);
    let run = work.run("sweep s.toml --out sw").succeeds();
    let table = work.json("sw/sweep.json");
    let trials = table["trials"].as_array().unwrap();
    let failed: Vec<&str> = trials.iter().filter_map(|trial| trial["runs"][0]["failed"].as_str()).collect();
    assert_eq!((trials.len(), failed.len()), (4, 1), "{}", run.shown());
    assert!(failed[0].contains("has no temperature") && table["best"].is_number(), "{}", run.shown());
    let never = "\"student.loss\" = [\"mse\"]\n\"student.temperature_schedule\" = [\"linear\", \"cosine\"]";
    sweep(&work, "seeds = [1]", never);
    work.run("sweep s.toml --out bad")
        .fails(2, &["every trial is refused; the first error", "which has no temperature"]);
    assert!(!work.path("bad").exists());
    // The base pipeline alone says nothing of a value that goes with another one.
    sweep(&work, "seeds = [1]", space);
    work.write("p.toml", format!("{PIPELINE}loss = \"mse\"\n"));
    work.run("sweep s.toml --out sw --dry-run").succeeds();
    sweep(&work, "seeds = [1]", "\"student.log_every\" = [1, 2]");
    work.run("sweep s.toml --out bad")
        .fails(2, &["[space] \"student.log_every\": the student does not depend on it"]);
}
