//! Stops and restores against a real API server and a real KEDA, with exactly the daemon's rights: the
//! scenarios that `actions` runs against its API server in memory, and what only the real one can show.

#[path = "../../actions/tests/world/mod.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use actions::guard::FreezeSeen;
use actions::keda::Timing;
use actions::keda::release::ReleaseOutcome;
use actions::lease::{Candidate, LeaseNews, LeaseSettings};
use actions::live::Live;
use actions::now::{Now as _, SystemNow};
use anyhow::Result;
use async_trait::async_trait;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use policy::decision::Effect;
use policy::fact::{GuardCheck, ReceiptOutcome};
use policy::inventory::ObjectKey;
use policy::rule::Mode;
use serde_json::Value;
use tests::servers::{Cluster, KedaVersion, Role, wait_until};
use world::fake::PAUSED_REPLICAS;
use world::scenarios::{self, World};
use world::{Actor, kind, order};

const PATIENCE: Duration = Duration::from_secs(30);
const RESTORE: Effect = Effect::Restore { prior: None };

struct Real<'a> {
    cluster: &'a Cluster,
    client: Client,
}

/// A client as the daemon makes one, with the daemon's rights.
async fn daemon_client(cluster: &Cluster) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig_for(Role::Breakerbox))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(actions::gateway::client(config)?)
}

fn timing() -> Timing {
    let poll = Duration::from_millis(50);
    Timing { poll, stop_deadline: PATIENCE, scale_grace: Duration::from_secs(1), restore_deadline: PATIENCE }
}

fn agent(namespace: &str) -> ObjectKey {
    ObjectKey::scaled_object(namespace, "agent")
}

impl Real<'_> {
    async fn person(&self, arguments: &[&str]) {
        self.cluster.kubectl(Role::Person, arguments).await.expect("a person may do all");
    }

    async fn settled(&self, namespace: &str, what: &str, holds: impl Fn(&Value) -> bool) {
        wait_until(what, PATIENCE, async || Ok(holds(&self.object(namespace).await)))
            .await
            .expect("KEDA settles");
    }
}

#[async_trait(?Send)]
impl World for Real<'_> {
    fn client(&self) -> Client {
        self.client.clone()
    }

    fn timing(&self) -> Timing {
        // Only the scenario of a pause that stays somebody else's waits for the whole of this.
        Timing { restore_deadline: Duration::from_secs(15), ..timing() }
    }

    async fn tenant(&self, namespace: &str, replicas: i64) -> String {
        let replicas = i32::try_from(replicas).unwrap();
        let tenant = self.cluster.tenant(namespace, &[], replicas).await.expect("the tenant runs");
        tenant.scaled_object().await.unwrap().uid().unwrap()
    }

    async fn annotate(&self, namespace: &str, manager: &str, key: &str, value: Option<&str>) {
        let change = value.map_or_else(|| format!("{key}-"), |value| format!("{key}={value}"));
        let manager = format!("--field-manager={manager}");
        let base = ["annotate", "scaledobject/agent", "--overwrite", "-n", namespace];
        self.person(&[&base[..], &[&manager, &change]].concat()).await;
        if key == PAUSED_REPLICAS {
            let count = value.and_then(|n| n.parse::<i64>().ok());
            let says = |object: &Value| object["status"]["pausedReplicaCount"].as_i64() == count;
            self.settled(namespace, "KEDA follows the annotation", says).await;
        }
    }

    async fn scale(&self, namespace: &str, replicas: i64) {
        let replicas = format!("--replicas={replicas}");
        self.person(&["scale", "deployment/agent", "-n", namespace, &replicas]).await;
    }

    async fn set_max(&self, namespace: &str, max: i64) {
        let patch = format!("{{\"spec\":{{\"maxReplicaCount\":{max}}}}}");
        self.person(&["patch", "scaledobject/agent", "-n", namespace, "--type=merge", "-p", &patch]).await;
    }

    async fn delete_workload(&self, namespace: &str) {
        self.person(&["delete", "deployment/agent", "-n", namespace]).await;
    }

    async fn object(&self, namespace: &str) -> Value {
        let admin = self.cluster.admin().await.unwrap();
        serde_json::to_value(admin.scaled_object(namespace, "agent").await.unwrap()).unwrap()
    }

    async fn replicas(&self, namespace: &str) -> i64 {
        let admin = self.cluster.admin().await.unwrap();
        let scale = admin.raw_scale(namespace, "deployments", "agent").await.unwrap();
        scale["spec"]["replicas"].as_i64().unwrap_or(0)
    }

    async fn hpa_exists(&self, namespace: &str) -> bool {
        self.cluster.admin().await.unwrap().hpa_exists(namespace, "keda-hpa-agent").await.unwrap()
    }
}

