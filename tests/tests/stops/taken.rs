//! What people do to our pause itself while we hold: set again twice at most, and never taken from them.

use anyhow::Result;
use serde_json::Value;
use tests::servers::{Tenant, wait_until};

use crate::stage::{PATIENCE, Stage, gist};

const PAUSE: &str = "autoscaling.keda.sh/paused-replicas";

async fn annotations(tenant: &Tenant) -> Result<Value> {
    Ok(tenant.shape().await?[2].clone())
}

#[tokio::test]
async fn a_pause_that_people_take_off_is_set_again_twice_and_contested_the_third_time() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("taken-off", 1).await?;
    let before = tenant.shape().await?;
    stage.spend("taken-off-1", "taken-off", 51)?;
    stage.held("taken-off").await?;
    let off = format!("{PAUSE}-");
    for raises in 1..=2 {
        stage.kubectl("taken-off", &["annotate", "scaledobject/agent", &off]).await?;
        let again = |h: &Value| h["raises"] == raises && h["state"] == "Verified";
        stage.hold("taken-off", "it is counted and proven again", again).await?;
        tenant.wait_stopped(PATIENCE).await?;
    }
    stage.kubectl("taken-off", &["annotate", "scaledobject/agent", &off]).await?;
    stage.hold("taken-off", "it is contested", |h| h["state"] == "Contested").await?;
    stage.told("taken-off", "that is paged", |m| gist(m) == "hold Contested").await?;
    tenant.wait_running(1).await?;
    let pauses = stage.changes("taken-off").await?;
    assert_eq!(pauses, ["patch scaledobjects 200"; 3], "it is fought no more");

    stage.person(&["reset", "tenant-daily/taken-off"])?;
    stage.given_back("taken-off").await?;
    tenant.wait_running(1).await?;
    assert_eq!(tenant.shape().await?, before, "nothing of ours is left");
    Ok(())
}

#[tokio::test]
async fn a_pause_that_a_person_changes_while_held_is_theirs_from_then_on() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("taken", 1).await?;
    stage.spend("taken-1", "taken", 51)?;
    stage.held("taken").await?;
    let theirs = format!("{PAUSE}=2");
    stage.kubectl("taken", &["annotate", "--overwrite", "scaledobject/agent", &theirs]).await?;
    let page = stage.told("taken", "it is paged", |m| gist(m) == "hold NotStopped").await?;
    assert_eq!(page["severity"], "critical", "{page:#}");
    let up = async || Ok(tenant.replicas().await? == 2);
    wait_until("it runs as the person wants", PATIENCE, up).await?;

    stage.person(&["reset", "tenant-daily/taken"])?;
    let pause = format!("{PAUSE} 2 by kubectl-annotate");
    let incomplete = |m: &Value| m["decision"]["hold"]["detail"].as_str().is_some_and(|d| d.contains(&pause));
    stage.told("taken", "whose pause it is now, is told", incomplete).await?;
    assert_eq!(annotations(&tenant).await?, serde_json::json!({PAUSE: "2"}), "theirs, and nothing of ours");
    assert!(up().await?);
    Ok(())
}
