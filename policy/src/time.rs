//! Instants and spans as whole milliseconds.
//!
//! The crate never asks what time it is: every instant is an argument, so the same log replays to the
//! same bytes. Milliseconds are enough (Bedrock logs carry seconds) and keep a fact at eight bytes.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A length of time in milliseconds. Negative only as the result of [`Timestamp::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Timestamp {
    /// Before every instant that a fact can carry.
    pub const MIN: Self = Self(i64::MIN);
    /// After every instant that a fact can carry.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant that many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved by `span`, stopping at [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This instant moved back by `span`, stopping at [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// Reads RFC 3339, with any offset ("2026-11-20T10:15:04Z", "2026-11-20T10:16:03.120+01:00").
    ///
    /// # Errors
    /// When the text is not RFC 3339.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text)
            .map(|at| Self(at.timestamp_millis()))
            .map_err(|_| TimeError::Instant(text.to_owned()))
    }

    /// The same instant for calendar work; `None` outside chrono's range (about ±262,000 years).
    #[must_use]
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(at) if self.0.rem_euclid(1000) == 0 => {
                f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None if self.0 < 0 => f.write_str("the beginning"),
            None => f.write_str("never"),
        }
    }
}

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// A span of that many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// A span of that many seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// A span of that many minutes.
    #[must_use]
    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins.saturating_mul(60))
    }

    /// A span of that many hours.
    #[must_use]
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_mins(hours.saturating_mul(60))
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }
}

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = TimeError;

    /// Reads "90s", "5m", "1h30m", "30d", "2w", "250ms".
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError::Span(text.to_owned());
        let mut rest = text.trim();
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
            rest = &rest[letters..];
            let part = number.checked_mul(*millis).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (unit, millis) in UNITS.iter().skip(1) {
            let count = rest / millis.unsigned_abs();
            rest %= millis.unsigned_abs();
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// Why a text is no instant or span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("`{0}` is not a time; write it like 2026-11-20T10:15:04Z")]
    Instant(String),
    /// Not a number with a unit.
    #[error("`{0}` is not a length of time; write it like 90s, 5m, 1h30m or 30d")]
    Span(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_and_prints_the_units_people_write() {
        for (text, millis) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("2w", 1_209_600_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().millis(), millis, "{text}");
        }
        assert_eq!(Span::from_millis(5_400_000).to_string(), "1h30m");
        assert_eq!(Span::from_millis(90_000).to_string(), "1m30s");
        assert_eq!(Span::ZERO.to_string(), "0s");
    }

    #[test]
    fn a_span_without_a_unit_or_beyond_the_range_is_refused() {
        for text in ["", "5", "m", "5 m", "-5m", "5y", "1.5h", "9999999999999999d", "5mm"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_instant_keeps_its_milliseconds_and_loses_its_offset() {
        let at = Timestamp::parse_rfc3339("2026-11-20T11:16:03.120+01:00").unwrap();
        assert_eq!(at.to_string(), "2026-11-20T10:16:03.120Z");
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
    }
}
