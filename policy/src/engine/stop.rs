//! From a trip to orders: expand the selector over the inventory, ask the engine's own guards, order.
//!
//! The engine asks what it alone can know (mode and ceiling, clock, freeze, inventory, blast radius). The
//! gateway in `actions` asks again, and more, just before each write.

use std::collections::{BTreeMap, BTreeSet};

use crate::breaker::{Cold, Stage, State, Trip};
use crate::decision::{Blast, DecisionKind, Effect, HoldState, Order};
use crate::fact::{GuardAnswer, GuardCheck};
use crate::id::OrderId;
use crate::inventory::{ObjectKey, ScaledObject};
use crate::rule::{Act, Budget, Mode, TargetSelector, Template};
use crate::subject::{FieldName, Trust};
use crate::time::Timestamp;

use super::hold::Hold;
use super::protect::{exception, protection, protection_of_kind};
use super::{Engine, Outcome};

/// A person's yes to a trip.
#[derive(Clone, Debug)]
pub(super) struct Yes {
    pub by: String,
    /// To these very objects: the blast radius was shown. What comes later is counted against it.
    pub to_these: bool,
}

type Labels = BTreeMap<Box<str>, Box<str>>;

/// What a trip's selectors come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    /// To be stopped, sorted.
    pub targets: Vec<ObjectKey>,
    /// Named by the selector, but not to be stopped, and why.
    pub left: Vec<(ObjectKey, String)>,
    /// ScaledObjects that this rule could stop at all.
    pub eligible: u32,
}

/// The selectors of all that a trip of this budget stops.
pub(super) fn selectors_of(budget: &Budget) -> impl Iterator<Item = &TargetSelector> {
    budget.on_trip.iter().filter_map(|act| match act {
        Act::PauseScaledObjects { targets, .. } => Some(targets),
        Act::Notify { .. } => None,
    })
}

/// Fields of the breaker that a selector takes its values from.
fn fields_of(selector: &TargetSelector) -> impl Iterator<Item = &FieldName> {
    let labels = selector.namespace_labels.iter().chain(&selector.labels).map(|(_, template)| template);
    selector.namespaces.iter().chain(labels).filter_map(|template| match template {
        Template::Field(field) => Some(field),
        Template::Literal(_) => None,
    })
}

/// A target newly stopped, for the blast radius.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Stop {
    pub at: Timestamp,
    pub target: ObjectKey,
    pub budget: Box<str>,
}

impl Engine {
    /// Whether a trip of that breaker can name an object at all: its rule stops something, and the values that its
    /// targets depend on are known and trusted. What is nobody's, or only asserted, never selects a target.
    #[must_use]
    pub fn can_stop(&self, breaker: &str) -> bool {
        let Some(slot) = self.slot_of(breaker) else { return false };
        let (budget, cold) = (self.budget_of(slot), &self.cold[slot as usize]);
        let is_known = |field: &FieldName| {
            let at = budget.per_each.iter().position(|name| name == field);
            let value = at.and_then(|at| cold.values.get(at));
            value.is_some_and(|value| value.trust == Trust::Trusted && value.value.is_some())
        };
        selectors_of(budget).any(|selector| fields_of(selector).all(is_known))
    }

    /// Which objects a trip of this breaker is for. A `${field}` takes only a trusted, non-empty value;
    /// without one nothing is selected (invariant 10).
    pub(super) fn expand(&self, slot: u32) -> Expansion {
        let cold = &self.cold[slot as usize];
        let mut found = Expansion::default();
        let empty = Labels::new();
        let selectors: Vec<&TargetSelector> = selectors_of(self.budget_of(slot)).collect();
        for (key, object) in &self.inventory.scaled_objects {
            let labels = self.inventory.labels_of(&key.namespace).unwrap_or(&empty);
            let carriers = [&object.labels, self.workload_labels(object), labels];
            let rail = &self.rules.guardrail;
            let shield = protection(rail, key, &carriers)
                .or_else(|| protection_of_kind(rail, key, object.workload.as_ref()));
            if shield.is_none() && !object.deleting {
                found.eligible += 1;
            }
            let Some(selector) = selectors.iter().find(|s| self.matches(s, cold, key, object, labels)) else {
                continue;
            };
            let spared = exception(selector, &carriers)
                .or(shield)
                .or_else(|| object.deleting.then(|| "it is being deleted".to_owned()))
                .or_else(|| self.exemption(key));
            match spared {
                Some(because) => found.left.push((key.clone(), because)),
                None => found.targets.push(key.clone()),
            }
        }
        found
    }

    /// Labels of what a ScaledObject scales; none where it is not known.
    pub(super) fn workload_labels(&self, object: &ScaledObject) -> &Labels {
        static NONE: Labels = Labels::new();
        let workload = object.workload.as_ref().and_then(|key| self.inventory.workloads.get(key));
        workload.map_or(&NONE, |workload| &workload.labels)
    }

