//! The cluster: starts the servers in order, waits until each is ready, hands out clients.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use tokio::sync::OnceCell;

use super::admin::Admin;
use super::audit::{self, AuditWrite};
use super::flags::{api_server_flags, component_flags, etcd_flags, keda_flags, kwok_flags};
use super::installed::{Installed, sources};
use super::options::{KedaVersion, Role};
use super::process::{Folder, Server};
use super::ready::{answers_ok, client_from, ready};
use super::tenant::Tenant;
use super::{config, ports};

/// A running cluster; dropping it kills its servers and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    // Before `folder`: fields are dropped in order, and the folder goes when the servers are dead.
    operator: Mutex<Option<Server>>,
    servers: Vec<Server>,
    folder: Folder,
    installed: Installed,
    keda: KedaVersion,
}

impl Cluster {
    /// The one cluster of this process, started by whoever asks first. Its servers end with the
    /// process. A test that stops the operator should have a cluster of its own.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts a cluster with KEDA 2.21.0: about 5 s, and 650 MB of memory while it lives.
    ///
    /// # Errors
    /// The servers are not installed, or one does not get ready within 90 s; the message ends
    /// with the end of its log.
    pub async fn start() -> Result<Self> {
        Self::start_with(KedaVersion::V2_21).await
    }

