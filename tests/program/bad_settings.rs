//! Settings that make no sense, from every place that they can come from: exit code 2 before any work.

use crate::harness::Work;

fn student(work: &Work, more: &str) -> crate::harness::Run {
    work.run(&format!("student --targets targets --init tiny --layers 0 --out st {more}"))
}

#[test]
fn numbers_out_of_range_name_the_setting() {
    let work = Work::with_targets();
    for (more, part) in [
        ("--temperature 0", "temperature is 0, expected from 0.01 to 1000"),
        ("--temperature=-2", "temperature is -2, expected from 0.01 to 1000"),
        ("--temperature nan", "temperature is NaN"),
        ("--hard-weight=-0.1", "hard_weight is -0.1, expected at least 0"),
        ("--soft-weight=-1", "soft_weight is -1, expected at least 0"),
        ("--hard-weight 0 --soft-weight 0", "hard_weight and soft_weight"),
        ("--batch-size 1 --loss dist", "batch_size is 1 with loss \"dist\", expected at least 2"),
        ("--learning-rate 0", "learning_rate is 0"),
        ("--epochs 0", "epochs is 0"),
        ("--threads 0", "threads is 0"),
        ("--threads 1025", "threads is 1025; expected 1 to 1024"),
        ("--dtype f16", "unknown dtype \"f16\"; expected f32, bf16 or auto"),
        ("--device gpu", "unknown device \"gpu\"; known: auto, cpu, cuda, cuda:N"),
        ("--max-length 81", "max_length is 81, but the model has only 80 positions"),
        ("--max-length 1", "max_length is 1"),
        ("--max-length 64", "max_length is 64, but the teacher read only 32 tokens"),
        ("--validation 1.5", "1.5"),
        ("--validation 0", "validation"),
    ] {
        student(&work, more).fails(2, &[part]);
        assert!(!work.path("st").exists(), "{more}");
    }
}

#[test]
fn unknown_settings_name_the_nearest_from_every_source() {
    let work = Work::with_targets();
    student(&work, "--set student.epoch=3")
        .fails(2, &["--set student.epoch=3", "\"epoch\"", "did you mean \"epochs\"?"]);
    student(&work, "--set sutdent.epochs=3").fails(2, &["did you mean \"student\"?"]);
    student(&work, "--set student.epochs").fails(2, &["KEY=VALUE"]);
    student(&work, "--set student.epochs=many").fails(2, &["--set student.epochs=many"]);
    work.write("s.toml", "[student]\ntemprature = 3\n");
    student(&work, "--config s.toml")
        .fails(2, &["s.toml", "[student]", "\"temprature\"", "did you mean \"temperature\"?"]);
    work.write("s.toml", "[studnet]\ntemperature = 3\n");
    student(&work, "--config s.toml").fails(2, &["s.toml", "did you mean \"student\"?"]);
    work.write("s.toml", "[student]\ntemperature = \"warm\"\n");
    student(&work, "--config s.toml").fails(2, &["s.toml", "temperature", "warm"]);
    work.write("s.toml", "[student\n");
    student(&work, "--config s.toml").fails(2, &["s.toml", "line 1"]);
    student(&work, "--config none.toml").fails(2, &["none.toml", "No such file"]);
    for (name, parts) in [
        ("DISTILL_STUDENT_EPOCH", ["DISTILL_STUDENT_EPOCH", "did you mean \"epochs\"?"]),
        ("DISTILL_SUDENT_EPOCHS", ["DISTILL_SUDENT_EPOCHS", "did you mean \"student\"?"]),
        ("DISTILL_THREDS", ["DISTILL_THREDS", "did you mean \"threads\"?"]),
    ] {
        let run = work.run_with("student --targets targets --init tiny --out st", &[], &[(name, "3")]);
        run.fails(2, &parts);
    }
    assert!(!work.path("st").exists());
}

#[test]
fn the_command_line_overrides_the_environment_which_overrides_the_file() {
    let work = Work::with_targets();
    work.write("s.toml", "[student]\nepochs = 2\nbatch_size = 3\nlearning_rate = 1e-3\n");
    let environment =
        [("DISTILL_STUDENT_EPOCHS", "4"), ("DISTILL_STUDENT_BATCH_SIZE", "5"), ("DISTILL_SEED", "6")];
    let arguments = "student --targets targets --init tiny --config s.toml --epochs 7 --out st --dry-run";
    let planned = work.run_with(arguments, &[], &environment).succeeds().json();
    let settings = &planned["settings"];
    assert_eq!(settings["student"]["epochs"], 7);
    assert_eq!(settings["student"]["batch_size"], 5);
    assert_eq!(settings["student"]["learning_rate"], 1e-3);
    assert_eq!(settings["seed"], 6);
}

