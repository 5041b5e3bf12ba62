//! The files of the repository, as a clone has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::root;

/// A text file.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Built, installed or lent things; a clone does not have them.
const NOT_OURS: [&str; 5] = ["target", ".git", "shared", "__pycache__", ".venv"];
/// Written by tools from the files beside them.
const GENERATED: [&str; 3] = ["Cargo.lock", "go.sum", "go.mod"];

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|end| end == "rs")
    }

    /// Whether people write it line by line.
    pub(crate) fn is_code(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.is_rust() || self.path.ends_with(".py") || self.text.starts_with("#!") && !name.contains('.')
    }

    /// Whether all of it is test code.
    fn is_test(&self) -> bool {
        let in_tests = self.path.starts_with("tests/") || self.path.contains("/tests/");
        in_tests || self.path.ends_with("/tests.rs") || self.path.ends_with("/testing.rs")
    }

    /// The lines that are test code, with their numbers from 1.
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = || self.text.lines().enumerate();
        let from = if self.is_test() {
            0
        } else {
            // By the house's manners, a module of tests is the last thing in its file.
            lines().find(|(_, line)| line.starts_with("#[cfg(test)]")).map_or(usize::MAX, |(at, _)| at)
        };
        lines().skip_while(move |(at, _)| *at < from).map(|(at, line)| (at + 1, line))
    }
}

/// Every text file.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    assert!(found.len() > 100, "only {} files found: is this the repository?", found.len());
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("a type");
        if NOT_OURS.contains(&name.as_str()) || GENERATED.contains(&name.as_str()) || kind.is_symlink() {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(Source { path, text });
        }
    }
}

/// The names of all tests.
pub(crate) fn test_names(sources: &[Source]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let mut is_next = false;
        for line in source.text.lines().map(str::trim) {
            is_next |= line == "#[test]" || line.starts_with("#[tokio::test");
            if let (true, Some(name)) = (is_next, function_name(line)) {
                names.insert(name.to_owned());
                is_next = false;
            }
        }
    }
    names
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split_once('(').map(|(name, _)| name)
}