    /// Starts a cluster with the KEDA given.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_with(keda: KedaVersion) -> Result<Self> {
        // Another crate of the tests may have chosen already; both choose the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(keda).await {
                // Between our look and the bind somebody else took the port.
                Err(error) if tries < 3 && format!("{error:#}").contains("address already in use") => {}
                other => return other,
            }
        }
    }

    async fn try_start(keda: KedaVersion) -> Result<Self> {
        let installed = Installed::find()?;
        let (operator, crds) = keda.files();
        if !installed.program(operator).exists() {
            bail!("`{operator}` is not installed; run `tests/servers/install --all`");
        }
        let folder = Folder::create()?;
        let [etcd_port, peer_port, api_port] = ports::free()?;
        config::write_users(folder.path(), api_port)?;
        config::write_service_account_key(folder.path())?;
        config::write_keda_certificates(folder.path())?;
        let mut cluster = Self { operator: Mutex::new(None), servers: Vec::new(), folder, installed, keda };
        cluster.spawn("etcd", |command, folder| {
            etcd_flags(command, folder, etcd_port, peer_port);
        })?;
        cluster.spawn("kube-apiserver", |command, folder| {
            api_server_flags(command, folder, etcd_port, api_port);
        })?;
        cluster.wait_for_api_server().await?;
        cluster.apply_objects(crds).await?;
        cluster.spawn("kube-controller-manager", |command, folder| {
            component_flags(command, folder, "kube-controller-manager");
        })?;
        cluster.spawn("kube-scheduler", |command, folder| {
            component_flags(command, folder, "kube-scheduler");
        })?;
        let stages = cluster.installed.file("stages.yaml");
        cluster.spawn("kwok", |command, folder| kwok_flags(command, folder, &stages))?;
        cluster.start_operator().await?;
        cluster.wait_for_node().await?;
        Ok(cluster)
    }

    fn spawn(&mut self, name: &'static str, flags: impl FnOnce(&mut Command, &Path)) -> Result<()> {
        let mut command = Command::new(self.installed.program(name));
        flags(&mut command, self.folder.path());
        self.servers.push(Server::start(name, self.folder.path(), &command)?);
        Ok(())
    }

    async fn wait_for_api_server(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_for(Role::Admin);
        ready("kube-apiserver answers /readyz", &mut self.servers, async || {
            let client = client_from(&kubeconfig).await?;
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await? == "ok")
        })
        .await
    }

    async fn wait_for_node(&mut self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        ready("the node is Ready", &mut self.servers, async || {
            let status = nodes.get("node-1").await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            Ok(conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
        })
        .await
    }

    /// Namespaces, KEDA's CRDs and Deployment, our RBAC and the node.
    async fn apply_objects(&self, crds: &str) -> Result<()> {
        let source = |name: &str| sources().join(name).display().to_string();
        let deployment = self.folder.path().join("keda-operator.yaml");
        let template = std::fs::read_to_string(sources().join("keda-operator.yaml"))?;
        std::fs::write(&deployment, template.replace("VERSION", self.keda.text()))?;
        let (namespaces, rbac, node) =
            (source("namespaces.yaml"), source("breakerbox-rbac.yaml"), source("node.yaml"));
        let crds = self.installed.file(crds).display().to_string();
        let mut apply = vec!["apply", "--server-side"];
        let deployment = deployment.display().to_string();
        for file in [&namespaces, &crds, &rbac, &deployment] {
            apply.extend(["-f", file]);
        }
        self.kubectl(Role::Admin, &apply).await?;
        // `apply` leaves a Node's status alone; `create` takes it.
        self.kubectl(Role::Admin, &["create", "-f", &node]).await?;
        let established = ["wait", "--for=condition=Established", "crd", "--all"];
        self.kubectl(Role::Admin, &established).await?;
        Ok(())
    }

    /// Starts KEDA's operator and waits until it is healthy; does nothing if it runs.
    ///
    /// # Errors
    /// The operator does not get healthy within 90 s.
    pub async fn start_operator(&self) -> Result<()> {
        if self.operator().is_some() {
            return Ok(());
        }
        let [metrics, health, service] = ports::free()?;
        let mut command = Command::new(self.installed.program(self.keda.files().0));
        keda_flags(&mut command, self.folder.path(), metrics, health, service);
        if self.keda == KedaVersion::V2_21 {
            command.args(["--enable-webhook-patching=false", "--enable-apiservice-patching=false"]);
        }
        let mut started = [Server::start("keda-operator", self.folder.path(), &command)?];
        ready("keda-operator is healthy", &mut started, async || answers_ok(health, "/readyz").await).await?;
        let [server] = started;
        *self.operator() = Some(server);
        Ok(())
    }

    /// Kills KEDA's operator, as if it had crashed and did not come back.
    pub fn stop_operator(&self) {
        // Taken out first: the drop waits for the process, and the lock is not held meanwhile.
        let operator = self.operator().take();
        drop(operator);
    }

    fn operator(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.operator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of [`Role::Admin`].
    ///
    /// Clients belong to the runtime of the test that made them, so each test makes its own.
    ///
    /// # Errors
    /// As [`Cluster::client_for`].
    pub async fn client(&self) -> Result<Client> {
        self.client_for(Role::Admin).await
    }

    /// A client with the token of `role`.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client_for(&self, role: Role) -> Result<Client> {
        client_from(&self.kubeconfig_for(role)).await
    }

    /// The kubeconfig of `role`, for a daemon or a command line.
    #[must_use]
    pub fn kubeconfig_for(&self, role: Role) -> PathBuf {
        self.folder.path().join(format!("{}.kubeconfig", role.user()))
    }

    /// Looks and writes as [`Role::Admin`], for a test's preparation and proof.
    ///
    /// # Errors
    /// As [`Cluster::client`].
    pub async fn admin(&self) -> Result<Admin> {
        Ok(Admin::new(self.client().await?))
    }

    /// A namespace with `labels`, in it a Deployment and a ScaledObject, running with `replicas`
    /// pods, an HPA and a `/scale` status: see [`Admin::tenant`].
    ///
    /// # Errors
    /// As [`Admin::tenant`].
    pub async fn tenant(&self, name: &str, labels: &[(&str, &str)], replicas: i32) -> Result<Tenant> {
        self.admin().await?.tenant(name, labels, replicas).await
    }

    /// Runs the real kubectl as `role` and gives back its stdout.
    ///
    /// # Errors
    /// It fails; the message has its stderr.
    pub async fn kubectl(&self, role: Role, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::new(self.installed.program("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig_for(role))
            .arg("--cache-dir")
            .arg(self.folder.path().join("kubectl-cache"))
            .args(arguments)
            .output()
            .await
            .context("cannot run kubectl")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Every write that `user` sent to the API server so far, refused ones too, in its order.
    ///
    /// # Errors
    /// The audit log cannot be read or does not reach up to now within 10 s.
    pub async fn writes_by(&self, user: &str) -> Result<Vec<AuditWrite>> {
        let mut all = self.requests_by(user).await?;
        all.retain(|request| !matches!(request.verb.as_str(), "get" | "list" | "watch"));
        Ok(all)
    }

    /// Every request of `user`, with the reads too, which are logged for `breakerbox` and
    /// `nobody` only. A watch appears when it ends.
    ///
    /// # Errors
    /// As [`Cluster::writes_by`].
    pub async fn requests_by(&self, user: &str) -> Result<Vec<AuditWrite>> {
        let log = self.folder.path().join("audit.log");
        audit::requests_by(&self.client().await?, &log, user).await
    }

    /// The folder with data, keys and logs, which lives as long as the cluster.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
