//! The tables of the page.

use std::cmp::Ordering;

use policy::money::{Money, Percent};
use policy::time::Timestamp;

use super::super::findings::{BudgetFound, Findings};
use super::super::letters::Letters;
use super::super::trips::{Forecast, Trip};
use super::super::{Report, to_second};
use super::escape::text;
use super::{add, sentences};

/// Rows that a table shows at once.
const MOST_ROWS: usize = 2_000;

/// A table: headings, those of figures marked, and rows of cells that are HTML already.
fn table(page: &mut String, headings: &[(&str, bool)], rows: &[Vec<String>]) {
    page.push_str("<div class=\"scroll\"><table><thead><tr>");
    for (heading, figure) in headings {
        add(page, format_args!("<th{}>{heading}</th>", if *figure { " class=\"n\"" } else { "" }));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in rows.iter().take(MOST_ROWS) {
        page.push_str("<tr>");
        for (cell, (_, figure)) in row.iter().zip(headings) {
            add(page, format_args!("<td{}>{cell}</td>", if *figure { " class=\"n\"" } else { "" }));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    if rows.len() > MOST_ROWS {
        add(
            page,
            format_args!("<p>{} more: <code>--format json</code> has all.</p>\n", rows.len() - MOST_ROWS),
        );
    }
}

/// One rule set.
pub(super) fn set(page: &mut String, findings: &Findings, letter: Option<&str>) {
    let of = letter.map(|letter| format!(" of {letter}")).unwrap_or_default();
    add(page, format_args!("<section><h2>Budgets{of}</h2>\n"));
    let headings = [
        ("budget", false),
        ("window", false),
        ("limit", true),
        ("breakers", true),
        ("warned", true),
        ("tripped", true),
        ("look false", true),
        ("over at trips", true),
        ("spent after", true),
    ];
    table(page, &headings, &findings.budgets.iter().map(budget).collect::<Vec<_>>());
    page.push_str("</section>\n");
    add(page, format_args!("<section><h2>Trips{of}</h2>\n"));
    if findings.trips.is_empty() {
        page.push_str("<p>No breaker tripped.</p>\n");
    } else {
        let headings = [
            ("breaker", false),
            ("tripped at, UTC", false),
            ("spent then", true),
            ("over", true),
            ("given back, UTC", false),
            ("spent after", true),
            ("looks false", false),
        ];
        table(page, &headings, &findings.trips.iter().map(trip).collect::<Vec<_>>());
    }
    warnings(page, findings);
    pages(page, findings);
    page.push_str("</section>\n");
}

fn budget(found: &BudgetFound) -> Vec<String> {
    let description = match found.description.is_empty() {
        true => String::new(),
        false => format!("<br><small>{}</small>", text(&found.description)),
    };
    let place = text(&found.place.to_string());
    let after = match found.stops {
        true => text(&found.after.to_string()),
        false => format!("{}<br><small>stops nothing</small>", text(&found.after.to_string())),
    };
    vec![
        format!("<b>{}</b>{description}<br><small>{place} · mode {}</small>", text(&found.name), found.mode),
        text(&found.window),
        text(&found.unit.of(found.limit).to_string()),
        grouped(found.breakers as u64),
        grouped(found.warned as u64),
        grouped(found.tripped as u64),
        grouped(found.looks_false as u64),
        text(&found.unit.of(found.over).to_string()),
        after,
    ]
}

fn trip(trip: &Trip) -> Vec<String> {
    let share = trip.sum.percent_of(trip.limit).map(to_tenth).unwrap_or_default();
    let mut facts = format!("{} charges", grouped(trip.facts));
    if let Some(largest) = trip.largest.first() {
        facts.push_str(&format!("; largest <code>{}</code>", text(largest)));
    }
    let targets = match trip.targets.is_empty() {
        true => String::new(),
        false => format!("<br><small>would have stopped {}</small>", text(&trip.targets.join(", "))),
    };
    let nothing = if trip.stops { "" } else { ", stops nothing" };
    let (after, charges) = (text(&trip.after.to_string()), grouped(trip.after_facts));
    let after = format!("{after}<br><small>{charges} charges{nothing}</small>");
    vec![
        format!("<b>{}</b><br><small>{facts}</small>{targets}", text(&trip.breaker)),
        format!("{}<br><small>by {}</small>", when(trip.at), trip.cause),
        format!(
            "{}<br><small>of {}</small>",
            text(&trip.unit.of(trip.sum).to_string()),
            text(&trip.unit.of(trip.limit).to_string())
        ),
        format!("{}<br><small>{}</small>", text(&trip.unit.of(trip.over).to_string()), text(&share)),
        returned(trip),
        after,
        text(&trip.looks_false.join("; ")),
    ]
}

/// An instant on one line.
fn when(at: Timestamp) -> String {
    format!("<span class=\"at\">{}</span>", text(&to_second(at).replace('T', " ").replace('Z', "")))
}

fn returned(trip: &Trip) -> String {
    match (trip.released_at, trip.released_by) {
        (Some(at), Some(by)) => format!("{}<br><small>{by}</small>", when(at)),
        _ => "not before the record ends".to_owned(),
    }
}

/// To a tenth of a percent.
fn to_tenth(share: Percent) -> String {
    Percent::from_ppm(share.ppm() / 1_000 * 1_000).to_string()
}

fn warnings(page: &mut String, findings: &Findings) {
    if findings.warnings.is_empty() {
        return;
    }
    add(page, format_args!("<details><summary>{} warning(s)</summary>\n", findings.warnings.len()));
    let rows: Vec<Vec<String>> = findings
        .warnings
        .iter()
        .map(|warning| {
            vec![
                text(&warning.breaker),
                when(warning.at),
                text(&warning.threshold),
                text(&warning.unit.of(warning.sum).to_string()),
                text(&warning.unit.of(warning.limit).to_string()),
            ]
        })
        .collect();
    let headings = [
        ("breaker", false),
        ("warned at, UTC", false),
        ("threshold", true),
        ("spent then", true),
        ("limit", true),
    ];
    table(page, &headings, &rows);
    page.push_str("</details>\n");
}

fn pages(page: &mut String, findings: &Findings) {
    for (what, count) in &findings.waited {
        add(page, format_args!("<p>{count} time(s) a breaker over its limit waited for {what}.</p>\n"));
    }
    if findings.after_close > 0 {
        add(
            page,
            format_args!(
                "<p>{} window(s) turned out to be over after they had closed: shown, never acted on.</p>\n",
                findings.after_close
            ),
        );
    }
    if findings.pages.is_empty() {
        return;
    }
    add(
        page,
        format_args!("<details><summary>{} page(s) about other things</summary>\n", findings.pages.len()),
    );
    let rows: Vec<Vec<String>> =
        findings.pages.iter().map(|(page, count)| vec![text(page), grouped(*count)]).collect();
    table(page, &[("page", false), ("times", true)], &rows);
    page.push_str("</details>\n");
}

/// Forecasts that fired, with what came: a method is shown with its error, or not at all.
pub(super) fn forecasts(page: &mut String, findings: &Findings, letter: Option<&str>) {
    let of = letter.map(|letter| format!(" of {letter}")).unwrap_or_default();
    add(page, format_args!("<section class=\"forecasts\"><h2>Forecasts{of}</h2>\n"));
    match (findings.forecasts_asked, findings.forecasts.is_empty()) {
        (false, _) => page.push_str(
            "<p>No budget of these rules has a forecast, so there is no error of one to show.</p>\n",
        ),
        (true, true) => page.push_str("<p>No forecast fired, so none can be compared with what came.</p>\n"),
        (true, false) => {
            page.push_str(
                "<p>The method is the average of the window so far, carried on to its end. Only forecasts that fired \
                 are compared with what came; those that foretold too little to fire are not here.</p>\n",
            );
            let rows: Vec<Vec<String>> = findings.forecasts.iter().map(forecast).collect();
            let headings = [
                ("breaker", false),
                ("foretold at, UTC", false),
                ("spent then", true),
                ("foretold", true),
                ("came", true),
                ("off by", true),
            ];
            table(page, &headings, &rows);
        }
    }
    page.push_str("</section>\n");
}

fn forecast(forecast: &Forecast) -> Vec<String> {
    let of = |amount| text(&forecast.unit.of(amount).to_string());
    vec![
        format!("<b>{}</b>", text(&forecast.breaker)),
        when(forecast.at),
        of(forecast.sum),
        of(forecast.foretold),
        forecast.came.map_or_else(|| "the record ends first".to_owned(), of),
        forecast.error_percent().map_or_else(|| "–".to_owned(), |off| format!("{off}%")),
    ]
}

/// Where two rule sets differ.
pub(super) fn differences(page: &mut String, report: &Report) {
    page.push_str("<section id=\"differences\"><h2>Where A and B differ</h2>\n");
    if report.differences.is_empty() {
        page.push_str("<p>They trip at the same facts.</p></section>\n");
        return;
    }
    let headings = [
        ("breaker", false),
        ("A trips at, UTC", false),
        ("B trips at, UTC", false),
        ("would have saved more", true),
    ];
    let at = |at: Option<Timestamp>, sum: &Option<String>| match (at, sum) {
        (Some(at), Some(sum)) => {
            format!("{}<br><small>{} spent</small>", when(at), text(sum))
        }
        _ => "never".to_owned(),
    };
    let rows: Vec<Vec<String>> = report
        .differences
        .iter()
        .map(|difference| {
            vec![
                format!("<b>{}</b>", text(&difference.breaker)),
                at(difference.ours, &difference.our_sum),
                at(difference.theirs, &difference.their_sum),
                more(difference.saves_more),
            ]
        })
        .collect();
    table(page, &headings, &rows);
    page.push_str("</section>\n");
}

/// Who would have saved more, and how much.
fn more(by: Money) -> String {
    match by.cmp(&Money::ZERO) {
        Ordering::Equal => "the same".to_owned(),
        Ordering::Greater => format!("A, by {}", text(&by.to_string())),
        Ordering::Less => format!("B, by {}", text(&Money::ZERO.saturating_sub(by).to_string())),
    }
}

/// What was read, and what was not.
pub(super) fn record(page: &mut String, report: &Report) {
    let (record, saved) = sentences(report);
    page.push_str("<section><h2>The record</h2>\n");
    for line in record.lines().filter(|line| !line.is_empty()) {
        add(page, format_args!("<p>{}</p>\n", text(line)));
    }
    add(page, format_args!("<p>{}</p>\n", text(&saved)));
    if report.record.events_believed && report.record.files.iter().any(|file| file.kind.starts_with("usage"))
    {
        page.push_str(
            "<p>What <code>usage.v1</code> events say of themselves is taken as trusted here; the daemon does so only \
             where a token fixes it.</p>\n",
        );
    }
    add(page, format_args!("<details><summary>{} file(s)</summary>\n", report.record.files.len()));
    let rows: Vec<Vec<String>> = report
        .record
        .files
        .iter()
        .map(|file| vec![text(&file.path), text(file.kind), grouped(file.facts), grouped(file.behind)])
        .collect();
    table(page, &[("file", false), ("what", false), ("facts", true), ("out of order", true)], &rows);
    page.push_str("</details>\n");
    letters(page, "could not be read", &report.record.letters);
    letters(page, "refused", &report.findings.refused);
    page.push_str("</section>\n");
}

fn letters(page: &mut String, what: &str, letters: &Letters) {
    if letters.counts.is_empty() {
        return;
    }
    add(page, format_args!("<details open><summary>{} {what}</summary>\n", grouped(letters.count())));
    let rows: Vec<Vec<String>> =
        letters.counts.iter().map(|(reason, count)| vec![text(reason), grouped(*count)]).collect();
    table(page, &[("reason", false), ("how many", true)], &rows);
    let rows: Vec<Vec<String>> = letters
        .first
        .iter()
        .map(|letter| vec![text(&letter.place), text(&letter.reason), text(&letter.detail)])
        .collect();
    table(page, &[("the first of them", false), ("reason", false), ("detail", false)], &rows);
    page.push_str("</details>\n");
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
