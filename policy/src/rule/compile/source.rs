//! `kind: Source`. What is said of the source of that name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::super::{Authority, Condition, SourceRule};
use super::{Header, limit, select};
use crate::time::{Span, Timestamp};

pub(super) const SOURCE: Keys = Keys {
    known: &["staleAfter", "freshness", "enabled", "authoritative"],
    later: &[
        ("type", "take it out; which inputs run is in the daemon's configuration"),
        ("scope", "take it out; what a source may report is in the daemon's configuration"),
    ],
};
pub(super) const AUTHORITY: Keys = Keys::of(&["for", "all", "over", "from", "until"]);
const EXAMPLE: &str = "{for: {account: \"111122223333\"}, over: [gateway]}";

/// A source's rule, and where its authorities stand.
pub(super) struct Part {
    name: Box<str>,
    file: usize,
    spots: Vec<Spot>,
    rule: SourceRule,
}

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>, file: usize) -> Option<Part> {
    let fields = sink.object(spec, "a source", "staleAfter: 15m", &SOURCE)?;
    if SOURCE.known.iter().all(|key| fields.get(key).is_none()) {
        let help = "write `staleAfter: 15m`, `freshness`, `enabled: false` or `authoritative`";
        sink.error(Kind::MissingKey, fields.spot, "the source says nothing", help);
        return None;
    }
    let limits = (Span::from_mins(1), Span::from_hours(31 * 24));
    let mut span = |key: &str| match fields.get(key) {
        None => Some(None),
        Some(node) => sink.span(node, &format!("`{key}`"), limits.0, limits.1).map(Some),
    };
    let (stale_after, freshness) = (span("staleAfter"), span("freshness"));
    let enabled = fields.get("enabled").map_or(Some(true), |node| sink.boolean(node, "`enabled`"));
    let authoritative = authorities(&fields, header, sink);
    if let Some(entry) = fields.entry("authoritative") {
        refuse_blind(&fields, entry.spot, enabled, sink);
    }
    let (spots, authoritative) = authoritative?.into_iter().unzip();
    let rule =
        SourceRule { stale_after: stale_after?, freshness: freshness?, disabled: !enabled?, authoritative };
    Some(Part { name: header.name.clone(), file, spots, rule })
}

/// Whatever others report is not added while it counts: its own silence must be noticed, and it must count.
fn refuse_blind(fields: &Fields<'_>, spot: Spot, enabled: Option<bool>, sink: &mut Sink<'_>) {
    if enabled == Some(false) {
        let message = "a source that is not enabled cannot be authoritative: nobody's usage would count";
        sink.error(Kind::Conflict, spot, message, "take out `authoritative`, or `enabled: false`");
    }
    if fields.get("staleAfter").is_none() {
        let message = "an authoritative source has no `staleAfter`";
        let help = "write `staleAfter: 15m`: what others report is not added, so its silence must be told";
        sink.error(Kind::MissingKey, spot, message, help);
    }
}

fn authorities(fields: &Fields<'_>, header: &Header, sink: &mut Sink<'_>) -> Option<Vec<(Spot, Authority)>> {
    let Some(node) = fields.get("authoritative") else { return Some(Vec::new()) };
    let items = sink.list(node, "`authoritative`", &format!("[{EXAMPLE}]"))?;
    all_of(items.iter().map(|item| Some((item.spot, authority(item, header, sink)?))))
}

fn authority(node: &Node, header: &Header, sink: &mut Sink<'_>) -> Option<Authority> {
    let fields = sink.object(node, "an authority", EXAMPLE, &AUTHORITY)?;
    let subjects = subjects(&fields, sink);
    let over = fields.required("over", &format!("write `{EXAMPLE}`"), sink);
    let over = over.and_then(|node| over_whom(node, header, sink));
    let mut time = |key: &str| fields.get(key).map_or(Some(None), |node| instant(node, key, sink).map(Some));
    let (from, until) = (time("from")?, time("until")?);
    if let (Some(begins), Some(ends)) = (from, until)
        && ends <= begins
    {
        let message = "`until` is not after `from`, so it never counts";
        sink.error(Kind::OutOfRange, fields.spot, message, "write the two in the order of their times");
        return None;
    }
    Some(Authority { subjects: subjects?, over: over?, from, until })
}

