//! The shapes of answers, on the wire and in the CLI: times in RFC 3339, money as exact decimal text with its
//! unit, words instead of numbers. They may grow; a field never changes its meaning.

mod shadow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use policy::decision::{self, DecisionKind, Effect};
use policy::engine::{
    AlarmView, AsideView, BreakerView, HoldView, NotTripped, NotTrippedReason, Tally, View,
};
use policy::explain;
use policy::fact::{GuardAnswer, Observation, Receipt, ReceiptOutcome};
use policy::money::Money;
use policy::rule::{Budget, WindowSpec};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{DecisionRecord, OrderRecord, decision_word, outcome_word};
use crate::turn::Surveyed;

pub use shadow::{Shadow, ShadowSpend};

/// An error on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong and what to do.
    pub error: String,
}

pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(Refusal { error: why.to_owned() })).into_response()
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Install id; empty without one.
    pub install: String,
    /// Id of the journal.
    pub journal: String,
    /// Number of the last durable turn.
    pub turn: u64,
    /// As of.
    pub now: String,
    /// What the daemon may do.
    pub ceiling: String,
    /// Why that is less than configured.
    pub because: Option<String>,
    /// Who froze it, and why.
    pub freeze: Option<String>,
    /// When the rules freeze next, and why.
    #[serde(default)]
    pub next_freeze: Option<String>,
    /// Why the clock is in doubt.
    pub clock_doubt: Option<String>,
    /// Whether the disk is below its reserve.
    pub disk_low: bool,
    /// Id of the rules.
    pub rules: String,
    /// Commit that the rules folder is a checkout of, with `-dirty` where its files are not the commit's.
    pub revision: Option<String>,
    /// Whether the rules folder holds what is in force.
    pub rules_current: bool,
    /// Id of the price book.
    pub prices: String,
    /// The thousand furthest of the breakers that are not `Clear`.
    pub breakers: Vec<Breaker>,
    /// Breakers that are not `Clear`.
    pub breakers_not_clear: usize,
    /// All breakers.
    pub breakers_total: usize,
    /// Holds.
    pub holds: Vec<Hold>,
    /// Sources.
    pub sources: Vec<Source>,
    /// Usage that was added, seen before, in conflict, refused, and without a price.
    pub usage: Usage,
    /// Prices that are looked at before they count.
    #[serde(default)]
    pub shadow: Option<Shadow>,
    /// What is critical and nobody has answered.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// Messages that wait for others of their group, or for the end of quiet hours.
    #[serde(default)]
    pub messages_held: usize,
}

/// Something critical that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The breaker, or what a page says.
    pub about: String,
    /// The decision that can be acknowledged.
    pub decision: String,
    /// Route that it was told on first.
    pub route: String,
    /// Since when.
    pub since: String,
    /// How often it was said again.
    pub again: u32,
    /// Steps of the escalation that were taken.
    pub steps: u32,
}

impl From<&AlarmView> for Alarm {
    fn from(view: &AlarmView) -> Self {
        Self {
            about: view.about.to_string(),
            decision: view.decision.clone(),
            route: view.route.to_string(),
            since: view.since.to_string(),
            again: view.again,
            steps: view.steps,
        }
    }
}

/// Usage in numbers, since the journal began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Added.
    pub accepted: u64,
    /// Seen before.
    pub duplicates: u64,
    /// Seen before with other content.
    pub conflicts: u64,
    /// Refused.
    pub refused: u64,
    /// Without a price.
    pub unpriced: u64,
}

/// A breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// `tenant-daily/acme`.
    pub name: String,
    /// Its budget.
    pub budget: String,
    /// `Clear`, `Warned`, `Arming`, `Tripped`.
    pub state: String,
    /// Sum in the window.
    pub sum: String,
    /// Limit in the window.
    pub limit: String,
    /// Sum as a share of the limit, `84.2%`.
    pub share: String,
    /// Start of the window.
    pub start: String,
    /// End of the window.
    pub end: String,
    /// Charges in the window.
    pub facts: u64,
    /// How fast it is charged, with the span that was measured; none where that is not known.
    #[serde(default)]
    pub burn: Option<String>,
    /// What may still be spent from now until a stop is proven; none where its rate is not known.
    #[serde(default)]
    pub overshoot: Option<String>,
    /// Usage without a price in the window.
    pub unpriced: u64,
    /// Effective mode.
    pub mode: String,
    /// Trips in the window.
    pub trips: u16,
    /// What it waits for.
    pub detail: Option<String>,
    /// Until when its budget, new here, does no more than first days allow.
    #[serde(default)]
    pub first_days_until: Option<String>,
}

