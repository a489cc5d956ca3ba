//! Flags that every subcommand takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

/// Flags that every subcommand takes.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Device: auto, cpu, cuda or cuda:N. Asking for cuda is an error if no CUDA device can be used [default: auto]
    #[arg(long, global = true)]
    pub device: Option<String>,
    /// Precision of the passes: f32, bf16, or auto (bf16 if the device has fast bf16, else f32) [default: f32]
    #[arg(long, global = true)]
    pub dtype: Option<String>,
    /// Seed of shuffling, dropout, newly initialized weights and the choice of validation rows [default: 42]
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Threads for computing and tokenizing [default: the CPUs this process may use, by affinity and quota]
    #[arg(long, global = true)]
    pub threads: Option<usize>,
    /// TOML file with settings, one table per stage
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one setting, such as student.epochs=3; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Stop in an orderly way after this time, such as 90s, 45m or 2h, with exit code 75; the same command resumes
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub max_time: Option<Duration>,
    /// Write a profile in Chrome's trace format to FILE, in an existing directory
    #[arg(long, global = true, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Do not download models from the Hugging Face hub (same as HF_HUB_OFFLINE=1)
    #[arg(long, global = true)]
    pub offline: bool,
    /// Do not lock directories. Make sure yourself that no two runs write to the same one
    #[arg(long, global = true)]
    pub no_lock: bool,
    /// Print what would be done and stop
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Format of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "DISTILL_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Log only warnings and errors, and show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A time with its unit: `90s`, `45m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    time(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0)])
}

/// A time that may also be in days: `12h`, `7d`.
pub fn age(text: &str) -> Result<Duration, String> {
    time(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)])
}

fn time(text: &str, units: &[(&str, f64)]) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let Some((_, seconds)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!("expected a number with {}, such as 45m", names.join(", ")));
    };
    match number.parse::<f64>() {
        Ok(number) if (0.0..=1e6).contains(&number) => Ok(Duration::from_secs_f64(number * seconds)),
        _ => Err(format!("{number:?} is not a number of {unit}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{age, duration};
    use std::time::Duration;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        for bad in ["", "5", "m", "-1s", "5d", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(age("7d").unwrap(), Duration::from_secs(604_800));
        assert!(age("7w").is_err());
    }
}
