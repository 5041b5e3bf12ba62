//! The engine on virtual time.
//!
//! The same engine as the daemon's, with clocks that stand at the facts: a slice is one step, and between slices
//! there is a tick at each minute and at each instant at which something falls due, a grace or a hold. Nothing is
//! carried out, so no receipt comes: a receipt moves holds, and no breaker waits for one.
//!
//! Over stretches without facts minutes are passed over, but never what falls due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::{Engine, Outcome};
use policy::fact::{Clock, Fact, Posture, Settings};
use policy::inventory::InventoryChange;
use policy::rule::{Mode, RuleSet};
use policy::time::{Span, Timestamp};

use super::beside::with_totals;
use super::curves::Curves;
use super::letters::Letters;
use super::slices::{Bundle, Feeds, Slice};
use super::trips::{SHORT, Trips};

const MINUTE: Span = Span::from_mins(1);
/// After so long without a fact minutes are no longer gone through one by one.
const QUIET: Span = Span::from_hours(24);
/// Then hours are, for as long as a rolling window can be, and a day more.
const SETTLED: Span = Span::from_hours(24 * 91);

/// Why a rule set cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine did not take it: its prices.
    #[error("the rules are not taken: {0}")]
    Rules(String),
}

/// A record's frame: what a run needs to know before the first fact.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Secret of ids and the like, as the journal has them.
    pub settings: Settings,
    /// Names of the sources.
    pub sources: Vec<Box<str>>,
    /// Where the first and the last fact stand in the order.
    pub span: (Timestamp, Timestamp),
    /// What existed, and since when that was known.
    pub inventory: Vec<(Timestamp, InventoryChange)>,
}

/// A run under way.
#[derive(Debug)]
pub struct Past {
    engine: Engine,
    start: Timestamp,
    now: Timestamp,
    /// The last fact, or the beginning.
    heard: Timestamp,
    due: BinaryHeap<Reverse<Timestamp>>,
    inventory: VecDeque<(Timestamp, InventoryChange)>,
    feeds: Feeds,
    min_hold: Vec<(Box<str>, Span)>,
    /// What the breakers did.
    pub trips: Trips,
    /// Their spend over time.
    pub curves: Curves,
    /// What the engine refused.
    pub letters: Letters,
}

impl Past {
    /// A run of these rules, at the beginning of the record.
    ///
    /// # Errors
    /// When the engine does not take the rules.
    pub fn new(rules: &RuleSet, frame: &Frame) -> Result<Self, RunError> {
        let (first, last) = frame.span;
        let start = first.minus(Span::from_millis(first.millis().rem_euclid(MINUTE.millis())));
        let mut inventory: Vec<_> = frame.inventory.clone();
        inventory.sort_by_key(|(at, _)| *at);
        let mut past = Self {
            engine: Engine::new(frame.settings.clone()),
            start,
            now: start,
            heard: start,
            due: BinaryHeap::new(),
            inventory: inventory.into(),
            feeds: Feeds::new(&frame.sources),
            min_hold: rules.budgets.iter().map(|b| (b.name.clone(), b.restore.min_hold)).collect(),
            trips: Trips::default(),
            curves: Curves::new(start, last),
            letters: Letters::default(),
        };
        let posture = Posture { ceiling: Mode::Observe, because: None };
        let begin = [Fact::Started(posture), Fact::Rules(Box::new(with_totals(rules)))];
        let clock = past.clock(start);
        let out = past.engine.step(clock, &begin);
        if past.engine.rules().id != rules.id {
            let told = out.decisions.iter().find_map(|decision| match &decision.kind {
                DecisionKind::Page { detail, .. } => Some(detail.clone()),
                _ => None,
            });
            return Err(RunError::Rules(told.unwrap_or_else(|| "they were refused".to_owned())));
        }
        past.take(&out);
        Ok(past)
    }

    fn clock(&mut self, at: Timestamp) -> Clock {
        self.now = self.now.max(at);
        let mono = u64::try_from(self.now.since(self.start).millis()).unwrap_or(0);
        Clock { wall: self.now, mono }
    }

    /// Takes a bundle of slices.
    pub fn run(&mut self, bundle: &Bundle) {
        for slice in &bundle.slices {
            self.slice(bundle, slice);
        }
    }

