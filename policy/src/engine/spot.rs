//! Notices of AWS that it will take an instance away: counted once, told at once, and what a rule would do
//! about them recorded. No act of a SpotPolicy is carried out by this version.
//!
//! They have a queue of their own, which is worked off at the end of each step, the nearest deadline first,
//! and is empty between two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::{BreakerRef, DecisionKind, SpotDecision, Times, Why};
use crate::rule::{Mode, ProtectedKind, SpotAct, SpotPolicy};
use crate::spot::{Age, Drainer, Host, HostChange, Losses, Pool, SpotBatch, SpotNotice, drainer, plan};

use super::{Engine, Outcome};

/// What the engine knows of nodes and of what AWS takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// By instance id.
    hosts: BTreeMap<Box<str>, Host>,
    losses: Losses,
}

/// What AWS took away, as people ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpotView {
    /// By name of the pool; empty where it is not known.
    pub pools: Vec<(Box<str>, Pool)>,
    /// Notices about instances that are no node here.
    pub elsewhere: u64,
    /// Notices that came again.
    pub duplicates: u64,
    /// Notices from before what is remembered.
    pub too_old: u64,
}

impl State {
    pub fn view(&self) -> SpotView {
        let losses = &self.losses;
        SpotView {
            pools: losses.pools().iter().map(|(name, pool)| (name.clone(), *pool)).collect(),
            elsewhere: losses.elsewhere,
            duplicates: losses.duplicates,
            too_old: losses.too_old,
        }
    }

    /// A node is gone, and so is its instance.
    fn leave(&mut self, instance: &str) {
        self.hosts.remove(instance);
        self.losses.close(instance, true);
    }
}

/// Label of the handler's own objects.
const NAME: &str = "app.kubernetes.io/name";
const HANDLER: &str = "aws-node-termination-handler";

impl Engine {
    pub(super) fn take_spot(&mut self, batch: &SpotBatch) {
        self.hear(&batch.source, false);
        for notice in &batch.notices {
            self.spot_queue.push(notice.clone());
        }
    }

    pub(super) fn take_hosts(&mut self, change: &HostChange) {
        match change {
            HostChange::There(host) => {
                self.spot.hosts.insert(host.instance.clone(), host.clone());
            }
            HostChange::Gone(node) => {
                let gone = self.spot.hosts.values().find(|host| host.node == *node);
                if let Some(instance) = gone.map(|host| host.instance.clone()) {
                    self.spot.leave(&instance);
                }
            }
            HostChange::All(hosts) => {
                let there: BTreeSet<&str> = hosts.iter().map(|host| &*host.instance).collect();
                let known = self.spot.hosts.keys();
                let gone: Vec<Box<str>> = known.filter(|i| !there.contains(&***i)).cloned().collect();
                gone.iter().for_each(|instance| self.spot.leave(instance));
                let by_instance = hosts.iter().map(|host| (host.instance.clone(), host.clone()));
                self.spot.hosts = by_instance.collect();
            }
        }
    }

    /// Answers what waits, the most urgent first.
    pub(super) fn work_spot(&mut self, out: &mut Outcome) {
        while let Some(notice) = self.spot_queue.pop() {
            let age = notice.age(self.now, self.settings.max_ahead);
            let host = self.spot.hosts.get(&notice.instance).cloned();
            // Where no node was ever heard of, it may be one of ours: unknown is not "somebody else's".
            let unknown = self.spot.hosts.is_empty().then_some("");
            let pool = host.as_ref().map(|host| &*host.pool).or(unknown);
            let news = self.spot.losses.note(&notice, pool, age);
            if news && age == Age::Fresh {
                let host =
                    host.unwrap_or_else(|| Host { instance: notice.instance.clone(), ..Host::default() });
                self.answer_notice(&notice, &host, out);
            }
        }
    }

    fn answer_notice(&mut self, notice: &SpotNotice, host: &Host, out: &mut Outcome) {
        let rules = Arc::clone(&self.rules);
        for policy in rules.spot.iter().filter(|policy| policy.is_for(notice.kind.word(), &host.pool)) {
            let protected = self.no_touching_nodes(host);
            let plan = plan(policy, notice, host, self.drainer_of(host), protected.as_deref(), self.now);
            let decided = SpotDecision {
                notice: notice.clone(),
                node: host.node.clone(),
                pool: host.pool.clone(),
                policy: policy.name.clone(),
                plan,
            };
            self.decide_spot(policy, decided, out);
        }
    }

    fn decide_spot(&mut self, policy: &SpotPolicy, decided: SpotDecision, out: &mut Outcome) {
        // Named after the node, by which people know it; one thread for all that is said of an instance.
        let node = if decided.node.is_empty() { &decided.notice.instance } else { &decided.node };
        let breaker = BreakerRef { name: format!("spot/{node}").into(), start: self.now, end: self.now };
        let why = Why {
            breaker: Some(breaker.clone()),
            place: policy.on_place.clone(),
            rules: self.rules.id.clone(),
            revision: self.rules.revision.clone(),
            prices: self.book.id().into(),
            occurred_at: Some(decided.notice.at),
            ..Why::default()
        };
        let mode = policy.mode.min(self.posture.ceiling);
        let decision = self.numbered(DecisionKind::Spot(Box::new(decided)), mode, why);
        if mode >= Mode::Alert {
            let routes: BTreeSet<Box<str>> = policy
                .then
                .iter()
                .filter_map(|act| match act {
                    SpotAct::Notify { route, .. } => Some(route.clone()),
                    SpotAct::Cordon { .. } | SpotAct::Drain { .. } | SpotAct::Checkpoint { .. } => None,
                })
                .collect();
            self.tell(routes, &decision, &breaker, Vec::new(), Times::default(), out);
        }
        out.decisions.push(decision);
    }

    /// Who drains a node besides us.
    fn drainer_of(&self, host: &Host) -> Option<Drainer> {
        let is_handler =
            |labels: &BTreeMap<Box<str>, Box<str>>| labels.get(NAME).is_some_and(|n| **n == *HANDLER);
        let in_cluster = self.inventory.workloads.values().any(|workload| is_handler(&workload.labels));
        drainer(host, in_cluster)
    }

    /// Why no node may be touched now, where none may.
    fn no_touching_nodes(&self, host: &Host) -> Option<String> {
        if self.rules.guardrail.protected_kinds.contains(&ProtectedKind::Node) {
            return Some("objects of kind Node are protected".to_owned());
        }
        if host.node.is_empty() {
            return Some("which node it is is not known".to_owned());
        }
        self.clock_doubt.as_deref().or(self.frozen()).map(str::to_owned)
    }

    /// What time brings. A clock in doubt forgets nothing.
    pub(super) fn pass_spot(&mut self) {
        if self.clock_doubt.is_none() {
            self.spot.losses.pass(self.now, self.settings.horizon);
        }
    }
}
