//! Models by their name on a hub, which here is a thread that serves the tiny model.

use std::os::unix::fs::symlink;

use crate::harness::Work;
use crate::hub_server::{COMMIT, Hub, REPOSITORY, WEIGHTS, cached, git_hash};

fn predict(model: &str, out: &str) -> String {
    format!("predict --model {model} --data rows.jsonl --out {out}.jsonl")
}

#[test]
fn a_model_is_downloaded_once_and_unchanged() {
    let work = Work::with_rows();
    let hub = Hub::honest();
    hub.run(&work, &predict("org/tiny", "fetched")).succeeds().says("fetching model.safetensors");
    work.run(&predict("tiny", "local")).succeeds();
    assert_eq!(work.read("fetched.jsonl"), work.read("local.jsonl"));
    assert_eq!(work.read(&format!("{REPOSITORY}/refs/main")), COMMIT);
    let snapshot = format!("{REPOSITORY}/snapshots/{COMMIT}");
    assert!(!work.path(&format!("{snapshot}/README.md")).exists(), "only what is read is fetched");
    let config = std::fs::read_link(work.path(&format!("{snapshot}/config.json"))).unwrap();
    let digits = git_hash(&work.bytes("tiny/config.json"));
    assert_eq!(config.to_str().unwrap(), format!("../../blobs/{digits}"), "as huggingface_hub lays it out");

    let asked = hub.asked().len();
    hub.run(&work, &predict("org/tiny", "again")).succeeds();
    work.run(&predict("org/tiny", "offline")).succeeds();
    assert_eq!(hub.asked().len(), asked, "nobody is asked for what is there");
}

#[test]
fn hashes_that_are_only_in_headers_are_compared_too() {
    let work = Work::with_rows();
    let hub = Hub::start(|request, honest| {
        let mut honest = honest.clone();
        honest.says_blobs = false;
        honest.answer(request)
    });
    hub.run(&work, "inspect org/tiny").succeeds();
    let blobs = work.path(&format!("{REPOSITORY}/blobs"));
    let mut names: Vec<usize> =
        std::fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().file_name().len()).collect();
    names.sort_unstable();
    assert_eq!(names, [40, 40, 64], "by git's hash, and SHA-256 in Git LFS");
}

#[test]
fn the_token_is_sent_only_to_the_hub() {
    let work = Work::with_rows();
    let hub = Hub::honest();
    hub.run(&work, "inspect org/tiny").succeeds();
    let (cdn, hubs): (Vec<_>, Vec<_>) = hub.asked().into_iter().partition(|request| request.at_cdn);
    assert!(!cdn.is_empty() && hubs.len() >= 4, "{cdn:?} {hubs:?}");
    assert!(hubs.iter().all(|request| request.headers["authorization"] == "Bearer secret"));
    let has_secret = |text: &String| text.contains("secret");
    assert!(!cdn.iter().any(|request| request.headers.values().any(has_secret) || has_secret(&request.path)));

    // Neither to another machine over plain HTTP: this says so before it tries.
    let plain = [("HF_ENDPOINT", "http://hub.invalid"), ("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "secret")];
    let run = work.run_with("inspect org/other --max-time 1s", &[], &plain);
    assert!(run.stderr.contains("the token for the hub is not sent"), "{}", run.shown());
    assert!(!run.stderr.contains("secret"), "{}", run.shown());
}

#[test]
fn failed_downloads_say_why() {
    let work = Work::with_rows();
    let hub = Hub::honest();
    let predict = |model: &str| predict(model, "p");
    hub.run(&work, &predict("org/none"))
        .fails(2, &["org/none", "no such model or revision", "HTTP status 404"]);
    let token = [("HF_TOKEN", "wrong")];
    hub.run_with(&work, &predict("org/tiny"), &token).fails(2, &["org/tiny", "HTTP status 401", "HF_TOKEN"]);
    let asked = hub.asked().len();
    hub.run(&work, &format!("{} --offline", predict("org/tiny")))
        .fails(2, &["org/tiny", "this run is offline"]);
    hub.run(&work, "inspect org/tiny --offline").fails(2, &["org/tiny", "this run is offline"]);
    std::fs::create_dir(work.path("runs")).unwrap();
    hub.run(&work, &predict("runs/teacher")).fails(2, &["runs/teacher", "the directory does not exist"]);
    assert_eq!(hub.asked().len(), asked, "neither asks the hub");
    let at = |endpoint| [("HF_ENDPOINT", endpoint), ("HF_HUB_OFFLINE", "0")];
    work.run_with(&predict("org/tiny"), &[], &at("http://127.0.0.1:9"))
        .fails(74, &["org/tiny", "the hub cannot be reached"]);
    work.run_with(&predict("org/tiny"), &[], &at("hub.example")).fails(2, &["HF_ENDPOINT", "hub.example"]);
    assert!(!work.path("p.jsonl").exists());
}

#[test]
fn a_flipped_bit_in_the_cache_is_noticed_and_the_file_can_be_replaced() {
    let work = Work::with_rows();
    let hub = Hub::honest();
    hub.run(&work, "inspect org/tiny").succeeds();
    let link = work.path(&format!("{REPOSITORY}/snapshots/{COMMIT}/{WEIGHTS}"));
    let blob = link.canonicalize().unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    work.write(blob.to_str().unwrap(), &bytes);
    let shown = blob.display().to_string();
    work.run(&predict("org/tiny", "p")).fails(65, &[&shown, "SHA-256", "Remove that file"]);
    // By its path, too.
    let snapshot = link.parent().unwrap().display().to_string();
    work.run(&predict(&snapshot, "p")).fails(65, &[&shown, "SHA-256"]);
    std::fs::remove_file(&blob).unwrap();
    hub.run(&work, &predict("org/tiny", "p")).succeeds();
    work.run(&predict("tiny", "local")).succeeds();
    assert_eq!(work.read("p.jsonl"), work.read("local.jsonl"));
}

#[test]
fn no_link_in_the_cache_is_followed_to_write() {
    let work = Work::with_rows();
    work.write("victim", "mine");
    let hub = Hub::honest();
    let digits = git_hash(&work.bytes("tiny/config.json"));
    let (blobs, locks) =
        (format!("{REPOSITORY}/blobs"), "home/.cache/huggingface/hub/.locks/models--org--tiny".to_owned());
    for planted in [format!("{locks}/{digits}.lock"), format!("{blobs}/{digits}.incomplete")] {
        let planted = work.path(&planted);
        std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(work.path("victim"), &planted).unwrap();
        let run = hub.run(&work, "inspect org/tiny").exits(74);
        assert!(run.stderr.contains(&planted.display().to_string()), "{}", run.shown());
        assert_eq!(work.read("victim"), "mine");
        std::fs::remove_file(planted).unwrap();
    }
    hub.run(&work, "inspect org/tiny").succeeds();
}

#[test]
fn two_processes_download_a_file_only_once() {
    let work = Work::with_rows();
    let hub = Hub::honest();
    let runs = [0, 1].map(|_| {
        let mut command = work.command(crate::harness::binary());
        command.args(["inspect", "org/tiny"]).envs(hub.environment());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    });
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let asked = hub.asked();
    for file in ["config.json", "tokenizer.json", WEIGHTS] {
        assert_eq!(asked.iter().filter(|request| request.is_for_bytes_of(file)).count(), 1, "{file}");
    }
    assert!(!cached(&work).keys().any(|name| name.ends_with(".incomplete")));
}
