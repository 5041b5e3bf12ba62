//! Sources that fall silent: told once, also where they never spoke, and so is their end.

use policy::decision::{DecisionKind, Severity};
use policy::engine::Engine;
use policy::fact::{Fact, SourceHealth, SourceState};
use policy::page::PageTopic;
use policy::rule::{Mode, OnStale, RuleSet, SourceRule};
use policy::time::Span;

use crate::world::{World, daily, rules, usd};

/// A budget of 50 USD a day for each tenant, and these sources, each silent for 15 minutes at most.
fn watched(sources: &[&str]) -> World {
    let mut world = World::new();
    watch(&mut world, sources);
    world
}

/// From now on these sources are watched.
fn watch(world: &mut World, sources: &[&str]) {
    let rules = with_sources(&world.rules, sources);
    world.reload(rules);
    world.pass("0s");
}

fn with_sources(rules: &RuleSet, sources: &[&str]) -> RuleSet {
    let rule = || SourceRule { stale_after: Some(Span::from_mins(15)), ..SourceRule::default() };
    let sources = sources.iter().map(|name| ((*name).into(), rule())).collect();
    RuleSet { id: format!("{} again", rules.id).into(), sources, ..rules.clone() }
}

/// Pages about sources since the last call: `stale gateway` or `heard gateway`, by topic and the name in the words.
fn told(world: &mut World) -> Vec<String> {
    let pages = world.decisions.drain(..).filter_map(|decision| match decision.kind {
        DecisionKind::Page { topic, detail } => {
            let name = detail.split('`').nth(1).unwrap_or("-").to_owned();
            match topic {
                PageTopic::SourceStale => Some(format!("stale {name}")),
                PageTopic::SourceHeard => Some(format!("heard {name}")),
                _ => None,
            }
        }
        _ => None,
    });
    pages.collect()
}

fn heard(world: &mut World, source: &str) {
    let health = SourceHealth { source: source.into(), state: SourceState::Heard };
    world.take(vec![Fact::Health(health)]);
}

fn trouble(world: &World, source: &str) -> Option<String> {
    let view = world.engine.view(world.clock.wall);
    view.sources.into_iter().find(|(name, _)| &**name == source).and_then(|(_, status)| status.stale)
}

#[test]
fn a_source_that_never_brought_usage_is_stale_from_when_its_rule_came_into_force() {
    let mut world = watched(&["bedrock-log", "gateway", "kubernetes"]);
    // One is listed each second and has nothing that it reads, the other's token nobody uses.
    for _ in 0..15 {
        heard(&mut world, "bedrock-log");
        world.pass("1m");
    }
    assert_eq!(told(&mut world), [""; 0]);
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    heard(&mut world, "bedrock-log");
    world.pass("1m");
    assert_eq!(
        told(&mut world),
        ["stale bedrock-log", "stale gateway"],
        "the cluster is heard, which is enough"
    );
    let why = trouble(&world, "gateway").unwrap();
    assert!(why.contains("never brought usage") && why.contains("15m"), "{why}");
    for _ in 0..3 {
        heard(&mut world, "bedrock-log");
        world.pass("1h");
    }
    assert_eq!(told(&mut world), [""; 0], "once");
    world.spend("acme", "1");
    assert_eq!(told(&mut world), ["heard gateway"]);
    assert_eq!((trouble(&world, "gateway"), trouble(&world, "bedrock-log").is_some()), (None, true));
}

#[test]
fn a_source_that_no_rule_watches_any_more_is_silent_in_peace() {
    let mut world = watched(&["gateway", "unused"]);
    world.spend("acme", "1");
    world.pass("16m");
    assert_eq!(told(&mut world), ["stale gateway", "stale unused"]);
    watch(&mut world, &[]);
    assert_eq!(trouble(&world, "gateway"), None);
    let view = world.engine.view(world.clock.wall);
    assert!(!view.sources.iter().any(|(name, _)| &**name == "unused"), "only its rule had named it");
    // Under a rule again, one that never spoke is counted anew.
    watch(&mut world, &["unused"]);
    world.pass("15m");
    assert_eq!((told(&mut world), trouble(&world, "unused")), (vec![], None));
}

