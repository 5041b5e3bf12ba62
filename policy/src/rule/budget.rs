//! Budgets: how much, over which time, and what happens on the way there.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Act, Mode, Place, Selector, Trigger};
use crate::money::{Money, Percent, Unit};
use crate::subject::FieldName;
use crate::time::{Span, Timestamp};

/// How much some subjects may spend in a window, and what happens on the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// `metadata.name`, unique.
    pub name: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Where the document begins.
    pub place: Place,
    /// Which charges count.
    pub select: Selector,
    /// One breaker for each combination of these fields; empty for one in all.
    pub per_each: Vec<FieldName>,
    /// The limit.
    pub limit: Limit,
    /// The window.
    pub window: WindowSpec,
    /// Parent budget: a charge that counts here counts there too, unless this one is carved out of it.
    pub within: Option<Box<str>>,
    /// Shares of the limit at which people are told, ascending.
    pub warn_at: Vec<Percent>,
    /// Share of the limit at which the breaker trips.
    pub trip_at: Percent,
    /// Where `tripAt` (or, by default, `limit`) was written: the line that an order cites.
    pub trip_place: Place,
    /// How long the breaker stays `Arming` before it trips.
    pub grace: Span,
    /// What to do at each warning.
    pub on_warn: Vec<Act>,
    /// What to do when it trips.
    pub on_trip: Vec<Act>,
    /// When and how it gives back.
    pub restore: Restore,
    /// What silence of a source means.
    pub on_stale: OnStale,
    /// How far it may go.
    pub mode: Mode,
    /// What it looks at besides its sum, in the order in which they are asked.
    pub triggers: Vec<Trigger>,
    /// Spans over which its triggers measure, each once, ascending.
    pub spans: Vec<Span>,
    /// Its money is its own: what counts here counts neither in `within` nor above.
    pub carve_out: bool,
    /// What usage without a price means.
    pub on_unpriced: OnUnpriced,
}

/// A limit, with exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit where no override matches.
    pub amount: Money,
    /// The first one that matches an instance and has not ended holds.
    pub overrides: Vec<LimitOverride>,
    /// What is counted; of all amounts of the budget.
    pub unit: Unit,
    /// Label of a namespace whose value is the limit of what belongs to it, before all else.
    pub from_label: Option<Box<str>>,
    /// Share of the limit that may move to the next window where it was not spent.
    pub rollover: Option<Percent>,
}

impl Limit {
    /// A limit in money, without exceptions.
    #[must_use]
    pub const fn usd(amount: Money) -> Self {
        Self { amount, overrides: Vec::new(), unit: Unit::Usd, from_label: None, rollover: None }
    }
}

/// Another limit for some instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitOverride {
    /// Instance fields and their exact values.
    pub matches: Vec<(FieldName, Box<str>)>,
    /// The limit.
    pub amount: Money,
    /// Until then (end of that day in the window's time zone).
    pub until: Option<Timestamp>,
}

/// Over which time a budget adds up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowSpec {
    /// A calendar unit in a time zone.
    Calendar {
        /// The unit.
        unit: CalendarUnit,
        /// Time zone of its boundaries.
        timezone: Tz,
        /// First month of the fiscal year, 1 to 12; matters for quarter and year.
        fiscal_start: u8,
    },
    /// The time up to now.
    Rolling(Span),
    /// Since ever: a prepaid amount.
    Lifetime,
}

/// Calendar unit of a window. Weeks begin on Monday (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CalendarUnit {
    /// Hour.
    Hour,
    /// Day.
    Day,
    /// Week.
    Week,
    /// Month.
    Month,
    /// Quarter.
    Quarter,
    /// Year.
    Year,
}

impl CalendarUnit {
    /// The word in rules and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

/// When a tripped breaker gives back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// When.
    pub when: RestoreWhen,
    /// Not before it was tripped for this long.
    pub min_hold: Span,
    /// After so many trips in one window it stays tripped and pages.
    pub max_trips_per_window: u32,
    /// Not all at once.
    pub waves: Option<Waves>,
}

/// How what was held is given back: a part of the objects at a time, so that what they share is not run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waves {
    /// Share of the objects in each wave, at least one.
    pub share: Percent,
    /// Time between two waves.
    pub every: Span,
}

/// When a tripped breaker gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreWhen {
    /// When its window ends.
    WindowRolls,
    /// When the sum is below this share of the limit (rolling windows), or the window ends.
    Below(Percent),
    /// When a person resets it.
    Manual,
}

/// What silence of a source means for a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnStale {
    /// Nothing changes.
    #[default]
    Keep,
    /// People are told.
    Alert,
    /// Its breakers trip, where another signal shows that there should be usage.
    Trip,
}

/// What usage without a price means for a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnUnpriced {
    /// People are told, as always.
    #[default]
    Alert,
    /// It is taken to cost what the dearest known model would: that warns, and never trips.
    AssumeHighestKnown,
}
