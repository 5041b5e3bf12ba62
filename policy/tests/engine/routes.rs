//! Routes: what goes out together, what waits for the morning, what is said again and to whom.

use std::collections::BTreeSet;

use policy::decision::{DecisionKind, Notice, Severity};
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact, Trouble};
use policy::page::PageTopic;
use policy::rule::{Delivery, EVERY_DAY, Escalation, GroupBy, Grouping, Mode, QuietHours};
use policy::time::Span;

use crate::world::{World, daily};

/// Noon, and these routes.
fn with(routes: &[(&str, Delivery)]) -> World {
    let mut world = World::with(vec![daily("tenant-daily", "50", Mode::Enforce)]);
    let mut rules = world.rules.clone();
    rules.id = "with routes".into();
    for (name, delivery) in routes {
        let mut route = rules.routes["oncall"].clone();
        (route.name, route.delivery) = ((*name).into(), delivery.clone());
        rules.routes.insert((*name).into(), route);
    }
    rules.guardrail.page = Some("oncall".into());
    world.reload(rules);
    world
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn grouped(by: Vec<GroupBy>) -> Delivery {
    let grouping = Grouping { by, wait: span("30s"), interval: span("5m") };
    Delivery { grouping: Some(grouping), ..Delivery::default() }
}

fn quiet(from: u16, to: u16) -> Delivery {
    let hours =
        QuietHours { from: from * 60, to: to * 60, days: EVERY_DAY, timezone: "UTC".parse().unwrap() };
    Delivery { quiet_hours: vec![hours], ..Delivery::default() }
}

fn pressing(repeat: Option<&str>, steps: &[(&str, &str)]) -> Delivery {
    let step = |(after, route): &(&str, &str)| Escalation { after: span(after), route: (*route).into() };
    let repeat_interval = repeat.map(span);
    Delivery { repeat_interval, escalation: steps.iter().map(step).collect(), ..Delivery::default() }
}

/// What went out since the last look, `route: warned, tripped`; what is in a digest in brackets.
fn out(world: &mut World) -> Vec<String> {
    let said = world.notices.iter().map(|n| format!("{}: {}", n.route, said(n))).collect();
    world.notices.clear();
    said
}

fn said(notice: &Notice) -> String {
    if !notice.manner.digest.is_empty() {
        let all: Vec<String> = notice.manner.digest.iter().map(said).collect();
        return format!("[{}]", all.join(", "));
    }
    let name = notice.decision.why.breaker.as_ref().map_or("", |b| b.name.split('/').next_back().unwrap());
    let what = match &notice.decision.kind {
        DecisionKind::Warned { .. } => "warned",
        DecisionKind::Tripped { .. } => "tripped",
        DecisionKind::Released { .. } => "released",
        DecisionKind::Hold { .. } => "hold",
        DecisionKind::Commanded { .. } => "commanded",
        DecisionKind::Page { .. } => "page",
        _ => "other",
    };
    let again =
        if notice.manner.again > 0 { format!(" again {}", notice.manner.again) } else { String::new() };
    let from = notice.manner.escalated_from.as_deref().map_or(String::new(), |from| format!(" from {from}"));
    format!("{what} {name}{again}{from}")
}

#[test]
fn at_night_what_is_critical_goes_out_and_the_rest_is_one_message_in_the_morning() {
    let night = quiet(11, 14); // by this world's noon
    let mut world = with(&[("finops", night.clone()), ("oncall", night)]);
    world.spend("acme", "41");
    world.spend("blue", "42");
    assert!(out(&mut world).is_empty(), "warnings wait");
    world.spend("acme", "10");
    world.obey_all();
    assert_eq!(
        out(&mut world),
        ["oncall: tripped acme", "oncall: hold acme"],
        "whoever was woken is told how it went"
    );
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.reset("tenant-daily/acme");
    assert!(out(&mut world).is_empty(), "good news can wait");
    world.pass("119m");
    assert!(out(&mut world).is_empty());
    assert_eq!(world.engine.view(world.clock.wall).messages_held, 4);
    world.pass("1m");
    let mut said = out(&mut world);
    said.sort();
    assert_eq!(said, ["finops: [warned acme, warned blue]", "oncall: [released acme, commanded acme]"]);
    world.pass("24h");
    let again: Vec<String> = out(&mut world).into_iter().filter(|s| s.contains("warned")).collect();
    assert!(again.is_empty(), "once: {again:?}");
}

#[test]
fn one_that_waited_alone_goes_out_as_it_is() {
    let mut world = with(&[("finops", quiet(11, 14))]);
    world.spend("acme", "41");
    world.pass("2h");
    let [notice] = &world.notices[..] else { panic!("{:?}", out(&mut world)) };
    assert!(notice.manner.digest.is_empty() && notice.key.contains("warned"), "{}", notice.key);
}

#[test]
fn messages_of_a_group_wait_for_each_other_and_the_next_of_it_for_its_interval() {
    let mut world = with(&[("finops", grouped(vec![GroupBy::Budget]))]);
    world.spend("acme", "41");
    world.pass("20s");
    world.spend("blue", "41");
    assert!(out(&mut world).is_empty());
    world.pass("10s");
    assert_eq!(out(&mut world), ["finops: [warned acme, warned blue]"]);
    world.pass("1m");
    world.spend("core", "41");
    world.pass("3m59s");
    assert!(out(&mut world).is_empty(), "five minutes after the group, and not before");
    world.pass("1s");
    assert_eq!(out(&mut world), ["finops: warned core"]);
}

#[test]
fn groups_are_apart_by_what_they_are_grouped_by() {
    let mut world = with(&[("finops", grouped(vec![GroupBy::Field("tenant".into())]))]);
    world.spend("acme", "41");
    world.spend("blue", "41");
    world.pass("30s");
    assert_eq!(out(&mut world), ["finops: warned acme", "finops: warned blue"]);
}

#[test]
fn progress_waits_with_the_message_that_it_is_about_and_a_digest_is_as_loud_as_its_loudest() {
    let mut world = with(&[("oncall", grouped(Vec::new()))]);
    world.spend("acme", "51");
    world.obey_all();
    world.spend("blue", "51");
    world.pass("30s");
    let digest = world.notices.iter().find(|n| n.route.as_ref() == "oncall").unwrap().clone();
    assert_eq!(said(&digest), "[tripped acme, hold acme, tripped blue]");
    assert_eq!((digest.severity, digest.progress), (Severity::Critical, false));
    world.notices.clear();
    world.obey_all();
    assert_eq!(out(&mut world), ["oncall: hold blue"], "nothing of its thread waits");
}

#[test]
fn what_is_critical_is_said_again_until_somebody_acknowledges_it() {
    let mut world = with(&[("oncall", pressing(Some("10m"), &[]))]);
    world.spend("acme", "51");
    world.obey_all();
    let trip = world.notices.iter().find(|n| said(n).starts_with("tripped")).unwrap().clone();
    assert!(trip.manner.ack);
    assert!(world.notices.iter().all(|n| n.id == trip.id || !n.manner.ack), "a warning asks for nothing");
    out(&mut world);
    world.pass("9m59s");
    assert!(out(&mut world).is_empty());
    world.pass("1s");
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.pass("10m");
    assert_eq!(out(&mut world), ["oncall: tripped acme again 1", "oncall: tripped acme again 2"]);
    let alarms = world.engine.view(world.clock.wall).alarms;
    assert_eq!((alarms.len(), &*alarms[0].about, alarms[0].again), (1, "tenant-daily/acme", 2));
    let nothing = world.command(CommandKind::Ack { what: "tenant-daily/blue".to_owned() });
    assert!(
        matches!(&nothing.decisions[0].kind, DecisionKind::Commanded { refused: Some(why), .. } if why.contains("nothing waits")),
        "{nothing:?}"
    );
    world.command(CommandKind::Ack { what: trip.decision.id.to_string() });
    let acked = world.decisions.last().unwrap();
    assert!(
        matches!(&acked.kind, DecisionKind::Commanded { what, refused: None } if what == "alice: acknowledge tenant-daily/acme")
    );
    out(&mut world);
    world.pass("1h");
    assert!(out(&mut world).is_empty());
    assert!(world.engine.view(world.clock.wall).alarms.is_empty());
}

#[test]
fn what_nobody_acknowledges_goes_to_others_each_once() {
    let steps = [("15m", "finops"), ("30m", "boss")];
    let mut world = with(&[("oncall", pressing(None, &steps)), ("boss", Delivery::default())]);
    world.spend("acme", "51");
    world.obey_all();
    out(&mut world);
    world.pass("14m59s");
    assert!(out(&mut world).is_empty());
    world.pass("1s");
    let [notice] = &world.notices[..] else { panic!("{:?}", out(&mut world)) };
    assert_eq!((notice.severity, notice.manner.unanswered_since.is_some()), (Severity::Critical, true));
    assert_eq!(notice.targets.len(), 1, "as things stand now");
    assert_eq!(out(&mut world), ["finops: tripped acme from oncall"]);
    world.pass("2h");
    assert_eq!(out(&mut world), ["boss: tripped acme from oncall"]);
    world.pass("2h");
    assert!(out(&mut world).is_empty(), "each step once");
}

#[test]
fn whoever_acts_has_acknowledged_and_what_is_over_presses_nobody() {
    let answers: [fn(&mut World); 4] = [
        |world| drop(world.reset("tenant-daily/acme")),
        |world| drop(world.command(CommandKind::Release { target: crate::world::scaled_object("acme") })),
        |world| drop(world.command(CommandKind::ReleaseAll)),
        |world| drop(world.pass("12h")), // midnight: the window ends
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        let mut world = with(&[("oncall", pressing(Some("1h"), &[("13h", "finops")]))]);
        world.spend("acme", "51");
        world.obey_all();
        answer(&mut world);
        world.obey_all();
        out(&mut world);
        world.pass("23h");
        let said = out(&mut world);
        assert!(said.iter().all(|s| !s.contains("again") && !s.contains("from")), "{n}: {said:?}");
    }
}

#[test]
fn a_page_about_ourselves_presses_for_a_day_at_most() {
    let mut world = with(&[("oncall", pressing(Some("6h"), &[]))]);
    let trouble = Trouble { topic: PageTopic::Posture, detail: "the disk is full".to_owned() };
    world.take(vec![Fact::Trouble(trouble)]);
    assert_eq!(out(&mut world), ["oncall: page breakerbox"]);
    let mut again = 0;
    for _ in 0..12 {
        world.pass("6h");
        again += out(&mut world).len();
    }
    assert_eq!(again, 4);
    assert!(world.engine.view(world.clock.wall).alarms.is_empty());
}

#[test]
fn a_clock_in_doubt_holds_nothing_back_and_its_page_ends_with_it() {
    let mut world = with(&[("finops", quiet(11, 14)), ("oncall", pressing(Some("5m"), &[]))]);
    world.spend("acme", "41");
    world.clock.wall = world.clock.wall.plus(span("10m"));
    world.pass("1s");
    assert_eq!(out(&mut world), ["oncall: page breakerbox", "finops: warned acme"]);
    world.pass("5m");
    assert_eq!(out(&mut world), ["oncall: page breakerbox again 1"]);
    world.command(CommandKind::ClockIsRight);
    out(&mut world);
    world.pass("1h");
    assert!(out(&mut world).is_empty());
}

#[test]
fn a_reload_that_ends_the_waiting_sends_what_waits() {
    let mut world = with(&[("finops", quiet(11, 14)), ("oncall", pressing(Some("5m"), &[]))]);
    world.spend("acme", "41");
    world.spend("blue", "41");
    world.spend("blue", "10");
    out(&mut world);
    let mut rules = world.rules.clone();
    rules.id = "plain routes".into();
    rules.routes.remove("finops");
    rules.routes.get_mut("oncall").unwrap().delivery = Delivery::default();
    world.reload(rules);
    world.pass("1s");
    let said: BTreeSet<String> = out(&mut world).into_iter().collect();
    assert_eq!(said, BTreeSet::from(["finops: [warned acme, warned blue]".to_owned()]));
    world.pass("1h");
    assert!(out(&mut world).is_empty(), "nobody wants an answer any more");
}

#[test]
fn no_key_of_a_message_comes_twice_and_the_same_journal_gives_the_same_messages() {
    let mut routes = pressing(Some("5m"), &[("10m", "finops")]);
    routes.grouping = grouped(vec![GroupBy::Severity]).grouping;
    let mut world = with(&[("oncall", routes), ("finops", quiet(11, 14))]);
    for tenant in ["acme", "blue", "core"] {
        world.spend(tenant, "41");
        world.spend(tenant, "10");
        world.obey_all();
        world.pass("7m");
    }
    for _ in 0..40 {
        world.pass("5m");
    }
    let keys: BTreeSet<&str> = world.notices.iter().map(|n| &*n.key).collect();
    assert_eq!(keys.len(), world.notices.len());
    assert!(world.notices.len() > 40, "{}", world.notices.len());
    let mut again = Engine::new(world.engine.settings().clone());
    let mut notices = Vec::new();
    for (clock, facts) in &world.journal {
        notices.extend(again.step(*clock, facts).notices);
    }
    assert_eq!(notices, world.notices);
    assert_eq!(again.snapshot(), world.engine.snapshot());
}
