//! Clocks that step while something is armed, held or forgiven.

use policy::decision::{DecisionKind, HoldState};
use policy::fact::{CommandKind, Fact, UsageOutcome};
use policy::inventory::InventoryChange;
use policy::rule::{Mode, RestoreWhen, WindowSpec};
use policy::time::Span;

use crate::world::{World, daily, inventory, scaled_object, usd};

/// The wall clock steps forward, stays there for some ticks, and steps back; a person says that it is right.
fn there_and_back(world: &mut World, by: Span) {
    world.clock.wall = world.clock.wall.plus(by);
    for _ in 0..80 {
        world.pass("1s");
    }
    world.clock.wall = world.clock.wall.minus(by);
    world.pass("1s");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
}

/// acme's object is seen again, as a watch that reconnects brings it.
fn seen_again(world: &mut World) {
    let object = inventory(&["acme"]).scaled_objects.remove(&scaled_object("acme")).unwrap();
    world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(scaled_object("acme"), object))]);
    world.pass("1s");
}

#[test]
fn a_day_forward_and_back_keeps_the_hold_and_gives_it_back_at_the_real_midnight() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    there_and_back(&mut world, Span::from_hours(24));
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    assert!(world.orders.is_empty());
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn a_day_forward_and_back_loses_no_money_of_today_and_stops_who_really_crosses() {
    let mut rolling = daily("burst", "50", Mode::Enforce);
    rolling.window = WindowSpec::Rolling(Span::from_hours(1));
    rolling.restore.when = RestoreWhen::Below("90%".parse().unwrap());
    for budget in [daily("burst", "50", Mode::Enforce), rolling] {
        let mut world = World::with(vec![budget]);
        world.spend("acme", "45");
        there_and_back(&mut world, Span::from_hours(24));
        assert_eq!(world.sum("burst/acme"), usd("45"));
        world.spend("acme", "6");
        assert_eq!(world.ordered(), ["pause acme/api"]);
    }
}

#[test]
fn what_is_spent_while_the_clock_is_a_day_ahead_counts_today_and_stops_nothing_by_itself() {
    for wrong in ["24h", "49h"] {
        let mut world = World::new();
        world.spend("acme", "45");
        let today = world.clock.wall;
        world.clock.wall = today.plus(wrong.parse().unwrap());
        world.pass("1s");
        let id = world.fresh_id();
        let fact = world.usage(&id, "acme", "6", today, false);
        world.take(vec![fact]);
        assert!(world.orders.is_empty());
        world.clock.wall = today;
        world.pass("2s");
        world.command(CommandKind::ClockIsRight);
        world.pass("1s");
        assert!(world.orders.is_empty(), "it was late by the clock of its time ({wrong})");
    }
}

#[test]
fn a_released_object_stays_exempt_over_a_clock_that_steps_and_comes_back() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.command(CommandKind::Release { target: scaled_object("acme") });
    world.obey_all();
    there_and_back(&mut world, Span::from_hours(24));
    seen_again(&mut world);
    world.spend("acme", "51");
    seen_again(&mut world);
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
}

#[test]
fn what_a_person_forgave_stays_forgiven_over_a_clock_that_steps_and_comes_back() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.reset("tenant-daily/acme");
    world.obey_all();
    there_and_back(&mut world, Span::from_hours(24));
    world.spend("acme", "4.99");
    assert!(world.orders.is_empty());
    world.spend("acme", "0.01");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_duplicate_is_known_after_a_clock_that_stepped_days_ahead_and_came_back() {
    let mut world = World::new();
    let now = world.clock.wall;
    let first = world.usage("one", "acme", "30", now, false);
    world.take(vec![first.clone()]);
    there_and_back(&mut world, Span::from_hours(24 * 4));
    let outcome = world.take(vec![first]);
    assert_eq!(outcome.usage, [[UsageOutcome::Duplicate]]);
    assert_eq!(world.sum("tenant-daily/acme"), usd("30"));
    assert!(world.orders.is_empty());
}

