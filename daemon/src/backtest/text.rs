//! The answer as text, for people and for shells, and as JSON.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use policy::money::Money;
use serde::Serialize;

use super::findings::{Counted, Findings, Record};
use super::gather::Order;
use super::letters::Letters;
use super::trips::{Forecast, Trip};
use super::{Report, to_second};
use crate::args::Format;

/// Rows of a table that people are shown; JSON and the page have all.
const MOST_ROWS: usize = 40;

/// The answer as JSON.
///
/// # Errors
/// When it cannot be written as such.
pub fn json(report: &Report) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Versioned<'r> {
        schema: &'static str,
        #[serde(flatten)]
        report: &'r Report,
    }
    serde_json::to_string_pretty(&Versioned { schema: "backtest.v1", report })
}

/// The answer as text.
#[must_use]
pub fn text(report: &Report, format: Format) -> String {
    match format {
        Format::Plain => plain(report),
        _ => human(report),
    }
}

fn plain(report: &Report) -> String {
    let mut text = String::new();
    for (set, findings) in sets(report) {
        for trip in &findings.trips {
            let released = trip.released_at.map_or_else(|| "-".to_owned(), to_second);
            let row = [
                "trips",
                set,
                &trip.breaker,
                &to_second(trip.at),
                trip.cause,
                &trip.unit.of(trip.sum).to_string(),
                &trip.unit.of(trip.limit).to_string(),
                &trip.unit.of(trip.over).to_string(),
                &released,
                &trip.after.to_string(),
                &trip.looks_false.join("; "),
            ];
            line(&mut text, &row);
        }
        for warning in &findings.warnings {
            let (sum, limit) = (warning.unit.of(warning.sum), warning.unit.of(warning.limit));
            let (at, sum, limit) = (to_second(warning.at), sum.to_string(), limit.to_string());
            line(&mut text, &["warnings", set, &warning.breaker, &at, &warning.threshold, &sum, &limit]);
        }
    }
    for difference in &report.differences {
        line(&mut text, &["differences", &difference.text]);
    }
    text
}

fn line(text: &mut String, cells: &[&str]) {
    text.push_str(&cells.join("\t"));
    text.push('\n');
}

/// The rule sets by the letter that people tell them apart by.
fn sets(report: &Report) -> Vec<(&'static str, &Findings)> {
    let mut sets = vec![("A", &report.findings)];
    sets.extend(report.against.as_ref().map(|other| ("B", other)));
    sets
}

fn human(report: &Report) -> String {
    let mut text = String::new();
    say(&mut text, &record(&report.record, &report.findings.counted, report.findings.spent));
    for (set, findings) in sets(report) {
        let name = if report.against.is_some() { format!("{set}: ") } else { String::new() };
        say(&mut text, &format!("\n{name}{}", heading(findings)));
        say(&mut text, &budgets(findings));
        say(&mut text, &trips(findings));
        say(&mut text, &notes(findings));
    }
    if report.against.is_some() {
        say(&mut text, &differences(report));
    }
    say(&mut text, &letters("not read", &report.record.letters));
    say(&mut text, FOOTNOTE);
    text
}

const FOOTNOTE: &str = "\n`spent after` is what was spent between the trip and the give-back: what a stop would have \
    saved at most, since it would have changed what came later. `over` is what was spent over the limit by the \
    charge that crossed it; the delay of metering and calls under way come on top of it. The mode in the files is \
    not looked at.\n";

fn say(text: &mut String, more: &str) {
    text.push_str(more);
    if !more.is_empty() && !more.ends_with('\n') {
        text.push('\n');
    }
}

/// One sentence about what was read.
#[must_use]
pub(super) fn record(record: &Record, counted: &Counted, spent: Money) -> String {
    let mut text = format!(
        "{} facts of {} file(s), from {} to {}: {spent} spent\n{} counted",
        record.facts,
        record.files.len(),
        to_second(record.first),
        to_second(record.last),
        counted.accepted,
    );
    for (count, what) in [
        (counted.without_usage, "of them without usage"),
        (counted.duplicates, "seen before and not counted again"),
        (counted.conflicts, "in conflict with what was seen before"),
        (counted.unpriced, "without a price (unknown, not zero)"),
        (counted.refused, "refused"),
        (record.letters.count(), "not read"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}"); // a String takes all
        }
    }
    let behind: u64 = record.files.iter().map(|file| file.behind).sum();
    if behind > 0 {
        let what = match record.order {
            Order::Time => "and was put where it happened",
            Order::File => "and is late: it adds up and trips nothing",
        };
        let _ =
            write!(text, "\n{behind} stood more than 15 minutes behind a younger one of its file, {what}");
    }
    for (kind, (count, sum)) in &record.left_out {
        let _ = write!(text, "\n{count} row(s) of a bill left out: {kind}, {sum}");
    }
    text.push('\n');
    text
}

