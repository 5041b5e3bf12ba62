//! The answer as one page that needs nothing else: no network, no other file.
//!
//! Tables and words are plain HTML, made here, so that the page reads without scripts too; only the charts are
//! drawn by one ([uPlot](https://github.com/leeoniya/uPlot), kept in `uplot/`). Every name goes through
//! [`escape::text`], what the script reads stands as JSON in an element that runs nothing, and the page's own
//! policy lets nothing load.

mod charts;
mod escape;
mod tables;

use std::fmt::Write as _;

use policy::money::{Money, Unit};

use super::findings::{Findings, Record};
use super::text::{record, saved};
use super::{Report, to_second};
use escape::text;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const UPLOT: &str = include_str!("uplot/uPlot.iife.min.js");
const UPLOT_LICENCE: &str = include_str!("uplot/LICENSE");
const UPLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = String::with_capacity(1 << 20);
    page.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <title>breakerbox backtest</title>\n<style>",
    );
    page.push_str(UPLOT_STYLE);
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n");
    body(&mut page, report);
    page.push_str("<script>/*!\n");
    page.push_str(UPLOT_LICENCE);
    page.push_str("\n*/\n");
    page.push_str(UPLOT);
    page.push_str("</script>\n<script>");
    page.push_str(SCRIPT);
    page.push_str("</script>\n</body>\n</html>\n");
    page
}

fn body(page: &mut String, report: &Report) {
    head(page, report);
    page.push_str("<main>\n");
    if report.against.is_some() {
        tables::differences(page, report);
    }
    charts::section(page, report);
    let several = report.against.is_some();
    tables::set(page, &report.findings, several.then_some("A"));
    if let Some(other) = &report.against {
        tables::set(page, other, Some("B"));
    }
    tables::forecasts(page, &report.findings, several.then_some("A"));
    if let Some(other) = &report.against {
        tables::forecasts(page, other, Some("B"));
    }
    tables::record(page, report);
    notes(page);
    page.push_str("</main>\n");
    foot(page);
}

fn head(page: &mut String, report: &Report) {
    let Record { first, last, facts, files, .. } = &report.record;
    add(
        page,
        format_args!(
            "<header>\n<p class=\"mark\">breakerbox backtest</p>\n<h1>What these rules would have done</h1>\n\
             <p class=\"sub\">{} to {} · {} facts of {} file(s) · {} spent</p>\n",
            text(&to_second(*first)),
            text(&to_second(*last)),
            tables::grouped(*facts),
            files.len(),
            text(&report.findings.spent.to_string()),
        ),
    );
    cards(page, &report.findings, report.against.is_some().then_some("A"));
    if let Some(other) = &report.against {
        cards(page, other, Some("B"));
    }
    page.push_str("</header>\n");
}

/// The figures that people look for first.
fn cards(page: &mut String, findings: &Findings, letter: Option<&str>) {
    let letter = letter.map(|letter| format!("<b class=\"letter\">{letter}</b> ")).unwrap_or_default();
    let commit = findings.revision.as_deref().map(|c| format!(" · commit {}", text(c))).unwrap_or_default();
    add(
        page,
        format_args!(
            "<p class=\"rules\">{letter}rules <code>{}</code> in <code>{}</code>{commit} · prices <code>{}</code></p>\n",
            text(&findings.rules_id),
            text(&findings.rules),
            text(&findings.prices)
        ),
    );
    let looks_false = findings.trips.iter().filter(|trip| !trip.looks_false.is_empty()).count();
    let in_money = findings.budgets.iter().filter(|budget| budget.unit == Unit::Usd);
    let over = in_money.fold(Money::ZERO, |sum, budget| sum.saturating_add(budget.over));
    let (least, most) = findings.saved;
    let saved = match least == most {
        true => most.to_string(),
        false => format!("{least} to {most}"),
    };
    let warned = findings.warnings.len().to_string();
    let tripped = findings.trips.len().to_string();
    let cards = [
        ("warn", "warnings", warned, ""),
        ("trip", "trips", tripped, ""),
        ("", "spent over limits at the trips", over.to_string(), "up to the charge that crossed"),
        ("good", "stops would have saved up to", saved, "spent after the trips"),
        ("", "trips that look false", looks_false.to_string(), ""),
    ];
    page.push_str("<div class=\"cards\">\n");
    for (class, what, figure, small) in cards {
        add(
            page,
            format_args!(
                "<div class=\"card {class}\"><span class=\"figure\">{}</span><span>{what}</span><small>{small}</small></div>\n",
                text(&figure)
            ),
        );
    }
    page.push_str("</div>\n");
}

fn notes(page: &mut String) {
    page.push_str(
        "<section><h2>How to read this</h2>\n<ul>\n\
         <li><b>Spent after</b> a trip, until its rule gives back, is what was really spent. A stop would have \
         changed what came later (retries, work put off), so it is the most that a stop can have saved. Budgets that \
         count the same charges cannot be added up; then a range is given.</li>\n\
         <li><b>Over</b> is what was spent over the limit by the charge that crossed it. Until facts reach the daemon, \
         and until what runs has stopped, more is spent: that comes on top.</li>\n\
         <li><b>Looks false</b> is a hint and no verdict: the rule itself would have given back within the hour, or \
         the breaker spent no more than twice what it spends as a rule, before the trip and after it.</li>\n\
         <li>The mode in the files is not looked at: each rule is taken as if it enforced. Nothing was carried out, \
         so no receipts came; no breaker waits for one. What people did then is not repeated.</li>\n\
         </ul></section>\n",
    );
}

fn foot(page: &mut String) {
    add(
        page,
        format_args!(
            "<footer>breakerbox {} · charts by uPlot 1.6.32, Copyright (c) 2022 Leon Sorokin, MIT License</footer>\n",
            env!("CARGO_PKG_VERSION")
        ),
    );
}

/// Writes to the page; a String takes all.
fn add(page: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(what);
}

/// The record in a sentence, and what stops would have saved, for the parts that show them.
fn sentences(report: &Report) -> (String, String) {
    let findings = &report.findings;
    (record(&report.record, &findings.counted, findings.spent), saved(findings))
}
