//! Random clusters: every plan keeps every constraint, and equal clusters have equal plans.

use std::cell::Cell;
use std::collections::BTreeMap;

use policy::idle::Fleet;
use policy::inventory::{
    DisruptionBudget, Inventory, Namespace, Node, ObjectKey, ObjectKind, Pod, PodKey, Requirement,
    RequirementOperator, Resources, ScaledObject, Taint, TaintEffect, Toleration, Workload,
};
use policy::rule::Guardrail;
use policy::time::Span;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::checker;
use super::plans::{NOW, packing, planned, price};

fn word(of: &'static [&'static str]) -> impl Strategy<Value = Box<str>> {
    prop::sample::select(of).prop_map(Into::into)
}

/// True once in so many times.
fn rarely(times: u32) -> impl Strategy<Value = bool> {
    (0..times).prop_map(|n| n == 0)
}

fn effect() -> impl Strategy<Value = TaintEffect> {
    prop::sample::select(vec![TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute])
}

fn labels() -> impl Strategy<Value = BTreeMap<Box<str>, Box<str>>> {
    let zone = word(&["a", "a", "b"]).prop_map(|zone| ("zone".into(), zone));
    let size = word(&["40", "80"]).prop_map(|size| ("memory".into(), size));
    let shield = rarely(80)
        .prop_map(|yes| ("breakerbox.dev/protected".into(), if yes { "true" } else { "no" }.into()));
    let product = word(&["A100", "A100", "A100", "H100"]).prop_map(|p| ("nvidia.com/gpu.product".into(), p));
    (zone, size, shield, prop::option::of(product))
        .prop_map(|(a, b, c, d)| [a, b, c].into_iter().chain(d).collect())
}

prop_compose! {
    fn node()(
        gpus in prop::sample::select(vec![0_u32, 4, 8, 8, 8, 8]),
        cpu in 6..20_u64,
        most_pods in 3..9_u32,
        taint in prop::option::weighted(0.15, (word(&["gpu", "spot"]), word(&["", "x"]), effect())),
        labels in labels(),
        (ready, unschedulable, deleting, kept) in (rarely(25), rarely(25), rarely(25), rarely(25)),
        age in prop::option::weighted(0.97, 0..120_i64),
        kind in word(&["p4d", "p4d", "p4d", "p4d", "p4d", "unpriced"]),
        nodepool in word(&["gpu-a", "gpu-a", "gpu-a", "gpu-a", "gpu-b"]),
    ) -> Node {
        Node {
            nodepool,
            instance_type: kind,
            gpus,
            allocatable: Resources { cpu_milli: cpu, memory: cpu, gpus },
            most_pods,
            taints: taint.map(|(key, value, effect)| Taint { key, value, effect }).into_iter().collect(),
            labels,
            ready: !ready,
            unschedulable,
            deleting,
            do_not_disrupt: kept,
            created_at: age.map(|minutes| NOW.minus(Span::from_mins(minutes))),
            ..Node::default()
        }
    }
}

fn toleration() -> impl Strategy<Value = Toleration> {
    let key = prop::option::weighted(0.8, word(&["gpu", "spot"]));
    let value = prop::option::weighted(0.3, word(&["", "x"]));
    (key, value, prop::option::weighted(0.3, effect())).prop_map(|(key, value, effect)| Toleration {
        key,
        value,
        effect,
    })
}

fn requirement() -> impl Strategy<Value = Requirement> {
    use RequirementOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    let operator = prop::sample::select(vec![In, In, NotIn, Exists, DoesNotExist, Gt, Lt]);
    let values = prop::collection::vec(word(&["a", "b", "60"]), 1..3);
    (word(&["zone", "memory", "none"]), operator, values).prop_map(|(key, operator, values)| Requirement {
        key,
        operator,
        values,
    })
}

