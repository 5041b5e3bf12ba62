//! Warn, trip, release.

use policy::breaker::Hot;
use policy::decision::{DecisionKind, ReleaseCause, Severity};
use policy::rule::{Mode, RestoreWhen, WindowSpec};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

#[test]
fn a_breaker_warns_once_trips_once_and_stops_only_its_tenant() {
    let mut world = World::new();
    world.spend("acme", "39");
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.spend("acme", "1");
    world.spend("acme", "1");
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    assert_eq!(world.notices.len(), 1, "one message for the threshold");
    assert_eq!(&*world.notices[0].route, "finops");
    world.spend("blue", "10");
    world.spend("acme", "9");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    world.spend("acme", "9");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.notices.len(), 2);
    assert_eq!((&*world.notices[1].route, world.notices[1].severity), ("oncall", Severity::Critical));
    assert_eq!(world.state("tenant-daily/blue"), "Clear");
}

#[test]
fn an_order_says_which_facts_which_sum_and_which_rule_line_led_to_it() {
    let mut world = World::new();
    world.spend("acme", "30");
    world.spend("acme", "12.5");
    world.spend("acme", "8");
    let why = &world.orders[0].why;
    assert_eq!((why.sum, why.limit, why.facts), (usd("50.5"), usd("50"), 3));
    assert_eq!(why.place.to_string(), "tenants.yaml:9");
    let largest: Vec<_> = why.largest.iter().map(|l| (&*l.fact, l.amount)).collect();
    assert_eq!(largest, [("gateway:u1", usd("30")), ("gateway:u2", usd("12.5")), ("gateway:u3", usd("8"))]);
    assert_eq!(why.breaker.as_ref().unwrap().end, at("2026-11-21T00:00:00Z"));
    assert!(why.prices.starts_with("builtin@"), "{}", why.prices);
}

/// 0.05 USD is a thousandth of the limit, 20 USD half of the first threshold.
#[test]
fn far_below_its_marks_a_breaker_keeps_no_charge_under_a_thousandth_of_the_limit_and_near_them_any() {
    let mut world = World::new();
    for amount in ["0.04", "20", "0.03", "29.98"] {
        world.spend("acme", amount);
    }
    let largest: Vec<_> = world.orders[0].why.largest.iter().map(|l| (&*l.fact, l.amount)).collect();
    assert_eq!(
        largest,
        [("gateway:u4", usd("29.98")), ("gateway:u2", usd("20")), ("gateway:u3", usd("0.03"))]
    );
}

#[test]
fn midnight_gives_everything_back_and_the_new_day_begins_at_zero() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.pass("11h59m");
    assert!(world.orders.is_empty());
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    world.pass("1m");
    assert_eq!(world.ordered(), ["restore acme/api"]);
    assert_eq!(world.sum("tenant-daily/acme"), usd("0"));
    let released = world.decisions.iter().any(|d| {
        matches!(&d.kind, DecisionKind::Released { cause: ReleaseCause::WindowRolled, targets } if targets.len() == 1)
    });
    assert!(released);
    world.obey_all();
    assert_eq!(world.hold("acme"), None);
    world.spend("acme", "49.99");
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
}

#[test]
fn a_jump_over_both_thresholds_sends_the_trip_alone() {
    let mut world = World::new();
    world.spend("acme", "500");
    assert_eq!(world.notices.len(), 1);
    assert!(matches!(world.notices[0].decision.kind, DecisionKind::Tripped { .. }));
}

#[test]
fn the_lower_of_mode_and_ceiling_holds() {
    for (mode, messages, orders) in [(Mode::Observe, 0, 0), (Mode::Alert, 1, 0), (Mode::Enforce, 1, 1)] {
        let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
        world.spend("acme", "51");
        assert_eq!(world.state("tenant-daily/acme"), "Tripped", "{mode:?}");
        assert_eq!((world.notices.len(), world.orders.len()), (messages, orders), "{mode:?}");
    }
}

