//! What a trial expects: one subject for each list item, and `at` where it is not the end.

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Entry, Node};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::{
    ABOUTS, ABSENT, Expectation, Expected, ExpectedBreaker, ExpectedNotice, ExpectedOrder, ORDERS, PAGES,
    STATES, WHYS, value,
};
use crate::time::Timestamp;

/// What an item can be about, each with the further keys that it takes.
const SUBJECTS: [(&str, Keys); 8] = [
    ("breaker", Keys::of(&["at", "breaker", "state", "why", "sum", "limit", "trips", "unpriced"])),
    ("orders", Keys::of(&["at", "orders"])),
    ("wouldStop", Keys::of(&["at", "wouldStop"])),
    ("held", Keys::of(&["at", "held"])),
    ("released", Keys::of(&["at", "released"])),
    ("notices", Keys::of(&["at", "notices"])),
    ("pages", Keys::of(&["at", "pages"])),
    ("spend", Keys::of(&["at", "spend", "tenant", "model"])),
];

const EXAMPLE: &str = "{at: +10m, breaker: tenant-daily/acme, state: Tripped}";

/// The expectation, with its instant apart: without one it is as of the end, which is not known yet.
pub(super) fn read(
    node: &Node,
    start: Timestamp,
    sink: &mut Sink<'_>,
) -> Option<(Option<Timestamp>, Expectation)> {
    let entries = sink.map(node, "an expectation", EXAMPLE)?;
    let (subject, keys) = subject(entries, node, sink)?;
    let fields = sink.object(node, &format!("an expectation of `{subject}`"), EXAMPLE, keys)?;
    let at = fields.get("at").map_or(Some(None), |n| value::instant(n, start, sink).map(Some));
    let entry = fields.entry(subject)?;
    let what = match subject {
        "breaker" => breaker(&fields, &entry.value, sink),
        "orders" => orders(&entry.value, sink).map(Expected::Orders),
        "wouldStop" => value::objects(&entry.value, "`wouldStop`", sink).map(Expected::WouldStop),
        "held" => value::objects(&entry.value, "`held`", sink).map(Expected::Held),
        "released" => value::objects(&entry.value, "`released`", sink).map(Expected::Released),
        "notices" => notices(&entry.value, sink).map(Expected::Notices),
        "pages" => pages(&entry.value, sink).map(Expected::Pages),
        _ => spend(&fields, &entry.value, sink),
    };
    Some((at?, Expectation { at: start, place: sink.place(entry.spot), what: what? }))
}

fn subject(entries: &[Entry], node: &Node, sink: &mut Sink<'_>) -> Option<(&'static str, &'static Keys)> {
    let is_there = |name: &str| entries.iter().any(|entry| entry.key == name);
    let stated: Vec<_> = SUBJECTS.iter().filter(|(name, _)| is_there(name)).collect();
    if let [(name, keys)] = stated.as_slice() {
        return Some((name, keys));
    }
    let all = || SUBJECTS.iter().map(|(name, _)| *name);
    if let ([], Some(slip)) =
        (stated.as_slice(), entries.iter().find(|entry| sink.meant(&entry.key, all()).is_some()))
    {
        let close = sink.meant(&slip.key, all()).unwrap_or_default();
        let message = format!("there is no expectation `{}`", slip.key);
        sink.error(Kind::UnknownKey, slip.spot, message, format!("did you mean `{close}`?"));
        return None;
    }
    let message = format!("an expectation is about one thing, this about {}", stated.len());
    let help = format!("write one list item for each of {}", one_of(all()));
    sink.error(Kind::Conflict, node.spot, message, help);
    None
}

