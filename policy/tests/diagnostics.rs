//! Every kind of diagnostic has a golden report, with the right line and a useful help.
//!
//! `diagnostics/NAME.yaml` is a rule file, `diagnostics/NAME.txt` the report of it. Beside the golden text,
//! the YAML itself says what must be reported where: `# <- code` on the line, or `# at 3: code` where a
//! comment cannot stand there, `# in prices at 3: code` for `NAME.litellm.json` beside it, which the rules
//! know as `prices.litellm.json`. `# pad to N bytes` makes it as large. `BLESS=1` writes the reports anew;
//! the lines are checked all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use policy::rule::{Compiled, Diagnostic, DiagnosticKind, Diagnostics, Severity, SourceFile, compile};
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// Name and text of each case, sorted.
fn cases() -> BTreeMap<String, String> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            cases.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), padded(text));
        }
    }
    cases
}

fn padded(mut text: String) -> String {
    let bytes = text
        .split_once("# pad to ")
        .and_then(|(_, rest)| rest.split_once(" bytes"))
        .map(|(number, _)| number.parse::<usize>().unwrap());
    while text.len() < bytes.unwrap_or(0) {
        text.push_str("# filled up\n");
    }
    text
}

/// What the case itself says must be reported: file, line and code.
fn expected(text: &str) -> BTreeSet<(String, u32, String)> {
    let mut wanted = BTreeSet::new();
    for (line, number) in text.lines().zip(1_u32..) {
        if let Some((_, codes)) = line.split_once("# <- ") {
            wanted.extend(codes.split(", ").map(|code| (RULES.into(), number, code.trim().to_owned())));
        }
        for (mark, file) in [("# at ", RULES), ("# in prices at ", PRICES)] {
            if let Some((_, rest)) = line.split_once(mark)
                && let Some((at, code)) = rest.split_once(": ")
            {
                wanted.insert((file.into(), at.parse().unwrap(), code.trim().to_owned()));
            }
        }
    }
    wanted
}

const RULES: &str = "rules.yaml";
const PRICES: &str = "prices.litellm.json";

/// The report of a case, with the price file beside it where it has one.
fn report_of(name: &str, text: &str) -> Diagnostics {
    let prices = std::fs::read_to_string(folder().join(format!("{name}.litellm.json"))).ok();
    let mut files = vec![SourceFile { path: RULES, text }];
    files.extend(prices.as_deref().map(|text| SourceFile { path: PRICES, text }));
    match compile(&files) {
        Ok(Compiled { warnings, .. }) => warnings,
        Err(all) => all,
    }
}

fn reported(text: &str) -> Diagnostics {
    match compile(&[SourceFile { path: "rules.yaml", text }]) {
        Ok(Compiled { warnings, .. }) => warnings,
        Err(all) => all,
    }
}

