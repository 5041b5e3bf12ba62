//! What must hold in every time zone there is: no instant without its window, and none with two.

use chrono_tz::TZ_VARIANTS;
use policy::time::{Span, Timestamp};
use proptest::prelude::*;

use crate::common::calendar::Unit;
use crate::common::ms;
use crate::table::spec;

const UNITS: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];
/// 1970 to 2037; before that some zones were ahead of UTC by seconds.
const INSTANTS: std::ops::Range<i64> = 0..2_145_916_800_000;

/// The same window from any instant in it, next to another one without a gap.
fn agrees(zone: &str, unit: Unit, at: Timestamp) -> Result<(), TestCaseError> {
    let spec = spec(zone, unit);
    let window = spec.at(at);
    let just_before = |at: Timestamp| at.minus(Span::from_millis(1));
    let what = format!("{} of {zone} at {at}: {} to {}", unit.word, window.start, window.end);
    prop_assert!(window.contains(at), "{}", what);
    prop_assert_eq!(spec.at(window.start), window, "its first instant: {}", &what);
    prop_assert_eq!(spec.at(just_before(window.end)), window, "its last instant: {}", &what);
    prop_assert_eq!(spec.at(window.end).start, window.end, "the next one: {}", &what);
    prop_assert_eq!(spec.at(just_before(window.start)).end, window.start, "the one before: {}", &what);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_instant_is_in_one_window_in_every_zone(
        zone in 0..TZ_VARIANTS.len(),
        unit in 0..UNITS.len(),
        fiscal in 1_u8..=12,
        at in INSTANTS,
    ) {
        agrees(TZ_VARIANTS[zone].name(), Unit { word: UNITS[unit], fiscal }, ms(at))?;
    }
}

/// The instants that matter are few, and chance rarely meets them: around each change of clocks.
#[test]
fn windows_meet_without_a_gap_around_every_change_of_clocks() {
    let hour = 3_600_000;
    let mut changes = 0;
    for zone in TZ_VARIANTS {
        for change in changes_of(zone) {
            changes += 1;
            for word in ["hour", "day", "week"] {
                for away in [-hour, -hour / 4, -1, 0, 1, hour / 4, hour / 2, hour] {
                    agrees(zone.name(), Unit { word, fiscal: 1 }, ms(change + away)).unwrap();
                }
            }
        }
    }
    assert!(changes > 5_000, "{changes} changes of clocks");
}

/// When the clocks of a zone change between 2005 and 2037.
fn changes_of(zone: chrono_tz::Tz) -> Vec<i64> {
    use chrono::{DateTime, Offset, TimeZone};
    let ahead = |at: i64| {
        let utc = DateTime::from_timestamp_millis(at).unwrap().naive_utc();
        zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
    };
    let (mut at, mut changes) = (1_104_537_600_000, Vec::new());
    while at < INSTANTS.end {
        let next = at + 7 * 24 * 3_600_000;
        if ahead(at) != ahead(next) {
            let (mut before, mut after) = (at, next);
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if ahead(middle) == ahead(at) { before = middle } else { after = middle }
            }
            changes.push(after);
        }
        at = next;
    }
    changes
}
