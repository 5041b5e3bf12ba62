//! Messages on their way to people: in order for each route, tried again while that can help.
//!
//! A route has a queue and a task of its own, so a receiver that is down holds up nobody else's messages. A
//! queue that is full drops the message from memory only: it is in the journal as not delivered, and is sent
//! after the next start. What fails for good is settled as failed, counted and logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use policy::decision::Manner;
use policy::fact::{Receipt, ReceiptOutcome};
use policy::time::Span;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::edge::Messenger;
use crate::failpoint;
use crate::observe::Observed;
use crate::turn::{Handle, Telling};

/// Messages that wait for one route.
const QUEUE: usize = 1024;

/// First wait before a message is tried again, doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// After this a message is no news any more.
const STALE: Span = Span::from_hours(24);

/// What carries messages on.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) messenger: Arc<dyn Messenger>,
    pub(super) handle: Handle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observed: Arc<Observed>,
    pub(super) stop: CancellationToken,
}

impl Post {
    /// Takes messages until there are no more, or it is told to stop.
    pub(super) async fn run(self, mut notices: mpsc::Receiver<Telling>) {
        let mut routes: BTreeMap<Box<str>, mpsc::Sender<Telling>> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        loop {
            let telling = tokio::select! {
                () = self.stop.cancelled() => break,
                telling = notices.recv() => match telling {
                    Some(telling) => telling,
                    None => break,
                },
            };
            let queue = routes.entry(telling.notice.route.clone()).or_insert_with(|| {
                let (send, queue) = mpsc::channel(QUEUE);
                tasks.spawn(self.clone().route(queue));
                send
            });
            if let Err(error) = queue.try_send(telling) {
                let telling = error.into_inner();
                self.observed.notices_failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    route = %telling.notice.route,
                    key = %telling.notice.key,
                    "too many messages wait for this route; this one is kept in the journal and sent after a restart"
                );
            }
        }
        drop(routes);
        while tasks.join_next().await.is_some() {}
    }

    async fn route(self, mut queue: mpsc::Receiver<Telling>) {
        while let Some(telling) = queue.recv().await {
            self.tell(telling).await;
        }
    }

    async fn tell(&self, mut telling: Telling) {
        let mut wait = FIRST;
        // What has waited for the morning, or is said again, is news only now.
        let since = match telling.notice.manner == Manner::default() {
            true => telling.notice.decision.at,
            false => self.clock.read().wall,
        };
        loop {
            failpoint::MESSAGE_BEFORE_SEND.reached();
            let answers = self.messenger.deliver(&telling.notice, telling.repeat).await;
            let failures: Vec<_> =
                answers.iter().filter_map(|(to, sent)| sent.as_ref().err().map(|e| (to, e))).collect();
            for (receiver, failure) in &failures {
                tracing::warn!(%receiver, key = %telling.notice.key, error = %failure.text, "message not delivered");
            }
            let age = self.clock.read().wall.since(since);
            let again = failures.iter().any(|(_, failure)| failure.retryable) && age < STALE;
            if !again {
                let handle = answers.iter().find_map(|(_, sent)| sent.as_ref().ok().cloned().flatten());
                let error =
                    failures.iter().map(|(to, e)| format!("{to}: {}", e.text)).collect::<Vec<_>>().join("; ");
                self.settle(&telling, handle, error).await;
                return;
            }
            tokio::select! {
                // Not settled: it is sent after the next start.
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST);
            telling.repeat = true;
        }
    }

    async fn settle(&self, telling: &Telling, handle: Option<String>, error: String) {
        let outcome = if error.is_empty() {
            ReceiptOutcome::Delivered { handle }
        } else {
            self.observed.notices_failed.fetch_add(1, Ordering::Relaxed);
            ReceiptOutcome::Failed { error, retryable: false }
        };
        let at = self.clock.read().wall;
        let receipt = Receipt { order: telling.notice.id, at, guard: Vec::new(), outcome };
        // The turn may have ended: then the message counts as not delivered, and is repeated as one.
        let _ = self.handle.receipt(receipt).await;
        failpoint::MESSAGE_SETTLED.reached();
    }
}
