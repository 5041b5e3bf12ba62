//! Numbers that carry a unit: shares, prices per token, prices per hour.
//!
//! They are whole numbers of the smallest part that a price list uses (a millionth, a pico-dollar), so that
//! nothing is rounded on the way in. Text without its unit is refused: a price per token that was typed as
//! a price per million tokens is wrong by 10⁶ and would stop everybody.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Money;
use super::text::{MoneyError, plain_decimal, strip_unit};

/// A share in parts per million: 80% is 800,000. At most 429,496.7295%.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// A price per token in whole pico-dollars, which is micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenRate(u64);

/// A price per hour in whole pico-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourRate(u64);

impl Percent {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// 100%.
    pub const WHOLE: Self = Self(1_000_000);
    /// The largest share that the type holds.
    pub const MAX: Self = Self(u32::MAX);

    /// That many parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The sum, stopping at [`Self::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

const PERCENT_EXAMPLE: &str = "80%";

impl FromStr for Percent {
    type Err = MoneyError;

    /// Reads "80%" and "12.5%": at most four decimals.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let number = strip_unit(text, "%", PERCENT_EXAMPLE)?;
        let (digits, decimals) = plain_decimal(number, text, 4, PERCENT_EXAMPLE)?;
        digits
            .checked_mul(10_i128.pow(4 - decimals))
            .and_then(|ppm| u32::try_from(ppm).ok())
            .map(Self)
            .ok_or_else(|| MoneyError::TooLarge { text: text.trim().to_owned(), most: "429496%" })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", trimmed(u128::from(self.0), 10_000, 4)))
    }
}

impl TokenRate {
    /// Free. Only a person can say so; a price that is not known is not this.
    pub const ZERO: Self = Self(0);
    /// 1,000 USD per token, a million times the dearest listed: with it, `u64::MAX` tokens of five classes
    /// still fit an `i128`, so a charge cannot overflow.
    pub const MAX: Self = Self(1_000_000_000_000_000);

    /// That many pico-dollars per token; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn from_picos(picos: u64) -> Option<Self> {
        if picos > Self::MAX.0 { None } else { Some(Self(picos)) }
    }

    /// Pico-dollars per token.
    #[must_use]
    pub const fn picos(self) -> u64 {
        self.0
    }

    /// The price of that many tokens. Cannot overflow, see [`Self::MAX`].
    #[must_use]
    pub fn times(self, tokens: u64) -> Money {
        Money::from_picos(i128::from(self.0).saturating_mul(i128::from(tokens)))
    }
}

const TOKEN_EXAMPLE: &str = "0.25 USD per 1M tokens";

impl FromStr for TokenRate {
    type Err = MoneyError;

    /// Reads "0.25 USD per 1M tokens": at most six decimals, which is one pico-dollar per token.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let spaced = single_spaced(text);
        let number = strip_unit(&spaced, "USD per 1M tokens", TOKEN_EXAMPLE)?;
        let (digits, decimals) = plain_decimal(number, &spaced, 6, TOKEN_EXAMPLE)?;
        digits
            .checked_mul(10_i128.pow(6 - decimals))
            .and_then(|picos| u64::try_from(picos).ok())
            .and_then(Self::from_picos)
            .ok_or(MoneyError::TooLarge { text: spaced, most: "1,000,000,000 USD per 1M tokens" })
    }
}

impl fmt::Display for TokenRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} USD per 1M tokens", money_like(u128::from(self.0), 1_000_000, 6)))
    }
}

impl HourRate {
    /// Free.
    pub const ZERO: Self = Self(0);
    /// One million USD per hour.
    pub const MAX: Self = Self(1_000_000_000_000_000_000);

    /// That many pico-dollars per hour; `None` above [`Self::MAX`].
    #[must_use]
    pub const fn from_picos(picos: u64) -> Option<Self> {
        if picos > Self::MAX.0 { None } else { Some(Self(picos)) }
    }

    /// Pico-dollars per hour.
    #[must_use]
    pub const fn picos(self) -> u64 {
        self.0
    }
}

const HOUR_EXAMPLE: &str = "0.4387 USD per hour";

impl FromStr for HourRate {
    type Err = MoneyError;

    /// Reads "0.4387 USD per hour": at most 12 decimals.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let spaced = single_spaced(text);
        let number = strip_unit(&spaced, "USD per hour", HOUR_EXAMPLE)?;
        let (digits, decimals) = plain_decimal(number, &spaced, 12, HOUR_EXAMPLE)?;
        digits
            .checked_mul(10_i128.pow(12 - decimals))
            .and_then(|picos| u64::try_from(picos).ok())
            .and_then(Self::from_picos)
            .ok_or(MoneyError::TooLarge { text: spaced, most: "1,000,000 USD per hour" })
    }
}

impl fmt::Display for HourRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} USD per hour", money_like(u128::from(self.0), 1_000_000_000_000, 12)))
    }
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `value / unit` with at most `width` decimals and no trailing zeros: "12.5", "80".
fn trimmed(value: u128, unit: u128, width: usize) -> String {
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { (value / unit).to_string() } else { format!("{}.{fraction}", value / unit) }
}

/// The same, but with at least two decimals, as prices are written: "3.30".
fn money_like(value: u128, unit: u128, width: usize) -> String {
    let fraction = format!("{:0width$}", value % unit);
    let kept = fraction.trim_end_matches('0').len().max(2);
    format!("{}.{}", value / unit, &fraction[..kept])
}

impl Serialize for Percent {
    /// "80%" where people may read it, else parts per million.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            u32::deserialize(deserializer).map(Self)
        }
    }
}

