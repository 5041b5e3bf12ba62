//! One daemon that enforces in one cluster, for all scenes: there is one Lease.
//!
//! Scenes run side by side, each with tenants of its own; what they share is the rule file, in which every
//! tenant has the same budget. Whoever comes first starts the daemon, and it ends with the last.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::daemon::{Daemon, Site, bedrock_record, cli, hold_of, now};
use tests::servers::{AuditWrite, Cluster, Role, Tenant, wait_for};
use tokio::sync::Mutex;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A stop is proven in seconds; compilers may run beside.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Every tenant of a scene; its role in the logs has its name.
const TENANTS: [&str; 23] = [
    "keda-gone",
    "taken",
    "taken-off",
    "near",
    "dear",
    "old",
    "late",
    "control",
    "three-over",
    "three-under",
    "three-idle",
    "dead",
    "edited",
    "foreign",
    "plain",
    "missing",
    "sacred",
    "raised",
    "first-first",
    "first-last",
    "second-first",
    "second-last",
    "rolls",
];

pub struct Stage {
    pub cluster: &'static Cluster,
    pub site: Site,
    hook: MockServer,
    slack: MockServer,
    _daemon: Daemon,
}

impl Stage {
    /// The stage of this process, as long as a scene holds it.
    pub async fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Stage>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(stage) = shared.upgrade() {
            return Ok(stage);
        }
        let stage = Arc::new(Self::on(Cluster::shared().await?).await?);
        *shared = Arc::downgrade(&stage);
        Ok(stage)
    }

    /// A stage on a cluster of its own, for a scene that takes parts of it away.
    pub async fn alone() -> Result<Self> {
        // As long as the process, like the shared one: its servers end with the process either way.
        Self::on(Box::leak(Box::new(Cluster::start().await?))).await
    }

    /// A stage on a cluster of its own with other rules, and with logs from before it starts.
    pub async fn with(rules: &str, logs: impl FnOnce(&Site) -> Result<()>) -> Result<Self> {
        let cluster = Box::leak(Box::new(Cluster::start().await?));
        Self::set(cluster, rules, logs).await
    }

    async fn on(cluster: &'static Cluster) -> Result<Self> {
        Self::set(cluster, include_str!("rules.yaml"), |_| Ok(())).await
    }

    async fn set(
        cluster: &'static Cluster,
        rules: &str,
        logs: impl FnOnce(&Site) -> Result<()>,
    ) -> Result<Self> {
        let (hook, slack) = (MockServer::start().await, MockServer::start().await);
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&hook).await;
        // As Slack answers to an incoming webhook.
        let ok = ResponseTemplate::new(200).set_body_string("ok");
        Mock::given(method("POST")).respond_with(ok).mount(&slack).await;
        let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
        std::fs::write(site.path("slack"), slack.uri())?;
        logs(&site)?;
        site.write_rules(&filled(&site, &hook, rules))?;
        let daemon = Daemon::start(&site).await?;
        let stage = Self { cluster, site, slack, hook, _daemon: daemon };
        stage.status("the daemon holds the Lease and enforces", |s| s["ceiling"] == "enforce").await?;
        Ok(stage)
    }

    /// Changes the rules.
    pub fn rules(&self, rules: &str) -> Result<()> {
        self.site.write_rules(&filled(&self.site, &self.hook, rules))
    }

    /// Waits until the daemon's status is as wanted.
    pub async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.site.wait_status(what, PATIENCE, wanted).await
    }

    /// Waits until the hold of a tenant's `agent` is as wanted.
    pub async fn hold(&self, tenant: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let status = self.status(&format!("{tenant}: {what}"), |s| wanted(hold_of(s, tenant))).await?;
        Ok(hold_of(&status, tenant).clone())
    }

    /// The hold of a tenant's `agent` as it is.
    pub async fn hold_now(&self, tenant: &str) -> Result<Value> {
        Ok(hold_of(&self.site.status().await?, tenant).clone())
    }

    pub async fn held(&self, tenant: &str) -> Result<Value> {
        self.hold(tenant, "the stop is proven", |h| h["state"] == "Verified").await
    }

    pub async fn given_back(&self, tenant: &str) -> Result<Value> {
        self.hold(tenant, "it is given back", |h| h.is_null() || h["state"] == "Released").await
    }

    /// Spends, by one call that the log tells of.
    pub fn spend(&self, call: &str, tenant: &str, usd: u64) -> Result<()> {
        // 3.30 USD per million tokens.
        let record = bedrock_record(call, tenant, usd * 1_000_000 * 10 / 33, &now()?);
        self.site.write_log(&format!("{call}.jsonl"), &[record])
    }

    /// A person's command; what it said.
    pub fn person(&self, arguments: &[&str]) -> Result<String> {
        let output = cli(&self.site, arguments)?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        Ok(out.into_owned())
    }

    /// A tenant with a running workload of that many pods.
    pub async fn tenant(&self, name: &str, replicas: i32) -> Result<Tenant> {
        self.cluster.tenant(name, &[("tenant", name)], replicas).await
    }

    /// Somebody's kubectl in a tenant's namespace.
    pub async fn kubectl(&self, tenant: &str, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(Role::Person, &[&["-n", tenant], arguments].concat()).await
    }

    /// What the webhook was told about a tenant, in order.
    pub async fn messages(&self, tenant: &str) -> Result<Vec<Value>> {
        Ok(bodies(&self.hook).await?.into_iter().filter(|m| is_about(m, tenant)).collect())
    }

    /// What Slack was told about a tenant, in order: the plain text of each post.
    pub async fn posts(&self, tenant: &str) -> Result<Vec<String>> {
        let text = |m: Value| m["text"].as_str().unwrap_or_default().to_owned();
        Ok(bodies(&self.slack).await?.into_iter().map(text).filter(|t| t.contains(tenant)).collect())
    }

    /// Waits until a message about a tenant is as wanted.
    pub async fn told(&self, tenant: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        wait_for(&format!("{tenant}: {what}"), PATIENCE, async || {
            let all = self.messages(tenant).await?;
            let found = all.iter().find(|m| wanted(m)).cloned();
            ensure!(found.is_some(), "{}", all.iter().map(gist).collect::<Vec<_>>().join("\n"));
            Ok(found)
        })
        .await
    }

    /// What breakerbox wrote in a tenant's namespace: verb, resource, subresource, status.
    pub async fn writes(&self, tenant: &str) -> Result<Vec<String>> {
        let all = self.cluster.writes_by("breakerbox").await?;
        Ok(all.iter().filter(|w| w.namespace == tenant).map(told).collect())
    }

    /// What the API server took of that: a write that lost a race is done again, and is no second one.
    pub async fn changes(&self, tenant: &str) -> Result<Vec<String>> {
        let mut all = self.writes(tenant).await?;
        all.retain(|write| !write.ends_with(" 409"));
        Ok(all)
    }

    /// What breakerbox wrote outside of the tenants' namespaces: each kind of write once.
    pub async fn writes_elsewhere(&self) -> Result<BTreeSet<String>> {
        let all = self.cluster.writes_by("breakerbox").await?;
        let elsewhere = all.iter().filter(|w| !TENANTS.contains(&&*w.namespace));
        Ok(elsewhere.map(|w| format!("{} {}/{}", told(w), w.namespace, w.name)).collect())
    }
}

