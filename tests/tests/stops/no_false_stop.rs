//! What must stop nothing, in enforce with the Lease: old logs, edited rules and prices, a rule folder that goes
//! away, callers who say that they are others. And in the same run, what must be stopped is.

use anyhow::{Context, Result, ensure};
use policy::time::{Span, Timestamp};
use serde_json::{Value, json};
use tests::daemon::{Site, TOKEN, bedrock_record, breakers, get, now, post, usage_event};
use tests::servers::wait_for;

use crate::stage::{PATIENCE, Stage, gist};

/// 1,000 USD at 3.30 USD per million tokens.
const THOUSAND_USD: u64 = 303_030_303;
const MADE_UP: usize = 10_000;

fn rules(limit: &str, prices: &str) -> String {
    let head = include_str!("rules.yaml").split("---\n").next().unwrap_or_default().to_owned();
    let rest: Vec<&str> = include_str!("rules.yaml").split("---\n").skip(3).collect();
    let budget = head.split("    overrides:").next().unwrap_or_default().replace("50 USD", limit)
        + "    overrides: [{match: {tenant: control}, amount: 50 USD, until: 2099-12-31}]\n"
        + &head[head.find("  window:").unwrap_or(0)..];
    let book = format!(
        "apiVersion: breakerbox.dev/v1alpha1\nkind: PriceBook\nmetadata: {{name: ours}}\nspec: {prices}\n"
    );
    [&[&*budget], &rest[..], &[&*book]].concat().join("---\n")
}

const USUAL: &str = "{models: {us.anthropic.claude-sonnet-4-6: {input: 3.30 USD per 1M tokens}}}";
const TIMES_1000: &str = "{models: {us.anthropic.claude-sonnet-4-6: {input: 3300 USD per 1M tokens}}}";
const ACCEPTED: &str = "{models: {us.anthropic.claude-sonnet-4-6: {input: 3300 USD per 1M tokens}}, \
                        accept: [us.anthropic.claude-sonnet-4-6]}";

const USUAL_ACCEPTED: &str = "{models: {us.anthropic.claude-sonnet-4-6: {input: 3.30 USD per 1M tokens}}, \
                              accept: [us.anthropic.claude-sonnet-4-6]}";

/// The days of a month that ended two weeks ago, each far over its limit.
fn last_month(site: &Site, name: &str, days: std::ops::Range<i64>) -> Result<()> {
    let now = Timestamp::parse_rfc3339(&now()?)?;
    for day in days {
        let at = now.minus(Span::from_hours(24 * (14 + day))).to_string();
        let record = bedrock_record(&format!("{name}-{day}"), "old", 10 * THOUSAND_USD, &at);
        site.write_log(&format!("{name}-{day}.jsonl"), &[record])?;
    }
    Ok(())
}

/// Nobody but the control tenant was ever written to, and of the others nothing is held.
async fn nothing_is_stopped(stage: &Stage, tenants: &[&str]) -> Result<()> {
    for tenant in tenants {
        assert_eq!(stage.writes(tenant).await?, [""; 0], "{tenant}");
        assert!(stage.hold_now(tenant).await?.is_null(), "{tenant}");
    }
    Ok(())
}

async fn breaker(stage: &Stage, name: &str) -> Result<Value> {
    let all = get(stage.site.port, "/v1/breakers").await?.json()?;
    let list = all.as_array().or_else(|| all["breakers"].as_array()).context("breakers")?;
    Ok(list.iter().find(|b| b["name"] == name).cloned().unwrap_or(Value::Null))
}

async fn wait_breaker(stage: &Stage, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_for(name, PATIENCE, async || {
        let breaker = breaker(stage, name).await?;
        ensure!(wanted(&breaker), "{breaker}");
        Ok(Some(breaker))
    })
    .await
}

async fn metric(stage: &Stage, name: &str) -> Result<f64> {
    let text = get(stage.site.port, "/metrics").await?.body;
    let line = text.lines().find(|l| l.starts_with(name)).with_context(|| format!("{name}\n{text}"))?;
    Ok(line.rsplit(' ').next().context("a value")?.parse()?)
}

