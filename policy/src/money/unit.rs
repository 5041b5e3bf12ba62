//! What a budget counts: money, tokens or GPU hours.
//!
//! Sums, limits and shares are the same arithmetic whatever is counted. So an amount of another unit is kept as
//! [`Money`] is, in 10⁻¹² of its unit, and its unit stands beside it wherever it is shown or compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Money;

/// 10⁻¹² of a unit in one.
const PARTS: i128 = 1_000_000_000_000;

/// What a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Money.
    #[default]
    Usd,
    /// Tokens of every class, also those that have no price.
    Tokens,
    /// Hours of one GPU.
    GpuHours,
}

/// An amount with its unit, for people: "5,000.00 USD", "2,000,000 tokens", "12.50 GPU hours".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    unit: Unit,
    amount: Money,
}

impl Unit {
    /// The word in metrics, messages and the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::GpuHours => "gpu-hours",
        }
    }

    /// What stands behind a number.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Tokens => "tokens",
            Self::GpuHours => "GPU hours",
        }
    }

    /// An amount of this unit as it is shown: money and hours with two decimals, tokens whole.
    #[must_use]
    pub const fn of(self, amount: Money) -> Measured {
        Measured { unit: self, amount }
    }

    /// The same with every digit.
    #[must_use]
    pub fn exact(self, amount: Money) -> String {
        self.instead(&amount.exact())
    }

    fn instead(self, text: &str) -> String {
        let number = text.strip_suffix(" USD").unwrap_or(text);
        let number = match self {
            Self::Tokens => number.strip_suffix(".00").unwrap_or(number),
            Self::Usd | Self::GpuHours => number,
        };
        format!("{number} {}", self.suffix())
    }

    /// So many of the unit; `None` where that does not fit.
    #[must_use]
    pub fn whole(count: u64) -> Option<Money> {
        i128::from(count).checked_mul(PARTS).map(Money::from_picos)
    }

    /// Reads what a rule says of this unit: "50 USD", "2B", "900M tokens", "12.5", "12.5 GPU hours".
    /// `None` where it is none.
    #[must_use]
    pub fn read(self, text: &str) -> Option<Money> {
        let text = text.trim();
        match self {
            Self::Usd => text.parse().ok(),
            Self::Tokens => tokens(text.strip_suffix("tokens").unwrap_or(text).trim()),
            Self::GpuHours => decimal(text.strip_suffix("GPU hours").unwrap_or(text).trim(), PARTS),
        }
    }
}

/// "2B", "1.5M", "100000".
fn tokens(text: &str) -> Option<Money> {
    let of = |suffix: char| match suffix {
        'k' => Some(1_000),
        'M' => Some(1_000_000),
        'B' => Some(1_000_000_000),
        'T' => Some(1_000_000_000_000),
        _ => None,
    };
    let (number, times) = match text.chars().last().and_then(|last| Some((last, of(last)?))) {
        Some((suffix, times)) => (text.strip_suffix(suffix)?, times),
        None => (text, 1),
    };
    let amount = decimal(number, times)?;
    amount.picos().checked_mul(PARTS).map(Money::from_picos)
}

/// A plain decimal times a power of ten, only where that is whole and fits: at most 10¹⁵ of anything.
fn decimal(text: &str, times: i128) -> Option<Money> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.len() <= 15;
    if whole.is_empty() || text.ends_with('.') || !digits(whole) || !digits(rest) {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(rest.len()).ok()?)?;
    let value: i128 = format!("{whole}{rest}").parse().ok()?;
    let product = value.checked_mul(times)?;
    (product.checked_rem(scale)? == 0).then(|| product.checked_div(scale).map(Money::from_picos))?
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Usd => self.amount.fmt(f),
            Unit::Tokens => {
                f.pad(&self.unit.instead(&Money::from_picos(whole_parts(self.amount)).to_string()))
            }
            Unit::GpuHours => f.pad(&self.unit.instead(&self.amount.to_string())),
        }
    }
}

/// Cut to a whole number of the unit.
fn whole_parts(amount: Money) -> i128 {
    let rest = amount.picos().checked_rem(PARTS).unwrap_or(0);
    amount.picos().saturating_sub(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rules_say_of_a_unit_is_read_exactly_or_not_at_all() {
        let cases = [
            (Unit::Usd, "50 USD", Some("50.00 USD")),
            (Unit::Usd, "50", None),
            (Unit::Tokens, "2B", Some("2,000,000,000 tokens")),
            (Unit::Tokens, "1.5M tokens", Some("1,500,000 tokens")),
            (Unit::Tokens, "750", Some("750 tokens")),
            (Unit::Tokens, "900 k", None),
            (Unit::Tokens, "1.2345k", None),
            (Unit::Tokens, "-3M", None),
            (Unit::Tokens, "2b", None),
            (Unit::Tokens, "1e9", None),
            (Unit::Tokens, "", None),
            (Unit::Tokens, "9999999999999999B", None),
            (Unit::GpuHours, "400", Some("400.00 GPU hours")),
            (Unit::GpuHours, "0.25 GPU hours", Some("0.25 GPU hours")),
            (Unit::GpuHours, ".5", None),
            (Unit::GpuHours, "5.", None),
            (Unit::GpuHours, "5h", None),
        ];
        for (unit, text, wanted) in cases {
            let read = unit.read(text).map(|amount| unit.of(amount).to_string());
            assert_eq!(read.as_deref(), wanted, "{unit:?} `{text}`");
        }
    }

    #[test]
    fn tokens_are_shown_whole_and_exactly() {
        let amount = Unit::Tokens.read("1234567").unwrap();
        assert_eq!(Unit::Tokens.of(amount).to_string(), "1,234,567 tokens");
        assert_eq!(Unit::GpuHours.exact(Money::from_picos(PARTS / 3)), "0.333333333333 GPU hours");
    }
}