    fn exemption(&self, key: &ObjectKey) -> Option<String> {
        self.exempt.get(key).map(|until| format!("a person released it until {until}"))
    }

    fn matches(
        &self,
        selector: &TargetSelector,
        cold: &Cold,
        key: &ObjectKey,
        object: &ScaledObject,
        namespace: &Labels,
    ) -> bool {
        let value = |template: &Template| self.literal(cold, template);
        let has = |labels: &Labels, (name, template): &(Box<str>, Template)| {
            value(template).is_some_and(|want| labels.get(name) == Some(&want))
        };
        let somewhere = selector.all
            || !selector.namespaces.is_empty()
            || !selector.namespace_labels.is_empty()
            || !selector.labels.is_empty();
        somewhere
            && (selector.namespaces.is_empty()
                || selector.namespaces.iter().any(|t| value(t).is_some_and(|want| want == key.namespace)))
            && selector.namespace_labels.iter().all(|pair| has(namespace, pair))
            && selector.labels.iter().all(|pair| has(&object.labels, pair))
    }

    /// The value of a template for this breaker, only where it may select something.
    fn literal(&self, cold: &Cold, template: &Template) -> Option<Box<str>> {
        match template {
            Template::Literal(text) => (!text.is_empty()).then(|| text.clone()),
            Template::Field(field) => {
                let per_each = &self.rules.budgets[usize::from(cold.budget)].per_each;
                let value = &cold.values[per_each.iter().position(|f| f == field)?];
                let text = value.value.as_ref().filter(|text| !text.is_empty())?;
                (value.trust == Trust::Trusted).then(|| text.clone())
            }
        }
    }

    /// Orders what a trip is for, or says which guard withholds it. What it holds already stays as it is.
    pub(super) fn order(&mut self, slot: u32, expansion: &Expansion, yes: Option<Yes>, out: &mut Outcome) {
        let fresh: Vec<ObjectKey> = expansion.targets.iter().filter(|t| !self.is_held(t)).cloned().collect();
        let unsaid = self.unsaid(slot, expansion);
        let blast = self.blast(&self.budget_of(slot).name, &fresh, expansion.eligible);
        let (stage, answer) = self.stage(slot, &fresh, &unsaid, blast, yes.as_ref());
        let approved_by = yes.map(|yes| yes.by);
        let before = self.trip_of(slot).map(|t| t.stage);
        if let Some(trip) = self.trip_of_mut(slot) {
            trip.stage = stage;
            trip.approved_by = approved_by.clone().or(trip.approved_by.take());
            trip.in_force |= stage == Stage::Ordered;
        }
        let (asked, mode) = match stage {
            Stage::Observed => return,
            Stage::Ordered => {
                return self.hold_all(slot, expansion, &fresh, blast, approved_by.as_deref(), out);
            }
            // A question is one, whatever mode a reload gives the rule.
            Stage::AwaitingApproval(_) => {
                let running = unsaid.into_iter().filter(|t| !self.is_settled(t)).collect();
                (running, self.mode_of(slot).min(Mode::Approve))
            }
            Stage::Withheld(_) => (fresh, self.mode_of(slot)),
        };
        if before != Some(stage) && !asked.is_empty() {
            self.withheld(slot, asked, answer, mode, out);
        }
    }

    /// Whether a yes would change nothing of it now: it is at zero already, or we have given up on it.
    fn is_settled(&self, target: &ObjectKey) -> bool {
        self.holds.get(target).is_some_and(|hold| match hold.state {
            HoldState::Verified | HoldState::Contested => true,
            HoldState::NotStopped => !hold.unanswered,
            HoldState::Ordered | HoldState::Restoring | HoldState::Released => false,
        })
    }

    /// Targets that a yes is needed for, where one is: those that this breaker does not hold, and all of them
    /// where its orders are not in force.
    fn unsaid(&self, slot: u32, expansion: &Expansion) -> Vec<ObjectKey> {
        let (name, in_force) =
            (&self.cold[slot as usize].name, self.trip_of(slot).is_some_and(|t| t.in_force));
        let held =
            |t: &ObjectKey| self.holds.get(t).is_some_and(|h| h.is_active() && h.holders.contains(name));
        expansion.targets.iter().filter(|t| !(in_force && held(t))).cloned().collect()
    }

