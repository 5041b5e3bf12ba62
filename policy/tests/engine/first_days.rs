//! Budgets that are new to the engine.

use policy::decision::{Decision, DecisionKind};
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact};
use policy::page::PageTopic;
use policy::rule::{Budget, FirstDays, Mode, WindowSpec};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

fn lifetime(name: &str) -> Budget {
    Budget { window: WindowSpec::Lifetime, ..daily(name, "50", Mode::Enforce) }
}

fn days(days: i64) -> Option<FirstDays> {
    Some(FirstDays { mode: Mode::Observe, length: Span::from_hours(24 * days) })
}

/// A world whose engine has rules without a budget, and then sees these under `firstDays: {days: 14}`.
fn new_here(budgets: Vec<Budget>) -> World {
    let mut world = World::with(Vec::new());
    change(&mut world, |rules| {
        rules.guardrail.first_days = days(14);
        rules.budgets = budgets;
    });
    world
}

fn change(world: &mut World, edit: impl FnOnce(&mut policy::rule::RuleSet)) {
    let mut rules = world.rules.clone();
    edit(&mut rules);
    rules.id = format!("{}+", rules.id).into();
    world.reload(rules);
}

fn tripped(world: &World) -> Option<&Decision> {
    world.decisions.iter().rev().find(|d| matches!(d.kind, DecisionKind::Tripped { .. }))
}

#[test]
fn a_new_budget_stops_nothing_in_its_first_days_and_what_it_would_have_done_is_recorded() {
    let mut world = new_here(vec![daily("tenant-daily", "50", Mode::Enforce)]);
    world.spend("acme", "51");
    assert!(world.orders.is_empty() && world.notices.is_empty());
    let decision = tripped(&world).unwrap();
    let DecisionKind::Tripped { targets, .. } = &decision.kind else { unreachable!() };
    assert_eq!((decision.mode, targets.len()), (Mode::Observe, 1));
    let end = at("2026-12-04T12:00:00Z");
    let view = world.engine.breaker("tenant-daily/acme", world.clock.wall).unwrap();
    assert_eq!((view.mode, view.first_days_until), (Mode::Observe, Some(end)));
    let said = "its budget is new: it may only observe until 2026-12-04T12:00:00Z";
    assert!(view.detail.as_deref().unwrap().ends_with(said), "{:?}", view.detail);
    let why = world.engine.explain("acme", world.clock.wall);
    assert!(why[0].reason.to_string().contains("only observe until 2026-12-04T12:00:00Z"), "{why:?}");
}

#[test]
fn after_its_first_days_it_does_what_its_mode_says() {
    let mut world = new_here(vec![daily("tenant-daily", "50", Mode::Enforce)]);
    world.pass("13d23h");
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    world.pass("1h");
    let page = world.pages().last().unwrap().clone();
    assert!(page.contains("tenant-daily/acme (mode observe before, enforce now"), "{page}");
    let over = world.decisions.iter().find_map(|d| match &d.kind {
        DecisionKind::Page { topic: PageTopic::FirstDays, detail } => Some(detail.clone()),
        _ => None,
    });
    let over = over.unwrap();
    assert!(over.contains("tenant-daily (observe before, enforce now; tenants.yaml:1)"), "{over}");
    assert!(world.orders.is_empty(), "what stands tripped is asked about");
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.spend("blue", "51");
    assert_eq!(world.ordered(), ["pause acme/api", "pause blue/api"], "a new trip stops");
}

#[test]
fn an_edit_of_the_budget_and_a_restart_begin_nothing_anew() {
    let mut world = new_here(vec![lifetime("prepaid")]);
    world.pass("10d");
    change(&mut world, |rules| rules.budgets[0].limit.amount = usd("40"));
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    // Gone and back: the name is remembered.
    let budgets = world.rules.budgets.clone();
    change(&mut world, |rules| rules.budgets.clear());
    world.pass("1d");
    change(&mut world, |rules| rules.budgets = budgets);
    world.spend("acme", "1");
    let view = |world: &World| world.engine.breaker("prepaid/acme", world.clock.wall).unwrap();
    assert_eq!(view(&world).first_days_until, Some(at("2026-12-04T12:00:00Z")));
    world.pass("3d");
    assert_eq!((view(&world).first_days_until, view(&world).mode), (None, Mode::Enforce));
    world.spend("acme", "41");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_budget_that_the_engine_has_known_for_longer_is_not_new() {
    let mut world = World::new();
    world.pass("20d");
    change(&mut world, |rules| {
        rules.guardrail.first_days = days(14);
        rules.budgets.push(lifetime("z-new"));
    });
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"], "by the old budget");
    assert_eq!(world.orders[0].holders, ["tenant-daily/acme".into()]);
}

#[test]
fn first_days_that_a_reload_ends_stop_nothing_by_themselves() {
    let mut world = new_here(vec![daily("tenant-daily", "50", Mode::Enforce)]);
    world.spend("acme", "51");
    change(&mut world, |rules| rules.guardrail.first_days = None);
    assert!(world.orders.is_empty(), "a change of rules orders nothing");
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_clock_in_doubt_ends_no_first_days() {
    let mut world = new_here(vec![daily("tenant-daily", "50", Mode::Enforce)]);
    world.clock.wall = at("2027-02-01T00:00:00Z");
    world.take(vec![Fact::Tick]);
    let mode = |world: &mut World| {
        world.spend("blue", "1");
        world.engine.breaker("tenant-daily/blue", world.clock.wall).unwrap().mode
    };
    assert_eq!(mode(&mut world), Mode::Observe);
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert_eq!(mode(&mut world), Mode::Enforce);
}

#[test]
fn first_days_raise_no_mode_and_say_nothing_where_they_change_nothing() {
    let mut world = new_here(vec![daily("tenant-daily", "50", Mode::Observe)]);
    world.spend("acme", "51");
    let view = world.engine.breaker("tenant-daily/acme", world.clock.wall).unwrap();
    assert_eq!((view.mode, view.first_days_until), (Mode::Observe, None));
    world.pass("15d");
    assert!(world.pages().is_empty(), "{:?}", world.pages());
}
