//! Plans that people would make by hand, and each thing that keeps a node as it is.

use policy::consolidate::{Move, Plan, plan};
use policy::idle::Fleet;
use policy::inventory::{
    DisruptionBudget, Inventory, Node, ObjectKey, ObjectKind, Pod, PodKey, Resources, Taint, TaintEffect,
    Toleration,
};
use policy::money::{HourRate, Money};
use policy::rule::{Guardrail, IdlePolicy, Mode, NodeSelector, Pack, Place};
use policy::time::{Span, Timestamp};

pub const NOW: Timestamp = Timestamp::from_millis(1_795_170_037_000);

pub fn packing(below: &str) -> IdlePolicy {
    IdlePolicy {
        name: "pack".into(),
        description: "".into(),
        place: Place::default(),
        select: NodeSelector { nodepools: vec!["gpu-a".into()], ..NodeSelector::default() },
        idle_when: None,
        pack: Some(Pack { place: Place::default(), allocation_below: below.parse().unwrap() }),
        worth_at_least: None,
        then: Vec::new(),
        mode: Mode::Observe,
    }
}

pub fn price(node: &Node) -> Option<HourRate> {
    (&*node.instance_type == "p4d").then(|| "8 USD per hour".parse().unwrap())
}

pub fn planned(rule: &IdlePolicy, inventory: &Inventory, rail: &Guardrail) -> Plan {
    let fleet = Fleet::new(inventory, price);
    plan(rule.pack.as_ref().unwrap(), &rule.select, &fleet, rail, NOW)
}

fn node(gpus: u32) -> Node {
    Node {
        nodepool: "gpu-a".into(),
        instance_type: "p4d".into(),
        gpus,
        allocatable: Resources { cpu_milli: 96_000, memory: 1 << 40, gpus },
        most_pods: 100,
        ready: true,
        created_at: Some(NOW.minus(Span::from_hours(5))),
        ..Node::default()
    }
}

fn pod(node: &str, gpus: u32) -> Pod {
    Pod {
        node: Some(node.into()),
        owner: Some(ObjectKey { kind: ObjectKind::Deployment, namespace: "ml".into(), name: "api".into() }),
        requests: Resources { cpu_milli: 1000, memory: 1 << 30, gpus },
        ready_since: Some(NOW.minus(Span::from_hours(4))),
        ..Pod::default()
    }
}

/// `low` with two of eight GPUs in use, `mid` with five, `full` with eight.
fn cluster() -> Inventory {
    let mut all = Inventory::default();
    for (name, used) in [("low", 2), ("mid", 5), ("full", 8)] {
        all.nodes.insert(name.into(), node(8));
        for n in 0..used {
            all.pods.insert(PodKey::new("ml", &format!("{name}-{n}")), pod(name, 1));
        }
    }
    all
}

fn vacated(plan: &Plan) -> Vec<&str> {
    plan.vacated.iter().map(|v| &*v.node).collect()
}

#[test]
fn the_pods_of_an_under_filled_node_go_where_they_fit_and_its_price_is_saved() {
    let plan = planned(&packing("50%"), &cluster(), &Guardrail::default());
    assert_eq!(vacated(&plan), ["low"]);
    let to_mid = |name: &str| Move { pod: PodKey::new("ml", name), to: "mid".into() };
    assert_eq!(plan.vacated[0].moves, [to_mid("low-0"), to_mid("low-1")]);
    assert_eq!(plan.vacated[0].allocation.to_string(), "25%");
    assert_eq!(plan.saving, Money::from_picos(8_000_000_000_000));
    assert!(plan.left.is_empty());
}

#[test]
fn what_would_not_all_fit_is_left_whole() {
    let mut all = cluster();
    for n in 0..2 {
        all.pods.insert(PodKey::new("ml", &format!("mid-more-{n}")), pod("mid", 1));
    }
    let plan = planned(&packing("50%"), &all, &Guardrail::default());
    assert!(plan.vacated.is_empty(), "one of two would fit");
    assert_eq!(plan.left.len(), 1);
    assert!(plan.left[0].because.contains("fits on no other node"), "{:?}", plan.left);
}

#[test]
fn two_empty_halves_become_one_whole_and_not_none() {
    let mut all = Inventory::default();
    for name in ["a", "b"] {
        all.nodes.insert(name.into(), node(8));
        all.pods.insert(PodKey::new("ml", name), pod(name, 3));
    }
    let plan = planned(&packing("50%"), &all, &Guardrail::default());
    assert_eq!(vacated(&plan), ["a"], "and b, which takes its pod, stays");
    assert_eq!(&*plan.left[0].because, "pods of other nodes would go onto it");
}

