//! RFC 3339 to an instant, fast in the one form that logs write by the million.
//!
//! `2026-11-20T10:15:04Z` is taken apart by position; every other form goes to the general parser, which
//! also is the judge of what is no time.

use policy::time::{TimeError, Timestamp};

/// Reads RFC 3339.
///
/// # Errors
/// When the text is not RFC 3339.
pub(crate) fn parse(text: &str) -> Result<Timestamp, TimeError> {
    match of_seconds(text.as_bytes()) {
        Some(at) => Ok(at),
        None => Timestamp::parse_rfc3339(text),
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ` and nothing else.
fn of_seconds(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if separators.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to]
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(*byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1_000))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, the year counted from March so that the leap
/// day is its last (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_way_gives_what_the_general_one_gives() {
        // Every day of four centuries' worth of years around now, at changing times of day.
        for days in (-200_000_i64..200_000).step_by(37) {
            let millis = days * 86_400_000 + (days.rem_euclid(86_400)) * 1_000;
            let text = Timestamp::from_millis(millis).to_string();
            assert_eq!(of_seconds(text.as_bytes()), Timestamp::parse_rfc3339(&text).ok(), "{text}");
        }
    }

    #[test]
    fn other_forms_of_rfc_3339_are_read_too() {
        let at = |text: &str| parse(text).unwrap().millis();
        assert_eq!(at("2026-11-20T11:15:04+01:00"), at("2026-11-20T10:15:04Z"));
        assert_eq!(at("2026-11-20T10:15:04.120Z"), at("2026-11-20T10:15:04Z") + 120);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-20T24:00:00Z", "1763633704"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("2028-02-29T00:00:00Z").is_ok());
    }
}
