//! `kind: Budget`.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape, Spot};
use super::super::read::{Fields, Keys, RefKind, Sink, all_of};
use super::super::{Act, Budget, Mode, OnStale, OnUnpriced, Selector, Trigger};
use super::{Header, LONGEST, Origin, act, limit, restore, select, trigger, window};
use crate::money::{Percent, Unit};
use crate::subject::FieldName;
use crate::time::Span;

pub(super) const BUDGET: Keys = Keys {
    known: &[
        "description",
        "select",
        "perEach",
        "limit",
        "window",
        "within",
        "warnAt",
        "tripAt",
        "grace",
        "onWarn",
        "onTrip",
        "restore",
        "onStale",
        "onUnpriced",
        "mode",
        "burnRate",
        "delta",
        "forecast",
    ],
    later: &[],
};

/// Modes by word.
pub(super) const MODES: [(&str, Mode); 4] = [
    (Mode::Observe.word(), Mode::Observe),
    (Mode::Alert.word(), Mode::Alert),
    (Mode::Approve.word(), Mode::Approve),
    (Mode::Enforce.word(), Mode::Enforce),
];

/// Fields of `perEach`.
const MOST_FIELDS: usize = 6;

pub(super) fn read(
    header: &Header,
    spec: &Node,
    sink: &mut Sink<'_>,
    file: usize,
) -> Option<(Budget, Origin)> {
    let fields = sink.object(spec, "a budget", "limit: {amount: 50 USD}", &BUDGET)?;
    let per_each = fields.get("perEach").map_or(Some(Vec::new()), |node| per_each(node, sink));
    let known: &[FieldName] = per_each.as_deref().unwrap_or_default();
    let description = fields.get("description").map_or(Some(""), |node| sink.text(node, "`description`"));
    let select = fields
        .required("select", "write what it counts, or `select: {all: true}` for everything", sink)
        .and_then(|node| select::read(node, sink));
    let window = window::read(&fields, sink);
    let limit = limit::read(&fields, known, window.as_ref(), sink);
    let trip = trip_at(&fields, sink);
    let warn_at = warn_at(&fields, trip.map(|(percent, _)| percent), sink);
    let unit = limit.as_ref().map_or(Unit::Usd, |limit| limit.unit);
    let triggers = trigger::read(&fields, unit, window.as_ref(), sink);
    let grace =
        fields.get("grace").map_or(Some(Span::ZERO), |n| sink.span(n, "`grace`", Span::ZERO, LONGEST));
    let on_warn = acts(&fields, "onWarn", known, sink);
    let on_trip = acts(&fields, "onTrip", known, sink);
    let restore = restore::read(&fields, trip.map(|(percent, _)| percent), window.as_ref(), sink);
    let on_stale = on_stale(&fields, select.as_ref(), sink);
    let on_unpriced = on_unpriced(&fields, sink);
    let mode = fields
        .get("mode")
        .map_or(Some(Mode::default()), |node| sink.word(node, "`mode`", Kind::UnknownMode, &MODES));
    if let (Some(mode), Some(acts)) = (mode, &on_trip) {
        warn_of_no_effect(mode, acts, &fields, sink);
    }
    let (within, carve_out) = within(&fields, sink).unzip();
    let triggers = triggers?;
    let budget = Budget {
        name: header.name.clone(),
        description: description?.into(),
        place: sink.place(header.spot),
        select: select?,
        per_each: per_each?,
        limit: limit?,
        window: window?,
        within,
        warn_at: warn_at?,
        trip_at: trip?.0,
        trip_place: sink.place(trip?.1),
        grace: grace?,
        on_warn: on_warn?,
        on_trip: on_trip?,
        restore: restore?,
        on_stale: on_stale?,
        mode: mode?,
        spans: spans(&triggers),
        triggers,
        carve_out: carve_out.unwrap_or(false),
        on_unpriced: on_unpriced?,
    };
    let within = fields.get("within").map(|node| within_name(node).map_or(node.spot, |name| name.spot));
    Some((budget, Origin { file, spot: header.spot, within }))
}

