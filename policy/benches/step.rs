//! How many facts a second one core takes through the engine, and what that costs at a million breakers.
//!
//! `cargo bench -p policy --bench step`. Four budgets select each fact (org, tenant, team, agent), a tenth
//! of the facts are duplicates, a million ids are remembered at each size, and facts come to breakers
//! uniformly at random, which no cache likes. Ratios within one run are what counts on a noisy machine; the
//! floor is the first line, where each budget has hardly more than one breaker.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use policy::engine::Engine;
use policy::fact::{
    Clock, Fact, IdKey, OriginRef, Quantities, Settings, UsageBatch, UsageBatchBuilder, UsageFlags, UsageRef,
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
        limit: Limit::usd("1000000000 USD".parse().expect("money")),
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
        restore: Restore {
            when: RestoreWhen::WindowRolls,
            min_hold: Span::ZERO,
            max_trips_per_window: 1,
            waves: None,
        },
        on_stale: OnStale::Keep,
        mode: Mode::Observe,
        triggers: Vec::new(),
        spans: Vec::new(),
        carve_out: false,
        on_unpriced: policy::rule::OnUnpriced::Alert,
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
fn batches(agents: usize, facts: usize, from: usize, now: Timestamp) -> Vec<UsageBatch> {
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
            occurred_at: now.minus(Span::from_millis(i64::try_from(number % 60_000).unwrap_or(0))),
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

/// An engine that has met its breakers and remembers its ids.
struct Subject {
    engine: Engine,
    agents: usize,
    turn: u64,
    /// Ids that it remembers before the passes.
    ids: usize,
    /// Seconds for each fact, best of the passes: the machine is noisy, the work is not.
    best: f64,
}

/// When the passes take place: the ids of the warm-up are forgotten by then.
const LATER: Span = Span::from_hours(60);

impl Subject {
    /// Each size remembers as many ids, or the memory of ids would be measured and not the breakers.
    fn new(agents: usize, ids: usize) -> Self {
        let mut subject = Self { engine: engine(), agents, turn: 0, ids, best: f64::MAX };
        // Meet every agent often enough that its largest charges are known: that is the steady state.
        for batch in batches(agents, agents * 10, 1_000_000_000, NOW) {
            subject.take(Span::ZERO, &Fact::Usage(batch));
        }
        for _ in 0..64 {
            subject.take(LATER, &Fact::Tick);
        }
        for batch in batches(agents, ids, 3_000_000_000, NOW.plus(LATER)) {
            subject.take(LATER, &Fact::Usage(batch));
        }
        subject
    }

    fn take(&mut self, later: Span, fact: &Fact) {
        self.turn += 1;
        let mono = self.turn + u64::try_from(later.millis()).unwrap_or(0);
        black_box(self.engine.step(Clock { wall: NOW.plus(later), mono }, std::slice::from_ref(fact)));
    }

    fn pass(&mut self, number: usize, facts: usize) {
        let work = batches(self.agents, facts, number * facts, NOW.plus(LATER));
        let work: Vec<Fact> = work.into_iter().map(Fact::Usage).collect();
        let start = Instant::now();
        for fact in &work {
            self.take(LATER, fact);
        }
        let rows = (work.len() * BATCH) as f64;
        self.best = self.best.min(start.elapsed().as_secs_f64() / rows);
    }

    fn breakers(&self, passed: usize) -> usize {
        let view = self.engine.view(NOW.plus(LATER));
        let most = self.ids + passed;
        assert!(view.remembered <= most, "the warm-up's ids are forgotten: {}", view.remembered);
        self.engine.breaker_count()
    }
}

fn main() {
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let quick = std::env::args().any(|arg| arg == "--test");
    let sizes: &[usize] = if quick { &[10] } else { &[9, 900, 90_000, 900_000] };
    let (facts, ids, passes) = if quick { (BATCH, 10, 1) } else { (100 * BATCH, 1_000_000, 7) };
    let mut subjects: Vec<Subject> = sizes.iter().map(|agents| Subject::new(*agents, ids)).collect();
    // In turns, so that a machine that slows down for a while slows all sizes down.
    for number in 0..passes {
        for subject in &mut subjects {
            subject.pass(number, facts);
        }
    }
    let mut at_thousand = None;
    for subject in &subjects {
        let breakers = subject.breakers(passes * facts);
        let seconds = subject.best;
        if breakers >= 1000 {
            at_thousand.get_or_insert(seconds);
        }
        let ratio = at_thousand.map_or_else(String::new, |base| format!("{:.2}x of 1k", seconds / base));
        println!(
            "step: {breakers:>9} breakers  {:>6.0} ns/fact  {:>5.2} M facts/s  {ratio}",
            seconds * 1e9,
            1e-6 / seconds,
        );
    }
    println!("bars: 1 M facts/s at 100k breakers; 1 M breakers at most 1.5x of 1k");
}