fn heading(findings: &Findings) -> String {
    let commit = findings.revision.as_deref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    format!("folder {}, rules {}{commit}, prices {}", findings.rules, findings.rules_id, findings.prices)
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(headings.iter().copied());
    table
}

fn budgets(findings: &Findings) -> String {
    let mut table = table(&[
        "budget",
        "window",
        "limit",
        "breakers",
        "warned",
        "tripped",
        "look false",
        "over",
        "spent after",
    ]);
    for budget in &findings.budgets {
        table.add_row([
            budget.name.to_string(),
            budget.window.clone(),
            budget.unit.of(budget.limit).to_string(),
            budget.breakers.to_string(),
            budget.warned.to_string(),
            budget.tripped.to_string(),
            budget.looks_false.to_string(),
            budget.unit.of(budget.over).to_string(),
            if budget.stops { budget.after.to_string() } else { format!("{} (stops nothing)", budget.after) },
        ]);
    }
    format!("{table}\n{}", saved(findings))
}

/// What stopping would have saved.
#[must_use]
pub(super) fn saved(findings: &Findings) -> String {
    let (least, most) = findings.saved;
    match (most.is_zero(), least == most) {
        (true, _) => "A stop would have saved nothing.".to_owned(),
        (false, true) => format!("Stops would have saved up to {most}."),
        (false, false) => format!(
            "Stops would have saved up to between {least} and {most}: budgets that count the same charges cannot \
             be added up."
        ),
    }
}

fn trips(findings: &Findings) -> String {
    if findings.trips.is_empty() {
        return "No breaker tripped.".to_owned();
    }
    let mut table = table(&[
        "breaker",
        "tripped at",
        "by",
        "spent then",
        "over",
        "given back",
        "spent after",
        "looks false",
    ]);
    for trip in findings.trips.iter().take(MOST_ROWS) {
        table.add_row([
            trip.breaker.to_string(),
            to_second(trip.at),
            trip.cause.to_owned(),
            format!("{} of {}", trip.unit.of(trip.sum), trip.unit.of(trip.limit)),
            trip.unit.of(trip.over).to_string(),
            given_back(trip),
            if trip.stops { trip.after.to_string() } else { format!("{} (stops nothing)", trip.after) },
            trip.looks_false.join("; "),
        ]);
    }
    let left = findings.trips.len().saturating_sub(MOST_ROWS);
    let more =
        if left > 0 { format!("\n… and {left} more: `--format json` has all") } else { String::new() };
    format!("{table}{more}")
}

/// When and why a trip ended.
fn given_back(trip: &Trip) -> String {
    match (trip.released_at, trip.released_by) {
        (Some(at), Some(by)) => format!("{} ({by})", to_second(at)),
        _ => "not before the record ends".to_owned(),
    }
}

fn notes(findings: &Findings) -> String {
    let mut text = String::new();
    for (what, count) in &findings.waited {
        let _ = writeln!(text, "{count} time(s) a breaker over its limit waited for {what}");
    }
    if findings.after_close > 0 {
        let _ = writeln!(
            text,
            "{} window(s) turned out to be over after they had closed: shown, never acted on",
            findings.after_close
        );
    }
    for forecast in findings.forecasts.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "{}", foretold(forecast));
    }
    if findings.not_listed > 0 {
        let _ = writeln!(text, "{} further trips and warnings are only counted", findings.not_listed);
    }
    text.push_str(&letters("refused", &findings.refused));
    for (page, count) in findings.pages.iter().take(10) {
        let _ = writeln!(text, "would have been paged ({count}): {page}");
    }
    text
}

/// A forecast that fired, and what came of it.
#[must_use]
pub(super) fn foretold(forecast: &Forecast) -> String {
    let of = |amount| forecast.unit.of(amount).to_string();
    let came = match (forecast.came, forecast.error_percent()) {
        (Some(came), Some(off)) => format!("{} came, so it was off by {off}%", of(came)),
        (Some(came), None) => format!("{} came", of(came)),
        (None, _) => "the record ends before its window".to_owned(),
    };
    format!(
        "{}: at {} {} was foretold for the end of the window; {came}",
        forecast.breaker,
        to_second(forecast.at),
        of(forecast.foretold)
    )
}

fn differences(report: &Report) -> String {
    if report.differences.is_empty() {
        return "\nA and B trip at the same facts.".to_owned();
    }
    let mut text = format!("\nA and B differ {} time(s):\n", report.differences.len());
    for difference in report.differences.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "  {}", difference.text);
    }
    let left = report.differences.len().saturating_sub(MOST_ROWS);
    if left > 0 {
        let _ = writeln!(text, "  … and {left} more: `--format json` has all");
    }
    text
}

fn letters(what: &str, letters: &Letters) -> String {
    let mut text = String::new();
    for (reason, count) in &letters.counts {
        let _ = writeln!(text, "{count} {what}: {reason}");
    }
    for letter in &letters.first {
        let _ = writeln!(text, "  {}: {}: {}", letter.place, letter.reason, letter.detail);
    }
    text
}
