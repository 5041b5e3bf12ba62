//! Which source counts where two report the same spend.
//!
//! Usage of the others is remembered by its ids and set aside: priced, shown by source and tenant, and in no
//! sum. Only trusted fields say whose spend it is, or a caller could have its own set aside. While the source
//! that counts is silent nothing takes its place: what it catches up with would count a second time. Its
//! silence is paged, with what was set aside.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fact::Usage;
use crate::money::Money;
use crate::price::Amount;
use crate::rule::Authority;
use crate::subject::Subject;
use crate::time::Timestamp;

use super::select::holds;
use super::{Engine, MOST_ACCOUNTS};

/// Why usage of an origin is set aside, and when it happened for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Overruled {
    /// The source that counts; `None` where this one is not enabled.
    by: Option<Box<str>>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What was set aside, by source, the one that counts, and account. The account is `None` beyond the bound.
pub(super) type Asides = BTreeMap<AsideKey, Aside>;

type AsideKey = (Box<str>, Option<Box<str>>, Option<u32>);

/// What was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    amount: Money,
    facts: u64,
    unpriced: u64,
}

/// Usage that was set aside, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AsideView {
    /// The source that reported it.
    pub source: Box<str>,
    /// The source that counts for it; `None` where this one is not enabled.
    pub counts: Option<Box<str>>,
    /// Tenant, where it is known and trusted.
    pub tenant: Option<Arc<str>>,
    /// Resolved model; `None` of more pairs of tenant and model than are told apart.
    pub model: Option<Arc<str>>,
    /// What it would have been charged.
    pub amount: Money,
    /// Usages.
    pub facts: u64,
    /// Of these, without a price.
    pub unpriced: u64,
}

impl Engine {
    /// Why usage of a subject that this source reports is set aside, where it is.
    pub(super) fn overruled(&self, source: &str, subject: &Subject) -> Vec<Overruled> {
        let rules = &self.rules.sources;
        if rules.get(source).is_some_and(|rule| rule.disabled) {
            return vec![Overruled { by: None, from: None, until: None }];
        }
        let is_for = |authority: &&Authority| authority.subjects.iter().all(|c| holds(c, subject));
        let own: Vec<&Authority> =
            rules.get(source).map_or(Vec::new(), |rule| rule.authoritative.iter().filter(is_for).collect());
        let mut all = Vec::new();
        for (name, rule) in rules.iter().filter(|(name, rule)| ***name != *source && !rule.disabled) {
            for authority in rule.authoritative.iter().filter(is_for) {
                let over_us = authority.over.iter().any(|over| **over == *source);
                // Where each counts over the other, the first by name does: never neither, and never both.
                let mutual = own.iter().any(|own| own.over.contains(name) && own.overlaps(authority));
                if over_us && !(mutual && source < &**name) {
                    all.push(Overruled {
                        by: Some(name.clone()),
                        from: authority.from,
                        until: authority.until,
                    });
                }
            }
        }
        all
    }

    /// Sets a usage aside where another source counts for it; whether it did.
    pub(super) fn set_aside(&mut self, source: &str, row: &Usage, lane: u32, amount: Option<Amount>) -> bool {
        let Some(by) = self.counts_instead(lane, row.occurred_at).map(|o| o.by.clone()) else { return false };
        let account = self.lanes.get(lane).account;
        let key = (Box::from(source), by, Some(account));
        let full = self.asides.len() >= MOST_ACCOUNTS && !self.asides.contains_key(&key);
        let key = if full { (key.0, key.1, None) } else { key };
        let aside = self.asides.entry(key).or_default();
        aside.facts = aside.facts.saturating_add(1);
        match amount {
            Some(amount) => aside.amount = aside.amount.saturating_add(amount.money),
            None => aside.unpriced = aside.unpriced.saturating_add(1),
        }
        true
    }

    /// Whether what happened then is set aside.
    pub(super) fn is_set_aside(&self, lane: u32, at: Timestamp) -> bool {
        self.counts_instead(lane, at).is_some()
    }

    fn counts_instead(&self, lane: u32, at: Timestamp) -> Option<&Overruled> {
        let then =
            |o: &&Overruled| o.from.is_none_or(|from| from <= at) && o.until.is_none_or(|end| at < end);
        self.lanes.overruled(lane)?.iter().find(then)
    }

    /// What others reported that this source counts for, since the journal began.
    pub(super) fn set_aside_for(&self, source: &str) -> Money {
        let own = self.asides.iter().filter(|((_, by, _), _)| by.as_deref() == Some(source));
        own.fold(Money::ZERO, |sum, (_, aside)| sum.saturating_add(aside.amount))
    }

    /// All that was set aside.
    pub(super) fn aside_views(&self) -> Vec<AsideView> {
        let view = |((source, counts, account), aside): (&AsideKey, &Aside)| {
            let spend = account.and_then(|account| self.spend.get(account as usize));
            AsideView {
                source: source.clone(),
                counts: counts.clone(),
                tenant: spend.and_then(|spend| spend.tenant.clone()),
                model: spend.map(|spend| Arc::clone(&spend.model)),
                amount: aside.amount,
                facts: aside.facts,
                unpriced: aside.unpriced,
            }
        };
        self.asides.iter().map(view).collect()
    }
}
