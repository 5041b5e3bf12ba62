//! Slack by a bot token, through the real binary: posts for what people must notice, edits for progress, each
//! once, and once only over restarts.

#[path = "../../actions/tests/notify/fake_slack.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod fake_slack;

use std::time::Duration;

use anyhow::{Result, ensure};
use fake_slack::{FakeSlack, TOKEN, Trouble};
use tests::daemon::{Daemon, Site, bedrock_record, cli, hold_of, now, stopping_rules};
use tests::servers::{Cluster, Role, wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// The route `oncall` posts into Slack by a bot token.
fn rules(site: &Site, tenants: &[&str]) -> String {
    let token = site.path("bot-token").display().to_string();
    let receiver = format!("    - slackChat: {{token: {{file: {token}}}, channel: \"#oncall\"}}\n");
    let rules = stopping_rules(site, tenants, "http://hook");
    let lines = rules.lines().map(|line| match line.trim_start().starts_with("- webhook:") {
        true => receiver.clone(),
        false => format!("{line}\n"),
    });
    lines.collect()
}

fn site(slack: &FakeSlack) -> Result<Site> {
    let site = Site::new("")?.with(&format!("slack: {{api: \"{}\"}}", slack.api_url()));
    std::fs::write(site.path("bot-token"), format!("{TOKEN}\n"))?;
    Ok(site)
}

/// Spends, by one call that the log tells of.
fn spend(site: &Site, call: &str, tenant: &str, usd: u64) -> Result<()> {
    // 3.30 USD per million tokens.
    let record = bedrock_record(call, tenant, usd * 1_000_000 * 10 / 33, &now()?);
    site.write_log(&format!("{call}.jsonl"), &[record])
}

/// What the channel shows: each post's title with how often it was edited.
fn shown(slack: &FakeSlack) -> Vec<(String, u32)> {
    slack.posted().iter().map(|post| (post.title(), post.edits)).collect()
}

async fn shows(slack: &FakeSlack, what: &str, wanted: &[(&str, u32)]) -> Result<()> {
    wait_for(what, PATIENCE, async || {
        let shown = shown(slack);
        let is = |(title, edits): &(String, u32), want: &(&str, u32)| {
            title.starts_with(want.0) && *edits == want.1
        };
        let all = shown.len() == wanted.len() && shown.iter().zip(wanted).all(|(post, want)| is(post, want));
        ensure!(all, "{shown:#?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_bot_posts_what_people_must_notice_and_edits_what_goes_on() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let slack = FakeSlack::start().await;
    let site = site(&slack)?.enforcing(cluster.kubeconfig_for(Role::Breakerbox));
    site.write_rules(&rules(&site, &["bot"]))?;
    let tenant = cluster.tenant("bot", &[("tenant", "bot")], 2).await?;
    let mut daemon = Daemon::start(&site).await?;
    site.wait_status("it enforces", PATIENCE, |s| s["ceiling"] == "enforce").await?;

    spend(&site, "b1", "bot", 42)?;
    let (warned, stopped) = (("🟡 bot reached 80% of its limit", 0), ("🔵 bot stopped: spent 51.00 USD", 1));
    shows(&slack, "the warning", &[warned]).await?;
    spend(&site, "b2", "bot", 9)?;
    tenant.wait_stopped(PATIENCE).await?;
    shows(&slack, "the trip, edited to its proof", &[warned, stopped]).await?;

    daemon.kill_9();
    let _daemon = Daemon::start(&site).await?;
    let proven =
        |s: &serde_json::Value| s["ceiling"] == "enforce" && hold_of(s, "bot")["state"] == "Verified";
    site.wait_status("it leads again and knows", PATIENCE, proven).await?;
    let output = cli(&site, &["reset", "tenant-daily/bot"])?;
    ensure!(output.status.success(), "{output:?}");
    tenant.wait_running(2).await?;
    let (back, done) = (("🔵 bot given back as it was", 1), ("🔵 Done: uid:", 0));
    shows(&slack, "the return, and nothing from before a second time", &[warned, stopped, back, done]).await
}

#[tokio::test]
async fn what_slack_may_have_got_already_is_marked_and_what_it_refused_is_not() -> Result<()> {
    let slack = FakeSlack::start().await;
    let site = site(&slack)?.alerting();
    let rules = rules(&site, &["acme", "beta", "carol"]);
    site.write_rules(&rules.replace("mode: enforce", "mode: alert"))?;
    let _daemon = Daemon::start(&site).await?;
    for (n, (tenant, trouble, marked)) in [
        ("acme", Trouble::Status(500, "oops"), true),
        ("beta", Trouble::TooMany(1), false),
        ("carol", Trouble::Code("service_unavailable"), false),
    ]
    .into_iter()
    .enumerate()
    {
        slack.trouble(trouble);
        spend(&site, tenant, tenant, 42)?;
        wait_until("it is posted", PATIENCE, async || Ok(slack.posted().len() == n + 1)).await?;
        let body = slack.posted()[n].body.to_string();
        assert!(body.contains(tenant), "{body}");
        assert_eq!(body.contains("Repeat: this may have arrived already"), marked, "{body}");
    }
    Ok(())
}
