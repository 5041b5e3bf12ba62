//! The small values of a trial: counts with `k`, `M` and `B`, instants, objects, labels.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape};
use super::super::read::{Sink, all_of};
use super::LONGEST_TRIAL;
use crate::inventory::{ObjectKey, ObjectKind};
use crate::time::{Span, Timestamp};

/// What the letters behind a count mean.
const LETTERS: [(char, u64); 4] =
    [('k', 1_000), ('M', 1_000_000), ('B', 1_000_000_000), ('T', 1_000_000_000_000)];

/// A count: `250`, `1.5k`, `900M`, `2B`.
pub(super) fn count(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<u64> {
    let text = sink.text(node, what)?;
    let count = parse_count(text);
    if count.is_none() {
        let message = format!("{what} cannot be `{text}`");
        sink.error(
            Kind::OutOfRange,
            node.spot,
            message,
            "write a whole number, such as `250`, `900M` or `2B`",
        );
    }
    count
}

fn parse_count(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, factor) = match LETTERS.iter().find(|(letter, _)| text.ends_with(*letter)) {
        Some((letter, factor)) => (text.strip_suffix(*letter)?, *factor),
        None => (text, 1),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || digits.ends_with('.') {
        return None;
    }
    let mut total = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let mut worth = factor;
    for digit in part.bytes() {
        // A digit that stands for less than one is no whole number.
        if !worth.is_multiple_of(10) {
            return None;
        }
        worth /= 10;
        total = total.checked_add(u64::from(digit.saturating_sub(b'0')).checked_mul(worth)?)?;
    }
    Some(total)
}

/// An instant: `+10m` after the trial's `at`, or one of its own.
pub(super) fn instant(node: &Node, start: Timestamp, sink: &mut Sink<'_>) -> Option<Timestamp> {
    let text = sink.text(node, "`at`")?;
    let at = match text.strip_prefix('+') {
        Some(span) => span.parse::<Span>().ok().map(|span| start.plus(span)),
        None => Timestamp::parse_rfc3339(text).ok(),
    };
    let Some(at) = at else {
        let help = "write it like `+10m`, after the test's `at`, or like `2026-11-05T10:00:00Z`";
        sink.error(Kind::BadTime, node.spot, format!("`{text}` is not an instant"), help);
        return None;
    };
    if at < start || at.since(start) > LONGEST_TRIAL {
        let help = format!("write an instant from the test's `at` to {LONGEST_TRIAL} after it");
        sink.error(Kind::OutOfRange, node.spot, format!("`at` cannot be `{text}`"), help);
        return None;
    }
    Some(at)
}

/// A length of time within a trial.
pub(super) fn span(node: &Node, what: &str, least: Span, sink: &mut Sink<'_>) -> Option<Span> {
    sink.span(node, what, least, LONGEST_TRIAL)
}

/// `checkout/api`: the ScaledObject of that name.
pub(super) fn object(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<ObjectKey> {
    let text = sink.text(node, what)?;
    let key = text.parse::<ObjectKey>().ok().filter(|key| key.kind == ObjectKind::ScaledObject);
    if key.is_none() {
        let help = "write namespace and name, such as `checkout/api`";
        sink.error(Kind::BadObject, node.spot, format!("`{text}` names no ScaledObject"), help);
    }
    key
}

/// `[checkout/api, billing/api]`, sorted.
pub(super) fn objects(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Vec<ObjectKey>> {
    let items = sink.list(node, what, "[checkout/api]")?;
    let mut keys = all_of(items.iter().map(|item| object(item, "an object", sink)))?;
    keys.sort();
    keys.dedup();
    Some(keys)
}

/// `{tenant: checkout}`.
pub(super) fn labels(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<Vec<(Box<str>, Box<str>)>> {
    let pairs = sink.pairs(node, what, "{tenant: checkout}")?;
    Some(pairs.into_iter().map(|(entry, value)| (entry.key.as_str().into(), value.into())).collect())
}

/// A command that says nothing more: `unfreeze: {}` or `unfreeze: true`.
pub(super) fn nothing(node: &Node, what: &str, sink: &mut Sink<'_>) -> Option<()> {
    match &node.shape {
        Shape::Bool(true) => Some(()),
        Shape::Map(entries) if entries.is_empty() => Some(()),
        _ => {
            let message = format!("{what} takes no value");
            sink.error(
                Kind::WrongType,
                node.spot,
                message,
                format!("write `{}: {{}}`", what.trim_matches('`')),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_whole_number_with_or_without_a_letter() {
        for (text, count) in [
            ("0", 0),
            ("250", 250),
            ("1.5k", 1_500),
            ("900M", 900_000_000),
            ("2B", 2_000_000_000),
            ("0.000001M", 1),
        ] {
            assert_eq!(parse_count(text), Some(count), "{text}");
        }
        for text in ["", "M", "1.5", "1.", ".5M", "0.0000001M", "-1", "1e6", "1,000", "99999999999T", "1m"] {
            assert_eq!(parse_count(text), None, "{text}");
        }
    }
}
