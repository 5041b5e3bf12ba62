//! What is well formed and hardly meant: rules that fight, selectors that match nothing or everything, amounts
//! that cannot be right. Warnings all: the set is used.

use std::collections::BTreeMap;

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::Spot;
use super::super::read::Sink;
use super::super::when::outcomes;
use super::super::{
    Act, Budget, CalendarUnit, ChargeKind, Condition, RestoreWhen, Selector, TargetSelector, Test, WindowSpec,
};
use super::Origin;
use crate::money::Money;
use crate::time::Span;

/// Pairs that are compared in one group of budgets: a set may have ten thousand with the same targets.
const MOST_PAIRS: usize = 200;
/// A hundredth of a dollar: a single call of a large model with a page of text costs more.
const ONE_CALL: Money = Money::from_picos(10_000_000_000);

/// Looks at every budget, and at those that share something.
pub(super) fn lint(budgets: &[(Budget, Origin)], sinks: &mut [Sink<'_>]) {
    for (budget, origin) in budgets {
        let sink = &mut sinks[origin.file];
        selects_nothing_or_all(budget, origin, sink);
        amounts(budget, origin, sink);
    }
    let by_name: BTreeMap<&str, &Budget> = budgets.iter().map(|(b, _)| (&*b.name, b)).collect();
    for (budget, origin) in budgets {
        if let Some(parent) = budget.within.as_deref().and_then(|name| by_name.get(name)) {
            below_its_parent(budget, parent, origin, &mut sinks[origin.file]);
        }
    }
    for_pairs(
        budgets,
        |budget| Some((&budget.select, &budget.per_each)),
        |(a, _), (b, at)| {
            wider_than_a_longer_window(a, b, at, sinks);
        },
    );
    for_pairs(budgets, |budget| targets(budget), |(a, _), (b, at)| fight(a, b, at, sinks));
}

/// Calls with each pair that has the same key, the earlier one first.
fn for_pairs<'b, K: PartialEq>(
    budgets: &'b [(Budget, Origin)],
    key: impl Fn(&'b Budget) -> Option<K>,
    mut each: impl FnMut(&'b (Budget, Origin), &'b (Budget, Origin)),
) {
    // Not sorted, for selectors have no order; a set large enough for that to be slow is not looked at whole.
    let keyed: Vec<(K, &(Budget, Origin))> =
        budgets.iter().filter_map(|entry| Some((key(&entry.0)?, entry))).take(MOST_PAIRS).collect();
    for (at, (key, later)) in keyed.iter().enumerate() {
        for (_, earlier) in keyed[..at].iter().filter(|(other, _)| other == key) {
            each(earlier, later);
        }
    }
}

/// The first of its acts that stops something.
fn targets(budget: &Budget) -> Option<&TargetSelector> {
    budget.on_trip.iter().find_map(|act| match act {
        Act::PauseScaledObjects { targets, .. } => Some(targets),
        Act::Notify { .. } => None,
    })
}

/// Two budgets that stop the same and wait differently.
fn fight(a: &Budget, b: &Budget, origin: &Origin, sinks: &mut [Sink<'_>]) {
    let by_person = |budget: &Budget| budget.restore.when == RestoreWhen::Manual;
    let (first, place) = (&a.name, &a.place);
    let message = if by_person(a) != by_person(b) {
        let (hand, other) = if by_person(a) { (&a.name, &b.name) } else { (&b.name, &a.name) };
        format!(
            "`{other}` gives its targets back by itself, and `{hand}` holds the same ones until a person resets it"
        )
    } else if a.window == b.window && a.select == b.select && a.per_each == b.per_each {
        if a.grace == b.grace && a.restore == b.restore {
            return;
        }
        format!(
            "`{}` stops the same targets for the same charges as `{first}`, and waits differently: the shorter grace \
             stops them, the longer hold keeps them",
            b.name
        )
    } else {
        return;
    };
    let help = format!("give both the same `grace` and `restore`, or other targets; `{first}` is at {place}");
    sinks[origin.file].warn(Kind::Fighting, origin.spot, message, help);
}

/// About how long a window is; `None` for a lifetime.
fn length(window: &WindowSpec) -> Option<Span> {
    let hours = match window {
        WindowSpec::Rolling(length) => return Some(*length),
        WindowSpec::Lifetime => return None,
        WindowSpec::Calendar { unit, .. } => match unit {
            CalendarUnit::Hour => 1,
            CalendarUnit::Day => 24,
            CalendarUnit::Week => 24 * 7,
            CalendarUnit::Month => 24 * 30,
            CalendarUnit::Quarter => 24 * 91,
            CalendarUnit::Year => 24 * 365,
        },
    };
    Some(Span::from_hours(hours))
}

/// 50,000 USD an hour, where the month has 5,000.
fn wider_than_a_longer_window(a: &Budget, b: &Budget, origin: &Origin, sinks: &mut [Sink<'_>]) {
    let (Some(of_a), Some(of_b)) = (length(&a.window), length(&b.window)) else { return };
    let (short, long) = if of_a < of_b { (a, b) } else { (b, a) };
    if of_a == of_b || short.limit.amount <= long.limit.amount {
        return;
    }
    let message = format!(
        "`{}` may spend {} in its shorter window, and `{}` only {} in its longer one",
        short.name, short.limit.amount, long.name, long.limit.amount
    );
    let help = format!(
        "look at the units of both; as they stand, `{}` never decides anything ({} and {})",
        short.name, short.trip_place, long.trip_place
    );
    sinks[origin.file].warn(Kind::Implausible, origin.spot, message, help);
}

fn below_its_parent(budget: &Budget, parent: &Budget, origin: &Origin, sink: &mut Sink<'_>) {
    if budget.window == parent.window && budget.limit.amount > parent.limit.amount {
        let message = format!(
            "`{}` may spend {}, more than the {} of `{}`, in which it is",
            budget.name, budget.limit.amount, parent.limit.amount, parent.name
        );
        let help = format!("look at both amounts; the parent's is at {}", parent.trip_place);
        sink.warn(Kind::Implausible, origin.within.unwrap_or(origin.spot), message, help);
    }
}

fn amounts(budget: &Budget, origin: &Origin, sink: &mut Sink<'_>) {
    if budget.limit.amount < ONE_CALL {
        let message =
            format!("a limit of {} is less than one call of a large model costs", budget.limit.amount);
        let help = "look at the unit; a day of a small agent is some dollars";
        sink.warn(Kind::Implausible, origin.spot, message, help);
    }
    if let Some(length) = length(&budget.window)
        && budget.grace > Span::ZERO
        && budget.grace >= length
    {
        let message =
            format!("a grace of {} is as long as the window, which ends before it trips", budget.grace);
        sink.warn(Kind::Implausible, origin.spot, message, "write a `grace` well below the window");
    }
}

fn selects_nothing_or_all(budget: &Budget, origin: &Origin, sink: &mut Sink<'_>) {
    let select = &budget.select;
    for field in &budget.per_each {
        let absent = |c: &&Condition| c.field == *field && c.test == Test::DoesNotExist;
        if select.subjects.iter().any(|c| absent(&c)) {
            let message =
                format!("it counts only charges without `{field}`, and has a breaker for each `{field}`");
            let help = format!("take `{field}` out of `perEach`: there is one breaker, of nobody");
            sink.warn(Kind::SelectsNothing, origin.spot, message, help);
        }
    }
    let every = |c: &&Condition| matches!(&c.test, Test::In(list) if list.iter().any(|g| &**g == "*"));
    if let Some(condition) = select.subjects.iter().find(every) {
        let field = &condition.field;
        let message = format!("`{field}` may be anything: `*` matches every value");
        let help = format!("write `{field}: {{exists: true}}` if that is meant, else the values");
        sink.warn(Kind::SelectsAll, origin.spot, message, help);
    }
    judge_when(select, sink);
}

/// An expression that is never true, or always, whatever a charge has.
fn judge_when(select: &Selector, sink: &mut Sink<'_>) {
    let Some(when) = &select.when else { return };
    let every = [ChargeKind::Tokens, ChargeKind::Gpu, ChargeKind::Other];
    let kinds = if select.charges.is_empty() { &every[..] } else { &select.charges };
    let given: Vec<(&str, &[Box<str>])> = select
        .subjects
        .iter()
        .filter_map(|c| match &c.test {
            Test::In(list) if list.iter().all(|glob| !glob.contains(['*', '?'])) => {
                Some((&*c.field, &**list))
            }
            _ => None,
        })
        .collect();
    let Some(seen) = outcomes(when, kinds, &given) else { return };
    let place = when.place();
    let spot = Spot { line: place.line, column: place.column, width: 1 };
    if !seen.yes {
        let message = "`when` is true for no charge that the other conditions let through";
        let help = "look for two conditions that exclude each other, such as another kind of charge";
        sink.warn(Kind::SelectsNothing, spot, message, help);
    } else if !seen.no && !seen.open {
        let message = "`when` is true for every charge";
        let help = "take it out, or look for `||` where `&&` was meant";
        sink.warn(Kind::SelectsAll, spot, message, help);
    }
}
