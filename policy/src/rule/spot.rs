//! `kind: SpotPolicy`, checked: what to do when AWS says that it will take an instance away.

use serde::{Deserialize, Serialize};

use super::{Mode, Place, glob_matches};
use crate::time::Span;

/// What to do about notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotPolicy {
    /// `metadata.name`, unique among its kind.
    pub name: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Where the document begins.
    pub place: Place,
    /// Where `on` was written: the line that a decision cites.
    pub on_place: Place,
    /// Kinds of notice, by word, sorted.
    pub on: Vec<SpotTrigger>,
    /// Pools (globs) whose nodes it is for; empty for all.
    pub nodepools: Vec<Box<str>>,
    /// What to do, in this order.
    pub then: Vec<SpotAct>,
    /// How far it may go: `observe` or `alert`.
    pub mode: Mode,
}

/// A kind of notice that a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SpotTrigger {
    /// A Spot instance will be taken away.
    Interruption,
    /// A Spot instance may be taken away soon.
    Rebalance,
    /// An instance of a capacity reservation will be taken away.
    CapacityReservation,
}

impl SpotTrigger {
    /// The word in rules and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Interruption => "interruption",
            Self::Rebalance => "rebalance",
            Self::CapacityReservation => "capacity-reservation",
        }
    }
}

impl SpotPolicy {
    /// Whether it is for notices of that word about a node of that pool.
    #[must_use]
    pub fn is_for(&self, word: &str, pool: &str) -> bool {
        self.on.iter().any(|kind| kind.word() == word)
            && (self.nodepools.is_empty() || self.nodepools.iter().any(|glob| glob_matches(glob, pool)))
    }
}

/// Something to do about a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpotAct {
    /// Tell a route, at once.
    Notify {
        /// Name of a route that exists.
        route: Box<str>,
        /// Where it was written.
        place: Place,
    },
    /// Cordon the node, where nobody else looks after it. Recorded, not done.
    Cordon {
        /// Where it was written.
        place: Place,
    },
    /// Drain the node, where nobody else looks after it. Recorded, not done.
    Drain {
        /// Where it was written.
        place: Place,
    },
    /// Tell pods on the node to save their work. Recorded, not done.
    Checkpoint {
        /// Labels that those pods have; none (`all: true`) for every pod.
        matching: Vec<(Box<str>, Box<str>)>,
        /// So long before the deadline at the latest.
        before: Span,
        /// Where it was written.
        place: Place,
    },
}

impl SpotAct {
    /// The key in a rule.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Notify { .. } => "notify",
            Self::Cordon { .. } => "cordon",
            Self::Drain { .. } => "drain",
            Self::Checkpoint { .. } => "checkpoint",
        }
    }
}
