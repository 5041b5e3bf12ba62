//! What AWS says that it will take away: told at once, counted once, and what a rule would do recorded.

use std::collections::BTreeMap;

use policy::decision::{DecisionKind, Severity, SpotDecision};
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact};
use policy::inventory::{InventoryChange, Workload};
use policy::rule::{Mode, Place, ProtectedKind, SpotAct, SpotPolicy, SpotTrigger};
use policy::spot::{Host, HostChange, InstanceState, Loss, Pool, SpotBatch, SpotKind, SpotNotice, Step};
use policy::time::{Span, Timestamp};

use crate::world::{World, at};

const WARNING: SpotKind = SpotKind::Interruption(Loss::Terminate);

fn policy(mode: Mode) -> SpotPolicy {
    let place = |line| Place { file: "spot.yaml".into(), line, column: 3 };
    SpotPolicy {
        name: "spot".into(),
        description: "".into(),
        place: place(1),
        on_place: place(5),
        on: vec![SpotTrigger::Interruption, SpotTrigger::Rebalance, SpotTrigger::CapacityReservation],
        nodepools: vec!["gpu*".into()],
        then: vec![
            SpotAct::Cordon { place: place(7) },
            SpotAct::Drain { place: place(8) },
            SpotAct::Notify { route: "oncall".into(), place: place(9) },
            SpotAct::Checkpoint {
                matching: vec![("app".into(), "train".into())],
                before: Span::from_secs(90),
                place: place(10),
            },
        ],
        mode,
    }
}

fn host(n: u32, pool: &str, labels: &[(&str, &str)]) -> Host {
    Host {
        node: format!("node-{n}").into(),
        instance: format!("i-{n}").into(),
        pool: pool.into(),
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..Host::default()
    }
}

/// Nodes 1 and 2 are nobody's, 3 is Karpenter's, 4 says that it is protected, 5 is of another pool.
fn with_spot(mode: Mode) -> World {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    rules.id = "with spot".into();
    rules.spot = vec![policy(mode)];
    world.reload(rules);
    let hosts = vec![
        host(1, "gpu", &[]),
        host(2, "gpu", &[]),
        host(3, "gpu-k", &[("karpenter.sh/nodepool", "gpu-k")]),
        host(4, "gpu", &[("breakerbox.dev/protected", "true")]),
        host(5, "cpu", &[]),
    ];
    world.take(vec![Fact::Hosts(HostChange::All(hosts))]);
    world
}

fn notice(event: &str, n: u32, kind: SpotKind, at: Timestamp) -> SpotNotice {
    SpotNotice {
        event: event.into(),
        kind,
        instance: format!("i-{n}").into(),
        account: "111122223333".into(),
        region: "us-east-1".into(),
        at,
    }
}

fn say(world: &mut World, notices: Vec<SpotNotice>) -> Vec<SpotDecision> {
    let batch = SpotBatch { source: "spot".into(), notices };
    let outcome = world.take(vec![Fact::Spot(batch)]);
    let spot = outcome.decisions.iter().filter_map(|d| match &d.kind {
        DecisionKind::Spot(spot) => Some((**spot).clone()),
        _ => None,
    });
    spot.collect()
}

fn pool(world: &World, name: &str) -> Pool {
    let view = world.engine.view(world.clock.wall).spot;
    view.pools.iter().find(|(pool, _)| **pool == *name).map(|(_, pool)| *pool).unwrap_or_default()
}

fn acts(decided: &SpotDecision) -> (Vec<String>, Vec<String>) {
    let steps = decided.plan.steps.iter().map(Step::in_words).collect();
    let left = decided.plan.left.iter().map(|left| format!("{}: {}", left.act, left.because)).collect();
    (steps, left)
}

