//! Answers and restarts that come at a bad moment: none of them may stop what nobody chose.

use policy::decision::{ArmingCause, DecisionId, DecisionKind};
use policy::engine::{Engine, Settings};
use policy::fact::{CommandKind, Fact, Posture, SourceHealth, SourceState};
use policy::rule::{Mode, RestoreWhen};
use policy::time::Span;

use crate::world::{KEY, World, daily, usd};

/// The process ends and another goes on from its snapshot, under another monotonic clock.
fn restart(world: &mut World) {
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.clock.mono = 7;
    world.take(vec![Fact::Started(Posture { ceiling: Mode::Enforce, because: None })]);
}

/// The journal from its beginning gives the state that the restarted one has.
fn replays_the_same(world: &World) {
    let mut again = Engine::new(Settings::new(KEY, "test"));
    for (clock, facts) in &world.journal {
        let _ = again.step(*clock, facts);
    }
    assert!(again.snapshot() == world.engine.snapshot(), "a replay gives other bytes");
}

fn approve(world: &mut World, decision: DecisionId) -> Option<String> {
    world.command(CommandKind::Approve { decision });
    match &world.decisions.last().unwrap().kind {
        DecisionKind::Commanded { refused, .. } => refused.clone(),
        other => panic!("{other:?}"),
    }
}

fn asked(world: &World) -> DecisionId {
    let waits = |kind: &DecisionKind| {
        matches!(
            kind,
            DecisionKind::Withheld { .. } | DecisionKind::Arming { cause: ArmingCause::RuleChange }
        )
    };
    world.decisions.iter().rev().find(|d| waits(&d.kind)).unwrap().id
}

/// acme has spent 100 of 5000, and a reload makes it 50.
fn armed_by_reload() -> World {
    let mut world = World::with(vec![daily("tenant-daily", "5000", Mode::Enforce)]);
    world.spend("acme", "100");
    let mut lower = world.rules.clone();
    lower.id = "r2".into();
    lower.budgets[0].limit.amount = usd("50");
    world.reload(lower);
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    world
}

fn awaiting() -> World {
    let mut world = World::with(vec![daily("tenant-daily", "50", Mode::Approve)]);
    world.spend("acme", "51");
    world
}

#[test]
fn a_restart_within_the_grace_neither_shortens_nor_lengthens_it() {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.grace = Span::from_mins(5);
    let mut world = World::with(vec![budget]);
    world.spend("acme", "51");
    world.pass("2m");
    restart(&mut world);
    world.pass("2m59s");
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
    restart(&mut world);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    replays_the_same(&world);
}

#[test]
fn a_restart_keeps_what_waits_for_a_person_waiting() {
    for (mut world, state) in [(awaiting(), "Tripped"), (armed_by_reload(), "Arming")] {
        let decision = asked(&world);
        restart(&mut world);
        world.spend("acme", "10");
        world.pass("5m");
        assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), (state, 0));
        assert_eq!(approve(&mut world, decision), None);
        assert_eq!(world.ordered(), ["pause acme/api"], "{state}");
        restart(&mut world);
        world.pass("1s");
        assert_eq!(world.ordered(), ["pause acme/api"], "once");
        replays_the_same(&world);
    }
}

#[test]
fn a_catch_up_that_ends_over_the_limit_stops_nothing_until_a_new_fact_on_time() {
    let mut world = World::new();
    let (now, hours_ago) = (world.clock.wall, world.clock.wall.minus(Span::from_hours(2)));
    let missed = world.usage("missed", "acme", "60", now, true);
    world.take(vec![missed]);
    let caught_up = SourceHealth { source: "gateway".into(), state: SourceState::CaughtUp };
    world.take(vec![Fact::Health(caught_up), Fact::Tick]);
    world.pass("1m");
    let again = world.usage("missed", "acme", "60", now, false);
    world.take(vec![again]);
    world.spend_at("acme", "5", hours_ago);
    world.pass("5m");
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
    world.spend("acme", "0.01");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_yes_after_the_window_rolled_stops_nothing_whether_or_not_the_tick_came_first() {
    for tick_first in [false, true] {
        for restore in [RestoreWhen::WindowRolls, RestoreWhen::Manual] {
            for mut world in [awaiting(), armed_by_reload()] {
                let mut rules = world.rules.clone();
                rules.id = "r3".into();
                rules.budgets[0].restore.when = restore;
                world.reload(rules);
                let decision = asked(&world);
                world.clock.wall = world.clock.wall.plus(Span::from_hours(12));
                world.clock.mono += 12 * 3_600_000;
                if tick_first {
                    world.pass("1s");
                }
                let refused = approve(&mut world, decision);
                assert!(refused.is_some(), "tick first: {tick_first}, {restore:?}");
                world.pass("1s");
                assert!(world.orders.is_empty(), "tick first: {tick_first}, {restore:?}");
                assert_eq!(world.hold("acme"), None);
            }
        }
    }
}

#[test]
fn a_yes_after_the_question_lapsed_is_refused_and_the_question_is_put_anew() {
    let mut world = awaiting();
    let decision = asked(&world);
    let expires = world.rules.guardrail.approval_expires;
    world.clock.wall = world.clock.wall.plus(expires);
    world.clock.mono += u64::try_from(expires.millis()).unwrap();
    assert!(approve(&mut world, decision).is_some());
    assert!(world.orders.is_empty());
    world.pass("1s");
    assert_ne!(asked(&world), decision);
    let decision = asked(&world);
    assert_eq!(approve(&mut world, decision), None);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_yes_given_twice_orders_once() {
    for mut world in [awaiting(), armed_by_reload()] {
        let decision = asked(&world);
        assert_eq!(approve(&mut world, decision), None);
        assert!(approve(&mut world, decision).unwrap().contains("does not wait"));
        assert_eq!(world.ordered(), ["pause acme/api"]);
        world.obey_all();
        world.reset("tenant-daily/acme");
        world.obey_all();
        assert!(approve(&mut world, decision).is_some(), "and not after the trip was forgiven");
        world.pass("1m");
        assert_eq!((world.orders.len(), world.hold("acme")), (0, None));
    }
}

#[test]
fn a_yes_is_for_the_objects_that_were_named_and_lifts_no_cap_for_others() {
    let mut world = awaiting();
    world.grow(30);
    let decision = asked(&world);
    assert_eq!(approve(&mut world, decision), None);
    assert_eq!(world.ordered(), ["pause acme/api"], "only this one was asked about");
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"], "31 in ten minutes is over the cap");
    world.grow(30);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_trip_by_hand_is_no_yes_to_what_comes_later() {
    let mut world = World::new();
    world.spend("acme", "1");
    world.command(CommandKind::Trip { breaker: "tenant-daily/acme".into(), reason: "test".into() });
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.orders[0].approved_by, None);
    world.grow(30);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"], "31 in ten minutes is over the cap");
}

#[test]
fn a_reload_from_approve_to_enforce_is_no_yes_to_what_waits() {
    let mut world = awaiting();
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    rules.budgets[0].mode = Mode::Enforce;
    world.reload(rules);
    world.spend("acme", "1");
    for _ in 0..11 {
        world.pass("1h");
        assert!(world.orders.is_empty());
    }
    world.spend("blue", "51");
    assert_eq!(world.ordered(), ["pause blue/api"], "what crosses from now on is enforced");
}
