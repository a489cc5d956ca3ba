//! A hub with one model, `org/tiny`, for those who have its token, and the host that it redirects to for large files.
//! What either of them does wrong is up to each test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use crate::harness::{Run, TINY, Work};

/// The commit that `main` is.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The repository in the cache.
pub const REPOSITORY: &str = "home/.cache/huggingface/hub/models--org--tiny";
/// The file in Git LFS.
pub const WEIGHTS: &str = "model.safetensors";

const FILES: [&str; 4] = ["README.md", "config.json", WEIGHTS, "tokenizer.json"];

/// What a client asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether the other host was asked, and not the hub.
    pub at_cdn: bool,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

/// What it is answered.
pub struct Reply {
    pub status: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

/// How an answer ends.
pub enum End {
    /// With its body.
    Whole,
    /// As if there were more: the connection is closed after this many bytes of the body.
    CutAt(usize),
    /// After this many bytes of the body nothing comes, and the connection stays.
    StallAt(usize),
    /// Without a length, and never.
    Endless,
    /// Without a length, with the body.
    Unannounced,
    /// The body is all there is, status and headers included.
    Raw,
}

/// Two listening threads, and what they were asked.
pub struct Hub {
    pub address: String,
    pub cdn: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// What an honest answer is made from.
#[derive(Clone)]
pub struct Honest {
    pub model: PathBuf,
    pub cdn: String,
    /// Whether hashes and sizes stand in what is said of the repository, or in headers alone.
    pub says_blobs: bool,
}

impl Hub {
    /// A hub without faults.
    pub fn honest() -> Self {
        Self::start(|request, honest| honest.answer(request))
    }

    /// A hub that answers as it likes, in a thread for each connection.
    pub fn start(answer: impl Fn(&Request, &Honest) -> Reply + Send + Sync + 'static) -> Self {
        let (hub, cdn) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let started = Hub { address: address(&hub), cdn: address(&cdn), asked: Arc::default() };
        let honest = Honest { model: TINY.into(), cdn: started.cdn.clone(), says_blobs: true };
        let answer = Arc::new(answer);
        for (listener, at_cdn) in [(hub, false), (cdn, true)] {
            let (answer, honest, asked) = (Arc::clone(&answer), honest.clone(), Arc::clone(&started.asked));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (answer, honest, asked) = (Arc::clone(&answer), honest.clone(), Arc::clone(&asked));
                    std::thread::spawn(move || {
                        let Ok(stream) = stream else { return };
                        let Some(request) = read(&stream, at_cdn) else { return };
                        asked.lock().unwrap().push(request.clone());
                        // A client that has seen enough may be gone.
                        drop(send(stream, answer(&request, &honest)));
                    });
                }
            });
        }
        started
    }

    /// Runs with this hub and a home of its own.
    pub fn run(&self, work: &Work, arguments: &str) -> Run {
        self.run_with(work, arguments, &[])
    }

    /// As [`Hub::run`], with more environment.
    pub fn run_with(&self, work: &Work, arguments: &str, more: &[(&str, &str)]) -> Run {
        work.run_with(arguments, &[], &[&self.environment()[..], more].concat())
    }

    /// What lets a run ask this hub.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [("HF_ENDPOINT", &self.address), ("HF_HUB_OFFLINE", "0"), ("HF_TOKEN", "secret")]
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

