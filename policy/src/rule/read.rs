//! How the compiler reads a tree: each question answers with a value or reports what is wrong and answers
//! `None`, so that one mistake never hides the next.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;
use std::str::FromStr;

use super::Place;
use super::diagnose::{Diagnostic, DiagnosticKind as Kind, MOST, Severity, meant, one_of};
use super::glob::MAX_PATTERN;
use super::node::{Entry, Node, Shape, SourceFile, Spot};
use crate::money::{Money, MoneyError, Percent};
use crate::time::Span;

/// What somebody names that must be somewhere in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefKind {
    Budget,
    Route,
    /// A field where a rule counts or tells apart by it.
    Field,
    /// A field where Attribution says that it is set.
    Declared,
}

/// A name to be looked up once every document is read.
#[derive(Clone, Debug)]
pub(super) struct Ref {
    pub(super) kind: RefKind,
    pub(super) name: String,
    pub(super) spot: Spot,
}

/// Where the diagnostics of one file go, with what is to be looked up later.
pub(super) struct Sink<'a> {
    file: &'a SourceFile<'a>,
    lines: Vec<&'a str>,
    list: Vec<Diagnostic>,
    /// Lines that hold a secret and are never shown.
    hidden: BTreeSet<u32>,
    pub(super) refs: Vec<Ref>,
}

/// What Slack's own secrets have in them, for lines that could not even be parsed.
const SECRETS: [&str; 5] = ["hooks.slack.com/", "xoxb-", "xoxp-", "xoxe", "xapp-"];

/// The keys that a map may have.
pub(super) struct Keys {
    pub(super) known: &'static [&'static str],
    /// Keys of the language that this version refuses, with what to do instead.
    pub(super) later: &'static [(&'static str, &'static str)],
}

impl Keys {
    pub(super) const fn of(known: &'static [&'static str]) -> Self {
        Self { known, later: &[] }
    }
}

/// A map whose keys have been checked.
pub(super) struct Fields<'n> {
    pub(super) spot: Spot,
    what: String,
    entries: Vec<&'n Entry>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key == key).copied()
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str, help: &str, sink: &mut Sink<'_>) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            sink.error(Kind::MissingKey, self.spot, format!("{} has no `{key}`", self.what), help);
        }
        found
    }
}

impl<'a> Sink<'a> {
    pub(super) fn new(file: &'a SourceFile<'a>) -> Self {
        Self {
            file,
            lines: file.text.lines().collect(),
            list: Vec::new(),
            hidden: BTreeSet::new(),
            refs: Vec::new(),
        }
    }

