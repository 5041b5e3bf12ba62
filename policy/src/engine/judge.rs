//! Judging a breaker: warn, arm, trip, release, roll.
//!
//! The ladder of [`Engine::obstacle`] is the one place that says why something over its limit does not
//! trip. A breaker trips only while its window is the current one, on a fact that is on time, with clocks
//! that agree, and not because somebody edited a rule or a price (invariant 11).

use crate::breaker::{Closed, Cold, Stage, State, Trip, mark};
use crate::decision::{ArmingCause, BreakerRef, Cause, DecisionKind, ReleaseCause, Why};
use crate::money::Money;
use crate::rule::{Budget, Mode, RestoreWhen, WindowSpec};
use crate::time::{Span, Timestamp};
use crate::window::Window;

use super::usage::Posting;
use super::{Engine, Outcome};

/// A rolling breaker that fell back warns again only below this share of the threshold, so that a sum
/// that hovers does not send a message with each charge (F13).
const REWARN_BELOW_PERCENT: i128 = 90;

impl Engine {
    pub(super) fn budget_of(&self, slot: u32) -> &Budget {
        &self.rules.budgets[usize::from(self.cold[slot as usize].budget)]
    }

    /// What is done for a breaker now: the lower of its rule's mode and the daemon's ceiling.
    pub(super) fn mode_of(&self, slot: u32) -> Mode {
        self.rule_mode(self.cold[slot as usize].budget).min(self.posture.ceiling)
    }

    /// Looks at a breaker whose sum reached a mark, or whose time has come.
    pub(super) fn judge(&mut self, slot: u32, posting: Option<&Posting<'_>>, out: &mut Outcome) {
        let at = slot as usize;
        if matches!(self.cold[at].state, State::Tripped(_)) {
            return self.set_mark(slot);
        }
        let causes = self.causes(slot);
        if let Some(posting) = posting.filter(|_| !causes.is_empty()) {
            let cold = &mut self.cold[at];
            cold.crossed_at.get_or_insert(posting.at);
            cold.on_time_over |= posting.on_time;
        }
        match self.first_free(slot, causes) {
            Some((cause, None)) => self.trip(slot, cause, None, out),
            Some((cause, Some(waits_for))) => self.arm(slot, cause, waits_for, out),
            None => {
                self.warn_by_pace(slot, out);
                self.below(slot, self.hot[at].sum, out);
            }
        }
        self.set_mark(slot);
    }

    /// All that says trip now: the sum first, then how fast it grows. Each with what already speaks against it.
    fn causes(&mut self, slot: u32) -> Vec<(Cause, Option<ArmingCause>)> {
        let at = slot as usize;
        let mut causes = Vec::new();
        let (sum, trip_mark) = (self.hot[at].sum, self.cold[at].trip_mark(self.budget_of(slot)));
        if sum >= trip_mark {
            let cold = &self.cold[at];
            let newly_priced = sum.saturating_sub(cold.price_excess) < trip_mark;
            let rules = cold.by_reload.then_some(ArmingCause::RuleChange);
            causes.push((Cause::Sum, rules.or(newly_priced.then_some(ArmingCause::PriceChange))));
        }
        if let Some((cause, by_rules)) = self.tripping(slot) {
            causes.push((cause, by_rules.then_some(ArmingCause::RuleChange)));
        }
        causes.extend(self.silence_of(slot).map(|cause| (cause, None)));
        causes
    }

    /// The first cause that nothing speaks against, else the first of all with what it waits for.
    fn first_free(
        &mut self,
        slot: u32,
        causes: Vec<(Cause, Option<ArmingCause>)>,
    ) -> Option<(Cause, Option<ArmingCause>)> {
        if causes.is_empty() {
            return None;
        }
        self.armed.insert(slot);
        let free = causes.iter().position(|(_, against)| against.is_none()).unwrap_or(0);
        let (cause, against) = causes.into_iter().nth(free)?;
        let waits_for = against.or_else(|| self.obstacle(slot, matches!(cause, Cause::Silence { .. })));
        Some((cause, waits_for))
    }

