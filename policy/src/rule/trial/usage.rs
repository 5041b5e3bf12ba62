//! `usage` and `instance`: who uses what, how much of it, and over which time.
//!
//! A key that is no key of these is a field of the subject: one of ours, or a namespace label. One that is
//! nearly a key or a field is a slip, as in rules.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Entry, Node, Spot};
use super::super::read::{Sink, all_of};
use super::{MOST_CALLS, TrialQuantity, TrialUsage, value};
use crate::money::{Money, Percent};
use crate::price::{Tier, TokenCounts};
use crate::subject::field;
use crate::time::Span;

/// Keys of both.
const SHARED: [&str; 4] = ["asserted", "over", "late", "calls"];
/// Keys of tokens, by class.
const TOKENS: [&str; 5] =
    ["inputTokens", "cacheReadTokens", "cacheWrite5mTokens", "cacheWrite1hTokens", "outputTokens"];
/// Further keys of `usage`.
const USAGE: [&str; 2] = ["amount", "tier"];
/// Further keys of `instance`.
const INSTANCE: [&str; 3] = ["type", "capacityType", "share"];

/// The source where none is named.
const SOURCE: &str = "test";

/// One call cannot be of more.
const MOST_COUNT: u64 = 1_000_000_000_000;
/// One micro-dollar: what an amount is a whole number of.
const MICRO: i128 = 1_000_000;

/// Tokens of a model, or money itself.
pub(super) fn tokens(node: &Node, sink: &mut Sink<'_>) -> Option<TrialUsage> {
    let entries = sink.map(node, "`usage`", "{tenant: checkout, amount: 5 USD}")?;
    let keys: Vec<&str> = TOKENS.into_iter().chain(USAGE).chain(SHARED).collect();
    let (subject, over) = (Subject::read(entries, &keys, sink), spread(entries, sink));
    let tokens = all_of(TOKENS.into_iter().map(|key| {
        find(entries, key).map_or(Some(0), |entry| value::count(&entry.value, &format!("`{key}`"), sink))
    }));
    let tier = find(entries, "tier").map_or(Some(Tier::Default), |entry| tier(&entry.value, sink));
    let amount = find(entries, "amount").map_or(Some(None), |entry| amount(&entry.value, sink).map(Some));
    let (subject, over, tokens, tier, amount) = (subject?, over?, tokens?, tier?, amount?);
    let counted = TOKENS.into_iter().any(|key| find(entries, key).is_some());
    let model = subject.fields.iter().find(|(name, _)| **name == *field::MODEL);
    let what = match (amount, model) {
        (Some(_), _) if counted => {
            return conflict(node.spot, "`amount` and tokens say two prices", "keep one of them", sink);
        }
        (Some(_), Some(_)) => {
            let help = "write tokens for a model, or take `model` out";
            return conflict(node.spot, "an `amount` has a price of its own and no `model`", help, sink);
        }
        (Some(amount), None) => TrialQuantity::Amount(amount),
        (None, _) if !counted => {
            let help = "write `inputTokens: 5M` and `model`, or `amount: 5 USD`";
            sink.error(Kind::MissingKey, node.spot, "`usage` does not say how much", help);
            return None;
        }
        (None, None) => {
            let help = "write for example `model: us.anthropic.claude-sonnet-4-6`";
            sink.error(Kind::MissingKey, node.spot, "`usage` of tokens has no `model`", help);
            return None;
        }
        (None, Some((_, model))) => {
            TrialQuantity::Tokens { model: model.clone(), tier, tokens: counts(&tokens) }
        }
    };
    usage(subject, what, over)
}

/// In the order of [`TOKENS`].
fn counts(tokens: &[u64]) -> TokenCounts {
    let of = |at: usize| tokens.get(at).copied().unwrap_or_default();
    TokenCounts {
        input: of(0),
        cache_read: of(1),
        cache_write_5m: of(2),
        cache_write_1h: of(3),
        output: of(4),
    }
}

