//! Combines file, environment and command line, and reports what is unknown.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::bail;
use distill_core::read::bounded_stream;
use toml::{Table, Value};

use crate::exit::RunError;
use crate::settings::schema::Settings;

/// Settings of `[runtime]` whose variables need no table.
const SHORT: [&str; 5] = ["device", "dtype", "threads", "seed", "no_lock"];

/// Variables that start with `DISTILL_` and are not settings: directories of caches, logging, and variables of scripts
/// and tests of this repository take.
const NOT_SETTINGS: [&str; 6] = ["cache", "cache_home", "log", "log_format", "corpora", "require"];

/// Settings under construction: later layers win.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
}

impl Layers {
    /// File (where there is one), then the environment.
    ///
    /// # Errors
    /// For a file that cannot be read or is not TOML.
    pub fn new(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            let text = read(path)?;
            layers.table = text.parse().map_err(|error| not_toml(path, &text, &error))?;
            // Errors in the file are reported with its name, before other layers are applied.
            resolve(&layers.table)
                .map_err(|problem| RunError::usage(format!("{}: {problem}", path.display())))?;
        }
        layers.environment(std::env::vars())?;
        Ok(layers)
    }

    /// `DISTILL_STUDENT_EPOCHS=3` is `student.epochs=3`; `DISTILL_SEED` and the other settings of
    /// `[runtime]` need no table.
    fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<()> {
        let tables = Table::try_from(Settings::default())?;
        let mut variables: Vec<(String, String)> =
            variables.filter(|(name, _)| name.starts_with("DISTILL_")).collect();
        variables.sort();
        for (name, value) in variables {
            let rest = name["DISTILL_".len()..].to_lowercase();
            let key = match rest.as_str() {
                short if SHORT.contains(&short) => format!("runtime.{rest}"),
                "out" => rest,
                _ if NOT_SETTINGS.contains(&rest.as_str()) => continue,
                _ => match rest.split_once('_') {
                    Some((table, key)) if tables.contains_key(table) => {
                        format!("{table}.{}", key.replacen("columns_", "columns.", 1))
                    }
                    _ => bail!(unknown_variable(&name, &rest, &tables)),
                },
            };
            self.assign(&key, parse_value(&value));
            resolve(&self.table).map_err(|problem| RunError::usage(format!("{name}: {problem}")))?;
        }
        Ok(())
    }

    /// `student.epochs=3`, as `--set` takes it.
    ///
    /// # Errors
    /// Where there is no `=`, or the key or value is not a setting's.
    pub fn set(&mut self, assignment: &str) -> anyhow::Result<()> {
        let Some((key, value)) = assignment.split_once('=') else {
            bail!(RunError::usage(format!("--set {assignment}: expected KEY=VALUE, such as student.epochs=3")));
        };
        self.assign(key.trim(), parse_value(value.trim()));
        resolve(&self.table).map_err(|problem| RunError::usage(format!("--set {assignment}: {problem}")))?;
        Ok(())
    }

    /// A flag's value, where the flag was given.
    pub fn flag(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.assign(key, value.into());
        }
    }

    /// The settings, checked.
    ///
    /// # Errors
    /// For an unknown key, with the nearest known one, or a value of another type.
    pub fn resolve(&self) -> anyhow::Result<Settings> {
        resolve(&self.table).map_err(|problem| RunError::usage(problem).into())
    }

    fn assign(&mut self, key: &str, value: Value) {
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().unwrap_or(key);
        let mut table = &mut self.table;
        for part in parts {
            let entry = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else { return };
            table = inner;
        }
        table.insert(last.to_owned(), value);
    }
}

/// The text of a settings file.
///
/// # Errors
/// Wrong usage for one that is larger than 1 MiB or is not UTF-8; [`distill_core::atomic::FileError`].
pub fn read(path: &Path) -> anyhow::Result<String> {
    const MAX_BYTES: u64 = 1 << 20;
    let unusable = |what: String| RunError::usage(format!("{}: {what}", path.display()));
    let bytes = match bounded_stream(path, MAX_BYTES) {
        Err(error) if error.source.kind() == ErrorKind::InvalidData => {
            bail!(unusable(error.source.to_string()))
        }
        other => other?,
    };
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|error| unusable(format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to() + 1)))?)
}

/// A file that is not TOML, in one line: where and why.
fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> RunError {
    let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    RunError::usage(format!("{}: line {line}, column {column}: {message}", path.display()))
}

/// A variable with our prefix that is unknown.
fn unknown_variable(name: &str, rest: &str, tables: &Table) -> RunError {
    let (table, _) = rest.split_once('_').unwrap_or((rest, ""));
    let known: Vec<&str> = tables.keys().map(String::as_str).chain(SHORT).chain(["out"]).collect();
    let nearest = if rest.contains('_') { nearest(table, &known) } else { nearest(rest, &known) };
    let hint = match nearest {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => "expected DISTILL_TABLE_KEY, such as DISTILL_STUDENT_EPOCHS".to_owned(),
    };
    RunError::usage(format!("environment variable {name} is not a setting; {hint}"))
}

