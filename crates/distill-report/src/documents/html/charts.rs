//! The charts of a data set, each in a figure with a caption.

use crate::documents::svg::bars::{self, Group};
use crate::documents::svg::frontier::{self, Point};
use crate::documents::svg::lines::{self, Line, Plot};
use crate::documents::svg::{Frame, bins, heatmap, scatter};
use crate::documents::text;
use crate::kinds;
use crate::metrics::Metric;
use crate::metrics::calibration::Bin;
use crate::metrics::ranking::Curves;
use crate::predictions::Role;
use crate::report::{DataReport, ModelReport, TrainingCurves};

/// Classes that the bar chart shows.
const BAR_CLASSES: usize = 30;
/// Models whose lines or bars one chart shows.
const SHOWN_MODELS: usize = 6;

/// All charts of one data set.
pub fn data_set(set: &DataReport) -> String {
    let mut out = String::from("<div class=\"charts\">");
    out.push_str(&class_bars(set));
    out.push_str(&frontier(set));
    // What takes the width of the page comes last, so that it leaves no gaps.
    let is_wide = set.labels.len() > heatmap::SMALL_LABELS;
    let confusion = confusion(set);
    out.push_str(if is_wide { "" } else { &confusion });
    out.push_str(&scatter(set));
    out.push_str(&reliability(set));
    out.push_str(&curves(set, true));
    out.push_str(&curves(set, false));
    out.push_str(if is_wide { &confusion } else { "" });
    out.push_str("</div>");
    out
}

fn figure(title: &str, caption: &str, legend: &str, svg: &str) -> String {
    format!(
        "<figure><figcaption><b>{}</b>{}</figcaption>{legend}{svg}</figure>",
        text::html(title),
        text::html(caption)
    )
}

fn legend(names: &[(usize, &str)]) -> String {
    let entry = |(color, name): &(usize, &str)| {
        let color = color % super::COLORS;
        format!(
            "<li><svg viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"line m{color}\" d=\"M0 4H22\"/></svg>{}</li>",
            text::html(name)
        )
    };
    format!("<ul class=\"legend\">{}</ul>", names.iter().map(entry).collect::<String>())
}

/// Models in the report's order, with their places, as many as a chart can tell apart.
fn shown(set: &DataReport) -> impl Iterator<Item = (usize, &ModelReport)> {
    set.models.iter().enumerate().take(SHOWN_MODELS)
}

