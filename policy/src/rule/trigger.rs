//! Triggers: what a budget looks at besides its sum. How fast money goes, how much went in the last minutes,
//! where it will be when the window ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Place;
use crate::money::{Money, Percent, Unit};
use crate::time::Span;

/// Triggers of one budget.
pub const MOST_TRIGGERS: usize = 8;

/// Something that a budget looks at with every charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// What it measures, and from where on it fires.
    pub measure: Measure,
    /// What happens then.
    pub then: Then,
    /// Where it was written: the line that an order cites.
    pub place: Place,
}

/// What a trigger measures, and from where on it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// Spend over two spans as multiples of the even pace, which uses up just the limit by the end of the
    /// window. Both must be reached: the long one says that it matters, the short one that it goes on.
    BurnRate {
        /// The longer span.
        long: Span,
        /// The shorter one.
        short: Span,
        /// Multiple of the even pace; 14.4x is 1440%.
        exceeds: Percent,
    },
    /// Spend over the last minutes.
    Delta {
        /// Over how long.
        over: Span,
        /// The amount.
        exceeds: Money,
        /// Its unit.
        unit: Unit,
    },
    /// What the sum will be at the end of the window if it goes on as it did on average so far.
    Forecast {
        /// Share of the limit.
        exceeds: Percent,
    },
}

/// What happens when a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Then {
    /// People are told.
    Warn,
    /// The breaker trips.
    Trip,
}

impl Measure {
    /// The word in YAML tests, metrics and messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::BurnRate { .. } => "burn-rate",
            Self::Delta { .. } => "delta",
            Self::Forecast { .. } => "forecast",
        }
    }

    /// Spans over which it must be known what was spent.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        match self {
            Self::BurnRate { long, short, .. } => vec![*long, *short],
            Self::Delta { over, .. } => vec![*over],
            Self::Forecast { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Measure {
    /// "burn rate above 14.4x over 1h and 5m".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BurnRate { long, short, exceeds } => {
                write!(f, "burn rate of {} over {long} and {short}", Multiple(*exceeds))
            }
            Self::Delta { over, exceeds, unit } => write!(f, "{} within {over}", unit.of(*exceeds)),
            Self::Forecast { exceeds } => write!(f, "forecast of {exceeds} of the limit"),
        }
    }
}

/// A share written as a multiple: 1440% is "14.4x".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiple(pub Percent);

impl fmt::Display for Multiple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.ppm() / 1_000_000, self.0.ppm() % 1_000_000);
        if rest == 0 {
            return write!(f, "{whole}x");
        }
        let digits = format!("{rest:06}");
        write!(f, "{whole}.{}x", digits.trim_end_matches('0'))
    }
}
