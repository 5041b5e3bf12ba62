//! `select.when`: an expression in CEL, and where each part of it stands in the file.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::When;
use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{RefKind, Sink};
use super::super::when::{Problem, ProblemKind, Read, Scope, check};
use crate::subject::field;

pub(super) fn read(node: &Node, sink: &mut Sink<'_>) -> Option<When> {
    let text = sink.text(node, "`when`")?;
    match check(text) {
        Ok(checked) => {
            for read in checked.reads.iter().filter(|read| read.of == Scope::Subject) {
                sink.refer(RefKind::Field, &read.name, spot_of(node, text, &read.at, sink));
            }
            warn_of_unasked(node, text, &checked.reads, sink);
            Some(When::new(text, sink.place(node.spot), checked.program))
        }
        Err(problems) => {
            for Problem { kind, at, message, help } in problems {
                let kind = match kind {
                    ProblemKind::TooComplex => Kind::TooComplex,
                    ProblemKind::Unreadable => Kind::BadWhen,
                    ProblemKind::Type => Kind::WhenType,
                };
                sink.error(kind, spot_of(node, text, &at, sink), message, help);
            }
            None
        }
    }
}

/// A field that only some charges have, read without asking: what lacks it is never counted.
fn warn_of_unasked(node: &Node, text: &str, reads: &[Read], sink: &mut Sink<'_>) {
    let mut done: BTreeSet<&str> =
        reads.iter().filter(|read| read.asked).map(|read| read.name.as_str()).collect();
    for read in reads.iter().filter(|read| read.of == Scope::Subject && read.name != field::SOURCE) {
        if !done.insert(&read.name) {
            continue;
        }
        let spot = spot_of(node, text, &read.at, sink);
        let message =
            format!("a charge without `{}` has no answer here; it is paged and not counted", read.name);
        let simple = read.name.chars().all(char::is_alphanumeric);
        let ask = if simple {
            format!("has(subject.{})", read.name)
        } else {
            format!("'{}' in subject", read.name)
        };
        sink.warn(Kind::WhenUnasked, spot, message, format!("write `{ask} && ..` where it is not meant"));
    }
}

/// Where a part of the text stands in the file. What YAML takes out of a text (quotes, escapes, folded lines) is
/// skipped; where that cannot be followed, the beginning of the value.
fn spot_of(node: &Node, text: &str, at: &Range<usize>, sink: &Sink<'_>) -> Spot {
    let mut file = sink.characters_from(node.spot);
    let mut spot: Option<Spot> = None;
    let end = at.end.max(at.start.saturating_add(1));
    for (offset, wanted) in text.char_indices().take_while(|(offset, _)| *offset < end) {
        let is_it = |c: char| c == wanted || (c.is_whitespace() && wanted.is_whitespace());
        let Some((line, column, _)) = file.find(|(_, _, c)| is_it(*c)) else { break };
        match &mut spot {
            Some(spot) if spot.line == line => {
                spot.width = column.saturating_sub(spot.column).saturating_add(1);
            }
            None if offset >= at.start => spot = Some(Spot { line, column, width: 1 }),
            _ => {}
        }
    }
    // A problem of the whole, or one at its end, where nothing stands.
    spot.unwrap_or(node.spot)
}
