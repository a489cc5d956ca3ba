//! Labels, ids, columns, models and files with hostile names under every command: a terminal, a CI system, Markdown, HTML
//! and XML show the names as text.

use serde_json::{Value, json};

use crate::files::{LABELS, with_json};
use crate::harness::{Run, Work};
use crate::validate::xml;

/// The names of the model's labels.
const HOSTILE: [&str; 5] = [
    "red\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J",
    "turned\u{202e}gnp\u{2066}\u{200b}\u{feff}hi\u{e0041}dden",
    "a\n::error title=x::owned\n##[error]owned\r::warning::owned",
    "|<script>alert(1)</script>|<img src=x onerror=alert(1)>|",
    "[click](javascript:alert(1))`code`**bold**\"'&]]>",
];
/// The name of directories and files.
const NAME: &str = "m\u{1b}[31m\u{202e}x\n::error::owned\n##[error]<b>|`";

fn is_harmless(c: char) -> bool {
    let hides = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    !hides && (!c.is_control() || c == '\n' || c == '\t')
}

#[track_caller]
fn must_be_harmless(what: &str, text: &str) {
    if let Some(at) = text.find(|c| !is_harmless(c)) {
        panic!("{what}: {:?} in {:?}", text[at..].chars().next(), text);
    }
    let is_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    assert!(!text.lines().any(is_command), "{what}: a workflow command\n{text}");
}

/// Asserts that both streams are plain text, and the exit code.
#[track_caller]
fn harmless(run: Run, code: i32) -> Run {
    must_be_harmless("stdout", &run.stdout);
    must_be_harmless("stderr", &run.stderr);
    run.exits(code)
}

/// A model and rows with hostile labels, ids and a column.
fn hostile() -> Work {
    let work = Work::new();
    let names: serde_json::Map<String, Value> =
        HOSTILE.iter().enumerate().map(|(id, name)| (id.to_string(), json!(name))).collect();
    let ids: serde_json::Map<String, Value> =
        HOSTILE.iter().enumerate().map(|(id, name)| ((*name).to_owned(), json!(id))).collect();
    with_json(&work, NAME, "config.json", |config| {
        config["id2label"] = names.into();
        config["label2id"] = ids.into();
    });
    let row = |row: usize| {
        let hostile = HOSTILE[row % HOSTILE.len()];
        let text = format!("what city {hostile} river {row}");
        json!({"id": format!("{hostile}{row}"), "text": text, "label": hostile, NAME: hostile}).to_string()
            + "\n"
    };
    work.write("rows.jsonl", (0..40).map(row).collect::<String>());
    work.write(&format!("{NAME}.jsonl"), (40..60).map(row).collect::<String>());
    assert_eq!(LABELS.len(), HOSTILE.len());
    work
}

#[test]
fn names_are_escaped_in_the_output_of_every_command() {
    let work = hostile();
    let run = |arguments: &str, more: &[&str]| harmless(work.run_with(arguments, more, &[]), 0);
    let shown = run("inspect", &[NAME]);
    assert!(
        shown.stdout.contains(r"red\u{1b}[31m") && shown.stdout.contains(r"turned\u{202e}"),
        "{}",
        shown.shown()
    );
    assert!(!run("inspect --json", &[NAME]).json()["labels"].is_null());
    run("teacher --out targets --data rows.jsonl --model", &[NAME]);
    run("targets info targets", &[]);
    run("targets info targets --json", &[]).json();
    run("targets verify targets", &[]);
    run("predict --out p.jsonl --data rows.jsonl --model", &[NAME]);
    run("predict --data rows.jsonl --model", &[NAME, "--out", &format!("{NAME}.csv"), "--log-format", "json"]);
    run("finetune --data rows.jsonl --epochs 1 --out tuned --model", &[NAME]);
    run("student --targets targets --data rows.jsonl --epochs 1 --out small --init", &[NAME]);
    run("cache info", &[]);
    run("cache info --json", &[]).json();
    for card in ["tuned/model/README.md", "small/model/README.md"] {
        let card = work.read(card);
        must_be_harmless("card", &card);
        must_be_escaped("card", &card);
    }
}

#[track_caller]
fn must_be_escaped(what: &str, markdown: &str) {
    for raw in ["<script>alert", "<img", "|<", "[click](", "`code`", "**bold**"] {
        assert!(!markdown.contains(raw), "{what}: {raw}\n{markdown}");
    }
}

