//! What is counted and timed on the way, one struct for all of it: log and metric tell the same.
//!
//! Plain atomics and histograms; nothing here waits for anything. What the engine counts itself (duplicates,
//! unpriced, spend) is not counted again: metrics ask the engine for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use collector::{deadletter, http};
use policy::engine::Outcome;
use policy::fact::{Fact, ReceiptOutcome};
use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds in seconds for what should take milliseconds.
const FAST: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// Upper bounds in seconds for what should take seconds.
const SLOW: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// What the edges count themselves; they are asked when metrics are.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// The dead letters; none where nothing is kept.
    pub letters: Option<deadletter::DeadLetters>,
    /// What `POST /v1/usage` turned away.
    pub requests: Arc<http::Counts>,
    /// Messages whose blocks Slack refused.
    pub plain_only: Arc<AtomicU64>,
}

/// Counters and timings of this process.
#[derive(Debug)]
pub struct Observed {
    /// Turns that were committed.
    pub turns: AtomicU64,
    /// Rows of usage in them.
    pub rows: AtomicU64,
    /// Decisions in them.
    pub decisions: AtomicU64,
    /// Orders in them.
    pub orders: AtomicU64,
    /// Orders that wait for room on their way to the actuator.
    pub orders_waiting: AtomicU64,
    /// Notices that wait for room on their way to the messenger.
    pub notices_waiting: AtomicU64,
    /// Notices that no receiver got.
    pub notices_failed: AtomicU64,
    /// Whether the disk is below its reserve.
    pub disk_low: AtomicBool,
    /// Whether the rules folder holds what is in force.
    pub rules_current: AtomicBool,
    /// Rule sets taken since the process started.
    pub rules_taken: AtomicU64,
    /// Rule sets refused since the process started.
    pub rules_refused: AtomicU64,
    /// Turn of the newest snapshot.
    pub snapshot_seq: AtomicU64,
    /// First turn whose replay differed; 0 while none did.
    pub diverged_at: AtomicU64,
    /// Wall clock of the last turn, in milliseconds.
    pub last_turn: AtomicI64,
    /// From taking a batch to its acks, where it decided something.
    pub decision_seconds: Histogram,
    /// Of a commit.
    pub commit_seconds: Histogram,
    /// From the accepted write to its proof.
    pub verify_seconds: Histogram,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            turns: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            decisions: AtomicU64::new(0),
            orders: AtomicU64::new(0),
            orders_waiting: AtomicU64::new(0),
            notices_waiting: AtomicU64::new(0),
            notices_failed: AtomicU64::new(0),
            disk_low: AtomicBool::new(false),
            rules_current: AtomicBool::new(false),
            rules_taken: AtomicU64::new(0),
            rules_refused: AtomicU64::new(0),
            snapshot_seq: AtomicU64::new(0),
            diverged_at: AtomicU64::new(0),
            last_turn: AtomicI64::new(0),
            decision_seconds: Histogram::new(FAST),
            commit_seconds: Histogram::new(FAST),
            verify_seconds: Histogram::new(SLOW),
        }
    }
}

impl Observed {
    /// A turn was committed.
    pub fn turn(&self, facts: &[Fact], rows: usize, outcome: &Outcome, took: Duration) {
        let count = |counter: &AtomicU64, n: usize| {
            counter.fetch_add(u64::try_from(n).unwrap_or(0), Ordering::Relaxed);
        };
        count(&self.turns, 1);
        count(&self.rows, rows);
        count(&self.decisions, outcome.decisions.len());
        count(&self.orders, outcome.orders.len());
        if !outcome.decisions.is_empty() {
            self.decision_seconds.observe(took.as_secs_f64());
        }
        for fact in facts {
            if let Fact::Receipt(receipt) = fact
                && let ReceiptOutcome::Verified { took, .. } = &receipt.outcome
            {
                let millis = u64::try_from(took.millis()).unwrap_or(0);
                self.verify_seconds.observe(Duration::from_millis(millis).as_secs_f64());
            }
        }
        for decision in &outcome.decisions {
            let kind = crate::journal::decision_word(&decision.kind);
            let breaker = decision.why.breaker.as_ref().map_or("", |b| &*b.name);
            let mode = decision.mode.word();
            tracing::info!(decision = %decision.id, kind, breaker, mode, rule = place_in_words(&decision.why.place), "decided");
        }
    }

    /// A commit took so long.
    pub fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// So many orders and notices wait for room.
    pub fn waiting(&self, orders: usize, notices: usize) {
        self.orders_waiting.store(u64::try_from(orders).unwrap_or(0), Ordering::Relaxed);
        self.notices_waiting.store(u64::try_from(notices).unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether the disk is below its reserve.
    pub fn disk_low(&self, low: bool) {
        self.disk_low.store(low, Ordering::Relaxed);
    }

    /// The rules folder was taken, or refused.
    pub fn rules(&self, taken: bool) {
        self.rules_current.store(taken, Ordering::Relaxed);
        let counter = if taken { &self.rules_taken } else { &self.rules_refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
/// `tenants.yaml:9`; `-` for what no rule led to.
fn place_in_words(place: &policy::rule::Place) -> String {
    if place.file.is_empty() { "-".to_owned() } else { place.to_string() }
}