/// The known name that is most alike, where one is like it at all.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), *name));
    distances.filter(|(distance, name)| *distance <= 2.max(name.len() / 3)).min().map(|(_, name)| name)
}

/// A value as TOML reads it; what TOML does not know is text.
fn parse_value(text: &str) -> Value {
    let document: Result<Table, _> = format!("value = {text}").parse();
    document.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn resolve(table: &Table) -> Result<Settings, String> {
    // By way of text, so that an error says which line of which table it means.
    let text = toml::to_string(table).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| problem(&error, &text))
}

/// One line: where, what, and the nearest known name.
fn problem(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim().to_owned();
    let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
    let Some((unknown, known)) = unknown_field(&message) else {
        return format!("{place}{}", message.lines().next().unwrap_or_default());
    };
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest(&unknown, &names) {
        Some(name) => format!("; did you mean {name:?}?"),
        None => format!("; known: {}", known.join(", ")),
    };
    format!("{place}unknown setting {unknown:?}{hint}")
}

/// The table and, where the error points at one, the key.
fn place(text: &str, offset: usize) -> String {
    let before = &text[..offset.min(text.len())];
    let header = |line: &str| Some(line.trim().strip_prefix('[')?.strip_suffix(']')?.to_owned());
    // The error of a whole table points at its header.
    let own = text[before.len()..].lines().next().and_then(header);
    let table = own.or_else(|| before.lines().rev().find_map(header));
    let line = text[before.rfind('\n').map_or(0, |end| end + 1)..].lines().next().unwrap_or_default();
    match (table, line.split_once(" = ")) {
        (Some(table), Some((key, _))) => format!("[{table}] {key}: "),
        (Some(table), None) => format!("[{table}]: "),
        (None, Some((key, _))) => format!("{key}: "),
        (None, None) => String::new(),
    }
}

/// Takes serde's sentence about an unknown field apart.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.split_once("unknown field `")?.1;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((unknown.to_owned(), known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_win() {
        let mut layers = Layers { table: "[student]\nepochs = 1\ntemperature = 4.0".parse().unwrap() };
        layers.environment([("DISTILL_STUDENT_EPOCHS".to_owned(), "2".to_owned())].into_iter()).unwrap();
        assert_eq!(layers.resolve().unwrap().student.train.epochs, 2);
        layers.set("student.epochs=3").unwrap();
        layers.flag("student.batch_size", Some(8i64));
        let settings = layers.resolve().unwrap();
        assert_eq!(settings.student.train.epochs, 3);
        assert_eq!(settings.student.train.batch_size, 8);
        assert_eq!(settings.student.train.temperature, 4.0);
    }

    #[test]
    fn an_unknown_setting_is_named_with_the_nearest() {
        let mut layers = Layers::default();
        for (assignment, expected) in [
            ("student.epoch=3", "did you mean \"epochs\"?"),
            ("student.layer=[0]", "did you mean \"layers\"?"),
            ("finetune.modle=x", "did you mean \"model\"?"),
            ("sudent.epochs=3", "did you mean \"student\"?"),
            ("data.max_lenght=3", "did you mean \"max_length\"?"),
        ] {
            let text = layers.set(assignment).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains(assignment), "{text}");
            layers = Layers::default();
        }
        let text = layers.set("student.epochs=many").unwrap_err().to_string();
        assert!(text.contains("many"), "{text}");
        assert!(layers.set("student.epochs").unwrap_err().to_string().contains("KEY=VALUE"));
    }

    #[test]
    fn a_share_may_be_given_in_percent() {
        use crate::settings::schema::Validation::{File, Share};
        for (given, expected) in [
            ("10%", Share(0.1)),
            ("12.5 %", Share(0.125)),
            ("0.2", Share(0.2)),
            ("val.jsonl", File("val.jsonl".into())),
            ("a%", File("a%".into())),
        ] {
            let mut layers = Layers::default();
            layers.set(&format!("data.validation={given}")).unwrap();
            assert_eq!(layers.resolve().unwrap().data.validation, expected, "{given}");
        }
    }

    #[test]
    fn values_are_toml_and_anything_else_is_text() {
        assert_eq!(parse_value("3"), Value::Integer(3));
        assert_eq!(parse_value("[0, 2]"), Value::Array(vec![0.into(), 2.into()]));
        assert_eq!(parse_value("runs/a-b"), Value::String("runs/a-b".to_owned()));
        assert_eq!(parse_value("cuda:1"), Value::String("cuda:1".to_owned()));
    }
}