prop_compose! {
    fn pod(nodes: usize)(
        node in prop::option::weighted(0.95, 0..nodes),
        owner in prop::option::weighted(0.98, word(&["api", "web", "batch"])),
        (cpu, memory, gpus) in (0..3_u64, 0..5_u64, prop::sample::select(vec![0_u32, 1, 1, 1, 2, 4])),
        tolerations in prop::collection::vec(toleration(), 0..3),
        selector in prop::option::weighted(0.2, word(&["a", "b"])),
        affinity in prop::option::weighted(0.2, prop::collection::vec(prop::collection::vec(requirement(), 0..3), 1..3)),
        budgets in prop::option::weighted(0.3, prop::collection::vec(word(&["one", "two"]), 1..3)),
        (kept, daemon, deleting, pinned) in (rarely(60), rarely(8), rarely(60), rarely(60)),
        labels in labels(),
    ) -> Pod {
        let key = |name: Box<str>| ObjectKey { kind: ObjectKind::Deployment, namespace: "ml".into(), name };
        Pod {
            node: node.map(|n| format!("n{n}").into()),
            owner: owner.map(key),
            requests: Resources { cpu_milli: cpu, memory, gpus },
            tolerations,
            node_selector: selector.map(|zone| ("zone".into(), zone)).into_iter().collect(),
            affinity: affinity.unwrap_or_default(),
            pinned: pinned.then(|| "its volume is on this node".into()),
            budgets: budgets.unwrap_or_default(),
            do_not_disrupt: kept,
            daemon,
            labels,
            deleting,
            ..Pod::default()
        }
    }
}

prop_compose! {
    fn cluster()(count in 2..8_usize)(
        nodes in prop::collection::vec(node(), count),
        pods in prop::collection::vec((pod(count), rarely(25)), 0..9),
        (one, two) in (0..4_u32, 0..4_u32),
        (workload, object) in (labels(), labels()),
        listed in rarely(10),
    ) -> (Inventory, Guardrail) {
        let mut inventory = Inventory::default();
        for (n, node) in nodes.into_iter().enumerate() {
            inventory.nodes.insert(format!("n{n}").into(), node);
        }
        for (n, (pod, elsewhere)) in pods.into_iter().enumerate() {
            let namespace = if elsewhere { "keda" } else { "ml" };
            inventory.pods.insert(PodKey::new(namespace, &format!("p{n}")), pod);
        }
        inventory.disruption_budgets.insert(PodKey::new("ml", "one"), DisruptionBudget { allowed: one });
        inventory.disruption_budgets.insert(PodKey::new("ml", "two"), DisruptionBudget { allowed: two });
        inventory.namespaces.insert("ml".into(), Namespace::default());
        let key = |kind, name: &str| ObjectKey { kind, namespace: "ml".into(), name: name.into() };
        let api = key(ObjectKind::Deployment, "api");
        inventory.workloads.insert(api.clone(), Workload { labels: workload, ..Workload::default() });
        let scaler = ScaledObject { workload: Some(api), labels: object, ..ScaledObject::default() };
        inventory.scaled_objects.insert(key(ObjectKind::ScaledObject, "api"), scaler);
        let mut rail = Guardrail::default();
        if listed {
            rail.protected_objects.push(key(ObjectKind::Deployment, "web"));
        }
        (inventory, rail)
    }
}

#[test]
fn every_plan_keeps_every_constraint_by_a_slow_separate_checker() {
    let (vacated, moves, left) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(2500) });
    let checked = runner.run(&cluster(), |(inventory, rail)| {
        let rule = packing("80%");
        let plan = planned(&rule, &inventory, &rail);
        let wrong = checker::wrong(&plan, &rule, &inventory, &rail, NOW);
        prop_assert!(wrong.is_empty(), "{}\n{plan:#?}", wrong.join("\n"));
        prop_assert_eq!(&planned(&rule, &inventory.clone(), &rail), &plan);
        let seats = Fleet::new(&inventory, price);
        let prices = plan.vacated.iter().map(|v| seats.seat(&v.node).unwrap().price.unwrap().picos());
        prop_assert_eq!(plan.saving.picos(), prices.map(i128::from).sum::<i128>());
        vacated.set(vacated.get() + plan.vacated.len());
        moves.set(moves.get() + plan.vacated.iter().map(|v| v.moves.len()).sum::<usize>());
        left.set(left.get() + plan.left.len());
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
    let (vacated, moves, left) = (vacated.get(), moves.get(), left.get());
    assert!(vacated > 500 && moves > 200 && left > 500, "{vacated} vacated, {moves} moves, {left} left");
}