#[test]
fn documents_show_the_content_of_names() {
    let work = hostile();
    let teacher = format!("|<script>alert(1)|`code`\u{1b}[31m\u{202e}={NAME}");
    let test = format!("{NAME}.jsonl");
    harmless(work.run_with("finetune --data rows.jsonl --epochs 1 --out small --model", &[NAME], &[]), 0);
    let flags = [
        "--model",
        &teacher,
        "--model",
        "student=small/model",
        "--data",
        &test,
        "--slice",
        NAME,
        "--gate",
        "accuracy >= 1.0",
        "--junit",
        "gates.xml",
        "--card",
    ];
    let run = |environment| work.run_with("report --set report.resamples=1000 --out out", &flags, environment);
    harmless(run(&[]), 1);
    let summary = work.path("summary.md").display().to_string();
    let github = run(&[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &summary)]).exits(1);
    let commands: Vec<&str> =
        github.stderr.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    let is_ours = |line: &&str| {
        line.starts_with("::error title=Quality gate") || line.starts_with("::warning title=Finding::")
    };
    assert!(!commands.is_empty() && commands.iter().all(is_ours), "{commands:?}");
    assert!(github.stderr.chars().all(is_harmless) && !github.stderr.contains("##["), "{}", github.shown());
    for document in ["out/report.md", "small/model/README.md", "summary.md"] {
        let content = work.read(document);
        must_be_harmless(document, &content);
        must_be_escaped(document, &content);
        assert!(content.contains("&lt;script&gt;"), "{document} shows the label");
    }
    let html = work.read("out/report.html");
    assert!(html.chars().all(is_harmless));
    for raw in ["<script>alert", "<img", "onerror=alert(1)>"] {
        assert!(!html.contains(raw), "{raw}");
    }
    let junit = work.read("gates.xml");
    must_be_harmless("junit", &junit);
    assert_eq!(xml(&junit).name, "testsuites");
    let compare = work.run("report --compare out out");
    harmless(compare, 0);
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// A pipeline of all stages under a hostile name, with hostile names of files, directories, labels and columns in it.
fn pipeline(work: &Work) -> String {
    let name = format!("{NAME}.toml");
    let [model, test, out] = [NAME, &format!("{NAME}.jsonl"), &format!("{NAME}-out")].map(quoted);
    let slice = quoted(NAME);
    work.write(
        &name,
        format!(
            "out = {out}\n[data]\ntrain = \"rows.jsonl\"\ntest = {test}\nvalidation = 0.25\nmax_length = 32\n\
             [augment]\ncopies = 1\n[finetune]\nmodel = {model}\nepochs = 1\n[student]\nlayers = [0]\nepochs = 1\n\
             [report]\ntiming = false\nresamples = 1000\nslices = [{slice}]\ngates = [\"accuracy >= 0.0\"]\n"
        ),
    );
    name
}

#[test]
fn pipelines_show_names_as_text() {
    let work = hostile();
    let name = pipeline(&work);
    let run = |arguments: &str, more: &[&str]| harmless(work.run_with(arguments, more, &[]), 0);
    run("check", &[&name]);
    run("run --dry-run", &[&name]);
    run("run", &[&name]);
    run("run", &[&name, "--log-format", "json"]);
    let names = work.tree(&format!("{NAME}-out"));
    for document in names.iter().filter(|name| name.ends_with(".md")) {
        let content = work.read(&format!("{NAME}-out/{document}"));
        must_be_harmless(document, &content);
        must_be_escaped(document, &content);
    }
    for stage in ["teacher", "targets", "student", "report"] {
        assert!(names.contains(&format!("{stage}/run.json")), "{stage} is missing: {names:?}");
    }
    run("run --seeds 1,2 --out", &[&format!("{NAME}-seeds"), &name]);
    // Errors of pipelines.
    work.write(&format!("{NAME}-out/report/{NAME}.txt"), "mine");
    std::fs::remove_file(work.path(&format!("{NAME}-out/report/run.json"))).unwrap();
    harmless(work.run_with("run", &[&name], &[]), 73);
    work.write(&format!("{NAME}.jsonl"), "{}\n");
    harmless(work.run_with("check", &[&name], &[]), 65);
    harmless(work.run_with("run --overwrite", &[&name], &[]), 65);
}

