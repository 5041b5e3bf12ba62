//! What is said of a source: whether it counts, what it decides, and how fresh it must be.

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::time::{Span, Timestamp};

/// What is said of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRule {
    /// Silence longer than this is staleness even without another signal.
    pub stale_after: Option<Span>,
    /// It brings usage, but none that happened within this time: that is staleness too.
    pub freshness: Option<Span>,
    /// `enabled: false`: what it reports is set aside.
    pub disabled: bool,
    /// For what it is the one that counts.
    pub authoritative: Vec<Authority>,
}

/// That a source counts where others report the same spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// For charges of these subjects, by trusted fields; for all where there is none.
    pub subjects: Vec<Condition>,
    /// The sources whose charges are set aside then.
    pub over: Vec<Box<str>>,
    /// Of charges from then on.
    pub from: Option<Timestamp>,
    /// Of charges before.
    pub until: Option<Timestamp>,
}

impl Authority {
    /// Whether the two have an instant in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |from: Option<Timestamp>, until: Option<Timestamp>| match (from, until) {
            (Some(from), Some(until)) => from < until,
            _ => true,
        };
        begins_before_end(self.from, other.until) && begins_before_end(other.from, self.until)
    }
}
