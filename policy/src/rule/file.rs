//! From text to trees of nodes that know where they stand.
//!
//! A typed mirror of each document would end at its first mistake. So each document becomes a tree first,
//! every node with its span, and the compiler walks that and reports all it finds. Documents are cut apart
//! before they are parsed (`---` at the start of a line is a document marker wherever it stands), so one
//! that is not YAML does not hide what is wrong in the next. Numbers keep the text that was written: `5000`
//! is refused for its missing unit, not read as a float on the way. Everything is bounded: size, depth,
//! nodes, aliases.

mod raw;

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Options};

use super::diagnose::DiagnosticKind;
use super::node::{Entry, Node, Shape, SourceFile, Spot};
use super::read::Sink;
use raw::{Raw, RawShape};

/// Largest file, in bytes. A thousand budgets are below a third of it.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting; the language needs 9.
const MAX_DEPTH: usize = 32;
/// Nodes in one document.
const MAX_NODES: usize = 100_000;

/// Documents in one file.
const MAX_DOCUMENTS: usize = 5_000;

/// The documents of a file as trees; what cannot be parsed goes to the sink.
pub(super) fn documents(file: &SourceFile<'_>, sink: &mut Sink<'_>) -> Vec<Node> {
    if file.text.len() > MAX_BYTES {
        let message = format!("`{}` has {} bytes; the most is {MAX_BYTES}", file.path, file.text.len());
        sink.error(DiagnosticKind::TooLarge, Spot::START, message, "split it into several files");
        return Vec::new();
    }
    let mut trees = Vec::new();
    let chunks = cut(file.text);
    if let Some(chunk) = chunks.get(MAX_DOCUMENTS) {
        let spot = Spot { line: chunk.lines_before + 1, ..Spot::START };
        let message = format!("`{}` has more than {MAX_DOCUMENTS} documents", file.path);
        sink.error(DiagnosticKind::TooComplex, spot, message, "split it into several files");
        return trees;
    }
    for chunk in chunks {
        // A chunk without content must not count as a document: `---` at the top of a file is usual.
        if !chunk.text.lines().any(has_content) {
            continue;
        }
        match serde_saphyr::from_str_with_options::<Raw>(chunk.text, options()) {
            Ok(raw) => trees.push(chunk.node(raw)),
            Err(error) => chunk.report(error.without_snippet(), sink),
        }
    }
    trees
}

fn has_content(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty() || line.starts_with('#') || line == "---" || line == "...")
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: 100,
            max_anchors: 100,
            max_documents: 2,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

/// One document's text and the lines before it.
struct Chunk<'a> {
    text: &'a str,
    lines_before: u32,
}

/// Cuts at lines that begin with a document marker. YAML forbids such a line inside any scalar (`c-forbidden`),
/// so no document is cut in two.
fn cut(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (number, line) in (0_u32..).zip(text.split_inclusive('\n')) {
        let is_marker =
            line.strip_prefix("---").is_some_and(|rest| rest.trim_start() != rest || rest.is_empty());
        let is_end = line.trim_end() == "...";
        if is_marker || is_end {
            chunks.push(Chunk { text: &text[start..at], lines_before: start_line });
            let skipped = if is_end { line.len() } else { 0 };
            (start, start_line) = (at + skipped, number + u32::from(is_end));
        }
        at += line.len();
    }
    chunks.push(Chunk { text: &text[start..], lines_before: start_line });
    chunks
}

impl Chunk<'_> {
    fn spot(&self, location: Location) -> Spot {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let line = small(location.line()).max(1).saturating_add(self.lines_before);
        let written = self.written(location).unwrap_or_default();
        let first = written.lines().next().unwrap_or_default().trim_end();
        let width = u32::try_from(first.chars().count()).unwrap_or(1).max(1);
        Spot { line, column: small(location.column()).max(1), width }
    }

    /// The text between the ends of a span.
    fn written(&self, location: Location) -> Option<&str> {
        let start = usize::try_from(location.span().byte_offset()?).ok()?;
        let length = usize::try_from(location.span().byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?)
    }

    fn node(&self, Raw(raw): Raw) -> Node {
        let mut spot = self.spot(raw.referenced);
        let shape = match raw.value {
            RawShape::Null => Shape::Null,
            RawShape::Bool(value) => Shape::Bool(value),
            RawShape::Number(read) => {
                Shape::Number(self.written(raw.defined).map_or(read, |text| text.trim().to_owned()))
            }
            RawShape::Text(text) => Shape::Text(text),
            RawShape::List(items) => {
                spot.width = 1;
                Shape::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            RawShape::Map(entries) => {
                spot.width = 1;
                Shape::Map(entries.into_iter().map(|(key, value)| self.entry(key, value)).collect())
            }
        };
        Node { spot, shape }
    }

    fn entry(&self, key: Raw, value: Raw) -> Entry {
        let key = self.node(key);
        let mut value = self.node(value);
        // Nothing has no place of its own: its key shows it better.
        if matches!(value.shape, Shape::Null) {
            value.spot = key.spot;
        }
        let text = match key.shape {
            Shape::Text(text) | Shape::Number(text) => text,
            Shape::Bool(value) => value.to_string(),
            Shape::Null => "null".to_owned(),
            Shape::List(_) | Shape::Map(_) => "[…]".to_owned(),
        };
        Entry { key: text, spot: key.spot, value }
    }

    fn report(&self, error: &Error, sink: &mut Sink<'_>) {
        let spot =
            error.location().map_or(Spot { line: self.lines_before + 1, ..Spot::START }, |l| self.spot(l));
        if let Some(bound) = bound(error) {
            return sink.error(DiagnosticKind::TooComplex, spot, bound, BOUNDS);
        }
        if let Some(tab) = self.tab() {
            return sink.error(
                DiagnosticKind::TabIndentation,
                tab,
                "a tab in the indentation".to_owned(),
                "indent with spaces; YAML does not allow tabs there",
            );
        }
        sink.error(DiagnosticKind::YamlSyntax, spot, says(error), SYNTAX);
    }

    /// The first line that is indented with a tab.
    fn tab(&self) -> Option<Spot> {
        let found = self.text.lines().zip(1_u32..).find_map(|(line, number)| {
            let indent = line.len() - line.trim_start().len();
            line[..indent].chars().position(|c| c == '\t').map(|at| (number, at))
        });
        found.map(|(number, at)| Spot {
            line: number + self.lines_before,
            column: u32::try_from(at).unwrap_or(0) + 1,
            width: 1,
        })
    }
}

const SYNTAX: &str =
    "check brackets, quotes and indentation; text with `: `, `#`, `*`, `&`, `{` or `[` needs quotes";
const BOUNDS: &str = "write it flatter, with fewer aliases; a rule needs neither";

/// What is too much, where the error is one of a bound. The scanner's own bounds have no kind of theirs.
fn bound(error: &Error) -> Option<String> {
    match error {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            Some(format!("the document is nested more than {MAX_DEPTH} deep"))
        }
        Error::Budget { .. } => Some("the document has too many nodes or aliases".to_owned()),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => Some("the aliases expand to too much".to_owned()),
        Error::AliasError { .. } if error.to_string().contains("limit exceeded") => {
            Some("the aliases expand to too much".to_owned())
        }
        _ if error.to_string().contains("nesting") => Some("the document is nested too deep".to_owned()),
        _ => None,
    }
}

/// The parser's message without the line and column that it appends: those count from the document's start.
fn says(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("not YAML");
    let line = line.split_once(" at line ").map_or(line, |(said, _)| said);
    line.trim().trim_start_matches("error: ").to_owned()
}
