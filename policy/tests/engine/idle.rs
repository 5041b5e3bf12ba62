//! Idle policies through the engine: samples to decisions, guards, orders, and back.

use std::collections::BTreeMap;

use policy::decision::{Decision, DecisionKind, HoldState, ReleaseCause};
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact, GuardCheck, SourceHealth, SourceState};
use policy::gpu::{GpuBatch, GpuSample, Sharing, Signal, Signals};
use policy::inventory::{Inventory, InventoryChange, Node, Pod, PodKey, Resources};
use policy::money::Percent;
use policy::rule::{
    Approvers, FirstDays, FreezeWhen, FreezeWindow, Guardrail, IdleAct, IdlePolicy, IdleWhen, Mode,
    NodeSelector, Pack, Place, ProtectedKind, RuleSet,
};
use policy::time::Span;

use super::world::{World, at, deployment, inventory, rules, scaled_object, usd};

const TENANTS: [&str; 3] = ["acme", "blue", "core"];
const HOLDER: &str = "idle:gpu-idle";

fn quiet() -> Signals {
    Signals {
        gpu_util: Some(Percent::ZERO),
        power_mw: Some(60_000),
        power_limit_mw: Some(400_000),
        ..Signals::default()
    }
}

fn busy() -> Signals {
    Signals { gpu_util: Some("80%".parse().unwrap()), power_mw: Some(300_000), ..quiet() }
}

fn line(line: u32) -> Place {
    Place { file: "gpu.yaml".into(), line, column: 3 }
}

fn policy(mode: Mode) -> IdlePolicy {
    IdlePolicy {
        name: "gpu-idle".into(),
        description: "".into(),
        place: line(1),
        select: NodeSelector { nodepools: vec!["gpu-*".into()], ..NodeSelector::default() },
        idle_when: Some(IdleWhen {
            place: line(7),
            below: BTreeMap::from([(Signal::GpuUtil, "5%".parse().unwrap())]),
            no_requests: false,
            window: Span::from_mins(30),
            samples: "90%".parse().unwrap(),
        }),
        pack: None,
        worth_at_least: Some("1 USD per hour".parse().unwrap()),
        then: vec![
            IdleAct::Notify { route: "finops".into(), ack_for: Some(Span::from_hours(4)), place: line(12) },
            IdleAct::PauseScaledObjects { except: Vec::new(), place: line(13) },
            IdleAct::Cordon { place: line(14) },
            IdleAct::Reclaim { place: line(15) },
        ],
        mode,
    }
}

fn with_idle(idle: Vec<IdlePolicy>) -> RuleSet {
    RuleSet { id: "idle-1".into(), idle, ..rules(Vec::new()) }
}

/// Each tenant's deployment has one GPU of a node of its own, a g5.xlarge at 1.006 USD an hour.
fn cluster() -> Inventory {
    let mut all = inventory(&TENANTS);
    for tenant in TENANTS {
        let node = Node {
            nodepool: "gpu-a".into(),
            instance_type: "g5.xlarge".into(),
            region: "us-east-1".into(),
            gpus: 1,
            allocatable: Resources { cpu_milli: 4000, memory: 1 << 34, gpus: 1 },
            ready: true,
            ..Node::default()
        };
        all.nodes.insert(format!("node-{tenant}").into(), node);
        all.workloads.get_mut(&deployment(tenant)).unwrap().replicas = 1;
        all.workloads.get_mut(&deployment(tenant)).unwrap().status_replicas = 1;
        let pod = Pod {
            node: Some(format!("node-{tenant}").into()),
            owner: Some(deployment(tenant)),
            requests: Resources { gpus: 1, ..Resources::default() },
            gpus: vec![format!("GPU-{tenant}").into()],
            ready_since: Some(at("2026-11-20T01:00:00Z")),
            ..Pod::default()
        };
        all.pods.insert(PodKey::new(tenant, "api-0"), pod);
    }
    all
}

fn world(mode: Mode) -> World {
    let mut world = World::with(Vec::new());
    world.reload(with_idle(vec![policy(mode)]));
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(cluster()))]);
    world
}

