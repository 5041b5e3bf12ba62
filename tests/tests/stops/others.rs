//! What is somebody else's: left alone, and said.

use anyhow::Result;
use serde_json::Value;
use tests::servers::{Tenant, wait_until};

use crate::stage::{PATIENCE, Stage, gist};

/// No message about a tenant may say that it was stopped.
async fn nobody_says_stopped(stage: &Stage, tenant: &str) -> Result<()> {
    let states = |m: &Value| m["targets"].as_array().cloned().unwrap_or_default();
    for message in stage.messages(tenant).await? {
        assert!(states(&message).iter().all(|t| t["state"] != "Verified"), "{message:#}");
        let title = message["title"].as_str().unwrap_or_default();
        assert!(!title.contains("stopped") || title.contains("not stopped"), "{title}");
    }
    Ok(())
}

/// One charge of 51 USD, a moment ago: nothing closer than the average of the day so far can be known, and
/// the page gives it under that name. Not even that is known in the first minute of a day.
fn says_what_it_costs(page: &Value) -> Result<()> {
    let (text, spend) = (page["text"].as_str().unwrap_or_default(), &page["spend"]);
    let Some(hourly) = spend["burn_usd_per_hour"].as_str() else {
        assert!(text.contains("costs per hour is not known yet"), "{page:#}");
        let decided = page["decision"]["at"].as_str().unwrap_or_default();
        assert!(
            decided.contains("T00:00:"),
            "a minute after midnight the average of the day is known: {page:#}"
        );
        return Ok(());
    };
    assert_eq!(spend["burn_basis"], "window", "{page:#}");
    assert!(text.contains(" USD per hour, on average since its window began "), "{page:#}");
    let hours = spend["burn_over_seconds"].as_f64().unwrap_or_default() / 3600.0;
    let charged = hourly.parse::<f64>()? * hours;
    let spent = spend["spent_usd"].as_str().unwrap_or_default().parse::<f64>()?;
    assert!((charged / spent - 1.0).abs() < 0.05, "{charged} is not {spent}: {page:#}");
    Ok(())
}

async fn paused_by_a_person(stage: &Stage, name: &str, annotation: &str) -> Result<Tenant> {
    let tenant = stage.tenant(name, 1).await?;
    stage.kubectl(name, &["annotate", "scaledobject/agent", annotation]).await?;
    Ok(tenant)
}

#[tokio::test]
async fn what_a_person_paused_at_two_stays_at_two_and_nobody_says_stopped() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = paused_by_a_person(&stage, "foreign", "autoscaling.keda.sh/paused-replicas=2").await?;
    tenant.wait_running(2).await?;
    let before = tenant.shape().await?;
    stage.spend("foreign-1", "foreign", 51)?;
    let page = stage.told("foreign", "it is paged", |m| gist(m) == "hold NotStopped").await?;
    assert_eq!(page["severity"], "critical", "{page:#}");
    says_what_it_costs(&page)?;
    stage.person(&["reset", "tenant-daily/foreign"])?;
    stage.given_back("foreign").await?;
    tenant.wait_running(2).await?;
    assert_eq!(tenant.shape().await?, before);
    assert_eq!(stage.writes("foreign").await?, [""; 0]);
    nobody_says_stopped(&stage, "foreign").await
}

#[tokio::test]
async fn a_plain_pause_of_a_person_is_left_alone_and_paged() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = paused_by_a_person(&stage, "plain", "autoscaling.keda.sh/paused=true").await?;
    stage.spend("plain-1", "plain", 51)?;
    let page = stage.told("plain", "it is paged", |m| gist(m) == "hold NotStopped").await?;
    says_what_it_costs(&page)?;
    assert_eq!(tenant.replicas().await?, 1);
    assert_eq!(stage.writes("plain").await?, [""; 0]);
    nobody_says_stopped(&stage, "plain").await
}

#[tokio::test]
async fn what_is_protected_is_never_touched_and_the_trip_says_so() -> Result<()> {
    let stage = Stage::shared().await?;
    let labels = [("tenant", "sacred"), ("breakerbox.dev/protected", "true")];
    let tenant = stage.cluster.tenant("sacred", &labels, 1).await?;
    stage.spend("sacred-1", "sacred", 51)?;
    let trip = stage.told("sacred", "the trip is told", |m| gist(m) == "tripped").await?;
    assert!(trip.to_string().contains("protect"), "{trip:#}");
    let explained = stage.person(&["explain", "tenant-daily/sacred"])?;
    assert!(explained.contains("protect"), "{explained}");
    tenant.wait_running(1).await?;
    assert_eq!(stage.writes("sacred").await?, [""; 0]);
    nobody_says_stopped(&stage, "sacred").await
}

#[tokio::test]
async fn a_raise_is_brought_back_twice_and_the_third_time_contested_and_paged() -> Result<()> {
    let stage = Stage::shared().await?;
    let tenant = stage.tenant("raised", 1).await?;
    stage.spend("raised-1", "raised", 51)?;
    stage.held("raised").await?;
    for raises in 1..=2 {
        raise(&stage, &tenant, raises).await?;
        stage.hold("raised", "it is proven again", |h| h["state"] == "Verified").await?;
        tenant.wait_stopped(PATIENCE).await?;
    }
    raise(&stage, &tenant, 3).await?;
    stage.hold("raised", "it is contested", |h| h["state"] == "Contested").await?;
    let page = stage.told("raised", "that is paged", |m| gist(m) == "hold Contested").await?;
    assert_eq!(page["severity"], "critical");
    assert_eq!(tenant.replicas().await?, 2, "it is fought no more");
    let writes = stage.writes("raised").await?;
    let reversed = writes.iter().filter(|w| w.ends_with("/scale 200")).count();
    assert_eq!(reversed, 2, "a write that lost a race is no reversal: {writes:?}");
    Ok(())
}

/// Somebody scales up until the daemon has counted it: in the first moments after its pause KEDA may undo
/// that by itself, and then nobody has to.
async fn raise(stage: &Stage, tenant: &Tenant, raises: u32) -> Result<()> {
    let counted = async || Ok(stage.hold_now("raised").await?["raises"] == raises);
    wait_until("a raise is counted", PATIENCE, async || {
        stage.kubectl("raised", &["scale", "deployment/agent", "--replicas=2"]).await?;
        wait_until("the raise is counted or undone", PATIENCE, async || {
            Ok(counted().await? || tenant.replicas().await? == 0)
        })
        .await?;
        counted().await
    })
    .await?;
    Ok(())
}
