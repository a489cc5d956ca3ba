//! What a gate can be about, and the names nearest to one that does not exist.

use std::fmt;

use crate::metrics::Metric;

/// The left side of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A metric of the model itself.
    Metric(Metric),
    /// `kept.M`: the model's figure divided by the teacher's.
    Kept(Metric),
    /// `drop.M`: by how much the model is worse than the teacher, in the metric's own unit.
    Drop(Metric),
    /// `gap_closed.M`: share of the way from the student without a teacher to the teacher.
    GapClosed(Metric),
}

impl Quantity {
    /// Every quantity there is, metrics first.
    pub fn all() -> impl Iterator<Item = Quantity> {
        let own = || Metric::all().filter(|metric| !metric.needs_teacher());
        let shares = move || own().filter(|metric| metric.higher_is_better());
        Metric::all()
            .map(Quantity::Metric)
            .chain(shares().map(Quantity::Kept))
            .chain(own().map(Quantity::Drop))
            .chain(shares().map(Quantity::GapClosed))
    }

    /// The quantity of a name.
    pub fn parse(name: &str) -> Option<Quantity> {
        Self::all().find(|quantity| quantity.to_string() == name)
    }

    /// The names nearest to one that does not exist, at most three, the nearest first.
    pub fn nearest(name: &str) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut names: Vec<String> = Self::all().map(|quantity| quantity.to_string()).collect();
        names.sort_by(|left, right| {
            strsim::jaro_winkler(right, name).total_cmp(&strsim::jaro_winkler(left, name))
        });
        names.truncate(SHOWN);
        names
    }

    /// True where the quantity compares with another model.
    pub fn compares(self) -> bool {
        matches!(self, Quantity::Kept(_) | Quantity::Drop(_))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Metric(metric) => f.write_str(metric.name()),
            Quantity::Kept(metric) => write!(f, "kept.{}", metric.name()),
            Quantity::Drop(metric) => write!(f, "drop.{}", metric.name()),
            Quantity::GapClosed(metric) => write!(f, "gap_closed.{}", metric.name()),
        }
    }
}
