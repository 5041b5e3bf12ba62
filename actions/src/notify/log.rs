//! What was delivered: durable memory that the daemon keeps for us.
//!
//! With it a crash repeats at most the one message whose delivery was not written down yet.

use async_trait::async_trait;

/// A message that a receiver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Key of the notice.
    pub key: Box<str>,
    /// Thread of the notice.
    pub thread: Box<str>,
    /// Name of the receiver, stable over restarts and reloads.
    pub receiver: Box<str>,
    /// What later progress of the thread edits (Slack `channel ts`). `None` where the receiver cannot edit,
    /// and where this message must stay as it is (a page about a target that runs on).
    pub handle: Option<Box<str>>,
}

/// Remembers deliveries.
#[async_trait]
pub trait DeliveryLog: Send + Sync {
    /// The latest handle that was recorded for the thread at this receiver.
    fn handle(&self, thread: &str, receiver: &str) -> Option<Box<str>>;

    /// Whether the receiver has the message with this key.
    fn delivered(&self, key: &str, receiver: &str) -> bool;

    /// Writes it down; returns once it is durable (or can never be: then the process is ending, and the
    /// message will be sent again, marked as a repeat).
    async fn record(&self, delivered: Delivered);
}
