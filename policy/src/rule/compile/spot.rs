//! `kind: SpotPolicy`.

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::glob::is_glob;
use super::super::node::{Entry, Node, Shape, Spot};
use super::super::read::{Fields, Keys, RefKind, Sink, all_of};
use super::super::{Mode, SpotAct, SpotPolicy, SpotTrigger};
use super::Header;
use crate::time::Span;

pub(super) const SPOT: Keys = Keys::of(&["description", "on", "select", "then", "mode"]);
const SELECT: Keys = Keys::of(&["nodepool"]);
const ON: &str = "on: [interruption, rebalance]";

/// Kinds of notice, by word.
const TRIGGERS: [(&str, SpotTrigger); 3] = [
    ("interruption", SpotTrigger::Interruption),
    ("rebalance", SpotTrigger::Rebalance),
    ("capacity-reservation", SpotTrigger::CapacityReservation),
];

/// Modes of this version, by word. What would write is not armed.
const MODES: [(&str, Option<Mode>); 4] =
    [("observe", Some(Mode::Observe)), ("alert", Some(Mode::Alert)), ("approve", None), ("enforce", None)];

/// Policies, sorted by name.
pub(super) fn join(mut policies: Vec<SpotPolicy>) -> Vec<SpotPolicy> {
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>) -> Option<SpotPolicy> {
    let fields = sink.object(spec, "a spot policy", ON, &SPOT)?;
    let description = fields.get("description").map_or(Some(""), |node| sink.text(node, "`description`"));
    let on = fields.required("on", &format!("write `{ON}`"), sink).and_then(|node| on(node, sink));
    let nodepools = fields.get("select").map_or(Some(Vec::new()), |node| select(node, sink));
    let then = fields
        .required("then", "write `then: [{notify: {route: oncall}}]`", sink)
        .and_then(|node| then(node, sink));
    let mode = fields.get("mode").map_or(Some(Mode::Observe), |node| mode(node, sink));
    if let (Some(then), Some(Mode::Alert)) = (&then, mode)
        && !then.iter().any(|act| matches!(act, SpotAct::Notify { .. }))
    {
        let help = "add `notify: {route: oncall}`, or write `mode: observe`";
        let spot = fields.get("mode").map_or(fields.spot, |node| node.spot);
        sink.warn(Kind::NothingToEnforce, spot, "`mode: alert`, but `then` tells nobody", help);
    }
    let spot = fields.entry("on").map_or(fields.spot, |entry| entry.spot);
    Some(SpotPolicy {
        name: header.name.clone(),
        description: description?.into(),
        place: sink.place(header.spot),
        on_place: sink.place(spot),
        on: on?,
        nodepools: nodepools?,
        then: then?,
        mode: mode?,
    })
}

