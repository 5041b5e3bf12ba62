//! Magnitude guards: what keeps a slipped decimal point from stopping everybody.
//!
//! A price three times away from the last accepted one of its key and class is refused, as is one outside
//! what any list has ever asked, unless a person accepts the key by name. The guard looks only at prices
//! that are being brought in; it never changes one.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::slip;
use crate::money::{HourRate, TokenRate};

/// A price that many times higher or lower than the last accepted one is refused.
const TOO_FAR: u64 = 3;
/// Lowest believable rate: 0.001 USD per 1M tokens. The lowest listed for Bedrock is 0.005 (litellm 1.109.1).
const LEAST_TOKEN: u64 = 1_000;
/// Highest believable rate: 1,000 USD per 1M tokens. The highest listed for Bedrock is 495 (litellm 1.109.1).
const MOST_TOKEN: u64 = 1_000_000_000;
/// Lowest believable instance price: 0.01 USD per hour.
const LEAST_HOUR: u64 = 10_000_000_000;
/// Highest believable instance price: 1,000 USD per hour. The highest listed is 142.416 (p6-b300).
const MOST_HOUR: u64 = 1_000_000_000_000_000;

/// Spot below one twentieth of on demand is refused.
const LEAST_SPOT_PART: u64 = 20;

/// One price that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("price of `{key}`{}: {problem}", field_of(.field.as_deref()))]
pub struct PriceIssue {
    /// The key, as it would be accepted by name.
    pub key: String,
    /// Which figure of the key: a LiteLLM field or a class.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: PriceProblem,
}

fn field_of(field: Option<&str>) -> String {
    field.map(|field| format!(", `{field}`")).unwrap_or_default()
}

/// What is wrong with a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum PriceProblem {
    /// Three times away from the last accepted price.
    #[error("`{new}` is {times} the last accepted price `{last}`; {instead}")]
    FarFromLast {
        /// The new price.
        new: String,
        /// The last accepted one.
        last: String,
        /// How far: "1000 times", "1/10 of".
        times: String,
        /// What may have been meant, and what to do if not.
        instead: String,
    },
    /// Three times away from every price of the same model under another scope.
    #[error("`{new}` is {times} the price `{last}` of `{sibling}`; {instead}")]
    FarFromSibling {
        /// The new price.
        new: String,
        /// The key that it was compared with.
        sibling: String,
        /// The price there.
        last: String,
        /// How far.
        times: String,
        /// What may have been meant, and what to do if not.
        instead: String,
    },
    /// A Spot price that the price on demand makes unlikely.
    #[error("Spot at `{new}` is far from `{on_demand}` on demand; correct it, or add the key to `accept`")]
    FarFromOnDemand {
        /// The new price.
        new: String,
        /// The price on demand.
        on_demand: String,
    },
    /// Outside what any list has asked.
    #[error("`{new}` is outside `{least}` to `{most}`; {instead}")]
    Implausible {
        /// The new price.
        new: String,
        /// The lowest that is believed.
        least: String,
        /// The highest that is believed.
        most: String,
        /// What may have been meant, and what to do if not.
        instead: String,
    },
    /// A price of zero where there was none, or where there was a price.
    #[error("a price of zero must be accepted by name; add the key to `accept`, or leave the price out")]
    Zero,
    /// The text is not a price.
    #[error("`{text}` is not a price per token; {instead}")]
    NotAPrice {
        /// The offending text.
        text: String,
        /// What may have been meant, or what a price looks like.
        instead: String,
    },
    /// A price by a unit that is not one token, where LiteLLM has none such.
    #[error("`{field}` is no price per token; {instead}")]
    UnknownUnit {
        /// The offending field.
        field: String,
        /// What to write instead.
        instead: String,
    },
    /// The file is not what it should be.
    #[error("{what}")]
    BadFile {
        /// What was found and what should stand there.
        what: String,
    },
    /// A profile that is mapped to nothing, or to another opaque id.
    #[error("`{target}` is not a model id of the book; write one such as `us.anthropic.claude-sonnet-4-6`")]
    BadTarget {
        /// The offending text.
        target: String,
    },
    /// The short price states no rate.
    #[error("no rate is stated; write at least one, such as `input: 3.30 USD per 1M tokens`")]
    Nothing,
}

