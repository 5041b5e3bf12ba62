//! Tests that people write beside their rules: the format, and what running one comes to.

use std::collections::BTreeSet;
use std::path::Path;

use policy::rule::trial::{ABOUTS, ORDERS, PAGES, STATES, Trial, TrialFile, WHYS, link, read_trials};
use policy::rule::{RuleSet, SourceFile, compile};
use policy::trial::{Report, run};
use proptest::prelude::*;

const RULES: &str = include_str!("trials/tenants.yaml");
const WORLD: &str = include_str!("trials/world.test.yaml");

fn rules() -> RuleSet {
    compile(&[SourceFile { path: "tenants.yaml", text: RULES }]).unwrap_or_else(|all| panic!("{all}")).rules
}

fn read(text: &str) -> TrialFile {
    let file = SourceFile { path: "tenants.test.yaml", text };
    let trials = read_trials(&file).unwrap_or_else(|all| panic!("{all}"));
    link(&file, &trials.trials, &rules()).unwrap_or_else(|all| panic!("{all}"));
    trials
}

/// What differed, a line for each.
fn told(report: &Report) -> Vec<String> {
    let because =
        |f: &policy::trial::Failure| f.because.iter().map(|b| format!("\n    {b}")).collect::<String>();
    let line = |f: &policy::trial::Failure| {
        format!("{} +{}: wanted {}; found {}{}", f.place, f.after, f.wanted, f.found, because(f))
    };
    report.failures.iter().map(line).collect()
}