#[tokio::test]
async fn every_scenario_holds_on_the_real_api_server_and_keda() -> Result<()> {
    let cluster = Cluster::shared().await?;
    scenarios::all(&Real { cluster, client: daemon_client(cluster).await? }).await;
    Ok(())
}

#[tokio::test]
async fn a_stop_and_its_restore_write_the_object_once_each_and_nothing_else() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let world = Real { cluster, client: daemon_client(cluster).await? };
    let uid = world.tenant("counted", 2).await;
    world.tenant("bystander", 1).await;
    let actor = Actor::new(world.client(), timing());
    let end = actor.carry_out(order(1, &agent("counted"), &uid, Effect::PauseToZero)).await;
    let ReceiptOutcome::Verified { took, .. } = &end.outcome else { panic!("{end:?}") };
    println!("accepted to proven: {took}");
    let end = actor.carry_out(order(2, &agent("counted"), &uid, RESTORE)).await;
    let ReceiptOutcome::Verified { took, .. } = &end.outcome else { panic!("{end:?}") };
    println!("released to proven: {took}");

    // Below enforce, not one write more.
    actor.live.set_ceiling(Mode::Observe);
    let refused = actor.carry_out(order(3, &agent("counted"), &uid, Effect::PauseToZero)).await;
    assert_eq!(kind(&refused.outcome), "Refused");
    let writes = cluster.writes_by("breakerbox").await?;
    let here: Vec<_> = writes.iter().filter(|w| w.namespace == "counted").collect();
    let told: Vec<_> = here.iter().map(|w| (&*w.verb, &*w.resource, &*w.subresource, w.code)).collect();
    assert_eq!(told, [("patch", "scaledobjects", "", 200); 2]);
    assert_eq!(writes.iter().filter(|w| w.namespace == "bystander").count(), 0);
    Ok(())
}

