//! Checks a plan by hand: slow, and with nothing of the planner in it.
//!
//! It walks through the moves one after the other over its own table of who is where, and asks of each what
//! Kubernetes and the Guardrail would ask. It knows nothing of how a plan is found.

use std::collections::{BTreeMap, BTreeSet};

use policy::consolidate::Plan;
use policy::inventory::{
    Inventory, Node, Pod, PodKey, Requirement, RequirementOperator, Taint, TaintEffect, Toleration,
};
use policy::rule::{Guardrail, IdlePolicy};
use policy::time::{Span, Timestamp};

/// What is wrong with a plan.
pub fn wrong(
    plan: &Plan,
    rule: &IdlePolicy,
    inventory: &Inventory,
    rail: &Guardrail,
    now: Timestamp,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let vacated: BTreeSet<&str> = plan.vacated.iter().map(|v| &*v.node).collect();
    let mut where_now: BTreeMap<&PodKey, &str> =
        inventory.pods.iter().filter_map(|(key, pod)| Some((key, pod.node.as_deref()?))).collect();
    let mut evicted: BTreeMap<PodKey, u32> = BTreeMap::new();
    for vacated_node in &plan.vacated {
        let node = &inventory.nodes[&vacated_node.node];
        candidate(&vacated_node.node, node, rule, inventory, rail, now, &mut wrong);
        let on_it: BTreeSet<&PodKey> = inventory
            .pods
            .iter()
            .filter(|(_, pod)| pod.node.as_ref() == Some(&vacated_node.node) && !pod.daemon)
            .map(|(key, _)| key)
            .collect();
        let moved: BTreeSet<&PodKey> = vacated_node.moves.iter().map(|m| &m.pod).collect();
        if on_it != moved || moved.len() != vacated_node.moves.len() {
            wrong.push(format!("{}: has {on_it:?}, moves {moved:?}", vacated_node.node));
        }
        for one in &vacated_node.moves {
            let (Some(pod), Some(to)) = (inventory.pods.get(&one.pod), inventory.nodes.get(&one.to)) else {
                wrong.push(format!("{one:?} is of nothing that exists"));
                continue;
            };
            if vacated.contains(&*one.to) {
                wrong.push(format!("{one:?}: onto a node that is emptied itself"));
            }
            if let Some(no) = refused(&one.pod, pod, node, to, inventory, rail) {
                wrong.push(format!("{one:?}: {no}"));
            }
            for budget in &pod.budgets {
                let key = PodKey { namespace: one.pod.namespace.clone(), name: budget.clone() };
                *evicted.entry(key).or_default() += 1;
            }
            where_now.insert(&one.pod, &one.to);
            // Room that the plan itself makes counts for nothing: what left is still there while this one goes.
            let before = inventory.pods.iter().filter(|(_, p)| p.node.as_ref() == Some(&one.to));
            let came = where_now.iter().filter(|(key, at)| {
                **at == &*one.to && inventory.pods[**key].node.as_deref() != Some(&*one.to)
            });
            let all: Vec<&Pod> =
                before.map(|(_, p)| p).chain(came.map(|(key, _)| &inventory.pods[*key])).collect();
            let sum = |of: fn(&Pod) -> u64| all.iter().map(|p| of(p)).sum::<u64>();
            if sum(|p| p.requests.cpu_milli) > to.allocatable.cpu_milli
                || sum(|p| p.requests.memory) > to.allocatable.memory
                || sum(|p| p.requests.gpus.into()) > to.allocatable.gpus.into()
                || all.len() > to.most_pods as usize
            {
                wrong.push(format!("{one:?}: too much for it"));
            }
        }
    }
    for (key, count) in evicted {
        let allowed = inventory.disruption_budgets.get(&key).map_or(0, |budget| budget.allowed);
        if count > allowed {
            wrong.push(format!("{key}: {count} evictions, {allowed} allowed"));
        }
    }
    wrong
}

