//! What happens in a trial: one map with one kind of fact, and `at` where it is not the beginning.

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Entry, Node};
use super::super::read::{Keys, Sink};
use super::{TrialCommand, TrialFact, TrialFactKind, document, usage, value};
use crate::money::Percent;
use crate::time::{Span, Timestamp};

/// Reads the value of a kind of fact.
type Reader = fn(&Node, &mut Sink<'_>) -> Option<TrialFactKind>;

/// The kinds of fact. What gets a kind here gets its arm in the runner too.
const KINDS: [(&str, Reader); 13] = [
    ("usage", |n, s| usage::tokens(n, s).map(|u| TrialFactKind::Usage(Box::new(u)))),
    ("instance", |n, s| usage::instance(n, s).map(|u| TrialFactKind::Usage(Box::new(u)))),
    ("namespace", namespace),
    ("object", |n, s| document::object(n, s).map(TrialFactKind::Object)),
    ("gone", |n, s| value::object(n, "`gone`", s).map(TrialFactKind::Gone)),
    ("silence", silence),
    ("broken", broken),
    ("approve", |n, s| breaker(n, "`approve`", s).map(TrialCommand::Approve).map(TrialFactKind::Command)),
    ("trip", |n, s| breaker(n, "`trip`", s).map(TrialCommand::Trip).map(TrialFactKind::Command)),
    ("reset", reset),
    ("freeze", |n, s| {
        value::nothing(n, "`freeze`", s).map(|()| TrialFactKind::Command(TrialCommand::Freeze))
    }),
    ("unfreeze", |n, s| {
        value::nothing(n, "`unfreeze`", s).map(|()| TrialFactKind::Command(TrialCommand::Unfreeze))
    }),
    ("release", release),
];

const EXAMPLE: &str = "{at: +5m, usage: {tenant: checkout, amount: 5 USD}}";

pub(super) fn read(node: &Node, start: Timestamp, sink: &mut Sink<'_>) -> Option<TrialFact> {
    let entries = sink.map(node, "a fact", EXAMPLE)?;
    let at = entries.iter().find(|entry| entry.key == "at");
    let at = at.map_or(Some(start), |entry| value::instant(&entry.value, start, sink));
    let kinds: Vec<&Entry> = entries.iter().filter(|entry| entry.key != "at").collect();
    let [entry] = kinds.as_slice() else {
        let message = format!("a fact has one kind, this has {}", kinds.len());
        sink.error(Kind::Conflict, node.spot, message, format!("write one list item for each, `{EXAMPLE}`"));
        return None;
    };
    let Some((_, reader)) = KINDS.iter().find(|(kind, _)| *kind == entry.key) else {
        unknown(entry, sink);
        return None;
    };
    let kind = reader(&entry.value, sink);
    Some(TrialFact { at: at?, place: sink.place(entry.spot), kind: kind? })
}

fn unknown(entry: &Entry, sink: &mut Sink<'_>) {
    let all = || KINDS.iter().map(|(kind, _)| *kind);
    let help = match sink.meant(&entry.key, all()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("write {}", one_of(all())),
    };
    sink.error(Kind::UnknownKey, entry.spot, format!("there is no fact `{}`", entry.key), help);
}

fn breaker(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Box<str>> {
    sink.text(node, what).map(Into::into)
}

const NAMESPACE: Keys = Keys::of(&["name", "labels"]);

fn namespace(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    let example = "{name: checkout, labels: {tenant: checkout}}";
    let fields = sink.object(node, "`namespace`", example, &NAMESPACE)?;
    let name = fields.required("name", "write `name: checkout`", sink);
    let name = name.and_then(|n| sink.text(n, "`name`"));
    let labels = fields.get("labels").map_or(Some(Vec::new()), |n| value::labels(n, "`labels`", sink));
    Some(TrialFactKind::Namespace { name: name?.into(), labels: labels? })
}

const SILENCE: Keys = Keys::of(&["source", "for"]);

fn silence(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    let fields = sink.object(node, "`silence`", "{source: kubernetes, for: 10m}", &SILENCE)?;
    let source = fields.required("source", "write `source: bedrock-log`, or `kubernetes`", sink);
    let source = source.and_then(|n| sink.text(n, "`source`"));
    let span = fields.required("for", "write for how long, `for: 10m`", sink);
    let span = span.and_then(|n| value::span(n, "`for`", Span::from_secs(1), sink));
    Some(TrialFactKind::Silence { source: source?.into(), span: span? })
}

const BROKEN: Keys = Keys::of(&["source", "because"]);

fn broken(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    let fields = sink.object(node, "`broken`", "{source: bedrock-log, because: access denied}", &BROKEN)?;
    let source = fields.required("source", "write `source: bedrock-log`", sink);
    let source = source.and_then(|n| sink.text(n, "`source`"));
    let because = fields.get("because").map_or(Some("it cannot be read"), |n| sink.text(n, "`because`"));
    Some(TrialFactKind::Broken { source: source?.into(), because: because?.into() })
}

const RESET: Keys = Keys::of(&["breaker", "more"]);

fn reset(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    let fields = sink.object(node, "`reset`", "{breaker: tenant-daily/acme, more: 10%}", &RESET)?;
    let breaker = fields.required("breaker", "write `breaker: tenant-daily/acme`", sink);
    let breaker = breaker.and_then(|n| sink.text(n, "`breaker`"));
    let tenth = Percent::from_ppm(100_000);
    let more = fields.get("more").map_or(Some(tenth), |n| sink.percent(n, "`more`", "0%", "1000%"));
    Some(TrialFactKind::Command(TrialCommand::Reset(breaker?.into(), more?)))
}

/// `release: checkout/api`, or `release: all`.
fn release(node: &Node, sink: &mut Sink<'_>) -> Option<TrialFactKind> {
    if sink.text(node, "`release`")? == "all" {
        return Some(TrialFactKind::Command(TrialCommand::ReleaseAll));
    }
    value::object(node, "`release`", sink).map(TrialCommand::Release).map(TrialFactKind::Command)
}
