//! What the engine can be asked: for `status`, metrics and the HTTP API. Reading changes nothing.

use std::sync::Arc;

use serde::Serialize;

use crate::breaker::{Bucket, Stage, State};
use crate::burn::Burn;
use crate::decision::HoldState;
use crate::inventory::ObjectKey;
use crate::money::{Money, Unit};
use crate::rule::{Mode, RuleSet, WindowSpec};
use crate::time::Timestamp;

use super::spot::SpotView;
use super::{AlarmView, AsideView, Counters, Engine, ShadowView, SourceStatus, Spend};

/// The state of everything but the breakers, as of an instant.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// As of.
    pub now: Timestamp,
    /// Id of the rule set.
    pub rules: Box<str>,
    /// Git commit of the rules, where known.
    pub revision: Option<Box<str>>,
    /// Id of the price book.
    pub prices: Box<str>,
    /// What the daemon may do.
    pub ceiling: Mode,
    /// Why that is below what is configured.
    pub because: Option<String>,
    /// Who froze it, when and why.
    pub freeze: Option<String>,
    /// Why the clock is in doubt.
    pub clock_doubt: Option<String>,
    /// Holds by target.
    pub holds: Vec<HoldView>,
    /// Sources by name.
    pub sources: Vec<(Box<str>, SourceStatus)>,
    /// Spend by tenant and model.
    pub spend: Vec<Spend>,
    /// Counters.
    pub counters: Counters,
    /// Ids remembered.
    pub remembered: usize,
    /// Log files of which it is known how far they were read.
    pub files: usize,
    /// When the rules freeze next, where they do.
    pub next_freeze: Option<String>,
    /// What AWS took away, by pool.
    pub spot: SpotView,
    /// Prices that are looked at before they count.
    pub shadow: Option<ShadowView>,
    /// What is critical and nobody has answered.
    pub alarms: Vec<AlarmView>,
    /// Messages that wait for others, or for the end of quiet hours.
    pub messages_held: usize,
    /// Usage for which another source counts: in no sum.
    pub asides: Vec<AsideView>,
}

/// One breaker.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerView {
    /// `tenant-daily/acme`.
    pub name: Box<str>,
    /// Name of the budget.
    pub budget: Box<str>,
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// Sum in it.
    pub sum: Money,
    /// Limit in it.
    pub limit: Money,
    /// Charges in it.
    pub facts: u64,
    /// How fast it is charged; `None` where that is not known.
    pub burn: Option<Burn>,
    /// Usage without a price in it.
    pub unpriced: u64,
    /// `Clear`, `Warned`, `Arming` or `Tripped`.
    pub state: Box<str>,
    /// What a breaker that is arming or tripped waits for, for people.
    pub detail: Option<String>,
    /// Effective mode.
    pub mode: Mode,
    /// Reserved by calls under way; not in the sum.
    pub pending: Money,
    /// Trips in this window.
    pub trips: u16,
    /// Closed windows that were or turned out to be over.
    pub breached_windows: u32,
    /// Of sum, limit, burn and what is reserved.
    pub unit: Unit,
    /// How much more may be spent from now until a stop is proven; `None` where its rate is not known.
    pub overshoot: Option<Money>,
    /// Until when its budget only does what first days allow.
    pub first_days_until: Option<Timestamp>,
}

/// One hold.
#[derive(Clone, Debug, Serialize)]
pub struct HoldView {
    /// The object, `ScaledObject/checkout/api`.
    pub target: String,
    /// Its state.
    pub state: HoldState,
    /// Breakers that hold it.
    pub holders: Vec<Box<str>>,
    /// What was last seen.
    pub detail: String,
    /// Somebody else stopped it.
    pub foreign: bool,
    /// The journal did not know it at start.
    pub orphan: bool,
    /// When the last order was given.
    pub ordered_at: Timestamp,
    /// When the API server accepted the write.
    pub accepted_at: Option<Timestamp>,
    /// When the effect was proven.
    pub verified_at: Option<Timestamp>,
    /// How often somebody raised it while we hold it.
    pub raises: u32,
}

