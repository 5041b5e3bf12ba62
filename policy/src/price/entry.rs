//! What a book says of one key: the rates as they are listed, by tier, prompt size and class.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Tier, TokenClass};
use crate::money::TokenRate;

/// LiteLLM's name for the OpenAI- and Anthropic-compatible endpoint of Bedrock, and its key prefix.
pub(super) const MANTLE_PROVIDER: &str = "bedrock_mantle";

/// What a book says of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Provider in LiteLLM's words; `None` for a price that a person declared.
    pub(super) provider: Option<String>,
    /// What is billed instead of tokens, where the list says so.
    pub(super) unit: Option<String>,
    levels: Vec<Level>,
}

/// The listed rates of one tier for prompts above a number of tokens (0: from the first).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Level {
    tier: Tier,
    above: u64,
    rates: [Option<Listed>; 5],
}

/// One listed rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) rate: TokenRate,
    /// The list had more digits than a pico-dollar.
    pub(super) rounded: bool,
    /// The list has the global rate under a bare id; in its region it costs the premium more.
    pub(super) is_global: bool,
}

/// Which listed rate: tier, cliff, class.
pub(super) type Figure = (Tier, u64, TokenClass);

impl Entry {
    pub(super) fn new(provider: String, unit: Option<String>) -> Self {
        Self { provider: Some(provider), unit, levels: Vec::new() }
    }

    pub(super) fn rate(&self, tier: Tier, above: u64, class: TokenClass) -> Option<Listed> {
        let level = self.levels.iter().find(|level| level.tier == tier && level.above == above)?;
        level.rates[class as usize]
    }

    pub(super) fn set(&mut self, (tier, above, class): Figure, listed: Listed) {
        let found = self.levels.iter().position(|level| level.tier == tier && level.above == above);
        let at = found.unwrap_or_else(|| {
            self.levels.push(Level { tier, above, rates: [None; 5] });
            self.levels.sort_by_key(|level| (level.tier, level.above));
            self.levels.iter().position(|level| level.tier == tier && level.above == above).unwrap_or(0)
        });
        self.levels[at].rates[class as usize] = Some(listed);
    }

    /// The highest rate of a class, whatever tier and size of prompt.
    pub(super) fn highest(&self, class: TokenClass) -> Option<TokenRate> {
        self.levels.iter().filter_map(|level| level.rates[class as usize]).map(|listed| listed.rate).max()
    }

    /// Whether any rate here is a global rate under a bare id.
    pub(super) fn lists_global_rates(&self) -> bool {
        self.figures().any(|(_, listed)| listed.is_global)
    }

    /// Every listed rate.
    pub(super) fn figures(&self) -> impl Iterator<Item = (Figure, Listed)> + '_ {
        self.levels.iter().flat_map(|level| {
            let rates = TokenClass::ALL.into_iter().zip(level.rates);
            rates
                .filter_map(|(class, listed)| listed.map(|listed| ((level.tier, level.above, class), listed)))
        })
    }

    /// Prompt sizes beyond which the rates of that tier change, rising.
    pub(super) fn thresholds(&self, tier: Tier) -> BTreeSet<u64> {
        let of_tier = |level: &&Level| level.tier == tier || level.tier == Tier::Default;
        self.levels.iter().filter(of_tier).map(|level| level.above).filter(|above| *above > 0).collect()
    }

    pub(super) fn is_bedrock(&self) -> bool {
        self.provider.as_deref().is_none_or(|p| p.starts_with("bedrock") && p != MANTLE_PROVIDER)
    }
}
