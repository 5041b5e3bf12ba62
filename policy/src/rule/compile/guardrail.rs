//! `kind: Guardrail`. Several documents add up: protections unite, and of each cap the strictest holds.
//! The built-in protections cannot be taken away.

use super::super::Guardrail;
use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{Keys, RefKind, Sink};
use crate::inventory::ObjectKey;
use crate::money::Percent;
use crate::time::Span;

pub(super) const GUARDRAIL: Keys = Keys {
    known: &["protect", "blastRadius", "approval", "page"],
    later: &[
        ("freeze", "take it out, and use the command `freeze`"),
        ("firstDays", "take it out, and leave `mode: observe` in the rules"),
        ("mode", "take it out; the ceiling is in the daemon's configuration"),
    ],
};
pub(super) const PROTECT: Keys = Keys {
    known: &["namespaces", "labels", "objects"],
    later: &[("kinds", "take it out; only ScaledObjects are stopped")],
};
pub(super) const BLAST: Keys = Keys::of(&["perRule", "atLeast", "overall"]);
pub(super) const APPROVAL: Keys = Keys {
    known: &["expires"],
    later: &[
        ("targetsOver", "take it out, and write `mode: approve` in the budget"),
        ("from", "take it out; whoever may reach the operator socket may approve"),
    ],
};

/// What one document says.
#[derive(Default)]
pub(super) struct Part {
    namespaces: Vec<Box<str>>,
    labels: Vec<(Box<str>, Box<str>)>,
    objects: Vec<ObjectKey>,
    per_rule: Option<Percent>,
    at_least: Option<u32>,
    overall: Option<u32>,
    per: Option<Span>,
    expires: Option<Span>,
    page: Option<Box<str>>,
}

/// All documents over the defaults. The lower of two stated caps holds, and the longer of two windows.
pub(super) fn join(parts: Vec<Part>) -> Guardrail {
    let mut whole = Guardrail::default();
    let mut caps = Part::default();
    for part in parts {
        whole.protected_namespaces.extend(part.namespaces);
        whole.protected_labels.extend(part.labels);
        whole.protected_objects.extend(part.objects);
        caps.per_rule = either(caps.per_rule, part.per_rule, Ord::min);
        caps.at_least = either(caps.at_least, part.at_least, Ord::min);
        caps.overall = either(caps.overall, part.overall, Ord::min);
        caps.per = either(caps.per, part.per, Ord::max);
        caps.expires = either(caps.expires, part.expires, Ord::min);
        caps.page = caps.page.or(part.page);
    }
    whole.per_rule = caps.per_rule.unwrap_or(whole.per_rule);
    whole.at_least = caps.at_least.unwrap_or(whole.at_least);
    whole.overall = caps.overall.unwrap_or(whole.overall);
    whole.per = caps.per.unwrap_or(whole.per);
    whole.approval_expires = caps.expires.unwrap_or(whole.approval_expires);
    whole.page = caps.page;
    whole
}

fn either<T>(a: Option<T>, b: Option<T>, pick: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(pick(a, b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn read(spec: &Node, sink: &mut Sink<'_>) -> Option<Part> {
    let fields = sink.object(spec, "a guardrail", "protect: {namespaces: [payments]}", &GUARDRAIL)?;
    let mut part = Part::default();
    if let Some(node) = fields.get("protect") {
        protect(node, &mut part, sink);
    }
    if let Some(node) = fields.get("blastRadius") {
        blast_radius(node, &mut part, sink);
    }
    if let Some(node) = fields.get("approval")
        && let Some(approval) = sink.object(node, "`approval`", "{expires: 15m}", &APPROVAL)
    {
        let limits = (Span::from_mins(1), Span::from_hours(24));
        part.expires = approval.get("expires").and_then(|n| sink.span(n, "`expires`", limits.0, limits.1));
    }
    if let Some(node) = fields.get("page")
        && let Some(name) = sink.text(node, "`page`")
    {
        sink.refer(RefKind::Route, name, node.spot);
        part.page = Some(name.into());
    }
    Some(part)
}

fn protect(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let example = "{namespaces: [payments], labels: {tier: critical}, objects: [checkout/api]}";
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
const MOST_TARGETS: u32 = 10_000;
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
