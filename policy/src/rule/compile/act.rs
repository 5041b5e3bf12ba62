//! What a budget does: `notify` and `pauseScaledObjects`.

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::glob::is_glob;
use super::super::node::{Entry, Node, Shape, Spot};
use super::super::read::{Keys, RefKind, Sink, all_of};
use super::super::{Act, TargetSelector, Template};
use crate::subject::FieldName;

/// Acts that are read.
pub(super) const ACTS: [&str; 2] = ["notify", "pauseScaledObjects"];

/// Acts of the language that this version refuses.
const LATER_ACTS: [&str; 8] = [
    "stopNodePools",
    "cordon",
    "drain",
    "reclaim",
    "checkpoint",
    "scaleWorkloads",
    "denyModelAccess",
    "reduceQuota",
];

/// One act: a map with one key. `key` is `onWarn` or `onTrip`.
pub(super) fn read(
    node: &Node,
    key: &'static str,
    per_each: &[FieldName],
    sink: &mut Sink<'_>,
) -> Option<Act> {
    let entry = sink.act(node, "notify: {route: finops}")?;
    match entry.key.as_str() {
        "notify" => notify(entry, sink),
        "pauseScaledObjects" if key == "onWarn" => {
            let message = "`pauseScaledObjects` under `onWarn` would stop before the limit";
            let help = "move it under `onTrip`; for an earlier stop write another budget";
            sink.error(Kind::Conflict, entry.spot, message, help);
            None
        }
        "pauseScaledObjects" => pause(entry, per_each, sink),
        other if LATER_ACTS.contains(&other) => {
            let message = format!("`{other}` is not supported by this version");
            sink.error(Kind::Unsupported, entry.spot, message, format!("write {}", one_of(ACTS)));
            None
        }
        other => {
            let help = match sink.meant(other, ACTS.into_iter().chain(LATER_ACTS)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write {}", one_of(ACTS)),
            };
            sink.error(Kind::UnknownAct, entry.spot, format!("there is no act `{other}`"), help);
            None
        }
    }
}

pub(super) const NOTIFY: Keys =
    Keys { known: &["route"], later: &[("ackFor", "take it out; a message does not wait for an answer")] };

fn notify(entry: &Entry, sink: &mut Sink<'_>) -> Option<Act> {
    let fields = sink.object(&entry.value, "`notify`", "{route: finops}", &NOTIFY)?;
    let node = fields.required("route", "write `notify: {route: finops}`", sink)?;
    let route = sink.text(node, "`route`")?;
    sink.refer(RefKind::Route, route, node.spot);
    Some(Act::Notify { route: route.into(), place: sink.place(entry.spot) })
}

pub(super) const PAUSE: Keys = Keys {
    known: &["all", "in", "matching", "except"],
    later: &[("onTarget", "take it out; name the objects with `in` or `matching`")],
};
pub(super) const IN: Keys = Keys::of(&["namespaces", "namespaceLabels"]);
const PAUSE_EXAMPLE: &str = "{in: {namespaceLabels: {tenant: \"${tenant}\"}}}";

fn pause(entry: &Entry, per_each: &[FieldName], sink: &mut Sink<'_>) -> Option<Act> {
    let fields = sink.object(&entry.value, "`pauseScaledObjects`", PAUSE_EXAMPLE, &PAUSE)?;
    let all = fields.get("all").map_or(Some(false), |n| sink.boolean(n, "`all`"));
    let within = fields.get("in").map_or(Some((Vec::new(), Vec::new())), |n| places(n, per_each, sink));
    let labels = fields.get("matching").map_or(Some(Vec::new()), |n| labels(n, "`matching`", per_each, sink));
    let except = fields.get("except").map_or(Some(Vec::new()), |n| except(n, sink));
    let (all, (namespaces, namespace_labels), labels) = (all?, within?, labels?);
    let conditions = namespaces.len() + namespace_labels.len() + labels.len();
    if all && conditions > 0 {
        let help = "keep `all: true` for everything, or the conditions";
        sink.error(Kind::Conflict, entry.spot, "`pauseScaledObjects` has `all: true` and conditions", help);
    }
    if !all && conditions == 0 {
        let message = "`pauseScaledObjects` names no target";
        let help = format!("write for example `{PAUSE_EXAMPLE}`, or `all: true` on purpose");
        sink.error(Kind::EmptyTarget, entry.spot, message, help);
    }
    let targets = TargetSelector { all, namespaces, namespace_labels, labels, except: except? };
    if all || conditions > 0 {
        warn_if_shared(&targets, per_each, entry.spot, sink);
    }
    Some(Act::PauseScaledObjects { targets, place: sink.place(entry.spot) })
}

