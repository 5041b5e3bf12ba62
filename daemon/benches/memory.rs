//! How much memory the whole daemon takes at 100k breakers and a million remembered ids.
//!
//! `cargo bench -p daemon --bench memory`. The daemon in this process: turn, journal, HTTP, and the keeper with
//! its second engine. Two runs, each in a process of its own: no snapshot ever, which is what it holds between
//! two of them, and snapshots all the while, which is the most it may hold. Usage comes as parsed batches through the intake, so
//! that what the process holds is the daemon and one batch. Every record has a link id (`bedrock:<requestId>`),
//! which is remembered too: half a million records are a million ids. `VmHWM` is the most that the process ever
//! held. `/metrics` is asked for once before each figure. The processes
//! that make snapshots are watched beside it: a container's limit has to hold both.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser as _;
use daemon::app::{App, Running};
use daemon::config::{Config, Overrides};
use daemon::keeper::Every;
use policy::fact::{Fact, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::price::TokenCounts;
use policy::subject::Trust;
use policy::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROWS: usize = 4096;
const NEVER: u64 = 1 << 40;
/// The bar is for so many ids.
const BAR_IDS: usize = 1_000_000;
const BAR_MB: f64 = 150.0;

fn rules() -> String {
    let budgets =
        [("org", ""), ("tenant", "tenant"), ("team", "tenant, team"), ("agent", "tenant, team, agent")];
    let mut text: String = budgets.iter().map(|(name, each)| budget(name, each)).collect();
    text += "apiVersion: breakerbox.dev/v1alpha1\nkind: Attribution\nmetadata: {name: who}\nspec:\n  \
             maxNewSubjectsPerSource: 1000000\n";
    text
}

fn budget(name: &str, each: &str) -> String {
    format!(
        "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec:\n  description: \
         bench\n  select: {{all: true}}\n  perEach: [{each}]\n  limit: {{amount: 100000000 USD}}\n  window: \
         {{calendar: month, timezone: UTC}}\n  tripAt: 100%\n  mode: observe\n---\n"
    )
}

async fn start(home: &Path, turns: u64) -> Running {
    std::fs::create_dir_all(home.join("rules")).expect("a folder");
    std::fs::write(home.join("rules/rules.yaml"), rules()).expect("a file");
    let yaml = format!(
        "dataDir: {0}/data\nrulesDir: {0}/rules\nsocket: {0}/s.sock\ndeadLetterDir: {0}/dead\nhttp: {{listen: \
         \"127.0.0.1:0\"}}\ninstallId: bench\nlimits: {{diskReserve: 1 B}}\n",
        home.display()
    );
    let config = Config::parse("bench", &yaml, &Overrides::default()).expect("a configuration");
    let mut deps = daemon::wiring::deps(&config, false).await.expect("edges");
    deps.every = Every { turns, look: Duration::from_millis(200), apart: true };
    App::new(config, deps).start().await.expect("a daemon")
}

fn batch(running: &Running, agents: usize, from: usize, now: Timestamp) -> Fact {
    let mut builder = UsageBatchBuilder::new(running.id_key, "bedrock", false);
    for n in from..from + ROWS {
        let agent = n * 7_368_787 % agents;
        let (tenant, team) = (format!("tenant-{}", agent / 100), format!("team-{}", agent / 10));
        let (agent, key) = (format!("agent-{agent}"), format!("111122223333:us-east-1:{n:036}"));
        builder.push(&UsageRef {
            key: &key,
            occurred_at: now,
            quantities: Quantities::Tokens(TokenCounts {
                input: 1200,
                output: 350,
                ..TokenCounts::default()
            }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                provider: "aws.bedrock",
                account: "111122223333",
                region: "us-east-1",
                model: "us.anthropic.claude-sonnet-4-6",
                claims: &[
                    ("tenant", &tenant, Trust::Trusted),
                    ("team", &team, Trust::Trusted),
                    ("agent", &agent, Trust::Trusted),
                ],
                ..OriginRef::default()
            },
            end: None,
            links: &[&format!("bedrock:{n:036}")],
        });
    }
    Fact::Usage(builder.finish())
}

/// A figure of a process's `/proc/PID/status`, in KiB; none once it has ended.
fn held_by(process: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse().ok()
}

fn mb(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).expect("less than 4 TiB")) * 1024.0 / 1e6
}