fn on(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<SpotTrigger>> {
    let items = sink.list(node, "`on`", ON)?;
    if items.is_empty() {
        sink.error(Kind::EmptySelector, node.spot, "`on` names no notice", format!("write `{ON}`"));
        return None;
    }
    let words = items.iter().map(|item| sink.word(item, "a notice", Kind::UnknownWord, &TRIGGERS));
    let mut on = all_of(words)?;
    on.sort_unstable();
    on.dedup();
    Some(on)
}

/// `nodepool`: a glob, or a list of them. Without `select` it is for every node: they go anyway.
fn select(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<Box<str>>> {
    let fields = sink.object(node, "`select`", "select: {nodepool: \"gpu-*\"}", &SELECT)?;
    let node = fields.required("nodepool", "write `nodepool: \"gpu-*\"`, or take `select` out", sink)?;
    let Shape::List(_) = node.shape else {
        let text = sink.text(node, "`nodepool`")?;
        return sink.glob(text, node.spot).map(|glob| vec![glob]);
    };
    let texts = sink.texts(node, "`nodepool`", "[gpu-a, \"gpu-b-*\"]")?;
    if texts.is_empty() {
        let help = "write at least one, or take `select` out";
        sink.error(Kind::EmptySelector, node.spot, "`nodepool` has a list without a value", help);
        return None;
    }
    all_of(texts.into_iter().map(|(text, spot)| sink.glob(text, spot)))
}

fn mode(node: &Node, sink: &mut Sink<'_>) -> Option<Mode> {
    let found = sink.word(node, "`mode`", Kind::UnknownMode, &MODES)?;
    if found.is_none() {
        let message = "a spot policy that writes is not supported by this version";
        let help = "write `mode: alert`: what it would do is recorded and told";
        sink.error(Kind::Unsupported, node.spot, message, help);
    }
    found
}

/// Acts that are read.
const ACTS: [&str; 4] = ["notify", "cordon", "drain", "checkpoint"];
const THEN: &str = "then: [cordon, drain, {notify: {route: oncall}}]";

fn then(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<SpotAct>> {
    let items = sink.list(node, "`then`", THEN)?;
    if items.is_empty() {
        sink.error(Kind::EmptyValue, node.spot, "`then` does nothing", format!("write `{THEN}`"));
        return None;
    }
    let mut once: Vec<&'static str> = Vec::new();
    all_of(items.iter().map(|item| {
        let (act, spot) = act(item, sink)?;
        if act.word() != "notify" && once.contains(&act.word()) {
            let message = format!("`{}` is here a second time", act.word());
            sink.error(
                Kind::Conflict,
                spot,
                message,
                "write each act once; `notify` may be there several times",
            );
        }
        once.push(act.word());
        Some(act)
    }))
}

/// `cordon`, or a map with one key.
fn act(node: &Node, sink: &mut Sink<'_>) -> Option<(SpotAct, Spot)> {
    if let Shape::Text(word) = &node.shape {
        let place = sink.place(node.spot);
        let act = match word.as_str() {
            "cordon" => SpotAct::Cordon { place },
            "drain" => SpotAct::Drain { place },
            "notify" => {
                let help = "write `notify: {route: oncall}`";
                sink.error(Kind::MissingKey, node.spot, "`notify` has no `route`", help);
                return None;
            }
            "checkpoint" => {
                let help = format!("write `{CHECKPOINT}`, or `checkpoint: {{all: true}}`");
                sink.error(Kind::EmptyTarget, node.spot, "`checkpoint` names no pod", help);
                return None;
            }
            other => return unknown(other, node.spot, sink),
        };
        return Some((act, node.spot));
    }
    let entry = sink.act(node, "notify: {route: oncall}")?;
    let place = sink.place(entry.spot);
    let act = match entry.key.as_str() {
        "notify" => notify(entry, sink)?,
        "cordon" => {
            bare(entry, sink)?;
            SpotAct::Cordon { place }
        }
        "drain" => {
            bare(entry, sink)?;
            SpotAct::Drain { place }
        }
        "checkpoint" => checkpoint(entry, sink)?,
        other => return unknown(other, entry.spot, sink),
    };
    Some((act, entry.spot))
}

fn unknown(word: &str, spot: Spot, sink: &mut Sink<'_>) -> Option<(SpotAct, Spot)> {
    let help = match sink.meant(word, ACTS) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("write {}", one_of(ACTS)),
    };
    sink.error(Kind::UnknownAct, spot, format!("a spot policy has no act `{word}`"), help);
    None
}

/// `cordon: {}`, and nothing in it.
fn bare(entry: &Entry, sink: &mut Sink<'_>) -> Option<()> {
    let (what, example) = (format!("`{}`", entry.key), format!("{}: {{}}", entry.key));
    sink.object(&entry.value, &what, &example, &Keys::of(&[])).map(drop)
}

fn notify(entry: &Entry, sink: &mut Sink<'_>) -> Option<SpotAct> {
    let fields = sink.object(&entry.value, "`notify`", "{route: oncall}", &Keys::of(&["route"]))?;
    let node = fields.required("route", "write `notify: {route: oncall}`", sink)?;
    let route = sink.text(node, "`route`")?;
    sink.refer(RefKind::Route, route, node.spot);
    Some(SpotAct::Notify { route: route.into(), place: sink.place(entry.spot) })
}

const CHECKPOINT: &str = "checkpoint: {matching: {checkpoint: enabled}, before: 90s}";
/// What is asked for where nothing is written: most of the two minutes, for saving takes long.
const BEFORE: Span = Span::from_secs(90);

fn checkpoint(entry: &Entry, sink: &mut Sink<'_>) -> Option<SpotAct> {
    let keys = Keys::of(&["all", "matching", "before"]);
    let fields = sink.object(&entry.value, "`checkpoint`", CHECKPOINT, &keys)?;
    let before = fields
        .get("before")
        .map_or(Some(BEFORE), |n| sink.span(n, "`before`", Span::from_secs(1), Span::from_secs(120)));
    let matching = pods(&fields, entry.spot, sink);
    Some(SpotAct::Checkpoint { matching: matching?, before: before?, place: sink.place(entry.spot) })
}

/// Labels of the pods that are signalled; none where `all: true` says every pod on purpose.
fn pods(fields: &Fields<'_>, spot: Spot, sink: &mut Sink<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let all = fields.get("all").map_or(Some(false), |n| sink.boolean(n, "`all`"))?;
    let Some(node) = fields.get("matching") else {
        if !all {
            let help = format!("write `{CHECKPOINT}`, or `checkpoint: {{all: true}}`");
            sink.error(Kind::EmptyTarget, spot, "`checkpoint` names no pod", help);
        }
        return all.then(Vec::new);
    };
    let pairs = sink.pairs(node, "`matching`", "{checkpoint: enabled}")?;
    if all {
        let help = "keep `all: true` for every pod, or `matching`";
        sink.error(Kind::Conflict, spot, "`checkpoint` has `all: true` and `matching`", help);
    }
    if pairs.is_empty() {
        let help = "write a label, or `all: true` for every pod";
        sink.error(Kind::EmptyTarget, node.spot, "`matching` names no label", help);
        return None;
    }
    all_of(pairs.into_iter().map(|(entry, text)| {
        if is_glob(text) {
            let message = format!("`{text}` is not expanded here");
            sink.error(Kind::BadGlob, entry.value.spot, message, "write the label's value itself");
            return None;
        }
        Some((entry.key.as_str().into(), text.into()))
    }))
}
