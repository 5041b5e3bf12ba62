//! A plan for people, for shells, and for a comment on a pull request.

use std::fmt::Write as _;

use policy::engine::{Basis, Plan, PlannedBreaker, Verdict};

use super::{Change, Plans, differences};

/// Breakers that a table shows.
const MOST_ROWS: usize = 50;
/// Objects that are named for each breaker.
const MOST_NAMED: usize = 5;

/// The plan that was asked about, and what differs from the rules in force.
fn both(plans: &Plans) -> (&Plan, Vec<Change>) {
    match &plans.candidate {
        Some(candidate) => (candidate, differences(&plans.in_force, candidate)),
        None => (&plans.in_force, Vec::new()),
    }
}

fn head(plan: &Plan) -> String {
    let commit = plan.revision.as_deref().map(|r| format!(", commit {r}")).unwrap_or_default();
    let because = plan.because.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "rules {}{commit}, as of {}; the daemon may {}{because}; {} of {} ScaledObject(s) could be stopped",
        plan.rules, plan.now, plan.ceiling, plan.eligible, plan.objects
    )
}

fn list(items: &[String]) -> String {
    let named = items.iter().take(MOST_NAMED).map(|item| item.trim_start_matches("ScaledObject/"));
    let named = named.collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn objects(breaker: &PlannedBreaker) -> String {
    let mut parts = Vec::new();
    for (word, items) in [("to stop", &breaker.targets), ("stopped", &breaker.held)] {
        if !items.is_empty() {
            parts.push(format!("{} {word}: {}", items.len(), list(items)));
        }
    }
    if !breaker.left.is_empty() {
        let left: Vec<String> = breaker
            .left
            .iter()
            .map(|(object, why)| format!("{} ({why})", object.trim_start_matches("ScaledObject/")))
            .collect();
        parts.push(format!("{} left alone: {}", left.len(), list(&left)));
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

fn refusals(breaker: &PlannedBreaker) -> String {
    match breaker.refusals.is_empty() {
        true => "nothing".to_owned(),
        false => breaker
            .refusals
            .iter()
            .map(|(check, why)| format!("{check}: {why}"))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Counted => "counted",
        Basis::ByHour => "new; from what was spent by hour",
        Basis::Unknown => "new; not known what it would have counted",
    }
}

/// A budget whose one trip is over its cap is never carried out by itself.
fn blast(largest: u32, cap: u32) -> &'static str {
    if largest > cap { "over the cap: always refused without a person" } else { "within" }
}

/// Sections of headings and rows, in the order of reading.
type Section = (&'static str, Vec<&'static str>, Vec<Vec<String>>);

fn sections(plan: &Plan, changes: &[Change]) -> Vec<Section> {
    let changes = changes.iter().map(|c| vec![c.sign.to_string(), c.what.clone(), c.how.clone()]).collect();
    let budgets = plan.budgets.iter().map(|b| {
        vec![
            b.name.to_string(),
            b.place.clone(),
            b.mode.to_string(),
            b.limit.clone(),
            b.breakers.to_string(),
            b.reach.to_string(),
            format!(
                "{} of {}, {}",
                b.largest,
                b.rule_cap.min(b.overall_cap),
                blast(b.largest, b.rule_cap.min(b.overall_cap))
            ),
            basis(b.basis).to_owned(),
        ]
    });
    let breakers = plan.breakers.iter().take(MOST_ROWS).map(|b| {
        let (sum, limit) = (b.unit.of(b.sum).to_string(), b.unit.of(b.limit).to_string());
        vec![
            b.name.to_string(),
            b.state.to_string(),
            sum,
            limit,
            b.now.words().to_owned(),
            objects(b),
            refusals(b),
        ]
    });
    vec![
        ("Difference", vec!["", "what", "how"], changes),
        (
            "Budgets",
            vec!["budget", "at", "mode", "limit", "breakers", "reach", "largest trip", "sums"],
            budgets.collect(),
        ),
        (
            "Breakers",
            vec!["breaker", "state", "spent", "limit", "now", "objects", "a trip is refused by"],
            breakers.collect(),
        ),
    ]
}

fn more(plan: &Plan) -> Option<String> {
    let more = plan.omitted + plan.breakers.len().saturating_sub(MOST_ROWS);
    (more > 0).then(|| {
        format!(
            "and {more} more breaker(s) with less of their limit; `--format json` lists the first thousand"
        )
    })
}

/// What is otherwise, in a sentence.
fn verdict(plans: &Plans, changes: &[Change]) -> String {
    let (plan, _) = both(plans);
    let stops = plan.breakers.iter().filter(|b| b.now == Verdict::Stops).count();
    let over =
        plan.breakers.iter().filter(|b| matches!(b.now, Verdict::Waits | Verdict::WouldBeOver)).count();
    let differs = match (&plans.candidate, changes.len()) {
        (None, _) => String::new(),
        (Some(_), 0) => "no difference to the rules in force; ".to_owned(),
        (Some(_), n) => format!("{n} difference(s) to the rules in force; "),
    };
    format!(
        "{differs}{stops} breaker(s) would stop something now, {over} more over or waiting; nothing was changed"
    )
}

/// Tables. `table` draws one: title, headings, rows.
#[must_use]
pub fn human(plans: &Plans, table: impl Fn(&str, &[&str], &[Vec<String>]) -> String) -> String {
    let (plan, changes) = both(plans);
    let mut text = format!("{}\n{}\n\n", head(plan), verdict(plans, &changes));
    for said in &plan.said {
        let _ = writeln!(text, "the change itself: {said}\n");
    }
    for (title, headings, rows) in sections(plan, &changes) {
        text.push_str(&table(title, &headings, &rows));
    }
    text.push_str(&more(plan).map(|line| format!("{line}\n")).unwrap_or_default());
    text
}

/// Lines of tab-separated fields, each with the name of its section.
#[must_use]
pub fn plain(plans: &Plans) -> String {
    let (plan, changes) = both(plans);
    let mut text = String::new();
    for (title, _, rows) in sections(plan, &changes) {
        for row in rows {
            let _ = writeln!(text, "{}\t{}", title.to_lowercase(), row.join("\t"));
        }
    }
    text
}

/// A comment for a pull request. What comes from a cluster or a rule cannot leave its cell.
#[must_use]
pub fn markdown(plans: &Plans) -> String {
    let (plan, changes) = both(plans);
    let mut text =
        format!("### breakerbox plan\n\n{}\n\n{}\n", quoted(&verdict(plans, &changes)), quoted(&head(plan)));
    for said in &plan.said {
        let _ = write!(text, "\n> {}\n", quoted(said));
    }
    for (number, (title, headings, rows)) in sections(plan, &changes).into_iter().enumerate() {
        if rows.is_empty() {
            continue;
        }
        // The difference is what is looked at; the rest opens.
        let (open, close) = match number {
            0 => (format!("\n#### {title}\n"), String::new()),
            _ => (
                format!("\n<details><summary>{title} ({})</summary>\n", rows.len()),
                "\n</details>\n".to_owned(),
            ),
        };
        let _ = write!(text, "{open}\n| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text.push_str(&close);
    }
    text.push_str(&more(plan).map(|line| format!("\n{}\n", quoted(&line))).unwrap_or_default());
    text
}

/// Text that Markdown takes as text: no table, no link, no mention, no HTML.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '|' | '[' | ']' | '*' | '_' | '`' | '\\' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_cell() {
        assert_eq!(quoted("a|b\n<img> @all `x` [l](u)"), "a\\|b &lt;img&gt; &#64;all \\`x\\` \\[l\\](u)");
    }
}
