//! Decisions, with their why; the orders and notices that follow from them.

use serde::{Deserialize, Serialize};

use crate::burn::Burn;
use crate::consolidate;
use crate::fact::{GuardAnswer, PriorState};
use crate::id::{DecisionId, OrderId};
use crate::idle::Finding;
use crate::inventory::ObjectKey;
use crate::money::{Money, Percent, Unit};
use crate::page::PageTopic;
use crate::rule::{Measure, Mode, Place};
use crate::spot::{Plan, SpotNotice};
use crate::time::{Span, Timestamp};

/// A breaker in one window: the budget, the instance, and when the window began and ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BreakerRef {
    /// `tenant-daily/acme`; `org` alone for a budget without `perEach`; a value that is missing prints
    /// as `unattributed`, one that is only asserted with `=asserted` behind it. It can be pasted anywhere:
    /// what a shell, Slack or a terminal would read is percent-encoded.
    pub name: Box<str>,
    /// First instant of the window.
    pub start: Timestamp,
    /// First instant after the window.
    pub end: Timestamp,
}

/// Something was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its number.
    pub id: DecisionId,
    /// Wall clock of the turn.
    pub at: Timestamp,
    /// What.
    pub kind: DecisionKind,
    /// Effective mode then (rule and ceiling).
    pub mode: Mode,
    /// Why.
    pub why: Why,
}

/// What was decided. A closed list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionKind {
    /// A warning threshold was crossed.
    Warned {
        /// The highest threshold crossed now.
        threshold: Percent,
    },
    /// Over the limit, not yet tripped.
    Arming {
        /// What it waits for.
        cause: ArmingCause,
    },
    /// Tripped; these objects are to be stopped (in `observe`: would be).
    Tripped {
        /// Targets, sorted.
        targets: Vec<ObjectKey>,
        /// What the selector named but cannot or need not be stopped, and why.
        left: Vec<(ObjectKey, String)>,
    },
    /// Tripped, but the batch was not ordered.
    Withheld {
        /// Targets that would have been stopped.
        targets: Vec<ObjectKey>,
        /// Which guard said no.
        answers: Vec<GuardAnswer>,
    },
    /// Clear again; the holds that have no other holder are given back.
    Released {
        /// What ended it.
        cause: ReleaseCause,
        /// Objects to give back.
        targets: Vec<ObjectKey>,
    },
    /// A closed window turned out to be over its limit. Shown, never acted on.
    BreachedAfterClose,
    /// Something about a hold changed that people must know.
    Hold {
        /// The target.
        target: ObjectKey,
        /// State before.
        from: HoldState,
        /// State now.
        to: HoldState,
        /// What was seen.
        detail: String,
    },
    /// A person's command was taken (or refused, with the reason).
    Commanded {
        /// Actor and command, for people.
        what: String,
        /// Why it was refused, where it was.
        refused: Option<String>,
    },
    /// A page about ourselves (blind, clock, reload, lost journal, cap on new subjects).
    Page {
        /// What it is about.
        topic: PageTopic,
        /// For people.
        detail: String,
    },
    /// A trigger that warns has fired.
    WarnedBy {
        /// Which.
        measure: Measure,
    },
    /// GPUs are newly idle.
    Idle {
        /// What is, with its evidence and worth per hour; in the order of the targets.
        found: Vec<Finding>,
        /// How many more there are than are listed.
        more: u32,
        /// ScaledObjects that are to be stopped for it (in `observe`: would be), sorted.
        targets: Vec<ObjectKey>,
        /// Those that scale what is idle but may not be stopped, and why.
        left: Vec<(ObjectKey, String)>,
        /// What the rule would do next, and this version does not.
        not_armed: Vec<String>,
    },
    /// Under-filled nodes could be emptied. Nothing is moved.
    Packable {
        /// Which, where their pods would go, and what that saves per hour.
        plan: consolidate::Plan,
        /// How many more there are than are listed.
        more: u32,
        /// What the rule would do next, and this version does not.
        not_armed: Vec<String>,
    },
    /// AWS will take an instance away; what a rule would do about it.
    Spot(Box<SpotDecision>),
}