impl Engine {
    /// The state of everything but the breakers, as of an instant: of those there may be a million, see
    /// [`Engine::survey`].
    #[must_use]
    pub fn view(&self, now: Timestamp) -> View {
        View {
            now,
            rules: self.rules.id.clone(),
            revision: self.rules.revision.clone(),
            prices: self.book.id().into(),
            ceiling: self.posture.ceiling,
            because: self.posture.because.clone(),
            freeze: self.frozen_at(now),
            clock_doubt: self.clock_doubt.clone(),
            holds: self.holds.keys().filter_map(|key| self.hold_view(key)).collect(),
            sources: self.sources.iter().map(|(name, status)| (name.clone(), status.clone())).collect(),
            spend: self.spend.clone(),
            counters: self.counters.clone(),
            remembered: self.seen.len(),
            files: self.positions.len(),
            next_freeze: self.next_freeze(now),
            spot: self.spot.view(),
            shadow: self.shadow_view(),
            alarms: self.alarm_views(),
            messages_held: self.messages_held(),
            asides: self.aside_views(),
        }
    }

    /// Why a person froze everything, where one did; see [`Engine::frozen`] for the rules' freezes too.
    #[must_use]
    pub fn freeze(&self) -> Option<&str> {
        self.freeze.as_deref()
    }

    /// Why the wall clock is in doubt, where it is.
    #[must_use]
    pub fn clock_doubt(&self) -> Option<&str> {
        self.clock_doubt.as_deref()
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// One breaker by name.
    #[must_use]
    pub fn breaker(&self, name: &str, now: Timestamp) -> Option<BreakerView> {
        self.slot_of(name).map(|slot| self.breaker_view(slot as usize, now))
    }

    /// One hold by target.
    #[must_use]
    pub fn hold_view(&self, target: &ObjectKey) -> Option<HoldView> {
        self.holds.get(target).map(|hold| HoldView {
            target: target.to_string(),
            state: hold.state,
            holders: hold.holders.iter().cloned().collect(),
            detail: hold.detail.clone(),
            foreign: hold.foreign,
            orphan: hold.orphan,
            ordered_at: hold.ordered_at,
            accepted_at: hold.accepted_at,
            verified_at: hold.verified_at,
            raises: hold.raises,
        })
    }

    /// A breaker as of an instant. One whose window has ended shows the new one.
    pub(super) fn breaker_view(&self, at: usize, now: Timestamp) -> BreakerView {
        let (hot, cold) = (&self.hot[at], &self.cold[at]);
        let budget = &self.rules.budgets[usize::from(cold.budget)];
        let rolling = matches!(budget.window, WindowSpec::Rolling(_));
        let rolled = self.rolled(at, now);
        let Bucket { sum, facts, unpriced, .. } = self.in_window(at, now);
        let window = if rolled || rolling { budget.window.at(now) } else { hot.window };
        let breached = cold.side.as_ref().map_or(0, |s| s.windows.values().filter(|w| w.breached).count());
        BreakerView {
            name: cold.name.clone(),
            budget: budget.name.clone(),
            start: window.start,
            end: window.end,
            sum,
            limit: if rolled { cold.limit_of(budget, now) } else { cold.limit },
            facts,
            burn: self.burn(u32::try_from(at).unwrap_or(u32::MAX), now),
            unpriced,
            state: self.word_of(at, now).into(),
            detail: self.with_first_days(cold.budget, detail(&cold.state)),
            mode: self.rule_mode(cold.budget).min(self.posture.ceiling),
            pending: cold.pending,
            trips: cold.trips,
            breached_windows: u32::try_from(breached).unwrap_or(u32::MAX),
            first_days_until: self.first_days_of(cold.budget),
            unit: budget.limit.unit,
            overshoot: self.overshoot(u32::try_from(at).unwrap_or(u32::MAX), now),
        }
    }
}

fn detail(state: &State) -> Option<String> {
    match state {
        State::Clear | State::Warned => None,
        State::Arming { cause, since, decision } => {
            Some(format!("{decision} since {since}: waits for {}", crate::explain::cause_in_words(*cause)))
        }
        State::Tripped(trip) => Some(match trip.stage {
            Stage::Observed => format!("{} at {}: observed only", trip.decision, trip.since),
            Stage::Ordered => format!("{} at {}", trip.decision, trip.since),
            Stage::Withheld(check) => {
                format!("{} at {}: withheld by {}", trip.decision, trip.since, check.word())
            }
            Stage::AwaitingApproval(until) => {
                format!("{} at {}: waits for approval until {until}", trip.decision, trip.since)
            }
        }),
    }
}
