//! Calendar windows found another way than the engine does: time is walked in steps of a quarter of an hour,
//! and a window begins wherever the local date is of another day, week, month, quarter or year than before.
//!
//! It asks a time zone only what its clocks show at an instant, never which instant a local time is, and knows
//! nothing of gaps and overlaps. Zones change their clocks at quarters of an hour in all years that it is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

pub const QUARTER_HOUR: i64 = 15 * 60_000;

/// A unit by the word that rules have for it, and the month in which its year begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    pub word: &'static str,
    pub fiscal: u8,
}

/// What the clocks of a zone show at an instant, and how far they are ahead of UTC.
fn shown(zone: Tz, at: i64) -> (NaiveDateTime, i32) {
    let utc = DateTime::from_timestamp_millis(at).unwrap().naive_utc();
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    (utc + offset, offset.local_minus_utc())
}

/// Which unit a local day belongs to, as a number that grows from one to the next.
fn number(unit: Unit, day: NaiveDate) -> i64 {
    let months = i64::from(day.year()) * 12 + i64::from(day.month0()) - i64::from(unit.fiscal - 1);
    match unit.word {
        "day" => i64::from(day.num_days_from_ce()),
        // Day 1 of the common era was a Monday.
        "week" => i64::from(day.num_days_from_ce() - 1).div_euclid(7),
        "month" => months,
        "quarter" => months.div_euclid(3),
        "year" => months.div_euclid(12),
        other => panic!("no unit {other}"),
    }
}

/// First instants of all windows from `from` to `to`, both at a full hour of UTC; the first one had begun before.
pub fn boundaries(zone: Tz, unit: Unit, from: i64, to: i64) -> Vec<i64> {
    let mut starts = Vec::new();
    let mut before = None;
    for at in (from..to).step_by(usize::try_from(QUARTER_HOUR).unwrap()) {
        let (local, offset) = shown(zone, at);
        let now = match unit.word {
            // An hour that clocks repeat is another one: what tells them apart is how far ahead they are.
            "hour" => (i64::from(local.num_days_from_ce()) * 24 + i64::from(local.hour()), offset),
            _ => (number(unit, local.date()), 0),
        };
        // A day that has begun has begun: clocks that go back over midnight do not bring yesterday back.
        let next = match (unit.word, before) {
            (_, None) => true,
            ("hour", Some(old)) => now != old,
            (_, Some(old)) => now > old,
        };
        if next {
            starts.push(at);
            before = Some(now);
        }
    }
    starts
}

type Known = BTreeMap<(&'static str, Unit, i64, i64), Arc<Vec<i64>>>;

/// The same, found once.
pub fn known(zone: Tz, unit: Unit, from: i64, to: i64) -> Arc<Vec<i64>> {
    static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let found = known.entry((zone.name(), unit, from, to));
    Arc::clone(found.or_insert_with(|| Arc::new(boundaries(zone, unit, from, to))))
}

/// Start and end of the window that an instant is in; `None` too near to the ends of what was walked.
pub fn window_of(starts: &[i64], at: i64) -> Option<(i64, i64)> {
    let after = starts.partition_point(|start| *start <= at);
    (after > 1).then(|| Some((starts[after - 1], *starts.get(after)?)))?
}
