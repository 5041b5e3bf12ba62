//! The schema for editors says what the compiler says: what is valid validates, and what has an unknown key, a
//! kind or a word that there is not, or lacks a key, does not. `BLESS=1` writes `rules/schema.json` anew.

use std::path::{Path, PathBuf};

use policy::rule::{Severity, SourceFile, compile, schema};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Path and text of each rule file under a folder.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
            all.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!all.is_empty(), "{folder}");
    all
}

/// The documents of a file, as an editor's YAML reader gives them; `None` where it is not YAML.
fn documents(text: &str) -> Option<Vec<Value>> {
    let parts = text.split("\n---").map(|part| part.trim_start_matches("---"));
    let parts = parts.filter(|part| part.lines().any(|l| !l.trim().is_empty() && !l.trim().starts_with('#')));
    parts.map(|part| serde_saphyr::from_str(part).ok()).collect()
}

/// What a validator says: the parts of JSON Schema that ours uses.
fn wrong(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(types) = schema.get("type") {
        let is = |word: &str| match word {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        };
        let fits = match types {
            Value::String(word) => is(word),
            list => list.as_array().unwrap().iter().any(|word| is(word.as_str().unwrap())),
        };
        if !fits {
            all.push(format!("{at} is no {types}"));
        }
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        all.push(format!("{at} is not {}", schema["const"]));
    }
    if schema.get("enum").is_some_and(|words| !words.as_array().unwrap().contains(value)) {
        all.push(format!("{at} is none of {}", schema["enum"]));
    }
    if let Some(number) = value.as_i64() {
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        if bound("minimum").is_some_and(|least| number < least)
            || bound("maximum").is_some_and(|most| number > most)
        {
            all.push(format!("{at} is out of range"));
        }
    }
    if let Some(object) = value.as_object() {
        all.extend(wrong_object(schema, object, at));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        all.extend(list.iter().enumerate().flat_map(|(n, item)| wrong(items, item, &format!("{at}[{n}]"))));
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array)
        && choices.iter().all(|choice| !wrong(choice, value, at).is_empty())
    {
        all.push(format!("{at} fits no form"));
    }
    for branch in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if wrong(&branch["if"], value, at).is_empty() {
            all.extend(wrong(&branch["then"], value, at));
        }
    }
    all
}

fn wrong_object(schema: &Value, object: &serde_json::Map<String, Value>, at: &str) -> Vec<String> {
    let mut all = Vec::new();
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !object.contains_key(key.as_str().unwrap()) {
            all.push(format!("{at} has no {key}"));
        }
    }
    let size = |key: &str| schema.get(key).and_then(Value::as_u64);
    let count = object.len() as u64;
    if size("minProperties").is_some_and(|n| count < n) || size("maxProperties").is_some_and(|n| count > n) {
        all.push(format!("{at} has {count} keys"));
    }
    for (key, inner) in object {
        let place = format!("{at}.{key}");
        match (schema.get("properties").and_then(|p| p.get(key)), schema.get("additionalProperties")) {
            (Some(known), _) => all.extend(wrong(known, inner, &place)),
            (None, Some(Value::Bool(false))) => all.push(format!("{place} is unknown")),
            (None, Some(others)) => all.extend(wrong(others, inner, &place)),
            (None, None) => {}
        }
    }
    all
}

#[test]
fn the_committed_schema_is_the_one_that_the_compiler_gives() {
    let path = root().join("rules/schema.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(kept == schema(), "rules/schema.json is old: BLESS=1 cargo test -p policy --test schema");
}

#[test]
fn what_the_compiler_takes_validates() {
    let schema = schema();
    let mut seen = 0;
    for folder in ["rules", "policy/tests/rules", "policy/tests/diagnostics"] {
        for (name, text) in files(folder) {
            let set = [SourceFile { path: &name, text: &text }];
            let Some(documents) = documents(&text).filter(|_| compile(&set).is_ok()) else { continue };
            for document in documents {
                let wrong = wrong(&schema, &document, "document");
                assert!(wrong.is_empty(), "{folder}/{name}: {wrong:?}\n{document}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} documents");
}

/// What a schema can see, by its code.
const SEEN: [&str; 12] = [
    "unknown-key",
    "unsupported",
    "unsupported-kind",
    "unknown-kind",
    "unknown-act",
    "unknown-charge",
    "unknown-unit",
    "unknown-mode",
    "missing-key",
    "api-version",
    "inline-secret",
    "missing-unit",
];

/// Cases whose mistake is one that a schema leaves to `check`: of a value, or deep inside an IdlePolicy or a
/// SpotPolicy, of which it knows only the first keys.
const LEFT: [&str; 7] = [
    "unsupported",
    "unsupported-merge-key",
    "missing-unit",
    "missing-key-notify",
    "idle-",
    "spot-",
    "freeze-times",
];

#[test]
fn what_has_a_key_kind_or_word_that_there_is_not_is_refused() {
    let schema = schema();
    let (mut seen, mut passed) = (0, Vec::new());
    for (name, text) in files("policy/tests/diagnostics") {
        let Some(documents) = documents(&text) else { continue };
        let Err(all) = compile(&[SourceFile { path: &name, text: &text }]) else { continue };
        let errors = all.list.iter().filter(|d| d.severity == Severity::Error);
        let codes: Vec<&str> = errors.map(|d| d.kind.word()).collect();
        if !codes.iter().any(|code| SEEN.contains(code)) {
            continue;
        }
        let wrong: Vec<String> = documents.iter().flat_map(|d| wrong(&schema, d, "document")).collect();
        if wrong.is_empty() && !LEFT.iter().any(|v| name.starts_with(v)) {
            passed.push(format!("{name}: {codes:?}"));
        }
        seen += usize::from(!wrong.is_empty());
    }
    assert!(passed.is_empty(), "the schema takes\n{}", passed.join("\n"));
    assert!(seen > 15, "{seen} cases");
}
