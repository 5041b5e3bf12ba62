//! `kind: Guardrail`. Several documents add up: protections unite, and of each cap the strictest holds.
//! The built-in protections cannot be taken away.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape, Spot};
use super::super::read::{Keys, RefKind, Sink, all_of};
use super::super::{FirstDays, FreezeWindow, Guardrail, Mode, ProtectedKind};
use super::{approval, freeze};
use crate::inventory::ObjectKey;
use crate::money::Percent;
use crate::time::Span;

pub(super) const GUARDRAIL: Keys = Keys {
    known: &["protect", "blastRadius", "approval", "page", "freeze", "groups", "firstDays"],
    later: &[("mode", "take it out; the ceiling is in the daemon's configuration")],
};
pub(super) const PROTECT: Keys = Keys::of(&["namespaces", "labels", "objects", "kinds"]);
pub(super) const BLAST: Keys = Keys::of(&["perRule", "atLeast", "overall"]);
pub(super) const FIRST_DAYS: Keys = Keys::of(&["mode", "days"]);

/// Kinds that can be protected, by word.
const KINDS: [(&str, ProtectedKind); 4] = [
    ("ScaledObject", ProtectedKind::ScaledObject),
    ("Deployment", ProtectedKind::Deployment),
    ("StatefulSet", ProtectedKind::StatefulSet),
    ("Node", ProtectedKind::Node),
];

/// Modes that a new budget may be kept to, by word.
pub(super) const FIRST_MODES: [(&str, Mode); 3] =
    [("observe", Mode::Observe), ("alert", Mode::Alert), ("approve", Mode::Approve)];

/// A new budget is watched for so many days where the rule does not say.
const DAYS: u32 = 7;

/// What one document says.
#[derive(Default)]
pub(super) struct Part {
    /// Index of its file, for diagnostics of the second pass.
    pub(super) file: usize,
    namespaces: Vec<Box<str>>,
    labels: Vec<(Box<str>, Box<str>)>,
    objects: Vec<ObjectKey>,
    kinds: Vec<ProtectedKind>,
    per_rule: Option<Percent>,
    at_least: Option<u32>,
    overall: Option<u32>,
    per: Option<Span>,
    pub(super) expires: Option<Span>,
    page: Option<Box<str>>,
    freeze: Vec<(FreezeWindow, Spot)>,
    pub(super) targets_over: Option<u32>,
    pub(super) said: approval::Said,
    first_days: Option<FirstDays>,
    /// Of `atLeast: 0`.
    no_least: Option<Spot>,
}

/// All documents over the defaults. The lower of two stated caps holds, and the longer of two windows.
pub(super) fn join(parts: Vec<Part>, sinks: &mut [Sink<'_>]) -> Guardrail {
    let mut whole = Guardrail { approvers: approval::join(&parts, sinks), ..Guardrail::default() };
    let mut caps = Part::default();
    for part in &parts {
        whole.protected_namespaces.extend(part.namespaces.iter().cloned());
        whole.protected_labels.extend(part.labels.iter().cloned());
        whole.protected_objects.extend(part.objects.iter().cloned());
        whole.protected_kinds.extend(&part.kinds);
        whole.freeze.extend(part.freeze.iter().map(|(window, _)| window.clone()));
        whole.first_days = either(whole.first_days, part.first_days, stricter);
        whole.targets_over = either(whole.targets_over, part.targets_over, Ord::min);
        caps.per_rule = either(caps.per_rule, part.per_rule, Ord::min);
        caps.at_least = either(caps.at_least, part.at_least, Ord::min);
        caps.overall = either(caps.overall, part.overall, Ord::min);
        caps.per = either(caps.per, part.per, Ord::max);
        caps.expires = either(caps.expires, part.expires, Ord::min);
        caps.page = caps.page.or(part.page.clone());
    }
    whole.per_rule = caps.per_rule.unwrap_or(whole.per_rule);
    whole.at_least = caps.at_least.unwrap_or(whole.at_least);
    whole.overall = caps.overall.unwrap_or(whole.overall);
    whole.per = caps.per.unwrap_or(whole.per);
    whole.approval_expires = caps.expires.unwrap_or(whole.approval_expires);
    whole.page = caps.page;
    whole.protected_kinds.sort_unstable();
    whole.protected_kinds.dedup();
    whole.freeze = freeze::in_order(whole.freeze);
    for part in &parts {
        freeze::check(&part.freeze, &whole, &mut sinks[part.file]);
        check_least(part, &whole, &mut sinks[part.file]);
    }
    whole
}

fn either<T>(a: Option<T>, b: Option<T>, pick: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(pick(a, b)),
        (a, b) => a.or(b),
    }
}

