//! Who may depend on whom: the table of docs/ARCHITECTURE.md, "Arrows".
//!
//! Read from `cargo metadata`, so that a dependency under another name or for one target counts too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{cargo, none};

/// Crate → what of ours it may depend on.
const ARROWS: [(&str, &[&str]); 5] = [
    ("policy", &[]),
    ("collector", &["policy"]),
    ("actions", &["policy"]),
    ("daemon", &["policy", "collector", "actions"]),
    ("tests", &["policy", "collector", "actions", "daemon"]),
];

/// Crate → the names of all that it declares, for building, running and testing.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])).expect("JSON");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let list = |value: &Value| value.as_array().expect("an array").clone();
    list(&metadata["packages"])
        .iter()
        .map(|package| (name(package), list(&package["dependencies"]).iter().map(name).collect()))
        .collect()
}

#[test]
fn every_arrow_between_our_crates_is_one_of_the_table() {
    let declared = declared();
    let ours: BTreeSet<&str> = declared.keys().map(String::as_str).collect();
    let table: BTreeMap<&str, &[&str]> = ARROWS.into();
    assert_eq!(ours, table.keys().copied().collect(), "the crates of the workspace and of the table");
    let mut wrong = Vec::new();
    for (crate_name, dependencies) in &declared {
        for dependency in dependencies.iter().filter(|name| ours.contains(name.as_str())) {
            if !table[crate_name.as_str()].contains(&dependency.as_str()) {
                wrong.push(format!("`{crate_name}` depends on `{dependency}`"));
            }
        }
    }
    none("arrows that the table does not have", &wrong);
}
