//! Where receipts go: back into the engine, through the journal.

use async_trait::async_trait;
use policy::fact::Receipt;

/// The receipt was not made durable. Whoever gets this stops at once: no write may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt was not made durable")]
pub struct NotDurable;

/// Takes receipts, and answers once they are durable.
#[async_trait]
pub trait Receipts: Send + Sync {
    /// Resolves when the receipt is in the journal.
    ///
    /// # Errors
    /// It did not get there.
    async fn send(&self, receipt: Receipt) -> Result<(), NotDurable>;
}
