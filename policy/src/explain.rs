//! A decision for people to read: who, which sum, which limit, which facts, which rule line, what the
//! guard answered and what came of it. Pure text, the same for the same input.
//!
//! (Why nothing happened is [`crate::engine::Engine::explain`].)

use std::fmt::Write;

use crate::consolidate::Plan;
use crate::decision::{
    ArmingCause, Cause, Decision, DecisionKind, Effect, Order, ReleaseCause, SpotDecision, Why,
};
use crate::fact::{GuardAnswer, Observation, Receipt, ReceiptOutcome};
use crate::idle::Finding;
use crate::inventory::ObjectKey;

/// The decision with the orders that follow from it and the receipts of those, in the order in which
/// they came.
#[must_use]
pub fn decision(decision: &Decision, orders: &[Order], receipts: &[Receipt]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_decision(&mut text, decision, orders, receipts);
    text
}

fn write_decision(
    text: &mut String,
    decision: &Decision,
    orders: &[Order],
    receipts: &[Receipt],
) -> std::fmt::Result {
    let subject = decision.why.breaker.as_ref().map_or("breakerbox", |b| &b.name);
    writeln!(text, "{}  {subject}  {}", decision.id, headline(&decision.kind))?;
    line(text, "at", &format!("{}, mode {}", decision.at, decision.mode.word()))?;
    write_why(text, &decision.why)?;
    write_kind(text, decision)?;
    for order in orders {
        write_order(text, order, receipts)?;
    }
    Ok(())
}

fn line(text: &mut String, label: &str, value: &str) -> std::fmt::Result {
    writeln!(text, "  {label:<9} {value}")
}

/// What was decided, in a few words.
#[must_use]
pub fn headline(kind: &DecisionKind) -> String {
    match kind {
        DecisionKind::Warned { threshold } => format!("warned at {threshold}"),
        DecisionKind::WarnedBy { measure } => format!("warned: {measure}"),
        DecisionKind::Arming { cause } => format!("arming: waits for {}", cause_in_words(*cause)),
        DecisionKind::Tripped { targets, .. } => format!("tripped: {} to stop", objects(targets.len())),
        DecisionKind::Withheld { targets, .. } => {
            format!("withheld: {} would have been stopped", objects(targets.len()))
        }
        DecisionKind::Released { cause, .. } => format!("released: {}", release_in_words(cause)),
        DecisionKind::BreachedAfterClose => "a closed window turned out to be over".to_owned(),
        DecisionKind::Hold { target, from, to, .. } => format!("{target}: {} → {}", from.word(), to.word()),
        DecisionKind::Commanded { what, refused: None } => format!("done: {what}"),
        DecisionKind::Commanded { what, refused: Some(_) } => format!("refused: {what}"),
        DecisionKind::Idle { found, more, .. } => {
            format!("idle: {} target(s)", found.len().saturating_add(*more as usize))
        }
        DecisionKind::Packable { plan, more, .. } => {
            format!("{} node(s) could be emptied", plan.vacated.len().saturating_add(*more as usize))
        }
        DecisionKind::Page { topic, .. } => format!("page: {topic:?}"),
        DecisionKind::Spot(spot) => {
            format!("{}: {} {}", spot.notice.kind.word(), spot.place(), spot.notice.kind.in_words())
        }
    }
}

fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

/// What an arming breaker waits for, in words.
#[must_use]
pub fn cause_in_words(cause: ArmingCause) -> String {
    match cause {
        ArmingCause::Grace(until) => format!("its grace to end at {until}"),
        ArmingCause::OnTimeFact => {
            "a fact on time: what brought it over was late, or read while catching up".to_owned()
        }
        ArmingCause::RuleChange => {
            "a person's approval: a change of rules, or the end of an override, brought it over".to_owned()
        }
        ArmingCause::PriceChange => "a person's approval: a change of prices brought it over".to_owned(),
        ArmingCause::Clock => "the clocks to agree".to_owned(),
    }
}

/// What ended a trip, in words.
#[must_use]
pub fn release_in_words(cause: &ReleaseCause) -> String {
    match cause {
        ReleaseCause::WindowRolled => "its window ended".to_owned(),
        ReleaseCause::FellBelow => "the sum fell below what the rule names".to_owned(),
        ReleaseCause::SourceHeard => "its source is heard again".to_owned(),
        ReleaseCause::Reset(actor) => format!("{actor} reset it"),
        ReleaseCause::Person(actor) => format!("{actor} gave it back"),
        ReleaseCause::Wanted(seen) => seen.clone(),
    }
}

