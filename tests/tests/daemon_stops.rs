//! The whole path on real servers: a log record in, a workload at zero and proven, people told, given back.
//!
//! The real binary with exactly its own rights, a real API server, a real KEDA. What the parts do is tested
//! elsewhere; here it is that they are joined: logs to breakers, orders to KEDA, receipts to holds, notices to
//! receivers, the Lease to the ceiling, and the way out without a daemon.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::daemon::{Daemon, Site, bedrock_record, cli, hold_of, now, stopping_rules};
use tests::servers::{Cluster, Role, Tenant, wait_until};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A stop is proven in seconds; a Lease that a killed daemon held passes on after 15.
const PATIENCE: Duration = Duration::from_secs(60);

/// 20 million tokens at 3.30 USD per million.
const OVER: u64 = 20_000_000;

/// Waits until the daemon's status is as wanted.
async fn status(site: &Site, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    site.wait_status(what, PATIENCE, wanted).await
}

fn knows(status: &Value, tenant: &str) -> bool {
    hold_of(status, tenant)["state"] == "Verified"
}

async fn enforces(site: &Site) -> Result<Value> {
    status(site, "the daemon holds the Lease and enforces", |s| s["ceiling"] == "enforce").await
}

fn spend(site: &Site, call: &str, tenant: &str, tokens: u64) -> Result<()> {
    site.write_log(&format!("{call}.jsonl"), &[bedrock_record(call, tenant, tokens, &now()?)])
}

/// Keys of the messages that arrived, each with how often.
async fn messages(hook: &MockServer) -> Result<Vec<Value>> {
    let requests = hook.received_requests().await.context("requests are recorded")?;
    requests.iter().map(|request| Ok(serde_json::from_slice(&request.body)?)).collect()
}

fn said(site: &Site, arguments: &[&str]) -> Result<String> {
    let output = cli(site, arguments)?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}

#[tokio::test]
async fn a_log_record_stops_one_tenant_until_people_give_it_back() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let hook = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&hook).await;
    let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
    site.write_rules(&stopping_rules(&site, &["over", "under", "later"], &hook.uri()))?;
    let over = cluster.tenant("over", &[("tenant", "over")], 2).await?;
    let under = cluster.tenant("under", &[("tenant", "under")], 1).await?;
    let later = cluster.tenant("later", &[("tenant", "later")], 1).await?;
    let before = over.shape().await?;

    let mut daemon = Daemon::start(&site).await?;
    enforces(&site).await?;
    spend(&site, "u1", "under", 1_000_000)?;
    spend(&site, "o1", "over", OVER)?;
    over.wait_stopped(PATIENCE).await?;
    let held = status(&site, "the stop is proven", |s| knows(s, "over")).await?;
    assert!(hold_of(&held, "under").is_null() && hold_of(&held, "later").is_null(), "{held}");
    under.wait_running(1).await?;

    // Killed while it holds: the next one knows, leads once the Lease has passed, and stops nothing again.
    daemon.kill_9();
    let mut daemon = Daemon::start(&site).await?;
    let held = enforces(&site).await?;
    assert!(knows(&held, "over"), "{held}");
    over.wait_stopped(Duration::from_secs(5)).await?;

    let out = said(&site, &["reset", "tenant-daily/over"])?;
    assert!(out.contains("done:"), "{out}");
    over.wait_running(2).await?;
    status(&site, "the hold is given back", |s| {
        hold_of(s, "over").is_null() || hold_of(s, "over")["state"] == "Released"
    })
    .await?;
    assert_eq!(over.shape().await?, before, "exactly as it was");

    let messages = messages(&hook).await?;
    let keys: Vec<&str> = messages.iter().filter_map(|m| m["key"].as_str()).collect();
    assert_eq!(keys.len(), messages.len(), "{messages:?}");
    let distinct: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(distinct.len(), keys.len(), "each message once: {keys:?}");
    assert!(keys.iter().any(|key| key.contains("tenant-daily/over")), "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("tenant-daily/under")), "{keys:?}");

    frozen_without_a_daemon(&site, &mut daemon, &later).await?;

    let touched: BTreeSet<String> = cluster
        .writes_by("breakerbox")
        .await?
        .iter()
        .map(|write| format!("{write:?}"))
        .filter(|write| write.contains("under"))
        .collect();
    assert!(touched.is_empty(), "the tenant below its limit was never written to: {touched:?}");
    Ok(())
}

/// A freeze that is set without a daemon holds for the next one; then `release --all` without one gives back.
async fn frozen_without_a_daemon(site: &Site, daemon: &mut Daemon, later: &Tenant) -> Result<()> {
    assert!(daemon.drain().await?.success(), "{}", daemon.log_tail());
    let out = said(site, &["freeze", "--reason", "night shift"])?;
    assert!(out.contains("ConfigMap `breakerbox-freeze` in `breakerbox`"), "{out}");
    *daemon = Daemon::start(site).await?;
    enforces(site).await?;
    spend(site, "l1", "later", OVER)?;
    let withheld = |s: &Value| {
        let breakers = s["breakers"].as_array().cloned().unwrap_or_default();
        breakers.iter().any(|b| {
            b["name"] == "tenant-daily/later" && b["detail"].to_string().contains("withheld by freeze")
        })
    };
    status(site, "the trip is withheld for the freeze", withheld).await?;
    later.wait_running(1).await?;

    said(site, &["unfreeze"])?;
    said(site, &["reset", "tenant-daily/later"])?;
    spend(site, "l2", "later", OVER)?;
    later.wait_stopped(PATIENCE).await?;
    status(site, "the stop is proven", |s| knows(s, "later")).await?;
    daemon.kill_9();
    let out = said(site, &["release", "--all"])?;
    assert!(out.contains("ScaledObject/later/agent: given back"), "{out}");
    wait_until("it runs again", PATIENCE, async || Ok(later.replicas().await? >= 1)).await?;
    later.wait_running(1).await?;

    // The next daemon hears of it from the marker, and what people gave back stays theirs in this window.
    *daemon = Daemon::start(site).await?;
    let free = |s: &Value| hold_of(s, "later").is_null() || hold_of(s, "later")["state"] == "Released";
    let released = |s: &Value| s["freeze"].as_str().is_some_and(|why| why.contains("release --all"));
    let known = status(site, "it knows", |s| released(s) && free(s) && s["ceiling"] == "enforce").await?;
    said(site, &["unfreeze"])?;
    spend(site, "l3", "later", 1_000_000)?;
    let more = |s: &Value| s["usage"]["accepted"].as_u64() > known["usage"]["accepted"].as_u64();
    let after = status(site, "it counts on, unfrozen", |s| more(s) && s["freeze"].is_null()).await?;
    assert!(free(&after), "{after}");
    later.wait_running(1).await?;
    Ok(())
}