    fn withheld(
        &mut self,
        slot: u32,
        targets: Vec<ObjectKey>,
        answer: Option<GuardAnswer>,
        mode: Mode,
        out: &mut Outcome,
    ) {
        let answers = answer.into_iter().collect();
        let asked = targets.clone();
        let why = self.why(slot);
        let decision =
            self.decide_in(mode, Some(slot), DecisionKind::Withheld { targets, answers }, why, out);
        if let Some(trip) = self.trip_of_mut(slot) {
            trip.decision = decision;
            trip.asked = asked;
            trip.told |= mode >= Mode::Alert;
        }
    }

    /// The engine's own guards, in the order of [`GuardCheck`].
    fn stage(
        &self,
        slot: u32,
        fresh: &[ObjectKey],
        unsaid: &[ObjectKey],
        blast: Blast,
        yes: Option<&Yes>,
    ) -> (Stage, Option<GuardAnswer>) {
        let no = |check: GuardCheck, detail: String| {
            (Stage::Withheld(check), Some(GuardAnswer { check, pass: false, detail }))
        };
        let mode = self.rule_mode(self.cold[slot as usize].budget);
        if mode < Mode::Approve {
            return (Stage::Observed, None);
        }
        // A question that was put stays one, whatever mode a reload gives the rule or the daemon meanwhile.
        let put = yes.is_none()
            && self.trip_of(slot).is_some_and(|t| matches!(t.stage, Stage::AwaitingApproval(_)));
        if self.posture.ceiling < Mode::Approve && !put {
            let why = self.posture.because.clone().unwrap_or_else(|| "its configuration says so".to_owned());
            return no(
                GuardCheck::Mode,
                format!("the daemon may only {}: {why}", self.posture.ceiling.word()),
            );
        }
        let asks = yes.is_none() && self.mode_of(slot) == Mode::Approve && !unsaid.is_empty();
        let many = self.too_many(slot, fresh, yes);
        if put || asks || many.is_some() {
            let until = self.now.plus(self.rules.guardrail.approval_expires);
            return (Stage::AwaitingApproval(until), Some(self.question(slot, many, until)));
        }
        if let Some(doubt) = &self.clock_doubt {
            return no(GuardCheck::Clock, doubt.clone());
        }
        if let Some(freeze) = self.frozen() {
            return no(GuardCheck::Freeze, freeze.to_owned());
        }
        if self.is_inventory_stale() {
            return no(GuardCheck::Inventory, self.inventory_age());
        }
        // Nothing new, nothing over: what was stopped a while ago keeps nobody from what stays stopped.
        let over = !fresh.is_empty() && (blast.by_rule > blast.rule_cap || blast.overall > blast.overall_cap);
        if over && !yes.is_some_and(|yes| yes.to_these) {
            return no(GuardCheck::BlastRadius, blast_detail(blast, self.rules.guardrail.per.to_string()));
        }
        (Stage::Ordered, None)
    }

    /// Counts distinct newly stopped targets in the guardrail's window, with these.
    pub(super) fn blast(&self, rule: &str, fresh: &[ObjectKey], eligible: u32) -> Blast {
        let rail = &self.rules.guardrail;
        let recent = self.stops.iter().filter(|s| s.at > self.now.minus(rail.per));
        let mut overall: BTreeSet<&ObjectKey> = fresh.iter().collect();
        let mut by_rule = overall.clone();
        for stop in recent {
            overall.insert(&stop.target);
            if *stop.budget == *rule {
                by_rule.insert(&stop.target);
            }
        }
        let share = u64::from(eligible) * u64::from(rail.per_rule.ppm()) / 1_000_000;
        Blast {
            eligible,
            by_rule: count(by_rule.len()),
            overall: count(overall.len()),
            rule_cap: u32::try_from(share).unwrap_or(u32::MAX).max(rail.at_least),
            overall_cap: rail.overall,
        }
    }

    /// Joins the holds there are and makes those that are not.
    fn hold_all(
        &mut self,
        slot: u32,
        expansion: &Expansion,
        fresh: &[ObjectKey],
        blast: Blast,
        approved_by: Option<&str>,
        out: &mut Outcome,
    ) {
        let holder = self.cold[slot as usize].name.clone();
        for target in &expansion.targets {
            if let Some(hold) = self.holds.get_mut(target).filter(|h| h.is_active()) {
                hold.holders.insert(holder.clone());
                hold.approved_by = hold.approved_by.take().or(approved_by.map(str::to_owned));
                if hold.orphan {
                    // Found at start: that it stands is said by its marks alone, and the trip needs a proof.
                    let detail = "held already, and not known why; to be proven".to_owned();
                    self.hold_becomes(target, HoldState::Ordered, detail, out);
                    self.give_order(target, Effect::PauseToZero, out);
                }
            }
        }
        let budget = self.budget_of(slot).name.clone();
        for target in fresh {
            let Some(object) = self.inventory.scaled_objects.get(target) else { continue };
            let uid = object.uid.clone();
            let mut hold = Hold::new(uid, holder.clone(), self.now);
            hold.approved_by = approved_by.map(str::to_owned);
            hold.blast = blast;
            self.stops.push_back(Stop { at: self.now, target: target.clone(), budget: budget.clone() });
            self.holds.insert(target.clone(), hold);
            self.give_order(target, Effect::PauseToZero, out);
        }
    }

