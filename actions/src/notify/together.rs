//! Messages that are told together, and what is said again because nobody has answered.

use policy::decision::{DecisionKind, Notice};
use policy::rule::Budget;

use super::message::{Action, Message, severity_word};
use super::render::{alone, footer};
use super::scene::action;

/// Messages of a digest that are shown, the loudest first; all are in the webhook's body.
const SHOWN: usize = 20;

/// What a notice says: by itself, or of all that are told in it.
///
/// `budget` is the budget that the breaker belongs to, where the rules in force still have it; `repeat`
/// marks a message that may have been sent before a restart.
#[must_use]
pub fn render(notice: &Notice, budget: Option<&Budget>, repeat: bool) -> Message {
    if !notice.manner.digest.is_empty() {
        return digest(notice, repeat);
    }
    let mut message = alone(notice, budget, repeat);
    add_manner(notice, &mut message);
    message
}

/// One message for all of a digest.
fn digest(notice: &Notice, repeat: bool) -> Message {
    let manner = &notice.manner;
    let mut all: Vec<&Notice> = manner.digest.iter().collect();
    // The order of those that are as loud as each other is that in which they came.
    all.sort_by_key(|one| std::cmp::Reverse(one.severity));
    let count = all.len() + usize::try_from(manner.omitted).unwrap_or(usize::MAX);
    let first = all.first().map(|one| alone(one, None, false).title).unwrap_or_default();
    let line = |one: &&Notice| {
        let title = alone(one, None, false).title;
        format!("[{}] {title} ({} at {})", severity_word(one.severity), one.decision.id, one.decision.at)
    };
    let mut lines: Vec<String> = all.iter().take(SHOWN).map(line).collect();
    let more = count.saturating_sub(lines.len());
    if more > 0 {
        lines.push(format!("… and {more} more."));
    }
    let mut actions = Vec::new();
    match all.iter().filter(|one| one.manner.ack).collect::<Vec<_>>()[..] {
        [] => {}
        [one] => actions.push(acknowledge(one)),
        _ => actions.push(action(
            "say that you look after what is critical, so that nobody else is told",
            "breakerbox ack all".to_owned(),
        )),
    }
    actions.push(action("see everything", "breakerbox status".to_owned()));
    Message {
        title: format!("{count} messages, the loudest: {first}"),
        severity: notice.severity,
        lines,
        fields: Vec::new(),
        targets: Vec::new(),
        charges: Vec::new(),
        actions,
        footer: footer(&notice.decision),
        repeat,
    }
    .visible()
}

/// What is said of a message that wants an answer, or that nobody has answered.
fn add_manner(notice: &Notice, message: &mut Message) {
    let manner = &notice.manner;
    if let Some(since) = manner.unanswered_since {
        let whom =
            manner.escalated_from.as_deref().map_or(String::new(), |from| format!(" on route `{from}`"));
        message.lines.insert(0, format!("Nobody has acknowledged this{whom} since {since}."));
        message.title = format!("{}: {}", if whom.is_empty() { "Again" } else { "Escalated" }, message.title);
    }
    if manner.ack {
        message.actions.insert(0, acknowledge(notice));
    }
}

fn acknowledge(notice: &Notice) -> Action {
    let what = match notice.decision.kind {
        DecisionKind::Page { .. } => "say that you have seen it, so that nobody else is told",
        _ => "say that you look after it, so that nobody else is told",
    };
    action(what, format!("breakerbox ack {}", notice.decision.id))
}
