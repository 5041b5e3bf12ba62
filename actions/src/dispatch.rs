//! Takes orders and sees each to its last receipt.
//!
//! In order for one target (a later order ends the looking of the one before), side by side for several; each
//! order once, by its number. So many write at once and so many look at once, and who looks holds no place of
//! those who write: no stop waits for another's pods to end. What may pass (no answer, 429, 5xx) is tried again with growing pauses until the order expires.
//! It never waits for room: a full queue says so, since the engine that would wait is the one that makes
//! receipts durable. What it holds in memory may be lost at any moment: the journal has every order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use policy::decision::Order;
use policy::fact::{GuardAnswer, Receipt, ReceiptOutcome};
use policy::id::OrderId;
use policy::inventory::ObjectKey;
use policy::time::Span;
use tokio::sync::{Notify, Semaphore};

use crate::failpoint;
use crate::gateway::Gateway;
use crate::keda::{self, End, Halt, Next, Timing, Work};
use crate::receipts::Receipts;

/// Numbers of orders that are remembered, to take none twice.
const REMEMBERED: usize = 16_384;

/// Bounds of the dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Targets that are written at once, from the first read to the accepted write. Default 16: with a
    /// handful of requests each below what an API server grants one client.
    pub writes: usize,
    /// Targets that are looked at at once for the proof of their effect. Default 16.
    pub looks: usize,
    /// Orders that wait or are worked on. Default 4,096.
    pub queue: usize,
    /// First pause before a request is tried again; it doubles up to `max_delay`, with jitter.
    pub min_delay: Duration,
    /// Longest pause before a request is tried again.
    pub max_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writes: 16,
            looks: 16,
            queue: 4096,
            min_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(10),
        }
    }
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It was taken before.
    #[error("the order was taken before")]
    Duplicate,
    /// Too many wait.
    #[error("too many orders wait")]
    Full,
    /// We are shutting down; the journal keeps it for the next start.
    #[error("shutting down")]
    Draining,
}

/// Counters, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders that wait or are worked on now.
    pub open: u64,
    /// Orders that got their last receipt.
    pub done: u64,
    /// Orders that were tried again after an error.
    pub retried: u64,
    /// Orders not taken since the queue was full.
    pub full: u64,
}

/// Takes orders.
#[derive(Clone)]
pub struct Dispatch {
    inner: Arc<Inner>,
}

struct Inner {
    gateway: Arc<Gateway>,
    receipts: Arc<dyn Receipts>,
    timing: Timing,
    limits: Limits,
    writes: Semaphore,
    looks: Semaphore,
    state: Mutex<State>,
    idle: Notify,
    done: AtomicU64,
    retried: AtomicU64,
    full: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Orders that wait, by target. A target that is here has a worker.
    queues: BTreeMap<ObjectKey, VecDeque<Order>>,
    known: BTreeSet<OrderId>,
    open: usize,
    draining: bool,
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatch").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Dispatch {
    /// A dispatch with nothing to do. Needs a running tokio runtime once it has.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, receipts: Arc<dyn Receipts>, timing: Timing, limits: Limits) -> Self {
        let inner = Inner {
            gateway,
            receipts,
            timing,
            limits,
            writes: Semaphore::new(limits.writes.max(1)),
            looks: Semaphore::new(limits.looks.max(1)),
            state: Mutex::default(),
            idle: Notify::new(),
            done: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            full: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes an order that is durable. Does not wait.
    ///
    /// # Errors
    /// It was taken before, or cannot be taken now.
    pub fn submit(&self, order: Order) -> Result<(), NotTaken> {
        let mut state = self.inner.state();
        if state.draining {
            return Err(NotTaken::Draining);
        }
        if state.known.contains(&order.id) {
            return Err(NotTaken::Duplicate);
        }
        if state.open >= self.inner.limits.queue {
            self.inner.full.fetch_add(1, Ordering::Relaxed);
            return Err(NotTaken::Full);
        }
        state.remember(order.id);
        state.open += 1;
        let target = order.target.clone();
        if let Some(queue) = state.queues.get_mut(&target) {
            queue.push_back(order);
        } else {
            state.queues.insert(target.clone(), VecDeque::from([order]));
            tokio::spawn(Arc::clone(&self.inner).work_off(target));
        }
        Ok(())
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            open: u64::try_from(self.inner.state().open).unwrap_or(u64::MAX),
            done: self.inner.done.load(Ordering::Relaxed),
            retried: self.inner.retried.load(Ordering::Relaxed),
            full: self.inner.full.load(Ordering::Relaxed),
        }
    }

