//! What rules find, with what could be stopped of it. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use crate::consolidate::{Plan, plan};
use crate::engine::Engine;
use crate::engine::protect::{protection, protection_of_kind};
use crate::idle::{Finding, Fleet, Target, Verdict, evaluate};
use crate::inventory::{Node, ObjectKey, ScaledObject};
use crate::money::HourRate;
use crate::rule::{IdleAct, IdlePolicy};

/// What one rule finds.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Idle, and worth it.
    pub idle: Vec<Finding>,
    /// Workloads that work, are broken, or of which signals disagree.
    pub working: BTreeSet<Target>,
    /// What scales the idle workloads and may be stopped, sorted.
    pub stops: Vec<ObjectKey>,
    /// What scales them and may not, and why.
    pub left: Vec<(ObjectKey, String)>,
    /// The workload of each of both.
    pub scaled: BTreeMap<ObjectKey, Target>,
    /// ScaledObjects that the rule could stop at all.
    pub eligible: u32,
    /// Nodes on which nothing but what is idle has a GPU.
    pub emptied: BTreeSet<Box<str>>,
    /// Targets by verdict.
    pub tally: BTreeMap<Box<str>, u32>,
    pub plan: Option<Plan>,
}

impl Look {
    /// What would be done next to the nodes of these, were it armed.
    pub fn not_armed(&self, policy: &IdlePolicy, found: &[Finding]) -> Vec<String> {
        let nodes: BTreeSet<&str> =
            found.iter().flat_map(|f| &f.nodes).filter(|n| self.emptied.contains(*n)).map(|n| &**n).collect();
        would(policy, nodes.into_iter())
    }
}

/// What the rule would do to these nodes and this version does not.
pub(super) fn would<'n>(policy: &IdlePolicy, nodes: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut said = Vec::new();
    for node in nodes.take(super::MOST_LISTED) {
        for act in &policy.then {
            match act {
                IdleAct::Cordon { .. } => said.push(format!("cordon {node}: not armed yet")),
                IdleAct::Reclaim { .. } => {
                    said.push(format!("delete the NodeClaim of {node}: not armed yet"));
                }
                IdleAct::Notify { .. } | IdleAct::PauseScaledObjects { .. } => {}
            }
        }
    }
    said
}

impl Engine {
    /// Asks each rule what it finds now.
    pub(super) fn look_at(&self, policies: &[IdlePolicy]) -> Vec<Look> {
        let fleet = Fleet::new(&self.inventory, |node| self.price_of(node));
        policies.iter().map(|policy| self.look(policy, &fleet)).collect()
    }

    fn price_of(&self, node: &Node) -> Option<HourRate> {
        let price = self.book.resolve_instance(&node.region, &node.instance_type, &node.capacity_type);
        price.ok().map(|price| price.rate)
    }

    fn look(&self, policy: &IdlePolicy, fleet: &Fleet<'_>) -> Look {
        let said = |target: &Target| match target {
            Target::Workload(key) => self.idle.acks.get(key).map(|(_, by)| by.clone()),
            Target::Pod(_) | Target::Node(_) => None,
        };
        let found = evaluate(policy, fleet, &self.idle.gpus, self.now, said);
        let mut look = Look::default();
        for finding in &found {
            *look.tally.entry(finding.verdict.word().into()).or_default() += 1;
            if matches!(
                finding.verdict,
                Verdict::Busy { .. } | Verdict::Conflict { .. } | Verdict::Unhealthy { .. }
            ) {
                look.working.insert(finding.target.clone());
            }
        }
        for finding in &found {
            self.scalers(policy, finding, fleet, &mut look);
        }
        look.idle = found.into_iter().filter(|f| is_worth_it(policy, f)).collect();
        look.emptied = emptied(&look.idle, fleet);
        look.stops.sort();
        look.left.sort();
        look.plan = policy
            .pack
            .as_ref()
            .map(|pack| plan(pack, &policy.select, fleet, &self.rules.guardrail, self.now));
        look
    }

    /// What scales a workload, where the rule pauses: to be stopped if it is idle and nothing protects it.
    fn scalers(&self, policy: &IdlePolicy, finding: &Finding, fleet: &Fleet<'_>, look: &mut Look) {
        let pause = policy.then.iter().find_map(|act| match act {
            IdleAct::PauseScaledObjects { except, .. } => Some(except),
            _ => None,
        });
        let (Some(except), Target::Workload(workload)) = (pause, &finding.target) else { return };
        for (key, object) in fleet.scalers_of(workload) {
            let spared = self.spared(key, object, except);
            look.eligible = look.eligible.saturating_add(u32::from(spared.is_none()));
            if !is_worth_it(policy, finding) {
                continue;
            }
            look.scaled.insert((*key).clone(), finding.target.clone());
            match spared {
                None => look.stops.push((*key).clone()),
                Some(because) => look.left.push(((*key).clone(), because)),
            }
        }
    }

    fn spared(
        &self,
        key: &ObjectKey,
        object: &ScaledObject,
        except: &[(Box<str>, Box<str>)],
    ) -> Option<String> {
        let empty = BTreeMap::new();
        let workload = object.workload.as_ref().and_then(|key| self.inventory.workloads.get(key));
        let carriers = [
            &object.labels,
            workload.map_or(&empty, |workload| &workload.labels),
            self.inventory.labels_of(&key.namespace).unwrap_or(&empty),
        ];
        let excepted = || {
            let carried =
                except.iter().find(|(name, value)| carriers.iter().any(|c| c.get(name) == Some(value)));
            carried.map(|(name, value)| format!("the rule excepts {name}={value}"))
        };
        let released = || {
            self.exempt.get(key).map(|until| format!("it was given back, and is left alone until {until}"))
        };
        let rail = &self.rules.guardrail;
        protection(rail, key, &carriers)
            .or_else(|| protection_of_kind(rail, key, object.workload.as_ref()))
            .or_else(excepted)
            .or_else(|| object.deleting.then(|| "it is being deleted".to_owned()))
            .or_else(released)
    }
}

/// Idle, and worth as much as the rule asks for. What has no price is not known to be.
fn is_worth_it(policy: &IdlePolicy, finding: &Finding) -> bool {
    let worth = match (policy.worth_at_least, finding.worth) {
        (None, _) => true,
        (Some(rate), Some(worth)) => worth.picos() >= i128::from(rate.picos()),
        (Some(_), None) => false,
    };
    worth && matches!(finding.verdict, Verdict::Idle(_))
}

/// Nodes that would have nobody on their GPUs once what is idle is gone.
fn emptied(idle: &[Finding], fleet: &Fleet<'_>) -> BTreeSet<Box<str>> {
    let targets: BTreeSet<&Target> = idle.iter().map(|finding| &finding.target).collect();
    let nodes: BTreeSet<&Box<str>> = idle.iter().flat_map(|finding| &finding.nodes).collect();
    let is_idle = |(key, pod): &crate::idle::PodRef<'_>| {
        let target = match &pod.owner {
            Some(owner) => Target::Workload(owner.clone()),
            None => Target::Pod((*key).clone()),
        };
        targets.contains(&target)
    };
    let empties = |name: &str| {
        fleet.seat(name).is_some_and(|seat| {
            let mut users = seat
                .pods
                .iter()
                .filter(|(_, pod)| !pod.daemon && (pod.requests.gpus > 0 || !pod.gpus.is_empty()));
            users.all(is_idle)
        })
    };
    nodes.into_iter().filter(|name| empties(name)).cloned().collect()
}
