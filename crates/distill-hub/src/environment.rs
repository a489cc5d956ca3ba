//! The environment variables that `huggingface_hub` reads, as far as they matter here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The default endpoint.
const ENDPOINT: &str = "https://huggingface.co";
/// Default time for which a host may send nothing.
const STALL: Duration = Duration::from_secs(30);

/// Set by [`stay_offline`].
static OFFLINE: AtomicBool = AtomicBool::new(false);

/// Keeps this process offline, as `HF_HUB_OFFLINE=1` does.
pub fn stay_offline() {
    OFFLINE.store(true, Ordering::Relaxed);
}

pub(crate) fn is_offline() -> bool {
    let variable = std::env::var("HF_HUB_OFFLINE").unwrap_or_default().to_uppercase();
    OFFLINE.load(Ordering::Relaxed) || ["1", "ON", "YES", "TRUE"].contains(&variable.as_str())
}

/// `HF_ENDPOINT`, or the default.
pub(crate) fn endpoint() -> String {
    let set = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    set.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/').to_owned()
}

/// `HF_TOKEN`, the file that `HF_TOKEN_PATH` names, or the one that `hf auth login` writes.
pub(crate) fn token() -> Option<String> {
    let variable = |name: &str| std::env::var_os(name);
    let file = set(variable, "HF_TOKEN_PATH").or_else(|| Some(home(variable)?.join("token")));
    let from_file = || std::fs::read_to_string(file?).ok();
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.trim().is_empty()).or_else(from_file)?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// `HF_HUB_DOWNLOAD_TIMEOUT` in seconds: how long a host may send nothing.
pub(crate) fn stall() -> Duration {
    let seconds =
        std::env::var("HF_HUB_DOWNLOAD_TIMEOUT").ok().and_then(|text| text.trim().parse::<u64>().ok());
    seconds.filter(|seconds| (1..=3600).contains(seconds)).map_or(STALL, Duration::from_secs)
}

/// The hub's cache directory, from the variables that `huggingface_hub` reads, in its order.
pub(crate) fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(&variable, "HF_HUB_CACHE").or_else(|| Some(home(&variable)?.join("hub")))
}

/// The directory where the hub's tools keep cache and token.
fn home(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(&variable, "HF_HOME")
        .or_else(|| set(&variable, "XDG_CACHE_HOME").map(|caches| caches.join("huggingface")))
        .or_else(|| set(&variable, "HOME").map(|home| home.join(".cache/huggingface")))
}

fn set(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_directory_is_that_of_the_hubs_own_tools() {
        let with = |given: &'static [(&str, &str)]| {
            cache(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.cache/huggingface/hub".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/huggingface/hub".into()));
        assert_eq!(with(&[("HF_HOME", "/f"), ("XDG_CACHE_HOME", "/x")]), Some("/f/hub".into()));
        assert_eq!(with(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/f")]), Some("/c".into()));
    }
}
