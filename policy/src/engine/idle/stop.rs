//! From idle workloads to orders, by the holds and guards that trips have.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::breaker::Stage;
use crate::decision::{Blast, Decision, DecisionKind, Effect, HoldState, ReleaseCause, Times, Why};
use crate::engine::hold::Hold;
use crate::engine::stop::{Stop, Yes, blast_detail};
use crate::engine::{Engine, Outcome};
use crate::explain::finding_in_words;
use crate::fact::{GuardAnswer, GuardCheck};
use crate::id::DecisionId;
use crate::idle::{Finding, Target};
use crate::inventory::ObjectKey;
use crate::money::Money;
use crate::rule::{IdlePolicy, Mode};
use crate::time::Span;

use super::look::Look;
use super::{Waiting, holder, samples};

/// What somebody raised or gave back is left alone for this long.
const LEFT_ALONE: Span = Span::from_hours(24);

impl Engine {
    /// Orders what may be stopped, or says once which guard withholds it.
    pub(super) fn stop_idle(
        &mut self,
        policy: &IdlePolicy,
        look: &Look,
        yes: Option<Yes>,
        out: &mut Outcome,
    ) {
        let held = |target: &ObjectKey| self.holds.get(target).is_some_and(Hold::is_active);
        let fresh: Vec<ObjectKey> = look.stops.iter().filter(|key| !held(key)).cloned().collect();
        if fresh.is_empty() {
            if let Some(standing) = self.idle.standing.get_mut(&policy.name) {
                standing.waiting = None;
            }
            return;
        }
        let blast = self.blast(&holder(policy), &fresh, look.eligible);
        match self.idle_stage(policy, blast, yes.as_ref()) {
            (Stage::Observed, _) => {}
            (Stage::Ordered, _) => self.hold_idle(policy, look, &fresh, blast, yes, out),
            (stage, answer) => self.withhold_idle(policy, look, stage, fresh, answer, out),
        }
    }

