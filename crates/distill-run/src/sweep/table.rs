//! What a sweep found: `sweep.json`, `sweep.md`, `sweep.svg` and the text for people.

use std::path::{Path, PathBuf};

use distill_core::text;
use distill_student::selection::Metric;
use serde_json::{Value, json};

use super::changes::{Changes, shown};
use super::space::{Method, SweepSettings};
use crate::error::Result;
use crate::outfile::{self, Kind};
use crate::trial::{self, Outcome, mean};

/// A trial in one round.
pub struct Row {
    /// Its number, from 0.
    pub trial: usize,
    /// The round of `halving`, from 0.
    pub round: usize,
    /// The epochs of that round.
    pub epochs: Option<u32>,
    /// What it changed.
    pub changes: Changes,
    /// Where its runs are, in each seed's directory.
    pub directory: PathBuf,
    /// For each seed the figures of its run, or the reason why there are none.
    pub results: Vec<(u64, Outcome)>,
}

/// All trials of a sweep, in each round the best first.
pub struct Table {
    /// How it was searched.
    pub sweep: SweepSettings,
    /// What trials are compared by.
    pub metric: Metric,
    /// The trials.
    pub rows: Vec<Row>,
    /// Whether no trial is missing.
    pub is_whole: bool,
}

impl Row {
    /// The validation figure of each seed.
    fn values(&self, metric: Metric) -> Option<Vec<f64>> {
        trial::figures(&self.results, metric)
    }

    fn mean(&self, metric: Metric) -> Option<f64> {
        self.values(metric).map(|values| mean(&values))
    }

    /// Larger is better; a trial that failed is worst.
    pub fn rank(&self, metric: Metric) -> f64 {
        let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
        self.mean(metric).map_or(f64::NEG_INFINITY, |mean| sign * mean)
    }
}

