//! A cluster that misbehaves: what the watcher does then, counted at the server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use collector::envelope::{Envelope, Intake};
use collector::kube::{KubeSource, Pace};
use policy::fact::{Fact, SourceState};
use policy::inventory::InventoryChange;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

/// What the server does with a watch of ScaledObjects.
#[derive(Clone, Debug)]
enum Watch {
    /// 200, and closes at once.
    Close,
    /// 410 as an event on the stream.
    GoneOnStream,
    /// 410 as the answer.
    GoneAtStart,
    /// One event, then stays open.
    Event(Value),
    /// Nothing, and stays open.
    Silent,
}

#[derive(Clone, Default)]
struct Cluster {
    /// Scripted answers to watches of ScaledObjects; the last one repeats.
    watches: Arc<Mutex<VecDeque<Watch>>>,
    lists: Arc<Mutex<Vec<Instant>>>,
    connects: Arc<Mutex<Vec<Instant>>>,
    has_keda: bool,
    /// Lists of ScaledObjects are never answered.
    stalls: bool,
}

type Params = std::collections::HashMap<String, String>;

async fn answer(State(cluster): State<Cluster>, Query(params): Query<Params>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let scripted = path.ends_with("/scaledobjects");
    if scripted {
        cluster.connects.lock().unwrap().push(Instant::now());
    }
    if scripted && !cluster.has_keda {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "404 page not found", "reason": "NotFound", "code": 404});
        return (StatusCode::NOT_FOUND, axum::Json(status)).into_response();
    }
    if params.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
        let watch = if scripted { next(&cluster) } else { Watch::Silent };
        return watch_answer(watch);
    }
    if scripted {
        cluster.lists.lock().unwrap().push(Instant::now());
        if cluster.stalls {
            std::future::pending::<()>().await;
        }
    }
    let items =
        if path.ends_with("/namespaces") { paged_namespaces(&params) } else { (json!([]), String::new()) };
    axum::Json(json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "continue": items.1}, "items": items.0
    }))
    .into_response()
}

/// Two pages of one namespace each.
fn paged_namespaces(params: &Params) -> (Value, String) {
    let namespace = |name: &str| json!([{"metadata": {"name": name, "labels": {"tenant": name}}}]);
    if params.get("continue").is_some_and(|token| token == "page-2") {
        (namespace("blue"), String::new())
    } else {
        (namespace("acme"), "page-2".to_owned())
    }
}

fn next(cluster: &Cluster) -> Watch {
    let mut watches = cluster.watches.lock().unwrap();
    if watches.len() > 1 {
        watches.pop_front().unwrap()
    } else {
        watches.front().cloned().unwrap_or(Watch::Silent)
    }
}

fn watch_answer(watch: Watch) -> Response {
    let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410});
    let open = |first: String| {
        let stream = futures::stream::once(async move { Ok::<_, std::convert::Infallible>(first) });
        let stream = futures::StreamExt::chain(stream, futures::stream::pending());
        Response::new(axum::body::Body::from_stream(stream))
    };
    match watch {
        Watch::Close => Response::new(axum::body::Body::empty()),
        Watch::GoneAtStart => (StatusCode::GONE, axum::Json(gone)).into_response(),
        Watch::GoneOnStream => open(format!("{}\n", json!({"type": "ERROR", "object": gone}))),
        Watch::Event(event) => open(format!("{event}\n")),
        Watch::Silent => open(String::new()),
    }
}

const BETWEEN: Duration = Duration::from_millis(40);

async fn start(has_keda: bool, watches: Vec<Watch>) -> (Cluster, Receiver<Envelope>) {
    start_with(has_keda, watches, 30).await
}

async fn start_with(has_keda: bool, watches: Vec<Watch>, watch_secs: u32) -> (Cluster, Receiver<Envelope>) {
    let cluster = Cluster { watches: Arc::new(Mutex::new(watches.into())), has_keda, ..Cluster::default() };
    start_on(cluster, watch_secs).await
}