/// A word of a closed list.
fn word(node: &Node, what: &str, words: &[&'static str], sink: &mut Sink<'_>) -> Option<&'static str> {
    let pairs: Vec<(&'static str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
    sink.word(node, what, Kind::UnknownWord, &pairs)
}

fn breaker(fields: &Fields<'_>, node: &Node, sink: &mut Sink<'_>) -> Option<Expected> {
    let name = sink.text(node, "`breaker`");
    let state = optional(fields, "state", sink, |n, sink| word(n, "`state`", &STATES, sink));
    let why = optional(fields, "why", sink, |n, sink| word(n, "`why`", &WHYS, sink));
    let sum = optional(fields, "sum", sink, |n, sink| sink.money(n, "`sum`"));
    let limit = optional(fields, "limit", sink, |n, sink| sink.money(n, "`limit`"));
    let trips = optional(fields, "trips", sink, |n, sink| sink.count(n, "`trips`", 0, 65_535));
    let unpriced = optional(fields, "unpriced", sink, |n, sink| sink.count(n, "`unpriced`", 0, u32::MAX));
    let expected = ExpectedBreaker {
        name: name?.into(),
        state: state?,
        why: why?,
        sum: sum?,
        limit: limit?,
        trips: trips?,
        unpriced: unpriced?,
    };
    let said = [
        expected.sum.is_some(),
        expected.limit.is_some(),
        expected.trips.is_some(),
        expected.unpriced.is_some(),
    ];
    let of_a_breaker = expected.why.is_some() || said.contains(&true);
    if expected.state.is_none() && !of_a_breaker {
        let help = "write for example `state: Tripped`";
        sink.error(Kind::MissingKey, fields.spot, "nothing is expected of the breaker", help);
        return None;
    }
    if expected.state == Some(ABSENT) && of_a_breaker {
        let message = "a breaker that is not there has no sum, limit or why";
        sink.error(Kind::Conflict, fields.spot, message, "write `state: Absent` alone");
        return None;
    }
    Some(Expected::Breaker(Box::new(expected)))
}

/// A key that need not be there: `Some(None)` without it, `None` where it is wrong.
fn optional<'a, T>(
    fields: &Fields<'_>,
    key: &str,
    sink: &mut Sink<'a>,
    read: impl FnOnce(&Node, &mut Sink<'a>) -> Option<T>,
) -> Option<Option<T>> {
    fields.get(key).map_or(Some(None), |node| read(node, sink).map(Some))
}

fn orders(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<ExpectedOrder>> {
    let items = sink.list(node, "`orders`", "orders: [{pauseScaledObject: checkout/api}]")?;
    let mut orders = all_of(items.iter().map(|item| order(item, sink)))?;
    orders.sort();
    orders.dedup();
    Some(orders)
}

fn order(node: &Node, sink: &mut Sink<'_>) -> Option<ExpectedOrder> {
    let entries = sink.map(node, "an order", "{pauseScaledObject: checkout/api}")?;
    let [entry] = entries else {
        let message = format!("an order has one effect, this has {}", entries.len());
        sink.error(Kind::Conflict, node.spot, message, "write one list item for each order");
        return None;
    };
    let Some(effect) = ORDERS.into_iter().find(|effect| *effect == entry.key) else {
        let help = match sink.meant(&entry.key, ORDERS) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("write {}", one_of(ORDERS)),
        };
        sink.error(Kind::UnknownAct, entry.spot, format!("there is no order `{}`", entry.key), help);
        return None;
    };
    let target = value::object(&entry.value, &format!("`{effect}`"), sink)?;
    Some(ExpectedOrder { effect, target })
}

const NOTICE: Keys = Keys::of(&["route", "about", "breaker"]);

fn notices(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<ExpectedNotice>> {
    let example = "notices: [{route: oncall, about: tripped, breaker: tenant-daily/acme}]";
    let items = sink.list(node, "`notices`", example)?;
    all_of(items.iter().map(|item| {
        let fields = sink.object(item, "a notice", "{route: oncall, about: tripped}", &NOTICE)?;
        let text = |key: &str, sink: &mut Sink<'_>| {
            fields.get(key).map_or(Some(None), |n| sink.text(n, &format!("`{key}`")).map(|t| Some(t.into())))
        };
        let (route, breaker) = (text("route", sink), text("breaker", sink));
        let about = optional(&fields, "about", sink, |n, sink| word(n, "`about`", &ABOUTS, sink));
        Some(ExpectedNotice { route: route?, about: about?, breaker: breaker? })
    }))
}

fn pages(node: &Node, sink: &mut Sink<'_>) -> Option<Vec<Box<str>>> {
    let items = sink.list(node, "`pages`", "pages: [unpriced]")?;
    let mut pages = all_of(items.iter().map(|item| word(item, "a page", &PAGES, sink)))?;
    pages.sort_unstable();
    pages.dedup();
    Some(pages.into_iter().map(Into::into).collect())
}

fn spend(fields: &Fields<'_>, node: &Node, sink: &mut Sink<'_>) -> Option<Expected> {
    let amount = sink.money(node, "`spend`");
    let mut text = |key: &str| {
        fields.get(key).map_or(Some(None), |n| sink.text(n, &format!("`{key}`")).map(|t| Some(t.into())))
    };
    let (tenant, model) = (text("tenant"), text("model"));
    Some(Expected::Spend { tenant: tenant?, model: model?, amount: amount? })
}
