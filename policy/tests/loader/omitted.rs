//! What becomes of a valid rule file when a key is taken out of it, or its value emptied: never something that
//! stops more without a word, but for the keys that are listed here with their reason.

use std::collections::BTreeSet;

use policy::rule::{Act, Budget, Condition, Guardrail, Mode, RuleSet, TargetSelector};
use serde_json::Value;

use crate::WHOLE;
use crate::entry::read;

/// Where a key stands: names of maps' keys, and `#` for an item of a list.
type Path = Vec<String>;

/// Keys that narrow, where something else still selects: without one of them the file is another valid file that
/// says more. No loader can know that it was meant; `plan` and the review of a change show it.
const NARROW: [(&str, &str); 22] = [
    ("Budget.spec.grace", "there is none"),
    ("Budget.spec.limit.overrides", "the limit itself holds for them"),
    ("Budget.spec.limit.overrides.#", "the limit itself holds for them"),
    ("Budget.spec.onTrip.#.pauseScaledObjects.except", "nothing is exempt"),
    ("Budget.spec.onTrip.#.pauseScaledObjects.in.namespaceLabels", "the other conditions choose"),
    ("Budget.spec.onTrip.#.pauseScaledObjects.in.namespaces", "the other conditions choose"),
    ("Budget.spec.onTrip.#.pauseScaledObjects.matching", "the other conditions choose"),
    ("Budget.spec.select.charges", "every kind counts"),
    ("Budget.spec.select.charges.#", "the other kinds count"),
    ("Budget.spec.select.subjects.*", "the other conditions choose"),
    ("Budget.spec.select.subjects.*.#", "the other values are meant"),
    ("Budget.spec.window.timezone", "UTC"),
    ("Guardrail.spec.blastRadius", "the built-in caps hold"),
    ("Guardrail.spec.blastRadius.atLeast", "the built-in cap holds"),
    ("Guardrail.spec.blastRadius.overall", "the built-in cap holds"),
    ("Guardrail.spec.protect", "the built-in protections hold"),
    ("Guardrail.spec.protect.labels", "the built-in protections hold"),
    ("Guardrail.spec.protect.labels.*", "the others are protected"),
    ("Guardrail.spec.protect.namespaces", "the built-in protections hold"),
    ("Guardrail.spec.protect.namespaces.#", "the others are protected"),
    ("Guardrail.spec.protect.objects", "the others are protected"),
    ("Guardrail.spec.protect.objects.#", "the others are protected"),
];

/// What may be empty: it is as if it were left out, and the built-in guard holds.
const MAY_BE_EMPTY: [(&str, &str); 7] = [
    ("Budget.spec.limit.overrides", "the limit itself holds for everybody"),
    ("Guardrail.spec", "the built-in guard"),
    ("Guardrail.spec.blastRadius", "the built-in caps"),
    ("Guardrail.spec.protect", "the built-in protections"),
    ("Guardrail.spec.protect.labels", "the built-in protections"),
    ("Guardrail.spec.protect.namespaces", "the built-in protections"),
    ("Guardrail.spec.protect.objects", "the built-in protections"),
];

fn documents() -> Vec<Value> {
    let parts = WHOLE.split("\n---\n");
    parts.map(|part| serde_saphyr::from_str(part).unwrap_or_else(|wrong| panic!("{wrong}\n{part}"))).collect()
}

/// JSON is YAML; each document on a line of its own.
fn text(documents: &[Value]) -> String {
    documents.iter().map(|document| format!("---\n{document}\n")).collect()
}

/// All keys and items of a value.
fn paths(value: &Value, here: &Path, all: &mut Vec<Path>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (format!("#{at}"), item)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let path: Path = [here.as_slice(), &[key]].concat();
        all.push(path.clone());
        paths(child, &path, all);
    }
}

fn parent<'v>(document: &'v mut Value, path: &[String]) -> &'v mut Value {
    path[..path.len() - 1].iter().fold(document, |value, key| match key.strip_prefix('#') {
        Some(at) => &mut value[at.parse::<usize>().unwrap()],
        None => &mut value[key.as_str()],
    })
}

fn without(document: &Value, path: &[String]) -> Value {
    let mut document = document.clone();
    let last = path.last().unwrap();
    match parent(&mut document, path) {
        Value::Object(map) => drop(map.remove(last)),
        Value::Array(items) => drop(items.remove(last[1..].parse().unwrap())),
        other => panic!("{other}"),
    }
    document
}

fn with(document: &Value, path: &[String], value: Value) -> Value {
    let mut document = document.clone();
    let last = path.last().unwrap();
    match parent(&mut document, path) {
        Value::Object(map) => drop(map.insert(last.clone(), value)),
        Value::Array(items) => items[last[1..].parse::<usize>().unwrap()] = value,
        other => panic!("{other}"),
    }
    document
}

/// `Budget.spec.select.subjects.*`: for a list of reasons, which item or field it was does not matter.
fn pattern(document: &Value, path: &[String]) -> String {
    let open =
        ["subjects", "match", "namespaceLabels", "matching", "except", "labels", "set", "models", "claims"];
    let mut words = vec![document["kind"].as_str().unwrap_or("?").to_owned()];
    for (at, key) in path.iter().enumerate() {
        let free = at > 0 && open.contains(&path[at - 1].as_str());
        words.push(if free {
            "*".to_owned()
        } else if key.starts_with('#') {
            "#".to_owned()
        } else {
            key.clone()
        });
    }
    words.join(".")
}