/// Teacher against student (or the first two models): F1 of every class.
fn class_bars(set: &DataReport) -> String {
    if set.models.iter().any(|model| model.classes.is_empty()) {
        return String::new();
    }
    let place = |role| set.models.iter().position(|model| model.role == role);
    let pair: Vec<usize> = match (place(Role::Teacher), place(Role::Student)) {
        (Some(teacher), Some(student)) => vec![teacher, student],
        _ => (0..set.models.len().min(2)).collect(),
    };
    let f1 = |model: &usize, class: usize| set.models[*model].classes[class].f1;
    // Of tags these are the entity types, not the labels.
    let of_first = &set.models[0].classes;
    let mut classes: Vec<usize> = (0..of_first.len()).filter(|class| of_first[*class].support > 0).collect();
    // The largest drop first, so that a wide label map shows what matters.
    let drop = |class: usize| f1(&pair[0], class) - pair.last().map_or(0.0, |last| f1(last, class));
    classes.sort_by(|left, right| drop(*right).total_cmp(&drop(*left)));
    let hidden = classes.len().saturating_sub(BAR_CLASSES);
    classes.truncate(BAR_CLASSES);
    let group = |class: &usize| Group {
        name: of_first[*class].label.clone(),
        bars: pair
            .iter()
            .map(|model| &set.models[*model].classes[*class])
            .map(|class| (class.f1, class.f1_interval))
            .collect(),
    };
    let groups: Vec<Group> = classes.iter().map(group).collect();
    let names: Vec<(usize, &str)> =
        pair.iter().map(|model| (*model, set.models[*model].name.as_str())).collect();
    let said: Vec<String> = groups
        .iter()
        .map(|group| {
            let bars = group.bars.iter().zip(&names).map(|(bar, name)| format!("{} {:.2}", name.1, bar.0));
            format!("{}: {}", group.name, bars.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let more = if hidden > 0 { format!("; {hidden} more are in the tables below") } else { String::new() };
    let caption = format!("The largest drop first, with intervals{more}.");
    let svg = bars::draw("F1 of every class", &said.join("; "), &groups, &pair);
    figure("F1 of every class", &caption, &legend(&names), &svg)
}

fn frontier(set: &DataReport) -> String {
    let [headline, _] = set.headlines();
    let points: Vec<Point> = set
        .models
        .iter()
        .enumerate()
        .filter_map(|(color, model)| {
            let accuracy = model.metrics.get(&headline)?;
            let (name, speed) = (model.name.clone(), model.cost?.rows_per_second?);
            Some(Point { name, color, speed, accuracy: (accuracy.value, accuracy.interval) })
        })
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    let said = points
        .iter()
        .map(|point| format!("{}: {:.4} at {:.0} rows a second", point.name, point.accuracy.0, point.speed));
    let said = said.collect::<Vec<_>>().join("; ");
    let title = &format!("{} against cost", text::capitalized(headline.title()));
    let svg = frontier::draw(title, headline.title(), &said, &points);
    let caption = "The dashed line joins the models that no other beats in both.";
    figure(title, caption, "", &svg)
}

/// The confusion matrix of the student, or of the first model; next to it the teacher's, and what differs.
fn confusion(set: &DataReport) -> String {
    let has_matrix = |model: &&ModelReport| !model.confusion.is_empty();
    let model = set.with_role(Role::Student).or(set.models.first()).filter(has_matrix);
    let Some(model) = model.filter(|_| set.labels.len() <= heatmap::LABELS) else { return String::new() };
    let teacher = set.with_role(Role::Teacher).filter(has_matrix).filter(|teacher| teacher.name != model.name);
    let matrix = |of: &ModelReport| {
        let title = format!("Confusion matrix of {}", of.name);
        let right: u64 = of.confusions().iter().filter(|pair| pair.0 == pair.1).map(|pair| pair.2).sum();
        let said = format!(
            "{right} of {} rows lie on the diagonal; the tables of classes and confusions have the rest.",
            set.labelled
        );
        let svg = heatmap::draw(&title, &said, &set.labels, &of.confusion);
        matrix_figure(
            set,
            &title,
            "Labels down, predictions across; shaded by the share of the label's rows.",
            &svg,
        )
    };
    let mut out = matrix(model);
    let Some(teacher) = teacher else { return out };
    let title = format!("{} less {}", model.name, teacher.name);
    let caption = "Rows more or fewer than the teacher's, in the colour of right answers where that is better.";
    let svg = heatmap::difference(&title, caption, &set.labels, &model.confusion, &teacher.confusion);
    let compared = matrix(teacher) + &matrix_figure(set, &title, caption, &svg);
    match set.labels.len() <= heatmap::SMALL_LABELS {
        true => out.push_str(&compared),
        false => out.push_str(&format!(
            "<details class=\"whole\"><summary>Confusion matrix of {}, and what differs</summary>{compared}</details>",
            text::html(&teacher.name)
        )),
    }
    out
}

/// A matrix of many labels takes the width of the page.
fn matrix_figure(set: &DataReport, title: &str, caption: &str, svg: &str) -> String {
    let figure = figure(title, caption, "", svg);
    if set.labels.len() <= heatmap::SMALL_LABELS {
        figure
    } else {
        figure.replacen("<figure>", "<figure class=\"whole\">", 1)
    }
}

/// Labels and values of the student, or of the first model, where rows have numbers.
fn scatter(set: &DataReport) -> String {
    let Some((color, model)) = shown(set)
        .find(|(_, model)| model.role == Role::Student)
        .or(shown(set).next())
        .filter(|(_, model)| !model.scatter.is_empty())
    else {
        return String::new();
    };
    let title = format!("Labels and values of {}", model.name);
    let figure_of = |metric: Metric| model.value(metric).map(|value| format!("{} {value:.4}", metric.title()));
    let said: Vec<String> = [Metric::R2, Metric::Rmse, Metric::Pearson, Metric::Spearman]
        .into_iter()
        .filter_map(figure_of)
        .collect();
    let said = format!("{} rows; {}.", model.scatter.len(), said.join(", "));
    let svg = scatter::draw(&title, &said, color, &model.scatter);
    let caption = match model.scatter.len() < set.labelled {
        true => "A row a point, of many rows some; on the dashed line the value is the label.",
        false => "A row a point; on the dashed line the value is the label.",
    };
    figure(&title, caption, "", &svg)
}

fn reliability(set: &DataReport) -> String {
    let lines: Vec<Line> = shown(set)
        .filter_map(|(color, model)| {
            let bins = model.calibration.as_ref()?.bins.iter().filter(|bin| bin.rows > 0);
            Some(Line { color, points: bins.map(|bin| [bin.confidence, bin.accuracy]).collect() })
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let said: Vec<String> = shown(set)
        .filter_map(|(_, model)| Some(format!("{}: ECE {:.4}", model.name, model.value(Metric::Ece)?)))
        .collect();
    let plot = Plot {
        title: "Reliability",
        description: &said.join("; "),
        x: "confidence",
        y: "accuracy",
        frame: Some(Frame::unit()),
        has_diagonal: true,
        has_marks: true,
    };
    let caption = "On the dashed line a model is as sure as it is right; below it, too sure.";
    let bins: Vec<(usize, &str, &[Bin])> = shown(set)
        .filter_map(|(color, model)| {
            Some((color, model.name.as_str(), model.calibration.as_ref()?.bins.as_slice()))
        })
        .collect();
    let said = "How many rows lie in each of the bins above, by model.";
    let under = bins::draw("Rows in each bin of confidence", said, &bins);
    figure("Reliability", caption, &names(set), &(lines::draw(&plot, &lines) + &under))
}

fn names(set: &DataReport) -> String {
    legend(&shown(set).map(|(color, model)| (color, model.name.as_str())).collect::<Vec<_>>())
}

fn curves(set: &DataReport, is_roc: bool) -> String {
    let points = |curves: &Curves| if is_roc { curves.roc.clone() } else { curves.precision_recall.clone() };
    let lines: Vec<Line> = shown(set)
        .filter_map(|(color, model)| Some(Line { color, points: points(model.curves.as_ref()?) }))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let (title, x, y, metric) = if is_roc {
        ("ROC curve", "false positive rate", "true positive rate", Metric::RocAuc)
    } else {
        ("Precision-recall curve", "recall", "precision", Metric::AveragePrecision)
    };
    let said: Vec<String> = shown(set)
        .filter_map(|(_, model)| {
            Some(format!("{}: {} {:.4}", model.name, metric.title(), model.value(metric)?))
        })
        .collect();
    let plot = Plot {
        title,
        description: &said.join("; "),
        x,
        y,
        frame: Some(Frame::unit()),
        has_diagonal: is_roc,
        has_marks: false,
    };
    let caption = if set.labels.len() == 2 && kinds::of(set.problem_type).has_one_class() {
        format!("Of the label {}.", set.labels[1])
    } else {
        "Every pair of row and class together (micro-averaged).".to_owned()
    };
    figure(title, &caption, &names(set), &lines::draw(&plot, &lines))
}

/// Where a curve stands: losses first, then the other figures of the validation part.
fn course(what: &str) -> usize {
    match what {
        what if what.ends_with("loss") => 0,
        what if what.starts_with("validation") => 1,
        _ => 2,
    }
}

/// Training curves: a chart for each thing that was logged, a line a run.
pub fn training(runs: &[TrainingCurves]) -> String {
    let mut series: Vec<&String> = runs.iter().flat_map(|run| run.series.keys()).collect();
    series.sort_by_key(|what| (course(what), *what));
    series.dedup();
    if series.is_empty() {
        return String::new();
    }
    let names: Vec<(usize, &str)> =
        runs.iter().enumerate().map(|(color, run)| (color, run.name.as_str())).collect();
    let chart = |what: &&String| {
        let points = |run: &TrainingCurves| run.series.get(*what).cloned();
        let lines: Vec<Line> = runs
            .iter()
            .enumerate()
            .filter_map(|(color, run)| Some(Line { color, points: points(run)? }))
            .collect();
        let ends = lines.iter().filter_map(|line| {
            let (first, last) = (line.points.first()?, line.points.last()?);
            Some(format!("{} from {:.4} to {:.4}", names.get(line.color)?.1, first[1], last[1]))
        });
        let description = ends.collect::<Vec<_>>().join("; ");
        let plot = Plot {
            title: what,
            description: &description,
            x: "step",
            y: "",
            frame: None,
            has_diagonal: false,
            has_marks: false,
        };
        figure(what, "", &legend(&names), &lines::draw(&plot, &lines))
    };
    let charts: String = series.iter().map(chart).collect();
    format!("<section><h2>Training</h2><div class=\"charts\">{charts}</div></section>")
}