impl Table {
    /// Writes the three files.
    ///
    /// # Errors
    /// Naming the file that cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        outfile::write(&out.join("sweep.json"), &self.json()?, Kind::TableJson)?;
        outfile::write(&out.join("sweep.md"), &self.markdown(), Kind::TableMarkdown)?;
        outfile::write(&out.join("sweep.svg"), &self.svg(), Kind::TableSvg)
    }

    /// Refuses files of these names that are not an earlier table.
    ///
    /// # Errors
    /// [`crate::error::RunError`] naming the file.
    pub fn check(out: &Path) -> Result<()> {
        outfile::check(&out.join("sweep.json"), Kind::TableJson, &[])?;
        outfile::check(&out.join("sweep.md"), Kind::TableMarkdown, &[])?;
        outfile::check(&out.join("sweep.svg"), Kind::TableSvg, &[])
    }

    /// The best of the last round in which any has a figure.
    fn best(&self) -> Option<&Row> {
        let has_figure = |row: &&Row| row.mean(self.metric).is_some();
        let last = self.rows.iter().filter(has_figure).map(|row| row.round).max()?;
        self.rows.iter().filter(has_figure).find(|row| row.round == last)
    }

    /// All figures.
    ///
    /// # Errors
    /// Where they cannot be written as JSON, which would be a defect.
    pub fn json(&self) -> Result<String> {
        let row = |row: &Row| {
            let changes: serde_json::Map<String, Value> =
                row.changes.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            json!({
                "trial": row.trial + 1, "round": row.round + 1, "epochs": row.epochs, "changes": changes,
                "directory": row.directory,
                "mean": row.mean(self.metric), "runs": trial::as_json(&row.results),
            })
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let document = json!({
            "metric": self.metric, "method": self.sweep.method, "seeds": self.sweep.seeds,
            "whole": self.is_whole, "best": self.best().map(|row| row.trial + 1), "trials": rows,
        });
        Ok(serde_json::to_string_pretty(&document)?)
    }

    fn markdown(&self) -> String {
        self.table(text::markdown)
    }

    /// The table and what failed, with names made harmless for a document or for a terminal.
    fn table(&self, escape: fn(&str) -> String) -> String {
        let base = self.rows.iter().find(|row| row.changes.is_empty());
        let effects = base.filter(|_| self.sweep.method == Method::OneAtATime);
        let metric = self.metric.name();
        let mut out = format!("| trial | epochs | changes | validation {metric} by seed | mean |");
        out += if effects.is_some() { " effect |\n" } else { "\n" };
        out += if effects.is_some() {
            "| --- | --- | --- | --- | --- | --- |\n"
        } else {
            "| --- | --- | --- | --- | --- |\n"
        };
        for row in &self.rows {
            let values = row.values(self.metric);
            let [shown_values, mean] = trial::shown(values.as_deref());
            let epochs = row.epochs.map_or("-".to_owned(), |epochs| epochs.to_string());
            let changes = text::visible(&shown(&row.changes)).replace('|', "\\|");
            let line = format!("| {} | {epochs} | {changes} | {shown_values} | {mean} |", row.trial + 1);
            out += &line;
            if let Some(base) = effects {
                let against = base.values(self.metric).zip(values).filter(|_| !row.changes.is_empty());
                let effect = against.map_or("-".to_owned(), |(base, values)| {
                    trial::with_interval(trial::paired(&base, &values))
                });
                out += &format!(" {effect} |");
            }
            out.push('\n');
        }
        for row in &self.rows {
            if let Some(failed) = trial::failure(&row.results) {
                out += &format!("\nTrial {} failed: {}\n", row.trial + 1, escape(&failed.reason));
            }
        }
        if !self.is_whole {
            out += "\nTrials are missing: the same command resumes.\n";
        }
        out
    }

    /// The table, and the settings of the best trial as in a pipeline file.
    pub fn text(&self, out: &Path) -> String {
        let mut text = self.table(text::visible);
        if let Some(best) = self.best() {
            text += &format!("\nbest: trial {}\n", best.trial + 1);
            for (key, value) in &best.changes {
                text += &format!("  {key} = {value}\n");
            }
            if let Some(seed) = self.sweep.seeds.first() {
                let model = out.join(format!("seed-{seed}")).join(&best.directory).join("model");
                text += &format!("its model of seed {seed}: {}\n", model.display());
            }
        }
        text + &format!("table: {}", out.join("sweep.md").display())
    }

    /// Trials from left to right, a dot for each seed's figure.
    fn svg(&self) -> String {
        const WIDTH: f64 = 720.0;
        const HEIGHT: f64 = 300.0;
        const EDGE: f64 = 48.0;
        let all: Vec<f64> = self.rows.iter().filter_map(|row| row.values(self.metric)).flatten().collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = if high > low { high - low } else { 1.0 };
        let y = |value: f64| HEIGHT - EDGE - (value - low) / span * (HEIGHT - 2.0 * EDGE);
        let step = (WIDTH - 2.0 * EDGE) / self.rows.len().max(1) as f64;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"11\">\n"
        );
        for value in if all.is_empty() { vec![] } else { vec![low, high] } {
            text += &format!("<text x=\"4\" y=\"{:.1}\">{value:.4}</text>\n", y(value) + 4.0);
        }
        for (place, row) in self.rows.iter().enumerate() {
            let x = EDGE + step * (place as f64 + 0.5);
            let title = shown(&row.changes).replace('&', "&amp;").replace('<', "&lt;");
            text += &format!("<g><title>{}: {title}</title>\n", row.trial + 1);
            for value in row.values(self.metric).unwrap_or_default() {
                text += &format!("<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#2563eb\"/>\n", y(value));
            }
            text += &format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>\n",
                HEIGHT - EDGE / 2.0,
                row.trial + 1
            );
        }
        text + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Failed;
    use distill_core::Category;

    fn row(trial: usize, accuracy: &[f64]) -> Row {
        let result = |(seed, accuracy): (usize, &f64)| {
            (seed as u64, Ok(json!({"validation": {"accuracy": accuracy, "loss": 1.0 - accuracy}})))
        };
        let changes =
            if trial == 0 { Vec::new() } else { vec![("student.temperature".to_owned(), 4.0.into())] };
        Row {
            trial,
            round: 0,
            epochs: None,
            changes,
            directory: PathBuf::from(format!("trials/{trial}")),
            results: accuracy.iter().enumerate().map(result).collect(),
        }
    }

    #[test]
    fn the_table_names_the_best_and_the_worst_is_what_failed() {
        let sweep = SweepSettings { method: Method::OneAtATime, seeds: vec![0, 1], ..SweepSettings::default() };
        let why = || Err(Failed::of(Category::Usage, "three classes are needed"));
        let failed = Row { results: vec![(0, why()), (1, why())], ..row(2, &[]) };
        let rows = vec![row(1, &[0.92, 0.94]), row(0, &[0.9, 0.9]), failed];
        let mut table = Table { sweep, metric: Metric::Accuracy, rows, is_whole: false };
        assert!(table.markdown().contains("Trials are missing"));
        table.is_whole = true;
        assert_eq!(table.rows[2].rank(Metric::Accuracy), f64::NEG_INFINITY);
        let text = table.text(Path::new("out"));
        assert!(
            text.contains(
                "best: trial 2\n  student.temperature = 4.0\nits model of seed 0: out/seed-0/trials/1/model\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("| 2 | - | student.temperature=4.0 | 0.9200 0.9400 | 0.9300 | +0.0300 ["),
            "{text}"
        );
        assert!(text.contains("| 3 | - | student.temperature=4.0 | failed | - | - |"), "{text}");
        assert!(text.contains("Trial 3 failed: three classes are needed"), "{text}");
        let json: Value = serde_json::from_str(&table.json().unwrap()).unwrap();
        assert_eq!((&json["best"], json["trials"].as_array().unwrap().len()), (&json!(2), 3));
        assert!(table.svg().contains("</svg>"));
    }
}
