//! Tests that people write beside their rules (`*.test.yaml`), checked and ready to run.
//!
//! A test is called a *trial* here, because a test is something else in Rust. This module reads: the same
//! trees, places and reports as for rules. `crate::trial` runs. Names that a trial takes from the rules (a
//! budget, a route) are looked up by [`link`], once those are compiled.
//!
//! What it never does: run anything, or read a file that a trial names.

mod document;
mod expect;
mod fact;
mod gpu;
mod link;
mod usage;
mod value;

use crate::gpu::{Sharing, Signals};
use crate::inventory::ObjectKey;
use crate::money::{Money, Percent, Unit};
use crate::price::{Tier, TokenCounts};
use crate::time::{Span, Timestamp};

use super::diagnose::Diagnostics;
use super::node::SourceFile;
use super::read::Sink;
use super::{Mode, Place};

pub use link::link;

/// Longest time that a trial may span: a leap year and a month.
pub const LONGEST_TRIAL: Span = Span::from_hours(397 * 24);

/// A file of trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFile {
    /// Rule files, relative to the folder of this one.
    pub rules: Vec<NamedFile>,
    /// A file of `PriceBook` documents, read beside the rules; the embedded prices alone where there is none.
    pub prices: Option<NamedFile>,
    /// The trials, in the order in which they were written.
    pub trials: Vec<Trial>,
}

/// A file that a trial names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// As written.
    pub path: Box<str>,
    /// Where.
    pub place: Place,
}

/// One test: a world, what happens in it, and what is expected of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// For people; its own in the file.
    pub name: Box<str>,
    /// Where it was written.
    pub place: Place,
    /// The instant that `+10m` is counted from.
    pub at: Timestamp,
    /// Mode of every budget in this trial; as the rules say where there is none.
    pub mode: Option<Mode>,
    /// What the cluster answers to orders.
    pub answers: Answers,
    /// Nodes that exist from the beginning.
    pub nodes: Vec<TrialNode>,
    /// What exists from the beginning.
    pub objects: Vec<TrialObject>,
    /// What happens, in the order in which it was written.
    pub facts: Vec<TrialFact>,
    /// What is expected, in the order in which it was written.
    pub expect: Vec<Expectation>,
}

/// What the cluster answers to orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// For every object that is not named.
    pub all: Answer,
    /// For some.
    pub of: Vec<(ObjectKey, Answer)>,
}

/// What the cluster answers to an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Done at once, and proven.
    #[default]
    Verified,
    /// Nothing at all.
    Silent,
    /// Somebody else had stopped it before.
    AlreadySo,
    /// It runs on, and is not ours to stop.
    NotStopped,
    /// The write fails, and trying again cannot help.
    Failed,
}

/// A ScaledObject with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialObject {
    /// Its name.
    pub key: ObjectKey,
    /// Labels that it has.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Labels that its namespace has.
    pub namespace_labels: Vec<(Box<str>, Box<str>)>,
    /// Replicas of what it scales.
    pub replicas: u32,
    /// Node on which a pod of it has GPUs.
    pub on: Option<Box<str>>,
    /// How many of them.
    pub gpus: u32,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialNode {
    /// Its name.
    pub name: Box<str>,
    /// Karpenter's NodePool.
    pub nodepool: Box<str>,
    /// EC2 instance type.
    pub instance_type: Box<str>,
    /// `on-demand` or `spot`.
    pub capacity_type: Box<str>,
    /// AWS region.
    pub region: Box<str>,
    /// GPUs in it.
    pub gpus: u32,
    /// Its labels.
    pub labels: Vec<(Box<str>, Box<str>)>,
}

/// What an exporter says of the GPUs of a node, sample by sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialGpus {
    /// The node.
    pub on: Box<str>,
    /// One of its GPUs, counted from 0; all of them where there is none.
    pub gpu: Option<u32>,
    /// What the samples are of.
    pub sharing: Sharing,
    /// What they say, the same all the time.
    pub signals: Signals,
    /// For how long.
    pub over: Span,
    /// How far apart.
    pub every: Span,
}

impl TrialGpus {
    /// How many samples there are of one GPU.
    #[must_use]
    pub fn samples(&self) -> u32 {
        let samples = self.over.millis().checked_div(self.every.millis()).unwrap_or(0).max(1);
        u32::try_from(samples).unwrap_or(u32::MAX)
    }
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFact {
    /// When, or from when on.
    pub at: Timestamp,
    /// Where it was written.
    pub place: Place,
    /// What.
    pub kind: TrialFactKind,
}

impl TrialFact {
    /// The last instant at which it still does something.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        match &self.kind {
            TrialFactKind::Usage(usage) => self.at.plus(usage.over).plus(usage.late),
            TrialFactKind::Gpus(gpus) => self.at.plus(gpus.over),
            TrialFactKind::Spot { late, .. } => self.at.plus(*late),
            TrialFactKind::Silence { span, .. } => self.at.plus(*span),
            _ => self.at,
        }
    }
}