#[tokio::test]
async fn what_must_stop_nothing_stops_nothing_while_a_control_tenant_is_stopped() -> Result<()> {
    let stage = Stage::with(&rules("5000 USD", USUAL), |site| last_month(site, "present", 0..14)).await?;
    let quiet = ["near", "dear", "old", "late"];
    for tenant in quiet {
        stage.tenant(tenant, 1).await?;
    }
    let control = stage.tenant("control", 1).await?;
    old_usage(&stage).await?;
    a_lower_limit(&stage).await?;
    a_thousandfold_price(&stage).await?;
    rules_that_go_away(&stage).await?;
    a_claim_of_another_tenant(&stage).await?;
    made_up_tenants(&stage).await?;
    nothing_is_stopped(&stage, &quiet).await?;

    stage.spend("control-1", "control", 51)?;
    control.wait_stopped(PATIENCE).await?;
    stage.held("control").await?;
    nothing_is_stopped(&stage, &quiet).await?;
    let elsewhere = stage.writes_elsewhere().await?;
    assert!(elsewhere.iter().all(|write| write.contains("leases")), "{elsewhere:?}");
    for tenant in quiet {
        let running =
            stage.kubectl(tenant, &["get", "deployment/agent", "-o", "jsonpath={.status.replicas}"]);
        assert_eq!(running.await?, "1", "{tenant}");
    }
    Ok(())
}

/// Last month's logs, there at the start and fed later, and last month's usage pushed.
async fn old_usage(stage: &Stage) -> Result<()> {
    last_month(&stage.site, "later", 14..28)?;
    let status = |accepted: u64| move |s: &Value| s["usage"]["accepted"].as_u64() >= Some(accepted);
    stage.status("all of last month is counted", status(28)).await?;
    let mut event = usage_event("old-1", 10 * THOUSAND_USD, &now()?);
    event["occurred_at"] = json!("2026-01-15T10:00:00Z");
    let told = post(stage.site.port, "/v1/usage", TOKEN, event.to_string()).await?;
    assert_eq!((told.status.as_u16(), &told.json()?["events"][0]["reason"]), (422, &json!("too_late")));
    assert_eq!(breaker(stage, "tenant-daily/old").await?["sum"], "0.00 USD");
    stage.told("old", "closed days say that they were over", |m| gist(m) == "breached-after-close").await?;
    // Of today, perhaps, but from before anybody could have acted on it.
    let hours_ago = Timestamp::parse_rfc3339(&now()?)?.minus(Span::from_hours(2)).to_string();
    stage.site.write_log("late.jsonl", &[bedrock_record("late-1", "late", 10 * THOUSAND_USD, &hours_ago)])?;
    wait_breaker(stage, "tenant-daily/late", |b| b["state"] == "Arming" || b["facts"] == 0).await?;
    nothing_is_stopped(stage, &["old", "late"]).await
}

async fn a_lower_limit(stage: &Stage) -> Result<()> {
    stage.spend("near-1", "near", 100)?;
    wait_breaker(stage, "tenant-daily/near", |b| b["facts"] == 1).await?;
    stage.rules(&rules("50 USD", USUAL))?;
    wait_breaker(stage, "tenant-daily/near", |b| b["state"] == "Arming").await?;
    stage.spend("near-2", "near", 1)?;
    let arming = wait_breaker(stage, "tenant-daily/near", |b| b["facts"] == 2).await?;
    assert_eq!(arming["state"], "Arming", "also when more is spent");
    let names = |m: &Value| {
        let text = m.to_string();
        m["severity"] == "critical" && ["5,000", "50", "near"].iter().all(|part| text.contains(part))
    };
    stage.told("near", "the page has the difference", names).await?;
    nothing_is_stopped(stage, &["near"]).await
}

