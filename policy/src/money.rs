//! Money: whole pico-dollars (10⁻¹² USD) in an `i128`.
//!
//! One pico-dollar per token is one micro-dollar per million tokens, so every price that Bedrock lists is a
//! whole number here, and so is every product of a price and a count (12 decimals are the longest listed:
//! 1.44375e-7 USD). An `i64` would overflow at 9.22 million USD; the `i128` holds 10²⁶ USD.
//!
//! There is no float, no conversion from one, and no operator that can wrap: sums and products are checked
//! or saturating by name, and where a share must be rounded the caller names the rounding. Text without a
//! unit, with another currency or with more digits than fit is refused, never guessed.

mod text;
mod unit;
mod units;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use text::MoneyError;
pub use unit::{Measured, Unit};
pub use units::{HourRate, Percent, TokenRate};

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
        if let Some(millionfold) = self.0.checked_mul(1_000_000) {
            return u32::try_from(millionfold / limit.0)
                .ok()
                .filter(|p| *p < u32::MAX)
                .map(Percent::from_ppm);
        }
        // Search the answer instead of dividing 256 bits: 32 exact comparisons, for sums that nobody has.
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
mod tests;
