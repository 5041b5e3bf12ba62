//! `kind: IdlePolicy`.

use std::collections::BTreeMap;

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::glob::is_glob;
use super::super::node::{Entry, Node, Shape, Spot};
use super::super::read::{Fields, Keys, RefKind, Sink, all_of};
use super::super::{IdleAct, IdlePolicy, IdleWhen, Mode, NodeSelector, Pack};
use super::Header;
use super::budget::MODES;
use crate::gpu::Signal;
use crate::money::Percent;
use crate::time::Span;

pub(super) const IDLE: Keys =
    Keys::of(&["description", "select", "idleWhen", "pack", "worthAtLeast", "then", "mode"]);

/// Policies, sorted by name.
pub(super) fn join(mut policies: Vec<IdlePolicy>) -> Vec<IdlePolicy> {
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>) -> Option<IdlePolicy> {
    let fields = sink.object(spec, "an idle policy", "select: {nodepool: \"gpu-*\"}", &IDLE)?;
    let description = fields.get("description").map_or(Some(""), |node| sink.text(node, "`description`"));
    let select = fields
        .required(
            "select",
            "write `select: {nodepool: \"gpu-*\"}`, or `select: {all: true}` for every node",
            sink,
        )
        .and_then(|node| select_nodes(node, sink));
    let idle_when = optional(fields.entry("idleWhen"), |entry| idle_when(entry, sink));
    let pack = optional(fields.entry("pack"), |entry| read_pack(entry, sink));
    if fields.get("idleWhen").is_none() && fields.get("pack").is_none() {
        let help = "write `idleWhen: {gpuUtil: below 5%, for: 30m}`, or `pack: {gpuAllocation: below 50%}`";
        sink.error(Kind::MissingKey, fields.spot, "an idle policy has neither `idleWhen` nor `pack`", help);
    }
    let worth = fields
        .get("worthAtLeast")
        .map_or(Some(None), |node| sink.quantity(node, "`worthAtLeast`", Kind::BadAmount).map(Some));
    let then = fields.get("then").map_or(Some(Vec::new()), |node| then(node, sink));
    let mode = fields
        .get("mode")
        .map_or(Some(Mode::default()), |node| sink.word(node, "`mode`", Kind::UnknownMode, &MODES));
    if let (Some(then), Some(mode)) = (&then, mode) {
        check_acts(then, mode, &fields, sink);
    }
    Some(IdlePolicy {
        name: header.name.clone(),
        description: description?.into(),
        place: sink.place(header.spot),
        select: select?,
        idle_when: idle_when?,
        pack: pack?,
        worth_at_least: worth?,
        then: then?,
        mode: mode?,
    })
}

fn optional<T>(entry: Option<&Entry>, read: impl FnOnce(&Entry) -> Option<T>) -> Option<Option<T>> {
    entry.map_or(Some(None), |entry| read(entry).map(Some))
}

const SELECT: Keys = Keys::of(&["all", "nodepool", "instanceType", "labels"]);

fn select_nodes(node: &Node, sink: &mut Sink<'_>) -> Option<NodeSelector> {
    let fields = sink.object(node, "`select`", "select: {nodepool: \"gpu-*\"}", &SELECT)?;
    let all = fields.get("all").map_or(Some(false), |n| sink.boolean(n, "`all`"));
    let pools = fields.get("nodepool").map_or(Some(Vec::new()), |n| globs(n, "`nodepool`", sink));
    let types = fields.get("instanceType").map_or(Some(Vec::new()), |n| globs(n, "`instanceType`", sink));
    let labels = fields.get("labels").map_or(Some(BTreeMap::new()), |n| labels(n, sink));
    let stated = ["nodepool", "instanceType", "labels"].iter().any(|key| fields.get(key).is_some());
    if all == Some(true) && stated {
        let help = "keep `all: true` for every node, or the conditions";
        sink.error(Kind::Conflict, fields.spot, "`select` has `all: true` and conditions", help);
    } else if all == Some(false) && !stated {
        let help =
            "write `all: true` for every node on purpose, or a condition such as `nodepool: \"gpu-*\"`";
        sink.error(Kind::EmptySelector, fields.spot, "`select` selects by nothing", help);
    }
    Some(NodeSelector { all: all?, nodepools: pools?, instance_types: types?, labels: labels? })
}

