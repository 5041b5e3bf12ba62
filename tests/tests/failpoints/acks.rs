//! An answer follows the commit, never before.

use std::time::Duration;

use anyhow::{Context, Result};
use policy::time::{Span, Timestamp};
use tests::daemon::{Daemon, Site, TOKEN, YEARLY_BUDGET, bedrock_record, now, post, usage_event};

/// The commit is held up, and the daemon killed in it: whoever pushed was told nothing, and nothing is kept.
#[tokio::test]
async fn what_is_pushed_is_not_answered_before_its_commit() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let mut daemon = Daemon::armed(&site, "usage::before_commit=pause")?;
    daemon.wait_ready().await?;
    let event = usage_event("held-up", 1_000, &now()?).to_string();
    let answer = post(site.port, "/v1/usage", TOKEN, event.clone());
    let early = tokio::time::timeout(Duration::from_secs(2), answer).await;
    assert!(early.is_err(), "answered before its commit: {early:?}");
    daemon.kill_9();

    let _daemon = Daemon::start(&site).await?;
    let told = post(site.port, "/v1/usage", TOKEN, event).await?.json()?;
    assert_eq!(told["events"][0]["outcome"], "accepted", "it was not durable: {told}");
    Ok(())
}

/// A record of tomorrow is refused, which is durable with its place in the file: it is not read again. Its
/// letter with the money in it is kept by the next life, once.
#[tokio::test]
async fn a_dead_letter_outlives_a_crash_between_its_commit_and_its_file_and_does_not_double() -> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let tomorrow = Timestamp::parse_rfc3339(&now()?).context("now")?.plus(Span::from_hours(24)).to_string();
    let mut daemon = Daemon::armed(&site, "letter::before_put=return(abort)")?;
    site.write_log("early.jsonl", &[bedrock_record("early", "r", 1_000_000, &tomorrow)])?;
    daemon.ended(Duration::from_secs(60)).await?;
    assert!(site.letters()?.is_empty(), "it died before");
    for _ in 0..2 {
        let mut daemon = Daemon::start(&site).await?;
        daemon.drain().await?;
        let letters = site.letters()?;
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert!(letters[0]["id"].as_str().is_some_and(|id| id.ends_with(":early")), "{letters:?}");
        assert_eq!(letters[0]["usd"], "3.30");
    }
    Ok(())
}