impl Honest {
    /// The right answer.
    pub fn answer(&self, request: &Request) -> Reply {
        if request.at_cdn {
            return self.content(request.path.split('?').next().unwrap().trim_start_matches("/cdn/"), request);
        }
        if request.headers.get("authorization").is_none_or(|given| given != "Bearer secret") {
            return Reply::empty("401 Unauthorized");
        }
        if request.path.starts_with("/api/models/org/tiny/revision/main") {
            return Reply::json(&self.about());
        }
        let path = request.path.split('?').next().unwrap();
        match path.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/")) {
            Some(WEIGHTS) => Reply::redirect(&format!("{}/cdn/{WEIGHTS}?signature=x", self.cdn))
                .with("x-repo-commit", COMMIT)
                .with("x-linked-etag", &format!("\"{}\"", self.hash(WEIGHTS)))
                .with("x-linked-size", &self.bytes(WEIGHTS).len().to_string()),
            Some(file) if self.model.join(file).is_file() => {
                let tag = format!("\"{}\"", self.hash(file));
                self.content(file, request).with("x-repo-commit", COMMIT).with("etag", &tag)
            }
            _ => Reply::empty("404 Not Found"),
        }
    }

    /// What is said of the repository.
    pub fn about(&self) -> serde_json::Value {
        let siblings: Vec<_> = FILES.iter().map(|file| self.entry(file)).collect();
        serde_json::json!({ "sha": COMMIT, "siblings": siblings })
    }

    fn entry(&self, file: &str) -> serde_json::Value {
        if !self.says_blobs || !self.model.join(file).is_file() {
            return serde_json::json!({ "rfilename": file });
        }
        let (size, git) = (self.bytes(file).len(), git_hash(&self.bytes(file)));
        match file {
            WEIGHTS => {
                let lfs = serde_json::json!({ "sha256": self.hash(file), "size": size, "pointerSize": 130 });
                serde_json::json!({ "rfilename": file, "blobId": git, "size": size, "lfs": lfs })
            }
            _ => serde_json::json!({ "rfilename": file, "blobId": git, "size": size }),
        }
    }

    /// A file's content, or the range of it that was asked for.
    fn content(&self, file: &str, request: &Request) -> Reply {
        let bytes = self.bytes(file);
        let Some(range) = request.headers.get("range") else { return Reply::of("200 OK", bytes) };
        let from: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
        let said = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        Reply::of("206 Partial Content", bytes[from..].to_vec()).with("content-range", &said)
    }

    pub fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.model.join(file)).unwrap()
    }

    /// The hash that the hub names a file by.
    pub fn hash(&self, file: &str) -> String {
        let bytes = self.bytes(file);
        if file == WEIGHTS { hex(Context::new(&SHA256), &[&bytes]) } else { git_hash(&bytes) }
    }
}

impl Request {
    /// Whether it is for the content of a file, wherever that lies.
    pub fn is_for(&self, file: &str) -> bool {
        let path = self.path.split('?').next().unwrap();
        path == format!("/org/tiny/resolve/{COMMIT}/{file}") || path == format!("/cdn/{file}")
    }

    /// Whether it is for a file's bytes and not for the place where they are.
    pub fn is_for_bytes_of(&self, file: &str) -> bool {
        self.is_for(file) && (self.at_cdn || file != WEIGHTS)
    }
}

impl Reply {
    pub fn of(status: &str, body: Vec<u8>) -> Self {
        Reply { status: status.to_owned(), headers: Vec::new(), body, end: End::Whole }
    }

    pub fn empty(status: &str) -> Self {
        Self::of(status, Vec::new())
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::of("200 OK", value.to_string().into_bytes())
    }

    pub fn redirect(location: &str) -> Self {
        Self::empty("302 Found").with("location", location)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn ending(self, end: End) -> Self {
        Reply { end, ..self }
    }

    /// The answer as it goes over the connection.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head().as_bytes(), &self.body].concat()
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", self.status);
        if !matches!(self.end, End::Endless | End::Unannounced) {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// The hash of `git hash-object`.
pub fn git_hash(bytes: &[u8]) -> String {
    hex(Context::new(&SHA1_FOR_LEGACY_USE_ONLY), &[format!("blob {}\0", bytes.len()).as_bytes(), bytes])
}

fn hex(mut context: Context, parts: &[&[u8]]) -> String {
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(stream: &TcpStream, at_cdn: bool) -> Option<Request> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    Some(Request { at_cdn, path, headers })
}

fn send(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    if !matches!(reply.end, End::Raw) {
        stream.write_all(reply.head().as_bytes())?;
    }
    match reply.end {
        End::Whole | End::Unannounced | End::Raw => stream.write_all(&reply.body)?,
        End::CutAt(length) => stream.write_all(&reply.body[..length.min(reply.body.len())])?,
        End::StallAt(length) => {
            stream.write_all(&reply.body[..length.min(reply.body.len())])?;
            std::thread::sleep(Duration::from_secs(120));
        }
        End::Endless => loop {
            stream.write_all(&[b'x'; 1 << 16])?;
        },
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // Until the client closes: a reset could overtake what was sent.
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.read(&mut [0; 64]).map(drop)
}

/// Everything below the cache of a run, with sizes.
pub fn cached(work: &Work) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    collect(&work.path("home"), &work.path("home"), &mut found);
    found
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, u64>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.map(Result::unwrap) {
        let about = entry.metadata().unwrap();
        let name = entry.path().strip_prefix(root).unwrap().display().to_string();
        if about.is_dir() {
            collect(root, &entry.path(), found);
        } else {
            found.insert(name, about.len());
        }
    }
}
