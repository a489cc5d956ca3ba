//! What a model costs, and the rounds that its speed was measured in.

use serde::{Deserialize, Serialize};

/// Time from one text to its logits at batch size 1, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

/// What a model costs, measured where the report was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Weights in the model.
    pub parameters: u64,
    /// Bytes of its weight files.
    pub bytes: u64,
    /// Rows a second in batches, tokenization included, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<f64>,
    /// Latency at batch size 1, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// One round of the timing: models take turns, so that rounds of the same number can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Rows a second in batches.
    pub rows_per_second: f64,
    /// Latency at batch size 1 over the round's single rows.
    pub latency: Latency,
}
