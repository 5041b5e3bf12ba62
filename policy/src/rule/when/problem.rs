//! What is wrong with an expression, and the parser's complaint in our words.

use std::ops::Range;

use cel::ParseError;

/// What is wrong with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum ProblemKind {
    /// Beyond the bounds.
    TooComplex,
    /// Not CEL, or not of the part that is taken.
    Unreadable,
    /// Values of the wrong type.
    Type,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) kind: ProblemKind,
    /// Bytes of the expression that are meant.
    pub(in super::super) at: Range<usize>,
    pub(in super::super) message: String,
    pub(in super::super) help: String,
}

/// The parser's first complaint: the others follow from it.
pub(super) fn unreadable(text: &str, errors: &[ParseError]) -> Vec<Problem> {
    let first = errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let said = first.map_or("it cannot be read", |error| error.msg.as_str());
    let (said, _) = said.split_once(" expecting ").unwrap_or((said, ""));
    let said = said.trim_start_matches("Syntax error: ").replace("'<EOF>'", "its end").replace('`', "'");
    let before: usize = text.split_inclusive('\n').take(small(line).saturating_sub(1)).map(str::len).sum();
    let start = floor(text, before.saturating_add(small(column).saturating_sub(1)));
    let end = floor(text, start.saturating_add(1)).max(start);
    vec![Problem {
        kind: ProblemKind::Unreadable,
        at: start..end,
        message: format!("the expression cannot be read: {}", lower(&said)),
        help: "write it like `charge.model.startsWith('us.') && has(subject.tenant)`".to_owned(),
    }]
}

fn small(n: isize) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// The last boundary of a character at or before that byte.
pub(super) fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
