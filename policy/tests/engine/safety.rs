//! What must never stop anything.

use policy::decision::DecisionKind;
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact, GuardCheck, Posture};
use policy::page::PageTopic;
use policy::rule::Mode;
use policy::time::Span;

use crate::world::{World, at, daily, inventory, usd};

#[test]
fn late_facts_arm_and_only_one_on_time_trips() {
    let mut world = World::new();
    let hours_ago = world.clock.wall.minus(Span::from_hours(2));
    world.spend_at("acme", "60", hours_ago);
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    world.pass("10m");
    assert!(world.orders.is_empty());
    world.spend("acme", "0.01");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_source_that_catches_up_trips_nothing() {
    let mut world = World::new();
    let now = world.clock.wall;
    for n in 0..10 {
        world.take(vec![world.usage(&format!("c{n}"), "acme", "20", now, true)]);
    }
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
}

#[test]
fn last_months_logs_fed_today_stop_nothing_while_a_control_tenant_is_stopped() {
    let mut world = World::new();
    for day in 1..28 {
        let Fact::Usage(mut batch) = world.usage(
            &format!("old{day}"),
            "acme",
            "500",
            at(&format!("2026-10-{day:02}T10:00:00Z")),
            false,
        ) else {
            panic!("usage")
        };
        batch.files = vec![format!("{day}.jsonl").into()];
        batch.rows[0].position = Some(policy::fact::Position { file: 0, end: 1 });
        world.take(vec![Fact::Usage(batch)]);
    }
    world.spend("blue", "51");
    assert_eq!(world.ordered(), ["pause blue/api"]);
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    let marked = world.decisions.iter().filter(|d| d.kind == DecisionKind::BreachedAfterClose).count();
    assert_eq!(marked, 27, "each closed day says that it was over");
}

#[test]
fn a_limit_lowered_by_reload_arms_pages_and_waits_for_a_person() {
    let mut world = World::with(vec![daily("tenant-daily", "5000", Mode::Enforce)]);
    world.spend("acme", "100");
    let mut lower = world.rules.clone();
    lower.id = "r2".into();
    lower.budgets[0].limit.amount = usd("50");
    world.reload(lower);
    world.spend("acme", "10");
    world.spend("blue", "51");
    assert_eq!(world.ordered(), ["pause blue/api"], "a control tenant that really crosses is stopped");
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    let difference = "tenant-daily/acme (limit 5,000.00 USD before, 50.00 USD now, spent 100.00 USD; ";
    assert!(world.pages().iter().any(|p| p.contains(difference)), "{:?}", world.pages());
    let arming = world.decisions.iter().rev().find(|d| {
        matches!(d.kind, DecisionKind::Arming { cause: policy::decision::ArmingCause::RuleChange })
    });
    let decision = arming.unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause blue/api", "pause acme/api"]);
}

#[test]
fn a_price_that_multiplies_arms_and_waits_until_the_old_price_too_would_have_tripped() {
    let mut world = World::new();
    world.spend("acme", "1");
    let mut dearer = world.rules.clone();
    dearer.id = "r2".into();
    for price in dearer.prices.models.values_mut() {
        price.input = Some("20 USD per 1M tokens".parse().unwrap());
        price.output = price.input;
    }
    world.reload(dearer.clone());
    world.spend("acme", "1");
    assert_eq!(
        world.sum("tenant-daily/acme"),
        usd("2"),
        "twenty times dearer is refused, and the old price stays"
    );
    assert_eq!(&*world.engine.rules().id, "r1", "with all the other rules of the set");
    assert!(world.pages().iter().any(|p| p.contains("dollar-per-million")), "{:?}", world.pages());
    dearer.id = "r3".into();
    dearer.prices.accept = dearer.prices.models.keys().cloned().collect();
    world.reload(dearer);
    world.spend("acme", "3"); // 60 USD at the new price
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
    world.spend("acme", "45"); // 50 USD at the old price, all told
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.spend("blue", "1"); // 20 USD at the new price, 1 at the old
    world.obey_all();
    world.pass("12h");
    world.obey_all();
    world.spend("blue", "2.5");
    assert_eq!(
        world.ordered(),
        ["pause blue/api"],
        "in a window that began with it, the new price is the price"
    );
}

#[test]
fn only_trusted_values_select_targets_and_nobodys_money_stops_nobody() {
    let mut world = World::new();
    let now = world.clock.wall;
    let Fact::Usage(mut batch) = world.usage("a", "acme", "60", now, false) else { panic!("usage") };
    batch.origins[0].claims[0].2 = policy::subject::Trust::Asserted;
    batch.digests[0] += 1;
    world.take(vec![Fact::Usage(batch)]);
    assert_eq!(world.state("tenant-daily/acme"), "none");
    assert_eq!(world.state("tenant-daily/unattributed"), "Tripped");
    assert!(world.orders.is_empty());
}

/// A usage for a tenant whom a shared gateway names.
fn take_named(world: &mut World, id: &str, tenant: &str) {
    let Fact::Usage(mut batch) = world.usage(id, tenant, "0.01", world.clock.wall, false) else {
        panic!("usage")
    };
    batch.origins[0].principal = GATEWAY.into();
    batch.origins[0].claims[0].2 = policy::subject::Trust::Asserted;
    batch.digests[0] ^= 1 << 40;
    world.take(vec![Fact::Usage(batch)]);
}

const GATEWAY: &str = "arn:aws:sts::111122223333:assumed-role/gateway/session";

#[test]
fn made_up_tenants_are_capped_and_counted_as_nobodys() {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    let (principal, fields) = ("111122223333:role/gateway".into(), vec!["tenant".into()]);
    rules.attribution.delegates =
        vec![policy::rule::Delegate { principal, fields, place: Default::default() }];
    world.reload(rules);
    for n in 0..3000 {
        take_named(&mut world, &format!("m{n}"), &format!("t{n}"));
    }
    assert_eq!(world.engine.breaker_count(), 1001, "a thousand, and unattributed");
    assert_eq!(world.sum("tenant-daily/unattributed"), usd("20"));
    assert_eq!(world.pages().len(), 1);
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"], "whom an operator named has a budget all the same");
}

/// The same with a cap of ten, under two budgets for each tenant.
fn capped_at_ten() -> World {
    let budgets = vec![daily("tenant-daily", "50", Mode::Enforce), daily("wide", "90", Mode::Observe)];
    let mut world = World::with(budgets);
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    let (principal, fields) = ("111122223333:role/gateway".into(), vec!["tenant".into()]);
    rules.attribution.max_new_subjects_per_source = 10;
    rules.attribution.delegates =
        vec![policy::rule::Delegate { principal, fields, place: Default::default() }];
    world.reload(rules);
    world
}

#[test]
fn a_daemon_that_is_held_back_for_long_is_paged_and_one_that_only_restarts_is_not() {
    let mut world = World::new();
    let posture = |ceiling, because: Option<&str>| {
        Fact::Posture(Posture { ceiling, because: because.map(str::to_owned) })
    };
    let no_lease = posture(Mode::Observe, Some("it is not known yet who holds it"));
    world.take(vec![no_lease.clone()]);
    world.pass("20s");
    world.take(vec![posture(Mode::Enforce, None)]);
    world.pass("2m");
    assert_eq!(world.pages(), [""; 0], "a Lease that a killed daemon held ends after 15 s");
    world.take(vec![no_lease]);
    world.pass("20s");
    world.take(vec![posture(Mode::Observe, Some("`other` holds it"))]);
    world.pass("41s");
    let pages = world.pages();
    assert!(pages.len() == 1 && pages[0].contains("only observe now: `other` holds it"), "{pages:?}");
    world.pass("10m");
    assert_eq!(world.pages().len(), 1, "once");
}

#[test]
fn the_cap_counts_subjects_and_lets_the_rest_in_with_the_next_hour() {
    let mut world = capped_at_ten();
    for n in 0..15 {
        take_named(&mut world, &format!("a{n}"), &format!("t{n}"));
    }
    assert_eq!(world.engine.breaker_count(), 22, "ten tenants under two budgets, and unattributed");
    take_named(&mut world, "again", "t12");
    assert_eq!(world.engine.breaker_count(), 22);
    world.pass("1h");
    take_named(&mut world, "b12", "t12");
    assert_eq!(world.engine.breaker_count(), 24, "a real tenant is not nobody for ever");
}

#[test]
fn whom_the_cap_left_out_is_left_out_the_same_after_a_restart_from_a_snapshot() {
    let mut world = capped_at_ten();
    for n in 0..15 {
        take_named(&mut world, &format!("a{n}"), &format!("t{n}"));
    }
    let mut other = capped_at_ten();
    other.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    other.clock = world.clock;
    for span in ["1s", "1h"] {
        for world in [&mut world, &mut other] {
            for n in 8..15 {
                take_named(world, &format!("{span}{n}"), &format!("t{n}"));
            }
            world.pass(span);
        }
        assert!(world.engine.snapshot() == other.engine.snapshot(), "the same bytes after {span}");
    }
}

/// A usage of a model that somebody made up.
fn take_model(world: &mut World, id: &str, number: u128) {
    let Fact::Usage(mut batch) = world.usage(id, "acme", "1", world.clock.wall, false) else {
        panic!("usage")
    };
    batch.origins[0].model = format!("made.up-{number}").into();
    batch.digests[0] += number + 1;
    world.take(vec![Fact::Usage(batch)]);
}

#[test]
fn made_up_models_are_counted_one_by_one_and_paged_a_few_times() {
    let mut world = World::new();
    for n in 0..300 {
        take_model(&mut world, &format!("m{n}"), n);
    }
    assert_eq!(world.pages().len(), 21, "twenty by name, and one for all others");
    assert!(world.pages()[3].contains("made.up-3"), "{}", world.pages()[3]);
    let view = world.engine.view(world.clock.wall);
    assert_eq!((view.counters.unpriced, view.spend.len()), (300, 300));
    world.pass("25h");
    take_model(&mut world, "next", 1);
    assert_eq!(world.pages().len(), 22, "and again the next day");
}

#[test]
fn over_the_blast_radius_nothing_of_the_batch_is_written() {
    let mut org = daily("org", "100", Mode::Enforce);
    org.per_each.clear();
    let all = policy::rule::TargetSelector { all: true, ..Default::default() };
    org.on_trip.truncate(1);
    org.on_trip.push(policy::rule::Act::PauseScaledObjects { targets: all, place: Default::default() });
    let mut world = World::with(vec![org]);
    let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.take(vec![Fact::Inventory(policy::inventory::InventoryChange::Snapshot(inventory(&names)))]);
    world.spend("acme", "101");
    assert!(world.orders.is_empty());
    let withheld = world.decisions.last().unwrap().clone();
    let DecisionKind::Withheld { targets, answers } = &withheld.kind else { panic!("{:?}", withheld.kind) };
    assert_eq!((targets.len(), answers[0].check), (12, GuardCheck::BlastRadius));
    world.pass("1m");
    assert!(world.orders.is_empty(), "and it does not ask each second");
    world.command(CommandKind::Approve { decision: withheld.id });
    assert_eq!(world.orders.len(), 12);
}

#[test]
fn protected_objects_are_named_and_left_alone() {
    let mut world = World::new();
    world.rules.guardrail.protected_labels.push(("tenant".into(), "acme".into()));
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    world.reload(rules);
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    let trip = world.decisions.iter().find(|d| matches!(d.kind, DecisionKind::Tripped { .. })).unwrap();
    let DecisionKind::Tripped { targets, left } = &trip.kind else { unreachable!() };
    assert!(targets.is_empty());
    assert!(left[0].1.contains("protects"), "{left:?}");
}

#[test]
fn a_freeze_stops_new_stops_and_lets_restores_go_on() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.command(CommandKind::Freeze { reason: "incident".to_owned() });
    world.spend("blue", "51");
    assert!(world.orders.is_empty());
    world.command(CommandKind::Unfreeze);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause blue/api"], "the cause lasts, so it is stopped now");
    world.obey_all();
    world.command(CommandKind::Freeze { reason: "incident".to_owned() });
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api", "restore blue/api"]);
}

