//! Idle GPUs: samples are remembered, and once a minute each rule is asked what it finds.
//!
//! What is newly idle is decided, with its evidence and worth, and told. Where the rule may act, what scales
//! it is stopped by the same holds, guards and blast radius as a trip. Nothing is judged by a clock in doubt
//! or on a cluster that was not heard. Cordon and reclaim are not armed: what they would do is recorded.
//!
//! A hold of an idle policy ends otherwise than a trip's: whoever raises what was idle wants it, so it is
//! given back at once and left alone for a day, and so it is when it turns out to work before it is proven
//! stopped. Otherwise it stays until a person gives it back.

mod look;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::breaker::Stage;
use crate::decision::{BreakerRef, DecisionKind, HoldState, Times, Why};
use crate::gpu::GpuBatch;
use crate::id::DecisionId;
use crate::idle::{Finding, Gpus, Target, Verdict};
use crate::inventory::ObjectKey;
use crate::money::Money;
use crate::page::PageTopic;
use crate::rule::{IdleAct, IdlePolicy, Mode, Place};
use crate::time::{Span, Timestamp};

use super::{Engine, Outcome};
use look::Look;

/// Rules are asked so often.
const EVERY: Span = Span::from_mins(1);
/// The same plan is told again at the earliest after this.
const PLAN_AGAIN: Span = Span::from_hours(24);
/// Findings, and nodes of a plan, that one decision lists.
const MOST_LISTED: usize = 100;
/// What a holder of an idle policy begins with: no budget's name can have it.
const HOLDER: &str = "idle:";

/// What the engine remembers for idle policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Samples, in buckets.
    pub gpus: Gpus,
    /// Rules are asked again then.
    due: Timestamp,
    /// By name of the rule.
    standing: BTreeMap<Box<str>, Standing>,
    /// Until when somebody said that something may be idle.
    acks: BTreeMap<ObjectKey, (Timestamp, String)>,
    /// The rules that are in force, by name.
    known: BTreeMap<Box<str>, Known>,
}

/// Since when a rule is known, and as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    first_seen: Timestamp,
    changed: Timestamp,
    /// Of all that it says, but where and what for.
    print: u64,
}

/// How a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    /// What was found idle and told.
    told: BTreeSet<Target>,
    /// The decision that last told so.
    decision: DecisionId,
    /// What waits for a guard or a person, where something does.
    waiting: Option<Waiting>,
    /// The nodes of the plan that was last told, and when.
    planned: BTreeSet<Box<str>>,
    planned_at: Timestamp,
    /// How many targets had which verdict when last asked.
    tally: BTreeMap<Box<str>, u32>,
}

/// Stops that a guard holds back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    decision: DecisionId,
    stage: Stage,
    since: Timestamp,
    asked: Vec<ObjectKey>,
}

impl Engine {
    /// Remembers samples; without a rule that asks for them, none.
    pub(super) fn take_gpus(&mut self, batch: &GpuBatch, out: &mut Outcome) {
        self.hear(&batch.source, true);
        self.end_silence(&batch.source, out);
        self.idle.gpus.take(batch, self.now.plus(self.settings.max_ahead));
        if self.idle.gpus.refused().over_bound > 0 {
            let most = crate::idle::MOST_GPUS;
            let detail = format!("more than {most} GPUs are sampled; further ones are not known to be idle");
            let kind = DecisionKind::Page { topic: PageTopic::SubjectCap, detail };
            self.page_once("gpus", Span::from_hours(24), kind, out);
        }
    }

    /// After a change of rules: as much is kept as the longest window needs, and nothing of rules that are gone.
    pub(super) fn keep_idle(&mut self) {
        let rules = Arc::clone(&self.rules);
        let windows = rules.idle.iter().filter_map(|policy| policy.idle_when.as_ref());
        self.idle.gpus.keep(windows.map(|when| when.window).max());
        let is_there = |name: &str| rules.idle.iter().any(|policy| *policy.name == *name);
        self.idle.standing.retain(|name, _| is_there(name));
        self.idle.known.retain(|name, _| is_there(name));
        for policy in &rules.idle {
            let (now, print) = (self.now, print(policy));
            let new = || Known { first_seen: now, changed: now, print };
            let known = self.idle.known.entry(policy.name.clone()).or_insert_with(new);
            if known.print != print {
                (known.changed, known.print) = (now, print);
            }
        }
        // A question is about the rules that it was put under.
        self.idle.standing.values_mut().for_each(|standing| standing.waiting = None);
    }

    /// How many targets of each idle policy had which verdict when it was last asked: `Idle`, `Busy`,
    /// `Unknown`, `Conflict`, `Unhealthy`.
    #[must_use]
    pub fn idle_verdicts(&self) -> BTreeMap<Box<str>, BTreeMap<Box<str>, u32>> {
        self.idle.standing.iter().map(|(name, standing)| (name.clone(), standing.tally.clone())).collect()
    }

