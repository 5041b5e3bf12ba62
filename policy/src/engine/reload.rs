//! A new rule set. Sums go on; nothing is ordered and nothing given back because of it (invariant 11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::breaker::{Cold, Hot, State, mark};
use crate::decision::DecisionKind;
use crate::money::Money;
use crate::page::PageTopic;
use crate::rule::{Budget, Mode, RuleSet, Trigger};
use crate::time::{Span, Timestamp};

use super::index::Index;
use super::{Engine, Outcome};

/// Breakers that a page about a reload names.
const MOST_NAMED: usize = 20;

impl Engine {
    pub(super) fn take_rules(&mut self, rules: &RuleSet, out: &mut Outcome) {
        if self.rules.id == rules.id {
            // The same rules, of another commit: what they lead to from now on names that one.
            if self.rules.revision != rules.revision {
                Arc::make_mut(&mut self.rules).revision.clone_from(&rules.revision);
            }
            return;
        }
        let first = self.rules.id.is_empty();
        let over_before = self.over();
        let chosen = self.chosen();
        let kept = self.kept_budgets(rules);
        let triggers: BTreeMap<u16, Vec<Trigger>> = kept
            .iter()
            .map(|(old, new)| (*new, self.rules.budgets[usize::from(*old)].triggers.clone()))
            .collect();
        let modes: BTreeMap<u16, Mode> = kept.iter().map(|(old, new)| (*new, self.rule_mode(*old))).collect();
        // A set is whole or not used.
        if !self.change_prices(rules, first, out) {
            return;
        }
        self.rules = Arc::new(rules.clone());
        self.forget_schedule();
        self.begin_first_days();
        self.override_ends = self.next_override_end();
        self.keep_slots(&kept);
        self.lanes.clear();
        self.keep_idle();
        let (mut newly_over, mut asked, mut widened) = (Vec::new(), Vec::new(), Vec::new());
        for slot in 0..u32::try_from(self.hot.len()).unwrap_or(u32::MAX) {
            let before = self.cold[slot as usize].limit;
            self.change_triggers(slot, &triggers);
            self.take_label(slot);
            if self.change_limit(slot, &over_before, out) {
                newly_over.push(self.difference(slot, before));
            }
            if let Some(before) = modes.get(&self.cold[slot as usize].budget)
                && self.change_mode(slot, *before, out)
            {
                asked.push(self.mode_difference(slot, *before));
            } else if let Some(before) = chosen.get(&self.cold[slot as usize].name) {
                widened.extend(self.ask_about_more(slot, before, out));
            }
        }
        self.page_reload("the new rules put {} breaker(s) over their limit", &newly_over, out);
        self.page_reload("the new rules may stop what {} tripped breaker(s) are for", &asked, out);
        self.page_reload("the new rules choose more of what {} tripped breaker(s) stop", &widened, out);
        self.page_lost_holders(out);
    }

    pub(super) fn over(&self) -> BTreeSet<Box<str>> {
        let over = |(hot, cold): (&Hot, &Cold)| {
            let budget = &self.rules.budgets[usize::from(cold.budget)];
            (hot.sum >= cold.trip_mark(budget)).then(|| cold.name.clone())
        };
        self.hot.iter().zip(&self.cold).filter_map(over).collect()
    }

    /// Old index → new index of each budget that still counts the same charges in the same windows.
    fn kept_budgets(&self, rules: &RuleSet) -> BTreeMap<u16, u16> {
        let same = |a: &Budget, b: &Budget| {
            a.name == b.name
                && a.select == b.select
                && a.per_each == b.per_each
                && a.window == b.window
                && a.within == b.within
        };
        let mut kept = BTreeMap::new();
        for (old, budget) in self.rules.budgets.iter().enumerate() {
            if let Some(new) = rules.budgets.iter().position(|b| same(budget, b))
                && let (Ok(old), Ok(new)) = (u16::try_from(old), u16::try_from(new))
            {
                kept.insert(old, new);
            }
        }
        kept
    }

    /// Breakers of budgets that are gone or count otherwise are dropped; what they hold stays held.
    fn keep_slots(&mut self, kept: &BTreeMap<u16, u16>) {
        let hot = std::mem::take(&mut self.hot);
        let cold = std::mem::take(&mut self.cold);
        self.armed.clear();
        for (hot, mut cold) in hot.into_iter().zip(cold) {
            let Some(budget) = kept.get(&cold.budget) else { continue };
            cold.budget = *budget;
            let slot = u32::try_from(self.hot.len()).unwrap_or(u32::MAX);
            if !matches!(cold.state, State::Clear) || cold.reset_mark.is_some() {
                self.armed.insert(slot);
            }
            self.hot.push(hot);
            self.cold.push(cold);
        }
        self.index = Index::of(&self.cold);
    }

    /// When the next override of a limit ends by its date, where one does.
    fn next_override_end(&self) -> Option<Timestamp> {
        let overrides = self.rules.budgets.iter().flat_map(|b| &b.limit.overrides);
        overrides.filter_map(|o| o.until).filter(|until| self.now < *until).min()
    }