/// One glob, or a list of them.
fn globs(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Vec<Box<str>>> {
    let Shape::List(_) = node.shape else {
        let text = sink.text(node, what)?;
        return sink.glob(text, node.spot).map(|glob| vec![glob]);
    };
    let texts = sink.texts(node, what, "[gpu-a, \"gpu-b-*\"]")?;
    if texts.is_empty() {
        let message = format!("{what} has a list without a value");
        sink.error(Kind::EmptySelector, node.spot, message, "write at least one value, or leave it out");
        return None;
    }
    all_of(texts.into_iter().map(|(text, spot)| sink.glob(text, spot)))
}

fn labels(node: &Node, sink: &mut Sink<'_>) -> Option<BTreeMap<Box<str>, Box<str>>> {
    let pairs = exact_pairs(node, "`labels`", sink)?;
    if pairs.is_empty() {
        let help = "write at least one, or leave the key out";
        sink.error(Kind::EmptySelector, node.spot, "`labels` names nothing", help);
    }
    Some(pairs.into_iter().collect())
}

fn exact_pairs(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let pairs = sink.pairs(node, what, "{tier: critical}")?;
    all_of(pairs.into_iter().map(|(entry, text)| {
        if is_glob(text) {
            let message = format!("`{text}` is not expanded here");
            sink.error(Kind::BadGlob, entry.value.spot, message, "write the label's value itself");
            return None;
        }
        Some((entry.key.as_str().into(), text.into()))
    }))
}

const WHEN: Keys = Keys::of(&[
    "gpuUtil",
    "engineActive",
    "smActive",
    "tensorActive",
    "dramActive",
    "powerDraw",
    "inFlightRequests",
    "for",
    "samples",
]);
const EXAMPLE: &str = "{gpuUtil: below 5%, powerDraw: below 30% of limit, for: 30m}";
/// Shortest and longest time: a shorter one proves nothing, for a longer one too much is kept.
const WINDOW: (Span, Span) = (Span::from_mins(10), Span::from_hours(24));

fn idle_when(entry: &Entry, sink: &mut Sink<'_>) -> Option<IdleWhen> {
    let fields = sink.object(&entry.value, "`idleWhen`", EXAMPLE, &WHEN)?;
    let mut below = Some(BTreeMap::new());
    let shares = Signal::ALL.into_iter().filter(|signal| *signal != Signal::InFlight);
    for (signal, node) in shares.filter_map(|s| fields.get(s.word()).map(|node| (s, node))) {
        match (ceiling(node, signal, sink), &mut below) {
            (Some(percent), Some(below)) => {
                below.insert(signal, percent);
            }
            _ => below = None,
        }
    }
    let none = [("none", ())];
    let requests = optional(fields.entry(Signal::InFlight.word()), |entry| {
        sink.word(&entry.value, "`inFlightRequests`", Kind::UnknownWord, &none)
    });
    let window = fields
        .required("for", "write for how long, such as `for: 30m`", sink)
        .and_then(|node| sink.span(node, "`for`", WINDOW.0, WINDOW.1));
    let samples = fields.get("samples").map_or(Some(NINETY), |node| samples(node, sink));
    if below.as_ref().is_some_and(BTreeMap::is_empty) {
        let help = format!("write at least one, such as `{EXAMPLE}`");
        sink.error(Kind::MissingKey, fields.spot, "`idleWhen` names no signal of the GPU", help);
    }
    Some(IdleWhen {
        place: sink.place(entry.spot),
        below: below?,
        no_requests: requests?.is_some(),
        window: window?,
        samples: samples?,
    })
}

/// `below 5%`, and of power `below 30% of limit`.
fn ceiling(node: &Node, signal: Signal, sink: &mut Sink<'_>) -> Option<Percent> {
    let what = format!("`{}`", signal.word());
    let (rest, example) = match signal {
        Signal::PowerDraw => (" of limit", "below 30% of limit"),
        _ => ("", "below 5%"),
    };
    below(node, &what, rest, example, "50%", sink)
}

/// `below SHARE` and a fixed rest.
fn below(
    node: &Node,
    what: &str,
    rest: &str,
    example: &str,
    most: &str,
    sink: &mut Sink<'_>,
) -> Option<Percent> {
    let text = sink.text(node, what)?;
    let share = text.strip_prefix("below ").and_then(|share| share.strip_suffix(rest));
    if share.is_some_and(|share| share.parse::<u64>().is_ok()) {
        let message = format!("{what} has no unit: `{text}`");
        sink.error(Kind::MissingUnit, node.spot, message, format!("write it like `{example}`"));
        return None;
    }
    let Some(percent) = share.and_then(|share| share.parse::<Percent>().ok()) else {
        let message = format!("{what} cannot be `{text}`");
        sink.error(Kind::BadPercent, node.spot, message, format!("write it like `{example}`"));
        return None;
    };
    let most: Percent = most.parse().ok()?;
    if percent == Percent::ZERO || percent > most {
        let message = format!("{what} cannot be below `{percent}`");
        sink.error(
            Kind::OutOfRange,
            node.spot,
            message,
            format!("write a share above 0% and up to `{most}`"),
        );
        return None;
    }
    Some(percent)
}

/// What is asked for where nothing is written, and the least that may be.
const NINETY: Percent = Percent::from_ppm(900_000);

fn samples(node: &Node, sink: &mut Sink<'_>) -> Option<Percent> {
    let text = sink.text(node, "`samples`")?;
    let Some(share) = text.strip_prefix("at least ").and_then(|share| share.parse::<Percent>().ok()) else {
        let message = format!("`samples` cannot be `{text}`");
        sink.error(Kind::BadPercent, node.spot, message, "write it like `at least 90%`");
        return None;
    };
    if !(NINETY..=Percent::WHOLE).contains(&share) {
        let message = format!("`samples` cannot be at least `{share}`");
        let help = "write a share from `90%` to `100%`: of a GPU with gaps it is not known that it is idle";
        sink.error(Kind::OutOfRange, node.spot, message, help);
        return None;
    }
    Some(share)
}

const PACK: Keys = Keys::of(&["gpuAllocation", "fitOn"]);

fn read_pack(entry: &Entry, sink: &mut Sink<'_>) -> Option<Pack> {
    let fields = sink.object(&entry.value, "`pack`", "{gpuAllocation: below 50%, fitOn: existing}", &PACK)?;
    let share = fields
        .required("gpuAllocation", "write which nodes are under-filled, `gpuAllocation: below 50%`", sink)
        .and_then(|node| below(node, "`gpuAllocation`", "", "below 50%", "100%", sink));
    let fit = fields
        .get("fitOn")
        .map_or(Some(()), |node| sink.word(node, "`fitOn`", Kind::UnknownWord, &[("existing", ())]));
    fit?;
    Some(Pack { place: sink.place(entry.spot), allocation_below: share? })
}

/// Acts, in the order in which they are done.
const ACTS: [&str; 4] = ["notify", "pauseScaledObjects", "cordon", "reclaim"];

fn then(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<IdleAct>> {
    let items = sink.list(node, "`then`", "[{notify: {route: owners}}]")?;
    let mut last: Option<&'static str> = None;
    let mut acts = Some(Vec::new());
    for item in items {
        let Some((act, spot)) = act(item, sink) else {
            acts = None;
            continue;
        };
        let rank = |word: &str| ACTS.iter().position(|act| *act == word);
        if let Some(before) = last.filter(|before| rank(act.word()) <= rank(before) && act.word() != ACTS[0])
        {
            let message = format!("`{}` comes after `{before}`", act.word());
            let help = "write workloads first, then supply, then the node: `pauseScaledObjects`, `cordon`, \
                        `reclaim`, each once";
            sink.error(Kind::ActOrder, spot, message, help);
        }
        if act.word() != ACTS[0] {
            last = Some(act.word());
        }
        if let Some(acts) = &mut acts {
            acts.push(act);
        }
    }
    acts
}

fn act(node: &Node, sink: &mut Sink<'_>) -> Option<(IdleAct, Spot)> {
    let entry = sink.act(node, "notify: {route: owners}")?;
    let place = sink.place(entry.spot);
    let act = match entry.key.as_str() {
        "notify" => notify(entry, sink)?,
        "pauseScaledObjects" => pause(entry, sink)?,
        "cordon" => {
            sink.object(&entry.value, "`cordon`", "cordon: {}", &Keys::of(&[]))?;
            IdleAct::Cordon { place }
        }
        "reclaim" => {
            said_true(entry, "nodeClaim", "the node's NodeClaim is what is deleted", sink)?;
            IdleAct::Reclaim { place }
        }
        other => {
            let help = match sink.meant(other, ACTS) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write {}", one_of(ACTS)),
            };
            sink.error(Kind::UnknownAct, entry.spot, format!("an idle policy has no act `{other}`"), help);
            return None;
        }
    };
    Some((act, entry.spot))
}

const NOTIFY: Keys = Keys::of(&["route", "ackFor"]);

fn notify(entry: &Entry, sink: &mut Sink<'_>) -> Option<IdleAct> {
    let fields = sink.object(&entry.value, "`notify`", "{route: owners, ackFor: 4h}", &NOTIFY)?;
    let limits = (Span::from_mins(5), Span::from_hours(31 * 24));
    let ack_for =
        optional(fields.entry("ackFor"), |entry| sink.span(&entry.value, "`ackFor`", limits.0, limits.1));
    let node = fields.required("route", "write `notify: {route: owners}`", sink)?;
    let route = sink.text(node, "`route`")?;
    sink.refer(RefKind::Route, route, node.spot);
    Some(IdleAct::Notify { route: route.into(), ack_for: ack_for?, place: sink.place(entry.spot) })
}

const PAUSE: Keys = Keys::of(&["onTarget", "except"]);

fn pause(entry: &Entry, sink: &mut Sink<'_>) -> Option<IdleAct> {
    let fields = sink.object(&entry.value, "`pauseScaledObjects`", "{onTarget: true}", &PAUSE)?;
    let except = fields.get("except").map_or(Some(Vec::new()), |node| exact_pairs(node, "`except`", sink));
    only_true(&fields, entry, "onTarget", "only what scales the idle workload itself is paused", sink)?;
    Some(IdleAct::PauseScaledObjects { except: except?, place: sink.place(entry.spot) })
}

/// An act of which one thing must be said on purpose, such as `reclaim: {nodeClaim: true}`.
fn said_true(entry: &Entry, key: &'static str, because: &str, sink: &mut Sink<'_>) -> Option<()> {
    let known = Keys::of(&["nodeClaim"]);
    let fields =
        sink.object(&entry.value, &format!("`{}`", entry.key), &format!("{{{key}: true}}"), &known)?;
    only_true(&fields, entry, key, because, sink)
}

fn only_true(
    fields: &Fields<'_>,
    entry: &Entry,
    key: &'static str,
    because: &str,
    sink: &mut Sink<'_>,
) -> Option<()> {
    let help = format!("write `{}: {{{key}: true}}`: {because}", entry.key);
    let node = fields.required(key, &help, sink)?;
    if sink.boolean(node, &format!("`{key}`"))? {
        return Some(());
    }
    sink.error(Kind::Conflict, node.spot, format!("`{key}: false` leaves nothing to do"), help);
    None
}

fn check_acts(then: &[IdleAct], mode: Mode, fields: &Fields<'_>, sink: &mut Sink<'_>) {
    let pause = then.iter().find(|act| matches!(act, IdleAct::PauseScaledObjects { .. }));
    if pause.is_some() && fields.get("idleWhen").is_none() && fields.get("pack").is_some() {
        let spot = fields.entry("then").map_or(fields.spot, |entry| entry.spot);
        let help = "add `idleWhen`, or take `pauseScaledObjects` out: packing moves pods and stops none";
        sink.error(Kind::Conflict, spot, "`pauseScaledObjects` without `idleWhen`", help);
    }
    if mode >= Mode::Approve && pause.is_none() {
        let spot = fields.entry("mode").map_or(fields.spot, |entry| entry.spot);
        let message = format!("`mode: {}`, but `then` stops nothing", mode.word());
        let help = "add `pauseScaledObjects: {onTarget: true}`, or write `mode: alert`";
        sink.warn(Kind::NothingToEnforce, spot, message, help);
    }
}