    /// Why a breaker that is over must not trip now, whatever brought it over. The order is that in which people
    /// want to hear it.
    fn obstacle(&mut self, slot: u32, silent: bool) -> Option<ArmingCause> {
        let grace = self.budget_of(slot).grace;
        let now = self.now;
        let doubt = self.clock_doubt.is_some();
        let cold = &mut self.cold[slot as usize];
        // Where a source is silent, no fact will come.
        if !cold.on_time_over && !silent {
            return Some(ArmingCause::OnTimeFact);
        }
        if doubt {
            return Some(ArmingCause::Clock);
        }
        if grace > Span::ZERO {
            let until = *cold.grace_until.get_or_insert(now.plus(grace));
            return (now < until).then_some(ArmingCause::Grace(until));
        }
        None
    }

    fn arm(&mut self, slot: u32, by: Cause, cause: ArmingCause, out: &mut Outcome) {
        if let State::Arming { cause: before, .. } = &self.cold[slot as usize].state
            && *before == cause
        {
            return;
        }
        self.begin_episode(slot);
        let why = self.why_by(slot, by);
        let decision = self.decide_with(Some(slot), DecisionKind::Arming { cause }, why, out);
        let now = self.now;
        let cold = &mut self.cold[slot as usize];
        let since = match &cold.state {
            State::Arming { since, .. } => *since,
            _ => now,
        };
        cold.warned =
            u8::try_from(self.rules.budgets[usize::from(cold.budget)].warn_at.len()).unwrap_or(u8::MAX);
        cold.state = State::Arming { since, cause, decision };
    }

    /// Below the trip mark: perhaps a warning, perhaps clear again.
    fn below(&mut self, slot: u32, sum: Money, out: &mut Outcome) {
        let at = slot as usize;
        let budget = self.budget_of(slot);
        let limit = self.cold[at].limit;
        let warned = self.cold[at].warned;
        let told = self.with_assumed(slot);
        let reached = budget.warn_at.iter().take_while(|share| told >= mark(limit, **share)).count();
        let reached = u8::try_from(reached).unwrap_or(u8::MAX);
        let rolling = matches!(budget.window, WindowSpec::Rolling(_));
        if reached > warned {
            let threshold = budget.warn_at[usize::from(reached) - 1];
            self.begin_episode(slot);
            self.cold[at].warned = reached;
            self.cold[at].state = State::Warned;
            if rolling {
                self.armed.insert(slot);
            }
            self.decide(slot, DecisionKind::Warned { threshold }, out);
            return;
        }
        if rolling && warned > 0 {
            let lowest = mark(limit, budget.warn_at[usize::from(warned) - 1]);
            if sum.picos() < lowest.picos() / 100 * REWARN_BELOW_PERCENT {
                self.cold[at].warned = reached;
            }
        }
        let cold = &mut self.cold[at];
        if !rolling {
            cold.warned = cold.warned.min(reached); // a trip by hand crossed nothing
        }
        if matches!(cold.state, State::Arming { .. }) {
            cold.on_time_over = false;
            cold.grace_until = None;
            cold.crossed_at = None;
        }
        let warned = self.cold[at].warned > 0 || self.is_fast(slot);
        self.cold[at].state = if warned { State::Warned } else { State::Clear };
    }

    /// Trips: by spend, or by a person who said so.
    pub(super) fn trip(&mut self, slot: u32, cause: Cause, by: Option<String>, out: &mut Outcome) {
        let at = slot as usize;
        let expansion = self.expand(slot);
        let warned = self.budget_of(slot).warn_at.len();
        self.cold[at].warned = u8::try_from(warned).unwrap_or(u8::MAX);
        self.begin_episode(slot);
        let note = self.count_trip(slot);
        let (since, window_end) = (self.now, self.window_of(slot).end);
        // The state comes first: the notice of this decision says `Tripped`.
        let decision = self.next_decision;
        let trip = Trip {
            since,
            window_end,
            decision,
            stage: Stage::Observed,
            by,
            asked: Vec::new(),
            approved_by: None,
            in_force: false,
            told: self.mode_of(slot) >= Mode::Alert,
            cause,
        };
        self.cold[at].state = State::Tripped(Box::new(trip));
        self.armed.insert(slot);
        let kind = DecisionKind::Tripped { targets: expansion.targets.clone(), left: expansion.left.clone() };
        let why = Why { note, ..self.why(slot) };
        self.decide_with(Some(slot), kind, why, out);
        self.order(slot, &expansion, None, out);
        self.set_mark(slot);
    }

