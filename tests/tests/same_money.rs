//! The same money, whatever the way it came: the samples' figures, other orders, duplicates, restarts.

use std::time::Duration;

use anyhow::{Context, Result};
use policy::money::Money;
use policy::time::{Span, Timestamp};
use serde_json::{Value, json};
use tests::daemon::{Daemon, PICOS_PER_TOKEN, Site, TOKEN, bedrock_record, breakers, get, now, post};
use tests::servers::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts everything, in no window, and knows the opaque profile and the Spot price of the samples.
const EVERYTHING: &str = r#"
apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: all}
spec:
  select: {all: true}
  limit: {amount: 1000000 USD}
  window: {lifetime: true}
---
apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: principal}
spec:
  select: {all: true}
  perEach: [principal]
  limit: {amount: 1000000 USD}
  window: {lifetime: true}
---
apiVersion: breakerbox.dev/v1alpha1
kind: PriceBook
metadata: {name: ours}
spec:
  profiles: {a1b2c3d4e5f6: us.anthropic.claude-sonnet-4-6}
  instances:
    - {type: g5.xlarge, capacityType: spot, region: us-east-1, price: 0.4387 USD per hour}
"#;

fn sample(name: &str) -> Result<Vec<u8>> {
    let path = format!("{}/../collector/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).with_context(|| path)
}

/// What was counted: sum and number of charges.
async fn counted(site: &Site) -> Result<(Money, u64)> {
    let all = breakers(site.port).await?;
    Ok(all.iter().find(|(name, ..)| name == "all").map_or((Money::ZERO, 0), |(_, sum, facts)| (*sum, *facts)))
}

async fn usage(site: &Site) -> Result<Value> {
    Ok(get(site.port, "/v1/status").await?.json()?["usage"].clone())
}

#[tokio::test]
async fn the_bedrock_samples_cost_what_their_readme_says_and_count_once() -> Result<()> {
    let site = Site::new(EVERYTHING)?;
    let _daemon = Daemon::start(&site).await?;
    let (mut expected, mut lines) = (Money::ZERO, Vec::new());
    for (name, picos) in [
        ("converse", 21_862_500_000),
        ("invokemodel-stream", 103_502_025_000),
        ("large-body-s3", 251_804_025_000),
        ("error", 0),
        ("embedding", 10_240_000),
    ] {
        let record = moved(&format!("bedrock-invocation-{name}.json"))?;
        site.write_log(&format!("{name}.json"), &[format!("{record:#}")])?;
        lines.push(record.to_string());
        expected = expected.saturating_add(Money::from_picos(picos));
        wait_for(name, PATIENCE, async || {
            let sum = counted(&site).await?.0;
            anyhow::ensure!(sum == expected, "{sum:?}, {expected:?}");
            Ok(Some(()))
        })
        .await?;
    }
    // The same five calls, one a line in one object, as Bedrock puts them on S3.
    site.write_log("object.jsonl", &lines)?;
    wait_for("five duplicates", PATIENCE, async || {
        let usage = usage(&site).await?;
        anyhow::ensure!(usage["duplicates"] == 5, "{usage}");
        Ok(Some(()))
    })
    .await?;
    assert_eq!(counted(&site).await?, (expected, 4));
    Ok(())
}

#[tokio::test]
async fn of_images_with_tokens_the_tokens_are_charged_and_the_images_are_seen_as_unpriced() -> Result<()> {
    let site = Site::new(EVERYTHING)?;
    let _daemon = Daemon::start(&site).await?;
    let record = bedrock_record("r1", "acme", 1_000, &now()?);
    let images = r#""outputTokenCount":0,"outputImageCount":4"#;
    let record = record.replace(r#""outputTokenCount":0"#, images);
    anyhow::ensure!(record.contains(images), "{record}");
    // The same call again, in a file that is no copy of the first, changes nothing.
    for (file, text, duplicates) in [("calls.jsonl", &record, 0), ("again.jsonl", &format!(" {record}"), 2)] {
        site.write_log(file, std::slice::from_ref(text))?;
        wait_for(file, PATIENCE, async || {
            let usage = usage(&site).await?;
            anyhow::ensure!(usage["accepted"] == 2 && usage["duplicates"] == duplicates, "{usage}");
            Ok(Some(()))
        })
        .await?;
        assert_eq!(usage(&site).await?["unpriced"], 1);
        assert_eq!(counted(&site).await?, (Money::from_picos(1_000 * PICOS_PER_TOKEN), 1));
    }
    Ok(())
}

/// A sample whose times are moved by whole hours to now: ids are remembered for two days, and the charge for
/// a minute depends on where in the hour it lies.
fn moved(name: &str) -> Result<Value> {
    let mut text = String::from_utf8(sample(name)?)?;
    let now = Timestamp::parse_rfc3339(&now()?)?;
    let there = Timestamp::parse_rfc3339("2026-11-20T10:16:03Z")?;
    let hours = Span::from_hours(now.since(there).millis().div_euclid(3_600_000));
    let mut rest = &*text.clone();
    while let Some(at) = rest.find("2026-11-20T") {
        let before = &rest[at..at + "2026-11-20T10:15:04".len()];
        let after = Timestamp::parse_rfc3339(&format!("{before}Z"))?.plus(hours).to_string();
        text = text.replace(before, after.trim_end_matches('Z'));
        rest = &rest[at + before.len()..];
    }
    Ok(serde_json::from_str(&text)?)
}

#[tokio::test]
async fn the_usage_samples_cost_what_their_readme_says_whatever_they_claim() -> Result<()> {
    let site = Site::new(EVERYTHING)?;
    let _daemon = Daemon::start(&site).await?;
    let mut expected = 0;
    for (name, outcome, picos) in [
        ("usage-event.bedrock.json", "accepted", 21_862_500_000),
        ("usage-event.cloudevents.json", "duplicate", 0),
        ("usage-event.gpu.json", "accepted", 7_311_666_666),
    ] {
        let mut event = moved(name)?;
        if event["cost"].is_object() {
            event["cost"]["amount_pusd"] = json!("1");
        }
        let told = post(site.port, "/v1/usage", TOKEN, event.to_string()).await?.json()?;
        assert_eq!(told["events"][0]["outcome"], outcome, "{name}: {told}");
        expected += picos;
        assert_eq!(counted(&site).await?.0, Money::from_picos(expected), "{name}");
    }
    Ok(())
}

/// A small generator, so that a failure can be run again.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(at, usize::try_from(seed >> 33).unwrap_or(0) % (at + 1));
    }
}

