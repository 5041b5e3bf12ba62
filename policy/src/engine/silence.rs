//! Silence that stops: a budget with `onStale: trip` counts one source, and that source says nothing although
//! another signal shows that there is usage. What is spent unseen has no sum, so only a rule that says so trips.

use crate::decision::{Cause, ReleaseCause};
use crate::rule::OnStale;

use super::{Engine, Outcome};

impl Engine {
    /// The silence that trips a breaker, where one does: of a breaker that its source charged in this window.
    pub(super) fn silence_of(&self, slot: u32) -> Option<Cause> {
        let budget = self.budget_of(slot);
        if budget.on_stale != OnStale::Trip || self.hot[slot as usize].facts == 0 {
            return None;
        }
        let source = budget.select.one_source()?;
        let signal = self.sources.get(source)?.traffic_seen.clone()?;
        Some(Cause::Silence { source: source.into(), signal })
    }

    /// A source is silent although there is usage. Each breaker that rests on it is looked at.
    pub(super) fn judge_silence(&mut self, source: &str, signal: &str, out: &mut Outcome) {
        if let Some(status) = self.sources.get_mut(source) {
            status.traffic_seen = Some(signal.into());
        }
        let rests = |slot: &u32| {
            let budget = self.budget_of(*slot);
            budget.on_stale == OnStale::Trip && budget.select.one_source() == Some(source)
        };
        let all = 0..u32::try_from(self.hot.len()).unwrap_or(u32::MAX);
        for slot in all.filter(rests).collect::<Vec<_>>() {
            if self.has_ended(slot) {
                self.roll(slot, out);
            }
            self.judge(slot, None, out);
        }
    }

    /// What ends a trip by silence: its source is heard again.
    pub(super) fn heard_again(&self, slot: u32) -> Option<ReleaseCause> {
        let trip = self.trip_of(slot)?;
        let Cause::Silence { source, .. } = &trip.cause else { return None };
        let silent = self.sources.get(source).is_some_and(|status| status.traffic_seen.is_some());
        (!silent).then_some(ReleaseCause::SourceHeard)
    }
}
