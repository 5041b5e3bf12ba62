//! Two budgets hold one target: it comes back with the last, in all four orders of trip and release.

use anyhow::Result;

use crate::stage::{PATIENCE, Stage};

const DAILY: &str = "tenant-daily";
const MONTHLY: &str = "pair-monthly";

/// Trips `first` with 51 USD and the other with 10 more; gives back in the order given.
async fn held_by_two(tenant: &str, first: &str, release: [&str; 2]) -> Result<()> {
    let stage = Stage::shared().await?;
    let workload = stage.tenant(tenant, 1).await?;
    let before = workload.shape().await?;
    stage.spend(&format!("{tenant}-1"), tenant, 51)?;
    let hold = stage.held(tenant).await?;
    assert_eq!(hold["holders"], serde_json::json!([format!("{first}/{tenant}")]), "{hold}");
    stage.spend(&format!("{tenant}-2"), tenant, 10)?;
    let both = |h: &serde_json::Value| h["holders"].as_array().is_some_and(|h| h.len() == 2);
    stage.hold(tenant, "both hold it", both).await?;

    stage.person(&["reset", &format!("{}/{tenant}", release[0])])?;
    let hold = stage.hold(tenant, "one holds it", |h| !both(h)).await?;
    assert_eq!((&hold["state"], hold["holders"].as_array().map(Vec::len)), (&"Verified".into(), Some(1)));
    workload.wait_stopped(PATIENCE).await?;
    stage.person(&["reset", &format!("{}/{tenant}", release[1])])?;
    workload.wait_running(1).await?;
    stage.given_back(tenant).await?;
    assert_eq!(workload.shape().await?, before);
    assert_eq!(stage.changes(tenant).await?, ["patch scaledobjects 200"; 2], "one stop, one return");
    Ok(())
}

#[tokio::test]
async fn the_daily_budget_trips_first_and_lets_go_first() -> Result<()> {
    held_by_two("first-first", DAILY, [DAILY, MONTHLY]).await
}

#[tokio::test]
async fn the_daily_budget_trips_first_and_lets_go_last() -> Result<()> {
    held_by_two("first-last", DAILY, [MONTHLY, DAILY]).await
}

#[tokio::test]
async fn the_monthly_budget_trips_first_and_lets_go_first() -> Result<()> {
    held_by_two("second-first", MONTHLY, [MONTHLY, DAILY]).await
}

#[tokio::test]
async fn the_monthly_budget_trips_first_and_lets_go_last() -> Result<()> {
    held_by_two("second-last", MONTHLY, [DAILY, MONTHLY]).await
}