/// What happens. A closed list: a fact of a new kind gets its line here, in `fact::KINDS` and in the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialFactKind {
    /// Somebody uses something that costs money.
    Usage(Box<TrialUsage>),
    /// GPUs are looked at.
    Gpus(TrialGpus),
    /// AWS says that it will take a node away.
    Spot {
        /// The node.
        on: Box<str>,
        /// What it says.
        kind: TrialSpot,
        /// How much later than it was said it is heard.
        late: Span,
    },
    /// A namespace has these labels from now on, and no others.
    Namespace {
        /// Its name.
        name: Box<str>,
        /// Its labels.
        labels: Vec<(Box<str>, Box<str>)>,
    },
    /// A ScaledObject appears, or changes.
    Object(TrialObject),
    /// A ScaledObject is deleted.
    Gone(ObjectKey),
    /// A source brings nothing for so long; what it had to say comes at the end of it. `kubernetes` is the
    /// watch of the cluster.
    Silence {
        /// The source.
        source: Box<str>,
        /// For how long.
        span: Span,
    },
    /// A source cannot be read.
    Broken {
        /// The source.
        source: Box<str>,
        /// For people.
        because: Box<str>,
    },
    /// A source is silent although something else shows that there is usage.
    Traffic {
        /// The source.
        source: Box<str>,
        /// What shows it, for people.
        signal: Box<str>,
    },
    /// A person says something.
    Command(TrialCommand),
}

/// What AWS says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialSpot {
    /// It will be terminated in two minutes.
    Interruption,
    /// It may be interrupted soon.
    Rebalance,
    /// Its capacity reservation ends, and it is terminated.
    CapacityReservation,
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialCommand {
    /// Yes to what that breaker asks.
    Approve(Box<str>),
    /// Trip that breaker by hand.
    Trip(Box<str>),
    /// Forgive what was spent on that breaker, until so much more of the limit is.
    Reset(Box<str>, Percent),
    /// No new stop.
    Freeze,
    /// The end of it.
    Unfreeze,
    /// Give one object back.
    Release(ObjectKey),
    /// Freeze, and give everything back.
    ReleaseAll,
}

/// Use of something that costs money, by one subject, spread evenly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialUsage {
    /// Name of the source that brings it.
    pub source: Box<str>,
    /// Fields that the caller could not forge: of the record where it has them, else of the source's scope.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// What the caller only says.
    pub asserted: Vec<(Box<str>, Box<str>)>,
    /// What is used.
    pub what: TrialQuantity,
    /// From the fact's instant on, for so long.
    pub over: Span,
    /// How many calls it is; `None` for as many as are needed to spread it finely.
    pub calls: Option<u32>,
    /// How much later than it happens it is heard of.
    pub late: Span,
}

/// Calls that one fact is parted into at most.
pub const MOST_CALLS: u32 = 100_000;
/// Calls of one trial.
const MOST_CALLS_IN_ALL: u64 = 1_000_000;
/// Calls that something is spread over at least, where there is time for them: one a second at most.
const FINE: i64 = 720;
/// Prompt tokens of one call, below what any model charges a higher price for.
const PROMPT: u64 = 50_000;

impl TrialUsage {
    /// How many calls it is. Where that is not stated: one each second, of a long time 720, and as many more as
    /// keep each prompt at 50,000 tokens, so that a large count is no large context.
    #[must_use]
    pub fn calls(&self) -> u32 {
        if let Some(calls) = self.calls {
            return calls;
        }
        let fine = (self.over.millis() / 1000).clamp(1, FINE);
        let prompts = match &self.what {
            TrialQuantity::Tokens { tokens, .. } => tokens.prompt().div_ceil(PROMPT),
            TrialQuantity::Amount(_) | TrialQuantity::Instance { .. } => 1,
        };
        let wanted = prompts.max(u64::try_from(fine).unwrap_or(1));
        u32::try_from(wanted).unwrap_or(u32::MAX).min(MOST_CALLS)
    }
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialQuantity {
    /// Tokens of a model.
    Tokens {
        /// As a caller names it.
        model: Box<str>,
        /// Service tier.
        tier: Tier,
        /// In all.
        tokens: TokenCounts,
    },
    /// Money itself, in all; a whole number of micro-dollars.
    Amount(Money),
    /// Time on an instance.
    Instance {
        /// EC2 instance type.
        instance: Box<str>,
        /// `on-demand` or `spot`.
        capacity: Box<str>,
        /// Share of the instance.
        share: Percent,
    },
}

/// Something that is expected as of an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// As of; what happens at this instant has happened.
    pub at: Timestamp,
    /// Where it was written.
    pub place: Place,
    /// What.
    pub what: Expected,
}

