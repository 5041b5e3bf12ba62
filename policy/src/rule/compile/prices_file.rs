//! LiteLLM's price files beside the rules: which file a PriceBook means, and where in it a figure stands.
//!
//! The file is JSON as upstream publishes it, so it is no rule document: a PriceBook names it by `litellm`. A
//! file that nobody names changes nothing, and its author is told.

use std::collections::BTreeMap;

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{SourceFile, Spot};
use super::super::read::Sink;
use crate::price::{PriceIssue, place_in_file, reduced_file};

/// Largest price file, in bytes; upstream's has 1.7 million.
const MAX_BYTES: usize = 4 << 20;

/// Whether a file of a rule set holds prices and no rules.
pub(super) fn is_one(path: &str) -> bool {
    path.ends_with(".json")
}

/// The path from the rules folder of a file that is named in another: beside it, or a folder from there.
pub(super) fn beside(path: &str, named: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(named.split('/')).filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// All files of the set, in the order of their sinks.
pub(super) struct PriceFiles<'a> {
    pub(super) files: &'a [SourceFile<'a>],
}

impl<'a> PriceFiles<'a> {
    pub(super) fn named(&self) -> Named<'a> {
        let files = self.files.iter().enumerate().filter(|(_, file)| is_one(file.path));
        Named { files: files.map(|(at, file)| (file.path, (at, file.text))).collect(), by: BTreeMap::new() }
    }
}

/// The price files, with the PriceBooks that name them.
pub(super) struct Named<'a> {
    /// By path: number of the file, and its text.
    files: BTreeMap<&'a str, (usize, &'a str)>,
    by: BTreeMap<String, (usize, Spot)>,
}

impl Named<'_> {
    /// What a book takes from the file of that path, or what is wrong with the name.
    pub(super) fn take(&mut self, path: &str, at: (usize, Spot), sinks: &mut [Sink<'_>]) -> Option<String> {
        let Some((file, text)) = self.files.get(path).copied() else {
            let paths = || self.files.keys().copied();
            let help = match sinks[at.0].meant(path, paths()) {
                Some(close) => format!("did you mean `{close}`?"),
                None if self.files.is_empty() => {
                    "put a file whose name ends in `.litellm.json` beside this one, and name it".to_owned()
                }
                None => format!("write the path from this file; there is {}", one_of(paths().take(10))),
            };
            sinks[at.0].error(Kind::UnknownFile, at.1, format!("there is no price file `{path}`"), help);
            return None;
        };
        if let Some((other, spot)) = self.by.get(path) {
            let help = format!("name it once; the first is at {}", sinks[*other].place(*spot));
            sinks[at.0].error(Kind::DuplicateName, at.1, format!("`{path}` is named a second time"), help);
            return None;
        }
        self.by.insert(path.to_owned(), at);
        if text.len() > MAX_BYTES {
            let message = format!("`{path}` has {} bytes; the most is {MAX_BYTES}", text.len());
            sinks[file].error(Kind::TooLarge, Spot::START, message, "take out the models that nobody uses");
            return None;
        }
        Some(reduced_file(text))
    }

    /// Where a file that is named has that figure.
    pub(super) fn place(&self, issue: &PriceIssue) -> Option<(usize, Spot)> {
        let named = self.by.keys().filter_map(|path| self.files.get(path.as_str()));
        named.into_iter().find_map(|(file, text)| {
            let place = place_in_file(text, &issue.key, issue.field.as_deref())?;
            Some((*file, Spot { line: place.line, column: place.column, width: place.width }))
        })
    }

    /// A file that no book names changes no price, whatever somebody believes who put it there.
    pub(super) fn warn_of_unused(&self, sinks: &mut [Sink<'_>]) {
        for (path, (file, _)) in self.files.iter().filter(|(path, _)| !self.by.contains_key(**path)) {
            let name = path.rsplit('/').next().unwrap_or(path);
            let message = format!("no PriceBook names `{path}`, so its prices count nowhere");
            let help = format!("write `litellm: {name}` in the spec of a PriceBook, or delete the file");
            sinks[*file].warn(Kind::UnusedFile, Spot::START, message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn a_file_is_named_from_the_file_that_names_it() {
        for (path, named, whole) in [
            ("rules.yaml", "a.litellm.json", "a.litellm.json"),
            ("teams/x/rules.yaml", "a.litellm.json", "teams/x/a.litellm.json"),
            ("teams/x/rules.yaml", "../../prices/a.litellm.json", "prices/a.litellm.json"),
            ("teams/rules.yaml", "./a.litellm.json", "teams/a.litellm.json"),
            ("rules.yaml", "../a.litellm.json", "../a.litellm.json"),
        ] {
            assert_eq!(beside(path, named), whole, "{path} {named}");
        }
    }
}
