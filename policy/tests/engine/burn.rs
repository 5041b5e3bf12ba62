//! What runs on, and what that costs per hour: measured, or said to be an average, or not known.

use policy::burn::{Basis, Burn, LONGEST, SHORTEST};
use policy::decision::{DecisionKind, HoldState};
use policy::engine::Engine;
use policy::explain;
use policy::fact::{Clock, CommandKind, Fact, ReceiptOutcome};
use policy::rule::{Mode, WindowSpec};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

const ACME: &str = "tenant-daily/acme";

fn with_window(window: WindowSpec) -> World {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.window = window;
    World::with(vec![budget])
}

/// The pause is refused by what a person set: what the page says of the cost.
fn runs_on(world: &mut World) -> Option<Burn> {
    let order = world.orders.last().unwrap().id;
    let because = "paused at 2 by `alice`".to_owned();
    world.receipt(order, ReceiptOutcome::NotStopped { replicas: Some(2), because });
    let notice = world.notices.last().unwrap();
    let DecisionKind::Hold { to: HoldState::NotStopped, .. } = &notice.decision.kind else {
        panic!("{notice:?}")
    };
    notice.decision.why.burn
}

fn burn(world: &World) -> Option<Burn> {
    world.engine.breaker(ACME, world.clock.wall).unwrap().burn
}

fn recent(amount: &str, over: &str) -> Option<Burn> {
    Burn::over(usd(amount), over.parse().unwrap(), Basis::Recent)
}

#[test]
fn what_runs_on_is_paged_with_what_it_was_charged_since_its_warning() {
    let mut world = World::new();
    world.spend("acme", "40");
    world.pass("6m");
    world.spend("acme", "12");
    assert_eq!(runs_on(&mut world), recent("12", "6m"));
    let told = &world.notices.last().unwrap().decision;
    assert_eq!(told.why.burn.unwrap().per_hour, usd("120"));
    let text = explain::decision(told, &[], &[]);
    assert!(text.contains("burn      about 120.00 USD per hour, measured over the last 6m\n"), "{text}");
}

#[test]
fn after_a_single_charge_there_is_only_the_average_of_the_window_and_it_is_called_that() {
    let mut world = World::new();
    world.spend("acme", "51");
    let average = runs_on(&mut world).unwrap();
    assert_eq!(
        (average.per_hour, average.over, average.basis),
        (usd("4.25"), Span::from_hours(12), Basis::Window)
    );
    assert!(average.to_string().contains("on average since its window began 12h ago"), "{average}");
}

#[test]
fn where_nothing_is_measured_and_the_window_has_no_start_the_cost_is_not_known() {
    let mut world = with_window(WindowSpec::Lifetime);
    world.spend("acme", "51");
    assert_eq!(runs_on(&mut world), None);
    let text = explain::decision(&world.notices.last().unwrap().decision, &[], &[]);
    assert!(text.contains("burn      its cost per hour is not known yet\n"), "{text}");
    world.pass("59s");
    assert_eq!(burn(&world), None, "shorter than {SHORTEST}");
    world.spend("acme", "3");
    world.pass("1s");
    assert_eq!(burn(&world), recent("3", "1m"));
}

#[test]
fn while_it_stays_over_the_measured_span_is_never_longer_than_a_quarter_of_an_hour() {
    let mut world = World::new();
    world.spend("acme", "51");
    for minute in 1..=180 {
        world.pass("1m");
        let measured = burn(&world).unwrap();
        assert_eq!(measured.basis, Basis::Recent, "{minute}");
        assert!(measured.over <= LONGEST && measured.over.millis() <= minute * 60_000, "{measured}");
        world.spend("acme", "1");
        assert!(burn(&world).unwrap().per_hour >= usd("60"), "{minute}: {measured}");
    }
    world.pass("15m");
    world.pass("1m");
    assert_eq!(burn(&world).unwrap().per_hour, usd("0"), "it was charged nothing since");
}

#[test]
fn a_span_with_late_charges_in_it_measures_nothing() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.pass("5m");
    let an_hour_ago = world.clock.wall.minus(Span::from_hours(1));
    world.spend_at("acme", "600", an_hour_ago);
    assert_eq!(burn(&world).unwrap().basis, Basis::Window, "600 USD were not spent in five minutes");
    world.pass("1s");
    world.spend("acme", "2");
    world.pass("4m");
    assert_eq!(burn(&world), recent("2", "4m"));
}

#[test]
fn what_was_read_while_catching_up_is_not_called_recent() {
    let mut world = World::new();
    let read = |world: &mut World, dollars: &str| {
        let fact = world.usage(&format!("old-{dollars}"), "acme", dollars, world.clock.wall, true);
        world.take(vec![fact]);
    };
    read(&mut world, "45");
    world.pass("2m");
    read(&mut world, "400");
    assert_eq!(burn(&world).unwrap().basis, Basis::Window);
}

#[test]
fn a_new_window_is_measured_anew() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.pass("11h55m");
    world.pass("5m");
    world.spend("acme", "1");
    world.pass("59s");
    assert_eq!(burn(&world), None, "it has only begun");
    world.pass("61s");
    assert_eq!(burn(&world), recent("1", "2m"));
}

#[test]
fn a_rolling_window_is_measured_by_when_its_charges_were_spent() {
    let mut world = with_window(WindowSpec::Rolling(Span::from_hours(1)));
    world.spend_at("acme", "45", at("2026-11-20T11:30:00Z"));
    world.spend_at("acme", "6", at("2026-11-20T11:50:00Z"));
    assert_eq!(burn(&world), recent("6", "15m"));
    world.pass("30s");
    assert_eq!(burn(&world), recent("6", "15m30s"));
}

#[test]
fn nothing_is_measured_while_the_clocks_disagree_nor_across_it() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.pass("5m");
    assert!(burn(&world).is_some());
    world.clock = Clock { wall: world.clock.wall.plus(Span::from_hours(2)), mono: world.clock.mono + 1000 };
    world.take(vec![Fact::Tick]);
    assert_eq!(burn(&world), None);
    world.command(CommandKind::ClockIsRight);
    assert_eq!(burn(&world).unwrap().basis, Basis::Window);
}

#[test]
fn a_restart_measures_on_from_where_it_was() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.pass("5m");
    world.spend("acme", "5");
    let restarted = |world: &World| {
        let again = Engine::restore(&world.engine.snapshot()).unwrap();
        again.breaker(ACME, world.clock.wall).unwrap().burn
    };
    assert_eq!(restarted(&world), recent("5", "5m"));
    world.spend_at("acme", "600", world.clock.wall.minus(Span::from_hours(1)));
    assert_eq!(restarted(&world).unwrap().basis, Basis::Window, "nor across what came late before it");
}
