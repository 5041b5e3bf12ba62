//! The webhook's body: `breakerbox.notice.v1`, documented in `docs/webhook.md`.
//!
//! Fields are added, never renamed or removed, within `v1`. Money is decimal text with every digit, since
//! JSON numbers are floats to most readers.

use std::borrow::Cow;

use policy::decision::{DecisionKind, Manner, Notice, ReleaseCause, Times};
use policy::money::{Money, Unit};
use policy::time::Timestamp;
use serde::Serialize;

use crate::notify::idle::is_about_money;
use crate::notify::message::{Message, severity_word};
use crate::notify::render::alone;
use crate::notify::visible::visible;
use crate::notify::words;

/// Name and version of the body.
pub const SCHEMA: &str = "breakerbox.notice.v1";

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    key: &'a str,
    thread: &'a str,
    route: &'a str,
    severity: &'static str,
    progress: bool,
    repeat: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    manner: Option<MannerBody<'a>>,
    title: &'a str,
    text: String,
    decision: DecisionBody<'a>,
    breaker: Option<BreakerBody<'a>>,
    spend: Option<SpendBody<'a>>,
    targets: Vec<TargetBody<'a>>,
    times: TimesBody,
    actions: Vec<ActionBody<'a>>,
}

/// How it is told, where it is not simply once and by itself.
#[derive(Serialize)]
struct MannerBody<'a> {
    ack: Option<String>,
    again: u32,
    unanswered_since: Option<String>,
    escalated_from: Option<&'a str>,
    digest: Vec<TogetherBody<'a>>,
    omitted: u32,
}

/// One of the messages that are told together.
#[derive(Serialize)]
struct TogetherBody<'a> {
    key: &'a str,
    severity: &'static str,
    title: String,
    decision: DecisionBody<'a>,
    breaker: Option<BreakerBody<'a>>,
}

#[derive(Serialize)]
struct DecisionBody<'a> {
    id: String,
    at: Option<String>,
    kind: &'static str,
    mode: &'static str,
    rule: Option<RuleBody<'a>>,
    rules: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    prices: &'a str,
    threshold: Option<String>,
    cause: Option<&'static str>,
    hold: Option<HoldBody<'a>>,
    guard: Vec<GuardBody<'a>>,
    topic: Option<&'static str>,
    detail: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct RuleBody<'a> {
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct HoldBody<'a> {
    object: String,
    from: &'static str,
    to: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct GuardBody<'a> {
    check: &'static str,
    pass: bool,
    detail: &'a str,
}

#[derive(Serialize)]
struct BreakerBody<'a> {
    name: &'a str,
    budget: &'a str,
    instance: &'a str,
    start: Option<String>,
    end: Option<String>,
}

#[derive(Serialize)]
struct SpendBody<'a> {
    unit: &'static str,
    spent: String,
    limit: String,
    spent_usd: Option<String>,
    limit_usd: Option<String>,
    charges: u64,
    unpriced: u64,
    burn_usd_per_hour: Option<String>,
    burn_over_seconds: Option<i64>,
    burn_basis: Option<&'static str>,
    largest: Vec<ChargeBody<'a>>,
}

#[derive(Serialize)]
struct ChargeBody<'a> {
    fact: &'a str,
    occurred_at: Option<String>,
    amount: String,
    usd: Option<String>,
}

#[derive(Serialize)]
struct TargetBody<'a> {
    object: String,
    state: &'static str,
    words: &'a str,
}

#[derive(Serialize)]
struct TimesBody {
    occurred_at: Option<String>,
    decided_at: Option<String>,
    accepted_at: Option<String>,
    verified_at: Option<String>,
}

#[derive(Serialize)]
struct ActionBody<'a> {
    what: &'a str,
    command: &'a str,
}

