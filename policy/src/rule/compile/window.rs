//! `window`: `{calendar: month, timezone: Europe/Berlin}`, `{rolling: 6h}` or `{lifetime: true}`.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::Node;
use super::super::read::{Fields, Keys, Sink};
use super::super::{CalendarUnit, WindowSpec};
use crate::time::Span;

pub(super) const WINDOW: Keys = Keys::of(&["calendar", "timezone", "fiscalStart", "rolling", "lifetime"]);
const FORMS: [&str; 3] = ["calendar", "rolling", "lifetime"];
const HELP: &str = "write `{calendar: day, timezone: Europe/Berlin}`, `{rolling: 6h}` or `{lifetime: true}`";

/// Calendar units by word.
pub(super) const UNITS: [(&str, CalendarUnit); 6] = [
    (CalendarUnit::Hour.word(), CalendarUnit::Hour),
    (CalendarUnit::Day.word(), CalendarUnit::Day),
    (CalendarUnit::Week.word(), CalendarUnit::Week),
    (CalendarUnit::Month.word(), CalendarUnit::Month),
    (CalendarUnit::Quarter.word(), CalendarUnit::Quarter),
    (CalendarUnit::Year.word(), CalendarUnit::Year),
];

/// Shortest and longest rolling window: the ledger keeps a slot for each part of one.
const ROLLING: (Span, Span) = (Span::from_mins(1), Span::from_hours(90 * 24));

pub(super) fn read(budget: &Fields<'_>, sink: &mut Sink<'_>) -> Option<WindowSpec> {
    let node = budget.required("window", HELP, sink)?;
    let fields = sink.object(node, "`window`", "window: {calendar: day}", &WINDOW)?;
    let stated: Vec<&str> = FORMS.into_iter().filter(|form| fields.get(form).is_some()).collect();
    let [form] = stated.as_slice() else {
        let message = match stated.as_slice() {
            [] => "`window` says no time".to_owned(),
            several => format!("`window` says {} at once", several.join(" and ")),
        };
        sink.error(Kind::BadWindow, fields.spot, message, HELP);
        return None;
    };
    if *form != "calendar" {
        for key in ["timezone", "fiscalStart"] {
            if let Some(entry) = fields.entry(key) {
                let message = format!("`{key}` means nothing in a {form} window");
                sink.error(Kind::BadWindow, entry.spot, message, "take it out, or write `calendar`");
            }
        }
    }
    match *form {
        "calendar" => calendar(&fields, sink),
        "rolling" => {
            let node = fields.get("rolling")?;
            sink.span(node, "`rolling`", ROLLING.0, ROLLING.1).map(WindowSpec::Rolling)
        }
        _ => {
            let node = fields.get("lifetime")?;
            if sink.boolean(node, "`lifetime`")? {
                return Some(WindowSpec::Lifetime);
            }
            sink.error(Kind::BadWindow, node.spot, "`lifetime: false` says no time", HELP);
            None
        }
    }
}

fn calendar(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<WindowSpec> {
    let unit = sink.word(fields.get("calendar")?, "`calendar`", Kind::UnknownUnit, &UNITS);
    let timezone = fields.get("timezone").map_or(Some(Tz::UTC), |node| timezone(node, sink));
    let start = fields.get("fiscalStart").map_or(Some(1), |n| sink.count(n, "`fiscalStart`", 1, 12));
    if let (Some(entry), Some(unit)) = (fields.entry("fiscalStart"), unit)
        && !matches!(unit, CalendarUnit::Quarter | CalendarUnit::Year)
    {
        let message = "`fiscalStart` matters for `quarter` and `year` only";
        sink.error(Kind::BadWindow, entry.spot, message, "take `fiscalStart` out");
    }
    let fiscal_start = u8::try_from(start?).ok()?;
    Some(WindowSpec::Calendar { unit: unit?, timezone: timezone?, fiscal_start })
}

pub(super) fn timezone(node: &Node, sink: &mut Sink<'_>) -> Option<Tz> {
    let text = sink.text(node, "`timezone`")?;
    if let Ok(zone) = text.parse() {
        return Some(zone);
    }
    let help = match sink.meant(text, TZ_VARIANTS.iter().map(|zone| zone.name())) {
        Some(close) => format!("did you mean `{close}`?"),
        None => "write a name of the IANA list, such as `Europe/Berlin` or `UTC`".to_owned(),
    };
    sink.error(Kind::UnknownTimezone, node.spot, format!("there is no time zone `{text}`"), help);
    None
}