    /// Takes no more, starts none that waits, and waits for those that are being worked on. Gives back how
    /// many were left when `patience` ended: the journal keeps them.
    pub async fn drain(&self, patience: Duration) -> usize {
        {
            let mut state = self.inner.state();
            state.draining = true;
            let waiting: usize = state.queues.values_mut().map(|queue| queue.drain(..).count()).sum();
            state.open -= waiting;
        }
        let _ = tokio::time::timeout(patience, self.inner.until_idle()).await;
        self.inner.state().open
    }

    /// Waits until nothing is open.
    pub async fn idle(&self) {
        self.inner.until_idle().await;
    }
}

impl State {
    fn remember(&mut self, id: OrderId) {
        self.known.insert(id);
        if self.known.len() > REMEMBERED {
            self.known.pop_first();
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_idle(&self) {
        loop {
            let changed = self.idle.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().open == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Works off the orders of one target, one after another.
    async fn work_off(self: Arc<Self>, target: ObjectKey) {
        while let Some(order) = self.next(&target) {
            let id = order.id;
            // A task of its own, so that a panic ends this order and not all later ones of the target.
            let done = tokio::spawn(Arc::clone(&self).see_through(order)).await;
            if let Err(error) = &done {
                tracing::error!(order = %id, %target, %error, "an order ended in a panic");
            }
            self.close(done.unwrap_or(true));
        }
    }

    fn next(&self, target: &ObjectKey) -> Option<Order> {
        let mut state = self.state();
        let order = state.queues.get_mut(target)?.pop_front();
        if order.is_none() {
            state.queues.remove(target);
        }
        order
    }

    fn close(&self, done: bool) {
        self.state().open -= 1;
        if done {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        self.idle.notify_waiters();
    }

    /// Carries an order out until it has come to an end, and sends its last receipt. Whether it came to one:
    /// not where we shut down before it was begun, or between two tries.
    async fn see_through(self: Arc<Self>, order: Order) -> bool {
        let limits = self.limits;
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(limits.min_delay)
            .with_max_delay(limits.max_delay)
            .with_jitter()
            .without_max_times()
            .build();
        let superseded = || self.state().queues.get(&order.target).is_some_and(|queue| !queue.is_empty());
        let work = Work {
            gateway: &self.gateway,
            receipts: &*self.receipts,
            timing: self.timing,
            order: &order,
            superseded: &superseded,
            looks: &self.looks,
        };
        loop {
            let end = match self.carry_out(&work).await {
                Ok(Some(end)) => end,
                Ok(None) => return false,
                Err(Halt::NotDurable(error)) => {
                    tracing::warn!(order = %order.id, target = %order.target, %error, "order stopped");
                    return true;
                }
                Err(Halt::Api(error)) => {
                    let retryable = error.retryable();
                    let error = error.to_string();
                    End { guard: Vec::new(), outcome: ReceiptOutcome::Failed { error, retryable } }
                }
            };
            let again = matches!(end.outcome, ReceiptOutcome::Failed { retryable: true, .. });
            match pauses.next().filter(|pause| again && self.expires_after(&order, *pause)) {
                Some(pause) => {
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(order = %order.id, target = %order.target, outcome = ?end.outcome, ?pause, "trying again");
                    tokio::time::sleep(pause).await;
                }
                None => {
                    self.last_receipt(&order, end.guard, end.outcome).await;
                    return true;
                }
            }
        }
    }

    /// One try; none once we shut down.
    async fn carry_out(&self, work: &Work<'_>) -> Result<Option<End>, Halt> {
        let next = {
            // Closed only by dropping it, which we keep from happening.
            let Ok(_place) = self.writes.acquire().await else { return Ok(None) };
            if self.state().draining {
                return Ok(None);
            }
            keda::write(work).await?
        };
        match next {
            Next::End(end) => Ok(Some(end)),
            Next::Prove(proof) => Ok(Some(keda::prove::prove(work, proof).await?)),
        }
    }

    fn expires_after(&self, order: &Order, pause: Duration) -> bool {
        let pause = Span::from_millis(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        self.gateway.now().plus(pause) < order.expires_at
    }

    async fn last_receipt(&self, order: &Order, guard: Vec<GuardAnswer>, outcome: ReceiptOutcome) {
        failpoint::END_BEFORE_RECEIPT.reached();
        let receipt = Receipt { order: order.id, at: self.gateway.now(), guard, outcome };
        match self.receipts.send(receipt).await {
            Ok(()) => failpoint::END_AFTER_RECEIPT.reached(),
            Err(error) => {
                tracing::warn!(order = %order.id, target = %order.target, %error, "last receipt lost")
            }
        }
    }
}