    /// The engine's own guards, in the order in which a trip asks them.
    fn idle_stage(
        &self,
        policy: &IdlePolicy,
        blast: Blast,
        yes: Option<&Yes>,
    ) -> (Stage, Option<GuardAnswer>) {
        let no = |check: GuardCheck, detail: String| {
            (Stage::Withheld(check), Some(GuardAnswer { check, pass: false, detail }))
        };
        if self.idle_rule_mode(policy) < Mode::Approve {
            return (Stage::Observed, None);
        }
        if self.posture.ceiling < Mode::Approve {
            let why = self.posture.because.clone().unwrap_or_else(|| "its configuration says so".to_owned());
            return no(
                GuardCheck::Mode,
                format!("the daemon may only {}: {why}", self.posture.ceiling.word()),
            );
        }
        if yes.is_none() && self.idle_mode(policy) == Mode::Approve {
            let until = self.now.plus(self.rules.guardrail.approval_expires);
            let detail = format!("mode `approve` waits for {} until {until}", self.whose_yes());
            let answer = GuardAnswer { check: GuardCheck::Mode, pass: false, detail };
            return (Stage::AwaitingApproval(until), Some(answer));
        }
        // What the rule stopped a moment ago counts too: many small stops are one large one.
        let most = self.rules.guardrail.targets_over.filter(|most| blast.by_rule > *most);
        if let Some(most) = most.filter(|_| !yes.is_some_and(|yes| yes.to_these)) {
            let until = self.now.plus(self.rules.guardrail.approval_expires);
            let many = usize::try_from(blast.by_rule).unwrap_or(usize::MAX);
            return (Stage::AwaitingApproval(until), Some(self.too_many_answer(many, most, until)));
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
        let over = blast.by_rule > blast.rule_cap || blast.overall > blast.overall_cap;
        if over && !yes.is_some_and(|yes| yes.to_these) {
            let per = self.rules.guardrail.per.to_string();
            return no(GuardCheck::BlastRadius, blast_detail(blast, per));
        }
        (Stage::Ordered, None)
    }

    fn withhold_idle(
        &mut self,
        policy: &IdlePolicy,
        look: &Look,
        stage: Stage,
        fresh: Vec<ObjectKey>,
        answer: Option<GuardAnswer>,
        out: &mut Outcome,
    ) {
        let lapses = self.rules.guardrail.approval_expires;
        let waiting = self.idle.standing.get(&policy.name).and_then(|standing| standing.waiting.as_ref());
        let kind = |stage: &Stage| std::mem::discriminant(stage);
        let check = |stage: &Stage| match stage {
            Stage::Withheld(check) => Some(*check),
            _ => None,
        };
        let put = waiting.is_some_and(|w| {
            kind(&w.stage) == kind(&stage)
                && check(&w.stage) == check(&stage)
                && fresh.iter().all(|target| w.asked.contains(target))
                && self.now < w.since.plus(lapses)
        });
        if put {
            return;
        }
        let place = policy.then.iter().find_map(|act| match act {
            crate::rule::IdleAct::PauseScaledObjects { place, .. } => Some(place.clone()),
            _ => None,
        });
        let mut why = self.idle_why(policy, place.unwrap_or_else(|| policy.place.clone()));
        let of = |finding: &&Finding| fresh.iter().any(|key| look.scaled.get(key) == Some(&finding.target));
        for finding in look.idle.iter().filter(of) {
            why.sum = why.sum.saturating_add(finding.worth.unwrap_or(Money::ZERO));
            why.unpriced += u64::from(finding.worth.is_none());
            why.facts += samples(&finding.verdict);
        }
        let kind = DecisionKind::Withheld { targets: fresh.clone(), answers: answer.into_iter().collect() };
        let decision = self.decide_for(policy, kind, why, out);
        let waiting = Waiting { decision, stage, since: self.now, asked: fresh };
        self.idle.standing.entry(policy.name.clone()).or_default().waiting = Some(waiting);
    }

    fn hold_idle(
        &mut self,
        policy: &IdlePolicy,
        look: &Look,
        fresh: &[ObjectKey],
        blast: Blast,
        yes: Option<Yes>,
        out: &mut Outcome,
    ) {
        let name = holder(policy);
        let decision = self.idle.standing.get(&policy.name).map_or(DecisionId::default(), |s| s.decision);
        for target in fresh {
            let Some(object) = self.inventory.scaled_objects.get(target) else { continue };
            let mut hold = Hold::new(object.uid.clone(), name.clone(), self.now);
            hold.approved_by = yes.as_ref().map(|yes| yes.by.clone());
            (hold.blast, hold.why, hold.decision) = (blast, self.why_of_stop(policy, look, target), decision);
            self.stops.push_back(Stop { at: self.now, target: target.clone(), budget: name.clone() });
            self.holds.insert(target.clone(), hold);
            self.give_order(target, Effect::PauseToZero, out);
        }
        if let Some(standing) = self.idle.standing.get_mut(&policy.name) {
            standing.waiting = None;
        }
    }

    /// Why one object is stopped: its samples, what it is worth, and the rule's line.
    fn why_of_stop(&self, policy: &IdlePolicy, look: &Look, target: &ObjectKey) -> Why {
        let place = policy.idle_when.as_ref().map_or(&policy.place, |when| &when.place);
        let why = self.idle_why(policy, place.clone());
        let of = look.scaled.get(target);
        let Some(finding) = look.idle.iter().find(|finding| Some(&finding.target) == of) else { return why };
        Why {
            sum: finding.worth.unwrap_or(Money::ZERO),
            unpriced: u64::from(finding.worth.is_none()),
            facts: samples(&finding.verdict),
            note: finding_in_words(finding),
            ..why
        }
    }

    /// A person's yes to what waits, to the objects that were named and are idle still.
    pub(in crate::engine) fn approve_idle(
        &mut self,
        decision: DecisionId,
        actor: &str,
        out: &mut Outcome,
    ) -> Option<Result<(), String>> {
        let standing = self.idle.standing.iter();
        let (name, waiting) = standing
            .filter_map(|(name, standing)| Some((name.clone(), standing.waiting.clone()?)))
            .find(|(_, waiting)| waiting.decision == decision)?;
        let asks =
            matches!(waiting.stage, Stage::AwaitingApproval(_) | Stage::Withheld(GuardCheck::BlastRadius));
        let until = waiting.since.plus(self.rules.guardrail.approval_expires);
        if !asks || self.now >= until {
            return Some(Err(format!("{decision} does not wait for approval (any more)")));
        }
        if let Some(no) = self.no_approver(actor) {
            return Some(Err(no));
        }
        let rules = Arc::clone(&self.rules);
        let policy = rules.idle.iter().find(|policy| policy.name == name)?;
        let mut look = self.look_at(std::slice::from_ref(policy)).pop()?;
        look.stops.retain(|target| waiting.asked.contains(target));
        if look.stops.is_empty() {
            return Some(Err(format!("{decision} was about what is not idle any more; nothing is stopped")));
        }
        self.stop_idle(policy, &look, Some(Yes { by: actor.to_owned(), to_these: true }), out);
        Some(Ok(()))
    }

    /// Workloads whose ScaledObjects the rule holds.
    pub(super) fn targets_held_by(&self, policy: &IdlePolicy) -> BTreeSet<Target> {
        let name = holder(policy);
        let held = self.holds.iter().filter(|(_, hold)| hold.holders.contains(&name)).map(|(key, _)| key);
        let workloads = held.filter_map(|key| self.inventory.scaled_objects.get(key)?.workload.clone());
        workloads.map(Target::Workload).collect()
    }

    /// What turns out to work before it is proven stopped is given back.
    pub(super) fn give_back_what_works(&mut self, policy: &IdlePolicy, look: &Look, out: &mut Outcome) {
        let name = holder(policy);
        let works = |key: &ObjectKey| {
            let workload = self.inventory.scaled_objects.get(key).and_then(|object| object.workload.clone());
            workload.is_some_and(|workload| look.working.contains(&Target::Workload(workload)))
        };
        let unproven = self.holds.iter().filter(|(_, hold)| {
            hold.holders.contains(&name) && matches!(hold.state, HoldState::Ordered | HoldState::NotStopped)
        });
        let wrong: Vec<ObjectKey> = unproven.map(|(key, _)| key).filter(|key| works(key)).cloned().collect();
        for target in wrong {
            self.end_idle_hold(&target, "it works after all", out);
        }
    }

    /// Ends what idle policies hold of an object; what a breaker holds too stays. True where they held it.
    pub(in crate::engine) fn end_idle_hold(
        &mut self,
        target: &ObjectKey,
        seen: &str,
        out: &mut Outcome,
    ) -> bool {
        let Some(hold) = self.holds.get_mut(target) else { return false };
        let before = hold.holders.len();
        hold.holders.retain(|name| !name.starts_with(super::HOLDER));
        if hold.holders.len() == before {
            return false;
        }
        self.exempt.insert(target.clone(), self.now.plus(LEFT_ALONE));
        let (why, ceiling) = (hold.why.clone(), self.posture.ceiling);
        let wanted = format!("{seen}: somebody wants it, and it is left alone for {LEFT_ALONE}");
        let kind =
            DecisionKind::Released { cause: ReleaseCause::Wanted(wanted), targets: vec![target.clone()] };
        let decision = self.numbered(kind, ceiling, why);
        if let Some(breaker) = decision.why.breaker.clone()
            && ceiling >= Mode::Alert
        {
            let routes = self.idle_routes(&breaker.name).unwrap_or_default();
            let targets = vec![(target.clone(), HoldState::Restoring)];
            self.tell(routes, &decision, &breaker, targets, Times::default(), out);
        }
        out.decisions.push(decision);
        true
    }

    /// Effective mode of the idle policy that holds it, where one does.
    pub(in crate::engine) fn idle_mode_of(&self, hold: &Hold) -> Option<Mode> {
        let policies = hold.holders.iter().filter_map(|name| self.idle_policy_of(name));
        policies.map(|policy| self.idle_mode(policy)).max()
    }

    /// Tells the routes of the idle policies that hold an object of its state; false where none does.
    pub(in crate::engine) fn tell_idle_hold(
        &mut self,
        holders: &[Box<str>],
        decision: &Decision,
        loud: bool,
        out: &mut Outcome,
    ) -> bool {
        let known: Vec<(&Box<str>, Mode)> = holders
            .iter()
            .filter_map(|name| Some((name, self.idle_mode(self.idle_policy_of(name)?))))
            .collect();
        for (name, mode) in &known {
            let Some(breaker) = decision.why.breaker.clone() else { continue };
            if *mode < Mode::Alert || !(loud || self.all_proven(name)) {
                continue;
            }
            let held = || self.holds.values().filter(|hold| hold.holders.contains(*name));
            let times = Times {
                accepted_at: held().filter_map(|hold| hold.accepted_at).max(),
                verified_at: held().filter_map(|hold| hold.verified_at).max(),
                ..Times::default()
            };
            let (routes, targets) = (self.idle_routes(name).unwrap_or_default(), self.held_by(name));
            self.tell(routes, decision, &breaker, targets, times, out);
        }
        !known.is_empty()
    }

    /// Whether an idle policy that holds it is in force, and would stop things still.
    pub(in crate::engine) fn has_idle_cause(&self, hold: &Hold) -> bool {
        let mut policies = hold.holders.iter().filter_map(|name| self.idle_policy_of(name));
        policies.any(|policy| self.idle_rule_mode(policy) >= Mode::Approve)
    }
}