    /// Counts a trip in its window. The last one that the rule allows says that it stays (F7).
    fn count_trip(&mut self, slot: u32) -> String {
        let at = slot as usize;
        let budget = self.budget_of(slot);
        let (most, when) = (budget.restore.max_trips_per_window, budget.restore.when);
        let rolling = match budget.window {
            WindowSpec::Rolling(length) => Some(length),
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime => None,
        };
        match rolling {
            Some(length) => {
                let now = self.now;
                let side = self.cold[at].side();
                if side.trips.len() >= usize::try_from(most).unwrap_or(usize::MAX) && !side.trips.is_empty() {
                    side.trips.remove(0);
                }
                side.trips.push(now);
                self.cold[at].trips = self.cold[at].side().rolling_trips(length, now);
            }
            None => self.cold[at].trips = self.cold[at].trips.saturating_add(1),
        }
        let falls =
            matches!(when, RestoreWhen::Below(_)) || (rolling.is_some() && when == RestoreWhen::WindowRolls);
        if !falls || u32::from(self.cold[at].trips) < most {
            return String::new();
        }
        let until = rolling.map_or("until the window ends".to_owned(), |length| {
            format!("until one of these trips is {length} old")
        });
        format!(
            "tripped {} time(s) in one window, of at most {most} (maxTripsPerWindow): it stays tripped {until}, \
             though its spend falls; or `breakerbox reset {}`",
            self.cold[at].trips, self.cold[at].name
        )
    }

    /// The window that counts now.
    pub(super) fn window_of(&self, slot: u32) -> Window {
        match &self.budget_of(slot).window {
            WindowSpec::Rolling(length) => {
                Window { start: self.now.minus(*length), end: self.now.plus(*length) }
            }
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime => self.hot[slot as usize].window,
        }
    }

    /// Whether the window of a breaker is over. A clock in doubt ends none: its sum, what a person forgave and
    /// what waits for one would be gone if it steps back.
    pub(super) fn has_ended(&self, slot: u32) -> bool {
        self.now >= self.hot[slot as usize].window.end && self.clock_doubt.is_none()
    }

    /// Moves a breaker into the window that the clock is in. What belongs to the old window stays with it.
    pub(super) fn roll(&mut self, slot: u32, out: &mut Outcome) {
        let at = slot as usize;
        let budget = &self.rules.budgets[usize::from(self.cold[at].budget)];
        let window = budget.window.at(self.now);
        let old = std::mem::replace(&mut self.hot[at], super::Hot::new(window));
        let cold = &mut self.cold[at];
        if old.facts > 0 || cold.unpriced > 0 {
            let (breached, unpriced) = (old.sum >= cold.limit, cold.unpriced);
            let closed = Closed { end: old.window.end, sum: old.sum, facts: old.facts, breached, unpriced };
            cold.side().close(old.window.start, closed);
        }
        cold.carry_over(budget, &old, window, self.now);
        cold.forget_window();
        cold.limit = cold.limit_of(budget, self.now);
        if let Some(early) = cold.side.as_mut().and_then(|side| side.windows.remove(&window.start)) {
            self.hot[at].sum = early.sum;
            self.hot[at].facts = early.facts;
            self.cold[at].unpriced = early.unpriced;
        }
        self.set_mark(slot);
        self.release_if_due(slot, out);
        self.judge_new_window(slot, out);
    }

    /// Facts that came a little before midnight for the new day may already warn.
    fn judge_new_window(&mut self, slot: u32, out: &mut Outcome) {
        if self.hot[slot as usize].facts > 0 {
            self.judge(slot, None, out);
        }
    }

