//! `breakerbox plan` on a real API server with 200 ScaledObjects: it lists what each breaker would stop, what was
//! spent and what every guard would refuse, and writes nothing.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::daemon::{Daemon, Site, bedrock_record, breakers, cli, now, stopping_rules};
use tests::servers::{Cluster, Role, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// Objects of each tenant.
const EACH: usize = 50;
const TENANTS: [&str; 4] = ["plan-a", "plan-b", "plan-c", "plan-safe"];
/// A webhook that nobody calls.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// A namespace for each tenant with its ScaledObjects; they scale what is not there, so nothing runs.
fn manifest() -> Result<String> {
    let mut yaml = String::new();
    for tenant in TENANTS {
        writeln!(yaml, "---\napiVersion: v1\nkind: Namespace")?;
        writeln!(yaml, "metadata: {{name: {tenant}, labels: {{tenant: {tenant}}}}}")?;
        for n in 0..EACH {
            writeln!(yaml, "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject")?;
            writeln!(yaml, "metadata: {{name: agent-{n:02}, namespace: {tenant}}}")?;
            writeln!(yaml, "spec:\n  scaleTargetRef: {{name: agent-{n:02}}}\n  triggers:")?;
            writeln!(
                yaml,
                "  - {{type: cron, metadata: {{timezone: UTC, start: 0 0 * * *, end: 59 23 * * *, desiredReplicas: \"1\"}}}}"
            )?;
        }
    }
    Ok(yaml)
}

/// The rules with another limit; `plan-safe` is protected.
fn rules(site: &Site, limit: &str) -> String {
    stopping_rules(site, &TENANTS, NOWHERE)
        .replace("50 USD", limit)
        .replace("  page: oncall", "  page: oncall\n  protect: {namespaces: [plan-safe]}")
}

async fn cluster() -> Result<&'static Cluster> {
    let cluster = Cluster::shared().await?;
    let file = cluster.folder().join("plan.yaml");
    std::fs::write(&file, manifest()?)?;
    let path = file.display().to_string();
    cluster.kubectl(Role::Admin, &["apply", "--server-side", "-f", &path]).await?;
    Ok(cluster)
}

/// Runs `plan` and reads its JSON.
async fn plan(site: &Site, arguments: &[&str]) -> Result<Value> {
    let arguments = [&["plan", "--format", "json"], arguments].concat();
    let output = tokio::task::block_in_place(|| cli(site, &arguments))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| said)
}

fn breaker<'p>(plan: &'p Value, name: &str) -> Result<&'p Value> {
    let all = plan["breakers"].as_array().context("breakers")?;
    all.iter().find(|b| b["name"] == name).with_context(|| format!("no breaker {name} in {plan}"))
}

