//! `breakerbox demo --cluster` on real servers: what it shows, and that it touches its own namespace only.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::daemon::binary;
use tests::servers::{AuditWrite, Cluster, Role, wait_until};
use tokio::process::Command;
use wiremock::MockServer;

const NAMESPACE: &str = "breakerbox-demo";
const PAUSE: &str = "autoscaling.keda.sh/paused-replicas";
/// Servers and compilers share the machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn demo(kubeconfig: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(["demo", "--cluster"]).args(arguments).env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

async fn ended(command: Command) -> Result<(Option<i32>, String)> {
    let mut command = command;
    let output: Output =
        tokio::time::timeout(PATIENCE, command.output()).await.context("the demo ends")??;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(text)?))
}

async fn namespaces(cluster: &Cluster) -> Result<Api<Namespace>> {
    Ok(Api::all(cluster.client().await?))
}

fn text(write: &AuditWrite) -> String {
    format!("{} {} {} {}", write.verb, write.resource, write.namespace, write.name)
}

/// Writes to the namespace itself, and those to anything outside it. Of a created namespace the audit log has
/// the name only.
fn apart(writes: &[AuditWrite]) -> (Vec<String>, Vec<String>) {
    let itself =
        |w: &&AuditWrite| w.resource == "namespaces" && w.subresource.is_empty() && w.name == NAMESPACE;
    let (own, others): (Vec<_>, Vec<_>) = writes.iter().partition(itself);
    let outside = others.into_iter().filter(|write| write.namespace != NAMESPACE);
    (own.into_iter().map(|write| write.verb.clone()).collect(), outside.map(text).collect())
}

/// One test: all scenes have the one namespace.
#[tokio::test]
async fn the_demo_asks_first_stops_one_tenant_and_touches_only_its_own_namespace() -> Result<()> {
    let cluster = Cluster::start().await?;
    let person = cluster.kubeconfig_for(Role::Person);
    nothing_without_a_yes(&cluster, &person).await?;
    somebody_elses_namespace(&cluster, &person).await?;
    the_whole_play(&cluster, &person).await?;
    kept(&cluster, &person).await?;
    cut_off(&cluster, &person).await
}

async fn nothing_without_a_yes(cluster: &Cluster, person: &Path) -> Result<()> {
    let (code, said) = ended(demo(person, &[])?).await?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no terminal to ask on: nothing was done"), "{said}");
    for told in
        ["context   ", "server    https://127.0.0.1:", "whole cluster", "delete namespace breakerbox-demo"]
    {
        assert!(said.contains(told), "`{told}`: {said}");
    }
    let (code, said) = ended(demo(person, &["--yes", "--context", "elsewhere"])?).await?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the context `elsewhere` cannot be used"), "{said}");
    assert_eq!(cluster.writes_by("person").await?, []);
    Ok(())
}

async fn somebody_elses_namespace(cluster: &Cluster, person: &Path) -> Result<()> {
    cluster.admin().await?.namespace(NAMESPACE, &[("owner", "somebody")]).await?;
    let (code, said) = ended(demo(person, &["--yes"])?).await?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("that no demo made") && said.contains("it is left alone"), "{said}");
    assert_eq!(cluster.writes_by("person").await?, []);
    let theirs = namespaces(cluster).await?;
    assert!(theirs.get(NAMESPACE).await?.metadata.deletion_timestamp.is_none());
    theirs.delete(NAMESPACE, &kube::api::DeleteParams::default()).await?;
    gone(cluster).await
}

async fn the_whole_play(cluster: &Cluster, person: &Path) -> Result<()> {
    let (code, said) = ended(demo(person, &["--yes"])?).await?;
    assert_eq!(code, Some(0), "{said}");
    let mut rest = said.as_str();
    for word in
        ["enforces", "warned", "tripped", "accepted", "proven", "reset", "given back", "runs", "deleted: "]
    {
        let at = rest.find(&format!("  {word}  ")).or_else(|| rest.find(&format!("\n{word}")));
        rest = &rest[at.with_context(|| format!("`{word}` in its turn: {said}"))?..];
    }
    let writes = cluster.writes_by("person").await?;
    let (own, outside) = apart(&writes);
    assert_eq!(outside, [""; 0]);
    assert_eq!(own, ["create", "delete"]);
    let paused = |tenant: &str| writes.iter().any(|w| w.verb == "patch" && w.name == tenant);
    assert!(paused("runaway") && !paused("quiet"), "{writes:?}");
    assert!(namespaces(cluster).await?.get_opt(NAMESPACE).await?.is_none());
    Ok(())
}

/// Left with `--keep`: nothing in it is paused or led any more.
async fn kept(cluster: &Cluster, person: &Path) -> Result<()> {
    let (code, said) = ended(demo(person, &["--yes", "--keep"])?).await?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("to delete it: kubectl delete namespace breakerbox-demo"), "{said}");
    let object = cluster.admin().await?.scaled_object(NAMESPACE, "runaway").await?;
    assert_eq!(object.metadata.annotations.unwrap_or_default().get(PAUSE), None);
    Ok(())
}

/// Ctrl-C in the middle, after an earlier demo was kept: given back, deleted, and said.
async fn cut_off(cluster: &Cluster, person: &Path) -> Result<()> {
    let child = demo(person, &["--yes"])?.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id().context("it runs")?)?);
    let admin = cluster.admin().await?;
    wait_until("the runaway is paused", PATIENCE, async || {
        let object = admin.scaled_object(NAMESPACE, "runaway").await?;
        Ok(object.metadata.annotations.unwrap_or_default().contains_key(PAUSE))
    })
    .await?;
    kill(pid, Signal::SIGINT)?;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await??;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    assert_eq!(output.status.code(), Some(1), "{said}");
    for told in ["deletes what an earlier demo left", "stopped by a signal", "  given back  ", "deleted: the"]
    {
        assert!(said.contains(told), "`{told}`: {said}");
    }
    assert_eq!(apart(&cluster.writes_by("person").await?).1, [""; 0]);
    assert!(namespaces(cluster).await?.get_opt(NAMESPACE).await?.is_none());
    Ok(())
}

async fn gone(cluster: &Cluster) -> Result<()> {
    let namespaces = namespaces(cluster).await?;
    wait_until("the namespace is gone", PATIENCE, async || {
        Ok(namespaces.get_opt(NAMESPACE).await?.is_none())
    })
    .await?;
    Ok(())
}

/// An API server that serves nothing: said with what to install, and nothing is written to it.
#[tokio::test]
async fn a_cluster_without_keda_is_refused_before_anything_is_asked() -> Result<()> {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let uri = server.uri();
    std::fs::write(
        &kubeconfig,
        format!(
            "{{apiVersion: v1, kind: Config, current-context: bare, users: [{{name: u, user: {{}}}}], \
             clusters: [{{name: c, cluster: {{server: \"{uri}\"}}}}], \
             contexts: [{{name: bare, context: {{cluster: c, user: u}}}}]}}"
        ),
    )?;
    let (code, said) = ended(demo(&kubeconfig, &["--yes"])?).await?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("`scaledobjects.keda.sh` is not served") && said.contains("install KEDA"),
        "{said}"
    );
    let asked = server.received_requests().await.context("requests are recorded")?;
    assert!(asked.iter().all(|request| request.method.as_str() == "GET") && !asked.is_empty(), "{asked:?}");
    Ok(())
}
