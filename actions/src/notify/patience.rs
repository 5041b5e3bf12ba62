//! How often and how long a message is tried before its sender is told that it did not get there.
//!
//! Bounded on purpose: what does not get there in about ten seconds goes back as a failure, and the daemon
//! decides whether to try later. A receiver that asks for a longer wait than we have is not pressed.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::error::NotifyError;

type Rest = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Bounds of the tries of one message to one receiver.
#[derive(Clone)]
pub struct Patience {
    /// Time for one try, from connecting to the answer.
    pub within: Duration,
    /// Tries after the first.
    pub retries: usize,
    /// Wait before the first retry; each further one is four times as long.
    pub first_wait: Duration,
    /// The longest `Retry-After` that is waited for.
    pub longest_wait: Duration,
    rest: Rest,
}

impl Default for Patience {
    /// 10 s a try, three retries after 0.5, 2 and 8 s, a `Retry-After` of up to 60 s (Slack's is 1 to 30).
    fn default() -> Self {
        Self {
            within: Duration::from_secs(10),
            retries: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            rest: Arc::new(|wait| Box::pin(tokio::time::sleep(wait))),
        }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience")
            .field("within", &self.within)
            .field("retries", &self.retries)
            .field("first_wait", &self.first_wait)
            .field("longest_wait", &self.longest_wait)
            .finish_non_exhaustive()
    }
}

impl Patience {
    /// Waits in another way than by sleeping, so that tests can see how long and need not wait.
    #[must_use]
    pub fn resting(
        mut self,
        rest: impl Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        self.rest = Arc::new(rest);
        self
    }

    /// Tries until it gets there, cannot get there, or patience ends. The attempt is told whether an earlier
    /// one may have arrived although nobody said so.
    ///
    /// A plain loop: through the closures of a retry library, rustc cannot prove the future `Send`, and the
    /// daemon's tasks must be.
    pub(crate) async fn persist<T, Try, Fut>(&self, receiver: &str, attempt: Try) -> Result<T, NotifyError>
    where
        Try: Fn(bool) -> Fut,
        Fut: Future<Output = Result<T, NotifyError>>,
    {
        let (mut next, mut unsure) = (self.first_wait, false);
        for _ in 0..self.retries {
            let error = match self.once(receiver, attempt(unsure)).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let wait = error.after().unwrap_or(next.min(self.longest_wait));
            if !error.is_retryable() || wait > self.longest_wait {
                return Err(error);
            }
            tracing::warn!(receiver, %error, wait_ms = wait.as_millis(), "message not delivered, trying again");
            unsure |= error.may_have_arrived();
            (self.rest)(wait).await;
            next = next.saturating_mul(4);
        }
        self.once(receiver, attempt(unsure)).await
    }

    async fn once<T>(
        &self,
        receiver: &str,
        attempt: impl Future<Output = Result<T, NotifyError>>,
    ) -> Result<T, NotifyError> {
        let timed_out = |_| Err(NotifyError::TimedOut { receiver: receiver.to_owned(), within: self.within });
        tokio::time::timeout(self.within, attempt).await.unwrap_or_else(timed_out)
    }
}
