//! Refusals, races, lost answers and stubborn operators, against the API server in memory.

mod world;

use std::sync::Arc;
use std::time::Duration;

use actions::dispatch::{Dispatch, Limits, NotTaken};
use actions::freeze;
use actions::guard::FreezeSeen;
use actions::keda::Timing;
use actions::keda::release::ReleaseOutcome;
use actions::live::{Leadership, Live};
use actions::receipts::{NotDurable, Receipts};
use actions::undo::{INSTALL as INSTALL_KEY, ORDER, PRIOR};
use async_trait::async_trait;
use policy::decision::{Effect, Order};
use policy::fact::{GuardCheck, Receipt, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::rule::{FreezeWhen, FreezeWindow, Guardrail, Mode, Place, ProtectedKind};
use policy::time::Timestamp;
use serde_json::json;
use world::fake::{Fake, Keda, PAUSED_REPLICAS, State};
use world::{Actor, Notebook, kind, order};

const RESTORE: Effect = Effect::Restore { prior: None };

fn quick() -> Timing {
    Timing {
        poll: Duration::from_millis(5),
        stop_deadline: Duration::from_millis(150),
        scale_grace: Duration::from_millis(20),
        restore_deadline: Duration::from_millis(150),
    }
}

fn agent(namespace: &str) -> ObjectKey {
    ObjectKey::scaled_object(namespace, "agent")
}

fn pause(id: u64, namespace: &str, uid: &str) -> Order {
    order(id, &agent(namespace), uid, Effect::PauseToZero)
}

fn refused_by(receipt: &Receipt) -> Vec<GuardCheck> {
    assert_eq!(kind(&receipt.outcome), "Refused", "{receipt:?}");
    receipt.guard.iter().filter(|a| !a.pass).map(|a| a.check).collect()
}

/// A tenant that runs, and one who may stop it.
async fn running() -> (Fake, Actor, String) {
    let fake = Fake::start().await;
    let uid = fake.tenant("shop", 2);
    let actor = Actor::new(fake.client(), quick());
    (fake, actor, uid)
}

/// A tenant that we hold.
async fn held() -> (Fake, Actor, String) {
    let (fake, actor, uid) = running().await;
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    fake.state().writes.clear();
    (fake, actor, uid)
}

#[tokio::test]
async fn below_enforce_nothing_is_ever_written() {
    let (fake, actor, uid) = held().await;
    let other = fake.tenant("other", 1);
    fake.state().scale_workload("shop", 2);
    fake.state().read_only = true;
    for (round, mode) in [Mode::Observe, Mode::Alert].into_iter().enumerate() {
        let id = 10 * (u64::try_from(round).unwrap() + 1);
        actor.live.set_ceiling(mode);
        let workload = "Deployment/shop/agent".parse().unwrap();
        for order in [
            pause(id, "other", &other),
            order(id + 1, &agent("shop"), &uid, Effect::ReverseRaise { workload }),
            order(id + 2, &agent("shop"), &uid, RESTORE),
        ] {
            assert_eq!(refused_by(&actor.carry_out(order).await), [GuardCheck::Mode]);
        }
    }
    assert_eq!(fake.writes(), [""; 0]);
}

type Spoil = fn(&mut State, &Live, &mut Order);

const SPOILERS: &[(GuardCheck, Spoil)] = &[
    (GuardCheck::Mode, |_, _, order| order.mode = Mode::Approve),
    (GuardCheck::Protected, |state, _, _| state.namespace_label("shop", "breakerbox.dev/protected", "true")),
    (GuardCheck::Protected, |state, _, _| state.workload_label("shop", "breakerbox.dev/protected", "true")),
    (GuardCheck::Protected, |state, live, _| {
        state.workload_label("shop", "tier", "critical");
        let protected_labels = vec![("tier".into(), "critical".into())];
        live.set_guardrail(Guardrail { protected_labels, ..Guardrail::default() });
    }),
    (GuardCheck::Protected, |_, live, _| {
        let protected_namespaces = vec!["sh*".into()];
        live.set_guardrail(Guardrail { protected_namespaces, ..Guardrail::default() });
    }),
    (GuardCheck::Protected, |_, live, _| {
        let protected_kinds = vec![ProtectedKind::Deployment];
        live.set_guardrail(Guardrail { protected_kinds, ..Guardrail::default() });
    }),
    (GuardCheck::Leadership, |_, live, _| live.set_leadership(Leadership::No)),
    (GuardCheck::Expiry, |_, _, order| order.expires_at = Timestamp::from_millis(1)),
    (GuardCheck::BlastRadius, |_, live, _| {
        live.set_guardrail(Guardrail { overall: 0, ..Guardrail::default() })
    }),
    (GuardCheck::Freeze, |_, live, _| live.set_frozen(Some("incident".to_owned()))),
    (GuardCheck::Freeze, |_, live, _| {
        let when = FreezeWhen::Once { from: Timestamp::MIN, until: Timestamp::MAX };
        let freeze = vec![FreezeWindow { when, because: None, place: Place::default() }];
        live.set_guardrail(Guardrail { freeze, ..Guardrail::default() });
    }),
    (GuardCheck::Freeze, |state, _, _| marker(state, "true")),
    (GuardCheck::Freeze, |state, _, _| state.faults.push_back(("GET", freeze::CONFIG_MAP, 403))),
    (GuardCheck::Operator, |state, _, _| state.operator("2.11.2")),
    (GuardCheck::Operator, |state, _, _| state.operator("latest")),
    (GuardCheck::Operator, |state, _, _| {
        state.remove("/apis/apps/v1/namespaces/keda/deployments/keda-operator");
    }),
    (GuardCheck::Clock, |_, live, _| live.set_clock_agrees(false)),
];

fn marker(state: &mut State, frozen: &str) {
    let path = format!("/api/v1/namespaces/breakerbox/configmaps/{}", freeze::CONFIG_MAP);
    let metadata = json!({"name": freeze::CONFIG_MAP});
    state.put(
        &path,
        json!({"metadata": metadata, "data": {"frozen": frozen, "reason": "drill", "by": "ann"}}),
    );
}

#[tokio::test]
async fn each_guard_that_says_no_leaves_the_object_as_it_was() {
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let (fake, actor, uid) = running().await;
        let mut order = pause(1, "shop", &uid);
        spoil(&mut fake.state(), &actor.live, &mut order);
        let before = fake.scaled_object("shop");
        let end = actor.carry_out(order).await;
        assert_eq!(refused_by(&end), [*check], "spoiler {i}");
        assert_eq!(end.guard.len(), 9);
        assert_eq!(fake.writes(), [""; 0], "spoiler {i}");
        assert_eq!(fake.scaled_object("shop"), before);
    }
}

