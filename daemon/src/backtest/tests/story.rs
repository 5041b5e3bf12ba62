//! What is found, by sums that can be done by hand.

use policy::money::Money;
use policy::time::Timestamp;

use super::super::Rules;
use super::{answer, ask, bill, budget, set};

fn usd(dollars: i128) -> Money {
    Money::from_picos(dollars * 1_000_000_000_000)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

const DAY: &str = "{calendar: day, timezone: UTC}";

#[test]
fn a_trip_is_worth_what_was_spent_until_the_window_ends() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        ("20T08:00:00", "acme", 45),
        ("20T09:00:00", "acme", 12),
        ("20T09:00:00", "quiet", 1),
        ("20T15:00:00", "acme", 100),
        ("20T23:59:59", "acme", 30),
        ("21T00:00:00", "acme", 7),
        ("22T00:00:00", "acme", 1),
    ];
    let report = answer(&ask(&[bill(folder.path(), &rows)], &budget("daily", 50, DAY, "")));
    let findings = &report.findings;
    let [warning] = &findings.warnings[..] else { panic!("{:?}", findings.warnings) };
    assert_eq!((&*warning.breaker, warning.sum), ("daily/acme", usd(45)));
    let [trip] = &findings.trips[..] else { panic!("{:?}", findings.trips) };
    assert_eq!((&*trip.breaker, trip.at), ("daily/acme", at("2026-11-20T09:00:00Z")));
    assert_eq!((trip.sum, trip.limit, trip.over, trip.facts), (usd(57), usd(50), usd(7), 2));
    assert_eq!(trip.crossed_at, Some(at("2026-11-20T09:00:00Z")));
    assert_eq!(trip.released_at, Some(at("2026-11-21T00:00:00Z")));
    assert_eq!((trip.after, trip.after_facts), (usd(130), 2));
    assert_eq!(findings.saved, (usd(130), usd(130)));
    assert_eq!(findings.spent, usd(196));
    let [daily] = &findings.budgets[..] else { panic!("{:?}", findings.budgets) };
    assert_eq!((daily.breakers, daily.warned, daily.tripped), (2, 1, 1));
    assert_eq!((daily.over, daily.most_over, daily.after), (usd(7), usd(7), usd(130)));
}

#[test]
fn what_is_charged_after_a_trip_counts_across_windows_that_slide() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        ("20T08:00:00", "acme", 30),
        ("20T08:30:00", "acme", 30),
        ("20T09:10:00", "acme", 40),
        ("20T09:40:00", "acme", 20),
        ("20T20:00:00", "acme", 1),
    ];
    let rules = budget("rolling", 50, "{rolling: 1h}", "  restore: {below: 50%}\n");
    let report = answer(&ask(&[bill(folder.path(), &rows)], &rules));
    let [trip] = &report.findings.trips[..] else { panic!("{:?}", report.findings.trips) };
    assert_eq!((trip.sum, trip.over), (usd(60), usd(10)));
    // 60 fell to 30 at nine, was 70 at ten past, and 20 from ten past ten until twenty to eleven.
    let released = trip.released_at.unwrap();
    assert!(at("2026-11-20T10:10:00Z") <= released && released <= at("2026-11-20T10:13:00Z"), "{released}");
    assert_eq!(trip.after, usd(60));
    assert_eq!(trip.released_by, Some("its spend fell"));
}

#[test]
fn a_grace_ends_when_it_ends_and_not_with_the_next_fact() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("20T08:00:20", "acme", 60), ("20T09:00:00", "acme", 5), ("21T09:00:00", "acme", 5)];
    let rules = budget("daily", 50, DAY, "  grace: 7m30s\n");
    let report = answer(&ask(&[bill(folder.path(), &rows)], &rules));
    let [trip] = &report.findings.trips[..] else { panic!("{:?}", report.findings.trips) };
    assert_eq!(trip.at, at("2026-11-20T08:07:50Z"));
    assert_eq!(trip.crossed_at, Some(at("2026-11-20T08:00:20Z")));
    assert_eq!(trip.after, usd(5));
    assert_eq!(report.findings.waited.get("its grace"), Some(&1));
}

#[test]
fn a_trip_that_ends_within_the_hour_and_one_without_a_surge_look_false() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![("20T23:30:00", "late", 60)];
    let hours: Vec<String> = (0..144)
        .map(|half| format!("{}T{:02}:{:02}:00", 20 + half / 48, half % 48 / 2, half % 2 * 30))
        .collect();
    rows.extend(hours.iter().map(|at| (at.as_str(), "steady", 1)));
    rows.extend([("21T10:00:00", "surge", 30), ("21T10:20:00", "surge", 30), ("21T10:40:00", "surge", 90)]);
    let report = answer(&ask(&[bill(folder.path(), &rows)], &budget("daily", 40, DAY, "")));
    let hints = |breaker: &str| {
        let trips = report.findings.trips.iter().filter(|trip| &*trip.breaker == breaker);
        trips.map(|trip| trip.looks_false.join("; ")).collect::<Vec<_>>()
    };
    assert_eq!(hints("daily/late"), ["given back after 30m"]);
    assert_eq!(hints("daily/surge"), [""]);
    let steady = hints("daily/steady");
    assert_eq!(steady.len(), 3, "{steady:?}");
    assert!(steady[0].starts_with("no surge: "), "{steady:?}");
}

