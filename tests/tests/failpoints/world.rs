//! One daemon's folder, a cluster and a receiver of messages; lives of the daemon, and how each ended.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{Patch, PatchParams};
use policy::time::{Span, Timestamp};
use serde_json::{Value, json};
use tests::daemon::{Daemon, Site, Stage, bedrock_record, cli, hold_of, now, orders_of, stopping_rules};
use tests::servers::{Admin, Cluster, Role, Tenant};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// For what takes a second or two on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// 20 million tokens at 3.30 USD per million: over the limit of 50 USD.
const OVER: u64 = 20_000_000;

/// Pods of each tenant.
pub const PODS: i32 = 2;

/// What brings a daemon to the point at which it is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing: what its journal holds open.
    Resume,
    /// The tenant crosses its limit.
    Spend,
    /// A record of tomorrow comes, which is refused.
    Refuse,
    /// Somebody scales the held workload up.
    Raise,
    /// A person resets the breaker.
    Reset,
}

/// How a daemon died.
pub struct Death {
    /// The failpoint.
    pub point: String,
    /// How far each order was that was not resolved.
    pub open: Vec<Stage>,
}

pub struct World {
    pub cluster: &'static Cluster,
    pub admin: Admin,
    pub site: Site,
    pub hook: MockServer,
    pub deaths: Vec<Death>,
    /// Tokens that were written to the logs, by tenant.
    pub spent: BTreeMap<String, u64>,
    files: u32,
}

impl World {
    /// A site that enforces in the shared cluster, with a namespace and a running workload for each tenant.
    pub async fn new(tenants: &[&str]) -> Result<(Self, BTreeMap<String, Tenant>)> {
        let cluster = Cluster::shared().await?;
        let hook = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&hook).await;
        let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
        site.write_rules(&stopping_rules(&site, tenants, &hook.uri()))?;
        let admin = cluster.admin().await?;
        let mut there = BTreeMap::new();
        for name in tenants {
            admin.namespace(name, &[("tenant", name)]).await?;
            let spec = tests::servers::WorkloadSpec::new("agent", PODS);
            there.insert((*name).to_owned(), admin.workload(name, &spec).await?);
        }
        for tenant in there.values() {
            tenant.wait_running(PODS).await?;
        }
        let spent = BTreeMap::new();
        Ok((Self { cluster, admin, site, hook, deaths: Vec::new(), spent, files: 0 }, there))
    }

    /// A life that ends at a failpoint; `arm` says when, in the words of the crate `fail`.
    pub async fn die(&mut self, arm: &str, cause: Cause, tenant: &Tenant) -> Result<()> {
        let point = arm.split('=').next().unwrap_or(arm).to_owned();
        let arm = if arm.contains('=') { arm.to_owned() } else { format!("{arm}=return(abort)") };
        self.admin.free_lease().await?;
        let mut daemon = Daemon::armed(&self.site, &arm)?;
        let died = self.until_death(&mut daemon, cause, tenant).await;
        let status = died.with_context(|| format!("to die at {arm} by {cause:?}\n{}", daemon.log_tail()))?;
        let log = daemon.log();
        let last = log.lines().rev().find_map(|line| line.strip_prefix("failpoint "));
        ensure!(status.signal() == Some(6) && last == Some(&*point), "{arm}: {status}, last at {last:?}");
        let orders = orders_of(&self.site)?;
        let open = orders.iter().map(Stage::of).filter(|stage| *stage != Stage::Resolved).collect();
        self.deaths.push(Death { point, open });
        Ok(())
    }

    async fn until_death(
        &mut self,
        daemon: &mut Daemon,
        cause: Cause,
        tenant: &Tenant,
    ) -> Result<std::process::ExitStatus> {
        if cause != Cause::Resume {
            self.leads(daemon).await?;
            self.bring(cause, tenant).await?;
        }
        daemon.ended(PATIENCE).await
    }

    /// A life without failpoints.
    pub async fn live(&mut self) -> Result<Daemon> {
        self.admin.free_lease().await?;
        let mut daemon = Daemon::start(&self.site).await?;
        self.leads(&mut daemon).await?;
        Ok(daemon)
    }

    /// Waits until the daemon holds the Lease and has seen what exists.
    pub async fn leads(&self, daemon: &mut Daemon) -> Result<()> {
        let since = daemon.started();
        self.status("the daemon leads and sees the cluster", |status| {
            let sources = status["sources"].as_array().map_or(&[][..], Vec::as_slice);
            let cluster = sources.iter().find(|source| source["name"] == "kubernetes");
            let heard =
                cluster.and_then(|source| Timestamp::parse_rfc3339(source["heard_at"].as_str()?).ok());
            status["ceiling"] == "enforce" && heard.is_some_and(|at| at >= since)
        })
        .await
        .map(|_| ())
    }

    /// Waits until the daemon's status is as wanted.
    pub async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.site.wait_status(what, PATIENCE, wanted).await
    }

    /// The state of the hold on a tenant's object; nothing where there is none.
    pub async fn hold_becomes(&self, tenant: &Tenant, wanted: Option<&str>) -> Result<()> {
        let target = format!("ScaledObject/{}/agent", tenant.namespace);
        self.status(&format!("the hold on {target} is {wanted:?}"), |status| {
            hold_of(status, &tenant.namespace)["state"].as_str() == wanted
        })
        .await
        .map(|_| ())
    }

    /// Does what leads to the point.
    pub async fn bring(&mut self, cause: Cause, tenant: &Tenant) -> Result<()> {
        match cause {
            Cause::Resume => Ok(()),
            Cause::Spend => self.spend(&tenant.namespace, OVER),
            Cause::Refuse => {
                let tomorrow = Timestamp::parse_rfc3339(&now()?)?.plus(Span::from_hours(24)).to_string();
                let record = bedrock_record("early", &tenant.namespace, OVER, &tomorrow);
                self.site.write_log("early.jsonl", &[record])
            }
            Cause::Raise => self.raise(tenant).await,
            Cause::Reset => {
                // It may die before it answers: then the person says it again.
                cli(&self.site, &["reset", &format!("tenant-daily/{}", tenant.namespace)])?;
                Ok(())
            }
        }
    }

    /// A record of a call of the tenant, in a file of its own.
    pub fn spend(&mut self, tenant: &str, tokens: u64) -> Result<()> {
        self.files += 1;
        let id = format!("call-{}", self.files);
        *self.spent.entry(tenant.to_owned()).or_default() += tokens;
        self.site.write_log(&format!("{id}.jsonl"), &[bedrock_record(&id, tenant, tokens, &now()?)])
    }

    async fn raise(&self, tenant: &Tenant) -> Result<()> {
        let api: Api<k8s_openapi::api::apps::v1::Deployment> =
            Api::namespaced(self.admin.client(), &tenant.namespace);
        let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
        api.patch_scale("agent", &PatchParams::default(), &scale).await?;
        Ok(())
    }

    /// Points at which a daemon has died.
    pub fn reached(&self) -> BTreeSet<&str> {
        self.deaths.iter().map(|death| &*death.point).collect()
    }
}
