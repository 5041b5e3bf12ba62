//! Windows that people can check with a calendar in the hand.

use policy::rule::{CalendarUnit, WindowSpec};

use crate::common::at;
use crate::common::calendar::{Unit, known, window_of};

/// A rule's window.
pub fn spec(zone: &str, unit: Unit) -> WindowSpec {
    let calendar = match unit.word {
        "hour" => CalendarUnit::Hour,
        "day" => CalendarUnit::Day,
        "week" => CalendarUnit::Week,
        "month" => CalendarUnit::Month,
        "quarter" => CalendarUnit::Quarter,
        "year" => CalendarUnit::Year,
        other => panic!("no unit {other}"),
    };
    WindowSpec::Calendar { unit: calendar, timezone: zone.parse().unwrap(), fiscal_start: unit.fiscal }
}

/// Zone, unit, first month of the year, an instant, and the window that it is in.
type Case = (&'static str, &'static str, u8, &'static str, &'static str, &'static str);

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const CASABLANCA: &str = "Africa/Casablanca";

const MONTHS: [Case; 9] = [
    (BERLIN, "month", 1, "2028-01-31T22:59:59Z", "2027-12-31T23:00:00Z", "2028-01-31T23:00:00Z"),
    // February of a leap year, seen from its 29th.
    (BERLIN, "month", 1, "2028-02-29T11:00:00Z", "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z"),
    (NEW_YORK, "month", 1, "2027-02-28T23:00:00Z", "2027-02-01T05:00:00Z", "2027-03-01T05:00:00Z"),
    // Not a leap year: 2100 is divided by 100 and not by 400.
    (NEW_YORK, "month", 1, "2100-02-28T23:00:00Z", "2100-02-01T05:00:00Z", "2100-03-01T05:00:00Z"),
    // Clocks change within the month.
    (BERLIN, "month", 1, "2027-03-31T21:59:59Z", "2027-02-28T23:00:00Z", "2027-03-31T22:00:00Z"),
    (NEW_YORK, "month", 1, "2027-11-30T12:00:00Z", "2027-11-01T04:00:00Z", "2027-12-01T05:00:00Z"),
    (LORD_HOWE, "month", 1, "2027-04-30T12:00:00Z", "2027-03-31T13:00:00Z", "2027-04-30T13:30:00Z"),
    (CASABLANCA, "month", 1, "2027-02-10T12:00:00Z", "2027-01-31T23:00:00Z", "2027-03-01T00:00:00Z"),
    (CASABLANCA, "month", 1, "2027-03-01T00:00:00Z", "2027-03-01T00:00:00Z", "2027-03-31T23:00:00Z"),
];

const DAYS: [Case; 12] = [
    (BERLIN, "day", 1, "2028-02-29T12:00:00Z", "2028-02-28T23:00:00Z", "2028-02-29T23:00:00Z"),
    // 23 hours, then 25; half an hour in Lord Howe, where spring is in October; in Morocco Ramadan decides.
    (BERLIN, "day", 1, "2027-03-28T12:00:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
    (BERLIN, "day", 1, "2027-10-31T12:00:00Z", "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z"),
    (NEW_YORK, "day", 1, "2027-03-14T12:00:00Z", "2027-03-14T05:00:00Z", "2027-03-15T04:00:00Z"),
    (NEW_YORK, "day", 1, "2027-11-07T12:00:00Z", "2027-11-07T04:00:00Z", "2027-11-08T05:00:00Z"),
    (LORD_HOWE, "day", 1, "2027-04-04T12:00:00Z", "2027-04-03T13:00:00Z", "2027-04-04T13:30:00Z"),
    (LORD_HOWE, "day", 1, "2027-10-03T12:00:00Z", "2027-10-02T13:30:00Z", "2027-10-03T13:00:00Z"),
    (CASABLANCA, "day", 1, "2027-02-07T12:00:00Z", "2027-02-06T23:00:00Z", "2027-02-08T00:00:00Z"),
    (CASABLANCA, "day", 1, "2027-03-14T12:00:00Z", "2027-03-14T00:00:00Z", "2027-03-14T23:00:00Z"),
    // Midnight does not exist, or exists twice, or the day before comes back for an hour.
    ("Africa/Cairo", "day", 1, "2027-04-30T12:00:00Z", "2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z"),
    ("America/Havana", "day", 1, "2027-11-07T12:00:00Z", "2027-11-07T04:00:00Z", "2027-11-08T05:00:00Z"),
    ("America/Sao_Paulo", "day", 1, "2019-02-17T02:30:00Z", "2019-02-16T02:00:00Z", "2019-02-17T03:00:00Z"),
];

const HOURS: [Case; 8] = [
    ("Asia/Kolkata", "hour", 1, "2027-06-01T09:45:00Z", "2027-06-01T09:30:00Z", "2027-06-01T10:30:00Z"),
    // The hour that clocks repeat is two hours.
    (BERLIN, "hour", 1, "2027-10-31T00:30:00Z", "2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z"),
    (BERLIN, "hour", 1, "2027-10-31T01:30:00Z", "2027-10-31T01:00:00Z", "2027-10-31T02:00:00Z"),
    // From two o'clock straight to three.
    (BERLIN, "hour", 1, "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"),
    // From two o'clock back to half past one: the half hour that comes again is a window of its own.
    (LORD_HOWE, "hour", 1, "2027-04-03T14:59:59Z", "2027-04-03T14:00:00Z", "2027-04-03T15:00:00Z"),
    (LORD_HOWE, "hour", 1, "2027-04-03T15:00:00Z", "2027-04-03T15:00:00Z", "2027-04-03T15:30:00Z"),
    // From two o'clock to half past two.
    (LORD_HOWE, "hour", 1, "2027-10-02T15:29:59Z", "2027-10-02T14:30:00Z", "2027-10-02T15:30:00Z"),
    (LORD_HOWE, "hour", 1, "2027-10-02T15:30:00Z", "2027-10-02T15:30:00Z", "2027-10-02T16:00:00Z"),
];

const WEEKS: [Case; 6] = [
    // The week of a new year: Monday 27 December to Sunday 2 January.
    (BERLIN, "week", 1, "2027-12-31T23:00:00Z", "2027-12-26T23:00:00Z", "2028-01-02T23:00:00Z"),
    // Sunday's last instant in New York is Monday in UTC.
    (NEW_YORK, "week", 1, "2027-12-06T04:59:59.999Z", "2027-11-29T05:00:00Z", "2027-12-06T05:00:00Z"),
    (NEW_YORK, "week", 1, "2027-12-06T05:00:00Z", "2027-12-06T05:00:00Z", "2027-12-13T05:00:00Z"),
    // An hour shorter, half an hour longer, and with a leap day in it.
    (BERLIN, "week", 1, "2027-03-28T12:00:00Z", "2027-03-21T23:00:00Z", "2027-03-28T22:00:00Z"),
    (LORD_HOWE, "week", 1, "2027-04-04T12:00:00Z", "2027-03-28T13:00:00Z", "2027-04-04T13:30:00Z"),
    (CASABLANCA, "week", 1, "2028-02-29T12:00:00Z", "2028-02-28T00:00:00Z", "2028-03-05T23:00:00Z"),
];

const QUARTERS: [Case; 12] = [
    (BERLIN, "quarter", 1, "2028-03-31T21:59:59Z", "2027-12-31T23:00:00Z", "2028-03-31T22:00:00Z"),
    (NEW_YORK, "quarter", 2, "2028-01-31T12:00:00Z", "2027-11-01T04:00:00Z", "2028-02-01T05:00:00Z"),
    (NEW_YORK, "quarter", 2, "2028-02-01T05:00:00Z", "2028-02-01T05:00:00Z", "2028-05-01T04:00:00Z"),
    (LORD_HOWE, "quarter", 7, "2027-07-01T00:00:00Z", "2027-06-30T13:30:00Z", "2027-09-30T13:30:00Z"),
    (LORD_HOWE, "quarter", 4, "2027-12-31T12:59:59Z", "2027-09-30T13:30:00Z", "2027-12-31T13:00:00Z"),
    (CASABLANCA, "quarter", 3, "2027-03-01T00:00:00Z", "2027-03-01T00:00:00Z", "2027-05-31T23:00:00Z"),
    (CASABLANCA, "quarter", 12, "2027-02-28T23:59:59Z", "2026-11-30T23:00:00Z", "2027-03-01T00:00:00Z"),
    (BERLIN, "quarter", 11, "2028-01-31T12:00:00Z", "2027-10-31T23:00:00Z", "2028-01-31T23:00:00Z"),
    (BERLIN, "year", 1, "2027-12-31T22:59:59.999Z", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"),
    (BERLIN, "year", 10, "2028-02-29T12:00:00Z", "2027-09-30T22:00:00Z", "2028-09-30T22:00:00Z"),
    (LORD_HOWE, "year", 7, "2028-06-30T13:29:59Z", "2027-06-30T13:30:00Z", "2028-06-30T13:30:00Z"),
    (NEW_YORK, "year", 3, "2028-02-29T12:00:00Z", "2027-03-01T05:00:00Z", "2028-03-01T05:00:00Z"),
];

fn check(cases: &[Case]) {
    for (zone, word, fiscal, instant, start, end) in cases {
        let unit = Unit { word, fiscal: *fiscal };
        let window = spec(zone, unit).at(at(instant));
        let found = (window.start.to_string(), window.end.to_string());
        assert_eq!(found, ((*start).into(), (*end).into()), "{word} of {zone} at {instant}");
        // The other calculation knows it too, so that both cannot be wrong in the same way.
        let millis = at(instant).millis();
        let year = 366 * 24 * 3_600_000;
        let hour = millis - millis.rem_euclid(3_600_000);
        let walked = known(zone.parse().unwrap(), unit, hour - 2 * year, hour + 2 * year);
        assert_eq!(
            window_of(&walked, millis),
            Some((window.start.millis(), window.end.millis())),
            "{word} of {zone}, walked"
        );
    }
}

#[test]
fn a_month_ends_with_its_last_local_day_also_in_a_leap_year() {
    check(&MONTHS);
}

#[test]
fn a_day_lasts_from_one_local_midnight_to_the_next_however_long_that_is() {
    check(&DAYS);
}

#[test]
fn an_hour_ends_where_the_next_begins_also_when_clocks_change_by_half_of_one() {
    check(&HOURS);
}

#[test]
fn a_week_begins_on_the_local_monday_also_over_a_new_year() {
    check(&WEEKS);
}

#[test]
fn a_fiscal_quarter_or_year_begins_in_the_month_that_the_rule_names() {
    check(&QUARTERS);
}
