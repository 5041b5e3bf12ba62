//! Snapshots: the engine's state as bytes, and back.
//!
//! Caches are left out and made anew. Equal states give equal bytes: every collection that is written is
//! sorted or in the order in which facts came.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::breaker::{Cold, Hot};
use crate::fact::{Clock, Posture, Settings};
use crate::id::{DecisionId, OrderId};
use crate::inventory::{Inventory, ObjectKey};
use crate::ledger::Seen;
use crate::price::PriceBook;
use crate::rule::RuleSet;
use crate::time::Timestamp;

use super::alarm::Alarms;
use super::authority::Asides;
use super::first_days::FirstSeen;
use super::hold::Hold;
use super::index::Index;
use super::latency::Latency;
use super::mail::Mail;
use super::pending::Pending;
use super::positions::Positions;
use super::prices::Past;
use super::shadow::Shadow;
use super::spot::State as Spot;
use super::stop::Stop;
use super::tell::Returns;
use super::{Counters, Engine, SourceStatus, Spend, idle};

/// Format of the bytes. Raised with every change of a type that is written.
const VERSION: u32 = 7;

/// Why bytes are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "the snapshot has format {found}, this version reads {VERSION}; it is made anew from the journal"
    )]
    Version {
        /// Its format.
        found: u32,
    },
    /// Not what was written.
    #[error("the snapshot cannot be read: {0}")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct State<'a> {
    settings: Cow<'a, Settings>,
    now: Timestamp,
    last_clock: Option<Clock>,
    clock_doubt: Cow<'a, Option<String>>,
    steady_since: Timestamp,
    lowered_at: Option<Timestamp>,
    posture: Cow<'a, Posture>,
    rules: Cow<'a, RuleSet>,
    book: Cow<'a, PriceBook>,
    past_books: Cow<'a, [Past]>,
    price_changes: u32,
    override_ends: Option<Timestamp>,
    inventory: Cow<'a, Inventory>,
    seen: Cow<'a, Seen>,
    pending: Cow<'a, Pending>,
    positions: Cow<'a, Positions>,
    hot: Cow<'a, [Hot]>,
    cold: Cow<'a, [Cold]>,
    armed: Cow<'a, BTreeSet<u32>>,
    spend: Cow<'a, [Spend]>,
    counters: Cow<'a, Counters>,
    sources: Cow<'a, BTreeMap<Box<str>, SourceStatus>>,
    holds: Cow<'a, BTreeMap<ObjectKey, Hold>>,
    returns: Cow<'a, BTreeMap<(Box<str>, Timestamp), Returns>>,
    exempt: Cow<'a, BTreeMap<ObjectKey, Timestamp>>,
    stops: Cow<'a, VecDeque<Stop>>,
    freeze: Cow<'a, Option<String>>,
    paged: Cow<'a, BTreeMap<Box<str>, Timestamp>>,
    next_decision: DecisionId,
    next_order: OrderId,
    inventory_changed: bool,
    shadow: Cow<'a, Option<Shadow>>,
    adopted: Cow<'a, Option<Box<str>>>,
    mail: Cow<'a, Mail>,
    alarms: Cow<'a, Alarms>,
    asides: Cow<'a, Asides>,
    latency: Latency,
    idle: Cow<'a, idle::State>,
    first_seen: Cow<'a, FirstSeen>,
    spot: Cow<'a, Spot>,
}

