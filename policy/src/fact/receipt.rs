//! What an actuator found or did. A hold believes only receipts.

use serde::{Deserialize, Serialize};

use crate::id::OrderId;
use crate::time::{Span, Timestamp};

/// News of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The order.
    pub order: OrderId,
    /// When the actuator saw it.
    pub at: Timestamp,
    /// What the guard answered, in the order in which it asked.
    pub guard: Vec<GuardAnswer>,
    /// What came of it.
    pub outcome: ReceiptOutcome,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiptOutcome {
    /// Before the write: what the target was like. Kept before anything is changed.
    Prepared(PriorState),
    /// The API server accepted the write; nothing is proven yet.
    Accepted {
        /// `metadata.resourceVersion` after the write.
        resource_version: String,
    },
    /// The effect is proven by these observations.
    Verified {
        /// All four signs for a pause; what was compared for a restore.
        signs: Vec<Observation>,
        /// From the accepted write to the proof.
        took: Span,
    },
    /// Somebody else had stopped it at zero before us; left as theirs.
    AlreadySo {
        /// Field manager or annotation that shows who.
        by: String,
    },
    /// It is not at zero and not ours to stop (paused by somebody at N, a missing workload, an
    /// unsupported shape). Untouched; paged with its cost.
    NotStopped {
        /// Replicas that run on, where known.
        replicas: Option<u32>,
        /// Why, for people.
        because: String,
    },
    /// The guard said no; `guard` says which check.
    Refused,
    /// The write or the read failed.
    Failed {
        /// For people.
        error: String,
        /// Whether trying again can help.
        retryable: bool,
    },
    /// The write was accepted but the proof did not come before the deadline.
    NotObserved {
        /// What was seen instead.
        signs: Vec<Observation>,
    },
    /// Given back, but not all of it came back before the deadline.
    RestoreIncomplete {
        /// What is missing.
        signs: Vec<Observation>,
    },
    /// A message was delivered (or not: `Failed`).
    Delivered {
        /// The service's handle for later edits (Slack `channel ts`), where it has one.
        handle: Option<String>,
    },
}

/// One sign that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was looked at (`status.pausedReplicaCount`).
    pub sign: String,
    /// What was seen (`0`, `absent`, `2`).
    pub seen: String,
    /// Whether that is what proof wants.
    pub proves: bool,
}

/// What a target was like before we touched it: enough to give it back exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorState {
    /// `metadata.uid` of the object.
    pub uid: String,
    /// `metadata.resourceVersion` that the guard judged.
    pub resource_version: String,
    /// `spec.replicas` of the workload then.
    pub replicas: Option<u32>,
    /// Value of `autoscaling.keda.sh/paused-replicas`, where somebody had set it.
    pub paused_replicas: Option<String>,
    /// Value of `autoscaling.keda.sh/paused`, where somebody had set it.
    pub paused: Option<String>,
    /// Name of the HPA then.
    pub hpa: Option<String>,
}

/// A question the guard asks just before an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GuardCheck {
    /// Effective mode is `enforce`, or a person approved.
    Mode,
    /// The object is not on the protected list.
    Protected,
    /// We hold the Lease.
    Leadership,
    /// The order has not expired.
    Expiry,
    /// Few enough targets in the window.
    BlastRadius,
    /// No freeze, by command or schedule, here or in the freeze marker.
    Freeze,
    /// The object is the one that was judged (UID), and of a shape we can stop and give back.
    Identity,
    /// The operator that must carry it out is there and of a version we can prove.
    Operator,
    /// The wall clock agrees with the monotonic one.
    Clock,
    /// The cluster was heard within the last two minutes.
    Inventory,
    /// Few enough targets to go without a person's yes.
    Approval,
}

impl GuardCheck {
    /// The word in messages and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Protected => "protected",
            Self::Leadership => "leadership",
            Self::Expiry => "expiry",
            Self::BlastRadius => "blast-radius",
            Self::Freeze => "freeze",
            Self::Identity => "identity",
            Self::Operator => "operator",
            Self::Clock => "clock",
            Self::Inventory => "inventory",
            Self::Approval => "approval",
        }
    }
}

/// One answer of the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardAnswer {
    /// The question.
    pub check: GuardCheck,
    /// Whether it lets the effect through.
    pub pass: bool,
    /// The evidence, for people.
    pub detail: String,
}