    /// What time alone changes for a breaker that is armed or tripped.
    pub(super) fn tick_breaker(&mut self, slot: u32, out: &mut Outcome) {
        let at = slot as usize;
        if self.has_ended(slot) {
            self.roll(slot, out);
        }
        let rolling = self.rolling(slot);
        let left = rolling.is_some_and(|length| self.slide(slot, length));
        self.keep_moment(slot);
        match &self.cold[at].state {
            State::Clear if left => self.judge(slot, None, out),
            State::Clear => {}
            // Its next charge looks at it: time alone changes nothing about the sum of a calendar window.
            State::Warned if rolling.is_none() && !self.is_fast(slot) => {}
            State::Warned | State::Arming { .. } => self.judge(slot, None, out),
            State::Tripped(_) => {
                self.release_if_due(slot, out);
                self.order_again(slot, out);
                self.tell_what_stands(slot, out);
            }
        }
        let keep = match &self.cold[at].state {
            State::Clear | State::Warned if self.has_early(slot) => true,
            State::Clear => rolling.is_some() && self.cold[at].reset_mark.is_some(),
            State::Warned => rolling.is_some() || self.is_fast(slot),
            State::Arming { .. } | State::Tripped(_) => true,
        };
        if !keep {
            self.armed.remove(&slot);
        }
    }

    /// Gives back what a tripped breaker holds, once its rule says so. A clock in doubt releases nothing.
    fn release_if_due(&mut self, slot: u32, out: &mut Outcome) {
        let at = slot as usize;
        if self.clock_doubt.is_some() {
            return;
        }
        if let WindowSpec::Rolling(length) = self.budget_of(slot).window {
            let now = self.now;
            self.cold[at].trips = self.cold[at].side().rolling_trips(length, now);
        }
        let State::Tripped(trip) = &self.cold[at].state else { return };
        let budget = self.budget_of(slot);
        if self.now < trip.since.plus(budget.restore.min_hold) {
            return;
        }
        let rolled = trip.window_end <= self.now && !matches!(budget.window, WindowSpec::Rolling(_));
        let fell = |share| self.hot[at].sum < mark(self.cold[at].limit, share);
        let spent_trips = u32::from(self.cold[at].trips) >= budget.restore.max_trips_per_window;
        let heard = self.heard_again(slot);
        // What tripped it goes on, whatever the sum says: silence clears no trip (invariant 5).
        let silent = matches!(trip.cause, Cause::Silence { .. }) && heard.is_none();
        let lasts = || silent || self.is_tripping(slot);
        let cause = match budget.restore.when {
            RestoreWhen::Manual => None,
            _ if heard.is_some() => heard,
            RestoreWhen::WindowRolls if rolled => Some(ReleaseCause::WindowRolled),
            RestoreWhen::WindowRolls if matches!(budget.window, WindowSpec::Rolling(_)) => {
                let below = self.hot[at].sum < self.cold[at].trip_mark(budget) && !lasts();
                (below && !spent_trips).then_some(ReleaseCause::FellBelow)
            }
            RestoreWhen::WindowRolls => None,
            RestoreWhen::Below(_) if rolled => Some(ReleaseCause::WindowRolled),
            RestoreWhen::Below(share) => {
                let below = fell(share) && !lasts();
                (below && !spent_trips).then_some(ReleaseCause::FellBelow)
            }
        };
        if let Some(cause) = cause {
            self.cold[at].warned = 0; // what comes now is told of again
            self.forget_fast(slot);
            self.release(slot, cause, out);
        }
    }

    /// Ends a trip: clear again, and the holds without another holder are given back.
    pub(super) fn release(&mut self, slot: u32, cause: ReleaseCause, out: &mut Outcome) {
        let at = slot as usize;
        self.cold[at].state = State::Clear;
        self.cold[at].on_time_over = false;
        self.cold[at].grace_until = None;
        self.cold[at].crossed_at = None;
        let name = self.cold[at].name.clone();
        let targets = self.targets_only_held_by(&name);
        self.plan_waves(slot, &cause, &targets);
        self.decide(slot, DecisionKind::Released { cause, targets }, out);
        self.drop_holder(&name);
        self.settle_holds(out);
        self.set_mark(slot);
    }

