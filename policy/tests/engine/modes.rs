//! A reload that changes the mode of a rule while its breaker is tripped.

use policy::decision::{Decision, DecisionKind, HoldState};
use policy::fact::{CommandKind, Fact, Posture};
use policy::rule::Mode;

use crate::world::{World, daily, scaled_object};

use Mode::{Alert, Approve, Enforce, Observe};

fn tripped_in(mode: Mode) -> World {
    let mut world = World::with(vec![daily("tenant-daily", "50", mode)]);
    world.spend("acme", "51");
    world.obey_all();
    world
}

fn remode(world: &mut World, mode: Mode) {
    let mut rules = world.rules.clone();
    rules.id = format!("{} then {}", rules.id, mode.word()).into();
    rules.budgets[0].mode = mode;
    world.reload(rules);
}

/// What people are told of since, in a word each, without what is said of a single hold.
fn told(world: &World, since: usize) -> Vec<&'static str> {
    let word = |d: &Decision| match d.kind {
        DecisionKind::Tripped { .. } => "tripped",
        DecisionKind::Withheld { .. } => "asked",
        DecisionKind::Page { .. } => "page",
        DecisionKind::Hold { .. } => "hold",
        _ => "other",
    };
    let (mut words, mut last) = (Vec::new(), None);
    for notice in &world.notices[since..] {
        if last.replace(notice.decision.id) != Some(notice.decision.id) {
            words.push(word(&notice.decision));
        }
    }
    words
}

/// From, to, what people are told within the approval's time, and whether a yes then orders.
const CHANGES: [(Mode, Mode, &[&str], bool); 12] = [
    (Observe, Alert, &["tripped"], false),
    (Observe, Approve, &["asked", "page"], true),
    (Observe, Enforce, &["asked", "page"], true),
    (Alert, Observe, &[], false),
    (Alert, Approve, &["asked", "page"], true),
    (Alert, Enforce, &["asked", "page"], true),
    (Approve, Observe, &[], false),
    (Approve, Alert, &[], false),
    (Approve, Enforce, &[], true),
    (Enforce, Observe, &[], false),
    (Enforce, Alert, &[], false),
    (Enforce, Approve, &[], false),
];

#[test]
fn a_mode_that_changes_while_tripped_tells_once_asks_where_it_may_stop_and_never_orders() {
    for (from, to, want, orders) in CHANGES {
        let case = format!("{} to {}", from.word(), to.word());
        let mut world = tripped_in(from);
        let since = world.notices.len();
        remode(&mut world, to);
        for _ in 0..10 {
            world.spend("acme", "1");
            world.pass("1m");
        }
        assert_eq!(told(&world, since), want, "{case}");
        assert!(world.orders.is_empty(), "{case}: {:?}", world.ordered());
        let held = (from == Enforce).then_some(HoldState::Verified);
        assert_eq!(world.hold("acme"), held, "{case}");
        let decision = world.asked().map_or(policy::id::DecisionId(0), |d| d.id);
        world.command(CommandKind::Approve { decision });
        world.pass("1s");
        assert_eq!(!world.orders.is_empty(), orders, "{case}: {:?}", world.ordered());
    }
}

#[test]
fn a_question_that_a_reload_puts_names_objects_and_modes_and_is_asked_again_until_the_window_ends() {
    let mut world = tripped_in(Observe);
    remode(&mut world, Enforce);
    let question = world.asked().unwrap();
    let DecisionKind::Withheld { targets, answers } = &question.kind else { unreachable!() };
    assert_eq!(*targets, [scaled_object("acme")]);
    assert!(answers[0].detail.contains("a change of rules stops nothing"), "{answers:?}");
    assert_eq!(question.mode, Approve, "so that a message offers the yes");
    let difference = "tenant-daily/acme (mode observe before, enforce now, spent 51.00 USD of 50.00 USD; ";
    assert!(world.pages().iter().any(|p| p.contains(difference)), "{:?}", world.pages());
    let first = question.id;
    world.pass("15m");
    assert_ne!(world.asked().unwrap().id, first);
    for _ in 0..11 {
        world.pass("1h");
        assert!(world.orders.is_empty());
    }
    world.pass("45m");
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    world.spend("acme", "51");
    assert_eq!(world.ordered(), ["pause acme/api"], "what crosses from now on is enforced");
}

#[test]
fn an_object_that_comes_while_a_reload_waits_for_a_person_is_asked_about_too() {
    let mut world = World::with(vec![daily("tenant-daily", "50", Observe)]);
    let key = scaled_object("acme");
    world.take(vec![Fact::Inventory(policy::inventory::InventoryChange::Gone(key))]);
    world.spend("acme", "51");
    remode(&mut world, Enforce);
    world.pass("1s");
    assert!(world.asked().is_none(), "there is nothing to ask about");
    world.grow(1);
    world.pass("1s");
    assert!(world.orders.is_empty());
    assert!(world.asked().is_some());
}

