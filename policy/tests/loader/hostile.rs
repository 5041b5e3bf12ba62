//! Texts that were made to hurt: each is answered within bounds of time, memory and words.

use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;

use crate::WHOLE;
use crate::entry::read;

const MIB: usize = 1 << 20;

/// Reads a text and fails where that goes on for ever. The bound is far beyond what any of them needs.
fn read_soon(what: &str, text: String) -> bool {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || sender.send(read(&text).is_ok()));
    let ended = receiver.recv_timeout(Duration::from_secs(120));
    assert!(!matches!(ended, Err(mpsc::RecvTimeoutError::Timeout)), "{what} goes on and on");
    assert!(worker.join().is_ok(), "{what} panics");
    ended.unwrap()
}

/// Each level names the one below it so many times.
fn bomb(levels: usize, times: usize) -> String {
    let mut text = String::from("a0: &a0 [x, x]\n");
    for level in 1..levels {
        let below = format!("*a{}, ", level - 1).repeat(times);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    text
}

fn hostile() -> Vec<(&'static str, String)> {
    let long = |text: &str, bytes: usize| text.repeat(bytes / text.len());
    let spec = |spec: &str| {
        format!(
            "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: b}}\nspec: {{{spec}}}\n"
        )
    };
    let budget = |amount: &str| {
        spec(&format!("select: {{all: true}}, limit: {{amount: {amount}}}, window: {{calendar: day}}"))
    };
    vec![
        ("an alias bomb", bomb(30, 10)),
        ("a wide alias bomb", bomb(3, 5000)),
        ("an alias of itself", "a: &a [*a]\nb: &b {b: *b}\n".to_owned()),
        ("merge keys upon merge keys", long("<<: &a {<<: ", 4000)),
        ("maps in maps", long("{a: ", MIB)),
        ("lists in lists in a key", format!("? {}", "[".repeat(MIB / 2))),
        ("indentation without end", (0..1400).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("one line of a mebibyte", format!("a: {}", "x".repeat(MIB - 3))),
        ("one quoted line of a mebibyte", format!("a: \"{}\"", "\\u0041".repeat(MIB / 6 - 2))),
        ("a key of a mebibyte", format!("{}: 1", "k".repeat(MIB - 3))),
        ("a comment of a mebibyte", format!("#{}", "x".repeat(MIB - 1))),
        ("a mebibyte of newlines", "\n".repeat(MIB)),
        ("a mebibyte of empty documents", long("---\n", MIB)),
        ("more than may be", "x".repeat(MIB + 1)),
        ("NUL", "kind: Bud\0get\n\0".to_owned()),
        ("a mebibyte of NUL", "\0".repeat(MIB)),
        ("marks that turn text around", long("\u{202e}\u{200b}\u{feff}: \u{2028}\u{85}\n", MIB / 2)),
        ("letters of four bytes", long("\u{1f4b8}: \u{10ffff}\n", MIB / 2)),
        ("a huge amount", budget(&format!("{} USD", "9".repeat(200_000)))),
        ("an amount of a thousand decimals", budget(&format!("0.{}1 USD", "0".repeat(1000)))),
        ("an amount of commas", budget(&format!("\"{}1 USD\"", "1,".repeat(10_000)))),
        ("numbers of every form", budget("0x1F").replace("day", "1e999")),
        ("infinity", budget(".inf USD")),
        (
            "a date in the year 999,999,999",
            budget("1 USD, overrides: [{match: {tenant: a}, amount: 1 USD, until: 999999999-01-01}]"),
        ),
        (
            "a span that overflows",
            budget("1 USD").replace("calendar: day", &format!("rolling: {}d", "9".repeat(30))),
        ),
        ("a glob of stars", spec(&format!("select: {{subjects: {{tenant: \"{}\"}}}}", "*a".repeat(200_000)))),
        (
            "as many globs as fit",
            spec(&format!("select: {{subjects: {{tenant: [{}]}}}}", "\"*\", ".repeat(90_000))),
        ),
        (
            "as many conditions as fit",
            spec(&format!(
                "select: {{subjects: {{{}}}}}",
                (0..50_000).map(|n| format!("f{n}: a, ")).collect::<String>()
            )),
        ),
        (
            "as many names as fit",
            (0..4999)
                .map(|n| budget("1 USD").replace("name: b", &format!("name: b{n}")))
                .map(|text| format!("---\n{text}"))
                .collect(),
        ),
        (
            "tags",
            "!!python/object:os.system [a]\n--- !<tag:yaml.org,2002:binary> aGk=\n--- !!set {a, b}\n"
                .to_owned(),
        ),
        ("directives", "%YAML 9.9\n%TAG ! tag:evil,2000:\n---\na: 1\n".to_owned()),
    ]
}

#[test]
fn no_text_that_was_made_to_hurt_does() {
    for (what, text) in hostile() {
        read_soon(what, text);
    }
    // What all of them together needed at most, by the kernel's own account.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    if let Some(kib) = peak.and_then(|text| text.trim().parse::<usize>().ok()) {
        assert!(kib < 768 * 1024, "{kib} KiB at most");
    }
}

/// Words that mean something to the loader, so that chance comes past the first check.
const WORDS: [&str; 48] = [
    "apiVersion",
    "breakerbox.dev/v1alpha1",
    "kind",
    "Budget",
    "Route",
    "Guardrail",
    "Attribution",
    "PriceBook",
    "Source",
    "metadata",
    "name",
    "spec",
    "select",
    "subjects",
    "all",
    "true",
    "charges",
    "tokens",
    "perEach",
    "tenant",
    "limit",
    "amount",
    "50 USD",
    "overrides",
    "match",
    "until",
    "2026-12-31",
    "window",
    "calendar",
    "month",
    "rolling",
    "6h",
    "lifetime",
    "warnAt",
    "80%",
    "tripAt",
    "grace",
    "onTrip",
    "notify",
    "route",
    "pauseScaledObjects",
    "in",
    "namespaces",
    "namespaceLabels",
    "${tenant}",
    "except",
    "mode",
    "enforce",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "\\PC{0,6}",
        1 => Just(String::new()),
        1 => prop::sample::select(&["null", "~", "*", "&a", "-1", "1e9", "0x7", "\u{85}", "1 EUR", "9999999999999999 USD"][..])
            .prop_map(str::to_owned),
    ]
}