    /// One order on one held target. The hold remembers its number; older receipts count no more.
    pub(super) fn give_order(&mut self, target: &ObjectKey, effect: Effect, out: &mut Outcome) {
        let id = self.take_order_id();
        let Some(hold) = self.holds.get(target) else { return };
        let slot = hold.holders.iter().find_map(|name| self.slot_of(name));
        let (why, mode, decision) = match slot {
            Some(slot) => {
                let mode = self.mode_of(slot);
                (self.why(slot), mode, self.trip_of(slot).map_or(hold.decision, |t| t.decision))
            }
            None => {
                let mode = self.idle_mode_of(hold).unwrap_or(self.posture.ceiling);
                (hold.why.clone(), mode, hold.decision)
            }
        };
        let Some(hold) = self.holds.get_mut(target) else { return };
        hold.order = id;
        hold.ordered_at = self.now;
        hold.attempt += 1;
        hold.why = why.clone();
        hold.decision = decision;
        out.orders.push(Order {
            id,
            decision,
            target: target.clone(),
            uid: hold.uid.clone(),
            effect,
            issued_at: self.now,
            expires_at: self.now.plus(self.settings.order_expiry),
            mode,
            approved_by: hold.approved_by.clone(),
            attempt: hold.attempt,
            holders: hold.holders.iter().cloned().collect(),
            blast: hold.blast,
            why,
        });
    }

    pub(super) fn take_order_id(&mut self) -> OrderId {
        let id = self.next_order;
        self.next_order = OrderId(id.0 + 1);
        id
    }

    /// A guard that said no may say yes now; new objects of a tripped breaker are stopped too. The cause
    /// is checked again each time.
    pub(super) fn order_again(&mut self, slot: u32, out: &mut Outcome) {
        let Some(trip) = self.trip_of(slot).cloned() else { return };
        let at = slot as usize;
        let still_over = trip.by.is_some()
            || trip.approved_by.is_some()
            || self.hot[at].sum >= self.cold[at].trip_mark(self.budget_of(slot));
        let closed = trip.window_end <= self.now;
        if !still_over || closed {
            return;
        }
        let due = match trip.stage {
            Stage::Observed => false,
            Stage::Withheld(GuardCheck::BlastRadius) => {
                // Asked again when the question lapses, not each second.
                self.now >= trip.since.plus(self.rules.guardrail.approval_expires)
            }
            Stage::Withheld(_) => true,
            Stage::AwaitingApproval(until) => {
                let unheard = !trip.told && self.mode_of(slot) >= Mode::Approve;
                // Nothing ran on that one could have asked about: that may have changed.
                let news = self.inventory_changed || !self.holds.is_empty();
                // A question that lapses in a freeze is put again after it: nobody's yes could do anything now.
                let lapsed = self.now >= until && (trip.asked.is_empty() || self.frozen().is_none());
                lapsed || unheard || (trip.asked.is_empty() && news)
            }
            Stage::Ordered => self.inventory_changed,
        };
        if due {
            let expansion = self.expand(slot);
            let yes = trip.approved_by.filter(|_| trip.stage == Stage::Ordered);
            let yes = yes.map(|by| Yes { by, to_these: false });
            self.order(slot, &expansion, yes, out);
        }
    }

    pub(super) fn is_held(&self, target: &ObjectKey) -> bool {
        self.holds.get(target).is_some_and(Hold::is_active)
    }

    pub(super) fn trip_of(&self, slot: u32) -> Option<&Trip> {
        match &self.cold[slot as usize].state {
            State::Tripped(trip) => Some(trip),
            _ => None,
        }
    }

    pub(super) fn trip_of_mut(&mut self, slot: u32) -> Option<&mut Trip> {
        match &mut self.cold[slot as usize].state {
            State::Tripped(trip) => Some(trip),
            _ => None,
        }
    }

    /// States of the targets that this breaker holds, for messages.
    pub(super) fn held_by(&self, name: &str) -> Vec<(ObjectKey, HoldState)> {
        let held = self.holds.iter().filter(|(_, h)| h.holders.contains(name));
        held.map(|(key, h)| (key.clone(), h.state)).collect()
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub(super) fn blast_detail(blast: Blast, per: String) -> String {
    format!(
        "{} of this rule in {per} (cap {}: of {} eligible), {} of all rules (cap {})",
        blast.by_rule, blast.rule_cap, blast.eligible, blast.overall, blast.overall_cap
    )
}