#[test]
fn grace_arms_first_and_trips_when_it_ends_without_another_fact() {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.grace = Span::from_mins(5);
    let mut world = World::with(vec![budget]);
    world.spend("acme", "51");
    assert_eq!(world.state("tenant-daily/acme"), "Arming");
    world.pass("4m59s");
    assert!(world.orders.is_empty());
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_trip_that_awaits_approval_orders_only_after_a_yes() {
    let mut world = World::with(vec![daily("tenant-daily", "50", Mode::Approve)]);
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    let decision = world.decisions.last().unwrap().id;
    world.command(policy::fact::CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.orders[0].approved_by.as_deref(), Some("alice"));
}

#[test]
fn a_reset_forgives_until_a_further_tenth_of_the_limit() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.reset("tenant-daily/acme");
    assert_eq!(world.ordered(), ["restore acme/api"]);
    world.obey_all();
    world.spend("acme", "4.99");
    assert_ne!(world.state("tenant-daily/acme"), "Tripped");
    world.spend("acme", "0.01");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_rolling_window_falls_below_and_gives_back() {
    let mut budget = daily("burst", "50", Mode::Enforce);
    budget.window = WindowSpec::Rolling(Span::from_hours(1));
    budget.restore.when = RestoreWhen::Below("90%".parse().unwrap());
    let mut world = World::with(vec![budget]);
    world.spend("acme", "30");
    world.pass("30m");
    world.spend("acme", "30");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.obey_all();
    world.pass("29m");
    assert!(world.orders.is_empty(), "60 USD within the hour");
    world.pass("3m");
    assert_eq!(world.ordered(), ["restore acme/api"], "the first 30 USD have left");
    assert_eq!(world.sum("burst/acme"), usd("30"));
}

#[test]
fn a_charge_within_a_parent_counts_in_both() {
    let mut org = daily("org", "60", Mode::Enforce);
    org.per_each.clear();
    org.select = policy::rule::Selector {
        all: false,
        subjects: vec![],
        charges: vec![policy::rule::ChargeKind::Gpu],
        when: None,
    };
    let mut child = daily("tenant-daily", "50", Mode::Enforce);
    child.within = Some("org".into());
    let mut world = World::with(vec![org, child]);
    world.spend("acme", "40");
    world.spend("blue", "19");
    assert_eq!(world.sum("org"), usd("59"));
    world.spend("blue", "1");
    assert_eq!(world.state("org"), "Tripped");
    assert_eq!(world.state("tenant-daily/blue"), "Clear");
}

#[test]
fn an_override_holds_for_its_tenant_until_it_ends() {
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.limit.overrides = vec![policy::rule::LimitOverride {
        matches: vec![("tenant".into(), "acme".into())],
        amount: usd("200"),
        until: Some(at("2026-11-21T00:00:00Z")),
    }];
    let mut world = World::with(vec![budget]);
    world.spend("acme", "150");
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.pass("12h");
    world.spend("acme", "51");
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
}

#[test]
fn what_every_charge_touches_is_one_cache_line() {
    assert_eq!(size_of::<Hot>(), 64);
}

fn burst(max_trips_per_window: u32) -> World {
    let mut budget = daily("burst", "50", Mode::Enforce);
    budget.window = WindowSpec::Rolling(Span::from_hours(1));
    budget.restore.when = RestoreWhen::Below("90%".parse().unwrap());
    budget.restore.max_trips_per_window = max_trips_per_window;
    World::with(vec![budget])
}

#[test]
fn a_flapping_breaker_stays_tripped_after_as_many_trips_as_its_rule_allows_and_says_so() {
    let (pause, restore) = ("pause acme/api", "restore acme/api");
    for (most, want) in [(9, vec![pause, restore, pause, restore]), (2, vec![pause, restore, pause])] {
        let (world, orders) = flap(most);
        assert_eq!(orders, want, "at most {most} trips");
        assert_eq!(world.hold("acme").is_some(), most == 2);
    }
    let (mut world, _) = flap(2);
    let trips: Vec<&str> = world
        .notices
        .iter()
        .filter(|n| matches!(n.decision.kind, DecisionKind::Tripped { .. }))
        .map(|n| n.decision.why.note.as_str())
        .collect();
    assert_eq!((trips.len(), trips[0]), (2, ""), "{trips:?}");
    assert!(trips[1].contains("maxTripsPerWindow"), "{trips:?}");
    world.pass("19m");
    assert_eq!(world.ordered(), ["restore acme/api"], "once the first trip is an hour old");
}

/// Trips at 0:39; the first 20 USD leave at 1:00 and it is given back; trips again at 1:01; the second 20 USD
/// leave at 1:20. What was ordered until 1:22.
fn flap(most: u32) -> (World, Vec<String>) {
    let mut world = burst(most);
    let mut orders = Vec::new();
    for (dollars, then) in [("20", "20m"), ("20", "19m"), ("11", "22m"), ("20", "21m")] {
        world.spend("acme", dollars);
        orders.extend(world.ordered());
        world.obey_all();
        world.pass(then);
        orders.extend(world.ordered());
        world.obey_all();
    }
    (world, orders)
}

#[test]
fn trips_of_an_earlier_time_do_not_keep_a_rolling_breaker_tripped_for_ever() {
    let mut world = burst(2);
    for day in 0..4 {
        world.spend("acme", "51");
        assert_eq!(world.ordered(), ["pause acme/api"], "day {day}");
        world.obey_all();
        world.pass("2h");
        assert_eq!(world.ordered(), ["restore acme/api"], "day {day}");
        world.obey_all();
        world.pass("22h");
    }
}

#[test]
fn warning_trip_proof_and_give_back_of_one_crossing_share_one_thread() {
    let mut calendar = daily("burst", "50", Mode::Enforce);
    calendar.restore.when = RestoreWhen::WindowRolls;
    for mut world in [burst(9), World::with(vec![calendar])] {
        let mut threads = Vec::new();
        for (dollars, then) in [("41", "1m"), ("10", "1m"), ("0.01", "13h")] {
            world.spend("acme", dollars);
            world.obey_all();
            world.pass(then);
            world.obey_all();
        }
        let mut kinds = Vec::new();
        for notice in &world.notices {
            kinds.push(match &notice.decision.kind {
                DecisionKind::Hold { to, .. } => to.word(),
                DecisionKind::Warned { .. } => "Warned",
                DecisionKind::Tripped { .. } => "Tripped",
                DecisionKind::Released { .. } => "being given back",
                other => panic!("{other:?}"),
            });
            threads.push(notice.thread.clone());
        }
        assert_eq!(kinds, ["Warned", "Tripped", "Verified", "being given back", "Released"]);
        threads.dedup();
        assert_eq!(threads.len(), 1, "{threads:?}");
        world.spend("acme", "51");
        assert_ne!(world.notices.last().unwrap().thread, threads[0], "the next crossing is another story");
    }
}

#[test]
fn a_trip_by_hand_says_when_it_stops_nothing_and_a_reset_leaves_no_warning_that_nothing_reached() {
    for (mode, want) in
        [(Mode::Observe, "only observes"), (Mode::Approve, "waits for approval"), (Mode::Enforce, "")]
    {
        let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
        world.spend("acme", "1");
        let trip =
            policy::fact::CommandKind::Trip { breaker: "tenant-daily/acme".into(), reason: "x".into() };
        world.command(trip);
        let DecisionKind::Commanded { what, .. } = &world.decisions.last().unwrap().kind else {
            panic!("command")
        };
        assert!(what.contains(want), "{mode:?}: {what}");
        assert_eq!(what.contains("nothing is stopped"), mode != Mode::Enforce, "{mode:?}: {what}");
        world.reset("tenant-daily/acme");
        assert_eq!(world.state("tenant-daily/acme"), "Clear", "{mode:?}");
        world.obey_all();
        world.notices.clear();
        world.spend("acme", "40");
        assert_eq!(world.state("tenant-daily/acme"), "Warned", "{mode:?}");
        assert_eq!(world.notices.len(), usize::from(mode != Mode::Observe), "the real warning still comes");
    }
}