    fn slice(&mut self, bundle: &Bundle, slice: &Slice) {
        self.advance(slice.first);
        let clock = self.clock(slice.last);
        let facts = self.feeds.fill(bundle, slice);
        let out = self.engine.step(clock, facts);
        self.heard = self.now;
        self.take(&out);
    }

    /// Lets time go by up to an instant, that instant included.
    fn advance(&mut self, to: Timestamp) {
        while let Some(at) = self.next_tick(to) {
            if at >= self.curves.next() {
                self.curves.look(&self.engine, at);
            }
            self.trips.look_back(&self.engine, at);
            while self.due.peek().is_some_and(|Reverse(due)| *due <= at) {
                self.due.pop();
            }
            let mut facts = Vec::new();
            while self.inventory.front().is_some_and(|(known, _)| *known <= at) {
                facts.extend(self.inventory.pop_front().map(|(_, change)| Fact::Inventory(change)));
            }
            facts.push(Fact::Tick);
            let clock = self.clock(at);
            let out = self.engine.step(clock, &facts);
            self.take(&out);
            self.trips.look(&self.engine, self.now);
        }
    }

    /// The next instant at which the engine is to look at the time.
    fn next_tick(&self, to: Timestamp) -> Option<Timestamp> {
        let quiet = self.now.since(self.heard);
        let step = match quiet {
            quiet if quiet < QUIET => MINUTE,
            quiet if quiet < SETTLED => Span::from_hours(1),
            _ => Span::from_hours(24 * 365 * 10_000),
        };
        // The last day before the next fact is gone through like the first one after the last.
        let careful = to.minus(QUIET).max(self.now);
        let past = self.now.millis().rem_euclid(step.millis());
        let next = self.now.plus(Span::from_millis(step.millis() - past));
        let careful_past = careful.millis().rem_euclid(MINUTE.millis());
        let mut next = next.min(careful.plus(Span::from_millis(MINUTE.millis() - careful_past)));
        let known = self.inventory.front().map(|(at, _)| *at);
        let due = self.due.peek().map(|Reverse(at)| *at);
        for at in [known, due, self.trips.next_hour(), self.trips.next_end()].into_iter().flatten() {
            next = next.min(at.max(self.now));
        }
        (next <= to).then_some(next)
    }

    fn take(&mut self, out: &Outcome) {
        for letter in &out.letters {
            let place = || format!("{}: {}", letter.source, letter.key);
            self.letters.add(place, letter.reason.word(), &format!("happened at {}", letter.occurred_at));
        }
        if out.decisions.is_empty() {
            return;
        }
        let (trips, warnings) = (self.trips.trips.len(), self.trips.warnings.len());
        self.trips.note(&out.decisions, &self.engine, self.now);
        for trip in &self.trips.trips[trips..] {
            self.curves.mark(&trip.breaker, trip.at, trip.sum, trip.limit);
            self.due.push(Reverse(trip.at.plus(SHORT)));
        }
        for warning in &self.trips.warnings[warnings..] {
            self.curves.mark(&warning.breaker, warning.at, warning.sum, warning.limit);
        }
        for decision in &out.decisions {
            match &decision.kind {
                DecisionKind::Arming { cause: ArmingCause::Grace(until) } => self.due.push(Reverse(*until)),
                DecisionKind::Tripped { .. } => {
                    let Some(breaker) = &decision.why.breaker else { continue };
                    let budget = breaker.name.split('/').next().unwrap_or_default();
                    let hold = self.min_hold.iter().find(|(name, _)| **name == *budget);
                    let hold = hold.map_or(Span::ZERO, |(_, hold)| *hold);
                    self.due.push(Reverse(decision.at.plus(hold)));
                    self.due.push(Reverse(breaker.end));
                }
                _ => {}
            }
        }
    }

    /// The record ends. The engine as it stands then.
    pub fn close(&mut self, last: Timestamp) -> (&Engine, Timestamp) {
        let past = last.millis().rem_euclid(MINUTE.millis());
        let end = last.plus(Span::from_millis(MINUTE.millis() - past));
        self.advance(end);
        self.curves.look(&self.engine, end);
        self.trips.close(&self.engine, self.start, end);
        (&self.engine, end)
    }
}
