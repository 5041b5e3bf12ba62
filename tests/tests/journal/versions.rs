//! A journal of another version: refused, and nothing in the cluster changes.

use std::path::Path;

use anyhow::{Context, Result};
use daemon::journal::FORMAT;
use rusqlite::Connection;
use tests::daemon::Daemon;

use crate::world::{PATIENCE, PODS, World, target};

fn stamp(journal: &Path, format: i64) -> Result<()> {
    // SQLite folds the dead daemon's write-ahead log back when this connection ends.
    Ok(Connection::open(journal)?.execute_batch(&format!("PRAGMA user_version = {format}"))?)
}

#[tokio::test]
async fn a_journal_of_another_version_is_refused_by_name_and_the_hold_stays_as_it_is() -> Result<()> {
    let world = World::new(&["versions"]).await?;
    let tenant = world.tenant("versions").await?;
    let before = tenant.shape().await?;
    world.stopped_and_killed(&tenant).await?;
    let held = tenant.shape().await?;
    let journal = world.site.path("data/journal.db");
    // The Lease too: a daemon that cannot begin takes none.
    let all = world.cluster.writes_by("breakerbox").await?.len();
    for (other, why) in [
        (FORMAT + 1, "a newer version wrote it; run that version"),
        (FORMAT - 1, "move the folder away and start anew"),
    ] {
        stamp(&journal, other)?;
        let mut daemon = Daemon::spawn(&world.site, &[])?;
        let ended = daemon.ended(PATIENCE).await.with_context(|| daemon.log_tail())?;
        assert_eq!(ended.code(), Some(1), "{}", daemon.log_tail());
        let log = daemon.log_tail();
        let says = format!("the journal `{}` has format {other}", journal.display());
        assert!(log.contains(&says) && log.contains(why), "{log}");
    }
    assert_eq!(world.cluster.writes_by("breakerbox").await?.len(), all, "nothing was written");
    assert_eq!(tenant.shape().await?, held);
    tenant.wait_stopped(PATIENCE).await?;

    stamp(&journal, FORMAT)?;
    let daemon = world.enforcing(&[]).await?;
    world.hold(&tenant, "the version that wrote it knows it", |hold| hold["state"] == "Verified").await?;
    world.person(&["release", &target(&tenant)])?;
    tenant.wait_running(PODS).await.with_context(|| daemon.log_tail())?;
    world.hold(&tenant, "it is given back", |hold| hold.is_null()).await?;
    assert_eq!(tenant.shape().await?, before);
    Ok(())
}