/// With one breaker for each tenant, targets that do not depend on the tenant are stopped by any of them.
fn warn_if_shared(targets: &TargetSelector, per_each: &[FieldName], spot: Spot, sink: &mut Sink<'_>) {
    let labels = targets.namespace_labels.iter().chain(&targets.labels).map(|(_, value)| value);
    let depends = targets.namespaces.iter().chain(labels).any(|t| matches!(t, Template::Field(_)));
    if let Some(field) = per_each.first()
        && !depends
    {
        let message = format!("each `{field}` has its own breaker, and any of them stops these targets");
        let help = format!(
            "write `${{{field}}}` in a target, such as `{{namespaceLabels: {{{field}: \"${{{field}}}\"}}}}`"
        );
        sink.warn(Kind::SharedTarget, spot, message, help);
    }
}

type Places = (Vec<Template>, Vec<(Box<str>, Template)>);

fn places(node: &Node, per_each: &[FieldName], sink: &mut Sink<'_>) -> Option<Places> {
    let fields = sink.object(node, "`in`", "{namespaces: [checkout]}", &IN)?;
    let namespaces = fields.get("namespaces").map_or(Some(Vec::new()), |n| {
        let texts = sink.texts(n, "`namespaces`", "namespaces: [checkout]")?;
        reject_empty(n, "`namespaces`", sink);
        all_of(texts.into_iter().map(|(text, spot)| template(text, spot, per_each, sink)))
    });
    let labels = fields
        .get("namespaceLabels")
        .map_or(Some(Vec::new()), |n| labels(n, "`namespaceLabels`", per_each, sink));
    Some((namespaces?, labels?))
}

/// An empty list or map of conditions would be dropped unseen where another condition stands beside it.
fn reject_empty(node: &Node, what: &str, sink: &mut Sink<'_>) {
    let empty = match &node.shape {
        Shape::List(items) => items.is_empty(),
        Shape::Map(entries) => entries.is_empty(),
        _ => false,
    };
    if empty {
        let help = "write at least one, or leave the key out";
        sink.error(Kind::EmptyTarget, node.spot, format!("{what} names nothing"), help);
    }
}

fn labels(
    node: &Node,
    what: &str,
    per_each: &[FieldName],
    sink: &mut Sink<'_>,
) -> Option<Vec<(Box<str>, Template)>> {
    let pairs = sink.pairs(node, what, "{tenant: \"${tenant}\"}")?;
    reject_empty(node, what, sink);
    all_of(pairs.into_iter().map(|(entry, text)| {
        Some((entry.key.as_str().into(), template(text, entry.value.spot, per_each, sink)?))
    }))
}

fn except(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let pairs = sink.pairs(node, "`except`", "{tier: critical}")?;
    reject_empty(node, "`except`", sink);
    all_of(pairs.into_iter().map(|(entry, text)| {
        let spot = entry.value.spot;
        if text.contains("${") {
            let help = "write the label's value itself";
            sink.error(Kind::BadTemplate, spot, format!("`{text}` is not expanded under `except`"), help);
        } else if is_glob(text) {
            sink.error(Kind::BadGlob, spot, format!("`{text}` is not expanded here"), EXACT);
        } else {
            return Some((entry.key.as_str().into(), text.into()));
        }
        None
    }))
}

const EXACT: &str = "targets are named exactly; write one value";

/// A literal, or `${field}` as the whole value.
fn template(text: &str, spot: Spot, per_each: &[FieldName], sink: &mut Sink<'_>) -> Option<Template> {
    if !text.contains("${") {
        if is_glob(text) {
            sink.error(Kind::BadGlob, spot, format!("`{text}` is not expanded here"), EXACT);
            return None;
        }
        return Some(Template::Literal(text.into()));
    }
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::trim);
    let Some(field) = inner.filter(|f| !f.is_empty() && !f.contains(['$', '{', '}'])) else {
        let message = format!("`{text}` is not one `${{field}}`");
        let help = "write `${tenant}` alone; text around it is not supported";
        sink.error(Kind::BadTemplate, spot, message, help);
        return None;
    };
    if per_each.iter().any(|f| **f == *field) {
        return Some(Template::Field(field.into()));
    }
    let help = match sink.meant(field, per_each.iter().map(|f| &**f)) {
        Some(close) => format!("did you mean `${{{close}}}`?"),
        None if per_each.is_empty() => format!("add `perEach: [{field}]`, or write the value itself"),
        None => format!("write a field of `perEach`: {}", one_of(per_each.iter().map(|f| &**f))),
    };
    sink.error(Kind::TemplateField, spot, format!("`{field}` is not in `perEach`"), help);
    None
}
