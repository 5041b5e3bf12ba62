//! How many facts a second the whole daemon makes durable, from log files on disk to the journal.
//!
//! `cargo bench -p daemon --bench ingest`. The real path in one process: files → `LogFolder` → intake → turn
//! (price, dedupe, four budgets: org, tenant, team, agent) → SQLite with `synchronous=FULL` under `target/`,
//! which must be a real disk. A quarter each of Converse, a stream, a body moved to S3, and an embedding, a
//! tenth of them written twice, of a hundred roles with ten sessions each. The files are in the page cache.
//!
//! The limits beside it, in the same run: the same files read and parsed by the same source with nobody
//! behind it; and the very turns that the daemon wrote, committed again to a new file and nothing else. Two
//! stages on two cores can at best be as quick as the slower of the two.
//!
//! `snapshots` is a run in which the keeper makes one every 8 turns, far more often than in earnest, so that
//! its second engine replays all there is while the first takes it in.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use collector::bedrock::{Assume, LogFolder};
use collector::deadletter::{DeadLetters, Limits};
use collector::envelope::{Ack, Intake};
use daemon::app::App;
use daemon::config::{Config, Overrides};
use daemon::keeper::Every;
use policy::fact::{Fact, IdKey};
use policy::time::{Span, Timestamp};

const SHAPES: [&str; 4] = [
    include_str!("../../collector/samples/bedrock-invocation-converse.json"),
    include_str!("../../collector/samples/bedrock-invocation-invokemodel-stream.json"),
    include_str!("../../collector/samples/bedrock-invocation-large-body-s3.json"),
    include_str!("../../collector/samples/bedrock-invocation-embedding.json"),
];
const FILES: usize = 20;

/// One line of a shape, with the places of its id, its time and its caller to be filled in.
fn template(shape: &str) -> String {
    let value: Box<serde_json::value::RawValue> = serde_json::from_str(shape).expect("a sample");
    let mut line: String = value.get().lines().map(str::trim_start).collect();
    line = line.replace("\": ", "\":");
    for (key, place) in [("requestId", "{ID}"), ("timestamp", "{AT}"), ("arn", "{WHO}")] {
        let quoted = format!("\"{key}\":\"");
        let from = line.find(&quoted).expect("a field") + quoted.len();
        let end = from + line[from..].find('"').expect("its end");
        line.replace_range(from..end, place);
    }
    line
}

fn write_logs(folder: &Path, records: usize) {
    std::fs::create_dir_all(folder).expect("a folder");
    let templates = SHAPES.map(template);
    let now = Timestamp::from_millis(i64::try_from(since_1970().as_millis()).expect("a time"));
    for file in 0..FILES {
        let mut text = String::new();
        for n in (0..records / FILES).map(|n| n + file * (records / FILES)) {
            let number = if n % 10 == 9 { n - 4 } else { n };
            let role = format!(
                "arn:aws:sts::111122223333:assumed-role/role-{}/session-{}",
                number / 4 % 100,
                number / 4 % 1000
            );
            let at = now.minus(Span::from_millis(i64::try_from(number / 100).expect("small")));
            let id = format!("{number:08x}-6a55-4d0e-9d6c-0b6f6d1f7a10");
            let line = templates[number % 4].replace("{ID}", &id).replace("{WHO}", &role);
            let _ = writeln!(text, "{}", line.replace("{AT}", &at.to_string()));
        }
        std::fs::write(folder.join(format!("{file:02}.jsonl")), text).expect("a file");
    }
}

fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970")
}

fn rules() -> String {
    let mut text = String::new();
    for (name, each) in
        [("org", ""), ("tenant", "tenant"), ("team", "tenant, team"), ("agent", "tenant, team, agent")]
    {
        let _ = write!(
            text,
            "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec:\n  \
             description: bench\n  select: {{all: true}}\n  perEach: [{each}]\n  limit: {{amount: 100000000 \
             USD}}\n  window: {{calendar: month, timezone: UTC}}\n  tripAt: 100%\n  mode: observe\n---\n"
        );
    }
    text += "apiVersion: breakerbox.dev/v1alpha1\nkind: PriceBook\nmetadata: {name: bench}\nspec:\n  \
             profiles: {a1b2c3d4e5f6: us.anthropic.claude-sonnet-4-6}\n---\n";
    text += "apiVersion: breakerbox.dev/v1alpha1\nkind: Attribution\nmetadata: {name: who}\nspec:\n  \
             principals:\n";
    for n in 0..100 {
        let (tenant, team) = (n / 10, n / 2);
        let _ = writeln!(
            text,
            "    - {{principal: \"111122223333:role/role-{n}\", set: {{tenant: t{tenant}, team: m{team}, \
             agent: a{n}}}}}"
        );
    }
    text
}

