//! Freeze windows: times that rules name in which nothing new is stopped.
//!
//! A window is asked about an instant and keeps nothing, so it cannot be begun twice or never ended. Local
//! times follow their zone: a time that clocks skip is the first instant after the gap; of one that comes
//! twice, a freeze begins at the first and ends at the second. Where a zone leaves a doubt, it is frozen.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Guardrail, Place};
use crate::time::Timestamp;

/// Windows that a set has at most: each is looked at whenever one begins or ends.
pub(super) const MOST_WINDOWS: usize = 100;

/// What a freeze of the rules is told by, where a person's names the person.
pub const FROZEN_BY_RULES: &str = "frozen by the rules";

/// Spans that follow each other without a gap and are joined at most; beyond it there is no end.
const MOST_JOINED: usize = 800;

/// A time in which nothing new is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeWindow {
    /// When.
    pub when: FreezeWhen,
    /// For people.
    pub because: Option<Box<str>>,
    /// Where it was written.
    pub place: Place,
}

/// When a freeze window is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreezeWhen {
    /// Every week.
    Weekly {
        /// Local days on which it begins, 0 for Monday to 6 for Sunday, sorted.
        days: Vec<u8>,
        /// Minute of the local day at which it begins.
        from: u16,
        /// Minute at which it ends, up to 1440. One that is not after `from` is on the next day.
        until: u16,
        /// Zone of the days and times.
        timezone: Tz,
    },
    /// Once.
    Once {
        /// First instant.
        from: Timestamp,
        /// First instant after it.
        until: Timestamp,
    },
}

/// A freeze at an instant: in force, or the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen<'a> {
    /// The window; where several hold at once, the one that is written first.
    pub window: &'a FreezeWindow,
    /// Since, or from when.
    pub from: Timestamp,
    /// Until when nothing is stopped, windows that follow without a gap included; [`Timestamp::MAX`] where there
    /// is no end.
    pub until: Timestamp,
}

type Stretch = (Timestamp, Timestamp);

impl FreezeWhen {
    /// The stretch of it that the instant is in, the one that ends last.
    fn around(&self, at: Timestamp) -> Option<Stretch> {
        let holds = |(from, until): &Stretch| *from <= at && at < *until;
        self.stretches(at, -1, 1).into_iter().filter(holds).max_by_key(|(_, until)| *until)
    }

    /// The first stretch that begins after the instant.
    fn after(&self, at: Timestamp) -> Option<Stretch> {
        self.stretches(at, -1, 8).into_iter().filter(|(from, until)| *from > at && from < until).min()
    }

    /// Stretches that begin on local days around the instant.
    fn stretches(&self, at: Timestamp, first: i64, last: i64) -> Vec<Stretch> {
        match self {
            Self::Once { from, until } => vec![(*from, *until)],
            Self::Weekly { days, from, until, timezone } => {
                let Some(utc) = at.to_utc() else { return Vec::new() };
                let today = utc.with_timezone(timezone).date_naive();
                let day = |offset| today.checked_add_signed(TimeDelta::days(offset));
                let is_one = |day: &NaiveDate| {
                    u8::try_from(day.weekday().num_days_from_monday()).is_ok_and(|n| days.contains(&n))
                };
                (first..=last)
                    .filter_map(day)
                    .filter(is_one)
                    .filter_map(|day| stretch(day, *from, *until, *timezone))
                    .collect()
            }
        }
    }
}

fn stretch(day: NaiveDate, from: u16, until: u16, zone: Tz) -> Option<Stretch> {
    let last = if until > from { day } else { day.checked_add_days(Days::new(1))? };
    let start = instant(minute_of(day, from)?, zone, false)?;
    Some((start, instant(minute_of(last, until)?, zone, true)?))
}

fn minute_of(day: NaiveDate, minute: u16) -> Option<NaiveDateTime> {
    day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(i64::from(minute)))
}

/// The instant of a local time: of two the earlier, or the `later` one; the end of the gap where there is none.
pub(super) fn instant(local: NaiveDateTime, zone: Tz, later: bool) -> Option<Timestamp> {
    // No zone has ever skipped more than a day.
    (0..=1_500).find_map(|minutes| {
        let local = local.checked_add_signed(TimeDelta::minutes(minutes))?;
        let found = zone.from_local_datetime(&local);
        let at = if later { found.latest() } else { found.earliest() }?;
        Some(Timestamp::from_millis(at.timestamp_millis()))
    })
}

