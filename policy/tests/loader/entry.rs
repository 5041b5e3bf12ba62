//! What must hold of any text whatever that is given as a rule file: for the tests, and for the fuzz target.

use policy::rule::{Act, Compiled, Diagnostics, RuleSet, SourceFile, Test, compile};

/// Most diagnostics of a set, and most bytes of the report of a file that is no longer than that itself.
const MOST: usize = 200;
const REPORT: usize = 1 << 20;

/// Reads a text as a rule file. It is refused with a bounded report, or selects only what it names.
pub fn read(text: &str) -> Result<Compiled, Diagnostics> {
    let read = compile(&[SourceFile { path: "rules.yaml", text }]);
    let said = match &read {
        Ok(Compiled { rules, warnings }) => {
            assert!(!warnings.has_errors(), "a set with errors is used: {warnings}");
            names_what_it_selects(rules, text);
            warnings
        }
        Err(all) => {
            assert!(all.has_errors(), "refused without an error: {all}");
            all
        }
    };
    assert!(said.list.len() <= MOST, "{} diagnostics", said.list.len());
    let lines = text.split('\n').count().max(1);
    for diagnostic in &said.list {
        let line = usize::try_from(diagnostic.place.line).unwrap();
        assert!((1..=lines).contains(&line), "line {line} of {lines}: {}", diagnostic.message);
    }
    let report = said.to_string().len() + said.to_json().len();
    assert!(
        report <= REPORT + 8 * MOST * text.len().min(4096),
        "a report of {report} bytes for {}",
        text.len()
    );
    read
}

/// Nothing is selected by omission: everything is only where `all` was written.
pub fn names_what_it_selects(rules: &RuleSet, text: &str) {
    let all = text.contains("all");
    for budget in &rules.budgets {
        let select = &budget.select;
        assert!(
            if select.all { all } else { !select.subjects.is_empty() || select.when.is_some() },
            "`{}` selects by nothing",
            budget.name
        );
        for condition in &select.subjects {
            let some = match &condition.test {
                Test::In(globs) | Test::NotIn(globs) => !globs.is_empty(),
                Test::Exists | Test::DoesNotExist => true,
            };
            assert!(some, "`{}` has a condition without a value", budget.name);
        }
        let named = budget.limit.overrides.iter().all(|o| !o.matches.is_empty());
        assert!(named, "`{}` has an override for everybody", budget.name);
        assert!(budget.limit.amount > policy::money::Money::ZERO, "`{}` trips at nothing", budget.name);
        for act in budget.on_trip.iter().chain(&budget.on_warn) {
            if let Act::PauseScaledObjects { targets, .. } = act {
                let conditions =
                    targets.namespaces.len() + targets.namespace_labels.len() + targets.labels.len();
                assert!(if targets.all { all } else { conditions > 0 }, "`{}` stops everything", budget.name);
            }
        }
    }
}
