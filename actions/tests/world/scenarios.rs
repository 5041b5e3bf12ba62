//! What must hold on any API server with a KEDA: run against the fake here, against the real one in the
//! `tests` crate. Each takes a namespace of its own.

use actions::undo::{HOLDERS, INSTALL as INSTALL_KEY, ORDER, PRIOR};
use async_trait::async_trait;
use kube::Client;
use policy::decision::Effect;
use policy::fact::{GuardCheck, PriorState, ReceiptOutcome};
use policy::inventory::ObjectKey;
use serde_json::Value;

use super::fake::PAUSED_REPLICAS;
use super::{Actor, INSTALL, Timing, kind, order};

/// A cluster, seen by its owner.
#[async_trait(?Send)]
pub trait World: Sync {
    /// A client with the rights of the daemon.
    fn client(&self) -> Client;
    fn timing(&self) -> Timing;
    /// A namespace with `agent`: running pods, an HPA, a ScaledObject. Gives back the ScaledObject's UID.
    async fn tenant(&self, namespace: &str, replicas: i64) -> String;
    /// Somebody sets (or removes) an annotation of the ScaledObject.
    async fn annotate(&self, namespace: &str, manager: &str, key: &str, value: Option<&str>);
    /// Somebody scales the workload.
    async fn scale(&self, namespace: &str, replicas: i64);
    /// Somebody changes `spec.maxReplicaCount`.
    async fn set_max(&self, namespace: &str, max: i64);
    async fn delete_workload(&self, namespace: &str);
    /// The ScaledObject as it is.
    async fn object(&self, namespace: &str) -> Value;
    /// `spec.replicas` of the workload.
    async fn replicas(&self, namespace: &str) -> i64;
    async fn hpa_exists(&self, namespace: &str) -> bool;
}

/// Spec, labels and annotations: what must be equal before a stop and after it was given back.
async fn shape(world: &dyn World, namespace: &str) -> [Value; 3] {
    let object = world.object(namespace).await;
    let annotations = match &object["metadata"]["annotations"] {
        Value::Null => serde_json::json!({}),
        some => some.clone(),
    };
    [object["spec"].clone(), object["metadata"]["labels"].clone(), annotations]
}

fn agent(namespace: &str) -> ObjectKey {
    ObjectKey::scaled_object(namespace, "agent")
}

fn actor(world: &dyn World) -> Actor {
    Actor::new(world.client(), world.timing())
}

const RESTORE: Effect = Effect::Restore { prior: None };

