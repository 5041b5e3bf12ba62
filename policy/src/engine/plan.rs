//! What the rules would do: every breaker with what it is for, and what would refuse it, as of now.
//!
//! Asked of an engine that was made for the question (from the journal, or anew) and is thrown away: what is
//! tried here, such as another rule set, changes nothing of the one that runs. Nothing is ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribution::glob_matches;
use crate::breaker::InstanceValue;
use crate::decision::DecisionKind;
use crate::fact::{Clock, Fact, GuardCheck};
use crate::inventory::{Inventory, InventoryChange, ObjectKey, ScaledObject};
use crate::money::{Money, Unit};
use crate::rule::{Budget, ChargeKind, Condition, Mode, RuleSet, Template, Test};
use crate::subject::{Trust, field};
use crate::time::Timestamp;

use super::protect::{exception, protection, protection_of_kind};
use super::stop::{blast_detail, selectors_of};
use super::{Engine, Outcome};

type Labels = BTreeMap<Box<str>, Box<str>>;

/// Breakers that a plan lists.
const MOST_BREAKERS: usize = 1_000;
/// Objects that are named for each breaker.
const MOST_OBJECTS: usize = 500;

/// What the rules of an engine would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// As of.
    pub now: Timestamp,
    /// Id of the rule set.
    pub rules: Box<str>,
    /// Its commit, where known.
    pub revision: Option<Box<str>>,
    /// The most that the daemon may do, in a word.
    pub ceiling: Box<str>,
    /// Why that is below what is configured: no Lease, a lost journal.
    pub because: Option<String>,
    /// ScaledObjects that are known.
    pub objects: u32,
    /// Of them, those that a rule could stop: not protected, not being deleted.
    pub eligible: u32,
    /// What the change to these rules says by itself: refused prices, breakers that it brings over.
    pub said: Vec<String>,
    /// By name.
    pub budgets: Vec<PlannedBudget>,
    /// The furthest first; at most a thousand.
    pub breakers: Vec<PlannedBreaker>,
    /// How many more there are.
    pub omitted: usize,
}

/// What a budget reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedBudget {
    /// Its name.
    pub name: Box<str>,
    /// Where it was written.
    pub place: String,
    /// How far it may go by itself.
    pub mode: Box<str>,
    /// Its limit, without the overrides.
    pub limit: String,
    /// Breakers that there are.
    pub breakers: usize,
    /// Where their sums come from.
    pub basis: Basis,
    /// Objects that its breakers could stop all together.
    pub reach: u32,
    /// Objects that the largest of them could stop: the worst blast radius of one trip.
    pub largest: u32,
    /// The most that it may newly stop in the guardrail's window.
    pub rule_cap: u32,
    /// The most that all rules may.
    pub overall_cap: u32,
}

/// Where the sums of a budget come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// Counted, charge by charge.
    #[default]
    Counted,
    /// Added up from what tenants spent by hour: the budget is new, and counts from its reload on.
    ByHour,
    /// Not known: the budget is new, and tells charges apart by more than tenant and model.
    Unknown,
}

/// What a breaker would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedBreaker {
    /// Its name.
    pub name: Box<str>,
    /// Its budget.
    pub budget: Box<str>,
    /// `Clear`, `Warned`, `Arming` or `Tripped`.
    pub state: Box<str>,
    /// Spent in its window.
    pub sum: Money,
    /// Its limit.
    pub limit: Money,
    /// What both count.
    pub unit: Unit,
    /// What it does now.
    pub now: Verdict,
    /// Objects that a trip stops and that are not stopped yet.
    pub targets: Vec<String>,
    /// Objects that are stopped already.
    pub held: Vec<String>,
    /// Objects that its selector names and that are left alone, each with the reason.
    pub left: Vec<(String, String)>,
    /// Guards that would refuse a trip now: the check and what it says.
    pub refusals: Vec<(String, String)>,
}

/// What a breaker does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// It is below its mark.
    #[default]
    Nothing,
    /// It is tripped, and what it is for is stopped.
    Holds,
    /// It is over and stops; no guard is against it.
    Stops,
    /// It is over and waits: its grace, or a person.
    Waits,
    /// It is over, and a guard or its mode keeps it from stopping.
    Withheld,
    /// It would be over by what was spent so far; it counts from its reload on.
    WouldBeOver,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing now",
            Self::Holds => "holds",
            Self::Stops => "stops",
            Self::Waits => "waits",
            Self::Withheld => "stops nothing",
            Self::WouldBeOver => "would be over",
        }
    }
}

