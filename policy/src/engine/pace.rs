//! How fast money goes: burn rates, deltas and forecasts.
//!
//! Only charges can make a trigger fire, so it is looked at with each charge of a budget that has some, and
//! otherwise only while something waits for it. A pace knows no windows; what it is measured against does.

use crate::breaker::{Blame, Pace, State, mark};
use crate::decision::{Cause, DecisionKind};
use crate::money::{Money, Percent};
use crate::rule::{Measure, Then, Trigger, WindowSpec};
use crate::time::{Span, Timestamp};

use super::usage::Posting;
use super::{Engine, Outcome};

/// A trigger that warned does so again only after it has fallen below this share of what it fires at (F13).
const REWARN_BELOW: Percent = Percent::from_ppm(900_000);
/// Part of a window that must be over before its end is foretold: one hour of a month says nothing.
const FORESEEABLE: i64 = 10;

impl Engine {
    fn pace_of(&mut self, slot: u32) -> &mut Pace {
        let cold = &mut self.cold[slot as usize];
        let spans = &self.rules.budgets[usize::from(cold.budget)].spans;
        cold.side().pace.get_or_insert_with(|| Box::new(Pace::new(spans)))
    }

    /// Adds a charge to the pace of its breaker. Where prices have changed since the window began, at the lower
    /// of the prices: nothing trips because a price rose.
    pub(super) fn keep_pace(&mut self, slot: u32, posting: &Posting<'_>) {
        let excess = if posting.excess.is_empty() { Money::ZERO } else { self.excess_of(slot, posting) };
        let (now, amount) = (self.now, posting.amount.saturating_sub(excess));
        self.pace_of(slot).add(posting.at, now, amount);
    }

    /// What a trigger reads now, against what it fires at: of those that a burn rate needs, the one that is the
    /// furthest from it. `None` where it cannot be read.
    fn reading(&self, slot: u32, measure: &Measure) -> Option<(Money, Money)> {
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        let pace = cold.side.as_ref().and_then(|side| side.pace.as_ref());
        let spent = |span| pace.map_or(Money::ZERO, |pace| pace.spent(span, self.now));
        match *measure {
            Measure::BurnRate { long, short, exceeds } => {
                let length = self.window_length(slot)?;
                let over = |span| Some((spent(span), even_pace(cold.limit, exceeds, span, length)?));
                let (long, short) = (over(long)?, over(short)?);
                Some(if long.0 >= long.1 { short } else { long })
            }
            Measure::Delta { over, exceeds, .. } => Some((spent(over), exceeds)),
            Measure::Forecast { exceeds } => {
                let window = hot.window;
                let (length, past) = (window.end.since(window.start), self.now.since(window.start));
                let foreseeable = past.millis() >= length.millis().checked_div(FORESEEABLE)?;
                let sum = foretold(hot.sum, past, length).filter(|_| foreseeable)?;
                Some((sum, mark(cold.limit, exceeds)))
            }
        }
    }

    fn window_length(&self, slot: u32) -> Option<Span> {
        match &self.budget_of(slot).window {
            WindowSpec::Rolling(length) => Some(*length),
            WindowSpec::Calendar { .. } => {
                let window = self.hot[slot as usize].window;
                Some(window.end.since(window.start))
            }
            WindowSpec::Lifetime => None,
        }
    }

    fn fires(&self, slot: u32, measure: &Measure) -> bool {
        self.reading(slot, measure).is_some_and(|(read, fires_at)| read >= fires_at)
    }

    /// The first trigger that says trip now, with whether a change of rules may be why.
    pub(super) fn tripping(&mut self, slot: u32) -> Option<(Cause, bool)> {
        let budget = self.budget_of(slot);
        if budget.triggers.is_empty() {
            return None;
        }
        let at = slot as usize;
        if self.cold[at].reset_mark.is_some_and(|mark| self.hot[at].sum < mark) {
            return None; // a person forgave, up to there
        }
        let trips = |trigger: &&Trigger| trigger.then == Then::Trip && self.fires(slot, &trigger.measure);
        let firing = budget.triggers.iter().find(trips).cloned();
        let trigger = firing?;
        let by_rules = self.is_rules_fault(slot);
        Some((self.cause_of(slot, &trigger), by_rules))
    }

    /// Whether a change of rules may be why a trigger fires. It is where one fires within its longest span from
    /// the change: then usual spend does. That is believed until the window ends, or a rolling one has passed.
    fn is_rules_fault(&mut self, slot: u32) -> bool {
        let until = self.rolling(slot).map_or(Timestamp::MAX, |length| self.now.plus(length));
        let now = self.now;
        let pace = self.pace_of(slot);
        pace.blamed = pace.blamed.filter(|blame| now < blame.until);
        if let Some(blame) = pace.blamed.as_mut().filter(|blame| !blame.fired) {
            *blame = Blame { until, fired: true };
        }
        pace.blamed.is_some()
    }

    /// Whether a trigger says trip, changing nothing.
    pub(super) fn is_tripping(&self, slot: u32) -> bool {
        let triggers = self.budget_of(slot).triggers.iter();
        triggers.filter(|t| t.then == Then::Trip).any(|t| self.fires(slot, &t.measure))
    }

