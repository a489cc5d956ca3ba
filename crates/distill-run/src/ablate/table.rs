//! What an ablation found: `ablation.json`, `ablation.md`, `ablation.svg` and the text for people.

use std::path::Path;

use distill_core::text;
use distill_student::selection::Metric;
use serde_json::json;

use crate::error::Result;
use crate::outfile::{self, Kind};
use crate::trial::{self, Outcome, paired, with_interval};

/// A student with all seeds.
pub struct Line {
    /// The removed component; none for the unchanged pipeline.
    pub without: Option<String>,
    /// For each seed the figures of its run, or why it could not be trained.
    pub results: Vec<(u64, Outcome)>,
}

/// The results of all of them.
pub struct Table {
    /// What students are compared by.
    pub metric: Metric,
    /// The unchanged pipeline, then each component.
    pub lines: Vec<Line>,
}

/// What a component is worth: mean over seeds of the paired differences, and half its 95% interval.
struct Effect {
    mean: f64,
    half: Option<f64>,
}

impl Table {
    /// Writes the three files.
    ///
    /// # Errors
    /// Naming the file that cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        outfile::write(&out.join("ablation.json"), &self.json()?, Kind::TableJson)?;
        outfile::write(&out.join("ablation.md"), &self.markdown(), Kind::TableMarkdown)?;
        outfile::write(&out.join("ablation.svg"), &self.svg(), Kind::TableSvg)
    }

    /// Refuses files of these names that are not an earlier table.
    ///
    /// # Errors
    /// [`crate::error::RunError`] naming the file.
    pub fn check(out: &Path) -> Result<()> {
        outfile::check(&out.join("ablation.json"), Kind::TableJson, &[])?;
        outfile::check(&out.join("ablation.md"), Kind::TableMarkdown, &[])?;
        outfile::check(&out.join("ablation.svg"), Kind::TableSvg, &[])
    }

    fn worth(&self, line: &Line) -> Option<Effect> {
        line.without.as_ref()?;
        let (base, without) = (self.values(self.lines.first()?)?, self.values(line)?);
        // Of an error, less is worth more.
        let (mean, half) =
            if self.metric.higher_is_better() { paired(&without, &base) } else { paired(&base, &without) };
        Some(Effect { mean, half })
    }

    /// The validation figure of each seed.
    fn values(&self, line: &Line) -> Option<Vec<f64>> {
        trial::figures(&line.results, self.metric)
    }

    /// All figures.
    ///
    /// # Errors
    /// Where they cannot be written as JSON, which would be a defect.
    pub fn json(&self) -> Result<String> {
        let name = self.metric.name();
        let line = |line: &Line| {
            let worth = self.worth(line).map(|Effect { mean, half }| {
                json!({"mean": mean, "interval": half.map(|half| [mean - half, mean + half])})
            });
            let runs = trial::as_json(&line.results);
            json!({"without": line.without, name: self.values(line), "worth": worth, "runs": runs})
        };
        let document = json!({"metric": name, "students": self.lines.iter().map(line).collect::<Vec<_>>()});
        Ok(serde_json::to_string_pretty(&document)?)
    }

    fn markdown(&self) -> String {
        self.table(text::markdown)
    }

    /// The table and what failed, with names made harmless for a document or for a terminal.
    fn table(&self, escape: fn(&str) -> String) -> String {
        let metric = self.metric.name();
        let mut out = format!(
            "| without | validation {metric} by seed | mean | contribution |\n| --- | --- | --- | --- |\n"
        );
        for line in &self.lines {
            let [values, mean] = trial::shown(self.values(line).as_deref());
            let worth = self.worth(line).map_or("-".to_owned(), |worth| worth.shown());
            let name = line.without.as_deref().unwrap_or("nothing: the unchanged pipeline");
            out += &format!("| {name} | {values} | {mean} | {worth} |\n");
        }
        for line in &self.lines {
            if let Some(failed) = trial::failure(&line.results) {
                let name = line.without.as_deref().unwrap_or("nothing");
                out += &format!("\nThe run without {name} failed: {}\n", escape(&failed.reason));
            }
        }
        out
    }

    /// The table for people.
    pub fn text(&self, out: &Path) -> String {
        let metric = self.metric.name();
        let worth = if self.metric.higher_is_better() {
            format!("{metric} with it minus {metric} without")
        } else {
            format!("{metric} without it minus {metric} with")
        };
        let seeds = self.lines.first().map_or(0, |line| line.results.len());
        let interval =
            if seeds > 1 { "paired by seed, with its 95% interval" } else { "one seed: no interval" };
        format!(
            "{}\ncontribution: {worth}, {interval}\ntable: {}",
            self.table(text::visible),
            out.join("ablation.md").display()
        )
    }

    /// From top to bottom what each component is worth: a dot with its interval, and a line at 0.
    fn svg(&self) -> String {
        const WIDTH: f64 = 760.0;
        const LEFT: f64 = 330.0;
        const ROW: f64 = 26.0;
        let shown: Vec<(&str, Effect)> =
            self.lines.iter().filter_map(|line| Some((line.without.as_deref()?, self.worth(line)?))).collect();
        let reach = |worth: &Effect| worth.mean.abs() + worth.half.unwrap_or(0.0);
        let widest = shown.iter().map(|(_, worth)| reach(worth)).fold(1e-4, f64::max);
        let x = |value: f64| {
            let middle = f64::midpoint(LEFT, WIDTH);
            middle + value / widest * (WIDTH - LEFT - 40.0) / 2.0
        };
        let height = ROW * (shown.len() as f64 + 2.0);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1:.1}\" stroke=\"#9ca3af\"/>\n",
            x(0.0),
            height - ROW
        );
        for (place, (name, worth)) in shown.iter().enumerate() {
            let (y, half) = (ROW * (place as f64 + 0.8), worth.half.unwrap_or(0.0));
            let name = name.replace('&', "&amp;").replace('<', "&lt;");
            text += &format!("<text x=\"4\" y=\"{:.1}\">{name}</text>\n", y + 4.0);
            text += &format!(
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#2563eb\"/>\n",
                x(worth.mean - half),
                x(worth.mean + half)
            );
            text += &format!(
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#2563eb\"><title>{}</title></circle>\n",
                x(worth.mean),
                worth.shown()
            );
        }
        text += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} that it is worth</text>\n</svg>\n",
            x(0.0),
            height - ROW / 2.0,
            self.metric.name()
        );
        text
    }
}

