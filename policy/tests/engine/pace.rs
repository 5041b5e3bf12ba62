//! Burn rates, deltas and forecasts: a runaway is stopped long before its limit, and nothing is stopped for a
//! change of rules, a change of prices, or what is late.

use policy::decision::{ArmingCause, Cause, DecisionKind};
use policy::engine::Engine;
use policy::money::Unit;
use policy::rule::{Budget, CalendarUnit, Measure, Mode, Place, Then, Trigger, WindowSpec};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

fn trigger(measure: Measure, then: Then) -> Trigger {
    Trigger { measure, then, place: Place { file: "tenants.yaml".into(), line: 20, column: 5 } }
}

fn burn(long: &str, short: &str, exceeds: &str, then: Then) -> Trigger {
    let exceeds = exceeds.parse().unwrap();
    trigger(Measure::BurnRate { long: long.parse().unwrap(), short: short.parse().unwrap(), exceeds }, then)
}

fn with_triggers(limit: &str, triggers: Vec<Trigger>) -> Budget {
    let mut budget = daily("tenant-daily", limit, Mode::Enforce);
    let mut spans: Vec<Span> = triggers.iter().flat_map(|t| t.measure.spans()).collect();
    spans.sort_unstable();
    spans.dedup();
    (budget.triggers, budget.spans) = (triggers, spans);
    budget
}

/// 24 USD a day is 1 USD an hour: at 12x, 12 USD in an hour and 1 USD in five minutes.
fn twelvefold() -> World {
    World::with(vec![with_triggers("24", vec![burn("1h", "5m", "1200%", Then::Trip)])])
}

fn kinds(world: &World) -> Vec<String> {
    world.decisions.iter().map(|d| policy::explain::headline(&d.kind)).collect()
}

#[test]
fn a_runaway_trips_by_its_burn_rate_long_before_its_limit() {
    let mut world = twelvefold();
    for _ in 0..11 {
        world.spend("acme", "1");
        world.pass("1m");
    }
    assert_eq!(world.state("tenant-daily/acme"), "Clear", "{:?}", kinds(&world));
    world.spend("acme", "1");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    let tripped = world.decisions.last().unwrap();
    let Cause::Trigger { measure, spent, .. } = &tripped.why.cause else { panic!("{:?}", tripped.why.cause) };
    assert_eq!((measure.word(), tripped.why.sum, tripped.why.place.line), ("burn-rate", usd("12"), 20));
    assert_eq!(spent[0], (Span::from_hours(1), usd("12")));
    assert_eq!(world.orders[0].why.place.line, 20, "the order cites the line of its burn rate");
    world.obey_all();
    world.pass("12h1m");
    assert_eq!(world.ordered(), ["restore acme/api"], "the window's end gives it back");
}

#[test]
fn both_spans_of_a_burn_rate_must_be_over() {
    let mut world = twelvefold();
    world.spend("acme", "11.9");
    world.pass("10m");
    world.spend("acme", "0.9"); // 12.8 in the hour, but only 0.9 in the last five minutes
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.spend("acme", "0.1");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
}

#[test]
fn what_is_spent_slowly_never_trips_by_its_pace() {
    let mut world = twelvefold();
    for _ in 0..20 {
        world.pass("30m");
        world.spend("acme", "0.9");
    }
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
}

#[test]
fn a_delta_warns_once_until_it_has_fallen_back() {
    let over = Span::from_mins(15);
    let delta = trigger(Measure::Delta { over, exceeds: usd("3"), unit: Unit::Usd }, Then::Warn);
    let mut world = World::with(vec![with_triggers("100", vec![delta])]);
    world.spend("acme", "3");
    world.spend("acme", "3");
    let warned = |world: &World| {
        world.decisions.iter().filter(|d| matches!(d.kind, DecisionKind::WarnedBy { .. })).count()
    };
    assert_eq!((warned(&world), world.state("tenant-daily/acme").as_str()), (1, "Warned"));
    assert_eq!(world.notices.len(), 1);
    assert_eq!(&*world.notices[0].route, "finops");
    world.pass("20m");
    assert_eq!(world.state("tenant-daily/acme"), "Clear", "it has fallen back");
    world.spend("acme", "3");
    assert_eq!((warned(&world), world.notices.len()), (2, 2));
    assert_ne!(world.notices[0].key, world.notices[1].key);
}

#[test]
fn a_forecast_warns_and_says_nothing_before_a_tenth_of_the_window() {
    let forecast = trigger(Measure::Forecast { exceeds: "110%".parse().unwrap() }, Then::Warn);
    let mut world = World::with(vec![with_triggers("100", vec![forecast])]);
    world.clock.wall = at("2026-11-21T01:00:00Z");
    world.clock.mono += 13 * 3_600_000;
    world.pass("1s");
    world.spend("acme", "20"); // 480 at that pace, but an hour says nothing
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.pass("3h");
    world.spend("acme", "0.1"); // 20.1 in four hours: 120.6 in a day
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    let why = &world.decisions.last().unwrap().why;
    let words = policy::explain::trigger_in_words(why).unwrap();
    assert!(words.starts_with("forecast of 110% of the limit: 120.5"), "{words}");
    assert!(world.orders.is_empty());
}

#[test]
fn late_facts_and_catching_up_arm_by_pace_and_never_trip() {
    let mut world = twelvefold();
    let late = world.clock.wall.minus(Span::from_mins(3));
    let fact = world.usage("late", "acme", "13", late, true);
    world.take(vec![fact]);
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    assert!(world.orders.is_empty());
    world.spend("acme", "0.01");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
}

