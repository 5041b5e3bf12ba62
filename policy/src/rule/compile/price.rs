//! `kind: PriceBook`: prices in the short form. Several documents add up; no key is stated twice.
//!
//! What is stated is also held against the embedded book here, so that a price per token typed as a price
//! per million tokens is refused where it was written. (The engine compares it with the prices that were
//! accepted last as well.)

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Spot};
use super::super::read::{Fields, Keys, Sink};
use super::Header;
use crate::money::{HourRate, TokenRate};
use crate::price::{InstanceOverride, PriceBook, PriceOverrides, ShortPrice, Tier, TokenClass};

pub(super) const PRICE_BOOK: Keys = Keys {
    known: &["models", "profiles", "instances", "accept", "spotShare"],
    later: &[("litellm", "write the prices under `models`")],
};
pub(super) const MODEL: Keys =
    Keys::of(&["tier", "input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"]);
const MODEL_EXAMPLE: &str = "{input: 3.30 USD per 1M tokens, output: 16.50 USD per 1M tokens}";
pub(super) const INSTANCE: Keys = Keys::of(&["type", "capacityType", "region", "price"]);
const INSTANCE_EXAMPLE: &str = "{type: g5.xlarge, capacityType: spot, price: 0.4387 USD per hour}";

/// What one document says, and where it says each price.
pub(super) struct Part {
    name: Box<str>,
    file: usize,
    spot: Spot,
    /// Without a mistake of its own.
    whole: bool,
    prices: PriceOverrides,
    /// By key and, for a rate of a model, its class word.
    spots: BTreeMap<(String, Option<&'static str>), Spot>,
}

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>, file: usize) -> Option<Part> {
    let before = sink.errors();
    let fields =
        sink.object(spec, "a price book", &format!("models: {{my.model: {MODEL_EXAMPLE}}}"), &PRICE_BOOK)?;
    let mut part = Part {
        name: header.name.clone(),
        file,
        spot: header.spot,
        whole: false,
        prices: PriceOverrides::default(),
        spots: BTreeMap::new(),
    };
    if let Some(node) = fields.get("models") {
        models(node, &mut part, sink);
    }
    if let Some(node) = fields.get("profiles")
        && let Some(pairs) = sink.pairs(node, "`profiles`", "{a1b2c3d4e5f6: us.anthropic.claude-sonnet-4-6}")
    {
        for (entry, model) in pairs {
            part.spots.insert((entry.key.clone(), None), entry.value.spot);
            part.prices.profiles.insert(entry.key.clone(), model.to_owned());
        }
    }
    if let Some(node) = fields.get("instances")
        && let Some(items) = sink.list(node, "`instances`", &format!("[{INSTANCE_EXAMPLE}]"))
    {
        for item in items {
            instance(item, &mut part, sink);
        }
    }
    if let Some(node) = fields.get("accept")
        && let Some(texts) = sink.texts(node, "`accept`", "accept: [us.anthropic.claude-sonnet-4-6]")
    {
        part.prices.accept.extend(texts.into_iter().map(|(text, _)| text.to_owned()));
    }
    part.prices.spot_share =
        fields.get("spotShare").and_then(|n| sink.percent(n, "`spotShare`", "5%", "100%"));
    part.whole = sink.errors() == before;
    Some(part)
}

fn models(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(entries) = sink.map(node, "`models`", &format!("my.model: {MODEL_EXAMPLE}")) else { return };
    for entry in entries {
        let what = format!("`{}`", entry.key);
        let Some(fields) = sink.object(&entry.value, &what, MODEL_EXAMPLE, &MODEL) else { continue };
        part.spots.insert((entry.key.clone(), None), entry.spot);
        let mut rate = |key: &'static str, class: &'static str| {
            let node = fields.get(key)?;
            part.spots.insert((entry.key.clone(), Some(class)), node.spot);
            sink.quantity::<TokenRate>(node, &format!("`{key}`"), Kind::BadAmount)
        };
        let mut price = ShortPrice {
            tier: None,
            input: rate("input", "input"),
            output: rate("output", "output"),
            cache_read: rate("cacheRead", "cache_read"),
            cache_write_5m: rate("cacheWrite5m", "cache_write_5m"),
            cache_write_1h: rate("cacheWrite1h", "cache_write_1h"),
        };
        price.tier = tier(&fields, sink);
        part.prices.models.insert(entry.key.clone(), price);
    }
}

