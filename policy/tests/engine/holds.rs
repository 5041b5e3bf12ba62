//! Holds: several holders, foreign stops, raises, proofs that do not come.

use policy::decision::{DecisionKind, Effect, HoldState};
use policy::fact::{CommandKind, Fact, GuardAnswer, GuardCheck, Receipt, ReceiptOutcome};
use policy::inventory::InventoryChange;
use policy::rule::Mode;

use crate::world::{World, daily, deployment, inventory, scaled_object};

fn two_budgets() -> World {
    let mut tight = daily("tight", "50", Mode::Enforce);
    let mut wide = daily("wide", "60", Mode::Enforce);
    tight.restore.max_trips_per_window = 9;
    wide.restore.max_trips_per_window = 9;
    World::with(vec![tight, wide])
}

#[test]
fn a_target_held_by_two_is_given_back_only_with_the_last_in_all_four_orders() {
    for trip_first in ["tight", "wide"] {
        for release_first in ["tight", "wide"] {
            let mut world = two_budgets();
            world.spend("acme", "1");
            let other = if trip_first == "tight" { "wide" } else { "tight" };
            for breaker in [trip_first, other] {
                let reason = "test".to_owned();
                world.command(CommandKind::Trip { breaker: format!("{breaker}/acme"), reason });
            }
            assert_eq!(world.ordered(), ["pause acme/api"], "one order for one target");
            world.obey_all();
            let last = if release_first == "tight" { "wide" } else { "tight" };
            world.reset(&format!("{release_first}/acme"));
            assert!(world.orders.is_empty(), "{last} still holds it");
            world.reset(&format!("{last}/acme"));
            assert_eq!(world.ordered(), ["restore acme/api"]);
            let Effect::Restore { prior } = &world.orders[0].effect else { panic!("restore") };
            assert_eq!(prior.as_ref().unwrap().replicas, Some(3), "the first holder recorded what it was");
            world.obey_all();
            assert_eq!(world.hold("acme"), None);
        }
    }
}

#[test]
fn what_somebody_else_stopped_is_adopted_and_left_as_it_was() {
    let mut world = World::new();
    world.spend("acme", "51");
    let order = world.orders[0].id;
    world.receipt(order, ReceiptOutcome::AlreadySo { by: "kubectl".to_owned() });
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    world.orders.clear();
    world.pass("12h");
    assert!(world.orders.is_empty(), "not ours to give back");
    assert_eq!(world.hold("acme"), None);
}

/// acme is over its limit, and somebody had paused its object at zero before.
fn stopped_by_somebody() -> World {
    let mut world = World::new();
    world.paused("acme", true);
    world.scale("acme", 0);
    world.spend("acme", "51");
    let order = world.orders[0].id;
    world.receipt(order, ReceiptOutcome::AlreadySo { by: "kubectl".to_owned() });
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    world.orders.clear();
    world
}

#[test]
fn what_somebody_else_stopped_and_starts_again_is_stopped_by_us() {
    let mut world = stopped_by_somebody();
    world.paused("acme", false);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered));
    world.obey_all();
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api"], "ours to give back now");
}

#[test]
fn what_runs_on_under_somebody_elses_pause_is_not_called_stopped() {
    let mut world = stopped_by_somebody();
    world.scale("acme", 2);
    assert!(world.orders.is_empty(), "not ours to reverse");
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
    let last = world.notices.last().unwrap();
    assert!(!last.progress);
    assert_eq!(last.targets, [(scaled_object("acme"), HoldState::NotStopped)]);
}

#[test]
fn a_target_that_runs_on_is_never_called_stopped() {
    let mut world = World::new();
    world.spend("acme", "51");
    let order = world.orders[0].id;
    let because = "paused at 2 by `alice`".to_owned();
    world.receipt(order, ReceiptOutcome::NotStopped { replicas: Some(2), because });
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
    let last = world.notices.last().unwrap();
    assert!(!last.progress);
    assert_eq!(last.targets, [(scaled_object("acme"), HoldState::NotStopped)]);
}

#[test]
fn a_raise_is_reversed_twice_and_contested_the_third_time() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    for _ in 0..2 {
        world.scale("acme", 2);
        assert_eq!(world.ordered(), ["reverse acme/api"]);
        world.obey_all();
    }
    world.scale("acme", 2);
    assert!(world.orders.is_empty());
    assert_eq!(world.hold("acme"), Some(HoldState::Contested));
    world.pass("12h");
    assert_eq!(world.ordered(), ["restore acme/api"], "given back all the same");
}

