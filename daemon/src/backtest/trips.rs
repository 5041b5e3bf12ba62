//! What each breaker did and what it would have been worth.

use std::collections::{BTreeMap, BTreeSet};

use policy::decision::{ArmingCause, Cause, Decision, DecisionKind, ReleaseCause, Why};
use policy::engine::Engine;
use policy::money::{Money, Unit};
use policy::time::{Span, Timestamp};
use serde::{Serialize, Serializer};

use super::beside::{beside, is_beside};

/// Trips and warnings that are kept one by one; further ones are counted.
const MOST_KEPT: usize = 100_000;
/// Objects that a trip names.
const MOST_TARGETS: usize = 20;
/// A trip that ends so soon was hardly worth it.
pub const SHORT: Span = Span::from_hours(1);

/// A breaker that tripped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trip {
    /// `tenant-daily/acme`.
    pub breaker: Box<str>,
    /// First instant of the window.
    #[serde(serialize_with = "shown")]
    pub window_start: Timestamp,
    /// When it tripped.
    #[serde(serialize_with = "shown")]
    pub at: Timestamp,
    /// When the charge that crossed happened.
    #[serde(serialize_with = "shown_where_known")]
    pub crossed_at: Option<Timestamp>,
    /// What brought it about: `limit`, `burn-rate`, `delta`, `silence`.
    pub cause: &'static str,
    /// Of sum, limit and what is over; all else is money.
    #[serde(serialize_with = "word_of")]
    pub unit: Unit,
    /// What was spent then, in the window.
    pub sum: Money,
    /// The limit.
    pub limit: Money,
    /// What was spent over the limit by then.
    pub over: Money,
    /// Charges in the sum.
    pub facts: u64,
    /// The largest charges: their ids.
    pub largest: Vec<Box<str>>,
    /// Objects that would have been stopped; where no cluster was recorded, nobody knows.
    pub targets: Vec<String>,
    /// When its rule would have given back; none where the record ends before.
    #[serde(serialize_with = "shown_where_known")]
    pub released_at: Option<Timestamp>,
    /// Why it would have given back.
    pub released_by: Option<&'static str>,
    /// What was spent from the trip to the release: what a stop would have saved at most.
    pub after: Money,
    /// It could have stopped something: its rule does, and it is somebody's whose name is trusted.
    pub stops: bool,
    /// Charges of that.
    pub after_facts: u64,
    /// Charges in the first hour after the trip.
    pub next_hour_facts: u64,
    /// What was spent in that hour.
    pub next_hour: Money,
    /// What it spends in an hour as a rule.
    pub usual: Option<Money>,
    /// Why it looks false; empty where it does not.
    pub looks_false: Vec<String>,
    #[serde(skip)]
    total: (Money, u64),
}

impl Trip {
    /// What was spent in an hour of its window, up to the trip; none where the window has no beginning.
    fn pace(&self) -> Option<Money> {
        let past = self.at.since(self.window_start);
        let is_money = self.unit == Unit::Usd;
        (is_money && self.window_start > Timestamp::MIN).then(|| per_hour(self.sum, past.max(SHORT)))?
    }
}

/// A breaker that warned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// `tenant-daily/acme`.
    pub breaker: Box<str>,
    /// When.
    #[serde(serialize_with = "shown")]
    pub at: Timestamp,
    /// At what: a share of the limit, or what a trigger measured.
    pub threshold: String,
    /// Of sum and limit.
    #[serde(serialize_with = "word_of")]
    pub unit: Unit,
    /// What was spent then.
    pub sum: Money,
    /// The limit.
    pub limit: Money,
}

/// What a forecast that fired foretold, and what came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// `tenant-daily/acme`.
    pub breaker: Box<str>,
    /// When it was made.
    #[serde(serialize_with = "shown")]
    pub at: Timestamp,
    /// The end of the window that it was about.
    #[serde(serialize_with = "shown")]
    pub window_end: Timestamp,
    /// Of all amounts.
    #[serde(serialize_with = "word_of")]
    pub unit: Unit,
    /// The limit.
    pub limit: Money,
    /// What was spent when it was made.
    pub sum: Money,
    /// What was foretold.
    pub foretold: Money,
    /// What came; none where the record ends before the window.
    pub came: Option<Money>,
}

