//! How long from the fact that breaches a budget to the pause that the API server has accepted.
//!
//! `cargo bench -p tests --bench patch`. The whole daemon in this process, in enforce, with exactly its own rights,
//! against a real kube-apiserver and etcd (`tests/servers/install`). Two hundred tenants with a ScaledObject each; four
//! times a second one goes over its limit. Measured from just before the envelope is put into the intake until a
//! watch of the owner's shows the pause, so a watch event's way is in the figure too. Nobody runs KEDA, so no order
//! finds its proof and each looks on until its deadline beside those that come. The limit beside it is one patch of
//! such an object by the owner, from the request to the same watch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use collector::envelope::Envelope;
use daemon::app::{App, Running};
use daemon::config::{Config, Overrides};
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use policy::engine::KUBERNETES;
use policy::fact::{Fact, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::price::TokenCounts;
use policy::subject::Trust;
use policy::time::Timestamp;
use serde_json::json;
use tests::daemon::Site;
use tests::servers::{Admin, Cluster, Role, WorkloadSpec, scaled_object_resource, wait_until};

const PAUSED: &str = "autoscaling.keda.sh/paused-replicas";
const BETWEEN: Duration = Duration::from_millis(250);
const BAR: Duration = Duration::from_millis(200);

const RULES: &str = r#"apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: tenant-daily}
spec:
  description: bench
  select: {all: true}
  perEach: [tenant]
  limit: {amount: 50 USD}
  window: {calendar: day, timezone: UTC}
  tripAt: 100%
  onTrip:
    - pauseScaledObjects: {in: {namespaceLabels: {tenant: "${tenant}"}}}
  restore: {when: window-rolls}
  mode: enforce
---
apiVersion: breakerbox.dev/v1alpha1
kind: Guardrail
metadata: {name: default}
spec:
  blastRadius: {perRule: 100% of eligible targets per 10m, atLeast: 5000, overall: 5000 per 10m}
"#;

/// When a pause was first seen in each namespace.
type Seen = Arc<Mutex<BTreeMap<String, Instant>>>;

fn objects(admin: &Admin, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => admin.scaled_objects(namespace),
        None => Api::all_with(admin.client(), &scaled_object_resource()),
    }
}

async fn watch(admin: &Admin) -> Result<Seen> {
    let all = objects(admin, None);
    let version = all.list(&Default::default()).await?.metadata.resource_version.context("a version")?;
    let seen = Seen::default();
    let noted = seen.clone();
    let mut events = all.watch(&WatchParams::default(), &version).await?.boxed();
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            if let WatchEvent::Modified(object) = event
                && object.metadata.annotations.is_some_and(|a| a.contains_key(PAUSED))
            {
                let namespace = object.metadata.namespace.unwrap_or_default();
                noted.lock().expect("a map").entry(namespace).or_insert_with(Instant::now);
            }
        }
    });
    Ok(seen)
}

async fn start(site: &Site) -> Result<Running> {
    let path = site.config()?;
    let config = Config::parse("bench", &std::fs::read_to_string(path)?, &Overrides::default())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let deps = daemon::wiring::deps(&config, false).await?;
    let running = App::new(config, deps).start().await?;
    wait_until("the Lease is held and the cluster is listed", Duration::from_secs(60), async || {
        let view = running.handle.look(|engine, now| engine.view(now)).await?;
        let listed =
            view.sources.iter().any(|(name, source)| &**name == KUBERNETES && source.heard_at.is_some());
        Ok(listed && view.ceiling == policy::rule::Mode::Enforce)
    })
    .await?;
    Ok(running)
}

