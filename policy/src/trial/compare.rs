//! What was expected, and what was there; and why, by the answers that the engine gives to anybody.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::decision::{Decision, DecisionKind, Effect, HoldState, Notice, Order};
use crate::engine::{BreakerView, StateWanted, Survey, Wanted};
use crate::explain::headline;
use crate::money::{Money, Unit};
use crate::rule::trial::{ABSENT, Expectation, Expected, ExpectedBreaker, ExpectedNotice, ExpectedOrder};

use crate::spot::Step;

use super::Failure;
use super::world::{World, is_about};

/// Breakers of a budget that are named where the expected one is not there.
const NAMED: usize = 8;
/// Breakers that a survey goes over at a time.
const PART: usize = 10_000;

/// What was expected and what was there, where they differ.
type Difference = Option<(String, String, Vec<String>)>;

/// Looks at one expectation; `None` where it holds.
pub(super) fn compare(world: &World<'_>, expectation: &Expectation) -> Option<Failure> {
    let (wanted, found, mut because) = difference(world, &expectation.what)?;
    if !world.refused.is_empty() {
        let reasons: Vec<&str> = world.refused.iter().copied().collect();
        because.push(format!("some usage was refused: {}", reasons.join(", ")));
    }
    Some(Failure {
        place: expectation.place.clone(),
        at: world.now(),
        after: world.after(),
        wanted,
        found,
        because,
    })
}

fn difference(world: &World<'_>, expected: &Expected) -> Difference {
    match expected {
        Expected::Breaker(wanted) => breaker(world, wanted),
        Expected::Orders(wanted) => {
            let wanted: BTreeSet<String> = wanted.iter().map(order_in_words).collect();
            sets("orders", &wanted, &world.orders.iter().map(|o| order_in_words(&as_expected(o))).collect())
                .map(|(wanted, found)| (wanted, found, why_not_ordered(world)))
        }
        Expected::WouldStop(wanted) => {
            let trips = world.decisions.iter().filter_map(|d| match &d.kind {
                DecisionKind::Tripped { targets, .. } | DecisionKind::Idle { targets, .. } => Some(targets),
                _ => None,
            });
            sets("would stop", &texts(wanted), &trips.flatten().map(ToString::to_string).collect())
                .map(|(wanted, found)| (wanted, found, why_not_ordered(world)))
        }
        Expected::Idle(wanted) => {
            let found = world.decisions.iter().filter_map(|d| match &d.kind {
                DecisionKind::Idle { found, .. } => Some(found),
                _ => None,
            });
            let found = found.flatten().map(|finding| finding.target.to_string());
            sets("idle", &texts(wanted), &found.collect())
                .map(|(wanted, found)| (wanted, found, last_decisions(world)))
        }
        Expected::Packable(wanted) => {
            let plans = world.decisions.iter().filter_map(|d| match &d.kind {
                DecisionKind::Packable { plan, .. } => Some(&plan.vacated),
                _ => None,
            });
            let nodes = plans.flatten().map(|vacated| vacated.node.to_string());
            sets("packable", &texts(wanted), &nodes.collect())
                .map(|(wanted, found)| (wanted, found, last_decisions(world)))
        }
        Expected::Spot(wanted) => sets("spot", &texts(wanted), &spot(world))
            .map(|(wanted, found)| (wanted, found, last_decisions(world))),
        Expected::Held(wanted) => sets("held", &texts(wanted), &held(world))
            .map(|(wanted, found)| (wanted, found, why_not_ordered(world))),
        Expected::Released(wanted) => {
            let back = world.orders.iter().filter(|o| matches!(o.effect, Effect::Restore { .. }));
            // What is given back is held no more: a hold goes with its proof.
            let back = back.filter(|order| world.engine.hold_view(&order.target).is_none());
            sets("released", &texts(wanted), &back.map(|order| order.target.to_string()).collect())
                .map(|(wanted, found)| (wanted, found, last_decisions(world)))
        }
        Expected::Notices(wanted) => notices(world, wanted),
        Expected::Pages(wanted) => {
            let pages = world.decisions.iter().filter_map(|d| match &d.kind {
                DecisionKind::Page { topic, .. } => Some(topic.word().to_owned()),
                _ => None,
            });
            sets("pages", &texts(wanted), &pages.collect())
                .map(|(wanted, found)| (wanted, found, page_details(world)))
        }
        Expected::Spend { tenant, model, amount } => spend(world, tenant, model, *amount),
    }
}

