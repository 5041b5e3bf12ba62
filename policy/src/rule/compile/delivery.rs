//! How a route's messages go out: `groupBy`, `quietHours`, `repeatInterval`, `escalation`.

use chrono_tz::Tz;

use super::super::delivery::EVERY_DAY;
use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape};
use super::super::read::{Fields, Keys, RefKind, Sink, all_of};
use super::super::{Delivery, Escalation, GroupBy, Grouping, QuietHours};
use super::window;
use crate::time::Span;

/// Keys of a route that are about this, none of which can hold a secret.
pub(super) const KEYS: [&str; 6] =
    ["groupBy", "groupWait", "groupInterval", "quietHours", "repeatInterval", "escalation"];

const QUIET: Keys = Keys::of(&["from", "to", "days", "timezone"]);
const QUIET_EXAMPLE: &str = "{from: \"22:00\", to: \"07:00\", timezone: Europe/Berlin}";
const STEP: Keys = Keys::of(&["after", "route"]);
const STEP_EXAMPLE: &str = "[{after: 15m, route: management}]";
const DAYS: [(&str, u8); 7] =
    [("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)];

pub(super) fn read(fields: &Fields<'_>, route: &str, sink: &mut Sink<'_>) -> Option<Delivery> {
    let grouping = grouping(fields, sink);
    let quiet_hours = fields.get("quietHours").map(|node| quiet(node, sink));
    let month = Span::from_hours(31 * 24);
    let repeat = fields.get("repeatInterval");
    let repeat = repeat.map(|n| sink.span(n, "`repeatInterval`", Span::from_mins(5), month));
    let escalation = fields.get("escalation").map(|node| escalation(node, route, sink));
    Some(Delivery {
        grouping: grouping?,
        quiet_hours: quiet_hours.unwrap_or_else(|| Some(Vec::new()))?,
        repeat_interval: repeat.map_or(Some(None), |span| span.map(Some))?,
        escalation: escalation.unwrap_or_else(|| Some(Vec::new()))?,
    })
}

fn grouping(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Option<Grouping>> {
    let wait = fields
        .get("groupWait")
        .map_or(Some(Span::from_secs(30)), |n| sink.span(n, "`groupWait`", Span::ZERO, Span::from_mins(10)));
    let day = Span::from_hours(24);
    let interval = fields
        .get("groupInterval")
        .map_or(Some(Span::from_mins(5)), |n| sink.span(n, "`groupInterval`", Span::ZERO, day));
    let Some(node) = fields.get("groupBy") else {
        let alone = ["groupWait", "groupInterval"].into_iter().find_map(|key| fields.entry(key));
        return match alone {
            None => Some(None),
            Some(entry) => {
                let message = format!("`{}` means nothing without `groupBy`", entry.key);
                let help = "write `groupBy: [budget]`, or `groupBy: []` for all messages of the route";
                sink.error(Kind::MissingKey, entry.spot, message, help);
                None
            }
        };
    };
    let words = sink.texts(node, "`groupBy`", "groupBy: [budget, severity]")?;
    let by = words.into_iter().map(|(word, spot)| match word {
        "budget" => GroupBy::Budget,
        "breaker" => GroupBy::Breaker,
        "kind" => GroupBy::Kind,
        "severity" => GroupBy::Severity,
        field => {
            sink.refer(RefKind::Field, field, spot);
            GroupBy::Field(field.into())
        }
    });
    let by = by.collect();
    Some(Some(Grouping { by, wait: wait?, interval: interval? }))
}

/// One stretch of hours, or a list of them.
fn quiet(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<QuietHours>> {
    match &node.shape {
        Shape::List(items) => all_of(items.iter().map(|item| hours(item, sink))),
        _ => Some(vec![hours(node, sink)?]),
    }
}

fn hours(node: &Node, sink: &mut Sink<'_>) -> Option<QuietHours> {
    let fields = sink.object(node, "`quietHours`", QUIET_EXAMPLE, &QUIET)?;
    let help = format!("write `quietHours: {QUIET_EXAMPLE}`");
    let mut time = |key| fields.required(key, &help, sink).and_then(|node| minute(node, key, sink));
    let (from, to) = (time("from"), time("to"));
    let timezone = match fields.get("timezone") {
        None => Some(Tz::UTC),
        Some(node) => window::timezone(node, sink),
    };
    let days = match fields.get("days") {
        None => Some(EVERY_DAY),
        Some(node) => days(node, sink),
    };
    Some(QuietHours { from: from?, to: to?, days: days?, timezone: timezone? })
}

fn days(node: &Node, sink: &mut Sink<'_>) -> Option<u8> {
    let items = sink.list(node, "`days`", "[mon, tue, wed, thu, fri]")?;
    if items.is_empty() {
        let help = "write `days: [sat, sun]`, or leave it out for every day";
        sink.error(Kind::EmptyValue, node.spot, "`days` has no day, so no hour is quiet", help);
        return None;
    }
    let days = all_of(items.iter().map(|item| sink.word(item, "a day", Kind::UnknownWord, &DAYS)))?;
    Some(days.into_iter().fold(0, |all, day| all | (1 << day)))
}

/// `22:00` as a minute of the day.
fn minute(node: &Node, key: &str, sink: &mut Sink<'_>) -> Option<u16> {
    let text = sink.text(node, &format!("`{key}`"))?;
    let two = |part: &str, most: u16| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|n| digits && *n <= most)
    };
    let read = text.split_once(':').and_then(|(hour, minute)| Some((two(hour, 23)?, two(minute, 59)?)));
    let Some((hour, minute)) = read else {
        let message = format!("`{text}` is not a time of the day");
        sink.error(Kind::BadTime, node.spot, message, "write it in quotes, from `\"00:00\"` to `\"23:59\"`");
        return None;
    };
    Some(hour * 60 + minute)
}

fn escalation(node: &Node, route: &str, sink: &mut Sink<'_>) -> Option<Vec<Escalation>> {
    let items = sink.list(node, "`escalation`", STEP_EXAMPLE)?;
    let steps = all_of(items.iter().map(|item| step(item, route, sink)))?;
    let later = steps.windows(2).position(|pair| pair[1].after <= pair[0].after);
    if let Some(at) = later {
        let message = format!("`after: {}` does not come after the step before it", steps[at + 1].after);
        sink.error(
            Kind::OutOfRange,
            items[at + 1].spot,
            message,
            "write the steps in the order of their times",
        );
        return None;
    }
    Some(steps)
}

fn step(node: &Node, route: &str, sink: &mut Sink<'_>) -> Option<Escalation> {
    let fields = sink.object(node, "a step of `escalation`", "{after: 15m, route: management}", &STEP)?;
    let help = format!("write `escalation: {STEP_EXAMPLE}`");
    let limits = (Span::from_mins(1), Span::from_hours(7 * 24));
    let after = fields.required("after", &help, sink);
    let after = after.and_then(|node| sink.span(node, "`after`", limits.0, limits.1));
    let node = fields.required("route", &help, sink)?;
    let name = sink.text(node, "`route`")?;
    if name == route {
        let message = format!("route `{route}` escalates to itself");
        sink.error(
            Kind::Conflict,
            node.spot,
            message,
            "name another route, or write `repeatInterval` instead",
        );
        return None;
    }
    sink.refer(RefKind::Route, name, node.spot);
    Some(Escalation { after: after?, route: name.into() })
}
