//! The way to the turn, for everybody else.

use collector::envelope::{Ack, Envelope};
use policy::engine::{Engine, Outcome};
use policy::fact::{Command, Fact, Receipt};
use policy::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::Request;
use crate::journal::Delivery;

/// The turn has ended; nothing was made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is shutting down: nothing was made durable")]
pub struct Gone;

/// The way to the turn. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    send: mpsc::Sender<Request>,
    seq: watch::Receiver<u64>,
}

impl Handle {
    pub(super) fn new(send: mpsc::Sender<Request>, seq: watch::Receiver<u64>) -> Self {
        Self { send, seq }
    }

    /// Brings a fact ahead of all usage, and answers once it is durable.
    ///
    /// # Errors
    /// It was not made durable.
    pub async fn fact(&self, fact: Fact) -> Result<Ack, Gone> {
        let (ack, answer) = oneshot::channel();
        self.ask(Request::Fact(Envelope { fact, ack: Some(ack) })).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Brings an envelope ahead of all usage; its own ack tells when it is durable.
    ///
    /// # Errors
    /// The turn has ended.
    pub async fn envelope(&self, envelope: Envelope) -> Result<(), Gone> {
        self.ask(Request::Fact(envelope)).await
    }

    /// Brings a receipt, and answers once it is durable.
    ///
    /// # Errors
    /// It was not made durable: the write that it announces must not happen.
    pub async fn receipt(&self, receipt: Receipt) -> Result<(), Gone> {
        self.fact(Fact::Receipt(receipt)).await.map(|_| ())
    }

    /// Brings a command, and answers with what came of it once that is durable.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn command(&self, command: Command) -> Result<Outcome, Gone> {
        let (tell, answer) = oneshot::channel();
        self.ask(Request::Command(command, tell)).await?;
        answer.await.map(|outcome| *outcome).map_err(|_| Gone)
    }

    /// Records that a message got there, and answers once that is durable.
    ///
    /// # Errors
    /// It was not made durable.
    pub async fn delivered(&self, delivery: Delivery) -> Result<(), Gone> {
        let (tell, answer) = oneshot::channel();
        self.ask(Request::Delivered(delivery, tell)).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Asks the engine something, as of the last commit. Whoever asks holds up the turn: be brief.
    ///
    /// # Errors
    /// The turn has ended.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (tell, answer) = oneshot::channel();
        let look = move |engine: &Engine, now: Timestamp| {
            // Nobody may be waiting any more; then the answer is for nobody.
            let _ = tell.send(question(engine, now));
        };
        self.ask(Request::Look(Box::new(look))).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Number of the last durable turn, and when it changes.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.seq.clone()
    }

    /// Ends the turn after what it has.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.send.send(Request::Stop).await;
    }

    async fn ask(&self, request: Request) -> Result<(), Gone> {
        self.send.send(request).await.map_err(|_| Gone)
    }
}
