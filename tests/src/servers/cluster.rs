//! The cluster: starts the servers in order, waits until each is ready, hands out clients.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OnceCell;

use super::admin::Admin;
use super::audit::{self, AuditWrite};
use super::installed::{Installed, sources};
use super::process::{Folder, Server, keep_logs};
use super::tenant::Tenant;
use super::wait::wait_for;
use super::{config, ports};

/// Each server is ready within 1 to 3 s on an idle machine of two cores; compilers may run beside.
const READY: Duration = Duration::from_secs(90);

/// Whose token a client carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The test itself: may do all.
    Admin,
    /// The daemon, with the rights of `tests/servers/breakerbox-rbac.yaml` and no others.
    Breakerbox,
    /// Somebody else who may do all, for edits that the audit log tells from the test's own.
    Person,
    /// A user without any right, for answers of 403.
    Nobody,
}

impl Role {
    pub(super) const ALL: [Self; 4] = [Self::Admin, Self::Breakerbox, Self::Person, Self::Nobody];

    /// The user's name, as the audit log has it.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Breakerbox => "breakerbox",
            Self::Person => "person",
            Self::Nobody => "nobody",
        }
    }

    pub(super) const fn groups(self) -> &'static str {
        match self {
            Self::Admin | Self::Person => "system:masters",
            Self::Breakerbox | Self::Nobody => "",
        }
    }
}

/// Which KEDA operator a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KedaVersion {
    /// 2.21.0: the reconciler scales, a pause is proven within about 150 ms.
    V2_21,
    /// 2.16.1: the scale loop scales, racy, up to a polling interval late. Only after
    /// `tests/servers/install --all`.
    V2_16,
}

impl KedaVersion {
    const fn text(self) -> &'static str {
        match self {
            Self::V2_21 => "2.21.0",
            Self::V2_16 => "2.16.1",
        }
    }

    /// Names of the operator's binary and of the folder with its CRDs.
    const fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::V2_21 => ("keda-operator", "keda-crds"),
            Self::V2_16 => ("keda-operator-2.16", "keda-crds-2.16"),
        }
    }
}

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
                Err(error)
                    if tries < 3 && format!("{error:#}").contains("address already in use") => {}
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
        let mut cluster = Self {
            operator: Mutex::new(None),
            servers: Vec::new(),
            folder,
            installed,
            keda,
        };
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
        cluster.spawn("kwok", |command, folder| {
            kwok_flags(command, folder, &stages)
        })?;
        cluster.start_operator().await?;
        cluster.wait_for_node().await?;
        Ok(cluster)
    }

    fn spawn(&mut self, name: &'static str, flags: impl FnOnce(&mut Command, &Path)) -> Result<()> {
        let mut command = Command::new(self.installed.program(name));
        flags(&mut command, self.folder.path());
        self.servers
            .push(Server::start(name, self.folder.path(), &command)?);
        Ok(())
    }

    async fn wait_for_api_server(&mut self) -> Result<()> {
        let kubeconfig = self.kubeconfig_for(Role::Admin);
        ready(
            "kube-apiserver answers /readyz",
            &mut self.servers,
            async || {
                let client = client_from(&kubeconfig).await?;
                let request = http::Request::get("/readyz").body(Vec::new())?;
                Ok(client.request_text(request).await? == "ok")
            },
        )
        .await
    }

    async fn wait_for_node(&mut self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client().await?);
        ready("the node is Ready", &mut self.servers, async || {
            let status = nodes.get("node-1").await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            Ok(conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == "True"))
        })
        .await
    }

    /// Namespaces, KEDA's CRDs and Deployment, our RBAC and the node.
    async fn apply_objects(&self, crds: &str) -> Result<()> {
        let source = |name: &str| sources().join(name).display().to_string();
        let deployment = self.folder.path().join("keda-operator.yaml");
        let template = std::fs::read_to_string(sources().join("keda-operator.yaml"))?;
        std::fs::write(&deployment, template.replace("VERSION", self.keda.text()))?;
        let (namespaces, rbac, node) = (
            source("namespaces.yaml"),
            source("breakerbox-rbac.yaml"),
            source("node.yaml"),
        );
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
            command.args([
                "--enable-webhook-patching=false",
                "--enable-apiservice-patching=false",
            ]);
        }
        let mut started = [Server::start(
            "keda-operator",
            self.folder.path(),
            &command,
        )?];
        ready("keda-operator is healthy", &mut started, async || {
            answers_ok(health, "/readyz").await
        })
        .await?;
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
        self.folder
            .path()
            .join(format!("{}.kubeconfig", role.user()))
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
    pub async fn tenant(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        replicas: i32,
    ) -> Result<Tenant> {
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
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
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

async fn client_from(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Waits until `probe` says true, and gives up at once when one of `servers` has ended.
async fn ready<F>(what: &str, servers: &mut [Server], mut probe: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<bool>,
{
    let answer = wait_for(what, READY, async || {
        for server in servers.iter_mut() {
            if let Err(ended) = server.check() {
                return Ok(Some(Err(ended)));
            }
        }
        Ok(probe().await?.then_some(Ok(())))
    })
    .await;
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ended)) => {
            keep_logs();
            Err(ended.context(format!("waited until {what}")))
        }
        Err(late) => {
            let tail = servers.last().map(Server::tail).unwrap_or_default();
            Err(late.context(tail))
        }
    }
}

