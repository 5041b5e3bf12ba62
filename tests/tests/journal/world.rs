//! A daemon that enforces in the shared cluster, one scene at a time: there is one Lease.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::daemon::{Daemon, Site, bedrock_record, cli, get, hold_of, now, stopping_rules};
use tests::servers::{Admin, Cluster, Role, Tenant, WorkloadSpec, wait_for};
use tokio::sync::{Mutex, MutexGuard};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// For what takes a second or two on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pods of each tenant.
pub const PODS: i32 = 2;

/// 20 million tokens at 3.30 USD per million: over the limit of 50 USD.
pub const OVER: u64 = 20_000_000;

pub struct World {
    pub cluster: &'static Cluster,
    pub site: Site,
    admin: Admin,
    hook: MockServer,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    pub async fn new(tenants: &[&str]) -> Result<Self> {
        static SCENE: Mutex<()> = Mutex::const_new(());
        let _alone = SCENE.lock().await;
        let cluster = Cluster::shared().await?;
        let hook = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&hook).await;
        let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
        site.write_rules(&stopping_rules(&site, tenants, &hook.uri()))?;
        Ok(Self { cluster, site, admin: cluster.admin().await?, hook, _alone })
    }

    /// A namespace of that name with a workload that runs.
    pub async fn tenant(&self, name: &str) -> Result<Tenant> {
        self.admin.namespace(name, &[("tenant", name)]).await?;
        let tenant = self.admin.workload(name, &WorkloadSpec::new("agent", PODS)).await?;
        tenant.wait_running(PODS).await?;
        Ok(tenant)
    }

    /// A daemon with those flags, once it answers. The Lease of the one before is taken away.
    pub async fn run(&self, flags: &[&str]) -> Result<Daemon> {
        self.admin.free_lease().await?;
        let daemon = Daemon::spawn_with(&self.site, &[], flags)?;
        self.status("it answers", |_| true).await.with_context(|| daemon.log_tail())?;
        Ok(daemon)
    }

    /// A daemon with those flags, once it enforces.
    pub async fn enforcing(&self, flags: &[&str]) -> Result<Daemon> {
        let daemon = self.run(flags).await?;
        let enforces = |s: &Value| s["ceiling"] == "enforce";
        self.status("it enforces", enforces).await.with_context(|| daemon.log_tail())?;
        Ok(daemon)
    }

    /// A tenant over its limit, stopped and proven, and a daemon that is then killed.
    pub async fn stopped_and_killed(&self, tenant: &Tenant) -> Result<()> {
        let mut daemon = self.enforcing(&[]).await?;
        self.spend(&tenant.namespace, OVER)?;
        tenant.wait_stopped(PATIENCE).await.with_context(|| daemon.log_tail())?;
        self.hold(tenant, "the stop is proven", |hold| hold["state"] == "Verified").await?;
        daemon.kill_9();
        Ok(())
    }

    /// A call of the tenant that the log tells of, in a file of its own.
    pub fn spend(&self, tenant: &str, tokens: u64) -> Result<()> {
        let call = format!("{tenant}-{tokens}");
        self.site.write_log(&format!("{call}.jsonl"), &[bedrock_record(&call, tenant, tokens, &now()?)])
    }

    /// Waits until the daemon's status is as wanted.
    pub async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.site.wait_status(what, PATIENCE, wanted).await
    }

    /// Waits until the hold of a tenant's object is as wanted; `null` where there is none.
    pub async fn hold(&self, tenant: &Tenant, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let of = |status: &Value| hold_of(status, &tenant.namespace).clone();
        let status =
            self.status(&format!("{}: {what}", target(tenant)), |status| wanted(&of(status))).await?;
        Ok(of(&status))
    }

    /// Waits until a breaker's state is that one.
    pub async fn breaker(&self, tenant: &str, state: &str) -> Result<Value> {
        let name = format!("tenant-daily/{tenant}");
        wait_for(&format!("{name} to be {state}"), PATIENCE, async || {
            let all = get(self.site.port, "/v1/breakers").await?.json()?;
            let found = all.as_array().into_iter().flatten().find(|b| b["name"] == name.as_str()).cloned();
            ensure!(found.as_ref().is_some_and(|b| b["state"] == state), "{all}");
            Ok(found)
        })
        .await
    }

    /// A person's command; what it said on stdout.
    pub fn person(&self, arguments: &[&str]) -> Result<String> {
        let output = cli(&self.site, arguments)?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        Ok(out.into_owned())
    }

    /// All messages so far.
    pub async fn messages(&self) -> Result<Vec<Value>> {
        let requests = self.hook.received_requests().await.context("requests are recorded")?;
        requests.iter().map(|r| Ok(serde_json::from_slice(&r.body)?)).collect()
    }

    /// Waits for a page (a critical message) after the first `skip` messages whose detail has all of those words.
    pub async fn paged(&self, skip: usize, words: &[&str]) -> Result<Value> {
        let fits = |m: &Value| {
            let detail = m["decision"]["detail"].as_str().unwrap_or_default();
            m["severity"] == "critical" && words.iter().all(|word| detail.contains(word))
        };
        wait_for(&format!("a page with {words:?}"), PATIENCE, async || {
            let told = self.messages().await?.split_off(skip);
            let found = told.iter().find(|m| fits(m)).cloned();
            ensure!(found.is_some(), "{told:#?}");
            Ok(found)
        })
        .await
    }

    /// How many writes of the daemon to a tenant's namespace the API server logged.
    pub async fn writes(&self, tenant: &Tenant) -> Result<usize> {
        let all = self.cluster.writes_by("breakerbox").await?;
        Ok(all.iter().filter(|w| w.namespace == tenant.namespace && w.code == 200).count())
    }
}

/// Name of a tenant's object.
pub fn target(tenant: &Tenant) -> String {
    format!("ScaledObject/{}/agent", tenant.namespace)
}
