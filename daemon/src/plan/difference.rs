//! What differs between two plans.

use std::collections::{BTreeMap, BTreeSet};

use policy::engine::{Plan, PlannedBreaker, PlannedBudget};

/// One difference, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// `+`, `-` or `~`.
    pub sign: char,
    /// Budget or breaker.
    pub what: String,
    /// What is otherwise.
    pub how: String,
}

fn change(sign: char, what: &str, how: impl Into<String>) -> Change {
    Change { sign, what: what.to_owned(), how: how.into() }
}

/// All differences, budgets first.
#[must_use]
pub fn differences(before: &Plan, after: &Plan) -> Vec<Change> {
    let mut changes = Vec::new();
    pairs(
        &before.budgets,
        &after.budgets,
        |b| &b.name,
        |old, new| match (old, new) {
            (None, Some(new)) => changes.push(change('+', &format!("budget {}", new.name), introduced(new))),
            (Some(old), None) => changes.push(change('-', &format!("budget {}", old.name), "is gone")),
            (Some(old), Some(new)) => of_budget(old, new, &mut changes),
            (None, None) => {}
        },
    );
    pairs(
        &before.breakers,
        &after.breakers,
        |b| &b.name,
        |old, new| match (old, new) {
            (None, Some(new)) => changes.push(change('+', &new.name, stands(new))),
            (Some(old), None) if before.omitted + after.omitted == 0 => {
                changes.push(change('-', &old.name, gone(old)));
            }
            (Some(old), Some(new)) => of_breaker(old, new, &mut changes),
            _ => {}
        },
    );
    changes
}

fn pairs<'p, T>(
    before: &'p [T],
    after: &'p [T],
    name: impl Fn(&'p T) -> &'p str,
    mut each: impl FnMut(Option<&'p T>, Option<&'p T>),
) {
    let mut both: BTreeMap<&str, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for item in before {
        both.entry(name(item)).or_default().0 = Some(item);
    }
    for item in after {
        both.entry(name(item)).or_default().1 = Some(item);
    }
    both.into_values().for_each(|(old, new)| each(old, new));
}

fn introduced(new: &PlannedBudget) -> String {
    format!("is new: {}, mode {}, reaches {} object(s)", new.limit, new.mode, new.reach)
}

fn of_budget(old: &PlannedBudget, new: &PlannedBudget, changes: &mut Vec<Change>) {
    let mut how = Vec::new();
    if old.limit != new.limit {
        how.push(format!("limit {} → {}", old.limit, new.limit));
    }
    if old.mode != new.mode {
        how.push(format!("mode {} → {}", old.mode, new.mode));
    }
    if (old.reach, old.largest) != (new.reach, new.largest) {
        how.push(format!(
            "reaches {} → {} object(s), {} → {} at once",
            old.reach, new.reach, old.largest, new.largest
        ));
    }
    if old.basis != new.basis {
        how.push("counts anew".to_owned());
    }
    if !how.is_empty() {
        changes.push(change('~', &format!("budget {}", new.name), how.join(", ")));
    }
}

fn stands(new: &PlannedBreaker) -> String {
    format!(
        "{} of {}: {}, {} object(s)",
        new.unit.of(new.sum),
        new.unit.of(new.limit),
        new.now.words(),
        new.targets.len() + new.held.len()
    )
}

fn gone(old: &PlannedBreaker) -> String {
    match old.held.len() {
        0 => "is gone".to_owned(),
        held => format!("is gone; the {held} object(s) that it holds stay stopped until a person resets it"),
    }
}

fn of_breaker(old: &PlannedBreaker, new: &PlannedBreaker, changes: &mut Vec<Change>) {
    let mut how = Vec::new();
    if old.limit != new.limit {
        how.push(format!("limit {} → {}", old.unit.of(old.limit), new.unit.of(new.limit)));
    }
    if old.now != new.now {
        how.push(format!("{} → {}", old.now.words(), new.now.words()));
    }
    if old.sum != new.sum {
        how.push(format!("spent {} → {}", old.unit.of(old.sum), new.unit.of(new.sum)));
    }
    let all = |breaker: &PlannedBreaker| -> BTreeSet<String> {
        breaker.targets.iter().chain(&breaker.held).cloned().collect()
    };
    let (before, after) = (all(old), all(new));
    for (word, list) in [("more", after.difference(&before)), ("less", before.difference(&after))] {
        let list: Vec<&String> = list.collect();
        if let Some(first) = list.first() {
            how.push(format!("{} object(s) {word}, such as {first}", list.len()));
        }
    }
    let checks = |breaker: &PlannedBreaker| -> BTreeSet<String> {
        breaker.refusals.iter().map(|(check, _)| check.clone()).collect()
    };
    let (before, after) = (checks(old), checks(new));
    if before != after {
        let said = |checks: &BTreeSet<String>| match checks.is_empty() {
            true => "nothing".to_owned(),
            false => checks.iter().cloned().collect::<Vec<_>>().join(", "),
        };
        how.push(format!("refused by {} → {}", said(&before), said(&after)));
    }
    if !how.is_empty() {
        changes.push(change('~', &new.name, how.join(", ")));
    }
}