impl Guardrail {
    /// The freeze of the rules that is in force at an instant.
    #[must_use]
    pub fn frozen(&self, at: Timestamp) -> Option<Frozen<'_>> {
        let (window, from) =
            self.freeze.iter().find_map(|window| Some((window, window.when.around(at)?.0)))?;
        Some(Frozen { window, from, until: self.end(at) })
    }

    /// The next freeze of the rules that begins after an instant at which none is in force.
    #[must_use]
    pub fn next_freeze(&self, at: Timestamp) -> Option<Frozen<'_>> {
        let starts = self.freeze.iter().filter_map(|window| Some((window, window.when.after(at)?.0)));
        let (window, from) = starts.min_by_key(|(_, from)| *from)?;
        Some(Frozen { window, from, until: self.end(from) })
    }

    /// What the freezes of the rules come to as of an instant, in words: the one in force, and the next.
    #[must_use]
    pub fn freezes_in_words(&self, at: Timestamp) -> Vec<String> {
        let now = self.frozen(at);
        let next = self.next_freeze(now.map_or(at, |frozen| frozen.until));
        let now = now.map(|frozen| format!("frozen now {frozen}"));
        let next = next.map(|frozen| format!("freezes next from {} {frozen}", frozen.from));
        now.into_iter().chain(next).collect()
    }

    /// The first instant from `at` on that is in no window.
    fn end(&self, at: Timestamp) -> Timestamp {
        let mut end = at;
        for _ in 0..MOST_JOINED {
            let until = |window: &FreezeWindow| window.when.around(end).map(|(_, until)| until);
            match self.freeze.iter().filter_map(until).max() {
                Some(until) => end = until,
                None => return end,
            }
        }
        Timestamp::MAX
    }
}

