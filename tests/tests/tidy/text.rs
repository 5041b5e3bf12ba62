//! What no file says: paths and hosts of somebody's machine, unfinished work, tests that wait by the
//! clock or do not run, and rooms without a name.
//!
//! The needles are put together from parts, so that this file does not find itself.

use std::collections::BTreeSet;

use crate::none;
use crate::source::{Source, sources};

/// Something that must not stand in a file.
struct Ban {
    needles: &'static [&'static str],
    why: &'static str,
    /// Files where it may stand, each with the reason.
    but: &'static [(&'static str, &'static str)],
}

const EVERYWHERE: [Ban; 2] = [
    Ban {
        needles: &[
            concat!("/wo", "rk/"),
            concat!("/ro", "ot/"),
            concat!("/ho", "me/"),
            concat!("../sha", "red"),
            concat!("sha", "red/reference"),
            concat!("sha", "red/design"),
        ],
        why: "a path of one machine",
        but: &[],
    },
    Ban {
        needles: &[
            concat!("index.cra", "tes.io"),
            concat!("static.cra", "tes.io"),
            concat!("proxy.go", "lang.org"),
            concat!("sum.go", "lang.org"),
            concat!("py", "pi.org"),
            concat!("python", "hosted.org"),
            concat!("registry.np", "mjs.org"),
            concat!("GO", "PROXY"),
            concat!("index-", "url"),
        ],
        why: "the host of a registry: each tool has its own setting for it",
        but: &[],
    },
];

const RUST: [Ban; 2] = [
    Ban {
        needles: &[
            concat!("to", "do!("),
            concat!("unimple", "mented!("),
            concat!("FIX", "ME"),
            concat!("TO", "DO"),
        ],
        why: "unfinished work",
        but: &[],
    },
    Ban {
        needles: &[concat!("#[ig", "nore")],
        why: "a test that does not run: what is heavy belongs behind `./test --all`, switched by the environment",
        but: &[],
    },
];

const TESTS: [Ban; 1] = [Ban {
    needles: &[concat!("sle", "ep("), concat!("sleep_", "until(")],
    why: "a test that waits by the clock: wait for a condition",
    but: &[(
        "tests/src/servers/wait.rs",
        "the pause between two looks at a condition, in the one place that looks",
    )],
}];

/// Names that say nothing about what is inside.
const NAMELESS: [&str; 5] = ["common", "utils", "util", "helpers", "misc"];

fn find<'s>(
    bans: &[Ban],
    sources: &'s [Source],
    lines: impl Fn(&'s Source) -> Vec<(usize, &'s str)>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources {
        for (number, line) in lines(source) {
            for ban in bans {
                let Some(needle) = ban.needles.iter().find(|needle| line.contains(**needle)) else {
                    continue;
                };
                match ban.but.iter().find(|(path, _)| *path == source.path) {
                    Some((path, _)) => drop(used.insert(*path)),
                    None => wrong.push(format!("{}:{number}: `{needle}`: {}", source.path, ban.why)),
                }
            }
        }
    }
    let allowed = bans.iter().flat_map(|ban| ban.but).filter(|(path, _)| !used.contains(path));
    wrong.extend(allowed.map(|(path, _)| format!("{path}: the exception is not needed any more")));
    wrong
}

fn all_lines(source: &Source) -> Vec<(usize, &str)> {
    source.text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect()
}

#[test]
fn no_file_names_a_path_or_a_registry_of_somebodys_machine() {
    none("machine", &find(&EVERYWHERE, &sources(), all_lines));
}

#[test]
fn no_work_is_left_undone_and_no_test_is_left_out() {
    let rust: Vec<Source> = sources().into_iter().filter(Source::is_rust).collect();
    none("undone", &find(&RUST, &rust, all_lines));
}

#[test]
fn no_test_waits_by_the_clock() {
    let rust: Vec<Source> = sources().into_iter().filter(Source::is_rust).collect();
    none("waits", &find(&TESTS, &rust, |source| source.test_lines().collect()));
}

#[test]
fn no_room_is_called_common_or_utils() {
    let is_nameless = |part: &str| NAMELESS.contains(&part.split('.').next().unwrap_or(part));
    let all = sources();
    let wrong = all.iter().filter(|source| source.path.split('/').any(is_nameless));
    none("rooms without a name", &wrong.map(|source| source.path.clone()).collect::<Vec<_>>());
}

#[test]
fn a_planted_fault_of_each_kind_is_found() {
    let plant = |path: &str, text: String| vec![Source { path: path.to_owned(), text }];
    for ban in EVERYWHERE.iter().chain(&RUST) {
        for needle in ban.needles {
            let planted = plant("policy/src/planted.rs", format!("one\nlet a = \"{needle}\";\n"));
            let found = find(std::slice::from_ref(ban), &planted, all_lines);
            assert!(
                found.iter().any(|line| line.starts_with("policy/src/planted.rs:2: ")),
                "{needle}: {found:?}"
            );
        }
    }
    let pause = TESTS[0].needles[0];
    let before = format!("fn a() {{ {pause}); }}\n");
    let inside = format!("{before}#[cfg(test)]\nmod tests {{ {pause}) }}\n");
    for (path, text, expected) in [
        ("actions/src/planted.rs", &before, None),
        ("actions/src/planted.rs", &inside, Some(3)),
        ("actions/tests/planted.rs", &before, Some(1)),
        ("daemon/src/turn/tests.rs", &before, Some(1)),
    ] {
        let planted = plant(path, text.clone());
        let found = find(&TESTS, &planted, |source| source.test_lines().collect());
        let at = expected.map(|line| format!("{path}:{line}: "));
        let hits: Vec<_> = found.iter().filter(|line| line.contains(pause)).collect();
        assert_eq!(hits.len(), usize::from(at.is_some()), "{path}: {found:?}");
        assert!(at.is_none_or(|at| hits[0].starts_with(&at)), "{path}: {found:?}");
    }
}
