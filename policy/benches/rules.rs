//! How long a large set of rules takes to load, and a tick over breakers that all look at their pace.
//!
//! `cargo bench -p policy --bench rules`. 10,000 budgets in 1,000 files are read, checked and taken by an engine;
//! 100,000 breakers with two burn rates and a forecast, all of them warned by their pace and so looked at by each
//! tick, are ticked. Bars: 1 s, and 50 ms.

use std::hint::black_box;
use std::time::{Duration, Instant};

use policy::engine::Engine;
use policy::fact::{
    Clock, Fact, IdKey, OriginRef, Posture, Quantities, Settings, UsageBatchBuilder, UsageFlags, UsageRef,
};
use policy::price::{Tier, TokenCounts};
use policy::rule::{Mode, RuleSet, SourceFile, compile};
use policy::subject::Trust;
use policy::time::{Span, Timestamp};

const KEY: IdKey = IdKey([3, 5]);
const NOW: Timestamp = Timestamp::from_millis(1_795_170_000_000);
const FILES: usize = 1_000;
const BUDGETS_IN_FILE: usize = 10;
const BREAKERS: usize = 100_000;
const ROUNDS: usize = 11;

fn budget(name: &str, select: &str, limit: &str) -> String {
    format!(
        "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec:\n  \
         select: {select}\n  perEach: [tenant]\n  limit: {{amount: {limit}}}\n  \
         window: {{calendar: month, timezone: Europe/Berlin}}\n  warnAt: [50%, 80%]\n  burnRate:\n    \
         - {{long: 1h, short: 5m, exceeds: 14.4x, then: warn}}\n    \
         - {{long: 10m, short: 1m, exceeds: 60x, then: warn}}\n  \
         forecast: {{at: window-end, exceeds: 110%, then: warn}}\n  onWarn: [{{notify: {{route: finops}}}}]\n  \
         mode: observe\n"
    )
}

const ROUTE: &str = "apiVersion: breakerbox.dev/v1alpha1\nkind: Route\nmetadata: {name: finops}\nspec:\n  \
                     receivers: [{slackWebhook: {url: {env: SLACK}}}]\n";

fn files() -> Vec<(String, String)> {
    let mut files = vec![("route.yaml".to_owned(), ROUTE.to_owned())];
    files.extend((0..FILES).map(|file| {
        let budgets = (0..BUDGETS_IN_FILE).map(|n| {
            let select = format!("{{subjects: {{team: team-{file}-{n}, environment: production}}}}");
            budget(&format!("team-{file}-{n}"), &select, "5000 USD")
        });
        (format!("team-{file}.yaml"), budgets.collect())
    }));
    files
}

fn read(files: &[(String, String)]) -> RuleSet {
    let files: Vec<SourceFile<'_>> = files.iter().map(|(path, text)| SourceFile { path, text }).collect();
    compile(&files).expect("the rules are right").rules
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn clock(seconds: i64) -> Clock {
    Clock { wall: NOW.plus(Span::from_secs(seconds)), mono: u64::try_from(seconds).unwrap_or(0) * 1_000 }
}

/// Every tenant spends so much now that its burn rates and its forecast warn.
fn spend(seconds: i64) -> Vec<Fact> {
    let mut builder = UsageBatchBuilder::new(KEY, "bedrock-log", false);
    for n in 0..BREAKERS {
        let (tenant, key) = (format!("tenant-{n}"), format!("{seconds}:{n}"));
        builder.push(&UsageRef {
            key: &key,
            occurred_at: NOW.plus(Span::from_secs(seconds)),
            quantities: Quantities::Tokens(TokenCounts { input: 20_000_000, ..TokenCounts::default() }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                record: Trust::Trusted,
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model: "us.anthropic.claude-sonnet-4-6",
                tier: Tier::Default,
                claims: &[("tenant", &tenant, Trust::Trusted)],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
    }
    vec![Fact::Usage(builder.finish())]
}

fn load() {
    let files = files();
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let rules = read(&files);
        let mut engine = Engine::new(Settings::new(KEY, ""));
        let _ = engine.step(clock(0), &[Fact::Rules(Box::new(rules))]);
        took.push(begun.elapsed());
        black_box(engine);
    }
    println!(
        "load: {} budgets from {FILES} files ({} KiB): {:?} (bar 1 s)",
        FILES * BUDGETS_IN_FILE,
        bytes / 1024,
        median(took)
    );
}

fn tick() {
    let text = budget("tenant-monthly", "{all: true}", "5000 USD");
    let mut rules = read(&[("route.yaml".to_owned(), ROUTE.to_owned()), ("all.yaml".to_owned(), text)]);
    rules.attribution.max_new_subjects_per_source = u32::MAX;
    let mut engine = Engine::new(Settings::new(KEY, ""));
    let started = Fact::Started(Posture { ceiling: Mode::Observe, because: None });
    let _ = engine.step(clock(0), &[started, Fact::Rules(Box::new(rules))]);
    let mut second = 0;
    while second < 60 {
        second += 20;
        let _ = engine.step(clock(second), &spend(second));
    }
    let warned = engine.breakers(&(0..100).collect::<Vec<_>>(), NOW.plus(Span::from_secs(second)));
    assert!(warned.iter().all(|breaker| &*breaker.state == "Warned"), "each tick looks at all of them");
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        second += 1;
        let begun = Instant::now();
        black_box(engine.step(clock(second), &[Fact::Tick]));
        took.push(begun.elapsed());
    }
    println!("tick: {BREAKERS} breakers, two burn rates and a forecast each: {:?} (bar 50 ms)", median(took));
}

fn main() {
    load();
    tick();
}