/// The lower mode, and the longer time.
fn stricter(a: FirstDays, b: FirstDays) -> FirstDays {
    FirstDays { mode: a.mode.min(b.mode), length: a.length.max(b.length) }
}

/// A share of few targets is less than one: with nothing under it the cap refuses the first stop already.
fn check_least(part: &Part, whole: &Guardrail, sink: &mut Sink<'_>) {
    let Some(spot) = part.no_least else { return };
    let needed = Percent::WHOLE.ppm().div_ceil(whole.per_rule.ppm().max(1));
    if needed > 1 {
        let message = format!(
            "{} of the eligible targets is less than one where there are fewer than {needed}, and then every stop \
             is over the cap",
            whole.per_rule
        );
        sink.warn(Kind::CapRefuses, spot, message, "write `atLeast: 1` or more");
    }
}

pub(super) fn read(spec: &Node, sink: &mut Sink<'_>, file: usize) -> Option<Part> {
    let fields = sink.object(spec, "a guardrail", "protect: {namespaces: [payments]}", &GUARDRAIL)?;
    let mut part = Part { file, ..Part::default() };
    if let Some(node) = fields.get("protect") {
        protect(node, &mut part, sink);
    }
    if let Some(node) = fields.get("blastRadius") {
        blast_radius(node, &mut part, sink);
    }
    if let Some(node) = fields.get("approval") {
        approval::read(node, &mut part, sink);
    }
    if let Some(node) = fields.get("groups") {
        approval::read_groups(node, &mut part, sink);
    }
    if let Some(node) = fields.get("freeze") {
        part.freeze = freeze::read(node, sink);
    }
    part.first_days = fields.get("firstDays").and_then(|node| first_days(node, sink));
    if let Some(node) = fields.get("page")
        && let Some(name) = sink.text(node, "`page`")
    {
        sink.refer(RefKind::Route, name, node.spot);
        part.page = Some(name.into());
    }
    Some(part)
}

/// `observe`, or `{mode: observe, days: 14}`.
fn first_days(node: &Node, sink: &mut Sink<'_>) -> Option<FirstDays> {
    let length = |days: u32| Span::from_hours(24 * i64::from(days));
    if !matches!(node.shape, Shape::Map(_)) {
        let mode = sink.word(node, "`firstDays`", Kind::UnknownMode, &FIRST_MODES)?;
        return Some(FirstDays { mode, length: length(DAYS) });
    }
    let fields = sink.object(node, "`firstDays`", "{mode: observe, days: 14}", &FIRST_DAYS)?;
    let mode = fields.required("mode", "write `{mode: observe, days: 14}`", sink);
    let mode = mode.and_then(|n| sink.word(n, "`mode`", Kind::UnknownMode, &FIRST_MODES));
    let days = fields.get("days").map_or(Some(DAYS), |n| sink.count(n, "`days`", 1, 366));
    Some(FirstDays { mode: mode?, length: length(days?) })
}

fn protect(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let example =
        "{namespaces: [payments], labels: {tier: critical}, objects: [checkout/api], kinds: [StatefulSet]}";
    let Some(fields) = sink.object(node, "`protect`", example, &PROTECT) else { return };
    if let Some(node) = fields.get("namespaces")
        && let Some(texts) = sink.texts(node, "`namespaces`", "namespaces: [payments, \"prod-*\"]")
    {
        for (text, spot) in texts {
            part.namespaces.extend(sink.glob(text, spot));
        }
    }
    if let Some(node) = fields.get("labels")
        && let Some(pairs) = sink.pairs(node, "`labels`", "labels: {tier: critical}")
    {
        for (entry, value) in pairs {
            if value.contains(['*', '?']) {
                let help = "write the label's value itself";
                sink.error(Kind::BadGlob, entry.value.spot, format!("`{value}` is not expanded here"), help);
            }
            part.labels.push((entry.key.as_str().into(), value.into()));
        }
    }
    if let Some(node) = fields.get("objects")
        && let Some(texts) = sink.texts(node, "`objects`", "objects: [checkout/api]")
    {
        for (text, spot) in texts {
            part.objects.extend(object(text, spot, sink));
        }
    }
    if let Some(node) = fields.get("kinds")
        && let Some(items) = sink.list(node, "`kinds`", "kinds: [StatefulSet]")
    {
        let kinds = all_of(items.iter().map(|item| sink.word(item, "a kind", Kind::UnknownWord, &KINDS)));
        part.kinds = kinds.unwrap_or_default();
    }
}