impl Forecast {
    /// How far off it was, in percent of what came: above nothing where too much was foretold.
    #[must_use]
    pub fn error_percent(&self) -> Option<i128> {
        let came = self.came.filter(|came| *came > Money::ZERO)?;
        let off = self.foretold.saturating_sub(came).picos();
        Some(off.checked_mul(100)? / came.picos())
    }
}

/// The word of a unit.
fn word_of<S: Serializer>(unit: &Unit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(unit.word())
}

/// An instant or a share as people read it.
pub(super) fn shown<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// The same where there is one.
pub(super) fn shown_where_known<S: Serializer>(
    value: &Option<impl std::fmt::Display>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// Everything that the breakers did.
#[derive(Clone, Debug, Default)]
pub struct Trips {
    /// Trips, in order.
    pub trips: Vec<Trip>,
    /// Warnings, in order.
    pub warnings: Vec<Warning>,
    /// How often a breaker waited instead of tripping, by what it waited for.
    pub waited: BTreeMap<&'static str, u64>,
    /// Windows that turned out to be over after they had closed.
    pub after_close: u64,
    /// Trips and warnings beyond those that are kept.
    pub not_kept: u64,
    /// Pages, each once.
    pub pages: BTreeMap<String, u64>,
    /// Forecasts that fired, in order.
    pub forecasts: Vec<Forecast>,
    /// Forecasts by when their windows end.
    ends: BTreeSet<(Timestamp, usize)>,
    /// By breaker, its trip that stands.
    standing: BTreeMap<Box<str>, usize>,
    /// Trips by when their first hour is over.
    hours: BTreeSet<(Timestamp, usize)>,
}

/// Pages told apart.
const MOST_PAGES: usize = 50;

impl Trips {
    /// Takes the decisions of a step.
    pub fn note(&mut self, decisions: &[Decision], engine: &Engine, now: Timestamp) {
        for decision in decisions {
            let breaker = decision.why.breaker.as_ref().map(|breaker| &*breaker.name).unwrap_or_default();
            if is_beside(breaker) {
                continue;
            }
            match &decision.kind {
                DecisionKind::Warned { threshold } => self.warned(decision, breaker, threshold.to_string()),
                DecisionKind::WarnedBy { measure } => {
                    self.warned(decision, breaker, measure.to_string());
                    self.foretold(decision, breaker);
                }
                DecisionKind::Arming { cause } => {
                    *self.waited.entry(waited_for(*cause)).or_default() += 1;
                }
                DecisionKind::Tripped { targets, .. } => {
                    let names = targets.iter().take(MOST_TARGETS).map(ToString::to_string).collect();
                    self.tripped(decision, breaker, names, engine, now);
                }
                DecisionKind::Released { cause, .. } => self.released(breaker, word(cause), engine, now),
                DecisionKind::BreachedAfterClose => self.after_close += 1,
                DecisionKind::Page { detail, .. } => self.paged(detail),
                _ => {}
            }
        }
    }

    fn paged(&mut self, detail: &str) {
        if self.pages.len() < MOST_PAGES || self.pages.contains_key(detail) {
            *self.pages.entry(detail.to_owned()).or_default() += 1;
        }
    }

    fn warned(&mut self, decision: &Decision, breaker: &str, threshold: String) {
        if self.warnings.len() >= MOST_KEPT {
            self.not_kept += 1;
            return;
        }
        let Why { sum, limit, unit, .. } = decision.why;
        let breaker = breaker.into();
        self.warnings.push(Warning { breaker, at: decision.at, threshold, unit, sum, limit });
    }

    /// A forecast fired: what it foretold is compared with what came, once its window has ended.
    fn foretold(&mut self, decision: &Decision, breaker: &str) {
        let (Cause::Trigger { foretold: Some(foretold), .. }, Some(window)) =
            (&decision.why.cause, &decision.why.breaker)
        else {
            return;
        };
        if self.forecasts.len() >= MOST_KEPT {
            self.not_kept += 1;
            return;
        }
        self.ends.insert((window.end, self.forecasts.len()));
        self.forecasts.push(Forecast {
            breaker: breaker.into(),
            at: decision.at,
            window_end: window.end,
            unit: decision.why.unit,
            limit: decision.why.limit,
            sum: decision.why.sum,
            foretold: *foretold,
            came: None,
        });
    }

    /// Looks, just before an instant, at what came in the windows that end with it.
    pub fn look_back(&mut self, engine: &Engine, now: Timestamp) {
        while let Some((end, at)) = self.ends.first().copied()
            && end <= now
        {
            self.ends.pop_first();
            let forecast = &mut self.forecasts[at];
            let before = end.minus(Span::from_millis(1));
            forecast.came = engine.breaker(&forecast.breaker, before).map(|breaker| breaker.sum);
        }
    }

    /// When the next window ends of which something was foretold.
    #[must_use]
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    fn tripped(
        &mut self,
        decision: &Decision,
        breaker: &str,
        targets: Vec<String>,
        engine: &Engine,
        now: Timestamp,
    ) {
        if self.trips.len() >= MOST_KEPT {
            self.not_kept += 1;
            return;
        }
        let why = &decision.why;
        // The step went on after the trip: what it added is spent after it.
        let (sum_now, facts_now) =
            engine.breaker(breaker, now).map_or((why.sum, why.facts), |b| (b.sum, b.facts));
        let (total, facts) = total(engine, breaker, now);
        // Tokens and hours are no money: then it counts from the end of the step.
        let since = match why.unit {
            Unit::Usd => sum_now.saturating_sub(why.sum).max(Money::ZERO),
            Unit::Tokens | Unit::GpuHours => Money::ZERO,
        };
        let total = (total.saturating_sub(since), facts.saturating_sub(facts_now.saturating_sub(why.facts)));
        let at = self.trips.len();
        self.standing.insert(breaker.into(), at);
        self.hours.insert((decision.at.plus(SHORT), at));
        self.trips.push(Trip {
            breaker: breaker.into(),
            window_start: why.breaker.as_ref().map_or(decision.at, |breaker| breaker.start),
            at: decision.at,
            crossed_at: why.occurred_at,
            cause: why.cause.word(),
            unit: why.unit,
            sum: why.sum,
            limit: why.limit,
            over: why.sum.saturating_sub(why.limit).max(Money::ZERO),
            facts: why.facts,
            largest: why.largest.iter().map(|charge| charge.fact.clone()).collect(),
            targets,
            released_at: None,
            released_by: None,
            after: Money::ZERO,
            stops: engine.can_stop(breaker),
            after_facts: 0,
            next_hour_facts: 0,
            next_hour: Money::ZERO,
            usual: None,
            looks_false: Vec::new(),
            total,
        });
    }

    fn released(&mut self, breaker: &str, by: &'static str, engine: &Engine, now: Timestamp) {
        let Some(at) = self.standing.remove(breaker) else { return };
        let trip = &mut self.trips[at];
        (trip.released_at, trip.released_by) = (Some(now), Some(by));
        let (total, facts) = total(engine, breaker, now);
        (trip.after, trip.after_facts) =
            (total.saturating_sub(trip.total.0), facts.saturating_sub(trip.total.1));
    }

    /// When the next first hour is over.
    #[must_use]
    pub fn next_hour(&self) -> Option<Timestamp> {
        self.hours.first().map(|(at, _)| *at)
    }

    /// Looks at what happened in the first hours that are over by now.
    pub fn look(&mut self, engine: &Engine, now: Timestamp) {
        while let Some((until, at)) = self.hours.first().copied()
            && until <= now
        {
            self.hours.pop_first();
            self.close_hour(at, engine, now);
        }
    }

    fn close_hour(&mut self, at: usize, engine: &Engine, now: Timestamp) {
        let trip = &mut self.trips[at];
        let (total, facts) = total(engine, &trip.breaker, now);
        trip.next_hour = total.saturating_sub(trip.total.0);
        trip.next_hour_facts = facts.saturating_sub(trip.total.1);
    }

    /// The record ends: what stands was not given back, and each trip is judged.
    pub fn close(&mut self, engine: &Engine, start: Timestamp, now: Timestamp) {
        let hours: Vec<usize> = std::mem::take(&mut self.hours).into_iter().map(|(_, at)| at).collect();
        for at in hours {
            self.close_hour(at, engine, now);
        }
        for (breaker, at) in std::mem::take(&mut self.standing) {
            let trip = &mut self.trips[at];
            let (total, facts) = total(engine, &breaker, now);
            trip.after = total.saturating_sub(trip.total.0);
            trip.after_facts = facts.saturating_sub(trip.total.1);
        }
        self.judge(engine, start, now);
    }

    /// Which trips look false, by what is usual for their breakers.
    fn judge(&mut self, engine: &Engine, start: Timestamp, now: Timestamp) {
        let mut tripped: BTreeMap<Box<str>, (Money, Span)> = BTreeMap::new();
        for trip in &self.trips {
            let (after, stood) = tripped.entry(trip.breaker.clone()).or_default();
            let until = trip.released_at.unwrap_or(now);
            *after = after.saturating_add(trip.after);
            *stood = Span::from_millis(stood.millis().saturating_add(until.since(trip.at).millis()));
        }
        for trip in &mut self.trips {
            let (after, stood) = tripped.get(&trip.breaker).copied().unwrap_or_default();
            let (total, _) = total(engine, &trip.breaker, now);
            let outside = Span::from_millis(now.since(start).millis().saturating_sub(stood.millis()));
            trip.usual = per_hour(total.saturating_sub(after), outside);
            trip.looks_false = looks_false(trip);
        }
    }
}

/// What its breaker was charged so far, whatever its window.
fn total(engine: &Engine, breaker: &str, now: Timestamp) -> (Money, u64) {
    engine.breaker(&beside(breaker), now).map_or((Money::ZERO, 0), |total| (total.sum, total.facts))
}

fn per_hour(amount: Money, over: Span) -> Option<Money> {
    if over < SHORT {
        return None;
    }
    let hourly = amount.picos().checked_mul(i128::from(SHORT.millis()))?;
    Some(Money::from_picos(hourly / i128::from(over.millis())))
}

/// Hints that nothing was wrong but the limit: it would have ended by itself within the hour, or the breaker
/// spent what it always spends and goes on doing so.
fn looks_false(trip: &Trip) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(released) = trip.released_at
        && released.since(trip.at) <= SHORT
    {
        hints.push(format!("given back after {}", released.since(trip.at)));
    }
    if let (Some(pace), Some(usual)) = (trip.pace(), trip.usual)
        && trip.next_hour_facts > 0
        && pace <= twice(usual)
        && trip.next_hour <= twice(usual)
    {
        hints.push(format!(
            "no surge: {pace} an hour in its window, {usual} as a rule; {} call(s) in the hour after it",
            trip.next_hour_facts
        ));
    }
    hints
}

fn twice(amount: Money) -> Money {
    amount.saturating_add(amount)
}

const fn waited_for(cause: ArmingCause) -> &'static str {
    match cause {
        ArmingCause::Grace(_) => "its grace",
        ArmingCause::OnTimeFact => "a fact on time",
        ArmingCause::RuleChange => "a yes to a change of rules or of a limit",
        ArmingCause::PriceChange => "a yes to a change of prices",
        ArmingCause::Clock => "the clocks to agree",
    }
}

const fn word(cause: &ReleaseCause) -> &'static str {
    match cause {
        ReleaseCause::WindowRolled => "its window ended",
        ReleaseCause::FellBelow => "its spend fell",
        ReleaseCause::SourceHeard => "its source was heard again",
        ReleaseCause::Wanted(_) => "somebody wanted it",
        ReleaseCause::Reset(_) | ReleaseCause::Person(_) => "a person",
    }
}
