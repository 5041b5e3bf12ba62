//! How fast money goes: what a breaker was charged over a span of time, as an amount per hour.
//!
//! Charges take the short way past all this: only moments are kept at which somebody looked at the breaker
//! anyway (a threshold was crossed, a tick found it over). Two of them are enough for a span of between half
//! of [`LONGEST`] and all of it while time ticks. A rolling window has its buckets and needs none.
//!
//! What arrives late or is read while catching up is added in a moment though it was spent over hours, so a
//! span with such charges in it measures nothing; nor does one over which the clocks disagreed. Where nothing
//! recent is measured, the average of the window so far is what there is, and is called that.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::breaker::{Side, bucket};
use crate::money::Money;
use crate::time::{Span, Timestamp};
use crate::window::Window;

/// A figure over less than this would say more about chance than about spend.
pub const SHORTEST: Span = Span::from_mins(1);
/// What is called recent, where there is a moment within it to measure from.
pub const LONGEST: Span = Span::from_mins(15);
/// A moment is kept again after this: half of [`LONGEST`].
const STEP: Span = Span::from_secs(450);
/// Moments that are kept.
const MOMENTS: usize = 2;
const HOUR_MILLIS: i128 = 3_600_000;
const MINUTE_MILLIS: i64 = 60_000;

/// What a breaker was charged, as an amount per hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burn {
    /// Per hour, rounded down to 10⁻¹² USD.
    pub per_hour: Money,
    /// Over how long, up to the decision or the view that shows it. At least [`SHORTEST`].
    pub over: Span,
    /// What kind of span that is.
    pub basis: Basis,
}

/// What kind of span a burn was measured over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// The last minutes, or since the last moment that was kept.
    Recent,
    /// All of the window so far: a runaway that has just begun burns far more.
    Window,
}

impl Basis {
    /// The word in metrics and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Window => "window",
        }
    }
}

/// A moment and the sum that the breaker had at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The sum then.
    pub sum: Money,
}

impl Burn {
    /// An amount over a span as an amount per hour; `None` for a span shorter than [`SHORTEST`].
    #[must_use]
    pub fn over(amount: Money, over: Span, basis: Basis) -> Option<Self> {
        if over < SHORTEST {
            return None;
        }
        let hourly = amount.max(Money::ZERO).picos().checked_mul(HOUR_MILLIS)?;
        let per_hour = Money::from_picos(hourly.checked_div(i128::from(over.millis()))?);
        Some(Self { per_hour, over, basis })
    }

    /// The average of a window that has a start.
    #[must_use]
    pub fn of_window(window: Window, sum: Money, now: Timestamp) -> Option<Self> {
        if window.start == Timestamp::MIN {
            return None;
        }
        Self::over(sum, now.since(window.start), Basis::Window)
    }
}

impl fmt::Display for Burn {
    /// "about 12.40 USD per hour, measured over the last 14m": with the span, since a figure without it
    /// cannot be judged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let past = self.over.millis().checked_rem(MINUTE_MILLIS).unwrap_or(0);
        let whole = Span::from_millis(self.over.millis().saturating_sub(past));
        write!(f, "about {} per hour, ", self.per_hour)?;
        match self.basis {
            Basis::Recent => write!(f, "measured over the last {whole}"),
            Basis::Window => {
                write!(f, "on average since its window began {whole} ago (not measured closer yet)")
            }
        }
    }
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
        let amount = self.buckets.range(oldest..).fold(Money::ZERO, |sum, (_, b)| sum.saturating_add(*b));
        let start = Timestamp::from_millis(oldest.saturating_mul(width));
        Burn::over(amount, now.since(start), Basis::Recent)
    }
}
