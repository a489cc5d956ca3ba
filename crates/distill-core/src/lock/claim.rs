//! The holder of a directory, as written to a lock file, and whether it is still running.

use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use super::host_name;

/// Time between two signs of life of a holder.
pub(super) const BEAT: Duration = Duration::from_secs(15);
/// A holder on another machine that has been silent for this long is considered dead.
pub(super) const STALE: Duration = Duration::from_secs(120);

/// One line of a lock file: `host … pid … start … boot … pidns … nonce …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    host: String,
    pid: u32,
    /// When the process started, in kernel ticks since boot. It tells the holder from a later process with the same id.
    start: Option<u64>,
    /// The kernel's boot id and the PID namespace: a container has its own.
    machine: Option<(String, String)>,
    nonce: String,
}

impl Claim {
    /// This process's.
    pub fn own() -> Self {
        let pid = std::process::id();
        Claim {
            host: host_name().split_whitespace().collect::<Vec<_>>().join("_"),
            pid,
            start: started(pid),
            machine: this_machine(),
            nonce: format!("{:016x}", RandomState::new().hash_one(pid)),
        }
    }

    pub fn to_line(&self) -> String {
        let Claim { host, pid, start, machine, nonce } = self;
        let start = start.map_or("-".to_owned(), |start| start.to_string());
        let (boot, pidns) = machine.as_ref().map_or(("-", "-"), |(boot, pidns)| (boot, pidns));
        format!("host {host} pid {pid} start {start} boot {boot} pidns {pidns} nonce {nonce}\n")
    }

    /// Parses a line, if it is a claim.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["host", host, "pid", pid, "start", start, "boot", boot, "pidns", pidns, "nonce", nonce] =
            words.as_slice()
        else {
            return None;
        };
        Some(Claim {
            host: (*host).to_owned(),
            pid: pid.parse().ok()?,
            start: start.parse().ok(),
            machine: (*boot != "-").then(|| ((*boot).to_owned(), (*pidns).to_owned())),
            nonce: (*nonce).to_owned(),
        })
    }

    /// Its holder, for people.
    pub fn holder(&self) -> String {
        format!("host {} pid {}", self.host, self.pid)
    }

    /// Whether the holder is still running. On this machine the system knows. For another machine or container, only the
    /// time of its last change to the file is known, compared with `now` by the same clock.
    pub fn is_alive(&self, file: &Metadata, now: SystemTime) -> bool {
        if self.machine.is_some() && self.machine == this_machine() {
            return started(self.pid).is_some_and(|start| Some(start) == self.start);
        }
        let Ok(touched) = file.modified() else { return true };
        // A time in the future comes from another clock: the holder may be alive.
        now.duration_since(touched).map_or(true, |silent| silent < STALE)
    }
}

fn this_machine() -> Option<(String, String)> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let pidns = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some((boot.trim().to_owned(), pidns.to_str()?.to_owned()))
}

/// Start time of a running process, if there is one with this id.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may contain anything; the state is the first field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // A zombie has ended.
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn file() -> (tempfile::NamedTempFile, Metadata) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let data = file.as_file().metadata().unwrap();
        (file, data)
    }

    #[test]
    fn a_claim_is_read_as_it_was_written_and_other_lines_are_not_claims() {
        let own = Claim::own();
        assert_eq!(Claim::parse(&own.to_line()), Some(own.clone()));
        assert_ne!(own.nonce, Claim::own().nonce);
        for other in ["", "host a pid 1", "mine", "host a pid x start 1 boot b pidns c nonce d"] {
            assert_eq!(Claim::parse(other), None, "{other}");
        }
    }

    /// Process ids are reused: the current process with an id need not be the one that wrote the file.
    #[test]
    fn on_this_machine_process_id_and_start_time_decide() {
        let (_kept, data) = file();
        let late = data.modified().unwrap() + 10 * STALE;
        let own = Claim::own();
        assert!(own.is_alive(&data, late));
        assert!(!Claim { start: own.start.map(|start| start + 1), ..own.clone() }.is_alive(&data, late));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let theirs = Claim { pid: child.id(), start: started(child.id()), ..own };
        assert!(theirs.is_alive(&data, late));
        child.kill().unwrap();
        // Not yet waited for, it is a zombie.
        while started(child.id()).is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!theirs.is_alive(&data, late));
        child.wait().unwrap();
        assert!(!theirs.is_alive(&data, late));
    }

    #[test]
    fn for_another_machine_the_time_of_the_last_sign_of_life_decides() {
        let (_kept, data) = file();
        let touched = data.modified().unwrap();
        let other = Claim { machine: Some(("another boot".to_owned(), "pid:[1]".to_owned())), ..Claim::own() };
        assert!(other.is_alive(&data, touched + STALE / 2));
        assert!(other.is_alive(&data, touched - STALE));
        assert!(!other.is_alive(&data, touched + STALE));
    }
}