#[test]
fn clocks_that_disagree_order_nothing_and_give_nothing_back_until_a_person_decides() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.clock.wall = world.clock.wall.plus(Span::from_hours(12));
    world.take(vec![Fact::Tick]);
    world.spend("blue", "60");
    world.pass("1m");
    assert!(world.orders.is_empty());
    let paged =
        world.decisions.iter().any(|d| matches!(d.kind, DecisionKind::Page { topic: PageTopic::Clock, .. }));
    assert!(paged);
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert_eq!(world.ordered(), ["restore acme/api", "pause blue/api"]);
}

#[test]
fn nothing_acts_on_a_cluster_that_was_not_heard() {
    let mut world = World::new();
    world.clock.wall = world.clock.wall.plus(Span::from_secs(121));
    world.clock.mono += 121_000;
    world.take(vec![Fact::Tick]);
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn without_the_lease_the_daemon_observes_and_acts_once_it_has_it() {
    let mut world = World::new();
    let posture = |ceiling, because: Option<&str>| {
        Fact::Posture(Posture { ceiling, because: because.map(str::to_owned) })
    };
    world.take(vec![posture(Mode::Observe, Some("no Lease"))]);
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    world.take(vec![posture(Mode::Enforce, None)]);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_removed_budget_never_gives_back_silently() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let mut none = world.rules.clone();
    none.id = "r2".into();
    none.budgets[0].name = "renamed".into();
    world.reload(none);
    world.pass("13h");
    assert!(world.orders.is_empty());
    assert!(world.hold("acme").is_some());
    assert!(
        world.pages().iter().any(|p| p.contains("breakerbox reset tenant-daily/acme")),
        "{:?}",
        world.pages()
    );
    world.reset("tenant-daily/acme");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn a_pushed_event_cannot_charge_the_budget_of_a_region_that_its_token_does_not_fix() {
    let mut eu = daily("region-daily", "50", Mode::Enforce);
    eu.per_each = vec!["region".into()];
    let mut world = World::with(vec![eu]);
    let now = world.clock.wall;
    let Fact::Usage(mut batch) = world.usage("a", "acme", "60", now, false) else { panic!("usage") };
    batch.origins[0].record = policy::subject::Trust::Asserted;
    world.take(vec![Fact::Usage(batch)]);
    assert_eq!(world.state("region-daily/us-east-1"), "none");
    assert_eq!(world.sum("region-daily/us-east-1=asserted"), usd("60"), "it has its price all the same");
    assert!(world.orders.is_empty());
    let Fact::Usage(mut batch) = world.usage("b", "acme", "60", now, false) else { panic!("usage") };
    batch.origins[0].record = policy::subject::Trust::Asserted;
    batch.origins[0].claims.push(("region".into(), "us-east-1".into(), policy::subject::Trust::Trusted));
    batch.digests[0] += 1;
    world.take(vec![Fact::Usage(batch)]);
    assert_eq!(world.sum("region-daily/us-east-1"), usd("60"), "the token says so");
}

#[test]
fn a_label_of_the_workload_protects_the_object_that_scales_it() {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    rules.guardrail.protected_labels.push(("tier".into(), "critical".into()));
    rules.id = "r2".into();
    world.reload(rules);
    let mut all = inventory(&["acme", "blue"]);
    let workload = all.workloads.get_mut(&crate::world::deployment("acme")).unwrap();
    workload.labels.insert("tier".into(), "critical".into());
    world.take(vec![Fact::Inventory(policy::inventory::InventoryChange::Snapshot(all))]);
    world.spend("acme", "51");
    world.spend("blue", "51");
    assert_eq!(world.ordered(), ["pause blue/api"]);
}