async fn start_on(cluster: Cluster, watch_secs: u32) -> (Cluster, Receiver<Envelope>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(answer).with_state(cluster.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = kube::Client::try_from(kube::Config::new(uri)).unwrap();
    let (intake, taken) = Intake::new(1024);
    let pace = Pace {
        watch_secs,
        grace: Duration::from_millis(200),
        between_connects: BETWEEN,
        tell: Duration::ZERO,
    };
    tokio::spawn(KubeSource::new(intake, pace).run(client));
    (cluster, taken)
}

/// The next fact that is wanted, within ten seconds.
async fn wait_for<T>(taken: &mut Receiver<Envelope>, mut wanted: impl FnMut(Fact) -> Option<T>) -> T {
    let found = async {
        loop {
            let envelope = taken.recv().await.expect("the source runs");
            if let Some(found) = wanted(envelope.fact) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("the fact in time")
}

/// Drains facts until the condition at the server holds.
async fn wait_until(taken: &mut Receiver<Envelope>, what: &str, holds: impl Fn() -> bool) {
    let drain = async {
        while !holds() {
            let _ = tokio::time::timeout(Duration::from_millis(20), taken.recv()).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), drain).await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_watch_that_answers_and_closes_at_once_is_not_hammered_and_leads_to_lists() {
    let (cluster, mut taken) = start(true, vec![Watch::Close]).await;
    wait_until(&mut taken, "three lists", || cluster.lists.lock().unwrap().len() >= 3).await;
    let connects = cluster.connects.lock().unwrap().clone();
    for pair in connects.windows(2) {
        // A little less than asked: the clocks of client and server are read at different moments.
        assert!(pair[1] - pair[0] >= BETWEEN / 2, "{:?} between connects", pair[1] - pair[0]);
    }
    let lists = cluster.lists.lock().unwrap().clone();
    assert!(lists[2] - lists[1] > BETWEEN * 3, "three streams are tried before each list");
}

#[tokio::test]
async fn a_410_leads_to_a_fresh_list_whether_it_is_the_answer_or_an_event() {
    for gone in [Watch::GoneAtStart, Watch::GoneOnStream] {
        let (cluster, mut taken) = start(true, vec![gone.clone(), Watch::Silent]).await;
        wait_until(&mut taken, "a second list", || cluster.lists.lock().unwrap().len() == 2).await;
    }
}

#[tokio::test]
async fn a_watch_that_is_only_half_open_is_given_up() {
    let (cluster, mut taken) = start_with(true, vec![Watch::Silent], 0).await;
    wait_until(&mut taken, "a list after silence", || cluster.lists.lock().unwrap().len() >= 2).await;
}

#[tokio::test]
async fn a_list_that_is_never_answered_is_given_up_and_said() {
    let (cluster, mut taken) =
        start_on(Cluster { has_keda: true, stalls: true, ..Cluster::default() }, 0).await;
    let why = wait_for(&mut taken, |fact| match fact {
        Fact::Health(health) => match health.state {
            SourceState::Broken(why) if why.contains("scaledobjects") => Some(why),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(why.await, "cannot list scaledobjects: the server does not answer");
    wait_until(&mut taken, "it is asked again", || cluster.lists.lock().unwrap().len() >= 2).await;
}

#[tokio::test]
async fn all_pages_of_all_kinds_become_one_snapshot_and_then_changes_follow() {
    let event = json!({"type": "ADDED", "object": {
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": "api", "namespace": "acme", "uid": "u1", "resourceVersion": "8"},
        "spec": {"scaleTargetRef": {"name": "api"}}
    }});
    let (_cluster, mut taken) = start(true, vec![Watch::Event(event)]).await;
    let snapshot = wait_for(&mut taken, |fact| match fact {
        Fact::Inventory(InventoryChange::Snapshot(all)) => Some(all),
        _ => None,
    })
    .await;
    let names: Vec<&str> = snapshot.namespaces.keys().map(|name| &**name).collect();
    assert_eq!(names, ["acme", "blue"]);
    if snapshot.scaled_objects.is_empty() {
        let key = wait_for(&mut taken, |fact| match fact {
            Fact::Inventory(InventoryChange::ScaledObject(key, _)) => Some(key),
            _ => None,
        })
        .await;
        assert_eq!(key.to_string(), "ScaledObject/acme/api");
    }
    wait_for(&mut taken, |fact| match fact {
        Fact::Health(health) if health.state == SourceState::Heard => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_cluster_without_keda_is_said_to_be_broken_with_what_to_do() {
    let (_cluster, mut taken) = start(false, vec![]).await;
    let why = wait_for(&mut taken, |fact| match fact {
        Fact::Health(health) => match health.state {
            SourceState::Broken(why) => Some(why),
            SourceState::Heard => panic!("not every kind was heard"),
            _ => None,
        },
        Fact::Inventory(_) => panic!("no snapshot without all kinds"),
        _ => None,
    })
    .await;
    assert!(why.contains("install KEDA"), "{why}");
}
