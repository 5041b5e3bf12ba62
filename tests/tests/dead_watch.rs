//! An API server whose watches are dead, before the real daemon: that is shown, asks for little, and stops nobody.
//!
//! The server is a fake, since no real one can be made to misbehave so; what it must answer truly, the Lease, it
//! does.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::daemon::{Daemon, Site, bedrock_record, breakers, now, orders_of, stopping_rules};
use tests::servers::wait_for;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A watch that says nothing is given up after 45 s, and a cluster is unheard after 120 s.
const PATIENCE: Duration = Duration::from_secs(200);
/// 20 million tokens at 3.30 USD per million: over the limit of 50 USD.
const OVER: u64 = 20_000_000;
/// What is listed and watched.
const KINDS: [&str; 4] = ["/namespaces", "/scaledobjects", "/deployments", "/statefulsets"];

/// How the server answers to watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watches {
    /// A bookmark after a second, and its end.
    Well,
    /// 410, each time.
    Gone,
    /// 200, and the end at once.
    Close,
    /// Nothing, and to lists neither: the connection is only half open.
    Silent,
}

#[derive(Debug)]
struct State {
    watches: Watches,
    lease: Option<Value>,
    version: u64,
    /// Lists and watches of ScaledObjects since the last change.
    asked: usize,
    /// Whatever was written, but the Lease and messages.
    writes: Vec<String>,
    messages: Vec<String>,
}

#[derive(Clone, Debug)]
struct Cluster(Arc<Mutex<State>>);

impl Cluster {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn turn(&self, watches: Watches) {
        let mut state = self.state();
        (state.watches, state.asked) = (watches, 0);
    }
}

fn said(code: u16, reason: &str) -> ResponseTemplate {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason}, says the fake"), "reason": reason, "code": code});
    ResponseTemplate::new(code).set_body_json(status)
}

/// A namespace of the tenant `acme` with one ScaledObject; no workloads.
fn items(kind: &str) -> Value {
    match kind {
        "/namespaces" => json!([{"metadata": {"name": "acme", "uid": "n", "labels": {"tenant": "acme"}}}]),
        "/scaledobjects" => json!([{
            "metadata": {"name": "agent", "namespace": "acme", "uid": "s", "resourceVersion": "5"},
            "spec": {"scaleTargetRef": {"name": "agent"}, "minReplicaCount": 1, "maxReplicaCount": 3}
        }]),
        _ => json!([]),
    }
}

impl Respond for Cluster {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (mut state, path) = (self.state(), request.url.path().to_owned());
        if path.contains("/leases") {
            return state.lease(request);
        }
        if path == "/" {
            state.messages.push(String::from_utf8_lossy(&request.body).into_owned());
            return ResponseTemplate::new(200);
        }
        if request.method.as_str() != "GET" {
            state.writes.push(format!("{} {path}", request.method));
            return said(404, "NotFound");
        }
        let Some(kind) = KINDS.iter().find(|kind| path.ends_with(*kind)) else {
            return said(404, "NotFound");
        };
        state.asked += usize::from(*kind == "/scaledobjects");
        let watch =
            request.url.query_pairs().any(|(name, on)| name == "watch" && (on == "true" || on == "1"));
        match (state.watches, watch) {
            (Watches::Silent, _) => said(503, "Late").set_delay(Duration::from_secs(3600)),
            (_, false) => ResponseTemplate::new(200).set_body_json(json!({
                "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items(kind)
            })),
            (Watches::Gone, true) => said(410, "Expired"),
            (Watches::Close, true) => ResponseTemplate::new(200),
            (Watches::Well, true) => {
                let object = json!({"kind": "X", "apiVersion": "v1", "metadata": {"resourceVersion": "8"}});
                let bookmark = json!({"type": "BOOKMARK", "object": object});
                ResponseTemplate::new(200)
                    .set_body_string(format!("{bookmark}\n"))
                    .set_delay(Duration::from_secs(1))
            }
        }
    }
}

impl State {
    fn lease(&mut self, request: &Request) -> ResponseTemplate {
        if request.method.as_str() != "GET" {
            self.version += 1;
            let mut lease: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.lease = Some(lease);
        }
        match &self.lease {
            Some(lease) => ResponseTemplate::new(200).set_body_json(lease),
            None => said(404, "NotFound"),
        }
    }
}

