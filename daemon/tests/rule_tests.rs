//! `breakerbox test`, the binary itself: exit codes, and what it prints.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RULES: &str = "apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: tenant-daily}
spec:
  select: {all: true}
  perEach: [tenant]
  limit: {amount: 50 USD}
  window: {calendar: day}
  warnAt: [80%]
";

const TESTS: &str = "rules: [tenants.yaml]
tests:
  - name: below the limit nothing trips
    at: 2026-11-05T10:00:00Z
    facts: [{usage: {tenant: acme, amount: 49.99 USD}}]
    expect: [{breaker: tenant-daily/acme, state: Warned, why: limit}]
  - name: at the limit it trips
    at: 2026-11-05T10:00:00Z
    facts: [{usage: {tenant: acme, amount: 50 USD}}]
    expect: [{breaker: tenant-daily/acme, state: Tripped, why: limit}]
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs it in the folder. Exit code, stdout, stderr.
fn ask(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakerbox"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BREAKERBOX_")) {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } =
        command.arg("test").args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn tests_that_pass_end_with_zero_and_those_that_fail_with_two_and_why() {
    let folder = folder(&[("rules/tenants.yaml", RULES), ("rules/tenants.test.yaml", TESTS)]);
    let (code, out, err) = ask(folder.path(), &["rules"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("ok   at the limit it trips"), "{out}");
    assert!(out.contains("2 test(s): 2 passed, 0 failed"), "{out}");

    fs::write(folder.path().join("rules/tenants.yaml"), RULES.replace("50 USD", "500 USD")).unwrap();
    let (code, out, _) = ask(folder.path(), &["rules/tenants.test.yaml"]);
    assert_eq!(code, 2, "{out}");
    for said in [
        "FAIL at the limit it trips",
        "rules/tenants.test.yaml:10:15, at +0s (2026-11-05T10:00:00Z)",
        "wanted  tenant-daily/acme Tripped, why limit",
        "found   Clear, sum 50.00 USD, limit 500.00 USD, trips 0",
        "why     tenant-daily/acme: spent 50.00 USD of 500.00 USD: below every threshold",
        "2 test(s): 0 passed, 2 failed",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let (code, out, _) = ask(folder.path(), &["rules", "--format", "plain"]);
    assert_eq!(code, 2);
    assert!(out.contains("fail\trules/tenants.test.yaml:7\tat the limit it trips\n"), "{out}");
    assert!(
        out.contains("differs\trules/tenants.test.yaml:10\t+0s\ttenant-daily/acme Tripped, why limit\t"),
        "{out}"
    );
    let (code, out, _) = ask(folder.path(), &["rules", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["failed"], &json["passed"]), (2, &2.into(), &0.into()));
    let failure = &json["files"][0]["tests"][1]["failures"][0];
    assert_eq!((&failure["line"], &failure["after"]), (&10.into(), &"0s".into()), "{json}");
}

#[test]
fn a_filter_runs_what_it_names_and_nothing_is_no_pass() {
    let folder = folder(&[("rules/tenants.yaml", RULES), ("rules/tenants.test.yaml", TESTS)]);
    let (code, out, _) = ask(folder.path(), &["rules", "--filter", "at the limit"]);
    assert_eq!(code, 0);
    assert!(out.contains("1 test(s): 1 passed") && !out.contains("below the limit"), "{out}");
    let (code, out, err) = ask(folder.path(), &["rules", "--filter", "no such"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("no test in `rules` has `no such` in its name"), "{err}");
}

#[test]
fn what_cannot_be_run_ends_with_one_and_says_what_to_write() {
    let folder = folder(&[
        ("none/tenants.yaml", RULES),
        ("slip/tenants.yaml", RULES),
        (
            "slip/tenants.test.yaml",
            &TESTS.replace("tenant-daily/acme, state: Warned", "tenant-dayly/acme, state: Warned"),
        ),
        ("gone/tenants.test.yaml", TESTS),
        ("bad/tenants.yaml", &RULES.replace("perEach", "perEech")),
        ("bad/tenants.test.yaml", TESTS),
        ("two/tenants.yaml", RULES),
        ("two/a.test.yaml", "rules: [tenants.yaml]\ntests: [{nome: x}]\n"),
        ("two/b.test.yaml", TESTS),
    ]);
    for (args, said) in [
        ("none", "there is no test in `none`: put a `*.test.yaml` file beside the rules that it tests"),
        ("nowhere", "cannot read `nowhere`"),
        ("slip", "did you mean `tenant-daily`?"),
        ("gone", "error: gone/tenants.test.yaml:1: cannot read `gone/tenants.yaml`"),
        ("bad", "did you mean `perEach`?"),
        ("two", "a test has no key `nome`"),
    ] {
        let (code, out, err) = ask(folder.path(), &[args]);
        assert_eq!(code, 1, "{args}: {out}{err}");
        assert!(format!("{out}{err}").contains(said), "{args}: {out}{err}");
    }
    let (_, out, _) = ask(folder.path(), &["two"]);
    assert!(
        out.contains("2 test(s): 2 passed, 0 failed, 1 file(s) could not be run"),
        "the others run: {out}"
    );
}

#[test]
fn prices_of_a_file_count_and_a_rule_file_without_a_test_is_named() {
    let prices = "apiVersion: breakerbox.dev/v1alpha1
kind: PriceBook
metadata: {name: ours}
spec: {models: {our.own-model-v1: {input: 2.00 USD per 1M tokens, output: 2.00 USD per 1M tokens}}}
";
    let tests = "rules: [tenants.yaml]
prices: prices/ours.yaml
tests:
  - name: our own model has its price
    at: 2026-11-05T10:00:00Z
    facts: [{usage: {tenant: acme, model: our.own-model-v1, inputTokens: 5M}}]
    expect: [{breaker: tenant-daily/acme, sum: 10 USD, unpriced: 0}]
";
    let folder = folder(&[
        ("tenants.yaml", RULES),
        ("tenants.test.yaml", tests),
        ("prices/ours.yaml", prices),
        ("other.yaml", &RULES.replace("tenant-daily", "other")),
    ]);
    let (code, out, _) = ask(folder.path(), &["."]);
    assert_eq!(code, 0, "{out}");
    let left: Vec<&str> = out.lines().filter(|line| line.starts_with("no test is about")).collect();
    assert_eq!(left, ["no test is about ./other.yaml"]);
}