#[test]
fn missing_settings_are_named_by_flag_and_key() {
    let work = Work::with_rows();
    work.run("finetune --data rows.jsonl --out out").fails(2, &["--model", "finetune.model"]);
    work.run("finetune --model tiny --out out").fails(2, &["--data", "data.train"]);
    work.run("student --init tiny --out out").fails(2, &["--targets", "student.targets"]);
    work.run("report --data test.jsonl --out out").fails(2, &["--model", "--predictions"]);
    work.run("report --model tiny --out out").fails(2, &["--data", "data.test"]);
    work.run("predict --model tiny --data rows.jsonl --out p.txt")
        .fails(2, &["p.txt", ".parquet, .jsonl or .csv"]);
    work.run("run none.toml").fails(2, &["none.toml", "No such file"]);
    work.write("empty.toml", "");
    work.run("run empty.toml").exits(2).says("teacher.model");
    assert!(!work.path("out").exists());
}

#[test]
fn missing_cuda_is_an_error_and_never_a_cpu_run() {
    let work = Work::with_rows();
    for device in ["cuda", "cuda:1"] {
        let run = work.run(&format!("teacher --model tiny --data rows.jsonl --out out --device {device}"));
        run.fails(2, &["--device cuda"]);
        assert!(!work.path("out").exists());
    }
}

/// They are used, since sums depend on their number, but whoever asks for more than there are is told.
#[test]
fn more_threads_than_cores_cause_a_warning() {
    let work = Work::with_rows();
    let cores = std::thread::available_parallelism().unwrap().get();
    let predict = |threads: usize| {
        work.run(&format!("predict --model tiny --data test.jsonl --threads {threads} --out p{threads}.csv"))
    };
    let warning = format!("may use only {cores} CPUs");
    predict(cores + 1).succeeds().says(&format!("threads is {}", cores + 1)).says(&warning);
    assert!(!predict(cores).succeeds().stderr.contains("may use only"));
}

/// A pipeline's last stages may begin in the small hours: what is wrong with their settings is said before the first one.
#[test]
fn a_pipeline_with_an_impossible_student_ends_before_its_teacher_is_trained() {
    let work = Work::with_rows();
    let data = "[data]\ntrain = \"rows.jsonl\"\nmax_length = 32\n";
    let pipeline = |teacher: &str, student: &str| {
        work.write("p.toml", format!("{data}{teacher}\n[student]\nlayers = [0]\n{student}\n"));
    };
    for teacher in ["[finetune]\nmodel = \"tiny\"", "[teacher]\nmodel = \"tiny\""] {
        pipeline(teacher, "temperature = -1.0");
        for more in ["", "--dry-run", "--seeds 1,2"] {
            work.run(&format!("run p.toml --out r {more}")).fails(2, &["[student]", "temperature is -1"]);
            assert!(!work.path("r/teacher").exists() && !work.path("r/targets").exists(), "{teacher} {more}");
        }
    }
    pipeline("[finetune]\nmodel = \"tiny\"\nepochs = 0", "");
    work.run("run p.toml --out r").fails(2, &["[finetune]", "epochs is 0"]);
    // What depends on the labels, too, with a teacher as it is and with one that is to be trained.
    pipeline("[teacher]\nmodel = \"tiny\"", "class_weights = [1.0]");
    work.run("run p.toml --out r").fails(2, &["[student]", "1 numbers for"]);
    pipeline("[finetune]\nmodel = \"tiny\"", "class_weights = [1.0]");
    work.run("run p.toml --out r").fails(2, &["[student]", "1 numbers for"]);
    assert!(!work.path("r/teacher/model").exists() && !work.path("r/targets").exists());
    // A student of another store has that store's labels, whatever teacher is named.
    let stores = Work::with_targets();
    stores.write(
        "p.toml",
        format!("{data}[teacher]\nmodel = \"ft/model\"\n[student]\ntargets = \"targets\"\ninit = \"tiny\"\nloss = \"dkd\"\nepochs = 1\n"),
    );
    stores
        .write("two.jsonl", "{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\",\"label\":\"y\"}\n".repeat(10));
    stores.run("finetune --model tiny --data two.jsonl --epochs 1 --max-length 32 --out ft").succeeds();
    stores.run("run p.toml --out r").succeeds();
}
