//! The hands: `actions`' gateway, dispatch and Lease, joined to the daemon.
//!
//! They are made wherever a cluster is configured, whatever the ceiling is: the guard reads the ceiling just
//! before each write, and a daemon that only observes asks for no Lease and so never writes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actions::dispatch::{Dispatch, Limits, NotTaken};
use actions::gateway::{Gateway, Settings};
use actions::guard::FreezeSeen;
use actions::keda::Timing;
use actions::keda::release::ReleaseOutcome;
use actions::lease::{Candidate, LeaseNews, LeaseSettings};
use actions::live::Live;
use actions::now::Now;
use actions::receipts::{NotDurable, Receipts};
use async_trait::async_trait;
use policy::decision::Order;
use policy::fact::Receipt;
use policy::inventory::ObjectKey;
use policy::time::Timestamp;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::Leading;
use crate::clock::Clock;
use crate::config::{Cluster, Config};
use crate::edge::{Actuator, GivenBack};
use crate::marker::RELEASE_ALL;
use crate::turn::Handle;

/// How often an order that finds a full queue is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(200);

/// The turn's wall clock, for those who write.
#[derive(Debug)]
pub struct TurnClock(pub Arc<dyn Clock>);

impl Now for TurnClock {
    fn wall(&self) -> Timestamp {
        self.0.read().wall
    }
}

/// Who we are and where things are, for the gateway.
#[must_use]
pub fn gateway_settings(config: &Config) -> Settings {
    let Cluster { namespace, keda_namespace, keda_deployment, keda_version, .. } = &config.cluster;
    Settings {
        instance: process_name(&config.install_id),
        keda_namespace: keda_namespace.clone(),
        keda_deployment: keda_deployment.clone(),
        keda_version: keda_version.clone(),
        ..Settings::new(&config.install_id, namespace)
    }
}

/// The name of this process. Another one for each: one that comes back under its old name would not know
/// that it had been away.
fn process_name(install: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "host".to_owned());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    name_of(install, host.trim(), std::process::id(), now)
}

/// Number and start tell a process from the one before: in a container every process has number 1.
fn name_of(install: &str, host: &str, process: u32, started: Duration) -> String {
    format!("{install}-{host}-{process}-{}", started.as_millis())
}

/// Carries orders out.
#[derive(Debug)]
pub struct Hands {
    gateway: Arc<Gateway>,
    /// Made with the first order: until then nobody knows where receipts go.
    dispatch: OnceLock<Dispatch>,
    lease: Mutex<Option<Contest>>,
}

/// The running contest for the Lease.
#[derive(Debug)]
pub struct Contest {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Receipts go back through the turn.
struct Back(Handle);

#[async_trait]
impl Receipts for Back {
    async fn send(&self, receipt: Receipt) -> Result<(), NotDurable> {
        self.0.receipt(receipt).await.map_err(|_| NotDurable)
    }
}

impl Hands {
    /// Hands over that gateway, which give up that contest when they finish.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, contest: Option<Contest>) -> Self {
        Self { gateway, dispatch: OnceLock::new(), lease: Mutex::new(contest) }
    }

    fn dispatch(&self, handle: &Handle) -> &Dispatch {
        self.dispatch.get_or_init(|| {
            let back = Arc::new(Back(handle.clone()));
            Dispatch::new(self.gateway.clone(), back, Timing::default(), Limits::default())
        })
    }
}

#[async_trait]
impl Actuator for Hands {
    async fn dispatch(&self, order: Order, handle: &Handle) {
        let dispatch = self.dispatch(handle);
        loop {
            match dispatch.submit(order.clone()) {
                // Draining: it is in the journal, and is taken up after the next start.
                Ok(()) | Err(NotTaken::Duplicate | NotTaken::Draining) => return,
                Err(NotTaken::Full) => tokio::time::sleep(OFFER_AGAIN).await,
            }
        }
    }

    fn seed(&self, stopped: Vec<(ObjectKey, Timestamp)>) {
        self.gateway.seed_stopped(stopped);
    }

    async fn finish(&self, patience: Duration) {
        if let Some(dispatch) = self.dispatch.get() {
            let left = dispatch.drain(patience).await;
            if left > 0 {
                tracing::warn!(left, "orders are cut off; the journal has them for the next start");
            }
        }
        // Only now: what was under way needed it.
        if let Some(Contest { stop, task }) = self.lease.lock().await.take() {
            stop.cancel();
            if tokio::time::timeout(patience, task).await.is_err() {
                tracing::warn!("the Lease could not be given up; it ends by itself");
            }
        }
    }

    async fn marked(&self) -> Result<Vec<String>, String> {
        let marked = self.gateway.marked_objects().await.map_err(|error| error.to_string())?;
        Ok(marked.into_iter().map(|object| object.key.to_string()).collect())
    }

    async fn server_clock(&self) -> Result<Timestamp, String> {
        self.gateway.server_clock().await
    }

    async fn freeze_mark(&self) -> Result<Option<String>, String> {
        match self.gateway.read_freeze().await {
            FreezeSeen::None => Ok(None),
            FreezeSeen::Frozen(words) => Ok(Some(words)),
            FreezeSeen::Unreadable(why) => Err(why),
        }
    }

    async fn mark_freeze(&self, frozen: bool, actor: &str, reason: &str) -> Result<bool, String> {
        let seen = self.gateway.read_freeze().await;
        let was = !matches!(seen, FreezeSeen::None);
        // One that cannot be read holds our own writes back for as long, and says nothing to anybody later.
        let unknown = matches!(seen, FreezeSeen::Unreadable(_));
        if was != frozen || unknown {
            self.gateway.write_freeze(frozen, actor, reason).await.map_err(|error| error.to_string())?;
        }
        Ok(was)
    }