fn told(write: &AuditWrite) -> String {
    match &*write.subresource {
        "" => format!("{} {} {}", write.verb, write.resource, write.code),
        sub => format!("{} {}/{sub} {}", write.verb, write.resource, write.code),
    }
}

/// Rules with the names and places of this stage.
fn filled(site: &Site, hook: &MockServer, rules: &str) -> String {
    let show = |name| site.path(name).display().to_string();
    let principal = |t| format!("    - {{principal: \"111122223333:role/{t}\", set: {{tenant: {t}}}}}\n");
    rules
        .replace("PRINCIPALS\n", &TENANTS.map(principal).concat())
        .replace("HOOK", &hook.uri())
        .replace("SECRET", &show("token"))
        .replace("SLACK", &show("slack"))
}

async fn bodies(server: &MockServer) -> Result<Vec<Value>> {
    let requests = server.received_requests().await.context("requests are recorded")?;
    requests.iter().map(|r| Ok(serde_json::from_slice(&r.body)?)).collect()
}

/// State and kind of a message, for comparing.
pub fn gist(message: &Value) -> String {
    let decision = &message["decision"];
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (kind, to) = (word(&decision["kind"]), word(&decision["hold"]["to"]));
    let what = if to.is_empty() { word(&decision["threshold"]) } else { to };
    format!("{kind} {what}").trim().to_owned()
}

/// A page is about everybody whom it names.
fn is_about(message: &Value, tenant: &str) -> bool {
    message["breaker"]["instance"] == tenant
        || message.to_string().contains(&format!("ScaledObject/{tenant}/"))
        || message["decision"]["detail"].as_str().is_some_and(|detail| detail.contains(tenant))
}
