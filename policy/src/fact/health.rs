//! How a source is doing. A silent source is a fact of its own (invariant 4).

use serde::{Deserialize, Serialize};

/// News of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// Name of the source.
    pub source: Box<str>,
    /// What it is doing.
    pub state: SourceState,
}

/// What a source is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceState {
    /// It was heard (a poll that worked, a watch event or bookmark), with or without usage.
    Heard,
    /// It has read all that was there when it started.
    CaughtUp,
    /// It cannot be read, and why.
    Broken(String),
    /// Another signal shows that there should be traffic although the source is silent.
    TrafficSeenElsewhere(String),
}
