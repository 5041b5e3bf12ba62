//! The world of a trial: an engine, a clock that only moves when told, a cluster that answers, and a record of
//! all that was decided.

use std::collections::BTreeSet;

use crate::decision::{Decision, DecisionKind, Notice, Order};
use crate::engine::{Engine, KUBERNETES, Outcome};
use crate::fact::{
    Clock, Command, CommandKind, Fact, IdKey, Posture, Settings, SourceHealth, SourceState, UsageOutcome,
};
use crate::id::DecisionId;
use crate::inventory::InventoryChange;
use crate::rule::trial::{Trial, TrialCommand, TrialFact, TrialFactKind, TrialQuantity};
use crate::rule::{Mode, RuleSet};
use crate::time::{Span, Timestamp};

use super::cluster::{Cluster, namespace};
use super::{Failure, silences, usage};

/// Nothing outside brings an id, so there is nothing to keep from anybody.
const KEY: IdKey = IdKey([0, 0]);

/// Who gives the commands of a trial.
const ACTOR: &str = "the test";

/// One tick each second for so long after something was decided.
const CLOSELY: Span = Span::from_mins(15);

/// Rounds of orders and answers at one instant; a cluster that obeys needs two.
const ROUNDS: usize = 16;

pub(super) struct World<'t> {
    trial: &'t Trial,
    pub(super) engine: Engine,
    clock: Clock,
    cluster: Cluster,
    ticked_at: Timestamp,
    /// A tick each second until then.
    closely_until: Timestamp,
    /// Breakers that waited when last seen.
    waiting: BTreeSet<Box<str>>,
    pub(super) decisions: Vec<Decision>,
    pub(super) orders: Vec<Order>,
    pub(super) notices: Vec<Notice>,
    /// Why usage was refused.
    pub(super) refused: BTreeSet<&'static str>,
}

impl<'t> World<'t> {
    pub(super) fn new(rules: &RuleSet, trial: &'t Trial) -> Self {
        let mut rules = rules.clone();
        if let Some(mode) = trial.mode {
            rules.budgets.iter_mut().for_each(|budget| budget.mode = mode);
        }
        let is_amount = |fact: &TrialFact| matches!(&fact.kind, TrialFactKind::Usage(u) if matches!(u.what, TrialQuantity::Amount(_)));
        if trial.facts.iter().any(is_amount) {
            usage::price_dollars(&mut rules);
        }
        let cluster = Cluster::new(&trial.objects, &trial.answers);
        let there = Fact::Inventory(InventoryChange::Snapshot(cluster.inventory()));
        let mut world = Self {
            trial,
            engine: Engine::new(Settings::new(KEY, "test")),
            clock: Clock { wall: trial.at, mono: 0 },
            cluster,
            ticked_at: trial.at,
            closely_until: Timestamp::MIN,
            waiting: BTreeSet::new(),
            decisions: Vec::new(),
            orders: Vec::new(),
            notices: Vec::new(),
            refused: BTreeSet::new(),
        };
        let started = Fact::Started(Posture { ceiling: Mode::Enforce, because: None });
        world.take(&[started, Fact::Rules(Box::new(rules)), there]);
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.wall
    }

    /// From the beginning of the trial.
    pub(super) fn after(&self) -> Span {
        self.now().since(self.trial.at)
    }

    /// Lets time go on by ticks, until that instant and with it.
    pub(super) fn pass_until(&mut self, at: Timestamp) {
        loop {
            let next = self.next_tick();
            if next > at {
                return self.set_clock(at);
            }
            self.set_clock(next);
            self.tick();
        }
    }

    /// The next whole second or minute that has had no tick.
    fn next_tick(&mut self) -> Timestamp {
        let (engine, now) = (&self.engine, self.clock.wall);
        self.waiting.retain(|name| engine.breaker(name, now).is_some_and(|b| &*b.state == "Arming"));
        let closely = now < self.closely_until || !self.waiting.is_empty();
        let step = if closely { 1_000 } else { 60_000 };
        let due = now.max(self.ticked_at.plus(Span::from_millis(1)));
        due.plus(Span::from_millis(due.millis().saturating_neg().rem_euclid(step)))
    }

    fn set_clock(&mut self, at: Timestamp) {
        let passed = at.since(self.clock.wall).millis();
        self.clock.mono = self.clock.mono.saturating_add(u64::try_from(passed).unwrap_or_default());
        self.clock.wall = at;
    }

