//! Limits that are not just an amount of money: tokens, GPU hours, labels, what is left over, carve-outs, and
//! what has no price.

use policy::engine::Outcome;
use policy::fact::{
    Fact, InstanceUse, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageOutcome, UsageRef,
};
use policy::inventory::{InventoryChange, Namespace};
use policy::money::{Money, Unit};
use policy::price::{Tier, TokenCounts};
use policy::rule::{Budget, ChargeKind, Mode, OnUnpriced, WindowSpec};
use policy::subject::Trust;
use policy::time::Span;

use crate::world::{KEY, World, at, daily, usd};

const UNKNOWN: &str = "somebodys.model-v9";

impl World {
    /// Some usage of acme's, now.
    fn use_now(&mut self, model: &str, quantities: Quantities) -> Outcome {
        let (id, occurred_at) = (self.fresh_id(), self.clock.wall);
        let mut batch = UsageBatchBuilder::new(KEY, "gateway", false);
        batch.push(&UsageRef {
            key: &id,
            occurred_at,
            quantities,
            flags: UsageFlags::default(),
            origin: OriginRef {
                record: Trust::Trusted,
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model,
                tier: Tier::Default,
                claims: &[("tenant", "acme", Trust::Trusted)],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
        let outcome = self.take(vec![Fact::Usage(batch.finish())]);
        assert_eq!(outcome.usage, [[UsageOutcome::Accepted]]);
        outcome
    }

    fn use_tokens(&mut self, model: &str, input: u64, output: u64) -> Outcome {
        self.use_now(model, Quantities::Tokens(TokenCounts { input, output, ..TokenCounts::default() }))
    }

    /// An hour of an instance that has just ended.
    fn use_hour(&mut self, instance: &str, share_milli: u32) -> Outcome {
        let end = self.clock.wall;
        let time = InstanceUse { start: end.minus(Span::from_hours(1)), end, share_milli };
        self.use_now(instance, Quantities::Instance(time))
    }

    fn label(&mut self, namespace: &str, labels: &[(&str, &str)]) -> Outcome {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let change = InventoryChange::Namespace(namespace.into(), Namespace { labels });
        self.take(vec![Fact::Inventory(change)])
    }

    fn limit(&self, breaker: &str) -> Money {
        self.engine.breaker(breaker, self.clock.wall).unwrap().limit
    }
}

fn of_unit(unit: Unit, limit: &str) -> Budget {
    let mut budget = daily("tenant-daily", "1", Mode::Enforce);
    budget.limit.unit = unit;
    budget.limit.amount = unit.read(limit).unwrap();
    budget
}

#[test]
fn a_limit_in_tokens_counts_every_class_and_also_what_has_no_price() {
    let mut world = World::with(vec![of_unit(Unit::Tokens, "1M")]);
    world.use_tokens("dollar-per-million", 300_000, 100_000);
    world.use_tokens(UNKNOWN, 350_000, 150_000);
    assert_eq!(Unit::Tokens.of(world.sum("tenant-daily/acme")).to_string(), "900,000 tokens");
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    world.use_tokens(UNKNOWN, 0, 100_000);
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
    let why = &world.orders[0].why;
    assert_eq!((why.unit, Unit::Tokens.exact(why.limit)), (Unit::Tokens, "1000000 tokens".to_owned()));
    let text = policy::explain::decision(world.decisions.last().unwrap(), &[], &[]);
    assert!(text.contains("1,000,000 tokens of 1,000,000 tokens"), "{text}");
}

#[test]
fn a_limit_in_gpu_hours_counts_the_gpus_of_the_instance_and_says_where_it_does_not_know_them() {
    let mut budget = of_unit(Unit::GpuHours, "10");
    budget.select.charges = vec![ChargeKind::Gpu];
    let mut world = World::with(vec![budget]);
    world.use_hour("g5.xlarge", 500); // half an hour of one GPU
    world.use_hour("p4d.24xlarge", 1000); // eight
    world.use_hour("m5.xlarge", 1000); // nobody knows
    world.use_tokens("dollar-per-million", 5_000_000, 0); // not of that kind
    assert_eq!(Unit::GpuHours.of(world.sum("tenant-daily/acme")).to_string(), "8.50 GPU hours");
    assert_eq!(world.engine.breaker("tenant-daily/acme", world.clock.wall).unwrap().unpriced, 1);
    world.use_hour("p4d.24xlarge", 250);
    assert_eq!(world.state("tenant-daily/acme"), "Tripped");
}

#[test]
fn what_is_assumed_of_usage_without_a_price_warns_and_never_trips() {
    for rolling in [false, true] {
        let mut budget = daily("tenant-daily", "50", Mode::Enforce);
        budget.on_unpriced = OnUnpriced::AssumeHighestKnown;
        if rolling {
            budget.window = WindowSpec::Rolling(Span::from_hours(6));
        }
        let mut world = World::with(vec![budget]);
        world.use_tokens(UNKNOWN, 1_000_000_000, 1_000_000_000);
        assert_eq!(world.state("tenant-daily/acme"), "Warned", "rolling: {rolling}");
        assert_eq!(world.sum("tenant-daily/acme"), Money::ZERO, "an assumed price is not in the sum");
        world.spend("acme", "49");
        assert!(world.orders.is_empty());
        world.spend("acme", "1");
        assert_eq!(world.ordered(), ["pause acme/api"]);
        world.obey_all();
        world.pass("13h");
        assert_eq!(world.state("tenant-daily/acme"), "Clear", "it ends with its window");
        let mut quiet = World::with(vec![daily("tenant-daily", "50", Mode::Enforce)]);
        quiet.use_tokens(UNKNOWN, 1_000_000_000, 1_000_000_000);
        assert_eq!(quiet.state("tenant-daily/acme"), "Clear");
    }
}

#[test]
fn a_rest_moves_to_the_next_window_up_to_its_share_and_never_adds_up() {
    let mut budget = daily("tenant-daily", "100", Mode::Enforce);
    budget.limit.rollover = Some("10%".parse().unwrap());
    let mut world = World::with(vec![budget]);
    world.spend("acme", "95"); // five are left
    world.pass("24h");
    world.spend("acme", "1");
    assert_eq!(world.limit("tenant-daily/acme"), usd("105"));
    world.pass("24h"); // 104 are left, ten may move
    world.spend("acme", "1");
    assert_eq!(world.limit("tenant-daily/acme"), usd("110"));
    world.spend("acme", "108.9");
    assert!(world.orders.is_empty(), "{:?}", world.ordered());
    world.spend("acme", "0.1");
    assert_eq!(world.ordered(), ["pause acme/api"]);
    world.pass("24h");
    assert_eq!(world.limit("tenant-daily/acme"), usd("100"), "nothing was left");
    world.pass("72h"); // two days without a charge
    world.spend("acme", "1");
    assert_eq!(world.limit("tenant-daily/acme"), usd("110"));
}

#[test]
fn a_label_of_the_namespace_is_the_limit_and_of_several_the_smallest() {
    let label = "breakerbox.dev/daily-usd";
    let mut budget = daily("tenant-daily", "50", Mode::Enforce);
    budget.limit.from_label = Some(label.into());
    let mut world = World::with(vec![budget]);
    world.spend("acme", "1");
    assert_eq!(world.limit("tenant-daily/acme"), usd("50"));
    world.label("acme", &[("tenant", "acme"), (label, "200")]);
    assert_eq!(world.limit("tenant-daily/acme"), usd("200"));
    world.label("acme-two", &[("tenant", "acme"), (label, "120-USD")]);
    assert_eq!(world.limit("tenant-daily/acme"), usd("120"));
    world.label("acme-two", &[("tenant", "acme"), (label, "lots")]);
    assert_eq!(world.limit("tenant-daily/acme"), usd("200"));
    assert!(
        world.pages().iter().any(|page| page.contains("`breakerbox.dev/daily-usd: lots`")),
        "{:?}",
        world.pages()
    );
    world.label("blue", &[("tenant", "blue"), (label, "7")]);
    world.spend("blue", "1");
    assert_eq!(world.limit("tenant-daily/blue"), usd("7"), "also of a breaker that comes later");
    world.spend("acme", "99");
    world.label("acme", &[("tenant", "acme"), (label, "20")]);
    assert_eq!(world.state("tenant-daily/acme"), "Arming", "nobody spent that");
    assert!(
        world.pages().iter().any(|page| page.contains("labels put 1 breaker(s) over")),
        "{:?}",
        world.pages()
    );
    assert!(world.orders.is_empty());
}

#[test]
fn what_is_carved_out_counts_in_its_own_budget_alone() {
    let mut org = daily("org", "100", Mode::Enforce);
    org.per_each.clear();
    let mut acme = daily("acme-own", "30", Mode::Enforce);
    acme.select.all = false;
    acme.select.subjects = vec![policy::rule::Condition {
        field: "tenant".into(),
        test: policy::rule::Test::In(vec!["acme".into()]),
    }];
    acme.within = Some("org".into());
    for carve_out in [true, false] {
        acme.carve_out = carve_out;
        let mut world = World::with(vec![acme.clone(), org.clone()]);
        world.spend("acme", "20");
        world.spend("blue", "5");
        assert_eq!(world.sum("acme-own/acme"), usd("20"));
        assert_eq!(world.sum("org"), if carve_out { usd("5") } else { usd("25") });
    }
}

#[test]
fn a_limit_with_everything_survives_a_snapshot() {
    let mut budget = daily("tenant-daily", "100", Mode::Enforce);
    budget.limit.rollover = Some("10%".parse().unwrap());
    budget.limit.from_label = Some("usd".into());
    budget.on_unpriced = OnUnpriced::AssumeHighestKnown;
    let mut world = World::with(vec![budget]);
    world.label("acme", &[("tenant", "acme"), ("usd", "60")]);
    world.spend("acme", "55");
    world.use_tokens(UNKNOWN, 10, 10);
    world.clock.wall = at("2026-11-21T01:00:00Z");
    world.clock.mono += 13 * 3_600_000;
    world.pass("1s");
    world.spend("acme", "1");
    let again = policy::engine::Engine::restore(&world.engine.snapshot()).unwrap();
    assert_eq!(world.limit("tenant-daily/acme"), usd("65"));
    assert_eq!(again.breaker("tenant-daily/acme", world.clock.wall).unwrap().limit, usd("65"));
    assert_eq!(again.snapshot(), world.engine.snapshot());
}