/// What is expected. Lists are exact: nothing may be missing, nothing may be there besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// How a breaker stands.
    Breaker(Box<ExpectedBreaker>),
    /// All that was ordered since the beginning.
    Orders(Vec<ExpectedOrder>),
    /// All that trips named to be stopped since the beginning, also where the mode ordered nothing.
    WouldStop(Vec<ObjectKey>),
    /// All that was found idle since the beginning, `Deployment/ml/serve` or `Node/gpu-1`.
    Idle(Vec<Box<str>>),
    /// What spot policies would do, since the beginning: `gpu-1 drain`, or `gpu-1 nothing`.
    Spot(Vec<Box<str>>),
    /// Nodes that a plan could empty, since the beginning.
    Packable(Vec<Box<str>>),
    /// All that is held.
    Held(Vec<ObjectKey>),
    /// All that was given back since the beginning and is not held again.
    Released(Vec<ObjectKey>),
    /// All messages since the beginning, without edits of earlier ones.
    Notices(Vec<ExpectedNotice>),
    /// What all pages since the beginning were about.
    Pages(Vec<Box<str>>),
    /// Spend since the beginning.
    Spend {
        /// Of this tenant; of everybody where there is none.
        tenant: Option<Box<str>>,
        /// On this model; on all where there is none.
        model: Option<Box<str>>,
        /// How much.
        amount: Money,
    },
}

/// How a breaker is expected to stand. What is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedBreaker {
    /// Its name, `tenant-monthly/checkout`.
    pub name: Box<str>,
    /// Its state; [`ABSENT`] where there must be no such breaker.
    pub state: Option<&'static str>,
    /// Why it is in that state: one of [`WHYS`].
    pub why: Option<&'static str>,
    /// Sum in its window.
    pub sum: Option<(Unit, Money)>,
    /// Limit in its window.
    pub limit: Option<(Unit, Money)>,
    /// Trips in its window.
    pub trips: Option<u32>,
    /// Usage without a price in its window.
    pub unpriced: Option<u32>,
}

/// The state of a breaker that there is not: nobody of that name has spent anything.
pub const ABSENT: &str = "Absent";

/// States of a breaker, by the words of the daemon.
pub const STATES: [&str; 5] = ["Clear", "Warned", "Arming", "Tripped", ABSENT];

/// Why a breaker warned, waits or tripped: what triggered it, or what it waits for.
pub const WHYS: [&str; 11] = [
    "limit",
    "person",
    "burn-rate",
    "delta",
    "forecast",
    "silence",
    "grace",
    "on-time-fact",
    "rule-change",
    "price-change",
    "clock",
];

/// What messages are about.
pub const ABOUTS: [&str; 12] = [
    "warned",
    "arming",
    "tripped",
    "withheld",
    "released",
    "closed-window",
    "hold",
    "command",
    "page",
    "idle",
    "packable",
    "spot",
];

/// What pages are about.
pub const PAGES: [&str; 11] = [
    "unpriced",
    "source-stale",
    "inventory-stale",
    "clock",
    "rule-change",
    "subject-cap",
    "orphans",
    "posture",
    "source-heard",
    "unjudged",
    "first-days",
];

/// An order that is expected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedOrder {
    /// One of [`ORDERS`].
    pub effect: &'static str,
    /// On what.
    pub target: ObjectKey,
}

/// Effects of orders.
pub const ORDERS: [&str; 3] = ["pauseScaledObject", "reverseRaise", "giveBackScaledObject"];

/// A message that is expected. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedNotice {
    /// Name of its route.
    pub route: Option<Box<str>>,
    /// One of [`ABOUTS`].
    pub about: Option<&'static str>,
    /// Name of the breaker that it is about.
    pub breaker: Option<Box<str>>,
}

/// Reads a file of trials.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read_trials(file: &SourceFile<'_>) -> Result<TrialFile, Diagnostics> {
    let mut sink = Sink::new(file);
    let read = document::read(file, &mut sink);
    let all = Diagnostics::new(sink.finish());
    match read {
        Some(trials) if !all.has_errors() => Ok(trials),
        _ => Err(all),
    }
}
