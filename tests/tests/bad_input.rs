//! What is wrong with what comes in, through the real daemon: each is told with its place and what to do, kept
//! where it is data, counted, and changes nothing else. (A full disk and a newer journal: the journal's tests.)

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use policy::money::Money;
use policy::time::{Span, Timestamp};
use serde_json::{Value, json};
use tests::daemon::{
    Daemon, PICOS_PER_TOKEN, Site, TOKEN, YEARLY_BUDGET, bedrock_record, breakers, cli, get, now, post,
    usage_event,
};
use tests::servers::wait_for;

/// The beginning of a record waits 30 s for its end; compilers may run beside.
const PATIENCE: Duration = Duration::from_secs(90);
/// More than one call can use.
const ABSURD: u64 = 10_000_000_000_000;

/// The value of a sample, by its name with labels; a counter that was never raised is 0.
async fn metric(site: &Site, name: &str) -> Result<f64> {
    let text = get(site.port, "/metrics").await?.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.map(str::parse).transpose()?.unwrap_or(0.0))
}

/// Ten minutes ahead: twice what is believed.
fn ahead() -> Result<String> {
    Ok(Timestamp::parse_rfc3339(&now()?)?.plus(Span::from_mins(10)).to_string())
}

/// Only that many tokens, of so many calls, are anybody's.
async fn only(site: &Site, tokens: i128, calls: u64) -> Result<()> {
    let sum = Money::from_picos(tokens * PICOS_PER_TOKEN);
    let expected = [("tenant-yearly/unattributed".to_owned(), sum, calls)];
    wait_for("the good records", PATIENCE, async || {
        let all = breakers(site.port).await?;
        ensure!(all == expected, "{all:?}");
        Ok(Some(()))
    })
    .await
}

/// A gzip that ends in the middle of the last line.
fn cut_gzip(lines: &[String]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(lines.join("\n").as_bytes())?;
    let whole = gzip.finish()?;
    let half = lines.last().map_or(0, String::len) / 2;
    Ok(whole[..whole.len() - half].to_vec())
}

#[tokio::test]
async fn a_bad_record_in_a_log_is_told_kept_and_counted_and_costs_no_other() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let mut daemon = Daemon::start(&site).await?;
    let (now, ahead) = (now()?, ahead()?);
    let negative = bedrock_record("negative", "acme", 77, &now).replace(":77", ":-77");
    let lines = [
        bedrock_record("good-1", "acme", 1_000, &now),
        "no json".to_owned(),
        negative,
        bedrock_record("absurd", "acme", ABSURD, &now),
        bedrock_record("ahead", "acme", 5_000, &ahead),
        bedrock_record("good-2", "acme", 2_000, &now),
    ];
    site.write_log("calls.jsonl", &lines)?;
    let zipped = [4_000, 8_000, 16_000].map(|n| bedrock_record(&format!("zipped-{n}"), "acme", n, &now));
    std::fs::write(site.path("logs/calls.json.gz"), cut_gzip(&zipped)?)?;
    only(&site, 15_000, 4).await?;
    let kept = wait_for("five dead letters", PATIENCE, async || {
        let kept = site.letters()?;
        ensure!(kept.len() >= 5, "{kept:?}");
        Ok(Some(kept))
    })
    .await
    .with_context(|| daemon.log_tail())?;

    let offset = |lines: &[String]| json!(lines.iter().map(|l| l.len() + 1).sum::<usize>());
    let letter =
        |reason: &str| kept.iter().find(|l| l["reason"] == reason).cloned().context(reason.to_owned());
    for (reason, place, id, usd, words) in [
        ("not_json", Some(("calls.jsonl#", offset(&lines[..1]))), None, None, "expected"),
        ("bad_field", Some(("calls.jsonl#", offset(&lines[..2]))), None, None, "`inputTokenCount` is `-77`"),
        ("absurd_count", None, Some("111122223333:us-east-1:absurd"), Some("33000000.00"), "10^12"),
        ("too_far_ahead", None, Some("111122223333:us-east-1:ahead"), Some("0.0165"), "5 minutes ahead"),
        ("cut_off", Some(("calls.json.gz#", offset(&zipped[..2]))), None, None, "ends in the middle"),
    ] {
        let letter = letter(reason)?;
        if let Some((file, offset)) = place {
            ensure!(letter["file"].as_str().is_some_and(|f| f.starts_with(file)), "{letter}");
            assert_eq!(letter["offset"], offset, "{letter}");
        }
        assert_eq!((letter["id"].as_str(), letter["usd"].as_str()), (id, usd), "{letter}");
        ensure!(letter["detail"].as_str().is_some_and(|d| d.contains(words)), "{letter}");
        ensure!(letter["help"].as_str().is_some_and(|help| !help.is_empty()), "{letter}");
        let counted = format!("breakerbox_dead_letters_total{{source=\"bedrock-log\",reason=\"{reason}\"}}");
        assert_eq!(metric(&site, &counted).await?, 1.0, "{reason}");
        ensure!(daemon.log().contains(reason), "{reason} is not in the log\n{}", daemon.log_tail());
    }
    // What was understood is known by where it ends, and says what the usage was.
    for (reason, through, tokens) in [("absurd_count", 4, ABSURD), ("too_far_ahead", 5, 5_000)] {
        let letter = letter(reason)?;
        ensure!(letter["file"].as_str().is_some_and(|file| file.starts_with("calls.jsonl#")), "{letter}");
        let end: usize = lines[..through].iter().map(|line| line.len() + 1).sum();
        assert_eq!(letter["end"], json!(end - 1), "{letter}");
        assert_eq!(letter["quantities"], json!({"input_tokens": tokens}), "{letter}");
        let (model, who) = (&letter["subject"]["model"], &letter["subject"]["principal"]);
        assert_eq!((word(model), word(who)), ("us.anthropic.claude-sonnet-4-6", "111122223333:role/acme"));
    }
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert_eq!(metric(&site, "breakerbox_refused_usd_total").await?, 33_000_000.016_5);
    assert_eq!(metric(&site, "breakerbox_known_log_files").await?, 2.0);
    only(&site, 15_000, 4).await?;
    ensure!(daemon.is_running() && !daemon.log().contains("panicked"), "{}", daemon.log_tail());
    Ok(())
}