    async fn release_all(&self, actor: &str) -> Result<Vec<GivenBack>, String> {
        let report = self.gateway.release_all(actor, RELEASE_ALL).await.map_err(|e| e.to_string())?;
        let back = |(key, outcome): (ObjectKey, ReleaseOutcome)| {
            let held = match outcome {
                ReleaseOutcome::Released | ReleaseOutcome::AlreadyReleased => None,
                ReleaseOutcome::StillHeld(why) => Some(why),
            };
            GivenBack { object: key.to_string(), held }
        };
        Ok(report.objects.into_iter().map(back).collect())
    }
}

/// Contends for the Lease until told to stop, and says how it stands.
#[must_use]
pub fn contend(
    client: kube::Client,
    live: Arc<Live>,
    now: Arc<dyn Now>,
    config: &Config,
) -> (Contest, watch::Receiver<Leading>) {
    let settings = LeaseSettings::new(&config.cluster.namespace, &process_name(&config.install_id));
    let (candidate, news) = Candidate::new(client, live, now, settings);
    let (tell, leading) = watch::channel(leading(&news.borrow()));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let contest = candidate.run(stopped.cancelled_owned());
        tokio::pin!(contest);
        let mut news = news;
        loop {
            tokio::select! {
                end = &mut contest => {
                    if let Err(lost) = end {
                        tell.send_replace(Leading::Lost(lost.0));
                    }
                    return;
                }
                Ok(()) = news.changed() => {
                    let now = leading_of(&mut news);
                    tell.send_if_modified(|told| std::mem::replace(told, now.clone()) != now);
                }
            }
        }
    });
    (Contest { stop, task }, leading)
}

fn leading_of(news: &mut watch::Receiver<LeaseNews>) -> Leading {
    leading(&news.borrow_and_update())
}

fn leading(news: &LeaseNews) -> Leading {
    match news {
        LeaseNews::Unknown => Leading::No("it is not known yet who holds it".to_owned()),
        LeaseNews::Leading => Leading::Yes,
        LeaseNews::Following { holder } => Leading::No(format!("`{holder}` holds it")),
        LeaseNews::Lost { because } => Leading::Lost(because.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::StatusCode;

    use super::*;

    /// An order that is given again while the one before still looks replaces it, and what that one would
    /// have found is never told.
    #[test]
    fn an_order_has_ended_before_the_engine_gives_it_again() {
        let settings = policy::fact::Settings::new(policy::fact::IdKey([1, 2]), "test");
        let again = Duration::from_millis(u64::try_from(settings.refire_after.millis()).unwrap());
        let Timing { stop_deadline, restore_deadline, .. } = Timing::default();
        assert!(stop_deadline < again && restore_deadline < 2 * again);
    }

    /// An API server that knows no marker; its first answers are no answers. What is written is counted.
    async fn marker_server(unreadable: usize) -> (Hands, Arc<AtomicUsize>) {
        let (asked, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = written.clone();
        let answer = move |request: axum::extract::Request| {
            let status = if asked.fetch_add(1, Ordering::SeqCst) < unreadable {
                StatusCode::INTERNAL_SERVER_ERROR
            } else if request.method() == http::Method::POST {
                counted.fetch_add(1, Ordering::SeqCst);
                StatusCode::CREATED
            } else {
                StatusCode::NOT_FOUND
            };
            let reason = if status == StatusCode::NOT_FOUND { "NotFound" } else { "InternalError" };
            let said = serde_json::json!({"status": "Failure", "reason": reason, "code": status.as_u16()});
            let body = if status.is_success() { serde_json::json!({"metadata": {}}) } else { said };
            std::future::ready((status, axum::Json(body)))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        let client = actions::gateway::client(kube::Config::new(url)).unwrap();
        let settings = Settings::new("test", "breakerbox");
        let gateway = Gateway::new(client, Live::new(), Arc::new(actions::now::SystemNow), settings);
        (Hands::new(Arc::new(gateway), None), written)
    }

    #[tokio::test]
    async fn a_marker_that_cannot_be_read_is_written_all_the_same_and_a_failure_is_told() {
        let (hands, written) = marker_server(1).await;
        hands.mark_freeze(true, "uid:0", "audit").await.unwrap();
        assert_eq!(written.load(Ordering::SeqCst), 1, "nobody knew that it said frozen");
        let (hands, written) = marker_server(usize::MAX).await;
        hands.mark_freeze(true, "uid:0", "audit").await.unwrap_err();
        assert_eq!(written.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn every_word_of_the_lease_is_one_of_the_daemon() {
        assert_eq!(leading(&LeaseNews::Leading), Leading::Yes);
        assert!(matches!(leading(&LeaseNews::Unknown), Leading::No(_)));
        let following = leading(&LeaseNews::Following { holder: "other".into() });
        assert_eq!(following, Leading::No("`other` holds it".into()));
        let lost = leading(&LeaseNews::Lost { because: "late".into() });
        assert_eq!(lost, Leading::Lost("late".into()));
    }

    #[test]
    fn a_process_that_starts_again_under_its_old_number_has_another_name() {
        let name = |process, seconds| name_of("prod", "pod-1", process, Duration::from_secs(seconds));
        assert_eq!(name(1, 7), "prod-pod-1-1-7000");
        assert_ne!(name(1, 7), name(1, 8));
        assert_ne!(name(1, 7), name(2, 7));
    }
}