/// KEDA is dead: the pause is accepted and nothing happens. Once the HPA is gone the workload is set to
/// zero by `/scale`, and the proof comes when the operator is back.
#[tokio::test]
async fn a_dead_operator_is_not_believed_and_its_work_is_done_for_it_once_the_hpa_is_gone() -> Result<()> {
    let cluster = Cluster::start().await?;
    let world = Real { cluster: &cluster, client: daemon_client(&cluster).await? };
    let uid = world.tenant("orphaned", 1).await;
    cluster.stop_operator();
    let short = Timing { stop_deadline: Duration::from_secs(4), ..timing() };
    let actor = Actor::new(world.client(), short);
    let stop = |id| order(id, &agent("orphaned"), &uid, Effect::PauseToZero);
    let end = actor.carry_out(stop(1)).await;
    let ReceiptOutcome::NotObserved { signs } = &end.outcome else { panic!("{end:?}") };
    assert!(signs.iter().all(|sign| !sign.proves), "{signs:?}");
    assert_eq!(world.replicas("orphaned").await, 1);

    world.person(&["delete", "hpa/keda-hpa-agent", "-n", "orphaned"]).await;
    let end = actor.carry_out(stop(2)).await;
    let ReceiptOutcome::NotObserved { signs } = &end.outcome else { panic!("{end:?}") };
    let open: Vec<&str> = signs.iter().filter(|s| !s.proves).map(|s| &*s.sign).collect();
    assert_eq!((world.replicas("orphaned").await, open), (0, vec!["status.pausedReplicaCount"]));

    cluster.start_operator().await?;
    let end = Actor::new(world.client(), timing()).carry_out(stop(3)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    let writes = cluster.writes_by("breakerbox").await?;
    let told: Vec<_> = writes.iter().map(|w| (&*w.verb, &*w.subresource, w.code)).collect();
    assert_eq!(told, [("patch", "", 200), ("update", "scale", 200)]);
    Ok(())
}

/// Needs `tests/servers/install --all`. Where that was asked for (`BREAKERBOX_TEST_ALL`) a missing 2.16 is
/// an error; elsewhere the test says that it did not run.
#[tokio::test]
async fn an_old_keda_that_loses_its_own_race_is_proven_all_the_same() -> Result<()> {
    let cluster = match Cluster::start_with(KedaVersion::V2_16).await {
        Ok(cluster) => cluster,
        Err(error)
            if error.to_string().contains("install --all")
                && std::env::var_os("BREAKERBOX_TEST_ALL").is_none() =>
        {
            println!("not run: {error}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let world = Real { cluster: &cluster, client: daemon_client(&cluster).await? };
    let uid = world.tenant("old", 2).await;
    let actor = Actor::new(world.client(), Timing { stop_deadline: Duration::from_secs(60), ..timing() });
    let end = actor.carry_out(order(1, &agent("old"), &uid, Effect::PauseToZero)).await;
    let ReceiptOutcome::Verified { took, .. } = &end.outcome else { panic!("{end:?}") };
    println!("accepted to proven on 2.16: {took}");
    let end = actor.carry_out(order(2, &agent("old"), &uid, RESTORE)).await;
    assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    Ok(())
}

#[tokio::test]
async fn a_protected_namespace_is_never_touched() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let labels = [("breakerbox.dev/protected", "true")];
    let tenant = cluster.tenant("sacred", &labels, 1).await?;
    let before = tenant.scaled_object().await?;
    let actor = Actor::new(daemon_client(cluster).await?, timing());
    let uid = before.uid().unwrap();
    let end = actor.carry_out(order(1, &agent("sacred"), &uid, Effect::PauseToZero)).await;
    let no: Vec<GuardCheck> = end.guard.iter().filter(|a| !a.pass).map(|a| a.check).collect();
    assert_eq!((kind(&end.outcome), no), ("Refused", vec![GuardCheck::Protected]));
    let writes = cluster.writes_by("breakerbox").await?;
    assert!(writes.iter().all(|w| w.namespace != "sacred"));
    Ok(())
}

/// With a cluster of its own: it freezes, and the other tests must stop things.
#[tokio::test]
async fn a_person_s_release_all_freezes_and_gives_everything_back_without_a_daemon() -> Result<()> {
    let cluster = Cluster::start().await?;
    let world = Real { cluster: &cluster, client: daemon_client(&cluster).await? };
    let mut before = Vec::new();
    for (id, namespace) in [(1, "one"), (2, "two")] {
        let uid = world.tenant(namespace, 1).await;
        before.push(world.object(namespace).await["metadata"]["annotations"].clone());
        let actor = Actor::new(world.client(), timing());
        let end = actor.carry_out(order(id, &agent(namespace), &uid, Effect::PauseToZero)).await;
        assert_eq!(kind(&end.outcome), "Verified", "{end:?}");
    }
    let daemonless = Actor::new(world.client(), timing());
    daemonless.live.set_ceiling(Mode::Observe);
    assert_eq!(daemonless.gateway.marked_objects().await?.len(), 2);
    let report = daemonless.gateway.release_all("ann", "false stop").await?;
    assert_eq!(report.objects.len(), 2);
    assert!(report.objects.iter().all(|(_, o)| matches!(o, ReleaseOutcome::Released)), "{report:?}");
    for (namespace, before) in ["one", "two"].into_iter().zip(before) {
        wait_until("replicas are back", PATIENCE, async || Ok(world.replicas(namespace).await == 1)).await?;
        assert_eq!(world.object(namespace).await["metadata"]["annotations"], before);
    }
    assert_eq!(daemonless.gateway.read_freeze().await, FreezeSeen::Frozen("false stop (ann)".to_owned()));
    let actor = Actor::new(world.client(), timing());
    let uid = world.object("one").await["metadata"]["uid"].as_str().unwrap().to_owned();
    let end = actor.carry_out(order(9, &agent("one"), &uid, Effect::PauseToZero)).await;
    assert_eq!(kind(&end.outcome), "Refused", "{end:?}");
    actor.gateway.write_freeze(false, "ann", "over").await?;
    assert_eq!(actor.gateway.read_freeze().await, FreezeSeen::None);
    Ok(())
}

#[tokio::test]
async fn of_two_candidates_for_one_lease_one_leads_and_the_other_follows_when_it_stops() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut running = Vec::new();
    for holder in ["first", "second"] {
        let live = Live::new();
        let mut settings = LeaseSettings::new("breakerbox", holder);
        settings.every = Duration::from_millis(200);
        let client = daemon_client(cluster).await?;
        let (candidate, news) = Candidate::new(client, Arc::clone(&live), Arc::new(SystemNow), settings);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(candidate.run(async move {
            let _ = stopped.await;
        }));
        running.push((live, news, stop, task));
    }
    for (_, news, ..) in &mut running {
        news.wait_for(|news| *news != LeaseNews::Unknown).await?;
    }
    assert_eq!(running.iter().filter(|(live, ..)| live.leads()).count(), 1);
    let leader = running.iter().position(|(live, ..)| live.leads()).unwrap();
    let (live, _, stop, task) = running.remove(leader);
    stop.send(()).unwrap();
    task.await??;
    assert!(!live.leads());
    let (live, news, stop, task) = &mut running[0];
    tokio::time::timeout(PATIENCE, news.wait_for(|news| *news == LeaseNews::Leading)).await??;
    assert!(live.leads());
    drop(std::mem::replace(stop, tokio::sync::oneshot::channel().0));
    task.await??;
    Ok(())
}

#[tokio::test]
async fn the_api_servers_clock_is_read_off_its_answers() -> Result<()> {
    let actor = Actor::new(daemon_client(Cluster::shared().await?).await?, timing());
    let said = actor.gateway.server_clock().await.map_err(anyhow::Error::msg)?;
    let apart = SystemNow.wall().since(said).millis().abs();
    assert!(apart < 5_000, "one machine, one clock: {apart} ms");
    Ok(())
}
