//! Charges of which a budget's `when` cannot tell whether it counts them.
//!
//! Unknown is neither yes nor no. Counting them could stop somebody for money that was never meant, so they are
//! not counted; not saying so would let a budget pass for whole that is not. So each is counted apart, and each
//! such budget paged once a day. Asked at each charge and not where its lane is resolved: lanes are a cache.

use crate::decision::DecisionKind;
use crate::page::PageTopic;
use crate::time::Span;

use super::{Engine, Outcome};

/// A budget that cannot tell whether it counts some charges.
#[derive(Clone, Debug)]
pub(super) struct Unjudged {
    /// Index of the budget.
    pub budget: usize,
    /// Why, for people.
    pub why: Box<str>,
}

impl Engine {
    pub(super) fn note_unjudged(&mut self, lane: u32, out: &mut Outcome) {
        self.counters.unjudged = self.counters.unjudged.saturating_add(1);
        for at in 0..self.lanes.unjudged(lane).len() {
            let budget = self.lanes.unjudged(lane)[at].budget;
            let Some(name) = self.rules.budgets.get(budget).map(|budget| budget.name.clone()) else {
                continue;
            };
            if !self.is_due(&format!("unjudged {name}"), Span::from_hours(24)) {
                continue;
            }
            let why = &self.lanes.unjudged(lane)[at].why;
            let place = self.rules.budgets[budget].select.when.as_ref().map(|when| when.place().to_string());
            let detail = format!(
                "budget `{name}` cannot tell whether it counts some charges, and does not count them: {why} \
                 ({}); ask first, as in `has(subject.tenant) && ..`",
                place.unwrap_or_default()
            );
            self.page(DecisionKind::Page { topic: PageTopic::Unjudged, detail }, out);
        }
    }
}