/// What a tenant spent on a model in some hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Start of the hour.
    pub at: Timestamp,
    /// Tenant, where it was known.
    pub tenant: Option<String>,
    /// Model.
    pub model: String,
    /// Sum.
    pub amount: Money,
}

impl Engine {
    /// Takes another rule set and adds up what was spent so far for budgets that are new. Only for an engine that
    /// is thrown away.
    #[must_use]
    pub fn rehearse(&mut self, rules: &RuleSet, past: &[Past], now: Timestamp) -> Plan {
        let before: Arc<RuleSet> = Arc::clone(&self.rules);
        let outcome = self.step(self.clock_at(now), &[Fact::Rules(Box::new(rules.clone()))]);
        let mut basis = BTreeMap::new();
        for (index, budget) in rules.budgets.iter().enumerate() {
            let kept = before.budgets.iter().any(|old| counts_alike(old, budget));
            if !kept && !before.id.is_empty() {
                basis.insert(budget.name.clone(), self.seed(index, budget, past));
            }
        }
        Plan { said: said(&outcome), ..self.plan(&basis) }
    }

    /// What the cluster has, in place of what the journal last knew. Only for an engine that is thrown away.
    pub fn suppose(&mut self, inventory: Inventory, now: Timestamp) {
        let _ = self.step(self.clock_at(now), &[Fact::Inventory(InventoryChange::Snapshot(inventory))]);
    }

    /// Now, on the clocks of the last turn.
    fn clock_at(&self, now: Timestamp) -> Clock {
        let Some(last) = self.last_clock else { return Clock { wall: now, mono: 0 } };
        let passed = u64::try_from(now.since(last.wall).millis()).unwrap_or(0);
        Clock { wall: now.max(last.wall), mono: last.mono.saturating_add(passed) }
    }

    /// What the rules in force would do. `basis` names budgets whose sums are not counted.
    #[must_use]
    pub fn plan(&self, basis: &BTreeMap<Box<str>, Basis>) -> Plan {
        let mut slots: Vec<u32> = (0..u32::try_from(self.hot.len()).unwrap_or(u32::MAX)).collect();
        let views: Vec<_> = slots.iter().map(|slot| self.breaker_view(*slot as usize, self.now)).collect();
        slots.sort_by(|a, b| {
            let (a, b) = (&views[*a as usize], &views[*b as usize]);
            b.sum.percent_of(b.limit).cmp(&a.sum.percent_of(a.limit)).then_with(|| a.name.cmp(&b.name))
        });
        let budgets = self.rules.budgets.iter().map(|budget| self.planned_budget(budget, basis)).collect();
        let listed = slots.iter().take(MOST_BREAKERS);
        Plan {
            now: self.now,
            rules: self.rules.id.clone(),
            revision: self.rules.revision.clone(),
            ceiling: self.posture.ceiling.word().into(),
            because: self.posture.because.clone(),
            objects: u32::try_from(self.inventory.scaled_objects.len()).unwrap_or(u32::MAX),
            eligible: self.eligible(),
            said: Vec::new(),
            budgets,
            breakers: listed.map(|slot| self.planned(*slot, basis)).collect(),
            omitted: slots.len().saturating_sub(MOST_BREAKERS),
        }
    }

    fn planned(&self, slot: u32, basis: &BTreeMap<Box<str>, Basis>) -> PlannedBreaker {
        let view = self.breaker_view(slot as usize, self.now);
        let expansion = self.expand(slot);
        let (held, fresh): (Vec<ObjectKey>, Vec<ObjectKey>) =
            expansion.targets.iter().cloned().partition(|target| self.is_held(target));
        let refusals = self.refusals(slot, &fresh, expansion.eligible);
        let over = view.sum >= self.cold[slot as usize].trip_mark(self.budget_of(slot));
        let now = match &*view.state {
            "Tripped" if fresh.is_empty() => Verdict::Holds,
            "Tripped" if refusals.is_empty() => Verdict::Stops,
            "Tripped" => Verdict::Withheld,
            "Arming" => Verdict::Waits,
            _ if over && basis.contains_key(&view.budget) => Verdict::WouldBeOver,
            _ => Verdict::Nothing,
        };
        let named = |keys: &[ObjectKey]| keys.iter().take(MOST_OBJECTS).map(ToString::to_string).collect();
        let left = expansion.left.iter().take(MOST_OBJECTS);
        PlannedBreaker {
            name: view.name,
            budget: view.budget,
            state: view.state,
            sum: view.sum,
            limit: view.limit,
            unit: view.unit,
            now,
            targets: named(&fresh),
            held: named(&held),
            left: left.map(|(key, why)| (key.to_string(), why.clone())).collect(),
            refusals,
        }
    }