/// The body as JSON, in a fixed order of fields: the same notice gives the same bytes.
#[must_use]
pub fn webhook_body(notice: &Notice, message: &Message) -> String {
    let about_money =
        is_about_money(&notice.decision) && !matches!(notice.decision.kind, DecisionKind::Spot(_));
    let body = Body {
        schema: SCHEMA,
        key: &notice.key,
        thread: &notice.thread,
        route: &notice.route,
        severity: severity_word(notice.severity),
        progress: notice.progress,
        repeat: message.repeat,
        manner: manner(notice),
        title: &message.title,
        text: message.to_string(),
        decision: decision(notice, message),
        breaker: breaker(notice),
        spend: about_money.then(|| spend(notice)),
        targets: targets(message),
        times: times(&notice.times),
        actions: message.actions.iter().map(|a| ActionBody { what: &a.what, command: &a.command }).collect(),
    };
    // Only text, numbers and lists of them: there is nothing that could fail to become JSON.
    serde_json::to_string(&body).unwrap_or_default()
}

fn manner(notice: &Notice) -> Option<MannerBody<'_>> {
    let manner = &notice.manner;
    (*manner != Manner::default()).then(|| MannerBody {
        ack: manner.ack.then(|| notice.decision.id.to_string()),
        again: manner.again,
        unanswered_since: manner.unanswered_since.and_then(instant),
        escalated_from: manner.escalated_from.as_deref(),
        digest: manner.digest.iter().map(together).collect(),
        omitted: manner.omitted,
    })
}

fn together(notice: &Notice) -> TogetherBody<'_> {
    let message = alone(notice, None, false);
    TogetherBody {
        key: &notice.key,
        severity: severity_word(notice.severity),
        decision: decision(notice, &message),
        title: message.title,
        breaker: breaker(notice),
    }
}

fn decision<'a>(notice: &'a Notice, message: &Message) -> DecisionBody<'a> {
    let decision = &notice.decision;
    let place = &decision.why.place;
    let mut body = DecisionBody {
        id: decision.id.to_string(),
        at: instant(decision.at),
        kind: kind_word(&decision.kind),
        mode: decision.mode.word(),
        rule: (!place.file.is_empty()).then_some(RuleBody { file: &place.file, line: place.line }),
        rules: &decision.why.rules,
        revision: decision.why.revision.as_deref(),
        prices: &decision.why.prices,
        threshold: None,
        cause: None,
        hold: None,
        guard: Vec::new(),
        topic: None,
        detail: None,
    };
    match &decision.kind {
        DecisionKind::Warned { threshold } => body.threshold = Some(threshold.to_string()),
        DecisionKind::WarnedBy { measure } => body.threshold = Some(measure.to_string()),
        DecisionKind::Arming { cause } => body.cause = Some(cause.word()),
        DecisionKind::Released { cause, .. } => {
            body.cause = Some(release_word(cause));
            body.detail = match cause {
                ReleaseCause::Reset(said) | ReleaseCause::Person(said) | ReleaseCause::Wanted(said) => {
                    Some(said.into())
                }
                ReleaseCause::WindowRolled | ReleaseCause::FellBelow | ReleaseCause::SourceHeard => None,
            };
        }
        DecisionKind::Withheld { answers, .. } => {
            body.guard = answers
                .iter()
                .map(|a| GuardBody { check: a.check.word(), pass: a.pass, detail: &a.detail })
                .collect();
        }
        DecisionKind::Hold { target, from, to, detail } => {
            body.hold =
                Some(HoldBody { object: target.to_string(), from: from.word(), to: to.word(), detail });
        }
        DecisionKind::Commanded { what, refused } => {
            body.detail = Some(refused.as_ref().unwrap_or(what).into())
        }
        DecisionKind::Page { topic, detail } => {
            body.topic = Some(topic.word());
            // It names what callers wrote, and people read it.
            body.detail = Some(visible(detail).into());
        }
        DecisionKind::Idle { .. } | DecisionKind::Packable { .. } => {
            body.detail = Some(visible(&message.lines.join("\n")).into());
        }
        DecisionKind::Spot(spot) => {
            body.cause = Some(spot.notice.kind.word());
            body.detail = Some(format!("{} {}", spot.place(), spot.notice.kind.in_words()).into());
        }
        DecisionKind::Tripped { .. } | DecisionKind::BreachedAfterClose => {}
    }
    body
}

