//! What a backtest found, for people and machines alike. Amounts are in 10⁻¹² USD where a machine reads them.

use std::collections::BTreeMap;

use collector::billing::LeftOut;
use policy::engine::{Counters, Engine};
use policy::money::{Money, Unit};
use policy::rule::{Act, Budget, Measure, RuleSet, WindowSpec};
use policy::time::{Span, Timestamp};
use serde::Serialize;

use super::beside::is_beside;
use super::curves::Curve;
use super::gather::{FileRead, Order};
use super::letters::Letters;
use super::past::Past;
use super::trips::{Forecast, Trip, Warning, shown};

/// Breakers that have a chart.
const MOST_CURVES: usize = 24;

/// What was read.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The first and the last instant at which something was used.
    #[serde(serialize_with = "shown")]
    pub first: Timestamp,
    /// See `first`.
    #[serde(serialize_with = "shown")]
    pub last: Timestamp,
    /// Facts read.
    pub facts: u64,
    /// The inputs.
    pub files: Vec<FileRead>,
    /// In which order facts were taken.
    pub order: Order,
    /// What `usage.v1` events say of themselves counted as trusted.
    pub events_believed: bool,
    /// What could not be read.
    pub letters: Letters,
    /// Rows of bills that are no usage: by kind, how many and what they come to.
    pub left_out: LeftOut,
}

/// What one rule set would have done.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// Folder of the rules.
    pub rules: String,
    /// Their id.
    pub rules_id: Box<str>,
    /// Their commit, where the folder is a checkout.
    pub revision: Option<Box<str>>,
    /// Id of the prices.
    pub prices: Box<str>,
    /// All that was spent.
    pub spent: Money,
    /// Usage counted, without a price, seen before, in conflict, refused.
    pub counted: Counted,
    /// What the engine refused.
    pub refused: Letters,
    /// Each budget.
    pub budgets: Vec<BudgetFound>,
    /// Each trip, in order.
    pub trips: Vec<Trip>,
    /// Each warning, in order.
    pub warnings: Vec<Warning>,
    /// Whether any budget has a forecast.
    pub forecasts_asked: bool,
    /// Each forecast that fired, with what came.
    pub forecasts: Vec<Forecast>,
    /// How often a breaker over its limit waited, by what for.
    pub waited: BTreeMap<&'static str, u64>,
    /// Windows that turned out to be over after they had closed.
    pub after_close: u64,
    /// Trips and warnings beyond those listed.
    pub not_listed: u64,
    /// What would have been paged, each text once, with how often.
    pub pages: BTreeMap<String, u64>,
    /// What stopping would have saved: at least and at most, since budgets can count the same charges.
    pub saved: (Money, Money),
    /// Spend over time of the most telling breakers.
    pub curves: Vec<Named>,
    /// Between two points of a curve.
    #[serde(serialize_with = "shown")]
    pub every: Span,
}

/// A curve with the name of its breaker.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// `tenant-daily/acme`.
    pub breaker: Box<str>,
    /// What it spent.
    #[serde(flatten)]
    pub curve: Curve,
}

/// What became of the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Added.
    pub accepted: u64,
    /// Of these, calls that used nothing.
    pub without_usage: u64,
    /// Seen before.
    pub duplicates: u64,
    /// Seen before with other content.
    pub conflicts: u64,
    /// Without a price: unknown, not zero.
    pub unpriced: u64,
    /// Refused.
    pub refused: u64,
}

/// What one budget would have done.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetFound {
    /// Its name.
    pub name: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// File and line.
    #[serde(serialize_with = "shown")]
    pub place: policy::rule::Place,
    /// The mode in its file; a backtest asks what `enforce` would have done.
    pub mode: &'static str,
    /// `day, UTC`, `rolling 6h`, `lifetime`.
    pub window: String,
    /// Of its limit and of what is over; `after` is money.
    #[serde(serialize_with = "shown_unit")]
    pub unit: Unit,
    /// Its limit where no override holds.
    pub limit: Money,
    /// Whether a trip stops anything, or only tells people.
    pub stops: bool,
    /// Breakers that it had.
    pub breakers: usize,
    /// Warnings.
    pub warned: usize,
    /// Trips.
    pub tripped: usize,
    /// Of these, trips that look false.
    pub looks_false: usize,
    /// What was spent over the limit by the time of the trips.
    pub over: Money,
    /// The most that was spent over the limit by the time of one.
    pub most_over: Money,
    /// What was spent between trips and releases.
    pub after: Money,
    /// Of that, what stops would have saved at most: without the trips that can stop nothing.
    pub saved: Money,
}

