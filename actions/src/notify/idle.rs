//! What people are told of idle GPUs and under-filled nodes: worth instead of spend.

use policy::consolidate::Plan;
use policy::decision::{Decision, DecisionKind};
use policy::explain::finding_in_words;
use policy::idle::Finding;
use policy::inventory::ObjectKey;
use policy::rule::Mode;

use super::message::{Standing, TargetLine};
use super::scene::{Scene, Told, action};

/// Findings, moves and reasons that a message lists; `explain` has all.
const MOST_LINES: usize = 12;

/// Whether a decision is of an idle policy: such a rule has no limit, and its name as a holder its own form.
pub(super) fn is_of_idle(decision: &Decision) -> bool {
    decision.why.breaker.as_ref().is_some_and(|breaker| breaker.name.starts_with("idle:"))
}

/// Whether the spend and limit of a breaker are what a decision is about.
pub(super) fn is_about_money(decision: &Decision) -> bool {
    let page = matches!(decision.kind, DecisionKind::Page { .. });
    !page && decision.why.breaker.is_some() && !is_of_idle(decision)
}

/// In place of what a breaker spent.
pub(super) fn worth(decision: &Decision) -> String {
    match decision.why.unpriced {
        0 => format!("idle GPUs at {} per hour", decision.why.sum),
        unpriced => format!("idle GPUs at {} per hour, and {unpriced} without a price", decision.why.sum),
    }
}

pub(super) fn found(
    scene: &Scene<'_>,
    found: &[Finding],
    more: u32,
    targets: &[ObjectKey],
    left: &[(ObjectKey, String)],
    not_armed: &[String],
) -> Told {
    let decision = &scene.notice.decision;
    let count = found.len().saturating_add(more as usize);
    let mut lines: Vec<String> = found.iter().take(MOST_LINES).map(finding_in_words).collect();
    lines.extend(unlisted(count));
    let stopped = match (targets.is_empty(), decision.mode) {
        (true, _) => "Nothing that scales it may be paused: it stays as it is.".to_owned(),
        (false, Mode::Enforce) => "What scales it is paused, if every guard lets it.".to_owned(),
        (false, Mode::Approve) => "What scales it would be paused, after a person's yes.".to_owned(),
        (false, mode) => format!("Mode `{}`: nothing is paused. In `enforce` these would be.", mode.word()),
    };
    lines.push(stopped);
    lines.extend(not_armed.iter().take(MOST_LINES).map(|what| format!("Would {what}.")));
    let mut shown: Vec<TargetLine> = targets
        .iter()
        .map(|target| line(target, Standing::Would, "its workload is idle".to_owned()))
        .collect();
    let left =
        left.iter().map(|(target, because)| line(target, Standing::Left, format!("left alone: {because}")));
    shown.extend(left);
    let acks = targets.iter().take(3).map(|target| {
        action(
            "say that it may be idle, where the rule lets such a word hold",
            format!("breakerbox ack {target}"),
        )
    });
    Told {
        title: format!("{count} target(s) of {} hold {}", scene.who, worth(decision)),
        lines,
        targets: shown,
        actions: acks.collect(),
        stops: false,
    }
}

pub(super) fn packable(scene: &Scene<'_>, plan: &Plan, more: u32, not_armed: &[String]) -> Told {
    let count = plan.vacated.len().saturating_add(more as usize);
    let saving = scene.notice.decision.why.sum;
    let mut lines: Vec<String> = plan
        .vacated
        .iter()
        .take(MOST_LINES)
        .map(|node| {
            let moves: Vec<String> =
                node.moves.iter().take(MOST_LINES).map(|one| format!("{} to {}", one.pod, one.to)).collect();
            let moves = if moves.is_empty() { "nothing on it".to_owned() } else { moves.join(", ") };
            format!(
                "{}: {} of its GPUs in use, {} per hour: {moves}",
                node.node, node.allocation, node.saving
            )
        })
        .collect();
    lines.extend(unlisted(count));
    lines.push("Nothing is moved: this version shows the plan.".to_owned());
    lines.extend(not_armed.iter().take(MOST_LINES).map(|what| format!("Would {what}.")));
    Told {
        title: format!(
            "{count} under-filled node(s) could be emptied, saving {saving} per hour ({})",
            scene.who
        ),
        lines,
        ..Told::default()
    }
}

fn unlisted(count: usize) -> Option<String> {
    let more = count.saturating_sub(MOST_LINES);
    (more > 0).then(|| format!("And {more} more."))
}

fn line(target: &ObjectKey, standing: Standing, words: String) -> TargetLine {
    TargetLine { target: target.clone(), standing, words }
}
