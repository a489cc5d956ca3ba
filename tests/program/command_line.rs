//! Help, unknown flags, `doctor`.

use crate::files::copy_model;
use crate::harness::{Run, Work, binary};

const SUBCOMMANDS: [&str; 15] = [
    "finetune", "augment", "teacher", "student", "report", "predict", "run", "check", "inspect", "sweep",
    "ablate", "bench", "targets", "cache", "doctor",
];

#[test]
fn help_of_every_subcommand_shows_examples() {
    let work = Work::new();
    let all = work.run("--help").succeeds().stdout;
    for subcommand in SUBCOMMANDS {
        assert!(all.lines().any(|line| line.trim_start().starts_with(subcommand)), "{subcommand}\n{all}");
        let help = work.run(&format!("{subcommand} --help")).succeeds().stdout;
        let example = format!("distill {subcommand}");
        let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("no examples\n{help}"));
        assert!(examples.contains(&example), "{help}");
        for flag in ["--device", "--config", "--set", "--json", "--quiet"] {
            assert!(help.contains(flag), "{flag}\n{help}");
        }
    }
    assert!(all.contains("Exit codes: 0 done, 1 a quality gate failed"), "{all}");
    let version = work.run("--version").succeeds().stdout;
    assert_eq!(version.trim(), format!("distill {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn unknown_arguments_are_exit_2_with_the_nearest() {
    let work = Work::new();
    work.run("student --temprature 3 --out x").exits(2).says("--temperature");
    work.run("studnet").exits(2).says("student");
    work.run("student --out x --epochs many").exits(2).says("many");
    work.run("finetune").exits(2).says("--out");
    work.run("").exits(2);
}

#[test]
fn doctor_shows_what_was_found_and_what_is_missing() {
    let work = Work::new();
    let text = work.run("doctor").succeeds().stdout;
    for part in ["libtorch", "cores", "threads", "instruction sets", "memory", "CUDA", "device", "token cache"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = work.run("doctor --json").succeeds().json();
    assert_eq!(json["distill"]["found"], env!("CARGO_PKG_VERSION"));
    assert!(json["libtorch"]["missing"].is_null());
    assert!(json["token cache"]["found"].as_str().unwrap().ends_with("/cache"));
    let missing = work.run("doctor --device cuda --json").exits(2).says("checks found something missing");
    assert!(missing.json()["device"]["missing"].as_str().unwrap().contains("--device cuda"));
}

/// libgomp reads the variable before `main`, so the program must have started with it; libgomp prints what it read.
#[test]
fn waiting_threads_sleep_soon_unless_the_user_chose_otherwise() {
    let work = Work::new();
    let read = |chosen: &[(&str, &str)]| {
        let mut command = work.command(binary());
        command.args(["doctor", "--json"]).env("OMP_DISPLAY_ENV", "VERBOSE");
        command.env_remove("GOMP_SPINCOUNT").env_remove("OMP_WAIT_POLICY").envs(chosen.iter().copied());
        let run = Run::of("distill doctor --json".to_owned(), command.output().unwrap()).exits(0);
        let count = run.stderr.lines().find_map(|line| line.trim().strip_prefix("GOMP_SPINCOUNT = "));
        let said = run.json()["waiting threads"]["found"].as_str().unwrap().to_owned();
        (count.unwrap_or_else(|| panic!("{}", run.shown())).to_owned(), said)
    };
    assert_eq!(read(&[]), ("'4500'".to_owned(), "GOMP_SPINCOUNT=4500 (distill's default)".to_owned()));
    let chosen = read(&[("GOMP_SPINCOUNT", "77")]);
    assert_eq!(chosen, ("'77'".to_owned(), "GOMP_SPINCOUNT=77 (from the environment)".to_owned()));
    let (count, said) = read(&[("OMP_WAIT_POLICY", "PASSIVE")]);
    assert_eq!((count.as_str(), said.as_str()), ("'0'", "OMP_WAIT_POLICY=PASSIVE (from the environment)"));
}

#[test]
fn the_default_number_of_threads_is_that_of_the_cpus_this_process_may_use() {
    let work = Work::new();
    let mut command = work.command("taskset");
    command.args(["--cpu-list", "0", binary(), "doctor", "--json"]).env_remove("DISTILL_THREADS");
    let found = Run::of("taskset".to_owned(), command.output().unwrap()).succeeds().json();
    assert_eq!(found["threads"]["found"], "1");
    assert!(found["cores"]["found"].as_str().unwrap().starts_with("affinity mask: 1; "), "{found}");
}

#[test]
fn messages_about_flags_say_what_to_write_instead() {
    let work = Work::new();
    work.run("run p.toml --text-column question").exits(2).says("--set data.columns.text=NAME");
    work.run("student --out x --epochs -1").exits(2).says("-1 is not in");
    work.run("student --out x --targets t --learning-rate -1").exits(2).says("learning_rate is -1");
    std::fs::create_dir_all(work.path("runs/ok/targets")).unwrap();
    work.write("runs/ok/targets/manifest.json", "{}");
    work.run("student --targets runs/ok --init tiny --out x").fails(2, &["did you mean runs/ok/targets?"]);
}

/// A shell shows 141 for `distill doctor | head -0`, as for other tools.
#[test]
fn the_program_ends_silently_when_stdout_is_closed() {
    use std::os::unix::process::ExitStatusExt;
    let work = Work::new();
    let mut command = work.command(binary());
    command.arg("doctor").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(13), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn inspect_describes_a_model_and_the_size_of_a_student() {
    let work = Work::new();
    copy_model(&work, "m");
    let text = work.run("inspect m").succeeds().stdout;
    for part in ["bert (BertForSequenceClassification)", "3 of hidden size 32", "alpha, beta", "of 1 layers"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = work.run("inspect m --layers 2,0 --hidden-size 16 --json").succeeds().json();
    assert_eq!(json["parameters"]["layers"].as_array().unwrap().len(), 3);
    assert_eq!((&json["student"]["layers"], &json["student"]["attention_heads"]), (&2.into(), &2.into()));
    let (whole, student) = (&json["parameters"]["total"], &json["student"]["parameters"]);
    assert!(student.as_u64().unwrap() * 2 < whole.as_u64().unwrap(), "{student} of {whole}");
    work.run("inspect m --layers 3").exits(2).says("3 layers");
    work.run("inspect m --hidden-size 20").exits(2).says("multiple of 8");
}
