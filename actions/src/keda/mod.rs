//! KEDA's ScaledObjects: to zero and held there, proven, and given back.
//!
//! Every flow here can be begun again at any point and comes to the same end: it reads what is there,
//! and writes only what is missing. That is what a crash between a write and its receipt needs, and what a
//! request without an answer needs.

pub(crate) mod pause;
pub(crate) mod prove;
pub(crate) mod raise;
pub mod release;
pub(crate) mod restore;
pub(crate) mod standing;

use std::time::Duration;

use policy::decision::{Effect, Order};
use policy::fact::{GuardAnswer, GuardCheck, PriorState, Receipt, ReceiptOutcome};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api_error::ApiError;
use crate::failpoint;
use crate::gateway::{Gateway, Warrant};
use crate::receipts::{NotDurable, Receipts};
use prove::Proof;

/// How often a write is tried when the object changes under us (actions: re-read, guard again, at most 5).
pub(crate) const TRIES: usize = 5;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Shortest time between two looks at a target; who waits for long is looked at less often, up to eight
    /// times that. Default 250 ms.
    pub poll: Duration,
    /// A pause that is not proven by then is `NotObserved`. Default 45 s: below the 60 s after which the
    /// engine fires again, above the 30 s of a pod's usual termination grace.
    pub stop_deadline: Duration,
    /// How long a workload may run on without an HPA before we scale it ourselves. Default 3 s: KEDA 2.20
    /// needs 0.15 s, an older one up to its pollingInterval, and loses the race now and then.
    pub scale_grace: Duration,
    /// A restore that is not proven by then is `RestoreIncomplete`. Default 90 s.
    pub restore_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(250),
            stop_deadline: Duration::from_secs(45),
            scale_grace: Duration::from_secs(3),
            restore_deadline: Duration::from_secs(90),
        }
    }
}

impl Timing {
    /// Time to the next look at a target that has been looked at for so long: an eighth of it, so that what
    /// is soon proven is seen at once, and what is not costs the API server little.
    pub(crate) fn pause(&self, looked: Duration) -> Duration {
        (looked / 8).clamp(self.poll, self.poll * 8)
    }
}

/// What is left of an order once it has written what it had to.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing: this came of it.
    End(End),
    /// Its effect is to be proven.
    Prove(Proof),
}

impl From<End> for Next {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// What came of an order, for its last receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) guard: Vec<GuardAnswer>,
    pub(crate) outcome: ReceiptOutcome,
}

/// Why an order stopped half way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl End {
    pub(crate) fn refused(guard: Vec<GuardAnswer>) -> Self {
        Self { guard, outcome: ReceiptOutcome::Refused }
    }

    pub(crate) fn not_stopped(
        guard: Vec<GuardAnswer>,
        replicas: Option<u32>,
        because: impl Into<String>,
    ) -> Self {
        Self { guard, outcome: ReceiptOutcome::NotStopped { replicas, because: because.into() } }
    }

    /// The object changed under each of our tries.
    pub(crate) fn contended(guard: Vec<GuardAnswer>, what: &str) -> Self {
        let error = format!("{what} changed {TRIES} times while it was written");
        Self { guard, outcome: ReceiptOutcome::Failed { error, retryable: true } }
    }
}

/// One order at work.
pub(crate) struct Work<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) receipts: &'a dyn Receipts,
    pub(crate) timing: Timing,
    pub(crate) order: &'a Order,
    /// Whether a later order for the same target waits: then looking on serves nobody, and a person's
    /// release must not wait for the proof of the stop that it ends.
    pub(crate) superseded: &'a (dyn Fn() -> bool + Sync),
    /// Targets that are looked at at once.
    pub(crate) looks: &'a Semaphore,
}

impl Work<'_> {
    /// The warrant that the order is.
    pub(crate) const fn warrant(&self) -> Warrant<'_> {
        match self.order.effect {
            Effect::PauseToZero => Warrant::Stop(self.order),
            Effect::ReverseRaise { .. } => Warrant::Reverse(self.order),
            Effect::Restore { .. } => Warrant::GiveBack(self.order),
        }
    }

    /// Waits for its turn to look, which lasts until it is dropped.
    async fn turn_to_look(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed; were it, looking without a turn is better than not looking.
        self.looks.acquire().await.ok()
    }

    /// Sends a receipt and waits until it is durable.
    pub(crate) async fn tell(
        &self,
        guard: &[GuardAnswer],
        outcome: ReceiptOutcome,
    ) -> Result<(), NotDurable> {
        let at = self.gateway.now();
        self.receipts.send(Receipt { order: self.order.id, at, guard: guard.to_vec(), outcome }).await
    }

    /// The write-ahead undo: what the target is like, durable before anything is changed.
    async fn prepared(&self, guard: &[GuardAnswer], prior: PriorState) -> Result<(), NotDurable> {
        failpoint::PAUSE_BEFORE_PREPARED.reached();
        self.tell(guard, ReceiptOutcome::Prepared(prior)).await?;
        failpoint::PAUSE_AFTER_PREPARED.reached();
        Ok(())
    }
}

/// Writes what one order asks for; what is left is to [`prove`](prove::prove) it. The caller sends the last receipt.
pub(crate) async fn write(work: &Work<'_>) -> Result<Next, Halt> {
    match &work.order.effect {
        Effect::PauseToZero => pause::pause(work).await,
        Effect::ReverseRaise { workload } => raise::reverse(work, workload).await,
        // The marks on the object say what is ours; the journal's copy is for people.
        Effect::Restore { .. } => restore::restore(work).await,
    }
}

/// The guard's answers once the API server has said that the object is another one.
fn replaced(mut answers: Vec<GuardAnswer>, why: &str) -> Vec<GuardAnswer> {
    for answer in &mut answers {
        if answer.check == GuardCheck::Identity {
            answer.pass = false;
            answer.detail = format!("the API server took it for another object: {why}");
        }
    }
    answers
}