    /// Samples of GPUs that were not taken, since the journal began.
    #[must_use]
    pub fn refused_samples(&self) -> crate::idle::Refusal {
        self.idle.gpus.refused()
    }

    pub(super) fn tick_idle(&mut self, out: &mut Outcome) {
        let due = self.idle.due.min(self.now.plus(EVERY));
        let blind = self.clock_doubt.is_some() || self.is_inventory_stale();
        if self.rules.idle.is_empty() || self.now < due || blind {
            return;
        }
        self.idle.due = self.now.plus(EVERY);
        self.idle.gpus.forget(self.now);
        self.idle.acks.retain(|_, (until, _)| *until > self.now);
        let rules = Arc::clone(&self.rules);
        let looks = self.look_at(&rules.idle);
        for (policy, look) in rules.idle.iter().zip(looks) {
            self.act_on(policy, look, out);
        }
    }

    fn act_on(&mut self, policy: &IdlePolicy, look: Look, out: &mut Outcome) {
        self.give_back_what_works(policy, &look, out);
        let held = self.targets_held_by(policy);
        let standing = self.idle.standing.entry(policy.name.clone()).or_default();
        standing.tally.clone_from(&look.tally);
        let idle: BTreeSet<Target> = look.idle.iter().map(|finding| finding.target.clone()).collect();
        standing.told.retain(|target| idle.contains(target) || held.contains(target));
        let fresh: Vec<Finding> =
            look.idle.iter().filter(|f| standing.told.insert(f.target.clone())).cloned().collect();
        if !fresh.is_empty() {
            self.decide_idle(policy, fresh, &look, out);
        }
        self.stop_idle(policy, &look, None, out);
        if let Some(plan) = look.plan {
            self.decide_plan(policy, plan, out);
        }
    }

    fn decide_idle(&mut self, policy: &IdlePolicy, mut found: Vec<Finding>, look: &Look, out: &mut Outcome) {
        let place = policy.idle_when.as_ref().map_or(&policy.place, |when| &when.place);
        let mut why = self.idle_why(policy, place.clone());
        why.sum = found.iter().filter_map(|f| f.worth).fold(Money::ZERO, Money::saturating_add);
        why.facts = found.iter().map(|f| samples(&f.verdict)).sum();
        why.unpriced = found.iter().filter(|f| f.worth.is_none()).count().try_into().unwrap_or(u64::MAX);
        let of_these = |key: &ObjectKey| {
            found.iter().any(|f| look.scaled.get(key).is_some_and(|target| *target == f.target))
        };
        let targets: Vec<ObjectKey> = look.stops.iter().filter(|key| of_these(key)).cloned().collect();
        let left = look.left.iter().filter(|(key, _)| of_these(key)).cloned().collect();
        let not_armed = look.not_armed(policy, &found);
        let more = found.len().saturating_sub(MOST_LISTED);
        found.truncate(MOST_LISTED);
        let kind = DecisionKind::Idle {
            found,
            more: u32::try_from(more).unwrap_or(u32::MAX),
            targets,
            left,
            not_armed,
        };
        let decision = self.decide_for(policy, kind, why, out);
        self.idle.standing.entry(policy.name.clone()).or_default().decision = decision;
    }

    /// A plan is told when it names a node that the last one did not, and again after a day.
    fn decide_plan(&mut self, policy: &IdlePolicy, mut plan: crate::consolidate::Plan, out: &mut Outcome) {
        let worth_it = |saving: Money| match policy.worth_at_least {
            Some(rate) => saving >= Money::from_picos(rate.picos().into()),
            None => true,
        };
        let now = self.now;
        let standing = self.idle.standing.entry(policy.name.clone()).or_default();
        let nodes: BTreeSet<Box<str>> = plan.vacated.iter().map(|v| v.node.clone()).collect();
        let again = now >= standing.planned_at.plus(PLAN_AGAIN);
        if nodes.is_empty() || !worth_it(plan.saving) || (nodes.is_subset(&standing.planned) && !again) {
            return;
        }
        (standing.planned, standing.planned_at) = (nodes, now);
        let place = policy.pack.as_ref().map_or(&policy.place, |pack| &pack.place);
        let mut why = self.idle_why(policy, place.clone());
        why.sum = plan.saving;
        let more = plan.vacated.len().saturating_sub(MOST_LISTED);
        plan.vacated.truncate(MOST_LISTED);
        plan.left.truncate(MOST_LISTED);
        let nodes = plan.vacated.iter().map(|v| &*v.node);
        let not_armed = look::would(policy, nodes);
        let kind = DecisionKind::Packable { plan, more: u32::try_from(more).unwrap_or(u32::MAX), not_armed };
        self.decide_for(policy, kind, why, out);
    }

    fn idle_why(&self, policy: &IdlePolicy, place: Place) -> Why {
        Why {
            breaker: Some(BreakerRef { name: holder(policy), start: self.now, end: self.now }),
            episode: self.now,
            place,
            rules: self.rules.id.clone(),
            revision: self.rules.revision.clone(),
            prices: self.book.id().into(),
            ..Why::default()
        }
    }

