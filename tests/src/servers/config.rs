//! The files that the servers of one cluster read: users, kubeconfigs, keys.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::options::Role;

/// Who may talk to the API server. The servers' own users are masters too: what is under test is
/// the rights of `breakerbox`, and separate names keep the audit log readable.
const SERVER_USERS: [&str; 4] = ["kube-controller-manager", "kube-scheduler", "kwok", "keda-operator"];

/// Writes `tokens.csv` and one `USER.kubeconfig` for each user.
///
/// The certificate authority is the API server's own: it makes itself a certificate at its first
/// start, in the same folder, and the kubeconfigs name that file.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write_users(folder: &Path, api_port: u16) -> Result<()> {
    let mut tokens = String::new();
    let mut add = |user: &str, groups: &str| {
        tokens.push_str(&format!("token-of-{user},{user},uid-{user},\"{groups}\"\n"));
        let path = folder.join(format!("{user}.kubeconfig"));
        std::fs::write(path, kubeconfig(folder, api_port, user))
    };
    for user in SERVER_USERS {
        add(user, "system:masters")?;
    }
    for role in Role::ALL {
        add(role.user(), role.groups())?;
    }
    std::fs::write(folder.join("tokens.csv"), tokens)?;
    Ok(())
}

fn kubeconfig(folder: &Path, api_port: u16, user: &str) -> String {
    let authority = folder.join("apiserver.crt");
    let authority = authority.display();
    format!(
        "apiVersion: v1
kind: Config
current-context: test
clusters:
  - name: test
    cluster: {{server: \"https://127.0.0.1:{api_port}\", certificate-authority: \"{authority}\"}}
users:
  - name: {user}
    user: {{token: token-of-{user}}}
contexts:
  - name: test
    context: {{cluster: test, user: {user}}}
"
    )
}

/// Writes `sa.key`, with which the API server signs service account tokens.
///
/// # Errors
/// openssl is missing or fails.
pub(super) fn write_service_account_key(folder: &Path) -> Result<()> {
    let key = folder.join("sa.key");
    openssl(
        Command::new("openssl")
            .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"])
            .arg(key),
    )
}

/// Writes `keda-certs/{tls.crt,tls.key,ca.crt}`, without which KEDA's operator does not start.
///
/// # Errors
/// openssl is missing or fails.
pub(super) fn write_keda_certificates(folder: &Path) -> Result<()> {
    let certs = folder.join("keda-certs");
    std::fs::create_dir_all(&certs)?;
    openssl(
        Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "30"])
            .args(["-subj", "/CN=keda-operator.keda.svc"])
            .arg("-keyout")
            .arg(certs.join("tls.key"))
            .arg("-out")
            .arg(certs.join("tls.crt")),
    )?;
    std::fs::copy(certs.join("tls.crt"), certs.join("ca.crt"))?;
    Ok(())
}

fn openssl(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot run `openssl`")?;
    if !output.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
