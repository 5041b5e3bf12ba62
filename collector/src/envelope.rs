//! Facts on their way to the engine, and the word back that they are durable.
//!
//! A source sends an [`Envelope`] into the [`Intake`] and, where it must not lose the fact, waits for its
//! ack. The ack fires only after the commit that made the fact durable; a sender that is dropped instead
//! means that nothing is known, and the source sends again (ids make that harmless). The channel is
//! bounded: full means that the source waits and a counter says so, never that a fact is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::fact::{Fact, UsageOutcome};
use tokio::sync::{mpsc, oneshot};

/// A fact, and whom to tell once it is durable.
#[derive(Debug)]
pub struct Envelope {
    /// The fact.
    pub fact: Fact,
    /// Told after the commit.
    pub ack: Option<oneshot::Sender<Ack>>,
}

impl Envelope {
    /// A fact that nobody waits for.
    #[must_use]
    pub const fn without_ack(fact: Fact) -> Self {
        Self { fact, ack: None }
    }

    /// A fact, and the receiver of its ack.
    #[must_use]
    pub fn with_ack(fact: Fact) -> (Self, oneshot::Receiver<Ack>) {
        let (sender, receiver) = oneshot::channel();
        (Self { fact, ack: Some(sender) }, receiver)
    }
}

/// It is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// What became of each row of a usage batch.
    Usage(Vec<UsageOutcome>),
    /// Any other fact.
    Done,
}

/// Nobody takes facts any more: the daemon is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is stopping and takes no more facts")]
pub struct IntakeClosed;

/// What the intake has seen.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    waited: AtomicU64,
}

/// The way in. Clones share one channel.
#[derive(Clone, Debug)]
pub struct Intake {
    sender: mpsc::Sender<Envelope>,
    counts: Arc<Counts>,
}

impl Intake {
    /// A way in that holds at most `bound` envelopes, and the end that the turn takes them from.
    #[must_use]
    pub fn new(bound: usize) -> (Self, mpsc::Receiver<Envelope>) {
        let (sender, receiver) = mpsc::channel(bound);
        (Self { sender, counts: Arc::default() }, receiver)
    }

    /// Sends, waiting while it is full.
    ///
    /// # Errors
    /// When nobody takes facts any more.
    pub async fn put(&self, envelope: Envelope) -> Result<(), IntakeClosed> {
        let envelope = match self.sender.try_send(envelope) {
            Ok(()) => return self.sent(),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(IntakeClosed),
            Err(mpsc::error::TrySendError::Full(envelope)) => envelope,
        };
        self.counts.waited.fetch_add(1, Ordering::Relaxed);
        self.sender.send(envelope).await.map_err(|_| IntakeClosed)?;
        self.sent()
    }

    /// Sends only if there is room; gives the envelope back when there is none, for callers that can tell
    /// their own caller to come again later.
    ///
    /// # Errors
    /// The envelope, when it is full or nobody takes facts any more.
    pub fn offer(&self, envelope: Envelope) -> Result<(), Box<Envelope>> {
        match self.sender.try_send(envelope) {
            Ok(()) => {
                self.counts.sent.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => {
                Err(Box::new(back))
            }
        }
    }

    /// Sends and waits until it is durable.
    ///
    /// # Errors
    /// When the daemon stops before it is.
    pub async fn put_durably(&self, fact: Fact) -> Result<Ack, IntakeClosed> {
        let (envelope, ack) = Envelope::with_ack(fact);
        self.put(envelope).await?;
        ack.await.map_err(|_| IntakeClosed)
    }

    /// Envelopes sent so far.
    #[must_use]
    pub fn sent_count(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// How often a sender had to wait because it was full.
    #[must_use]
    pub fn waited_count(&self) -> u64 {
        self.counts.waited.load(Ordering::Relaxed)
    }

    fn sent(&self) -> Result<(), IntakeClosed> {
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_intake_makes_senders_wait_and_loses_nothing() {
        let (intake, mut taken) = Intake::new(1);
        intake.put(Envelope::without_ack(Fact::Tick)).await.unwrap();
        assert!(intake.offer(Envelope::without_ack(Fact::Tick)).is_err());
        let second = tokio::spawn({
            let intake = intake.clone();
            async move { intake.put(Envelope::without_ack(Fact::Tick)).await }
        });
        while intake.waited_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(taken.recv().await.is_some());
        assert!(taken.recv().await.is_some());
        second.await.unwrap().unwrap();
        assert_eq!((intake.sent_count(), intake.waited_count()), (2, 1));
    }

    #[tokio::test]
    async fn a_fact_that_was_not_made_durable_is_not_acked() {
        let (intake, mut taken) = Intake::new(1);
        let waiting = tokio::spawn(async move { intake.put_durably(Fact::Tick).await });
        drop(taken.recv().await);
        assert_eq!(waiting.await.unwrap(), Err(IntakeClosed));
    }
}
