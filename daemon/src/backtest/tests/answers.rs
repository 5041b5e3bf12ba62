//! The answer in each of its forms.

use super::super::{Report, Rules, json, page, text};
use super::{answer, ask, bill, budget, set};
use crate::args::Format;
use crate::demo::{self, stream};

/// The demo's month by its own rules, against the same with a tighter limit.
fn month() -> Report {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    demo::write_log(&log, &stream::month(7)).unwrap();
    let mut ask = ask(&[log], demo::RULES);
    let tighter = demo::RULES.replace("amount: 50 USD", "amount: 20 USD");
    ask.against = Some(Rules { folder: "tighter".to_owned(), set: set(&tighter) });
    let mut report = answer(&ask);
    for file in &mut report.record.files {
        file.path = file.path.rsplit('/').next().unwrap().to_owned();
    }
    // They change with what rules can say and what models cost, which is no matter of this.
    for set in [Some(&mut report.findings), report.against.as_mut()].into_iter().flatten() {
        (set.rules_id, set.prices) = ("ID".into(), "PRICES".into());
    }
    report
}

#[test]
fn the_demo_month_as_text_and_as_json() {
    let report = month();
    insta::assert_snapshot!("month_text", text(&report, Format::Human));
    insta::assert_snapshot!("month_plain", text(&report, Format::Plain));
    let mut value: serde_json::Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
    // Points of curves are many; that they are there and rise is enough.
    for set in ["findings", "against"] {
        for curve in value[set]["curves"].as_array_mut().unwrap() {
            let points = curve["points"].take();
            let points = points.as_array().unwrap();
            assert!(points.len() > 10 && points.is_sorted_by_key(|p| p[0].as_i64()), "{}", points.len());
        }
    }
    value["record"]["files"] = serde_json::Value::Null;
    insta::assert_snapshot!("month_json", serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn the_page_needs_nothing_else_and_no_name_is_more_than_text() {
    let folder = tempfile::tempdir().unwrap();
    let evil = "</script><img src=x onerror=alert(1)>";
    let rows = [("20T08:00:00", "a<b>&c", 60), ("21T08:00:00", "a<b>&c", 6)];
    let rules = budget("daily", 50, "{calendar: day, timezone: UTC}", "");
    let rules = rules.replace("spec:\n", &format!("spec:\n  description: \"{evil}\"\n"));
    let mut ask = ask(&[bill(folder.path(), &rows)], &rules);
    ask.rules.folder = evil.to_owned();
    let mut report = answer(&ask);
    report.record.files[0].path = evil.to_owned();
    report.record.letters.add(|| evil.to_owned(), "not_json", evil);
    let page = page(&report);
    assert!(!page.contains("<img"), "a name became an element");
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("default-src 'none'"));
    for loads in ["src=\"", "href=\"", "@import", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(
        page.contains("Copyright (c) 2022 Leon Sorokin") && page.contains("Permission is hereby granted")
    );
    // What the script reads is JSON, and all of it.
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data[0]["trips"].as_array().unwrap().len(), 1);
}
