//! Changes of prices. A crossing that only a new price explains waits for a person (invariant 11), so each
//! charge is also priced as it would have been when its window began.

use serde::{Deserialize, Serialize};

use crate::breaker::Cold;
use crate::decision::DecisionKind;
use crate::money::Money;
use crate::page::PageTopic;
use crate::price::PriceBook;
use crate::rule::{RuleSet, WindowSpec};
use crate::time::{Span, Timestamp};

use super::usage::Posting;
use super::{Engine, Outcome};

/// Books before the present one that are kept. Of more, windows that began under one of the older ones are
/// measured by the oldest: too much waits for a person then, and nothing is stopped for a price.
pub(super) const MOST_BOOKS: usize = 8;

/// A book that was in force when some window began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    pub book: PriceBook,
    /// When the next one came.
    until: Timestamp,
    /// Which change that was, counted from 1.
    change: u32,
}

impl Engine {
    /// Prices change for new facts only; what was booked stays. False where a figure is refused, and all stays as
    /// it is: each is judged against the last one that was accepted, not against the embedded one.
    pub(super) fn change_prices(&mut self, rules: &RuleSet, first: bool, out: &mut Outcome) -> bool {
        if rules.prices == self.rules.prices && !first {
            return true;
        }
        match PriceBook::embedded().with_overrides_after(&rules.prices, &self.book) {
            Ok(book) => {
                let before = std::mem::replace(&mut self.book, book);
                self.highest = None;
                if !first {
                    self.keep_book(before, rules);
                }
                true
            }
            Err(issues) => {
                let detail = format!(
                    "the new rules are not taken, and those before stay in force: of their prices {} are refused, \
                     {}",
                    issues.len(),
                    issues.first().map_or(String::new(), ToString::to_string)
                );
                let kind = DecisionKind::Page { topic: PageTopic::RuleChange, detail };
                self.page_once(&format!("prices {}", rules.id), Span::from_hours(1), kind, out);
                false
            }
        }
    }

    /// Keeps the book that has just been replaced, and of the others those that a window may still know.
    fn keep_book(&mut self, book: PriceBook, rules: &RuleSet) {
        self.price_changes = self.price_changes.saturating_add(1);
        self.past_books.push(Past { book, until: self.now, change: self.price_changes });
        if self.clock_doubt.is_none() {
            let began = |window: &WindowSpec| match window {
                WindowSpec::Rolling(length) => self.now.minus(*length),
                WindowSpec::Calendar { .. } | WindowSpec::Lifetime => window.at(self.now).start,
            };
            let oldest = rules.budgets.iter().map(|b| began(&b.window)).min().unwrap_or(self.now);
            self.past_books.retain(|past| oldest < past.until);
        }
        while self.past_books.len() > MOST_BOOKS {
            let joined = self.past_books.remove(1);
            (self.past_books[0].until, self.past_books[0].change) = (joined.until, joined.change);
        }
    }

    /// How much more a charge cost a breaker than with the prices that its window began with, or that a
    /// person has accepted since.
    pub(super) fn excess_of(&self, slot: u32, posting: &Posting<'_>) -> Money {
        let accepted = self.cold[slot as usize].prices_accepted;
        let start = self.window_of(slot).start;
        let known = |past: &Past| start < past.until && accepted < past.change;
        let book = self.past_books.iter().position(known);
        book.and_then(|book| posting.excess.get(book)).copied().unwrap_or(Money::ZERO)
    }

    /// A person looked: what the changes of prices added so far counts like all else in this window.
    pub(super) fn accept_prices(&mut self, slot: u32) {
        let cold: &mut Cold = &mut self.cold[slot as usize];
        cold.price_excess = Money::ZERO;
        cold.prices_accepted = self.price_changes;
        if let Some(side) = &mut cold.side {
            side.buckets.values_mut().for_each(|bucket| bucket.excess = Money::ZERO);
        }
    }
}
