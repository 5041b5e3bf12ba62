//! Money. (The first cut of the types that other modules name; parsing and display follow.)

use serde::{Deserialize, Serialize};

/// An amount in 10⁻¹² USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// That many 10⁻¹² USD.
    #[must_use]
    pub const fn from_picos(picos: i128) -> Self {
        Self(picos)
    }

    /// The amount in 10⁻¹² USD.
    #[must_use]
    pub const fn picos(self) -> i128 {
        self.0
    }
}

/// A share in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Percent(u32);

impl Percent {
    /// That many parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// The share in parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }
}
