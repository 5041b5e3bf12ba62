//! How many facts a second one core takes through the engine, and what that costs at a million breakers.
//!
//! `cargo bench -p policy --bench step`. Four budgets select each fact (org, tenant, team, agent), a tenth
//! of the facts are duplicates, and facts come to breakers in an order that no cache likes. Ratios within
//! one run are what counts on a noisy machine; the floor beside each figure is the same batch against one
//! breaker for each budget.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use policy::engine::{Engine, Settings};
use policy::fact::{
    Clock, Fact, IdKey, OriginRef, Quantities, UsageBatch, UsageBatchBuilder, UsageFlags, UsageRef,
};
use policy::price::{Tier, TokenCounts};
use policy::rule::{
    Attribution, Budget, CalendarUnit, Limit, Mode, OnStale, Place, Restore, RestoreWhen, RuleSet, Selector,
    WindowSpec,
};
use policy::subject::Trust;
use policy::time::{Span, Timestamp};

const KEY: IdKey = IdKey([3, 5]);
const BATCH: usize = 4096;
const NOW: Timestamp = Timestamp::from_millis(1_795_170_000_000);

fn budget(name: &str, per_each: &[&str]) -> Budget {
    Budget {
        name: name.into(),
        description: "".into(),
        place: Place::default(),
        select: Selector { all: true, ..Selector::default() },
        per_each: per_each.iter().map(|f| (*f).into()).collect(),
        limit: Limit { amount: "1000000000 USD".parse().expect("money"), overrides: Vec::new() },
        window: WindowSpec::Calendar {
            unit: CalendarUnit::Month,
            timezone: "Europe/Berlin".parse().expect("zone"),
            fiscal_start: 1,
        },
        within: None,
        warn_at: vec!["80%".parse().expect("percent")],
        trip_at: "100%".parse().expect("percent"),
        trip_place: Place::default(),
        grace: Span::ZERO,
        on_warn: Vec::new(),
        on_trip: Vec::new(),
        restore: Restore { when: RestoreWhen::WindowRolls, min_hold: Span::ZERO, max_trips_per_window: 1 },
        on_stale: OnStale::Keep,
        mode: Mode::Observe,
    }
}

fn engine() -> Engine {
    let mut engine = Engine::new(Settings::new(KEY, ""));
    let budgets = vec![
        budget("org", &[]),
        budget("tenant", &["tenant"]),
        budget("team", &["tenant", "team"]),
        budget("agent", &["tenant", "team", "agent"]),
    ];
    let attribution = Attribution { max_new_subjects_per_source: u32::MAX, ..Attribution::default() };
    let rules =
        RuleSet { id: "bench".into(), budgets, attribution, routes: BTreeMap::new(), ..RuleSet::default() };
    let _ = engine.step(Clock { wall: NOW, mono: 0 }, &[Fact::Rules(Box::new(rules))]);
    engine
}

/// Batches over `agents` agents (ten to a team, a hundred to a tenant), each tenth fact a duplicate.
fn batches(agents: usize, facts: usize, from: usize) -> Vec<UsageBatch> {
    let mut batches = Vec::new();
    let mut builder = UsageBatchBuilder::new(KEY, "bedrock-log", false);
    let mut state = 0x9E37_79B9_u64.wrapping_add(from as u64);
    for n in from..from + facts {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = if n % 10 == 9 { n - 5 } else { n };
        let mixed = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let agent = usize::try_from(mixed).unwrap_or(0) % agents;
        let (tenant, team) = (format!("tenant-{}", agent / 100), format!("team-{}", agent / 10));
        let (agent, key) = (format!("agent-{agent}"), format!("111122223333:us-east-1:{number:036}"));
        builder.push(&UsageRef {
            key: &key,
            occurred_at: NOW.minus(Span::from_millis(i64::try_from(number % 60_000).unwrap_or(0))),
            quantities: Quantities::Tokens(TokenCounts {
                input: 1200,
                output: 350,
                cache_read: 8000,
                ..TokenCounts::default()
            }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                record: Trust::Trusted,
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model: "us.anthropic.claude-sonnet-4-6",
                tier: Tier::Default,
                claims: &[
                    ("tenant", &tenant, Trust::Trusted),
                    ("team", &team, Trust::Trusted),
                    ("agent", &agent, Trust::Trusted),
                ],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
        if builder.len() == BATCH {
            batches.push(builder.finish());
        }
    }
    batches
}

/// Seconds for each fact, best of the passes: the machine is noisy, the work is not.
fn measure(agents: usize, facts: usize) -> (f64, usize) {
    let mut engine = engine();
    let mut mono = 0;
    // Meet every agent once, so that breakers exist and lanes are known.
    // And often enough that the largest charges of each are known: that is the steady state.
    for batch in batches(agents, agents * 10, 1_000_000_000) {
        mono += 1;
        black_box(engine.step(Clock { wall: NOW, mono }, &[Fact::Usage(batch)]));
    }
    let mut best = f64::MAX;
    for pass in 0..5 {
        let work: Vec<Fact> = batches(agents, facts, pass * facts).into_iter().map(Fact::Usage).collect();
        let rows: usize = work.len() * BATCH;
        let start = Instant::now();
        for fact in &work {
            mono += 1;
            black_box(engine.step(Clock { wall: NOW, mono }, std::slice::from_ref(fact)));
        }
        best = best.min(start.elapsed().as_secs_f64() / rows as f64);
    }
    (best, engine.view(NOW).breakers.len())
}

fn main() {
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let quick = std::env::args().any(|arg| arg == "--test");
    let sizes: &[usize] = if quick { &[10] } else { &[9, 900, 90_000, 900_000] };
    let mut floor = None;
    for agents in sizes {
        let (seconds, breakers) = measure(*agents, if quick { BATCH } else { 100 * BATCH });
        let floor = *floor.get_or_insert(seconds);
        println!(
            "step: {breakers:>9} breakers  {:>6.0} ns/fact  {:>5.2} M facts/s  {:.2}x of the smallest",
            seconds * 1e9,
            1e-6 / seconds,
            seconds / floor
        );
    }
}