fn object(text: &str, spot: Spot, sink: &mut Sink<'_>) -> Option<ObjectKey> {
    match text.parse() {
        Ok(key) => Some(key),
        Err(_) => {
            let help = "write it like `checkout/api` or `ScaledObject/checkout/api`";
            sink.error(Kind::BadObject, spot, format!("`{text}` names no object"), help);
            None
        }
    }
}

fn blast_radius(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let example = "{perRule: 10% of eligible targets per 10m, atLeast: 5, overall: 20 per 10m}";
    let Some(fields) = sink.object(node, "`blastRadius`", example, &BLAST) else { return };
    let mut windows: Vec<(Span, Spot)> = Vec::new();
    if let Some(node) = fields.get("perRule")
        && let Some((share, per)) = per_rule(node, sink)
    {
        part.per_rule = Some(share);
        windows.push((per, node.spot));
    }
    if let Some(node) = fields.get("overall")
        && let Some((most, per)) = overall(node, sink)
    {
        part.overall = Some(most);
        windows.push((per, node.spot));
    }
    part.at_least = fields.get("atLeast").and_then(|n| sink.count(n, "`atLeast`", 0, MOST_TARGETS));
    part.no_least = fields.get("atLeast").filter(|_| part.at_least == Some(0)).map(|n| n.spot);
    if let [(first, _), (second, spot)] = windows.as_slice()
        && first != second
    {
        let message = format!("the two caps are per `{first}` and per `{second}`");
        sink.error(
            Kind::BadCap,
            *spot,
            message,
            format!("write the same time in both, such as `per {first}`"),
        );
    }
    part.per = windows.first().map(|(per, _)| *per);
}

/// Beyond it, a cap is none.
pub(super) const MOST_TARGETS: u32 = 10_000;
const PER_RULE: &str = "write it like `10% of eligible targets per 10m`";
const OVERALL: &str = "write it like `20 per 10m`";

fn per_rule(node: &Node, sink: &mut Sink<'_>) -> Option<(Percent, Span)> {
    let text = sink.text(node, "`perRule`")?;
    let parts = text.split_once(" of eligible targets per ");
    let read =
        parts.and_then(|(share, per)| Some((share.parse::<Percent>().ok()?, per.parse::<Span>().ok()?)));
    let Some((share, per)) = read else {
        sink.error(Kind::BadCap, node.spot, format!("`{text}` is no cap of a rule"), PER_RULE);
        return None;
    };
    if share == Percent::ZERO || share > Percent::WHOLE {
        let message = format!("a cap of `{share}` of the targets");
        let help = "write a share above 0% and up to 100%; to stop nothing, write `mode: alert`";
        sink.error(Kind::OutOfRange, node.spot, message, help);
        return None;
    }
    Some((share, cap_window(per, node.spot, sink)?))
}

fn overall(node: &Node, sink: &mut Sink<'_>) -> Option<(u32, Span)> {
    let text = sink.text(node, "`overall`")?;
    let parts = text.split_once(" per ");
    let read = parts.and_then(|(most, per)| Some((most.parse::<u32>().ok()?, per.parse::<Span>().ok()?)));
    let Some((most, per)) = read else {
        sink.error(Kind::BadCap, node.spot, format!("`{text}` is no overall cap"), OVERALL);
        return None;
    };
    if !(1..=MOST_TARGETS).contains(&most) {
        let help = format!("write a number from 1 to {MOST_TARGETS}; to stop nothing, write `mode: alert`");
        sink.error(Kind::OutOfRange, node.spot, format!("a cap of `{most}` targets"), help);
        return None;
    }
    Some((most, cap_window(per, node.spot, sink)?))
}

fn cap_window(per: Span, spot: Spot, sink: &mut Sink<'_>) -> Option<Span> {
    let (least, most) = (Span::from_mins(1), Span::from_hours(24));
    if (least..=most).contains(&per) {
        return Some(per);
    }
    let help = format!("write a time from `{least}` to `{most}`");
    sink.error(Kind::OutOfRange, spot, format!("a cap per `{per}`"), help);
    None
}