impl From<&BreakerView> for Breaker {
    fn from(view: &BreakerView) -> Self {
        Self {
            name: view.name.to_string(),
            budget: view.budget.to_string(),
            state: view.state.to_string(),
            sum: view.unit.exact(view.sum),
            limit: view.unit.exact(view.limit),
            share: view.sum.percent_of(view.limit).map_or_else(|| "-".to_owned(), |share| share.to_string()),
            start: view.start.to_string(),
            end: view.end.to_string(),
            facts: view.facts,
            burn: view.burn.map(|burn| burn.in_unit(view.unit)),
            overshoot: view.overshoot.map(|bound| view.unit.of(bound).to_string()),
            unpriced: view.unpriced,
            mode: view.mode.word().to_owned(),
            trips: view.trips,
            detail: view.detail.clone(),
            first_days_until: text(view.first_days_until),
        }
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The object.
    pub target: String,
    /// Its state.
    pub state: String,
    /// Breakers that hold it.
    pub holders: Vec<String>,
    /// What was last seen.
    pub detail: String,
    /// Somebody else stopped it.
    pub foreign: bool,
    /// The journal did not know it at start.
    pub orphan: bool,
    /// When the write was accepted.
    pub accepted_at: Option<String>,
    /// When it was proven.
    pub verified_at: Option<String>,
    /// How often somebody raised it while we hold it.
    #[serde(default)]
    pub raises: u32,
}

impl From<&HoldView> for Hold {
    fn from(view: &HoldView) -> Self {
        Self {
            target: view.target.clone(),
            state: view.state.word().to_owned(),
            holders: view.holders.iter().map(ToString::to_string).collect(),
            detail: view.detail.clone(),
            foreign: view.foreign,
            orphan: view.orphan,
            accepted_at: text(view.accepted_at),
            verified_at: text(view.verified_at),
            raises: view.raises,
        }
    }
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// When it was last heard.
    pub heard_at: Option<String>,
    /// When it last brought usage.
    pub usage_at: Option<String>,
    /// Why it is broken or stale.
    pub trouble: Option<String>,
    /// What it reported and another source counts for, or, where it is not enabled, nobody.
    #[serde(default)]
    pub aside: Option<String>,
}

/// `12.00 USD (3 usages): `bedrock-log` counts`, for each source that counts instead.
fn set_aside(source: &str, asides: &[AsideView]) -> Option<String> {
    let mut by: std::collections::BTreeMap<Option<&str>, (Money, u64)> = std::collections::BTreeMap::new();
    for aside in asides.iter().filter(|aside| &*aside.source == source) {
        let (amount, facts) = by.entry(aside.counts.as_deref()).or_default();
        *amount = amount.saturating_add(aside.amount);
        *facts = facts.saturating_add(aside.facts);
    }
    let words = by.into_iter().map(|(counts, (amount, facts))| {
        let why = counts.map_or("it is not enabled".to_owned(), |counts| format!("`{counts}` counts"));
        format!("{amount} set aside ({facts} usages): {why}")
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

impl Status {
    /// From what the engine shows, and the breakers that are not `Clear`; the rest is filled in by the server.
    #[must_use]
    pub fn of(view: &View, surveyed: &Surveyed) -> Self {
        let counters = &view.counters;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            install: String::new(),
            journal: String::new(),
            turn: 0,
            now: view.now.to_string(),
            ceiling: view.ceiling.word().to_owned(),
            because: view.because.clone(),
            freeze: view.freeze.clone(),
            next_freeze: view.next_freeze.clone(),
            clock_doubt: view.clock_doubt.clone(),
            disk_low: false,
            rules: view.rules.to_string(),
            revision: view.revision.as_deref().map(str::to_owned),
            rules_current: true,
            prices: view.prices.to_string(),
            breakers: surveyed.breakers.iter().map(Breaker::from).collect(),
            breakers_not_clear: surveyed.count(|state| state != "Clear"),
            breakers_total: surveyed.count(|_| true),
            holds: view.holds.iter().map(Hold::from).collect(),
            sources: view
                .sources
                .iter()
                .map(|(name, status)| Source {
                    name: name.to_string(),
                    heard_at: text(status.heard_at),
                    usage_at: text(status.usage_at),
                    trouble: status.broken.clone().or_else(|| status.stale.clone()),
                    aside: set_aside(name, &view.asides),
                })
                .collect(),
            usage: Usage {
                accepted: counters.accepted,
                duplicates: counters.duplicates,
                conflicts: counters.conflicts,
                refused: counters.refused.values().sum(),
                unpriced: counters.unpriced,
            },
            shadow: view.shadow.as_ref().map(Shadow::from),
            alarms: view.alarms.iter().map(Alarm::from).collect(),
            messages_held: view.messages_held,
        }
    }
}

/// A budget with how its breakers stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetShape {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Where it was written.
    pub place: String,
    /// One breaker for each combination of these.
    pub per_each: Vec<String>,
    /// The limit where no override matches.
    pub limit: String,
    /// `day (Europe/Berlin)`, `rolling 6h`, `lifetime`.
    pub window: String,
    /// The rule's own mode.
    pub mode: String,
    /// Breakers by state: `Clear`, `Warned`, `Arming`, `Tripped`.
    pub states: std::collections::BTreeMap<String, usize>,
    /// Sum over its breakers.
    pub sum: String,
}

impl BudgetShape {
    /// A budget, and how its breakers stand.
    #[must_use]
    pub fn of(budget: &Budget, tally: &Tally) -> Self {
        Self {
            name: budget.name.to_string(),
            description: budget.description.to_string(),
            place: budget.place.to_string(),
            per_each: budget.per_each.iter().map(ToString::to_string).collect(),
            limit: budget.limit.unit.exact(budget.limit.amount),
            window: window_in_words(&budget.window),
            mode: budget.mode.word().to_owned(),
            states: tally.states.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect(),
            sum: budget.limit.unit.exact(tally.sum),
        }
    }
}

fn window_in_words(window: &WindowSpec) -> String {
    match window {
        WindowSpec::Calendar { unit, timezone, .. } => format!("{unit:?} ({timezone})").to_lowercase(),
        WindowSpec::Rolling(span) => format!("rolling {span}"),
        WindowSpec::Lifetime => "lifetime".to_owned(),
    }
}

/// A decision in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// `d17`.
    pub id: String,
    /// When.
    pub at: String,
    /// `Tripped`, …
    pub kind: String,
    /// Effective mode.
    pub mode: String,
    /// The breaker, where it is about one.
    pub breaker: Option<String>,
    /// What, in a sentence.
    pub what: String,
    /// The sum then.
    pub sum: String,
    /// The limit then.
    pub limit: String,
    /// The rule's file and line.
    pub place: String,
}

impl Decision {
    /// The shape of a decision.
    #[must_use]
    pub fn of(decision: &decision::Decision) -> Self {
        Self {
            id: decision.id.to_string(),
            at: decision.at.to_string(),
            kind: decision_word(&decision.kind).to_owned(),
            mode: decision.mode.word().to_owned(),
            breaker: decision.why.breaker.as_ref().map(|b| b.name.to_string()),
            what: decision_in_words(&decision.kind),
            sum: decision.why.unit.exact(decision.why.sum),
            limit: decision.why.unit.exact(decision.why.limit),
            place: if decision.why.place.line == 0 { String::new() } else { decision.why.place.to_string() },
        }
    }
}

/// What was decided, in a sentence; for a list, so with what a page or a refusal says.
#[must_use]
pub fn decision_in_words(kind: &DecisionKind) -> String {
    match kind {
        DecisionKind::Page { detail, .. } => detail.clone(),
        DecisionKind::Hold { detail, .. } => format!("{}; {detail}", explain::headline(kind)),
        DecisionKind::Commanded { refused: Some(why), .. } => format!("{}; {why}", explain::headline(kind)),
        _ => explain::headline(kind),
    }
}

/// `pause ScaledObject/checkout/api`.
#[must_use]
pub fn order_in_words(order: &decision::Order) -> String {
    match &order.effect {
        Effect::PauseToZero => format!("pause {} at zero", order.target),
        Effect::ReverseRaise { workload } => format!("bring {workload} back to zero under {}", order.target),
        Effect::Restore { .. } => format!("give {} back", order.target),
    }
}

/// A decision with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The decision.
    #[serde(rename = "decision")]
    pub head: Decision,
    /// Number of the turn in which it was made.
    pub turn: u64,
    /// The window.
    pub window: Option<(String, String)>,
    /// Charges in the sum.
    pub facts: u64,
    /// Usage in the window that has no price.
    pub unpriced: u64,
    /// Event time of the charge that crossed.
    pub occurred_at: Option<String>,
    /// The largest charges: fact, when, how much.
    pub largest: Vec<(String, String, String)>,
    /// Id of the rules.
    pub rules: String,
    /// Id of the prices.
    pub prices: String,
    /// What the selector named but was left alone, and why.
    pub left: Vec<(String, String)>,
    /// What the guard answered before any order was given.
    pub guard: Vec<Answer>,
    /// Anything else.
    pub note: String,
    /// Its orders.
    pub orders: Vec<OrderShape>,
    /// The whole story as text, as `breakerbox explain` prints it.
    pub text: String,
}

