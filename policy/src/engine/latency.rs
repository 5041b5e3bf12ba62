//! How long it takes from spending to a stop, and how much goes meanwhile: the overshoot bound of a budget.
//!
//! Latency is how old a charge on time was at most when it came, and how long a stop took at most from its
//! decision to its proof. Both are looked back upon for one to two hours; a stop that was never measured counts
//! as long as one is waited for.

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::time::{Span, Timestamp};

use super::Engine;

const HOUR: i64 = 3_600_000;

/// The longest of this hour and of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Longest {
    /// End of the hour.
    until: Timestamp,
    now: Span,
    before: Option<Span>,
}

impl Longest {
    /// Takes one more. With each charge, so it divides only once an hour.
    pub fn see(&mut self, span: Span, at: Timestamp) {
        if at >= self.until {
            self.begin_hour(at);
        }
        self.now = self.now.max(span);
    }

    fn begin_hour(&mut self, at: Timestamp) {
        let end = Timestamp::from_millis((at.millis().div_euclid(HOUR) + 1) * HOUR);
        self.before = (end.since(self.until) == Span::from_millis(HOUR)).then_some(self.now);
        (self.until, self.now) = (end, Span::ZERO);
    }

    fn get(&self) -> Span {
        self.now.max(self.before.unwrap_or_default())
    }
}

/// From spending to a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latency {
    /// How old charges on time are when they come.
    pub lag: Longest,
    /// How long stops take from decision to proof; none measured yet.
    pub proof: Option<Longest>,
}

impl Engine {
    /// From spending to a proven stop, at most, as far as is known.
    #[must_use]
    pub fn stop_latency(&self) -> Span {
        let proof = self.latency.proof.map_or(self.settings.refire_after, |longest| longest.get());
        Span::from_millis(self.latency.lag.get().millis().saturating_add(proof.millis()))
    }

    /// How much may be spent above the limit of a breaker before its stop is proven: its rate for as long as a stop
    /// takes, and what is under way. `None` where its rate is not known.
    pub(super) fn overshoot(&self, slot: u32, now: Timestamp) -> Option<Money> {
        let burn = self.burn(slot, now)?;
        let meanwhile = burn.per_hour.picos().checked_mul(i128::from(self.stop_latency().millis()))?;
        let pending = self.cold[slot as usize].pending;
        Some(Money::from_picos(meanwhile.checked_div(i128::from(HOUR))?).saturating_add(pending))
    }

    pub(super) fn see_proof(&mut self, decided_at: Timestamp, proven_at: Timestamp) {
        let took = proven_at.since(decided_at).max(Span::ZERO);
        self.latency.proof.get_or_insert_default().see(took, self.now);
    }
}
