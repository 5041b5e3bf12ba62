//! A crash of the real process at each named point of an action, against a real API server and a real KEDA.
//!
//! A tenant is stopped, raised and given back while the daemon dies again and again on the way: each life is
//! ended by the next failpoint, and the next life finds what the dead one left. At the end there is one
//! hold's worth of effect: the writes that the API server logged, the orders and receipts in the journal, the
//! messages and the sums are what they are without any crash.

mod acks;
mod proof;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use tests::daemon::Stage;
use tests::servers::{Tenant, wait_for};
use world::{Cause, Death, PATIENCE, PODS, World};

use Cause::{Raise, Refuse, Reset, Resume, Spend};

/// One death: where, by what, and whether the object carries our marks then.
type Step = (&'static str, Cause, bool);

/// Deaths on the way to a stop. `1*off->` lets the first pass: the receipts of a pause are the prior state,
/// the accepted write, and the proof.
const STOP: &[Step] = &[
    ("order::before_commit", Spend, false),
    ("order::after_commit", Spend, false),
    ("journal::before_commit", Resume, false),
    ("pause::before_prepared", Resume, false),
    ("receipt::before_commit", Resume, false),
    ("receipt::after_commit", Resume, false),
    ("pause::after_prepared", Resume, false),
    ("journal::after_commit", Resume, false),
    ("pause::before_apply", Resume, false),
    ("pause::after_apply", Resume, true),
    ("pause::before_accepted", Resume, true),
    ("receipt::before_commit=1*off->return(abort)", Resume, true),
    ("receipt::after_commit=1*off->return(abort)", Resume, true),
    ("pause::after_accepted", Resume, true),
    ("end::before_receipt", Resume, true),
    ("receipt::before_commit=2*off->return(abort)", Resume, true),
    ("end::after_receipt", Resume, true),
];

/// Ways to die while a raise is reversed. Once the workload is at zero there is no write any more, so what
/// comes after the write is reached only in the life that wrote.
const RAISES: &[&[Step]] = &[
    &[
        ("order::after_commit", Raise, true),
        ("scale::before_write", Resume, true),
        ("scale::after_write", Resume, true),
    ],
    &[
        ("order::after_commit", Raise, true),
        ("journal::before_commit", Resume, true),
        ("raise::before_accepted", Resume, true),
    ],
    &[("raise::after_accepted", Raise, true)],
];

/// Ways to die while the object is given back. Without our marks there is nothing to take away, so what
/// comes after the write is reached only in the life that wrote.
const RESTORES: &[&[Step]] = &[
    &[
        ("order::before_commit", Reset, true),
        ("order::after_commit", Reset, true),
        ("restore::before_apply", Resume, true),
        ("restore::after_apply", Resume, false),
        ("end::before_receipt", Resume, false),
        ("end::after_receipt", Resume, false),
    ],
    &[
        ("order::after_commit", Reset, true),
        ("journal::before_commit", Resume, true),
        ("journal::after_commit", Resume, true),
        ("restore::before_apply", Resume, true),
        ("restore::before_accepted", Resume, false),
        ("receipt::before_commit", Resume, false),
    ],
    &[
        ("order::after_commit", Reset, true),
        ("journal::before_commit", Resume, true),
        ("journal::after_commit", Resume, true),
        ("restore::after_accepted", Resume, false),
    ],
];

/// Walks a tenant through one way; the object's marks are looked at after each death.
async fn walk(world: &mut World, tenant: &Tenant, steps: &[Step]) -> Result<()> {
    for (arm, cause, marked) in steps {
        world.die(arm, *cause, tenant).await?;
        let found = proof::marks_after_death(world, tenant).await.with_context(|| (*arm).to_owned())?;
        ensure!(found == *marked, "after {arm} the object is marked: {found}");
    }
    Ok(())
}

/// A refused record has its letter, and a message that is sent and not recorded is told again, marked. (The stop goes on beside, so the object is
/// not looked at between these.)
const MESSAGES: &[(&str, Cause)] = &[
    ("letter::before_put", Refuse),
    ("usage::before_commit", Spend),
    // The file that was not acked is read again at the start.
    ("usage::after_commit", Resume),
    ("order::after_commit", Spend),
    ("message::before_send", Resume),
    ("message::sent", Resume),
    ("message::recorded", Resume),
    ("message::settled", Resume),
];

/// Deaths with an order durable and its receipt not, at least.
const IN_BETWEEN: usize = 50;

#[tokio::test]
async fn a_daemon_that_dies_at_any_point_of_an_action_ends_with_one_effect_told_and_undone() -> Result<()> {
    let (mut world, tenants) = World::new(&["t0", "t1", "t2", "t3"]).await?;
    let mut raises = BTreeMap::new();
    for (round, name) in ["t0", "t1", "t2"].into_iter().enumerate() {
        let tenant = &tenants[name];
        let before = tenant.shape().await?;
        walk(&mut world, tenant, STOP).await?;
        drop(world.live().await?);
        walk(&mut world, tenant, RAISES[round]).await?;
        raises.insert(name, 1);
        let daemon = world.live().await?;
        world.hold_becomes(tenant, Some("Verified")).await.with_context(|| daemon.log_tail())?;
        drop(daemon);
        walk(&mut world, tenant, RESTORES[round]).await?;
        let daemon = world.live().await?;
        world.hold_becomes(tenant, None).await.with_context(|| daemon.log_tail())?;
        tenant.wait_running(PODS).await?;
        ensure!(tenant.shape().await? == before, "{name} is not exactly as it was");
        proof::each_intent_was_resolved_once(&world, tenant, 1)?;
    }
    let told = &tenants["t3"];
    for (arm, cause) in MESSAGES {
        world.die(arm, *cause, told).await?;
    }
    let daemon = world.live().await?;
    world.hold_becomes(told, Some("Verified")).await.with_context(|| daemon.log_tail())?;
    world.bring(Reset, told).await?;
    world.hold_becomes(told, None).await.with_context(|| daemon.log_tail())?;
    proof::each_intent_was_resolved_once(&world, told, 0)?;
    raises.insert("t3", 0);

    proof::sums_are_those_of_the_logs(&world).await.with_context(|| daemon.log_tail())?;
    ensure!(world.site.letters()?.len() == 1, "{:?}", world.site.letters()?);
    proof::nothing_else_was_written(&world, &raises).await?;
    let told = async || proof::each_message_was_told_and_repeats_are_marked(&world).await.map(Some);
    let repeats = wait_for("all messages to be told", PATIENCE, told).await?;
    ensure!(repeats > 0, "no message was repeated, so none shows that repeats are marked");
    every_point_was_reached(&world)?;
    let given = |death: &&Death| death.open.contains(&Stage::Given);
    let in_between = world.deaths.iter().filter(given).count();
    println!(
        "{} deaths at {} points, {in_between} of them between the commit of an order and that of its receipt; \
         {repeats} messages repeated, all marked",
        world.deaths.len(),
        world.reached().len()
    );
    ensure!(in_between >= IN_BETWEEN, "only {in_between} between commit and receipt");
    Ok(())
}

/// The points come from the code: a new one that no step above reaches fails here.
fn every_point_was_reached(world: &World) -> Result<()> {
    let points = actions::failpoint::ALL.iter().chain(daemon::failpoint::ALL);
    let all: BTreeSet<&str> = points.map(|point| point.name()).collect();
    let missing: Vec<_> = all.difference(&world.reached()).copied().collect();
    ensure!(missing.is_empty(), "no daemon died at {missing:?}");
    Ok(())
}