fn write_why(text: &mut String, why: &Why) -> std::fmt::Result {
    let Some(breaker) = why.breaker.as_ref().filter(|b| b.start < b.end) else { return Ok(()) };
    let unpriced =
        if why.unpriced > 0 { format!(", {} without a price", why.unpriced) } else { String::new() };
    line(
        text,
        "spent",
        &format!("{} of {} ({} charges{unpriced})", why.unit.of(why.sum), why.unit.of(why.limit), why.facts),
    )?;
    line(text, "window", &format!("{} to {}", breaker.start, breaker.end))?;
    if let Some(cause) = trigger_in_words(why) {
        line(text, "trigger", &cause)?;
    }
    if let Some(at) = why.occurred_at {
        line(text, "crossed", &format!("by a charge of {at}"))?;
    }
    for (i, charge) in why.largest.iter().enumerate() {
        let label = if i == 0 { "largest" } else { "" };
        line(
            text,
            label,
            &format!("{}  {}  {}", why.unit.of(charge.amount), charge.occurred_at, charge.fact),
        )?;
    }
    line(text, "rule", &rule_in_words(why))?;
    line(text, "prices", &why.prices)?;
    if !why.note.is_empty() {
        line(text, "note", &why.note)?;
    }
    Ok(())
}

/// What a trigger saw, in words; `None` where none was why.
#[must_use]
pub fn trigger_in_words(why: &Why) -> Option<String> {
    let (measure, spent, foretold) = match &why.cause {
        Cause::Trigger { measure, spent, foretold, .. } => (measure, spent, foretold),
        Cause::Silence { source, signal } => {
            return Some(format!("source `{source}` is silent although {signal}"));
        }
        Cause::Sum | Cause::Person => return None,
    };
    let seen: Vec<String> =
        spent.iter().map(|(span, amount)| format!("{} in the last {span}", why.unit.of(*amount))).collect();
    let seen = match foretold {
        Some(sum) => format!("{} by the end of the window at its average pace so far", why.unit.of(*sum)),
        None => seen.join(" and "),
    };
    Some(format!("{measure}: {seen}"))
}

/// What the spend of a breaker comes to per hour, in words; also where that is not known.
#[must_use]
pub fn burn_in_words(why: &Why) -> String {
    why.burn.map_or_else(|| "its cost per hour is not known yet".to_owned(), |burn| burn.in_unit(why.unit))
}

fn write_kind(text: &mut String, Decision { kind, why, .. }: &Decision) -> std::fmt::Result {
    match kind {
        DecisionKind::Tripped { targets, left } => {
            write_targets(text, targets)?;
            for (target, because) in left {
                line(text, "left", &format!("{target}: {because}"))?;
            }
            Ok(())
        }
        DecisionKind::Withheld { targets, answers } => {
            write_targets(text, targets)?;
            write_guard(text, answers)
        }
        DecisionKind::Released { targets, .. } => write_targets(text, targets),
        DecisionKind::Hold { to, detail, .. } => {
            line(text, "detail", detail)?;
            if to.runs_on() { line(text, "burn", &burn_in_words(why)) } else { Ok(()) }
        }
        DecisionKind::Idle { found, more, targets, left, not_armed } => {
            line(text, "worth", &format!("{} per hour{}", why.sum, unpriced_in_words(why.unpriced)))?;
            line(text, "rule", &rule_in_words(why))?;
            for finding in found {
                line(text, "idle", &finding_in_words(finding))?;
            }
            write_more(text, *more)?;
            write_targets(text, targets)?;
            for (target, because) in left {
                line(text, "left", &format!("{target}: {because}"))?;
            }
            not_armed.iter().try_for_each(|what| line(text, "would", what))
        }
        DecisionKind::Packable { plan, more, not_armed } => {
            line(text, "saves", &format!("{} per hour", why.sum))?;
            line(text, "rule", &rule_in_words(why))?;
            write_plan(text, plan)?;
            write_more(text, *more)?;
            not_armed.iter().try_for_each(|what| line(text, "would", what))
        }
        DecisionKind::Page { detail, .. } => line(text, "detail", detail),
        DecisionKind::Spot(spot) => write_spot(text, spot),
        DecisionKind::Commanded { refused: Some(because), .. } => line(text, "refused", because),
        DecisionKind::Warned { .. }
        | DecisionKind::WarnedBy { .. }
        | DecisionKind::Arming { .. }
        | DecisionKind::BreachedAfterClose
        | DecisionKind::Commanded { refused: None, .. } => Ok(()),
    }
}

fn unpriced_in_words(unpriced: u64) -> String {
    if unpriced > 0 { format!(", and {unpriced} without a price") } else { String::new() }
}

/// One finding: what, on which nodes, by which evidence, worth what.
#[must_use]
pub fn finding_in_words(finding: &Finding) -> String {
    let worth = finding.worth.map_or("not known".to_owned(), |worth| format!("{worth} per hour"));
    let nodes = if finding.nodes.is_empty() { "no node".to_owned() } else { finding.nodes.join(", ") };
    format!("{} on {nodes}: {}; worth {worth}", finding.target, finding.verdict)
}

