//! Prices that a person adds to a book: plain data, with two front ends for models.
//!
//! LiteLLM's price file as it stands, because people have it already, and a short form in USD per million
//! tokens, because people write it without a mistake. What an override states replaces the book's figure;
//! what it does not state stays as it was. Prices are merged, never dropped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Tier, TokenClass};
use crate::money::{HourRate, Percent, TokenRate};

/// Everything that one set of `PriceBook` rules says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceOverrides {
    /// Name of the set; becomes part of the book's id.
    pub name: String,
    /// Texts of LiteLLM price files, verbatim, in the order in which they apply.
    pub litellm: Vec<String>,
    /// Prices in the short form by key (`us.anthropic.claude-sonnet-4-6`, or the id of an imported model).
    /// They apply after [`Self::litellm`].
    pub models: BTreeMap<String, ShortPrice>,
    /// Prices of instances by the hour.
    pub instances: Vec<InstanceOverride>,
    /// What an opaque id is: application inference profile, custom or imported model (id or ARN) to a model
    /// id such as `us.anthropic.claude-sonnet-4-6`.
    pub profiles: BTreeMap<String, String>,
    /// Price of Spot capacity as a share of on demand, for types without a Spot price. Without it they are
    /// unpriced.
    pub spot_share: Option<Percent>,
    /// Keys (of models or of instances) whose prices a person has looked at and accepts, however far they
    /// are from the last ones.
    pub accept: BTreeSet<String>,
}

/// The price of one model, as people write it. What is `None` is not stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortPrice {
    /// The tier that the rates are for; the default tier when `None`.
    pub tier: Option<Tier>,
    /// Uncached prompt tokens.
    pub input: Option<TokenRate>,
    /// Tokens that the model wrote.
    pub output: Option<TokenRate>,
    /// Prompt tokens read from a cache.
    pub cache_read: Option<TokenRate>,
    /// Prompt tokens written to the five-minute cache.
    pub cache_write_5m: Option<TokenRate>,
    /// Prompt tokens written to the one-hour cache.
    pub cache_write_1h: Option<TokenRate>,
}

impl ShortPrice {
    /// The rates that are stated.
    pub fn stated(&self) -> impl Iterator<Item = (TokenClass, TokenRate)> {
        [
            (TokenClass::Input, self.input),
            (TokenClass::CacheRead, self.cache_read),
            (TokenClass::CacheWrite5m, self.cache_write_5m),
            (TokenClass::CacheWrite1h, self.cache_write_1h),
            (TokenClass::Output, self.output),
        ]
        .into_iter()
        .filter_map(|(class, rate)| rate.map(|rate| (class, rate)))
    }
}

/// The price of one instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceOverride {
    /// EC2 instance type.
    pub instance_type: String,
    /// `on-demand` or `spot`, as `karpenter.sh/capacity-type` says.
    pub capacity_type: String,
    /// The region it holds for; every region when `None`.
    pub region: Option<String>,
    /// The price.
    pub price: HourRate,
}
