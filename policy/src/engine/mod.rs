//! The engine: facts in, decisions, orders and notices out.
//!
//! One owner, no locks, no clock: `step` is a function of its state and its arguments, so the same log
//! gives the same bytes.

use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Notice, Order};
use crate::fact::{Clock, Fact, IdKey, RefusedReason, UsageOutcome};
use crate::money::Money;
use crate::time::{Span, Timestamp};

/// What a journal fixes for its engine. Changing one changes what a replay gives, so they are kept in
/// the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Secret of ids.
    pub id_key: IdKey,
    /// For how long ids are remembered, in event time. Default 48 h.
    pub horizon: Span,
    /// Older than this, a fact adds up but trips nothing by itself. Default 15 m.
    pub on_time: Span,
    /// Further ahead of the clock than this, a fact is refused. Default 5 m.
    pub max_ahead: Span,
    /// How long an order may wait before it is refused as stale. Default 5 m.
    pub order_expiry: Span,
    /// Without a proof after this, a pause is fired again (the cause checked anew). Default 60 s.
    pub refire_after: Span,
    /// How often a pause is fired at most. Default 3.
    pub max_attempts: u32,
    /// An inventory not heard for longer is stale. Default 120 s.
    pub inventory_stale_after: Span,
    /// How far the wall clock may drift from the monotonic one between ticks. Default 30 s.
    pub max_clock_drift: Span,
}

impl Settings {
    /// The defaults above under that secret.
    #[must_use]
    pub fn new(id_key: IdKey) -> Self {
        Self {
            id_key,
            horizon: Span::from_hours(48),
            on_time: Span::from_mins(15),
            max_ahead: Span::from_mins(5),
            order_expiry: Span::from_mins(5),
            refire_after: Span::from_secs(60),
            max_attempts: 3,
            inventory_stale_after: Span::from_secs(120),
            max_clock_drift: Span::from_secs(30),
        }
    }
}

/// What came of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For each `Fact::Usage` of the step, in order, what became of each of its rows.
    pub usage: Vec<Vec<UsageOutcome>>,
    /// Refused usage, for the dead letters.
    pub letters: Vec<Letter>,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// What is to be done.
    pub orders: Vec<Order>,
    /// Whom to tell.
    pub notices: Vec<Notice>,
    /// Charges of this step added up by minute, subject and model, for the journal's rollups.
    pub rollups: Vec<Rollup>,
}

/// A refused usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Source.
    pub source: Box<str>,
    /// Raw id.
    pub key: Box<str>,
    /// Why.
    pub reason: RefusedReason,
    /// Its event time.
    pub occurred_at: Timestamp,
    /// What it would have cost, where it has a price.
    pub amount: Option<Money>,
}

/// Charges of one subject and model in one minute of event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Start of the minute.
    pub minute: Timestamp,
    /// Tenant, where known.
    pub tenant: Option<Box<str>>,
    /// The whole subject, for people.
    pub subject: Box<str>,
    /// Resolved model.
    pub model: Box<str>,
    /// Sum of the charges.
    pub amount: Money,
    /// Charges.
    pub facts: u64,
    /// Usage without a price.
    pub unpriced: u64,
}

/// The engine's state.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What the journal fixed.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes facts in, in order, as of one reading of the clocks.
    #[must_use]
    pub fn step(&mut self, _clock: Clock, _facts: &[Fact]) -> Outcome {
        Outcome::default()
    }
}
