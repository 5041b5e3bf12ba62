//! Money: whole pico-dollars (10⁻¹² USD) in an `i128`.
//!
//! One pico-dollar per token is one micro-dollar per million tokens, so every price that Bedrock lists is a
//! whole number here, and so is every product of a price and a count (12 decimals are the longest listed:
//! 1.44375e-7 USD). An `i64` would overflow at 9.22 million USD; the `i128` holds 10²⁶ USD.
//!
//! There is no float, no conversion from one, and no operator that can wrap: sums and products are checked
//! or saturating by name, and where a share must be rounded the caller names the rounding. Text without a
//! unit, with another currency or with more digits than fit is refused, never guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

pub use crate::units::{HourRate, Percent, TokenRate};

/// Pico-dollars in one dollar.
pub(crate) const PICOS_PER_USD: i128 = 1_000_000_000_000;

/// The most that text may say: 10¹⁵ USD. More is a typing error, and the ledger can add 10¹¹ of these.
const MOST_USD: i128 = 1_000_000_000_000_000;

/// An amount of money in pico-dollars (10⁻¹² USD). Negative only as a correction or a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// How [`Money::share`] makes a whole number of pico-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Towards minus infinity: never more than the exact share.
    Down,
    /// Towards plus infinity: never less than the exact share.
    Up,
    /// To the nearest; a tie goes to the even neighbour.
    HalfEven,
}

