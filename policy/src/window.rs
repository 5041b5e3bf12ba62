//! Windows of time, derived from an instant: no reset job, so nothing can be reset twice or never (F6).
//!
//! A calendar window is found by walking to its first local day and asking the time zone what instant
//! that is. Where a local midnight does not exist (clocks go forward over it) the window begins at the
//! first instant of that day; where it exists twice, at the earlier one; and a day that has begun goes on where
//! clocks go back over its midnight. So windows of one zone never overlap and leave no gap.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone,
    Timelike,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::rule::{CalendarUnit, WindowSpec};
use crate::time::{Span, Timestamp};

/// A stretch of time: from `start`, up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

impl Window {
    /// All of time.
    pub const ALWAYS: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// Whether the instant is in the window.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl WindowSpec {
    /// The window that the instant belongs to. A rolling window is the one that ends at the instant.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Window {
        match self {
            Self::Calendar { unit, timezone, fiscal_start } => calendar(*unit, *timezone, *fiscal_start, at),
            Self::Rolling(length) => Window {
                start: at.minus(*length).plus(Span::from_millis(1)),
                end: at.plus(Span::from_millis(1)),
            },
            Self::Lifetime => Window::ALWAYS,
        }
    }
}

fn calendar(unit: CalendarUnit, zone: Tz, fiscal_start: u8, at: Timestamp) -> Window {
    let Some(utc) = at.to_utc() else { return Window::ALWAYS };
    let local = utc.with_timezone(&zone);
    if unit == CalendarUnit::Hour {
        return hour(zone, at, &local);
    }
    let between = |(first, next)| Window { start: start_of(zone, first), end: start_of(zone, next) };
    let (first, next) = days(unit, fiscal_start, local.date_naive());
    let window = between((first, next));
    match at < window.end {
        true => window,
        false => between(days(unit, fiscal_start, next)), // clocks went back over the midnight that ended it
    }
}

/// An hour window lasts from one full local hour to the next, or to where the clocks change. It is found in
/// elapsed time, so the hour that clocks repeat in autumn is two windows of an hour each, not one of two; and
/// where they change by half an hour, the half that is repeated or left over is a window of its own.
fn hour(zone: Tz, at: Timestamp, local: &DateTime<Tz>) -> Window {
    let into = i64::from(local.minute()) * 60_000
        + i64::from(local.second()) * 1_000
        + at.millis().rem_euclid(1_000);
    let start = at.minus(Span::from_millis(into));
    let end = start.plus(Span::from_hours(1));
    let last = end.minus(Span::from_millis(1));
    Window { start: change(zone, start, at).unwrap_or(start), end: change(zone, at, last).unwrap_or(end) }
}

/// When the clocks of a zone change after `from`, up to `to`; the two are within an hour.
fn change(zone: Tz, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
    let ahead = |millis: i64| {
        let utc = Timestamp::from_millis(millis).to_utc()?.naive_utc();
        Some(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    };
    let (mut before, mut after) = (from.millis(), to.millis());
    let first = ahead(before)?;
    if ahead(after)? == first {
        return None;
    }
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if ahead(middle)? == first { before = middle } else { after = middle }
    }
    Some(Timestamp::from_millis(after))
}

/// First local day of the unit around `day`, and first day after it.
fn days(unit: CalendarUnit, fiscal_start: u8, day: NaiveDate) -> (NaiveDate, NaiveDate) {
    let month_start = day.with_day(1).unwrap_or(day);
    let months = |first: NaiveDate, count: u32| {
        (first, first.checked_add_months(Months::new(count)).unwrap_or(NaiveDate::MAX))
    };
    // Months since the fiscal year began, so that a year or quarter may begin in any month.
    let into_year = (day.month() + 12 - u32::from(fiscal_start.clamp(1, 12))) % 12;
    let back = |count: u32| month_start.checked_sub_months(Months::new(count)).unwrap_or(NaiveDate::MIN);
    match unit {
        CalendarUnit::Hour | CalendarUnit::Day => (day, day.succ_opt().unwrap_or(NaiveDate::MAX)),
        CalendarUnit::Week => {
            let since_monday = u64::from(day.weekday().num_days_from_monday());
            let first = day.checked_sub_days(Days::new(since_monday)).unwrap_or(NaiveDate::MIN);
            (first, first.checked_add_days(Days::new(7)).unwrap_or(NaiveDate::MAX))
        }
        CalendarUnit::Month => months(month_start, 1),
        CalendarUnit::Quarter => months(back(into_year % 3), 3),
        CalendarUnit::Year => months(back(into_year), 12),
    }
}

