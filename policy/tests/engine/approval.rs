//! Stops of many targets, and whose yes counts.

use policy::decision::{Decision, DecisionKind};
use policy::fact::{Command, CommandKind, Fact, GuardCheck};
use policy::rule::{Approvers, Guardrail, Mode};

use crate::world::{World, daily};

fn with_rail(mode: Mode, rail: Guardrail) -> World {
    let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
    let mut rules = world.rules.clone();
    rules.id = "railed".into();
    rules.guardrail = rail;
    world.reload(rules);
    world
}

fn over(targets: u32) -> Guardrail {
    Guardrail { targets_over: Some(targets), at_least: 50, overall: 50, ..Guardrail::default() }
}

fn finops() -> Guardrail {
    let approvers = Approvers {
        named: vec!["finops-leads".into()],
        actors: vec!["night-shift".into(), "uid:1000".into()],
    };
    Guardrail { approvers: Some(approvers), ..over(2) }
}

fn approve(world: &mut World, actor: &str) -> Decision {
    let decision = world.asked().unwrap().id;
    let kind = CommandKind::Approve { decision };
    let outcome = world.take(vec![Fact::Command(Command { actor: actor.to_owned(), kind })]);
    let said = |d: &&Decision| matches!(d.kind, DecisionKind::Commanded { .. });
    outcome.decisions.iter().find(said).unwrap().clone()
}

fn refused(decision: &Decision) -> Option<&str> {
    match &decision.kind {
        DecisionKind::Commanded { refused, .. } => refused.as_deref(),
        _ => None,
    }
}

#[test]
fn a_stop_of_more_targets_asks_also_under_enforce_and_one_of_as_many_does_not() {
    let mut world = with_rail(Mode::Enforce, over(3));
    world.grow(2);
    world.spend("acme", "51");
    assert_eq!(world.ordered().len(), 3, "as many as may go");
    let mut world = with_rail(Mode::Enforce, over(3));
    world.grow(3);
    world.spend("acme", "51");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let question = world.asked().unwrap();
    let DecisionKind::Withheld { targets, answers } = &question.kind else { unreachable!() };
    assert_eq!((targets.len(), answers[0].check), (4, GuardCheck::Approval));
    assert!(answers[0].detail.starts_with("4 targets, and more than 3 wait for a person"), "{answers:?}");
    approve(&mut world, "alice");
    assert_eq!(world.ordered().len(), 4);
    assert!(world.orders.iter().all(|order| order.approved_by.as_deref() == Some("alice")));
}

#[test]
fn many_small_stops_of_one_trip_are_a_large_one() {
    let mut world = with_rail(Mode::Enforce, over(3));
    world.grow(2);
    world.spend("acme", "51");
    world.obey_all();
    world.grow(3);
    world.pass("1s");
    assert!(world.orders.is_empty(), "three are stopped, and the fourth is one too many");
    let DecisionKind::Withheld { targets, .. } = &world.asked().unwrap().kind else { unreachable!() };
    assert_eq!(targets.len(), 1, "what is stopped already needs no yes: {targets:?}");
    world.scale("acme", 2);
    assert_eq!(world.ordered(), ["reverse acme/api"], "and is kept stopped meanwhile");
}

#[test]
fn a_yes_to_many_covers_as_many_more_as_would_need_none() {
    let mut world = with_rail(Mode::Enforce, over(3));
    world.grow(4);
    world.spend("acme", "51");
    approve(&mut world, "alice");
    world.obey_all();
    world.grow(7);
    world.pass("1s");
    assert_eq!(world.ordered().len(), 3, "of seven, four are known");
    world.orders.clear();
    world.grow(20);
    world.pass("1s");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
}

#[test]
fn the_yes_of_anybody_else_is_refused_and_recorded_and_the_question_stands() {
    let mut world = with_rail(Mode::Enforce, finops());
    world.grow(3);
    world.spend("acme", "51");
    let DecisionKind::Withheld { answers, .. } = &world.asked().unwrap().kind else { unreachable!() };
    assert!(answers[0].detail.contains("a yes from finops-leads"), "{answers:?}");
    for actor in ["alice", "uid:1001 (alice)", "night-shift-2"] {
        let said = approve(&mut world, actor);
        let no = refused(&said).unwrap();
        assert!(no.contains(actor) && no.contains("finops-leads"), "{no}");
        assert_eq!(said.why.breaker.as_ref().map(|b| &*b.name), Some("tenant-daily/acme"));
        assert!(world.orders.is_empty());
    }
    let said = approve(&mut world, "uid:1000 (bob)");
    assert_eq!(refused(&said), None);
    assert_eq!(world.ordered().len(), 4);
}

#[test]
fn whose_yes_counts_holds_for_every_question() {
    let mut world = with_rail(Mode::Approve, finops());
    world.spend("acme", "51");
    assert!(refused(&approve(&mut world, "alice")).is_some());
    assert!(world.orders.is_empty());
    approve(&mut world, "night-shift");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_yes_is_asked_for_again_when_it_lapses_and_never_taken_for_granted() {
    let mut world = with_rail(Mode::Enforce, over(3));
    world.grow(3);
    world.spend("acme", "51");
    let first = world.asked().unwrap().id;
    world.pass("15m");
    assert!(world.orders.is_empty());
    let second = world.asked().unwrap().id;
    assert_ne!(first, second);
    let late = world.command(CommandKind::Approve { decision: first });
    assert!(late.orders.is_empty());
    approve(&mut world, "alice");
    assert_eq!(world.ordered().len(), 4);
}
