//! The whole of it, from files to the answer.

mod answers;
mod inputs;
mod live;
mod story;

use std::path::{Path, PathBuf};

use policy::rule::RuleSet;

use super::gather::Order;
use super::{Ask, Report, Rules, run};
use crate::rules::RuleFile;
use crate::wiring::compile;

/// A rule set from its text.
fn set(text: &str) -> RuleSet {
    compile(&[RuleFile { path: "rules.yaml".to_owned(), text: text.to_owned() }]).unwrap().rules
}

fn ask(inputs: &[PathBuf], rules: &str) -> Ask {
    Ask {
        inputs: inputs.to_vec(),
        rules: Rules { folder: "rules".to_owned(), set: set(rules) },
        against: None,
        order: Order::Time,
        events_believed: true,
    }
}

fn answer(ask: &Ask) -> Report {
    run(ask, &mut |_| {}).unwrap()
}

fn put(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A bill whose rows are instants of 20 November 2026, tenants, and whole dollars.
fn bill(folder: &Path, rows: &[(&str, &str, u32)]) -> PathBuf {
    let mut text = "ChargePeriodStart,BilledCost,ServiceName,Tags\n".to_owned();
    for (at, tenant, dollars) in rows {
        text.push_str(&format!(
            "2026-11-{at}Z,{dollars},Amazon Bedrock,\"{{\"\"tenant\"\":\"\"{tenant}\"\"}}\"\n"
        ));
    }
    put(folder, "bill.csv", text)
}

/// A budget for each tenant, with what is to be said of it besides.
fn budget(name: &str, limit: u32, window: &str, more: &str) -> String {
    format!(
        "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec:\n  select: {{all: true}}\n  \
         perEach: [tenant]\n  limit: {{amount: {limit} USD}}\n  window: {window}\n  warnAt: [80%]\n  onTrip:\n    \
         - pauseScaledObjects: {{in: {{namespaceLabels: {{tenant: \"${{tenant}}\"}}}}}}\n{more}"
    )
}