/// A notice about an instance, and what a rule would do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotDecision {
    /// What AWS said.
    pub notice: SpotNotice,
    /// The node; empty where it is not known.
    pub node: Box<str>,
    /// Its pool; empty where it is not known.
    pub pool: Box<str>,
    /// Name of the SpotPolicy.
    pub policy: Box<str>,
    /// What it would do. None of it is carried out.
    pub plan: Plan,
}

impl SpotDecision {
    /// The node, or the instance where the node is not known.
    #[must_use]
    pub fn place(&self) -> String {
        match &*self.node {
            "" => format!("instance {}", self.notice.instance),
            node => format!("node {node}"),
        }
    }
}

/// What brought a breaker to a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its sum reached a share of the limit.
    #[default]
    Sum,
    /// A person said so.
    Person,
    /// A trigger fired.
    Trigger {
        /// Which.
        measure: Measure,
        /// What was spent over each of its spans, at least: a span may be a twelfth short.
        spent: Vec<(Span, Money)>,
        /// The sum that was foretold, of a forecast.
        foretold: Option<Money>,
        /// Where it was written.
        place: Place,
    },
    /// Its source is silent, although there is usage.
    Silence {
        /// Name of the source.
        source: Box<str>,
        /// What shows that there is usage, for people.
        signal: String,
    },
}

impl Cause {
    /// The word in YAML tests, metrics and messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sum => "limit",
            Self::Person => "person",
            Self::Trigger { measure, .. } => measure.word(),
            Self::Silence { .. } => "silence",
        }
    }
}

/// What an arming breaker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ArmingCause {
    /// The grace runs until then.
    Grace(Timestamp),
    /// Late or catching-up facts brought it over; it waits for one on time.
    OnTimeFact,
    /// A reload of rules brought it over; it waits for a person or the window's end.
    RuleChange,
    /// A change of prices brought it over; it waits for a person or the window's end.
    PriceChange,
    /// The wall clock is in doubt.
    Clock,
}

impl ArmingCause {
    /// The word in YAML tests and in the webhook's body.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Grace(_) => "grace",
            Self::OnTimeFact => "on-time-fact",
            Self::RuleChange => "rule-change",
            Self::PriceChange => "price-change",
            Self::Clock => "clock",
        }
    }
}

/// What ended a trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseCause {
    /// The window ended.
    WindowRolled,
    /// The sum fell below the share that the rule names.
    FellBelow,
    /// A person reset it.
    Reset(String),
    /// A person released the object or all.
    Person(String),
    /// The source whose silence tripped it is heard again.
    SourceHeard,
    /// Somebody wants what was idle; what shows it.
    Wanted(String),
}

/// Why a decision was made: enough to tell a person, and to check it by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The breaker, where it is about one.
    pub breaker: Option<BreakerRef>,
    /// What the messages about it share as their thread: when the breaker left `Clear`, or the start of its
    /// calendar window.
    pub episode: Timestamp,
    /// The sum in the window.
    pub sum: Money,
    /// The limit that held.
    pub limit: Money,
    /// Charges in the sum.
    pub facts: u64,
    /// How fast it is charged; `None` where that is not known (yet).
    pub burn: Option<Burn>,
    /// The largest charges in the window, largest first. One under a thousandth of the limit may be missing if it
    /// came before half of the first threshold was spent.
    pub largest: Vec<LargeCharge>,
    /// Usage in the window that has no price.
    pub unpriced: u64,
    /// The rule line that led to it.
    pub place: Place,
    /// Id of the rule set.
    pub rules: Box<str>,
    /// Id of the price book.
    pub prices: Box<str>,
    /// Event time of the charge that crossed.
    pub occurred_at: Option<Timestamp>,
    /// Anything else worth saying, for people.
    pub note: String,
    /// What brought it about.
    pub cause: Cause,
    /// Of sum, limit, burn and charges.
    pub unit: Unit,
    /// Commit of the rules, with `-dirty` where their files differ from it; where known.
    pub revision: Option<Box<str>>,
}

/// One of the largest charges of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeCharge {
    /// Source and raw id.
    pub fact: Box<str>,
    /// When.
    pub occurred_at: Timestamp,
    /// How much.
    pub amount: Money,
}

/// State of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HoldState {
    /// Ordered, not proven.
    Ordered,
    /// Proven at zero.
    Verified,
    /// It runs, and we could not or may not stop it.
    NotStopped,
    /// Somebody raised it three times; we stopped fighting.
    Contested,
    /// Being given back.
    Restoring,
    /// Given back.
    Released,
}

