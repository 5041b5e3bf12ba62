//! `freeze` of a Guardrail: windows that come every week, and dated ones.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::freeze::{MOST_WINDOWS, instant};
use super::super::node::{Node, Spot};
use super::super::read::{Fields, Keys, Sink, all_of, shortened};
use super::super::{FreezeWhen, FreezeWindow, Guardrail, Place};
use super::window::timezone;
use crate::time::Timestamp;

pub(super) const FREEZE: Keys = Keys::of(&["days", "from", "until", "timezone", "because"]);
const EXAMPLE: &str = "{days: [Fri], from: \"16:00\", until: \"24:00\", timezone: Europe/Berlin}";
const DATED: &str = "write `2026-12-20` (with a `timezone`) or `2026-12-20T18:00:00Z`";
const CLOCK: &str = "write a time of day such as `\"09:00\"`; `\"24:00\"` is the end of the day";

/// Days by word; Monday is 0.
const DAYS: [(&str, u8); 7] =
    [("Mon", 0), ("Tue", 1), ("Wed", 2), ("Thu", 3), ("Fri", 4), ("Sat", 5), ("Sun", 6)];

/// Minutes of a day.
const DAY: u16 = 1_440;

/// The windows, each with where it stands.
pub(super) fn read(node: &Node, sink: &mut Sink<'_>) -> Vec<(FreezeWindow, Spot)> {
    let Some(items) = sink.list(node, "`freeze`", &format!("[{EXAMPLE}]")) else { return Vec::new() };
    if items.is_empty() {
        sink.error(Kind::EmptyValue, node.spot, "`freeze` has no window", "write one, or leave the key out");
    }
    items.iter().filter_map(|item| Some((window(item, sink)?, item.spot))).collect()
}

fn window(node: &Node, sink: &mut Sink<'_>) -> Option<FreezeWindow> {
    let fields = sink.object(node, "a freeze window", EXAMPLE, &FREEZE)?;
    let because = fields.get("because").and_then(|n| sink.text(n, "`because`")).map(Into::into);
    let zone = match fields.get("timezone") {
        Some(node) => Some(timezone(node, sink)?),
        None => None,
    };
    let when = if fields.get("days").is_some() {
        weekly(&fields, zone, sink)
    } else if fields.get("from").is_some_and(is_clock) {
        let help = "write `days: [Mon, Tue, Wed, Thu, Fri]` beside it, or a date in `from`";
        sink.error(Kind::MissingKey, fields.spot, "a window of times of day has no `days`", help);
        None
    } else {
        once(&fields, zone, sink)
    }?;
    Some(FreezeWindow { when, because, place: sink.place(node.spot) })
}

/// A window that comes every week. Its zone must be said: nobody means UTC's working day by accident.
fn weekly(fields: &Fields<'_>, zone: Option<Tz>, sink: &mut Sink<'_>) -> Option<FreezeWhen> {
    let days = days(fields.get("days")?, sink);
    if zone.is_none() {
        let help = "write `timezone: Europe/Berlin`, or `timezone: UTC` on purpose";
        sink.error(Kind::MissingKey, fields.spot, "a window of every week has no `timezone`", help);
    }
    let mut minute = |key: &str, otherwise: u16| match fields.get(key) {
        Some(node) => clock(node, key, sink),
        None => Some(otherwise),
    };
    let (from, until) = (minute("from", 0), minute("until", DAY));
    if from == Some(DAY) {
        let spot = fields.get("from").map_or(fields.spot, |n| n.spot);
        let help = "write `\"00:00\"`, and the day on which it begins in `days`";
        sink.error(Kind::BadTime, spot, "a window cannot begin at `24:00`", help);
        return None;
    }
    if until == Some(0) {
        let spot = fields.get("until").map_or(fields.spot, |n| n.spot);
        let help = "write `\"24:00\"` for the end of the day";
        sink.error(Kind::BadTime, spot, "a window that ends at `00:00` could end on either day", help);
        return None;
    }
    Some(FreezeWhen::Weekly { days: days?, from: from?, until: until?, timezone: zone? })
}