impl Findings {
    /// What a run found that has come to the end of the record.
    #[must_use]
    pub fn of(past: Past, folder: String, rules: &RuleSet, last: Timestamp) -> Self {
        let mut past = past;
        let (engine, end) = past.close(last);
        let view = engine.view(end);
        let breakers = breakers(engine, end);
        let spent = view.spend.iter().fold(Money::ZERO, |sum, spend| sum.saturating_add(spend.amount));
        let Past { trips, curves, letters, .. } = past;
        let budgets: Vec<BudgetFound> = rules
            .budgets
            .iter()
            .map(|budget| {
                let breakers = breakers.get(&budget.name).copied().unwrap_or(0);
                found(budget, breakers, &trips.trips, &trips.warnings)
            })
            .collect();
        let stopping = budgets.iter().map(|budget| budget.saved);
        let saved = (
            stopping.clone().max().unwrap_or(Money::ZERO),
            stopping.fold(Money::ZERO, Money::saturating_add),
        );
        let every = curves.every();
        let first = most_telling(&trips.trips, &trips.warnings);
        let curves = curves.most_telling(&first, MOST_CURVES);
        Self {
            rules: folder,
            rules_id: rules.id.clone(),
            revision: rules.revision.clone(),
            prices: view.prices.clone(),
            spent,
            counted: counted(&view.counters),
            refused: letters,
            budgets,
            trips: trips.trips,
            warnings: trips.warnings,
            forecasts_asked: rules.budgets.iter().any(has_forecast),
            forecasts: trips.forecasts,
            waited: trips.waited,
            after_close: trips.after_close,
            not_listed: trips.not_kept,
            pages: trips.pages,
            saved,
            curves: curves.into_iter().map(|(breaker, curve)| Named { breaker, curve }).collect(),
            every,
        }
    }

    /// Whether a trip of that breaker stopped anything.
    #[must_use]
    pub fn stops(&self, breaker: &str) -> bool {
        self.trips.iter().any(|trip| trip.stops && &*trip.breaker == breaker)
    }
}

impl Findings {
    /// Whether the windows of that breaker roll.
    #[must_use]
    pub fn is_rolling(&self, breaker: &str) -> bool {
        let budget = budget_of(breaker);
        self.budgets.iter().any(|found| found.window.starts_with("rolling") && &*found.name == budget)
    }
}

/// The budget of a breaker: the first part of its name.
#[must_use]
pub fn budget_of(breaker: &str) -> &str {
    breaker.split('/').next().unwrap_or(breaker)
}

fn counted(counters: &Counters) -> Counted {
    Counted {
        accepted: counters.accepted,
        without_usage: counters.without_usage,
        duplicates: counters.duplicates,
        conflicts: counters.conflicts,
        unpriced: counters.unpriced,
        refused: counters.refused.values().sum(),
    }
}

/// Breakers of each budget.
fn breakers(engine: &Engine, now: Timestamp) -> BTreeMap<Box<str>, usize> {
    let mut survey = policy::engine::Survey::new(policy::engine::Wanted::default(), 0);
    while engine.survey(&mut survey, usize::MAX, now) {}
    let tallies = survey.into_tallies().into_iter().filter(|(name, _)| !is_beside(name));
    tallies.map(|(name, tally)| (name, tally.states.values().sum())).collect()
}

fn found(budget: &Budget, breakers: usize, trips: &[Trip], warnings: &[Warning]) -> BudgetFound {
    let own = |breaker: &str| budget_of(breaker) == &*budget.name;
    let trips: Vec<&Trip> = trips.iter().filter(|trip| own(&trip.breaker)).collect();
    let sum =
        |of: fn(&Trip) -> Money| trips.iter().map(|trip| of(trip)).fold(Money::ZERO, Money::saturating_add);
    BudgetFound {
        name: budget.name.clone(),
        description: budget.description.clone(),
        place: budget.place.clone(),
        mode: budget.mode.word(),
        window: window(&budget.window),
        unit: budget.limit.unit,
        limit: budget.limit.amount,
        stops: budget.on_trip.iter().any(|act| !matches!(act, Act::Notify { .. })),
        breakers,
        warned: warnings.iter().filter(|warning| own(&warning.breaker)).count(),
        tripped: trips.len(),
        looks_false: trips.iter().filter(|trip| !trip.looks_false.is_empty()).count(),
        over: sum(|trip| trip.over),
        most_over: trips.iter().map(|trip| trip.over).max().unwrap_or(Money::ZERO),
        after: sum(|trip| trip.after),
        saved: sum(|trip| if trip.stops { trip.after } else { Money::ZERO }),
    }
}

fn shown_unit<S: serde::Serializer>(unit: &Unit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(unit.word())
}

fn has_forecast(budget: &Budget) -> bool {
    budget.triggers.iter().any(|trigger| matches!(trigger.measure, Measure::Forecast { .. }))
}

fn window(spec: &WindowSpec) -> String {
    match spec {
        WindowSpec::Calendar { unit, timezone, .. } => format!("{}, {timezone}", unit.word()),
        WindowSpec::Rolling(length) => format!("rolling {length}"),
        WindowSpec::Lifetime => "lifetime".to_owned(),
    }
}

/// Breakers with trips, those first after which most was spent; then those with warnings.
fn most_telling(trips: &[Trip], warnings: &[Warning]) -> Vec<Box<str>> {
    let mut after: BTreeMap<&str, Money> = BTreeMap::new();
    for trip in trips {
        let sum = after.entry(&trip.breaker).or_default();
        *sum = sum.saturating_add(trip.after);
    }
    let mut names: Vec<(&str, Money)> = after.into_iter().collect();
    names.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    let warned = warnings.iter().map(|warning| warning.breaker.clone());
    names.into_iter().map(|(name, _)| name.into()).chain(warned).collect()
}
