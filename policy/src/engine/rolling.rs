//! Rolling windows. They have no end at which everything could be forgotten, so each thing leaves by itself:
//! what was charged with its bucket, and what a person or a reload said after one length of the window. A clock
//! in doubt makes nothing leave.

use crate::breaker::{Bucket, Side, State};
use crate::money::Money;
use crate::rule::WindowSpec;
use crate::time::{Span, Timestamp};

use super::usage::Posting;
use super::{Engine, Outcome};

impl Engine {
    /// How long the window of a breaker is, where it is a rolling one.
    pub(super) fn rolling(&self, slot: u32) -> Option<Span> {
        match self.budget_of(slot).window {
            WindowSpec::Rolling(length) => Some(length),
            WindowSpec::Calendar { .. } | WindowSpec::Lifetime => None,
        }
    }

    pub(super) fn post_rolling(&mut self, slot: u32, length: Span, posting: &Posting<'_>, out: &mut Outcome) {
        let (now, doubt) = (self.now, self.clock_doubt.is_some());
        if posting.at <= now.minus(length) && !doubt {
            return; // it left the window before it came; the journal's rollups have it
        }
        let excess = if posting.excess.is_empty() { Money::ZERO } else { self.excess_of(slot, posting) };
        let charge = Bucket { sum: posting.amount, excess, facts: 1, ..Bucket::default() };
        self.add_to_window(slot, length, posting.at, &charge);
        self.slide(slot, length);
        if posting.amount > Money::from_picos(i128::from(self.hot[slot as usize].floor)) {
            self.keep_largest(slot, posting);
        }
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        if !matches!(cold.state, State::Clear) || hot.sum >= hot.next_mark {
            self.judge(slot, Some(posting), out);
        }
    }

    /// Usage without a price: counted in the window that it belongs to, as a charge is.
    pub(super) fn note_unpriced(&mut self, slot: u32, at: Timestamp, out: &mut Outcome) {
        match self.rolling(slot) {
            None => {
                if self.has_ended(slot) {
                    self.roll(slot, out);
                }
                let window = self.budget_of(slot).window.at(at);
                let (hot, cold) = (&self.hot[slot as usize], &mut self.cold[slot as usize]);
                match hot.window.contains(at) {
                    true => cold.unpriced += 1,
                    false => cold.side().window(window).unpriced += 1,
                }
            }
            Some(length) if at <= self.now.minus(length) && self.clock_doubt.is_none() => {}
            Some(length) => {
                self.add_to_window(slot, length, at, &Bucket { unpriced: 1, ..Bucket::default() });
            }
        }
    }

    /// What usage without a price is assumed to cost, in the window of a breaker.
    pub(super) fn add_assumed(&mut self, slot: u32, at: Timestamp, assumed: Money) {
        match self.rolling(slot) {
            None => {
                let side = self.cold[slot as usize].side();
                side.assumed = side.assumed.saturating_add(assumed);
            }
            Some(length) => self.add_to_window(slot, length, at, &Bucket { assumed, ..Bucket::default() }),
        }
    }

    fn add_to_window(&mut self, slot: u32, length: Span, at: Timestamp, more: &Bucket) {
        let (hot, cold) = (&mut self.hot[slot as usize], &mut self.cold[slot as usize]);
        let side = cold.side();
        side.add_bucket(length, at, more);
        side.assumed = side.assumed.saturating_add(more.assumed);
        // Until it slides, which it does not while the clock is in doubt.
        hot.sum = hot.sum.saturating_add(more.sum);
        hot.facts = hot.facts.saturating_add(more.facts);
        cold.price_excess = cold.price_excess.saturating_add(more.excess);
        cold.unpriced = cold.unpriced.saturating_add(more.unpriced);
    }

    /// Moves the window of a breaker to the present. True when a reset or a reload has left it: then there may
    /// be something to judge that no charge brings.
    pub(super) fn slide(&mut self, slot: u32, length: Span) -> bool {
        if self.clock_doubt.is_some() {
            return false;
        }
        let (now, at) = (self.now, slot as usize);
        let (hot, cold) = (&mut self.hot[at], &mut self.cold[at]);
        let all = cold.side().slide(length, now);
        cold.side().assumed = all.assumed;
        (hot.sum, hot.facts) = (all.sum, all.facts);
        (cold.price_excess, cold.unpriced) = (all.excess, all.unpriced);
        let (start, kept) = (now.minus(length), cold.largest.len());
        // What is stopped is explained by the charges that led to it.
        if !matches!(cold.state, State::Tripped(_)) {
            cold.largest.retain(|charge| start < charge.occurred_at);
            cold.crossed_at = cold.crossed_at.filter(|crossed| start < *crossed);
        }
        let fewer = cold.largest.len() < kept;
        let (was_reset, by_reload) = (cold.reset_mark.is_some(), cold.by_reload);
        let side = cold.side();
        let reset_left = was_reset && Side::has_left(&mut side.reset_until, length, now);
        let reload_left = by_reload && Side::has_left(&mut side.reload_until, length, now);
        if reset_left {
            cold.reset_mark = None;
        }
        if reload_left {
            cold.by_reload = false;
            cold.on_time_over = false; // only what comes from now on lets it trip
        }
        if reset_left || reload_left {
            self.set_mark(slot);
        } else if fewer {
            self.set_floor(slot);
        }
        reset_left || reload_left
    }

    /// A person forgave the sum of a breaker, up to that mark.
    pub(super) fn forgive(&mut self, slot: u32, mark: Money) {
        let until = self.rolling(slot).map(|length| self.now.plus(length));
        let cold = &mut self.cold[slot as usize];
        cold.reset_mark = Some(mark);
        cold.by_reload = false;
        if until.is_some() {
            cold.side().reset_until = until;
            self.armed.insert(slot);
        }
        self.accept_prices(slot);
    }

    /// Nobody spent that: a change of rules brought it over.
    pub(super) fn blame_reload(&mut self, slot: u32) {
        let until = self.rolling(slot).map(|length| self.now.plus(length));
        let cold = &mut self.cold[slot as usize];
        cold.by_reload = true;
        if until.is_some() {
            cold.side().reload_until = until;
        }
    }
}