#[test]
fn a_clock_that_stepped_and_came_back_does_not_empty_the_blast_radius() {
    let mut world = World::new();
    let names: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(inventory(&names)))]);
    for name in &names[..5] {
        world.spend(name, "51");
    }
    assert_eq!(world.obey_all(), 5);
    there_and_back(&mut world, Span::from_hours(1));
    world.spend(names[5], "51");
    assert!(world.orders.is_empty(), "a sixth within ten minutes: {:?}", world.ordered());
}

#[test]
fn a_jump_over_the_end_of_the_window_gives_back_only_when_a_person_believes_it() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.clock.wall = world.clock.wall.plus(Span::from_hours(13));
    for _ in 0..3 {
        world.pass("1m");
        world.spend("blue", "51");
        world.scale("acme", 2);
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
    }
    assert!(world.hold("acme").is_some());
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert_eq!(world.ordered(), ["restore acme/api", "pause blue/api"]);
}

#[test]
fn a_limit_lowered_twice_while_the_clock_is_ahead_still_waits_for_a_person() {
    let mut world = World::with(vec![daily("tenant-daily", "5000", Mode::Enforce)]);
    world.spend("acme", "100");
    let mut lower = world.rules.clone();
    (lower.id, lower.budgets[0].limit.amount) = ("r2".into(), usd("50"));
    world.reload(lower.clone());
    world.clock.wall = world.clock.wall.plus(Span::from_hours(24));
    world.pass("1s");
    (lower.id, lower.budgets[0].limit.amount) = ("r3".into(), usd("40"));
    world.reload(lower);
    world.clock.wall = world.clock.wall.minus(Span::from_hours(24));
    world.pass("1s");
    world.command(CommandKind::ClockIsRight);
    world.spend("acme", "1");
    world.pass("1s");
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
}

#[test]
fn a_late_fact_that_breaks_yesterday_changes_nothing_while_today_is_arming() {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.grace = Span::from_mins(5);
    let mut world = World::with(vec![budget]);
    let yesterday = world.clock.wall.minus(Span::from_hours(20));
    world.spend("acme", "51");
    world.pass("1m");
    let told = world.notices.len();
    world.spend_at("acme", "500", yesterday);
    let shown = world.decisions.iter().filter(|d| d.kind == DecisionKind::BreachedAfterClose).count();
    assert_eq!((shown, world.notices.len()), (1, told + 1), "shown, and said once");
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    assert_eq!(world.sum("tenant-daily/acme"), usd("51"));
    world.pass("3m59s");
    assert!(world.orders.is_empty());
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"], "at the end of its own grace");
    assert_eq!(world.orders[0].why.sum, usd("51"));
}

/// The daemon gives back on a person's word alone; the engine may order nothing, and only sees that it was done.
#[test]
fn release_all_under_a_doubtful_clock_pages_only_what_was_not_given_back_after_a_while() {
    let mut world = World::new();
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(inventory(&["acme", "blue"])))]);
    world.spend("acme", "51");
    world.spend("blue", "51");
    world.obey_all();
    world.clock.wall = world.clock.wall.plus(Span::from_hours(1));
    world.pass("1s");
    world.command(CommandKind::ReleaseAll);
    assert!(world.orders.is_empty());
    let waits =
        |world: &World| world.pages().into_iter().filter(|p| p.contains("nobody holds")).collect::<Vec<_>>();
    assert_eq!(waits(&world), [""; 0], "it is being done");
    world.paused("acme", false);
    world.scale("acme", 3);
    world.pass("1s");
    assert_eq!((world.hold("acme"), world.hold("blue")), (None, Some(HoldState::Verified)));
    world.pass("1m");
    let waits = waits(&world);
    assert!(waits.len() == 1 && waits[0].contains("ScaledObject/blue/api any more"), "{waits:?}");
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert_eq!(world.ordered(), ["restore blue/api"]);
}