fn breaker(notice: &Notice) -> Option<BreakerBody<'_>> {
    // A node is no breaker; it only lends its name to the thread.
    if matches!(notice.decision.kind, DecisionKind::Spot(_)) {
        return None;
    }
    let breaker = notice.decision.why.breaker.as_ref()?;
    let (instance, budget) = words::who(Some(breaker));
    let (start, end) = (instant(breaker.start), instant(breaker.end));
    Some(BreakerBody { name: &breaker.name, budget, instance, start, end })
}

fn spend(notice: &Notice) -> SpendBody<'_> {
    let why = &notice.decision.why;
    let in_usd = |amount| (why.unit == Unit::Usd).then(|| digits(Unit::Usd, amount));
    SpendBody {
        unit: why.unit.word(),
        spent: digits(why.unit, why.sum),
        limit: digits(why.unit, why.limit),
        spent_usd: in_usd(why.sum),
        limit_usd: in_usd(why.limit),
        charges: why.facts,
        unpriced: why.unpriced,
        burn_usd_per_hour: why.burn.and_then(|burn| in_usd(burn.per_hour)),
        burn_over_seconds: why.burn.map(|burn| burn.over.millis() / 1000),
        burn_basis: why.burn.map(|burn| burn.basis.word()),
        largest: why
            .largest
            .iter()
            .map(|c| ChargeBody {
                fact: &c.fact,
                occurred_at: instant(c.occurred_at),
                usd: in_usd(c.amount),
                amount: digits(why.unit, c.amount),
            })
            .collect(),
    }
}

fn targets(message: &Message) -> Vec<TargetBody<'_>> {
    message
        .targets
        .iter()
        .map(|t| TargetBody { object: t.target.to_string(), state: t.standing.word(), words: &t.words })
        .collect()
}

fn times(times: &Times) -> TimesBody {
    TimesBody {
        occurred_at: times.occurred_at.and_then(instant),
        decided_at: times.decided_at.and_then(instant),
        accepted_at: times.accepted_at.and_then(instant),
        verified_at: times.verified_at.and_then(instant),
    }
}

/// RFC 3339 in UTC; nothing for the ends of time that a lifetime window has.
fn instant(at: Timestamp) -> Option<String> {
    at.to_utc().map(|_| at.to_string())
}

/// Every digit, without the unit.
fn digits(unit: Unit, amount: Money) -> String {
    unit.exact(amount).split(' ').next().unwrap_or_default().to_owned()
}

const fn kind_word(kind: &DecisionKind) -> &'static str {
    match kind {
        DecisionKind::Warned { .. } => "warned",
        DecisionKind::WarnedBy { .. } => "warned-by",
        DecisionKind::Arming { .. } => "arming",
        DecisionKind::Tripped { .. } => "tripped",
        DecisionKind::Withheld { .. } => "withheld",
        DecisionKind::Released { .. } => "released",
        DecisionKind::BreachedAfterClose => "breached-after-close",
        DecisionKind::Hold { .. } => "hold",
        DecisionKind::Commanded { .. } => "commanded",
        DecisionKind::Page { .. } => "page",
        DecisionKind::Idle { .. } => "idle",
        DecisionKind::Packable { .. } => "packable",
        DecisionKind::Spot(_) => "spot",
    }
}

const fn release_word(cause: &ReleaseCause) -> &'static str {
    match cause {
        ReleaseCause::WindowRolled => "window-rolled",
        ReleaseCause::FellBelow => "fell-below",
        ReleaseCause::SourceHeard => "source-heard",
        ReleaseCause::Reset(_) => "reset",
        ReleaseCause::Person(_) => "person",
        ReleaseCause::Wanted(_) => "wanted",
    }
}