    /// A tick; the cluster is heard, unless it is silent.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        let silent = silences(self.trial, KUBERNETES).any(|(from, until)| from <= now && now < until);
        let heard = SourceHealth { source: KUBERNETES.into(), state: SourceState::Heard };
        let heard = (!silent).then_some(Fact::Health(heard));
        let facts: Vec<Fact> = heard.into_iter().chain([Fact::Tick]).collect();
        self.ticked_at = now;
        self.take(&facts);
    }

    /// The calls of this instant.
    pub(super) fn charge(&mut self, calls: &[(usize, u32)]) {
        if calls.is_empty() {
            return;
        }
        let batches = usage::batches(KEY, &self.trial.facts, calls);
        let facts: Vec<Fact> = batches.into_iter().map(Fact::Usage).collect();
        self.take(&facts);
    }

    /// Any fact but usage. A command that is refused is a failure: what comes after it is not what was meant.
    pub(super) fn happen(&mut self, fact: &TrialFact) -> Option<Failure> {
        match &fact.kind {
            TrialFactKind::Usage(_) | TrialFactKind::Silence { .. } => {}
            TrialFactKind::Namespace { name, labels } => {
                self.take(&[Fact::Inventory(InventoryChange::Namespace(name.clone(), namespace(labels)))]);
            }
            TrialFactKind::Object(object) => {
                let facts = self.cluster.put(object);
                self.take(&facts);
            }
            TrialFactKind::Gone(key) => {
                let facts = self.cluster.delete(key);
                self.take(&facts);
            }
            TrialFactKind::Broken { source, because } => {
                let state = SourceState::Broken(because.to_string());
                self.take(&[Fact::Health(SourceHealth { source: source.clone(), state })]);
            }
            TrialFactKind::Command(command) => return self.command(fact, command),
        }
        None
    }

    fn command(&mut self, fact: &TrialFact, command: &TrialCommand) -> Option<Failure> {
        let reason = || ACTOR.to_owned();
        let kind = match command {
            TrialCommand::Approve(breaker) => {
                CommandKind::Approve { decision: self.asked_of(breaker).unwrap_or_default() }
            }
            TrialCommand::Trip(breaker) => {
                CommandKind::Trip { breaker: breaker.to_string(), reason: reason() }
            }
            TrialCommand::Reset(breaker, more) => {
                CommandKind::Reset { breaker: breaker.to_string(), more: *more }
            }
            TrialCommand::Freeze => CommandKind::Freeze { reason: reason() },
            TrialCommand::Unfreeze => CommandKind::Unfreeze,
            TrialCommand::Release(key) => CommandKind::Release { target: key.clone() },
            TrialCommand::ReleaseAll => CommandKind::ReleaseAll,
        };
        let before = self.decisions.len();
        self.take(&[Fact::Command(Command { actor: ACTOR.to_owned(), kind })]);
        let news = &self.decisions[before..];
        let refused = news.iter().find_map(|decision| match &decision.kind {
            DecisionKind::Commanded { what, refused: Some(why) } => Some((what, why)),
            _ => None,
        });
        refused.map(|(what, why)| Failure {
            place: fact.place.clone(),
            at: self.now(),
            after: self.after(),
            wanted: "the command is taken".to_owned(),
            found: format!("refused, {what}"),
            because: vec![why.clone()],
        })
    }

    /// What a person was last asked of a breaker.
    fn asked_of(&self, breaker: &str) -> Option<DecisionId> {
        let asks = |decision: &&Decision| {
            matches!(decision.kind, DecisionKind::Withheld { .. } | DecisionKind::Arming { .. })
                && is_about(decision, breaker)
        };
        self.decisions.iter().rev().find(asks).map(|decision| decision.id)
    }

    /// One step of the engine, and what the cluster answers to it.
    fn take(&mut self, facts: &[Fact]) {
        let mut orders = self.step(facts);
        for _ in 0..ROUNDS {
            if orders.is_empty() {
                return;
            }
            let now = self.now();
            let answers: Vec<Fact> =
                orders.iter().flat_map(|order| self.cluster.answer(order, now)).collect();
            orders = if answers.is_empty() { Vec::new() } else { self.step(&answers) };
        }
    }

    fn step(&mut self, facts: &[Fact]) -> Vec<Order> {
        let Outcome { usage, decisions, orders, notices, .. } = self.engine.step(self.clock, facts);
        for outcome in usage.into_iter().flatten() {
            if let UsageOutcome::Refused(reason) = outcome {
                self.refused.insert(reason.word());
            }
        }
        if !(decisions.is_empty() && orders.is_empty()) {
            self.closely_until = self.now().plus(CLOSELY);
        }
        let arming = decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Arming { .. }));
        self.waiting.extend(arming.filter_map(|d| d.why.breaker.as_ref().map(|b| b.name.clone())));
        self.decisions.extend(decisions);
        self.orders.extend(orders.iter().cloned());
        self.notices.extend(notices);
        orders
    }
}

/// Whether a decision is about a breaker.
pub(super) fn is_about(decision: &Decision, breaker: &str) -> bool {
    decision.why.breaker.as_ref().is_some_and(|b| *b.name == *breaker)
}