/// First instant of a local day.
fn start_of(zone: Tz, day: NaiveDate) -> Timestamp {
    let mut local = NaiveDateTime::new(day, NaiveTime::MIN);
    // Gaps are at most a day long (a zone that crossed the date line); they end on a quarter of an hour.
    for _ in 0..=96 {
        if let Some(at) = zone.from_local_datetime(&local).earliest() {
            return Timestamp::from_millis(at.timestamp_millis());
        }
        local += TimeDelta::minutes(15);
    }
    Timestamp::from_millis(NaiveDateTime::new(day, NaiveTime::MIN).and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unit: CalendarUnit, zone: &str, fiscal_start: u8, at: &str) -> (String, String) {
        let spec = WindowSpec::Calendar { unit, timezone: zone.parse().unwrap(), fiscal_start };
        let window = spec.at(Timestamp::parse_rfc3339(at).unwrap());
        (window.start.to_string(), window.end.to_string())
    }

    #[test]
    fn calendar_windows_begin_and_end_where_people_expect() {
        use CalendarUnit::{Day, Hour, Month, Quarter, Week, Year};
        let cases = [
            (Day, "UTC", 1, "2026-11-20T10:15:04Z", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
            (Hour, "UTC", 1, "2026-11-20T10:15:04.250Z", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"),
            (Hour, "Asia/Kolkata", 1, "2026-11-20T10:15:04Z", "2026-11-20T09:30:00Z", "2026-11-20T10:30:00Z"),
            // A Friday; its week began on Monday the 16th.
            (Week, "UTC", 1, "2026-11-20T10:15:04Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (
                Month,
                "Europe/Berlin",
                1,
                "2026-10-31T23:30:00Z",
                "2026-10-31T23:00:00Z",
                "2026-11-30T23:00:00Z",
            ),
            (Month, "UTC", 1, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Quarter, "UTC", 1, "2026-11-20T00:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Quarter, "UTC", 2, "2026-11-20T00:00:00Z", "2026-11-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            (Year, "UTC", 4, "2026-03-31T23:59:59Z", "2025-04-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            (Year, "UTC", 4, "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z", "2027-04-01T00:00:00Z"),
        ];
        for (unit, zone, fiscal, at, start, end) in cases {
            assert_eq!(window(unit, zone, fiscal, at), (start.into(), end.into()), "{unit:?} {zone} {at}");
        }
    }

    #[test]
    fn a_day_is_23_or_25_hours_long_when_clocks_change() {
        use CalendarUnit::Day;
        let cases = [
            ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            // Half an hour, in the southern hemisphere.
            ("Australia/Lord_Howe", "2026-10-03T20:00:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"),
            // Midnight itself does not exist on this day: the day begins at one.
            ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
        ];
        for (zone, at, start, end) in cases {
            assert_eq!(window(Day, zone, 1, at), (start.into(), end.into()), "{zone} {at}");
        }
    }

    #[test]
    fn windows_of_a_zone_leave_no_gap_and_never_overlap() {
        use CalendarUnit::{Day, Hour, Month, Quarter, Week, Year};
        for zone in ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"] {
            for unit in [Hour, Day, Week, Month, Quarter, Year] {
                let spec = WindowSpec::Calendar { unit, timezone: zone.parse().unwrap(), fiscal_start: 1 };
                let mut window = spec.at(Timestamp::parse_rfc3339("2011-12-20T00:00:00Z").unwrap());
                for _ in 0..400 {
                    let next = spec.at(window.end);
                    assert_eq!(next.start, window.end, "{zone} {unit:?} {}", window.end);
                    assert!(next.end > next.start);
                    assert_eq!(
                        spec.at(Timestamp::from_millis(next.end.millis() - 1)),
                        next,
                        "{zone} {unit:?}"
                    );
                    window = next;
                }
            }
        }
    }

    #[test]
    fn the_boundary_instant_belongs_to_the_window_it_opens() {
        let spec = WindowSpec::Calendar { unit: CalendarUnit::Day, timezone: Tz::UTC, fiscal_start: 1 };
        let midnight = Timestamp::parse_rfc3339("2026-11-21T00:00:00Z").unwrap();
        assert_eq!(spec.at(midnight).start, midnight);
        assert!(!spec.at(midnight.minus(Span::from_millis(1))).contains(midnight));
    }
}
