//! Requests to the hub and to the hosts that it redirects to.
//!
//! A thread of its own makes each request and hands on what arrives, while the calling thread waits with an eye on
//! the stop signal: whatever a host does, connecting and reading included, a run that must stop does.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use distill_core::atomic::FileError;
use distill_core::{StopReason, StopSignal};
use ureq::Agent;
use ureq::http::HeaderMap;

use crate::announced::excerpt;
use crate::environment;
use crate::url::Url;

/// Redirects of one request.
const MOST_REDIRECTS: usize = 10;
/// Time for each of: finding a host's address, connecting, sending a request.
const CONNECT: Duration = Duration::from_secs(15);
/// The longest wait between two requests that a host may ask for.
const LONGEST_WAIT: u64 = 60;
/// How often a waiting thread looks at the stop signal.
const LOOK: Duration = Duration::from_millis(50);
/// How much a request's thread reads at once, and how many such parts may wait.
const PART_BYTES: usize = 256 << 10;
const PARTS_AHEAD: usize = 4;

/// Why a request or a download failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The run was asked to stop.
    Stopped(StopReason),
    /// A file of the cache.
    File(FileError),
    /// It may work a little later.
    Again {
        /// What went wrong.
        problem: String,
        /// How long the host asks to wait.
        wait: Option<Duration>,
    },
    /// The hub says that there is no such thing, or not for this token.
    Absent(u16),
    /// The repository lacks what is needed.
    Lacking(String),
    /// Asking again would not help.
    Failed(String),
    /// An answer that contradicts itself or must not be trusted.
    Refused(String),
}

impl From<StopReason> for Trouble {
    fn from(reason: StopReason) -> Self {
        Trouble::Stopped(reason)
    }
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Trouble::File(error)
    }
}

/// Something worth another try.
pub(crate) fn again(problem: impl Into<String>) -> Trouble {
    Trouble::Again { problem: problem.into(), wait: None }
}

/// A client of the hub.
pub(crate) struct Client {
    /// With the proxies of the environment.
    agent: Agent,
    /// For this machine itself, without a proxy.
    direct: Agent,
    endpoint: Url,
    token: Option<String>,
    stall: Duration,
    stop: StopSignal,
}

/// What a request's thread sends.
enum Event {
    Head(Result<(u16, HeaderMap), String>),
    Part(Vec<u8>),
    /// The end of the body, or the error that ended it early.
    End(Result<(), String>),
}

/// A host's answer, whose body is not read yet.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the hub itself answered, not a host that it redirected to.
    pub(crate) is_hubs: bool,
    from: Url,
    headers: HeaderMap,
    events: Receiver<Event>,
    stall: Duration,
    stop: StopSignal,
}

impl Client {
    /// A client for the environment's endpoint and token.
    ///
    /// # Errors
    /// For an invalid endpoint or token.
    pub(crate) fn new(stop: &StopSignal) -> Result<Self, String> {
        let endpoint = environment::endpoint();
        let endpoint = Url::parse(&endpoint).map_err(|problem| {
            format!("HF_ENDPOINT {} is not a valid address: {problem}", excerpt(&endpoint))
        })?;
        let token = environment::token();
        if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err(
                "the token for the hub contains spaces or characters that are not valid in a token".to_owned()
            );
        }
        if token.is_some() && !endpoint.is_confidential() {
            tracing::warn!(
                "the token for the hub is not sent: HF_ENDPOINT {} is plain HTTP, where others on the network could read it",
                endpoint.shown()
            );
        }
        let stall = environment::stall();
        let config = |proxy: bool| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                // Followed here, where it is known which hosts may get the token.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("distill/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_send_request(Some(CONNECT))
                .timeout_recv_response(Some(stall))
                .timeout_per_read(Some(stall));
            if proxy { config } else { config.proxy(None) }.build().new_agent()
        };
        Ok(Client { agent: config(true), direct: config(false), endpoint, token, stall, stop: stop.clone() })
    }

    /// An address at the endpoint; the path must need no escapes.
    pub(crate) fn at(&self, path: &str) -> Url {
        self.endpoint.with(path)
    }

    /// Requests a file from a byte on, and follows redirects. `each` sees every answer on the way.
    ///
    /// # Errors
    /// [`Trouble`], also from `each`.
    pub(crate) fn get(
        &self,
        start: &Url,
        from: u64,
        mut each: impl FnMut(&Answer) -> Result<(), Trouble>,
    ) -> Result<Answer, Trouble> {
        let mut url = start.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&url, from)?;
            each(&answer)?;
            match answer.status {
                200 | 206 | 416 => return Ok(answer),
                301 | 302 | 303 | 307 | 308 => {
                    let location = answer.header("location").unwrap_or_default();
                    url = url.join(location).map_err(|problem| {
                        Trouble::Failed(format!(
                            "{} redirects to {}, which is refused: {problem}",
                            url.shown(),
                            excerpt(location)
                        ))
                    })?;
                }
                _ => return Err(answer.trouble()),
            }
        }
        Err(Trouble::Failed(format!("{} leads to more than {MOST_REDIRECTS} redirects", start.shown())))
    }

    /// Waits, unless a stop was requested.
    ///
    /// # Errors
    /// The [`StopReason`].
    pub(crate) fn pause(&self, time: Duration) -> Result<(), StopReason> {
        let end = Instant::now() + time;
        loop {
            self.stop.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// The signal that ends all waiting.
    pub(crate) fn stop(&self) -> &StopSignal {
        &self.stop
    }

    /// One request without redirects.
    fn ask(&self, url: &Url, from: u64) -> Result<Answer, Trouble> {
        let agent = if url.is_loopback() { &self.direct } else { &self.agent };
        let mut request = agent.get(url.to_string()).header("accept-encoding", "identity");
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let is_hubs = url.has_origin_of(&self.endpoint);
        if let Some(token) = self.token.as_ref().filter(|_| is_hubs && url.is_confidential()) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (sender, events) = sync_channel(PARTS_AHEAD);
        thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || serve(|| request.call(), &sender))
            .map_err(|error| Trouble::Failed(format!("cannot start a thread: {error}")))?;
        let mut answer = Answer {
            status: 0,
            is_hubs,
            from: url.clone(),
            headers: HeaderMap::new(),
            events,
            stall: self.stall,
            stop: self.stop.clone(),
        };
        match answer.event(3 * CONNECT + self.stall)? {
            Event::Head(Ok((status, headers))) => Ok(Answer { status, headers, ..answer }),
            Event::Head(Err(problem)) => Err(again(format!("{}: {problem}", url.shown()))),
            Event::Part(_) | Event::End(_) => Err(again(format!("{}: no answer", url.shown()))),
        }
    }
}

