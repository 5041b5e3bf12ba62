//! How fast money goes: what a breaker was charged over a span of time, as an amount per hour.
//!
//! The figure and its words; a breaker measures it, from the moments and buckets that it keeps. Where nothing
//! recent is measured, the average of the window so far is what there is, and is called that.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::{Money, Unit};
use crate::time::{Span, Timestamp};
use crate::window::Window;

/// A figure over less than this would say more about chance than about spend.
pub const SHORTEST: Span = Span::from_mins(1);
/// What is called recent, where there is a moment within it to measure from.
pub const LONGEST: Span = Span::from_mins(15);
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
    /// As [`Burn::in_unit`] for money.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_unit(Unit::Usd))
    }
}

impl Burn {
    /// "about 12.40 USD per hour, measured over the last 14m": with the span, since a figure without it
    /// cannot be judged.
    #[must_use]
    pub fn in_unit(&self, unit: Unit) -> String {
        let past = self.over.millis().checked_rem(MINUTE_MILLIS).unwrap_or(0);
        let whole = Span::from_millis(self.over.millis().saturating_sub(past));
        let rate = format!("about {} per hour", unit.of(self.per_hour));
        match self.basis {
            Basis::Recent => format!("{rate}, measured over the last {whole}"),
            Basis::Window => {
                format!("{rate}, on average since its window began {whole} ago (not measured closer yet)")
            }
        }
    }
}
