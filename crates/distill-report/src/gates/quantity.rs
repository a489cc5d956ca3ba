//! What a gate can be about, and the names nearest to one that does not exist.

use std::fmt;

use crate::metrics::Metric;

/// The left side of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A metric of the model itself.
    Metric(Metric),
    /// `kept.M`: the model's figure divided by the teacher's.
    Kept(Metric),
    /// `drop.M`: by how much the model is worse than the teacher, in the metric's own unit.
    Drop(Metric),
    /// `gap_closed.M`: share of the way from the student without a teacher to the teacher.
    GapClosed(Metric),
    /// `gain.M`: by how much the model is better than the student without a teacher, in the metric's own unit.
    Gain(Metric),
    /// `precision[LABEL]`, `recall[LABEL]`, `f1[LABEL]`; of an entity type also `entity_precision[TYPE]` and so on.
    Class(ClassFigure, String),
    /// What the model costs.
    Cost(CostFigure),
    /// `regression`, `regression.M`: by how much the model is worse than in an earlier report;
    /// without a metric the larger drop of accuracy and macro F1.
    Regression(Option<Metric>),
}

/// A figure of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassFigure {
    /// Precision of the class.
    Precision,
    /// Recall of the class.
    Recall,
    /// F1 of the class.
    F1,
    /// Precision of an entity type.
    EntityPrecision,
    /// Recall of an entity type.
    EntityRecall,
    /// F1 of an entity type.
    EntityF1,
}

impl ClassFigure {
    /// True where only entities have it.
    pub fn is_of_entities(self) -> bool {
        matches!(self, ClassFigure::EntityPrecision | ClassFigure::EntityRecall | ClassFigure::EntityF1)
    }
}

/// A figure of a model's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostFigure {
    /// Median latency at batch size 1, in milliseconds.
    LatencyP50,
    /// 95th percentile of the latency.
    LatencyP95,
    /// 99th percentile of the latency.
    LatencyP99,
    /// Rows a second.
    RowsPerSecond,
    /// Rows a second divided by the teacher's.
    SpeedUp,
    /// Weights.
    Parameters,
    /// Bytes of the weight files.
    Bytes,
}

/// What the number of a gate is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number or `%`.
    Share,
    /// A factor, `x`.
    Factor,
    /// Milliseconds.
    Time,
    /// A count, `k`, `M`, `G`.
    Count,
    /// Bytes, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`.
    Bytes,
}

const CLASS_FIGURES: [(&str, ClassFigure); 6] = [
    ("precision", ClassFigure::Precision),
    ("recall", ClassFigure::Recall),
    ("f1", ClassFigure::F1),
    ("entity_precision", ClassFigure::EntityPrecision),
    ("entity_recall", ClassFigure::EntityRecall),
    ("entity_f1", ClassFigure::EntityF1),
];

const COST_FIGURES: [(&str, CostFigure, Unit); 7] = [
    ("latency.p50", CostFigure::LatencyP50, Unit::Time),
    ("latency.p95", CostFigure::LatencyP95, Unit::Time),
    ("latency.p99", CostFigure::LatencyP99, Unit::Time),
    ("rows_per_second", CostFigure::RowsPerSecond, Unit::Count),
    ("speed_up", CostFigure::SpeedUp, Unit::Factor),
    ("parameters", CostFigure::Parameters, Unit::Count),
    ("bytes", CostFigure::Bytes, Unit::Bytes),
];

impl Quantity {
    /// Every quantity that has a fixed name, metrics first.
    pub fn all() -> impl Iterator<Item = Quantity> {
        let own = || Metric::all().filter(|metric| !metric.needs_teacher());
        let shares = move || own().filter(|metric| metric.higher_is_better());
        Metric::all()
            .map(Quantity::Metric)
            .chain(shares().map(Quantity::Kept))
            .chain(own().map(Quantity::Drop))
            .chain(shares().map(Quantity::GapClosed))
            .chain(own().map(Quantity::Gain))
            .chain(COST_FIGURES.iter().map(|(_, figure, _)| Quantity::Cost(*figure)))
            .chain([Quantity::Regression(None)])
            .chain(own().map(|metric| Quantity::Regression(Some(metric))))
    }

    /// The quantity of a name.
    pub fn parse(name: &str) -> Option<Quantity> {
        if let Some((figure, label)) = name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            let (_, figure) = CLASS_FIGURES.into_iter().find(|(known, _)| *known == figure)?;
            return Some(Quantity::Class(figure, label.to_owned()));
        }
        Self::all().find(|quantity| quantity.to_string() == name)
    }

    /// The names nearest to one that does not exist, at most three, the nearest first.
    pub fn nearest(name: &str) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut names: Vec<String> = Self::all().map(|quantity| quantity.to_string()).collect();
        let of_class = |figure: ClassFigure| if figure.is_of_entities() { "TYPE" } else { "LABEL" };
        names.extend(CLASS_FIGURES.iter().map(|(name, figure)| format!("{name}[{}]", of_class(*figure))));
        names.sort_by(|left, right| {
            strsim::jaro_winkler(right, name).total_cmp(&strsim::jaro_winkler(left, name))
        });
        names.truncate(SHOWN);
        names
    }

    /// True where `vs` may name another model.
    pub fn compares(&self) -> bool {
        matches!(self, Quantity::Kept(_) | Quantity::Drop(_) | Quantity::Gain(_))
    }

    /// What its number is counted in.
    pub fn unit(&self) -> Unit {
        match self {
            Quantity::Cost(figure) => {
                COST_FIGURES.iter().find(|known| known.1 == *figure).map_or(Unit::Share, |known| known.2)
            }
            _ => Unit::Share,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Metric(metric) => f.write_str(metric.name()),
            Quantity::Kept(metric) => write!(f, "kept.{}", metric.name()),
            Quantity::Drop(metric) => write!(f, "drop.{}", metric.name()),
            Quantity::GapClosed(metric) => write!(f, "gap_closed.{}", metric.name()),
            Quantity::Gain(metric) => write!(f, "gain.{}", metric.name()),
            Quantity::Class(figure, label) => {
                let name = CLASS_FIGURES.iter().find(|known| known.1 == *figure).map_or("", |known| known.0);
                write!(f, "{name}[{label}]")
            }
            Quantity::Cost(figure) => {
                f.write_str(COST_FIGURES.iter().find(|known| known.1 == *figure).map_or("", |known| known.0))
            }
            Quantity::Regression(None) => f.write_str("regression"),
            Quantity::Regression(Some(metric)) => write!(f, "regression.{}", metric.name()),
        }
    }
}