/// A change to the cluster or the rail, and what must be said of why `low` stays.
type Keeper = (&'static str, fn(&mut Inventory, &mut Guardrail));

const KEEPERS: [Keeper; 18] = [
    ("do-not-disrupt", |all, _| low(all).do_not_disrupt = true),
    ("do-not-disrupt", |all, _| all.nodes.get_mut("low").unwrap().do_not_disrupt = true),
    ("disruption budget `pdb` allows no", |all, _| low(all).budgets = vec!["pdb".into()]),
    ("disruption budget `pdb` allows no (further)", |all, _| {
        for name in ["low-0", "low-1"] {
            all.pods.get_mut(&PodKey::new("ml", name)).unwrap().budgets = vec!["pdb".into()];
        }
        all.disruption_budgets.insert(PodKey::new("ml", "pdb"), DisruptionBudget { allowed: 1 });
    }),
    ("more than one disruption budget", |all, _| {
        low(all).budgets = vec!["a".into(), "b".into()];
        for name in ["a", "b"] {
            all.disruption_budgets.insert(PodKey::new("ml", name), DisruptionBudget { allowed: 9 });
        }
    }),
    ("namespace `ml` is protected", |_, rail| rail.protected_namespaces.push("m*".into())),
    ("label tier=critical protects", |all, rail| {
        rail.protected_labels.push(("tier".into(), "critical".into()));
        low(all).labels.insert("tier".into(), "critical".into());
    }),
    ("label breakerbox.dev/protected=true protects", |all, _| {
        all.nodes.get_mut("low").unwrap().labels.insert("breakerbox.dev/protected".into(), "true".into());
    }),
    ("protected list", |_, rail| rail.protected_objects.push("Deployment/ml/api".parse().unwrap())),
    ("nothing brings it back", |all, _| low(all).owner = None),
    ("its volume", |all, _| low(all).pinned = Some("its volume is on this node".into())),
    ("fits on no other node", |all, _| {
        low(all).node_selector.insert("zone".into(), "b".into());
    }),
    ("fits on no other node", |all, _| {
        let gpu = Taint { key: "gpu".into(), value: "".into(), effect: TaintEffect::NoSchedule };
        all.nodes.get_mut("mid").unwrap().taints.push(gpu);
    }),
    ("fits on no other node", |all, _| all.nodes.get_mut("mid").unwrap().unschedulable = true),
    ("fits on no other node", |all, _| low(all).requests.cpu_milli = 95_000),
    ("fits on no other node", |all, _| {
        all.nodes.get_mut("mid").unwrap().labels.insert("nvidia.com/gpu.product".into(), "T4".into());
    }),
    ("it is new", |all, _| {
        all.nodes.get_mut("low").unwrap().created_at = Some(NOW.minus(Span::from_mins(9)));
    }),
    ("no price", |all, _| all.nodes.get_mut("low").unwrap().instance_type = "unpriced".into()),
];

fn low(all: &mut Inventory) -> &mut Pod {
    all.pods.get_mut(&PodKey::new("ml", "low-0")).unwrap()
}

#[test]
fn each_thing_that_keeps_a_node_keeps_it_and_is_named() {
    for (said, change) in KEEPERS {
        let (mut all, mut rail) = (cluster(), Guardrail::default());
        change(&mut all, &mut rail);
        let plan = planned(&packing("50%"), &all, &rail);
        assert!(plan.vacated.is_empty(), "{said}: {plan:?}");
        let because =
            plan.left.iter().find(|left| &*left.node == "low").map_or("nothing", |left| &left.because);
        assert!(because.contains(said), "wanted `{said}`, is `{because}`");
    }
}

#[test]
fn a_taint_that_is_tolerated_and_a_daemon_keep_nothing() {
    let mut all = cluster();
    let gpu = Taint { key: "gpu".into(), value: "".into(), effect: TaintEffect::NoSchedule };
    all.nodes.get_mut("mid").unwrap().taints.push(gpu);
    for pod in all.pods.values_mut() {
        pod.tolerations.push(Toleration { key: Some("gpu".into()), ..Toleration::default() });
    }
    all.pods.insert(PodKey::new("kube-system", "dcgm"), Pod { daemon: true, ..pod("low", 0) });
    assert_eq!(vacated(&planned(&packing("50%"), &all, &Guardrail::default())), ["low"]);
}