#[test]
fn an_interruption_is_told_at_once_and_what_would_be_done_by_its_deadline_is_recorded() {
    let mut world = with_spot(Mode::Alert);
    let at_aws = world.clock.wall.minus(Span::from_secs(7));
    let decided = say(&mut world, vec![notice("e", 1, WARNING, at_aws)]);
    let [one] = decided.as_slice() else { panic!("{decided:?}") };
    assert_eq!((&*one.node, &*one.pool, &*one.policy), ("node-1", "gpu", "spot"));
    let (steps, left) = acts(one);
    let want =
        ["cordon", "drain by 2026-11-20T12:01:53Z", "signal pods with app=train by 2026-11-20T12:00:23Z"];
    assert_eq!((steps, left), (want.map(str::to_owned).to_vec(), Vec::new()));
    let [told] = world.notices.as_slice() else { panic!("{:?}", world.notices) };
    assert_eq!((&*told.route, told.severity), ("oncall", Severity::Warning));
    let why = &told.decision.why;
    assert_eq!((why.place.to_string().as_str(), why.occurred_at), ("spot.yaml:5", Some(at_aws)));
    assert!(world.orders.is_empty(), "no act of a spot policy is carried out");
    let text = policy::explain::decision(&told.decision, &[], &[]);
    for part in ["interruption: node node-1 will be terminated", "2026-11-20T12:01:53Z", "i-1 in us-east-1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_nearest_deadline_is_answered_first_whatever_came_first() {
    let mut world = with_spot(Mode::Observe);
    let now = world.clock.wall;
    let before = |secs| now.minus(Span::from_secs(secs));
    let first = SpotBatch {
        source: "spot".into(),
        notices: vec![notice("a", 1, SpotKind::Rebalance, before(60)), notice("b", 2, WARNING, before(10))],
    };
    let second = SpotBatch { source: "spot".into(), notices: vec![notice("c", 3, WARNING, before(50))] };
    let outcome = world.take(vec![Fact::Spot(first), Fact::Spot(second)]);
    let order: Vec<&str> = outcome
        .decisions
        .iter()
        .filter_map(|d| match &d.kind {
            DecisionKind::Spot(spot) => Some(&*spot.node),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["node-3", "node-2", "node-1"]);
    assert!(world.notices.is_empty(), "a rule that observes tells nobody");
}

#[test]
fn nothing_is_drained_where_somebody_else_drains() {
    let mut world = with_spot(Mode::Observe);
    let now = world.clock.wall;
    let decided = say(&mut world, vec![notice("e", 3, WARNING, now)]);
    let (steps, left) = acts(&decided[0]);
    assert_eq!(steps, ["signal pods with app=train by 2026-11-20T12:00:30Z"]);
    let theirs = "Karpenter looks after this node";
    assert_eq!(left, [format!("cordon: {theirs}"), format!("drain: {theirs}")]);
    // A handler that reads a queue sees every node of the cluster.
    let labels = BTreeMap::from([("app.kubernetes.io/name".into(), "aws-node-termination-handler".into())]);
    let handler = Workload { labels, ..Workload::default() };
    let key = "Deployment/kube-system/aws-node-termination-handler".parse().unwrap();
    world.take(vec![Fact::Inventory(InventoryChange::Workload(key, handler))]);
    let decided = say(&mut world, vec![notice("f", 1, WARNING, now)]);
    assert_eq!(acts(&decided[0]).1[1], "drain: the node termination handler looks after this node");
}

#[test]
fn a_stale_notice_is_accounted_and_never_acted_on() {
    let mut world = with_spot(Mode::Alert);
    let old = world.clock.wall.minus(Span::from_millis(120_001));
    assert!(say(&mut world, vec![notice("e", 1, WARNING, old)]).is_empty());
    let ahead = world.clock.wall.plus(Span::from_mins(6));
    assert!(say(&mut world, vec![notice("f", 2, WARNING, ahead)]).is_empty());
    assert!(world.notices.is_empty());
    let counts = pool(&world, "gpu");
    assert_eq!((counts.interruptions, counts.stale), (2, 2));
    let just = world.clock.wall.minus(Span::from_secs(120));
    assert_eq!(say(&mut world, vec![notice("g", 1, WARNING, just)]).len(), 1, "a control");
}

#[test]
fn a_notice_that_comes_again_is_one_notice_also_after_a_restart() {
    let mut world = with_spot(Mode::Alert);
    let now = world.clock.wall;
    let both = vec![notice("e", 1, WARNING, now), notice("e", 1, WARNING, now), notice("e", 2, WARNING, now)];
    assert_eq!(say(&mut world, both.clone()).len(), 2, "one event may name several instances");
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    assert!(say(&mut world, both).is_empty());
    assert_eq!((world.notices.len(), pool(&world, "gpu").interruptions), (2, 2));
    assert_eq!(world.engine.view(now).spot.duplicates, 4);
}

#[test]
fn a_hibernation_leaves_no_time_and_is_told_all_the_same() {
    let mut world = with_spot(Mode::Alert);
    let now = world.clock.wall;
    let decided = say(&mut world, vec![notice("e", 1, SpotKind::Interruption(Loss::Hibernate), now)]);
    let (steps, left) = acts(&decided[0]);
    assert_eq!((steps, left.len()), (vec!["cordon".to_owned()], 2));
    assert!(left.iter().all(|left| left.ends_with("hibernation begins with the notice")), "{left:?}");
    assert_eq!((decided[0].notice.deadline(), world.notices.len()), (None, 1));
}

#[test]
fn a_rebalance_has_no_deadline_and_a_capacity_reservation_has_one() {
    let mut world = with_spot(Mode::Alert);
    let now = world.clock.wall;
    let reserved = SpotKind::CapacityReservation(Loss::Terminate);
    let both = vec![notice("e", 1, SpotKind::Rebalance, now), notice("f", 2, reserved, now)];
    let decided = say(&mut world, both);
    assert_eq!(decided[0].notice.deadline(), Some(at("2026-11-20T12:02:00Z")));
    assert_eq!(decided[1].notice.deadline(), None);
    assert_eq!(acts(&decided[1]).0[1..], ["drain", "signal pods with app=train by 2026-11-20T12:00:00Z"]);
    assert_eq!(world.notices[1].severity, Severity::Info);
    let counts = pool(&world, "gpu");
    assert_eq!((counts.rebalances, counts.reservations), (1, 1));
}

#[test]
fn an_instance_of_somebody_else_and_a_pool_that_no_rule_names_are_not_acted_on() {
    let mut world = with_spot(Mode::Alert);
    let now = world.clock.wall;
    assert!(say(&mut world, vec![notice("e", 9, WARNING, now), notice("f", 5, WARNING, now)]).is_empty());
    assert_eq!((pool(&world, "cpu").interruptions, world.notices.len()), (1, 0));
    assert_eq!(world.engine.view(now).spot.elsewhere, 1);
}

#[test]
fn where_no_node_was_ever_heard_of_an_instance_is_unknown_and_not_somebody_elses() {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    rules.id = "with spot".into();
    rules.spot = vec![SpotPolicy { nodepools: Vec::new(), ..policy(Mode::Alert) }];
    world.reload(rules);
    let now = world.clock.wall;
    let decided = say(&mut world, vec![notice("e", 1, WARNING, now)]);
    assert_eq!((decided[0].place().as_str(), pool(&world, "").interruptions), ("instance i-1", 1));
    assert_eq!(acts(&decided[0]).1[0], "cordon: which node it is is not known");
    assert_eq!(world.notices.len(), 1);
}

#[test]
fn what_is_protected_or_frozen_is_left_alone() {
    let mut world = with_spot(Mode::Observe);
    let now = world.clock.wall;
    let decided = say(&mut world, vec![notice("e", 4, WARNING, now)]);
    assert_eq!(acts(&decided[0]).1[0], "cordon: label breakerbox.dev/protected=true protects it");
    world.command(CommandKind::Freeze { reason: "incident".to_owned() });
    let decided = say(&mut world, vec![notice("f", 1, WARNING, now)]);
    assert!(acts(&decided[0]).1[1].starts_with("drain: frozen by alice"), "{decided:?}");
    let mut rules = world.rules.clone();
    rules.id = "no nodes".into();
    rules.guardrail.protected_kinds = vec![ProtectedKind::Node];
    world.reload(rules);
    let decided = say(&mut world, vec![notice("g", 1, WARNING, now)]);
    assert_eq!(acts(&decided[0]).1[1], "drain: objects of kind Node are protected");
}

#[test]
fn what_went_after_its_notice_is_lost_and_what_stayed_was_spared() {
    let mut world = with_spot(Mode::Observe);
    let now = world.clock.wall;
    let three = (1..=4).map(|n| notice("e", n, WARNING, now)).collect();
    say(&mut world, three);
    say(&mut world, vec![notice("s", 1, SpotKind::State(InstanceState::ShuttingDown), now)]);
    say(&mut world, vec![notice("t", 1, SpotKind::State(InstanceState::Terminated), now)]);
    world.take(vec![Fact::Hosts(HostChange::Gone("node-2".into()))]);
    world.take(vec![Fact::Hosts(HostChange::Gone("node-5".into()))]);
    world.pass("61m");
    let (gpu, karpenter) = (pool(&world, "gpu"), pool(&world, "gpu-k"));
    assert_eq!((gpu.lost, gpu.spared), (2, 1), "1 and 2 went, 4 stayed");
    assert_eq!((karpenter.lost, karpenter.spared), (0, 1));
    assert_eq!(pool(&world, "cpu"), Pool::default(), "nobody announced that");
}