#[test]
fn a_limit_lowered_by_reload_stops_nobody_by_pace_until_a_person_says_yes() {
    let mut world = World::with(vec![with_triggers("2400", vec![burn("1h", "5m", "1200%", Then::Trip)])]);
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    rules.budgets[0].limit.amount = usd("240");
    world.reload(rules);
    for _ in 0..15 {
        world.pass("10m");
        world.spend("acme", "13"); // as it always was; 78 an hour is 7.8x now
    }
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    let mut rules = world.rules.clone();
    rules.id = "r3".into();
    rules.budgets[0].triggers = vec![burn("1h", "5m", "150%", Then::Trip)];
    world.reload(rules);
    world.spend("acme", "10");
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    let DecisionKind::Arming { cause } = &world.decisions.last().unwrap().kind else { panic!("arming") };
    assert_eq!(*cause, ArmingCause::RuleChange);
    assert!(world.orders.is_empty());
    let decision = world.decisions.last().unwrap().id;
    world.command(policy::fact::CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn what_fires_long_after_a_change_of_rules_is_the_spend_s_own() {
    let mut world = World::with(vec![with_triggers("2400", vec![burn("1h", "5m", "1200%", Then::Trip)])]);
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    rules.budgets[0].limit.amount = usd("24");
    world.reload(rules);
    world.spend("acme", "1");
    world.pass("61m");
    world.spend("acme", "12");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
}

#[test]
fn a_price_that_multiplies_trips_nobody_by_pace() {
    let mut world = twelvefold();
    world.spend("acme", "0.5");
    let mut rules = world.rules.clone();
    rules.id = "dear".into();
    let dear = "100 USD per 1M tokens".parse().unwrap();
    for price in rules.prices.models.values_mut() {
        (price.input, price.output) = (Some(dear), Some(dear));
    }
    rules.prices.accept = rules.prices.models.keys().cloned().collect();
    world.reload(rules);
    world.spend("acme", "0.15"); // 15 by the new price
    assert_eq!(world.sum("tenant-daily/acme"), usd("15.5"));
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
}

#[test]
fn a_reset_forgives_the_pace_and_what_follows_up_to_its_mark() {
    let mut world = twelvefold();
    world.spend("acme", "12");
    world.obey_all();
    world.reset("tenant-daily/acme");
    world.obey_all();
    world.spend("acme", "2.3");
    assert!(world.ordered().is_empty(), "up to a further tenth of the limit nothing trips");
    world.spend("acme", "10");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn grace_and_a_snapshot_keep_what_the_pace_says() {
    let mut budget = with_triggers("24", vec![burn("1h", "5m", "1200%", Then::Trip)]);
    budget.grace = Span::from_mins(2);
    let mut world = World::with(vec![budget]);
    world.spend("acme", "13");
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.pass("1m");
    assert!(world.orders.is_empty());
    world.pass("1m");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    let mut world = twelvefold();
    world.rules.budgets[0].grace = Span::from_mins(10);
    world.rules.id = "graceful".into();
    world.reload(world.rules.clone());
    world.spend("acme", "13");
    world.pass("10m"); // no longer fast
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Clear", 0));
}

#[test]
fn a_pace_is_measured_across_the_end_of_a_window() {
    let mut budget = with_triggers("24", vec![burn("1h", "5m", "1200%", Then::Trip)]);
    let timezone = "UTC".parse().unwrap();
    budget.window = WindowSpec::Calendar { unit: CalendarUnit::Day, timezone, fiscal_start: 1 };
    let mut world = World::with(vec![budget]);
    world.pass("11h50m");
    world.spend("acme", "11");
    world.pass("15m");
    world.spend("acme", "1");
    let why = &world.decisions.last().unwrap().why;
    assert_eq!((world.state("tenant-daily/acme").as_str(), why.sum), ("Tripped", usd("1")));
}

fn rolling(limit: &str, trigger: Trigger) -> Budget {
    let mut budget = with_triggers(limit, vec![trigger]);
    budget.window = WindowSpec::Rolling(Span::from_hours(6));
    budget.restore.when = policy::rule::RestoreWhen::Below("90%".parse().unwrap());
    budget
}

fn delta(exceeds: &str, then: Then) -> Trigger {
    let (over, exceeds) = (Span::from_mins(15), usd(exceeds));
    trigger(Measure::Delta { over, exceeds, unit: Unit::Usd }, then)
}

#[test]
fn after_a_give_back_nobody_is_shown_as_warned_for_a_pace_that_is_over() {
    let mut world = World::with(vec![rolling("50", delta("3", Then::Warn))]);
    world.spend("acme", "4");
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    world.spend("acme", "47");
    world.obey_all();
    world.pass("6h10m");
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.spend("acme", "2.8"); // more than 90% of what it warns at
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
}

#[test]
fn a_charge_from_before_a_rolling_window_is_judged_by_what_the_window_holds_now() {
    let mut world = World::with(vec![rolling("50", delta("1000", Then::Trip))]);
    let now = world.clock.wall;
    world.take(vec![world.usage("a", "acme", "51", now, true)]);
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    let passed = Span::from_hours(7);
    world.clock.wall = now.plus(passed);
    world.clock.mono += u64::try_from(passed.millis()).unwrap();
    world.spend_at("acme", "1", now.plus(Span::from_mins(30)));
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
}
