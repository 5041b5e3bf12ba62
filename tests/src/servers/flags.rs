//! The command lines of the servers. Each address is the loopback, each file of the cluster's
//! own folder, and nothing is left to a default that would be shared between two clusters.

use std::path::Path;
use std::process::Command;

use super::installed::sources;

pub(super) fn etcd_flags(command: &mut Command, folder: &Path, client: u16, peer: u16) {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    command
        .args(["--name", "test", "--log-level", "error", "--unsafe-no-fsync"])
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}")]);
}

pub(super) fn api_server_flags(command: &mut Command, folder: &Path, etcd: u16, port: u16) {
    let path = |flag: &str, file: &Path| format!("--{flag}={}", file.display());
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(path("cert-dir", folder))
        .arg(path("token-auth-file", &folder.join("tokens.csv")))
        .arg("--authorization-mode=RBAC")
        .arg(path("service-account-key-file", &folder.join("sa.key")))
        .arg(path("service-account-signing-key-file", &folder.join("sa.key")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .args(["--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"])
        .arg(path("audit-log-path", &folder.join("audit.log")))
        .arg(path("audit-policy-file", &sources().join("audit-policy.yaml")))
        // Megabytes; above any run, so that the log is one file.
        .arg("--audit-log-maxsize=4000");
}

pub(super) fn component_flags(command: &mut Command, folder: &Path, user: &str) {
    let kubeconfig = folder.join(format!("{user}.kubeconfig"));
    command.arg("--kubeconfig").arg(kubeconfig).args(["--leader-elect=false", "--secure-port=0"]);
}

pub(super) fn kwok_flags(command: &mut Command, folder: &Path, stages: &Path) {
    command
        .arg("--kubeconfig")
        .arg(folder.join("kwok.kubeconfig"))
        .arg("--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
        .args(["--cidr=10.42.0.0/16", "--node-ip=10.42.0.1", "--config"])
        .arg(stages);
}

pub(super) fn keda_flags(command: &mut Command, folder: &Path, metrics: u16, health: u16, service: u16) {
    let local = |flag: &str, port: u16| format!("--{flag}-bind-address=127.0.0.1:{port}");
    command
        .envs([("POD_NAMESPACE", "keda"), ("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda")])
        .env("WATCH_NAMESPACE", "")
        .arg("--kubeconfig")
        .arg(folder.join("keda-operator.kubeconfig"))
        .arg("--cert-dir")
        .arg(folder.join("keda-certs"))
        .arg(local("metrics", metrics))
        .arg(local("health-probe", health))
        .arg(local("metrics-service", service));
}
