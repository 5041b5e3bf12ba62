//! A budget that is new here only does what `firstDays` of the Guardrail says: it is judged, told of and
//! recorded as what it would have done, and stops nothing.
//!
//! The engine remembers by name when it first saw each budget, whatever the Guardrail says, so that an edit
//! of a budget begins nothing anew. The end of the first days is a change of the rule's mode and is treated as
//! one: what stands tripped by then is asked about and not stopped (invariant 11). A clock in doubt ends none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decision::DecisionKind;
use crate::page::PageTopic;
use crate::rule::{Mode, RuleSet};
use crate::time::Timestamp;

use super::{Engine, Outcome};

/// Names of budgets that are remembered at most; those that are in no rule go first, the oldest of them.
const MOST_NAMES: usize = 1 << 16;
/// Budgets that a page names.
const MOST_NAMED: usize = 20;

/// Since when each budget is known, and which of those in the rules are in their first days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstSeen {
    names: BTreeMap<Box<str>, Timestamp>,
    /// Index of the budget, and when its first days end.
    until: BTreeMap<u16, Timestamp>,
}

impl FirstSeen {
    fn learn(&mut self, rules: &RuleSet, now: Timestamp) {
        for budget in &rules.budgets {
            self.names.entry(budget.name.clone()).or_insert(now);
        }
        if self.names.len() > MOST_NAMES {
            let mut gone: Vec<(Timestamp, Box<str>)> = self
                .names
                .iter()
                .filter(|(name, _)| rules.budgets.binary_search_by(|b| b.name.cmp(name)).is_err())
                .map(|(name, at)| (*at, name.clone()))
                .collect();
            gone.sort();
            for (_, name) in gone.into_iter().take(self.names.len() - MOST_NAMES) {
                self.names.remove(&name);
            }
        }
    }
}

impl Engine {
    /// What a rule may do by its own: its mode, in its first days no more than those allow.
    pub(super) fn rule_mode(&self, budget: u16) -> Mode {
        let mode = self.rules.budgets[usize::from(budget)].mode;
        match self.rules.guardrail.first_days {
            Some(first) if self.first_seen.until.contains_key(&budget) => mode.min(first.mode),
            _ => mode,
        }
    }

    /// When the first days of a budget end, where that keeps it from something.
    pub(super) fn first_days_of(&self, budget: u16) -> Option<Timestamp> {
        let until = self.first_seen.until.get(&budget)?;
        (self.rule_mode(budget) < self.rules.budgets[usize::from(budget)].mode).then_some(*until)
    }

    /// What a breaker waits for, with what its budget is kept from as long as it is new.
    pub(super) fn with_first_days(&self, budget: u16, detail: Option<String>) -> Option<String> {
        let Some(until) = self.first_days_of(budget) else { return detail };
        let new = format!("its budget is new: it may only {} until {until}", self.rule_mode(budget).word());
        Some(detail.map_or_else(|| new.clone(), |detail| format!("{detail}; {new}")))
    }

    /// The rules in force have changed: which of their budgets are new.
    pub(super) fn begin_first_days(&mut self) {
        let rules = std::sync::Arc::clone(&self.rules);
        self.first_seen.learn(&rules, self.now);
        self.first_seen.until.clear();
        let Some(first) = rules.guardrail.first_days else { return };
        for (at, budget) in (0..).zip(&rules.budgets) {
            let since = self.first_seen.names.get(&budget.name).copied().unwrap_or(self.now);
            let until = since.plus(first.length);
            if self.now < until {
                self.first_seen.until.insert(at, until);
            }
        }
    }

    /// First days that are over by now.
    pub(super) fn end_first_days(&mut self, out: &mut Outcome) {
        let ended = |until: &Timestamp| *until <= self.now;
        if self.clock_doubt.is_some() || !self.first_seen.until.values().any(ended) {
            return;
        }
        let over: BTreeMap<u16, Mode> = self
            .first_seen
            .until
            .iter()
            .filter(|(_, until)| ended(until))
            .map(|(at, _)| (*at, self.rule_mode(*at)))
            .collect();
        self.first_seen.until.retain(|at, _| !over.contains_key(at));
        self.page_first_days(&over, out);
        let mut asked = Vec::new();
        for slot in self.armed.iter().copied().collect::<Vec<_>>() {
            if let Some(before) = over.get(&self.cold[slot as usize].budget)
                && self.change_mode(slot, *before, out)
            {
                asked.push(self.mode_difference(slot, *before));
            }
        }
        self.page_reload("the end of their first days lets {} tripped breaker(s) stop things", &asked, out);
    }

    /// From now on they do what their mode says, and people should know before they notice.
    fn page_first_days(&mut self, over: &BTreeMap<u16, Mode>, out: &mut Outcome) {
        let said: Vec<String> = over
            .iter()
            .filter(|(at, before)| self.rule_mode(**at) != **before)
            .map(|(at, before)| {
                let (budget, after) = (&self.rules.budgets[usize::from(*at)], self.rule_mode(*at));
                format!("{} ({} before, {} now; {})", budget.name, before.word(), after.word(), budget.place)
            })
            .collect();
        if said.is_empty() {
            return;
        }
        let more = said.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = said.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let detail = format!("the first days of {} budget(s) are over: {named}{more}", said.len());
        self.page(DecisionKind::Page { topic: PageTopic::FirstDays, detail }, out);
    }
}