/// Whether the plain HTTP server at `port` answers 200 on `path`.
async fn answers_ok(port: u16, path: &str) -> Result<bool> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

fn etcd_flags(command: &mut Command, folder: &Path, client: u16, peer: u16) {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    command
        .args([
            "--name",
            "test",
            "--log-level",
            "error",
            "--unsafe-no-fsync",
        ])
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("test={peer}")]);
}

fn api_server_flags(command: &mut Command, folder: &Path, etcd: u16, port: u16) {
    let path = |flag: &str, file: &Path| format!("--{flag}={}", file.display());
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(path("cert-dir", folder))
        .arg(path("token-auth-file", &folder.join("tokens.csv")))
        .arg("--authorization-mode=RBAC")
        .arg(path("service-account-key-file", &folder.join("sa.key")))
        .arg(path(
            "service-account-signing-key-file",
            &folder.join("sa.key"),
        ))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .args([
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
        ])
        .arg(path("audit-log-path", &folder.join("audit.log")))
        .arg(path(
            "audit-policy-file",
            &sources().join("audit-policy.yaml"),
        ))
        // Megabytes; above any run, so that the log is one file.
        .arg("--audit-log-maxsize=4000");
}

fn component_flags(command: &mut Command, folder: &Path, user: &str) {
    let kubeconfig = folder.join(format!("{user}.kubeconfig"));
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--leader-elect=false", "--secure-port=0"]);
}

fn kwok_flags(command: &mut Command, folder: &Path, stages: &Path) {
    command
        .arg("--kubeconfig")
        .arg(folder.join("kwok.kubeconfig"))
        .arg("--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
        .args(["--cidr=10.42.0.0/16", "--node-ip=10.42.0.1", "--config"])
        .arg(stages);
}

fn keda_flags(command: &mut Command, folder: &Path, metrics: u16, health: u16, service: u16) {
    let local = |flag: &str, port: u16| format!("--{flag}-bind-address=127.0.0.1:{port}");
    command
        .envs([
            ("POD_NAMESPACE", "keda"),
            ("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda"),
        ])
        .env("WATCH_NAMESPACE", "")
        .arg("--kubeconfig")
        .arg(folder.join("keda-operator.kubeconfig"))
        .arg("--cert-dir")
        .arg(folder.join("keda-certs"))
        .arg(local("metrics", metrics))
        .arg(local("health-probe", health))
        .arg(local("metrics-service", service));
}