/// One answer of the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question.
    pub check: String,
    /// Whether it lets the effect through.
    pub pass: bool,
    /// The evidence.
    pub detail: String,
}

impl From<&GuardAnswer> for Answer {
    fn from(answer: &GuardAnswer) -> Self {
        Self { check: answer.check.word().to_owned(), pass: answer.pass, detail: answer.detail.clone() }
    }
}

/// An order with its receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderShape {
    /// `o3`.
    pub id: String,
    /// What.
    pub what: String,
    /// Word of the receipt that moved it last.
    pub state: String,
    /// Whether nothing more is to come.
    pub resolved: bool,
    /// Which try.
    pub attempt: u32,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When it was given.
    pub issued_at: String,
    /// Receipts, in order.
    pub receipts: Vec<ReceiptShape>,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptShape {
    /// When.
    pub at: String,
    /// Its word.
    pub outcome: String,
    /// In a sentence.
    pub what: String,
    /// What the guard answered.
    pub guard: Vec<Answer>,
    /// What was looked at: sign, what was seen, whether it proves.
    pub signs: Vec<(String, String, bool)>,
}

impl From<&Receipt> for ReceiptShape {
    fn from(receipt: &Receipt) -> Self {
        Self {
            at: receipt.at.to_string(),
            outcome: outcome_word(&receipt.outcome).0.to_owned(),
            what: explain::outcome_in_words(&receipt.outcome),
            guard: receipt.guard.iter().map(Answer::from).collect(),
            signs: signs_of(&receipt.outcome)
                .iter()
                .map(|s| (s.sign.clone(), s.seen.clone(), s.proves))
                .collect(),
        }
    }
}