#[test]
fn a_pause_that_was_taken_off_is_put_back() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.paused("acme", false);
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn without_proof_it_is_fired_again_a_bounded_number_of_times_and_then_paged() {
    let mut world = World::new();
    world.spend("acme", "51");
    for _ in 0..10 {
        for order in std::mem::take(&mut world.orders) {
            world.receipt(order.id, ReceiptOutcome::NotObserved { signs: Vec::new() });
        }
        world.pass("61s");
    }
    let attempts = world
        .decisions
        .iter()
        .filter(|d| matches!(d.kind, DecisionKind::Hold { to: HoldState::NotStopped, .. }));
    assert_eq!(attempts.count(), 1);
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
    assert!(world.orders.is_empty());
}

#[test]
fn a_re_fire_checks_the_cause_again() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.orders.clear(); // the actuator never answers
    world.reset("tenant-daily/acme");
    assert_eq!(world.ordered(), ["restore acme/api"]);
    world.obey_all();
    world.pass("5m");
    assert!(world.orders.is_empty());
}

#[test]
fn a_restore_that_is_not_whole_is_paged_and_tried_again() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.pass("12h");
    let order = world.orders[0].id;
    world.orders.clear();
    world.receipt(order, ReceiptOutcome::RestoreIncomplete { signs: Vec::new() });
    let page = world.notices.last().unwrap();
    let DecisionKind::Hold { detail, .. } = &page.decision.kind else { panic!("hold") };
    assert!(detail.starts_with("restore incomplete"), "{detail}");
    world.pass("119s");
    assert!(world.orders.is_empty(), "the order before still looks");
    world.pass("2s");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn a_restore_that_the_guard_refuses_stays_to_be_given_back_and_is_not_tried_each_second() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.pass("12h");
    let order = world.orders[0].id;
    world.orders.clear();
    let answer = GuardAnswer { check: GuardCheck::Identity, pass: false, detail: "another UID".to_owned() };
    let receipt =
        Receipt { order, at: world.clock.wall, guard: vec![answer], outcome: ReceiptOutcome::Refused };
    world.take(vec![Fact::Receipt(receipt)]);
    assert_eq!(world.hold("acme"), Some(HoldState::Restoring));
    world.pass("1s");
    assert!(world.orders.is_empty());
    world.pass("120s");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn a_proof_is_told_once_as_progress_with_both_times() {
    let mut world = World::new();
    world.spend("acme", "51");
    let before = world.notices.len();
    world.obey_all();
    assert_eq!(world.notices.len(), before + 1);
    let proof = world.notices.last().unwrap();
    assert!(proof.progress);
    assert!(proof.times.accepted_at.is_some() && proof.times.verified_at.is_some());
    assert_eq!(proof.thread, world.notices[before - 1].thread);
}

#[test]
fn a_released_object_is_exempt_for_the_window() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.command(CommandKind::Release { target: scaled_object("acme") });
    assert_eq!(world.ordered(), ["restore acme/api"]);
    world.obey_all();
    world.spend("acme", "51");
    world.pass("1m");
    assert!(world.orders.is_empty());
    world.pass("12h");
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"], "a new window, a new trip");
}

/// acme's object carries marks of ours that the journal does not know; its workload has that many replicas.
fn marked_by_nobody(replicas: u32) -> World {
    let mut world = World::new();
    let mut all = inventory(&["acme", "blue"]);
    let object = all.scaled_objects.get_mut(&scaled_object("acme")).unwrap();
    for (key, value) in [
        ("autoscaling.keda.sh/paused-replicas", "0"),
        ("breakerbox.dev/install", "test"),
        ("breakerbox.dev/order", "o17"),
        ("breakerbox.dev/holders", "tenant-daily/acme"),
    ] {
        object.annotations.insert(key.into(), value.into());
    }
    let workload = all.workloads.get_mut(&deployment("acme")).unwrap();
    (workload.replicas, workload.status_replicas) = (replicas, replicas);
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(all))]);
    world
}