/// A tree, in the flow form that quotes what it must.
fn tree() -> impl Strategy<Value = String> {
    let leaf = word().prop_map(|word| serde_json::to_string(&word).unwrap());
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((word(), inner), 0..8).prop_map(|entries| {
                let entries: Vec<String> = entries
                    .into_iter()
                    .map(|(key, value)| format!("{}: {value}", serde_json::to_string(&key).unwrap()))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

/// A budget whose parts are trees: all of its own keys are there, and what is under them is anything.
fn nearly() -> impl Strategy<Value = String> {
    let keys =
        ["select", "perEach", "limit", "window", "warnAt", "onTrip", "restore", "mode", "within", "grace"];
    let good = [
        "{subjects: {tenant: a}}",
        "[tenant]",
        "{amount: 1 USD}",
        "{calendar: day}",
        "[50%]",
        "[{pauseScaledObjects: {in: {namespaces: [a]}}}]",
        "{when: manual}",
        "enforce",
        "b",
        "5m",
    ];
    let part = (0..keys.len(), prop::option::weighted(0.4, tree()))
        .prop_map(move |(at, tree)| format!("{}: {}", keys[at], tree.unwrap_or_else(|| good[at].to_owned())));
    prop::collection::vec(part, 3..10).prop_map(|parts| {
        format!(
            "{{apiVersion: breakerbox.dev/v1alpha1, kind: Budget, metadata: {{name: b}}, spec: {{{}}}}}\n",
            parts.join(", ")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_tree_of_the_languages_own_words_selects_everything_by_omission(text in prop_oneof![tree(), nearly()]) {
        let _ = read(&text);
    }

    #[test]
    fn no_valid_file_whose_lines_were_shuffled_cut_and_doubled_selects_everything_by_omission(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8), 1..12)
    ) {
        let mut lines: Vec<&str> = WHOLE.lines().collect();
        for (one, other, edit) in edits {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            match edit {
                0 => lines.swap(one, other),
                1 => { lines.remove(one); }
                2 => lines.insert(other, lines[one]),
                _ => lines[one] = lines[one].trim_start(),
            }
            if lines.is_empty() {
                lines.push("");
            }
        }
        let _ = read(&lines.join("\n"));
    }
}
