//! Documents that cannot drift: each dependency has its reason, each invariant and each known failure
//! names tests that exist, each crate and file says what it is.

use std::collections::BTreeSet;

use crate::none;
use crate::source::{Source, sources, test_names};

/// The failures of other systems that this design answers (docs/failures.md says what each is).
const FAILURES: [&str; 33] = [
    "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F12", "F13", "F14", "F15", "F16", "F17", "A1", "A2",
    "A3", "A4", "A5", "A6", "A8", "A18", "A20", "A21", "A22", "A23", "A27", "A28", "A29", "A30", "A31",
    "A32", "A33",
];
const INVARIANTS: usize = 12;

fn read<'s>(sources: &'s [Source], path: &str) -> &'s str {
    &sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("no {path}")).text
}

/// The lines between a heading and the next one of its level.
fn section<'t>(text: &'t str, heading: &str) -> Vec<&'t str> {
    let level = heading.split(' ').next().unwrap_or_default();
    let is_next = |line: &str| line.split(' ').next() == Some(level);
    let after: Vec<&str> = text.lines().skip_while(|line| *line != heading).skip(1).collect();
    assert!(!after.is_empty(), "no `{heading}`");
    after.into_iter().take_while(|line| !is_next(line)).collect()
}

/// What stands in backticks and has the form of a test's name.
fn named_tests(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.chars().all(of_name) && word.matches('_').count() >= 2
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

fn missing<'t>(text: &'t str, names: &BTreeSet<String>) -> Vec<&'t str> {
    named_tests(text).into_iter().filter(|name| !names.contains(*name)).collect()
}

#[test]
fn every_dependency_has_a_reason_and_every_reason_a_dependency() {
    let sources = sources();
    let table = section(read(&sources, "Cargo.toml"), "[workspace.dependencies]");
    let table = table.into_iter().take_while(|line| !line.starts_with('['));
    let declared: BTreeSet<&str> = table
        .filter(|line| !line.contains("path = "))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    assert!(declared.len() > 30, "the table was not read: {declared:?}");
    let reasons = read(&sources, "docs/dependencies.md").lines();
    let mut explained = BTreeSet::new();
    for (name, why) in reasons.filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")) {
        assert!(why.len() > 20, "`{name}`: too short to be a reason: {why}");
        assert!(explained.insert(name), "`{name}` is there twice");
    }
    assert_eq!(declared, explained, "Cargo.toml on the left, docs/dependencies.md on the right");
}

#[test]
fn every_invariant_names_tests_that_exist_or_says_what_is_missing() {
    let sources = sources();
    let names = test_names(&sources);
    let lines = section(read(&sources, "docs/ARCHITECTURE.md"), "## Invariants").join("\n");
    let mut wrong = Vec::new();
    for number in 1..=INVARIANTS {
        let start = format!("\n{number}. ");
        let Some((_, rest)) = lines.split_once(&start) else {
            wrong.push(format!("{number} is missing"));
            continue;
        };
        let item = rest.split(&format!("\n{}. ", number + 1)).next().unwrap_or(rest);
        let Some((_, held_by)) = item.split_once("Held by:") else {
            wrong.push(format!("{number} does not say what it is held by"));
            continue;
        };
        if named_tests(held_by).is_empty() && !item.contains("Not held yet:") {
            wrong.push(format!("{number} names no test"));
        }
        let unknown = missing(item, &names);
        wrong.extend(unknown.into_iter().map(|name| format!("{number} names `{name}`, which is no test")));
    }
    none("docs/ARCHITECTURE.md", &wrong);
}

#[test]
fn every_known_failure_is_held_by_tests_that_exist_or_listed_as_not_held_yet() {
    let sources = sources();
    let names = test_names(&sources);
    let text = read(&sources, "docs/failures.md");
    let rows = section(text, "## Held").into_iter().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter(|row| row.starts_with(['A', 'F']));
    let open = section(text, "## Not held yet").into_iter().filter_map(|line| line.strip_prefix("- **"));
    let mut wrong = Vec::new();
    let mut seen: Vec<&str> = open.filter_map(|line| line.split_once("**")).map(|(id, _)| id).collect();
    for row in rows {
        let id = row.split(' ').next().unwrap_or_default();
        seen.push(id);
        if named_tests(row).is_empty() {
            wrong.push(format!("{id} names no test: list it under `Not held yet`"));
        }
        let unknown = missing(row, &names);
        wrong.extend(unknown.into_iter().map(|name| format!("{id} names `{name}`, which is no test")));
    }
    none("docs/failures.md", &wrong);
    seen.sort_unstable();
    let mut expected = FAILURES;
    expected.sort_unstable();
    assert_eq!(seen, expected, "each failure once: held, or not held yet");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace_and_every_file_says_what_it_is() {
    let sources = sources();
    let lints = section(read(&sources, "Cargo.toml"), "[workspace.lints.rust]").join("\n");
    assert!(
        lints.contains("unsafe_code = \"forbid\"") && lints.contains("missing_docs = \"warn\""),
        "{lints}"
    );
    let mut wrong = Vec::new();
    for source in &sources {
        let is_manifest = source.path.ends_with("/Cargo.toml");
        if is_manifest && !source.text.contains("[lints]\nworkspace = true\n") {
            wrong.push(format!("{}: wants `[lints]` with `workspace = true`", source.path));
        }
        let is_test_of_module = source.path.ends_with("/tests.rs");
        if source.is_rust() && !is_test_of_module && !source.text.starts_with("//!") {
            wrong.push(format!("{}: begins without a `//!` that says what it is", source.path));
        }
    }
    none("crates and files", &wrong);
}