#[test]
fn what_was_let_go_in_observe_is_not_stopped_again_by_the_way_back_without_a_yes() {
    let mut world = tripped_in(Enforce);
    remode(&mut world, Observe);
    world.paused("acme", false);
    world.scale("acme", 3);
    world.pass("1m");
    remode(&mut world, Enforce);
    world.pass("5m");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    world.pass("1s");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.pass("12h");
    world.orders.retain(|o| matches!(o.effect, policy::decision::Effect::Restore { .. }));
    assert_eq!(world.ordered(), ["restore acme/api"]);
}

#[test]
fn what_tripped_before_the_daemon_might_tell_is_told_once_it_may() {
    let mut world = World::new();
    let posture = |ceiling| Fact::Posture(Posture { ceiling, because: None });
    world.take(vec![posture(Observe)]);
    world.spend("acme", "51");
    assert!(world.notices.is_empty());
    world.take(vec![posture(Enforce)]);
    world.pass("1s");
    world.pass("1s");
    assert_eq!((told(&world, 0), world.ordered()), (vec!["tripped"], vec!["pause acme/api".to_owned()]));
}

#[test]
fn a_question_of_a_reload_outlives_a_daemon_that_may_do_nothing_for_a_while() {
    let mut world = World::with(vec![daily("tenant-daily", "50", Alert)]);
    world.spend("acme", "51");
    let posture = |ceiling| Fact::Posture(Posture { ceiling, because: None });
    world.take(vec![posture(Observe)]);
    remode(&mut world, Enforce);
    world.pass("20m");
    world.take(vec![posture(Enforce)]);
    for _ in 0..3 {
        world.pass("20m");
        assert!(world.orders.is_empty(), "{:?}", world.ordered());
    }
    assert!(world.notices.iter().any(|n| matches!(n.decision.kind, DecisionKind::Withheld { .. })));
}

#[test]
fn what_was_stopped_in_enforce_is_stopped_again_in_approve_only_after_a_yes() {
    let mut world = tripped_in(Enforce);
    remode(&mut world, Approve);
    world.pass("1m");
    let since = world.notices.len();
    world.scale("acme", 2);
    world.pass("1s");
    assert_eq!(told(&world, since), ["hold", "asked"]);
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    world.pass("1s");
    assert_eq!(world.ordered(), ["reverse acme/api"]);
    assert_eq!(world.orders[0].approved_by.as_deref(), Some("alice"), "or the gateway would refuse it");
}

#[test]
fn a_breaker_that_asks_first_holds_nothing_that_another_holds_before_its_yes() {
    let (first, second) = (daily("a-first", "50", Enforce), daily("b-second", "60", Approve));
    let mut world = World::with(vec![first, second]);
    world.spend("acme", "51");
    world.obey_all();
    world.spend("acme", "10");
    world.pass("20m");
    assert!(world.asked().is_none(), "it is at zero: nothing runs on that one could ask about");
    world.reset("a-first/acme");
    assert_eq!(world.ordered(), ["restore acme/api"], "nobody said yes to the second");
    world.obey_all();
    world.pass("1s");
    let decision = world.asked().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn under_approve_a_yes_to_a_change_of_rules_stops_nothing_before_one_to_the_objects() {
    let mut world = World::with(vec![daily("tenant-daily", "5000", Approve)]);
    world.spend("acme", "100");
    let mut lower = world.rules.clone();
    lower.id = "r2".into();
    lower.budgets[0].limit.amount = crate::world::usd("50");
    world.reload(lower);
    let change = world.decisions.iter().find(|d| matches!(d.kind, DecisionKind::Arming { .. })).unwrap().id;
    world.command(CommandKind::Approve { decision: change });
    assert!(world.orders.is_empty(), "the question named no object");
    let DecisionKind::Commanded { what, refused: None } = &world.decisions.last().unwrap().kind else {
        panic!("command")
    };
    assert!(what.contains("nothing is stopped yet: it waits for approval"), "{what}");
    let question = world.asked().unwrap();
    let DecisionKind::Withheld { targets, .. } = &question.kind else { unreachable!() };
    assert_eq!(*targets, [scaled_object("acme")]);
    let decision = question.id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_question_says_why_it_is_one() {
    let mut world = World::new();
    world.take(vec![Fact::Posture(Posture { ceiling: Approve, because: None })]);
    world.spend("acme", "51");
    let DecisionKind::Withheld { answers, .. } = &world.asked().unwrap().kind else { unreachable!() };
    assert!(answers[0].detail.starts_with("mode `approve` waits for a person"), "{answers:?}");
}

#[test]
fn a_question_names_nothing_that_a_yes_would_not_change() {
    let mut world = tripped_in(Enforce);
    for _ in 0..2 {
        world.scale("acme", 2);
        world.obey_all();
    }
    world.scale("acme", 2);
    assert_eq!(world.hold("acme"), Some(HoldState::Contested));
    remode(&mut world, Approve);
    world.pass("1m");
    assert!(world.asked().is_none(), "we fight for it no longer, whoever says yes");
}