    /// Path of the file.
    pub(super) fn path(&self) -> &'a str {
        self.file.path
    }

    pub(super) fn place(&self, spot: Spot) -> Place {
        Place { file: self.file.path.into(), line: spot.line, column: spot.column }
    }

    pub(super) fn error(
        &mut self,
        kind: Kind,
        spot: Spot,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(kind, Severity::Error, spot, message.into(), help.into());
    }

    pub(super) fn warn(
        &mut self,
        kind: Kind,
        spot: Spot,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(kind, Severity::Warning, spot, message.into(), help.into());
    }

    /// The characters of the file from a value on, with line and column; behind its quote, or below the mark of a
    /// block.
    pub(super) fn characters_from(&self, spot: Spot) -> impl Iterator<Item = (u32, u32, char)> + use<'_> {
        let from = usize::try_from(spot.column.saturating_sub(1)).unwrap_or(0);
        let above = usize::try_from(spot.line.saturating_sub(1)).unwrap_or(0);
        let first = self.lines.get(above).and_then(|line| line.chars().nth(from));
        let skipped = match first {
            Some('|' | '>') => usize::MAX,
            Some('\'' | '"') => from.saturating_add(1),
            _ => from,
        };
        let lines =
            self.lines.iter().skip(above).zip(spot.line..).zip([skipped].into_iter().chain(repeat(0)));
        lines.flat_map(|((line, number), skipped)| {
            let characters = line.chars().chain(['\n']).zip(1_u32..);
            characters.skip(skipped).map(move |(c, column)| (number, column, c))
        })
    }

    /// What stands at that spot may be a secret: no excerpt shows its line.
    pub(super) fn hide(&mut self, spot: Spot) {
        self.hidden.insert(spot.line);
    }

    /// A secret that stands at that spot. Neither the message nor any excerpt of that line shows it.
    pub(super) fn secret(&mut self, spot: Spot, message: &str, help: &str) {
        self.hide(spot);
        self.error(Kind::InlineSecret, spot, message, help);
    }

    fn push(&mut self, kind: Kind, severity: Severity, spot: Spot, message: String, help: String) {
        let line = usize::try_from(spot.line).unwrap_or(0).checked_sub(1).and_then(|at| self.lines.get(at));
        let excerpt = line.map(|line| (*line).into());
        let place = self.place(spot);
        self.list.push(Diagnostic { kind, severity, place, width: spot.width, excerpt, message, help });
    }

    /// Errors so far.
    pub(super) fn errors(&self) -> usize {
        self.list.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// The diagnostics, without the lines that hold secrets.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        for diagnostic in &mut self.list {
            let known = |line: &str| SECRETS.iter().any(|mark| line.contains(mark));
            if self.hidden.contains(&diagnostic.place.line)
                || diagnostic.excerpt.as_deref().is_some_and(known)
            {
                diagnostic.excerpt = None;
            }
        }
        self.list
    }

    fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str, help: &str) {
        let (kind, message) = match node.shape {
            Shape::Null => (Kind::EmptyValue, format!("{what} has no value")),
            _ => (Kind::WrongType, format!("{what} must be {wanted}, not {}", node.shape.word())),
        };
        self.error(kind, node.spot, message, help);
    }

    /// A map with any keys, each once.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str, example: &str) -> Option<&'n [Entry]> {
        let Shape::Map(entries) = &node.shape else {
            self.wrong_type(node, what, "a map", &format!("write for example `{example}`"));
            return None;
        };
        let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in entries {
            if let Some(first) = lines.insert(&entry.key, entry.spot.line) {
                self.error(
                    Kind::DuplicateKey,
                    entry.spot,
                    format!("`{}` is here a second time", entry.key),
                    format!("keep one of the two; the other is on line {first}"),
                );
            }
        }
        Some(entries)
    }

    /// A map with those keys and no others.
    pub(super) fn object<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        example: &str,
        keys: &Keys,
    ) -> Option<Fields<'n>> {
        let entries = self.map(node, what, example)?;
        for entry in entries {
            self.check_key(entry, what, keys);
        }
        Some(Fields { spot: node.spot, what: what.to_owned(), entries: entries.iter().collect() })
    }

    fn check_key(&mut self, entry: &Entry, what: &str, keys: &Keys) {
        let key = entry.key.as_str();
        if keys.known.contains(&key) {
            return;
        }
        if let Some((_, instead)) = keys.later.iter().find(|(name, _)| *name == key) {
            let message = format!("`{key}` is not supported by this version");
            return self.error(Kind::Unsupported, entry.spot, message, *instead);
        }
        if key == "<<" {
            let message = "merge keys are not supported";
            return self.error(Kind::Unsupported, entry.spot, message, "write the keys out");
        }
        let all = keys.known.iter().chain(keys.later.iter().map(|(name, _)| name)).copied();
        let help = match self.meant(key, all) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("{what} has {}", one_of(keys.known.iter().copied())),
        };
        self.error(Kind::UnknownKey, entry.spot, format!("{what} has no key `{key}`"), help);
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str, example: &str) -> Option<&'n [Node]> {
        let Shape::List(items) = &node.shape else {
            self.wrong_type(node, what, "a list", &format!("write for example `{example}`"));
            return None;
        };
        Some(items)
    }

    /// Text; a number or boolean counts as what was written, so `tenant: 007` is "007".
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = match &node.shape {
            Shape::Text(text) | Shape::Number(text) => text.as_str(),
            Shape::Bool(true) => "true",
            Shape::Bool(false) => "false",
            Shape::Null | Shape::List(_) | Shape::Map(_) => {
                self.wrong_type(
                    node,
                    what,
                    "text",
                    "write one value, in quotes if it has special characters",
                );
                return None;
            }
        };
        if text.trim().is_empty() {
            let message = format!("{what} is empty");
            self.error(Kind::EmptyValue, node.spot, message, "write a value, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// An act: a map with one key.
    pub(super) fn act<'n>(&mut self, node: &'n Node, example: &str) -> Option<&'n Entry> {
        let entries = self.map(node, "an act", example)?;
        let [entry] = entries else {
            let message = format!("an act has one key, this has {}", entries.len());
            self.error(Kind::Conflict, node.spot, message, "write one list item for each act");
            return None;
        };
        Some(entry)
    }

    /// A list of texts, for example `[a, b]`.
    pub(super) fn texts<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        example: &str,
    ) -> Option<Vec<(&'n str, Spot)>> {
        let items = self.list(node, what, example)?;
        all_of(items.iter().map(|item| Some((self.text(item, what)?, item.spot))))
    }

    /// A map of texts, for example `{tier: critical}`.
    pub(super) fn pairs<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        example: &str,
    ) -> Option<Vec<(&'n Entry, &'n str)>> {
        let entries = self.map(node, what, example)?;
        all_of(entries.iter().map(|e| Some((e, self.text(&e.value, &format!("`{}`", e.key))?))))
    }

    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        let Shape::Bool(value) = node.shape else {
            self.wrong_type(node, what, "`true` or `false`", "write `true` or `false`, not in quotes");
            return None;
        };
        Some(value)
    }

    /// A whole number in a range.
    pub(super) fn count(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<u32> {
        let Shape::Number(text) = &node.shape else {
            self.wrong_type(node, what, "a number", &format!("write a whole number from {least} to {most}"));
            return None;
        };
        let value = text.parse().ok().filter(|n| (least..=most).contains(n));
        if value.is_none() {
            let help = format!("write a whole number from {least} to {most}");
            self.error(Kind::OutOfRange, node.spot, format!("{what} cannot be `{text}`"), help);
        }
        value
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        kind: Kind,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all = || words.iter().map(|(word, _)| *word);
        let help = match self.meant(text, all()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("write {}", one_of(all())),
        };
        self.error(kind, node.spot, format!("{what} cannot be `{text}`"), help);
        None
    }

    /// An amount of money of 0 or more.
    pub(super) fn money(&mut self, node: &Node, what: &str) -> Option<Money> {
        self.quantity(node, what, Kind::BadAmount)
    }

    /// Anything that money's parsers read.
    pub(super) fn quantity<T: FromStr<Err = MoneyError>>(
        &mut self,
        node: &Node,
        what: &str,
        unreadable: Kind,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let kind = match error {
                    MoneyError::NoUnit { .. } => Kind::MissingUnit,
                    MoneyError::WrongUnit { .. } => Kind::WrongUnit,
                    MoneyError::Negative { .. } => Kind::Negative,
                    _ => unreadable,
                };
                let text = error.to_string();
                let (message, help) = text.split_once("; ").unwrap_or((&text, "see the reference"));
                self.error(kind, node.spot, message, help);
                None
            }
        }
    }

    /// A share in a range.
    pub(super) fn percent(&mut self, node: &Node, what: &str, least: &str, most: &str) -> Option<Percent> {
        let percent: Percent = self.quantity(node, what, Kind::BadPercent)?;
        let range = least.parse::<Percent>().ok()?..=most.parse::<Percent>().ok()?;
        if !range.contains(&percent) {
            let help = format!("write a share from {least} to {most}");
            self.error(Kind::OutOfRange, node.spot, format!("{what} cannot be `{percent}`"), help);
            return None;
        }
        Some(percent)
    }

    /// A length of time in a range.
    pub(super) fn span(&mut self, node: &Node, what: &str, least: Span, most: Span) -> Option<Span> {
        let text = self.text(node, what)?;
        let Ok(span) = text.parse::<Span>() else {
            let message = format!("`{text}` is not a length of time");
            self.error(Kind::BadSpan, node.spot, message, "write it like `90s`, `5m`, `1h30m` or `30d`");
            return None;
        };
        if span < least || span > most {
            let help = format!("write a time from `{least}` to `{most}`");
            self.error(Kind::OutOfRange, node.spot, format!("{what} cannot be `{text}`"), help);
            return None;
        }
        Some(span)
    }

    /// A glob that can match something.
    pub(super) fn glob(&mut self, text: &str, spot: Spot) -> Option<Box<str>> {
        let problem = if text.len() > MAX_PATTERN {
            Some(format!("is longer than {MAX_PATTERN} bytes"))
        } else if text.contains(['[', ']', '{', '}', '!']) {
            Some("has a character that globs here do not have".to_owned())
        } else if text.trim() != text {
            Some("begins or ends with a space".to_owned())
        } else {
            None
        };
        let Some(problem) = problem else { return Some(text.into()) };
        let help = "write a name, with `*` for any run of characters and `?` for any one";
        self.error(Kind::BadGlob, spot, format!("`{}` {problem}", shortened(text)), help);
        None
    }

    /// What somebody may have meant. Not looked for once there are more diagnostics than a report shows: the
    /// comparison costs, and a hostile file has room for thousands of slips.
    pub(super) fn meant<'c>(
        &self,
        text: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.list.len() < MOST { meant(text, candidates) } else { None }
    }

    /// A name to be looked up later.
    pub(super) fn refer(&mut self, kind: RefKind, name: &str, spot: Spot) {
        self.refs.push(Ref { kind, name: name.to_owned(), spot });
    }
}

/// All or nothing: a list that lost an item to a mistake is not the list that somebody wrote. Every item is
/// read all the same, so that every mistake is reported.
pub(super) fn all_of<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut whole = Some(Vec::new());
    for item in items {
        match (&mut whole, item) {
            (Some(list), Some(item)) => list.push(item),
            _ => whole = None,
        }
    }
    whole
}

/// A text that fits a message.
pub(super) fn shortened(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    text.chars().take(79).chain(['…']).collect()
}