fn candidate(
    name: &str,
    node: &Node,
    rule: &IdlePolicy,
    inventory: &Inventory,
    rail: &Guardrail,
    now: Timestamp,
    wrong: &mut Vec<String>,
) {
    let asked: u64 = inventory
        .pods
        .values()
        .filter(|pod| pod.node.as_deref() == Some(name))
        .map(|pod| u64::from(pod.requests.gpus))
        .sum();
    let share = asked * 1_000_000 / u64::from(node.allocatable.gpus.max(1));
    let protected = rail.protected_labels.iter().any(|(k, v)| node.labels.get(k) == Some(v));
    let young = node.created_at.is_none_or(|at| now.since(at) < Span::from_mins(10));
    let below = rule.pack.as_ref().unwrap().allocation_below.ppm();
    let selected = rule.select.all || rule.select.nodepools.contains(&node.nodepool);
    if node.allocatable.gpus == 0
        || share >= u64::from(below)
        || node.deleting
        || node.do_not_disrupt
        || protected
        || young
        || !selected
        || &*node.instance_type == "unpriced"
    {
        wrong.push(format!("{name} may not be emptied: {node:?}"));
    }
}

fn refused(
    key: &PodKey,
    pod: &Pod,
    from: &Node,
    to: &Node,
    inventory: &Inventory,
    rail: &Guardrail,
) -> Option<String> {
    let no = |why: &str| Some(why.to_owned());
    if !to.ready || to.unschedulable || to.deleting {
        return no("onto a node that takes nothing");
    }
    for taint in &to.taints {
        let hard = taint.effect != TaintEffect::PreferNoSchedule;
        if hard && !pod.tolerations.iter().any(|t| tolerates(t, taint)) {
            return no("not tolerated");
        }
    }
    for (name, value) in &pod.node_selector {
        if to.labels.get(name) != Some(value) {
            return no("its selector");
        }
    }
    if !pod.affinity.is_empty() {
        let term = |term: &Vec<Requirement>| !term.is_empty() && term.iter().all(|r| met(r, to));
        if !pod.affinity.iter().any(term) {
            return no("its affinity");
        }
    }
    let kind = |node: &Node| {
        node.labels.get("nvidia.com/gpu.product").cloned().unwrap_or(node.instance_type.clone())
    };
    if pod.requests.gpus > 0 && kind(from) != kind(to) {
        return no("another kind of GPU");
    }
    if pod.do_not_disrupt
        || pod.pinned.is_some()
        || pod.deleting
        || pod.owner.is_none()
        || pod.budgets.len() > 1
    {
        return no("it may not be moved");
    }
    if rail.protected_namespaces.contains(&key.namespace) {
        return no("its namespace is protected");
    }
    let owner = pod.owner.as_ref().unwrap();
    let mut labels = vec![&pod.labels];
    labels.extend(inventory.workloads.get(owner).map(|w| &w.labels));
    labels.extend(inventory.namespaces.get(&key.namespace).map(|n| &n.labels));
    let mut names = vec![owner];
    for (name, object) in &inventory.scaled_objects {
        if object.workload.as_ref() == Some(owner) {
            names.push(name);
            labels.push(&object.labels);
        }
    }
    if names.iter().any(|name| rail.protected_objects.contains(name)) {
        return no("it is listed");
    }
    let shield = |labels: &&BTreeMap<Box<str>, Box<str>>| {
        rail.protected_labels.iter().any(|(k, v)| labels.get(k) == Some(v))
    };
    if labels.iter().any(shield) { no("a label protects it") } else { None }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = match &toleration.key {
        None => true,
        Some(key) => *key == taint.key,
    };
    let value = match &toleration.value {
        None => true,
        Some(value) => *value == taint.value,
    };
    key && value && (toleration.effect.is_none() || toleration.effect == Some(taint.effect))
}

fn met(requirement: &Requirement, node: &Node) -> bool {
    let has = node.labels.get(&requirement.key);
    let listed = has.is_some_and(|value| requirement.values.iter().any(|v| v == value));
    let numbers = || {
        let has: i64 = has?.parse().ok()?;
        let want: i64 = requirement.values.first()?.parse().ok()?;
        (requirement.values.len() == 1).then_some((has, want))
    };
    match requirement.operator {
        RequirementOperator::In => listed,
        RequirementOperator::NotIn => !listed,
        RequirementOperator::Exists => has.is_some(),
        RequirementOperator::DoesNotExist => has.is_none(),
        RequirementOperator::Gt => numbers().is_some_and(|(has, want)| has > want),
        RequirementOperator::Lt => numbers().is_some_and(|(has, want)| has < want),
    }
}
