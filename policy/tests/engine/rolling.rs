//! What belongs to a rolling window leaves it with time: it has no end at which it could be forgotten.

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::{Engine, NotTrippedReason};
use policy::fact::Fact;
use policy::rule::{Budget, Mode, RestoreWhen, WindowSpec};
use policy::time::Span;

use crate::world::{World, daily, usd};

fn burst(limit: &str) -> Budget {
    let mut budget = daily("burst", limit, Mode::Enforce);
    budget.window = WindowSpec::Rolling(Span::from_hours(6));
    budget.restore.when = RestoreWhen::Below("90%".parse().unwrap());
    budget
}

fn lower(world: &mut World, limit: &str) {
    let mut rules = world.rules.clone();
    rules.id = format!("{} then {limit}", rules.id).into();
    rules.budgets[0].limit.amount = usd(limit);
    world.reload(rules);
}

fn arming(cause: ArmingCause) -> DecisionKind {
    DecisionKind::Arming { cause }
}

/// A budget that nobody warns of is looked at again all the same.
#[test]
fn a_reset_of_a_rolling_window_forgives_for_one_length_of_it_and_no_longer() {
    for warn in [true, false] {
        let mut budget = burst("50");
        if !warn {
            budget.warn_at.clear();
        }
        let mut world = World::with(vec![budget]);
        world.spend("acme", "151");
        world.obey_all();
        world.pass("3h");
        world.reset("burst/acme"); // trips again at 156
        world.obey_all();
        world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
        world.pass("4h"); // the 151 have left
        world.spend("acme", "55");
        world.pass("1h");
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
        world.pass("1h");
        assert_eq!(world.state("burst/acme"), "Arming", "more than the limit was spent since");
        assert!(world.orders.is_empty(), "time alone stops nothing");
        world.spend("acme", "0.01");
        assert_eq!(world.ordered(), ["pause acme/api"]);
    }
}

#[test]
fn a_reset_of_a_lifetime_budget_forgives_for_ever() {
    let mut budget = daily("life", "50", Mode::Enforce);
    budget.window = WindowSpec::Lifetime;
    let mut world = World::with(vec![budget]);
    world.spend("acme", "51");
    world.obey_all();
    world.reset("life/acme");
    world.obey_all();
    world.pass("720h");
    world.spend("acme", "4.9");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    world.spend("acme", "0.1");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn after_one_length_of_a_rolling_window_its_sum_was_spent_under_the_new_limit() {
    let mut world = World::with(vec![burst("5000")]);
    world.spend("acme", "100");
    lower(&mut world, "50");
    for _ in 0..5 {
        world.pass("1h");
        world.spend("acme", "20");
    }
    assert_eq!(world.state("burst/acme"), "Arming");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    world.pass("1h");
    world.pass("1m");
    assert!(world.orders.is_empty(), "time alone stops nothing: {:?}", world.ordered());
    world.spend("acme", "0.01");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn what_a_rolling_window_forgot_keeps_no_later_crossing_from_a_trip() {
    let mut world = World::with(vec![burst("5000")]);
    world.spend("acme", "100");
    lower(&mut world, "50");
    assert!(world.decisions.iter().any(|d| d.kind == arming(ArmingCause::RuleChange)));
    world.pass("7h");
    assert_eq!(world.state("burst/acme"), "Clear");
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn what_a_new_price_added_leaves_a_rolling_window_with_its_charges() {
    let mut world = World::with(vec![burst("50")]);
    world.spend("acme", "1");
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    for price in rules.prices.models.values_mut() {
        price.input = Some("20 USD per 1M tokens".parse().unwrap());
        price.output = price.input;
    }
    rules.prices.accept = rules.prices.models.keys().cloned().collect();
    world.reload(rules);
    world.spend("acme", "3");
    assert!(world.decisions.iter().any(|d| d.kind == arming(ArmingCause::PriceChange)));
    assert!(world.orders.is_empty());
    world.pass("7h");
    world.spend("acme", "2.6"); // 52 USD, in a window that knows only the new price
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_rolling_window_tells_of_no_charges_that_have_left_it() {
    let mut world = World::with(vec![burst("50")]);
    let now = world.clock.wall;
    world.spend("acme", "40");
    let Fact::Usage(mut batch) = world.usage("a", "acme", "10", now, false) else { panic!("usage") };
    batch.origins[0].model = "vendor.unknown-v1:0".into();
    batch.digests[0] += 1;
    world.take(vec![Fact::Usage(batch)]);
    let view = |world: &World| world.engine.breaker("burst/acme", world.clock.wall).unwrap();
    assert_eq!((view(&world).facts, view(&world).unpriced), (1, 1));
    for _ in 0..21 {
        world.pass("24h");
    }
    assert_eq!((view(&world).facts, view(&world).unpriced, view(&world).sum), (0, 0, usd("0")));
    let answers = world.engine.explain("acme", world.clock.wall);
    let below =
        NotTrippedReason::BelowLimit { sum: usd("0"), limit: usd("50"), unit: policy::money::Unit::Usd };
    assert_eq!(answers.iter().map(|a| &a.reason).collect::<Vec<_>>(), [&below]);
    world.spend("acme", "51");
    let why = &world.orders[0].why;
    assert_eq!((why.facts, why.unpriced, why.largest.len()), (1, 0, 1));
    assert_eq!(why.occurred_at, Some(world.clock.wall));
}

/// What is stopped stays explained by the charges that led to it, as long as it is.
#[test]
fn a_stop_names_its_charges_also_when_they_have_left_the_window() {
    let mut budget = burst("50");
    budget.restore.when = RestoreWhen::Manual;
    let mut world = World::with(vec![budget]);
    world.spend("acme", "51");
    world.obey_all();
    world.pass("7h");
    world.scale("acme", 2);
    assert_eq!(world.ordered(), ["reverse acme/api"]);
    assert_eq!(world.orders[0].why.largest.len(), 1);
}

/// Nothing leaves by a clock in doubt, and what a person forgave under one is forgiven for one length of the
/// window by the right one.
#[test]
fn a_reset_under_a_clock_that_is_days_ahead_ends_by_the_right_one() {
    let mut world = World::with(vec![burst("50")]);
    world.spend("acme", "151");
    world.obey_all();
    let right = world.clock.wall;
    world.clock.wall = right.plus(Span::from_hours(72));
    world.pass("1s");
    world.reset("burst/acme");
    world.clock.wall = right;
    world.pass("1m");
    world.command(policy::fact::CommandKind::ClockIsRight);
    world.pass("1s");
    world.obey_all();
    world.pass("7h");
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn after_a_give_back_a_rolling_window_warns_again_before_it_trips_again() {
    let mut world = World::with(vec![burst("50")]);
    world.spend("acme", "26");
    world.pass("3h");
    world.spend("acme", "26");
    world.obey_all();
    world.pass("3h10m"); // 26 have left: more than half of the way to the next trip is spent
    assert_eq!(world.state("burst/acme"), "Clear");
    world.obey_all();
    world.pass("7h");
    world.decisions.clear();
    world.spend("acme", "41");
    let warned = DecisionKind::Warned { threshold: "80%".parse().unwrap() };
    assert!(world.decisions.iter().any(|d| d.kind == warned), "{:?}", world.decisions);
    assert!(world.orders.is_empty());
}