#[test]
fn every_case_is_reported_on_the_lines_that_it_names_and_nowhere_else() {
    let mut wrong = Vec::new();
    for (name, text) in cases() {
        let row = |d: &Diagnostic| (d.place.file.to_string(), d.place.line, d.kind.word().to_owned());
        let found: BTreeSet<_> = report_of(&name, &text).list.iter().map(row).collect();
        let wanted = expected(&text);
        assert!(!wanted.is_empty(), "{name}.yaml names nothing that must be reported");
        if found != wanted {
            wrong.push(format!("{name}: wanted {wanted:?}\n  found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_the_report_that_its_golden_says() {
    let mut wrong = Vec::new();
    for (name, text) in cases() {
        let report = format!("{}\n", report_of(&name, &text));
        let path = folder().join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &report).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        if golden != report {
            wrong.push(format!("--- {name}.txt\n{golden}+++ now\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_has_a_golden_and_there_are_at_least_forty() {
    let mut seen: BTreeMap<DiagnosticKind, usize> = BTreeMap::new();
    for (name, text) in cases() {
        for diagnostic in report_of(&name, &text).list {
            *seen.entry(diagnostic.kind).or_default() += 1;
        }
    }
    let missing: Vec<&str> =
        DiagnosticKind::ALL.iter().filter(|k| !seen.contains_key(k)).map(|k| k.word()).collect();
    assert!(missing.is_empty(), "kinds without a golden: {missing:?}");
    assert!(cases().len() >= 40, "{} cases", cases().len());
}

#[test]
fn every_diagnostic_says_what_to_write_and_keeps_to_the_house_style() {
    for (name, text) in cases() {
        for d in report_of(&name, &text).list {
            assert!(d.help.len() >= 10, "{name}: help `{}`", d.help);
            assert!(!d.message.ends_with('.') && !d.help.ends_with('.'), "{name}: {}", d.message);
            assert!(!d.message.starts_with(char::is_uppercase), "{name}: {}", d.message);
        }
    }
}

#[test]
fn a_secret_in_a_rule_file_is_in_no_report() {
    let text = cases()["inline-secret"].clone();
    let all = reported(&text);
    assert!(all.list.iter().filter(|d| d.kind == DiagnosticKind::InlineSecret).count() >= 4);
    for secret in ["xoxb-1", "hunter2", "T000/B000", "s3cr3t", "T111", "T222", "T333"] {
        assert!(text.contains(secret), "{secret} is not in the case");
        assert!(!all.to_string().contains(secret), "{secret} is in the report");
        assert!(!all.to_json().contains(secret), "{secret} is in the JSON");
    }
}

#[test]
fn the_json_has_every_diagnostic_with_its_code_and_place() {
    let all = reported(&cases()["missing-unit"]);
    let json: serde_json::Value = serde_json::from_str(&all.to_json()).unwrap();
    let rows = json["diagnostics"].as_array().unwrap();
    assert_eq!(rows.len(), all.list.len());
    assert_eq!(rows[0]["code"], "missing-unit");
    assert_eq!(rows[0]["severity"], "error");
    assert_eq!(rows[0]["file"], "rules.yaml");
    assert_eq!(rows[0]["line"], all.list[0].place.line);
}

#[test]
fn no_file_at_all_is_an_empty_set() {
    let all = compile(&[]).unwrap_err();
    assert_eq!(all.list.len(), 1);
    assert_eq!((all.list[0].kind, all.list[0].severity), (DiagnosticKind::EmptySet, Severity::Error));
}

#[test]
fn a_hostile_file_gives_a_bounded_report() {
    let text =
        format!("kind: Budget\nspec:\n{}", (0..5000).map(|n| format!("  k{n}: 1\n")).collect::<String>());
    let all = reported(&text);
    assert_eq!(all.list.len(), 200);
    assert!(all.omitted >= 4_800, "{}", all.omitted);
    assert!(all.to_string().contains(" more"));
}

#[test]
fn a_hostile_shape_is_refused_by_a_bound() {
    for text in [
        "[".repeat(500_000),
        "- ".repeat(400_000),
        "{a: ".repeat(200_000),
        "? ".repeat(400_000),
        (0..300).map(|n| format!("{}k:\n", " ".repeat(n))).collect(),
        format!("a: [{}]", "x,".repeat(400_000)),
        format!("a: [{}]", (0..5000).map(|n| format!("&a{n} x,")).collect::<String>()),
        "---\na: [\n".repeat(100_000),
    ] {
        let all = reported(&text);
        let start: String = text.chars().take(20).collect();
        assert!(all.has_errors() && all.list.len() <= 200, "{start}");
        let refused = [DiagnosticKind::TooComplex, DiagnosticKind::YamlSyntax];
        assert!(all.list.iter().any(|d| refused.contains(&d.kind)), "{start}: {all}");
    }
}

#[test]
fn a_file_full_of_slips_and_of_nested_budgets_is_read_in_one_go() {
    let mut text = String::new();
    for n in 0..4000 {
        let parent = (n + 1) % 4000;
        text.push_str(&format!(
            "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: b{n}}}\nspec: {{within: b{parent}, \
             select: {{all: true}}, limit: {{amount: 1 USD}}, window: {{lifetime: true}}, restore: {{when: manual}}}}\n"
        ));
    }
    let all = reported(&text);
    let codes: Vec<&str> = all.list.iter().map(|d| d.kind.word()).collect();
    assert_eq!(codes, ["within-cycle"]);
    let slips = (0..12_000).map(|n| format!("  - {{notify: {{route: rout{n}}}}}\n")).collect::<String>();
    let all = reported(&format!("kind: Budget\nspec:\n  onTrip:\n{slips}"));
    assert_eq!(all.list.len(), 200);
}

/// A set that uses every part of the language.
fn whole() -> String {
    std::fs::read_to_string(folder().join("../rules/whole.yaml")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = reported(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = reported(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_of_yaml_marks_makes_it_panic(text in "[-:{}\\[\\]&*!|>'\"%@` \\n\\ta0?#,~<=]{0,200}") {
        let _ = reported(&text);
    }

    #[test]
    fn no_mutation_of_a_valid_file_makes_it_panic(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[ -~\\n\\té\\u{85}]{0,12}"), 1..6)
    ) {
        let mut chars: Vec<char> = whole().chars().collect();
        for (at, length, insert) in cuts {
            let at = at.index(chars.len() + 1);
            let end = (at + length).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        let text: String = chars.into_iter().collect();
        let all = reported(&text);
        let lines = u32::try_from(text.split('\n').count()).unwrap();
        for d in &all.list {
            prop_assert!(d.place.line >= 1 && d.place.line <= lines.max(1), "line {} of {lines}", d.place.line);
        }
        prop_assert!(!all.to_string().is_empty());
    }
}