#[tokio::test]
async fn a_bad_push_is_told_kept_and_counted_and_costs_no_other() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?.with("limits: {body: 4 KiB}");
    let mut daemon = Daemon::start(&site).await?;
    let (now, ahead) = (now()?, ahead()?);
    let push = async |token: &str, body: String| post(site.port, "/v1/usage", token, body).await;
    let event = |id: &str, tokens: i64, at: &str| {
        let mut event = usage_event(id, 1, at);
        event["quantities"]["input_tokens"] = json!(tokens);
        event.to_string()
    };
    let large = format!("{}{}", event("large", 1, &now), " ".repeat(4_096));
    for (token, body, status, words) in [
        ("a-strangers", event("stranger", 1, &now), 401, "tokens:"),
        (TOKEN, large, 413, "at most 4096 bytes"),
        (TOKEN, "no json".to_owned(), 400, "one JSON object, an array, or one a line"),
    ] {
        let told = push(token, body).await?;
        assert_eq!(told.status.as_u16(), status, "{}", told.body);
        ensure!(told.json()?["help"].as_str().is_some_and(|help| help.contains(words)), "{}", told.body);
    }
    let batch = [
        event("good", 1_000, &now),
        event("negative", -5, &now),
        event("absurd", 10_000_000_000_000, &now),
        event("ahead", 5_000, &ahead),
    ];
    let told = push(TOKEN, batch.join("\n")).await?;
    assert_eq!(told.status.as_u16(), 207, "{}", told.body);
    let told = told.json()?;
    assert_eq!(told["events"][0], json!({"id": "good", "outcome": "accepted"}));
    for (number, id, reason) in
        [(1, "negative", "bad_count"), (2, "absurd", "bad_count"), (3, "ahead", "too_far_ahead")]
    {
        let event = &told["events"][number];
        assert_eq!((&event["id"], &event["reason"]), (&json!(id), &json!(reason)), "{event}");
        ensure!(event["detail"].is_string() && event["help"].is_string(), "{event}");
    }
    let kept = site.letters()?;
    let kept: Vec<_> = kept.iter().map(|l| (word(&l["reason"]), word(&l["id"]), word(&l["usd"]))).collect();
    assert_eq!(
        kept,
        [
            ("not_json", "-", "-"),
            ("bad_field", "negative", "-"),
            ("bad_field", "absurd", "-"),
            ("too_far_ahead", "ahead", "0.0165")
        ]
    );
    for (name, n) in [
        ("ingest_requests_refused_total{reason=\"unauthorized\"}", 1.0),
        ("ingest_requests_refused_total{reason=\"too_large\"}", 1.0),
        ("ingest_requests_refused_total{reason=\"unreadable\"}", 1.0),
        ("ingest_events_refused_total", 3.0),
        ("dead_letters_total{source=\"gateway\",reason=\"bad_field\"}", 2.0),
        ("refused_usages_total{reason=\"too_far_ahead\"}", 1.0),
    ] {
        assert_eq!(metric(&site, &format!("breakerbox_{name}")).await?, n, "{name}");
    }
    only(&site, 1_000, 1).await?;
    ensure!(daemon.is_running() && !daemon.log().contains("panicked"), "{}", daemon.log_tail());
    Ok(())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[tokio::test]
async fn a_bad_rule_file_is_told_with_line_and_fix_and_changes_nothing() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let daemon = Daemon::start(&site).await?;
    let status = async || get(site.port, "/v1/status").await?.json();
    let before = status().await?["rules"].clone();
    site.write_log("one.jsonl", &[bedrock_record("good-1", "acme", 1_000, &now()?)])?;
    only(&site, 1_000, 1).await?;
    // Two mistakes: both are told.
    let wrong = YEARLY_BUDGET.replace("perEach", "perEech").replace("1000000 USD", "many USD");
    site.write_rules(&wrong)?;
    wait_for("the set is refused", PATIENCE, async || {
        let status = status().await?;
        ensure!(status["rules_current"] == false, "{status}");
        Ok(Some(()))
    })
    .await?;
    assert_eq!(status().await?["rules"], before);
    assert_eq!(metric(&site, "breakerbox_rules_refused_total").await?, 1.0);
    let told = cli(&site, &["check"])?;
    assert_eq!(told.status.code(), Some(2));
    for text in [daemon.log(), String::from_utf8(told.stderr)?] {
        for part in ["rules.yaml:7", "rules.yaml:8", "did you mean `perEach`", "`many USD`"] {
            ensure!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }
    // The old set counts on.
    site.write_log("two.jsonl", &[bedrock_record("good-2", "acme", 2_000, &now()?)])?;
    only(&site, 3_000, 2).await?;

    // Where nothing was in force before, nothing begins.
    let fresh = Site::new(&wrong)?;
    let mut refused = Daemon::spawn(&fresh, &[])?;
    assert!(!refused.ended(PATIENCE).await?.success());
    ensure!(refused.log().contains("did you mean `perEach`"), "{}", refused.log());
    Ok(())
}
