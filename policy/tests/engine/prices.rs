//! Changes of prices in the middle of a window: money that only a new price explains stops nothing.

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::Engine;
use policy::fact::{CommandKind, Fact, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::price::TokenCounts;
use policy::rule::{CalendarUnit, Mode, SourceFile, WindowSpec, compile};
use policy::subject::Trust;

use crate::world::{KEY, World, daily, usd};

/// The dollar model costs so many dollars from now on, and a person has looked at that.
fn dearer(world: &mut World, dollars: u32) {
    let mut rules = world.rules.clone();
    rules.id = format!("{} then {dollars}", rules.id).into();
    for price in rules.prices.models.values_mut() {
        price.input = Some(format!("{dollars} USD per 1M tokens").parse().unwrap());
        price.output = price.input;
    }
    rules.prices.accept = rules.prices.models.keys().cloned().collect();
    world.reload(rules);
}

/// Another edit of a `PriceBook`, which has nothing to do with the dollar model.
fn edit(world: &mut World) {
    let mut rules = world.rules.clone();
    rules.id = format!("{} then edited", rules.id).into();
    let price = rules.prices.models.values().next().copied().unwrap();
    rules.prices.models.insert("custom/other".to_owned(), price);
    world.reload(rules);
}

fn waits_for_price(world: &World, breaker: &str) -> bool {
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    let cause = DecisionKind::Arming { cause: ArmingCause::PriceChange };
    world.state(breaker) == "Arming" && world.decisions.iter().any(|d| d.kind == cause)
}

#[test]
fn a_person_accepts_the_prices_there_are_and_not_those_that_come() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    world.reset("tenant-daily/acme"); // trips again at 56
    world.obey_all();
    dearer(&mut world, 20);
    world.spend("acme", "1"); // 71 USD, 52 at the price before
    assert!(waits_for_price(&world, "tenant-daily/acme"));
    let decision = world.decisions.last().unwrap().id;
    world.command(CommandKind::Approve { decision });
    assert_eq!(world.ordered(), ["pause acme/api"], "a yes is to these prices");
    world.obey_all();
    world.reset("tenant-daily/acme"); // trips again at 76
    world.obey_all();
    dearer(&mut world, 200);
    world.spend("acme", "0.1"); // 91 USD, 73 at the price that was accepted
    assert!(waits_for_price(&world, "tenant-daily/acme"));
    world.spend("acme", "0.15"); // 76 USD at it
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

#[test]
fn a_second_edit_of_prices_forgets_nothing_of_the_first() {
    let mut world = World::new();
    world.spend("acme", "1");
    dearer(&mut world, 20);
    edit(&mut world);
    world.spend("acme", "3"); // 61 USD, 4 at the price of this morning
    assert!(waits_for_price(&world, "tenant-daily/acme"));
    dearer(&mut world, 40);
    world.spend("acme", "1"); // 101 USD, 5 at it
    assert!(waits_for_price(&world, "tenant-daily/acme"));
    world.spend("acme", "45");
    assert_eq!(world.ordered(), ["pause acme/api"], "50 USD at the price of this morning");
}

#[test]
fn each_window_measures_a_change_of_prices_by_those_that_it_began_with() {
    let mut monthly = daily("tenant-monthly", "400", Mode::Enforce);
    let timezone = "UTC".parse().unwrap();
    monthly.window = WindowSpec::Calendar { unit: CalendarUnit::Month, timezone, fiscal_start: 1 };
    let mut world = World::with(vec![daily("tenant-daily", "50", Mode::Enforce), monthly]);
    dearer(&mut world, 20);
    world.pass("12h");
    world.pass("1h");
    dearer(&mut world, 40);
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();
    world.spend("blue", "2"); // 80 USD, 40 at the price of midnight
    assert!(waits_for_price(&world, "tenant-daily/blue"));
    world.spend("blue", "0.5");
    assert_eq!(world.ordered(), ["pause blue/api"], "50 USD at the price of midnight");
    world.orders.clear();
    world.spend("acme", "1.2"); // 48 USD
    for _ in 0..8 {
        world.pass("24h");
        world.spend("acme", "1.2");
    }
    assert_eq!(world.sum("tenant-monthly/acme"), usd("432"), "10.8 at the price of the month's first day");
    assert_eq!(world.state("tenant-monthly/acme"), "Arming");
}

#[test]
fn of_more_changes_of_prices_than_are_kept_the_older_price_holds() {
    let mut world = World::new();
    world.spend("acme", "1");
    for dollars in 2..=40 {
        dearer(&mut world, dollars);
    }
    world.spend("acme", "3"); // 121 USD, 4 at the price of this morning
    assert!(waits_for_price(&world, "tenant-daily/acme"));
}

/// What the rules folder has: a PriceBook that names a LiteLLM file, and a budget.
fn with_file(prices: &str) -> Vec<Fact> {
    let text = "apiVersion: breakerbox.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: negotiated}\n\
                spec: {litellm: p.litellm.json, asOf: 2026-11-01}\n---\n\
                apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {name: all}\n\
                spec: {select: {all: true}, limit: {amount: 50 USD}, window: {calendar: day}}\n";
    let files =
        [SourceFile { path: "rules.yaml", text }, SourceFile { path: "p.litellm.json", text: prices }];
    let compiled = compile(&files).unwrap_or_else(|all| panic!("{all}"));
    assert!(compiled.warnings.list.is_empty(), "{}", compiled.warnings);
    vec![Fact::Rules(Box::new(compiled.rules))]
}

fn million(world: &World, id: &str, model: &str, cached: u64) -> Fact {
    let mut batch = UsageBatchBuilder::new(KEY, "gateway", false);
    batch.push(&UsageRef {
        key: id,
        occurred_at: world.clock.wall,
        quantities: Quantities::Tokens(TokenCounts {
            input: 1_000_000,
            cache_read: cached,
            ..TokenCounts::default()
        }),
        flags: UsageFlags::default(),
        origin: OriginRef {
            record: Trust::Trusted,
            provider: "aws.bedrock",
            region: "us-east-1",
            model,
            ..OriginRef::default()
        },
        links: &[],
        end: None,
    });
    Fact::Usage(batch.finish())
}

#[test]
fn a_litellm_file_prices_facts_and_what_it_has_no_cache_price_for_is_unpriced() {
    let mut world = World::new();
    let file = r#"{"my-imported-model": {"litellm_provider": "bedrock", "mode": "chat",
                    "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06, "max_tokens": 8192}}"#;
    world.take(with_file(file));
    let plain = million(&world, "a", "my-imported-model", 0);
    world.take(vec![plain]);
    assert_eq!((world.sum("all"), unpriced(&world)), (usd("2"), 0));
    let cached = million(&world, "b", "my-imported-model", 1);
    world.take(vec![cached]);
    assert_eq!((world.sum("all"), unpriced(&world)), (usd("2"), 1), "unknown is not zero");
    let page = world.decisions.last().unwrap();
    let DecisionKind::Page { detail, .. } = &page.kind else { panic!("{page:?}") };
    assert!(detail.contains("no rate for `cache_read` tokens"), "{detail}");
    assert!(page.why.prices.contains("+negotiated@2026-11-01-"), "{}", page.why.prices);
}

fn unpriced(world: &World) -> u64 {
    world.engine.breaker("all", world.clock.wall).map_or(0, |breaker| breaker.unpriced)
}
