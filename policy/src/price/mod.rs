//! Prices: from a model id in any form to what its tokens cost, or why that is not known.
//!
//! [`PriceBook::resolve`] is asked once for each distinct origin and may allocate; the [`Price`] it answers
//! is kept by the engine and [`Price::charge`] then costs a few multiplications for each fact. A book is a
//! value: it carries its id, it is never changed in place, and with the same book the same counts cost the
//! same for ever.
//!
//! What is not known is [`UnpricedReason`], never $0 and never the price of a relative. The one exception
//! is stated in the figures: a service tier without a rate of its own is charged at the default tier's and
//! flagged [`PriceFlags::TIER_ASSUMED`].

#[deny(clippy::arithmetic_side_effects)]
mod apply;
mod book;
mod embedded;
mod entry;
#[deny(clippy::arithmetic_side_effects)]
mod gpus;
mod guard;
mod instance;
mod litellm;
#[deny(clippy::arithmetic_side_effects)]
mod meter;
mod model_id;
#[deny(clippy::arithmetic_side_effects)]
mod overrides;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use book::PriceBook;
pub use gpus::gpus_of;
pub use guard::{PriceIssue, PriceProblem};
pub use instance::InstancePrice;
pub use meter::{Amount, Price};
pub use overrides::{InstanceOverride, PriceOverrides, ShortPrice};

/// Where a call may be served, as far as its price knows: geo and in-region calls to newer models cost 1.1
/// times the global rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A bare model id: the region of the call.
    #[default]
    InRegion,
    /// A geographic profile (`us.`, `eu.`, `jp.`, …).
    Geo,
    /// The `global.` profile.
    Global,
}

impl Scope {
    /// The word in events and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InRegion => "in_region",
            Self::Geo => "geo",
            Self::Global => "global",
        }
    }
}

/// Service tier of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// On demand.
    #[default]
    Default,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
    /// Reserved capacity.
    Reserved,
    /// Batch inference.
    Batch,
    /// Provisioned throughput: a time charge, not a token charge.
    Provisioned,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 6] =
        [Self::Default, Self::Flex, Self::Priority, Self::Reserved, Self::Batch, Self::Provisioned];

    /// The word in events and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Reserved => "reserved",
            Self::Batch => "batch",
            Self::Provisioned => "provisioned",
        }
    }
}

/// A text that names no service tier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no service tier; write `default`, `flex`, `priority`, `reserved`, `batch` or `provisioned`"
)]
pub struct TierError(pub String);

impl FromStr for Tier {
    type Err = TierError;

    /// Reads the words of [`Self::word`].
    fn from_str(text: &str) -> Result<Self, TierError> {
        Self::ALL.into_iter().find(|tier| tier.word() == text).ok_or_else(|| TierError(text.to_owned()))
    }
}

/// What is counted and billed apart. Five classes, not two: leaving out the cache classes is the most
/// common difference from the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenClass {
    /// Prompt tokens that no cache held.
    Input,
    /// Prompt tokens read from a cache.
    CacheRead,
    /// Prompt tokens written to the five-minute cache.
    CacheWrite5m,
    /// Prompt tokens written to the one-hour cache.
    CacheWrite1h,
    /// Tokens that the model wrote.
    Output,
}

impl TokenClass {
    /// Every class, in the order of [`TokenCounts::by_class`].
    pub const ALL: [Self; 5] =
        [Self::Input, Self::CacheRead, Self::CacheWrite5m, Self::CacheWrite1h, Self::Output];

    /// The word in events, metrics and the embedded book.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
        }
    }
}

/// Tokens of one call by class. Disjoint: `input` is without what a cache read or wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenCounts {
    /// See [`TokenClass::Input`].
    pub input: u64,
    /// See [`TokenClass::CacheRead`].
    pub cache_read: u64,
    /// See [`TokenClass::CacheWrite5m`].
    pub cache_write_5m: u64,
    /// See [`TokenClass::CacheWrite1h`].
    pub cache_write_1h: u64,
    /// See [`TokenClass::Output`].
    pub output: u64,
}

impl TokenCounts {
    /// The counts in the order of [`TokenClass::ALL`].
    #[must_use]
    pub const fn by_class(&self) -> [u64; 5] {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output]
    }

    /// Prompt tokens, cached or not: what a context-tier cliff is measured by. Stops at `u64::MAX`.
    #[must_use]
    pub const fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }
}