    /// Limits whose override has ended, as after a change of rules: nobody spent what that brings over. A clock
    /// in doubt ends none.
    pub(super) fn end_overrides(&mut self, out: &mut Outcome) {
        if self.clock_doubt.is_some() || self.override_ends.is_none_or(|at| self.now < at) {
            return;
        }
        self.override_ends = self.next_override_end();
        let over_before = self.over();
        let mut newly_over = Vec::new();
        for slot in 0..u32::try_from(self.hot.len()).unwrap_or(u32::MAX) {
            let before = self.cold[slot as usize].limit;
            // A window that has ended closes with the limit that it had; the next one has its own.
            if !self.has_ended(slot) && self.change_limit(slot, &over_before, out) {
                newly_over.push(self.difference(slot, before));
            }
        }
        self.page_reload("overrides that ended put {} breaker(s) over their limit", &newly_over, out);
    }

    /// Takes the new limit; true when that alone brings the breaker over.
    pub(super) fn change_limit(
        &mut self,
        slot: u32,
        over_before: &BTreeSet<Box<str>>,
        out: &mut Outcome,
    ) -> bool {
        let at = slot as usize;
        if let Some(length) = self.rolling(slot) {
            self.slide(slot, length);
        }
        let budget = self.rules.budgets[usize::from(self.cold[at].budget)].clone();
        let limit = self.cold[at].limit_of(&budget, self.now);
        if limit < self.cold[at].limit {
            self.blame_rules_for_pace(slot);
        }
        let cold = &mut self.cold[at];
        cold.limit = limit;
        cold.warned = cold.warned.min(u8::try_from(budget.warn_at.len()).unwrap_or(u8::MAX));
        let over = self.hot[at].sum >= cold.trip_mark(&budget);
        let current = self.now < self.hot[at].window.end;
        let by_reload =
            over && current && !over_before.contains(&cold.name) && !matches!(cold.state, State::Tripped(_));
        if by_reload {
            self.blame_reload(slot);
        } else if !over {
            cold.by_reload = false;
        }
        self.forget_warnings(slot);
        self.set_mark(slot);
        if by_reload || (matches!(self.cold[at].state, State::Arming { .. }) && !over) {
            self.judge(slot, None, out);
        }
        by_reload
    }

    /// Thresholds that the sum is below under the limit that holds now: it warns of them again. A rolling window
    /// forgets them by itself.
    fn forget_warnings(&mut self, slot: u32) {
        let budget = self.budget_of(slot);
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        if self.rolling(slot).is_some() || !matches!(cold.state, State::Clear | State::Warned) {
            return;
        }
        let reached = budget.warn_at.iter().take_while(|share| hot.sum >= mark(cold.limit, **share)).count();
        let (reached, fast) = (u8::try_from(reached).unwrap_or(u8::MAX), self.is_fast(slot));
        let cold = &mut self.cold[slot as usize];
        cold.warned = cold.warned.min(reached);
        if cold.warned == 0 && !fast {
            cold.state = State::Clear;
        }
    }

    /// Takes new triggers. What they measure is the same where they say the same, wherever it is written.
    fn change_triggers(&mut self, slot: u32, before: &BTreeMap<u16, Vec<Trigger>>) {
        let Some(before) = before.get(&self.cold[slot as usize].budget) else { return };
        let said = |list: &[Trigger]| list.iter().map(|t| (t.measure, t.then)).collect::<Vec<_>>();
        if said(before) != said(&self.budget_of(slot).triggers) {
            self.blame_rules_for_pace(slot);
        }
    }

    /// What the new rules changed for a breaker that they bring over.
    pub(super) fn difference(&self, slot: u32, before: Money) -> String {
        let (hot, cold) = (&self.hot[slot as usize], &self.cold[slot as usize]);
        let (name, sum, limit) = (&cold.name, hot.sum, cold.limit);
        let (place, unit) = (&self.budget_of(slot).trip_place, self.budget_of(slot).limit.unit);
        let change = match before == limit {
            true => format!("trips at {} of {} now", self.budget_of(slot).trip_at, unit.of(limit)),
            false => format!("limit {} before, {} now", unit.of(before), unit.of(limit)),
        };
        format!("{name} ({change}, spent {}; {}:{})", unit.of(sum), place.file, place.line)
    }

    /// Says of which breakers the new rules changed something that a person must say yes to; `what` has `{}`
    /// where their number goes.
    pub(super) fn page_reload(&mut self, what: &str, breakers: &[String], out: &mut Outcome) {
        if breakers.is_empty() {
            return;
        }
        let more = breakers.len().saturating_sub(MOST_NAMED);
        let named = breakers[..breakers.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let detail = format!(
            "{}; nothing is stopped for that until a person approves or the window ends: {named}{more}",
            what.replace("{}", &breakers.len().to_string()),
        );
        self.page(DecisionKind::Page { topic: PageTopic::RuleChange, detail }, out);
    }

    /// Holds whose breaker is gone stay, and somebody must know.
    fn page_lost_holders(&mut self, out: &mut Outcome) {
        let lost: BTreeSet<Box<str>> = self
            .holds
            .values()
            .filter(|h| !h.orphan)
            .flat_map(|h| h.holders.iter().cloned())
            .filter(|name| self.slot_of(name).is_none() && self.idle_policy_of(name).is_none())
            .collect();
        for name in lost {
            let held: Vec<String> = self.held_by(&name).iter().map(|(key, _)| key.to_string()).collect();
            let detail = format!(
                "breaker `{name}` is no longer in the rules but still holds {}; it is given back only by a \
                 person: `breakerbox reset {name}`",
                held.join(", ")
            );
            self.page_once(
                &format!("lost {name}"),
                Span::from_hours(24),
                DecisionKind::Page { topic: PageTopic::RuleChange, detail },
                out,
            );
        }
    }
}
