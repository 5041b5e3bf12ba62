//! Usage that is pushed, and lines that nobody can read, through the real daemon.

use std::time::Duration;

use anyhow::{Context, Result};
use policy::money::Money;
use serde_json::{Value, json};
use tests::daemon::{
    Daemon, PICOS_PER_TOKEN, Site, TOKEN, YEARLY_BUDGET, bedrock_record, breakers, now, post, usage_event,
};
use tests::servers::wait_for;

fn outcomes(answer: &Value) -> Vec<(&str, &str)> {
    let events = answer["events"].as_array().into_iter().flatten();
    events.map(|e| (e["id"].as_str().unwrap_or("-"), e["outcome"].as_str().unwrap_or("-"))).collect()
}

#[tokio::test]
async fn what_is_pushed_is_answered_once_it_is_durable_and_stays_so_after_kill_9() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let mut daemon = Daemon::start(&site).await?;
    let now = now()?;
    // It claims a tenant, a cost and that all of it can be trusted.
    let mut boasting = usage_event("b", 2_000, &now);
    boasting["subject"] = json!({"tenant": "rival"});
    boasting["trust"] = json!({"tenant": "trusted"});
    boasting["cost"] = json!({"amount_pusd": "999999999999999999", "state": "reconciled"});
    let mut ahead = usage_event("ahead", 5_000, &now);
    ahead["occurred_at"] = json!("2099-01-01T00:00:00Z");
    let body = format!("{}\nno json\n{boasting}\n{ahead}\n", usage_event("a", 1_000, &now));
    let answer = post(site.port, "/v1/usage", TOKEN, body).await?;
    assert_eq!(answer.status.as_u16(), 207, "{}", answer.body);
    let told = answer.json()?;
    assert_eq!(
        outcomes(&told),
        [("a", "accepted"), ("-", "refused"), ("b", "accepted"), ("ahead", "refused")]
    );

    daemon.kill_9();
    let daemon = Daemon::start(&site).await?;
    let again =
        json!([usage_event("a", 1_000, &now), usage_event("c", 4_000, &now), usage_event("a", 1, &now)]);
    let told = post(site.port, "/v1/usage", TOKEN, again.to_string()).await?.json()?;
    assert_eq!(outcomes(&told), [("a", "duplicate"), ("c", "accepted"), ("a", "conflict")]);
    let sum = Money::from_picos(7_000 * PICOS_PER_TOKEN);
    let expected = [("tenant-yearly/unattributed".to_owned(), sum, 3)];
    assert_eq!(breakers(site.port).await?, expected, "{}", daemon.log_tail());

    let stranger = post(site.port, "/v1/usage", "another", usage_event("d", 1, &now).to_string()).await?;
    assert_eq!(stranger.status.as_u16(), 401);
    let kept = site.letters()?;
    let reasons: Vec<_> = kept.iter().map(|l| l["reason"].as_str().unwrap_or("-")).collect();
    assert_eq!(reasons, ["not_json", "too_far_ahead"], "{kept:?}");
    assert_eq!((&kept[1]["id"], &kept[1]["usd"]), (&json!("ahead"), &json!("0.0165")));
    Ok(())
}

#[tokio::test]
async fn a_line_that_nobody_can_read_is_kept_with_its_place_and_costs_no_other() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let daemon = Daemon::start(&site).await?;
    let now = now()?;
    let first = bedrock_record("r1", "acme", 1_000, &now);
    let negative = bedrock_record("r2", "acme", 1_000, &now).replace("1000", "-1000");
    let prompt = r#"{"prompt": "tell nobody"}"#.to_owned();
    let lines =
        [first.clone(), prompt, negative, "{cut".to_owned(), bedrock_record("r3", "acme", 2_000, &now)];
    site.write_log("calls.jsonl", &lines)?;
    let kept = wait_for("the dead letters", Duration::from_secs(20), async || {
        let kept = site.letters()?;
        Ok((kept.len() >= 3).then_some(kept))
    })
    .await
    .with_context(|| daemon.log_tail())?;
    let reasons: Vec<_> = kept.iter().map(|l| l["reason"].as_str().unwrap_or("-")).collect();
    assert_eq!(reasons, ["not_a_record", "bad_field", "not_json"], "{kept:?}");
    assert_eq!(kept[0]["offset"], json!(first.len() + 1));
    assert!(kept[0]["file"].as_str().is_some_and(|file| file.starts_with("calls.jsonl#")), "{kept:?}");
    assert_eq!(kept[1]["excerpt"]["requestId"], "r2");
    assert!(!json!(kept).to_string().contains("tell nobody"));
    let expected = [("tenant-yearly/unattributed".to_owned(), Money::from_picos(3_000 * PICOS_PER_TOKEN), 2)];
    wait_for("both records", Duration::from_secs(20), async || {
        Ok((breakers(site.port).await? == expected).then_some(()))
    })
    .await
    .with_context(|| daemon.log_tail())?;
    Ok(())
}
