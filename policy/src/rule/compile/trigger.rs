//! `burnRate`, `delta` and `forecast`: what a budget looks at besides its sum.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::super::trigger::{MOST_TRIGGERS, Measure, Then, Trigger};
use super::super::{WindowSpec, diagnose::one_of};
use crate::money::{Percent, Unit};
use crate::time::Span;

pub(super) const BURN_RATE: Keys = Keys::of(&["long", "short", "exceeds", "then"]);
pub(super) const DELTA: Keys = Keys::of(&["over", "exceeds", "then"]);
pub(super) const FORECAST: Keys = Keys::of(&["at", "exceeds", "then"]);
const BURN_EXAMPLE: &str = "burnRate: [{long: 1h, short: 5m, exceeds: 14.4x, then: warn}]";
const DELTA_EXAMPLE: &str = "delta: [{over: 15m, exceeds: 100 USD, then: warn}]";
const FORECAST_EXAMPLE: &str = "forecast: {at: window-end, exceeds: 110%, then: warn}";

/// What happens, by word.
pub(super) const THEN: [(&str, Then); 2] = [("warn", Then::Warn), ("trip", Then::Trip)];
/// Shortest and longest span of a trigger.
const SPANS: (Span, Span) = (Span::from_mins(1), Span::from_hours(7 * 24));

pub(super) fn read(
    budget: &Fields<'_>,
    unit: Unit,
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) -> Option<Vec<Trigger>> {
    let burn = list(budget, "burnRate", BURN_EXAMPLE, sink, |node, sink| burn_rate(node, window, sink));
    let delta = list(budget, "delta", DELTA_EXAMPLE, sink, |node, sink| delta(node, unit, window, sink));
    let forecast = match budget.get("forecast") {
        None => Some(Vec::new()),
        Some(node) => forecast(node, window, sink).map(|one| vec![one]),
    };
    Some([burn?, delta?, forecast?].concat())
}

