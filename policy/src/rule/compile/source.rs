//! `kind: Source`. What is said of the source of that name.

use super::super::SourceRule;
use super::super::node::Node;
use super::super::read::{Keys, Sink};
use crate::time::Span;

pub(super) const SOURCE: Keys = Keys {
    known: &["staleAfter"],
    later: &[
        ("type", "take it out; which inputs run is in the daemon's configuration"),
        ("enabled", "take it out; which inputs run is in the daemon's configuration"),
        ("authoritative", "take it out; records are matched by their ids"),
        ("authority", "take it out; records are matched by their ids"),
        ("scope", "take it out; what a source may report is in the daemon's configuration"),
    ],
};

pub(super) fn read(spec: &Node, sink: &mut Sink<'_>) -> Option<SourceRule> {
    let fields = sink.object(spec, "a source", "staleAfter: 15m", &SOURCE)?;
    let node = fields.required("staleAfter", "write `staleAfter: 15m`", sink)?;
    let limits = (Span::from_mins(1), Span::from_hours(31 * 24));
    let stale_after = sink.span(node, "`staleAfter`", limits.0, limits.1)?;
    Some(SourceRule { stale_after: Some(stale_after) })
}
