//! The rules as a backtest runs them: each budget with one beside it that adds up all that its breakers are
//! charged, whatever window they have.
//!
//! That is money, whatever unit the budget itself counts. What a breaker is charged between two instants is then the difference of two sums, also where its own window
//! rolls, slides or is given back in between. The budgets beside have no limit that anything reaches, tell nobody
//! and stop nothing. The mode of a rule is not looked at: whether a breaker trips does not depend on it, and a
//! backtest asks what each rule would have done in `enforce`.

use policy::money::{Money, Percent};
use policy::rule::{Budget, Limit, Mode, OnStale, OnUnpriced, RuleSet, WindowSpec};

/// How the names of the budgets beside begin; no name in a file can.
const MARK: char = '~';
/// More than anything comes to, and not so much that a share of it cannot be told.
const NO_LIMIT: Money = Money::from_picos(i128::MAX / 2_000_000);

/// The same rules, ready for a backtest.
#[must_use]
pub fn with_totals(rules: &RuleSet) -> RuleSet {
    let mut rules = rules.clone();
    let beside: Vec<Budget> = rules.budgets.iter().map(total_of).collect();
    for budget in &mut rules.budgets {
        budget.mode = Mode::Observe;
    }
    rules.budgets.extend(beside);
    rules
}

fn total_of(budget: &Budget) -> Budget {
    Budget {
        name: beside(&budget.name).into(),
        limit: Limit::usd(NO_LIMIT),
        window: WindowSpec::Lifetime,
        within: budget.within.as_ref().map(|parent| beside(parent).into()),
        warn_at: Vec::new(),
        trip_at: Percent::WHOLE,
        on_warn: Vec::new(),
        on_trip: Vec::new(),
        on_stale: OnStale::Keep,
        on_unpriced: OnUnpriced::Alert,
        triggers: Vec::new(),
        spans: Vec::new(),
        mode: Mode::Observe,
        ..budget.clone()
    }
}

/// The name of what stands beside a budget or a breaker.
#[must_use]
pub fn beside(name: &str) -> String {
    format!("{MARK}{name}")
}

/// Whether that stands beside another.
#[must_use]
pub fn is_beside(name: &str) -> bool {
    name.starts_with(MARK)
}
