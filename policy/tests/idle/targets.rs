//! Workloads, bare pods and empty nodes: every GPU of every replica, or it is not idle.

use std::collections::BTreeMap;

use policy::idle::{Reason, Verdict};
use policy::inventory::Workload;
use policy::money::Money;
use policy::rule::NodeSelector;
use policy::time::Span;

use super::stage::{Stage, busy, by_util, deployment, policy, quiet};

/// Two replicas on two nodes, each with one of two GPUs.
fn two_replicas() -> Stage {
    let mut stage = Stage::new();
    for (replica, (node, gpu)) in [("n", "GPU-0"), ("m", "GPU-1")].into_iter().enumerate() {
        stage.node(node, 2);
        stage.pod("api", u32::try_from(replica).unwrap(), node, &[gpu]);
    }
    stage
}

const IDLE: [(&str, &str); 2] = [("n", "GPU-0"), ("m", "GPU-1")];

fn run_idle(stage: &mut Stage) {
    let samples = IDLE.map(|(node, gpu)| (node, gpu, quiet()));
    stage.run(80, &samples);
}

#[test]
fn a_workload_is_idle_when_every_gpu_of_every_replica_is() {
    let mut stage = two_replicas();
    run_idle(&mut stage);
    let Verdict::Idle(evidence) = stage.verdict(&policy(by_util()), "api") else { panic!("not idle") };
    assert_eq!(evidence.gpus, 2);
    assert!(evidence.samples * 10 >= evidence.expected * 9, "{evidence:?}");
    let mut stage = two_replicas();
    stage.run(80, &[("n", "GPU-0", quiet()), ("m", "GPU-1", busy())]);
    assert!(matches!(stage.verdict(&policy(by_util()), "api"), Verdict::Busy { .. }));
}

#[test]
fn its_worth_is_its_share_of_its_nodes_and_unknown_where_one_has_no_price() {
    let mut stage = two_replicas();
    run_idle(&mut stage);
    let worth = |stage: &Stage| stage.find(&policy(by_util()))["Deployment/ml/api"].worth;
    let dollars = |n: i128| Some(Money::from_picos(n * 1_000_000_000_000));
    assert_eq!(worth(&stage), dollars(8), "half of two nodes at 8 USD");
    stage.inventory.nodes.get_mut("m").unwrap().instance_type = "unheard-of".into();
    assert_eq!(worth(&stage), None);
}

#[test]
fn a_replica_that_was_not_seen_or_waits_or_is_young_or_elsewhere_keeps_it_unknown() {
    let rule = policy(by_util());
    let reason = |change: &dyn Fn(&mut Stage)| {
        let mut stage = two_replicas();
        run_idle(&mut stage);
        change(&mut stage);
        match stage.verdict(&rule, "api") {
            Verdict::Unknown(reason) => reason,
            other => panic!("{other}"),
        }
    };
    let key = policy::inventory::PodKey::new("ml", "api-1");
    let three = Workload { replicas: 3, status_replicas: 3, ..Workload::default() };
    let seen = reason(&|stage| {
        stage.inventory.workloads.insert(deployment("api"), three.clone());
    });
    assert_eq!(seen, Reason::ReplicasNotSeen { seen: 2, of: 3 });
    assert_eq!(reason(&|stage| stage.pod_mut(&key).node = None), Reason::Waiting);
    assert_eq!(reason(&|stage| stage.pod_mut(&key).ready_since = None), Reason::NotReady);
    let young = reason(&|stage| {
        let since = stage.now.minus(Span::from_mins(34));
        stage.pod_mut(&key).ready_since = Some(since);
    });
    assert_eq!(young, Reason::TooYoung { ready: Span::from_mins(34) });
    assert_eq!(reason(&|stage| stage.pod_mut(&key).gpus.clear()), Reason::NeverSampled);
    let two = reason(&|stage| stage.pod_mut(&key).requests.gpus = 2);
    assert_eq!(two, Reason::GpusNotKnown { known: 1, of: 2 });
}

#[test]
fn a_replica_on_a_node_that_the_rule_does_not_select_keeps_it_unknown() {
    let mut stage = two_replicas();
    run_idle(&mut stage);
    stage.inventory.nodes.get_mut("m").unwrap().nodepool = "batch".into();
    let mut rule = policy(by_util());
    rule.select = NodeSelector { nodepools: vec!["gpu-*".into()], ..NodeSelector::default() };
    let elsewhere = Verdict::Unknown(Reason::Elsewhere { node: "m".into() });
    assert_eq!(stage.verdict(&rule, "api"), elsewhere);
    rule.select = NodeSelector::default();
    assert!(stage.find(&rule).is_empty(), "a selector without a condition selects nothing");
}

#[test]
fn the_label_says_that_it_may_be_idle_wherever_it_stands() {
    type Carrier = fn(&mut Stage) -> &mut BTreeMap<Box<str>, Box<str>>;
    let carriers: [Carrier; 4] = [
        |s| &mut s.inventory.pods.values_mut().next().unwrap().labels,
        |s| &mut s.inventory.workloads.get_mut(&deployment("api")).unwrap().labels,
        |s| &mut s.inventory.namespaces.entry("ml".into()).or_default().labels,
        |s| &mut s.inventory.nodes.get_mut("n").unwrap().labels,
    ];
    for carrier in carriers {
        let mut stage = two_replicas();
        run_idle(&mut stage);
        assert!(matches!(stage.verdict(&policy(by_util()), "api"), Verdict::Idle(_)));
        carrier(&mut stage).insert("breakerbox.dev/idle-ok".into(), "true".into());
        let verdict = stage.verdict(&policy(by_util()), "api");
        assert!(matches!(verdict, Verdict::Unknown(Reason::MayBeIdle { .. })), "{verdict}");
    }
}

#[test]
fn a_bare_pod_is_a_target_of_its_own_and_daemons_are_none() {
    let mut stage = two_replicas();
    run_idle(&mut stage);
    let key = policy::inventory::PodKey::new("ml", "api-1");
    stage.pod_mut(&key).owner = None;
    let daemon = stage.pod("dcgm", 0, "n", &["GPU-0"]);
    stage.pod_mut(&daemon).daemon = true;
    let found: Vec<String> = stage.find(&policy(by_util())).into_keys().collect();
    assert_eq!(found, ["Deployment/ml/api", "Pod/ml/api-1"]);
}

#[test]
fn a_node_that_nothing_asks_for_is_idle_once_all_its_gpus_are_known_to_be() {
    let mut stage = Stage::new();
    stage.node("n", 2);
    stage.run(80, &[("n", "GPU-0", quiet())]);
    let verdict = |stage: &Stage| stage.find(&policy(by_util())).remove("Node/n").unwrap().verdict;
    assert_eq!(verdict(&stage), Verdict::Unknown(Reason::GpusNotKnown { known: 1, of: 2 }));
    stage.run(80, &[("n", "GPU-0", quiet()), ("n", "GPU-1", quiet())]);
    assert!(matches!(verdict(&stage), Verdict::Idle(_)));
    stage.run(1, &[("n", "GPU-0", quiet()), ("n", "GPU-1", busy())]);
    assert!(matches!(verdict(&stage), Verdict::Busy { .. }), "somebody is on it whom we do not see");
}
