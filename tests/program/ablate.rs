//! `distill ablate` and `distill run --seeds`: several seeds, each an ordinary run, and what came of them in
//! one place.

use crate::harness::Work;

const DATA: &str = "[data]\ntrain = \"rows.jsonl\"\nvalidation = 0.25\nmax_length = 32\n";

/// A pipeline of three stages and a report, with more in the teacher's and in the student's table.
fn reported(finetune: &str, student: &str) -> String {
    format!(
        "{DATA}test = \"test.jsonl\"\n[finetune]\nmodel = \"tiny\"\n{finetune}\n\
         [student]\nlayers = [0]\nepochs = 1\n{student}\n[report]\ntiming = false\n"
    )
}

#[test]
fn each_used_component_is_removed_with_every_seed() {
    let work = Work::with_rows();
    work.write(
        "p.toml",
        format!(
            "{DATA}[augment]\ncopies = 1\n[finetune]\nmodel = \"tiny\"\nepochs = 1\n\
             [student]\nlayers = [0, 2]\nepochs = 1\nbatch_size = 16\nhidden_weight = 1.0\n"
        ),
    );
    let planned = work.run("ablate p.toml --dry-run").succeeds().stdout;
    assert_eq!(planned.lines().count(), 9, "{planned}");
    let first = work.run("ablate p.toml --seeds 1,2 --out ab").succeeds();
    let lines = work.json("ab/ablation.json")["students"].as_array().unwrap().clone();
    assert_eq!(lines.len(), 10);
    assert!(lines[0]["without"].is_null() && lines[0]["worth"].is_null());
    for line in &lines[1..] {
        assert_eq!(line["accuracy"].as_array().unwrap().len(), 2, "{line}");
        let (with, without) = (lines[0]["accuracy"].as_array().unwrap(), line["accuracy"].as_array().unwrap());
        let differences =
            with.iter().zip(without).map(|(with, without)| with.as_f64().unwrap() - without.as_f64().unwrap());
        let mean = differences.sum::<f64>() / 2.0;
        assert!((line["worth"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12, "{line}");
        assert!(line["worth"]["interval"].is_array(), "{line}");
    }
    // Each is the run that its name says.
    let trained =
        |name: &str| work.json(&format!("ab/seed-2/trials/{name}/run.json"))["settings"]["student"].clone();
    let base = trained("as-it-is");
    let soft = base["soft_weight"].as_f64().unwrap();
    assert_eq!(trained("without-t-squared")["soft_weight"].as_f64().unwrap(), soft / 4.0);
    assert_eq!(trained("without-temperature")["temperature"], 1.0);
    assert_eq!(trained("without-hidden-states")["hidden_weight"], 0.0);
    assert_eq!(trained("without-chosen-layers")["layers"], serde_json::json!([0, 1]));
    let rows =
        |name: &str| work.json(&format!("ab/seed-1/trials/{name}/run.json"))["results"]["train_rows"].clone();
    assert_eq!(rows("without-augmentation"), 30);
    assert!(rows("as-it-is").as_u64().unwrap() > 45);
    assert!(work.read("ab/ablation.md").contains("| soft targets |") && work.path("ab/ablation.svg").exists());
    let written = work.bytes("ab/seed-2/trials/without-labels/run.json");
    let again = work.run("ablate p.toml --seeds 1,2 --out ab").succeeds();
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(
        work.bytes("ab/seed-2/trials/without-labels/run.json"),
        written,
        "a finished student is not run again"
    );
    work.run("ablate p.toml --seeds 1,1 --out ab").fails(2, &["--seeds contains 1 more than once"]);
    work.run("ablate p.toml --seed 1 --out ab").fails(2, &["--seeds"]);
}

#[test]
fn a_pipeline_with_several_seeds_has_one_report_that_summarises_them() {
    let work = Work::with_rows();
    work.write("p.toml", reported("batch_size = 8", "batch_size = 8\nno_teacher_baseline = true"));
    let planned = work.run("run p.toml --seeds 1,2 --out r --dry-run").succeeds().stdout;
    assert!(planned.contains("report: would run, because seeds runs first"), "{planned}");
    assert!(!work.path("r").exists());
    let first = work.run("run p.toml --seeds 1,2 --out r").succeeds();
    let report = work.json("r/report/report.json");
    let seeds = report["data"][0]["seeds"].as_array().unwrap();
    let names: Vec<&str> = seeds.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["student", "baseline"]);
    assert_eq!(seeds[0]["models"], serde_json::json!(["student 1", "student 2"]));
    // A seed of several is the seed alone.
    work.run("run p.toml --seed 2 --out alone").succeeds();
    let model = |out: &str| work.bytes(&format!("{out}/student/model/model.safetensors"));
    assert!(model("alone") == model("r/seed-2") && model("r/seed-1") != model("r/seed-2"));
    assert!(!work.path("r/seed-1/report").exists());
    let written = work.bytes("r/seed-2/student/run.json");
    let again = work.run("run p.toml --seeds 1,2 --out r").succeeds();
    assert!(again.stderr.contains("report: up to date") && first.stdout.contains(again.stdout.trim()));
    assert_eq!(work.bytes("r/seed-2/student/run.json"), written);
    work.run("run p.toml --seeds 1,2 --seed 3").fails(2, &["either --seed or --seeds"]);
    let json: serde_json::Value =
        serde_json::from_str(&work.run("run p.toml --seeds 1,2 --out r --json").succeeds().stdout).unwrap();
    assert_eq!(json["seed-1"]["student"]["ran"], false);
    assert!(json["report"]["results"]["verdict"].is_string());
}

/// One seed of a night's run that ends badly must not cost the others.
#[test]
fn a_seed_that_fails_leaves_the_others_and_their_report() {
    let work = Work::with_rows();
    work.write("p.toml", reported("epochs = 1", ""));
    work.run("run p.toml --seeds 1,2 --out r").succeeds();
    let weights = work.bytes("r/seed-1/teacher/model/model.safetensors");
    work.write("r/seed-1/teacher/model/model.safetensors", &weights[..weights.len() / 2]);
    let run = work.run("run p.toml --seeds 1,2 --out r --set student.learning_rate=1e-4");
    let run = run.exits(65);
    assert!(
        run.stderr.contains("1 of 2 seeds failed; the first error: seed 1: stage targets"),
        "{}",
        run.shown()
    );
    assert!(run.stdout.contains("student"), "the report over the other seed: {}", run.shown());
    let record = work.json("r/seed-2/student/run.json");
    assert_eq!(record["settings"]["student"]["learning_rate"], 1e-4);
    let bad = "run p.toml --seeds 1,2 --out all --set student.learning_rate=1e30";
    let run = work.run(bad).exits(70);
    assert!(
        run.stderr.contains("every seed failed; the first error: seed 1: stage student"),
        "{}",
        run.shown()
    );
    assert!(work.path("all/seed-2/targets").exists() && !work.path("all/report").exists());
    // What is refused for one seed is for all: nothing is computed for the others.
    work.run("run p.toml --seeds 1,2 --out usage --set student.layers=[9]").fails(2, &["layers [9]"]);
    assert!(!work.path("usage").exists());
}

#[test]
fn methods_and_missing_labels_are_components_too() {
    let work = Work::new();
    let rows: String = crate::files::rows(40, "r")
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let label = row.label.as_ref().filter(|_| at % 3 != 0);
            format!("{}\n", serde_json::json!({"id": row.id, "text": row.text, "label": label}))
        })
        .collect();
    work.write("rows.jsonl", rows);
    work.write(
        "p.toml",
        format!(
            "{DATA}[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 1\nema_decay = 0.5\n\
             label_smoothing = 0.1\nloss = \"js\"\n"
        ),
    );
    let run = work.run("ablate p.toml --seeds 1 --out ab").succeeds();
    for part in
        ["| loss = \"js\" (\"kl\" instead) |", "| ema_decay = 0.5 (0.0 instead) |", "one seed: no interval"]
    {
        assert!(run.stdout.contains(part), "{}", run.shown());
    }
    assert!(!run.stdout.contains("failed"), "{}", run.shown());
    let of = |name: &str| work.json(&format!("ab/seed-1/trials/{name}/run.json"));
    assert_eq!(of("without-loss")["settings"]["student"]["loss"], "kl");
    assert_eq!(of("without-ema-decay")["settings"]["student"]["ema_decay"], 0.0);
    let rows = |name: &str| of(name)["results"]["train_rows"].as_u64().unwrap();
    assert!(rows("without-soft-targets") < rows("as-it-is"), "rows without labels are left out");
}

