//! Freeze windows of the rules: no new stop and no re-fire while one is in force; what is held stays, what is to
//! be given back is, and what would have been stopped is judged when it ends.

use policy::decision::{DecisionKind, HoldState};
use policy::engine::Engine;
use policy::fact::{CommandKind, GuardCheck};
use policy::rule::{FreezeWhen, FreezeWindow, Mode, Place, RuleSet};

use crate::world::{World, daily};

/// 20 November 2026, noon in UTC, is one in the afternoon in Berlin; a Friday.
fn fridays(from: u16, until: u16) -> FreezeWindow {
    let when = FreezeWhen::Weekly {
        days: vec![4],
        from: from * 60,
        until: until * 60,
        timezone: "Europe/Berlin".parse().unwrap(),
    };
    let place = Place { file: "rail.yaml".into(), line: 6, column: 7 };
    FreezeWindow { when, because: Some("trading hours".into()), place }
}

fn with_freeze(rules: &RuleSet, windows: Vec<FreezeWindow>) -> RuleSet {
    let mut rules = rules.clone();
    rules.id = format!("{} frozen {}", rules.id, windows.len()).into();
    rules.guardrail.freeze = windows;
    rules
}

fn frozen(mode: Mode, windows: Vec<FreezeWindow>) -> World {
    let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
    let rules = with_freeze(&world.rules, windows);
    world.reload(rules);
    world
}

const WORDS: &str = "frozen by the rules until 2026-11-20T14:00:00Z: trading hours (rail.yaml:6)";

#[test]
fn what_would_have_been_stopped_waits_for_the_end_of_the_window() {
    let mut world = frozen(Mode::Enforce, vec![fridays(13, 15)]);
    world.spend("acme", "51");
    assert_eq!((world.state("tenant-daily/acme").as_str(), world.orders.len()), ("Tripped", 0));
    let DecisionKind::Withheld { answers, .. } = &world.asked().unwrap().kind else { unreachable!() };
    assert_eq!((answers[0].check, answers[0].detail.as_str()), (GuardCheck::Freeze, WORDS));
    world.pass("1h59m");
    assert!(world.orders.is_empty());
    world.pass("1m");
    assert_eq!(world.ordered(), ["pause acme/api"], "the window ended, and its cause lasts");
}

#[test]
fn what_would_have_been_stopped_is_not_when_its_cause_has_gone_by_the_end() {
    let mut world = frozen(Mode::Enforce, vec![fridays(13, 24), fridays(12, 14)]);
    world.spend("acme", "51");
    // Both windows together end at 23:00 UTC, an hour before the day of the budget does.
    world.reset("tenant-daily/acme");
    world.pass("11h30m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    assert_eq!(world.engine.view(world.clock.wall).freeze, None);
}

#[test]
fn what_is_held_stays_and_what_is_to_be_given_back_is() {
    let mut world = frozen(Mode::Enforce, vec![fridays(14, 16)]);
    world.spend("acme", "51");
    world.obey_all();
    world.pass("1h");
    assert_eq!(world.hold("acme"), Some(HoldState::Verified), "the freeze begins, the hold stays");
    world.scale("acme", 2);
    assert!(world.orders.is_empty(), "a raise is not reversed");
    assert_eq!(world.hold("acme"), Some(HoldState::NotStopped));
    world.pass("2h");
    assert_eq!(world.ordered(), ["reverse acme/api"], "it is answered once it may be");
    let mut world = frozen(Mode::Enforce, vec![fridays(14, 16)]);
    world.spend("acme", "51");
    world.obey_all();
    world.pass("1h");
    world.reset("tenant-daily/acme");
    assert_eq!(world.ordered(), ["restore acme/api"], "a freeze keeps nothing from its owner");
}

#[test]
fn an_order_without_proof_is_not_fired_again_in_a_window() {
    let mut world = frozen(Mode::Enforce, vec![fridays(14, 16)]);
    world.pass("59m30s");
    world.spend("acme", "51");
    assert_eq!(world.orders.len(), 1);
    world.pass("10m");
    world.pass("10m");
    assert_eq!(world.orders.len(), 1);
    world.pass("1h41m");
    assert_eq!(world.orders.len(), 2, "after the window it is");
}

#[test]
fn a_question_that_lapses_in_a_window_is_put_again_after_it_and_not_every_quarter_of_an_hour() {
    let mut world = frozen(Mode::Approve, vec![fridays(13, 15)]);
    world.spend("acme", "51");
    let questions = |world: &World| {
        world.decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Withheld { .. })).count()
    };
    assert_eq!(questions(&world), 1);
    for _ in 0..7 {
        world.pass("16m");
    }
    assert_eq!(questions(&world), 1);
    world.pass("8m");
    assert_eq!(questions(&world), 2);
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn status_and_explain_say_what_froze_it_and_when_it_freezes_next() {
    let mut world = frozen(Mode::Enforce, vec![fridays(13, 15)]);
    world.spend("acme", "51");
    let view = world.engine.view(world.clock.wall);
    assert_eq!(view.freeze.as_deref(), Some(WORDS));
    let next = "from 2026-11-27T12:00:00Z until 2026-11-27T14:00:00Z: trading hours (rail.yaml:6)";
    assert_eq!(view.next_freeze.as_deref(), Some(next));
    let why = world.engine.explain("acme", world.clock.wall);
    assert!(why[0].reason.to_string().contains(WORDS), "{why:?}");
    world.pass("2h");
    let view = world.engine.view(world.clock.wall);
    assert_eq!((view.freeze, view.next_freeze.as_deref()), (None, Some(next)));
}

#[test]
fn no_command_ends_a_window_and_a_persons_freeze_is_one_of_its_own() {
    let mut world = frozen(Mode::Enforce, vec![fridays(13, 15)]);
    let refused = |world: &World| match &world.decisions.last().unwrap().kind {
        DecisionKind::Commanded { what, refused } => (what.clone(), refused.clone()),
        other => panic!("{other:?}"),
    };
    world.command(CommandKind::Unfreeze);
    assert!(refused(&world).1.unwrap().starts_with(WORDS));
    world.command(CommandKind::Freeze { reason: "incident".to_owned() });
    let both = world.engine.view(world.clock.wall).freeze.unwrap();
    assert!(both.contains("incident") && both.contains(WORDS), "{both}");
    world.command(CommandKind::Unfreeze);
    assert_eq!(refused(&world), (format!("alice: unfreeze; still {WORDS}"), None));
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
    let none = with_freeze(&world.rules, Vec::new());
    world.reload(none);
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"], "a change of the rule does");
}

#[test]
fn an_engine_from_a_snapshot_is_frozen_from_its_first_fact_on() {
    let mut world = frozen(Mode::Enforce, vec![fridays(13, 15)]);
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    assert_eq!(world.engine.frozen(), Some(WORDS));
    world.spend("acme", "51");
    assert!(world.orders.is_empty());
}
