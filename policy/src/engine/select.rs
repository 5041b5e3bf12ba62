//! Which budgets count a charge.

use std::collections::BTreeSet;

use crate::rule::{Budget, ChargeKind, Condition, Selector, Test};
use crate::subject::Subject;

pub(super) fn parent_of(budgets: &[Budget], budget: &Budget) -> Option<usize> {
    let parent = budget.within.as_ref()?;
    budgets.iter().position(|b| b.name == *parent)
}

/// Budgets in which a charge does not count, since one that selects it is carved out of them.
pub(super) fn carved_out_of(budgets: &[Budget], selects: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    let mut carved = BTreeSet::new();
    let own = |(at, budget): &(usize, &Budget)| budget.carve_out && selects(*at);
    for (_, budget) in budgets.iter().enumerate().filter(own) {
        let mut next = parent_of(budgets, budget);
        // A parent chain cannot be longer than the list of budgets; the loader refuses cycles.
        for _ in 0..budgets.len() {
            let Some(at) = next else { break };
            carved.insert(at);
            next = budgets.get(at).and_then(|parent| parent_of(budgets, parent));
        }
    }
    carved
}

/// Whether a budget counts charges of this subject and kind. Only trusted fields are looked at: what a
/// caller asserts must not choose whose budget it counts against (invariant 10).
///
/// # Errors
/// Why `when` has no answer, where all else says that it counts them.
pub(super) fn selects(select: &Selector, subject: &Subject, kind: ChargeKind) -> Result<bool, String> {
    let others = (select.charges.is_empty() || select.charges.contains(&kind))
        && select.subjects.iter().all(|condition| holds(condition, subject));
    match &select.when {
        Some(when) if others => when.holds(subject, kind),
        _ => Ok(others),
    }
}

pub(super) fn holds(condition: &Condition, subject: &Subject) -> bool {
    let value = subject.trusted(&condition.field);
    let any = |patterns: &[Box<str>], value: &str| {
        patterns.iter().any(|pattern| crate::attribution::glob_matches(pattern, value))
    };
    match (&condition.test, value) {
        (Test::In(patterns), Some(value)) => any(patterns, value),
        (Test::NotIn(patterns), Some(value)) => !any(patterns, value),
        (Test::Exists, value) => value.is_some(),
        (Test::DoesNotExist, value) => value.is_none(),
        (Test::In(_) | Test::NotIn(_), None) => false,
    }
}