/// Spans that the triggers measure over, each once.
fn spans(triggers: &[Trigger]) -> Vec<Span> {
    let mut spans: Vec<Span> = triggers.iter().flat_map(|trigger| trigger.measure.spans()).collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

const WITHIN: Keys = Keys::of(&["budget", "carveOut"]);

/// The parent, and whether this budget is carved out of it: a name, or `{budget: org, carveOut: true}`.
fn within(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<(Box<str>, bool)> {
    let node = fields.get("within")?;
    let mut carve_out = false;
    let mut named = node;
    if let Shape::Map(_) = node.shape {
        let fields =
            sink.object(node, "`within`", "within: {budget: org-monthly, carveOut: true}", &WITHIN)?;
        carve_out = fields.get("carveOut").map_or(Some(false), |n| sink.boolean(n, "`carveOut`"))?;
        named = fields.required("budget", "write `budget: org-monthly`", sink)?;
    }
    let name = sink.text(named, "`within`")?;
    sink.refer(RefKind::Budget, name, named.spot);
    Some((name.into(), carve_out))
}

/// Where the name of the parent stands.
fn within_name(node: &Node) -> Option<&Node> {
    let Shape::Map(entries) = &node.shape else { return Some(node) };
    entries.iter().find(|entry| entry.key == "budget").map(|entry| &entry.value)
}

fn per_each(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<FieldName>> {
    let names = sink.texts(node, "`perEach`", "perEach: [tenant]")?;
    if names.len() > MOST_FIELDS {
        let message = format!("`perEach` has {} fields", names.len());
        let help = format!("write at most {MOST_FIELDS}: each combination of their values is a breaker");
        sink.error(Kind::OutOfRange, node.spot, message, help);
        return None;
    }
    let mut fields: Vec<FieldName> = Vec::new();
    for (name, spot) in names {
        if fields.iter().any(|f| **f == *name) {
            let message = format!("`{name}` is here a second time");
            sink.error(Kind::DuplicateKey, spot, message, "name each field once");
        } else {
            sink.refer(RefKind::Field, name, spot);
            fields.push(name.into());
        }
    }
    Some(fields)
}

/// The share at which it trips, and the line that an order cites: `tripAt`, else `limit`.
fn trip_at(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<(Percent, Spot)> {
    match fields.entry("tripAt") {
        Some(entry) => Some((sink.percent(&entry.value, "`tripAt`", "1%", "1000%")?, entry.spot)),
        None => Some((Percent::WHOLE, fields.entry("limit").map_or(fields.spot, |entry| entry.spot))),
    }
}

fn warn_at(fields: &Fields<'_>, trip: Option<Percent>, sink: &mut Sink<'_>) -> Option<Vec<Percent>> {
    let Some(node) = fields.get("warnAt") else { return Some(Vec::new()) };
    let mut list: Vec<Percent> = Vec::new();
    for item in sink.list(node, "`warnAt`", "warnAt: [50%, 80%]")? {
        let Some(percent) = sink.percent(item, "`warnAt`", "0.0001%", "1000%") else { continue };
        if let Some(before) = list.last().filter(|before| **before >= percent) {
            let message = format!("`{percent}` comes after `{before}`");
            sink.error(Kind::WarnOrder, item.spot, message, "write them in rising order, each once");
        } else if let Some(trip) = trip.filter(|trip| percent >= *trip) {
            let message = format!("a warning at `{percent}` would come too late: it trips at `{trip}`");
            sink.error(Kind::WarnAboveTrip, item.spot, message, format!("write a share below `{trip}`"));
        }
        list.push(percent);
    }
    Some(list)
}

fn acts(
    fields: &Fields<'_>,
    key: &'static str,
    per_each: &[FieldName],
    sink: &mut Sink<'_>,
) -> Option<Vec<Act>> {
    let Some(node) = fields.get(key) else { return Some(Vec::new()) };
    let items = sink.list(node, &format!("`{key}`"), "[{notify: {route: finops}}]")?;
    all_of(items.iter().map(|item| act::read(item, key, per_each, sink)))
}

fn warn_of_no_effect(mode: Mode, acts: &[Act], fields: &Fields<'_>, sink: &mut Sink<'_>) {
    let stops = acts.iter().any(|act| matches!(act, Act::PauseScaledObjects { .. }));
    if mode >= Mode::Approve && !stops {
        let spot = fields.entry("mode").map_or(fields.spot, |entry| entry.spot);
        let message = format!("`mode: {}`, but `onTrip` stops nothing", mode.word());
        let help = "add `pauseScaledObjects` under `onTrip`, or write `mode: alert`";
        sink.warn(Kind::NothingToEnforce, spot, message, help);
    }
}

/// Silence trips only a budget that says whose: it counts the charges of one source and no other.
fn on_stale(fields: &Fields<'_>, select: Option<&Selector>, sink: &mut Sink<'_>) -> Option<OnStale> {
    let Some(node) = fields.get("onStale") else { return Some(OnStale::default()) };
    let words = [("keep", OnStale::Keep), ("alert", OnStale::Alert), ("trip", OnStale::Trip)];
    let word = sink.word(node, "`onStale`", Kind::UnknownWord, &words)?;
    if word == OnStale::Trip && select.is_some_and(|select| select.one_source().is_none()) {
        let message = "`onStale: trip`, but the budget does not say whose silence that is";
        let help = "select one source by its exact name: `subjects: {source: bedrock-log}`";
        sink.error(Kind::SilenceOfWhom, node.spot, message, help);
        return None;
    }
    Some(word)
}

const UNPRICED: Keys = Keys::of(&["assume"]);

/// `alert`, or `{assume: highest-known}`.
fn on_unpriced(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<OnUnpriced> {
    let Some(node) = fields.get("onUnpriced") else { return Some(OnUnpriced::Alert) };
    if let Shape::Map(_) = node.shape {
        let fields = sink.object(node, "`onUnpriced`", "onUnpriced: {assume: highest-known}", &UNPRICED)?;
        let node = fields.required("assume", "write `assume: highest-known`", sink)?;
        let words = [("highest-known", OnUnpriced::AssumeHighestKnown)];
        return sink.word(node, "`assume`", Kind::UnknownWord, &words);
    }
    sink.word(node, "`onUnpriced`", Kind::UnknownWord, &[("alert", OnUnpriced::Alert)])
}