pub async fn a_stop_is_proven_and_given_back_exactly(world: &dyn World) {
    let (ns, actor) = ("exact", actor(world));
    let uid = world.tenant(ns, 2).await;
    let before = shape(world, ns).await;
    let stopped = actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    assert_eq!(actor.notebook.kinds(1), ["Prepared", "Accepted", "Verified"], "{stopped:?}");
    let ReceiptOutcome::Verified { signs, .. } = &stopped.outcome else { unreachable!() };
    assert_eq!(signs.len(), 5, "four signs, of which /scale has two: {signs:?}");
    assert_eq!((world.replicas(ns).await, world.hpa_exists(ns).await), (0, false));
    let held = world.object(ns).await["metadata"]["annotations"].clone();
    assert_eq!((&held[PAUSED_REPLICAS], &held[ORDER]), (&Value::from("0"), &Value::from("o1")));
    assert_eq!(
        (&held[INSTALL_KEY], &held[HOLDERS]),
        (&Value::from(INSTALL), &Value::from("tenant-daily/acme"))
    );
    let prior: PriorState = serde_json::from_str(held[PRIOR].as_str().unwrap()).unwrap();
    assert_eq!(
        (prior.uid, prior.replicas, prior.hpa.as_deref()),
        (uid.clone(), Some(2), Some("keda-hpa-agent"))
    );

    let back = actor.carry_out(order(2, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(actor.notebook.kinds(2), ["Accepted", "Verified"], "{back:?}");
    assert_eq!(shape(world, ns).await, before);
    assert!(world.replicas(ns).await >= 1 && world.hpa_exists(ns).await);
    let again = actor.carry_out(order(3, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(actor.notebook.kinds(3), ["Verified"], "{again:?}");
}

pub async fn a_pause_of_somebody_else_at_two_stays_at_two(world: &dyn World) {
    let (ns, actor) = ("at-two", actor(world));
    let uid = world.tenant(ns, 2).await;
    world.annotate(ns, "argo", PAUSED_REPLICAS, Some("2")).await;
    let before = shape(world, ns).await;
    let end = actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    let ReceiptOutcome::NotStopped { replicas, because } = &end.outcome else { panic!("{end:?}") };
    assert_eq!((*replicas, because.as_str()), (Some(2), "paused at 2 by argo"));
    let end = actor.carry_out(order(2, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "Verified");
    assert_eq!((shape(world, ns).await, world.replicas(ns).await), (before, 2));
}

pub async fn a_pause_of_somebody_else_at_zero_is_adopted_and_left(world: &dyn World) {
    let (ns, actor) = ("at-zero", actor(world));
    let uid = world.tenant(ns, 1).await;
    world.annotate(ns, "argo", PAUSED_REPLICAS, Some("0")).await;
    let before = shape(world, ns).await;
    let end = actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    assert_eq!(end.outcome, ReceiptOutcome::AlreadySo { by: "argo".to_owned() });
    let end = actor.carry_out(order(2, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    assert_eq!((shape(world, ns).await, world.replicas(ns).await), (before, 0));
}

pub async fn a_missing_workload_is_not_stopped_and_not_written(world: &dyn World) {
    let (ns, actor) = ("missing", actor(world));
    let uid = world.tenant(ns, 1).await;
    world.delete_workload(ns).await;
    let before = shape(world, ns).await;
    let end = actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    let ReceiptOutcome::NotStopped { replicas: None, because } = &end.outcome else { panic!("{end:?}") };
    assert!(because.contains("does not exist"), "{because}");
    assert_eq!(shape(world, ns).await, before);
}

pub async fn an_hpa_of_the_user_s_own_is_not_put_at_risk(world: &dyn World) {
    let (ns, actor) = ("own-hpa", actor(world));
    let uid = world.tenant(ns, 1).await;
    world.annotate(ns, "person", "scaledobject.keda.sh/transfer-hpa-ownership", Some("true")).await;
    let before = shape(world, ns).await;
    let end = actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    let ReceiptOutcome::NotStopped { because, .. } = &end.outcome else { panic!("{end:?}") };
    assert!(because.contains("transfer-hpa-ownership"), "{because}");
    assert_eq!((shape(world, ns).await, world.hpa_exists(ns).await), (before, true));
}

pub async fn another_object_of_the_same_name_is_refused(world: &dyn World) {
    let (ns, actor) = ("other-uid", actor(world));
    world.tenant(ns, 1).await;
    let before = shape(world, ns).await;
    for (id, effect) in [(1, Effect::PauseToZero), (2, RESTORE)] {
        actor.carry_out(order(id, &agent(ns), "00000000-0000-4000-8000-000000000000", effect)).await;
    }
    let refused = actor.notebook.last(1);
    let no: Vec<GuardCheck> = refused.guard.iter().filter(|a| !a.pass).map(|a| a.check).collect();
    assert_eq!((kind(&refused.outcome), no), ("Refused", vec![GuardCheck::Identity]));
    // Nothing of ours is on it, so there is nothing to give back either.
    assert_eq!(kind(&actor.notebook.last(2).outcome), "Verified");
    assert_eq!((shape(world, ns).await, world.replicas(ns).await), (before, 1));
}

pub async fn a_raise_while_held_comes_back_to_zero_by_scale(world: &dyn World) {
    let (ns, actor) = ("raised-held", actor(world));
    let uid = world.tenant(ns, 1).await;
    actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    let held = shape(world, ns).await;
    world.scale(ns, 2).await;
    let workload: ObjectKey = format!("Deployment/{ns}/agent").parse().unwrap();
    let reverse = || Effect::ReverseRaise { workload: workload.clone() };
    let end = actor.carry_out(order(2, &agent(ns), &uid, reverse())).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    assert_eq!((world.replicas(ns).await, shape(world, ns).await), (0, held));

    let back = actor.carry_out(order(3, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(kind(&back.outcome), "Verified", "{back:?}");
    let end = actor.carry_out(order(4, &agent(ns), &uid, reverse())).await;
    assert_eq!(kind(&end.outcome), "NotStopped", "what is not held is not reversed: {end:?}");
    assert_eq!(world.replicas(ns).await, 1);
}

pub async fn what_people_changed_while_it_was_held_stays_changed(world: &dyn World) {
    let (ns, actor) = ("edited", actor(world));
    let uid = world.tenant(ns, 1).await;
    actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    world.annotate(ns, "person", "note", Some("kept")).await;
    world.set_max(ns, 9).await;
    let again = actor.carry_out(order(2, &agent(ns), &uid, Effect::PauseToZero)).await;
    assert_eq!(actor.notebook.kinds(2), ["Prepared", "Verified"], "it is not written again: {again:?}");
    let back = actor.carry_out(order(3, &agent(ns), &uid, RESTORE)).await;
    assert_eq!(kind(&back.outcome), "Verified", "{back:?}");
    let [spec, _, annotations] = shape(world, ns).await;
    assert_eq!(spec["maxReplicaCount"], 9);
    assert_eq!(annotations, serde_json::json!({"note": "kept"}));
}

pub async fn a_pause_that_somebody_joined_stays_theirs_and_is_reported(world: &dyn World) {
    let (ns, actor) = ("joined", actor(world));
    let uid = world.tenant(ns, 1).await;
    actor.carry_out(order(1, &agent(ns), &uid, Effect::PauseToZero)).await;
    world.annotate(ns, "argo", PAUSED_REPLICAS, Some("1")).await;
    world.annotate(ns, "argo", PAUSED_REPLICAS, Some("0")).await;
    let end = actor.carry_out(order(2, &agent(ns), &uid, RESTORE)).await;
    let ReceiptOutcome::RestoreIncomplete { signs } = &end.outcome else { panic!("{end:?}") };
    assert!(signs.iter().any(|s| s.seen == "0 by argo"), "{signs:?}");
    let annotations = world.object(ns).await["metadata"]["annotations"].clone();
    assert_eq!(annotations, serde_json::json!({PAUSED_REPLICAS: "0"}));
}

/// All of them, one after another, with the name of the one that runs.
pub async fn all(world: &dyn World) {
    macro_rules! run { ($($scenario:ident)*) => { $(
        println!("scenario: {}", stringify!($scenario));
        $scenario(world).await;
    )* } }
    run! {
        a_stop_is_proven_and_given_back_exactly
        a_pause_of_somebody_else_at_two_stays_at_two
        a_pause_of_somebody_else_at_zero_is_adopted_and_left
        a_missing_workload_is_not_stopped_and_not_written
        an_hpa_of_the_user_s_own_is_not_put_at_risk
        another_object_of_the_same_name_is_refused
        a_raise_while_held_comes_back_to_zero_by_scale
        what_people_changed_while_it_was_held_stays_changed
        a_pause_that_somebody_joined_stays_theirs_and_is_reported
    }
}