/// What decides a price. Borrowed from the fact.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeterQuery<'a> {
    /// `aws.bedrock`, `aws.bedrock_mantle`, or another provider that an override file names.
    pub provider: &'a str,
    /// AWS account id. Not used by today's books; part of the question so that a later one can.
    pub account: &'a str,
    /// Region in which the call was made.
    pub region: &'a str,
    /// Region that served it, where it was rerouted. Bedrock bills the region of the call.
    pub served_region: Option<&'a str>,
    /// Model id in any form: bare, with a scope prefix, or any ARN.
    pub model: &'a str,
    /// Service tier.
    pub tier: Tier,
}

/// The answer to a [`MeterQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resolution {
    /// There is a price.
    Priced(Arc<Price>),
    /// There is none, and why.
    Unpriced(UnpricedReason),
}

/// Why something has no price. A closed list: each has its counter and its line in the docs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnpricedReason {
    /// The book has no key for this model.
    UnknownModel {
        /// The id as it was looked up.
        model: String,
    },
    /// An application inference profile that no profile map declares: its name says nothing of its model.
    OpaqueProfile {
        /// The profile as invoked.
        arn: String,
    },
    /// A custom or imported model, a prompt, a router or an endpoint that nobody declared a price for.
    Undeclared {
        /// The resource as invoked.
        arn: String,
    },
    /// The book knows the model but no price per token: it is billed by another unit.
    NoTokenPrice {
        /// The key in the book.
        key: String,
        /// The unit that is billed, where the book says so ("image", "query", "second").
        unit: Option<String>,
    },
    /// Tokens were counted in a class for which the book has no rate.
    MissingClass {
        /// The first class without a rate.
        class: TokenClass,
    },
    /// No price per hour for this instance type and capacity type.
    UnknownInstance {
        /// EC2 instance type.
        instance_type: String,
        /// EC2 capacity type.
        capacity_type: String,
    },
    /// The time does not fit the ledger, or ends before it starts.
    BadTime,
}

impl UnpricedReason {
    /// The word in metrics and events.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "unknown_model",
            Self::OpaqueProfile { .. } => "opaque_profile",
            Self::Undeclared { .. } => "undeclared",
            Self::NoTokenPrice { .. } => "no_token_price",
            Self::MissingClass { .. } => "missing_class",
            Self::UnknownInstance { .. } => "unknown_instance",
            Self::BadTime => "bad_time",
        }
    }
}

impl fmt::Display for UnpricedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownModel { model } => {
                write!(f, "no price for model `{model}`; add it to a PriceBook")
            }
            Self::OpaqueProfile { arn } => write!(
                f,
                "the profile `{arn}` does not say which model it is; map it to a model id in a PriceBook"
            ),
            Self::Undeclared { arn } => {
                write!(f, "no price is declared for `{arn}`; map it to a model id in a PriceBook")
            }
            Self::NoTokenPrice { key, unit: Some(unit) } => {
                write!(f, "`{key}` is billed by the {unit}; it has no price per token")
            }
            Self::NoTokenPrice { key, unit: None } => write!(f, "`{key}` has no price per token"),
            Self::MissingClass { class } => {
                write!(f, "no rate for `{}` tokens; add one to a PriceBook", class.word())
            }
            Self::UnknownInstance { instance_type, capacity_type } => {
                write!(
                    f,
                    "no price per hour for `{instance_type}` as `{capacity_type}`; add it to a PriceBook"
                )
            }
            Self::BadTime => f.write_str("the time used ends before it starts or is beyond the calendar"),
        }
    }
}

/// Bits that say how sure a price is. The first values are those of the usage flags of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PriceFlags(pub u16);

impl PriceFlags {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// The price is from another region, or a share of another price.
    pub const APPROXIMATE: Self = Self(1 << 2);
    /// The tier has no rate of its own; the default tier's was taken.
    pub const TIER_ASSUMED: Self = Self(1 << 4);
    /// The rate had more than 12 decimals and was rounded half-even to a pico-dollar.
    pub const ROUNDED: Self = Self(1 << 8);
    /// The list has the global rate for this bare id; the in-region premium of 10% was added.
    pub const PREMIUM: Self = Self(1 << 9);
    /// Provisioned throughput: the tokens cost nothing more, the time is billed elsewhere.
    pub const PROVISIONED: Self = Self(1 << 10);
    /// A person accepted a price of zero by name.
    pub const DECLARED_FREE: Self = Self(1 << 11);

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