/// Facts a second of the whole daemon.
async fn whole(home: &Path, logs: &Path, records: usize, every: Every) -> f64 {
    std::fs::create_dir_all(home.join("rules")).expect("a folder");
    std::fs::write(home.join("rules/rules.yaml"), rules()).expect("a file");
    let yaml = format!(
        "dataDir: {0}/data\nrulesDir: {0}/rules\nsocket: {0}/s.sock\ndeadLetterDir: {0}/dead\nhttp: {{listen: \
         \"127.0.0.1:0\"}}\ninstallId: bench\nlimits: {{diskReserve: 1 B}}\nsources:\n  bedrock:\n    - \
         {{path: {1}, poll: 1s}}\n",
        home.display(),
        logs.display()
    );
    let config = Config::parse("bench", &yaml, &Overrides::default()).expect("a configuration");
    let mut deps = daemon::wiring::deps(&config, false).await.expect("edges");
    deps.every = every;
    let start = Instant::now();
    let running = App::new(config, deps).start().await.expect("a daemon");
    let counters = loop {
        let counters = running.handle.look(|engine, now| engine.view(now).counters).await.expect("a daemon");
        if counters.accepted + counters.duplicates >= records as u64 {
            break counters;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let rate = records as f64 / start.elapsed().as_secs_f64();
    assert_eq!(counters.duplicates, records as u64 / 10, "{counters:?}");
    assert_eq!((counters.unpriced, counters.conflicts), (0, 0), "{counters:?}");
    running.drain().await.expect("an end");
    rate
}

/// Records a second of the source alone: what it brings is acked and dropped.
async fn parse_alone(home: &Path, logs: &Path, records: usize) -> f64 {
    let (intake, mut taken) = Intake::new(64);
    let folder = LogFolder {
        name: "bedrock".to_owned(),
        path: logs.to_owned(),
        poll: Duration::from_secs(1),
        settle: Duration::from_secs(30),
        assume: Assume::default(),
        id_key: IdKey([1, 2]),
        positions: std::collections::BTreeMap::default(),
        letters: DeadLetters::new(home.join("dead-alone"), Limits::default()),
    };
    let start = Instant::now();
    let source = tokio::spawn(folder.run(intake));
    let mut rows = 0;
    while rows < records {
        let envelope = taken.recv().await.expect("a source");
        if let Fact::Usage(batch) = &envelope.fact {
            rows += batch.rows.len();
        }
        if let Some(ack) = envelope.ack {
            let _ = ack.send(Ack::Done);
        }
    }
    source.abort();
    records as f64 / start.elapsed().as_secs_f64()
}

/// Records a second of the same turns committed again, and bytes of a record.
fn commit_alone(home: &Path, records: usize) -> (f64, usize) {
    let from = rusqlite::Connection::open(home.join("data/journal.db")).expect("a journal");
    let mut read = from.prepare("SELECT blob FROM turns ORDER BY seq").expect("turns");
    let blobs: Vec<Vec<u8>> =
        read.query_map([], |row| row.get(0)).expect("turns").map(|blob| blob.expect("a blob")).collect();
    let mut to = rusqlite::Connection::open(home.join("again.db")).expect("a file");
    to.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16384;
         CREATE TABLE turns(seq INTEGER PRIMARY KEY, blob BLOB NOT NULL);",
    )
    .expect("a table");
    let start = Instant::now();
    for blob in &blobs {
        let tx = to.transaction().expect("a transaction");
        tx.execute("INSERT INTO turns(blob) VALUES(?1)", [blob]).expect("a row");
        tx.commit().expect("a commit");
    }
    let rate = records as f64 / start.elapsed().as_secs_f64();
    (rate, blobs.iter().map(Vec::len).sum::<usize>() / records)
}

fn main() {
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let quick = std::env::args().any(|arg| arg == "--test");
    let (records, passes) = if quick { (20_000, 1) } else { (600_000, 3) };
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let logs = home.path().join("logs");
    write_logs(&logs, records);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (mut all, mut kept, mut parse, mut commit, mut bytes) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64, 0);
    for pass in 0..passes {
        let (plain, often) =
            (home.path().join(format!("plain-{pass}")), home.path().join(format!("often-{pass}")));
        all = all.max(runtime.block_on(whole(&plain, &logs, records, Every::default())));
        let every = Every { turns: 8, look: Duration::from_millis(100), apart: false };
        kept = kept.max(runtime.block_on(whole(&often, &logs, records, every)));
        parse = parse.max(runtime.block_on(parse_alone(home.path(), &logs, records)));
        let (rate, size) = commit_alone(&plain, records);
        (commit, bytes) = (commit.max(rate), size);
        for done in [plain, often] {
            std::fs::remove_dir_all(done).expect("a folder");
        }
    }
    let limit = parse.min(commit);
    println!("ingest: {:.0}k facts/s | snapshots all the while {:.0}k", all / 1e3, kept / 1e3);
    println!(
        "  limit: parse alone {:.0}k, commit alone {:.0}k ({bytes} bytes a fact) | {:.0}% of the slower",
        parse / 1e3,
        commit / 1e3,
        100.0 * all / limit
    );
    let met = |bar| if bar { "yes" } else { "NO" };
    println!("  bar: at least 300k facts/s: {}", met(all >= 300e3));
    println!("  bar: at least 40% of what parse and commit alone reach: {}", met(all >= 0.4 * limit));
}
