//! The document of a test file, and what one test says.

use std::collections::BTreeMap;

use super::super::Mode;
use super::super::diagnose::DiagnosticKind as Kind;
use super::super::file::documents;
use super::super::node::{Node, Shape, SourceFile, Spot};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::{
    Answer, Answers, Expectation, MOST_CALLS_IN_ALL, NamedFile, Trial, TrialFact, TrialFactKind, TrialFile,
    TrialObject,
};
use super::{expect, fact, value};
use crate::time::Timestamp;

const DOCUMENT: Keys = Keys::of(&["rules", "prices", "tests"]);
const TEST: Keys = Keys::of(&["name", "at", "mode", "receipts", "objects", "facts", "expect"]);
const OBJECT: Keys = Keys::of(&["scaledObject", "labels", "namespaceLabels", "replicas"]);

const MODES: [(&str, Mode); 4] = [
    (Mode::Observe.word(), Mode::Observe),
    (Mode::Alert.word(), Mode::Alert),
    (Mode::Approve.word(), Mode::Approve),
    (Mode::Enforce.word(), Mode::Enforce),
];

const ANSWERS: [(&str, Answer); 5] = [
    ("verified", Answer::Verified),
    ("silent", Answer::Silent),
    ("already-so", Answer::AlreadySo),
    ("not-stopped", Answer::NotStopped),
    ("failed", Answer::Failed),
];

/// Tests in one file, and facts or expectations in one test.
const MOST: usize = 1_000;

pub(super) fn read(file: &SourceFile<'_>, sink: &mut Sink<'_>) -> Option<TrialFile> {
    let trees = documents(file, sink);
    let [tree] = trees.as_slice() else {
        if sink.errors() == 0 {
            let spot = trees.get(1).map_or(Spot::START, |tree| tree.spot);
            let message = format!("a test file is one document, this has {}", trees.len());
            sink.error(
                Kind::Conflict,
                spot,
                message,
                "write `rules` and `tests` once; one file for each rule file",
            );
        }
        return None;
    };
    let fields = sink.object(tree, "the test file", "rules: [tenants.yaml]", &DOCUMENT)?;
    let rules = fields
        .required("rules", "write the rule files that are tested, `rules: [tenants.yaml]`", sink)
        .and_then(|node| rules(node, sink));
    let prices = fields.get("prices").map_or(Some(None), |node| prices(node, sink));
    let trials = fields
        .required(
            "tests",
            "write at least one test, `tests: [{name: …, at: …, facts: […], expect: […]}]`",
            sink,
        )
        .and_then(|node| trials(node, sink));
    Some(TrialFile { rules: rules?, prices: prices?, trials: trials? })
}

