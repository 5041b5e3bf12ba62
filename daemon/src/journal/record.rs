//! What one turn gives to the journal and how it comes back, and the words under which it is kept.

use policy::decision::{Decision, DecisionKind, Notice, Order};
use policy::engine::{Outcome, Rollup, Spend};
use policy::fact::{Clock, Fact, ReceiptOutcome, UsageOutcome};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What one commit makes durable together.
#[derive(Clone, Copy, Debug)]
pub struct TurnRecord<'a> {
    /// The clocks that the engine was given.
    pub clock: Clock,
    /// The facts, in order.
    pub facts: &'a [Fact],
    /// What the engine made of them.
    pub outcome: &'a Outcome,
    /// The accounts that its rollups name, [`policy::engine::Engine::accounts`].
    pub accounts: &'a [Spend],
    /// Messages that were delivered since the last turn.
    pub deliveries: &'a [Delivery],
}

/// A message that a receiver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Key of the notice.
    pub key: Box<str>,
    /// Which receiver of the route.
    pub receiver: Box<str>,
    /// Thread of the notice.
    pub thread: Box<str>,
    /// The service's handle for later edits, where it has one.
    pub handle: Option<Box<str>>,
    /// When.
    pub at: Timestamp,
}

/// What a commit answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Number of the turn.
    pub seq: u64,
    /// Indexes of the notices that are new; the others' keys were told before, and are not told again.
    pub new_notices: Vec<usize>,
}

/// A turn as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTurn {
    /// Its number.
    pub seq: u64,
    /// The clocks that the engine was given.
    pub clock: Clock,
    /// The facts, in order.
    pub facts: Vec<Fact>,
    /// See [`fingerprint`].
    pub fingerprint: u64,
}

/// A turn as it is kept. The owned and the borrowed form have the same bytes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Turn {
    pub(super) clock: Clock,
    pub(super) facts: Vec<Fact>,
}

/// See [`Turn`].
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct TurnRef<'a> {
    pub(super) clock: Clock,
    pub(super) facts: &'a [Fact],
}

/// What of an outcome must come out the same in every replay.
#[derive(Serialize)]
struct Essence<'a> {
    usage: &'a [Vec<UsageOutcome>],
    decisions: &'a [Decision],
    orders: &'a [Order],
    notices: &'a [Notice],
    rollups: &'a [Rollup],
}

/// 63 bits of a hash over everything that an outcome decides. A replay that gives another one has found an
/// engine that is not deterministic (or is of another version), and the turn at which it parted.
#[must_use]
pub fn fingerprint(outcome: &Outcome) -> u64 {
    let essence = Essence {
        usage: &outcome.usage,
        decisions: &outcome.decisions,
        orders: &outcome.orders,
        notices: &outcome.notices,
        rollups: &outcome.rollups,
    };
    // Serializing to memory fails on types that postcard cannot hold; these are none.
    let bytes = postcard::to_stdvec(&essence).unwrap_or_default();
    let hash = Sha256::digest(&bytes);
    hash.iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte)) >> 1
}

/// The word of a decision in the journal, metrics and the API.
#[must_use]
pub const fn decision_word(kind: &DecisionKind) -> &'static str {
    match kind {
        DecisionKind::Warned { .. } => "Warned",
        DecisionKind::WarnedBy { .. } => "WarnedBy",
        DecisionKind::Arming { .. } => "Arming",
        DecisionKind::Tripped { .. } => "Tripped",
        DecisionKind::Withheld { .. } => "Withheld",
        DecisionKind::Released { .. } => "Released",
        DecisionKind::BreachedAfterClose => "BreachedAfterClose",
        DecisionKind::Hold { .. } => "Hold",
        DecisionKind::Commanded { .. } => "Commanded",
        DecisionKind::Page { .. } => "Page",
        DecisionKind::Idle { .. } => "Idle",
        DecisionKind::Packable { .. } => "Packable",
        DecisionKind::Spot(_) => "Spot",
    }
}

/// The word of a receipt, and whether its order is settled by it. A retryable failure settles too: the
/// dispatcher has given up by the time it says so, and the engine decides about another order.
#[must_use]
pub const fn outcome_word(outcome: &ReceiptOutcome) -> (&'static str, bool) {
    match outcome {
        ReceiptOutcome::Prepared(_) => ("Prepared", false),
        ReceiptOutcome::Accepted { .. } => ("Accepted", false),
        ReceiptOutcome::Verified { .. } => ("Verified", true),
        ReceiptOutcome::AlreadySo { .. } => ("AlreadySo", true),
        ReceiptOutcome::NotStopped { .. } => ("NotStopped", true),
        ReceiptOutcome::Refused => ("Refused", true),
        ReceiptOutcome::Failed { .. } => ("Failed", true),
        ReceiptOutcome::NotObserved { .. } => ("NotObserved", true),
        ReceiptOutcome::RestoreIncomplete { .. } => ("RestoreIncomplete", true),
        ReceiptOutcome::Delivered { .. } => ("Delivered", true),
    }
}