async fn a_thousandfold_price(stage: &Stage) -> Result<()> {
    let before = stage.status("a rule set", |s| s["rules"].is_string()).await?["rules"].clone();
    stage.rules(&rules("50 USD", TIMES_1000))?;
    stage.status("it is refused", |s| s["rules_current"] == false && s["rules"] == before).await?;
    stage.told("sonnet-4-6", "the price is paged by name", |m| m["severity"] == "critical").await?;
    stage.rules(&rules("50 USD", ACCEPTED))?;
    stage.status("it is taken", |s| s["rules_current"] == true && s["rules"] != before).await?;
    // One dollar before, a thousand now.
    stage.spend("dear-1", "dear", 1)?;
    let dear = wait_breaker(stage, "tenant-daily/dear", |b| b["facts"] == 1).await?;
    assert_eq!(dear["state"], "Arming", "{dear}");
    stage.told("dear", "it says what it waits for", |m| gist(m).starts_with("arming")).await?;
    // A thousandth is as far away, and a set is whole or not used.
    stage.rules(&rules("50 USD", USUAL))?;
    let dear = stage.status("it is refused too", |s| s["rules_current"] == false).await?["rules"].clone();
    stage.rules(&rules("50 USD", USUAL_ACCEPTED))?;
    stage.status("the usual price is back", |s| s["rules_current"] == true && s["rules"] != dear).await?;
    nothing_is_stopped(stage, &["dear"]).await
}

async fn rules_that_go_away(stage: &Stage) -> Result<()> {
    let before = stage.status("a rule set", |s| s["rules_current"] == true).await?["rules"].clone();
    let (folder, aside) = (stage.site.path("rules"), stage.site.path("aside"));
    let refused = async || metric(stage, "breakerbox_rules_refused_total").await;
    let kept = async |what: &str, refusals: f64| {
        wait_for(what, PATIENCE, async || Ok((refused().await? > refusals).then_some(()))).await?;
        let kept = |s: &Value| s["rules_current"] == false && s["rules"] == before;
        stage.status(what, kept).await
    };
    let refusals = refused().await?;
    std::fs::rename(&folder, &aside)?;
    kept("a folder that is gone keeps the set", refusals).await?;
    std::fs::create_dir(&folder)?;
    kept("an empty folder keeps the set", refusals + 1.0).await?;
    let paged = |m: &Value| m.to_string().contains("no valid set");
    stage.told("no valid set", "that is paged", paged).await?;
    std::fs::remove_dir(&folder)?;
    std::fs::rename(&aside, &folder)?;
    stage.status("the set is current again", |s| s["rules_current"] == true && s["rules"] == before).await?;
    Ok(())
}

async fn a_claim_of_another_tenant(stage: &Stage) -> Result<()> {
    let sum = breaker(stage, "tenant-daily/near").await?["sum"].clone();
    let mut event = usage_event("claim-1", THOUSAND_USD, &now()?);
    event["subject"] = json!({"tenant": "near"});
    event["trust"] = json!({"tenant": "trusted"});
    let told = post(stage.site.port, "/v1/usage", TOKEN, event.to_string()).await?;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    let nobody = breaker(stage, "tenant-daily/unattributed").await?;
    assert_eq!((&nobody["state"], &nobody["facts"]), (&json!("Tripped"), &json!(1)));
    assert_eq!(breaker(stage, "tenant-daily/near").await?["sum"], sum);
    stage.told("unattributed", "nobody's money is told", |m| gist(m) == "tripped").await?;
    Ok(())
}

/// A believed gateway makes names up.
async fn made_up_tenants(stage: &Stage) -> Result<()> {
    let at = now()?;
    let made_up = |n: usize| {
        let mut record: Value =
            serde_json::from_str(&bedrock_record(&format!("m{n}"), "gateway", 1_000, &at))?;
        record["requestMetadata"] = json!({"tenant": format!("made-up-{n}")});
        Ok(record.to_string())
    };
    let records = (0..MADE_UP).map(made_up).collect::<Result<Vec<_>>>()?;
    let before = stage.status("counted so far", |_| true).await?["usage"]["accepted"].as_u64().unwrap_or(0);
    stage.site.write_log("made-up.jsonl", &records)?;
    let all = before + MADE_UP as u64;
    stage.status("all are counted", |s| s["usage"]["accepted"].as_u64() >= Some(all)).await?;
    let names = breakers(stage.site.port).await?;
    let made_up = names.iter().filter(|(name, ..)| name.contains("made-up")).count();
    assert!(made_up <= 1_000, "{made_up} of at most a thousand an hour");
    let over = metric(stage, "breakerbox_subjects_over_cap_total{source=\"bedrock-log\"}").await?;
    assert!(over >= 9_000.0, "{over}");
    stage.told("bedrock-log", "the flood is paged", |m| m.to_string().contains("new subjects")).await?;
    Ok(())
}