#[test]
fn a_marked_object_that_the_journal_does_not_know_stays_stopped_and_is_paged() {
    let mut world = marked_by_nobody(0);
    world.pass("13h");
    assert!(world.orders.is_empty());
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    assert!(world.pages().iter().any(|p| p.contains("breakerbox release ScaledObject/acme/api")));
    world.command(CommandKind::Release { target: scaled_object("acme") });
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn a_marked_object_that_runs_is_not_called_stopped() {
    let mut world = marked_by_nobody(3);
    world.pass("1s");
    assert!(world.orders.is_empty());
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
}

#[test]
fn a_marked_object_whose_marks_people_took_off_is_held_no_more_and_stopped_like_any_other() {
    let mut world = marked_by_nobody(0);
    world.take(vec![Fact::Inventory(InventoryChange::Snapshot(inventory(&["acme", "blue"])))]);
    assert_eq!(world.hold("acme"), None);
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_breaker_that_joins_a_hold_which_nobody_knows_has_it_proven() {
    let mut world = marked_by_nobody(0);
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"], "it stands already, and is only proven");
    assert_eq!(world.hold("acme"), Some(HoldState::Ordered));
    let order = world.orders.remove(0).id;
    let took = policy::time::Span::from_millis(150);
    world.receipt(order, ReceiptOutcome::Verified { signs: Vec::new(), took });
    assert_eq!(world.hold("acme"), Some(HoldState::Verified));
    world.pass("13h");
    assert!(world.orders.is_empty(), "who held it before is not known, so a person gives it back");
}

#[test]
fn a_new_object_of_a_tripped_tenant_is_stopped_too() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let mut more = inventory(&["acme"]);
    let object = more.scaled_objects.remove(&scaled_object("acme")).unwrap();
    let key = policy::inventory::ObjectKey::scaled_object("acme", "worker");
    world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(key, object))]);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/worker"]);
}

/// acme's api, batch and worker are held, and the day has ended: they are being given back.
fn three_being_given_back() -> World {
    let mut world = World::new();
    for name in ["batch", "worker"] {
        let object = inventory(&["acme"]).scaled_objects.remove(&scaled_object("acme")).unwrap();
        let object = policy::inventory::ScaledObject { workload: None, ..object };
        let key = policy::inventory::ObjectKey::scaled_object("acme", name);
        world.take(vec![Fact::Inventory(InventoryChange::ScaledObject(key, object))]);
    }
    world.spend("acme", "51");
    assert_eq!(world.orders.len(), 3);
    for order in std::mem::take(&mut world.orders) {
        let took = policy::time::Span::from_millis(150);
        world.receipt(order.id, ReceiptOutcome::Verified { signs: Vec::new(), took });
    }
    world.pass("12h");
    world
}

#[test]
fn the_last_word_of_a_give_back_lists_all_of_its_objects_and_what_did_not_come_back() {
    let mut world = three_being_given_back();
    let orders = std::mem::take(&mut world.orders);
    let told = world.notices.len();
    let took = policy::time::Span::from_millis(150);
    let back = |world: &mut World, at: usize| {
        world.receipt(orders[at].id, ReceiptOutcome::Verified { signs: Vec::new(), took });
    };
    back(&mut world, 0);
    world.receipt(orders[1].id, ReceiptOutcome::RestoreIncomplete { signs: Vec::new() });
    assert_eq!(world.notices.len(), told + 1, "one that does not come back is news at once");
    let states: Vec<&str> = world.notices[told].targets.iter().map(|(_, state)| state.word()).collect();
    assert_eq!(states, ["Released", "Restoring", "Restoring"]);
    world.take(vec![Fact::Inventory(InventoryChange::Gone(orders[2].target.clone()))]);
    back(&mut world, 1);
    assert_eq!(world.notices.len(), told + 2, "one last word");
    let last = world.notices.last().unwrap();
    let names: Vec<&str> = last.targets.iter().map(|(key, _)| &*key.name).collect();
    assert_eq!(names, ["api", "batch"]);
    let note = &last.decision.why.note;
    assert_eq!(note, "not given back: ScaledObject/acme/worker (the object is gone)");
}

#[test]
fn what_may_not_be_given_back_for_a_lower_ceiling_is_paged_and_given_back_once_it_may() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let ceiling = |ceiling| Fact::Posture(policy::fact::Posture { ceiling, because: None });
    world.take(vec![ceiling(Mode::Observe)]);
    world.pass("12h");
    world.pass("1m");
    assert!(world.orders.is_empty());
    let waiting = |p: &&String| p.contains("ScaledObject/acme/api") && p.contains("ceiling is `observe`");
    assert_eq!(world.pages().iter().filter(waiting).count(), 1, "{:?}", world.pages());
    world.take(vec![ceiling(Mode::Enforce)]);
    world.pass("1s");
    assert_eq!(world.ordered(), ["restore acme/api"]);
}
