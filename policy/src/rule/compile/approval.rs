//! `approval` and `groups` of a Guardrail: when a person is asked, and whose yes counts.
//!
//! Several documents add up to the strictest: where two say `from`, an actor must be named by both.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Approvers;
use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Node, Spot};
use super::super::read::{Keys, Sink};
use super::guardrail::{MOST_TARGETS, Part};
use crate::time::Span;

pub(super) const APPROVAL: Keys = Keys::of(&["targetsOver", "from", "expires"]);
const EXAMPLE: &str = "{targetsOver: 5, from: [finops-leads], expires: 15m}";
const GROUPS: &str = "groups: {finops-leads: [\"uid:1000\", ann]}";

/// What one document says of whose yes counts.
#[derive(Default)]
pub(super) struct Said {
    /// Names in `from`, with where each stands; `None` where there is none.
    from: Option<Vec<(Box<str>, Spot)>>,
    groups: Vec<(Box<str>, Spot, Vec<Box<str>>)>,
}

pub(super) fn read(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(fields) = sink.object(node, "`approval`", EXAMPLE, &APPROVAL) else { return };
    let limits = (Span::from_mins(1), Span::from_hours(24));
    part.expires = fields.get("expires").and_then(|n| sink.span(n, "`expires`", limits.0, limits.1));
    part.targets_over =
        fields.get("targetsOver").and_then(|n| sink.count(n, "`targetsOver`", 0, MOST_TARGETS));
    if let Some(node) = fields.get("from")
        && let Some(names) = sink.texts(node, "`from`", "from: [finops-leads]")
    {
        if names.is_empty() {
            let help = "write a group, or leave the key out: then every operator's yes counts";
            sink.error(Kind::EmptyValue, node.spot, "`from` names nobody", help);
        }
        part.said.from = Some(names.into_iter().map(|(name, spot)| (name.into(), spot)).collect());
    }
}

pub(super) fn read_groups(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(entries) = sink.map(node, "`groups`", GROUPS) else { return };
    for entry in entries {
        let Some(members) = sink.texts(&entry.value, &format!("group `{}`", entry.key), GROUPS) else {
            continue;
        };
        if members.is_empty() {
            let message = format!("group `{}` has no member", entry.key);
            sink.error(Kind::EmptyValue, entry.spot, message, format!("write `{GROUPS}`"));
        }
        let mut actors: Vec<Box<str>> = Vec::new();
        for (member, spot) in members {
            if member.starts_with("uid:") && !is_number(member) {
                let message = format!("`{member}` is no actor of the socket");
                let help = "write the number alone, `uid:1000`; `id -u NAME` says it";
                sink.error(Kind::BadActor, spot, message, help);
            }
            actors.push(member.into());
        }
        part.said.groups.push((entry.key.as_str().into(), entry.spot, actors));
    }
}

/// Whether it is an actor of the socket, by number.
fn is_number(text: &str) -> bool {
    text.strip_prefix("uid:").is_some_and(|n| n.parse::<u32>().is_ok_and(|number| number.to_string() == n))
}

/// Who may say yes, of all documents together.
pub(super) fn join(parts: &[Part], sinks: &mut [Sink<'_>]) -> Option<Approvers> {
    let groups = groups(parts, sinks);
    let mut whole: Option<Approvers> = None;
    for part in parts {
        let Some(from) = &part.said.from else { continue };
        let sink = &mut sinks[part.file];
        let mut actors: BTreeSet<Box<str>> = BTreeSet::new();
        let mut named: Vec<Box<str>> = Vec::new();
        for (name, spot) in from {
            named.push(name.clone());
            match groups.get(&**name) {
                Some(members) => actors.extend(members.iter().cloned()),
                None if is_number(name) => _ = actors.insert(name.clone()),
                None => {
                    unknown(name, *spot, &groups, sink);
                    return None;
                }
            }
        }
        let before = whole.take();
        if let Some(before) = &before {
            actors.retain(|actor| before.actors.contains(actor));
        }
        if actors.is_empty() && !from.is_empty() {
            let spot = from.first().map_or(Spot::START, |(_, spot)| *spot);
            let message = "nobody is named by every `from` of the set, so nobody could approve anything";
            let help = "name somebody in all of them, or keep one";
            sink.error(Kind::NoApprover, spot, message, help);
        }
        named.extend(before.map_or(Vec::new(), |before| before.named));
        named.sort();
        named.dedup();
        whole = Some(Approvers { named, actors: actors.into_iter().collect() });
    }
    whole
}

type Groups<'p> = BTreeMap<&'p str, &'p [Box<str>]>;

fn groups<'p>(parts: &'p [Part], sinks: &mut [Sink<'_>]) -> Groups<'p> {
    let mut groups = Groups::new();
    for part in parts {
        for (name, spot, members) in &part.said.groups {
            if groups.insert(name, members).is_some() {
                let help = "write all of its members in one place";
                let message = format!("there is a second group `{name}`");
                sinks[part.file].error(Kind::DuplicateName, *spot, message, help);
            }
        }
    }
    groups
}

fn unknown(name: &str, spot: Spot, groups: &Groups<'_>, sink: &mut Sink<'_>) {
    let help = match sink.meant(name, groups.keys().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None if groups.is_empty() => format!("write `{GROUPS}` beside `approval`, or `uid:1000` here"),
        None => format!("write {}, or `uid:1000`", one_of(groups.keys().copied().take(10))),
    };
    sink.error(Kind::UnknownGroup, spot, format!("there is no group `{name}`"), help);
}