/// How far `new` is from `last`, where that is too far.
fn distance(new: u64, last: u64) -> Option<String> {
    if last == 0 || new == 0 {
        return None;
    }
    if new >= last.saturating_mul(TOO_FAR) {
        Some(format!("{} times", new / last))
    } else if new.saturating_mul(TOO_FAR) <= last {
        Some(format!("1/{} of", last / new))
    } else {
        None
    }
}

/// Whether any list could have asked that.
pub(super) fn is_believable(rate: TokenRate) -> bool {
    (LEAST_TOKEN..=MOST_TOKEN).contains(&rate.picos())
}

/// Judges a rate per token against the last accepted one of its key, tier, cliff and class; where there is
/// none, against `siblings`, the same figure of the same model under other scopes. `written` is how such a
/// rate is written where the new one stands.
pub(super) fn judge_token_rate(
    new: TokenRate,
    last: Option<TokenRate>,
    siblings: &[(String, TokenRate)],
    written: fn(TokenRate) -> String,
) -> Option<PriceProblem> {
    if new == TokenRate::ZERO {
        return (last != Some(TokenRate::ZERO)).then_some(PriceProblem::Zero);
    }
    let known: Vec<u64> =
        last.into_iter().chain(siblings.iter().map(|s| s.1)).map(TokenRate::picos).collect();
    let instead = || {
        let meant = slip::meant(new.picos(), &known, LEAST_TOKEN..=MOST_TOKEN);
        slip::instead(meant.and_then(TokenRate::from_picos).map(written))
    };
    if !is_believable(new) {
        let show = |picos| TokenRate::from_picos(picos).unwrap_or(TokenRate::MAX).to_string();
        return Some(PriceProblem::Implausible {
            new: new.to_string(),
            least: show(LEAST_TOKEN),
            most: show(MOST_TOKEN),
            instead: instead(),
        });
    }
    match last {
        Some(last) => distance(new.picos(), last.picos()).map(|times| PriceProblem::FarFromLast {
            new: new.to_string(),
            last: last.to_string(),
            times,
            instead: instead(),
        }),
        None => {
            let (sibling, last, times) = far_from_all(new, siblings)?;
            Some(PriceProblem::FarFromSibling {
                new: new.to_string(),
                sibling: sibling.to_owned(),
                last: last.to_string(),
                times,
                instead: instead(),
            })
        }
    }
}

/// The first sibling, where every one of them is too far away.
fn far_from_all(new: TokenRate, siblings: &[(String, TokenRate)]) -> Option<(&str, TokenRate, String)> {
    let mut first = None;
    for (sibling, last) in siblings {
        let times = distance(new.picos(), last.picos())?;
        first.get_or_insert((sibling.as_str(), *last, times));
    }
    first
}

/// Judges a first Spot price against the price on demand. AWS says that Spot is up to 90% cheaper; a slip
/// of the decimal point is at least that far, so half of it is still believed and no more.
pub(super) fn judge_spot_rate(new: HourRate, on_demand: Option<HourRate>) -> Option<PriceProblem> {
    let on_demand = on_demand.filter(|rate| *rate != HourRate::ZERO)?;
    let too_low = new.picos().saturating_mul(LEAST_SPOT_PART) < on_demand.picos();
    let too_high = new.picos() >= on_demand.picos().saturating_mul(TOO_FAR);
    (too_low || too_high)
        .then(|| PriceProblem::FarFromOnDemand { new: new.to_string(), on_demand: on_demand.to_string() })
}

/// Judges a price per hour against the last accepted one of its key.
pub(super) fn judge_hour_rate(new: HourRate, last: Option<HourRate>) -> Option<PriceProblem> {
    if new == HourRate::ZERO {
        return (last != Some(HourRate::ZERO)).then_some(PriceProblem::Zero);
    }
    let instead = || {
        let meant = last.and_then(|last| slip::meant(new.picos(), &[last.picos()], LEAST_HOUR..=MOST_HOUR));
        slip::instead(meant.and_then(HourRate::from_picos).map(|rate| format!("`{rate}`")))
    };
    if !(LEAST_HOUR..=MOST_HOUR).contains(&new.picos()) {
        let show = |picos| HourRate::from_picos(picos).unwrap_or(HourRate::MAX).to_string();
        return Some(PriceProblem::Implausible {
            new: new.to_string(),
            least: show(LEAST_HOUR),
            most: show(MOST_HOUR),
            instead: instead(),
        });
    }
    let last = last?;
    distance(new.picos(), last.picos()).map(|times| PriceProblem::FarFromLast {
        new: new.to_string(),
        last: last.to_string(),
        times,
        instead: instead(),
    })
}