/// Pico-dollars: a decimal string where people may read it, else a `u64`.
macro_rules! serde_as_picos {
    ($rate:ident) => {
        impl Serialize for $rate {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(&self.0)
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $rate {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let picos = if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(|_| {
                        de::Error::custom(format_args!("`{text}` is not a whole number of pico-dollars"))
                    })?
                } else {
                    u64::deserialize(deserializer)?
                };
                Self::from_picos(picos)
                    .ok_or_else(|| de::Error::custom(format_args!("`{picos}` pico-dollars are too many")))
            }
        }
    };
}

serde_as_picos!(TokenRate);
serde_as_picos!(HourRate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_and_written_as_people_do() {
        for (text, ppm, shown) in [
            ("80%", 800_000, "80%"),
            ("12.5%", 125_000, "12.5%"),
            ("0.0001 %", 1, "0.0001%"),
            (" 100% ", 1_000_000, "100%"),
            ("0%", 0, "0%"),
            ("4294.9672%", 42_949_672, "4294.9672%"),
        ] {
            let percent: Percent = text.parse().expect(text);
            assert_eq!(percent.ppm(), ppm, "{text}");
            assert_eq!(percent.to_string(), shown);
        }
    }

    #[test]
    fn a_percentage_that_is_none_says_what_to_write() {
        for (text, said) in [
            ("80", "`80` has no unit; write `80%`"),
            ("0.8", "`0.8` has no unit; write `0.8%`"),
            ("", "the amount is empty; write for example `80%`"),
            ("-5%", "`-5%` is negative; write an amount of 0 or more, for example `80%`"),
            ("12.34567%", "`12.34567%` has more than 4 decimals and cannot be held exactly; write at most 4"),
            ("500000%", "`500000%` is too large; the most is `429496%`"),
            ("half", "`half` does not end in `%`; write for example `80%`"),
        ] {
            assert_eq!(text.parse::<Percent>().expect_err(text).to_string(), said);
        }
    }

    #[test]
    fn a_token_rate_is_pico_dollars_per_token() {
        for (text, picos, shown) in [
            ("0.25 USD per 1M tokens", 250_000, "0.25 USD per 1M tokens"),
            ("3.30 USD per 1M tokens", 3_300_000, "3.30 USD per 1M tokens"),
            ("0.0175  USD  per 1M tokens", 17_500, "0.0175 USD per 1M tokens"),
            ("0.000001 USD per 1M tokens", 1, "0.000001 USD per 1M tokens"),
            ("1,000 USD per 1M tokens", 1_000_000_000, "1000.00 USD per 1M tokens"),
        ] {
            let rate: TokenRate = text.parse().expect(text);
            assert_eq!((rate.picos(), rate.to_string().as_str()), (picos, shown));
        }
    }

    #[test]
    fn a_rate_without_its_unit_is_refused() {
        for (text, said) in [
            ("0.25", "`0.25` has no unit; write `0.25 USD per 1M tokens`"),
            (
                "0.25 USD",
                "`0.25 USD` does not end in `USD per 1M tokens`; write for example `0.25 USD per 1M tokens`",
            ),
            (
                "0.003 USD per 1K tokens",
                "`0.003 USD per 1K tokens` does not end in `USD per 1M tokens`; write for example `0.25 USD per \
                 1M tokens`",
            ),
            (
                "0.0000033 USD per 1M tokens",
                "`0.0000033 USD per 1M tokens` has more than 6 decimals and cannot be held exactly; write at most 6",
            ),
            (
                "3.3e-6 USD per 1M tokens",
                "`3.3e-6 USD per 1M tokens` has an exponent; write all digits, for example `0.25 USD per 1M tokens`",
            ),
            (
                "1,000,000,001 USD per 1M tokens",
                "`1,000,000,001 USD per 1M tokens` is too large; the most is `1,000,000,000 USD per 1M tokens`",
            ),
        ] {
            assert_eq!(text.parse::<TokenRate>().expect_err(text).to_string(), said);
        }
        let hours = "0.4387".parse::<HourRate>().expect_err("no unit").to_string();
        assert_eq!(hours, "`0.4387` has no unit; write `0.4387 USD per hour`");
    }

    #[test]
    fn an_hour_rate_is_pico_dollars_per_hour() {
        let rate: HourRate = "0.4387 USD per hour".parse().expect("a rate");
        assert_eq!((rate.picos(), rate.to_string().as_str()), (438_700_000_000, "0.4387 USD per hour"));
    }

    #[test]
    fn the_dearest_rate_times_the_most_tokens_fits() {
        let all = TokenRate::MAX.times(u64::MAX);
        assert_eq!(all.picos(), 1_000_000_000_000_000_i128 * i128::from(u64::MAX));
        assert!(all.checked_mul_u64(5).is_some());
        assert_eq!(TokenRate::from_picos(TokenRate::MAX.picos() + 1), None);
    }

    #[test]
    fn rates_are_strings_for_people_and_numbers_for_the_journal() {
        let rate = TokenRate::from_picos(3_300_000).expect("in range");
        assert_eq!(serde_json::to_string(&rate).expect("json"), "\"3300000\"");
        assert_eq!(serde_json::from_str::<TokenRate>("\"3300000\"").expect("json"), rate);
        assert!(serde_json::from_str::<TokenRate>("3300000.5").is_err());
        assert!(serde_json::from_str::<TokenRate>("\"1000000000000001\"").is_err());
        let bytes = postcard::to_stdvec(&rate).expect("postcard");
        assert_eq!(postcard::from_bytes::<TokenRate>(&bytes).expect("postcard"), rate);
        let percent: Percent = "12.5%".parse().expect("percent");
        assert_eq!(serde_json::to_string(&percent).expect("json"), "\"12.5%\"");
    }
}
