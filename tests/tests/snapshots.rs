//! Snapshots by a process of their own, beside the daemon.

use anyhow::{Context, Result, ensure};
use tests::daemon::{Daemon, Site, YEARLY_BUDGET, bedrock_record, breakers, cli, now};
use tests::servers::wait_until;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The answer of a process that makes a snapshot.
fn make(site: &Site, since: u64) -> Result<String> {
    let (data, since) = (site.path("data").display().to_string(), since.to_string());
    let output = cli(site, &["make-snapshot", "--since", &since, "--data-dir", &data])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[tokio::test]
async fn a_snapshot_is_made_beside_the_daemon_which_goes_on_from_it_and_a_turn_that_differs_is_named()
-> Result<()> {
    let site = Site::new(YEARLY_BUDGET)?;
    let mut daemon = Daemon::start(&site).await?;
    let lines: Vec<String> =
        (0..50).map(|n| bedrock_record(&format!("c{n}"), "acme", 1000, &now().unwrap_or_default())).collect();
    site.write_log("one.jsonl", &lines)?;
    wait_until("all is counted", PATIENCE, async || {
        Ok(breakers(site.port).await?.iter().any(|(_, _, facts)| *facts == 50))
    })
    .await?;
    let counted = breakers(site.port).await?;
    let mut said = String::new();
    wait_until("a snapshot", PATIENCE, async || {
        said = make(&site, 0)?;
        Ok(said.starts_with("made "))
    })
    .await?;
    let turn: u64 = said.strip_prefix("made ").context("a turn")?.parse()?;
    let file = site.path("data/snapshots").join(format!("{turn:020}.snap"));
    ensure!(file.exists(), "{} is not there", file.display());
    ensure!(make(&site, u64::MAX)? == "nothing 0", "there is no newer turn");

    daemon.kill_9();
    let mut daemon = Daemon::start(&site).await?;
    ensure!(breakers(site.port).await? == counted, "the sums of before");
    ensure!(daemon.drain().await?.success(), "an orderly end");

    std::fs::remove_dir_all(site.path("data/snapshots"))?;
    let journal = rusqlite::Connection::open(site.path("data/journal.db"))?;
    journal.execute("UPDATE turns SET fingerprint = fingerprint + 1 WHERE seq = 3", [])?;
    ensure!(make(&site, 0)? == "differs 3", "the turn that was changed");
    ensure!(!file.exists(), "no snapshot is made of what differs");
    Ok(())
}