fn write_more(text: &mut String, more: u32) -> std::fmt::Result {
    if more > 0 { line(text, "more", &format!("{more} that are not listed")) } else { Ok(()) }
}

fn write_plan(text: &mut String, plan: &Plan) -> std::fmt::Result {
    for vacated in &plan.vacated {
        let share = vacated.allocation;
        line(text, "empty", &format!("{}, {share} in use, saves {} per hour", vacated.node, vacated.saving))?;
        for one in &vacated.moves {
            line(text, "move", &format!("{} to {}", one.pod, one.to))?;
        }
    }
    plan.left.iter().try_for_each(|left| line(text, "left", &format!("{}: {}", left.node, left.because)))
}

fn write_spot(text: &mut String, spot: &SpotDecision) -> std::fmt::Result {
    let notice = &spot.notice;
    let pool = if spot.pool.is_empty() { "unknown" } else { &*spot.pool };
    line(text, "instance", &format!("{} in {}, pool {pool}", notice.instance, notice.region))?;
    line(text, "event", &format!("{} of {}", notice.event, notice.at))?;
    if let Some(deadline) = notice.deadline() {
        line(text, "deadline", &deadline.to_string())?;
    }
    for step in &spot.plan.steps {
        line(text, "would", &step.in_words())?;
    }
    for left in &spot.plan.left {
        line(text, "left", &format!("{}: {}", left.act, left.because))?;
    }
    Ok(())
}

fn write_targets(text: &mut String, targets: &[ObjectKey]) -> std::fmt::Result {
    for (i, target) in targets.iter().enumerate() {
        line(text, if i == 0 { "targets" } else { "" }, &target.to_string())?;
    }
    Ok(())
}

fn write_guard(text: &mut String, answers: &[GuardAnswer]) -> std::fmt::Result {
    for (i, answer) in answers.iter().enumerate() {
        let word = if answer.pass { "yes" } else { "no" };
        let label = if i == 0 { "guard" } else { "" };
        line(text, label, &format!("{} {word}: {}", answer.check.word(), answer.detail))?;
    }
    Ok(())
}

fn write_order(text: &mut String, order: &Order, receipts: &[Receipt]) -> std::fmt::Result {
    let what = match &order.effect {
        Effect::PauseToZero => format!("pause {} at zero", order.target),
        Effect::ReverseRaise { workload } => format!("bring {workload} back to zero"),
        Effect::Restore { .. } => format!("give {} back", order.target),
    };
    let approved = order.approved_by.as_ref().map_or(String::new(), |who| format!(", approved by {who}"));
    line(text, "order", &format!("{} {what}, try {}{approved}", order.id, order.attempt))?;
    for receipt in receipts.iter().filter(|r| r.order == order.id) {
        write_guard(text, &receipt.guard)?;
        line(text, "receipt", &format!("{} {}", receipt.at, outcome_in_words(&receipt.outcome)))?;
    }
    Ok(())
}

/// A receipt's outcome, in words.
#[must_use]
pub fn outcome_in_words(outcome: &ReceiptOutcome) -> String {
    match outcome {
        ReceiptOutcome::Prepared(prior) => {
            let replicas = prior.replicas.map_or("unknown".to_owned(), |n| n.to_string());
            format!("prepared: it had {replicas} replicas")
        }
        ReceiptOutcome::Accepted { resource_version } => {
            format!("accepted by the API server as version {resource_version}")
        }
        ReceiptOutcome::Verified { signs, took } => format!("verified in {took}: {}", signs_in_words(signs)),
        ReceiptOutcome::AlreadySo { by } => format!("already at zero, by {by}; left as theirs"),
        ReceiptOutcome::NotStopped { replicas, because } => {
            let running = replicas.map_or(String::new(), |n| format!("; {n} replicas run on"));
            format!("not stopped: {because}{running}")
        }
        ReceiptOutcome::Refused => "refused by the guard".to_owned(),
        ReceiptOutcome::Failed { error, retryable } => {
            format!("failed{}: {error}", if *retryable { ", to be tried again" } else { "" })
        }
        ReceiptOutcome::NotObserved { signs } => format!("not proven: {}", signs_in_words(signs)),
        ReceiptOutcome::RestoreIncomplete { signs } => {
            format!("restore incomplete: {}", signs_in_words(signs))
        }
        ReceiptOutcome::Delivered { .. } => "delivered".to_owned(),
    }
}

fn signs_in_words(signs: &[Observation]) -> String {
    let words: Vec<String> = signs.iter().map(|s| format!("{} {}", s.sign, s.seen)).collect();
    if words.is_empty() { "no signs".to_owned() } else { words.join(", ") }
}

/// `tenants.yaml:9 of rules 5f2c81d0, commit 1a2b…`.
fn rule_in_words(why: &Why) -> String {
    let commit = why.revision.as_deref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    format!("{} of rules {}{commit}", why.place, why.rules)
}
