//! Records that are not as they should be.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use policy::price::ShortPrice;

use super::super::gather::Order;
use super::super::{BacktestError, run};
use super::{answer, ask, bill, budget, put};

const DAY: &str = "{calendar: day, timezone: UTC}";

fn event(id: u32, minute: u32, tenant: &str) -> String {
    format!(
        "{{\"schema\":\"usage.v1\",\"id\":\"e{id}\",\"kind\":\"tokens\",\"occurred_at\":\"2026-11-20T10:{minute:02}:04Z\",\
         \"model\":\"us.anthropic.claude-sonnet-4-6\",\"quantities\":{{\"input_tokens\":1000000}},\
         \"subject\":{{\"tenant\":\"{tenant}\"}}}}\n"
    )
}

#[test]
fn what_cannot_be_read_is_counted_and_shown_with_its_place_and_the_rest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let events = format!("{}not json\n{}", event(1, 0, "acme"), event(2, 1, "acme"));
    put(folder.path(), "a.jsonl", &events);
    put(folder.path(), "b.csv", "ChargePeriodStart,BilledCost\nnever,1\n2026-11-20T10:00:00Z,2\n");
    put(folder.path(), "c.csv", "x,y\n");
    put(folder.path(), "d.txt", "nothing of ours");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let many: String = (10..2_000).map(|id| event(id, 2, "acme")).collect();
    gzip.write_all(many.as_bytes()).unwrap();
    let mut cut = gzip.finish().unwrap();
    cut.truncate(cut.len() - 20);
    put(folder.path(), "e.jsonl.gz", cut);
    let report = answer(&ask(&[folder.path().to_owned()], &budget("daily", 1_000_000, DAY, "")));
    let letters = &report.record.letters;
    let shown: Vec<(String, &str)> = letters
        .first
        .iter()
        .map(|l| (l.place.rsplit('/').next().unwrap().to_owned(), l.reason.as_str()))
        .collect();
    let line = event(1, 0, "acme").len();
    assert_eq!(shown[0], (format!("a.jsonl: byte {line}"), "not_json"));
    assert_eq!(shown[1], ("b.csv: line 2".to_owned(), "bad_field"));
    assert_eq!((shown[2].0.as_str(), shown[2].1), ("c.csv: line 1", "not_a_record"));
    assert_eq!((shown[3].0.as_str(), shown[3].1), ("d.txt: byte 0", "not_a_record"));
    assert!(shown[4..].iter().any(|(place, reason)| place.starts_with("e.jsonl.gz") && *reason == "cut_off"));
    let facts: Vec<u64> = report.record.files.iter().map(|file| file.facts).collect();
    assert_eq!(facts[..4], [2, 1, 0, 0]);
    assert!(facts[4] > 100, "what came before the cut counts: {facts:?}");
    let text = super::super::text(&report, crate::args::Format::Human);
    assert!(text.contains(&format!("a.jsonl: byte {line}: not_json")), "{text}");
}

#[test]
fn where_nothing_counts_the_first_reason_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rules = budget("daily", 50, DAY, "");
    let error = run(&ask(&[folder.path().to_owned()], &rules), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "no usage was found in 0 file(s)");
    let path = put(folder.path(), "d.txt", "nothing of ours");
    let error = run(&ask(&[path], &rules), &mut |_| {}).unwrap_err();
    assert!(matches!(error, BacktestError::Nothing { files: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("d.txt: byte 0: neither"), "{error}");
}

#[test]
fn the_same_record_twice_counts_once_and_files_in_any_order_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second): (Vec<u32>, Vec<u32>) = ((0..30).collect(), (20..60).collect());
    let lines = |ids: &[u32]| ids.iter().map(|id| event(*id, *id, "acme")).collect::<String>();
    let backwards: Vec<u32> = second.iter().rev().copied().collect();
    let a = put(folder.path(), "a.jsonl", lines(&first));
    let b = put(folder.path(), "b.jsonl", lines(&second));
    let c = put(folder.path(), "c.jsonl", lines(&backwards));
    let rules = budget("daily", 50, DAY, "");
    let one = answer(&ask(&[a.clone(), b], &rules));
    let other = answer(&ask(&[c, a], &rules));
    assert_eq!((one.findings.counted.accepted, one.findings.counted.duplicates), (60, 10));
    assert_eq!(one.findings.trips, other.findings.trips);
    assert_eq!(one.findings.trips.len(), 1);
    assert_eq!(other.record.files[0].behind, 24, "those more than a quarter of an hour behind the youngest");
}

#[test]
fn late_facts_trip_nothing_where_they_are_taken_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("20T20:00:00", "acme", 1), ("20T08:00:00", "acme", 60), ("21T20:00:00", "acme", 1)];
    let mut ask = ask(&[bill(folder.path(), &rows)], &budget("daily", 50, DAY, ""));
    assert_eq!(answer(&ask).findings.trips.len(), 1);
    ask.order = Order::File;
    let report = answer(&ask);
    assert_eq!(report.findings.trips, []);
    assert_eq!(report.record.files[0].behind, 1);
    assert_eq!(report.findings.waited.get("a fact on time"), Some(&1));
}

#[test]
fn events_that_nobody_vouches_for_choose_no_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "a.jsonl", (0..40).map(|id| event(id, id, "acme")).collect::<String>());
    let mut ask = ask(&[path], &budget("daily", 50, DAY, ""));
    assert_eq!(&*answer(&ask).findings.trips[0].breaker, "daily/acme");
    ask.events_believed = false;
    assert_eq!(&*answer(&ask).findings.trips[0].breaker, "daily/unattributed");
}

#[test]
fn rules_whose_prices_are_refused_are_told_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = bill(folder.path(), &[("20T08:00:00", "acme", 1)]);
    let mut ask = ask(&[path], &budget("daily", 50, DAY, ""));
    let dear = ShortPrice { input: Some("300 USD per 1M tokens".parse().unwrap()), ..ShortPrice::default() };
    ask.rules.set.prices.models.insert("us.anthropic.claude-sonnet-4-6".to_owned(), dear);
    let error = run(&ask, &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("the rules are not taken: "), "{error}");
}