impl std::fmt::Display for Frozen<'_> {
    /// `from X until Y: why (file:line)`, without the beginning.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "until {}", self.until)?;
        if let Some(because) = &self.window.because {
            write!(f, ": {because}")?;
        }
        write!(f, " ({})", self.window.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn weekly(days: &[u8], from: &str, until: &str, zone: &str) -> FreezeWindow {
        let minutes = |text: &str| {
            let (hour, minute) = text.split_once(':').unwrap();
            hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
        };
        let (from, until) = (minutes(from), minutes(until));
        let when = FreezeWhen::Weekly { days: days.to_vec(), from, until, timezone: zone.parse().unwrap() };
        FreezeWindow { when, because: None, place: Place::default() }
    }

    fn once(from: &str, until: &str) -> FreezeWindow {
        let when = FreezeWhen::Once { from: at(from), until: at(until) };
        FreezeWindow { when, because: None, place: Place::default() }
    }

    fn rail(freeze: Vec<FreezeWindow>) -> Guardrail {
        Guardrail { freeze, ..Guardrail::default() }
    }

    /// Beginning and end of the freeze that an instant is in.
    fn held(rail: &Guardrail, text: &str) -> Option<(String, String)> {
        rail.frozen(at(text)).map(|f| (f.from.to_string(), f.until.to_string()))
    }

    fn pair(from: &str, until: &str) -> Option<(String, String)> {
        Some((from.to_owned(), until.to_owned()))
    }

    const WEEKDAYS: [u8; 5] = [0, 1, 2, 3, 4];

    #[test]
    fn a_weekly_window_holds_on_its_days_and_hours_of_its_own_zone() {
        let rail = rail(vec![weekly(&WEEKDAYS, "09:00", "17:00", "Europe/Berlin")]);
        // 20 November 2026 is a Friday; Berlin is an hour ahead.
        let friday = pair("2026-11-20T08:00:00Z", "2026-11-20T16:00:00Z");
        assert_eq!(held(&rail, "2026-11-20T07:59:59Z"), None);
        assert_eq!(held(&rail, "2026-11-20T08:00:00Z"), friday);
        assert_eq!(held(&rail, "2026-11-20T15:59:59.999Z"), friday);
        assert_eq!(held(&rail, "2026-11-20T16:00:00Z"), None);
        assert_eq!(held(&rail, "2026-11-21T10:00:00Z"), None, "a Saturday");
        let next = rail.next_freeze(at("2026-11-20T16:00:00Z")).unwrap();
        assert_eq!(next.from, at("2026-11-23T08:00:00Z"), "Monday");
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let rail = rail(vec![weekly(&[4], "22:00", "06:00", "America/New_York")]);
        // Friday 22:00 in New York is Saturday 03:00 UTC in winter.
        let night = pair("2026-11-21T03:00:00Z", "2026-11-21T11:00:00Z");
        assert_eq!(held(&rail, "2026-11-21T10:59:00Z"), night);
        assert_eq!(held(&rail, "2026-11-21T11:00:00Z"), None);
        assert_eq!(held(&rail, "2026-11-20T05:00:00Z"), None, "the night before is no Friday's");
    }

    #[test]
    fn where_clocks_go_forward_and_back_it_is_frozen_by_the_clock_on_the_wall() {
        // Berlin skips 02:00 to 03:00 on 29 March 2026 and has it twice on 25 October; both are Sundays.
        let night = rail(vec![weekly(&[6], "01:00", "04:00", "Europe/Berlin")]);
        assert_eq!(
            held(&night, "2026-03-29T01:30:00Z"),
            pair("2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z")
        );
        assert_eq!(
            held(&night, "2026-10-25T01:30:00Z"),
            pair("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z")
        );
        // A beginning in the gap is its end; of a time that comes twice, the longer freeze.
        let from = rail(vec![weekly(&[6], "02:20", "02:40", "Europe/Berlin")]);
        assert_eq!(held(&from, "2026-03-29T01:00:00Z"), None, "nothing lies between two times in the gap");
        assert_eq!(held(&from, "2026-10-25T00:30:00Z"), pair("2026-10-25T00:20:00Z", "2026-10-25T01:40:00Z"));
        let into = rail(vec![weekly(&[6], "02:20", "05:00", "Europe/Berlin")]);
        assert_eq!(held(&into, "2026-03-29T01:00:00Z"), pair("2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"));
        // Lord Howe moves by half an hour, and midnight does not exist in Beirut on 29 March 2026.
        let howe = rail(vec![weekly(&[6], "01:45", "03:00", "Australia/Lord_Howe")]);
        assert_eq!(held(&howe, "2026-04-04T15:30:00Z"), pair("2026-04-04T14:45:00Z", "2026-04-04T16:30:00Z"));
        let beirut = rail(vec![weekly(&[6], "00:00", "24:00", "Asia/Beirut")]);
        assert_eq!(
            held(&beirut, "2026-03-29T10:00:00Z"),
            pair("2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z")
        );
    }

    #[test]
    fn windows_that_overlap_or_follow_each_other_end_together() {
        let rail = rail(vec![
            weekly(&[5, 6], "00:00", "24:00", "UTC"),
            once("2026-11-22T12:00:00Z", "2026-11-23T06:00:00Z"),
            weekly(&[0], "05:00", "07:00", "UTC"),
        ]);
        assert_eq!(held(&rail, "2026-11-21T01:00:00Z"), pair("2026-11-21T00:00:00Z", "2026-11-23T07:00:00Z"));
        assert_eq!(held(&rail, "2026-11-23T06:30:00Z"), pair("2026-11-23T05:00:00Z", "2026-11-23T07:00:00Z"));
        assert_eq!(held(&rail, "2026-11-23T07:00:00Z"), None);
        let next = rail.next_freeze(at("2026-11-20T12:00:00Z")).unwrap();
        assert_eq!((next.from, next.until), (at("2026-11-21T00:00:00Z"), at("2026-11-23T07:00:00Z")));
    }

    #[test]
    fn a_freeze_that_is_over_does_not_come_again_and_one_without_an_end_says_so() {
        let once = rail(vec![once("2026-12-24T00:00:00Z", "2026-12-27T00:00:00Z")]);
        assert_eq!(once.next_freeze(at("2026-11-20T12:00:00Z")).unwrap().from, at("2026-12-24T00:00:00Z"));
        assert_eq!(once.next_freeze(at("2026-12-24T00:00:00Z")), None);
        let all: Vec<u8> = (0..7).collect();
        let always = rail(vec![weekly(&all, "00:00", "24:00", "Europe/Berlin")]);
        assert_eq!(always.frozen(at("2026-11-20T12:00:00Z")).unwrap().until, Timestamp::MAX);
        let none = rail(Vec::new());
        assert_eq!((none.frozen(at("2026-11-20T12:00:00Z")), none.next_freeze(Timestamp::MIN)), (None, None));
    }

    #[test]
    fn an_answer_holds_until_the_end_that_it_names() {
        let rail = rail(vec![
            weekly(&WEEKDAYS, "09:00", "17:00", "Europe/Berlin"),
            weekly(&[6], "01:30", "02:30", "America/New_York"),
        ]);
        // Two years in steps of 7 minutes: what is said of the next change is what comes.
        let (mut now, end) = (at("2026-01-01T00:00:00Z"), at("2027-12-31T00:00:00Z"));
        let mut said: Option<(Timestamp, bool)> = None;
        while now < end {
            let frozen = rail.frozen(now);
            if let Some((until, was)) = said.filter(|(until, _)| now < *until) {
                assert_eq!(frozen.is_some(), was, "{now}, said until {until}");
            } else {
                let until = match frozen {
                    Some(frozen) => frozen.until,
                    None => rail.next_freeze(now).unwrap().from,
                };
                assert!(until > now, "{now}");
                said = Some((until, frozen.is_some()));
            }
            now = now.plus(Span::from_mins(7));
        }
    }
}
