//! From the command line to [`Args`]: what the derived parser does not do by itself.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};

use super::Args;

/// Commands whose settings come from a pipeline file. They do not have the flags of stages.
const OF_PIPELINES: [&str; 4] = ["run", "sweep", "ablate", "check"];

/// Parses the command line. Prints help and errors as clap does, and ends the process.
pub fn parse() -> Args {
    match from(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    }
}

fn from(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Args, clap::Error> {
    let words: Vec<_> = words.into_iter().collect();
    let mut named = words.iter().skip(1).filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let of_pipeline = named.next().is_some_and(|name| OF_PIPELINES.contains(&name));
    let matches = command().try_get_matches_from(words);
    matches
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| if of_pipeline { with_setting(error) } else { error })
}

/// The derived command, with options that accept `-1` as a value. The option's own check then explains the error, instead
/// of clap's "unexpected argument".
pub(super) fn command() -> Command {
    with_negative_numbers(Args::command())
}

fn with_negative_numbers(command: Command) -> Command {
    let takes_value = |arg: &clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    let command =
        command.mut_args(|arg| if takes_value(&arg) { arg.allow_negative_numbers(true) } else { arg });
    command.mut_subcommands(with_negative_numbers)
}

/// Adds a hint how to give a flag of a stage to a pipeline.
fn with_setting(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(setting) = setting_of(flag.trim_start_matches('-').split('=').next().unwrap_or_default())
    {
        let tip = format!("for a pipeline, this is a setting: --set {setting}, or a line in its file");
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The setting of a stage's flag, as `--set` takes it.
fn setting_of(flag: &str) -> Option<String> {
    let key = flag.replace('-', "_");
    let column = flag.strip_suffix("-column").map(|column| column.replace('-', "_"));
    let setting = match flag {
        "data" => "data.train=FILE (test rows for the report: data.test=FILE)".to_owned(),
        "no-cache" => "data.cache=false".to_owned(),
        "no-text" => "teacher.text=false".to_owned(),
        "no-timing" => "report.timing=false".to_owned(),
        "gate" => "'report.gates=[\"…\"]'".to_owned(),
        "slice" => "'report.slices=[\"…\"]'".to_owned(),
        "model" => "finetune.model=DIR (for a teacher that is already trained: teacher.model=DIR)".to_owned(),
        "checkpoint-every" => {
            "student.checkpoint_minutes=N (for the teacher: finetune.checkpoint_minutes=N)".to_owned()
        }
        "max-length" | "task" | "problem-type" | "validation" | "delimiter" | "label-type" | "label-map" => {
            format!("data.{key}=…")
        }
        "float16" => "teacher.float16=true".to_owned(),
        "shard-rows" => format!("teacher.{key}=…"),
        "undecided" | "junit" | "labels" => format!("report.{key}=…"),
        "copies" | "delete" | "swap" | "mix" | "replace" | "masked-model" | "unlabelled" => {
            format!("augment.{key}=…")
        }
        "masking" | "mask-probability" | "packing" => format!("pretrain.{key}=…"),
        "init" | "targets" | "tokenizer" | "teacher-model" | "layers" | "hidden-size" | "embedding-size"
        | "vocabulary-from" | "vocabulary-size" | "temperature" | "loss" | "hard-weight" | "soft-weight" => {
            format!("student.{key}=…")
        }
        "epochs"
        | "batch-size"
        | "batch-tokens"
        | "learning-rate"
        | "schedule"
        | "optimizer"
        | "freeze"
        | "warmup-ratio"
        | "weight-decay"
        | "early-stopping-patience"
        | "keep-last" => {
            format!("student.{key}=… (for the teacher: finetune.{key}=…)")
        }
        _ => format!("data.columns.{}=NAME", column?),
    };
    Some(setting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Layers;

    fn parsed(words: &str) -> Result<Args, clap::Error> {
        from(words.split_whitespace().map(Into::into))
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// An example that is longer than the terminal would be wrapped, and could not be pasted.
    #[test]
    fn examples_fit_80_columns() {
        let whole = command();
        for command in std::iter::once(&whole).chain(whole.get_subcommands()) {
            let text = command.get_after_help().expect("examples").to_string();
            for line in text.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }

    #[test]
    fn a_negative_number_is_an_options_value() {
        parsed("distill student --learning-rate -1 --out x").unwrap();
        let text = parsed("distill student --epochs -1 --out x").unwrap_err().to_string();
        assert!(text.contains("'-1'") && text.contains("--epochs"), "{text}");
    }

    #[test]
    fn a_flag_of_a_stage_given_to_a_pipeline_is_explained_as_a_setting() {
        let text = parsed("distill run p.toml --text-column question").unwrap_err().to_string();
        assert!(text.contains("--set data.columns.text=NAME"), "{text}");
        let text = parsed("distill sweep s.toml --epochs=3").unwrap_err().to_string();
        assert!(text.contains("--set student.epochs=…"), "{text}");
        let text = parsed("distill student --text-colunm x --out y").unwrap_err().to_string();
        assert!(text.contains("--text-column"), "{text}");
    }

    /// Covers every flag of a stage that is a setting.
    #[test]
    fn every_flag_of_a_stage_has_a_setting_that_exists() {
        const NO_SETTINGS: [&str; 10] = [
            "out",
            "overwrite",
            "shard",
            "card",
            "compare",
            "predictions",
            "help",
            "allow-code",
            "no-teacher",
            "force",
        ];
        let whole = command();
        let common: Vec<&str> =
            whole.find_subcommand("run").unwrap().get_arguments().filter_map(|arg| arg.get_long()).collect();
        for stage in ["pretrain", "finetune", "teacher", "student", "report", "augment"] {
            let flags = whole.find_subcommand(stage).unwrap().get_arguments().filter_map(|arg| arg.get_long());
            for flag in flags.filter(|flag| !common.contains(flag) && !NO_SETTINGS.contains(flag)) {
                let setting = setting_of(flag).unwrap_or_else(|| panic!("{stage} --{flag} has no setting"));
                let key = setting.trim_start_matches('\'').split('=').next().unwrap();
                let refused = Layers::default().set(&format!("{key}=x")).err().map(|error| error.to_string());
                assert!(
                    !refused.as_ref().is_some_and(|text| text.contains("unknown setting")),
                    "--{flag}: {refused:?}"
                );
            }
        }
    }
}
