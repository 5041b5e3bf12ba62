//! The rules that ship, in `rules/`: each has tests, all of them pass, and each rule that is broken on purpose
//! fails one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use policy::rule::trial::{TrialFile, link, read_trials};
use policy::rule::{Compiled, Mode, SourceFile, compile};
use policy::trial::{Report, run};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

/// Name and text of each file that ends so, and not so.
fn files(end: &str, but: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(end) && !name.ends_with(but) {
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    assert!(files.len() > 5, "{files:?}");
    files
}

fn rule_files() -> BTreeMap<String, String> {
    files(".yaml", ".test.yaml")
}

fn test_files() -> BTreeMap<String, TrialFile> {
    let read = |(name, text): (String, String)| {
        let file =
            read_trials(&SourceFile { path: &name, text: &text }).unwrap_or_else(|all| panic!("{all}"));
        (name, file)
    };
    files(".test.yaml", "\0").into_iter().map(read).collect()
}

/// The rules that a test file names, out of these texts.
fn compiled(tests: &TrialFile, texts: &BTreeMap<String, String>) -> Compiled {
    let named = tests.rules.iter().map(|named| (&*named.path, texts[&*named.path].as_str()));
    let sources: Vec<SourceFile<'_>> = named.map(|(path, text)| SourceFile { path, text }).collect();
    compile(&sources).unwrap_or_else(|all| panic!("{all}"))
}

fn failed(tests: &TrialFile, texts: &BTreeMap<String, String>) -> Vec<Report> {
    let rules = compiled(tests, texts).rules;
    tests.trials.iter().map(|trial| run(&rules, trial)).filter(|report| !report.passed()).collect()
}

#[test]
fn every_shipped_rule_has_a_test_and_all_pass() {
    let (texts, tests) = (rule_files(), test_files());
    for (name, file) in &tests {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        let rules = compiled(file, &texts).rules;
        link(&SourceFile { path: name, text: &text }, &file.trials, &rules)
            .unwrap_or_else(|all| panic!("{all}"));
        let failed = failed(file, &texts);
        assert!(failed.is_empty(), "{name}: {failed:#?}");
        let own = name.replace(".test.yaml", ".yaml");
        assert!(file.rules.iter().any(|rule| *rule.path == *own), "{name} is about {own}");
    }
    let tested: BTreeSet<&str> =
        tests.values().flat_map(|file| &file.rules).map(|rule| &*rule.path).collect();
    let untested: Vec<&String> = texts.keys().filter(|name| !tested.contains(name.as_str())).collect();
    assert!(untested.is_empty(), "no test is about {untested:?}");
}

#[test]
fn the_shipped_rules_make_one_set_without_a_warning_that_only_observes() {
    let texts = rule_files();
    let sources: Vec<SourceFile<'_>> = texts.iter().map(|(path, text)| SourceFile { path, text }).collect();
    let Compiled { rules, warnings } = compile(&sources).unwrap_or_else(|all| panic!("{all}"));
    assert!(warnings.list.is_empty(), "{warnings}");
    assert!(rules.budgets.len() >= 10);
    assert!(rules.budgets.iter().all(|budget| budget.mode == Mode::Observe));
    assert!(rules.budgets.iter().all(|budget| !budget.description.is_empty()));
}

/// File, what is written there, and what stands there instead. Each must fail a test.
const MUTATIONS: &[(&str, &str, &str)] = &[
    // Limits, and what is counted against them.
    ("tenants.yaml", "amount: 50 USD", "amount: 500 USD"),
    ("tenants.yaml", "amount: 50 USD", "amount: 5 USD"),
    ("tenants.yaml", "tripAt: 100%", "tripAt: 101%"),
    ("tenants.yaml", "tripAt: 100%", "tripAt: 90%"),
    ("tenants.yaml", "calendar: day", "calendar: week"),
    ("tenants.yaml", "calendar: day, timezone: UTC", "calendar: day, timezone: Europe/Berlin"),
    ("tenants.yaml", "warnAt: [80%]", "warnAt: [70%]"),
    ("tenants.yaml", "charges: [tokens]", "charges: [tokens, gpu]"),
    ("tenants.yaml", "perEach: [tenant]", "perEach: [tenant, team]"),
    ("tenants.yaml", "{namespaceLabels: {tenant: \"${tenant}\"}}", "{namespaces: [\"${tenant}\"]}"),
    ("tenants.yaml", "namespaceLabels: {tenant: \"${tenant}\"}", "namespaceLabels: {team: \"${tenant}\"}"),
    ("tenants.yaml", "when: window-rolls", "when: manual"),
    ("tenants.yaml", "  mode: observe", "  mode: enforce"),
    ("tenants.yaml", "  mode: observe", "  mode: alert"),
    ("tenants.yaml", "team-search-agent", "team-search-agents"),
    ("tenants.yaml", "tier: critical", "tier: vital"),
    ("monthly.yaml", "amount: 1000 USD", "amount: 10000 USD"),
    ("monthly.yaml", "amount: 4000 USD", "amount: 40000 USD"),
    ("monthly.yaml", "until: 2026-12-31", "until: 2027-12-31"),
    ("monthly.yaml", "match: {tenant: billing}", "match: {tenant: search}"),
    ("monthly.yaml", "calendar: month, timezone: Europe/Berlin", "calendar: month, timezone: UTC"),
    ("monthly.yaml", "calendar: month", "calendar: quarter"),
    ("monthly.yaml", "grace: 5m", "grace: 15m"),
    ("monthly.yaml", "grace: 5m", "grace: 0s"),
    ("monthly.yaml", "tenant: {exists: true}", "tenant: {notIn: [acme]}"),
    ("monthly.yaml", "amount: 10000 USD", "amount: 100000 USD"),
    ("monthly.yaml", "select: {all: true}", "select: {subjects: {tenant: {exists: true}}}"),
    ("monthly.yaml", "except: {tier: important}", "except: {tier: other}"),
    ("monthly.yaml", "warnAt: [50%, 80%, 95%]", "warnAt: [99.5%]"),
    ("agents.yaml", "limit: {amount: 5 USD}", "limit: {amount: 50 USD}"),
    ("agents.yaml", "limit: {amount: 2 USD}", "limit: {amount: 20 USD}"),
    ("agents.yaml", "rolling: 24h", "rolling: 48h"),
    ("agents.yaml", "rolling: 1h", "rolling: 6h"),
    ("agents.yaml", "perEach: [tenant, session]", "perEach: [session, tenant]"),
    ("agents.yaml", "perEach: [tenant, agent, run]", "perEach: [tenant, run]"),
    ("agents.yaml", "session: {exists: true}", "session: {exists: false}"),
    ("agents.yaml", "session_id: session", "session: session"),
    ("agents.yaml", "fields: [tenant, team, agent, session, run]", "fields: [tenant, team, agent, run]"),
    ("agents.yaml", "restore: {below: 80%}", "restore: {when: manual}"),
    ("agents.yaml", "restore: {below: 50%}", "restore: {when: manual}"),
    ("runaway.yaml", "exceeds: 60x", "exceeds: 600x"),
    ("runaway.yaml", "exceeds: 60x", "exceeds: 20x"),
    ("runaway.yaml", "exceeds: 6x", "exceeds: 60x"),
    ("runaway.yaml", "exceeds: 25 USD", "exceeds: 250 USD"),
    ("runaway.yaml", "exceeds: 60x, then: trip", "exceeds: 60x, then: warn"),
    ("runaway.yaml", "exceeds: 25 USD, then: warn", "exceeds: 25 USD, then: trip"),
    ("runaway.yaml", "limit: {amount: 120 USD}", "limit: {amount: 1200 USD}"),
    ("runaway.yaml", "app: agent", "app: site"),
    ("runaway.yaml", "when: manual", "when: window-rolls"),
    ("sandbox.yaml", "limit: {amount: 5 USD}", "limit: {amount: 50 USD}"),
    ("sandbox.yaml", "calendar: hour", "calendar: day"),
    ("sandbox.yaml", "[sandbox, \"dev-*\"]", "[production, \"dev-*\"]"),
    ("sandbox.yaml", "[sandbox, \"dev-*\"]", "[sandbox, dev]"),
    ("sandbox.yaml", "except: {keep: awake}", "except: {keep: asleep}"),
    ("sandbox.yaml", "when: manual", "when: window-rolls"),
    ("sandbox.yaml", "warnAt: [60%]", "warnAt: [90%]"),
    ("blind-spots.yaml", "exists: false", "exists: true"),
    ("blind-spots.yaml", "limit: {amount: 25 USD}", "limit: {amount: 250 USD}"),
    ("blind-spots.yaml", "perEach: [account, principal]", "perEach: [account]"),
    ("blind-spots.yaml", "staleAfter: 30m", "staleAfter: 3h"),
    ("blind-spots.yaml", "route: finops", "route: slack"),
    ("mantle.yaml", "\"aws.bedrock_mantle\", ", ""),
    ("mantle.yaml", "amount: 0.01 USD", "amount: 10 USD"),
    ("mantle.yaml", "  onTrip:\n    - notify: {route: finops}\n", ""),
    ("training.yaml", "limit: {amount: 500 USD}", "limit: {amount: 5000 USD}"),
    ("training.yaml", "Job/*", "Job/s*"),
    ("training.yaml", "charges: [gpu]", "charges: [gpu, tokens]"),
    ("training.yaml", "perEach: [namespace, workload]", "perEach: [workload, namespace]"),
    ("training.yaml", "matching: {app: training}", "matching: {app: notebook}"),
    ("training.yaml", "lifetime: true", "calendar: day"),
];

/// Whether some test fails with that file changed so; the reason where the change makes no set.
fn is_noticed(tests: &BTreeMap<String, TrialFile>, name: &str, from: &str, to: &str) -> Result<bool, String> {
    let mut texts = rule_files();
    let text = texts.get_mut(name).unwrap();
    if !text.contains(from) {
        return Err(format!("`{from}` is not in it"));
    }
    *text = text.replacen(from, to, 1);
    for file in tests.values().filter(|file| file.rules.iter().any(|rule| *rule.path == *name)) {
        let named: Vec<SourceFile<'_>> = file
            .rules
            .iter()
            .map(|rule| SourceFile { path: &rule.path, text: &texts[&*rule.path] })
            .collect();
        let rules = compile(&named).map_err(|all| format!("it is refused: {all}"))?.rules;
        if file.trials.iter().any(|trial| !run(&rules, trial).passed()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn a_shipped_rule_that_is_broken_on_purpose_fails_a_test() {
    let tests = test_files();
    let broken: BTreeSet<&str> = MUTATIONS.iter().map(|(name, _, _)| *name).collect();
    let half = MUTATIONS.len() / 2;
    let unnoticed = |part: &[(&str, &str, &str)]| -> Vec<String> {
        let judge = |(name, from, to): &(&str, &str, &str)| match is_noticed(&tests, name, from, to) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name}: `{from}` to `{to}` fails no test")),
            Err(why) => Some(format!("{name}: `{from}` to `{to}`: {why}")),
        };
        part.iter().filter_map(judge).collect()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| unnoticed(&MUTATIONS[half..]));
        [unnoticed(&MUTATIONS[..half]), other.join().unwrap()].concat()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(MUTATIONS.len() >= 20);
    // A route has nothing to break but its name, and without it no set is made.
    let left: Vec<String> = rule_files().into_keys().filter(|name| !broken.contains(name.as_str())).collect();
    let left: Vec<String> = left.into_iter().filter(|name| name != "routes.yaml").collect();
    assert!(left.is_empty(), "no mutation of {left:?}");
}