    /// What a trigger saw, for people.
    fn cause_of(&self, slot: u32, trigger: &Trigger) -> Cause {
        let pace = self.cold[slot as usize].side.as_ref().and_then(|side| side.pace.as_ref());
        let spans = trigger.measure.spans();
        let spent = spans
            .iter()
            .map(|span| (*span, pace.map_or(Money::ZERO, |pace| pace.spent(*span, self.now))))
            .collect();
        let foretold = match trigger.measure {
            Measure::Forecast { .. } => self.reading(slot, &trigger.measure).map(|(sum, _)| sum),
            Measure::BurnRate { .. } | Measure::Delta { .. } => None,
        };
        Cause::Trigger { measure: trigger.measure, spent, foretold, place: trigger.place.clone() }
    }

    /// Tells of triggers that only warn, once each until they have fallen back.
    pub(super) fn warn_by_pace(&mut self, slot: u32, out: &mut Outcome) {
        let rules = std::sync::Arc::clone(&self.rules);
        let triggers = &rules.budgets[usize::from(self.cold[slot as usize].budget)].triggers;
        if triggers.is_empty() || matches!(self.cold[slot as usize].state, State::Tripped(_)) {
            return;
        }
        for (bit, trigger) in triggers.iter().enumerate().filter(|(_, t)| t.then == Then::Warn) {
            let Some((read, fires_at)) = self.reading(slot, &trigger.measure) else { continue };
            let bit = 1_u32 << bit;
            let warned = self.pace_of(slot).warned & bit != 0;
            if read >= fires_at && !warned {
                self.pace_of(slot).warned |= bit;
                self.warn_of(slot, trigger, out);
            } else if warned && read < mark(fires_at, REWARN_BELOW) {
                self.pace_of(slot).warned &= !bit;
            }
        }
    }

    fn warn_of(&mut self, slot: u32, trigger: &Trigger, out: &mut Outcome) {
        self.begin_episode(slot);
        if matches!(self.cold[slot as usize].state, State::Clear) {
            self.cold[slot as usize].state = State::Warned;
        }
        self.armed.insert(slot);
        let why = self.why_by(slot, self.cause_of(slot, trigger));
        self.decide_with(Some(slot), DecisionKind::WarnedBy { measure: trigger.measure }, why, out);
    }

    /// What comes from now on is told of again.
    pub(super) fn forget_fast(&mut self, slot: u32) {
        if let Some(pace) = self.cold[slot as usize].side.as_mut().and_then(|side| side.pace.as_mut()) {
            pace.warned = 0;
        }
    }

    /// Whether a trigger has warned and has not fallen back.
    pub(super) fn is_fast(&self, slot: u32) -> bool {
        let side = self.cold[slot as usize].side.as_ref();
        side.and_then(|side| side.pace.as_ref()).is_some_and(|pace| pace.warned != 0)
    }

    /// The rules of a breaker are others now, or its limit is: what fires within one of its spans from now may be
    /// for that alone, and waits for a person.
    pub(super) fn blame_rules_for_pace(&mut self, slot: u32) {
        let budget = self.budget_of(slot);
        let Some(longest) = budget.spans.iter().max().copied() else {
            if let Some(side) = &mut self.cold[slot as usize].side {
                side.pace = None;
            }
            return;
        };
        let (spans, until) = (budget.spans.clone(), self.now.plus(longest));
        let pace = self.pace_of(slot);
        if !pace.is_over(&spans) {
            let warned = pace.warned;
            *pace = Pace { warned, ..Pace::new(&spans) };
        }
        if pace.blamed.is_none_or(|blame| blame.until < until) {
            pace.blamed = Some(Blame { until, fired: false });
        }
    }

    /// A person said that what was spent so fast is right.
    pub(super) fn forgive_pace(&mut self, slot: u32) {
        if let Some(pace) = self.cold[slot as usize].side.as_mut().and_then(|side| side.pace.as_mut()) {
            pace.forget();
            (pace.warned, pace.blamed) = (0, None);
        }
    }

    /// A person said that what the rules say now is right.
    pub(super) fn accept_rules_for_pace(&mut self, slot: u32) {
        if let Some(pace) = self.cold[slot as usize].side.as_mut().and_then(|side| side.pace.as_mut()) {
            pace.blamed = None;
        }
    }
}

/// What a span may cost at a multiple of the even pace: limit x multiple x span / length of the window.
fn even_pace(limit: Money, exceeds: Percent, span: Span, length: Span) -> Option<Money> {
    let share = mark(limit, exceeds).picos().checked_mul(i128::from(span.millis()))?;
    Some(Money::from_picos(share.checked_div(i128::from(length.millis()))?.max(1)))
}

/// The straight line through the start of the window and now, at its end.
fn foretold(sum: Money, past: Span, length: Span) -> Option<Money> {
    let whole = sum.picos().checked_mul(i128::from(length.millis()))?;
    whole.checked_div(i128::from(past.millis())).map(Money::from_picos)
}