/// Why a text is not money. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// There was nothing to read.
    #[error("the amount is empty; write for example `{example}`")]
    Empty {
        /// A text that would be accepted.
        example: &'static str,
    },
    /// A number alone.
    #[error("`{text}` has no unit; write `{text} {unit}`")]
    NoUnit {
        /// The offending text.
        text: String,
        /// The unit that is missing.
        unit: &'static str,
    },
    /// A unit that is not the expected one: another currency, or other tokens.
    #[error("`{text}` does not end in `{unit}`; write for example `{example}`")]
    WrongUnit {
        /// The offending text.
        text: String,
        /// The unit that is expected.
        unit: &'static str,
        /// A text that would be accepted.
        example: &'static str,
    },
    /// A minus sign.
    #[error("`{text}` is negative; write an amount of 0 or more, for example `{example}`")]
    Negative {
        /// The offending text.
        text: String,
        /// A text that would be accepted.
        example: &'static str,
    },
    /// Scientific notation.
    #[error("`{text}` has an exponent; write all digits, for example `{example}`")]
    Exponent {
        /// The offending text.
        text: String,
        /// A text that would be accepted.
        example: &'static str,
    },
    /// More decimals than a whole pico-dollar has.
    #[error("`{text}` has more than {most} decimals and cannot be held exactly; write at most {most}")]
    TooFine {
        /// The offending text.
        text: String,
        /// Decimals that fit.
        most: u32,
    },
    /// Above the limit of the type or of what is believable.
    #[error("`{text}` is too large; the most is `{most}`")]
    TooLarge {
        /// The offending text.
        text: String,
        /// The largest text that would be accepted.
        most: &'static str,
    },
    /// Not a number.
    #[error("`{text}` is not a number; write digits with `.` for decimals, for example `{example}`")]
    NotANumber {
        /// The offending text.
        text: String,
        /// A text that would be accepted.
        example: &'static str,
    },
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that the type holds, about 1.7 × 10²⁶ USD.
    pub const MAX: Self = Self(i128::MAX);

    /// That many pico-dollars.
    #[must_use]
    pub const fn from_picos(picos: i128) -> Self {
        Self(picos)
    }

    /// The amount in pico-dollars.
    #[must_use]
    pub const fn picos(self) -> i128 {
        self.0
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` when the type cannot hold it.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when the type cannot hold it.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The product, or `None` when the type cannot hold it.
    #[must_use]
    pub const fn checked_mul_u64(self, factor: u64) -> Option<Self> {
        match self.0.checked_mul(factor as i128) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// The sum, stopping at the ends of the type.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, stopping at the ends of the type.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether this is at least `percent` of `limit`, compared exactly, without rounding or overflow.
    /// This, not a rounded percentage, decides a threshold.
    #[must_use]
    pub fn reaches(self, percent: Percent, limit: Self) -> bool {
        let (spent, limit) = (self.0, limit.0);
        match (spent < 0, limit < 0) {
            (false, true) => true,
            (true, false) => false,
            (false, false) => {
                wide_mul(spent.unsigned_abs(), Percent::WHOLE.ppm())
                    >= wide_mul(limit.unsigned_abs(), percent.ppm())
            }
            (true, true) => {
                wide_mul(spent.unsigned_abs(), Percent::WHOLE.ppm())
                    <= wide_mul(limit.unsigned_abs(), percent.ppm())
            }
        }
    }

    /// This as a part of `limit`, rounded down to a millionth, for people to read. `None` when `limit` is
    /// not above zero, this is below zero, or the part is above [`Percent::MAX`].
    #[must_use]
    pub fn percent_of(self, limit: Self) -> Option<Percent> {
        if limit.0 <= 0 || self.0 < 0 {
            return None;
        }
        // Search the answer instead of dividing 256 bits: 32 exact comparisons, and only for display.
        let (mut low, mut high) = (0_u32, u32::MAX);
        while low < high {
            let middle = high - (high - low) / 2;
            if self.reaches(Percent::from_ppm(middle), limit) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        (low < u32::MAX).then(|| Percent::from_ppm(low))
    }

    /// `percent` of this, rounded as named; `None` when the type cannot hold it.
    #[must_use]
    pub fn share(self, percent: Percent, rounding: Rounding) -> Option<Self> {
        let whole = i128::from(Percent::WHOLE.ppm());
        let part = i128::from(percent.ppm());
        // a·p/w = (a div w)·p + (a mod w)·p/w: exact, and overflows only where the result does.
        let (high, low) = (self.0.div_euclid(whole), self.0.rem_euclid(whole));
        let rest = low.checked_mul(part)?;
        let rounded = match rounding {
            Rounding::Down => rest.div_euclid(whole),
            Rounding::Up => rest.div_euclid(whole).checked_add(i128::from(rest.rem_euclid(whole) != 0))?,
            Rounding::HalfEven => {
                let carried = high.checked_mul(part)?.rem_euclid(2);
                half_even(rest, whole, carried)
            }
        };
        high.checked_mul(part)?.checked_add(rounded).map(Self)
    }

    /// Every digit, without separators: "0.0218625 USD". Reads back to the same amount.
    #[must_use]
    pub fn exact(self) -> String {
        let digits = format!("{:012}", self.0.unsigned_abs() % PICOS_PER_USD.unsigned_abs());
        let trimmed = digits.trim_end_matches('0');
        let kept = &digits[..trimmed.len().max(2)];
        format!("{}{}.{kept} USD", sign(self.0), self.0.unsigned_abs() / PICOS_PER_USD.unsigned_abs())
    }
}

/// `value / by` for `value` ≥ 0, to the nearest; a tie goes to where `parity + result` is even.
fn half_even(value: i128, by: i128, parity: i128) -> i128 {
    let (quotient, rest) = (value.div_euclid(by), value.rem_euclid(by));
    let odd = (quotient + parity).rem_euclid(2) == 1;
    let up = rest > by - rest || (rest == by - rest && odd);
    quotient + i128::from(up)
}

/// The 160-bit product, as its high part and its low 64 bits, so that tuples compare as numbers do.
fn wide_mul(value: u128, factor: u32) -> (u128, u64) {
    let factor = u128::from(factor);
    let low = (value & u128::from(u64::MAX)) * factor;
    let high = (value >> 64) * factor + (low >> 64);
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the one wanted")]
    let low = low as u64;
    (high, low)
}

fn sign(picos: i128) -> &'static str {
    if picos < 0 { "-" } else { "" }
}

impl fmt::Display for Money {
    /// Two decimals, half-even, with separators: "5,000.00 USD". An amount that is not zero never reads as
    /// "0.00": decimals are added until a digit shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut decimals = 2;
        let mut scaled = round_to(self.0.unsigned_abs(), decimals);
        while scaled == 0 && self.0 != 0 && decimals < 12 {
            decimals += 1;
            scaled = round_to(self.0.unsigned_abs(), decimals);
        }
        let unit = 10_u128.pow(decimals);
        let width = usize::try_from(decimals).unwrap_or(12);
        let text = format!("{}{}.{:0width$} USD", sign(self.0), grouped(scaled / unit), scaled % unit);
        f.pad(&text)
    }
}

/// Pico-dollars as whole 10^-`decimals` dollars, half-even.
fn round_to(picos: u128, decimals: u32) -> u128 {
    let by = 10_u128.pow(12_u32.saturating_sub(decimals));
    let (quotient, rest) = (picos / by, picos % by);
    let up = rest > by - rest || (rest == by - rest && quotient % 2 == 1 && by > 1);
    quotient + u128::from(up)
}

/// "1234567" as "1,234,567".
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text that [`Money`] accepts.
const EXAMPLE: &str = "5000 USD";

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads "5000 USD", "0.25 USD" and "5,000.50 USD": digits, at most 12 decimals, the currency.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let number = strip_unit(text, "USD", EXAMPLE)?;
        let (digits, decimals) = plain_decimal(number, text, 12, EXAMPLE)?;
        let too_large =
            || MoneyError::TooLarge { text: text.trim().to_owned(), most: "1,000,000,000,000,000 USD" };
        let picos = digits.checked_mul(10_i128.pow(12 - decimals)).ok_or_else(too_large)?;
        if picos > MOST_USD * PICOS_PER_USD { Err(too_large()) } else { Ok(Self(picos)) }
    }
}

/// The number in front of `unit`, or why there is none.
pub(crate) fn strip_unit<'a>(
    text: &'a str,
    unit: &'static str,
    example: &'static str,
) -> Result<&'a str, MoneyError> {
    let trimmed = text.trim();
    let owned = || trimmed.to_owned();
    if trimmed.is_empty() {
        return Err(MoneyError::Empty { example });
    }
    if let Some(number) = trimmed.strip_suffix(unit) {
        return Ok(number.trim_end());
    }
    if trimmed.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        && trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        && !trimmed.contains(char::is_whitespace)
    {
        return Err(MoneyError::NoUnit { text: owned(), unit });
    }
    Err(MoneyError::WrongUnit { text: owned(), unit, example })
}

/// Reads digits with an optional fraction and optional thousands separators. Answers the digits as one
/// whole number and how many of them are decimals.
pub(crate) fn plain_decimal(
    number: &str,
    whole_text: &str,
    most: u32,
    example: &'static str,
) -> Result<(i128, u32), MoneyError> {
    let owned = || whole_text.trim().to_owned();
    let not_a_number = || MoneyError::NotANumber { text: owned(), example };
    if number.starts_with('-') || number.starts_with('\u{2212}') {
        return Err(MoneyError::Negative { text: owned(), example });
    }
    if number.contains(['e', 'E']) && number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(MoneyError::Exponent { text: owned(), example });
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_number());
    }
    let whole = without_separators(whole).ok_or_else(not_a_number)?;
    // Trailing zeros say nothing: "0.2500000000000 USD" is held exactly.
    let fraction = fraction.trim_end_matches('0');
    let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if decimals > most {
        return Err(MoneyError::TooFine { text: owned(), most });
    }
    let digits = format!("{whole}{fraction}");
    digits
        .parse()
        .map(|digits| (digits, decimals))
        .map_err(|_| MoneyError::TooLarge { text: owned(), most: "1,000,000,000,000,000 USD" })
}

/// "5,000" as "5000"; `None` where a comma does not stand before exactly three digits, so that "5,00" or
/// the European "5.000,00" is not taken for another number.
fn without_separators(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let digits = |group: &&str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let grouped_right = rest.is_empty() || (first.len() <= 3 && rest.iter().all(|group| group.len() == 3));
    (digits(&first) && rest.iter().all(digits) && grouped_right).then(|| whole.replace(',', ""))
}

impl Serialize for Money {
    /// Pico-dollars: a decimal string where people may read it (JSON numbers lose digits), else an `i128`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_i128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map(Self).map_err(|_| {
                de::Error::custom(format_args!("`{text}` is not a whole number of pico-dollars"))
            })
        } else {
            i128::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