/// Usage of 60 USD by a tenant.
fn usage(running: &Running, tenant: &str, now: Timestamp) -> Fact {
    let mut builder = UsageBatchBuilder::new(running.id_key, "gateway", false);
    builder.push(&UsageRef {
        key: tenant,
        occurred_at: now,
        quantities: Quantities::Tokens(TokenCounts { output: 4_000_000, ..TokenCounts::default() }),
        flags: UsageFlags::default(),
        origin: OriginRef {
            provider: "aws.bedrock",
            account: "111122223333",
            region: "us-east-1",
            model: "us.anthropic.claude-sonnet-4-6",
            claims: &[("tenant", tenant, Trust::Trusted)],
            ..OriginRef::default()
        },
        end: None,
        links: &[],
    });
    Fact::Usage(builder.finish())
}

async fn all_seen(seen: &Seen, sent: &BTreeMap<String, Instant>) -> Result<Vec<Duration>> {
    wait_until("every pause is accepted", Duration::from_secs(60), async || {
        let seen = seen.lock().expect("a map");
        Ok(sent.keys().all(|namespace| seen.contains_key(namespace)))
    })
    .await?;
    let seen = seen.lock().expect("a map");
    let mut took: Vec<Duration> = sent.iter().map(|(namespace, sent)| seen[namespace] - *sent).collect();
    took.sort_unstable();
    Ok(took)
}

async fn breaches(running: &Running, seen: &Seen, names: &[String]) -> Result<Vec<Duration>> {
    let mut sent = BTreeMap::new();
    let mut pace = tokio::time::interval(BETWEEN);
    for name in names {
        pace.tick().await;
        let now = running.handle.look(|_, now| now).await?;
        let fact = usage(running, name, now);
        sent.insert(name.clone(), Instant::now());
        running.intake.put(Envelope::without_ack(fact)).await.map_err(|_| anyhow::anyhow!("no daemon"))?;
    }
    all_seen(seen, &sent).await
}

/// Pauses by the owner, one after another.
async fn patches(admin: &Admin, seen: &Seen, names: &[String]) -> Result<Vec<Duration>> {
    let mut sent = BTreeMap::new();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {PAUSED: "0"}}}));
    for name in names {
        sent.insert(name.clone(), Instant::now());
        objects(admin, Some(name)).patch("agent", &PatchParams::default(), &patch).await?;
    }
    all_seen(seen, &sent).await
}

/// A percentile by nearest rank, of what is sorted.
fn percentile(took: &[Duration], share: usize) -> Duration {
    took[(took.len() * share).div_ceil(100).max(1) - 1]
}

fn shares(took: &[Duration]) -> String {
    let at = |share| percentile(took, share).as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(50), at(99), at(100))
}

async fn run(count: usize) -> Result<()> {
    let cluster = Cluster::start().await?;
    let admin = cluster.admin().await?;
    let name = |kind: &str, n: usize| format!("{kind}-{n}");
    let stopped: Vec<String> = (0..count).map(|n| name("over", n)).collect();
    let patched: Vec<String> = (0..count).map(|n| name("plain", n)).collect();
    for namespace in stopped.iter().chain(&patched) {
        admin.namespace(namespace, &[("tenant", namespace)]).await?;
        admin.workload(namespace, &WorkloadSpec::new("agent", 0)).await?;
    }
    let site = Site::new(RULES)?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
    let running = start(&site).await?;
    let seen = watch(&admin).await?;
    let took = breaches(&running, &seen, &stopped).await?;
    let alone = patches(&admin, &seen, &patched).await?;
    println!("patch: {count} breaches to the accepted pause, as a watch shows it: {}", shares(&took));
    println!("  limit: one patch by the owner, as the same watch shows it: {}", shares(&alone));
    let met = percentile(&took, 99) <= BAR;
    println!("  bar: p99 at most 200 ms: {}", if met { "yes" } else { "NO" });
    running.drain().await.map_err(|ended| anyhow::anyhow!("{ended}"))?;
    Ok(())
}

fn main() -> Result<()> {
    // One TLS provider for everything; an error means that one was installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // `cargo test --benches` runs every bench once with `--test`: then a small one will do.
    let count = if std::env::args().any(|arg| arg == "--test") { 5 } else { 200 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(count))
}
