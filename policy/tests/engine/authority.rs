//! Which source counts where two report the same spend, and what becomes of the other's.

use policy::engine::{AsideView, Engine};
use policy::fact::{
    Fact, OriginRef, Quantities, SourceHealth, SourceState, UsageBatchBuilder, UsageFlags, UsageOutcome,
    UsageRef,
};
use policy::price::TokenCounts;
use policy::rule::{Authority, Condition, SourceRule, Test};
use policy::subject::Trust;
use policy::time::{Span, Timestamp};

use crate::world::{KEY, World, at, usd};

const ACCOUNT: &str = "111122223333";
const LOG: &str = "bedrock-log";

/// The log counts over the gateway for one account.
fn authority() -> Authority {
    let condition = Condition { field: "account".into(), test: Test::In(vec![ACCOUNT.into()]) };
    Authority { subjects: vec![condition], over: vec!["gateway".into()], from: None, until: None }
}

fn counting(authority: Authority) -> SourceRule {
    let stale_after = Some(Span::from_mins(15));
    SourceRule { stale_after, authoritative: vec![authority], ..SourceRule::default() }
}

fn with(rule: SourceRule, name: &str) -> World {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    rules.id = format!("{} with {name}", rules.id).into();
    rules.sources.insert(name.into(), rule);
    world.reload(rules);
    world
}

/// A usage of so many dollars, as that source reports it, with a record of that trust.
fn report(
    world: &mut World,
    source: &str,
    id: &str,
    dollars: u64,
    when: Timestamp,
    record: Trust,
) -> UsageOutcome {
    let mut batch = UsageBatchBuilder::new(KEY, source, false);
    let input = dollars * 1_000_000;
    batch.push(&UsageRef {
        key: id,
        occurred_at: when,
        quantities: Quantities::Tokens(TokenCounts { input, ..TokenCounts::default() }),
        flags: UsageFlags::default(),
        origin: OriginRef {
            record,
            provider: "aws.bedrock",
            account: ACCOUNT,
            region: "us-east-1",
            model: "arn:aws:bedrock:us-east-1:111122223333:imported-model/dollar-per-million",
            claims: &[("tenant", "acme", Trust::Trusted)],
            ..OriginRef::default()
        },
        end: None,
        links: &[],
    });
    world.take(vec![Fact::Usage(batch.finish())]).usage[0][0]
}

fn now(world: &mut World, source: &str, id: &str, dollars: u64) -> UsageOutcome {
    let when = world.clock.wall;
    report(world, source, id, dollars, when, Trust::Trusted)
}

fn asides(world: &World) -> Vec<AsideView> {
    world.engine.view(world.clock.wall).asides
}

fn acme(world: &World) -> String {
    world.sum("tenant-daily/acme").to_string()
}

#[test]
fn spend_that_two_sources_report_counts_once_and_the_other_is_shown() {
    let mut world = with(counting(authority()), LOG);
    now(&mut world, "gateway", "g1", 30);
    now(&mut world, LOG, "r1", 30);
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    now(&mut world, "gateway", "g2", 10);
    assert_eq!(acme(&world), "30.00 USD");
    assert!(world.orders.is_empty(), "40 would be no trip, and 70 would: {:?}", world.ordered());
    let [aside] = &asides(&world)[..] else { panic!("{:?}", asides(&world)) };
    assert_eq!((&*aside.source, aside.counts.as_deref()), ("gateway", Some(LOG)));
    assert_eq!((aside.tenant.as_deref(), aside.amount, aside.facts), (Some("acme"), usd("40"), 2));
    assert_eq!(now(&mut world, "gateway", "g2", 10), UsageOutcome::Duplicate, "its ids are remembered");
    now(&mut world, "elsewhere", "e1", 1);
    assert_eq!(acme(&world), "31.00 USD", "only those that it is over");
}

