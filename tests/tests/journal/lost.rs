//! The journal deleted while a target is held (A30).

use anyhow::{Context, Result};
use tests::daemon::orders_of;

use crate::world::{OVER, PATIENCE, PODS, World, target};

/// Nothing of the engine may write then, and a person's word is carried out all the same.
#[tokio::test]
async fn release_all_through_a_daemon_that_lost_its_journal_gives_back_what_is_marked() -> Result<()> {
    let world = World::new(&["astray"]).await?;
    let tenant = world.tenant("astray").await?;
    let before = tenant.shape().await?;
    world.stopped_and_killed(&tenant).await?;
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        std::fs::remove_file(world.site.path("data").join(file))?;
    }
    let daemon = world.run(&[]).await?;
    world.status("it observes", |s| s["ceiling"] == "observe").await?;
    world.hold(&tenant, "it is kept", |hold| hold["state"] == "Verified").await?;
    let said = world.person(&["release", "--all"])?;
    assert!(said.contains(&format!("{}: given back", target(&tenant))), "{said}");
    tenant.wait_running(PODS).await.with_context(|| daemon.log_tail())?;
    world.hold(&tenant, "it is held no more", |hold| hold.is_null()).await?;
    assert_eq!(tenant.shape().await?, before, "exactly as it was");
    Ok(())
}

#[tokio::test]
async fn a_journal_deleted_while_a_target_is_held_keeps_the_hold_and_pages_until_a_person_decides()
-> Result<()> {
    let world = World::new(&["kept", "crosses", "later"]).await?;
    let (kept, crosses) = (world.tenant("kept").await?, world.tenant("crosses").await?);
    let before = kept.shape().await?;
    world.stopped_and_killed(&kept).await?;
    let (held, told, writes) =
        (kept.shape().await?, world.messages().await?.len(), world.writes(&kept).await?);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        std::fs::remove_file(world.site.path("data").join(file))?;
    }

    let mut daemon = world.run(&[]).await?;
    let status = world.status("it observes", |s| s["ceiling"] == "observe").await?;
    let because = status["because"].as_str().unwrap_or_default();
    assert!(because.contains("the journal is new") && because.contains(&target(&kept)), "{status:#}");
    world.paged(told, &["the journal is new", &target(&kept), "--accept-lost-journal"]).await?;
    world.paged(told, &["carries our mark", &target(&kept), "breakerbox release"]).await?;
    let hold = world.hold(&kept, "it is kept", |hold| hold["state"] == "Verified").await?;
    assert!(hold["detail"].as_str().is_some_and(|d| d.contains("found marked as ours")), "{hold:#}");
    let said = world.person(&["status"])?;
    assert!(said.contains("the journal is new") && said.contains(&target(&kept)), "{said}");
    // The whole log is read anew, so nothing is forgotten of what was spent; and nothing new is stopped.
    let kept_sum = world.breaker("kept", "Arming").await?;
    assert_eq!(kept_sum["sum"], "66.00 USD", "{kept_sum:#}");
    world.spend("crosses", OVER)?;
    world.breaker("crosses", "Tripped").await?;
    daemon.drain().await?;
    assert!(orders_of(&world.site)?.is_empty(), "{:#?}", orders_of(&world.site)?);
    assert_eq!(kept.shape().await?, held, "{}", daemon.log_tail());
    kept.wait_stopped(PATIENCE).await?;
    assert_eq!((world.writes(&kept).await?, world.writes(&crosses).await?), (writes, 0));
    crosses.wait_running(PODS).await?;

    let daemon = world.enforcing(&["--accept-lost-journal"]).await?;
    world.hold(&kept, "it is still kept", |hold| hold["state"] == "Verified").await?;
    assert_eq!(kept.shape().await?, held, "a person accepted the loss, not a return");
    world.person(&["release", &target(&kept)])?;
    kept.wait_running(PODS).await.with_context(|| daemon.log_tail())?;
    world.hold(&kept, "it is given back", |hold| hold.is_null()).await?;
    assert_eq!(kept.shape().await?, before, "exactly as it was");

    let later = world.tenant("later").await?;
    world.spend("later", OVER)?;
    later.wait_stopped(PATIENCE).await.with_context(|| daemon.log_tail())?;
    world.hold(&later, "the stop is proven", |hold| hold["state"] == "Verified").await?;
    // What crossed meanwhile is over still, and is stopped by what it spends now.
    world.spend("crosses", 1_000_000)?;
    crosses.wait_stopped(PATIENCE).await.with_context(|| daemon.log_tail())?;
    assert_eq!(kept.shape().await?, before, "and it stays so");
    Ok(())
}
