//! Which shard of the rows this process computes: what the user said, else what a scheduler says.

use crate::error::{Result, RunError};
use distill_data::logits::ShardSpec;

/// One way in which schedulers number the processes that share a task.
struct Scheduler {
    /// Variable with this process's number.
    index: &'static str,
    /// Variables with the number of processes; the first one that is set is used.
    counts: &'static [&'static str],
}

const SCHEDULERS: [Scheduler; 3] = [
    Scheduler { index: "SLURM_ARRAY_TASK_ID", counts: &["SLURM_ARRAY_TASK_COUNT"] },
    // Kubernetes gives each pod its number but not the count: the manifest has to set that.
    Scheduler { index: "JOB_COMPLETION_INDEX", counts: &["JOB_COMPLETIONS", "COMPLETIONS"] },
    Scheduler { index: "RANK", counts: &["WORLD_SIZE"] },
];

/// `--shard`, else the shard from the environment, with a message, else all rows.
///
/// # Errors
/// Wrong usage where the environment says half of it, or what cannot be.
pub fn choose(asked: Option<ShardSpec>) -> Result<ShardSpec> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let Some((shard, index, count)) = from_environment(|name| std::env::var(name).ok())? else {
        return Ok(ShardSpec::WHOLE);
    };
    tracing::info!(
        "shard {shard} (from 0), because {index} and {count} are set; --shard 0/1 computes all rows"
    );
    Ok(shard)
}

/// The shard with the two variables that decided it.
fn from_environment(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(ShardSpec, &'static str, &'static str)>, RunError> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    let Some(scheduler) = SCHEDULERS.iter().find(|scheduler| value(scheduler.index).is_some()) else {
        return Ok(None);
    };
    let Scheduler { index, counts } = scheduler;
    let Some(count) = counts.iter().copied().find(|name| value(name).is_some()) else {
        return Err(RunError::usage(format!(
            "{index} is set, but {} is not: give --shard I/N, or --shard 0/1 to compute all rows",
            counts.join(" or ")
        )));
    };
    let number = |name: &str| -> Result<u64, RunError> {
        let text = value(name).unwrap_or_default();
        text.trim().parse().map_err(|_| {
            RunError::usage(format!("{name} is {text:?}, expected a number; --shard I/N overrides it"))
        })
    };
    let number_or = |name: &str, default: u64| match value(name) {
        Some(_) => number(name),
        None => Ok(default),
    };
    let (mut place, processes) = (number(index)?, number(count)?);
    if *index == "SLURM_ARRAY_TASK_ID" {
        let (first, step) = (number_or("SLURM_ARRAY_TASK_MIN", 0)?, number_or("SLURM_ARRAY_TASK_STEP", 1)?);
        place = slurm_place(place, first, step).ok_or_else(|| {
            RunError::usage(format!(
                "{index} {place} is not one of {first}, {}, …: shards need an array without gaps; give --shard I/N",
                first.saturating_add(step)
            ))
        })?;
    }
    let shard = ShardSpec::new(place, processes)
        .map_err(|what| RunError::usage(format!("{index} and {count}: {what}; --shard I/N overrides them")))?;
    Ok(Some((shard, index, count)))
}

/// The place of a task in an array that may start anywhere and go in steps, as `--array=1-8` or `0-70:10`.
fn slurm_place(id: u64, first: u64, step: u64) -> Option<u64> {
    let beyond = id.checked_sub(first)?;
    let step = step.max(1);
    beyond.is_multiple_of(step).then_some(beyond / step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let found = from_environment(find).map_err(|failure| failure.to_string())?;
        Ok(found.map(|(shard, index, count)| format!("{shard} {index} {count}")))
    }

    #[test]
    fn each_scheduler_numbers_its_processes() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("RANK", "")]), Ok(None), "empty is not set");
        assert_eq!(of(&[("RANK", "3"), ("WORLD_SIZE", "4")]), Ok(Some("3/4 RANK WORLD_SIZE".to_owned())));
        let kubernetes = Ok(Some("0/6 JOB_COMPLETION_INDEX JOB_COMPLETIONS".to_owned()));
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "6")]), kubernetes);
        let both = [("RANK", "0"), ("WORLD_SIZE", "1"), ("JOB_COMPLETION_INDEX", "2"), ("COMPLETIONS", "5")];
        assert_eq!(of(&both), Ok(Some("2/5 JOB_COMPLETION_INDEX COMPLETIONS".to_owned())));
    }

    #[test]
    fn a_slurm_array_may_start_anywhere_and_go_in_steps() {
        let slurm = |id: &str, count: &str, first: &str, step: &str| {
            let variables = [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_MIN", first),
                ("SLURM_ARRAY_TASK_STEP", step),
            ];
            of(&variables).map(|found| found.unwrap_or_default())
        };
        let names = "SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT";
        assert_eq!(slurm("0", "8", "0", "1"), Ok(format!("0/8 {names}")));
        assert_eq!(slurm("8", "8", "1", "1"), Ok(format!("7/8 {names}")));
        assert_eq!(slurm("70", "8", "0", "10"), Ok(format!("7/8 {names}")));
        assert_eq!(slurm("7", "8", "", ""), Ok(format!("7/8 {names}")));
        assert!(slurm("7", "3", "1", "1").unwrap_err().contains("0 to 2"), "an array with gaps");
        assert!(slurm("5", "3", "1", "3").unwrap_err().contains("SLURM_ARRAY_TASK_ID 5 is not one of 1, 4"));
    }

    #[test]
    fn half_an_environment_is_refused_with_the_variables() {
        for (index, count) in [
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
            ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS or COMPLETIONS"),
            ("RANK", "WORLD_SIZE"),
        ] {
            let error = of(&[(index, "1")]).unwrap_err();
            assert!(error.contains(&format!("{index} is set, but {count} is not")), "{error}");
        }
        assert!(of(&[("RANK", "x"), ("WORLD_SIZE", "2")]).unwrap_err().contains("RANK is \"x\""));
        assert!(
            of(&[("RANK", "2"), ("WORLD_SIZE", "2")]).unwrap_err().contains("RANK and WORLD_SIZE: shard 2")
        );
    }
}