impl HoldState {
    /// Whether it runs, or may run, although it was to be stopped: then its cost per hour is said.
    #[must_use]
    pub const fn runs_on(self) -> bool {
        matches!(self, Self::NotStopped | Self::Contested)
    }

    /// The word in metrics and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ordered => "Ordered",
            Self::Verified => "Verified",
            Self::NotStopped => "NotStopped",
            Self::Contested => "Contested",
            Self::Restoring => "Restoring",
            Self::Released => "Released",
        }
    }
}

/// One effect on one target. Written to the journal before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number; also on the object, as annotation.
    pub id: OrderId,
    /// The decision that it follows from.
    pub decision: DecisionId,
    /// The object that is written.
    pub target: ObjectKey,
    /// `metadata.uid` that the engine saw; another one is another object.
    pub uid: Box<str>,
    /// What to do.
    pub effect: Effect,
    /// When it was given.
    pub issued_at: Timestamp,
    /// After this it is refused.
    pub expires_at: Timestamp,
    /// Effective mode; below `enforce` only with `approved_by`.
    pub mode: Mode,
    /// Who approved it, where someone did.
    pub approved_by: Option<String>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Breakers that hold the target, for the annotation and for people.
    pub holders: Vec<Box<str>>,
    /// How many distinct targets were newly stopped within the guardrail's window, this batch included.
    pub blast: Blast,
    /// Why, for people and for the receipt.
    pub why: Why,
}

/// What the engine counted for the blast-radius cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blast {
    /// Targets that the rule could stop at all.
    pub eligible: u32,
    /// Newly stopped by this rule in the window, with this batch.
    pub by_rule: u32,
    /// Newly stopped by all rules in the window, with this batch.
    pub overall: u32,
    /// Cap of this rule.
    pub rule_cap: u32,
    /// Cap of all rules.
    pub overall_cap: u32,
}

/// What an order does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Pause a ScaledObject at zero and prove it.
    PauseToZero,
    /// A raise while held: bring the workload back to zero by `/scale`; the pause stands.
    ReverseRaise {
        /// The workload that was raised.
        workload: ObjectKey,
    },
    /// Give it back as it was, and prove it.
    Restore {
        /// What it was like; `None` when the journal was lost: then the annotations say.
        prior: Option<PriorState>,
    },
}

/// A message that people must get. Sent once for each key, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Order number space is shared, so that a receipt can name a notice.
    pub id: OrderId,
    /// Once per this: budget instance, threshold, window, state.
    pub key: Box<str>,
    /// Later notices with the same thread edit the first where the receiver can.
    pub thread: Box<str>,
    /// Name of the route.
    pub route: Box<str>,
    /// How loud.
    pub severity: Severity,
    /// Whether this is news (a new post) or progress (an edit).
    pub progress: bool,
    /// What it is about.
    pub decision: Decision,
    /// State of each target that the message lists.
    pub targets: Vec<(ObjectKey, HoldState)>,
    /// When the crossing fact arrived, when the write was accepted, when it was proven, as far as known.
    pub times: Times,
    /// How it is told.
    pub manner: Manner,
}

/// How a message is told, where it is not simply once and by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manner {
    /// Somebody is to say that they have seen it: `breakerbox ack`.
    pub ack: bool,
    /// How often it was said before, because nobody did.
    pub again: u32,
    /// Since when nobody did.
    pub unanswered_since: Option<Timestamp>,
    /// The route on which nobody did.
    pub escalated_from: Option<Box<str>>,
    /// All that is told in this message; empty where it is one alone.
    pub digest: Vec<Notice>,
    /// How many more there were.
    pub omitted: u32,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Good news and progress.
    Info,
    /// A threshold.
    Warning,
    /// Stopped, or a page.
    Critical,
}

/// The times that a message about a stop shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Event time of the crossing charge.
    pub occurred_at: Option<Timestamp>,
    /// When the daemon took it in.
    pub decided_at: Option<Timestamp>,
    /// When the API server accepted the (last) pause.
    pub accepted_at: Option<Timestamp>,
    /// When the (last) pause was proven.
    pub verified_at: Option<Timestamp>,
}