#[test]
fn silence_of_a_source_is_told_once_and_so_is_its_end() {
    let mut world = watched(&["gateway"]);
    world.spend("acme", "1");
    world.pass("15m");
    assert_eq!(told(&mut world), [""; 0]);
    world.pass("1m");
    assert_eq!(told(&mut world), ["stale gateway"]);
    let notice = world.notices.last().unwrap();
    assert_eq!(notice.severity, Severity::Critical);
    world.pass("5h");
    assert_eq!(told(&mut world), [""; 0]);
    world.spend("acme", "1");
    let (DecisionKind::Page { detail, .. }, severity) =
        (&world.decisions.last().unwrap().kind, world.notices.last().unwrap().severity)
    else {
        panic!("page")
    };
    assert!(detail.contains("brought nothing for longer than 15m"), "{detail}");
    assert_eq!((told(&mut world), severity), (vec!["heard gateway".to_owned()], Severity::Info));
    world.spend("acme", "1");
    world.pass("10m");
    assert_eq!(told(&mut world), [""; 0]);
}

#[test]
fn a_source_that_falls_silent_again_and_again_is_told_once_an_hour_and_a_silence_that_lasts_is_not_lost() {
    let mut world = watched(&["gateway"]);
    let mut pages = Vec::new();
    for _ in 0..3 {
        world.spend("acme", "1");
        world.pass("16m");
        pages.push(told(&mut world));
    }
    let first = ["stale gateway".to_owned()];
    assert_eq!(pages, [&first[..], &["heard gateway".to_owned()], &[]]);
    assert!(trouble(&world, "gateway").is_some(), "shown all the same");
    // The hour ends while it is silent.
    for _ in 0..3 {
        world.pass("16m");
        pages.push(told(&mut world));
    }
    assert_eq!(pages[3..].concat(), first);
}

#[test]
fn silence_changes_no_breaker_and_is_told_where_the_budget_says_alert() {
    let budget = |name: &str, on_stale, mode| {
        let mut budget = daily(name, "50", mode);
        for act in budget.on_trip.iter_mut().chain(&mut budget.on_warn) {
            if let policy::rule::Act::Notify { route, .. } = act {
                *route = format!("route-of-{name}").into();
            }
        }
        policy::rule::Budget { on_stale, ..budget }
    };
    let budgets = vec![
        budget("keeps", OnStale::Keep, Mode::Enforce),
        budget("alerts", OnStale::Alert, Mode::Alert),
        budget("observes", OnStale::Alert, Mode::Observe),
    ];
    let mut set = rules(budgets.clone());
    for budget in &budgets {
        let name: Box<str> = format!("route-of-{}", budget.name).into();
        let route = policy::rule::Route {
            name: name.clone(),
            place: Default::default(),
            receivers: vec![],
            delivery: Default::default(),
        };
        set.routes.insert(name, route);
    }
    set.guardrail.page = Some("oncall".into());
    let mut world = World::new();
    world.reload(with_sources(&set, &["gateway"]));
    world.spend("acme", "60");
    world.obey_all();
    let sums = (world.state("keeps/acme"), world.sum("keeps/acme"), world.hold("acme"));
    assert_eq!(sums.1, usd("60"));
    world.notices.clear();
    let routes = |world: &mut World| -> Vec<String> {
        let routes = world.notices.drain(..).map(|notice| notice.route.to_string());
        routes.collect()
    };
    world.pass("16m");
    assert_eq!(routes(&mut world), ["oncall", "route-of-alerts"]);
    assert_eq!((world.state("keeps/acme"), world.sum("keeps/acme"), world.hold("acme")), sums);
    assert_eq!(world.ordered(), [""; 0]);
    let fact = world.usage("later", "blue", "1", world.clock.wall, false);
    world.take(vec![fact]);
    assert_eq!(routes(&mut world), ["oncall", "route-of-alerts"], "its end is told there too");
}
