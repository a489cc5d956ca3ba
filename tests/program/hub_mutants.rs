//! Damaged answers of a hub, as bytes on the connection: a run reads them or ends with an error, and neither leaves
//! anything wrong in the cache. `crates/distill-hub/src/mutants.rs` does the same for the parsers, with many more.

#[allow(dead_code)] // `tests/mutants` uses all of it.
#[path = "../mutants/mutate.rs"]
mod mutate;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::Work;
use crate::hub_server::{End, Hub, Reply, Request, WEIGHTS, cached};
use mutate::{Random, mutant};

/// Damaged answers of each kind; in half of them the hub is right when it is asked again.
const COUNT: u64 = 8;
const DICTIONARY: [&str; 10] = [
    "\r\n",
    "content-length: 18446744073709551615\r\n",
    "transfer-encoding: chunked\r\n",
    "content-encoding: gzip\r\n",
    "location: file:///etc/passwd\r\n",
    "x-repo-commit: ../../evil\r\n",
    "etag: \"../../evil\"\r\n",
    "\"../../evil\"",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "\u{0}",
];

/// Whether a request is of a kind.
type Is = fn(&Request) -> bool;

const KINDS: [(&str, Is); 4] = [
    ("about", |request| request.path.starts_with("/api/")),
    ("redirect", |request| request.is_for(WEIGHTS) && !request.at_cdn),
    ("weights", |request| request.is_for(WEIGHTS) && request.at_cdn),
    ("config", |request| request.is_for("config.json")),
];

fn damaged(kind: &'static str, is_meant: Is, number: u64) {
    let is_over = AtomicBool::new(false);
    let hub = Hub::start(move |request, honest| {
        let reply = honest.answer(request);
        if !is_meant(request) || (number.is_multiple_of(2) && is_over.swap(true, Ordering::SeqCst)) {
            return reply;
        }
        // Most of the changes go where the headers are.
        let bytes = reply.bytes();
        let head = bytes.len().min(900);
        let mut damaged = mutant(&mut Random::of(kind, number), &bytes[..head], &DICTIONARY);
        damaged.extend(&bytes[head..]);
        Reply { end: End::Raw, body: damaged, ..Reply::of("", Vec::new()) }
    });
    let work = Work::new();
    let run = hub.run_with(&work, "inspect org/tiny", &[("HF_HUB_DOWNLOAD_TIMEOUT", "2")]);
    let what = format!("{kind} {number}\n{}", run.shown());
    let errors = run.stderr.lines().filter(|line| line.starts_with("error:")).count();
    match run.code {
        Some(0) => assert_eq!(errors, 0, "{what}"),
        Some(2 | 65 | 74) => assert_eq!(errors, 1, "{what}"),
        _ => panic!("{what}"),
    }
    assert!(!run.stderr.contains("panicked"), "{what}");
    let outside =
        work.tree(".").into_iter().find(|name| !name.starts_with("home/") && !name.starts_with("tiny"));
    assert_eq!(outside, None, "{what}");
    let files = cached(&work);
    assert!(files.keys().all(|name| name.starts_with(".cache/huggingface/hub/")), "{files:?}\n{what}");
    // The right answers then give the right model.
    Hub::honest().run(&work, "inspect org/tiny").succeeds();
    let blobs = cached(&work).into_keys().filter(|name| name.contains("/snapshots/"));
    for name in blobs {
        let file = name.rsplit('/').next().unwrap();
        assert!(work.bytes(&format!("home/{name}")) == work.bytes(&format!("tiny/{file}")), "{name}\n{what}");
    }
}

#[test]
fn damaged_answers_of_a_hub_leave_nothing_wrong() {
    std::thread::scope(|scope| {
        for (kind, is_meant) in KINDS {
            scope.spawn(move || (0..COUNT).for_each(|number| damaged(kind, is_meant, number)));
        }
    });
}
