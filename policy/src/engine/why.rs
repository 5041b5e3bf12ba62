//! Why something was decided about a breaker: facts, sum, limit, rule line and what brought it about.

use crate::breaker::Cold;
use crate::burn::Burn;
use crate::decision::{BreakerRef, Cause, Why};
use crate::rule::WindowSpec;
use crate::time::Timestamp;

use super::Engine;

impl Engine {
    /// How fast a breaker is charged as of an instant in its current window: recently, else on average.
    pub(super) fn burn(&self, slot: u32, now: Timestamp) -> Option<Burn> {
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        if self.clock_doubt.is_some() {
            return None;
        }
        let side = cold.side.as_ref();
        match &self.budget_of(slot).window {
            WindowSpec::Rolling(length) => side?.burn_of_buckets(*length, now),
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime if now >= hot.window.end => None,
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime => side
                .and_then(|side| side.burn_since_moment(now, hot.sum, self.steady_since))
                .or_else(|| Burn::of_window(hot.window, hot.sum, now)),
        }
    }

    /// Facts, sum, limit and rule line of a breaker as it stands.
    pub(super) fn why(&self, slot: u32) -> Why {
        let cause = self.trip_of(slot).map_or(Cause::Sum, |trip| trip.cause.clone());
        self.why_by(slot, cause)
    }

    /// The same for what brought it about.
    pub(super) fn why_by(&self, slot: u32, cause: Cause) -> Why {
        let (hot, cold): (_, &Cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        let budget = self.budget_of(slot);
        let window = self.window_of(slot);
        Why {
            breaker: Some(BreakerRef { name: cold.name.clone(), start: window.start, end: window.end }),
            episode: cold.episode.unwrap_or_else(|| self.episode_of(slot)),
            sum: hot.sum,
            limit: cold.limit,
            facts: hot.facts,
            burn: self.burn(slot, self.now),
            largest: cold.largest.clone(),
            unpriced: cold.unpriced,
            place: match &cause {
                Cause::Trigger { place, .. } => place.clone(),
                Cause::Sum | Cause::Person | Cause::Silence { .. } => budget.trip_place.clone(),
            },
            rules: self.rules.id.clone(),
            prices: self.book.id().into(),
            occurred_at: cold.crossed_at,
            note: String::new(),
            cause,
            unit: budget.limit.unit,
            revision: self.rules.revision.clone(),
        }
    }
}
