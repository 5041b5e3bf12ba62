//! The compiled price of one model at one tier, and the charge.
//!
//! Everything that can be decided once is decided in [`Price::compile`]: which rate each class has, whether
//! it was borrowed from the default tier, rounded or missing. A charge then reads five rates and a few bit
//! masks and allocates nothing.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::{PriceFlags, Scope, Tier, TokenClass, TokenCounts, UnpricedReason};
use crate::money::{Money, TokenRate};

/// What tokens of one model cost at one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The resolved model id (`us.anthropic.claude-sonnet-4-6`).
    pub model: String,
    /// The key in the book that the rates are from.
    pub key: String,
    /// Where the call may be served.
    pub scope: Scope,
    /// The tier that was asked for.
    pub tier: Tier,
    /// What holds for every charge at this price, whatever its tokens.
    pub flags: PriceFlags,
    base: Rates,
    cliffs: Vec<Cliff>,
}

/// Rates for a whole request whose prompt is above a number of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cliff {
    above: u64,
    rates: Rates,
}

/// A rate for each class, and what is to be said of it: one bit for each class, in the order of
/// [`TokenClass::ALL`]. The rate of a missing class is zero and must not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Rates {
    by_class: [TokenRate; 5],
    missing: u8,
    tier_assumed: u8,
    rounded: u8,
    free: u8,
    premium: u8,
}

/// What a charge comes to, and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// The money.
    pub money: Money,
    /// How sure it is.
    pub flags: PriceFlags,
}

impl Price {
    /// The price of `entry` at `tier`. `None` when no class has a rate.
    pub(super) fn compile(entry: &Entry, id: &str, key: &str, scope: Scope, tier: Tier) -> Option<Self> {
        let rates = |above| Rates::compile(entry, tier, above, scope);
        let base = rates(0);
        let cliffs =
            entry.thresholds(tier).into_iter().map(|above| Cliff { above, rates: rates(above) }).collect();
        let nothing = TokenClass::ALL.into_iter().fold(0, |mask, class| mask | bit(class));
        (base.missing != nothing).then(|| Self {
            model: id.to_owned(),
            key: key.to_owned(),
            scope,
            tier,
            flags: PriceFlags::NONE,
            base,
            cliffs,
        })
    }

    /// The price of tokens through provisioned throughput: nothing more than the time that is paid anyway.
    pub(super) fn provisioned(id: &str, tier: Tier) -> Self {
        Self {
            model: id.to_owned(),
            key: "provisioned".to_owned(),
            scope: Scope::InRegion,
            tier,
            flags: PriceFlags::PROVISIONED,
            base: Rates::default(),
            cliffs: Vec::new(),
        }
    }

    /// What these tokens cost.
    ///
    /// A context-tier cliff is for the whole request: with a prompt above it, cached tokens included, every
    /// class is at the rate beyond the cliff.
    ///
    /// # Errors
    /// [`UnpricedReason::MissingClass`] when tokens are counted in a class that has no rate.
    pub fn charge(&self, tokens: &TokenCounts) -> Result<Amount, UnpricedReason> {
        let rates = self.rates_for(tokens);
        let counts = tokens.by_class();
        let mut used = 0_u8;
        let mut picos = 0_i128;
        for (class, (count, rate)) in counts.into_iter().zip(rates.by_class).enumerate() {
            used |= u8::from(count != 0) << class;
            picos = picos.saturating_add(rate.times(count).picos());
        }
        let missing = used & rates.missing;
        if missing != 0 {
            return Err(UnpricedReason::MissingClass { class: first_class(missing) });
        }
        Ok(Amount { money: Money::from_picos(picos), flags: self.flags.with(rates.flags(used)) })
    }

    /// The rate of a class for a request with that many prompt tokens; `None` where there is none.
    #[must_use]
    pub fn rate(&self, class: TokenClass, prompt_tokens: u64) -> Option<TokenRate> {
        let rates = self.rates_above(prompt_tokens);
        (rates.missing & bit(class) == 0).then(|| rates.by_class[class as usize])
    }

    /// Prompt sizes beyond which every rate changes, rising.
    pub fn cliffs(&self) -> impl Iterator<Item = u64> + '_ {
        self.cliffs.iter().map(|cliff| cliff.above)
    }

    fn rates_for(&self, tokens: &TokenCounts) -> &Rates {
        if self.cliffs.is_empty() { &self.base } else { self.rates_above(tokens.prompt()) }
    }

    fn rates_above(&self, prompt: u64) -> &Rates {
        self.cliffs.iter().rev().find(|cliff| prompt > cliff.above).map_or(&self.base, |cliff| &cliff.rates)
    }
}

impl Rates {
    /// The rates for prompts above `above`. Each class takes its tier's own rate, else the default tier's;
    /// never the rate from below the cliff, which would be too low.
    fn compile(entry: &Entry, tier: Tier, above: u64, scope: Scope) -> Self {
        let mut rates = Self::default();
        for class in TokenClass::ALL {
            let own = entry.rate(tier, above, class);
            let found = own.or_else(|| entry.rate(Tier::Default, above, class));
            let Some(listed) = found else {
                rates.missing |= bit(class);
                continue;
            };
            let premium = scope == Scope::InRegion && listed.is_global;
            let (rate, inexact) = if premium { with_premium(listed.rate) } else { (listed.rate, false) };
            rates.by_class[class as usize] = rate;
            rates.tier_assumed |= if own.is_none() { bit(class) } else { 0 };
            rates.rounded |= if listed.rounded || inexact { bit(class) } else { 0 };
            rates.premium |= if premium { bit(class) } else { 0 };
            rates.free |= if rate == TokenRate::ZERO { bit(class) } else { 0 };
        }
        rates
    }

    fn flags(&self, used: u8) -> PriceFlags {
        let when = |mask: u8, flag: PriceFlags| {
            if used & mask == 0 { PriceFlags::NONE } else { flag }
        };
        when(self.tier_assumed, PriceFlags::TIER_ASSUMED)
            .with(when(self.rounded, PriceFlags::ROUNDED))
            .with(when(self.premium, PriceFlags::PREMIUM))
            .with(when(self.free, PriceFlags::DECLARED_FREE))
    }
}

/// 1.1 times the rate, half-even, and whether that had to be rounded.
fn with_premium(rate: TokenRate) -> (TokenRate, bool) {
    let eleven = rate.picos().saturating_mul(11);
    let (whole, rest) = (eleven / 10, eleven % 10);
    let up = rest > 5 || (rest == 5 && whole % 2 == 1);
    let rounded = whole.saturating_add(u64::from(up));
    (TokenRate::from_picos(rounded).unwrap_or(TokenRate::MAX), rest != 0)
}

const fn bit(class: TokenClass) -> u8 {
    1 << (class as u8)
}

fn first_class(mask: u8) -> TokenClass {
    TokenClass::ALL.into_iter().find(|class| mask & bit(*class) != 0).unwrap_or(TokenClass::Input)
}
