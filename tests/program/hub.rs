//! Models by their name on a hub, which here is a thread that serves the tiny model.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Run, Work};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one model, `org/tiny`, for those who have its token.
struct Hub {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Hub {
    fn start(work: &Work) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (model, asked) = (work.path("tiny"), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                answer(stream.unwrap(), &model);
            }
        });
        Hub { address, asked }
    }

    /// Runs with this hub and a home of its own.
    fn run(&self, work: &Work, arguments: &str) -> Run {
        work.run_with(
            arguments,
            &[],
            &[("HF_ENDPOINT", &self.address), ("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "secret")],
        )
    }
}

fn answer(mut stream: TcpStream, model: &Path) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> =
        lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let allowed = headers.iter().any(|line| line == "authorization: bearer secret");
    let file = path.strip_prefix("/org/tiny/resolve/main/").map(|name| model.join(name));
    let (status, more, body) = match file {
        _ if !allowed => ("401 Unauthorized", String::new(), Vec::new()),
        None if path == "/api/models/org/tiny/revision/main" => {
            let files = ["README.md", "config.json", "model.safetensors", "tokenizer.json"];
            let siblings: Vec<_> = files.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
            let info = serde_json::json!({ "sha": COMMIT, "siblings": siblings });
            ("200 OK", String::new(), info.to_string().into_bytes())
        }
        Some(file) if file.is_file() => {
            let bytes = std::fs::read(&file).unwrap();
            let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
            let (from, to) = range.unwrap_or("0-").split_once('-').unwrap();
            let from: usize = from.parse().unwrap();
            let to = to.parse().map_or(bytes.len(), |last: usize| last + 1);
            let etag = file.file_name().unwrap().to_string_lossy().replace('.', "-");
            let more = format!(
                "x-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\ncontent-range: bytes {from}-{}/{}\r\n",
                to - 1,
                bytes.len()
            );
            ("206 Partial Content", more, bytes[from..to].to_vec())
        }
        _ => ("404 Not Found", String::new(), Vec::new()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // A client that has seen enough may be gone.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
}

#[test]
fn a_model_is_fetched_once_and_is_the_one_that_is_served() {
    let work = Work::with_rows();
    let hub = Hub::start(&work);
    let predict =
        |model: &str, out: &str| format!("predict --model {model} --data rows.jsonl --out {out}.jsonl");
    hub.run(&work, &predict("org/tiny", "fetched")).succeeds().says("fetching model.safetensors");
    work.run(&predict("tiny", "local")).succeeds();
    assert_eq!(work.read("fetched.jsonl"), work.read("local.jsonl"));
    let cache = "home/.cache/huggingface/hub/models--org--tiny";
    assert_eq!(work.read(&format!("{cache}/refs/main")), COMMIT);
    assert!(
        !work.path(&format!("{cache}/snapshots/{COMMIT}/README.md")).exists(),
        "only what is read is fetched"
    );

    let asked = hub.asked.load(Ordering::Relaxed);
    hub.run(&work, &predict("org/tiny", "again")).succeeds();
    work.run(&predict("org/tiny", "offline")).succeeds();
    assert_eq!(hub.asked.load(Ordering::Relaxed), asked, "nobody is asked for what is there");
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let work = Work::with_rows();
    let hub = Hub::start(&work);
    let predict = |model: &str| format!("predict --model {model} --data rows.jsonl --out p.jsonl");
    hub.run(&work, &predict("org/none"))
        .fails(2, &["org/none", "no such model or revision", "HTTP status 404"]);
    let token = [("HF_ENDPOINT", hub.address.as_str()), ("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "wrong")];
    work.run_with(&predict("org/tiny"), &[], &token).fails(2, &["org/tiny", "HTTP status 401", "HF_TOKEN"]);
    let asked = hub.asked.load(Ordering::Relaxed);
    hub.run(&work, &format!("{} --offline", predict("org/tiny")))
        .fails(2, &["org/tiny", "this run is offline"]);
    hub.run(&work, "inspect org/tiny --offline").fails(2, &["org/tiny", "this run is offline"]);
    std::fs::create_dir(work.path("runs")).unwrap();
    hub.run(&work, &predict("runs/teacher")).fails(2, &["runs/teacher", "the directory does not exist"]);
    assert_eq!(hub.asked.load(Ordering::Relaxed), asked, "neither asks the hub");
    let nobody = [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_HUB_OFFLINE", "0")];
    work.run_with(&predict("org/tiny"), &[], &nobody).fails(74, &["org/tiny", "the hub cannot be asked"]);
    assert!(!work.path("p.jsonl").exists());
}
