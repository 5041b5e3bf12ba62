//! Freezes of the rules, by the clock: while one is in force nothing new is stopped and nothing is fired again;
//! what is held stays, and restores go on. What would have been stopped waits, and is judged when it ends.
//!
//! What is in force is read off the rules and the clock and kept until it next changes: it is no state, so
//! nothing that was begun can fail to end.

use crate::rule::{FROZEN_BY_RULES, Frozen, Guardrail};
use crate::time::Timestamp;

use super::Engine;

/// What the rules' freezes say, and how long that holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// From and until when; nothing is known where both are equal.
    holds: (Timestamp, Timestamp),
    /// Why nothing is stopped, where that is so.
    words: Option<String>,
}

impl Schedule {
    fn at(rail: &Guardrail, now: Timestamp) -> Self {
        match rail.frozen(now) {
            Some(frozen) => Self { holds: (now, frozen.until), words: Some(in_words(&frozen)) },
            None => {
                let next = rail.next_freeze(now).map_or(Timestamp::MAX, |next| next.from);
                Self { holds: (now, next), words: None }
            }
        }
    }
}

impl Engine {
    /// Looks at the rules' freezes, where what was seen last holds no longer.
    pub(super) fn read_schedule(&mut self) {
        let (from, until) = self.schedule.holds;
        if self.now < from || until <= self.now {
            self.schedule = Schedule::at(&self.rules.guardrail, self.now);
        }
    }

    /// Looks at them anew: the rules have changed.
    pub(super) fn forget_schedule(&mut self) {
        self.schedule = Schedule::at(&self.rules.guardrail, self.now);
    }

    /// Why nothing new is stopped now: a person said so, or the rules do.
    #[must_use]
    pub fn frozen(&self) -> Option<&str> {
        self.freeze.as_deref().or(self.schedule.words.as_deref())
    }

    /// The same as of an instant, for people; both where both hold.
    pub(super) fn frozen_at(&self, now: Timestamp) -> Option<String> {
        let scheduled = self.rules.guardrail.frozen(now).map(|frozen| in_words(&frozen));
        match (self.freeze.clone(), scheduled) {
            (Some(person), Some(rules)) => Some(format!("{person}; also {rules}")),
            (person, rules) => person.or(rules),
        }
    }

    /// When the rules freeze next, as of an instant, in words.
    pub(super) fn next_freeze(&self, now: Timestamp) -> Option<String> {
        let rail = &self.rules.guardrail;
        // After the one that is in force, the next is the first that begins after its end.
        let from = rail.frozen(now).map_or(now, |frozen| frozen.until);
        rail.next_freeze(from).map(|next| format!("from {} {next}", next.from))
    }
}

fn in_words(frozen: &Frozen<'_>) -> String {
    format!("{FROZEN_BY_RULES} {frozen}")
}
