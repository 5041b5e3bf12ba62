//! What a breaker keeps to measure its burn from.
//!
//! Charges take the short way past all this: only moments are kept at which somebody looked at the breaker
//! anyway (a threshold was crossed, a tick found it over). Two of them are enough for a span of between half
//! of [`LONGEST`] and all of it while time ticks. A rolling window has its buckets and needs none.
//!
//! What arrives late or is read while catching up is added in a moment though it was spent over hours, so a
//! span with such charges in it measures nothing; nor does one over which the clocks disagreed.

use serde::{Deserialize, Serialize};

use super::{Side, bucket};
use crate::burn::{Basis, Burn, LONGEST, SHORTEST};
use crate::money::Money;
use crate::time::{Span, Timestamp};

/// A moment is kept again after this: half of [`LONGEST`].
const STEP: Span = Span::from_secs(450);
/// Moments that are kept.
const MOMENTS: usize = 2;

/// A moment and the sum that the breaker had at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The sum then.
    pub sum: Money,
}

impl Side {
    /// Keeps this moment, where it is time for another. Those that measure nothing any more are dropped.
    pub fn keep_moment(&mut self, now: Timestamp, sum: Money, steady_since: Timestamp) {
        self.moments.retain(|moment| steady_since < moment.at && moment.at <= now);
        if self.moments.last().is_some_and(|last| now.since(last.at) < STEP) {
            return;
        }
        if self.moments.len() >= MOMENTS {
            self.moments.remove(0);
        }
        self.moments.reserve_exact(MOMENTS.saturating_sub(self.moments.len()));
        self.moments.push(Moment { at: now, sum });
    }

    /// Measured from the oldest moment within [`LONGEST`], or from the newest before that.
    #[must_use]
    pub fn burn_since_moment(&self, now: Timestamp, sum: Money, steady_since: Timestamp) -> Option<Burn> {
        let age = |moment: &Moment| now.since(moment.at);
        let usable = |moment: &&Moment| moment.at > steady_since && age(moment) >= SHORTEST;
        let from = self
            .moments
            .iter()
            .filter(usable)
            .find(|moment| age(moment) <= LONGEST)
            .or_else(|| self.moments.iter().rfind(usable))?;
        Burn::over(sum.saturating_sub(from.sum), age(from), Basis::Recent)
    }

    /// Of a rolling window: its newest buckets, which hold charges by when they were spent.
    #[must_use]
    pub fn burn_of_buckets(&self, length: Span, now: Timestamp) -> Option<Burn> {
        let (number, width) = bucket(length, now);
        let count = LONGEST.min(length).millis().checked_div(width)?.max(1);
        let oldest = number.saturating_sub(count);
        let amount = self.buckets.range(oldest..).fold(Money::ZERO, |sum, (_, b)| sum.saturating_add(b.sum));
        let start = Timestamp::from_millis(oldest.saturating_mul(width));
        Burn::over(amount, now.since(start), Basis::Recent)
    }
}