    fn idle_mode(&self, policy: &IdlePolicy) -> Mode {
        self.idle_rule_mode(policy).min(self.posture.ceiling)
    }

    /// What a rule may do by its own. A change of it stops nothing (invariant 11), so it acts only once it has
    /// been in force for a whole window: all that it judges by then came after the change. In its first days
    /// it may do no more than those allow, and their end is a change as well.
    fn idle_rule_mode(&self, policy: &IdlePolicy) -> Mode {
        let window = policy.idle_when.as_ref().map_or(Span::ZERO, |when| when.window);
        let known = self.idle.known.get(&policy.name);
        let (first_seen, changed) =
            known.map_or((self.now, self.now), |known| (known.first_seen, known.changed));
        let mode = match self.now < changed.plus(window) {
            true => policy.mode.min(Mode::Alert),
            false => policy.mode,
        };
        match self.rules.guardrail.first_days {
            Some(first) if self.now < first_seen.plus(first.length).plus(window) => mode.min(first.mode),
            _ => mode,
        }
    }

    /// Decides something of a rule, and tells its routes where its mode sends messages.
    fn decide_for(
        &mut self,
        policy: &IdlePolicy,
        kind: DecisionKind,
        why: Why,
        out: &mut Outcome,
    ) -> DecisionId {
        let mode = self.idle_mode(policy);
        let decision = self.numbered(kind, mode, why);
        let id = decision.id;
        if mode >= Mode::Alert
            && let Some(breaker) = decision.why.breaker.clone()
        {
            let targets = match &decision.kind {
                DecisionKind::Idle { targets, .. } => {
                    targets.iter().map(|key| (key.clone(), HoldState::Ordered)).collect()
                }
                _ => self.held_by(&breaker.name),
            };
            self.tell(routes(policy), &decision, &breaker, targets, Times::default(), out);
        }
        out.decisions.push(decision);
        id
    }

    /// The rule that a holder stands for, where it is an idle policy of the rules in force.
    pub(super) fn idle_policy_of(&self, name: &str) -> Option<&IdlePolicy> {
        let name = name.strip_prefix(HOLDER)?;
        self.rules.idle.iter().find(|policy| *policy.name == *name)
    }

    /// Routes of an idle policy, by its name as a holder.
    pub(super) fn idle_routes(&self, name: &str) -> Option<BTreeSet<Box<str>>> {
        self.idle_policy_of(name).map(routes)
    }

    /// Somebody says that something may be idle, for as long as the rules let such a word hold.
    pub(super) fn ack_idle(&mut self, object: &ObjectKey, actor: &str) -> Result<Timestamp, String> {
        let holds = self.rules.idle.iter().flat_map(|policy| &policy.then).filter_map(|act| match act {
            IdleAct::Notify { ack_for, .. } => *ack_for,
            _ => None,
        });
        let Some(longest) = holds.max() else {
            return Err("no IdlePolicy has `notify: {ackFor: …}`, so nobody's word holds".to_owned());
        };
        let scaled = self.inventory.scaled_objects.get(object).map(|scaled| &scaled.workload);
        let of = match scaled {
            Some(Some(workload)) => workload.clone(),
            Some(None) => return Err(format!("what {object} scales is not known")),
            None if self.inventory.workloads.contains_key(object) => object.clone(),
            None => return Err(format!("there is no {object}")),
        };
        let until = self.now.plus(longest);
        self.idle.acks.insert(of, (until, format!("{actor} says so until {until}")));
        self.idle.due = self.now;
        Ok(until)
    }
}

/// Of what a rule does: an edit elsewhere in its file, or of its description, changes nothing.
fn print(policy: &IdlePolicy) -> u64 {
    let mut bare = policy.clone();
    bare.description = "".into();
    bare.place = Place::default();
    if let Some(when) = &mut bare.idle_when {
        when.place = Place::default();
    }
    if let Some(pack) = &mut bare.pack {
        pack.place = Place::default();
    }
    for act in &mut bare.then {
        let (IdleAct::Notify { place, .. }
        | IdleAct::PauseScaledObjects { place, .. }
        | IdleAct::Cordon { place }
        | IdleAct::Reclaim { place }) = act;
        *place = Place::default();
    }
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    // Plain data without floats or maps of unknown length: postcard has nothing to refuse.
    hasher.write(&postcard::to_stdvec(&bare).unwrap_or_default());
    hasher.finish()
}

/// Its name as a holder, and in messages.
fn holder(policy: &IdlePolicy) -> Box<str> {
    format!("{HOLDER}{}", policy.name).into()
}

fn routes(policy: &IdlePolicy) -> BTreeSet<Box<str>> {
    let named = policy.then.iter().filter_map(|act| match act {
        IdleAct::Notify { route, .. } => Some(route.clone()),
        _ => None,
    });
    named.collect()
}

fn samples(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Idle(evidence) => u64::from(evidence.samples).saturating_mul(evidence.gpus.into()),
        _ => 0,
    }
}