#[test]
fn every_kind_of_fact_and_of_expectation_holds_where_it_should() {
    let rules = rules();
    let trials = read(WORLD).trials;
    assert!(trials.len() >= 13);
    let wrong: Vec<String> = trials
        .iter()
        .map(|trial| run(&rules, trial))
        .filter(|report| !report.passed())
        .map(|report| format!("{}:\n  {}", report.name, told(&report).join("\n  ")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first example of the language, as it stands there.
#[test]
fn the_example_of_the_design_passes_as_written() {
    let text = include_str!("trials/design.yaml");
    let rules =
        compile(&[SourceFile { path: "design.yaml", text }]).unwrap_or_else(|all| panic!("{all}")).rules;
    let file = SourceFile { path: "design.test.yaml", text: include_str!("trials/design.test.yaml") };
    let trials = read_trials(&file).unwrap_or_else(|all| panic!("{all}")).trials;
    link(&file, &trials, &rules).unwrap();
    let report = run(&rules, &trials[0]);
    assert!(report.passed(), "{}", told(&report).join("\n"));
}

/// The reference has every word of the format, and its example is one.
#[test]
fn the_reference_of_tests_has_every_word_and_an_example_that_loads() {
    let text = include_str!("../../docs/rule-tests.md");
    let example = text.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let trials = read_trials(&SourceFile { path: "rule-tests.md", text: example })
        .unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(trials.trials[0].expect.len(), 3);
    let words = [&STATES[..], &WHYS, &ABOUTS, &PAGES, &ORDERS].concat();
    let missing: Vec<&&str> = words.iter().filter(|word| !text.contains(&format!("{word}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn first(expect: &str) -> Trial {
    let text = format!(
        "rules: [tenants.yaml]\ntests:\n  - name: one\n    at: 2026-11-05T10:00:00Z\n    objects: [{{scaledObject: checkout/api, \
         namespaceLabels: {{tenant: checkout}}}}]\n    facts:\n      - {{usage: {{tenant: checkout, environment: production, \
         amount: 4000 USD, over: 10m}}}}\n      - {{usage: {{tenant: checkout, environment: production, model: no.such-model, \
         inputTokens: 1}}}}\n    expect:\n      - {expect}\n"
    );
    read(&text).trials.remove(0)
}

#[test]
fn every_kind_of_expectation_fails_where_it_does_not_hold() {
    let rules = rules();
    for (expect, wanted, found) in [
        (
            "{breaker: tenant-monthly/checkout, state: Tripped}",
            "tenant-monthly/checkout Tripped",
            "Warned, why limit",
        ),
        ("{breaker: tenant-monthly/checkout, state: Absent}", "Absent", "Warned"),
        ("{breaker: tenant-monthly/chekout, state: Clear}", "Clear", "there is no such breaker"),
        ("{breaker: tenant-monthly/checkout, why: person}", "why person", "why limit"),
        ("{breaker: tenant-monthly/checkout, sum: 4000.01 USD}", "sum 4000.01 USD", "sum 4000.00 USD"),
        ("{breaker: tenant-monthly/checkout, limit: 1 USD}", "limit 1.00 USD", "limit 5000.00 USD"),
        ("{breaker: tenant-monthly/checkout, trips: 1}", "trips 1", "trips 0"),
        ("{breaker: tenant-monthly/checkout, unpriced: 0}", "unpriced 0", "unpriced 1"),
        ("{orders: [{pauseScaledObject: checkout/api}]}", "pauseScaledObject checkout/api", "nothing"),
        ("{wouldStop: [checkout/api]}", "would stop: ScaledObject/checkout/api", "nothing"),
        ("{held: [checkout/api]}", "held: ScaledObject/checkout/api", "nothing"),
        ("{released: [checkout/api]}", "released: ScaledObject/checkout/api", "nothing"),
        (
            "{notices: [{route: finops, about: tripped}]}",
            "finops tripped *",
            "finops warned tenant-monthly/checkout",
        ),
        ("{notices: []}", "notices: nothing", "finops warned"),
        ("{pages: []}", "pages: nothing", "unpriced"),
        ("{pages: [unpriced, clock]}", "clock, unpriced", "unpriced"),
        ("{spend: 3999 USD, tenant: checkout}", "spend 3999.00 USD, tenant checkout", "4000.00 USD"),
        ("{spend: 4000 USD, model: nothing}", "model nothing", "0.00 USD"),
    ] {
        let report = run(&rules, &first(expect));
        let [failure] = report.failures.as_slice() else { panic!("{expect} holds") };
        assert!(
            failure.wanted.contains(wanted) && failure.found.contains(found),
            "{expect}: {:?}",
            told(&report)
        );
        assert_eq!(failure.place.line, 10, "{expect}");
        assert!(!failure.because.is_empty(), "{expect}");
    }
}

#[test]
fn a_failure_says_why_not_by_what_the_engine_answers_to_anybody() {
    let report = run(&rules(), &first("{at: +10m, breaker: tenant-monthly/checkout, state: Tripped}"));
    let because = report.failures[0].because.join("\n");
    for said in [
        "spent 4,000.00 USD of 5,000.00 USD: warned, below the limit",
        "1 usage(s) have no price",
        "warned at 80%",
    ] {
        assert!(because.contains(said), "{said}: {because}");
    }
}

#[test]
fn a_command_that_is_refused_is_a_failure_at_its_place() {
    let text = WORLD
        .replace("{at: +5m, approve: tenant-monthly/checkout}", "{at: +5m, approve: tenant-monthly/billing}");
    let trials = read(&text).trials;
    let trial = trials.iter().find(|trial| trial.name.contains("needs a yes")).unwrap();
    let report = run(&rules(), trial);
    assert_eq!(report.failures[0].wanted, "the command is taken");
    assert!(report.failures[0].found.starts_with("refused"), "{:?}", told(&report));
}

#[test]
fn the_same_trial_gives_the_same_report() {
    let (rules, trial) = (rules(), first("{orders: [{pauseScaledObject: checkout/api}]}"));
    assert_eq!(run(&rules, &trial), run(&rules, &trial));
}

/// What a file itself says must be reported, `# <- code`: line and code.
fn marked(text: &str) -> BTreeSet<(u32, String)> {
    let lines = text.lines().zip(1_u32..);
    let marks = lines.filter_map(|(line, number)| Some((number, line.split_once("# <- ")?.1)));
    marks
        .flat_map(|(number, codes)| codes.split(", ").map(move |code| (number, code.trim().to_owned())))
        .collect()
}

#[test]
fn every_mistake_is_reported_at_its_line_all_at_once_and_with_what_to_write() {
    const REFUSED: &str = include_str!("trials/refused.test.yaml");
    let all = read_trials(&SourceFile { path: "refused.test.yaml", text: REFUSED }).unwrap_err();
    let found: BTreeSet<(u32, String)> =
        all.list.iter().map(|d| (d.place.line, d.kind.word().to_owned())).collect();
    let wanted = marked(REFUSED);
    let (missing, besides) = (wanted.difference(&found), found.difference(&wanted));
    assert_eq!(
        found,
        wanted,
        "missing {:?}, besides {:?}",
        missing.collect::<Vec<_>>(),
        besides.collect::<Vec<_>>()
    );
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/refused.txt");
    let report = format!("{all}\n");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &report).unwrap();
    }
    assert_eq!(std::fs::read_to_string(golden).unwrap_or_default(), report);
    for said in [
        "did you mean `tenant`?",
        "did you mean `usage`?",
        "did you mean `Tripped`?",
        "did you mean `orders`?",
    ] {
        assert!(report.contains(said), "{said}");
    }
}

#[test]
fn what_a_trial_names_must_be_in_its_rules() {
    let text = WORLD
        .replacen(
            "breaker: tenant-monthly/checkout, state: Clear",
            "breaker: tenant-montly/checkout, state: Clear",
            1,
        )
        .replacen("{route: oncall, about: tripped", "{route: on-call, about: tripped", 1);
    let file = SourceFile { path: "tenants.test.yaml", text: &text };
    let all = link(&file, &read_trials(&file).unwrap().trials, &rules()).unwrap_err();
    let report = all.to_string();
    for said in [
        "error[unknown-budget]: there is no budget `tenant-montly`",
        "did you mean `tenant-monthly`?",
        "error[unknown-route]: there is no route `on-call`",
        "did you mean `oncall`?",
        "--> tenants.test.yaml:14:",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
    assert_eq!(all.list.len(), 2, "{report}");
}

#[test]
fn a_file_of_no_or_of_two_documents_is_refused() {
    for (text, code) in
        [("", "conflict"), ("a: [", "yaml-syntax"), ("rules: [a]\n---\nrules: [b]\n", "conflict")]
    {
        let all = read_trials(&SourceFile { path: "a.test.yaml", text }).unwrap_err();
        assert_eq!(all.list[0].kind.word(), code, "{text}: {all}");
    }
}

#[test]
fn a_trial_is_bounded() {
    let facts = "      - {usage: {amount: 5 USD, calls: 100000}}\n".repeat(11);
    let text = format!(
        "rules: [a]\ntests:\n  - name: many\n    at: 2026-11-05T10:00:00Z\n    facts:\n{facts}    expect: [{{orders: []}}]\n"
    );
    let all = read_trials(&SourceFile { path: "a.test.yaml", text: &text }).unwrap_err();
    assert!(all.to_string().contains("the facts are 1100000 calls"), "{all}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_mutation_of_a_valid_file_makes_it_panic(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[ -~\\n\\té]{0,12}"), 1..6)
    ) {
        let mut chars: Vec<char> = WORLD.chars().collect();
        for (at, length, insert) in cuts {
            let at = at.index(chars.len() + 1);
            let end = (at + length).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        let text: String = chars.into_iter().collect();
        match read_trials(&SourceFile { path: "a.test.yaml", text: &text }) {
            Ok(file) => prop_assert!(!file.trials.is_empty()),
            Err(all) => prop_assert!(all.has_errors()),
        }
    }
}
