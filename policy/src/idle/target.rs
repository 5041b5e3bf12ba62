//! Workloads, pods and empty nodes: what the verdicts on their GPUs come to together, and what that is worth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fleet::{Fleet, Seat, User, asks_for_gpus};
use super::history::Gpus;
use super::judge::judge_history;
use super::verdict::{Reason, Target, Verdict};
use crate::annotation::IDLE_OK;
use crate::inventory::{Pod, Workload};
use crate::money::Money;
use crate::rule::{IdlePolicy, IdleWhen};
use crate::time::{Span, Timestamp};

/// A pod must be ready for this long beyond the window: what loads a model is not idle yet.
pub const GRACE: Span = Span::from_mins(5);

/// What was found of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of what.
    pub target: Target,
    /// What its samples say.
    pub verdict: Verdict,
    /// What its share of its nodes costs per hour; `None` where a node has no price.
    pub worth: Option<Money>,
    /// Nodes that it is on, by name.
    pub nodes: Vec<Box<str>>,
}

/// What a rule finds: all that asks for GPUs on nodes that it selects, and those of these nodes that nothing
/// asks for. In the order of the targets. Without `idleWhen` it finds nothing.
///
/// `may_be_idle` says who said that a target may be idle, where somebody did.
#[must_use]
pub fn evaluate(
    policy: &IdlePolicy,
    fleet: &Fleet<'_>,
    gpus: &Gpus,
    now: Timestamp,
    may_be_idle: impl Fn(&Target) -> Option<String>,
) -> Vec<Finding> {
    let Some(when) = &policy.idle_when else { return Vec::new() };
    let selected: Vec<bool> = fleet.seats.iter().map(|seat| policy.select.selects(seat.node)).collect();
    let look = Look { fleet, gpus, when, now, selected };
    let mut found: Vec<Finding> =
        fleet.users.iter().filter_map(|user| look.user(user, &may_be_idle)).collect();
    found.extend(look.empty_nodes(&may_be_idle));
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found
}

struct Look<'a> {
    fleet: &'a Fleet<'a>,
    gpus: &'a Gpus,
    when: &'a IdleWhen,
    now: Timestamp,
    /// By position of the node.
    selected: Vec<bool>,
}