impl Engine {
    /// The whole state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let state = State {
            settings: Cow::Borrowed(&self.settings),
            now: self.now,
            last_clock: self.last_clock,
            clock_doubt: Cow::Borrowed(&self.clock_doubt),
            steady_since: self.steady_since,
            lowered_at: self.lowered_at,
            posture: Cow::Borrowed(&self.posture),
            rules: Cow::Borrowed(&self.rules),
            book: Cow::Borrowed(&self.book),
            past_books: Cow::Borrowed(&self.past_books),
            price_changes: self.price_changes,
            override_ends: self.override_ends,
            inventory: Cow::Borrowed(&self.inventory),
            seen: Cow::Borrowed(&self.seen),
            pending: Cow::Borrowed(&self.pending),
            positions: Cow::Borrowed(&self.positions),
            hot: Cow::Borrowed(&self.hot),
            cold: Cow::Borrowed(&self.cold),
            armed: Cow::Borrowed(&self.armed),
            spend: Cow::Borrowed(&self.spend),
            counters: Cow::Borrowed(&self.counters),
            sources: Cow::Borrowed(&self.sources),
            holds: Cow::Borrowed(&self.holds),
            returns: Cow::Borrowed(&self.returns),
            exempt: Cow::Borrowed(&self.exempt),
            stops: Cow::Borrowed(&self.stops),
            freeze: Cow::Borrowed(&self.freeze),
            paged: Cow::Borrowed(&self.paged),
            next_decision: self.next_decision,
            next_order: self.next_order,
            inventory_changed: self.inventory_changed,
            shadow: Cow::Borrowed(&self.shadow),
            adopted: Cow::Borrowed(&self.adopted),
            mail: Cow::Borrowed(&self.mail),
            alarms: Cow::Borrowed(&self.alarms),
            asides: Cow::Borrowed(&self.asides),
            latency: self.latency,
            idle: Cow::Borrowed(&self.idle),
            first_seen: Cow::Borrowed(&self.first_seen),
            spot: Cow::Borrowed(&self.spot),
        };
        // Writing to memory cannot fail for types without a custom error.
        let mut bytes = VERSION.to_le_bytes().to_vec();
        bytes.extend(postcard::to_stdvec(&state).unwrap_or_default());
        bytes
    }

    /// The engine that wrote the bytes.
    ///
    /// # Errors
    /// When another version wrote them, or they are damaged.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (version, rest) =
            bytes.split_first_chunk::<4>().ok_or_else(|| SnapshotError::Damaged("it is empty".to_owned()))?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(SnapshotError::Version { found });
        }
        let state: State<'static> =
            postcard::from_bytes(rest).map_err(|e| SnapshotError::Damaged(e.to_string()))?;
        Ok(Self::from_state(state))
    }

    fn from_state(state: State<'static>) -> Self {
        let mut engine = Self::new(state.settings.into_owned());
        engine.now = state.now;
        engine.last_clock = state.last_clock;
        engine.clock_doubt = state.clock_doubt.into_owned();
        engine.steady_since = state.steady_since;
        engine.lowered_at = state.lowered_at;
        engine.posture = state.posture.into_owned();
        engine.rules = Arc::new(state.rules.into_owned());
        engine.book = state.book.into_owned();
        engine.past_books = state.past_books.into_owned();
        engine.price_changes = state.price_changes;
        engine.override_ends = state.override_ends;
        engine.inventory = state.inventory.into_owned();
        engine.seen = state.seen.into_owned();
        engine.pending = state.pending.into_owned();
        engine.positions = state.positions.into_owned();
        engine.hot = state.hot.into_owned();
        engine.cold = state.cold.into_owned();
        engine.armed = state.armed.into_owned();
        engine.spend = state.spend.into_owned();
        engine.counters = state.counters.into_owned();
        engine.sources = state.sources.into_owned();
        engine.holds = state.holds.into_owned();
        engine.returns = state.returns.into_owned();
        engine.exempt = state.exempt.into_owned();
        engine.stops = state.stops.into_owned();
        engine.freeze = state.freeze.into_owned();
        engine.paged = state.paged.into_owned();
        engine.next_decision = state.next_decision;
        engine.next_order = state.next_order;
        engine.inventory_changed = state.inventory_changed;
        engine.shadow = state.shadow.into_owned();
        engine.adopted = state.adopted.into_owned();
        engine.mail = state.mail.into_owned();
        engine.alarms = state.alarms.into_owned();
        engine.asides = state.asides.into_owned();
        engine.latency = state.latency;
        engine.idle = state.idle.into_owned();
        engine.first_seen = state.first_seen.into_owned();
        engine.spot = state.spot.into_owned();
        engine.forget_schedule();
        engine.idle.gpus.reindex();
        engine.index = Index::of(&engine.cold);
        for (account, spend) in (0..).zip(&engine.spend) {
            engine.accounts.insert((spend.tenant.clone(), Arc::clone(&spend.model)), account);
        }
        engine
    }
}
