//! Prices. (The first cut of the types that other modules name; the book follows.)

use serde::{Deserialize, Serialize};

/// Service tier of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// Standard.
    #[default]
    Default,
    /// Flex.
    Flex,
    /// Priority.
    Priority,
    /// Reserved.
    Reserved,
    /// Batch inference.
    Batch,
    /// Provisioned throughput.
    Provisioned,
}

/// Tokens by disjoint class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Uncached input.
    pub input: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Written to the prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Output.
    pub output: u64,
}

/// Prices that override or extend the embedded book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceOverrides {}