#[test]
fn it_counts_for_charges_of_its_time_and_no_others() {
    let window = (Some(at("2026-11-20T11:00:00Z")), Some(at("2026-11-20T11:50:00Z")));
    let authority = Authority { from: window.0, until: window.1, ..authority() };
    let mut world = with(counting(authority), LOG);
    for (id, when, sum) in [
        ("a", "2026-11-20T10:59:59Z", "1.00 USD"),
        ("b", "2026-11-20T11:00:00Z", "1.00 USD"),
        ("c", "2026-11-20T11:49:59Z", "1.00 USD"),
        ("d", "2026-11-20T11:50:00Z", "2.00 USD"),
    ] {
        report(&mut world, "gateway", id, 1, at(when), Trust::Trusted);
        assert_eq!(acme(&world), sum, "{when}");
    }
    assert_eq!(asides(&world)[0].facts, 2);
}

#[test]
fn what_a_caller_only_asserts_sets_nothing_aside() {
    let mut world = with(counting(authority()), LOG);
    let when = world.clock.wall;
    report(&mut world, "gateway", "g", 51, when, Trust::Asserted);
    assert_eq!((acme(&world), asides(&world).len()), ("51.00 USD".to_owned(), 0));
    assert_eq!(world.ordered(), ["pause acme/api"], "nobody hides spend by naming an account");
}

#[test]
fn a_source_that_is_not_enabled_counts_nowhere_and_is_not_called_silent() {
    let rule = SourceRule { disabled: true, stale_after: Some(Span::from_mins(15)), ..SourceRule::default() };
    let mut world = with(rule, "gateway");
    now(&mut world, "gateway", "g", 51);
    world.pass("1h");
    assert_eq!(acme(&world), "0.00 USD");
    assert_eq!((asides(&world)[0].counts.clone(), asides(&world)[0].amount), (None, usd("51")));
    assert!(world.decisions.is_empty(), "{:?}", world.decisions);
    let mut rules = world.rules.clone();
    rules.id = "enabled again".into();
    rules.sources.clear();
    world.reload(rules);
    now(&mut world, "gateway", "h", 3);
    assert_eq!(acme(&world), "3.00 USD", "from now on; what was set aside stays aside");
}

#[test]
fn the_silence_of_the_one_that_counts_says_what_was_set_aside_and_nothing_takes_its_place() {
    let mut world = with(counting(authority()), LOG);
    world.pass("0s");
    now(&mut world, LOG, "r", 1);
    world.pass("16m");
    now(&mut world, "gateway", "g", 60);
    world.pass("1s");
    let pages = world.pages();
    assert!(pages[0].contains("brought nothing for longer than 15m"), "{pages:?}");
    now(&mut world, "gateway", "h", 60);
    assert!(world.orders.is_empty(), "what the log catches up with would count a second time");
    let broken = SourceHealth { source: LOG.into(), state: SourceState::Broken("no such folder".to_owned()) };
    world.take(vec![Fact::Health(broken)]);
    let pages = world.pages();
    let last = pages.last().unwrap();
    assert!(last.contains("120.00 USD that others reported so far is in no sum"), "{last}");
}

#[test]
fn where_each_counts_over_the_other_one_of_them_does() {
    let mut world = with(counting(authority()), LOG);
    let mut rules = world.rules.clone();
    rules.id = "each over the other".into();
    let back = Authority { over: vec![LOG.into()], ..authority() };
    rules.sources.insert("gateway".into(), counting(back));
    world.reload(rules);
    now(&mut world, "gateway", "g", 5);
    now(&mut world, LOG, "r", 5);
    assert_eq!((acme(&world), asides(&world)[0].source.as_ref()), ("5.00 USD".to_owned(), "gateway"));
}

#[test]
fn a_source_that_lags_is_told_until_it_brings_what_is_fresh() {
    let rule = SourceRule { freshness: Some(Span::from_mins(30)), ..SourceRule::default() };
    let mut world = with(rule, LOG);
    world.pass("1s");
    now(&mut world, LOG, "a", 1);
    let old = world.clock.wall;
    for n in 0..4 {
        world.pass("10m");
        report(&mut world, LOG, &format!("b{n}"), 1, old, Trust::Trusted);
    }
    let pages = world.pages();
    assert_eq!(pages.len(), 1, "once: {pages:?}");
    assert!(pages[0].contains("brought no usage that is newer than 30m"), "{pages:?}");
    now(&mut world, LOG, "c", 1);
    assert!(world.pages()[1].contains("is heard again"), "{:?}", world.pages());
    world.pass("29m");
    assert_eq!(world.pages().len(), 2);
}
