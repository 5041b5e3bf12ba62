//! `POST /v1/usage`: usage that others push.
//!
//! A body holds one event, an array of them or one a line, plain or as structured CloudEvents (single or
//! batch). The answer comes after the commit and says for each event what became of it:
//!
//! | status | meaning |
//! |---|---|
//! | 200 | every event was `accepted`, or is a `duplicate` of one that was |
//! | 207 | some were, others are a `conflict` or `refused`: `events` says which and why |
//! | 422 | the body was read, and none of its events was taken |
//! | 400 | the body holds no event that could be read at all |
//! | 401, 413, 415 | no known token, too large, compressed |
//! | 429 | come again after `Retry-After`: the intake is full or the disk is; nothing was taken |
//! | 503 | it was not made durable; send it again under the same ids |
//!
//! It never answers before the commit, never drops an event without saying so, and never logs a token.

mod answer;
mod auth;
mod body;
mod refusal;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use policy::fact::{Fact, IdKey, UsageBatchBuilder};
use tokio::sync::watch;

use crate::blocking::blocking;
use crate::deadletter::DeadLetters;
use crate::envelope::{Ack, Envelope, Intake};
use refusal::{Refusal, refusal};

pub use auth::{SourceToken, TokenTable};

/// Seconds after which a sender may come again: a few commits.
const RETRY_FULL: u64 = 1;
/// The same, where a disk must be cleared first.
const RETRY_DISK: u64 = 30;

/// How much one request may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its body. Default 8 MiB.
    pub body_bytes: usize,
    /// Events in it. Default 10,000.
    pub events: usize,
    /// Time from its head to the end of its body. Default 60 s.
    pub body_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 8 << 20, events: 10_000, body_within: Duration::from_secs(60) }
    }
}

/// What has been answered since the process started.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests without a known token.
    pub unauthorized: AtomicU64,
    /// Requests that were too large.
    pub too_large: AtomicU64,
    /// Requests that were told to come again.
    pub busy: AtomicU64,
    /// Requests whose body could not be read, or did not come in time.
    pub unreadable: AtomicU64,
    /// Events that were refused before they reached the engine.
    pub refused: AtomicU64,
}

impl Counts {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// What the route needs.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Who may push. A new table takes effect with the next request.
    pub tokens: watch::Receiver<Arc<TokenTable>>,
    /// Where usage goes.
    pub intake: Intake,
    /// The secret of ids.
    pub id_key: IdKey,
    /// While true the disk is nearly full, and nothing is taken.
    pub pressure: watch::Receiver<bool>,
    /// Where goes what is refused.
    pub letters: DeadLetters,
    /// How much one request may bring.
    pub limits: Limits,
    /// What was answered.
    pub counts: Arc<Counts>,
}

/// The route.
pub fn router(ingest: Ingest) -> Router {
    Router::new().route("/v1/usage", post(take)).with_state(ingest)
}

async fn take(State(ingest): State<Ingest>, headers: HeaderMap, body: Body) -> Response {
    match taken(&ingest, &headers, body).await {
        Ok(response) => response,
        Err(refused) => {
            let counter = match refused.status {
                StatusCode::UNAUTHORIZED => &ingest.counts.unauthorized,
                StatusCode::PAYLOAD_TOO_LARGE => &ingest.counts.too_large,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => &ingest.counts.busy,
                _ => &ingest.counts.unreadable,
            };
            Counts::add(counter, 1);
            refused.response()
        }
    }
}

async fn taken(ingest: &Ingest, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    let table = Arc::clone(&ingest.tokens.borrow());
    let token = bearer(headers).and_then(|token| table.find(token)).ok_or_else(|| {
        let help = "send `Authorization: Bearer …` with a token of the daemon's `tokens:`";
        refusal(StatusCode::UNAUTHORIZED, "no source has this token", help)
    })?;
    if *ingest.pressure.borrow() {
        let help = "the daemon's disk is nearly full; make room there";
        return Err(refusal(StatusCode::TOO_MANY_REQUESTS, "nothing is taken now", help).retry(RETRY_DISK));
    }
    let bytes = body::read(headers, body, ingest.limits).await?;
    let mut batch = UsageBatchBuilder::new(ingest.id_key, token.name(), false);
    let events = blocking(|| body::events(&bytes, token, ingest, &mut batch))?;
    let rows = batch.len();
    let outcomes = if rows == 0 { Vec::new() } else { durable(ingest, batch).await? };
    if outcomes.len() != rows {
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "the daemon gave no answer", "send it again"));
    }
    Ok(answer::of(&events, &outcomes))
}

/// Puts the batch in and waits until it is durable.
async fn durable(
    ingest: &Ingest,
    mut batch: UsageBatchBuilder,
) -> Result<Vec<policy::fact::UsageOutcome>, Refusal> {
    let (envelope, ack) = Envelope::with_ack(Fact::Usage(batch.finish()));
    if ingest.intake.offer(envelope).is_err() {
        let help = "nothing of this request was taken; send it again after `Retry-After`";
        return Err(refusal(StatusCode::TOO_MANY_REQUESTS, "the daemon is busy", help).retry(RETRY_FULL));
    }
    match ack.await {
        Ok(Ack::Usage(outcomes)) => Ok(outcomes),
        Ok(Ack::Done) => Ok(Vec::new()),
        Err(_) => {
            let help = "send it again under the same ids: what was kept after all is then a duplicate";
            let refused = refusal(StatusCode::SERVICE_UNAVAILABLE, "it was not made durable", help);
            Err(refused.retry(RETRY_FULL))
        }
    }
}

/// The token; the word before it is written in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