fn signs_of(outcome: &ReceiptOutcome) -> &[Observation] {
    match outcome {
        ReceiptOutcome::Verified { signs, .. }
        | ReceiptOutcome::NotObserved { signs }
        | ReceiptOutcome::RestoreIncomplete { signs } => signs,
        _ => &[],
    }
}

impl From<&OrderRecord> for OrderShape {
    fn from(record: &OrderRecord) -> Self {
        Self {
            id: record.order.id.to_string(),
            what: order_in_words(&record.order),
            state: record.state.clone(),
            resolved: record.resolved,
            attempt: record.order.attempt,
            approved_by: record.order.approved_by.clone(),
            issued_at: record.order.issued_at.to_string(),
            receipts: record.receipts.iter().map(ReceiptShape::from).collect(),
        }
    }
}

impl From<&DecisionRecord> for Detail {
    fn from(record: &DecisionRecord) -> Self {
        let why = &record.decision.why;
        let (left, guard) = match &record.decision.kind {
            DecisionKind::Tripped { left, .. } => {
                (left.iter().map(|(key, why)| (key.to_string(), why.clone())).collect(), Vec::new())
            }
            DecisionKind::Withheld { answers, .. } => {
                (Vec::new(), answers.iter().map(Answer::from).collect())
            }
            _ => (Vec::new(), Vec::new()),
        };
        Self {
            head: Decision::of(&record.decision),
            turn: record.seq,
            window: why.breaker.as_ref().map(|b| (b.start.to_string(), b.end.to_string())),
            facts: why.facts,
            unpriced: why.unpriced,
            occurred_at: text(why.occurred_at),
            largest: why
                .largest
                .iter()
                .map(|l| (l.fact.to_string(), l.occurred_at.to_string(), l.amount.exact()))
                .collect(),
            rules: why.rules.to_string(),
            prices: why.prices.to_string(),
            left,
            guard,
            note: why.note.clone(),
            orders: record.orders.iter().map(OrderShape::from).collect(),
            text: story(record),
        }
    }
}

fn story(record: &DecisionRecord) -> String {
    let orders: Vec<decision::Order> = record.orders.iter().map(|o| o.order.clone()).collect();
    let receipts: Vec<Receipt> = record.orders.iter().flat_map(|o| o.receipts.iter().cloned()).collect();
    explain::decision(&record.decision, &orders, &receipts)
}

/// Why a breaker stopped nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The breaker, where there is one.
    pub breaker: Option<String>,
    /// Whether anything of that name was ever seen.
    pub known: bool,
    /// For people.
    pub reason: String,
}

impl From<&NotTripped> for Reason {
    fn from(not: &NotTripped) -> Self {
        Self {
            breaker: not.breaker.as_deref().map(str::to_owned),
            known: not.reason != NotTrippedReason::NeverSeen,
            reason: not.reason.to_string(),
        }
    }
}