/// So many minutes, with a sample of each tenant's GPU every 30 seconds.
fn pass(world: &mut World, minutes: u32, signals: &dyn Fn(&str) -> Signals) {
    for _ in 0..minutes * 2 {
        let step = Span::from_secs(30);
        world.clock.wall = world.clock.wall.plus(step);
        world.clock.mono += 30_000;
        let sample = |(number, tenant): (usize, &&str)| GpuSample {
            node: u32::try_from(number).unwrap(),
            gpu: format!("GPU-{tenant}").into(),
            at: world.clock.wall,
            sharing: Sharing::Whole,
            signals: signals(tenant),
        };
        let batch = GpuBatch {
            source: "dcgm".into(),
            interval: step,
            nodes: TENANTS.map(|tenant| format!("node-{tenant}").into()).into(),
            samples: TENANTS.iter().enumerate().map(sample).collect(),
        };
        let heard = SourceHealth { source: "kubernetes".into(), state: SourceState::Heard };
        world.take(vec![Fact::Gpus(batch), Fact::Health(heard), Fact::Tick]);
    }
}

/// acme is idle, the others work.
fn acme_idles(tenant: &str) -> Signals {
    if tenant == "acme" { quiet() } else { busy() }
}

fn all_idle(_: &str) -> Signals {
    quiet()
}

fn idle_decisions(world: &World) -> Vec<&Decision> {
    world.decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Idle { .. })).collect()
}

#[test]
fn what_is_idle_is_told_once_with_its_evidence_its_worth_and_the_line_of_its_rule() {
    let mut world = world(Mode::Alert);
    pass(&mut world, 25, &acme_idles);
    assert!(idle_decisions(&world).is_empty(), "no window is full yet");
    pass(&mut world, 60, &acme_idles);
    let [decision] = idle_decisions(&world)[..] else { panic!("{:#?}", idle_decisions(&world)) };
    let DecisionKind::Idle { found, targets, not_armed, .. } = &decision.kind else { panic!() };
    assert_eq!(found[0].target.to_string(), "Deployment/acme/api");
    assert_eq!(found.len(), 1);
    assert_eq!(targets, &[scaled_object("acme")]);
    let would = ["cordon node-acme: not armed yet", "delete the NodeClaim of node-acme: not armed yet"];
    assert_eq!(not_armed, &would);
    assert_eq!((decision.why.sum, decision.why.place.line), (usd("1.006"), 7));
    assert!(decision.why.facts >= 54, "{} samples", decision.why.facts);
    assert!(world.orders.is_empty(), "mode `alert` stops nothing");
    let notices: Vec<&str> = world.notices.iter().map(|n| &*n.route).collect();
    assert_eq!(notices, ["finops"]);
    let text = policy::explain::decision(decision, &[], &[]);
    insta::assert_snapshot!(text, @r"
    d1  idle:gpu-idle  idle: 1 target(s)
      at        2026-11-20T12:30:30Z, mode alert
      worth     1.01 USD per hour
      rule      gpu.yaml:7 of rules idle-1
      idle      Deployment/acme/api on node-acme: idle: 1 GPU(s), at least 61 of 61 samples, every signal low; worth 1.01 USD per hour
      targets   ScaledObject/acme/api
      would     cordon node-acme: not armed yet
      would     delete the NodeClaim of node-acme: not armed yet
    ");
}

#[test]
fn below_alert_it_is_recorded_and_nobody_is_told() {
    let mut world = world(Mode::Observe);
    pass(&mut world, 40, &acme_idles);
    assert_eq!((idle_decisions(&world).len(), world.notices.len(), world.orders.len()), (1, 0, 0));
    assert_eq!(world.engine.idle_verdicts()["gpu-idle"], [("Busy".into(), 2), ("Idle".into(), 1)].into());
}

#[test]
fn an_idle_workload_is_paused_proven_and_given_back_by_a_person() {
    let mut world = world(Mode::Enforce);
    pass(&mut world, 31, &acme_idles);
    assert_eq!(world.ordered(), ["pause acme/api"]);
    let order = world.orders[0].clone();
    assert_eq!((&*order.holders, order.mode), (&[HOLDER.into()][..], Mode::Enforce));
    assert_eq!(order.decision, idle_decisions(&world)[0].id);
    assert_eq!((order.why.place.line, order.why.sum), (7, usd("1.006")));
    assert!(order.why.facts >= 54 && order.why.note.contains("every signal low"), "{:?}", order.why);
    assert_eq!((order.blast.by_rule, order.blast.eligible), (1, 3));
    world.obey_all();
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    world.take(vec![Fact::Inventory(InventoryChange::PodGone(PodKey::new("acme", "api-0")))]);
    pass(&mut world, 60, &acme_idles);
    assert_eq!(world.hold("acme"), Some(HoldState::Verified), "it stays");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    world.command(CommandKind::Release { target: scaled_object("acme") });
    assert_eq!(world.ordered(), ["restore acme/api"]);
    world.obey_all();
    assert_eq!(world.hold("acme"), None);
}

#[test]
fn a_reload_keeps_what_is_held_and_only_a_rule_that_is_gone_is_paged() {
    let mut world = world(Mode::Enforce);
    pass(&mut world, 31, &acme_idles);
    world.obey_all();
    let again = RuleSet { id: "idle-2".into(), ..with_idle(vec![policy(Mode::Enforce)]) };
    world.reload(again);
    assert!(!world.pages().iter().any(|page| page.contains(HOLDER)), "{:?}", world.pages());
    world.reload(RuleSet { id: "none".into(), ..with_idle(Vec::new()) });
    assert!(world.pages().iter().any(|page| page.contains("breakerbox reset idle:gpu-idle")));
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    world.reset(HOLDER);
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn whoever_raises_what_was_idle_wants_it_and_is_not_fought() {
    let mut world = world(Mode::Enforce);
    pass(&mut world, 31, &acme_idles);
    world.obey_all();
    world.scale("acme", 1);
    let released = world.decisions.iter().rev().find_map(|d| match &d.kind {
        DecisionKind::Released { cause: ReleaseCause::Wanted(seen), .. } => Some(seen.clone()),
        _ => None,
    });
    assert!(released.is_some_and(|seen| seen.starts_with("somebody raised it to 1")));
    pass(&mut world, 1, &acme_idles);
    assert_eq!(world.ordered(), ["restore acme/api"], "given back, not reversed");
    world.obey_all();
    pass(&mut world, 120, &acme_idles);
    assert!(world.orders.is_empty(), "left alone for a day: {:?}", world.ordered());
}

#[test]
fn what_works_after_all_is_given_back_before_it_is_proven_stopped() {
    let mut world = world(Mode::Enforce);
    pass(&mut world, 31, &acme_idles);
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered));
    world.orders.clear();
    pass(&mut world, 2, &|_| busy());
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn the_whole_batch_is_refused_when_it_is_over_the_blast_radius_and_a_yes_is_to_those_named() {
    let mut rail = with_idle(vec![policy(Mode::Enforce)]);
    rail.guardrail.at_least = 2;
    let mut world = world(Mode::Enforce);
    world.reload(RuleSet { id: "capped".into(), ..rail });
    pass(&mut world, 40, &all_idle);
    assert!(world.orders.is_empty(), "three at once, and two may be: {:?}", world.ordered());
    let asked = world.asked().unwrap().clone();
    let DecisionKind::Withheld { targets, answers } = &asked.kind else { panic!() };
    assert_eq!((targets.len(), answers[0].check), (3, GuardCheck::BlastRadius));
    let questions =
        || world.decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Withheld { .. })).count();
    assert!(questions() <= 2, "asked again only when the question lapsed: {}", questions());
    world.command(CommandKind::Approve { decision: asked.id });
    assert_eq!(world.ordered().len(), 3);
}