    /// A closed window turned out to be over: shown, never acted on (invariant 11).
    pub(super) fn breached_after_close(
        &mut self,
        slot: u32,
        start: Timestamp,
        closed: &Closed,
        posting: &Posting<'_>,
        out: &mut Outcome,
    ) {
        let mut why = self.why(slot);
        why.breaker =
            Some(BreakerRef { name: self.cold[slot as usize].name.clone(), start, end: closed.end });
        (why.sum, why.facts) = (closed.sum, closed.facts);
        why.largest.clear();
        why.burn = None;
        why.episode = start;
        why.occurred_at = Some(posting.at);
        why.note = "a late fact brought a closed window over its limit; nothing is stopped for it".to_owned();
        self.decide_with(Some(slot), DecisionKind::BreachedAfterClose, why, out);
    }

    /// The sum at which this breaker is to be looked at again.
    pub(super) fn set_mark(&mut self, slot: u32) {
        let at = slot as usize;
        let cold = &self.cold[at];
        let budget = &self.rules.budgets[usize::from(cold.budget)];
        self.hot[at].next_mark = match &cold.state {
            State::Tripped(_) => Money::MAX,
            State::Arming { cause: ArmingCause::OnTimeFact | ArmingCause::PriceChange, .. } => Money::ZERO,
            State::Arming { .. } => Money::MAX,
            State::Clear if self.is_far(slot) => halfway(cold, budget),
            State::Clear | State::Warned => next_mark(cold, budget),
        };
        self.set_floor(slot);
    }

    /// Below half of the first mark: nobody will ask for its largest charges soon.
    fn is_far(&self, slot: u32) -> bool {
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        matches!(cold.state, State::Clear) && hot.sum < halfway(cold, self.budget_of(slot))
    }

    /// From which amount on a charge is kept among the largest.
    pub(super) fn set_floor(&mut self, slot: u32) {
        let far = self.is_far(slot);
        self.hot[slot as usize].floor = self.cold[slot as usize].floor(far);
    }

    /// A rolling window moves with each turn and has no start to name a crossing by.
    pub(super) fn episode_of(&self, slot: u32) -> Timestamp {
        match &self.budget_of(slot).window {
            WindowSpec::Rolling(_) => self.now,
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime => self.hot[slot as usize].window.start,
        }
    }

    /// A breaker that leaves `Clear` begins what its messages are about; one that is on its way goes on.
    pub(super) fn begin_episode(&mut self, slot: u32) {
        self.keep_moment(slot);
        let begin = self.episode_of(slot);
        let cold = &mut self.cold[slot as usize];
        if matches!(cold.state, State::Clear) || cold.episode.is_none() {
            cold.episode = Some(begin);
        }
    }

    /// Keeps what a breaker's burn can be measured from later. A rolling window has its buckets.
    fn keep_moment(&mut self, slot: u32) {
        if !matches!(self.budget_of(slot).window, WindowSpec::Rolling(_)) {
            let (now, sum, steady) = (self.now, self.hot[slot as usize].sum, self.steady_since);
            self.cold[slot as usize].side().keep_moment(now, sum, steady);
        }
    }
}

/// The sum at which a breaker warns or trips next.
fn next_mark(cold: &Cold, budget: &Budget) -> Money {
    let trip = cold.trip_mark(budget);
    let warn = budget.warn_at.get(usize::from(cold.warned));
    let assumed = cold.side.as_ref().map_or(Money::ZERO, |side| side.assumed);
    warn.map_or(trip, |share| mark(cold.limit, *share).saturating_sub(assumed).min(trip))
}

/// Half of that: from there on all of the largest charges are kept.
fn halfway(cold: &Cold, budget: &Budget) -> Money {
    Money::from_picos(next_mark(cold, budget).picos() / 2)
}