/// A day begins with its first instant, and ends with its last; in UTC.
fn instant(node: &Node, key: &str, sink: &mut Sink<'_>) -> Option<Timestamp> {
    let at = limit::until(node, None, sink)?;
    let is_day = sink.text(node, key)?.len() == "2026-11-20".len();
    Some(if key == "from" && is_day { at.minus(Span::from_hours(24)) } else { at })
}

fn subjects(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Vec<Condition>> {
    let all = fields.get("all").map_or(Some(false), |node| sink.boolean(node, "`all`"))?;
    let subjects = fields.get("for").map_or(Some(Vec::new()), |node| select::conditions(node, sink))?;
    match (all, subjects.is_empty()) {
        (true, false) => {
            let help = "keep `all: true` for everything, or the conditions";
            sink.error(Kind::Conflict, fields.spot, "an authority has `all: true` and conditions", help);
            None
        }
        (false, true) => {
            let help = format!("write `all: true` for every charge on purpose, or `{EXAMPLE}`");
            sink.error(Kind::EmptySelector, fields.spot, "an authority is for nothing", help);
            None
        }
        _ => Some(subjects),
    }
}

fn over_whom(node: &Node, header: &Header, sink: &mut Sink<'_>) -> Option<Vec<Box<str>>> {
    let texts = sink.texts(node, "`over`", "over: [gateway]")?;
    if texts.is_empty() {
        let help = "name the sources that report the same spend, such as `over: [gateway]`";
        sink.error(Kind::EmptyValue, node.spot, "`over` names no source", help);
        return None;
    }
    for (text, spot) in &texts {
        if *text == &*header.name {
            let message = format!("source `{text}` is authoritative over itself");
            sink.error(Kind::Conflict, *spot, message, "name the others");
        }
    }
    Some(texts.into_iter().map(|(text, _)| text.into()).collect())
}

/// All documents (`names`: also of those that have mistakes of their own), where no two sources count over each other for the same charges.
pub(super) fn join(
    parts: Vec<Part>,
    names: &BTreeSet<&str>,
    sinks: &mut [Sink<'_>],
) -> BTreeMap<Box<str>, SourceRule> {
    for (at, part) in parts.iter().enumerate() {
        for (spot, authority) in part.spots.iter().zip(&part.rule.authoritative) {
            warn_of_unnamed(part, authority, *spot, names, sinks);
            let others = parts.iter().take(at);
            let against = others.filter(|other| authority.over.contains(&other.name));
            for other in against {
                let mutual = |theirs: &Authority| {
                    let same = theirs.subjects == authority.subjects
                        || theirs.subjects.is_empty()
                        || authority.subjects.is_empty();
                    theirs.over.contains(&part.name) && same && theirs.overlaps(authority)
                };
                if let Some(n) = other.rule.authoritative.iter().position(mutual) {
                    let place = sinks[other.file].place(other.spots[n]);
                    let message = format!("`{}` and `{}` each count over the other", part.name, other.name);
                    let help = format!("let one of them count; the other says so at {place}");
                    sinks[part.file].error(Kind::Conflict, *spot, message, help);
                }
            }
        }
    }
    parts.into_iter().map(|part| (part.name, part.rule)).collect()
}

/// Which sources there are is in the daemon's configuration, so a name can only be held against the others.
fn warn_of_unnamed(
    part: &Part,
    authority: &Authority,
    spot: Spot,
    names: &BTreeSet<&str>,
    sinks: &mut [Sink<'_>],
) {
    for name in authority.over.iter().filter(|name| !names.contains(&***name)) {
        let known = names.iter().copied().filter(|known| *known != &*part.name);
        let help = match sinks[part.file].meant(name, known) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("write a `kind: Source` document named `{name}`, with its `staleAfter`"),
        };
        let message =
            format!("no Source document is named `{name}`; if there is no such source, nothing is set aside");
        sinks[part.file].warn(Kind::UndeclaredSource, spot, message, help);
    }
}