fn tier(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<Tier> {
    let words = Tier::ALL.map(|tier| (tier.word(), tier));
    sink.word(fields.get("tier")?, "`tier`", Kind::UnknownWord, &words)
}

fn instance(node: &Node, part: &mut Part, sink: &mut Sink<'_>) {
    let Some(fields) = sink.object(node, "an instance", INSTANCE_EXAMPLE, &INSTANCE) else { return };
    let help = format!("write `{INSTANCE_EXAMPLE}`");
    let kind = fields.required("type", &help, sink).and_then(|n| sink.text(n, "`type`"));
    let words = [("spot", "spot"), ("on-demand", "on-demand")];
    let capacity = fields
        .required("capacityType", &help, sink)
        .and_then(|n| sink.word(n, "`capacityType`", Kind::UnknownWord, &words));
    let region = fields.get("region").and_then(|n| sink.text(n, "`region`"));
    let price_node = fields.required("price", &help, sink);
    let price = price_node.and_then(|n| sink.quantity::<HourRate>(n, "`price`", Kind::BadAmount));
    let (Some(kind), Some(capacity), Some(price)) = (kind, capacity, price) else { return };
    // The key by which the price module names it in what it refuses.
    let key = format!("{}/{kind}/{capacity}", region.unwrap_or("*"));
    let spot = price_node.map_or(fields.spot, |n| n.spot);
    if part.spots.insert((key.clone(), None), spot).is_some() {
        let message = format!("the price of `{key}` is here a second time");
        sink.error(Kind::DuplicateName, fields.spot, message, "keep one of the two");
    }
    part.prices.instances.push(InstanceOverride {
        instance_type: kind.to_owned(),
        capacity_type: capacity.to_owned(),
        region: region.map(ToOwned::to_owned),
        price,
    });
}

/// All documents in one, with the prices that are not believable reported.
pub(super) fn join(parts: Vec<Part>, sinks: &mut [Sink<'_>]) -> PriceOverrides {
    let mut whole = PriceOverrides::default();
    let mut spots: BTreeMap<(String, Option<&'static str>), (usize, Spot)> = BTreeMap::new();
    let mut names: BTreeSet<Box<str>> = BTreeSet::new();
    let mut first = None;
    let all_whole = parts.iter().all(|part| part.whole);
    for part in parts {
        first = first.or(Some((part.file, part.spot)));
        names.insert(part.name);
        for (key, spot) in part.spots {
            if let Some((file, other)) = spots.get(&key)
                && key.1.is_none()
            {
                let place = sinks[*file].place(*other);
                let message = format!("`{}` is priced a second time", key.0);
                let help = format!("keep one of the two; the first is at {place}");
                sinks[part.file].error(Kind::DuplicateName, spot, message, help);
            }
            spots.entry(key).or_insert((part.file, spot));
        }
        whole.models.extend(part.prices.models);
        whole.profiles.extend(part.prices.profiles);
        whole.instances.extend(part.prices.instances);
        whole.accept.extend(part.prices.accept);
        whole.spot_share = whole.spot_share.or(part.prices.spot_share);
    }
    whole.name = names.iter().map(|n| &**n).collect::<Vec<_>>().join("+");
    // Of a book with gaps the comparison would report the gaps once more.
    if let Some(first) = first.filter(|_| all_whole) {
        refuse_unbelievable(&whole, &spots, first, sinks);
    }
    whole
}

fn refuse_unbelievable(
    whole: &PriceOverrides,
    spots: &BTreeMap<(String, Option<&'static str>), (usize, Spot)>,
    first: (usize, Spot),
    sinks: &mut [Sink<'_>],
) {
    let Err(issues) = PriceBook::embedded().with_overrides(whole) else { return };
    for issue in issues {
        let class = TokenClass::ALL.into_iter().map(TokenClass::word);
        let class = class.into_iter().find(|word| issue.field.as_deref() == Some(*word));
        let by_field = spots.get(&(issue.key.clone(), class));
        let by_key = || spots.get(&(issue.key.clone(), None));
        let (file, spot) = by_field.or_else(by_key).copied().unwrap_or(first);
        let text = issue.problem.to_string();
        let (problem, help) = text.split_once("; ").unwrap_or((&text, "correct the price"));
        let message = format!("the price of `{}` is refused: {problem}", issue.key);
        sinks[file].error(Kind::PriceRefused, spot, message, help);
    }
}
