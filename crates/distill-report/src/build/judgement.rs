//! What is measured of a data set, whatever its rows are labelled with.

use distill_core::StopSignal;

use crate::report::DataReport;
use crate::settings::ReportSettings;
use crate::stats::Draws;

/// Models that were judged on the same rows.
pub(crate) trait Judgement {
    /// Resampled values of every metric of every model. Rows are drawn, not positions.
    fn draws(&self, settings: &ReportSettings, stop: &StopSignal) -> Draws;

    /// The report of the data set, without intervals and comparisons.
    fn report(&self, name: String, rows_hash: String, settings: &ReportSettings) -> DataReport;

    /// By model and labelled row, whether the row is right; no model where rows are neither right nor wrong.
    fn right(&self) -> Vec<Vec<bool>>;
}
