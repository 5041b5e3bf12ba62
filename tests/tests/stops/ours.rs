//! What we stop, and how it comes back.

use anyhow::Result;
use serde_json::Value;
use tests::servers::{WorkloadSpec, dead_trigger, wait_until};

use crate::stage::{PATIENCE, Stage, gist};

#[tokio::test]
async fn of_three_tenants_the_one_over_its_limit_is_stopped_and_given_back_as_it_was() -> Result<()> {
    let stage = Stage::shared().await?;
    let over = stage.tenant("three-over", 3).await?;
    let under = stage.tenant("three-under", 1).await?;
    let idle = stage.tenant("three-idle", 2).await?;
    let before = over.shape().await?;
    stage.spend("three-1", "three-over", 30)?;
    stage.spend("three-2", "three-under", 30)?;
    stage.spend("three-3", "three-over", 12)?;
    stage.told("three-over", "it is warned", |m| gist(m) == "warned 80%").await?;
    stage.spend("three-4", "three-over", 9)?;
    over.wait_stopped(PATIENCE).await?;
    stage.held("three-over").await?;
    under.wait_running(1).await?;
    idle.wait_running(2).await?;

    stage.person(&["reset", "tenant-daily/three-over"])?;
    over.wait_running(3).await?;
    stage.given_back("three-over").await?;
    assert_eq!(over.shape().await?, before, "exactly as it was");
    stage.told("three-over", "the end is told", |m| gist(m) == "hold Released").await?;

    let told: Vec<String> = stage.messages("three-over").await?.iter().map(gist).collect();
    let each_once = ["warned 80%", "tripped", "hold Verified", "released", "commanded", "hold Released"];
    assert_eq!(told, each_once);
    let posts = stage.posts("three-over").await?;
    assert_eq!(posts.len(), told.len(), "{posts:#?}");
    for quiet in ["three-under", "three-idle"] {
        assert!(stage.messages(quiet).await?.is_empty(), "{quiet}");
        assert_eq!(stage.posts(quiet).await?, [""; 0], "{quiet}");
        assert_eq!(stage.writes(quiet).await?, [""; 0], "{quiet}");
    }
    assert_eq!(stage.changes("three-over").await?, ["patch scaledobjects 200"; 2], "one stop, one return");
    let lease = ["create leases 201 breakerbox/breakerbox", "update leases 200 breakerbox/breakerbox"];
    assert_eq!(stage.writes_elsewhere().await?, lease.map(String::from).into(), "and nothing else anywhere");
    Ok(())
}

#[tokio::test]
async fn what_people_edit_while_it_is_held_stays_theirs() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("edited", 1).await?;
    stage.spend("edited-1", "edited", 51)?;
    stage.held("edited").await?;
    stage.kubectl("edited", &["label", "scaledobject/agent", "owner=ann"]).await?;
    stage.kubectl("edited", &["annotate", "scaledobject/agent", "note=look here"]).await?;
    let patch = r#"{"spec":{"maxReplicaCount":9}}"#;
    stage.kubectl("edited", &["patch", "scaledobject/agent", "--type=merge", "-p", patch]).await?;
    tenant.wait_stopped(PATIENCE).await?;
    stage.held("edited").await?;

    stage.person(&["reset", "tenant-daily/edited"])?;
    tenant.wait_running(1).await?;
    stage.given_back("edited").await?;
    let object = serde_json::to_value(tenant.scaled_object().await?)?;
    assert_eq!(object["metadata"]["labels"]["owner"], "ann");
    assert_eq!(object["spec"]["maxReplicaCount"], 9);
    let annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let keys: Vec<&String> = annotations.keys().collect();
    assert_eq!(keys, ["note"], "nothing of ours is left");
    Ok(())
}

#[tokio::test]
async fn a_workload_whose_scaler_is_dead_is_stopped_and_its_return_is_told_as_what_it_is() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("dead", 2).await?;
    let trigger = serde_json::json!({"spec": {"triggers": [dead_trigger()]}}).to_string();
    stage.kubectl("dead", &["patch", "scaledobject/agent", "--type=merge", "-p", &trigger]).await?;
    stage.spend("dead-1", "dead", 51)?;
    tenant.wait_stopped(PATIENCE).await?;
    stage.held("dead").await?;
    stage.person(&["reset", "tenant-daily/dead"])?;
    // The daemon looks for a minute and a half before it says so.
    let incomplete = |h: &Value| h["detail"].as_str().is_some_and(|d| d.starts_with("restore incomplete"));
    wait_until("the return is not whole", PATIENCE * 2, async || {
        Ok(incomplete(&stage.hold_now("dead").await?))
    })
    .await?;
    let page = stage.told("dead", "that is paged", |m| incomplete(&m["decision"]["hold"])).await?;
    assert_eq!(page["severity"], "critical");
    assert!(page.to_string().contains("HPA"), "{page:#}");
    Ok(())
}

#[tokio::test]
async fn a_window_that_ends_gives_back_without_a_person() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("rolls", 1).await?;
    let before = tenant.shape().await?;
    stage.spend("rolls-1", "rolls", 51)?;
    tenant.wait_stopped(PATIENCE).await?;
    stage.held("rolls").await?;
    wait_until("a minute passes and it runs again", PATIENCE * 2, async || Ok(tenant.replicas().await? == 1))
        .await?;
    tenant.wait_running(1).await?;
    stage.given_back("rolls").await?;
    assert_eq!(tenant.shape().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_workload_that_is_not_there_ends_in_a_page() -> Result<()> {
    let stage = Stage::shared().await?;
    let admin = stage.cluster.admin().await?;
    admin.namespace("missing", &[("tenant", "missing")]).await?;
    let tenant = admin.workload("missing", &WorkloadSpec::new("agent", 1)).await?;
    tenant.wait_running(1).await?;
    stage.kubectl("missing", &["delete", "deployment/agent"]).await?;
    stage.spend("missing-1", "missing", 51)?;
    let page = stage.told("missing", "it is paged", |m| gist(m) == "hold NotStopped").await?;
    assert_eq!(page["severity"], "critical", "{page:#}");
    Ok(())
}
