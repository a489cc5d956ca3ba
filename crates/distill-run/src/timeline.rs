//! Where time goes: phases are `tracing` spans of one target, which cost a load and a branch without a subscriber.

/// The target of spans that belong to the timeline.
pub const TARGET: &str = "timeline";
