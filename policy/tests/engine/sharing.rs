//! One target under several budgets, names and identities.

use policy::decision::HoldState;
use policy::fact::{Fact, ReceiptOutcome};
use policy::inventory::InventoryChange;
use policy::rule::Mode;

use crate::world::{World, daily, inventory, scaled_object};

/// Another object under acme's name, perhaps with our marks and our pause, as a backup brings it back.
fn replace(world: &mut World, with_marks: bool) {
    let mut object = inventory(&["acme"]).scaled_objects.remove(&scaled_object("acme")).unwrap();
    object.uid = "another".into();
    if with_marks {
        for (key, value) in [
            ("autoscaling.keda.sh/paused-replicas", "0"),
            ("breakerbox.dev/install", "test"),
            ("breakerbox.dev/order", "o1"),
        ] {
            object.annotations.insert(key.into(), value.into());
        }
    }
    world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(scaled_object("acme"), object))]);
}

#[test]
fn a_budget_that_only_observes_holds_nothing_when_the_enforcing_one_lets_go() {
    let (watch, stop) = ("a-watch", "b-stop");
    for names in [(watch, stop), ("z-watch", stop)] {
        let mut world =
            World::with(vec![daily(names.0, "40", Mode::Observe), daily(names.1, "50", Mode::Enforce)]);
        world.spend("acme", "51");
        assert_eq!(world.state(&format!("{}/acme", names.0)), "Tripped");
        assert_eq!(world.ordered(), ["pause acme/api"]);
        assert_eq!(world.orders[0].mode, Mode::Enforce);
        assert_eq!(world.orders[0].holders, ["b-stop/acme".into()]);
        world.obey_all();
        world.reset("b-stop/acme");
        assert_eq!(world.ordered(), ["restore acme/api"]);
        world.obey_all();
        world.pass("1h");
        assert_eq!((world.orders.len(), world.hold("acme")), (0, None));
        assert_eq!(world.state(&format!("{}/acme", names.0)), "Tripped", "and goes on to observe");
    }
}

#[test]
fn a_rule_that_was_taken_back_to_observe_fights_for_nothing_but_gives_back() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let mut rules = world.rules.clone();
    (rules.id, rules.budgets[0].mode) = ("r2".into(), Mode::Observe);
    world.reload(rules);
    world.scale("acme", 3);
    world.paused("acme", false);
    world.pass("5m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert!(world.hold("acme").is_some());
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn another_object_of_the_same_tenant_under_the_held_name_is_stopped_as_itself() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    replace(&mut world, false);
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered), "the new one was not seen to be stopped");
    world.pass("2m");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(&*world.orders[0].uid, "another");
}

#[test]
fn an_object_that_replaced_the_one_being_given_back_is_left_alone() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.pass("12h");
    world.orders.clear();
    replace(&mut world, false);
    assert_eq!(world.hold("acme"), None, "there is nothing to give back");
    world.pass("10m");
    assert!(world.orders.is_empty(), "what the old one was like is nothing to the new one");
}

#[test]
fn an_object_that_came_back_with_our_marks_while_being_given_back_is_given_back() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.pass("12h");
    world.orders.clear();
    replace(&mut world, true);
    world.pass("10m");
    assert_eq!(world.ordered(), ["restore acme/api"]);
    assert_eq!(&*world.orders[0].uid, "another");
}

#[test]
fn an_object_in_the_place_of_one_that_somebody_else_stopped_is_not_called_stopped() {
    let mut world = World::new();
    world.spend("acme", "51");
    let order = world.orders[0].id;
    world.receipt(order, ReceiptOutcome::AlreadySo { by: "kubectl".to_owned() });
    world.orders.clear();
    replace(&mut world, false);
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered));
    world.pass("2m");
    assert_eq!(world.ordered(), ["pause acme/api"], "the old one was theirs, this one runs");
}

#[test]
fn a_budget_that_was_renamed_while_tripped_counts_anew_and_each_name_lets_go_for_itself() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let mut rules = world.rules.clone();
    (rules.id, rules.budgets[0].name) = ("r2".into(), "renamed".into());
    world.reload(rules);
    world.spend("acme", "40");
    world.pass("1m");
    assert_eq!((world.state("renamed/acme").as_str(), world.orders.len()), ("Warned", 0));
    world.spend("acme", "11");
    assert_eq!(world.state("renamed/acme"), "Tripped");
    world.pass("1m");
    assert!(world.orders.is_empty(), "it is stopped already");
    world.pass("12h");
    assert_eq!(world.state("renamed/acme"), "Clear", "the new name let go at midnight");
    assert!(world.orders.is_empty(), "the old name still holds it");
    world.reset("tenant-daily/acme");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}