    fn planned_budget(&self, budget: &Budget, basis: &BTreeMap<Box<str>, Basis>) -> PlannedBudget {
        let groups = self.reach(budget);
        let rail = &self.rules.guardrail;
        let share = u64::from(self.eligible()) * u64::from(rail.per_rule.ppm()) / 1_000_000;
        let own = |cold: &&crate::breaker::Cold| {
            self.rules.budgets.get(usize::from(cold.budget)).is_some_and(|of| of.name == budget.name)
        };
        let total: usize = groups.values().map(BTreeSet::len).sum();
        PlannedBudget {
            name: budget.name.clone(),
            place: budget.place.to_string(),
            mode: budget.mode.word().into(),
            limit: budget.limit.unit.of(budget.limit.amount).to_string(),
            breakers: self.cold.iter().filter(own).count(),
            basis: basis.get(&budget.name).copied().unwrap_or_default(),
            reach: u32::try_from(total).unwrap_or(u32::MAX),
            largest: groups.values().map(|g| u32::try_from(g.len()).unwrap_or(u32::MAX)).max().unwrap_or(0),
            rule_cap: u32::try_from(share).unwrap_or(u32::MAX).max(rail.at_least),
            overall_cap: rail.overall,
        }
    }

    /// Everything that would keep a trip from stopping now. The engine itself asks until the first no; who reads a
    /// plan wants all of them.
    fn refusals(&self, slot: u32, fresh: &[ObjectKey], eligible: u32) -> Vec<(String, String)> {
        let mut refusals = Vec::new();
        let mut no = |check: GuardCheck, said: String| refusals.push((check.word().to_owned(), said));
        let mode = self.rule_mode(self.cold[slot as usize].budget);
        if mode < Mode::Approve {
            no(GuardCheck::Mode, format!("the rule's mode is `{}`: it stops nothing", mode.word()));
        } else if self.posture.ceiling < Mode::Approve {
            let why = self.posture.because.as_deref().unwrap_or("its configuration says so");
            no(GuardCheck::Mode, format!("the daemon may only {}: {why}", self.posture.ceiling.word()));
        } else if mode.min(self.posture.ceiling) == Mode::Approve {
            no(GuardCheck::Mode, "mode `approve` waits for a person".to_owned());
        }
        if let Some(many) = self.too_many(slot, fresh, None) {
            no(GuardCheck::Mode, format!("{many} objects at once wait for a person"));
        }
        if let Some(doubt) = &self.clock_doubt {
            no(GuardCheck::Clock, doubt.clone());
        }
        if let Some(freeze) = self.frozen() {
            no(GuardCheck::Freeze, freeze.to_owned());
        }
        if self.is_inventory_stale() {
            no(GuardCheck::Inventory, self.inventory_age());
        }
        let blast = self.blast(&self.budget_of(slot).name, fresh, eligible);
        if !fresh.is_empty() && (blast.by_rule > blast.rule_cap || blast.overall > blast.overall_cap) {
            no(GuardCheck::BlastRadius, blast_detail(blast, self.rules.guardrail.per.to_string()));
        }
        refusals
    }

