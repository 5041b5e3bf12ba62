//! The pace of a breaker: what it was charged over the last minutes or hours, whatever its window.
//!
//! Each span is cut into twelve parts, and the part that is running counts as the last of the twelve. So what is
//! read covers between eleven twelfths of the span and all of it: never more than was spent in the span, and at
//! most what came in its first twelfth is missing. A trigger may fire a twelfth late; it never fires for money
//! that is older than it says.

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::time::{Span, Timestamp};

/// Parts that a span is cut into.
const PARTS: usize = 12;

/// What a breaker was charged over the spans of its triggers, and what they have said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// One for each span of the budget, in its order.
    pub rings: Vec<Ring>,
    /// Triggers that have warned and have not fallen back since: a bit for each.
    pub warned: u32,
    /// A change of rules may be why a trigger fires.
    pub blamed: Option<Blame>,
}

/// A change of rules that may be why a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// Until when that is believed.
    pub until: Timestamp,
    /// One has fired since: usual spend fires under the new rules.
    pub fired: bool,
}

/// What was charged over one span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    span: Span,
    /// Number of the newest part.
    newest: i64,
    parts: [Money; PARTS],
}

impl Pace {
    /// Nothing charged yet.
    #[must_use]
    pub fn new(spans: &[Span]) -> Self {
        Self { rings: spans.iter().map(|span| Ring::new(*span)).collect(), ..Self::default() }
    }

    /// Whether it measures these spans.
    #[must_use]
    pub fn is_over(&self, spans: &[Span]) -> bool {
        self.rings.iter().map(|ring| ring.span).eq(spans.iter().copied())
    }

    /// Adds a charge. One ahead of the clock counts as of now.
    pub fn add(&mut self, at: Timestamp, now: Timestamp, amount: Money) {
        self.rings.iter_mut().for_each(|ring| ring.add(at, now, amount));
    }

    /// What was charged over a span, or at most a twelfth of it less; nothing for a span that is not measured.
    #[must_use]
    pub fn spent(&self, span: Span, now: Timestamp) -> Money {
        self.rings.iter().find(|ring| ring.span == span).map_or(Money::ZERO, |ring| ring.sum(now))
    }

    /// Forgets all that was charged.
    pub fn forget(&mut self) {
        self.rings.iter_mut().for_each(|ring| *ring = Ring::new(ring.span));
    }
}

impl Ring {
    fn new(span: Span) -> Self {
        Self { span, newest: i64::MIN, parts: [Money::ZERO; PARTS] }
    }

    /// Number of the part that an instant falls into.
    fn number(&self, at: Timestamp) -> i64 {
        let width = self.span.millis().checked_div(12).unwrap_or(1).max(1);
        at.millis().div_euclid(width)
    }

    fn add(&mut self, at: Timestamp, now: Timestamp, amount: Money) {
        let (current, number) = (self.number(now), self.number(at.min(now)));
        self.turn_to(current);
        if number > self.newest.saturating_sub(12)
            && let Some(part) = self.parts.get_mut(place(number))
        {
            *part = part.saturating_add(amount);
        }
    }

    /// Empties the parts that have left the span. After a clock that stepped back far, all of them.
    fn turn_to(&mut self, current: i64) {
        let steps = current.saturating_sub(self.newest);
        if !(-12..12).contains(&steps) {
            self.parts = [Money::ZERO; PARTS];
            self.newest = current;
        }
        while self.newest < current {
            self.newest = self.newest.saturating_add(1);
            if let Some(part) = self.parts.get_mut(place(self.newest)) {
                *part = Money::ZERO;
            }
        }
    }

    fn sum(&self, now: Timestamp) -> Money {
        let oldest = self.number(now).saturating_sub(12);
        let numbers = (0..12).map(|back| self.newest.saturating_sub(back));
        let parts = numbers.filter(|number| *number > oldest).filter_map(|n| self.parts.get(place(n)));
        parts.fold(Money::ZERO, |sum, part| sum.saturating_add(*part))
    }
}

fn place(number: i64) -> usize {
    usize::try_from(number.rem_euclid(12)).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test's own sums are small")]
mod tests {
    use super::*;

    const SPAN: Span = Span::from_mins(12);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_040_000 + seconds * 1_000)
    }

    #[test]
    fn a_span_holds_what_was_charged_in_it_and_at_most_a_twelfth_less() {
        let mut pace = Pace::new(&[SPAN]);
        let mut charges: Vec<(i64, i128)> = Vec::new();
        for n in 0..4_000_i64 {
            let (second, amount) = (n * 7, i128::from(n % 13));
            pace.add(at(second), at(second), Money::from_picos(amount));
            charges.push((second, amount));
            let within =
                |span: i64| charges.iter().filter(|(s, _)| *s > second - span).map(|(_, a)| a).sum::<i128>();
            let spent = pace.spent(SPAN, at(second)).picos();
            assert!(within(11 * 60) <= spent && spent <= within(12 * 60), "{second}: {spent}");
        }
    }

    #[test]
    fn late_charges_count_where_they_were_spent_and_early_ones_now() {
        let mut pace = Pace::new(&[SPAN, Span::from_mins(1)]);
        pace.add(at(-600), at(0), Money::from_picos(1));
        pace.add(at(-7200), at(0), Money::from_picos(10));
        pace.add(at(240), at(0), Money::from_picos(100));
        assert_eq!(pace.spent(SPAN, at(0)).picos(), 101);
        assert_eq!(pace.spent(Span::from_mins(1), at(0)).picos(), 100);
        assert_eq!(pace.spent(SPAN, at(300)).picos(), 100);
        assert_eq!(pace.spent(SPAN, at(3600)).picos(), 0);
        assert_eq!(pace.spent(Span::from_mins(5), at(0)).picos(), 0, "nothing is known of another span");
    }

    #[test]
    fn a_clock_that_steps_back_far_begins_anew() {
        let mut pace = Pace::new(&[SPAN]);
        pace.add(at(0), at(0), Money::from_picos(5));
        pace.add(at(-86_400), at(-86_400), Money::from_picos(7));
        assert_eq!(pace.spent(SPAN, at(-86_400)).picos(), 7);
    }
}
