//! `breakerbox status`.

use crate::args::{Common, Format};
use crate::http::shape::{Alarm, Shadow, Status};

use super::{DONE, Outcome, ask};

pub(super) async fn run(common: &Common) -> Outcome {
    let status: Status = ask::daemon(common)?.get("/v1/status").await?;
    match common.format {
        Format::Json => ask::json(&status)?,
        format => anstream::print!("{}", render(format, &status)),
    }
    Ok(DONE)
}

/// The status as text.
pub(super) fn render(format: Format, status: &Status) -> String {
    let mut text = head(format, status);
    let breakers: Vec<Vec<String>> = status
        .breakers
        .iter()
        .map(|b| {
            let detail = b.detail.clone().unwrap_or_default();
            vec![
                b.name.clone(),
                b.state.clone(),
                b.sum.clone(),
                b.limit.clone(),
                b.share.clone(),
                b.mode.clone(),
                detail,
            ]
        })
        .collect();
    let headings = ["breaker", "state", "spent", "limit", "share", "mode", "detail"];
    text.push_str(&ask::rows(format, "breakers", &headings, &breakers));
    let holds: Vec<Vec<String>> = status
        .holds
        .iter()
        .map(|h| {
            let proven = h.verified_at.clone().unwrap_or_else(|| "-".to_owned());
            vec![h.target.clone(), h.state.clone(), h.holders.join(","), proven, h.detail.clone()]
        })
        .collect();
    text.push_str(&ask::rows(format, "holds", &["object", "state", "held by", "proven", "detail"], &holds));
    let sources: Vec<Vec<String>> = status
        .sources
        .iter()
        .map(|s| {
            let or = |at: &Option<String>| at.clone().unwrap_or_else(|| "-".to_owned());
            vec![
                s.name.clone(),
                or(&s.heard_at),
                or(&s.usage_at),
                s.trouble.clone().unwrap_or_else(|| "well".to_owned()),
                s.aside.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    text.push_str(&ask::rows(
        format,
        "sources",
        &["source", "last heard", "last usage", "state", "not counted"],
        &sources,
    ));
    text.push_str(&unanswered(format, status));
    if let Some(shadow) = &status.shadow {
        text.push_str(&in_shadow(format, shadow));
    }
    text
}

/// What is critical and nobody has acknowledged.
fn unanswered(format: Format, status: &Status) -> String {
    let row = |alarm: &Alarm| {
        let (again, steps) = (alarm.again.to_string(), alarm.steps.to_string());
        vec![
            alarm.decision.clone(),
            alarm.about.clone(),
            alarm.route.clone(),
            alarm.since.clone(),
            again,
            steps,
        ]
    };
    let rows: Vec<Vec<String>> = status.alarms.iter().map(row).collect();
    let headings = ["ack", "unanswered", "route", "since", "again", "escalated"];
    ask::rows(format, "unanswered", &headings, &rows)
}

/// What was charged, and what would have been by the prices that are looked at.
fn in_shadow(format: Format, shadow: &Shadow) -> String {
    let rows: Vec<Vec<String>> = shadow
        .spend
        .iter()
        .map(|s| {
            let tenant = s.tenant.clone().unwrap_or_else(|| "unattributed".to_owned());
            let unpriced = if s.unpriced > 0 { s.unpriced.to_string() } else { "-".to_owned() };
            vec![tenant, s.model.clone(), s.counted.clone(), s.would.clone(), unpriced]
        })
        .collect();
    let headings = ["tenant", "model", "charged", "by the prices in shadow", "without a price there"];
    ask::rows(format, "shadow", &headings, &rows)
}

fn head(format: Format, status: &Status) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        ("daemon", format!("breakerbox {}, turn {}, as of {}", status.version, status.turn, status.now)),
        ("may", format!("{}{}", status.ceiling, because(status))),
        ("rules", rules(status)),
        ("usage", usage(status)),
    ];
    let mut flag = |name, text: &Option<String>| {
        if let Some(text) = text {
            lines.push((name, text.clone()));
        }
    };
    flag("freeze", &status.freeze);
    flag("freezes", &status.next_freeze);
    flag("clock", &status.clock_doubt);
    if let Some(shadow) = &status.shadow {
        let until = shadow.until.as_deref().unwrap_or("a person says so (`breakerbox approve prices`)");
        lines.push((
            "shadow",
            format!(
                "prices {} would have charged {} where {} was charged since {}; they count from: {until}",
                shadow.prices, shadow.would, shadow.counted, shadow.since
            ),
        ));
    }
    if status.messages_held > 0 {
        lines.push((
            "held",
            format!("{} message(s) wait for their group or the end of quiet hours", status.messages_held),
        ));
    }
    if status.disk_low {
        lines.push(("disk", "below its reserve: usage is not taken in".to_owned()));
    }
    match format {
        Format::Plain => lines.iter().map(|(name, text)| format!("{name}\t{text}\n")).collect(),
        _ => lines.iter().map(|(name, text)| format!("{name:<8}{text}\n")).chain(["\n".to_owned()]).collect(),
    }
}

fn because(status: &Status) -> String {
    status.because.as_ref().map(|why| format!(" (held back: {why})")).unwrap_or_default()
}

/// A commit never stands alone: a file that was edited after the checkout is in force all the same.
fn commit(revision: &str) -> String {
    match revision.strip_suffix("-dirty") {
        Some(commit) => format!(", commit {commit} (its files were changed since)"),
        None => format!(", commit {revision}"),
    }
}

fn rules(status: &Status) -> String {
    let revision = status.revision.as_deref().map(commit).unwrap_or_default();
    let stale = if status.rules_current {
        ""
    } else {
        "; the folder holds no valid set, these are the ones from before"
    };
    let (busy, total) = (status.breakers_not_clear, status.breakers_total);
    format!(
        "{}{revision}, prices {}; {busy} of {total} breaker(s) not clear{stale}",
        status.rules, status.prices
    )
}

fn usage(status: &Status) -> String {
    let u = &status.usage;
    format!(
        "{} accepted, {} duplicate, {} in conflict, {} refused, {} without a price",
        u.accepted, u.duplicates, u.conflicts, u.refused, u.unpriced
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::shape::{Breaker, Usage};

    fn status() -> Status {
        let text = str::to_owned;
        Status {
            version: text("0.1.0"),
            install: text("prod"),
            journal: text("j"),
            turn: 7,
            now: text("2026-11-20T12:00:00Z"),
            ceiling: text("observe"),
            because: Some(text("no Lease: held by another")),
            freeze: None,
            next_freeze: Some(text("from x until y (rail.yaml:6)")),
            clock_doubt: None,
            disk_low: false,
            rules: text("r1"),
            revision: None,
            rules_current: true,
            prices: text("p1"),
            breakers: vec![Breaker {
                name: text("tenant-daily/acme"),
                budget: text("tenant-daily"),
                state: text("Warned"),
                sum: text("41.00 USD"),
                limit: text("50.00 USD"),
                share: text("82%"),
                start: text("a"),
                end: text("b"),
                facts: 3,
                burn: None,
                overshoot: None,
                unpriced: 0,
                mode: text("enforce"),
                trips: 0,
                detail: None,
                first_days_until: None,
            }],
            breakers_not_clear: 1,
            breakers_total: 2,
            holds: vec![],
            sources: vec![],
            usage: Usage { accepted: 3, ..Usage::default() },
            shadow: None,
            alarms: vec![],
            messages_held: 0,
        }
    }

    #[test]
    fn a_commit_is_never_shown_as_if_the_files_were_known_to_be_its_own() {
        assert_eq!(commit("abc123"), ", commit abc123");
        assert_eq!(commit("abc123-dirty"), ", commit abc123 (its files were changed since)");
    }

    #[test]
    fn people_get_headings_and_shells_get_tabs() {
        let human = render(Format::Human, &status());
        assert!(human.contains("may     observe (held back: no Lease: held by another)\n"), "{human}");
        assert!(human.contains("freezes from x until y (rail.yaml:6)\n"), "{human}");
        assert!(human.contains("1 of 2 breaker(s) not clear"), "{human}");
        assert!(human.contains("BREAKER") && human.contains("82%"), "{human}");
        let plain = render(Format::Plain, &status());
        let line = "breakers\ttenant-daily/acme\tWarned\t41.00 USD\t50.00 USD\t82%\tenforce\t\n";
        assert!(plain.contains(line), "{plain}");
        assert!(!plain.contains("BREAKER"), "{plain}");
    }
}