    /// The labels that may protect or exempt an object: its own, its workload's, its namespace's.
    fn carriers<'e>(&'e self, key: &ObjectKey, object: &'e ScaledObject) -> [&'e Labels; 3] {
        static NONE: Labels = Labels::new();
        let namespace = self.inventory.labels_of(&key.namespace).unwrap_or(&NONE);
        [&object.labels, self.workload_labels(object), namespace]
    }

    /// Whether a rule could stop it at all.
    fn could_stop(&self, key: &ObjectKey, object: &ScaledObject) -> bool {
        let rail = &self.rules.guardrail;
        !object.deleting
            && protection(rail, key, &self.carriers(key, object)).is_none()
            && protection_of_kind(rail, key, object.workload.as_ref()).is_none()
    }

    fn eligible(&self) -> u32 {
        let all = self.inventory.scaled_objects.iter();
        u32::try_from(all.filter(|(key, object)| self.could_stop(key, object)).count()).unwrap_or(u32::MAX)
    }

    /// Objects that any breaker of a budget could stop, by the values that their templates would take.
    fn reach(&self, budget: &Budget) -> BTreeMap<Vec<Box<str>>, BTreeSet<&ObjectKey>> {
        let mut groups: BTreeMap<Vec<Box<str>>, BTreeSet<&ObjectKey>> = BTreeMap::new();
        for (key, object) in &self.inventory.scaled_objects {
            let carriers = self.carriers(key, object);
            if !self.could_stop(key, object) {
                continue;
            }
            for selector in selectors_of(budget) {
                let mut taken: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
                let mut fits = |template: &Template, found: Option<&Box<str>>| match (template, found) {
                    (Template::Literal(text), Some(found)) => text == found,
                    (Template::Field(name), Some(found)) if !found.is_empty() => {
                        taken.entry(name.clone()).or_insert_with(|| found.clone()) == found
                    }
                    _ => false,
                };
                let [own, _, namespace] = carriers;
                let here = (selector.namespaces.is_empty()
                    || selector.namespaces.iter().any(|t| fits(t, Some(&key.namespace))))
                    && selector.namespace_labels.iter().all(|(name, t)| fits(t, namespace.get(name)))
                    && selector.labels.iter().all(|(name, t)| fits(t, own.get(name)))
                    && exception(selector, &carriers).is_none();
                if here {
                    groups.entry(taken.into_values().collect()).or_default().insert(key);
                }
            }
        }
        groups
    }

    /// Adds up what was spent so far in the window of a new budget, where tenant and model are all that it looks at.
    fn seed(&mut self, index: usize, budget: &Budget, past: &[Past]) -> Basis {
        let known = |name: &str| name == field::TENANT || name == field::MODEL;
        let kinds = &budget.select.charges;
        let simple = budget.limit.unit == Unit::Usd
            && budget.select.when.is_none()
            && budget.select.subjects.iter().all(|condition| known(&condition.field))
            && budget.per_each.iter().all(|name| known(name))
            && (kinds.is_empty() || kinds.contains(&ChargeKind::Tokens));
        if !simple {
            return Basis::Unknown;
        }
        let window = budget.window.at(self.now);
        let mut sums: BTreeMap<Vec<Option<&str>>, Money> = BTreeMap::new();
        for row in past.iter().filter(|row| window.contains(row.at)) {
            let of = |name: &str| match name {
                field::TENANT => row.tenant.as_deref(),
                _ => Some(row.model.as_str()),
            };
            if budget.select.subjects.iter().all(|condition| meets(condition, of(&condition.field))) {
                let sum = sums.entry(budget.per_each.iter().map(|name| of(name)).collect()).or_default();
                *sum = sum.saturating_add(row.amount);
            }
        }
        for (values, sum) in sums {
            let trusted =
                |value: &Option<&str>| InstanceValue { value: value.map(Into::into), trust: Trust::Trusted };
            let values: Box<[InstanceValue]> = values.iter().map(trusted).collect();
            let name = super::name::breaker_name(budget, &values);
            if self.slot_of(&name).is_none() {
                let slot = self.make_slot(index, budget, name, values);
                self.hot[slot as usize].sum = sum;
            }
        }
        Basis::ByHour
    }
}

/// As `take_rules` keeps breakers: the same charges in the same windows.
fn counts_alike(a: &Budget, b: &Budget) -> bool {
    a.name == b.name
        && a.select == b.select
        && a.per_each == b.per_each
        && a.window == b.window
        && a.within == b.within
}

fn meets(condition: &Condition, value: Option<&str>) -> bool {
    let any = |list: &[Box<str>], value: &str| list.iter().any(|glob| glob_matches(glob, value));
    match (&condition.test, value) {
        (Test::In(list), Some(value)) => any(list, value),
        (Test::NotIn(list), Some(value)) => !any(list, value),
        (Test::Exists, value) => value.is_some(),
        (Test::DoesNotExist, value) => value.is_none(),
        (Test::In(_) | Test::NotIn(_), None) => false,
    }
}

/// What a change of rules says by itself.
fn said(outcome: &Outcome) -> Vec<String> {
    let pages = outcome.decisions.iter().filter_map(|decision| match &decision.kind {
        DecisionKind::Page { detail, .. } => Some(detail.clone()),
        _ => None,
    });
    pages.collect()
}