/// The most that a process that makes snapshots held so far, in KiB.
static APART: AtomicU64 = AtomicU64::new(0);

/// Looks at the children of this process until it ends. What `wait4` says of a child will not do: it counts
/// what the child shared with us before it became another program.
fn watch_children() {
    std::thread::spawn(|| {
        loop {
            for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
                let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                for child in children.split_whitespace() {
                    let held = held_by(child, "VmHWM").unwrap_or(0);
                    APART.fetch_max(held, Ordering::Relaxed);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

/// How many snapshots have been finished.
fn snapshots(home: &Path) -> usize {
    let found = std::fs::read_dir(home.join("data/snapshots")).into_iter().flatten().flatten();
    found.filter(|file| file.path().extension().is_some_and(|e| e == "snap")).count()
}

/// What Prometheus asks for, and how long it waits for it.
async fn scrape(running: &Running) -> Duration {
    let began = std::time::Instant::now();
    let mut line = tokio::net::TcpStream::connect(running.addr).await.expect("a daemon");
    let request = b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
    line.write_all(request).await.expect("a connection");
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.ends_with(b"# EOF\n"), "{}", String::from_utf8_lossy(&answer));
    began.elapsed()
}

async fn run(home: &Path, turns: u64, agents: usize, ids: &[usize]) {
    let running = start(home, turns).await;
    println!("memory: at the start {:>4.0} MB", mb(held_by("self", "VmRSS").expect("a figure")));
    watch_children();
    let mut from = 0;
    for ids in ids {
        // Two ids for each record.
        while from < ids / 2 {
            let now = running.handle.look(|_, now| now).await.expect("a daemon");
            running.intake.put_durably(batch(&running, agents, from, now)).await.expect("a daemon");
            from += ROWS;
        }
        while turns < NEVER && snapshots(home) == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let asked = scrape(&running).await;
        let counted = running.handle.look(|engine, now| (engine.breaker_count(), engine.view(now)));
        let (breakers, view) = counted.await.expect("a daemon");
        let (remembered, records) = (view.remembered, view.counters.accepted);
        let held = |name| mb(held_by("self", name).expect("a figure"));
        let (rss, most) = (held("VmRSS"), held("VmHWM"));
        println!(
            "memory: {breakers} breakers, {remembered} ids of {records} records: RSS {rss:.0} MB, most {most:.0} MB"
        );
        println!("  /metrics answered in {:.0} ms", asked.as_secs_f64() * 1e3);
        let met = |mb| if mb <= BAR_MB { "yes" } else { "NO" };
        if *ids <= BAR_IDS {
            println!("  bar: RSS at most {BAR_MB} MB: {}, the most ever: {}", met(rss), met(most));
        }
        match APART.load(Ordering::Relaxed) {
            0 => {}
            kib => println!("  beside it, the process that makes a snapshot: most {:.0} MB", mb(kib)),
        }
    }
    running.drain().await.expect("an end");
}

fn main() {
    // The keeper starts this program once more for each snapshot.
    if std::env::args().nth(1).is_some_and(|arg| arg == daemon::keeper::apart::COMMAND) {
        let _ = daemon::cmd::main(daemon::args::Cli::parse());
        return;
    }
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let has = |word: &str| std::env::args().any(|arg| arg == word);
    if !has("--often") && !has("--never") {
        for (words, turns) in [("no snapshot", "--never"), ("snapshots all the while", "--often")] {
            println!("memory: {words}");
            let own = std::env::current_exe().expect("a program");
            let mut child = std::process::Command::new(own);
            child.arg(turns).args(has("--test").then_some("--test"));
            assert!(child.status().expect("a run").success());
        }
        return;
    }
    let (agents, ids): (usize, &[usize]) =
        if has("--test") { (100, &[200_000]) } else { (90_000, &[1_000_000, 2_000_000]) };
    let turns = if has("--never") { NEVER } else { 20 };
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(home.path(), turns, agents, ids));
}
