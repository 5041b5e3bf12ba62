//! What is really compiled: one version of each crate, nothing that is banned, and a `policy` that
//! could not read a clock if it tried.
//!
//! `deny.toml` says the same to cargo-deny; this needs nothing but cargo. What is compiled is asked of
//! `cargo tree`, because `Cargo.lock` also names what only other systems or features need.

use std::collections::{BTreeMap, BTreeSet};

use crate::{cargo, none};

/// More than one version, because two crates that we need disagree. Check when either is updated.
const TWICE: [(&str, &str); 6] = [
    ("base64", "k8s-openapi and slack-morphism use 0.22, kube-client and serde-saphyr 0.23"),
    (
        "getrandom",
        "fail brings rand 0.8 and with it 0.2, ahash (kube-runtime) 0.3, tempfile and proptest 0.4",
    ),
    ("hashbrown", "kube-runtime uses 0.16, indexmap and policy 0.17"),
    ("rand", "fail uses 0.8, slack-morphism and proptest 0.10"),
    ("rand_core", "with rand"),
    ("syn", "kube-derive and tracing-attributes use 2, serde and clap 3; both run only while compiling"),
];

/// What is in no build of ours.
const BANNED: [(&str, &str); 5] = [
    ("ring", "TLS is aws-lc-rs everywhere; two providers make rustls ask at run time and panic"),
    ("openssl-sys", "TLS is rustls; no system library to find or to patch"),
    ("native-tls", "TLS is rustls"),
    ("aws-sdk-ec2", "373 CPU-s and 8.6 GB of memory to compile, for what node labels and a signed call give"),
    ("serde_yaml", "archived; rule files are read by serde-saphyr, which knows lines and columns"),
];

/// What `policy` must not reach, not even through others: names, or their beginnings before a `*`.
const IMPURE: [&str; 20] = [
    "tokio*",
    "async-*",
    "futures*",
    "kube*",
    "k8s-openapi",
    "aws-*",
    "reqwest",
    "hyper*",
    "axum",
    "rdkafka",
    "tracing*",
    "log",
    "rand*",
    "getrandom",
    "fastrand",
    "ahash",
    "mio",
    "rusqlite",
    "tempfile",
    "iana-time-zone",
];

/// Name → its versions, each with its features, of what `cargo tree` with these arguments lists.
fn tree(arguments: &[&str]) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let all = [&["tree", "--prefix=none", "--format={p}|{f}"], arguments].concat();
    let mut found: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for line in cargo(&all).lines() {
        let Some((package, features)) = line.split_once('|') else { continue };
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let features = features.trim_end_matches(" (*)").split(',').map(str::to_owned);
        let versions = found.entry(name.to_owned()).or_default();
        versions.entry(version.to_owned()).or_default().extend(features);
    }
    assert!(found.len() > 20, "cargo tree listed only {} crates", found.len());
    found
}

fn whole() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    tree(&["--workspace", "--edges=normal,build,dev"])
}

#[test]
fn each_dependency_is_there_in_one_version_but_for_a_list_with_reasons() {
    let allowed: BTreeMap<&str, &str> = TWICE.into();
    let whole = whole();
    let mut wrong = Vec::new();
    for (name, versions) in &whole {
        let list: Vec<&str> = versions.keys().map(String::as_str).collect();
        if versions.len() > 1 && !allowed.contains_key(name.as_str()) {
            wrong
                .push(format!("`{name}` is there as {}: `cargo tree -i {name}@…` says why", list.join(", ")));
        }
    }
    for name in allowed.keys() {
        if whole.get(*name).is_none_or(|versions| versions.len() < 2) {
            wrong.push(format!("`{name}` is there once: take it off the list"));
        }
    }
    none("versions", &wrong);
}

#[test]
fn nothing_that_is_banned_is_compiled() {
    let whole = whole();
    let there = BANNED.iter().filter(|(name, _)| whole.contains_key(*name));
    none("banned", &there.map(|(name, why)| format!("`{name}`: {why}")).collect::<Vec<_>>());
}

#[test]
fn policy_alone_reaches_no_runtime_no_socket_no_randomness_and_no_clock() {
    let alone = tree(&["--package=policy", "--edges=normal,build"]);
    let is_impure = |name: &str| {
        IMPURE.iter().any(|ban| ban.strip_suffix('*').map_or(*ban == name, |start| name.starts_with(start)))
    };
    let mut wrong: Vec<String> = alone.keys().filter(|name| is_impure(name)).cloned().collect();
    let chrono = alone["chrono"].values().flatten();
    wrong.extend(
        chrono.filter(|feature| *feature == "clock" || *feature == "now").map(|f| format!("chrono/{f}")),
    );
    none("`policy` reaches", &wrong);
}

#[test]
fn no_build_that_ships_has_failpoints() {
    let features = |edges: &str| tree(&["--workspace", edges])["fail"].values().flatten().cloned().collect();
    let shipped: BTreeSet<String> = features("--edges=normal,build");
    let tested: BTreeSet<String> = features("--edges=normal,build,dev");
    assert!(!shipped.contains("failpoints"), "a dependency that is no dev-dependency asks for them");
    assert!(tested.contains("failpoints"), "the tests of a crash would test nothing");
}
