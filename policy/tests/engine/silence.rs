//! A silent source stops only what a rule says, and only where another signal shows usage.

use policy::decision::Cause;
use policy::fact::{Fact, SourceHealth, SourceState};
use policy::rule::{Budget, Condition, Mode, OnStale, RestoreWhen, Test, Waves, WindowSpec};
use policy::time::Span;

use crate::world::{World, daily, usd};

fn of_gateway(on_stale: OnStale) -> Budget {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.select.all = false;
    budget.select.subjects =
        vec![Condition { field: "source".into(), test: Test::In(vec!["gateway".into()]) }];
    budget.on_stale = on_stale;
    budget
}

impl World {
    fn seen_elsewhere(&mut self, source: &str) {
        let state = SourceState::TrafficSeenElsewhere("CloudWatch counts invocations".to_owned());
        self.take(vec![Fact::Health(SourceHealth { source: source.into(), state })]);
    }
}

#[test]
fn silence_beside_traffic_trips_what_rests_on_the_source_and_nothing_else() {
    let mut world = World::with(vec![of_gateway(OnStale::Trip)]);
    world.spend("acme", "1");
    world.seen_elsewhere("bedrock-log");
    assert!(world.orders.is_empty(), "another source");
    world.seen_elsewhere("gateway");
    assert_eq!(world.ordered(), ["pause acme/api"], "blue spent nothing by it");
    let why = &world.orders[0].why;
    assert!(matches!(&why.cause, Cause::Silence { source, .. } if &**source == "gateway"), "{:?}", why.cause);
    let words = policy::explain::trigger_in_words(why).unwrap();
    assert_eq!(words, "source `gateway` is silent although CloudWatch counts invocations");
    world.obey_all();
    world.pass("1m");
    assert!(world.orders.is_empty(), "it stays while the source is silent");
    world.spend("blue", "1");
    world.pass("1s");
    assert_eq!(world.ordered(), ["restore acme/api"], "heard again, and nothing was over");
}

#[test]
fn silence_that_a_rule_keeps_or_tells_stops_nothing() {
    for on_stale in [OnStale::Keep, OnStale::Alert] {
        let mut world = World::with(vec![of_gateway(on_stale)]);
        world.spend("acme", "1");
        world.seen_elsewhere("gateway");
        world.pass("1m");
        assert!(world.orders.is_empty(), "{on_stale:?}");
        assert!(world.pages().iter().any(|page| page.contains("silent although")), "{:?}", world.pages());
    }
}

#[test]
fn silence_alone_without_another_signal_never_stops() {
    let mut world = World::with(vec![of_gateway(OnStale::Trip)]);
    let rule = policy::rule::SourceRule { stale_after: Some(Span::from_mins(5)), ..Default::default() };
    let mut rules = world.rules.clone();
    rules.id = "watched".into();
    rules.sources.insert("gateway".into(), rule);
    world.reload(rules);
    world.spend("acme", "1");
    world.pass("10m");
    assert!(world.pages().iter().any(|page| page.contains("brought nothing")), "{:?}", world.pages());
    assert!(world.orders.is_empty());
}

#[test]
fn what_a_rule_gives_back_comes_in_waves_and_what_a_person_does_at_once() {
    let waves = Waves { share: "40%".parse().unwrap(), every: Span::from_mins(1) };
    for by_person in [false, true] {
        let mut budget = daily("tenant-daily", "50", Mode::Enforce);
        budget.restore.waves = Some(waves);
        let mut world = World::with(vec![budget]);
        world.grow(4);
        world.spend("acme", "50");
        assert_eq!(world.orders.len(), 5);
        for order in world.orders.clone() {
            let signs = Vec::new();
            let took = Span::from_millis(1);
            world.receipt(order.id, policy::fact::ReceiptOutcome::Verified { signs, took });
        }
        world.orders.clear();
        if by_person {
            world.reset("tenant-daily/acme");
            assert_eq!(world.orders.len(), 5);
            continue;
        }
        world.pass("12h");
        assert_eq!(world.orders.len(), 2, "{:?}", world.ordered());
        world.engine = policy::engine::Engine::restore(&world.engine.snapshot()).unwrap();
        world.pass("59s");
        assert_eq!(world.orders.len(), 2);
        world.pass("1s");
        assert_eq!(world.orders.len(), 4);
        // Stopped again before its wave came: it is held, and comes back with the next end.
        let waiting: Vec<_> = world.orders.iter().map(|order| order.target.name.clone()).collect();
        world.spend("acme", "50");
        world.pass("2m");
        let last = world.orders.iter().filter(|order| !waiting.contains(&order.target.name));
        assert!(
            last.clone().all(|order| order.effect == policy::decision::Effect::PauseToZero),
            "{:?}",
            world.ordered()
        );
    }
}

#[test]
fn the_overshoot_bound_is_the_rate_for_as_long_as_a_stop_takes() {
    let mut world = World::with(vec![daily("tenant-daily", "1000", Mode::Enforce)]);
    let bound =
        |world: &World| world.engine.breaker("tenant-daily/acme", world.clock.wall).unwrap().overshoot;
    // Noon: twelve hours of the window are over. 120 USD are 10 an hour.
    let late = world.clock.wall.minus(Span::from_secs(30));
    world.spend_at("acme", "120", late);
    // 30 s of lag, and 60 s since no stop was measured yet: 90 s of 10 USD an hour.
    assert_eq!(bound(&world), Some(usd("0.25")));
    assert_eq!(world.engine.stop_latency(), Span::from_secs(90));
    world.spend("blue", "1000");
    let order = world.orders[0].clone();
    world.clock.wall = world.clock.wall.plus(Span::from_secs(2));
    world.clock.mono += 2000;
    world.obey(&order);
    assert_eq!(world.engine.stop_latency(), Span::from_secs(32), "the stop took two seconds");
    world.pass("3h");
    world.spend("acme", "1");
    world.pass("3h");
    world.spend("acme", "1");
    assert_eq!(world.engine.stop_latency(), Span::from_secs(2), "the lag of hours ago is forgotten");
}

/// Below the limit is no news of a breaker that tripped for what nobody sees.
#[test]
fn a_rolling_window_gives_nothing_back_while_its_source_is_silent() {
    for when in [RestoreWhen::WindowRolls, RestoreWhen::Below("80%".parse().unwrap())] {
        let mut budget = of_gateway(OnStale::Trip);
        budget.window = WindowSpec::Rolling(Span::from_hours(6));
        budget.restore.when = when;
        let mut world = World::with(vec![budget]);
        world.spend("acme", "1");
        world.seen_elsewhere("gateway");
        world.obey_all();
        for _ in 0..8 {
            world.pass("1h"); // in the end nothing that it saw is in the window any more
            assert!(world.orders.is_empty(), "{:?}", world.ordered());
        }
        world.spend("blue", "1");
        world.pass("1s");
        assert_eq!(world.ordered(), ["restore acme/api"]);
    }
}