/// The server, where it stands, and a site that may enforce there.
async fn set(watches: Watches) -> Result<(Cluster, MockServer, Site)> {
    let state =
        State { watches, lease: None, version: 10, asked: 0, writes: Vec::new(), messages: Vec::new() };
    let cluster = Cluster(Arc::new(Mutex::new(state)));
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(cluster.clone()).mount(&server).await;
    let site = Site::new("")?;
    let kubeconfig = site.path("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": server.uri()}}],
        "users": [{"name": "fake", "user": {}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}]
    });
    std::fs::write(&kubeconfig, config.to_string())?;
    // Messages go to the fake too.
    site.write_rules(&stopping_rules(&site, &["acme"], &server.uri()))?;
    let site = site.enforcing(kubeconfig);
    Ok((cluster, server, site))
}

fn trouble(status: &Value) -> Option<&str> {
    let sources = status["sources"].as_array()?;
    sources.iter().find(|source| source["name"] == "kubernetes")?["trouble"].as_str()
}

#[tokio::test]
async fn a_watch_that_answers_410_for_ever_is_shown_and_is_not_hammered() -> Result<()> {
    let (cluster, _server, site) = set(Watches::Gone).await?;
    let daemon = Daemon::start(&site).await?;
    let shown = |status: &Value| trouble(status).is_some_and(|why| why.contains("cannot watch"));
    site.wait_status("the dead watch is shown", PATIENCE, shown).await.with_context(|| daemon.log_tail())?;
    not_hammered(&cluster).await
}

#[tokio::test]
async fn a_watch_that_closes_at_once_for_ever_is_not_hammered_and_what_is_there_is_listed() -> Result<()> {
    let (cluster, _server, site) = set(Watches::Close).await?;
    let daemon = Daemon::start(&site).await?;
    site.wait_status("it enforces", PATIENCE, |s| s["ceiling"] == "enforce")
        .await
        .with_context(|| daemon.log_tail())?;
    not_hammered(&cluster).await?;
    // The lists keep the cluster known: who goes over is stopped, as far as this server lets that be.
    spend(&site)?;
    site.wait_status("a hold", PATIENCE, |s| s["holds"].as_array().is_some_and(|holds| !holds.is_empty()))
        .await?;
    Ok(())
}

/// Over some seconds the kind is asked no more often than once a second.
async fn not_hammered(cluster: &Cluster) -> Result<()> {
    let (began, before) = (std::time::Instant::now(), cluster.state().asked);
    wait_for("six more requests", PATIENCE, async || Ok((cluster.state().asked >= before + 6).then_some(())))
        .await?;
    // Both ends fall somewhere within a second.
    ensure!(began.elapsed() >= Duration::from_secs(4), "{:?} for six requests", began.elapsed());
    Ok(())
}

fn spend(site: &Site) -> Result<()> {
    site.write_log("over.jsonl", &[bedrock_record("over", "acme", OVER, &now()?)])
}

#[tokio::test]
async fn from_a_cluster_that_fell_silent_nothing_is_ordered_until_it_is_heard_again() -> Result<()> {
    let (cluster, _server, site) = set(Watches::Well).await?;
    let mut daemon = Daemon::start(&site).await?;
    let heard = |status: &Value| {
        let sources = status["sources"].as_array().map_or(&[][..], Vec::as_slice);
        status["ceiling"] == "enforce"
            && sources.iter().any(|s| s["name"] == "kubernetes" && s["heard_at"].is_string())
    };
    site.wait_status("it enforces and sees", PATIENCE, heard).await.with_context(|| daemon.log_tail())?;
    cluster.turn(Watches::Silent);
    let shown = |status: &Value| trouble(status).is_some_and(|why| why.contains("does not answer"));
    site.wait_status("the silence is shown", PATIENCE, shown).await.with_context(|| daemon.log_tail())?;
    wait_for("the cluster counts as unheard", PATIENCE, async || {
        let told = |message: &String| message.contains("nothing is stopped until it is heard again");
        Ok(cluster.state().messages.iter().any(told).then_some(()))
    })
    .await?;
    spend(&site)?;
    wait_for("the tenant is over", PATIENCE, async || {
        let over = |name: &str, tokens: u64| name.ends_with("/acme") && tokens == 1;
        Ok(breakers(site.port).await?.iter().any(|(name, _, facts)| over(name, *facts)).then_some(()))
    })
    .await?;
    let status = site.status().await?;
    ensure!(status["holds"].as_array().is_some_and(Vec::is_empty) && shown(&status), "{status:#}");
    assert_eq!(cluster.state().writes, [""; 0]);
    let asked = cluster.state().asked;
    ensure!(asked <= 12, "{asked} requests in two minutes of silence");

    // The control: what was withheld is ordered once the cluster is heard.
    cluster.turn(Watches::Well);
    site.wait_status("a hold", PATIENCE, |s| s["holds"].as_array().is_some_and(|holds| !holds.is_empty()))
        .await?;
    daemon.kill_9();
    let orders = orders_of(&site)?;
    ensure!(!orders.is_empty(), "{orders:?}");
    Ok(())
}
