//! A reload that chooses more of what a tripped breaker stops: a new selector, or a protection that is gone.

use policy::decision::{DecisionKind, HoldState};
use policy::fact::{CommandKind, Fact};
use policy::inventory::{InventoryChange, ObjectKey};
use policy::rule::{Act, Mode, RuleSet, TargetSelector, Template};

use crate::world::{World, daily, inventory, scaled_object};

fn reload(world: &mut World, change: impl FnOnce(&mut RuleSet)) {
    let mut rules = world.rules.clone();
    rules.id = format!("{} then another", rules.id).into();
    change(&mut rules);
    world.reload(rules);
}

/// The rule stops what is in the namespace of blue too.
fn widen(rules: &mut RuleSet) {
    widen_to(rules, "blue");
}

fn widen_to(rules: &mut RuleSet, namespace: &str) {
    let namespaces = vec![Template::Literal(namespace.into())];
    let targets = TargetSelector { namespaces, ..TargetSelector::default() };
    rules.budgets[0].on_trip.push(Act::PauseScaledObjects { targets, place: Default::default() });
}

/// An object is seen again, as a watch that reconnects brings it.
fn seen_again(world: &mut World, tenant: &str) {
    let object = inventory(&[tenant]).scaled_objects.remove(&scaled_object(tenant)).unwrap();
    world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(scaled_object(tenant), object))]);
    world.pass("1s");
}

fn asked(world: &World) -> Vec<ObjectKey> {
    match world.asked().map(|decision| &decision.kind) {
        Some(DecisionKind::Withheld { targets, .. }) => targets.clone(),
        _ => Vec::new(),
    }
}

fn yes(world: &mut World) {
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
}

#[test]
fn a_selector_that_a_reload_widens_while_tripped_is_asked_about_and_never_orders() {
    for mode in [Mode::Enforce, Mode::Approve] {
        let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
        world.spend("acme", "51");
        if mode == Mode::Approve {
            yes(&mut world);
        }
        world.obey_all();
        reload(&mut world, widen);
        assert_eq!(asked(&world), [scaled_object("blue")]);
        let page = "tenant-daily/acme (now also ScaledObject/blue/api, spent 51.00 USD of 50.00 USD; ";
        assert!(world.pages().iter().any(|p| p.contains(page)), "{:?}", world.pages());
        for _ in 0..3 {
            seen_again(&mut world, "blue");
            world.pass("15m");
        }
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
        world.scale("acme", 2);
        assert_eq!(world.ordered(), ["reverse acme/api"], "what it holds is kept stopped");
        world.obey_all();
        yes(&mut world);
        assert_eq!(world.ordered(), ["pause blue/api"]);
        world.obey_all();
        world.grow(1);
        world.pass("1s");
        assert_eq!(world.ordered(), ["pause acme/more-0"], "what comes from now on is stopped as ever");
    }
}

#[test]
fn a_protection_that_a_reload_drops_while_tripped_is_asked_about_and_never_orders() {
    let mut world = World::new();
    reload(&mut world, |rules| rules.guardrail.protected_namespaces.push("acme".into()));
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    reload(&mut world, |rules| rules.guardrail.protected_namespaces.clear());
    seen_again(&mut world, "acme");
    world.pass("1m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert_eq!(asked(&world), [scaled_object("acme")]);
    yes(&mut world);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn what_a_reload_adds_while_a_guard_withholds_a_trip_is_not_stopped_when_it_says_yes() {
    let mut world = World::new();
    world.command(CommandKind::Freeze { reason: "incident".to_owned() });
    world.spend("acme", "51");
    reload(&mut world, widen);
    world.command(CommandKind::Unfreeze);
    world.pass("1s");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert_eq!(asked(&world), [scaled_object("acme"), scaled_object("blue")]);
    yes(&mut world);
    assert_eq!(world.ordered(), ["pause acme/api", "pause blue/api"]);
}

#[test]
fn a_yes_to_what_one_reload_added_is_none_to_what_the_next_one_does() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    reload(&mut world, widen);
    let first = world.asked().unwrap().id;
    reload(&mut world, |rules| widen_to(rules, "core"));
    world.command(CommandKind::Approve { decision: first });
    world.pass("1s");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert_eq!(asked(&world), [scaled_object("blue"), scaled_object("core")]);
    yes(&mut world);
    assert_eq!(world.ordered(), ["pause blue/api", "pause core/api"]);
}

#[test]
fn a_reload_that_chooses_nothing_more_leaves_new_objects_to_be_stopped_as_ever() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    reload(&mut world, |rules| rules.budgets[0].description = "another text".into());
    world.pass("1s");
    assert_eq!((world.asked(), world.hold("acme")), (None, Some(HoldState::Verified)));
    world.grow(1);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/more-0"]);
}
