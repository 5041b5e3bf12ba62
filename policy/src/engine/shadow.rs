//! Prices that are looked at before they count.
//!
//! Each charge is priced by both books. Sums, breakers and totals have the old price; the difference is kept
//! by tenant and model, for people. At the date that the rule names, or when a person says so, the new book
//! counts, and that is a change of prices like any other: what it alone brings over waits for a person.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::DecisionKind;
use crate::money::Money;
use crate::page::PageTopic;
use crate::price::{Amount, PriceBook, PriceIssue};
use crate::rule::{RuleSet, ShadowPrices};
use crate::time::Timestamp;

use super::{Engine, Outcome};

/// The book that is looked at, and what came of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shadow {
    pub book: PriceBook,
    /// Since when charges are priced by it too.
    since: Timestamp,
    /// By account.
    sums: BTreeMap<u32, Both>,
}

/// The same charges by both books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Both {
    counted: Money,
    shadow: Money,
    facts: u64,
    unpriced: u64,
}

/// Prices that are looked at, beside those that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowView {
    /// Id of the book that is looked at.
    pub prices: Box<str>,
    /// Since when charges are priced by it too.
    pub since: Timestamp,
    /// From then on it counts; `None`: when a person says so.
    pub until: Option<Timestamp>,
    /// What was charged since, by the book that counts.
    pub counted: Money,
    /// What would have been charged.
    pub shadow: Money,
    /// By tenant and model, the largest difference first.
    pub spend: Vec<ShadowSpend>,
}

/// What one tenant spent on one model by both books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShadowSpend {
    /// Tenant, where it is known and trusted.
    pub tenant: Option<Arc<str>>,
    /// Resolved model.
    pub model: Arc<str>,
    /// What was charged, by the book that counts.
    pub counted: Money,
    /// What would have been charged.
    pub shadow: Money,
    /// Usages.
    pub facts: u64,
    /// Of these, usage for which the book that is looked at has no price.
    pub unpriced: u64,
}

/// The books that a rule set makes: the one that counts, and the one that is looked at.
pub(super) type Books = (PriceBook, Option<PriceBook>);

impl Engine {
    /// What the prices of a rule set come to, each figure judged against the last one that was accepted.
    pub(super) fn books_of(&self, rules: &RuleSet) -> Result<Books, Vec<PriceIssue>> {
        let embedded = PriceBook::embedded();
        let counts = embedded.with_overrides_after(&rules.prices, &self.book)?;
        let Some(shadow) = &rules.shadow else { return Ok((counts, None)) };
        let book = embedded.with_overrides_after(&shadow.prices, &self.book)?;
        match self.shadow_is_over(shadow) || self.adopted.as_deref() == Some(book.id()) {
            true => Ok((book, None)),
            false => Ok((counts, Some(book))),
        }
    }

    /// A clock in doubt ends nothing.
    fn shadow_is_over(&self, shadow: &ShadowPrices) -> bool {
        self.clock_doubt.is_none() && shadow.until.is_some_and(|until| until <= self.now)
    }

    /// Looks at another book from now on; at the same one for longer.
    pub(super) fn look_at_prices(&mut self, book: Option<PriceBook>) {
        match (book, &self.shadow) {
            (Some(book), Some(shadow)) if shadow.book.id() == book.id() => {}
            (Some(book), _) => {
                self.shadow = Some(Shadow { book, since: self.now, sums: BTreeMap::new() });
                self.lanes.clear();
            }
            (None, None) => {}
            (None, Some(_)) => {
                self.shadow = None;
                self.lanes.clear();
            }
        }
    }

    /// What a usage would have cost, where it is priced by both books, and what it did. `None` within: it would
    /// have no price.
    pub(super) fn look_at_usage(&mut self, account: u32, would: Option<Option<Amount>>, counted: Money) {
        let (Some(would), Some(shadow)) = (would, &mut self.shadow) else { return };
        let both = shadow.sums.entry(account).or_default();
        both.counted = both.counted.saturating_add(counted);
        both.facts = both.facts.saturating_add(1);
        match would {
            Some(amount) => both.shadow = both.shadow.saturating_add(amount.money),
            None => both.unpriced = both.unpriced.saturating_add(1),
        }
    }

    /// The date has come from which on they count.
    pub(super) fn end_shadow(&mut self, out: &mut Outcome) {
        let rules = Arc::clone(&self.rules);
        if rules.shadow.as_ref().is_some_and(|shadow| self.shadow_is_over(shadow))
            && let Some(what) = self.adopt_shadow()
        {
            let detail = format!("{what}, by the date in its rule");
            self.page(DecisionKind::Page { topic: PageTopic::RuleChange, detail }, out);
        }
    }

    /// What is looked at counts from now on; says so, where there was something.
    pub(super) fn adopt_shadow(&mut self) -> Option<String> {
        let view = self.shadow_view()?;
        let shadow = self.shadow.take()?;
        let before = std::mem::replace(&mut self.book, shadow.book);
        self.highest = None;
        self.adopted = Some(view.prices.clone());
        let rules = Arc::clone(&self.rules);
        self.keep_book(before, &rules);
        self.lanes.clear();
        Some(format!(
            "prices {} count from now on; since {} they would have charged {} where {} was charged; what they \
             alone bring over its limit waits for a person",
            view.prices, view.since, view.shadow, view.counted
        ))
    }

    /// What is looked at, and what came of it.
    #[must_use]
    pub fn shadow_view(&self) -> Option<ShadowView> {
        let shadow = self.shadow.as_ref()?;
        let row = |(account, both): (&u32, &Both)| {
            let spend = self.spend.get(*account as usize)?;
            let (tenant, model) = (spend.tenant.clone(), Arc::clone(&spend.model));
            let Both { counted, shadow, facts, unpriced } = *both;
            Some(ShadowSpend { tenant, model, counted, shadow, facts, unpriced })
        };
        let mut spend: Vec<ShadowSpend> = shadow.sums.iter().filter_map(row).collect();
        let apart = |s: &ShadowSpend| s.shadow.saturating_sub(s.counted).picos().unsigned_abs();
        spend.sort_by(|a, b| {
            apart(b).cmp(&apart(a)).then_with(|| (&a.tenant, &a.model).cmp(&(&b.tenant, &b.model)))
        });
        let sum = |of: fn(&ShadowSpend) -> Money| {
            spend.iter().fold(Money::ZERO, |sum, row| sum.saturating_add(of(row)))
        };
        Some(ShadowView {
            prices: shadow.book.id().into(),
            since: shadow.since,
            until: self.rules.shadow.as_ref().and_then(|shadow| shadow.until),
            counted: sum(|row| row.counted),
            shadow: sum(|row| row.shadow),
            spend,
        })
    }
}