impl Answer {
    /// A header, if it exists and is plain text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A number in a header.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// The next part of the body; none at its end.
    ///
    /// # Errors
    /// [`Trouble::Again`] if it ends early or nothing arrives.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        match self.event(self.stall)? {
            Event::Part(part) => Ok(Some(part)),
            Event::End(Ok(())) => Ok(None),
            Event::End(Err(problem)) => Err(again(format!("{}: {problem}", self.from.shown()))),
            Event::Head(_) => Err(again(format!("{}: two answers", self.from.shown()))),
        }
    }

    fn event(&mut self, limit: Duration) -> Result<Event, Trouble> {
        let begin = Instant::now();
        loop {
            self.stop.check()?;
            match self.events.recv_timeout(LOOK) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) if begin.elapsed() < limit => {}
                Err(RecvTimeoutError::Timeout) => {
                    let problem =
                        format!("{}: nothing arrived for {} s", self.from.shown(), begin.elapsed().as_secs());
                    return Err(again(problem));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(again(format!("{}: the connection ended", self.from.shown())));
                }
            }
        }
    }

    /// The meaning of a status that is neither content nor a redirect.
    fn trouble(&self) -> Trouble {
        let problem = format!("{} answers with HTTP status {}", self.from.shown(), self.status);
        match self.status {
            401 | 403 | 404 if self.is_hubs => Trouble::Absent(self.status),
            // At another host a signature may have expired; the hub gives a new one.
            401 | 403 | 404 | 408 | 429 | 500..=599 => {
                let wait =
                    self.number("retry-after").map(|seconds| Duration::from_secs(seconds.min(LONGEST_WAIT)));
                Trouble::Again { problem, wait }
            }
            _ => Trouble::Failed(problem),
        }
    }
}

/// Makes a request and sends what arrives, until the receiver is gone.
fn serve(
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    events: &SyncSender<Event>,
) {
    let (parts, body) = match call() {
        Ok(response) => response.into_parts(),
        Err(error) => return drop(events.send(Event::Head(Err(error.to_string())))),
    };
    if events.send(Event::Head(Ok((parts.status.as_u16(), parts.headers)))).is_err() {
        return;
    }
    let mut reader = body.into_reader();
    let mut buffer = vec![0; PART_BYTES];
    loop {
        let event = match reader.read(&mut buffer) {
            Ok(0) => Event::End(Ok(())),
            Ok(read) => Event::Part(buffer[..read].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Event::End(Err(error.to_string())),
        };
        let is_last = matches!(event, Event::End(_));
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

/// How often a failed request is tried again, and after how long.
#[derive(Default)]
pub(crate) struct Patience {
    in_vain: u32,
    in_all: u32,
}

impl Patience {
    /// Limit of retries without progress, and of all tries: a host may send one byte each time.
    const IN_VAIN: u32 = 4;
    const IN_ALL: u32 = 200;

    /// Waits before another try, if there is one.
    ///
    /// # Errors
    /// The trouble itself, if another try would not help or the limit is reached; a stop.
    pub(crate) fn after(
        &mut self,
        trouble: Trouble,
        has_progress: bool,
        client: &Client,
    ) -> Result<(), Trouble> {
        let Trouble::Again { problem, wait } = trouble else { return Err(trouble) };
        self.in_vain = if has_progress { 0 } else { self.in_vain + 1 };
        self.in_all += 1;
        if self.in_vain >= Self::IN_VAIN || self.in_all >= Self::IN_ALL {
            return Err(Trouble::Again { problem, wait });
        }
        let wait = wait.unwrap_or(Duration::from_millis(250) * 2u32.pow(self.in_vain));
        tracing::debug!("asking again in {wait:?}: {problem}");
        client.pause(wait)?;
        Ok(())
    }
}
