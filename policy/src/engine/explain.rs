//! Why nothing happened. (Why something happened is in each decision's own why.)
//!
//! The reasons are a closed list, each with what to do about it; a tenant's answer is the list of the
//! reasons that hold for each breaker that its charges go to.

use std::fmt;

use serde::Serialize;

use crate::breaker::{Stage, State};
use crate::decision::{ArmingCause, HoldState};
use crate::explain::cause_in_words;
use crate::fact::GuardCheck;
use crate::inventory::ObjectKey;
use crate::money::{Money, Unit};
use crate::rule::{Act, Mode};
use crate::subject::field;
use crate::time::Timestamp;

use super::Engine;
use super::name::encoded;

/// Why a breaker did not stop anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotTripped {
    /// The breaker, where there is one.
    pub breaker: Option<Box<str>>,
    /// The reason.
    pub reason: NotTrippedReason,
}

/// Why nothing was stopped. A closed list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NotTrippedReason {
    /// No charge with that name was ever seen.
    NeverSeen,
    /// Charges were seen, but no budget counts them.
    NoBudgetSelects,
    /// Charges were seen, and count as nobody's: more new names came than may have breakers of their own.
    CountedAsUnattributed,
    /// The sum is below every threshold.
    BelowLimit {
        /// Sum in the window.
        sum: Money,
        /// Limit in the window.
        limit: Money,
        /// Their unit.
        unit: Unit,
    },
    /// Warned, and still below the limit.
    Warned {
        /// Sum in the window.
        sum: Money,
        /// Limit in the window.
        limit: Money,
        /// Their unit.
        unit: Unit,
    },
    /// Over, and waiting.
    Arming(ArmingCause),
    /// Tripped, but the rule only observes or alerts.
    ModeOnlyObserves,
    /// Tripped, but a guard withheld the order.
    Withheld(GuardCheck),
    /// Tripped, and waiting for a person.
    AwaitsApproval {
        /// Until then.
        until: Timestamp,
    },
    /// Tripped, but the rule stops nothing (it only notifies).
    RuleStopsNothing,
    /// Tripped, but its selector names no object that may be stopped.
    NoTargets {
        /// What it names, and why that may not be.
        left: Vec<(ObjectKey, String)>,
    },
    /// Tripped, but what its name rests on is only asserted, or unknown: never a target.
    Untrusted,
    /// A person reset it; it trips again only above this sum.
    Reset {
        /// The sum.
        above: Money,
        /// Its unit.
        unit: Unit,
    },
    /// Only closed windows are over: shown, never acted on.
    ClosedWindowOnly,
    /// Some usage has no price, so the sum may be too low.
    Unpriced {
        /// How many.
        usages: u64,
    },
    /// Tripped, but nothing new is stopped now: who or what froze it, and until when.
    Frozen {
        /// For people.
        why: String,
    },
    /// Tripped in the first days of its budget, which only do so much.
    FirstDays {
        /// Until then.
        until: Timestamp,
        /// What it may do by then.
        mode: Mode,
    },
    /// It was stopped: ordered, with the states of its holds.
    Stopped {
        /// Proven.
        proven: u32,
        /// Of these.
        of: u32,
    },
}

impl Engine {
    /// Why the breakers of a name (a breaker's whole name, or one value such as a tenant) stopped nothing.
    #[must_use]
    pub fn explain(&self, name: &str, now: Timestamp) -> Vec<NotTripped> {
        // A value may be typed as it is or as names show it.
        let value = encoded(name);
        let is_meant = |breaker: &str| {
            breaker == name || breaker.split('/').skip(1).any(|part| part == name || part == value)
        };
        let mut answer = Vec::new();
        for at in 0..self.cold.len() {
            if is_meant(&self.cold[at].name) {
                self.explain_breaker(at, now, &mut answer);
            }
        }
        let is_theirs = |account: usize| self.spend[account].tenant.as_deref() == Some(name);
        let reason = if self.over_cap.iter().any(|account| is_theirs(*account as usize)) {
            Some(NotTrippedReason::CountedAsUnattributed) // in some budget, whatever others say
        } else if !answer.is_empty() {
            None
        } else if (0..self.spend.len()).any(is_theirs) {
            Some(NotTrippedReason::NoBudgetSelects)
        } else {
            Some(NotTrippedReason::NeverSeen)
        };
        answer.extend(reason.map(|reason| NotTripped { breaker: None, reason }));
        answer
    }

    /// Remembers whether the charges of an account go to a breaker for nobody, though it has a tenant: the cap
    /// on new subjects did that. Where they go by now counts.
    pub(super) fn note_over_cap(&mut self, account: u32, slots: &[u32]) {
        let for_nobody = |slot: &u32| {
            let fields = self.budget_of(*slot).per_each.iter().zip(&self.cold[*slot as usize].values);
            fields.filter(|(name, _)| ***name == *field::TENANT).any(|(_, value)| value.value.is_none())
        };
        if self.spend[account as usize].tenant.is_some() && slots.iter().any(for_nobody) {
            self.over_cap.insert(account);
        } else {
            self.over_cap.remove(&account);
        }
    }

