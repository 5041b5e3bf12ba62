//! How the messages of a route go out: together, not at night, again, and to somebody else if nobody answers.

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::subject::FieldName;
use crate::time::{Span, Timestamp};

/// How the messages of a route go out. By default each at once, and once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Which messages go out as one.
    pub grouping: Option<Grouping>,
    /// When only what is critical goes out; the rest waits for the end of these hours.
    pub quiet_hours: Vec<QuietHours>,
    /// What is critical is said again after this, until it is over or somebody has acknowledged it.
    pub repeat_interval: Option<Span>,
    /// Who is told where nobody has acknowledged it, the soonest first.
    pub escalation: Vec<Escalation>,
}

impl Delivery {
    /// Whether somebody must say that they have seen what is critical.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.repeat_interval.is_some() || !self.escalation.is_empty()
    }

    /// Whether it is a time at which only what is critical goes out.
    #[must_use]
    pub fn is_quiet(&self, at: Timestamp) -> bool {
        self.quiet_hours.iter().any(|hours| hours.has(at))
    }
}

/// Which messages go out as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    /// Messages that are alike in all of these; all of a route where there is none.
    pub by: Vec<GroupBy>,
    /// How long the first of a group waits for others.
    pub wait: Span,
    /// How long after a group the next of the same kind goes out at the earliest.
    pub interval: Span,
}

/// What messages of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GroupBy {
    /// The budget; a page about ourselves has none.
    Budget,
    /// The breaker.
    Breaker,
    /// What was decided.
    Kind,
    /// How loud it is.
    Severity,
    /// A field of `perEach`.
    Field(FieldName),
}

/// Hours in which only what is critical goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First minute of the day that is quiet, in local time.
    pub from: u16,
    /// First minute that is not; earlier than `from` where the hours go over midnight, the same for a whole day.
    pub to: u16,
    /// Days on which they begin: bit 0 is Monday.
    pub days: u8,
    /// Time zone of all of this.
    pub timezone: Tz,
}

/// Every day of the week.
pub const EVERY_DAY: u8 = 0b111_1111;

impl QuietHours {
    /// Whether that instant is in them. Hours that go over midnight belong to the day on which they began.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        let Some(utc) = at.to_utc() else { return false };
        let local = utc.with_timezone(&self.timezone);
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let today = local.weekday().num_days_from_monday();
        let begins = |day: u32| self.days & (1 << day) != 0;
        if self.from < self.to {
            return begins(today) && (self.from..self.to).contains(&minute);
        }
        (begins(today) && minute >= self.from) || (begins((today + 6) % 7) && minute < self.to)
    }
}

/// Somebody else who is told where nobody has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// So long after the first message.
    pub after: Span,
    /// Name of the route.
    pub route: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: u16, to: u16, days: u8) -> QuietHours {
        QuietHours { from: from * 60, to: to * 60, days, timezone: "Europe/Berlin".parse().unwrap() }
    }

    fn quiet(hours: &QuietHours, at: &str) -> bool {
        hours.has(Timestamp::parse_rfc3339(at).unwrap())
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_began() {
        let week_nights = hours(22, 7, 0b001_1111);
        for (at, is) in [
            ("2026-11-20T20:59:59Z", false), // Friday, 21:59:59 in Berlin
            ("2026-11-20T21:00:00Z", true),
            ("2026-11-21T05:59:59Z", true), // Saturday morning: the night began on Friday
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T22:00:00Z", false), // Saturday night
            ("2026-11-23T05:00:00Z", false), // Monday morning: Sunday night is not quiet
            ("2026-11-23T21:00:00Z", true),
        ] {
            assert_eq!(quiet(&week_nights, at), is, "{at}");
        }
    }

    #[test]
    fn hours_are_by_the_wall_clock_on_both_sides_of_a_change_of_it() {
        let nights = hours(22, 7, EVERY_DAY);
        // Berlin goes back at 03:00 on 25 October 2026, and forward on 29 March 2026.
        assert!(quiet(&nights, "2026-10-25T05:59:59Z") && !quiet(&nights, "2026-10-25T06:00:00Z"));
        assert!(quiet(&nights, "2026-03-29T04:59:59Z") && !quiet(&nights, "2026-03-29T05:00:00Z"));
    }

    #[test]
    fn from_and_to_alike_are_whole_days() {
        let weekend = hours(0, 0, 0b110_0000);
        assert!(quiet(&weekend, "2026-11-21T12:00:00Z") && quiet(&weekend, "2026-11-22T22:59:00Z"));
        assert!(!quiet(&weekend, "2026-11-22T23:00:00Z") && !quiet(&weekend, "2026-11-20T22:59:00Z"));
    }
}
