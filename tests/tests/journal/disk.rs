//! A disk that fills: a reserve that no disk has.

use anyhow::{Context, Result};
use policy::money::Money;
use serde_json::json;
use tests::daemon::{PICOS_PER_TOKEN, TOKEN, breakers, get, now, post, usage_event};
use tests::servers::wait_for;

use crate::world::{OVER, PATIENCE, PODS, World, target};

#[tokio::test]
async fn on_a_full_disk_usage_waits_without_loss_and_what_is_held_can_still_be_given_back() -> Result<()> {
    let mut world = World::new(&["full"]).await?;
    let tenant = world.tenant("full").await?;
    let before = tenant.shape().await?;
    world.stopped_and_killed(&tenant).await?;
    let told = world.messages().await?.len();

    world.site.replace_extra("limits: {diskReserve: 1000000 GiB}");
    let mut daemon = world.enforcing(&[]).await?;

    world.paged(told, &["less than the reserve", "usage is not taken in"]).await?;
    assert!(get(world.site.port, "/healthz").await?.status.is_success(), "it lives");
    let ready = get(world.site.port, "/readyz").await?;
    assert_eq!((ready.status.as_u16(), &*ready.body), (503, "the disk is below its reserve\n"));
    world.status("it says so", |status| status["disk_low"] == true).await?;
    assert!(world.person(&["status"])?.contains("below its reserve"));
    let event = usage_event("pushed", 1_000_000, &now()?).to_string();
    let no = post(world.site.port, "/v1/usage", TOKEN, event.clone()).await?;
    assert_eq!((no.status.as_u16(), no.retry_after), (429, Some(30)), "{}", no.body);
    world.spend("full", 1_000_000)?;

    // Commands and receipts are durable as ever.
    world.person(&["release", &target(&tenant)])?;
    tenant.wait_running(PODS).await.with_context(|| daemon.log_tail())?;
    world.hold(&tenant, "it is given back", |hold| hold.is_null()).await?;
    assert_eq!(tenant.shape().await?, before);
    let known = breakers(world.site.port).await?;
    assert_eq!(known.iter().map(|b| b.2).sum::<u64>(), 1, "the waiting line is not counted: {known:?}");
    daemon.drain().await?;

    world.site.replace_extra("limits: {diskReserve: 1 MiB}");
    let daemon = world.enforcing(&[]).await?;
    let yes = post(world.site.port, "/v1/usage", TOKEN, event).await?;
    assert_eq!(yes.status.as_u16(), 200, "{}", yes.body);
    let outcome = &yes.json()?["events"][0]["outcome"];
    assert_eq!(outcome, &json!("accepted"), "it was not taken before");
    let sum = |tokens: u64| Money::from_picos(i128::from(tokens) * PICOS_PER_TOKEN);
    let mut expected = vec![
        ("tenant-daily/full".to_owned(), sum(OVER + 1_000_000), 2),
        ("tenant-daily/unattributed".to_owned(), sum(1_000_000), 1),
    ];
    expected.sort();
    wait_for("each to be counted once", PATIENCE, async || {
        let mut found = breakers(world.site.port).await?;
        found.sort();
        anyhow::ensure!(found == expected, "{found:?}");
        Ok(Some(()))
    })
    .await
    .with_context(|| daemon.log_tail())?;
    Ok(())
}