impl Effect {
    fn shown(&self) -> String {
        with_interval((self.mean, self.half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Failed;
    use distill_core::Category;
    use serde_json::Value;

    fn line(without: Option<&str>, accuracy: &[f64]) -> Line {
        let result = |(seed, accuracy): (usize, &f64)| {
            (seed as u64, Ok(json!({"validation": {"accuracy": accuracy, "mse": accuracy}})))
        };
        Line { without: without.map(str::to_owned), results: accuracy.iter().enumerate().map(result).collect() }
    }

    #[test]
    fn of_an_error_less_is_worth_more() {
        let lines = vec![line(None, &[0.2]), line(Some("labels"), &[0.5])];
        let table = Table { metric: Metric::Mse, lines };
        let text = table.text(Path::new("out"));
        assert!(text.contains("| labels | 0.5000 | 0.5000 | +0.3000 |"), "{text}");
        assert!(text.contains("mse without it minus mse with, one seed: no interval"), "{text}");
    }

    #[test]
    fn what_helps_is_worth_more_than_nothing_and_what_failed_is_shown() {
        let why = Failed::of(Category::Data, "no row has a label");
        let failed = Line { without: Some("labels".to_owned()), results: vec![(0, Err(why))] };
        let lines =
            vec![line(None, &[0.91, 0.82, 0.73]), line(Some("soft targets"), &[0.90, 0.80, 0.70]), failed];
        let table = Table { metric: Metric::Accuracy, lines };
        let text = table.markdown();
        // Differences 0.01, 0.02, 0.03: mean 0.02, sd 0.01, t(2) = 4.303.
        assert!(
            text.contains("| soft targets | 0.9000 0.8000 0.7000 | 0.8000 | +0.0200 [-0.0048, +0.0448] |"),
            "{text}"
        );
        assert!(
            text.contains("| nothing: the unchanged pipeline | 0.9100 0.8200 0.7300 | 0.8200 | - |"),
            "{text}"
        );
        assert!(text.contains("| labels | failed | - | - |"), "{text}");
        assert!(text.contains("The run without labels failed: no row has a label"), "{text}");
        let json: Value = serde_json::from_str(&table.json().unwrap()).unwrap();
        assert!((json["students"][1]["worth"]["mean"].as_f64().unwrap() - 0.02).abs() < 1e-12);
        assert!(table.svg().contains("soft targets") && table.svg().ends_with("</svg>\n"));
    }
}
