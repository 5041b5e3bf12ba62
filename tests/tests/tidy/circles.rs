//! That what the modules of a crate take from each other runs one way: no circle among those that stand in
//! `lib.rs`.
//!
//! Read from the paths that begin at the crate, by `crate::` or as many `super::` as lead there, in `use` lines
//! and elsewhere. Test code may look at anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::none;
use crate::source::{Source, sources};

const CRATES: [&str; 5] = ["policy", "collector", "actions", "daemon", "tests"];

/// Module → the modules whose names its code begins a path with.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph(crate_name: &str, sources: &[Source]) -> Graph {
    let mut graph = Graph::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let Some(path) = source.path.strip_prefix(&format!("{crate_name}/src/")) else { continue };
        let module = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
        let tests: BTreeSet<usize> = source.test_lines().map(|(number, _)| number).collect();
        let code: Vec<&str> = source
            .text
            .lines()
            .zip(1..)
            .filter(|(line, number)| !tests.contains(number) && !line.trim_start().starts_with("//"))
            .map(|(line, _)| line)
            .collect();
        let code = code.join("\n");
        let depth = path.split('/').filter(|part| *part != "mod.rs").count();
        let taken = graph.entry(module.to_owned()).or_default();
        taken.extend(named("crate::", &code));
        taken.extend(named(&"super::".repeat(depth), &code));
    }
    // `lib.rs` and `main.rs` stand above all modules, and a module without a file is none.
    graph.retain(|module, _| module != "lib" && module != "main");
    let modules: BTreeSet<String> = graph.keys().cloned().collect();
    for (module, taken) in &mut graph {
        taken.retain(|name| name != module && modules.contains(name));
    }
    graph
}

/// The first names of all paths that begin so; of `crate::{a::B, c}` both.
fn named(beginning: &str, code: &str) -> BTreeSet<String> {
    let first = |path: &str| {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
        path[..end].to_owned()
    };
    let mut names = BTreeSet::new();
    for rest in code.split(beginning).skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first(rest));
            continue;
        };
        let (mut depth, mut starts) = (0_usize, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                _ if starts && !c.is_whitespace() => {
                    names.insert(first(&group[at..]));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// Each circle once, by the modules in it: those that reach themselves, with what reaches back.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &String| {
        let (mut found, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(graph[module].iter().filter(|taken| found.insert((*taken).clone())));
        }
        found
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        graph.keys().map(|module| (module, reached(module))).collect();
    let circle = |module: &String| -> BTreeSet<String> {
        reach[module].iter().filter(|other| reach[*other].contains(module)).cloned().collect()
    };
    graph.keys().map(circle).filter(|circle| !circle.is_empty()).collect()
}

fn told(crate_name: &str, circle: &BTreeSet<String>, graph: &Graph) -> String {
    let arrows = circle
        .iter()
        .flat_map(|from| graph[from].intersection(circle).map(move |to| format!("{from} -> {to}")));
    format!("`{crate_name}`: {}", arrows.collect::<Vec<_>>().join(", "))
}

#[test]
fn no_modules_of_a_crate_take_from_each_other_in_a_circle() {
    let sources = sources();
    let mut wrong = Vec::new();
    for crate_name in CRATES {
        let graph = graph(crate_name, &sources);
        assert!(graph.len() > 1, "`{crate_name}` has modules");
        wrong.extend(circles(&graph).iter().map(|circle| told(crate_name, circle, &graph)));
    }
    none("circles of modules: move what both need below both", &wrong);
}

#[test]
fn a_planted_circle_is_found_and_told() {
    let plant = |name: &str, text: &str| Source { path: format!("policy/src/{name}"), text: text.to_owned() };
    let planted = |back: &str| {
        let sources = [
            plant("lib.rs", "pub use crate::a::A;"),
            plant("a.rs", "use crate::{\n    d::{D, E},\n    b,\n};\n"),
            plant("b/mod.rs", "use super::c::C;\n// crate::a is only named here\n"),
            plant("c.rs", back),
            plant("b/e.rs", "use super::super::d::D;\nuse super::a::A;\n"),
            plant("d.rs", "use crate::d::inner;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
        ];
        let graph = graph("policy", &sources);
        circles(&graph).iter().map(|circle| told("policy", circle, &graph)).collect::<Vec<_>>()
    };
    assert_eq!(planted("use crate::d::D;\n"), Vec::<String>::new());
    assert_eq!(planted("use crate::a::A;\n"), ["`policy`: a -> b, b -> c, c -> a"]);
}
