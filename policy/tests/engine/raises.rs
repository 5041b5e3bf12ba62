//! Raises, and pauses that are taken off, while something else waits or forbids.

use policy::decision::{DecisionKind, HoldState};
use policy::fact::{CommandKind, Fact, Posture, ReceiptOutcome};
use policy::rule::Mode;

use crate::world::{World, daily, scaled_object};

/// acme's api is held, and so many more objects of acme's that they are over the cap wait for a person.
fn held_beside_what_waits() -> World {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.grow(30);
    world.pass("1s");
    assert!(world.orders.is_empty(), "31 in ten minutes is over the cap");
    let DecisionKind::Withheld { targets, .. } = &world.asked().unwrap().kind else { unreachable!() };
    assert_eq!(targets.len(), 30, "the one that is held waits for nobody");
    world
}

#[test]
fn what_is_held_is_kept_stopped_while_more_of_its_breaker_waits_for_a_person() {
    let mut world = held_beside_what_waits();
    for _ in 0..2 {
        world.paused("acme", false);
        assert_eq!(world.ordered(), ["pause acme/api"]);
        world.obey_all();
    }
    world.paused("acme", false);
    assert_eq!(world.hold("acme"), Some(HoldState::Contested), "and contested as ever");
    assert!(world.orders.is_empty());
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.orders.len(), 30, "those that waited, and only those");
    assert!(world.orders.iter().all(|o| o.target != scaled_object("acme")));
}

#[test]
fn what_is_not_proven_is_fired_again_while_more_of_its_breaker_waits_for_a_person() {
    let mut world = World::new();
    world.spend("acme", "51");
    let order = world.orders[0].id;
    world.receipt(order, ReceiptOutcome::NotObserved { signs: Vec::new() });
    world.orders.clear();
    world.grow(30);
    world.pass("61s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_batch_over_the_cap_that_a_person_approved_is_kept_stopped() {
    let mut world = held_beside_what_waits();
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.orders.len(), 30);
    world.orders.clear();
    world.paused("acme", true); // the inventory changes, and 31 stops within ten minutes are more than the cap
    world.pass("1s");
    world.paused("acme", false);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

/// What forbids to answer a raise, and what ends that.
const FORBIDDEN: [&str; 4] = ["freeze", "clock", "ceiling", "mode"];

fn forbid(world: &mut World, what: &str, on: bool) {
    match what {
        "freeze" if on => drop(world.command(CommandKind::Freeze { reason: "release day".to_owned() })),
        "freeze" => drop(world.command(CommandKind::Unfreeze)),
        "clock" if on => world.clock.wall = world.clock.wall.plus("31s".parse().unwrap()),
        "clock" => drop(world.command(CommandKind::ClockIsRight)),
        "ceiling" => {
            let ceiling = if on { Mode::Observe } else { Mode::Enforce };
            world.take(vec![Fact::Posture(Posture { ceiling, because: None })]);
        }
        _ => {
            let mut rules = world.rules.clone();
            rules.id = format!("{what} {on}").into();
            rules.budgets[0].mode = if on { Mode::Observe } else { Mode::Enforce };
            world.reload(rules);
        }
    }
    world.pass("1s");
}

#[test]
fn a_raise_that_nothing_of_ours_may_answer_counts_towards_nothing_and_is_not_called_stopped() {
    for what in FORBIDDEN {
        let mut world = World::new();
        world.spend("acme", "51");
        world.obey_all();
        forbid(&mut world, what, true);
        world.scale("acme", 2);
        for _ in 0..5 {
            world.pass("20s");
            world.scale("acme", 0);
            world.scale("acme", 2);
        }
        let hold = world.engine.hold_view(&scaled_object("acme")).unwrap();
        assert_eq!((hold.state, hold.raises), (HoldState::NotStopped, 0), "{what}: {}", hold.detail);
        assert!(world.orders.is_empty(), "{what}");
        let paged = world
            .notices
            .iter()
            .filter(|n| matches!(n.decision.kind, DecisionKind::Hold { to: HoldState::NotStopped, .. }));
        assert_eq!(paged.count(), 1, "{what}: said once");
        forbid(&mut world, what, false);
        world.pass("1s");
        if what == "mode" {
            assert!(world.orders.is_empty(), "a change of rules stops nothing");
            let decision = world.asked().unwrap().id;
            world.command(CommandKind::Approve { decision });
            world.pass("1s");
        }
        assert_eq!(world.ordered(), ["reverse acme/api"], "{what}");
        world.obey_all();
        let hold = world.engine.hold_view(&scaled_object("acme")).unwrap();
        assert_eq!((hold.state, hold.raises), (HoldState::Verified, 1), "{what}");
    }
}

#[test]
fn a_raise_that_people_took_back_themselves_is_proven_anew_and_not_counted() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    forbid(&mut world, "freeze", true);
    world.paused("acme", false);
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
    world.paused("acme", true);
    forbid(&mut world, "freeze", false);
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.obey_all();
    let hold = world.engine.hold_view(&scaled_object("acme")).unwrap();
    assert_eq!((hold.state, hold.raises), (HoldState::Verified, 0));
}

#[test]
fn an_approved_object_that_another_breaker_held_first_is_kept_stopped_by_that_yes() {
    let (first, second) = (daily("a-first", "50", Mode::Enforce), daily("b-second", "50", Mode::Approve));
    let mut world = World::with(vec![first, second]);
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.orders[0].holders, ["a-first/acme".into()], "nobody said yes to the second");
    world.obey_all();
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    world.reset("a-first/acme");
    assert!(world.orders.is_empty(), "the second holds it now");
    world.paused("acme", false);
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.orders[0].approved_by.as_deref(), Some("alice"));
}
