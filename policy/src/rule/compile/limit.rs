//! `limit`: an amount of money, tokens or GPU hours, and its exceptions.

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Node, Shape};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::super::{Limit, LimitOverride, WindowSpec};
use crate::money::{Money, Percent, Unit};
use crate::subject::FieldName;
use crate::time::Timestamp;

pub(super) const LIMIT: Keys =
    Keys::of(&["amount", "tokens", "gpuHours", "overrides", "fromLabel", "rollover"]);
pub(super) const OVERRIDE: Keys = Keys::of(&["match", "amount", "tokens", "gpuHours", "until"]);

/// Keys of an amount, with what each counts and an example.
const AMOUNTS: [(&str, Unit, &str); 3] = [
    ("amount", Unit::Usd, "amount: 50 USD"),
    ("tokens", Unit::Tokens, "tokens: 2B"),
    ("gpuHours", Unit::GpuHours, "gpuHours: 400"),
];
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
    let Some((unit, amount)) = stated(&fields, "`limit`", sink) else {
        if AMOUNTS.iter().all(|(key, ..)| fields.get(key).is_none()) {
            let help = format!("write `{EXAMPLE}`, or `tokens`, or `gpuHours`");
            sink.error(Kind::MissingLimit, fields.spot, "`limit` has no `amount`", help);
        }
        return None;
    };
    let from_label = from_label(&fields, per_each, sink);
    let rollover = rollover(&fields, window, sink);
    let overrides = match fields.get("overrides") {
        None => Some(Vec::new()),
        Some(node) => sink
            .list(node, "`overrides`", OVERRIDE_EXAMPLE)
            .and_then(|items| all_of(items.iter().map(|item| exception(item, unit, per_each, window, sink)))),
    };
    let (overrides, from_label, rollover) = (overrides?, from_label?, rollover?);
    Some(Limit { amount, overrides, unit, from_label, rollover })
}

/// The one amount that a map states, with what it counts. `None` also where it states none.
fn stated(fields: &Fields<'_>, what: &str, sink: &mut Sink<'_>) -> Option<(Unit, Money)> {
    let found: Vec<_> = AMOUNTS.iter().filter(|(key, ..)| fields.get(key).is_some()).collect();
    if let [_, (second, ..), ..] = found.as_slice() {
        let spot = fields.entry(second).map_or(fields.spot, |entry| entry.spot);
        let keys = one_of(found.iter().map(|(key, ..)| *key));
        let help = "keep one; a second limit on the same charges is a budget of its own";
        sink.error(Kind::Conflict, spot, format!("{what} has more than one of {keys}"), help);
        return None;
    }
    let (key, unit, _) = *found.first()?;
    Some((*unit, amount(fields.get(key)?, *unit, sink)?))
}

/// An amount of a unit, above 0.
pub(super) fn amount(node: &Node, unit: Unit, sink: &mut Sink<'_>) -> Option<Money> {
    let amount = match unit {
        Unit::Usd => sink.money(node, "`amount`")?,
        Unit::Tokens | Unit::GpuHours => {
            let text = sink.text(node, "an amount")?;
            let Some(amount) = unit.read(text) else {
                let help = match unit {
                    Unit::Tokens => "write a count, such as `500000`, `900M` or `2B`",
                    Unit::Usd | Unit::GpuHours => "write a number of hours, such as `400` or `12.5`",
                };
                let message = format!("`{text}` is no number of {}", unit.word());
                sink.error(Kind::BadAmount, node.spot, message, help);
                return None;
            };
            amount
        }
    };
    if amount.is_zero() {
        let message = format!("a limit of {} trips before anything is spent", unit.of(amount));
        sink.error(Kind::ZeroLimit, node.spot, message, "write an amount above 0, such as `0.01 USD`");
        return None;
    }
    Some(amount)
}

/// The label whose value is the limit. It is looked for on the namespaces of an instance, so there must be some.
fn from_label(fields: &Fields<'_>, per_each: &[FieldName], sink: &mut Sink<'_>) -> Option<Option<Box<str>>> {
    let Some(node) = fields.get("fromLabel") else { return Some(None) };
    let label = sink.text(node, "`fromLabel`")?;
    if per_each.is_empty() {
        let message = "a budget without `perEach` is not of one namespace";
        let help = "add `perEach: [namespace]`, or a field that a namespace label sets, such as `tenant`";
        sink.error(Kind::Conflict, node.spot, message, help);
        return None;
    }
    Some(Some(label.into()))
}

fn rollover(
    fields: &Fields<'_>,
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<Option<Percent>> {
    let Some(node) = fields.get("rollover") else { return Some(None) };
    let share = sink.percent(node, "`rollover`", "1%", "100%");
    if !matches!(window, Some(WindowSpec::Calendar { .. }) | None) {
        let message = "only a calendar window ends, so that a rest can move to the next";
        sink.error(Kind::BadWindow, node.spot, message, "take `rollover` out, or write a calendar window");
        return None;
    }
    share.map(Some)
}

const OVERRIDE_EXAMPLE: &str = "overrides: [{match: {tenant: search}, amount: 200 USD}]";

fn exception(
    node: &Node,
    unit: Unit,
    per_each: &[FieldName],
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<LimitOverride> {
    let fields = sink.object(node, "an override", "{match: {tenant: search}, amount: 200 USD}", &OVERRIDE)?;
    let matches = fields.required("match", "write `match: {tenant: search}`", sink);
    let matches = matches.and_then(|node| matched(node, per_each, sink));
    let amount = own_amount(&fields, unit, sink);
    let until = match fields.get("until") {
        None => Some(None),
        Some(node) => until(node, window, sink).map(Some),
    };
    Some(LimitOverride { matches: matches?, amount: amount?, until: until? })
}

/// The amount of an override, in the unit of its limit.
fn own_amount(fields: &Fields<'_>, unit: Unit, sink: &mut Sink<'_>) -> Option<Money> {
    let (key, _, example) = AMOUNTS.into_iter().find(|(_, of, _)| *of == unit)?;
    if let Some((other, ..)) = AMOUNTS.iter().find(|(other, ..)| *other != key && fields.get(other).is_some())
    {
        let spot = fields.entry(other).map_or(fields.spot, |entry| entry.spot);
        let message = format!("the limit is in `{key}`, and this exception in `{other}`");
        sink.error(Kind::WrongUnit, spot, message, format!("write `{example}`"));
        return None;
    }
    amount(fields.required(key, &format!("write `{example}`"), sink)?, unit, sink)
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
pub(super) fn until(node: &Node, window: Option<&WindowSpec>, sink: &mut Sink<'_>) -> Option<Timestamp> {
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
