//! What a person said, with who said it.

use serde::{Deserialize, Serialize};

use crate::id::DecisionId;
use crate::inventory::ObjectKey;
use crate::money::Percent;

/// A person's order to the daemon. Recorded with its actor; the guard still has the last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Who: `uid:1000 (alice)` on the socket, the operator token's name over HTTP.
    pub actor: String,
    /// What.
    pub kind: CommandKind,
}

/// What a person can say. `breaker` is a breaker's name, `tenant-daily/acme`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandKind {
    /// Yes to a decision that waits for approval (mode `approve`, blast radius, a crossing by reload).
    Approve {
        /// The decision.
        decision: DecisionId,
    },
    /// Trip a breaker by hand.
    Trip {
        /// Breaker name.
        breaker: String,
        /// For people, kept in the why.
        reason: String,
    },
    /// Forgive what was spent: no new trip in this window until a further `more` of the limit is spent.
    Reset {
        /// Breaker name.
        breaker: String,
        /// Share of the limit; 10% unless said.
        more: Percent,
    },
    /// No new stop and no re-fire; holds stay; restores continue.
    Freeze {
        /// For people.
        reason: String,
    },
    /// End the freeze.
    Unfreeze,
    /// Give one object back and exempt it for the window.
    Release {
        /// The object.
        target: ObjectKey,
    },
    /// Freeze, then give everything back.
    ReleaseAll,
    /// The wall clock is right; carry on.
    ClockIsRight,
    /// It may be idle, for as long as the rules let such a word hold (`ackFor`).
    AckIdle {
        /// A ScaledObject or a workload.
        object: ObjectKey,
    },
}