#[test]
fn under_approve_a_person_is_asked_and_a_yes_stops_only_what_is_idle_still() {
    let mut world = world(Mode::Approve);
    pass(&mut world, 40, &all_idle);
    assert!(world.orders.is_empty());
    let asked = world.asked().unwrap().clone();
    let DecisionKind::Withheld { targets, answers } = &asked.kind else { panic!() };
    assert_eq!((targets.len(), answers[0].check), (3, GuardCheck::Mode));
    assert_eq!((asked.why.sum, asked.why.place.line), (usd("3.018"), 13));
    pass(&mut world, 2, &acme_idles);
    world.command(CommandKind::Approve { decision: asked.id });
    assert_eq!(world.ordered(), ["pause acme/api"], "blue and core work again");
    assert_eq!(world.orders[0].approved_by.as_deref(), Some("alice"));
    let again = world.command(CommandKind::Approve { decision: asked.id });
    assert!(matches!(&again.decisions[0].kind, DecisionKind::Commanded { refused: Some(_), .. }));
}

#[test]
fn a_freeze_a_silent_cluster_and_a_clock_in_doubt_stop_nothing() {
    let mut world = world(Mode::Enforce);
    world.command(CommandKind::Freeze { reason: "audit".to_owned() });
    pass(&mut world, 40, &acme_idles);
    assert!(world.orders.is_empty());
    assert!(matches!(&world.asked().unwrap().kind,
        DecisionKind::Withheld { answers, .. } if answers[0].check == GuardCheck::Freeze));
    world.command(CommandKind::Unfreeze);
    pass(&mut world, 1, &acme_idles);
    assert_eq!(world.ordered(), ["pause acme/api"]);
    let mut world = self::world(Mode::Enforce);
    pass(&mut world, 25, &acme_idles);
    world.clock.wall = world.clock.wall.plus(Span::from_mins(5));
    pass(&mut world, 60, &acme_idles);
    assert!(world.engine.clock_doubt().is_some());
    assert!(world.orders.is_empty() && idle_decisions(&world).is_empty());
}

