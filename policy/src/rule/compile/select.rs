//! `select`: which charges a budget counts.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape};
use super::super::read::{Keys, RefKind, Sink, all_of};
use super::super::{ChargeKind, Condition, Selector, Test};
use super::when;

pub(super) const SELECT: Keys = Keys::of(&["all", "subjects", "when", "charges"]);

/// Kinds of charge by word.
pub(super) const CHARGES: [(&str, ChargeKind); 3] = [
    (ChargeKind::Tokens.word(), ChargeKind::Tokens),
    (ChargeKind::Gpu.word(), ChargeKind::Gpu),
    (ChargeKind::Other.word(), ChargeKind::Other),
];

pub(super) fn read(node: &Node, sink: &mut Sink<'_>) -> Option<Selector> {
    let fields = sink.object(node, "`select`", "select: {subjects: {tenant: acme}}", &SELECT)?;
    let all = fields.get("all").map_or(Some(false), |n| sink.boolean(n, "`all`"));
    let subjects = fields.get("subjects").map_or(Some(Vec::new()), |n| conditions(n, sink));
    let charges = fields.get("charges").map_or(Some(Vec::new()), |n| charges(n, sink));
    let when = fields.get("when").map_or(Some(None), |n| when::read(n, sink).map(Some));
    let (all, subjects) = (all?, subjects?);
    let stated = fields.get("when").is_some();
    if all && (!subjects.is_empty() || stated) {
        let help = "keep `all: true` for everything, or the conditions";
        sink.error(Kind::Conflict, fields.spot, "`select` has `all: true` and conditions", help);
    }
    if !all && !stated && subjects.is_empty() && fields.get("subjects").is_none_or(is_empty) {
        let help = "write `all: true` to count every charge on purpose, or a condition under `subjects`";
        sink.error(Kind::EmptySelector, fields.spot, "`select` selects by nothing", help);
    }
    Some(Selector { all, subjects, charges: charges?, when: when? })
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.shape, Shape::Map(entries) if entries.is_empty())
}

fn charges(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<ChargeKind>> {
    let items = sink.list(node, "`charges`", "charges: [tokens]")?;
    if items.is_empty() {
        let help = "leave `charges` out for every kind";
        sink.error(Kind::EmptySelector, node.spot, "`charges` selects nothing", help);
    }
    let mut kinds = all_of(items.iter().map(|n| sink.word(n, "a charge", Kind::UnknownCharge, &CHARGES)))?;
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

const EXAMPLE: &str = "subjects: {tenant: [acme, \"team-*\"], model: {notIn: [\"*haiku*\"]}}";

pub(super) fn conditions(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<Condition>> {
    let entries = sink.map(node, "`subjects`", EXAMPLE)?;
    all_of(entries.iter().map(|entry| {
        sink.refer(RefKind::Field, &entry.key, entry.spot);
        let test = test(&entry.value, &format!("`{}`", entry.key), sink)?;
        Some(Condition { field: entry.key.as_str().into(), test })
    }))
}

pub(super) const TEST: Keys = Keys::of(&["in", "notIn", "exists"]);

/// A value, a list of values, or `{in: […]}`, `{notIn: […]}`, `{exists: true}`.
fn test(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Test> {
    match &node.shape {
        Shape::List(_) => values(node, what, sink).map(Test::In),
        Shape::Map(_) => {
            let fields = sink.object(node, what, "{notIn: [acme]}", &TEST)?;
            let stated: Vec<&str> = TEST.known.iter().copied().filter(|k| fields.get(k).is_some()).collect();
            let [one] = stated.as_slice() else {
                let help = "write one of `in`, `notIn` and `exists`";
                sink.error(Kind::Conflict, fields.spot, format!("{what} needs exactly one operator"), help);
                return None;
            };
            let value = fields.get(one)?;
            match *one {
                "in" => values(value, what, sink).map(Test::In),
                "notIn" => values(value, what, sink).map(Test::NotIn),
                _ => {
                    sink.boolean(value, "`exists`").map(|y| if y { Test::Exists } else { Test::DoesNotExist })
                }
            }
        }
        _ => {
            let text = sink.text(node, what)?;
            sink.glob(text, node.spot).map(|glob| Test::In(vec![glob]))
        }
    }
}

fn values(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Vec<Box<str>>> {
    let texts = sink.texts(node, what, "[acme, \"team-*\"]")?;
    if texts.is_empty() {
        let message = format!("{what} has a list without a value");
        sink.error(Kind::EmptySelector, node.spot, message, "write at least one value, or leave it out");
        return None;
    }
    all_of(texts.into_iter().map(|(text, spot)| sink.glob(text, spot)))
}
