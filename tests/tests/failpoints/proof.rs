//! What must be so after a death, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use policy::decision::Effect;
use policy::fact::{PriorState, ReceiptOutcome};
use policy::money::Money;
use serde_json::Value;
use tests::daemon::{PICOS_PER_TOKEN, breakers, notices_of, orders_of};
use tests::servers::{AuditWrite, Tenant};

use crate::world::World;

/// Whether the object carries our marks; where it does, its undo record must be durable in the journal too.
pub async fn marks_after_death(world: &World, tenant: &Tenant) -> Result<bool> {
    let object = tenant.scaled_object().await?;
    let annotations = object.metadata.annotations.unwrap_or_default();
    let Some(order) = annotations.get("breakerbox.dev/order") else { return Ok(false) };
    let prior = annotations.get("breakerbox.dev/prior").context("a mark without its undo record")?;
    let prior: PriorState = serde_json::from_str(prior)?;
    let orders = orders_of(&world.site)?;
    let known = orders.iter().find(|record| record.order.id.to_string() == *order);
    let known =
        known.with_context(|| format!("the journal does not know {order}, which marks the object"))?;
    let prepared = |outcome: &ReceiptOutcome| matches!(outcome, ReceiptOutcome::Prepared(p) if *p == prior);
    ensure!(known.receipts.iter().any(|r| prepared(&r.outcome)), "written before its undo record: {known:?}");
    Ok(true)
}

/// What became of one tenant, in the journal: one stop, one way back, and so many raises reversed; each
/// resolved once and proven, each stop with one and the same undo record.
pub fn each_intent_was_resolved_once(world: &World, tenant: &Tenant, raises: usize) -> Result<()> {
    let target = format!("ScaledObject/{}/agent", tenant.namespace);
    let orders = orders_of(&world.site)?;
    let ours: Vec<_> = orders.iter().filter(|r| r.order.target.to_string() == target).collect();
    let count = |wanted: fn(&Effect) -> bool| ours.iter().filter(|r| wanted(&r.order.effect)).count();
    let stops = count(|effect| matches!(effect, Effect::PauseToZero));
    let reversals = count(|effect| matches!(effect, Effect::ReverseRaise { .. }));
    let restores = count(|effect| matches!(effect, Effect::Restore { .. }));
    ensure!((stops, reversals, restores) == (1, raises, 1), "{target}: {ours:#?}");
    for record in ours {
        let last = |outcome: &ReceiptOutcome| {
            !matches!(outcome, ReceiptOutcome::Prepared(_) | ReceiptOutcome::Accepted { .. })
        };
        let ends = record.receipts.iter().filter(|receipt| last(&receipt.outcome)).count();
        ensure!(record.resolved && record.state == "Verified" && ends == 1, "{record:#?}");
        let mut undo = record.receipts.iter().filter_map(|receipt| match &receipt.outcome {
            ReceiptOutcome::Prepared(prior) => Some((prior.replicas, &prior.paused_replicas)),
            _ => None,
        });
        let running = u32::try_from(crate::world::PODS)?;
        ensure!(undo.all(|prior| prior == (Some(running), &None)), "another undo record: {record:#?}");
    }
    Ok(())
}

/// All that the daemon wrote: its Lease, and for each tenant a pause, a release and a `/scale` for each raise.
pub async fn nothing_else_was_written(world: &World, raises: &BTreeMap<&str, usize>) -> Result<()> {
    let mut left: Vec<AuditWrite> = world.cluster.writes_by("breakerbox").await?;
    left.retain(|write| write.resource != "leases");
    for (tenant, raises) in raises {
        let of = |sub: &str, resource: &str| {
            let ok =
                |w: &&AuditWrite| w.namespace == *tenant && w.resource == resource && w.subresource == sub;
            left.iter().filter(ok).filter(|w| w.code == 200).count()
        };
        let found = (of("", "scaledobjects"), of("scale", "deployments"));
        ensure!(found == (2, *raises), "{tenant}: pauses and releases, scales: {found:?} in {left:?}");
    }
    let expected: usize = raises.values().map(|raises| 2 + raises).sum();
    ensure!(left.len() == expected, "a write beyond the expected: {left:?}");
    Ok(())
}

/// Every message that the journal knows was told, and each time after the first as a repeat.
pub async fn each_message_was_told_and_repeats_are_marked(world: &World) -> Result<usize> {
    let known = notices_of(&world.site)?;
    let requests = world.hook.received_requests().await.context("requests are recorded")?;
    let mut told = BTreeSet::new();
    let mut repeats = 0;
    for request in &requests {
        let body: Value = serde_json::from_slice(&request.body)?;
        let key = body["key"].as_str().context("a key")?.to_owned();
        if !told.insert(key) {
            repeats += 1;
            ensure!(body["repeat"] == true, "told twice and not marked: {body}");
        }
    }
    ensure!(told == known, "told {told:#?}, known {known:#?}");
    Ok(repeats)
}

/// The daemon's sums are those of the lines that were written.
pub async fn sums_are_those_of_the_logs(world: &World) -> Result<()> {
    let found: BTreeMap<String, Money> =
        breakers(world.site.port).await?.into_iter().map(|(name, sum, _)| (name, sum)).collect();
    let sum = |tokens: u64| Money::from_picos(i128::from(tokens) * PICOS_PER_TOKEN);
    let expected =
        world.spent.iter().map(|(tenant, n)| (format!("tenant-daily/{tenant}"), sum(*n))).collect();
    ensure!(found == expected, "{found:?}, expected {expected:?}");
    Ok(())
}