fn spend(
    world: &World<'_>,
    tenant: &Option<Box<str>>,
    model: &Option<Box<str>>,
    amount: Money,
) -> Difference {
    let is = |wanted: &Option<Box<str>>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
    let view = world.engine.view(world.now());
    let spent = view.spend.iter().filter(|s| is(tenant, s.tenant.as_deref()) && is(model, Some(&s.model)));
    let sum = spent.fold(Money::ZERO, |sum, s| sum.saturating_add(s.amount));
    let of = |what: &str, name: &Option<Box<str>>| {
        name.as_ref().map_or(String::new(), |n| format!(", {what} {n}"))
    };
    differ((Unit::Usd, sum), (Unit::Usd, amount)).then(|| {
        let who = format!("{}{}", of("tenant", tenant), of("model", model));
        let all = view.spend.iter().map(|s| {
            let tenant = s.tenant.as_deref().unwrap_or("unattributed");
            format!("{} of {tenant} on {}", s.amount, s.model)
        });
        (format!("spend {}{who}", amount.exact()), sum.exact(), all.collect())
    })
}

fn breaker(world: &World<'_>, wanted: &ExpectedBreaker) -> Difference {
    let now = world.now();
    let view = world.engine.breaker(&wanted.name, now);
    // A breaker that has become clear again has no why.
    let is_clear = view.as_ref().is_none_or(|view| &*view.state == "Clear");
    let why = if is_clear { None } else { why_of(world, &wanted.name) };
    let differs = match &view {
        None => wanted.state != Some(ABSENT),
        Some(view) => {
            let state = wanted.state.is_some_and(|state| state != &*view.state);
            let reason = wanted.why.is_some_and(|word| why != Some(word));
            let counts = wanted.trips.is_some_and(|n| n != u32::from(view.trips))
                || wanted.unpriced.is_some_and(|n| u64::from(n) != view.unpriced);
            let money = wanted.sum.is_some_and(|sum| differ(sum, (view.unit, view.sum)))
                || wanted.limit.is_some_and(|limit| differ(limit, (view.unit, view.limit)));
            state || reason || counts || money
        }
    };
    if !differs {
        return None;
    }
    let found = view
        .as_ref()
        .map_or_else(|| "there is no such breaker".to_owned(), |view| breaker_in_words(view, why));
    let because = if view.is_some() { reasons(world, &wanted.name) } else { others(world, &wanted.name) };
    Some((wanted_in_words(wanted), found, because))
}

