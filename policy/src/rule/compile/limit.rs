//! `limit`: an amount of money and its exceptions.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Node, Shape};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::super::{Limit, LimitOverride, WindowSpec};
use crate::money::Money;
use crate::subject::FieldName;
use crate::time::Timestamp;

pub(super) const LIMIT: Keys = Keys {
    known: &["amount", "overrides"],
    later: &[
        ("tokens", "write `amount`, in USD; tokens are priced"),
        ("gpuHours", "write `amount`, in USD; GPU hours are priced"),
        ("fromLabel", "take it out, and write `overrides`"),
        ("rollover", "take it out; an unused rest does not move to the next window"),
    ],
};
pub(super) const OVERRIDE: Keys = Keys::of(&["match", "amount", "until"]);
const EXAMPLE: &str = "limit: {amount: 50 USD}";

pub(super) fn read(
    budget: &Fields<'_>,
    per_each: &[FieldName],
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<Limit> {
    let Some(node) = budget.get("limit") else {
        let help = format!("write `{EXAMPLE}`");
        sink.error(Kind::MissingLimit, budget.spot, "the budget has no `limit`", help);
        return None;
    };
    if let Shape::Text(text) | Shape::Number(text) = &node.shape {
        let help = format!("write `limit: {{amount: {text}}}`");
        sink.error(Kind::WrongType, node.spot, "`limit` must be a map, not one value", help);
        return None;
    }
    let fields = sink.object(node, "`limit`", EXAMPLE, &LIMIT)?;
    let amount = match fields.get("amount") {
        Some(node) => amount(node, sink),
        None => {
            let help = format!("write `{EXAMPLE}`");
            sink.error(Kind::MissingLimit, fields.spot, "`limit` has no `amount`", help);
            None
        }
    };
    let overrides = match fields.get("overrides") {
        None => Some(Vec::new()),
        Some(node) => sink
            .list(node, "`overrides`", OVERRIDE_EXAMPLE)
            .and_then(|items| all_of(items.iter().map(|item| exception(item, per_each, window, sink)))),
    };
    Some(Limit { amount: amount?, overrides: overrides? })
}

pub(super) fn amount(node: &Node, sink: &mut Sink<'_>) -> Option<Money> {
    let amount = sink.money(node, "`amount`")?;
    if amount.is_zero() {
        let message = "a limit of 0 USD trips before anything is spent";
        sink.error(Kind::ZeroLimit, node.spot, message, "write an amount above 0, such as `0.01 USD`");
        return None;
    }
    Some(amount)
}

const OVERRIDE_EXAMPLE: &str = "overrides: [{match: {tenant: search}, amount: 200 USD}]";

fn exception(
    node: &Node,
    per_each: &[FieldName],
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<LimitOverride> {
    let fields = sink.object(node, "an override", "{match: {tenant: search}, amount: 200 USD}", &OVERRIDE)?;
    let matches = fields.required("match", "write `match: {tenant: search}`", sink);
    let matches = matches.and_then(|node| matched(node, per_each, sink));
    let amount = fields.required("amount", "write `amount: 200 USD`", sink).and_then(|n| amount(n, sink));
    let until = match fields.get("until") {
        None => Some(None),
        Some(node) => until(node, window, sink).map(Some),
    };
    Some(LimitOverride { matches: matches?, amount: amount?, until: until? })
}

fn matched(node: &Node, per_each: &[FieldName], sink: &mut Sink<'_>) -> Option<Vec<(FieldName, Box<str>)>> {
    let pairs = sink.pairs(node, "`match`", "{tenant: search}")?;
    if matches!(&node.shape, Shape::Map(entries) if entries.is_empty()) {
        let help = "write `match: {tenant: search}`, or change `amount` itself";
        sink.error(Kind::EmptySelector, node.spot, "`match` matches by nothing", help);
        return None;
    }
    let mut list = Vec::new();
    for (entry, value) in pairs {
        if !per_each.iter().any(|field| **field == *entry.key) {
            let message = format!("`{}` is not in `perEach`", entry.key);
            let help = match per_each {
                [] => format!("add `perEach: [{}]`: an override is for one of several breakers", entry.key),
                _ => format!("match on {}", one_of(per_each.iter().map(|f| &**f))),
            };
            sink.error(Kind::OverrideField, entry.spot, message, help);
        } else if value.contains(['*', '?']) {
            let help = "write the exact value; one override for each";
            sink.error(Kind::BadGlob, entry.value.spot, format!("`{value}` is not expanded here"), help);
        } else {
            list.push((entry.key.as_str().into(), value.into()));
        }
    }
    Some(list)
}

/// The end of a day in the window's time zone, or an instant.
fn until(node: &Node, window: Option<&WindowSpec>, sink: &mut Sink<'_>) -> Option<Timestamp> {
    let text = sink.text(node, "`until`")?;
    let zone = match window {
        Some(WindowSpec::Calendar { timezone, .. }) => *timezone,
        _ => Tz::UTC,
    };
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let end = match day {
        Some(day) => end_of(day, zone),
        None => Timestamp::parse_rfc3339(text).ok(),
    };
    if end.is_none() {
        let message = format!("`{text}` is not a date or time");
        sink.error(Kind::BadTime, node.spot, message, "write it like `2026-12-31` or `2026-12-31T18:00:00Z`");
    }
    end
}

/// The first instant after a local day. Where a zone skips midnight, the first that exists.
fn end_of(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let midnight = day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    // No zone has ever skipped more than a day and a half.
    (0..150).find_map(|quarter_hours| {
        let local = midnight.checked_add_signed(TimeDelta::minutes(15 * quarter_hours))?;
        let at = zone.from_local_datetime(&local).earliest()?;
        Some(Timestamp::from_millis(at.timestamp_millis()))
    })
}
