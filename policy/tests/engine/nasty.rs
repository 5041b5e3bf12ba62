//! Several bad things at once: none of them may stop what nobody chose.

use std::collections::BTreeMap;

use policy::decision::HoldState;
use policy::fact::Fact;
use policy::inventory::{InventoryChange, Namespace};
use policy::time::Span;

use crate::world::{World, inventory, scaled_object, usd};

fn relabel(world: &mut World, namespace: &str, tenant: &str) {
    let labels = BTreeMap::from([("tenant".into(), tenant.into())]);
    let change = InventoryChange::Namespace(namespace.into(), Namespace { labels });
    world.take(vec![Fact::Inventory(change)]);
}

#[test]
fn an_object_whose_namespace_went_to_another_tenant_is_not_stopped_again() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    relabel(&mut world, "acme", "newcomer");
    world.scale("acme", 3);
    world.paused("acme", false);
    world.pass("5m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert!(world.hold("acme").is_some(), "it is given back with its breaker, not before");
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn another_object_under_the_same_name_in_a_namespace_of_another_tenant_is_not_stopped() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    relabel(&mut world, "acme", "newcomer");
    let mut object = inventory(&["acme"]).scaled_objects.remove(&scaled_object("acme")).unwrap();
    object.uid = "another".into();
    world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(scaled_object("acme"), object))]);
    world.pass("5m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered));
}

#[test]
fn late_duplicates_and_a_reload_after_a_clock_step_trip_nothing() {
    let mut world = World::new();
    let hours_ago = world.clock.wall.minus(Span::from_hours(3));
    let late = world.usage("late", "acme", "60", hours_ago, false);
    world.take(vec![late.clone()]);
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    rules.budgets[0].limit.amount = usd("40");
    world.reload(rules);
    world.clock.wall = world.clock.wall.plus(Span::from_mins(10)); // and the monotonic clock stands
    world.take(vec![late.clone(), Fact::Tick]);
    world.take(vec![late, Fact::Tick]);
    world.pass("1m");
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Arming", 0));
    assert_eq!(world.sum("tenant-daily/acme"), usd("60"));
}
