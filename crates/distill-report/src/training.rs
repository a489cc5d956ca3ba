//! Training curves from a run's `metrics.jsonl`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use distill_core::atomic::FileError;
use distill_core::open;
use serde_json::Value;

use crate::error::ReportError;
use crate::report::TrainingCurves;

/// Points that a chart can show; longer series are thinned evenly.
const POINTS: usize = 300;
/// Longest line that is read as a logged step.
const LINE_BYTES: u64 = 1 << 20;

/// What is no course of the training: the horizontal axis, and how busy the machine was.
const PASSED_OVER: [&str; 4] = ["global_step", "step", "epoch", "rows_per_second"];

/// Reads the logged steps of a run: of every object the numbers, over its `global_step` (or `step`);
/// `event`, where a line has one, goes before their names: `train loss`, `validation loss`.
///
/// # Errors
/// [`ReportError::File`] where the file cannot be read; [`ReportError::NotAReport`] with the line
/// that is not a JSON object. A last line that was cut off by a crash is passed over.
pub fn read(name: &str, path: &Path) -> Result<TrainingCurves, ReportError> {
    let file = open::to_read(path).map_err(FileError::of("open", path))?;
    let mut series: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut bounded = reader.by_ref().take(LINE_BYTES);
        if bounded.read_until(b'\n', &mut line).map_err(FileError::of("read", path))? == 0 {
            break;
        }
        let is_whole = line.ends_with(b"\n");
        let is_long = line.len() as u64 == LINE_BYTES;
        match serde_json::from_slice::<Value>(&line) {
            Ok(Value::Object(step)) if is_whole || !is_long => add(&mut series, &step),
            Err(_) if (!is_whole && !is_long) || line.trim_ascii().is_empty() => {}
            _ => {
                let problem = format!("line {number} is not a logged step (a JSON object)");
                return Err(ReportError::NotAReport { path: path.to_owned(), problem });
            }
        }
    }
    let series = series.into_iter().filter(|(_, points)| points.len() > 1);
    let series = series.map(|(what, points)| (what, thin(points))).collect();
    Ok(TrainingCurves { name: name.to_owned(), series })
}

fn add(series: &mut BTreeMap<String, Vec<[f64; 2]>>, step: &serde_json::Map<String, Value>) {
    const STEPS: [&str; 2] = ["global_step", "step"];
    let Some(at) = STEPS.iter().find_map(|key| step.get(*key)?.as_f64()) else { return };
    let event = step.get("event").and_then(Value::as_str).map(|event| format!("{event} ")).unwrap_or_default();
    for (what, value) in step.iter().filter(|(what, _)| !PASSED_OVER.contains(&what.as_str())) {
        if let Some(value) = value.as_f64() {
            series.entry(format!("{event}{}", what.replace('_', " "))).or_default().push([at, value]);
        }
    }
}

fn thin(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len() - 1;
    points
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % step == 0 || *at == last)
        .map(|(_, point)| point)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_curves_and_a_cut_off_line_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut text: String = (0..1000)
            .map(|step| format!("{{\"global_step\": {step}, \"loss\": {}}}\n", 1.0 / f64::from(step + 1)))
            .collect();
        text.push_str("{\"global_step\": 1000, \"lo");
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        let curves = read("student", &path).unwrap();
        let loss = &curves.series["loss"];
        assert!(loss.len() <= POINTS + 1 && loss[0] == [0.0, 1.0] && loss[loss.len() - 1][0] == 999.0);
        distill_core::atomic::write(&path, b"{\"step\": 1, \"loss\": 2}\nnonsense\n").unwrap();
        assert!(read("student", &path).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn training_and_validation_are_curves_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let line = |event: &str, step: u32| {
            format!("{{\"event\": \"{event}\", \"global_step\": {step}, \"epoch\": 1.0, \"loss\": 0.5}}\n")
        };
        let text = [line("train", 1), line("train", 2), line("validation", 2), line("validation", 4)].concat();
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        let curves = read("student", &path).unwrap();
        let names: Vec<&str> = curves.series.keys().map(String::as_str).collect();
        assert_eq!(names, ["train loss", "validation loss"]);
    }
}