/// Time on an instance.
pub(super) fn instance(node: &Node, sink: &mut Sink<'_>) -> Option<TrialUsage> {
    let entries = sink.map(node, "`instance`", "{type: p5.48xlarge, tenant: search, over: 2h}")?;
    let keys: Vec<&str> = INSTANCE.into_iter().chain(SHARED).collect();
    let (subject, over) = (Subject::read(entries, &keys, sink), spread(entries, sink));
    for key in ["type", "over"] {
        if find(entries, key).is_none() {
            let help = "write which instance and for how long, `{type: p5.48xlarge, over: 2h}`";
            sink.error(Kind::MissingKey, node.spot, format!("`instance` has no `{key}`"), help);
        }
    }
    let instance = find(entries, "type").and_then(|entry| sink.text(&entry.value, "`type`"));
    let words = [("on-demand", "on-demand"), ("spot", "spot")];
    let capacity = find(entries, "capacityType").map_or(Some("on-demand"), |entry| {
        sink.word(&entry.value, "`capacityType`", Kind::UnknownWord, &words)
    });
    let share = find(entries, "share")
        .map_or(Some(Percent::WHOLE), |entry| sink.percent(&entry.value, "`share`", "0.1%", "100%"));
    let what =
        TrialQuantity::Instance { instance: instance?.into(), capacity: capacity?.into(), share: share? };
    find(entries, "over")?;
    usage(subject?, what, over?)
}

fn usage(subject: Subject, what: TrialQuantity, over: Spread) -> Option<TrialUsage> {
    let Subject { source, fields, asserted } = subject;
    let (over, late, calls) = over;
    Some(TrialUsage { source, fields, asserted, what, over, calls, late })
}

fn conflict<T>(spot: Spot, message: &str, help: &str, sink: &mut Sink<'_>) -> Option<T> {
    sink.error(Kind::Conflict, spot, message, help);
    None
}

fn find<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// From when on it lasts, how late it is heard, in how many calls.
type Spread = (Span, Span, Option<u32>);

fn spread(entries: &[Entry], sink: &mut Sink<'_>) -> Option<Spread> {
    let mut of = |key: &str| {
        find(entries, key).map_or(Some(Span::ZERO), |entry| {
            value::span(&entry.value, &format!("`{key}`"), Span::from_secs(1), sink)
        })
    };
    let (over, late) = (of("over"), of("late"));
    let calls = find(entries, "calls")
        .map_or(Some(None), |entry| sink.count(&entry.value, "`calls`", 1, MOST_CALLS).map(Some));
    Some((over?, late?, calls?))
}

fn tier(node: &Node, sink: &mut Sink<'_>) -> Option<Tier> {
    let text = sink.text(node, "`tier`")?;
    let tier = text.parse();
    if tier.is_err() {
        let help = "write `default`, `flex`, `priority`, `reserved` or `batch`";
        sink.error(Kind::UnknownWord, node.spot, format!("`tier` cannot be `{text}`"), help);
    }
    tier.ok()
}

/// A whole number of micro-dollars, and no more than calls can be.
fn amount(node: &Node, sink: &mut Sink<'_>) -> Option<Money> {
    let money = sink.money(node, "`amount`")?;
    let micros = money.picos() / MICRO;
    let fits = u64::try_from(micros).is_ok_and(|micros| micros <= MOST_COUNT);
    if money.picos() % MICRO != 0 || !fits {
        let help = "write at most six decimals, and at most 1,000,000 USD";
        sink.error(Kind::OutOfRange, node.spot, format!("`amount` cannot be `{money}`"), help);
        return None;
    }
    Some(money)
}

/// Who it is.
struct Subject {
    source: Box<str>,
    fields: Vec<(Box<str>, Box<str>)>,
    asserted: Vec<(Box<str>, Box<str>)>,
}

impl Subject {
    fn read(entries: &[Entry], keys: &[&str], sink: &mut Sink<'_>) -> Option<Self> {
        let asserted = find(entries, "asserted")
            .map_or(Some(Vec::new()), |entry| value::labels(&entry.value, "`asserted`", sink));
        let of_subject = entries.iter().filter(|entry| !keys.contains(&entry.key.as_str()));
        let fields = all_of(of_subject.map(|entry| {
            refuse_slip(entry, keys, sink)?;
            let text = sink.text(&entry.value, &format!("`{}`", entry.key))?;
            Some((entry.key.as_str().into(), text.into()))
        }));
        let mut fields: Vec<(Box<str>, Box<str>)> = fields?;
        let source = fields.iter().position(|(name, _)| **name == *field::SOURCE);
        let source = source.map_or_else(|| SOURCE.into(), |at| fields.remove(at).1);
        Some(Self { source, fields, asserted: asserted? })
    }
}

/// A field may be any namespace label, but one that is nearly a key or a field is a slip.
fn refuse_slip(entry: &Entry, keys: &[&str], sink: &mut Sink<'_>) -> Option<()> {
    let key = entry.key.as_str();
    if field::ALL.contains(&key) || key.contains(['/', '.']) {
        return Some(());
    }
    let Some(close) = sink.meant(key, keys.iter().copied().chain(field::ALL)) else { return Some(()) };
    let message = format!("there is no key or field `{key}`");
    sink.error(Kind::UnknownKey, entry.spot, message, format!("did you mean `{close}`?"));
    None
}