#[test]
fn a_reload_that_arms_a_rule_stops_nothing_before_a_whole_window_came_after_it() {
    let mut world = world(Mode::Alert);
    pass(&mut world, 40, &acme_idles);
    world.reload(RuleSet { id: "armed".into(), ..with_idle(vec![policy(Mode::Enforce)]) });
    pass(&mut world, 29, &acme_idles);
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    pass(&mut world, 2, &acme_idles);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_new_rule_stops_nothing_in_its_first_days() {
    let mut set = with_idle(vec![policy(Mode::Enforce)]);
    set.guardrail.first_days = Some(FirstDays { mode: Mode::Observe, length: Span::from_hours(2) });
    let mut world = world(Mode::Observe);
    world.reload(RuleSet { id: "first".into(), ..set });
    pass(&mut world, 149, &acme_idles);
    assert!(world.orders.is_empty() && idle_decisions(&world).len() == 1);
    pass(&mut world, 2, &acme_idles);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

/// The same world under another guardrail.
fn under(mode: Mode, edit: impl FnOnce(&mut Guardrail)) -> World {
    let mut world = world(mode);
    let mut rules = world.rules.clone();
    rules.id = format!("{} railed", rules.id).into();
    edit(&mut rules.guardrail);
    world.reload(rules);
    world
}

#[test]
fn a_window_of_the_rules_freezes_idle_policies_too() {
    let until = at("2026-11-20T12:45:00Z");
    let when = FreezeWhen::Once { from: at("2026-11-20T12:00:00Z"), until };
    let freeze = vec![FreezeWindow { when, because: None, place: line(20) }];
    let mut world = under(Mode::Enforce, |rail| rail.freeze = freeze);
    pass(&mut world, 40, &acme_idles);
    assert!(world.orders.is_empty());
    assert!(matches!(&world.asked().unwrap().kind,
        DecisionKind::Withheld { answers, .. } if answers[0].check == GuardCheck::Freeze));
    pass(&mut world, 6, &acme_idles);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn many_idle_targets_ask_also_under_enforce_and_only_the_yes_of_an_approver_counts() {
    let approvers = Approvers { named: vec!["leads".into()], actors: vec!["uid:7".into()] };
    let mut world = under(Mode::Enforce, |rail| {
        (rail.targets_over, rail.approvers) = (Some(2), Some(approvers));
    });
    pass(&mut world, 31, &all_idle);
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let asked = world.asked().unwrap();
    let DecisionKind::Withheld { targets, answers } = &asked.kind else { panic!() };
    assert_eq!((targets.len(), answers[0].check), (3, GuardCheck::Approval));
    let decision = asked.id;
    let refused = world.command(CommandKind::Approve { decision });
    assert!(matches!(&refused.decisions[0].kind,
        DecisionKind::Commanded { refused: Some(no), .. } if no.contains("leads")));
    assert!(world.orders.is_empty());
    let kind = CommandKind::Approve { decision };
    world.take(vec![Fact::Command(policy::fact::Command { actor: "uid:7 (ann)".to_owned(), kind })]);
    assert_eq!(world.ordered().len(), 3);
}

#[test]
fn a_protected_kind_is_told_and_not_stopped() {
    let kinds = vec![ProtectedKind::Deployment];
    let mut world = under(Mode::Enforce, |rail| rail.protected_kinds = kinds);
    pass(&mut world, 31, &acme_idles);
    assert!(world.orders.is_empty());
    let found = idle_decisions(&world);
    let DecisionKind::Idle { left, .. } = &found[0].kind else { panic!("{found:?}") };
    assert_eq!(left[0].1, "objects of kind Deployment are protected");
}

#[test]
fn what_is_protected_excepted_or_acknowledged_is_told_and_not_stopped() {
    let mut rule = policy(Mode::Enforce);
    let IdleAct::PauseScaledObjects { except, .. } = &mut rule.then[1] else { panic!() };
    except.push(("tenant".into(), "blue".into()));
    let mut set = with_idle(vec![rule]);
    set.guardrail.protected_objects.push(scaled_object("core"));
    let mut world = world(Mode::Enforce);
    world.reload(RuleSet { id: "kept".into(), ..set });
    let said = world.command(CommandKind::AckIdle { object: scaled_object("acme") });
    assert!(matches!(&said.decisions[0].kind, DecisionKind::Commanded { refused: None, .. }));
    pass(&mut world, 40, &all_idle);
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let DecisionKind::Idle { found, left, .. } = &idle_decisions(&world)[0].kind else { panic!() };
    assert_eq!((found.len(), left.len()), (2, 2));
    pass(&mut world, 4 * 60, &all_idle);
    let mut ordered = world.ordered();
    ordered.dedup();
    assert_eq!(ordered, ["pause acme/api"], "the word held for four hours");
}

#[test]
fn what_is_worth_too_little_or_has_no_price_is_not_acted_on() {
    for (worth, kind) in [("2 USD per hour", "g5.xlarge"), ("1 USD per hour", "unheard-of")] {
        let mut rule = policy(Mode::Enforce);
        rule.worth_at_least = Some(worth.parse().unwrap());
        let mut world = world(Mode::Enforce);
        world.reload(RuleSet { id: "worth".into(), ..with_idle(vec![rule]) });
        let mut all = cluster();
        all.nodes.values_mut().for_each(|node| node.instance_type = kind.into());
        world.take(vec![Fact::Inventory(InventoryChange::Snapshot(all))]);
        pass(&mut world, 40, &all_idle);
        assert!(world.orders.is_empty() && idle_decisions(&world).is_empty(), "{worth}, {kind}");
        assert_eq!(world.engine.idle_verdicts()["gpu-idle"]["Idle"], 3);
    }
}

#[test]
fn a_plan_is_told_with_its_moves_and_saving_and_nothing_is_moved() {
    let mut rule = policy(Mode::Enforce);
    rule.name = "gpu-pack".into();
    rule.idle_when = None;
    rule.then.remove(1);
    rule.pack = Some(Pack { place: line(9), allocation_below: "60%".parse().unwrap() });
    let mut world = world(Mode::Enforce);
    world.reload(RuleSet { id: "pack".into(), ..with_idle(vec![rule]) });
    let mut all = cluster();
    for node in all.nodes.values_mut() {
        node.gpus = 2;
        node.allocatable.gpus = 2;
        node.most_pods = 10;
        node.created_at = Some(at("2026-11-01T00:00:00Z"));
    }
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(all))]);
    pass(&mut world, 10, &|_| busy());
    let plans: Vec<&Decision> =
        world.decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Packable { .. })).collect();
    let [decision] = plans[..] else { panic!("{plans:#?}") };
    let DecisionKind::Packable { plan, not_armed, .. } = &decision.kind else { panic!() };
    assert_eq!((plan.vacated.len(), plan.saving), (1, usd("1.006")));
    assert_eq!(not_armed.len(), 2);
    assert_eq!(decision.why.place.line, 9);
    assert!(world.orders.is_empty());
    let text = policy::explain::decision(decision, &[], &[]);
    insta::assert_snapshot!(text, @r"
    d1  idle:gpu-pack  1 node(s) could be emptied
      at        2026-11-20T12:00:30Z, mode enforce
      saves     1.01 USD per hour
      rule      gpu.yaml:9 of rules pack
      empty     node-acme, 50% in use, saves 1.01 USD per hour
      move      acme/api-0 to node-blue
      left      node-blue: pods of other nodes would go onto it
      left      node-core: core/api-0 fits on no other node
      would     cordon node-acme: not armed yet
      would     delete the NodeClaim of node-acme: not armed yet
    ");
}

#[test]
fn idle_policies_replay_to_the_same_bytes_also_from_a_snapshot() {
    let mut world = world(Mode::Enforce);
    pass(&mut world, 20, &acme_idles);
    let half = world.engine.snapshot();
    let mark = world.journal.len();
    pass(&mut world, 20, &acme_idles);
    world.obey_all();
    let mut whole = Engine::new(world.engine.settings().clone());
    for (clock, facts) in &world.journal {
        let _ = whole.step(*clock, facts);
    }
    let mut resumed = Engine::restore(&half).unwrap();
    for (clock, facts) in &world.journal[mark..] {
        let _ = resumed.step(*clock, facts);
    }
    assert!(whole.snapshot() == world.engine.snapshot());
    assert!(resumed.snapshot() == world.engine.snapshot());
}