#[test]
fn sweeps_and_ablations_show_names_as_text() {
    let work = hostile();
    let name = pipeline(&work);
    let run = |arguments: &str, more: &[&str]| harmless(work.run_with(arguments, more, &[]), 0);
    let sweep = format!("{NAME}-sweep.toml");
    let named = quoted(&name);
    work.write(&sweep, format!("[sweep]\npipeline = {named}\n[space]\n\"student.temperature\" = [1.0, 2.0]\n"));
    let (out, ablation) = (format!("{NAME}-trials"), format!("{NAME}-ablation"));
    run("sweep --dry-run", &[&sweep]);
    run("sweep", &[&sweep, "--out", &out]);
    run("sweep --json", &[&sweep, "--out", &out]).json();
    run("ablate --dry-run", &[&name]);
    run("ablate --seeds 1", &[&name, "--out", &ablation]);
    run("ablate --seeds 1 --json", &[&name, "--out", &ablation]).json();
    for root in [out, ablation] {
        let tables: Vec<String> = work.tree(&root).into_iter().filter(|name| !name.contains('/')).collect();
        assert!(tables.iter().any(|table| table.ends_with(".md")), "{tables:?}");
        for table in tables {
            // A data file contains what the input contains.
            if table.ends_with(".json") {
                continue;
            }
            let content = work.read(&format!("{root}/{table}"));
            must_be_harmless(&table, &content);
            if table.ends_with(".md") {
                must_be_escaped(&table, &content);
            }
        }
    }
    let wrong = format!("{NAME}-none.toml");
    harmless(work.run_with("sweep", &[&wrong], &[]), 2);
    harmless(work.run_with("ablate", &[&wrong], &[]), 2);
    work.write(&sweep, format!("[sweep]\npipeline = {named}\n[space]\n{named} = [1.0, 2.0]\n"));
    harmless(work.run_with("sweep", &[&sweep], &[]), 2);
    work.write(&sweep, format!("[sweep]\npipeline = {named}\n[space]\n\"student.loss\" = [{named}]\n"));
    harmless(work.run_with("sweep", &[&sweep], &[]), 2);
}

#[test]
fn augment_bench_targets_cache_and_doctor_show_names_as_text() {
    let work = hostile();
    let run = |arguments: &str, more: &[&str]| harmless(work.run_with(arguments, more, &[]), 0);
    let rows = format!("{NAME}.jsonl");
    run(
        "augment --copies 1 --replace 0.5",
        &["--data", &rows, "--model", NAME, "--out", &format!("{NAME}-more")],
    );
    harmless(work.run_with("augment --copies 1 --out", &[NAME, "--data", &rows], &[]), 73);
    run("bench --rounds 1", &["--model", NAME, "--data", &rows]);
    run("bench --rounds 1 --json", &["--model", NAME, "--data", &rows]).json();
    let stores = ["a", "b"].map(|name| format!("{NAME}-{name}"));
    for store in &stores {
        run("teacher", &["--model", NAME, "--data", &rows, "--out", store]);
    }
    run("targets average", &[&stores[0], &stores[1], "--out", &format!("{NAME}-mean")]);
    run("targets merge", &[&stores[0], "--out", &format!("{NAME}-merged")]);
    harmless(work.run_with("targets merge", &[&stores[0], &stores[1], "--out", "merged"], &[]), 65);
    std::fs::remove_file(work.path(&format!("{}/train-00000-of-00001.parquet", stores[1]))).unwrap();
    harmless(work.run_with("targets verify", &[&stores[1]], &[]), 65);
    let cache = work.path(NAME).display().to_string() + "-cache";
    let environment = [("DISTILL_CACHE", cache.as_str())];
    for arguments in ["doctor", "doctor --json", "cache info", "cache clean"] {
        harmless(work.run_with(arguments, &[], &environment), 0);
    }
    let trace = format!("{NAME}-none/trace.json");
    harmless(work.run_with("teacher --out t", &["--model", NAME, "--data", &rows, "--trace", &trace], &[]), 73);
}

#[test]
fn names_are_escaped_in_errors() {
    let work = hostile();
    let none = format!("{NAME}-none");
    harmless(work.run_with("inspect", &[&none], &[]), 2);
    harmless(work.run_with("predict --data rows.jsonl --out p.jsonl --model", &[&none], &[]), 2);
    harmless(work.run_with("targets info", &[&none], &[]), 2);
    let wrong = json!({"id": HOSTILE[2], "text": "x", "label": format!("{}other", HOSTILE[0])}).to_string();
    work.write("wrong.jsonl", format!("{wrong}\n{wrong}\n"));
    for format in ["text", "json"] {
        let flags = ["--log-format", format];
        let run = work.run_with(
            "predict --data wrong.jsonl --out p.jsonl --model",
            &[&[NAME], &flags[..]].concat(),
            &[],
        );
        harmless(run, 65);
    }
    work.write("bad.toml", format!("[data]\n{:?} = 1\n", NAME.replace(['\n', '\u{1b}', '\u{202e}'], "")));
    harmless(work.run("finetune --config bad.toml --model tiny --data rows.jsonl --out t"), 2);
}
