//! A hub, or the host that it redirects to, that lies, breaks off, or never ends: an error that names the file, nothing
//! outside the cache, nothing wrong under a final name.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Work, binary};
use crate::hub_server::{COMMIT, End, Hub, Reply, Request, WEIGHTS, cached};

const INSPECT: &str = "inspect org/tiny";
const INDEX: &str = "model.safetensors.index.json";

/// A hub whose answer for the bytes of the weights is what `change` makes of the honest one.
fn with_weights(change: impl Fn(Reply, &Request) -> Reply + Send + Sync + 'static) -> Hub {
    Hub::start(move |request, honest| {
        let reply = honest.answer(request);
        if request.is_for_bytes_of(WEIGHTS) { change(reply, request) } else { reply }
    })
}

/// A hub that says something else of the repository.
fn with_about(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Hub {
    Hub::start(move |request, honest| {
        if !request.path.starts_with("/api/") {
            return honest.answer(request);
        }
        let mut about = honest.about();
        change(&mut about);
        Reply::json(&about)
    })
}

/// A hub with weights in parts, of which the index names one.
fn with_part(part: &'static str) -> Hub {
    Hub::start(move |request, honest| {
        let index = json!({"weight_map": {"a": part}}).to_string().into_bytes();
        match &request.path {
            about if about.starts_with("/api/") => {
                let mut about = honest.about();
                let files = about["siblings"].as_array_mut().unwrap();
                files.retain(|entry| entry["rfilename"] != WEIGHTS);
                files.extend([INDEX, part].map(|name| json!({ "rfilename": name })));
                Reply::json(&about)
            }
            path if path.ends_with(INDEX) => Reply::of("200 OK", index),
            path if path.contains("evil") => Reply::of("200 OK", b"evil".to_vec()),
            _ => honest.answer(request),
        }
    })
}

/// Nothing of the weights is taken for whole, and nothing of the model either.
fn has_no_weights(work: &Work) {
    let files = cached(work);
    let is_model = |name: &String| name.contains("/snapshots/") && !name.ends_with("tokenizer.json");
    let is_weights = |name: &String| name.contains("/blobs/") && name.rsplit('/').next().unwrap().len() == 64;
    assert!(!files.keys().any(|name| is_model(name) || is_weights(name)), "{files:?}");
}

#[test]
fn names_from_the_hub_leave_nothing_outside_the_cache() {
    fn header(file: &'static str, name: &'static str) -> Hub {
        Hub::start(move |request, honest| {
            let reply = honest.answer(request);
            let is_meant = !request.at_cdn && request.is_for(file);
            if is_meant { reply.with(name, "../../../../../evil") } else { reply }
        })
    }
    fn entry(about: &mut Value) -> &mut Value {
        about["siblings"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .find(|entry| entry["rfilename"] == WEIGHTS)
            .unwrap()
    }
    let hubs = [
        (
            "\"../../../../../evil\" is not a commit",
            with_about(|about| about["sha"] = "../../../../../evil".into()),
        ),
        ("is not a hash", with_about(|about| entry(about)["lfs"]["sha256"] = "../../../../../evil".into())),
        ("X-Repo-Commit is \"../../../../../evil\"", header("config.json", "x-repo-commit")),
        ("X-Linked-ETag \"../../../../../evil\" is not a hash", header(WEIGHTS, "x-linked-etag")),
        ("\"config.json\" is not the name of a weights file", with_part("config.json")),
        ("weight_map names a file outside the directory", with_part("../evil.safetensors")),
        ("\"..evil.safetensors\" is not the name", with_part("..evil.safetensors")),
    ];
    for (says, hub) in hubs {
        let work = Work::new();
        let before = work.tree(".");
        hub.run(&work, INSPECT).fails(65, &["org/tiny", says]);
        let after: Vec<String> = work.tree(".").into_iter().filter(|name| !name.starts_with("home/")).collect();
        assert_eq!(after, before, "{says}");
        let files = cached(&work);
        assert!(!files.keys().any(|name| name.contains("evil") || name.ends_with("/config.json")), "{files:?}");
        assert!(files.keys().all(|name| name.starts_with(".cache/huggingface/hub/")), "{files:?}");
    }
}

#[test]
fn a_tag_that_is_not_a_hash_does_not_become_a_name() {
    let work = Work::new();
    let hub = Hub::start(|request, honest| {
        let mut honest = honest.clone();
        honest.says_blobs = false;
        let reply = honest.answer(request);
        if request.is_for("config.json") { reply.with("etag", "\"../../../../evil\"") } else { reply }
    });
    hub.run(&work, INSPECT).succeeds().says("the hub announces no hash of config.json");
    let files = cached(&work);
    assert!(!files.keys().any(|name| name.contains("evil") || name.ends_with(".incomplete")), "{files:?}");
}

/// Breaks off the weights early, whatever part of them is asked for.
fn always_short() -> Hub {
    Hub::start(|request, honest| {
        let mut request = request.clone();
        request.headers.remove("range");
        let reply = honest.answer(&request);
        if request.is_for_bytes_of(WEIGHTS) { reply.ending(End::CutAt(1000)) } else { reply }
    })
}

#[test]
fn a_body_that_differs_from_the_announcement_is_discarded() {
    let twice = |body: Vec<u8>| [&body[..], &body[..]].concat();
    let flipped = |mut body: Vec<u8>| {
        body[100_000] ^= 1;
        body
    };
    let hubs = [
        (65, "two sizes were announced", with_weights(move |reply, _| Reply::of("200 OK", twice(reply.body)))),
        (
            65,
            "more than 136908 bytes",
            with_weights(move |reply, _| Reply::of("200 OK", twice(reply.body)).ending(End::Unannounced)),
        ),
        (65, "more than 136908 bytes", with_weights(|reply, _| reply.ending(End::Endless))),
        (65, "the SHA-256", with_weights(move |reply, _| Reply::of("200 OK", flipped(reply.body)))),
        (
            65,
            "two sizes were announced",
            with_weights(|reply, _| Reply::of("200 OK", reply.body[..1000].to_vec())),
        ),
        (74, "of 136908 bytes", always_short()),
    ];
    for (code, says, hub) in hubs {
        let work = Work::new();
        hub.run(&work, INSPECT).fails(code, &["org/tiny", WEIGHTS, says]);
        has_no_weights(&work);
        let bytes: u64 = cached(&work).values().sum();
        assert!(bytes < 200_000, "{says}: {bytes} bytes were written");
        // Whatever was left does not spoil what an honest hub sends.
        Hub::honest().run(&work, INSPECT).succeeds();
    }
}

#[test]
fn an_impossible_size_is_refused_before_the_download() {
    let hub = with_about(|about| {
        for entry in about["siblings"].as_array_mut().unwrap() {
            if entry["rfilename"] == "tokenizer.json" {
                entry["size"] = json!(1u64 << 40);
            }
        }
    });
    hub.run(&Work::new(), INSPECT).fails(65, &["tokenizer.json", "two sizes were announced"]);
    let endless = Hub::start(|request, honest| match honest.answer(request) {
        reply if request.path.starts_with("/api/") => reply.ending(End::Endless),
        reply => reply,
    });
    endless.run(&Work::new(), INSPECT).fails(74, &["org/tiny", "more than 67108864 bytes"]);
}

#[test]
fn redirects_end() {
    fn to(location: &'static str) -> Hub {
        Hub::start(move |request, honest| {
            let reply = honest.answer(request);
            if request.is_for(WEIGHTS) { reply.with("location", location) } else { reply }
        })
    }
    let hubs = [
        ("more than 10 redirects", to("?again")),
        ("127.0.0.1:9", to("http://127.0.0.1:9/x")),
        ("neither http nor https", to("file:///etc/passwd")),
        ("it contains a user name", to("http://hub@evil.invalid/x")),
        ("it is empty", to("")),
    ];
    for (says, hub) in hubs {
        let work = Work::new();
        hub.run(&work, INSPECT).fails(74, &["org/tiny", WEIGHTS, says]);
        has_no_weights(&work);
        assert!(hub.asked().len() < 20, "{says}: {} requests", hub.asked().len());
    }
}

#[test]
fn a_hub_that_fails_for_a_while_is_asked_again() {
    let work = Work::new();
    let left = AtomicUsize::new(3);
    let hub = Hub::start(move |request, honest| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { Reply::empty("503 Service Unavailable") } else { honest.answer(request) }
    });
    hub.run(&work, INSPECT).succeeds();
    let hub = with_weights(|_, _| Reply::empty("500 Internal Server Error"));
    hub.run(&Work::new(), INSPECT).fails(74, &[WEIGHTS, "HTTP status 500"]);
    let hub = with_weights(|_, _| Reply::empty("429 Too Many Requests").with("retry-after", "1"));
    hub.run(&Work::new(), &format!("{INSPECT} --max-time 2s")).fails(75, &["time limit"]);
}

#[test]
fn an_interrupted_download_resumes() {
    let work = Work::with_rows();
    let hub = with_weights(|reply, request| {
        if request.headers.contains_key("range") { reply } else { reply.ending(End::CutAt(50_000)) }
    });
    hub.run(&work, "predict --model org/tiny --data rows.jsonl --out fetched.jsonl").succeeds();
    work.run("predict --model tiny --data rows.jsonl --out local.jsonl").succeeds();
    assert_eq!(work.read("fetched.jsonl"), work.read("local.jsonl"));
    let at_cdn = hub.asked().into_iter().filter(|request| request.at_cdn);
    let ranges: Vec<String> = at_cdn.filter_map(|mut request| request.headers.remove("range")).collect();
    assert_eq!(ranges, ["bytes=50000-"]);
}

/// A run that waits for the rest of the weights, of which it has a part.
fn stalled(work: &Work, hub: &Hub, arguments: &str) -> Child {
    let mut command = work.command(binary());
    command.args(arguments.split_whitespace()).envs(hub.environment());
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while !cached(work).iter().any(|(name, size)| name.ends_with(".incomplete") && *size == 50_000) {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing arrives: {:?}", cached(work));
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Sends a part of the weights and then nothing, to who asks for more of them too.
fn silent() -> Hub {
    with_weights(|reply, request| {
        let sent = if request.headers.contains_key("range") { 0 } else { 50_000 };
        reply.ending(End::StallAt(sent))
    })
}

#[test]
fn a_stalled_host_times_out_and_a_killed_download_resumes() {
    let work = Work::new();
    let hub = silent();
    let begin = Instant::now();
    hub.run_with(&work, INSPECT, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]).fails(74, &[WEIGHTS]);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    let begin = Instant::now();
    hub.run(&Work::new(), &format!("{INSPECT} --max-time 2s")).fails(75, &["time limit"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());

    for (signal, code) in [("TERM", Some(75)), ("KILL", None)] {
        let work = Work::new();
        let mut child = stalled(&work, &hub, INSPECT);
        let begin = Instant::now();
        let sent =
            std::process::Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
        assert!(sent.unwrap().success());
        let status = child.wait().unwrap();
        assert!(status.code() == code && (code.is_some() || status.signal() == Some(9)), "{status}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        has_no_weights(&work);
        let honest = Hub::honest();
        honest.run(&work, INSPECT).succeeds();
        let asked = honest.asked();
        let range = asked.iter().find_map(|request| request.headers.get("range"));
        assert_eq!(range.map(String::as_str), Some("bytes=50000-"), "after SIG{signal}");
        let link = format!("home/.cache/huggingface/hub/models--org--tiny/snapshots/{COMMIT}/{WEIGHTS}");
        assert_eq!(work.bytes(&link), work.bytes(&format!("tiny/{WEIGHTS}")));
    }
}

#[test]
fn a_wrong_partial_download_is_discarded() {
    let work = Work::new();
    let hub = silent();
    let mut child = stalled(&work, &hub, INSPECT);
    child.kill().unwrap();
    child.wait().unwrap();
    let files = cached(&work);
    let part = files.keys().find(|name| name.ends_with(".incomplete")).unwrap();
    work.write(&format!("home/{part}"), vec![b'x'; 50_000]);
    Hub::honest().run(&work, INSPECT).succeeds();
    work.write(&format!("home/{part}"), vec![b'x'; 500_000]);
    let whole =
        cached(&work).into_keys().find(|name| name.contains("/blobs/") && name.len() == part.len() - 11);
    std::fs::remove_file(work.path(&format!("home/{}", whole.unwrap()))).unwrap();
    Hub::honest().run(&work, INSPECT).succeeds();
    assert!(!cached(&work).contains_key(part));
}