impl Look<'_> {
    fn is_selected(&self, seat: Option<usize>) -> bool {
        seat.is_some_and(|at| self.selected.get(at) == Some(&true))
    }

    fn user(&self, user: &User<'_>, may_be_idle: &impl Fn(&Target) -> Option<String>) -> Option<Finding> {
        if !user.pods.iter().any(|(_, seat)| self.is_selected(*seat)) {
            return None;
        }
        let target = user.target()?;
        let workload = user.owner.and_then(|owner| self.fleet.inventory.workloads.get(owner));
        let verdict = match may_be_idle(&target).or_else(|| self.label_of(user, workload)) {
            Some(by) => Verdict::Unknown(Reason::MayBeIdle { by: by.into() }),
            None => self.replicas(user, workload),
        };
        let mut nodes: Vec<&str> = user.pods.iter().filter_map(|((_, pod), _)| pod.node.as_deref()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let worth = user
            .pods
            .iter()
            .try_fold(Money::ZERO, |sum, ((_, pod), seat)| sum.checked_add(self.worth(pod, *seat)?));
        Some(Finding { target, verdict, worth, nodes: nodes.into_iter().map(Into::into).collect() })
    }

    /// What carries the label that says that it may be idle.
    fn label_of(&self, user: &User<'_>, workload: Option<&Workload>) -> Option<String> {
        let says =
            |labels: &BTreeMap<Box<str>, Box<str>>| labels.get(IDLE_OK).is_some_and(|v| &**v == "true");
        let namespace = user.pods.first().map(|((key, _), _)| &key.namespace);
        let scalers = user.owner.map_or(&[] as &[_], |owner| self.fleet.scalers_of(owner));
        let whole = [
            ("workload", workload.map(|w| &w.labels)),
            ("namespace", namespace.and_then(|name| self.fleet.inventory.labels_of(name))),
        ];
        let scaled = scalers.iter().map(|(_, object)| ("ScaledObject", Some(&object.labels)));
        let pods = user.pods.iter().flat_map(|((_, pod), seat)| {
            let node = seat.and_then(|at| self.fleet.seats.get(at)).map(|seat| &seat.node.labels);
            [("pod", Some(&pod.labels)), ("node", node)]
        });
        let mut carriers = whole.into_iter().chain(scaled).chain(pods);
        let carrier = carriers.find(|(_, labels)| labels.is_some_and(says));
        carrier.map(|(what, _)| format!("label {IDLE_OK}=true of its {what}"))
    }

    fn replicas(&self, user: &User<'_>, workload: Option<&Workload>) -> Verdict {
        let seen = u32::try_from(user.pods.len()).unwrap_or(u32::MAX);
        let of = workload.map_or(seen, |w| w.status_replicas.max(w.replicas));
        let missing = (seen < of).then_some(Verdict::Unknown(Reason::ReplicasNotSeen { seen, of }));
        let pods = user.pods.iter().map(|((_, pod), seat)| self.pod(pod, *seat));
        missing.into_iter().chain(pods).reduce(Verdict::and).unwrap_or(Verdict::Unknown(Reason::NeverSampled))
    }

    fn pod(&self, pod: &Pod, seat: Option<usize>) -> Verdict {
        let Some(node) = &pod.node else { return Verdict::Unknown(Reason::Waiting) };
        let known = u32::try_from(pod.gpus.len()).unwrap_or(u32::MAX);
        let of = pod.requests.gpus.max(1);
        let gpus = pod.gpus.iter().map(|uuid| self.gpu(uuid, node));
        let mut verdict = gpus.reduce(Verdict::and).unwrap_or(Verdict::Unknown(Reason::NeverSampled));
        // Several units may be slices of the same GPU: then fewer are known, and whose they are is not.
        if known < of {
            verdict = verdict.and(Verdict::Unknown(Reason::GpusNotKnown { known, of }));
        }
        if !self.is_selected(seat) {
            verdict = verdict.and(Verdict::Unknown(Reason::Elsewhere { node: node.clone() }));
        }
        verdict.and(self.ripe(pod))
    }

    fn gpu(&self, uuid: &str, node: &str) -> Verdict {
        match self.gpus.get(uuid) {
            // Samples of another node are of a GPU that went there, or of one that is mistaken for it.
            Some(history) if *history.node == *node => judge_history(history, self.when, self.now),
            _ => Verdict::Unknown(Reason::NeverSampled),
        }
    }

    /// Whether the pod is ready for long enough. Idle with nothing seen changes no other verdict.
    fn ripe(&self, pod: &Pod) -> Verdict {
        let Some(since) = pod.ready_since else { return Verdict::Unknown(Reason::NotReady) };
        let ready = self.now.since(since);
        if ready.millis() < self.when.window.millis().saturating_add(GRACE.millis()) {
            return Verdict::Unknown(Reason::TooYoung { ready });
        }
        Verdict::Idle(super::Evidence::default())
    }

    /// The pod's share of its node, by what it asks for; of a pod that waits for a node nothing.
    fn worth(&self, pod: &Pod, seat: Option<usize>) -> Option<Money> {
        if pod.node.is_none() {
            return Some(Money::ZERO);
        }
        let seat = self.fleet.seats.get(seat?)?;
        let whole = i128::from(seat.price?.picos());
        let units = i128::from(seat.node.allocatable.gpus.max(pod.requests.gpus));
        let share = whole.checked_mul(i128::from(pod.requests.gpus))?.checked_div(units)?;
        Some(Money::from_picos(share))
    }

    /// Nodes that the rule selects and that no pod asks for a GPU of.
    fn empty_nodes(&self, may_be_idle: &impl Fn(&Target) -> Option<String>) -> Vec<Finding> {
        let mut empty: BTreeMap<&str, (&Seat<'_>, Option<Verdict>, u32)> = BTreeMap::new();
        for (seat, selected) in self.fleet.seats.iter().zip(&self.selected) {
            let used = seat.pods.iter().any(|(_, pod)| !pod.daemon && asks_for_gpus(pod));
            if *selected && !used && seat.node.gpus > 0 && !seat.node.deleting {
                empty.insert(seat.name, (seat, None, 0));
            }
        }
        if empty.is_empty() {
            return Vec::new();
        }
        for history in self.gpus.all() {
            if let Some((_, verdict, known)) = empty.get_mut(&*history.node) {
                let one = judge_history(history, self.when, self.now);
                *verdict = Some(match verdict.take() {
                    Some(all) => all.and(one),
                    None => one,
                });
                *known = known.saturating_add(1);
            }
        }
        let found = empty.into_values().map(|(seat, verdict, known)| {
            let target = Target::Node(seat.name.into());
            let labelled = seat.node.labels.get(IDLE_OK).is_some_and(|value| &**value == "true");
            let said = may_be_idle(&target)
                .or_else(|| labelled.then(|| format!("label {IDLE_OK}=true of the node")));
            let mut verdict = verdict.unwrap_or(Verdict::Unknown(Reason::NeverSampled));
            if known < seat.node.gpus {
                let of = seat.node.gpus;
                verdict = verdict.and(Verdict::Unknown(Reason::GpusNotKnown { known, of }));
            }
            if let Some(by) = said {
                verdict = Verdict::Unknown(Reason::MayBeIdle { by: by.into() });
            }
            let worth = seat.price.map(|rate| Money::from_picos(rate.picos().into()));
            Finding { target, verdict, worth, nodes: vec![seat.name.into()] }
        });
        found.collect()
    }
}