/// How the set may stop more than it did, if it may.
fn wider(before: &RuleSet, after: &RuleSet) -> Option<String> {
    for budget in &after.budgets {
        let Some(old) = before.budgets.iter().find(|b| b.name == budget.name) else { continue };
        if let Some(how) = wider_budget(old, budget) {
            return Some(format!("{}: {how}", budget.name));
        }
    }
    wider_guard(&before.guardrail, &after.guardrail).map(str::to_owned)
}

fn stops(budget: &Budget) -> bool {
    budget.mode >= Mode::Approve
        && budget.on_trip.iter().any(|act| matches!(act, Act::PauseScaledObjects { .. }))
}

fn wider_budget(old: &Budget, new: &Budget) -> Option<&'static str> {
    let fewer = |old: &[Condition], new: &[Condition]| old.iter().any(|condition| !new.contains(condition));
    // One that is looked at only: what it counts is counted in its parent's sum, and nothing else comes of it.
    if !stops(new) && new.mode <= old.mode {
        return None;
    }
    let overrides =
        |b: &Budget| b.limit.overrides.iter().map(|o| (o.matches.clone(), o.amount)).collect::<Vec<_>>();
    let targets = |b: &Budget| -> Vec<TargetSelector> {
        let pauses = b.on_trip.iter().filter_map(|act| match act {
            Act::PauseScaledObjects { targets, .. } => Some(targets.clone()),
            _ => None,
        });
        pauses.collect()
    };
    let checks = [
        (new.mode > old.mode, "acts where it did not"),
        (new.select.all && !old.select.all, "counts everything"),
        (fewer(&old.select.subjects, &new.select.subjects), "counts more subjects"),
        (old.select.charges != new.select.charges, "counts more kinds"),
        (new.per_each.len() < old.per_each.len(), "adds up what was apart"),
        (
            new.limit.amount < old.limit.amount || overrides(old) != overrides(new),
            "has another limit for somebody",
        ),
        (new.trip_at < old.trip_at, "trips earlier"),
        (new.grace < old.grace, "waits less"),
        (new.window != old.window, "adds up over another time"),
        (
            targets(old).iter().zip(targets(new)).any(|(old, new)| wider_targets(old, &new)),
            "stops more objects",
        ),
    ];
    checks.into_iter().find(|(yes, _)| *yes).map(|(_, how)| how)
}

fn wider_targets(old: &TargetSelector, new: &TargetSelector) -> bool {
    let fewer_places = old.namespaces != new.namespaces
        && (new.namespaces.is_empty() || new.namespaces.len() > old.namespaces.len());
    (new.all && !old.all)
        || fewer_places
        || old.namespace_labels.iter().any(|label| !new.namespace_labels.contains(label))
        || old.labels.iter().any(|label| !new.labels.contains(label))
        || old.except.iter().any(|label| !new.except.contains(label))
}

fn wider_guard(old: &Guardrail, new: &Guardrail) -> Option<&'static str> {
    let checks = [
        (
            old.protected_namespaces.iter().any(|n| !new.protected_namespaces.contains(n)),
            "protects fewer namespaces",
        ),
        (old.protected_labels.iter().any(|l| !new.protected_labels.contains(l)), "protects fewer labels"),
        (old.protected_objects.iter().any(|o| !new.protected_objects.contains(o)), "protects fewer objects"),
        (new.at_least > old.at_least || new.overall > old.overall, "stops more at once"),
    ];
    checks.into_iter().find(|(yes, _)| *yes).map(|(_, how)| how)
}

/// Compiles a change of the set; how it is wider without a word, if it is.
fn silently_wider(changed: &[Value], before: &RuleSet) -> Option<String> {
    let compiled = read(&text(changed)).ok()?;
    if !compiled.warnings.list.is_empty() {
        return None;
    }
    wider(before, &compiled.rules)
}

/// Every change of the set by `change`: which are wider without a word.
fn found(changes: impl Fn(&Value, &[String]) -> Vec<Value>) -> BTreeSet<(String, String)> {
    let documents = documents();
    let before = read(&text(&documents)).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(before.warnings.list.is_empty(), "{}", before.warnings);
    let mut silent = BTreeSet::new();
    for (number, document) in documents.iter().enumerate() {
        let mut all = Vec::new();
        paths(document, &Path::new(), &mut all);
        for path in all {
            for change in changes(document, &path) {
                let mut changed = documents.clone();
                changed[number] = change;
                if let Some(how) = silently_wider(&changed, &before.rules) {
                    silent.insert((pattern(document, &path), how));
                }
            }
        }
    }
    silent
}

fn only(found: &BTreeSet<(String, String)>, listed: &[(&str, &str)]) {
    let expected: BTreeSet<&str> = listed.iter().map(|(pattern, _)| *pattern).collect();
    let seen: BTreeSet<&str> = found.iter().map(|(pattern, _)| pattern.as_str()).collect();
    assert_eq!(seen, expected, "{found:#?}");
}

#[test]
fn no_key_that_is_taken_out_widens_what_is_stopped_without_a_word_but_those_that_narrow() {
    let found = found(|document, path| vec![without(document, path)]);
    only(&found, &NARROW);
}

#[test]
fn no_value_that_is_emptied_widens_what_is_stopped_without_a_word() {
    let empty =
        [Value::Null, Value::Array(Vec::new()), Value::Object(serde_json::Map::new()), Value::from("")];
    let found =
        found(|document, path| empty.iter().map(|value| with(document, path, value.clone())).collect());
    only(&found, &MAY_BE_EMPTY);
}