fn days(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<u8>> {
    let items = sink.list(node, "`days`", "days: [Mon, Tue, Wed, Thu, Fri]")?;
    if items.is_empty() {
        let help = "write `days: [Mon, Tue, Wed, Thu, Fri]`";
        sink.error(Kind::EmptyValue, node.spot, "`days` has no day", help);
        return None;
    }
    let mut days = all_of(items.iter().map(|item| sink.word(item, "a day", Kind::UnknownWord, &DAYS)))?;
    days.sort_unstable();
    days.dedup();
    Some(days)
}

/// A dated window. A bare day is the whole of it, at both ends.
fn once(fields: &Fields<'_>, zone: Option<Tz>, sink: &mut Sink<'_>) -> Option<FreezeWhen> {
    let from = fields.required("from", "write `from: 2026-12-20`, or `days: [Sat, Sun]`", sink);
    let until = fields.required("until", "write `until: 2027-01-04`", sink);
    let (from, until) = (from?, until?);
    let (start, end) = (moment(from, zone, false, sink), moment(until, zone, true, sink));
    let (start, end) = (start?, end?);
    if end <= start {
        let message = format!("the window ends at {end}, and begins only at {start}");
        sink.error(Kind::BadTime, until.spot, message, "write a time after `from`");
        return None;
    }
    Some(FreezeWhen::Once { from: start, until: end })
}

fn moment(node: &Node, zone: Option<Tz>, last: bool, sink: &mut Sink<'_>) -> Option<Timestamp> {
    let text = sink.text(node, if last { "`until`" } else { "`from`" })?;
    if let Ok(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") else {
        let message = format!("`{}` is not a date or time", shortened(text));
        sink.error(Kind::BadTime, node.spot, message, DATED);
        return None;
    };
    let Some(zone) = zone else {
        let help = format!("write `timezone: Europe/Berlin` beside it, or an instant, `{text}T00:00:00Z`");
        sink.error(Kind::MissingKey, node.spot, format!("`{text}` is a day of no `timezone`"), help);
        return None;
    };
    let day = if last { day.succ_opt()? } else { day };
    instant(day.and_time(NaiveTime::MIN), zone, last)
}

/// Whether somebody wrote a time of day.
fn is_clock(node: &Node) -> bool {
    use super::super::node::Shape;
    matches!(&node.shape, Shape::Text(text) | Shape::Number(text) if minutes(text).is_some())
}

fn clock(node: &Node, key: &str, sink: &mut Sink<'_>) -> Option<u16> {
    let text = sink.text(node, &format!("`{key}`"))?;
    let found = minutes(text);
    if found.is_none() {
        let message = format!("`{}` is not a time of day", shortened(text));
        sink.error(Kind::BadTime, node.spot, message, CLOCK);
    }
    found
}

/// Minutes since midnight of `HH:MM`, `24:00` included.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

/// What can be said of all windows of a set together: there are not too many, and some time is left to stop in.
pub(super) fn check(windows: &[(FreezeWindow, Spot)], rail: &Guardrail, sink: &mut Sink<'_>) {
    let Some((first, spot)) = windows.first() else { return };
    if rail.freeze.len() > MOST_WINDOWS {
        let message = format!("the set has {} freeze windows", rail.freeze.len());
        let help = format!("write at most {MOST_WINDOWS}; one window may name several days");
        return sink.error(Kind::OutOfRange, *spot, message, help);
    }
    // Any instant will do: what comes every week and leaves no gap has none anywhere.
    let weekly: Vec<FreezeWindow> = rail
        .freeze
        .iter()
        .filter(|window| matches!(window.when, FreezeWhen::Weekly { .. }))
        .cloned()
        .collect();
    let weekly = Guardrail { freeze: weekly, ..Guardrail::default() };
    let is_first = rail.freeze.iter().map(|w| &w.place).min() == Some(&first.place);
    if is_first && weekly.frozen(Timestamp::default()).is_some_and(|f| f.until == Timestamp::MAX) {
        let message = "the freeze windows leave no time in which anything may be stopped";
        let help = "leave a gap between them; to stop nothing, write `mode: alert` in the budgets";
        sink.warn(Kind::AlwaysFrozen, *spot, message, help);
    }
}

/// Where windows of several documents hold at once, messages name the one that is written first.
pub(super) fn in_order(mut windows: Vec<FreezeWindow>) -> Vec<FreezeWindow> {
    let place = |window: &FreezeWindow| -> Place { window.place.clone() };
    windows.sort_by_key(place);
    windows
}
