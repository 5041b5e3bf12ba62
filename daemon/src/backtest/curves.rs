//! Spend over time, for the charts: the sum of each breaker in its window, looked at now and then.
//!
//! There may be a million breakers, so there is a bound: where there are more than are looked at, only those
//! that warned or tripped are, from then on.

use std::collections::{BTreeMap, BTreeSet};

use policy::engine::Engine;
use policy::money::Money;
use policy::time::{Span, Timestamp};
use serde::Serialize;

use super::beside::is_beside;

/// Looks at each breaker, over the whole record.
const LOOKS: i64 = 720;
/// Breakers that are looked at.
const MOST: usize = 1_000;
/// Lengths between two looks that people find natural.
const EVERY: [Span; 11] = [
    Span::from_mins(1),
    Span::from_mins(5),
    Span::from_mins(10),
    Span::from_mins(15),
    Span::from_mins(30),
    Span::from_hours(1),
    Span::from_hours(2),
    Span::from_hours(3),
    Span::from_hours(6),
    Span::from_hours(12),
    Span::from_hours(24),
];

/// What one breaker spent in its window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Curve {
    /// Name of its budget.
    pub budget: Box<str>,
    /// Instants in milliseconds since the epoch, rising, each with the sum then and the limit.
    pub points: Vec<(i64, Money, Money)>,
    /// The largest share of its limit that was seen, in millionths.
    pub furthest: u32,
}

/// All curves, by breaker.
#[derive(Debug)]
pub struct Curves {
    every: Span,
    next: Timestamp,
    /// Numbers of breakers that are looked at, as far as they are known.
    looked: Vec<u32>,
    known: u32,
    curves: BTreeMap<Box<str>, Curve>,
}

impl Curves {
    /// For a record from one instant to another.
    #[must_use]
    pub fn new(first: Timestamp, last: Timestamp) -> Self {
        let wanted = Span::from_millis(last.since(first).millis() / LOOKS);
        let every = EVERY.into_iter().find(|every| *every >= wanted).unwrap_or(wanted);
        Self { every, next: up(first, every), looked: Vec::new(), known: 0, curves: BTreeMap::new() }
    }

    /// When it is time to look again.
    #[must_use]
    pub const fn next(&self) -> Timestamp {
        self.next
    }

    /// How long between two looks.
    #[must_use]
    pub const fn every(&self) -> Span {
        self.every
    }

    /// Looks at the breakers as of just before `now`, whose windows have not rolled yet.
    pub fn look(&mut self, engine: &Engine, now: Timestamp) {
        let just_before = now.minus(Span::from_millis(1));
        self.next = up(now.plus(Span::from_millis(1)), self.every);
        let count = u32::try_from(engine.breaker_count()).unwrap_or(u32::MAX);
        while self.known < count && self.looked.len() < MOST {
            let view = engine.breakers(&[self.known], just_before);
            if view.first().is_some_and(|view| !is_beside(&view.name)) {
                self.looked.push(self.known);
            }
            self.known += 1;
        }
        for view in engine.breakers(&self.looked, just_before) {
            self.point(&view.name, &view.budget, now, view.sum, view.limit);
            if view.end <= now {
                let began = now.plus(Span::from_millis(1));
                self.point(&view.name, &view.budget, began, Money::ZERO, view.limit);
            }
        }
    }

    /// A breaker warned or tripped: a point of its own, and one that is looked at from now on.
    pub fn mark(&mut self, breaker: &str, at: Timestamp, sum: Money, limit: Money) {
        let budget = breaker.split('/').next().unwrap_or(breaker);
        self.point(breaker, budget, at, sum, limit);
    }

    fn point(&mut self, breaker: &str, budget: &str, at: Timestamp, sum: Money, limit: Money) {
        if !self.curves.contains_key(breaker) {
            if self.curves.len() >= 2 * MOST {
                return;
            }
            self.curves.insert(breaker.into(), Curve { budget: budget.into(), ..Curve::default() });
        }
        let Some(curve) = self.curves.get_mut(breaker) else { return };
        curve.furthest = curve.furthest.max(sum.percent_of(limit).map_or(u32::MAX, |share| share.ppm()));
        let n = curve.points.len();
        // A window that began at this very instant has a point just after it already.
        let at = curve.points.last().map_or(at.millis(), |(last, ..)| at.millis().max(*last));
        // Of a stretch that stands still only the ends are kept.
        if n >= 2 && curve.points[n - 2..].iter().all(|(_, s, l)| (*s, *l) == (sum, limit)) {
            curve.points.truncate(n - 1);
        }
        curve.points.push((at, sum, limit));
    }

    /// The most telling ones: those named first, in that order, then those that came the furthest.
    #[must_use]
    pub fn most_telling(mut self, first: &[Box<str>], most: usize) -> Vec<(Box<str>, Curve)> {
        let mut chosen = Vec::new();
        let mut seen = BTreeSet::new();
        for name in first {
            if seen.insert(name.clone())
                && let Some(curve) = self.curves.remove(name)
            {
                chosen.push((name.clone(), curve));
            }
        }
        let mut rest: Vec<_> = self.curves.into_iter().collect();
        rest.sort_by(|(a, x), (b, y)| y.furthest.cmp(&x.furthest).then_with(|| a.cmp(b)));
        chosen.extend(rest);
        chosen.truncate(most);
        chosen
    }
}

/// The first multiple of a span at or after an instant.
fn up(at: Timestamp, every: Span) -> Timestamp {
    let every = every.millis().max(1);
    let past = at.millis().rem_euclid(every);
    if past == 0 { at } else { at.plus(Span::from_millis(every - past)) }
}