fn checks(breaker: &Value) -> Vec<&str> {
    breaker["refusals"].as_array().into_iter().flatten().filter_map(|r| r[0].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_what_200_objects_are_for_and_writes_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
    site.write_rules(&rules(&site, "50 USD"))?;
    let before = cluster.writes_by(Role::Breakerbox.user()).await?.len();
    let _daemon = Daemon::start(&site).await?;
    // 16.50 USD of plan-a, 3.30 USD of the protected one.
    let now = now()?;
    site.write_log(
        "calls.json",
        &[
            bedrock_record("one", "plan-a", 5_000_000, &now),
            bedrock_record("two", "plan-safe", 1_000_000, &now),
        ],
    )?;
    wait_for("the records and the cluster", PATIENCE, async || {
        let all = breakers(site.port).await?;
        let plan = plan(&site, &[]).await?;
        ensure!(all.len() == 2 && plan["in_force"]["objects"].as_u64() >= Some(200), "{all:?} {plan}");
        Ok(Some(()))
    })
    .await?;

    let candidate = site.path("candidate");
    std::fs::create_dir(&candidate)?;
    std::fs::write(candidate.join("rules.yaml"), rules(&site, "10 USD"))?;
    let folder = candidate.display().to_string();
    let plans = plan(&site, &["--rules", &folder]).await?;

    let spent = breaker(&plans["in_force"], "tenant-daily/plan-a")?;
    assert_eq!((&spent["now"], &spent["state"]), (&"Nothing".into(), &"Clear".into()));
    assert_eq!(spent["targets"].as_array().map(Vec::len), Some(EACH));
    assert_eq!(checks(spent), ["blast-radius"], "{spent}");
    let safe = breaker(&plans["in_force"], "tenant-daily/plan-safe")?;
    assert_eq!(safe["targets"].as_array().map(Vec::len), Some(0));
    assert_eq!(safe["left"].as_array().map(Vec::len), Some(EACH), "{safe}");
    assert!(safe["left"][0][1].as_str().is_some_and(|why| why.contains("protected")), "{safe}");

    // The lower limit brings it over, and a change of rules waits for a person.
    let over = breaker(&plans["candidate"], "tenant-daily/plan-a")?;
    assert_eq!((&over["now"], &over["state"]), (&"Waits".into(), &"Arming".into()), "{over}");
    let budget = &plans["candidate"]["budgets"][0];
    assert_eq!(
        budget["reach"].as_u64(),
        Some(3 * EACH as u64),
        "the protected ones are out of reach: {budget}"
    );
    assert_eq!(budget["largest"].as_u64(), Some(EACH as u64));

    let comment =
        tokio::task::block_in_place(|| cli(&site, &["plan", "--rules", &folder, "--format", "markdown"]))?;
    let comment = String::from_utf8(comment.stdout)?;
    for part in
        ["### breakerbox plan", "limit 50.00 USD → 10.00 USD", "nothing now → waits", "#### Difference"]
    {
        assert!(comment.contains(part), "no `{part}` in\n{comment}");
    }

    let frozen = tokio::task::block_in_place(|| cli(&site, &["freeze", "--reason", "a test"]))?;
    ensure!(frozen.status.success());
    let plans = plan(&site, &[]).await?;
    assert_eq!(checks(breaker(&plans["in_force"], "tenant-daily/plan-a")?), ["freeze", "blast-radius"]);

    let status = site.status().await?;
    assert_eq!(status["holds"].as_array().map(Vec::len), Some(0), "{status}");
    let writes = cluster.writes_by(Role::Breakerbox.user()).await?;
    // The daemon's own Lease, and the marker of the freeze that the test asked for.
    let others: Vec<_> =
        writes[before..].iter().filter(|w| !["leases", "configmaps"].contains(&&*w.resource)).collect();
    assert!(others.is_empty(), "{others:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_a_plan_reads_the_cluster_and_writes_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let site = Site::new("")?.enforcing(cluster.kubeconfig_for(Role::Person));
    site.write_rules(&rules(&site, "50 USD"))?;
    let before = cluster.writes_by(Role::Person.user()).await?.len();
    let plans = plan(&site, &[]).await?;
    let plan = &plans["candidate"];
    ensure!(plan["objects"].as_u64() >= Some(200), "{plan}");
    assert_eq!(plan["budgets"][0]["largest"].as_u64(), Some(EACH as u64));
    assert_eq!(plan["budgets"][0]["rule_cap"].as_u64().map(|cap| cap < EACH as u64), Some(true), "{plan}");
    assert!(!site.path("data/journal.db").exists(), "a plan makes no journal");
    let writes = cluster.writes_by(Role::Person.user()).await?;
    assert_eq!(writes[before..], [], "a plan writes nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_wrong_are_told_as_check_tells_them_and_end_with_2() -> Result<()> {
    let site = Site::new("")?;
    let candidate = site.path("candidate");
    std::fs::create_dir(&candidate)?;
    std::fs::write(candidate.join("rules.yaml"), "kind: Budgit\n")?;
    let folder = candidate.display().to_string();
    let output = tokio::task::block_in_place(|| cli(&site, &["plan", "--rules", &folder]))?;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `Budget`?"));
    Ok(())
}
