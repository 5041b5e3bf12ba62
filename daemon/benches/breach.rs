//! How long from the fact that breaches a budget to the order for it, which is durable by then.
//!
//! `cargo bench -p daemon --bench breach`. The whole daemon in this process, in enforce; a stand-in for the hands
//! notes when an order reaches it, which is after the commit. Usage comes at 20,000 facts a second, in envelopes
//! of 20 each millisecond; forty times a second the first of them takes a tenant over its limit. Measured from
//! just before the envelope is put into the intake. The limit beside it is what the disk allows: one commit of
//! such a turn's bytes, `synchronous=FULL`, on the same disk with nothing else under way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use collector::envelope::Envelope;
use daemon::app::{App, Deps, Running};
use daemon::clock::SystemClock;
use daemon::config::{Config, Overrides};
use daemon::edge::{Actuator, Nothing};
use daemon::keeper::Every;
use daemon::observe::Counted;
use daemon::turn::Handle;
use daemon::wiring::compile;
use policy::decision::Order;
use policy::fact::{Fact, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::inventory::{Inventory, InventoryChange, Namespace, ObjectKey, ScaledObject};
use policy::price::TokenCounts;
use policy::subject::Trust;
use policy::time::Timestamp;

const ROWS: usize = 20;
const TICK: Duration = Duration::from_millis(1);
const BETWEEN_BREACHES: usize = 25;
const BAR: Duration = Duration::from_millis(20);

const RULES: &str = r#"apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: tenant-daily}
spec:
  description: bench
  select: {all: true}
  perEach: [tenant]
  limit: {amount: 50 USD}
  window: {calendar: day, timezone: UTC}
  tripAt: 100%
  onTrip:
    - pauseScaledObjects: {in: {namespaceLabels: {tenant: "${tenant}"}}}
  restore: {when: window-rolls}
  mode: enforce
---
apiVersion: breakerbox.dev/v1alpha1
kind: Guardrail
metadata: {name: default}
spec:
  blastRadius: {perRule: 100% of eligible targets per 10m, atLeast: 5000, overall: 5000 per 10m}
"#;

/// Notes when the order for each namespace came.
#[derive(Debug, Default)]
struct Stopwatch(Mutex<BTreeMap<String, Instant>>);

#[async_trait]
impl Actuator for Stopwatch {
    async fn dispatch(&self, order: Order, _: &Handle) {
        self.0.lock().expect("a map").insert(order.target.namespace.to_string(), Instant::now());
    }
    async fn finish(&self, _: Duration) {}
    fn seed(&self, _: Vec<(ObjectKey, Timestamp)>) {}
    async fn server_clock(&self) -> Result<Timestamp, String> {
        Err("there is none".to_owned())
    }
    async fn freeze_mark(&self) -> Result<Option<String>, String> {
        Ok(None)
    }
    async fn release_all(&self, _: &str) -> Result<Vec<daemon::edge::GivenBack>, String> {
        Ok(Vec::new())
    }

    async fn mark_freeze(&self, _: bool, _: &str, _: &str) -> Result<bool, String> {
        Ok(false)
    }
    async fn marked(&self) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

async fn start(home: &Path, hands: Arc<Stopwatch>) -> Running {
    std::fs::create_dir_all(home.join("rules")).expect("a folder");
    std::fs::write(home.join("rules/rules.yaml"), RULES).expect("a file");
    let yaml = format!(
        "dataDir: {0}/data\nrulesDir: {0}/rules\nsocket: {0}/s.sock\nhttp: {{listen: \"127.0.0.1:0\"}}\nceiling: \
         enforce\ninstallId: bench\ncluster: {{connect: kubeconfig}}\nlimits: {{diskReserve: 1 B}}\n",
        home.display()
    );
    let config = Config::parse("bench", &yaml, &Overrides::default()).expect("a configuration");
    let deps = Deps {
        clock: Arc::new(SystemClock::default()),
        sources: Vec::new(),
        ingest: None,
        actuator: Some(hands),
        messenger: Arc::new(Nothing),
        levers: Arc::new(Nothing),
        letters: Box::new(Nothing),
        counted: Counted::default(),
        leading: None,
        compile,
        every: Every::default(),
        accept_lost_journal: false,
    };
    App::new(config, deps).start().await.expect("a daemon")
}

fn cluster(breaches: usize) -> Fact {
    let mut all = Inventory::default();
    for n in 0..breaches {
        let tenant = format!("t{n}");
        let labels = [("tenant".into(), tenant.as_str().into())].into();
        all.namespaces.insert(tenant.as_str().into(), Namespace { labels });
        let object = ScaledObject { uid: format!("uid-{n}").into(), ..ScaledObject::default() };
        all.scaled_objects.insert(ObjectKey::scaled_object(&tenant, "api"), object);
    }
    Fact::Inventory(InventoryChange::Snapshot(all))
}

/// One envelope; its first row takes the tenant `t<breach>` over its limit.
fn usage(running: &Running, tick: usize, breach: Option<usize>, now: Timestamp) -> Fact {
    let mut builder = UsageBatchBuilder::new(running.id_key, "gateway", false);
    for n in 0..ROWS {
        let over = breach.filter(|_| n == 0);
        let tenant = over.map_or_else(|| format!("quiet-{n}"), |breach| format!("t{breach}"));
        builder.push(&UsageRef {
            key: &format!("{tick}-{n}"),
            occurred_at: now,
            quantities: Quantities::Tokens(TokenCounts {
                output: if over.is_some() { 4_000_000 } else { 1 },
                ..TokenCounts::default()
            }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model: "us.anthropic.claude-sonnet-4-6",
                claims: &[("tenant", &tenant, Trust::Trusted)],
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
    }
    Fact::Usage(builder.finish())
}

/// Times from breach to order, rising, and facts a second that were brought meanwhile.
async fn breaches(home: &Path, breaches: usize) -> (Vec<Duration>, f64) {
    let hands = Arc::new(Stopwatch::default());
    let running = start(home, hands.clone()).await;
    running.handle.fact(cluster(breaches)).await.expect("a daemon");
    let now = running.handle.look(|_, now| now).await.expect("a daemon");
    let mut sent = Vec::new();
    let began = Instant::now();
    for tick in 0..breaches * BETWEEN_BREACHES {
        tokio::time::sleep_until((began + TICK * u32::try_from(tick).expect("few")).into()).await;
        let breach = (tick % BETWEEN_BREACHES == 0).then_some(tick / BETWEEN_BREACHES);
        let fact = usage(&running, tick, breach, now);
        if breach.is_some() {
            sent.push(Instant::now());
        }
        running.intake.put(Envelope::without_ack(fact)).await.expect("a daemon");
    }
    let rate = (breaches * BETWEEN_BREACHES * ROWS) as f64 / began.elapsed().as_secs_f64();
    while hands.0.lock().expect("a map").len() < breaches {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let orders = hands.0.lock().expect("a map").clone();
    let mut took: Vec<Duration> =
        sent.iter().enumerate().map(|(n, sent)| orders[&format!("t{n}")] - *sent).collect();
    took.sort_unstable();
    running.drain().await.expect("an end");
    (took, rate)
}

/// Times of one commit of a small turn's bytes, rising.
fn commits(home: &Path, times: usize) -> Vec<Duration> {
    let file = rusqlite::Connection::open(home.join("alone.db")).expect("a file");
    file.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE turns(blob BLOB NOT NULL);",
    )
    .expect("a table");
    let blob = vec![7_u8; 8 << 10];
    let one = |_| {
        let began = Instant::now();
        file.execute("INSERT INTO turns VALUES(?1)", [&blob]).expect("a commit");
        began.elapsed()
    };
    let mut took: Vec<Duration> = (0..times).map(one).collect();
    took.sort_unstable();
    took
}

fn shares(took: &[Duration]) -> String {
    let mut text = String::new();
    for (name, share) in [("p50", 50), ("p99", 99), ("most", 100)] {
        let at = (took.len() * share / 100).min(took.len() - 1);
        let _ = write!(text, " {name} {:.1} ms", took[at].as_secs_f64() * 1e3);
    }
    text
}

fn main() {
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let quick = std::env::args().any(|arg| arg == "--test");
    let count = if quick { 5 } else { 400 };
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (took, rate) = runtime.expect("a runtime").block_on(breaches(home.path(), count));
    println!("breach: {count} breaches at {:.1}k facts/s to the durable order:{}", rate / 1e3, shares(&took));
    println!("  limit: one commit alone:{}", shares(&commits(home.path(), count)));
    let p99 = took[(took.len() * 99 / 100).min(took.len() - 1)];
    println!("  bar: p99 at most 20 ms: {}", if p99 <= BAR { "yes" } else { "NO" });
}
