//! After a commit: who is told what, and what is looked after once a tick.

use std::time::Duration;

use policy::engine::Outcome;
use policy::fact::{Fact, Trouble};
use policy::page::PageTopic;
use policy::rule::{CalendarUnit, RuleSet, WindowSpec};
use policy::time::Span;
use tokio::time::Instant;

use super::batch::Batch;
use super::{Telling, Turn};
use crate::journal::disk::Room;
use crate::journal::{Committed, Keep};

const PRUNE_EVERY: Span = Span::from_mins(1);

/// Sums by minute are kept for so long: what a chart of a month needs.
const MINUTES_KEPT: Span = Span::from_hours(35 * 24);

impl Turn {
    /// Orders and new notices go on; what finds no room waits in order, and is in the journal anyway.
    pub(super) fn pass_on(&mut self, outcome: &Outcome, committed: &Committed) {
        self.orders.extend(outcome.orders.iter().cloned());
        let fresh = committed.new_notices.iter().filter_map(|at| outcome.notices.get(*at));
        self.notices.extend(fresh.map(|notice| Telling { notice: notice.clone(), repeat: false }));
        while let Some(order) = self.orders.pop_front() {
            if let Err(back) = self.parts.orders.try_send(order) {
                self.orders.push_front(back.into_inner());
                break;
            }
        }
        while let Some(telling) = self.notices.pop_front() {
            if let Err(back) = self.parts.notices.try_send(telling) {
                self.notices.push_front(back.into_inner());
                break;
            }
        }
        self.parts.observed.waiting(self.orders.len(), self.notices.len());
    }

    /// What the engine was told to hold must hold for what is already on its way.
    pub(super) fn tell_levers(&self) {
        let (levers, engine) = (&self.parts.levers, &self.parts.engine);
        levers.frozen(engine.freeze());
        levers.clock_agrees(engine.clock_doubt().is_none());
        levers.rules(engine.rules());
    }

    /// The same, where this turn may have changed it.
    pub(super) fn tell_levers_after(&self, facts: &[Fact], outcome: &Outcome) {
        for fact in facts {
            if let Fact::Started(posture) | Fact::Posture(posture) = fact {
                self.parts.levers.ceiling(posture.ceiling);
            }
        }
        let may_change = |fact: &Fact| {
            matches!(fact, Fact::Rules(_) | Fact::Command(_) | Fact::Started(_) | Fact::Posture(_))
        };
        if !outcome.decisions.is_empty() || facts.iter().any(may_change) {
            self.tell_levers();
        }
    }

    /// Once a tick: the fact itself, the disk, and a little forgetting.
    pub(super) fn tick(&mut self) {
        self.next_tick = Instant::now() + self.parts.tick.max(Duration::from_millis(1));
        self.own.push(Fact::Tick);
        self.look_at_disk();
        let now = self.parts.clock.read().wall;
        if now >= self.next_prune {
            self.next_prune = now.plus(PRUNE_EVERY);
            let window = longest_window(self.parts.engine.rules(), self.parts.keep);
            let horizon = self.parts.engine.settings().horizon;
            let keep = Keep {
                turns_from: now.minus(window).minus(horizon),
                minutes_from: now.minus(MINUTES_KEPT),
                hours_from: now.minus(self.parts.keep),
            };
            match self.parts.journal.prune(keep) {
                Ok(true) => self.next_prune = now,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "could not forget"),
            }
        }
    }

    pub(super) fn look_at_disk(&mut self) {
        let room = self.parts.reserve.look(self.parts.journal.folder());
        let low = matches!(room, Room::Low(_));
        let was_low = self.pressure.send_replace(low);
        self.parts.observed.disk_low(low);
        // Without rules there is no route yet, and the page would go nowhere.
        let is_new = low && !self.disk_told && !self.parts.engine.rules().id.is_empty();
        self.disk_told = low && (self.disk_told || is_new);
        match room {
            Room::Low(free) if is_new => {
                let folder = self.parts.journal.folder().display();
                let detail = format!(
                    "the disk of `{folder}` has {} MiB left, less than the reserve of {} MiB: usage is not \
                     taken in until there is room; holds and restores go on",
                    free >> 20,
                    self.parts.reserve.bytes >> 20
                );
                tracing::error!("{detail}");
                self.own.push(Fact::Trouble(Trouble { topic: PageTopic::Posture, detail }));
            }
            Room::Enough if was_low => tracing::info!("the disk has room again: usage is taken in"),
            _ => {}
        }
    }

    /// What is still in the channels, without waiting.
    pub(super) fn drain(&mut self, batch: &mut Batch) {
        while let Ok(request) = self.urgent.try_recv() {
            self.take(request, batch);
            if batch.is_full() || self.command.is_some() {
                break;
            }
        }
        while !batch.is_full()
            && let Ok(envelope) = self.parts.intake.try_recv()
        {
            batch.put(envelope);
        }
        batch.forced = !self.deliveries.is_empty();
    }
}

/// The longest window of any budget; `forever` for those without an end, or that are longer.
#[must_use]
pub fn longest_window(rules: &RuleSet, forever: Span) -> Span {
    let days = |n: i64| Span::from_hours(24 * n);
    let longest = rules.budgets.iter().map(|budget| match &budget.window {
        WindowSpec::Rolling(span) => *span,
        WindowSpec::Lifetime => forever,
        // With a day to spare, for time zones and changing clocks.
        WindowSpec::Calendar { unit, .. } => match unit {
            CalendarUnit::Hour | CalendarUnit::Day => days(2),
            CalendarUnit::Week => days(8),
            CalendarUnit::Month => days(32),
            CalendarUnit::Quarter => days(93),
            CalendarUnit::Year => days(367),
        },
    });
    longest.max().unwrap_or(days(2)).min(forever)
}