fn list(
    budget: &Fields<'_>,
    key: &'static str,
    example: &str,
    sink: &mut Sink<'_>,
    mut read: impl FnMut(&Node, &mut Sink<'_>) -> Option<Trigger>,
) -> Option<Vec<Trigger>> {
    let Some(node) = budget.get(key) else { return Some(Vec::new()) };
    let items = sink.list(node, &format!("`{key}`"), example)?;
    if items.len() > MOST_TRIGGERS {
        let message = format!("`{key}` has {} entries", items.len());
        sink.error(Kind::OutOfRange, node.spot, message, format!("write at most {MOST_TRIGGERS}"));
        return None;
    }
    all_of(items.iter().map(|item| read(item, sink)))
}

fn burn_rate(node: &Node, window: Option<&WindowSpec>, sink: &mut Sink<'_>) -> Option<Trigger> {
    let fields = sink.object(node, "a burn rate", BURN_EXAMPLE, &BURN_RATE)?;
    let long = span(&fields, "long", BURN_EXAMPLE, sink);
    let short = span(&fields, "short", BURN_EXAMPLE, sink);
    let exceeds = fields.required("exceeds", BURN_EXAMPLE, sink).and_then(|node| multiple(node, sink));
    let then = then(&fields, BURN_EXAMPLE, sink);
    if let (Some(long), Some(short)) = (long, short)
        && short >= long
    {
        let spot = fields.entry("short").map_or(fields.spot, |entry| entry.value.spot);
        let message = format!("`short` is `{short}` and `long` is `{long}`");
        sink.error(
            Kind::OutOfRange,
            spot,
            message,
            "write a `short` that is shorter, such as a twelfth of `long`",
        );
    }
    if matches!(window, Some(WindowSpec::Lifetime)) {
        let help = "write a `delta`, which is an amount, or another window";
        let message = "a lifetime window has no end, so there is no even pace to be faster than";
        sink.error(Kind::BadWindow, fields.spot, message, help);
    }
    too_long(&fields, "long", long, window, sink);
    let measure = Measure::BurnRate { long: long?, short: short?, exceeds: exceeds? };
    Some(Trigger { measure, then: then?, place: sink.place(fields.spot) })
}

fn delta(node: &Node, unit: Unit, window: Option<&WindowSpec>, sink: &mut Sink<'_>) -> Option<Trigger> {
    let fields = sink.object(node, "a delta", DELTA_EXAMPLE, &DELTA)?;
    let over = span(&fields, "over", DELTA_EXAMPLE, sink);
    let exceeds = fields.required("exceeds", DELTA_EXAMPLE, sink);
    let exceeds = exceeds.and_then(|node| super::limit::amount(node, unit, sink));
    let then = then(&fields, DELTA_EXAMPLE, sink);
    too_long(&fields, "over", over, window, sink);
    let measure = Measure::Delta { over: over?, exceeds: exceeds?, unit };
    Some(Trigger { measure, then: then?, place: sink.place(fields.spot) })
}

fn forecast(node: &Node, window: Option<&WindowSpec>, sink: &mut Sink<'_>) -> Option<Trigger> {
    let fields = sink.object(node, "`forecast`", FORECAST_EXAMPLE, &FORECAST)?;
    let at = fields.required("at", FORECAST_EXAMPLE, sink);
    let at = at.and_then(|node| sink.word(node, "`at`", Kind::UnknownWord, &[("window-end", ())]));
    let exceeds = fields.required("exceeds", FORECAST_EXAMPLE, sink);
    let exceeds = exceeds.and_then(|node| sink.percent(node, "`exceeds`", "1%", "1000%"));
    let then = then(&fields, FORECAST_EXAMPLE, sink);
    if then == Some(Then::Trip) {
        let spot = fields.entry("then").map_or(fields.spot, |entry| entry.value.spot);
        let help = "write `then: warn`; `tripAt`, `burnRate` and `delta` trip";
        sink.error(Kind::ForecastTrips, spot, "a forecast is a guess, and never stops anything", help);
        return None;
    }
    if !matches!(window, Some(WindowSpec::Calendar { .. }) | None) {
        let help = "write it for a calendar window, or take it out";
        let message = "only a calendar window has an end that a sum can be foretold for";
        sink.error(Kind::BadWindow, fields.spot, message, help);
    }
    at?;
    Some(Trigger {
        measure: Measure::Forecast { exceeds: exceeds? },
        then: then?,
        place: sink.place(fields.spot),
    })
}

fn span(fields: &Fields<'_>, key: &str, example: &str, sink: &mut Sink<'_>) -> Option<Span> {
    let node = fields.required(key, &format!("write for example `{example}`"), sink)?;
    sink.span(node, &format!("`{key}`"), SPANS.0, SPANS.1)
}

fn then(fields: &Fields<'_>, example: &str, sink: &mut Sink<'_>) -> Option<Then> {
    let node = fields.required("then", &format!("write for example `{example}`"), sink)?;
    sink.word(node, "`then`", Kind::UnknownWord, &THEN)
}

/// A span as long as a rolling window measures what the window itself does.
fn too_long(
    fields: &Fields<'_>,
    key: &str,
    span: Option<Span>,
    window: Option<&WindowSpec>,
    sink: &mut Sink<'_>,
) {
    if let (Some(span), Some(WindowSpec::Rolling(length))) = (span, window)
        && span >= *length
    {
        let spot: Spot = fields.entry(key).map_or(fields.spot, |entry| entry.value.spot);
        let message = format!("`{key}` is `{span}`, and the window itself is the last `{length}`");
        sink.error(Kind::OutOfRange, spot, message, format!("write a time below `{length}`"));
    }
}

/// A multiple of the even pace: `14.4x`.
fn multiple(node: &Node, sink: &mut Sink<'_>) -> Option<Percent> {
    let text = sink.text(node, "`exceeds`")?;
    let read = text.strip_suffix('x').and_then(times);
    let least = Percent::from_ppm(1_100_000);
    match read {
        Some(multiple) if multiple >= least => Some(multiple),
        Some(_) => {
            let message =
                format!("`exceeds` cannot be `{text}`: at 1x the limit is used up just when the window ends");
            sink.error(Kind::OutOfRange, node.spot, message, "write a multiple from 1.1x to 4000x");
            None
        }
        None => {
            let help = format!(
                "write a multiple of the even pace with its `x`, such as {}",
                one_of(["14.4x", "60x"])
            );
            sink.error(Kind::BadMultiple, node.spot, format!("`{text}` is not a multiple"), help);
            None
        }
    }
}

/// "14.4" as 1440%: at most four decimals.
fn times(number: &str) -> Option<Percent> {
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 4 || rest.len() > 4 || !is_digits(whole) || !is_digits(rest) {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let millionths: u32 = format!("{rest:0<6}").parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(millionths).map(Percent::from_ppm)
}
