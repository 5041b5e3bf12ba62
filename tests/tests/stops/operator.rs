//! KEDA itself is gone: an accepted write stops nothing, and nobody may say that it did.

use anyhow::Result;

use crate::stage::{PATIENCE, Stage, gist};

/// In a cluster of its own, so that the whole of the audit log is this scene's: what is listed here is all
/// that breakerbox ever writes.
#[tokio::test]
async fn without_keda_nothing_is_called_stopped_until_it_is_back_and_the_stop_is_proven() -> Result<()> {
    let stage = Stage::alone().await?;
    let tenant = stage.tenant("keda-gone", 2).await?;
    let before = tenant.shape().await?;
    stage.cluster.stop_operator();
    stage.spend("gone-1", "keda-gone", 51)?;
    stage.told("keda-gone", "the trip is told", |m| gist(m) == "tripped").await?;
    let open = |h: &serde_json::Value| h["detail"].as_str().is_some_and(|d| d.contains("pausedReplicaCount"));
    let hold = stage.hold("keda-gone", "what lacks of the proof is known", open).await?;
    assert_eq!(hold["state"], "Ordered", "{hold:#}");
    assert_eq!((tenant.replicas().await?, tenant.running_pods().await?), (2, 2));
    let told: Vec<String> = stage.messages("keda-gone").await?.iter().map(gist).collect();
    assert_eq!(told, ["tripped"], "nothing is proven yet");

    stage.cluster.start_operator().await?;
    tenant.wait_stopped(PATIENCE).await?;
    stage.held("keda-gone").await?;
    stage.person(&["reset", "tenant-daily/keda-gone"])?;
    tenant.wait_running(2).await?;
    stage.given_back("keda-gone").await?;
    assert_eq!(tenant.shape().await?, before);

    let told: Vec<String> = stage.messages("keda-gone").await?.iter().map(gist).collect();
    assert_eq!(told, ["tripped", "hold Verified", "released", "commanded", "hold Released"]);
    assert_eq!(stage.changes("keda-gone").await?, ["patch scaledobjects 200"; 2], "one stop, one return");
    let lease = ["create leases 201 breakerbox/breakerbox", "update leases 200 breakerbox/breakerbox"];
    assert_eq!(stage.writes_elsewhere().await?, lease.map(String::from).into());
    Ok(())
}
