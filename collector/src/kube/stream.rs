//! One kind: list all pages, then watch from there, and again.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use policy::inventory::InventoryChange;
use tokio::sync::mpsc;

use super::guard::{Streams, Verdict, jittered};
use super::{Pace, WatchedKind, map};

/// Objects of a page.
const PAGE: u32 = 500;
/// What a server says when a resourceVersion is too old to watch from.
const GONE: u16 = 410;

/// News of one kind.
#[derive(Debug)]
pub(super) enum News {
    /// All there is of it.
    Listed(Vec<InventoryChange>),
    /// One change.
    Changed(InventoryChange),
    /// It was heard, and nothing changed.
    Heard,
    /// It cannot be read.
    Broken(String),
}

/// Lists and watches one kind until the receiver is gone.
pub(super) async fn follow(
    client: kube::Client,
    kind: WatchedKind,
    pace: Pace,
    news: mpsc::Sender<(WatchedKind, News)>,
) {
    let api: Api<DynamicObject> = Api::all_with(client, &kind.resource());
    let mut streams = Streams::new(pace.between_connects);
    let mut connects = Connects { between: pace.between_connects, last: None, count: 0 };
    loop {
        connects.wait().await;
        let verdict = match list(&api, kind, pace.patience()).await {
            Ok((objects, version)) => {
                streams.listed();
                if news.send((kind, News::Listed(objects))).await.is_err() {
                    return;
                }
                match watch_on(&api, kind, pace, version, &mut streams, &mut connects, &news).await {
                    Some(verdict) => verdict,
                    None => return,
                }
            }
            Err(why) => {
                if news.send((kind, News::Broken(why))).await.is_err() {
                    return;
                }
                streams.failed()
            }
        };
        if let Verdict::Relist(wait) = verdict {
            tokio::time::sleep(jittered(wait, connects.random())).await;
        }
    }
}

/// A missing CRD is the one failure that a person can mend at once: say how.
fn listing_failed(kind: WatchedKind, error: &kube::Error) -> String {
    match (kind, error) {
        (WatchedKind::ScaledObject, kube::Error::Api(status)) if status.code == 404 => {
            "the cluster has no ScaledObjects (keda.sh/v1alpha1); install KEDA, or run without a cluster"
                .to_owned()
        }
        (_, kube::Error::Api(status)) if status.code == 403 => {
            format!(
                "may not list {}: {}; grant it get, list and watch",
                kind.resource().plural,
                status.message
            )
        }
        _ => format!("cannot list {}: {error}", kind.resource().plural),
    }
}

/// All pages; else why not, for people. A server that does not answer is not waited for: what was dead at the
/// watch is often dead at the list that follows.
pub(super) async fn list(
    api: &Api<DynamicObject>,
    kind: WatchedKind,
    patience: Duration,
) -> Result<(Vec<InventoryChange>, String), String> {
    let mut params = ListParams::default().limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let page = match tokio::time::timeout(patience, api.list(&params)).await {
            Ok(page) => page.map_err(|error| listing_failed(kind, &error))?,
            Err(_) => {
                return Err(format!("cannot list {}: the server does not answer", kind.resource().plural));
            }
        };
        objects.extend(page.items.iter().filter_map(|object| map::present(kind, object)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok((objects, page.metadata.resource_version.unwrap_or_default())),
        }
    }
}

/// Watches from a version until only a list helps. `None` when nobody listens any more.
async fn watch_on(
    api: &Api<DynamicObject>,
    kind: WatchedKind,
    pace: Pace,
    mut version: String,
    streams: &mut Streams,
    connects: &mut Connects,
    news: &mpsc::Sender<(WatchedKind, News)>,
) -> Option<Verdict> {
    loop {
        connects.wait().await;
        let began = Instant::now();
        let verdict = match watch_once(api, kind, pace, &mut version, news).await {
            Ended::Itself(events) => streams.ended(events, began.elapsed()),
            Ended::Failed => streams.failed(),
            Ended::NobodyListens => return None,
        };
        if verdict != Verdict::Resume {
            return Some(verdict);
        }
    }
}

enum Ended {
    /// After so many events and bookmarks.
    Itself(u64),
    Failed,
    NobodyListens,
}

async fn watch_once(
    api: &Api<DynamicObject>,
    kind: WatchedKind,
    pace: Pace,
    version: &mut String,
    news: &mpsc::Sender<(WatchedKind, News)>,
) -> Ended {
    let params = WatchParams { timeout: Some(pace.watch_secs), bookmarks: true, ..WatchParams::default() };
    // A connection that is only half open says nothing for ever.
    let patience = pace.patience();
    let stream = match tokio::time::timeout(patience, api.watch(&params, version)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return broken(kind, &error.to_string(), news).await,
        Err(_) => return broken(kind, "the server does not answer", news).await,
    };
    let mut stream = pin!(stream);
    let mut events = 0;
    loop {
        let event = match tokio::time::timeout(patience, stream.next()).await {
            Ok(Some(Ok(event))) => event,
            // A stream that lasted proves that the server is there although it brought nothing.
            Ok(None) => return Ended::Itself(events),
            Ok(Some(Err(error))) => return broken(kind, &error.to_string(), news).await,
            Err(_) => return broken(kind, "the watch fell silent", news).await,
        };
        let (change, at) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                (map::present(kind, &object), object.metadata.resource_version)
            }
            WatchEvent::Deleted(object) => (map::gone(kind, &object), object.metadata.resource_version),
            WatchEvent::Bookmark(bookmark) => (None, Some(bookmark.metadata.resource_version)),
            WatchEvent::Error(status) if status.code == GONE => return Ended::Failed,
            WatchEvent::Error(status) => return broken(kind, &status.message, news).await,
        };
        events += 1;
        if let Some(at) = at.filter(|at| !at.is_empty()) {
            *version = at;
        }
        let told = change.map_or(News::Heard, News::Changed);
        if news.send((kind, told)).await.is_err() {
            return Ended::NobodyListens;
        }
    }
}

async fn broken(kind: WatchedKind, why: &str, news: &mpsc::Sender<(WatchedKind, News)>) -> Ended {
    let why = format!("cannot watch {}: {why}", kind.resource().plural);
    match news.send((kind, News::Broken(why))).await {
        Ok(()) => Ended::Failed,
        Err(_) => Ended::NobodyListens,
    }
}

/// Connects at most so often, whatever the verdicts say.
#[derive(Debug)]
struct Connects {
    between: Duration,
    last: Option<tokio::time::Instant>,
    count: u32,
}

impl Connects {
    async fn wait(&mut self) {
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + self.between).await;
        }
        self.last = Some(tokio::time::Instant::now());
        self.count = self.count.wrapping_add(1);
    }

    /// A number that differs from process to process and from call to call; for jitter, not for secrets.
    fn random(&self) -> u32 {
        use std::hash::{BuildHasher, RandomState};
        let hash = RandomState::new().hash_one(self.count);
        u32::try_from(hash >> 32).unwrap_or(0)
    }
}