    fn explain_breaker(&self, at: usize, now: Timestamp, answer: &mut Vec<NotTripped>) {
        let cold = &self.cold[at];
        let mut say = |reason| answer.push(NotTripped { breaker: Some(cold.name.clone()), reason });
        let view = self.breaker_view(at, now);
        let (sum, limit, unit) = (view.sum, view.limit, view.unit);
        match &cold.state {
            State::Clear | State::Warned => {
                match cold.reset_mark {
                    Some(above) if sum >= limit => say(NotTrippedReason::Reset { above, unit }),
                    _ if matches!(cold.state, State::Warned) => {
                        say(NotTrippedReason::Warned { sum, limit, unit })
                    }
                    _ => say(NotTrippedReason::BelowLimit { sum, limit, unit }),
                }
                if view.breached_windows > 0 {
                    say(NotTrippedReason::ClosedWindowOnly);
                }
            }
            State::Arming { cause, .. } => say(NotTrippedReason::Arming(*cause)),
            State::Tripped(trip) => match trip.stage {
                Stage::Observed => say(self.explain_observed(cold.budget)),
                Stage::Withheld(check) => say(self.explain_withheld(check, now)),
                Stage::AwaitingApproval(until) => say(NotTrippedReason::AwaitsApproval { until }),
                Stage::Ordered => say(self.explain_ordered(at)),
            },
        }
        if view.unpriced > 0 {
            say(NotTrippedReason::Unpriced { usages: view.unpriced });
        }
    }

    fn explain_observed(&self, budget: u16) -> NotTrippedReason {
        match self.first_days_of(budget) {
            Some(until) => NotTrippedReason::FirstDays { until, mode: self.rule_mode(budget) },
            None => NotTrippedReason::ModeOnlyObserves,
        }
    }

    fn explain_withheld(&self, check: GuardCheck, now: Timestamp) -> NotTrippedReason {
        match self.frozen_at(now).filter(|_| check == GuardCheck::Freeze) {
            Some(why) => NotTrippedReason::Frozen { why },
            None => NotTrippedReason::Withheld(check),
        }
    }

    fn explain_ordered(&self, at: usize) -> NotTrippedReason {
        let cold = &self.cold[at];
        let held = self.held_by(&cold.name);
        let budget = &self.rules.budgets[usize::from(cold.budget)];
        let stops = budget.on_trip.iter().any(|act| matches!(act, Act::PauseScaledObjects { .. }));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if !held.is_empty() {
            let proven = held.iter().filter(|(_, state)| *state == HoldState::Verified).count();
            NotTrippedReason::Stopped { proven: count(proven), of: count(held.len()) }
        } else if !stops {
            NotTrippedReason::RuleStopsNothing
        } else if !cold.is_trusted() {
            NotTrippedReason::Untrusted
        } else {
            let slot = u32::try_from(at).unwrap_or(u32::MAX);
            NotTrippedReason::NoTargets { left: self.expand(slot).left }
        }
    }
}

impl fmt::Display for NotTrippedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSeen => f.write_str("no charge under this name was ever seen; check the attribution rules"),
            Self::NoBudgetSelects => f.write_str("its charges are seen, but no budget selects them"),
            Self::CountedAsUnattributed => f.write_str(
                "its charges are seen, but more new names came than may have a breaker of their own \
                 (maxNewSubjectsPerSource), so they count as `unattributed`; ask about that: `breakerbox explain \
                 unattributed`",
            ),
            Self::BelowLimit { sum, limit, unit } => {
                write!(f, "spent {} of {}: below every threshold", unit.of(*sum), unit.of(*limit))
            }
            Self::Warned { sum, limit, unit } => {
                write!(f, "spent {} of {}: warned, below the limit", unit.of(*sum), unit.of(*limit))
            }
            Self::Arming(cause) => write!(f, "over its limit, and waits for {}", cause_in_words(*cause)),
            Self::ModeOnlyObserves => {
                f.write_str("tripped, but the rule's mode only observes or alerts; `mode: enforce` arms it")
            }
            Self::Withheld(check) => write!(f, "tripped, but withheld by the {} guard", check.word()),
            Self::Frozen { why } => write!(f, "tripped, and stopped once nothing is frozen any more: {why}"),
            Self::FirstDays { until, mode } => write!(
                f,
                "tripped, but its budget is new and may only {} until {until} (firstDays)",
                mode.word()
            ),
            Self::AwaitsApproval { until } => write!(f, "tripped, and waits for a person's yes until {until}"),
            Self::RuleStopsNothing => f.write_str("tripped, but the rule's onTrip stops nothing"),
            Self::NoTargets { left } => {
                f.write_str("tripped, but its selector names no object that may be stopped")?;
                left.iter().try_for_each(|(object, because)| write!(f, "; {object}: {because}"))
            }
            Self::Untrusted => f.write_str(
                "tripped, but its name rests on what callers assert or is unknown; that never selects a target",
            ),
            Self::Reset { above, unit } => {
                write!(f, "a person reset it; it trips again above {}", unit.of(*above))
            }
            Self::ClosedWindowOnly => f.write_str("a closed window was over its limit; that is shown, never acted on"),
            Self::Unpriced { usages } => {
                write!(f, "{usages} usage(s) have no price, so the sum may be too low; add a PriceBook")
            }
            Self::Stopped { proven, of } => write!(f, "it was stopped: {proven} of {of} target(s) proven at zero"),
        }
    }
}
