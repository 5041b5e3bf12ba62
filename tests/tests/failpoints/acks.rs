//! An answer follows the commit, never before.

use std::time::Duration;

use anyhow::Result;
use tests::daemon::{Daemon, Site, TOKEN, YEARLY_BUDGET, now, post, usage_event};

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