fn wanted_in_words(wanted: &ExpectedBreaker) -> String {
    let said = |what: &str, value: Option<String>| value.map(|value| format!("{what} {value}"));
    let parts = [
        wanted.state.map(ToOwned::to_owned),
        said("why", wanted.why.map(ToOwned::to_owned)),
        said("sum", wanted.sum.map(exact)),
        said("limit", wanted.limit.map(exact)),
        said("trips", wanted.trips.map(|n| n.to_string())),
        said("unpriced", wanted.unpriced.map(|n| n.to_string())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{} {}", wanted.name, parts.join(", "))
}

/// A millionth of a unit, in which amounts are compared: time that is parted into calls has no whole hours.
const MILLIONTH: i128 = 1_000_000;

fn differ((unit, one): (Unit, Money), (other_unit, other): (Unit, Money)) -> bool {
    unit != other_unit || one.saturating_sub(other).picos().saturating_abs() >= MILLIONTH
}

/// With every digit: what differs by less than a cent differs.
fn exact((unit, amount): (Unit, Money)) -> String {
    unit.exact(amount)
}

fn breaker_in_words(view: &BreakerView, why: Option<&str>) -> String {
    let why = why.map_or(String::new(), |why| format!(", why {why}"));
    let unpriced = if view.unpriced > 0 { format!(", unpriced {}", view.unpriced) } else { String::new() };
    format!(
        "{}{why}, sum {}, limit {}, trips {}{unpriced}",
        view.state,
        view.unit.exact(view.sum),
        view.unit.exact(view.limit),
        view.trips
    )
}

/// Why a breaker is in its state, by the last decision about it: what triggered it, or what it waits for.
fn why_of(world: &World<'_>, breaker: &str) -> Option<&'static str> {
    let last =
        world.decisions.iter().rev().filter(|decision| is_about(decision, breaker)).find_map(|decision| {
            Some(match &decision.kind {
                DecisionKind::Warned { .. }
                | DecisionKind::WarnedBy { .. }
                | DecisionKind::Tripped { .. } => Some(decision.why.cause.word()),
                DecisionKind::Arming { cause } => Some(cause.word()),
                DecisionKind::Released { .. } => None,
                _ => return None,
            })
        });
    last.flatten()
}

/// What the engine answers when it is asked about a breaker, and what was last decided about it.
fn reasons(world: &World<'_>, breaker: &str) -> Vec<String> {
    let mut because: Vec<String> = Vec::new();
    for not in world.engine.explain(breaker, world.now()) {
        because.push(format!("{}: {}", not.breaker.as_deref().unwrap_or(breaker), not.reason));
    }
    let last = world.decisions.iter().rev().find(|decision| is_about(decision, breaker));
    because.extend(last.map(decided));
    because
}

/// A decision on one line.
fn decided(decision: &Decision) -> String {
    let subject = decision.why.breaker.as_ref().map_or("breakerbox", |b| &b.name);
    let place = &decision.why.place;
    let rule = if place.line > 0 { format!(" (rule {place})") } else { String::new() };
    format!("{} {subject} {}{rule}", decision.at, headline(&decision.kind))
}

/// The breakers that there are where the expected one is not.
fn others(world: &World<'_>, breaker: &str) -> Vec<String> {
    let budget = breaker.split('/').next().unwrap_or(breaker);
    let wanted = Wanted { budget: Some(budget.into()), name: None, state: StateWanted::Any };
    let found = surveyed(world, wanted);
    if found.is_empty() {
        return vec![format!("budget {budget} has no breaker: it selects none of the usage of this test")];
    }
    found.iter().map(|view| format!("there is {} {}", view.name, breaker_in_words(view, None))).collect()
}

fn surveyed(world: &World<'_>, wanted: Wanted) -> Vec<BreakerView> {
    let mut survey = Survey::new(wanted, NAMED);
    while world.engine.survey(&mut survey, PART, world.now()) {}
    world.engine.breakers(&survey.found(), world.now())
}

/// Every breaker that is not clear, with what the engine says of it.
fn why_not_ordered(world: &World<'_>) -> Vec<String> {
    let busy = surveyed(world, Wanted { state: StateWanted::NotClear, ..Wanted::default() });
    if busy.is_empty() {
        return vec!["no breaker is over anything".to_owned()];
    }
    busy.iter().flat_map(|view| reasons(world, &view.name)).collect()
}

fn last_decisions(world: &World<'_>) -> Vec<String> {
    world.decisions.iter().rev().take(NAMED).rev().map(decided).collect()
}

fn page_details(world: &World<'_>) -> Vec<String> {
    let details = world.decisions.iter().filter_map(|d| match &d.kind {
        DecisionKind::Page { topic, detail } => Some(format!("{} {}: {detail}", d.at, topic.word())),
        _ => None,
    });
    details.take(NAMED).collect()
}

/// What spot policies would do, without by when.
fn spot(world: &World<'_>) -> BTreeSet<String> {
    let mut would = BTreeSet::new();
    for decision in &world.decisions {
        let DecisionKind::Spot(spot) = &decision.kind else { continue };
        if spot.plan.steps.is_empty() {
            would.insert(format!("{} nothing", spot.node));
        }
        let acts = spot.plan.steps.iter().map(Step::in_words);
        would.extend(acts.map(|act| format!("{} {}", spot.node, act.split(" by ").next().unwrap_or(&act))));
    }
    would
}

/// What was seen to be stopped, and is kept so.
fn held(world: &World<'_>) -> BTreeSet<String> {
    let holds = world.engine.view(world.now()).holds;
    holds.into_iter().filter(|hold| hold.state == HoldState::Verified).map(|hold| hold.target).collect()
}

fn as_expected(order: &Order) -> ExpectedOrder {
    let effect = match &order.effect {
        Effect::PauseToZero => "pauseScaledObject",
        Effect::ReverseRaise { .. } => "reverseRaise",
        Effect::Restore { .. } => "giveBackScaledObject",
    };
    ExpectedOrder { effect, target: order.target.clone() }
}

fn order_in_words(order: &ExpectedOrder) -> String {
    format!("{} {}/{}", order.effect, order.target.namespace, order.target.name)
}

fn texts(list: &[impl Display]) -> BTreeSet<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Two sets that must be the same: what was wanted and what is there, where they differ.
fn sets(what: &str, wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> Option<(String, String)> {
    if wanted == found {
        return None;
    }
    let listed = |set: &BTreeSet<String>| {
        if set.is_empty() { "nothing".to_owned() } else { set.iter().cloned().collect::<Vec<_>>().join(", ") }
    };
    Some((format!("{what}: {}", listed(wanted)), listed(found)))
}

/// Each message must be expected, and each expectation met.
fn notices(world: &World<'_>, wanted: &[ExpectedNotice]) -> Difference {
    let sent: Vec<&Notice> = world.notices.iter().filter(|notice| !notice.progress).collect();
    let all_met = wanted.iter().all(|want| sent.iter().any(|notice| is_it(want, notice)));
    let all_wanted = sent.iter().all(|notice| wanted.iter().any(|want| is_it(want, notice)));
    if all_met && all_wanted {
        return None;
    }
    let any = |text: Option<&str>| text.unwrap_or("*").to_owned();
    let wants: BTreeSet<String> = wanted
        .iter()
        .map(|want| {
            format!("{} {} {}", any(want.route.as_deref()), any(want.about), any(want.breaker.as_deref()))
        })
        .collect();
    let sent: BTreeSet<String> = sent
        .iter()
        .map(|n| format!("{} {} {}", n.route, about(&n.decision.kind), breaker_of(n).unwrap_or("-")))
        .collect();
    let (wanted, found) = sets("notices", &wants, &sent).unwrap_or_default();
    Some((wanted, found, last_decisions(world)))
}

fn is_it(want: &ExpectedNotice, notice: &Notice) -> bool {
    want.route.as_deref().is_none_or(|route| route == &*notice.route)
        && want.about.is_none_or(|word| word == about(&notice.decision.kind))
        && want.breaker.as_deref().is_none_or(|name| breaker_of(notice) == Some(name))
}

fn breaker_of(notice: &Notice) -> Option<&str> {
    notice.decision.why.breaker.as_ref().map(|b| &*b.name)
}

const fn about(kind: &DecisionKind) -> &'static str {
    match kind {
        DecisionKind::Warned { .. } | DecisionKind::WarnedBy { .. } => "warned",
        DecisionKind::Arming { .. } => "arming",
        DecisionKind::Tripped { .. } => "tripped",
        DecisionKind::Withheld { .. } => "withheld",
        DecisionKind::Released { .. } => "released",
        DecisionKind::BreachedAfterClose => "closed-window",
        DecisionKind::Hold { .. } => "hold",
        DecisionKind::Commanded { .. } => "command",
        DecisionKind::Page { .. } => "page",
        DecisionKind::Idle { .. } => "idle",
        DecisionKind::Packable { .. } => "packable",
        DecisionKind::Spot(_) => "spot",
    }
}