#[tokio::test]
async fn a_freeze_that_was_ended_lets_stops_through_again() {
    let (fake, actor, uid) = running().await;
    actor.gateway.write_freeze(true, "ann", "drill").await.unwrap();
    assert_eq!(actor.gateway.read_freeze().await, FreezeSeen::Frozen("drill (ann)".to_owned()));
    assert_eq!(refused_by(&actor.carry_out(pause(1, "shop", &uid)).await), [GuardCheck::Freeze]);
    actor.gateway.write_freeze(false, "ann", "over").await.unwrap();
    assert_eq!(kind(&actor.carry_out(pause(2, "shop", &uid)).await.outcome), "Verified");
    assert_eq!(fake.replicas("shop"), 0);
}

#[tokio::test]
async fn outside_a_cluster_the_marker_is_a_file() {
    let fake = Fake::start().await;
    let uid = fake.tenant("shop", 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("freeze");
    let marker = freeze::Marker::File(path.clone());
    let actor = Actor::with(fake.client(), quick(), |settings| settings.marker = marker);
    actor.gateway.write_freeze(true, "ann", "drill").await.unwrap();
    assert_eq!(refused_by(&actor.carry_out(pause(1, "shop", &uid)).await), [GuardCheck::Freeze]);
    actor.gateway.write_freeze(false, "ann", "over").await.unwrap();
    actor.gateway.write_freeze(false, "ann", "over").await.unwrap();
    assert!(!path.exists());
    assert_eq!(kind(&actor.carry_out(pause(2, "shop", &uid)).await.outcome), "Verified");
}

#[tokio::test]
async fn giving_back_goes_on_in_a_freeze_and_without_an_operator_but_not_without_the_lease() {
    let (fake, actor, uid) = held().await;
    actor.live.set_leadership(Leadership::No);
    let end = actor.carry_out(order(2, &agent("shop"), &uid, RESTORE)).await;
    assert_eq!(refused_by(&end), [GuardCheck::Leadership]);
    assert_eq!(fake.writes(), [""; 0]);
    actor.live.set_leadership(Leadership::NotNeeded);
    actor.live.set_frozen(Some("incident".to_owned()));
    marker(&mut fake.state(), "true");
    fake.state().remove("/apis/apps/v1/namespaces/keda/deployments/keda-operator");
    let end = actor.carry_out(order(3, &agent("shop"), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
}

#[tokio::test]
async fn a_configured_version_stands_in_for_an_operator_that_cannot_be_found() {
    let fake = Fake::start().await;
    let uid = fake.tenant("shop", 1);
    fake.state().remove("/apis/apps/v1/namespaces/keda/deployments/keda-operator");
    let actor = Actor::with(fake.client(), quick(), |s| s.keda_version = Some("2.20.1".to_owned()));
    assert_eq!(kind(&actor.carry_out(pause(1, "shop", &uid)).await.outcome), "Verified");
}

/// Freezes as soon as the prior state is durable.
struct FreezesThen(Notebook, Arc<Live>);

#[async_trait]
impl Receipts for FreezesThen {
    async fn send(&self, receipt: Receipt) -> Result<(), NotDurable> {
        if matches!(receipt.outcome, ReceiptOutcome::Prepared(_)) {
            self.1.set_frozen(Some("just now".to_owned()));
        }
        self.0.send(receipt).await
    }
}

#[tokio::test]
async fn a_freeze_that_comes_between_the_undo_record_and_the_write_stops_the_write() {
    let (fake, actor, uid) = running().await;
    let receipts = Arc::new(FreezesThen(Notebook::default(), Arc::clone(&actor.live)));
    let shared: Arc<dyn Receipts> = Arc::<FreezesThen>::clone(&receipts);
    let dispatch = Dispatch::new(Arc::clone(&actor.gateway), shared, quick(), Limits::default());
    dispatch.submit(pause(1, "shop", &uid)).unwrap();
    dispatch.idle().await;
    assert_eq!(receipts.0.kinds(1), ["Prepared", "Refused"]);
    assert_eq!(fake.writes(), [""; 0]);
}

#[tokio::test]
async fn without_a_durable_undo_record_nothing_is_written() {
    let (fake, actor, uid) = running().await;
    actor.notebook.refuse();
    actor.dispatch.submit(pause(1, "shop", &uid)).unwrap();
    actor.dispatch.idle().await;
    assert_eq!(fake.writes(), [""; 0]);
    assert_eq!(fake.replicas("shop"), 2);
}

#[tokio::test]
async fn an_object_that_changes_under_the_write_is_read_and_judged_again() {
    let (fake, actor, uid) = running().await;
    for n in 0..4 {
        fake.state().before_write.push_back(Box::new(move |state| {
            state.annotate("shop", "person", "note", Some(&n.to_string()));
        }));
    }
    actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(actor.notebook.kinds(1), ["Prepared", "Accepted", "Verified"]);
    assert_eq!(fake.writes().len(), 5, "four answers of 409 and one of 200");
    assert_eq!(actor.dispatch.counts().retried, 0);
}

#[tokio::test]
async fn after_five_conflicts_the_order_begins_again_from_the_start() {
    let (fake, actor, uid) = running().await;
    for n in 0..5 {
        fake.state().before_write.push_back(Box::new(move |state| {
            state.annotate("shop", "person", "note", Some(&n.to_string()));
        }));
    }
    actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(actor.notebook.kinds(1), ["Prepared", "Prepared", "Accepted", "Verified"]);
    assert_eq!(actor.dispatch.counts().retried, 1);
}

#[tokio::test]
async fn somebody_who_pauses_at_two_just_before_our_write_keeps_it() {
    let (fake, actor, uid) = running().await;
    fake.state().before_write.push_back(Box::new(|state| {
        state.annotate("shop", "argo", PAUSED_REPLICAS, Some("2"));
    }));
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    let ReceiptOutcome::NotStopped { because, .. } = &end.outcome else { panic!("{end:?}") };
    assert_eq!(because, "paused at 2 by argo");
    let object = fake.scaled_object("shop");
    assert_eq!(object["metadata"]["annotations"], json!({PAUSED_REPLICAS: "2"}));
}

#[tokio::test]
async fn an_object_that_was_replaced_just_before_our_write_is_refused() {
    let (fake, actor, uid) = running().await;
    fake.state().before_write.push_back(Box::new(|state| {
        let object = state.scaled_object("shop");
        state.remove_scaled_object("shop");
        state.put("/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/agent", object);
    }));
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(refused_by(&end), [GuardCheck::Identity]);
    assert_eq!(fake.replicas("shop"), 2);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_and_not_written_over() {
    let (fake, actor, uid) = running().await;
    fake.state().lost_answers = 1;
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    assert_eq!(actor.notebook.kinds(1), ["Prepared", "Prepared", "Accepted", "Verified"]);
    assert_eq!(fake.writes().len(), 1);
    let prior = fake.scaled_object("shop")["metadata"]["annotations"][PRIOR].clone();
    assert!(prior.as_str().unwrap().contains("\"replicas\":2"), "{prior}");
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_until_the_order_expires() {
    let (fake, actor, uid) = running().await;
    for code in [429, 500, 503] {
        fake.state().faults.push_back(("PATCH", "agent", code));
    }
    assert_eq!(kind(&actor.carry_out(pause(1, "shop", &uid)).await.outcome), "Verified");
    assert_eq!(actor.dispatch.counts().retried, 3);
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    let (fake, actor, uid) = running().await;
    fake.state().faults.push_back(("PATCH", "agent", 403));
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    let ReceiptOutcome::Failed { retryable: false, error } = &end.outcome else { panic!("{end:?}") };
    assert!(error.contains("403"), "{error}");
    assert_eq!(fake.writes().len(), 1);
}

#[tokio::test]
async fn what_keda_only_says_is_no_proof() {
    for keda in [Keda::Talker, Keda::Dead] {
        let (fake, actor, uid) = running().await;
        fake.state().keda = keda;
        let end = actor.carry_out(pause(1, "shop", &uid)).await;
        let ReceiptOutcome::NotObserved { signs } = &end.outcome else { panic!("{keda:?}: {end:?}") };
        assert!(signs.iter().all(|sign| !sign.proves), "{signs:?}");
        assert_eq!(fake.writes().len(), 1, "with an HPA in place, /scale would only start a fight");
        assert_eq!(fake.replicas("shop"), 2);
    }
}

#[tokio::test]
async fn a_workload_that_keda_forgot_is_set_to_zero_by_scale() {
    let (fake, actor, uid) = running().await;
    fake.state().keda = Keda::Racy;
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    let writes = fake.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes[1].starts_with("PUT") && writes[1].ends_with("/deployments/agent/scale"), "{writes:?}");
}

#[tokio::test]
async fn a_freeze_in_the_middle_keeps_us_from_setting_the_workload_to_zero() {
    let (fake, actor, uid) = running().await;
    fake.state().keda = Keda::Racy;
    let live = Arc::clone(&actor.live);
    fake.state().before_write.push_back(Box::new(move |_| live.set_frozen(Some("stop".to_owned()))));
    let end = actor.carry_out(pause(1, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "NotObserved", "{end:?}");
    assert!(end.guard.iter().any(|a| a.check == GuardCheck::Freeze && !a.pass), "{end:?}");
    assert_eq!((fake.writes().len(), fake.replicas("shop")), (1, 2));
}

#[tokio::test]
async fn an_operator_that_comes_back_finishes_an_order_that_is_fired_again() {
    let (fake, actor, uid) = running().await;
    fake.state().keda = Keda::Dead;
    actor.carry_out(pause(1, "shop", &uid)).await;
    fake.state().keda = Keda::Prompt;
    fake.state().annotate("shop", "person", "note", Some("wakes KEDA"));
    let prior = fake.scaled_object("shop")["metadata"]["annotations"][PRIOR].clone();
    actor.carry_out(pause(2, "shop", &uid)).await;
    assert_eq!(actor.notebook.kinds(2), ["Prepared", "Verified"]);
    assert_eq!(fake.writes().len(), 1);
    assert_eq!(fake.scaled_object("shop")["metadata"]["annotations"][PRIOR], prior);
}

#[tokio::test]
async fn a_pause_that_somebody_took_away_is_set_again_with_the_first_undo_record() {
    let (fake, actor, uid) = held().await;
    let prior = fake.scaled_object("shop")["metadata"]["annotations"][PRIOR].clone();
    fake.state().annotate("shop", "argo", PAUSED_REPLICAS, None);
    fake.state().scale_workload("shop", 7);
    let end = actor.carry_out(pause(2, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    let annotations = fake.scaled_object("shop")["metadata"]["annotations"].clone();
    assert_eq!((&annotations[PRIOR], &annotations[ORDER]), (&prior, &json!("o2")));
    assert_eq!(kind(&actor.carry_out(order(3, &agent("shop"), &uid, RESTORE)).await.outcome), "Verified");
}

#[tokio::test]
async fn a_dead_scaler_at_restore_is_reported_with_what_is_missing() {
    let (fake, actor, uid) = held().await;
    fake.state().scaler_answers = false;
    let end = actor.carry_out(order(2, &agent("shop"), &uid, RESTORE)).await;
    let ReceiptOutcome::RestoreIncomplete { signs } = &end.outcome else { panic!("{end:?}") };
    let missing: Vec<&str> = signs.iter().filter(|s| !s.proves).map(|s| &*s.sign).collect();
    assert_eq!(missing, ["HPA keda-hpa-agent", "spec.replicas of Deployment/shop/agent"]);
}

/// `paused: "false"` pauses nothing: with it, too, a return is proven or reported, also at the second look.
#[tokio::test]
async fn an_annotation_that_says_not_paused_is_no_excuse_for_what_is_missing() {
    let (fake, actor, uid) = held().await;
    fake.state().annotate("shop", "ann", "autoscaling.keda.sh/paused", Some("false"));
    fake.state().scaler_answers = false;
    for id in [2, 3] {
        let end = actor.carry_out(order(id, &agent("shop"), &uid, RESTORE)).await;
        assert_eq!(kind(&end.outcome), "RestoreIncomplete", "{end:?}");
    }
}

#[tokio::test]
async fn a_pause_that_somebody_made_theirs_while_held_is_told_without_waiting_for_its_end() {
    let (fake, actor, uid) = held().await;
    let patient = Actor::new(fake.client(), Timing { restore_deadline: Duration::from_secs(600), ..quick() });
    fake.state().annotate("shop", "ann", PAUSED_REPLICAS, Some("2"));
    let restore = patient.carry_out(order(2, &agent("shop"), &uid, RESTORE));
    let end = tokio::time::timeout(Duration::from_secs(30), restore).await.expect("nothing to wait for");
    let ReceiptOutcome::RestoreIncomplete { signs } = &end.outcome else { panic!("{end:?}") };
    assert!(signs.iter().any(|s| s.seen == "2 by ann"), "{signs:?}");
    let end = actor.carry_out(order(3, &agent("shop"), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "Verified", "nothing of ours is left on it: {end:?}");
    let annotations = fake.scaled_object("shop")["metadata"]["annotations"].clone();
    assert_eq!(annotations, json!({PAUSED_REPLICAS: "2"}));
}

#[tokio::test]
async fn an_object_deleted_while_held_cannot_be_given_back_and_says_so() {
    let (fake, actor, uid) = held().await;
    fake.state().remove_scaled_object("shop");
    let end = actor.carry_out(order(2, &agent("shop"), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "RestoreIncomplete", "{end:?}");
    let end = actor.carry_out(pause(3, "shop", &uid)).await;
    assert_eq!(kind(&end.outcome), "NotStopped", "{end:?}");
    assert_eq!(fake.writes(), [""; 0]);
}

#[tokio::test]
async fn what_another_installation_holds_is_neither_stopped_nor_given_back_by_us() {
    let (fake, actor, uid) = held().await;
    fake.state().annotate("shop", "breakerbox", INSTALL_KEY, Some("another"));
    let before = fake.scaled_object("shop");
    assert_eq!(kind(&actor.carry_out(pause(2, "shop", &uid)).await.outcome), "NotStopped");
    actor.carry_out(order(3, &agent("shop"), &uid, RESTORE)).await;
    assert!(actor.gateway.marked_objects().await.unwrap().is_empty());
    assert_eq!(fake.writes(), [""; 0]);
    assert_eq!(fake.scaled_object("shop"), before);
}

#[tokio::test]
async fn of_many_stops_at_once_no_more_than_the_cap_are_written() {
    let fake = Fake::start().await;
    let actor = Actor::new(fake.client(), quick());
    actor.live.set_guardrail(Guardrail { overall: 3, ..Guardrail::default() });
    actor.gateway.seed_stopped([(agent("earlier"), pause(0, "x", "").issued_at)]);
    for n in 0..6_u64 {
        let namespace = format!("t{n}");
        let uid = fake.tenant(&namespace, 1);
        actor.dispatch.submit(pause(n, &namespace, &uid)).unwrap();
    }
    actor.dispatch.idle().await;
    let count = |word: &str| (0..6).filter(|n| kind(&actor.notebook.last(*n).outcome) == word).count();
    assert_eq!((count("Verified"), count("Refused")), (2, 4));
    assert_eq!(fake.writes().len(), 2);
}

#[tokio::test]
async fn release_all_freezes_first_and_then_gives_back_only_what_is_ours() {
    let (fake, actor, _) = held().await;
    for namespace in ["second", "theirs", "free"] {
        fake.tenant(namespace, 1);
    }
    let marked = |state: &mut State, namespace: &str, install: &str| {
        state.annotate(namespace, "breakerbox", ORDER, Some("o9"));
        state.annotate(namespace, "breakerbox", INSTALL_KEY, Some(install));
        state.annotate(namespace, "breakerbox", PAUSED_REPLICAS, Some("0"));
    };
    marked(&mut fake.state(), "second", world::INSTALL);
    marked(&mut fake.state(), "theirs", "another");
    fake.state().page = 1;
    // No leader, no journal, a clock in doubt, ceiling observe: a person's word is enough.
    actor.live.set_leadership(Leadership::No);
    actor.live.set_ceiling(Mode::Observe);
    actor.live.set_clock_agrees(false);
    let report = actor.gateway.release_all("ann", "false stop").await.unwrap();
    let released: Vec<String> = report.objects.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(released, ["ScaledObject/second/agent", "ScaledObject/shop/agent"]);
    assert!(report.objects.iter().all(|(_, outcome)| matches!(outcome, ReleaseOutcome::Released)));
    let writes = fake.writes();
    assert!(writes[0].ends_with("/namespaces/breakerbox/configmaps"), "{writes:?}");
    assert_eq!(writes.len(), 3);
    assert_eq!((fake.replicas("shop"), fake.replicas("theirs")), (2, 0));
    assert!(matches!(actor.gateway.read_freeze().await, FreezeSeen::Frozen(_)));
}

#[tokio::test]
async fn release_all_gives_nothing_back_when_it_cannot_freeze() {
    let (fake, actor, _) = held().await;
    fake.state().faults.push_back(("POST", "configmaps", 403));
    assert!(actor.gateway.release_all("ann", "false stop").await.is_err());
    assert_eq!(fake.replicas("shop"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_not_answered_is_given_up_by_the_time_that_writes_have() {
    let (fake, ..) = held().await;
    let actor = Actor::with(fake.client(), quick(), |s| s.write_timeout = Duration::from_millis(100));
    fake.state().before_write.push_back(Box::new(|_| {}));
    let (go_on, held_up) = std::sync::mpsc::channel::<()>();
    fake.state().before_write.push_back(Box::new(move |_| {
        let _ = held_up.recv();
    }));
    let report = actor.gateway.release_all("ann", "false stop").await.unwrap();
    drop(go_on);
    let [(_, ReleaseOutcome::StillHeld(why))] = &report.objects[..] else { panic!("{report:?}") };
    assert!(why.contains("100ms"), "{why}");
}

#[tokio::test]
async fn marked_objects_tell_a_daemon_without_a_journal_what_it_holds() {
    let (_fake, actor, uid) = held().await;
    let marked = actor.gateway.marked_objects().await.unwrap();
    assert_eq!(marked.len(), 1);
    assert_eq!((&marked[0].key, &*marked[0].uid), (&agent("shop"), &*uid));
    assert_eq!(marked[0].marks.order.map(|o| o.0), Some(1));
    assert_eq!(marked[0].marks.prior.as_ref().and_then(|p| p.replicas), Some(2));
    assert_eq!(marked[0].workload, Some("Deployment/shop/agent".parse().unwrap()));
}

#[tokio::test]
async fn an_order_is_taken_once_and_orders_of_one_target_run_in_their_order() {
    let (_fake, actor, uid) = running().await;
    let orders = [pause(1, "shop", &uid), order(2, &agent("shop"), &uid, RESTORE), pause(3, "shop", &uid)];
    for order in orders {
        actor.dispatch.submit(order).unwrap();
    }
    assert_eq!(actor.dispatch.submit(pause(1, "shop", &uid)), Err(NotTaken::Duplicate));
    actor.dispatch.idle().await;
    let order: Vec<u64> = actor.notebook.all().iter().map(|r| r.order.0).collect();
    assert!(order.is_sorted(), "{order:?}");
    for id in 1..=3 {
        assert_eq!(kind(&actor.notebook.last(id).outcome), "Verified");
    }
    assert_eq!(actor.dispatch.submit(pause(2, "shop", &uid)), Err(NotTaken::Duplicate));
}

#[tokio::test]
async fn a_release_does_not_wait_for_the_proof_of_the_stop_that_it_ends() {
    let fake = Fake::start().await;
    let uid = fake.tenant("shop", 2);
    let slow = Timing { stop_deadline: Duration::from_secs(600), ..quick() };
    let actor = Actor::new(fake.client(), slow);
    fake.state().keda = Keda::Dead;
    actor.dispatch.submit(pause(1, "shop", &uid)).unwrap();
    actor.dispatch.submit(order(2, &agent("shop"), &uid, RESTORE)).unwrap();
    tokio::time::timeout(Duration::from_secs(60), actor.dispatch.idle())
        .await
        .expect("nobody waits 10 minutes");
    assert_eq!(actor.notebook.kinds(1), ["Prepared", "Accepted", "NotObserved"]);
    assert_eq!(actor.notebook.kinds(2), ["Accepted", "Verified"], "{:?}", actor.notebook.last(2));
    assert_eq!(fake.replicas("shop"), 2);
}

#[tokio::test]
async fn no_stop_waits_for_the_proof_of_another() {
    let fake = Fake::start().await;
    let tenants: Vec<String> = (0..6).map(|n| format!("shop-{n}")).collect();
    let uids: Vec<String> = tenants.iter().map(|tenant| fake.tenant(tenant, 2)).collect();
    fake.state().keda = Keda::Dead;
    let slow = Timing { stop_deadline: Duration::from_secs(600), ..quick() };
    let actor = Actor::new(fake.client(), slow);
    let receipts: Arc<dyn Receipts> = Arc::<Notebook>::clone(&actor.notebook);
    let limits = Limits { writes: 1, looks: 1, ..Limits::default() };
    let dispatch = Dispatch::new(Arc::clone(&actor.gateway), receipts, slow, limits);
    for ((n, tenant), uid) in (1..).zip(&tenants).zip(&uids) {
        dispatch.submit(pause(n, tenant, uid)).unwrap();
    }
    let accepted = actor.notebook.until(|book| (1..=6).all(|n| book.kinds(n) == ["Prepared", "Accepted"]));
    tokio::time::timeout(Duration::from_secs(30), accepted).await.expect("each is written at once");
    assert_eq!(dispatch.counts().open, 6, "and none is proven");
}

#[tokio::test]
async fn a_full_queue_and_a_draining_one_say_so_and_take_nothing() {
    let (_fake, actor, uid) = running().await;
    let limits = Limits { queue: 2, ..Limits::default() };
    let receipts: Arc<dyn Receipts> = Arc::<Notebook>::clone(&actor.notebook);
    let dispatch = Dispatch::new(Arc::clone(&actor.gateway), receipts, quick(), limits);
    dispatch.submit(pause(1, "shop", &uid)).unwrap();
    dispatch.submit(order(2, &agent("shop"), &uid, RESTORE)).unwrap();
    assert_eq!(dispatch.submit(pause(3, "shop", &uid)), Err(NotTaken::Full));
    assert_eq!(dispatch.counts().full, 1);
    assert_eq!(dispatch.drain(Duration::from_secs(10)).await, 0);
    assert_eq!(dispatch.submit(pause(4, "shop", &uid)), Err(NotTaken::Draining));
    assert!(actor.notebook.all().iter().all(|receipt| receipt.order.0 <= 2));
}