fn rules(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<NamedFile>> {
    let texts = sink.texts(node, "`rules`", "rules: [tenants.yaml]")?;
    if texts.is_empty() {
        sink.error(Kind::EmptyValue, node.spot, "`rules` names no file", "write `rules: [tenants.yaml]`");
        return None;
    }
    Some(
        texts
            .into_iter()
            .map(|(path, spot)| NamedFile { path: path.into(), place: sink.place(spot) })
            .collect(),
    )
}

fn prices(node: &Node, sink: &mut Sink<'_>) -> Option<Option<NamedFile>> {
    let text = sink.text(node, "`prices`")?;
    Some((text != "embedded").then(|| NamedFile { path: text.into(), place: sink.place(node.spot) }))
}

fn bounded<'n>(node: &'n Node, what: &str, example: &str, sink: &mut Sink<'_>) -> Option<&'n [Node]> {
    let items = sink.list(node, what, example)?;
    if items.len() > MOST {
        let message = format!("{what} has {} items; the most is {MOST}", items.len());
        sink.error(Kind::OutOfRange, node.spot, message, "part it into several tests or files");
        return None;
    }
    Some(items)
}

fn trials(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<Trial>> {
    let items = bounded(node, "`tests`", "tests: [{name: a runaway trips its tenant only}]", sink)?;
    if items.is_empty() {
        sink.error(Kind::EmptyValue, node.spot, "`tests` has no test", "write at least one");
    }
    let mut names: BTreeMap<&str, u32> = BTreeMap::new();
    for item in items {
        let Shape::Map(entries) = &item.shape else { continue };
        let Some(name) = entries.iter().find(|entry| entry.key == "name") else { continue };
        if let Shape::Text(text) = &name.value.shape
            && let Some(first) = names.insert(text, name.value.spot.line)
        {
            let help = format!("give one of them another name; the first is on line {first}");
            sink.error(
                Kind::DuplicateName,
                name.value.spot,
                format!("there is a second test `{text}`"),
                help,
            );
        }
    }
    all_of(items.iter().map(|item| trial(item, sink)))
}

fn trial(node: &Node, sink: &mut Sink<'_>) -> Option<Trial> {
    let fields = sink.object(node, "a test", "{name: …, at: …, facts: […], expect: […]}", &TEST)?;
    let name = fields.required("name", "write what must hold, as a sentence", sink);
    let name = name.and_then(|n| Some((sink.text(n, "`name`")?, sink.place(n.spot))));
    let at = start(&fields, sink);
    let mode = fields
        .get("mode")
        .map_or(Some(None), |n| sink.word(n, "`mode`", Kind::UnknownMode, &MODES).map(Some));
    let answers = fields.get("receipts").map_or(Some(Answers::default()), |n| answers(n, sink));
    let objects = fields.get("objects").map_or(Some(Vec::new()), |n| objects(n, sink));
    // Without its beginning no instant of a test can be told; all else is read, for its mistakes.
    let begin = at.unwrap_or_default();
    let facts = fields.get("facts").map_or(Some(Vec::new()), |n| facts(n, begin, sink));
    let expect = expectations(&fields, begin, facts.as_deref().unwrap_or_default(), sink);
    let (name, place) = name?;
    Some(Trial {
        name: name.into(),
        place,
        at: at?,
        mode: mode?,
        answers: answers?,
        objects: objects?,
        facts: facts?,
        expect: expect?,
    })
}

fn start(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Timestamp> {
    let help = "write when it begins, such as `at: 2026-11-05T10:00:00Z`";
    let node = fields.required("at", help, sink)?;
    let text = sink.text(node, "`at`")?;
    let at = Timestamp::parse_rfc3339(text).ok();
    if at.is_none() {
        let message = format!("`{text}` is not a time");
        sink.error(Kind::BadTime, node.spot, message, "write it like `2026-11-05T10:00:00Z`");
    }
    at
}

fn answers(node: &Node, sink: &mut Sink<'_>) -> Option<Answers> {
    let Shape::Map(entries) = &node.shape else {
        let all = sink.word(node, "`receipts`", Kind::UnknownWord, &ANSWERS)?;
        return Some(Answers { all, of: Vec::new() });
    };
    let of = all_of(entries.iter().map(|entry| {
        let key = Node { spot: entry.spot, shape: Shape::Text(entry.key.clone()) };
        let object = value::object(&key, "an object", sink);
        let answer = sink.word(&entry.value, "a receipt", Kind::UnknownWord, &ANSWERS);
        Some((object?, answer?))
    }))?;
    Some(Answers { all: Answer::default(), of })
}

fn objects(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<TrialObject>> {
    let items = bounded(node, "`objects`", "objects: [{scaledObject: checkout/api}]", sink)?;
    let all = all_of(items.iter().map(|item| Some((object(item, sink)?, item.spot))))?;
    for (at, (one, spot)) in all.iter().enumerate() {
        for (other, _) in &all[..at] {
            contradicts(one, other, *spot, sink);
        }
    }
    Some(all.into_iter().map(|(object, _)| object).collect())
}

/// The same object twice, or two objects that say different things of their namespace.
fn contradicts(one: &TrialObject, other: &TrialObject, spot: Spot, sink: &mut Sink<'_>) {
    if one.key == other.key {
        let message = format!("`{}` is here a second time", one.key);
        return sink.error(Kind::DuplicateName, spot, message, "keep one of the two");
    }
    if one.key.namespace == other.key.namespace && one.namespace_labels != other.namespace_labels {
        let message = format!("namespace `{}` has other labels than above", one.key.namespace);
        sink.error(Kind::Conflict, spot, message, "write the same `namespaceLabels` for each of its objects");
    }
}

/// A ScaledObject, also as a fact.
pub(super) fn object(node: &Node, sink: &mut Sink<'_>) -> Option<TrialObject> {
    let fields = sink.object(node, "an object", "{scaledObject: checkout/api}", &OBJECT)?;
    let key = fields
        .required("scaledObject", "write `scaledObject: checkout/api`", sink)
        .and_then(|n| value::object(n, "`scaledObject`", sink));
    let labels = fields.get("labels").map_or(Some(Vec::new()), |n| value::labels(n, "`labels`", sink));
    let namespace_labels = fields
        .get("namespaceLabels")
        .map_or(Some(Vec::new()), |n| value::labels(n, "`namespaceLabels`", sink));
    let replicas = fields.get("replicas").map_or(Some(1), |n| sink.count(n, "`replicas`", 0, 100_000));
    Some(TrialObject { key: key?, labels: labels?, namespace_labels: namespace_labels?, replicas: replicas? })
}

fn facts(node: &Node, start: Timestamp, sink: &mut Sink<'_>) -> Option<Vec<TrialFact>> {
    let items = bounded(node, "`facts`", "facts: [{usage: {tenant: checkout, amount: 5 USD}}]", sink)?;
    let facts = all_of(items.iter().map(|item| fact::read(item, start, sink)))?;
    let calls = facts.iter().map(|fact| match &fact.kind {
        TrialFactKind::Usage(usage) => u64::from(usage.calls()),
        _ => 1,
    });
    let calls: u64 = calls.sum();
    if calls > MOST_CALLS_IN_ALL {
        let message = format!("the facts are {calls} calls; the most is {MOST_CALLS_IN_ALL}");
        sink.error(Kind::OutOfRange, node.spot, message, "write `calls:` to make fewer of them");
    }
    Some(facts)
}

/// What is expected; without an instant of its own as of the last one of the test.
fn expectations(
    fields: &Fields<'_>,
    start: Timestamp,
    facts: &[TrialFact],
    sink: &mut Sink<'_>,
) -> Option<Vec<Expectation>> {
    let help = "write what must be, such as `expect: [{breaker: tenant-daily/acme, state: Tripped}]`";
    let node = fields.required("expect", help, sink)?;
    let items = bounded(node, "`expect`", "expect: [{orders: []}]", sink)?;
    if items.is_empty() {
        sink.error(Kind::EmptyValue, node.spot, "a test that expects nothing cannot fail", help);
        return None;
    }
    let read = all_of(items.iter().map(|item| expect::read(item, start, sink)))?;
    let last_fact = facts.iter().map(TrialFact::end).max();
    let last = read.iter().filter_map(|(at, _)| *at).chain(last_fact).max().unwrap_or(start);
    Some(read.into_iter().map(|(at, one)| Expectation { at: at.unwrap_or(last), ..one }).collect())
}
