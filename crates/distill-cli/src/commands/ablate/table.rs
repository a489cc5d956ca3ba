//! What an ablation found: `ablation.json`, `ablation.md`, `ablation.svg` and the text for people.

use std::path::Path;

use distill_core::atomic;
use serde_json::{Value, json};

use crate::commands::sweep::table::paired;

/// A student with all seeds.
pub struct Line {
    /// What was taken away; none of the pipeline as it is.
    pub without: Option<&'static str>,
    /// For each seed the figures of its run, or none where it could not be trained.
    pub results: Vec<(u64, Option<Value>)>,
}

impl Line {
    /// The validation accuracy of each seed.
    fn values(&self) -> Option<Vec<f64>> {
        let value = |(_, results): &(u64, Option<Value>)| results.as_ref()?["validation"]["accuracy"].as_f64();
        self.results.iter().map(value).collect()
    }
}

/// The pipeline as it is, then each component.
pub struct Table(pub Vec<Line>);

/// What a component is worth: mean over seeds of the paired differences, and half its 95% interval.
struct Worth {
    mean: f64,
    half: Option<f64>,
}

impl Table {
    /// Writes the three files.
    ///
    /// # Errors
    /// Naming the file that cannot be written.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        atomic::write(&out.join("ablation.json"), self.json()?.as_bytes())?;
        atomic::write(&out.join("ablation.md"), self.markdown().as_bytes())?;
        Ok(atomic::write(&out.join("ablation.svg"), self.svg().as_bytes())?)
    }

    fn worth(&self, line: &Line) -> Option<Worth> {
        line.without?;
        let (base, without) = (self.0.first()?.values()?, line.values()?);
        let (mean, half) = paired(&without, &base);
        Some(Worth { mean, half })
    }

    /// All figures.
    ///
    /// # Errors
    /// Where they cannot be written as JSON, which would be a defect.
    pub fn json(&self) -> anyhow::Result<String> {
        let line = |line: &Line| {
            let runs: Vec<Value> =
                line.results.iter().map(|(seed, results)| json!({"seed": seed, "results": results})).collect();
            let worth = self.worth(line).map(|Worth { mean, half }| {
                json!({"mean": mean, "interval": half.map(|half| [mean - half, mean + half])})
            });
            json!({"without": line.without, "accuracy": line.values(), "worth": worth, "runs": runs})
        };
        let document = json!({"metric": "accuracy", "students": self.0.iter().map(line).collect::<Vec<_>>()});
        Ok(serde_json::to_string_pretty(&document)?)
    }

    fn markdown(&self) -> String {
        let mut text =
            "| without | validation accuracy by seed | mean | what it is worth |\n| --- | --- | --- | --- |\n"
                .to_owned();
        for line in &self.0 {
            let (values, mean) = match line.values() {
                None => ("failed".to_owned(), "-".to_owned()),
                Some(values) => {
                    let shown: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
                    #[allow(clippy::cast_precision_loss)]
                    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                    (shown.join(" "), format!("{mean:.4}"))
                }
            };
            let worth = self.worth(line).map_or("-".to_owned(), |worth| worth.shown());
            let name = line.without.unwrap_or("nothing: the pipeline as it is");
            text += &format!("| {name} | {values} | {mean} | {worth} |\n");
        }
        text
    }

    /// The table for people.
    pub fn text(&self, out: &Path) -> String {
        format!(
            "{}\nworth: accuracy with it minus accuracy without, paired by seed, with its 95% interval\ntable: {}",
            self.markdown(),
            out.join("ablation.md").display()
        )
    }

    /// From top to bottom what each component is worth: a dot with its interval, and a line at 0.
    #[allow(clippy::cast_precision_loss)]
    fn svg(&self) -> String {
        const WIDTH: f64 = 760.0;
        const LEFT: f64 = 330.0;
        const ROW: f64 = 26.0;
        let shown: Vec<(&str, Worth)> =
            self.0.iter().filter_map(|line| Some((line.without?, self.worth(line)?))).collect();
        let reach = |worth: &Worth| worth.mean.abs() + worth.half.unwrap_or(0.0);
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
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">accuracy that it is worth</text>\n</svg>\n",
            x(0.0),
            height - ROW / 2.0
        );
        text
    }
}

impl Worth {
    fn shown(&self) -> String {
        let Worth { mean, half } = self;
        match half {
            Some(half) => format!("{mean:+.4} [{:+.4}, {:+.4}]", mean - half, mean + half),
            None => format!("{mean:+.4}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(without: Option<&'static str>, accuracy: &[f64]) -> Line {
        let result = |(seed, accuracy): (usize, &f64)| {
            (seed as u64, Some(json!({"validation": {"accuracy": accuracy}})))
        };
        Line { without, results: accuracy.iter().enumerate().map(result).collect() }
    }

    #[test]
    fn what_helps_is_worth_more_than_nothing_and_what_failed_is_shown() {
        let failed = Line { without: Some("labels"), results: vec![(0, None)] };
        let table = Table(vec![
            line(None, &[0.91, 0.82, 0.73]),
            line(Some("soft targets"), &[0.90, 0.80, 0.70]),
            failed,
        ]);
        let text = table.markdown();
        // Differences 0.01, 0.02, 0.03: mean 0.02, sd 0.01, t(2) = 4.303.
        assert!(
            text.contains("| soft targets | 0.9000 0.8000 0.7000 | 0.8000 | +0.0200 [-0.0048, +0.0448] |"),
            "{text}"
        );
        assert!(
            text.contains("| nothing: the pipeline as it is | 0.9100 0.8200 0.7300 | 0.8200 | - |"),
            "{text}"
        );
        assert!(text.contains("| labels | failed | - | - |"), "{text}");
        let json: Value = serde_json::from_str(&table.json().unwrap()).unwrap();
        assert!((json["students"][1]["worth"]["mean"].as_f64().unwrap() - 0.02).abs() < 1e-12);
        assert!(table.svg().contains("soft targets") && table.svg().ends_with("</svg>\n"));
    }
}
