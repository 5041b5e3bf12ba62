//! Prices that are looked at before they count: both books price, sums have the old one, and what the new one
//! alone brings over stops nothing.

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::{Engine, ShadowView};
use policy::fact::CommandKind;
use policy::rule::{Mode, RuleSet, ShadowPrices};
use policy::time::Timestamp;

use crate::world::{World, at, daily, usd};

/// The dollar model at so many dollars, looked at.
fn looking(world: &World, dollars: u32, until: Option<Timestamp>) -> RuleSet {
    let mut rules = world.rules.clone();
    rules.id = format!("{} looks at {dollars} {until:?}", rules.id).into();
    let mut prices = rules.prices.clone();
    for price in prices.models.values_mut() {
        price.input = Some(format!("{dollars} USD per 1M tokens").parse().unwrap());
        price.output = price.input;
    }
    prices.accept = prices.models.keys().cloned().collect();
    rules.shadow = Some(ShadowPrices { prices, until });
    rules
}

fn seen(world: &World) -> ShadowView {
    world.engine.shadow_view().expect("prices are looked at")
}

#[test]
fn what_is_looked_at_is_priced_and_in_no_sum() {
    let mut world = World::new();
    world.reload(looking(&world, 4, None));
    world.spend("acme", "20");
    world.spend("blue", "1");
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.spend("acme", "10"); // 30 USD; 120 at the new price would trip
    let view = seen(&world);
    assert_eq!((view.counted, view.shadow), (usd("31"), usd("124")));
    let rows: Vec<_> =
        view.spend.iter().map(|s| (s.tenant.as_deref(), s.counted, s.shadow, s.facts)).collect();
    assert_eq!(rows, [(Some("acme"), usd("30"), usd("120"), 2), (Some("blue"), usd("1"), usd("4"), 1)]);
    assert_eq!(
        (world.sum("tenant-daily/acme"), world.state("tenant-daily/acme")),
        (usd("30"), "Clear".to_owned())
    );
    assert!(world.orders.is_empty() && world.decisions.is_empty(), "{:?}", world.decisions);
    let said = world.engine.explain("acme", world.clock.wall);
    let said: Vec<String> = said.iter().map(|not| not.reason.to_string()).collect();
    assert!(
        said[1].contains("would have charged 120.00 USD") && said[1].contains("charged 30.00 USD"),
        "{said:?}"
    );
}

#[test]
fn at_its_date_it_counts_for_what_comes_and_what_it_alone_brings_over_waits() {
    let mut world = World::new();
    world.reload(looking(&world, 4, Some(at("2026-11-20T13:00:00Z"))));
    world.spend("acme", "20");
    world.pass("59m");
    world.spend("acme", "1");
    assert_eq!(world.sum("tenant-daily/acme"), usd("21"), "one minute before, the old price counts");
    world.pass("1m");
    assert!(world.engine.shadow_view().is_none());
    let pages = world.pages();
    assert!(pages[0].contains("would have charged 84.00 USD where 21.00 USD was charged"), "{pages:?}");
    world.spend("acme", "8"); // 21 and 32, 29 at the price that the window began with
    assert_eq!(world.sum("tenant-daily/acme"), usd("53"));
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let waits = DecisionKind::Arming { cause: ArmingCause::PriceChange };
    assert!(world.decisions.iter().any(|d| d.kind == waits), "{:?}", world.decisions);
    world.spend("acme", "21"); // 50 at the price that the window began with
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_person_lets_it_count_and_a_reload_does_not_take_that_back() {
    let mut world = World::new();
    let refused = world.command(CommandKind::PricesCount);
    assert!(
        matches!(&refused.decisions[0].kind, DecisionKind::Commanded { refused: Some(why), .. } if why.contains("no prices are looked at"))
    );
    world.reload(looking(&world, 2, None));
    world.spend("acme", "1");
    world.command(CommandKind::PricesCount);
    world.spend("acme", "1");
    assert_eq!(world.sum("tenant-daily/acme"), usd("3"));
    let mut rules = world.rules.clone();
    rules.id = "another edit".into();
    rules.budgets.push(daily("other", "5", Mode::Observe));
    world.reload(rules);
    assert!(world.engine.shadow_view().is_none(), "it counts, and is not looked at again");
    world.spend("acme", "1");
    assert_eq!(world.sum("tenant-daily/acme"), usd("5"));
    // Other figures are other prices.
    world.reload(looking(&world, 3, None));
    assert_eq!(seen(&world).counted, usd("0"));
}

#[test]
fn a_clock_in_doubt_lets_nothing_count() {
    let mut world = World::new();
    world.reload(looking(&world, 4, Some(at("2026-11-20T13:00:00Z"))));
    world.clock.wall = at("2026-11-21T12:00:00Z");
    world.pass("1s");
    assert!(world.engine.clock_doubt().is_some() && world.engine.shadow_view().is_some());
    world.command(CommandKind::ClockIsRight);
    world.pass("1s");
    assert!(world.engine.shadow_view().is_none());
}

#[test]
fn a_price_that_is_not_believed_is_not_looked_at_either() {
    let mut world = World::new();
    let mut rules = looking(&world, 1000, None);
    if let Some(shadow) = &mut rules.shadow {
        shadow.prices.accept.clear();
    }
    world.reload(rules);
    assert!(world.engine.shadow_view().is_none());
    assert!(world.pages()[0].contains("are refused"), "{:?}", world.pages());
}
