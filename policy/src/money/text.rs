//! Money as text, both ways.
//!
//! Reading refuses what it cannot hold and says what to write instead; a unit is never supplied. Writing
//! rounds to cents for people, and has a form with every digit that reads back to the same amount.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Money;

/// Pico-dollars in one dollar.
const PICOS_PER_USD: i128 = 1_000_000_000_000;

/// The most that text may say: 10¹⁵ USD. More is a typing error, and the ledger can add 10¹¹ of these.
const MOST_USD: i128 = 1_000_000_000_000_000;

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
    #[error("`{text}` has no unit; write `{instead}`")]
    NoUnit {
        /// The offending text.
        text: String,
        /// The same with its unit.
        instead: String,
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
    /// Every digit, without separators: "0.0218625 USD". Reads back to the same amount.
    #[must_use]
    pub fn exact(self) -> String {
        let digits = format!("{:012}", self.0.unsigned_abs() % PICOS_PER_USD.unsigned_abs());
        let trimmed = digits.trim_end_matches('0');
        let kept = &digits[..trimmed.len().max(2)];
        format!("{}{}.{kept} USD", sign(self.0), self.0.unsigned_abs() / PICOS_PER_USD.unsigned_abs())
    }
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

fn sign(picos: i128) -> &'static str {
    if picos < 0 { "-" } else { "" }
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
        let space = if unit == "%" { "" } else { " " };
        return Err(MoneyError::NoUnit { text: owned(), instead: format!("{trimmed}{space}{unit}") });
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