#[test]
fn several_seeds_without_a_test_set_have_their_validation_figures() {
    let work = Work::with_rows();
    work.write("p.toml", format!("{DATA}[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 1\n"));
    let run = work.run("run p.toml --seeds 1,2 --out r").succeeds();
    let line = run.stdout.lines().find(|line| line.contains("student") && line.contains("accuracy"));
    let line = line.unwrap_or_else(|| panic!("{}", run.shown()));
    assert!(line.contains(" ± "), "{line}");
    // What is up to date counts as well.
    let again = work.run("run p.toml --seeds 1,2 --out r").succeeds();
    assert!(again.stdout.contains(line.trim()), "{}", again.shown());
}

#[test]
fn a_pipeline_with_other_stores_needs_no_teacher() {
    let work = Work::with_targets();
    work.write(
        "p.toml",
        format!("{DATA}[student]\ntargets = \"targets\"\ninit = \"teacher\"\nlayers = [0]\nepochs = 1\n"),
    );
    let run = work.run("ablate p.toml --seeds 1 --out ab").succeeds();
    assert!(run.stdout.contains("| layer initialisation") && !run.stdout.contains("failed"), "{}", run.shown());
    assert!(!work.path("ab/seed-1/targets").exists());
}

#[test]
fn settings_that_the_loss_does_not_use_are_not_components() {
    let work = Work::with_rows();
    let rows = work.read("rows.jsonl");
    let number = |line: &str| format!("{{\"text\":\"a\",\"label\":{}}}\n", line.len());
    work.write("rows.jsonl", rows.lines().map(number).collect::<String>());
    work.write(
        "p.toml",
        format!("{DATA}problem_type = \"regression\"\n[finetune]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nepochs = 1\n"),
    );
    let planned = work.run("ablate p.toml --dry-run").succeeds().stdout;
    assert!(
        planned.contains("soft targets") && !planned.contains("T²") && !planned.contains("temperature"),
        "{planned}"
    );
    work.write("rows.jsonl", rows);
    work.write(
        "p.toml",
        format!("{DATA}[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nloss = \"kl\"\n"),
    );
    let planned = work.run("ablate p.toml --dry-run").succeeds().stdout;
    assert!(!planned.contains("loss ="), "what is the default anyway: {planned}");
}

#[test]
fn an_ablation_fails_if_the_unchanged_pipeline_fails() {
    let work = Work::with_rows();
    work.write("p.toml", format!("{DATA}[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [7]\n"));
    work.run("ablate p.toml --seeds 1 --out ab").fails(2, &["[student]", "layers [7]"]);
    assert!(!work.path("ab").exists());
    // What only shows in training.
    work.write(
        "p.toml",
        format!(
            "{DATA}[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nlearning_rate = 1e30\nlog_every = 1\n"
        ),
    );
    work.run("ablate p.toml --seeds 1 --out ab")
        .fails(70, &["the unchanged pipeline cannot be trained", "NaN"]);
}