#[tokio::test]
async fn another_order_with_duplicates_and_a_kill_between_gives_the_same_ledger() -> Result<()> {
    let now = now()?;
    let record =
        |n: u64| bedrock_record(&format!("r{n}"), &format!("role-{}", n % 7), n * 31 % 9_973 + 1, &now);
    let plain: Vec<String> = (0..2_000).map(record).collect();
    let total: u64 = (0..2_000_u64).map(|n| n * 31 % 9_973 + 1).sum();
    let mut other = plain.clone();
    other.extend((0..600).map(|n| record(n * 3)));
    shuffle(&mut other, 4_026);

    let mut ledgers = Vec::new();
    for (records, duplicates) in [(plain, 0), (other, 600)] {
        let site = Site::new(EVERYTHING)?;
        let mut daemon = Daemon::start(&site).await?;
        for (number, part) in records.chunks(500).enumerate() {
            site.write_log(&format!("part-{number}.jsonl"), part)?;
            if number == 1 {
                daemon.kill_9();
                daemon = Daemon::start(&site).await?;
            }
        }
        wait_for("all is counted", PATIENCE, async || {
            let (usage, (_, facts)) = (usage(&site).await?, counted(&site).await?);
            anyhow::ensure!(facts == 2_000 && usage["duplicates"] == duplicates, "{facts} {usage}");
            Ok(Some(()))
        })
        .await?;
        assert_eq!(counted(&site).await?.0, Money::from_picos(i128::from(total) * PICOS_PER_TOKEN));
        // Once more from the journal alone: it gives the same, and the daemon finds no turn that differs.
        let before = sorted(&site).await?;
        daemon.kill_9();
        let _daemon = Daemon::start(&site).await?;
        assert_eq!(sorted(&site).await?, before);
        let metrics = get(site.port, "/metrics").await?.body;
        assert!(metrics.contains("breakerbox_diverged_turn 0"), "{metrics}");
        ledgers.push(before);
    }
    assert_eq!(ledgers[0].len(), 8);
    assert_eq!(ledgers[0], ledgers[1]);
    Ok(())
}

async fn sorted(site: &Site) -> Result<Vec<(String, Money, u64)>> {
    let mut all = breakers(site.port).await?;
    all.sort();
    Ok(all)
}
