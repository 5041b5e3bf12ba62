//! What the script draws: spend against the limit of each of the most telling breakers, with marks.

use policy::money::Money;
use serde_json::{Value, json};

use super::super::findings::{Findings, Named};
use super::super::trips::Trip;
use super::super::{Report, to_second};
use super::add;
use super::escape;

/// Charts that are open at once at most, and at least; the rest opens on demand.
const OPEN: (usize, usize) = (8, 2);

/// The charts, each with its breaker's story in words.
pub(super) fn section(page: &mut String, report: &Report) {
    let curves = &report.findings.curves;
    page.push_str("<section id=\"charts\"><h2>Spend against the limit</h2>\n");
    page.push_str(
        "<p class=\"key\"><i class=\"k spend\"></i>spent in the window <i class=\"k limit\"></i>limit \
         <i class=\"k warn\"></i>warning <i class=\"k trip\"></i>trip <i class=\"k held\"></i>would have been stopped",
    );
    if report.against.is_some() {
        page.push_str(" <i class=\"k other\"></i>trip of B");
    }
    page.push_str(" · drag to zoom, double-click to go back</p>\n");
    if curves.is_empty() {
        page.push_str("<p>No breaker was charged.</p>\n");
    }
    let telling = curves.iter().filter(|named| is_telling(named, &report.findings)).count();
    let open = telling.clamp(OPEN.1, OPEN.0);
    for (number, named) in curves.iter().enumerate() {
        if number == open {
            add(page, format_args!("<details><summary>{} more</summary>\n", curves.len() - open));
        }
        figure(page, number, named, report);
    }
    if curves.len() > open {
        page.push_str("</details>\n");
    }
    let data: Vec<Value> = curves.iter().map(|named| data(named, report)).collect();
    let data = escape::json(&Value::Array(data).to_string());
    add(page, format_args!("<script type=\"application/json\" id=\"data\">{data}</script>\n</section>\n"));
}

/// Whether it warned or tripped: those come first.
fn is_telling(named: &Named, findings: &Findings) -> bool {
    findings.trips.iter().any(|trip| trip.breaker == named.breaker)
        || findings.warnings.iter().any(|warning| warning.breaker == named.breaker)
}

fn figure(page: &mut String, number: usize, named: &Named, report: &Report) {
    let name = escape::text(&named.breaker);
    let story = escape::text(&story(named, &report.findings));
    add(
        page,
        format_args!(
            "<figure><figcaption><b>{name}</b> <span>{story}</span></figcaption>\
             <div class=\"chart\" data-chart=\"{number}\" role=\"img\" aria-label=\"{name}: {story}\"></div></figure>\n"
        ),
    );
}

/// What the breaker did, in words.
fn story(named: &Named, findings: &Findings) -> String {
    let trips: Vec<&Trip> = findings.trips.iter().filter(|trip| trip.breaker == named.breaker).collect();
    let warnings = findings.warnings.iter().filter(|warning| warning.breaker == named.breaker).count();
    let after = trips.iter().map(|trip| trip.after).fold(Money::ZERO, Money::saturating_add);
    match trips.first() {
        None if warnings > 0 => format!("warned {warnings} time(s), never tripped"),
        None => {
            let share = policy::money::Percent::from_ppm(named.curve.furthest / 10_000 * 10_000);
            format!("never came further than {share} of its limit")
        }
        Some(first) => {
            let verb = if findings.stops(&named.breaker) { "would have saved up to" } else { "spent after:" };
            format!("tripped {} time(s), first at {}; {verb} {after}", trips.len(), to_second(first.at))
        }
    }
}

fn data(named: &Named, report: &Report) -> Value {
    let points = &named.curve.points;
    let column = |of: fn(&(i64, Money, Money)) -> f64| points.iter().map(of).collect::<Vec<f64>>();
    let findings = &report.findings;
    let budget = findings.budgets.iter().find(|budget| budget.name == named.curve.budget);
    let unit = budget.map(|budget| budget.unit).unwrap_or_default();
    let own = |trip: &&Trip| trip.breaker == named.breaker;
    let mark = |trip: &Trip| {
        json!({
            "t": seconds(trip.at.millis()),
            "until": trip.released_at.map(|at| seconds(at.millis())),
            "sum": usd(trip.sum),
            "false": !trip.looks_false.is_empty(),
        })
    };
    let warnings: Vec<Value> = findings
        .warnings
        .iter()
        .filter(|warning| warning.breaker == named.breaker)
        .map(|warning| {
            json!({"t": seconds(warning.at.millis()), "sum": usd(warning.sum), "what": warning.threshold})
        })
        .collect();
    let theirs = report.against.iter().flat_map(|other| other.trips.iter().filter(own));
    json!({
        "t": column(|(at, _, _)| seconds(*at)),
        "sum": column(|(_, sum, _)| usd(*sum)),
        "limit": column(|(_, _, limit)| usd(*limit)),
        "unit": unit.of(Money::ZERO).to_string().trim_start_matches(|c: char| !c.is_alphabetic()),
        "trips": findings.trips.iter().filter(own).map(mark).collect::<Vec<_>>(),
        "warnings": warnings,
        "other": theirs.map(mark).collect::<Vec<_>>(),
    })
}

/// For a chart, where a pixel is coarser than what is lost.
#[expect(clippy::cast_precision_loss, reason = "drawn, never counted with")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

/// See [`seconds`].
#[expect(clippy::cast_precision_loss, reason = "drawn, never counted with")]
fn usd(amount: Money) -> f64 {
    // To a hundredth of a cent: more digits only make the page longer.
    (amount.picos() / 100_000_000) as f64 / 10_000.0
}
