//! Where time goes: phases are `tracing` spans of one target, which cost a load and a branch where nobody subscribed.

/// The target of spans that belong to the timeline.
pub const TARGET: &str = "timeline";
