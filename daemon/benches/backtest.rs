//! Ten million recorded facts through a backtest: seconds, facts a second, memory.
//!
//! A month of usage of 200 tenants with five agents each, as `usage.v1` events in one file, in about the order
//! of time; a daily budget for each tenant and a monthly one over all. `FACTS` says how many, `FOLDER` where the
//! file is made (345 bytes a fact).

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use daemon::backtest::{self, Ask, Progress, Rules, gather::Order};
use daemon::rules::RuleFile;
use daemon::wiring::compile;

const RULES: &str = "apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: tenant-daily}
spec:
  select: {all: true}
  perEach: [tenant]
  limit: {amount: 20 USD}
  window: {calendar: day, timezone: UTC}
  within: org-monthly
  warnAt: [80%]
  onTrip:
    - pauseScaledObjects: {in: {namespaceLabels: {tenant: \"${tenant}\"}}}
---
apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: org-monthly}
spec:
  select: {all: true}
  limit: {amount: 50000 USD}
  window: {calendar: month, timezone: UTC}
  warnAt: [50%, 80%]
";
const MODELS: [&str; 2] = ["us.anthropic.claude-sonnet-4-6", "us.anthropic.claude-haiku-4-5-20251001-v1:0"];
const MONTH: u64 = 30 * 86_400;

fn main() {
    let facts: u64 = std::env::var("FACTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let folder = std::env::var("FOLDER").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let path = folder.join(format!("breakerbox-bench-{}.jsonl", std::process::id()));
    write(&path, facts);
    let set =
        compile(&[RuleFile { path: "rules.yaml".into(), text: RULES.into() }]).expect("valid rules").rules;
    let ask = Ask {
        inputs: vec![path.clone()],
        rules: Rules { folder: "rules".into(), set },
        against: None,
        order: Order::Time,
        events_believed: true,
    };
    let began = Instant::now();
    let mut read = None;
    let report = backtest::run(&ask, &mut |progress| {
        if matches!(progress, Progress::Ran(..)) {
            read.get_or_insert_with(|| began.elapsed());
        }
    });
    let all = began.elapsed();
    let _ = std::fs::remove_file(&path);
    let report = report.expect("an answer");
    assert_eq!(report.findings.counted.accepted, facts);
    let read = read.unwrap_or_default();
    println!(
        "{facts} facts in {:.1} s: read and sorted in {:.1} s, run in {:.1} s; {} trips; most memory {} MB",
        all.as_secs_f64(),
        read.as_secs_f64(),
        (all - read).as_secs_f64(),
        report.findings.trips.len(),
        most_memory()
    );
}

/// `VmHWM` of this process, in MB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

fn write(path: &Path, facts: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).expect("a file"));
    let mut state = 1_u64;
    let mut dice = |below: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    };
    let mut line = String::new();
    for n in 0..facts {
        let second = (n * MONTH / facts + dice(30)).min(MONTH - 1);
        let (day, hour, minute) = (second / 86_400 + 1, second / 3_600 % 24, second / 60 % 60);
        let (tenant, agent) = (dice(200), dice(5));
        let model = MODELS[usize::try_from(tenant % 2).unwrap_or(0)];
        line.clear();
        let _ = writeln!(
            line,
            "{{\"schema\":\"usage.v1\",\"id\":\"gw:{n:016x}{:016x}\",\"kind\":\"tokens\",\"occurred_at\":\
             \"2026-11-{day:02}T{hour:02}:{minute:02}:{:02}Z\",\"account\":\"111122223333\",\"region\":\"us-east-1\",\
             \"model\":\"{model}\",\"quantities\":{{\"input_tokens\":{},\"cache_read_tokens\":{},\"output_tokens\":{}}},\
             \"subject\":{{\"tenant\":\"t{tenant}\",\"agent\":\"a{agent}\"}},\"status\":\"ok\"}}",
            dice(u64::MAX),
            second % 60,
            dice(3_000),
            dice(8_000),
            dice(800)
        );
        file.write_all(line.as_bytes()).expect("room");
    }
    file.flush().expect("room");
}