#[test]
fn a_budget_that_stops_nothing_saves_nothing_and_one_within_another_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("20T08:00:00", "acme", 60), ("20T09:00:00", "acme", 100), ("21T09:00:00", "acme", 1)];
    let path = bill(folder.path(), &rows);
    let child = budget("daily", 50, DAY, "  within: all\n");
    let parent = budget("all", 40, DAY, "").replace("perEach: [tenant]", "description: all");
    let parent = parent.replace("${tenant}", "acme");
    let report = answer(&ask(std::slice::from_ref(&path), &format!("{child}---\n{parent}")));
    assert_eq!(report.findings.saved, (usd(100), usd(200)), "each saw the same hundred");
    let told = parent.split("  onTrip:").next().unwrap().to_owned();
    let report = answer(&ask(&[path], &format!("{child}---\n{told}")));
    assert_eq!(report.findings.trips.len(), 2);
    assert_eq!(report.findings.saved, (usd(100), usd(100)));
}

#[test]
fn what_is_nobodys_trips_and_a_stop_of_it_saves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("20T08:00:00", "", 60), ("20T09:00:00", "", 100), ("21T09:00:00", "acme", 1)];
    let report = answer(&ask(&[bill(folder.path(), &rows)], &budget("daily", 50, DAY, "")));
    let trip = &report.findings.trips[0];
    assert_eq!((&*trip.breaker, trip.after, trip.stops), ("daily/unattributed", usd(100), false));
    assert_eq!(report.findings.saved, (Money::ZERO, Money::ZERO));
}

#[test]
fn two_rule_sets_differ_by_a_day_an_hour_and_money() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        ("20T08:00:00", "acme", 35),
        ("20T10:15:00", "acme", 20),
        ("20T11:00:00", "acme", 100),
        ("21T08:00:00", "acme", 35),
        ("22T08:00:00", "acme", 90),
        ("23T08:00:00", "acme", 1),
    ];
    let mut ask = ask(&[bill(folder.path(), &rows)], &budget("daily", 30, DAY, ""));
    ask.against = Some(Rules { folder: "other".to_owned(), set: set(&budget("daily", 50, DAY, "")) });
    let report = answer(&ask);
    let told: Vec<&str> = report.differences.iter().map(|difference| &*difference.text).collect();
    assert_eq!(
        told,
        [
            "daily/acme: A trips at 2026-11-20 08:00:00 UTC with 35.00 USD spent, 2h15m before B, which trips at \
             2026-11-20 10:15:00 UTC with 55.00 USD spent; A would have saved up to 20.00 USD more",
            "daily/acme: only A trips, at 2026-11-21 08:00:00 UTC with 35.00 USD spent",
        ]
    );
    ask.against = Some(Rules { folder: "same".to_owned(), set: set(&budget("daily", 30, DAY, "")) });
    assert_eq!(answer(&ask).differences, []);
}

#[test]
fn years_without_a_fact_are_passed_over_and_what_falls_due_in_them_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = bill(folder.path(), &[("20T08:00:00", "acme", 60)]);
    let new = super::put(
        folder.path(),
        "new.csv",
        "ChargePeriodStart,BilledCost,Tags\n2126-11-20T08:00:00Z,1,\"{\"\"tenant\"\":\"\"acme\"\"}\"\n",
    );
    let report = answer(&ask(&[old, new], &budget("daily", 50, DAY, "")));
    let [trip] = &report.findings.trips[..] else { panic!("{:?}", report.findings.trips) };
    assert_eq!(trip.released_at, Some(at("2026-11-21T00:00:00Z")));
    assert_eq!(trip.after, Money::ZERO);
}

#[test]
fn a_forecast_that_fired_is_shown_with_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("20T02:30:00", "acme", 10), ("20T20:00:00", "acme", 5), ("21T08:00:00", "acme", 1)];
    let rules = budget("daily", 50, DAY, "  forecast: {at: window-end, exceeds: 110%, then: warn}\n");
    let report = answer(&ask(&[bill(folder.path(), &rows)], &rules));
    let [forecast] = &report.findings.forecasts[..] else { panic!("{:?}", report.findings.forecasts) };
    // 10 USD in two and a half hours are 96 in a day.
    assert_eq!((forecast.sum, forecast.foretold, forecast.came), (usd(10), usd(96), Some(usd(15))));
    assert_eq!(forecast.error_percent(), Some(540));
    let text = super::super::text(&report, crate::args::Format::Human);
    assert!(
        text.contains(
            "96.00 USD was foretold for the end of the window; 15.00 USD came, so it was off by 540%"
        )
    );
    let page = super::super::page(&report);
    assert!(page.contains("540%") && !page.contains("there is no error of one to show"));
    let without = answer(&ask(&[bill(folder.path(), &rows)], &budget("daily", 50, DAY, "")));
    assert!(super::super::page(&without).contains("there is no error of one to show"));
}

#[test]
fn a_limit_in_tokens_is_told_in_tokens_and_what_a_stop_saves_in_money() {
    let folder = tempfile::tempdir().unwrap();
    let events: String = (0..8)
        .map(|n| {
            format!(
                "{{\"schema\":\"usage.v1\",\"id\":\"e{n}\",\"kind\":\"tokens\",\"occurred_at\":\"2026-11-20T1{n}:00:04Z\",\
                 \"model\":\"us.anthropic.claude-sonnet-4-6\",\"quantities\":{{\"input_tokens\":1000000}},\
                 \"subject\":{{\"tenant\":\"acme\"}}}}\n"
            )
        })
        .collect();
    let path = super::put(folder.path(), "events.jsonl", events);
    let rules = budget("daily", 50, DAY, "").replace("{amount: 50 USD}", "{tokens: 5M}");
    let report = answer(&ask(&[path], &rules));
    let [trip] = &report.findings.trips[..] else { panic!("{:?}", report.findings.trips) };
    assert_eq!(trip.unit.of(trip.sum).to_string(), "5,000,000 tokens");
    // Three more calls, each a million tokens at 3.30 USD.
    assert_eq!(trip.after.to_string(), "9.90 USD");
}
