//! Overrides that end by their own date, in the middle of a window or in one that has no end.

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::Engine;
use policy::fact::CommandKind;
use policy::rule::{Budget, LimitOverride, Mode, RestoreWhen, WindowSpec};
use policy::time::{Span, Timestamp};

use crate::world::{World, at, daily, usd};

/// 50 USD, and so much for acme until then.
fn raised(mut budget: Budget, amount: &str, until: Timestamp) -> Budget {
    budget.limit.overrides.push(LimitOverride {
        matches: vec![("tenant".into(), "acme".into())],
        amount: usd(amount),
        until: Some(until),
    });
    budget
}

fn each_kind_of_window() -> [Budget; 3] {
    let mut rolling = daily("budget", "50", Mode::Enforce);
    rolling.window = WindowSpec::Rolling(Span::from_hours(6));
    rolling.restore.when = RestoreWhen::Below("90%".parse().unwrap());
    let mut lifetime = daily("budget", "50", Mode::Enforce);
    lifetime.window = WindowSpec::Lifetime;
    [daily("budget", "50", Mode::Enforce), rolling, lifetime]
}

fn limit(world: &World) -> policy::money::Money {
    world.engine.breaker("budget/acme", world.clock.wall).unwrap().limit
}

#[test]
fn a_limit_that_falls_by_its_own_date_arms_pages_and_waits_for_a_person() {
    for budget in each_kind_of_window() {
        let mut world = World::with(vec![raised(budget, "500", at("2026-11-20T14:00:00Z"))]);
        world.spend("acme", "100");
        world.pass("1h59m");
        assert_eq!((limit(&world), world.state("budget/acme").as_str()), (usd("500"), "Clear"));
        world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
        world.pass("1m");
        assert_eq!((limit(&world), world.state("budget/acme").as_str()), (usd("50"), "Arming"));
        let page = "budget/acme (limit 500.00 USD before, 50.00 USD now, spent 100.00 USD; ";
        assert!(world.pages().iter().any(|p| p.contains(page)), "{:?}", world.pages());
        world.spend("acme", "1");
        world.pass("1m");
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
        assert_eq!(world.pages().len(), 1);
        let cause = DecisionKind::Arming { cause: ArmingCause::RuleChange };
        let decision = world.decisions.iter().rev().find(|d| d.kind == cause).unwrap().id;
        world.command(CommandKind::Approve { decision });
        assert_eq!(world.ordered(), ["pause acme/api"]);
    }
}

#[test]
fn what_is_spent_after_its_date_counts_by_the_limit_that_holds_then() {
    for budget in each_kind_of_window() {
        let mut world = World::with(vec![raised(budget, "500", at("2026-11-20T14:00:00Z"))]);
        world.spend("acme", "20");
        world.pass("2h");
        world.spend("acme", "31");
        assert_eq!(world.ordered(), ["pause acme/api"]);
        assert!(world.pages().is_empty(), "{:?}", world.pages());
    }
}

#[test]
fn a_limit_that_rises_by_its_own_date_arms_nobody_any_more() {
    for mut budget in each_kind_of_window() {
        budget.grace = Span::from_hours(4);
        let mut world = World::with(vec![raised(budget, "10", at("2026-11-20T14:00:00Z"))]);
        world.spend("acme", "20");
        assert_eq!(world.state("budget/acme"), "Arming");
        world.pass("2h");
        assert_eq!((limit(&world), world.state("budget/acme").as_str()), (usd("50"), "Clear"));
        world.pass("3h");
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
    }
}

#[test]
fn an_override_that_ends_with_its_window_says_nothing_of_the_window_that_closes() {
    let budget = daily("budget", "50", Mode::Enforce);
    let mut world = World::with(vec![raised(budget, "500", at("2026-11-21T00:00:00Z"))]);
    world.spend("acme", "100");
    world.pass("12h");
    let view = world.engine.breaker("budget/acme", world.clock.wall).unwrap();
    assert_eq!((view.state.as_ref(), view.breached_windows), ("Clear", 0));
    world.spend("acme", "49");
    let view = world.engine.breaker("budget/acme", world.clock.wall).unwrap();
    assert_eq!((view.limit, view.breached_windows), (usd("50"), 0));
    assert!(world.pages().is_empty() && world.orders.is_empty());
}

#[test]
fn a_clock_in_doubt_ends_no_override() {
    let budget = daily("budget", "50", Mode::Enforce);
    let mut world = World::with(vec![raised(budget, "500", at("2026-11-20T14:00:00Z"))]);
    world.spend("acme", "100");
    world.clock.wall = at("2026-11-20T20:00:00Z");
    world.pass("1s");
    assert_eq!((limit(&world), world.state("budget/acme").as_str()), (usd("500"), "Clear"));
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert_eq!((limit(&world), world.state("budget/acme").as_str()), (usd("50"), "Arming"));
}

/// What has left a rolling window, while nobody looked, is not what a lower limit is about.
#[test]
fn an_old_sum_of_a_rolling_window_is_not_over_a_limit_that_falls() {
    let [_, rolling, _] = each_kind_of_window();
    let mut world = World::with(vec![raised(rolling, "500", at("2026-11-21T14:00:00Z"))]);
    world.spend("acme", "100");
    world.pass("20h");
    world.pass("6h");
    assert_eq!(limit(&world), usd("50"));
    assert!(world.pages().is_empty(), "{:?}", world.pages());
}

/// Raised after a warning, a limit warns at its own thresholds, and its state says how it stands by them.
#[test]
fn a_limit_that_is_raised_after_a_warning_warns_again_at_its_own_thresholds() {
    let warned = DecisionKind::Warned { threshold: "80%".parse().unwrap() };
    for budget in each_kind_of_window() {
        let mut world = World::with(vec![budget]);
        world.spend("acme", "45");
        assert_eq!(world.state("budget/acme"), "Warned");
        let mut rules = world.rules.clone();
        (rules.id, rules.budgets[0].limit.amount) = ("r2".into(), usd("500"));
        world.reload(rules);
        world.pass("1s");
        assert_eq!(world.state("budget/acme"), "Clear", "45 of 500");
        world.decisions.clear();
        world.spend("acme", "360");
        let said: Vec<&DecisionKind> = world.decisions.iter().map(|d| &d.kind).collect();
        assert_eq!(said, [&warned], "405 of 500");
    }
}
